"""Run one process of a training from its frozen file: python -m visionkit.engine.worker <run_dir>."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Train the run whose folder is the only argument."""
    from visionkit.config.command import USER_ERROR, yield_cores
    from visionkit.errors import UserError

    yield_cores()
    from visionkit.engine.fit import fit

    if len(sys.argv) != 2:
        sys.exit("usage: python -m visionkit.engine.worker <run_dir>")
    try:
        fit(Path(sys.argv[1]).absolute())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
