"""Many invoices: bounded, in flat memory, one failure never another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from attrs import evolve

from tests.factories import ISSUED, job_for, make_invoice, make_item
from tests.raw_faults import hang_after_request
from tests.raw_server import Act, RawServer, answer, raw_server, read_request, reply_with
from vtex_invoice_async import InvoiceJob, Outcome, State, VtexInvoiceClient
from vtex_invoice_async.errors import (
    ConfigError,
    InvalidInvoice,
    NotSent,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
)
from vtex_invoice_async.sandbox import Sandbox


def endless() -> Iterator[InvoiceJob]:
    number = 0
    while True:
        number += 1
        yield InvoiceJob(order_id=f"v{number}-01", invoice=make_invoice())


async def test_every_job_has_one_outcome(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    jobs = [job_for(order) for order in sandbox.orders]

    outcomes = [outcome async for outcome in client.notify_many(jobs, concurrency=3)]

    assert {outcome.job for outcome in outcomes} == set(jobs)
    assert {outcome.state for outcome in outcomes} == {State.CONFIRMED}
    assert all(outcome.receipt and outcome.elapsed > 0 for outcome in outcomes)
    assert set(sandbox.applied.values()) == {1}
    assert sandbox.applied.total() == 10


async def test_jobs_may_come_from_an_async_iterable(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    async def jobs() -> AsyncIterator[InvoiceJob]:
        for order in sandbox.orders:
            await asyncio.sleep(0)
            yield job_for(order)

    outcomes = [outcome async for outcome in client.notify_many(jobs())]

    assert sum(outcome.state is State.CONFIRMED for outcome in outcomes) == 10


async def test_no_jobs_no_outcomes(client: VtexInvoiceClient) -> None:
    assert [outcome async for outcome in client.notify_many([])] == []


async def test_one_failure_never_cancels_another(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    good = [job_for(order) for order in sandbox.orders[:5]]
    unknown = evolve(good[0], order_id="nobody-01")
    path = evolve(good[0], order_id="../x")
    dialect = evolve(good[0], invoice=make_invoice(items=[make_item(id=None)]))

    outcomes = {
        outcome.job: outcome
        async for outcome in client.notify_many([unknown, *good, path, dialect], concurrency=2)
    }

    assert {outcomes[job].state for job in good} == {State.CONFIRMED}
    assert outcomes[unknown].state is State.REJECTED
    assert isinstance(outcomes[unknown].error, OrderNotFound)
    assert outcomes[unknown].attempts == 1
    for refused in (path, dialect):
        assert outcomes[refused].state is State.INVALID
        assert isinstance(outcomes[refused].error, InvalidInvoice)
        assert outcomes[refused].attempts == 0


@pytest.mark.parametrize(
    ("reply", "state", "error"),
    [
        (
            answer(b"", status="429 Too Many Requests", headers="Retry-After: 301\r\n"),
            State.NOT_SENT,
            RateLimited,
        ),
        (answer(b"", status="503 Service Unavailable"), State.IN_DOUBT, OutcomeUnknown),
        (answer(b""), State.IN_DOUBT, OutcomeUnknown),
        (answer(b"<html>", headers="Content-Type: text/html\r\n"), State.IN_DOUBT, OutcomeUnknown),
    ],
)
async def test_the_state_says_what_is_known(
    reply: bytes, state: State, error: type[Exception]
) -> None:
    jobs = [InvoiceJob(order_id="v1-01", invoice=make_invoice())]
    async with (
        raw_server(reply_with(reply)) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        (outcome,) = [outcome async for outcome in client.notify_many(jobs)]

    assert (outcome.state, type(outcome.error), outcome.receipt) == (state, error, None)


async def test_what_never_left_is_not_sent() -> None:
    jobs = [InvoiceJob(order_id="v1-01", invoice=make_invoice())]
    async with raw_server(hang_after_request) as server:
        gone = server.config()
    async with VtexInvoiceClient(gone) as client:
        (outcome,) = [outcome async for outcome in client.notify_many(jobs)]

    assert (outcome.state, type(outcome.error)) == (State.NOT_SENT, NotSent)


async def test_jobs_are_taken_only_as_they_can_be_sent() -> None:
    taken = 0

    def jobs() -> Iterator[InvoiceJob]:
        nonlocal taken
        for job in endless():
            taken += 1
            yield job

    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        seen = 0
        async with aclosing(client.notify_many(jobs(), concurrency=4)) as outcomes:
            async for _ in outcomes:
                seen += 1
                # A reader who is slow holds the workers back: what they hold, and as much again.
                await asyncio.sleep(0)
                assert taken <= seen + 2 * 4 + 1
                if seen == 500:
                    break

    assert len(server.requests) <= 500 + 2 * 4


@pytest.mark.parametrize("concurrency", [0, -1, 65, True, 2.0, "3"])
async def test_a_width_that_the_pool_cannot_serve_is_refused(
    client: VtexInvoiceClient, concurrency: object
) -> None:
    with pytest.raises(ConfigError, match="from 1 to max_concurrency, 64"):
        client.notify_many([], concurrency=concurrency)  # type: ignore[arg-type]


async def test_leaving_the_loop_takes_no_more_and_drains_what_is_in_flight() -> None:
    release, applied = asyncio.Event(), 0

    def held(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal applied
            while True:
                server.record(await read_request(reader))
                if len(server.requests) > 1:
                    await release.wait()
                applied += 1
                writer.write(answer())

        return act

    async with (
        raw_server(held) as server,
        VtexInvoiceClient(server.config(max_concurrency=4)) as client,
    ):
        async with aclosing(client.notify_many(endless())) as outcomes:
            async for outcome in outcomes:
                assert outcome.state is State.CONFIRMED
                break
            await server.arrivals(5)
            release.set()

        assert applied == len(server.requests) <= 9
        before = len(server.requests)
        await client.notify_invoice("v0-01", make_invoice())
        assert len(server.requests) == before + 1


async def test_a_loop_left_without_ceremony_drains_before_the_client_closes() -> None:
    async with raw_server(reply_with(answer())) as server:
        async with VtexInvoiceClient(server.config(max_concurrency=4)) as client:
            async for _ in client.notify_many(endless()):
                break

        at_close = len(server.requests)
        await asyncio.sleep(0.05)

    assert len(server.requests) == at_close


async def test_an_input_that_waits_does_not_hold_up_leaving() -> None:
    async def stalled() -> AsyncIterator[InvoiceJob]:
        yield InvoiceJob(order_id="v1-01", invoice=make_invoice())
        await asyncio.Event().wait()

    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config()) as client,
        asyncio.timeout(1),
        aclosing(client.notify_many(stalled())) as outcomes,
    ):
        assert (await anext(outcomes)).state is State.CONFIRMED


async def test_cancelling_stops_at_once() -> None:
    async def consume(client: VtexInvoiceClient) -> None:
        async for _ in client.notify_many(endless()):
            pass

    async with (
        raw_server(hang_after_request) as server,
        VtexInvoiceClient(server.config(max_concurrency=4)) as client,
    ):
        run = asyncio.create_task(consume(client))
        await server.arrivals(4)

        run.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await run

        assert asyncio.all_tasks() >= {asyncio.current_task()}
        assert not [t for t in asyncio.all_tasks() if "_Crew" in repr(t.get_coro())]


async def test_an_exception_of_the_input_comes_after_the_outcomes_before_it(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    def jobs() -> Iterator[InvoiceJob]:
        yield from (job_for(order) for order in sandbox.orders[:3])
        raise ZeroDivisionError

    outcomes: list[Outcome] = []
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  the loop is what raises
        async for outcome in client.notify_many(jobs()):
            outcomes.append(outcome)  # noqa: PERF401  a comprehension would lose them

    assert [outcome.state for outcome in outcomes] == [State.CONFIRMED] * 3


async def test_a_client_that_closes_under_a_run_ends_it_with_an_error(sandbox: Sandbox) -> None:
    client = VtexInvoiceClient(sandbox.config)
    await client.__aenter__()
    outcomes = client.notify_many(endless(), concurrency=2)
    await anext(outcomes)
    await client.aclose()

    with pytest.raises(ConfigError, match="closed"):
        async for _ in outcomes:
            pass


async def test_an_outcome_can_be_told_apart_by_its_job(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    job = job_for(sandbox.orders[0], issuance_date=ISSUED)

    (outcome,) = [outcome async for outcome in client.notify_many([job])]

    assert outcome.job is job
    assert outcome.attempts == 1
    assert outcome.receipt is not None
    assert outcome.receipt.confirmed_by == "response"


async def test_what_is_no_job_is_told_and_disturbs_no_other(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    jobs = [job_for(order) for order in sandbox.orders[:3]]
    odd: list[object] = [jobs[0], ("v1-01", jobs[0].invoice), *jobs[1:]]

    outcomes = [outcome async for outcome in client.notify_many(odd)]  # type: ignore[arg-type]

    states = sorted(outcome.state for outcome in outcomes)
    assert states == [State.CONFIRMED] * 3 + [State.INVALID]


async def test_a_cancellation_that_nobody_asked_for_ends_the_run_and_not_in_silence(
    client: VtexInvoiceClient, sandbox: Sandbox
) -> None:
    async def jobs() -> AsyncIterator[InvoiceJob]:
        for order in sandbox.orders[:3]:
            yield job_for(order)
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    outcomes: list[Outcome] = []
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):  # noqa: PT012  the loop is what raises
            async for outcome in client.notify_many(jobs()):
                outcomes.append(outcome)  # noqa: PERF401  a comprehension would lose them

    assert [outcome.state for outcome in outcomes] == [State.CONFIRMED] * 3


async def test_cancelling_in_the_loop_does_not_drain() -> None:
    reached, release = asyncio.Event(), asyncio.Event()

    def first_only(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.record(await read_request(reader))
            if len(server.requests) > 1:
                await release.wait()
            writer.write(answer())
            await writer.drain()

        return act

    async def consume(client: VtexInvoiceClient) -> None:
        async with aclosing(client.notify_many(endless(), concurrency=2)) as outcomes:
            async for _ in outcomes:
                reached.set()
                await asyncio.Event().wait()

    async with (
        raw_server(first_only) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        run = asyncio.create_task(consume(client))
        await reached.wait()

        run.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await run


async def test_a_client_closed_under_a_run_loses_no_job_that_was_taken() -> None:
    taken = 0

    def jobs() -> Iterator[InvoiceJob]:
        nonlocal taken
        for job in endless():
            taken += 1
            yield job

    seen = 0
    async with raw_server(reply_with(answer())) as server:
        client = VtexInvoiceClient(server.config(max_concurrency=4))
        await client.__aenter__()
        with pytest.raises(ConfigError, match="closed"):  # noqa: PT012  the loop is what raises
            async for _ in client.notify_many(jobs()):
                seen += 1
                if seen == 20:
                    closing = asyncio.create_task(client.aclose())
        await closing

    assert seen == taken
