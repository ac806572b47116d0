"""A run takes each invoice on to where it can be left, whatever VTEX does to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Final

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.failures import POSTED
from tests.runs import Stage, counts, play
from tests.virtual_time import START
from vtex_invoice_async import ClientConfig, InvoiceJob, RetryPolicy, State, VtexInvoiceClient
from vtex_invoice_async.errors import InvalidInvoice, JournalMismatch
from vtex_invoice_async.jobs import Summary, resolve, resume, run
from vtex_invoice_async.jobs.events import Moved, Stopped
from vtex_invoice_async.jobs.runner import Runner
from vtex_invoice_async.sandbox import Do, Fault, Role

LOST: Final = Fault(do=Do.CLOSE, on=POSTED, nth=(1,), acted=True)
DROPPED: Final = Fault(do=Do.CLOSE, on=POSTED, nth=(1,))
READS_FAIL: Final = Fault(do=Do.ANSWER, on="get_order", rate=1, status=503)


def test_each_invoice_is_sent_once_and_known_afterwards() -> None:
    async def act(stage: Stage) -> tuple[Summary, Summary, list[str]]:
        return await stage.send(), await stage.send(), stage.sent

    first, again, sent = play(act)

    assert counts(first) == {"planned": 3, "confirmed": 3}
    assert counts(again) == {"planned": 3, "confirmed": 3}
    assert (first.already_confirmed, again.already_confirmed) == (0, 3)
    assert len(sent) == 3


def test_a_program_needs_no_command_line() -> None:
    async def act(stage: Stage) -> tuple[Summary, Summary, Summary]:
        async with stage.journal as journal:
            return (
                await run(stage.client, iter(stage.jobs), journal),
                await resume(stage.client, journal),
                await resolve(stage.client, journal),
            )

    sent, resumed, resolved = play(act)

    assert counts(sent) == {"planned": 3, "confirmed": 3}
    assert counts(resumed) == counts(resolved) == {}


def test_jobs_that_contradict_each_other_are_refused_before_any_is_sent() -> None:
    async def act(stage: Stage) -> tuple[int, Counter[State]]:
        first, *_ = stage.jobs
        contrary = evolve(first, invoice=evolve(first.invoice, courier="carrierTwo"))
        async with stage.journal as journal:
            with pytest.raises(InvalidInvoice, match="other contents"):
                await run(stage.client, [*stage.jobs, contrary], journal)
        return len(stage.sent), await stage.states()

    assert play(act) == (0, Counter())


def test_a_journal_of_another_account_is_refused() -> None:
    async def act(stage: Stage) -> None:
        other = evolve(stage.client.config, account="other")
        async with stage.journal as journal, VtexInvoiceClient(other) as client:
            with pytest.raises(JournalMismatch, match="not for other at"):
                await run(client, stage.jobs, journal)

    play(act)


def test_an_answer_that_was_lost_is_found_while_others_are_sent() -> None:
    async def act(stage: Stage) -> tuple[Summary, list[State]]:
        summary = await stage.send()
        return summary, [e.record.state for e in stage.events if isinstance(e, Moved)]

    summary, moves = play(act, LOST, orders=20)

    assert counts(summary) == {"planned": 20, "confirmed": 20}
    assert summary.confirmed_by_order == 1
    # The doubt neither was the last to end nor held the others up.
    assert moves[0] is State.IN_DOUBT
    assert moves.count(State.CONFIRMED) == 20


def test_an_output_that_never_shows_is_sent_again_at_the_end_and_only_then() -> None:
    async def act(stage: Stage) -> tuple[Summary, list[str], timedelta]:
        summary = await stage.send()
        arrived = [a.at for a in stage.sandbox.oracle.arrived if a.operation == POSTED]
        return summary, stage.sent, arrived[-1] - arrived[0]

    summary, sent, waited = play(act, DROPPED, orders=4)

    assert counts(summary) == {"planned": 4, "confirmed": 4}
    assert Counter(sent)[sent[0]] == 2
    assert sent[-1] == sent[0]
    assert waited >= timedelta(seconds=300)


def test_an_output_is_sent_again_just_once() -> None:
    async def act(stage: Stage) -> list[dict[str, int]]:
        return [
            counts(await go()) for go in (stage.send, stage.resume, stage.send, stage.resolve)
        ] + [{"sent": len(stage.sent)}]

    dropped = Fault(do=Do.CLOSE, on=POSTED, nth=(1, 2, 3))
    *found, sent = play(act, dropped, orders=1)

    assert found == [{"planned": 1, "absent": 1, "exit_code": 4}] * 4
    assert sent == {"sent": 2}


def test_a_refusal_of_what_is_sent_again_settles_nothing() -> None:
    # VTEX may refuse the second because it has taken the first after all.
    late = Fault(do=Do.LATE, on=POSTED, nth=(1,), seconds=350)
    refused = Fault(do=Do.ANSWER, on=POSTED, nth=(2,), status=400, body='{"error": {"code": "1"}}')

    async def act(stage: Stage) -> tuple[Summary, int]:
        return await stage.send(), len(stage.sent)

    summary, sent = play(act, late, refused, orders=1)

    assert counts(summary) == {"planned": 1, "confirmed": 1}
    assert summary.confirmed_by_order == 1
    assert sent == 2


def test_a_refusal_of_who_sends_it_again_leaves_it_absent_for_the_next_run() -> None:
    revoked = Fault(do=Do.ANSWER, on=POSTED, nth=(2,), status=403, body="")

    async def act(stage: Stage) -> tuple[Summary, Summary]:
        return await stage.send(), await stage.resume()

    first, second = play(act, DROPPED, revoked, orders=1)

    assert counts(first) == {"planned": 1, "absent": 1, "exit_code": 77}
    assert counts(second) == {"planned": 1, "confirmed": 1}


def test_a_refusal_stands_where_neither_is_there_in_the_end() -> None:
    refused = Fault(do=Do.ANSWER, on=POSTED, nth=(2,), status=400, body='{"error": {"code": "1"}}')

    async def act(stage: Stage) -> tuple[Summary, Summary, list[tuple[int | None, str | None]]]:
        first = await stage.send()
        async with stage.journal as journal:
            said = [(record.status, record.code) async for record in journal.records()]
        return first, await stage.send(), said

    first, again, said = play(act, DROPPED, refused, orders=1)

    assert counts(first) == {"planned": 1, "rejected": 1, "exit_code": 3}
    assert said == [(400, "1")]
    # Corrected or not, it may be sent again.
    assert counts(again) == {"planned": 1, "confirmed": 1}


def test_what_is_throttled_when_sent_again_stays_absent_and_may_be_sent_later() -> None:
    throttled = Fault(
        do=Do.ANSWER, on=POSTED, nth=(2,), status=429, headers={"Retry-After": "9999"}
    )

    async def act(stage: Stage) -> tuple[Summary, Summary]:
        first = await stage.send()
        await asyncio.sleep(20_000)
        return first, await stage.resume()

    first, second = play(act, DROPPED, throttled, orders=1)

    assert counts(first) == {"planned": 1, "absent": 1, "exit_code": 4}
    assert counts(second) == {"planned": 1, "confirmed": 1}


def test_what_cannot_be_read_stays_in_doubt_and_is_never_sent_again() -> None:
    once_readable = Fault(do=Do.ANSWER, on="get_order", nth=tuple(range(2, 200)), status=503)

    async def act(stage: Stage) -> tuple[Summary, Summary, int]:
        return await stage.send(), await stage.resume(), len(stage.sent)

    first, second, sent = play(act, DROPPED, once_readable, orders=1)

    assert counts(first) == {"planned": 1, "in_doubt": 1, "exit_code": 4}
    assert counts(second)["planned"] == 1
    assert "confirmed" not in counts(second)
    assert sent == 1


def test_resolving_reads_and_sends_nothing() -> None:
    async def act(stage: Stage) -> tuple[Summary, Summary, Summary, int]:
        first = await stage.send()
        shown = await stage.resolve()
        return first, shown, await stage.resolve(), len(stage.sent)

    unreadable = Fault(do=Do.ANSWER, on="get_order", nth=tuple(range(2, 30)), status=503)
    retry = RetryPolicy(settle_window=2, resolve_for=1)
    first, shown, nothing, sent = play(act, LOST, unreadable, orders=2, retry=retry)

    assert counts(first) == {"planned": 2, "confirmed": 1, "in_doubt": 1, "exit_code": 4}
    assert shown.planned == 1
    assert nothing.planned in {0, 1}
    assert sent == 2


@pytest.mark.parametrize("roles", [(), (Role.NOTIFY_INVOICE,)])
def test_nothing_is_sent_by_who_may_not_read(roles: tuple[Role, ...]) -> None:
    async def act(stage: Stage) -> tuple[Summary, int]:
        return await stage.send(), len(stage.sent)

    summary, sent = play(act, roles=roles)

    assert counts(summary) == {"planned": 3, "not_sent": 3, "exit_code": 77}
    assert sent == 0


def test_a_refusal_of_who_asks_ends_the_run() -> None:
    async def act(stage: Stage) -> tuple[Summary, int]:
        return await stage.send(), len(stage.sent)

    revoked = Fault(do=Do.REVOKE, on=POSTED, nth=(5,))
    summary, sent = play(act, revoked, orders=60, concurrency=4)

    # Nothing is wrong with what was refused: it is sent with other credentials.
    assert counts(summary) == {"planned": 60, "confirmed": 4, "not_sent": 56, "exit_code": 77}
    assert sent <= 8


def test_twenty_unknown_orders_in_a_row_are_likely_those_of_another_account() -> None:
    async def act(stage: Stage) -> tuple[Summary, str]:
        strangers = [
            InvoiceJob(order_id=f"nope-{n}", invoice=job_for(stage.sandbox.orders[0]).invoice)
            for n in range(60)
        ]
        summary = await stage.send(strangers)
        (stopped,) = (event for event in stage.events if isinstance(event, Stopped))
        return summary, stopped.reason

    summary, reason = play(act, concurrency=2)

    assert 20 <= summary.rejected <= 22
    assert (summary.not_sent, summary.exit_code) == (60 - summary.rejected, 75)
    assert "right account" in reason


def test_a_pause_that_is_too_long_ends_the_sending_and_not_the_search() -> None:
    long = {"Retry-After": "301"}
    throttled = Fault(do=Do.ANSWER, on=POSTED, nth=(3,), status=429, headers=long)

    async def act(stage: Stage) -> Summary:
        return await stage.send()

    summary = play(act, LOST, throttled, orders=9, concurrency=1)

    assert counts(summary) == {"planned": 9, "confirmed": 2, "not_sent": 7, "exit_code": 75}
    assert summary.confirmed_by_order == 1


def test_an_account_that_never_answers_is_told() -> None:
    async def act(stage: Stage) -> tuple[Summary, int]:
        return await stage.send(), len(stage.sent)

    silent = Fault(do=Do.CLOSE, rate=1)
    summary, sent = play(act, silent)

    assert counts(summary) == {"planned": 3, "not_sent": 3, "exit_code": 69}
    assert sent == 0


def test_an_outage_ends_the_run_and_leaves_what_was_not_begun() -> None:
    async def act(stage: Stage) -> tuple[Summary, Counter[State]]:
        return await stage.send(), await stage.states()

    down = Fault(do=Do.ANSWER, on=POSTED, rate=1, status=503)
    summary, states = play(act, down, orders=40, concurrency=2)

    assert summary.exit_code == 4
    assert summary.in_doubt + summary.not_sent == 40
    assert states[State.PLANNED] == summary.not_sent > 20


def test_an_unforeseen_error_ends_the_run_with_true_counts() -> None:
    async def act(stage: Stage) -> tuple[Summary, Counter[State], Exception | None]:
        def fail(event: object) -> None:
            if isinstance(event, Moved) and len(stage.sandbox.oracle.applied) > 3:
                raise ZeroDivisionError

        summary = await stage.send(watch=fail)
        assert stage.runner is not None
        return summary, await stage.states(), stage.runner.failure

    summary, states, failure = play(act, orders=20, concurrency=2)

    assert isinstance(failure, ZeroDivisionError)
    assert summary.exit_code == 70
    assert summary.confirmed == states[State.CONFIRMED] >= 4
    assert summary.not_sent == states[State.PLANNED]
    assert states.total() == 20


def test_an_unforeseen_error_does_not_wait_for_what_is_in_doubt() -> None:
    async def act(stage: Stage) -> tuple[Summary, float]:
        def fail(event: object) -> None:
            if isinstance(event, Moved) and event.record.state is State.CONFIRMED:
                raise ZeroDivisionError

        summary = await stage.send(watch=fail)
        return summary, asyncio.get_running_loop().time()

    summary, took = play(act, DROPPED, orders=2, concurrency=1)

    assert counts(summary) == {"planned": 2, "confirmed": 1, "in_doubt": 1, "exit_code": 70}
    assert took < 1


def test_a_run_is_recorded_from_its_start_to_its_end() -> None:
    async def act(stage: Stage) -> None:
        await stage.send()
        async with stage.journal as journal:
            (found,) = await journal.runs(5)
        assert (found.command, found.started_at[:16]) == ("send", START.isoformat()[:16])
        assert found.ended_at is not None
        assert found.counts is not None
        assert found.counts["confirmed"] == 3

    play(act)


def test_an_invoice_that_another_file_had_with_other_contents_is_refused() -> None:
    async def act(stage: Stage) -> tuple[Summary, int]:
        await stage.send()
        first, second, third = stage.jobs
        changed = evolve(first, invoice=evolve(first.invoice, courier="carrierTwo"))
        return await stage.send([changed, second, third]), len(stage.sent)

    summary, sent = play(act)

    assert counts(summary) == {"planned": 3, "confirmed": 2, "conflict": 1, "exit_code": 4}
    assert summary.already_confirmed == 2
    assert sent == 3


def test_a_file_may_hold_a_part_of_what_the_journal_holds() -> None:
    async def act(stage: Stage) -> tuple[Summary, Counter[State]]:
        first, second, third = stage.jobs
        await stage.send([first])
        return await stage.send([third, second]), await stage.states()

    summary, states = play(act)

    assert counts(summary) == {"planned": 2, "confirmed": 2}
    assert states == {State.CONFIRMED: 3}


def test_a_client_of_another_host_cannot_run_over_a_journal() -> None:
    async def act(stage: Stage) -> None:
        config: ClientConfig = evolve(stage.client.config, base_url="http://127.0.0.1:9")
        async with stage.journal as journal, VtexInvoiceClient(config) as client:
            with pytest.raises(JournalMismatch):
                Runner(client, journal)

    play(act)
