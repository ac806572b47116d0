"""What is in doubt is not sent again: not by a caller who asks twice, and tracking only after reading."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import job_for, make_tracking
from tests.failures import POSTED
from tests.test_doubts import DROPPED, LOST, notify, play
from vtex_invoice_async import (
    InvoiceJob,
    Receipt,
    RetryPolicy,
    TrackingEvent,
    TrackingStatus,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import (
    CallError,
    Conflict,
    InvoiceAbsent,
    InvoiceConflict,
    OutcomeUnknown,
)
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

DELIVERED: Final = TrackingEvent(
    city="Rio", state="RJ", description="Delivered", date=date(2026, 1, 31)
)
STATUS: Final = TrackingStatus(is_delivered=True, events=[DELIVERED])


async def lose_patience(client: VtexInvoiceClient, job: InvoiceJob) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await notify(client, job)


def test_asking_again_for_what_is_in_doubt_reads_and_does_not_send() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[str, int]:
        job = job_for(sandbox.orders[0])
        await lose_patience(client, job)
        receipt = await client.notify_invoice(job.order_id, job.invoice)
        assert client.in_doubt() == ()
        return receipt.confirmed_by, sandbox.applied.total()

    assert play(act, LOST) == ("order", 1)


def test_asking_again_with_other_contents_is_a_conflict() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> int:
        job = job_for(sandbox.orders[0])
        await lose_patience(client, job)
        with pytest.raises(InvoiceConflict):
            await client.notify_invoice(job.order_id, evolve(job.invoice, invoice_value=1))
        return sandbox.applied.total()

    assert play(act, LOST) == 1


def test_after_a_proven_absence_it_may_be_sent_again() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[str, int, int]:
        job = job_for(sandbox.orders[0])
        await lose_patience(client, job)
        (doubt,) = client.in_doubt()
        with pytest.raises(OutcomeUnknown, match="nothing was sent now"):
            await notify(client, job)
        with pytest.raises(InvoiceAbsent):
            await client.resolve(doubt)
        receipt = await client.notify_invoice(job.order_id, job.invoice)
        posts = sum(entry.operation == POSTED for entry in sandbox.oracle.arrived)
        return receipt.confirmed_by, posts, sandbox.applied.total()

    assert play(act, DROPPED) == ("response", 2, 1)


def test_many_jobs_for_what_is_in_doubt_send_nothing_either() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[list[str], int]:
        job = job_for(sandbox.orders[0])
        await lose_patience(client, job)
        outcomes = [outcome async for outcome in client.notify_many([job, job])]
        return [outcome.state for outcome in outcomes], sandbox.applied.total()

    assert play(act, LOST) == (["confirmed", "confirmed"], 1)


async def patch(client: VtexInvoiceClient, job: InvoiceJob) -> Receipt:
    number = job.invoice.invoice_number
    return await client.send_tracking(job.order_id, number, make_tracking())


async def put(client: VtexInvoiceClient, job: InvoiceJob) -> Receipt:
    return await client.update_tracking_status(job.order_id, job.invoice.invoice_number, STATUS)


Track = Callable[[VtexInvoiceClient, InvoiceJob], Coroutine[Any, Any, Receipt]]
TRACKS: Final[dict[str, Track]] = {"send_tracking": patch, "update_tracking_status": put}


def track_with(name: str, *faults: Fault, retry: RetryPolicy | None = None) -> tuple[str, int, int]:
    """Send tracking data to an invoiced order; return how it ended, arrivals, applications."""

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[str, int, int]:
        job = job_for(sandbox.orders[0], tracking_number="T1", courier="carrierOne")
        await notify(client, job)
        how: str
        try:
            how = (await TRACKS[name](client, job)).confirmed_by
        except CallError as error:
            how = type(error).__name__
        arrived = sum(entry.operation == name for entry in sandbox.oracle.arrived)
        return how, arrived, sandbox.book.oracle.counted(name).total()

    return play(act, *faults, retry=retry)


def lost(name: str, *, acted: bool, nth: tuple[int, ...] = (1,)) -> Fault:
    return Fault(do=Do.CLOSE, on=name, nth=nth, acted=acted)


each_track = pytest.mark.parametrize("name", TRACKS)


@each_track
def test_tracking_that_the_order_shows_is_not_repeated(name: str) -> None:
    assert track_with(name, lost(name, acted=True)) == ("order", 1, 1)


@each_track
def test_tracking_that_the_order_lacks_is_repeated(name: str) -> None:
    assert track_with(name, lost(name, acted=False)) == ("response", 2, 1)


@each_track
def test_tracking_that_a_stale_read_does_not_show_is_not_repeated_for_that(name: str) -> None:
    stale = Fault(do=Do.STALE, on="get_order", nth=(1,))

    # The order before its invoice tells nothing of the invoice's parcel.
    assert track_with(name, lost(name, acted=True), stale) == ("order", 1, 1)


@each_track
def test_tracking_is_not_repeated_without_reading(name: str) -> None:
    unreadable = Fault(do=Do.ANSWER, on="get_order", rate=1, status=503)

    assert track_with(name, lost(name, acted=False), unreadable) == ("OutcomeUnknown", 1, 0)


@each_track
def test_tracking_that_fails_each_time_ends(name: str) -> None:
    each_time = lost(name, acted=False, nth=tuple(range(1, 100)))

    how, arrived, applied = track_with(name, each_time)

    assert (how, applied) == ("OutcomeUnknown", 0)
    assert arrived <= RetryPolicy().max_attempts


@each_track
@pytest.mark.parametrize("status", [400, 401, 404, 429])
def test_41_a_refusal_after_a_doubtful_attempt_settles_nothing(name: str, status: int) -> None:
    refused = Fault(
        do=Do.ANSWER, on=name, nth=tuple(range(2, 100)), status=status, headers={"Retry-After": "1"}
    )

    how, arrived, _ = track_with(name, lost(name, acted=False), refused)

    assert how == "OutcomeUnknown"
    # A 429 is no attempt: it goes on until the deadline.
    assert 2 <= arrived <= (40 if status == 429 else RetryPolicy().max_attempts)


@pytest.mark.parametrize(("acted", "arrivals"), [(True, 1), (False, 2)])
def test_handling_that_was_started_is_not_started_again(acted: bool, arrivals: int) -> None:
    fault = lost("start_handling", acted=acted)

    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[int, str | None]:
        await client.start_handling(sandbox.orders[9].order_id)
        arrived = [e for e in sandbox.oracle.arrived if e.operation == "start_handling"]
        return len(arrived), sandbox.orders[9].status

    assert play(act, fault, orders=10) == (arrivals, "handling")


def test_handling_in_another_status_is_a_conflict_at_once() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> None:
        with pytest.raises(Conflict):
            await client.start_handling(sandbox.orders[0].order_id)

    play(act)
