"""A disk that refuses: what was acknowledged is there, and nothing is acknowledged after that."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.journals import (
    NOW,
    make_entries,
    only_record,
    opened,
    records_of,
    run_child,
)
from vtex_invoice_async.errors import JournalError, JournalFailed
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.outcome import State


class Failing(sqlite3.Connection):
    """Fails at its *at*-th statement: before or after doing it, once or from then on."""

    at = 0
    asked = 0
    afterwards = False
    forever = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        kind = type(self)
        kind.asked += 1
        failing = kind.asked == kind.at or (kind.forever and kind.asked > kind.at)
        if failing and not kind.afterwards:
            raise sqlite3.OperationalError("disk I/O error")
        done = super().execute(sql, parameters)
        if failing:
            done.close()
            raise sqlite3.OperationalError("disk I/O error")
        return done


def failing(at: int, *, afterwards: bool, forever: bool) -> type[Failing]:
    settings = {"at": at, "afterwards": afterwards, "forever": forever}
    return type("FailingHere", (Failing,), settings)


async def worked(journal: Journal, acknowledged: list[Record]) -> None:
    """Go the way of a run with an invoice, and keep what is acknowledged."""
    await journal.begin("send", {}, NOW)
    await journal.enter(make_entries(1), 1)
    records = await records_of(journal)
    acknowledged += records
    for record in records:
        intent = await journal.intend(record, NOW)
        acknowledged.append(intent)
        acknowledged.append(await journal.settle(intent, State.CONFIRMED))


async def another_run(journal: Journal) -> None:
    await journal.end({}, NOW)
    await journal.begin("send", {}, NOW)


async def refused_from_now_on(journal: Journal) -> None:
    for _ in range(2):
        with pytest.raises(JournalFailed):
            await journal.enter(make_entries(1, first=50), 1)
        with pytest.raises(JournalFailed):
            await another_run(journal)


async def went_wrong(path: Path, kind: type[Failing], acknowledged: list[Record]) -> bool:
    """Work with a connection that fails; return whether anybody was told that it did."""
    try:
        async with opened(path, connection=kind) as journal:
            try:
                await worked(journal, acknowledged)
            except JournalFailed:
                if kind.at <= kind.asked:
                    await maybe_refused(journal)
                return True
    except JournalFailed:
        return True
    return False


async def maybe_refused(journal: Journal) -> None:
    try:
        await journal.enter(make_entries(1, first=50), 1)
    except JournalFailed:
        await refused_from_now_on(journal)


async def check_kept(path: Path, acknowledged: list[Record]) -> None:
    """See that each is there as it was acknowledged, or as it became after that."""
    async with opened(path) as journal:
        found = {record.seq: record for record in await records_of(journal)}
        for record in acknowledged:
            assert found[record.seq].change >= record.change
            assert found[record.seq].change > record.change or found[record.seq] == record
        await journal.enter(make_entries(2), 2)


@pytest.mark.parametrize(("afterwards", "forever"), [(False, False), (True, False), (False, True)])
async def test_whichever_statement_fails_what_was_acknowledged_is_there(
    tmp_path: Path, afterwards: bool, forever: bool
) -> None:
    for at in range(1, 200):
        path = tmp_path / f"{at}.db"
        acknowledged: list[Record] = []
        kind = failing(at, afterwards=afterwards, forever=forever)

        told = await went_wrong(path, kind, acknowledged)

        await check_kept(path, acknowledged)
        if kind.asked < at:
            assert not told
            assert len(acknowledged) == 3
            return
    pytest.fail("it never ended")


@pytest.mark.parametrize("afterwards", [False, True])
async def test_after_a_change_failed_none_is_made_though_the_disk_is_sound_again(
    tmp_path: Path, afterwards: bool
) -> None:
    for nth in range(1, 7):
        path = tmp_path / f"{nth}.db"
        kind = failing(0, afterwards=afterwards, forever=False)
        async with opened(path, connection=kind) as journal:
            await journal.enter(make_entries(1), 1)
            record = await only_record(journal)
            kind.at = kind.asked + nth
            try:
                await journal.intend(record, NOW)
            except JournalFailed:
                await refused_from_now_on(journal)
            else:
                assert kind.asked < kind.at

        async with opened(path) as journal:
            assert (await only_record(journal)).order_id == "1-01"


class Small(sqlite3.Connection):
    """A database that may not grow beyond its first pages."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            super().execute("PRAGMA max_page_count = 20")
        return super().execute(sql, parameters)


