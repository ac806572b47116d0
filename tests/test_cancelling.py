"""A call may be cancelled at any await: nothing leaks, and what may have been applied is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager
from types import coroutine
from typing import Any, Final

import pytest
from attrs import evolve, field, frozen

from tests.factories import job_for, make_tracking
from tests.virtual_time import run_virtual
from vtex_invoice_async import (
    ClientConfig,
    Credentials,
    Doubt,
    InvoiceJob,
    ThrottleLimits,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.events import Event, Resolving
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

ENOUGH: Final = 400
"""More awaits than any of these calls has."""


@coroutine
def cancelled_at(
    awaits: int, call: Coroutine[Any, Any, object]
) -> Generator[Any, Any, tuple[bool, object]]:
    """Await *call*, and cancel the task at its so-manieth await; return whether it came so far."""
    value: object = None
    pending: BaseException | None = None
    count = 0
    while True:
        try:
            waited_for = call.send(value) if pending is None else call.throw(pending)
        except StopIteration as stop:
            return count >= awaits, stop.value
        count += 1
        if count == awaits:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        value, pending = None, None
        try:
            value = yield waited_for
        except BaseException as error:  # noqa: BLE001  the call shall see a cancellation too
            pending = error


@frozen(kw_only=True)
class Scene:
    """A call in circumstances of its own."""

    faults: Sequence[Fault] = ()
    throttle: ThrottleLimits = field(factory=ThrottleLimits)
    for_all: bool = False
    renewed: bool = False
    before: Callable[[VtexInvoiceClient, Sandbox], Awaitable[object]] | None = None
    call: Callable[[VtexInvoiceClient, InvoiceJob], Coroutine[Any, Any, object]]


def notify(client: VtexInvoiceClient, job: InvoiceJob) -> Coroutine[Any, Any, object]:
    return client.notify_invoice(job.order_id, job.invoice)


async def resolve(client: VtexInvoiceClient, job: InvoiceJob) -> object:
    (doubt,) = client.in_doubt()
    return await client.resolve(doubt)


async def track(client: VtexInvoiceClient, job: InvoiceJob) -> object:
    number = job.invoice.invoice_number
    return await client.send_tracking(job.order_id, number, make_tracking())


async def many(client: VtexInvoiceClient, job: InvoiceJob) -> object:
    return [outcome async for outcome in client.notify_many([job], concurrency=1)]


async def fail_once(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    """Leave the first order's invoice in doubt, as a caller does who loses patience."""
    job = job_for(sandbox.orders[0])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await notify(client, job)


