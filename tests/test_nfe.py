"""A note becomes an invoice in a dialect's names, with every cent and every piece of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tests.canaries import INVOICE_KEY, key_for
from tests.notes import (
    ISSUED,
    ORDER_ID,
    Line,
    make_event,
    make_note,
    row_at,
    rows_at,
    told_at,
    written_to,
)
from vtex_invoice_async import InvoiceItem, InvoiceType, OrdersApi
from vtex_invoice_async.jobs.markup import Markup
from vtex_invoice_async.jobs.nfe_document import content_of, document_of
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import BadRow, Row
from vtex_invoice_async.jobs.sources import read

OMS, PII, PII_2022 = OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022


def file_of(folder: Path, text: str, name: str = "note.xml") -> Path:
    return written_to(folder, {name: text}) / name


def document(dialect: OrdersApi, *lines: Line, **changes: Any) -> dict[str, Any]:
    """What a note says in a dialect, before that has looked at it."""
    markup = Markup.of(make_note(1, *lines, **changes).encode())
    written = document_of(content_of(markup), markup, dialect)
    assert written.problems == []
    return written.fields


def items(*lines: Line, dialect: OrdersApi = OMS) -> list[tuple[str, int, int]]:
    found = document(dialect, *lines)["items"]
    return [(item["id"], item["quantity"], item["price"]) for item in found]


def test_a_note_is_an_invoice_with_its_order(tmp_path: Path) -> None:
    text = make_note(9876, Line("1234", "2.0000", "49.98"), value="54.98")

    row = row_at(file_of(tmp_path, text))

    invoice = row.job.invoice
    assert (row.job.order_id, row.line, row.line_in_file) == (ORDER_ID, 1, 4)
    assert row.warnings == ()
    assert invoice.type is InvoiceType.OUTPUT
    assert (invoice.invoice_number, invoice.invoice_value) == ("9876", 5498)
    zone = timezone(timedelta(hours=-3))
    assert invoice.issuance_date == datetime(2026, 1, 31, 22, 25, 43, tzinfo=zone)
    assert invoice.issuance_date.utcoffset() == timedelta(hours=-3)
    assert invoice.items == (InvoiceItem(id="1234", price=2499, quantity=2),)
    assert (invoice.invoice_key == INVOICE_KEY, invoice.embedded_invoice == text) == (True, True)
    assert (invoice.courier, invoice.tracking_number, invoice.invoice_url) == (None, None, None)


def test_what_would_be_sent_holds_the_file_to_the_letter(tmp_path: Path) -> None:
    text = (
        make_note().replace("\n", "\r\n").replace("para ", "para “ação” & ".replace("&", "&amp;"))
    )

    row = row_at(file_of(tmp_path, f"\ufeff{text}"))

    assert json.loads(row.body)["embeddedInvoice"] == text


def test_a_return_is_an_input(tmp_path: Path) -> None:
    row = row_at(file_of(tmp_path, make_note(kind="0", purpose="4")))

    assert row.job.invoice.type is InvoiceType.INPUT
    assert row.warnings == ()


@pytest.mark.parametrize("model", ["55", "65"])
@pytest.mark.parametrize("status", ["100", "150"])
def test_both_models_are_fine_when_they_are_authorised(
    tmp_path: Path, model: str, status: str
) -> None:
    text = make_note(status=status).replace("<mod>55<", f"<mod>{model}<")

    assert row_at(file_of(tmp_path, text)).job.order_id == ORDER_ID


def test_the_price_is_the_unit_on_oms_and_the_sum_elsewhere() -> None:
    line = Line("1", "3.0000", "30.00", discount="0.99")

    assert items(line) == [("1", 3, 967)]
    assert items(line, dialect=PII) == [("1", 3, 2901)]
    assert items(line, dialect=PII_2022) == [("1", 3, 2901)]


def test_a_price_that_does_not_divide_is_the_floor() -> None:
    assert items(Line("1", "2", "1.01")) == [("1", 2, 50)]
    assert items(Line("1", "3", "0.02")) == [("1", 3, 0)]


def test_there_is_one_item_for_a_sku() -> None:
    lines = [Line("A", "1", "10.00"), Line("B", "1", "5.00"), Line("A", "2", "20.03", "0.02")]

    assert items(*lines) == [("A", 3, 1000), ("B", 1, 500)]
    assert items(*lines, dialect=PII) == [("A", 3, 3001), ("B", 1, 500)]


@pytest.mark.parametrize("quantity", ["2", "2.0", "2.0000", "2.0000000000", "0002"])
def test_a_whole_quantity_may_be_written_with_decimals(quantity: str) -> None:
    assert items(Line("1", quantity, "2.00")) == [("1", 2, 100)]


def test_an_item_that_does_not_count_costs_nothing() -> None:
    assert items(Line("1", "2", "2.00", counts="0"), Line("2")) == [("1", 2, 0), ("2", 1, 2499)]


def test_pii_has_the_day_in_its_own_zone_and_neither_xml_nor_hour() -> None:
    found = document(PII, volumes=["2", "3"], issued="2026-01-31T22:25:43-03:00")

    assert found == {
        "type": "Output",
        "invoiceNumber": "1",
        "invoiceValue": 2499,
        "issuedDate": "2026-01-31",
        "invoiceKey": key_for(1),
        "cfop": "6104",
        "volumes": 5,
        "items": [{"id": "1234", "quantity": 1, "price": 2499}],
    }


def test_volumes_that_no_note_gives_are_left_out() -> None:
    assert "volumes" not in document(PII)
    assert "volumes" not in document(PII, volumes=["", ""])
    assert document(PII, volumes=["", "0"])["volumes"] == 0


def test_pii_2022_has_the_xml_and_sends_the_day(tmp_path: Path) -> None:
    row = row_at(file_of(tmp_path, make_note()), dialect=PII_2022)

    sent = json.loads(row.body)
    assert sent["issuanceDate"] == "2026-01-31"
    assert sent["embeddedInvoice"] == make_note()
    assert "cfop" not in sent
    assert sent["items"] == [{"id": "1234", "price": 2499, "quantity": 1}]


def test_a_note_without_items_can_be_said_in_pii(tmp_path: Path) -> None:
    # That of notes with items takes each order's lines: `send --verify` looks them up.
    text = make_note(volumes=["1"])
    begin, _, rest = text.partition("<det ")
    text = begin + rest.partition("</det>")[2]

    problems = told_at(file_of(tmp_path, text), dialect=PII)

    assert [(told.problem.field, told.problem.code) for told in problems] == [("cfop", "value")]


def test_a_number_has_no_leading_zeros(tmp_path: Path) -> None:
    text = make_note(7).replace("<nNF>7<", "<nNF>000000007<")

    assert row_at(file_of(tmp_path, text)).job.invoice.invoice_number == "7"


def test_a_key_may_have_the_letters_of_a_cnpj(tmp_path: Path) -> None:
    key = "35260712ABC34501DE3555001000009876198765432" + "1"

    assert row_at(file_of(tmp_path, make_note(key=key))).job.invoice.invoice_key == key


def test_tags_may_have_a_prefix(tmp_path: Path) -> None:
    text = re.sub(r"<(/?)(?=\w)", r"<\1n:", make_note()).replace("xmlns=", "xmlns:n=")

    plain, prefixed = (
        evolve(row_at(file_of(tmp_path, note)).job.invoice, embedded_invoice=None)
        for note in (make_note(), text)
    )

    assert "<n:nNF>" in text
    assert prefixed == plain


def test_tags_of_a_later_layout_are_passed_over(tmp_path: Path) -> None:
    text = make_note().replace("<finNFe>", "<novo><vNF>1</vNF></novo><finNFe>")

    assert row_at(file_of(tmp_path, text)).job.invoice.invoice_value == 2499


def test_a_word_that_is_newer_than_nfelib_is_no_matter(tmp_path: Path) -> None:
    text = make_note().replace("<modFrete>0<", "<modFrete>77<")

    assert row_at(file_of(tmp_path, text)).warnings == ()


def test_what_nfelib_says_of_a_note_is_not_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (
        make_note().replace("<emit>", "<emit/>stray<emit>").replace("<modFrete>0<", "<modFrete>7<")
    )

    row = row_at(file_of(tmp_path, text))

    assert row.warnings == ()
    assert caplog.records == []


def test_a_note_of_the_test_environment_is_worth_a_look(tmp_path: Path) -> None:
    text = make_note(environment="2")
    only_its_protocol = text.replace("<tpAmb>2</tpAmb>\n<finNFe>", "<tpAmb>1</tpAmb>\n<finNFe>")

    for note in (text, only_its_protocol):
        (told,) = row_at(file_of(tmp_path, note)).warnings
        assert (told.problem.code, told.problem.severity) == ("note-of-test", "warn")
        assert (told.line, told.column) == (7, 1)


@pytest.mark.parametrize(("kind", "purpose"), [("1", "2"), ("0", "3"), ("1", "4")])
def test_a_note_that_is_no_sale_is_worth_a_look(tmp_path: Path, kind: str, purpose: str) -> None:
    row = row_at(file_of(tmp_path, make_note(kind=kind, purpose=purpose)))

    (told,) = row.warnings
    assert (told.problem.code, told.line, told.column) == ("note-purpose", 8, 1)


def test_a_time_without_an_offset_is_worth_a_look(tmp_path: Path) -> None:
    row = row_at(file_of(tmp_path, make_note(issued="2026-01-31T22:25:43")))

    (told,) = row.warnings
    assert (told.problem.code, told.line) == ("no-offset", 5)
    assert row.job.invoice.issuance_date.tzinfo is UTC


def test_what_an_event_cancels_is_refused_wherever_the_event_lies(tmp_path: Path) -> None:
    files = {
        "1.xml": make_note(1),
        "2.xml": make_note(2),
        "3.xml": make_note(3),
        "4.xml": make_event(key_for(2)),
    }
    folder = written_to(tmp_path / "a", {"0.xml": make_event(key_for(1), "110112")})

    rows = rows_at(written_to(tmp_path / "b", files), folder)

    assert [type(row) for row in rows] == [BadRow, BadRow, Row]
    for row in rows[:2]:
        assert isinstance(row, BadRow)
        (told,) = row.problems
        assert told.problem.code == "note-canceled"
        assert (told.line, told.column) == (2, 72)
        assert row.key is None


@pytest.mark.parametrize("kind", ["110110", "210200", "110140"])
def test_other_events_are_passed_over(tmp_path: Path, kind: str) -> None:
    folder = written_to(tmp_path, {"1.xml": make_note(), "2.xml": make_event(kind=kind)})

    assert [type(row) for row in rows_at(folder)] == [Row]


def test_notes_are_numbered_through_a_source_and_told_by_file(tmp_path: Path) -> None:
    first = written_to(tmp_path / "a", {"1.xml": make_note(1), "2.xml": make_event(key_for(9))})
    second = written_to(tmp_path / "b", {"1.xml": "<x/>", "2.xml": make_note(2)})

    rows = rows_at(first, second)

    assert [(row.line, row.file) for row in rows] == [
        (1, f"{first}/1.xml"),
        (2, f"{second}/1.xml"),
        (3, f"{second}/2.xml"),
    ]


def test_notes_and_lines_may_come_together(tmp_path: Path) -> None:
    note = file_of(tmp_path, make_note())
    line = {
        "orderId": "1", "type": "Output", "issuanceDate": ISSUED, "invoiceNumber": "1",
        "invoiceValue": 1, "items": [],
    }  # fmt: skip
    lines = tmp_path / "invoices.jsonl"
    lines.write_text(json.dumps(line))

    rows = read([str(lines), str(note)], OMS, order_id_from="xPed")

    assert [(row.file, row.line) for row in rows] == [(str(lines), 1), (str(note), 1)]


def test_a_plan_tells_of_notes_by_their_files(tmp_path: Path) -> None:
    copy = make_note(3)
    notes = [
        make_note(1),
        make_note(1, value="25.00"),
        copy,
        make_note(2),
        copy,
        make_note(2, order="2"),
    ]
    folder = written_to(tmp_path, {f"{at}.xml": note for at, note in enumerate(notes)})

    with Plan(OMS) as plan:
        told = list(plan.take(rows_at(folder)))

    assert [(row.file, row.line, row.column, row.problem.code) for row in told] == [
        (f"{folder}/1.xml", 4, 1, "conflict"),
        (f"{folder}/5.xml", 4, 1, "number-twice"),
    ]
    assert f"stands in {folder}/0.xml with" in told[0].problem.message
    assert f"invoice in {folder}/3.xml;" in told[1].problem.message
    assert (plan.planned, plan.invalid, plan.duplicates) == (3, 2, 1)


def test_a_note_that_stands_twice_is_sent_once(tmp_path: Path) -> None:
    folder = written_to(tmp_path, {"1.xml": make_note(), "2.xml": make_note()})

    with Plan(OMS) as plan:
        assert list(plan.take(rows_at(folder))) == []
        (entry,) = plan.entries()

    assert (plan.planned, plan.duplicates, entry.line) == (1, 1, 1)


def test_a_bare_note_does_not_spoil_its_authorised_copy(tmp_path: Path) -> None:
    bare = make_note().partition("<NFe>")[2].partition("</NFe>")[0]
    bare = f'<NFe xmlns="http://www.portalfiscal.inf.br/nfe">{bare}</NFe>'
    folder = written_to(tmp_path, {"1-nfe.xml": bare, "1-procNFe.xml": make_note()})

    with Plan(OMS) as plan:
        told = [row.problem.code for row in plan.take(rows_at(folder))]

    assert (plan.planned, plan.invalid, told) == (1, 1, ["note-not-authorized"])


def test_a_note_that_cannot_be_read_whole_may_be_the_correction_of_another(tmp_path: Path) -> None:
    folder = written_to(
        tmp_path, {"1.xml": make_note(), "2.xml": make_note(9876, Line("1", "1.5"))}
    )

    with Plan(OMS) as plan:
        told = [row.problem.code for row in plan.take(rows_at(folder))]

    assert (plan.planned, plan.invalid) == (0, 2)
    assert told == ["value", "conflict"]
