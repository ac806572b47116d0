"""What a command that is said to be next is made of: the options that matter, and free names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from vtex_invoice_async.cli.settings import AccountOptions

__all__ = ["account_words", "free_name", "words_of"]


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
