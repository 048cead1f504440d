"""Every command of README, docs, help and configs runs as it is written, only shorter and on small data."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchvision
from hydra.core.global_hydra import GlobalHydra

from benchmarks import data, doctor, gpu, multitask, overhead, picture, scale, startup, verify
from tests.documented import ROOT, commands, walks

SHORT = (
    "++trainer.max_epochs=1",
    "++trainer.limit_train_batches=1",
    "++trainer.limit_val_batches=1",
    "++trainer.limit_test_batches=1",
)
ELSEWHERE = {
    r"python3 -m venv \.venv": "tests/slow/fresh.py makes an environment",
    r"\.venv/bin/pip install .*": "tests/slow/fresh.py installs, and .ci/run does so through the Makefile",
    r"pip install \"visionkit\[.*": "tests/slow/fresh.py installs the wheel",
    r"eval \"\$\(visionkit -sc install=\w+\)\"": "tests/test_help.py",
    r"visionkit (<command>|train)( --help| \.\.\.)?": "tests/test_help.py",
    r"python -m visionkit\.(train \.\.\..*|<command>.*)": "stands for all the others",
    r"python -m visionkit\.engine\.worker <.*": "tests/engine/test_repeatable.py",
    r"python -m build|git tag .*": "tests/slow/fresh.py builds; the tag is the person's to make",
}
"""What is no command of one process here, and where it is run."""

BENCHMARKS = {
    "data": data,
    "doctor": doctor,
    "gpu": gpu,
    "multitask": multitask,
    "overhead": overhead,
    "picture": picture,
    "scale": scale,
    "startup": startup,
    "verify": verify,
}
DOCUMENTED = commands()
OURS = [c for c in DOCUMENTED if re.match(r"(\.venv/bin/)?python -m visionkit\.\w+ |visionkit \w+ ", c)]
WALKED = [command for walk in walks(ROOT / "README.md") for command in walk]
"""By tests/slow/test_walks.py."""
OURS = [c for c in OURS if c not in WALKED and not any(re.fullmatch(known, c) for known in ELSEWHERE)]


def paint(path: Path, colour: int, size: tuple[int, int] = (40, 52)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*size, 3), colour, dtype=np.uint8)
    image[10:24, 8:30] = 255 - colour
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def boxes(root: Path) -> None:
    annotation = (
        "<annotation><filename>{0}.jpg</filename><size><width>52</width><height>40</height><depth>3</depth></size>"
        "<object><name>{1}</name><difficult>0</difficult><bndbox><xmin>9</xmin><ymin>11</ymin><xmax>30</xmax>"
        "<ymax>24</ymax></bndbox></object></annotation>"
    )
    lists = {"train": range(4), "val": range(4, 6), "test": range(6, 8)}
    for split, numbers in lists.items():
        names = [f"BloodImage_{number:05d}" for number in numbers]
        for number, name in zip(numbers, names, strict=True):
            paint(root / "JPEGImages" / f"{name}.jpg", 20 + 25 * number)
            (root / "Annotations").mkdir(exist_ok=True)
            (root / "Annotations" / f"{name}.xml").write_text(annotation.format(name, ("red", "white")[number % 2]))
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))


def published(folder: Path) -> None:
    """Fill torch's cache in a folder with files named as the published ones, of random weights."""
    for name, files in {
        "resnet50": [entry.url for entry in torchvision.models.ResNet50_Weights],
        "fcos_resnet50_fpn": [torchvision.models.detection.FCOS_ResNet50_FPN_Weights.DEFAULT.url],
    }.items():
        arguments = {"weights_backbone": None} if name.startswith("fcos") else {}
        state = torchvision.models.get_model(name, weights=None, **arguments).state_dict()
        for url in files:
            torch.save(state, folder / Path(url).name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's folder with all that the documentation speaks of, and a detector of theirs."""
    folder = tmp_path_factory.mktemp("place")
    for root in ("cells", "voc", "other", "data/other", "data/voc"):
        boxes(folder / root)
    for root in ("clothes", "birds"):
        for split in ("train", "val", "test"):
            for kind, colour in (("hat", 40), ("shoe", 200)):
                for number in range(3):
                    paint(folder / root / split / kind / f"{number}.jpg", colour + 5 * number)
    for split in ("train", "val"):
        for number in range(4):
            paint(folder / "roads" / "images" / split / f"{number}.jpg", 50 * number)
            mask = np.zeros((40, 52), dtype=np.uint8)
            mask[10:24, 8:30] = 1
            (folder / "roads" / "masks" / split).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "roads" / "masks" / split / f"{number}.png"), mask)
    for name in ("holiday/one.jpg", "holiday/more/two.png", "cat.jpg"):
        paint(folder / name, 90)
    (folder / "my_conf" / "backbone").mkdir(parents=True)
    shutil.copy(ROOT / "conf" / "backbone" / "resnet_tiny.yaml", folder / "my_conf" / "backbone" / "mine.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(
            sys, "argv", ["train", "task=detection", "data=voc", "data.root=cells", "data.size=64", *SHORT, "run_dir=r"]
        )
        importlib.import_module("visionkit.train").cli()
    shutil.copy(folder / "r" / "checkpoints" / "best.ckpt", folder / "best.ckpt")
    cache = folder / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    published(cache)
    (folder / "resnet50.pth").symlink_to(next(cache.glob("resnet50-*.pth")))
    return folder


