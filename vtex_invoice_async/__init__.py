"""Tell VTEX that orders were invoiced: one from an async service, or a million from a file."""

from __future__ import annotations

# What type checkers know by this name: to import `typing` takes longer than all that is done here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from vtex_invoice_async.client import VtexInvoiceClient
    from vtex_invoice_async.config import ClientConfig, Credentials, ThrottleLimits, Timeouts
    from vtex_invoice_async.errors import Doubt
    from vtex_invoice_async.models import (
        Invoice,
        InvoiceItem,
        Order,
        Package,
        Receipt,
        TrackingEvent,
        TrackingInfo,
        TrackingStatus,
    )
    from vtex_invoice_async.money import cents
    from vtex_invoice_async.options import CallOptions
    from vtex_invoice_async.outcome import InvoiceJob, Outcome, State
    from vtex_invoice_async.retry import RetryPolicy
    from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

    __version__: str

__all__ = [
    "CallOptions",
    "ClientConfig",
    "Credentials",
    "Doubt",
    "Invoice",
    "InvoiceItem",
    "InvoiceJob",
    "InvoiceType",
    "Order",
    "OrdersApi",
    "Outcome",
    "Package",
    "Receipt",
    "RetryPolicy",
    "State",
    "ThrottleLimits",
    "Timeouts",
    "TrackingEvent",
    "TrackingInfo",
    "TrackingStatus",
    "VtexInvoiceClient",
    "cents",
]

# Where each name lives: importing the package costs nothing until a name is asked for (PEP 562).
_HOMES = {
    "client": ("VtexInvoiceClient",),
    "config": ("ClientConfig", "Credentials", "ThrottleLimits", "Timeouts"),
    "errors": ("Doubt",),
    "models": (
        "Invoice",
        "InvoiceItem",
        "Order",
        "Package",
        "Receipt",
        "TrackingEvent",
        "TrackingInfo",
        "TrackingStatus",
    ),
    "money": ("cents",),
    "options": ("CallOptions",),
    "outcome": ("InvoiceJob", "Outcome", "State"),
    "retry": ("RetryPolicy",),
    "vocabulary": ("InvoiceType", "OrdersApi"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


# Hidden from type checkers, to whom it would make every name exist.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("vtex-invoice-async")
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
