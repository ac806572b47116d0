"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from vtex_invoice_async.vocabulary import OrdersApi

__all__ = [
    "CONCURRENCY",
    "FORMATS",
    "SETTLE_WINDOW",
    "STATES",
    "account_options",
    "journal_option",
    "order_id_option",
    "pace_options",
    "report_options",
    "resend_option",
    "source_options",
    "states",
    "work_options",
]

F = TypeVar("F", bound=Callable[..., object])

STATES = (
    *("confirmed", "rejected", "not_sent", "in_doubt", "absent", "conflict", "held", "planned"),
)

FORMATS = ("jsonl", "csv", "parquet", "nfe")
"""Those of `jobs.sources`."""

CONCURRENCY = 64
SETTLE_WINDOW = 300.0


def account_options(command: F) -> F:
    """Add the options that choose an account; the `VTEX_...` variables say the rest."""
    for option in reversed(
        (
            click.option("--account", metavar="NAME", help="The account (VTEX_ACCOUNT)."),
            click.option(
                "--orders-api",
                type=click.Choice([str(api) for api in OrdersApi]),
                help="The account's dialect (VTEX_ORDERS_API).",
            ),
            click.option(
                "--base-url", metavar="URL", help="Another host, such as a sandbox (VTEX_BASE_URL)."
            ),
            click.option(
                "--env-file",
                type=click.Path(exists=True, dir_okay=False),
                help="Read VTEX_... lines from a file; what is set already wins.",
            ),
        )
    ):
        command = option(command)
    return command


def order_id_option(command: F) -> F:
    """Add the option that says which orders NF-e are of."""
    told = "Where the order id of an NF-e is: xPed, obsCont, obsCont:NAME, filename, or map.csv."
    return click.option("--order-id-from", metavar="WHERE", help=told)(command)


def source_options(command: F) -> F:
    """Add what chooses the files of invoices, and says how they are written."""
    for option in (
        click.argument(
            "files",
            nargs=-1,
            required=True,
            type=click.Path(exists=True, allow_dash=True),
        ),
        click.option(
            "--format",
            "format_",
            type=click.Choice(FORMATS),
            help="How the files are written; by default, their names say it.",
        ),
        order_id_option,
    ):
        command = option(command)
    return command


def journal_option(command: F) -> F:
    """Add the option that chooses a journal."""
    told = "Where the journal is; by default, that of the account in $XDG_STATE_HOME/vtex-invoice."
    return click.option("--journal", type=click.Path(dir_okay=False), help=told)(command)


def report_options(command: F) -> F:
    """Add what says where a report goes, how it is written, and what it is about."""
    for option in (
        click.option("--run", metavar="N|all", default="all", show_default=True, help="Which run."),
        click.option(
            "--format",
            "format_",
            type=click.Choice(("html", "md", "json")),
            help="By default what the name of FILE says, else html.",
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(allow_dash=True),
            metavar="FILE",
            help="Where it goes; `-` is standard output, which is the default.",
        ),
    ):
        command = option(command)
    return command


def resend_option(command: F) -> F:
    """Add the option that lets a refund be sent again."""
    told = "Send an Input once more where VTEX does not have it; it refunds a shopper."
    return click.option("--resend-input", is_flag=True, help=told)(command)


def pace_options(command: F) -> F:
    """Add the options of a command that calls VTEX."""
    for option in reversed(
        (
            click.option(
                "--concurrency",
                type=click.IntRange(1, 1_024),
                metavar="N",
                default=CONCURRENCY,
                show_default=True,
                help="Requests in flight at most.",
            ),
            click.option(
                "--timeout",
                type=click.FloatRange(0.1, 3_600),
                metavar="SECONDS",
                help="Seconds that one attempt may take.",
            ),
            click.option(
                "--rate",
                type=click.FloatRange(0.001, 1_000_000),
                metavar="PER_SECOND",
                help="Requests a second; by default it is found out.",
            ),
            click.option(
                "--json", "as_json", is_flag=True, help="End with one JSON object on stdout."
            ),
            click.option(
                "--quiet",
                is_flag=True,
                help="Neither progress nor summary; what needs you is said.",
            ),
        )
    ):
        command = option(command)
    return command


def work_options(command: F) -> F:
    """Add the options of a command that runs over a journal."""
    window = click.option(
        "--settle-window",
        type=click.FloatRange(0.1, 86_400),
        metavar="SECONDS",
        default=SETTLE_WINDOW,
        show_default=True,
        help="Seconds in which VTEX may still show an invoice that is in doubt.",
    )
    return journal_option(pace_options(window(command)))


def states(_: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of states, which may be given with hyphens, with underscores."""
    found = tuple(name.replace("-", "_") for name in names)
    for name in found:
        if name not in STATES:
            told = f"{name!r} is no state: choose of {', '.join(STATES)}"
            raise click.BadParameter(told, param=parameter)
    return found
