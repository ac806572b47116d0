"""Who works on an order: one at a time, whoever asks, in either kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.journals import HEADER, NOW, brought_to, make_entries, make_entry, records_of
from vtex_invoice_async import InvoiceType
from vtex_invoice_async.errors import JournalBusy
from vtex_invoice_async.jobs.journal import LEASE, Claim, Journal
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.jobs.store import Store
from vtex_invoice_async.outcome import State

MOMENT = timedelta(seconds=1)


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "journal.db")
    await made.open()
    yield made
    await made.aclose()


@pytest.fixture
def journal(store: Store) -> Journal:
    return Journal(store, HEADER)


@pytest.fixture
def other(store: Store) -> Journal:
    """Another worker's, over the same store."""
    return Journal(store, HEADER)


async def claimed(
    journal: Journal,
    state: State = State.PLANNED,
    run: int | None = None,
    now: datetime = NOW,
) -> list[Claim]:
    return [claim async for claim in journal.claims(state, run, lambda: now)]


def orders(claims: list[Claim]) -> list[str]:
    return [claim.order_id for claim in claims]


async def test_each_order_is_claimed_once_with_its_outputs_before_its_inputs(
    journal: Journal,
) -> None:
    await journal.enter(
        [
            make_entry("1-01", "refund", type=InvoiceType.INPUT),
            make_entry("2-01", "alone"),
            make_entry("1-01", "first"),
            make_entry("1-01", "second"),
        ],
        1,
    )

    claims = await claimed(journal)

    assert [
        (c.order_id, c.at, [record.invoice_number for record in c.records]) for c in claims
    ] == [("1-01", 1, ["first", "second", "refund"]), ("2-01", 2, ["alone"])]


async def test_however_many_orders_there_are_each_is_claimed(journal: Journal) -> None:
    await journal.enter(make_entries(200), 1)

    assert orders(await claimed(journal)) == [f"{n}-01" for n in range(1, 201)]
    assert await claimed(journal) == []


async def test_orders_are_claimed_by_the_state_and_run_of_their_invoices(
    journal: Journal,
) -> None:
    await journal.enter(make_entries(3), 1)
    await brought_to(journal, (await records_of(journal))[1], State.ABSENT)
    await journal.enter(make_entries(2, first=8), 2)

    assert orders(await claimed(journal, State.ABSENT)) == ["2-01"]
    assert orders(await claimed(journal, run=2)) == ["8-01", "9-01"]
    assert orders(await claimed(journal, run=1)) == ["1-01", "3-01"]
    assert await claimed(journal, State.HELD) == []


async def test_a_claim_brings_all_of_an_order_whatever_its_state_and_run(journal: Journal) -> None:
    await journal.enter([make_entry("1-01", "old")], 1)
    await brought_to(journal, (await records_of(journal))[0], State.CONFIRMED)
    await journal.enter([make_entry("1-01", "new")], 2)

    (claim,) = await claimed(journal, run=2)

    assert [(r.invoice_number, r.state) for r in claim.records] == [
        ("old", State.CONFIRMED),
        ("new", State.PLANNED),
    ]
    assert claim.at == 2


async def test_nobody_claims_what_another_works_on(journal: Journal, other: Journal) -> None:
    await journal.enter(make_entries(100), 1)
    source = journal.claims(State.PLANNED, None, lambda: NOW)
    mine = [(await anext(source)).order_id]

    theirs = orders(await claimed(other))
    mine += [claim.order_id async for claim in source]

    assert len(mine) + len(theirs) == 100
    assert {*mine} & {*theirs} == set()


async def test_a_lease_holds_to_its_end(journal: Journal, other: Journal) -> None:
    await journal.enter(make_entries(2), 1)
    await claimed(journal)

    assert await claimed(other, now=NOW + LEASE - MOMENT) == []
    assert orders(await claimed(other, now=NOW + LEASE)) == ["1-01", "2-01"]


async def test_what_was_given_back_can_be_claimed(journal: Journal, other: Journal) -> None:
    await journal.enter(make_entries(2), 1)
    first, _ = await claimed(journal)

    journal.give_back(first)

    assert orders(await claimed(other)) == ["1-01"]
    assert await claimed(journal) == []
    await journal.give_back_all()
    assert orders(await claimed(other)) == ["2-01"]


async def test_nobody_gives_back_what_another_has_taken_over(
    journal: Journal, other: Journal, store: Store
) -> None:
    await journal.enter(make_entries(1), 1)
    (mine,) = await claimed(journal)
    await claimed(other, now=NOW + LEASE)

    journal.give_back(mine)
    await journal.give_back_all()

    assert await claimed(Journal(store, HEADER), now=NOW + LEASE + MOMENT) == []


async def test_no_attempt_begins_on_an_order_that_another_has_taken_over(
    journal: Journal, other: Journal
) -> None:
    await journal.enter(make_entries(1), 1)
    (mine,) = await claimed(journal)
    await claimed(other, now=NOW + LEASE)

    with pytest.raises(JournalBusy, match="taken over order 1-01"):
        await journal.intend(mine.records[0], NOW + LEASE + MOMENT)

    assert await records_of(journal) == list(mine.records)


async def test_an_attempt_makes_a_lease_last_longer(journal: Journal, other: Journal) -> None:
    await journal.enter(make_entries(1), 1)
    (mine,) = await claimed(journal)

    await journal.intend(mine.records[0], NOW + LEASE - MOMENT)

    assert await claimed(other, State.IN_DOUBT, now=NOW + LEASE + MOMENT) == []
    assert orders(await claimed(other, State.IN_DOUBT, now=NOW + 2 * LEASE)) == ["1-01"]


async def test_leases_end_when_the_file_is_closed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "journal.db")
    async with Journal(store, HEADER) as journal:
        await journal.enter(make_entries(1), 1)
        await claimed(journal)

    async with Journal(store, HEADER) as later:
        assert orders(await claimed(later)) == ["1-01"]


async def test_what_was_given_back_at_the_end_can_be_claimed_when_it_is_opened_again(
    tmp_path: Path,
) -> None:
    journal = Journal(SqliteStore(tmp_path / "journal.db"), HEADER)
    async with journal:
        await journal.enter(make_entries(2), 1)
        first, second = await claimed(journal)
        await journal.give_back_all()
        journal.give_back(first)

    async with journal:
        assert orders(await claimed(journal)) == ["1-01", "2-01"]
        journal.give_back(second)
        assert orders(await claimed(journal)) == ["2-01"]


async def test_an_order_of_several_invoices_is_claimed_whole_and_once(journal: Journal) -> None:
    entries = [make_entry(f"{n % 3}-01", f"NFe{n}") for n in range(9)]
    await journal.enter(entries, 1)

    found = await claimed(journal)

    assert [(c.order_id, c.at) for c in found] == [("0-01", 1), ("1-01", 2), ("2-01", 3)]
    assert [[r.seq for r in claim.records] for claim in found] == [
        [1, 4, 7],
        [2, 5, 8],
        [3, 6, 9],
    ]
