"""Measure masks by their confusion matrix: mean IoU and pixel accuracy."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from visionkit.types import IGNORE_INDEX


class MaskMetrics(MulticlassConfusionMatrix):
    """Computes mIoU, mIoU_foreground and pixel_accuracy over all pixels of all images.

    The intersections and unions are summed over the data set before they are divided, as in Everingham et
    al., "The Pascal Visual Object Classes Challenge", 2010; `IGNORE_INDEX` pixels do not count. A class
    in neither the prediction nor the truth is left out of the mean. `mIoU_foreground` leaves out class
    `background` and equals `mIoU` if that is None. What no pixel defines is nan: everything when all
    pixels are ignored, `mIoU_foreground` when all are background, rightly predicted.
    """

    higher_is_better = True

    def __init__(self, num_classes: int, background: int | None) -> None:
        if background is not None and not 0 <= background < num_classes:
            raise ValueError(
                f"background={background} is not a mask class: give 0 to {num_classes - 1}, or null for none"
            )
        super().__init__(num_classes=num_classes, ignore_index=IGNORE_INDEX, validate_args=False)
        self.background = background

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add logits (B, K, H, W) or class indices (B, H, W), and masks (B, H, W).

        Raises:
            ValueError: A mask value is neither a class nor `IGNORE_INDEX`, or the sizes differ.
        """
        if preds.shape[-2:] != target.shape[-2:] or len(preds) != len(target):
            raise ValueError(
                f"prediction {tuple(preds.shape)} and mask {tuple(target.shape)} differ in batch, height or width"
            )
        foreign = (target >= self.num_classes) & (target != IGNORE_INDEX)
        if foreign.any():
            raise ValueError(
                f"the mask holds the value {int(target[foreign][0])}, but there are {self.num_classes} classes: "
                f"allowed are 0 to {self.num_classes - 1} and {IGNORE_INDEX} (ignore)"
            )
        super().update(preds, target)

    def compute(self) -> dict[str, Tensor]:  # type: ignore[override]  # named scalars, not the matrix itself
        """Return mIoU, mIoU_foreground and pixel_accuracy, each 0 to 1 or nan."""
        counts_KK = self.confmat.float()  # rows are truth, columns prediction
        hits = counts_KK.diag()
        union = counts_KK.sum(0) + counts_KK.sum(1) - hits
        iou = hits / union  # 0 / 0 = nan: in neither
        foreground = torch.arange(self.num_classes, device=iou.device) != (
            -1 if self.background is None else self.background
        )
        return {
            "mIoU": iou.nanmean(),
            "mIoU_foreground": iou[foreground].nanmean(),
            "pixel_accuracy": hits.sum() / counts_KK.sum(),
        }
