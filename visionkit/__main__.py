"""Run a command by its name: visionkit train task=segmentation, the same as python -m visionkit.train."""

from __future__ import annotations

import importlib
import sys

from visionkit.config.command import USER_ERROR
from visionkit.suggest import did_you_mean

COMMANDS = {
    "train": "train a network on your data, or on the embedded digits",
    "evaluate": "measure a checkpoint on a split of its data or of other data",
    "predict": "write what a checkpoint sees in an image or a folder of images",
    "export": "write a checkpoint's model as ONNX or torch.export file that runs without visionkit",
}
"""Every command and what it does."""


def main() -> None:
    """Hand the arguments behind the command's name to the command."""
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"}:
        print(_usage())
        return
    name = sys.argv[1]
    if name not in COMMANDS:
        print(f"error: there is no command {name}; {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    module = importlib.import_module(f"visionkit.{name}")
    sys.argv = [str(module.__file__), *sys.argv[2:]]
    module.cli()


def _usage() -> str:
    lines = [f"  {name:10} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        ["usage: visionkit <command> key=value ...", "", *lines, "", "visionkit <command> --help tells more."]
    )


if __name__ == "__main__":
    main()
