"""CIFAR-10 in a small fake of torchvision's layout, whose checksums are those of the fake."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from visionkit.data.formats.cifar10 import CIFAR10
from visionkit.errors import DataError

NAMES = ["plane", "car", "bird"]


def batch(seed: int, count: int) -> dict[str, object]:
    """A batch whose image i has the value of its label in its red channel, and i in its green one."""
    labels = np.random.default_rng(seed).integers(0, 3, count)
    data = np.zeros((count, 3, 32, 32), dtype=np.uint8)
    data[:, 0] = labels[:, None, None]
    data[:, 1] = np.arange(count)[:, None, None]
    data[:, 2, 0, 31] = 200  # top right
    return {"data": data.reshape(count, -1), "labels": labels.tolist()}


def fake(root: Path, patch: pytest.MonkeyPatch) -> None:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True, exist_ok=True)
    contents = {f"data_batch_{number}": batch(number, 40) for number in range(1, 6)}
    contents |= {"test_batch": batch(9, 30), "batches.meta": {"label_names": NAMES}}
    sums = {}
    for name, content in contents.items():
        encoded = pickle.dumps(content)
        (folder / name).write_bytes(encoded)
        sums[name] = hashlib.md5(encoded).hexdigest()
    patch.setattr(datasets.CIFAR10, "train_list", [[f"data_batch_{n}", sums[f"data_batch_{n}"]] for n in range(1, 6)])
    patch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    patch.setattr(
        datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    )


def test_splits_labels_and_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch)
    reader = CIFAR10(str(tmp_path))
    assert reader.splits() == ("train", "val", "test")
    parts = {split: reader.read(split) for split in reader.splits()}
    all_labels = np.concatenate([batch(number, 40)["labels"] for number in range(1, 6)])
    counts = np.bincount(all_labels)
    assert len(parts["train"]) + len(parts["val"]) == 200
    assert np.bincount(parts["val"].labels).tolist() == (counts // 10).tolist()
    assert np.bincount(parts["train"].labels).tolist() == (counts - counts // 10).tolist()
    tenth = np.flatnonzero(all_labels == 1)[9]
    assert f"train/{tenth:05d}" in set(parts["val"].names)
    assert not set(parts["val"].names) & set(parts["train"].names)
    assert list(parts["test"].names)[:2] == ["test/00000", "test/00001"]
    for part in parts.values():
        assert part.classes.labels == tuple(NAMES)
        assert part.kinds == ("labels",)
        assert part.images[0].shape == (32, 32, 3)
        for row in range(len(part)):
            number = int(part.names[row].split("/")[1])
            red, green, blue = part.images[row][..., 0], part.images[row][..., 1], part.images[row][..., 2]
            assert (red == part.labels[row]).all()
            assert (green == (number % 40 if "train" in part.names[row] else number)).all()
            assert np.argwhere(blue == 200).tolist() == [[0, 31]]


def test_what_is_not_there_or_not_whole_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"cifar-10-batches-py .*data\.download=true to download CIFAR-10 \(170 MB\)"):
        CIFAR10(str(tmp_path)).splits()
    assert not list(tmp_path.iterdir())
    fake(tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py/data_batch_3").write_bytes(b"")
    with pytest.raises(DataError, match=r"data\.download=true"):
        CIFAR10(str(tmp_path)).read("train")


def test_a_download_happens_once_and_only_when_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloads = []

    def download(self: datasets.CIFAR10) -> None:
        downloads.append(self.root)
        fake(Path(self.root), monkeypatch)

    monkeypatch.setattr(datasets.CIFAR10, "download", download)
    root = tmp_path / "not there yet"
    for _ in range(2):
        assert len(CIFAR10(str(root), download=True).read("test")) == 30
    assert downloads == [root]
    assert [path.name for path in root.iterdir()] == ["cifar-10-batches-py"]
