"""Load training batches as other libraries do it: the same crops and flips out of the same files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import albumentations
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import io, transforms, tv_tensors
from torchvision.transforms import v2

from benchmarks.photos import Photos

SIZE = 224
SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
JITTER = 0.4
"""Of brightness, contrast and saturation."""

Read = Callable[[int], Any]


class Items(Dataset[Any]):
    """What a function returns for each of `number` indices."""

    def __init__(self, number: int, read: Read) -> None:
        self.number = number
        self.read = read

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> Any:
        return self.read(index)


def loader(number: int, read: Read, batch_size: int, workers: int) -> DataLoader[Any]:
    """Return a loader of shuffled batches; with labels beside images, those are left in lists."""
    return DataLoader(
        Items(number, read),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        worker_init_fn=one_thread,
    )


def one_thread(_: int) -> None:
    """Keep a worker to one thread."""
    cv2.setNumThreads(0)


def collate(items: Sequence[Any]) -> Any:
    """Return a batch of images, and of labels where there are any."""
    if isinstance(items[0], tuple):
        return torch.stack([item[0] for item in items]), [item[1] for item in items]
    return torch.stack(list(items))


def torchvision_v1(photos: Photos, labels: str, jitter: bool) -> Read | None:
    """Return Pillow with torchvision's first transforms, which know no labels."""
    if labels != "classes":
        return None
    colours = [transforms.ColorJitter(JITTER, JITTER, JITTER)] if jitter else []
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE, SCALE, RATIO, transforms.InterpolationMode.BILINEAR),
            transforms.RandomHorizontalFlip(),
            *colours,
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    return lambda index: transform(Image.open(photos.images[index]).convert("RGB"))


def torchvision_v2(photos: Photos, labels: str, jitter: bool) -> Read:
    """Return torchvision's decoder with its second transforms, on tensors."""
    colours = [v2.ColorJitter(JITTER, JITTER, JITTER)] if jitter else []
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(SIZE, SCALE, RATIO, v2.InterpolationMode.BILINEAR, antialias=True),
            v2.RandomHorizontalFlip(),
            *([v2.SanitizeBoundingBoxes()] if labels == "boxes" else []),
            *colours,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def read(index: int) -> Any:
        image = tv_tensors.Image(io.read_image(str(photos.images[index]), io.ImageReadMode.RGB))
        if labels == "classes":
            return transform(image)
        if labels == "masks":
            return transform(image, tv_tensors.Mask(io.read_image(str(photos.masks[index]))))
        boxes = tv_tensors.BoundingBoxes(photos.boxes[index], format="XYXY", canvas_size=image.shape[-2:])
        return transform(image, {"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.int64)})

    return read


def timm(photos: Photos, labels: str, jitter: bool) -> Read | None:
    """Return timm's data set with its transforms for training, which know no boxes or masks."""
    from timm.data import ImageDataset, create_transform

    if labels != "classes":
        return None
    transform = create_transform(
        SIZE,
        is_training=True,
        scale=SCALE,
        ratio=RATIO,
        hflip=0.5,
        color_jitter=(JITTER,) * 3 if jitter else None,
        auto_augment=None,
        interpolation="bilinear",
        mean=MEAN,
        std=STD,
    )
    data = ImageDataset(str(photos.images[0].parent.parent), transform=transform)
    return lambda index: data[index % len(data)][0]


def albumentations_opencv(photos: Photos, labels: str, jitter: bool) -> Read:
    """Return OpenCV's decoder with albumentations."""
    factor = (1 - JITTER, 1 + JITTER)
    colours = [albumentations.ColorJitter(factor, factor, factor, (0, 0), p=1)] if jitter else []
    steps = [
        albumentations.RandomResizedCrop((SIZE, SIZE), SCALE, RATIO, interpolation=cv2.INTER_LINEAR),
        albumentations.HorizontalFlip(),
        *colours,
        albumentations.Normalize(MEAN, STD),
        ToTensorV2(),
    ]
    boxes = albumentations.BboxParams(format="pascal_voc", label_fields=["rows"]) if labels == "boxes" else None
    transform = albumentations.Compose(steps, bbox_params=boxes)

    def read(index: int) -> Tensor | tuple[Tensor, Any]:
        image = cv2.cvtColor(cv2.imread(str(photos.images[index])), cv2.COLOR_BGR2RGB)
        if labels == "classes":
            return transform(image=image)["image"]
        if labels == "masks":
            made = transform(image=image, mask=cv2.imread(str(photos.masks[index]), cv2.IMREAD_UNCHANGED))
            return made["image"], made["mask"]
        own = photos.boxes[index]
        made = transform(image=image, bboxes=own, rows=np.arange(len(own)))
        return made["image"], made["bboxes"]

    return read


PEERS = {
    "torchvision v1": torchvision_v1,
    "torchvision v2": torchvision_v2,
    "timm": timm,
    "albumentations + OpenCV": albumentations_opencv,
}
"""By name what returns a function from an index to an image, with its labels, or None where it knows none."""
