"""An end to what takes too long: one timer for all that may take the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

__all__ = ["Deadline", "Deadlines", "Durations"]

MOST_KEPT: Final = 32
"""Durations of which nothing is set at the moment."""


MOST_TURNS: Final = 100
"""Of the loop, in which blocks may end that were told to: a few do, unless one will not."""


class Deadline:
    """Ends a block of code in the current task, as `asyncio.timeout` would, once one is set for it."""

    __slots__ = ("_cancelling", "_error", "_task")

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  for the type checker: who awaits is a task
        self._task = task
        self._cancelling = task.cancelling()
        self._error: type[TimeoutError] | None = None
        return self

    def expire(self, error: type[TimeoutError]) -> None:
        """End the block, which raises *error*."""
        if self._error is None:
            self._error = error
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A cancellation that came in the same moment is somebody else's, and goes on.
        is_ours = self._error is not None and self._task.uncancel() <= self._cancelling
        if is_ours and self._error is not None and isinstance(error, asyncio.CancelledError):
            raise self._error from error


class Deadlines:
    """Sets deadlines that are all the same *seconds* away, and so come in the order they were set.

    That lets the timer of the first one serve all: one each would cost a fifth of a request. What
    is set must be removed.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, error: type[TimeoutError]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._error = error
        self._set: dict[Deadline, float] = {}
        """When each comes."""
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._set)

    def set(self, deadline: Deadline) -> None:
        """Let *deadline* come seconds from now, and not before."""
        self._set.pop(deadline, None)
        at = self._loop.time() + self._seconds
        self._set[deadline] = at
        if self._timer is None:
            self._timer = self._loop.call_at(at, self._expire)

    def remove(self, deadline: Deadline) -> None:
        """Let *deadline* not come."""
        self._set.pop(deadline, None)
        if not self._set and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        for deadline, at in [*self._set.items()]:
            if at > self._loop.time():
                self._timer = self._loop.call_at(at, self._expire)
                break
            del self._set[deadline]
            deadline.expire(self._error)

    def expire_all(self) -> None:
        """Let all that are set come now; they are removed as their blocks end."""
        for deadline in self._set:
            deadline.expire(self._error)


class Durations:
    """The `Deadlines` of each duration that is asked for, which those of one duration share.

    Any number of calls may ask for a duration of their own: what is not in use is forgotten in time.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, usual: float, error: type[TimeoutError]
    ) -> None:
        self._loop = loop
        self._error = error
        self.usual = Deadlines(loop, usual, error)
        """Those that most ask for."""
        self._usual = usual
        self._others: dict[float, Deadlines] = {}

    def __bool__(self) -> bool:
        return bool(self.usual) or any(self._others.values())

    def of(self, seconds: float) -> Deadlines:
        """Return those that are *seconds* away."""
        if seconds == self._usual:
            return self.usual
        found = self._others.get(seconds)
        if found is None:
            if len(self._others) >= MOST_KEPT:
                self._others = {length: kept for length, kept in self._others.items() if kept}
            found = self._others[seconds] = Deadlines(self._loop, seconds, self._error)
        return found

    async def expire_all(self) -> None:
        """Let all that are set come now, however long they are, and their blocks end."""
        for deadlines in (self.usual, *self._others.values()):
            deadlines.expire_all()
        for _ in range(MOST_TURNS):
            if not self:
                return
            await asyncio.sleep(0)
