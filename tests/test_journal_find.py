"""What a journal knows of one invoice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.factories import job_for
from tests.journals import HEADER, NOW, STATES, brought_to, make_entry
from vtex_invoice_async import State, VtexInvoiceClient
from vtex_invoice_async.errors import JournalError
from vtex_invoice_async.jobs import Journal, run
from vtex_invoice_async.jobs.memory import MemoryStore
from vtex_invoice_async.jobs.sqlite import SqliteStore
from vtex_invoice_async.sandbox import Sandbox


@pytest.fixture(params=["sqlite", "memory"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    in_memory = request.param == "memory"
    store = MemoryStore() if in_memory else SqliteStore(tmp_path / "journal.db")
    async with Journal(store, HEADER) as opened:
        yield opened


@pytest.mark.parametrize("state", STATES)
async def test_an_invoice_is_found_in_whatever_state_it_is(journal: Journal, state: State) -> None:
    await journal.enter([make_entry(order_id=f"v{n}-01") for n in (1, 2, 3)], 1)
    (second,) = [record async for record in journal.records() if record.order_id == "v2-01"]
    changed = await brought_to(journal, second, state)

    found = await journal.find("v2-01", second.invoice_number)

    assert found == changed
    assert found is not None
    assert found.state is state


async def test_both_names_have_to_be_right(journal: Journal) -> None:
    await journal.enter([make_entry(order_id="v1-01")], 1)
    (record,) = [record async for record in journal.records()]
    number = record.invoice_number

    assert await journal.find("v1-01", number) == record
    for order_id, other in (
        ("v2-01", number),
        ("v1-01", number + "0"),
        ("", ""),
        (number, "v1-01"),
    ):
        assert await journal.find(order_id, other) is None
    # Letter by letter, as VTEX compares.
    assert await journal.find("V1-01", number) is None
    assert await journal.find("v1-01", number.swapcase()) is None
    assert await journal.find("v1-01", f" {number}") is None


async def test_one_finds_out_beside_a_run_and_after_it(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    jobs = [job_for(order) for order in sandbox.orders[:3]]
    async with (
        VtexInvoiceClient(sandbox.config) as client,
        Journal.open(path, client.config) as journal,
    ):
        await run(client, jobs, journal)
        async with Journal.read(path) as beside:
            found = [await beside.find(job.order_id, job.invoice.invoice_number) for job in jobs]

    assert [record and record.state for record in found] == [State.CONFIRMED] * 3
    assert all(record is not None and record.receipt for record in found)


async def test_a_journal_that_is_not_open_finds_nothing(tmp_path: Path) -> None:
    journal = Journal(SqliteStore(tmp_path / "journal.db"), HEADER)
    async with journal:
        await journal.begin("send", {}, NOW)

    with pytest.raises(JournalError):
        await journal.find("v1-01", "NFe1")
