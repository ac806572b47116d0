"""What can go wrong on a connection, as behaviours of a raw server."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from tests.raw_server import ORDER, Act, RawServer, answer, read_request


def close_on_accept(server: RawServer) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return act


def reset_on_accept(server: RawServer) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    return act


def close_after_request(server: RawServer) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.record(await read_request(reader))
        writer.close()

    return act


def reset_after_request(server: RawServer) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.record(await read_request(reader))
        reset(writer)

    return act


def hang_after_request(server: RawServer) -> Act:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.record(await read_request(reader))
        await asyncio.Event().wait()

    return act


def hang_after_post(server: RawServer) -> Act:
    """Show an order to whoever reads one, and leave whoever sends something without an answer."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_request(reader)).startswith(b"GET "):
            writer.write(answer(ORDER))
        server.record(request)
        await asyncio.Event().wait()

    return act


def reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def raw(reply: bytes) -> Callable[[RawServer], Act]:
    """Answer with these bytes, then close."""

    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.record(await read_request(reader))
            writer.write(reply)
            await writer.drain()

        return act

    return bind


def answer_after(release: asyncio.Event) -> Callable[[RawServer], Act]:
    """Answer every request as it should be, once *release* is set."""

    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                server.record(await read_request(reader))
                await release.wait()
                writer.write(answer())

        return act

    return bind
