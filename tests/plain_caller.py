"""A caller of the sandbox that knows VTEX's paths and headers, and nothing of our client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson
from attrs import frozen

from tests.factories import authentication
from vtex_invoice_async import Order
from vtex_invoice_async.sandbox import Role, Sandbox

OMS: Final = "/api/oms/pvt/orders"
DOCUMENT: Final = "/api/orders/pvt/document"

# Every route: what it is called, its method, its path, and the role that it needs.
ROUTES: Final = {
    "invoice": ("POST", OMS + "/{order}/invoice", Role.NOTIFY_INVOICE),
    "tracking": ("PATCH", OMS + "/{order}/invoice/NFe1", Role.NOTIFY_INVOICE),
    "status": ("PUT", OMS + "/{order}/invoice/NFe1/tracking", Role.NOTIFY_INVOICE),
    "order": ("GET", OMS + "/{order}", Role.VIEW_ORDER),
    "handling": ("POST", OMS + "/{order}/start-handling", Role.CHANGE_STATUS),
    "cancel": ("POST", OMS + "/{order}/cancel", Role.CANCEL_ORDER),
    "document invoice": ("POST", DOCUMENT + "/{order}/invoices", Role.NOTIFY_INVOICE),
    "document order": ("GET", DOCUMENT + "/{order}", Role.VIEW_ORDER),
    "document handling": ("POST", DOCUMENT + "/{order}/actions/start-handling", Role.CHANGE_STATUS),
    "document cancel": ("POST", DOCUMENT + "/{order}/cancel", Role.CANCEL_ORDER),
}

TRACKING: Final = {
    "courier": "carrierOne",
    "trackingNumber": "87658",
    "trackingUrl": None,
    "dispatchedDate": None,
}
DELIVERED: Final = {"isDelivered": True, "deliveredDate": "2022-10-01 21:15", "events": []}


@frozen(kw_only=True)
class Heard:
    """An answer as it came."""

    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@frozen(kw_only=True)
class Caller:
    """A client that knows nothing of ours but the headers."""

    session: aiohttp.ClientSession
    sandbox: Sandbox

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Heard:
        """Send bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        given = authentication(self.sandbox.config) if headers is None else headers
        async with self.session.request(
            method,
            self.sandbox.url + path,
            data=data,
            headers={"Content-Type": "application/json", **given},
        ) as response:
            return Heard(
                status=response.status,
                content_type=response.headers.get("Content-Type", ""),
                body=await response.read(),
            )

    async def route(
        self, route: str, order: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Heard:
        """Send *body* to one of the routes, for an order."""
        method, path, _ = ROUTES[route]
        return await self.call(method, path.format(order=order), body, headers)


@asynccontextmanager
async def calling(sandbox: Sandbox) -> AsyncIterator[Caller]:
    """A caller with the sandbox's own credentials."""
    async with aiohttp.ClientSession() as session:
        yield Caller(session=session, sandbox=sandbox)


def body_for(order: Order, *, document: bool = False, **changes: object) -> dict[str, object]:
    """An invoice of all of an order, as VTEX's own documents write it."""
    sound: dict[str, object] = {
        "type": "Output",
        "invoiceNumber": "NFe1",
        "invoiceValue": order.value if document else str(order.value),
        "issuedDate" if document else "issuanceDate": "2026-01-31",
        "items": [
            {
                "itemIndex" if document else "id": index if document else line.id,
                "price": line.selling_price,
                "quantity": line.quantity,
            }
            for index, line in enumerate(order.items)
        ],
    }
    return sound | changes
