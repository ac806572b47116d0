"""How a plan's entries come into a journal, in the light of what that holds already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import evolve, frozen

from vtex_invoice_async.jobs.job import Entering, Entry, Record, digest, entering
from vtex_invoice_async.jobs.store import Table
from vtex_invoice_async.outcome import State

__all__ = ["Entered", "enter"]

MOST_TOLD: Final = 50


@frozen(kw_only=True)
class Entered:
    """What became of a plan's entries."""

    already_confirmed: int = 0
    refused: int = 0
    """Those that the journal holds with other contents; they are not in the run."""

    told: tuple[tuple[Entry, State], ...] = ()
    """The first of the refused, and how the journal holds them."""


def enter(table: Table, entries: Iterable[Entry], run: int) -> Entered:
    """Take entries in, as a *run*'s."""
    confirmed = refused = 0
    told: list[tuple[Entry, State]] = []
    for entry in entries:
        content = digest(entry.body)
        known = table.find(entry.order_id, entry.invoice_number)
        if known is None:
            table.add(_planned(entry, content, run))
            continue
        match entering(known, content):
            case Entering.PLAN:
                anew = _planned(entry, content, run)
                table.replace(known, evolve(anew, attempts=known.attempts))
            case Entering.SKIP:
                confirmed += known.state is State.CONFIRMED
                table.replace(known, evolve(known, run=run, line=entry.line))
            case Entering.REFUSE:
                refused += 1
                if len(told) < MOST_TOLD:
                    told.append((evolve(entry, body=b""), known.state))
    return Entered(already_confirmed=confirmed, refused=refused, told=tuple(told))


def _planned(entry: Entry, content: bytes, run: int) -> Record:
    return Record(
        seq=0,
        change=0,
        run=run,
        order_id=entry.order_id,
        invoice_number=entry.invoice_number,
        type=entry.type,
        value=entry.value,
        orders_api=entry.orders_api,
        line=entry.line,
        content=content,
        body=entry.body,
    )
