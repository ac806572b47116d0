"""What each answer comes to, over sockets: the client's word, and the sandbox's count.

The numbers are those of the list of failures that this client was designed against.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.failures import POSTED, Ended, Line, brief, ended, facing, never_end, send_one, told
from tests.raw_server import answer, raw_server, reply_with
from tests.virtual_time import run_virtual
from vtex_invoice_async import (
    InvoiceJob,
    OrdersApi,
    Outcome,
    Receipt,
    RetryPolicy,
    State,
    Timeouts,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import NotAuthorized, OrderNotFound, RateLimited
from vtex_invoice_async.sandbox import Do, Fault, Limit, Role, Sandbox

HTML: Final = {"Content-Type": "text/html"}
RECEIPT: Final = '{"date":"2019-02-08T13:16:13Z","orderId":"other-01","receipt":"527b1ae2"}'


def answered(status: int, body: str = "", headers: dict[str, str] | None = None) -> Fault:
    return Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=status, body=body, headers=headers or {})


def raw(body: str) -> Fault:
    return Fault(do=Do.RAW, on=POSTED, nth=(1,), body=body)


def whole(body: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def packed(encoding: str, body: bytes) -> str:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n{body.decode('latin-1')}"


DOUBTFUL: Final = {
    "27 a receipt of null": answered(200, '{"receipt":null}'),
    "27 an empty receipt": answered(200, '{"receipt":""}'),
    "27 a receipt that is a number": answered(200, '{"receipt":5}'),
    "28 a page of HTML": answered(200, "<html>Log in</html>", HTML),
    "29 nothing": answered(200),
    "29 a 202": answered(202),
    "29 a 204": answered(204),
    "30 half a document": answered(200, RECEIPT[:40]),
    "30 no JSON": answered(200, "OK"),
    "30 bad UTF-8": raw(whole('{"receipt":"\xff"}')),
    "30 a mark of byte order": answered(200, f"\ufeff{RECEIPT}"),
    "30 another alphabet": raw(whole(RECEIPT.encode("utf-16").decode("latin-1"))),
    "31 too deep": answered(200, "[" * 5_000),
    "31 a number without end": answered(200, '{"receipt":' + "9" * 5_000 + "}"),
    "31 not a number": answered(200, '{"receipt":NaN}'),
    "31 a list": answered(200, f"[{RECEIPT}]"),
    "31 null": answered(200, "null"),
    "33 an error with 200": answered(200, '{"error":{"code":"1","message":"No"}}'),
    "34 too long": answered(200, "x" * (2**20 + 1)),
    "35 a lying encoding": answered(200, RECEIPT, {"Content-Encoding": "gzip"}),
    "35 a bomb": raw(packed("gzip", gzip.compress(bytes(2**26)))),
    "35 a bomb, deflated": raw(packed("deflate", zlib.compress(bytes(2**26)))),
    "35 half of what was packed": raw(packed("gzip", gzip.compress(RECEIPT.encode())[:-9])),
    "36 ten thousand headers": raw("HTTP/1.1 200 OK\r\n" + "X: x\r\n" * 10_000 + "\r\n"),
    "36 a length and chunks": raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "36 a bad status line": raw("HTTP/1.1 99 Odd\r\n\r\n"),
    "36 two lengths": raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"),
    "36 a header of a megabyte": raw("HTTP/1.1 200 OK\r\nX: " + "x" * 2**20 + "\r\n\r\n"),
    "42 a gateway's 400": answered(400, "<html>Blocked</html>", HTML),
    "42 a gateway's 403": answered(403, "<html>Blocked</html>", HTML),
    "47 a 408": answered(408),
    "48 a 409": answered(409, '{"error":{"code":"OMS1","message":"Exists"}}'),
    "49 a 423": answered(423),
    "49 a 425": answered(425),
    "55 a 500": answered(500, '{"error":{"code":"1","message":"An error has occurred"}}'),
    "55 a 502": answered(502, "<html>Bad gateway</html>", HTML),
    "55 a 504": answered(504),
    "56 a 503": answered(503),
    "56 a 503 that asks for no time": answered(503, headers={"Retry-After": "0"}),
    **{f"57 a {status}": answered(status) for status in (520, 521, 522, 525, 527, 530, 599)},
    "58 a 100 and nothing more": raw("HTTP/1.1 100 Continue\r\n\r\n"),
    "58 a 101": raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"),
    "58 a 226": answered(226),
    "58 a 206 without a receipt": answered(206),
    "58 a 299 without a receipt": answered(299, "{}"),
    "58 a 304": answered(304),
}


@pytest.mark.parametrize("fault", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_proves_nothing_is_looked_up_on_the_order_and_not_sent_again(
    fault: Fault,
) -> None:
    # What is there is believed at once: the window, up to the first look, may be short.
    did, did_not = await asyncio.gather(
        send_one(evolve(fault, acted=True), retry=brief(settle_window=0.05)), send_one(fault)
    )

    assert did.how == "confirmed by order"
    assert (did.posts, did.applied) == (1, 1)
    assert did.reads >= 1
    assert did_not.how == "InvoiceAbsent"
    assert (did_not.posts, did_not.applied) == (1, 0)
    assert did_not.reads >= 3


@pytest.mark.parametrize("orders_api", [OrdersApi.PII, OrdersApi.PII_2022])
@pytest.mark.parametrize("name", ["27 a receipt of null", "55 a 500"])
async def test_the_document_paths_are_looked_at_for_what_they_took(
    name: str, orders_api: OrdersApi
) -> None:
    found = await send_one(evolve(DOUBTFUL[name], acted=True), orders_api=orders_api)

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


async def test_56_a_busy_vtex_is_not_read_before_the_time_that_it_asks_for() -> None:
    found = await send_one(evolve(answered(503, headers={"Retry-After": "1"}), acted=True))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)
    assert found.arrivals[1] >= 1


CONFIRMING: Final = {
    "26 another order's id": answered(200, RECEIPT),
    "32 another content type": answered(200, RECEIPT, {"Content-Type": "text/plain"}),
    "32 the content type of a page": answered(200, RECEIPT, HTML),
    "37 a 100 before it": raw("HTTP/1.1 100 Continue\r\n\r\n" + whole(RECEIPT)),
    "37 a 103 before it": raw("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + whole(RECEIPT)),
}


@pytest.mark.parametrize("fault", CONFIRMING.values(), ids=CONFIRMING)
async def test_a_receipt_is_believed_whatever_stands_around_it(fault: Fault) -> None:
    found = await send_one(evolve(fault, acted=True))

    assert found.how == "confirmed by response"
    assert isinstance(found.result, Receipt)
    assert (found.result.receipt, found.result.order_id) == ("527b1ae2", "other-01")
    assert (found.posts, found.reads, found.applied) == (1, 0, 1)


async def test_25_an_invoice_is_confirmed_by_its_receipt() -> None:
    found = await send_one()

    assert found.how == "confirmed by response"
    assert (found.posts, found.reads, found.applied) == (1, 0, 1)


REJECTING: Final = {
    400: "BadRequest", 401: "NotAuthorized", 403: "NotAuthorized", 404: "OrderNotFound",
    405: "BadRequest", 406: "BadRequest", 410: "OrderNotFound", 413: "BadRequest",
    414: "BadRequest", 415: "BadRequest", 422: "BadRequest", 431: "BadRequest",
}  # fmt: skip


@pytest.mark.parametrize("body", ["", "No authorized", '{"error":{"code":"1","message":"No"}}'])
@pytest.mark.parametrize(("status", "kind"), REJECTING.items())
async def test_40_43_46_a_refusal_is_final_and_needs_no_look(
    status: int, kind: str, body: str
) -> None:
    found = await send_one(answered(status, body))

    assert found.how == kind
    assert (found.posts, found.reads, found.applied) == (1, 0, 0)


async def test_50_a_429_is_tried_again_after_the_time_that_it_asks_for() -> None:
    found = await send_one(answered(429, headers={"Retry-After": "1"}))

    assert found.how == "confirmed by response"
    assert (found.posts, found.reads, found.applied) == (2, 0, 1)
    assert found.arrivals[1] >= 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_38_a_redirect_is_not_followed_and_the_order_is_read(status: int) -> None:
    async with raw_server(reply_with(answer())) as elsewhere:
        away = answered(status, headers={"Location": f"{elsewhere.url}/api"})
        did, did_not = await asyncio.gather(send_one(evolve(away, acted=True)), send_one(away))

    assert (did.how, did_not.how) == ("confirmed by order", "InvoiceAbsent")
    assert (did.posts, did.applied) == (1, 1)
    assert (did_not.posts, did_not.applied) == (1, 0)
    assert elsewhere.connections == 0


@pytest.mark.parametrize("location", ["", "/", "https://vtex.invalid/", "//127.0.0.1:1/"])
async def test_39_nor_is_one_to_the_same_host_or_to_itself(location: str) -> None:
    again = Fault(
        do=Do.ANSWER, on=POSTED, rate=1, status=307, headers={"Location": location}, acted=True
    )

    found = await send_one(again)

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


async def test_34_an_answer_without_an_end_is_left_alone_at_its_limit() -> None:
    written: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def deed(line: Line) -> None:
        written.set_result(await never_end(line))

    async with facing(deed) as (sandbox, _, client):
        found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))
        # A megabyte, and what buffers on the way hold.
        assert await written < 2**24

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


async def test_26_the_sellers_own_order_id_is_told_however_it_was_confirmed() -> None:
    (order,) = Sandbox(orders=1).orders
    order = evolve(order, seller_order_id="seller-01")
    job = job_for(order)
    for fault in (answered(503), Fault(do=Do.DELAY, on=POSTED, nth=(1,), seconds=0.01)):
        async with Sandbox(orders=[order], faults=[evolve(fault, acted=True)]) as sandbox:
            config = evolve(sandbox.config, retry=brief(settle_window=0.05))
            async with VtexInvoiceClient(config) as client:
                result = await told(client, job)

            assert isinstance(result, Receipt)
            assert result.order_id == "seller-01"
            assert sandbox.applied == {(job.order_id, job.invoice.invoice_number): 1}


async def many(sandbox: Sandbox, jobs: list[InvoiceJob], **settings: Any) -> list[Outcome]:
    config = evolve(sandbox.config, **{"retry": brief(), **settings})
    async with VtexInvoiceClient(config) as client:
        return [outcome async for outcome in client.notify_many(jobs, concurrency=4)]


def posts_of(sandbox: Sandbox) -> Counter[str]:
    return Counter(e.order_id for e in sandbox.oracle.arrived if e.operation == POSTED)


async def test_43_a_role_that_may_not_invoice_is_told_so_once_for_each() -> None:
    async with Sandbox(orders=9, roles=[Role.VIEW_ORDER]) as sandbox:
        outcomes = await many(sandbox, [job_for(order) for order in sandbox.orders])

    # What is made of it for the rest is up to the job, not to the client.
    assert {type(outcome.error) for outcome in outcomes} == {NotAuthorized}
    assert posts_of(sandbox) == {order.order_id: 1 for order in sandbox.orders}
    assert not sandbox.applied


@pytest.mark.parametrize("nth", [1, 7, 23, 40])
async def test_44_credentials_that_are_revoked_leave_no_invoice_unaccounted_for(nth: int) -> None:
    faults = [
        Fault(do=Do.REVOKE, on=POSTED, nth=(nth,)),
        # Two that are in doubt by then, one of them applied.
        evolve(answered(503), nth=(max(1, nth - 1),), acted=True),
        evolve(answered(503), nth=(max(1, nth - 2),)),
    ]
    async with Sandbox(orders=40, faults=faults) as sandbox:
        outcomes = await many(sandbox, [job_for(order) for order in sandbox.orders])

    states = Counter(outcome.state for outcome in outcomes)
    doubts = min(2, nth - 1)
    assert states == Counter(
        {"confirmed": nth - 1 - doubts, "in_doubt": doubts, "rejected": 41 - nth}
    )
    assert set(posts_of(sandbox).values()) == {1}
    assert sandbox.applied.total() == max(0, nth - 1 - (doubts == 2))


async def test_45_orders_that_vtex_does_not_find_are_asked_for_once_each() -> None:
    orders = Sandbox(orders=25).orders
    async with Sandbox(orders=0) as sandbox:
        outcomes = await many(sandbox, [job_for(order) for order in orders])

    assert {type(outcome.error) for outcome in outcomes} == {OrderNotFound}
    assert posts_of(sandbox) == {order.order_id: 1 for order in orders}


def send_later(*faults: Fault) -> Ended:
    """Send an invoice with the settings that a client has by default, in virtual time."""
    return run_virtual(send_one(*faults, retry=RetryPolicy(), timeouts=Timeouts()))


def throttled(retry_after: str, date: str = "Sun, 01 Feb 2026 12:00:00 GMT") -> Fault:
    return answered(429, headers={"Retry-After": retry_after, "Date": date})


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(throttled("60"), id="50 in seconds"),
        pytest.param(throttled("Sun, 01 Feb 2026 12:01:00 GMT"), id="51 as a date"),
        pytest.param(
            throttled("Sun, 01 Feb 2026 13:01:00 GMT", "Sun, 01 Feb 2026 13:00:00 GMT"),
            id="51 as a date of a clock that is an hour ahead",
        ),
        pytest.param(
            throttled("Sun, 01 Feb 2026 11:01:00 GMT", "Sun, 01 Feb 2026 11:00:00 GMT"),
            id="51 as a date of a clock that is an hour behind",
        ),
    ],
)
def test_a_minute_that_vtex_asks_for_is_waited_and_not_much_more(fault: Fault) -> None:
    found = send_later(fault)

    assert found.how == "confirmed by response"
    assert (found.posts, found.reads, found.applied) == (2, 0, 1)
    assert 60 <= found.arrivals[1] < 70


@pytest.mark.parametrize(
    "retry_after",
    ["", "soon", "-5", "nan", "inf", "1e9", "60.5", "0x3C", "\uff16\uff10", "60, 60", "60s",
     "Sun, 01 Feb 2026 11:59:00 GMT", "Sun, 31 Feb 2026 12:01:00 GMT", "12:01:00", "0"],
)  # fmt: skip
def test_52_a_time_that_makes_no_sense_is_the_throttles_own(retry_after: str) -> None:
    found = send_later(throttled(retry_after))

    assert found.how == "confirmed by response"
    assert (found.posts, found.reads, found.applied) == (2, 0, 1)
    assert 0 < found.arrivals[1] < 5


@pytest.mark.parametrize("retry_after", ["301", "999999999", "Sun, 01 Feb 2026 13:00:00 GMT"])
def test_53_more_than_five_minutes_are_not_waited(retry_after: str) -> None:
    found = send_later(throttled(retry_after))

    assert isinstance(found.result, RateLimited)
    assert found.result.retry_after == {"3": 301, "9": 999_999_999, "S": 3600}[retry_after[0]]
    assert (found.posts, found.reads, found.applied) == (1, 0, 0)


def run_many(*faults: Fault, orders: int, limit: Limit | None = None) -> tuple[Sandbox, set[State]]:
    async def main() -> tuple[Sandbox, set[State]]:
        async with Sandbox(orders=orders, faults=faults, limit=limit, latency=0.05) as sandbox:
            jobs = [job_for(order) for order in sandbox.orders]
            async with VtexInvoiceClient(sandbox.config) as client:
                outcomes = [outcome async for outcome in client.notify_many(jobs)]
            assert len(outcomes) == orders
            return sandbox, {outcome.state for outcome in outcomes}

    return run_virtual(main())


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, {State.CONFIRMED}),
        # Nobody may read either, for longer than a doubt is looked into.
        (503, {State.CONFIRMED, State.IN_DOUBT}),
    ],
)
def test_50_56_nobody_sends_while_vtex_wants_to_be_left_alone(
    status: int, expected: set[State]
) -> None:
    pause = evolve(answered(status, headers={"Retry-After": "60"}), nth=(30,), acted=status == 503)

    sandbox, states = run_many(pause, orders=200)

    arrived = [entry.at for entry in sandbox.oracle.arrived]
    pauses = [(b - a).total_seconds() for a, b in pairwise(arrived) if b - a > timedelta(seconds=9)]
    assert states == expected
    assert sandbox.applied.total() == len(sandbox.applied) == 200
    # What came in just after the one that was refused had been sent by then.
    assert len(pauses) == 1
    assert pauses[0] >= 59


def test_54_a_limit_that_falls_to_a_tenth_costs_a_fifth_of_the_requests_at_most() -> None:
    fall = Fault(do=Do.LIMIT, on=POSTED, nth=(1_000,), per_second=10)

    sandbox, states = run_many(fall, orders=2_000, limit=Limit(per_second=100))

    assert states == {State.CONFIRMED}
    assert sandbox.applied.total() == len(sandbox.applied) == 2_000
    assert posts_of(sandbox).total() <= 1.2 * 2_000
