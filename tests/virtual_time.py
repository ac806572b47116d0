"""An event loop in which nothing waits: the real client meets the real sandbox in virtual time.

Time stands still while anything is ready to run and then jumps to the next timer. Connections are
pairs of transports in memory. The same coroutine with the same seed runs the same way every time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import selectors
import socket
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from typing import Any, Final, NoReturn, TypeVar
from weakref import WeakKeyDictionary

import pytest
from attrs import define, field, frozen

T = TypeVar("T")

START: Final = datetime(2026, 2, 1, 12, tzinfo=UTC)
"""What the calendar says when the loop's clock is at 0."""

HOST: Final = "127.0.0.1"
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
            result = runner.run(_alone(main))
        assert not loop.unhandled, f"nobody handled {loop.unhandled}"
        return result
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


@frozen(kw_only=True)
class Cut:
    """Tears a connection as soon as it carried so many bytes one way; 0: when the first is sent.

    These bytes still arrive, then both ends see a reset. `Cut()` leaves a connection whole.
    """

    to_server: int | None = None
    to_client: int | None = None


@define
class Way:
    """One direction of a connection."""

    limit: int | None
    carried: int = 0
    """Bytes, so far."""


class Network:
    """All connections of one loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.latency = 0.0
        """Seconds that anything takes to the other end; connecting takes it twice."""
        self.cuts: list[Cut] = []
        """Each connection that is made takes the first of them; where there is none, it is whole."""
        self.connections: list[tuple[Way, Way]] = []
        """All that were made, in their order: the way to the server, the way to the client."""
        self.loop = loop
        self.listeners: dict[int, _Listener] = {}
        self._ports = count(50_001)
        self._parting: list[_End] = []

    def listen(self, port: int, factory: Callable[[], asyncio.Protocol]) -> _Listener:
        port = port or next(self._ports)
        if port in self.listeners:
            raise _error(errno.EADDRINUSE)
        self.listeners[port] = _Listener(self, port, factory)
        return self.listeners[port]

    async def reach(self, port: int) -> None:
        """Find out whether anybody listens there."""
        await asyncio.sleep(2 * self.latency)
        if port not in self.listeners:
            raise _error(errno.ECONNREFUSED)

    def connect(self, port: int, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Connect *protocol* with a new one of the listener there."""
        listener = self.listeners[port]
        cut = self.cuts.pop(0) if self.cuts else Cut()
        forth, back = Way(cut.to_server), Way(cut.to_client)
        self.connections.append((forth, back))
        here, there = (HOST, next(self._ports)), (HOST, port)
        client = _End(self, forth, _Socket(here, there), copy_context())
        server = _End(self, back, _Socket(there, here), listener.context)
        client.peer, server.peer = server, client
        client.begin(protocol)
        self.loop.call_soon(lambda: server.begin(listener.factory()), context=listener.context)
        return client

    def part(self, end: _End) -> None:
        """Let an end go, after those of lower ports: aiohttp closes a set, in no lasting order."""
        if not self._parting:
            self.loop.call_soon(self._part)
        self._parting.append(end)

    def _part(self) -> None:
        ends, self._parting = self._parting, []
        for end in sorted(ends, key=lambda end: (end.socket.here, end.socket.there)):
            self.loop.call_soon(end.part, context=end.context)


@frozen
class _Socket:
    """What is asked of a socket; its options are taken and forgotten."""

    here: tuple[str, int]
    there: tuple[str, int] = ("", 0)
    family: socket.AddressFamily = socket.AF_INET

    def getsockname(self) -> tuple[str, int]:
        return self.here

    def setsockopt(self, *_: object) -> None:
        pass


@define(eq=False)
class _Listener:
    """As much of an `asyncio.Server` as its users need."""

    network: Network
    port: int
    factory: Callable[[], asyncio.Protocol]
    context: Context = field(factory=copy_context)

    @property
    def sockets(self) -> tuple[_Socket, ...]:
        listens = self.network.listeners.get(self.port) is self
        return (_Socket((HOST, self.port)),) if listens else ()

    def close(self) -> None:
        if self.sockets:
            del self.network.listeners[self.port]

    async def wait_closed(self) -> None:
        await asyncio.sleep(0)


class _End(asyncio.Transport):
    """One end of a connection.

    What travels to it is what reading a socket would give: bytes, none of them at the end, or an
    error. It has a context of its own, as a socket's callbacks have: neither side may see the
    other's variables.
    """

    peer: _End
    _protocol: asyncio.Protocol

    def __init__(self, network: Network, way: Way, name: _Socket, context: Context) -> None:
        super().__init__({"sockname": name.here, "peername": name.there, "socket": name})
        self.socket = name
        self.context = context
        self._network = network
        self._loop = network.loop
        self._way = way
        self._travelling: deque[bytes | OSError] = deque()
        self._arrived: deque[bytes | OSError] = deque()
        self._reading = True
        self._due = False
        self._ended = False
        self._closing = False
        self._torn = False

    def begin(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or self._torn or not data:
            return
        assert not self._ended, "a write after write_eof"
        way, piece = self._way, bytes(data)
        if way.limit is not None:
            piece = piece[: way.limit - way.carried]
        way.carried += len(piece)
        if piece:
            self._send(piece)
        if way.carried == way.limit:
            self._tear()

    def write_eof(self) -> None:
        if not self._ended and not self._closing:
            self._ended = True
            self._send(b"")

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self._close(b"")

    def abort(self) -> None:
        self._close(_error(errno.ECONNRESET))

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._reading = self._closing

    def resume_reading(self) -> None:
        self._reading = True
        self._read_soon()

    def _close(self, last: bytes | OSError) -> None:
        if not self._closing:
            self._closing = self._reading = True
            self._last = last
            self._network.part(self)

    def part(self) -> None:
        """Send the last news and be gone."""
        if self._last or not self._ended:
            self._send(self._last)
        self._protocol.connection_lost(None)

    def _tear(self) -> None:
        for end in (self.peer, self):
            end._send(_error(errno.ECONNRESET))
            end._torn = True

    def _send(self, news: bytes | OSError) -> None:
        if self._torn:
            return
        self.peer._travelling.append(news)
        latency = self._network.latency
        # Timers of the same time have no order; what they find at the head of the queue has one.
        if latency:
            self._loop.call_later(latency, self.peer._arrive, context=self.peer.context)
        else:
            self._loop.call_soon(self.peer._arrive, context=self.peer.context)

    def _arrive(self) -> None:
        self._arrived.append(self._travelling.popleft())
        self._read_soon()

    def _read_soon(self) -> None:
        if self._arrived and self._reading and not self._due:
            self._due = True
            self._loop.call_soon(self._read, context=self.context)

    def _read(self) -> None:
        # One thing in a turn, as from a socket: who was woken by the last one goes first.
        if self._reading:
            self._take(self._arrived.popleft())
        self._due = False
        self._read_soon()

    def _take(self, news: bytes | OSError) -> None:
        if self._closing:
            if isinstance(news, bytes) and news:
                self._send(_error(errno.ECONNRESET))  # nobody is there to read it
        elif isinstance(news, OSError):
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, news, context=self.context)
        elif news:
            self._protocol.data_received(news)
        elif not self._protocol.eof_received():
            self.close()


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))  # of the class that belongs to the number


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
    ) -> _Listener:
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
