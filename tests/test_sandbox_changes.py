"""What a user of the sandbox changes while it serves: beside requests, and none of it is lost."""

from __future__ import annotations

import asyncio
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import pytest
from attrs import evolve

from tests.books import make_order
from tests.factories import invoice_for
from vtex_invoice_async import Order, Receipt, VtexInvoiceClient
from vtex_invoice_async.errors import BadRequest, ConfigError
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Refusal, Sandbox
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.generated import generate_orders

ORDER: Final = make_order()
OTHER: Final = evolve(ORDER, order_id="v2lux-01", sequence="2")


class WatchedBook(OrderBook):
    """Notes which thread changes it."""

    changed_by: set[int]

    def add(self, order: Order) -> None:
        self.changed_by = {*getattr(self, "changed_by", ()), threading.get_ident()}
        super().add(order)

    def change_value(self, order_id: str, value: int, now: datetime) -> Receipt | Refusal:
        self.changed_by.add(threading.get_ident())
        return super().change_value(order_id, value, now)


async def test_an_order_that_is_added_is_there_at_once() -> None:
    async with Sandbox([ORDER]) as sandbox, VtexInvoiceClient(sandbox.config) as client:
        sandbox.add(OTHER)

        found = await client.get_order(OTHER.order_id)

    assert found.value == OTHER.value
    assert [order.order_id for order in sandbox.orders] == [ORDER.order_id, OTHER.order_id]


async def test_an_order_that_is_worth_less_takes_no_more_than_that() -> None:
    async with Sandbox([ORDER]) as sandbox, VtexInvoiceClient(sandbox.config) as client:
        sandbox.change_value(ORDER.order_id, 9_000)

        with pytest.raises(BadRequest):
            await client.notify_invoice(ORDER.order_id, invoice_for(ORDER))
        await client.notify_invoice(ORDER.order_id, invoice_for(ORDER, invoice_value=9_000))
        found = await client.get_order(ORDER.order_id)

    assert (found.value, found.status) == (9_000, OrderStatus.INVOICED)


@pytest.mark.parametrize(
    ("order_id", "value", "told"),
    [
        ("nope-01", 1, "the sandbox has no order 'nope-01'"),
        (ORDER.order_id, -1, "The value of the change exceed the order's price."),
        (OTHER.order_id, 1, "Invalid change for order."),
        *((ORDER.order_id, wrong, "whole cents") for wrong in (90.0, "90", None, True)),
    ],
)
def test_a_change_that_cannot_be_is_told_and_not_made(order_id: str, value: Any, told: str) -> None:
    sandbox = Sandbox([ORDER, evolve(OTHER, status="payment-pending")])

    with pytest.raises(ConfigError, match=told):
        sandbox.change_value(order_id, value)

    assert [order.value for order in sandbox.orders] == [10_000, 10_000]
    assert sandbox.oracle.applied == ()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [(ORDER, f"has an order '{ORDER.order_id}' already"), ("v3lux-01", "not of type str")],
)
def test_what_is_no_other_order_is_told_and_not_taken(wrong: Any, told: str) -> None:
    sandbox = Sandbox([ORDER])

    with pytest.raises(ConfigError, match=told):
        sandbox.add(wrong)

    assert len(sandbox.orders) == 1


def test_beside_a_plain_block_the_loop_that_serves_makes_the_changes() -> None:
    with Sandbox([ORDER]) as sandbox:
        sandbox.book = book = WatchedBook([ORDER], chance=random.Random(0))
        book.changed_by.clear()

        sandbox.add(OTHER)
        sandbox.change_value(OTHER.order_id, 1)
        there = sandbox._look(threading.get_ident)

    assert book.changed_by == {there}
    assert there != threading.get_ident()


def test_changes_amid_requests_lose_no_invoice_and_no_change() -> None:
    orders = list(generate_orders(50, random.Random(7)))
    rest = [evolve(order, status="handling") for order in orders]

    async def send(sandbox: Sandbox) -> None:
        async with VtexInvoiceClient(sandbox.config) as client:
            for order in rest:
                part = invoice_for(order, invoice_value=1)
                await client.notify_invoice(order.order_id, part)

    with Sandbox(rest) as sandbox, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(asyncio.run, send(sandbox))
        for order in rest:
            sandbox.change_value(order.order_id, order.value - 1)
        sending.result()

        seen = sandbox.orders

    assert [order.value for order in seen] == [order.value - 1 for order in rest]
    assert [len(order.packages or ()) for order in seen] == [1] * 50
