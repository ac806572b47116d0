"""A call of every kind, and the error that an answer to it comes to."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from multidict import CIMultiDict

from tests.factories import make_invoice, make_tracking
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.models import TrackingStatus
from vtex_invoice_async.operations import (
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
)
from vtex_invoice_async.protocol import decode
from vtex_invoice_async.vocabulary import OrdersApi

SINCE = datetime(2026, 1, 31, 18, 26, tzinfo=UTC)

NOTIFY = NotifyInvoice(order_id="v5lux-01", invoice=make_invoice())
TRACK = SendTracking(order_id="v5lux-01", invoice_number="NFe1", tracking=make_tracking())
STATUS = UpdateTrackingStatus(
    order_id="v5lux-01", invoice_number="NFe1", tracking=TrackingStatus(is_delivered=False)
)
READ = GetOrder(order_id="v5lux-01")
START = StartHandling(order_id="v5lux-01")

FOR_A_RECEIPT: list[Operation[object]] = [NOTIFY, TRACK, STATUS]
ACTING: list[Operation[object]] = [*FOR_A_RECEIPT, START]
ALL: list[Operation[object]] = [*ACTING, READ]


def failure(
    operation: Operation[object],
    status: int,
    body: bytes | dict[str, object] = b"",
    headers: dict[str, str] | None = None,
    dialect: OrdersApi = OrdersApi.OMS,
) -> CallError:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    reply = Reply(status=status, headers=CIMultiDict(headers or {}), body=content)
    with pytest.raises(CallError) as caught:
        decode(operation, dialect, reply, lambda: SINCE)
    return caught.value


PAGE = b"<!DOCTYPE html><html><body>Bad Request</body></html>"


def oms(code: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "exception": None}}


TRACE = "00-05464ee431d13f81b4fc065592acf694-d46dfbd48c924961-00"


def details(status: int, title: str, **more: object) -> dict[str, object]:
    page = "https://tools.ietf.org/html/rfc9110#section-15.5.2"
    return {"type": page, "title": title, "status": status, "traceId": TRACE, **more}


ROUTER: dict[str, object] = {
    "code": "NotFound",
    "message": "Route /api/oms not found",
    "source": "Vtex.Kube.Router",
    "requestId": "f19875630eac47a588b2e32250292f4a",
}
