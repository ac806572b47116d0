"""A journal that is not what was written is found out when it is opened, and never gone on from."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from tests.journals import (
    Seen,
    content_of,
    found_at,
    made,
    make_entries,
    make_entry,
    opened,
    put,
    records_of,
    remove,
    run_child,
)
from vtex_invoice_async.errors import JournalDamaged, JournalError
from vtex_invoice_async.jobs.job import COLUMNS
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.sqlite import lock_of
from vtex_invoice_async.outcome import State


def flip(file: int, offset: int, bits: int) -> None:
    (byte,) = os.pread(file, 1, offset)
    os.pwrite(file, bytes([byte ^ bits]), offset)


async def flipped(path: Path, offsets: Iterable[int], asked: Seen) -> AsyncIterator[Seen | None]:
    """Yield what a journal tells with one byte of its file altered, and then another."""
    content = content_of(path)
    mark = content_of(lock_of(path))
    for offset in offsets:
        changed = bytearray(content)
        changed[offset] ^= 1 << offset % 8
        put(path, bytes(changed))
        yield await found_at(path, asked.records)
        put(lock_of(path), mark)


async def check_flips(path: Path, every: int) -> None:
    before = await made(path, 50)
    offsets = range(0, len(content_of(path)), every)
    refused = 0

    async for seen in flipped(path, offsets, before):
        refused += seen is None
        assert seen is None or seen == before

    assert refused > len(offsets) / 4


async def test_an_altered_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    # A prime number: each column of a row is met in one row or another.
    await check_flips(tmp_path / "journal.db", every=61)


@pytest.mark.campaign
async def test_whichever_byte_is_altered_that_is_found_or_changes_nothing(tmp_path: Path) -> None:
    await check_flips(tmp_path / "journal.db", every=1)


def altered(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount == 1


@pytest.mark.parametrize("column", [*COLUMNS, "digest"])
async def test_a_row_with_another_value_is_damage(tmp_path: Path, column: str) -> None:
    path = tmp_path / "journal.db"
    before = await made(path, 3)
    value = getattr(before.records[1], column, b"digest")
    other = {int: "99", bool: "1", bytes: "x'00'"}.get(type(value), "'other'")
    if column == "line" or (value is None and column == "status"):
        other = "99"
    altered(path, f"UPDATE invoice SET {column} = {other} WHERE seq = 2")

    with pytest.raises(JournalDamaged):
        await opened(path).__aenter__()


async def test_who_only_reads_is_told_of_a_state_that_there_is_not(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await made(path, 3)
    altered(path, "UPDATE invoice SET state = 'plannee' WHERE seq = 2")

    async with Journal.read(path) as journal:
        with pytest.raises(JournalDamaged, match="state of a row"):
            await journal.counts()


async def test_who_only_reads_is_told_of_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await made(path, 1)
    put(path, content_of(path).replace(b"account TEXT", b"acc\xefunt TEXT"))

    with pytest.raises(JournalDamaged):
        await Journal.read(path).__aenter__()


@pytest.mark.parametrize("value", ["x'00'", "'other'"])
async def test_who_only_reads_is_told_of_a_header_that_was_altered(
    tmp_path: Path, value: str
) -> None:
    path = tmp_path / "journal.db"
    await made(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            f"ALTER TABLE header RENAME TO kept; CREATE TABLE header AS SELECT {value} AS account,"
            "origin, family, digest FROM kept"
        )

    with pytest.raises(JournalDamaged, match="the header of the journal is not what was written"):
        await Journal.read(path).__aenter__()


@pytest.mark.parametrize("read", [opened, Journal.read])
async def test_what_is_quoted_of_a_damaged_journal_prints_in_one_line(
    tmp_path: Path, read: Callable[[Path], Journal]
) -> None:
    path = tmp_path / "journal.db"
    await made(path, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = 'CREATE\x05' WHERE name = 'run'")

    with pytest.raises(JournalDamaged) as caught:
        await read(path).__aenter__()

    assert str(caught.value).isprintable()


@pytest.mark.parametrize("column", ["body", "line", "since"])
async def test_a_row_that_lost_a_value_is_damage(tmp_path: Path, column: str) -> None:
    path = tmp_path / "journal.db"
    await made(path, 4)
    altered(path, f"UPDATE invoice SET {column} = NULL WHERE seq = 2")

    with pytest.raises(JournalDamaged, match=r"row 2 of the journal is not what was written"):
        await opened(path).__aenter__()


@pytest.mark.parametrize("seq", [1, 2, 3])
async def test_a_row_that_is_gone_is_damage(tmp_path: Path, seq: int) -> None:
    path = tmp_path / "journal.db"
    await made(path, 3)
    altered(path, f"DELETE FROM invoice WHERE seq = {seq}")

    with pytest.raises(JournalDamaged):
        await opened(path).__aenter__()


async def test_two_rows_that_changed_bodies_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        await journal.enter(make_entries(1), 1)
        await journal.enter([make_entry("2-01", courier="x")], 1)
    altered(
        path, "UPDATE invoice SET body = (SELECT body FROM invoice WHERE seq = 1) WHERE seq = 2"
    )

    with pytest.raises(JournalDamaged, match="row 2"):
        await opened(path).__aenter__()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE header SET account = 'other'",
        "UPDATE run SET options = '{'",
        "UPDATE run SET started_at = '1999-01-01T00:00:00+00:00'",
        "UPDATE run SET id = 7",
    ],
)
async def test_an_altered_header_or_run_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "journal.db"
    await made(path, 2)
    altered(path, change)

    with pytest.raises(JournalError):
        await opened(path).__aenter__()


async def test_a_file_that_was_cut_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    before = await made(path, 50)
    content, mark = content_of(path), content_of(lock_of(path))

    for size in [0, 1, 99, 100, *range(512, len(content), 1024), len(content) - 1]:
        put(path, content[:size])
        assert await found_at(path, before.records) in (None, before), f"opened at {size} bytes"
        put(lock_of(path), mark)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.journals import NOW, make_entries, opened, records_of

async def main():
    journal = await opened(Path(sys.argv[1])).__aenter__()
    await journal.enter(make_entries(10), await journal.begin("send", {}, NOW))
    for record in await records_of(journal):
        await journal.intend(record, NOW)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a process left that was killed when it had told of ten attempts."""
    folder = tmp_path_factory.mktemp("killed")
    assert run_child(KILLED, folder / "journal.db").returncode == -9
    return folder


def copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return to / "journal.db"


def log_of(path: Path) -> Path:
    return path.with_name("journal.db-wal")


async def test_what_was_told_before_a_process_was_killed_is_there(
    killed: Path, tmp_path: Path
) -> None:
    path = copied(killed, tmp_path)

    async with opened(path) as journal:
        records = await records_of(journal)
        assert {(r.state, r.since, r.attempts) for r in records} == {(State.IN_DOUBT, None, 1)}
        assert [run.id for run in await journal.runs(9)] == [1]
    assert len(records) == 10


async def test_a_log_that_is_gone_is_damage(killed: Path, tmp_path: Path) -> None:
    path = copied(killed, tmp_path)
    remove(log_of(path))

    with pytest.raises(JournalDamaged):
        await opened(path).__aenter__()


async def test_wherever_a_log_is_cut_that_is_damage(killed: Path, tmp_path: Path) -> None:
    whole = content_of(killed / "journal.db-wal")

    for size in [0, 31, 32, *range(100, len(whole), len(whole) // 60), len(whole) - 1]:
        path = copied(killed, tmp_path)
        put(log_of(path), whole[:size])
        with pytest.raises(JournalDamaged):
            await opened(path).__aenter__()


async def test_an_altered_bit_of_a_log_is_found_or_changes_nothing(
    killed: Path, tmp_path: Path
) -> None:
    whole = content_of(killed / "journal.db-wal")
    before = await found_at(copied(killed, tmp_path), ())
    assert before is not None

    for offset in [*range(0, 32, 3), *range(32, len(whole), len(whole) // 120)]:
        path = copied(killed, tmp_path)
        with log_of(path).open("r+b") as file:
            flip(file.fileno(), offset, 1 << offset % 8)
        assert await found_at(path, ()) in (None, before)


KILLED_ANYWHERE = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from tests.journals import NOW, make_entries, opened, records_of

class Killing(sqlite3.Connection):
    left = 0

    def execute(self, sql, parameters=(), /):
        done = None if Killing.afterwards == 0 else super().execute(sql, parameters)
        Killing.left -= 1
        if Killing.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(sql, parameters) if done is None else done

async def work(path, told):
    def tell(record):
        os.write(told, b"%d %d\\n" % (record.seq, record.change))

    async with opened(path, connection=Killing) as journal:
        await journal.enter(make_entries(2), await journal.begin("send", {}, NOW))
        for record in await records_of(journal):
            tell(record)
            tell(await journal.intend(record, NOW))

folder = Path(sys.argv[1])
Killing.afterwards = int(sys.argv[2])
for at in range(1, 150):
    told = os.open(folder / f"{at}.told", os.O_WRONLY | os.O_CREAT)
    child = os.fork()
    if child == 0:
        Killing.left = at
        asyncio.run(work(folder / f"{at}.db", told))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    os.close(told)
    if not os.WIFSIGNALED(status):
        break
print(at)
"""


def told_in(path: Path) -> list[tuple[int, int]]:
    lines = [line.split() for line in content_of(path.with_suffix(".told")).splitlines()]
    return [(int(seq), int(change)) for seq, change in lines]


@pytest.mark.parametrize("afterwards", [0, 1])
async def test_wherever_a_process_is_killed_its_journal_opens_with_what_was_told(
    tmp_path: Path, afterwards: int
) -> None:
    child = run_child(KILLED_ANYWHERE, tmp_path, afterwards)

    assert child.stderr == ""
    times = int(child.stdout)
    assert 30 < times < 149
    for at in range(1, times + 1):
        path = tmp_path / f"{at}.db"
        told = told_in(path)
        async with opened(path) as journal:
            kept = {record.seq: record.change for record in await records_of(journal)}
            assert [pair for pair in told if kept.get(pair[0], 0) < pair[1]] == []
            await journal.enter(make_entries(3), 2)
