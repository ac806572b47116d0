"""`vtex-invoice check`: all that is wrong with files is said at once, and nothing is sent."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import shlex
from pathlib import Path
from typing import Any, Final

import pytest

from tests.command_line import file_of, json_lines, run

TIME: Final = "2025-01-31T18:25:43"
SUMMARY: Final = "3 invoices can be sent, 7 rows cannot, 1 repeats another.\n"


def again(*words: object) -> str:
    """What is said to be done next where something is wrong."""
    command = shlex.join(["vtex-invoice", "check", *map(str, words)])
    return f"\nNext:\n  Correct the file, and check it again:\n    {command}\n"


def rehearse(*words: object) -> str:
    """What is said to be done next where nothing is."""
    command = shlex.join(["vtex-invoice", "send", *map(str, words)])
    return f"\nNext:\n  Rehearse it; nothing leaves this machine:\n    {command}\n"


def sound(order: str = "1-01", number: str = "NFe1", **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "orderId": order,
        "type": "Output",
        "issuanceDate": f"{TIME}-03:00",
        "invoiceNumber": number,
        "invoiceValue": 4998,
        "items": [{"id": "a", "price": 2499, "quantity": 1}, {"id": "b", "price": 2499, "quantity": 1}],
    }  # fmt: skip
    return row | changes


def with_key(key: str, *at: int, **changes: Any) -> dict[str, Any]:
    """A row with a key that there is not, in some of its items."""
    row = sound(**changes)
    items = [item | ({key: 1} if n in at else {}) for n, item in enumerate(row["items"])]
    return row | {"items": items}


def mixed(folder: Path) -> Path:
    """A file with some of everything."""
    rows: list[object] = [
        sound(),
        with_key("sku", 0, 1, order="2-01", number="NFe2"),
        with_key("sku", 1, order="3-01", number="NFe3"),
        sound("4-01", "NF 4"),
        sound("5-01", "NFe5", issuanceDate=TIME),
        sound("6-01", "NFe6") | {"=HYPERLINK(1);=2": 1},
        sound("7-01", "NFe1"),
        sound(),
        sound("9-01", "NFe9"),
        sound("9-01", "NFe9", courier="carrierTwo"),
    ]
    path = file_of(folder, rows)
    with path.open("ab") as file:
        file.write(b'{"orderId": "\xff"}\n')
    return path


TABLE: Final = """\
Cannot be sent:
        3  items[].sku: is not a key of the oms dialect
           {path}:2:190, {path}:2:243, {path}:3:233
           unknown-key
        1  invoiceNumber: stands in line 9 with other contents; keep the right one
           {path}:10:1
           conflict
        1  the line is not UTF-8; save the file as UTF-8
           {path}:11:14
           line
        1  invoiceNumber: holds ' ': leave it out, here and in your own books
           {path}:4:101
           number-space; VTEX: known issues 409225, 631970
        1  =HYPERLINK(1);=2: is not a key of the oms dialect
           {path}:6:248
           unknown-key
Worth a look:
        1  issuanceDate: has no offset and is taken as UTC; write one, such as T18:25:43-03:00
           {path}:5:55
           no-offset; VTEX: https://developers.vtex.com/docs/guides/formatting-order-invoicing-time
        1  invoiceNumber: is the number of another order's invoice in line 1; is that meant?
           {path}:7:1
           number-twice; VTEX: https://help.vtex.com/en/docs/tracks/invoicing-an-order
