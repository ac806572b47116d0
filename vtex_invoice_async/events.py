"""What observers are told, as plain values.

    async with VtexInvoiceClient(config, observe=log_event) as client: ...

An observer is called in the event loop and should return at once. One that raises is not called
again; the invoice is unaffected.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from attrs import asdict, frozen

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.printed import Printed

__all__ = [
    "CircuitTurned",
    "Event",
    "LeftInDoubt",
    "Observer",
    "Observers",
    "Resolving",
    "Retrying",
    "Sent",
    "Settled",
    "Throttled",
    "log_event",
]

_logger = logging.getLogger("vtex_invoice_async")


@frozen(kw_only=True, repr=False)
class Sent(Printed):
    """An attempt ended: with an answer, whatever it said, or with none."""

    operation: str
    order_id: str
    attempt: int
    status: int | None
    bytes_left: bool
    """False only where it is proven that the server saw nothing of it."""

    seconds: float


@frozen(kw_only=True, repr=False)
class Retrying(Printed):
    """A call will be tried again after *wait* seconds, or after a 429 later still."""

    operation: str
    order_id: str
    attempt: int
    """The one that failed."""

    wait: float
    error: str
    """The name of its class."""


@frozen(kw_only=True, repr=False)
class Throttled(Printed):
    """The pace was cut."""

    rate: float
    """Requests a second from now on."""

    closed_for: float
    """Seconds in which nothing is sent at all."""


@frozen(kw_only=True, repr=False)
class CircuitTurned(Printed):
    """VTEX stopped answering, or answers again."""

    is_open: bool


@frozen(kw_only=True, repr=False)
class Resolving(Printed):
    """An order was read for an invoice in doubt."""

    order_id: str
    invoice_number: str
    looks: int
    finding: str
    """What this read alone shows; absence proves nothing before the settle window has passed."""


@frozen(kw_only=True, repr=False)
class Settled(Printed):
    """The attempts of a call ended; what they left in doubt may still be found on its order."""

    operation: str
    order_id: str
    attempts: int
    error: str | None
    """The name of its class; None where VTEX confirmed."""

    seconds: float


@frozen(kw_only=True, repr=False)
class LeftInDoubt(Printed):
    """A client was closed while invoices were in doubt: `in_doubt()` lists them."""

    doubts: int


Event = Sent | Retrying | Throttled | CircuitTurned | Resolving | Settled | LeftInDoubt
Observer = Callable[[Event], None]


class Observers:
    """Those who listen; empty, it is falsy, and nobody need make an event."""

    def __init__(self, observe: Observer | Iterable[Observer] | None) -> None:
        self._observers = [] if observe is None else list(_several(observe))

    def __bool__(self) -> bool:
        return bool(self._observers)

    def tell(self, event: Event) -> None:
        """Tell everyone; whoever raises is not told again."""
        for observer in tuple(self._observers):
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001  whatever it is, the invoice comes first
                self._observers.remove(observer)
                _logger.warning("an observer raised %s and is not told again", type(error).__name__)


def _several(observe: Observer | Iterable[Observer]) -> Iterable[Observer]:
    found = tuple(observe) if isinstance(observe, Iterable) else (observe,)
    if not all(callable(observer) for observer in found):
        raise ConfigError("observe must be a callable that takes an event, or several")
    return found


_LEVELS = {LeftInDoubt: logging.WARNING, CircuitTurned: logging.WARNING, Throttled: logging.INFO}


def log_event(event: Event) -> None:
    """Observe by logging to `vtex_invoice_async`: an event's name, and its fields in `extra`."""
    level = _LEVELS.get(type(event), logging.DEBUG)
    if _logger.isEnabledFor(level):
        fields = asdict(event)
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        _logger.log(level, "%s %s", type(event).__name__, told, extra={"event": fields})
