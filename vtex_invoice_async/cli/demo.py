"""`vtex-invoice demo`: the main job, against a sandbox in this process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from attrs import evolve, frozen
from rich.console import Console

from vtex_invoice_async.bulk import work_through
from vtex_invoice_async.cli.after import say
from vtex_invoice_async.cli.display import say_json, shows_unicode, stderr, width_of
from vtex_invoice_async.cli.ending import Figure, table_lines
from vtex_invoice_async.cli.facts import Facts
from vtex_invoice_async.cli.meter import Meter
from vtex_invoice_async.cli.screen import screen
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.models import Invoice, InvoiceItem, Order, TrackingInfo
from vtex_invoice_async.outcome import InvoiceJob
from vtex_invoice_async.sandbox import Sandbox
from vtex_invoice_async.vocabulary import InvoiceType

__all__ = ["run_demo"]

# About what a call to VTEX takes from the same continent; without it the bar would only flash.
LATENCY = 0.05


def run_demo(*, orders: int, concurrency: int, as_json: bool) -> int:
    """Return 0 only if the sandbox counts each invoice, and each parcel, once."""
    return asyncio.run(_demo(orders, concurrency, as_json=as_json))


@frozen(kw_only=True)
class _Phase:
    """One kind of call, made for every order."""

    states: Counter[str]
    latencies: list[float]
    seconds: float

    def figures(self, what: str) -> list[Figure]:
        """Return what a person wants to know of it."""
        tails = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
        return [
            *(
                Figure(f"{what} {state.replace('_', ' ')}", f"{n:,}")
                for state, n in self.states.items()
            ),
            Figure(f"{what} per second", f"{self.states.total() / self.seconds:,.0f}"),
            *(
                Figure(
                    f"{what} latency {name}", f"{1_000 * _percentile(self.latencies, share):.0f} ms"
                )
                for share, name in tails
            ),
        ]


async def _demo(orders: int, concurrency: int, *, as_json: bool) -> int:
    console = stderr()
    async with Sandbox(orders, latency=LATENCY) as sandbox:
        config = evolve(sandbox.config, max_concurrency=concurrency)
        jobs = [_whole(order) for order in sandbox.orders]
        async with VtexInvoiceClient(config) as client:
            invoices = await _phase(console, "Invoices", len(jobs), _notified(client, jobs))
            tracking = await _phase(console, "Tracking", len(jobs), _tracked(client, jobs))
        once = Counter({(job.order_id, job.invoice.invoice_number): 1 for job in jobs})
        agrees = sandbox.applied == once and sandbox.book.tracked == once
    verdict = "each invoice and each parcel once" if agrees else "NOT each invoice and parcel once"
    figures = [*invoices.figures("invoices"), *tracking.figures("tracking")]
    title = f"{orders:,} orders, {concurrency} at a time"
    unicode = shows_unicode(console)
    say(table_lines(title, figures, width_of(console), unicode=unicode), console)
    console.print(f"The sandbox counted {verdict}.")
    if as_json:
        said = {
            "orders": orders,
            "invoices": invoices.states,
            "tracking": tracking.states,
            "sandbox_agrees": agrees,
        }
        say_json(said)
    confirmed = invoices.states["confirmed"] == tracking.states["confirmed"] == orders
    return Exit.CONFIRMED if agrees and confirmed else Exit.IN_DOUBT


def _whole(order: Order) -> InvoiceJob:
    """Invoice all of an order: its value, at the unit prices that were paid."""
    items = [
        InvoiceItem(id=line.id, price=line.selling_price or 0, quantity=line.quantity)
        for line in order.items
    ]
    invoice = Invoice(
        type=InvoiceType.OUTPUT,
        invoice_number=f"NFe{order.sequence}",
        invoice_value=order.value,
        issuance_date=datetime.now(UTC),
        items=items,
    )
    return InvoiceJob(order_id=order.order_id, invoice=invoice)


async def _phase(
    console: Console, title: str, total: int, results: AsyncIterator[tuple[str, float]]
) -> _Phase:
    latencies: list[float] = []
    states: Counter[str] = Counter()
    meter = Meter()

    def facts(elapsed: float) -> Facts:
        done = states.total()
        meter.see(elapsed, done)
        rate = meter.rate
        return Facts(
            phase=title,
            done=done,
            total=total,
            counts=dict(states),
            pace="" if rate is None else f"{rate:,.0f}/s",
            elapsed=elapsed,
            left=meter.left(total - done),
        )

    started = time.perf_counter()
    with screen(console).ticking(facts):
        async for state, latency in results:
            states[state] += 1
            latencies.append(latency)
    seconds = time.perf_counter() - started
    return _Phase(states=states, latencies=latencies, seconds=seconds)


def _percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie; 0 of none."""
    if not values:
        return 0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def _notified(
    client: VtexInvoiceClient, jobs: list[InvoiceJob]
) -> AsyncIterator[tuple[str, float]]:
    async for outcome in client.notify_many(jobs):
        yield str(outcome.state), outcome.elapsed


async def _tracked(
    client: VtexInvoiceClient, jobs: list[InvoiceJob]
) -> AsyncIterator[tuple[str, float]]:
    async def track(job: InvoiceJob) -> tuple[str, float]:
        started = time.perf_counter()
        parcel = TrackingInfo(
            courier="Correios",
            tracking_number=f"TRK-{job.invoice.invoice_number}",
            tracking_url="https://www.tracking.com/url",
            dispatched_date=job.invoice.issuance_date,
        )
        try:
            await client.send_tracking(job.order_id, job.invoice.invoice_number, parcel)
        except CallError as error:
            return type(error).__name__, time.perf_counter() - started
        return "confirmed", time.perf_counter() - started

    async for result in work_through(
        jobs, track, width=client.config.max_concurrency, grace=0, ready=lambda: None
    ):
        yield result
