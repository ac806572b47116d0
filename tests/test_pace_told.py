"""What `client.pace()` says of how fast is sent."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.virtual_time import run_virtual
from vtex_invoice_async import ThrottleLimits, VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError, RateLimited
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox
from vtex_invoice_async.throttle import Pace


def pace_after(
    invoices: int,
    *,
    limit: Limit | None = None,
    faults: tuple[Fault, ...] = (),
    throttle: ThrottleLimits | None = None,
) -> Pace:
    async def main() -> Pace:
        async with Sandbox(invoices, latency=0.05, limit=limit, faults=faults) as sandbox:
            config = evolve(sandbox.config, throttle=throttle or ThrottleLimits())
            async with VtexInvoiceClient(config) as client:
                async for _ in client.notify_many(map(job_for, sandbox.orders)):
                    pass
                return client.pace()

    return run_virtual(main())


def test_the_limit_is_told_once_it_was_met() -> None:
    pace = pace_after(3_000, limit=Limit(per_second=200, retry_after=None))

    assert pace.limit is not None
    assert 180 < pace.limit < 210
    assert pace.throttled == pace.retried > 0
    assert pace.is_answered


def test_no_limit_is_told_where_none_was_met() -> None:
    pace = pace_after(300)

    assert pace.limit is None
    assert (pace.throttled, pace.retried, pace.closed_for) == (0, 0, 0)


def test_a_rate_that_is_given_is_no_limit_that_was_learned() -> None:
    pace = pace_after(300, throttle=ThrottleLimits(rate=40), limit=Limit(per_second=30))

    assert (pace.rate, pace.limit) == (40, None)
    assert pace.throttled > 0


def test_a_pause_that_vtex_asks_for_is_told() -> None:
    async def main() -> Pace:
        asks = Fault(do=Do.ANSWER, status=429, headers={"Retry-After": "400"}, nth=(1,))
        async with (
            Sandbox(1, faults=[asks]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            job = job_for(sandbox.orders[0])
            with pytest.raises(RateLimited):
                await client.notify_invoice(job.order_id, job.invoice)
            return client.pace()

    pace = run_virtual(main())

    assert 399 < pace.closed_for < 441
    assert pace.throttled == 1


def test_a_read_that_is_throttled_counts_and_slows_no_send() -> None:
    async def main() -> tuple[Pace, Pace]:
        asks = Fault(do=Do.ANSWER, on="get_order", status=429, nth=(1,))
        async with (
            Sandbox(1, faults=[asks]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            before = client.pace()
            await client.get_order(sandbox.orders[0].order_id)
            return before, client.pace()

    before, after = run_virtual(main())

    assert (after.throttled, after.retried) == (1, 1)
    assert (after.rate, after.limit, after.closed_for) == (before.rate, None, 0)


def test_an_outage_is_told() -> None:
    faults = (Fault(do=Do.ANSWER, status=500, rate=1, on="notify_invoice"),)

    assert not pace_after(20, faults=faults).is_answered


async def test_a_client_that_is_not_open_has_no_pace(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match="is not open"):
        VtexInvoiceClient(sandbox.config).pace()
