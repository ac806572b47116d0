"""The whole client under a rate limit that nobody tells it, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from attrs import evolve, frozen

from tests.factories import job_for
from tests.virtual_time import START, run_virtual
from vtex_invoice_async import ThrottleLimits, VtexInvoiceClient
from vtex_invoice_async.events import Event, Throttled
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox

TOLD = (429, 503)


@frozen(kw_only=True)
class Run:
    """What became of a run, by the sandbox's own record."""

    arrivals: Sequence[float]
    """Seconds from the start."""

    confirmed: int
    cuts: Sequence[Throttled]

    @property
    def seconds(self) -> float:
        return self.arrivals[-1]

    @property
    def rejected(self) -> float:
        """The share of the requests that came to nothing."""
        return 1 - self.confirmed / len(self.arrivals)

    def within(self, began: float, ended: float) -> int:
        return sum(began <= at < ended for at in self.arrivals)


def run(
    invoices: int,
    *,
    limit: Limit | None = None,
    faults: Sequence[Fault] = (),
    throttle: ThrottleLimits | None = None,
) -> Run:
    """Send so many invoices, 64 at a time, to a VTEX that takes 50 ms for each."""
    cuts: list[Throttled] = []

    def observe(event: Event) -> None:
        if isinstance(event, Throttled):
            cuts.append(event)

    async def main() -> Run:
        async with Sandbox(invoices, latency=0.05, limit=limit, faults=faults) as sandbox:
            config = evolve(sandbox.config, throttle=throttle or ThrottleLimits())
            async with VtexInvoiceClient(config, observe=observe) as client:
                jobs = [job_for(order) for order in sandbox.orders]
                states = Counter([outcome.state async for outcome in client.notify_many(jobs)])
        assert states == {"confirmed": invoices}
        assert set(sandbox.applied.values()) == {1}
        return Run(
            arrivals=[(entry.at - START).total_seconds() for entry in sandbox.oracle.arrived],
            confirmed=invoices,
            cuts=cuts,
        )

    return run_virtual(main())


def test_a_limit_that_nobody_told_is_found_and_kept() -> None:
    found = run(6_000, limit=Limit(per_second=200, retry_after=None))

    assert found.seconds < 1.05 * 6_000 / 200
    assert found.rejected < 0.015


def test_a_small_limit_is_found_too() -> None:
    found = run(1_000, limit=Limit(per_second=20, retry_after=None))

    assert found.seconds < 1.05 * 1_000 / 20
    assert found.rejected < 0.03


def test_without_a_limit_the_pace_is_that_of_the_answers() -> None:
    found = run(6_000)

    assert found.cuts == []
    assert found.seconds < 1.3 * 6_000 * 0.05 / 64


def test_a_limit_that_is_halved_is_followed() -> None:
    found = run(
        6_000,
        limit=Limit(per_second=200, retry_after=None),
        faults=[Fault(do=Do.LIMIT, nth=(3_000,), per_second=100)],
    )

    assert found.seconds < 1.06 * (3_000 / 200 + 3_000 / 100)
    assert found.rejected < 0.02


def test_a_limit_that_is_doubled_is_followed() -> None:
    found = run(
        9_000,
        limit=Limit(per_second=100, retry_after=None),
        faults=[Fault(do=Do.LIMIT, nth=(3_000,), per_second=200)],
    )

    assert found.seconds < 1.1 * (3_000 / 100 + 6_000 / 200)
    assert found.rejected < 0.02


def test_a_pause_that_vtex_asks_for_is_taken_once_and_by_everyone() -> None:
    pause = Fault(do=Do.ANSWER, nth=(500,), status=429, headers={"Retry-After": "60"})

    found = run(1_000, faults=[pause])

    told = found.arrivals[499] + 0.05
    (cut,) = found.cuts
    assert 60 <= cut.closed_for <= 66
    # What was on its way when VTEX said so, and then nothing for a minute.
    assert found.within(told, told + 60) <= 64
    assert found.within(told + 0.06, told + 60) == 0
    assert found.seconds < told + 66 + 10


def test_a_rate_that_is_given_is_kept_and_a_pause_obeyed_all_the_same() -> None:
    pause = Fault(do=Do.ANSWER, nth=(100,), status=429, headers={"Retry-After": "10"})

    found = run(300, faults=[pause], throttle=ThrottleLimits(rate=50))

    told = found.arrivals[99] + 0.05
    assert found.within(told + 0.06, told + 10) == 0
    for second in range(int(found.seconds)):
        assert found.within(second, second + 1) <= 51
    assert found.seconds == pytest.approx(301 / 50 + 10, abs=1.2)


def test_a_busy_vtex_is_left_alone_for_as_long_as_it_asks() -> None:
    busy = Fault(do=Do.ANSWER, nth=(100,), status=503, headers={"Retry-After": "20"}, acted=True)

    found = run(300, faults=[busy])

    told = found.arrivals[99] + 0.05
    assert found.within(told + 0.06, told + 20) == 0


def test_a_thousand_clients_that_were_told_the_same_do_not_come_back_in_step() -> None:
    clients = 1_000
    pause = Fault(
        do=Do.ANSWER, nth=tuple(range(1, clients + 1)), status=429, headers={"Retry-After": "60"}
    )

    async def main() -> list[float]:
        async with Sandbox(clients, latency=0.05, faults=[pause]) as sandbox, AsyncExitStack() as s:
            sending = []
            for order in sandbox.orders:
                client = await s.enter_async_context(VtexInvoiceClient(sandbox.config))
                job = job_for(order)
                sending.append(client.notify_invoice(job.order_id, job.invoice))
            await asyncio.gather(*sending)
        assert sandbox.applied.total() == clients
        return [(entry.at - START).total_seconds() for entry in sandbox.oracle.arrived]

    arrivals = run_virtual(main())

    again = arrivals[clients:]
    buckets = Counter(int(at * 10) for at in again)
    assert min(again) >= arrivals[0] + 60
    # Spread over the six seconds after the minute: 60 buckets of a tenth of a second.
    assert max(buckets.values()) <= 3 * clients / 60
