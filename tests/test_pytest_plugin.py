"""The fixture as a user's tests have it: a pytest of its own, in a folder of its own."""

from __future__ import annotations

import textwrap

import pytest

pytest_plugins = ["pytester"]

TIMEOUT = 60

# Any warning is an error, and so is a mark that nobody knows.
STRICT = ("-q", "-W", "error", "--strict-markers", "--strict-config")

IMPORTS = """
import asyncio
import threading
from datetime import UTC, datetime

import textwrap

import pytest

from vtex_invoice_async import Invoice, InvoiceType, VtexInvoiceClient
from vtex_invoice_async.sandbox import Do, Fault, FaultPlan, Sandbox


async def invoice(sandbox):
    order = sandbox.orders[0]
    async with VtexInvoiceClient(sandbox.config) as client:
        await client.notify_invoice(
            order.order_id,
            Invoice(
                type=InvoiceType.OUTPUT,
                invoice_number="NFe1",
                invoice_value=order.value,
                issuance_date=datetime.now(UTC),
            ),
        )
    assert sandbox.applied == {(order.order_id, "NFe1"): 1}
"""

PLAIN = (
    IMPORTS
    + """

def test_one(vtex_sandbox):
    assert len(vtex_sandbox.orders) == 100
    asyncio.run(invoice(vtex_sandbox))


def test_another(vtex_sandbox: Sandbox) -> None:
    asyncio.run(invoice(vtex_sandbox))


def test_that_nothing_is_left():
    assert "vtex-sandbox" not in {thread.name for thread in threading.enumerate()}
"""
)


