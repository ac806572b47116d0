"""A process killed at any moment: VTEX has each invoice once in the end, and the journal knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.killed import (
    TROUBLE,
    Point,
    assert_often_open,
    job_of,
    moment,
    random_instant,
)

SEED: Final = 1

GAPS: Final = {
    "intent and send": ("intended",),
    # The last one is seen from outside: VTEX has acted, and most answers are still to come.
    "send and reply": ("sent", "applied"),
    "reply and outcome": ("answered", "settling", "synced"),
}


@pytest.mark.parametrize("seed", [SEED])
@pytest.mark.parametrize("gap", GAPS)
async def test_kills_between(gap: str, seed: int, tmp_path: Path) -> None:
    names = GAPS[gap]
    async with job_of(tmp_path, 90, seed=seed) as job:
        for n in range(5):
            await job.kill(moment(names[n % len(names)], job.chance))

        await job.assert_done()

    assert_often_open(job.kills)


@pytest.mark.parametrize("seed", [SEED])
async def test_kills_at_random_instants_while_vtex_is_in_trouble(seed: int, tmp_path: Path) -> None:
    async with job_of(tmp_path, 180, seed=seed, faults=TROUBLE) as job:
        for _ in range(15):
            await job.kill(random_instant(job.chance))

        await job.assert_done()

    assert_often_open(job.kills)


async def test_kills_before_anything_is_sent_leave_a_journal_to_go_on_from(tmp_path: Path) -> None:
    async with job_of(tmp_path, 20, seed=SEED) as job:
        # A plan on its way to the journal is a database too: the second one is the journal.
        for point in (Point(name="made", nth=2), Point(name="empty", nth=1)):
            kill = await job.kill(point)
            assert kill.states == {}
            assert job.journal.exists()
        half = await job.kill(Point(name="planning", nth=len(job.rows) // 2))
        assert half.states == {}
        whole = await job.kill(Point(name="planned", nth=1))
        assert whole.states == {"planned": len(job.rows)}
        assert not await job.oracle.applied()

        await job.assert_done()


async def test_a_kill_amid_the_second_sending_loses_and_doubles_nothing(tmp_path: Path) -> None:
    before_it_acted = {
        "on": "notify_invoice",
        "do": "answer",
        "status": 503,
        "nth": [1, 3, 5, 7, 9, 11],
    }
    async with job_of(tmp_path, 20, seed=SEED, faults=[before_it_acted]) as job:
        kill = await job.kill(Point(name="intended again", nth=3))
        await job.assert_done()

    assert kill.open >= 1
