from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Generator

import pytest
from hypothesis import settings

from tests import watched
from vtex_invoice_async import VtexInvoiceClient
from vtex_invoice_async.sandbox import Sandbox

# How long an example takes is a matter of what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_configure() -> None:
    watched.begin()
    # What runs in the background may have been told to ignore what tests send to their children.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that let a secret, or what is personal, turn up: see `tests/canaries.py`."""
    if call.excinfo is not None:
        watched.look_at_failure(call.excinfo.value)
    report = yield
    found = watched.end(report) if call.when == "teardown" else []
    if found:
        told = "\n".join(f"leaked: {line}" for line in found)
        report.longrepr = f"{report.nodeid}\n{told}\n{report.longreprtext}".rstrip()
        report.outcome = "failed"
    return report


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A VTEX with ten orders; the tenth waits for start-handling, the others for an invoice."""
    async with Sandbox(orders=10) as running:
        yield running


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[VtexInvoiceClient]:
    async with VtexInvoiceClient(sandbox.config) as opened:
        yield opened
