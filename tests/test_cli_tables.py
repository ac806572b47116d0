"""`vtex-invoice` with CSV and Parquet files, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import Ended, environ_of, file_of, made_up_rows, run, started
from tests.table_files import OMS, arrow_of, as_json_lines, cells_of, columns_of, csv_of, parquet_of
from vtex_invoice_async import Order
from vtex_invoice_async.cli import options
from vtex_invoice_async.jobs import sources
from vtex_invoice_async.jobs.rows import Row
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.sandbox.generated import fitting_order

COLUMNS = columns_of(OMS)


def content_of(documents: Sequence[dict[str, Any]], format_: str) -> bytes:
    rows = [row for document in documents for row in cells_of(document, repeated=False)]
    if format_ == "csv":
        return csv_of(rows, COLUMNS, lineterminator="\r\n")
    return parquet_of(arrow_of(rows, COLUMNS))


def written(folder: Path, name: str, documents: Sequence[dict[str, Any]]) -> Path:
    path = folder / name
    path.write_bytes(content_of(documents, "csv" if name.lower().endswith("csv") else "parquet"))
    return path


def summed(ended: Ended, **counts: int) -> None:
    assert {key: ended.summary[key] for key in counts} == counts, ended.stderr


@pytest.mark.parametrize(
    "name", ["invoices.csv", "INVOICES.CSV", "invoices.parquet", "invoices.pq"]
)
async def test_a_name_says_how_a_file_is_written(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, made_up_rows(5))

    ended = await run("send", path, "--sandbox", "--json")

    summed(ended, planned=5, confirmed=5, exit_code=0)


@pytest.mark.parametrize("format_", ["csv", "parquet"])
@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
async def test_standard_input_is_what_the_option_says(format_: str, path: str) -> None:
    content = content_of(made_up_rows(5), format_)

    ended = await run("send", path, "--format", format_, "--sandbox", "--json", stdin=content)

    summed(ended, planned=5, confirmed=5, exit_code=0)


async def test_files_of_several_formats_are_one_source(tmp_path: Path) -> None:
    rows = made_up_rows(6)
    paths = [
        file_of(tmp_path, rows[:2]),
        written(tmp_path, "a.csv", rows[2:4]),
        # One that stands in another file too.
        written(tmp_path, "b.parquet", rows[3:]),
    ]

    ended = await run("send", *paths, "--sandbox", "--json")

    summed(ended, planned=6, confirmed=6, duplicates=1, exit_code=0)


async def test_what_is_wrong_is_told_by_file_line_and_column(tmp_path: Path) -> None:
    rows = made_up_rows(4)
    bad = json.loads(json.dumps(rows[1]).replace('"price": 2499', '"price": "24,99"'))
    table = tmp_path / "a.csv"
    table.write_bytes(content_of([rows[0], bad], "csv"))
    paths = [table, written(tmp_path, "b.parquet", [rows[2] | {"invoiceNumber": "a b"}])]
    price, number = COLUMNS.index("itemPrice") + 1, COLUMNS.index("invoiceNumber") + 1

    ended = await run("send", *paths, "--sandbox", "--json")

    summed(ended, planned=1, invalid=2, confirmed=0, exit_code=65)
    assert f"{paths[0]}:3:{price}: items[0].price: " in ended.stderr
    assert f"{paths[1]}:1:{number}: invoiceNumber: " in ended.stderr


@pytest.mark.parametrize("name", ["empty.csv", "empty.parquet"])
async def test_a_file_of_a_header_is_empty(name: str, tmp_path: Path) -> None:
    ended = await run("send", written(tmp_path, name, []), "--sandbox", "--json")

    summed(ended, planned=0, invalid=0, exit_code=65)
    assert "There is nothing to send" in ended.stderr


@pytest.mark.parametrize("name", ["a.xlsx", "A.XLS", "a.ods"])
async def test_a_workbook_is_told_once_and_what_to_do(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04\n\xff\n\xff\n")

    ended = await run("send", path, "--sandbox", "--json")

    summed(ended, planned=0, invalid=1, exit_code=65)
    assert f"{path}:1:1: the file is a workbook by its name; save it as CSV UTF-8" in ended.stderr


async def test_a_file_is_not_what_its_name_says(tmp_path: Path) -> None:
    rows = made_up_rows(1)
    for name, content, words in (
        ("a.csv", b'{"orderId":"1"}\n', "the header names no column that is known"),
        ("b.csv", content_of(rows, "parquet"), "the file is Parquet"),
        ("c.parquet", content_of(rows, "csv"), "the file is not Parquet"),
    ):
        path = tmp_path / name
        path.write_bytes(content)

        ended = await run("send", path, "--sandbox")

        assert ended.code == 65
        assert f"{path}:1:1: {words}" in ended.stderr


@pytest.mark.parametrize("name", ["invoices.csv", "invoices.parquet"])
async def test_a_sandbox_serves_the_orders_of_a_table(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name, made_up_rows(3))

    async with started("sandbox", "--orders-for", path, "--json") as server:
        assert server.stdout is not None
        said = json.loads(await server.stdout.readline())
        environ = {f"VTEX_{key.upper()}": value for key, value in said.items()}
        environ["VTEX_BASE_URL"] = environ.pop("VTEX_URL")
        ended = await run("send", path, "--json", environ=environ)

    summed(ended, planned=3, confirmed=3, exit_code=0)


async def test_what_one_format_has_sent_another_does_not_send_again(tmp_path: Path) -> None:
    """A journal compares what would be sent, which is the same in every format."""
    rows = made_up_rows(3)
    paths = [
        file_of(tmp_path, rows),
        written(tmp_path, "a.csv", rows),
        written(tmp_path, "a.parquet", rows),
    ]
    async with Sandbox(orders_of(rows)) as sandbox:
        journal = tmp_path / "journal.db"
        ended = [
            await run(
                "send", path, "--json", "--journal", journal, environ=environ_of(sandbox.config)
            )
            for path in paths
        ]

    assert [one.summary["already_confirmed"] for one in ended] == [0, 3, 3]
    assert sandbox.applied.total() == 3


def orders_of(rows: Sequence[dict[str, Any]]) -> list[Order]:
    return [
        fitting_order(row.job.order_id, [row.job.invoice])
        for row in as_json_lines(rows, OMS)
        if isinstance(row, Row)
    ]


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_pipe_of_parquet_leaves_no_file(tmp_path: Path) -> None:
    content = content_of(made_up_rows(5), "parquet")

    ended = await run(
        "send",
        "-",
        "--format",
        "parquet",
        "--sandbox",
        stdin=content,
        environ={"TMPDIR": str(tmp_path)},
    )

    assert ended.code == 0
    assert left_in(tmp_path) == []


def test_the_formats_of_the_option_are_those_that_can_be_read() -> None:
    assert options.FORMATS == sources.FORMATS
