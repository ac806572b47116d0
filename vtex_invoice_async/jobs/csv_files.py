"""CSV files, read strictly: the rows of a table, by the line of the file that each begins in.

A file is UTF-8 and begins with its columns' names, which also say what is between two cells: `;`,
`,` or a tab. A cell with one of those, a quote or a line's end stands in quotes, its own quotes
doubled. Behind a quote that breaks this nobody knows what is a cell and what is text: there reading
stops.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import BinaryIO, Final

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.rows import BadRow, RowProblem, Written, broken_row
from vtex_invoice_async.jobs.tables import KNOWN, TableRow, columns_of, invoices_of, is_no_utf_8
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["read_csv"]

_LONGEST_ROW: Final = LONGEST_LINE + len("\r\n")
_DELIMITERS: Final = {";": "a semicolon", ",": "a comma", "\t": "a tab"}
_COLUMNS: Final = frozenset().union(*KNOWN.values())
_UNREAD: Final = "nothing behind it is read"
_SAVE: Final = "save the file as CSV UTF-8"

_BOM: Final = "\ufeff"
_FOREIGN: Final = (
    ("\udcff\udcfe", f"the file is UTF-16; {_SAVE}"),
    ("\udcfe\udcff", f"the file is UTF-16; {_SAVE}"),
    ("PK\x03\x04", f"the file is a workbook or an archive; {_SAVE}"),
    ("PAR1", "the file is Parquet; name it so, or give --format parquet"),
)
"""How files begin that are no CSV."""


def read_csv(file: BinaryIO, name: str | None, orders_api: OrdersApi) -> Iterator[Written | BadRow]:
    """Yield each invoice of *file*; *name* says which of several it is."""
    # It is the process's, and low for an embedded invoice; how long a row is, `_Lines` watches.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    lines = _Lines(file)
    try:
        yield from _read(lines, name, orders_api)
    finally:
        lines.let_go()


def _read(lines: _Lines, name: str | None, orders_api: OrdersApi) -> Iterator[Written | BadRow]:
    try:
        header = _header(lines)
    except _BrokenError as broken:
        yield broken_row(name, lines.number, broken.column, str(broken))
        return
    if header is None:
        return
    delimiter, names = header
    columns = columns_of(names, orders_api, file=name, line=lines.number)
    if isinstance(columns, BadRow):
        yield columns
        return
    rows = _rows(lines, delimiter, len(names), name)
    yield from invoices_of(rows, columns, name)


class _BrokenError(Exception):
    """A row that has no cells."""

    def __init__(self, message: str, column: int = 1) -> None:
        self.column = column
        super().__init__(message)


class _Lines:
    """The lines of a file with their ends, as `csv` takes them, and how far they have come."""

    def __init__(self, file: BinaryIO) -> None:
        self.number = 0
        """That of the last line."""
        self.of_row: list[str] = []
        """Those of the row that is being read."""
        self.flaw: str | None = None
        """What is wrong with a character of it."""
        # A byte that is not UTF-8 costs its own row, and nothing of where rows and cells end.
        self._text = TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
        self._size = 0
        self._lines = self._read()

    def let_go(self) -> None:
        """Leave the file, which is whoever's opened it, as it is."""
        if not self._text.closed:
            self._text.detach()

    def begin_row(self) -> None:
        self.of_row.clear()
        self.flaw = None
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def _read(self) -> Iterator[str]:
        offset = 0
        while line := self._text.readline(_LONGEST_ROW + 1):
            self.number += 1
            try:
                size = len(line) if line.isascii() else len(line.encode())
            except UnicodeEncodeError as error:
                foreign = offset + len(line[: error.start].encode())
                self.flaw = f"is not UTF-8 from the file's byte {foreign} on; {_SAVE}"
                size = len(line.encode(errors="surrogateescape"))
            self._size += size
            if self._size > _LONGEST_ROW:
                message = f"the row is longer than {LONGEST_LINE} bytes; is a quote not closed?"
                raise _BrokenError(f"{message} {_UNREAD.capitalize()}")
            if "\0" in line:
                self.flaw = f"holds a NUL; {_SAVE}"
            offset += size
            self.of_row.append(line)
            yield line


