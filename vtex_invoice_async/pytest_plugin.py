"""The sandbox as a pytest fixture; pytest finds it by itself where this package is installed.

    @pytest.mark.vtex_sandbox(orders=10)
    def test_the_shop_invoices_an_order(vtex_sandbox: Sandbox) -> None:
        ...

Every run of pytest loads it: it imports pytest alone until a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vtex_invoice_async.sandbox import Sandbox

__all__ = ["pytest_configure", "vtex_sandbox"]

MARK = "vtex_sandbox"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, so that `--strict-markers` takes it."""
    said = "what the fixture `vtex_sandbox` gives to vtex_invoice_async.sandbox.Sandbox"
    config.addinivalue_line("markers", f"{MARK}(orders=100, *, seed=0, faults=(), ...): {said}")


@pytest.fixture
def vtex_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Serve a VTEX on loopback for one test, in a thread of its own: for tests of any kind.

    `@pytest.mark.vtex_sandbox(orders=10, ...)` on the test, its class or its module gives
    arguments to `Sandbox`; the nearest wins.
    """
    with _sandbox_for(request.node) as sandbox:
        yield sandbox


def _sandbox_for(node: pytest.Item) -> Sandbox:
    from attrs import evolve

    from vtex_invoice_async.errors import ConfigError
    from vtex_invoice_async.sandbox import FaultPlan, Sandbox

    make: Callable[..., Sandbox] = Sandbox
    arguments = _arguments_of(node, Sandbox)
    faults = arguments.get("faults")
    if isinstance(faults, FaultPlan):
        # A mark may be that of many tests: each counts its requests from 1.
        arguments["faults"] = evolve(faults)
    try:
        return make(**arguments)
    except ConfigError as error:
        pytest.fail(f"@pytest.mark.{MARK}: {error}", pytrace=False)


def _arguments_of(node: pytest.Item, kind: type[Sandbox]) -> dict[str, object]:
    from inspect import signature

    known = list(signature(kind).parameters)
    arguments: dict[str, object] = {}
    for mark in node.iter_markers(MARK):
        if mark.args:
            told = "takes keyword arguments only, such as orders=10"
            pytest.fail(f"@pytest.mark.{MARK} {told}", pytrace=False)
        for name, value in mark.kwargs.items():
            if name not in known:
                told = f"has no argument {name!r}; it has {', '.join(known)}"
                pytest.fail(f"@pytest.mark.{MARK} {told}", pytrace=False)
            # A mark may be that of many tests, of which the first would take all that it yields.
            if isinstance(value, Iterator):
                told = f"{name} is an iterator, which only one test could read: give a list"
                pytest.fail(f"@pytest.mark.{MARK}: {told}", pytrace=False)
        # The nearest comes first.
        arguments = {**mark.kwargs, **arguments}
    return arguments
