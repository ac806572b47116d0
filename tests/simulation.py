"""The real client, runner and journal against the real sandbox, through trouble and deaths.

Everything is in one process and in virtual time; a schedule's seed decides all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from attrs import frozen

from tests.schedules import ELSEWHERE, Schedule
from tests.verdicts import Charge, Verdict, Witness
from tests.virtual_time import network, run_virtual
from tests.worlds import CALM, World
from vtex_invoice_async.jobs import Summary
from vtex_invoice_async.sandbox import FaultPlan, Sandbox

__all__ = ["Ending", "simulate"]

MOST_CALM_LIVES: Final = 4


@frozen(kw_only=True)
class Ending:
    """What a simulation comes to."""

    charges: Sequence[Charge]
    summary: Summary | None
    """Of the last run."""

    seconds: float
    """Of virtual time."""

    kills: int
    kills_amid_intents: int
    """Those that hit while an intent was open: the others prove nothing."""

    full_disks: int
    doubts: int
    """Attempts of which it was not known how they had ended."""

    reconciled: int
    """Invoices that their orders have confirmed."""

    mark: str
    """The same for two simulations in which the same happened at the same time."""

    @property
    def verdicts(self) -> set[Verdict]:
        return {charge.verdict for charge in self.charges}


def simulate(schedule: Schedule) -> Ending:
    """Play a schedule to its end, and judge."""
    return run_virtual(_play(schedule), seed=schedule.seed, at_most=10 * 86_400)


async def _play(schedule: Schedule) -> Ending:
    sandbox = Sandbox(
        schedule.orders,
        seed=schedule.seed,
        faults=FaultPlan(schedule.faults, schedule.seed),
        limit=schedule.limit,
        duplicates="apply_again",
        read_lag=schedule.read_lag,
        settle_delay=schedule.settle_delay,
    )
    witness = Witness(expected=schedule.expected)
    world = World(sandbox, witness, schedule.jobs, schedule.orders_api)
    net = network()
    net.latency = schedule.latency
    net.cuts = list(schedule.cuts)
    elsewhere = net.listen(ELSEWHERE, lambda: _Stranger(witness))
    summary: Summary | None = None
    async with sandbox:
        for life in schedule.lives:
            sandbox._desk._revoked = False
            await world.live(life)
        net.cuts.clear()
        sandbox._desk._revoked = False
        sandbox.faults.clear()
        for _ in range(MOST_CALM_LIVES):
            summary = await world.live(CALM)
            if summary is not None and not (summary.in_doubt or summary.not_sent):
                break
    elsewhere.close()
    records = witness.store.synced.records.values()
    return Ending(
        charges=[*witness.charges, *witness.judge(sandbox.book)],
        summary=summary,
        seconds=asyncio.get_running_loop().time(),
        kills=world.kills,
        kills_amid_intents=world.kills_amid_intents,
        full_disks=world.full_disks,
        doubts=world.doubts,
        reconciled=sum(record.confirmed_by == "order" for record in records),
        mark=_mark(witness),
    )


class _Stranger(asyncio.Protocol):
    """Hears what was never meant for it."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def data_received(self, data: bytes) -> None:
        self._witness.accuse(Verdict.LEAKED, f"{len(data)} bytes")


def _mark(witness: Witness) -> str:
    records = witness.store.synced.records.values()
    happened = [*witness.applied, *sorted((r.seq, r.state, r.attempts, r.change) for r in records)]
    return blake2b(repr(happened).encode(), digest_size=8).hexdigest()
