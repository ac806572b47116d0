"""A VTEX on loopback: the paths, the credentials and the book behind them."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

import orjson
from aiohttp import web

from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.models import Order, Receipt
from vtex_invoice_async.sandbox import refusals
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.generated import generate_orders
from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.requests import (
    read_invoice,
    read_tracking_info,
    read_tracking_status,
)
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import converter

__all__ = ["Role", "Sandbox"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST: Final = "127.0.0.1"
SHUTDOWN: Final = 0.5
"""Seconds that a request in the works may still take when the sandbox ends."""

ACCOUNT: Final = "sandbox"
APPLIED: Final = "/_sandbox/applied"
DOCUMENT: Final = "/api/orders/"


class Role(StrEnum):
    """What credentials are allowed to do, in the words of VTEX's License Manager."""

    NOTIFY_INVOICE = "Notify invoice"
    VIEW_ORDER = "View order"
    CHANGE_STATUS = "Change order workflow status"


class Sandbox:
    """A VTEX of your own, on loopback, for as long as the `async with` block lasts.

        async with Sandbox(orders=10) as sandbox, VtexInvoiceClient(sandbox.config) as client:
            order = sandbox.orders[0]
            await client.notify_invoice(order.order_id, invoice)
            assert sandbox.applied[order.order_id, invoice.invoice_number] == 1

    *orders* is how many to generate, the same for the same *seed*, or the orders themselves.
    *latency* is added before each answer and *settle_delay* passes before an invoiced order is
    verified, both in seconds. *roles* are those of its credentials.
    """

    def __init__(
        self,
        orders: int | Iterable[Order] = 100,
        *,
        seed: int = 0,
        port: int = 0,
        latency: float = 0,
        settle_delay: float = 0,
        roles: Collection[Role] = tuple(Role),
    ) -> None:
        if isinstance(orders, str) or (isinstance(orders, int) and orders < 0):
            raise ConfigError("orders must be how many to generate, or the orders themselves")
        chance = random.Random(seed)  # noqa: S311  made-up orders, not secrets
        found = generate_orders(orders, chance) if isinstance(orders, int) else orders
        self.book = OrderBook(found, chance=chance, settle_delay=settle_delay)
        self.account = ACCOUNT
        self.app_key = f"vtexappkey-{ACCOUNT}-{secrets.token_hex(3).upper()}"
        self.app_token = secrets.token_urlsafe(48)
        self.user_token = secrets.token_urlsafe(48)
        self.control_token = secrets.token_urlsafe(24)
        """What the route `/_sandbox/applied` wants in the header `X-Sandbox-Token`."""
        self._roles = frozenset(roles)
        self._latency = latency
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._runner is None:
            raise ConfigError("the sandbox is not running; use `async with`")
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    @property
    def config(self) -> ClientConfig:
        """Settings for a client of it."""
        return ClientConfig.from_env(self.environ)

    @property
    def environ(self) -> Mapping[str, str]:
        """The `VTEX_...` variables that point a client at it."""
        return {
            "VTEX_ACCOUNT": self.account,
            "VTEX_APP_KEY": self.app_key,
            "VTEX_APP_TOKEN": self.app_token,
            "VTEX_BASE_URL": self.url,
        }

    @property
    def orders(self) -> list[Order]:
        """Every order as it stands now."""
        return self.book.orders(datetime.now(UTC))

    @property
    def applied(self) -> Counter[tuple[str, str]]:
        """How often each invoice was taken, by order id and invoice number, whatever was answered."""
        return self.book.applied

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._guard], client_max_size=16 * 2**20)
        oms, document = "/api/oms/pvt/orders/{order}", "/api/orders/pvt/document/{order}"
        app.add_routes(
            [
                web.post(f"{oms}/invoice", self._invoice),
                web.patch(f"{oms}/invoice/{{number}}", self._send_tracking),
                web.put(f"{oms}/invoice/{{number}}/tracking", self._update_tracking_status),
                web.get(oms, self._order, allow_head=False),
                web.post(f"{oms}/start-handling", self._start_handling),
                web.post(f"{document}/invoices", self._invoice),
                web.get(document, self._order, allow_head=False),
                web.post(f"{document}/actions/start-handling", self._start_handling),
                web.get(APPLIED, self._applied, allow_head=False),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            told = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise ConfigError(f"port {self._port} of {HOST}: {told}") from None
        self._runner = runner
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A page in a browser may be told that its own host is this one (DNS rebinding).
        if not _is_ours(request):
            return _no(Refusal(status=421, body="This sandbox answers on loopback only"))
        # Read before anything else: who hangs up now has sent it all the same.
        await request.read()
        if self._latency:
            await asyncio.sleep(self._latency)
        if isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed):
            return _no(refusals.METHOD_NOT_ALLOWED)
        if request.match_info.http_exception is not None:
            return _no(refusals.ROUTE_NOT_FOUND)
        if request.path == APPLIED:
            return await handler(request)
        if not self._knows(request):
            return _no(
                refusals.UNAUTHORIZED_DOCUMENT if _is_document(request) else refusals.UNAUTHORIZED
            )
        if _role(request) not in self._roles:
            return _no(refusals.FORBIDDEN_DOCUMENT if _is_document(request) else refusals.FORBIDDEN)
        return await handler(request)

    def _knows(self, request: web.Request) -> bool:
        pair = self._given(request, "X-VTEX-API-AppKey", self.app_key) and self._given(
            request, "X-VTEX-API-AppToken", self.app_token
        )
        return pair or self._given(request, "VtexIdclientAutCookie", self.user_token)

    @staticmethod
    def _given(request: web.Request, header: str, secret: str) -> bool:
        value = request.headers.get(header, "")
        return secrets.compare_digest(value.encode(errors="replace"), secret.encode())

    async def _applied(self, request: web.Request) -> web.Response:
        """Tell whoever holds the run's token what was taken, whatever was answered."""
        if not self._given(request, "X-Sandbox-Token", self.control_token):
            return web.Response(status=403)
        counts = [
            {"orderId": order_id, "invoiceNumber": number, "applied": count}
            for (order_id, number), count in self.applied.items()
        ]
        return web.Response(body=orjson.dumps(counts), content_type="application/json")

    async def _invoice(self, request: web.Request) -> web.Response:
        document = _is_document(request)
        invoice = read_invoice(await request.read(), document=document)
        if isinstance(invoice, Refusal):
            return _no(invoice)
        order_id = request.match_info["order"]
        return _answer(self.book.invoice(order_id, invoice, datetime.now(UTC), document=document))

    async def _send_tracking(self, request: web.Request) -> web.Response:
        tracking = read_tracking_info(await request.read())
        if isinstance(tracking, Refusal):
            return _no(tracking)
        order_id, number = request.match_info["order"], request.match_info["number"]
        return _answer(self.book.send_tracking(order_id, number, tracking, datetime.now(UTC)))

    async def _update_tracking_status(self, request: web.Request) -> web.Response:
        tracking = read_tracking_status(await request.read())
        if isinstance(tracking, Refusal):
            return _no(tracking)
        order_id, number = request.match_info["order"], request.match_info["number"]
        now = datetime.now(UTC)
        return _answer(self.book.update_tracking_status(order_id, number, tracking, now))

    async def _order(self, request: web.Request) -> web.Response:
        document = _is_document(request)
        order = self.book.order(request.match_info["order"], datetime.now(UTC))
        if order is None:
            return _no(refusals.ORDER_NOT_FOUND_DOCUMENT if document else refusals.ORDER_NOT_FOUND)
        return _yes(order)

    async def _start_handling(self, request: web.Request) -> web.Response:
        order_id = request.match_info["order"]
        refusal = self.book.start_handling(order_id, document=_is_document(request))
        return web.Response(status=204) if refusal is None else _no(refusal)


def _is_ours(request: web.Request) -> bool:
    try:
        return request.url.host in {HOST, "localhost"}
    except ValueError:
        return False  # a Host header that is no host


def _is_document(request: web.Request) -> bool:
    return request.path.startswith(DOCUMENT)


def _role(request: web.Request) -> Role:
    if request.method == "GET":
        return Role.VIEW_ORDER
    if request.path.endswith("/start-handling"):
        return Role.CHANGE_STATUS
    return Role.NOTIFY_INVOICE


def _answer(result: Receipt | Refusal) -> web.Response:
    return _no(result) if isinstance(result, Refusal) else _yes(result)


def _yes(value: Receipt | Order) -> web.Response:
    # What is read back is the same in every dialect.
    body = orjson.dumps(converter(OrdersApi.OMS).unstructure(value))
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def _no(refusal: Refusal) -> web.Response:
    if isinstance(refusal.body, str):
        return web.Response(status=refusal.status, text=refusal.body)
    if refusal.body is None:
        return web.Response(status=refusal.status)
    body = orjson.dumps(refusal.body)
    return web.Response(status=refusal.status, body=body, content_type="application/json")
