"""Write torch.export files and run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from visionkit.engine.exporter.description import outputs
from visionkit.engine.exporter.formats import Format, Run, captured, channels, quietly
from visionkit.engine.exporter.graph import Deployable

DESCRIPTION = "visionkit.json"
"""The extra file inside that holds the description."""


class TorchFormat(Format):
    """One .pt2 file, which `torch.export.load` reads; the description is its extra file `visionkit.json`."""

    suffix: ClassVar[str] = ".pt2"

    def write(self, graph: Deployable, description: dict[str, Any], path: Path) -> None:
        """Write a module for batches of any size."""
        with quietly():
            torch.export.save(captured(graph), path, extra_files={DESCRIPTION: json.dumps(description)})

    def open(self, path: Path) -> Run:
        """Load the file."""
        with quietly():
            module = torch.export.load(path).module()

        def run(images: Tensor) -> Tensor | dict[str, Tensor]:
            with torch.no_grad():
                output: Tensor | dict[str, Tensor] = module(images)
            return output

        return run

    def usage(self, path: Path, description: dict[str, Any]) -> list[str]:
        """Return the lines of Python that run the file."""
        shape = (1, *description["input"]["shape"][1:])
        names = [output["name"] for output in outputs(description).values()]
        return [
            f"import torch; model = torch.export.load({str(path)!r}).module()",
            f"images = torch.zeros({shape}, dtype=torch.uint8)  # {channels(description)}",
            f"{names[0]} = model(images)" if len(names) == 1 else f"results = model(images)  # {', '.join(names)}",
        ]
