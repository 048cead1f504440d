"""Augment training samples, seeded anew for each of them; nothing else imports albumentations."""

from __future__ import annotations

import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it looks for a new version over the network at import otherwise

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import albumentations
import numpy as np
from albumentations.core.type_definitions import Targets as Supports
from numpy.typing import NDArray

from visionkit.data.augmentation.crop import RandomCrop
from visionkit.data.augmentation.recipe import Choices, build
from visionkit.data.augmentation.visible import MIN_SIDE, MIN_VISIBILITY, big_enough, measured
from visionkit.data.geometry import Placement, Resize
from visionkit.data.sample import Sample
from visionkit.errors import ConfigError
from visionkit.types import IGNORE_INDEX

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


STEP: Final = 32
"""Sizes that are drawn for a batch are multiples of so many pixels, the coarsest stride of most backbones."""


class Augment:
    """Chooses what of an image is seen, changes it at the network's size, and puts several images together.

    In this order, each left out where it does not apply to the labels that a run learns:

    - `multi_scale`: the smallest and largest factor of the network's size, drawn for each batch; None for always 1.
    - `crop`: what `RandomCrop` takes; None shows the whole image, or its middle, as `data.resize` says.
    - `mirror`: the probability of a left-right flip.
    - `mosaic`: the probability of four images in one, for boxes and masks (`mixing.mosaic`).
    - `spatial`, then `pixel`: albumentations' transforms as lists of one-key mappings, `[{"Affine": {"p": 0.5}}]`,
      nested through `OneOf: {transforms: [...]}`; `recipe` says what is refused.
    - `mixup`, `cutmix`: the probabilities that another image is mixed in, for classes (`mixing`).

    `begin` makes all but the first a function of (seed, epoch, index), so that a sample depends on nothing else: not on
    the worker, nor on the samples before it.

    Masks are filled with 255 where a transform uncovers nothing. The crop and `spatial` each clip boxes, and drop those
    of which less than `MIN_VISIBILITY` of the area is left or a side is under `MIN_SIDE` pixels (`visible`). Where the
    sample has an instance map, they are measured anew from it instead, and dropped when less than `MIN_VISIBILITY` of
    their pixels is left.

    Raises ConfigError for an unknown transform, a value out of range, or probabilities that are more than 1 together.
    """

    def __init__(
        self,
        spatial: Sequence[Mapping[str, Any]] = (),
        pixel: Sequence[Mapping[str, Any]] = (),
        crop: Mapping[str, Any] | None = None,
        mirror: float = 0.0,
        multi_scale: Sequence[float] | None = None,
        mosaic: float = 0.0,
        mixup: float = 0.0,
        cutmix: float = 0.0,
    ) -> None:
        self.crop = None if crop is None else RandomCrop(**_crop(crop))
        self.mirror = _share("mirror", mirror)
        self.multi_scale = None if multi_scale is None else _range("multi_scale", multi_scale)
        self.mosaic = _share("mosaic", mosaic)
        self.mixup, self.cutmix = _share("mixup", mixup), _share("cutmix", cutmix)
        if self.mixup + self.cutmix > 1:
            raise ConfigError(
                f"augment.mixup={mixup} and augment.cutmix={cutmix} are {self.mixup + self.cutmix:g} together; an "
                "image gets one of them, so give at most 1 in all"
            )
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
        # One stream for all: seeding each transform alike (set_random_seed) makes their draws agree.
        self.rng = np.random.default_rng(0)
        self._python = random.Random(0)
        for pipeline in (self._plain, self._boxed, self._pixel):
            pipeline.set_random_state(self.rng, self._python)

    def check(self, channels: int) -> None:
        """Raise ConfigError for the first transform that cannot take images of a number of channels."""
        for place, steps in (("augment.spatial", self._spatial_steps), ("augment.pixel", self._pixel_steps)):
            for step in _singly(steps):
                image = np.zeros((32, 32, channels), dtype=np.uint8)
                try:
                    made = step(force_apply=True, image=image)["image"].shape
                except Exception as error:  # whatever comes out of the library, it is for want of RGB
                    raise _unfit(f"{place}.{type(step).__name__}", channels, str(error)) from error
                if len(made) != 3 or made[2] != channels:
                    raise _unfit(f"{place}.{type(step).__name__}", channels, f"makes {made} of them")

    def begin(self, seed: int, epoch: int, index: int, again: int = 0) -> None:
        """Make what is drawn for the next sample a function of these; `again` counts it within its epoch."""
        self.rng.bit_generator.state = np.random.PCG64((seed, epoch, index, again)).state
        if self._spatial_steps or self._pixel_steps:
            self._python.seed(int(self.rng.integers(2**63)))

    def size(self, size: tuple[int, int], seed: int, epoch: int, batch: int) -> tuple[int, int]:
        """Return the network's (height, width) for a batch, `batch` being its number in the epoch."""
        if self.multi_scale is None:
            return size
        rng = np.random.default_rng((seed, epoch, batch, 0, 1))  # with the 1, no sample's stream
        return scaled(size, rng.uniform(*self.multi_scale))

    def smallest(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the smallest (height, width) that `size` may give."""
        return size if self.multi_scale is None else scaled(size, self.multi_scale[0])

    def largest(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the largest (height, width) that `size` may give."""
        return size if self.multi_scale is None else scaled(size, self.multi_scale[1])

    def place(self, source: tuple[int, int], resize: Resize, *, dense: bool) -> Placement:
        """Draw where an image of (height, width) comes to lie; `dense` says that boxes or masks are learnt."""
        placement = (
            resize.place(*source) if self.crop is None else self.crop.draw(self.rng, *source, resize.size, beyond=dense)
        )
        return replace(placement, mirror=True) if self.mirror and self.rng.random() < self.mirror else placement

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
            moved = sample._replace(image=made["image"], mask=made.get("mask"), instances=_step_back(made["instances"]))
            return measured(moved, sample.instances)
        made = self._boxed(**given, bboxes=sample.boxes, rows=np.arange(len(sample.boxes)))
        boxes = np.asarray(made["bboxes"], dtype=np.float32).reshape(-1, 4)
        sample = sample.keep_boxes(np.asarray(made["rows"], dtype=np.int64))
        return sample._replace(image=made["image"], mask=made.get("mask"), boxes=boxes)

    def pixel(self, sample: Sample) -> Sample:
        """Return the sample with the colours of its image changed, and without boxes too small to be seen."""
        if sample.boxes is not None:
            big = big_enough(sample.boxes)
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


def scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """Return (height, width) times a factor, rounded to multiples of `STEP`, at least one of them."""
    height, width = (max(STEP, round(side * factor / STEP) * STEP) for side in size)
    return height, width


def _crop(node: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    if not isinstance(node, Mapping) or set(node) != {"scale", "ratio"}:
        raise ConfigError(
            f"augment.crop={node} does not say what is cut out; give {{scale: [0.3, 1.0], ratio: [0.75, 1.33]}} or null"
        )
    return {name: _range(f"crop.{name}", node[name]) for name in ("scale", "ratio")}


def _range(key: str, value: Any) -> tuple[float, float]:
    if not (
        isinstance(value, Sequence)
        and len(value) == 2
        and all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in value)
        and 0 < value[0] <= value[1] < math.inf
    ):
        raise ConfigError(f"augment.{key}={value} is no range; give [smallest, largest], both above 0")
    return float(value[0]), float(value[1])


def _share(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"augment.{key}={value} is no probability; give a number from 0 to 1")
    return float(value)