async def open_the_circuit(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    for order in sandbox.orders[2:7]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await notify(client, job_for(order))


async def send_another_first(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    await notify(client, job_for(sandbox.orders[7]))


async def invoice_first(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    await notify(client, job_for(sandbox.orders[0]))


INVOICE: Final = "notify_invoice"
SCENES: Final = {
    "answered at once": Scene(call=notify),
    "throttled by VTEX": Scene(
        call=notify,
        faults=[
            Fault(do=Do.ANSWER, on=INVOICE, nth=(1,), status=429, headers={"Retry-After": "3"})
        ],
    ),
    "waiting for its slot": Scene(
        call=notify, throttle=ThrottleLimits(rate=0.5), before=send_another_first
    ),
    "the answer lost": Scene(call=notify, faults=[Fault(do=Do.CLOSE, nth=(1,), acted=True)]),
    "the request lost": Scene(call=notify, faults=[Fault(do=Do.CLOSE, nth=(1,))]),
    "hanging": Scene(call=notify, faults=[Fault(do=Do.HANG, nth=(1,), acted=True)]),
    "the circuit open": Scene(
        call=notify,
        before=open_the_circuit,
        for_all=True,
        faults=[Fault(do=Do.ANSWER, on=INVOICE, nth=(1, 2, 3, 4, 5), status=503)],
    ),
    "resolving what is there": Scene(
        call=resolve, before=fail_once, faults=[Fault(do=Do.CLOSE, nth=(1,), acted=True)]
    ),
    "resolving what is not": Scene(
        call=resolve, before=fail_once, faults=[Fault(do=Do.CLOSE, nth=(1,))]
    ),
    "a renewal": Scene(
        call=notify,
        renewed=True,
        faults=[Fault(do=Do.ANSWER, on=INVOICE, nth=(1,), status=401)],
    ),
    "tracking repeated": Scene(
        call=track, before=invoice_first, faults=[Fault(do=Do.CLOSE, on="send_tracking", nth=(1,))]
    ),
    "many": Scene(call=many, faults=[Fault(do=Do.CLOSE, nth=(1,), acted=True)]),
}


def config_of(scene: Scene, sandbox: Sandbox) -> ClientConfig:
    # One slot: whoever keeps it is found out by the next call.
    config = evolve(sandbox.config, max_concurrency=1, throttle=scene.throttle)
    if not scene.renewed:
        return config

    async def ask() -> Credentials:
        await asyncio.sleep(0.1)
        return Credentials(app_key=config.app_key, app_token=config.app_token)

    return evolve(config, app_key=None, app_token=None, credentials=ask)


@asynccontextmanager
async def staged(
    scene: Scene, heard: list[Event]
) -> AsyncIterator[tuple[Sandbox, VtexInvoiceClient]]:
    first = Sandbox(orders=9).orders[0].order_id
    # What goes wrong goes wrong for the scene's own call, and for nobody who comes after it.
    faults = [f if scene.for_all else evolve(f, order_id=first) for f in scene.faults]
    async with Sandbox(orders=9, latency=0.05, faults=faults) as sandbox:
        config = config_of(scene, sandbox)
        async with VtexInvoiceClient(config, observe=heard.append) as client:
            if scene.before is not None:
                await scene.before(client, sandbox)
            yield sandbox, client


async def stand_the_cancelling(scene: Scene, awaits: int) -> bool:
    """Cancel the scene's call at an await, and look around; return whether there was one left."""
    heard: list[Event] = []
    async with staged(scene, heard) as (sandbox, client):
        job = job_for(sandbox.orders[0])
        key = (job.order_id, job.invoice.invoice_number)
        before = {doubt.invoice_number for doubt in client.in_doubt()}
        task = asyncio.create_task(as_task(awaits, scene.call(client, job)))
        reached, raised = await outcome_of(task)

        # The sandbox hears of a hang-up a moment later, and may have acted by then.
        await asyncio.sleep(1)
        doubts = {doubt.invoice_number for doubt in client.in_doubt()}
        assert sandbox.applied[key] <= 1
        if raised == "cancelled" and scene.call is not track:
            # Who was not told that it is applied can ask.
            # (Of many, an outcome that is there and was not read is lost: it is in doubt no more.)
            settled = scene.call is many and any(
                isinstance(event, Resolving) and event.finding == "present" for event in heard
            )
            assert sandbox.applied[key] == 0 or key[1] in doubts | before or settled
            arrived = any(a.order_id == job.order_id for a in sandbox.oracle.arrived)
            assert arrived or key[1] not in doubts - before
        other = job_for(sandbox.orders[1])
        assert (await client.notify_invoice(other.order_id, other.invoice)).receipt
    return reached


async def as_task(awaits: int, call: Coroutine[Any, Any, object]) -> tuple[bool, object]:
    return await cancelled_at(awaits, call)


async def outcome_of(task: asyncio.Task[tuple[bool, object]]) -> tuple[bool, str]:
    try:
        reached, _ = await task
    except asyncio.CancelledError:
        return True, "cancelled"
    except CallError as error:
        return False, type(error).__name__
    # Cancelled in its last step, it may be done all the same; else it was never cancelled.
    return reached, "returned"


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_call_may_be_cancelled_at_each_of_its_awaits(scene: Scene) -> None:
    cancelled = 0
    for awaits in range(1, ENOUGH):
        if not run_virtual(stand_the_cancelling(scene, awaits)):
            break
        cancelled += 1
    else:
        pytest.fail("the call has more awaits than are believable")

    assert cancelled >= 2


def test_what_was_cancelled_in_flight_can_be_resolved() -> None:
    async def main() -> tuple[Doubt, ...]:
        lost = Fault(do=Do.HANG, on=INVOICE, nth=(1,), acted=True)
        async with (
            Sandbox(orders=1, faults=[lost]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            job = job_for(sandbox.orders[0])
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await client.notify_invoice(job.order_id, job.invoice)
            (doubt,) = client.in_doubt()
            receipt = await client.resolve(doubt)
            assert (receipt.confirmed_by, receipt.receipt) == ("order", None)
            assert sandbox.applied.total() == 1
            return client.in_doubt()

    assert run_virtual(main()) == ()
