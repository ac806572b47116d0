"""What observers are told, and that they can do no harm."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterable, Sequence

import pytest
from attrs.exceptions import FrozenInstanceError

from tests.factories import job_for
from tests.failures import POSTED
from tests.virtual_time import run_virtual
from vtex_invoice_async import VtexInvoiceClient
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.events import (
    CircuitTurned,
    Event,
    LeftInDoubt,
    Observer,
    Observers,
    Resolved,
    Resolving,
    Retrying,
    Sent,
    Settled,
    Throttled,
    log_event,
)
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

THROTTLED = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=429, headers={"Retry-After": "2"})
LOST = Fault(do=Do.CLOSE, on=POSTED, nth=(2,), acted=True)


def heard_of(observe: Observer | Iterable[Observer] | None, faults: Sequence[Fault] = ()) -> None:
    """Send an invoice, with somebody listening."""

    async def main() -> None:
        async with Sandbox(orders=1, faults=faults, latency=0.05) as sandbox:
            async with VtexInvoiceClient(sandbox.config, observe=observe) as client:
                job = job_for(sandbox.orders[0])
                await client.notify_invoice(job.order_id, job.invoice)
            assert sandbox.applied.total() == 1

    run_virtual(main())


def test_each_step_of_a_call_is_told_in_its_order() -> None:
    heard: list[Event] = []

    heard_of(heard.append, [THROTTLED, LOST])

    told = [type(event) for event in heard]
    assert told == [Sent, Throttled, Retrying, Sent, Settled, Sent, Settled, Resolving, Resolved]
    first, cut, again, second, settled, read, _, found, ended = heard
    assert isinstance(first, Sent)
    assert (first.operation, first.attempt, first.status) == ("notify_invoice", 1, 429)
    assert first.seconds == pytest.approx(0.05, abs=0.01)
    assert isinstance(cut, Throttled)
    assert 2 <= cut.closed_for <= 2.2
    assert isinstance(again, Retrying)
    assert (again.attempt, again.error) == (1, "RateLimited")
    assert 2 <= again.wait <= 2.5
    assert isinstance(second, Sent)
    assert (second.attempt, second.status, second.bytes_left) == (2, None, True)
    assert isinstance(settled, Settled)
    assert (settled.attempts, settled.error) == (2, "OutcomeUnknown")
    assert isinstance(read, Sent)
    assert (read.operation, read.status) == ("get_order", 200)
    assert isinstance(found, Resolving)
    assert (found.looks, found.finding) == (1, "present")
    assert isinstance(ended, Resolved)
    assert (ended.operation, ended.finding, ended.looks) == ("notify_invoice", "present", 1)
    assert ended.seconds == pytest.approx(1.05, abs=0.12)


def test_an_outage_is_told_when_it_begins_and_when_it_ends() -> None:
    heard: list[Event] = []
    busy = Fault(do=Do.ANSWER, on=POSTED, nth=(1, 2, 3, 4, 5), status=503)

    async def main() -> None:
        sandbox = Sandbox(orders=6, faults=[busy])
        async with sandbox, VtexInvoiceClient(sandbox.config, observe=heard.append) as client:
            jobs = [job_for(order) for order in sandbox.orders]
            _ = [outcome async for outcome in client.notify_many(jobs, concurrency=1)]

    run_virtual(main())

    turned = [event for event in heard if isinstance(event, CircuitTurned)]
    assert turned == [CircuitTurned(is_open=True), CircuitTurned(is_open=False)]
    assert heard[-1] == LeftInDoubt(doubts=5)


def test_an_observer_that_raises_is_not_told_again_and_the_others_are() -> None:
    calls: list[Event] = []
    heard: list[Event] = []

    def raising(event: Event) -> None:
        calls.append(event)
        raise RuntimeError

    heard_of([raising, heard.append])

    assert [type(event) for event in calls] == [Sent]
    assert [type(event) for event in heard] == [Sent, Settled]


def test_without_observers_nobody_need_make_an_event() -> None:
    assert not Observers(None)
    assert not Observers([])
    assert Observers(print)
    assert Observers(iter([print]))


def test_logging_is_an_observer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vtex_invoice_async")

    heard_of(log_event, [THROTTLED, LOST])

    records = [record for record in caplog.records if record.name == "vtex_invoice_async"]
    levels = {record.message.split()[0]: record.levelname for record in records}
    assert levels == {
        "Sent": "DEBUG",
        "Throttled": "INFO",
        "Retrying": "DEBUG",
        "Settled": "DEBUG",
        "Resolving": "DEBUG",
        "Resolved": "DEBUG",
    }
    assert vars(records[0])["event"]["status"] == 429
    log_event(LeftInDoubt(doubts=3))
    assert (caplog.records[-1].levelname, caplog.records[-1].message) == (
        "WARNING",
        "LeftInDoubt doubts=3",
    )


def test_nothing_is_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vtex_invoice_async")

    heard_of(None, [THROTTLED, LOST])

    assert [record for record in caplog.records if record.name.startswith("vtex")] == []


def test_no_secret_is_in_an_event() -> None:
    heard: list[Event] = []
    echo = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=400, body="bad token")

    async def main() -> str:
        async with Sandbox(orders=1, faults=[echo]) as sandbox:
            async with VtexInvoiceClient(sandbox.config, observe=heard.append) as client:
                job = job_for(sandbox.orders[0])
                with pytest.raises(CallError):
                    await client.notify_invoice(job.order_id, job.invoice)
            return sandbox.app_token

    token = run_virtual(main())

    assert token not in repr(heard)
    assert token.encode() not in pickle.dumps(heard)


def test_events_are_values() -> None:
    event = CircuitTurned(is_open=True)

    assert pickle.loads(pickle.dumps(event)) == event
    with pytest.raises(FrozenInstanceError):
        event.is_open = False  # type: ignore[misc]
