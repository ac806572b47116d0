"""How fast a run goes of late, and when it will be over: arithmetic on times that are handed in."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Meter"]

WINDOW: Final = 10.0
"""Seconds that are looked back on."""

SPACING: Final = 0.5
"""Seconds between two samples."""

SHORTEST: Final = 2.0
"""Seconds of which nothing is concluded yet."""


class Meter:
    """Takes in how much is done at which time."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        """Forget what was: something else begins."""
        self._samples.clear()

    def see(self, now: float, done: int) -> None:
        """Take in that so much is done by *now*."""
        samples = self._samples
        # The one before the last is the last that is spaced: the newest one moves along.
        if len(samples) > 1 and now - samples[-2][0] < SPACING:
            samples[-1] = (now, done)
        else:
            samples.append((now, done))
        while now - samples[0][0] > WINDOW and len(samples) > 2:
            samples.popleft()

    @property
    def rate(self) -> float | None:
        """How much a second; None where that is not known yet."""
        if len(self._samples) < 2:
            return None
        (began, before), (now, done) = self._samples[0], self._samples[-1]
        return (done - before) / (now - began) if now - began >= SHORTEST else None

    def left(self, missing: int) -> float | None:
        """Return the seconds that *missing* will take; None where nobody can tell."""
        rate = self.rate
        return missing / rate if rate else None
