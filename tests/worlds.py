"""What outlives a process: VTEX and what is on the disk; and processes, which may be killed.

They are to be run in virtual time.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from aiohttp import web
from attrs import define, evolve, field, frozen

from tests.failures import POSTED
from tests.verdicts import Verdict, Witness
from tests.virtual_time import START, network
from vtex_invoice_async import (
    ClientConfig,
    InvoiceJob,
    OrdersApi,
    RetryPolicy,
    State,
    Timeouts,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import JournalBusy, JournalError
from vtex_invoice_async.events import Sent, Settled
from vtex_invoice_async.jobs import Journal, Summary
from vtex_invoice_async.jobs.events import Event
from vtex_invoice_async.jobs.header import header_for
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.sandbox import Sandbox

__all__ = ["CALM", "Life", "Process", "World"]

WINDOW: Final = 130.0
"""Seconds: longer than anything takes to be applied and as much to be shown."""


@frozen(kw_only=True)
class Life:
    """One process, from its start to its end."""

    command: str = "send"
    """`send` sends the file again, `resume` goes on with what the journal has."""

    killed_after: float | None = None
    """Seconds, unless it ends before; what was not synced is lost."""

    fails_at_sync: int = 0
    """The disk is full from this sync on; 0 for never."""

    boot: str = "a-boot 0"
    """Tells the clocks of two boots apart."""


CALM: Final = Life()


@define
class Disk:
    """Takes a moment for each sync; full from the n-th on, if there is one."""

    fails_at: int
    syncs: int = 0
    is_full: bool = False

    async def sync(self) -> None:
        self.syncs += 1
        self.is_full = fails = 0 < self.fails_at <= self.syncs
        await asyncio.sleep(0.004)
        if fails:
            raise OSError(errno.ENOSPC, "No space left on device")


@define(eq=False)
class Process:
    """A run, in a task of its own."""

    task: asyncio.Task[Summary | None]
    disk: Disk


class _Held(MemoryStore):
    """What another process holds, by a lock that the system takes from it when it dies."""

    async def open(self) -> None:
        raise JournalBusy("another process holds it")


@define(eq=False)
class World:
    """VTEX and a disk, and the processes that come and go between them."""

    sandbox: Sandbox
    witness: Witness
    jobs: Sequence[InvoiceJob]
    """The user's file."""

    orders_api: OrdersApi = OrdersApi.OMS

    processes: list[Process] = field(factory=list)
    kills: int = 0
    kills_amid_intents: int = 0
    full_disks: int = 0
    doubts: int = 0
    asked: dict[str, float] = field(factory=dict)
    """The last pause that VTEX asked for, by order."""

    def __attrs_post_init__(self) -> None:
        self.sandbox.book.oracle = self.witness
        serve = self.sandbox._desk.serve

        async def noted(operation: str, request: web.Request) -> web.Response:
            response = await serve(operation, request)
            if response.status == 429:
                pause = response.headers.get("Retry-After", "0")
                self.asked[request.match_info["order"]] = float(pause)
            return response

        self.sandbox._desk.serve = noted  # type: ignore[method-assign]  # who else hears the answers

    def start(self, life: Life) -> Process:
        """Begin a process with what is on the disk; one that finds another at it is refused."""
        if any(not process.task.done() for process in self.processes):
            return self._begin(life, _Held(), Disk(0))
        disk = Disk(life.fails_at_sync)
        # What the one before had asked the disk for, and did not wait for, is lost.
        self.witness.store = MemoryStore(self.witness.store.synced, sync=disk.sync)
        self.witness.begin()
        return self._begin(life, self.witness.store, disk)

    def _begin(self, life: Life, store: MemoryStore, disk: Disk) -> Process:
        process = Process(asyncio.create_task(self._run(life, store)), disk)
        self.processes.append(process)
        return process

    async def kill(self) -> None:
        """Cut the power: what was not synced is lost, what is on the wire goes on."""
        processes, self.processes = self.processes, []
        store = self.witness.store
        self.witness.store = MemoryStore(store.synced)
        self.kills += 1
        records = store.synced.records.values()
        self.kills_amid_intents += any(r.state is State.IN_DOUBT and not r.since for r in records)
        for process in processes:
            process.task.cancel()
        for process in processes:
            with suppress(asyncio.CancelledError):
                await process.task

    async def live(self, life: Life) -> Summary | None:
        """Let a process run to its own end, or kill it when its time has come."""
        process = self.start(life)
        done, _ = await asyncio.wait([process.task], timeout=life.killed_after)
        self.full_disks += process.disk.is_full
        if done:
            self.processes.clear()
            return process.task.result()
        await self.kill()
        return None

    async def _run(self, life: Life, store: MemoryStore) -> Summary | None:
        config = self.config
        async with VtexInvoiceClient(config, observe=self._observe) as client:
            try:
                async with Journal(store, header_for(config)) as journal:
                    runner = Runner(
                        client,
                        journal,
                        resend_input=self.witness.expected.resend_input,
                        watch=partial(self._hear, store),
                        clock=lambda: life.boot,
                    )
                    summary = await self._go(life, runner)
            except JournalError:
                return None
        if runner.failure is None:
            self.witness.compare(summary, resumes=life.command == "resume")
        elif not isinstance(runner.failure, JournalError):
            self.witness.accuse(Verdict.BROKEN, repr(runner.failure))
        return summary

    def _hear(self, store: MemoryStore, event: Event) -> None:
        # The dead tell nothing, though their tasks take a moment to end.
        if store is self.witness.store:
            self.witness.hear(event)

    async def _go(self, life: Life, runner: Runner) -> Summary:
        if life.command == "resume":
            return await runner.resume()
        with Plan(self.config.orders_api) as plan:
            assert not list(plan.add(list(self.jobs), 1))
            return await runner.send(plan)

    def _observe(self, event: object) -> None:
        """Let the witness know when a pause was heard of: an answer may be lost on its way."""
        if isinstance(event, Settled):
            self.doubts += event.operation == POSTED and event.error == "OutcomeUnknown"
        if isinstance(event, Sent) and event.status == 429 and event.order_id in self.asked:
            now = (self.sandbox._desk.now() - START).total_seconds()
            # One that had its turn before may still connect, write its intent and leave.
            since = now + 5 * network().latency + 0.1
            start, end = self.witness.pause
            is_new = not start <= now < end
            until = max(end, now + self.asked[event.order_id])
            self.witness.pause = (since if is_new else start, until)

    @property
    def config(self) -> ClientConfig:
        return evolve(
            self.sandbox.config,
            orders_api=self.orders_api,
            max_concurrency=16,
            timeouts=Timeouts(connect=5, read=20, total=30),
            retry=RetryPolicy(settle_window=WINDOW, resolve_for=10),
        )
