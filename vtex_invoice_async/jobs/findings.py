"""All that is wrong with files, or worth a look, by kind; kept on disk, so that memory stays flat."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Final, Self

from attrs import frozen

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.rows import RowProblem
from vtex_invoice_async.preflight import Severity

__all__ = ["Findings", "Group"]

_INDEX = re.compile(r"\[\d+\]")
_PARTICULAR = re.compile(r"\d+|'[^']*'")
"""What differs between two messages of one kind."""

# A file has its place in the order of reading; the key of a finding is the order in which it is told.
_SCHEMA: Final = """
CREATE TABLE kind (
  kind INTEGER PRIMARY KEY,
  severity TEXT NOT NULL, code TEXT NOT NULL, field TEXT NOT NULL, trouble TEXT NOT NULL,
  count INTEGER NOT NULL,
  UNIQUE (severity, code, field, trouble)
);
CREATE TABLE file (file INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE finding (
  kind INTEGER NOT NULL, file INTEGER NOT NULL, line INTEGER NOT NULL, place INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  field TEXT NOT NULL, message TEXT NOT NULL, source TEXT,
  PRIMARY KEY (kind, file, line, place, seq)
) WITHOUT ROWID
"""

_KIND: Final = """
INSERT INTO kind (severity, code, field, trouble, count) VALUES (?, ?, ?, ?, 1)
ON CONFLICT DO UPDATE SET count = count + 1 RETURNING kind
"""

_KINDS: Final = """
SELECT kind, code, field, count FROM kind WHERE severity = ? ORDER BY count DESC, code, field, trouble
"""

_FOUND: Final = """
SELECT name, line, place, finding.field, message, source FROM finding CROSS JOIN file USING (file)
WHERE kind = ? ORDER BY file, line, place, seq LIMIT ?
"""

_ALL: Final = -1
"""No limit, as SQLite has it."""


@frozen(kw_only=True)
class Group:
    """What is wrong in one way: of one severity and code, and in one field whatever its index.

    What is wrong with a row or file as a whole has no field, and is told apart by what it says.
    """

    field: str
    """`items[].price`."""

    count: int
    first: tuple[RowProblem, ...]
    """Some of them, by place."""


class Findings:
    """What was found in files, by kind and place.

    The database is a temporary one that only this process can open and that goes with it.
    """

    def __init__(self) -> None:
        self.count = 0
        self._file: str | None = None
        self._files = 0
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        # What is never committed needs no sync.
        self._database.execute("BEGIN")

    def keep(self, found: Iterable[RowProblem]) -> None:
        """Keep all of what is *found*, in the order of reading."""
        for told in found:
            self._keep(told)

    def groups(self, severity: Severity, first: int) -> Iterator[Group]:
        """Yield the kinds of a severity with the *first* of each: those with the most come first."""
        for kind, code, field, count in self._database.execute(_KINDS, (severity,)):
            some = self._of_kind(kind, severity, code, first)
            yield Group(field=field, count=count, first=tuple(some))

    def counts(self, severity: Severity) -> tuple[int, int]:
        """Return how many kinds of a severity there are, and how many in all."""
        kinds, count = self._database.execute(
            "SELECT count(*), total(count) FROM kind WHERE severity = ?", (severity,)
        ).fetchone()
        return kinds, int(count)

    def __iter__(self) -> Iterator[RowProblem]:
        """Yield each one: by kind, what is refused before what is warned of, and by place."""
        for severity in ("refuse", "warn"):
            for kind, code, *_ in self._database.execute(_KINDS, (severity,)):
                yield from self._of_kind(kind, severity, code, _ALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def _keep(self, told: RowProblem) -> None:
        problem = told.problem
        if not self._files or told.file != self._file:
            self._file = told.file
            self._files += 1
            self._database.execute("INSERT INTO file VALUES (?, ?)", (self._files, told.file))
        trouble = "" if problem.field or problem.source else _PARTICULAR.sub("", problem.message)
        kind = (problem.severity, problem.code, _INDEX.sub("[]", problem.field), trouble)
        ((number,),) = self._database.execute(_KIND, kind)
        place = (self._files, told.line, told.column, self.count)
        self._database.execute(
            "INSERT INTO finding VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, *place, problem.field, problem.message, problem.source),
        )
        self.count += 1

    def _of_kind(self, kind: int, severity: Severity, code: str, most: int) -> Iterator[RowProblem]:
        for file, line, column, field, message, source in self._database.execute(
            _FOUND, (kind, most)
        ):
            problem = Problem(
                code=code, field=field, message=message, severity=severity, source=source
            )
            yield RowProblem(file=file, line=line, column=column, problem=problem)
