"""A Parquet file is read strictly, and what is wrong is told by the row and the column."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command_line import ROOT, TIMEOUT
from tests.table_files import (
    OMS,
    PII,
    arrow_of,
    cells_of,
    columns_of,
    messages,
    parquet_of,
    read,
    told,
)
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.vocabulary import OrdersApi

COLUMNS = columns_of(OMS)
NOON = datetime(2026, 1, 31, 12, 30, 15, 250_000, tzinfo=UTC)


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Rows of an order each."""
    return [
        {
            "orderId": f"v5lux-{n}",
            "type": "Output",
            "invoiceNumber": f"NFe{n}",
            "invoiceValue": 2499,
            "issuanceDate": "2026-01-31T18:25:43Z",
            "itemId": "1234",
            "itemPrice": 2499,
            "itemQuantity": 1,
        }
        | changes
        for n in range(1, count + 1)
    ]


def with_column(name: str, values: Any, count: int = 2) -> pa.Table:
    """A sound table in which one column is another one."""
    columns = COLUMNS if name in COLUMNS else [*COLUMNS, name]
    table = arrow_of(rows(count), COLUMNS)
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return pa.table({column: array if column == name else table[column] for column in columns})


def field_of(name: str, row: Row | BadRow) -> Any:
    assert isinstance(row, Row), row
    if name.startswith("item"):
        return getattr(row.job.invoice.items[0], name.removeprefix("item").lower())
    return getattr(row.job.invoice, name)


SOUND = parquet_of(arrow_of(rows(3), COLUMNS))


def test_a_line_is_the_number_of_a_row() -> None:
    found = read(SOUND, "parquet")

    assert [(row.line, type(row)) for row in found] == [(1, Row), (2, Row), (3, Row)]


# What a column may hold, and what is read of it.
TAKEN: list[tuple[str, pa.Array, str, Any]] = [
    ("courier", pa.array(["a", "b"]).dictionary_encode(), "courier", "a"),
    ("courier", pa.array(["a", "b"], pa.large_string()), "courier", "a"),
    ("courier", pa.array(["a", "b"], pa.string_view()), "courier", "a"),
    ("courier", pa.array(["a", "b"], pa.large_string()).dictionary_encode(), "courier", "a"),
    ("courier", pa.array(["", None]), "courier", None),
    ("courier", pa.array([None, None]), "courier", None),
    ("courier", pa.array([None, None], pa.float64()), "courier", None),
    ("itemPrice", pa.array([7, 8], pa.uint8()), "itemPrice", 7),
    ("itemPrice", pa.array([7, 8], pa.int16()).dictionary_encode(), "itemPrice", 7),
    ("itemPrice", pa.array(["7", "8"]), "itemPrice", 7),
    ("itemQuantity", pa.array([2**53 - 1, 1], pa.uint64()), "itemQuantity", 2**53 - 1),
    *(
        ("issuanceDate", pa.array([NOON, NOON], pa.timestamp(unit, "UTC")), "issuance_date", read)
        for unit, read in (
            ("us", NOON), ("ms", NOON), ("ns", NOON), ("s", NOON.replace(microsecond=0))
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "array", "field", "value"), TAKEN)
def test_a_column_is_of_one_of_several_types(
    name: str, array: pa.Array, field: str, value: Any
) -> None:
    found = read(parquet_of(with_column(name, array)), "parquet")

    assert [type(row) for row in found] == [Row, Row]
    assert field_of(field, found[0]) == value
    assert told(found) == []


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "-03:00", "+05:30", "UTC"])
def test_a_time_with_a_zone_is_read_in_it(zone: str) -> None:
    array = pa.array([NOON, None], pa.timestamp("us", zone))

    found = read(parquet_of(with_column("issuanceDate", array)), "parquet")

    moment = field_of("issuance_date", found[0])
    there = {"-03:00": timedelta(hours=-3), "+05:30": timedelta(hours=5, minutes=30)}.get(
        zone
    ) or NOON.astimezone(ZoneInfo(zone) if zone[0].isalpha() else UTC).utcoffset()
    assert (moment, moment.utcoffset()) == (NOON, there)
    assert told(found) == [(2, COLUMNS.index("issuanceDate") + 1, "issuanceDate", "required")]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([NOON.replace(tzinfo=None)] * 2, pa.timestamp("us")),
        pa.array([NOON.date()] * 2, pa.date32()),
        pa.array([NOON.date()] * 2, pa.date64()),
    ],
)
def test_a_time_without_a_zone_is_warned_of(array: pa.Array) -> None:
    found = read(parquet_of(with_column("issuanceDate", array)), "parquet")

    column = COLUMNS.index("issuanceDate") + 1
    assert told(found) == [(n, column, "issuanceDate", "no-offset") for n in (1, 2)]


