"""What each break of a connection comes to: the client's word, and the sandbox's count.

The numbers are those of the list of failures that this client was designed against.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest
from attrs import evolve

from tests.answers import STATUS, TRACK
from tests.factories import job_for
from tests.failures import (
    POSTED,
    Deed,
    Ended,
    brief,
    close_at_once,
    close_at_the_next_byte,
    close_at_the_next_request,
    drip,
    ended,
    facing,
    pass_one_on_and,
    reset_after,
    reset_at_once,
    reset_at_the_next_byte,
    send_one,
    stop_reading,
    told,
)
from tests.virtual_network import Cut
from tests.virtual_time import network, run_virtual
from vtex_invoice_async import (
    ClientConfig,
    InvoiceJob,
    Receipt,
    RetryPolicy,
    Timeouts,
    TrackingEvent,
    TrackingStatus,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import CallError, NotSent
from vtex_invoice_async.operations import SendTracking, UpdateTrackingStatus
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

FIRST: Final = (1,)

BREAKS: Final = {
    "11 closed after the request": Fault(do=Do.CLOSE, on=POSTED, nth=FIRST),
    "11 reset after the request": Fault(do=Do.RESET, on=POSTED, nth=FIRST),
    "15 no answer": Fault(do=Do.HANG, on=POSTED, nth=FIRST),
}


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
async def test_what_vtex_did_is_found_on_the_order(fault: Fault) -> None:
    found = await send_one(evolve(fault, acted=True))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
async def test_what_vtex_did_not_do_is_found_absent_and_not_sent_again(fault: Fault) -> None:
    found = await send_one(fault)

    assert found.how == "InvoiceAbsent"
    assert (found.posts, found.applied) == (1, 0)


@pytest.mark.parametrize("at", [0, 1, 50, 200], ids=lambda at: f"8-10 after {at} bytes")
async def test_a_request_that_was_cut_is_in_doubt_and_found_absent(at: int) -> None:
    found = await send_one(Fault(do=Do.CUT_REQUEST, on=POSTED, nth=FIRST, at=at))

    assert found.how == "InvoiceAbsent"
    # It did not come in whole.
    assert (found.posts, found.applied) == (0, 0)


@pytest.mark.parametrize("at", [0, 9, 13, 40, 75, 120, 180], ids=lambda at: f"12 after {at} bytes")
async def test_an_answer_that_was_cut_is_found_on_the_order(at: int) -> None:
    found = await send_one(Fault(do=Do.CUT, on=POSTED, nth=FIRST, at=at))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


async def send_through(cut: Cut) -> Ended:
    """Send an invoice over a connection that is cut."""
    async with Sandbox(orders=1) as sandbox:
        config = evolve(sandbox.config, retry=brief())
        network().cuts.append(cut)
        job = job_for(sandbox.orders[0])
        async with VtexInvoiceClient(config) as client:
            return ended(sandbox, await told(client, job))


def assert_true(found: Ended, cut: Cut | int) -> None:
    """Assert that the client's word is what the sandbox did."""
    assert found.posts <= 1, cut
    assert found.applied <= 1, cut
    assert (
        found.how
        in {
            0: {"InvoiceAbsent", "NotSent"},
            1: {"confirmed by response", "confirmed by order"},
        }[found.applied]
    ), cut


def cuts(step: int) -> list[Cut]:
    """Some of the places at which a request, of some 800 bytes, or an answer can be cut."""
    requests = [Cut(to_server=at) for at in range(0, 900, step)]
    return requests + [Cut(to_client=at) for at in range(0, 330, step)]


def test_12_wherever_a_connection_is_cut_the_truth_comes_out() -> None:
    for cut in cuts(29):
        assert_true(run_virtual(send_through(cut)), cut)


@pytest.mark.campaign
def test_12_at_whatever_byte_a_connection_is_cut_the_truth_comes_out() -> None:
    hows = set()
    for cut in cuts(1):
        found = run_virtual(send_through(cut))
        assert_true(found, cut)
        hows.add(found.how)

    assert hows == {"InvoiceAbsent", "confirmed by order", "confirmed by response"}


def config_for(sandbox: Sandbox, port: int) -> ClientConfig:
    return ClientConfig(
        account=sandbox.account,
        app_key=sandbox.app_key,
        app_token=sandbox.app_token,
        base_url=f"http://127.0.0.1:{port}",
    )


def test_3_a_refused_connection_is_tried_again_until_vtex_is_back() -> None:
    async def main() -> tuple[Receipt, int]:
        sandbox = Sandbox(orders=1, port=4_444)
        async with VtexInvoiceClient(config_for(sandbox, 4_444)) as client:
            job = job_for(sandbox.orders[0])
            call = asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
            await asyncio.sleep(0.3)
            async with sandbox:
                return await call, sandbox.applied.total()

    receipt, applied = run_virtual(main(), seed=3)

    assert (receipt.confirmed_by, applied) == ("response", 1)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:4444", "https://vtex.invalid"])
