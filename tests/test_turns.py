"""Whose turn it is, seen from outside: closing, deadlines, slow rates, outages, and looks beside sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.failures import POSTED
from tests.virtual_time import START, run_virtual
from vtex_invoice_async import (
    ClientConfig,
    Credentials,
    InvoiceJob,
    RetryPolicy,
    ThrottleLimits,
    Timeouts,
    VtexInvoiceClient,
)
from vtex_invoice_async.errors import (
    CallError,
    ConfigError,
    NotSent,
    OutcomeUnknown,
)
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

NOBODY: Final = ClientConfig(
    account="acme", app_key="K", app_token="T", base_url="http://127.0.0.1:4444"
)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("after", [0.01, 0.6, 1.5, 4])
def test_closing_ends_a_call_that_waits_to_try_again(after: float) -> None:
    patient = evolve(NOBODY, retry=RetryPolicy(first_wait=30), max_concurrency=2)

    async def main() -> None:
        job = job_for(Sandbox(1).orders[0])
        async with VtexInvoiceClient(patient) as client:
            calls = [
                asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
                for _ in range(5)
            ]
            await asyncio.sleep(after)
            closing = now()
            await client.aclose()
            found = await asyncio.gather(*calls, return_exceptions=True)
        assert now() - closing < 0.1
        assert {type(error) for error in found} <= {ConfigError, NotSent}

    run_virtual(main())


def test_closing_ends_a_call_that_waits_for_new_credentials() -> None:
    refused = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=401)

    async def main() -> type[BaseException]:
        async with Sandbox(orders=1, faults=[refused]) as sandbox:
            asked = 0

            async def ask() -> Credentials:
                nonlocal asked
                asked += 1
                await asyncio.sleep(0 if asked == 1 else 5)
                return Credentials(app_key=sandbox.app_key, app_token=sandbox.app_token)

            config = evolve(sandbox.config, app_key=None, app_token=None, credentials=ask)
            client = VtexInvoiceClient(config)
            async with client:
                job = job_for(sandbox.orders[0])
                call = asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
                await asyncio.sleep(1)
            (error,) = await asyncio.gather(call, return_exceptions=True)
            assert isinstance(error, BaseException)
            assert not sandbox.applied
            return type(error)

    assert run_virtual(main()) is ConfigError


@pytest.mark.parametrize("total", [2.0, 5.0, 30.0])
def test_a_timeout_of_the_user_s_own_is_kept_even_if_it_is_ours_too(total: float) -> None:
    hang = Fault(do=Do.HANG, on=POSTED, nth=(1,), acted=True)
    timeouts = Timeouts(connect=total, read=2 * total, total=total)

    async def main() -> float:
        async with Sandbox(orders=1, faults=[hang]) as sandbox:
            config = evolve(sandbox.config, timeouts=timeouts)
            async with VtexInvoiceClient(config) as client:
                job = job_for(sandbox.orders[0])
                began = now()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(total):
                        await client.notify_invoice(job.order_id, job.invoice)
                took = now() - began
                assert len(client.in_doubt()) == 1
        return took

    assert run_virtual(main()) == pytest.approx(total, abs=0.1)


def test_a_slow_rate_of_the_user_s_own_refuses_nobody() -> None:
    async def main() -> set[str]:
        async with Sandbox(orders=100) as sandbox:
            config = evolve(sandbox.config, throttle=ThrottleLimits(rate=0.2))
            async with VtexInvoiceClient(config) as client:
                jobs = [job_for(order) for order in sandbox.orders]
                return {outcome.state async for outcome in client.notify_many(jobs)}

    assert run_virtual(main()) == {"confirmed"}


def test_a_call_whose_turn_comes_after_its_deadline_was_not_sent_and_says_why() -> None:
    async def main() -> Sequence[object]:
        async with Sandbox(orders=9) as sandbox:
            config = evolve(sandbox.config, throttle=ThrottleLimits(rate=0.025))
            async with VtexInvoiceClient(config) as client:
                jobs = [job_for(order) for order in sandbox.orders]
                calls = (client.notify_invoice(job.order_id, job.invoice) for job in jobs)
                found = await asyncio.gather(*calls, return_exceptions=True)
            assert sandbox.applied.total() == 4
            return found

    refused = [error for error in run_virtual(main()) if isinstance(error, CallError)]

    # One at once, and after 40, 80 and 120 seconds.
    assert len(refused) == 5
    assert {type(error) for error in refused} == {NotSent}
    assert "at 0.025 requests a second" in str(refused[0])


def test_no_attempt_begins_after_the_deadline_though_slots_are_scarce() -> None:
    async def main() -> list[float]:
        async with Sandbox(orders=9, latency=4) as sandbox:
            config = evolve(
                sandbox.config, max_concurrency=1, retry=RetryPolicy(deadline=10, resolve_for=0)
            )
            async with VtexInvoiceClient(config) as client:
                jobs = [job_for(order) for order in sandbox.orders]
                calls = (client.notify_invoice(job.order_id, job.invoice) for job in jobs)
                found = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(error, NotSent) for error in found) == 6
            return [(entry.at - START).total_seconds() for entry in sandbox.oracle.arrived]

    assert run_virtual(main()) == pytest.approx([0, 4, 8], abs=0.1)


def test_an_old_outage_refuses_nobody() -> None:
    busy = Fault(do=Do.ANSWER, on=POSTED, nth=(1, 2, 3, 4, 5), status=503)
    brief = RetryPolicy(resolve_for=0)

    async def main() -> set[str]:
        sandbox = Sandbox(orders=60, faults=[busy])
        async with sandbox, VtexInvoiceClient(evolve(sandbox.config, retry=brief)) as client:
            jobs = [job_for(order) for order in sandbox.orders]
            for job in jobs[:5]:
                with pytest.raises(OutcomeUnknown):
                    await client.notify_invoice(job.order_id, job.invoice)
            await asyncio.sleep(7_200)
            return {outcome.state async for outcome in client.notify_many(jobs[5:])}

    assert run_virtual(main()) == {"confirmed"}


def test_looks_at_orders_do_not_queue_behind_what_is_sent() -> None:
    lost = Fault(do=Do.CLOSE, on=POSTED, nth=(2,), acted=True)

    async def main() -> float:
        sandbox = Sandbox(orders=60, faults=[lost])
        slow = ThrottleLimits(rate=1)
        async with (
            sandbox,
            VtexInvoiceClient(evolve(sandbox.config, throttle=slow, max_concurrency=2)) as client,
        ):
            jobs = [job_for(order) for order in sandbox.orders]
            calls = (client.notify_invoice(job.order_id, job.invoice) for job in jobs)
            await asyncio.gather(*calls)
        looked = next(e.at for e in sandbox.oracle.arrived if e.operation == "get_order")
        return (looked - START).total_seconds()

    assert run_virtual(main()) < 5


def test_a_look_finds_a_connection_though_all_others_hang() -> None:
    lost = Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)
    hangs = Fault(do=Do.HANG, on=POSTED, rate=1)

    async def main() -> tuple[str, float]:
        sandbox = Sandbox(orders=9, faults=[lost, hangs])
        # Connections in plenty would hide it.
        few = RetryPolicy(resolve_for=3)
        async with (
            sandbox,
            VtexInvoiceClient(evolve(sandbox.config, max_concurrency=1, retry=few)) as client,
        ):
            first, *others = [job_for(order) for order in sandbox.orders]
            call = asyncio.create_task(client.notify_invoice(first.order_id, first.invoice))
            await asyncio.sleep(0.1)
            waiting = [
                asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
                for job in others
            ]
            receipt = await call
            found = receipt.confirmed_by, now()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return found

    how, found = run_virtual(main())

    assert how == "order"
    assert found < 2


def test_a_503_closes_an_account_for_five_minutes_at_most() -> None:
    busy = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=503, headers={"Retry-After": "99999999"})

    async def main() -> str:
        async with Sandbox(orders=2, faults=[busy]) as sandbox:
            config = evolve(sandbox.config, retry=RetryPolicy(resolve_for=0))
            async with VtexInvoiceClient(config) as client:
                first, second = [job_for(order) for order in sandbox.orders]
                with pytest.raises(OutcomeUnknown):
                    await client.notify_invoice(first.order_id, first.invoice)
                await asyncio.sleep(331)
                return (await client.notify_invoice(second.order_id, second.invoice)).confirmed_by

    assert run_virtual(main()) == "response"


def test_a_doubt_is_as_late_as_the_later_of_two_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Fault(do=Do.CLOSE, on=POSTED, nth=(1,))

    async def main() -> timedelta:
        async with Sandbox(orders=1, faults=[lost]) as sandbox:
            config = evolve(sandbox.config, retry=RetryPolicy(resolve_for=0))
            async with VtexInvoiceClient(config) as client:
                # While a computer sleeps, the loop's clock may stand still.
                wall, loop = client._caller._opened_at
                monkeypatch.setattr(
                    client._caller, "_opened_at", (wall - timedelta(seconds=600), loop)
                )
                job = job_for(sandbox.orders[0])
                with pytest.raises(OutcomeUnknown) as caught:
                    await client.notify_invoice(job.order_id, job.invoice)
                assert caught.value.doubt is not None
                return caught.value.doubt.since - START

    assert run_virtual(main()) >= timedelta(0)


def test_work_that_is_awaited_from_doubts_stays_flat_for_a_slow_reader() -> None:
    busy = Fault(do=Do.CLOSE, on=POSTED, rate=1, acted=True)

    async def main() -> tuple[int, int]:
        async with Sandbox(orders=2_000, faults=[busy]) as sandbox:
            config = evolve(sandbox.config, max_concurrency=4)
            taken = 0

            def jobs() -> Iterator[InvoiceJob]:
                nonlocal taken
                for order in sandbox.orders:
                    taken += 1
                    yield job_for(order)

            async with VtexInvoiceClient(config) as client:
                outcomes = client.notify_many(jobs())
                await anext(outcomes)
                await asyncio.sleep(3_600)
                found = taken, len(asyncio.all_tasks())
                await outcomes.aclose()
        return found

    taken, tasks = run_virtual(main())

    assert taken <= 20
    assert tasks <= 40
