"""The thread of a journal's file: the loop goes on, waits end, and many share one commit."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journals import (
    NOW,
    brought_to,
    make_entries,
    only_record,
    opened,
    put,
    records_of,
)
from vtex_invoice_async.errors import JournalBusy, JournalError
from vtex_invoice_async.jobs.entering import PAGE
from vtex_invoice_async.jobs.job import Entry
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.writer import MOST_AT_ONCE
from vtex_invoice_async.outcome import State

PATIENCE = 3.0


class Held(sqlite3.Connection):
    """Counts the commits of changes; those that are held wait until they are let."""

    commits = 0
    holding = False
    changing = False
    reached: threading.Event
    let: threading.Event

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        kind = type(self)
        if sql.startswith("BEGIN"):
            kind.changing = sql == "BEGIN IMMEDIATE"
        committing = kind.changing and sql == "COMMIT"
        kind.commits += committing
        if kind.holding and committing:
            kind.reached.set()
            assert kind.let.wait(PATIENCE), "nobody let it go on: the loop was blocked"
        return super().execute(sql, parameters)

    @classmethod
    def hold(cls) -> None:
        cls.commits, cls.holding = 0, True

    @classmethod
    async def held(cls) -> None:
        """Return once a commit has begun."""
        assert await asyncio.to_thread(cls.reached.wait, PATIENCE)


@pytest.fixture
def connection() -> type[Held]:
    class OfThisTest(Held):
        reached = threading.Event()
        let = threading.Event()

    return OfThisTest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
async def journal(path: Path, connection: type[Held]) -> AsyncIterator[Journal]:
    """A journal of one planned invoice, the commits of which are held from here on."""
    async with opened(path, connection=connection) as found:
        await found.enter(make_entries(1), 1)
        connection.hold()
        yield found
        connection.let.set()


async def test_the_loop_goes_on_while_a_commit_takes_its_time(
    journal: Journal, connection: type[Held]
) -> None:
    record = await only_record(journal)

    intending = journal.intend(record, NOW)
    await connection.held()

    assert not intending.done(), "told before it was on disk"
    connection.let.set()
    assert (await intending).state is State.IN_DOUBT


@pytest.mark.parametrize(("changes", "most"), [(100, 2), (MOST_AT_ONCE, 2), (1_500, 4)])
async def test_many_changes_share_few_commits(
    path: Path, connection: type[Held], changes: int, most: int
) -> None:
    async with opened(path, connection=connection) as journal:
        connection.hold()
        tasks = [asyncio.create_task(journal.enter([e], 1)) for e in make_entries(changes)]
        await connection.held()
        await asyncio.sleep(0)
        connection.let.set()
        await asyncio.gather(*tasks)

        assert connection.commits <= most
        assert len(await records_of(journal)) == changes


async def test_a_change_that_is_refused_leaves_those_it_shares_a_commit_with_alone(
    journal: Journal, connection: type[Held], path: Path
) -> None:
    connection.let.set()
    first = await only_record(journal)
    intent = await journal.intend(first, NOW)

    results = await asyncio.gather(
        journal.enter(make_entries(1, first=2), 1),
        journal.intend(first, NOW),
        journal.settle(intent, State.PLANNED),
        journal.settle(intent, State.CONFIRMED),
        journal.enter(make_entries(1, first=3), 1),
        return_exceptions=True,
    )

    assert [isinstance(r, BaseException) for r in results] == [False, True, True, False, False]
    states = [(r.seq, r.state) for r in await records_of(journal)]
    assert states == [(1, State.CONFIRMED), (2, State.PLANNED), (3, State.PLANNED)]


async def test_a_plan_that_breaks_off_is_not_there_by_half(
    journal: Journal, connection: type[Held]
) -> None:
    connection.let.set()

    def broken() -> Iterator[Entry]:
        yield from make_entries(PAGE + 10, first=100)
        raise ValueError("the plan is gone")

    results = await asyncio.gather(
        journal.enter(make_entries(1, first=2), 1),
        journal.enter(broken(), 1),
        journal.enter(make_entries(1, first=3), 1),
        return_exceptions=True,
    )

    assert isinstance(results[1], ValueError)
    found = [(r.seq, r.invoice_number) for r in await records_of(journal)]
    assert found == [(1, "NFe1"), (2, "NFe2"), (3, "NFe3")]


async def test_a_wait_that_is_cancelled_ends_at_once_and_the_change_is_made(
    journal: Journal, connection: type[Held]
) -> None:
    record = await only_record(journal)
    intending = journal.intend(record, NOW)
    await connection.held()

    intending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await intending

    connection.let.set()
    assert (await only_record(journal)).state is State.IN_DOUBT


async def test_a_cancelled_wait_leaves_the_others_alone(
    journal: Journal, connection: type[Held]
) -> None:
    tasks = [asyncio.create_task(journal.enter(make_entries(1, first=n), 1)) for n in range(5, 15)]
    await connection.held()
    for task in tasks[::2]:
        task.cancel()

    connection.let.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(end, asyncio.CancelledError) for end in ended] == [True, False] * 5
    assert len(await records_of(journal)) == 11


async def test_closing_waits_for_what_was_asked_before(path: Path, connection: type[Held]) -> None:
    journal = await opened(path, connection=connection).__aenter__()
    connection.hold()
    entering = asyncio.create_task(journal.enter(make_entries(3), 1))
    await connection.held()

    closing = asyncio.create_task(journal.__aexit__(None, None, None))
    await asyncio.sleep(0)
    assert not closing.done()
    connection.let.set()
    await closing

    await entering
    async with opened(path) as again:
        assert len(await records_of(again)) == 3


async def test_a_close_that_was_cancelled_can_be_awaited_again(
    path: Path, connection: type[Held]
) -> None:
    journal = await opened(path, connection=connection).__aenter__()
    connection.hold()
    entering = asyncio.create_task(journal.enter(make_entries(1), 1))
    await connection.held()
    closing = asyncio.create_task(journal.__aexit__(None, None, None))
    await asyncio.sleep(0)
    closing.cancel()
    connection.let.set()

    await journal.__aexit__(None, None, None)

    await entering
    async with opened(path) as again:
        assert len(await records_of(again)) == 1


async def test_an_opening_that_is_cancelled_does_not_keep_the_file(
    path: Path, connection: type[Held]
) -> None:
    connection.hold()
    opening = asyncio.create_task(opened(path, connection=connection).__aenter__())
    await connection.held()
    opening.cancel()
    connection.let.set()
    with pytest.raises(asyncio.CancelledError):
        await opening

    async with opened(path) as journal:
        assert await records_of(journal) == []


async def test_an_opening_that_is_cancelled_and_fails_disturbs_nobody(
    path: Path, connection: type[Held]
) -> None:
    put(path, b"")
    before = {*threading.enumerate()}
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))

    class Failing(connection):  # type: ignore[misc, valid-type]
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            super().execute(sql, parameters)
            raise sqlite3.OperationalError("disk I/O error")

    opening = asyncio.create_task(opened(path, connection=Failing).__aenter__())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    for thread in {*threading.enumerate()} - before:
        if thread.name == "journal":
            await asyncio.to_thread(thread.join, PATIENCE)
    await asyncio.sleep(0)

    assert heard == []


async def test_a_journal_is_closed_twice_and_then_does_nothing_more(path: Path) -> None:
    journal = await opened(path).__aenter__()
    await journal.__aexit__(None, None, None)
    await journal.__aexit__(None, None, None)

    with pytest.raises(JournalError, match="is not open"):
        await journal.counts()


async def test_a_journal_that_was_never_opened_says_so(path: Path) -> None:
    with pytest.raises(JournalError, match="is not open"):
        await opened(path).counts()


async def test_a_journal_can_be_opened_again(path: Path) -> None:
    journal = opened(path)
    for count in range(1, 4):
        async with journal:
            await journal.enter(make_entries(count), 1)
            assert len(await records_of(journal)) == count


async def test_a_journal_can_be_opened_again_after_it_was_closed_by_two(path: Path) -> None:
    journal = await opened(path).__aenter__()
    await asyncio.gather(*(journal.__aexit__(None, None, None) for _ in range(2)))

    async with asyncio.timeout(PATIENCE), journal:
        await journal.enter(make_entries(1), 1)


def test_a_journal_works_from_another_event_loop_later(path: Path) -> None:
    journal = opened(path)

    async def enter(number: int) -> int:
        async with journal:
            await journal.enter(make_entries(1, first=number), 1)
            return len(await records_of(journal))

    assert [asyncio.run(enter(number)) for number in (1, 2)] == [1, 2]


def test_an_open_journal_does_not_let_another_event_loop_wait_for_ever(path: Path) -> None:
    journal = opened(path)

    async def count() -> None:
        async with asyncio.timeout(1):
            await journal.counts()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(journal.__aenter__())
        try:
            with pytest.raises(JournalError, match="another event loop"):
                second.run(count())
        finally:
            first.run(journal.__aexit__(None, None, None))


async def test_one_process_opens_a_journal_once(path: Path) -> None:
    async with opened(path) as journal:
        with pytest.raises(JournalBusy):
            await opened(path).__aenter__()
        await journal.enter(make_entries(1), 1)
        await brought_to(journal, await only_record(journal), State.CONFIRMED)
