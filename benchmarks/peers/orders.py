"""The invoices as the documents that VTEX takes, and as many of them under way as a load says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from benchmarks.ways import APP_KEY, APP_TOKEN, ISSUED, LINES, Load, order_id_of

__all__ = ["HEADERS", "PATH", "documents", "gathered", "in_threads"]

HEADERS: Final = {
    "Accept": "application/json",
    "X-VTEX-API-AppKey": APP_KEY,
    "X-VTEX-API-AppToken": APP_TOKEN,
}
PATH: Final = "/api/oms/pvt/orders/{}/invoice"


def documents(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make the ids of orders, and what `ways.jobs` makes of them as somebody writes it by hand."""
    issued = ISSUED.isoformat()
    value = str(sum(price * quantity for _, price, quantity in LINES))
    for number in range(1, count + 1):
        items = [{"id": sku, "price": price, "quantity": n} for sku, price, n in LINES]
        yield (
            order_id_of(number),
            {
                "type": "Output",
                "issuanceDate": issued,
                "invoiceNumber": f"NFe-{number:09}",
                "invoiceValue": value,
                "invoiceUrl": "https://nfe.example.com.br/danfe",
                "items": items,
            },
        )


async def gathered(load: Load, send: Callable[[str, dict[str, Any]], Awaitable[None]]) -> None:
    """Have all sent at once, as far as a semaphore lets them."""
    slots = asyncio.Semaphore(load.concurrency)

    async def one(order_id: str, document: dict[str, Any]) -> None:
        async with slots:
            await send(order_id, document)

    await asyncio.gather(*[one(*order) for order in documents(load.invoices)])


def in_threads(load: Load, send: Callable[[str, dict[str, Any]], None]) -> None:
    """Have all sent by a pool of threads."""
    with ThreadPoolExecutor(max_workers=load.concurrency) as pool:
        for _ in pool.map(lambda order: send(*order), documents(load.invoices)):
            pass
