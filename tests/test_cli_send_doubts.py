"""`vtex-invoice send` where VTEX's answers are lost, late or slow: what was done is found out."""

from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

from tests.command_line import ending, environ_of, file_of, row, run, started, until
from tests.test_cli_send import assert_counts
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox


def file_for(sandbox: Sandbox, folder: Path) -> Path:
    return file_of(folder, [row(order) for order in sandbox.orders])


def sent(sandbox: Sandbox) -> int:
    """How many invoices have arrived, with or without an effect."""
    return sum(a.operation == "notify_invoice" for a in sandbox.oracle.arrived)


def read(sandbox: Sandbox) -> int:
    return sum(a.operation == "get_order" for a in sandbox.oracle.arrived)


async def test_an_invoice_whose_answer_was_lost_is_confirmed_by_its_order(tmp_path: Path) -> None:
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(2, 4), acted=True)
    async with Sandbox(5, faults=[lost]) as sandbox:
        ended = await run(
            "send", file_for(sandbox, tmp_path), "--json", environ=environ_of(sandbox.config)
        )

    assert_counts(ended, 0, planned=5, confirmed=5, confirmed_by_order=2)
    assert list(sandbox.applied.values()) == [1] * 5


async def test_an_output_that_never_shows_is_sent_once_more(tmp_path: Path) -> None:
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(2,))
    async with Sandbox(3, faults=[lost]) as sandbox:
        path, environ = file_for(sandbox, tmp_path), environ_of(sandbox.config)
        ended = await run("send", path, "--json", "--settle-window", 0.5, environ=environ)

    assert_counts(ended, 0, planned=3, confirmed=3)
    assert list(sandbox.applied.values()) == [1] * 3
    assert sent(sandbox) == 4


async def test_an_output_is_sent_twice_at_most_however_often_the_run_goes_on(
    tmp_path: Path,
) -> None:
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1, 2, 3))
    async with Sandbox(1, faults=[lost]) as sandbox:
        path, environ = file_for(sandbox, tmp_path), environ_of(sandbox.config)
        options = ("--json", "--settle-window", 0.5, "--journal", tmp_path / "journal.db")
        ended = [
            await run("send", path, *options, environ=environ),
            await run("resume", *options, environ=environ),
            await run("send", path, *options, environ=environ),
        ]

    for found in ended:
        assert_counts(found, 4, planned=1, absent=1)
    assert sent(sandbox) == 2
    assert not sandbox.applied


async def test_a_signal_ends_the_search_for_what_is_in_doubt(tmp_path: Path) -> None:
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,))
    async with Sandbox(1, faults=[lost]) as sandbox:
        path, environ = file_for(sandbox, tmp_path), environ_of(sandbox.config)
        async with started("send", path, "--json", environ=environ) as process:
            # The first read, before anything is sent, only shows that orders can be read.
            await until(lambda: read(sandbox) > 1)
            process.send_signal(signal.SIGINT)
            ended = await ending(process)

    assert_counts(ended, 130, planned=1, in_doubt=1)
    # The search would have gone on for twenty seconds.
    assert ended.summary["elapsed_s"] < 10


async def test_a_rate_that_is_given_is_kept(tmp_path: Path) -> None:
    async with Sandbox(8) as sandbox:
        path, environ = file_for(sandbox, tmp_path), environ_of(sandbox.config)
        ended = await run("send", path, "--json", "--rate", 20, environ=environ)

    assert_counts(ended, 0, planned=8, confirmed=8)
    arrived = [arrival.at.timestamp() for arrival in sandbox.oracle.arrived]
    # Each leaves on its slot; how long it travels may differ a little.
    assert arrived[-1] - arrived[0] > 0.9 * 7 / 20
    assert all(second > first for first, second in pairwise(arrived))


async def test_a_limit_is_met_and_kept_without_losing_an_invoice(tmp_path: Path) -> None:
    async with Sandbox(60, limit=Limit(per_second=40, burst=10)) as sandbox:
        path, environ = file_for(sandbox, tmp_path), environ_of(sandbox.config)
        ended = await run("send", path, "--json", environ=environ)

    assert_counts(ended, 0, planned=60, confirmed=60)
    assert set(sandbox.applied.values()) == {1}
