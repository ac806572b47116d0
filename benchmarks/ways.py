"""Ways to tell VTEX of many invoices: bare aiohttp, and this package's three.

Each sends the same invoices, of five items, and fails where one of them is not confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp
from attrs import field, frozen
from yarl import URL

from vtex_invoice_async import (
    ClientConfig,
    Invoice,
    InvoiceItem,
    InvoiceJob,
    InvoiceType,
    ThrottleLimits,
    VtexInvoiceClient,
)
from vtex_invoice_async.config import MOST_RATE
from vtex_invoice_async.jobs import Journal, run
from vtex_invoice_async.jobs.job import Entry
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["WAYS", "Cost", "Load", "Way", "jobs", "order_id_of"]

ISSUED: Final = datetime(2026, 1, 31, 18, 25, 43, tzinfo=UTC)
LINES: Final = (
    ("2000037", 1_990, 2),
    ("2000104", 12_990, 1),
    ("2000221", 4_990, 1),
    ("2000350", 2_990, 3),
    ("2000478", 990, 10),
)
"""SKU, price and quantity."""
APP_KEY: Final = "vtexappkey-benchmark-ABCDEF"
APP_TOKEN: Final = "T" * 88


@frozen(kw_only=True)
class Load:
    """What is sent, where, and how many at once."""

    url: str
    invoices: int
    concurrency: int
    bodies: list[tuple[str, bytes]] = field(init=False, repr=False)
    """Made before: the id of an order, and the JSON of its invoice."""

    @bodies.default
    def _make_bodies(self) -> list[tuple[str, bytes]]:
        entries = (Entry.of(job, OrdersApi.OMS) for job in jobs(self.invoices))
        return [(entry.order_id, entry.body) for entry in entries]

    calls: list[tuple[URL, bytes]] = field(init=False, repr=False)
    """The same, as aiohttp takes it."""

    @calls.default
    def _make_calls(self) -> list[tuple[URL, bytes]]:
        path = self.url + "/api/oms/pvt/orders/{}/invoice"
        return [(URL(path.format(id_), encoded=True), body) for id_, body in self.bodies]

    jobs: list[InvoiceJob] = field(init=False, repr=False)

    @jobs.default
    def _make_jobs(self) -> list[InvoiceJob]:
        return list(jobs(self.invoices))

    @property
    def config(self) -> ClientConfig:
        """How a client of this package is told of it: at any pace."""
        return ClientConfig(
            account="benchmark",
            app_key=APP_KEY,
            app_token=APP_TOKEN,
            base_url=self.url,
            max_concurrency=self.concurrency,
            throttle=ThrottleLimits(rate=MOST_RATE),
        )


def order_id_of(number: int) -> str:
    return f"{1_172_452_900_000 + number}-01"


def jobs(count: int) -> Iterator[InvoiceJob]:
    """Make invoices as somebody does who has their figures: they are checked as they are made."""
    value = sum(price * quantity for _, price, quantity in LINES)
    for number in range(1, count + 1):
        items = [InvoiceItem(id=sku, price=price, quantity=n) for sku, price, n in LINES]
        invoice = Invoice(
            type=InvoiceType.OUTPUT,
            invoice_number=f"NFe-{number:09}",
            invoice_value=value,
            issuance_date=ISSUED,
            invoice_url="https://nfe.example.com.br/danfe",
            items=items,
        )
        yield InvoiceJob(order_id=order_id_of(number), invoice=invoice)


async def crew(load: Load, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Have *work* done by as many at once as the load says."""
    async with asyncio.TaskGroup() as group:
        for _ in range(load.concurrency):
            group.create_task(work())


async def bare(load: Load) -> None:
    """Send by aiohttp as fast as it goes: bodies and URLs made before, no retry, no proof."""
    calls = iter(load.calls)
    session = aiohttp.ClientSession(
        headers={
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "bare",
            "X-VTEX-API-AppKey": APP_KEY,
            "X-VTEX-API-AppToken": APP_TOKEN,
        },
        connector=aiohttp.TCPConnector(limit=load.concurrency),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_read=20),
    )
    async with session:

        async def work() -> None:
            for url, body in calls:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise ValueError(answer.status)

        await crew(load, work)


async def notify_invoice(load: Load) -> None:
    """Call for one invoice at a time, which is there before, as that of a service's request is."""
    made = iter(load.jobs)
    async with VtexInvoiceClient(load.config) as client:

        async def work() -> None:
            for job in made:
                await client.notify_invoice(job.order_id, job.invoice)

        await crew(load, work)


async def notify_many(load: Load, of: Iterable[InvoiceJob] | None = None) -> None:
    """Make each invoice when its turn has come, as of what is read from somewhere."""
    async with VtexInvoiceClient(load.config) as client:
        async for outcome in client.notify_many(jobs(load.invoices) if of is None else of):
            if outcome.error is not None:
                raise outcome.error


async def notify_many_ready(load: Load) -> None:
    """Send invoices that are there before."""
    await notify_many(load, of=load.jobs)


async def journaled(load: Load) -> None:
    """Plan, write down and send: the whole of a run over a new journal."""
    with TemporaryDirectory(prefix="benchmark-") as folder:
        journal = Journal.open(Path(folder) / "journal.db", load.config)
        async with VtexInvoiceClient(load.config) as client, journal:
            summary = await run(client, jobs(load.invoices), journal)
    if summary.confirmed != load.invoices:
        raise ValueError(f"not all were confirmed: {summary}")


@frozen(kw_only=True)
class Cost:
    """Seconds an invoice."""

    wall: float
    cpu: float


@frozen
class Way:
    """A way, and what it is to the others."""

    send: Callable[[Load], Cost | None]
    """Sends all of a load; tells what that cost where another process does it."""

    share: float = 1.0
    """Of the invoices: one that is slow is measured with fewer."""


def in_a_loop(send: Callable[[Load], Coroutine[None, None, None]]) -> Callable[[Load], None]:
    return lambda load: asyncio.run(send(load))


WAYS: Final[Mapping[str, Way]] = {
    "bare aiohttp": Way(in_a_loop(bare)),
    "notify_invoice": Way(in_a_loop(notify_invoice)),
    "notify_many": Way(in_a_loop(notify_many)),
    "notify_many of ready": Way(in_a_loop(notify_many_ready)),
    "journaled run": Way(in_a_loop(journaled)),
}
