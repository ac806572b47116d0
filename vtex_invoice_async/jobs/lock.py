"""One run at a time: a lock beside the journal, which the system ends with the process.

The file also keeps how far the journal had come when a change was last promised to be on disk, so
that a journal that lost its tail is found out.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
from attrs import asdict, frozen

from vtex_invoice_async.errors import JournalBusy, JournalDamaged

__all__ = ["Holder", "Lock", "read_holder", "read_mark"]

WIDTH: Final = 20
"""Digits of the mark, which stands before the line that says who holds the lock."""

LOOKS: Final = 50
PAUSE: Final = 0.01
"""Seconds between looks for the name of a holder."""


@frozen(kw_only=True)
class Holder:
    """The process that holds a lock."""

    pid: int
    host: str
    since: str
    """ISO 8601, UTC."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Lock:
    """The lock of a journal, from when it is made until `release`, or the end of the process.

    Raises `JournalBusy`, naming the holder, where another process has it.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        try:
            self._take(path)
            self.mark = _mark(self._file, path)
            """The last change that was promised."""
            since = datetime.now(UTC).isoformat(timespec="seconds")
            holder = Holder(pid=os.getpid(), host=socket.gethostname(), since=since)
            text = b"%0*d\n%s\n" % (WIDTH, self.mark, orjson.dumps(asdict(holder)))
            os.pwrite(self._file, text, 0)
            os.ftruncate(self._file, len(text))
        except BaseException:
            os.close(self._file)
            raise

    def _take(self, path: Path) -> None:
        for _ in range(LOOKS):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _read(self._file)
                if holder is not None and _is_alive(holder):
                    break
                # Who has just taken it is yet to write its name, or only looks who holds it.
                time.sleep(PAUSE)
            else:
                return
        told = holder or "another process"
        raise JournalBusy(f"another run holds {path}: {told}; wait for it, or end it")

    def promise(self, change: int) -> None:
        """Keep that *change* is on disk, from where it must not vanish.

        It is not synced itself: it may fall behind, and never runs ahead.
        """
        os.pwrite(self._file, b"%0*d" % (WIDTH, change), 0)
        self.mark = change

    def release(self) -> None:
        """Let go of it."""
        try:
            os.ftruncate(self._file, WIDTH + 1)
        finally:
            os.close(self._file)


def read_holder(path: Path) -> Holder | None:
    """Return who holds the lock of a journal; None where nobody does."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # For a moment this keeps a run from taking it, which tries again.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(file)
    finally:
        os.close(file)
    return None


def read_mark(path: Path) -> int:
    """Return how far a journal had come, as its lock at *path* has it; 0 where there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return _mark(file, path)
    finally:
        os.close(file)


def _is_alive(holder: Holder) -> bool:
    if holder.host != socket.gethostname():
        return True  # nothing can be known from here
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    return True


def _read(file: int) -> Holder | None:
    _, _, line = os.pread(file, 4096, 0).partition(b"\n")
    try:
        return Holder(**orjson.loads(line))
    except (ValueError, TypeError):
        return None


def _mark(file: int, path: Path) -> int:
    text = os.pread(file, WIDTH, 0)
    if text and not (len(text) == WIDTH and text.isdigit()):
        raise JournalDamaged(f"{path} is not what was written; see what else became of its folder")
    return int(text or b"0")
