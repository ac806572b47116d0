"""A journal in a file: who may read it, what is left in it, and that nothing waits for its disk."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.journals import (
    NOW,
    brought_to,
    content_of,
    is_there,
    make_entries,
    make_entry,
    opened,
    put,
    records_of,
    remove,
)
from vtex_invoice_async import ClientConfig
from vtex_invoice_async.errors import (
    JournalDamaged,
    JournalError,
    JournalTooNew,
)
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import Lock
from vtex_invoice_async.jobs.sqlite import SqliteStore, lock_of
from vtex_invoice_async.outcome import State

WORDS = ("Maria", "Silva", "Rua das Flores", "12345678909")
PERSONAL: dict[str, Any] = {
    "courier": "Maria Silva",
    "invoice_url": "https://x/12345678909/Rua das Flores",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


async def test_only_its_owner_can_read_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "made" / "here" / "journal.db"
    umask = os.umask(0)
    try:
        async with opened(path) as journal:
            await journal.enter(make_entries(3), 1)
            modes = {found.name: mode(found) for found in path.parent.iterdir()}
    finally:
        os.umask(umask)

    names = ("journal.db", "journal.db-shm", "journal.db-wal", "journal.db.lock")
    assert modes == dict.fromkeys(names, 0o600)
    assert mode(path.parent) == 0o700


async def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o755)

    async with opened(folder / "journal.db"):
        assert mode(folder) == 0o755


def linked(path: Path) -> None:
    path.with_name("elsewhere.db").touch(mode=0o600)
    path.symlink_to(path.with_name("elsewhere.db"))


def dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere.db"))


def for_all(path: Path) -> None:
    path.touch()
    path.chmod(0o666)


def for_the_group(path: Path) -> None:
    path.touch()
    path.chmod(0o640)


def of_another(path: Path) -> None:
    path.touch(mode=0o600)
    os.chown(path, 12345, -1)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (linked, "is a link"),
        (dangling, "is a link"),
        (os.mkfifo, "is no plain file"),
        (Path.mkdir, "is no plain file"),
        (for_all, "chmod 600"),
        (for_the_group, "chmod 600"),
        pytest.param(of_another, "not yours", marks=as_root),
    ],
)
async def test_a_file_that_others_may_have_to_do_with_is_refused(
    path: Path, make: Callable[[Path], None], told: str
) -> None:
    make(path)
    before = sorted(path.parent.iterdir())

    for reads_only in (False, True):
        with pytest.raises(JournalError, match=told):
            await SqliteStore(path, reads_only=reads_only).open()

    assert {*path.parent.iterdir()} - {lock_of(path)} == {*before}
    Lock(lock_of(path)).release()


@as_root
async def test_a_folder_of_another_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 12345, -1)

    with pytest.raises(JournalError, match="not yours"):
        await SqliteStore(folder / "journal.db").open()

    assert list(folder.iterdir()) == []


async def test_no_word_of_a_confirmed_invoice_is_left_in_any_file(path: Path) -> None:
    long = "".join(f"{n} Silva " for n in range(2_000))
    entries = [
        make_entry(f"{n}-01", f"NFe{n}", **{**PERSONAL, "tracking_url": long[: n * 700]})
        for n in range(20)
    ]
    async with opened(path) as journal:
        await journal.enter(entries, 1)
        assert all(word.encode() in all_bytes(path.parent) for word in WORDS)
        for record in await records_of(journal):
            await brought_to(journal, record, State.CONFIRMED)

    left = all_bytes(path.parent)
    assert b"NFe19" in left
    assert [word for word in WORDS if word.encode() in left] == []


async def test_no_word_of_a_body_that_was_replaced_is_left_in_any_file(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter([make_entry(**PERSONAL)], 1)
        await journal.enter([make_entry(courier="x")], 2)

    left = all_bytes(path.parent)
    assert [word for word in WORDS if word.encode() in left] == []


def changed(path: Path, *statements: str) -> None:
    """Do to a closed journal what another program does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_a_journal_of_a_later_version_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    changed(path, "PRAGMA user_version = 3")

    for journal in (opened(path), Journal.read(path)):
        with pytest.raises(JournalTooNew, match=r"schema is 3\); use that one"):
            await journal.__aenter__()


