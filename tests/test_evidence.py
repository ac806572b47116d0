"""Whether VTEX may have seen a request: the mark, against faults and against aiohttp's own signals."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from attrs import evolve

from tests.factories import ONCE, make_invoice
from tests.raw_faults import (
    close_after_request,
    close_on_accept,
    hang_after_request,
    raw,
    reset_after_request,
    reset_on_accept,
)
from tests.raw_server import Act, RawServer, answer, raw_server, read_request, reply_with
from vtex_invoice_async import ClientConfig, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import NotSent, OutcomeUnknown
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.messages import NoReply, Reply, Request
from vtex_invoice_async.transport import LARGE, Transport

REQUEST = Request(method="POST", path="/api/oms/pvt/orders/1/invoice", body=b"{}", reply_limit=999)
# aiohttp writes what is large, and tells of it; the rest is written as one message.
LARGE_REQUEST = evolve(REQUEST, body=b"x" * 2 * LARGE)
CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"

Where = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def refused() -> AsyncIterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def unknown_name() -> AsyncIterator[str]:
    yield "https://vtex.invalid"


@asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """A listener whose queue is full: connecting to it neither fails nor ends."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    fillers = [socket.socket() for _ in range(8)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(listening.getsockname())
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    for filler in [*fillers, listening]:
        filler.close()


@asynccontextmanager
async def tls_to_a_plain_port() -> AsyncIterator[str]:
    async with raw_server(raw(b"not TLS")) as server:
        yield server.url.replace("http:", "https:")


@asynccontextmanager
async def tls_that_stalls() -> AsyncIterator[str]:
    async with raw_server(hang_after_request) as server:
        yield server.url.replace("http:", "https:")


@asynccontextmanager
async def tls_server() -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{listening.sockets[0].getsockname()[1]}"
    listening.close()


def served(fault: Callable[[RawServer], Act]) -> Where:
    @asynccontextmanager
    async def serve() -> AsyncIterator[str]:
        async with raw_server(fault) as server:
            yield server.url

    return serve


def drip_head(server: RawServer) -> Act:
    """Answer so slowly that the head does not come in time, though something comes all the time."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in answer() * 1_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    return act


def drip(server: RawServer) -> Act:
    """Answer so slowly that no pause is long enough to be a timeout of its own."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        whole = answer(b"x" * 1_000)
        head = whole.index(b"x")
        for piece in (whole[:head], *whole[head:]):
            writer.write(piece if isinstance(piece, bytes) else bytes([piece]))
            await writer.drain()
            await asyncio.sleep(0.01)

    return act


NOTHING_LEFT: dict[str, Where] = {
    "refused": refused,
    "unknown name": unknown_name,
    "black hole": black_hole,
    "TLS to a plain port": tls_to_a_plain_port,
    "TLS that stalls": tls_that_stalls,
    "untrusted certificate": tls_server,
}
MAY_HAVE_LEFT: dict[str, Where] = {
    "closed on accept": served(close_on_accept),
    "reset on accept": served(reset_on_accept),
    "closed after the request": served(close_after_request),
    "reset after the request": served(reset_after_request),
    "no answer": served(hang_after_request),
    "half an answer": served(raw(b"HTTP/1.1 200 OK\r\nContent-Le")),
    "drip by drip": served(drip),
    "a head drip by drip": served(drip_head),
    "garbage": served(raw(b"garbage\r\n\r\n")),
    "an answer": served(reply_with(answer())),
}


def config_for(url: str) -> ClientConfig:
    return ClientConfig(
        account="acme",
        app_key="K",
        app_token="T",
        base_url=url,
        timeouts=Timeouts(connect=0.3, read=0.3, total=0.6),
        retry=ONCE,
    )


@asynccontextmanager
async def traced(url: str) -> AsyncIterator[tuple[Transport, list[str]]]:
    """A transport, and what aiohttp's own signals say of its requests."""
    heard: list[str] = []

    async def on_connected(*_: object) -> None:
        heard.append("connected")

    async def on_headers_sent(*_: object) -> None:
        heard.append("headers sent")

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(on_connected)
    trace.on_request_headers_sent.append(on_headers_sent)
    trace.freeze()
    transport = Transport(config_for(url))
    transport.open()
    assert transport._session is not None
    transport._session.trace_configs.append(trace)
    yield transport, heard
    await transport.aclose()


@pytest.mark.parametrize("request_", [REQUEST, LARGE_REQUEST], ids=["message", "large"])
@pytest.mark.parametrize("where", [pytest.param(w, id=n) for n, w in NOTHING_LEFT.items()])
async def test_nothing_left_where_no_connection_was_made(where: Where, request_: Request) -> None:
    async with where() as url, traced(url) as (transport, heard):
        reply = await transport.send(request_, Mark())

    assert isinstance(reply, NoReply)
    assert not reply.bytes_left
    assert heard == []


