"""A journal in one SQLite file, which its owner alone can read and one process at a time change.

A change is on disk when it is told to be (WAL, `synchronous=FULL`).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from vtex_invoice_async.errors import (
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalTooNew,
    printable,
)
from vtex_invoice_async.jobs.header import Header, compare
from vtex_invoice_async.jobs.job import Changes, Record
from vtex_invoice_async.jobs.lock import Lock
from vtex_invoice_async.jobs.sql import ADDED, SCHEMA, SqliteTable
from vtex_invoice_async.jobs.store import Lease, Table, moved
from vtex_invoice_async.jobs.writer import Writer

__all__ = ["VERSION", "SqliteStore", "lock_of"]

T = TypeVar("T")

APPLICATION: Final = 0x56494A31
"""Tells a journal from another program's database."""

VERSION: Final = 2
"""Of the schema."""

PRAGMAS: Final = {
    "synchronous": "FULL",
    # Where a plain sync leaves it to the drive's cache, as on macOS.
    "fullfsync": "ON",
    "checkpoint_fullfsync": "ON",
    # What is erased is written over.
    "secure_delete": "ON",
    # More makes a million rows no faster.
    "cache_size": "-8192",
}


def lock_of(path: Path) -> Path:
    """Return where the lock of a journal is."""
    return path.with_name(f"{path.name}.lock")


