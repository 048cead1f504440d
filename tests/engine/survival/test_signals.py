"""Signals are noted while somebody looks at them, and end the process while nobody does."""

from __future__ import annotations

import signal

import pytest

from visionkit.config.command import INTERRUPTED
from visionkit.engine.survival.signals import HEARD, Signals, Stopped

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}


@pytest.mark.parametrize("number", HEARD)
def test_without_patience_a_signal_ends_the_process(number: int) -> None:
    with Signals(), pytest.raises(Stopped) as ended:
        signal.raise_signal(number)
    assert ended.value.code == CODES[signal.Signals(number)]


def test_the_code_of_ctrl_c_is_that_of_the_command() -> None:
    assert CODES[signal.SIGINT] == INTERRUPTED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_same_signal_again_changes_nothing(number: int) -> None:
    with Signals() as signals:
        signals.patient = True
        signal.raise_signal(number)
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGINT)
        assert signals.told == number


def test_ctrl_c_again_ends_one_process_but_not_one_of_several() -> None:
    with Signals() as signals:
        signals.patient, signals.alone = True, False
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signals.alone = True
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_before_are_given_back() -> None:
    before = [signal.getsignal(number) for number in HEARD]
    with Signals():
        assert [signal.getsignal(number) for number in HEARD] != before
    assert [signal.getsignal(number) for number in HEARD] == before
