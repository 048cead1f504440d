"""Say which tensors of a checkpoint of ours a network takes: the backbone's, and those of the heads that both have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from visionkit.engine.weights import files
from visionkit.errors import UserError
from visionkit.models.network import Network


class Parts(NamedTuple):
    """How the parts of a network and those of a checkpoint belong together."""

    names: dict[str, str]
    """The checkpoint's name of each tensor that is looked for in it, by ours."""
    new: tuple[str, ...]
    """Our heads and necks that the checkpoint has not, as `heads.<name>`."""
    left: tuple[str, ...]
    """Beginnings of the checkpoint's names of what we have not."""


def match(network: Network, file: files.Weights, path: str) -> Parts:
    """Return which part is which: heads by their names, a neck by the head that reads it, else by its own name.

    So the only neck of a single task's checkpoint, `neck`, is found by its head. The normalisation stays the config's,
    which follows the checkpoint's.

    Raises UserError when the file is no checkpoint of ours, or joins its parts otherwise.
    """
    if file.network is None:
        raise UserError(
            f"init.network={path} holds no network of visionkit; give a best.ckpt, or the backbone alone: "
            f"init.backbone={path}"
        )
    theirs = file.network
    shared = [name for name in network.heads if name in theirs["heads"]]
    necks = _necks(network.routes, theirs["routes"], shared, path)
    necks |= {name: name for name in network.necks if name not in necks and name in theirs["necks"]}
    groups: dict[str, Mapping[str, str]] = {"heads": {name: name for name in shared}, "necks": necks}
    names: dict[str, str] = {}
    new: dict[str, None] = {}
    for name in network.state_dict():
        group, _, rest = name.partition(".")
        part, _, tensor = rest.partition(".")
        if group == "backbone":
            names[name] = name
        elif group in groups and part in groups[group]:
            names[name] = f"{group}.{groups[group][part]}.{tensor}"
        elif group in groups:
            new[f"{group}.{part}"] = None
    left = [f"{group}.{part}." for group, ours in groups.items() for part in theirs[group] if part not in ours.values()]
    return Parts(names, tuple(new), tuple(left))


def padding(config: Mapping[str, Any]) -> str | None:
    """Return how the backbone of `init.network`'s checkpoint rounds its maps, None where it or the file says nothing.

    A backbone that rounded them otherwise would give the loaded heads other maps.
    """
    path = (config.get("init") or {}).get("network")
    if path is None or not files.is_path(str(path)):
        return None
    network = files.read(files.expanded(str(path)), meta=True).network
    return None if network is None else network["backbone"].get("padding")


def check_classes(config: Mapping[str, Any], class_names: Mapping[str, tuple[str, ...]]) -> None:
    """Raise UserError when a head of `init.network`'s checkpoint knows other classes than the head of its name."""
    path = config["init"]["network"]
    if path is None or not files.is_path(str(path)):
        return
    known = files.read(files.expanded(str(path)), meta=True).class_names
    for head, names in class_names.items():
        if head in known and tuple(known[head]) != tuple(names):
            raise UserError(
                f"init.network={path}: {head} knows the classes {', '.join(known[head])} there and {', '.join(names)} "
                f"here; data.classes chooses and renames them, and init.backbone={path} takes the backbone alone"
            )


def _necks(
    ours: Mapping[str, str | None], theirs: Mapping[str, str | None], shared: Iterable[str], path: str
) -> dict[str, str]:
    """Return the checkpoint's name of each neck that a head of both reads."""
    found: dict[str, str] = {}
    for head in shared:
        own, old = ours[head], theirs[head]
        if own is None and old is None:
            continue
        if own is None or old is None or found.setdefault(own, old) != old:
            raise UserError(
                f"init.network={path}: {head} reads {_said(old)} there and {_said(own)} here, which another head reads "
                "too or which is none; give each head the neck that it had"
            )
    return found


def _said(neck: str | None) -> str:
    return "no neck" if neck is None else f"the neck {neck}"
