"""Which order a note is of is said by one place that is chosen, or nothing is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.canaries import INVOICE_KEY, key_for
from tests.command_line import ROOT, TIMEOUT
from tests.notes import (
    ORDER_ID,
    Line,
    line_with,
    make_event,
    make_note,
    row_at,
    rows_at,
    told_at,
    written_to,
    zipped,
)
from vtex_invoice_async import OrdersApi
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.jobs.sources import read


def order_of(folder: Path, text: str, choice: str, name: str = "note.xml") -> str:
    return row_at(written_to(folder, {name: text}), choice=choice).job.order_id


def missing(folder: Path, text: str, choice: str) -> tuple[tuple[int, int], str]:
    """Where the order's id is missed, and what is said."""
    (found,) = told_at(written_to(folder, {"note.xml": text}), choice=choice)
    assert (found.problem.code, found.problem.field) == ("required", "orderId")
    return (found.line, found.column), found.problem.message


ITEMS = (Line("A", order="v1-01"), Line("B", order="v1-01"))


def test_the_order_of_the_purchase_comes_before_that_of_the_items(tmp_path: Path) -> None:
    assert order_of(tmp_path, make_note(1, *ITEMS), "xPed") == ORDER_ID
    assert order_of(tmp_path, make_note(1, *ITEMS, order=""), "xPed") == "v1-01"


@pytest.mark.parametrize("other", ["", "v2-01"])
def test_the_order_of_the_items_is_that_of_all(tmp_path: Path, other: str) -> None:
    text = make_note(1, *ITEMS, Line("C", order=other), order="")

    place, message = missing(tmp_path, text, "xPed")

    assert place == line_with(text, "<xPed>")
    assert "not the same in det/prod/xPed of all items" in message


def test_an_order_that_is_in_neither_is_missed(tmp_path: Path) -> None:
    text = make_note(order="")

    place, message = missing(tmp_path, text, "xPed")

    assert place == line_with(text, "<compra>")
    assert "neither compra/xPed nor det/prod/xPed" in message


def test_an_order_that_is_none_is_told_where_it_stands(tmp_path: Path) -> None:
    text = make_note(1, Line(order="a/b"), order="")

    (found,) = told_at(written_to(tmp_path, {"note.xml": text}))

    assert (found.line, found.column) == line_with(text, "<xPed>")
    assert found.problem.field == "orderId"


REMARKS = {"pedido": "v7-01", "canal": "loja"}


@pytest.mark.parametrize(
    ("remarks", "choice"),
    [
        ({"pedido": "v7-01"}, "obsCont"),
        ({"pedido": "v7-01"}, "obsCont:pedido"),
        (REMARKS, "obsCont:pedido"),
        (dict(reversed(REMARKS.items())), "obsCont:pedido"),
    ],
)
def test_an_order_may_stand_in_a_remark(
    tmp_path: Path, remarks: dict[str, str], choice: str
) -> None:
    assert order_of(tmp_path, make_note(remarks=remarks), choice) == "v7-01"


@pytest.mark.parametrize(
    ("remarks", "choice", "part", "says"),
    [
        ({}, "obsCont", "<infAdic", "there is no infAdic/obsCont"),
        (REMARKS, "obsCont", '<obsCont xCampo="canal"', "say which"),
        (REMARKS, "obsCont:Pedido", "<infAdic", "no infAdic/obsCont with xCampo Pedido"),
        ({"pedido": ""}, "obsCont:pedido", "<obsCont", "has no text"),
        ([("p", "1"), ("p", "2")], "obsCont:p", '<obsCont xCampo="p"><xTexto>2', "there are 2"),
    ],
)
def test_a_remark_that_is_not_there_or_not_clear_is_missed(
    tmp_path: Path, remarks: Any, choice: str, part: str, says: str
) -> None:
    text = make_note(remarks=remarks)

    place, message = missing(tmp_path, text, choice)

    assert place == line_with(text, part)
    assert says in message


@pytest.mark.parametrize("name", ["v7-01.xml", "v7-01.XML"])
def test_an_order_may_be_the_name_of_the_file(tmp_path: Path, name: str) -> None:
    assert order_of(tmp_path / "a", make_note(), "filename", name) == "v7-01"

    archive = written_to(tmp_path, {"b.zip": zipped({f"2026/{name}": make_note()})}) / "b.zip"
    assert row_at(archive, choice="filename").job.order_id == "v7-01"
    windows = written_to(tmp_path, {"c.zip": zipped({f"x\\{name}": make_note()})}) / "c.zip"
    assert row_at(windows, choice="filename").job.order_id == "v7-01"


def table_of(folder: Path, text: str | bytes) -> str:
    return str(written_to(folder, {"map.csv": text}) / "map.csv")


@pytest.mark.parametrize(
    "text",
    [
        f"orderId,invoiceKey\nv7-01,{INVOICE_KEY}\n",
        f"invoiceKey;orderId\r\n{key_for(1)};v1-01\r\n\r\n{INVOICE_KEY};v7-01",
        "\ufefforderId;invoiceNumber\nv7-01;000009876\n",
        'orderId,file\n"v7-01","note.xml"\nv8-01,other.xml\n',
        # Excel's empty rows
        "file;orderId\r\n;\r\nnote.xml;v7-01\r\n;\r\n",
    ],
)
def test_an_order_may_stand_in_a_table(tmp_path: Path, text: str) -> None:
    choice = table_of(tmp_path / "tables", text)

    assert order_of(tmp_path / "notes", make_note(), choice) == "v7-01"


