"""Say why a result may be poor and what to type, from plain facts about a finished training.

How good a result is, is counted from the constant guess: skill = (monitor - guess) / (1 - guess) on the validation
split, 0 for the guess and 1 for a perfect network. A result is *poor* below 0.7; below half of that for the
detectors' monitors in `STRICT`, under which a good detector gets half. It is *good* from 0.9 on (or half of that). A
good result gets no hint but one: a class that the data does not show.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from statistics import linear_regression, mean

from visionkit.engine.facts import Facts

POOR, GOOD = 0.7, 0.9
STRICT = ("mAP", "mAP_75", "mAR_100")
"""Monitors of boxes that average over, or ask for, those that fit more tightly than by half."""

SMALL = 1000
"""Training images below which random weights seldom do, whatever the result."""

FEW_EPOCHS, ENOUGH_STEPS = 3, 200
"""Epochs with which, and steps below which, no network is trained to its end."""

FEW_STEPS = 20
"""Steps below which a loss says nothing about the learning rate."""

FINE = 2
"""A box is small when its shorter side is less than so many cells of the finest map that the head reads."""


def hints(*heads: Facts) -> list[str]:
    """Return what was seen, why it matters and what to type, one line each; nothing for a good run.

    Each of several heads is judged by its own monitor; what holds for more than one of them is said once. A run that
    was limited to some of the batches shows whether the parts fit together, not what they can do.
    """
    if heads[0].limited:
        return []
    found = [too_high_rate(facts) for facts in heads]
    if not any(found):  # a run that was thrown off says nothing of what else would help
        found = [too_short(*heads)]
        found += [nothing_learned(facts) for facts in heads if not seen_short(facts)]
        found += [no_weights(facts) for facts in heads]
    for facts in heads:
        found += [_of(facts, small_boxes(facts)), _of(facts, unseen_classes(facts))]
    return list(dict.fromkeys(hint for hint in found if hint is not None))


def _of(facts: Facts, hint: str | None) -> str | None:
    """Return a hint with the name of the head that it speaks of, where there are several."""
    return hint if hint is None or facts.head is None else f"{facts.head}: {hint}"


def skill(facts: Facts) -> float:
    """Return how far the monitor is from the constant guess, 0, to perfect, 1; twice that for strict monitors."""
    reached = (facts.value - facts.trivial) / max(1 - facts.trivial, 1e-6)
    strict = facts.kind == "boxes" and facts.monitor.rpartition("/")[2] in STRICT
    return reached * (2 if strict else 1)


def poor(facts: Facts) -> bool:
    """Return whether the result is poor, as the module says; a monitor that is not a number is."""
    return not skill(facts) >= POOR


def nothing_learned(facts: Facts) -> str | None:
    """Speak when the monitor is no more than 2 % of the way above the constant guess."""
    if skill(facts) >= 0.02:
        return None
    return (
        f"{facts.monitor} is {facts.value:.3f}, no better than the constant guess ({facts.trivial:.3f}): "
        "look at pictures/augmented_batch.png first, whether images and labels belong together"
    )


def too_high_rate(facts: Facts) -> str | None:
    """Speak when the training loss is not a number, or a poor run was thrown off and did not recover.

    Its losses are compared with the first batch's, that of random weights. It was thrown off when an epoch's mean lay
    5 % above that, and did not recover when the last epoch's is more than 90 % of it; or when the last epoch's alone
    lies above it. Fewer than `FEW_STEPS` steps say nothing, unless an epoch's mean was twice the first batch's loss.
    """
    if facts.lr is None or not facts.losses:
        return None
    last, start = facts.losses[-1], facts.first_loss
    broken = not all(math.isfinite(loss) for loss in facts.losses)
    thrown = last > start or (max(facts.losses) > 1.05 * start and last > 0.9 * start)
    sure = facts.steps >= FEW_STEPS or max(facts.losses) > 2 * start
    if not (broken or (thrown and sure and poor(facts))):
        return None
    seen = f"was {start:.2f} at the start, then up to {max(facts.losses):.2f}, and {last:.2f} at the end"
    seen = "became no number" if broken else seen
    return (
        f"the training loss {seen}: the learning rate {facts.lr:g} is probably too high; "
        f"type optimizer.lr={_two_digits(facts.lr / 3)}"
    )


def too_short(*heads: Facts) -> str | None:
    """Speak when `seen_short` finds something with any of the heads."""
    seen = dict.fromkeys(said for facts in heads if (said := seen_short(facts)))
    return f"{'; '.join(seen)}: the training was too short; type {heads[0].longer}" if seen else None


def seen_short(facts: Facts) -> str | None:
    """Return what tells that a run was too short: its monitor is poor, and still rising or of few epochs or steps.

    Few are up to `FEW_EPOCHS`, and less than `ENOUGH_STEPS`.
    It was rising when the straight line through the second half of the scores, four of them at least, climbs by 3 % of
    the way from the worst score to 1, and by twice the standard error of that climb (least squares).
    """
    if facts.interrupted or not poor(facts):
        return None
    scores = [score for score in facts.scores if math.isfinite(score)]
    if len(scores) <= FEW_EPOCHS or facts.steps < ENOUGH_STEPS:
        return f"{facts.steps} steps in {len(facts.losses)} passes over the images"
    half = scores[-max(4, len(scores) // 2) :]
    climb, error = _climb(half)
    if climb < max(0.03 * (1 - min(scores)), 2 * error):
        return None
    return f"{facts.monitor} was still rising (by {climb:.3f} in the last {len(half)} epochs)"


def no_weights(facts: Facts) -> str | None:
    """Speak when weights were random and the result is poor, or not good from fewer than `SMALL` images."""
    few = facts.images < SMALL and skill(facts) < GOOD
    if facts.init is not None or facts.embedded or not (poor(facts) or few):
        return None
    changes = {"init.backbone": "imagenet"}
    if facts.download is None:
        changes = {"backbone": "resnet18", **changes}
    size = facts.resnet18 if facts.download is None else facts.download
    return (
        f"the network learned from random weights and {facts.images} images; published ones ({size} MB to download) "
        f"know edges and shapes already; type {again(facts.command, changes)}"
    )


def small_boxes(facts: Facts) -> str | None:
    """Speak when a tenth of the training boxes is small and the result poor.

    The size proposed, in steps of 32 pixels, leaves one box in twenty small; it is at most four times as large.
    """
    least = FINE * facts.stride
    share = mean(side < least for side in facts.sides) if facts.sides else 0.0
    if share < 0.1 or not poor(facts):
        return None
    small = sorted(facts.sides)[len(facts.sides) // 20]
    factor = min(least / max(small, 1e-6), 4.0)
    height, width = (32 * math.ceil(side * factor / 32) for side in facts.size)
    size = f"{height}" if height == width else f"'[{height},{width}]'"
    return (
        f"{share:.0%} of the training boxes are less than {least} pixels wide or high as the network sees them, "
        f"too few to tell what they are; type data.size={size}"
    )


def unseen_classes(facts: Facts) -> str | None:
    """Speak whenever a class has no sample in train or in val."""
    seen = []
    if facts.train_missing:
        seen.append(f"train shows no {_names(facts.train_missing)}: that cannot be learned")
    if facts.val_missing:
        seen.append(f"val shows no {_names(facts.val_missing)}: {facts.monitor} does not speak of that")
    return "; ".join(seen) + "; add images, or leave the class out" if seen else None


def again(command: str, changes: Mapping[str, str]) -> str:
    """Return a command of a training with some settings changed, in a folder of its own; for a sweep the changes."""
    new = [f"{key}={value}" for key, value in changes.items()]
    try:
        words = [_as_typed(word) for word in shlex.split(command)]
    except ValueError:  # a quote in a file name
        return " ".join(new)
    if {"-m", "--multirun"} & set(words[3:]):  # the first -m is Python's
        return " ".join(new)
    keys = {"run_dir", "tune", *changes}
    return shlex.join([*(word for word in words if word.partition("=")[0] not in keys), *new])


def _as_typed(word: str) -> str:
    """Return an argument without the quotes that `config.arguments` puts around paths for Hydra."""
    key, _, value = word.partition("=")
    if len(value) < 2 or not value[0] == value[-1] == "'":
        return word
    path = re.sub(r"(\\+)('|$)", lambda m: "\\" * (len(m[1]) // 2) + m[2], value[1:-1])
    return f"{key}={path}".replace("\\${", "${")


def _climb(scores: Sequence[float]) -> tuple[float, float]:
    """Return how far the least-squares line rises from the first score to the last, and its standard error."""
    slope, intercept = linear_regression(range(len(scores)), scores)
    rest = sum((score - intercept - slope * step) ** 2 for step, score in enumerate(scores))
    spread = len(scores) * (len(scores) ** 2 - 1) / 12  # of 0, 1, 2, ..., squared, around its mean
    error = math.sqrt(rest / (len(scores) - 2) / spread)
    return slope * (len(scores) - 1), error * (len(scores) - 1)


def _two_digits(value: float) -> str:
    return f"{value:.1g}" if float(f"{value:.1g}") == value else f"{value:.2g}"


def _names(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
