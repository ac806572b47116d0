"""What a report says, as plain values: it is gathered once, and written in several forms.

Texts in it are on one line, without what does not print. Nothing here names a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from vtex_invoice_async.jobs.header import Header
from vtex_invoice_async.jobs.reasons import Reason
from vtex_invoice_async.jobs.samples import Sample
from vtex_invoice_async.outcome import State
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["Needy", "Report", "Row", "RunFacts", "Step"]


@frozen(kw_only=True)
class RunFacts:
    """A run over the journal."""

    id: int
    command: str
    began: str
    """ISO 8601, UTC."""

    ended: str | None
    exit_code: int | None
    goes_on: bool
    """Whether it has not ended and somebody is at work; else, without an end, it was cut off."""

    options: Mapping[str, str]
    """Those that say how it went about it, without those that were left alone."""

    counts: Mapping[str, int]
    """What it came to; empty where it was cut off."""


@frozen(kw_only=True)
class Row:
    """An invoice that a person has to look at."""

    order_id: str
    invoice_number: str
    type: InvoiceType
    value: int
    """Cents."""

    since: datetime | None
    """Since when it is in doubt."""

    attempts: int
    status: int | None
    code: str | None
    message: str | None
    line: int | None


@frozen(kw_only=True)
class Needy:
    """The invoices in one state that a person has to look at: the first of them."""

    state: State
    count: int
    rows: tuple[Row, ...]
    export: str
    """The command that writes all of them."""

    @property
    def more(self) -> int:
        """How many there are beside the rows."""
        return max(0, self.count - len(self.rows))


@frozen(kw_only=True)
class Step:
    """Something to do next."""

    why: str
    command: str


@frozen(kw_only=True)
class Report:
    """All that a report says."""

    journal: str
    header: Header
    run: int | None
    """The run that it is about; None where it is about all of the journal."""

    holder: str | None
    """Who works on the journal now."""

    counts: Mapping[State, int]
    runs: tuple[RunFacts, ...]
    """The last runs, the last one first."""

    earlier_runs: int
    """How many came before them."""

    total: Sample | None
    """What happened in all of these runs; None where there are no samples of them."""

    worked: float
    """Seconds of which there are samples: those in which something happened."""

    series: tuple[Sample, ...]
    """What happened over time, in their order."""

    reasons: tuple[Reason, ...]
    """Why invoices are not confirmed, the most urgent first."""

    more_reasons: int
    """How many are left out."""

    needy: tuple[Needy, ...]
    steps: tuple[Step, ...]

    @property
    def planned(self) -> int:
        """How many invoices there are."""
        return sum(self.counts.values())

    @property
    def confirmed(self) -> int:
        """How many of them VTEX has."""
        return self.counts.get(State.CONFIRMED, 0)
