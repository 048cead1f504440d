"""Summarise a network and write what was found: the work of the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from json import dumps
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from visionkit.engine import misfit
from visionkit.engine.summary import tracing
from visionkit.engine.summary.composing import Composed, of_checkpoint, of_config
from visionkit.engine.summary.layers import Summary
from visionkit.engine.summary.page import page
from visionkit.engine.summary.text import text
from visionkit.errors import ConfigError
from visionkit.models.network import Network

SUFFIXES = {"text": ".txt", "json": ".json", "html": ".html"}
"""The formats, and how the names of their files end."""

FORMATS: dict[str, Callable[[Summary], str]] = {
    "text": text,
    "json": lambda summary: dumps(summary.as_json(), indent=1),
    "html": page,
}


def show(config: DictConfig, choices: Mapping[str, Any], given: Sequence[str]) -> None:
    """Write the summary that a composed config asks for; `given` are the overrides as Hydra got them.

    Raises UserError when the network, its size or the file to write cannot be.
    """
    path = _path(config.out, config.format)
    made = of_checkpoint(config, given) if config.checkpoint else of_config(config, choices, given)
    written = FORMATS[config.format](summarise(made))
    if path is None:
        try:
            print(written, flush=True)
        except BrokenPipeError:  # `| head` has seen enough; Python flushes once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        path.write_text(written + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"out={path} cannot be written: {error.strerror}; give another file") from None
    print(f"written   {path}")


def summarise(made: Composed) -> Summary:
    """Run a network on the meta device and return all that is known of it. Raises ConfigError for too small a size."""
    network, size = made.network, made.size
    if min(size) < (stride := network.backbone.levels[-1].stride):
        raise ConfigError(_too_small(network, size, f"the coarsest map has a cell every {stride} pixels"))
    try:
        trace, levels = tracing.run(network, size)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(_too_small(network, size, " ".join(str(error).split()))) from error
    for layer in trace.layers:
        layer.named = len(network.heads) > 1
    sizes = {id(parameter): parameter.numel() for parameter in network.parameters()}
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    idle: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        if id(parameter) not in trace.counted:
            module = ".".join(name.split(".")[:3])
            idle[module] = idle.get(module, 0) + parameter.numel()
    buffers = sum(buffer.numel() for buffer in network.buffers())
    total = sum(sizes.values())
    return Summary(made.title, made.settings, size, trace.layers, levels, total, trainable, idle, buffers)


def _too_small(network: Network, size: tuple[int, int], reason: str) -> str:
    """Return why images of a size do not pass, and which do."""
    stride, channels = network.backbone.levels[-1].stride, network.mean.shape[1]
    side = misfit.smallest_side(network, channels, stride, above=min(size))
    if side is None:
        return reason
    shown = size[0] if size[0] == size[1] else list(size)
    return f"size={shown} does not fit this network; give size={side} or more ({reason})"


def _path(out: str | None, form: str) -> Path | None:
    """Return the file to write, or None for the screen. Raises ConfigError when it cannot be or is of another kind."""
    suffix = SUFFIXES[form]
    if out is None:
        return Path("summary.html") if form == "html" else None
    path = Path(out).expanduser()
    if path.is_dir():
        raise ConfigError(f"out={out} is a folder; give a file: out={path / f'summary{suffix}'}")
    if not path.parent.is_dir():
        raise ConfigError(f"out={out}: there is no folder {path.parent}; make it, or give a file elsewhere")
    if path.suffix != suffix:
        raise ConfigError(f"out={out}: format={form} writes {suffix} files; type out={path.with_suffix(suffix)}")
    return path
