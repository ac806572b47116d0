"""Invoices written as the tables that people have of them: CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tests.json_lines import read_json_lines
from vtex_invoice_async.jobs.csv_files import read_csv
from vtex_invoice_async.jobs.parquet import read_parquet
from vtex_invoice_async.jobs.rows import BadRow, Row, row_of
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import INVOICE_NAMES, ITEM_NAMES, encode_body

OMS, PII, PII_2022 = OrdersApi.OMS, OrdersApi.PII, OrdersApi.PII_2022

WHOLE = ("invoiceValue", "extraValue", "volumes", "itemIndex", "itemPrice", "itemQuantity")
ITEM_COLUMNS = {
    "id": "itemId",
    "itemIndex": "itemIndex",
    "price": "itemPrice",
    "quantity": "itemQuantity",
    "description": "itemDescription",
}

Told = tuple[int, int, str, str]
"""The line, column, field and code of a problem."""


def columns_of(dialect: OrdersApi) -> list[str]:
    names = [name for name in INVOICE_NAMES[dialect].values() if name != "items"]
    return ["orderId", *names, *(ITEM_COLUMNS[key] for key in ITEM_NAMES[dialect].values())]


def document_of(order_id: str, invoice: Invoice, dialect: OrdersApi) -> dict[str, Any]:
    """An invoice as JSON lines have it."""
    document = {"orderId": order_id, **json.loads(encode_body(invoice, dialect))}
    return document | {"invoiceValue": int(document["invoiceValue"])}


def cells_of(document: Mapping[str, Any], *, repeated: bool = True) -> Iterator[dict[str, Any]]:
    """The rows of an invoice by their columns; its own fields are *repeated* or left empty."""
    own = {key: value for key, value in document.items() if key != "items"}
    for index, item in enumerate(document.get("items") or [{}]):
        named = {ITEM_COLUMNS[key]: value for key, value in item.items()}
        yield (own if repeated or index == 0 else {}) | named


def csv_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], **how: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, **{"delimiter": ";", "lineterminator": "\n", **how})
    writer.writerow(columns)
    writer.writerows([row.get(name) for name in columns] for row in rows)
    return text.getvalue().encode()


def parquet_of(table: Any, **how: Any) -> bytes:
    """A table, or its columns by name, as a file."""
    file = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), file, **how)
    return file.getvalue()


def arrow_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pa.Table:
    return pa.table(
        {
            name: pa.array(
                [row.get(name) for row in rows], pa.int64() if name in WHOLE else pa.string()
            )
            for name in columns
        }
    )


def read(content: str | bytes, format_: str, dialect: OrdersApi = OMS) -> list[Row | BadRow]:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    reader = {"csv": read_csv, "parquet": read_parquet}[format_]
    return [
        found if isinstance(found, BadRow) else row_of(found, dialect)
        for found in reader(file, None, dialect)
    ]


def as_json_lines(documents: Sequence[Mapping[str, Any]], dialect: OrdersApi) -> list[Row | BadRow]:
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    return list(read_json_lines(io.BytesIO(lines.encode()), dialect))


# What the made-up invoices are remarked on for their contents, whatever they are written in.
REMARKS: Final = frozenset(
    {
        *("price-reading", "lines-above-value", "value-above-lines", "line-twice"),
        *("date-without-time", "number-twice"),
    }
)


def told(rows: Sequence[Row | BadRow]) -> list[Told]:
    return [
        (found.line, found.column, found.problem.field, found.problem.code)
        for row in rows
        for found in (row.problems if isinstance(row, BadRow) else row.warnings)
        if found.problem.code not in REMARKS
    ]


def messages(rows: Sequence[Row | BadRow]) -> str:
    return "\n".join(
        str(found) for row in rows if isinstance(row, BadRow) for found in row.problems
    )
