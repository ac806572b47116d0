"""What there is to see of something that takes its time, as lines of a terminal or of a log.

Pure: how it stands at one moment is a value, and so is what is shown of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import field, frozen
from rich.text import Text

from vtex_invoice_async.cli.wording import Piece, clip, counted, duration, fitted, one_line
from vtex_invoice_async.throttle import Pace

__all__ = ["SHORTEST_PAUSE", "STYLES", "Facts", "in_a_line", "in_two_lines", "pace_words"]

STYLES: Final[Mapping[str, str]] = {
    "confirmed": "green",
    "skipped": "green",
    "rejected": "red",
    "conflict": "red",
    "invalid": "red",
    "problems": "red",
    "in doubt": "yellow",
    "absent": "yellow",
    "held": "yellow",
    "warnings": "yellow",
    "not sent": "yellow",
}
"""The colour of an outcome; words say all that it says."""

_SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "confirmed": ("✓", "+"),
    "skipped": ("✓", "="),
    "rejected": ("✗", "x"),
    "problems": ("✗", "x"),
    "in doubt": ("?", "?"),
    "in flight": ("→", ">"),
}
"""What stands for an outcome where there is no room for the word."""

_BAR: Final = 40
_SHORTEST_BAR: Final = 8
SHORTEST_PAUSE: Final = 2.0
"""Seconds; less than that is how a limit is kept to."""


@frozen(kw_only=True)
class Facts:
    """How it stands."""

    phase: str
    done: int = 0
    total: int | None = None
    """None where nobody knows yet."""

    share: float | None = None
    """How much of it is done, from 0 to 1, where that is not `done` of `total`."""

    unit: str = ""
    """What is counted, where that has to be said: `row`."""

    counts: Mapping[str, int] = field(factory=dict)
    """By outcome, and what is in flight."""

    pace: str = ""
    """How fast it goes, or what holds it up."""

    waits: str = ""
    """What it waits for."""

    retried: int = 0
    throttled: int = 0
    """429s."""

    elapsed: float = 0
    left: float | None = None
    """Seconds until it is over, where they can be known."""

    @property
    def part(self) -> float | None:
        """How much of it is done, from 0 to 1."""
        if self.share is not None:
            return min(max(self.share, 0.0), 1.0)
        return min(self.done / self.total, 1.0) if self.total else None


def in_two_lines(facts: Facts, width: int, *, unicode: bool) -> Sequence[Text]:
    """Return two lines at most, none of them as wide as *width*, which no terminal wraps then."""
    room = max(width - 1, 1)
    first, second = _first(facts, room, unicode=unicode), _second(facts, room, unicode=unicode)
    return [first, second] if second else [first]


def in_a_line(facts: Facts) -> str:
    """Return the same on one line of a log, worded the same each time."""
    done = f"{facts.done:,}" if facts.total is None else f"{facts.done:,} of {facts.total:,}"
    unit = _unit(facts)
    counts = [_outcome(name, count) for name, count in facts.counts.items() if count]
    left = "" if facts.left is None else f", {duration(facts.left)} left"
    parts = [
        f"{done}{unit}{_percent(facts, ' (', ')')}",
        ", ".join(counts),
        facts.waits,
        facts.pace,
        ", ".join(_hold_ups(facts)),
        f"{duration(facts.elapsed)} so far{left}",
    ]
    return one_line(f"{facts.phase}: {'; '.join(part for part in parts if part)}")


def pace_words(pace: Pace, rate: float | None, given: float | None) -> str:
    """Say how fast is sent against what the account takes, or why nothing is.

    *rate* is what goes through a second, *given* what the user allows.
    """
    if not pace.is_answered:
        return "VTEX does not answer; trying again"
    if pace.closed_for >= SHORTEST_PAUSE:
        return f"paused {pace.closed_for:.0f} s: VTEX asked to wait"
    if rate is None:
        return ""
    now = f"{_rate(rate)}/s"
    if given is not None:
        return f"{now} of {_rate(given)}/s given"
    return f"{now}, limit not met yet" if pace.limit is None else f"{now} of ~{_rate(pace.limit)}/s"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _first(facts: Facts, room: int, *, unicode: bool) -> Text:
    """Return the phase, a bar, and times."""
    phase = clip(one_line(facts.phase, unicode=unicode), room, unicode=unicode)
    total = "" if facts.total is None else f"/{facts.total:,}"
    done = f"{facts.done:,}{total}"
    left = "" if facts.left is None else f"ETA {duration(facts.left)}"
    pieces = [
        Piece(6, phase, style="bold"),
        Piece(4, f"{done}{_unit(facts)}", done),
        Piece(5, _percent(facts)),
        Piece(2, duration(facts.elapsed), style="dim"),
        Piece(3, left),
    ]
    line = fitted(pieces, room, "  ", unicode=unicode)
    # As wide as it will be: what stands behind the bar need not move.
    grows = max(2 * len(total) - 1 - len(done), 0)
    part, free = facts.part, min(room - line.cell_len - 2 - grows, _BAR)
    if part is None or free < _SHORTEST_BAR or not line.plain.startswith(phase):
        return line
    at = len(phase)
    bar = _bar(part, free, unicode=unicode)
    return Text.assemble(line[:at], "  ", bar, " " * grows, line[at:])


def _bar(part: float, width: int, *, unicode: bool) -> Text:
    full = int(part * width)
    done, rest = ("━", "─") if unicode else ("#", "-")
    return Text.assemble((done * full, "green"), (rest * (width - full), "dim"))


def _unit(facts: Facts) -> str:
    return f" {facts.unit}{'' if facts.done == 1 else 's'}" if facts.unit else ""


def _percent(facts: Facts, before: str = "", after: str = "") -> str:
    # All but the last of a million is not 100 %.
    return "" if facts.part is None else f"{before}{int(100 * facts.part)}%{after}"


def _second(facts: Facts, room: int, *, unicode: bool) -> Text:
    """Return the counts, how fast it goes, and what holds it up."""
    pieces = [
        *_outcomes(facts, unicode=unicode),
        # What holds everything up comes before what goes on anyway.
        Piece(9, facts.waits, facts.waits.partition(":")[0], "yellow"),
        Piece(8, facts.pace, facts.pace.partition(",")[0].partition(":")[0], "cyan"),
        *(Piece(2, words, style="dim") for words in _hold_ups(facts)),
    ]
    gap = " · " if unicode else " | "
    has_any = any(piece.words for piece in pieces)
    return fitted(pieces, room, gap, unicode=unicode) if has_any else Text()


def _outcomes(facts: Facts, *, unicode: bool) -> Iterator[Piece]:
    for name, count in facts.counts.items():
        if count:
            weight = {"confirmed": 5, "in flight": 3}.get(name, 7)
            sign = _SIGNS.get(name, (f"{name} ",) * 2)[not unicode]
            yield Piece(weight, _outcome(name, count), f"{sign}{count:,}", STYLES.get(name, ""))


def _outcome(name: str, count: int) -> str:
    is_one = count == 1 and name in {"problems", "warnings"}
    return f"{count:,} {name.removesuffix('s') if is_one else name}"


def _hold_ups(facts: Facts) -> Sequence[str]:
    retries = counted(facts.retried, "retry", "retries") if facts.retried else ""
    throttled = f"{facts.throttled:,} x 429" if facts.throttled else ""
    return [words for words in (retries, throttled) if words]
