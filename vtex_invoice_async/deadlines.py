"""An end to what takes too long: one timer for all that may take the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Deadline", "Deadlines"]


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
