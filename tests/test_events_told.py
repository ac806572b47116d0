"""Every kind of event in one run, with what it says; and no event at all where nobody listens."""

from __future__ import annotations

import logging
import pickle
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final, get_args

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError

from tests.factories import job_for
from tests.failures import POSTED
from tests.virtual_time import run_virtual
from vtex_invoice_async import Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, OutcomeUnknown
from vtex_invoice_async.events import (
    CircuitTurned,
    Event,
    LeftInDoubt,
    Observer,
    Resolving,
    Retrying,
    Sent,
    Settled,
    Throttled,
    log_event,
)
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

KINDS: Final[tuple[type[Event], ...]] = get_args(Event)

# One after the other: throttled, confirmed; applied and lost; four that break; then one lost for good.
FAULTS: Final = (
    Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=429, headers={"Retry-After": "2"}),
    Fault(do=Do.CLOSE, on=POSTED, nth=(3,), acted=True),
    Fault(do=Do.ANSWER, on=POSTED, nth=(4, 5, 6), status=503),
    Fault(do=Do.HANG, on=POSTED, nth=(7,)),
)


def everything_that_happens(
    observe: Observer | Iterable[Observer] | None,
) -> tuple[list[str], list[str]]:
    """Play a run in which all of it happens; return the order ids, in their order, and the secrets."""

    async def main() -> tuple[list[str], list[str]]:
        async with Sandbox(orders=8, faults=FAULTS, latency=0.05) as sandbox:
            config = attrs.evolve(sandbox.config, timeouts=Timeouts(read=7))
            async with VtexInvoiceClient(config, observe=observe) as opened:
                for order in sandbox.orders[:7]:
                    job = job_for(order)
                    with suppress(OutcomeUnknown):
                        await opened.notify_invoice(job.order_id, job.invoice)
                assert len(opened.in_doubt()) == 4
            ids = [order.order_id for order in sandbox.orders]
            return ids, [sandbox.app_key, sandbox.app_token]

    return run_virtual(main())


def test_every_kind_is_told_with_what_belongs_to_it() -> None:
    heard: list[Event] = []

    ids, _ = everything_that_happens(heard.append)

    assert {type(event) for event in heard} == set(KINDS)
    posts = [event for event in heard if isinstance(event, Sent) and event.operation == POSTED]
    assert [(post.order_id, post.attempt, post.status) for post in posts] == [
        (ids[0], 1, 429),
        (ids[0], 2, 200),
        (ids[1], 1, None),
        (ids[2], 1, 503),
        (ids[3], 1, 503),
        (ids[4], 1, 503),
        (ids[5], 1, None),
        (ids[6], 1, 200),
    ]
    assert all(post.bytes_left for post in posts)
    assert [round(post.seconds, 2) for post in posts] == [0.05] * 6 + [7, 0.05]
    (retrying,) = (event for event in heard if isinstance(event, Retrying))
    assert (retrying.operation, retrying.order_id, retrying.attempt) == (POSTED, ids[0], 1)
    assert (retrying.error, 2 <= retrying.wait <= 2.5) == ("RateLimited", True)
    (throttled,) = (event for event in heard if isinstance(event, Throttled))
    assert 2 <= throttled.closed_for <= 2.2
    assert 0 < throttled.rate <= 100
    assert [event for event in heard if isinstance(event, CircuitTurned)] == [
        CircuitTurned(is_open=True),
        CircuitTurned(is_open=False),
    ]
    settled = [event for event in heard if isinstance(event, Settled) and event.operation == POSTED]
    assert [event.order_id for event in settled] == ids[:7]
    assert [event.attempts for event in settled] == [2, 1, 1, 1, 1, 1, 1]
    assert [event.error for event in settled] == [None, *["OutcomeUnknown"] * 5, None]
    looks = [event for event in heard if isinstance(event, Resolving)]
    assert [(look.looks, look.finding) for look in looks if look.order_id == ids[1]] == [
        (1, "present")
    ]
    assert [(look.looks, look.finding) for look in looks if look.order_id == ids[2]] == [
        (number, "absent") for number in (1, 2, 3, 4)
    ]
    assert heard[-1] == LeftInDoubt(doubts=4)


