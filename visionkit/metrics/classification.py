"""Measure class probabilities: accuracy, macro averages and calibration."""

from __future__ import annotations

from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score
from torchmetrics.utilities import dim_zero_cat


class CalibrationError(MulticlassCalibrationError):
    """Sums in the order of the confidences, so that the last digit does not tell how many processes there were."""

    def compute(self) -> Tensor:
        """Return the expected calibration error."""
        confidences = dim_zero_cat(self.confidences)
        order = confidences.argsort(stable=True)
        self.confidences, self.accuracies = [confidences[order]], [dim_zero_cat(self.accuracies)[order]]
        return super().compute()


def class_metrics(num_classes: int) -> MetricCollection:
    """Return accuracy, accuracy_macro, f1_macro and ECE for probabilities (B, K) and labels (B,).

    The macro averages are over the classes that occur in prediction or truth. ECE is the expected
    calibration error in 15 bins (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    """
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro"),
            "accuracy_macro": MulticlassAccuracy(num_classes, average="macro"),
            "f1_macro": MulticlassF1Score(num_classes, average="macro"),
            "ECE": CalibrationError(num_classes, n_bins=15),
        }
    )
