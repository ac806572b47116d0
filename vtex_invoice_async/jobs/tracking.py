"""Tracking from files of JSON lines: an `orderId`, an `invoiceNumber`, and what VTEX is told.

A row carries PATCH's keys (`courier, trackingNumber, trackingUrl, dispatchedDate`) and says where
the parcel is, or PUT's (`isDelivered, deliveredDate, events`) and says how far it came.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import BinaryIO, Final, TypeAlias

from attrs import evolve, frozen
from cattrs.errors import BaseValidationError

from vtex_invoice_async.errors import CallError, InvalidInvoice, Problem, printable
from vtex_invoice_async.jobs.lines import Line, read_lines
from vtex_invoice_async.jobs.rows import (
    OURS,
    BadRow,
    Json,
    RowProblem,
    bad_row,
    without_offset,
)
from vtex_invoice_async.jobs.summary import Ending, Summary, exit_code
from vtex_invoice_async.models import Order, TrackingInfo, TrackingStatus
from vtex_invoice_async.operations import SendTracking, UpdateTrackingStatus
from vtex_invoice_async.outcome import State
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import problems_of, row_converter

__all__ = ["TrackSummary", "TrackingPlan", "TrackingRow", "lines_shown", "read_tracking"]

Tracking: TypeAlias = SendTracking | UpdateTrackingStatus

# https://developers.vtex.com/docs/api-reference/orders-api#patch-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-
PATCH: Final = ("courier", "trackingNumber", "trackingUrl", "dispatchedDate")
# https://developers.vtex.com/docs/api-reference/orders-api#put-/api/oms/pvt/orders/-orderId-/invoice/-invoiceNumber-/tracking
PUT: Final = ("isDelivered", "deliveredDate", "events")


@frozen(kw_only=True)
class TrackingRow:
    """A sound row."""

    line: int
    key: bytes
    """Names what may be sent just once: where the parcel of an invoice is, or a piece of news of it."""

    operation: Tracking
    content: bytes
    """A digest of what would be sent."""

    text: str
    """The row as it was written."""

    warnings: tuple[RowProblem, ...] = ()

    def failed(self, state: State, error: CallError | None, told: str) -> dict[str, Json]:
        """Return the row as it was written, with its failure beside it: it can be read again."""
        written: dict[str, Json] = json.loads(self.text)
        written[OURS] = {
            "line": self.line,
            "state": str(state),
            "status": error.status if error else None,
            "code": error.code if error else None,
            "message": (error.message or error.reason) if error else told,
        }
        return written


@frozen(kw_only=True)
class TrackSummary:
    """The counts of a run: each planned row is in just one of the five states after `planned`."""

    planned: int = 0
    confirmed: int = 0
    skipped: int = 0
    """The order showed it already, so that it was not sent."""

    rejected: int = 0
    not_sent: int = 0
    in_doubt: int = 0
    invalid: int = 0
    """Rows that could not be sent; outside the plan, as duplicates are."""

    duplicates: int = 0
    elapsed_s: float = 0
    exit_code: int = 0

    def ended_by(self, ending: Ending) -> TrackSummary:
        """Return it with the exit code that it amounts to."""
        counts = Summary(
            rejected=self.rejected,
            not_sent=self.not_sent,
            in_doubt=self.in_doubt,
            invalid=self.invalid,
        )
        return evolve(self, exit_code=exit_code(counts, ending))


Watched: TypeAlias = Callable[[Iterator[TrackingRow | BadRow]], Iterator[TrackingRow | BadRow]]


class TrackingPlan:
    """What a file of tracking asks for. It is held in memory, so that orders can be gone through."""

    def __init__(self, file: BinaryIO, orders_api: OrdersApi) -> None:
        self._file = file
        self._orders_api = orders_api
        self._rows: dict[bytes, TrackingRow | BadRow] = {}
        """By key: the row that stood first, or one that stands for rows that spoil each other."""
        self.invalid = 0
        """Rows that cannot be sent."""
        self.duplicates = 0
        """Rows that say what another one says; it is sent once."""

    @property
    def planned(self) -> int:
        """How many rows would be sent."""
        return sum(isinstance(row, TrackingRow) for row in self._rows.values())

    def check(self, watched: Watched = iter) -> Iterator[RowProblem]:
        """Read the whole file; yield its warnings, and why rows cannot be sent.

        The rows go through *watched*, by which it is known how many there are.
        """
        for row in watched(read_tracking(self._file, self._orders_api)):
            if isinstance(row, BadRow):
                self.invalid += 1
                yield from row.problems
            else:
                yield from row.warnings
            if row.key is not None:
                yield from self._enter(row.key, row)

    def _enter(self, key: bytes, row: TrackingRow | BadRow) -> Iterator[RowProblem]:
        known = self._rows.setdefault(key, row)
        sound = [found for found in (known, row) if isinstance(found, TrackingRow)]
        if known is row or not sound:
            return
        if len(sound) == 2 and sound[0].content == sound[1].content:
            self.duplicates += 1
            return
        # The last one would win at VTEX, and nobody can tell whether that is the right one.
        self.invalid += len(sound)
        self._rows[key] = BadRow(line=known.line, problems=())
        message = f"has tracking in line {known.line} that differs; keep the right row"
        problem = Problem(code="conflict", field="invoiceNumber", message=message)
        yield RowProblem(line=row.line, column=1, problem=problem)

    def orders(self) -> Iterator[tuple[TrackingRow, ...]]:
        """Yield the sound rows order by order, as they are to go: news needs a tracking number."""
        orders: dict[str, list[TrackingRow]] = {}
        for row in self._rows.values():
            if isinstance(row, TrackingRow):
                orders.setdefault(row.operation.order_id, []).append(row)
        for rows in orders.values():
            yield tuple(
                sorted(rows, key=lambda row: isinstance(row.operation, UpdateTrackingStatus))
            )


def lines_shown(rows: Sequence[TrackingRow], order: Order) -> set[int]:
    """Return the lines of those *rows* of an order that it shows already.

    That a parcel is on its way is shown by its arrival too: told afterwards, it would undo that.
    """
    shown: set[int] = set()
    arrived: set[str] = set()
    for row in reversed(rows):
        operation = row.operation
        if isinstance(operation, SendTracking):
            is_shown = operation.shown_by(order) is True
        else:
            number = operation.invoice_number
            is_shown = number in arrived or _is_known(operation, order)
            if is_shown and operation.tracking.is_delivered:
                arrived.add(number)
        if is_shown:
            shown.add(row.line)
    return shown


def _is_known(news: UpdateTrackingStatus, order: Order) -> bool:
    """Whether the order shows all that *news* says, or that and the parcel's arrival since."""
    arrival = evolve(news, tracking=evolve(news.tracking, is_delivered=True))
    return news.shown_by(order) is True or arrival.shown_by(order) is True


