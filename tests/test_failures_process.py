"""What time and crowds do to a client: wrong clocks, a machine that sleeps, answers that come late.

The numbers are those of the list of failures that this client was designed against.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, tzinfo
from typing import Self

import pytest
from attrs import evolve

from tests.command_line import until
from tests.factories import job_for
from tests.failures import POSTED, Ended, Line, brief, ended, facing, send_one, told
from tests.virtual_time import VirtualLoop, run_virtual
from vtex_invoice_async import Doubt, Receipt, RetryPolicy, Timeouts, VtexInvoiceClient, caller
from vtex_invoice_async.errors import CallError, InvoiceAbsent, OutcomeUnknown
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

LOST = Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)
DROPPED = evolve(LOST, acted=False)
BUSY = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=429, headers={"Retry-After": "60"})

PATIENT = RetryPolicy(resolve_for=700)


class Clock(datetime):
    """A computer's clock, as somebody set it."""

    true = datetime
    off = timedelta(0)
    step = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        cls.off += cls.step
        return cls.true.now(tz) + cls.off  # type: ignore[return-value]  # any datetime will do


def with_clock(fault: Fault, off: timedelta, step: timedelta) -> Ended:
    async def main() -> Ended:
        clock = type("Set", (Clock,), {"true": vars(caller)["datetime"], "off": off, "step": step})
        with pytest.MonkeyPatch.context() as patch:
            # The client's alone: VTEX has a clock of its own.
            patch.setattr(caller, "datetime", clock)
            return await send_one(fault, retry=PATIENT, timeouts=Timeouts())

    return run_virtual(main(), seed=7)


HOUR = timedelta(hours=1)
STILL = timedelta(0)


@pytest.mark.parametrize("fault", [LOST, DROPPED, BUSY])
@pytest.mark.parametrize(
    ("off", "step"),
    [
        pytest.param(HOUR, STILL, id="61 an hour ahead"),
        pytest.param(-HOUR, STILL, id="61 an hour behind"),
        pytest.param(STILL, HOUR, id="61 set forward again and again"),
        pytest.param(STILL, -HOUR, id="61 set back again and again"),
    ],
)
def test_a_clock_that_is_wrong_changes_nothing(
    fault: Fault, off: timedelta, step: timedelta
) -> None:
    right = with_clock(fault, STILL, STILL)

    wrong = with_clock(fault, off, step)

    assert wrong.how == right.how
    assert (wrong.posts, wrong.reads, wrong.applied) == (right.posts, right.reads, right.applied)
    assert wrong.arrivals == pytest.approx(right.arrivals)


