"""Make a checkpoint a model: write its manifest, and build the network again from it, offline and strictly."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from hydra.errors import HydraException
from hydra.utils import get_class
from omegaconf import OmegaConf

from visionkit.config.frozen import plain
from visionkit.config.values import image_size
from visionkit.engine import build, heads
from visionkit.errors import ConfigError, UserError
from visionkit.losses.contracts import Loss
from visionkit.models.contracts import Backbone, Head, Neck
from visionkit.models.network import Network
from visionkit.tasks.base import Task

if TYPE_CHECKING:
    from visionkit.data.geometry import Resize

FORMAT = 3
"""Rises when a manifest changes in a way that older code cannot read."""

CONTRACTS = (Backbone, Neck, Head, Loss, Task)
"""What a manifest may build when it is loaded; its data node is built by evaluation only, from readers."""

_PREFIX = "network."


class CheckpointError(UserError):
    """A checkpoint cannot be read, or holds what may not be built."""


class Model(NamedTuple):
    """What a checkpoint says, built."""

    network: Network
    tasks: dict[str, Task]
    class_names: dict[str, tuple[str, ...]]
    manifest: dict[str, Any]


def manifest(config: dict[str, Any], data: Any, class_names: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the plain data that turns weights into a model.

    `config` is the resolved train config, `data` its data node with interpolations kept, so that a value of it can
    be changed at evaluation and every place that refers to it follows.
    """
    return {
        "format": FORMAT,
        "tasks": {name: head.task for name, head in heads.heads(config).items()},
        "network": build.network_node(config),
        "class_names": {name: list(names) for name, names in class_names.items()},
        "size": list(image_size(config["data"]["size"])),
        "resize": config["data"].get("resize", "fit"),
        "data": data,
        "seed": config["seed"],
        **({"monitor": config["task"]["monitor"]} if heads.several(config) else {}),
        "provenance": config["provenance"],
        "versions": versions(),
    }


def pixels_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest's data node says of raw values and channels: `window` and `channels`, None for RGB."""
    data = OmegaConf.create({"data": manifest["data"]}).data  # the rest of it may refer to what is not here
    return {key: plain(data.get(key)) for key in ("window", "channels")}


def versions() -> dict[str, str]:
    """Return the versions of what made a checkpoint."""
    names = (
        "visionkit",
        "torch",
        "torchvision",
        "lightning",
        "torchmetrics",
        "albumentations",
        "opencv-python-headless",
    )
    return {name: version(name) for name in names}


def load_model(path: str | Path, trusted: Sequence[str] = ()) -> Model:
    """Build the model of a checkpoint on the CPU, in evaluation mode.

    Opens no connection and runs no code of the file: every class it names has to be one of ours, or of a package in
    `trusted`, and derive from a contract. Raises CheckpointError otherwise.
    """
    path = Path(path).expanduser()
    checkpoint = read(path)
    found = checkpoint["visionkit"]
    if found.get("format") != FORMAT:
        writer = found.get("versions", {}).get("visionkit", "of an unknown version")
        raise CheckpointError(
            f"{path} has the format {found.get('format')} and was written by visionkit {writer}; visionkit "
            f"{version('visionkit')} reads the format {FORMAT}: load it with the version that wrote it"
        )
    nodes = {"tasks": found["tasks"], "network": found["network"]}
    check_targets(nodes, CONTRACTS, trusted, path)
    class_names = {name: tuple(names) for name, names in found["class_names"].items()}
    network = build.build_network(found["network"], class_names)
    try:
        network.load_state_dict(network_state(checkpoint))
    except RuntimeError as error:
        raise CheckpointError(f"the weights in {path} do not fit the network it describes: {error}") from None
    return Model(network.eval(), build.build_tasks(found["tasks"]), class_names, found)


def resize_of(found: dict[str, Any]) -> Resize:
    """Return how a manifest says that images are brought to the network."""
    height, width = found["size"]
    from visionkit.data.geometry import RESIZES  # OpenCV, which a summary does without

    return RESIZES[found.get("resize", "fit")]((height, width))


def device(name: str) -> torch.device:
    """Return a device of this machine. Raises ConfigError for one that is not there."""
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device={name} cannot be used here ({str(error).splitlines()[0]}); choose cpu or cuda"
        ) from None
    return found


def network_state(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the network's own tensors out of a checkpoint that `read` gave."""
    state = checkpoint["state_dict"]
    return {name.removeprefix(_PREFIX): tensor for name, tensor in state.items() if name.startswith(_PREFIX)}


def read(path: Path) -> dict[str, Any]:
    """Read the tensors and plain data of a checkpoint. Raises CheckpointError when it holds anything else."""
    if not path.is_file():
        raise CheckpointError(f"checkpoint={path} is no file; give the path of a best.ckpt or last.ckpt")
    if not zipfile.is_zipfile(path):  # what else torch may read, and fail at in many ways, visionkit does not write
        raise CheckpointError(f"{path} cannot be read as a checkpoint: it is cut off or another kind of file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {reason}") from None
    if not isinstance(checkpoint, dict) or "visionkit" not in checkpoint or "state_dict" not in checkpoint:
        raise CheckpointError(f"{path} was not written by visionkit: it holds no manifest")
    return checkpoint


def check_targets(node: Any, contracts: tuple[type, ...], trusted: Sequence[str], path: Path) -> None:
    """Raise CheckpointError when a node names anything but a class of ours that derives from a contract."""
    for target in _targets(node):
        package = target.split(".")[0]
        if package != "visionkit" and package not in trusted:
            raise CheckpointError(f"{path} wants {target}; if you trust it, say trusted=[{package}]")
        try:
            found = get_class(target)
        except (HydraException, ImportError, ValueError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise CheckpointError(f"{path} wants {target}, which cannot be imported: {reason}") from None
        if not issubclass(found, contracts):
            names = ", ".join(contract.__name__ for contract in contracts)
            raise CheckpointError(f"{path} wants {target}, which is none of {names}")


def foreign_packages(node: Any) -> list[str]:
    """Return the packages beside visionkit whose classes a node names: who loads it has to trust them."""
    return sorted({target.split(".")[0] for target in _targets(node)} - {"visionkit"})


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "_target_":
                yield str(value)
            else:
                yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)
