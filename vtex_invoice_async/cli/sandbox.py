"""`vtex-invoice sandbox`: a VTEX on loopback until it is interrupted."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import click
import orjson
from attrs import frozen

from vtex_invoice_async.cli.display import say_json, stderr
from vtex_invoice_async.cli.problems import tell_disk, tell_problems
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.job import Entry
from vtex_invoice_async.jobs.plan import Plan
from vtex_invoice_async.jobs.rows import named
from vtex_invoice_async.jobs.sources import read
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.models import Invoice, Order
from vtex_invoice_async.sandbox import FaultPlan, Limit, Sandbox, read_plan
from vtex_invoice_async.sandbox.generated import fitting_order
from vtex_invoice_async.sandbox.rules import AboveValue, Duplicates, Early
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["SandboxOptions", "orders_for", "run_sandbox"]


@frozen(kw_only=True)
class SandboxOptions:
    """The options of the command."""

    port: int
    orders: int
    orders_for: str | None
    order_id_from: str | None
    orders_api: str
    seed: int | None
    latency: float
    faults: str | None
    duplicates: Duplicates
    early: Early
    above_value: AboveValue
    read_lag: float
    settle_delay: float
    limit: float | None
    as_json: bool


def run_sandbox(options: SandboxOptions) -> int:
    """Serve until SIGINT or SIGTERM."""
    orders: int | list[Order] = options.orders
    orders_api = OrdersApi(options.orders_api)
    if options.orders_for is not None:
        with Plan(orders_api) as plan:
            rows = read(
                [options.orders_for],
                orders_api,
                order_id_from=options.order_id_from,
                with_order=True,
            )
            problems = plan.take(rows)
            bad = (row for row in problems if row.problem.severity == "refuse")
            try:
                if tell_problems(bad, named(options.orders_for), stderr(), all_=False):
                    return Exit.BAD_INPUT
            except (OSError, sqlite3.OperationalError) as error:
                tell_disk(error, stderr())
                return Exit.DISK
            orders = orders_for(plan.entries())
    plan_of_faults = FaultPlan() if options.faults is None else _read_faults(options)
    return asyncio.run(_serve(options, orders, plan_of_faults))


def _read_faults(options: SandboxOptions) -> FaultPlan:
    try:
        document = orjson.loads(Path(options.faults or "").read_bytes())
    except OSError as error:
        told = f"{options.faults} cannot be read ({error.strerror}): check it"
        raise ConfigError(told) from None
    except ValueError as error:
        raise ConfigError(f"{options.faults} is not JSON ({error}): correct it") from None
    return read_plan(document, seed=options.seed)


async def _serve(options: SandboxOptions, orders: int | list[Order], faults: FaultPlan) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Sandbox(
        orders,
        seed=options.seed or 0,
        port=options.port,
        latency=options.latency,
        faults=faults,
        duplicates=options.duplicates,
        early=options.early,
        above_value=options.above_value,
        read_lag=options.read_lag,
        settle_delay=options.settle_delay,
        limit=None if options.limit is None else Limit(per_second=options.limit),
    ) as sandbox:
        environ = {**sandbox.environ, "VTEX_ORDERS_API": options.orders_api}
        if options.as_json:
            said = {
                "url": sandbox.url,
                "account": sandbox.account,
                "orders_api": options.orders_api,
                "app_key": sandbox.app_key,
                "app_token": sandbox.app_token,
                "control_token": sandbox.control_token,
            }
            say_json(said)
        else:
            click.echo(
                "".join(f"export {name}={value}\n" for name, value in environ.items()), nl=False
            )
            some = ", ".join(order.order_id for order in sandbox.orders[:3])
            such = f", such as {some}" if some else ""
            click.echo(f"Orders: {len(sandbox.book):,}{such}. Stop with Ctrl-C.", err=True)
            click.echo(f"Look at it: {sandbox.url}/", err=True)
        await stopped.wait()
        click.echo(f"Invoices taken: {sandbox.applied.total():,}", err=True)
    return 0


def orders_for(entries: Iterable[Entry]) -> list[Order]:
    """Return orders that the invoices of *entries* fit on."""
    invoices: dict[str, list[Invoice]] = {}
    for entry in entries:
        invoices.setdefault(entry.order_id, []).append(entry.invoice)
    return [fitting_order(order_id, found) for order_id, found in invoices.items()]
