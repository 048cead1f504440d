"""Export a checkpoint's model: write the file, prove it, and only then give it its name."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor

from visionkit.engine.checkpoint import load_model
from visionkit.engine.exporter.agreement import PIXELS, PROBABILITY, Agreement
from visionkit.engine.exporter.description import describe, outputs
from visionkit.engine.exporter.formats import Format
from visionkit.engine.exporter.graph import Deployable
from visionkit.engine.exporter.onnx_format import OnnxFormat
from visionkit.engine.exporter.proof import BATCHES, prove, validation_images
from visionkit.engine.exporter.torch_format import TorchFormat
from visionkit.errors import ConfigError, UserError
from visionkit.suggest import did_you_mean

FORMATS: dict[str, Format] = {"onnx": OnnxFormat(), "torch": TorchFormat()}
"""What `format` may be."""


def export(config: DictConfig) -> Path:
    """Export as the command's config says, print what was written and how to run it; return the file's path.

    Raises UserError, and leaves no file, when the file does not give what the checkpoint gives.
    """
    if config.format not in FORMATS:
        raise ConfigError(f"format={config.format} cannot be written; {did_you_mean(str(config.format), FORMATS)}")
    form = FORMATS[config.format]
    form.require()
    checkpoint = Path(config.checkpoint).expanduser()
    model = load_model(checkpoint, config.trusted)
    path = target(config.out, checkpoint, config.format)
    graph = Deployable(model)
    images, different = validation_images(model, config.get("data"), config.trusted, checkpoint)
    description = describe(model, graph)
    agreements = write_proved(graph, images, description, path, form)
    show(path, description, figures(agreements, graph), different, form)
    return path


def target(out: str | None, checkpoint: Path, name: str) -> Path:
    """Return the file to write. Raises ConfigError when it exists, or its name or place cannot be used."""
    suffix = FORMATS[name].suffix
    path = (checkpoint.with_suffix(suffix) if out is None else Path(out).expanduser()).absolute()
    if path.is_dir():
        raise ConfigError(f"out={out} is a folder; give a file: out={shlex.quote(f'{out}/{checkpoint.stem}{suffix}')}")
    if path.suffix != suffix:
        raise ConfigError(
            f"out={out}: format={name} writes {suffix} files; type out={shlex.quote(str(out))}{suffix}"
            if not path.suffix
            else f"out={out}: format={name} writes {suffix} files; "
            f"type out={shlex.quote(str(Path(str(out)).with_suffix(suffix)))}"
        )
    if path.exists():
        raise ConfigError(f"{path} exists already; remove it, or give another file with out=...{suffix}")
    return path


def write_proved(
    graph: Deployable, images: Tensor, description: dict[str, Any], path: Path, form: Format
) -> dict[str, Agreement]:
    """Write a file under another name, compare it with the checkpoint on images, and rename it when all heads agree."""
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create the folder {path.parent}: {error.strerror}; choose another out=") from None
    if not os.access(path.parent, os.W_OK):
        raise ConfigError(f"the folder {path.parent} cannot be written to; choose another out=")
    try:
        # In a folder of its own beside the target: the file has its name from the start, but not its place.
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
            unproved = Path(folder, path.name)
            form.write(graph, description, unproved)
            agreements = prove(graph, form.open(unproved), images)
            if not all(agreement.holds for agreement in agreements.values()):
                raise UserError(
                    "the exported file does not give what the checkpoint gives, and was removed: "
                    + "; ".join(figures(agreements, graph))
                )
            unproved.rename(path)
    except BaseException:
        for empty in made:
            empty.rmdir()
        raise
    return agreements


def figures(agreements: Mapping[str, Agreement], graph: Deployable) -> list[str]:
    """Return what a comparison found, a line a head, which is named where there are several."""
    several = len(agreements) > 1
    return [f"{name}: " * several + _figures(own, graph, name) for name, own in agreements.items()]


def _figures(agreement: Agreement, graph: Deployable, head: str) -> str:
    kind = graph.head(head).kind
    probability = f"{agreement.probability:.1e} at most ({PROBABILITY:.0e} allowed)"
    if kind == "boxes":
        return (
            f"{agreement.compared} boxes, whose sides differ by {agreement.pixels:.1e} pixels at most ({PIXELS} "
            f"allowed) and scores by {probability}; {agreement.ties} hang on rounding, {agreement.unmatched} "
            "without a counterpart"
        )
    if kind == "multilabel":
        return f"probabilities differ by {probability}"
    places = agreement.compared // graph.outputs[head].shape[0]
    noun = "pixels" if kind == "mask" else "images"
    same = f"{places - agreement.other_class} of {places} {noun} have the same likeliest class"
    return f"probabilities differ by {probability}; {same}"


def show(path: Path, description: dict[str, Any], found: Sequence[str], different: int, form: Format) -> None:
    """Print the file, what goes in and comes out, how it was proved, and how to run it."""
    console = Console(soft_wrap=True, highlight=False)
    short = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    batches = ", ".join(str(size) for size in BATCHES)
    lines = [f"written   {short} ({path.stat().st_size / 1e6:.1f} MB)"]
    tensors = [("input", description["input"]), *(("output", one) for one in outputs(description).values())]
    for what, one in tensors:
        lines.append(f"{what:9} {one['name']}: {one['dtype']} ({', '.join(str(side) for side in one['shape'])})")
    proved = f"proved    on {different} validation images, in batches of {batches}:"
    lines += [f"{proved} {found[0]}"] if len(found) == 1 else [proved, *(f"          {line}" for line in found)]
    lines += ["", "run it:"]
    for line in (*lines, *(f"  {line}" for line in form.usage(short, description))):
        console.print(line, markup=False)
