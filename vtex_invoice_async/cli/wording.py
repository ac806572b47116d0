"""Text for people, measured in the cells of a terminal: shortened, wrapped, and fitted to a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

__all__ = [
    "Piece",
    "clip",
    "counted",
    "duration",
    "fitted",
    "joined",
    "one_line",
    "took",
    "wrapped",
]


def one_line(text: str, *, unicode: bool = True) -> str:
    """Return *text* as it may be shown: nothing in it moves the cursor, or is unknown to the terminal."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if unicode else shown.encode("ascii", "backslashreplace").decode()


def clip(text: str, width: int, *, unicode: bool = True) -> str:
    """Return *text* on at most *width* cells."""
    if cell_len(text) <= width:
        return text
    end = "…" if unicode else "..."[: max(width - 1, 0)]
    return set_cell_size(text, max(width - cell_len(end), 0)) + end if width > 0 else ""


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """Return seconds as a clock has them: 0:07, 12:31, 1:02:03."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


LIGHT: Final = 2
"""The weight of what may be left out."""


def took(seconds: float) -> str:
    """Return how long something took: 4.2 s, 12:31."""
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


@frozen
class Piece:
    """A part of a line, in the words that it has where there is room, and in fewer."""

    weight: int
    """Of two, the lighter one is shortened, and left out, first."""

    words: str
    short: str | None = None
    style: str = ""


def fitted(pieces: Sequence[Piece], width: int, gap: str, *, unicode: bool = True) -> Text:
    """Return as much of *pieces* as goes on *width* cells, in their order.

    What is light is left out before any words are shortened.
    """
    shown = {
        at: one_line(piece.words, unicode=unicode) for at, piece in enumerate(pieces) if piece.words
    }
    by_weight = sorted(shown, key=lambda at: pieces[at].weight)
    light = [at for at in by_weight if pieces[at].weight <= LIGHT]
    shorter = {
        at: one_line(pieces[at].short or words, unicode=unicode) for at, words in shown.items()
    }
    for at in (*light, None, *by_weight[len(light) : -1]):
        if cell_len(gap.join(shown.values())) <= width:
            break
        if at is None:
            shown = {left: shorter[left] for left in shown}
        else:
            del shown[at]
    line = joined([(words, pieces[at].style) for at, words in shown.items()], gap)
    if line.cell_len > width:
        return Text(clip(line.plain, width, unicode=unicode), style=pieces[by_weight[-1]].style)
    return line


def joined(parts: Sequence[tuple[str, str]], gap: str) -> Text:
    """Return words with their styles on one line."""
    line = Text()
    for words, style in parts:
        if line:
            line.append(gap)
        line.append(words, style=style)
    return line


def wrapped(text: str, width: int | None, indent: int) -> Iterator[str]:
    """Yield *text* in lines of *width* cells, all of them indented; in one where there is no width."""
    margin = " " * indent
    if width is None:
        yield margin + text
        return
    room = max(width - indent, 8)
    line = ""
    for word in _words(text, room):
        if line and cell_len(line) + 1 + cell_len(word) > room:
            yield margin + line
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield margin + line


def _words(text: str, room: int) -> Iterator[str]:
    """Yield words, those in pieces that are too long for a line."""
    for word in text.split():
        yield from chop_cells(word, room) if cell_len(word) > room else [word]
