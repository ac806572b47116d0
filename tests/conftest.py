from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from vtex_invoice_async import VtexInvoiceClient
from vtex_invoice_async.sandbox import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A VTEX with ten orders; the tenth waits for start-handling, the others for an invoice."""
    async with Sandbox(orders=10) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[VtexInvoiceClient]:
    async with VtexInvoiceClient(sandbox.config) as opened:
        yield opened
