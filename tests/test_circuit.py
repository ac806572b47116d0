"""An outage is met with one probe at a time: the rule alone."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vtex_invoice_async.circuit import Circuit


def fail(circuit: Circuit, times: int, now: float = 0) -> list[bool]:
    return [circuit.see(now, answered=False, probe=False) for _ in range(times)]


def opened(now: float = 0) -> Circuit:
    circuit = Circuit()
    fail(circuit, 5, now)
    return circuit


def test_five_failures_in_a_row_open_it() -> None:
    circuit = Circuit()

    assert fail(circuit, 4) == [False] * 4
    assert not circuit.is_open
    assert fail(circuit, 1) == [True]
    assert circuit.is_open


def test_an_answer_in_between_begins_anew() -> None:
    circuit = Circuit()
    fail(circuit, 4)

    turned = circuit.see(0, answered=True, probe=False)
    fail(circuit, 4)

    assert not turned
    assert not circuit.is_open
    assert circuit.wait(0) == 0


def test_probes_go_after_1_2_4_and_at_most_30_seconds() -> None:
    circuit, now, pauses = opened(), 0.0, []

    for _ in range(8):
        began = now
        while (wait := circuit.wait(now)) > 0:
            now += wait
        pauses.append(now - began)
        circuit.see(now, answered=False, probe=True)

    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_one_probe_at_a_time() -> None:
    circuit = opened()

    assert circuit.wait(1) == 0
    assert circuit.wait(1) > 0
    assert circuit.wait(1_000) > 0
    circuit.release()
    assert circuit.wait(1_000) == 0


def test_what_was_in_flight_when_it_opened_changes_nothing() -> None:
    circuit = opened()

    assert fail(circuit, 60, now=0.5) == [False] * 60
    assert circuit.wait(1) == 0


def test_any_answer_closes_it_and_forgets_the_pauses() -> None:
    circuit = opened()
    assert circuit.wait(1) == 0
    circuit.see(1, answered=False, probe=True)

    assert circuit.see(2, answered=True, probe=False)
    fail(circuit, 5, now=3)

    assert circuit.wait(3) == 1
    assert circuit.wait(4) == 0


def test_after_two_minutes_it_is_over() -> None:
    circuit = opened(now=10)

    assert not circuit.is_over(129.9)
    assert circuit.is_over(130)
    circuit.see(131, answered=True, probe=True)
    assert not circuit.is_over(131)


def test_what_was_in_flight_when_it_opened_lets_no_second_probe_go() -> None:
    circuit = opened()
    assert circuit.wait(1) == 0

    fail(circuit, 60, now=1.5)

    assert circuit.wait(100) > 0


def test_a_probe_of_an_outage_that_a_late_answer_ended_says_nothing_of_the_next() -> None:
    circuit = opened()
    assert circuit.wait(1) == 0
    circuit.see(2, answered=True, probe=False)
    fail(circuit, 5, now=3)

    circuit.see(3.5, answered=False, probe=True)

    assert circuit.wait(3.5) == 0.5
    assert circuit.wait(4) == 0
    assert circuit.wait(4) > 0


def test_it_is_not_over_while_a_probe_may_still_end_it() -> None:
    circuit = opened()

    assert circuit.wait(119) == 0
    told = [circuit.is_over(now) for now in (119, 120, 500)]
    circuit.see(500, answered=False, probe=True)

    assert told == [False] * 3
    assert circuit.is_over(500)


@given(st.lists(st.tuples(st.sampled_from(["ask", "fail", "release"]), st.floats(0, 20))))
def test_while_it_is_open_probes_are_as_rare_as_planned(steps: list[tuple[str, float]]) -> None:
    circuit, now, probing, let_through = opened(), 0.0, False, []

    for step, seconds in steps:
        now += seconds
        if step == "ask" and circuit.wait(now) == 0:
            assert not probing
            probing = True
            let_through.append(now)
        elif step == "fail" and probing:
            circuit.see(now, answered=False, probe=True)
            probing = False
        elif step == "fail":
            fail(circuit, 1, now)
        elif probing:
            # It was not sent, so the next one need not wait.
            circuit.release()
            probing = False
            let_through.pop()

    assert circuit.is_open
    assert all(second - first >= 1 for first, second in pairwise(let_through))
