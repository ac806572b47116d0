"""HTTP as plain values, with what is known of the bytes sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from attrs import field, frozen

from vtex_invoice_async.printed import Printed

__all__ = ["NoReply", "Reply", "Request"]

# RFC 9110 §5.6.7: the one date form that a server may write today.
_HTTP_DATE: Final = r"(?a)[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"
_SECONDS: Final = r"(?a)\d{1,9}"
_EPOCH: Final = r"(?a)[1-9]\d{9,11}"

# The IETF's draft, which the Pricing API follows, what came before it, and VTEX's own.
# https://developers.vtex.com/docs/guides/pricing-api-overview
_RESET = ("RateLimit-Reset", "X-RateLimit-Reset", "X-VTEX-RateLimit-Reset")
_LONGEST_RESET = 3600


@frozen(kw_only=True, repr=False)
class Request(Printed):
    """What goes out: the path is percent-encoded, the body is JSON."""

    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    reply_limit: int
    """The longest body, in bytes, that an answer may have."""


@frozen(kw_only=True, repr=False)
class Reply(Printed):
    """A whole answer, as the server sent it."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Looked up without regard to case."""

    body: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait, or None where it does not say so clearly.

        A date is measured against the reply's own `Date`, so that a wrong clock here does no harm.
        """
        text = self.headers.get("Retry-After", "").strip()
        if re.fullmatch(_SECONDS, text):
            return float(text)
        then, now = _http_date(text), _http_date(self.headers.get("Date", "").strip())
        if then is None or now is None or then < now:
            return None
        return (then - now).total_seconds()

    @property
    def rate_is_spent(self) -> bool:
        """Whether the server says that the account may send no more just now.

        That is what a 429 says, told before it costs one. Other numbers say little: what they
        count, and for whom, is not documented.
        """
        get = self.headers.get
        # Every answer is asked this: a loop would cost twice as much.
        return (
            get("RateLimit-Remaining") == "0"
            or get("X-RateLimit-Remaining") == "0"
            or get("X-VTEX-RateLimit-Remaining") == "0"
        )

    @property
    def rate_resets_in(self) -> float | None:
        """Seconds until the server says it takes more, or None where it is not clear.

        Some write seconds and some the epoch, so only what cannot be the other is believed: up to
        an hour, or a time at most an hour after the reply's own `Date`.
        """
        for name in _RESET:
            text = self.headers.get(name, "").strip()
            if re.fullmatch(_SECONDS, text) and int(text) <= _LONGEST_RESET:
                return float(text)
            now = _http_date(self.headers.get("Date", "").strip())
            if now is None or not re.fullmatch(_EPOCH, text):
                continue
            seconds = int(text) - now.timestamp()
            if 0 <= seconds <= _LONGEST_RESET:
                return seconds
        return None


@frozen(kw_only=True, repr=False)
class NoReply(Printed):
    """No whole answer came."""

    reason: str
    """In words for people; holds nothing of the request or the answer."""

    bytes_left: bool
    """False only where it is proven that the server saw nothing of the request."""

    status: int | None = None
    """The status of an answer that broke off after its headers."""

    tried: bool = True
    """False where not even a connection was asked for, which says nothing of the server."""


def _http_date(text: str) -> datetime | None:
    if not re.fullmatch(_HTTP_DATE, text):
        return None
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
