"""Run a command by its name: visionkit train task=segmentation, the same as python -m visionkit.train."""

from __future__ import annotations

import importlib
import os
import sys

from visionkit.config.command import USER_ERROR
from visionkit.suggest import did_you_mean

COMMANDS = {
    "train": "train a network on your data, or on the embedded digits",
    "evaluate": "measure a checkpoint on a split of its data or of other data",
    "predict": "write what a checkpoint sees in an image or a folder of images",
    "export": "write a checkpoint's model as ONNX or torch.export file that runs without visionkit",
    "doctor": "say what is wrong with your data, before you train",
    "summary": "show a network layer by layer: shapes, costs and receptive fields",
}
"""Every command and what it does."""


def main() -> None:
    """Hand the arguments behind the command's name to the command."""
    if len(sys.argv) < 2 or sys.argv[1] in {"-h", "--help"}:
        print(_usage())
        return
    if sys.argv[1] in {"-sc", "--shell-completion"}:
        _complete()
        return
    name = sys.argv[1]
    if name not in COMMANDS:
        print(f"error: there is no command {name}; {did_you_mean(name, COMMANDS)}", file=sys.stderr)
        sys.exit(USER_ERROR)
    module = importlib.import_module(f"visionkit.{name}")
    sys.argv = [str(module.__file__), *sys.argv[2:]]
    module.cli()


def _complete() -> None:
    """Answer the shell: with the commands while none is there, then with what the command's configs offer.

    `visionkit -sc install=bash` prints what to evaluate in the shell; the shell then asks `visionkit -sc query=bash`,
    with the line so far in COMP_LINE.
    """
    program, _, rest = os.environ.get("COMP_LINE", "").partition(" ")
    name, behind, arguments = rest.lstrip().partition(" ")
    if program and not behind:
        print(" ".join(command for command in COMMANDS if command.startswith(name)))
        return
    if program and name not in COMMANDS:
        return
    os.environ["COMP_LINE"] = f"{program} {arguments}"  # Hydra knows programs without commands of their own
    sys.argv[0] = "visionkit"
    importlib.import_module(f"visionkit.{name or 'train'}").cli()


def _usage() -> str:
    lines = [f"  {name:10} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        [
            "usage: visionkit <command> key=value ...",
            "",
            *lines,
            "",
            "visionkit <command> --help tells more; it is the same as python -m visionkit.<command>.",
            'Completion, in the shell\'s start file: eval "$(visionkit -sc install=bash)", or zsh or fish.',
        ]
    )


if __name__ == "__main__":
    main()