"""

CELLS: Final = [
    *(
        ["refuse", "unknown-key", f"items[{n}].sku", "is not a key of the oms dialect", "", *at]
        for n, at in ((0, ("2", "190")), (1, ("2", "243")), (1, ("3", "233")))
    ),
    ["refuse", "conflict", "invoiceNumber", "stands in line 9 with other contents; keep the right one", "", "10", "1"],
    ["refuse", "line", "", "the line is not UTF-8; save the file as UTF-8", "", "11", "14"],
    ["refuse", "number-space", "invoiceNumber", "holds ' ': leave it out, here and in your own books", "known issues 409225, 631970", "4", "101"],
    ["refuse", "unknown-key", "=HYPERLINK(1);=2", "is not a key of the oms dialect", "", "6", "248"],
    ["warn", "no-offset", "issuanceDate", "has no offset and is taken as UTC; write one, such as T18:25:43-03:00", "https://developers.vtex.com/docs/guides/formatting-order-invoicing-time", "5", "55"],
    ["warn", "number-twice", "invoiceNumber", "is the number of another order's invoice in line 1; is that meant?", "https://help.vtex.com/en/docs/tracks/invoicing-an-order", "7", "1"],
]  # fmt: skip
COLUMNS: Final = ["severity", "code", "field", "message", "source", "file", "line", "column"]


async def test_a_table_has_a_row_for_each_kind(tmp_path: Path) -> None:
    path = mixed(tmp_path)

    ended = await run("check", path)

    assert ended.stdout == TABLE.format(path=path)
    assert (ended.code, ended.stderr) == (65, SUMMARY + again(path))


async def test_json_lines_have_each_problem(tmp_path: Path) -> None:
    path = mixed(tmp_path)

    ended = await run("check", path, "--output", "jsonl")

    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [list(row) for row in told] == [COLUMNS] * len(CELLS)
    cells = [["" if cell is None else cell for cell in row.values()] for row in told]
    assert cells == [[*row[:5], str(path), *map(int, row[5:])] for row in CELLS]
    assert (ended.code, ended.stderr) == (65, SUMMARY + again(path))


async def test_csv_has_each_problem_and_no_formula(tmp_path: Path) -> None:
    path = mixed(tmp_path)

    ended = await run("check", path, "--output", "csv")

    assert ended.stdout.startswith("\ufeffseverity,code,")
    header, *rows = csv.reader(io.StringIO(ended.stdout.removeprefix("\ufeff"), newline=""))
    assert header == COLUMNS
    expected = [[*row[:5], str(path), *row[5:]] for row in CELLS]
    expected[6][2] = "'=HYPERLINK(1);'=2"
    assert rows == expected
    assert (ended.code, ended.stderr) == (65, SUMMARY + again(path))


@pytest.mark.parametrize("output", ["table", "jsonl", "csv"])
async def test_of_a_sound_file_there_is_nothing_to_say(output: str, tmp_path: Path) -> None:
    path = file_of(tmp_path, [sound()])

    ended = await run("check", path, "--output", output)

    assert ended.stdout == ("\ufeff" + ",".join(COLUMNS) + "\r\n" if output == "csv" else "")
    assert (ended.code, ended.stderr) == (
        0,
        "1 invoice can be sent.\n" + rehearse("--sandbox", path),
    )


async def test_warnings_alone_are_no_failure_unless_that_is_wanted(tmp_path: Path) -> None:
    path = file_of(tmp_path, [sound(), sound("2-01", "NFe2", issuanceDate=TIME)])

    ended = await run("check", path)
    strict = await run("check", path, "--strict")

    assert ended.code == 0
    assert "Worth a look:\n        1  issuanceDate: " in ended.stdout
    assert ended.stderr == "2 invoices can be sent.\n" + rehearse("--sandbox", path)
    assert strict.code == 65
    assert "Cannot be sent:\n        1  issuanceDate: " in strict.stdout
    assert "Worth a look" not in strict.stdout
    assert strict.stderr == "1 invoice can be sent, 1 row cannot.\n" + again("--strict", path)


@pytest.mark.parametrize("content", ["", "\n \n"])
async def test_an_empty_file_is_refused_as_send_would(content: str, tmp_path: Path) -> None:
    ended = await run("check", "-", stdin=content.encode())

    assert (ended.code, ended.stdout) == (65, "")
    assert "There is nothing to send" in ended.stderr


async def test_several_files_are_one_source(tmp_path: Path) -> None:
    one = file_of(tmp_path, [sound(), with_key("sku", 0, order="2-01")], "one.jsonl")
    two = file_of(tmp_path, [sound(courier="x"), with_key("sku", 0, order="3-01")], "two.jsonl")

    ended = await run("check", two, one)

    assert ended.code == 65
    assert f"        2  items[].sku: is not a key of the oms dialect\n           {two}:2:" in (
        ended.stdout
    )
    assert f"stands in {two}:1 with other contents; keep the right one\n           {one}:1:1\n" in (
        ended.stdout
    )
    assert ended.stderr.startswith("0 invoices can be sent, 4 rows cannot.\n")


async def test_standard_input_is_a_file_too() -> None:
    rows = json_lines([with_key("sku", 0), sound("2-01")])

    ended = await run("check", "-", "--output", "csv", "--quiet", stdin=rows.encode())

    assert ended.code == 65
    # What names it begins as a formula does.
    assert ended.stdout.splitlines()[1].startswith("refuse,unknown-key,items[0].sku,")
    assert ",'-,1," in ended.stdout
    assert ended.stderr == ""


async def test_a_file_of_any_name_is_named_on_one_line(tmp_path: Path) -> None:
    names = [os.fsdecode(b"\xff.jsonl"), "a\n\x1b[31m.jsonl"]
    rows = [with_key("sku", 0), sound("2-01")]
    paths = [file_of(tmp_path, rows, name) for name in names]

    one = await run("check", paths[1])
    both = await run("check", *paths, "--output", "jsonl")

    assert f"{tmp_path}/a\\n\\x1b[31m.jsonl:1:" in one.stdout
    files = [json.loads(line)["file"] for line in both.stdout.splitlines()]
    assert set(files) == {f"{tmp_path}/\\udcff.jsonl", f"{tmp_path}/a\\n\\x1b[31m.jsonl"}


async def test_the_dialect_is_that_of_send(tmp_path: Path) -> None:
    items = [{"itemIndex": 0, "price": 4998, "quantity": 1}]
    row = sound(issuedDate="2025-01-31", items=items)
    del row["issuanceDate"]
    path = file_of(tmp_path, [row])
    env_file = tmp_path / "settings.env"
    env_file.write_text("VTEX_ORDERS_API=pii\n")

    by_default, *told = await asyncio.gather(
        run("check", path),
        run("check", path, "--orders-api", "pii"),
        run("check", path, environ={"VTEX_ORDERS_API": "pii"}),
        run("check", path, "--env-file", env_file),
    )

    assert by_default.code == 65
    assert "not a key of the oms dialect" in by_default.stdout
    assert [ended.code for ended in told] == [0, 0, 0]


async def test_a_dialect_that_there_is_not_is_a_usage_error(tmp_path: Path) -> None:
    ended = await run("check", mixed(tmp_path), environ={"VTEX_ORDERS_API": "soap"})

    assert (ended.code, ended.stdout) == (2, "")
    assert "VTEX_ORDERS_API must be one of" in ended.stderr


async def test_it_says_what_send_says_and_leaves_no_journal(tmp_path: Path) -> None:
    path = mixed(tmp_path)
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}

    checked = await run("check", path, "--output", "jsonl", environ=state)
    sent = await run("send", path, "--sandbox", environ=state)

    told = set()
    for found in map(json.loads, checked.stdout.splitlines()):
        where = f"{found['file']}:{found['line']}:{found['column']}"
        word = "warning: " if found["severity"] == "warn" else ""
        field = f"{found['field']}: " if found["field"] else ""
        told.add(f"{where}: {word}{field}{found['message']}")
    assert told == set(sent.stderr.splitlines()[: len(CELLS)])
    assert checked.code == sent.code == 65
    assert not (tmp_path / "state").exists()
