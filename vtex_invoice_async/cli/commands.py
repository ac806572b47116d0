"""What to type next, to the letter: commands with the options that matter, fit to be pasted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence

from vtex_invoice_async.cli.settings import AccountOptions

__all__ = ["account_words", "free_name", "pasted", "words_of"]


def pasted(words: Sequence[object], files: Sequence[str] = ()) -> str:
    """Return a command of `vtex-invoice` as a shell takes it, on one line whatever the words hold.

    What came by standard input is gone: FILE stands for what has to be given anew.
    """
    # What begins with a hyphen would be taken for an option.
    named = [f"./{file}" if file.startswith("-") and file != "-" else file for file in files]
    anew = ["< FILE"] if "-" in files else []
    quoted = [_quoted(str(word)) for word in (*words, *named)]
    return " ".join(["vtex-invoice", *quoted, *anew])


def words_of(given: Mapping[str, object]) -> Sequence[str]:
    """Return options with their values; those that are None or False are not given."""
    found: list[str] = []
    for name, value in given.items():
        if value is True:
            found.append(name)
        elif value is not None and value is not False:
            found += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return found


def account_words(options: AccountOptions) -> Sequence[str]:
    """Return the options that chose the account; the environment is still as it was."""
    return words_of(
        {
            "--account": options.account,
            "--orders-api": options.orders_api,
            "--base-url": options.base_url,
            "--env-file": options.env_file,
        }
    )


def free_name(stem: str, suffix: str, exists: Callable[[str], bool] = os.path.lexists) -> str:
    """Return the name of a file that there is not yet: what is written to it destroys nothing."""
    name, count = f"{stem}{suffix}", 1
    while exists(name):
        count += 1
        name = f"{stem}-{count}{suffix}"
    return name


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    # What does not print would act on the terminal; $'...' is known to bash, zsh and ksh.
    bytes_ = os.fsencode(word)
    shown = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in "\\'" else f"\\x{b:02x}" for b in bytes_
    )
    return f"$'{shown}'"
