"""Bring the weights that a config names into the network built from it; check beforehand what can be checked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from visionkit.engine.weights import checkpoints, download, files, fitting, networks, sources
from visionkit.engine.weights.inputs import expected, normalisation
from visionkit.engine.weights.report import Report
from visionkit.errors import ConfigError, UserError
from visionkit.models.network import Network

log = logging.getLogger("visionkit")


def problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line when `init` of a plain train config, interpolations kept, cannot be served. Reads no data."""
    init = config.get("init", {})
    if not isinstance(init, dict):
        yield f"init={init} is no weights' place; give init.backbone={init}"
        return
    body, whole = init.get("backbone"), init.get("network")
    if body is not None and whole is not None:
        yield f"init.backbone={body} and init.network={whole} contradict each other; give one of them"
    backbone = config.get("backbone") or {}
    try:
        if body is not None and "${" not in str(backbone):
            sources.of_backbone(str(body), backbone)
        if whole is not None:
            sources.of_network(str(whole))
    except ConfigError as error:
        yield str(error)


def check(config: Mapping[str, Any], network: nn.Module) -> None:
    """Raise UserError when weights do not fit a network, which may be on the meta device. Downloads nothing.

    Those of `init.backbone` have to lie on this machine for that; of a whole network torchvision knows the tensors.
    Tensors that are as many as the classes are left out, as the data are not known yet, and so are the shapes of heads
    of a checkpoint.
    """
    source = _source(config)
    if source is None or isinstance(source, sources.TimmPublished):
        return
    if isinstance(source, sources.Published) and source.network is None and not _there(source):
        return
    _, report = _fit(config, source, network, meta=True)
    if isinstance(source, sources.Published) and source.network is not None:
        known = (one for one in report.different if not source.network.of_classes(one.name, config["name"]))
        report = report._replace(different=tuple(known))
    elif config["init"]["network"] is not None:
        report = report._replace(different=tuple(one for one in report.different if not one.name.startswith("heads.")))
    _judge(config, source, report)


def apply(config: Mapping[str, Any], network: nn.Module) -> Report | None:
    """Load what `init` of a resolved train config names into the network built from it; log and return what fitted.

    None without `init`.

    Raises:
        ConfigError: There is no such source, or it has none for this network.
        UserError: They cannot be had, or do not fit this network and `init.strict` is not false.
    """
    source = _source(config)
    if source is None:
        return None
    tensors, report = _fit(config, source, network, meta=False)
    _judge(config, source, report)
    network.load_state_dict(tensors, strict=False)
    for line in report.lines():
        log.info(line)
    for line in report.still_random():
        log.warning(line)
    mean, std = normalisation(config)
    if expected(config) is None:
        log.info("  the file does not say which pixels it wants: normalize stays, mean=%s and std=%s", mean, std)
    elif (mean, std) != (list(config["normalize"]["mean"]), list(config["normalize"]["std"])):
        log.info("  these weights want pixels normalised with mean %s and deviation %s", mean, std)
    return report


def _source(config: Mapping[str, Any]) -> sources.Source | None:
    if found := list(problems(config)):
        raise ConfigError("\n".join(found))
    init = config["init"]
    if init["network"] is not None:
        return sources.of_network(str(init["network"]))
    return None if init["backbone"] is None else sources.of_backbone(str(init["backbone"]), config["backbone"])


def _fit(
    config: Mapping[str, Any], source: sources.Source, network: nn.Module, *, meta: bool
) -> tuple[dict[str, Tensor], Report]:
    said = _setting(config)
    if isinstance(source, sources.File) and config["init"]["network"] is not None:
        return _fit_checkpoint(said, source.path, cast(Network, network), meta=meta)
    label, file = _read(source, meta=meta)
    if isinstance(source, sources.Published) and source.network is not None:
        own = {name: value for name, value in network.state_dict().items() if name not in ("mean", "std")}
        theirs = networks.renamed(file, source.network, config["name"])
        names = {name: theirs.get(name, name) for name in own}
        first = fitting.first_convolution(own, file, names)
        return fitting.fit(said, label, file, own, names, first=first, may_be_left=source.network.left)
    state, backbone = network.state_dict(), network.get_submodule("backbone")
    auxiliary = _auxiliary(state, backbone)
    schemes = [
        {**{f"backbone.{name}": other for name, other in scheme.items()}, **auxiliary}
        for scheme in _schemes(backbone, file)
    ]
    names = fitting.best_names(file, schemes)
    # Files may lack the auxiliary classifiers, which are the head's and no part of a backbone.
    trained = [name for name in auxiliary if names[name] in file]
    own = {name: state[name] for name in names if name not in auxiliary or name in trained}
    first = _first(backbone) or fitting.first_convolution(own, file, names)
    # What a publisher's own network has beyond our levels is no sign of another architecture.
    beyond = ("",) if not isinstance(source, sources.File) else ()
    return fitting.fit(said, label, file, own, names, first=first, classifiers=trained, may_be_left=beyond)


def _fit_checkpoint(said: str, path: Path, network: Network, *, meta: bool) -> tuple[dict[str, Tensor], Report]:
    """Fit what a checkpoint of ours and a network have in common; other heads of the network are no mismatch."""
    weights = files.read(path, meta=meta)
    parts = checkpoints.match(network, weights, str(path))
    state = network.state_dict()
    own = {name: state[name] for name in parts.names}
    tensors = {name: tensor for name, tensor in weights.tensors.items() if name not in ("mean", "std")}
    taken, report = fitting.fit(said, str(path), tensors, own, parts.names, may_be_left=parts.left)
    return taken, report._replace(new=parts.new)


