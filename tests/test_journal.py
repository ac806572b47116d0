"""What every kind of journal does: one suite for the file and for the one in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from attrs import evolve

from tests.journals import (
    HEADER,
    NOW,
    STATES,
    brought_to,
    make_entries,
    make_entry,
    only_record,
    records_of,
)
from vtex_invoice_async import ClientConfig, OrdersApi
from vtex_invoice_async.errors import JournalBusy, JournalError, JournalMismatch
from vtex_invoice_async.jobs.entering import MOST_TOLD
from vtex_invoice_async.jobs.header import header_of
from vtex_invoice_async.jobs.job import Entry, digest
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.jobs.store import Store
from vtex_invoice_async.outcome import State

SAME, OTHER = make_entry(line=8), make_entry(line=8, invoice_value=2500)
MORE_THAN_READ_AT_ONCE = 150


@pytest.fixture(params=["sqlite", "memory"])
def next_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes a store over what the one before it left, when that is closed."""
    made = [MemoryStore()]

    def in_memory() -> Store:
        made.append(MemoryStore(made[-1].synced))
        return made[-1]

    return in_memory if request.param == "memory" else lambda: SqliteStore(tmp_path / "journal.db")


@pytest.fixture
def store(next_store: Callable[[], Store]) -> Store:
    return next_store()


@pytest.fixture
async def journal(store: Store) -> AsyncIterator[Journal]:
    async with Journal(store, HEADER) as opened:
        yield opened


async def test_what_is_entered_is_planned_as_the_plan_says(journal: Journal) -> None:
    entries = make_entries(3)

    entered = await journal.enter(entries, 7)

    records = await records_of(journal)
    assert (entered.already_confirmed, entered.refused, entered.told) == (0, 0, ())
    assert [(r.seq, r.change, r.run, r.line) for r in records] == [
        (1, 1, 7, 1), (2, 2, 7, 2), (3, 3, 7, 3),
    ]  # fmt: skip
    assert [(r.order_id, r.invoice_number, r.value, r.type) for r in records] == [
        (e.order_id, e.invoice_number, e.value, e.type) for e in entries
    ]
    assert [r.job.invoice for r in records] == [e.invoice for e in entries]
    assert {(r.state, r.attempts, r.resent, r.since) for r in records} == {
        (State.PLANNED, 0, False, None)
    }


@pytest.mark.parametrize("orders_api", list(OrdersApi))
async def test_an_invoice_comes_back_in_its_dialect(
    journal: Journal, orders_api: OrdersApi
) -> None:
    midnight = NOW.replace(hour=0)
    entry = make_entry(orders_api=orders_api, issuance_date=midnight, courier="Ação")

    await journal.enter([entry], 1)

    record = await only_record(journal)
    assert (record.orders_api, record.body) == (orders_api, entry.body)
    assert record.job.invoice == entry.invoice


@pytest.mark.parametrize("state", [State.PLANNED, State.REJECTED, State.NOT_SENT])
@pytest.mark.parametrize("entry", [SAME, OTHER])
async def test_what_is_not_on_its_way_is_planned_anew_as_the_entry_says(
    journal: Journal, state: State, entry: Entry
) -> None:
    await journal.enter([make_entry(line=1)], 1)
    before = await brought_to(journal, await only_record(journal), state)

    entered = await journal.enter([entry], 2)

    after = await only_record(journal)
    assert entered.refused == 0
    assert (after.state, after.run, after.line) == (State.PLANNED, 2, 8)
    assert (after.body, after.content) == (entry.body, digest(entry.body))
    assert (after.value, after.attempts, after.since) == (entry.value, before.attempts, None)


async def test_what_was_held_is_planned_anew_as_it_is_now(journal: Journal) -> None:
    await journal.enter([make_entry()], 1)
    await brought_to(journal, await only_record(journal), State.HELD)

    for entry in (SAME, OTHER):
        await journal.enter([entry], 2)
        planned = await only_record(journal)
        assert (planned.state, planned.body) == (State.PLANNED, entry.body)
        await brought_to(journal, planned, State.HELD)


