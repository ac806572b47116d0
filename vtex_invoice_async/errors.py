"""Every exception of this package.

    VtexInvoiceError
    ├── ConfigError            settings, or the use of a client, make no sense; nothing was sent
    ├── InvalidInvoice         refused here, before anything was sent
    ├── CallError              a call to VTEX did not end well
    │   ├── NotSent            no byte left
    │   ├── RateLimited        VTEX answered 429
    │   ├── Rejected           VTEX answered no, and did not act
    │   │   ├── BadRequest     ├── NotAuthorized     ├── OrderNotFound     └── Conflict
    │   ├── OutcomeUnknown     VTEX may have acted
    │   ├── InvoiceConflict    the order shows this number with other contents
    │   └── InvoiceAbsent      the order does not show it, long enough after
    └── JournalError           the journal of a job cannot be used
        ├── JournalBusy        ├── JournalDamaged    ├── JournalTooNew
        ├── JournalMismatch    └── JournalFailed

A read that VTEX did not answer properly is a plain `CallError`: reading again is safe.

All of them pickle, copy and print in one line. None holds a secret, a header, a body or an
object of aiohttp: what VTEX wrote is shortened, made printable and cleared of personal data, but for
a name in plain words, which nothing tells from other words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal, TypedDict, Unpack

from attrs import frozen

from vtex_invoice_async.impersonal import impersonal
from vtex_invoice_async.value import Value
from vtex_invoice_async.vocabulary import InvoiceType, OrdersApi

__all__ = [
    "BadRequest",
    "CallError",
    "ConfigError",
    "Conflict",
    "Doubt",
    "InvalidInvoice",
    "InvoiceAbsent",
    "InvoiceConflict",
    "JournalBusy",
    "JournalDamaged",
    "JournalError",
    "JournalFailed",
    "JournalMismatch",
    "JournalTooNew",
    "NotAuthorized",
    "NotSent",
    "OrderNotFound",
    "OutcomeUnknown",
    "Problem",
    "RateLimited",
    "Rejected",
    "VtexInvoiceError",
]

_REQUEST_ID: Final = r"(?a)[\w.:|=+/-]+"


def printable(text: str, limit: int) -> str:
    """Return *text* on one line, without what does not print, shortened to *limit*."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _request_id(text: str) -> str:
    """Return an id as it is, for its digits are no CPF, and any other text without persons."""
    return text if re.fullmatch(_REQUEST_ID, text) else impersonal(printable(text, 2_000))


@frozen(kw_only=True, eq=False, repr=False)
class Problem(Value):
    """One reason why something was refused, or is worth a look."""

    code: str
    """Stable and short, for programs."""

    field: str
    """Where it is, in VTEX's names: `items[0].price`."""

    message: str
    """What is wrong and what to do."""

    severity: Literal["refuse", "warn"] = "refuse"
    source: str | None = None
    """The page of VTEX that the rule comes from."""

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


@frozen(kw_only=True, eq=False, repr=False)
class Doubt(Value):
    """An invoice that VTEX may or may not have recorded: the question that reading the order answers."""

    order_id: str
    invoice_number: str
    type: InvoiceType
    value: int
    """Cents."""

    orders_api: OrdersApi
    since: datetime
    """When the last byte of it may have left: absence means nothing until some time after."""


class VtexInvoiceError(Exception):
    """The base of every exception that this package raises on purpose."""


class ConfigError(VtexInvoiceError, ValueError):
    """Settings, or the use of a client, make no sense; nothing was sent."""


class InvalidInvoice(VtexInvoiceError, ValueError):
    """Refused before anything was sent; *problems* holds every reason found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "; ".join(map(str, self.problems))


class CallFacts(TypedDict, total=False):
    """What every `CallError` is told of its call."""

    operation: str
    order_id: str
    attempts: int
    status: int | None
    code: str | None
    message: str | None
    request_id: str | None


class CallError(VtexInvoiceError):
    """A call to VTEX did not end well; the class says what is known, the attributes the rest."""

    def __init__(
        self,
        reason: str,
        *,
        operation: str = "",
        order_id: str = "",
        attempts: int = 1,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        """What is known, in our words."""
        self.operation = operation
        """As the client's method is called."""
        self.order_id = printable(order_id, 500)
        self.attempts = attempts
        """How often it was sent, or tried; 0 where it did not get a turn."""
        self.status = status
        """The HTTP status, if an answer came."""
        self.code = code and printable(impersonal(printable(code, 2_000)), 100)
        """VTEX's own code, as `OMS007`."""
        self.message = message and printable(impersonal(printable(message, 2_000)), 500)
        """VTEX's own words."""
        self.request_id = request_id and printable(_request_id(request_id), 200)
        """What VTEX's support asks for."""

    @property
    def facts(self) -> CallFacts:
        """What it knows of its call, for another error about the same one."""
        return CallFacts(
            operation=self.operation,
            order_id=self.order_id,
            attempts=self.attempts,
            status=self.status,
            code=self.code,
            message=self.message,
            request_id=self.request_id,
        )

    def __str__(self) -> str:
        known = {
            "status": self.status,
            "code": self.code,
            "VTEX says": self.message,
            "request id": self.request_id,
        }
        details = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
        where = f"{self.operation} for order {self.order_id}: " if self.operation else ""
        return f"{where}{self.reason}" + (f" ({details})" if details else "")


class NotSent(CallError):
    """No byte of the request left: it may be sent again, once the reason is gone."""


class RateLimited(CallError):
    """VTEX answered 429, so it did not act: send again after *retry_after* seconds.

    https://developers.vtex.com/docs/guides/best-practices-for-avoiding-rate-limit-errors
    """

    def __init__(
        self, reason: str, *, retry_after: float | None = None, **call: Unpack[CallFacts]
    ) -> None:
        super().__init__(reason, **call)
        self.retry_after = retry_after
        """Seconds, or None where VTEX did not say."""


class Rejected(CallError):
    """VTEX answered no and did not act: correct the invoice or the account, then send again."""


class BadRequest(Rejected):
    """VTEX refused what was sent."""


class NotAuthorized(Rejected):
    """VTEX refused the credentials (401), or their role lacks a resource (403).

    https://developers.vtex.com/docs/guides/authentication
    """


class OrderNotFound(Rejected):
    """VTEX knows no such order or invoice in this account, or the order is over two years old.

    https://developers.vtex.com/docs/api-reference/orders-api#get-/api/oms/pvt/orders/-orderId-
    """


class Conflict(Rejected):
    """The order's status does not allow it."""


class OutcomeUnknown(CallError):
    """VTEX may have acted: never send it again before the order was read."""

    def __init__(
        self, reason: str, *, doubt: Doubt | None = None, **call: Unpack[CallFacts]
    ) -> None:
        super().__init__(reason, **call)
        self.doubt = doubt
        """What to look for on the order; None where the call was no invoice."""


class InvoiceConflict(CallError):
    """The order shows this number, or nearly, with another type, value or content: look at it."""


class InvoiceAbsent(CallError):
    """The order has not shown the invoice for the whole settle window: VTEX does not have it."""


class JournalError(VtexInvoiceError):
    """The journal of a job cannot be used."""


class JournalBusy(JournalError):
    """Another run holds the journal: wait for its end."""


class JournalDamaged(JournalError):
    """The journal is not what was written: nothing in it is believed, and nothing sent."""


class JournalTooNew(JournalError):
    """A later version of this package wrote the journal: use that one."""


class JournalFailed(JournalError):
    """The disk refused what was to be written; nothing was sent that was not."""


class JournalMismatch(JournalError):
    """The journal belongs to another account, host or family of paths."""
