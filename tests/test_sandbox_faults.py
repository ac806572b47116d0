"""What goes wrong on purpose: what the client makes of it, and what the record says happened."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from attrs import evolve

from tests.command_line import until
from tests.factories import ONCE, authentication, job_for, make_tracking
from tests.plain_caller import calling
from vtex_invoice_async import InvoiceJob, RetryPolicy, State, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    ConfigError,
    NotAuthorized,
    OutcomeUnknown,
    RateLimited,
)
from vtex_invoice_async.sandbox import Do, Fault, FaultPlan, Limit, Sandbox, read_plan

FIRST = (1,)
HTML = {"Content-Type": "text/html"}


@asynccontextmanager
async def troubled(
    *faults: Fault, total: float = 5
) -> AsyncIterator[tuple[Sandbox, VtexInvoiceClient]]:
    async with Sandbox(orders=3, faults=faults) as sandbox:
        timeouts = Timeouts(connect=total, read=total, total=total)
        config = evolve(sandbox.config, timeouts=timeouts, retry=ONCE)
        async with VtexInvoiceClient(config) as client:
            yield sandbox, client


async def error_of(client: VtexInvoiceClient, job: InvoiceJob) -> CallError:
    with pytest.raises(CallError) as caught:
        await client.notify_invoice(job.order_id, job.invoice)
    return caught.value


@pytest.mark.parametrize("acted", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(do=Do.CLOSE, nth=FIRST),
        Fault(do=Do.RESET, nth=FIRST),
        Fault(do=Do.HANG, nth=FIRST),
        Fault(do=Do.ANSWER, nth=FIRST, status=500),
        Fault(do=Do.ANSWER, nth=FIRST, status=502, body="<html>Bad gateway", headers=HTML),
        Fault(do=Do.ANSWER, nth=FIRST, status=503, headers={"Retry-After": "1"}),
        Fault(do=Do.ANSWER, nth=FIRST, status=504),
        Fault(do=Do.ANSWER, nth=FIRST, status=408),
        Fault(do=Do.ANSWER, nth=FIRST, status=409),
        Fault(do=Do.ANSWER, nth=FIRST, status=302, headers={"Location": "https://vtex.invalid/"}),
        Fault(do=Do.ANSWER, nth=FIRST, status=200, body="<html>Log in", headers=HTML),
        Fault(do=Do.ANSWER, nth=FIRST, status=200, body=""),
        Fault(do=Do.ANSWER, nth=FIRST, status=200, body='{"receipt":null}'),
        Fault(do=Do.ANSWER, nth=FIRST, status=200, body='{"receipt":"52'),
        Fault(do=Do.ANSWER, nth=FIRST, status=400, body="<html>Blocked", headers=HTML),
        Fault(do=Do.RAW, nth=FIRST, body="HTTP/1.1 99 Odd\r\n\r\n"),
    ],
)
async def test_whether_vtex_acted_or_not_the_outcome_is_unknown(fault: Fault, acted: bool) -> None:
    # Only what hangs waits for its time to pass, which has to do for the request to arrive.
    total = 1 if fault.do is Do.HANG else 20
    async with troubled(evolve(fault, acted=acted), total=total) as (sandbox, client):
        job = job_for(sandbox.orders[0])

        error = await error_of(client, job)

        assert type(error) is OutcomeUnknown
        assert sandbox.applied.total() == acted
        assert len(sandbox.oracle.arrived) == 1


@pytest.mark.parametrize(("status", "kind"), [(400, BadRequest), (401, NotAuthorized)])
async def test_an_answer_that_proves_it_leaves_nothing_in_doubt(
    status: int, kind: type[CallError]
) -> None:
    async with troubled(Fault(do=Do.ANSWER, nth=FIRST, status=status)) as (sandbox, client):
        error = await error_of(client, job_for(sandbox.orders[0]))

        assert type(error) is kind
        assert not sandbox.applied


async def test_an_answer_cut_at_any_byte_proves_nothing() -> None:
    # In its status, its headers and its body: a whole answer has some 190 bytes.
    cuts = [0, 1, 5, 12, 15, 17, 40, 60, 71, 72, 73, 90, 120, 150, 180]
    for at in cuts:
        async with troubled(Fault(do=Do.CUT, nth=FIRST, at=at)) as (sandbox, client):
            error = await error_of(client, job_for(sandbox.orders[0]))

            assert type(error) is OutcomeUnknown, at
            assert sandbox.applied.total() == 1, at


async def test_an_answer_cut_behind_its_end_is_whole() -> None:
    async with troubled(Fault(do=Do.CUT, nth=FIRST, at=10_000)) as (sandbox, client):
        job = job_for(sandbox.orders[0])

        assert (await client.notify_invoice(job.order_id, job.invoice)).receipt is not None


@pytest.mark.parametrize("at", [0, 1, 50])
async def test_a_request_cut_on_its_way_is_not_applied_and_not_known_to_be(at: int) -> None:
    async with troubled(Fault(do=Do.CUT_REQUEST, nth=FIRST, at=at)) as (sandbox, client):
        error = await error_of(client, job_for(sandbox.orders[0]))

        assert type(error) is OutcomeUnknown
        assert not sandbox.oracle.arrived


async def test_what_arrives_late_is_applied_after_the_client_gave_up() -> None:
    fault = Fault(do=Do.LATE, nth=FIRST, seconds=0.3)
    async with troubled(fault, total=0.1) as (sandbox, client):
        job = job_for(sandbox.orders[0])

        error = await error_of(client, job)
        at_once = sandbox.applied.total()
        await until(lambda: bool(sandbox.applied), patience=5)

        assert type(error) is OutcomeUnknown
        assert at_once == 0
        assert sandbox.applied == {(job.order_id, job.invoice.invoice_number): 1}


@pytest.mark.parametrize("acted", [False, True])
async def test_a_delay_within_the_timeout_is_only_a_delay(acted: bool) -> None:
    fault = Fault(do=Do.DELAY, nth=FIRST, seconds=0.05, acted=acted)
    async with troubled(fault) as (sandbox, client):
        job = job_for(sandbox.orders[0])

        await client.notify_invoice(job.order_id, job.invoice)

        assert sandbox.applied.total() == 1


async def test_a_fault_concerns_the_operation_and_the_order_that_it_names() -> None:
    async with Sandbox(orders=3) as probe:
        unlucky = probe.orders[1].order_id
    fault = Fault(do=Do.ANSWER, on="send_tracking", order_id=unlucky, rate=1, status=500)
    async with troubled(fault) as (sandbox, client):
        jobs = [job_for(order) for order in sandbox.orders]
        outcomes = [outcome async for outcome in client.notify_many(jobs)]
        calls = (
            client.send_tracking(job.order_id, job.invoice.invoice_number, make_tracking())
            for job in jobs
        )
        tracked = await asyncio.gather(*calls, return_exceptions=True)

    assert {outcome.state for outcome in outcomes} == {State.CONFIRMED}
    assert [isinstance(result, OutcomeUnknown) for result in tracked] == [False, True, False]


async def test_the_order_shows_an_invoice_later_where_it_lags() -> None:
    async with troubled(Fault(do=Do.LAG, on="notify_invoice", nth=FIRST, seconds=60)) as (
        sandbox,
        client,
    ):
        job = job_for(sandbox.orders[0])

        await client.notify_invoice(job.order_id, job.invoice)

        assert (await client.get_order(job.order_id)).packages == ()
        assert sandbox.applied.total() == 1


@pytest.mark.parametrize(("do", "seen"), [(Do.STALE, []), (Do.PARTIAL, ["A"])])
async def test_a_read_may_show_less_than_there_is(do: Do, seen: list[str]) -> None:
    async with troubled(Fault(do=do, on="get_order", nth=FIRST)) as (sandbox, client):
        order = sandbox.orders[0]
        for number in ("A", "B"):
            job = job_for(order, invoice_number=number, invoice_value=1)
            await client.notify_invoice(job.order_id, job.invoice)

        first, second = [await client.get_order(order.order_id) for _ in range(2)]

        assert [package.invoice_number for package in first.packages or ()] == seen
        assert [package.invoice_number for package in second.packages or ()] == ["A", "B"]


async def test_credentials_may_be_revoked_in_the_middle() -> None:
    async with troubled(Fault(do=Do.REVOKE, nth=(2,))) as (sandbox, client):
        first, second, third = [job_for(order) for order in sandbox.orders]

        await client.notify_invoice(first.order_id, first.invoice)

        assert type(await error_of(client, second)) is NotAuthorized
        assert type(await error_of(client, third)) is NotAuthorized
        assert sandbox.applied.total() == 1


async def test_an_account_has_the_limit_that_it_is_given() -> None:
    limit = Limit(per_second=0.001, burst=5, retry_after=7)
    async with Sandbox(orders=9, limit=limit) as sandbox:
        config = evolve(sandbox.config, retry=RetryPolicy(retry_after_cap=5))
        async with VtexInvoiceClient(config) as client:
            jobs = [job_for(order) for order in sandbox.orders]
            outcomes = [outcome async for outcome in client.notify_many(jobs)]

        refused = [outcome.error for outcome in outcomes if outcome.error is not None]
        assert sandbox.applied.total() == 5
        assert len(refused) == 4
        assert all(isinstance(error, RateLimited) for error in refused)


async def test_a_limit_may_come_and_go() -> None:
    faults = (
        Fault(do=Do.LIMIT, nth=(2,), per_second=0.001),
        Fault(do=Do.LIMIT, nth=(30,), per_second=0),
    )
    async with Sandbox(orders=1, faults=faults) as sandbox, calling(sandbox) as caller:
        order = sandbox.orders[0].order_id
        statuses = [(await caller.route("order", order)).status for _ in range(31)]

    # The bucket of twenty that every limit has, then nothing, then no limit.
    assert statuses == [200] * 21 + [429] * 8 + [200] * 2


def test_the_same_seed_makes_the_same_trouble() -> None:
    def drawn(seed: int) -> list[bool]:
        plan = FaultPlan((Fault(do=Do.CLOSE, rate=0.3),), seed)
        return [plan.next("get_order", "v1-01") is not None for _ in range(200)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert 30 < sum(drawn(7)) < 90


@pytest.mark.parametrize(
    "other",
    [
        Fault(do=Do.HANG, nth=(99,)),
        Fault(do=Do.HANG, on="get_order", rate=0.5),
        Fault(do=Do.HANG, on="notify_invoice", rate=0.01),
    ],
)
def test_a_fault_does_not_move_those_beside_it(other: Fault) -> None:
    watched = Fault(do=Do.CLOSE, on="notify_invoice", rate=0.3)

    def closed(*faults: Fault, reads: bool = False) -> list[int]:
        plan = FaultPlan(faults, 7)
        hits = []
        for number in range(60):
            if reads:
                plan.next("get_order", "v1-01")
            if plan.next("notify_invoice", "v1-01") is watched:
                hits.append(number)
        return hits

    alone = closed(watched)

    assert closed(watched, other) == closed(watched, other, reads=True) == alone
    assert len(alone) > 5


def test_a_plan_is_read_from_json() -> None:
    plan = read_plan(
        {"seed": 3, "faults": [{"do": "cut", "on": "notify_invoice", "nth": [2], "at": 37}]}
    )

    assert plan.faults == (Fault(do=Do.CUT, on="notify_invoice", nth=(2,), at=37),)
    assert (plan.seed, read_plan({"seed": 3}, seed=9).seed) == (3, 9)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "a plan of faults is"),
        ({"fault": []}, "a plan of faults is"),
        ({"faults": [{"do": "explode", "nth": [1]}]}, "faults[0].do"),
        ({"faults": [{"do": "close", "nth": [1], "when": 1}]}, "when"),
        ({"faults": None}, "faults must be a list"),
        ({"faults": [], "seed": "7"}, "seed must be a whole number"),
        ({"faults": [{"do": "close"}]}, "nth, or a rate"),
        ({"faults": [{"do": "close", "rate": 2}]}, "rate is from 0 to 1"),
        ({"faults": [{"do": "close", "nth": [0]}]}, "nth counts from 1"),
        ({"faults": [{"do": "close", "nth": [1.9]}]}, "faults[0].nth"),
        ({"faults": [{"do": "close", "nth": "12"}]}, "faults[0].nth"),
        ({"faults": [{"do": "close", "nth": [1], "acted": "false"}]}, "faults[0].acted"),
        ({"faults": [{"do": "close", "nth": [1], "on": "notify_invoce"}]}, "on must be one of"),
        ({"faults": [{"do": "answer", "nth": [1], "body": {"a": 1}}]}, "faults[0].body"),
        ({"faults": [{"do": "cut", "nth": [1], "at": -5}]}, "below 0"),
        ({"faults": [{"do": "raw", "nth": [1], "body": "\u20ac"}]}, "body of raw"),
        ({"faults": [{"do": "delay", "nth": [1], "seconds": math.nan}]}, "seconds"),
        ({"faults": [{"do": "lag", "nth": [1], "seconds": math.inf}]}, "seconds"),
        ({"faults": [{"do": "lag", "nth": [1], "seconds": 1e13}]}, "seconds"),
        ({"faults": [{"do": "answer", "nth": [1], "status": 99}]}, "three digits"),
        ({"faults": [{"do": "answer", "nth": [1], "status": 1000}]}, "three digits"),
        ({"faults": [{"do": "answer", "nth": [1], "body": "\ud800"}]}, "surrogate"),
        ({"faults": [{"do": "answer", "nth": [1], "headers": {"A": "b\r\nC: d"}}]}, "header"),
        ({"faults": [{"do": "answer", "nth": [1], "headers": {"A": "\ud800"}}]}, "header"),
        ({"faults": [{"do": "answer", "nth": [1], "headers": {"A b": "c"}}]}, "header"),
        ({"faults": [{"do": "answer", "nth": [1], "headers": {"": "c"}}]}, "header"),
        ({"faults": [{"nth": [1]}]}, "do"),
        ({"faults": [{"do": "close", "nth": [1], "a\x1b[2Jb\nc": 1}]}, "a [2Jb c"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_its_place(document: object, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_plan(document)

    assert told in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("do", [Do.HANG, Do.LATE])
async def test_what_hangs_is_not_answered_when_the_sandbox_ends(do: Do) -> None:
    sandbox = Sandbox(orders=1, faults=[Fault(do=do, nth=FIRST, seconds=60)])
    await sandbox.__aenter__()
    async with VtexInvoiceClient(evolve(sandbox.config, retry=ONCE)) as client:
        job = job_for(sandbox.orders[0])
        call = asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
        await until(lambda: len(sandbox.oracle.arrived) == 1)

        await sandbox.__aexit__(None, None, None)

        with pytest.raises(OutcomeUnknown):
            await call
    assert not sandbox.applied


async def test_what_acts_late_acts_once() -> None:
    fault = Fault(do=Do.LATE, nth=FIRST, seconds=0.05, acted=True)
    async with troubled(fault, total=0.2) as (sandbox, client):
        await error_of(client, job_for(sandbox.orders[0]))

        assert sandbox.applied.total() == 1


@pytest.mark.parametrize("do", [Do.STALE, Do.LAG])
async def test_an_order_that_does_not_show_an_invoice_does_not_show_that_there_was_one(
    do: Do,
) -> None:
    async with troubled(Fault(do=do, nth=FIRST, seconds=60)) as (sandbox, client):
        job = job_for(sandbox.orders[0])
        await client.notify_invoice(job.order_id, job.invoice)

        order = await client.get_order(job.order_id)

        assert (order.status, order.packages) == ("handling", ())


async def test_a_header_of_an_answer_takes_the_place_of_the_usual_one() -> None:
    fault = Fault(do=Do.ANSWER, nth=FIRST, status=200, headers={"content-type": "text/html"})
    async with Sandbox(orders=1, faults=[fault]) as sandbox, aiohttp.ClientSession() as session:
        headers = authentication(sandbox.config)
        path = "/api/oms/pvt/orders/x-01"
        async with session.get(f"{sandbox.url}{path}", headers=headers) as heard:
            assert heard.headers.getall("Content-Type") == ["text/html"]
