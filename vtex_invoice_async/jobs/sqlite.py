"""A journal in one SQLite file: one thread writes, and one sync serves all who wait for one.

A change is told to be done when SQLite has synced it (WAL, `synchronous=FULL`). The first time that
the disk refuses, nothing more is written: what a later sync says could not be trusted.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Generic, TypeVar

from attrs import define, field

from vtex_invoice_async.errors import (
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalTooNew,
)
from vtex_invoice_async.jobs.lock import Lock
from vtex_invoice_async.jobs.sql import SCHEMA, SqliteTable
from vtex_invoice_async.jobs.store import Table

__all__ = ["SqliteStore", "lock_of"]

T = TypeVar("T")

APPLICATION: Final = 0x56494A31
"""Tells a journal from another program's database."""

VERSION: Final = 1
"""Of the schema."""

MOST_AT_ONCE: Final = 512
"""Changes that share a transaction at most."""


def lock_of(path: Path) -> Path:
    """Return where the lock of a journal is."""
    return path.with_name(f"{path.name}.lock")


@define(eq=False)
class _Task(Generic[T]):
    work: Callable[[Table], T]
    changes: bool
    done: asyncio.Future[T] = field(factory=lambda: asyncio.get_running_loop().create_future())
    result: T | None = None
    error: BaseException | None = None

    def tell(self) -> None:
        if self.done.done():
            return  # nobody waits for it any more
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)  # type: ignore[arg-type]  # of work's type by now


