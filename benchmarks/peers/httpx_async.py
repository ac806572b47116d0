"""httpx, and httpx2 which is used in the same words: one AsyncClient, with its own limits.

These keep 20 of its 100 connections. One that keeps 64 takes three times as long at 64 in flight, for
what its pool does at each call grows with the square of what it keeps.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.peers.orders import HEADERS, PATH, gathered
from benchmarks.ways import Load

__all__ = ["send", "send_by_httpx2"]


def _run(library: str, load: Load) -> None:
    asyncio.run(_send(import_module(library).AsyncClient, load))


send = partial(_run, "httpx")
send_by_httpx2 = partial(_run, "httpx2")


async def _send(kind: Any, load: Load) -> None:  # noqa: ANN401  of either library
    async with kind(base_url=load.url, headers=HEADERS) as client:

        async def post(order_id: str, document: dict[str, Any]) -> None:
            answer = await client.post(PATH.format(order_id), json=document)
            answer.raise_for_status()
            answer.json()

        await gathered(load, post)
