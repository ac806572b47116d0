"""What an invoice says is what its note says again; and what nfelib has as samples is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.canaries import key_for
from tests.notes import Line, make_note, rows_at, written_to
from tests.strategies import offsets
from vtex_invoice_async import Invoice, InvoiceItem, InvoiceType, OrdersApi
from vtex_invoice_async.jobs.rows import BadRow, Row

OMS, PII_2022 = OrdersApi.OMS, OrdersApi.PII_2022
KINDS: Final = {InvoiceType.INPUT: "0", InvoiceType.OUTPUT: "1"}

skus = st.text("ABCxyz0189-_.", min_size=1, max_size=8)
pieces = st.tuples(st.integers(1, 9_999), st.integers(0, 10**9), st.integers(0, 10**6))
issued = st.datetimes(datetime(2006, 1, 1), datetime(2099, 1, 1), timezones=offsets).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


@st.composite
def invoices(draw: st.DrawFn) -> tuple[Invoice, list[Line], int]:
    """An invoice, and the lines of its note: those of one SKU apart, and some with a discount."""
    lines, items = [], []
    for sku in draw(st.lists(skus, min_size=1, max_size=4, unique=True)):
        parts = draw(st.lists(pieces, min_size=1, max_size=3))
        lines += [
            Line(sku, f"{quantity}.0000", money(total + less), money(less) if less else "")
            for quantity, total, less in parts
        ]
        quantity, total = (sum(part[at] for part in parts) for at in (0, 1))
        items.append(InvoiceItem(id=sku, quantity=quantity, price=total))
    number = draw(st.integers(1, 999_999_999))
    invoice = Invoice(
        type=draw(st.sampled_from(InvoiceType)),
        invoice_number=str(number),
        invoice_value=draw(st.integers(1, 10**13)),
        issuance_date=draw(issued),
        items=items,
        invoice_key=key_for(number),
    )
    return invoice, lines, number


def money(cents: int) -> str:
    return f"{Decimal(cents) / 100:.2f}"


@settings(max_examples=60, deadline=None)
@given(
    made=invoices(),
    order=st.sampled_from(["1-01", "v5195004lux-01"]),
    dialect=st.sampled_from([OMS, PII_2022]),
)
def test_an_invoice_that_becomes_a_note_comes_back(
    made: tuple[Invoice, list[Line], int], order: str, dialect: OrdersApi
) -> None:
    invoice, lines, number = made
    text = make_note(
        number,
        *lines,
        value=money(invoice.invoice_value),
        kind=KINDS[invoice.type],
        order=order,
        issued=invoice.issuance_date.isoformat(),
        key=key_for(number),
    )
    if dialect is OMS:
        units = [evolve(item, price=item.price // item.quantity) for item in invoice.items]
        invoice = evolve(invoice, items=units)

    with TemporaryDirectory() as folder:
        (row,) = rows_at(written_to(Path(folder), {"note.xml": text}), dialect=dialect)

    assert isinstance(row, Row)
    assert row.job.order_id == order
    assert row.job.invoice == evolve(invoice, embedded_invoice=text)
    assert row.job.invoice.issuance_date.utcoffset() == invoice.issuance_date.utcoffset()


@settings(max_examples=30, deadline=None)
@given(seconds=st.integers(0, 86_399), offset=offsets)
def test_the_day_is_that_of_the_zone(seconds: int, offset: timezone) -> None:
    moment = (datetime(2026, 1, 31, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(offset)
    text = make_note(issued=moment.isoformat())

    with TemporaryDirectory() as folder:
        (row,) = rows_at(written_to(Path(folder), {"note.xml": text}), dialect=PII_2022)

    assert isinstance(row, Row)
    assert f'"issuanceDate":"{moment.date()}"'.encode() in row.body


SAMPLES: Final = Path(str(resources.files("nfelib")))
NOTES: Final = sorted(SAMPLES.glob("nfe/samples/**/*.xml"))
OTHERS: Final = sorted(set(SAMPLES.glob("*/samples/**/*.xml")) - set(NOTES))
SOUND: Final = 16
"""Of nfelib 3.2: those that are authorised and sell whole pieces."""


def test_every_sample_of_nfelib_is_a_row_or_refused_with_a_reason(tmp_path: Path) -> None:
    sound = 0
    for at, path in enumerate(NOTES):
        name = f"order-{at}.xml"
        (row,) = rows_at(
            written_to(tmp_path / str(at), {name: path.read_bytes()}), choice="filename"
        )
        if isinstance(row, BadRow):
            assert {found.problem.code for found in row.problems} <= {
                "file", "note-not-authorized", "value",
            }  # fmt: skip
            continue
        sound += 1
        raw = path.read_text(encoding="utf-8-sig")
        invoice = row.job.invoice
        assert f"<nNF>{invoice.invoice_number}</nNF>" in raw
        assert f"<vNF>{money(invoice.invoice_value)}</vNF>" in raw
        assert f"<dhEmi>{invoice.issuance_date.isoformat()}</dhEmi>" in raw.replace(
            "-00:00<", "+00:00<"
        )
        assert len(invoice.items) == len(set(re.findall(r"<cProd>(.*?)</cProd>", raw)))
        assert len(row.warnings) <= 1

    assert len(NOTES) >= 19
    assert sound >= SOUND


def test_there_are_other_samples() -> None:
    assert len(OTHERS) >= 10


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.name)
def test_what_is_no_note_of_goods_is_refused_or_an_event(tmp_path: Path, path: Path) -> None:
    rows = rows_at(written_to(tmp_path, {"1.xml": path.read_bytes()}), choice="filename")

    told = [row.problems[0].problem.message for row in rows if isinstance(row, BadRow)]
    assert len(told) == len(rows)
    assert all("is no NF-e" in message or "UTF-8" in message for message in told)
