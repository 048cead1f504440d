"""Measure class probabilities: accuracy, macro averages and calibration."""

from __future__ import annotations

from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score


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
            "ECE": MulticlassCalibrationError(num_classes, n_bins=15),
        }
    )
