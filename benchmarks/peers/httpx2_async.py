"""httpx2, in the same words as httpx."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from benchmarks.peers.orders import HEADERS, PATH, gathered
from benchmarks.ways import Load

__all__ = ["send"]


def send(load: Load) -> None:
    asyncio.run(_send(load))


async def _send(load: Load) -> None:
    async with httpx2.AsyncClient(base_url=load.url, headers=HEADERS) as client:

        async def post(order_id: str, document: dict[str, Any]) -> None:
            answer = await client.post(PATH.format(order_id), json=document)
            answer.raise_for_status()
            answer.json()

        await gathered(load, post)
