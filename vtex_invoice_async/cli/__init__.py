"""`vtex-invoice`: the commands, and what an error looks like."""

from __future__ import annotations

import click
from click.core import ParameterSource

from vtex_invoice_async.cli.failing import tell_failure
from vtex_invoice_async.cli.group import VERSION, Commands
from vtex_invoice_async.cli.heedless import heedless_stderr
from vtex_invoice_async.cli.options import (
    CONCURRENCY,
    STATES,
    account_options,
    journal_option,
    order_id_option,
    pace_options,
    report_options,
    resend_option,
    source_options,
    states,
    work_options,
)
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["main", "run"]

EXTRA = {"click", "dotenv", "rich"}
"""What the `cli` extra brings."""

DUPLICATES = ("documented", "refresh", "reject", "conflict", "apply_again")
EARLY = ("take", "refuse")
ABOVE_VALUE = ("refuse", "take")
"""The choices of `sandbox.Rules`, which costs too much to import for a help text."""


def run() -> int:
    """Run the command line; return the exit code."""
    with heedless_stderr():
        return _run()


def _run() -> int:
    try:
        code = main.main(prog_name="vtex-invoice", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in EXTRA:
            raise
        return tell_failure(error)
    return code if isinstance(code, int) else 0


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vtex-invoice-async", message=VERSION)
def main() -> None:
    """Tell VTEX that orders were invoiced: each invoice once.

    New here? `demo` needs no account. Something wrong? `doctor` says what.
    """


@main.command()
@click.option(
    "--orders",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    default=1_000,
    show_default=True,
    help="How many to make up.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1_024),
    metavar="N",
    default=CONCURRENCY,
    show_default=True,
    help="Requests in flight at most.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
def demo(orders: int, concurrency: int, *, as_json: bool) -> int:
    """Invoice orders of a sandbox VTEX, here and now; nothing leaves this machine."""
    from vtex_invoice_async.cli.demo import run_demo

    return run_demo(orders=orders, concurrency=concurrency, as_json=as_json)


@main.command()
@source_options
@account_options
@work_options
@resend_option
@click.option("--skip-invalid", is_flag=True, help="Send the sound rows of a file with bad ones.")
@click.option("--strict", is_flag=True, help="Refuse a row with a warning, too.")
@click.option(
    "--verify",
    is_flag=True,
    help="Read each order first, and compare its invoices with it; a PII row may name SKUs then.",
)
@click.option(
    "--sandbox",
    is_flag=True,
    help="Rehearse: send to a private sandbox instead; no account is needed.",
)
@click.pass_context
def send(context: click.Context, /, **_: object) -> int:
    """Send the invoices of FILES. `-` is standard input, a folder or zip is one of NF-e.

    All of it is checked before the first invoice is sent. The journal keeps what became of
    each: what it has confirmed is not sent again.
    """
    from vtex_invoice_async.cli.send import SendOptions, run_send

    return run_send(SendOptions(**context.params))


@main.command()
@source_options
@account_options
@click.option("--strict", is_flag=True, help="Refuse a row with a warning, too.")
@click.option(
    "--verify",
    is_flag=True,
    help="Let a PII row name SKUs, as `send --verify` does; no order is read here.",
)
@click.option(
    "--output",
    type=click.Choice(("table", "jsonl", "csv")),
    default="table",
    show_default=True,
    help="A table groups what is wrong; the others have all of it, one by one.",
)
@click.option("--quiet", is_flag=True, help="No summary; what is wrong is said.")
@click.pass_context
def check(context: click.Context, /, **_: object) -> int:
    """Say all that is wrong with FILES. It goes to stdout; nothing is sent, no account is needed.

    It reads them as `send` does. Exit code 65 says that `send` would refuse them.
    """
    from vtex_invoice_async.cli.check import CheckOptions, run_check

    return run_check(CheckOptions(**context.params))


@main.command()
@account_options
@work_options
@resend_option
@click.pass_context
def resume(context: click.Context, /, **_: object) -> int:
    """Go on with what earlier runs left: to be sent, or to be found out."""
    from vtex_invoice_async.cli.resume import run_resume
    from vtex_invoice_async.cli.work import WorkOptions

    return run_resume(WorkOptions(**context.params))


@main.command()
@account_options
@work_options
@click.pass_context
def resolve(context: click.Context, /, **_: object) -> int:
    """Read the orders of what is in doubt or absent; nothing is sent."""
    from vtex_invoice_async.cli.resume import run_resolve
    from vtex_invoice_async.cli.work import WorkOptions

    return run_resolve(WorkOptions(**context.params))


@main.command()
@account_options
@journal_option
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@click.pass_context
def status(context: click.Context, /, **_: object) -> int:
    """Say how many invoices of the journal are in which state; works beside a run."""
    from vtex_invoice_async.cli.journal import JournalOptions, run_status

    return run_status(JournalOptions(**context.params))


@main.command()
@account_options
@journal_option
@click.option(
    "--state",
    multiple=True,
    callback=states,
    metavar="STATE",
    shell_complete=lambda *asked: [name for name in STATES if name.startswith(asked[-1])],
    help=f"Only those in it; may be repeated: {', '.join(STATES)}.",
)
@click.pass_context
def export(context: click.Context, /, **_: object) -> int:
    """Write invoices of the journal to stdout; works beside a run.

    The rows are such as `send` reads. What is confirmed has only its name left.
    """
    from vtex_invoice_async.cli.journal import JournalOptions, run_export

    return run_export(JournalOptions(**context.params))


@main.command()
@account_options
@journal_option
@report_options
@click.pass_context
def report(context: click.Context, /, **_: object) -> int:
    """Tell how the runs of a journal went, and what needs a person; works beside a run.

    A page has charts, and needs nothing beside it; Markdown is for a ticket, JSON for programs. Each
    holds order ids and invoice numbers, and no customer.
    """
    from vtex_invoice_async.cli.report import EXTRA as NEEDED
    from vtex_invoice_async.cli.report import ReportOptions, check_asked, run_report

    options = ReportOptions(**context.params)
    check_asked(options)
    if options.format != "html":
        return run_report(options, None)
    try:
        from vtex_invoice_async.jobs.report.page import page
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in NEEDED:
            raise
        needed = "a page needs an extra: pip install 'vtex-invoice-async[report]'"
        raise ConfigError(f"{needed}; --format md and json do not") from None
    return run_report(options, page)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@account_options
@pace_options
@click.option("--skip-invalid", is_flag=True, help="Send the sound rows of a file with bad ones.")
@click.option(
    "--failed",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the rows that fail to FILE, and not to stdout.",
)
@click.pass_context
def track(context: click.Context, /, **_: object) -> int:
    """Send the tracking of FILE, one JSON object a line, where its orders do not show it yet.

    A row has `orderId`, `invoiceNumber`, and the keys of VTEX's PATCH or of its PUT. What fails is
    written to stdout, or to the file of --failed, as rows that this command reads. With --json the
    last line of stdout is the summary; with --failed too, it is the only one. There is no journal of
    it.
    """
    from vtex_invoice_async.cli.track import TrackOptions, run_track

    return run_track(TrackOptions(**context.params))


@main.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="0 picks a free one.")
@click.option(
    "--orders",
    type=click.IntRange(0, 1_000_000),
    default=100,
    show_default=True,
    help="How many to make up; every tenth is ready-for-handling, the others in handling.",
)
@click.option(
    "--orders-for",
    type=click.Path(exists=True),
    metavar="FILE",
    help="Serve the orders that the invoices of this file, folder or zip fit on, and no others.",
)
@order_id_option
@click.option(
    "--orders-api",
    type=click.Choice([str(api) for api in OrdersApi]),
    default="oms",
    show_default=True,
    help="The dialect of FILE and of the VTEX_ORDERS_API that is printed; every path is served.",
)
@click.option("--seed", type=int, help="The same seed makes the same orders and faults.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON plan of what goes wrong.",
)
@click.option("--latency", type=click.FloatRange(0, 60), default=0, help="Seconds before answers.")
@click.option(
    "--duplicates",
    type=click.Choice(DUPLICATES),
    metavar="RULE",
    default=DUPLICATES[0],
    show_default=True,
    help="What becomes of an invoice number that its order has already: "
    f"{', '.join(DUPLICATES[:-1])} or {DUPLICATES[-1]}.",
)
@click.option(
    "--early",
    type=click.Choice(EARLY),
    default=EARLY[0],
    show_default=True,
    help="What becomes of a sale on an order that nobody handles yet.",
)
@click.option(
    "--above-value",
    type=click.Choice(ABOVE_VALUE),
    default=ABOVE_VALUE[0],
    show_default=True,
    help="What becomes of a sale of more than the order's value leaves.",
)
@click.option(
    "--read-lag",
    type=click.FloatRange(0),
    default=0,
    help="Seconds until an order shows an invoice; `inf` is never.",
)
@click.option(
    "--settle-delay",
    type=click.FloatRange(0),
    default=0,
    help="Seconds until an invoice is verified; `inf` is never.",
)
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    help="Requests a second that the account may send; no limit by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one JSON object.")
@click.pass_context
def sandbox(context: click.Context, /, **_: object) -> int:
    """Serve a VTEX to test against, on loopback, until interrupted."""
    if context.params["orders_for"] is not None and _is_given(context, "orders"):
        raise click.UsageError("give --orders or --orders-for, and not both")
    if context.params["orders_for"] is None and _is_given(context, "order_id_from"):
        raise click.UsageError("--order-id-from goes with --orders-for: give that, too")
    from vtex_invoice_async.cli.sandbox import SandboxOptions, run_sandbox

    return run_sandbox(SandboxOptions(**context.params))


@main.command()
@account_options
@journal_option
@click.option(
    "--order", metavar="ORDER_ID", help="Read this order; by default, one that cannot exist."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 3_600),
    metavar="SECONDS",
    default=30,
    show_default=True,
    help="Seconds that all checks may take.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")
@click.option("--quiet", is_flag=True, help="Say nothing but what is wrong.")
@click.pass_context
def doctor(context: click.Context, /, **_: object) -> int:
    """Say what keeps invoices from being sent: settings, host, role, journal, versions.

    It sends no invoice: it reads one order, and otherwise looks.
    """
    from vtex_invoice_async.cli.doctor import DoctorOptions, run_doctor

    return run_doctor(DoctorOptions(**context.params))


@main.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, options, choices and files.

    Its first line says how to install it.
    """
    from vtex_invoice_async.cli.completion import script

    click.echo(script(main, shell), nl=False)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE
