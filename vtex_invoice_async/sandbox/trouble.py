"""How a fault is done to a connection."""

from __future__ import annotations

import socket
import struct
from asyncio import Event, Transport, timeout
from contextlib import suppress
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from vtex_invoice_async.sandbox.faults import Do, Fault

__all__ = ["cut_request", "enact"]

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at whether a client that is kept waiting is still there."""


async def enact(
    fault: Fault, request: web.Request, response: web.Response, stopped: Event
) -> web.Response:
    """Do *fault* to *request*, whose answer would have been *response*."""
    match fault.do:
        case Do.ANSWER:
            headers = CIMultiDict({"Content-Type": "application/json"})
            headers.update(fault.headers)
            return web.Response(status=fault.status, body=fault.body.encode(), headers=headers)
        case Do.HANG | Do.LATE:
            await _gone(request, stopped)
            _end_with(request, b"")
        case Do.RESET:
            _reset(request)
        case Do.CUT:
            _end_with(request, _written(response)[: fault.at])
        case Do.RAW:
            _end_with(request, fault.body.encode("latin-1"))
        case Do.CLOSE:
            _end_with(request, b"")
        case _:
            pass
    return response


async def cut_request(request: web.Request, at: int) -> None:
    """Read *at* bytes of the body, and tear the connection."""
    with suppress(ConnectionError):
        while at > 0 and (piece := await request.content.read(at)):
            at -= len(piece)
    _reset(request)


async def _gone(request: web.Request, stopped: Event) -> None:
    """Wait until the client hangs up, or the sandbox ends."""
    while not stopped.is_set() and not _is_closing(request):
        with suppress(TimeoutError):
            async with timeout(LOOK_EVERY):
                await stopped.wait()


def _is_closing(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _end_with(request: web.Request, data: bytes) -> None:
    transport = _transport(request)
    if transport is not None:
        transport.write(data)
        transport.close()


def _reset(request: web.Request) -> None:
    transport = _transport(request)
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _transport(request: web.Request) -> Transport | None:
    transport = request.transport
    return transport if isinstance(transport, Transport) else None


def _written(response: web.Response) -> bytes:
    body = response.body if isinstance(response.body, bytes) else b""
    head = (
        f"HTTP/1.1 {response.status} {response.reason}\r\n"
        f"Content-Type: {response.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