ON_ITS_WAY = (State.IN_DOUBT, State.CONFIRMED, State.ABSENT, State.CONFLICT)


@pytest.mark.parametrize("state", ON_ITS_WAY)
async def test_what_may_have_been_sent_stays_as_it_is(journal: Journal, state: State) -> None:
    await journal.enter([make_entry(line=1)], 1)
    before = await brought_to(journal, await only_record(journal), state)

    entered = await journal.enter([SAME], 2)

    after = await only_record(journal)
    assert entered.already_confirmed == (state is State.CONFIRMED)
    assert after == evolve(before, run=2, line=8, change=after.change)


@pytest.mark.parametrize("state", ON_ITS_WAY)
async def test_what_may_have_been_sent_with_other_contents_is_refused(
    journal: Journal, state: State
) -> None:
    await journal.enter([make_entry(line=1)], 1)
    before = await brought_to(journal, await only_record(journal), state)

    entered = await journal.enter([OTHER], 2)

    assert (entered.refused, entered.already_confirmed) == (1, 0)
    assert entered.told == ((evolve(OTHER, body=b""), state),)
    assert await only_record(journal) == before
    assert await journal.counts(2) == Counter()


async def test_of_many_refused_the_first_are_told_and_all_are_counted(journal: Journal) -> None:
    await journal.enter(make_entries(60), 1)
    for record in await records_of(journal):
        await brought_to(journal, record, State.CONFIRMED)

    entered = await journal.enter([evolve(e, body=b"{}") for e in make_entries(60)], 2)

    assert (entered.refused, len(entered.told)) == (60, MOST_TOLD)
    assert [entry.line for entry, _ in entered.told] == list(range(1, MOST_TOLD + 1))


def cut_short(entries: list[Entry]) -> Iterator[Entry]:
    yield from entries
    raise ValueError("the file was changed")


async def test_a_plan_is_entered_as_a_whole_or_not_at_all(
    next_store: Callable[[], Store],
) -> None:
    async with Journal(next_store(), HEADER) as journal:
        await journal.enter(make_entries(2), 1)
        with pytest.raises(ValueError, match="was changed"):
            await journal.enter(cut_short(make_entries(20)), 2)
        left = await records_of(journal)

    async with Journal(next_store(), HEADER) as journal:
        assert await records_of(journal) == left
        assert [record.run for record in left] == [1, 1]
        await journal.enter(make_entries(3), 3)
        assert [record.seq for record in await records_of(journal)] == [1, 2, 3]


async def test_an_attempt_is_written_down_before_it_begins(journal: Journal) -> None:
    await journal.enter([make_entry()], 1)
    planned = await only_record(journal)

    intent = await journal.intend(planned, NOW)

    assert await only_record(journal) == intent
    assert (intent.state, intent.attempts, intent.since) == (State.IN_DOUBT, 1, None)
    assert not intent.resent
    assert intent.change > planned.change


async def test_what_is_sent_once_more_after_it_was_absent_is_marked(journal: Journal) -> None:
    await journal.enter([make_entry()], 1)
    absent = await brought_to(journal, await only_record(journal), State.ABSENT)

    again = await journal.intend(absent, NOW)

    assert (again.resent, again.attempts, again.since) == (True, 2, None)


async def test_an_outcome_is_kept_with_all_that_is_known_of_it(journal: Journal) -> None:
    await journal.enter([make_entry()], 1)
    intent = await journal.intend(await only_record(journal), NOW)

    settled = await journal.settle(
        intent, State.REJECTED, since=NOW, status=400, code="OMS007", message="não", receipt=None
    )

    assert await only_record(journal) == settled
    assert (settled.since, settled.status, settled.code) == (NOW, 400, "OMS007")
    assert (settled.message, settled.body) == ("não", intent.body)


