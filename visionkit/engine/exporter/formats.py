"""State what a file format does: write a module, and run what was written."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from visionkit.engine.exporter.graph import Deployable
from visionkit.errors import UserError

Run = Callable[[Tensor], Tensor | dict[str, Tensor]]
"""uint8 images in, what the file makes of them out; of several outputs a dict by name."""


class Format(ABC):
    """A kind of file that holds a network and needs no visionkit to run."""

    suffix: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()  # of the extra `export`

    @abstractmethod
    def write(self, graph: Deployable, description: dict[str, Any], path: Path) -> None:
        """Write a module for batches of any size."""

    @abstractmethod
    def open(self, path: Path) -> Run:
        """Load the file as a user of it does."""

    @abstractmethod
    def usage(self, path: Path, description: dict[str, Any]) -> list[str]:
        """Return the lines of Python that run the file."""

    def require(self) -> None:
        """Raise UserError when packages are not installed."""
        lacking = [package for package in self.packages if find_spec(package) is None]
        if lacking:
            raise UserError(
                f"this format needs {', '.join(lacking)}, not installed here; type "
                'pip install "visionkit[export]", or choose format=torch, which needs nothing more'
            )


def captured(graph: Deployable) -> torch.export.ExportedProgram:
    """Return the graph of a module with a batch of any size, freed of what tells of this machine."""
    example = torch.zeros(
        2, graph.channels, *graph.size, dtype=torch.uint8
    )  # a batch of 1 would be taken for a constant
    batch = {0: torch.export.Dim("batch")}
    with torch.no_grad():
        program = torch.export.export(graph.eval(), (example,), dynamic_shapes=(batch,))
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # names files and lines of the code
    return program


def channels(description: dict[str, Any]) -> str:
    """Return what the channels of a described model's input are."""
    said = description["input"]["channels"]
    return said if isinstance(said, str) else f"channels {said}"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep the exporters' progress reports and advice from the screen; exceptions come through."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
