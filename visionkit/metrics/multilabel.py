"""Measure the probabilities of classes that do not exclude each other: average precision and F1."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat


class MultilabelMetrics(Metric):
    """Computes mAP, f1_macro and f1_micro of K classes for probabilities (B, K) and truth (B, K), 0 or 1.

    mAP is the mean over classes of the area under the precision-recall curve, which no threshold enters: summed step
    by step, without interpolation, equal probabilities together, as scikit-learn does it. F1 counts a class as found
    from `threshold` (probability, 0 to 1) on: f1_macro is the mean over classes, f1_micro counts all classes as one.

    Each is over what is defined: mAP over the classes that are true of some sample, f1_macro over those that are true
    or found. What nothing defines is nan.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    probabilities: list[Tensor]
    truth: list[Tensor]

    def __init__(self, num_classes: int, threshold: float) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.threshold = threshold
        for name in ("probabilities", "truth"):
            self.add_state(name, default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all samples.

        Both states keep an empty tensor of their shape: a process that saw no sample would otherwise send a vector
        where the others send rows, and all of them would wait for ever.
        """
        super().reset()
        for rows in (self.probabilities, self.truth):
            rows.append(torch.empty(0, self.num_classes, device=self.device))

    def update(self, probabilities: Tensor, truth: Tensor) -> None:
        """Add samples."""
        self.probabilities.append(probabilities.detach().float())
        self.truth.append(truth.float())

    def compute(self) -> dict[str, Tensor]:
        """Return mAP, f1_macro and f1_micro, each 0 to 1 or nan."""
        p_NK, true_NK = dim_zero_cat(self.probabilities), dim_zero_cat(self.truth).bool()
        found_NK = p_NK >= self.threshold
        hits_K = (found_NK & true_NK).sum(0)
        marks_K = found_NK.sum(0) + true_NK.sum(0)
        shown = true_NK.any(0).nonzero().flatten().tolist()
        precisions = [binary_average_precision(p_NK[:, k], true_NK[:, k].long(), validate_args=False) for k in shown]
        return {
            "mAP": torch.stack(precisions).mean() if precisions else p_NK.new_tensor(torch.nan),
            "f1_macro": (2 * hits_K / marks_K).nanmean(),  # 0 / 0 = nan: neither true nor found
            "f1_micro": 2 * hits_K.sum() / marks_K.sum(),
        }
