"""Whatever stands in a file, every line of it is either sound or told, and nothing is raised."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.json_lines import read_json_lines
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import encode_body

LINE = (
    b'{"orderId":"v5lux-01","type":"Output","issuanceDate":"2026-01-31T18:25:43Z",'
    b'"invoiceNumber":"NFe1","invoiceValue":"2499",'
    b'"items":[{"id":"1234","price":2499,"quantity":1}]}'
)
DEEPEST = 1000

KEYS = [
    "orderId", "type", "issuanceDate", "issuedDate", "invoiceNumber", "invoiceValue", "items",
    "id", "itemIndex", "price", "quantity", "job", "cfop",
    # What looks like a way to a place, and is a key.
    "items.7", "items[7]", "[0]", ".", "", "0", "items.-1", "a\nb", "a\u001bb", '"', "\\",
]  # fmt: skip
VALUES = [
    "v5lux-01", "Output", "NFe1", "2026-01-31T18:25:43Z", "2026-01-31", "2499", "", "..",
    "\ud800", 2499, 0, -1, 24.99, 1e400, True, None, 10**30,
]  # fmt: skip
documents = st.recursive(
    st.sampled_from(VALUES) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)
lines = (
    documents.map(lambda document: json.dumps(document).encode())
    | st.just(LINE)
    | st.binary(max_size=30)
    | st.sampled_from([b"", b" ", b"\r", b"\x0b\x0c", b"\xef\xbb\xbf", b"{}", b"[]"])
)
files = st.lists(lines, max_size=5).map(b"\n".join) | st.binary(max_size=200)


def rows_of(content: bytes, dialect: OrdersApi = OrdersApi.OMS) -> list[Row | BadRow]:
    return list(read_json_lines(io.BytesIO(content), dialect))


@settings(max_examples=300, deadline=None)
@given(content=files, dialect=st.sampled_from(OrdersApi))
@example(content=b'{"orderId":"1","items":[],"items.7":1}', dialect=OrdersApi.OMS)
def test_every_line_that_is_not_blank_is_a_row_or_a_bad_row(
    content: bytes, dialect: OrdersApi
) -> None:
    expected = [
        number
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1)
        if line.strip()
    ]

    rows = rows_of(content, dialect)

    assert [row.line for row in rows] == expected
    for row in rows:
        if isinstance(row, BadRow):
            assert row.problems
            assert all(found.line == row.line and found.column >= 1 for found in row.problems)


@pytest.mark.parametrize("key", ["items.7", "items[7]", "items.99999999999999999999"])
def test_a_key_that_looks_like_a_way_to_an_item_is_an_unknown_key(key: str) -> None:
    line = json.dumps({**json.loads(LINE), key: 1}).encode()

    (row,) = rows_of(line)

    assert isinstance(row, BadRow)
    assert [(found.problem.code, found.problem.field) for found in row.problems] == [
        ("unknown-key", key)
    ]


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_line_of_any_depth_is_told_and_not_raised(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deep = [
        f'{{"x":{opening * depth}1{closing * depth},"orderId":5}}'.encode()
        for depth in range(DEEPEST - 100, DEEPEST)
    ]

    rows = rows_of(b"\n".join(deep))

    assert [type(row) for row in rows] == [BadRow] * 100


@pytest.mark.parametrize(
    "key", ["a\nb", "a\r\nb", "a\u001b[2Jb", "a\u0000b", "a\u2028b", "\u202eb"]
)
def test_a_problem_prints_in_one_line_whatever_the_file_holds(key: str) -> None:
    line = json.dumps({**json.loads(LINE), key: 1}).encode()

    (row,) = rows_of(line)

    assert isinstance(row, BadRow)
    assert all(str(found).isprintable() for found in row.problems)


def test_a_problem_can_be_printed_as_utf_8_whatever_the_file_holds() -> None:
    (row,) = rows_of(b'{"orderId":"1","\\ud800":1}')

    assert isinstance(row, BadRow)
    assert all(str(found).encode() for found in row.problems)


@pytest.mark.parametrize("dialect", OrdersApi)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_invoice_that_can_be_sent_can_stand_in_a_file(
    dialect: OrdersApi, data: st.DataObject
) -> None:
    invoice: Invoice = data.draw(strategies.invoices(dialect))
    body: dict[str, Any] = json.loads(encode_body(invoice, dialect))
    line = json.dumps({"orderId": "v5lux-01", **body}).encode()

    (row,) = rows_of(line, dialect)

    # Empty text counts as absent in a file, so what is read is what is sent without it.
    kept = {key: value for key, value in body.items() if value != ""}
    for item in kept["items"]:
        if item.get("description") == "":
            del item["description"]
    assert isinstance(row, Row)
    assert json.loads(row.body) == kept
