"""Jobs as they happen to people: in any order, files change, processes die, time passes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, Final, TypeVar

import pytest
from attrs import evolve
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.factories import make_invoice
from tests.schedules import POSTS, READS
from tests.verdicts import Expected, Witness, key_of
from tests.virtual_time import network, virtual_time
from tests.worlds import CALM, Life, World
from vtex_invoice_async import InvoiceJob, InvoiceType
from vtex_invoice_async.sandbox import Fault, Sandbox
from vtex_invoice_async.sandbox.generated import fitting_order

T = TypeVar("T")

MOST_PROCESSES: Final = 2


class Jobs(RuleBasedStateMachine):
    """A file, a VTEX and a disk, and whatever a person, a machine and a network may do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(virtual_time(at_most=100 * 86_400))
        self.expected = Expected(values={})
        self.sandbox = self.do(self._open())
        self.world = World(self.sandbox, Witness(expected=self.expected), [])

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    async def _open(self) -> Sandbox:
        return await Sandbox(orders=0, duplicates="apply_again").__aenter__()

    @initialize(latency=st.sampled_from([0.002, 0.05]), resend_input=st.booleans())
    def begin(self, latency: float, *, resend_input: bool) -> None:
        self.expected.resend_input = resend_input

        async def slow() -> None:
            network().latency = latency

        self.do(slow())

    @rule(kinds=st.lists(st.sampled_from(["OO", "O", "OI", "I", "OOI"]), min_size=1, max_size=4))
    def add_rows(self, kinds: list[str]) -> None:
        """Some orders have shipped: each letter is an Output or an Input of one order."""
        for kind in kinds:
            order_id = f"{1_000_000 + len(self.sandbox.book)}-01"
            jobs = [
                InvoiceJob(
                    order_id=order_id,
                    invoice=make_invoice(
                        type=InvoiceType.INPUT if letter == "I" else InvoiceType.OUTPUT,
                        invoice_number=f"NFe{place}",
                        invoice_value=1_000,
                    ),
                )
                for place, letter in enumerate(kind)
            ]
            # There is room for corrections.
            room = [evolve(job.invoice, invoice_value=9_999) for job in jobs]
            self.sandbox.book.add(fitting_order(order_id, room))
            self.world.jobs = [*self.world.jobs, *jobs]
            self.expected.values |= {key_of(job): {1_000} for job in jobs}

    @precondition(lambda self: self.world.jobs)
    @rule(place=st.integers(0, 99), value=st.integers(1_001, 9_999))
    def change_a_row(self, place: int, value: int) -> None:
        jobs = list(self.world.jobs)
        job = jobs[place % len(jobs)]
        changed = evolve(job, invoice=evolve(job.invoice, invoice_value=value))
        jobs[place % len(jobs)] = changed
        self.world.jobs = jobs
        self.expected.values[key_of(job)].add(value)

    @precondition(lambda self: len(self.world.processes) < MOST_PROCESSES)
    @rule(
        command=st.sampled_from(["send", "resume"]),
        fails_at_sync=st.sampled_from([0, 0, 0, 0, 3, 10, 30]),
    )
    def start(self, command: str, fails_at_sync: int) -> None:
        """Begin a run, though another one may be at it."""
        if self.world.jobs:

            async def begin() -> None:
                self.world.start(Life(command=command, fails_at_sync=fails_at_sync))

            self.do(begin())

    @precondition(lambda self: self.world.processes)
    @rule()
    def crash(self) -> None:
        self.do(self.world.kill())

    @rule(fault=st.sampled_from([*POSTS, *READS]), nth=st.integers(1, 5))
    def something_goes_wrong(self, fault: Fault, nth: int) -> None:
        self.sandbox.faults.add(evolve(fault, rate=0, nth=(nth,)))

    @rule()
    def revoke_the_credentials(self) -> None:
        self.sandbox._desk._revoked = True

    @rule()
    def give_new_credentials(self) -> None:
        self.sandbox._desk._revoked = False

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.1, 0.5, 1, 5, 20, 100, 500]))
    def time_passes(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))
        self.world.processes = [p for p in self.world.processes if not p.task.done()]

    @invariant()
    def nobody_is_guilty(self) -> None:
        found = self.world.witness.charges
        assert not found, found
        assert all(count == 1 for count in self.sandbox.applied.values())

    def teardown(self) -> None:
        """Let it be calm, and see whether everything ends well."""
        try:
            self.do(self._end_well())
            found = [*self.world.witness.charges, *self.world.witness.judge()]
            assert not found, found
        finally:
            self.do(self.sandbox.__aexit__(None, None, None))
            self.stack.close()

    async def _end_well(self) -> None:
        await self.world.kill()
        self.sandbox._desk._revoked = False
        self.sandbox.faults.clear()
        for _ in range(2):
            await self.world.live(CALM)
            # What the file has in another version by now is none of its business.
            await self.world.live(evolve(CALM, command="resume"))


@pytest.mark.parametrize(
    ("examples", "steps"), [(60, 30), pytest.param(2_000, 50, marks=pytest.mark.campaign)]
)
def test_whatever_happens_nothing_is_lost_or_doubled(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Jobs,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 1_000,
            suppress_health_check=list(HealthCheck),
        ),
    )