async def test_a_body_is_erased_once_it_is_confirmed(journal: Journal) -> None:
    await journal.enter([make_entry()], 1)
    intent = await journal.intend(await only_record(journal), NOW)

    await journal.settle(intent, State.CONFIRMED, receipt="r", date="2026-02-01", status=200)

    record = await only_record(journal)
    assert (record.body, record.document) == (None, {})
    assert (record.content, record.receipt) == (intent.content, "r")


@pytest.mark.parametrize("state", sorted({*STATES} - {State.CONFIRMED}))
async def test_a_body_is_kept_for_as_long_as_it_may_be_sent(journal: Journal, state: State) -> None:
    await journal.enter([make_entry()], 1)

    record = await brought_to(journal, await only_record(journal), state)

    assert record.body == make_entry().body
    assert (await only_record(journal)).job == record.job


async def test_a_record_that_was_changed_meanwhile_is_refused(
    next_store: Callable[[], Store],
) -> None:
    async with Journal(next_store(), HEADER) as journal:
        await journal.enter([make_entry()], 1)
        stale = await only_record(journal)
        intent = await journal.intend(stale, NOW)
        for late in (journal.intend(stale, NOW), journal.settle(stale, State.HELD)):
            with pytest.raises(JournalBusy, match="taken over order 1-01"):
                await late
        settled = await journal.settle(intent, State.CONFIRMED)
        with pytest.raises(JournalBusy):
            await journal.settle(intent, State.ABSENT)

    async with Journal(next_store(), HEADER) as journal:
        assert await only_record(journal) == settled


async def test_an_open_intent_becomes_a_doubt_that_dates_from_now(
    next_store: Callable[[], Store],
) -> None:
    async with Journal(next_store(), HEADER) as journal:
        await journal.enter(make_entries(2), 1)
        first, second = await records_of(journal)
        intent = await journal.intend(first, NOW)
        doubt = await journal.settle(await journal.intend(second, NOW), State.IN_DOUBT, since=NOW)

    later = NOW.replace(hour=15)
    async with Journal(next_store(), HEADER) as journal:
        await journal.reopen(later, all_=False)
        found, other = await records_of(journal)
    assert found == evolve(intent, since=later, change=found.change)
    assert other == doubt


@pytest.mark.parametrize("all_", [False, True])
@pytest.mark.parametrize("state", sorted({*STATES} - {State.IN_DOUBT}))
async def test_what_was_not_sent_or_held_is_planned_again_when_asked(
    journal: Journal, state: State, all_: bool
) -> None:
    await journal.enter([make_entry()], 1)
    before = await brought_to(journal, await only_record(journal), state)

    await journal.reopen(NOW, all_=all_)

    after = await only_record(journal)
    again = all_ and state in {State.NOT_SENT, State.HELD}
    assert after.state is (State.PLANNED if again else state)
    assert after == evolve(before, state=after.state, change=after.change)


async def test_many_are_reopened(journal: Journal) -> None:
    await journal.enter(make_entries(MORE_THAN_READ_AT_ONCE), 1)
    for record in await records_of(journal):
        await brought_to(journal, record, (State.HELD, State.IN_DOUBT)[record.seq % 2])

    await journal.reopen(NOW, all_=True)

    assert await journal.counts() == Counter({State.PLANNED: 75, State.IN_DOUBT: 75})
    assert {r.since for r in await records_of(journal, State.IN_DOUBT)} == {NOW}


async def test_invoices_are_counted_by_state_of_a_run_or_of_all(journal: Journal) -> None:
    await journal.enter(make_entries(len(STATES)), 1)
    for state, record in zip(STATES, await records_of(journal), strict=True):
        await brought_to(journal, record, state)
    await journal.enter(make_entries(2, first=100), 2)

    assert await journal.counts(1) == Counter(STATES)
    assert await journal.counts(2) == Counter({State.PLANNED: 2})
    assert await journal.counts() == Counter(STATES) + Counter({State.PLANNED: 2})
    assert await journal.counts(3) == Counter()


