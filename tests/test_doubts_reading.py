"""Reading for what is in doubt: nobody is held up, nobody's doubt is lost, and no read is wasted."""

from __future__ import annotations

import asyncio
import pickle
from datetime import datetime
from typing import Final

import orjson
import pytest
from attrs import evolve

from tests.factories import job_for, make_invoice, make_tracking
from tests.failures import POSTED
from tests.test_doubts import DROPPED, LOST, doubt_of, notify, play, reads_of
from tests.virtual_time import run_virtual
from vtex_invoice_async import (
    Doubt,
    InvoiceJob,
    Order,
    OrdersApi,
    RetryPolicy,
    ThrottleLimits,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import InvoiceAbsent, InvoiceConflict, OutcomeUnknown
from vtex_invoice_async.operations import (
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
)
from vtex_invoice_async.resolve import LOOK_AFTER
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

NOT_FOUND: Final = '{"error":{"code":"OMS007","message":"Order Not Found","exception":null}}'


def now() -> float:
    return asyncio.get_running_loop().time()


def numbered(order: Order, *numbers: int) -> list[InvoiceJob]:
    """Small invoices of one order."""
    return [job_for(order, invoice_number=f"N{n}", invoice_value=n) for n in numbers]


async def leave(client: VtexInvoiceClient, job: InvoiceJob) -> None:
    """Lose patience with a call."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await notify(client, job)


async def absent(client: VtexInvoiceClient, doubt: Doubt) -> None:
    with pytest.raises(InvoiceAbsent):
        await client.resolve(doubt)


def test_the_looks_for_several_doubts_of_an_order_that_lacks_them_are_shared_too() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> list[float]:
        jobs = numbered(sandbox.orders[0], 1, 2, 3, 4, 5)
        await asyncio.gather(*(absent(client, doubt_of(job)) for job in jobs))
        return reads_of(sandbox)

    reads = play(act)

    # Each read shows that all five are lacking, so that none of them needs one of its own.
    assert len(reads) <= len(LOOK_AFTER) + 3


def test_who_hears_late_of_an_end_does_not_make_a_newer_doubt_forgotten() -> None:
    late = Fault(do=Do.LATE, on=POSTED, nth=(3,), seconds=60)

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[list[str], int]:
        first, second, third = numbered(sandbox.orders[0], 1, 2, 3)
        await notify(client, first)
        await notify(client, second)
        # One that looks again in half a minute, one that looks now, and shows both.
        old = doubt_of(first, ago=23)
        waiting = asyncio.create_task(client.resolve(old))
        await client.resolve(doubt_of(second))
        await client.resolve(old)
        assert not waiting.done()
        await leave(client, third)

        await waiting

        left = [doubt.invoice_number for doubt in client.in_doubt()]
        with pytest.raises(OutcomeUnknown):
            await notify(client, third)
        await asyncio.sleep(100)
        return left, sandbox.applied[third.order_id, "N3"]

    assert play(act, late) == (["N3"], 1)


def test_two_who_ask_for_the_same_doubt_are_both_told() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[set[str], int]:
        job = job_for(sandbox.orders[0])
        await leave(client, job)
        (doubt,) = client.in_doubt()
        again = client.notify_invoice(job.order_id, job.invoice)
        receipts = await asyncio.gather(client.resolve(doubt), again, client.resolve(doubt))
        assert client.in_doubt() == ()
        return {receipt.confirmed_by for receipt in receipts}, len(reads_of(sandbox))

    assert play(act, LOST) == ({"order"}, 1)


def test_a_read_for_several_takes_as_long_as_it_may_for_any_of_them() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[set[str], int]:
        await leave(client, job_for(sandbox.orders[0]))
        (doubt,) = client.in_doubt()
        hasty = client.with_options(timeout=1)
        receipts = await asyncio.gather(*(by.resolve(doubt) for by in (hasty, client, hasty)))
        return {receipt.confirmed_by for receipt in receipts}, len(reads_of(sandbox))

    slow = Fault(do=Do.DELAY, on="get_order", rate=1, seconds=2)
    assert play(act, LOST, slow) == ({"order"}, 1)


def test_who_asks_again_sends_nothing_though_the_doubt_is_settled_before_its_turn_comes() -> None:
    async def main() -> tuple[str, int, int]:
        async with Sandbox(orders=1, faults=[LOST]) as sandbox:
            config = evolve(sandbox.config, throttle=ThrottleLimits(rate=0.1))
            async with VtexInvoiceClient(config) as client:
                job = job_for(sandbox.orders[0])
                await leave(client, job)
                # The next turn to send comes in ten seconds.
                again = asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
                await client.resolve(*client.in_doubt())
                receipt = await again
            posts = sum(entry.operation == POSTED for entry in sandbox.oracle.arrived)
            return receipt.confirmed_by, posts, sandbox.applied.total()

    assert run_virtual(main()) == ("order", 1, 1)


def test_waiting_for_the_next_look_holds_no_slot_and_no_turn() -> None:
    async def main() -> list[float]:
        async with (
            Sandbox(orders=9, faults=[DROPPED]) as sandbox,
            VtexInvoiceClient(evolve(sandbox.config, max_concurrency=1)) as client,
        ):
            first, *others = [job_for(order) for order in sandbox.orders]
            await leave(client, first)
            looking = asyncio.create_task(absent(client, *client.in_doubt()))
            took = []
            for job in others:
                began = now()
                await notify(client, job)
                took.append(now() - began)
                await asyncio.sleep(34)
            assert not looking.done()
            await looking
            return took

    assert max(run_virtual(main())) < 0.1


def test_a_storm_of_doubts_is_read_within_the_budget_and_no_send_waits_for_it() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[list[float], float]:
        *jobs, last = [job_for(order) for order in sandbox.orders]
        calls = [asyncio.create_task(client.resolve(doubt_of(job))) for job in jobs]
        await asyncio.sleep(2)
        began = now()
        await notify(client, last)
        took = now() - began
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in found} == {InvoiceAbsent}
        return reads_of(sandbox), took

    reads, took = play(act, orders=201)

    in_a_second = [sum(at <= other < at + 1 for other in reads) for at in reads]
    assert max(in_a_second) <= 21
    assert took < 0.1


def test_an_order_that_is_not_found_leaves_the_doubt_open_at_once() -> None:
    gone = Fault(do=Do.ANSWER, on="get_order", nth=(1,), status=404, body=NOT_FOUND)

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> str:
        await leave(client, job_for(sandbox.orders[0]))
        (doubt,) = client.in_doubt()
        with pytest.raises(OutcomeUnknown, match="the order cannot be read") as caught:
            await client.resolve(doubt)
        assert (caught.value.doubt, client.in_doubt()) == (doubt, (doubt,))
        assert now() < 2
        return (await client.resolve(doubt)).confirmed_by

    assert play(act, LOST, gone) == "order"


def test_reads_that_show_fewer_invoices_than_before_do_not_prove_an_absence() -> None:
    # After the first look, all but the last two before it is over: one invoice less than there was.
    partial = Fault(do=Do.PARTIAL, on="get_order", nth=tuple(range(2, 9)))

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> list[float]:
        there, lacking = numbered(sandbox.orders[0], 1, 2)
        await notify(client, there)
        await absent(client, doubt_of(lacking))
        return reads_of(sandbox)

    reads = play(act, partial)

    assert len(reads) == 10
    assert reads[7] >= 300
    assert reads[-1] > reads[7]


@pytest.mark.parametrize(
    "operation",
    [
        NotifyInvoice(order_id="v5lux-01", invoice=make_invoice()),
        SendTracking(order_id="v5lux-01", invoice_number="NFe1", tracking=make_tracking()),
        StartHandling(order_id="v5lux-01"),
    ],
    ids=["notify_invoice", "send_tracking", "start_handling"],
)
def test_no_call_looks_for_longer_than_it_may_though_reads_hang(
    operation: Operation[object],
) -> None:
    lost = Fault(do=Do.CLOSE, on=operation.name, nth=(1,))
    hanging = Fault(do=Do.HANG, on="get_order", rate=1)

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> float:
        with pytest.raises(OutcomeUnknown):
            await client.send(operation)
        return now()

    assert play(act, lost, hanging) <= RetryPolicy().resolve_for + 1


def test_a_copy_that_a_cache_kept_is_not_believed_though_it_is_the_order_itself() -> None:
    async def main() -> tuple[float, int]:
        async with Sandbox(orders=1) as plain:
            seen = {"orderId": plain.orders[0].order_id, "value": plain.orders[0].value}
        body = orjson.dumps({**seen, "packageAttachment": {"packages": []}}).decode()
        kept = Fault(
            do=Do.ANSWER,
            on="get_order",
            nth=tuple(range(1, 6)),
            status=200,
            body=body,
            headers={"Age": "7"},
        )
        async with Sandbox(orders=1, faults=[kept]) as sandbox:
            async with VtexInvoiceClient(sandbox.config) as client:
                await absent(client, doubt_of(job_for(sandbox.orders[0]), ago=86_400))
            return now(), len(reads_of(sandbox))

    # Three reads after the last copy, and not one less.
    assert run_virtual(main())[1] == 5 + 3


@pytest.mark.parametrize("orders_api", OrdersApi)
def test_a_doubt_is_read_on_its_own_paths_whatever_its_reader_sends_on(
    orders_api: OrdersApi,
) -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> Doubt:
        await leave(client, job_for(sandbox.orders[0]))
        (doubt,) = client.in_doubt()
        async with VtexInvoiceClient(sandbox.config) as another:
            again = pickle.loads(pickle.dumps(doubt))
            assert (await another.resolve(again)).confirmed_by == "order"
        return doubt

    assert play(act, LOST, orders_api=orders_api).orders_api is orders_api


@pytest.mark.parametrize(
    ("fault", "error"), [(LOST, InvoiceConflict), (DROPPED, InvoiceAbsent)], ids=["other", "absent"]
)
def test_in_doubt_lists_the_oldest_first_and_none_that_is_settled(
    fault: Fault, error: type[Exception]
) -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> None:
        first, second = [job_for(order) for order in sandbox.orders]
        later, earlier = doubt_of(second, ago=-5), evolve(doubt_of(first, ago=60), value=1)
        await leave(client, first)
        (own,) = client.in_doubt()
        looking = [asyncio.create_task(client.resolve(doubt)) for doubt in (later, earlier)]
        await asyncio.sleep(0)
        assert client.in_doubt() == (earlier, own, later)

        found = await asyncio.gather(*looking, return_exceptions=True)

        assert [type(each) for each in found] == [InvoiceAbsent, error]
        assert not {earlier, later} & set(client.in_doubt())

    play(act, fault, orders=2)


def test_a_doubt_keeps_the_moment_when_the_last_byte_may_have_left() -> None:
    hanging = Fault(do=Do.HANG, on=POSTED, nth=(1,), acted=True)

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[datetime, datetime]:
        began = client._caller.now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7):
                await notify(client, job_for(sandbox.orders[0]))
        (doubt,) = client.in_doubt()
        return began, doubt.since

    began, since = play(act, hanging)

    assert (since - began).total_seconds() == pytest.approx(7, abs=0.01)