async def test_another_programs_database_is_refused_and_left_as_it_was(path: Path) -> None:
    put(path, b"")
    changed(path, "CREATE TABLE invoice (body)", "INSERT INTO invoice VALUES ('theirs')")
    before = content_of(path)

    for journal in (opened(path), Journal.read(path)):
        with pytest.raises(JournalDamaged, match="not a journal"):
            await journal.__aenter__()

    assert content_of(path) == before


@pytest.mark.parametrize("content", [b"orderId,invoiceNumber\n1,2\n", bytes(8192), b"\xff" * 4096])
async def test_what_is_no_database_is_refused_and_left_as_it_was(
    path: Path, content: bytes
) -> None:
    put(path, content)

    for journal in (opened(path), Journal.read(path)):
        with pytest.raises(JournalDamaged):
            await journal.__aenter__()

    assert content_of(path) == content


async def test_there_is_nothing_to_read_where_there_is_no_journal(path: Path) -> None:
    with pytest.raises(JournalError, match="there is no journal"):
        await Journal.read(path).__aenter__()

    assert list(path.parent.iterdir()) == []


async def test_a_journal_is_read_beside_a_run(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter(make_entries(3), 1)
        async with Journal.read(path) as beside:
            before = await records_of(beside)
            confirmed = await brought_to(journal, before[0], State.CONFIRMED)
            after = await records_of(beside)
            header = beside.header

    assert [record.state for record in before] == [State.PLANNED] * 3
    assert after[0] == confirmed
    assert header == journal.header


async def test_a_reader_that_stays_keeps_no_erased_word_in_the_log(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter([make_entry(**PERSONAL)], 1)
        async with Journal.read(path) as beside:
            (record,) = await records_of(beside)
            await brought_to(journal, record, State.CONFIRMED)
            await journal.__aexit__(None, None, None)
            left = all_bytes(path.parent)

    assert [word for word in WORDS if word.encode() in left] == []


async def test_what_only_reads_cannot_change_anything(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter(make_entries(1), 1)
    async with Journal.read(path) as journal:
        (record,) = await records_of(journal)
        with pytest.raises(JournalError):
            await journal.intend(record, NOW)

    async with opened(path) as journal:
        assert await records_of(journal) == [record]


async def test_a_journal_that_is_gone_is_not_begun_anew(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter(make_entries(1), 1)
    remove(path)

    for _ in range(2):
        with pytest.raises(JournalDamaged, match=r"is gone.*remove .*journal\.db\.lock too"):
            await opened(path).__aenter__()
    assert not is_there(path)

    remove(lock_of(path))
    async with opened(path) as journal:
        assert await records_of(journal) == []


async def test_an_older_copy_of_a_journal_is_refused(path: Path) -> None:
    async with opened(path) as journal:
        await journal.enter(make_entries(1), 1)
    older = content_of(path)
    async with opened(path) as journal:
        await journal.intend((await records_of(journal))[0], NOW)
    put(path, older)

    with pytest.raises(JournalDamaged, match="lost its last 1 changes"):
        await opened(path).__aenter__()


async def test_a_relative_path_stays_the_same_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    journal = opened(Path("journal.db"))
    monkeypatch.chdir("/")

    async with journal:
        assert is_there(path)
    assert journal.name == str(path)


async def test_a_journal_is_opened_for_the_client_of_a_config(path: Path) -> None:
    config = ClientConfig(
        account="acme", app_key="K", app_token="T", base_url="https://acme.example"
    )

    async with Journal.open(path, config) as journal:
        assert repr(journal) == f"<Journal {path}>"
    async with opened(path) as journal:
        journal.check_client(config)
