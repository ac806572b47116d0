"""What a single call may have otherwise than its client: how long, how patient, and who hears of it."""

from __future__ import annotations

import asyncio
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import pytest
from attrs import evolve

from tests.factories import ONCE, job_for, make_tracking
from tests.virtual_time import run_virtual
from vtex_invoice_async import (
    CallOptions,
    RetryPolicy,
    State,
    ThrottleLimits,
    Timeouts,
    TrackingStatus,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import CallError, ConfigError, NotSent, OutcomeUnknown
from vtex_invoice_async.events import CircuitTurned, Event, Sent, Settled, Throttled
from vtex_invoice_async.operations import GetOrder
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

HANG: Final = Fault(do=Do.HANG, rate=1)
Caller = Callable[[VtexInvoiceClient, Sandbox, CallOptions], Awaitable[object]]


async def send(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    return await client.send(GetOrder(order_id=sandbox.orders[0].order_id), **options)


async def notify(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    job = job_for(sandbox.orders[0])
    return await client.notify_invoice(job.order_id, job.invoice, **options)


async def track(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    order_id = sandbox.orders[0].order_id
    return await client.send_tracking(order_id, "NFe1", make_tracking(), **options)


async def update(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    order_id, status = sandbox.orders[0].order_id, TrackingStatus(is_delivered=True)
    return await client.update_tracking_status(order_id, "NFe1", status, **options)


async def read(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    return await client.get_order(sandbox.orders[0].order_id, **options)


async def handle(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    await client.start_handling(sandbox.orders[9].order_id, **options)
    return None


async def journaled(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    async def intend() -> None:
        pass

    return await client.notify_journaled(job_for(sandbox.orders[0]), intend=intend, **options)


async def many(client: VtexInvoiceClient, sandbox: Sandbox, options: CallOptions) -> object:
    jobs = [job_for(sandbox.orders[0])]
    (outcome,) = [outcome async for outcome in client.notify_many(jobs, **options)]
    if outcome.error is not None:
        raise outcome.error
    return outcome


CALLS: Final[dict[str, Caller]] = {
    "send": send,
    "notify_invoice": notify,
    "send_tracking": track,
    "update_tracking_status": update,
    "get_order": read,
    "start_handling": handle,
    "notify_journaled": journaled,
    "notify_many": many,
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(3, 3), (0.5, 0.5), (Timeouts(read=2, total=60), 2)]
)
@each_call
def test_every_call_may_take_another_time(
    call: Caller, timeout: float | Timeouts, seconds: float
) -> None:
    async def main() -> float:
        async with (
            Sandbox(orders=10, faults=[HANG]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            with pytest.raises(CallError):
                await call(client, sandbox, CallOptions(timeout=timeout, retry=ONCE))
            return now()

    assert run_virtual(main()) == pytest.approx(seconds, abs=0.01)


@each_call
def test_every_call_is_heard_by_whom_it_names_and_by_those_of_its_client(call: Caller) -> None:
    async def main() -> None:
        async with (
            Sandbox(orders=10) as sandbox,
            VtexInvoiceClient(sandbox.config, observe=everyones.append) as client,
        ):
            await read(client, sandbox, CallOptions())
            if call in {track, update}:
                await client.notify_invoice(order_id := sandbox.orders[0].order_id, invoice)
                await client.send_tracking(order_id, "NFe1", make_tracking())
            everyones.clear()
            await call(client, sandbox, CallOptions(observe=[one.append]))
            await read(client, sandbox, CallOptions(observe=two.append))

    invoice = job_for(Sandbox(orders=10).orders[0], invoice_number="NFe1").invoice
    everyones: list[Event] = []
    one: list[Event] = []
    two: list[Event] = []

    run_virtual(main())

    assert [type(event) for event in one] == [Sent, Settled]
    assert everyones == one + two


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"timeout": 0}, "timeout must be a number of seconds above 0"),
        ({"timeout": "5"}, "timeout must be a number of seconds above 0"),
        ({"timeout": True}, "timeout must be"),
        ({"timeout": None}, "timeout must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"retry": 5}, "retry must be a RetryPolicy"),
        ({"observe": 5}, "observe must be a callable"),
        ({"observe": [print, None]}, "observe must be a callable"),
        ({"timeouts": 5}, "a call has no option timeouts: there are timeout, retry, observe"),
    ],
)
@each_call
async def test_what_makes_no_sense_is_refused_and_nothing_is_sent(
    sandbox: Sandbox, call: Caller, options: Any, told: str
) -> None:
    heard: list[Event] = []
    async with VtexInvoiceClient(sandbox.config, observe=heard.append) as client:
        with pytest.raises(ConfigError, match=told):
            await call(client, sandbox, options)
        with pytest.raises(ConfigError, match=told):
            client.with_options(**options)

    assert heard == []


def test_a_call_may_be_less_patient_than_its_client() -> None:
    async def main() -> None:
        async with Sandbox(orders=1) as sandbox:
            nowhere = evolve(sandbox.config, base_url="http://127.0.0.1:9")
            async with VtexInvoiceClient(nowhere) as client:
                for retry, attempts in ((RetryPolicy(max_attempts=2), 2), (RetryPolicy(), 6)):
                    with pytest.raises(NotSent) as caught:
                        await notify(client, sandbox, CallOptions(retry=retry))
                    assert caught.value.attempts == attempts

    run_virtual(main())


def test_a_call_says_how_long_it_is_looked_for_and_until_when_absence_proves_nothing() -> None:
    async def main() -> None:
        lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,))
        async with (
            Sandbox(orders=1, faults=[lost]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            hasty = RetryPolicy(resolve_for=2, settle_window=60)
            with pytest.raises(OutcomeUnknown) as caught:
                await notify(client, sandbox, CallOptions(retry=hasty))
            assert now() <= 2
            doubt = caught.value.doubt
            assert doubt is not None
            # Whoever looks with a longer window proves it for all.
            with pytest.raises(CallError, match=r"has not shown .* for 300 s"):
                await client.resolve(doubt)
            assert now() >= 300

    run_virtual(main())


def test_the_observers_of_a_call_hear_how_its_doubt_ends_and_nothing_of_the_account() -> None:
    async def main() -> None:
        faults = [
            Fault(do=Do.ANSWER, on="notify_invoice", nth=(1,), status=429),
            Fault(do=Do.CLOSE, on="notify_invoice", nth=(2,), acted=True),
        ]
        async with (
            Sandbox(orders=1, faults=faults) as sandbox,
            VtexInvoiceClient(sandbox.config, observe=everyones.append) as client,
        ):
            await notify(client, sandbox, CallOptions(observe=one.append))

    everyones: list[Event] = []
    one: list[Event] = []

    run_virtual(main())

    told = ["Sent", "Retrying", "Sent", "Settled", "Sent", "Settled", "Resolving", "Resolved"]
    assert [type(event).__name__ for event in one] == told
    of_account = [event for event in everyones if isinstance(event, Throttled | CircuitTurned)]
    assert len(of_account) == 1
    assert [event for event in everyones if event not in of_account] == one
    numbers = [event.call for event in one if not isinstance(event, Throttled | CircuitTurned)]  # type: ignore[union-attr]
    call, look = numbers[0], numbers[4]
    assert numbers == [call, call, call, call, look, look, call, call]
    assert call != look


def test_one_who_raises_is_not_told_again_and_the_others_are() -> None:
    def raising(event: Event) -> None:
        tries.append(event)
        raise RuntimeError

    async def main() -> None:
        async with (
            Sandbox(orders=1) as sandbox,
            VtexInvoiceClient(sandbox.config, observe=heard.append) as client,
        ):
            loud = client.with_options(observe=raising)
            await read(loud, sandbox, CallOptions())
            await read(loud, sandbox, CallOptions())

    tries: list[Event] = []
    heard: list[Event] = []

    run_virtual(main())

    assert len(tries) == 1
    assert len(heard) == 4


def test_one_who_raises_a_cancellation_ends_the_call_and_no_doubt_is_lost() -> None:
    def cancelling(event: Event) -> None:
        if isinstance(event, Sent):
            raise asyncio.CancelledError

    async def main() -> None:
        lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,), acted=True)
        async with (
            Sandbox(orders=1, faults=[lost]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            with pytest.raises(asyncio.CancelledError):
                await notify(client, sandbox, CallOptions(observe=cancelling))
            (doubt,) = client.in_doubt()
            assert (await client.resolve(doubt)).confirmed_by == "order"
            assert sandbox.applied.total() == 1

    run_virtual(main())


def test_calls_of_many_durations_are_timed_and_leave_no_timers() -> None:
    async def main() -> None:
        async with (
            Sandbox(orders=1, latency=0.2) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            order_id = sandbox.orders[0].order_id
            for n in range(100):
                await client.get_order(order_id, timeout=1 + n / 100)
            await asyncio.gather(
                *(client.get_order(order_id, timeout=1 + n / 100) for n in range(60))
            )
            transport = client._caller._transport
            for durations in (transport._attempts, transport._pieces):
                assert len(durations._others) <= 60
                assert not any(durations._others.values())
            with pytest.raises(CallError):
                await client.get_order(order_id, timeout=0.1, retry=ONCE)

    run_virtual(main())


async def test_a_short_window_is_warned_of_where_it_is_given(sandbox: Sandbox) -> None:
    hasty = RetryPolicy(settle_window=1)
    async with VtexInvoiceClient(sandbox.config) as client:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client.with_options(retry=hasty)
            await client.get_order(sandbox.orders[0].order_id, retry=hasty)

    assert ["settle_window is under 60 s" in str(each.message) for each in caught] == [True, True]
    assert {each.filename for each in caught} == {__file__}


async def test_at_most_five_of_our_frames_lie_between_a_call_and_aiohttp(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks: list[list[str]] = []
    real = aiohttp.ClientSession._request

    async def watched(*args: Any, **options: Any) -> aiohttp.ClientResponse:
        stack = traceback.extract_stack()
        stacks.append([at.name for at in stack if "/vtex_invoice_async/" in at.filename])
        return await real(*args, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", watched)
    job = job_for(sandbox.orders[0])
    async with VtexInvoiceClient(sandbox.config) as client:
        await client.with_options(timeout=3).notify_invoice(job.order_id, job.invoice, timeout=2)
        (first,) = [state async for state in client.notify_many([job_for(sandbox.orders[1])])]

    assert first.state is State.CONFIRMED
    assert stacks[0][0] == "notify_invoice"
    assert len(stacks[0][1:]) <= 5


def test_what_waits_for_nobody_has_no_deadline_whatever_its_policy_says() -> None:
    async def main() -> None:
        slow = ThrottleLimits(rate=0.1)
        async with Sandbox(orders=4) as sandbox:
            jobs = [job_for(order) for order in sandbox.orders]
            brief = RetryPolicy(deadline=1)
            config = evolve(sandbox.config, throttle=slow)
            async with VtexInvoiceClient(config) as client:
                outcomes = [o async for o in client.notify_many(jobs[:2], retry=brief)]
                assert {outcome.state for outcome in outcomes} == {State.CONFIRMED}
                await client.notify_journaled(jobs[2], intend=nothing, retry=brief)
                with pytest.raises(NotSent, match="no turn came in time"):
                    await client.notify_invoice(jobs[3].order_id, jobs[3].invoice, retry=brief)

    async def nothing() -> None:
        pass

    run_virtual(main())
