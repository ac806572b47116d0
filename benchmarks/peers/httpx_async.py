"""httpx: one AsyncClient, with its own limits.

These keep 20 of its 100 connections. One that keeps 64 takes three times as long at 64 in flight, for
what its pool does at each call grows with the square of what it keeps.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from benchmarks.peers.orders import HEADERS, PATH, gathered
from benchmarks.ways import Load

__all__ = ["send"]


def send(load: Load) -> None:
    asyncio.run(_send(load))


async def _send(load: Load) -> None:
    async with httpx.AsyncClient(base_url=load.url, headers=HEADERS) as client:

        async def post(order_id: str, document: dict[str, Any]) -> None:
            answer = await client.post(PATH.format(order_id), json=document)
            answer.raise_for_status()
            answer.json()

        await gathered(load, post)
