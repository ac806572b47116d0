"""A CSV file is read strictly, and what is wrong is told by the line and the cell."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.table_files import OMS, PII, columns_of, messages, read, told
from vtex_invoice_async.jobs.csv_files import read_csv
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.jobs.sources import read as read_files
from vtex_invoice_async.vocabulary import OrdersApi

HEADER = (
    "orderId;type;invoiceNumber;invoiceValue;issuanceDate;courier;itemId;itemPrice;itemQuantity"
)
ROW = "v5lux-01;Output;NFe1;2499;2026-01-31T18:25:43Z;Loggi;1234;2499;1"
SOUND = f"{HEADER}\n{ROW}\n"
WIDTH = HEADER.count(";") + 1


def row(number: int, **cells: str) -> str:
    """A sound row of an order of its own, some of whose cells are replaced."""
    values = dict(zip(HEADER.split(";"), ROW.split(";"), strict=True))
    return ";".join(
        (values | {"orderId": f"v5lux-0{number}", "invoiceNumber": f"NFe{number}"} | cells).values()
    )


def kinds(content: str | bytes, dialect: OrdersApi = OMS) -> list[tuple[int, type]]:
    return [(found.line, type(found)) for found in read(content, "csv", dialect)]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (SOUND, [2]),
        (SOUND.removesuffix("\n"), [2]),
        (SOUND.replace("\n", "\r\n"), [2]),
        (SOUND.replace("\n", "\r"), [2]),
        (f"\ufeff{SOUND}", [2]),
        (f"\ufeff\n\n{HEADER}\n\n{ROW}\n\n", [5]),
        (f"\r\n \t\r\n{HEADER}\r\n{ROW}", [4]),
        (f"{SOUND}{';' * (WIDTH - 1)}\n;\n  \n{row(2)}", [2, 6]),
        (SOUND.replace(";", ","), [2]),
        (SOUND.replace(";", "\t"), [2]),
        (SOUND.replace("orderId", '"orderId"').replace("Output", '"Output"'), [2]),
        (SOUND.replace("Loggi", '"a\nb\n"') + row(2), [2, 5]),
        (SOUND.replace("Loggi", '"a\r\nb\rc"') + row(2), [2, 5]),
        (HEADER, []),
        (f"{HEADER}\r\n\r\n", []),
        ("", []),
        ("\ufeff", []),
        ("\n \n\r\n", []),
    ],
)
def test_rows_are_numbered_as_the_lines_of_the_file(content: str, lines: list[int]) -> None:
    assert kinds(content) == [(line, Row) for line in lines]


@pytest.mark.parametrize(
    "courier", [" Loggi ", "a;b", 'a "b"', "a\nb", "a\r\nb", "é😀", "NULL", "0"]
)
def test_a_cell_is_what_it_says(courier: str) -> None:
    quoted = courier.replace('"', '""')
    (found,) = read(SOUND.replace("Loggi", f'"{quoted}"'), "csv")

    assert isinstance(found, Row)
    assert found.job.invoice.courier == courier


# What is written instead of a cell, and the place, field and code that are told of it.
CELLS = [
    ("invoiceValue", "24,99", 4, "invoiceValue"),
    ("invoiceValue", "24.99", 4, "invoiceValue"),
    ("invoiceValue", "1.234,56", 4, "invoiceValue"),
    ("invoiceValue", "2.499,00", 4, "invoiceValue"),
    ("invoiceValue", "2499.0", 4, "invoiceValue"),
    ("invoiceValue", "1e3", 4, "invoiceValue"),
    ("invoiceValue", "R$ 24,99", 4, "invoiceValue"),
    ("invoiceValue", " 3500", 4, "invoiceValue"),
    ("invoiceValue", "+2499", 4, "invoiceValue"),
    ("invoiceValue", "-2499", 4, "invoiceValue"),
    ("invoiceValue", "2_499", 4, "invoiceValue"),
    ("invoiceValue", "٢٤٩٩", 4, "invoiceValue"),
    ("invoiceValue", "²", 4, "invoiceValue"),
    ("invoiceValue", "9" * 17, 4, "invoiceValue"),
    ("invoiceValue", "9" * 10_000, 4, "invoiceValue"),
    ("invoiceValue", "0", 4, "invoiceValue"),
    ("invoiceValue", "", 4, "invoiceValue"),
    ("itemPrice", "24,99", 8, "items[0].price"),
    ("itemPrice", "24.99", 8, "items[0].price"),
    ("itemPrice", "2499,00", 8, "items[0].price"),
    ("itemPrice", "1e3", 8, "items[0].price"),
    ("itemPrice", "", 8, "items[0].price"),
    ("itemQuantity", "1,0", 9, "items[0].quantity"),
    ("itemQuantity", "0", 9, "items[0].quantity"),
    ("itemId", "", 7, "items[0].id"),
    ("type", "output", 2, "type"),
    ("type", " Output", 2, "type"),
    ("invoiceNumber", "NFe 1", 3, "invoiceNumber"),
    ("invoiceNumber", "", 3, "invoiceNumber"),
    ("issuanceDate", "31/01/2026", 5, "issuanceDate"),
    ("issuanceDate", "2026-01-31 ", 5, "issuanceDate"),
    ("orderId", "../x", 1, "orderId"),
    ("orderId", "", 1, "orderId"),
]


@pytest.mark.parametrize(("column", "cell", "number", "field"), CELLS)
def test_a_cell_is_refused_in_its_place(column: str, cell: str, number: int, field: str) -> None:
    found = read("\n".join([HEADER, row(1), row(2, **{column: cell}), row(3)]), "csv")

    assert [(line, at, of) for line, at, of, _ in told(found)] == [(3, number, field)]
    assert [type(row) for row in found] == [Row, BadRow, Row]
    # The cell itself may be about a person, unless it is an amount.
    is_telling = cell.strip(" 0") and not set(cell) <= set("0123456789,.")
    assert not is_telling or cell[:40] not in messages(found)


def test_a_cell_that_no_column_has_is_missed_at_the_first() -> None:
    content = "\n".join(line.rpartition(";")[0] for line in SOUND.splitlines())

    assert told(read(content, "csv")) == [(2, 1, "items[0].quantity", "required")]


def test_a_time_without_an_offset_is_warned_of_in_its_cell() -> None:
    content = SOUND.replace("43Z", "43") + row(2)

    assert told(read(content, "csv")) == [(2, 5, "issuanceDate", "no-offset")]


# Of a header, the places and codes of what is wrong, and words of what is told.
HEADERS: list[tuple[str, list[tuple[int, str, str]], str]] = [
    (HEADER.replace("itemPrice", "ItemPrice"), [(8, "ItemPrice", "unknown-key")], "mean itemPrice?"),
    (HEADER.replace("itemPrice", "price"), [(8, "price", "unknown-key")], "mean itemPrice?"),
    (HEADER.replace("courier", "itemprice "), [(6, "itemprice", "unknown-key")], "mean itemPrice?"),
    (HEADER.replace("courier", "colour"), [(6, "colour", "unknown-key")], "did you mean courier?"),
    (HEADER.replace("courier", "xyz"), [(6, "xyz", "unknown-key")], "remove it"),
    (HEADER.replace("courier", "cfop"), [(6, "cfop", "unknown-key")], "of pii: which is the"),
    (HEADER.replace("courier", "job"), [(6, "job", "unknown-key")], "no column of the oms dialect"),
    (HEADER.replace("courier", "items"), [(6, "items", "unknown-key")], "no column"),
    (HEADER.replace("courier", ""), [(6, "", "line")], "the column has no name"),
    (f"{HEADER};", [(10, "", "line")], "has no name; give it one, or remove it"),
    (f"{HEADER};type", [(10, "type", "line")], "the name of two columns"),
    (f"{HEADER};xyz;xyz", [(10, "xyz", "unknown-key"), (11, "xyz", "line")], "two columns"),
    (HEADER.replace("orderId", "trackingUrl"), [(1, "orderId", "required")], "give the column that has it this name"),
    (
        HEADER.replace("issuanceDate", "issuedDate"),
        [(5, "issuedDate", "unknown-key"), (1, "issuanceDate", "required")],
        "is no column of the oms dialect, but of pii: which is the account's? (--orders-api)",
    ),
    (HEADER.replace(";", "|"), [(1, "", "line")], "split by another character?"),
    (ROW, [(1, "", "line")], "the header names no column that is known; they are orderId, type,"),
    (f"sep=;\n{HEADER}", [(1, "", "line")], "names no column that is known"),
    ('{"orderId":"1","type":"Output"}', [(1, "", "line")], "names no column that is known"),
    (HEADER.replace("courier", '"courier'), [(6, "", "line")], "a quote is opened and never closed"),
    (HEADER.replace("courier", '"courier"x'), [(6, "", "line")], "text stands behind a quote"),
    (HEADER.replace("courier", "cou\0rier"), [(1, "", "line")], "the header holds a NUL"),
    (f"PK\x03\x04{HEADER}", [(1, "", "line")], "is a workbook or an archive; save the file as CSV"),
    (f"PAR1{HEADER}", [(1, "", "line")], "the file is Parquet"),
    ("x" * (LONGEST_LINE + 3), [(1, "", "line")], "is longer than"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "places", "words"), HEADERS)
def test_a_header_that_is_wrong_is_told_and_no_row_is_read(
    header: str, places: list[tuple[int, str, str]], words: str
) -> None:
    found = read(f"{header}\n{ROW}\n{ROW}\n", "csv")

    assert told(found) == [(1, *place) for place in places]
    assert words in messages(found)
    assert len(found) == 1


def test_a_header_says_which_dialect_it_is_of() -> None:
    for dialect in OrdersApi:
        assert read(";".join(columns_of(dialect)), "csv", dialect) == []
        assert read(";".join([*columns_of(dialect), "itemId2"]), "csv", dialect) != []
    assert "which is the account's" in messages(read(SOUND, "csv", PII))


def test_a_header_that_is_data_is_not_quoted() -> None:
    key, url = "3526011" + "2" * 37, "https://maria.example/x?y"

    found = read(f"orderId;{key};{url};maria@example.com;111.444.777-35\n", "csv")

    assert [column for _, column, *_ in told(found)][:4] == [2, 3, 4, 5]
    for text in (key, "x?y", "maria@", "111.444"):
        assert text not in messages(found)


LATIN = row(2, courier="Rápida").encode("latin-1")
AT = len(f"{SOUND}{row(1)}\n".encode())

# Of a row that is not UTF-8: the file, and what is told.
ENCODINGS: list[tuple[bytes, list[tuple[int, int, str, str]], str]] = [
    (
        f"{SOUND}{row(1)}\n".encode() + LATIN,
        [(4, 6, "", "line")],
        f"the row is not UTF-8 from the file's byte {AT + LATIN.index(0xE1)} on; save the file as",
    ),
    (
        "\ufeff".encode() + SOUND.encode() + LATIN,
        [(3, 6, "", "line")],
        f"byte {3 + len(SOUND) + LATIN.index(0xE1)} on",
    ),
    (
        SOUND.encode() + row(2, courier='"é\n').encode() + b"\xe1" + b'";1;1;1',
        [(3, 6, "", "line")],
        "is not UTF-8",
    ),
    (SOUND.encode("utf-16"), [(1, 1, "", "line")], "is UTF-16; save the file as CSV UTF-8"),
    ("\ufeff".encode("utf-16-be") + SOUND.encode("utf-16-be"), [(1, 1, "", "line")], "is UTF-16"),
    (SOUND.encode("utf-16-le"), [(1, 1, "", "line")], "the header holds a NUL; save the file as"),
    (SOUND.encode("utf-32"), [(1, 1, "", "line")], "is UTF-16"),
    (SOUND.encode() + b"\xff", [(3, 2, "", "line"), (2, 1, "", "line")], "cells: 1 and 9"),
    (SOUND.replace("courier", "courié").encode("latin-1"), [(1, 1, "", "line")], "byte 58 on"),
    (SOUND.replace("Loggi", "Lo\0ggi").encode(), [(2, 6, "", "line")], "the row holds a NUL"),
]


@pytest.mark.parametrize(("content", "places", "words"), ENCODINGS)
def test_what_is_not_utf_8_is_told_with_its_byte(
    content: bytes, places: list[tuple[int, int, str, str]], words: str
) -> None:
    found = read(content, "csv")

    assert sorted(told(found)) == sorted(places)
    assert words in messages(found)


def test_a_row_that_is_not_utf_8_does_not_cost_the_others() -> None:
    content = SOUND.encode() + LATIN + b"\n" + row(3).encode()

    assert kinds(content) == [(2, Row), (3, BadRow), (4, Row)]


# Rows behind a sound one: the place and words of what is told. Behind a wrong quote nothing is read.
QUOTES: list[tuple[str, tuple[int, int], str]] = [
    (row(2, courier='"Loggi'), (3, 6), "a quote is opened and never closed; nothing behind it"),
    (row(2, courier='"Loggi"s'), (3, 6), "text stands behind a quote that ends a cell"),
    (row(2, courier='"Loggi" '), (3, 6), "text stands behind a quote that ends a cell"),
    (row(2, courier='Tela 15"'), (3, 6), "a quote stands in a cell that is not in quotes"),
    (row(2, courier=' "Loggi"'), (3, 6), "a quote stands in a cell that is not in quotes"),
    (row(2, type='"Out\nput"', courier='"Lo"ggi'), (3, 6), "text stands behind a quote"),
    (row(2, courier="x" * LONGEST_LINE), (3, 1), "is longer than 1048576 bytes"),
    (row(2, courier='"' + "x\n" * (LONGEST_LINE // 2)), (3, 1), "is a quote not closed?"),
]


@pytest.mark.parametrize(("wrong", "place", "words"), QUOTES)
def test_behind_a_wrong_quote_nothing_is_read(
    wrong: str, place: tuple[int, int], words: str
) -> None:
    found = read(f"{SOUND}{wrong}\n{row(3)}\n{row(4)}\n", "csv")

    assert [row.line for row in found] == [2, 3]
    assert told(found)[1] == (*place, "", "line")
    assert words in messages(found)
    # It may have been a part of the invoice before it.
    assert told(found)[0] == (2, 1, "", "line")


@pytest.mark.parametrize(
    ("wrong", "column", "words"),
    [
        (f"{row(2)};", 10, "differ in cells: 10 and 9; a cell with a semicolon goes in quotes"),
        (row(2).rpartition(";")[0], 9, "differ in cells: 8 and 9"),
        ("x", 2, "differ in cells: 1 and 9"),
        (row(2, type='"Output', courier='Loggi"'), 6, "differ in cells: 5 and 9"),
        (
            row(2, type='"Output\n', courier='Loggi"'),
            6,
            "it ends in line 4: is a quote not closed?",
        ),
    ],
)
def test_a_ragged_row_is_told_and_reading_goes_on(wrong: str, column: int, words: str) -> None:
    found = read(f"{SOUND}{wrong}\n{row(3)}\n{row(4)}", "csv")

    after = 4 + wrong.count("\n")
    assert [(row.line, type(row)) for row in found] == [
        (2, BadRow), (3, BadRow), (after, BadRow), (after + 1, Row),
    ]  # fmt: skip
    assert told(found)[1] == (3, column, "", "line")
    assert words in messages(found)


def test_decimals_with_a_comma_between_commas_are_cells_too_many() -> None:
    content = SOUND.replace(";", ",").replace(",2499,1\n", ",24,99,1\n")

    found = read(content, "csv")

    assert told(found) == [(2, 10, "", "line")]
    assert "a cell with a comma goes in quotes, and money in cents" in messages(found)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_row_of_just_the_longest_length_is_read(end: str) -> None:
    room = LONGEST_LINE - len(row(2, courier=""))

    assert kinds(SOUND + row(2, courier="x" * room) + end) == [(2, Row), (3, Row)]
    assert kinds(SOUND + row(2, courier="x" * (room + 3)) + end)[1] == (3, BadRow)


def test_a_quote_that_is_never_closed_eats_no_memory() -> None:
    rest = b"a line of text that goes on and on\n" * 1_000_000
    file = io.BytesIO(SOUND.encode() + row(2, courier='"x').encode() + b"\n" + rest)

    tracemalloc.start()
    try:
        found = [row for row in read_csv(file, None, OMS) if isinstance(row, BadRow)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "is a quote not closed?" in messages(found)
    assert peak < 16 * 2**20


@pytest.mark.parametrize("rows", [1, 3])
def test_a_file_is_closed_once_it_is_read_or_left(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "orderId,type,invoiceNumber,invoiceValue,issuanceDate\n"
        + "".join(f"1-01,Output,{n},100,2026-01-31T18:25:43Z\n" for n in range(3))
    )
    opened: list[BinaryIO] = []

    found = read_files([str(path)], OrdersApi.OMS, began=opened.append)
    for _ in range(rows):
        next(found)
    # A file that nobody closes is a warning, and warnings are errors here.
    found.close() if rows < 3 else list(found)  # type: ignore[attr-defined]

    assert opened[0].closed
