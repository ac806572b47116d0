"""What a test leaves on disk: its journals, column by column, and whatever else the package wrote."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import blake2b
from pathlib import Path

# By its name: that of the module is watched.
from tempfile import mkdtemp
from typing import Final

from tests.canaries import NET

OWN: Final[dict[Path, tuple[int, bytes]]] = {}
"""What tests wrote with `write_text` or `write_bytes`, which the package uses nowhere: the length and
the digest of it."""

HEADER: Final = b"SQLite format 3\0"
LOGS: Final = ("-wal", "-shm")


def note_own(path: Path) -> None:
    """Take what stands in a file now for what the test wrote."""
    with suppress(OSError):
        if path.is_file():
            content = path.read_bytes()
            OWN[path.absolute()] = len(content), _digest(content)


def _of_others(path: Path, content: bytes) -> bytes:
    """Return what follows what the test wrote, or everything, where that was overwritten."""
    length, digest = OWN.get(path.absolute(), (0, b""))
    return content[length:] if _digest(content[:length]) == digest else content


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def look_into_folder(folder: Path) -> None:
    """Look into every file below *folder* that a test did not write itself."""
    for path in sorted(folder.rglob("*")):
        with suppress(OSError):
            if path.is_symlink() or not path.is_file():
                continue
            content = path.read_bytes()
            if content.startswith(HEADER):
                _look_into_journal(path, content)
            elif path.name.endswith(LOGS):
                NET.look(content, f"the log {path.suffix} of a journal", for_people=False)
            else:
                NET.look(_of_others(path, content), f"the file *{path.suffix}")


def _look_into_journal(path: Path, content: bytes) -> None:
    NET.look(content, "the bytes of a journal", for_people=False)
    # A copy: to open the file itself would let go of locks, and may write into it.
    copy = Path(mkdtemp())
    try:
        for suffix in ("", "-wal"):
            with suppress(OSError):
                shutil.copyfile(f"{path}{suffix}", copy / f"journal{suffix}")
        with suppress(sqlite3.Error, UnicodeDecodeError):
            is_done = _look_into_tables(copy / "journal")
            log = path.with_name(f"{path.name}-wal")
            is_closed = not log.exists() or not log.stat().st_size
            if is_done and is_closed:
                rest = _of_others(path, content)
                NET.look(rest, "the bytes of a journal whose rows are all confirmed")
    finally:
        shutil.rmtree(copy)


def _look_into_tables(path: Path) -> bool:
    """Look at all columns but that of the bodies; return whether all rows are confirmed."""
    with closing(sqlite3.connect(path)) as journal:
        names = [name for (name,) in journal.execute("SELECT name FROM sqlite_master")]
        for name in _tables(journal):
            columns = [column for _, column, *_ in journal.execute(f"PRAGMA table_info({name})")]
            kept = [c for c in columns if (name, c) != ("invoice", "body")]
            for row in journal.execute(f"SELECT {', '.join(kept)} FROM {name}"):
                _look_at_row(name, dict(zip(kept, row, strict=True)))
        if "invoice" not in names:
            return False
        states = "SELECT state = 'confirmed', body IS NOT NULL, count(*) FROM invoice GROUP BY 1, 2"
        found = {(bool(done), bool(body)) for done, body, _ in journal.execute(states)}
        if (True, True) in found:
            NET.found["the body of an invoice in the row of a confirmed one"] = None
        return all(done for done, _ in found)


def _tables(journal: sqlite3.Connection) -> Iterator[str]:
    for (name,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        yield str(name)


def _look_at_row(table: str, row: dict[str, object]) -> None:
    NET.look(str(list(row.values())), f"a row of the journal's table {table}, beside its body")
