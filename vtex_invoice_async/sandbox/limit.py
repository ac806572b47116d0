"""The rate limit that the sandbox's account has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import define, frozen

from vtex_invoice_async.errors import ConfigError

__all__ = ["Bucket", "Limit"]


MOST: Final = 1e9
"""Requests: a number so large is no limit, and can still be reckoned with."""


@frozen(kw_only=True)
class Limit:
    """How many requests the account may send; what makes no sense is a `ConfigError`.

    *burst* requests, 20 by default, before the first 429, and *per_second* from then on. A 429 asks
    to wait *retry_after* seconds; where it *tells*, every answer says how much is left.
    """

    per_second: float
    """How many come back in a second; 0 gives none back."""

    burst: float = 20
    """How many it may send at once; at least 1."""

    retry_after: int | None = 1
    """Seconds that a 429 asks to wait; None leaves the header out.

    https://developers.vtex.com/docs/guides/how-to-load-test-a-store
    """

    tells: bool = False
    """Whether every answer says how much of the burst is left, as those of VTEX's Pricing API do.

    `Ratelimit-Reset` is the seconds until all of it is back.
    https://developers.vtex.com/docs/guides/pricing-api-overview
    """

    def __attrs_post_init__(self) -> None:
        problems = "; ".join(self._problems())
        if problems:
            raise ConfigError(f"limit: {problems}")

    def _problems(self) -> Iterator[str]:
        for name, least in (("per_second", 0), ("burst", 1)):
            value = getattr(self, name)
            # Written so that NaN is refused as well.
            if type(value) not in {int, float} or not least <= value <= MOST:
                yield f"{name} must be a number from {least} to {MOST:.0e}"
        after = self.retry_after
        if after is not None and (type(after) is not int or after < 0):
            yield "retry_after must be whole seconds, 0 or more, or None"
        if type(self.tells) is not bool:
            yield "tells must be True or False"


@define
class Bucket:
    """A token bucket: full at first, filled at the limit's rate. Times are seconds."""

    limit: Limit | None
    _tokens: float = 0
    _filled_at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token; False where there is none."""
        if self.limit is None:
            return True
        self._fill(self.limit, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def told(self, now: float) -> Mapping[str, str]:
        """Return the headers that say how much is left, where the limit tells."""
        if self.limit is None or not self.limit.tells:
            return {}
        self._fill(self.limit, now)
        told = {
            "Ratelimit-Limit": str(math.floor(self.limit.burst)),
            "Ratelimit-Remaining": str(math.floor(self._tokens)),
        }
        # Where nothing comes back there is no time to name.
        if self.limit.per_second:
            wait = (self.limit.burst - self._tokens) / self.limit.per_second
            told["Ratelimit-Reset"] = str(math.ceil(wait))
        return told

    def _fill(self, limit: Limit, now: float) -> None:
        if self._filled_at is None:
            self._tokens = limit.burst
            self._filled_at = now
        new = limit.per_second * (now - self._filled_at)
        self._tokens = min(limit.burst, self._tokens + new)
        self._filled_at = now
