"""Everything that a client is told: checked when it is made, safe to share and to print."""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Final, TypedDict, Unpack
from urllib.parse import urlsplit

from attrs import field, frozen

from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.retry import RetryPolicy
from vtex_invoice_async.value import Value
from vtex_invoice_async.vocabulary import OrdersApi

__all__ = [
    "LOOKS_AT_ONCE",
    "MOST_RATE",
    "ClientConfig",
    "Credentials",
    "Settings",
    "ThrottleLimits",
    "Timeouts",
    "orders_api_of",
    "url_of",
]

ENVIRONMENTS: Final = ("vtexcommercestable", "vtexcommercebeta")
HIGHEST_PORT: Final = 65_535
LOOKS_AT_ONCE: Final = 4
"""Slots and connections beside `max_concurrency`, for looks at orders in doubt."""

MOST_RATE: Final = 1e6
"""Requests a second: as good as no limit."""

_ACCOUNT: Final = r"(?a)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# What a header can carry without a doubt: printable ASCII without spaces.
_BASE_URL: Final = r"(?ai)(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(?P<port>[1-9]\d{0,4}))?(?P<path>/[\w.~/-]*)?"
_LABEL: Final = r"(?ai)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Who reads a URL should find the same host in it: no backslash, and no bracket but around an IPv6.
# What is allowed before the @ is listed, for a class of all else takes `re` longer than this module.
_PROXY: Final = (
    r"(?a)https?://(?:[!\x22$-.0->@-Z^-~]*@)?(?:[\w.-]+|\[[0-9a-fA-F:.]+\])(?::\d*)?"
    r"(?:[/?#][\x21-\x5b\x5d-\x7e]*)?"
)
_CREDENTIAL: Final = r"(?a)[\x21-\x7e]{1,4096}"


@frozen(kw_only=True, eq=False, repr=False)
class Timeouts(Value):
    """How long one attempt may take, in seconds, not rounded; anything else is a `ConfigError`.

    Not counted is what a call waits for its turn, and between attempts: `RetryPolicy` bounds that.
    """

    connect: float = 5
    """To get a connection from the pool, a new one with its TLS handshake included."""

    read: float = 20
    """To the head of the answer, and between two pieces of its body.

    Where a body is above 48 KiB, and through a proxy, between any two pieces."""

    total: float = 30
    """From the first step to the last byte of the answer."""

    def __attrs_post_init__(self) -> None:
        for name in ("connect", "read", "total"):
            _check_seconds(f"timeouts.{name}", getattr(self, name))

    def within(self, seconds: float) -> Timeouts:
        """Return those of an attempt that takes *seconds* in all: the others are cut to that.

        So a number is read wherever one is given for them: `client.get_order(order_id, timeout=5)`.
        """
        _check_seconds("timeout", seconds)
        return Timeouts(
            connect=min(self.connect, seconds), read=min(self.read, seconds), total=seconds
        )


@frozen(kw_only=True, eq=False, repr=False)
class ThrottleLimits(Value):
    """What the throttle is told, in requests a second; None lets it find out.

    It holds for what is sent, and for itself again for what is read, as VTEX's own limits do.
    """

    rate: float | None = None
    """The rate itself: nothing is learned, a 429 is still obeyed."""

    max_rate: float | None = None
    """Never faster than this, whatever VTEX would take."""

    def __attrs_post_init__(self) -> None:
        for name in ("rate", "max_rate"):
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            # Where a rate nears nothing, the time between two requests is no number any more.
            if not number or not 1 / MOST_RATE <= value < math.inf:
                advice = "must be a number of requests a second above 0, such as 50 or 0.5"
                raise ConfigError(f"throttle.{name} {advice}")


@frozen(kw_only=True, eq=False, repr=False)
class Credentials(Value):
    """An *app_key* with its *app_token*, or a *user_token*; both or half of it is a `ConfigError`.

    They are sent to the account's own host and nowhere else, and are in no text, log or error. A user
    token ends after 24 hours: `ClientConfig.credentials` is asked for another.

    https://developers.vtex.com/docs/guides/authentication
    """

    app_key: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    user_token: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        pair = {"app_key": self.app_key, "app_token": self.app_token}
        token = {"user_token": self.user_token}
        given = pair if self.user_token is None else token
        if None in given.values() or (given is token and any(v is not None for v in pair.values())):
            raise ConfigError(
                "give an app_key with its app_token (VTEX_APP_KEY, VTEX_APP_TOKEN), "
                "or a user_token (VTEX_USER_TOKEN), and not both; `vtex-invoice doctor` says what is set"
            )
        for name, secret in given.items():
            if not isinstance(secret, str) or not re.fullmatch(_CREDENTIAL, secret):
                # Its value stays out of the message.
                raise ConfigError(
                    f"{name} must be printable ASCII without spaces or line ends: copy it anew; "
                    "`vtex-invoice doctor` says where it comes from"
                )


