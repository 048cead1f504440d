"""What is measured of loading is the same everywhere, and goals are judged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import data, peers
from benchmarks.photos import write_photos


def test_all_sides_make_the_same_kind_of_batch(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", (60, 80), 4, enlarged=1.5)
    normalize = data.network().normalize
    for labels in ("classes", "boxes", "masks"):
        loaders = {name: make(photos, labels, True) for name, make in peers.PEERS.items()}
        made = {name: peers.loader(4, read, 4, 0) for name, read in loaders.items() if read is not None}
        means = {}
        for name, loader in made.items():
            (batch,) = data.batches(loader, None)
            means[name] = batch
        (tmp_path / labels).mkdir()
        for cache in (None, str(tmp_path / labels)):
            loader = data.own_loader(photos, 1, labels, True, 0, cache)
            loader.batches.batch_size = 4
            (batch,) = data.batches(loader, normalize)
            means[f"own {cache}"] = batch
        for name, batch in means.items():
            assert batch.shape == (4, 3, 224, 224), name
            assert batch.dtype == torch.float32, name
            assert abs(batch.mean()) < 1.5, name
            assert 0.3 < batch.std() < 2, name
        assert len(means) == (6 if labels == "classes" else 4)


def test_goals() -> None:
    speeds = {name: [100.0, 110.0] for name in peers.PEERS}
    speeds |= {data.OURS: [240.0, 230.0], data.CACHED: [900.0, 900.0], "timm": [150.0, 150.0]}
    lines, missed = data.judge("small", (2.3, 1.3, 2.5), speeds, {"a": [300.0, 300.0], "b": [400.0, 400.0]})
    assert lines[0] == "visionkit over torchvision v1: 2.25 x (goal: 2.3 x)"  # the median of 2.4 and 2.09
    assert lines[1] == "visionkit over the best of the others, timm: 1.57 x (goal: 1.3 x)"
    assert lines[2] == "visionkit, cache=ram over b alone: 2.25 x (goal: 2.5 x)"
    assert missed == [f"small: {lines[0]}", f"small: {lines[2]}"]
    assert data.judge("small", None, speeds, {"a": [300.0]})[1] == []


def test_runs_are_in_turn_and_the_first_does_not_count() -> None:
    order: list[str] = []
    speeds = data.in_turn({name: lambda name=name: order.append(name) or 5 for name in "ab"}, 3)
    assert "".join(order) == "abababab"
    assert {name: len(found) for name, found in speeds.items()} == {"a": 3, "b": 3}
    assert data.ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0]) == pytest.approx(2.0)
