"""Train one run from its frozen file to its last figure."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import torch

from visionkit.config.command import INTERRUPTED, STARTED
from visionkit.config.folders import short
from visionkit.config.frozen import thaw
from visionkit.data.pixels import in_memory
from visionkit.engine import baseline, build, checkpoint, facts, hints, pictures, results
from visionkit.engine.doctor import quick
from visionkit.engine.module import combined
from visionkit.engine.processes import placement, sharding
from visionkit.engine.quiet import start_log
from visionkit.engine.setup import DEFAULT_BUDGET, Setup, budget_seconds, set_up
from visionkit.engine.survival.trouble import explained
from visionkit.engine.survival.writing import FOLDER, remove_leftovers
from visionkit.errors import UserError

log = logging.getLogger("visionkit")


def fit(run_dir: Path) -> float | None:
    """Train, evaluate the best checkpoint, draw pictures, write `result.json`; return the monitor's value.

    Every rank of a distributed run calls this with the same folder; rank 0 alone writes and speaks.
    """
    rank = placement.rank()
    start_log(run_dir if rank == 0 else None, screen=rank == 0)
    frozen = thaw(run_dir)
    setup = set_up(frozen, run_dir, progress_bar=rank == 0 and sys.stdout.isatty())
    with setup.interrupt.signals, explained(setup.config, run_dir):
        return _run(setup, run_dir, rank)


def _run(setup: Setup, run_dir: Path, rank: int) -> float | None:
    log.info(_opening(setup, run_dir))
    if rank == 0:
        remove_leftovers(run_dir / FOLDER)
        quick.tell(setup.data.records, setup.config["data"], setup.data.kinds)
        if setup.begun_with:
            results.write_weights(setup.begun_with.as_json(), run_dir)
        if not setup.resumed:
            pictures.augmented_batch(setup, run_dir / "pictures")
    began = time.perf_counter()
    setup.trainer.fit(setup.module, setup.data, ckpt_path=setup.resumed, weights_only=True)
    trained = time.perf_counter()
    best = Path(setup.best.best_model_path)
    if not best.is_file():
        raise UserError(
            f"training ended before its first validation, so there is no model in {run_dir}; train for longer"
        )
    state = checkpoint.network_state(checkpoint.read(best))
    sharding.load(setup.module.network, state)
    metrics = _evaluate(setup)
    trivial = _trivial(setup)
    if sharding.is_shared(setup.module.network):  # what is left is rank 0's alone
        setup.module.network = build.build_network(build.network_node(setup.config), setup.module.class_names)
        setup.module.network.load_state_dict(state)
    if rank == 0:
        pictures.predictions(setup, run_dir / "pictures")
    ended = time.perf_counter()
    seconds = {
        "setup": began - STARTED,
        "training": setup.clock.before + trained - began,
        "evaluation": ended - trained,
    }
    if rank == 0:
        advice = hints.hints(*facts.gather(setup, metrics, trivial))
        result = results.collect(setup, run_dir, metrics, trivial, seconds, advice)
        results.write(result, run_dir)
        results.write_skipped(setup.data.skipped, run_dir)
        results.show(result, setup, run_dir)
    if setup.interrupt.pressed:
        raise SystemExit(INTERRUPTED)
    return metrics.get(str(setup.best.monitor))


def _opening(setup: Setup, run_dir: Path) -> str:
    counts = "  ".join(f"{split} {len(records.names)}" for split, records in setup.data.records.items())
    names = setup.module.class_names
    classes = "  ".join(f"{head} {len(own)}" if len(names) > 1 else f"{len(own)}" for head, own in names.items())
    parameters = sum(p.numel() for p in setup.module.network.parameters())
    return (
        f"{setup.config['name']} in {short(run_dir)}\n"
        f"images: {counts}   classes: {classes}   parameters: {parameters:,}   "
        f"until: {_until(setup.config)}   processes: {setup.trainer.world_size}{_cache(setup)}"
    )


def _cache(setup: Setup) -> str:
    if setup.data.cache is None or in_memory(setup.data.records["train"].images):
        return ""
    return f"\ncache: resized images are kept in {setup.data.cache.folder}, until you remove them"


def _until(config: dict[str, Any]) -> str:
    if budget_seconds(config) is None:
        return f"{config['trainer'].get('max_epochs') or config['epochs']} epochs"
    return str(config["budget"] or f"{DEFAULT_BUDGET} (the default; epochs=N or budget=1h for more)")


def _evaluate(setup: Setup) -> dict[str, float]:
    """Return the metrics of the best weights on the validation and, where it has labels, the test split."""
    metrics = dict(setup.trainer.validate(setup.module, setup.data, verbose=False)[0])
    if "test" in setup.data.measured:
        metrics |= setup.trainer.test(setup.module, setup.data, verbose=False)[0]
    return {name: float(value) for name, value in metrics.items()}


@torch.inference_mode()
def _trivial(setup: Setup) -> dict[str, float]:
    """Return the monitors of the best constant guess on the same splits."""
    scores: dict[str, float] = {}
    monitor = str(setup.best.monitor).partition("/")[2]
    for head, task in setup.tasks.items():
        names = setup.module.class_names[head]
        data = setup.data
        # Not this rank's share: every rank has to make the same guess.
        guess = baseline.learn(task, names, data.labelled_dataloader("train", task.kind))
        for split in setup.data.measured:
            found = baseline.scores(task, names, guess, setup.data.plain_dataloader(split))
            named = {setup.module.log_name(split, head, metric): value for metric, value in found.items()}
            own = (setup.module.log_name(split, head, task.monitor), f"{split}/{monitor}")
            scores |= {name: value for name, value in named.items() if name in own}
    if len(setup.tasks) > 1:
        for split in setup.data.measured:
            scores |= combined(setup.tasks, scores, split)
    return scores
