"""Tables of invoices, whatever they are kept in: one row an item, one column a field of VTEX's.

The columns are a dialect's names of an invoice's fields with `orderId`, and those of its items with
`item` before them: `itemId`, `itemPrice`. The rows of one invoice are adjacent. What they say of the
invoice itself stands in its first row; in the others it may be repeated or left empty. A row without
an item begins an invoice. Nothing is stripped or guessed: a cell is empty or what it says.

A place is a row's line and a cell's number, both from 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain, islice
from operator import itemgetter
from typing import Final, TypeAlias

from attrs import NOTHING, field, fields, frozen

from vtex_invoice_async.errors import Problem, printable
from vtex_invoice_async.impersonal import impersonal
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.rows import (
    MOST_TOLD,
    BadRow,
    Json,
    RowProblem,
    Written,
    broken_row,
    key_of,
)
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import INVOICE_NAMES, ITEM_NAMES

__all__ = ["KNOWN", "Cell", "Columns", "TableRow", "columns_of", "invoices_of", "is_no_utf_8"]

Cell: TypeAlias = "str | int | float | bool"
"""What a cell holds; empty text is nothing."""

TableRow: TypeAlias = tuple[int, Sequence[Cell], RowProblem | None]
"""A row's line, its cells, as many as there are columns, and what is wrong with one of them."""

_WHOLE: Final = frozenset(
    {"invoiceValue", "extraValue", "volumes", "itemIndex", "price", "quantity"}
)
"""Fields that are numbers: where a cell is text, its digits are read."""

_MOST_DIGITS: Final = 16
_NO_UTF_8: Final = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8; UTF-8 itself has none of it."""

_NAMING: Final = frozenset({"invoiceNumber", "invoiceValue"})
"""Where a row has neither, it begins no invoice."""

_ITEM: Final = re.compile(r"items\[(\d{1,9})\]\.?(.*)", re.DOTALL)


def is_no_utf_8(text: str) -> bool:
    """Whether *text* was read with `surrogateescape` from bytes that are not UTF-8."""
    return not text.isascii() and _NO_UTF_8.search(text) is not None


def _column_of_item(key: str) -> str:
    return key if key.startswith("item") else f"item{key[0].upper()}{key[1:]}"


def _known(orders_api: OrdersApi) -> dict[str, tuple[bool, str]]:
    names = ["orderId", *INVOICE_NAMES[orders_api].values()]
    # An item may have its SKU beside what the dialect names it by.
    of_items = {*ITEM_NAMES[orders_api].values(), "id"}
    return {name: (False, name) for name in names if name != "items"} | {
        _column_of_item(key): (True, key) for key in sorted(of_items)
    }


KNOWN: Final[Mapping[OrdersApi, Mapping[str, tuple[bool, str]]]] = {
    api: _known(api) for api in OrdersApi
}
"""The columns of each dialect: whether one is of the items, and which key it fills."""

_REQUIRED: Final[Mapping[OrdersApi, Sequence[str]]] = {
    api: (
        "orderId",
        *(names[field.name] for field in fields(Invoice) if field.default is NOTHING),
    )
    for api, names in INVOICE_NAMES.items()
}

Field: TypeAlias = tuple[int, str]
"""The index of a column, and the key that it fills."""


@frozen(kw_only=True)
class _Part:
    """The columns of one part of a row: of the invoice, or of its item."""

    texts: tuple[Field, ...]
    numbers: tuple[Field, ...]

    def document(self, cells: Sequence[Cell]) -> dict[str, Json]:
        """Return what the cells of these columns say."""
        found: dict[str, Json] = {
            key: cells[index] for index, key in self.texts if cells[index] != ""
        }
        for index, key in self.numbers:
            cell = cells[index]
            # What is not just digits is left as it is, for the converter to refuse.
            if isinstance(cell, str) and cell.isdigit() and cell.isascii():
                found[key] = int(cell) if len(cell) <= _MOST_DIGITS else cell
            elif cell != "":
                found[key] = cell
        return found


@frozen(kw_only=True)
class Columns:
    """Where in a row is what."""

    invoice: _Part
    item: _Part
    order_id: int
    invoice_number: int
    """The indexes of the two that name an invoice."""

    of_invoice: Callable[[Sequence[Cell]], tuple[Cell, ...]]
    """Returns the cells of a row that are of its invoice."""

    numbers: Mapping[tuple[bool, str], int]
    """The number, from 1, of the column of each key."""

    def number(self, field: str, *, of_item: bool) -> int:
        """Return the number of the column of a field; what has none is missed at the first."""
        return self.numbers.get((of_item, field), 1)


def columns_of(
    names: Sequence[str], orders_api: OrdersApi, *, file: str | None = None, line: int = 1
) -> Columns | BadRow:
    """Return the columns that a table's header *names*, or what is wrong with it."""
    known = KNOWN[orders_api]
    if not any(name in columns for columns in KNOWN.values() for name in names):
        message = (
            "the header names no column that is known; they are "
            f"{', '.join(known)}. Is the header missing, or split by another character?"
        )
        return broken_row(file, line, 1, message)
    problems = chain(_misnamed(names, orders_api), _missing(names, orders_api))
    told = [
        RowProblem(file=file, line=line, column=column, problem=problem)
        for column, problem in islice(problems, MOST_TOLD)
    ]
    if told:
        return BadRow(file=file, line=line, problems=tuple(told))
    places = [(index, *known[name]) for index, name in enumerate(names)]
    return Columns(
        invoice=_part((index, key) for index, is_item, key in places if not is_item),
        item=_part((index, key) for index, is_item, key in places if is_item),
        of_invoice=itemgetter(*(index for index, is_item, _ in places if not is_item)),
        order_id=names.index("orderId"),
        invoice_number=names.index("invoiceNumber"),
        numbers={(is_item, key): index + 1 for index, is_item, key in places},
    )


