"""What may differ from call to call: how long it takes, how patient it is, and who is told."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cached_property
from inspect import currentframe
from typing import Final, Self, TypedDict

from attrs import evolve, frozen

from vtex_invoice_async.config import ClientConfig, Timeouts
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.events import Observer, Observers
from vtex_invoice_async.retry import RetryPolicy

__all__ = ["CallOptions", "Options", "warn_of_haste"]

PACKAGE: Final = f"{__name__.partition('.')[0]}."
SHORT_WINDOW: Final = 60.0


class CallOptions(TypedDict, total=False):
    """What any call of a client takes by name, and `with_options` for all calls of another one.

    What is left out is as the client has it; a wrong value is a `ConfigError`, and nothing is sent.
    """

    timeout: float | Timeouts
    """Seconds of an attempt in all, to which the client's times to connect and to read are cut."""

    retry: RetryPolicy
    """How patient the call is. Of several that look for one doubt, the longest window holds."""

    observe: Observer | Iterable[Observer]
    """Told, beside the client's own observers, what happens to the call."""


@frozen(kw_only=True, eq=False, repr=False)
class Options:
    """All that holds for a call."""

    timeouts: Timeouts
    given: Timeouts
    """Those that a number of seconds cuts: as they were, before another number has cut them."""

    retry: RetryPolicy
    observers: Observers | None
    """None where nobody listens."""

    @classmethod
    def of(cls, config: ClientConfig, observers: Observers) -> Self:
        """Return what holds for a call that gives no options."""
        return cls(
            timeouts=config.timeouts,
            given=config.timeouts,
            retry=config.retry,
            observers=observers or None,
        )

    @cached_property
    def patient(self) -> RetryPolicy:
        """For what waits for nobody: it has no deadline, and ends when VTEX is given up."""
        return evolve(self.retry, deadline=None)

    @cached_property
    def once(self) -> RetryPolicy:
        """For what is followed by another of its kind by plan: none is repeated in itself."""
        return evolve(self.retry, max_attempts=1)

    def with_(self, options: CallOptions) -> Options:
        """Return these with what *options* say; refuse what makes no sense."""
        if unknown := options.keys() - CallOptions.__annotations__.keys():
            names = ", ".join(CallOptions.__annotations__)
            raise ConfigError(f"a call has no option {min(unknown)}: there are {names}")
        timeouts, given, retry = self.timeouts, self.given, self.retry
        if "timeout" in options:
            timeout = options["timeout"]
            if isinstance(timeout, Timeouts):
                timeouts = given = timeout
            else:
                timeouts = given.within(timeout)
        if "retry" in options:
            retry = options["retry"]
            if not isinstance(retry, RetryPolicy):
                raise ConfigError("retry must be a RetryPolicy, such as RetryPolicy(deadline=10)")
            warn_of_haste(retry)
        observers = self.observers
        if "observe" in options:
            observers = Observers(options["observe"], beside=observers) or None
        return Options(timeouts=timeouts, given=given, retry=retry, observers=observers)


def warn_of_haste(retry: RetryPolicy) -> None:
    """Warn where the absence of an invoice would be believed before VTEX may have shown it."""
    if retry.settle_window < SHORT_WINDOW:
        told = f"settle_window is under {SHORT_WINDOW:.0f} s: VTEX may be slower than that"
        frame, level = currentframe(), 1
        # It is told of the line that gave it, through however many of our own.
        while frame is not None and frame.f_globals.get("__name__", "").startswith(PACKAGE):
            frame, level = frame.f_back, level + 1
        warnings.warn(told, stacklevel=level)
