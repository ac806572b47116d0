"""One process at a time changes a journal, and whoever comes second is told who does."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tests.command_line import ROOT
from tests.journals import content_of, make_entries, opened, put, records_of
from vtex_invoice_async.errors import JournalBusy, JournalDamaged, JournalFailed
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import Lock, read_holder
from vtex_invoice_async.jobs.sqlite import lock_of

HOLDER = """
import asyncio, sys
from pathlib import Path
from tests.journals import content_of, make_entries, opened

async def main():
    async with opened(Path(sys.argv[1])) as journal:
        await journal.enter(make_entries(3), 1)
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a journal of three invoices until it is told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


async def test_the_second_process_is_told_who_holds_the_journal(path: Path) -> None:
    with held_by_another(path) as process:
        with pytest.raises(JournalBusy) as busy:
            await opened(path).__aenter__()
        holder = read_holder(lock_of(path))
        async with Journal.read(path) as beside:
            assert len(await records_of(beside)) == 3

    assert f"process {process.pid} on {socket.gethostname()}, since 20" in str(busy.value)
    assert holder is not None
    assert (holder.pid, holder.host) == (process.pid, socket.gethostname())


async def test_a_journal_is_free_when_its_process_ends(path: Path) -> None:
    with held_by_another(path) as process:
        process.communicate("\n")
        assert process.returncode == 0

    assert read_holder(lock_of(path)) is None
    async with opened(path) as journal:
        assert len(await records_of(journal)) == 3


async def test_a_journal_is_free_when_its_process_is_killed(path: Path) -> None:
    with held_by_another(path) as process:
        process.send_signal(signal.SIGKILL)
        # It has ended, and is still in the table of processes.
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert read_holder(lock_of(path)) is None
        async with opened(path) as journal:
            assert len(await records_of(journal)) == 3
            holder = read_holder(lock_of(path))

    assert holder is not None
    assert holder.pid == os.getpid()


def test_nobody_holds_what_is_not_there(path: Path) -> None:
    assert read_holder(lock_of(path)) is None


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b'{"pid":1}', b"\xff", b'{"x":1}'])
def test_a_holder_that_cannot_be_read_is_nobody(path: Path, line: bytes) -> None:
    put(path, b"0" * 20 + b"\n" + line)

    assert read_holder(path) is None


def test_who_has_written_a_lock_holds_it_only_as_long_as_the_system_says(path: Path) -> None:
    holder = {"pid": 1, "host": "elsewhere", "since": "2026-02-01T12:00:00+00:00"}
    put(path, b"0" * 20 + b"\n" + orjson.dumps(holder))
    assert read_holder(path) is None

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told = read_holder(path)

    assert str(told) == "process 1 on elsewhere, since 2026-02-01T12:00:00+00:00"


def test_who_only_looks_who_holds_a_lock_does_not_keep_it_from_a_run(path: Path) -> None:
    put(path, b"")
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.05, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()

        Lock(path).release()


def test_a_mark_is_kept_over_who_holds_the_lock(path: Path) -> None:
    lock = Lock(path)
    assert lock.mark == 0
    lock.promise(7)
    assert read_holder(path) is not None
    lock.release()

    again = Lock(path)
    assert again.mark == 7
    again.release()
    assert path.read_bytes() == b"%020d\n" % 7


@pytest.mark.parametrize("content", [b"1", b"7" * 19, b"x" * 20, b" " * 20, b"-" + b"1" * 19])
def test_a_mark_that_was_altered_is_damage_and_the_lock_is_let_go(
    path: Path, content: bytes
) -> None:
    put(path, content)

    for _ in range(2):
        with pytest.raises(JournalDamaged, match="is not what was written"):
            Lock(path)

    assert path.read_bytes() == content
    put(path, b"")
    Lock(path).release()


async def test_a_lock_that_is_a_link_is_refused_and_what_it_links_to_is_left_alone(
    path: Path,
) -> None:
    other = path.with_name("other")
    put(other, b"theirs")
    lock_of(path).symlink_to(other)

    with pytest.raises(JournalFailed):
        await opened(path).__aenter__()

    assert content_of(other) == b"theirs"


@pytest.mark.parametrize("times", [1, 2])
async def test_a_lock_that_is_a_pipe_is_refused_each_time_alike(path: Path, times: int) -> None:
    os.mkfifo(lock_of(path))

    for _ in range(times):
        with pytest.raises(JournalFailed):
            await opened(path).__aenter__()


async def test_opening_again_and_again_leaves_no_file_open(path: Path) -> None:
    async def again() -> int:
        async with opened(path) as journal:
            await journal.enter(make_entries(1), 1)
        with pytest.raises(JournalFailed):
            await opened(path / "below").__aenter__()
        return len([*Path("/proc/self/fd").iterdir()])  # noqa: ASYNC240  no disk has it

    first = await again()

    assert {await again() for _ in range(5)} == {first}
