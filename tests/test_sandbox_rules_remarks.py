"""What VTEX takes without a word: the sandbox takes it as well, and says what was odd."""

from __future__ import annotations

from typing import Any, Final

import pytest
from attrs import evolve

from tests.books import AT, ID, INPUT, make_book
from tests.factories import make_invoice, make_item
from vtex_invoice_async import Receipt
from vtex_invoice_async.models import OrderItem
from vtex_invoice_async.sandbox import Remark, Rules
from vtex_invoice_async.sandbox.book import OrderBook

# Of an order with two units of 880 and four of 1234.
SOUND: Final = make_item(id="880", item_index=0, price=1_000, quantity=2)


def send(book: OrderBook, *, document: bool = False, **changes: Any) -> tuple[Remark, ...]:
    """The remarks on one more invoice that is taken."""
    before = book.remarks
    sound = {"invoice_value": 2_000, "items": [SOUND]}
    taken = book.invoice(ID, make_invoice(**{**sound, **changes}), AT, document=document)

    assert isinstance(taken, Receipt)
    # Only ever added to.
    assert book.remarks[: len(before)] == before
    return tuple(book.remarks[len(before) :])


@pytest.mark.parametrize("value", [1_000, 2_000])
def test_an_invoice_whose_lines_add_up_by_unit_or_by_line_is_not_remarked_on(value: int) -> None:
    assert send(make_book(), invoice_value=value) == ()


def test_lines_that_add_up_in_no_way_are_told_with_both_sums() -> None:
    (remark,) = send(make_book(), invoice_value=2_505)

    assert (remark.order_id, remark.invoice_number) == (ID, "NFe1")
    assert remark.rule == "sum-of-items"
    assert all(figure in remark.message for figure in ("2000", "1000", "2505"))


@pytest.mark.parametrize(("value", "odd"), [(1_999, 1), (2_000, 0), (2_506, 0), (2_507, 1)])
def test_freight_and_a_cent_of_division_have_no_line_and_are_not_odd(value: int, odd: int) -> None:
    items = [OrderItem(id="880", unique_id="A", quantity=2, selling_price=1_000)]
    book = make_book(Rules(above_value="take"), items=items, value=2_505)

    found = send(book, invoice_value=value, items=[evolve(SOUND, price=1_000)])

    assert [remark.rule for remark in found] == ["sum-of-items"] * odd


def test_what_belongs_to_no_line_counts_where_the_dialect_has_a_field_for_it() -> None:
    assert send(make_book(), invoice_value=2_505, extra_value=505, document=True) == ()


ODD: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "a SKU twice": ("repeated-sku", {"items": [SOUND, SOUND], "invoice_value": 4_000}, "880"),
    "no lines": ("no-items", {"items": ()}, "1163668"),
    "a SKU that the order lacks": (
        "unknown-sku",
        {"items": [make_item(id="77", item_index=None, price=2_000)]},
        "77",
    ),
    "a line that the order lacks": (
        "unknown-sku",
        {"items": [make_item(id=None, item_index=2, price=2_000)]},
        "itemIndex 2",
    ),
    **{
        f"the number {number!r}": ("invoice-number", {"invoice_number": number}, "953285")
        for number in ("NFe 1", "NFe1 ", "NFe/1", "NFe#1", "NFé1", "1.2")
    },
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_is_taken_and_remarked_on(kind: str) -> None:
    rule, changes, told = ODD[kind]

    (remark,) = send(make_book(), **changes)

    assert remark.rule == rule
    assert told in remark.message


@pytest.mark.parametrize("number", ["000030711", "NFe-00001", "DFG-v7731485plzv-01"])
def test_the_numbers_of_vtexs_own_examples_are_sound(number: str) -> None:
    assert send(make_book(), invoice_number=number) == ()


def test_a_number_that_is_sent_again_is_remarked_on() -> None:
    book = make_book()
    send(book)

    (remark,) = send(book)

    assert (remark.rule, remark.invoice_number) == ("number-again", "NFe1")


def test_what_is_refused_is_not_remarked_on() -> None:
    book = make_book(Rules(duplicates="reject"))
    send(book)

    again = book.invoice(ID, make_invoice(), AT, document=False)
    above = book.invoice(
        ID, make_invoice(type=INPUT, invoice_number="a b", invoice_value=9_999), AT, document=False
    )

    assert not isinstance(again, Receipt)
    assert not isinstance(above, Receipt)
    assert book.remarks == ()


def test_several_odd_things_are_told_one_by_one() -> None:
    lines = [make_item(id="77", price=1), make_item(id="77", price=2)]

    remarks = send(make_book(), invoice_number="a b", items=lines)

    assert [remark.rule for remark in remarks] == [
        "invoice-number",
        "repeated-sku",
        "unknown-sku",
        "sum-of-items",
    ]
