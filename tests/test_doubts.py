"""What is in doubt is read on the order, by a schedule and within a budget, until it is known."""

from __future__ import annotations

import asyncio
import pickle
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.failures import POSTED
from tests.virtual_time import START, run_virtual
from vtex_invoice_async import (
    Doubt,
    InvoiceJob,
    InvoiceType,
    OrdersApi,
    RetryPolicy,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import (
    CallError,
    InvoiceAbsent,
    InvoiceConflict,
    OutcomeUnknown,
)
from vtex_invoice_async.events import Event, LeftInDoubt
from vtex_invoice_async.sandbox import Do, Fault, Role, Sandbox

T = TypeVar("T")
Act = Callable[[Sandbox, VtexInvoiceClient], Awaitable[T]]

LOST: Final = Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)
DROPPED: Final = Fault(do=Do.CLOSE, on=POSTED, nth=(1,))
READ_FAILS: Final = Fault(do=Do.ANSWER, on="get_order", rate=1, status=503)


def play(
    act: Act[T],
    *faults: Fault,
    orders: int = 1,
    roles: Sequence[Role] = tuple(Role),
    retry: RetryPolicy | None = None,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> T:
    """Let a client meet a sandbox with these faults, in virtual time."""

    async def main() -> T:
        async with Sandbox(orders=orders, faults=faults, roles=roles) as sandbox:
            config = evolve(sandbox.config, retry=retry or RetryPolicy(), orders_api=orders_api)
            async with VtexInvoiceClient(config) as client:
                return await act(sandbox, client)

    return run_virtual(main())


def doubt_of(job: InvoiceJob, *, ago: float = 0, **changes: Any) -> Doubt:
    """What a caller kept of a job, so many seconds before the calendar's start."""
    return evolve(job.doubt(OrdersApi.OMS, START - timedelta(seconds=ago)), **changes)


def reads_of(sandbox: Sandbox) -> list[float]:
    """When orders were read, in seconds from the start."""
    found = (entry for entry in sandbox.oracle.arrived if entry.operation == "get_order")
    return [(entry.at - START).total_seconds() for entry in found]


async def notify(client: VtexInvoiceClient, job: InvoiceJob) -> object:
    return await client.notify_invoice(job.order_id, job.invoice)


def test_a_call_looks_after_1_3_8_and_20_seconds_and_then_says_that_it_does_not_know() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[list[float], float]:
        with pytest.raises(OutcomeUnknown) as caught:
            await notify(client, job_for(sandbox.orders[0]))
        assert caught.value.doubt in client.in_doubt()
        return reads_of(sandbox), asyncio.get_running_loop().time()

    reads, ended = play(act, DROPPED)

    assert len(reads) == 4
    for planned, at in zip((1, 3, 8, 20), reads, strict=True):
        assert planned <= at <= 1.1 * planned + 0.1
    assert ended <= 30


def test_absence_is_believed_only_after_the_window() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[list[float], float]:
        with pytest.raises(OutcomeUnknown) as caught:
            await notify(client, job_for(sandbox.orders[0]))
        assert caught.value.doubt is not None
        with pytest.raises(InvoiceAbsent):
            await client.resolve(caught.value.doubt)
        assert client.in_doubt() == ()
        return reads_of(sandbox), asyncio.get_running_loop().time()

    reads, ended = play(act, DROPPED)

    assert 300 <= ended < 301
    for planned, at in zip((1, 3, 8, 20, 45, 90, 180, 300), reads, strict=True):
        assert planned <= at <= 1.1 * planned + 0.1


def test_what_shows_late_is_found_within_the_window() -> None:
    lag = Fault(do=Do.LAG, on=POSTED, nth=(1,), seconds=150)

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> str:
        job = job_for(sandbox.orders[0])
        await notify(client, job)  # confirmed, and not shown yet
        receipt = await client.resolve(doubt_of(job))
        assert asyncio.get_running_loop().time() >= 150
        return receipt.confirmed_by

    assert play(act, lag) == "order"


@pytest.mark.parametrize(
    "changes",
    [
        {"value": 1},
        {"type": "Input"},
        {"invoice_number": "nfe502556"},
        {"invoice_number": " NFe502556"},
        {"invoice_number": "00NFe502556"},
    ],
)
def test_other_contents_or_nearly_the_same_number_are_a_conflict(changes: dict[str, Any]) -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[Doubt, ...]:
        job = job_for(sandbox.orders[0])
        assert job.invoice.invoice_number == "NFe502556"
        await notify(client, job)
        with pytest.raises(InvoiceConflict):
            await client.resolve(doubt_of(job, **changes))
        return client.in_doubt()

    assert play(act) == ()


@pytest.mark.parametrize("do", [Do.STALE, Do.PARTIAL])
def test_a_read_that_shows_less_than_there_is_proves_nothing(do: Do) -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> float:
        job = job_for(sandbox.orders[0])
        await notify(client, job)
        await client.resolve(doubt_of(job))
        return asyncio.get_running_loop().time()

    # The first looks are misled, and nothing is concluded from them.
    assert 8 <= play(act, Fault(do=do, on="get_order", nth=(1, 2))) < 10


def test_a_copy_from_a_cache_is_no_evidence() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> int:
        job = job_for(sandbox.orders[0])
        with pytest.raises(OutcomeUnknown, match="a copy that a cache has kept"):
            await client.resolve(doubt_of(job, ago=86_400))
        return len(reads_of(sandbox))

    order = '{"orderId":"v660000001lux-01","value":1,"packageAttachment":{"packages":[]}}'
    aged = Fault(do=Do.ANSWER, on="get_order", rate=1, status=200, body=order, headers={"Age": "7"})
    assert play(act, aged) > 3


def test_an_old_doubt_is_settled_in_seconds() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[int, float]:
        job = job_for(sandbox.orders[0])
        with pytest.raises(InvoiceAbsent):
            await client.resolve(doubt_of(job, ago=86_400))
        return len(reads_of(sandbox)), asyncio.get_running_loop().time()

    reads, ended = play(act)

    assert reads == 3
    assert ended < 5


def test_a_doubt_from_a_clock_that_is_ahead_is_taken_as_new() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> float:
        job = job_for(sandbox.orders[0])
        await notify(client, job)
        await client.resolve(doubt_of(job, ago=-1_000_000))
        return asyncio.get_running_loop().time()

    assert play(act) < 2


def test_where_reads_fail_it_is_not_known_after_twice_the_window() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> float:
        doubt = doubt_of(job_for(sandbox.orders[0]))
        with pytest.raises(OutcomeUnknown, match="could not be read") as caught:
            await client.resolve(doubt)
        assert caught.value.doubt == doubt
        assert client.in_doubt() == (doubt,)
        return asyncio.get_running_loop().time()

    assert 600 <= play(act, READ_FAILS) < 660


def test_without_the_right_to_read_it_is_not_known_at_once() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> float:
        with pytest.raises(OutcomeUnknown, match="cannot be read"):
            await client.resolve(doubt_of(job_for(sandbox.orders[0])))
        return asyncio.get_running_loop().time()

    assert play(act, roles=[Role.NOTIFY_INVOICE]) < 2


def test_a_doubt_can_be_resolved_by_another_process() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await notify(client, job_for(sandbox.orders[0]))
        kept = pickle.dumps(client.in_doubt())
        async with VtexInvoiceClient(sandbox.config) as another:
            (doubt,) = pickle.loads(kept)
            return (await another.resolve(doubt)).confirmed_by

    assert play(act, LOST) == "order"


def test_several_doubts_of_an_order_share_a_read() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> int:
        order = sandbox.orders[0]
        jobs = [job_for(order, invoice_number=f"N{n}", invoice_value=n) for n in range(1, 6)]
        for job in jobs:
            await notify(client, job)
        receipts = await asyncio.gather(*(client.resolve(doubt_of(job)) for job in jobs))
        assert {receipt.confirmed_by for receipt in receipts} == {"order"}
        return len(reads_of(sandbox))

    # Their first looks are spread by a tenth of a second; one or two reads serve them all.
    assert play(act) <= 2


def test_reads_keep_to_a_budget() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> list[float]:
        doubts = [doubt_of(job_for(order), ago=86_400) for order in sandbox.orders]
        found = await asyncio.gather(
            *(client.resolve(doubt) for doubt in doubts), return_exceptions=True
        )
        assert {type(error) for error in found} == {InvoiceAbsent}
        return reads_of(sandbox)

    reads = play(act, orders=100)

    a_second = Counter(int(at) for at in reads)
    assert len(reads) == 300
    assert max(a_second.values()) <= 21


@pytest.mark.parametrize("orders_api", OrdersApi)
def test_the_order_is_read_on_the_paths_that_the_invoice_was_sent_to(orders_api: OrdersApi) -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> str:
        (outcome,) = [o async for o in client.notify_many([job_for(sandbox.orders[0])])]
        assert outcome.receipt is not None
        return outcome.receipt.confirmed_by

    assert play(act, LOST, orders_api=orders_api) == "order"


def test_what_is_still_unknown_keeps_what_vtex_said() -> None:
    broken = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=500, headers={"X-Request-Id": "r-77"})

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> CallError:
        with pytest.raises(OutcomeUnknown) as caught:
            await notify(client, job_for(sandbox.orders[0]))
        return caught.value

    error = play(act, broken)

    assert (error.status, error.request_id, error.attempts) == (500, "r-77", 1)
    assert "does not show it" in str(error)


def test_closing_says_once_how_many_are_left_in_doubt() -> None:
    heard: list[Event] = []

    async def main() -> None:
        sandbox = Sandbox(orders=1, faults=[DROPPED])
        async with sandbox, VtexInvoiceClient(sandbox.config, observe=heard.append) as client:
            with pytest.raises(OutcomeUnknown):
                await notify(client, job_for(sandbox.orders[0]))
            await asyncio.gather(client.aclose(), client.aclose())
        await client.aclose()

    run_virtual(main())

    assert [event for event in heard if isinstance(event, LeftInDoubt)] == [LeftInDoubt(doubts=1)]


@pytest.mark.parametrize(
    ("kind", "advice"),
    [(InvoiceType.OUTPUT, "may be sent again"), (InvoiceType.INPUT, "refunds a shopper")],
)
def test_what_is_absent_says_whether_it_is_safe_to_send_again(
    kind: InvoiceType, advice: str
) -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> None:
        with pytest.raises(InvoiceAbsent, match=advice):
            await client.resolve(doubt_of(job_for(sandbox.orders[0]), ago=86_400, type=kind))

    play(act)
