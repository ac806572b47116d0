"""The scripts with which shells complete the command line: click's own, and how to install them."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

__all__ = ["script"]

PROGRAM: Final = "vtex-invoice"
VARIABLE: Final = "_VTEX_INVOICE_COMPLETE"

INSTALLED: Final = {
    "bash": 'add to ~/.bashrc: eval "$(vtex-invoice completion bash)"',
    "zsh": 'add to ~/.zshrc, after compinit: eval "$(vtex-invoice completion zsh)"',
    "fish": "vtex-invoice completion fish > ~/.config/fish/completions/vtex-invoice.fish",
}
"""How, by shell."""


def script(command: click.Command, shell: str) -> str:
    """Return the script for *shell*, which asks *command* for what may come next."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(
            f"there is no completion for {shell}: choose of {', '.join(INSTALLED)}"
        )
    source = kind(command, {}, PROGRAM, VARIABLE).source()
    return f"# To install it, {INSTALLED[shell]}\n{source}".rstrip("\n") + "\n"
