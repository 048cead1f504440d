"""Say what to type on each machine of a training that nothing here can start."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from visionkit.engine.processes.placement import Size


class ByHand:
    """Tells the torchrun command of a frozen run, the same on every machine.

    `host` is the name or address of the machine where the others meet, None for this one; `port` has to be free there.
    """

    def __init__(self, host: str | None = None, port: int = 29500) -> None:
        self.host = host
        self.port = port

    def start(self, run_dir: Path, size: Size, *, gpus: bool) -> str:
        """Return what to tell the person: nothing is started."""
        meeting = [
            f"--nnodes={size.nodes}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={self.host or socket.gethostname()}:{self.port}",
            f"--rdzv-id={run_dir.name}",
        ]
        where = meeting if size.nodes > 1 else ["--standalone"]
        command = ["torchrun", *where, f"--nproc-per-node={size.each}", "-m", "visionkit.engine.worker", str(run_dir)]
        all_of_them = f"each of the {size.nodes} machines, which all have to see this folder"
        on = all_of_them if size.nodes > 1 else "this machine"
        return f"frozen in {run_dir}\ntype this on {on}:\n{shlex.join(command)}"
