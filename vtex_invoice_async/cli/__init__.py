"""`vtex-invoice`: the commands, their options, and what an error looks like."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TypeVar

import click

from vtex_invoice_async.errors import ConfigError, VtexInvoiceError
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["main", "run"]

F = TypeVar("F", bound=Callable[..., object])

EXTRA = {"click", "dotenv", "rich"}
"""What the `cli` extra brings."""


def run() -> int:
    """Run the command line; return the exit code."""
    try:
        code = main.main(prog_name="vtex-invoice", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except ConfigError as error:
        click.echo(f"vtex-invoice: {error}", err=True)
        return Exit.USAGE
    except VtexInvoiceError as error:
        click.echo(f"vtex-invoice: {error}", err=True)
        return Exit.INTERNAL
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in EXTRA:
            raise
        traceback.print_exc()
        click.echo("vtex-invoice: this is a bug; what was sent is not known here", err=True)
        return Exit.INTERNAL
    return code if isinstance(code, int) else 0


def account_options(command: F) -> F:
    """Add the options that choose an account; the `VTEX_...` variables say the rest."""
    for option in (
        click.option("--account", help="The account (VTEX_ACCOUNT)."),
        click.option(
            "--orders-api",
            type=click.Choice([str(api) for api in OrdersApi]),
            help="The account's dialect (VTEX_ORDERS_API).",
        ),
        click.option("--base-url", help="Another host, such as a sandbox (VTEX_BASE_URL)."),
        click.option(
            "--env-file",
            type=click.Path(exists=True, dir_okay=False),
            help="Read VTEX_... lines from a file; what is set already wins.",
        ),
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vtex-invoice-async")
def main() -> None:
    """Tell VTEX that orders were invoiced.

    Credentials come from VTEX_APP_KEY and VTEX_APP_TOKEN, or from VTEX_USER_TOKEN.
    """


@main.command()
@click.option("--orders", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 1_024), default=64, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def demo(orders: int, concurrency: int, *, as_json: bool) -> int:
    """Invoice orders of a sandbox VTEX, here and now; nothing leaves this machine."""
    from vtex_invoice_async.cli.demo import run_demo

    return run_demo(orders=orders, concurrency=concurrency, as_json=as_json)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@account_options
@click.option("--concurrency", type=click.IntRange(1, 1_024), default=64, show_default=True)
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3_600), help="Seconds that one attempt may take."
)
@click.option(
    "--rate",
    type=click.FloatRange(0.001, 1_000_000),
    help="Requests a second; by default it is found out.",
)
@click.option(
    "--settle-window",
    type=click.FloatRange(0.1, 86_400),
    default=300,
    show_default=True,
    help="Seconds in which VTEX may still show an invoice that is in doubt.",
)
@click.option("--skip-invalid", is_flag=True, help="Send the sound rows of a file with bad ones.")
@click.option(
    "--sandbox",
    is_flag=True,
    help="Rehearse: send to a private sandbox instead; no account is needed.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Neither progress nor summary.")
@click.pass_context
def send(context: click.Context, /, **_: object) -> int:
    """Send the invoices of FILE, one JSON object a line; `-` is standard input.

    The whole file is checked before the first invoice is sent.
    """
    from vtex_invoice_async.cli.send import SendOptions, run_send

    return run_send(SendOptions(**context.params))


@main.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="0 picks a free one.")
@click.option("--orders", type=click.IntRange(0, 1_000_000), default=100, show_default=True)
@click.option(
    "--orders-for",
    type=click.Path(exists=True, dir_okay=False),
    help="Serve orders that the invoices of this file fit on.",
)
@click.option("--orders-api", type=click.Choice([str(api) for api in OrdersApi]), default="oms")
@click.option("--seed", type=int, help="The same seed makes the same orders and faults.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON plan of what goes wrong.",
)
@click.option("--latency", type=click.FloatRange(0, 60), default=0, help="Seconds before answers.")
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one JSON object.")
@click.pass_context
def sandbox(context: click.Context, /, **_: object) -> int:
    """Serve a VTEX to test against, on loopback, until interrupted."""
    from vtex_invoice_async.cli.sandbox import SandboxOptions, run_sandbox

    return run_sandbox(SandboxOptions(**context.params))