def test_an_attempt_that_did_not_leave_says_so() -> None:
    heard: list[Event] = []

    async def main() -> None:
        async with Sandbox(orders=1) as sandbox:
            config = attrs.evolve(sandbox.config, base_url="http://127.0.0.1:9")
            async with VtexInvoiceClient(config, observe=heard.append) as opened:
                job = job_for(sandbox.orders[0])
                with pytest.raises(CallError):
                    await opened.notify_invoice(job.order_id, job.invoice)

    run_virtual(main())

    sent = [event for event in heard if isinstance(event, Sent)]
    assert {(event.status, event.bytes_left) for event in sent} == {(None, False)}
    assert [event.attempt for event in sent] == list(range(1, len(sent) + 1))
    (settled,) = (event for event in heard if isinstance(event, Settled))
    assert (settled.attempts, settled.error) == (len(sent), "NotSent")
    retrying = [event for event in heard if isinstance(event, Retrying)]
    assert [event.attempt for event in retrying] == [event.attempt for event in sent[:-1]]


def test_several_observers_hear_the_same_in_the_same_order_whoever_of_them_raises() -> None:
    first: list[Event] = []
    second: list[Event] = []
    tries: dict[str, int] = {"at once": 0, "later": 0}

    def raises_at_once(event: Event) -> None:
        tries["at once"] += 1
        raise RuntimeError("hunter2")

    def raises_later(event: Event) -> None:
        tries["later"] += 1
        if tries["later"] == 3:
            raise KeyError("hunter2")

    ids, _ = everything_that_happens(
        iter([first.append, raises_at_once, raises_later, second.append])
    )

    assert first == second
    assert tries == {"at once": 1, "later": 3}
    assert next(e.order_id for e in first if isinstance(e, Settled)) == ids[0]


def test_an_observer_that_raises_is_told_of_once_and_its_words_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raising(event: Event) -> None:
        raise RuntimeError("hunter2")

    everything_that_happens([raising, raising])

    assert [record.message for record in caplog.records if record.name == "vtex_invoice_async"] == [
        "an observer raised RuntimeError and is not told again"
    ] * 2
    assert "hunter2" not in caplog.text


def refuse(**fields: Any) -> None:
    pytest.fail(f"an event was made for nobody: {fields}")


@pytest.mark.parametrize("observe", [None, (), iter(())])
def test_no_event_is_made_where_nobody_listens(
    observe: Iterable[Observer] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, module in sys.modules.items():
        if name.startswith("vtex_invoice_async.") and name != "vtex_invoice_async.events":
            for kind in KINDS:
                if hasattr(module, kind.__name__):
                    monkeypatch.setattr(module, kind.__name__, refuse)

    everything_that_happens(observe)


def test_an_iterable_of_observers_is_asked_once() -> None:
    asked = 0

    def observers() -> Iterable[Observer]:
        nonlocal asked
        asked += 1
        return [heard.append]

    heard: list[Event] = []

    class Listeners:
        def __iter__(self) -> Any:
            return iter(observers())

    everything_that_happens(Listeners())

    assert asked == 1
    assert {type(event) for event in heard} == set(KINDS)


def test_each_is_logged_at_its_level_with_its_fields_and_without_a_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "vtex_invoice_async")
    heard: list[Event] = []

    _, secrets = everything_that_happens([heard.append, log_event])

    records = [record for record in caplog.records if record.name == "vtex_invoice_async"]
    levels = {Throttled: "INFO", CircuitTurned: "WARNING", LeftInDoubt: "WARNING"}
    assert [record.levelname for record in records] == [
        levels.get(type(event), "DEBUG") for event in heard
    ]
    assert [vars(record)["event"] for record in records] == [attrs.asdict(each) for each in heard]
    for event, record in zip(heard, records, strict=True):
        assert record.message.startswith(type(event).__name__ + " ")
    everything = "".join(str(vars(record)) for record in records)
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in everything]


def test_nothing_is_worked_out_for_a_logger_that_does_not_want_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "vtex_invoice_async")

    everything_that_happens(log_event)

    assert [record.message for record in caplog.records] == [
        "CircuitTurned is_open=True",
        "CircuitTurned is_open=False",
        "LeftInDoubt doubts=4",
    ]


def test_all_are_values_that_can_be_kept_and_sent_but_not_changed() -> None:
    heard: list[Event] = []

    everything_that_happens(heard.append)

    assert pickle.loads(pickle.dumps(heard)) == heard
    for event in {type(each): each for each in heard}.values():
        name = attrs.fields(type(event))[0].name
        assert hash(event) == hash(attrs.evolve(event))
        with pytest.raises(FrozenInstanceError):
            setattr(event, name, None)
