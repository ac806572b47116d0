"""The sandbox by a plain `with`: in a thread of its own, beside code of any kind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import aiohttp
import pytest
from attrs import evolve

from tests.command_line import ROOT, TIMEOUT, file_of, row, until
from tests.factories import ONCE, job_for
from vtex_invoice_async import InvoiceJob, Order, State, VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError, OutcomeUnknown
from vtex_invoice_async.models import OrderStatus
from vtex_invoice_async.sandbox import Do, Fault, Sandbox


def serving() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "vtex-sandbox"]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert serving() == []


async def invoice(sandbox: Sandbox, *orders: Order) -> None:
    async with VtexInvoiceClient(sandbox.config) as client:
        for order in orders:
            job = job_for(order)
            await client.notify_invoice(job.order_id, job.invoice)


async def is_there(url: str) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            await session.get(url)
        except aiohttp.ClientConnectorError:
            return False
    return True


def test_code_without_a_loop_has_it_for_as_long_as_the_block_lasts() -> None:
    with Sandbox(orders=3) as sandbox:
        url = sandbox.url
        order = sandbox.orders[0]
        there = asyncio.run(is_there(url))

        asyncio.run(invoice(sandbox, order))

        assert sandbox.applied == {(order.order_id, f"NFe{order.sequence}"): 1}
        assert sandbox.config.account == sandbox.environ["VTEX_ACCOUNT"] == sandbox.account
        assert [done.operation for done in sandbox.oracle.applied] == ["notify_invoice"]
    assert there
    assert not asyncio.run(is_there(url))
    with pytest.raises(ConfigError, match="not running"):
        _ = sandbox.url


async def test_a_loop_that_runs_already_goes_on_beside_it() -> None:
    with Sandbox(orders=1) as sandbox:
        await invoice(sandbox, sandbox.orders[0])

        assert sandbox.applied.total() == 1


def test_a_thread_that_is_not_the_first_has_it_too() -> None:
    def in_a_thread() -> int:
        with Sandbox(orders=1) as sandbox:
            asyncio.run(invoice(sandbox, sandbox.orders[0]))
            return sandbox.applied.total()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_a_thread).result(TIMEOUT) == 1


def test_another_process_reaches_it_while_this_one_waits(tmp_path: Path) -> None:
    with Sandbox(orders=2) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])

        ended = subprocess.run(
            [sys.executable, "-m", "vtex_invoice_async", "send", str(path)],
            cwd=ROOT,
            env={**os.environ, **sandbox.environ, "XDG_STATE_HOME": str(tmp_path)},
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )

        assert ended.returncode == 0, ended.stderr
        assert sandbox.applied.total() == 2


async def test_what_was_answered_is_seen_at_once() -> None:
    with Sandbox(orders=9) as sandbox:
        for taken, order in enumerate(sandbox.orders, start=1):
            await invoice(sandbox, order)

            assert sandbox.applied.total() == len(sandbox.oracle.applied) == taken
            assert sandbox.orders[taken - 1].status is OrderStatus.INVOICED


def test_orders_and_counts_are_looked_at_between_two_requests_not_amid_one() -> None:
    here = threading.get_ident()

    with Sandbox(0) as sandbox:
        there = sandbox._look(threading.get_ident)

    assert there != here
    assert sandbox._look(threading.get_ident) == here


async def send_all(sandbox: Sandbox, jobs: list[InvoiceJob]) -> int:
    async with VtexInvoiceClient(sandbox.config) as client:
        found = [outcome.state async for outcome in client.notify_many(jobs)]
    return found.count(State.CONFIRMED)


def test_whoever_reads_while_invoices_come_in_sees_each_of_them_whole() -> None:
    seen: list[int] = []

    with Sandbox(orders=99) as sandbox, ThreadPoolExecutor(1) as pool:
        jobs = [job_for(order) for order in sandbox.orders]
        sending = pool.submit(asyncio.run, send_all(sandbox, jobs))
        while not sending.done():
            invoiced = [order for order in sandbox.orders if order.packages]
            assert {order.status for order in invoiced} <= {OrderStatus.INVOICED}
            assert sandbox.applied.total() >= len(invoiced)
            seen.append(len(invoiced))

        assert sending.result() == sandbox.applied.total() == 99
    assert seen == sorted(seen)


def test_whoever_still_reads_when_it_ends_is_answered() -> None:
    ended = threading.Event()

    def read() -> set[int]:
        found = {len(sandbox.orders)}
        reading.set()
        while not ended.is_set():
            found.add(len(sandbox.orders))
        return found

    with ThreadPoolExecutor(1) as pool:
        for _ in range(20):
            reading = threading.Event()
            ended.clear()
            with Sandbox(orders=1) as sandbox:
                reader = pool.submit(read)
                reading.wait(TIMEOUT)
            ended.set()

            assert reader.result(TIMEOUT) == {1}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_ends_it(error: type[BaseException]) -> None:
    def fail() -> None:
        with sandbox:
            urls.append(sandbox.url)
            raise error

    urls: list[str] = []
    sandbox = Sandbox(0)

    with pytest.raises(error):
        fail()

    assert serving() == []
    assert not asyncio.run(is_there(urls[0]))


class Interrupting(Sandbox):
    """Ctrl-C comes while it begins."""

    def __init__(self) -> None:
        super().__init__(0)
        self.interrupted = threading.Event()

    async def _begin(self) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        self.interrupted.wait(TIMEOUT)
        await super()._begin()


def test_an_interrupt_while_it_begins_ends_it() -> None:
    sandbox = Interrupting()

    def interrupt(number: int, frame: FrameType | None) -> None:
        sandbox.interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            sandbox.__enter__()
    finally:
        signal.signal(signal.SIGINT, before)

    assert serving() == []
    with pytest.raises(ConfigError, match="not running"):
        _ = sandbox.url


def test_where_the_system_gives_no_thread_it_can_be_entered_later() -> None:
    sandbox = Sandbox(0)
    before = threading.stack_size(2**46)
    try:
        with pytest.raises(RuntimeError, match="thread"):
            sandbox.__enter__()
    finally:
        threading.stack_size(before)

    with sandbox:
        assert asyncio.run(is_there(sandbox.url))


@pytest.mark.parametrize("do", [Do.HANG, Do.LATE, Do.DELAY])
async def test_a_request_that_hangs_does_not_keep_it_from_ending(do: Do) -> None:
    lost = Fault(do=do, nth=(1,), seconds=60)
    with Sandbox(orders=1, faults=[lost]) as sandbox:
        job = job_for(sandbox.orders[0])
        client = VtexInvoiceClient(evolve(sandbox.config, retry=ONCE))
        await client.__aenter__()
        call = asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
        await until(lambda: len(sandbox.oracle.arrived) == 1)

    with pytest.raises(OutcomeUnknown):
        await call
    await client.aclose()
    assert not sandbox.applied


@asynccontextmanager
async def entered(sandbox: Sandbox, *, plainly: bool) -> AsyncIterator[None]:
    if plainly:
        with sandbox:
            yield
    else:
        async with sandbox:
            yield


each_way = pytest.mark.parametrize("plainly", [True, False], ids=["with", "async with"])


@each_way
async def test_where_the_port_is_taken_it_can_be_entered_later(*, plainly: bool) -> None:
    with Sandbox(0) as sandbox:
        url = sandbox.url
        other = Sandbox(0, port=urlsplit(url).port or 0)

        with pytest.raises(ConfigError, match=f"port {other._port}"):
            await entered(other, plainly=plainly).__aenter__()

        assert len(serving()) == 1
    async with entered(other, plainly=plainly):
        assert other.url == url


@each_way
@pytest.mark.parametrize("again", [True, False], ids=["then with", "then async with"])
async def test_one_that_has_ended_goes_on_with_the_same_orders(
    *, plainly: bool, again: bool
) -> None:
    sandbox = Sandbox(orders=2)

    async with entered(sandbox, plainly=plainly):
        await invoice(sandbox, sandbox.orders[0])
    async with entered(sandbox, plainly=again):
        await invoice(sandbox, sandbox.orders[1])

    assert sandbox.applied.total() == 2


@each_way
@pytest.mark.parametrize("twice", [True, False], ids=["and with", "and async with"])
async def test_one_that_runs_is_not_entered_a_second_time(*, plainly: bool, twice: bool) -> None:
    sandbox = Sandbox(orders=1)

    async with entered(sandbox, plainly=plainly):
        with pytest.raises(ConfigError, match="running already"):
            async with entered(sandbox, plainly=twice):
                pass
        await invoice(sandbox, sandbox.orders[0])

    assert sandbox.applied.total() == 1


def program(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_it_leaves_nothing_open() -> None:
    ended = program(
        "import asyncio, gc\n"
        "from vtex_invoice_async.sandbox import Sandbox\n"
        "from tests.test_sandbox_thread import invoice\n"
        "with Sandbox(orders=1) as sandbox:\n"
        "    asyncio.run(invoice(sandbox, sandbox.orders[0]))\n"
        "    try:\n"
        "        Sandbox(0, port=70_000).__enter__()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "gc.collect()\n"
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ConfigError\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is POSIX's")
def test_a_forked_child_reads_what_was_there_when_it_was_made() -> None:
    ended = program(
        "import os, warnings\n"
        "from vtex_invoice_async.sandbox import Sandbox\n"
        "warnings.simplefilter('ignore', DeprecationWarning)  # Python 3.12 warns of forking\n"
        "with Sandbox(orders=7) as sandbox:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os._exit(len(sandbox.orders))\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )

    assert (ended.returncode, ended.stdout) == (0, "7\n"), ended.stderr