@pytest.mark.parametrize(
    ("column", "other", "part"),
    [
        ("invoiceKey", key_for(1), "<infNFe"),
        ("invoiceNumber", "1", "<nNF>"),
        ("file", "NOTE.xml", "<infNFe"),
    ],
)
def test_a_note_that_the_table_lacks_is_missed(
    tmp_path: Path, column: str, other: str, part: str
) -> None:
    choice = table_of(tmp_path / "tables", f"orderId,{column}\nv7-01,{other}\n")
    text = make_note()

    place, message = missing(tmp_path / "notes", text, choice)

    assert place == line_with(text, part)
    assert f"map.csv has no row with the {column} of this note" in message


def test_a_name_that_several_notes_have_says_nothing(tmp_path: Path) -> None:
    choice = table_of(tmp_path / "tables", "orderId,file\nv7-01,note.xml\nv8-01,b.xml\n")
    folder = written_to(
        tmp_path / "notes",
        {
            "1.zip": zipped({"note.xml": make_note(1), "b.xml": make_note(2)}),
            "2.zip": zipped({"note.xml": make_note(3), "b.xml": make_event()}),
        },
    )

    rows = rows_at(folder, folder / "1.zip", choice=choice)

    refused = [row for row in rows if isinstance(row, BadRow)]
    assert [row.file for row in refused] == [
        f"{folder}/{name}/note.xml" for name in ("1.zip", "2.zip", "1.zip")
    ]
    assert {row.problems[0].problem.field for row in refused} == {"orderId"}
    assert "several files are called so" in refused[0].problems[0].problem.message
    assert [row.job.order_id for row in rows if isinstance(row, Row)] == ["v8-01", "v8-01"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "map.csv:1: must name two columns"),
        ("orderId\n1\n", "map.csv:1: must name two columns"),
        ("orderId,invoiceKey,invoiceNumber\n", "map.csv:1: must name two columns"),
        ("orderId,invoicekey\n", "map.csv:1: must name two columns"),
        ("orderId,orderId\n", "map.csv:1: must name two columns"),
        ("orderId\tinvoiceKey\n", "map.csv:1: must name two columns"),
        ("orderId,invoiceNumber\n1,1\n2\n", "map.csv:3: must have two cells"),
        ("orderId,invoiceNumber\n1,1,1\n", "map.csv:2: must have two cells"),
        ("orderId,invoiceNumber\n1,\n", "map.csv:2: must have two cells"),
        ("orderId,invoiceNumber\n,1\n", "map.csv:2: must have two cells"),
        ("orderId,invoiceNumber\n1,1\n\n1,01\n", "map.csv:4: names what stands above"),
        ("orderId,file\n1,a\n2,a\n", "map.csv:3: names what stands above"),
        ("orderId,invoiceKey\n1,3.52602E+43\n", "map.csv:2: must have the 44 digits"),
        ('orderId,file\n1,"a\n', "map.csv:2: is not CSV"),
        (b"orderId,file\n\xe91,a\n", "is not UTF-8"),
        ("orderId,file\n1,a\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_a_table_is_read_strictly(tmp_path: Path, text: str | bytes, says: str) -> None:
    choice = table_of(tmp_path / "tables", text)

    with pytest.raises(ConfigError) as refused:
        rows_at(written_to(tmp_path / "notes", {"note.xml": make_note()}), choice=choice)

    assert says in str(refused.value)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    folder = written_to(tmp_path / "notes", {"note.xml": make_note()})

    with pytest.raises(ConfigError, match="cannot be read"):
        rows_at(folder, choice=str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    "choice", [None, "", "xped", "obsCont:", "obscont", "map.txt", "filename:x"]
)
def test_where_the_orders_are_must_be_said(tmp_path: Path, choice: str | None) -> None:
    folder = written_to(tmp_path, {"note.xml": make_note()})

    with pytest.raises(ConfigError) as refused:
        list(read([str(folder)], OrdersApi.OMS, order_id_from=choice))

    for told in ("xPed", "obsCont:NAME", "filename", ".csv"):
        assert told in str(refused.value)


def test_only_of_notes_it_may_be_said(tmp_path: Path) -> None:
    path = written_to(tmp_path, {"a.jsonl": ""}) / "a.jsonl"

    with pytest.raises(ConfigError, match="is for NF-e"):
        rows_at(path)


def test_a_bad_row_does_not_cost_the_others(tmp_path: Path) -> None:
    notes = {"1.xml": make_note(1), "2.xml": make_note(2, order=""), "3.xml": make_note(3)}

    rows = rows_at(written_to(tmp_path, notes))

    assert [type(row) for row in rows] == [Row, BadRow, Row]


@pytest.mark.parametrize("name", ["nfelib", "xsdata", "lxml"])
def test_without_the_extra_one_line_says_so(tmp_path: Path, name: str) -> None:
    folder = written_to(tmp_path, {"note.xml": make_note()})
    program = (
        "import sys\n"
        f"sys.modules[{name!r}] = None\n"
        "from vtex_invoice_async.__main__ import main\n"
        f"sys.argv[1:] = ['send', {str(folder)!r}, '--sandbox', '--order-id-from', 'xPed']\n"
        "sys.exit(main())"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )

    assert ended.returncode == 2
    expected = "vtex-invoice: NF-e needs an extra: pip install 'vtex-invoice-async[nfe]'\n"
    assert ended.stderr == expected
