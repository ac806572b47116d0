"""JSON lines in memory as rows, as `jobs.sources.read` makes them of a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from vtex_invoice_async.jobs.lines import read_lines
from vtex_invoice_async.jobs.rows import BadRow, Row, row_of
from vtex_invoice_async.vocabulary import OrdersApi


def read_json_lines(
    file: BinaryIO, orders_api: OrdersApi, *, name: str | None = None, now: datetime | None = None
) -> Iterator[Row | BadRow]:
    for line in read_lines(file, name):
        yield line if isinstance(line, BadRow) else row_of(line, orders_api, now)
