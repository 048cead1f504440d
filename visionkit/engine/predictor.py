"""Predict on a person's own images with a loaded checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from visionkit.data.pictures.files import decode_image
from visionkit.engine import build, checkpoint
from visionkit.engine.checkpoint import Model
from visionkit.types import Image, Prediction


class Predictor:
    """A trained network with all that it needs to turn an image into a result in that image's own pixels.

    `size` is the (height, width) that the network sees; images are resized and padded, or cut, as in validation.
    """

    def __init__(self, model: Model, device: str = "cpu") -> None:
        self._device = checkpoint.device(device)
        self.network = model.network.to(self._device)
        self.tasks = model.tasks
        self.class_names = model.class_names
        self.manifest = model.manifest
        height, width = model.manifest["size"]
        self.size: tuple[int, int] = (height, width)
        self._resize = checkpoint.resize_of(model.manifest)
        self._window = build.build_window(checkpoint.pixels_of(model.manifest))

    def predict(self, image: str | Path | NDArray[Any]) -> Any:
        """Return the result for one image: a file, or an array (H, W, 3) RGB uint8.

        Where the model was trained with `data.window` or `data.channels`, they hold here too, and an array is what a
        file holds: raw values (H, W) or (H, W, C). The result is of the task's own kind (`Classification`,
        `Multilabel`, `Segmentation`, `Detection`), or a dict of them by head when the network has several. Raises
        DataError for a file that is no image or has not these channels, ValueError for another array.
        """
        results = self.results(self.read(image))
        return next(iter(results.values())) if len(results) == 1 else results

    def results(self, image: Image) -> dict[str, Any]:
        """Return the result of every head for one image (H, W, C) uint8 as `read` gives it."""
        placement = self._resize.place(image.shape[0], image.shape[1])
        return {
            name: self.tasks[name].result(prediction, self.class_names[name], placement.restore)
            for name, prediction in self.decode(placement.image(image)[None]).items()
        }

    @torch.inference_mode()
    def decode(self, images_BHWC: Image) -> dict[str, Prediction]:
        """Return every head's prediction for images (B, H, W, C) uint8 that already have the network's size."""
        batch = torch.from_numpy(np.ascontiguousarray(images_BHWC)).permute(0, 3, 1, 2).to(self._device)
        return self.network.decode(self.network(batch))

    def read(self, image: str | Path | NDArray[Any]) -> Image:
        """Return a file, or an array of what a file holds, as the network sees it: (H, W, C) uint8."""
        if isinstance(image, str | Path):
            return decode_image(Path(image).expanduser(), self._window)
        return rgb(image) if self._window is None else self._window.apply(np.asarray(image), "the array")


def rgb(image: NDArray[Any]) -> Image:
    """Return an array as it is. Raises ValueError unless it is (H, W, 3) RGB uint8."""
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ValueError(f"an image is an array (H, W, 3) RGB of uint8, not {array.shape} of {array.dtype}")
    return array