class SqliteStore:
    """Keeps records in a file that only its owner can read, in a folder of theirs.

    For changes it holds the lock of the file, which one process has at a time; *reads_only* needs
    none, and works beside a run. *connection* is the class of the connection.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        reads_only: bool = False,
        connection: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100  `resolve` would follow a link
        self.name = str(self._path)
        self._reads_only = reads_only
        self._kind = connection
        self._lock: Lock | None = None
        self._tasks: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self._failure: str | None = None
        self._thread: Thread | None = None
        self._ended: asyncio.Future[None] | None = None

    async def open(self) -> None:
        """Open the file, make it where there is none, and check all of it."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._ended = loop.create_future()
        self._thread = Thread(
            target=self._serve, args=(loop, opened, self._ended), name="journal", daemon=True
        )
        self._thread.start()
        await opened

    async def aclose(self) -> None:
        """Write what is left to be written, and let go of the file."""
        if self._ended is not None and not self._ended.done():
            self._tasks.put(None)
            await asyncio.shield(self._ended)

    async def change(self, work: Callable[[Table], T]) -> T:
        """Do *work* and sync it, with what else is waiting to be synced."""
        return await self._ask(_Task(work, changes=True))

    async def read(self, work: Callable[[Table], T]) -> T:
        """Do *work*, after what was asked for before."""
        return await self._ask(_Task(work, changes=False))

    async def _ask(self, task: _Task[T]) -> T:
        if self._ended is None or self._ended.done():
            raise JournalError(f"{self.name} is not open")
        self._tasks.put(task)
        return await task.done

    def _serve(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: asyncio.Future[None],
        ended: asyncio.Future[None],
    ) -> None:
        """Be the thread of the file."""

        def tell(action: Callable[[], object]) -> None:
            with suppress(RuntimeError):  # the loop may be gone
                loop.call_soon_threadsafe(action)

        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001  whoever waits gets it, whatever it is
            found = _translated(error, self.name)
            self._let_go()
            tell(partial(ended.set_result, None))
            tell(partial(opened.set_exception, found))
            return
        table = self._table
        tell(lambda: None if opened.done() else opened.set_result(None))
        while (batch := self._next_batch()) is not None:
            self._commit(connection, table, batch)
            tell(lambda batch=batch: [task.tell() for task in batch])  # type: ignore[misc]
        with suppress(sqlite3.Error):
            if not self._reads_only:
                # What was erased stands in the log until that is cut.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()
        self._let_go()
        tell(lambda: None if ended.done() else ended.set_result(None))

    def _next_batch(self) -> list[_Task[Any]] | None:
        first = self._tasks.get()
        if first is None:
            return None
        batch = [first]
        with suppress(Empty):
            while len(batch) < MOST_AT_ONCE:
                task = self._tasks.get_nowait()
                if task is None:
                    self._tasks.put(None)
                    break
                batch.append(task)
        return batch

    def _commit(
        self, connection: sqlite3.Connection, table: SqliteTable, batch: list[_Task[Any]]
    ) -> None:
        """Do all of a batch in one transaction, or nothing of it."""
        changing = any(task.changes for task in batch)
        if changing and self._failure is not None:
            for task in batch:
                task.error = JournalFailed(self._failure)
            return
        try:
            connection.execute("BEGIN IMMEDIATE" if changing else "BEGIN")
            for task in batch:
                _do(connection, table, task)
            connection.execute("COMMIT")
            if self._lock is not None and table.last_change > self._lock.mark:
                self._lock.promise(table.last_change)
        except (sqlite3.Error, OSError) as error:
            found = _translated(error, self.name)
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if changing:
                self._failure = str(found)
            for task in batch:
                task.error = type(found)(str(found))

    def _connect(self) -> sqlite3.Connection:
        if not self._reads_only:
            _make_folder(self._path.parent)
            self._lock = Lock(lock_of(self._path))
        if not os.path.lexists(self._path):
            self._make_file()
        _check_file(self._path)
        connection = sqlite3.connect(
            self._path, timeout=10, isolation_level=None, factory=self._kind
        )
        try:
            self._prepare(connection)
            self._table = SqliteTable(connection)
            if not self._reads_only:
                self._check_all(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        if self._reads_only:
            raise JournalError(f"there is no journal {self.name}; `send` makes one")
        if self._lock is not None and self._lock.mark:
            raise JournalDamaged(
                f"{self.name} is gone, though it held what was sent; restore it. To begin without "
                f"what it knew, remove {lock_of(self._path)} too"
            )
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(self._path, flags, 0o600))
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._reads_only:
            connection.execute("PRAGMA query_only = ON")
        elif _number(connection, "schema_version") == 0:
            # Also where a process ended before it had done so.
            connection.execute("PRAGMA journal_mode = WAL")
            with _transaction(connection):
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
        if _number(connection, "application_id") != APPLICATION:
            raise JournalDamaged(f"{self.name} is not a journal")
        version = _number(connection, "user_version")
        if version > VERSION:
            told = f"{self.name} was written by a later version (its schema is {version})"
            raise JournalTooNew(f"{told}; use that one")
        for pragma in ("synchronous = FULL", "secure_delete = ON", "cache_size = -16384"):
            connection.execute(f"PRAGMA {pragma}")

    def _check_all(self, connection: sqlite3.Connection) -> None:
        (told,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if told != "ok":
            raise JournalDamaged(f"{self.name} is damaged: {told}; restore it")
        self._table.verify()
        if self._lock is not None and self._table.last_change < self._lock.mark:
            lost = self._lock.mark - self._table.last_change
            raise JournalDamaged(
                f"{self.name} has lost its last {lost:,} changes; restore it, with its -wal file"
            )

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _do(connection: sqlite3.Connection, table: SqliteTable, task: _Task[Any]) -> None:
    """Do one piece of work of a transaction; what it refuses leaves the others alone."""
    connection.execute("SAVEPOINT one")
    try:
        task.result = task.work(table)
    except (sqlite3.Error, OSError):
        raise
    except Exception as error:  # noqa: BLE001  whoever asked gets it
        task.error = error
        connection.execute("ROLLBACK TO one")
    connection.execute("RELEASE one")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (found,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(found)


def _translated(error: BaseException, name: str) -> BaseException:
    match error:
        case sqlite3.OperationalError() if "decode" not in str(error):
            return JournalFailed(f"{name} cannot be used: {error}")
        case sqlite3.DatabaseError():
            return JournalDamaged(f"{name} is damaged: {error}; restore it")
        case OSError():
            return JournalFailed(f"{name} cannot be used: {error.strerror}")
        case _:
            return error


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise JournalError(f"{folder} is not yours: give a journal in a folder that is")


def _check_file(path: Path) -> None:
    # It is not opened for this: closing it would let go of the locks that SQLite may hold on it.
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path} is not a plain file")
    if found.st_uid != os.geteuid():
        raise JournalError(f"{path} is not yours")
    if found.st_mode & 0o077:
        raise JournalError(f"{path} is open to others; it may name people: chmod 600 it")
