"""Read a file of weights, without running anything that it holds: tensors by name, and what a checkpoint says."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from visionkit.errors import UserError

SUFFIXES: Final = (".pth", ".pt", ".ckpt", ".safetensors")
"""What files of weights are called."""

_WRAPPERS: Final = ("state_dict", "model", "model_state_dict")
_NETWORK: Final = "network."
_BROKEN = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


class Weights(NamedTuple):
    """The tensors of a file."""

    tensors: dict[str, Tensor]
    network: Mapping[str, Any] | None
    """The network's node, when a checkpoint of visionkit brings one; the tensors then bear that network's names."""
    class_names: Mapping[str, Sequence[str]]
    """Those of its heads; empty without such a node."""


def is_path(value: str) -> bool:
    """Return whether what names weights is meant as the path of a file."""
    return "/" in value or "\\" in value or value.startswith("~") or value.endswith(SUFFIXES) or Path(value).exists()


def expanded(value: str) -> Path:
    """Return the path of a file, `~` being the home folder."""
    return Path(value).expanduser()


def problem(path: Path) -> str:
    """Return why a file cannot hold weights, by its name and its first and last bytes; nothing when it may."""
    if path.is_dir():
        return f"{path} is a folder; give a file ({', '.join(SUFFIXES)})"
    if not path.is_file():
        return f"{path} is no file; give the path of a file ({', '.join(SUFFIXES)})"
    try:
        with path.open("rb") as content:
            head = content.read(9)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    if path.suffix == ".safetensors":
        length = int.from_bytes(head[:8], "little")
        if head[8:] != b"{" or length > path.stat().st_size - 8:
            return f"{path} is no safetensors file, or only a part of one"
    elif not (zipfile.is_zipfile(path) or head[:1] == b"\x80"):
        what = "only a part of one" if head.startswith(b"PK") else "it does not begin as torch.save writes"
        return f"{path} is no file of weights ({what})"
    return ""


def read(path: Path, *, meta: bool = False) -> Weights:
    """Return the tensors of a file on the CPU or, without their values, on the meta device.

    A dict that wraps the state dict in the usual way is unwrapped. Raises UserError, which names the file, when there
    are no tensors to be had; a file that could run code is never unpickled.
    """
    if found := problem(path):
        raise UserError(found)
    content: Any = _safetensors(path) if path.suffix == ".safetensors" else _torch(path, "meta" if meta else "cpu")
    if isinstance(content, dict) and "visionkit" in content and isinstance(content.get("state_dict"), dict):
        named = content["state_dict"].items()
        tensors = {name.removeprefix(_NETWORK): value for name, value in named if name.startswith(_NETWORK)}
        return Weights(tensors, content["visionkit"]["network"], content["visionkit"].get("class_names", {}))
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    named = content.items() if isinstance(content, dict) else ()
    tensors = {str(name): value for name, value in named if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path} holds no tensors by name; weights are a state dict, as torch.save writes it")
    return Weights(tensors, None, {})


def _torch(path: Path, device: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle of another protocol, which is refused or read all the same
            return torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        # What torch says goes on to advise weights_only=False, which would run the code.
        named = re.search(r"(?:Unsupported global: GLOBAL|Trying to load unsupported GLOBAL) (\S+)", str(error))
        raise UserError(
            f"{path} holds more than tensors{f' ({named[1]})' if named else ', or is no pickle of torch.save'}; it is "
            "not opened, as that could run code: where you trust it, open it yourself and save its state_dict()"
        ) from None
    except _BROKEN as error:
        raise UserError(f"{path} cannot be read as weights ({_first_line(error)})") from None


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (*_BROKEN, SafetensorError) as error:
        raise UserError(f"{path} cannot be read as weights ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