def _header(lines: _Lines) -> tuple[str, Sequence[str]] | None:
    """Return what is between two cells, and the columns' names; an empty file has none."""
    for line in lines:
        text = line.removeprefix(_BOM) if lines.number == 1 else line
        if text.strip():
            break
        lines.begin_row()
    else:
        return None
    for beginning, message in _FOREIGN:
        if text.startswith(beginning):
            raise _BrokenError(message)
    if lines.flaw is not None:
        raise _BrokenError(f"the header {lines.flaw}")
    rough = {
        mark: [name.strip('"') for name in text.rstrip("\r\n").split(mark)] for mark in _DELIMITERS
    }
    found = max(rough, key=lambda mark: len(_COLUMNS.intersection(rough[mark])))
    if _COLUMNS.isdisjoint(rough[found]):
        return found, rough[found]
    column, message = _fault_of(text, found)
    if message:
        raise _BrokenError(f"{message}; {_UNREAD}", column)
    return found, next(csv.reader([text], delimiter=found, strict=True))


def _rows(
    lines: _Lines, delimiter: str, width: int, name: str | None
) -> Iterator[TableRow | BadRow]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = lines.number + 1
        lines.begin_row()
        try:
            cells = next(reader)
            if '"' in lines.of_row[0] and any('"' in cell for cell in cells):
                _check_quotes(lines.of_row, delimiter)
        except StopIteration:
            return
        except _BrokenError as broken:
            yield broken_row(name, number, broken.column, str(broken))
            return
        except csv.Error:
            column, message = _fault_of("".join(lines.of_row), delimiter)
            yield broken_row(name, number, column, f"{message}; {_UNREAD}")
            return
        if len(cells) == width:
            if any(cells):
                yield (
                    number,
                    cells,
                    None if lines.flaw is None else _flaw(lines, cells, number, name),
                )
        elif any(cell.strip() for cell in cells):
            column, message = _ragged(cells, width, delimiter)
            if lines.number > number:
                message += f"; it ends in line {lines.number}: is a quote not closed?"
            yield broken_row(name, number, column, message)


def _ragged(cells: Sequence[str], width: int, delimiter: str) -> tuple[int, str]:
    message = f"the row and the header differ in cells: {len(cells)} and {width}"
    if len(cells) > width:
        message += f"; a cell with {_DELIMITERS[delimiter]} goes in quotes, and money in cents"
    return min(len(cells), width) + 1, message


def _flaw(lines: _Lines, cells: Sequence[str], number: int, name: str | None) -> RowProblem:
    """Return what is wrong with a character, at the first cell that has such a one."""
    bad = (column for column, cell in enumerate(cells, 1) if "\0" in cell or is_no_utf_8(cell))
    problem = Problem(code="line", field="", message=f"the row {lines.flaw}")
    return RowProblem(file=name, line=number, column=next(bad, 1), problem=problem)


def _check_quotes(lines: Sequence[str], delimiter: str) -> None:
    """Raise where a quote stands in a cell that is not in quotes, which `csv` lets pass."""
    column, message = _fault_of("".join(lines), delimiter)
    if message:
        raise _BrokenError(f"{message}; {_UNREAD}", column)


def _fault_of(row: str, delimiter: str) -> tuple[int, str]:
    """Return the number of the first cell with a wrong quote and what is wrong, or no words."""
    # Possessive, so that it takes time in proportion to the row.
    cell = re.compile(rf'(?:"(?:[^"]|"")*+"|[^"\r\n{delimiter}]*+)({delimiter}|(?:\r\n?|\n)?\Z)')
    at = column = 0
    while match := cell.match(row, at):
        column += 1
        if match[1] != delimiter:
            return column, ""
        at = match.end()
    if row[at : at + 1] != '"':
        message = (
            "a quote stands in a cell that is not in quotes; put the cell in them, and double it"
        )
    elif re.compile(r'"(?:[^"]|"")*+"').match(row, at):
        message = "text stands behind a quote that ends a cell; double a quote within one"
    else:
        message = "a quote is opened and never closed"
    return column + 1, message
