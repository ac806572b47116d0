"""How a run ended, in counts, and the exit code that they amount to."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import Any

from attrs import asdict, frozen

from vtex_invoice_async.errors import JournalBusy, JournalError, JournalFailed
from vtex_invoice_async.outcome import State

__all__ = ["Ending", "Exit", "Summary", "by_state", "exit_code", "exit_of"]


class Exit(IntEnum):
    """What the command line ends with; 128 and more are signals."""

    CONFIRMED = 0
    USAGE = 2
    REJECTED = 3
    IN_DOUBT = 4
    BAD_INPUT = 65
    UNANSWERED = 69
    INTERNAL = 70
    DISK = 74
    NOT_SENT = 75
    UNAUTHORIZED = 77


@frozen(kw_only=True)
class Ending:
    """What cut a run short, if anything did."""

    failed: Exit | None = None
    """What could not be gone on from: a bug of ours, or a journal."""

    unauthorized: bool = False
    """VTEX refused the credentials or their role."""

    unanswered: bool = False
    """VTEX never answered."""

    signal: int | None = None
    """The signal that interrupted it."""


@frozen(kw_only=True)
class Summary:
    """The counts of a run: each planned invoice is in just one of the states after `planned`."""

    planned: int = 0
    confirmed: int = 0
    confirmed_by_order: int = 0
    """Those of the confirmed that were found by reading the order."""

    already_confirmed: int = 0
    """Those of the confirmed that an earlier run had confirmed."""

    rejected: int = 0
    not_sent: int = 0
    in_doubt: int = 0
    absent: int = 0
    conflict: int = 0
    held: int = 0
    invalid: int = 0
    """Rows that could not be sent; outside the plan, as duplicates are."""

    duplicates: int = 0
    elapsed_s: float = 0
    journal: str | None = None
    exit_code: int = 0

    @property
    def counts(self) -> dict[str, Any]:
        """All of it, by name."""
        return asdict(self)


def by_state(counts: Counter[State]) -> dict[str, int]:
    """Return how many invoices there are, and each of them in just one of the states that are told.

    What was never begun was not sent.
    """
    told = (state for state in State if state not in {State.PLANNED, State.INVALID})
    found = {str(state): counts[state] for state in told}
    found[State.NOT_SENT] += counts[State.PLANNED]
    return {"planned": counts.total(), **found}


def exit_of(error: Exception) -> Exit:
    """Return the code of what a run cannot go on from."""
    match error:
        case JournalFailed():
            return Exit.DISK
        case JournalBusy():
            return Exit.NOT_SENT
        case JournalError():
            return Exit.BAD_INPUT
        case _:
            return Exit.INTERNAL


def exit_code(summary: Summary, ending: Ending) -> int:
    """Return the code that says the most: who must act comes before who may wait."""
    if ending.failed in {Exit.INTERNAL, Exit.DISK}:
        return ending.failed
    if ending.unauthorized:
        return Exit.UNAUTHORIZED
    if ending.signal is not None:
        return 128 + ending.signal
    if summary.in_doubt or summary.absent or summary.conflict or summary.held:
        return Exit.IN_DOUBT
    if ending.failed is not None:
        return ending.failed
    if ending.unanswered:
        return Exit.UNANSWERED
    if summary.not_sent:
        return Exit.NOT_SENT
    return Exit.REJECTED if summary.rejected or summary.invalid else Exit.CONFIRMED
