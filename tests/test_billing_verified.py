"""What is made of an order is never refused in the light of that order, whatever came before."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.billed import TWO, WHEN, inferred, ordered, refused, said, shown_with, sold
from tests.test_billing_at_random import cut_orders, dialects, orders, parts_of
from vtex_invoice_async import Invoice, InvoiceType, Order, OrdersApi, Package
from vtex_invoice_async.billing import invoice_all, invoice_items, invoice_remaining, return_items
from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.models import PackageItem
from vtex_invoice_async.preflight import check as checked_alone
from vtex_invoice_async.rules import RULES
from vtex_invoice_async.verify import check, verify, with_invoice

OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT
LAW: Final = settings(deadline=None)
OWN = {"package-unclear", "already-invoiced", "value-too-small"}
GENERAL = {"required", "whole-number", "range", "time-zone"}


def refusals(found: Iterable[Problem]) -> list[Problem]:
    return [problem for problem in found if problem.severity == "refuse"]


def assert_taken(order: Order, invoice: Invoice, dialect: OrdersApi) -> None:
    assert not refusals(verify(order, invoice, dialect))
    assert not refusals(checked_alone(order.order_id, invoice, dialect, invoice.issuance_date))
    assert not refusals(check(order, invoice, dialect))


def after(order: Order, invoice: Invoice, chance: random.Random) -> Order:
    """The order as VTEX may show it, or as it is expected to be."""
    if chance.randrange(2):
        return evolve(with_invoice(order, invoice), status="handling")
    return shown_with(order, invoice, chance)


@LAW
@given(
    orders().flatmap(lambda o: st.tuples(st.just(o), *[parts_of(ordered(o))] * 2)),
    dialects,
    st.randoms(use_true_random=False),
)
def test_no_part_that_is_made_is_refused(
    cut: tuple[Order, Any, Any], dialect: OrdersApi, chance: random.Random
) -> None:
    order, parts, back = cut
    assume(order.value >= max(len(parts), len(back)))
    order = evolve(order, status="handling")

    for turn, part in enumerate(parts):
        invoice = invoice_items(order, part, f"NFe{turn}", orders_api=dialect, **WHEN)
        assert_taken(order, invoice, dialect)
        order = after(order, invoice, chance)
    for turn, part in enumerate(back):
        invoice = return_items(order, f"DEV{turn}", part, orders_api=dialect, **WHEN)
        assert_taken(order, invoice, dialect)
        order = after(order, invoice, chance)


packages = st.builds(
    Package,
    invoice_number=st.sampled_from(("OLD0", "OLD1", "OLD2", None)),
    invoice_value=st.none() | st.integers(0, 3_000),
    type=st.sampled_from((*InvoiceType, OUTPUT, "input", "output", "INPUT")),
    items=st.lists(
        st.builds(
            PackageItem,
            id=st.sampled_from((None, "7", "8", "9", "REF-7")),
            item_index=st.none() | st.integers(-1, 5),
            quantity=st.none() | st.integers(0, 4),
        ),
        max_size=3,
    ).map(tuple),
    items_inferred=st.none() | st.booleans(),
)


@LAW
@given(
    cut_orders,
    st.lists(packages, max_size=4),
    dialects,
    st.sampled_from(("all", "items", "rest", "back", "some back")),
)
def test_whatever_is_on_an_order_what_is_made_of_it_is_not_refused(
    cut: tuple[Order, Any], before: list[Package], dialect: OrdersApi, make: str
) -> None:
    order, parts = cut
    order = evolve(order, status="handling", packages=tuple(before))
    makers: dict[str, Callable[[], Invoice]] = {
        "all": lambda: invoice_all(order, "N1", orders_api=dialect, **WHEN),
        "items": lambda: invoice_items(order, parts[0], "N1", orders_api=dialect, **WHEN),
        "rest": lambda: invoice_remaining(order, "N1", orders_api=dialect, **WHEN),
        "back": lambda: return_items(order, "N1", orders_api=dialect, **WHEN),
        "some back": lambda: return_items(order, "N1", parts[0], orders_api=dialect, **WHEN),
    }
    try:
        invoice = makers[make]()
    except InvalidInvoice as error:
        for problem in error.problems:
            assert problem.code in {*RULES, *OWN, *GENERAL}
            assert problem.severity == "refuse"
        return
    assert_taken(order, invoice, dialect)


def test_what_a_rule_refuses_is_refused_as_the_rule_tells_it() -> None:
    order = sold(TWO, 1_198, ("880", 1))
    asked: Any = {"880": 2, "77": 1, "1234": 0}

    with pytest.raises(InvalidInvoice) as error:
        invoice_items(order, asked, "OLD0", **WHEN)

    told = [(problem.code, problem.severity, problem.source) for problem in error.value.problems]
    codes = ["number-taken", "quantity-above-order", "item-unknown", "quantity"]
    assert told == [(code, "refuse", RULES[code].source) for code in codes]


def test_more_than_was_sold_is_refused_by_the_rule_of_returns() -> None:
    order = sold(TWO, 1_198, ("880", 1))

    assert refused(return_items, order, "DEV1", {"880": 2}) == [
        ("quantity-above-sales", "items[0].quantity")
    ]


def test_known_issue_1348894_the_value_of_a_change_is_waited_for() -> None:
    changing = evolve(TWO, is_changing=True)

    assert refused(invoice_remaining, changing, "NFe1") == [("order-changing", "orderId")]
    assert "read it again" in said(invoice_remaining, changing, "NFe1")


@pytest.mark.parametrize("inferred_", [True, False, None])
def test_lines_that_are_shown_count_whoever_made_them_up(inferred_: bool | None) -> None:
    """By VTEX's words it is their value that is inferred where `EnableInferItems` is true."""
    order = sold(TWO, 1_198, ("880", 1))
    shown = [evolve(package, items_inferred=inferred_) for package in order.packages or ()]
    order = evolve(order, status="handling", packages=tuple(shown))

    part = invoice_items(order, {"880": 1, "1234": 1}, "NFe1", **WHEN)
    back = return_items(order, "DEV1", **WHEN)

    assert refused(invoice_items, order, {"880": 2}, "NFe1") == [
        ("quantity-above-order", "items[0].quantity")
    ]
    assert [(item.id, item.quantity) for item in back.items] == [("880", 1)]
    for invoice in (part, back):
        assert_taken(order, invoice, OrdersApi.OMS)


def test_after_a_return_without_lines_the_rest_is_returned_without_any() -> None:
    order = sold(TWO, 5_990, ("880", 2), ("1234", 4))
    back = Package(invoice_number="DEV1", invoice_value=90, type=INPUT, items=inferred(TWO))
    order = evolve(order, packages=(*(order.packages or ()), back))

    told = said(return_items, order, "DEV2", {"880": 1})

    assert "though 5900 cents are" in told
    assert "return_items without items makes one" in told


@pytest.mark.parametrize("word", ["output", "OUTPUT"])
def test_the_case_of_a_type_is_no_matter(word: str) -> None:
    order = sold(TWO, 1_198, ("880", 1))
    spelled = [evolve(package, type=word) for package in order.packages or ()]

    assert invoice_remaining(
        evolve(order, packages=tuple(spelled)), "NFe1", **WHEN
    ) == invoice_remaining(order, "NFe1", **WHEN)
