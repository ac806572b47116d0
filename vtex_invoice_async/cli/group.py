"""How the command line speaks of itself: commands in the order they are needed, examples, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import click

__all__ = ["VERSION", "Commands"]

VERSION: Final = (
    f"%(prog)s %(version)s (Python {'.'.join(map(str, sys.version_info[:3]))}, {sys.platform})"
)
"""What `--version` says."""

SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "First steps": {
        "demo": "invoice a sandbox's orders, here and now",
        "doctor": "say what keeps invoices from being sent",
        "check": "say all that is wrong with files",
    },
    "Sending": {
        "send": "send the invoices of files",
        "resume": "go on with what earlier runs left",
        "resolve": "read the orders of what is in doubt",
        "track": "send the tracking of a file",
    },
    "Looking": {
        "status": "count the journal's invoices by state",
        "export": "write the journal's invoices to stdout",
        "report": "make a page of the journal",
    },
    "Trying and setting up": {
        "sandbox": "serve a VTEX to test against",
        "completion": "let a shell complete what you type",
    },
}
"""What is for what, first things first; what a command does, in one line of 60 columns."""

VARIABLES: Final = (
    ("VTEX_ACCOUNT", "the account, as acme of acme.myvtex.com"),
    ("VTEX_APP_KEY", "the key of its credentials"),
    ("VTEX_APP_TOKEN", "the token that belongs to the key"),
    ("VTEX_USER_TOKEN", "a user's token, instead of key and token"),
    ("VTEX_ENVIRONMENT", "vtexcommercestable (default) or vtexcommercebeta"),
    ("VTEX_BASE_URL", "another host, such as a sandbox"),
    ("VTEX_ORDERS_API", "the dialect: oms (default), pii or pii-2022"),
)

EXIT_CODES: Final = (
    ("0", "every invoice is confirmed; all is well"),
    ("2", "options or settings make no sense, or a file is not there"),
    ("3", "some were rejected, or could not be sent as they are"),
    ("4", "some need a person: in doubt, absent, held, in conflict"),
    ("65", "the file or the journal is bad, or there is nothing to do"),
    ("69", "VTEX never answered"),
    ("70", "a bug of ours"),
    ("74", "the disk refused"),
    ("75", "the journal is held, or some were not sent: go on later"),
    ("77", "VTEX refused the credentials or their role"),
    ("129, 130, 143", "interrupted by SIGHUP, SIGINT, SIGTERM"),
)

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": (
        "vtex-invoice demo",
        "vtex-invoice check invoices.jsonl",
        "vtex-invoice send invoices.jsonl",
    ),
    "demo": ("vtex-invoice demo --orders 200",),
    "doctor": (
        "vtex-invoice doctor --env-file vtex.env",
        "vtex-invoice doctor --order 1172452900788-01",
    ),
    "check": (
        "vtex-invoice check invoices.csv",
        "vtex-invoice check notes.zip --output csv > wrong.csv",
    ),
    "send": (
        "vtex-invoice send invoices.jsonl --sandbox",
        "vtex-invoice send invoices.jsonl",
        "vtex-invoice send notes/ --order-id-from map.csv",
    ),
    "resume": ("vtex-invoice resume",),
    "resolve": ("vtex-invoice resolve",),
    "track": ("vtex-invoice track tracking.jsonl > failed.jsonl",),
    "status": ("vtex-invoice status", "vtex-invoice status --json"),
    "export": (
        "vtex-invoice export --state rejected > rejected.jsonl",
        "vtex-invoice export > all.jsonl",
    ),
    "report": ("vtex-invoice report -o run.html", "vtex-invoice report --format md"),
    "sandbox": (
        "vtex-invoice sandbox --orders 1000",
        "vtex-invoice sandbox --orders-for invoices.jsonl",
    ),
    "completion": ('eval "$(vtex-invoice completion bash)"',),
}
"""By command; those of the whole have no name."""


class Commands(click.Group):
    """A group that lists its commands by what they are for, and knows the one that was meant."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, with its examples."""
        super().add_command(cmd, name)
        if cmd.epilog is None and (name or cmd.name) in EXAMPLES:
            cmd.epilog = _shown(EXAMPLES[name or cmd.name or ""])

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click asks so
        """Return the names, first things first; what has no place comes last."""
        order = [name for names in SECTIONS.values() for name in names]
        known = [name for name in order if name in self.commands]
        return [*known, *(name for name in self.commands if name not in order)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections, and then what holds for all of them."""
        names = self.list_commands(ctx)
        width = max(map(len, names))
        for title, told in SECTIONS.items():
            rows = [(n.ljust(width), words) for n, words in told.items() if n in names]
            _section(formatter, title, rows)
            names = [name for name in names if name not in told]
        others = [(name, self.commands[name].get_short_help_str(width)) for name in names]
        _section(formatter, "Others", others)
        _section(formatter, "Examples", [(example, "") for example in EXAMPLES[""]])
        _section(formatter, "Settings, from the environment or --env-file", VARIABLES)
        _section(formatter, "Exit codes", EXIT_CODES)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; where there is none of its name, name the nearest."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            near = get_close_matches(name, self.commands, n=1)
            told = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(self.commands)}"
            ctx.fail(f"No such command {name!r}: {told}")
        return super().resolve_command(ctx, args)


def _section(formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=40)


def _shown(examples: tuple[str, ...]) -> str:
    """Return examples as click leaves their lines alone."""
    return "\n".join(
        ("\b", "Examples:" if len(examples) > 1 else "Example:", *(f"  {e}" for e in examples))
    )
