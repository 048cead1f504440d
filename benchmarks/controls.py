"""Show that a figure means something: models that cannot see much score less, planted faults are noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from benchmarks.faults import FAULTS
from benchmarks.seeds import TASKS, default_run
from benchmarks.session import Session
from benchmarks.table import listed, markdown, write
from visionkit.config.folders import conf_dir
from visionkit.config.frozen import plain
from visionkit.engine.build import build_data
from visionkit.engine.checkpoint import Model, load_model
from visionkit.engine.evaluation import measure, merged_data

SPLIT = "test"
TRUSTED = ("benchmarks",)
SIZE = 64  # pixels, `data.size` of the digits

_FROZEN = ("freeze.stages=all",)


def _pixels(stride: int, window: int) -> tuple[str, ...]:
    return (
        "backbone._target_=benchmarks.backbones.Pixels",
        *(f"~backbone.{key}" for key in OmegaConf.load(conf_dir() / "backbone/convnet.yaml") if key != "_target_"),
        f"+backbone.stride={stride}",
        f"+backbone.window={window}",
    )


BASELINES: dict[str, dict[str, tuple[str, ...]]] = {
    "classification": {
        "linear on all pixels": _pixels(SIZE, SIZE),  # one cell, so that the head's pooling does nothing
        "frozen random backbone": _FROZEN,
    },
    "segmentation": {
        "linear on windows of 16 px": ("head=fcn", *_pixels(4, 16)),
        "frozen random backbone": _FROZEN,
    },
    "detection": {
        "linear on windows of 24 px": ("neck=none", "head.num_convs=0", *_pixels(4, 16)),  # 3 x 3 cells of stride 4
        "frozen random backbone": _FROZEN,
    },
}
"""What a control adds to `task=<task>`; length, data, augmentation and optimizer are those of the default run."""


def run(session: Session, checkpoints: dict[str, Path]) -> list[str]:
    """Train and measure all, write `controls.md` and return what is not as it should be.

    `checkpoints` holds trained models by task; the others are trained with the defaults.
    """
    commands: list[str] = []
    models: list[list[object]] = []
    faults: list[list[object]] = []
    complaints: list[str] = []
    for task in TASKS:
        path = checkpoints.get(task) or default_run(session, task).checkpoint
        model = load_model(path, TRUSTED)
        if task in checkpoints:  # the session names the commands of its own runs only
            commands.append(f"{model.manifest['provenance']['command']}  # {path}")
        node = data_node(model, path)
        sound, trivial = measure(model, node, SPLIT, "cpu")
        monitor = next(iter(trivial))
        figures = {"trained": sound[monitor], **weak_figures(session, task, node), "constant guess": trivial[monitor]}
        models += [[task, monitor, name, figure] for name, figure in figures.items()]
        best = max(figures, key=lambda name: figures[name])
        if best != "trained":
            complaints.append(f"{task}: {best} scores {figures[best]:.4f}, the trained network {sound[monitor]:.4f}")
        for fault in FAULTS:
            if model.tasks[task].kind not in fault.kinds:
                continue
            print(f"  {task}: {fault.name}", flush=True)
            faulty, _ = measure(fault.plant(model), node, SPLIT, "cpu")
            for metric in dict.fromkeys((monitor, *(name for name in sound if name == f"{SPLIT}/mAP"))):
                faults.append([task, metric, fault.name, sound[metric], faulty[metric], sound[metric] - faulty[metric]])
            if faulty[monitor] >= sound[monitor]:
                complaints.append(f"{task}: the figure does not notice: {fault.name}")
    path = write(
        "controls",
        "Controls on the embedded digits",
        session,
        "## Models that cannot see much",
        "Trained as the default run is: same data, augmentation, optimizer and length. Scikit-learn's model alone is "
        "not: it takes its regularisation from the validation split and sees no augmentation.",
        markdown(["task", "metric", "model", "figure"], models),
        "Commands:",
        listed((*commands, *session.commands)),
        "## Faults planted into the trained model",
        markdown(["task", "metric", "fault", "sound", "faulty", "drop"], faults),
    )
    print(f"written to {path}")
    return complaints


def weak_figures(session: Session, task: str, node: dict[str, Any]) -> dict[str, float]:
    """Train the task's controls; return their monitors on the test split by name."""
    found = {}
    for name, overrides in BASELINES[task].items():
        found[name] = session.train(f"{task}_{name.split()[0]}", f"task={task}", *overrides).figure(SPLIT)
    if task == "classification":
        found["linear on all pixels, by scikit-learn"] = logistic_regression(node)
    return found


def data_node(model: Model, path: Path) -> dict[str, Any]:
    """Return the data node of a checkpoint, resolved."""
    node = merged_data(model, None, TRUSTED, path)
    return dict(plain(OmegaConf.create({"data": node}))["data"])


def logistic_regression(node: dict[str, Any]) -> float:
    """Return the test accuracy of scikit-learn's logistic regression on all pixels.

    Its strength of regularisation is chosen on the validation split; there is no augmentation. It says whether the
    linear model trained by us is as good as a linear model gets.
    """
    from sklearn.linear_model import LogisticRegression

    records = build_data(node, None, 0, ("labels",)).records

    def load(split: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        found = records[split]
        assert found.labels is not None
        images = np.stack([found.images[index] for index in range(len(found))]).reshape(len(found), -1)
        return images.astype(np.float32) / np.float32(255) - np.float32(0.5), found.labels

    train, val, test = (load(split) for split in ("train", "val", SPLIT))
    fitted = [LogisticRegression(C=c, max_iter=200).fit(*train) for c in (1e-4, 1e-3, 1e-2, 1e-1)]
    return float(max(fitted, key=lambda one: one.score(*val)).score(*test))
