"""Faults that come to a plan while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from attrs import evolve

from tests.factories import ONCE, job_for
from tests.plain_caller import calling
from vtex_invoice_async import VtexInvoiceClient
from vtex_invoice_async.errors import OutcomeUnknown
from vtex_invoice_async.sandbox import Do, Fault, FaultPlan, Sandbox

CLOSE = Fault(do=Do.CLOSE, on="get_order", nth=(2,))
HANG = Fault(do=Do.HANG, on="get_order", nth=(1,))


def drawn(plan: FaultPlan, requests: int) -> list[Fault | None]:
    return [plan.next("get_order", "v1-01") for _ in range(requests)]


def test_nth_counts_from_when_a_fault_was_added() -> None:
    plan = FaultPlan()
    drawn(plan, 5)

    plan.add(CLOSE)

    assert plan.faults == (CLOSE,)
    assert drawn(plan, 3) == [None, CLOSE, None]


def test_what_is_added_goes_behind_what_is_there_and_leaves_its_count_alone() -> None:
    plan = FaultPlan((CLOSE,))
    drawn(plan, 1)

    plan.add(HANG)

    assert drawn(plan, 2) == [CLOSE, None]


def test_a_rate_that_is_added_draws_as_if_it_had_been_there_from_the_start() -> None:
    faults = [Fault(do=do, rate=0.3) for do in (Do.CLOSE, Do.HANG, Do.RESET)]
    plan = FaultPlan((faults[0],), 7)

    for fault in faults[1:]:
        plan.add(fault)

    assert drawn(plan, 200) == drawn(FaultPlan(tuple(faults), 7), 200)


def test_a_cleared_plan_does_nothing_and_begins_anew() -> None:
    often = Fault(do=Do.CLOSE, rate=0.5)
    plan = FaultPlan((often, CLOSE), 7)
    first = drawn(plan, 50)

    plan.clear()
    cleared = drawn(plan, 50)
    plan.add(often)
    plan.add(CLOSE)

    assert plan.seed == 7
    assert set(cleared) == {None}
    assert drawn(plan, 50) == first


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_threads")
def test_no_fault_is_lost_between_threads_and_each_has_its_own_chance() -> None:
    plan = FaultPlan()
    together = Barrier(2)

    def add() -> None:
        together.wait()
        for _ in range(1_000):
            plan.add(CLOSE)

    with ThreadPoolExecutor(2) as pool:
        for adding in [pool.submit(add) for _ in range(2)]:
            adding.result()

    assert plan.faults == (CLOSE,) * 2_000
    assert len({standing.chance.getstate() for standing in plan.standings}) == 2_000


@pytest.mark.usefixtures("busy_threads")
def test_a_plan_is_cleared_between_two_requests_not_amid_one() -> None:
    plan = FaultPlan()

    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(drawn, plan, 100_000)
        while not drawing.done():
            for _ in range(5):
                plan.add(CLOSE)
            plan.clear()

    assert all(fault in (None, CLOSE) for fault in drawing.result())


async def test_what_is_added_happens_to_the_next_call() -> None:
    with Sandbox(orders=2) as sandbox:
        config = evolve(sandbox.config, retry=ONCE)
        first, second = (job_for(order) for order in sandbox.orders)
        async with VtexInvoiceClient(config) as client:
            await client.notify_invoice(first.order_id, first.invoice)

            sandbox.faults.add(Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,), acted=True))

            with pytest.raises(OutcomeUnknown):
                await client.notify_invoice(second.order_id, second.invoice)
        assert sandbox.applied.total() == 2


async def test_clearing_the_plan_does_not_lift_a_limit() -> None:
    limit = Fault(do=Do.LIMIT, nth=(1,), per_second=0.001)
    async with Sandbox(orders=1, faults=[limit]) as sandbox, calling(sandbox) as caller:
        order_id = sandbox.orders[0].order_id
        await caller.route("order", order_id)

        sandbox.faults.clear()

        # The bucket of twenty that every limit has; one is taken.
        statuses = [(await caller.route("order", order_id)).status for _ in range(20)]
        assert statuses == [200] * 19 + [429]
