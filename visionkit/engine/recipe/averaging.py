"""Average the weights over the steps of a training, and let the average be the model."""

from __future__ import annotations

from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, distributed, nn


class EMA(L.Callback):
    """Keeps an exponential moving average of the network's weights and statistics; validations see the average.

    The step t averages with the decay `min(decay, (1 + t) / (10 + t))`: without that ramp the weights of the first
    steps would stay in a short training's average for good. Statistics of batch normalisation are averaged like
    weights; what is no floating point is the raw network's. What is frozen stays equal to the bit.

    `best.ckpt` holds the average as the network. `last.ckpt` holds the raw network, and the average in this callback's
    state. A checkpoint may be written at any time, in the middle of a validation too.

    Lightning's EMAWeightAveraging (2.6) is not used: it does not ramp; a checkpoint of weights alone, as `best.ckpt`
    is, gets the raw ones (callbacks are not asked then); and an evaluation behind the training gets the last average in
    place of the weights that were loaded for it.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        """Steps of the optimizer that were averaged."""
        self._other: dict[str, Tensor] = {}
        """The average; the raw values while the network shows the average."""
        self._live: dict[str, Tensor] = {}
        self._shows_average = False
        self._seen = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin with the weights as they are, unless a checkpoint brought an average.

        Only now is all of a checkpoint restored, the number of the step last.
        """
        network = cast(nn.Module, pl_module.network)
        self._live = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        begun = self._other or self._live
        self._other = {name: begun[name].to(live.device, copy=True) for name, live in self._live.items()}
        self._seen = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Average, where the batch ended a step."""
        if trainer.global_step == self._seen:
            return
        self._seen = trainer.global_step
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self._other.values()), list(self._live.values()), 1 - decay)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the average, unless it is an evaluation behind the training."""
        if trainer.state.fn != "fit":
            return
        if trainer.world_size > 1:
            # Ranks keep statistics of their own; those of rank 0 count, as in the checkpoint and in the next step.
            for name, _ in cast(nn.Module, pl_module.network).named_buffers():
                if name in self._other:
                    distributed.broadcast(self._other[name], 0)
        self._exchange()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on training the raw weights; Lightning asks those who write checkpoints after this."""
        self._restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the raw weights in the network."""
        self._restore()

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of its steps."""
        return {"steps": self.steps, "average": self._live if self._shows_average else self._other}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from an average."""
        self.steps = state_dict["steps"]
        self._other = state_dict["average"]

    def complete(self, checkpoint: dict[str, Any]) -> None:
        """Give a checkpoint of weights alone the average, and one for resuming the raw weights."""
        alone = "callbacks" not in checkpoint
        if alone != self._shows_average:
            checkpoint["state_dict"].update({f"network.{name}": value for name, value in self._other.items()})

    def _restore(self) -> None:
        if self._shows_average:
            self._exchange()

    def _exchange(self) -> None:
        """Swap in place, as others hold on to the network's tensors."""
        shown = [value.clone() for value in self._live.values()]
        with torch.no_grad():
            torch._foreach_copy_(list(self._live.values()), list(self._other.values()))
            torch._foreach_copy_(list(self._other.values()), shown)
        self._shows_average = not self._shows_average
