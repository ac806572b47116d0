"""Wrong clients: what they take an answer, or an order that they read, to prove."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from attrs import evolve

from tests.mistakes import wrong
from tests.verdicts import Verdict
from vtex_invoice_async import evidence, protocol, resolve, transport
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    CallFacts,
    NotSent,
    OrderNotFound,
)
from vtex_invoice_async.looks import Looks
from vtex_invoice_async.messages import NoReply, Reply
from vtex_invoice_async.models import Order, Package, Receipt
from vtex_invoice_async.options import Options
from vtex_invoice_async.vocabulary import OrdersApi

# What an answer proves.


@wrong(Verdict.DOUBLED, seed=14)
def sends_again_after_a_503(patch: pytest.MonkeyPatch) -> None:
    """VTEX's circuit breaker answers 503, and so does a gateway behind which VTEX has acted."""
    _takes_as_not_sent(patch, lambda reply: reply.status == 503)


@wrong(Verdict.DOUBLED, seed=14)
def sends_again_after_any_500(patch: pytest.MonkeyPatch) -> None:
    _takes_as_not_sent(patch, lambda reply: reply.status >= 500)


@wrong(Verdict.DOUBLED, seed=3)
def sends_again_after_a_409(patch: pytest.MonkeyPatch) -> None:
    _takes_as_not_sent(patch, lambda reply: reply.status == 409)


@wrong(Verdict.DOUBLED, seed=3)
def sends_again_after_a_408(patch: pytest.MonkeyPatch) -> None:
    _takes_as_not_sent(patch, lambda reply: reply.status == 408)


def _takes_as_not_sent(patch: pytest.MonkeyPatch, proves: Callable[[Reply], bool]) -> None:
    proven = protocol._proven

    def _proven(operation: Any, reply: Reply, answer: Any, call: CallFacts) -> CallError | None:
        if operation.acts and proves(reply):
            return NotSent("VTEX did not act", **call)
        return proven(operation, reply, answer, call)

    patch.setattr(protocol, "_proven", _proven)


@wrong(Verdict.DOUBLED, seed=2)
def sends_again_whatever_happened(patch: pytest.MonkeyPatch) -> None:
    unknown = protocol._unknown

    def _unknown(operation: Any, api: OrdersApi, reason: str, since: datetime, call: Any) -> Any:
        if operation.acts:
            return NotSent(reason, **call)
        return unknown(operation, api, reason, since, call)

    patch.setattr(protocol, "_unknown", _unknown)


@wrong(Verdict.DOUBLED, seed=9)
def sends_again_when_the_connection_broke(patch: pytest.MonkeyPatch) -> None:
    """Without a mark, every error of aiohttp looks as if nothing had left."""
    _decode_after(patch, lambda reply: evolve(reply, bytes_left="no answer" in reply.reason))


@wrong(Verdict.DOUBLED, seed=0)
def sends_again_after_a_timeout(patch: pytest.MonkeyPatch) -> None:
    _decode_after(patch, lambda reply: evolve(reply, bytes_left="no answer" not in reply.reason))


def _decode_after(patch: pytest.MonkeyPatch, change: Callable[[NoReply], NoReply]) -> None:
    decode = protocol.decode

    def decode_changed(operation: Any, api: Any, reply: Reply | NoReply, *a: Any, **k: Any) -> Any:
        reply = change(reply) if isinstance(reply, NoReply) and reply.bytes_left else reply
        return decode(operation, api, reply, *a, **k)

    patch.setattr("vtex_invoice_async.caller.decode", decode_changed)


@wrong(Verdict.DOUBLED, seed=3)
def believes_the_400_that_aiohttp_makes_up(patch: pytest.MonkeyPatch) -> None:
    """What is no HTTP is a 400 to aiohttp's parser, though VTEX may have acted."""
    decode = protocol.decode

    def decode_changed(operation: Any, api: Any, reply: Reply | NoReply, *a: Any, **k: Any) -> Any:
        if isinstance(reply, NoReply) and reply.reason == "the answer was not HTTP":
            facts = CallFacts(operation=operation.name, order_id=operation.order_id, status=400)
            raise BadRequest("refused", **facts)
        return decode(operation, api, reply, *a, **k)

    patch.setattr("vtex_invoice_async.caller.decode", decode_changed)


@wrong(Verdict.LOST, seed=9)
def confirms_any_2xx(patch: pytest.MonkeyPatch) -> None:
    _confirms(patch, lambda reply: True)


@wrong(Verdict.LOST, seed=16)
def confirms_a_page(patch: pytest.MonkeyPatch) -> None:
    _confirms(patch, lambda reply: reply.body.startswith(b"<"))


@wrong(Verdict.LOST, seed=1)
def confirms_an_empty_receipt(patch: pytest.MonkeyPatch) -> None:
    _confirms(patch, lambda reply: reply.body.endswith(b'"receipt": ""}'))


