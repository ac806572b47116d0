"""One feeder and a fixed crew of workers: an input of any length is worked through in flat memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Final, Generic, TypeVar

__all__ = ["work_through"]

J = TypeVar("J")
R = TypeVar("R")


async def work_through(
    jobs: Iterable[J] | AsyncIterable[J],
    work: Callable[[J], Awaitable[R]],
    *,
    width: int,
    grace: float,
    ready: Callable[[], None],
) -> AsyncGenerator[R, None]:
    """Yield what *work* returns for each of the *jobs*, as it comes, with *width* at work at most.

    A job is taken when a worker is free for it, and *ready* is called before, which raises where
    none may be. An exception of it, of the input, or of *work*, ends the run: what is at work is
    finished and yielded, then it is raised. Leaving the loop stops taking jobs and gives what is at
    work *grace* seconds to finish; cancelling stops it at once.
    """
    crew = _Crew(work, ready, width)
    crew.start(jobs)
    try:
        while crew.at_work:
            result = await crew.results.get()
            if not isinstance(result, _End):
                crew.unread.release()
                yield result
        if crew.failure is not None:
            raise crew.failure
    except GeneratorExit:
        crew.dismiss()
        if not _is_being_cancelled():
            await asyncio.wait(crew.workers, timeout=grace)
        raise
    finally:
        crew.dismiss()
        for worker in crew.workers:
            worker.cancel()
        await asyncio.gather(crew.feeder, *crew.workers, return_exceptions=True)


class _End:
    """Stands where the input, or a worker, has ended."""


_END: Final = _End()


class _Crew(Generic[J, R]):
    """What the feeder and the workers of one run share."""

    feeder: asyncio.Task[None]
    workers: list[asyncio.Task[None]]

    def __init__(
        self, work: Callable[[J], Awaitable[R]], ready: Callable[[], None], width: int
    ) -> None:
        self.at_work = width
        self.results: asyncio.Queue[R | _End] = asyncio.Queue()
        self.unread = asyncio.Semaphore(width)
        """Places for results: a slow reader holds the workers back."""
        self.failure: BaseException | None = None
        self._free = asyncio.Semaphore(width)
        """Workers without a job."""
        self._jobs: asyncio.Queue[J | _End] = asyncio.Queue()
        self._work = work
        self._ready = ready
        self._dismissed = False

    def start(self, jobs: Iterable[J] | AsyncIterable[J]) -> None:
        """Begin."""
        self.feeder = asyncio.create_task(self._feed(jobs))
        self.feeder.add_done_callback(self._see_feeder_off)
        self.workers = [asyncio.create_task(self._be_worker()) for _ in range(self.at_work)]
        for worker in self.workers:
            worker.add_done_callback(self._see_worker_off)

    def dismiss(self) -> None:
        """Take no more jobs; let those at work finish, whether or not anyone reads of it."""
        if not self._dismissed:
            self._dismissed = True
            self.feeder.cancel()
            for _ in self.workers:
                self.unread.release()

    # The input is pulled in a task of its own: a scope that it opens, as a timeout or a group of
    # tasks, binds to that task, and cancels no worker in the middle of a call.
    async def _feed(self, jobs: Iterable[J] | AsyncIterable[J]) -> None:
        pull = _puller(jobs)
        while True:
            await self._free.acquire()
            self._ready()
            job = await pull()
            if isinstance(job, _End):
                return
            self._jobs.put_nowait(job)

    async def _be_worker(self) -> None:
        while True:
            job = await self._jobs.get()
            if isinstance(job, _End):
                self._jobs.put_nowait(_END)  # for the next worker
                return
            result = await self._work(job)
            await self.unread.acquire()
            self.results.put_nowait(result)
            self._free.release()

    def _see_feeder_off(self, feeder: asyncio.Task[None]) -> None:
        self._note(feeder)
        self._jobs.put_nowait(_END)

    def _see_worker_off(self, worker: asyncio.Task[None]) -> None:
        self._note(worker)
        if self.failure is not None:
            self.dismiss()
        self.at_work -= 1
        self.results.put_nowait(_END)

    def _note(self, task: asyncio.Task[None]) -> None:
        """Keep what ended a task, unless that was this run."""
        if task.cancelled():
            failure: BaseException | None = None
            if not self._dismissed:
                failure = asyncio.CancelledError("the input, or a worker, was cancelled")
        else:
            failure = task.exception()
        self.failure = self.failure or failure


def _puller(jobs: Iterable[J] | AsyncIterable[J]) -> Callable[[], Awaitable[J | _End]]:
    if isinstance(jobs, AsyncIterable):
        later = aiter(jobs)
        return lambda: anext(later, _END)
    now = iter(jobs)

    async def pull() -> J | _End:
        return next(now, _END)

    return pull


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
