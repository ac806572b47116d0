"""The rate limit that the sandbox's account has, and does not speak of."""

from __future__ import annotations

from attrs import define, frozen

__all__ = ["Bucket", "Limit"]


@frozen(kw_only=True)
class Limit:
    """How many requests the account may send."""

    per_second: float
    burst: float = 20
    retry_after: int | None = None
    """Seconds that a 429 asks to wait; None leaves the header out."""


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
        if self._filled_at is None:
            self._tokens = self.limit.burst
            self._filled_at = now
        new = self.limit.per_second * (now - self._filled_at)
        self._tokens = min(self.limit.burst, self._tokens + new)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
