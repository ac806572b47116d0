"""A call in each of the circumstances in which it may be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from attrs import evolve, field, frozen

from tests.factories import job_for, make_tracking
from vtex_invoice_async import (
    ClientConfig,
    Credentials,
    InvoiceJob,
    ThrottleLimits,
    VtexInvoiceClient,
)
from vtex_invoice_async.events import Event
from vtex_invoice_async.sandbox import Do, Fault, Sandbox


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
