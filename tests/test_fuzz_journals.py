"""A journal whose files were harmed is refused, or says what it said: no invoice is altered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen
from hypothesis import strategies as st

from tests.fuzzing import Harm, fuzzed, harms
from tests.journals import (
    HEADER,
    NOW,
    Seen,
    content_of,
    found_at,
    is_there,
    made,
    make_entries,
    opened,
    put,
    records_of,
    remove,
    seen_in,
)
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs.job import COLUMNS
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import read_holder
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.outcome import State

NAME: Final = "journal.db"
FILES: Final = ("", "-wal", ".lock")
EVERY: Final = (*FILES, "-shm", "-journal")
PAGE: Final = 4096


@frozen
class Kept:
    """The files of a journal, by what their names end with, and all that it tells."""

    files: Mapping[str, bytes]
    seen: Seen


def put_back(folder: Path, files: Mapping[str, bytes]) -> Path:
    for ending in EVERY:
        path = folder / f"{NAME}{ending}"
        if is_there(path):
            remove(path)
        if ending in files:
            put(path, files[ending])
    return folder / NAME


def kept_of(path: Path) -> dict[str, bytes]:
    paths = {ending: path.with_name(f"{NAME}{ending}") for ending in FILES}
    return {ending: content_of(found) for ending, found in paths.items() if is_there(found)}


async def left_open(path: Path) -> dict[str, bytes]:
    """Return the files of a journal of which all is still in its log."""
    async with opened(path) as journal:
        await journal.enter(make_entries(10), await journal.begin("send", {}, NOW))
        for record in await records_of(journal):
            intent = await journal.intend(record, NOW)
            await journal.settle(intent, State.REJECTED, message="no", status=400)
        return kept_of(path)


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> list[Kept]:
    """A journal that was closed, and one whose process has vanished."""
    first, second, third = (tmp_path_factory.mktemp("journal") / NAME for _ in range(3))
    seen = asyncio.run(made(first, 30))
    files = asyncio.run(left_open(second))
    again = asyncio.run(found_at(put_back(third.parent, files), ()))
    assert again is not None
    assert len(again.records) == 10
    return [Kept(kept_of(first), seen), Kept(files, again)]


async def read_at(path: Path) -> Seen | JournalError:
    """Return all that a journal tells to who only reads, or why it is refused."""
    store = SqliteStore(path, reads_only=True)
    try:
        async with Journal(store, None) as journal:
            await journal.runs(9)
            return await seen_in(store)
    except JournalError as refused:
        return refused


flips = st.builds(
    Harm,
    what=st.just("flip"),
    at=st.integers(0, 1000),
    length=st.integers(0, 7),
    junk=st.just(b""),
)
pages = st.builds(
    Harm,
    what=st.sampled_from(["overwrite", "remove", "insert", "append", "flip", "cut"]),
    at=st.integers(0, 1000),
    length=st.integers(0, 300),
    junk=st.sampled_from([bytes(PAGE), b"\xff" * PAGE, b"\r" + bytes(PAGE - 1), b"\x05" * 64]),
)


@fuzzed(
    40,
    which=st.integers(0, 1),
    ending=st.sampled_from(["", "", "-wal", ".lock"]),
    done=st.lists(flips, min_size=1, max_size=1) | st.lists(harms | pages, min_size=1, max_size=3),
)
def test_a_harmed_journal_is_refused_or_says_what_it_said(
    journals: list[Kept], tmp_path: Path, which: int, ending: str, done: list[Harm]
) -> None:
    kept = journals[which]
    content = kept.files.get(ending, b"")
    for harm in done:
        content = harm(content)
    files = {**kept.files, ending: content}

    read = asyncio.run(read_at(put_back(tmp_path, files)))
    seen = asyncio.run(found_at(put_back(tmp_path, files), kept.seen.records if which == 0 else ()))

    assert seen is None or seen == kept.seen
    if isinstance(read, JournalError):
        assert str(read).isprintable()
    else:
        assert read.header == HEADER
        check_read(read, kept.seen)


def check_read(read: Seen, kept: Seen) -> None:
    """A reader sees what there was at some time; of no invoice it sees other contents."""
    invoices = {record.seq: record for record in kept.records}
    for record in read.records:
        known = invoices[record.seq]
        state = {"change", "state", "attempts", "since", "status", "message", "body"}
        same = [name for name in COLUMNS if name not in state]
        assert [getattr(record, name) for name in same] == [getattr(known, name) for name in same]
        assert record.body in (None, known.body)


def database_of(statements: str, path: Path) -> bytes:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(statements)
    return content_of(path)


STRANGERS: Final = {
    "nothing": "",
    "another program's": "CREATE TABLE header (x); INSERT INTO header VALUES (1);",
    "a journal's name": "PRAGMA application_id = 1447643697; CREATE TABLE invoice (x);",
    "no tables": "PRAGMA application_id = 1447643697; PRAGMA user_version = 1; VACUUM;",
    "later": "PRAGMA application_id = 1447643697; PRAGMA user_version = 9; CREATE TABLE x (x);",
    "other columns": "PRAGMA application_id = 1447643697; PRAGMA user_version = 1;"
    "CREATE TABLE header (a, b); INSERT INTO header VALUES (1, x'00'); CREATE TABLE run (id);"
    "CREATE TABLE invoice (seq, state, run, order_id); INSERT INTO invoice VALUES (1, 'x', 1, 2);",
    "bytes": "PRAGMA application_id = 1447643697; PRAGMA user_version = 1;"
    "CREATE TABLE header (a, b, c, d); INSERT INTO header VALUES (x'00', 1, 2, x'00');"
    "CREATE TABLE run (id); CREATE TABLE invoice (seq);",
    "views": "PRAGMA application_id = 1447643697; PRAGMA user_version = 1;"
    "CREATE VIEW header AS SELECT 'a', 'b', 'c', x'00'; CREATE VIEW run AS SELECT 1;"
    "CREATE VIEW invoice AS SELECT 1 AS seq;",
}


@pytest.mark.parametrize("statements", STRANGERS.values(), ids=STRANGERS)
def test_another_database_in_its_place_is_refused(
    journals: list[Kept], tmp_path: Path, statements: str
) -> None:
    other = database_of(statements, tmp_path / "other.db")
    files = {**journals[0].files, "": other}

    assert isinstance(asyncio.run(read_at(put_back(tmp_path, files))), JournalError)
    assert asyncio.run(found_at(put_back(tmp_path, files), ())) is None


@fuzzed(10, content=st.binary(max_size=200), ending=st.sampled_from(["", "-wal"]))
def test_any_bytes_in_place_of_a_file_change_nothing_or_are_refused(
    journals: list[Kept], tmp_path: Path, content: bytes, ending: str
) -> None:
    files = {**journals[1].files, ending: content}

    read = asyncio.run(read_at(put_back(tmp_path, files)))
    seen = asyncio.run(found_at(put_back(tmp_path, files), ()))

    # What is all in the log needs no other file.
    assert seen in (None, journals[1].seen)
    assert isinstance(read, JournalError) or read == journals[1].seen


@fuzzed(
    10, content=st.binary(max_size=60), digits=st.sampled_from([b"", b"0" * 20 + b"\n", b"9" * 20])
)
def test_any_lock_leaves_the_journal_as_it_is_or_is_refused(
    journals: list[Kept], tmp_path: Path, content: bytes, digits: bytes
) -> None:
    path = put_back(tmp_path, {**journals[0].files, ".lock": digits + content})

    seen = asyncio.run(found_at(path, journals[0].seen.records))

    assert seen in (None, journals[0].seen)
    assert read_holder(path.with_name(f"{NAME}.lock")) is None
