"""Write ONNX files and run them with ONNX Runtime."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from visionkit.engine.exporter.description import KEY, outputs
from visionkit.engine.exporter.formats import Format, Run, captured, channels, quietly
from visionkit.engine.exporter.graph import INPUT, Deployable


class OnnxFormat(Format):
    """One .onnx file, weights included; the description is the entry `visionkit` of its metadata."""

    suffix: ClassVar[str] = ".onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxscript", "onnxruntime")

    def write(self, graph: Deployable, description: dict[str, Any], path: Path) -> None:
        """Write a module for batches of any size."""
        with quietly():
            program = torch.onnx.export(
                captured(graph),
                input_names=[INPUT],
                output_names=[output.name for output in graph.outputs.values()],
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            model = program.model
            for node in model.graph.all_nodes():
                node.metadata_props.clear()  # each names lines and paths of the code that it came from
            model.metadata_props.clear()
            model.metadata_props[KEY] = json.dumps(description)
            program.save(path, external_data=False)

    def open(self, path: Path) -> Run:
        """Load the file into ONNX Runtime, on the CPU."""
        import onnxruntime  # type: ignore[import-untyped]

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        names = [output.name for output in session.get_outputs()]

        def run(images: Tensor) -> Tensor | dict[str, Tensor]:
            found = [torch.from_numpy(output) for output in session.run(None, {INPUT: images.numpy()})]
            return dict(zip(names, found, strict=True)) if len(found) > 1 else found[0]

        return run

    def usage(self, path: Path, description: dict[str, Any]) -> list[str]:
        """Return the lines of Python that run the file."""
        shape = (1, *description["input"]["shape"][1:])
        names = [re.sub(r"\W", "_", output["name"]) for output in outputs(description).values()]
        return [
            f"import numpy, onnxruntime; session = onnxruntime.InferenceSession({str(path)!r})",
            f"images = numpy.zeros({shape}, dtype=numpy.uint8)  # {channels(description)}; "
            "session.get_modelmeta() says how to fit and pad",
            f"{', '.join(names) if len(names) > 1 else f'({names[0]},)'} = session.run(None, {{{INPUT!r}: images}})",
        ]