def test_1_3_what_was_never_sent_says_so_after_six_attempts(base_url: str) -> None:
    config = ClientConfig(account="acme", app_key="K", app_token="T", base_url=base_url)

    async def main() -> NotSent:
        job = job_for(Sandbox(orders=1).orders[0])
        async with VtexInvoiceClient(config) as client:
            with pytest.raises(NotSent) as caught:
                await client.notify_invoice(job.order_id, job.invoice)
            assert client.in_doubt() == ()
        return caught.value

    error = run_virtual(main())

    # The circuit opens after five; the sixth is its probe.
    assert error.attempts == 6


HURRIED: Final = Timeouts(connect=5, read=0.3, total=0.4)


@pytest.mark.parametrize(
    ("deed", "size"),
    [
        pytest.param(close_at_once, 0, id="8 closed on accept"),
        pytest.param(reset_at_once, 0, id="8 reset on accept"),
        pytest.param(reset_after(10), 0, id="9 reset in the first line"),
        pytest.param(reset_after(300), 0, id="9 reset in the headers"),
        pytest.param(reset_after(2**23), 2**24, id="10 reset in the middle of 16 MB"),
        pytest.param(stop_reading, 2**24, id="19 a server that reads no more"),
    ],
)
async def test_a_request_that_did_not_get_through_is_found_absent(deed: Deed, size: int) -> None:
    async with facing(deed, timeouts=HURRIED) as (sandbox, server, client):
        job = job_for(sandbox.orders[0], embedded_invoice="x" * size or None)

        found = ended(sandbox, await told(client, job))

    assert found.how == "InvoiceAbsent"
    assert (found.posts, found.applied) == (0, 0)
    # Nobody tried again: all that followed were reads.
    assert {request.split()[0] for request in server.requests} == {b"GET"}


@pytest.mark.parametrize(
    ("deed", "how"),
    [
        pytest.param(drip(0.01), "confirmed by order", id="18 byte by byte, too slowly"),
        pytest.param(drip(0), "confirmed by response", id="21 each byte in a packet of its own"),
    ],
)
async def test_an_answer_in_pieces_counts_if_it_is_whole_in_time(deed: Deed, how: str) -> None:
    async with facing(deed, timeouts=HURRIED) as (sandbox, _, client):
        found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == how
    assert (found.posts, found.applied) == (1, 1)


# Many run side by side, on a machine that may be busy: nothing here waits for these to pass.
UNHURRIED: Final[dict[str, Any]] = {
    "retry": brief(resolve_for=60),
    "timeouts": Timeouts(connect=20, read=20, total=20),
}


async def cut_request(at: int) -> Ended:
    async with facing(reset_after(at), **UNHURRIED) as (sandbox, _, client):
        return ended(sandbox, await told(client, job_for(sandbox.orders[0])))


async def cut_answer(at: int) -> Ended:
    return await send_one(Fault(do=Do.CUT, on=POSTED, nth=FIRST, at=at), **UNHURRIED)


