"""Find settings that contradict each other, without torch."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

from visionkit.config.folders import conf_dir, options
from visionkit.config.head_checks import head_problems, losses
from visionkit.config.tuning_checks import tuning_problems


def contradictions(config: DictConfig) -> Iterator[str]:
    """Yield a line for each pair of settings that do not go together."""
    data, trainer = config.get("data"), config.get("trainer")
    if "augment" in config and "reader" not in (data or {}):
        yield f"data.reader: nothing reads the data; choose data={' or '.join(options([conf_dir()], 'data'))}"
    if trainer and str(trainer.get("precision", "")).startswith("16") and trainer.get("accelerator") == "cpu":
        yield f"trainer.precision={trainer.precision} needs a GPU; on a CPU choose 32 or bf16-mixed"
    if config.get("epochs") is not None and config.get("budget") is not None:
        yield f"epochs={config.epochs} and budget={config.budget} contradict each other; give one of them"
    if config.get("compile") is True and config.get("activation_checkpointing") is True:
        yield (
            "compile=true and activation_checkpointing=true do not go together: compiled code chooses by itself what "
            "to compute again; give one of them"
        )
    yield from _freezing(config)
    yield from _averaging(config)
    yield from _waiting(config)
    yield from tuning_problems(config)
    yield from _processes(config)
    yield from head_problems(config)
    for key, loss in losses(config):
        if loss.get("class_weights") == "balanced" and loss.get("class_balance"):
            yield (
                f"{key}.class_weights=balanced and {key}.class_balance={loss.class_balance} would both raise rare "
                f"classes; give {key}.class_balance=0 or {key}.class_weights=null"
            )


def _processes(config: DictConfig) -> Iterator[str]:
    trainer, cluster = config.get("trainer"), config.get("cluster")
    elsewhere = "partition" in (cluster or {}) or (trainer or {}).get("num_nodes", 1) != 1
    if elsewhere and trainer.get("devices") == "auto":
        yield "trainer.devices=auto: this machine cannot know the GPUs of others; give their number on each machine"
    if not trainer or trainer.get("strategy") != "fsdp":
        return
    if str(trainer.get("precision", "")).startswith("16-mixed"):
        yield "trainer.precision=16-mixed cannot scale gradients that are shared out (trainer=fsdp); give bf16-mixed"
    if OmegaConf.select(config, "task.loss_weights", throw_on_missing=False) == "learned":
        yield "task.loss_weights=learned: single numbers cannot be shared out (trainer=fsdp); give fixed"


def _freezing(config: DictConfig) -> Iterator[str]:
    node = config.get("freeze")
    if node is None:
        return
    if not isinstance(node, DictConfig):
        yield f"freeze={node} does not say what stays as it is; give freeze.stages={node} or freeze.norm=true"
    elif node.get("until_epoch") is not None and not node.get("stages") and not node.get("norm"):
        yield f"freeze.until_epoch={node.until_epoch} needs something to be frozen; give freeze.stages=all or the like"
    if isinstance(node, DictConfig) and node.get("heads") and OmegaConf.select(config, "init.network") is None:
        yield f"freeze.heads={node.heads} would keep random weights; give init.network=<a best.ckpt that has them>"


def _averaging(config: DictConfig) -> Iterator[str]:
    node, trainer = config.get("ema"), config.get("trainer")
    if node is None:
        return
    if not isinstance(node, DictConfig):
        yield f"ema={node} does not say how slowly the average forgets; give ema.decay={node}"
    elif node.get("decay") is not None and "fsdp" in str((trainer or {}).get("strategy")).lower():
        yield (
            f"ema.decay={node.decay} averages whole weights, of which each process of trainer.strategy="
            f"{trainer.strategy} has a part; give ema.decay=null or trainer=ddp"
        )


def _waiting(config: DictConfig) -> Iterator[str]:
    ends = OmegaConf.select(config, "callbacks.early_stopping.patience", throw_on_missing=False)
    lowers = OmegaConf.select(config, "scheduler.patience", throw_on_missing=False)
    if isinstance(ends, int) and isinstance(lowers, int) and ends <= lowers:
        yield (
            f"callbacks.early_stopping.patience={ends} ends the training before scheduler.patience={lowers} lowers the "
            f"learning rate; give callbacks.early_stopping.patience={2 * lowers} or the like"
        )
