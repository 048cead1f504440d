"""Begin a training with published weights or with those of a file: find, fetch, read, fit and report them."""

from visionkit.engine.weights.applying import apply, check, problems
from visionkit.engine.weights.checkpoints import check_classes, padding
from visionkit.engine.weights.inputs import normalisation
from visionkit.engine.weights.sources import TORCHVISION, megabytes, published

__all__ = [
    "TORCHVISION",
    "apply",
    "check",
    "check_classes",
    "megabytes",
    "normalisation",
    "padding",
    "problems",
    "published",
]
