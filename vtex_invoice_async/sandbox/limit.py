"""The rate limit that the sandbox's account has."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attrs import define, frozen

__all__ = ["Bucket", "Limit"]


@frozen(kw_only=True)
class Limit:
    """How many requests the account may send."""

    per_second: float
    burst: float = 20
    retry_after: int | None = None
    """Seconds that a 429 asks to wait; None leaves the header out."""

    tells: bool = False
    """Whether every answer says how much of the burst is left, as those of VTEX's Pricing API do.

    `Ratelimit-Reset` is the seconds until all of it is back.
    https://developers.vtex.com/docs/guides/pricing-api-overview
    """


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
