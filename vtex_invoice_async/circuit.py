"""Whether VTEX answers at all: an outage is met with a few probes instead of a heap of doubts."""

from __future__ import annotations

from typing import Final

from attrs import define

__all__ = ["Circuit"]

OPENS_AFTER: Final = 5
"""Sends in a row that ended without an answer of VTEX's own."""

FIRST_PROBE: Final = 1.0
LONGEST_PROBE: Final = 30.0
"""Seconds before a probe; each is twice the last."""

OVER_AFTER: Final = 120.0
"""Seconds after which an outage is not waited out any longer."""


@define(eq=False, repr=False)
class Circuit:
    """Open while VTEX does not answer; then one send at a time is let through to see.

    Times are seconds of any clock that only goes forward.
    """

    is_open: bool = False
    """Whether sends have to wait."""

    _failures: int = 0
    _opened_at: float = 0
    _next_probe: float = 0
    _pause: float = FIRST_PROBE
    _probing: bool = False

    def is_over(self, now: float) -> bool:
        """Whether the outage has lasted too long to be waited out; while a probe is out, it may end."""
        return self.is_open and now - self._opened_at >= OVER_AFTER and not self._probing

    def wait(self, now: float) -> float:
        """Return the seconds before asking again; 0 lets this one send through.

        Whom it lets through while it is open is the probe, and must be reported to `see`, or to
        `release` if it does not get as far as sending.
        """
        if not self.is_open:
            return 0
        if self._probing:
            return FIRST_PROBE
        if now < self._next_probe:
            return self._next_probe - now
        self._probing = True
        return 0

    def release(self) -> None:
        """Let another be the probe: this one was not sent."""
        self._probing = False

    def see(self, now: float, *, answered: bool, probe: bool) -> bool:
        """Take in how a send ended; return whether that opened or closed the circuit."""
        was_open = self.is_open
        # The probe of an outage that a late answer has ended says nothing of another.
        probe = probe and self._probing
        self._probing = self._probing and not probe
        if answered:
            self._failures = 0
            self.is_open = False
            self._pause = FIRST_PROBE
            self._probing = False
            return was_open
        self._failures += 1
        if not was_open and self._failures >= OPENS_AFTER:
            self.is_open = True
            self._opened_at = now
            self._next_probe = now + self._pause
            return True
        # What was in flight when it opened tells nothing new: only the probe's failure does.
        if was_open and probe:
            self._pause = min(2 * self._pause, LONGEST_PROBE)
            self._next_probe = now + self._pause
        return False
