"""A server of raw bytes on loopback, for answers that no web framework would give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import define, field

from tests.factories import ONCE
from vtex_invoice_async import ClientConfig, Timeouts

Act = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

RECEIPT = (
    b'{"date":"2019-02-08T13:16:13.4617653+00:00","orderId":"00-v5195004lux-01",'
    b'"receipt":"527b1ae251264ef1b7a9b597cd8f16b9"}'
)

ORDER = b'{"orderId": "1172452900788-01", "status": "handling", "value": 2499, "items": []}'
"""As much of an order as a read of it needs."""


def answer(
    body: bytes = RECEIPT,
    *,
    status: str = "200 OK",
    headers: str = "Content-Type: application/json\r\n",
) -> bytes:
    """The bytes of a whole answer."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@define
class RawServer:
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(factory=list)
    """Heads and bodies of the requests that arrived whole."""
    _news: asyncio.Event = field(factory=asyncio.Event)

    def record(self, request: bytes) -> None:
        self.requests.append(request)
        self._news.set()

    async def arrivals(self, count: int) -> None:
        """Wait until *count* requests have arrived."""
        while len(self.requests) < count:
            self._news.clear()
            await self._news.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def config(self, **settings: object) -> ClientConfig:
        given: dict[str, object] = {
            "account": "acme",
            "app_key": "vtexappkey-acme-KEYKEY",
            "app_token": "TOKENTOKEN",
            "base_url": self.url,
            "timeouts": Timeouts(connect=5, read=5, total=5),
            "retry": ONCE,
            **settings,
        }
        return ClientConfig(**given)  # type: ignore[arg-type]  # settings of any kind


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one whole request: its head, and the body that its head announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


def reply_with(*replies: bytes) -> Callable[[RawServer], Act]:
    """Answer each request with the next of *replies*, the last one again and again."""

    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                server.record(await read_request(reader))
                turn = min(len(server.requests), len(replies)) - 1
                writer.write(replies[turn])
                await writer.drain()

        return act

    return bind


@asynccontextmanager
async def raw_server(bind: Callable[[RawServer], Act]) -> AsyncIterator[RawServer]:
    """Serve each connection with what *bind* makes of the server."""
    server = RawServer()
    act = bind(server)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            await act(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
