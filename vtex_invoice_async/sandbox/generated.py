"""Orders that look like those of real sellers; the same seed makes the same orders."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from attrs import evolve

from vtex_invoice_async.models import (
    Invoice,
    InvoiceItem,
    InvoiceType,
    Order,
    OrderItem,
    OrderStatus,
    OrderTotal,
    Package,
    PackageItem,
    PriceDefinition,
)

MOST_LINES = 1_000
"""Of an order made to fit; an invoice may name a line beyond them all the same."""

__all__ = ["fitting_order", "generate_orders"]


def generate_orders(count: int, chance: random.Random) -> Iterator[Order]:
    """Yield *count* orders that wait to be invoiced, with several items, freight and discounts."""
    for number in range(count):
        lines = [_line(chance) for _ in range(chance.choices((1, 2, 3, 5), (50, 30, 15, 5))[0])]
        yield _order(
            _order_id(number, chance),
            lines,
            sequence=str(502_556 + number),
            status=OrderStatus.READY_FOR_HANDLING if number % 10 == 9 else OrderStatus.HANDLING,
            freight=chance.choice((0, 990, 1_490, 2_505)),
            tax=chance.choice((0, 0, 0, 193)),
        )


def fitting_order(order_id: str, invoices: Iterable[Invoice]) -> Order:
    """Return an order that just these *invoices* fit on, in whatever order they come."""
    found = list(invoices)
    sales = [invoice for invoice in found if invoice.type is InvoiceType.OUTPUT]
    returns = [invoice for invoice in found if invoice.type is InvoiceType.INPUT]
    names = _names([item for invoice in found for item in invoice.items])
    sold, returned = _pieces(sales, names), _pieces(returns, names)
    # What is returned was sold before. A line that no item names has no pieces to be sold, nor has
    # the second one of a SKU.
    pieces = sold + returned
    items = [_free_line(order_id, name, pieces.pop(name, 0)) for name in names]
    worth = sum(invoice.invoice_value for invoice in returns)
    order = _order(
        order_id,
        items if sold + returned else [_free_line(order_id, name, 1) for name in names],
        sequence=str(crc32(order_id.encode())),
        freight=sum(invoice.invoice_value for invoice in sales) + worth,
    )
    if not returns:
        return order
    earlier = Package(
        invoice_number="SOLD-BEFORE",
        invoice_value=worth,
        type=InvoiceType.OUTPUT,
        items=tuple(
            PackageItem(item_index=names.index(name), id=name, quantity=quantity, price=0)
            for name, quantity in returned.items()
        ),
    )
    return evolve(order, packages=(earlier,))


def _names(items: Sequence[InvoiceItem]) -> list[str]:
    """Return the SKUs of an order's lines: each where an item says that it is, or where there is room."""
    placed: dict[int, str] = {}
    for item in items:
        if item.id is not None and item.item_index is not None:
            placed.setdefault(item.item_index, item.id)
    anywhere = {item.id: None for item in items if item.id not in {None, *placed.values()}}
    others = (sku for sku in anywhere if sku is not None)
    indexes = [item.item_index for item in items if item.item_index is not None]
    lines = min(max(indexes, default=0) + 1, MOST_LINES)
    names = [placed.get(n) or next(others, str(7_060_000 + n)) for n in range(lines)]
    return [*names, *others]


def _pieces(invoices: Iterable[Invoice], names: Sequence[str]) -> Counter[str]:
    """Count the pieces of each SKU."""
    found: Counter[str] = Counter()
    for item in (item for invoice in invoices for item in invoice.items):
        index = item.item_index or 0
        if item.id is not None:
            found[item.id] += item.quantity
        elif index < len(names):
            found[names[index]] += item.quantity
    return found


def _free_line(order_id: str, name: str, quantity: int) -> OrderItem:
    """Return a line that costs nothing: the order's value is all freight."""
    return OrderItem(
        unique_id=f"{crc32(f'{order_id} {name}'.encode()):032X}",
        id=name,
        quantity=quantity,
        seller="1",
        price=0,
        selling_price=0,
        tax=0,
        price_definition=PriceDefinition(calculated_selling_price=0, total=0),
    )


def _order_id(number: int, chance: random.Random) -> str:
    """Return an id in one of the shapes that sellers see; *number* keeps it unique."""
    # https://help.vtex.com/en/docs/tutorials/how-to-identify-an-order-split-from-omnichannel
    digits = f"{chance.randrange(1_000):03}{number:07}"
    return (
        f"117{digits}-01",  # a marketplace order
        f"v{digits[1:]}lux-01",  # one of an account with this kind of sequence
        f"SLR-v{digits}anml-{chance.randrange(1, 3):02}",  # a seller's, with its affiliate
        f"GHB-{digits}",  # one from an external marketplace
    )[number % 4]


def _line(chance: random.Random) -> OrderItem:
    quantity = chance.choices((1, 2, 3, 10), (70, 20, 8, 2))[0]
    price = chance.randrange(199, 49_990)
    # A discount on the line that its quantity need not divide, as VTEX's promotions make them.
    discount = chance.choice((0, 0, 0, price * quantity // 7))
    total = price * quantity - discount
    return OrderItem(
        unique_id=f"{chance.getrandbits(128):032X}",
        id=str(chance.randrange(1_000, 9_999_999)),
        quantity=quantity,
        seller="1",
        price=price,
        selling_price=total // quantity,
        tax=0,
        price_definition=PriceDefinition(
            calculated_selling_price=total // quantity,
            total=total,
        ),
    )


def _order(
    order_id: str,
    lines: list[OrderItem],
    *,
    sequence: str,
    status: OrderStatus = OrderStatus.HANDLING,
    freight: int = 0,
    tax: int = 0,
) -> Order:
    goods = sum((line.price or 0) * line.quantity for line in lines)
    paid = sum(line.price_definition.total or 0 for line in lines if line.price_definition)
    return Order(
        order_id=order_id,
        sequence=sequence,
        origin="Fulfillment",
        marketplace_order_id=order_id,
        seller_order_id=f"00-{order_id}",
        status=status,
        workflow_is_in_error=False,
        is_completed=True,
        value=paid + freight + tax,
        totals=(
            OrderTotal(id="Items", name="Total dos Itens", value=goods),
            OrderTotal(id="Discounts", name="Total dos Descontos", value=paid - goods),
            OrderTotal(id="Shipping", name="Total do Frete", value=freight),
            OrderTotal(id="Tax", name="Total da Taxa", value=tax),
        ),
        items=tuple(lines),
        packages=(),
    )
