"""End a training at the first loss that is not finite, and say where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from visionkit.config.command import USER_ERROR
from visionkit.config.folders import short
from visionkit.engine.module import VisionModule
from visionkit.engine.survival.blame import Blame, blame
from visionkit.engine.survival.consensus import Consensus
from visionkit.engine.survival.writing import NotFiniteError, how_to_go_on
from visionkit.types import Batch

NAMED = 8
"""Images that the message names at most; the file has them all."""


class Finite(L.Callback):
    """Stops every rank before the optimizer takes a step by a loss that is not finite on one of them.

    It looks behind the backward pass. A GPU has done the forward pass by then and has the backward pass still to do,
    so waiting for the loss keeps it busy; before the backward pass it would run idle in each step. The weights are
    still those that made the loss. Infinite gradients of a finite loss, as 16-mixed makes them on its way to a scale,
    are no concern of this. The batch is kept in `nan_batch.pt`, which `torch.load` reads with `weights_only=True`.
    """

    def __init__(self, consensus: Consensus) -> None:
        self._consensus = consensus
        self._batch: Batch | None = None
        self._loss: Tensor | None = None
        self._finite: Tensor | None = None
        self._known: Any = None  # an event of the GPU: the answer has arrived

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Remember the batch."""
        self._batch = batch

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Ask whether the loss is finite, without waiting for the answer."""
        self._loss = loss.detach()
        finite = torch.isfinite(self._loss)
        if not finite.is_cuda:
            self._finite = finite
            return
        self._finite = torch.empty_like(finite, device="cpu", pin_memory=True).copy_(finite, non_blocking=True)
        self._known = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._known.record()

    def on_after_backward(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wait for the answer, and stop."""
        if self._known is not None:
            self._known.synchronize()
        wrong = not bool(self._finite)
        if not self._consensus.largest(int(wrong)):
            return
        assert isinstance(pl_module, VisionModule)
        assert self._batch is not None
        assert self._loss is not None
        with trainer.precision_plugin.forward_context():
            found = blame(pl_module, self._batch)  # on every rank: heads sum their counts over all of them
        if not wrong:  # another rank tells
            raise SystemExit(USER_ERROR)
        raise NotFiniteError(_report(trainer, pl_module, self._batch, float(self._loss), found))


def _report(trainer: L.Trainer, module: VisionModule, batch: Batch, loss: float, found: Blame) -> str:
    """Keep the batch; return what happened, where, and what to lower."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    all_names = data.records["train"].names
    names = [all_names[index] for index in batch.ids.tolist()]
    run_dir = Path(trainer.default_root_dir)
    rank = f"_{trainer.global_rank}" if trainer.world_size > 1 else ""
    kept = keep(batch, names, run_dir / f"nan_batch{rank}.pt")
    _draw(module, batch, kept)
    where = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step + 1}"
    advice = lower(str(trainer.precision), trainer.gradient_clip_val, trainer.optimizers[0].param_groups[0]["lr"])
    return "\n".join(
        [
            f"the loss is {loss:g} in {where}: {found.told()}",
            f"the batch: {listed(names)}; it is kept in {short(kept)}",
            f"lower {advice}; no step was taken by this loss: {how_to_go_on(run_dir)}",
        ]
    )


def keep(batch: Batch, names: Sequence[str], path: Path) -> Path:
    """Write a batch as plain tensors and the names of its images; return the file's path."""
    targets = {name: value.cpu() for name, value in batch.targets._asdict().items() if value is not None}
    kept = {
        "images": batch.images.cpu(),
        "targets": targets,
        "ids": batch.ids.cpu(),
        "sizes": batch.sizes.cpu(),
        "names": list(names),
    }
    torch.save(kept, path)
    return path


def _draw(module: VisionModule, batch: Batch, kept: Path) -> None:
    """Write pictures of the batch beside it, one for each head that has labels in it."""
    from visionkit.engine import pictures  # it draws whole set-ups, which this is a part of

    moved = batch._replace(
        images=batch.images.cpu(),
        targets=type(batch.targets)(*(value if value is None else value.cpu() for value in batch.targets)),
        ids=batch.ids.cpu(),
        sizes=batch.sizes.cpu(),
    )
    drawn = pictures.draw_batch(moved, module.tasks, module.class_names, pictures.MAX_PICTURES)
    if drawn is not None:
        pictures.write_image(kept.with_suffix(".png"), drawn)


def lower(precision: str, clip: float | None, rate: float) -> str:
    """Return what may keep a loss finite."""
    advice = [f"optimizer.lr (it is {rate:.3g} now)"]
    if precision != "32-true":
        advice.append(f"the risk of trainer.precision={precision} by 32-true")
    if clip is None:
        advice.append("large gradients by trainer.gradient_clip_val=1")
    return f"{', '.join(advice[:-1])}, or {advice[-1]}" if advice[1:] else advice[0]


def listed(names: Sequence[str]) -> str:
    """Return the names, the first of many."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
