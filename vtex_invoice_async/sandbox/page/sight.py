"""What there is to see: the parts of a sandbox, at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import field, frozen

from vtex_invoice_async.sandbox.book import OrderBook
from vtex_invoice_async.sandbox.faults import FaultPlan
from vtex_invoice_async.sandbox.limit import Limit
from vtex_invoice_async.sandbox.log import Log
from vtex_invoice_async.sandbox.rules import Rules

__all__ = ["Sight"]


@frozen(kw_only=True)
class Sight:
    """A sandbox as it is *now*."""

    now: datetime
    account: str
    book: OrderBook
    plan: FaultPlan
    log: Log
    limit: Limit | None
    revoked: bool
    roles_missing: Sequence[str]
    rules: Rules
    secrets: Sequence[str] = field(repr=False)
    """What no page shows, whatever a client put it into."""
