"""A thread that has a database to itself: one transaction, and one sync, for all who wait for one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

from attrs import define

from vtex_invoice_async.errors import JournalError, JournalFailed
from vtex_invoice_async.jobs.sql import SqliteTable
from vtex_invoice_async.jobs.store import Table

__all__ = ["Database", "Writer"]

T = TypeVar("T")

MOST_AT_ONCE: Final = 512
"""Pieces of work in a transaction, after which no more is added to it."""


class Database(Protocol):
    """What the thread works on: made by it, used by it, closed by it."""

    connection: sqlite3.Connection
    table: SqliteTable

    def committed(self) -> None:
        """Take note that what was changed is on disk."""
        ...

    def translated(self, error: BaseException) -> JournalError:
        """Return what *error* means."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@define(eq=False)
class _Task:
    """What is asked for."""

    work: Callable[[Table], Any]
    changes: bool
    is_move: bool
    """Whether it changes one thing or, where it raises, nothing."""

    done: asyncio.Future[Any] | None
    """None where nobody waits for it."""

    result: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        if self.done is None or self.done.done():
            return  # nobody waits for it any more
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


class Writer:
    """The thread, and how the event loop that made it asks it for something."""

    def __init__(self, make: Callable[[], Database], name: str) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._tasks: SimpleQueue[list[_Task] | None] = SimpleQueue()
        self._asked: list[_Task] = []
        """What waits for the loop's next turn: to wake the thread costs more than a change does."""
        self._is_flushing = False
        self._failure: str | None = None
        self._closing = False
        Thread(target=self._serve, args=(make,), name="journal", daemon=True).start()

    async def opened(self) -> None:
        """Wait until the database is open; raise why it is not. Cancelled, it closes it first."""
        try:
            await asyncio.shield(self._opened)
        except asyncio.CancelledError:
            await self.aclose()
            with suppress(BaseException):
                self._opened.result()
            raise

    @property
    def is_over(self) -> bool:
        """Whether the thread has ended."""
        return self._ended.done()

    async def ask(self, work: Callable[[Table], T], *, changes: bool) -> T:
        """Have *work* done; where it *changes* something, wait until that is on disk."""
        found: T = await self._put(work, changes=changes)
        return found

    def move(self, work: Callable[[Table], T]) -> asyncio.Future[T]:
        """Have one thing changed; this ends once it is on disk."""
        return self._put(work, changes=True, is_move=True)

    def soon(self, work: Callable[[Table], None]) -> None:
        """Have *work*, which changes nothing, done before what is asked for next: it wakes nobody."""
        self._asked.append(_Task(work, changes=False, is_move=False, done=None))

    def note(self, work: Callable[[Table], None]) -> None:
        """Have *work*, which changes one thing, done and synced with what is asked for next."""
        self._asked.append(_Task(work, changes=True, is_move=True, done=None))

    def _put(
        self, work: Callable[[Table], Any], *, changes: bool, is_move: bool = False
    ) -> asyncio.Future[Any]:
        if self._loop is not asyncio.get_running_loop():
            raise JournalError(f"{self._name} was opened in another event loop")
        if self._closing or self._ended.done():
            raise JournalError(f"{self._name} is not open")
        done = self._loop.create_future()
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)
        self._asked.append(_Task(work, changes, is_move, done))
        return done

    def _flush(self) -> None:
        self._is_flushing = False
        if self._asked:
            self._tasks.put(self._asked)
            self._asked = []

    async def aclose(self) -> None:
        """End the thread, once it has done what it was asked for."""
        self._closing = True
        if not self._ended.done():
            self._flush()
            self._tasks.put(None)
            await asyncio.shield(self._ended)

    def _tell(self, action: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop may be gone
            self._loop.call_soon_threadsafe(action)

    def _serve(self, make: Callable[[], Database]) -> None:
        try:
            database = make()
        except BaseException as error:  # noqa: BLE001  whoever waits must hear of it
            self._tell(lambda error=error: self._end(error))  # type: ignore[misc]
            return
        self._tell(lambda: self._opened.set_result(None))
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(database, batch)
                self._tell(lambda batch=batch: [task.tell() for task in batch])  # type: ignore[misc]
            database.close()
        finally:
            self._tell(self._end)

    def _end(self, error: BaseException | None = None) -> None:
        """Be over, in the loop's thread: in one step with what could not be opened."""
        self._closing = True
        if error is not None:
            self._opened.set_exception(error)
        self._ended.set_result(None)
        self._flush()
        while not self._tasks.empty():
            for task in self._tasks.get() or ():
                task.error = JournalError(f"{self._name} is not open")
                task.tell()

    def _next_batch(self) -> list[_Task] | None:
        batch = self._tasks.get()
        if batch is None:
            return None
        with suppress(Empty):
            while len(batch) < MOST_AT_ONCE:
                more = self._tasks.get_nowait()
                if more is None:
                    self._tasks.put(None)
                    break
                batch += more
        return batch

    def _commit(self, database: Database, batch: list[_Task]) -> None:
        """Do all of a batch in one transaction, or nothing of it.

        The first time that it fails is the last that anything is changed: what a later sync says
        could not be trusted. What only reads is done then as ever.
        """
        if self._failure is not None:
            for task in batch:
                if task.changes:
                    task.error = JournalFailed(self._failure)
            batch = [task for task in batch if not task.changes]
        changing = any(task.changes for task in batch)
        connection, table = database.connection, database.table
        before = table.last_seq, table.last_change
        try:
            connection.execute("BEGIN IMMEDIATE" if changing else "BEGIN")
            for task in batch:
                _do(database, task)
            connection.execute("COMMIT")
            if changing:
                database.committed()
        except Exception as error:  # noqa: BLE001  whoever waits must hear of it, whatever it is
            found = database.translated(error)
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            # Nothing that was not committed may be counted as if it were.
            table.last_seq, table.last_change = before
            if changing:
                self._failure = str(found)
            for task in batch:
                task.error = found


_FATAL: Final = (sqlite3.Error, UnicodeDecodeError, OSError)
"""What ends a transaction."""


def _do(database: Database, task: _Task) -> None:
    """Do one piece of work of a transaction; what it refuses leaves the others alone."""
    table, saves = database.table, task.changes and not task.is_move
    before = table.last_seq, table.last_change
    if saves:
        database.connection.execute("SAVEPOINT one")
    try:
        task.result = task.work(table)
    except _FATAL:
        raise
    except Exception as error:  # noqa: BLE001  whoever asked gets it
        task.error = error
        if saves:
            database.connection.execute("ROLLBACK TO one")
            table.last_seq, table.last_change = before
    if saves:
        database.connection.execute("RELEASE one")
