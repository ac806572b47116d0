"""What holds for the whole package, whoever adds to it: sizes, imports, names, endpoints, secrets."""

from __future__ import annotations

import ast
import importlib
import logging
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

import vtex_invoice_async
from tests.command_line import ROOT, TIMEOUT
from tests.factories import invoice_for, make_tracking
from vtex_invoice_async import Order, OrdersApi, TrackingStatus, VtexInvoiceClient
from vtex_invoice_async.errors import CallError
from vtex_invoice_async.operations import (
    OPERATIONS,
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    StartHandling,
    UpdateTrackingStatus,
)
from vtex_invoice_async.sandbox import Sandbox

PACKAGE: Final = ROOT / "vtex_invoice_async"
SOURCES: Final = sorted(PACKAGE.rglob("*.py"))
TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))

# DESIGN.md, section 4, without what later parts bring.
PUBLIC: Final = [
    *("VtexInvoiceClient", "ClientConfig", "Credentials", "OrdersApi"),
    *("RetryPolicy", "Timeouts", "ThrottleLimits", "CallOptions"),
    *("Invoice", "InvoiceItem", "InvoiceType", "TrackingInfo", "TrackingStatus", "TrackingEvent"),
    *("Receipt", "Order", "Package", "cents", "InvoiceJob", "Outcome", "State", "Doubt"),
]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_source = pytest.mark.parametrize("path", SOURCES, ids=named)


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_400_lines() -> None:
    sizes = {named(path): lines_of(path) for path in SOURCES + TESTS}

    assert sizes
    assert {name: size for name, size in sizes.items() if size > 400} == {}


