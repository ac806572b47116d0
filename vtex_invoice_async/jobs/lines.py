"""Files of JSON lines, read strictly: one object a line, and what is wrong told by its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from json import JSONDecodeError, JSONDecoder
from typing import BinaryIO, Final, NoReturn, TypeAlias

from attrs import frozen

from vtex_invoice_async.errors import Problem

__all__ = ["LONGEST_LINE", "OURS", "BadRow", "Json", "Line", "RowProblem", "read_lines"]

# A row may be as long as the largest NF-e that it may embed.
LONGEST_LINE: Final = 2**20
MOST_TOLD: Final = 20
"""Problems that are told of one row."""

# What an export, or a failure, adds to a row; it is ours and not VTEX's.
OURS: Final = "job"

_DECODER: Final = JSONDecoder()
_STEP = re.compile(r"[^.\[\]]+")
_OFFSET = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")
_BLANK = re.compile(r"[ \t\n\r]*")

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"


@frozen(kw_only=True)
class RowProblem:
    """What is wrong with a row, or worth a look, and where."""

    line: int
    column: int
    """Both from 1."""

    problem: Problem

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.problem}"


@frozen(kw_only=True)
class BadRow:
    """A row that cannot be sent."""

    line: int
    problems: tuple[RowProblem, ...]
    key: bytes | None = None
    """Names what it is about, where that much can be read."""


@frozen(kw_only=True)
class Line:
    """A line that holds a JSON object."""

    number: int
    text: str
    document: dict[str, Json]
    """The object without what counts as absent: null and `""`. Whoever reads it may take it apart."""

    def located(self, problem: Problem) -> RowProblem:
        """Return *problem* with the column of its field."""
        column = _column(self.text, problem.field)
        return RowProblem(line=self.number, column=column, problem=problem)

    def bad(self, problems: Iterable[Problem], key: bytes | None = None) -> BadRow:
        """Return the row that it is for the sake of its *problems*."""
        # Finding a column means reading the line again; past a few nobody needs the next one.
        found = tuple(problems)
        told = [self.located(problem) for problem in found[:MOST_TOLD]]
        if len(found) > MOST_TOLD:
            more = f"the line has at least {len(found) - MOST_TOLD:,} more problems"
            problem = Problem(code="line", field="", message=more)
            told.append(RowProblem(line=self.number, column=1, problem=problem))
        return BadRow(line=self.number, problems=tuple(told), key=key)

    def without_offset(self, keys: Iterable[str]) -> tuple[RowProblem, ...]:
        """Return a warning for each of the *keys* that holds a time without an offset."""
        source = "https://developers.vtex.com/docs/guides/formatting-order-invoicing-time"
        message = "has no offset and is taken as UTC; write one, such as T18:25:43-03:00"
        texts = ((key, self.document.get(key)) for key in keys)
        return tuple(
            self.located(
                Problem(
                    code="no-offset", severity="warn", field=key, message=message, source=source
                )
            )
            for key, text in texts
            if isinstance(text, str) and not _OFFSET.search(text)
        )


def read_lines(file: BinaryIO) -> Iterator[Line | BadRow]:
    """Yield each line of *file* that is not blank."""
    for number, raw in enumerate(_raw_lines(file), 1):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901  a byte order mark is no data
        if not raw.strip():
            continue
        try:
            text = _decoded(raw)
            yield Line(number=number, text=text, document=_document(text))
        except _BrokenError as broken:
            problem = Problem(code="line", field="", message=f"the line {broken}")
            told = RowProblem(line=number, column=broken.column, problem=problem)
            yield BadRow(line=number, problems=(told,))


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *file*; of one that is too long just enough to tell."""
    most = LONGEST_LINE + len(b"\r\n")
    while line := file.readline(most):
        rest = line
        while len(rest) == most and not rest.endswith(b"\n"):
            rest = file.readline(most)
        yield line


class _BrokenError(Exception):
    """A line that holds no object."""

    def __init__(self, column: int, message: str) -> None:
        self.column = column
        super().__init__(message)


def _decoded(raw: bytes) -> str:
    if len(raw.rstrip(b"\r\n")) > LONGEST_LINE:
        raise _BrokenError(1, f"is longer than {LONGEST_LINE} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _BrokenError(error.start + 1, "is not UTF-8; save the file as UTF-8") from None


def _document(text: str) -> dict[str, Json]:
    """Return a line's object without what counts as absent: null and `""`."""
    try:
        found = json.loads(text, object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except _DuplicateKeyError as error:
        column = text.rfind(json.dumps(error.key, ensure_ascii=False)) + 1
        raise _BrokenError(max(column, 1), f"has the key {error.key[:40]!r} twice") from None
    except JSONDecodeError as error:
        raise _BrokenError(error.colno, f"is not JSON: {error.msg}{_hint(text)}") from None
    except (ValueError, RecursionError) as error:
        raise _BrokenError(1, f"is not JSON: {error}"[:200]) from None
    if not isinstance(found, dict):
        raise _BrokenError(1, "must be a JSON object")
    return found


def _hint(text: str) -> str:
    line = text.strip()
    if line.startswith("["):
        return "; give one JSON object a line, not a list of them"
    return "; is there a comma behind it?" if line.endswith(",") else ""


class _DuplicateKeyError(Exception):
    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__()


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            raise _DuplicateKeyError(key)
        found[key] = value
    return {key: value for key, value in found.items() if value is not None and value != ""}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _column(text: str, field: str) -> int:
    """Return where the value of *field* begins, or what should hold it where it is missing."""
    at = _skip_blank(text, 0)
    for step in _STEP.findall(field):
        try:
            inner = _child(text, at, step)
        except (ValueError, IndexError, RecursionError):
            inner = None  # a key that looks like a path, or a depth that nobody needs a column of
        if inner is None:
            break
        at = inner
    return at + 1


def _child(text: str, at: int, step: str) -> int | None:
    """Return where the value of key or index *step* begins, in the JSON that begins at *at*."""
    decoder = _DECODER
    inside = _skip_blank(text, at + 1)
    if text[at] == "[" and step.isdecimal():
        for _ in range(int(step)):
            _, end = decoder.raw_decode(text, inside)
            inside = _skip_blank(text, _skip_blank(text, end) + 1)
        return inside
    while text[at] == "{" and text[inside] == '"':
        key, end = decoder.raw_decode(text, inside)
        value = _skip_blank(text, _skip_blank(text, end) + 1)
        if key == step:
            return value
        _, end = decoder.raw_decode(text, value)
        inside = _skip_blank(text, _skip_blank(text, end) + 1)
        if inside >= len(text):
            break
    return None


def _skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at
