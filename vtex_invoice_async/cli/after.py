"""What a run over a journal came to, for people: the table, the reasons, and what to do next."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from attrs import frozen
from rich.console import Console
from rich.text import Text

from vtex_invoice_async.cli.commands import free_name
from vtex_invoice_async.cli.display import shows_unicode, width_of
from vtex_invoice_async.cli.ending import Figure, NextStep, next_lines, reason_lines, table_lines
from vtex_invoice_async.cli.wording import one_line, took, wrapped
from vtex_invoice_async.jobs.reasons import Reason, sent_twice
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.throttle import Pace

__all__ = ["Ended", "figures", "headline", "say", "steps", "tell"]


@frozen(kw_only=True)
class Ended:
    """How a run ended, in what people want to know of it."""

    counts: Mapping[str, int]
    """By the names that `--json` has."""

    elapsed: float = 0
    pace: Pace | None = None
    never_begun: int = 0
    """Those of what was not sent that nothing keeps from going."""

    reasons: Sequence[Reason] = ()
    note: str = ""
    """What else is to be known."""

    next_: Sequence[NextStep] = ()
    has_run: bool = True
    """Whether anything may have been sent: what was refused before that needs no table."""

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to be said but that."""
        counts = self.counts
        good = counts["confirmed"] + counts.get("skipped", 0)
        return 0 < counts["planned"] == good and not counts.get("invalid")


def tell(ended: Ended, title: str, console: Console, *, quiet: bool) -> None:
    """Tell how a run ended; *quiet*, only what somebody has to see to."""
    width, unicode = width_of(console), shows_unicode(console)
    blocks: list[Iterator[Text]] = []
    if ended.is_well and not quiet:
        blocks.append(iter([Text(one_line(headline(ended, title), unicode=unicode))]))
    elif ended.has_run and ended.counts["planned"] and not quiet:
        headed = f"{title} in {took(ended.elapsed)}" if ended.elapsed else title
        blocks.append(table_lines(headed, figures(ended), width, unicode=unicode))
    if ended.reasons:
        more = "`vtex-invoice report` has them all"
        blocks.append(reason_lines(ended.reasons, width, more=more, unicode=unicode))
    if ended.note and not quiet:
        blocks.append(map(Text, wrapped(ended.note, width, 0)))
    if ended.next_ and not (quiet and ended.is_well):
        blocks.append(next_lines(ended.next_, width))
    for at, block in enumerate(blocks):
        # What was said before a run that never began stands apart, too.
        if at or not ended.has_run:
            console.print()
        say(block, console)


def say(lines: Iterator[Text], console: Console) -> None:
    """Print lines as they are: what is to be copied must not be broken."""
    for line in lines:
        console.print(line, soft_wrap=True)


def headline(ended: Ended, title: str) -> str:
    """Return the one line that is said where all is well."""
    counts = ended.counts
    planned = counts["planned"]
    all_ = f"all {planned:,}" if planned > 1 else "1"
    before = counts.get("already_confirmed", 0) + counts.get("skipped", 0)
    if before == planned:
        known = "their orders show it" if "skipped" in counts else "the journal has it"
        return f"{title}: {all_} confirmed before, as {known}; nothing was sent."
    remarks = [*([f"in {took(ended.elapsed)}"] if ended.elapsed else []), *_rates(ended)]
    if before:
        remarks.append(f"{before:,} of them before this run")
    if found := counts.get("confirmed_by_order", 0):
        remarks.append(f"{found:,} found on {'its order' if found == 1 else 'their orders'}")
    return f"{title}: {all_} confirmed{' ' if remarks else ''}{', '.join(remarks)}."


