"""Whether the journal is sound and can be written, looked at without changing it, beside a run."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from vtex_invoice_async.cli.doctor.finding import Finding, failed, ok, skipped, warning
from vtex_invoice_async.cli.journal import JournalOptions
from vtex_invoice_async.errors import (
    ConfigError,
    JournalDamaged,
    JournalError,
    JournalFailed,
    JournalTooNew,
    printable,
)
from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.job import FINAL
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.lock import read_holder, read_mark
from vtex_invoice_async.jobs.sqlite import lock_of
from vtex_invoice_async.jobs.summary import Exit, exit_of

__all__ = ["file_system_finding", "kind_of_mount", "look_at_journal", "space_finding"]

NAMES: Final = ("folder", "disk", "file-system", "journal", "journal-lock", "journal-rows")
MEBIBYTE: Final = 2**20
LITTLE_SPACE: Final = 200 * MEBIBYTE
NO_SPACE: Final = 2 * MEBIBYTE
MOUNTS: Final = Path("/proc/self/mounts")
STEPS: Final = 10_000
"""Of SQLite's machine, between two looks at the clock."""

NETWORKS: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"}
    | {"nfs4", "orangefs", "smb3", "smbfs", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs"}
    | {"fuse.sshfs", "fuse.gcsfuse"}
)


@frozen
class _Rows:
    """What reading all rows came to."""

    count: int = 0
    open_ones: int = 0
    """Which are not final."""

    last_change: int = 0
    is_whole: bool = True
    """False where the time was up before."""


async def look_at_journal(
    options: JournalOptions, header: Header | None, until: float
) -> Sequence[Finding]:
    """Return what there is to be said of the journal and of where it is."""
    if header is None and options.journal is None:
        return [skipped(name, "the account or the host is not known") for name in NAMES]
    try:
        path = options.path.absolute()
    except ConfigError as error:
        rest = [skipped(name, "journal failed") for name in NAMES if name != "journal"]
        return [failed("journal", str(error), "or leave it out", Exit.USAGE), *rest]
    findings = _place(path)
    if absent := _absent(path):
        return [*findings, *absent]
    try:
        resume = options.command("resume")
        return [*findings, *await _look_into(path, header, resume, until)]
    except JournalError as error:
        found = failed("journal", str(error), _advice(error), exit_of(error))
    except OSError as error:
        told = f"{path}: {error.strerror}"
        found = failed("journal", told, "make it yours to read and write", Exit.DISK)
    rest = [skipped(name, "journal failed") for name in ("journal-lock", "journal-rows")]
    return [*findings, found, *rest]


def _advice(error: JournalError) -> str:
    match error:
        case JournalDamaged():
            return "take a copy of it, and send nothing before that: it knows what was sent"
        case JournalTooNew():
            return "pip install --upgrade 'vtex-invoice-async[cli]'"
        case JournalFailed():
            return "see what is wrong with the disk, the folder or the rights to it"
        case _:
            return "or name another one with --journal"


def _place(path: Path) -> list[Finding]:
    """Look at the folder: what of it is there already."""
    folder = next(found for found in path.parents if found.exists())
    is_there = folder == path.parent
    name = f"{path.parent}" if is_there else f"{path.parent}, to be made in {folder}"
    if not folder.is_dir():
        told = f"{folder} is no folder"
        return [failed("folder", told, "name another one with --journal", Exit.DISK)]
    found = ok("folder", f"{name}, can be written")
    if is_there and folder.stat().st_uid != os.geteuid():
        advice = "give a --journal in a folder that is, or run as its owner"
        found = failed("folder", f"{name} is not yours", advice, Exit.BAD_INPUT)
    elif not os.access(folder, os.W_OK | os.X_OK):
        advice = "make it yours to write, or give a --journal elsewhere"
        found = failed("folder", f"{name} cannot be written", advice, Exit.DISK)
    mounts = MOUNTS.read_text("utf-8", "replace") if MOUNTS.exists() else None
    kind = None if mounts is None else kind_of_mount(mounts, folder.resolve())
    return [found, space_finding(shutil.disk_usage(folder).free), file_system_finding(kind)]


def space_finding(free: int) -> Finding:
    """Say whether so many bytes are enough: a million invoices take some 1.5 GiB."""
    told = f"{free / MEBIBYTE:,.0f} MiB are free"
    advice = "make room: where a journal cannot be written, nothing is sent"
    if free < NO_SPACE:
        return failed("disk", told, advice, Exit.DISK)
    return warning("disk", told, advice) if free < LITTLE_SPACE else ok("disk", told)


