"""Orders to invoice in parts, and VTEX's side of it without VTEX: what an order shows afterwards."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import ISSUED
from vtex_invoice_async import Invoice, InvoiceType, Order, Package
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.models import OrderItem, PackageItem, PriceDefinition

WHEN: Final[dict[str, Any]] = {"issuance_date": ISSUED}


def line(sku: str, quantity: int, total: int) -> OrderItem:
    """A line that is worth *total*, whatever its prices say."""
    return OrderItem(
        id=sku,
        quantity=quantity,
        price=total,
        selling_price=0,
        price_definition=PriceDefinition(total=total),
    )


def order_of(*lines: OrderItem, value: int | None = None, packages: Any = ()) -> Order:
    worth = sum((one.price_definition or PriceDefinition()).total or 0 for one in lines)
    return Order(
        order_id="v5195004lux-01",
        value=worth if value is None else value,
        items=lines,
        packages=packages,
    )


TWO: Final = order_of(line("880", 2, 2_000), line("1234", 4, 3_000), value=5_990)
"""With a freight of 990."""


def sold(
    order: Order, value: int, *lines: tuple[str, int], kind: InvoiceType = InvoiceType.OUTPUT
) -> Order:
    """Return the order with one more invoice, whoever made it."""
    packages = order.packages or ()
    package = Package(
        invoice_number=f"OLD{len(packages)}",
        invoice_value=value,
        type=kind,
        items=tuple(PackageItem(id=sku, quantity=quantity) for sku, quantity in lines),
    )
    return evolve(order, packages=(*packages, package))


def shown_with(order: Order, invoice: Invoice, chance: random.Random | None = None) -> Order:
    """Return the order as it shows an invoice: its lines by place, by SKU, or both, as it comes."""
    chance = chance or random.Random(0)
    lines = [_shown(order, item.id, item.quantity, chance) for item in invoice.items]
    package = Package(
        invoice_number=invoice.invoice_number,
        invoice_value=invoice.invoice_value,
        type=invoice.type,
        items=tuple(lines) if invoice.items else inferred(order),
    )
    return evolve(order, packages=(*(order.packages or ()), package))


def _shown(order: Order, sku: str | None, quantity: int, chance: random.Random) -> PackageItem:
    # Of several lines with one SKU, VTEX may name any (known issue 1008459).
    places = [place for place, one in enumerate(order.items) if one.id == sku]
    kind = chance.randrange(3)
    return PackageItem(
        item_index=chance.choice(places) if kind else None,
        id=None if kind == 1 else sku,
        quantity=quantity,
    )


def inferred(order: Order) -> tuple[PackageItem, ...]:
    """The lines that VTEX makes up for an invoice without any."""
    return tuple(
        PackageItem(item_index=place, quantity=one.quantity)
        for place, one in enumerate(order.items)
    )


def ordered(order: Order) -> Counter[str]:
    """The units of an order, by SKU."""
    found: Counter[str] = Counter()
    for one in order.items:
        found[one.id] += one.quantity
    return found


def quantities(invoices: Iterable[Invoice]) -> Counter[str]:
    found: Counter[str] = Counter()
    for invoice in invoices:
        for item in invoice.items:
            found[str(item.id)] += item.quantity
    return found


def parts_of(units: Mapping[str, int], most: int, chance: random.Random) -> list[Counter[str]]:
    """Cut units at random into *most* parts in any order, or as many as there are units."""
    every = list(Counter(units).elements())
    chance.shuffle(every)
    cuts = sorted(chance.sample(range(1, len(every)), min(most, len(every)) - 1))
    ends = [*cuts, len(every)]
    return [Counter(every[start:end]) for start, end in zip([0, *cuts], ends, strict=True)]


def said(make: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(InvalidInvoice) as error:
        make(*given, **{**WHEN, **named})
    return str(error.value)


def refused(make: Any, *given: Any, **named: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInvoice) as error:
        make(*given, **{**WHEN, **named})
    return [(problem.code, problem.field) for problem in error.value.problems]
