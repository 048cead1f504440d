"""Share a network's weights, gradients and optimizer state out to all processes (FSDP)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.fsdp import FSDPModule, fully_shard

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from visionkit.models.network import Network


class Sharded(ModelParallelStrategy):
    """Lightning's strategy for FSDP2 over all processes, whose checkpoints are whole: as those of one process.

    `synchronised` says whether batch normalisations share their statistics.
    """

    def __init__(self, processes: int, *, synchronised: bool) -> None:
        super().__init__(data_parallel_size=processes, tensor_parallel_size=1, save_distributed_checkpoint=False)
        self.synchronised = synchronised


def shard(network: Network, mesh: DeviceMesh, synchronised: bool) -> Network:
    """Return a network whose weights are shared out over `mesh`; one that is already stays as it is.

    Each stage of the backbone, each neck and each head is gathered by itself when it is needed; what is left belongs
    to the whole. The weights lose their memory format, which cannot be sharded; images keep theirs.
    """
    if is_shared(network):
        return network
    if synchronised:
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    network.to(memory_format=torch.contiguous_format)
    for part in (*_stages(network.backbone), *network.necks.values(), *network.heads.values(), network):
        fully_shard(part, mesh=mesh)
    return network


def is_shared(network: nn.Module) -> bool:
    """Return whether a network is shared out: then no process can run it alone."""
    return isinstance(network, FSDPModule)


def _stages(backbone: nn.Module) -> list[nn.Module]:
    """Return what a backbone calls one after the other: its children, of lists among them the entries.

    A traced network is one of them; it calls its layers past the modules that hold them.
    """
    found: list[nn.Module] = []
    for child in backbone.children():
        found += child.children() if isinstance(child, nn.ModuleList) else [child]
    return [part for part in found if any(True for _ in part.parameters())]


def load(network: nn.Module, state: dict[str, Any]) -> None:
    """Put whole tensors into a network, sharded or not."""
    # A copy: torch puts what it shares out into the dict that it is given.
    set_model_state_dict(network, dict(state), options=StateDictOptions(full_state_dict=True))