def _part(columns: Iterable[Field]) -> _Part:
    found = tuple(columns)
    return _Part(
        texts=tuple(field for field in found if field[1] not in _WHOLE),
        numbers=tuple(field for field in found if field[1] in _WHOLE),
    )


def _misnamed(names: Sequence[str], orders_api: OrdersApi) -> Iterator[tuple[int, Problem]]:
    seen: set[str] = set()
    for column, name in enumerate(names, 1):
        told = printable(impersonal(name[:200]), 40)
        if name in seen:
            message = "is the name of two columns; keep one"
            yield column, Problem(code="line", field=told, message=message)
        elif not name:
            message = "the column has no name; give it one, or remove it"
            yield column, Problem(code="line", field="", message=message)
        elif name not in KNOWN[orders_api]:
            message = f"is no column of the {orders_api} dialect{_hint(name, orders_api)}"
            yield column, Problem(code="unknown-key", field=told, message=message)
        seen.add(name)


def _hint(name: str, orders_api: OrdersApi) -> str:
    others = [str(api) for api, columns in KNOWN.items() if name in columns]
    if others:
        return f", but of {' and '.join(others)}: which is the account's? (--orders-api)"
    by_lower = {column.lower(): column for column in KNOWN[orders_api]}
    close = get_close_matches(name[:40].strip().lower(), by_lower, n=1)
    return (
        f"; did you mean {by_lower[close[0]]}?"
        if close
        else "; rename it to the one that it is, or remove it"
    )


def _missing(names: Sequence[str], orders_api: OrdersApi) -> Iterator[tuple[int, Problem]]:
    for name in _REQUIRED[orders_api]:
        if name not in names:
            yield (
                1,
                Problem(
                    code="required",
                    field=name,
                    message="is missing: give the column that has it this name",
                ),
            )


@frozen(kw_only=True)
class _TableInvoice:
    """An invoice of one or more rows."""

    file: str | None
    number: int
    document: dict[str, Json] = field(repr=False)
    columns: Columns
    lines: Sequence[int]
    """That of each item."""

    def located(self, problem: Problem) -> RowProblem:
        item = _ITEM.fullmatch(problem.field)
        if item is None:
            line, column = self.number, self.columns.number(problem.field, of_item=False)
        else:
            line = self.lines[int(item[1])]
            column = self.columns.number(item[2], of_item=True)
        return RowProblem(file=self.file, line=line, column=column, problem=problem)