def arguments_of(command: str, place: Path) -> tuple[str, list[str]]:
    """Return the command's name and its arguments, shortened where it trains."""
    words = shlex.split(command.replace("/data/", "data/").replace("=/x/", "="))
    name = words[words.index("-m") + 1].removeprefix("visionkit.") if "-m" in words[:2] else words[1]
    given = words[words.index(f"visionkit.{name}") + 1 :] if f"visionkit.{name}" in words else words[2:]
    if name == "train":
        given = [word for word in given if not word.startswith(("run_dir=", "epochs="))] + list(SHORT)
        for experiment, root in {"clothing10": "clothes", "bccd": "cells", "camvid": "roads"}.items():
            given += [f"data.root={root}"] if f"experiment={experiment}" in given else []
        digits = not any(w.startswith(("data=", "data.root")) or w == "experiment=sklearn_digits" for w in given)
        given += ["data.num_scenes=40"] if digits else []
    return name, given


@pytest.mark.slow
@pytest.mark.parametrize("command", OURS)
def test_a_documented_command_runs(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, given = arguments_of(command, place)
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", [name, *given])
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(place / "torch"))
    GlobalHydra.instance().clear()
    module = importlib.import_module(f"visionkit.{name}")
    if "trainer=gpu" in given:  # on a machine without one
        with pytest.raises(SystemExit):
            module.cli()
        assert "trainer: " in capsys.readouterr().err
        return
    if "-m" in given:
        monkeypatch.setattr("visionkit.engine.sweep.run_worker", lambda *_: 0)  # tests/engine/test_sweep.py trains
    try:
        module.cli()
    except SystemExit as end:
        if (name, end.code) != ("doctor", 1):  # something is wrong: the pictures painted here are all alike
            raise
    finally:
        if torch.distributed.is_initialized():  # trainer=ddp, which later tests know nothing of
            torch.distributed.destroy_process_group()
    assert "error:" not in capsys.readouterr().err
    for exported in (*place.rglob("*.onnx"), *place.rglob("*.pt2")):
        exported.unlink()


def test_every_other_command_is_accounted_for() -> None:
    left = [
        c for c in DOCUMENTED if c not in (*OURS, *WALKED) and not any(re.fullmatch(known, c) for known in ELSEWHERE)
    ]
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for command in left:
        program, *words = shlex.split(command)
        if program == "make":
            assert {word for word in words if "=" not in word} <= targets, command
        elif words[:1] == ["-m"] and (module := words[1].removeprefix("benchmarks.")) in BENCHMARKS:
            BENCHMARKS[module].parser().parse_args(words[2:])
        else:
            pytest.fail(f"{command} is documented, but nothing here runs it")


def test_the_demo_is_a_documented_command() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "-o", "install", "demo"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip().removeprefix(".venv/bin/") in DOCUMENTED
