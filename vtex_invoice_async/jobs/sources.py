"""Files of invoices, each with its own way of writing them, as rows that are sound or told.

Every row is read strictly and checked as it would be before sending, so that a file is known to
be sound before its first invoice leaves. What is wrong is told by file, line, column and field.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.csv_files import read_csv
from vtex_invoice_async.jobs.lines import read_lines
from vtex_invoice_async.jobs.rows import BadRow, Row, Written, row_of
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["FORMATS", "named", "read", "read_json_lines"]

Reader = Callable[[BinaryIO, str | None, OrdersApi], Iterator[Written | BadRow]]


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
}

FORMATS: Final = tuple(_READERS)
"""What a file may be."""


def read(
    paths: Sequence[str],
    orders_api: OrdersApi,
    *,
    format_: str | None = None,
    now: datetime | None = None,
    with_order: bool = False,
) -> Iterator[Row | BadRow]:
    """Yield the rows of one or more files, which are read as they are asked for.

    `-` is standard input. Without *format_*, a file's name says what it is; what says nothing is
    JSON lines. Without *now*, no date is taken to lie in the future. Rows that are checked
    *with_order* later may name lines by SKU in every dialect. Raises `OSError` where a file cannot
    be read, and `ConfigError` where an extra is missing that its format needs.
    """
    for path in paths:
        name = named(path) if len(paths) > 1 else None
        with _opened(path) as file:
            reader = _READERS[format_ or _SUFFIXES.get(Path(path).suffix.lower(), "jsonl")]
            rows = reader(file, name, orders_api)
            yield from _rows(rows, orders_api, now, with_order=with_order)


def named(path: str) -> str:
    """Return how a file is called wherever it is told: a name may hold anything."""
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def read_json_lines(
    file: BinaryIO, orders_api: OrdersApi, *, name: str | None = None, now: datetime | None = None
) -> Iterator[Row | BadRow]:
    """Yield a row for each line of *file* that is not blank: an `orderId`, and VTEX's invoice."""
    return _rows(read_lines(file, name), orders_api, now)


def _rows(
    found: Iterable[Written | BadRow],
    orders_api: OrdersApi,
    now: datetime | None,
    *,
    with_order: bool = False,
) -> Iterator[Row | BadRow]:
    for row in found:
        if isinstance(row, BadRow):
            yield row
        else:
            yield row_of(row, orders_api, now, with_order=with_order)


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == "-" and sys.stdin is None:
        raise ConfigError("standard input is closed")
    with sys.stdin.buffer if path == "-" else Path(path).open("rb") as file:
        yield file
