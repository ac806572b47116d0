"""What a strict sandbox refuses, a check with the order refuses as well, whatever came before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import make_invoice, make_item
from tests.strategies import invoices, orders
from vtex_invoice_async import Invoice, InvoiceType, Order, OrdersApi
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.sandbox import Refusal, Rules
from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.generated import fitting_order, generate_orders
from vtex_invoice_async.sandbox.statuses import CANCELED
from vtex_invoice_async.sandbox.statuses import EARLY as SANDBOX_EARLY
from vtex_invoice_async.verify import check, verify, with_invoice

LAW: Final = settings(deadline=None)
AT: Final = datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC)
STATUSES: Final = st.one_of(
    st.just("handling"),
    st.sampled_from(sorted({*SANDBOX_EARLY, *CANCELED})),
    st.sampled_from(("invoice", "ready-for-invoicing", "cancellation-requested", "new", None)),
)
STRICT: Final = st.builds(
    Rules,
    early=st.just("refuse"),
    duplicates=st.sampled_from(("documented", "reject", "conflict")),
    settle_delay=st.sampled_from((0, 2)),
)


@pytest.mark.parametrize("status", sorted({*SANDBOX_EARLY, *CANCELED}))
def test_a_status_that_a_strict_sandbox_refuses_is_refused(status: str) -> None:
    order = evolve(next(generate_orders(1, random.Random(0))), status=status)

    assert is_refused(order, make_invoice(invoice_value=1, items=[]), OrdersApi.OMS)


def orders_at_random() -> st.SearchStrategy[Order]:
    return st.builds(
        lambda seed, status: evolve(
            next(generate_orders(1, random.Random(seed))),
            status=status,
        ),
        st.integers(0, 10**6),
        STATUSES,
    )


def invoice_of(draw: st.DrawFn, order: Order, number: str) -> Invoice:
    """An invoice that fits more often than not."""
    value = draw(st.sampled_from((1, order.value // 2, order.value, order.value + 1)))
    indexes = draw(st.lists(st.integers(0, len(order.items)), max_size=3, unique=True))
    known = [at for at in indexes if at < len(order.items)]
    chosen = known if draw(st.booleans()) else indexes
    items = [
        make_item(
            id=order.items[at].id if at < len(order.items) else "0",
            item_index=at if draw(st.booleans()) else None,
            quantity=draw(st.integers(1, 2)),
        )
        for at in chosen
    ]
    kind = draw(st.sampled_from((InvoiceType.OUTPUT, InvoiceType.OUTPUT, InvoiceType.INPUT)))
    return make_invoice(type=kind, invoice_number=number, invoice_value=max(value, 1), items=items)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Order, Sequence[Invoice]]:
    order = draw(orders_at_random())
    numbers = draw(st.lists(st.sampled_from("ABCDEF"), min_size=1, max_size=6))
    found = [invoice_of(draw, order, number) for number in numbers]
    if draw(st.booleans()):
        return order, found
    # Only what was sold can return.
    whole = make_invoice(invoice_number="WHOLE", invoice_value=order.value, items=[])
    returns = [evolve(one, type=InvoiceType.INPUT, items=[]) for one in found]
    return evolve(order, status="handling"), [whole, *returns]


def is_refused(order: Order, invoice: Invoice, orders_api: OrdersApi) -> bool:
    return any(found.severity == "refuse" for found in verify(order, invoice, orders_api))


def codes(order: Order, invoice: Invoice) -> set[str]:
    return {found.code for found in verify(order, invoice, OrdersApi.OMS)}


@LAW
@given(stories(), STRICT, st.sampled_from(OrdersApi), st.sampled_from((None, "change", "cancel")))
def test_what_a_sandbox_refuses_is_refused_before_it_is_sent(
    story: tuple[Order, Sequence[Invoice]], rules: Rules, orders_api: OrdersApi, between: str | None
) -> None:
    order, invoices_ = story
    book = OrderBook([order], chance=random.Random(0), rules=rules)
    now = AT
    for place, invoice in enumerate(invoices_):
        now += timedelta(seconds=1)
        if place == 1 and between == "change":
            book.change_value(order.order_id, order.value // 2, now)
        if place == 1 and between == "cancel":
            book.cancel(order.order_id, now, document=False)
        shown = book.order(order.order_id, now)
        assert shown is not None

        expects_no = is_refused(shown, invoice, orders_api)
        document = orders_api is not OrdersApi.OMS
        answer = book.invoice(order.order_id, invoice, now, document=document)

        assert expects_no or not isinstance(answer, Refusal)


@LAW
@given(stories())
def test_an_invoice_is_judged_after_another_as_on_the_order_that_shows_it(
    story: tuple[Order, Sequence[Invoice]],
) -> None:
    order, invoices_ = story
    book = OrderBook([order], chance=random.Random(0))
    expected = order
    for invoice in invoices_:
        shown = book.order(order.order_id, AT)
        assert shown is not None
        # The sandbox shows the lines of an invoice that had none, and not that it made them up.
        unknown = {"quantity-unknown", "quantity-above-order", "quantity-above-sales", "items-left"}
        assert codes(expected, invoice) - unknown == codes(shown, invoice) - unknown
        if not is_refused(shown, invoice, OrdersApi.OMS):
            book.invoice(order.order_id, invoice, AT, document=False)
            expected = with_invoice(expected, invoice)


@LAW
@given(stories())
def test_an_order_made_to_fit_has_nothing_against_its_invoices(
    story: tuple[Order, Sequence[Invoice]],
) -> None:
    _, invoices_ = story
    sound = [evolve(i, invoice_number=f"NFe{n}") for n, i in enumerate(invoices_)]
    by_sku = [evolve(i, items=[evolve(x, item_index=None) for x in i.items]) for i in sound]
    order = fitting_order("x-01", by_sku)

    for invoice in sorted(by_sku, key=lambda one: one.type is InvoiceType.INPUT):
        found = codes(order, invoice)
        assert found <= {"quantity-unknown"}
        order = with_invoice(order, invoice)


@LAW
@given(orders, st.sampled_from(OrdersApi), st.data())
def test_whatever_an_order_says_a_check_ends_in_problems(
    order: Order, orders_api: OrdersApi, data: st.DataObject
) -> None:
    invoice = data.draw(invoices(orders_api))

    found = check(order, invoice, orders_api)

    by_order = set(verify(order, invoice, orders_api))
    assert by_order <= set(found)
    assert all(RULES[problem.code].severity == problem.severity for problem in by_order)
