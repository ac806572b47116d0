"""What makes no sense is refused when it is made, field by field, and what is made stays as it is."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import ISSUED, make_invoice, make_item, make_tracking
from vtex_invoice_async import checks, models
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.models import (
    Invoice,
    Package,
    PackageItem,
    TrackingEvent,
    TrackingStatus,
)
from vtex_invoice_async.money import cents
from vtex_invoice_async.vocabulary import InvoiceType

NAIVE = datetime(2026, 1, 31, 18, 25, 43)  # noqa: DTZ001  it is what the tests refuse
HALF_A_PAIR = "\ud83d"


class Size(IntEnum):
    LARGE = 3


def make_event(**changes: Any) -> TrackingEvent:
    sound: dict[str, Any] = {
        "city": "Sao Paulo",
        "state": "SP",
        "description": "A caminho",
        "date": date(2015, 6, 24),
    }
    return TrackingEvent(**{**sound, **changes})


def make_status(**changes: Any) -> TrackingStatus:
    return TrackingStatus(**{"is_delivered": True, "delivered_date": ISSUED, **changes})


NO_WHOLE_NUMBERS = [
    24.99,
    2499.0,
    math.nan,
    math.inf,
    True,
    False,
    "2499",
    Decimal(2499),
    Decimal("NaN"),
    Fraction(2499),
    Size.LARGE,
    2**53,
    10**400,
    -1,
]
NO_TEXTS = [5, 24.99, True, b"x", ["x"], HALF_A_PAIR, f"<NFe>{HALF_A_PAIR}</NFe>"]
NO_NAMES = [*NO_TEXTS, None, "", "a\nb", "a\x00b", "a\x1b[31m", "a\u202eb", "a\u200bb", "a\u2028b"]
NO_MOMENTS = [NAIVE, date(2026, 1, 31), "2026-01-31T18:25:43Z", 1769883943, True]


def rows(
    make: Any, attribute: str, field: str, values: list[Any]
) -> list[tuple[Any, str, str, Any]]:
    return [(make, attribute, field, value) for value in values]


REFUSED = [
    *rows(make_item, "price", "price", [*NO_WHOLE_NUMBERS, None]),
    *rows(make_item, "quantity", "quantity", [*NO_WHOLE_NUMBERS, None, 0]),
    *rows(make_item, "item_index", "itemIndex", NO_WHOLE_NUMBERS),
    *rows(make_item, "id", "id", [name for name in NO_NAMES if name is not None]),
    *rows(make_item, "description", "description", NO_TEXTS),
    *rows(make_invoice, "type", "type", ["Output", "output", None, 1, True]),
    *rows(make_invoice, "invoice_number", "invoiceNumber", NO_NAMES),
    *rows(make_invoice, "invoice_value", "invoiceValue", [*NO_WHOLE_NUMBERS, None, 0]),
    *rows(make_invoice, "issuance_date", "issuanceDate", [*NO_MOMENTS, None]),
    *rows(make_invoice, "items", "items[0]", [[{"id": "1"}], "x", [None], {"id": "1"}]),
    *rows(make_invoice, "invoice_key", "invoiceKey", NO_TEXTS),
    *rows(make_invoice, "invoice_url", "invoiceUrl", NO_TEXTS),
    *rows(make_invoice, "embedded_invoice", "embeddedInvoice", NO_TEXTS),
    *rows(make_invoice, "courier", "courier", NO_TEXTS),
    *rows(make_invoice, "tracking_number", "trackingNumber", NO_TEXTS),
    *rows(make_invoice, "tracking_url", "trackingUrl", NO_TEXTS),
    *rows(make_invoice, "cfop", "cfop", NO_TEXTS),
    *rows(make_invoice, "dispatched_date", "dispatchedDate", NO_MOMENTS),
    *rows(make_invoice, "extra_value", "extraValue", NO_WHOLE_NUMBERS),
    *rows(make_invoice, "volumes", "volumes", NO_WHOLE_NUMBERS),
    *rows(make_tracking, "courier", "courier", [*NO_TEXTS, None]),
    *rows(make_tracking, "tracking_number", "trackingNumber", NO_NAMES),
    *rows(make_tracking, "tracking_url", "trackingUrl", NO_TEXTS),
    *rows(make_tracking, "dispatched_date", "dispatchedDate", NO_MOMENTS),
    *rows(make_event, "city", "city", [*NO_TEXTS, None]),
    *rows(make_event, "state", "state", [*NO_TEXTS, None]),
    *rows(make_event, "description", "description", [*NO_TEXTS, None]),
    *rows(make_event, "date", "date", [ISSUED, NAIVE, "2015-06-24", None]),
    *rows(make_status, "is_delivered", "isDelivered", [1, 0, "true", None]),
    *rows(make_status, "delivered_date", "deliveredDate", NO_MOMENTS),
    *rows(make_status, "events", "events[0]", [[{"city": "x"}], "x", [None]]),
]


@pytest.mark.parametrize(("make", "attribute", "field", "value"), REFUSED)
def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_field(
    make: Any, attribute: str, field: str, value: Any
) -> None:
    with pytest.raises(InvalidInvoice) as caught:
        make(**{attribute: value})

    assert [problem.field for problem in caught.value.problems] == [field]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"invoice_value": 24.99}, "decimals"),
        ({"invoice_value": 0}, "not-positive"),
        ({"invoice_number": ""}, "required"),
        ({"invoice_number": "a\n"}, "control-character"),
        ({"courier": 5}, "text"),
        ({"courier": HALF_A_PAIR}, "text"),
        ({"issuance_date": NAIVE}, "time-zone"),
        ({"type": "Output"}, "type"),
        ({"items": ["x"]}, "type"),
        ({"items": None}, "type"),
    ],
)
def test_a_problem_has_a_code_for_programs(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidInvoice) as caught:
        make_invoice(**changes)

    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize("nothing", [None, 5])
@pytest.mark.parametrize(("make", "attribute"), [(make_invoice, "items"), (make_status, "events")])
def test_what_is_no_list_is_refused_where_a_list_belongs(
    make: Any, attribute: str, nothing: object
) -> None:
    with pytest.raises(InvalidInvoice) as caught:
        make(**{attribute: nothing})

    assert [problem.field for problem in caught.value.problems] == [attribute]


def test_every_problem_of_a_value_is_told_at_once() -> None:
    with pytest.raises(InvalidInvoice) as caught:
        make_invoice(invoice_number="", invoice_value=24.99, issuance_date=NAIVE, cfop=5102)

    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["invoiceNumber", "invoiceValue", "issuanceDate", "cfop"]


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (make_item, {"price": 0, "item_index": 0, "description": ""}),
        (make_item, {"price": checks.MOST, "quantity": checks.MOST}),
        (make_item, {"id": None, "item_index": None, "description": None}),
        (make_item, {"description": "line\nfeed, tab\t, 😀"}),
        (make_invoice, {"invoice_value": 1, "items": []}),
        (make_invoice, {"invoice_value": checks.MOST, "extra_value": 0, "volumes": 0}),
        (make_invoice, {"embedded_invoice": '<?xml version="1.0"?>\n<NFe>ção</NFe>'}),
        (make_invoice, {"courier": "", "tracking_number": "", "tracking_url": ""}),
        (make_tracking, {"tracking_url": None, "dispatched_date": None, "courier": ""}),
        (make_event, {"city": "", "state": "", "description": ""}),
        (make_status, {"is_delivered": False, "delivered_date": None, "events": []}),
    ],
)
def test_what_vtex_takes_is_taken_as_it_is(make: Any, changes: dict[str, Any]) -> None:
    value = make(**changes)

    kept = {name: getattr(value, name) for name in changes}
    assert kept == {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}


def test_lists_and_generators_become_tuples() -> None:
    item, event = make_item(), make_event()

    invoice = make_invoice(items=[item])
    status = make_status(events=(each for each in [event]))

    assert invoice.items == (item,)
    assert status.events == (event,)
    assert hash(invoice) == hash(make_invoice(items=(item,)))


@pytest.mark.parametrize("name", ["embedded_invoice", "invoice_key", "invoice_url"])
def test_what_leads_to_the_shopper_is_not_printed(name: str) -> None:
    invoice = make_invoice(**{name: "about Maria"})

    assert "Maria" not in repr(invoice)
    assert invoice != make_invoice()


def test_what_an_order_shows_of_it_is_not_printed_either() -> None:
    package = Package(invoice_key="about Maria", invoice_url="https://maria.example/Maria")

    assert "Maria" not in repr(package)


def test_what_was_sold_is_not_printed() -> None:
    sold, shown = make_item(description="for Maria"), PackageItem(description="for Maria")

    assert "Maria" not in repr(sold) + repr(shown)


VALUES = [
    make_invoice(),
    make_item(),
    make_tracking(),
    make_event(),
    make_status(),
    models.Receipt(date=None, raw_date=None, order_id=None, receipt="527b"),
    models.OrderTotal(value=1),
    models.PriceDefinition(),
    models.OrderItem(id="18", quantity=1),
    models.PackageItem(),
    models.CourierEvent(),
    models.CourierStatus(),
    models.Package(),
    models.Order(order_id="v5lux-01", value=1),
]


def test_every_value_of_the_models_is_among_those_tested() -> None:
    made = {value.__class__.__name__ for value in VALUES}

    words = {"InvoiceType", "OrderStatus", "cents"}
    assert made == set(models.__all__) - words


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_cannot_be_changed(value: attrs.AttrsInstance) -> None:
    first = attrs.fields(type(value))[0].name

    with pytest.raises(FrozenInstanceError):
        setattr(value, first, "other")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_holds_nothing_but_its_fields(value: attrs.AttrsInstance) -> None:
    assert not hasattr(value, "__dict__")
    assert all(field.kw_only for field in attrs.fields(type(value)))


def test_changing_a_copy_checks_it_again() -> None:
    with pytest.raises(InvalidInvoice, match="invoiceValue"):
        attrs.evolve(make_invoice(), invoice_value=0)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("24.99", 2499),
        ("24.9", 2490),
        ("24", 2400),
        ("0", 0),
        ("0.01", 1),
        ("00.10", 10),
        ("4.35", 435),  # int(4.35 * 100) is 434
        ("19.99", 1999),  # int(19.99 * 100) is 1998
        ("99999999999999.99", 9999999999999999),
        (Decimal("24.99"), 2499),
        (Decimal("24.9900"), 2499),
        (Decimal("1E+2"), 10000),
        (Decimal("2499E-2"), 2499),
        (Decimal(0), 0),
    ],
)
def test_decimal_text_becomes_exact_cents(amount: str | Decimal, expected: int) -> None:
    assert cents(amount) == expected


@pytest.mark.parametrize(
    "amount",
    [
        24.99,
        math.nan,
        2499,
        True,
        None,
        b"24.99",
        Path("24.99"),
        "",
        " ",
        " 24.99",
        "24.99\n",
        "24,99",
        "1,234.56",
        "1.234,56",
        "1_000",
        "24.999",
        "24.",
        ".99",
        "+24.99",
        "-24.99",
        "1e3",
        "NaN",
        "Infinity",
        "R$ 24.99",
        "\uff12\uff14.\uff19\uff19",  # full-width digits
        "\u0662\u0664.\u0669\u0669",  # Arabic digits
        "999999999999999",
        Decimal(-1),
        Decimal("-0"),
        Decimal("24.999"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("1E+20"),
        Decimal("1E-20"),
        # More digits than the 28 of decimal's own context, which would round them away.
        Decimal("24.990000000000000000000000000000001"),
    ],
)
def test_what_is_no_exact_amount_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidInvoice) as caught:
        cents(amount)

    assert [problem.code for problem in caught.value.problems] == ["money"]


@settings(max_examples=100, deadline=None)
@given(st.decimals(min_value=0, max_value=10**14 - 1, places=2), st.booleans())
def test_cents_agree_with_decimal(amount: Decimal, as_text: bool) -> None:
    expected = int(amount.scaleb(2))

    assert cents(str(amount) if as_text else amount) == expected


@settings(max_examples=100, deadline=None)
@given(st.decimals() | st.text(max_size=20))
def test_an_amount_is_exact_or_refused(amount: Decimal | str) -> None:
    try:
        found = cents(amount)
    except InvalidInvoice:
        return

    assert Fraction(found) == Fraction(Decimal(amount)) * 100


@pytest.mark.parametrize("precision", [1, 3, 5])
def test_cents_do_not_depend_on_the_precision_that_a_caller_works_with(precision: int) -> None:
    with localcontext() as context:
        context.prec = precision

        found = cents(Decimal("1234.56"))

    assert found == 123456


def test_an_invoice_is_made_by_names_alone() -> None:
    made: Any = Invoice

    with pytest.raises(TypeError):
        made(InvoiceType.OUTPUT, "NFe1", 2499, datetime(2026, 1, 31, tzinfo=UTC))
