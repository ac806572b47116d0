"""Parquet files, read strictly and a few rows at a time; it needs the `parquet` extra.

A column holds text, whole numbers, or the dates and times that its field is; times with a zone are
read in their zone. A number with a fraction is left for the converter to refuse, a whole one too:
what is money is in cents. A line is a row's number, and a column one of the file's, both from 1.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import BinaryIO, Final, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.parquet as pq

from vtex_invoice_async.errors import Problem, printable
from vtex_invoice_async.impersonal import impersonal
from vtex_invoice_async.jobs.lines import LONGEST_LINE
from vtex_invoice_async.jobs.rows import BadRow, RowProblem, Written, broken_row
from vtex_invoice_async.jobs.tables import Cell, TableRow, columns_of, invoices_of, is_no_utf_8
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["read_parquet"]

_MOST_ROWS: Final = 1_000
_BATCH: Final = 4 * 2**20
"""Bytes that the rows that are read at a time may have, by what the file says of itself."""

_BUFFER: Final = 2**16
"""Bytes of a column that are read at a time, so that a group of rows may be of any size."""

_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_OFFSET: Final = re.compile(r"([+-])(\d{2}):(\d{2})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}
"""Microseconds in a unit of time; in nanoseconds there are none."""

Cells = Callable[[pa.Array], Sequence[Cell]]
"""Returns the cells that an array of one type holds."""


def read_parquet(
    file: BinaryIO, name: str | None, orders_api: OrdersApi
) -> Iterator[Written | BadRow]:
    """Yield each invoice of *file*; *name* says which of several it is.

    What cannot be read from its end, such as a pipe, is kept in a temporary file meanwhile.
    """
    with ExitStack() as stack:
        if not file.seekable():
            spooled = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(file, spooled)
            file = cast(BinaryIO, spooled)
        try:
            table = _opened(file)
            schema = table.schema_arrow
        except _BrokenError as broken:
            yield broken_row(name, 1, 1, str(broken))
            return
        columns = columns_of(schema.names, orders_api, file=name)
        if isinstance(columns, BadRow):
            yield columns
            return
        readers, problems = _readers(schema, name)
        if problems:
            yield BadRow(file=name, line=1, problems=problems)
            return
        yield from invoices_of(_rows(table, readers, name), columns, name)


class _BrokenError(Exception):
    """A file that is not what it should be."""


def _opened(file: BinaryIO) -> pq.ParquetFile:
    file.seek(0)
    first = file.read(len(_MAGIC))
    size = file.seek(0, 2)
    file.seek(max(size - len(_MAGIC), 0))
    last = file.read(len(_MAGIC))
    file.seek(0)
    if _ENCRYPTED in {first, last}:
        raise _BrokenError("the file is encrypted; write it without encryption")
    if first != _MAGIC:
        raise _BrokenError("the file is not Parquet")
    if last != _MAGIC:
        raise _BrokenError("the file breaks off: the end that Parquet has is missing")
    try:
        return pq.ParquetFile(
            file, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        _unless_of_the_disk(error)
        raise _BrokenError(f"the file is broken: {_said(error)}") from None


def _unless_of_the_disk(error: BaseException) -> None:
    """Raise *error* again where reading failed, rather than what was read being wrong."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _said(error: BaseException) -> str:
    """Return the first line of what Arrow says, without what the file holds."""
    return printable(impersonal(str(error).partition("\n")[0]), 100)


def _rows(
    table: pq.ParquetFile, readers: Sequence[Cells], name: str | None
) -> Iterator[TableRow | BadRow]:
    line = 0
    try:
        for columns, size in _batches(table, readers):
            is_suspect = size > LONGEST_LINE or any(map(_holds_no_utf_8, columns))
            for cells in zip(*columns, strict=True):
                line += 1
                if any(cell != "" for cell in cells):
                    yield line, cells, _flaw(cells, line, name) if is_suspect else None
    except _BrokenError as broken:
        yield broken_row(name, line + 1, 1, f"{broken}; nothing behind it is read")


