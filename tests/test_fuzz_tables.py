"""Whatever stands in a CSV or a Parquet file, rows come out, or what is wrong with them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from tests.fuzzing import HARMS, KEYS, Harm, fuzzed, harmed
from tests.table_files import OMS, arrow_of, columns_of, csv_of, parquet_of, read
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.vocabulary import OrdersApi

CANARY: Final = "maria-da-silva"
"""Stands in cells; what is told of a row does not quote it."""

COLUMNS: Final = columns_of(OMS)
ROWS: Final = [
    {
        "orderId": f"{CANARY}-{n // 2}",
        "type": "Output",
        "invoiceNumber": f"NFe{n // 2}",
        "invoiceValue": 2499,
        "issuanceDate": "2026-01-31T18:25:43-03:00",
        "courier": f'{CANARY} "é"',
        "embeddedInvoice": "<nfe>\r\n</nfe>",
        "itemId": f"{n}",
        "itemPrice": 2499,
        "itemQuantity": 1,
        "itemDescription": "a; b, c",
    }
    for n in range(6)
]
CSVS: Final = [
    csv_of(ROWS, COLUMNS, lineterminator="\r\n"),
    csv_of(ROWS, COLUMNS, lineterminator="\r\n", delimiter=",", quoting=1),
    "\ufeff".encode() + csv_of(ROWS, COLUMNS, lineterminator="\r\n", delimiter="\t"),
]
TABLE: Final = arrow_of(ROWS, COLUMNS)
PARQUETS: Final = [
    parquet_of(TABLE),
    parquet_of(TABLE, row_group_size=2, compression="none", use_dictionary=False),
    parquet_of(TABLE, compression="zstd", write_page_checksum=True, data_page_size=32),
    parquet_of(TABLE, compression="gzip", data_page_version="2.0", store_schema=False),
]
dialects = st.sampled_from(OrdersApi)
junk = st.binary(max_size=200)


def check(rows: Sequence[Row | BadRow]) -> None:
    """Rows come in their order; what is told names a place, prints, and quotes no cell."""
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))
    for row in rows:
        found = row.problems if isinstance(row, BadRow) else row.warnings
        assert found or isinstance(row, Row)
        for problem in found:
            text = str(problem)
            assert problem.line >= row.line >= 1
            assert problem.column >= 1
            assert text.isprintable()
            assert text.encode()
            assert len(text) < 600
            # A column's name is quoted, be it what stands in a cell of a row that is no header.
            assert CANARY not in problem.problem.message
            assert CANARY not in text or problem.line == lines[0]
    with Plan(OMS) as plan:
        list(plan.take(rows))


@fuzzed(150, content=harmed(st.sampled_from(CSVS) | junk), dialect=dialects)
def test_any_bytes_are_read_as_csv(content: bytes, dialect: OrdersApi) -> None:
    check(read(content, "csv", dialect))


cells = st.sampled_from(
    [
        "",
        " ",
        CANARY,
        "2499",
        "24,99",
        "0",
        "Output",
        "é",
        "a\nb",
        "\ufeff",
        "\x00",
        "x" * 3_000,
        "²",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
names = st.sampled_from([*COLUMNS, *KEYS, "cfop", "issuedDate", " orderId"]).filter(
    lambda name: "\ud800" not in name
)


@fuzzed(
    100,
    header=st.lists(names, max_size=16) | st.permutations(COLUMNS),
    rows=st.lists(st.lists(cells, min_size=13, max_size=18), max_size=5),
    delimiter=st.sampled_from(";,\t"),
    dialect=dialects,
)
def test_any_cells_are_read(
    header: list[str], rows: list[list[str]], delimiter: str, dialect: OrdersApi
) -> None:
    table = [header, *rows]
    text = "\n".join(
        delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table
    )

    found = read(text, "csv", dialect)

    check(found)
    assert sum(isinstance(row, Row) for row in found) <= len(rows)


columns = st.one_of(
    st.lists(st.none() | cells, min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.string())
    ),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.int64())
    ),
    st.lists(st.none() | st.floats(), min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.float64())
    ),
    st.builds(
        lambda values, unit, zone: pa.array(values, pa.timestamp(unit, zone)),
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
        st.sampled_from(["us", "ns"]),
        st.sampled_from([None, "UTC", "America/Sao_Paulo", "-03:00", "+99:99", "", "é", "/", "."]),
    ),
    st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.date32())
    ),
    st.lists(st.none() | st.binary(max_size=3), min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.binary()).cast(pa.binary())
    ),
)


@fuzzed(
    100,
    others=st.dictionaries(st.sampled_from([*COLUMNS, "cfop"]), columns, max_size=3),
    dialect=dialects,
)
def test_columns_of_any_type_are_read(others: dict[str, Any], dialect: OrdersApi) -> None:
    sound = {name: TABLE[name].combine_chunks().slice(0, 3) for name in COLUMNS}

    check(read(parquet_of(sound | others), "parquet", dialect))


@fuzzed(
    150, content=harmed(st.sampled_from(PARQUETS) | junk.map(lambda raw: b"PAR1" + raw + b"PAR1"))
)
def test_any_bytes_are_read_as_parquet(content: bytes) -> None:
    check(read(content, "parquet"))


# In the footer are the lengths and the offsets that Arrow believes.
at_end = st.builds(
    Harm,
    what=st.sampled_from([what for what in HARMS if what not in {"cut", "behead"}]),
    at=st.integers(600, 998),
    length=st.integers(0, 20),
    junk=st.binary(min_size=1, max_size=4),
)


@fuzzed(150, content=harmed(st.sampled_from(PARQUETS), at_end, most=3))
def test_any_footer_is_read(content: bytes) -> None:
    check(read(content, "parquet"))


MEGABYTE: Final = 1_000_000
HEADER: Final = ";".join(COLUMNS).encode()
LARGE: Final = {
    "nothing": bytes(MEGABYTE),
    "lines": b"\n" * MEGABYTE,
    "returns": b"\r" * MEGABYTE,
    "a line": b"x" * MEGABYTE,
    "quotes": b'"' * MEGABYTE,
    "columns": b"x;" * (MEGABYTE // 2),
    "known columns": HEADER + b";type" * (MEGABYTE // 5),
    "broken rows": HEADER + b"\nx" * 30_000,
    "rows": HEADER + (b"\n" + b";" * (len(COLUMNS) - 2) + b"x;") * (MEGABYTE // len(COLUMNS)),
    "items": HEADER + (b"\n" + b";" * (len(COLUMNS) - 1) + b"1") * (MEGABYTE // len(COLUMNS)),
    "a quoted cell": HEADER + b'\n"' + b'""' * (MEGABYTE // 2) + b'"',
    "half quotes": HEADER + b"\n" + b'";' * (MEGABYTE // 2),
    "bare quotes": HEADER + b'\nx"' * (MEGABYTE // 3),
    "foreign bytes": HEADER + b"\n" + b"\xe1" * MEGABYTE,
    "an open quote": HEADER + b'\n"' + b"x\n" * LONGEST_LINE,
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
def test_a_megabyte_of_anything_is_read_in_no_time(content: bytes) -> None:
    before = time.process_time()

    rows = read(content, "csv")

    assert time.process_time() - before < 5
    assert not any(isinstance(row, Row) for row in rows)


def test_long_cells_of_parquet_are_read_in_no_time() -> None:
    rows = [
        ROWS[0] | {"orderId": f"v5lux-{n}", "embeddedInvoice": "x" * 900_000} for n in range(60)
    ]
    content = parquet_of(arrow_of(rows, COLUMNS), use_dictionary=False)
    before = time.process_time()

    found = read(content, "parquet")

    assert time.process_time() - before < 5
    assert [type(row) for row in found] == [Row] * 60
