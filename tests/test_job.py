"""What may follow what, what becomes of an entry that is known, and what a run does next."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.journals import (
    HEADER,
    NOW,
    STATES,
    make_entry,
    make_record,
    only_record,
)
from vtex_invoice_async import InvoiceJob, InvoiceType, OrdersApi
from vtex_invoice_async.errors import InvalidInvoice, JournalError
from vtex_invoice_async.jobs.job import (
    FINAL,
    TRANSITIONS,
    Entering,
    Entry,
    Record,
    Round,
    Step,
    digest,
    entering,
    next_step,
)
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.memory import Content, MemoryStore
from vtex_invoice_async.models import Invoice
from vtex_invoice_async.outcome import State

PLANNED, IN_DOUBT, CONFIRMED = State.PLANNED, State.IN_DOUBT, State.CONFIRMED
REJECTED, NOT_SENT, HELD = State.REJECTED, State.NOT_SENT, State.HELD
ABSENT, CONFLICT = State.ABSENT, State.CONFLICT

MAY_FOLLOW = {
    PLANNED: {PLANNED, IN_DOUBT, NOT_SENT, HELD, REJECTED},
    IN_DOUBT: {IN_DOUBT, CONFIRMED, REJECTED, NOT_SENT, ABSENT, CONFLICT},
    ABSENT: {ABSENT, IN_DOUBT, CONFIRMED, CONFLICT},
    REJECTED: {PLANNED},
    NOT_SENT: {PLANNED},
    HELD: {PLANNED},
    CONFIRMED: set(),
    CONFLICT: set(),
}

FIRST, LAST = Round(), Round(is_last=True)
LOOK, LAST_LOOK = Round(reads_only=True), Round(is_last=True, reads_only=True)
RESEND = Round(is_last=True, resend_input=True)
OUTPUT, INPUT = InvoiceType.OUTPUT, InvoiceType.INPUT


def test_the_table_of_transitions_is_the_one_that_is_promised() -> None:
    assert TRANSITIONS == MAY_FOLLOW


def test_what_is_final_is_never_sent_again_by_itself() -> None:
    for state in FINAL:
        assert IN_DOUBT not in TRANSITIONS[state]


def journal_with(state: State) -> Journal:
    return Journal(
        MemoryStore(Content(header=HEADER, records={1: make_record(state=state)}, changes=1)),
        HEADER,
    )


@pytest.mark.parametrize(
    ("old", "new"), [p for p in product(STATES, State) if p[1] not in MAY_FOLLOW[p[0]]]
)
async def test_a_transition_that_is_not_in_the_table_is_refused(old: State, new: State) -> None:
    async with journal_with(old) as journal:
        record = await only_record(journal)
        with pytest.raises(JournalError, match=f"is {old}: not to be {new}"):
            await journal.settle(record, new)

        assert await only_record(journal) == record


@pytest.mark.parametrize(
    ("old", "new"), [(old, new) for old, states in MAY_FOLLOW.items() for new in sorted(states)]
)
async def test_a_transition_of_the_table_is_made(old: State, new: State) -> None:
    async with journal_with(old) as journal:
        settled = await journal.settle(await only_record(journal), new)

        assert settled.state is new
        assert await only_record(journal) == settled


@pytest.mark.parametrize("old", sorted({*STATES} - {PLANNED, IN_DOUBT, ABSENT}))
async def test_no_attempt_begins_from_any_other_state(old: State) -> None:
    async with journal_with(old) as journal:
        with pytest.raises(JournalError):
            await journal.intend(await only_record(journal), NOW)


@pytest.mark.parametrize(
    ("state", "with_the_same", "with_another"),
    [
        (PLANNED, Entering.PLAN, Entering.PLAN),
        (REJECTED, Entering.PLAN, Entering.PLAN),
        (NOT_SENT, Entering.PLAN, Entering.PLAN),
        (HELD, Entering.PLAN, Entering.PLAN),
        (CONFIRMED, Entering.SKIP, Entering.REFUSE),
        (IN_DOUBT, Entering.SKIP, Entering.REFUSE),
        (ABSENT, Entering.SKIP, Entering.REFUSE),
        (CONFLICT, Entering.SKIP, Entering.REFUSE),
    ],
)
def test_what_is_known_decides_what_becomes_of_an_entry(
    state: State, with_the_same: Entering, with_another: Entering
) -> None:
    known = make_record(state=state)

    assert entering(known, known.content) is with_the_same
    assert entering(known, digest(b"another")) is with_another


@pytest.mark.parametrize(
    ("state", "round_", "step"),
    [
        *[(PLANNED, r, Step.SEND) for r in (FIRST, LAST, RESEND)],
        *[(PLANNED, r, Step.DONE) for r in (LOOK, LAST_LOOK)],
        *[(IN_DOUBT, r, Step.RESOLVE) for r in (FIRST, LAST, RESEND, LOOK, LAST_LOOK)],
        *[(ABSENT, r, Step.DONE) for r in (FIRST, LOOK)],
        *[(ABSENT, r, Step.RESOLVE) for r in (LAST, LAST_LOOK, RESEND)],
        *[(s, LAST, Step.DONE) for s in (CONFIRMED, REJECTED, NOT_SENT, CONFLICT, HELD)],
    ],
)
def test_an_invoice_alone_on_its_order(state: State, round_: Round, step: Step) -> None:
    record = make_record(state=state)

    assert next_step(record, [record], round_) is step


@pytest.mark.parametrize(
    ("changes", "round_", "step"),
    [
        ({}, LAST, Step.SEND),
        ({}, FIRST, Step.DONE),
        ({}, LAST_LOOK, Step.DONE),
        ({"resent": True}, LAST, Step.DONE),
        ({"type": INPUT}, LAST, Step.DONE),
        ({"type": INPUT}, RESEND, Step.SEND),
        ({"type": INPUT, "resent": True}, RESEND, Step.DONE),
    ],
)
def test_what_is_proven_absent_is_sent_once_more_where_that_is_safe(
    changes: dict[str, object], round_: Round, step: Step
) -> None:
    record = make_record(state=ABSENT, **changes)

    assert next_step(record, [record], round_, is_proven=True) is step


@pytest.mark.parametrize(
    ("kind", "other", "first", "last"),
    [
        (OUTPUT, (OUTPUT, IN_DOUBT), Step.WAIT, Step.HOLD),
        (OUTPUT, (INPUT, IN_DOUBT), Step.WAIT, Step.HOLD),
        *[(OUTPUT, (OUTPUT, s), Step.SEND, Step.SEND) for s in STATES if s is not IN_DOUBT],
        (INPUT, (OUTPUT, CONFIRMED), Step.SEND, Step.SEND),
        (INPUT, (OUTPUT, IN_DOUBT), Step.WAIT, Step.HOLD),
        (INPUT, (OUTPUT, ABSENT), Step.WAIT, Step.HOLD),
        *[
            (INPUT, (OUTPUT, state), Step.HOLD, Step.HOLD)
            for state in (PLANNED, REJECTED, NOT_SENT, CONFLICT, HELD)
        ],
        (INPUT, (INPUT, REJECTED), Step.SEND, Step.SEND),
        (INPUT, (INPUT, IN_DOUBT), Step.WAIT, Step.HOLD),
    ],
)
def test_an_invoice_waits_for_what_its_order_is_in_doubt_about(
    kind: InvoiceType, other: tuple[InvoiceType, State], first: Step, last: Step
) -> None:
    record = make_record(type=kind)
    order = [record, make_record(seq=2, type=other[0], state=other[1])]

    assert next_step(record, order, FIRST) is first
    assert next_step(record, order, LAST) is last


@pytest.mark.parametrize("state", sorted({*STATES} - {CONFIRMED}))
def test_an_absent_input_is_not_sent_again_before_its_outputs_are_confirmed(state: State) -> None:
    record = make_record(type=INPUT, state=ABSENT)
    order = [record, make_record(seq=2, state=state)]

    assert next_step(record, order, RESEND, is_proven=True) is not Step.SEND


records = st.builds(
    make_record,
    seq=st.integers(2, 9),
    type=st.sampled_from(InvoiceType),
    state=st.sampled_from(STATES),
    resent=st.booleans(),
)
rounds = st.builds(
    Round, is_last=st.booleans(), reads_only=st.booleans(), resend_input=st.booleans()
)


@settings(max_examples=400, deadline=None)
@given(records, st.lists(records, max_size=3, unique_by=lambda r: r.seq), rounds, st.booleans())
def test_nothing_is_sent_that_could_be_wrong(
    record: Record, others: list[Record], round_: Round, proven: bool
) -> None:
    mine = make_record(seq=1, type=record.type, state=record.state, resent=record.resent)

    step = next_step(mine, [mine, *others], round_, is_proven=proven)

    if step is not Step.SEND:
        return
    assert not round_.reads_only
    assert mine.state is PLANNED or (mine.state is ABSENT and proven and not mine.resent)
    outputs = {o.state for o in others if o.type is OUTPUT}
    assert mine.type is OUTPUT or outputs <= {CONFIRMED}, "refunded before it was invoiced"


@pytest.mark.parametrize("dialect", list(OrdersApi))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_kept_of_an_invoice_is_sent_as_it_was_asked_for(
    dialect: OrdersApi, data: st.DataObject
) -> None:
    invoice: Invoice = data.draw(strategies.invoices(dialect))
    job = InvoiceJob(order_id="1-01", invoice=invoice)

    entry = Entry.of(job, dialect, 7)
    again = Entry.of(InvoiceJob(order_id="1-01", invoice=entry.invoice), dialect, 7)

    assert again == entry
    assert (entry.value, entry.type) == (invoice.invoice_value, invoice.type)


def test_what_a_dialect_cannot_say_is_no_entry() -> None:
    with pytest.raises(InvalidInvoice):
        make_entry(orders_api=OrdersApi.PII, embedded_invoice="<nfe/>")


def test_a_record_gives_back_its_job() -> None:
    entry, record = make_entry(), make_record()

    assert record.job == InvoiceJob(order_id="1-01", invoice=entry.invoice)
    assert record.document["invoiceNumber"] == "NFe1"


def test_a_record_that_keeps_no_body_has_an_empty_document() -> None:
    assert make_record(body=None).document == {}


def test_a_doubt_asks_for_what_was_sent() -> None:
    record = make_record(order_id="7-01", type=INPUT)

    doubt = record.doubt(NOW)

    assert (doubt.order_id, doubt.invoice_number, doubt.since) == ("7-01", "NFe1", NOW)
    assert (doubt.type, doubt.value, doubt.orders_api) == (INPUT, 2499, OrdersApi.OMS)


def test_neither_an_entry_nor_a_record_shows_its_body() -> None:
    entry = make_entry(courier="Maria Silva")
    record = make_record(body=entry.body)

    assert "Maria" in entry.body.decode()
    assert "Maria" not in f"{entry}{record}"