class Settings(TypedDict, total=False):
    """The fields of `ClientConfig` that no variable of the environment sets."""

    credentials: Callable[[], Awaitable[Credentials]]
    max_concurrency: int
    timeouts: Timeouts
    retry: RetryPolicy
    throttle: ThrottleLimits
    ssl_context: ssl.SSLContext | None
    proxy: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ClientConfig(Value):
    """An account, its credentials, and how to talk to it.

    Credentials are an *app_key* with its *app_token*, or a *user_token*, or what *credentials*
    returns. Requests go to `https://{account}.{environment}.com.br`, or to *base_url* where that is
    given. What makes no sense is a `ConfigError` when it is made; `attrs.evolve` makes another one.
    """

    account: str
    """As in the address of its Admin: lower case, `acme` of `acme.myvtex.com`."""

    app_key: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    user_token: str | None = field(default=None, repr=False)
    credentials: Callable[[], Awaitable[Credentials]] | None = field(default=None, repr=False)
    """Awaited before the first request, and once more for a call that VTEX answers with 401.

    It has `timeouts.total` seconds; where it fails, nothing was sent, or the 401 stands."""

    environment: str = "vtexcommercestable"
    """Or `vtexcommercebeta`."""

    base_url: str | None = None
    """Another host, such as a sandbox: https, or http on loopback."""

    orders_api: OrdersApi = OrdersApi.OMS
    """The dialect of the account: what its invoices are called and where they are sent."""

    max_concurrency: int = 64
    """Requests in flight at once, and connections in the pool; four more are for reads in doubt."""

    timeouts: Timeouts = field(factory=Timeouts)
    """Of one attempt."""

    retry: RetryPolicy = field(factory=RetryPolicy)
    """Of one call, over all its attempts and reads."""

    throttle: ThrottleLimits = field(factory=ThrottleLimits)
    """Of the whole account, as far as this client sends for it."""

    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    """For a private certificate authority; the default trusts what the system trusts."""

    proxy: str | None = field(default=None, repr=False)
    """`http://[user:password@]host:port`; never taken from the environment."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.account, str) or not re.fullmatch(_ACCOUNT, self.account):
            raise ConfigError(
                "account must be lower-case letters, digits and hyphens, as acme of "
                "acme.myvtex.com (VTEX_ACCOUNT)"
            )
        self._check_credentials()
        if self.environment not in ENVIRONMENTS:
            raise ConfigError(
                f"environment must be one of {', '.join(ENVIRONMENTS)} (VTEX_ENVIRONMENT)"
            )
        if not isinstance(self.orders_api, OrdersApi):
            raise ConfigError(f"orders_api must be one of {', '.join(map(str, OrdersApi))}")
        if type(self.max_concurrency) is not int or self.max_concurrency < 1:
            raise ConfigError("max_concurrency must be an int of at least 1")
        if self.base_url is not None:
            _check_base_url(self.base_url)
        if self.proxy is not None and not (
            isinstance(self.proxy, str)
            and re.fullmatch(_PROXY, self.proxy)
            and _has_host(self.proxy)
        ):
            raise ConfigError("proxy must be http://[user:password@]host:port")
        self._check_parts()

    def _check_parts(self) -> None:
        parts = {"timeouts": Timeouts, "retry": RetryPolicy, "throttle": ThrottleLimits}
        for name, kind in parts.items():
            if not isinstance(getattr(self, name), kind):
                raise ConfigError(f"{name} must be a {kind.__name__}")
        if self.ssl_context is not None and not isinstance(self.ssl_context, ssl.SSLContext):
            raise ConfigError("ssl_context must be an ssl.SSLContext")

    def _check_credentials(self) -> None:
        if self.credentials is None:
            _ = self.fixed_credentials
        elif any(v is not None for v in (self.app_key, self.app_token, self.user_token)):
            raise ConfigError("give credentials, or the keys themselves, and not both")
        elif not callable(self.credentials):
            raise ConfigError("credentials must be an async callable that returns Credentials")

    @property
    def fixed_credentials(self) -> Credentials | None:
        """The credentials that it holds itself; None where they have to be asked for."""
        if self.credentials is not None:
            return None
        return Credentials(
            app_key=self.app_key, app_token=self.app_token, user_token=self.user_token
        )

    @property
    def url(self) -> str:
        """Where requests go: scheme, host, port and any prefix, without a slash at the end."""
        return url_of(self.account, self.environment, self.base_url)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, **settings: Unpack[Settings]
    ) -> ClientConfig:
        """Read `VTEX_ACCOUNT`, `VTEX_APP_KEY`, `VTEX_APP_TOKEN`, `VTEX_USER_TOKEN`,
        `VTEX_ENVIRONMENT`, `VTEX_BASE_URL` and `VTEX_ORDERS_API` from *environ*, by default the
        process's own; a variable that is empty counts as absent. Nothing else is read, no proxy
        either. Raises `ConfigError`, which names all that is missing at once.

        The other *settings* are given: `from_env(max_concurrency=16)`. With *credentials*, those of
        the environment are left alone.
        """  # noqa: D205  the list of variables is the summary
        found = os.environ if environ is None else environ
        given = {
            name: found.get(f"VTEX_{name.upper()}") or None
            for name in ("account", "app_key", "app_token", "user_token", "environment", "base_url")
        }
        if "credentials" in settings:
            given |= dict.fromkeys(("app_key", "app_token", "user_token"))
        _check_complete(given, needs_keys="credentials" not in settings)
        return cls(
            account=given["account"] or "",
            app_key=given["app_key"],
            app_token=given["app_token"],
            user_token=given["user_token"],
            environment=given["environment"] or ENVIRONMENTS[0],
            base_url=given["base_url"],
            orders_api=orders_api_of(found),
            **settings,
        )


def url_of(account: str, environment: str | None, base_url: str | None) -> str:
    """Return where the requests of an account go; raise `ConfigError` where that is nowhere."""
    if base_url is not None:
        _check_base_url(base_url)
        scheme, _, rest = base_url.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/")
    return f"https://{account}.{environment or ENVIRONMENTS[0]}.com.br"


def _check_seconds(name: str, seconds: float) -> None:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds <= 0:
        raise ConfigError(f"{name} must be a number of seconds above 0, such as 10 or 2.5")


def _check_complete(given: Mapping[str, str | None], *, needs_keys: bool) -> None:
    """Name everything that is missing at once."""
    missing = [] if given["account"] else ["VTEX_ACCOUNT"]
    if needs_keys and not given["user_token"]:
        missing += [f"VTEX_{k.upper()}" for k in ("app_key", "app_token") if not given[k]]
    if missing:
        named = f"not set: {', '.join(missing)} (or VTEX_USER_TOKEN for the keys)"
        raise ConfigError(f"{named}; set that, and `vtex-invoice doctor` says what is still wrong")


def orders_api_of(environ: Mapping[str, str]) -> OrdersApi:
    """Return the dialect that `VTEX_ORDERS_API` names in *environ*, by default OMS."""
    name = environ.get("VTEX_ORDERS_API") or OrdersApi.OMS
    if name not in set(OrdersApi):
        raise ConfigError(f"VTEX_ORDERS_API must be one of {', '.join(map(str, OrdersApi))}")
    return OrdersApi(name)


def _check_base_url(base_url: object) -> None:
    match = re.fullmatch(_BASE_URL, base_url) if isinstance(base_url, str) else None
    if (
        match is None
        or int(match["port"] or 443) > HIGHEST_PORT
        or {".", ".."} & set((match["path"] or "").split("/"))
        or not _is_host(match["host"])
    ):
        raise ConfigError(
            "base_url must be https://host[:port][/path], or http:// for loopback, "
            "with no user, query or fragment (VTEX_BASE_URL)"
        )
    if match["scheme"].lower() != "https" and not _is_loopback(match["host"].strip("[]").lower()):
        raise ConfigError(
            "base_url must start with https://: http:// is for loopback only (VTEX_BASE_URL)"
        )


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.port != 0 and _is_host(_bracketed(parts.hostname or ""))
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_host(host: str) -> bool:
    """Whether *host* can be one: a name whose parts have 1 to 63 characters, or an address."""
    if host.startswith("["):
        try:
            ip_address(host.strip("[]"))
        except ValueError:
            return False
        return True
    return all(re.fullmatch(_LABEL, label) for label in host.removesuffix(".").split("."))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
