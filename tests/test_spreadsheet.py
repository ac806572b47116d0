"""What goes into a CSV file comes out of it, and no spreadsheet takes any of it for a formula."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vtex_invoice_async.cli.spreadsheet import harmless, write_csv

FORMULAS = ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


@pytest.mark.parametrize("sign", FORMULAS)
@pytest.mark.parametrize(
    "before", ["", " ", "\u00a0", "\u3000", "'", '"', " \"' ", "\ufeff", "\u200b", "\u201c"]
)
def test_what_begins_as_a_formula_gets_an_apostrophe(before: str, sign: str) -> None:
    assert harmless(f"{before}{sign}1+1") == f"'{before}{sign}1+1"


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx", " \tx", "'\rx"])
def test_what_begins_with_a_tab_or_another_line_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        # Where a semicolon ends a cell, quoted or not, a formula may follow it.
        ("a;=1", "a;'=1"),
        ('a; "=1;b;-2', "a;' \"=1;b;'-2"),
        ("a\n=1", "a\n'=1"),
        ("a\t@b", "a\t'@b"),
        ("=1;=2", "'=1;'=2"),
    ],
)
def test_nor_is_there_a_formula_behind_what_ends_a_cell_elsewhere(text: str, written: str) -> None:
    assert harmless(text) == written


@pytest.mark.parametrize(
    "text",
    ["", "NFe-1", "a=b", "items[0].price", "it's 1+1", "'quoted'", "a; b", "letters or @+=,- and so on"],
)  # fmt: skip
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text


texts = st.text(st.sampled_from("=+-@\uff1d;,|'\" \t\r\n\u00a0ab") | st.characters(codec="utf-8"))


def is_formula(piece: str) -> bool:
    """Whether a spreadsheet that heeds no blanks and quotes could evaluate it."""
    return piece.lstrip("\"' \u00a0\ufeff\u200b").startswith(tuple(FORMULAS))


def without_apostrophes(text: str) -> str:
    """What was written, without those that were put in."""
    before = r"""[\s"'`\u00b4\u2018-\u201f\uff02\uff07\ufeff\u200b-\u200f]*"""
    signs = "=+\\-@\uff1d\uff0b\uff0d\uff20"
    return re.sub(f"^'(?={before}[{signs}\t\r\n])|(?<=[;|\t\r\n])'(?={before}[{signs}])", "", text)


@given(texts)
@example("'=1")
@example("''=1;'=1")
def test_the_apostrophes_can_be_taken_out_again(text: str) -> None:
    written = harmless(text)

    pieces = re.split("[;|\t\r\n]", written)
    assert all(piece[0] == "'" for piece in pieces if is_formula(piece))
    assert without_apostrophes(written) == text


@given(st.lists(st.lists(texts | st.integers() | st.none(), min_size=2, max_size=4), max_size=5))
def test_a_file_is_read_as_it_was_written(rows: list[list[str | int | None]]) -> None:
    file = io.BytesIO()

    write_csv(file, ("one", "two"), rows)

    raw = file.getvalue()
    assert raw.startswith(b"\xef\xbb\xbfone,two\r\n")
    read = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    told = [
        [harmless(c) if isinstance(c, str) else "" if c is None else str(c) for c in row]
        for row in rows
    ]
    assert read == [["one", "two"], *told]
