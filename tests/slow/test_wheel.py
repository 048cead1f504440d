"""The wheel in an environment of its own does from an empty folder what the checkout does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.slow.fresh import ROOT, Fresh
from tests.trainings import SMALL

pytestmark = pytest.mark.slow

CONSOLE, MODULE = "visionkit {}", "python -m visionkit.{}"
"""The two ways to a command."""

NONSENSE = "defaults: [nothing: of_the_kind]\nthis is: a stranger's\n"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("somewhere else")


@pytest.fixture(scope="module")
def stranger(fresh: Fresh) -> Iterator[None]:
    """Another package's top-level `conf` folder beside visionkit."""
    conf = fresh.site / "conf"
    conf.mkdir()
    (conf / "train.yaml").write_text(NONSENSE, encoding="utf-8")
    yield
    (conf / "train.yaml").unlink()
    conf.rmdir()


@pytest.fixture(scope="module")
def runs(fresh: Fresh, stranger: None, empty: Path) -> list[Path]:
    """Two trainings started at the same moment, one each way, in seconds in which other runs have begun already."""
    for second in range(180):
        taken = time.strftime("runs/%Y-%m-%d/%H-%M-%S_classification", time.localtime(time.time() + second))
        (empty / taken).mkdir(parents=True)
    small = " ".join(f"'{setting}'" for setting in SMALL)
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda way: fresh.run(f"{way.format('train')} {small}", empty), (CONSOLE, MODULE)))
    for done in both:
        assert done.returncode == 0, done.stderr
    return [result.parent for result in sorted(empty.glob("runs/*/*/result.json"))]


def test_connections_are_refused_and_noticed_even_if_a_program_goes_on(fresh: Fresh, empty: Path) -> None:
    script = "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError: pass"
    with pytest.raises(AssertionError, match=r"tried to leave the machine: .*192\.0\.2\.1"):
        fresh.run(["python", "-c", script], empty)
    script = "import urllib.request\nurllib.request.urlopen('http://example.invalid')"
    with pytest.raises(AssertionError, match=r"no network in this test: getaddrinfo example\.invalid"):
        fresh.run(["python", "-c", script], empty)
    local = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    assert fresh.run(["python", "-c", local], empty).returncode == 0


def test_the_package_is_the_wheels_with_types_and_version(fresh: Fresh, empty: Path) -> None:
    script = "import visionkit, sys; print(visionkit.__file__, visionkit.__version__, *sys.path, sep='\\n')"
    done = fresh.run(["python", "-c", script], empty)
    assert done.returncode == 0, done.stderr
    file, version, *path = done.stdout.splitlines()
    assert Path(file).parent == fresh.site / "visionkit"
    assert fresh.wheel.name.startswith(f"visionkit-{version}-")
    assert (fresh.site / "visionkit" / "py.typed").is_file()
    assert not any(Path(entry).is_relative_to(ROOT) for entry in path if entry)
    assert fresh.run(["python", "-c", "import benchmarks"], empty).returncode == 1


def test_the_wheel_carries_every_config(fresh: Fresh) -> None:
    def files(folder: Path) -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob("*.yaml")}

    assert files(fresh.site / "visionkit" / "conf") == files(ROOT / "conf")


def test_help_answers(fresh: Fresh, stranger: None, empty: Path) -> None:
    done = fresh.run("visionkit --help; visionkit train --help; python -m visionkit.predict --help", empty)
    assert done.returncode == 0, done.stderr
    for said in ("visionkit <command>", "backbone", "resnet18", "source"):
        assert said in done.stdout


def test_trainings_of_the_same_second_have_a_folder_each(runs: list[Path]) -> None:
    assert len(runs) == 2
    assert all(run.name.endswith(("_2", "_3")) for run in runs)
    assert all((run / "checkpoints" / "best.ckpt").is_file() for run in runs)


def test_checkpoints_are_evaluated_and_predict_both_ways(fresh: Fresh, runs: list[Path], empty: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    (empty / "photo.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())

    def use(run: Path, evaluates: str, predicts: str) -> None:
        checkpoint = f"checkpoint={run.relative_to(empty)}/checkpoints/best.ckpt"
        done = fresh.run(
            f"{evaluates.format('evaluate')} {checkpoint} split=test out=measured_{run.name}\n"
            f"{predicts.format('predict')} {checkpoint} source=photo.png out=seen_{run.name}",
            empty,
        )
        assert done.returncode == 0, done.stderr

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(use, runs, (CONSOLE, MODULE), (MODULE, CONSOLE)))
    for run in runs:
        trained = json.loads((run / "result.json").read_text())
        measured = json.loads((empty / f"measured_{run.name}" / "result.json").read_text())
        assert measured["metrics"]["test/accuracy"] == pytest.approx(trained["metrics"]["test/accuracy"])
        assert f"visionkit-{measured['versions']['visionkit']}-" in fresh.wheel.name
        seen = json.loads((empty / f"seen_{run.name}" / "predictions.json").read_text())
        assert list(seen) == ["photo.png"]
        assert 0 < seen["photo.png"]["probability"] <= 1
