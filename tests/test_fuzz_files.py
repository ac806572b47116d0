"""Files that people and programs write: every line is sound or told, and nothing is raised."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
import pytest
from hypothesis import strategies as st

from tests.factories import make_invoice
from tests.fuzzing import documents, encoded, fuzzed, golden_documents, harmed
from tests.json_lines import read_json_lines
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import BadRow, Row, RowProblem
from vtex_invoice_async.jobs.tracking import TrackingPlan, TrackingRow, read_tracking
from vtex_invoice_async.operations import NotifyInvoice, SendTracking
from vtex_invoice_async.outcome import State
from vtex_invoice_async.protocol import encode
from vtex_invoice_async.sandbox import FaultPlan, read_plan
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import encode_body

CANARY: Final = "maria-da-silva"
"""Stands in every row; what is told of a row does not quote it."""

BASE: Final = {"orderId": f"{CANARY}-01"}
WORDS: Final = {"courier": CANARY, "trackingNumber": CANARY, "trackingUrl": f"https://{CANARY}/"}
INVOICES: Final = [{**BASE, **found, **WORDS} for found in golden_documents("notify_invoice")]
NAMED: Final = {**BASE, "invoiceNumber": f"{CANARY}-1"}
NEWS: Final = {"city": CANARY, "state": "RJ", "description": CANARY, "date": "2015-06-23"}
TRACKING: Final = [
    *({**NAMED, **found, **WORDS} for found in golden_documents("send_tracking")),
    *({**NAMED, **found, "events": [NEWS]} for found in golden_documents("update_tracking")),
]
dialects = st.sampled_from(OrdersApi)
at_ends = st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n", b"\n\x0b\n"])


def lines_of(sound: Sequence[object]) -> st.SearchStrategy[bytes]:
    return harmed(encoded(documents(sound)), most=1)


def rows_in(content: bytes) -> list[int]:
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return [number for number, line in enumerate(lines, 1) if line.strip()]


def interleaved(lines: Sequence[bytes], sound: Sequence[bytes], end: bytes) -> bytes:
    """Return a file with a sound line after each of *lines*, whatever they are."""
    return b"".join(line + end + kept + b"\n" for line, kept in zip(lines, sound, strict=False))


def sound_invoices(dialect: OrdersApi, count: int) -> Iterator[bytes]:
    lacks = {"dispatched_date": None} if dialect is OrdersApi.PII else {}
    body = json.loads(encode_body(make_invoice(**lacks), dialect))
    for n in range(count):
        yield json.dumps({"orderId": f"sound{n}", **body}).encode()


def check_told(problems: Sequence[RowProblem], numbers: Sequence[int]) -> None:
    """What is told names a line and a column, prints in one line, and quotes no value of the row."""
    for found in problems:
        text = str(found)
        assert found.line in numbers
        assert found.column >= 1
        assert text.isprintable()
        assert text.encode()
        assert len(text) < 400
        assert CANARY not in text


@fuzzed(60, lines=st.lists(lines_of(INVOICES), max_size=4), dialect=dialects, end=at_ends)
def test_a_file_of_invoices_is_read_to_its_end(
    lines: list[bytes], dialect: OrdersApi, end: bytes
) -> None:
    sound = list(sound_invoices(dialect, len(lines)))
    content = interleaved(lines, sound, end)
    numbers = rows_in(content)

    rows = list(read_json_lines(io.BytesIO(content), dialect))
    with Plan(dialect) as plan:
        told = list(plan.take(read_json_lines(io.BytesIO(content), dialect)))
        entries = list(plan.entries())

    assert [row.line for row in rows] == numbers
    assert plan.planned + plan.invalid + plan.duplicates == len(rows)
    assert len(entries) == plan.planned
    assert {f"sound{n}" for n in range(len(lines))} <= {entry.order_id for entry in entries}
    assert all(row.problems for row in rows if isinstance(row, BadRow))
    check_told(told, numbers)
    for row in rows:
        if isinstance(row, Row):
            operation = NotifyInvoice(order_id=row.job.order_id, invoice=row.job.invoice)
            assert encode(operation, dialect).body == row.body


def sound_tracking(count: int) -> Iterator[bytes]:
    for n in range(count):
        row = {"orderId": f"sound{n}", "invoiceNumber": "1", "isDelivered": True}
        yield json.dumps(row).encode()


@fuzzed(60, lines=st.lists(lines_of(TRACKING), max_size=4), dialect=dialects, end=at_ends)
def test_a_file_of_tracking_is_read_to_its_end(
    lines: list[bytes], dialect: OrdersApi, end: bytes
) -> None:
    content = interleaved(lines, list(sound_tracking(len(lines))), end)
    numbers = rows_in(content)

    rows = list(read_tracking(io.BytesIO(content), dialect))
    plan = TrackingPlan(io.BytesIO(content), dialect)
    told = list(plan.check())
    planned = [row for order in plan.orders() for row in order]

    assert [row.line for row in rows] == numbers
    assert plan.planned + plan.invalid + plan.duplicates == len(rows)
    assert len(planned) == plan.planned
    assert {f"sound{n}" for n in range(len(lines))} <= {r.operation.order_id for r in planned}
    check_told(told, numbers)
    for row in rows:
        if isinstance(row, TrackingRow):
            check_written_again(row, dialect)


def check_written_again(row: TrackingRow, dialect: OrdersApi) -> None:
    """A row that failed is written as it came, and reads as before."""
    written = json.dumps(row.failed(State.REJECTED, None, "refused")).encode()

    (again,) = read_tracking(io.BytesIO(written), dialect)

    assert isinstance(again, TrackingRow)
    assert (again.operation, again.content) == (row.operation, row.content)
    if isinstance(row.operation, SendTracking):
        assert again.key == row.key


whole_files = harmed(
    st.lists(encoded(documents([*INVOICES, *TRACKING])), max_size=4).map(b"\n".join), most=3
)


@fuzzed(60, content=whole_files | st.binary(max_size=300), dialect=dialects)
def test_bytes_of_any_kind_are_rows_or_told(content: bytes, dialect: OrdersApi) -> None:
    numbers = rows_in(content)

    with Plan(dialect) as plan:
        told = list(plan.take(read_json_lines(io.BytesIO(content), dialect)))
    tracking = TrackingPlan(io.BytesIO(content), dialect)
    told += tracking.check()

    assert plan.planned + plan.invalid + plan.duplicates == len(numbers)
    assert tracking.planned + tracking.invalid + tracking.duplicates == len(numbers)
    check_told(told, numbers)


FAULTS: Final = [
    {"seed": 7, "faults": [{"on": "notify_invoice", "nth": [3], "acted": True, "do": "close"}]},
    {"faults": [{"on": "get_order", "rate": 0.05, "do": "answer", "status": 503, "body": "<p>"}]},
    {"faults": [{"nth": [1], "do": "limit", "per_second": 50}, {"nth": [1], "do": "cut", "at": 9}]},
    {"faults": [{"rate": 1, "do": "answer", "headers": {"Retry-After": "3"}, "order_id": "1"}]},
    {"faults": [{"nth": [1, 2], "do": "delay", "seconds": 0.5}, {"nth": [2], "do": "raw"}]},
]


@fuzzed(100, text=documents(FAULTS))
def test_a_plan_of_faults_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        document = orjson.loads(text)
    except ValueError:
        return

    found = plan_or_refusal(document)

    if isinstance(found, FaultPlan):
        assert all(found.next("notify_invoice", "1") in [None, *found.faults] for _ in range(3))
    else:
        assert str(found).isprintable()


def plan_or_refusal(document: object) -> FaultPlan | ConfigError:
    try:
        return read_plan(document)
    except ConfigError as refused:
        return refused


ROW: Final = json.dumps(INVOICES[0])[:-1].encode()
MEGABYTE: Final = 1_000_000
LARGE: Final = {
    "unknown keys": b"%s,%s}" % (ROW, b",".join(b'"k%06d":1' % n for n in range(80_000))),
    "the same key": b"%s,%s}" % (ROW, b",".join([b'"k":1'] * 160_000)),
    "empty items": b'%s,"items":[%s]}' % (b'{"orderId":"1"', b",".join([b"{}"] * 330_000)),
    "bad items": b'{"orderId":"1","items":[%s]}' % b",".join([b'{"x":1}'] * 120_000),
    "numbers": b'%s,"x":[%s]}' % (ROW, b",".join([b"1"] * 480_000)),
    "a number": b'%s,"x":%s}' % (ROW, b"9" * MEGABYTE),
    "a text": b'%s,"x":"%s"}' % (ROW, b"x" * MEGABYTE),
    "escapes": b'%s,"x":"%s"}' % (ROW, b"\\u0041" * 160_000),
    "a key": b'%s,"%s":1}' % (ROW, b"x.[" * 330_000),
    "depth": b"[" * MEGABYTE,
    "deep objects": b'{"a":' * 200_000,
    "blanks": b"%s,%s}" % (ROW, b" " * MEGABYTE),
    "lines": (ROW + b"}\n") * (MEGABYTE // len(ROW)),
    "blank lines": b"\n" * MEGABYTE,
    "broken lines": b"{\n" * 30_000,
    "nothing": bytes(MEGABYTE),
    "a line": b"x" * MEGABYTE,
}


@pytest.mark.parametrize("content", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("read", [read_json_lines, read_tracking])
def test_a_megabyte_of_anything_is_read_in_no_time(content: bytes, read: Any) -> None:
    """It takes some 0.3 s of the processor; what was not linear took 15."""
    before = time.process_time()

    for _ in read(io.BytesIO(content), OrdersApi.OMS):
        pass

    assert time.process_time() - before < 5
