"""Keep no more of a network's stages for backward than what goes into each: the rest is computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recompute(modules: Iterable[nn.Module]) -> None:
    """Let modules compute again in backward, after Chen et al.: Training Deep Nets with Sublinear Memory Cost (2016).

    Random draws are repeated as they were. Names in the state dict stay, as only `forward` is another.
    """
    for module in modules:
        module.forward = partial(twice, module.forward, module)


def twice(run: Callable[..., Any], norms_of: nn.Module, *inputs: Any) -> Any:
    """Return `run(*inputs)`, which keeps its inputs alone and runs again in backward.

    The second run leaves the statistics of the batch normalisations of `norms_of` as they are: torch's own would count
    each batch twice.
    """
    return checkpoint(run, *inputs, use_reentrant=False, context_fn=partial(_contexts, norms_of))


def _contexts(module: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _statistics_kept(module)


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Let batch normalisations count in copies of their statistics."""
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm)]
    own = [norm._buffers for norm in norms]
    for norm in norms:
        norm._buffers = {name: None if kept is None else kept.clone() for name, kept in norm._buffers.items()}
    try:
        yield
    finally:
        for norm, buffers in zip(norms, own, strict=True):
            norm._buffers = buffers
