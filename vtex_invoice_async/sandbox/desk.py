"""Where requests come in: who may ask, what goes wrong, and what the book says to it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import orjson
from aiohttp import web
from attrs import evolve

from vtex_invoice_async.models import Receipt
from vtex_invoice_async.sandbox import refusals
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.documents import order_document
from vtex_invoice_async.sandbox.faults import Do, Fault, FaultPlan
from vtex_invoice_async.sandbox.limit import Bucket, Limit
from vtex_invoice_async.sandbox.log import Arrival, Log
from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.requests import (
    invoice_number_of,
    is_return,
    read_cancel_request,
    read_invoice,
    read_tracking_info,
    read_tracking_status,
    unreadable,
)
from vtex_invoice_async.sandbox.trouble import cut_request, enact
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import converter

__all__ = ["Desk", "Role", "given", "no"]

Handler = Callable[[web.Request, Fault | None], Awaitable[web.Response]]

DOCUMENT: Final = "/api/orders/"
# These change what the book says, or the account, and leave the connection alone.
LASTING: Final = frozenset({Do.LIMIT, Do.REVOKE, Do.RESTORE})
QUIET: Final = LASTING | {Do.LAG, Do.STALE, Do.PARTIAL}

_RECEIPTS: Final = converter(OrdersApi.OMS)


class Role(StrEnum):
    """What credentials are allowed to do, in the words of VTEX's License Manager."""

    NOTIFY_INVOICE = "Notify invoice"
    VIEW_ORDER = "View order"
    CHANGE_STATUS = "Change order workflow status"
    NOTIFY_REFUND = "Notify refund"
    """A return needs this, or `Notify invoice`; VTEX lists both and says no more."""

    CANCEL_ORDER = "Cancel order"


_ROLES: Final[Mapping[str, Role]] = {
    "get_order": Role.VIEW_ORDER,
    "start_handling": Role.CHANGE_STATUS,
    "cancel_order": Role.CANCEL_ORDER,
}


