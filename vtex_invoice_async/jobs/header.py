"""Whose invoices a journal holds."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import frozen

from vtex_invoice_async.config import ClientConfig
from vtex_invoice_async.errors import JournalMismatch
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["Header", "compare", "header_for", "header_of"]


@frozen(kw_only=True)
class Header:
    """Whose invoices a journal holds: those of another account, host or family of paths are not."""

    account: str
    origin: str
    """Scheme, host and port."""

    family: str
    """`oms` or `pii`: where the invoices of an account live."""


def header_of(*, account: str, url: str, orders_api: OrdersApi) -> Header:
    """Return whose invoices a client of these settings sends."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    family = "oms" if orders_api is OrdersApi.OMS else "pii"
    return Header(account=account, origin=f"{parts.scheme}://{host}:{port}", family=family)


def header_for(config: ClientConfig) -> Header:
    """Return whose invoices a client of *config* sends."""
    return header_of(account=config.account, url=config.url, orders_api=config.orders_api)


def compare(ours: Header, theirs: Header) -> None:
    """Raise `JournalMismatch` where a journal is of others than *theirs*."""
    if ours != theirs:
        raise JournalMismatch(
            f"the journal is for {ours.account} at {ours.origin} ({ours.family}), "
            f"and not for {theirs.account} at {theirs.origin} ({theirs.family}): check VTEX_ACCOUNT, "
            "VTEX_BASE_URL and VTEX_ORDERS_API, or name another journal"
        )
