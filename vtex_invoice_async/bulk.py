"""A fixed crew of workers pulls one input: work of any length goes through in flat memory."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Final, Generic, TypeVar

from attrs import frozen

from vtex_invoice_async.value import Value

__all__ = ["Later", "work_through"]

J = TypeVar("J")
R = TypeVar("R")


@frozen(eq=False, repr=False)
class Later(Value, Generic[R]):
    """Instead of a result: what brings it in its own time, while the worker takes another job."""

    bring: Callable[[], Awaitable[R]]


async def work_through(
    jobs: Iterable[J] | AsyncIterable[J],
    work: Callable[[J], Awaitable[R | Later[R]]],
    *,
    width: int,
    grace: float,
    ready: Callable[[], None],
    ahead: int = 0,
) -> AsyncGenerator[R, None]:
    """Yield what *work* returns for each of the *jobs*, as it comes, with *width* at work at most.

    A job is taken when a worker is free for it. Of an input that has to be awaited, so many may be
    taken *ahead* of that, which saves waking it for each. Before, *ready* is called, which raises
    where none may be taken. Results that come `Later` hold no worker, but once more than twice *width*
    of them are awaited, no more jobs are taken. An exception of *ready*, of the input, or of *work*, ends
    the run: what is at work is finished and yielded, then it is raised. Leaving the loop stops
    taking jobs and gives the workers *grace* seconds to finish; cancelling stops it at once.
    """
    crew = _Crew(jobs, work, ready, width, ahead)
    try:
        # The workers may all have ended while the reader was busy, and left results behind.
        while crew.at_work or crew.results:
            result = await crew.results.get()
            if not isinstance(result, _End):
                yield result
        if crew.failure is not None:
            raise crew.failure
    except GeneratorExit:
        crew.dismiss()
        if not _is_being_cancelled():
            await asyncio.wait(crew.workers, timeout=grace)
        raise
    finally:
        await crew.end()


class _End:
    """Stands where the input, or a worker, has ended."""


_END: Final = _End()


class _Results(Generic[R]):
    """Results on their way to a reader, who holds those back that bring more than he takes.

    asyncio's queue with a semaphore for its places would take three times the steps a result.
    """

    def __init__(self, room: float) -> None:
        self._room = room
        self._found: deque[R] = deque()
        self._news = asyncio.Event()
        self._space = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def is_full(self) -> bool:
        """Whether who brings a result shall wait."""
        return len(self._found) >= self._room

    async def wait_for_room(self) -> None:
        """Wait as long as there are so many."""
        while self.is_full:
            self._space.clear()
            await self._space.wait()

    def put(self, result: R) -> None:
        """Bring a result."""
        self._found.append(result)
        self._news.set()

    async def get(self) -> R:
        """Take the first result, as soon as there is one."""
        while not self._found:
            self._news.clear()
            await self._news.wait()
        self._space.set()
        return self._found.popleft()

    def take_all(self) -> None:
        """Hold nobody back any more."""
        self._room = math.inf
        self._space.set()


class _Crew(Generic[J, R]):
    """The workers of one run, and what they share."""

    def __init__(
        self,
        jobs: Iterable[J] | AsyncIterable[J],
        work: Callable[[J], Awaitable[R | Later[R]]],
        ready: Callable[[], None],
        width: int,
        ahead: int,
    ) -> None:
        self.at_work = width
        """Workers, and errands for results that come later."""
        self.results: _Results[R | _End] = _Results(width)
        self.errands: dict[asyncio.Task[None], None] = {}
        """For results that come later, in the order in which they began."""
        self._most_errands = 2 * width
        self._calm = asyncio.Event()
        self._calm.set()
        self.failure: BaseException | None = None
        self._work = work
        self._dismissed = False
        self._is_over = False
        self.input: _Hand[J] | _Feed[J] = (
            _Feed(jobs, ready, ahead) if isinstance(jobs, AsyncIterable) else _Hand(jobs, ready)
        )
        self.workers = [asyncio.create_task(self._be_worker()) for _ in range(width)]
        for worker in self.workers:
            worker.add_done_callback(self._see_off)

    def dismiss(self) -> None:
        """Take no more jobs; let those at work finish, whether or not anyone reads of it."""
        if not self._dismissed:
            self._dismissed = True
            self.input.end()
            self.results.take_all()
            self._calm.set()

    async def end(self) -> None:
        """Stop everyone, at once."""
        self.dismiss()
        self._is_over = True
        tasks = (*self.workers, *self.errands, *self.input.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _be_worker(self) -> None:
        while True:
            if not self._calm.is_set():
                await self._calm.wait()
            job = await self.input.pull()
            if isinstance(job, _End):
                return
            result = await self._work(job)
            if isinstance(result, Later) and self._is_over:
                return  # nobody would see it off
            if isinstance(result, Later):
                self._send_on_errand(result)
            else:
                if self.results.is_full:
                    await self.results.wait_for_room()
                self.results.put(result)

    def _send_on_errand(self, later: Later[R]) -> None:
        errand = asyncio.create_task(self._be_errand(later))
        self.at_work += 1
        self.errands[errand] = None
        if len(self.errands) > self._most_errands and not self._dismissed:
            self._calm.clear()
        errand.add_done_callback(self._welcome_back)

    def _welcome_back(self, errand: asyncio.Task[None]) -> None:
        self.errands.pop(errand, None)
        if len(self.errands) <= self._most_errands:
            self._calm.set()
        self._see_off(errand)

    async def _be_errand(self, later: Later[R]) -> None:
        result = await later.bring()
        await self.results.wait_for_room()
        self.results.put(result)

    def _see_off(self, worker: asyncio.Task[None]) -> None:
        """Count a worker out, however it ended; one that failed ends the run."""
        ended_by = _ended_by(worker)
        if not self._dismissed:
            self.failure = self.failure or ended_by or self.input.failure
        elif not worker.cancelled():
            self.failure = self.failure or ended_by
        if self.failure is not None:
            self.dismiss()
        self.at_work -= 1
        self.results.put(_END)


class _Hand(Generic[J]):
    """An input that is pulled by whoever is free."""

    failure: BaseException | None = None
    tasks: tuple[asyncio.Task[None], ...] = ()

    def __init__(self, jobs: Iterable[J], ready: Callable[[], None]) -> None:
        self._jobs = iter(jobs)
        self._ready = ready

    async def pull(self) -> J | _End:
        self._ready()
        return next(self._jobs, _END)

    def end(self) -> None:
        self._jobs = iter(())


class _Feed(Generic[J]):
    """An input that has to be awaited, in a task of its own.

    A scope that it opens, as a timeout or a group of tasks, binds to that task: what ends the input
    then cancels no worker in the middle of a call.
    """

    def __init__(self, jobs: AsyncIterable[J], ready: Callable[[], None], ahead: int) -> None:
        self.failure: BaseException | None = None
        self._jobs: asyncio.Queue[J | _End] = asyncio.Queue()
        self._wanted = ahead
        """Jobs that may be taken, over all."""
        self._asked = asyncio.Event()
        self._ended = False
        self._task = asyncio.create_task(self._feed(jobs, ready))
        self._task.add_done_callback(self._see_off)
        self.tasks = (self._task,)

    async def pull(self) -> J | _End:
        self._wanted += 1
        if self._jobs.empty():
            self._asked.set()
        job = await self._jobs.get()
        if isinstance(job, _End):
            self._jobs.put_nowait(_END)  # for the next who asks
        return job

    def end(self) -> None:
        self._ended = True
        self._task.cancel()

    async def _feed(self, jobs: AsyncIterable[J], ready: Callable[[], None]) -> None:
        source = aiter(jobs)
        taken = 0
        while not self._ended:  # an input may swallow its cancellation
            while taken >= self._wanted:
                self._asked.clear()
                await self._asked.wait()
            ready()
            taken += 1
            job = await anext(source, _END)
            if isinstance(job, _End):
                return
            self._jobs.put_nowait(job)

    def _see_off(self, task: asyncio.Task[None]) -> None:
        if not self._ended:
            self.failure = _ended_by(task)
        elif not task.cancelled():
            task.exception()
        self._jobs.put_nowait(_END)


def _ended_by(task: asyncio.Task[None]) -> BaseException | None:
    """Return what ended a task that this run did not cancel."""
    if task.cancelled():
        return asyncio.CancelledError("the input, or a worker, was cancelled")
    return task.exception()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
