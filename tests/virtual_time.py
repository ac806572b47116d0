"""An event loop in which nothing waits: the real client meets the real sandbox in virtual time.

Time stands still while anything is ready to run and then jumps to the next timer. Connections are
pairs of transports in memory. The same coroutine with the same seed runs the same way every time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NoReturn, TypeVar
from weakref import WeakKeyDictionary

import pytest

from tests.virtual_network import Listener, Network

T = TypeVar("T")

START: Final = datetime(2026, 2, 1, 12, tzinfo=UTC)
"""What the calendar says when the loop's clock is at 0."""

# Who reads the calendar. The names of types that others keep in a `datetime` are left alone.
READERS: Final = ("client", "caller", "sandbox.desk")


class Deadlock(Exception):
    """Nothing is scheduled any more, or nothing but what goes round in circles."""


def run_virtual(main: Coroutine[Any, Any, T], *, seed: int = 0, at_most: float = 86_400) -> T:
    """Run *main* in virtual time and return what it returns.

    *seed* is that of `random` meanwhile. `Deadlock` is raised where nothing is left that could go
    on, or after *at_most* virtual seconds, and `AssertionError` where *main* leaves a task behind
    or an exception that nobody handled.
    """
    with virtual_time(seed=seed, at_most=at_most) as runner:
        return runner.run(_alone(main))


@contextmanager
def virtual_time(*, seed: int = 0, at_most: float = 86_400) -> Iterator[asyncio.Runner]:
    """Run one thing after another in one loop; between them, and in what they leave, time stands."""
    before = random.getstate()
    random.seed(seed)
    loop = VirtualLoop(at_most)
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            asyncio.Runner(loop_factory=lambda: loop) as runner,
        ):
            for name in READERS:
                module = sys.modules.get(f"vtex_invoice_async.{name}")
                if hasattr(module, "datetime"):
                    patch.setattr(module, "datetime", _Calendar)
            # By this clock the pool forgets idle connections.
            patch.setattr("aiohttp.connector.monotonic", loop.time)
            yield runner
        assert not loop.unhandled, f"nobody handled {loop.unhandled}"
    finally:
        random.setstate(before)


def network() -> Network:
    """Return the network of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.network


async def _alone(main: Coroutine[Any, Any, T]) -> T:
    result = await main
    await asyncio.sleep(1)  # what was closed or cancelled last still has to hear of it
    others = asyncio.all_tasks() - {asyncio.current_task()}
    # aiohttp's server lets a handler go on whose client is gone, even beyond its own end.
    left = [task for task in others if "coro=<RequestHandler." not in repr(task)]
    assert not left, f"left behind: {left}"
    return result


class _Timeline(selectors.SelectSelector):
    """Instead of waiting for sockets, it is later."""

    def __init__(self, at_most: float, waiting: Callable[[], object]) -> None:
        super().__init__()
        self.now = 0.0
        self.at_most = at_most
        self.waiting = waiting

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock(f"deadlock: nothing is scheduled, and these wait: {self.waiting()}")
        if timeout > 0:
            self.now += timeout
        if self.now > self.at_most:
            self.at_most += self.now  # what is cancelled now may take its time
            raise Deadlock(f"no end within {self.now:.0f} virtual seconds: {self.waiting()}")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a clock, from 0, and a network of its own, without threads and names."""

    def __init__(self, at_most: float) -> None:
        self._timeline = _Timeline(at_most, lambda: asyncio.all_tasks(self))
        super().__init__(self._timeline)
        self._reached: WeakKeyDictionary[socket.socket, int] = WeakKeyDictionary()
        self.network = Network(self)
        self.unhandled: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        return self._timeline.now

    async def create_server(  # type: ignore[override]  # what aiohttp and asyncio.streams need
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **others: object
    ) -> Listener:
        assert others.get("ssl") is None, "there is no TLS here"
        return self.network.listen(port, factory)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        await self.network.reach(address[1])
        self._reached[sock] = address[1]

    async def create_connection(  # type: ignore[override]  # the same
        self,
        factory: Callable[[], asyncio.Protocol],
        host: str | None = None,
        port: int = 0,
        *,
        sock: socket.socket | None = None,
        **others: object,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        assert others.get("ssl") is None, "there is no TLS here"
        if sock is None:
            await self.network.reach(port)
        else:
            port = self._reached.pop(sock)
            sock.close()  # it was never connected to anything
        protocol = factory()
        return self.network.connect(port, protocol), protocol

    async def getaddrinfo(self, host: object, port: object, **_: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, f"no name is known here, not even {host!r}")

    def run_in_executor(self, executor: object, func: object, *args: object) -> NoReturn:
        raise RuntimeError(f"{func!r} would run in a thread, which has no virtual time")


class _Calendar(datetime):
    """Goes as the loop's clock does."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one
        return (START + timedelta(seconds=asyncio.get_running_loop().time())).astimezone(tz)
