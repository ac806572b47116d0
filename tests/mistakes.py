"""How a wrong client is made, and written down: the real one, with a patch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from attrs import frozen

from tests.verdicts import Verdict

__all__ = ["MADE", "WrongClient", "wrong"]

Make = Callable[[pytest.MonkeyPatch], None]


@frozen
class WrongClient:
    """A mistake, and how it comes out."""

    name: str
    make: Make
    verdict: Verdict
    """The gravest that is said of it."""

    seed: int
    """Of a schedule in which it is caught."""


MADE: Final[list[WrongClient]] = []


def wrong(verdict: Verdict, *, seed: int) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        MADE.append(WrongClient(make.__name__.replace("_", " "), make, verdict, seed))
        return make

    return keep
