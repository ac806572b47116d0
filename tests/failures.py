"""One invoice through a VTEX in which something goes wrong, and what became of it on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen

from tests.factories import job_for
from vtex_invoice_async import OrdersApi, Receipt, RetryPolicy, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.sandbox import Fault, Sandbox

POSTED: Final = "notify_invoice"


def brief(**changes: float) -> RetryPolicy:
    """A policy that has settled a doubt after half a second of real time."""
    return RetryPolicy(**{"settle_window": 0.2, "resolve_for": 5, **changes})  # type: ignore[arg-type]


@frozen(kw_only=True)
class Ended:
    """How a call ended, and what the sandbox's record says of it."""

    result: Receipt | CallError
    posts: int
    """Requests that came in whole."""

    reads: int
    applied: int
    arrivals: Sequence[float]
    """Seconds between the first request and each."""

    @property
    def how(self) -> str:
        """The class of the error, or what confirmed it."""
        if isinstance(self.result, Receipt):
            return f"confirmed by {self.result.confirmed_by}"
        return type(self.result).__name__


async def send_one(
    *faults: Fault,
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> Ended:
    """Send one invoice to a sandbox with these faults."""
    async with Sandbox(orders=1, faults=faults) as sandbox:
        config = evolve(
            sandbox.config,
            retry=retry or brief(),
            timeouts=timeouts or Timeouts(connect=5, read=0.3, total=5),
            orders_api=orders_api,
        )
        job = job_for(sandbox.orders[0])
        result: Receipt | CallError
        async with VtexInvoiceClient(config) as client:
            try:
                result = await client.notify_invoice(job.order_id, job.invoice)
            except CallError as error:
                result = error
        return ended(sandbox, result)


def ended(sandbox: Sandbox, result: Receipt | CallError) -> Ended:
    """Read the sandbox's record."""
    arrived = sandbox.oracle.arrived
    return Ended(
        result=result,
        posts=sum(entry.operation == POSTED for entry in arrived),
        reads=sum(entry.operation == "get_order" for entry in arrived),
        applied=sandbox.applied.total(),
        arrivals=[(entry.at - arrived[0].at).total_seconds() for entry in arrived],
    )
