"""Files of invoices, each with its own way of writing them, as rows that are sound or told.

Every row is read strictly and checked as it would be before sending, so that a file is known to
be sound before its first invoice leaves. What is wrong is told by file, line, column and field.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.csv_files import read_csv
from vtex_invoice_async.jobs.lines import read_lines
from vtex_invoice_async.jobs.order_ids import order_ids_from
from vtex_invoice_async.jobs.rows import BadRow, Row, Written, broken_row, named, row_of
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["FORMATS", "opened", "read"]

Reader = Callable[[BinaryIO, str | None, OrdersApi], Iterator[Written | BadRow]]

Check = Callable[[Written], Row | BadRow]
NoteReader = Callable[[str, OrdersApi, Check], Iterator[Row | BadRow]]

_NFE: Final = ("lxml", "nfelib", "xsdata")
"""What the `nfe` extra brings."""


def _read_lines(file: BinaryIO, name: str | None, _: OrdersApi) -> Iterator[Written | BadRow]:
    return read_lines(file, name)


def _read_parquet(
    file: BinaryIO, name: str | None, orders_api: OrdersApi
) -> Iterator[Written | BadRow]:
    try:
        from vtex_invoice_async.jobs.parquet import read_parquet
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        needed = "reading Parquet needs an extra: pip install 'vtex-invoice-async[parquet]'"
        raise ConfigError(needed) from None
    return read_parquet(file, name, orders_api)


_READERS: Final[Mapping[str, Reader]] = {
    "jsonl": _read_lines,
    "csv": read_csv,
    "parquet": _read_parquet,
}
_SUFFIXES: Final[Mapping[str, str]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xml": "nfe",
    ".zip": "nfe",
}

_WORKBOOKS: Final = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
"""What a spreadsheet writes unless it is told otherwise."""

FORMATS: Final = (*_READERS, "nfe")
"""What a file may be."""


def read(
    paths: Sequence[str],
    orders_api: OrdersApi,
    *,
    format_: str | None = None,
    order_id_from: str | None = None,
    now: datetime | None = None,
    with_order: bool = False,
    began: Callable[[BinaryIO], None] = lambda _: None,
) -> Iterator[Row | BadRow]:
    """Yield the rows of one or more files, which are read as they are asked for.

    `-` is standard input. Without *format_*, a file's name says what it is; what says nothing is
    JSON lines. *order_id_from* is one of `order_ids.CHOICES`, for NF-e alone, which need it.
    Without *now*, no date is taken to lie in the future. Rows that are checked *with_order* later
    may name lines by SKU in every dialect. *began* is told of each file that is read from its
    beginning to its end. Raises `OSError` where a file cannot be read, and
    `ConfigError` where what is asked for makes no sense, or an extra is missing that it needs.
    """
    if paths.count("-") > 1:
        raise ConfigError("standard input is read once: give - once")
    check = partial(row_of, orders_api=orders_api, now=now, with_order=with_order)
    formats = {path: format_ or _format_of(path) for path in paths}
    notes = [path for path in paths if formats[path] == "nfe"]
    read_notes = _note_reader(notes, order_id_from)
    for path in paths:
        if formats[path] == "nfe":
            yield from read_notes(path, orders_api, check)
            continue
        name = named(path) if len(paths) > 1 else None
        if format_ is None and Path(path).suffix.lower() in _WORKBOOKS:
            message = "the file is a workbook by its name; save it as CSV UTF-8"
            yield broken_row(name, 1, 1, message)
            continue
        with opened(path) as file:
            began(file)
            for row in _told(_READERS[formats[path]](file, name, orders_api), name):
                yield row if isinstance(row, BadRow) else check(row)


def _told(rows: Iterator[Written | BadRow], name: str | None) -> Iterator[Written | BadRow]:
    """Yield the rows of a file; where there is none, say so, for among others it would not be missed.

    One that is alone, and has no *name*, leaves nothing to send.
    """
    first = next(rows, None)
    if first is not None:
        yield first
        yield from rows
    elif name is not None:
        yield broken_row(name, 1, 1, "the file holds no invoice; leave it out")


def _format_of(path: str) -> str:
    return "nfe" if Path(path).is_dir() else _SUFFIXES.get(Path(path).suffix.lower(), "jsonl")


def _note_reader(paths: Sequence[str], order_id_from: str | None) -> NoteReader:
    """Return what reads NF-e, of which it has seen all *paths*; without any, nothing is loaded."""
    if not paths:
        if order_id_from is not None:
            raise ConfigError(
                "--order-id-from is for NF-e: leave it out, for other files have an orderId in each row"
            )
        return lambda *_: iter(())
    order_ids = order_ids_from(order_id_from)
    try:
        from vtex_invoice_async.jobs.nfe import Notes
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _NFE:
            raise
        raise ConfigError("NF-e needs an extra: pip install 'vtex-invoice-async[nfe]'") from None
    return Notes(paths, order_ids).read


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Open a file of rows; `-` is standard input. Raises `OSError` with its name, or `ConfigError`."""
    if path == "-" and sys.stdin is None:
        raise ConfigError("standard input is closed: name a file")
    if path != "-" and Path(path).is_dir():
        raise ConfigError(
            f"{named(path)} is a folder, and only NF-e are read from folders: name its files"
        )
    try:
        with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
            yield file
    except OSError as error:
        # To read says only what is wrong.
        error.filename = error.filename or path
        raise
