"""Put samples together to a batch, and send it from a loader's worker to the main process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import get_worker_info

from visionkit.data.sample import Sample
from visionkit.types import Batch, Targets

SMALL: Final = 1 << 16
"""Bytes up to which a tensor is sent by value: each one in shared memory costs a connection to the worker."""


class Sent:
    """A worker's batch on its way to the main process, where it arrives as a `Batch`."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __reduce__(self) -> tuple[Any, ...]:
        images, targets, ids, sizes = self.batch
        return _received, (images, [_as_sent(tensor) for tensor in targets], ids.numpy(), sizes.numpy())


def _as_sent(tensor: Tensor | None) -> Tensor | NDArray[Any] | None:
    return tensor if tensor is None or tensor.nbytes > SMALL else tensor.numpy()


def _received(images: Tensor, targets: Sequence[Any], ids: NDArray[Any], sizes: NDArray[Any]) -> Batch:
    arrived = (torch.from_numpy(each) if isinstance(each, np.ndarray) else each for each in targets)
    return Batch(images, Targets(*arrived), torch.from_numpy(ids), torch.from_numpy(sizes))


class Collate:
    """Puts samples of one size together to a Batch; `instances` says whether it carries a mask a box."""

    def __init__(self, instances: bool = False) -> None:
        self.instances = instances

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Return uint8 images (B, C, H, W), laid out in memory as channels_last, and flat targets."""
        batch = Batch(
            images=_pictures(samples).permute(0, 3, 1, 2),
            targets=self._targets(samples),
            ids=torch.tensor([sample.id for sample in samples]),
            sizes=torch.tensor([sample.size for sample in samples]),
        )
        return batch if get_worker_info() is None else cast(Batch, Sent(batch))

    def _targets(self, samples: Sequence[Sample]) -> Targets:
        targets = Targets(present=_stack([sample.present for sample in samples]))
        if samples[0].label is not None:
            targets = targets._replace(labels=torch.tensor([sample.label for sample in samples]))
        if samples[0].mixed_label is not None:
            targets = targets._replace(
                mixed_labels=torch.tensor([sample.mixed_label for sample in samples]),
                mix=torch.tensor([sample.mix for sample in samples], dtype=torch.float32),
            )
        if samples[0].multilabel is not None:
            targets = targets._replace(multilabel=_stack([sample.multilabel for sample in samples]).float())
        if samples[0].mask is not None:
            targets = targets._replace(mask=_stack([sample.mask for sample in samples]))
        if samples[0].boxes is not None:
            counts = [len(sample.boxes) for sample in samples if sample.boxes is not None]
            targets = targets._replace(
                boxes=_join([sample.boxes for sample in samples]),
                box_label=_join([sample.box_label for sample in samples]),
                box_ignore=_join([sample.box_ignore for sample in samples]),
                box_image=torch.repeat_interleave(torch.arange(len(samples)), torch.tensor(counts)),
            )
        if self.instances:
            targets = targets._replace(instance_masks=_join([_instance_masks(sample) for sample in samples]))
        return targets


def _pictures(samples: Sequence[Sample]) -> Tensor:
    """Return the images (B, H, W, C); a worker writes them where the main process reads them, without a copy."""
    shape = (len(samples), *samples[0].image.shape)
    if get_worker_info() is None:
        pictures = torch.empty(shape, dtype=torch.uint8)
    else:
        storage = torch.UntypedStorage._new_shared(math.prod(shape), device="cpu")  # type: ignore[no-untyped-call]
        pictures = torch.empty(0, dtype=torch.uint8).set_(storage, 0, shape)  # type: ignore[call-overload]
    np.stack([sample.image for sample in samples], out=pictures.numpy())
    return pictures


def _instance_masks(sample: Sample) -> NDArray[np.bool_]:
    if sample.instances is None or sample.box_value is None:
        raise ValueError(f"sample {sample.id} has no instance map")
    return np.asarray(sample.instances[None] == sample.box_value[:, None, None])


def _stack(arrays: Sequence[NDArray[Any] | None]) -> Tensor:
    return torch.from_numpy(np.stack([array for array in arrays if array is not None]))


def _join(arrays: Sequence[NDArray[Any] | None]) -> Tensor:
    return torch.from_numpy(np.concatenate([array for array in arrays if array is not None]))
