"""What a good engineer writes in an afternoon: aiohttp, a semaphore, and backoff around each call."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import backoff

from benchmarks.peers.orders import HEADERS, PATH, gathered
from benchmarks.ways import Load

__all__ = ["send"]


def send(load: Load) -> None:
    asyncio.run(_send(load))


async def _send(load: Load) -> None:
    connector = aiohttp.TCPConnector(limit=load.concurrency)
    async with aiohttp.ClientSession(load.url, headers=HEADERS, connector=connector) as session:

        @backoff.on_exception(backoff.expo, aiohttp.ClientError, max_tries=5)
        async def post(order_id: str, document: dict[str, Any]) -> None:
            async with session.post(PATH.format(order_id), json=document) as answer:
                answer.raise_for_status()
                await answer.json()

        await gathered(load, post)
