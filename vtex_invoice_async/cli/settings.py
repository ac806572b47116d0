"""From options, environment and file to a client's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dotenv import dotenv_values

from vtex_invoice_async.config import ClientConfig

__all__ = ["read_config"]


def read_config(
    *,
    account: str | None,
    orders_api: str | None,
    base_url: str | None,
    env_file: str | None,
) -> ClientConfig:
    """Return the settings: an option goes before the environment, the environment before the file."""
    from_file: Mapping[str, str | None] = dotenv_values(env_file) if env_file else {}
    given = {"VTEX_ACCOUNT": account, "VTEX_ORDERS_API": orders_api, "VTEX_BASE_URL": base_url}
    found: dict[str, str] = {}
    for source in (from_file, os.environ, given):
        found.update({name: value for name, value in source.items() if value})
    return ClientConfig.from_env(found)
