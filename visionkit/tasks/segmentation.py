"""Segment images: one class a pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from visionkit.tasks.base import Task
from visionkit.tasks.drawing import Colour, line_width, with_legend
from visionkit.tasks.palette import colour
from visionkit.types import IGNORE_INDEX, Batch, Classes, Image, MaskScores, Restore

if TYPE_CHECKING:
    from torchmetrics import Metric, MetricCollection

_OPACITY = 0.45  # of the tint over the picture
_IGNORED: Colour = (128, 128, 128)


class Segmentation(NamedTuple):
    """What each pixel of an image shows."""

    mask: Image  # (H, W) class indices; 255 = ignored, in ground truth only
    class_names: tuple[str, ...]


class SegmentationTask(Task):
    """One class a pixel; measured by IoU, with and without the class `background` (None: the data have none)."""

    kind: ClassVar[str] = "mask"
    metric_names: ClassVar[tuple[str, ...]] = ("mIoU", "mIoU_foreground", "pixel_accuracy")

    def __init__(self, background: int | None, monitor: str = "mIoU_foreground") -> None:
        super().__init__(monitor)
        self.background = background

    def class_names(self, classes: Classes) -> tuple[str, ...]:
        """Return the names of the mask classes. Raises ValueError when the data set has none."""
        if not classes.mask:
            raise ValueError("task=segmentation needs masks, but the data set has none; choose another data=")
        return classes.mask

    def metric(self, class_names: tuple[str, ...]) -> Metric:
        """Return mIoU, mIoU_foreground and pixel_accuracy."""
        from visionkit.metrics.segmentation import MaskMetrics

        return MaskMetrics(len(class_names), self.background)

    def update(self, metric: Metric | MetricCollection, prediction: MaskScores, batch: Batch) -> None:
        """Feed the labelled samples of a batch, at the size of the network's input."""
        keep = self.labelled(batch)
        if batch.targets.mask is not None and keep.any():
            metric.update(prediction.logits[keep], batch.targets.mask[keep])

    def trivial(self, batches: Iterable[Batch], class_names: tuple[str, ...]) -> Callable[[Batch], MaskScores]:
        """Guess, at each position, the class that is commonest there in the training masks.

        Ties, and positions without any label, go to the class that is commoner everywhere. Masks of
        another size than the first batch's are resized to it, and the guess to the size asked for.

        Raises:
            ValueError: No training mask has a labelled pixel.
        """
        counts: Tensor | None = None  # (K, H, W)
        for batch in batches:
            if batch.targets.mask is None:
                continue
            mask = batch.targets.mask[self.labelled(batch)].cpu()
            if counts is None:
                counts = torch.zeros((len(class_names), *mask.shape[1:]))
            for one in _resize(mask[:, None], counts.shape[1:]).long():
                valid = one != IGNORE_INDEX
                counts.scatter_add_(0, torch.where(valid, one, 0), valid.float())
        if counts is None or not counts.any():
            raise ValueError("no training mask has a labelled pixel, so there is no commonest class")
        overall = counts.sum(dim=(1, 2))
        counts += (overall / (overall.sum() + 1))[:, None, None]  # below 1: only breaks ties
        best = F.one_hot(counts.argmax(dim=0), len(class_names)).permute(2, 0, 1)[None].float()

        def guess(batch: Batch) -> MaskScores:
            logits = _resize(best, batch.images.shape[-2:]).to(batch.images.device)
            return MaskScores(logits.repeat(len(batch.images), 1, 1, 1))

        return guess

    def truth(self, batch: Batch, index: int, class_names: tuple[str, ...]) -> Segmentation | None:
        """Return the mask of image `index`."""
        if batch.targets.mask is None or not self.labelled(batch)[index]:
            return None
        return Segmentation(batch.targets.mask[index].cpu().numpy().astype(np.uint8), class_names)

    def result(self, prediction: MaskScores, class_names: tuple[str, ...], restore: Restore) -> Segmentation:
        """Return the class of the highest score, the scores being interpolated to the user's pixels."""
        scores_KHW = restore.scores(prediction.logits[0].float().cpu())
        return Segmentation(scores_KHW.argmax(axis=0).astype(np.uint8), class_names)

    def paint(self, canvas: Image, factor: int, result: Segmentation) -> Image:
        """Return the picture tinted and outlined by class; background is bare."""
        canvas = canvas.copy()
        mask = np.ascontiguousarray(result.mask.repeat(factor, axis=0).repeat(factor, axis=1))
        table = np.array([self._ink(k) for k in range(IGNORE_INDEX + 1)], dtype=np.uint8)
        tinted = cv2.addWeighted(canvas, 1 - _OPACITY, table[mask], _OPACITY, 0)
        present = self._shown(result)
        shown = np.isin(mask, present)
        canvas[shown] = tinted[shown]
        for k in present:
            outlines, _ = cv2.findContours((mask == k).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(canvas, outlines, -1, self._ink(k), line_width(canvas))
        return canvas

    def caption(self, picture: Image, result: Segmentation) -> Image:
        """Return the picture above a legend."""
        names = {k: "ignored" if k == IGNORE_INDEX else result.class_names[k] for k in self._shown(result)}
        return with_legend(picture, [(name, self._ink(k)) for k, name in names.items()])

    def _shown(self, result: Segmentation) -> list[int]:
        return [k for k in _by_size(result.mask) if k != self.background]

    def _ink(self, k: int) -> Colour:
        """Return a class's colour; the background has none, so that boxes of the same classes have the same colours."""
        above = self.background is not None and k > self.background
        return _IGNORED if k == IGNORE_INDEX else colour(k - above)

    def as_json(self, result: Segmentation) -> dict[str, Any]:
        """Return the size, and for each class present its index, pixels and fraction of the image."""
        height, width = result.mask.shape
        classes = {
            result.class_names[k]: {
                "index": k,
                "pixels": int((result.mask == k).sum()),
                "fraction": float((result.mask == k).mean()),
            }
            for k in _by_size(result.mask)
            if k != IGNORE_INDEX
        }
        return {"height": height, "width": width, "classes": classes}

    def files(self, result: Segmentation) -> dict[str, Image]:
        """Return the mask as it is: pixel value = class index."""
        return {"mask": result.mask}


def _by_size(mask: Image) -> list[int]:
    """Return the values in a mask, the one with the most pixels first."""
    counts = np.bincount(mask.ravel(), minlength=IGNORE_INDEX + 1)
    return [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]


def _resize(maps_BKHW: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the maps at another height and width, by the nearest pixel."""
    if maps_BKHW.shape[-2:] == torch.Size(size):
        return maps_BKHW
    return F.interpolate(maps_BKHW.float(), size=tuple(size), mode="nearest")
