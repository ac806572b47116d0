"""Orders invoiced in three parts and returned in two, by the real client against the sandbox."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

from attrs import evolve, frozen

from tests.billed import WHEN, ordered, parts_of
from tests.virtual_time import run_virtual
from vtex_invoice_async import (
    ClientConfig,
    Invoice,
    InvoiceType,
    Order,
    OrdersApi,
    ThrottleLimits,
    VtexInvoiceClient,
)
from vtex_invoice_async.billing import invoice_all, invoice_items, invoice_remaining, return_items
from vtex_invoice_async.models import OrderItem, PriceDefinition
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.sandbox.filed import Filed
from vtex_invoice_async.sandbox.generated import generate_orders

AT_ONCE: Final = 100
LATER: Final = datetime(9999, 1, 1, tzinfo=UTC)


@frozen(kw_only=True)
class Plan:
    """How an order's units come to their invoices."""

    order: Order
    sales: Sequence[Mapping[str, int]]
    returns: Sequence[Mapping[str, int]]


def plans(count: int, chance: random.Random) -> Iterator[Plan]:
    """Yield orders in three parts, or in as many as they have units: three in four have three.

    Real orders are small, so up to three units of the first SKU are added for free, on a line of
    their own: that makes gifts and repeated SKUs, too.
    """
    for order in generate_orders(count, chance):
        free = chance.randrange(4)
        items = (*order.items, _gift(order.items[0], free)) if free else order.items
        found = evolve(order, items=items)
        units = ordered(found)
        yield Plan(
            order=found, sales=parts_of(units, 3, chance), returns=parts_of(units, 2, chance)
        )


def _gift(line: OrderItem, quantity: int) -> OrderItem:
    free = PriceDefinition(calculated_selling_price=0, total=0)
    return evolve(line, quantity=quantity, selling_price=0, price_definition=free)


def sale(order: Order, plan: Plan, turn: int, dialect: OrdersApi) -> Invoice:
    number = f"NFe{turn}"
    if len(plan.sales) == 1:
        return invoice_all(order, number, orders_api=dialect, **WHEN)
    if turn == len(plan.sales) - 1:
        return invoice_remaining(order, number, orders_api=dialect, **WHEN)
    return invoice_items(order, plan.sales[turn], number, orders_api=dialect, **WHEN)


def giving_back(order: Order, plan: Plan, turn: int, dialect: OrdersApi) -> Invoice:
    last = turn == len(plan.returns) - 1
    items = None if last else plan.returns[turn]
    return return_items(order, f"DEV{turn}", items, orders_api=dialect, **WHEN)


async def live(plan: Plan, clients: Sequence[VtexInvoiceClient], turns: asyncio.Semaphore) -> None:
    """Invoice and return one order, in whichever dialect, and read it before each invoice."""
    order_id = plan.order.order_id
    chance = random.Random(order_id)
    for make, parts in ((sale, plan.sales), (giving_back, plan.returns)):
        for turn in range(len(parts)):
            async with turns:
                client = chance.choice(clients)
                order = await client.get_order(order_id)
                invoice = make(order, plan, turn, client.config.orders_api)
                await client.notify_invoice(order_id, invoice)


async def bill(found: Sequence[Plan]) -> Sandbox:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox([plan.order for plan in found]))
        pace = evolve(sandbox.config, throttle=ThrottleLimits(rate=10_000))
        clients = [await stack.enter_async_context(_client(pace, api)) for api in OrdersApi]
        turns = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for plan in found:
                group.create_task(live(plan, clients, turns))
    return sandbox


def _client(config: ClientConfig, dialect: OrdersApi) -> VtexInvoiceClient:
    return VtexInvoiceClient(evolve(config, orders_api=dialect))


def check(sandbox: Sandbox, plan: Plan) -> None:
    shown = sandbox.book.shown(plan.order.order_id, LATER)
    assert shown is not None
    sales = [one for one in shown.filed if one.package.type == InvoiceType.OUTPUT]
    returns = [one for one in shown.filed if one.package.type == InvoiceType.INPUT]
    assert shown.order.status == "invoiced"
    for filed, parts in ((sales, plan.sales), (returns, plan.returns)):
        values = [one.package.invoice_value or 0 for one in filed]
        assert (sum(values), min(values) >= 1) == (plan.order.value, True)
        assert [units_of(one, plan.order) for one in filed] == parts
    assert [one.refund and one.refund.value for one in returns] == [
        one.package.invoice_value for one in returns
    ]


def units_of(filed: Filed, order: Order) -> Counter[str]:
    found: Counter[str] = Counter()
    for item in filed.package.items:
        assert item.item_index is not None
        found[order.items[item.item_index].id] += item.quantity or 0
    return found


def test_a_thousand_orders_in_three_parts_and_back_in_two_are_exact_and_refunded() -> None:
    found = list(plans(1_000, random.Random(605_517)))
    assert Counter(len(plan.sales) for plan in found)[3] > 700

    sandbox = run_virtual(bill(found))

    for plan in found:
        check(sandbox, plan)
    assert set(sandbox.applied.values()) == {1}
    # Freight has no line, and is not odd.
    assert sandbox.remarks == ()
