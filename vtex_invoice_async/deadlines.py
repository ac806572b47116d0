"""An end to what takes too long: one timer for all that may take the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["Deadline", "Deadlines"]


class Deadlines:
    """Gives each block of code the same *seconds*, after which it raises an *error*.

    It does so as `asyncio.timeout` would. What may take as long ends in the order in which it
    began, so that the timer of the first serves all: one each would cost a fifth of a request.
    """

    def __init__(self, seconds: float, error: type[TimeoutError] = TimeoutError) -> None:
        self.error = error
        self._seconds = seconds
        self._running: dict[Deadline, float] = {}
        """When each ends, in the order in which they began."""
        self._timer: asyncio.TimerHandle | None = None

    def deadline(self) -> Deadline:
        """Return one for a block, which it is to be the context of; `start` it there."""
        return Deadline(self)

    def add(self, deadline: Deadline) -> None:
        """Count time for *deadline*."""
        loop = asyncio.get_running_loop()
        at = loop.time() + self._seconds
        self._running[deadline] = at
        if self._timer is None:
            self._timer = loop.call_at(at, self._expire)

    def remove(self, deadline: Deadline) -> None:
        """Count no more time for *deadline*."""
        self._running.pop(deadline, None)
        if not self._running and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for deadline, at in [*self._running.items()]:
            if at > loop.time():
                self._timer = loop.call_at(at, self._expire)
                break
            del self._running[deadline]
            deadline.expire()


class Deadline:
    """Of one block: there is none until it is started."""

    __slots__ = ("_cancelling", "_expired", "_of", "_task")

    def __init__(self, of: Deadlines) -> None:
        self._of = of
        self._task: asyncio.Task[object] | None = None
        self._expired = False

    def start(self) -> None:
        """Count time for the current task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  for the type checker: who awaits is a task
        self._task = task
        self._cancelling = task.cancelling()
        self._of.add(self)

    def expire(self) -> None:
        """End the block."""
        if self._task is not None:
            self._expired = True
            self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is None:
            return
        self._of.remove(self)
        # A cancellation that came in the same moment is somebody else's, and goes on.
        is_ours = self._expired and self._task.uncancel() <= self._cancelling
        if is_ours and isinstance(error, asyncio.CancelledError):
            raise self._of.error from error