def _batches(
    table: pq.ParquetFile, readers: Sequence[Cells]
) -> Iterator[tuple[Sequence[Sequence[Cell]], int]]:
    """Yield the columns of some rows at a time, and how many bytes they have in Arrow."""
    try:
        for number in range(table.num_row_groups):
            group = table.metadata.row_group(number)
            width = max(group.total_byte_size // max(group.num_rows, 1), 1)
            rows = max(min(_MOST_ROWS, _BATCH // width), 1)
            for batch in table.iter_batches(rows, row_groups=[number], use_threads=False):
                columns = zip(readers, batch.columns, strict=True)
                yield [read(array) for read, array in columns], batch.nbytes
    except (pa.ArrowException, OSError, ValueError) as error:
        _unless_of_the_disk(error)
        raise _BrokenError(f"the file is broken: {_said(error)}") from None


def _holds_no_utf_8(column: Sequence[Cell]) -> bool:
    return any(isinstance(cell, str) and is_no_utf_8(cell) for cell in column)


def _flaw(cells: Sequence[Cell], line: int, name: str | None) -> RowProblem | None:
    size = 0
    for column, cell in enumerate(cells, 1):
        if not isinstance(cell, str):
            continue
        size += len(cell)
        message = "the cell is not UTF-8" if is_no_utf_8(cell) else ""
        if size > LONGEST_LINE:
            message = f"the row is longer than {LONGEST_LINE} characters"
        if message:
            problem = Problem(code="line", field="", message=message)
            return RowProblem(file=name, line=line, column=column, problem=problem)
    return None


# How the cells of each type of column are read.


def _readers(schema: pa.Schema, name: str | None) -> tuple[list[Cells], tuple[RowProblem, ...]]:
    readers: list[Cells] = []
    problems: list[RowProblem] = []
    for column, field in enumerate(schema, 1):
        read = _reader(field.type)
        if isinstance(read, str):
            problem = Problem(code="value", field=field.name, message=read)
            problems.append(RowProblem(file=name, line=1, column=column, problem=problem))
        else:
            readers.append(read)
    return readers, tuple(problems)


def _reader(kind: pa.DataType) -> Cells | str:
    """Return how the cells of a type are read, or what is wrong with it."""
    types = pa.types
    if types.is_dictionary(kind):
        inner = _reader(kind.value_type)
        return inner if isinstance(inner, str) else lambda array: inner(array.dictionary_decode())
    if types.is_timestamp(kind):
        return _reader_of_times(kind)
    if types.is_date(kind):
        return _days
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _texts
    if types.is_decimal(kind):
        return _decimals
    if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
        return _numbers
    # Of a nested type only the outermost word: its fields may be named after anything.
    told = re.split(r"[^\w ]", str(kind))[0]
    return f"is of the type {told}; it must be of text, whole numbers, or dates and times"


def _numbers(array: pa.Array) -> Sequence[Cell]:
    return ["" if value is None else value for value in array.to_pylist()]


def _decimals(array: pa.Array) -> Sequence[Cell]:
    # No float is a whole number, so that none of them is taken for cents.
    found: Sequence[Decimal | None] = array.to_pylist()
    return ["" if value is None else float(value) for value in found]


def _texts(array: pa.Array) -> Sequence[Cell]:
    try:
        return [value or "" for value in array.to_pylist()]
    except UnicodeDecodeError:
        raw: Sequence[bytes | None] = array.cast(pa.large_binary()).to_pylist()
        return [(value or b"").decode(errors="surrogateescape") for value in raw]


def _days(array: pa.Array) -> Sequence[Cell]:
    numbers: Sequence[int | None] = array.cast(pa.date32(), safe=False).cast(pa.int32()).to_pylist()
    return ["" if days is None else _day(days) for days in numbers]


def _day(days: int) -> str:
    try:
        return (date(1970, 1, 1) + timedelta(days=days)).isoformat()
    except OverflowError:
        return "out of range"


def _reader_of_times(kind: pa.DataType) -> Cells | str:
    try:
        zone = None if kind.tz is None else _zone(kind.tz)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return "is of times in a zone that is not known; write them in UTC"
    unit = _UNITS.get(kind.unit)

    def read(array: pa.Array) -> Sequence[Cell]:
        numbers: Sequence[int | None] = array.cast(pa.int64()).to_pylist()
        return [
            "" if n is None else _moment(n // 1_000 if unit is None else n * unit, zone)
            for n in numbers
        ]

    return read


def _zone(name: str) -> tzinfo:
    if offset := _OFFSET.fullmatch(name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    return UTC if name.upper() in {"UTC", "Z", "GMT"} else ZoneInfo(name)


def _moment(microseconds: int, zone: tzinfo | None) -> str:
    """Return a moment as ISO 8601, without an offset where its column has no zone."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
        return (
            moment.replace(tzinfo=None) if zone is None else moment.astimezone(zone)
        ).isoformat()
    except (OverflowError, ValueError):
        return "out of range"
