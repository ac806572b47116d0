"""An invoice is the same in JSON lines, CSV and Parquet, and rows are told apart by what they say."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.table_files import (
    OMS,
    PII,
    arrow_of,
    as_json_lines,
    cells_of,
    columns_of,
    csv_of,
    document_of,
    parquet_of,
    read,
    told,
)
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import MOST_TOLD, BadRow, Row
from vtex_invoice_async.vocabulary import OrdersApi

# `csv.writer` quotes of what may end a line only what ends its own lines.
HOW: list[dict[str, Any]] = [
    {"lineterminator": "\r\n"},
    {"lineterminator": "\r\n", "delimiter": ","},
    {"lineterminator": "\r\n", "delimiter": "\t"},
    {"lineterminator": "\r", "quoting": csv.QUOTE_ALL},
    {"lineterminator": "\n", "quoting": csv.QUOTE_ALL, "delimiter": ","},
]


def compared(row: Row | BadRow) -> tuple[object, ...]:
    assert isinstance(row, Row), row
    return row.key, row.job, row.body, [warning.problem for warning in row.warnings]


def first_rows(documents: Sequence[dict[str, Any]]) -> list[int]:
    """The row in which each invoice begins."""
    lines, line = [], 1
    for document in documents:
        lines.append(line)
        line += max(len(document["items"]), 1)
    return lines


def without(document: dict[str, Any], characters: str) -> dict[str, Any]:
    """A document whose texts have none of some characters; empty text is left out."""
    text: str = json.dumps(document)
    for character in characters:
        text = text.replace(json.dumps(character)[1:-1], "_")
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("dialect", OrdersApi)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_invoice_is_the_same_in_every_format(dialect: OrdersApi, data: st.DataObject) -> None:
    found = data.draw(st.lists(strategies.invoices(dialect), max_size=4))
    documents = [
        without(document_of(f"v5lux-{n}", invoice, dialect), "\0")
        for n, invoice in enumerate(found)
    ]
    repeated = data.draw(st.booleans())
    rows = [row for document in documents for row in cells_of(document, repeated=repeated)]
    columns = data.draw(st.permutations(columns_of(dialect)))
    how, bom = data.draw(st.sampled_from(HOW)), data.draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))

    expected = [compared(row) for row in as_json_lines(documents, dialect)]
    in_csv = read(bom + csv_of(rows, columns, **how), "csv", dialect)
    in_parquet = read(parquet_of(arrow_of(rows, columns)), "parquet", dialect)

    assert [compared(row) for row in in_csv] == expected
    assert [compared(row) for row in in_parquet] == expected
    assert [row.line for row in in_parquet] == first_rows(documents)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_lines_are_those_of_the_file(data: st.DataObject) -> None:
    """Whatever ends a line, within quotes too, and whatever is blank."""
    end = data.draw(st.sampled_from(["\n", "\r", "\r\n"]))
    cells = st.text(st.sampled_from(f'a;,"é😀 {end}'), max_size=8).map(
        lambda text: text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", end)
    )
    couriers = data.draw(st.lists(cells, max_size=5))
    blanks = data.draw(st.lists(st.sampled_from(["", ";;;;;", " "]), max_size=3))
    content, lines = f"orderId;type;invoiceNumber;invoiceValue;issuanceDate;courier{end}", []
    for n, courier in enumerate(couriers):
        content += "".join(blank + end for blank in blanks)
        lines.append(content.count(end) + 1)
        quoted = courier.replace('"', '""')
        content += f'v5lux-{n};Output;NFe1;2499;2026-01-31T18:25:43Z;"{quoted}"{end}'

    rows = read(content.removesuffix(end), "csv")

    assert [row.line for row in rows] == lines
    kept = [row.job.invoice.courier for row in rows if isinstance(row, Row)]
    assert kept == [courier or None for courier in couriers]


HEADER = (
    "orderId;type;invoiceNumber;invoiceValue;issuanceDate;courier;itemId;itemPrice;itemQuantity"
)
OWN = "v5lux-01;Output;NFe1;2499;2026-01-31T18:25:43Z;"


def table(*rows: str) -> list[Row | BadRow]:
    return read("\n".join([HEADER, *rows]), "csv")


def items_of(rows: Sequence[Row | BadRow]) -> list[tuple[int, list[str | None]]]:
    """The line of each invoice and its items."""
    assert all(isinstance(row, Row) for row in rows), rows
    return [
        (row.line, [item.id for item in row.job.invoice.items])
        for row in rows
        if isinstance(row, Row)
    ]


# The rows behind the header, and the invoices that they are.
ADJACENT: list[tuple[list[str], list[tuple[int, list[str]]]]] = [
    ([f"{OWN};A;1;1"], [(2, ["A"])]),
    ([f"{OWN};A;1;1", f"{OWN};B;1;1"], [(2, ["A", "B"])]),
    ([f"{OWN};A;1;1", ";;;;;;B;1;1", ";;;;;;C;1;1"], [(2, ["A", "B", "C"])]),
    ([f"{OWN};A;1;1", "v5lux-01;;;;;;B;1;1", ";;NFe1;;;;C;1;1"], [(2, ["A", "B", "C"])]),
    ([f"{OWN};A;1;1", "", ";;;;;;;;", ";;;;;;B;1;1"], [(2, ["A", "B"])]),
    ([f"{OWN};;;"], [(2, [])]),
    ([f"{OWN};;;", ";;;;;;A;1;1"], [(2, ["A"])]),
    ([f"{OWN};;;", f"{OWN};;;"], [(2, []), (3, [])]),
    ([f"{OWN};A;1;1", f"{OWN};;;"], [(2, ["A"]), (3, [])]),
    ([f"{OWN};A;1;1", f"{OWN.replace('e1', 'e2')};A;1;1"], [(2, ["A"]), (3, ["A"])]),
    ([f"{OWN};A;1;1", f"{OWN.replace('lux-01', 'lux-02')};A;1;1"], [(2, ["A"]), (3, ["A"])]),
]


@pytest.mark.parametrize(("rows", "invoices"), ADJACENT)
def test_rows_of_one_invoice_are_adjacent(
    rows: list[str], invoices: list[tuple[int, list[str]]]
) -> None:
    assert items_of(table(*rows)) == invoices


def test_an_invoice_that_is_not_in_one_place_is_not_sent() -> None:
    other = OWN.replace("lux-01", "lux-02")
    rows = table(f"{OWN};A;1;1", f"{other};A;1;1", f"{OWN};B;1;1")

    with Plan(OMS) as plan:
        refused = [f for f in plan.take(rows) if f.problem.severity == "refuse"]

    assert (plan.planned, plan.invalid) == (1, 2)
    assert [str(found) for found in refused] == [
        "4:1: invoiceNumber: stands in line 2 with other contents; keep the right one"
    ]


@pytest.mark.parametrize("stray", ["v5lux-01;;;;;;B;1;1", "v5lux-01;Output;;;;;B;1;1"])
def test_an_item_that_lies_apart_keeps_back_each_invoice_of_its_order(stray: str) -> None:
    again, other = OWN.replace("NFe1", "NFe2"), OWN.replace("lux-01", "lux-02")
    rows = table(f"{OWN};A;1;1", f"{other};A;1;1", stray, f"{again};C;1;1")

    with Plan(OMS) as plan:
        refused = [f for f in plan.take(rows) if f.problem.severity == "refuse"]
        left = [entry.order_id for entry in plan.entries()]

    assert (plan.planned, plan.invalid, left) == (1, 3, ["v5lux-02"])
    assert [str(found) for found in refused] == [
        "4:3: invoiceNumber: is missing: the rows of an invoice follow each other, or name it",
        "2:1: line 4 may be a part of this invoice",
        "5:1: line 4 may be a part of this invoice",
    ]


def test_an_invoice_that_lacks_its_number_is_no_part_of_another() -> None:
    other = OWN.replace("lux-01", "lux-02")
    rows = table(f"{OWN};A;1;1", f"{other};A;1;1", f"{OWN.replace('NFe1', '')};B;1;1")

    with Plan(OMS) as plan:
        told_of = [found.line for found in plan.take(rows) if found.problem.severity == "refuse"]

    assert (plan.planned, plan.invalid, told_of) == (2, 1, [4])


DIFFERS = [
    (f"{OWN.replace('2499', '2500')};B;1;1", 4, "invoiceValue"),
    (f"{OWN.replace('Output', 'Input')};B;1;1", 2, "type"),
    (f"{OWN}x;B;1;1", 6, "courier"),
    (";;;02499;;;B;1;1", 4, "invoiceValue"),
    (";;; ;;;B;1;1", 4, "invoiceValue"),
]


@pytest.mark.parametrize(("row", "column", "field"), DIFFERS)
def test_what_a_further_row_says_of_its_invoice_must_be_what_the_first_says(
    row: str, column: int, field: str
) -> None:
    rows = table(f"{OWN};A;1;1", row, f"{OWN.replace('lux-01', 'lux-02')};A;1;1")

    assert told(rows) == [(3, column, field, "conflict")]
    assert [row.line for row in rows] == [2, 4]
    assert isinstance(rows[0], BadRow)
    assert rows[0].key == b"v5lux-01\0NFe1"


def test_problems_of_items_are_told_in_their_own_rows_and_cells() -> None:
    rows = table(
        f"{OWN};A;1;1", ";;;;;;B;24,99;0", ";;;;;;;2;x", f"{OWN.replace('NFe1', 'a b')};A;1;1"
    )

    assert [(line, column, field) for line, column, field, _ in told(rows)] == [
        (3, 8, "items[1].price"),
        (4, 9, "items[2].quantity"),
        (5, 3, "invoiceNumber"),
    ]


def test_a_row_that_cannot_be_read_may_be_a_part_of_its_neighbours() -> None:
    two, three, four = (f"{OWN.replace('lux-01', f'lux-0{n}')};A;1;1" for n in (2, 3, 4))

    rows = table(f"{OWN};A;1;1", f"{two};", three, four)

    assert [(row.line, type(row)) for row in rows] == [
        (2, BadRow), (3, BadRow), (4, BadRow), (5, Row),
    ]  # fmt: skip
    assert told(rows)[1] == (3, 10, "", "line")
    assert rows[0].key == b"v5lux-01\0NFe1"


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_an_invoice_without_end_is_refused_and_not_kept(format_: str) -> None:
    own: dict[str, Any] = dict(zip(HEADER.split(";"), f"{OWN};A;1;1".split(";"), strict=True))
    own |= {"invoiceValue": 2499, "itemPrice": 1, "itemQuantity": 1}
    text = "x" * 10_000
    many = [own | {"itemDescription": text} for _ in range(LONGEST_LINE // len(text) + 2)]
    last = own | {"orderId": "v5lux-02"}
    columns = columns_of(OMS)

    rows = (
        read(csv_of([*many, last], columns), format_)
        if format_ == "csv"
        else read(parquet_of(arrow_of([*many, last], columns)), format_)
    )

    assert [type(row) for row in rows] == [BadRow, Row]
    assert told(rows) == [(rows[0].line, 1, "", "line")]
    assert rows[1].line == rows[0].line + len(many)


def test_an_invoice_of_bad_characters_is_told_and_not_kept() -> None:
    own = f"{OWN}\udce9;A;1;1\n"
    content = f"{HEADER}\n{own * 60_000}".encode(errors="surrogateescape")

    tracemalloc.start()
    (row,) = read(content, "csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(row, BadRow)
    assert len(row.problems) <= MOST_TOLD + 1
    assert peak < 12 * 2**20, f"{peak / 2**20:.1f} MiB"


def test_rows_of_pii_may_say_which_sku_an_item_is() -> None:
    """Where the converter takes it, which is not for the reader to say."""
    header = (
        "orderId;type;invoiceNumber;invoiceValue;issuedDate;itemIndex;itemId;itemPrice;itemQuantity"
    )

    rows = read(f"{header}\nv5lux-01;Output;NFe1;2499;2026-01-31;0;;2499;1", "csv", PII)

    assert [type(row) for row in rows] == [Row]
    assert not told(rows)
