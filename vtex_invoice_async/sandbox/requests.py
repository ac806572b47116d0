"""What VTEX makes of a request's body: a value, or a refusal."""

from __future__ import annotations

from typing import Final, TypeVar

import orjson
from cattrs.errors import BaseValidationError

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.models import Invoice, TrackingInfo, TrackingStatus
from vtex_invoice_async.sandbox.refusals import Refusal, invalid
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import INVOICE_NAMES, converter, inexpressible, problems_of

__all__ = ["invoice_number_of", "read_invoice", "read_tracking_info", "read_tracking_status"]

T = TypeVar("T")

# The keys that VTEX's schemas require.
_INVOICE: Final = {"type", "invoiceNumber", "invoiceValue", "items"}
_TRACKING_INFO: Final = {"courier", "trackingNumber", "trackingUrl", "dispatchedDate"}
_TRACKING_STATUS: Final = {"isDelivered", "deliveredDate", "events"}


def read_invoice(body: bytes, *, document: bool) -> Invoice | Refusal:
    """Read an invoice as the OMS paths take it, or as the *document* paths (PII) do."""
    found = _object(body, document=document)
    if isinstance(found, Refusal):
        return found
    # VTEX's pages wrote `output` for years; either case is taken.
    if isinstance(found.get("type"), str):
        found["type"] = str(found["type"]).capitalize()
    if not document:
        orders_api = OrdersApi.OMS
    else:
        # The first clients of the PII path sent `issuanceDate`, those of today `issuedDate`.
        orders_api = OrdersApi.PII_2022 if "issuanceDate" in found else OrdersApi.PII
    required = _INVOICE | {INVOICE_NAMES[orders_api]["issuance_date"]}
    invoice = _read(found, Invoice, orders_api, required, document=document)
    if isinstance(invoice, Refusal):
        return invoice
    problems = tuple(inexpressible(invoice, orders_api))
    return invalid(problems, document=document) if problems else invoice


def read_tracking_info(body: bytes) -> TrackingInfo | Refusal:
    """Read where a parcel can be followed."""
    found = _object(body, document=False)
    if isinstance(found, Refusal):
        return found
    # VTEX takes null here; the client writes a courier always.
    if "courier" in found and found["courier"] is None:
        found["courier"] = ""
    return _read(found, TrackingInfo, OrdersApi.OMS, _TRACKING_INFO, document=False)


def read_tracking_status(body: bytes) -> TrackingStatus | Refusal:
    """Read how far a parcel came; the time of delivery has no zone, so it is read as UTC."""
    found = _object(body, document=False)
    if isinstance(found, Refusal):
        return found
    return _read(found, TrackingStatus, OrdersApi.OMS, _TRACKING_STATUS, document=False)


def invoice_number_of(body: bytes) -> str | None:
    """Return the number of the invoice in a body that may hold one."""
    try:
        found = orjson.loads(body)
    except ValueError:
        return None
    number = found.get("invoiceNumber") if isinstance(found, dict) else None
    return number if isinstance(number, str) else None


def _object(body: bytes, *, document: bool) -> dict[str, object] | Refusal:
    try:
        found = orjson.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return invalid([Problem(code="json", field="", message="not a JSON object")], document=document)


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
