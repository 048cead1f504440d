"""Write down and show what a run came to."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from visionkit.config.folders import short
from visionkit.data.pixels import path_of
from visionkit.data.skipping import JOURNAL, Skipped
from visionkit.engine.checkpoint import foreign_packages, versions
from visionkit.engine.setup import Setup
from visionkit.engine.survival.writing import replace


def collect(
    setup: Setup,
    run_dir: Path,
    metrics: dict[str, float],
    trivial: dict[str, float],
    seconds: dict[str, float],
    hints: list[str],
) -> dict[str, Any]:
    """Return what `result.json` holds: plain data."""
    config = setup.config
    return {
        "task": config["name"],
        "monitor": setup.best.monitor,
        "metrics": {name: round(value, 6) for name, value in sorted(metrics.items())},
        "trivial": {name: round(value, 6) for name, value in sorted(trivial.items())},
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "epochs": setup.trainer.current_epoch,
        "steps": setup.trainer.global_step,
        "interrupted": setup.interrupt.pressed,
        **({"loss_weights": setup.history.weights} if setup.history.weights else {}),
        "images_per_second": round(setup.throughput.images_per_second, 1),
        "hints": hints,
        "precision": config["trainer"]["precision"],
        "parameters": sum(p.numel() for p in setup.module.network.parameters()),
        "checkpoint": str(Path(setup.best.best_model_path).relative_to(run_dir)),
        "command": config["provenance"]["command"],
        "commit": config["provenance"]["commit"],
        "versions": versions(),
    }


def write(result: dict[str, Any], run_dir: Path) -> None:
    """Write `result.json`, whole or not at all: it says that a run has ended."""
    text = json.dumps(result, indent=2) + "\n"
    replace(run_dir / "result.json", lambda file: file.write(text.encode()))


def write_skipped(skipped: Skipped | None, folder: Path) -> None:
    """Write `skipped.json`, what was gone on without, and say so; nothing where nothing was."""
    entries = [] if skipped is None else skipped.entries()
    if not entries:
        return
    parted = [said.partition(": ") for said in entries]
    listed = [{"file": file, "reason": reason} for file, _, reason in parted]
    (folder / "skipped.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    (folder / JOURNAL).unlink(missing_ok=True)
    console = Console(soft_wrap=True, highlight=False)
    console.print(
        f"\nskipped   {len(entries)} x what cannot be used, listed in {short(folder / 'skipped.json')}",
        style="yellow",
        markup=False,
    )


def write_weights(report: dict[str, Any], run_dir: Path) -> None:
    """Write `weights.json`: which tensors a run began with, and which not and why."""
    (run_dir / "weights.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def metrics_table(metrics: dict[str, float], trivial: dict[str, float], heads: Sequence[str] = ()) -> Table:
    """Return a table with a row a metric, and beside the monitors what the best constant guess scores.

    The metrics of several heads stand in a block each, their splits beside each other.
    """
    if len(heads) > 1:
        return _by_head(metrics, trivial, heads)
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("trivial", justify="right", style="dim")
    for name, value in sorted(metrics.items()):
        guess = f"{trivial[name]:.4f}" if name in trivial else ""
        table.add_row(name, f"{value:.4f}", guess, style="bold" if guess else None)
    return table


def _by_head(metrics: dict[str, float], trivial: dict[str, float], heads: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    splits = sorted({name.partition("/")[0] for name in metrics}, key=("train", "val", "test").index)
    for split in splits:
        table.add_column(split, justify="right")
        table.add_column("trivial", justify="right", style="dim")
    blocks: dict[str, dict[str, None]] = {"": {}, **{head: {} for head in heads}}
    for name in sorted(metrics, key=lambda name: (name not in trivial, name)):
        own = name.partition("/")[2]
        head, _, metric = own.rpartition("/")
        blocks[head][metric] = None
    for head, found in blocks.items():
        if head and found:
            if table.row_count:
                table.add_row()
            table.add_row(head)
        for metric in found:
            names = ["/".join(part for part in (split, head, metric) if part) for split in splits]
            cells = [f"{one[name]:.4f}" if name in one else "" for name in names for one in (metrics, trivial)]
            judges = any(name in trivial for name in names)
            table.add_row(f"  {metric}" if head else metric, *cells, style="bold" if judges else None)
    return table


def show(result: dict[str, Any], setup: Setup, run_dir: Path) -> None:
    """Print the metrics, where things are, what may better them, and what to type next."""
    console = Console(soft_wrap=True, highlight=False)
    console.print()
    heads = tuple(setup.tasks)
    # The terms of the losses would hide the metrics of several heads; the curves and result.json have them.
    terms = setup.history.terms if len(heads) > 1 else ()
    shown = {name: value for name, value in result["metrics"].items() if name.partition("/")[2] not in terms}
    console.print(metrics_table(shown, result["trivial"], heads))
    guesses = "commonest class, shares of the classes, commonest class a pixel, median box"
    console.print(f"[dim]trivial: the best constant guess ({guesses})[/dim]")
    if weights := result.get("loss_weights"):
        told = ", ".join(f"{head} {weight:.2f}" for head, weight in weights.items())
        console.print(f"learned weights of the losses: {told}", markup=False)
    seconds = result["seconds"]
    console.print(
        f"\n{'interrupted after ' if result['interrupted'] else ''}{result['epochs']} epochs, {result['steps']} steps, "
        f"{seconds['training']:.0f} s of training at {result['images_per_second']:.0f} images/s "
        f"(set-up {seconds['setup']:.0f} s, evaluation {seconds['evaluation']:.0f} s)"
    )
    folder = short(run_dir)
    model = short(run_dir / result["checkpoint"])
    for what, where in {
        "run": folder,
        "model": model,
        "pictures": f"{folder}/pictures",
        "curves": f"{folder}/metrics.csv",
    }.items():
        console.print(f"{what:9} {where}", markup=False)
    if result["hints"]:
        console.print("\nhints:", style="bold")
    for hint in result["hints"]:
        console.print(f"- {hint}", markup=False)
    source = _an_image(setup)
    console.print("\nnext:", style="bold")
    split = setup.data.measured[-1]
    manifest = setup.module.manifest
    own = foreign_packages([manifest[part] for part in ("tasks", "network", "data")])
    given = " " + shlex.quote(f"trusted=[{','.join(own)}]") if own else ""
    loaded = f"{model!r}, trusted={own}" if own else repr(model)
    for command in (
        f"python -m visionkit.evaluate checkpoint={shlex.quote(model)} split={split}{given}",
        f"python -m visionkit.predict checkpoint={shlex.quote(model)} source={shlex.quote(source)}{given}",
        "python -c " + shlex.quote(f"import visionkit; print(visionkit.load({loaded}).predict({source!r}))"),
    ):
        console.print(f"  {command}", markup=False)


def _an_image(setup: Setup) -> str:
    """Return a validation image's path; a made-up one where the images are in no files."""
    path = path_of(setup.data.records["val"].images, 0)
    return "your_image.jpg" if path is None else short(path)
