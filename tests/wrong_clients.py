"""Clients with one mistake each, as people make them: what the simulation must catch.

Each is made of the real one by a patch. That tests the tests: a simulation that lets one of these
through would not notice if the real client became it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from attrs import frozen

from tests.verdicts import Verdict

__all__ = ["WRONG_CLIENTS", "WrongClient", "wrong"]

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


WRONG_CLIENTS: Final[list[WrongClient]] = []


def wrong(verdict: Verdict, *, seed: int) -> Callable[[Make], Make]:
    def keep(make: Make) -> Make:
        WRONG_CLIENTS.append(WrongClient(make.__name__.replace("_", " "), make, verdict, seed))
        return make

    return keep