async def test_records_are_read_by_their_places_however_many(journal: Journal) -> None:
    await journal.enter(make_entries(MORE_THAN_READ_AT_ONCE), 1)
    last = (await records_of(journal))[-1]
    await brought_to(journal, last, State.CONFIRMED)

    every = await records_of(journal)

    assert [record.seq for record in every] == list(range(1, MORE_THAN_READ_AT_ONCE + 1))
    assert [r.seq for r in await records_of(journal, State.CONFIRMED)] == [last.seq]
    assert await records_of(journal, State.REJECTED, State.HELD) == []


async def test_a_run_is_kept_with_its_options_and_how_it_ended(
    next_store: Callable[[], Store],
) -> None:
    async with Journal(next_store(), HEADER) as journal:
        first = await journal.begin("send", {"file": "março.csv", "rate": 2.5}, NOW)
        await journal.end({"confirmed": 3}, NOW.replace(hour=13))

    async with Journal(next_store(), HEADER) as journal:
        second = await journal.begin("resume", {}, NOW)
        latest, earlier = await journal.runs(9)
        assert await journal.runs(1) == [latest]
    assert (first, second) == (1, 2)
    assert (latest.id, latest.command, latest.ended_at, latest.counts) == (2, "resume", None, None)
    assert (earlier.started_at, earlier.ended_at) == (
        *("2026-02-01T12:00:00+00:00", "2026-02-01T13:00:00+00:00"),
    )
    assert earlier.options == {"file": "março.csv", "rate": 2.5}
    assert earlier.counts == {"confirmed": 3}


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (evolve(HEADER, account="other"), "not for other at"),
        (evolve(HEADER, origin="http://127.0.0.1:80"), r"at http://127.0.0.1:80"),
        (evolve(HEADER, family="pii"), r"\(pii\): check VTEX_ACCOUNT"),
    ],
)
async def test_a_journal_of_another_account_host_or_family_is_refused(
    next_store: Callable[[], Store], theirs: object, told: str
) -> None:
    async with Journal(next_store(), HEADER):
        pass

    with pytest.raises(JournalMismatch, match=told):
        await Journal(next_store(), theirs).__aenter__()  # type: ignore[arg-type]

    async with Journal(next_store(), HEADER) as journal:
        assert journal.header == HEADER


async def test_a_journal_is_used_by_a_client_of_its_account_only(journal: Journal) -> None:
    config = ClientConfig(
        account="acme", app_key="K", app_token="T", base_url="https://acme.example"
    )

    journal.check_client(config)
    with pytest.raises(JournalMismatch):
        journal.check_client(evolve(config, account="other"))
    with pytest.raises(JournalMismatch):
        journal.check_client(evolve(config, orders_api=OrdersApi.PII))


@pytest.mark.parametrize(
    ("url", "orders_api", "origin", "family"),
    [
        ("https://acme.example", OrdersApi.OMS, "https://acme.example:443", "oms"),
        ("https://ACME.example/", OrdersApi.PII, "https://acme.example:443", "pii"),
        ("http://127.0.0.1:8080", OrdersApi.PII_2022, "http://127.0.0.1:8080", "pii"),
        ("http://[::1]/", OrdersApi.OMS, "http://[::1]:80", "oms"),
    ],
)
def test_a_header_says_where_invoices_go(
    url: str, orders_api: OrdersApi, origin: str, family: str
) -> None:
    found = header_of(account="acme", url=url, orders_api=orders_api)

    assert (found.account, found.origin, found.family) == ("acme", origin, family)


def test_a_journal_that_is_not_open_has_no_header_yet(store: Store) -> None:
    with pytest.raises(JournalError, match="not open"):
        _ = Journal(store, None).header
