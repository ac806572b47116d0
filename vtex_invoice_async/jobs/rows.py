"""A row of a file, whatever the file: what it asks for, or why that cannot be sent, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeAlias

import orjson
from attrs import evolve, field, frozen
from cattrs.errors import BaseValidationError

from vtex_invoice_async import preflight
from vtex_invoice_async.checks import MOST
from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.models import Invoice, InvoiceItem
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import problems_of, row_converter

__all__ = [
    "MOST_TOLD",
    "OURS",
    "BadRow",
    "Json",
    "Row",
    "RowProblem",
    "Written",
    "bad_row",
    "broken_row",
    "key_of",
    "named",
    "row_of",
    "without_offset",
]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

OURS: Final = "job"
"""What an export, or a failure, adds to a row; it is ours and not VTEX's."""

MOST_TOLD: Final = 20
"""Problems that are told of one row."""

_NO_ORDER = Problem(
    code="required",
    field="orderId",
    message="must be the order's id, as text (in JSON, in quotes)",
)
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
    line_in_file: int | None = None
    """As that of a row."""

    problems: tuple[RowProblem, ...]
    key: bytes | None = None
    """Names what it is about, where that much can be read."""

    stray_of: str | None = None
    """The order of which it may be a part of some invoice, for it does not say of which."""


@frozen(kw_only=True)
class Row:
    """A sound row."""

    file: str | None = None
    line: int
    """From 1; where each has a file of its own, as an NF-e, its place among them."""

    line_in_file: int | None = None
    """Where it stands in its file, if that is not *line*."""

    key: bytes
    """Names the invoice: its order and its number."""

    job: InvoiceJob
    body: bytes = field(repr=False)
    """What would be sent; where it is *by_sku*, the same as it is written, with its SKUs."""

    by_sku: bool = False
    """Whether only its order tells what is sent, for it names lines by SKU where VTEX does not."""

    warnings: tuple[RowProblem, ...] = ()
    places: Mapping[str, tuple[int, int]] = field(factory=dict)
    """Line and column of what its order may have something against, by field."""


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


def named(path: str) -> str:
    """Return how a file is called wherever it is told: a name may hold anything."""
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def bad_row(written: Written, problems: Iterable[Problem], key: bytes | None = None) -> BadRow:
    """Return the row that it is for the sake of its *problems*."""
    # Finding a place means reading the row again; past a few nobody needs the next one.
    found = tuple(problems)
    told = [written.located(problem) for problem in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        more = f"the line has at least {len(found) - MOST_TOLD:,} more problems"
        told.append(written.located(Problem(code="line", field="", message=more)))
    return BadRow(file=written.file, line=written.number, problems=tuple(told), key=key)


def broken_row(file: str | None, line: int, column: int, message: str) -> BadRow:
    """Return a row of which nothing can be read."""
    problem = Problem(code="line", field="", message=message)
    told = RowProblem(file=file, line=line, column=column, problem=problem)
    return BadRow(file=file, line=line, problems=(told,))


def row_of(
    written: Written,
    orders_api: OrdersApi,
    now: datetime | None = None,
    *,
    with_order: bool = False,
) -> Row | BadRow:
    """Return the row that *written* is; without *now*, no date is taken to lie in the future.

    One that is checked *with_order* later may name lines by SKU in every dialect.
    """
    document = written.document
    order_id = document.pop("orderId", None)
    key = key_of(order_id, document.get("invoiceNumber"))
    document.pop(OURS, None)
    if not isinstance(order_id, str):
        return bad_row(written, [_NO_ORDER], key)
    try:
        invoice = row_converter(orders_api).structure(document, Invoice)
        by_sku = with_order and orders_api is OrdersApi.PII and any(i.id for i in invoice.items)
        body = _body(order_id, invoice, orders_api, by_sku=by_sku)
    except BaseValidationError as error:
        return bad_row(written, problems_of(error, orders_api), key)
    except InvalidInvoice as error:
        return bad_row(written, map(_advised, error.problems), key)
    warnings = preflight.warnings(order_id, invoice, orders_api, now)
    return Row(
        file=written.file,
        line=written.number,
        key=key or b"",
        job=InvoiceJob(order_id=order_id, invoice=invoice),
        body=body,
        by_sku=by_sku,
        places=_places(written, invoice) if with_order else {},
        warnings=(
            *without_offset(written, _moments(document, orders_api)),
            *map(written.located, warnings),
        ),
    )


def _body(order_id: str, invoice: Invoice, orders_api: OrdersApi, *, by_sku: bool) -> bytes:
    """Return what is sent, or with SKUs what comes before it; refuse what can never be sent."""
    sent = _with_any_index(invoice) if by_sku else invoice
    request = encode(NotifyInvoice(order_id=order_id, invoice=sent), orders_api)
    if by_sku:
        return orjson.dumps(row_converter(orders_api).unstructure(invoice))
    return request.body or b""


def _with_any_index(invoice: Invoice) -> Invoice:
    """Where the order is to tell an index, any that no other line has will do until then."""
    items = [
        evolve(item, item_index=MOST - at) if _lacks_index(item) else item
        for at, item in enumerate(invoice.items)
    ]
    return evolve(invoice, items=items)


def _lacks_index(item: InvoiceItem) -> bool:
    return item.item_index is None and item.id is not None


def _advised(problem: Problem) -> Problem:
    """Say what a row may do about an index that it lacks."""
    if problem.code != "missing" or not problem.field.endswith(".itemIndex"):
        return problem
    advice = (
        "is missing: with --verify the order tells it by the SKU in id; "
        "without, give the line's place on the order, from 0"
    )
    return evolve(problem, message=advice)


def _places(written: Written, invoice: Invoice) -> Mapping[str, tuple[int, int]]:
    # Each costs a look through the row, so of many items the first ones have to do.
    fields = ["orderId", "type", "invoiceNumber", "invoiceValue", "items"]
    for at, item in enumerate(invoice.items[:MOST_TOLD]):
        names = {"id": item.id, "itemIndex": item.item_index, "quantity": item.quantity}
        fields += [f"items[{at}].{name}" for name, value in names.items() if value is not None]
    found = (written.located(Problem(code="", field=name, message="")) for name in fields)
    return {told.problem.field: (told.line, told.column) for told in found}


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


def key_of(order_id: Json, number: Json) -> bytes | None:
    """Return what names an invoice, if these two can."""
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
