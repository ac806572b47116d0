"""An end to what takes too long: one timer for all attempts, as long as all may take the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Deadline", "Deadlines"]


class Deadlines:
    """Gives each block of code the same *seconds*, as `asyncio.timeout` would.

    Blocks that may all take as long end in the order in which they began, so that the timer of the
    first one does: a timer each would cost a fifth of a request.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}
        """In the order in which they began."""
        self._timer: asyncio.TimerHandle | None = None

    def deadline(self) -> Deadline:
        """Return a block's end: it raises `TimeoutError` in the current task, that many seconds from now."""
        return Deadline(self)

    def begin(self, deadline: Deadline) -> float:
        """Count time for *deadline*; return when it ends."""
        loop = asyncio.get_running_loop()
        at = loop.time() + self._seconds
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(at, self._expire)
        return at

    def end(self, deadline: Deadline) -> None:
        """Count no more time for *deadline*."""
        self._running.pop(deadline, None)
        if not self._running and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for deadline in [*self._running]:
            if deadline.at > loop.time():
                self._timer = loop.call_at(deadline.at, self._expire)
                break
            del self._running[deadline]
            deadline.expire()


class Deadline:
    """Of one block, which is entered once."""

    __slots__ = ("_cancelling", "_expired", "_of", "_task", "at")

    def __init__(self, of: Deadlines) -> None:
        self._of = of
        self._expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  for the type checker: who awaits is a task
        self._task = task
        self._cancelling = task.cancelling()
        self.at = self._of.begin(self)
        """On the loop's clock."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._of.end(self)
        # A cancellation that came in the same moment is somebody else's, and goes on.
        is_ours = self._expired and self._task.uncancel() <= self._cancelling
        if is_ours and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def expire(self) -> None:
        """End the block."""
        self._expired = True
        self._task.cancel()