def _auxiliary(state: Iterable[str], backbone: nn.Module) -> dict[str, str]:
    """Return torchvision's name of each tensor of the heads' auxiliary classifiers: {name in `state`: name}."""
    prefixes = getattr(backbone, "auxiliary", None)
    if not isinstance(prefixes, Mapping):
        return {}
    found = {}
    for index, prefix in enumerate(prefixes):
        for name in state:
            before, place, tensor = name.partition(f"auxiliary_classifiers.{index}.")
            if place and before.startswith("heads."):  # the head may hold them in a part of its own
                found[name] = f"{prefix}.{tensor}"
    return found


def _schemes(backbone: nn.Module, file: Iterable[str]) -> Sequence[dict[str, str]]:
    """Return the ways in which files name the tensors of a backbone: {name in its state dict: name in a file}."""
    inner = {name: name.removeprefix("body.") for name in backbone.state_dict()}
    # timm's feature extractors write stages_0.x where its networks, and so its files, write stages.0.x.
    dotted = {name.replace("_", "."): name for name in file}
    flattened = {own: dotted.get(name.replace("_", "."), name) for own, name in inner.items()}
    translated = _translation(backbone)
    return [inner, flattened] if translated is None else [inner, translated]


def _translation(backbone: nn.Module) -> dict[str, str] | None:
    """Return torchvision's name of each tensor of a convnet that is written like one of torchvision's networks."""
    from visionkit.models.backbones.convnet import ConvNet

    if not isinstance(backbone, ConvNet):
        return None
    from visionkit.models.backbones.torchvision_names import torchvision_names

    try:
        return dict(torchvision_names(backbone))
    except ValueError:  # torchvision has no network like this one
        return None


def _first(backbone: nn.Module) -> str | None:
    name = getattr(backbone, "first_convolution", None)
    return f"backbone.{name}" if isinstance(name, str) else None


def _read(source: sources.Source, *, meta: bool) -> tuple[str, dict[str, Tensor]]:
    """Return where weights lie and their tensors, which are downloaded when they are not there."""
    if isinstance(source, sources.File):
        return str(source.path), files.read(source.path, meta=meta).tensors
    if isinstance(source, sources.TimmPublished):
        return f"timm's {source.name}", _from_timm(source.name)
    if meta and source.network is not None and not _there(source):
        return f"torchvision's {source.network.builder}", networks.tensors(source.network)
    path = download.fetch(source.weights.url, sources.megabytes(source.weights))
    try:
        return str(path), files.read(path, meta=meta).tensors
    except UserError as error:
        raise UserError(f"{error}; {_again(source)}") from None


def _from_timm(name: str) -> dict[str, Tensor]:
    """Return timm's pretrained tensors, by its own loader: it keeps them in its cache or downloads them."""
    import timm

    try:
        return dict(timm.create_model(name, pretrained=True).state_dict())
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"init.backbone=imagenet: timm cannot bring its weights of {name} "
            f"({next(iter(str(error).splitlines()), type(error).__name__)}); give a file, init.backbone=<file>"
        ) from None


def _setting(config: Mapping[str, Any]) -> str:
    init = config["init"]
    return f"init.network={init['network']}" if init["network"] is not None else f"init.backbone={init['backbone']}"


def _judge(config: Mapping[str, Any], source: sources.Source, report: Report) -> None:
    """Raise UserError for weights that do not fit, or of which nothing does."""
    whole = source.network if isinstance(source, sources.Published) else None
    again = f"; {_again(source)}" if isinstance(source, sources.Published) and _there(source) else ""
    if not report.loaded:
        raise UserError(
            f"{report.source}: {report.file} holds nothing of this network's: {report.strangers()}"
            f"{_way_out(whole)}{again}"
        )
    if random := [name for name in config["freeze"]["heads"] if f"heads.{name}" in report.new]:
        raise UserError(
            f"freeze.heads: {random[0]} would keep random weights, as {report.file} has no head of this name"
        )
    if report.fits or not config["init"]["strict"]:
        return
    loads = f"init.strict=false loads the {len(report.loaded)} tensors that fit and leaves the rest random"
    only_classes = whole and all(whole.of_classes(one.name, config["name"]) for one in report.different)
    if only_classes and not report.missing and not report.foreign:
        counts = report.different[0]
        raise UserError(
            f"{report.source}: the file's last layers are for {counts.file[0]} classes, yours for {counts.network[0]}; "
            f"give init.strict=false, which loads the {len(report.loaded)} other tensors and leaves these random: "
            f"{', '.join(d.name for d in report.different)}"
        )
    raise UserError(
        f"{report.source}: {report.file} does not hold weights of this network: {report.mismatches()}"
        f"{_way_out(whole)}; {loads}{again}"
    )


def _way_out(whole: networks.Mapped | None) -> str:
    return f"; experiment={whole.experiment} has the parts that these weights are of" if whole else ""


def _there(source: sources.Published) -> bool:
    return download.place(source.weights.url).is_file()


def _again(source: sources.Published) -> str:
    place, size = download.place(source.weights.url), sources.megabytes(source.weights)
    return f"if {place} is broken, remove it, and the next run downloads it again ({size} MB)"
