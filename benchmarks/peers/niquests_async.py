"""niquests: one AsyncSession, its pool as large as what is under way."""

from __future__ import annotations

import asyncio
from typing import Any

import niquests

from benchmarks.peers.orders import HEADERS, PATH, gathered
from benchmarks.ways import Load

__all__ = ["send"]


def send(load: Load) -> None:
    asyncio.run(_send(load))


async def _send(load: Load) -> None:
    most = load.concurrency
    async with niquests.AsyncSession(
        base_url=load.url, headers=HEADERS, pool_connections=most, pool_maxsize=most
    ) as session:

        async def post(order_id: str, document: dict[str, Any]) -> None:
            answer = await session.post(PATH.format(order_id), json=document)
            answer.raise_for_status()
            answer.json()

        await gathered(load, post)
