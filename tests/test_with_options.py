"""A client of other options is the same client in all else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve

from tests.factories import ONCE, job_for
from tests.virtual_time import network, run_virtual
from vtex_invoice_async import RetryPolicy, State, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, ConfigError, OutcomeUnknown
from vtex_invoice_async.events import Event, LeftInDoubt, Sent
from vtex_invoice_async.jobs import Journal, run
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

HANG: Final = Fault(do=Do.HANG, rate=1)
BORROWED: Final = "is open as long as the client that it comes from: enter and close that one"


def now() -> float:
    return asyncio.get_running_loop().time()


def test_its_options_hold_for_its_calls_and_those_of_a_call_win() -> None:
    async def main() -> None:
        async with Sandbox(orders=1, faults=[HANG]) as sandbox:
            order_id = sandbox.orders[0].order_id
            async with VtexInvoiceClient(evolve(sandbox.config, retry=ONCE)) as client:
                quick = client.with_options(timeout=2)
                took: list[float] = []
                for of, options in (
                    (client, {}),
                    (quick, {}),
                    (quick, {"timeout": 7}),
                    (quick, {"timeout": 25}),
                    (quick.with_options(timeout=4), {}),
                    (quick.with_options(timeout=Timeouts(read=9)), {}),
                    (quick.with_options(timeout=Timeouts(read=9)), {"timeout": 30}),
                    (quick.with_options(retry=ONCE), {}),
                    (client, {}),
                ):
                    began = now()
                    with pytest.raises(CallError):
                        await of.get_order(order_id, **options)  # type: ignore[arg-type]
                    took.append(round(now() - began, 2))
                # A number cuts what the client was given, not what another number has left of it.
                assert took == [20, 2, 7, 20, 4, 9, 9, 2, 20]

    run_virtual(main())


async def test_it_says_what_holds(sandbox: Sandbox) -> None:
    async with VtexInvoiceClient(sandbox.config) as client:
        retry = RetryPolicy(deadline=5)
        other = client.with_options(timeout=3, retry=retry)

        assert type(other) is VtexInvoiceClient
        assert other.config.timeouts == Timeouts(connect=3, read=3, total=3)
        assert other.config.retry is retry
        assert evolve(other.config, timeouts=Timeouts(), retry=RetryPolicy()) == client.config
        assert client.config == sandbox.config
        assert client.with_options().config == client.config
        assert repr(other) == repr(client)


def test_doubts_pace_and_connections_are_shared() -> None:
    async def main() -> None:
        lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,), acted=True)
        async with Sandbox(orders=2, faults=[lost]) as sandbox:
            first, second = map(job_for, sandbox.orders)
            async with VtexInvoiceClient(sandbox.config, observe=heard.append) as client:
                hasty = client.with_options(retry=ONCE)
                with pytest.raises(OutcomeUnknown):
                    await hasty.notify_invoice(first.order_id, first.invoice)
                assert client.in_doubt() == hasty.in_doubt() != ()
                # Neither of them sends it again: the other one looks for it.
                receipt = await client.notify_invoice(first.order_id, first.invoice)
                assert receipt.confirmed_by == "order"
                assert client.in_doubt() == hasty.in_doubt() == ()
                before = len(network().connections)
                for each in (client, hasty, client.with_options(timeout=1)):
                    await each.get_order(second.order_id)
                assert len(network().connections) == before
            assert sandbox.applied.total() == 1

    heard: list[Event] = []

    run_virtual(main())

    assert sum(isinstance(event, Sent) for event in heard) == 5


async def test_it_is_open_as_long_as_the_client_that_it_comes_from(sandbox: Sandbox) -> None:
    client = VtexInvoiceClient(sandbox.config)
    other = client.with_options(timeout=5).with_options(retry=ONCE)
    order_id = sandbox.orders[0].order_id
    with pytest.raises(ConfigError, match="is not open"):
        await other.get_order(order_id)
    with pytest.raises(ConfigError, match=BORROWED):
        await other.__aenter__()

    async with client:
        assert (await other.get_order(order_id)).order_id == order_id
        with pytest.raises(ConfigError, match=BORROWED):
            async with other:
                pass
        with pytest.raises(ConfigError, match=BORROWED):
            await other.aclose()
        assert (await other.get_order(order_id)).order_id == order_id

    with pytest.raises(ConfigError, match="closed"):
        await other.get_order(order_id)


def test_closing_ends_what_any_of_them_has_in_flight_and_tells_of_doubts_once() -> None:
    async def main() -> None:
        async with Sandbox(orders=1, faults=[HANG]) as sandbox:
            config = evolve(sandbox.config, timeouts=Timeouts(total=1))
            async with VtexInvoiceClient(config, observe=heard.append) as client:
                other = client.with_options(timeout=60, observe=more.append)
                job = job_for(sandbox.orders[0])
                call = asyncio.create_task(other.notify_invoice(job.order_id, job.invoice))
                await asyncio.sleep(0.5)
            with pytest.raises(OutcomeUnknown, match="the client was closed"):
                await call
            # It drained for the client's own `timeouts.total`.
            assert now() < 2

    heard: list[Event] = []
    more: list[Event] = []

    run_virtual(main())

    assert [event for event in heard if isinstance(event, LeftInDoubt)] == [LeftInDoubt(doubts=1)]
    assert not any(isinstance(event, LeftInDoubt) for event in more)


async def test_jobs_and_bulk_run_with_its_options(sandbox: Sandbox, tmp_path: Path) -> None:
    heard: list[Event] = []
    jobs = [job_for(order) for order in sandbox.orders[:4]]
    async with VtexInvoiceClient(sandbox.config) as client:
        other = client.with_options(observe=heard.append, timeout=9)
        outcomes = [outcome async for outcome in other.notify_many(jobs[:2])]
        async with Journal.open(tmp_path / "journal.db", other.config) as journal:
            summary = await run(other, jobs[2:], journal)

    assert {outcome.state for outcome in outcomes} == {State.CONFIRMED}
    assert summary.confirmed == 2
    posts = [e for e in heard if isinstance(e, Sent) and e.operation == "notify_invoice"]
    assert {post.order_id for post in posts} == {job.order_id for job in jobs}
