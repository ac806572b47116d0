"""The real client under a limit that nobody tells it, against the sandbox in another process.

benchmarks/pace.py runs this with --wire; what is run by itself is the sandbox.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from attrs import define, field, frozen

from benchmarks.rounds import CLIENT_CORE, SERVER_CORE, pin
from benchmarks.simulated_pace import Bucket
from vtex_invoice_async import (
    ClientConfig,
    Invoice,
    InvoiceItem,
    InvoiceJob,
    InvoiceType,
    Order,
    VtexInvoiceClient,
)
from vtex_invoice_async.events import Event, Sent
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox

__all__ = ["WIRED", "wired"]

LATENCY: Final = 0.05
SPARE: Final = 500
"""Orders beyond those that the limit lets pass."""


@frozen(kw_only=True)
class Wire:
    """A limit on the wire: what becomes of its rate half way, and of what it refuses."""

    times: float = 1.0
    retry_after: int | None = None
    noise: float = 0.0


WIRED: Final[Mapping[str, Wire]] = {
    "bucket": Wire(),
    "halved": Wire(times=0.5),
    "doubled": Wire(times=2.0),
    "retry": Wire(retry_after=1),
    "noise": Wire(noise=0.015),
}


@frozen(kw_only=True)
class Plan:
    """What one run is about."""

    limit: str
    rate: int
    seconds: float

    @property
    def wire(self) -> Wire:
        return WIRED[self.limit]

    @property
    def changes_at(self) -> int:
        """The number of the request at which the rate changes, about half way."""
        return max(1, int(self.rate * self.seconds / 2))

    @property
    def orders(self) -> int:
        return int(self.rate * max(1.0, self.wire.times) * self.seconds) + SPARE

    def sandbox(self) -> Sandbox:
        """Return the same orders each time."""
        faults = []
        if self.wire.times != 1:
            changed = self.rate * self.wire.times
            faults.append(Fault(do=Do.LIMIT, nth=(self.changes_at,), per_second=changed))
        if self.wire.noise:
            faults.append(Fault(do=Do.ANSWER, rate=self.wire.noise, status=429))
        limit = Limit(per_second=self.rate, retry_after=self.wire.retry_after)
        return Sandbox(self.orders, latency=LATENCY, limit=limit, faults=faults)


@define
class Watch:
    """Counts what came back, and notes when the rate changed."""

    plan: Plan
    began: float = field(factory=monotonic)
    changed: float | None = None
    passed: int = 0
    rejected: int = 0

    def see(self, event: Event) -> None:
        if isinstance(event, Sent) and event.operation == "notify_invoice":
            self.passed += event.status == 200
            self.rejected += event.status == 429
            if self.changed is None and self.passed + self.rejected >= self.plan.changes_at:
                self.changed = monotonic() - self.began

    def figures(self) -> Mapping[str, Any]:
        seconds = monotonic() - self.began
        then = self.plan.rate * self.plan.wire.times
        bucket = Bucket(
            self.plan.rate, then=then, at=seconds if self.changed is None else self.changed
        )
        return {
            "limit": self.plan.limit,
            "rate": self.plan.rate,
            "seconds": seconds,
            "of_ideal": self.passed / bucket.most(seconds),
            "rejected": self.rejected / (self.passed + self.rejected),
        }


def job_for(order: Order) -> InvoiceJob:
    items = [
        InvoiceItem(
            id=line.id, item_index=at, price=line.selling_price or 0, quantity=line.quantity
        )
        for at, line in enumerate(order.items)
    ]
    invoice = Invoice(
        type=InvoiceType.OUTPUT,
        invoice_number=f"NFe{order.sequence}",
        invoice_value=order.value,
        issuance_date=datetime(2026, 1, 31, tzinfo=UTC),
        items=items,
    )
    return InvoiceJob(order_id=order.order_id, invoice=invoice)


@asynccontextmanager
async def serving(plan: Plan) -> AsyncIterator[ClientConfig]:
    """Serve the plan's sandbox in another process."""
    words = (plan.limit, str(plan.rate), str(plan.seconds))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.pace_on_wire", *words, stdin=PIPE, stdout=PIPE
    )
    try:
        yield ClientConfig.from_env(json.loads(await _line(process)))
    finally:
        process.kill()
        await process.communicate()


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def run(plan: Plan) -> Mapping[str, Any]:
    jobs = [job_for(order) for order in plan.sandbox().orders]
    async with serving(plan) as config:
        watch = Watch(plan)

        def until() -> Iterator[InvoiceJob]:
            for job in jobs:
                if monotonic() - watch.began >= plan.seconds:
                    return
                yield job

        async with VtexInvoiceClient(config, observe=watch.see) as client:
            watch.began = monotonic()
            async with aclosing(client.notify_many(until())) as outcomes:
                async for outcome in outcomes:
                    if outcome.error is not None:
                        raise outcome.error
            return watch.figures()


def wired(
    limits: Sequence[str], rates: Sequence[int], seconds: float, told: Callable[[str], None]
) -> Mapping[str, Any]:
    """Send under each limit at each rate for so long, and return the figures of each."""
    pin(CLIENT_CORE)
    found = []
    for limit in limits:
        for rate in rates:
            told(f"{limit} at {rate}/s ...")
            found.append(asyncio.run(run(Plan(limit=limit, rate=rate, seconds=seconds))))
    return {"wire": found}


async def serve(plan: Plan) -> None:
    async with plan.sandbox() as sandbox:
        print(json.dumps(dict(sandbox.environ)), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    pin(SERVER_CORE)
    name, per_second, length = sys.argv[1:]
    asyncio.run(serve(Plan(limit=name, rate=int(per_second), seconds=float(length))))