class SqliteStore:
    """Keeps records in a file, in a folder of its owner's.

    For changes it holds the lock of the file; one that *reads_only* needs none, and works beside a
    run. One that holds the invoices of others than *owner* is refused before it is touched.
    *connection* is the class of the connection.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        reads_only: bool = False,
        owner: Header | None = None,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100  `resolve` would follow a link
        self._reads_only = reads_only
        self._owner = owner
        self._kind = connection
        self._writer: Writer | None = None

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    async def open(self) -> None:
        """Open the file, make it where there is none, and check all of it."""
        if self._writer is not None and not self._writer.is_over:
            raise JournalError(f"{self.name} is open already")
        self._writer = Writer(self._make, self.name)
        await self._writer.opened()

    async def aclose(self) -> None:
        """Write what is left to be written, and let go of the file."""
        if self._writer is not None:
            await self._writer.aclose()

    async def change(self, work: Callable[[Table], T]) -> T:
        """Do *work* and sync it, with what else is waiting to be synced."""
        return await self._changing().ask(work, changes=True)

    def move(
        self, record: Record, changes: Changes, lease: Lease | None = None
    ) -> asyncio.Future[Record]:
        """Change a record and sync it, with what else is waiting to be synced."""
        return self._changing().move(partial(moved, record, changes, lease))

    async def read(self, work: Callable[[Table], T]) -> T:
        """Do *work*, after what was asked for before."""
        return await self._writing().ask(work, changes=False)

    def soon(self, work: Callable[[Table], None]) -> None:
        """Do *work* before what is asked for next."""
        self._writing().soon(work)

    def note(self, work: Callable[[Table], None]) -> None:
        """Do *work* with the next change, whose sync is its own."""
        self._changing().note(work)

    def _changing(self) -> Writer:
        if self._reads_only:
            raise JournalError(f"{self.name} was opened for reading; use `Journal.open`")
        return self._writing()

    def _writing(self) -> Writer:
        if self._writer is None:
            raise JournalError(f"{self.name} is not open")
        return self._writer

    def _make(self) -> _File:
        return _File(self._path, reads_only=self._reads_only, owner=self._owner, kind=self._kind)


class _File:
    """The file, open and sound."""

    connection: sqlite3.Connection

    def __init__(
        self,
        path: Path,
        *,
        reads_only: bool,
        owner: Header | None,
        kind: type[sqlite3.Connection],
    ) -> None:
        self._path = path
        self._reads_only = reads_only
        self._lock: Lock | None = None
        try:
            if not reads_only:
                _make_folder(path.parent)
                self._lock = Lock(lock_of(path))
            if not os.path.lexists(path):
                self._make_file()
            elif self._lock is not None and self._lock.mark and not path.stat().st_size:
                # SQLite would remove its log, and with it what can be restored from.
                raise JournalDamaged(f"{path} is empty, though it held what was sent; restore it")
            _check_file(path)
            self.connection = sqlite3.connect(path, timeout=10, isolation_level=None, factory=kind)
            # What is no database is told first.
            self._number("schema_version")
            _check_mode(path)
            self._prepare()
            version = self._number("user_version")
            self.table = SqliteTable(self.connection, keeps_samples=version > 1)
            if not reads_only:
                self._check_all()
                # A slip in an account's name must not make it unreadable for an earlier version.
                if owner is not None and (found := self.table.header()) is not None:
                    compare(found, owner)
                self._migrate(version)
        except BaseException as error:  # noqa: BLE001  it is raised, as what it means
            self.close()
            raise self.translated(error) from None

    def committed(self) -> None:
        """Keep how far it came where it is found when the file has lost its tail."""
        if self._lock is not None and self.table.last_change > self._lock.mark:
            self._lock.promise(self.table.last_change)

    def close(self) -> None:
        """Let go of it, with nothing left in its log of what was erased."""
        try:
            # It may not be open yet, and what it says of itself may not be text.
            with suppress(sqlite3.Error, AttributeError, UnicodeDecodeError):
                if not self._reads_only:
                    self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(sqlite3.Error, AttributeError):
                self.connection.close()
        finally:
            with suppress(OSError):
                if self._lock is not None:
                    self._lock.release()

    def translated(self, error: BaseException) -> JournalError:
        """Return what *error*, of SQLite or of the system, means."""
        # What is damaged may be quoted.
        told = printable(str(error), 300)
        match error:
            case JournalError():
                return error
            case sqlite3.OperationalError() if "decode" not in told:
                return self._failed(told)
            case sqlite3.ProgrammingError():
                return self._failed(told)
            case sqlite3.DatabaseError() if "not a database" in told:
                return JournalDamaged(f"{self._path} is not a journal: name another file")
            case sqlite3.DatabaseError() | UnicodeDecodeError():
                return JournalDamaged(f"{self._path} is damaged: {told}; restore it")
            case OSError():
                return self._failed(error.strerror or type(error).__name__)
            case _:
                return self._failed(type(error).__name__)

    def _failed(self, told: str) -> JournalFailed:
        return JournalFailed(f"{self._path} cannot be used: {told}; check its folder and its disk")

    def _make_file(self) -> None:
        if self._reads_only:
            raise JournalError(f"there is no journal {self._path}; `send` makes one")
        if self._lock is not None and self._lock.mark:
            raise JournalDamaged(
                f"{self._path} is gone, though it held what was sent; restore it. To begin without "
                f"what it knew, remove {lock_of(self._path)} too"
            )
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(self._path, flags, 0o600))
        _sync(self._path.parent)

    def _prepare(self) -> None:
        if self._reads_only:
            self.connection.execute("PRAGMA query_only = ON")
        elif self._number("schema_version") == 0:
            # Also where a process ended before it had done so.
            self._make_schema()
        if self._number("application_id") != APPLICATION:
            raise JournalDamaged(f"{self._path} is not a journal: name another file")
        version = self._number("user_version")
        if version < 1:
            raise JournalDamaged(f"{self._path} does not say of which version it is; restore it")
        if version > VERSION:
            told = f"{self._path} was written by a later version (its schema is {version})"
            raise JournalTooNew(f"{told}; use that one")
        for pragma, value in PRAGMAS.items():
            self.connection.execute(f"PRAGMA {pragma} = {value}")

    def _make_schema(self) -> None:
        execute = self.connection.execute
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            told = "its folder, as a network's, does not allow what SQLite needs; put it elsewhere"
            raise JournalError(f"{self._path} cannot be a journal: {told}")
        execute("BEGIN IMMEDIATE")
        for statement in (SCHEMA + "".join(ADDED.values())).split(";\n"):
            execute(statement)
        execute(f"PRAGMA application_id = {APPLICATION}")
        execute(f"PRAGMA user_version = {VERSION}")
        execute("COMMIT")

    def _migrate(self, version: int) -> None:
        """Make what an earlier version wrote into what this one writes; all of it or nothing."""
        if version == VERSION:
            return
        self.connection.execute("BEGIN IMMEDIATE")
        for added in range(version + 1, VERSION + 1):
            self.connection.execute(ADDED[added])
        self.connection.execute(f"PRAGMA user_version = {VERSION}")
        self.connection.execute("COMMIT")
        self.table.keeps_samples = True

    def _number(self, pragma: str) -> int:
        (found,) = self.connection.execute(f"PRAGMA {pragma}").fetchone()
        return int(found)

    def _check_all(self) -> None:
        # Not the quick one: an index that has lost a row would let its invoice in a second time.
        (told,) = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
        if told != "ok":
            raise JournalDamaged(f"{self._path} is damaged: {printable(told, 300)}; restore it")
        self.table.verify()
        if self._lock is not None and self.table.last_change < self._lock.mark:
            lost = self._lock.mark - self.table.last_change
            raise JournalDamaged(
                f"{self._path} has lost its last {lost:,} changes; restore it, with its -wal file"
            )


def _make_folder(folder: Path) -> None:
    missing = [found for found in (folder, *folder.parents) if not found.exists()]
    for found in reversed(missing):
        found.mkdir(mode=0o700, exist_ok=True)
        _sync(found.parent)
    if folder.stat().st_uid != os.geteuid():
        raise JournalError(f"{folder} is not yours: give a journal in a folder that is")


def _check_file(path: Path) -> None:
    # It is not opened for this: closing it would let go of the locks that SQLite may hold on it.
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        kind = "is a link" if stat.S_ISLNK(found.st_mode) else "is no plain file"
        raise JournalError(f"{path} {kind}: name the journal itself")
    if found.st_uid != os.geteuid():
        raise JournalError(f"{path} is not yours: run as its owner, or name another journal")


def _check_mode(path: Path) -> None:
    if path.stat().st_mode & 0o077:
        raise JournalError(f"{path} is open to others, and may name people: chmod 600 it")


def _sync(folder: Path) -> None:
    """Have what was made in *folder* outlast a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
