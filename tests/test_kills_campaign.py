"""300 kills, of every kind there is: run it with `-m campaign -rA` to read how many hit in flight."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.killed import TROUBLE, UNANSWERED, assert_often_open, job_of, moment, random_instant

pytestmark = pytest.mark.campaign

KILLS: Final = 15
NAMES: Final = ("intended", "sent", "applied", "answered", "settling", "settled", "synced")


@pytest.mark.parametrize("seed", range(100, 120))
async def test_fifteen_kills(seed: int, tmp_path: Path) -> None:
    faults = TROUBLE if seed % 2 else (UNANSWERED,)
    async with job_of(tmp_path, 180, seed=seed, faults=faults) as job:
        for n in range(KILLS):
            name = NAMES[(seed + n) % len(NAMES)]
            at = random_instant(job.chance) if n % 2 else moment(name, job.chance)
            await job.kill(at)

        await job.assert_done()

    assert_often_open(job.kills)
