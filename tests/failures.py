"""One invoice through a VTEX in which something goes wrong, and what became of it on both sides."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from tests.factories import job_for
from tests.raw_faults import reset
from tests.raw_server import Act, RawServer, raw_server, read_request
from vtex_invoice_async import (
    InvoiceJob,
    OrdersApi,
    Receipt,
    RetryPolicy,
    Timeouts,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.sandbox import Fault, Sandbox

POSTED: Final = "notify_invoice"


def brief(**changes: float) -> RetryPolicy:
    """A policy that has settled a doubt after half a second of real time."""
    return RetryPolicy(**{"settle_window": 0.2, "resolve_for": 5, **changes})  # type: ignore[arg-type]


@frozen(kw_only=True)
class Ended:
    """How a call ended, and what the sandbox's record says of it."""

    result: Receipt | CallError
    posts: int
    """Requests that came in whole."""

    reads: int
    applied: int
    arrivals: Sequence[float]
    """Seconds between the first request and each."""

    @property
    def how(self) -> str:
        """The class of the error, or what confirmed it."""
        if isinstance(self.result, Receipt):
            return f"confirmed by {self.result.confirmed_by}"
        return type(self.result).__name__


async def send_one(
    *faults: Fault,
    retry: RetryPolicy | None = None,
    timeouts: Timeouts | None = None,
    orders_api: OrdersApi = OrdersApi.OMS,
) -> Ended:
    """Send one invoice to a sandbox with these faults."""
    async with Sandbox(orders=1, faults=faults) as sandbox:
        config = evolve(
            sandbox.config,
            retry=retry or brief(),
            timeouts=timeouts or Timeouts(connect=5, read=0.3, total=5),
            orders_api=orders_api,
        )
        job = job_for(sandbox.orders[0])
        async with VtexInvoiceClient(config) as client:
            return ended(sandbox, await told(client, job))


async def told(client: VtexInvoiceClient, job: InvoiceJob) -> Receipt | CallError:
    """Send an invoice, and return what the client says of it."""
    try:
        return await client.notify_invoice(job.order_id, job.invoice)
    except CallError as error:
        return error


def ended(sandbox: Sandbox, result: Receipt | CallError) -> Ended:
    """Read the sandbox's record."""
    arrived = sandbox.oracle.arrived
    return Ended(
        result=result,
        posts=sum(entry.operation == POSTED for entry in arrived),
        reads=sum(entry.operation == "get_order" for entry in arrived),
        applied=sandbox.applied.total(),
        arrivals=[(entry.at - arrived[0].at).total_seconds() for entry in arrived],
    )


@frozen
class Line:
    """A connection of a client, with the sandbox far behind it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: RawServer
    port: int

    async def take(self) -> bytes:
        """Read a whole request, and remember it."""
        request = await read_request(self.reader)
        self.server.record(request)
        return request

    async def ask(self, request: bytes) -> bytes:
        """Return what the sandbox answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        with closing(writer):
            return await read_request(reader)  # an answer has its length where a request has it


Deed = Callable[[Line], Awaitable[None]]


async def pass_on(line: Line) -> None:
    while True:
        line.writer.write(await line.ask(await line.take()))


async def close_at_once(line: Line) -> None:
    line.writer.close()


async def reset_at_once(line: Line) -> None:
    reset(line.writer)


def reset_after(count: int) -> Deed:
    """Hand on so many bytes of a request, whatever they are; then there is no line any more."""

    async def deed(line: Line) -> None:
        piece = await line.reader.readexactly(count)
        _, onward = await asyncio.open_connection("127.0.0.1", line.port)
        onward.write(piece)
        onward.close()
        reset(line.writer)

    return deed


def pass_one_on_and(then: Deed) -> Deed:
    """Let a client use a connection again, and then do something to it."""

    async def deed(line: Line) -> None:
        line.writer.write(await line.ask(await line.take()))
        await then(line)

    return deed


async def close_at_the_next_byte(line: Line) -> None:
    await line.reader.readexactly(1)
    line.writer.close()


async def reset_at_the_next_byte(line: Line) -> None:
    await line.reader.readexactly(1)
    reset(line.writer)


async def close_at_the_next_request(line: Line) -> None:
    await line.take()
    line.writer.close()


async def stop_reading(line: Line) -> None:
    await line.reader.readexactly(10)
    await asyncio.Event().wait()


def drip(pause: float) -> Deed:
    """Answer byte by byte."""

    async def deed(line: Line) -> None:
        for byte in await line.ask(await line.take()):
            line.writer.write(bytes([byte]))
            await line.writer.drain()
            await asyncio.sleep(pause)
        await pass_on(line)

    return deed


async def never_end(line: Line) -> int:
    """Answer with a body that is as long as anybody listens; return how many bytes that were."""
    await line.ask(await line.take())
    line.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    written = 0
    with suppress(ConnectionError):
        while True:
            line.writer.write(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
            await line.writer.drain()
            written += 2**16
    return written


@asynccontextmanager
async def facing(
    *deeds: Deed, faults: Sequence[Fault] = (), **settings: Any
) -> AsyncIterator[tuple[Sandbox, RawServer, VtexInvoiceClient]]:
    """A client whose connections suffer one of *deeds* each; later ones lead to the sandbox."""
    async with Sandbox(orders=1, faults=faults) as sandbox:
        port = port_of(sandbox)

        def bind(server: RawServer) -> Act:
            async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                turn = server.connections
                deed = deeds[turn - 1] if turn <= len(deeds) else pass_on
                await deed(Line(reader, writer, server, port))

            return act

        async with raw_server(bind) as server:
            sound = {"retry": brief(), "timeouts": Timeouts(connect=5, read=0.3, total=5)}
            config = evolve(sandbox.config, base_url=server.url, **{**sound, **settings})
            async with VtexInvoiceClient(config) as client:
                yield sandbox, server, client


def port_of(sandbox: Sandbox) -> int:
    return int(sandbox.url.rpartition(":")[2])


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(2**16):
        writer.write(piece)
    writer.close()


@asynccontextmanager
async def tls_before(port: int, certificate: Path) -> AsyncIterator[int]:
    """The port of a TLS server on every address, before a plain one; its key lies beside."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, onward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, onward), copy(back, writer))

    listening = await asyncio.start_server(serve, "0.0.0.0", 0, ssl=context)
    yield int(listening.sockets[0].getsockname()[1])
    listening.close()


@contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """The port of a listener whose queue is full: connecting to it neither fails nor ends."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=0) as listening:
        fillers = [socket.socket(family) for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for filler in fillers:
            filler.close()
