"""Again or not, and when: a rule over what is known of a failed attempt.

What VTEX may have acted on is never repeated from here: first the order has to be read. Time and
chance are arguments.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

from vtex_invoice_async.errors import CallError, ConfigError, NotSent, RateLimited
from vtex_invoice_async.value import Value

__all__ = ["Attempt", "GiveUp", "RetryIn", "RetryPolicy", "RetryQuota", "decide"]

MOST_DOUBLINGS: Final = 30
"""2 ** 30 first waits are above any bound; far beyond that, a float would overflow."""


MOST_SECONDS: Final = 1e300
"""As good as for ever, and still a number to reckon with."""


@frozen(kw_only=True, eq=False, repr=False)
class RetryPolicy(Value):
    """How patient a call is, in seconds; what makes no sense is a `ConfigError`.

    Sent again is only what VTEX did not act on: what did not leave, what it answered with 429, and
    reads. Waiting for a turn, and after a 429, costs no attempt, but counts towards the deadline.
    """

    max_attempts: int = 6
    """Attempts at one call; those that end in a 429 do not count."""

    deadline: float | None = 120
    """From the start of a call to the start of its last attempt; None for as long as it takes."""

    first_wait: float = 0.5
    """The bound of the first wait. It doubles with each, and a wait is anything from 0 to it."""

    max_wait: float = 30
    """The highest bound."""

    retry_after_cap: float = 300
    """What VTEX asks for above this is not sat out: the call ends as `RateLimited`."""

    settle_window: float = 300
    """How long VTEX may still apply or show an invoice in doubt: until then absence proves nothing.

    VTEX says nowhere how long that is; a client warns of anything under 60 s."""

    resolve_for: float = 30
    """How long a single call looks for its invoice on the order before it raises `OutcomeUnknown`."""

    def __attrs_post_init__(self) -> None:
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise ConfigError("retry.max_attempts must be an int of at least 1")
        for name in ("deadline", "first_wait", "max_wait", "retry_after_cap", "resolve_for"):
            value = getattr(self, name)
            if not (name == "deadline" and value is None) and not _is_seconds(value):
                raise ConfigError(f"retry.{name} must be a number of seconds of at least 0")
        if not _is_seconds(self.settle_window) or self.settle_window == 0:
            raise ConfigError("retry.settle_window must be a number of seconds above 0")


def _is_seconds(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return 0 <= value <= MOST_SECONDS


@define(eq=False, repr=False)
class RetryQuota:
    """What all calls of a client may repeat together: an outage must not be met with a storm."""

    most: float = 20
    share: float = 0.1
    """The part of a repetition that each call earns."""

    _left: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.most

    def earn(self) -> None:
        """Count a call."""
        self._left = min(self.most, self._left + self.share)

    def spend(self) -> bool:
        """Take one repetition, if there is one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


@frozen(kw_only=True, eq=False, repr=False)
class Attempt(Value):
    """What is known when an attempt has failed."""

    number: int
    """1 for the first; those that ended in a 429 do not count."""

    elapsed: float
    """Seconds since the call began."""

    error: Exception
    reads_only: bool = False
    """Whether the call changes nothing at VTEX."""

    chance: float
    """In [0, 1): spreads the waits, so that clients do not move in step."""


@frozen(eq=False, repr=False)
class RetryIn(Value):
    """Try again after so many seconds."""

    seconds: float


@frozen(eq=False, repr=False)
class GiveUp(Value):
    """Do not try again; why, for people."""

    reason: str


def decide(policy: RetryPolicy, attempt: Attempt) -> RetryIn | GiveUp:
    """Say whether a failed attempt is followed by another."""
    error = attempt.error
    if isinstance(error, RateLimited):
        # Who may send when is up to the throttle; here only what VTEX demanded of this very call.
        wait = max(error.retry_after or 0.0, 0.0)
        if not wait <= policy.retry_after_cap:
            return GiveUp(f"VTEX asks to wait {wait:.0f} s")
        wait += attempt.chance * min(policy.first_wait, wait)
    elif isinstance(error, NotSent) or (attempt.reads_only and type(error) is CallError):
        if attempt.number >= policy.max_attempts:
            return GiveUp(f"tried {attempt.number} times")
        doublings = min(attempt.number - 1, MOST_DOUBLINGS)
        wait = attempt.chance * min(policy.max_wait, policy.first_wait * 2.0**doublings)
    else:
        return GiveUp("it would not help, or might act twice")
    if policy.deadline is not None and attempt.elapsed + wait > policy.deadline:
        return GiveUp(f"no time left of {policy.deadline:g} s")
    return RetryIn(wait)
