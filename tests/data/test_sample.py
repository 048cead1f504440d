from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from visionkit.data.collate import Collate
from visionkit.data.geometry import Fit
from visionkit.data.records import Records
from visionkit.data.sample import KINDS, Sample, place_sample, read_sample
from visionkit.errors import DataError
from visionkit.types import LABEL_KINDS


class Counted:
    """Pixels that count how often they are read."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.reads = 0

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int, /) -> np.ndarray:
        self.reads += 1
        return self.pixels[index]


def batch_of(records: Records, indices: list[int], kinds: tuple[str, ...], size: tuple[int, int] = (12, 16)):
    samples = [place_sample(read_sample(records, i, kinds), Fit(size).place(12, 16)) for i in indices]
    return Collate("instances" in kinds)(samples)


def test_only_what_is_asked_for_is_read(records: Records) -> None:
    masks, instances = Counted(np.asarray(records.masks)), Counted(np.asarray(records.instances))
    counted = replace(records, masks=masks, instances=instances)
    sample = read_sample(counted, 1, ("labels",))
    assert (sample.label, sample.multilabel, sample.mask, sample.boxes, sample.instances) == (1, None, None, None, None)
    assert (masks.reads, instances.reads) == (0, 0)
    read_sample(counted, 1, ("mask",))
    assert (masks.reads, instances.reads) == (1, 0)
    read_sample(counted, 1, ("boxes",))  # a map that costs something to get
    assert (masks.reads, instances.reads) == (1, 0)
    read_sample(counted, 1, ("boxes", "instances"))
    assert (masks.reads, instances.reads) == (1, 1)
    assert read_sample(records, 1, ("boxes",)).instances is not None  # one that is there


def test_batch_is_flat(records: Records) -> None:
    batch = batch_of(records, [2, 3, 9], KINDS)
    targets = batch.targets
    assert batch.images.shape == (3, 3, 12, 16)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch.images[2], torch.from_numpy(np.asarray(records.images[9])).permute(2, 0, 1))
    assert batch.ids.tolist() == [2, 3, 9]
    assert batch.sizes.tolist() == [[12, 16]] * 3
    assert batch.ids.dtype == batch.sizes.dtype == torch.int64
    for name, dtype in {
        "labels": torch.int64,
        "multilabel": torch.float32,
        "mask": torch.uint8,
        "boxes": torch.float32,
        "box_label": torch.int64,
        "box_image": torch.int64,
        "box_ignore": torch.bool,
        "instance_masks": torch.bool,
        "present": torch.bool,
    }.items():
        value = getattr(targets, name)
        assert value.dtype == dtype, name
        assert value.is_contiguous(), name
    assert targets.labels.tolist() == [0, 1, 1]
    assert targets.multilabel.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert targets.box_image.tolist() == [0, 0, 2, 2]
    assert targets.box_label.tolist() == [2, 2, 0, 2]
    assert targets.boxes.tolist() == [[1, 2, 5, 6], [8, 3, 14, 11]] * 2
    assert records.box_ignore is not None
    assert targets.box_ignore.tolist() == records.box_ignore[[4, 5, 16, 17]].tolist()
    assert targets.present.shape == (3, len(LABEL_KINDS))
    assert targets.instance_masks.shape == (4, 12, 16)
    assert [int(mask.sum()) for mask in targets.instance_masks] == [16, 48, 16, 48]


def test_kinds_not_asked_for_are_none(records: Records) -> None:
    targets = batch_of(records, [0, 1], ("mask",)).targets
    assert [name for name, value in targets._asdict().items() if value is not None] == ["mask", "present"]
    assert batch_of(records, [0], ("boxes",)).targets.instance_masks is None


def test_batch_without_any_box(records: Records) -> None:
    targets = batch_of(records, [3, 3], KINDS).targets
    assert targets.boxes is not None
    assert targets.boxes.shape == (0, 4)
    assert targets.box_image is not None
    assert targets.box_image.shape == (0,)
    assert targets.instance_masks is not None
    assert targets.instance_masks.shape == (0, 12, 16)


def test_boxes_are_clipped_to_the_image_and_lose_what_lies_outside(records: Records) -> None:
    assert records.boxes is not None
    boxes = records.boxes.copy()
    boxes[0] = [20, 2, 30, 6]
    boxes[1] = [-3, 3, 14, 100]
    sample = read_sample(replace(records, boxes=boxes), 0, ("boxes",))
    assert sample.boxes is not None
    assert sample.boxes.tolist() == [[0, 3, 14, 12]]
    assert sample.box_value is not None
    assert sample.box_value.tolist() == [2]
    assert sample.box_label is not None
    assert sample.box_label.tolist() == [2]


def test_sample_without_a_mask_gets_void(records: Records) -> None:
    present = records.present.copy()
    present[1, LABEL_KINDS.index("mask")] = False
    mask = read_sample(replace(records, present=present), 1, ("mask",)).mask
    assert mask is not None
    assert (mask == 255).all()


def test_placing_moves_all_parts(records: Records) -> None:
    placement = Fit((24, 40)).place(12, 16)  # twice as large, 4 columns on either side
    sample = place_sample(read_sample(records, 0, KINDS), placement)
    assert sample.boxes is not None
    assert sample.mask is not None
    assert sample.instances is not None
    assert sample.boxes.tolist() == [[6, 4, 14, 12], [20, 6, 32, 22]]
    assert (sample.mask[4:12, 6:14] == 1).all()
    assert (sample.instances[6:22, 20:32] == 2).all()
    assert (sample.mask[:, :4] == 255).all()
    assert (sample.instances[:, :4] == 0).all()
    assert sample.size == (12, 16)


def test_mask_of_another_size_is_refused(records: Records) -> None:
    with pytest.raises(DataError, match=r"sample 2: is 12 x 15 pixels .* image 2\.png is 12 x 16"):
        read_sample(replace(records, masks=np.asarray(records.masks)[:, :, :15]), 2, ("mask",))


def test_instances_need_a_map() -> None:
    bare = Sample(np.zeros((2, 2, 3), np.uint8), 5, (2, 2), np.ones(len(LABEL_KINDS), dtype=bool))
    with pytest.raises(ValueError, match="sample 5"):
        Collate(instances=True)([bare])