def figures(ended: Ended) -> Sequence[Figure]:
    """Return the rows of the table: what is not 0."""
    counts = ended.counts
    remarks = {
        "confirmed": _confirmed(counts),
        "skipped": "their orders show it already",
        "not_sent": _never_begun(ended.never_begun, counts["not_sent"]),
        "held": "wait for another invoice of their order",
        "absent": "not on their orders",
        "conflict": "there with other contents",
        "invalid": "rows that cannot be sent",
        "duplicates": "rows that repeat another one",
    }
    found = [
        Figure(name.replace("_", " "), f"{count:,}", remarks.get(name, ""))
        for name, count in counts.items()
        if name not in {"confirmed_by_order", "already_confirmed"}
        and (count or name in {"planned", "confirmed"})
    ]
    if rates := _rates(ended):
        found.append(Figure("mean rate", rates[0], ", ".join(rates[1:])))
    pace = ended.pace
    if pace is not None and pace.throttled:
        found.append(Figure("429s", f"{pace.throttled:,}", "VTEX asked to slow down"))
    if pace is not None and pace.retried:
        found.append(Figure("retries", f"{pace.retried:,}", "VTEX had not acted on them"))
    return found


def _never_begun(count: int, of: int) -> str:
    if not count:
        return ""
    return "never begun" if count == of else f"{count:,} of them never begun"


def _confirmed(counts: Mapping[str, int]) -> str:
    remarks = []
    if found := counts.get("confirmed_by_order", 0):
        remarks.append(f"{found:,} found on {'its order' if found == 1 else 'their orders'}")
    if before := counts.get("already_confirmed", 0):
        remarks.append(f"{before:,} confirmed before")
    return ", ".join(remarks)


def _rates(ended: Ended) -> Sequence[str]:
    """Return how fast it went, and what the account takes."""
    done = ended.counts["confirmed"] + ended.counts["rejected"]
    done -= ended.counts.get("already_confirmed", 0)
    if done <= 0 or ended.elapsed < 1:
        return ()
    rate = done / ended.elapsed
    limit = None if ended.pace is None else ended.pace.limit
    takes = (f"VTEX takes about {limit:,.0f}/s",) if limit is not None else ()
    return (f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s", *takes)


_OPEN: Final = ("not_sent", "in_doubt", "absent", "held", "rejected", "conflict")
"""Those that somebody has to see to; a run goes on with the first four."""


def steps(
    counts: Mapping[str, int],
    code: int,
    command: Callable[..., str],
    reasons: Sequence[Reason] = (),
    *,
    exists: Callable[[str], bool] = os.path.lexists,
) -> Iterator[NextStep]:
    """Yield what there is to do for a journal with such *counts*; *command* says how it is typed.

    That is called with the name of a command, and with words to go behind it.
    """
    counts = {**counts, "absent": counts.get("absent", 0) - sent_twice(reasons)}
    if code == Exit.UNAUTHORIZED:
        yield NextStep("See what the credentials may do", [command("doctor")])
    elif code == Exit.UNANSWERED:
        yield NextStep("See why VTEX does not answer", [command("doctor")])
    if not reasons and not any(counts.get(name) for name in _OPEN):
        return
    if going := [name for name in _OPEN[:4] if counts.get(name)]:
        left = ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in going)
        yield NextStep(f"Go on with what is left ({left})", [command("resume")])
    if counts.get("in_doubt"):
        yield NextStep("Or only find out what became of what is in doubt", [command("resolve")])
    if counts.get("rejected"):
        name = free_name("rejected", ".jsonl", exists)
        export = f"{command('export', '--state', 'rejected')} > {name}"
        yield NextStep(
            f"Correct what VTEX rejected in {name}, and send that", [export, command("send", name)]
        )
    if counts.get("conflict"):
        name = free_name("conflict", ".jsonl", exists)
        export = f"{command('export', '--state', 'conflict')} > {name}"
        yield NextStep("Look at what is there with other contents", [export])
    # Of what was never begun there is nothing to see.
    if counts["confirmed"] or any(name != "not_sent" and counts.get(name) for name in _OPEN):
        page = free_name("run", ".html", exists)
        yield NextStep("See all of it on one page", [command("report", "-o", page)])
