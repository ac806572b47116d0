"""Signals: the first one lets a run end in order, the second one leaves at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interrupted", "heed", "interruptible"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal came where nothing needs to be brought to an end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """What a program ends with that it ended."""
        return 128 + self.number


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals end a block that no event loop runs, by `Interrupted`."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heed(interrupt: Callable[[int], None]) -> None:
    """Have the running loop call *interrupt* with the number of each signal that comes."""
    for number in _heeded():
        asyncio.get_running_loop().add_signal_handler(number, interrupt, number)


def _heeded() -> Iterator[signal.Signals]:
    """Yield the signals, but not those that are ignored, as nohup has it, or that are not Python's."""
    for number in SIGNALS:
        if signal.getsignal(number) not in {signal.SIG_IGN, None}:
            yield number
