"""Files of JSON lines, read strictly: one object a line, and what is wrong told by its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from typing import BinaryIO, Final, NoReturn

from attrs import frozen

from vtex_invoice_async.errors import Problem
from vtex_invoice_async.jobs.rows import BadRow, Json, RowProblem, broken_row

__all__ = ["LONGEST_LINE", "Line", "read_lines"]

# A row may be as long as the largest NF-e that it may embed.
LONGEST_LINE: Final = 2**20
_DECODER: Final = JSONDecoder()
_STEP = re.compile(r"[^.\[\]]+")
_BLANK = re.compile(r"[ \t\n\r]*")


@frozen(kw_only=True)
class Line:
    """A line that holds a JSON object."""

    number: int
    text: str
    document: dict[str, Json]
    """The object without what counts as absent: null and `""`. Whoever reads it may take it apart."""

    file: str | None = None

    def located(self, problem: Problem) -> RowProblem:
        """Return *problem* with the column of its field."""
        column = _column(self.text, problem.field)
        return RowProblem(file=self.file, line=self.number, column=column, problem=problem)


def read_lines(file: BinaryIO, name: str | None = None) -> Iterator[Line | BadRow]:
    """Yield each line of *file* that is not blank; *name* says which of several it is."""
    for number, raw in enumerate(_raw_lines(file), 1):
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")  # noqa: PLW2901  a byte order mark is no data
        if not raw.strip():
            continue
        try:
            text = _decoded(raw)
            yield Line(file=name, number=number, text=text, document=_document(text))
        except _BrokenError as broken:
            yield broken_row(name, number, broken.column, f"the line {broken}")


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
