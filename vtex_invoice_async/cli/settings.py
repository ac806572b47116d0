"""A client's settings, from options, environment and file."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dotenv import dotenv_values

from vtex_invoice_async.errors import ConfigError

__all__ = ["read_settings"]


def read_settings(
    *,
    account: str | None,
    orders_api: str | None,
    base_url: str | None,
    env_file: str | None,
) -> Mapping[str, str]:
    """Return the `VTEX_...` settings: an option goes before the environment, the environment before the file."""
    try:
        from_file: Mapping[str, str | None] = (
            dotenv_values(env_file, interpolate=False) if env_file else {}
        )
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{env_file} cannot be read: {type(error).__name__}") from None
    given = {"VTEX_ACCOUNT": account, "VTEX_ORDERS_API": orders_api, "VTEX_BASE_URL": base_url}
    found: dict[str, str] = {}
    for source in (from_file, os.environ, given):
        found.update({name: value for name, value in source.items() if value})
    return found
