"""By their numbers, events tell which call they are of; and a call that ends says where its time went."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from tests.factories import job_for, make_tracking
from tests.failures import POSTED
from tests.virtual_time import run_virtual
from vtex_invoice_async import RetryPolicy, ThrottleLimits, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, ConfigError, InvoiceConflict, OutcomeUnknown
from vtex_invoice_async.events import (
    CircuitTurned,
    Event,
    LeftInDoubt,
    Resolved,
    Resolving,
    Retrying,
    Sent,
    Settled,
    Throttled,
)
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

LATENCY = 0.25
Use = Callable[[VtexInvoiceClient, Sandbox], Awaitable[object]]


def heard_while(use: Use, faults: Sequence[Fault] = (), **settings: Any) -> list[Event]:
    async def main() -> None:
        sandbox = Sandbox(orders=20, faults=faults, latency=LATENCY)
        async with sandbox:
            config = evolve(sandbox.config, **settings)
            async with VtexInvoiceClient(config, observe=heard.append) as client:
                await use(client, sandbox)

    heard: list[Event] = []
    run_virtual(main())
    return heard


async def notify(client: VtexInvoiceClient, sandbox: Sandbox, number: int = 0) -> None:
    job = job_for(sandbox.orders[number])
    await client.notify_invoice(job.order_id, job.invoice)


def settled(heard: Sequence[Event], operation: str = POSTED) -> Settled:
    (found,) = (e for e in heard if isinstance(e, Settled) and e.operation == operation)
    return found


def test_calls_that_mix_are_told_apart_by_their_numbers() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await asyncio.gather(*(notify(client, sandbox, number) for number in range(20)))

    faults = [
        Fault(do=Do.ANSWER, on=POSTED, nth=(2, 9), status=429),
        Fault(do=Do.CLOSE, on=POSTED, nth=(5,), acted=True),
    ]
    of_calls: dict[int, list[Event]] = defaultdict(list)
    for event in heard_while(use, faults):
        if not isinstance(event, Throttled | CircuitTurned | LeftInDoubt):
            of_calls[event.call].append(event)

    assert len(of_calls) == 21
    for events in of_calls.values():
        assert len({event.order_id for event in events if not isinstance(event, Throttled)}) == 1  # type: ignore[union-attr]
        attempts = [event.attempt for event in events if isinstance(event, Sent)]
        assert attempts == [*range(1, len(attempts) + 1)]
        (end,) = (event for event in events if isinstance(event, Settled))
        assert end.attempts == len(attempts)
        assert end.is_looked_for is (type(events[-1]) is Resolved)


def test_no_two_clients_of_a_process_number_a_call_alike() -> None:
    numbers = [
        event.call for _ in range(3) for event in heard_while(notify) if isinstance(event, Settled)
    ]

    assert len(set(numbers)) == 3


def test_waiting_for_the_pace_is_told() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await asyncio.gather(*(notify(client, sandbox, number) for number in range(4)))

    heard = heard_while(use, throttle=ThrottleLimits(rate=0.5))

    ends = [event for event in heard if isinstance(event, Settled)]
    assert [end.queued for end in ends] == pytest.approx([0, 2, 4, 6])
    assert [end.waited for end in ends] == [end.queued for end in ends]
    assert [end.seconds - end.waited for end in ends] == pytest.approx([LATENCY] * 4, abs=0.01)
    assert {event.rate for event in heard if isinstance(event, Sent)} == {0.5}


def test_waiting_for_a_slot_is_told() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await asyncio.gather(*(notify(client, sandbox, number) for number in range(3)))

    ends = [e for e in heard_while(use, max_concurrency=1) if isinstance(e, Settled)]

    assert [end.queued for end in ends] == pytest.approx([0, LATENCY, 2 * LATENCY], abs=0.02)


def test_pauses_between_attempts_are_told_and_what_was_cut_short_counts_as_long_as_it_was() -> None:
    nowhere: dict[str, Any] = {"base_url": "http://127.0.0.1:9"}

    async def fail(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        with pytest.raises(CallError):
            await notify(client, sandbox)

    async def give_up(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await notify(client, sandbox)

    heard = heard_while(fail, retry=RetryPolicy(max_attempts=4), **nowhere)
    end = settled(heard)
    waits = sum(event.wait for event in heard if isinstance(event, Retrying))
    assert end.paused == end.waited == pytest.approx(waits)
    assert end.seconds == pytest.approx(waits)
    assert (end.error, end.status, end.is_looked_for) == ("NotSent", None, False)

    patient = RetryPolicy(first_wait=1e6, max_wait=1e6, deadline=None)
    end = settled(heard_while(give_up, retry=patient, **nowhere))
    assert (end.error, end.attempts) == ("CancelledError", 1)
    assert end.paused == end.seconds == pytest.approx(3)


def test_a_call_that_ends_without_a_turn_says_that_it_waited_all_the_time() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await notify(client, sandbox)
        call = asyncio.create_task(notify(client, sandbox, 1))
        await asyncio.sleep(5)
        await client.aclose()
        with pytest.raises(ConfigError):
            await call

    heard = heard_while(use, throttle=ThrottleLimits(rate=0.01))

    end = heard[-1]
    assert isinstance(end, Settled)
    assert (end.error, end.attempts) == ("ConfigError", 0)
    assert end.queued == end.seconds == pytest.approx(5)


def test_what_reads_and_what_acts_are_told_with_a_pace_of_their_own() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await client.get_order(sandbox.orders[0].order_id)
        await notify(client, sandbox)
        await notify(client, sandbox, 1)

    heard = heard_while(use, [Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=429)])

    sent = [event for event in heard if isinstance(event, Sent)]
    assert [event.acts for event in sent] == [False, True, True, True]
    (cut,) = (event for event in heard if isinstance(event, Throttled))
    assert cut.acts
    assert sent[0].rate == sent[1].rate > sent[2].rate == cut.rate


async def track(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    await notify(client, sandbox)
    job = job_for(sandbox.orders[0])
    await client.send_tracking(job.order_id, job.invoice.invoice_number, make_tracking())


def test_the_end_of_a_doubt_that_is_no_invoice_is_told_and_that_it_is_sent_once_more() -> None:
    heard = heard_while(track, [Fault(do=Do.CLOSE, on="send_tracking", nth=(1,))])

    (end,) = (event for event in heard if isinstance(event, Resolved))
    first, last = (e for e in heard if isinstance(e, Settled) and e.operation == "send_tracking")
    assert (end.finding, end.looks, end.is_repeated) == ("absent", 2, True)
    assert end.seconds == pytest.approx(3 + LATENCY, abs=0.02)
    assert end.invoice_number is not None
    assert end.call == first.call == last.call
    assert (first.error, first.is_looked_for) == ("OutcomeUnknown", True)
    assert (last.error, last.is_looked_for, last.attempts) == (None, False, 2)

    heard = heard_while(track, [Fault(do=Do.CLOSE, on="send_tracking", nth=(1,), acted=True)])
    (end,) = (event for event in heard if isinstance(event, Resolved))
    assert (end.finding, end.looks, end.is_repeated) == ("present", 1, False)


def test_what_is_in_doubt_and_gets_no_turn_again_is_told_as_what_is_in_doubt() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        call = asyncio.create_task(track(client, sandbox))
        await asyncio.sleep(2)
        hog = asyncio.create_task(client.get_order(sandbox.orders[5].order_id))
        await asyncio.sleep(5)
        await client.aclose()
        with pytest.raises(OutcomeUnknown):
            await call
        with pytest.raises(ConfigError):
            await hog

    lost = Fault(do=Do.CLOSE, on="send_tracking", nth=(1,))
    hung = Fault(do=Do.HANG, order_id=Sandbox(orders=20).orders[5].order_id, rate=1)

    heard = heard_while(use, [lost, hung], max_concurrency=1)

    ends = [e for e in heard if isinstance(e, Settled) and e.operation == "send_tracking"]
    assert [(end.error, end.attempts) for end in ends] == [("OutcomeUnknown", 1)] * 2
    assert [end.is_looked_for for end in ends] == [True, False]


def test_each_who_looks_for_a_doubt_is_told_of_it() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.with_options(retry=RetryPolicy(resolve_for=0)).notify_invoice(
                job_for(sandbox.orders[0]).order_id, job_for(sandbox.orders[0]).invoice
            )
        doubt = caught.value.doubt
        assert doubt is not None
        await asyncio.gather(
            client.resolve(doubt, observe=one.append), client.resolve(doubt, observe=two.append)
        )

    one: list[Event] = []
    two: list[Event] = []
    heard = heard_while(use, [Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)])

    for events in (one, two):
        (look,) = (event for event in events if isinstance(event, Resolving))
        (end,) = (event for event in events if isinstance(event, Resolved))
        assert look.call == end.call
        assert (end.operation, end.finding, end.looks) == ("resolve", "present", 1)
    # One of them has read for both.
    assert sorted(sum(isinstance(e, Sent) for e in events) for events in (one, two)) == [0, 1]
    ends = [event for event in heard if isinstance(event, Resolved)]
    assert [end.finding for end in ends] == ["no evidence", "present", "present"]
    assert len({end.call for end in ends}) == 3


def test_contents_that_differ_are_told_as_a_conflict() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        job = job_for(sandbox.orders[0])
        with pytest.raises(OutcomeUnknown):
            await client.notify_invoice(job.order_id, job.invoice, retry=RetryPolicy(resolve_for=0))
        other = evolve(job.invoice, invoice_url="https://nfe.example.com/other")
        with pytest.raises(InvoiceConflict):
            await client.notify_invoice(job.order_id, other)

    heard = heard_while(use, [Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)])

    assert isinstance(heard[-1], Resolved)
    assert heard[-1].finding == "conflict"


def test_an_end_is_told_of_a_search_that_is_cancelled_and_the_doubt_stays() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await notify(client, sandbox)
        assert len(client.in_doubt()) == 1

    heard = heard_while(use, [Fault(do=Do.CLOSE, on=POSTED, nth=(1,))], timeouts=Timeouts(total=5))

    (end,) = (event for event in heard if isinstance(event, Resolved))
    assert (end.finding, end.looks) == ("no evidence", 1)
    assert end.seconds == pytest.approx(2 - LATENCY, abs=0.01)


def test_an_end_is_told_of_a_search_for_tracking_that_is_cancelled() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await notify(client, sandbox)
        job = job_for(sandbox.orders[0])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.75):
                await client.send_tracking(
                    job.order_id, job.invoice.invoice_number, make_tracking()
                )

    heard = heard_while(use, [Fault(do=Do.CLOSE, on="send_tracking", nth=(1,))])

    assert isinstance(heard[-1], Resolved)
    assert (heard[-1].operation, heard[-1].finding) == ("send_tracking", "no evidence")
    assert heard[-1].looks == 0
    assert heard[-1].seconds == pytest.approx(0.5, abs=0.01)


def test_reads_that_fail_are_looks_too_and_each_is_made_once() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        await notify(client, sandbox)

    lost = Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)
    failing = Fault(do=Do.ANSWER, on="get_order", nth=(1, 2), status=500)
    heard = heard_while(use, [lost, failing])

    (look,) = (event for event in heard if isinstance(event, Resolving))
    (end,) = (event for event in heard if isinstance(event, Resolved))
    assert (look.looks, end.looks, end.finding) == (3, 3, "present")
    # Whoever looks again by plan does not try again in between.
    assert not [event for event in heard if isinstance(event, Retrying)]

    never = heard_while(use_in_vain, [lost, evolve(failing, nth=(), rate=1)])
    (end,) = (event for event in never if isinstance(event, Resolved))
    assert (end.looks, end.finding) == (3, "no evidence")


async def use_in_vain(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    job = job_for(sandbox.orders[0])
    with pytest.raises(OutcomeUnknown, match="could not be read"):
        await client.notify_invoice(job.order_id, job.invoice, retry=RetryPolicy(resolve_for=10))


def test_who_looks_for_one_of_two_doubts_of_an_order_hears_of_that_one() -> None:
    async def use(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
        order = sandbox.orders[0]
        jobs = [job_for(order, invoice_number=f"N{n}", invoice_value=n) for n in (1, 2)]
        await asyncio.gather(*(client.notify_invoice(job.order_id, job.invoice) for job in jobs))

    heard = heard_while(use, [Fault(do=Do.CLOSE, on=POSTED, nth=(1, 2), acted=True)])

    looks = [event for event in heard if isinstance(event, Resolving)]
    assert sorted(look.invoice_number for look in looks) == ["N1", "N2"]
    assert [look.looks for look in looks] == [1, 1]
