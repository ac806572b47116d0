"""openapi-generator's Python client for asyncio: aiohttp and pydantic."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.peers.generated import by_openapi_generator, cached
from benchmarks.peers.orders import gathered
from benchmarks.ways import APP_KEY, APP_TOKEN, Load

__all__ = ["send"]


def send(load: Load) -> None:
    folder = str(cached("asyncio", "openapi-generator-cli", _make))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    asyncio.run(_send(load, import_module("invoice_client")))


def _make(folder: Path) -> None:
    by_openapi_generator("python", folder, "library=asyncio", "packageName=invoice_client")


async def _send(load: Load, client: ModuleType) -> None:
    configuration = client.Configuration(
        host=load.url, api_key={"appKey": APP_KEY, "appToken": APP_TOKEN}
    )
    configuration.connection_pool_maxsize = load.concurrency
    async with client.ApiClient(configuration) as calls:
        api = client.InvoiceApi(calls)

        async def post(order_id: str, document: dict[str, Any]) -> None:
            # It raises where the answer is an error.
            await api.notify_invoice(order_id, client.Invoice(**document))

        await gathered(load, post)
