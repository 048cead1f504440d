"""What to type on each machine."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from torch.distributed.run import parse_args

from visionkit.engine.processes.by_hand import ByHand
from visionkit.engine.processes.placement import Size


def typed(said: str) -> list[str]:
    program, *words = shlex.split(said.splitlines()[-1])
    assert program == "torchrun"
    return words


def test_several_machines_meet_at_one(tmp_path: Path) -> None:
    run_dir = tmp_path / "my run"
    words = typed(ByHand(port=1234).start(run_dir, Size(3, 8), gpus=True))
    given = parse_args(words)
    assert (given.nnodes, given.nproc_per_node, given.rdzv_backend) == ("3", "8", "c10d")
    assert given.rdzv_endpoint == f"{socket.gethostname()}:1234"
    assert [given.training_script, *given.training_script_args] == ["visionkit.engine.worker", str(run_dir)]
    assert "--rdzv-endpoint=node7:29500" in typed(ByHand(host="node7").start(run_dir, Size(2, 1), gpus=True))


def test_one_machine_needs_no_meeting(tmp_path: Path) -> None:
    given = parse_args(typed(ByHand().start(tmp_path, Size(1, 2), gpus=True)))
    assert given.standalone
    assert given.nproc_per_node == "2"
