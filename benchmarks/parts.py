"""What each part of a call costs by itself, in microseconds of CPU time.

    .venv/bin/python -m benchmarks.parts [--calls 2000] [--rounds 9] [--json]

Each part is called so often in a row, in turn with the others, in each round; the figures are medians
over the rounds, and in brackets the least and the most. The yardstick is `json.dumps` of the invoice
that most of them are about, which has five items: read the ratios to it in the same round, for the
times depend on the machine. In a send, a part costs about twice as much as here, where the caches are
warm.

`encode` is all between an operation and its request; the lines under it are what it consists of,
its path as the encoding of a read, which has nothing else. `row` is one line of a file of JSON lines
until it is a `Row` that may be sent. What a change of the journal costs, `benchmarks.journal` tells.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from time import process_time
from typing import Any, Final

import orjson

from benchmarks.rounds import CLIENT_CORE, Figure, in_turn, pin, table
from benchmarks.ways import Load, jobs
from vtex_invoice_async import Invoice, InvoiceItem, InvoiceJob, InvoiceType, ThrottleLimits
from vtex_invoice_async.call import Call
from vtex_invoice_async.config import MOST_RATE
from vtex_invoice_async.events import Observers
from vtex_invoice_async.jobs.lines import read_lines
from vtex_invoice_async.jobs.rows import BadRow, row_of
from vtex_invoice_async.messages import Reply
from vtex_invoice_async.operations import GetOrder, NotifyInvoice
from vtex_invoice_async.options import Options
from vtex_invoice_async.preflight import refusals
from vtex_invoice_async.protocol import decode, encode
from vtex_invoice_async.throttle import Throttle
from vtex_invoice_async.turns import Turns
from vtex_invoice_async.vocabulary import OrdersApi
from vtex_invoice_async.wire import encode_body, inexpressible

OMS: Final = OrdersApi.OMS
YARDSTICK: Final = "json.dumps"
ISSUED: Final = datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC)
JOB: Final = next(jobs(1))
NOTIFY: Final = NotifyInvoice(order_id=JOB.order_id, invoice=JOB.invoice)
REPLY: Final = Reply(
    status=200,
    headers={"Content-Type": "application/json; charset=utf-8"},
    body=b'{"date":"2026-01-31T18:25:43.4401234+00:00","orderId":"1172452900001-01",'
    b'"receipt":"38e0e47da2934847b489216d208cfd91"}',
)

Part = Callable[[int], float]
"""Does something so many times, and returns how many seconds that took."""


def timed(call: Callable[[], object]) -> Part:
    def part(calls: int) -> float:
        began = process_time()
        for _ in range(calls):
            call()
        return process_time() - began

    return part


def invoice_of(items: int) -> Invoice:
    made = [InvoiceItem(id=f"{2_000_000 + at}", price=2_499, quantity=2) for at in range(items)]
    return Invoice(
        type=InvoiceType.OUTPUT,
        invoice_number="NFe-000000001",
        invoice_value=items * 2 * 2_499,
        issuance_date=ISSUED,
        invoice_url="https://nfe.example.com.br/danfe",
        items=made,
    )


def pace(calls: int) -> float:
    """Reserve, and learn from an answer, at a rate at which nobody waits."""
    throttle = Throttle(ThrottleLimits(rate=MOST_RATE))
    began = process_time()
    for call in range(calls):
        now = call / 1_000
        throttle.reserve(now)
        throttle.observe(now, now, REPLY)
    return process_time() - began


def turn(calls: int) -> float:
    """Take a turn that is free, and give it back."""

    async def take() -> float:
        config = Load(url="http://127.0.0.1:9", invoices=0, concurrency=64).config
        turns = Turns(config, Observers(None), spread=0.0)
        call = Call(
            operation=NOTIFY,
            orders_api=OMS,
            request=encode(NOTIFY, OMS),
            options=Options.of(config, Observers(None)),
            policy=config.retry,
            began=asyncio.get_running_loop().time(),
        )
        began = process_time()
        for _ in range(calls):
            slots = await turns.take(call)
            slots.release()
        return process_time() - began

    return asyncio.run(take())


def row(calls: int) -> float:
    """Read lines of a file, and check what they say as it would be before sending."""
    document = {"orderId": JOB.order_id} | orjson.loads(encode_body(JOB.invoice, OMS))
    file = BytesIO((orjson.dumps(document) + b"\n") * calls)
    began = process_time()
    for line in read_lines(file):
        if isinstance(line, BadRow) or isinstance(row_of(line, OMS), BadRow):
            raise TypeError("the made-up row is not sound")
    return process_time() - began


def parts() -> Mapping[str, Part]:
    """Return all of them, by what they are called."""
    document = orjson.loads(encode_body(JOB.invoice, OMS))
    read = GetOrder(order_id=JOB.order_id)
    return {
        YARDSTICK: timed(partial(json.dumps, document)),
        "Invoice of 1 item": timed(partial(invoice_of, 1)),
        "Invoice of 5 items": timed(partial(invoice_of, 5)),
        "InvoiceJob": timed(partial(InvoiceJob, order_id=JOB.order_id, invoice=JOB.invoice)),
        "encode": timed(partial(encode, NOTIFY, OMS)),
        "  refusals": timed(lambda: tuple(refusals(JOB.invoice, OMS))),
        "  inexpressible": timed(lambda: tuple(inexpressible(JOB.invoice, OMS))),
        "  path": timed(partial(encode, read, OMS)),
        "  body": timed(partial(encode_body, JOB.invoice, OMS)),
        "decode": timed(partial(decode, NOTIFY, OMS, REPLY, lambda: ISSUED)),
        "throttle": pace,
        "turn": turn,
        "row": row,
    }


def measured(calls: int, rounds: int) -> Mapping[str, Any]:
    ways = parts()
    found: list[Mapping[str, float]] = []
    for part in ways.values():
        part(calls)
    for turns in in_turn([*ways], rounds):
        gc.collect()
        found.append({name: ways[name](calls) / calls * 1_000_000 for name in turns})
    return {
        "calls": calls,
        "rounds": rounds,
        "parts": {
            name: {
                "microseconds": Figure.of(round_[name] for round_ in found).as_json(),
                "ratio": Figure.of(round_[name] / round_[YARDSTICK] for round_ in found).as_json(),
            }
            for name in ways
        },
    }


def show(found: Mapping[str, Any]) -> None:
    rows = [
        (name, *(Figure(**figures[kind]).written() for kind in ("microseconds", "ratio")))
        for name, figures in found["parts"].items()
    ]
    print(table(("part", "us a call", f"to {YARDSTICK}"), rows))


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.parts", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if min(options.calls, options.rounds) < 1:
        parser.error("--calls and --rounds must be at least 1")
    pin(CLIENT_CORE)
    found = measured(options.calls, options.rounds)
    print(json.dumps(found)) if options.json else show(found)


if __name__ == "__main__":
    main()
