"""Find what is missing from a composed config or contradicts itself: the second layer of errors, without torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from visionkit.config import values
from visionkit.config.contradictions import contradictions
from visionkit.config.head_checks import losses
from visionkit.errors import ConfigError


def problems(config: DictConfig) -> list[str]:
    """Return a line for each problem of a command's config, with its dotted key."""
    unset = missing(config)
    # What refers to a missing value is broken too, but that tells a person nothing.
    broken = [] if unset else list(_broken_interpolations(config))
    return [*unset, *broken, *_wrong_values(config), *contradictions(config)]


def missing(config: DictConfig) -> list[str]:
    """Return a line for each value that the user has to give."""
    # OmegaConf's own missing_keys stumbles over interpolations that refer to a missing value.
    return [f"{key} has no value; give it: {key}=..." for key in _unset(OmegaConf.to_container(config), "")]


def _unset(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _unset(child, f"{key}.{name}" if key else str(name))
    elif node == "???":
        yield key


def _broken_interpolations(config: DictConfig) -> Iterator[str]:
    try:
        OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        yield f"{error.full_key}: {str(error).splitlines()[0]}"


def _wrong_values(config: DictConfig) -> Iterator[str]:
    of_losses = {f"{key}.{name}": check for key, _ in losses(config) for name, check in _OF_LOSSES.items()}
    for key, check in {**_CHECKS, **of_losses, **(_OF_SUMMARY if "num_classes" in config else {})}.items():
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if not isinstance(node, DictConfig) or name not in node or OmegaConf.is_missing(node, name):
            continue
        if key == "data.root" and node.get("download") is True:
            continue  # the folder is made when it is downloaded into
        try:
            value = OmegaConf.to_container(node)[name]  # type: ignore[call-overload, index]
            if not (isinstance(value, str) and "${" in value):
                check(key, value)
        except ConfigError as error:
            yield str(error)


def _budget(key: str, value: Any) -> None:
    if value is not None:
        values.seconds(str(value))


def _save_every(key: str, value: Any) -> None:
    values.steps_or_seconds(value, key)


def _resume(key: str, value: Any) -> None:
    if value in (None, values.AUTO):
        return
    found = Path(str(value)).expanduser()
    if not found.exists():
        raise ConfigError(f"{key}={value} is not there; give the folder of a run, its last.ckpt, or {key}=auto")
    if found.is_file() and found.name != values.LAST:
        raise ConfigError(
            f"{key}={value} does not hold all that a training needs to go on; give the folder of a run or its last.ckpt"
        )


def _size(key: str, value: Any) -> None:
    values.image_size(value, key)


def _root(key: str, value: Any) -> None:
    if value is not None and not Path(str(value)).expanduser().is_dir():
        raise ConfigError(f"{key}={value} is no folder; give the folder that holds your data")


def _list_file(key: str, value: Any) -> None:
    if value is not None and not Path(str(value)).expanduser().is_file():
        raise ConfigError(f"{key}={value} is no file; give a list of names, or data.leave_out=null")


def _checkpoint(key: str, value: Any) -> None:
    if value is not None:
        values.checkpoint_file(str(value))


def _source(key: str, value: Any) -> None:
    values.source_path(str(value))


def _switch(key: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{key}={value} is neither true nor false; give one of them")


def _device(key: str, value: Any) -> None:
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps", str(value)):
        raise ConfigError(f"{key}={value} is no device; choose cpu, cuda or, with several GPUs, cuda:0, cuda:1, ...")


def _whole(least: int, *, or_null: bool = False) -> Callable[[str, Any], None]:
    def check(key: str, value: Any) -> None:
        if (value is None and or_null) or (isinstance(value, int) and not isinstance(value, bool) and value >= least):
            return
        allowed = f"a whole number of at least {least}{' or null' if or_null else ''}"
        raise ConfigError(f"{key}={value} is out of range; give {allowed}")

    return check


def _stages(key: str, value: Any) -> None:
    if value != "all" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ConfigError(f"{key}={value} is no number of stages; give 0, 1, 2, ... or all")


def _until(key: str, value: Any) -> None:
    epochs = value if isinstance(value, list) else [value]
    for epoch in epochs:
        _whole(1, or_null=not isinstance(value, list))(key, epoch)
    if epochs != sorted(epochs):
        raise ConfigError(f"{key}={value} is out of order; give rising epochs, the coarsest level's first")


def _factor(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"{key}={value} is no factor; give a number above 0, 1 at most")


def _decay(key: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1):
        raise ConfigError(f"{key}={value} is no decay; give a number from 0 on and below 1, such as 0.999, or null")


def _names(key: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{key}={value} is no list of names; give {key}=[{value}]")


def _share(key: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{key}={value} is no probability; give a number from 0 to 1")


def _unless_null(read: Callable[[Any], Any]) -> Callable[[str, Any], None]:
    """Return the check of a value that `read` refuses by itself, with its key."""

    def check(key: str, value: Any) -> None:
        if value is not None:
            read(value)

    return check


def _channels(least: float) -> Callable[[str, Any], None]:
    def check(key: str, value: Any) -> None:
        if not (isinstance(value, list) and value and all(isinstance(v, int | float) and v > least for v in value)):
            raise ConfigError(f"{key}={value} must be a list with a number for each channel, above {least:g}")

    return check


def _class_weights(key: str, value: Any) -> None:
    numbers = isinstance(value, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and v >= 0 for v in value
    )
    if value not in (None, "balanced") and not (numbers and any(value)):
        raise ConfigError(
            f"{key}={value} weighs no classes; give null, balanced or a list with a number from 0 on for each class"
        )


def _one_of(*allowed: str) -> Callable[[str, Any], None]:
    def check(key: str, value: Any) -> None:
        if value not in allowed:
            raise ConfigError(f"{key}={value} is not known; choose {', '.join(allowed[:-1])} or {allowed[-1]}")

    return check


def _devices(key: str, value: Any) -> None:
    if value != "auto" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ConfigError(f"{key}={value} is no number of processes; give 1 or more, or auto")


def _precision(key: str, value: Any) -> None:
    if str(value) not in ("auto", "32", "32-true", "bf16", "bf16-mixed", "16", "16-mixed"):
        raise ConfigError(f"{key}={value} is no precision; choose auto, 32, bf16-mixed or 16-mixed")


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "seed": _whole(0),
    "epochs": _whole(1, or_null=True),
    "budget": _budget,
    "tune": _unless_null(lambda value: _one_of("lr", "batch")("tune", value)),
    "resume": _resume,
    "save_every": _save_every,
    "channels_last": _switch,
    "compile": _switch,
    "activation_checkpointing": _switch,
    "init.strict": _switch,
    "freeze.stages": _stages,
    "freeze.norm": _switch,
    "freeze.heads": _names,
    "freeze.until_epoch": _until,
    "layer_decay": _factor,
    "ema.decay": _decay,
    "normalize.mean": _channels(-1e9),
    "normalize.std": _channels(0),
    "data.root": _root,
    "data.download": _switch,
    "data.size": _size,
    "data.resize": _one_of("fit", "crop"),
    "data.cache": _one_of("none", "ram", "disk"),
    "data.batch_size": _whole(1),
    "data.workers": _whole(0, or_null=True),
    "data.mirror": _share,
    "data.background": _whole(0, or_null=True),
    "data.split": _one_of("given", "auto"),
    "data.fold": _unless_null(lambda value: values.fold(str(value))),
    "data.group": _unless_null(lambda value: values.pattern(str(value))),
    "data.classes": _unless_null(values.chosen_classes),
    "data.limit": _whole(1, or_null=True),
    "data.sampler": _one_of("shuffle", "balanced", "repeat_factor"),
    "data.repeat_threshold": _share,
    "data.on_error": _one_of("raise", "skip"),
    "data.leave_out": _list_file,
    "trainer.devices": _devices,
    "trainer.precision": _precision,
    "trainer.num_nodes": _whole(1),
    "checkpoint": _checkpoint,
    "source": _source,
    "split": _one_of(*values.SPLITS),
    "device": _device,
    "format": _one_of("onnx", "torch"),
    "near": _switch,
    "fix": _switch,
    "preview": _whole(0),
    "workers": _whole(1, or_null=True),
}
"""What each key that engine and data rely on may be; arguments of constructors are judged by the third layer."""

_OF_LOSSES: dict[str, Callable[[str, Any], None]] = {"class_weights": _class_weights, "pos_weight": _class_weights}
"""The same for arguments of the losses, which lie below each head."""

_OF_SUMMARY: dict[str, Callable[[str, Any], None]] = {
    "size": _size,
    "num_classes": _whole(1),
    "format": _one_of("text", "json", "html"),
}
"""The same for keys that only the summary's config has, or that mean something else there."""

JUDGED = frozenset(_CHECKS)
"""The keys whose values this layer judges, some of which may be words though their default is a number."""
