"""Reading is strict where money is and open where VTEX may grow; nothing is dropped in silence."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import asdict, frozen
from cattrs.errors import BaseValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.factories import make_invoice, make_item
from vtex_invoice_async.encodings import MOST_BAD
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.models import (
    Invoice,
    Receipt,
    TrackingInfo,
    TrackingStatus,
)
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import (
    converter,
    encode_body,
    inexpressible,
    problems_of,
    row_converter,
)

OMS, PII, PII_2022 = OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022

Json = dict[str, Any]

OMS_ROW: Json = {
    "type": "Output",
    "issuanceDate": "2026-01-31T18:25:43Z",
    "invoiceNumber": "NFe1",
    "invoiceValue": "2499",
    "items": [{"id": "1234", "price": 2499, "quantity": 1}],
}
PII_ROW: Json = {
    "type": "Output",
    "issuedDate": "2026-01-31",
    "invoiceNumber": "NFe1",
    "invoiceValue": 2499,
    "items": [{"itemIndex": 0, "price": 2499, "quantity": 1}],
}
ROWS = {OMS: OMS_ROW, PII: PII_ROW, PII_2022: OMS_ROW}


def with_item(row: Json, **changes: Any) -> Json:
    return {**row, "items": [{**row["items"][0], **changes}]}


def problems(document: Any, dialect: OrdersApi = OMS, kind: type[Any] = Invoice) -> dict[str, str]:
    """What keeps a document from being read as people's rows are: code by field."""
    with pytest.raises(BaseValidationError) as caught:
        row_converter(dialect).structure(document, kind)
    return {problem.field: problem.code for problem in problems_of(caught.value, dialect)}


WITH_DECIMALS = [24.99, 2499.0]
NO_WHOLE_NUMBERS = [*WITH_DECIMALS, True, False, [2499], {"cents": 2499}, math.nan]
NO_TEXTS = [5, 24.99, True, ["x"], {"x": "y"}]


@pytest.mark.parametrize("number", [*NO_WHOLE_NUMBERS, "2499", None])
@pytest.mark.parametrize("key", ["price", "quantity"])
@pytest.mark.parametrize("dialect", OrdersApi)
def test_only_a_whole_number_is_a_price_or_a_quantity(
    dialect: OrdersApi, key: str, number: Any
) -> None:
    row = with_item(ROWS[dialect], **{key: number})

    has_decimals = key == "price" and number in WITH_DECIMALS
    code = "decimals" if has_decimals else "whole-number"
    assert problems(row, dialect) == {f"items[0].{key}": code}


AMOUNTS_WITH_DECIMALS = [*WITH_DECIMALS, "24.99", "24,99", "2499.0", "1.234,56", "1e3"]
NO_DIGITS = [
    *NO_WHOLE_NUMBERS,
    *AMOUNTS_WITH_DECIMALS,
    None,
    "",
    " 2499",
    "-2499",
    "+2499",
    "2_499",
    "\uff12\uff14",  # full-width digits
    "9" * 17,
]


@pytest.mark.parametrize("number", NO_DIGITS)
@pytest.mark.parametrize("dialect", OrdersApi)
def test_the_value_of_an_invoice_is_a_whole_number_or_its_digits(
    dialect: OrdersApi, number: Any
) -> None:
    row = {**ROWS[dialect], "invoiceValue": number}

    code = "decimals" if number in AMOUNTS_WITH_DECIMALS else "whole-number"
    code = "not-positive" if number == "-2499" else code
    assert problems(row, dialect) == {"invoiceValue": code}


@pytest.mark.parametrize("number", [value for value in NO_DIGITS if value is not None])
def test_the_index_of_an_item_is_a_whole_number_or_its_digits(number: Any) -> None:
    told = problems(with_item(PII_ROW, itemIndex=number), PII)

    assert told == {"items[0].itemIndex": "whole-number"}


@pytest.mark.parametrize("written", [2499, "2499", "02499"])
@pytest.mark.parametrize("dialect", OrdersApi)
def test_digits_read_as_the_number_they_write(dialect: OrdersApi, written: Any) -> None:
    row = {**ROWS[dialect], "invoiceValue": written}

    assert row_converter(dialect).structure(row, Invoice).invoice_value == 2499


@pytest.mark.parametrize("text", NO_TEXTS)
@pytest.mark.parametrize("key", ["invoiceNumber", "invoiceKey", "courier", "trackingNumber"])
def test_only_text_is_text(key: str, text: Any) -> None:
    assert problems({**OMS_ROW, key: text}) == {key: "value"}


def test_null_is_never_the_text_none() -> None:
    assert problems({**OMS_ROW, "invoiceNumber": None}) == {"invoiceNumber": "value"}
    assert row_converter(OMS).structure({**OMS_ROW, "courier": None}, Invoice).courier is None


