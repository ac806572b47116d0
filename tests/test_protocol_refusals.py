"""VTEX did not act only where its own words prove it; every other answer leaves a doubt."""

from __future__ import annotations

import pytest
from attrs import frozen

from tests.answers import (
    ACTING,
    ALL,
    NOTIFY,
    PAGE,
    READ,
    ROUTER,
    START,
    STATUS,
    TRACE,
    TRACK,
    details,
    failure,
    oms,
)
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    Conflict,
    NotAuthorized,
    OrderNotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
)
from vtex_invoice_async.operations import Operation

NO_FUNDS = "Unable to use the restitution Refund more than 0.0"
MISSING = {"Queue": ["The Queue field is required.", "And it is long."]}
INVALID = "One or more validation errors occurred."
QUEUE = f"{INVALID} (Queue: The Queue field is required. And it is long.)"
WRONG_STATUS = "Order status should be ready-for-handling to perform this action"


@frozen
class Said:
    """An answer, and what is told of it."""

    operation: Operation[object]
    status: int
    body: bytes | dict[str, object]
    kind: type[CallError]
    code: str | None = None
    message: str | None = None
    request_id: str | None = None


REQUEST_ID = "f19875630eac47a588b2e32250292f4a"
NO_ROUTE = ("NotFound", "Route /api/oms not found", REQUEST_ID)
UNAUTHORIZED = "Unauthorized access"
NOT_FOUND = oms("OMS007", "Order Not Found")
ERROR = "An error has occurred"

# VTEX's own words, of section 7 of the contract.
SAID = [
    # E1
    Said(START, 401, oms("1", UNAUTHORIZED), NotAuthorized, "1", UNAUTHORIZED),
    Said(START, 409, oms("OMS003", WRONG_STATUS), Conflict, "OMS003", WRONG_STATUS),
    Said(NOTIFY, 404, NOT_FOUND, OrderNotFound, "OMS007", "Order Not Found"),
    Said(READ, 404, NOT_FOUND, OrderNotFound, "OMS007", "Order Not Found"),
    Said(NOTIFY, 400, {"error": {"code": 7, "message": None}}, BadRequest, "7"),
    Said(NOTIFY, 400, {"code": "OMS9"}, BadRequest, "OMS9"),
    Said(NOTIFY, 400, {"error": "Bad invoice"}, BadRequest, None, "Bad invoice"),
    # E2
    Said(NOTIFY, 401, details(401, "Unauthorized"), NotAuthorized, None, "Unauthorized", TRACE),
    Said(READ, 404, details(404, "Not Found"), OrderNotFound, None, "Not Found", TRACE),
    Said(NOTIFY, 400, details(400, INVALID, errors=MISSING), BadRequest, None, QUEUE, TRACE),
    Said(NOTIFY, 415, details(415, "Unsupported"), BadRequest, None, "Unsupported", TRACE),
    Said(NOTIFY, 400, details(400, "No", detail="why"), BadRequest, None, "No: why", TRACE),
    # E3
    Said(NOTIFY, 401, b"No authorized", NotAuthorized, None, "No authorized"),
    Said(NOTIFY, 403, b"\r\n No\tauthorized \r\n", NotAuthorized, None, "No authorized"),
    Said(NOTIFY, 403, b'"No authorized"', NotAuthorized, None, "No authorized"),
    Said(NOTIFY, 400, b"x" * 200, BadRequest, None, "x" * 200),
    Said(NOTIFY, 400, b'"' + b"x" * 200 + b'"', BadRequest, None, "x" * 200),
    # E4: it knows the route as little as the order
    Said(NOTIFY, 404, ROUTER, Rejected, *NO_ROUTE),
    Said(READ, 404, ROUTER, Rejected, *NO_ROUTE),
    # E5
    Said(TRACK, 500, {"message": ERROR}, OutcomeUnknown, None, ERROR),
    Said(TRACK, 500, {"Message": ERROR}, OutcomeUnknown, None, ERROR),
    Said(TRACK, 500, oms("1", ERROR), OutcomeUnknown, "1", ERROR),
    # E6
    Said(STATUS, 404, b"Invoice Not Found", OrderNotFound, None, "Invoice Not Found"),
    Said(TRACK, 404, {"message": "Invoice Not Found"}, OrderNotFound, None, "Invoice Not Found"),
    # E7
    Said(NOTIFY, 400, oms("OMS010", NO_FUNDS), BadRequest, "OMS010", NO_FUNDS),
    Said(NOTIFY, 400, NO_FUNDS.encode(), BadRequest, None, NO_FUNDS),
    # E8
    Said(NOTIFY, 400, oms("1402", "Gateway"), BadRequest, "1402", "Gateway"),
    # Empty, as the PII paths declare their refusals
    Said(NOTIFY, 403, b"", NotAuthorized),
    Said(NOTIFY, 404, b"", OrderNotFound),
    Said(NOTIFY, 429, b"", RateLimited),
    Said(TRACK, 409, b"", Conflict),
    Said(STATUS, 409, oms("OMS003", WRONG_STATUS), Conflict, "OMS003", WRONG_STATUS),
    # Nobody says what a 409 to an invoice means: perhaps that it was recorded before.
    Said(NOTIFY, 409, oms("OMS003", WRONG_STATUS), OutcomeUnknown, "OMS003", WRONG_STATUS),
    Said(NOTIFY, 409, b"", OutcomeUnknown),
]


