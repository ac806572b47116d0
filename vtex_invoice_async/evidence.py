"""The request as it leaves: once, and with a mark before its first byte.

aiohttp finds a connection for it and reads the answer. Most requests are one message, which is
written as it is: of these, aiohttp is told where they go, and nothing of what is in them. What is
large, or goes through a proxy, it writes itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http import StreamWriter
from attrs import define, field
from multidict import CIMultiDict
from yarl import URL

__all__ = ["Mark", "MarkedRequest", "SentBeforeError", "current"]


@define(eq=False, repr=False)
class Mark:
    """Evidence: whether a byte of this attempt may have left."""

    bytes_left: bool = False
    age: int = 0
    """Of the credentials that it carried: how many had been given out by then."""

    intend: Callable[[], Awaitable[None]] | None = None
    """Awaited on a connection that stands, before anything is sent; what it raises is raised."""

    objection: Exception | None = None
    """What it raised."""

    message: bytes | None = field(default=None, repr=False)
    """All that is sent; None where aiohttp writes it."""

    status: int | None = None
    """Of the answer, once its head is there."""

    on_leaving: Callable[[], None] | None = None
    """Called just before a message is written."""

    alike: dict[str, dict[str, Any]] | None = field(default=None, repr=False)
    """By method, what all requests for a message have in common; filled as they are made."""


current: Final[ContextVar[Mark]] = ContextVar("the mark of the attempt in this task")

# aiohttp adds no header of its own where it finds one.
_IN_THE_MESSAGE: Final = CIMultiDict(
    {"Host": "", "Accept": "", "Accept-Encoding": "", "User-Agent": "", "Content-Length": "0"}
)


class SentBeforeError(Exception):
    """aiohttp wants to send one request twice."""


class MarkedRequest(aiohttp.ClientRequest):
    """A request that leaves its mark before its first byte, and leaves only once.

    aiohttp repeats GET and PUT by itself when a connection drops, though the server may have
    acted; no public switch turns that off, but a second `send` of the same attempt ends here.

    What is a message already is written as it is: aiohttp would make its headers anew, a task to
    write its body and a timer for its answer, which takes a quarter of a request's time. But for
    their messages, requests for one origin are alike: aiohttp makes the first of each method, and
    the others are copies.
    """

    def __init__(self, method: str, url: URL, **options: Any) -> None:  # noqa: ANN401  as aiohttp's own
        alike = current.get().alike
        made = None if alike is None else alike.get(method)
        if made is not None:
            vars(self).update(made)
            return
        super().__init__(method, url, **options)
        if alike is not None:
            alike[method] = {
                **vars(self),
                "connection_key": self.connection_key,
                "request_info": self.request_info,
            }

    # What is kept in the instance goes before these two, and is copied with it.

    @cached_property
    def connection_key(self) -> ConnectionKey:
        """Say which connections it may be sent on."""
        return super().connection_key

    @cached_property
    def request_info(self) -> aiohttp.RequestInfo:
        """Say of it what aiohttp's errors hold."""
        return super().request_info

    def update_headers(self, headers: Any) -> None:  # noqa: ANN401  as aiohttp's own
        """Take aiohttp's way, unless there are headers in the message."""
        if current.get().message is None:
            super().update_headers(headers)
        else:
            self.headers = _IN_THE_MESSAGE.copy()

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Send it on a connection, which is this request's alone until its answer has come."""
        mark = current.get()
        if mark.bytes_left:
            raise SentBeforeError
        if mark.intend is not None:
            try:
                await mark.intend()
            except Exception as error:
                # aiohttp takes some errors for those of the connection.
                mark.objection = error
                raise
        protocol = conn.protocol
        # One that closes, or on which something came that nobody asked for: it would be taken for
        # the answer to this.
        if protocol is None or not protocol.is_connected() or protocol.should_close:
            raise aiohttp.ClientConnectionResetError
        mark.bytes_left = True
        if mark.message is None:
            return await super().send(conn)
        if mark.on_leaving is not None:
            mark.on_leaving()
        writer = StreamWriter(protocol, self.loop)
        await writer.write(mark.message)
        return self.response_class(
            self.method,
            self.original_url,
            writer=None,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=[],
            loop=self.loop,
            session=self.session,
            stream_writer=writer,
        )
