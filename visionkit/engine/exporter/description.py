"""Describe an exported model as plain data, which travels in the file: all that a program needs to use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visionkit.data.geometry import AREA_BELOW, PAD_VALUE
from visionkit.engine.checkpoint import Model, pixels_of, versions
from visionkit.engine.exporter.graph import INPUT, Deployable

KEY = "visionkit"
"""The entry of an ONNX file's metadata that holds the description as JSON."""

_OF_DETECTION = ("score_threshold", "nms_iou", "max_candidates", "max_detections")


def describe(model: Model, graph: Deployable) -> dict[str, Any]:
    """Return the description of a model; what is of a head is under `heads` where there are several."""
    height, width = model.manifest["size"]
    window, channels = pixels_of(model.manifest).values()
    pixels = {"channels": "RGB" if channels is None else channels}  # indices of the file's channels
    if window is not None:
        pixels["window"] = window  # the raw values that become 0 and 255
    heads = {name: _of_head(model, graph, name) for name in graph.outputs}
    only = next(iter(heads))
    return {
        **({"task": only, **heads[only]} if len(heads) == 1 else {"heads": heads}),
        "input": {"name": INPUT, "dtype": "uint8", "shape": ["batch", graph.channels, height, width], **pixels},
        "geometry": _geometry(model.manifest.get("resize", "fit"), graph.channels),
        "normalisation": "in the graph",
        "versions": versions(),
    }


def outputs(description: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a description says of each output, by head."""
    found = {str(name): head["output"] for name, head in description.get("heads", {}).items()}
    return found or {description["task"]: description["output"]}


def _of_head(model: Model, graph: Deployable, name: str) -> dict[str, Any]:
    head, output = model.manifest["network"]["heads"][name], graph.outputs[name]
    return {
        "class_names": list(model.class_names[name]),
        "output": {
            "name": output.name,
            "dtype": "float32",
            "shape": ["batch", *output.shape],
            "axes": ["batch", *output.axes],
        },
        "thresholds": {key: head[key] for key in _OF_DETECTION if key in head},  # already applied in the graph
        # Of the task: what visionkit itself does with the output.
        "settings": {key: value for key, value in model.manifest["tasks"][name].items() if key != "_target_"},
    }


def _geometry(resize: str, channels: int) -> dict[str, Any]:
    """Return what brings an image to the network."""
    interpolation = f"linear, edges to edges; averages of areas below {AREA_BELOW} of the size"
    if resize == "crop":
        return {
            "window": "sides height / scale and width / scale, rounded, at least 1 and at most the image's; scale "
            "is max(height / image height, width / image width)",
            "corner": "(image height - window height) // 2, (image width - window width) // 2 of the image",
            "resize": "the window to height x width",
            "interpolation": interpolation,
        }
    return {
        "resize": "by min(height / image height, width / image width), sides rounded, at least 1",
        "interpolation": interpolation,
        "corner": "(height - resized height) // 2, (width - resized width) // 2",
        "fill": [PAD_VALUE] * channels,
    }
