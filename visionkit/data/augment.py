"""Augment training samples with albumentations, seeded anew for each of them; nothing else imports that library."""

from __future__ import annotations

import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it looks for a new version over the network at import otherwise

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import albumentations
import cv2
import numpy as np
from albumentations.core.type_definitions import Targets as Supports
from numpy.typing import NDArray

from visionkit.data.recipe import Choices, build
from visionkit.data.sample import Sample
from visionkit.errors import ConfigError
from visionkit.types import IGNORE_INDEX

MIN_VISIBILITY: Final = 0.1
"""A box is dropped when less than this fraction of it is left inside the image."""

MIN_SIDE: Final = 1.0
"""A box is dropped when a side is shorter, in pixels of the picture at hand."""

CHOICES: Final = Choices(
    transforms={
        name: value
        for name, value in sorted(vars(albumentations).items())
        if isinstance(value, type)
        and issubclass(value, albumentations.DualTransform | albumentations.ImageOnlyTransform)
        and value not in (albumentations.DualTransform, albumentations.ImageOnlyTransform)
    },
    groups={name: getattr(albumentations, name) for name in ("OneOf", "SomeOf", "Sequential", "RandomOrder")},
)
"""The library's transforms of single images, and what holds a list of them."""


class Augment:
    """Applies `spatial` transforms at the image's own resolution and `pixel` transforms at the network's size.

    Both are lists of one-key mappings, `[{"HorizontalFlip": {"p": 0.5}}]`, nested through `OneOf: {transforms: [...]}`;
    `recipe` says what is refused. `begin` seeds the two from (seed, epoch, index), so that a sample depends on nothing
    else: not on the worker, nor on the samples before it.

    Masks are filled with 255 where a transform uncovers nothing. Boxes are clipped, and dropped when less than
    `MIN_VISIBILITY` of their area is left or a side is under `MIN_SIDE`. Where the sample has an instance map, they are
    measured anew from it instead, and dropped when less than `MIN_VISIBILITY` of their pixels is left.
    """

    def __init__(self, spatial: Sequence[Mapping[str, Any]] = (), pixel: Sequence[Mapping[str, Any]] = ()) -> None:
        self._spatial_steps = [build(entry, "augment.spatial", CHOICES, _refuse_pixel) for entry in spatial]
        self._pixel_steps = [build(entry, "augment.pixel", CHOICES, _refuse_spatial) for entry in pixel]
        boxes = albumentations.BboxParams(
            format="pascal_voc",
            label_fields=["rows"],
            min_visibility=MIN_VISIBILITY,
            min_width=MIN_SIDE,
            min_height=MIN_SIDE,
        )
        shared: dict[str, Any] = {"is_check_shapes": False}  # shapes are checked where files are read
        instances = {"instances": "mask"}
        self._plain = albumentations.Compose(self._spatial_steps, additional_targets=instances, **shared)
        self._boxed = self._plain
        if self._spatial_steps:  # it warns about box settings with nothing to use them
            self._boxed = albumentations.Compose(self._spatial_steps, bbox_params=boxes, **shared)
        self._pixel = albumentations.Compose(self._pixel_steps, **shared)

    def check(self, channels: int) -> None:
        """Raise ConfigError for the first transform that cannot take images of a number of channels."""
        for place, steps in (("augment.spatial", self._spatial_steps), ("augment.pixel", self._pixel_steps)):
            for step in _singly(steps):
                step.set_random_state(np.random.default_rng(0), random.Random(0))
                image = np.zeros((32, 32, channels), dtype=np.uint8)
                try:
                    made = step(force_apply=True, image=image)["image"].shape
                except Exception as error:  # whatever comes out of the library, it is for want of RGB
                    raise _unfit(f"{place}.{type(step).__name__}", channels, str(error)) from error
                if len(made) != 3 or made[2] != channels:
                    raise _unfit(f"{place}.{type(step).__name__}", channels, f"makes {made} of them")

    def begin(self, seed: int, epoch: int, index: int, *again: int) -> None:
        """Make the randomness of the next `spatial` and `pixel` calls a function of these numbers."""
        generator = np.random.default_rng((seed, epoch, index, *again))
        # one stream for all transforms: seeding each alike (set_random_seed) makes their draws agree
        python = random.Random(int(generator.integers(2**63)))
        for pipeline in (self._plain, self._boxed, self._pixel):
            pipeline.set_random_state(generator, python)

    def spatial(self, sample: Sample) -> Sample:
        """Return the sample with image, mask, boxes and instance map transformed alike."""
        if not self._spatial_steps:
            return sample
        given: dict[str, Any] = {"image": sample.image}
        if sample.mask is not None:
            given["mask"] = sample.mask
        if sample.instances is not None:
            given["instances"] = _step_aside(sample.instances)
        if sample.boxes is None:
            made = self._plain(**given)
            return sample._replace(image=made["image"], mask=made.get("mask"))
        if sample.instances is not None:
            made = self._plain(**given)
            moved = sample._replace(image=made["image"], mask=made.get("mask"))
            return _measure_boxes(moved, sample.instances, _step_back(made["instances"]))
        made = self._boxed(**given, bboxes=sample.boxes, rows=np.arange(len(sample.boxes)))
        boxes = np.asarray(made["bboxes"], dtype=np.float32).reshape(-1, 4)
        sample = sample.keep_boxes(np.asarray(made["rows"], dtype=np.int64))
        return sample._replace(image=made["image"], mask=made.get("mask"), boxes=boxes)

    def pixel(self, sample: Sample) -> Sample:
        """Return the sample with the colours of its image changed, and without boxes too small to be seen."""
        if sample.boxes is not None:
            big = (sample.boxes[:, 2:] - sample.boxes[:, :2] >= MIN_SIDE).all(axis=1)
            sample = sample if big.all() else sample.keep_boxes(np.flatnonzero(big))
        if not self._pixel_steps:
            return sample
        return sample._replace(image=self._pixel(image=sample.image)["image"])


