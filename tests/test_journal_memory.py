"""The store in memory fails as a machine does: what was not synced is lost, and a refusal is final."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from tests.journals import (
    HEADER,
    NOW,
    brought_to,
    make_entries,
    make_entry,
    only_record,
    records_of,
)
from vtex_invoice_async.errors import JournalError, JournalFailed
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.memory import Content, MemoryStore
from vtex_invoice_async.outcome import State


class Disk:
    """Syncs when it is told to, one sync after another or in any order."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []

    async def sync(self) -> None:
        self.waiting.append(asyncio.get_running_loop().create_future())
        await self.waiting[-1]

    async def asked(self, count: int) -> None:
        """Return once so many syncs have been asked for."""
        async with asyncio.timeout(5):
            while len(self.waiting) < count:  # noqa: ASYNC110  a turn of the loop is all it takes
                await asyncio.sleep(0)


def full_at(nth: int) -> Callable[[], Any]:
    """A sync for which there is no space the *nth* time, and plenty before and after."""
    asked = 0

    async def sync() -> None:
        nonlocal asked
        asked += 1
        if asked == nth:
            raise OSError(errno.ENOSPC, "No space left on device")

    return sync


async def after_crash(store: MemoryStore) -> Journal:
    return await Journal(MemoryStore(store.synced), HEADER).__aenter__()


async def test_what_was_synced_is_there_after_a_crash() -> None:
    store = MemoryStore()
    async with Journal(store, HEADER) as journal:
        await journal.enter(make_entries(3), 1)
        before = await records_of(journal)

    assert await records_of(await after_crash(store)) == before


async def test_what_was_not_synced_is_lost_in_a_crash() -> None:
    disk = Disk()
    store = MemoryStore(Content(header=HEADER), sync=disk.sync)
    async with Journal(store, HEADER) as journal:
        entering = asyncio.create_task(journal.enter([make_entry()], 1))
        await disk.asked(1)

        assert not entering.done()
        assert await records_of(await after_crash(store)) == []

        disk.waiting[0].set_result(None)
        await entering
        assert len(await records_of(await after_crash(store))) == 1


async def test_an_intent_is_not_told_before_it_is_synced() -> None:
    disk = Disk()
    store = MemoryStore(Content(header=HEADER), sync=disk.sync)
    journal = Journal(store, HEADER)
    entering = asyncio.create_task(journal.enter([make_entry()], 1))
    await disk.asked(1)
    disk.waiting[0].set_result(None)
    await entering

    intending = journal.intend(await only_record(journal), NOW)
    await disk.asked(2)

    assert not intending.done()
    assert (await only_record(await after_crash(store))).state is State.PLANNED
    disk.waiting[1].set_result(None)
    intent = await intending
    assert await only_record(await after_crash(store)) == intent


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_what_was_acknowledged_survives_in_whichever_order_syncs_end(
    order: tuple[int, ...],
) -> None:
    disk = Disk()
    store = MemoryStore(Content(header=HEADER), sync=disk.sync)
    journal = Journal(store, HEADER)
    changes = [
        asyncio.create_task(journal.enter(make_entries(1), 1)),
        asyncio.create_task(journal.begin("send", {}, NOW)),
        asyncio.create_task(journal.enter(make_entries(1, first=2), 1)),
    ]
    await disk.asked(3)

    for nth in order:
        disk.waiting[nth].set_result(None)
        await changes[nth]
        left = await after_crash(store)
        places = {record.seq for record in await records_of(left)}
        runs = {run.id for run in await left.runs(9)}
        assert not changes[0].done() or 1 in places
        assert not changes[1].done() or 1 in runs
        assert not changes[2].done() or 2 in places


async def test_a_sync_that_fails_is_told_and_nothing_is_written_from_then_on() -> None:
    store = MemoryStore(Content(header=HEADER), sync=full_at(2))
    journal = Journal(store, HEADER)
    await journal.enter(make_entries(2), 1)
    first, second = await records_of(journal)

    with pytest.raises(JournalFailed, match="No space left on device"):
        await journal.intend(first, NOW)
    for _ in range(3):
        with pytest.raises(JournalFailed, match="could not be synced before"):
            await journal.intend(second, NOW)
        with pytest.raises(JournalFailed):
            await journal.begin("send", {}, NOW)

    assert await records_of(journal) == [first, second]
    assert await records_of(await after_crash(store)) == [first, second]


async def test_after_a_crash_a_sound_disk_is_written_to_again() -> None:
    store = MemoryStore(Content(header=HEADER), sync=full_at(1))
    with pytest.raises(JournalFailed):
        await Journal(store, HEADER).enter([make_entry()], 1)

    again = await after_crash(store)
    await again.enter([make_entry()], 1)

    record = await brought_to(again, await only_record(again), State.CONFIRMED)
    assert await only_record(again) == record


async def test_a_change_that_is_refused_is_not_synced() -> None:
    store = MemoryStore(Content(header=HEADER), sync=full_at(2))
    journal = Journal(store, HEADER)
    await journal.enter([make_entry()], 1)
    record = await only_record(journal)

    with pytest.raises(JournalError, match="not to be confirmed"):
        await journal.settle(record, State.CONFIRMED)

    assert await only_record(journal) == record
