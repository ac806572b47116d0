"""Laws of invoices in parts: whatever the order, however it is cut, no cent and no unit is lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.billed import WHEN, line, order_of, ordered, quantities, shown_with, sold
from vtex_invoice_async import Invoice, InvoiceType, Order, OrdersApi
from vtex_invoice_async.billing import (
    invoice_all,
    invoice_items,
    invoice_remaining,
    return_items,
)
from vtex_invoice_async.errors import InvalidInvoice

Parts = Sequence[Mapping[str, int]]
LAW: Final = settings(deadline=None)

few, many = st.integers(1, 6), st.integers(1, 10**9)
lines = st.builds(
    line,
    st.sampled_from(["7", "8", "9"]),  # so few that orders repeat them
    few | few | many,
    st.just(0) | st.integers(1, 40) | st.integers(0, 10**6) | st.integers(0, 10**12),
)


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Orders whose value is more than their lines (freight, tax) or less (discounts)."""
    found = order_of(*draw(st.lists(lines, min_size=1, max_size=5)))
    rest = draw(st.integers(0, 5_000) | st.integers(-found.value, 0))
    return evolve(found, value=max(found.value + rest, draw(st.integers(1, 9))))


def parts_of(units: Mapping[str, int]) -> st.SearchStrategy[Parts]:
    """Every unit in one of up to seven parts, whichever comes first."""
    cuts = {
        sku: st.lists(st.integers(0, quantity), min_size=6, max_size=6).map(sorted)
        for sku, quantity in units.items()
    }
    return st.fixed_dictionaries(cuts).map(lambda found: _parts(units, found))


def _parts(units: Mapping[str, int], cuts: Mapping[str, Sequence[int]]) -> Parts:
    ends = {sku: [0, *cuts[sku], quantity] for sku, quantity in units.items()}
    parts = [
        {sku: end[n + 1] - end[n] for sku, end in ends.items() if end[n + 1] > end[n]}
        for n in range(7)
    ]
    return [part for part in parts if part]


cut_orders = orders().flatmap(lambda order: st.tuples(st.just(order), parts_of(ordered(order))))
dialects = st.sampled_from(OrdersApi)


def sell(order: Order, parts: Parts, chance: random.Random, **named: Any) -> list[Invoice]:
    """Invoice all parts, each from the order as it shows those before."""
    made: list[Invoice] = []
    for number, part in enumerate(parts):
        invoice = invoice_items(order, part, f"NFe{number}", **WHEN, **named)
        if number == len(parts) - 1:
            assert invoice == invoice_remaining(order, f"NFe{number}", **WHEN, **named)
        if len(parts) == 1 and not order.packages:
            assert invoice == invoice_all(order, f"NFe{number}", **WHEN, **named)
        made.append(invoice)
        order = shown_with(order, invoice, chance)
    return made


def take_back(order: Order, parts: Parts, chance: random.Random, **named: Any) -> list[Invoice]:
    made: list[Invoice] = []
    for number, part in enumerate(parts):
        invoice = return_items(order, f"DEV{number}", part, **WHEN, **named)
        if number == len(parts) - 1:
            assert invoice == return_items(order, f"DEV{number}", **WHEN, **named)
        made.append(invoice)
        order = shown_with(order, invoice, chance)
    return made


def after(order: Order, invoices: Sequence[Invoice], chance: random.Random) -> Order:
    for invoice in invoices:
        order = shown_with(order, invoice, chance)
    return order


def worth(order: Order) -> int:
    return sum(one.price_definition.total or 0 for one in order.items if one.price_definition)


def check_parts(made: Sequence[Invoice], parts: Parts, value: int) -> None:
    assert sum(invoice.invoice_value for invoice in made) == value
    assert min(invoice.invoice_value for invoice in made) >= 1
    # As a dict, which would hide a SKU that is there twice: so their number is compared as well.
    assert [quantities([invoice]) for invoice in made] == parts
    assert [len(invoice.items) for invoice in made] == [len(part) for part in parts]