def invoices_of(
    rows: Iterable[TableRow | BadRow], columns: Columns, file: str | None = None
) -> Iterator[Written | BadRow]:
    """Yield the invoices that *rows* are.

    A row that cannot be read may have been one of the invoice before it or behind it, so that
    neither of them is known to be whole.
    """
    begun: _Begun | None = None
    broken: int | None = None
    for row in rows:
        if isinstance(row, BadRow):
            if begun is not None:
                yield begun.ended(beside=row.line)
            yield row
            begun, broken = None, row.line
            continue
        line, cells, flaw = row
        item = columns.item.document(cells)
        if begun is None or not item or not begun.is_of(cells):
            if begun is not None:
                yield begun.ended(beside=broken)
                broken = None
            begun = _Begun(columns, file, line, cells)
        else:
            begun.compare(line, cells)
        if item:
            begun.add(line, item)
        if flaw is not None and len(begun.problems) < MOST_TOLD:
            begun.problems.append(flaw)
    if begun is not None:
        yield begun.ended(beside=broken)


class _Begun:
    """An invoice of which rows may follow."""

    def __init__(
        self, columns: Columns, file: str | None, line: int, cells: Sequence[Cell]
    ) -> None:
        self.problems: list[RowProblem] = []
        self._columns = columns
        self._file = file
        self._line = line
        self._cells = cells
        self._order_id = cells[columns.order_id]
        self._invoice_number = cells[columns.invoice_number]
        self._items: list[Json] = []
        self._lines: list[int] = []
        self._size = 0

    def is_of(self, cells: Sequence[Cell]) -> bool:
        """Whether a row says of no other invoice that it is of it."""
        order_id, number = cells[self._columns.order_id], cells[self._columns.invoice_number]
        return order_id in (self._order_id, "") and number in (self._invoice_number, "")

    def compare(self, line: int, cells: Sequence[Cell]) -> None:
        """Compare what a further row says of the invoice with what the first says."""
        first, columns = self._cells, self._columns
        if columns.of_invoice(cells) == columns.of_invoice(first):
            return
        for (is_item, key), number in columns.numbers.items():
            cell = cells[number - 1]
            if is_item or cell in {first[number - 1], ""} or len(self.problems) >= MOST_TOLD:
                continue
            message = f"differs from line {self._line}, where the invoice begins; leave it empty"
            problem = Problem(code="conflict", field=key, message=message)
            self.problems.append(
                RowProblem(file=self._file, line=line, column=number, problem=problem)
            )

    def add(self, line: int, item: dict[str, Json]) -> None:
        """Add a row's item; what is too long to be sent is not kept, so that any file is read."""
        if self._items:  # one row is not too long
            self._size += len(str(item))
        if self._size <= LONGEST_LINE:
            self._items.append(item)
            self._lines.append(line)

    def ended(self, *, beside: int | None) -> Written | BadRow:
        """Return the invoice; *beside* is the line of a row that cannot be read next to it."""
        if self._size > LONGEST_LINE:
            self._refuse(f"the invoice is longer than {LONGEST_LINE} bytes")
        elif beside is not None:
            self._refuse(
                f"line {beside}, beside it, cannot be read and may be a part of this invoice"
            )
        document = self._columns.invoice.document(self._cells)
        if self.problems:
            key = key_of(document.get("orderId"), document.get("invoiceNumber"))
            told = tuple(self.problems[:MOST_TOLD])
            return BadRow(file=self._file, line=self._line, problems=told, key=key)
        if self._items:
            if not _NAMING & document.keys():
                return self._stray(document.get("orderId"))
            document["items"] = self._items
        return _TableInvoice(
            file=self._file,
            number=self._line,
            document=document,
            columns=self._columns,
            lines=self._lines,
        )

    def _stray(self, order_id: Json) -> BadRow:
        """Return an item that may be of an invoice whose rows ended before, or have yet to come."""
        message = "is missing: the rows of an invoice follow each other, or name it"
        problem = Problem(code="required", field="invoiceNumber", message=message)
        column = self._columns.invoice_number + 1
        told = RowProblem(file=self._file, line=self._line, column=column, problem=problem)
        stray_of = order_id if isinstance(order_id, str) else None
        return BadRow(file=self._file, line=self._line, problems=(told,), stray_of=stray_of)

    def _refuse(self, message: str) -> None:
        problem = Problem(code="line", field="", message=message)
        told = RowProblem(file=self._file, line=self._line, column=1, problem=problem)
        self.problems.insert(0, told)
