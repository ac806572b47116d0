"""openapi-python-client's client: httpx, with its own limits, and attrs."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.peers.generated import DOCUMENT, cached, run
from benchmarks.peers.orders import HEADERS, gathered
from benchmarks.ways import Load

__all__ = ["send"]

PACKAGE: Final = "attrs_client"


def send(load: Load) -> None:
    folder = str(cached("httpx", "openapi-python-client", _make))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    asyncio.run(_send(load))


def _make(folder: Path) -> None:
    folder.mkdir()
    with TemporaryDirectory() as scratch:
        settings = Path(scratch, "settings.yaml")
        settings.write_text("post_hooks: []\n", encoding="utf-8")
        run(
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", DOCUMENT, "--config", settings, "--output-path", folder / PACKAGE),
        )


async def _send(load: Load) -> None:
    client, models = import_module(PACKAGE), import_module(f"{PACKAGE}.models")
    call = import_module(f"{PACKAGE}.api.invoice.notify_invoice").asyncio_detailed
    async with client.Client(base_url=load.url, headers=HEADERS) as session:

        async def post(order_id: str, document: dict[str, Any]) -> None:
            body = models.Invoice(
                type_=models.InvoiceType(document["type"]),
                issuance_date=document["issuanceDate"],
                invoice_number=document["invoiceNumber"],
                invoice_value=document["invoiceValue"],
                invoice_url=document["invoiceUrl"],
                items=[models.InvoiceItem(**item) for item in document["items"]],
            )
            answer = await call(order_id, client=session, body=body)
            if answer.status_code != 200:
                raise ValueError(answer.status_code)

        await gathered(load, post)
