"""What is wrong with a note is told by file, line and column, and quotes nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.canaries import NAME, key_for
from tests.notes import (
    NAMESPACE,
    Line,
    line_with,
    make_event,
    make_note,
    rows_at,
    told_at,
    written_to,
)
from vtex_invoice_async import OrdersApi
from vtex_invoice_async.jobs.markup import DEEPEST, LARGEST
from vtex_invoice_async.preflight import RULES

NOTE: Final = make_note()
BARE: Final = f'<NFe xmlns="{NAMESPACE}"><infNFe>{NAME}</infNFe></NFe>'


def told_of(folder: Path, content: str | bytes) -> tuple[int, int, str, str]:
    """Line, column, code and text of the one thing that is told of a file."""
    (found,) = told_at(written_to(folder, {"note.xml": content}))
    assert found.file == f"{folder}/note.xml"
    return found.line, found.column, found.problem.code, str(found.problem)


@pytest.mark.parametrize("status", ["101", "110", "151", "155", "204", "301", "302", "303", "999"])
def test_only_what_sefaz_authorised_is_sent(tmp_path: Path, status: str) -> None:
    text = make_note(status=status)

    line, column, code, message = told_of(tmp_path, text)

    assert (line, column) == line_with(text, "<cStat>")
    assert code == "note-not-authorized"
    assert f"cStat is {status}, not 100 or 150" in message


def test_a_status_that_is_none_is_not_quoted(tmp_path: Path) -> None:
    *_, code, message = told_of(tmp_path, make_note(status=NAME))

    assert (code, "cStat is something else" in message) == ("note-not-authorized", True)


@pytest.mark.parametrize(
    ("text", "part", "says"),
    [
        (BARE, "<NFe", "an NFe without a protocol"),
        (NOTE.replace("<cStat>100</cStat>", ""), "<infProt>", "no protocol of SEFAZ's"),
        (NOTE.replace("<cStat>100</cStat>", "<cStat/>"), "<cStat/>", "no protocol of SEFAZ's"),
        (NOTE.partition("<protNFe")[0] + "</nfeProc>", "<nfeProc", "no protocol of SEFAZ's"),
        (make_note(protocol_key=key_for(5)), "<cStat>", "the protocol is that of another note"),
    ],
)
def test_a_note_needs_a_protocol_of_its_own(
    tmp_path: Path, text: str, part: str, says: str
) -> None:
    line, column, code, message = told_of(tmp_path, text)

    assert (line, column) == line_with(text, part)
    assert code == "note-not-authorized"
    assert says in message


def replaced(tag: str, text: str) -> str:
    """The note with another text in a tag."""
    begin, _, rest = NOTE.partition(f"<{tag}>")
    _, _, end = rest.partition(f"</{tag}>")
    return f"{begin}<{tag}>{text}</{tag}>{end}"


@pytest.mark.parametrize(
    ("tag", "text", "field"),
    [
        ("tpNF", "2", "type"),
        ("tpNF", "", "type"),
        ("nNF", "", "invoiceNumber"),
        ("nNF", "000", "invoiceNumber"),
        ("nNF", "1a", "invoiceNumber"),
        ("nNF", " 1 ", "invoiceNumber"),
        ("nNF", "１", "invoiceNumber"),  # noqa: RUF001  a digit to Python, and none of ours
        ("nNF", "1234567890", "invoiceNumber"),
        ("vNF", "0.00", "invoiceValue"),
        ("vNF", "24,99", "invoiceValue"),
        ("vNF", "-24.99", "invoiceValue"),
        ("vNF", "24.999", "invoiceValue"),
        ("vNF", "", "invoiceValue"),
        ("dhEmi", "31/01/2026", "issuanceDate"),
        ("dhEmi", "2026-02-30T00:00:00-03:00", "issuanceDate"),
        ("dhEmi", "", "issuanceDate"),
        ("qCom", "1.5000", "items[0].quantity"),
        ("qCom", "0.0000", "items[0].quantity"),
        ("qCom", "-1", "items[0].quantity"),
        ("qCom", "1e3", "items[0].quantity"),
        ("qCom", "", "items[0].quantity"),
        ("vProd", "1.0.0", "total"),
        ("cProd", "", "items[0].id"),
        ("xPed", "", "orderId"),
        ("xPed", "../x", "orderId"),
    ],
)
def test_what_cannot_be_read_is_told_where_it_stands(
    tmp_path: Path, tag: str, text: str, field: str
) -> None:
    if field == "total":
        note, field = make_note(9876, Line(total=text)), "items[0].price"
        place = line_with(note, "<vProd>")
    else:
        note = replaced(tag, text)
        place = line_with(note, f"<{tag}>")

    (found,) = told_at(written_to(tmp_path, {"note.xml": note}))

    assert found.problem.field == field
    assert (found.line, found.column) == place


def test_a_tag_that_is_missing_is_told_where_it_should_stand(tmp_path: Path) -> None:
    text = NOTE.replace("<vNF>24.99</vNF>", "")

    assert told_of(tmp_path, text)[:2] == line_with(text, "<ICMSTot>")


def test_each_bad_item_is_told_by_its_sku_and_its_place(tmp_path: Path) -> None:
    lines = [
        Line("A"),
        Line("B", "0.5"),
        Line("A", "1.25"),
        Line("C", total="1.00", discount="1.01"),
        Line("D", discount="x"),
        Line(""),
    ]
    text = make_note(9876, *lines)

    problems = told_at(written_to(tmp_path, {"note.xml": text}))

    told = [(found.line, found.problem.field) for found in problems]
    first = line_with(text, "<det ")[0]
    assert told == [
        (first + 6 + 3, "items[1].quantity"),
        (first + 12 + 3, "items[2].quantity"),
        (first + 18 + 4, "items[3].price"),
        (first + 24 + 4, "items[4].price"),
        (first + 30, "items[5].id"),
    ]
    assert "item 2 of the note (SKU B)" in problems[0].problem.message
    assert "item 3 of the note (SKU A)" in problems[1].problem.message
    assert "vDesc is above vProd of item 4" in problems[2].problem.message


def test_a_value_of_pii_is_told_where_it_stands(tmp_path: Path) -> None:
    text = make_note(volumes=["1", "1.5"])

    problems = told_at(written_to(tmp_path, {"note.xml": text}), dialect=OrdersApi.PII)

    (found,) = (found for found in problems if found.problem.field == "volumes")
    assert (found.line, found.column) == line_with(text, "<qVol>")


XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    ("content", "place", "says"),
    [
        (b"", (1, 1), "is not XML"),
        (b"{}", (1, 1), "is not XML"),
        (b"<a>\n<b>\n</a>", (3, 3), "is not XML: mismatched tag"),
        (NOTE[:-12], None, "is not XML: "),
        (NOTE + "<x/>", (NOTE.count("\n") + 1, 1), "is not XML: junk after"),
        (NOTE.replace("para ", "para &eu; "), None, "is not XML: undefined entity"),
        (b"<x/>", (1, 1), "is no NF-e"),
        (NOTE.replace(NAMESPACE, "urn:x"), (1, 1), "is no NF-e"),
        (f'<nfeProc xmlns="{NAMESPACE}"/>', (1, 1), "is no NF-e"),
        (f'<nfeProc xmlns="{NAMESPACE}"><NFe/></nfeProc>', (1, 1), "is no NF-e"),
        (f'<cteProc xmlns="{NAMESPACE}"/>', (1, 1), "is no NF-e"),
        (f'<procEventoNFe xmlns="{NAMESPACE}"/>', (1, 1), "does not say which"),
        (make_event("1"), (1, 1), "does not say which"),
        ("<!DOCTYPE nfeProc>" + NOTE[38:], (1, 1), "has a DOCTYPE"),
        ('\n<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', (2, 1), "has a DOCTYPE"),
        (NOTE.encode("utf-16"), (1, 1), "is not UTF-8"),
        (NOTE.encode("utf-16-le"), (1, 2), "is not UTF-8"),
        (NOTE.replace("para", "não").encode("latin-1"), None, "is not UTF-8"),
        (NOTE.replace("UTF-8", "ISO-8859-1"), (1, 1), "declares another encoding"),
        (NOTE.replace("UTF-8", "UTF-7"), (1, 1), "declares another encoding"),
        (b"<a>" * (DEEPEST + 1), (1, 3 * DEEPEST + 1), f"more than {DEEPEST} tags"),
        (b"<" + b"x" * LARGEST + b"/>", (1, 1), "is larger than 1,048,576 bytes"),
        (NOTE.replace("<vNF>", "<vNF>1</vNF><vNF>"), None, "has vNF twice"),
        (NOTE.replace("<ide>", "<ide/><ide>"), (3, 7), "has ide twice"),
        (NOTE.replace("<nNF>9", "<nNF>9<!-- x -->"), (4, 7), "has a comment inside nNF"),
        (NOTE.replace("<nNF>9", "<nNF>9<?x y?>"), (4, 7), "has a comment inside nNF"),
        (NOTE.replace("<nNF>9", "<nNF>9<x/>"), (4, 7), "has a tag inside nNF"),
        # xsdata would pass the item over.
        (NOTE.replace("<det", f'<det {XSI} xsi:nil="true"', 1), None, "xsi:nil or xsi:type"),
        (NOTE.replace("<prod", f'<prod {XSI} xsi:type="x"', 1), None, "xsi:nil or xsi:type"),
    ],
)
def test_what_is_no_note_is_refused(
    tmp_path: Path, content: str | bytes, place: tuple[int, int] | None, says: str
) -> None:
    line, column, code, message = told_of(tmp_path, content)

    assert code == "file"
    assert says in message
    assert place is None or (line, column) == place
    assert line > 1 or place is not None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp500"])
def test_no_encoding_hides_a_doctype(tmp_path: Path, encoding: str) -> None:
    bomb = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'

    *_, code, _ = told_of(tmp_path, bomb.encode(encoding))

    assert code == "file"


def test_comments_elsewhere_are_no_matter(tmp_path: Path) -> None:
    text = NOTE.replace("<ide>", "<!-- <!DOCTYPE x> --><ide>").replace(
        "<nfeProc", "<!-- x --><nfeProc"
    )

    (row,) = rows_at(written_to(tmp_path, {"note.xml": text}))

    assert row.line_in_file == 4
    assert not hasattr(row, "problems")


def test_the_rules_of_notes_name_where_they_come_from() -> None:
    found = {code: rule for code, rule in RULES.items() if code.startswith("note-")}

    assert {code: rule.severity for code, rule in found.items()} == {
        "note-not-authorized": "refuse",
        "note-canceled": "refuse",
        "note-of-test": "warn",
        "note-purpose": "warn",
    }
    assert all("Manual de Orientação do Contribuinte" in rule.source for rule in found.values())
