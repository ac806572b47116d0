"""How a client ends: what it waits for, what it does not, and who may end it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.factories import make_invoice
from tests.raw_faults import answer_after, hang_after_request
from tests.raw_server import Act, RawServer, answer, raw_server, read_request
from vtex_invoice_async import ClientConfig, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError, OutcomeUnknown
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.messages import NoReply, Request
from vtex_invoice_async.models import Receipt

REQUEST = Request(method="POST", path="/api/oms/pvt/orders/1/invoice", body=b"{}", reply_limit=999)


async def test_closing_waits_for_what_is_in_flight() -> None:
    release = asyncio.Event()
    async with raw_server(answer_after(release)) as server:
        client = VtexInvoiceClient(server.config())
        await client.__aenter__()
        call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
        await server.arrivals(1)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        with pytest.raises(ConfigError, match="closed"):
            await client.notify_invoice("v2-01", make_invoice())

        release.set()
        await closing

        assert (await call).receipt is not None


async def test_closing_waits_no_longer_than_a_call_may_take() -> None:
    async with raw_server(hang_after_request) as server:
        client = VtexInvoiceClient(server.config(timeouts=Timeouts(connect=5, read=5, total=0.05)))
        await client.__aenter__()
        call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
        await server.arrivals(1)

        await client.aclose()

        with pytest.raises(OutcomeUnknown):
            await call


async def test_leaving_by_an_exception_lets_those_in_flight_end() -> None:
    arrived = asyncio.Event()

    def slow(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            arrived.set()
            await asyncio.sleep(0.05)
            writer.write(answer())
            await writer.drain()

        return act

    async with raw_server(slow) as server:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  the block is what is left
            async with VtexInvoiceClient(server.config()) as client:
                call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
                await arrived.wait()
                raise ZeroDivisionError

        assert (await call).receipt is not None


async def test_leaving_by_a_cancellation_closes_at_once() -> None:
    async def use(server: RawServer, calls: list[asyncio.Task[Receipt]]) -> None:
        async with VtexInvoiceClient(server.config()) as client:
            calls.append(asyncio.create_task(client.notify_invoice("v1-01", make_invoice())))
            await asyncio.Event().wait()

    calls: list[asyncio.Task[Receipt]] = []
    async with raw_server(hang_after_request) as server:
        user = asyncio.create_task(use(server, calls))
        await server.arrivals(1)

        user.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await user
            with pytest.raises(OutcomeUnknown):
                await calls[0]


async def test_closing_again_waits_for_the_first_and_harms_nothing() -> None:
    release = asyncio.Event()
    async with raw_server(answer_after(release)) as server:
        client = VtexInvoiceClient(server.config())
        await client.__aenter__()
        call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
        await server.arrivals(1)
        closings = [asyncio.create_task(client.aclose()) for _ in range(2)]
        await asyncio.sleep(0)

        release.set()
        await asyncio.gather(*closings)

        assert (await call).receipt is not None


async def test_a_closing_that_is_cut_short_leaves_nothing_open() -> None:
    async with raw_server(hang_after_request) as server:
        client = VtexInvoiceClient(server.config())
        await client.__aenter__()
        call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
        await server.arrivals(1)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.aclose()

        with pytest.raises(OutcomeUnknown):
            await call
    del client
    gc.collect()


def test_a_stray_loop_does_not_wait_for_a_turn_it_can_never_use() -> None:
    config = ClientConfig(account="acme", app_key="K", app_token="T", max_concurrency=1)
    client = VtexInvoiceClient(config)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(client.__aenter__())
        first.run(client._caller.turns._slots.acquire())
        with pytest.raises(ConfigError, match="another event loop"):
            second.run(asyncio.wait_for(client.get_order("v1-01"), 5))
        second.run(client.aclose())
        client._caller.turns._slots.release()
        first.run(client.aclose())


async def test_a_call_that_waits_for_its_turn_when_the_client_closes_is_not_begun() -> None:
    release = asyncio.Event()
    async with raw_server(answer_after(release)) as server:
        client = VtexInvoiceClient(server.config(max_concurrency=1))
        await client.__aenter__()
        first, second = [
            asyncio.create_task(client.notify_invoice(f"v{n}-01", make_invoice())) for n in (1, 2)
        ]
        await server.arrivals(1)
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)

        release.set()
        await closing

        assert (await first).receipt is not None
        with pytest.raises(ConfigError, match="closed"):
            await second
    assert len(server.requests) == 1


async def test_a_second_closer_is_let_go_though_the_first_is_cancelled_again_and_again() -> None:
    async with raw_server(hang_after_request) as server:
        client = VtexInvoiceClient(server.config())
        await client.__aenter__()
        call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
        await server.arrivals(1)
        first, second = [asyncio.create_task(client.aclose()) for _ in range(2)]
        await asyncio.sleep(0)

        for _ in range(3):
            first.cancel()
            await asyncio.sleep(0)

        async with asyncio.timeout(1):
            await asyncio.gather(first, second, return_exceptions=True)
            await asyncio.gather(call, return_exceptions=True)


async def test_a_call_cut_off_by_closing_says_so() -> None:
    async with raw_server(hang_after_request) as server:
        client = VtexInvoiceClient(server.config(timeouts=Timeouts(connect=5, read=5, total=0.05)))
        await client.__aenter__()
        call = asyncio.create_task(client._caller._transport.send(REQUEST, Mark()))
        await server.arrivals(1)

        await client._caller._transport.aclose()

        reply = await call
    assert isinstance(reply, NoReply)
    assert (reply.reason, reply.bytes_left) == ("the client was closed", True)
