"""`vtex-invoice` in a process that kills itself at a point of its own work, or that waits for a start.

`python -m tests.killed_child POINT NTH ARGUMENTS...` dies by SIGKILL when the point named POINT is
passed for the NTH time. Its classes are the real ones, with one method wrapped.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

from attrs import define

from vtex_invoice_async.__main__ import main
from vtex_invoice_async.config import Timeouts
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.jobs import entering
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import Lock
from vtex_invoice_async.jobs.sql import SqliteTable
from vtex_invoice_async.messages import NoReply, Reply, Request
from vtex_invoice_async.outcome import State
from vtex_invoice_async.transport import Transport

UNTIL_WRITTEN: Final = 0.01
"""Seconds that a small request needs to be written; a sandbox with latency takes far longer."""


@define
class Fuse:
    """Kills this process when it burns for the last time."""

    left: int

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def before(owner: object, name: str, fuse: Fuse) -> None:
    """Burn *fuse* whenever a plain function or method is called."""
    real = getattr(owner, name)

    @wraps(real)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        fuse.burn()
        return real(*args, **kwargs)

    setattr(owner, name, wrapped)


def around(
    owner: type,
    name: str,
    fuse: Fuse,
    *,
    counts: Callable[..., bool] = lambda *_: True,
    is_after: bool = True,
) -> None:
    """Burn *fuse* after, or before, the calls that count of a method that is awaited."""
    real = getattr(owner, name)

    @wraps(real)
    async def wrapped(self: object, *args: Any, **kwargs: Any) -> Any:
        if not is_after and counts(*args):
            fuse.burn()
        result = await real(self, *args, **kwargs)
        if is_after and counts(*args):
            fuse.burn()
        return result

    @wraps(real)
    def begun(self: object, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        return asyncio.ensure_future(wrapped(self, *args, **kwargs))

    # Some have begun before they are awaited.
    setattr(owner, name, wrapped if iscoroutinefunction(real) else begun)


def while_waiting(fuse: Fuse) -> None:
    """Burn *fuse* whenever an invoice has been written to the connection and is not answered."""
    real = Transport.send

    async def wrapped(
        self: Transport, request: Request, mark: Mark, timeouts: Timeouts | None = None
    ) -> Reply | NoReply:
        if not notifies(request):
            return await real(self, request, mark, timeouts)
        sending = asyncio.create_task(real(self, request, mark, timeouts))
        while not mark.bytes_left and not sending.done():  # noqa: ASYNC110  a mark sets no event
            await asyncio.sleep(0)
        await asyncio.wait({sending}, timeout=UNTIL_WRITTEN)
        if not sending.done():
            fuse.burn()
        return await sending

    Transport.send = wrapped  # type: ignore[method-assign]


def notifies(request: Request, *_: object) -> bool:
    return request.method == "POST"


def confirms(_: object, state: State) -> bool:
    return state is State.CONFIRMED


def is_sent_again(record: Any, *_: object) -> bool:
    return bool(record.state is State.ABSENT)


def half_planned(fuse: Fuse) -> None:
    """Burn *fuse* for each row that a plan adds to the journal."""
    entering.PAGE = 1  # type: ignore[misc]
    before(SqliteTable, "add", fuse)


POINTS: Final[dict[str, Callable[[Fuse], None]]] = {
    # The file is there without a table; its tables are there, and hold nothing.
    "made": lambda fuse: before(sqlite3, "connect", fuse),
    "empty": lambda fuse: before(SqliteTable, "put_header", fuse),
    # Half a plan is in the transaction.
    "planning": half_planned,
    "planned": lambda fuse: around(Journal, "enter", fuse),
    # Between intent and send.
    "intended": lambda fuse: around(Journal, "intend", fuse),
    "intended again": lambda fuse: around(Journal, "intend", fuse, counts=is_sent_again),
    # Between send and reply.
    "sent": while_waiting,
    # Between reply and outcome, by two ways.
    "answered": lambda fuse: around(Transport, "send", fuse, counts=notifies),
    "settling": lambda fuse: around(Journal, "settle", fuse, counts=confirms, is_after=False),
    "settled": lambda fuse: around(Journal, "settle", fuse, counts=confirms),
    # SQLite has synced, and nobody knows yet.
    "synced": lambda fuse: before(Lock, "promise", fuse),
}


def wait_at_barriers() -> None:
    """Wait for a line on stdin to start, and for another one once the journal is ours."""
    real = Journal.begin

    @wraps(real)
    async def begin(*args: Any, **kwargs: Any) -> int:
        await asyncio.to_thread(sys.stdin.readline)
        return await real(*args, **kwargs)

    Journal.begin = begin  # type: ignore[method-assign]
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    _, point, nth, *arguments = sys.argv
    sys.argv = ["vtex-invoice", *arguments]
    if point == "barrier":
        wait_at_barriers()
    else:
        POINTS[point](Fuse(int(nth)))
    sys.exit(main())
