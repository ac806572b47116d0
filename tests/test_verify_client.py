"""`client.check`: what an order that was really read has against an invoice; nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from tests.factories import invoice_for, make_invoice, make_item
from tests.golden_files import golden
from vtex_invoice_async import (
    ClientConfig,
    Invoice,
    InvoiceType,
    Order,
    OrdersApi,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import ConfigError, InvalidInvoice
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.verify import verify, with_indexes
from vtex_invoice_async.wire import read

INPUT = InvoiceType.INPUT
PII = OrdersApi.PII
DIALECTS = pytest.mark.parametrize("orders_api", OrdersApi)


def codes(client: VtexInvoiceClient, order: Order, invoice: Invoice) -> set[str]:
    return {found.code for found in client.check(order, invoice)}


def plain(order: Order, **changes: Any) -> Invoice:
    """An invoice of all of an order by SKU, such as every dialect can say."""
    items = [
        make_item(id=line.id, item_index=None, price=1, quantity=line.quantity)
        for line in order.items
    ]
    return invoice_for(order, **{"items": items, **changes})


def of_order(found: Iterable[str]) -> set[str]:
    """Codes of what the order has against it, without what the invoice has by itself."""
    prefixes = ("order", "number-a", "number-t", "number-of", "item", "sale", "quantity", "return")
    return {code for code in found if code.startswith(prefixes)}


@DIALECTS
async def test_an_order_is_checked_as_it_is_read_between_its_invoices(
    sandbox: Sandbox, orders_api: OrdersApi
) -> None:
    many = next(order for order in sandbox.orders if order.value > 2)
    part = many.value - 1
    async with VtexInvoiceClient(evolve(sandbox.config, orders_api=orders_api)) as client:

        async def seen(invoice: Invoice) -> set[str]:
            return of_order(codes(client, await client.get_order(many.order_id), invoice))

        async def take(invoice: Invoice) -> None:
            order = await client.get_order(many.order_id)
            await client.notify_invoice(order.order_id, with_indexes(order, invoice))

        back = {"type": INPUT, "invoice_number": "R1", "items": []}
        assert await seen(plain(many)) == set()
        assert await seen(plain(many, **back)) == {"return-without-sale"}
        await take(plain(many, invoice_value=part))
        assert await seen(plain(many, invoice_value=part)) == {"number-again"}
        assert await seen(plain(many)) == {"number-taken"}
        last = {"invoice_number": "X", "items": []}
        assert await seen(plain(many, **last)) == {"sale-above-order"}
        assert await seen(plain(many, invoice_value=1, **last)) == set()
        assert await seen(plain(many, **back | {"invoice_value": 1})) == {"return-too-early"}
        await take(plain(many, invoice_value=1, **last))
        assert await seen(plain(many, **back)) == set()
        await take(plain(many, **back))
        assert await seen(plain(many, **back | {"invoice_number": "R2"})) == {"return-above-sales"}
        assert await seen(plain(many, **back | {"invoice_number": "X"})) == {"number-of-sale"}
    assert set(sandbox.applied.values()) == {1}


@pytest.mark.parametrize(
    ("orders_api", "expected"),
    # Only OMS says that it has made lines up; on PII they may be what they seem.
    [(OrdersApi.OMS, {"quantity-unknown"}), (PII, {"quantity-unknown"})],
)
async def test_lines_that_vtex_made_up_are_not_counted(
    sandbox: Sandbox, orders_api: OrdersApi, expected: set[str]
) -> None:
    order = sandbox.orders[0]
    async with VtexInvoiceClient(evolve(sandbox.config, orders_api=orders_api)) as client:
        await client.notify_invoice(order.order_id, plain(order, invoice_value=1, items=[]))
        shown = await client.get_order(order.order_id)

        found = codes(client, shown, plain(order, invoice_value=2, invoice_number="X"))

    assert of_order(found) == expected


@DIALECTS
async def test_a_change_that_is_under_way_is_seen(orders_api: OrdersApi) -> None:
    changing = evolve(Sandbox(1).orders[0], is_changing=True)
    async with Sandbox([changing]) as sandbox:
        config = evolve(sandbox.config, orders_api=orders_api)
        async with VtexInvoiceClient(config) as client:
            shown = await client.get_order(changing.order_id)

            found = codes(client, shown, plain(changing))

    assert shown.is_changing
    assert of_order(found) == {"order-changing"}


async def test_a_check_sends_nothing_and_goes_by_the_clock_of_its_client(
    sandbox: Sandbox, client: VtexInvoiceClient
) -> None:
    order = sandbox.orders[0]
    arrived = len(sandbox.oracle.arrived)

    in_future = plain(order, issuance_date=client.now() + timedelta(days=9))
    found = codes(client, order, in_future)
    by_now = codes(client, order, plain(order, issuance_date=client.now()))

    assert len(sandbox.oracle.arrived) == arrived
    assert of_order(found) == set()
    assert ("date-range" in found, "date-range" in by_now) == (True, False)


def test_a_check_needs_an_open_client() -> None:
    config = ClientConfig(account="acme", app_key="k", app_token="t", orders_api=PII)
    order = Sandbox(1).orders[0]

    with pytest.raises(ConfigError, match="async with"):
        VtexInvoiceClient(config).check(order, plain(order))


@DIALECTS
async def test_two_items_of_one_sku_are_one_line_in_every_dialect(orders_api: OrdersApi) -> None:
    order = evolve(Sandbox(1).orders[0], status="handling")
    items = [make_item(id=order.items[0].id, item_index=None, price=1) for _ in range(2)]
    async with Sandbox([order]) as sandbox:
        config = evolve(sandbox.config, orders_api=orders_api)
        async with VtexInvoiceClient(config) as client:
            back = codes(client, order, plain(order, items=items, type=INPUT))
            sale = codes(client, order, plain(order, items=items))

    assert "return-line-twice" in back
    assert "line-twice" in sale


async def test_what_is_no_order_or_no_invoice_is_refused(client: VtexInvoiceClient) -> None:
    order = Sandbox(1).orders[0]
    check: Any = client.check

    for wrong in (("x-01", plain(order)), (order, {"type": "Output"}), (None, None)):
        with pytest.raises(InvalidInvoice, match=r"must be of type"):
            check(*wrong)


def golden_order(name: str, **changes: Any) -> Order:
    document = golden(name)
    return read(json.dumps(document.vtex | changes).encode(), Order, document.dialect)


def test_vtex_s_example_of_an_order_on_oms_has_a_return_and_no_sale() -> None:
    order = golden_order("get_order.oms")
    line = make_item(id="18", price=1160)

    def found(**changes: Any) -> list[str]:
        invoice = make_invoice(**{"invoice_value": 1160, "items": [line], **changes})
        return [problem.code for problem in verify(order, invoice, OrdersApi.OMS)]

    assert found() == []
    assert found(invoice_value=1161) == ["sale-above-order"]
    assert found(type=INPUT, invoice_value=1) == ["return-without-sale"]
    assert found(type=INPUT, invoice_value=1015, invoice_number="24382") == ["number-again"]
    assert found(items=[evolve(line, id="19")]) == ["item-unknown"]


def test_vtex_s_example_of_an_order_on_pii_is_invoiced_whole() -> None:
    canceled = golden_order("get_order.pii")
    order = golden_order("get_order.pii", status="invoiced")
    line = make_item(id="5658771", item_index=None, price=19900, quantity=2)

    def found(**changes: Any) -> list[str]:
        invoice = make_invoice(**{"invoice_value": 19900, "items": [line], **changes})
        return [problem.code for problem in verify(order, invoice, PII)]

    first = next(verify(canceled, make_invoice(items=[line]), PII))
    assert first.code == "order-canceled"
    assert found() == ["sale-above-order", "quantity-above-order"]
    assert found(invoice_number="000059579") == ["number-again"]
    assert found(type=INPUT) == []
    assert found(type=INPUT, items=[evolve(line, quantity=3)]) == ["quantity-above-sales"]
    assert with_indexes(order, make_invoice(items=[line])).items[0].item_index == 0


def test_a_change_of_vtex_s_example_is_done() -> None:
    receipt = {"date": "2024-02-08T13:54:33Z", "orderId": "x", "receipt": "535d4581"}
    change = {"reason": "", "itemsAdded": [], "itemsRemoved": [], "receipt": receipt}

    done = golden_order("get_order.oms", changesAttachment={"changesData": [change]})

    assert not done.is_changing
