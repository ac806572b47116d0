"""A report as Markdown, for a ticket or a chat: without charts, and with few rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from vtex_invoice_async.jobs.report.facts import Needy, Report
from vtex_invoice_async.jobs.report.words import (
    MEANINGS,
    SHOWN,
    figures,
    headline,
    how_it_ended,
    money,
    scope_of,
    share,
    started,
    title,
    when,
)

__all__ = ["as_markdown"]

MOST_ROWS: Final = 20
MARKUP: Final = re.compile(r"[\\`*_\[\]<>#|~&$]")
"""What may be markup within a line."""

LINKS: Final = (
    (re.compile("://"), "&#58;//"),
    (re.compile("(?i)www\\."), "www&#46;"),
    (re.compile("@"), "&#64;"),
)
"""What GitHub makes a link or a mention of."""


def as_markdown(report: Report) -> str:
    """Return *report* as Markdown (GitHub's)."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    header = report.header
    yield f"# Invoices of {_text(header.account)}"
    yield ""
    yield f"**{_text(headline(report))}**"
    yield ""
    yield f"{_code(header.origin)} ({_text(header.family)}), {scope_of(report)}; journal {_code(report.journal)}"
    if report.holder is not None:
        yield ""
        yield f"A run holds it: {_text(report.holder)}. The figures are those of a moment."
    yield from _table(
        "Outcomes",
        ("state", "invoices", "share", "what it means"),
        [
            (title(s), f"{n:,}", share(n, report.planned), MEANINGS[s])
            for s in SHOWN
            if (n := report.counts.get(s, 0))
        ],
    )
    yield from _steps(report)
    yield from _reasons(report)
    for needy in report.needy:
        yield from _needy(needy)
    yield from _table("How it went", ("figure", "value"), figures(report))
    yield from _runs(report)


def _steps(report: Report) -> Iterator[str]:
    if not report.steps:
        return
    yield from ("", "## What to do next", "")
    for step in report.steps:
        yield f"- {_text(step.why)}"
        yield f"  {_code(step.command)}"


def _reasons(report: Report) -> Iterator[str]:
    yield from _table(
        "Why",
        ("state", "status", "code", "message", "invoices", "what to do"),
        [
            (title(r.state), r.status, r.code, r.message, f"{r.count:,}", r.advice)
            for r in report.reasons
        ],
    )
    if report.more_reasons:
        yield from ("", f"And {report.more_reasons:,} more reasons.")


def _needy(needy: Needy) -> Iterator[str]:
    names = ("order", "invoice", "type", "value", "since", "attempts", "answer", "message", "line")
    shown = needy.rows[:MOST_ROWS]
    rows = [
        (
            *(row.order_id, row.invoice_number, row.type, money(row.value)),
            *(when(row.since), row.attempts),
            " ".join(str(word) for word in (row.status, row.code) if word is not None),
            *(row.message, row.line),
        )
        for row in shown
    ]
    yield from _table(f"{title(needy.state)}: {needy.count:,}", names, rows)
    if left := needy.count - len(shown):
        yield from ("", f"And {left:,} more: {_code(needy.export)}")


def _runs(report: Report) -> Iterator[str]:
    yield from _table(
        "Runs",
        ("run", "command", "began", "ended", "how", "options"),
        [
            (
                *(
                    run.id,
                    run.command,
                    started(run.began),
                    started(run.ended or ""),
                    how_it_ended(run),
                ),
                ", ".join(f"{name} {value}" for name, value in run.options.items()),
            )
            for run in report.runs
        ],
    )
    if report.earlier_runs:
        yield from ("", f"And {report.earlier_runs:,} earlier runs.")


def _table(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[str | int | None]]
) -> Iterator[str]:
    found = list(rows)
    if not found:
        return
    yield from ("", f"## {_text(name)}", "")
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in found:
        yield f"| {' | '.join('' if cell is None else _text(str(cell)) for cell in row)} |"


def _text(text: str) -> str:
    """Return *text* as words that nothing in is markup; it is on one line already."""
    text = MARKUP.sub(r"\\\g<0>", text)
    for pattern, instead in LINKS:
        text = pattern.sub(instead, text)
    return text


def _code(text: str) -> str:
    """Return *text* as code, on one line, within more backticks than are in it."""
    text = " ".join(text.splitlines())
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"