def sleep_of_the_machine(seconds: float) -> None:
    """It is later, and nothing has run meanwhile."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop._timeline.now += seconds


@pytest.mark.parametrize("acted", [True, False])
def test_22_62_a_machine_that_sleeps_during_a_call_finds_out_afterwards(acted: bool) -> None:
    async def fall_asleep(line: Line) -> None:
        request = await line.take()
        if acted:
            await line.ask(request)
        sleep_of_the_machine(70)
        await asyncio.Event().wait()  # of a connection that the network has forgotten

    async def main() -> tuple[Ended, list[bytes]]:
        async with facing(fall_asleep, retry=PATIENT, timeouts=Timeouts()) as (
            sandbox,
            server,
            client,
        ):
            found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))
            return found, [request.split()[0] for request in server.requests]

    found, methods = run_virtual(main())

    assert found.how == ("confirmed by order" if acted else "InvoiceAbsent")
    assert (found.posts, found.applied) == (acted, acted)
    assert methods.count(b"POST") == 1


@pytest.mark.parametrize("fault", [LOST, DROPPED])
@pytest.mark.parametrize("seconds", [10, 400, 4_000])
def test_62_a_machine_that_sleeps_while_it_looks_claims_no_more_than_it_saw(
    fault: Fault, seconds: float
) -> None:
    async def main() -> tuple[Ended, str]:
        async with (
            Sandbox(orders=1, faults=[fault]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            call = asyncio.create_task(told(client, job_for(sandbox.orders[0])))
            await asyncio.sleep(0.5)
            sleep_of_the_machine(seconds)
            found = ended(sandbox, await call)
            if isinstance(found.result, OutcomeUnknown):
                assert found.result.doubt is not None
                return found, await outcome_of(client, found.result.doubt)
            return found, found.how

    found, in_the_end = run_virtual(main())

    assert (found.posts, found.applied) == (1, fault.acted)
    assert in_the_end == ("confirmed by order" if fault.acted else "InvoiceAbsent")


async def outcome_of(client: VtexInvoiceClient, doubt: Doubt, patience: int = 2) -> str:
    """Ask what became of *doubt*, and perhaps again: who has slept may have looked too seldom."""
    try:
        return f"confirmed by {(await client.resolve(doubt)).confirmed_by}"
    except InvoiceAbsent:
        return "InvoiceAbsent"
    except OutcomeUnknown:
        return await outcome_of(client, doubt, patience - 1) if patience > 1 else "OutcomeUnknown"


async def test_63_a_call_that_is_cancelled_before_its_turn_was_not_sent() -> None:
    async with Sandbox(orders=2, faults=[Fault(do=Do.HANG, on=POSTED, rate=1)]) as sandbox:
        config = evolve(sandbox.config, max_concurrency=1, retry=brief())
        first, second = [job_for(order) for order in sandbox.orders]
        async with VtexInvoiceClient(config) as client:
            ahead = asyncio.create_task(told(client, first))
            await until(lambda: bool(sandbox.oracle.arrived))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await told(client, second)
            in_doubt = client.in_doubt()
            ahead.cancel()
            await asyncio.wait([ahead])

            assert in_doubt == ()
            assert [doubt.order_id for doubt in client.in_doubt()] == [first.order_id]
        assert [entry.order_id for entry in sandbox.oracle.arrived] == [first.order_id]
        assert not sandbox.applied


@pytest.mark.parametrize("acted", [True, False])
async def test_64_a_call_that_is_cancelled_in_flight_is_in_doubt_and_can_be_resolved(
    acted: bool,
) -> None:
    hang = Fault(do=Do.HANG, on=POSTED, nth=(1,), acted=acted)
    async with Sandbox(orders=1, faults=[hang]) as sandbox:
        async with VtexInvoiceClient(evolve(sandbox.config, retry=brief())) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await told(client, job_for(sandbox.orders[0]))
            (doubt,) = client.in_doubt()
            how = await outcome_of(client, doubt)

            assert client.in_doubt() == ()
        found = ended(sandbox, InvoiceAbsent(""))

    assert how == ("confirmed by order" if acted else "InvoiceAbsent")
    assert (found.posts, found.applied) == (1, acted)


def test_17_what_arrives_late_is_found_after_the_client_gave_up_waiting() -> None:
    late = Fault(do=Do.LATE, on=POSTED, nth=(1,), seconds=25)

    found = run_virtual(send_one(late, retry=RetryPolicy(), timeouts=Timeouts()))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)
    assert found.reads >= 3


def test_17_what_is_later_than_a_call_looks_is_still_in_doubt() -> None:
    late = Fault(do=Do.LATE, on=POSTED, nth=(1,), seconds=100)

    async def main() -> Receipt:
        async with (
            Sandbox(orders=1, faults=[late]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            job = job_for(sandbox.orders[0])
            with pytest.raises(CallError, match="it may have been applied"):
                await client.notify_invoice(job.order_id, job.invoice)
            (doubt,) = client.in_doubt()
            receipt = await client.resolve(doubt)
            assert sandbox.applied.total() == 1
            assert client.in_doubt() == ()
            return receipt

    assert run_virtual(main()).confirmed_by == "order"


def test_20_a_vtex_that_hangs_for_everyone_ends_the_run_with_a_handful_of_doubts() -> None:
    async def main() -> tuple[dict[str, int], int, float]:
        async with Sandbox(orders=1_000, faults=[Fault(do=Do.HANG, rate=1)]) as sandbox:
            jobs = [job_for(order) for order in sandbox.orders]
            began = asyncio.get_running_loop().time()
            states: dict[str, int] = {}
            async with VtexInvoiceClient(sandbox.config) as client:
                async for outcome in client.notify_many(jobs):
                    states[outcome.state] = states.get(outcome.state, 0) + 1
            lasted = asyncio.get_running_loop().time() - began
            posts = sum(entry.operation == POSTED for entry in sandbox.oracle.arrived)
            return states, posts, lasted

    states, posts, lasted = run_virtual(main())

    assert sum(states.values()) == 1_000
    # Those that were in flight when it began, and the probes since.
    assert 64 <= states["in_doubt"] == posts <= 64 + 10
    assert states["not_sent"] == 1_000 - states["in_doubt"]
    assert lasted < 20 + 120 + 60


def test_20_an_outage_that_ends_is_waited_out() -> None:
    async def main() -> tuple[set[str], int]:
        # The first sixty requests, reads included, meet a gateway.
        busy = Fault(do=Do.ANSWER, nth=tuple(range(1, 61)), status=503)
        async with Sandbox(orders=200, faults=[busy], latency=0.05) as sandbox:
            jobs = [job_for(order) for order in sandbox.orders]
            async with VtexInvoiceClient(sandbox.config) as client:
                outcomes = [outcome async for outcome in client.notify_many(jobs)]
            lost = [o for o in outcomes if o.state == "in_doubt"]
            applied = sandbox.applied.total()
            assert len(outcomes) == 200
            assert applied + len(lost) == 200
            return {outcome.state for outcome in outcomes}, len(lost)

    states, lost = run_virtual(main())

    assert states == {"confirmed", "in_doubt"}
    # What was on its way before five had failed, and a probe or two.
    assert lost < 30
