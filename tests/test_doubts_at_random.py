"""Impatient callers, resolvers and every kind of fault at random: the sandbox's count is the judge."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

import pytest
from attrs import define, evolve, field

from tests.factories import job_for
from tests.failures import POSTED
from tests.virtual_time import network, run_virtual
from vtex_invoice_async import InvoiceJob, VtexInvoiceClient
from vtex_invoice_async.errors import (
    CallError,
    InvoiceAbsent,
    NotSent,
    OutcomeUnknown,
    RateLimited,
)
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox

UNKNOWN_ORDER: Final = '{"error":{"code":"OMS007","message":"Order Not Found"}}'


def troubles(chance: random.Random) -> list[Fault]:
    either = [False, True]
    return [
        Fault(do=Do.CLOSE, on=POSTED, rate=0.1, acted=True),
        Fault(do=Do.CLOSE, on=POSTED, rate=0.1),
        Fault(do=Do.LATE, on=POSTED, rate=0.1, seconds=chance.choice([5, 60, 250])),
        Fault(do=Do.HANG, on=POSTED, rate=0.05, acted=chance.choice(either)),
        Fault(do=Do.ANSWER, on=POSTED, rate=0.1, status=503, acted=chance.choice(either)),
        Fault(do=Do.ANSWER, on=POSTED, rate=0.05, status=429, headers={"Retry-After": "3"}),
        Fault(do=Do.ANSWER, on="get_order", rate=0.1, status=503),
        Fault(do=Do.ANSWER, on="get_order", rate=0.05, status=404, body=UNKNOWN_ORDER),
        Fault(do=Do.HANG, on="get_order", rate=0.05),
        Fault(do=Do.DELAY, on="get_order", rate=0.1, seconds=3),
    ]


@define
class Crowd:
    """Callers of one client, who lose patience, ask again, and resolve each other's doubts."""

    sandbox: Sandbox
    client: VtexInvoiceClient
    chance: random.Random
    done: set[tuple[str, str]] = field(factory=set)
    wrong: list[str] = field(factory=list)

    async def pause(self, *most: float) -> None:
        await asyncio.sleep(self.chance.random() * self.chance.choice(most))

    async def caller(self, job: InvoiceJob) -> None:
        key = (job.order_id, job.invoice.invoice_number)
        await self.pause(1, 100, 600)
        for _ in range(300):  # most of them lose patience at once
            if key in self.done:
                return
            await self.attempt(job, key)
            if self.sandbox.applied[key] > 1:
                return
            await self.pause(0, 1, 50)
        self.wrong.append(f"{key} never came to an end")

    async def attempt(self, job: InvoiceJob, key: tuple[str, str]) -> None:
        doubts = [d for d in self.client.in_doubt() if (d.order_id, d.invoice_number) == key]
        try:
            async with asyncio.timeout(self.chance.choice([0.02, 0.3, 2, 20, None, None])):
                if doubts and self.chance.random() < 0.3:
                    await self.client.resolve(doubts[0])
                else:
                    await self.client.notify_invoice(job.order_id, job.invoice)
            self.done.add(key)
            self.expect(self.sandbox.applied[key] == 1, f"{key}: a receipt for nothing")
        except TimeoutError:
            pass
        except OutcomeUnknown as error:
            listed = error.doubt in self.client.in_doubt() or key in self.done
            self.expect(listed, f"{key}: a doubt that is not listed")
        except InvoiceAbsent:
            self.expect(not self.sandbox.applied[key], f"{key}: absent, and applied")
        except (NotSent, RateLimited):
            await asyncio.sleep(5)

    async def bystander(self) -> None:
        for _ in range(20):
            await self.pause(60)
            for doubt in self.client.in_doubt():
                if self.chance.random() < 0.5:
                    await self.settle(doubt.order_id, doubt.invoice_number)

    async def settle(self, order_id: str, number: str) -> None:
        for doubt in self.client.in_doubt():
            if (doubt.order_id, doubt.invoice_number) == (order_id, number):
                try:
                    async with asyncio.timeout(self.chance.choice([0.1, 5, 100, None])):
                        await self.client.resolve(doubt)
                    self.done.add((order_id, number))
                except (TimeoutError, CallError):
                    return

    def expect(self, condition: bool, told: str) -> None:
        if not condition:
            self.wrong.append(told)


async def run(seed: int) -> Sequence[str]:
    """Return what went wrong."""
    chance = random.Random(seed)
    network().latency = chance.choice([0, 0.01, 0.3])
    limit = chance.choice([None, None, Limit(per_second=5)])
    latency = chance.choice([0, 0.05, 1])
    faults = troubles(chance)
    async with Sandbox(4, faults=faults, seed=seed, latency=latency, limit=limit) as sandbox:
        config = evolve(sandbox.config, max_concurrency=chance.choice([1, 3, 64]))
        async with VtexInvoiceClient(config) as client:
            crowd = Crowd(sandbox, client, chance)
            jobs = [
                job_for(order, invoice_number=f"N{n}", invoice_value=n + 1)
                for order in sandbox.orders
                for n in range(3)
            ]
            callers = map(crowd.caller, jobs)
            await asyncio.gather(*callers, crowd.bystander(), crowd.bystander())
        twice = [f"{key} was applied {n} times" for key, n in sandbox.applied.items() if n > 1]
    return [*crowd.wrong, *twice]


def test_nothing_is_invoiced_twice_or_misreported() -> None:
    for seed in range(20):
        assert run_virtual(run(seed), seed=seed) == [], seed


@pytest.mark.campaign
def test_nothing_is_invoiced_twice_or_misreported_at_a_thousand_seeds() -> None:
    for seed in range(20, 1_020):
        assert run_virtual(run(seed), seed=seed) == [], seed
