"""A client's settings, from options, environment and file; the options that commands share."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen
from dotenv import dotenv_values

from vtex_invoice_async.config import ClientConfig, ThrottleLimits, Timeouts
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.retry import RetryPolicy

__all__ = ["AccountOptions", "CallOptions"]


@frozen(kw_only=True)
class AccountOptions:
    """The options that choose an account."""

    account: str | None
    orders_api: str | None
    base_url: str | None
    env_file: str | None

    @property
    def settings(self) -> Mapping[str, str]:
        """The `VTEX_...` settings: options before the environment, the environment before the file."""
        return {name: value for _, found in self._sources() for name, value in found.items()}

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each of the settings comes from, in words; no value of them."""
        return {name: where for where, found in self._sources() for name in found}

    def _sources(self) -> Sequence[tuple[str, Mapping[str, str]]]:
        """Return what is set in each place, the weakest first; what is empty is not set."""
        try:
            from_file: Mapping[str, str | None] = (
                dotenv_values(self.env_file, interpolate=False) if self.env_file else {}
            )
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self.env_file} cannot be read ({type(error).__name__}); "
                "give a UTF-8 file of VTEX_...=... lines"
            ) from None
        given = {
            "VTEX_ACCOUNT": self.account,
            "VTEX_ORDERS_API": self.orders_api,
            "VTEX_BASE_URL": self.base_url,
        }
        places: Sequence[tuple[str, Mapping[str, str | None]]] = (
            (f"the file {self.env_file}", from_file),
            ("the environment", os.environ),
            ("an option", given),
        )
        return [(where, {k: v for k, v in found.items() if v}) for where, found in places]


@frozen(kw_only=True)
class CallOptions(AccountOptions):
    """The options of a command that calls VTEX."""

    concurrency: int
    timeout: float | None
    rate: float | None
    as_json: bool
    quiet: bool

    def applied_to(self, config: ClientConfig, retry: RetryPolicy) -> ClientConfig:
        """Return *config* with what the options say."""
        timeouts = Timeouts()
        if self.timeout is not None:
            timeouts = timeouts.within(self.timeout)
        return evolve(
            config,
            max_concurrency=self.concurrency,
            timeouts=timeouts,
            retry=retry,
            throttle=ThrottleLimits(rate=self.rate),
        )
