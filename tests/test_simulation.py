"""Whole jobs through trouble, crashes and full disks: nothing is lost, doubled or told wrongly.

    pytest -m campaign tests/test_simulation.py -rA

plays 1,000 schedules of 200 invoices, none of which the suite plays.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from typing import Final

import pytest

from tests.command_line import ROOT
from tests.schedules import make_schedule
from tests.simulation import Ending, simulate

IN_SUITE: Final = range(20)
IN_CAMPAIGN: Final = range(1_000, 2_000)
AT_ONCE: Final = 100


@functools.cache
def ending_of(seed: int) -> Ending:
    return simulate(make_schedule(seed))


@pytest.mark.parametrize("seed", IN_SUITE)
def test_nothing_is_lost_doubled_misreported_or_unreported(seed: int) -> None:
    ending = ending_of(seed)

    assert not ending.charges


def test_the_schedules_are_rough() -> None:
    endings = [ending_of(seed) for seed in IN_SUITE]

    kills = sum(ending.kills for ending in endings)
    assert kills >= len(endings) / 2
    assert sum(ending.kills_amid_intents for ending in endings) >= kills / 3
    assert sum(ending.doubts for ending in endings) >= 10 * len(endings)
    assert sum(ending.reconciled for ending in endings) >= 5 * len(endings)
    assert sum(ending.full_disks for ending in endings) >= 2


def test_a_schedule_goes_the_same_way_each_time() -> None:
    first = ending_of(3)

    again = simulate(make_schedule(3))

    assert again == first


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_schedule_goes_the_same_way_in_another_process(hash_seed: str) -> None:
    script = (
        "from tests.schedules import make_schedule\n"
        "from tests.simulation import simulate\n"
        "print(simulate(make_schedule(3)).mark)"
    )

    other = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert other.stdout.strip() == ending_of(3).mark


@pytest.mark.campaign
@pytest.mark.parametrize("first", IN_CAMPAIGN[::AT_ONCE])
def test_a_hundred_schedules_lose_and_double_nothing(first: int) -> None:
    endings = {seed: simulate(make_schedule(seed)) for seed in range(first, first + AT_ONCE)}

    kills = sum(ending.kills for ending in endings.values())
    amid = sum(ending.kills_amid_intents for ending in endings.values())
    hours = sum(ending.seconds for ending in endings.values()) / 3_600
    doubts = sum(ending.doubts for ending in endings.values())
    reconciled = sum(ending.reconciled for ending in endings.values())
    print(  # noqa: T201  the campaign's figures
        f"{len(endings)} schedules, {hours:.1f} h, {kills} kills ({amid} amid intents), "
        f"{doubts} doubts, {reconciled} confirmed by their order"
    )
    assert {seed: ending.charges for seed, ending in endings.items() if ending.charges} == {}
