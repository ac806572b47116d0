"""What a program calls: runs over a journal, without a command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from itertools import islice
from typing import Final

from attrs import evolve

from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.errors import InvalidInvoice, Problem
from vtex_invoice_async.jobs.journal import Journal
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.jobs.summary import Summary
from vtex_invoice_async.outcome import InvoiceJob

__all__ = ["resolve", "resume", "run"]

BREATH: Final = 100
"""Jobs that are taken in without letting the loop go on."""

MOST_PROBLEMS: Final = 50
"""That are told."""


async def run(
    client: VtexInvoiceClient,
    jobs: Iterable[InvoiceJob] | AsyncIterable[InvoiceJob],
    journal: Journal,
    *,
    resend_input: bool = False,
) -> Summary:
    """Send the invoices of *jobs* that *journal* has not confirmed yet, and return the counts.

    All of *jobs* are taken in and checked before the first is sent. Doubts are read for to the end
    of the settle window. An Output that VTEX does not have by then is sent once more, an Input,
    which refunds a shopper, only with *resend_input*.

    *client* and *journal* are open, and stay so; of one account, or it is a `JournalMismatch`.
    The counts are those of *jobs*: `Summary.planned` is the sum of all states. A job that fails is
    counted, and raises nothing; `journal.find` tells of it.

    Raises `InvalidInvoice` where a job cannot be sent or contradicts another one, and nothing was;
    `JournalBusy` where another run of this journal goes on; `JournalFailed` where the disk refuses
    a write, after which nothing more was sent. What is not final then, or when it is cancelled, is
    for `resume`.
    """
    with Plan(client.config.orders_api) as plan:
        await _take_in(plan, jobs)
        runner = Runner(client, journal, resend_input=resend_input)
        return _unless_failed(runner, await runner.send(plan))


async def resume(
    client: VtexInvoiceClient, journal: Journal, *, resend_input: bool = False
) -> Summary:
    """Go on with what earlier runs left: what is not confirmed, rejected or in conflict.

    Nothing that may have been applied is sent before its order has been read to the end of the settle
    window. Counted are those that it went on with. Raises what `run` does, of a journal.
    """
    runner = Runner(client, journal, resend_input=resend_input)
    return _unless_failed(runner, await runner.resume())


async def resolve(client: VtexInvoiceClient, journal: Journal) -> Summary:
    """Read the orders of what is in doubt, or was absent, until it is known; send nothing.

    That may take as long as the settle window. Raises what `run` does, of a journal.
    """
    runner = Runner(client, journal)
    return _unless_failed(runner, await runner.resolve())


def _unless_failed(runner: Runner, summary: Summary) -> Summary:
    if runner.failure is not None:
        raise runner.failure
    return summary


async def _take_in(plan: Plan, jobs: Iterable[InvoiceJob] | AsyncIterable[InvoiceJob]) -> None:
    found: list[Problem] = []
    first = 1
    async for some in _in_batches(jobs):
        if first > 1:
            await asyncio.sleep(0)
        rows = sorted(plan.add(some, first), key=lambda row: row.line)
        found += [evolve(p.problem, message=f"of job {p.line}: {p.problem.message}") for p in rows]
        del found[MOST_PROBLEMS:]
        first += len(some)
    if found:
        raise InvalidInvoice(found)


async def _in_batches(
    jobs: Iterable[InvoiceJob] | AsyncIterable[InvoiceJob],
) -> AsyncIterator[Sequence[InvoiceJob]]:
    if isinstance(jobs, AsyncIterable):
        batch: list[InvoiceJob] = []
        async for job in jobs:
            batch.append(job)
            if len(batch) == BREATH:
                yield batch
                batch = []
        yield batch
        return
    left = iter(jobs)
    while some := list(islice(left, BREATH)):
        yield some
