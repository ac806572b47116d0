"""Invoices from files of JSON lines: `{"orderId": ..., <the invoice as VTEX's API takes it>}`.

Every row is read strictly and checked as it would be before sending, so that a file is known to
be sound before its first invoice leaves. What is wrong is told by line, column and field.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from attrs import frozen
from cattrs.errors import BaseValidationError

from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.jobs.lines import (
    LONGEST_LINE,
    OURS,
    BadRow,
    Json,
    Line,
    RowProblem,
    read_lines,
)
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import problems_of, row_converter

__all__ = ["LONGEST_LINE", "OURS", "BadRow", "Row", "RowProblem", "read_json_lines"]


@frozen(kw_only=True)
class Row:
    """A sound row."""

    line: int
    key: bytes
    """Names the invoice: its order and its number."""

    job: InvoiceJob
    body: bytes
    """What would be sent."""

    warnings: tuple[RowProblem, ...] = ()


def read_json_lines(file: BinaryIO, orders_api: OrdersApi) -> Iterator[Row | BadRow]:
    """Yield a row for each line of *file* that is not blank, in a dialect's names."""
    for line in read_lines(file):
        yield line if isinstance(line, BadRow) else _row(line, orders_api)


def _row(line: Line, orders_api: OrdersApi) -> Row | BadRow:
    document = line.document
    order_id = document.pop("orderId", None)
    key = _key(order_id, document.get("invoiceNumber"))
    document.pop(OURS, None)
    if not isinstance(order_id, str):
        problem = Problem(
            code="required", field="orderId", message="must be the order's id, in quotes"
        )
        return line.bad([problem], key)
    try:
        invoice = row_converter(orders_api).structure(document, Invoice)
        request = encode(NotifyInvoice(order_id=order_id, invoice=invoice), orders_api)
    except BaseValidationError as error:
        return line.bad(problems_of(error, orders_api), key)
    except InvalidInvoice as error:
        return line.bad(error.problems, key)
    return Row(
        line=line.number,
        key=_key(order_id, invoice.invoice_number) or b"",
        job=InvoiceJob(order_id=order_id, invoice=invoice),
        body=request.body or b"",
        warnings=line.without_offset(_moments(document, orders_api)),
    )


def _key(order_id: Json, number: Json) -> bytes | None:
    if not isinstance(order_id, str) or not isinstance(number, str):
        return None
    return f"{order_id}\0{number}".encode(errors="replace")


def _moments(document: dict[str, Json], orders_api: OrdersApi) -> Iterator[str]:
    """Yield the keys of times that should have an offset."""
    issued = document.get("issuanceDate")
    # Where only the day is sent, a day needs no offset.
    is_day = isinstance(issued, str) and len(issued) == len("2026-01-31")
    if not (orders_api is OrdersApi.PII_2022 and is_day):
        yield "issuanceDate"
    yield "dispatchedDate"