def test_a_day_is_all_that_pii_needs() -> None:
    sound = {
        key: value for key, value in rows(1)[0].items() if key not in {"issuanceDate", "itemId"}
    }
    table = pa.table({key: [value] for key, value in (sound | {"itemIndex": 0}).items()})
    table = table.append_column("issuedDate", pa.array([date(2026, 1, 31)], pa.date32()))

    (row,) = read(parquet_of(table), "parquet", PII)

    assert isinstance(row, Row)
    assert b'"issuedDate":"2026-01-31"' in row.body


# Cells that a type lets through, the converter refuses in their places.
REFUSED: list[tuple[str, pa.Array, str]] = [
    ("itemPrice", pa.array([2499, 2499.0], pa.float64()), "items[0].price"),
    ("itemPrice", pa.array([24.99, float("nan")], pa.float32()), "items[0].price"),
    ("itemPrice", pa.array([Decimal("24.99")] * 2), "items[0].price"),
    ("itemPrice", pa.array([Decimal(2499)] * 2), "items[0].price"),
    ("itemPrice", pa.array([Decimal(2499)] * 2, pa.decimal256(50, 0)), "items[0].price"),
    ("itemPrice", pa.array(["24,99", "24.99"]), "items[0].price"),
    ("itemPrice", pa.array([-1, 2**53]), "items[0].price"),
    ("itemQuantity", pa.array([1.0, 2.0]), "items[0].quantity"),
    ("invoiceValue", pa.array([2499.0, 24.99]), "invoiceValue"),
    ("invoiceValue", pa.array([Decimal(2499)] * 2), "invoiceValue"),
    ("invoiceValue", pa.array([0, -2499]), "invoiceValue"),
    ("invoiceValue", pa.array([NOON, NOON]), "invoiceValue"),
    ("invoiceNumber", pa.array([17, 18]), "invoiceNumber"),
    ("orderId", pa.array([17, 18]), "orderId"),
    ("courier", pa.array([1.5, 2.5]), "courier"),
    ("issuanceDate", pa.array([20260131, 20260131]), "issuanceDate"),
    ("issuanceDate", pa.array([2**62, -(2**62)], pa.timestamp("us", "UTC")), "issuanceDate"),
    ("issuanceDate", pa.array([2**31 - 1, -(2**31)], pa.date32()), "issuanceDate"),
]


@pytest.mark.parametrize(("name", "array", "field"), REFUSED)
def test_a_cell_is_refused_in_its_place(name: str, array: pa.Array, field: str) -> None:
    found = read(parquet_of(with_column(name, array)), "parquet")

    column = COLUMNS.index(name) + 1
    assert [place[:3] for place in told(found)] == [(1, column, field), (2, column, field)]
    assert [type(row) for row in found] == [BadRow, BadRow]


# Types that no cell may have, by what they are.
TYPES: list[tuple[pa.Array, str]] = [
    (pa.array([True, False]), "is of the type bool; it must be of text"),
    (pa.array([["a"], ["b"]]), "is of the type list; it must"),
    (pa.array([{"maria": 1}, {"maria": 2}]), "is of the type struct; it must"),
    (pa.array([b"a", b"b"]), "is of the type binary; it must"),
    (pa.array([b"a", b"b"]).dictionary_encode(), "is of the type binary; it must"),
    (pa.array([1, 2], pa.time64("us")), "is of the type time64; it must"),
    (pa.array([1, 2], pa.duration("us")), "is of the type duration; it must"),
    (pa.array([NOON, NOON], pa.timestamp("us", "Mars/Base")), "in a zone that is not known"),
    (pa.array([NOON, NOON], pa.timestamp("us", "../../etc/passwd")), "in a zone that is not"),
]


@pytest.mark.parametrize(("array", "words"), TYPES)
def test_a_column_of_another_type_is_refused_once(array: pa.Array, words: str) -> None:
    found = read(parquet_of(with_column("courier", array)), "parquet")

    assert told(found) == [(1, COLUMNS.index("courier") + 1, "courier", "value")]
    assert words in messages(found)
    assert "maria" not in messages(found)


def test_columns_are_those_of_the_dialect() -> None:
    assert read(parquet_of(arrow_of([], COLUMNS)), "parquet") == []
    assert told(read(parquet_of(with_column("cfop", ["1", "2"])), "parquet")) == [
        (1, len(COLUMNS) + 1, "cfop", "unknown-key")
    ]
    twice = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["type", "type"])
    assert (1, 2, "type", "line") in told(read(parquet_of(twice), "parquet"))
    assert "names no column" in messages(read(parquet_of({"x": [1]}), "parquet"))
    index = with_column("__index_level_0__", [1, 2])
    assert "is no column" in messages(read(parquet_of(index), "parquet"))


