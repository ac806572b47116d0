"""How far a run has come, in counts that always add up, and what ends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Final

from attrs import evolve, frozen

from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    NotSent,
    OrderNotFound,
    RateLimited,
)
from vtex_invoice_async.jobs.entering import Entered
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.samples import Tally
from vtex_invoice_async.jobs.summary import Ending, Exit, Summary, by_state, exit_code, exit_of
from vtex_invoice_async.outcome import State

__all__ = ["End", "Progress"]

MOST_STRANGE: Final = 20
"""Orders in a row that VTEX does not find, after which the account is likely the wrong one."""


@frozen
class End:
    """What ends more than one invoice."""

    reason: str
    for_good: bool
    """Whether reading makes no sense either."""


class Progress:
    """The counts of a run's invoices by state."""

    def __init__(self) -> None:
        self.counts: Counter[State] = Counter()
        self.in_flight = 0
        """Those of the doubtful that are only on their way."""
        self.confirmed_by_order = 0
        self.tally = Tally()
        self.answered = False
        """Whether VTEX has answered at all."""
        self.signal: int | None = None
        self.is_over = False
        self.sends_are_over = False
        self._outside: Counter[State] = Counter()
        """Invoices of the journal that the run leaves alone."""
        self._entered = Entered()
        self._invalid = 0
        self._duplicates = 0
        self._asked = False
        self._strange = 0
        """Orders in a row that VTEX does not find."""
        self._unauthorized = False
        self._failed: Exit | None = None

    def plan(self, plan: Plan) -> None:
        """Count the invoices of a plan, none of which is begun."""
        self._invalid, self._duplicates = plan.invalid, plan.duplicates
        self.counts = Counter({State.PLANNED: plan.planned})

    def begin(
        self,
        counts: Counter[State],
        *,
        entered: Entered | None = None,
        but: Collection[State] = (),
    ) -> None:
        """Begin with the invoices as the journal has them, without those in some states."""
        self._outside = Counter({s: n for s, n in counts.items() if s in but})
        self.counts = counts - self._outside
        self._entered = entered or self._entered

    def move(self, before: State, after: State) -> None:
        """Count an invoice where it is now."""
        self.counts[before] -= 1
        self.counts[after] += 1

    def compare(self, counts: Counter[State]) -> None:
        """Raise `RuntimeError` where the journal counts otherwise."""
        if +self.counts + self._outside != +counts:
            raise RuntimeError(f"counted {dict(self.counts)}, and the journal has {dict(counts)}")

    def hear(self) -> None:
        """Take in that VTEX answered as it should."""
        self.answered = True
        self._strange = 0

    def learn(self, error: CallError | ConfigError, *, was_read: bool) -> End | None:
        """Take in how a call ended; return what that ends beside it."""
        self._asked = True
        if isinstance(error, ConfigError):
            return None
        self.answered |= isinstance(error, RateLimited) or error.status is not None
        if error.status in {401, 403}:
            self._unauthorized = True
            return End(f"VTEX refuses the credentials or their role: {error}", for_good=True)
        if isinstance(error, RateLimited):
            asked = f" of {error.retry_after:.0f} s" if error.retry_after else ""
            told = f"VTEX asks for a pause{asked}, which is longer than a run waits; go on after it"
            return End(told, for_good=False)
        if was_read:
            if error.status is not None:
                return None
            told = f"VTEX cannot be reached: {error.reason}; see `vtex-invoice doctor`"
            return End(told, for_good=True)
        self._strange = self._strange + 1 if isinstance(error, OrderNotFound) else 0
        if self._strange == MOST_STRANGE:
            told = f"VTEX does not find {MOST_STRANGE} orders in a row: is it the right account?"
            return End(told, for_good=False)
        # A job has no deadline of its own: one that got no turn means that none will.
        if isinstance(error, NotSent) and error.attempts == 0:
            return End(
                "VTEX has not answered for too long; see `vtex-invoice doctor`", for_good=True
            )
        return None

    def stop(self, *, for_good: bool) -> bool:
        """Send no more, and with *for_good* read no more; False where that was so before."""
        before = (self.sends_are_over, self.is_over)
        self.sends_are_over = True
        self.is_over |= for_good
        return before != (self.sends_are_over, self.is_over)

    def fail(self, error: Exception) -> None:
        """Take in that *error* ended the run: the first one counts, others may come of it."""
        self._failed = self._failed or exit_of(error)

    def summary(self, elapsed: float, journal: str | None) -> Summary:
        """Return the counts."""
        entered = self._entered
        found = by_state(self.counts)
        # What the journal holds with other contents is in the file, and not in the journal's run.
        for name in ("planned", "conflict"):
            found[name] += entered.refused
        counted = Summary(
            **found,
            confirmed_by_order=self.confirmed_by_order,
            already_confirmed=entered.already_confirmed,
            invalid=self._invalid,
            duplicates=self._duplicates,
            elapsed_s=round(elapsed, 3),
            journal=journal,
        )
        ending = Ending(
            failed=self._failed,
            unauthorized=self._unauthorized,
            unanswered=self._asked and not self.answered,
            signal=self.signal,
        )
        return evolve(counted, exit_code=exit_code(counted, ending))
