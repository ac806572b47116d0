"""Clients of several accounts over one connector: each keeps to itself what is its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp
import pytest
from attrs import evolve

from tests.factories import ONCE, job_for, make_invoice
from tests.failures import POSTED, black_hole
from tests.raw_faults import hang_after_request
from tests.raw_server import answer, raw_server, reply_with
from tests.test_evidence import CERTIFICATE, tls_server
from vtex_invoice_async import (
    ClientConfig,
    Credentials,
    State,
    ThrottleLimits,
    Timeouts,
    VtexInvoiceClient,
)
from vtex_invoice_async.deadlines import MOST_KEPT
from vtex_invoice_async.errors import ConfigError, NotAuthorized, NotSent, OutcomeUnknown
from vtex_invoice_async.events import Event, LeftInDoubt, Throttled
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

ACCOUNTS: Final = 4
BRIEF: Final = Timeouts(connect=0.1)


@asynccontextmanager
async def sandboxes(count: int, **given: Any) -> AsyncIterator[list[Sandbox]]:
    async with AsyncExitStack() as stack:
        made = [Sandbox(orders=10, seed=n, **given) for n in range(count)]
        yield [await stack.enter_async_context(sandbox) for sandbox in made]


async def notify_all(client: VtexInvoiceClient, sandbox: Sandbox) -> set[State]:
    jobs = [job_for(order) for order in sandbox.orders[:9]]
    return {outcome.state async for outcome in client.notify_many(jobs)}


async def test_no_credential_reaches_another_account_however_they_are_mixed() -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(raw_server(reply_with(answer()))) for _ in range(5)
        ]
        connector = await stack.enter_async_context(aiohttp.TCPConnector(limit=8))

        async def asked() -> Credentials:
            await asyncio.sleep(0)
            return Credentials(app_key="KEY-OF-4", app_token="TOKEN-OF-4")

        configs = [
            server.config(app_key=f"KEY-OF-{n}", app_token=f"TOKEN-OF-{n}")
            for n, server in enumerate(servers)
        ]
        # One that has a token of a user, and one that asks for what it has.
        configs[3] = evolve(configs[3], app_key=None, app_token=None, user_token="TOKEN-OF-3")
        configs[4] = evolve(configs[4], app_key=None, app_token=None, credentials=asked)
        clients = [
            await stack.enter_async_context(VtexInvoiceClient(config, connector=connector))
            for config in configs
        ]
        await asyncio.gather(
            *(
                client.notify_invoice(f"v{n}-{at}", make_invoice())
                for n in range(40)
                for at, client in enumerate(clients)
            )
        )

    for at, server in enumerate(servers):
        assert len(server.requests) == 40
        for request in server.requests:
            head = request.decode()
            assert f"TOKEN-OF-{at}\r\n" in head
            assert f"-{at}/invoice HTTP/1.1" in head
            others = [f"-OF-{n}" for n in range(5) if n != at]
            assert not [other for other in others if other in head]
            assert ("VtexIdclientAutCookie" in head) is (at == 3)
            assert "\r\ncookie:" not in head.lower()


async def test_accounts_are_told_apart_where_they_have_one_address() -> None:
    async with (
        raw_server(
            reply_with(
                answer(headers="Set-Cookie: who=first\r\nContent-Type: application/json\r\n")
            )
        ) as server,
        aiohttp.TCPConnector(limit=1) as connector,
    ):
        configs = [server.config(account=f"a{n}", app_token=f"TOKEN-OF-{n}") for n in range(2)]
        async with (
            VtexInvoiceClient(configs[0], connector=connector) as first,
            VtexInvoiceClient(configs[1], connector=connector) as second,
        ):
            for client in (first, second, first):
                await client.notify_invoice("v1-01", make_invoice())

    # Over one connection, which is what they share.
    assert server.connections == 1
    told = [request.decode() for request in server.requests]
    assert ["TOKEN-OF-0" in head for head in told] == [True, False, True]
    assert ["TOKEN-OF-1" in head for head in told] == [False, True, False]
    assert not [head for head in told if "who=first" in head]


async def test_each_keeps_its_own_pace_circuit_and_credentials() -> None:
    throttled = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=429)
    async with (
        sandboxes(ACCOUNTS) as running,
        aiohttp.TCPConnector(limit=200) as connector,
        AsyncExitStack() as stack,
    ):
        running[0].faults.add(throttled)
        heard: list[list[Event]] = [[] for _ in running]
        clients = [
            await stack.enter_async_context(
                VtexInvoiceClient(sandbox.config, observe=events.append, connector=connector)
            )
            for sandbox, events in zip(running, heard, strict=True)
        ]
        wrong = evolve(running[0].config, base_url=running[1].url)
        stranger = await stack.enter_async_context(VtexInvoiceClient(wrong, connector=connector))

        pairs = zip(clients, running, strict=True)
        states = await asyncio.gather(*(notify_all(*pair) for pair in pairs))
        with pytest.raises(NotAuthorized):
            await stranger.get_order(running[1].orders[0].order_id)

    assert states == [{State.CONFIRMED}] * ACCOUNTS
    assert [sandbox.applied.total() for sandbox in running] == [9] * ACCOUNTS
    cuts = [sum(isinstance(event, Throttled) for event in events) for events in heard]
    assert cuts == [1, 0, 0, 0]


async def test_closing_one_ends_its_own_calls_and_none_of_the_others() -> None:
    async with (
        raw_server(hang_after_request) as hanging,
        sandboxes(1, latency=0.1) as (sandbox,),
        aiohttp.TCPConnector(limit=200) as connector,
        VtexInvoiceClient(sandbox.config, connector=connector) as stays,
    ):
        config = hanging.config(timeouts=Timeouts(total=0.05), retry=ONCE)
        goes = VtexInvoiceClient(config, connector=connector)
        async with goes:
            calls = [
                asyncio.create_task(goes.notify_invoice(f"v{n}-01", make_invoice(), timeout=n))
                for n in (5, 6, 7)
            ]
            await hanging.arrivals(3)
            others = [
                asyncio.create_task(stays.get_order(order.order_id)) for order in sandbox.orders
            ]
            await asyncio.sleep(0.02)
        ended = await asyncio.gather(*calls, return_exceptions=True)

        assert [type(error) for error in ended] == [OutcomeUnknown] * 3
        assert "the client was closed" in str(ended[0])
        assert len(await asyncio.gather(*others)) == 10
        assert await notify_all(stays, sandbox) == {State.CONFIRMED}
        assert not connector.closed
        with pytest.raises(ConfigError, match="this client was closed"):
            await goes.get_order("v1-01")

    assert connector.closed


async def test_a_small_limit_makes_calls_wait_and_what_waits_was_not_sent() -> None:
    async with (
        raw_server(hang_after_request) as hanging,
        sandboxes(1) as (sandbox,),
        aiohttp.TCPConnector(limit=1) as connector,
        VtexInvoiceClient(hanging.config(retry=ONCE), connector=connector) as hogs,
        VtexInvoiceClient(evolve(sandbox.config, retry=ONCE), connector=connector) as waits,
    ):
        call = asyncio.create_task(hogs.notify_invoice("v1-01", make_invoice(), timeout=0.4))
        await hanging.arrivals(1)
        job = job_for(sandbox.orders[0])

        with pytest.raises(NotSent, match=r"no connection within 0.1 s .*limit of 1") as caught:
            await waits.notify_invoice(job.order_id, job.invoice, timeout=BRIEF)
        assert caught.value.attempts == 1
        assert waits.in_doubt() == ()
        assert sandbox.applied.total() == 0

        # It gets its turn as soon as the other one lets go.
        await waits.notify_invoice(job.order_id, job.invoice)
        with pytest.raises(OutcomeUnknown):
            await call

    assert sandbox.applied.total() == 1


async def test_a_connector_without_a_limit_is_not_blamed() -> None:
    with black_hole() as port:
        config = ClientConfig(
            account="acme",
            user_token="TOKENTOKEN",
            base_url=f"http://127.0.0.1:{port}",
            retry=ONCE,
            timeouts=BRIEF,
        )
        async with (
            aiohttp.TCPConnector(limit=0) as connector,
            VtexInvoiceClient(config, connector=connector) as client,
        ):
            with pytest.raises(NotSent, match=r"no connection within 0\.1 s") as caught:
                await client.notify_invoice("v1-01", make_invoice())

    assert "limit" not in str(caught.value)


async def test_closing_ends_calls_of_many_durations_that_waited_for_credentials() -> None:
    count = 2 * MOST_KEPT
    given = asyncio.Event()
    heard: list[Event] = []

    async def ask() -> Credentials:
        await given.wait()
        return Credentials(user_token="TOKENTOKEN")

    async with raw_server(hang_after_request) as hanging, aiohttp.TCPConnector() as connector:
        fixed = hanging.config(timeouts=Timeouts(total=0.05), throttle=ThrottleLimits(rate=100_000))
        config = evolve(fixed, app_key=None, app_token=None, user_token=None, credentials=ask)
        async with VtexInvoiceClient(config, connector=connector, observe=heard.append) as goes:
            calls = [
                asyncio.create_task(goes.notify_invoice(f"v{n}-01", make_invoice(), timeout=20 + n))
                for n in range(count)
            ]
            await asyncio.sleep(0.2)  # all wait for them now
            given.set()
            await hanging.arrivals(count)
        async with asyncio.timeout(5):
            ended = await asyncio.gather(*calls, return_exceptions=True)

    assert [type(error) for error in ended] == [OutcomeUnknown] * count
    assert heard[-1] == LeftInDoubt(doubts=count)


async def test_a_connector_that_is_closed_is_told_before_anything_is_sent(
    sandbox: Sandbox,
) -> None:
    connector = aiohttp.TCPConnector()
    client = VtexInvoiceClient(sandbox.config, connector=connector)
    async with client:
        await client.get_order(sandbox.orders[0].order_id)
        await connector.close()

        with pytest.raises(ConfigError, match="the connector of this client was closed"):
            await client.get_order(sandbox.orders[0].order_id)
    with pytest.raises(ConfigError, match="keep it open for as long as its clients are"):
        async with VtexInvoiceClient(sandbox.config, connector=connector):
            pass


def test_a_connector_of_another_loop_is_refused() -> None:
    async def made() -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector()

    async def use(connector: aiohttp.TCPConnector) -> None:
        config = ClientConfig(account="acme", user_token="TOKENTOKEN")
        with pytest.raises(ConfigError, match="make it in the one that uses it"):
            async with VtexInvoiceClient(config, connector=connector):
                pass

    asyncio.run(use(asyncio.run(made())))


@pytest.mark.parametrize("connector", [5, "tcp", aiohttp.TCPConnector, object()])
def test_what_is_no_connector_is_refused(sandbox: Sandbox, connector: Any) -> None:
    with pytest.raises(ConfigError, match=r"such as aiohttp.TCPConnector\(limit=200\)"):
        VtexInvoiceClient(sandbox.config, connector=connector)


async def test_each_trusts_whom_its_own_settings_trust_whatever_the_connector_does() -> None:
    trusting = ssl.create_default_context(cafile=CERTIFICATE)
    credulous = ssl.create_default_context()
    credulous.check_hostname, credulous.verify_mode = False, ssl.VerifyMode(0)
    async with tls_server() as url, aiohttp.TCPConnector(ssl=credulous) as connector:
        config = ClientConfig(account="acme", user_token="TOKENTOKEN", base_url=url, retry=ONCE)
        private = evolve(config, ssl_context=trusting)
        async with (
            VtexInvoiceClient(private, connector=connector) as first,
            VtexInvoiceClient(config, connector=connector) as second,
        ):
            assert (await first.notify_invoice("v1-01", make_invoice())).receipt
            with pytest.raises(NotSent, match="the certificate of localhost is not trusted"):
                await second.notify_invoice("v1-01", make_invoice())


async def test_leaving_by_a_cancellation_closes_at_once_and_the_connector_stays() -> None:
    async def use(connector: aiohttp.BaseConnector) -> None:
        async with VtexInvoiceClient(hanging.config(), connector=connector) as client:
            calls.append(asyncio.create_task(client.notify_invoice("v1-01", make_invoice())))
            await asyncio.Event().wait()

    calls: list[asyncio.Task[Any]] = []
    async with raw_server(hang_after_request) as hanging, aiohttp.TCPConnector() as connector:
        user = asyncio.create_task(use(connector))
        await hanging.arrivals(1)
        user.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await user
            with pytest.raises(OutcomeUnknown):
                await calls[0]
        assert not connector.closed
