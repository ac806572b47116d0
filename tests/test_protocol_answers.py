"""Only what VTEX says in full is believed; whatever else comes leaves an error of ours."""

from __future__ import annotations

import pickle

import pytest

from tests.answers import (
    ALL,
    FOR_A_RECEIPT,
    NOTIFY,
    PAGE,
    READ,
    SINCE,
    START,
    STATUS,
    TRACE,
    TRACK,
    details,
    failure,
)
from tests.factories import make_invoice
from vtex_invoice_async.errors import CallError, Doubt, NotSent, OutcomeUnknown
from vtex_invoice_async.messages import NoReply
from vtex_invoice_async.operations import NotifyInvoice, Operation
from vtex_invoice_async.protocol import decode
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

DEEP = 5000
NO_RECEIPTS = [
    b"",
    b" ",
    PAGE,
    b'\xef\xbb\xbf{"receipt":"527b"}',
    b'{"receipt":"527\xff"}',
    b'{"receipt":"527b"',
    b'{"receipt":"527b"} x',
    b"[]",
    b'[{"receipt":"527b"}]',
    b"null",
    b"true",
    b'"527b"',
    b"NaN",
    b'{"receipt":NaN}',
    b'{"receipt":"527b","date":NaN}',
    b"{}",
    b'{"receipt":null}',
    b'{"receipt":""}',
    b'{"receipt":"  "}',
    b'{"receipt":"\\u00a0\\n"}',
    b'{"receipt":527}',
    b'{"receipt":true}',
    b'{"receipt":["527b"]}',
    b'{"receipt":' + b"9" * 5000 + b"}",
    b"9" * 5000,
    b"[" * DEEP + b"]" * DEEP,
    b'{"receipt":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"Receipt":"527b"}',
    b'{"error":{"code":"1","message":"Unauthorized access","exception":null}}',
    b'{"data":{"receipt":"527b"}}',
]


@pytest.mark.parametrize("body", NO_RECEIPTS)
@pytest.mark.parametrize("operation", FOR_A_RECEIPT)
def test_success_without_a_receipt_is_no_proof(operation: Operation[object], body: bytes) -> None:
    errors = [failure(operation, status, body) for status in (200, 201, 204)]

    assert [type(error) for error in errors] == [OutcomeUnknown] * 3


@pytest.mark.parametrize(
    ("status", "body"), [(200, b""), (200, b"{}"), (202, b""), (204, b"{}"), (204, PAGE)]
)
def test_only_an_empty_204_says_that_handling_started(status: int, body: bytes) -> None:
    assert type(failure(START, status, body)) is OutcomeUnknown


@pytest.mark.parametrize("body", [*NO_RECEIPTS, b'{"orderId":"1","value":24.99}'])
def test_an_order_that_cannot_be_read_is_to_be_read_again(body: bytes) -> None:
    error = failure(READ, 200, body)

    assert type(error) is CallError
    assert "read it again" in str(error)


def test_an_answer_that_cannot_be_read_is_not_quoted() -> None:
    body = b'{"orderId":"1","value":"maria","items":[{"id":"x","quantity":"da Silva"}]}'

    assert not {"maria", "Silva"} & set(str(failure(READ, 200, body)).split())


@pytest.mark.parametrize("depth", [500, 900, 1000])
@pytest.mark.parametrize("status", [200, 400, 500])
def test_words_of_any_depth_leave_an_error_of_ours(status: int, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    body = b'{"title":"No","errors":{"items":' + nested + b'},"receipt":' + nested + b"}"

    assert isinstance(failure(NOTIFY, status, body), CallError)


@pytest.mark.parametrize("operation", ALL)
def test_a_request_of_which_no_byte_left_was_not_sent(operation: Operation[object]) -> None:
    reply = NoReply(reason="the host could not be reached", bytes_left=False)

    with pytest.raises(NotSent, match="nothing was sent: the host could not be reached") as caught:
        decode(operation, OrdersApi.OMS, reply, lambda: SINCE)

    assert caught.value.operation == operation.name


@pytest.mark.parametrize("status", [None, 200, 400, 429])
@pytest.mark.parametrize("operation", ALL)
def test_an_answer_that_broke_off_leaves_a_doubt_whatever_its_status(
    operation: Operation[object], status: int | None
) -> None:
    reply = NoReply(reason="the answer broke off", bytes_left=True, status=status)

    with pytest.raises(CallError, match="the answer broke off") as caught:
        decode(operation, OrdersApi.OMS, reply, lambda: SINCE)

    assert type(caught.value) is (CallError if operation is READ else OutcomeUnknown)
    assert caught.value.status == status


@pytest.mark.parametrize("dialect", OrdersApi)
@pytest.mark.parametrize("kind", InvoiceType)
def test_a_doubt_holds_what_to_look_for_on_the_order(dialect: OrdersApi, kind: InvoiceType) -> None:
    invoice = make_invoice(type=kind, invoice_number="NFe7", invoice_value=9508)
    operation = NotifyInvoice(order_id="v7lux-01", invoice=invoice)

    error = failure(operation, 503, dialect=dialect)

    assert isinstance(error, OutcomeUnknown)
    assert error.doubt == Doubt(
        order_id="v7lux-01",
        invoice_number="NFe7",
        type=kind,
        value=9508,
        orders_api=dialect,
        since=SINCE,
    )
    assert pickle.loads(pickle.dumps(error)).doubt == error.doubt


@pytest.mark.parametrize("operation", [TRACK, STATUS, START])
def test_a_call_that_is_no_invoice_leaves_no_invoice_to_look_for(
    operation: Operation[object],
) -> None:
    error = failure(operation, 503)

    assert isinstance(error, OutcomeUnknown)
    assert error.doubt is None


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"x-vtex-operation-id": "op-1", "X-Request-Id": "req-1"}, "op-1"),
        ({"X-Request-Id": "req-1", "x-vtex-request-id": "vtex-1"}, "req-1"),
        ({"x-vtex-request-id": "vtex-1"}, "vtex-1"),
        ({"X-Request-Id": ""}, TRACE),
        ({}, TRACE),
    ],
)
def test_the_request_id_comes_from_the_headers_before_the_body(
    headers: dict[str, str], request_id: str
) -> None:
    assert failure(NOTIFY, 401, details(401, "Unauthorized"), headers).request_id == request_id
