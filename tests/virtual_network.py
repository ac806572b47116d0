"""A network in memory: connections are pairs of transports, which latency delays and cuts tear."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from itertools import count
from typing import Any, Final

from attrs import define, field, frozen

HOST: Final = "127.0.0.1"


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

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.latency = 0.0
        """Seconds that anything takes to the other end; connecting takes it twice."""
        self.cuts: list[Cut] = []
        """Each connection that is made takes the first of them; where there is none, it is whole."""
        self.connections: list[tuple[Way, Way]] = []
        """All that were made, in their order: the way to the server, the way to the client."""
        self.loop = loop
        self.listeners: dict[int, Listener] = {}
        self._ports = count(50_001)
        self._parting: list[_End] = []

    def listen(self, port: int, factory: Callable[[], asyncio.Protocol]) -> Listener:
        port = port or next(self._ports)
        if port in self.listeners:
            raise error(errno.EADDRINUSE)
        self.listeners[port] = Listener(self, port, factory)
        return self.listeners[port]

    async def reach(self, port: int) -> None:
        """Find out whether anybody listens there."""
        await asyncio.sleep(2 * self.latency)
        if port not in self.listeners:
            raise error(errno.ECONNREFUSED)

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
class Listener:
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
        self._close(error(errno.ECONNRESET))

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
            end._send(error(errno.ECONNRESET))
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
                self._send(error(errno.ECONNRESET))  # nobody is there to read it
        elif isinstance(news, OSError):
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, news, context=self.context)
        elif news:
            self._protocol.data_received(news)
        elif not self._protocol.eof_received():
            self.close()


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))  # of the class that belongs to the number
