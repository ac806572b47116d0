"""A file of JSON lines is read strictly, and what is wrong is told by line, column and field."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.json_lines import read_json_lines
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.rows import BadRow, Row, RowProblem
from vtex_invoice_async.models import Invoice, InvoiceItem
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

OMS, PII, PII_2022 = OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022

LINE = (
    '{"orderId":"v5lux-01","type":"Output","issuanceDate":"2026-01-31T18:25:43Z",'
    '"invoiceNumber":"NFe1","invoiceValue":"2499",'
    '"items":[{"id":"1234","price":2499,"quantity":1}]}'
)
PII_LINE = (
    '{"orderId":"v5lux-01","type":"Output","issuedDate":"2026-01-31",'
    '"invoiceNumber":"NFe1","invoiceValue":2499,"items":[{"itemIndex":0,"price":2499,"quantity":1}]}'
)
JOB = InvoiceJob(
    order_id="v5lux-01",
    invoice=Invoice(
        type=InvoiceType.OUTPUT,
        invoice_number="NFe1",
        invoice_value=2499,
        issuance_date=datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC),
        items=(InvoiceItem(id="1234", price=2499, quantity=1),),
    ),
)


def read(content: str | bytes, dialect: OrdersApi = OMS) -> list[Row | BadRow]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read_json_lines(io.BytesIO(raw), dialect))


def sound(content: str | bytes, dialect: OrdersApi = OMS) -> Row:
    (row,) = read(content, dialect)
    assert isinstance(row, Row)
    return row


def bad(content: str | bytes, dialect: OrdersApi = OMS) -> tuple[RowProblem, ...]:
    (row,) = read(content, dialect)
    assert isinstance(row, BadRow)
    return row.problems


def with_keys(line: str = LINE, /, **changes: Any) -> str:
    return json.dumps({**json.loads(line), **changes}, ensure_ascii=False)


def test_a_line_is_an_invoice_and_what_would_be_sent() -> None:
    row = sound(LINE)

    sent = json.loads(LINE) | {"issuanceDate": "2026-01-31T18:25:43+00:00"}
    del sent["orderId"]
    assert (row.line, row.job, row.warnings) == (1, JOB, ())
    assert json.loads(row.body) == sent


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (LINE, [1]),
        (f"{LINE}\n", [1]),
        (f"{LINE}\r\n{LINE}\r\n", [1, 2]),
        (f"\n  \t\r\n{LINE}\n\n\n{LINE}", [3, 6]),
        (f"\ufeff{LINE}\n{LINE}", [1, 2]),
        (f"\ufeff\r\n{LINE}", [2]),
        (f"  {LINE}  ", [1]),
        ("", []),
        ("\ufeff", []),
        ("\n\r\n \n", []),
    ],
)
def test_rows_are_numbered_as_the_lines_of_the_file(content: str, lines: list[int]) -> None:
    rows = read(content)

    assert [row.line for row in rows] == lines
    assert all(isinstance(row, Row) for row in rows)


def test_a_bad_row_does_not_cost_the_others() -> None:
    rows = read(f"{LINE}\n{{\n{LINE}\n\nnull\n{LINE}")

    assert [(row.line, type(row)) for row in rows] == [
        (1, Row),
        (2, BadRow),
        (3, Row),
        (5, BadRow),
        (6, Row),
    ]


@pytest.mark.parametrize("absent", [None, ""])
@pytest.mark.parametrize("key", ["invoiceKey", "courier", "trackingUrl", "dispatchedDate", "cfop"])
def test_null_and_empty_text_count_as_absent(key: str, absent: str | None) -> None:
    assert sound(with_keys(**{key: absent})) == sound(LINE)


@pytest.mark.parametrize("absent", [None, ""])
def test_null_and_empty_text_count_as_absent_in_items_too(absent: str | None) -> None:
    item = {"id": "1234", "price": 2499, "quantity": 1}

    assert sound(with_keys(items=[{**item, "description": absent}])) == sound(LINE)
    (found,) = bad(with_keys(items=[{**item, "id": absent}]))
    assert (found.problem.field, found.problem.code) == ("items[0].id", "missing")


@pytest.mark.parametrize("absent", [None, ""])
@pytest.mark.parametrize(
    "key", ["orderId", "type", "issuanceDate", "invoiceNumber", "invoiceValue"]
)
def test_what_must_be_there_cannot_be_null_or_empty(key: str, absent: str | None) -> None:
    fields = [
        (found.problem.field, found.problem.code) for found in bad(with_keys(**{key: absent}))
    ]

    assert fields == [(key, "required")]


@pytest.mark.parametrize("number", [2499, "2499"])
def test_the_value_of_an_invoice_may_be_digits(number: object) -> None:
    assert sound(with_keys(invoiceValue=number)) == sound(LINE)


@pytest.mark.parametrize("number", [0, "0"])
def test_the_index_of_an_item_may_be_digits(number: object) -> None:
    item = {"itemIndex": number, "price": 2499, "quantity": 1}

    assert sound(with_keys(PII_LINE, items=[item]), PII) == sound(PII_LINE, PII)


@pytest.mark.parametrize("job", [{"line": 7, "state": "rejected"}, "x", 5, None, [1.5]])
def test_what_export_adds_is_ours_and_ignored(job: object) -> None:
    assert sound(with_keys(job=job)) == sound(LINE)


@pytest.mark.parametrize(("dialect", "line"), [(OMS, LINE), (PII, PII_LINE), (PII_2022, LINE)])
def test_a_row_is_written_in_the_names_of_its_dialect(dialect: OrdersApi, line: str) -> None:
    other = PII_LINE if line == LINE else LINE

    assert sound(line, dialect).job.order_id == "v5lux-01"
    assert {"unknown-key", "required"} == {found.problem.code for found in bad(other, dialect)}


# What is changed in the line, where the value is that is wrong, and what is told of it.
WRONG = [
    ('"invoiceValue":"2499"', '"invoiceValue":24.99', "24.99", "invoiceValue", "decimals"),
    ('"invoiceValue":"2499"', '"invoiceValue":"24.99"', '"24.99"', "invoiceValue", "decimals"),
    ('"invoiceValue":"2499"', '"invoiceValue": 0', "0,", "invoiceValue", "not-positive"),
    ('"invoiceValue":"2499"', '"invoiceValue":true', "true", "invoiceValue", "whole-number"),
    ('"price":2499', '"price": \t 24.99', "24.99", "items[0].price", "decimals"),
    ('"price":2499', '"price":2499.0', "2499.0", "items[0].price", "decimals"),
    ('"price":2499', '"price":"2499"', '"2499",\\"q', "items[0].price", "whole-number"),
    ('"quantity":1', '"quantity":0', "0}", "items[0].quantity", "quantity"),
    (',"quantity":1', "", '{"id"', "items[0].quantity", "required"),
    (',"quantity":1', ',"colour":"red","quantity":1', '"red"', "items[0].colour", "unknown-key"),
    ("}]}", '},{"id":"5"}]}', '{"id":"5"', "items[1].price", "required"),
    ("}]}", "},7]}", "7]", "items[1]", "value"),
    ('"items":[', '"items":5,"x":[', "5,", "items", "value"),
    ('"type":"Output"', '"type":"output"', '"output"', "type", "value"),
    ('"type":"Output",', "", "{", "type", "required"),
    ('"NFe1"', "17", "17", "invoiceNumber", "value"),
    ('"NFe1"', '"N\\u0007"', '"N\\u0007"', "invoiceNumber", "control-character"),
    ('"NFe1"', '"\\ud800"', '"\\ud800"', "invoiceNumber", "control-character"),
    ('"2026-01-31T18:25:43Z"', '"31/01/2026"', '"31/01', "issuanceDate", "value"),
    ('"orderId":"v5lux-01",', "", "{", "orderId", "required"),
    ('"v5lux-01"', "5", "5", "orderId", "required"),
    ('"v5lux-01"', '"../x?y#z"', '"../x', "orderId", "order-id"),
    ('"v5lux-01"', '"seq501456"', '"seq', "orderId", "order-id"),
    ('{"orderId"', '{"InvoiceValue":1,"orderId"', "1,", "InvoiceValue", "unknown-key"),
    ('{"orderId"', '{"cfop":"5102","orderId"', '"5102"', "cfop", "unknown-key"),
    ('{"orderId"', '{"extraValue":1,"orderId"', "1,", "extraValue", "unknown-key"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "at", "field", "code"), WRONG)
def test_a_problem_is_told_by_field_and_by_the_column_of_its_value(
    old: str, new: str, at: str, field: str, code: str
) -> None:
    line = LINE.replace(old, new)

    told = {found.problem.field: (found.problem.code, found.column) for found in bad(line)}

    assert told[field] == (code, line.index(at.replace('\\"q', '"q')) + 1)


def test_every_problem_of_a_row_is_told_at_once() -> None:
    line = LINE.replace("2499", "24.99").replace('"id"', '"Id"')

    told = {found.problem.field for found in bad(f"\n\n{line}")}

    assert told == {"invoiceValue", "items[0].price", "items[0].Id"}
    assert str(bad(f"\n\n{line}")[0]).startswith("3:")


# A line of which nothing can be read, where it breaks, and what is told.
BROKEN: list[tuple[str | bytes, int, str]] = [
    ("{", 2, "is not JSON"),
    ("]", 1, "is not JSON"),
    (LINE[:-1], len(LINE), "is not JSON"),
    (LINE + ",", len(LINE) + 1, "is not JSON"),
    (LINE + LINE, len(LINE) + 1, "is not JSON"),
    (LINE.replace("2499,", "NaN,"), 1, "NaN is no JSON number"),
    (LINE.replace("2499,", "Infinity,"), 1, "Infinity is no JSON number"),
    (LINE.replace("2499,", "-Infinity,"), 1, "-Infinity is no JSON number"),
    (LINE.replace("2499,", "9" * 5000 + ","), 1, "is not JSON"),
    ("[" * 100_000, 1, "is not JSON"),
    ('{"a":' * 100_000, 1, "is not JSON"),
    ("\u00a0", 1, "is not JSON"),
    ("null", 1, "must be a JSON object"),
    ("5", 1, "must be a JSON object"),
    (f"[{LINE}]", 1, "must be a JSON object"),
    ('"text"', 1, "must be a JSON object"),
    ('{"orderId":"1","orderId":"1"}', 16, "has the key 'orderId' twice"),
    ('{"orderId":"1","orderId":null}', 16, "has the key 'orderId' twice"),
    ('{"items":[{"id":"1","id":"2"}]}', 21, "has the key 'id' twice"),
    ('{"é":1,"é":2}', 8, "has the key 'é' twice"),
    ('{"\\u00e9":1,"\\u00e9":2}', 1, "has the key 'é' twice"),
    ('{"job":{"a":1,"a":1}}', 15, "has the key 'a' twice"),
    (b'{"orderId":"\xe7"}', 13, "is not UTF-8"),
    (LINE.encode("utf-16"), 1, "is not UTF-8"),
    (b"x" * (LONGEST_LINE + 1), 1, f"is longer than {LONGEST_LINE} bytes"),
    (b" " * LONGEST_LINE + b"x" * LONGEST_LINE + b"\n", 1, "is longer than"),
]


@pytest.mark.parametrize(("content", "column", "message"), BROKEN)
def test_a_line_that_cannot_be_read_is_told_with_the_place_where_it_breaks(
    content: str | bytes, column: int, message: str
) -> None:
    first = read(content)[0]

    assert isinstance(first, BadRow)
    assert [(found.line, found.column) for found in first.problems] == [(1, column)]
    assert message in first.problems[0].problem.message
    assert (first.problems[0].problem.code, first.problems[0].problem.field) == ("line", "")
    assert len(str(first.problems[0])) < 300


def test_lines_after_one_that_is_too_long_keep_their_numbers() -> None:
    long = b'{"x":"' + b"x" * (3 * LONGEST_LINE) + b'"}'

    rows = read(LINE.encode() + b"\n" + long + b"\n" + LINE.encode())

    assert [(row.line, type(row)) for row in rows] == [(1, Row), (2, BadRow), (3, Row)]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_of_just_the_longest_length_is_read(end: str) -> None:
    line = with_keys(
        embeddedInvoice="x" * (LONGEST_LINE - len(with_keys(embeddedInvoice="."))) + "x"
    )

    row = sound(line + end)

    assert len(line) == LONGEST_LINE == 1024 * 1024
    assert row.job.order_id == "v5lux-01"


# VTEX takes a date without an offset as UTC: three hours off in Brazil, so that it may mean a day.
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("issuanceDate", "2026-01-31T18:25:43"),
        ("issuanceDate", "2026-01-31T18:25"),
        ("issuanceDate", "2026-01-31T18:25:43.4617653"),
        ("issuanceDate", "2026-01-31 18:25:43"),
        ("issuanceDate", "2026-01-31"),
        ("dispatchedDate", "2026-01-31T18:25:43"),
        ("dispatchedDate", "2026-01-31 18:25"),
    ],
)
def test_a_time_without_an_offset_is_utc_and_worth_a_warning(key: str, text: str) -> None:
    line = with_keys(**{key: text})

    row = sound(line)

    told = [(found.problem.code, found.problem.field, found.column) for found in row.warnings]
    column = line.index(f'"{text}"') + 1
    also = [("date-without-time", key, column)] if text == "2026-01-31" else []
    assert told == [("no-offset", key, column), *also]
    assert b"+00:00" in row.body


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T18:25:43Z",
        "2026-01-31T18:25:43-03:00",
        "2026-01-31T18:25:43-0300",
        "2026-01-31 18:25+00:00",
    ],
)
def test_a_time_with_an_offset_needs_no_warning(text: str) -> None:
    assert sound(with_keys(issuanceDate=text, dispatchedDate=text)).warnings == ()


def test_a_day_is_all_that_the_pii_dialects_send() -> None:
    assert sound(PII_LINE, PII).warnings == ()
    assert sound(with_keys(issuanceDate="2026-01-31"), PII_2022).warnings == ()


def test_of_a_row_with_very_many_problems_the_first_are_told_and_the_rest_counted() -> None:
    items = ",".join(["{}"] * 2_000)
    line = f'{{"orderId":"1","items":[{items}]}}'.encode()

    (row,) = read_json_lines(io.BytesIO(line), OrdersApi.OMS)

    assert isinstance(row, BadRow)
    assert len(row.problems) == 21
    assert "more problems" in str(row.problems[-1])
