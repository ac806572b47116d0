"""A fixed crew of workers that pulls one input, whatever its length, in flat memory."""

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

    *ready* is called before a job is taken and raises where none may be. An exception of it, of the
    input, or of *work*, ends the run: what is at work is finished and yielded, then it is raised.
    Leaving the loop stops taking jobs and gives what is at work *grace* seconds to finish;
    cancelling stops it at once.
    """
    crew = _Crew(_each(jobs), work, ready, width)
    workers = [asyncio.create_task(crew.pull_and_work()) for _ in range(width)]
    try:
        at_work = width
        while at_work:
            result = await crew.results.get()
            if isinstance(result, _End):
                at_work -= 1
            else:
                yield result
        if crew.failure is not None:
            raise crew.failure
    except GeneratorExit:
        crew.abandon(workers)
        if not _is_being_cancelled():
            await asyncio.wait(workers, timeout=grace)
        raise
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await crew.source.aclose()


class _End:
    """Stands where the input, or a worker, has ended."""


_END: Final = _End()


class _Crew(Generic[J, R]):
    """What the workers of one run share."""

    def __init__(
        self,
        source: AsyncGenerator[J, None],
        work: Callable[[J], Awaitable[R]],
        ready: Callable[[], None],
        width: int,
    ) -> None:
        self.source = source
        # As long as the workers are many, so that a slow reader holds them back.
        self.results: asyncio.Queue[R | _End] = asyncio.Queue(width)
        self.failure: BaseException | None = None
        self._work = work
        self._ready = ready
        self._turn = asyncio.Lock()
        self._pulling: set[asyncio.Task[None] | None] = set()
        self._abandoned = False

    async def pull_and_work(self) -> None:
        """Be one worker, until the input or the run has ended."""
        try:
            while self.failure is None and not self._abandoned:
                job = await self._pull()
                if isinstance(job, _End):
                    break
                await self._tell(await self._work(job))
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            # Nobody cancelled this worker: the input awaited something that was.
            self.failure = self.failure or error
        except Exception as error:  # noqa: BLE001  told to the reader, who alone can act on it
            self.failure = self.failure or error
        await self._tell(_END)

    async def _pull(self) -> J | _End:
        this = asyncio.current_task()
        self._pulling.add(this)
        try:
            async with self._turn:
                self._ready()
                return await anext(self.source, _END)
        finally:
            self._pulling.discard(this)

    async def _tell(self, result: R | _End) -> None:
        if not self._abandoned:
            await self.results.put(result)

    def abandon(self, workers: Iterable[asyncio.Task[None]]) -> None:
        """Let go of whoever waits for the input or for the reader; those at work may finish."""
        self._abandoned = True
        while not self.results.empty():
            self.results.get_nowait()
        for worker in workers:
            if worker in self._pulling:
                worker.cancel()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _each(jobs: Iterable[J] | AsyncIterable[J]) -> AsyncGenerator[J, None]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            yield job
    else:
        for job in jobs:
            yield job
