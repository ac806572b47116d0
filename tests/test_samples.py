"""Samples of a run: what they add up to, and that a journal keeps them as it keeps the rest."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.journals import HEADER, NOW, make_entries, make_entry, opened, records_of
from tests.reports import changed, made_by_version_1
from vtex_invoice_async.errors import JournalDamaged, JournalError, JournalMismatch
from vtex_invoice_async.jobs.journal import AT_ONCE, Journal
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.samples import HAPPENED, Latency, Sample, Tally
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.jobs.store import Store
from vtex_invoice_async.sandbox import Sandbox

seconds = st.floats(0.001, 10_000)
many_seconds = st.lists(seconds, max_size=60)


def latency_of(answers: Sequence[float]) -> Latency:
    tally = Tally()
    for answer in answers:
        tally.answer(answer)
    return Latency(tally.answers)


def make_sample(**changes: Any) -> Sample:
    sound: dict[str, Any] = {"run": 1, "at": NOW, "seconds": 1.0, "attempts": 3, "confirmed": 2}
    return Sample(**{**sound, **changes})


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: tuple[int] = connection.execute("PRAGMA user_version").fetchone()
    return found[0]


async def samples_of(journal: Journal, run: int | None = None) -> list[Sample]:
    return [sample async for sample in journal.samples(run)]


@given(st.lists(seconds, min_size=1, max_size=60), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_right_to_within_a_tenth(answers: list[float], share: float) -> None:
    at_least = -(-round(share * 100) * len(answers) // 100)
    exact = sorted(answers)[at_least - 1]

    found = latency_of(answers).percentile(share)

    assert found is not None
    assert exact / 1.1 <= found <= exact * 1.1


def test_there_is_no_percentile_of_nothing() -> None:
    assert Latency().percentile(0.5) is None


@pytest.mark.parametrize("answer", [0.0, -0.1, 1e-9, 0.001])
def test_what_takes_no_time_falls_into_the_first_bucket(answer: float) -> None:
    assert latency_of([answer]) == Latency({0: 1})


@given(many_seconds, many_seconds)
def test_latencies_add_up_to_those_of_all_answers(one: list[float], other: list[float]) -> None:
    assert latency_of(one) + latency_of(other) == latency_of(one + other)


def test_two_samples_are_one_from_beginning_to_end() -> None:
    first = make_sample(in_doubt=1, rate=5, latency=Latency({3: 1}))
    later = make_sample(at=NOW + timedelta(seconds=9), in_doubt=4, rate=7, throttled=2, limit=8.0)

    both = first.then(later)

    assert (both.began, both.at, both.seconds) == (first.began, later.at, 10)
    assert (both.attempts, both.confirmed, both.throttled) == (6, 4, 2)
    assert (both.in_doubt, both.rate, both.limit) == (4, 7, 8.0)
    assert both.latency == Latency({3: 1})


@given(st.dictionaries(st.sampled_from(HAPPENED), st.integers(0, 2**40)), many_seconds)
def test_a_sample_is_what_its_facts_say(counts: dict[str, int], answers: list[float]) -> None:
    sample = make_sample(**counts, latency=latency_of(answers), limit=0.1)

    assert Sample.of(sample.run, sample.at, sample.seconds, sample.facts) == sample


@pytest.fixture(params=["sqlite", "memory"])
def next_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Makes a store over what the one before it left, when that is closed."""
    made = [MemoryStore()]

    def in_memory() -> Store:
        made.append(MemoryStore(made[-1].synced))
        return made[-1]

    return in_memory if request.param == "memory" else lambda: SqliteStore(tmp_path / "journal.db")


@pytest.fixture
async def journal(next_store: Callable[[], Store]) -> AsyncIterator[Journal]:
    async with Journal(next_store(), HEADER) as found:
        yield found