def _confirms(patch: pytest.MonkeyPatch, proves: Callable[[Reply], bool]) -> None:
    read = protocol._read

    def _read(operation: Any, reply: Reply, orders_api: OrdersApi) -> Any:
        if operation.returns() is Receipt and proves(reply):
            return Receipt(date=None, raw_date=None, order_id=None, receipt="it is well")
        return read(operation, reply, orders_api)

    patch.setattr(protocol, "_read", _read)


@wrong(Verdict.DOUBLED, seed=2)
def believes_the_page_of_a_gateway(patch: pytest.MonkeyPatch) -> None:
    """A 404 or a 400 with HTML is somebody else's, who may have asked VTEX before."""
    patch.setattr(protocol, "_words_of", lambda reply: protocol._Answer(is_vtex=True))


@wrong(Verdict.LEAKED, seed=7)
def follows_redirects(patch: pytest.MonkeyPatch) -> None:
    request = aiohttp.ClientSession.request

    def follow(self: aiohttp.ClientSession, *a: Any, **k: Any) -> Any:
        return request(self, *a, **{**k, "allow_redirects": True})

    async def send(self: Any, conn: Any) -> aiohttp.ClientResponse:
        mark = evidence.current.get()
        if not mark.bytes_left and mark.intend is not None:
            await mark.intend()
        mark.bytes_left = True
        return await aiohttp.ClientRequest.send(self, conn)

    patch.setattr(aiohttp.ClientSession, "request", follow)
    patch.setattr(transport.Transport, "_message", lambda self, request: None)
    patch.setattr(evidence.MarkedRequest, "send", send)


@wrong(Verdict.IMPATIENT, seed=9)
def ignores_the_pause_that_is_asked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reply, "retry_after", None)


# What a read of the order proves.


@wrong(Verdict.LOST, seed=7)
def ignores_the_type_on_the_order(patch: pytest.MonkeyPatch) -> None:
    _compares(patch, lambda package, doubt: evolve(package, type=doubt.type))


@wrong(Verdict.LOST, seed=3)
def ignores_the_value_on_the_order(patch: pytest.MonkeyPatch) -> None:
    _compares(patch, lambda package, doubt: evolve(package, invoice_value=doubt.value))


@wrong(Verdict.LOST, seed=7)
def takes_a_near_number_for_the_same(patch: pytest.MonkeyPatch) -> None:
    def change(package: Package, doubt: Any) -> Package:
        same = resolve._near(package.invoice_number or "") == resolve._near(doubt.invoice_number)
        return evolve(package, invoice_number=doubt.invoice_number) if same else package

    _compares(patch, change)


@wrong(Verdict.MISREPORTED, seed=3)
def compares_cents_with_their_text(patch: pytest.MonkeyPatch) -> None:
    """VTEX is sent digits in a string and shows a number: they are never equal."""
    _compares(patch, lambda package, doubt: evolve(package, invoice_value=-1))


def _compares(patch: pytest.MonkeyPatch, change: Callable[[Package, Any], Package]) -> None:
    compare = resolve._compare
    patch.setattr(
        resolve, "_compare", lambda package, doubt: compare(change(package, doubt), doubt)
    )


@wrong(Verdict.DOUBLED, seed=3)
def takes_a_404_for_an_order_without_invoices(patch: pytest.MonkeyPatch) -> None:
    read = Looks.read

    async def read_bravely(
        self: Looks, order_id: str, orders_api: OrdersApi, options: Options
    ) -> Order:
        try:
            return await read(self, order_id, orders_api, options)
        except OrderNotFound:
            return Order(order_id=order_id, value=0, packages=())

    patch.setattr(Looks, "read", read_bravely)


@wrong(Verdict.DOUBLED, seed=14)
def believes_a_cached_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(protocol, "_is_kept", lambda reply: False)


@wrong(Verdict.DOUBLED, seed=28)
def believes_an_answer_about_another_order(patch: pytest.MonkeyPatch) -> None:
    judge = resolve._judge

    def _judge(order: Order, doubt: Any) -> resolve.Finding:
        return judge(evolve(order, order_id=doubt.order_id, packages=order.packages or ()), doubt)

    patch.setattr(resolve, "_judge", _judge)


@wrong(Verdict.DOUBLED, seed=2)
def waits_ten_seconds_for_an_invoice_to_show(patch: pytest.MonkeyPatch) -> None:
    _window(patch, 10)


@wrong(Verdict.DOUBLED, seed=13)
def looks_once_and_sends_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(resolve, "FEWEST_LOOKS", 1)
    _window(patch, 0.5)


def _window(patch: pytest.MonkeyPatch, seconds: float) -> None:
    made = resolve.Search.__attrs_post_init__

    def shorten(self: resolve.Search) -> None:
        self.window = seconds
        made(self)

    patch.setattr(resolve.Search, "__attrs_post_init__", shorten)
    patch.setattr(resolve.Search, "widen", lambda search, window: None)