def kind_of_mount(mounts: str, folder: Path) -> str | None:
    """Return the kind of the file system that *folder* is on, by the system's table of mounts."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        _, place, kind, *_ = [*line.split(" "), "", "", ""]
        # The system writes a space, a tab and the like as an octal number.
        where = Path(place.encode().decode("unicode_escape", "replace"))
        if folder.is_relative_to(where) and (found is None or len(where.parts) >= found[0]):
            found = len(where.parts), kind
    return None if found is None else found[1]


def file_system_finding(kind: str | None) -> Finding:
    """Say whether a journal is safe on such a file system."""
    if kind is None:
        return skipped("file-system", "this system does not tell what kind it is")
    if kind in NETWORKS:
        advice = "put the journal on a disk of this machine, with --journal or XDG_STATE_HOME"
        return warning("file-system", f"{kind}, a network's: its locks may not hold", advice)
    return ok("file-system", kind)


def _absent(path: Path) -> list[Finding]:
    """Return what there is to be said where there is no journal; nothing where there is one."""
    if os.path.lexists(path):
        return []
    rest = [skipped(name, "there is no journal yet") for name in ("journal-lock", "journal-rows")]
    try:
        mark = read_mark(lock_of(path))
    except (JournalError, OSError) as error:
        told = getattr(error, "strerror", None) or str(error)
        return [failed("journal", told, "see what became of its folder", Exit.BAD_INPUT), *rest]
    if mark:
        told = f"{path} is gone, though it held what was sent"
        advice = f"restore it; to begin without what it knew, remove {lock_of(path)} too"
        return [failed("journal", told, advice, Exit.BAD_INPUT), *rest]
    return [ok("journal", f"{path}: there is none yet, and `send` makes it"), *rest]


async def _look_into(path: Path, header: Header | None, resume: str, until: float) -> list[Finding]:
    # First, for a run may go on meanwhile: the journal may be ahead of its mark, never behind it.
    mark = read_mark(lock_of(path))
    async with Journal.read(path) as journal:
        theirs = journal.header
        version = await asyncio.to_thread(_integrity, path, time.monotonic() + _left(until))
        rows = await _rows(journal, until)
    return [_about(path, theirs, header, version), _held(path), _sound(rows, mark, resume)]


def _about(path: Path, theirs: Header, ours: Header | None, version: int) -> Finding:
    told = f"{path}, of {theirs.account} at {theirs.origin} ({theirs.family})"
    if ours is not None and theirs != ours:
        other = f"{ours.account} at {ours.origin} ({ours.family})"
        advice = "check VTEX_ACCOUNT, VTEX_BASE_URL and VTEX_ORDERS_API, or name another --journal"
        return failed("journal", f"{told}, and not of {other}", advice, Exit.BAD_INPUT)
    mode = stat.S_IMODE(path.stat().st_mode)
    return ok("journal", f"{told}, schema {version}, mode {mode:04o}")


def _left(until: float) -> float:
    return max(until - asyncio.get_running_loop().time(), 0.1)


def _integrity(path: Path, until: float) -> int:
    """Return the schema's version; raise `JournalDamaged` for what SQLite finds while there is time."""
    version, told = 0, "ok"
    try:
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = ON")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            (told,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupt" not in str(error):
            raise JournalFailed(f"{path} cannot be used: {printable(str(error), 300)}") from None
    except sqlite3.DatabaseError as error:
        told = str(error)
    if told != "ok":
        raise JournalDamaged(f"{path} is damaged: {printable(told, 300)}")
    return int(version)


async def _rows(journal: Journal, until: float) -> _Rows:
    """Read all rows: each is compared with its digest as it is read."""
    count, open_ones, last_change = 0, 0, 0
    async for record in journal.records():
        if record.seq != count + 1:
            raise JournalDamaged(f"row {count + 1} of {journal.name} is gone")
        count += 1
        open_ones += record.state not in FINAL
        last_change = max(last_change, record.change)
        if not count % STEPS and asyncio.get_running_loop().time() > until:
            return _Rows(count, open_ones, last_change, is_whole=False)
    return _Rows(count, open_ones, last_change)


def _held(path: Path) -> Finding:
    holder = read_holder(lock_of(path))
    if holder is None:
        return ok("journal-lock", "nobody holds it")
    told = f"a run holds it: {holder}"
    return failed("journal-lock", told, "wait for that run, or end it", Exit.NOT_SENT)


def _sound(rows: _Rows, mark: int, resume: str) -> Finding:
    if not rows.is_whole:
        told = f"{rows.count:,} rows are sound; there was no time for more"
        return warning("journal-rows", told, "give more --timeout")
    if rows.last_change < mark:
        told = f"its last {mark - rows.last_change:,} changes are lost"
        advice = "restore it, with its -wal file, before anything is sent"
        return failed("journal-rows", told, advice, Exit.BAD_INPUT)
    told = f"all {rows.count:,} are sound" if rows.count else "it holds none yet"
    if not rows.open_ones:
        return ok("journal-rows", told)
    open_ones = f"{rows.open_ones:,} {'is' if rows.open_ones == 1 else 'are'} not final"
    return warning("journal-rows", f"{told}; {open_ones}", f"go on with: {resume}")
