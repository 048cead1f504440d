"""Help, settings and completion come from the configs, at once and without torch."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from visionkit.__main__ import COMMANDS
from visionkit.config import help_page
from visionkit.config.folders import conf_dir, options

GROUPS = ("task", "data", "augment", "backbone", "neck", "head", "optimizer", "scheduler", "trainer", "logger")


def without_torch(*argv: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the console script's `main` and fail when anything heavy was imported on the way."""
    script = (
        f"import sys; sys.argv = {['visionkit', *argv]!r}\n"
        "import visionkit.__main__\n"
        "code = 0\n"
        "try:\n    visionkit.__main__.main()\n"
        "except SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'lightning', 'cv2', 'numpy', 'wandb', 'albumentations', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_a_command(name: str) -> None:
    done = without_torch(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"python -m visionkit.{name}" in done.stdout
    for section in ("Examples", "Keys", "Flags"):
        assert f"\n{section}\n" in done.stdout


def test_the_help_of_training_tells_every_option_and_what_it_is_for() -> None:
    page = help_page.page("train", [conf_dir()])
    for group in GROUPS:
        assert f"\n  {group}" in page
        for option in options([conf_dir()], group):
            (line,) = [line for line in page.splitlines() if line.strip("* ").split(" ")[0] == option][:1]
            assert len(line.split()) > 2, f"{group}={option} is not explained"
    assert "* vgg_tiny" in page
    assert "_detection" not in page
    assert " _base" not in page


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_root_key_is_explained(name: str) -> None:
    page = help_page.page(name, [conf_dir()])
    keys = page.split("\nKeys\n")[1].split("\nFlags\n")[0].strip().splitlines()
    assert keys
    assert all(len(line.split()) > 2 for line in keys)


def test_the_users_own_options_are_in_the_help(tmp_path: Path) -> None:
    (tmp_path / "backbone").mkdir()
    (tmp_path / "backbone" / "mine.yaml").write_text("# A network of mine.\n_target_: x\n")
    done = without_torch("train", "--config-dir", str(tmp_path), "--help")
    assert "A network of mine" in done.stdout


def test_without_a_command_the_commands_are_listed() -> None:
    done = without_torch()
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def test_settings_are_shown_without_training() -> None:
    done = without_torch("train", "--cfg", "job", "backbone=resnet_tiny", "optimizer.lr=0.5")
    assert done.returncode == 0, done.stderr
    assert "lr: 0.5" in done.stdout
    assert "residual" in done.stdout


def test_a_mistyped_key_is_answered_without_torch() -> None:
    done = without_torch("train", "epoch=3")
    assert done.returncode == 2
    assert done.stderr.startswith("error: epoch=3")
    assert "epochs" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("visionkit tr", "train"),
        ("visionkit train task=", "task=segmentation"),
        ("visionkit train task=segmentation optimizer.", "optimizer.lr="),
        ("visionkit evaluate chec", "checkpoint="),
    ],
)
def test_the_shell_is_told_what_may_follow(line: str, answer: str) -> None:
    done = without_torch("-sc", "query=bash", COMP_LINE=line)
    assert answer in done.stdout.split()


def test_completion_is_installed_under_the_programs_name() -> None:
    done = without_torch("-sc", "install=bash")
    assert done.stdout.rstrip().endswith("visionkit")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_examples_are_commands(name: str) -> None:
    examples = help_page.examples(name)
    assert examples
    for example in examples:
        assert shlex.split(example)[:3] == ["python", "-m", f"visionkit.{name}"]
