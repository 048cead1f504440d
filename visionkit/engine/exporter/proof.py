"""Prove an exported file on images that the checkpoint was validated with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from visionkit.config.frozen import plain
from visionkit.data.collate import Collate
from visionkit.data.dataset import Samples
from visionkit.engine import build, checkpoint
from visionkit.engine.checkpoint import Model
from visionkit.engine.evaluation import merged_data
from visionkit.engine.exporter.agreement import Agreement, compare, disturbed
from visionkit.engine.exporter.formats import Run
from visionkit.engine.exporter.graph import Deployable
from visionkit.errors import ConfigError, DataError
from visionkit.models.contracts import Head
from visionkit.suggest import did_you_mean
from visionkit.types import Boxes

BATCHES = (1, 5, 10)
"""The sizes of the batches that a file is run on: different ones, and none that it was exported with."""


def validation_images(model: Model, changes: Any, trusted: Any, path: Path) -> tuple[Tensor, int]:
    """Return uint8 images (sum of `BATCHES`, C, H, W) from all over the validation split, and how many are different.

    They are read and placed as evaluation does it; `changes` are laid over the checkpoint's own `data` node. Raises
    DataError when the data are not there.
    """
    for key in changes or {}:
        if key not in model.manifest["data"]:
            raise ConfigError(f"data.{key}: the checkpoint's data has no such key; "
                              f"{did_you_mean(str(key), model.manifest['data'])}")  # fmt: skip
    node = plain(OmegaConf.create({"data": merged_data(model, changes, trusted, path)}))["data"]
    data = build.build_data({**node, "size": model.manifest["size"], "cache": "none"}, None, model.manifest["seed"], ())
    try:
        records = data.records["val"]
    except DataError as error:
        moved = f"; where the data moved, say data.root=... (it was {node['root']})" if "root" in node else ""
        raise DataError(
            f"{error}\nan export is proved on validation images of the checkpoint's data, which cannot be read{moved}"
        ) from None
    samples = Samples(records, checkpoint.resize_of(model.manifest), ())
    chosen = np.linspace(0, len(samples) - 1, sum(BATCHES)).round().astype(int).tolist()
    return Collate()([samples[0, index] for index in chosen]).images.contiguous(), len(set(chosen))


@torch.inference_mode()
def prove(graph: Deployable, run: Run, images: Tensor) -> dict[str, Agreement]:
    """Compare the file's results with those of the checkpoint's own network and decoding, batch by batch, by head."""
    agreements = dict.fromkeys(graph.outputs, Agreement())
    for batch in torch.split(images, list(BATCHES)):
        outputs, found = graph.network(batch), run(batch)
        for name, output in graph.outputs.items():
            head, own = graph.head(name), outputs[name]

            def again(number: int, head: Head = head, own: Any = own) -> Boxes:
                decoded = head.decode(disturbed(own, number))
                assert isinstance(decoded, Boxes)
                return decoded

            result = found[output.name] if isinstance(found, dict) else found
            agreements[name] += compare(head.decode(own), result, again)
    return agreements
