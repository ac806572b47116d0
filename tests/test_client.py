"""The client's life: who may use it, where and until when; and what it does under cancellation."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest
from attrs import evolve

from tests.factories import invoice_for, make_invoice, make_tracking
from tests.raw_faults import hang_after_request
from tests.raw_server import Act, RawServer, answer, raw_server, read_request, reply_with
from vtex_invoice_async import ClientConfig, OrdersApi, VtexInvoiceClient
from vtex_invoice_async.errors import (
    ConfigError,
    Conflict,
    InvalidInvoice,
    OrderNotFound,
)
from vtex_invoice_async.models import TrackingStatus
from vtex_invoice_async.sandbox import Sandbox


@pytest.mark.parametrize("orders_api", list(OrdersApi))
async def test_every_call_works_in_every_dialect(sandbox: Sandbox, orders_api: OrdersApi) -> None:
    order = sandbox.orders[9]
    invoice = invoice_for(order)

    async with VtexInvoiceClient(evolve(sandbox.config, orders_api=orders_api)) as client:
        await client.start_handling(order.order_id)
        notified = await client.notify_invoice(order.order_id, invoice)
        tracked = await client.send_tracking(order.order_id, "NFe1", make_tracking())
        delivered = await client.update_tracking_status(
            order.order_id, "NFe1", TrackingStatus(is_delivered=True)
        )
        seen = await client.get_order(order.order_id)

    assert {notified.order_id, tracked.order_id, delivered.order_id} == {order.seller_order_id}
    assert len({notified.receipt, tracked.receipt, delivered.receipt}) == 3
    assert seen.status == "invoiced"
    assert seen.packages is not None
    assert [p.invoice_number for p in seen.packages] == ["NFe1"]
    assert seen.packages[0].tracking_number == "87658"


@pytest.mark.parametrize(
    "order_id", ["../../x?y#z", "a/b", "..", ".", "%2e", "a\r\nb", "", "seq502556", "a b", "ã"]
)
async def test_an_id_that_no_path_can_carry_is_refused_before_anything_is_sent(
    order_id: str,
) -> None:
    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        with pytest.raises(InvalidInvoice):
            await client.notify_invoice(order_id, make_invoice())
        with pytest.raises(InvalidInvoice):
            await client.send_tracking(order_id, "NFe1", make_tracking())

    assert server.connections == 0


async def test_a_sequence_reads_an_order(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    order = sandbox.orders[3]

    assert (await client.get_order(f"seq{order.sequence}")).order_id == order.order_id


async def test_vtex_own_words_are_kept(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    with pytest.raises(OrderNotFound) as unknown:
        await client.get_order("nobody-01")
    with pytest.raises(Conflict) as conflict:
        await client.start_handling(sandbox.orders[0].order_id)

    assert (unknown.value.code, unknown.value.message) == ("OMS007", "Order Not Found")
    assert (conflict.value.status, conflict.value.code) == (409, "OMS003")


async def test_a_client_must_be_entered(sandbox: Sandbox) -> None:
    client = VtexInvoiceClient(sandbox.config)

    with pytest.raises(ConfigError, match="not open; use `async with`"):
        await client.get_order("v1-01")


async def test_a_closed_client_says_so(sandbox: Sandbox) -> None:
    async with VtexInvoiceClient(sandbox.config) as client:
        pass

    with pytest.raises(ConfigError, match="was closed"):
        await client.get_order("v1-01")
    with pytest.raises(ConfigError, match="make a new one"):
        await client.__aenter__()


async def test_closing_twice_is_fine(sandbox: Sandbox) -> None:
    client = VtexInvoiceClient(sandbox.config)
    await client.__aenter__()

    await client.aclose()
    await client.aclose()


async def test_closing_what_was_never_opened_is_fine(sandbox: Sandbox) -> None:
    await VtexInvoiceClient(sandbox.config).aclose()


async def test_a_client_is_entered_once(client: VtexInvoiceClient) -> None:
    with pytest.raises(ConfigError, match="open already"):
        await client.__aenter__()


def test_a_second_event_loop_is_told_apart() -> None:
    config = ClientConfig(account="acme", app_key="K", app_token="T")
    client = VtexInvoiceClient(config)

    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(client.__aenter__())
        with pytest.raises(ConfigError, match="another event loop"):
            second.run(client.get_order("v1-01"))
        first.run(client.aclose())


def test_a_forked_child_is_told_apart() -> None:
    script = """
        import asyncio, os, sys
        from vtex_invoice_async import ClientConfig, VtexInvoiceClient
        from vtex_invoice_async.errors import ConfigError

        async def use(client):
            try:
                await client.get_order("v1-01")
            except ConfigError as error:
                await client.aclose()
                return "parent process" in str(error)

        async def main():
            config = ClientConfig(account="acme", app_key="K", app_token="T")
            async with VtexInvoiceClient(config) as client:
                fresh = os.fork()
                if fresh == 0:
                    os._exit(0 if asyncio.run(use(client)) else 1)
                going_on = os.fork()
                if going_on == 0:
                    os._exit(0 if await use(client) else 1)
                ends = [os.waitpid(child, 0)[1] for child in (fresh, going_on)]
                return sum(map(os.waitstatus_to_exitcode, ends))

        sys.exit(asyncio.run(main()))
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, b"")


