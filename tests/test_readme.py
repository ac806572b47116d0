"""Every block of Python and JSON in the README does what it says."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from pathlib import Path

import orjson
import pytest
from attrs import evolve

from tests.factories import job_for
from tests.json_lines import read_json_lines
from tests.readme import README, block_with, blocks, names_of
from tests.table_files import read as read_table
from vtex_invoice_async import OrdersApi, VtexInvoiceClient
from vtex_invoice_async import sandbox as sandbox_package
from vtex_invoice_async.jobs.rows import Row
from vtex_invoice_async.preflight import RULES
from vtex_invoice_async.sandbox import Sandbox, read_plan
from vtex_invoice_async.sandbox.generated import fitting_order

pytest_plugins = ["pytester"]


def test_every_python_block_is_tested_here() -> None:
    assert len(blocks("python")) == 13


async def test_the_awaited_call() -> None:
    (row,) = rows_of_the_readme()
    async with Sandbox([fitting_order(row.job.order_id, [row.job.invoice])]) as sandbox:
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            block_with("asyncio.run(main())"),
            env=os.environ | dict(sandbox.environ),
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await asyncio.wait_for(running.communicate(), 60)

    assert running.returncode == 0
    assert re.fullmatch(rb"[0-9a-f]{32} 20.*\+00:00\n", said)
    assert sandbox.applied == {("1172452900788-01", "DFG1"): 1}


async def test_the_errors(sandbox: Sandbox, client: VtexInvoiceClient) -> None:
    say = names_of(block_with("invoice_and_say"))["invoice_and_say"]
    job = job_for(sandbox.orders[0])

    assert (await say(client, job.order_id, job.invoice)).startswith("recorded as ")
    assert (await say(client, "nobody-01", job.invoice)).startswith("correct it: ")


@pytest.mark.parametrize("orders_api", OrdersApi)
async def test_an_invoice_of_a_part(sandbox: Sandbox, orders_api: OrdersApi) -> None:
    ship = names_of(block_with("invoice_items"))["ship"]
    order = next(order for order in sandbox.orders if len(order.items) > 1)

    async with VtexInvoiceClient(evolve(sandbox.config, orders_api=orders_api)) as client:
        for number, line in enumerate(order.items):
            await ship(client, order.order_id, {line.id: line.quantity}, f"NFe{number}", "3326")

        assert (await client.get_order(order.order_id)).status == "invoiced"


async def test_the_bulk_call(
    sandbox: Sandbox, client: VtexInvoiceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    names = names_of(block_with("send_all"))

    await names["send_all"](client, [job_for(order) for order in sandbox.orders])

    assert capsys.readouterr().out.count("Receipt(") == 10


async def test_the_job(
    sandbox: Sandbox, client: VtexInvoiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = names_of(block_with("Journal.open"))
    monkeypatch.chdir(tmp_path)

    summary = await names["send_for_good"](client, [job_for(order) for order in sandbox.orders])

    assert (summary.planned, summary.confirmed, summary.exit_code) == (10, 10, 0)
    assert summary.journal == str(tmp_path / "invoices.db")


async def test_the_sandbox() -> None:
    await names_of(block_with("test_my_shop"))["test_my_shop_invoices_an_order"]()


async def test_the_faults() -> None:
    await names_of(block_with("is_not_a_lost"))["test_a_lost_answer_is_not_a_lost_invoice"]()


def test_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(block_with("vtex_sandbox"))

    ended = pytester.runpytest_subprocess("-W", "error", "--strict-markers", "-p", "no:asyncio")

    ended.assert_outcomes(passed=1)


def rows_of_the_readme() -> list[Row]:
    _, block = blocks("json")
    rows = list(read_json_lines(io.BytesIO(block.encode()), OrdersApi.OMS))
    return [row for row in rows if isinstance(row, Row)]


def test_the_json_line_is_sound() -> None:
    (row,) = rows_of_the_readme()

    assert (row.job.order_id, row.job.invoice.invoice_value, row.warnings) == (
        "1172452900788-01",
        2499,
        (),
    )


async def test_the_plan_of_faults_is_one() -> None:
    plan, _ = blocks("json")
    faults = read_plan(orjson.loads(plan)).faults

    assert [fault.do for fault in faults] == ["close", "answer", "limit"]


def test_the_table_is_sound() -> None:
    _, block = blocks("csv")

    (row,) = read_table(block, "csv")

    assert isinstance(row, Row)
    assert row.warnings == ()
    items = [(item.id, item.price, item.quantity) for item in row.job.invoice.items]
    assert items == [("1234", 2499, 1), ("5678", 1995, 2)]
    assert row.job.invoice.items[0].description == "T-shirt; black"
    assert row.job.invoice.invoice_value == sum(price * count for _, price, count in items)


def test_the_known_issues_that_it_names_are_those_of_the_sandbox() -> None:
    _, _, rest = README.partition("## The sandbox")[2].partition("known issues ")
    named = re.findall(r"\d{6,7}", rest.partition("\n\n")[0].partition("`sandbox.remarks`")[0])
    folder = Path(sandbox_package.__file__).parent
    sources = "".join(path.read_text() for path in folder.rglob("*.py"))

    assert len(named) == 11
    assert [number for number in named if number not in sources] == []


def test_the_table_of_rules_has_every_rule_as_it_is() -> None:
    _, _, section = README.partition("### What is checked\n")
    table = [line for line in section.partition("\n#### ")[0].splitlines() if line.startswith("|")]

    rules = [
        f"| `{rule.code}` | {rule.severity} | {rule.says} | {rule.source} |"
        for rule in RULES.values()
    ]
    assert table == [
        "| code | severity | what it finds | VTEX's source |",
        "|---|---|---|---|",
        *rules,
    ]


def test_the_two_commands_are_there_to_the_letter() -> None:
    first, second = blocks("sh")[:2]

    assert first == (
        "python3 -m venv .venv && .venv/bin/pip install -q '.[cli,report]' "
        "&& .venv/bin/vtex-invoice demo\n"
    )
    assert second == (
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' "
        "&& .venv/bin/python -m pytest -q\n"
    )