@pytest.mark.parametrize("word", ["output", "INPUT", "Sale", "", None, 1, True, ["Output"], {}])
def test_a_type_is_one_of_two_words(word: Any) -> None:
    assert problems({**OMS_ROW, "type": word}) == {"type": "value"}


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2026-01-31T24:01:00Z",
        "2026-01-31T18:25:43+25:00",
        "2026-01-31T18:25:43Z\n",
        "2026-W05-6",
        "20260131",
        "31/01/2026",
        "1769883943",
        "\uff12026-01-31",
        1769883943,
        None,
        True,
    ],
)
def test_a_date_is_written_in_full(text: Any) -> None:
    assert problems({**OMS_ROW, "issuanceDate": text}) == {"issuanceDate": "value"}


@pytest.mark.parametrize(
    "day",
    ["2015-06-23T10:00:00Z", "20150623", "2015-W26-2", "2015-02-30", "23/06/2015", "", None, 5],
)
def test_the_day_of_an_event_is_a_day_and_no_more(day: Any) -> None:
    event = {"city": "x", "state": "x", "description": "x", "date": day}
    document = {"isDelivered": False, "deliveredDate": None, "events": [event]}

    assert problems(document, kind=TrackingStatus) == {"events[0].date": "value"}


@pytest.mark.parametrize("answer", [1, 0, "true", None, [], 1.0])
def test_only_true_and_false_say_whether_it_was_delivered(answer: Any) -> None:
    document = {"isDelivered": answer, "deliveredDate": None, "events": []}

    assert problems(document, kind=TrackingStatus) == {"isDelivered": "value"}


@pytest.mark.parametrize("items", [{}, {"0": {}}, "ab", 5, True, None])
def test_only_a_json_list_is_a_list(items: Any) -> None:
    assert problems({**OMS_ROW, "items": items}) == {"items": "value"}


@pytest.mark.parametrize("item", [None, 5, "x", []])
def test_only_a_json_object_is_an_item(item: Any) -> None:
    assert problems({**OMS_ROW, "items": [OMS_ROW["items"][0], item]}) == {"items[1]": "value"}


@pytest.mark.parametrize("key", ["type", "issuanceDate", "invoiceNumber", "invoiceValue"])
def test_a_key_that_is_missing_is_told(key: str) -> None:
    row = {name: value for name, value in OMS_ROW.items() if name != key}

    assert problems(row) == {key: "required"}


def test_every_problem_has_its_place_in_the_names_of_the_dialect() -> None:
    row = {
        "issuedDate": "today",
        "invoiceNumber": "",
        "invoiceValue": 24.99,
        "items": [PII_ROW["items"][0], {"price": 1.5, "Quantity": 1}],
        "embeddedInvoice": "<NFe/>",
    }

    assert problems(row, PII) == {
        "type": "required",
        "issuedDate": "value",
        "invoiceValue": "decimals",
        "items[1].price": "decimals",
        "items[1].quantity": "required",
        "items[1].Quantity": "unknown-key",
        "embeddedInvoice": "unknown-key",
    }


def test_what_the_model_refuses_has_its_place_too() -> None:
    in_item = problems(with_item(OMS_ROW, quantity=0))
    in_invoice = problems({**OMS_ROW, "invoiceValue": 0, "invoiceNumber": ""})

    assert in_item == {"items[0].quantity": "quantity"}
    assert in_invoice == {"invoiceValue": "not-positive", "invoiceNumber": "required"}


@pytest.mark.parametrize("dialect", OrdersApi)
def test_a_key_that_is_not_known_is_ignored_in_answers_and_refused_in_rows(
    dialect: OrdersApi,
) -> None:
    row = with_item({**ROWS[dialect], "invoicenumber": "9"}, colour="red")

    invoice = converter(dialect).structure(row, Invoice)

    assert invoice == converter(dialect).structure(ROWS[dialect], Invoice)
    assert problems(row, dialect) == {
        "items[0].colour": "unknown-key",
        "invoicenumber": "unknown-key",
    }


def test_null_counts_as_absent_where_a_field_may_be_absent() -> None:
    nulls = dict.fromkeys(("invoiceKey", "invoiceUrl", "courier", "dispatchedDate"))

    invoice = converter(OMS).structure({**OMS_ROW, **nulls}, Invoice)

    assert invoice == converter(OMS).structure(OMS_ROW, Invoice)
    assert not nulls.keys() & json.loads(encode_body(invoice, OMS)).keys()


def test_a_class_that_a_program_derives_is_written_as_its_base() -> None:
    @frozen(kw_only=True)
    class Ours(Invoice):
        note: str

    plain = make_invoice()
    ours = Ours(**asdict(plain, recurse=False), note="of ours")

    assert encode_body(ours, OMS) == encode_body(plain, OMS)


def test_every_key_of_the_tracking_calls_is_always_sent() -> None:
    tracking = TrackingInfo(courier="c", tracking_number="1")
    status = TrackingStatus(is_delivered=False)

    sent = [json.loads(encode_body(value, OMS)) for value in (tracking, status)]

    assert sent == [
        {"courier": "c", "trackingNumber": "1", "trackingUrl": None, "dispatchedDate": None},
        {"isDelivered": False, "deliveredDate": None, "events": []},
    ]