@pytest.mark.parametrize(
    ("request_", "signals"),
    [(REQUEST, ["connected"]), (LARGE_REQUEST, ["connected", "headers sent"])],
    ids=["message", "large"],
)
@pytest.mark.parametrize("where", [pytest.param(w, id=n) for n, w in MAY_HAVE_LEFT.items()])
async def test_bytes_may_have_left_once_there_was_a_connection(
    where: Where, request_: Request, signals: list[str]
) -> None:
    async with where() as url, traced(url) as (transport, heard):
        reply = await transport.send(request_, Mark())

    # The mark agrees with aiohttp's signals, in every case.
    assert heard == signals
    assert isinstance(reply, Reply) or reply.bytes_left


async def test_nothing_left_on_a_connection_that_went_before_its_turn() -> None:
    async with raw_server(reply_with(answer())) as server, traced(server.url) as (transport, _):
        assert isinstance(await transport.send(REQUEST, Mark()), Reply)
        closed: list[bool] = []

        async def close() -> None:
            (connection,) = transport._session.connector._acquired  # type: ignore[union-attr]
            connection.close()
            closed.append(not connection.is_connected())

        reply = await transport.send(REQUEST, Mark(intend=close))

    assert closed == [True]
    assert isinstance(reply, NoReply)
    assert not reply.bytes_left
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (refused, "127.0.0.1 could not be reached (Connection refused)"),
        (unknown_name, "the name vtex.invalid was not found"),
        (black_hole, "no connection within 0.3 s"),
        (tls_server, "the certificate of localhost is not trusted"),
    ],
)
async def test_not_sent_says_why(where: Where, words: str) -> None:
    async with where() as url, VtexInvoiceClient(config_for(url)) as client:
        with pytest.raises(NotSent) as caught:
            await client.notify_invoice("v1-01", make_invoice())

    assert str(caught.value).startswith(
        f"notify_invoice for order v1-01: nothing was sent: {words}"
    )


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (served(hang_after_request), "no answer for 0.3 s"),
        (served(drip), "no answer within 0.6 s"),
        (served(drip_head), "no answer for 0.3 s"),
        (served(close_after_request), "the connection was closed before an answer came"),
        (served(reset_after_request), "the connection broke (Connection reset by peer)"),
        (served(raw(b"garbage\r\n\r\n")), "the answer was not HTTP"),
    ],
)
async def test_a_doubt_says_why(where: Where, words: str) -> None:
    async with where() as url, VtexInvoiceClient(config_for(url)) as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.notify_invoice("v1-01", make_invoice())

    assert words in str(caught.value)
    assert caught.value.doubt is not None


async def test_a_private_authority_is_trusted_when_it_is_given() -> None:
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    async with tls_server() as url:
        config = ClientConfig(
            account="acme", app_key="K", app_token="T", base_url=url, ssl_context=trusting
        )
        async with VtexInvoiceClient(config) as client:
            receipt = await client.notify_invoice("v1-01", make_invoice())

    assert receipt.receipt is not None


async def test_a_proxy_is_used_when_it_is_given() -> None:
    async with raw_server(reply_with(answer())) as proxy:
        config = proxy.config(base_url="http://127.0.0.1:1", proxy=proxy.url)
        async with VtexInvoiceClient(config) as client:
            await client.notify_invoice("v1-01", make_invoice())

    line = b"POST http://127.0.0.1:1/api/oms/pvt/orders/v1-01/invoice HTTP/1.1\r\n"
    assert proxy.requests[0].startswith(line)


async def test_a_proxy_that_refuses_has_let_nothing_through() -> None:
    refusal = answer(b"", status="407 Proxy Authentication Required", headers="")
    async with raw_server(reply_with(refusal)) as proxy:
        secret = proxy.url.replace("//", "//user:PROXYSECRET@")
        config = proxy.config(base_url="https://vtex.invalid", proxy=secret)
        async with VtexInvoiceClient(config) as client:
            with pytest.raises(NotSent) as caught:
                await client.notify_invoice("v1-01", make_invoice())

    assert proxy.requests[0].startswith(b"CONNECT vtex.invalid:443 ")
    assert b"TOKENTOKEN" not in proxy.requests[0]
    assert "PROXYSECRET" not in repr(caught.value) + str(caught.value)


async def test_a_timeout_is_not_rounded_up_to_a_whole_second() -> None:
    # aiohttp rounds those above 5 s; waiting for them would take as long, their timers tell as well.
    async with raw_server(hang_after_request) as server:
        timeouts = Timeouts(connect=5.5, read=6.25, total=7.75)
        async with VtexInvoiceClient(server.config(timeouts=timeouts)) as client:
            call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
            await server.arrivals(1)
            timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # private
            due = [timer.when() for timer in timers if not timer.cancelled()]

            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    # That of reading and that of the whole, at least; one that is rounded is a whole number.
    assert len(due) >= 2
    assert not [when for when in due if float(when).is_integer()]
