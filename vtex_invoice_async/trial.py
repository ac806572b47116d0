"""What a 429 is judged by: what became of the requests that left after it."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from attrs import define, frozen

__all__ = ["Mode", "Step", "Trial", "is_excess"]

LENGTH: Final = 30
"""Answers after which a trial that few more 429s followed comes to nothing."""

EXCESS: Final = 1 / 15
"""The part of the answers that are 429s, at least, where the limit is what refuses them."""

ENOUGH: Final = 4
"""Answers to what was under way, at least, to judge a step up by them."""


def is_excess(refused: int, count: int) -> bool:
    """Whether more of *count* answers were 429s than come by chance."""
    return refused > EXCESS * count


@define(eq=False, repr=False)
class Trial:
    """A 429 that came though something should be left, and what came back of what left after it."""

    since: float
    passed: int = 0
    refused: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it came to nothing."""
        return self.passed + self.refused >= LENGTH

    @property
    def convicts(self) -> bool:
        """Whether it is clear that the limit fell, or is met."""
        return self.refused >= 2 and self.refused >= EXCESS * (self.passed + self.refused)


class Mode(Enum):
    """What the rate does."""

    GROW = auto()
    """No limit was met yet."""

    REGROW = auto()
    """The limit is higher than it was."""

    CRUISE = auto()
    PROBE = auto()

    @property
    def grows(self) -> bool:
        """Whether the rate is beyond anything that was measured."""
        return self is Mode.GROW or self is Mode.REGROW


@frozen(kw_only=True, eq=False, repr=False)
class Step:
    """A step up that met a 429: whether it went too far is told by what was under way."""

    mode: Mode
    rate: float
    estimate: float
    """Of the limit, before the 429."""

    next_at: float
    """When the next step would have been."""

    trip: float
    under_way: float
    """How long had been sent what is judged."""

    ends_at: float
    """When it is judged at the latest."""

    waits: bool
    """VTEX asked to wait: what passes afterwards comes from a bucket that filled meanwhile."""

    def is_open(self, refused: int, count: int, now: float) -> bool:
        """Whether too little is known to judge by, and more will be."""
        few = count < ENOUGH and not refused
        return few and not self.waits and now < self.ends_at

    def is_judged(self, count: int) -> bool:
        """Whether enough is known."""
        return count >= ENOUGH
