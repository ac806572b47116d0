"""What a report says of a journal, and how it says it as JSON and as Markdown."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.journals import HEADER, NOW, brought_to, make_entries, make_entry, opened
from tests.reports import HOSTILE, MANY, made_by_version_1, make_journal, report_of, samples
from tests.runs import Stage, play
from vtex_invoice_async.cli import main
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.report.as_json import as_json
from vtex_invoice_async.jobs.report.as_markdown import as_markdown
from vtex_invoice_async.jobs.report.facts import Report
from vtex_invoice_async.jobs.report.gather import MOST_ROWS, MOST_RUNS, gather
from vtex_invoice_async.jobs.report.page import page
from vtex_invoice_async.jobs.report.series import MOST_POINTS, Series, moments
from vtex_invoice_async.jobs.report.words import duration, headline, money, share
from vtex_invoice_async.jobs.samples import HAPPENED
from vtex_invoice_async.outcome import State
from vtex_invoice_async.sandbox import Do, Fault

ENVELOPE = '{"error": {"code": "OMS003", "message": "too much", "exception": null}}'


async def gathered(stage: Stage) -> Report:
    async with stage.journal as journal:
        return await gather(journal)


def test_a_report_tells_what_a_run_came_to() -> None:
    refused = Fault(do=Do.ANSWER, on="notify_invoice", nth=(2,), status=400, body=ENVELOPE)
    lost = Fault(do=Do.CLOSE, on="notify_invoice", nth=(3,), acted=True)

    async def act(stage: Stage) -> Report:
        await stage.send()
        return await gathered(stage)

    report = play(act, refused, lost, orders=6)

    assert (report.planned, report.confirmed) == (6, 5)
    assert report.counts == {State.CONFIRMED: 5, State.REJECTED: 1}
    assert report.total is not None
    assert (report.total.attempts, report.total.confirmed_by_order) == (6, 1)
    (reason,) = report.reasons
    assert (reason.state, reason.status, reason.code, reason.count) == (
        *(State.REJECTED, 400, "OMS003", 1),
    )
    (needy,) = report.needy
    (row,) = needy.rows
    assert (row.status, row.code, row.message, row.attempts) == (400, "OMS003", "too much", 1)
    (run,) = report.runs
    assert (run.command, run.exit_code, run.counts["rejected"], run.goes_on) == (
        "send",
        3,
        1,
        False,
    )
    assert headline(report) == "5 of 6 invoices confirmed; 1 needs a look."


async def test_what_needs_a_person_is_told_with_the_most_urgent_first(tmp_path: Path) -> None:
    report = await report_of(await make_journal(tmp_path / "journal.db"))

    order = [State.CONFLICT, State.IN_DOUBT, State.ABSENT, State.HELD, State.REJECTED]
    assert [needy.state for needy in report.needy] == order
    assert [needy.count for needy in report.needy] == [2] * 5
    assert report.counts == dict.fromkeys(MANY, 2)


async def test_of_many_the_first_are_told_and_how_to_get_the_others(tmp_path: Path) -> None:
    count = MOST_ROWS + 7
    path = await make_journal(tmp_path / "journal.db", count, states=[State.REJECTED])

    (needy,) = (await report_of(path)).needy

    assert [row.line for row in needy.rows] == list(range(1, MOST_ROWS + 1))
    assert (needy.count, needy.more) == (count, 7)
    assert needy.export == (
        f"vtex-invoice export --journal {path} --state rejected > rejected.jsonl"
    )


async def test_what_to_do_next_is_what_the_command_line_takes(tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    report = await report_of(await make_journal(folder / "journal.db"))

    commands = [step.command for step in report.steps]
    names = [shlex.split(command)[1] for command in commands]
    assert names == ["export", "resume", "resolve", "export", "send"]
    (folder.parent / "rejected.jsonl").touch()
    for command in commands:
        words = shlex.split(command.partition(" > ")[0])[1:]
        if "rejected.jsonl" in words:
            words[words.index("rejected.jsonl")] = str(folder.parent / "rejected.jsonl")
        name, *arguments = words
        context = main.commands[name].make_context(name, arguments)
        assert context.params["journal"] == str(folder / "journal.db")
        if name != "export":
            assert context.params["account"] == HEADER.account
            assert context.params["base_url"] == "https://acme.example"


async def test_what_is_to_be_pasted_names_the_journal_whatever_it_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "two\nlines \x1b[31m"
    report = await report_of(await make_journal(folder / "journal.db"))

    told = as_markdown(report)

    for step in report.steps:
        assert step.command.isprintable()
        assert "two\\x0alines \\x1b[31m/journal.db" in step.command
        assert f"`{step.command}`" in told


async def test_while_a_run_is_at_work_there_is_nothing_to_do(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db", ends=False)

    at_work, cut = await report_of(path, holder="process 7"), await report_of(path)

    assert not at_work.steps
    assert at_work.runs[0].goes_on
    assert not cut.runs[0].goes_on
    assert "was cut off" in as_markdown(cut)
    assert "goes on" in as_markdown(at_work)


async def test_of_very_many_runs_the_last_are_told_and_the_others_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for _ in range(MOST_RUNS + 3):
        async with opened(path) as journal:
            await journal.begin("resume", {}, NOW)

    report = await report_of(path)

    assert [run.id for run in report.runs] == list(range(MOST_RUNS + 3, 3, -1))
    assert report.earlier_runs == 3
    assert json.loads(as_json(report))["earlier_runs"] == 3
    assert "And 3 earlier runs." in as_markdown(report)


async def test_a_report_of_one_run_is_of_its_file(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db", 8)
    async with opened(path) as journal:
        second = await journal.begin("send", {}, NOW)
        await journal.enter(make_entries(3, first=100), second)
        async for record in journal.records({State.PLANNED}):
            if record.run == second:
                await brought_to(journal, record, State.REJECTED)
        await journal.end({"planned": 3}, NOW)

    first, last = await report_of(path, 1), await report_of(path, 2)

    assert (first.planned, last.planned) == (8, 3)
    assert [run.id for run in first.runs] == [1]
    assert first.total is not None
    assert last.total is None
    (needy,) = last.needy
    assert [row.order_id for row in needy.rows] == ["100-01", "101-01", "102-01"]
    assert {row.order_id for needy in first.needy for row in needy.rows} <= {
        f"{n}-01" for n in range(1, 9)
    }
    with pytest.raises(ConfigError, match=r"has no run 3; it has those from 1 to 2$"):
        await report_of(path, 3)


async def test_a_journal_of_version_1_has_no_samples(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db")
    made_by_version_1(path)

    report = await report_of(path)

    assert report.total is None
    assert json.loads(as_json(report))["totals"] is None
    assert "How it went" not in as_markdown(report)
    assert report.planned == 16


async def test_a_journal_without_invoices_says_so(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db", 0, told=())

    report = await report_of(path)

    assert headline(report) == "No invoices yet."
    assert (report.needy, report.steps, report.reasons) == ((), (), ())
    assert "No invoices yet" in as_markdown(report)


KEYS = {
    *("schema", "journal", "account", "origin", "family", "run", "running", "planned", "states"),
    *("runs", "earlier_runs", "totals", "series", "reasons", "more_reasons", "needy", "next"),
}


async def test_json_has_the_keys_that_programs_rely_on(tmp_path: Path) -> None:
    said: dict[str, Any] = json.loads(
        as_json(await report_of(await make_journal(tmp_path / "journal.db")))
    )

    assert set(said) == KEYS
    assert set(said["totals"]) == {"seconds", *HAPPENED, "p50", "p95", "p99"}
    assert set(said["series"][0]) == {
        *("run", "at", "seconds", *HAPPENED, "in_flight", "in_doubt", "rate", "limit"),
        *("p50", "p95", "p99"),
    }
    assert set(said["needy"][0]) == {"state", "count", "rows", "more", "export"}
    assert set(said["next"][0]) == {"why", "command"}
    assert said["states"]["planned"] == said["states"]["in_doubt"] == 2
    assert len(said["series"]) == 40
    assert said["totals"]["seconds"] == 40


async def test_nothing_in_a_markdown_table_breaks_its_rows(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db", code=HOSTILE, message=HOSTILE)

    told = as_markdown(await report_of(path))

    assert "alert(1)" in told
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", told)
    assert check_tables(told) > 20
    for markup in (r"(?<!\\)<", r"(?<!\\)\[", r"://", r"@you", r"^# h"):
        assert not re.search(markup, re.sub(r"`[^`]*`", "", _without_escapes(told)), re.MULTILINE)


def check_tables(told: str) -> int:
    """Assert that all rows of a table have as many cells; return how many rows there are."""
    count = 0
    for table in told.split("\n\n"):
        if table.startswith("|"):
            cells = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
            assert len(set(cells)) == 1
            count += len(cells)
    return count


def _without_escapes(text: str) -> str:
    return re.sub(r"\\.", "", text)


async def test_names_that_no_client_would_send_are_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        run = await journal.begin(HOSTILE, {"rate": HOSTILE, HOSTILE: 1}, NOW)
        entry = evolve(make_entry(), order_id=HOSTILE, invoice_number=HOSTILE)
        await journal.enter([entry], run)
        async for record in journal.records():
            await brought_to(journal, record, State.CONFLICT)
        await journal.end({HOSTILE: 1, "exit_code": HOSTILE}, NOW)

    report = await report_of(path)

    told = as_markdown(report)
    assert told.count("alert") > 5
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", told + page(report))
    assert "<script" not in page(report)
    check_tables(told)


async def test_hostile_words_stay_words_in_json(tmp_path: Path) -> None:
    path = await make_journal(tmp_path / "journal.db", code=HOSTILE, message=HOSTILE)

    said = json.loads(as_json(await report_of(path)))

    messages = {row["message"] for needy in said["needy"] for row in needy["rows"]} - {None}
    assert len(messages) == 1
    assert "\n" not in messages.pop()


@given(st.integers(1, 400), st.integers(2, 20))
def test_a_series_stays_short_and_loses_nothing(count: int, most: int) -> None:
    series = Series(most)
    told = samples(count)
    for sample in told:
        series.add(sample)

    found = series.found
    assert len(found) <= most
    assert sum(point.confirmed for point in found) == sum(sample.confirmed for sample in told)
    assert found[0].began == told[0].began
    # All but the last are about as long.
    lengths = {point.seconds for point in found[:-1]}
    assert not lengths or max(lengths) <= 2 * min(lengths)


def test_of_each_run_a_point_is_left() -> None:
    series = Series(2)
    for run in range(1, 6):
        for sample in samples(30, run=run):
            series.add(sample)

    assert [point.run for point in series.found] == [1, 2, 3, 4, 5]


def test_what_was_waited_for_is_a_moment_in_which_nothing_happened() -> None:
    told = samples(30)

    found = moments([*told[:3], *told[20:22], *samples(2, run=2)])

    assert [(m.begins, m.ends, m.run, m.sample is None) for m in found] == [
        *((n, n + 1, 1, False) for n in range(3)),
        (3, 20, 1, True),
        *((n, n + 1, 1, False) for n in (20, 21)),
        *((n, n + 1, 2, False) for n in (22, 23)),
    ]
    assert [m.per_second("attempts") for m in found] == [50, 50, 50, 0, 50, 50, 50, 50]


def test_a_month_of_samples_is_a_short_series() -> None:
    series = Series()
    for sample in samples(10_000):
        series.add(sample)

    assert MOST_POINTS / 4 < len(series.found) <= MOST_POINTS


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (share(0, 5), "0%"),
        (share(5, 5), "100%"),
        (share(0, 0), "0%"),
        (share(1, 100_000), "0.1%"),
        (share(99_999, 100_000), "99.9%"),
        (money(0), "0.00"),
        (money(123_456_789), "1,234,567.89"),
        (money(-5), "-0.05"),
        (duration(None), "-"),
        (duration(0.0304), "30 ms"),
        (duration(59.94), "59.9 s"),
        (duration(75), "1 min 15 s"),
        (duration(7_300), "2 h 1 min"),
    ],
)
def test_figures_are_told_as_people_say_them(told: str, expected: str) -> None:
    assert told == expected
