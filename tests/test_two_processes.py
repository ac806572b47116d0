"""Two processes that start on one journal at the same moment: one sends, the other says who does."""

from __future__ import annotations

import asyncio
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

from tests.command_line import TIMEOUT, Ended, ending, file_of, made_up_rows, started
from tests.killed import COMMAND, Oracle, oracle_for

HOST: Final = socket.gethostname()
EACH: Final = 3
"""Invoices that two processes want to send."""


@frozen(kw_only=True)
class Race:
    """How two processes ended that wanted the same journal."""

    winner: int
    """Its process id."""
    won: Ended
    lost: Ended


@pytest.mark.parametrize("times", [5, pytest.param(50, marks=pytest.mark.campaign)])
async def test_one_of_two_processes_sends(times: int, tmp_path: Path) -> None:
    rows = made_up_rows(times * EACH)
    whole = file_of(tmp_path, rows)
    async with oracle_for(whole) as oracle:
        races = []
        for n in range(times):
            part = file_of(tmp_path, rows[n * EACH : (n + 1) * EACH], f"{n}.jsonl")
            if n % 2:
                await leave_a_dead_holder(part, oracle)
            races.append(await race(part, oracle))
        applied = await oracle.applied()

    names = [run for run in races if f"process {run.winner} on {HOST}" in run.lost.stderr]
    assert len(names) == len(races), [run.lost.stderr for run in races if run not in names]
    for run in races:
        assert run.won.code == 0, run
        assert run.won.summary["confirmed"] == EACH
        assert run.lost.code == 75, run
        assert run.lost.summary["confirmed"] == 0
    assert applied == {(str(row["orderId"]), str(row["invoiceNumber"])): 1 for row in rows}


async def leave_a_dead_holder(path: Path, oracle: Oracle) -> None:
    """Let a process be killed that holds the journal: its name stands in the lock after that."""
    line = ("planning", 1, "send", path, "--journal", path.with_suffix(".db"), *COMMAND)
    async with started(*line, environ=oracle.environ, module="tests.killed_child") as process:
        ended = await ending(process)
    assert ended.code == -signal.SIGKILL


async def race(path: Path, oracle: Oracle) -> Race:
    """Let two processes go for a journal; whoever has it waits until the other one has ended."""
    line = ("barrier", 0, "send", path, "--journal", path.with_suffix(".db"), *COMMAND)
    async with AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(
                started(*line, environ=oracle.environ, module="tests.killed_child")
            )
            for _ in range(2)
        ]
        await start(both)
        ends = {asyncio.create_task(process.wait()): process for process in both}
        done, _ = await asyncio.wait(ends, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1, "both hold the journal, or neither does"
        loser = ends[done.pop()]
        (winner,) = (process for process in both if process is not loser)
        lost = await ending(loser)
        won = await ending(winner, b"\n")
    return Race(winner=winner.pid, won=won, lost=lost)


async def start(processes: Sequence[Process]) -> None:
    """Wait until all are ready, and let them go in one moment."""
    for process in processes:
        assert process.stderr is not None
        assert await process.stderr.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