def _singly(steps: Sequence[Any]) -> Iterator[Any]:
    """Yield all transforms, those inside groups too."""
    for step in steps:
        if isinstance(step, albumentations.BaseCompose):
            yield from _singly(step.transforms)
        else:
            yield step


def _unfit(where: str, channels: int, reason: str) -> ConfigError:
    short = " ".join(reason.split())[:160]
    return ConfigError(f"{where}: cannot change images of {channels} channels ({short}); leave it out")


def _refuse_pixel(transform: Any, where: str) -> None:
    if not isinstance(transform, albumentations.DualTransform):
        raise ConfigError(f"{where}: changes colours only; put it under augment.pixel")
    needed = {Supports.IMAGE: "images", Supports.MASK: "masks", Supports.BBOXES: "boxes"}
    supported = np.atleast_1d(np.asarray(getattr(type(transform), "_targets", ()), dtype=object))
    if missing := [word for target, word in needed.items() if target not in supported]:
        raise ConfigError(f"{where}: cannot transform {' and '.join(missing)}; choose a transform that can")
    if getattr(transform, "fill_mask", None) is not None:
        transform.fill_mask = IGNORE_INDEX


def _refuse_spatial(transform: Any, where: str) -> None:
    if not isinstance(transform, albumentations.ImageOnlyTransform):
        raise ConfigError(f"{where}: moves pixels; put it under augment.spatial")


def _step_aside(instances: NDArray[Any]) -> NDArray[Any]:
    """Free the value 255, with which masks are filled: numbers from 255 on move up by one."""
    if instances.dtype == np.uint8:
        if not (instances == IGNORE_INDEX).any():
            return instances
        instances = instances.astype(np.uint16)
    return np.where(instances >= IGNORE_INDEX, instances + 1, instances).astype(instances.dtype)


def _step_back(instances: NDArray[Any]) -> NDArray[Any]:
    """Undo `_step_aside`; what was filled becomes 0, no instance."""
    instances = np.where(instances == IGNORE_INDEX, 0, instances).astype(instances.dtype)
    if instances.dtype != np.uint8:
        instances[instances > IGNORE_INDEX] -= 1
    return instances


def _measure_boxes(sample: Sample, before: NDArray[Any], instances: NDArray[Any]) -> Sample:
    """Return the sample with tight boxes around the pixels of each instance, without those that are all but gone."""
    assert sample.box_value is not None
    seen: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []
    for row, value in enumerate(sample.box_value.tolist()):
        pixels = (instances == value).view(np.uint8)
        left = cv2.countNonZero(pixels)
        if left and left >= MIN_VISIBILITY * np.count_nonzero(before == value):
            x, y, width, height = cv2.boundingRect(pixels)
            boxes.append((x, y, x + width, y + height))
            seen.append(row)
    moved = sample if len(seen) == len(sample.box_value) else sample.keep_boxes(np.asarray(seen, dtype=np.int64))
    return moved._replace(boxes=np.asarray(boxes, dtype=np.float32).reshape(-1, 4), instances=instances)
