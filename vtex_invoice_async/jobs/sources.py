"""Invoices from files of JSON lines: `{"orderId": ..., <the invoice as VTEX's API takes it>}`.

Every row is read strictly and checked as it would be before sending, so that a file is known to
be sound before its first invoice leaves. What is wrong is told by line, column and field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import BinaryIO, Final, NoReturn, TypeAlias

from attrs import frozen
from cattrs.errors import BaseValidationError

from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.operations import NotifyInvoice
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import problems_of, row_converter

__all__ = ["BadRow", "Row", "RowProblem", "read_json_lines"]

# A row may be as long as the largest NF-e that it may embed.
LONGEST_LINE: Final = 2**20
MOST_TOLD: Final = 20
"""Problems that are told of one row."""

# What `export` adds to a row; it is ours and not VTEX's.
OURS: Final = "job"

_DECODER: Final = JSONDecoder()
_STEP = re.compile(r"[^.\[\]]+")
_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_BLANK = re.compile(r"[ \t\n\r]*")

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


@frozen(kw_only=True)
class RowProblem:
    """What is wrong with a row, or worth a look, and where."""

    line: int
    column: int
    """Both from 1."""

    problem: Problem

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.problem}"


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


@frozen(kw_only=True)
class BadRow:
    """A row that cannot be sent."""

    line: int
    problems: tuple[RowProblem, ...]
    key: bytes | None = None
    """Names the invoice, where that much can be read."""


def read_json_lines(file: BinaryIO, orders_api: OrdersApi) -> Iterator[Row | BadRow]:
    """Yield a row for each line of *file* that is not blank, in a dialect's names."""
    for number, raw in enumerate(_lines(file), 1):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901  a byte order mark is no data
        if not raw.strip():
            continue
        try:
            yield _row(number, raw, orders_api)
        except _BadLineError as error:
            yield BadRow(line=number, problems=error.problems, key=error.key)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *file*; of one that is too long just enough to tell."""
    most = LONGEST_LINE + len(b"\r\n")
    while line := file.readline(most):
        rest = line
        while len(rest) == most and not rest.endswith(b"\n"):
            rest = file.readline(most)
        yield line


class _BadLineError(Exception):
    def __init__(self, problems: Iterable[RowProblem], key: bytes | None = None) -> None:
        self.problems = tuple(problems)
        self.key = key
        super().__init__()


def _row(line: int, raw: bytes, orders_api: OrdersApi) -> Row:
    text = _decoded(line, raw)
    document = _document(line, text)

    def fail(problems: Iterable[Problem]) -> NoReturn:
        # Finding a column means reading the line again; past a few nobody needs the next one.
        found = tuple(problems)
        told = [_located(line, text, problem) for problem in found[:MOST_TOLD]]
        if len(found) > MOST_TOLD:
            more = f"the line has {len(found) - MOST_TOLD:,} more problems"
            problem = Problem(code="line", field="", message=more)
            told.append(RowProblem(line=line, column=1, problem=problem))
        raise _BadLineError(told, key) from None

    order_id = document.pop("orderId", None)
    key = _key(order_id, document.get("invoiceNumber"))
    document.pop(OURS, None)
    if not isinstance(order_id, str):
        fail(
            [Problem(code="required", field="orderId", message="must be the order's id, in quotes")]
        )
    try:
        invoice = row_converter(orders_api).structure(document, Invoice)
        request = encode(NotifyInvoice(order_id=order_id, invoice=invoice), orders_api)
    except BaseValidationError as error:
        fail(problems_of(error, orders_api))
    except InvalidInvoice as error:
        fail(error.problems)
    return Row(
        line=line,
        key=_key(order_id, invoice.invoice_number) or b"",
        job=InvoiceJob(order_id=order_id, invoice=invoice),
        body=request.body or b"",
        warnings=tuple(_located(line, text, w) for w in _zone_warnings(document, orders_api)),
    )


def _key(order_id: Json, number: Json) -> bytes | None:
    if not isinstance(order_id, str) or not isinstance(number, str):
        return None
    return f"{order_id}\0{number}".encode(errors="replace")


def _decoded(line: int, raw: bytes) -> str:
    if len(raw.rstrip(b"\r\n")) > LONGEST_LINE:
        raise _broken(line, 1, f"is longer than {LONGEST_LINE} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _broken(line, error.start + 1, "is not UTF-8; save the file as UTF-8") from None


def _document(line: int, text: str) -> dict[str, Json]:
    """Return a line's object without what counts as absent: null and `""`."""
    try:
        found = json.loads(text, object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except _DuplicateKeyError as error:
        column = text.rfind(json.dumps(error.key, ensure_ascii=False)) + 1
        raise _broken(line, max(column, 1), f"has the key {error.key[:40]!r} twice") from None
    except JSONDecodeError as error:
        raise _broken(line, error.colno, f"is not JSON: {error.msg}{_hint(text)}") from None
    except (ValueError, RecursionError) as error:
        raise _broken(line, 1, f"is not JSON: {error}"[:200]) from None
    if not isinstance(found, dict):
        raise _broken(line, 1, "must be a JSON object")
    return found


def _hint(text: str) -> str:
    line = text.strip()
    if line.startswith("["):
        return "; give one JSON object a line, not a list of them"
    return "; is there a comma behind it?" if line.endswith(",") else ""


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__()


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise _DuplicateKeyError(key)
        found[key] = value
    return {key: value for key, value in found.items() if value is not None and value != ""}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _broken(line: int, column: int, message: str) -> _BadLineError:
    problem = Problem(code="line", field="", message=f"the line {message}")
    return _BadLineError([RowProblem(line=line, column=column, problem=problem)])


def _zone_warnings(document: dict[str, Json], orders_api: OrdersApi) -> Iterator[Problem]:
    # Where only the day is sent, a day needs no offset.
    day_only = {"issuanceDate"} if orders_api is OrdersApi.PII_2022 else set()
    for key in ("issuanceDate", "dispatchedDate"):
        text = document.get(key)
        if (
            not isinstance(text, str)
            or _OFFSET.search(text)
            or (key in day_only and len(text) == 10)
        ):
            continue
        yield Problem(
            code="no-offset",
            severity="warn",
            field=key,
            message="has no offset and is taken as UTC; write one, such as T18:25:43-03:00",
            source="https://developers.vtex.com/docs/guides/formatting-order-invoicing-time",
        )


def _located(line: int, text: str, problem: Problem) -> RowProblem:
    return RowProblem(line=line, column=_column(text, problem.field), problem=problem)


def _column(text: str, field: str) -> int:
    """Return where the value of *field* begins, or what should hold it where it is missing."""
    at = _skip_blank(text, 0)
    for step in _STEP.findall(field):
        try:
            inner = _child(text, at, step)
        except (ValueError, IndexError, RecursionError):
            inner = None  # a key that looks like a path, or a depth that nobody needs a column of
        if inner is None:
            break
        at = inner
    return at + 1


def _child(text: str, at: int, step: str) -> int | None:
    """Return where the value of key or index *step* begins, in the JSON that begins at *at*."""
    decoder = _DECODER
    inside = _skip_blank(text, at + 1)
    if text[at] == "[" and step.isdecimal():
        for _ in range(int(step)):
            _, end = decoder.raw_decode(text, inside)
            inside = _skip_blank(text, _skip_blank(text, end) + 1)
        return inside
    while text[at] == "{" and text[inside] == '"':
        key, end = decoder.raw_decode(text, inside)
        value = _skip_blank(text, _skip_blank(text, end) + 1)
        if key == step:
            return value
        _, end = decoder.raw_decode(text, value)
        inside = _skip_blank(text, _skip_blank(text, end) + 1)
        if inside >= len(text):
            break
    return None


def _skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