@pytest.mark.parametrize(
    ("cut_at", "end", "most"),
    [(cut_request, 800, "InvoiceAbsent"), (cut_answer, 330, "confirmed by order")],
)
async def test_12_wherever_a_socket_is_cut_the_truth_comes_out(
    cut_at: Callable[[int], Awaitable[Ended]], end: int, most: str
) -> None:
    places = range(1, end, end // 25)

    found = await asyncio.gather(*map(cut_at, places))

    for at, each in zip(places, found, strict=True):
        assert_true(each, at)
    assert sum(each.how == most for each in found) > 10


@pytest.mark.parametrize("deed", [close_at_the_next_byte, reset_at_the_next_byte])
async def test_13_a_connection_that_breaks_as_it_is_used_again_leaves_a_doubt(deed: Deed) -> None:
    async with facing(pass_one_on_and(deed)) as (sandbox, server, client):
        job = job_for(sandbox.orders[0])
        await client.get_order(job.order_id)

        found = ended(sandbox, await told(client, job))

    assert found.how == "InvoiceAbsent"
    assert (found.posts, found.applied) == (0, 0)
    assert {request.split()[0] for request in server.requests} == {b"GET"}


async def test_13_a_connection_that_was_closed_in_between_is_not_used_again() -> None:
    async with facing(pass_one_on_and(close_at_once)) as (sandbox, _, client):
        job = job_for(sandbox.orders[0])
        await client.get_order(job.order_id)
        await asyncio.sleep(0.05)  # so that the client has heard of it

        found = ended(sandbox, await told(client, job))

    assert found.how == "confirmed by response"
    assert (found.posts, found.applied) == (1, 1)


Track = SendTracking | UpdateTrackingStatus

PATIENT: Final = RetryPolicy(resolve_for=700)
ON_ITS_WAY: Final = TrackingEvent(
    city="Rio", state="RJ", description="On its way", date=date(2026, 2, 1)
)


def status(**changes: object) -> TrackingStatus:
    sound = {"is_delivered": False, "events": [ON_ITS_WAY]}
    return TrackingStatus(**{**sound, **changes})  # type: ignore[arg-type]  # settings of any kind


TRACKS: Final[dict[str, Track]] = {"PATCH": TRACK, "PUT": evolve(STATUS, tracking=status())}


def placed(track: Track, job: InvoiceJob) -> Track:
    """The same, for the invoice of *job*."""
    return evolve(track, order_id=job.order_id, invoice_number=job.invoice.invoice_number)


@pytest.mark.parametrize("method", ["POST", *TRACKS])
def test_14_nothing_is_sent_twice_before_the_order_is_read(method: str) -> None:
    # aiohttp would send a PUT again by itself, over a connection that it has used before.
    async def main() -> list[str]:
        deed = pass_one_on_and(close_at_the_next_request)
        async with facing(deed, retry=PATIENT) as (sandbox, server, client):
            job = job_for(sandbox.orders[0], tracking_number="1", courier="c")
            if method == "POST":
                await client.get_order(job.order_id)
                await told(client, job)
            else:
                await client.notify_invoice(job.order_id, job.invoice)
                await client.send(placed(TRACKS[method], job))
            return [request.split()[0].decode() for request in server.requests[1:]]

    methods = run_virtual(main())

    again = [] if method == "POST" else [method]
    assert methods[:3] == [method, "GET", "GET"]
    assert [name for name in methods[3:] if name != "GET"] == again


async def how_it_ends(
    last: Track, *earlier: Track, cut: Cut | None = None, fault: Fault | None = None
) -> tuple[str, int]:
    """Send tracking data, the last over a connection that breaks; return what becomes of that."""
    async with Sandbox(orders=1, faults=[fault] if fault else []) as sandbox:
        job = job_for(sandbox.orders[0], tracking_number="1", courier="c")
        async with VtexInvoiceClient(sandbox.config) as client:
            await client.notify_invoice(job.order_id, job.invoice)
            for track in earlier:
                await client.send(placed(track, job))
        if cut is not None:
            network().cuts.append(cut)
        async with VtexInvoiceClient(evolve(sandbox.config, retry=PATIENT)) as client:
            try:
                how: str = (await client.send(placed(last, job))).confirmed_by
            except CallError as error:
                how = type(error).__name__
        return how, sandbox.oracle.counted(last.name).total() - len(earlier)


@pytest.mark.parametrize(
    "step", [pytest.param(1, marks=pytest.mark.campaign, id="every byte"), pytest.param(37)]
)
@pytest.mark.parametrize("track", TRACKS.values(), ids=TRACKS)
def test_12_wherever_it_is_cut_it_is_confirmed_and_was_done_once(track: Track, step: int) -> None:
    cuts = [Cut(to_server=at) for at in range(0, 800, step)]
    cuts += [Cut(to_client=at) for at in range(0, 330, step)]

    ends = {cut: run_virtual(how_it_ends(track, cut=cut)) for cut in cuts}

    assert {how for how, _ in ends.values()} == {"response", "order"}
    assert {cut: done for cut, (_, done) in ends.items() if done != 1} == {}


SENT: Final = evolve(STATUS, tracking=status())
DELIVERED: Final = evolve(
    STATUS, tracking=status(is_delivered=True, delivered_date=datetime(2026, 2, 3, tzinfo=UTC))
)


@pytest.mark.parametrize(
    ("last", "earlier"),
    [
        pytest.param(evolve(STATUS, tracking=status(events=[])), [], id="with nothing to show"),
        pytest.param(
            evolve(SENT, tracking=status(events=[evolve(ON_ITS_WAY, date=date(2026, 2, 2))])),
            [SENT],
            id="with the same words on another day",
        ),
        pytest.param(
            evolve(
                DELIVERED,
                tracking=evolve(
                    DELIVERED.tracking, delivered_date=datetime(2026, 2, 4, tzinfo=UTC)
                ),
            ),
            [DELIVERED],
            id="with another date of delivery",
        ),
    ],
)
def test_what_was_not_done_is_not_confirmed_by_what_was_there_before(
    last: Track, earlier: list[Track]
) -> None:
    lost = Fault(do=Do.CLOSE, on=last.name, nth=(len(earlier) + 1,))

    how, done = run_virtual(how_it_ends(last, *earlier, fault=lost))

    assert (how, done) in {("OutcomeUnknown", 0), ("response", 1)}
