"""Invoices of one order go one at a time, and a return only after what it returns was invoiced."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

import pytest

from tests.failures import POSTED
from tests.runs import Stage, counts, numbered, orders_of, play
from tests.virtual_time import network
from vtex_invoice_async import InvoiceJob, State
from vtex_invoice_async.jobs import Summary
from vtex_invoice_async.sandbox import Do, Fault

READS_FAIL: Final = Fault(do=Do.ANSWER, on="get_order", nth=tuple(range(2, 500)), status=503)


def refused(*nth: int) -> Fault:
    body = '{"error": {"code": "OMS007", "message": "no", "exception": null}}'
    return Fault(do=Do.ANSWER, on=POSTED, nth=nth, status=400, body=body)


def dropped(*nth: int) -> Fault:
    return Fault(do=Do.CLOSE, on=POSTED, nth=nth)


async def send(stage: Stage, jobs: list[InvoiceJob]) -> tuple[Summary, list[str]]:
    return await stage.send(jobs), stage.sent


def test_outputs_go_before_inputs_and_in_the_order_of_the_file() -> None:
    jobs = numbered("1-01", "R1", "A", "R2", "B")

    summary, sent = play(lambda stage: send(stage, jobs), orders=orders_of(*jobs))

    assert counts(summary) == {"planned": 4, "confirmed": 4}
    assert sent == ["A", "B", "R1", "R2"]


def test_invoices_of_one_order_are_never_in_flight_together() -> None:
    jobs = [
        job for pair in zip(*(numbered(f"{n}-01", "A", "B", "C") for n in range(6)), strict=True)
        for job in pair
    ]  # fmt: skip

    async def act(stage: Stage) -> list[tuple[str, str]]:
        network().latency = 0.01  # else all happens at the same time
        await stage.send(jobs)
        log = [*stage.sandbox.oracle.arrived, *stage.sandbox.oracle.applied]
        return [
            (entry.order_id, entry.invoice_number or "")
            for entry in sorted(log, key=lambda entry: entry.at)
            if entry.operation == POSTED
        ]

    slow = Fault(do=Do.DELAY, on=POSTED, rate=0.5, seconds=2)
    log = play(act, slow, orders=orders_of(*jobs))

    assert len(log) == 36
    for order_id in {order_id for order_id, _ in log}:
        numbers = [number for found, number in log if found == order_id]
        # Each arrives and is applied before the next arrives.
        assert numbers == ["A", "A", "B", "B", "C", "C"]


def test_orders_do_not_wait_for_each_other() -> None:
    jobs = [*numbered("1-01", "A", "B"), *numbered("2-01", "C", "D")]
    slow = Fault(do=Do.DELAY, on=POSTED, nth=(1,), seconds=9)

    _, sent = play(lambda stage: send(stage, jobs), slow, orders=orders_of(*jobs))

    assert sent == ["A", "C", "D", "B"]


def test_a_return_is_held_while_what_it_returns_is_not_confirmed() -> None:
    jobs = numbered("1-01", "A", "R1")

    async def act(stage: Stage) -> list[dict[str, int]]:
        first = await stage.send(jobs)
        resumed = await stage.resume()
        again = await stage.send(jobs)
        return [counts(first), counts(resumed), counts(again), {"sent": len(stage.sent)}]

    first, resumed, again, sent = play(act, refused(1), orders=orders_of(*jobs))

    assert first == {"planned": 2, "rejected": 1, "held": 1, "exit_code": 4}
    assert resumed == {"planned": 1, "held": 1, "exit_code": 4}
    # Sent again, the Output is taken, and the Input follows it.
    assert again == {"planned": 2, "confirmed": 2}
    assert sent == {"sent": 3}


def test_a_return_waits_for_outputs_of_other_files_too() -> None:
    output, return_ = numbered("1-01", "A", "R1")

    async def act(stage: Stage) -> list[dict[str, int]]:
        return [
            counts(await stage.send([output])),
            counts(await stage.send([return_])),
            counts(await stage.send([output])),
            counts(await stage.resume()),
        ]

    found = play(act, refused(1), orders=orders_of(output, return_))

    assert found == [
        {"planned": 1, "rejected": 1, "exit_code": 3},
        {"planned": 1, "held": 1, "exit_code": 4},
        {"planned": 1, "confirmed": 1},
        {"planned": 1, "confirmed": 1},
    ]


def test_a_return_without_an_output_in_the_journal_is_sent() -> None:
    jobs = numbered("1-01", "R1")

    summary, _ = play(lambda stage: send(stage, jobs), orders=orders_of(*jobs))

    assert counts(summary) == {"planned": 1, "confirmed": 1}


def test_what_follows_a_doubt_on_its_order_waits_for_its_end() -> None:
    jobs = [*numbered("1-01", "A", "B", "R1"), *numbered("2-01", "C")]

    summary, sent = play(lambda stage: send(stage, jobs), dropped(1), orders=orders_of(*jobs))

    assert counts(summary) == {"planned": 4, "confirmed": 4}
    assert sent == ["A", "C", "A", "B", "R1"]


def test_what_follows_a_doubt_that_stays_one_is_held() -> None:
    jobs = [*numbered("1-01", "A", "B", "R1"), *numbered("2-01", "C")]

    async def act(stage: Stage) -> tuple[Summary, Counter[State], list[str]]:
        return await stage.send(jobs), await stage.states(), stage.sent

    summary, states, sent = play(act, dropped(1), READS_FAIL, orders=orders_of(*jobs))

    assert counts(summary) == {
        "planned": 4, "confirmed": 1, "in_doubt": 1, "held": 2, "exit_code": 4,
    }  # fmt: skip
    assert states[State.HELD] == 2
    assert sent == ["A", "C"]


def test_a_return_that_never_shows_is_left_to_a_person() -> None:
    jobs = numbered("1-01", "R1")

    async def act(stage: Stage) -> tuple[list[dict[str, int]], int]:
        found = [counts(await stage.send(jobs)), counts(await stage.resume())]
        return found, len(stage.sent)

    found, sent = play(act, dropped(1), orders=orders_of(*jobs))

    assert found == [{"planned": 1, "absent": 1, "exit_code": 4}] * 2
    assert sent == 1


@pytest.mark.parametrize("when", ["at once", "later"])
def test_a_return_that_never_shows_is_sent_again_where_that_is_wanted(when: str) -> None:
    jobs = numbered("1-01", "R1")

    async def act(stage: Stage) -> tuple[Summary, int]:
        summary = await stage.send(jobs, resend_input=when == "at once")
        if when == "later":
            summary = await stage.resume(resend_input=True)
        return summary, stage.sandbox.applied.total()

    summary, applied = play(act, dropped(1), orders=orders_of(*jobs))

    assert counts(summary) == {"planned": 1, "confirmed": 1}
    assert applied == 1


def test_somebody_may_have_invoiced_it_since_it_was_found_to_be_absent() -> None:
    jobs = numbered("1-01", "R1")

    async def act(stage: Stage) -> tuple[Summary, list[str], int]:
        await stage.send(jobs)
        # By hand, in VTEX's admin.
        await stage.client.notify_invoice("1-01", jobs[0].invoice)
        return await stage.resume(resend_input=True), stage.sent, stage.sandbox.applied.total()

    summary, sent, applied = play(act, dropped(1), orders=orders_of(*jobs))

    assert counts(summary) == {"planned": 1, "confirmed": 1}
    assert summary.confirmed_by_order == 1
    assert (len(sent), applied) == (2, 1)


def test_every_return_comes_after_every_output_of_its_order_in_any_weather() -> None:
    jobs = [job for n in range(8) for job in numbered(f"{n}-01", "R1", "A", "B")]
    weather = [
        Fault(do=Do.CLOSE, on=POSTED, rate=0.2),
        Fault(do=Do.CLOSE, on=POSTED, rate=0.2, acted=True),
        Fault(do=Do.ANSWER, on="get_order", rate=0.2, status=503),
    ]

    async def act(stage: Stage) -> list[tuple[str, str]]:
        await stage.send(jobs)
        return [(done.order_id, done.invoice_number or "") for done in stage.sandbox.oracle.applied]

    for seed in range(5):
        applied = play(act, *weather, orders=orders_of(*jobs), seed=seed)
        assert max(Counter(applied).values()) == 1
        for before, after in pairwise(applied):
            assert before != after
        for order_id, number in applied:
            if number == "R1":
                at = applied.index((order_id, number))
                assert {(order_id, "A"), (order_id, "B")} <= set(applied[:at])