def run(pytester: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    others = arguments or ("-p", "no:asyncio", "-p", "no:anyio")
    return pytester.runpytest_subprocess(*STRICT, *others, timeout=TIMEOUT)


def test_it_needs_no_other_plugin_and_warns_of_nothing(pytester: pytest.Pytester) -> None:
    ended = run(pytester, PLAIN)

    ended.assert_outcomes(passed=3)


def test_each_worker_of_xdist_has_its_own(pytester: pytest.Pytester) -> None:
    ended = run(pytester, PLAIN, "-p", "no:asyncio", "-n", "2")

    ended.assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_tests_of_pytest_asyncio_have_it(pytester: pytest.Pytester, mode: str) -> None:
    text = """
        @pytest.mark.asyncio
        async def test_one(vtex_sandbox):
            await invoice(vtex_sandbox)
    """

    options = ("-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function")
    ended = run(pytester, IMPORTS + textwrap.dedent(text), *options)

    ended.assert_outcomes(passed=1)


def test_tests_of_anyio_have_it(pytester: pytest.Pytester) -> None:
    pytest.importorskip("anyio")
    text = """
        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_one(vtex_sandbox):
            await invoice(vtex_sandbox)
    """

    ended = run(pytester, IMPORTS + textwrap.dedent(text), "-p", "no:asyncio")

    ended.assert_outcomes(passed=1)


def test_tests_of_unittest_have_it_by_a_fixture_of_their_own(pytester: pytest.Pytester) -> None:
    text = """
        import unittest


        @pytest.mark.vtex_sandbox(orders=2)
        class TestShop(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def serve(self, vtex_sandbox):
                self.sandbox = vtex_sandbox

            def test_one(self):
                asyncio.run(invoice(self.sandbox))
                self.assertEqual(len(self.sandbox.orders), 2)
    """

    ended = run(pytester, IMPORTS + textwrap.dedent(text))

    ended.assert_outcomes(passed=1)


def test_it_is_loaded_by_its_name_where_autoload_is_off(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    ended = run(pytester, PLAIN, "-p", "vtex_invoice_async.pytest_plugin")

    ended.assert_outcomes(passed=3)


def test_the_nearest_mark_says_what_the_sandbox_is_like(pytester: pytest.Pytester) -> None:
    text = """
        pytestmark = pytest.mark.vtex_sandbox(orders=3, seed=7, latency=0.01)


        def test_one_of_the_module(vtex_sandbox):
            assert [order.order_id for order in vtex_sandbox.orders] == [
                order.order_id for order in Sandbox(orders=3, seed=7).orders
            ]


        @pytest.mark.vtex_sandbox(orders=4)
        class TestClass:
            def test_one_of_the_class(self, vtex_sandbox):
                assert len(vtex_sandbox.orders) == 4
                assert vtex_sandbox.faults.seed == 7

            @pytest.mark.vtex_sandbox(orders=5)
            def test_one_of_its_own(self, vtex_sandbox):
                assert len(vtex_sandbox.orders) == 5
                assert vtex_sandbox.faults.seed == 7
    """

    ended = run(pytester, IMPORTS + textwrap.dedent(text))

    ended.assert_outcomes(passed=3)


def test_each_test_of_a_mark_counts_its_faults_from_the_first(pytester: pytest.Pytester) -> None:
    text = """
        lost = Fault(do=Do.ANSWER, status=400, on="notify_invoice", nth=(1,))
        plan = FaultPlan((lost,), 3)
        pytestmark = pytest.mark.vtex_sandbox(faults=plan)


        @pytest.mark.parametrize("time", [1, 2])
        def test_one(vtex_sandbox, time):
            with pytest.raises(Exception, match="400"):
                asyncio.run(invoice(vtex_sandbox))
            vtex_sandbox.faults.add(lost)
            assert vtex_sandbox.faults.faults == (lost, lost)
            assert vtex_sandbox.faults.seed == 3
    """

    ended = run(pytester, IMPORTS + textwrap.dedent(text))

    ended.assert_outcomes(passed=2)


def test_a_mark_that_makes_no_sense_is_told_in_one_line(pytester: pytest.Pytester) -> None:
    text = """
        @pytest.mark.vtex_sandbox(order=1)
        def test_a_name(vtex_sandbox):
            pass


        @pytest.mark.vtex_sandbox(1)
        def test_no_name(vtex_sandbox):
            pass


        @pytest.mark.vtex_sandbox(orders=-1)
        def test_a_value(vtex_sandbox):
            pass


        @pytest.mark.vtex_sandbox(orders=iter([]))
        def test_orders_for_one_test_only(vtex_sandbox):
            pass


        @pytest.mark.vtex_sandbox(faults=(fault for fault in ()))
        def test_faults_for_one_test_only(vtex_sandbox):
            pass
    """

    ended = run(pytester, IMPORTS + textwrap.dedent(text))

    ended.assert_outcomes(errors=5)
    ended.stdout.fnmatch_lines(
        [
            "@pytest.mark.vtex_sandbox has no argument 'order'; it has orders, seed, port, *",
            "@pytest.mark.vtex_sandbox takes keyword arguments only, such as orders=10",
            "@pytest.mark.vtex_sandbox: orders must be how many to generate, *",
            "@pytest.mark.vtex_sandbox: orders is an iterator, *: give a list",
            "@pytest.mark.vtex_sandbox: faults is an iterator, *: give a list",
        ]
    )
    ended.stdout.no_fnmatch_line("*pytest_plugin.py*Error*")


def test_a_run_that_does_not_use_it_does_not_pay_for_it(pytester: pytest.Pytester) -> None:
    text = """
        import sys


        def test_what_is_loaded():
            loaded = sys.modules.keys()
            assert "vtex_invoice_async.pytest_plugin" in loaded
            assert not {"aiohttp", "cattrs", "orjson", "vtex_invoice_async.sandbox"} & loaded
    """

    ended = run(pytester, textwrap.dedent(text))

    ended.assert_outcomes(passed=1)


def test_pytest_tells_what_the_mark_is_for(pytester: pytest.Pytester) -> None:
    ended = pytester.runpytest_subprocess("--markers", timeout=TIMEOUT)

    ended.stdout.fnmatch_lines(["@pytest.mark.vtex_sandbox(orders=100, *): what the fixture *"])
