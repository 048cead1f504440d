"""Judge overrides of values against the keys of a composed config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from visionkit.config.checks import JUDGED
from visionkit.config.folders import options
from visionkit.suggest import closest, did_you_mean

ELSEWHERE = {
    "batch": "data.batch_size",
    "bs": "data.batch_size",
    "dataset": "data",
    "epoch": "epochs",
    "gpus": "trainer.devices",
    "image_size": "data.size",
    "img_size": "data.size",
    "imgsz": "data.size",
    "learning_rate": "optimizer.lr",
    "max_epochs": "epochs",
    "model": "backbone",
    "num_workers": "data.workers",
    "pretrained": "init.backbone",
    "weights": "init.backbone",
}
"""What other tools call a setting, and where it is here."""


class Keys:
    """Knows the keys of a composed config, and what is wrong with an override of a value."""

    def __init__(
        self, config: DictConfig, folders: Sequence[Path], multirun: bool, as_typed: Mapping[str, str]
    ) -> None:
        self.choices: dict[str, Any] = dict(config.hydra.runtime.choices)
        self.config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        self.folders = folders
        self.multirun = multirun
        self.as_typed = as_typed
        self.keys = list(_dotted(OmegaConf.to_container(self.config), ""))
        self.added: list[str] = []
        self.new_nodes: set[str] = set()

    def problem(self, override: Override) -> str | None:
        """Return what is wrong with an override of a value or of a nested choice, or None."""
        key = override.key_or_group
        typed = self.as_typed.get(override.input_line or "", override.input_line or "")
        if override.package is not None or "/" in key:
            return self._choice_problem(override, typed)
        if override.type is OverrideType.FORCE_ADD:
            return None
        exists = key in self.keys
        if override.type is OverrideType.DEL:
            return self._deletion_problem(key, typed, exists)
        if override.type is OverrideType.ADD:
            return self._addition_problem(key, typed, exists)
        if not exists:
            return f"{typed}: {self._unknown(key)}"
        if override.is_sweep_override() and not self.multirun:
            return (
                f"{typed}: several values are a sweep of one training each; put -m before them; a list is written [a,b]"
            )
        for value in values_of(override):
            default = OmegaConf.select(self.config, key, throw_on_missing=False)
            if key not in JUDGED and (problem := _other_type(default, value)):
                return f"{key}={value}: {problem}"
        return None

    def not_chosen(self, override: Override, typed: str) -> str | None:
        """Return what to type where a group's option was chosen that belongs into another part, or None."""
        group = override.key_or_group
        homes = [choice for choice in self.choices if choice.startswith(f"{group}@")]
        ours = group.split("/")[0].split(".")[0] != "hydra"
        if not ours or group in self.choices or override.type is not OverrideType.CHANGE:
            return None
        where = f"; here it is part of another: {homes[0]}={override.get_value_element_as_str()}" if homes else ""
        return f"{typed}: no {group} is chosen by itself{where}"

    def _choice_problem(self, override: Override, typed: str) -> str | None:
        name = override.key_or_group if override.package is None else f"{override.key_or_group}@{override.package}"
        known = options(self.folders, override.key_or_group)
        for option in values_of(override):
            if known and option not in known:
                return f"{typed}: there is no option {option!r}; {did_you_mean(str(option), known)}"
        if name in self.choices or override.type is not OverrideType.CHANGE:
            return None
        if name.startswith(("head@heads.", "neck@necks.", "task@tasks.")) and not any(
            choice.startswith("head@heads.") for choice in self.choices
        ):
            return (
                f"{typed}: a task has one head, head={override.get_value_element_as_str()}; task=multitask has several"
            )
        return (
            f"{typed}: nothing is chosen at {name}; {did_you_mean(name, [c for c in self.choices if 'hydra' not in c])}"
        )

    def _deletion_problem(self, key: str, typed: str, exists: bool) -> str | None:
        if not exists:
            same_depth = [k for k in self.keys if k.count(".") == key.count(".")]
            return f"{typed}: there is no {key} to leave out; {did_you_mean(key, same_depth)}"
        if "." not in key:
            other = list(options(self.folders, key))
            return f"{typed}: a run needs {key}; " + (f"choose {key}={' or '.join(other)}" if other else "keep it")
        return None

    def _addition_problem(self, key: str, typed: str, exists: bool) -> str | None:
        if exists:
            return f"{typed}: {key} is there already; change it without the +: {typed.lstrip('+')}"
        parent, _, name = key.rpartition(".")
        if name == "_target_":  # a part of one's own, whose other arguments may follow
            self.new_nodes.add(parent)
        if parent in self.new_nodes or f"{parent}._target_" in self.keys:
            self.added.append(typed)
            return None
        return f"{typed}: {self._unknown(key)}"

    def _unknown(self, key: str) -> str:
        """Return that there is no such setting, and which was probably meant."""
        parent, _, name = key.rpartition(".")
        siblings = [k.rpartition(".")[2] for k in self.keys if k.rpartition(".")[0] == parent]
        node = OmegaConf.select(self.config, parent) if parent else None
        built = f"{parent}._target_" in self.keys  # `in` of a DictConfig overlooks what is missing
        if not built and parent in self.choices and (having := self._options_with(parent, name)):
            choose = " or ".join(f"{parent}={option}" for option in having)
            return f"{parent}={self.choices[parent]} has no setting {name}; choose {choose}"
        plus = f"another argument of its class is added with a plus: +{key}=..." if built else ""
        if parent and (close := closest(name, siblings)):
            return f"there is no setting {key}; did you mean {parent}.{close}? {plus}".rstrip()
        if name in ELSEWHERE:
            return f"there is no setting {key}; here it is {ELSEWHERE[name]}="
        if isinstance(node, DictConfig) and siblings:
            has = f"{parent} has {', '.join(s for s in siblings if not s.startswith('_'))}"
            return f"there is no setting {key}; {has}" + (f"; {plus}" if plus else "")
        if same := [k for k in self.keys if k.rpartition(".")[2] == name and name]:
            return f"there is no setting {key}; did you mean {same[0]}?"
        if close := closest(key, self.keys):
            return f"there is no setting {key}; did you mean {close}?"
        return f"there is no setting {key}; --help lists the groups and keys, --cfg job every setting"

    def _options_with(self, group: str, name: str) -> list[str]:
        found = []
        for option, path in options(self.folders, group).items():
            node = OmegaConf.to_container(OmegaConf.load(path))  # `in` of a DictConfig overlooks what is missing
            if isinstance(node, dict) and name in node:
                found.append(option)
        return found


def values_of(override: Override) -> list[Any]:
    """Return the values of an override: several for a sweep."""
    if override.is_sweep_override():
        return [OverridesParser.create().parse_override(f"x={v}").value() for v in override.sweep_string_iterator()]
    return [override.value()]


def _other_type(default: Any, value: Any) -> str | None:
    """Return what is wrong when text is given for a number or for true and false."""
    if not isinstance(value, str) or "${" in value:
        return None
    if isinstance(default, bool):
        return "takes true or false"
    if isinstance(default, int | float):
        return f"takes a number, such as {default}"
    return None


def _dotted(node: Any, key: str) -> Iterator[str]:
    if key:
        yield key
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, child in pairs:
        yield from _dotted(child, f"{key}.{name}" if key else str(name))
