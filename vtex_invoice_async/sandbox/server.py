"""A VTEX on loopback: its address, its credentials, and the desk behind its paths."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Final, Self, TypeVar
from uuid import uuid4

import orjson
from aiohttp import web
from attrs import asdict

from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.models import Order
from vtex_invoice_async.sandbox import refusals
from vtex_invoice_async.sandbox.arguments import (
    latency_of,
    limit_of,
    orders_of,
    plan_of,
    roles_of,
)
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.desk import Desk, Role, given, no
from vtex_invoice_async.sandbox.faults import Fault, FaultPlan
from vtex_invoice_async.sandbox.limit import Limit
from vtex_invoice_async.sandbox.oracle import Oracle
from vtex_invoice_async.sandbox.page import Sight, page_of
from vtex_invoice_async.sandbox.refusals import Refusal
from vtex_invoice_async.sandbox.remarks import Remark
from vtex_invoice_async.sandbox.rules import AboveValue, Duplicates, Early, Rules
from vtex_invoice_async.sandbox.thread import LoopThread
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Sandbox"]

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST: Final = "127.0.0.1"
SHUTDOWN: Final = 0.5
"""Seconds that a request in the works may still take when the sandbox ends."""

PAGE: Final = "/"
RECORD: Final = "/_sandbox/applied"
OMS: Final = "/api/oms/pvt/orders/{order}"
DOCUMENT: Final = "/api/orders/pvt/document/{order}"
ROUTES: Final = (
    ("POST", f"{OMS}/invoice", "notify_invoice"),
    ("PATCH", f"{OMS}/invoice/{{number}}", "send_tracking"),
    ("PUT", f"{OMS}/invoice/{{number}}/tracking", "update_tracking_status"),
    ("GET", OMS, "get_order"),
    ("POST", f"{OMS}/start-handling", "start_handling"),
    ("POST", f"{OMS}/cancel", "cancel_order"),
    ("POST", f"{DOCUMENT}/invoices", "notify_invoice"),
    ("GET", DOCUMENT, "get_order"),
    ("POST", f"{DOCUMENT}/actions/start-handling", "start_handling"),
    ("POST", f"{DOCUMENT}/cancel", "cancel_order"),
)


class Sandbox:
    """A VTEX of your own, on loopback, for as long as its block lasts.

        async with Sandbox(orders=10) as sandbox, VtexInvoiceClient(sandbox.config) as client:
            order = sandbox.orders[0]
            await client.notify_invoice(order.order_id, invoice)
            assert sandbox.applied[order.order_id, invoice.invoice_number] == 1

    `async with` serves in the running event loop, a plain `with` in a thread and a loop of its
    own, beside code of any kind: any thread may then read it, and `add` and `change_value`. It is
    one block at a time (ConfigError); one that has ended may be entered again, and goes on with
    the same account and orders, with credentials that are valid and with its own *limit*.

    It listens on 127.0.0.1 alone, at *port*, or where there is room; a port that is taken is a
    `ConfigError`. When its block ends, what is still asked of it gets half a second.

    *orders* is how many to generate, the same for the same *seed*, or the orders themselves.
    *latency* is added before each answer, in seconds. *roles* are those of its credentials,
    *limit* is the account's rate limit, and *faults* go wrong; what makes no sense is a
    `ConfigError`. *settle_delay*, *read_lag*, *duplicates*, *early* and *above_value* are the
    fields of `Rules`, which says what they do.

    A browser at its `url` shows what the client did.
    """

    def __init__(
        self,
        orders: int | Iterable[Order] = 100,
        *,
        seed: int = 0,
        port: int = 0,
        latency: float = 0,
        settle_delay: float = 0,
        read_lag: float = 0,
        duplicates: Duplicates = "documented",
        early: Early = "take",
        above_value: AboveValue = "refuse",
        roles: Collection[Role] = tuple(Role),
        limit: Limit | None = None,
        faults: FaultPlan | Iterable[Fault] = (),
    ) -> None:
        chance = random.Random(seed)  # noqa: S311  made-up orders, not secrets
        self.rules = Rules(
            duplicates=duplicates,
            early=early,
            above_value=above_value,
            settle_delay=settle_delay,
            read_lag=read_lag,
        )
        self.book = OrderBook(orders_of(orders, chance), chance=chance, rules=self.rules)
        """VTEX's side; it belongs to the loop that serves, and what another changes may be lost."""
        self.faults = plan_of(faults, seed)
        """What goes wrong; it may be added to at any time."""
        self._desk = Desk(
            self.book,
            faults=self.faults,
            limit=limit_of(limit),
            credentials=self._open_account(seed),
            roles=roles_of(roles),
            latency=latency_of(latency),
        )
        self._port = port
        self._runner: web.AppRunner | None = None
        self._thread: LoopThread | None = None
        self._entered = Lock()  # held for as long as a block lasts

    def _open_account(self, seed: int) -> tuple[Mapping[str, str], ...]:
        """Make an account and its secrets, and return the headers that prove to know them."""
        # For its errors: the same for the same seed, and no part of what is drawn for the book.
        self._ids = random.Random(seed)  # noqa: S311  not secrets
        # Its own, so that the journal of another sandbox never fits: a port may be used again.
        self.account = f"sandbox-{uuid4().hex[:6]}"
        self.app_key = f"vtexappkey-{self.account}-{secrets.token_hex(3).upper()}"
        self.app_token = secrets.token_urlsafe(48)
        self.user_token = secrets.token_urlsafe(48)
        self.control_token = secrets.token_urlsafe(24)
        """What the route `/_sandbox/applied` wants in the header `X-Sandbox-Token`."""
        pair = {"X-VTEX-API-AppKey": self.app_key, "X-VTEX-API-AppToken": self.app_token}
        return pair, {"VtexIdclientAutCookie": self.user_token}

    @property
    def url(self) -> str:
        """Where it listens: `http://127.0.0.1:PORT`; a `ConfigError` while it does not."""
        if self._runner is None:
            raise ConfigError("the sandbox is not running; use `with` or `async with`")
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    @property
    def config(self) -> ClientConfig:
        """Settings for a client of it, on the OMS paths; `attrs.evolve` makes others of them."""
        return ClientConfig.from_env(self.environ)

    @property
    def environ(self) -> Mapping[str, str]:
        """The `VTEX_...` variables that point a client at it, on the OMS paths.

        They are all that `ClientConfig.from_env` reads: laid over another environment, they leave
        none of its own. What is empty counts as absent.
        """
        return {
            "VTEX_ACCOUNT": self.account,
            "VTEX_APP_KEY": self.app_key,
            "VTEX_APP_TOKEN": self.app_token,
            "VTEX_USER_TOKEN": "",
            "VTEX_ENVIRONMENT": "",
            "VTEX_BASE_URL": self.url,
            "VTEX_ORDERS_API": OrdersApi.OMS.value,
        }

    @property
    def orders(self) -> list[Order]:
        """Every order as it stands now, in the order in which they were made; a new list each time."""
        return self._look(lambda: self.book.orders(self._desk.now()))

    @property
    def applied(self) -> Counter[tuple[str, str]]:
        """How often each invoice was taken, by order id and invoice number, whatever was answered."""
        return self._look(lambda: self.book.applied)

    @property
    def remarks(self) -> Sequence[Remark]:
        """What was taken and a good client would not send, in its order."""
        return self._look(lambda: self.book.remarks)

    @property
    def oracle(self) -> Oracle:
        """The whole record of what arrived and of what was done."""
        return self.book.oracle

    def add(self, order: Order) -> None:
        """Take in another order; one that it has, or that is no `Order`, is a `ConfigError`."""
        self._look(lambda: self._add(order))

    def _add(self, order: Order) -> None:
        if not isinstance(order, Order):
            raise ConfigError(f"an order must be an Order, not of type {type(order).__name__}")
        if order.order_id in self.book:
            raise ConfigError(f"the sandbox has an order {order.order_id!r} already")
        self.book.add(order)

    def change_value(self, order_id: str, value: int) -> None:
        """Give an order another value, in cents, as a change of its items or prices does.

        It is a `ConfigError` where VTEX refuses that, in VTEX's words, and for an order that the
        sandbox does not have.
        """
        if type(value) is not int:
            raise ConfigError("value must be whole cents in an int")
        if order_id not in self.book:
            raise ConfigError(f"the sandbox has no order {order_id!r}")
        answer = self._look(lambda: self.book.change_value(order_id, value, self._desk.now()))
        if isinstance(answer, Refusal):
            said = orjson.dumps(answer.body).decode()
            raise ConfigError(f"order {order_id!r} cannot be worth {value}: {said}")

    def __enter__(self) -> Self:
        self._claim()
        try:
            thread = LoopThread(self._begin, self._end)
            thread.enter()
        except BaseException:
            self._entered.release()
            raise
        self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._thread is not None:
                self._thread.leave()
        finally:
            self._thread = None
            self._entered.release()

    async def __aenter__(self) -> Self:
        self._claim()
        try:
            await self._begin()
        except BaseException:
            self._entered.release()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._end()
        finally:
            self._entered.release()

    def _claim(self) -> None:
        if not self._entered.acquire(blocking=False):
            raise ConfigError("the sandbox is running already; it is entered once at a time")

    def _look(self, look: Callable[[], T]) -> T:
        """Return what *look* finds, or does, between two requests, whichever thread asks."""
        thread = self._thread
        return look() if thread is None else thread.ask(look)

    async def _begin(self) -> None:
        app = web.Application(middlewares=[self._guard], client_max_size=16 * 2**20)
        for method, path, operation in ROUTES:
            app.router.add_route(method, path, partial(self._desk.serve, operation))
        app.router.add_route("GET", RECORD, self._record)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, self._port).start()
        except BaseException as error:
            await runner.cleanup()
            if not isinstance(error, OSError | OverflowError):
                raise
            told = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise ConfigError(
                f"port {self._port} of {HOST}: {told}; choose another, or 0 for a free one"
            ) from None
        self._desk.open()
        self._runner = runner

    async def _end(self) -> None:
        runner, self._runner = self._runner, None
        try:
            await self._desk.close()
        finally:
            if runner is not None:
                await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await self._guarded(request, handler)
        if (
            isinstance(response, web.Response)
            and response.status >= 400
            and not _is_of_page(request)
        ):
            self._tell_apart(response)
        return response

    def _tell_apart(self, response: web.Response) -> None:
        """Give an error body that has an id one that no other has."""
        if isinstance(response.body, bytes):
            digits = f"{self._ids.getrandbits(192):048x}"
            trace = f"00-{digits[:32]}-{digits[32:]}-00"
            body = response.body.replace(refusals.TRACE.encode(), trace.encode())
            response.body = body.replace(refusals.REQUEST.encode(), digits[:32].encode())

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A site in a browser may be told that its own host is this one (DNS rebinding).
        if not _is_ours(request):
            return no(Refusal(status=421, body="This sandbox answers on loopback only"))
        if _is_of_page(request):
            return self._page(request.query.items())
        if isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed):
            return self._turned_away(request, refusals.METHOD_NOT_ALLOWED)
        if request.match_info.http_exception is not None:
            return self._turned_away(request, refusals.ROUTE_NOT_FOUND)
        # VTEX decodes a slash before it looks for a route (known issue 1302085).
        if "/" in request.match_info.get("number", ""):
            return self._turned_away(request, refusals.ROUTE_NOT_FOUND)
        return await handler(request)

    def _turned_away(self, request: web.Request, refusal: Refusal) -> web.Response:
        response = no(refusal)
        # What a browser asks for by itself is no business of the client.
        if request.path.startswith("/api/"):
            self._desk.turn_away(f"{request.method} {request.path}", response)
        return response

    def _page(self, query: Iterable[tuple[str, str]]) -> web.Response:
        """Show a person what the client did; nothing is recorded of that, and nothing changes."""
        desk = self._desk
        sight = Sight(
            now=desk.now(),
            account=self.account,
            book=desk.book,
            plan=self.faults,
            log=desk.log,
            limit=desk.limit,
            revoked=desk.revoked,
            roles_missing=[role for role in Role if role not in desk.roles],
            rules=self.rules,
            secrets=(self.app_token, self.user_token, self.control_token, self.app_key),
        )
        page = page_of(sight, query)
        return web.Response(status=page.status, body=page.body, headers=page.headers)

    async def _record(self, request: web.Request) -> web.Response:
        """Tell whoever holds the run's token what was done, whatever was answered."""
        if not given(request, "X-Sandbox-Token", self.control_token):
            return web.Response(status=403)
        body = orjson.dumps([asdict(done) for done in self.oracle.applied])
        return web.Response(body=body, content_type="application/json")


def _is_of_page(request: web.Request) -> bool:
    return request.path == PAGE and request.method in {"GET", "HEAD"}


def _is_ours(request: web.Request) -> bool:
    try:
        return request.url.host in {HOST, "localhost"}
    except ValueError:
        return False  # a Host header that is no host
