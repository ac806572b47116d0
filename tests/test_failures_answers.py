"""What each answer comes to, over sockets: the client's word, and the sandbox's count.

The numbers are those of the list of failures that this client was designed against.
"""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve

from tests.failures import POSTED, brief, send_one
from tests.raw_server import answer, raw_server, reply_with
from vtex_invoice_async import OrdersApi, Receipt
from vtex_invoice_async.sandbox import Do, Fault

HTML: Final = {"Content-Type": "text/html"}
RECEIPT: Final = '{"date":"2019-02-08T13:16:13Z","orderId":"other-01","receipt":"527b1ae2"}'


def answered(status: int, body: str = "", headers: dict[str, str] | None = None) -> Fault:
    return Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=status, body=body, headers=headers or {})


def raw(body: str) -> Fault:
    return Fault(do=Do.RAW, on=POSTED, nth=(1,), body=body)


def whole(body: str) -> str:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"


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
    "31 too deep": answered(200, "[" * 5_000),
    "31 a number without end": answered(200, '{"receipt":' + "9" * 5_000 + "}"),
    "31 not a number": answered(200, '{"receipt":NaN}'),
    "31 a list": answered(200, f"[{RECEIPT}]"),
    "31 null": answered(200, "null"),
    "33 an error with 200": answered(200, '{"error":{"code":"1","message":"No"}}'),
    "34 too long": answered(200, "x" * (2**20 + 1)),
    "35 a lying encoding": answered(200, RECEIPT, {"Content-Encoding": "gzip"}),
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
    "57 a 520": answered(520),
    "57 a 530": answered(530),
    "57 a 599": answered(599),
    "58 a 206 without a receipt": answered(206),
    "58 a 299 without a receipt": answered(299, "{}"),
    "58 a 304": answered(304),
}


@pytest.mark.parametrize("fault", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_vtex_did_is_found_on_the_order(fault: Fault) -> None:
    found = await send_one(evolve(fault, acted=True))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)
    assert found.reads >= 1


@pytest.mark.parametrize("fault", DOUBTFUL.values(), ids=DOUBTFUL)
async def test_what_vtex_did_not_do_is_found_absent_and_not_sent_again(fault: Fault) -> None:
    found = await send_one(fault)

    assert found.how == "InvoiceAbsent"
    assert (found.posts, found.applied) == (1, 0)
    assert found.reads >= 3


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


async def test_53_what_is_too_long_to_wait_for_is_not_waited_for() -> None:
    found = await send_one(answered(429, headers={"Retry-After": "301"}), retry=brief())

    assert found.how == "RateLimited"
    assert (found.posts, found.reads, found.applied) == (1, 0, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_38_39_a_redirect_is_not_followed_and_the_order_is_read(status: int) -> None:
    async with raw_server(reply_with(answer())) as elsewhere:
        away = answered(status, headers={"Location": f"{elsewhere.url}/api"})
        found = await send_one(evolve(away, acted=True))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)
    assert elsewhere.connections == 0