@each_source
def test_no_function_is_longer_than_40_lines(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    lengths = {
        f"{node.name}, line {node.lineno}": (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: length for name, length in lengths.items() if length > 40} == {}


FORBIDDEN: Final = {
    "certificates are always checked": r"ssl\s*=\s*False|CERT_NONE|check_hostname\s*=\s*False",
    "what is not done is not left in the source": r"\b(TODO|FIXME|XXX|HACK)\b",
    "only the command line speaks, and it uses click and rich": r"^\s*print\(",
}


def test_only_the_observer_that_logs_logs() -> None:
    pattern = re.compile(r"^\s*(import logging|from logging)\b", re.MULTILINE)

    found = [named(path) for path in SOURCES if pattern.search(path.read_text(encoding="utf-8"))]

    assert found == ["vtex_invoice_async/events.py"]


@pytest.mark.parametrize("pattern", FORBIDDEN.values(), ids=FORBIDDEN)
@each_source
def test_a_source_holds_nothing_of_what_is_forbidden(path: Path, pattern: str) -> None:
    text = path.read_text(encoding="utf-8")

    found = re.findall(pattern, text, re.MULTILINE)

    assert found == []


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a new process holds after *statement*."""
    program = f"{statement}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    return set(ended.stdout.splitlines()[-1].split())


def test_importing_the_package_imports_nothing_that_is_slow() -> None:
    loaded = modules_after("import vtex_invoice_async")

    assert "vtex_invoice_async" in loaded
    assert not loaded & {"aiohttp", "asyncio", "attr", "attrs", "cattrs", "orjson", "click"}


def test_the_models_need_no_network() -> None:
    loaded = modules_after("from vtex_invoice_async import Invoice")

    assert "attrs" in loaded
    assert not loaded & {"aiohttp", "asyncio", "cattrs"}


@pytest.mark.parametrize("arguments", [["--help"], ["send", "--help"], ["--version"]], ids=" ".join)
def test_help_does_not_pay_for_what_it_does_not_use(arguments: list[str]) -> None:
    loaded = modules_after(
        f"import sys; sys.argv[1:] = {arguments}\n"
        "from vtex_invoice_async.__main__ import main; assert main() == 0"
    )

    assert "click" in loaded
    assert not loaded & {"aiohttp", "cattrs", "dotenv", "orjson", "rich"}


def test_the_public_names_are_those_of_the_design() -> None:
    assert sorted(vtex_invoice_async.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_resolves_to_the_thing_of_that_name(name: str) -> None:
    value = getattr(vtex_invoice_async, name)

    assert value.__name__ == name
    assert value.__module__.startswith("vtex_invoice_async.")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    name = "InvoiceClient"

    with pytest.raises(AttributeError, match="no attribute 'InvoiceClient'"):
        getattr(vtex_invoice_async, name)


def test_what_runs_and_what_type_checkers_read_is_one_list() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )

    checked = {
        (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }

    lazy = {
        (f"vtex_invoice_async.{home}", name) for name, home in vtex_invoice_async._HOME_OF.items()
    }
    assert checked == lazy
    assert {name for _, name in lazy} == set(vtex_invoice_async.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert resources.files("vtex_invoice_async").joinpath("py.typed").is_file()


def modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(vtex_invoice_async.__path__, "vtex_invoice_async."):
        if not found.name.endswith("__main__"):
            yield found.name


def kinds_of(kind: type[Any]) -> Iterator[type[Any]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from kinds_of(inner)


def test_the_list_of_endpoints_holds_every_one() -> None:
    for name in modules():
        importlib.import_module(name)

    # By name: attrs makes a class anew to give it slots, and the first one may still linger.
    found = [k for k in kinds_of(Operation) if k.__module__.startswith("vtex_invoice")]
    named = {kind.name for kind in found if not kind.__name__.startswith("_")}

    assert {kind.name for kind in OPERATIONS} == named
    assert len(OPERATIONS) == len(named)


def operation_of(kind: type[Operation[object]], order: Order) -> Operation[object]:
    """A sound call of each kind; a new endpoint has to be added here on purpose."""
    at = {"order_id": order.order_id}
    made: dict[type[Operation[object]], Operation[object]] = {
        NotifyInvoice: NotifyInvoice(**at, invoice=invoice_for(order)),
        SendTracking: SendTracking(**at, invoice_number="NFe1", tracking=make_tracking()),
        UpdateTrackingStatus: UpdateTrackingStatus(
            **at, invoice_number="NFe1", tracking=TrackingStatus(is_delivered=True)
        ),
        GetOrder: GetOrder(order_id=order.order_id),
        StartHandling: StartHandling(**at),
    }
    return made[kind]


@pytest.mark.parametrize("orders_api", OrdersApi)
@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.name)
async def test_every_endpoint_has_its_route_in_the_sandbox(
    sandbox: Sandbox, kind: type[Operation[object]], orders_api: OrdersApi
) -> None:
    # The tenth order waits for start-handling; tracking needs an invoice, news a tracking number.
    order = sandbox.orders[9]
    operation = operation_of(kind, order)
    before = {SendTracking: 1, UpdateTrackingStatus: 2}.get(kind, 0)

    async with VtexInvoiceClient(evolve(sandbox.config, orders_api=orders_api)) as client:
        for needed in (NotifyInvoice, SendTracking)[:before]:
            await client.send(operation_of(needed, order))
        result = await client.send(operation)

    assert isinstance(result, operation.returns())


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.name)
def test_every_endpoint_is_a_method_of_the_client(kind: type[Operation[object]]) -> None:
    method = getattr(VtexInvoiceClient, kind.name)

    assert callable(method)
    assert method.__doc__


async def test_no_library_logs_the_credentials(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    config = evolve(sandbox.config, app_token="SECRETSECRET")

    async with VtexInvoiceClient(config) as client:
        with pytest.raises(CallError) as refused:
            await client.get_order(sandbox.orders[0].order_id)
        logging.getLogger("tests").debug("%r %r %r", client, config, refused.value)

    assert "VtexInvoiceClient" in caplog.text
    assert "SECRETSECRET" not in caplog.text
    assert sandbox.app_key not in caplog.text