def broken(at: int, with_: bytes) -> bytes:
    return SOUND[:at] + with_ + SOUND[at + len(with_) :]


NO_PARQUET: list[tuple[bytes, str]] = [
    (b"", "the file is not Parquet"),
    (b"PAR1", "the file is broken"),
    (b"PAR1PAR1", "the file is broken"),
    (b'{"orderId":"v5lux-01"}\n', "the file is not Parquet"),
    (SOUND[:-1], "the file breaks off"),
    (SOUND[: len(SOUND) // 2], "the file breaks off"),
    (SOUND[:-4] + b"PARE", "the file is encrypted"),
    (b"PARE" + SOUND[4:], "the file is encrypted"),
    (broken(len(SOUND) - 8, b"\xff\xff\xff\x7f"), "the file is broken"),
    (broken(len(SOUND) - 300, bytes(200)), "the file is broken"),
    (broken(4, b"\xff" * 40), "the file is broken"),
]


@pytest.mark.parametrize(("content", "words"), NO_PARQUET)
def test_a_file_that_cannot_be_read_is_told(content: bytes, words: str) -> None:
    found = read(content, "parquet")

    assert [type(row) for row in found] == [BadRow]
    assert told(found) == [(1, 1, "", "line")]
    assert words in messages(found)


def test_a_file_that_breaks_in_the_middle_is_told_with_the_row() -> None:
    table = arrow_of(rows(10), COLUMNS)
    content = parquet_of(table, row_group_size=5, write_page_checksum=True)
    second = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(1).column(0)
    at = second.dictionary_page_offset + 20

    found = read(content[:at] + b"\xff" * 40 + content[at + 40 :], "parquet")

    assert [row.line for row in found] == [1, 2, 3, 4, 5, 6]
    # The row that cannot be read may have been one of the last invoice.
    assert [type(row) for row in found] == [Row] * 4 + [BadRow] * 2
    assert "nothing behind it is read" in messages(found)


def test_money_that_the_disk_has_changed_is_not_sent() -> None:
    table = arrow_of(rows(1, invoiceValue=0x1234_5678_9ABC), COLUMNS)
    # So that it stands in the file once, and as it is.
    plain = {"use_dictionary": False, "compression": "none", "write_statistics": False}
    content = parquet_of(table, write_page_checksum=True, **plain)
    written = (0x1234_5678_9ABC).to_bytes(8, "little")
    assert content.count(written) == 1

    found = read(content.replace(written, (2499).to_bytes(8, "little")), "parquet")

    assert [type(row) for row in found] == [BadRow]
    assert "the file is broken" in messages(found)


def test_text_that_is_not_utf_8_is_told_in_its_cell() -> None:
    raw = pa.array([b"Loggi", b"R\xe1pida"], pa.binary())
    text = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])

    found = read(parquet_of(with_column("courier", text)), "parquet")

    assert [type(row) for row in found] == [Row, BadRow]
    assert told(found) == [(2, COLUMNS.index("courier") + 1, "", "line")]
    assert "the cell is not UTF-8" in messages(found)


def test_a_row_that_is_too_long_is_told() -> None:
    texts = ["x" * (LONGEST_LINE - 100), "x" * LONGEST_LINE]

    found = read(parquet_of(with_column("courier", texts)), "parquet")

    assert [type(row) for row in found] == [Row, BadRow]
    assert "the row is longer than" in messages(found)


@pytest.mark.parametrize("dialect", OrdersApi)
def test_an_invoice_may_go_on_behind_a_group_and_a_batch(dialect: OrdersApi) -> None:
    one = rows(1)[0]
    own = {key: value for key, value in one.items() if not key.startswith("item")}
    if dialect is PII:
        own["issuedDate"] = own.pop("issuanceDate")[:10]
    key = "itemIndex" if dialect is PII else "id"
    items = [
        {key: n if dialect is PII else str(n), "price": n, "quantity": 1} for n in range(2_500)
    ]
    table = arrow_of(list(cells_of(own | {"items": items})), columns_of(dialect))

    (row,) = read(parquet_of(table, row_group_size=700), "parquet", dialect)

    assert isinstance(row, Row)
    assert [item.price for item in row.job.invoice.items] == list(range(2_500))


def test_without_pyarrow_one_line_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from vtex_invoice_async.__main__ import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", program, "send", "--sandbox", "--format", "parquet", "-"]

    ended = subprocess.run(
        words, cwd=ROOT, input=SOUND, capture_output=True, timeout=TIMEOUT, check=False
    )

    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr == (
        b"vtex-invoice: reading Parquet needs an extra: pip install 'vtex-invoice-async[parquet]'\n"
    )


def test_what_is_not_parquet_never_imports_pyarrow() -> None:
    program = "import sys, vtex_invoice_async.jobs.sources; sys.exit('pyarrow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