async def filled(journal: Journal) -> int:
    """Enter invoices until there is no space for more; return how many were."""
    for entered, entry in enumerate(make_entries(1_000)):
        try:
            await journal.enter([entry], 1)
        except JournalFailed:
            return entered
    pytest.fail("there was space for all")


async def test_a_journal_that_cannot_grow_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path, connection=Small) as journal:
        entered = await filled(journal)
        await refused_from_now_on(journal)

    assert entered > 10
    async with opened(path) as journal:
        assert len(await records_of(journal)) == entered
        await journal.enter(make_entries(1, first=5_000), 1)


async def test_reading_on_after_a_failure_does_not_make_a_journal_look_damaged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    async with opened(path, connection=Small) as journal:
        entered = await filled(journal)
        assert await journal.counts() == {State.PLANNED: entered}
        assert len(await records_of(journal)) == entered

    async with opened(path) as journal:
        assert len(await records_of(journal)) == entered


async def test_what_only_reads_is_done_beside_a_change_that_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db", connection=Small) as journal:
        with pytest.raises(JournalFailed):
            await journal.enter(make_entries(1_000), 1)

        # They are asked for together, and come to the thread in one piece.
        refused, counts, given_back = await asyncio.gather(
            journal.enter(make_entries(1), 1),
            journal.counts(),
            journal.give_back_all(),
            return_exceptions=True,
        )

    assert isinstance(refused, JournalFailed)
    assert (counts, given_back) == (Counter(), None)


async def test_what_was_claimed_as_a_disk_failed_can_be_claimed_when_it_is_opened_again(
    tmp_path: Path,
) -> None:
    kind = failing(0, afterwards=False, forever=False)
    journal = opened(tmp_path / "journal.db", connection=kind)
    async with journal:
        await journal.enter(make_entries(2), 1)
        async with aclosing(journal.claims(State.PLANNED, None, lambda: NOW)) as claims:
            await anext(claims)
        # From now on nothing works, so that nothing can be given back either.
        kind.forever, kind.at = True, kind.asked + 1
        with pytest.raises(JournalFailed):
            await journal.end({}, NOW)
        kind.forever, kind.at = False, 0

    async with journal:
        claimed = [c.order_id async for c in journal.claims(State.PLANNED, None, lambda: NOW)]
        await journal.give_back_all()

    assert claimed == ["1-01", "2-01"]


async def test_a_plan_that_does_not_fit_is_not_entered_at_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path, connection=Small) as journal:
        with pytest.raises(JournalFailed):
            await journal.enter(make_entries(1_000), 1)

    async with opened(path) as journal:
        assert await records_of(journal) == []


ON_A_FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from tests.journals import make_entries, opened
from vtex_invoice_async.errors import JournalFailed

async def main():
    async with opened(Path(sys.argv[1])) as journal:
        limit = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        failures = 0
        for entry in make_entries(2_000):
            try:
                await journal.enter([entry], 1)
            except JournalFailed:
                failures += 1
                if failures == 3:
                    break
            else:
                print("after" if failures else entry.order_id, flush=True)
    print("ended")

asyncio.run(main())
"""


@pytest.mark.parametrize("limit", [75_000, 100_001, 150_000])
async def test_what_was_acknowledged_before_a_disk_was_full_is_there(
    tmp_path: Path, limit: int
) -> None:
    path = tmp_path / "journal.db"

    child = run_child(ON_A_FULL_DISK, path, limit)

    *acknowledged, ended = child.stdout.split()
    assert (ended, child.stderr, child.returncode) == ("ended", "", 0)
    assert 0 < len(acknowledged) < 2_000
    async with opened(path) as journal:
        found = [record.order_id for record in await records_of(journal)]
        assert found[: len(acknowledged)] == acknowledged
        await journal.enter(make_entries(1, first=5_000), 1)


async def test_a_folder_that_cannot_be_made_is_a_failed_journal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(JournalError, match="cannot be used"):
        await opened(tmp_path / "file" / "journal.db").__aenter__()
