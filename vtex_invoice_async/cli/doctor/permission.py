"""Whether the credentials may read an order: a real read, by the real client."""

from __future__ import annotations

import asyncio

from attrs import evolve

from vtex_invoice_async.cli.doctor.finding import Finding, failed, ok
from vtex_invoice_async.cli.doctor.host import UNKNOWN_ORDER
from vtex_invoice_async.client import VtexInvoiceClient
from vtex_invoice_async.config import ClientConfig, Timeouts
from vtex_invoice_async.errors import (
    CallError,
    InvalidInvoice,
    NotAuthorized,
    NotSent,
    OrderNotFound,
    RateLimited,
)
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.jobs.verifying import exit_of_reading
from vtex_invoice_async.models import Order
from vtex_invoice_async.retry import RetryPolicy

__all__ = ["NAME", "look_at_permission"]

NAME = "permission"

LEAST = 0.1
"""Seconds for a read, if the time is almost up."""

ROLE = (
    "in License Manager (Account settings, App keys) give it a role with View order and Notify "
    "invoice (returns: Notify refund), such as OMS - Full access"
)


async def look_at_permission(config: ClientConfig, order_id: str | None, until: float) -> Finding:
    """Read an order, or ask for one that cannot exist, and say what the answer proves."""
    seconds = max(until - asyncio.get_running_loop().time(), LEAST)
    config = evolve(
        config,
        timeouts=Timeouts(connect=seconds, read=seconds, total=seconds),
        # As it is now: what is answered at another time is no news.
        retry=RetryPolicy(max_attempts=1, deadline=seconds, retry_after_cap=0),
    )
    asked = UNKNOWN_ORDER if order_id is None else order_id
    try:
        async with asyncio.timeout(seconds + LEAST), VtexInvoiceClient(config) as client:
            order = await client.get_order(asked)
    except InvalidInvoice as error:
        return failed(NAME, f"--order: {error}", "give the id as VTEX shows it", Exit.USAGE)
    except OrderNotFound as error:
        return _unknown(error, order_id)
    except CallError as error:
        return _refused(error)
    except TimeoutError:
        advice = "try again, or give more --timeout"
        return failed(NAME, "no answer in time", advice, Exit.UNANSWERED)
    return _read(order, order_id)


def _read(order: Order, order_id: str | None) -> Finding:
    if order_id is None:
        told = "there is an answer for an order that cannot exist: that is not VTEX"
        return failed(NAME, told, "check VTEX_BASE_URL", Exit.UNANSWERED)
    return ok(NAME, f"order {order.order_id} can be read ({order.status})")


def _unknown(error: OrderNotFound, order_id: str | None) -> Finding:
    if order_id is None:
        return ok(NAME, "orders can be read: one that cannot exist is answered with 404")
    told = f"orders can be read, but this account has no order {error.order_id}"
    advice = "check the id and VTEX_ACCOUNT; VTEX shows no order that is over two years old"
    return failed(NAME, told, advice, Exit.USAGE)


def _refused(error: CallError) -> Finding:
    told = _told(error)
    if error.status == 401 and isinstance(error, NotAuthorized):
        advice = (
            "see that key and token belong together and are active; a user token lasts 24 hours"
        )
        return failed(
            NAME, f"VTEX does not know these credentials{told}", advice, Exit.UNAUTHORIZED
        )
    if error.status == 403 and isinstance(error, NotAuthorized):
        lacks = "the role of these credentials lacks View order"
        return failed(NAME, f"{lacks}{told}", ROLE, Exit.UNAUTHORIZED)
    if error.status in {401, 403}:
        advice = "ask who runs the network, or VTEX's support, what blocks this machine"
        page = f"a refusal that is not VTEX's own: a firewall's page{told}"
        return failed(NAME, page, advice, Exit.UNAUTHORIZED)
    if error.status == 404:
        advice = "check VTEX_ACCOUNT and VTEX_BASE_URL; a new account takes a while"
        return failed(NAME, f"VTEX knows no such account or path{told}", advice, Exit.USAGE)
    return failed(NAME, f"{error.reason}{told}", _later(error), exit_of_reading(error))


def _later(error: CallError) -> str:
    if isinstance(error, RateLimited):
        return "wait a minute, and see what else uses the account"
    if isinstance(error, NotSent) or error.status is None:
        return "try again, or give more --timeout"
    if error.status < 500:
        return "see that VTEX_BASE_URL names VTEX, and that no proxy's page stands between"
    return "VTEX is in trouble: try again later; https://status.vtex.com tells more"


def _told(error: CallError) -> str:
    known = {"status": error.status, "VTEX says": error.message, "request id": error.request_id}
    told = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
    return f" ({told})" if told else ""