def read_tracking(file: BinaryIO, orders_api: OrdersApi) -> Iterator[TrackingRow | BadRow]:
    """Yield a row for each line of *file* that is not blank."""
    for line in read_lines(file):
        yield line if isinstance(line, BadRow) else _row(line, orders_api)


def _row(line: Line, orders_api: OrdersApi) -> TrackingRow | BadRow:
    document = line.document
    order_id, number = document.pop("orderId", None), document.pop("invoiceNumber", None)
    document.pop(OURS, None)
    is_patch = _has(document, PATCH) and not _has(document, PUT)
    key = _key(order_id, number, b"") if is_patch else None
    problems = [*_unnamed(order_id, number), *_of_no_kind(document)]
    if problems or not isinstance(order_id, str) or not isinstance(number, str):
        return bad_row(line, problems, key)
    try:
        operation = _operation(order_id, number, document, orders_api)
        request = encode(operation, orders_api)
    except BaseValidationError as error:
        return bad_row(line, problems_of(error, orders_api), key)
    except InvalidInvoice as error:
        return bad_row(line, error.problems, key)
    content = _digest(request.body or b"")
    return TrackingRow(
        line=line.number,
        key=key or _key(order_id, number, content) or b"",
        operation=operation,
        content=content,
        text=line.text,
        # VTEX takes the time of delivery without an offset.
        warnings=tuple(without_offset(line, ["dispatchedDate"])),
    )


def _operation(
    order_id: str, number: str, document: dict[str, Json], orders_api: OrdersApi
) -> Tracking:
    converter = row_converter(orders_api)
    if _has(document, PATCH):
        info = converter.structure(document, TrackingInfo)
        return SendTracking(order_id=order_id, invoice_number=number, tracking=info)
    status = converter.structure(document, TrackingStatus)
    return UpdateTrackingStatus(order_id=order_id, invoice_number=number, tracking=status)


def _unnamed(order_id: Json, number: Json) -> Iterator[Problem]:
    for field, value, words in (
        ("orderId", order_id, "the order's id"),
        ("invoiceNumber", number, "the invoice's number"),
    ):
        if not isinstance(value, str):
            yield Problem(code="required", field=field, message=f"must be {words}, in quotes")


def _of_no_kind(document: dict[str, Json]) -> Iterator[Problem]:
    """Say what keeps a row from being of one of the two kinds."""
    patch, put = _has(document, PATCH), _has(document, PUT)
    if patch and put:
        told = f"does not go with {patch[0]}, which is sent in another request; write two rows"
        yield Problem(code="mixed", field=put[0], message=told)
    if not patch and not put:
        told = f"the row needs {', '.join(PATCH)} (where the parcel is) or {', '.join(PUT)} (news of it)"
        yield Problem(code="required", field="", message=told)
        for key in document:
            told = "is not a key of a row of tracking"
            yield Problem(code="unknown-key", field=printable(key, 40), message=told)


def _has(document: dict[str, Json], keys: Sequence[str]) -> list[str]:
    return [key for key in keys if key in document]


def _key(order_id: Json, number: Json, news: bytes) -> bytes | None:
    if not isinstance(order_id, str) or not isinstance(number, str):
        return None
    return _digest(f"{order_id}\0{number}\0".encode(errors="replace") + news)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
