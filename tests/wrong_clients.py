"""Clients with one mistake each, as people make them: what the simulation must catch.

That tests the tests: a simulation that lets one of these through would not notice if the real
client became it.
"""

from __future__ import annotations

from typing import Final

from tests import wrong_readings, wrong_runs  # noqa: F401  there they are made
from tests.mistakes import MADE, WrongClient

__all__ = ["WRONG_CLIENTS", "WrongClient"]

WRONG_CLIENTS: Final = tuple(MADE)
