"""What a run tells of itself as it goes."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from vtex_invoice_async.errors import VtexInvoiceError
from vtex_invoice_async.jobs.job import Entry, Facts, Record
from vtex_invoice_async.outcome import State

__all__ = ["Event", "Lost", "Moved", "Refused", "Stopped"]


@frozen(kw_only=True)
class Moved:
    """An invoice got somewhere, and that is on disk."""

    record: Record
    error: VtexInvoiceError | None = None


@frozen(kw_only=True)
class Lost:
    """It is known how it stands with an invoice, and it could not be written down."""

    record: Record
    state: State
    facts: Facts


@frozen(kw_only=True)
class Refused:
    """The journal holds an invoice with other contents: the plan's are not sent."""

    entry: Entry
    state: State


@frozen(kw_only=True)
class Stopped:
    """Nothing more is sent."""

    reason: str
    for_good: bool
    """Whether nothing more is read either."""


Event: TypeAlias = Moved | Lost | Refused | Stopped
