"""After an attempt in doubt only a confirmation settles anything; and what is VTEX's own word."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.answers import ACTING, ALL, NOTIFY, PAGE, READ, SINCE, START, STATUS, TRACK
from tests.factories import make_invoice
from vtex_invoice_async.errors import (
    CallError,
    Doubt,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    Rejected,
)
from vtex_invoice_async.messages import NoReply, Reply
from vtex_invoice_async.models import Order, Receipt
from vtex_invoice_async.operations import GetOrder, NotifyInvoice, Operation
from vtex_invoice_async.protocol import decode, doubt_of, is_answer
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

HTML: Final = {"Content-Type": "text/html; charset=utf-8"}
JSON: Final = {"Content-Type": "application/json"}
RECEIPT: Final = b'{"date":"2026-01-31T18:26:00Z","orderId":"v5lux-01","receipt":"527b"}'
ORDER: Final = b'{"orderId":"v5lux-01","value":2499,"items":[],"packageAttachment":null}'
REFUSAL: Final = b'{"error":{"code":"OMS007","message":"No"}}'
STATUSES: Final = [*range(200, 209), *range(300, 309), *range(400, 432), 451, *range(500, 512), 599]


def make_reply(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    return Reply(status=status, headers=CIMultiDict(headers or {}), body=body)


def settle(
    operation: Operation[object], reply: Reply | NoReply, *, doubted: bool = True
) -> object | CallError:
    """What comes of an answer: the result, or the error."""
    try:
        return decode(operation, OrdersApi.OMS, reply, lambda: SINCE, doubted=doubted)
    except CallError as error:
        return error


# Doubted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"No", REFUSAL, PAGE])
@pytest.mark.parametrize("status", [status for status in STATUSES if status != 204])
def test_no_status_but_a_confirmation_settles_what_is_doubted(status: int, body: bytes) -> None:
    ends = [settle(operation, make_reply(status, body)) for operation in ACTING]

    assert [type(end) for end in ends] == [OutcomeUnknown] * 4


@pytest.mark.parametrize("status", [s for s in STATUSES if s >= 300])
def test_a_receipt_under_a_failure_settles_nothing_either(status: int) -> None:
    assert isinstance(settle(NOTIFY, make_reply(status, RECEIPT)), OutcomeUnknown)


@pytest.mark.parametrize("doubted", [False, True])
@pytest.mark.parametrize("operation", [NOTIFY, TRACK, STATUS])
def test_a_receipt_settles_it_doubted_or_not(operation: Operation[object], doubted: bool) -> None:
    end = settle(operation, make_reply(200, RECEIPT), doubted=doubted)

    assert isinstance(end, Receipt)
    assert (end.receipt, end.confirmed_by) == ("527b", "response")


@pytest.mark.parametrize("doubted", [False, True])
def test_an_empty_204_settles_a_doubted_start_of_handling(doubted: bool) -> None:
    assert settle(START, make_reply(204), doubted=doubted) is None


@pytest.mark.parametrize("bytes_left", [False, True])
@pytest.mark.parametrize("status", [None, 200, 400, 429, 503])
@pytest.mark.parametrize("operation", ACTING)
def test_no_answer_settles_nothing_even_where_no_byte_of_this_attempt_left(
    operation: Operation[object], status: int | None, bytes_left: bool
) -> None:
    reply = NoReply(reason="the host could not be reached", bytes_left=bytes_left, status=status)

    end = settle(operation, reply)

    assert type(end) is OutcomeUnknown
    assert end.status == status
    assert "the host could not be reached" in end.reason


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (make_reply(429, b"", {"Retry-After": "7"}), RateLimited),
        (make_reply(429, PAGE, HTML), RateLimited),
        (NoReply(reason="refused", bytes_left=False), NotSent),
    ],
)
@pytest.mark.parametrize("operation", ACTING)
def test_that_this_attempt_did_not_act_says_nothing_of_the_one_in_doubt(
    operation: Operation[object], reply: Reply | NoReply, kind: type[CallError]
) -> None:
    first, later = settle(operation, reply, doubted=False), settle(operation, reply)

    assert (type(first), type(later)) == (kind, OutcomeUnknown)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 410, 413, 414, 415, 422, 431])
def test_it_is_the_earlier_doubt_that_makes_a_refusal_worth_nothing(status: int) -> None:
    reply = make_reply(status, REFUSAL)

    ends = [(settle(op, reply, doubted=False), settle(op, reply)) for op in ACTING]

    assert all(isinstance(first, Rejected) for first, _ in ends)
    assert [type(later) for _, later in ends] == [OutcomeUnknown] * 4


def test_what_vtex_said_to_a_doubted_call_is_kept_and_so_is_what_to_look_for() -> None:
    reply = make_reply(409, REFUSAL, {"X-Request-Id": "req-1"})

    error = settle(NOTIFY, reply)

    assert isinstance(error, OutcomeUnknown)
    assert error.facts == {
        "operation": "notify_invoice",
        "order_id": "v5lux-01",
        "attempts": 1,
        "status": 409,
        "code": "OMS007",
        "message": "No",
        "request_id": "req-1",
    }
    assert error.doubt == doubt_of(NOTIFY, OrdersApi.OMS, SINCE)


def test_what_is_kept_of_a_doubted_call_holds_no_secret() -> None:
    reply = make_reply(401, b'{"error":{"code":"1","message":"bad token hunter2"}}')

    with pytest.raises(OutcomeUnknown) as caught:
        decode(
            NOTIFY,
            OrdersApi.OMS,
            reply,
            lambda: SINCE,
            lambda text: text.replace("hunter2", "[removed]"),
            doubted=True,
        )

    assert caught.value.message == "bad token [removed]"


@pytest.mark.parametrize("operation", [TRACK, STATUS, START])
def test_a_doubted_call_that_is_no_invoice_has_no_invoice_to_look_for(
    operation: Operation[object],
) -> None:
    error = settle(operation, make_reply(400, REFUSAL))

    assert isinstance(error, OutcomeUnknown)
    assert error.doubt is None


@given(st.integers(200, 599), st.binary(max_size=40), st.sampled_from([{}, HTML, JSON]))
def test_whatever_comes_a_doubted_invoice_is_confirmed_or_stays_in_doubt(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    end = settle(NOTIFY, make_reply(status, body, headers))

    assert isinstance(end, Receipt | OutcomeUnknown)


# An answer -----------------------------------------------------------------------------------

BOM: Final = b"\xef\xbb\xbf"


@pytest.mark.parametrize("status", [200, 201, 204, 299, 400, 401, 403, 404, 408, 409, 429, 499])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", HTML),  # an empty page says nothing against VTEX
        (b" \r\n\t", HTML),
        (BOM, HTML),
        (b"No authorized", {}),
        (REFUSAL, JSON),
        (BOM + REFUSAL, JSON),
        (b"{", JSON),
        (b"a < b", {"Content-Type": "text/plain"}),
        (b"\xff\xfe", {}),
    ],
)
def test_what_can_be_vtex_own_word_is_an_answer_yes_or_no(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    assert is_answer(make_reply(status, body, headers))


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429])
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (PAGE, {}),
        (PAGE, JSON),
        (b"\r\n\t " + PAGE, {}),
        (BOM + PAGE, {}),
        (BOM + b" " + PAGE, {}),
        (b"<?xml version='1.0'?><Error/>", {}),
        (b"<", {}),
        (REFUSAL, HTML),
        (b"Bad Request", {"content-type": "TEXT/HTML"}),
        (b"Bad Request", {"Content-Type": "application/xhtml+xml"}),
    ],
)
def test_a_page_is_a_gateway_speaking(status: int, body: bytes, headers: dict[str, str]) -> None:
    assert not is_answer(make_reply(status, body, headers))


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 399, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [b"", b"No", REFUSAL, RECEIPT])
def test_a_redirect_or_a_server_error_is_no_answer_whatever_it_says(
    status: int, body: bytes
) -> None:
    assert not is_answer(make_reply(status, body, JSON))


@pytest.mark.parametrize("bytes_left", [False, True])
@pytest.mark.parametrize("status", [None, 200, 400, 503])
def test_no_reply_is_no_answer(status: int | None, bytes_left: bool) -> None:
    assert not is_answer(NoReply(reason="no", bytes_left=bytes_left, status=status))


@pytest.mark.parametrize("status", [status for status in STATUSES if status != 409])
@pytest.mark.parametrize("body", [b"", b"No", REFUSAL, PAGE, RECEIPT])
def test_whatever_settles_a_call_is_an_answer_too(status: int, body: bytes) -> None:
    reply = make_reply(status, body)

    ends = [settle(operation, reply, doubted=False) for operation in ACTING]

    settles = [end for end in ends if not isinstance(end, OutcomeUnknown | RateLimited)]
    assert not settles or is_answer(reply)


# Fresh ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"Age": "0"}, {"age": " 0 "}, {"Cache-Control": "max=9"}])
def test_a_fresh_order_is_read(headers: dict[str, str]) -> None:
    end = settle(GetOrder(order_id="v5lux-01", must_be_fresh=True), make_reply(200, ORDER, headers))

    assert isinstance(end, Order)


@pytest.mark.parametrize(
    "age", ["7", "1", "-1", "0.5", "00", "0, 7", "", "soon", "\u0660", "9" * 99]
)
def test_a_copy_that_a_cache_may_have_kept_is_no_evidence(age: str) -> None:
    kept = make_reply(200, ORDER, {"Age": age})

    end = settle(GetOrder(order_id="v5lux-01", must_be_fresh=True), kept)

    assert type(end) is CallError
    assert "a copy that a cache has kept" in end.reason
    assert isinstance(settle(READ, kept), Order)


def test_only_a_read_has_to_be_fresh() -> None:
    assert isinstance(settle(NOTIFY, make_reply(200, RECEIPT, {"Age": "7"})), Receipt)


# What to look for ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", InvoiceType)
@pytest.mark.parametrize("dialect", OrdersApi)
def test_a_doubt_is_what_was_sent_where_and_when(dialect: OrdersApi, kind: InvoiceType) -> None:
    invoice = make_invoice(type=kind, invoice_number="0NFe7 ", invoice_value=9508)
    since = SINCE + timedelta(seconds=3)

    doubt = doubt_of(NotifyInvoice(order_id="v7lux-01", invoice=invoice), dialect, since)

    assert doubt == Doubt(
        order_id="v7lux-01",
        invoice_number="0NFe7 ",
        type=kind,
        value=9508,
        orders_api=dialect,
        since=since,
    )


@pytest.mark.parametrize("operation", [operation for operation in ALL if operation is not NOTIFY])
def test_what_is_no_invoice_leaves_none_to_look_for(operation: Operation[object]) -> None:
    assert doubt_of(operation, OrdersApi.OMS, SINCE) is None


def test_a_doubted_read_is_still_a_read_to_do_again() -> None:
    ends = [
        settle(READ, make_reply(404, b"")),
        settle(READ, make_reply(429)),
        settle(READ, NoReply(reason="no", bytes_left=False)),
        settle(READ, make_reply(503, REFUSAL)),
    ]

    assert [type(end) for end in ends] == [CallError] * 4
