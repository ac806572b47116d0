"""What VTEX makes of a request's body: a value, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

import orjson
from cattrs.errors import BaseValidationError

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.models import Invoice, TrackingInfo, TrackingStatus
from vtex_invoice_async.sandbox.filed import CancelRequest
from vtex_invoice_async.sandbox.refusals import UNSUPPORTED_MEDIA_TYPE, Refusal, invalid
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi
from vtex_invoice_async.wire import INVOICE_NAMES, converter, inexpressible, problems_of

__all__ = [
    "invoice_number_of",
    "is_return",
    "read_cancel_request",
    "read_invoice",
    "read_tracking_info",
    "read_tracking_status",
    "unreadable",
]

T = TypeVar("T")

# The keys that VTEX's schemas require.
_INVOICE: Final = {"type", "invoiceNumber", "invoiceValue", "items"}
_TRACKING_INFO: Final = {"courier", "trackingNumber", "trackingUrl", "dispatchedDate"}
_TRACKING_STATUS: Final = {"isDelivered", "deliveredDate", "events"}

# https://developers.vtex.com/vtex-rest-api/reference/updatetrackingstatus
_MOST_OF_AN_EVENT: Final = 5_000
"""Characters of the description of what happened to a parcel."""


def read_invoice(body: bytes, content_type: str, *, document: bool) -> Invoice | Refusal:
    """Read an invoice as the OMS paths take it, or as the *document* paths (PII) do."""
    found = _object(body, content_type, document=document)
    if isinstance(found, Refusal):
        return found
    # VTEX's pages wrote `output` for years; either case is taken.
    if isinstance(found.get("type"), str):
        found["type"] = str(found["type"]).capitalize()
    if not document:
        orders_api = OrdersApi.OMS
    else:
        # The first clients of the PII path sent `issuanceDate`, those of today `issuedDate`.
        if "issuedDate" in found and _names_skus(found):
            found["issuanceDate"] = found.pop("issuedDate")
        orders_api = OrdersApi.PII_2022 if "issuanceDate" in found else OrdersApi.PII
    required = _INVOICE | {INVOICE_NAMES[orders_api]["issuance_date"]}
    invoice = _read(found, Invoice, orders_api, required, document=document)
    if isinstance(invoice, Refusal):
        return invoice
    problems = tuple(inexpressible(invoice, orders_api))
    return invalid(problems, document=document) if problems else invoice


def read_tracking_info(body: bytes, content_type: str) -> TrackingInfo | Refusal:
    """Read where a parcel can be followed."""
    found = _object(body, content_type, document=False)
    if isinstance(found, Refusal):
        return found
    # VTEX takes null here; the client writes a courier always.
    if "courier" in found and found["courier"] is None:
        found["courier"] = ""
    return _read(found, TrackingInfo, OrdersApi.OMS, _TRACKING_INFO, document=False)


def read_tracking_status(body: bytes, content_type: str) -> TrackingStatus | Refusal:
    """Read how far a parcel came; the time of delivery has no zone, so it is read as UTC."""
    found = _object(body, content_type, document=False)
    if isinstance(found, Refusal):
        return found
    status = _read(found, TrackingStatus, OrdersApi.OMS, _TRACKING_STATUS, document=False)
    if isinstance(status, Refusal):
        return status
    problems = [
        Problem(
            code="range",
            field=f"events[{index}].description",
            message=f"must have at most {_MOST_OF_AN_EVENT} characters",
        )
        for index, event in enumerate(status.events)
        if len(event.description) > _MOST_OF_AN_EVENT
    ]
    return invalid(problems, document=False) if problems else status


def read_cancel_request(
    body: bytes, content_type: str, *, document: bool
) -> CancelRequest | Refusal:
    """Read a request to cancel; it may have no body, or say no reason."""
    found = _object(body, content_type, document=document) if body else {}
    if isinstance(found, Refusal):
        return found
    reason, by_user = found.get("reason"), found.get("requestedByUser")
    if not isinstance(reason, str | None):
        problem = Problem(code="text", field="reason", message="must be text")
        return invalid([problem], document=document)
    # https://developers.vtex.com/docs/guides/order-canceling-improvements
    if not isinstance(by_user, bool | None):
        message = "must be true or false"
        problem = Problem(code="type", field="requestedByUser", message=message)
        return invalid([problem], document=document)
    return CancelRequest(reason=reason, requested_by_user=bool(by_user))


def invoice_number_of(body: bytes) -> str | None:
    """Return the number of the invoice in a body that may hold one."""
    return _text_of(body, "invoiceNumber")


def is_return(body: bytes) -> bool:
    """Whether a body that may hold an invoice holds one of a return."""
    return (_text_of(body, "type") or "").capitalize() == InvoiceType.INPUT


def _text_of(body: bytes, key: str) -> str | None:
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, str) else None


def unreadable(*, document: bool) -> Refusal:
    """Refuse a body that is no JSON object, or not what its `Content-Encoding` says."""
    return invalid([Problem(code="json", field="", message="not a JSON object")], document=document)


def _object(body: bytes, content_type: str, *, document: bool) -> dict[str, object] | Refusal:
    if not body:
        return UNSUPPORTED_MEDIA_TYPE
    # https://developers.vtex.com/docs/guides/api-response-codes
    if content_type != "application/json" and not content_type.endswith("+json"):
        problem = Problem(code="json", field="Content-Type", message="must be application/json")
        return invalid([problem], document=document)
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return unreadable(document=document)


def _names_skus(invoice: Mapping[str, object]) -> bool:
    """Whether it names lines by `id` alone, as an example of VTEX's page of January 2023 does."""
    items = invoice.get("items")
    lines = [line for line in items if isinstance(line, dict)] if isinstance(items, list) else []
    return bool(lines) and all("id" in line and "itemIndex" not in line for line in lines)


def _read(
    found: dict[str, object],
    kind: type[T],
    orders_api: OrdersApi,
    required: set[str],
    *,
    document: bool,
) -> T | Refusal:
    missing = sorted(required - found.keys())
    if missing:
        problems = [Problem(code="required", field=key, message="is required") for key in missing]
        return invalid(problems, document=document)
    try:
        return converter(orders_api).structure(found, kind)
    except BaseValidationError as error:
        return invalid(problems_of(error, orders_api), document=document)
