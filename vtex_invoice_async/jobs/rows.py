"""A row of a file, whatever the file: what it asks for, or why that cannot be sent, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeAlias

from attrs import field, frozen
from cattrs.errors import BaseValidationError

from vtex_invoice_async import preflight
from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import problems_of, row_converter

__all__ = [
    "OURS",
    "BadRow",
    "Json",
    "Row",
    "RowProblem",
    "Written",
    "bad_row",
    "row_of",
    "without_offset",
]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

OURS: Final = "job"
"""What an export, or a failure, adds to a row; it is ours and not VTEX's."""

MOST_TOLD: Final = 20
"""Problems that are told of one row."""

_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")


@frozen(kw_only=True)
class RowProblem:
    """What is wrong with a row, or worth a look, and where."""

    file: str | None = None
    """The file, where a source is of several."""

    line: int
    column: int
    """Both from 1."""

    problem: Problem

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.problem}"


@frozen(kw_only=True)
class BadRow:
    """A row that cannot be sent."""

    file: str | None = None
    line: int
    problems: tuple[RowProblem, ...]
    key: bytes | None = None
    """Names what it is about, where that much can be read."""


@frozen(kw_only=True)
class Row:
    """A sound row."""

    file: str | None = None
    line: int
    key: bytes
    """Names the invoice: its order and its number."""

    job: InvoiceJob
    body: bytes = field(repr=False)
    """What would be sent."""

    warnings: tuple[RowProblem, ...] = ()


class Written(Protocol):
    """A row as it was written: a JSON object, and the place of each of its fields."""

    @property
    def file(self) -> str | None:
        """The file, where a source is of several."""
        ...

    @property
    def number(self) -> int:
        """Its line, from 1."""
        ...

    @property
    def document(self) -> dict[str, Json]:
        """The invoice in a dialect's names with its `orderId`, without what counts as absent.

        Whoever reads it may take it apart.
        """
        ...

    def located(self, problem: Problem) -> RowProblem:
        """Return *problem* with the place of its field."""
        ...


def bad_row(written: Written, problems: Iterable[Problem], key: bytes | None = None) -> BadRow:
    """Return the row that it is for the sake of its *problems*."""
    # Finding a place means reading the row again; past a few nobody needs the next one.
    found = tuple(problems)
    told = [written.located(problem) for problem in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        more = f"the line has at least {len(found) - MOST_TOLD:,} more problems"
        told.append(written.located(Problem(code="line", field="", message=more)))
    return BadRow(file=written.file, line=written.number, problems=tuple(told), key=key)


def row_of(written: Written, orders_api: OrdersApi, now: datetime | None = None) -> Row | BadRow:
    """Return the row that *written* is; without *now*, no date is taken to lie in the future."""
    document = written.document
    order_id = document.pop("orderId", None)
    key = _key(order_id, document.get("invoiceNumber"))
    document.pop(OURS, None)
    if not isinstance(order_id, str):
        message = "must be the order's id, in quotes"
        problem = Problem(code="required", field="orderId", message=message)
        return bad_row(written, [problem], key)
    try:
        invoice = row_converter(orders_api).structure(document, Invoice)
        request = encode(NotifyInvoice(order_id=order_id, invoice=invoice), orders_api)
    except BaseValidationError as error:
        return bad_row(written, problems_of(error, orders_api), key)
    except InvalidInvoice as error:
        return bad_row(written, error.problems, key)
    warnings = preflight.warnings(order_id, invoice, orders_api, now)
    return Row(
        file=written.file,
        line=written.number,
        key=key or b"",
        job=InvoiceJob(order_id=order_id, invoice=invoice),
        body=request.body or b"",
        warnings=(
            *without_offset(written, _moments(document, orders_api)),
            *map(written.located, warnings),
        ),
    )


def without_offset(written: Written, keys: Iterable[str]) -> Sequence[RowProblem]:
    """Return a warning for each of the *keys* that holds a time without an offset."""
    rule = preflight.RULES["no-offset"]
    texts = ((key, written.document.get(key)) for key in keys)
    message = "has no offset and is taken as UTC; write one, such as T18:25:43-03:00"
    return tuple(
        written.located(rule.problem(key, message))
        for key, text in texts
        if isinstance(text, str) and not _OFFSET.search(text)
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
