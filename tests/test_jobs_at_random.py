"""Jobs as they happen to people: in any order, files change, processes die, time passes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from contextlib import ExitStack
from typing import Any, Final, TypeVar

import pytest
from attrs import evolve
from hypothesis import HealthCheck, Phase, settings
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
from tests.schedules import POSTS, READS, VEILS
from tests.verdicts import Expected, Witness, key_of
from tests.virtual_time import network, virtual_time
from tests.worlds import CALM, Life, World
from tests.wrong_clients import WRONG_CLIENTS
from vtex_invoice_async import InvoiceJob, InvoiceType, Order, Package
from vtex_invoice_async.sandbox import Fault, Sandbox
from vtex_invoice_async.sandbox.generated import fitting_order

T = TypeVar("T")

MOST_PROCESSES: Final = 2
KINDS: Final = ("O", "OO", "OI", "OOI", "V", "T", "N")
"""Of orders: each O is a sale and each I a return; the others have the number, or nearly, before."""

BEFORE: Final = {
    "V": Package(invoice_number="NFe0", invoice_value=7, type=InvoiceType.OUTPUT),
    "T": Package(invoice_number="NFe0", invoice_value=1_000, type=InvoiceType.INPUT),
    "N": Package(invoice_number="nfe0", invoice_value=1_000, type=InvoiceType.OUTPUT),
}

COMMANDS: Final = st.sampled_from(["send", "resume"])

SOON: Final = ("sends what a crash left open", "sends the whole file again", "sends returns first")
LATER: Final = (
    *("sends again after any 500", "confirms any 2xx", "believes a cached order"),
    "ignores the value on the order",
)
"""Wrong clients that are caught after a few dozen runs."""


class Jobs(RuleBasedStateMachine):
    """A file, a VTEX and a disk, and whatever a person, a machine and a network may do to them."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(virtual_time(at_most=100 * 86_400))
        self.expected = Expected(versions={})
        self.sandbox = self.do(self._open())
        self.world = World(self.sandbox, Witness(expected=self.expected), [])

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(what)

    async def _open(self) -> Sandbox:
        return await Sandbox(orders=0, duplicates="apply_again").__aenter__()

    @initialize(
        latency=st.sampled_from([0.002, 0.02]),
        resend_input=st.booleans(),
        kinds=st.lists(st.sampled_from(KINDS), min_size=4, max_size=12),
    )
    def begin(self, latency: float, kinds: list[str], *, resend_input: bool) -> None:
        self.expected.resend_input = resend_input
        self.add_rows(kinds)

        async def slow() -> None:
            network().latency = latency

        self.do(slow())

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    def add_rows(self, kinds: list[str]) -> None:
        """Some orders have shipped."""
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
            keys = set(map(key_of, jobs))
            self.sandbox.book.add(_order(order_id, kind, jobs))
            self.world.jobs = [*self.world.jobs, *jobs]
            self.expected.versions |= {key_of(job): [job.invoice] for job in jobs}
            self.expected.contested |= keys if kind == "T" else set()
            self.expected.near |= keys if kind in {"V", "N"} else set()

    @rule(place=st.integers(0, 99), value=st.integers(1_001, 9_999))
    def change_a_row(self, place: int, value: int) -> None:
        jobs = list(self.world.jobs)
        job = jobs[place % len(jobs)]
        changed = evolve(job, invoice=evolve(job.invoice, invoice_value=value))
        jobs[place % len(jobs)] = changed
        self.world.jobs = jobs
        self.expected.versions[key_of(job)].append(changed.invoice)

    @precondition(lambda self: len(self.world.processes) < MOST_PROCESSES)
    @rule(command=COMMANDS, fails_at_sync=st.sampled_from([0, 0, 0, 3, 10, 30]))
    def start(self, command: str, fails_at_sync: int) -> None:
        """Begin a run, though another one may be at it."""

        async def begin() -> None:
            self.world.start(Life(command=command, fails_at_sync=fails_at_sync))

        self.do(begin())

    @precondition(lambda self: self.world.processes)
    @rule()
    def crash(self) -> None:
        self.do(self.world.kill())

    @precondition(lambda self: not self.world.processes)
    @rule(command=COMMANDS, after=st.sampled_from([0.03, 0.06, 0.1, 0.2, 0.4, 30]))
    def run_and_crash(self, command: str, after: float) -> None:
        self.do(self.world.live(Life(command=command, killed_after=after)))

    @precondition(lambda self: not self.world.processes)
    @rule(command=COMMANDS)
    def run_to_its_end(self, command: str) -> None:
        self.do(self.world.live(Life(command=command)))

    @rule(fault=st.sampled_from([*POSTS, *READS]), rate=st.sampled_from([0, 0.3, 0.9]))
    def something_goes_wrong(self, fault: Fault, rate: float) -> None:
        """Let it happen once, or often."""
        self.sandbox.faults.add(evolve(fault, rate=rate, nth=() if rate else (1,)))

    @rule(veil=st.sampled_from(VEILS), place=st.integers(0, 99))
    def no_read_shows_an_order(self, veil: Fault, place: int) -> None:
        job = self.world.jobs[place % len(self.world.jobs)]
        self.sandbox.faults.add(evolve(veil, order_id=job.order_id))

    @rule()
    def all_goes_well(self) -> None:
        self.sandbox.faults.clear()

    @rule(revoked=st.booleans())
    def credentials_change(self, *, revoked: bool) -> None:
        self.sandbox._desk._revoked = revoked

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.5, 5, 100, 500]))
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
            found = [*self.world.witness.charges, *self.world.witness.judge(self.sandbox.book)]
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


def _order(order_id: str, kind: str, jobs: list[InvoiceJob]) -> Order:
    # There is room for corrections.
    order = fitting_order(order_id, [evolve(job.invoice, invoice_value=9_999) for job in jobs])
    known = BEFORE.get(kind)
    return order if known is None else evolve(order, value=20_000, packages=(known,))


def play(examples: int, steps: int, *, phases: Collection[Phase] = tuple(Phase)) -> None:
    run_state_machine_as_test(
        Jobs,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 1_000,
            database=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(
    ("examples", "steps"), [(40, 25), pytest.param(2_000, 50, marks=pytest.mark.campaign)]
)
def test_whatever_happens_nothing_is_lost_or_doubled(examples: int, steps: int) -> None:
    play(examples, steps)


@pytest.mark.parametrize(
    "name", [*SOON, *(pytest.param(name, marks=pytest.mark.campaign) for name in LATER)]
)
def test_a_wrong_client_does_not_get_through(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = next(client for client in WRONG_CLIENTS if client.name == name)
    client.make(monkeypatch)

    with pytest.raises(AssertionError):
        play(900, 30, phases=[Phase.generate])
