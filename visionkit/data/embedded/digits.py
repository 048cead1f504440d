"""Read scenes composed of scikit-learn's handwritten digits: real handwriting, every kind of label, no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionkit.config.values import SPLITS, image_size
from visionkit.data.embedded.glyphs import STROKE, glyphs_of
from visionkit.data.embedded.paintings import Paintings
from visionkit.data.embedded.scenes import Scene, arrange
from visionkit.data.reader import Reader
from visionkit.data.records import Records
from visionkit.data.strings import Strings
from visionkit.errors import ConfigError, DataError
from visionkit.types import LABEL_KINDS, Classes

NAMES: Final = tuple("0123456789")
EVAL_SHARE: Final = 5
"""`val` and `test` have one scene for so many of `train`."""

TURNS: Final = (("labels", "multilabel"), ("mask",), ("boxes",))
"""The kinds of labels that a training scene has at a time where it does not have all."""


class Digits(Reader):
    """Reads scenes of a few handwritten digits on textured backgrounds, made from the seed alone.

    The glyphs are divided between the splits before anything is arranged, so no handwriting seen in training returns.
    A scene carries boxes, a semantic mask (0 = background, 1 to 10 = digits 0 to 9), an instance map, the digits
    present (`multilabel`) and one class: the digit with the largest box, at least 1.7 times as large as the next.

    `num_scenes` is the number of training scenes, `size` one number or [height, width] in pixels, `digits_per_scene`
    the smallest and largest number of digits. `labels` says what a training scene carries: `all`, or `one` of image
    labels, mask and boxes, scene by scene in turn; `val` and `test` carry all.
    """

    def __init__(
        self,
        num_scenes: int = 2000,
        size: int | Sequence[int] = 64,
        digits_per_scene: Sequence[int] = (1, 3),
        seed: int = 0,
        labels: str = "all",
    ) -> None:
        super().__init__()
        if labels not in ("all", "one"):
            raise ConfigError(f"data.reader.labels={labels} is unknown; give all or one")
        if num_scenes < EVAL_SHARE:
            raise ConfigError(f"data.num_scenes={num_scenes} is too few; give at least {EVAL_SHARE}")
        if len(digits_per_scene) != 2 or not 1 <= digits_per_scene[0] <= digits_per_scene[1]:
            raise ConfigError(f"data.digits_per_scene={list(digits_per_scene)} must be [smallest, largest], from 1 on")
        self.num_scenes = num_scenes
        self.size = image_size(size)
        if min(self.size) < 32:
            raise ConfigError(f"data.size={size} is too small for digits to be read; give 32 or more")
        self.least, self.most = digits_per_scene
        self.seed = seed
        self.labels = labels

    def splits(self) -> tuple[str, ...]:
        """Return all three."""
        return SPLITS

    def read(self, split: str) -> Records:
        """Arrange one split, painted as it is used: `num_scenes` for `train`, a fifth of that for `val` and `test`."""
        if split not in SPLITS:
            raise DataError(f"the digits have no split {split!r}; they have {', '.join(SPLITS)}")
        number = self.num_scenes if split == "train" else self.num_scenes // EVAL_SHARE
        scenes = self._arrange(split, number)
        counts = [len(scene.pieces) for scene in scenes]
        digit = np.asarray([piece.digit for scene in scenes for piece in scene.pieces], dtype=np.int64)
        box_start = np.cumsum([0, *counts], dtype=np.int64)
        multilabel = np.zeros((number, len(NAMES)), dtype=np.uint8)
        multilabel[np.repeat(np.arange(number), counts), digit] = 1
        masks, instances = np.zeros((2, number, *self.size), dtype=np.uint8)
        boxes = np.empty((len(digit), 4), dtype=np.float32)
        for row, scene in enumerate(scenes):
            for count, piece in enumerate(scene.pieces, start=1):
                stroke = piece.ink >= STROKE
                np.copyto(piece.of(masks[row]), np.uint8(piece.digit + 1), where=stroke)
                np.copyto(piece.of(instances[row]), np.uint8(count), where=stroke)
                boxes[box_start[row] + count - 1] = piece.box
        return Records(
            images=Paintings(scenes),
            names=Strings(f"{split}_{index:06d}" for index in range(number)),
            classes=Classes(labels=NAMES, mask=("background", *NAMES), boxes=NAMES),
            labels=digit[box_start[:-1]],
            multilabel=multilabel,
            masks=masks,
            boxes=boxes,
            box_label=digit,
            box_ignore=np.zeros(len(digit), dtype=bool),
            box_start=box_start,
            instances=instances,
            present=self._present(split, number),
        )

    def _present(self, split: str, number: int) -> NDArray[np.bool_]:
        present = np.ones((number, len(LABEL_KINDS)), dtype=bool)
        if split == "train" and self.labels == "one":
            turns = np.asarray([[kind in kinds for kind in LABEL_KINDS] for kinds in TURNS])
            present[:] = turns[np.arange(number) % len(TURNS)]
        return present

    def _arrange(self, split: str, number: int) -> list[Scene]:
        """Return the scenes; each depends on the seed, its split and its number only."""
        glyphs = glyphs_of(split)
        scenes = []
        for index in range(number):
            rng = np.random.default_rng((self.seed, SPLITS.index(split), index))
            scene = arrange(rng, glyphs, self.size, self.least, self.most)
            if scene is None:
                raise ConfigError(
                    f"data.digits_per_scene=[{self.least}, {self.most}]: so many digits find no room in data.size="
                    f"{list(self.size)}; ask for fewer"
                )
            scenes.append(scene)
        return scenes
