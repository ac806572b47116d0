"""How VTEX says no: its services' error bodies, word for word where VTEX shows them.

The OMS paths answer with an `error` object, the `/api/orders` paths with ProblemDetails, some
with plain text or nothing. Where VTEX documents a refusal but not its body, the words are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import frozen

from vtex_invoice_async.errors import Problem

__all__ = [
    "CHANGE_AFTER_INVOICE",
    "CHANGE_NOT_ALLOWED",
    "CHANGE_OF_CANCELED",
    "CHANGE_TOO_LARGE",
    "ERROR_HAS_OCCURRED",
    "FORBIDDEN",
    "FORBIDDEN_DOCUMENT",
    "INVOICE_NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "ORDER_NOT_FOUND",
    "ORDER_NOT_FOUND_DOCUMENT",
    "REQUEST",
    "ROUTE_NOT_FOUND",
    "TRACE",
    "TRACKING_NUMBER_MISSING",
    "UNAUTHORIZED",
    "UNAUTHORIZED_DOCUMENT",
    "UNSUPPORTED_MEDIA_TYPE",
    "Refusal",
    "canceled",
    "duplicate_number",
    "invalid",
    "not_cancelable",
    "order_not_found",
    "refund_above",
    "too_early",
    "value_above",
    "wrong_status",
]

TRACE: Final = "00-05464ee431d13f81b4fc065592acf694-d46dfbd48c924961-00"
REQUEST: Final = "f19875630eac47a588b2e32250292f4a"
"""The ids of VTEX's examples; over the wire each answer has one of its own."""


@frozen(kw_only=True)
class Refusal:
    """An answer that is no: a JSON object, plain text, or nothing."""

    status: int
    body: Mapping[str, object] | str | None = None


def _oms(status: int, code: str, message: str) -> Refusal:
    error = {"code": code, "message": message, "exception": None}
    return Refusal(status=status, body={"error": error})


def _problem(status: int, section: str, title: str, **more: object) -> Refusal:
    kind = f"https://tools.ietf.org/html/{section}"
    return Refusal(
        status=status,
        body={"type": kind, "title": title, "status": status, "traceId": TRACE, **more},
    )


# https://developers.vtex.com/docs/api-reference/orders-api#post-/api/oms/pvt/orders/-orderId-/start-handling
UNAUTHORIZED: Final = _oms(401, "1", "Unauthorized access")
ORDER_NOT_FOUND: Final = _oms(404, "OMS007", "Order Not Found")
FORBIDDEN: Final = Refusal(status=403, body="No authorized")

# https://developers.vtex.com/docs/api-reference/orders-api#get-/api/orders/pvt/document/-orderId-/change-summary
UNAUTHORIZED_DOCUMENT: Final = _problem(401, "rfc9110#section-15.5.2", "Unauthorized")
ORDER_NOT_FOUND_DOCUMENT: Final = _problem(404, "rfc7231#section-6.5.4", "Not Found")
FORBIDDEN_DOCUMENT: Final = Refusal(status=403)

ROUTE_NOT_FOUND: Final = Refusal(
    status=404,
    body={
        "code": "NotFound",
        "message": "Route not found",
        "source": "Vtex.Kube.Router",
        "requestId": REQUEST,
    },
)

METHOD_NOT_ALLOWED: Final = _problem(405, "rfc7231#section-6.5.5", "Method Not Allowed")

# A body that must be there is not.
UNSUPPORTED_MEDIA_TYPE: Final = _problem(415, "rfc7231#section-6.5.13", "Unsupported Media Type")

# VTEX quotes the messages of these; the codes, and what surrounds them, are ours.
INVOICE_NOT_FOUND: Final = _oms(404, "OMS404", "Invoice Not Found")
TRACKING_NUMBER_MISSING: Final = _oms(400, "OMS400", "The invoice has no tracking number")
# Tracking of an invoice whose number has a space: known issue 409225.
ERROR_HAS_OCCURRED: Final = _oms(500, "OMS500", "An error has occurred")

# VTEX quotes code and message of these; what surrounds them is ours.
# https://developers.vtex.com/docs/guides/order-modifications
CHANGE_AFTER_INVOICE: Final = _oms(
    400,
    "SalesOrderSystem046",
    "The order change is not allowed after the item invoice has been issued.",
)
CHANGE_OF_CANCELED: Final = _oms(400, "SalesOrderSystem008", "Cannot Change Cancelled Order.")
CHANGE_NOT_ALLOWED: Final = _oms(400, "CHK0124", "Invalid change for order.")
CHANGE_TOO_LARGE: Final = _oms(400, "CHK0034", "The value of the change exceed the order's price.")


def order_not_found(*, document: bool) -> Refusal:
    """Refuse what is asked of an order that the account does not have."""
    return ORDER_NOT_FOUND_DOCUMENT if document else ORDER_NOT_FOUND


def wrong_status(*, document: bool) -> Refusal:
    """Refuse to start handling an order in another status.

    The PII page documents neither the status nor a body: both are ours, with the words of OMS.
    """
    message = "Order status should be ready-for-handling to perform this action"
    return _conflict(message) if document else _oms(409, "OMS003", message)


def refund_above(left: int, *, document: bool) -> Refusal:
    """Refuse a return of more than was invoiced."""
    message = f"Unable to use the restitution Refund more than {left / 100}"
    return _bad_value(message, document=document)


def value_above(left: int, *, document: bool) -> Refusal:
    """Refuse a sale of more than the order's value leaves; the words are ours."""
    message = f"Invoice value is above the remaining value of the order, {left}"
    return _bad_value(message, document=document)


def _bad_value(message: str, *, document: bool) -> Refusal:
    if document:
        return _validation({"invoiceValue": [message]})
    return _oms(400, "OMS400", message)


def canceled(*, document: bool) -> Refusal:
    """Refuse to invoice an order that was canceled; the words are ours."""
    return _bad_status("The order is canceled", document=document)


def not_cancelable(status: str, *, document: bool) -> Refusal:
    """Refuse to cancel an order of which something is invoiced, or that is canceled already.

    VTEX documents the 400 for an order with partial invoices; the words are ours.
    """
    return _bad_status(f"An order in {status} cannot be canceled", document=document)


def too_early(status: str, *, document: bool) -> Refusal:
    """Refuse to invoice an order that nobody handles yet; the words are ours."""
    message = f"An order in {status} cannot be invoiced yet"
    return _conflict(message) if document else _oms(409, "OMS409", message)


def _bad_status(message: str, *, document: bool) -> Refusal:
    if document:
        return _problem(400, "rfc7231#section-6.5.1", message)
    return _oms(400, "OMS400", message)


def _conflict(message: str) -> Refusal:
    return _problem(409, "rfc7231#section-6.5.8", "Conflict", detail=message)


def duplicate_number(number: str, *, document: bool, status: int = 400) -> Refusal:
    """Refuse an invoice number that the order has already; the words are ours."""
    words = f"The invoice number {number} already exists in the order"
    if not document:
        return _oms(status, f"OMS{status}", words)
    if status == 409:
        return _conflict(words)
    return _validation({"invoiceNumber": [words]})


def invalid(problems: Iterable[Problem], *, document: bool) -> Refusal:
    """Refuse a body that is not what VTEX's schema asks for."""
    found = list(problems)
    if document:
        return _validation({problem.field: [problem.message] for problem in found})
    return _oms(400, "OMS400", "; ".join(map(str, found)))


def _validation(errors: Mapping[str, object]) -> Refusal:
    title = "One or more validation errors occurred."
    return _problem(400, "rfc7231#section-6.5.1", title, errors=errors)
