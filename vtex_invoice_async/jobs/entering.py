"""How a plan's entries come into a journal, in the light of what that holds already."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from attrs import evolve, frozen

from vtex_invoice_async.jobs.job import Changes, Entering, Entry, anew, digest, entering
from vtex_invoice_async.jobs.store import Table
from vtex_invoice_async.outcome import State

__all__ = ["Entered", "enter"]

MOST_TOLD: Final = 50

PAGE: Final = 64
"""Entries that are in memory at a time: some hold an XML."""


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
    tally = _Tally(table, run)
    found = iter(entries)
    while page := list(islice(found, PAGE)):
        # That all are new is likely, and costs one statement to find out.
        if not table.add(page, run):
            for entry in page:
                tally.take(entry)
    return Entered(already_confirmed=tally.confirmed, refused=tally.refused, told=tuple(tally.told))


class _Tally:
    """What became of entries that were looked for one by one."""

    def __init__(self, table: Table, run: int) -> None:
        self.confirmed = self.refused = 0
        self.told: list[tuple[Entry, State]] = []
        self._table = table
        self._run = run

    def take(self, entry: Entry) -> None:
        table, content = self._table, digest(entry.body)
        known = table.find(entry.order_id, entry.invoice_number)
        if known is None:
            table.add([entry], self._run)
            return
        match entering(known, content):
            case Entering.PLAN:
                table.change(known, anew(entry, content, self._run))
            case Entering.SKIP:
                self.confirmed += known.state is State.CONFIRMED
                table.change(known, Changes(run=self._run, line=entry.line))
            case Entering.REFUSE:
                self.refused += 1
                if len(self.told) < MOST_TOLD:
                    self.told.append((evolve(entry, body=b""), known.state))
