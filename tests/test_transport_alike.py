"""Requests that are alike share what they have in common, and nothing else outlives them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable

import pytest

from tests.factories import make_invoice
from tests.raw_faults import close_after_request
from tests.raw_server import (
    RECEIPT,
    Act,
    RawServer,
    answer,
    raw_server,
    read_request,
    reply_with,
)
from vtex_invoice_async import InvoiceJob, RetryPolicy, VtexInvoiceClient
from vtex_invoice_async.errors import BadRequest, CallError
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.messages import NoReply, Reply, Request
from vtex_invoice_async.transport import LARGE, Transport

REFUSAL = b'{"error":{"code":"OMS1","message":"no","exception":null}}'
AGAIN = RetryPolicy(max_attempts=3, first_wait=0.01, max_wait=0.02, resolve_for=0)


def request_for(method: str = "POST", body: bytes | None = b"{}", path: str = "/api/1") -> Request:
    return Request(method=method, path=path, body=body, reply_limit=9_999)


async def test_each_request_carries_its_own_path_and_body() -> None:
    requests = [
        request_for(method, None if method == "GET" else f"{{{n}}}".encode(), f"/api/{n}")
        for n, method in enumerate(["POST", "GET", "PUT", "POST", "PATCH", "GET", "POST"])
    ]
    async with raw_server(reply_with(answer())) as server:
        transport = Transport(server.config())
        transport.open()
        for request in requests:
            assert isinstance(await transport.send(request, Mark()), Reply)
        await transport.aclose()

    for sent, arrived in zip(requests, server.requests, strict=True):
        assert arrived.startswith(f"{sent.method} {sent.path} HTTP/1.1\r\nHost: ".encode())
        assert arrived.endswith(b"\r\n\r\n" + (sent.body or b""))


def and_then(more: bytes, when: asyncio.Event) -> Callable[[RawServer], Act]:
    """Answer each request, and the first one once more *when* nobody asks."""

    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                server.record(await read_request(reader))
                writer.write(answer())
                await writer.drain()
                if len(server.requests) == 1:
                    await when.wait()
                    writer.write(more)
                    await writer.drain()

        return act

    return bind


@pytest.mark.parametrize(
    "more",
    [
        answer(b"", status="429 Too Many Requests"),
        answer(REFUSAL, status="400 Bad Request"),
        answer(RECEIPT.replace(b"527b", b"0000")),
    ],
    ids=["429", "400", "200"],
)
async def test_what_nobody_asked_for_is_no_answer(more: bytes) -> None:
    idle = asyncio.Event()
    async with (
        raw_server(and_then(more, idle)) as server,
        VtexInvoiceClient(server.config(retry=AGAIN)) as client,
    ):
        await client.notify_invoice("v1-01", make_invoice())
        idle.set()
        session = client._caller._transport._session
        assert session is not None
        assert session.connector is not None
        pooled = [proto for kept in session.connector._conns.values() for proto, _ in kept]
        for _ in range(100_000):
            if all(proto.should_close for proto in pooled):
                break
            await asyncio.sleep(0)
        receipt = await client.notify_invoice("v2-01", make_invoice(invoice_number="NFe2"))

    assert receipt.receipt == "527b1ae251264ef1b7a9b597cd8f16b9"
    assert sum(b"/v2-01/" in request for request in server.requests) == 1


async def test_a_task_that_has_sent_goes_without_waiting_for_the_collector() -> None:
    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        gc.collect()
        gc.disable()
        try:
            task = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
            gone = weakref.ref(task)
            await task
            del task
            await asyncio.sleep(0)

            assert gone() is None
        finally:
            gc.enable()


async def test_nothing_of_an_attempt_hangs_on_an_error_of_another() -> None:
    answers = iter(
        [answer(b"", status="429 Too Many Requests"), answer(REFUSAL, status="400 Bad Request")]
    )

    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                server.record(await read_request(reader))
                writer.write(next(answers))
                await writer.drain()

        return act

    async with (
        raw_server(bind) as server,
        VtexInvoiceClient(server.config(retry=AGAIN)) as client,
    ):
        with pytest.raises(BadRequest) as caught:
            await client.notify_invoice("v1-01", make_invoice())

    assert caught.value.__context__ is None
    assert caught.value.attempts == 2


@pytest.mark.parametrize("body", [b"{}", b"x" * 2 * LARGE], ids=["message", "large"])
async def test_a_connection_that_is_upgraded_is_closed(body: bytes) -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with raw_server(reply_with(upgrade)) as server:
        transport = Transport(server.config())
        transport.open()
        await transport.send(request_for(body=body), Mark())

        assert transport._session is not None
        assert transport._session.connector is not None
        assert not transport._session.connector._acquired
        await transport.aclose()


async def fail_on_disk() -> None:
    raise OSError(28, "No space left on device")


async def lose_patience() -> None:
    raise TimeoutError


@pytest.mark.parametrize(
    ("intend", "error"), [(fail_on_disk, OSError), (lose_patience, TimeoutError)]
)
async def test_what_an_intent_raises_ends_the_call_whatever_it_is(
    intend: Callable[[], Awaitable[None]], error: type[Exception]
) -> None:
    job = InvoiceJob(order_id="v1-01", invoice=make_invoice())
    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config(retry=AGAIN)) as client,
    ):
        with pytest.raises(error) as caught:
            await client.notify_journaled(job, intend=intend)

    assert not isinstance(caught.value, CallError)
    assert server.requests == []


async def test_a_connection_that_went_meanwhile_says_so() -> None:
    async with raw_server(close_after_request) as server:
        transport = Transport(server.config())
        transport.open()

        async def close() -> None:
            assert transport._session is not None
            (connection,) = transport._session.connector._acquired  # type: ignore[union-attr]
            connection.close()

        reply = await transport.send(request_for(), Mark(intend=close))
        await transport.aclose()

    assert isinstance(reply, NoReply)
    assert (reply.reason, reply.bytes_left) == (
        "the connection went before anything was sent",
        False,
    )
