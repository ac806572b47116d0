"""A journal read into a report, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from vtex_invoice_async.errors import ConfigError, printable
from vtex_invoice_async.jobs.job import Record
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.reasons import Place, Reason
from vtex_invoice_async.jobs.report.facts import Needy, Report, Row, RunFacts
from vtex_invoice_async.jobs.report.next_steps import Commands, steps
from vtex_invoice_async.jobs.report.series import Series
from vtex_invoice_async.jobs.samples import Sample
from vtex_invoice_async.jobs.store import RunRecord
from vtex_invoice_async.outcome import State

__all__ = ["gather"]

MOST_ROWS: Final = 50
"""Invoices that a table lists; the others are counted."""

MOST_RUNS: Final = 20
MOST_REASONS: Final = 40
LONGEST: Final = 500
"""Characters of one text."""

LONGEST_CODE: Final = 80

NEEDY: Final = (State.CONFLICT, State.IN_DOUBT, State.ABSENT, State.HELD, State.REJECTED)
"""The states that a person has to look at, the most urgent first."""

OPTIONS: Final = ("concurrency", "rate", "timeout", "settle_window", "resend_input")


async def gather(journal: Journal, *, run: int | None = None, holder: str | None = None) -> Report:
    """Return what an open *journal* says of a run, or of all that it knows.

    A run that sent a file is about the invoices of that file; any other, about all. *holder* says who
    works on the journal. Raises `ConfigError` where there is no such run.
    """
    name = journal.name or "in memory"
    last = await journal.runs(MOST_RUNS if run is None else 1_000_000)
    shown = list(last if run is None else [found for found in last if found.id == run])
    if run is not None and not shown:
        raise ConfigError(f"{name} has no run {run}; it has {_numbers(last)}")
    # What a `resume` goes on with stays with the run that sent it.
    scope = run if shown and shown[0].command == "send" else None
    counts = await journal.counts(scope)
    reasons = tuple(_plain_reason(found) for found in await journal.reasons(scope))
    commands = Commands(name, journal.header, await _dialect(journal))
    series, total, worked = await _series(journal, shown)
    return Report(
        journal=printable(name, LONGEST),
        header=journal.header,
        run=run,
        holder=holder,
        counts={state: counts[state] for state in State if counts[state]},
        runs=tuple(_run(found, is_held=holder is not None and found is last[0]) for found in shown),
        earlier_runs=shown[-1].id - 1 if shown and run is None else 0,
        total=total,
        worked=worked,
        series=tuple(series),
        reasons=reasons[:MOST_REASONS],
        more_reasons=max(0, len(reasons) - MOST_REASONS),
        needy=tuple(
            [
                await _needy(journal, state, counts[state], scope, commands)
                for state in NEEDY
                if counts[state]
            ]
        ),
        steps=tuple(steps(counts, commands, reasons, is_held=holder is not None)),
    )


def _numbers(runs: Sequence[RunRecord]) -> str:
    return f"those from {runs[-1].id} to {runs[0].id}" if runs else "none yet"


async def _dialect(journal: Journal) -> str | None:
    """Return the dialect that its invoices are written in, where the family does not say it."""
    if journal.header.family == "oms":
        return None
    async for record in journal.records():
        return str(record.orders_api)
    return None


async def _series(
    journal: Journal, runs: Sequence[RunRecord]
) -> tuple[Sequence[Sample], Sample | None, float]:
    """Return the samples of *runs* over time, all of them as one, and how long they were."""
    wanted = {found.id for found in runs}
    series = Series()
    total: Sample | None = None
    worked = 0.0
    async for sample in journal.samples(next(iter(wanted)) if len(wanted) == 1 else None):
        if sample.run in wanted:
            series.add(sample)
            worked += sample.seconds
            total = sample if total is None else total.then(sample)
    return series.found, total, worked


def _run(found: RunRecord, *, is_held: bool) -> RunFacts:
    counts = {
        _plain(name): count
        for name, count in (found.counts or {}).items()
        if type(count) is int and name != "exit_code"
    }
    code = (found.counts or {}).get("exit_code")
    return RunFacts(
        id=found.id,
        command=_plain(found.command),
        began=_plain(found.started_at),
        ended=None if found.ended_at is None else _plain(found.ended_at),
        exit_code=code if isinstance(code, int) else None,
        goes_on=is_held and found.ended_at is None,
        options=_options(found.options),
        counts=counts,
    )


def _options(given: Mapping[str, Any]) -> Mapping[str, str]:
    told = {name: given.get(name) for name in OPTIONS}
    return {
        name: _plain(str(value))
        for name, value in told.items()
        if value is not None and value is not False
    }


def _plain(text: str) -> str:
    return printable(text, LONGEST)


def _text(text: str | None, limit: int = LONGEST) -> str | None:
    return None if text is None else printable(text, limit)


def _plain_reason(reason: Reason) -> Reason:
    first = tuple(
        Place(
            line=place.line,
            order_id=_plain(place.order_id),
            invoice_number=_plain(place.invoice_number),
        )
        for place in reason.first
    )
    return evolve(
        reason, code=_text(reason.code, LONGEST_CODE), message=_text(reason.message), first=first
    )


async def _needy(
    journal: Journal, state: State, count: int, run: int | None, commands: Commands
) -> Needy:
    rows: list[Row] = []
    async for record in journal.records({state}):
        if run in {None, record.run}:
            rows.append(_row(record))
        if len(rows) == MOST_ROWS:
            break
    return Needy(state=state, count=count, rows=tuple(rows), export=commands.export(state))


def _row(record: Record) -> Row:
    return Row(
        order_id=_plain(record.order_id),
        invoice_number=_plain(record.invoice_number),
        type=record.type,
        value=record.value,
        since=record.since,
        attempts=record.attempts,
        status=record.status,
        code=_text(record.code, LONGEST_CODE),
        message=_text(record.message),
        line=record.line,
    )