async def test_a_journal_tells_what_it_was_told(journal: Journal) -> None:
    samples = [make_sample(run=1 + n // 100, attempts=n) for n in range(3 * AT_ONCE)]
    for sample in samples:
        journal.note(sample)

    assert await samples_of(journal) == samples
    assert await samples_of(journal, 2) == [sample for sample in samples if sample.run == 2]
    assert await samples_of(journal, 9) == []


async def test_a_sample_is_synced_with_the_next_change(next_store: Callable[[], Store]) -> None:
    sample = make_sample(rate=0.1, limit=1 / 3, latency=Latency({-1: 2, 7: 1}))
    async with Journal(next_store(), HEADER) as journal:
        journal.note(sample)
        await journal.enter([make_entry()], 1)

    async with Journal(next_store(), HEADER) as journal:
        assert await samples_of(journal) == [sample]


async def test_a_sample_that_was_not_synced_is_lost_with_the_machine() -> None:
    store = MemoryStore()
    async with Journal(store, HEADER) as journal:
        journal.note(make_sample())
        assert await samples_of(journal) == [make_sample()]

    async with Journal(MemoryStore(store.synced), HEADER) as journal:
        assert await samples_of(journal) == []


async def test_who_reads_notes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path):
        pass

    async with Journal.read(path) as journal:
        with pytest.raises(JournalError, match="for reading"):
            journal.note(make_sample())


ALTERED = (
    "UPDATE sample SET facts = replace(facts, 3, 4) WHERE id = 2",
    "UPDATE sample SET at = 'yesterday' WHERE id = 2",
    "UPDATE sample SET seconds = 2 WHERE id = 2",
    "UPDATE sample SET run = 2 WHERE id = 2",
    "UPDATE sample SET id = 9 WHERE id = 2",
    "UPDATE sample SET digest = x'00' WHERE id = 2",
)


@pytest.mark.parametrize("statement", ALTERED)
async def test_a_sample_that_was_altered_is_found_out(statement: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        for n in range(3):
            journal.note(make_sample(confirmed=n))
        await journal.enter([make_entry()], 1)
    changed(path, statement)

    with pytest.raises(
        JournalDamaged, match=r"sample (2|9) of the journal is not what was written"
    ):
        async with opened(path):
            pass
    async with Journal.read(path) as journal:
        with pytest.raises(JournalDamaged):
            await samples_of(journal)


async def test_a_journal_of_version_1_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        await journal.enter(make_entries(3), 1)
    made_by_version_1(path)

    async with Journal.read(path) as journal:
        assert len(await records_of(journal)) == 3
        assert await samples_of(journal) == []
    assert version_of(path) == 1


async def test_a_journal_of_version_1_is_made_one_of_version_2(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        await journal.enter(make_entries(3), 1)
        before = await records_of(journal)
    made_by_version_1(path)

    async with opened(path) as journal:
        journal.note(make_sample())
        assert await records_of(journal) == before
        assert await samples_of(journal) == [make_sample()]
    assert version_of(path) == 2


async def test_a_journal_of_version_1_that_is_refused_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        await journal.enter(make_entries(3), 1)
    made_by_version_1(path)
    changed(path, "UPDATE invoice SET value = 1 WHERE seq = 2")

    with pytest.raises(JournalDamaged, match="row 2"):
        async with opened(path):
            pass
    assert version_of(path) == 1


async def test_a_journal_of_version_1_of_another_account_stays_as_it_was(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    path = tmp_path / "journal.db"
    async with Journal.open(path, sandbox.config):
        pass
    made_by_version_1(path)

    with pytest.raises(JournalMismatch, match="check VTEX_ACCOUNT"):
        async with Journal.open(path, evolve(sandbox.config, account="another")):
            pass
    assert version_of(path) == 1
    async with Journal.open(path, sandbox.config):
        pass
    assert version_of(path) == 2


@pytest.mark.parametrize("version", [0, -1])
async def test_a_journal_of_no_version_is_damaged(version: int, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path):
        pass
    changed(path, f"PRAGMA user_version = {version}")

    for journal in (opened(path), Journal.read(path)):
        with pytest.raises(JournalDamaged, match="of which version it is; restore it"):
            async with journal:
                pass


class Refusing(sqlite3.Connection):
    """Cannot write which version it is of."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA user_version ="):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


async def test_a_migration_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path):
        pass
    made_by_version_1(path)

    with pytest.raises(JournalError, match="disk I/O error"):
        async with opened(path, connection=Refusing):
            pass
    assert version_of(path) == 1
    async with opened(path) as journal:
        assert await samples_of(journal) == []
    assert version_of(path) == 2