class Desk:
    """The account's side of each request; *credentials* are the headers that open it."""

    def __init__(
        self,
        book: OrderBook,
        *,
        faults: FaultPlan,
        limit: Limit | None,
        credentials: tuple[Mapping[str, str], ...],
        roles: frozenset[Role],
        latency: float,
    ) -> None:
        self.book = book
        self.log = Log()
        """The latest requests, for people to look at."""

        self._faults = faults
        self._limit = limit
        self._bucket = Bucket(limit)
        self._credentials = credentials
        self.roles = roles
        self._latency = latency
        self._revoked = False
        self._stopped = asyncio.Event()
        self._late: set[asyncio.Task[None]] = set()
        self._clock: Callable[[], float] = time.monotonic
        self._began = (datetime.now(UTC), self._clock())
        self._handlers: Mapping[str, Handler] = {
            "notify_invoice": self._notify_invoice,
            "send_tracking": self._send_tracking,
            "update_tracking_status": self._update_tracking_status,
            "get_order": self._get_order,
            "start_handling": self._start_handling,
            "cancel_order": self._cancel_order,
        }

    def open(self) -> None:
        """Tell the time by the running loop from now on; the account is as it was at first."""
        self._revoked = False
        self._bucket = Bucket(self._limit)
        self._stopped = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._began = (datetime.now(UTC), self._clock())

    async def close(self) -> None:
        """Let go of every request that hangs."""
        self._stopped.set()
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def now(self) -> datetime:
        """Return the time, which goes as the loop's does."""
        wall, loop = self._began
        return wall + timedelta(seconds=self._clock() - loop)

    @property
    def limit(self) -> Limit | None:
        """The rate limit as it is now."""
        return self._bucket.limit

    @property
    def revoked(self) -> bool:
        """Whether the credentials are refused for now."""
        return self._revoked

    async def serve(self, operation: str, request: web.Request) -> web.Response:
        """Answer a request, if it is to have an answer."""
        arrival = self.log.begin(operation, request.match_info["order"], self.now())
        try:
            response = await self._answer(operation, request, arrival)
            arrival.heard(response.status, response.body)
        finally:
            self.log.end(arrival, self.now())
        for header, value in self._bucket.told(self._clock()).items():
            response.headers.setdefault(header, value)
        return response

    def turn_away(self, what: str, response: web.Response) -> None:
        """Note a request that is none of VTEX's routes."""
        arrival = self.log.begin(what, "", self.now())
        arrival.heard(response.status, response.body)
        self.log.end(arrival, self.now())

    async def _answer(self, operation: str, request: web.Request, arrival: Arrival) -> web.Response:
        order_id = request.match_info["order"]
        due = self._faults.due(operation, order_id)
        fault = None if due is None else due.fault
        if fault is not None and fault.do is Do.CUT_REQUEST:
            arrival.meets(due)
            await cut_request(request, fault.at)
            return web.Response()
        # Read before anything else: who hangs up now has sent it all the same.
        try:
            body = await request.read()
        except web.RequestPayloadError:
            return no(unreadable(document=_is_document(request)))
        except ConnectionError:
            arrival.gone = True
            return web.Response()  # which nobody is there to hear
        number = request.match_info.get("number") or invoice_number_of(body)
        self.book.oracle.note(operation, order_id, number, self.now())
        arrival.names(number)
        if self._latency:
            await asyncio.sleep(self._latency)
        if fault is not None and fault.do in LASTING:
            self._change_account(fault)
            arrival.meets(due)
        refusal = self._refusal(operation, request, body)
        if refusal is not None:
            return refusal
        if fault is not None and fault.do not in LASTING:
            arrival.meets(due)
        handler = _seen_by(arrival, self._handlers[operation])
        if fault is None or fault.do in QUIET:
            return await handler(request, fault)
        return await self._trouble(fault, handler, request)

    async def _trouble(self, fault: Fault, handler: Handler, request: web.Request) -> web.Response:
        if fault.do is Do.DELAY:
            # Acting first or last, the answer comes when the wait is over.
            response = await handler(request, None) if fault.acted else None
            await asyncio.sleep(fault.seconds)
            return response or await handler(request, None)
        if fault.do is Do.LATE and not self._stopped.is_set():
            task = asyncio.create_task(self._act_late(fault.seconds, handler, request))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        acted = fault.do is Do.CUT or (fault.acted and fault.do is not Do.LATE)
        response = await handler(request, None) if acted else web.Response()
        return await enact(fault, request, response, self._stopped)

    async def _act_late(self, seconds: float, handler: Handler, request: web.Request) -> None:
        await asyncio.sleep(seconds)
        await handler(request, None)

    def _change_account(self, fault: Fault) -> None:
        if fault.do in {Do.REVOKE, Do.RESTORE}:
            self._revoked = fault.do is Do.REVOKE
        if fault.do is Do.LIMIT:
            self._change_limit(fault)

    def _change_limit(self, fault: Fault) -> None:
        before = self._bucket.limit
        if before is None or not fault.per_second:
            # What an earlier limit left is no matter of this one.
            self._bucket = Bucket(None)
        if fault.per_second:
            limit = evolve(before or Limit(per_second=1), per_second=fault.per_second)
            self._bucket.limit = limit if fault.burst is None else evolve(limit, burst=fault.burst)

    def _refusal(self, operation: str, request: web.Request, body: bytes) -> web.Response | None:
        document = _is_document(request)
        known = any(
            all(given(request, header, secret) for header, secret in headers.items())
            for headers in self._credentials
        )
        if self._revoked or not known:
            return no(refusals.UNAUTHORIZED_DOCUMENT if document else refusals.UNAUTHORIZED)
        needed = {_ROLES.get(operation, Role.NOTIFY_INVOICE)}
        if operation == "notify_invoice" and is_return(body):
            needed.add(Role.NOTIFY_REFUND)
        if not needed & self.roles:
            return no(refusals.FORBIDDEN_DOCUMENT if document else refusals.FORBIDDEN)
        if self._bucket.take(self._clock()):
            return None
        after = self._bucket.limit.retry_after if self._bucket.limit else None
        headers = {} if after is None else {"Retry-After": str(after)}
        return web.Response(status=429, headers=headers)

    async def _notify_invoice(self, request: web.Request, fault: Fault | None) -> web.Response:
        document = _is_document(request)
        invoice = read_invoice(await request.read(), request.content_type, document=document)
        if isinstance(invoice, Refusal):
            return no(invoice)
        order_id = request.match_info["order"]
        lag = fault.seconds if fault is not None and fault.do is Do.LAG else 0
        result = self.book.invoice(order_id, invoice, self.now(), document=document, lag=lag)
        if document and isinstance(result, Receipt):
            # https://developers.vtex.com/docs/api-reference/orders-api-pii-version#post-/api/orders/pvt/document/-orderId-/invoices
            result = evolve(result, raw_date=(result.raw_date or "").replace("+00:00", "Z"))
        return _answer(result)

    async def _send_tracking(self, request: web.Request, _: Fault | None) -> web.Response:
        tracking = read_tracking_info(await request.read(), request.content_type)
        if isinstance(tracking, Refusal):
            return no(tracking)
        order_id, number = request.match_info["order"], request.match_info["number"]
        return _answer(self.book.send_tracking(order_id, number, tracking, self.now()))

    async def _update_tracking_status(self, request: web.Request, _: Fault | None) -> web.Response:
        tracking = read_tracking_status(await request.read(), request.content_type)
        if isinstance(tracking, Refusal):
            return no(tracking)
        order_id, number = request.match_info["order"], request.match_info["number"]
        return _answer(self.book.update_tracking_status(order_id, number, tracking, self.now()))

    async def _get_order(self, request: web.Request, fault: Fault | None) -> web.Response:
        document = _is_document(request)
        shown = self.book.shown(request.match_info["order"], self.now())
        if shown is None:
            return no(refusals.order_not_found(document=document))
        if fault is not None and fault.do is Do.STALE:
            shown = self.book.shown_before(shown.order.order_id)
        if fault is not None and fault.do is Do.PARTIAL:
            shown = shown.without_newest()
        # https://developers.vtex.com/docs/api-reference/orders-api-pii-version#get-/api/orders/pvt/document/-orderId-
        masked = document and not request.query.get("reason")
        response = _yes(order_document(shown, document=document, masked=masked))
        # A cache says how old its copy is.
        response.headers.update(fault.headers if fault is not None else {})
        return response

    async def _start_handling(self, request: web.Request, _: Fault | None) -> web.Response:
        order_id, document = request.match_info["order"], _is_document(request)
        refusal = self.book.start_handling(order_id, self.now(), document=document)
        return web.Response(status=204) if refusal is None else no(refusal)

    async def _cancel_order(self, request: web.Request, _: Fault | None) -> web.Response:
        order_id, document = request.match_info["order"], _is_document(request)
        asked = read_cancel_request(await request.read(), request.content_type, document=document)
        if isinstance(asked, Refusal):
            return no(asked)
        return _answer(self.book.cancel(order_id, self.now(), document=document, request=asked))


def _seen_by(arrival: Arrival, handler: Handler) -> Handler:
    async def seen(request: web.Request, fault: Fault | None) -> web.Response:
        response = await handler(request, fault)
        arrival.acted = response.status < 400
        return response

    return seen


def given(request: web.Request, header: str, secret: str) -> bool:
    """Whether a request carries *secret* in a header."""
    value = request.headers.get(header, "")
    return secrets.compare_digest(value.encode(errors="replace"), secret.encode())


def _is_document(request: web.Request) -> bool:
    return request.path.startswith(DOCUMENT)


def _answer(result: Receipt | Refusal) -> web.Response:
    # A receipt is the same in every dialect.
    return no(result) if isinstance(result, Refusal) else _yes(_RECEIPTS.unstructure(result))


def _yes(document: object) -> web.Response:
    body = orjson.dumps(document)
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def no(refusal: Refusal) -> web.Response:
    """Return a refusal as it goes over the wire."""
    if isinstance(refusal.body, str):
        return web.Response(status=refusal.status, text=refusal.body)
    if refusal.body is None:
        return web.Response(status=refusal.status)
    body = orjson.dumps(refusal.body)
    return web.Response(status=refusal.status, body=body, content_type="application/json")