async def test_nothing_is_left_open(sandbox: Sandbox) -> None:
    for _ in range(3):
        async with VtexInvoiceClient(sandbox.config) as client:
            await client.get_order(sandbox.orders[0].order_id)
    del client

    # A ResourceWarning would be an error, raised here.
    gc.collect()


async def test_no_more_than_max_concurrency_are_in_flight() -> None:
    in_flight, most, waiting = 0, 0, asyncio.Event()

    def counted(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal in_flight, most
            while True:
                await read_request(reader)
                in_flight += 1
                most = max(most, in_flight)
                if in_flight == 5:
                    waiting.set()
                await waiting.wait()
                in_flight -= 1
                writer.write(answer())

        return act

    async with raw_server(counted) as server:
        config = server.config(max_concurrency=5)
        async with VtexInvoiceClient(config) as client, asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(client.notify_invoice(f"v{number}-01", make_invoice()))

    assert most == 5
    assert server.connections == 5


def in_flight_server(arrived: asyncio.Event) -> Callable[[RawServer], Act]:
    """Never answer the first request; answer those on later connections."""

    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first = server.connections == 1
            while True:
                server.record(await read_request(reader))
                arrived.set()
                if first:
                    await reader.read()
                    server.requests.append(b"the client hung up")
                    return
                writer.write(answer())

        return act

    return bind


async def test_a_call_cancelled_in_flight_ends_at_once_and_harms_no_other() -> None:
    arrived = asyncio.Event()
    async with raw_server(in_flight_server(arrived)) as server:
        async with VtexInvoiceClient(server.config(max_concurrency=1)) as client:
            call = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
            await arrived.wait()

            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            # Its connection may not be used again, its place in the pool must be.
            receipt = await client.notify_invoice("v2-01", make_invoice())

        assert receipt.receipt is not None
        assert b"the client hung up" in server.requests
        assert server.connections == 2


async def test_a_call_cancelled_while_it_waits_for_its_turn_is_never_sent() -> None:
    async with (
        raw_server(hang_after_request) as server,
        VtexInvoiceClient(server.config(max_concurrency=1)) as client,
    ):
        first = asyncio.create_task(client.notify_invoice("v1-01", make_invoice()))
        second = asyncio.create_task(client.notify_invoice("v2-01", make_invoice()))
        await server.arrivals(1)

        for call in (second, first):
            call.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    assert (first.cancelled(), second.cancelled()) == (True, True)
    assert len(server.requests) == 1


async def test_a_timeout_of_the_caller_is_a_cancellation() -> None:
    async with (
        raw_server(hang_after_request) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.notify_invoice("v1-01", make_invoice())


@pytest.mark.parametrize("argument", [None, {"courier": "x"}])
async def test_what_is_no_tracking_is_refused_and_not_sent(argument: object) -> None:
    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        with pytest.raises(InvalidInvoice, match="TrackingInfo"):
            await client.send_tracking("v1-01", "NFe1", argument)  # type: ignore[arg-type]
        with pytest.raises(InvalidInvoice, match="of type Invoice"):
            await client.notify_invoice("v1-01", argument)  # type: ignore[arg-type]

    assert server.connections == 0


def test_neither_repr_nor_settings_show_a_secret() -> None:
    config = ClientConfig(account="acme", app_key="KEYKEY", app_token="TOKENTOKEN")

    shown = repr(VtexInvoiceClient(config)) + repr(config) + str(config)

    assert "acme" in shown
    assert "KEYKEY" not in shown
    assert "TOKENTOKEN" not in shown
