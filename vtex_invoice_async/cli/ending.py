"""How a command ends, as text: what it came to, why not all is well, and what to type next.

Pure: from counts and reasons to lines. What is to be copied stands alone on its line, and is never
wrapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen
from rich.text import Text

from vtex_invoice_async.cli.facts import STYLES
from vtex_invoice_async.cli.wording import clip, counted, one_line, wrapped
from vtex_invoice_async.jobs.reasons import Place, Reason

__all__ = ["Figure", "NextStep", "next_lines", "reason_lines", "table_lines"]

SHOWN_KINDS: Final = 10
LONGEST_MESSAGE: Final = 500


@frozen
class Figure:
    """A row of the table."""

    name: str
    value: str
    remark: str = ""


@frozen
class NextStep:
    """What to do next: what for, and the commands to type."""

    what_for: str
    commands: Sequence[str]


def table_lines(
    title: str, figures: Sequence[Figure], width: int | None, *, unicode: bool
) -> Iterator[Text]:
    """Yield a table of what it came to."""
    yield Text(clip(one_line(title, unicode=unicode), width or 10_000, unicode=unicode), "bold")
    names = max((len(figure.name) for figure in figures), default=0)
    values = max((len(figure.value) for figure in figures), default=0)
    for figure in figures:
        line = Text(f"  {figure.name:{names}}  ")
        line.append(f"{figure.value:>{values}}", STYLES.get(figure.name, ""))
        if figure.remark:
            room = (width or 10_000) - line.cell_len - 2
            line.append(f"  {clip(figure.remark, room, unicode=unicode)}", "dim")
        yield line


def reason_lines(
    reasons: Sequence[Reason], width: int | None, *, more: str, unicode: bool
) -> Iterator[Text]:
    """Yield why not all is confirmed: the same reason once; *more* is what tells of all of them."""
    if not reasons:
        return
    yield Text("Why:", "bold")
    for reason in reasons[:SHOWN_KINDS]:
        name = str(reason.state).replace("_", " ")
        head, *rest = wrapped(_words(reason, name, unicode=unicode), width, 2)
        at = len(f"  {reason.count:,} {name}")
        yield Text.assemble((head[:at], STYLES.get(name, "")), head[at:])
        yield from map(Text, rest)
        for line in wrapped(_places(reason, unicode=unicode), width, 6):
            yield Text(line, "dim")
        for line in wrapped(reason.advice, width, 6):
            yield Text(line)
    if len(reasons) > SHOWN_KINDS:
        rest_of_them = reasons[SHOWN_KINDS:]
        kinds = counted(len(rest_of_them), "more kind")
        count = sum(reason.count for reason in rest_of_them)
        yield Text(f"  and {kinds}, {count:,} in all: {more}")


def next_lines(steps: Sequence[NextStep], width: int | None) -> Iterator[Text]:
    """Yield what to do next; a command is indented more than what it is for."""
    if steps:
        yield Text("Next:", "bold")
    for step in steps:
        yield from map(Text, wrapped(f"{step.what_for}:", width, 2))
        for command in step.commands:
            yield Text(f"    {command}", "cyan")


def _words(reason: Reason, name: str, *, unicode: bool) -> str:
    code = " ".join(
        str(part) for part in (reason.status, reason.code) if part is not None and part != ""
    )
    message = "" if reason.message is None else reason.message[:LONGEST_MESSAGE]
    if reason.code is not None:
        # VTEX's own words begin with it more often than not.
        message = message.removeprefix(f"{reason.code}: ")
    told = (
        f"{reason.count:,} {name}{f' ({code})' if code else ''}{f': {message}' if message else ''}"
    )
    return one_line(told, unicode=unicode)


def _places(reason: Reason, *, unicode: bool) -> str:
    told = "; ".join(map(_place, reason.first))
    more = reason.count - len(reason.first)
    return one_line(told + (f"; and {more:,} more" if more > 0 else ""), unicode=unicode)


def _place(place: Place) -> str:
    line = "" if place.line is None else f"line {place.line:,}, "
    return f"{line}order {place.order_id}, invoice {place.invoice_number}"
