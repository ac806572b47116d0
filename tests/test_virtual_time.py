"""Time that jumps and a network in memory: what the simulations of client and sandbox stand on."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
from attrs import evolve

from tests.factories import authentication, job_for
from tests.raw_server import answer, raw_server, read_request, reply_with
from tests.virtual_network import Cut
from tests.virtual_time import START, Deadlock, network, run_virtual
from vtex_invoice_async import InvoiceJob, Receipt, State, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import NotSent, OutcomeUnknown
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

FIRST = (1,)
ON_INVOICE = "notify_invoice"


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def troubled(
    *faults: Fault, total: float = 30, **settings: Any
) -> AsyncIterator[tuple[Sandbox, VtexInvoiceClient]]:
    async with Sandbox(faults=faults, **{"orders": 1, **settings}) as sandbox:
        timeouts = Timeouts(connect=total, read=total, total=total)
        async with VtexInvoiceClient(evolve(sandbox.config, timeouts=timeouts)) as client:
            yield sandbox, client


async def told(client: VtexInvoiceClient, job: InvoiceJob) -> Receipt | OutcomeUnknown:
    """What is known after a fault: a client may find out more, but it may not claim more."""
    try:
        return await client.notify_invoice(job.order_id, job.invoice)
    except OutcomeUnknown as error:
        return error


def test_an_hour_takes_no_time() -> None:
    async def main() -> float:
        for _ in range(60):
            await asyncio.gather(*(asyncio.sleep(60) for _ in range(10)))
        return now()

    began = time.monotonic()

    assert run_virtual(main()) == 3600
    assert time.monotonic() - began < 5


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[float]:
        fired: list[float] = []
        for seconds in (2, 86_000, 1):
            asyncio.get_running_loop().call_later(seconds, lambda: fired.append(now()))
        await asyncio.sleep(86_001)
        return fired

    assert run_virtual(main()) == [1, 2, 86_000]


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def go_round_in_circles() -> None:
    while True:  # noqa: ASYNC110  no event would come
        await asyncio.sleep(0.5)


async def forget_a_task(tasks: list[asyncio.Task[None]]) -> None:
    tasks.append(asyncio.create_task(asyncio.sleep(60), name="forgotten"))


async def leave_an_exception() -> None:
    asyncio.get_running_loop().call_soon(int, "x")


@pytest.mark.parametrize(
    ("main", "error", "words"),
    [
        (wait_for_ever, Deadlock, r"nothing is scheduled.*pending"),
        (go_round_in_circles, Deadlock, "no end within 360"),
        (partial(forget_a_task, []), AssertionError, r"left behind.*forgotten"),
        (leave_an_exception, AssertionError, r"nobody handled.*ValueError"),
        (partial(asyncio.to_thread, int), RuntimeError, "no virtual time"),
    ],
)
def test_what_would_go_wrong_in_silence_is_an_error(
    main: Callable[[], Coroutine[Any, Any, None]], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run_virtual(main(), at_most=3600)


def test_bytes_arrive_as_they_were_written_in_their_order_and_later() -> None:
    variable: ContextVar[str] = ContextVar("of the client")

    async def main() -> tuple[bytes, float, object]:
        network().latency = 0.25
        seen: list[object] = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(variable.get(None))
            writer.write(await reader.read())
            writer.close()

        await asyncio.start_server(echo, "127.0.0.1", 8080)
        variable.set("mine")
        reader, writer = await asyncio.open_connection("127.0.0.1", 8080)
        data = bytearray(b"a")
        for byte in b"abcdef":
            data[0] = byte
            writer.write(data)
        writer.write_eof()
        heard = await reader.read()
        writer.close()
        return heard, now(), seen

    # There and back to connect, there and back with the bytes.
    assert run_virtual(main()) == (b"abcdef", 1, [None])


class Listener(asyncio.Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> None:
        self.heard.append("end")

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append(type(exc))


async def pair() -> tuple[Listener, Listener]:
    loop = asyncio.get_running_loop()
    near, far = Listener(), Listener()
    server = await loop.create_server(lambda: far, "127.0.0.1", 8080)
    await loop.create_connection(lambda: near, "127.0.0.1", 8080)
    server.close()
    await asyncio.sleep(0)
    return near, far


@pytest.mark.parametrize("tears", [False, True])
def test_who_closes_is_heard_to_the_end_and_who_aborts_is_torn_off(tears: bool) -> None:
    async def main() -> tuple[list[object], list[object]]:
        near, far = await pair()
        near.transport.write(b"last")
        end = near.transport.abort if tears else near.transport.close
        end()
        near.transport.write(b"too late")
        await asyncio.sleep(1)
        far.transport.write(b"too late")
        await asyncio.sleep(1)
        return near.heard, far.heard

    near, far = run_virtual(main())

    assert near == [type(None)]
    assert far == [b"last", *([ConnectionResetError] if tears else ["end", type(None)])]


def test_who_does_not_read_hears_it_later() -> None:
    async def main() -> tuple[list[object], list[object]]:
        near, far = await pair()
        far.transport.pause_reading()
        near.transport.write(b"1")
        near.transport.write(b"2")
        near.transport.close()
        await asyncio.sleep(60)
        before = list(far.heard)
        far.transport.resume_reading()
        await asyncio.sleep(1)
        return before, far.heard

    assert run_virtual(main()) == ([], [b"1", b"2", "end", type(None)])


def test_a_cut_lets_so_many_bytes_through_and_tears_both_ends_at_once() -> None:
    async def main() -> tuple[list[object], list[object]]:
        network().cuts += [Cut(), Cut(to_server=3)]
        (_, spared), (near, far) = await pair(), await pair()
        near.transport.write(b"ab")
        near.transport.write(b"cd")
        far.transport.write(b"lost")
        await asyncio.sleep(0.001)
        return near.heard + spared.heard, far.heard

    assert run_virtual(main()) == ([ConnectionResetError], [b"ab", b"c", ConnectionResetError])


def test_two_cannot_listen_in_the_same_place() -> None:
    async def main() -> None:
        async with raw_server(reply_with(answer())) as server:
            await asyncio.get_running_loop().create_server(Listener, "127.0.0.1", server.port)

    with pytest.raises(OSError, match="already in use"):
        run_virtual(main())


def test_connections_are_let_go_in_their_order_though_aiohttp_keeps_a_set_of_them() -> None:
    async def main() -> list[int]:
        gone: list[int] = []

        async def get(session: aiohttp.ClientSession, url: str, number: int) -> None:
            with pytest.raises(aiohttp.ClientError):
                await session.get(url)
            gone.append(number)

        async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await reader.read()

        async with raw_server(lambda _: silence) as server:
            async with aiohttp.ClientSession() as session:
                calls = [asyncio.create_task(get(session, server.url, n)) for n in range(50)]
                await asyncio.sleep(1)
            await asyncio.wait(calls)
        return gone

    assert run_virtual(main()) == list(range(50))


def test_the_real_client_invoices_at_the_real_sandbox_in_the_time_that_it_must_take() -> None:
    async def main() -> tuple[list[State], int, int, float]:
        async with troubled(orders=200, latency=0.05) as (sandbox, client):
            jobs = [job_for(order) for order in sandbox.orders]
            states = [o.state async for o in client.notify_many(jobs, concurrency=8)]
            return states, len(sandbox.applied), sandbox.applied.total(), now()

    states, orders, applied, took = run_virtual(main())

    assert states == [State.CONFIRMED] * 200
    assert orders == applied == 200
    # 25 rounds of eight; a client may begin more gently than all at once.
    assert 1.25 <= round(took, 6) < 1.5


def test_what_one_call_after_the_other_takes_is_exact() -> None:
    async def main() -> tuple[float, int]:
        network().latency = 0.01
        async with troubled(orders=10, latency=0.05) as (sandbox, client):
            for job in map(job_for, sandbox.orders):
                await client.notify_invoice(job.order_id, job.invoice)
            return now(), len(network().connections)

    took, connections = run_virtual(main())

    # Each time there and back, and the sandbox's own latency; once more there and back to connect.
    assert took == pytest.approx(0.02 + 10 * (0.02 + 0.05))
    assert connections == 1


@pytest.mark.parametrize("acted", [False, True])
@pytest.mark.parametrize("do", [Do.CLOSE, Do.RESET, Do.HANG, Do.DELAY, Do.ANSWER])
def test_the_faults_of_the_sandbox_happen_here_too(do: Do, acted: bool) -> None:
    async def main() -> tuple[Receipt | OutcomeUnknown, int, float]:
        fault = Fault(do=do, on=ON_INVOICE, nth=FIRST, acted=acted, seconds=20)
        async with troubled(fault) as (sandbox, client):
            result = await told(client, job_for(sandbox.orders[0]))
            return result, sandbox.applied.total(), now()

    result, applied, took = run_virtual(main())

    assert applied == (acted or isinstance(result, Receipt))
    assert took >= {Do.HANG: 30, Do.DELAY: 20}.get(do, 0)


@pytest.mark.parametrize(
    "timeout", [aiohttp.ClientTimeout(40), aiohttp.ClientTimeout(sock_read=40)]
)
def test_the_timeouts_of_aiohttp_end_in_time(timeout: aiohttp.ClientTimeout) -> None:
    async def main() -> float:
        async with Sandbox(orders=1, faults=[Fault(do=Do.HANG, nth=FIRST)]) as sandbox:
            url = f"{sandbox.url}/api/oms/pvt/orders/{sandbox.orders[0].order_id}"
            headers = authentication(sandbox.config)
            async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
                with pytest.raises(TimeoutError):
                    await session.get(url)
                return now()

    assert run_virtual(main()) == 40


def test_what_arrives_late_is_applied_when_it_arrives() -> None:
    async def main() -> list[timedelta]:
        fault = Fault(do=Do.LATE, on=ON_INVOICE, nth=FIRST, seconds=600)
        async with troubled(fault, total=10) as (sandbox, client):
            await told(client, job_for(sandbox.orders[0]))
            await asyncio.sleep(900)
            return [done.at - START for done in sandbox.oracle.applied]

    assert run_virtual(main()) == [timedelta(seconds=600)]


def test_an_idle_connection_is_forgotten_as_in_real_time() -> None:
    async def main() -> int:
        async with troubled(orders=3) as (sandbox, client):
            for job in map(job_for, sandbox.orders):
                await client.notify_invoice(job.order_id, job.invoice)
                await asyncio.sleep(9)  # aiohttp's pool remembers for 15 s
            await asyncio.sleep(9)
            await client.get_order(job.order_id)
            return len(network().connections)

    assert run_virtual(main()) == 2


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://vtex.invalid"])
def test_where_nobody_listens_nothing_is_sent(url: str) -> None:
    async def main() -> int:
        async with Sandbox(orders=1) as sandbox:
            job = job_for(sandbox.orders[0])
            async with VtexInvoiceClient(evolve(sandbox.config, base_url=url)) as client:
                with pytest.raises(NotSent):
                    await client.notify_invoice(job.order_id, job.invoice)
        return len(network().connections)

    assert run_virtual(main()) == 0


async def invoiced(*cuts: Cut) -> tuple[Receipt | OutcomeUnknown, int, int, int]:
    """What is told, how often it was applied, and the bytes that the first connection carried."""
    network().latency = 0.01
    network().cuts.extend(cuts)
    async with troubled() as (sandbox, client):
        result = await told(client, job_for(sandbox.orders[0]))
        to_server, to_client = network().connections[0]
        return result, sandbox.applied.total(), to_server.carried, to_client.carried


def test_a_request_may_be_cut_at_any_byte() -> None:
    _, _, whole, _ = run_virtual(invoiced())

    assert whole > 400
    for at in [*range(0, whole, 29), whole - 1, whole, whole + 1]:
        result, applied, carried, _ = run_virtual(invoiced(Cut(to_server=at)))

        # The last byte may be the one that matters; of nothing less than all, nothing comes.
        assert applied == (at >= whole or isinstance(result, Receipt)), at
        assert carried == min(at, whole), at


def test_an_answer_may_be_cut_at_any_byte() -> None:
    _, _, _, whole = run_virtual(invoiced())

    assert whole > 100
    for at in [*range(0, whole, 13), whole - 1, whole, whole + 1]:
        result, applied, _, carried = run_virtual(invoiced(Cut(to_client=at)))

        assert applied == 1, at
        assert carried == min(at, whole), at
        assert at < whole or isinstance(result, Receipt), at


def test_the_same_seed_makes_the_same_run() -> None:
    async def campaign(seed: int) -> tuple[object, ...]:
        chance = random.random()
        network().latency = 0.013
        faults = [
            Fault(do=Do.CLOSE, on=ON_INVOICE, rate=0.1),
            Fault(do=Do.RESET, on=ON_INVOICE, rate=0.1, acted=True),
            Fault(do=Do.HANG, on=ON_INVOICE, rate=0.02),
            Fault(do=Do.DELAY, rate=0.2, seconds=1.7),
        ]
        async with troubled(*faults, orders=100, seed=seed, latency=0.05) as (sandbox, client):
            jobs = [job_for(order) for order in sandbox.orders]
            outcomes = [(o.job.order_id, o.state) async for o in client.notify_many(jobs)]
            return chance, outcomes, sandbox.oracle.arrived, sandbox.oracle.applied, now()

    first = run_virtual(campaign(7), seed=7)
    litter = [object() for _ in range(100_003)]  # what is made now lies elsewhere

    assert first[0] == random.Random(7).random()
    assert run_virtual(campaign(7), seed=7) == first, len(litter)
    assert run_virtual(campaign(8), seed=8) != first