def check_prices(made: Sequence[Invoice], order: Order, dialect: OrdersApi) -> None:
    items = [item for invoice in made for item in invoice.items]
    if dialect is OrdersApi.OMS:
        by_units = sum(item.price * item.quantity for item in items)
        units = sum(item.quantity for item in items)
        assert worth(order) - units <= by_units <= worth(order)
    else:
        assert sum(item.price for item in items) == worth(order)
    first = [one.id for one in order.items].index
    assert all(item.id and item.item_index == first(item.id) for item in items)


@LAW
@given(cut_orders, dialects, st.randoms(use_true_random=False))
def test_parts_make_up_an_order_to_the_cent(
    cut: tuple[Order, Parts], dialect: OrdersApi, chance: random.Random
) -> None:
    order, parts = cut
    assume(order.value >= len(parts))

    made = sell(order, parts, chance, orders_api=dialect)

    check_parts(made, parts, order.value)
    check_prices(made, order, dialect)


@LAW
@given(orders().flatmap(lambda o: st.tuples(st.just(o), *[parts_of(ordered(o))] * 2)), dialects)
def test_returns_make_up_what_was_sold_to_the_cent(
    cut: tuple[Order, Parts, Parts], dialect: OrdersApi
) -> None:
    order, parts, back = cut
    assume(order.value >= max(len(parts), len(back)))
    chance = random.Random(0)
    order = after(order, sell(order, parts, chance), chance)

    made = take_back(order, back, chance, orders_api=dialect)

    check_parts(made, back, order.value)
    check_prices(made, order, dialect)
    assert {invoice.type for invoice in made} == {InvoiceType.INPUT}


@LAW
@given(cut_orders, st.data())
def test_more_parts_than_cents_are_refused_and_nothing_else_is(
    cut: tuple[Order, Parts], data: st.DataObject
) -> None:
    order, parts = cut
    assume(len(parts) > 1)
    order = evolve(order, value=data.draw(st.integers(1, len(parts) - 1)))

    with pytest.raises(InvalidInvoice) as refused:
        sell(order, parts, random.Random(0))

    assert {problem.code for problem in refused.value.problems} == {"value-too-small"}


@LAW
@given(cut_orders, st.data())
def test_what_remains_after_anybodys_invoices_is_invoiced_to_the_cent(
    cut: tuple[Order, Parts], data: st.DataObject
) -> None:
    order, parts = cut
    assume(len(parts) > 1)
    theirs = data.draw(st.integers(1, len(parts) - 1))
    left = data.draw(st.integers(len(parts) - theirs, order.value + 5))
    order = evolve(order, value=left)
    for part in parts[:theirs]:
        value = data.draw(st.integers(0, 10**6))
        order = evolve(sold(order, value, *part.items()), value=order.value + value)

    made = sell(order, parts[theirs:], random.Random(0))

    check_parts(made, parts[theirs:], left)


@LAW
@given(cut_orders)
def test_a_part_is_worth_its_part(cut: tuple[Order, Parts]) -> None:
    order, parts = cut
    # Without gifts and trifles, which have to be worth a cent.
    dear = [evolve(one, price_definition=None, selling_price=1_000) for one in order.items]
    units = sum(one.quantity for one in dear)
    order = evolve(order, items=tuple(dear), value=1_000 * units + order.value % 5_000)

    made = sell(order, parts, random.Random(0))

    for invoice, part in zip(made, parts, strict=True):
        exact = order.value * sum(part.values()) / units
        assert abs(invoice.invoice_value - exact) < 1 + len(parts)


MAKERS: list[Callable[[Order], Invoice]] = [
    lambda order: invoice_all(order, "NFe1", **WHEN),
    lambda order: invoice_remaining(order, "NFe1", **WHEN),
    lambda order: invoice_items(order, {one.id: 1 for one in order.items}, "NFe1", **WHEN),
    lambda order: return_items(order, "DEV1", **WHEN),
]


@pytest.mark.parametrize("make", MAKERS)
@LAW
@given(strategies.orders)
def test_any_order_gives_an_invoice_or_is_refused(
    make: Callable[[Order], Invoice], order: Order
) -> None:
    with suppress(InvalidInvoice):
        assert make(order).invoice_value >= 1
