"""Runs over a journal in virtual time: the real client, the real sandbox, a journal in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from attrs import define, evolve, field

from tests.factories import invoice_for, job_for, make_invoice
from tests.failures import POSTED
from tests.virtual_time import run_virtual
from vtex_invoice_async import (
    InvoiceJob,
    InvoiceType,
    RetryPolicy,
    State,
    Timeouts,
    VtexInvoiceClient,
)
from vtex_invoice_async.jobs import Journal, Summary
from vtex_invoice_async.jobs.events import Event
from vtex_invoice_async.jobs.header import header_for
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.sandbox import Fault, Limit, Role, Sandbox
from vtex_invoice_async.sandbox.generated import fitting_order

T = TypeVar("T")

STATES: Final = ("confirmed", "rejected", "not_sent", "in_doubt", "absent", "conflict", "held")


@define
class Stage:
    """A sandbox, a client of it, and a journal; runs of them."""

    sandbox: Sandbox
    client: VtexInvoiceClient
    store: MemoryStore = field(factory=MemoryStore)
    events: list[Event] = field(factory=list)
    runner: Runner | None = None

    @property
    def journal(self) -> Journal:
        config = self.client.config
        header = header_for(config)
        return Journal(self.store, header)

    @property
    def jobs(self) -> list[InvoiceJob]:
        """An invoice for each of the orders."""
        return [job_for(order) for order in self.sandbox.orders]

    @property
    def sent(self) -> list[str]:
        """The numbers of the invoices that arrived, in their order."""
        arrived = self.sandbox.oracle.arrived
        return [a.invoice_number or "" for a in arrived if a.operation == POSTED]

    async def send(self, jobs: Iterable[InvoiceJob] | None = None, **options: Any) -> Summary:
        with Plan(self.client.config.orders_api) as plan:
            assert not list(plan.add(list(self.jobs if jobs is None else jobs), 1))
            return await self._run(lambda runner: runner.send(plan), options)

    async def resume(self, **options: Any) -> Summary:
        return await self._run(lambda runner: runner.resume(), options)

    async def resolve(self) -> Summary:
        return await self._run(lambda runner: runner.resolve(), {})

    async def states(self) -> Counter[State]:
        async with self.journal as journal:
            return await journal.counts()

    async def _run(
        self, go: Callable[[Runner], Awaitable[Summary]], options: dict[str, Any]
    ) -> Summary:
        options = {"watch": self.events.append, **options}
        async with self.journal as journal:
            self.runner = Runner(self.client, journal, **options)
            summary = await go(self.runner)
        assert summary.planned == sum(getattr(summary, state) for state in STATES)
        return summary


def play(
    act: Callable[[Stage], Awaitable[T]],
    *faults: Fault,
    orders: int | Iterable[Any] = 3,
    roles: Sequence[Role] = tuple(Role),
    limit: Limit | None = None,
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    concurrency: int = 8,
    seed: int = 0,
    store: MemoryStore | None = None,
) -> T:
    """Let *act* happen where these faults do."""

    async def main() -> T:
        async with Sandbox(orders, faults=faults, roles=roles, limit=limit) as sandbox:
            config = evolve(
                sandbox.config,
                retry=retry or RetryPolicy(),
                timeouts=timeouts or Timeouts(),
                max_concurrency=concurrency,
            )
            async with VtexInvoiceClient(config) as client:
                return await act(Stage(sandbox, client, store or MemoryStore()))

    return run_virtual(main(), seed=seed)


def counts(summary: Summary) -> dict[str, int]:
    """What is not 0 of the states and of the exit code."""
    names = ("planned", *STATES, "exit_code")
    return {name: getattr(summary, name) for name in names if getattr(summary, name)}


def numbered(order_id: str, *numbers: str, value: int = 1000) -> list[InvoiceJob]:
    """Invoices of one order, in this order; those whose number begins with R are returns."""
    return [
        InvoiceJob(
            order_id=order_id,
            invoice=make_invoice(
                invoice_number=number,
                invoice_value=value,
                type=InvoiceType.INPUT if number.startswith("R") else InvoiceType.OUTPUT,
            ),
        )
        for number in numbers
    ]


def orders_of(*jobs: InvoiceJob) -> list[Any]:
    """Orders that these fit on."""
    ids = dict.fromkeys(job.order_id for job in jobs)
    return [fitting_order(id_, [j.invoice for j in jobs if j.order_id == id_]) for id_ in ids]


__all__ = ["STATES", "Stage", "counts", "invoice_for", "numbered", "orders_of", "play"]