@pytest.mark.parametrize("said", SAID)
def test_what_vtex_says_is_told(said: Said) -> None:
    error = failure(said.operation, said.status, said.body)

    assert type(error) is said.kind
    assert (error.code, error.message, error.request_id) == (
        said.code,
        said.message,
        said.request_id,
    )
    assert (error.operation, error.order_id) == (said.operation.name, "v5lux-01")
    assert error.status == said.status


REFUSALS = {
    400: BadRequest,
    401: NotAuthorized,
    403: NotAuthorized,
    404: OrderNotFound,
    405: BadRequest,
    406: BadRequest,
    410: OrderNotFound,
    413: BadRequest,
    414: BadRequest,
    415: BadRequest,
    422: BadRequest,
    431: BadRequest,
}


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_in_vtex_own_words_proves_that_it_did_not_act(
    operation: Operation[object], status: int
) -> None:
    bodies: list[bytes | dict[str, object]] = [b"", b"No", oms("1", "No"), details(status, "No")]

    errors = [failure(operation, status, body) for body in bodies]

    assert {type(error) for error in errors} == {REFUSALS[status]}


HTML = {"Content-Type": "text/html; charset=utf-8"}
NO_WORDS_OF_VTEX: list[tuple[bytes, dict[str, str]]] = [
    (PAGE, HTML),
    (PAGE, {}),
    (b"\r\n\t " + PAGE, {}),
    (b"\xef\xbb\xbf" + PAGE, {}),  # a page with a byte order mark
    (b"Bad Request", {"content-type": "TEXT/HTML"}),
    (b'{"error":{"code":"1","message":"No"}}', HTML),
    (b"<?xml version='1.0'?><Error/>", {}),
    (b"x" * 201, {}),
    (b'"' + b"x" * 201 + b'"', {}),
    (b'{"error":{"code":"1","messa', {}),
    (b"[", {}),
    (b"[]", {}),
    (b'[{"message":"No"}]', {}),
    (b"{}", {}),
    (b'{"ok":false}', {}),
    (b'\xef\xbb\xbf{"ok":false}', {}),
    (b"null", {}),
    (b"404", {}),
    (b"\xff\xfe\x00N\x00o", {}),
    (b"caf\xe9", {}),
]


@pytest.mark.parametrize(("body", "headers"), NO_WORDS_OF_VTEX)
@pytest.mark.parametrize("status", [400, 401, 404])
def test_an_answer_that_may_not_be_vtex_own_leaves_a_doubt(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    errors = [failure(operation, status, body, headers) for operation in ACTING]

    assert [type(error) for error in errors] == [OutcomeUnknown] * 4
    assert type(failure(READ, status, body, headers)) is CallError


def test_a_gateway_page_on_a_conflict_proves_nothing_either() -> None:
    errors = [failure(operation, 409, PAGE, HTML) for operation in ACTING]

    assert [type(error) for error in errors] == [OutcomeUnknown] * 4


@pytest.mark.parametrize(
    "status", [300, 301, 302, 307, 308, 402, 408, 418, 421, 423, 425, 451, 500, 502, 503, 504, 599]
)
@pytest.mark.parametrize(
    "body",
    [b"", b"No", b'{"error":{"code":"1","message":"No"}}', PAGE, b'{"receipt":"527b"}'],
)
def test_every_other_status_leaves_a_doubt_and_a_read_to_do_again(status: int, body: bytes) -> None:
    errors = [failure(operation, status, body) for operation in ACTING]

    assert [type(error) for error in errors] == [OutcomeUnknown] * 4
    assert type(failure(READ, status, body)) is CallError


@pytest.mark.parametrize("operation", ALL)
@pytest.mark.parametrize("body", [b"", b"slow down", PAGE, b"{"])
def test_throttling_means_not_acted_on_whatever_the_body(
    operation: Operation[object], body: bytes
) -> None:
    error = failure(operation, 429, body, {"retry-after": "7"})

    assert isinstance(error, RateLimited)
    assert error.retry_after == 7
