"""A VTEX that costs next to nothing: it takes every invoice and keeps none.

It answers as soon as a request is there whole, with bytes that were made before, so that it is not
what a client waits for. `serve` runs it in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from benchmarks.rounds import SERVER_CORE, pin

__all__ = ["serve"]

HEADERS: Final = (
    "Date: Sat, 31 Jan 2026 18:25:43 GMT\r\nContent-Type: application/json; charset=utf-8\r\n"
    "Server: stub\r\nX-VTEX-Operation-Id: 0f5c2d1e-7a53-4b0c-9d0a-8c3a5f5f0a11\r\n"
)


def _answer(document: object) -> bytes:
    body = json.dumps(document)
    return f"HTTP/1.1 200 OK\r\n{HEADERS}Content-Length: {len(body)}\r\n\r\n{body}".encode()


RECEIPT: Final = _answer(
    {
        "date": "2026-01-31T18:25:43.4401234+00:00",
        "orderId": "1172452900788-01",
        "receipt": "38e0e47da2934847b489216d208cfd91",
    }
)
ORDER: Final = _answer(
    {
        "orderId": "1172452900788-01",
        "status": "handling",
        "value": 12_990,
        "items": [{"id": "2000037", "quantity": 1}],
        "packageAttachment": {"packages": []},
    }
)
NOWHERE: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Stub(asyncio.Protocol):
    """One connection, whose requests come one after another."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[: end + 2].lower()
            whole = end + 4 + _body_length(head)
            if len(data) < whole:
                break
            self._transport.write(_answer_to(data))
            data = data[whole:]
            if b"\r\nconnection: close\r\n" in head:
                self._transport.close()
        self._received = data


def _body_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    return int(head[at + 17 : head.index(b"\r\n", at + 17)]) if at >= 0 else 0


def _answer_to(request: bytes) -> bytes:
    method = request[:4]
    return RECEIPT if method == b"POST" else ORDER if method == b"GET " else NOWHERE


@asynccontextmanager
async def serve() -> AsyncIterator[str]:
    """Serve on loopback, in another process on another core; give the URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stub", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def main() -> None:
    pin(SERVER_CORE)
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