def test_the_items_of_an_invoice_are_sent_even_if_there_are_none() -> None:
    invoice = make_invoice(items=[])

    assert [json.loads(encode_body(invoice, api))["items"] for api in OrdersApi] == [[], [], []]


FOREIGN: list[tuple[OrdersApi, Json, str]] = [
    *((PII, {name: "x"}, field) for name, field in [("embedded_invoice", "embeddedInvoice")]),
    (PII, {"dispatched_date": make_invoice().issuance_date}, "dispatchedDate"),
    (PII, {"items": [make_item(description="x")]}, "items[0].description"),
    (PII_2022, {"items": [make_item(description="x")]}, "items[0].description"),
    (PII, {"items": [make_item(), make_item(item_index=None)]}, "items[1].itemIndex"),
    (OMS, {"items": [make_item(), make_item(id=None)]}, "items[1].id"),
    (PII_2022, {"items": [make_item(id=None)]}, "items[0].id"),
    *((api, {"extra_value": 0}, "extraValue") for api in (OMS, PII_2022)),
    *((api, {"cfop": "5102"}, "cfop") for api in (OMS, PII_2022)),
    *((api, {"volumes": 1}, "volumes") for api in (OMS, PII_2022)),
]


@pytest.mark.parametrize(("dialect", "changes", "field"), FOREIGN)
def test_what_a_dialect_cannot_say_is_refused_by_its_name(
    dialect: OrdersApi, changes: Json, field: str
) -> None:
    invoice = make_invoice(**changes)

    told = [(problem.field, problem.code) for problem in inexpressible(invoice, dialect)]

    missing = field.endswith((".id", ".itemIndex"))
    assert told == [(field, "missing" if missing else "not-in-dialect")]
    with pytest.raises(InvalidInvoice, match=str(dialect)):
        encode(NotifyInvoice(order_id="1", invoice=invoice), dialect)


@pytest.mark.parametrize("dialect", OrdersApi)
def test_an_item_with_both_of_its_names_fits_every_dialect(dialect: OrdersApi) -> None:
    sent = json.loads(encode_body(make_invoice(), dialect))["items"][0]

    line = {"itemIndex": 0} if dialect is PII else {"id": "1234"}
    assert not list(inexpressible(make_invoice(), dialect))
    assert sent == {**line, "price": 2499, "quantity": 1}


@pytest.mark.parametrize(
    ("dialect", "written"),
    [
        (OMS, {"issuanceDate": "2026-01-31T23:30:00-03:00"}),
        (PII, {"issuedDate": "2026-01-31"}),
        (PII_2022, {"issuanceDate": "2026-01-31"}),
    ],
)
def test_an_invoice_is_dated_in_its_own_zone(dialect: OrdersApi, written: Json) -> None:
    late = datetime(2026, 1, 31, 23, 30, tzinfo=timezone(timedelta(hours=-3)))

    sent = json.loads(encode_body(make_invoice(issuance_date=late), dialect))

    assert {key: sent[key] for key in sent if "Date" in key} == written


def test_a_delivery_is_told_to_the_minute_in_its_own_zone() -> None:
    late = datetime(2026, 1, 31, 23, 30, 59, tzinfo=timezone(timedelta(hours=-3)))

    sent = json.loads(encode_body(TrackingStatus(is_delivered=True, delivered_date=late), OMS))

    assert sent["deliveredDate"] == "2026-01-31 23:30"


def test_a_year_has_four_digits_however_long_ago_it_was() -> None:
    long_ago = datetime(999, 6, 1, 10, tzinfo=UTC)

    sent = json.loads(encode_body(TrackingStatus(is_delivered=True, delivered_date=long_ago), OMS))

    assert sent["deliveredDate"] == "0999-06-01 10:00"


def test_of_a_list_only_so_many_bad_members_are_told() -> None:
    row = {**OMS_ROW, "items": [{}] * 1_000}

    with pytest.raises(BaseValidationError) as caught:
        row_converter(OMS).structure(row, Invoice)

    told = [problem.field for problem in problems_of(caught.value, OMS)]
    assert len(told) == 2 * MOST_BAD
    assert told[-1].startswith(f"items[{MOST_BAD - 1}].")


@pytest.mark.parametrize("dialect", OrdersApi)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_a_dialect_can_say_comes_back(dialect: OrdersApi, data: st.DataObject) -> None:
    value = data.draw(
        strategies.invoices(dialect)
        | strategies.trackings
        | strategies.statuses
        | strategies.orders
    )

    document = json.loads(encode_body(value, dialect))

    assert converter(dialect).structure(document, type(value)) == value
    assert not isinstance(value, Invoice) or not list(inexpressible(value, dialect))


def test_a_receipt_is_written_as_vtex_writes_it() -> None:
    receipt = Receipt(date=None, raw_date="2019", order_id="1", receipt="527b")

    written = converter(OMS).unstructure(receipt)

    assert written == {"date": "2019", "orderId": "1", "receipt": "527b"}
