"""Everything that a client is told: checked when it is made, safe to share and to print."""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = ["ClientConfig", "Timeouts"]

ENVIRONMENTS: Final = ("vtexcommercestable", "vtexcommercebeta")
_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# What a header can carry without a doubt: printable ASCII without spaces.
_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)


@frozen(kw_only=True)
class Timeouts:
    """How long one attempt may take, in seconds, not rounded."""

    connect: float = 5
    """To get a connection from the pool, a new one with its TLS handshake included."""

    read: float = 20
    """Between two pieces of the answer."""

    total: float = 30
    """From the first step to the last byte of the answer."""

    def __attrs_post_init__(self) -> None:
        for name in ("connect", "read", "total"):
            seconds = getattr(self, name)
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not number or not math.isfinite(seconds) or seconds <= 0:
                raise ConfigError(f"timeouts.{name} must be a number of seconds above 0")


@frozen(kw_only=True)
class ClientConfig:
    """An account, its credentials, and how to talk to it.

    Credentials are an *app_key* with its *app_token*, or a *user_token*. Requests go to
    `https://{account}.{environment}.com.br`, or to *base_url* where that is given.

    https://developers.vtex.com/docs/guides/authentication
    """

    account: str
    app_key: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    user_token: str | None = field(default=None, repr=False)
    environment: str = "vtexcommercestable"
    base_url: str | None = None
    """Another host, such as a sandbox: https, or http on loopback."""

    orders_api: OrdersApi = OrdersApi.OMS
    max_concurrency: int = 64
    """Requests in flight at once, and connections in the pool."""

    timeouts: Timeouts = field(factory=Timeouts)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    """For a private certificate authority; the default trusts what the system trusts."""

    proxy: str | None = field(default=None, repr=False)
    """`http://[user:password@]host:port`; never taken from the environment."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.account, str) or not _ACCOUNT.fullmatch(self.account):
            raise ConfigError(
                "account must be lower-case letters, digits and hyphens (VTEX_ACCOUNT)"
            )
        self._check_credentials()
        if self.environment not in ENVIRONMENTS:
            raise ConfigError(f"environment must be one of {', '.join(ENVIRONMENTS)}")
        if not isinstance(self.orders_api, OrdersApi):
            raise ConfigError(f"orders_api must be one of {', '.join(map(str, OrdersApi))}")
        if type(self.max_concurrency) is not int or self.max_concurrency < 1:
            raise ConfigError("max_concurrency must be an int of at least 1")
        if self.base_url is not None:
            _check_base_url(self.base_url)
        if self.proxy is not None and _split(self.proxy, "proxy").scheme not in {"http", "https"}:
            raise ConfigError("proxy must start with http:// or https://")

    def _check_credentials(self) -> None:
        pair = self.app_key is not None or self.app_token is not None
        if pair == (self.user_token is not None):
            raise ConfigError(
                "give an app_key with its app_token (VTEX_APP_KEY, VTEX_APP_TOKEN), "
                "or a user_token (VTEX_USER_TOKEN), and not both"
            )
        for name, secret in (
            ("app_key", self.app_key if pair else ""),
            ("app_token", self.app_token if pair else ""),
            ("user_token", "" if pair else self.user_token),
        ):
            if secret != "" and not (isinstance(secret, str) and _CREDENTIAL.fullmatch(secret)):
                # Its value stays out of the message.
                raise ConfigError(f"{name} must be printable ASCII without spaces or line ends")

    @property
    def url(self) -> str:
        """Where requests go: scheme, host, port and any prefix, without a slash at the end."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        return f"https://{self.account}.{self.environment}.com.br"

    @property
    def credentials(self) -> Mapping[str, str]:
        """The headers that authenticate a request."""
        if self.user_token is not None:
            return {"VtexIdclientAutCookie": self.user_token}
        return {
            "X-VTEX-API-AppKey": self.app_key or "",
            "X-VTEX-API-AppToken": self.app_token or "",
        }

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> ClientConfig:
        """Read `VTEX_ACCOUNT`, `VTEX_APP_KEY`, `VTEX_APP_TOKEN`, `VTEX_USER_TOKEN`,
        `VTEX_ENVIRONMENT`, `VTEX_BASE_URL` and `VTEX_ORDERS_API` from *environ*, by default the
        process's own; a variable that is empty counts as absent.
        """  # noqa: D205  the list of variables is the summary
        found = os.environ if environ is None else environ
        given = {
            name: found.get(f"VTEX_{name.upper()}") or None
            for name in ("account", "app_key", "app_token", "user_token", "environment", "base_url")
        }
        orders_api = found.get("VTEX_ORDERS_API") or OrdersApi.OMS
        if orders_api not in set(OrdersApi):
            raise ConfigError(f"VTEX_ORDERS_API must be one of {', '.join(map(str, OrdersApi))}")
        return cls(
            account=given["account"] or "",
            app_key=given["app_key"],
            app_token=given["app_token"],
            user_token=given["user_token"],
            environment=given["environment"] or ENVIRONMENTS[0],
            base_url=given["base_url"],
            orders_api=OrdersApi(orders_api),
        )


def _check_base_url(base_url: str) -> None:
    parts = _split(base_url, "base_url")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ConfigError("base_url must start with https:// (http:// only for loopback)")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("base_url must not hold a user or a password")
    if parts.query or parts.fragment or base_url.endswith(("?", "#")):
        raise ConfigError("base_url must not hold a query or a fragment")
    if ".." in parts.path.split("/") or "%" in parts.path:
        raise ConfigError("base_url must have a plain path")


def _split(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except (ValueError, AttributeError):
        valid = False
    if not valid:
        raise ConfigError(f"{name} must be a URL with a host")
    return parts


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False
