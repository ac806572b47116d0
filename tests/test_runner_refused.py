"""What a journal holds from before a rule was there ends by that rule, and nobody raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson
import pytest
from attrs import evolve

from tests.journals import records_of
from tests.runs import Stage, counts, numbered, play
from vtex_invoice_async import InvoiceJob, State
from vtex_invoice_async.errors import InvalidInvoice
from vtex_invoice_async.jobs import Summary
from vtex_invoice_async.jobs.events import Moved
from vtex_invoice_async.jobs.job import Entry, Record
from vtex_invoice_async.jobs.steps import _ready
from vtex_invoice_async.sandbox.generated import fitting_order
from vtex_invoice_async.vocabulary import OrdersApi

Spoil = Callable[[Entry], Entry]


def written(entry: Entry, **changes: object) -> Entry:
    """The entry as an earlier version wrote it, which took more than this one."""
    return evolve(entry, body=orjson.dumps({**orjson.loads(entry.body), **changes}))


def with_a_space(entry: Entry) -> Entry:
    return evolve(written(entry, invoiceNumber="NF 1"), invoice_number="NF 1")


def of_no_units(entry: Entry) -> Entry:
    return written(entry, items=[{"id": "1", "price": 1, "quantity": 0}])


def with_decimals(entry: Entry) -> Entry:
    return written(entry, invoiceValue="24,99")


def with_an_unknown_key(entry: Entry) -> Entry:
    return written(entry, colour="red")


def of_a_spreadsheet(entry: Entry) -> Entry:
    return evolve(entry, order_id="1.17E+12")


OLD: Final[list[tuple[Spoil, str, str]]] = [
    (with_a_space, "number-space", "invoiceNumber: holds ' '"),
    (of_no_units, "quantity", "items[0].quantity: must be at least 1"),
    (with_decimals, "decimals", "invoiceValue: has decimals; write cents: 2499 for 24,99"),
    (with_an_unknown_key, "unknown-key", "colour: is not a key"),
    (of_a_spreadsheet, "order-id", "orderId: is a long number as a spreadsheet shortens it"),
]


(JOB,) = numbered("v5lux-01", "NFe1")
ORDERS: Final = [fitting_order(order_id, [JOB.invoice]) for order_id in ("v5lux-01", "1.17E+12")]


def entry_of(job: InvoiceJob) -> Entry:
    return Entry.of(job, OrdersApi.OMS)


async def keep(stage: Stage, *entries: Entry) -> None:
    """Put entries into the journal, of a run that was cut before it sent any."""
    async with stage.journal as journal:
        run = await journal.begin("send", {}, stage.client.now())
        await journal.enter(entries, run)
        await journal.end(None, stage.client.now())


async def leave_in(stage: Stage, state: State) -> None:
    """Bring what is planned to *state*, as a run that has ended."""
    now = stage.client.now
    async with stage.journal as journal:
        async for claim in journal.claims(State.PLANNED, None, now):
            for record in claim.records:
                intent = await journal.intend(record, now())
                await journal.settle(intent, state, since=now())
            journal.give_back(claim)


async def kept(stage: Stage) -> list[Record]:
    async with stage.journal as journal:
        return await records_of(journal)


@pytest.mark.parametrize(("spoil", "code", "message"), OLD)
def test_a_planned_row_that_is_refused_now_is_rejected_and_the_others_are_sent(
    spoil: Spoil, code: str, message: str
) -> None:
    async def act(stage: Stage) -> tuple[Summary, list[Record], list[str], list[Moved]]:
        first, *others = map(entry_of, stage.jobs)
        await keep(stage, spoil(first), *others)
        summary = await stage.resume()
        told = [event for event in stage.events if isinstance(event, Moved)]
        return summary, await kept(stage), stage.sent, told

    summary, (record, *others), sent, told = play(act)

    assert counts(summary) == {"planned": 3, "confirmed": 2, "rejected": 1, "exit_code": 3}
    assert (record.state, record.code, record.status) == (State.REJECTED, code, None)
    assert (record.message or "").startswith(message)
    assert {other.state for other in others} == {State.CONFIRMED}
    assert len(sent) == 2
    assert [type(event.error) for event in told if event.error] == [InvalidInvoice]


@pytest.mark.parametrize(("spoil", "code", "message"), OLD)
def test_an_absent_row_that_is_refused_now_stays_absent_and_says_why(
    spoil: Spoil, code: str, message: str
) -> None:
    async def act(stage: Stage) -> tuple[Summary, list[Record], list[str]]:
        await keep(stage, spoil(entry_of(JOB)))
        await leave_in(stage, State.ABSENT)
        return await stage.resume(), await kept(stage), stage.sent

    summary, (record,), sent = play(act, orders=ORDERS)

    assert counts(summary) == {"planned": 1, "absent": 1, "exit_code": 4}
    assert (record.state, record.code) == (State.ABSENT, code)
    assert (record.message or "").startswith(message)
    assert sent == []


def test_what_an_earlier_version_wrote_otherwise_is_sent_as_this_one_would_write_it() -> None:
    async def act(stage: Stage) -> list[bytes | None]:
        entry = entry_of(JOB)
        document = orjson.loads(entry.body)
        await keep(stage, evolve(entry, body=orjson.dumps(document, option=orjson.OPT_INDENT_2)))
        (record,) = await kept(stage)
        return [
            entry.body,
            _ready(record, is_checked=False).content,
            _ready(record, is_checked=True).content,
            record.body,
        ]

    this_ones, checked, unchecked, earlier = play(act, orders=ORDERS[:1])

    assert checked == this_ones
    assert unchecked == earlier != this_ones


def test_a_doubt_about_an_order_that_takes_nothing_any_more_is_still_looked_for() -> None:
    async def act(stage: Stage) -> tuple[Summary, list[Record]]:
        await keep(stage, of_a_spreadsheet(entry_of(JOB)))
        await leave_in(stage, State.IN_DOUBT)
        return await stage.resolve(), await kept(stage)

    summary, (record,) = play(act, orders=ORDERS)

    assert counts(summary) == {"planned": 1, "absent": 1, "exit_code": 4}
    assert record.state is State.ABSENT


def test_a_corrected_row_is_sent_in_the_place_of_a_rejected_one() -> None:
    async def act(stage: Stage) -> Summary:
        await keep(stage, of_no_units(entry_of(stage.jobs[0])))
        await stage.resume()
        return await stage.send(stage.jobs[:1])

    assert counts(play(act)) == {"planned": 1, "confirmed": 1}
