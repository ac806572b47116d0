"""An event loop in a thread of its own, for those who have none or whose own is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Final, TypeVar

__all__ = ["LoopThread"]

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds after which a thread that was told to end, and has not, is a bug of ours."""


class LoopThread:
    """Awaits *begin* in a thread of its own, serves until it is left, and awaits *end* there."""

    def __init__(
        self, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]
    ) -> None:
        self._begin = begin
        self._end = end
        # Never of the kind that a policy makes: what that promises is for the user's own thread.
        self._loop = asyncio.SelectorEventLoop()
        self._left = asyncio.Event()
        self._settled = Event()
        """Set once it has begun, or will not."""

        self._error: BaseException | None = None
        self._asking = Lock()
        self._thread = Thread(target=self._run, name="vtex-sandbox", daemon=True)

    def enter(self) -> None:
        """Return when it has begun; raise what kept it from that."""
        try:
            self._thread.start()
            self._settled.wait()
        except RuntimeError:  # the system gives no thread
            self._loop.close()
            raise
        except BaseException:
            self.leave()
            raise
        if self._error is not None:
            self.leave()

    def leave(self) -> None:
        """Return when the thread has ended; raise what went wrong in it."""
        self._settled.wait(PATIENCE)  # an interrupt may come before the thread has begun to run
        with self._asking:
            with suppress(RuntimeError):  # the loop is closed: it has ended by itself
                self._loop.call_soon_threadsafe(self._left.set)
            self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise RuntimeError(f"the sandbox's thread did not end within {PATIENCE:g} s")
        error, self._error = self._error, None
        if error is not None:
            raise error

    def ask(self, look: Callable[[], T]) -> T:
        """Return what *look* finds between two steps of the loop, or now if that has ended."""
        with self._asking:
            # A forked child has no such thread: what it has a copy of stands still.
            if not self._thread.is_alive():
                return look()
            return asyncio.run_coroutine_threadsafe(_found(look), self._loop).result()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001  whoever entered must hear of it
            self._error = error
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        await self._begin()
        self._settled.set()
        try:
            await self._left.wait()
        finally:
            await self._end()


async def _found(look: Callable[[], T]) -> T:
    return look()
