"""What observers are told, as plain values.

    async with VtexInvoiceClient(config, observe=log_event) as client: ...

An observer is called in the event loop and should return at once. One that raises is not called
again; the invoice is unaffected.

What is told of a call has its number in `call`: no other call of this process has the same. Those
who observe single calls (`CallOptions`) are told `Sent`, `Retrying`, `Settled`, `Resolving` and
`Resolved` of these, and of the reads that they make; the rest is about the whole account. Seconds
are those of the loop's clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from attrs import asdict, frozen

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.value import Value

__all__ = [
    "CircuitTurned",
    "Event",
    "LeftInDoubt",
    "Observer",
    "Observers",
    "Resolved",
    "Resolving",
    "Retrying",
    "Sent",
    "Settled",
    "Throttled",
    "log_event",
]

_logger = logging.getLogger("vtex_invoice_async")


@frozen(kw_only=True, eq=False, repr=False)
class Sent(Value):
    """An attempt ended: with an answer, whatever it said, or with none."""

    call: int
    operation: str
    """As the client's method is called."""

    order_id: str
    attempt: int
    """1 for the first of a call."""

    status: int | None
    """That of the answer, if its head came."""

    bytes_left: bool
    """False only where it is proven that the server saw nothing of it."""

    seconds: float
    """From its turn to its end."""

    acts: bool
    """Whether it changes something at VTEX, which has a pace of its own, as what only reads has."""

    rate: float
    """The pace at which it was sent: requests a second of its kind."""


@frozen(kw_only=True, eq=False, repr=False)
class Retrying(Value):
    """A call will be tried again after *wait* seconds, or after a 429 later still."""

    call: int
    operation: str
    order_id: str
    attempt: int
    """The one that failed."""

    wait: float
    """Seconds."""

    error: str
    """The name of its class."""


@frozen(kw_only=True, eq=False, repr=False)
class Throttled(Value):
    """The pace was cut."""

    acts: bool
    """Whether that of what changes something at VTEX, or that of what only reads."""

    rate: float
    """Requests a second from now on."""

    closed_for: float
    """Seconds in which nothing is sent at all."""


@frozen(kw_only=True, eq=False, repr=False)
class CircuitTurned(Value):
    """VTEX stopped answering, or answers again."""

    is_open: bool


@frozen(kw_only=True, eq=False, repr=False)
class Resolving(Value):
    """An order was read for an invoice in doubt; told of each call that waits for it."""

    call: int
    order_id: str
    invoice_number: str
    looks: int
    """Reads so far."""

    finding: str
    """What this read alone shows; absence proves nothing before the settle window has passed."""


@frozen(kw_only=True, eq=False, repr=False)
class Settled(Value):
    """The attempts of a call ended; what they left in doubt may still be found on its order."""

    call: int
    operation: str
    order_id: str
    attempts: int
    error: str | None
    """The name of its class; None where VTEX confirmed."""

    status: int | None
    """That of the last attempt's answer, if one came."""

    seconds: float
    """From the start of the call."""

    queued: float
    """The part of them in which it waited for its turn: for a free slot, the pace, or VTEX's return."""

    paused: float
    """The part of them in which it waited before another attempt."""

    is_looked_for: bool
    """Whether the order is read now for what was left in doubt: `Resolved` follows."""

    @property
    def waited(self) -> float:
        """The seconds in which nothing of it was under way."""
        return self.queued + self.paused


@frozen(kw_only=True, eq=False, repr=False)
class Resolved(Value):
    """A call no longer looks for what is in doubt: it is known, or it ran out of time."""

    call: int
    operation: str
    """Of the call: one that left the doubt, or `resolve`."""

    order_id: str
    invoice_number: str | None
    """None where the call was about no invoice."""

    finding: str
    """`present`, `absent`, `conflict`; or `no evidence`, which leaves it in doubt."""

    looks: int
    """Reads for this doubt, over all."""

    seconds: float
    """In which this call has looked."""

    is_repeated: bool = False
    """Whether the call sends once more what was absent: another `Settled` follows."""


@frozen(kw_only=True, eq=False, repr=False)
class LeftInDoubt(Value):
    """A client was closed while invoices were in doubt: `in_doubt()` lists them."""

    doubts: int


Event = Sent | Retrying | Throttled | CircuitTurned | Resolving | Resolved | Settled | LeftInDoubt
Observer = Callable[[Event], None]


class Observers:
    """Those who listen, *beside* others; empty, it is falsy, and nobody need make an event."""

    def __init__(
        self, observe: Observer | Iterable[Observer] | None, *, beside: Observers | None = None
    ) -> None:
        self._observers = [] if observe is None else list(_several(observe))
        self._beside = beside

    def __bool__(self) -> bool:
        return bool(self._observers or self._beside)

    def tell(self, event: Event) -> None:
        """Tell everyone; whoever raises is not told again."""
        if self._beside is not None:
            self._beside.tell(event)
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
