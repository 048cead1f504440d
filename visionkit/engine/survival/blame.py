"""Find where numbers that are not finite begin in a network."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import nn

from visionkit.engine.module import VisionModule
from visionkit.engine.survival.nested import tensors
from visionkit.models.contracts import Head
from visionkit.types import Batch


class Blame(NamedTuple):
    """What is not finite when a network is run on a batch, and where it begins."""

    terms: list[str]
    """The terms of the loss that are not finite, each with its head."""
    weight: str | None
    """The first weight that is not finite."""
    layer: str | None
    """The first module whose output is not finite."""

    def told(self) -> str:
        """Return it as a sentence."""
        terms = f"not finite: {', '.join(self.terms)}; " if self.terms else ""
        if self.weight is not None:
            return f"{terms}the weights {self.weight} are not finite, so the step before has spoilt them"
        if self.layer is not None:
            return f"{terms}the first layer whose output is not finite is {self.layer}"
        if self.terms:
            return f"{terms}every layer's output is finite, so the loss itself makes it"
        return "run again on the same batch, network and loss are finite, so chance has part in it (dropout)"


@torch.no_grad()
def blame(module: VisionModule, batch: Batch) -> Blame:
    """Run the network of a module once more on a batch, as it is trained, and watch every layer.

    The first layer is the one that ends first: the innermost of nested modules. With several ranks, all call this.
    """
    network = module.network
    first: list[str] = []

    def watch(name: str) -> Any:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            if not first and not all(bool(tensor.isfinite().all()) for tensor in tensors(output)):
                first.append(name)

        return hook

    weight = next((name for name, tensor in module.named_parameters() if not bool(tensor.isfinite().all())), None)
    handles = [layer.register_forward_hook(watch(name)) for name, layer in network.named_modules() if name]
    try:
        with torch.compiler.set_stance("force_eager"):  # compiled code knows of no hooks
            outputs = network(batch.images, batch.targets)
            terms = {
                f"{term} of {name}": value
                for name, output in outputs.items()
                for term, value in cast(Head, network.heads[name]).loss(output, batch.targets).items()
            }
    finally:
        for handle in handles:
            handle.remove()
    wrong = [name for name, value in terms.items() if not bool(value.isfinite())]
    return Blame(wrong, weight and weight.removeprefix("network."), first[0] if first else None)
