"""A call may be cancelled at any wait, as it begins or just as it ends: at once, and with no doubt hidden."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Generator, Sequence
from types import coroutine
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.scenes import SCENES, Scene, staged, track
from tests.virtual_time import network, run_virtual
from vtex_invoice_async import InvoiceJob, Outcome, ThrottleLimits, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, InvoiceAbsent, RateLimited
from vtex_invoice_async.events import Event, Resolving, Sent
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

ENOUGH: Final = 400
"""More waits than any of these calls has."""

POSTED: Final = "notify_invoice"


def now() -> float:
    return asyncio.get_running_loop().time()


@coroutine
def cancelled_at(
    awaits: int, call: Coroutine[Any, Any, object], cancelled: list[float], *, late: bool
) -> Generator[Any, Any, object]:
    """Await *call*, and cancel the task when its so-manieth wait begins, or, if *late*, ends."""
    task = asyncio.current_task()
    assert task is not None

    def cancel(_: object = None) -> None:
        cancelled.append(now())
        task.cancel()

    value: object = None
    pending: BaseException | None = None
    count = 0
    while True:
        try:
            awaited = call.send(value) if pending is None else call.throw(pending)
        except StopIteration as stop:
            return stop.value
        count += 1
        if count == awaits and late and awaited is not None:
            # The task's own callback comes after this one: it wakes up to be cancelled.
            awaited.add_done_callback(cancel)
        elif count == awaits:
            cancel()
        value, pending = None, None
        try:
            value = yield awaited
        except BaseException as error:  # noqa: BLE001  the call shall see a cancellation too
            pending = error


async def as_task(
    awaits: int, call: Coroutine[Any, Any, object], cancelled: list[float], *, late: bool
) -> object:
    return await cancelled_at(awaits, call, cancelled, late=late)


async def was_cancelled(
    awaits: int, call: Coroutine[Any, Any, object], *, late: bool = False
) -> bool:
    """Cancel *call*, see that this ends it at once, and return whether it had so many waits."""
    cancelled: list[float] = []
    task = asyncio.create_task(as_task(awaits, call, cancelled, late=late))
    await asyncio.wait([task])
    if cancelled:
        assert task.cancelled(), task
        assert now() == cancelled[0]
    elif (error := task.exception()) is not None:
        assert isinstance(error, CallError)
    return bool(cancelled)


def may_have_acted(job: InvoiceJob, sandbox: Sandbox, heard: Sequence[Event]) -> bool:
    """Whether an attempt is under way, or ended without a word, and was not found since."""
    arrived = [
        a for a in sandbox.oracle.arrived if (a.operation, a.order_id) == (POSTED, job.order_id)
    ]
    mine = [event for event in heard if getattr(event, "order_id", "") == job.order_id]
    ended = [event for event in mine if isinstance(event, Sent) and event.operation == POSTED]
    found = any(isinstance(event, Resolving) and event.finding == "present" for event in mine)
    lost = any(event.status is None and event.bytes_left for event in ended)
    return len(arrived) > len(ended) or (lost and not found)


async def settle(client: VtexInvoiceClient, sandbox: Sandbox) -> None:
    """Find out about every doubt, and see that it is the truth."""
    for doubt in client.in_doubt():
        try:
            await client.resolve(doubt)
            shown = 1
        except InvoiceAbsent:
            shown = 0
        assert sandbox.applied[doubt.order_id, doubt.invoice_number] == shown
    assert client.in_doubt() == ()


async def cancel_in(scene: Scene, awaits: int, *, late: bool) -> bool:
    heard: list[Event] = []
    async with staged(scene, heard) as (sandbox, client):
        job = job_for(sandbox.orders[0])
        reached = await was_cancelled(awaits, scene.call(client, job), late=late)

        await asyncio.sleep(1)  # the sandbox may act yet, and the client does not hear of it
        doubts = [doubt.order_id for doubt in client.in_doubt()].count(job.order_id)
        if reached and scene.call is not track:
            assert doubts == may_have_acted(job, sandbox, heard)
            assert sandbox.applied[job.order_id, job.invoice.invoice_number] <= 1
        other = job_for(sandbox.orders[1])
        began = now()
        assert (await client.notify_invoice(other.order_id, other.invoice)).receipt
        assert now() - began < 5
        await settle(client, sandbox)
    return reached


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_call_ends_at_once_and_its_doubt_is_exactly_what_may_have_acted(
    scene: Scene, late: bool
) -> None:
    reached = (run_virtual(cancel_in(scene, awaits, late=late)) for awaits in range(1, ENOUGH))

    assert 2 <= next(n for n, more in enumerate(reached) if not more) < ENOUGH


async def cancel_the_run_after(seconds: float) -> bool:
    network().latency = 0.01
    heard: list[Event] = []

    async def consume(client: VtexInvoiceClient, jobs: list[InvoiceJob]) -> list[Outcome]:
        return [outcome async for outcome in client.notify_many(jobs, concurrency=3)]

    lost = Fault(do=Do.CLOSE, on=POSTED, nth=(2, 5), acted=True)
    async with (
        Sandbox(orders=9, latency=0.05, faults=[lost]) as sandbox,
        VtexInvoiceClient(sandbox.config, observe=heard.append) as client,
    ):
        jobs = [job_for(order) for order in sandbox.orders[:6]]
        run = asyncio.create_task(consume(client, jobs))
        await asyncio.wait([run], timeout=seconds)
        cancelled = run.cancel()
        await asyncio.wait([run])
        assert run.cancelled() == cancelled

        await asyncio.sleep(1)
        doubts = Counter(doubt.order_id for doubt in client.in_doubt())
        assert doubts == Counter(j.order_id for j in jobs if may_have_acted(j, sandbox, heard))
        assert set(sandbox.applied.values()) <= {1}
        await settle(client, sandbox)
        assert cancelled or len(run.result()) == 6
    return cancelled


def test_many_may_be_cancelled_at_any_moment() -> None:
    moments = [moment / 100 for moment in range(150)]

    cancelled = [run_virtual(cancel_the_run_after(moment)) for moment in moments]

    # Two doubts are read a second later: until then, the run goes on.
    assert 100 < cancelled.count(True) < 150


@pytest.mark.parametrize("patience", [5, 125])
def test_turns_of_those_who_gave_up_are_not_waited_for_by_those_who_come_after(
    patience: float,
) -> None:
    async def main() -> tuple[int, float]:
        async with Sandbox(orders=501) as sandbox:
            config = evolve(sandbox.config, throttle=ThrottleLimits(rate=1))
            async with VtexInvoiceClient(config) as client:
                last, *jobs = [job_for(order) for order in sandbox.orders]
                # More than can be sent before their deadline, or than their caller waits for.
                calls = [client.notify_invoice(job.order_id, job.invoice) for job in jobs]
                tasks = [asyncio.create_task(call) for call in calls]
                await asyncio.wait(tasks, timeout=patience)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                sent, began = sandbox.applied.total(), now()
                await client.notify_invoice(last.order_id, last.invoice)
                return sent, now() - began

    sent, waited = run_virtual(main())

    assert patience - 10 <= sent <= patience + 2
    assert waited <= 2


@pytest.mark.parametrize("retry_after", ["1", "400"])
def test_a_429_of_long_ago_is_no_reason_to_refuse_a_batch(retry_after: str) -> None:
    throttled = Fault(
        do=Do.ANSWER, on=POSTED, nth=(1,), status=429, headers={"Retry-After": retry_after}
    )

    async def main() -> tuple[Counter[str], int]:
        async with (
            Sandbox(orders=50, latency=0.05, faults=[throttled]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            first, *jobs = [job_for(order) for order in sandbox.orders]
            with pytest.raises((RateLimited, TimeoutError)):
                async with asyncio.timeout(0.5):
                    await client.notify_invoice(first.order_id, first.invoice)
            await asyncio.sleep(600)

            outcomes = [outcome async for outcome in client.notify_many(jobs[:40])]

            return Counter(outcome.state for outcome in outcomes), sandbox.applied.total()

    assert run_virtual(main()) == ({"confirmed": 40}, 40)
