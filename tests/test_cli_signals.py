"""Interrupting `vtex-invoice send`: what is in flight ends, or is counted as being in doubt."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.command_line import (
    STATES,
    TIMEOUT,
    ending,
    environ_of,
    file_of,
    made_up_rows,
    row,
    started,
    until,
)
from tests.raw_faults import hang_after_post
from tests.raw_server import raw_server
from vtex_invoice_async.sandbox import Sandbox


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_a_signal_lets_what_is_in_flight_end_and_sends_no_more(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    async with Sandbox(60, latency=0.2) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        environ = environ_of(sandbox.config)
        options = ("--concurrency", 4, "--json")
        async with started("send", path, *options, environ=environ) as process:
            await until(lambda: sandbox.applied.total() >= 4)
            process.send_signal(number)
            ended = await ending(process)

    counts = ended.summary
    assert ended.code == counts["exit_code"] == code, ended.stderr
    assert counts["planned"] == 60 == sum(counts[state] for state in STATES)
    assert counts["confirmed"] == sandbox.applied.total()
    assert counts["in_doubt"] == 0
    assert counts["not_sent"] > 0
    assert set(sandbox.applied.values()) == {1}
    assert "Interrupted" in ended.stderr


async def test_a_second_signal_leaves_at_once_and_what_is_in_flight_is_in_doubt(
    tmp_path: Path,
) -> None:
    path = file_of(tmp_path, made_up_rows(10))

    async with raw_server(hang_after_post) as server:
        environ = environ_of(server.config())
        options = ("--concurrency", 3, "--json")
        async with started("send", path, *options, environ=environ) as process:
            assert process.stderr is not None
            async with asyncio.timeout(TIMEOUT):
                await server.arrivals(3)
            process.send_signal(signal.SIGTERM)
            while b"Interrupted" not in await process.stderr.readline():
                pass  # what it says before that
            process.send_signal(signal.SIGINT)
            # Far less than the 30 s that draining may take.
            async with asyncio.timeout(5):
                ended = await ending(process)

    counts = ended.summary
    # The first one counts.
    assert ended.code == counts["exit_code"] == 143, ended.stderr
    assert (counts["planned"], counts["in_doubt"], counts["not_sent"]) == (10, 3, 7)
    assert len(server.requests) == 3


async def test_draining_waits_for_answers_that_are_late(tmp_path: Path) -> None:
    path = file_of(tmp_path, made_up_rows(10))

    async with raw_server(hang_after_post) as server:
        environ = environ_of(server.config())
        options = ("--concurrency", 3, "--timeout", 0.3, "--json")
        async with started("send", path, *options, environ=environ) as process:
            async with asyncio.timeout(TIMEOUT):
                await server.arrivals(3)
            process.send_signal(signal.SIGINT)
            ended = await ending(process)

    counts = ended.summary
    assert ended.code == 130, ended.stderr
    assert (counts["planned"], counts["in_doubt"], counts["not_sent"]) == (10, 3, 7)
    assert "no answer" in ended.stderr
