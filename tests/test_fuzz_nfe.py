"""NF-e that anybody may have touched: every file is a row or told, and nothing is raised."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from hypothesis import strategies as st

from tests.canaries import CPF, DESCRIPTION, EMAIL, INVOICE_KEY, NAME
from tests.fuzzing import DATES, NUMBERS, TEXTS, fuzzed, harmed
from tests.notes import Line, make_event, make_note, written_to, zipped
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.markup import LARGEST
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import BadRow, Row, RowProblem
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi

PERSONAL: Final = (NAME, CPF, "98765432100", EMAIL, DESCRIPTION, INVOICE_KEY)
NOTES: Final = [
    make_note(),
    make_note(9876, Line("A", "2.0000", "10.00", "0.01"), Line("B"), kind="0", purpose="4"),
    make_note(remarks={"pedido": "v1-01"}, volumes=["1"], environment="2"),
    make_event(),
]
TAG: Final = re.compile(r"<[^>]*>")
PUT: Final = [
    *(text.strip('"') for text in (*NUMBERS, *TEXTS, *DATES)),
    *("<x/>", "<!-- x -->", "<?x y?>", "<![CDATA[1]]>", "&#0;", "&#48;", "&lt;", "&x;", "<!DOCTYPE x>"),
    *("<x xmlns=''>", "</x>", "<a:b/>", "<det/>", "<ide/>", "<vNF>1</vNF>", "<nNF/>", "]]>"),
    *("<nNF xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>", "<a>" * 40),
]  # fmt: skip
choices = st.sampled_from(["xPed", "obsCont", "obsCont:pedido", "filename"])
dialects = st.sampled_from(OrdersApi)


def edited(text: str, edits: Sequence[tuple[str, int, int, str]]) -> str:
    """A note in which tags are dropped, doubled, moved or renamed, and texts put in."""
    for what, at, other, put in edits:
        spots = list(TAG.finditer(text))
        if not spots:
            return text
        here, there = spots[at % len(spots)], spots[other % len(spots)]
        match what:
            case "drop":
                text = text[: here.start()] + text[here.end() :]
            case "copy":
                text = text[: there.end()] + here[0] + text[there.end() :]
            case "put":
                text = text[: here.end()] + put + text[here.end() :]
            case "replace":
                end = next((s.start() for s in spots if s.start() >= here.end()), len(text))
                text = text[: here.end()] + put + text[end:]
            case "repeat":
                low, high = sorted((here.start(), there.end()))
                text = text[:high] + text[low:high] + text[high:]
            case _:
                text = text.replace(here[0], there[0])
    return text


edits = st.tuples(
    st.sampled_from(["drop", "copy", "put", "replace", "repeat", "rename"]),
    st.integers(0, 200),
    st.integers(0, 200),
    st.sampled_from(PUT),
)
notes = st.builds(edited, st.sampled_from(NOTES), st.lists(edits, max_size=3)).map(
    lambda text: text.encode(errors="surrogatepass")
)
anything = harmed(notes, most=1) | st.binary(max_size=200)


def check_told(problems: Sequence[RowProblem], folder: str) -> None:
    for found in problems:
        told = f"{found.file}: {found}"
        assert found.file is not None
        assert found.file.startswith(folder)
        assert found.line >= 1
        assert found.column >= 1
        assert told.isprintable()
        assert told.encode()
        assert len(str(found)) < 400
        assert not any(text in told for text in PERSONAL)


def check(files: dict[str, bytes], choice: str, dialect: OrdersApi) -> int:
    """Read files as whatever they are; return how many rows and bad rows they make."""
    with TemporaryDirectory() as name:
        folder = str(written_to(Path(name), dict(files)))
        rows = list(read([folder], dialect, order_id_from=choice))
        with Plan(dialect) as plan:
            told = list(plan.take(read([folder], dialect, order_id_from=choice)))
            planned = list(plan.entries())
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    assert plan.planned + plan.invalid + plan.duplicates == len(rows)
    assert len(planned) == plan.planned
    check_told(told, folder)
    for row in rows:
        assert not any(text in repr(row) for text in PERSONAL)
        if isinstance(row, Row):
            operation = NotifyInvoice(order_id=row.job.order_id, invoice=row.job.invoice)
            assert encode(operation, dialect).body == row.body
    return len(rows)


@fuzzed(150, content=anything, choice=choices, dialect=dialects)
def test_a_note_is_a_row_or_told(content: bytes, choice: str, dialect: OrdersApi) -> None:
    kept = make_note(5).encode()

    count = check({"1.xml": content, "2.xml": kept}, choice, dialect)

    assert count in {1, 2}


@fuzzed(60, contents=st.lists(anything, max_size=3), choice=choices, harms=st.data())
def test_a_zip_of_notes_is_rows_or_told(
    contents: list[bytes], choice: str, harms: st.DataObject
) -> None:
    sound = zipped({f"{at}.xml": content for at, content in enumerate(contents)})
    archive = harms.draw(harmed(st.just(sound)))

    check({"1.zip": archive, "2.xml": make_note().encode()}, choice, OrdersApi.OMS)


@fuzzed(
    60,
    content=harmed(st.sampled_from([b"orderId;file\n1-01;1.xml\n", b'orderId,file\n"1","1.xml"\n']))
    | st.binary(max_size=60),
)
def test_a_table_is_read_or_refused_in_one_line(content: bytes) -> None:
    with TemporaryDirectory() as name:
        folder = written_to(Path(name), {"map.csv": content, "1.xml": make_note()})

        found = rows_or_refusal(folder)

    if isinstance(found, ConfigError):
        assert str(found).isprintable()
        assert str(found).startswith(f"{folder}/map.csv")
    else:
        assert len(found) == 1


def rows_or_refusal(folder: Path) -> list[Row | BadRow] | ConfigError:
    try:
        return list(read([f"{folder}/1.xml"], OrdersApi.OMS, order_id_from=f"{folder}/map.csv"))
    except ConfigError as refused:
        return refused


HEAD, _, TAIL = make_note().partition("<infAdic>")
SPACE: Final = LARGEST - len(HEAD) - len(TAIL) - 100
LARGE: Final = {
    "tags": "<a/>" * (SPACE // 4),
    "other tags": "".join(f"<a{n}/>" for n in range(SPACE // 10)),
    "items": "<det><prod><cProd>1</cProd></prod></det>" * (SPACE // 41),
    "remarks": "<obsCont/>" * (SPACE // 11),
    "attributes": "<a " + " ".join(f"a{n}=''" for n in range(SPACE // 12)) + "/>",
    "text": "x" * SPACE,
    "references": "&#120;" * (SPACE // 6),
    "comments": "<!---->" * (SPACE // 7),
    "lines": "\n" * SPACE,
    "open tags": "<a>" * (SPACE // 3),
    "namespaces": "".join(f'<a xmlns="u{n}"/>' for n in range(SPACE // 20)),
}


@pytest.mark.parametrize("inside", LARGE.values(), ids=LARGE)
def test_a_megabyte_of_anything_is_read_in_no_time(inside: str, tmp_path: Path) -> None:
    content = f"{HEAD}<infAdic>{inside}{TAIL}"
    assert LARGEST // 2 < len(content) <= LARGEST
    folder = written_to(tmp_path, {"1.xml": content})
    before = time.process_time()

    rows = list(read([str(folder)], OrdersApi.OMS, order_id_from="xPed"))

    assert len(rows) == 1
    # Some seconds; what grows with the square of it would take minutes.
    assert time.process_time() - before < 30
