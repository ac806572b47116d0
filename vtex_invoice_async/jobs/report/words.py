"""How figures and states are told to people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from vtex_invoice_async.jobs.report.facts import Report, RunFacts
from vtex_invoice_async.outcome import State

__all__ = [
    "MEANINGS",
    "SHOWN",
    "duration",
    "figures",
    "headline",
    "how_it_ended",
    "money",
    "scope_of",
    "sentence",
    "share",
    "started",
    "title",
    "when",
]

SHOWN: Final = (
    *(State.CONFIRMED, State.CONFLICT, State.IN_DOUBT, State.ABSENT, State.HELD),
    *(State.REJECTED, State.NOT_SENT, State.PLANNED),
)
"""The states in the order in which they are told."""

MEANINGS: Final[Mapping[State, str]] = {
    State.CONFIRMED: "VTEX recorded them",
    State.CONFLICT: "their orders show these numbers with other contents",
    State.IN_DOUBT: "VTEX may have recorded them: their orders have to be read first",
    State.ABSENT: "they were in doubt, and their orders do not show them",
    State.HELD: "they wait for another invoice of their order",
    State.REJECTED: "VTEX, or a rule, refused them: they have to be corrected",
    State.NOT_SENT: "nothing of them was recorded: they may be sent again",
    State.PLANNED: "they were never begun",
}

NEEDING: Final = (State.CONFLICT, State.IN_DOUBT, State.ABSENT, State.HELD, State.REJECTED)


def title(state: State) -> str:
    """Return what a state is called."""
    return "Never begun" if state is State.PLANNED else state.replace("_", " ").capitalize()


def sentence(state: State) -> str:
    """Return what a state means, as a sentence."""
    meaning = MEANINGS[state]
    return f"{meaning[0].upper()}{meaning[1:]}."


def money(cents: int) -> str:
    """Return cents with a decimal point; in which currency, the journal does not know."""
    sign, whole = "-" if cents < 0 else "", abs(cents)
    return f"{sign}{whole // 100:,}.{whole % 100:02}"


def share(count: int, total: int) -> str:
    """Return a share in percent, which is 100% and 0% only where it is all and nothing."""
    if not total or count in {0, total}:
        return "100%" if count and count == total else "0%"
    return f"{min(99.9, max(0.1, 100 * count / total)):.1f}%"


def duration(seconds: float | None) -> str:
    """Return a time as people say it."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{1_000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


def when(at: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return "-" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def how_it_ended(run: RunFacts) -> str:
    """Return how a run ended, if it did."""
    if run.ended is None:
        return "goes on" if run.goes_on else "was cut off"
    return f"exit code {run.exit_code}" if run.exit_code is not None else "ended"


def scope_of(report: Report) -> str:
    """Return what the report is about."""
    return "all runs" if report.run is None else f"run {report.run}"


def headline(report: Report) -> str:
    """Return how it stands, in one sentence."""
    if not report.planned:
        return "The journal holds no invoices of this run." if report.run else "No invoices yet."
    told = f"{report.confirmed:,} of {report.planned:,} invoices confirmed"
    needing = sum(report.counts.get(state, 0) for state in NEEDING)
    waiting = report.planned - report.confirmed - needing
    parts = [
        f"{needing:,} {'needs' if needing == 1 else 'need'} a look" if needing else "",
        f"{waiting:,} {'is' if waiting == 1 else 'are'} to be sent" if waiting else "",
    ]
    return "; ".join([told, *filter(None, parts)]) + "."


def figures(report: Report) -> list[tuple[str, str]]:
    """Return what the samples of the runs come to; nothing without samples."""
    total = report.total
    if total is None:
        return []
    worked = report.worked
    latency = [
        (f"{name} answered within", duration(total.latency.percentile(share)))
        for name, share in (("half", 0.5), ("95%", 0.95), ("99%", 0.99))
        if total.latency.counts
    ]
    counted = [
        ("attempts", total.attempts),
        ("found on their orders", total.confirmed_by_order),
        ("answers 429", total.throttled),
        ("attempts retried", total.retried),
        ("doubts", total.doubts_opened),
        ("doubts settled", total.doubts_settled),
    ]
    return [
        ("confirmed a second", f"{total.confirmed / worked:,.1f}" if worked else "-"),
        *latency,
        ("at work", duration(worked)),
        *[("limit found", f"{limit:,.1f} a second") for limit in [total.limit] if limit],
        *[(name, f"{count:,}") for name, count in counted if count],
    ]


def started(text: str) -> str:
    """Return a time of a run's, which is kept as text, without its zone: it is UTC."""
    return text.removesuffix("+00:00").replace("T", " ")
