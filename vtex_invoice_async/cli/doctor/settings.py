"""What is wrong with settings before anything is sent: what is missing, and what is often mistaken.

No credential is told, nor what may be one: a key may have been pasted into any setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from vtex_invoice_async.cli.doctor.finding import Finding, failed, ok, warning
from vtex_invoice_async.cli.settings import AccountOptions
from vtex_invoice_async.config import ClientConfig, orders_api_of
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.jobs.header import Header, header_for
from vtex_invoice_async.jobs.summary import Exit

__all__ = ["Known", "look_at_settings"]

KEY: Final = "vtexappkey-"
"""With which the name of a key begins: https://developers.vtex.com/docs/guides/authentication"""

PAIR: Final = ("VTEX_APP_KEY", "VTEX_APP_TOKEN")
TOKEN: Final = "VTEX_USER_TOKEN"  # noqa: S105  the name of one
MENDED: Final = "set it without them"


@frozen(kw_only=True)
class Known:
    """The settings, as far as they make sense."""

    findings: tuple[Finding, ...]
    target: ClientConfig | None = field(default=None, repr=False)
    """Where requests go; its credentials are made up. None where that is not known."""

    config: ClientConfig | None = field(default=None, repr=False)
    """All of them; None where something is wrong."""

    header: Header | None = None
    """Whose invoices a journal of this account holds."""


def look_at_settings(options: AccountOptions) -> Known:
    """Return what is known of the settings and what is wrong with them."""
    try:
        settings, origins = options.settings, options.origins
    except ConfigError as error:
        return Known(findings=(failed("settings", str(error), "or leave it out", Exit.USAGE),))
    account = _account(settings.get("VTEX_ACCOUNT"), origins)
    credentials = _credentials(settings, origins)
    host, target = _host(settings, origins, account_is_bad=account.code != Exit.CONFIRMED)
    findings = (account, credentials, host)
    if any(found.code for found in findings):
        return Known(findings=findings, target=target, header=_header(account, target))
    try:
        config = ClientConfig.from_env(settings)
    except ConfigError as error:
        found = failed("settings", str(error), "mend that", Exit.USAGE)
        return Known(findings=(*findings, found), target=target)
    return Known(findings=findings, target=target, config=config, header=header_for(config))


def _header(account: Finding, target: ClientConfig | None) -> Header | None:
    return None if target is None or account.code else header_for(target)


def _account(name: str | None, origins: Mapping[str, str]) -> Finding:
    def bad(found: str, advice: str) -> Finding:
        return failed("account", f"VTEX_ACCOUNT {found}", advice, Exit.USAGE)

    if name is None:
        return bad("is not set", "set it, or give --account: acme of acme.myvtex.com")
    where = f"from {origins['VTEX_ACCOUNT']}"
    if name.lower().startswith(KEY):
        return bad(f"({where}) holds an app key", "put that into VTEX_APP_KEY")
    if re.search(r"[./:]", name):
        return bad(f"({where}) is an address", "give the account alone: acme of acme.myvtex.com")
    if re.search(r"[A-Z]", name):
        return bad(f"({where}) has capital letters", "write it in lower case")
    if name != name.strip() or _is_quoted(name):
        return bad(f"({where}) has spaces or quotes around it", MENDED)
    if not re.fullmatch(r"(?a)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name):
        return bad(f"({where}) is no account's name", "letters, digits and hyphens make one")
    if "--" in name:
        told = f"{name}, {where}, looks like workspace--account"
        return warning("account", told, "if it is, give what follows the two hyphens")
    return ok("account", f"{name}, {where}")


def _credentials(settings: Mapping[str, str], origins: Mapping[str, str]) -> Finding:
    """Return the first thing that is wrong with them, for the next ones often follow from it."""
    for found, advice in _mistakes(settings, origins):
        return failed("credentials", found, advice, Exit.USAGE)
    key, account = settings.get("VTEX_APP_KEY", ""), settings.get("VTEX_ACCOUNT", "")
    if TOKEN in settings:
        told = f"a user token, from {origins[TOKEN]}"
        return ok("credentials", f"{told}; VTEX lets one live for 24 hours")
    places = dict.fromkeys(f"from {origins[name]}" for name in PAIR)
    told = f"key and token, {' and '.join(places)}"
    if not key.startswith(KEY):
        advice = "VTEX's begin so: see that it is the key, and not its label"
        return warning("credentials", f"{told}; the key does not begin with {KEY}", advice)
    if account and not key.startswith(f"{KEY}{account}-"):
        advice = "this account's License Manager has to list it, with a role; or use its own"
        return warning("credentials", f"{told}; the key was made in another account", advice)
    return ok("credentials", told)


def _mistakes(settings: Mapping[str, str], origins: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in (*PAIR, TOKEN):
        if name in settings:
            yield from _of_one(f"{name} (from {origins[name]})", settings[name])
    pair = [name for name in PAIR if name in settings]
    if TOKEN in settings and pair:
        there = ", ".join(f"{name} from {origins[name]}" for name in (TOKEN, *pair))
        yield f"both a user token and a key are set: {there}", "unset the one or the other"
    if TOKEN not in settings and len(pair) < len(PAIR):
        missing = " and ".join(name for name in PAIR if name not in settings)
        advice = "export it, or name a file that has it with --env-file; or set VTEX_USER_TOKEN"
        yield f"not set: {missing}", advice
    if TOKEN not in settings and len(pair) == len(PAIR):
        key, token = (settings[name] for name in PAIR)
        if token.startswith(KEY):
            both = "holds the key, too" if key.startswith(KEY) else "and VTEX_APP_KEY are swapped"
            yield f"VTEX_APP_TOKEN {both}", "the key begins with vtexappkey-, the token does not"
        if key == settings.get("VTEX_ACCOUNT"):
            yield "VTEX_APP_KEY is the account's name", f"the key begins with {KEY}"


def _of_one(which: str, value: str) -> Iterator[tuple[str, str]]:
    if value != value.strip():
        yield f"{which} has a space or a line end around it", MENDED
    elif _is_quoted(value):
        kept = "docker --env-file and `export $(cat .env)` keep them"
        yield f"{which} has quotes around it", f"{MENDED}: {kept}"
    elif value.startswith("VTEX_"):
        yield f"{which} holds the name of a setting", "set what follows the = sign"
    elif re.fullmatch(r"<.*>|\.+|…|[xX*]+", value):
        yield f"{which} is a placeholder", "put in what License Manager shows"
    elif not re.fullmatch(r"(?a)[\x21-\x7e]{1,4096}", value):
        yield f"{which} holds a space, a line end or a letter that is not ASCII", "copy it anew"


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`"


def _host(
    settings: Mapping[str, str], origins: Mapping[str, str], *, account_is_bad: bool
) -> tuple[Finding, ClientConfig | None]:
    """Return where requests go, and whether they may: no other than https leaves this machine."""
    if account_is_bad and "VTEX_BASE_URL" not in settings:
        advice = "mend VTEX_ACCOUNT, or give --base-url"
        return failed("host", "not known without an account", advice, Exit.USAGE), None
    try:
        target = ClientConfig(
            account="unknown" if account_is_bad else settings["VTEX_ACCOUNT"],
            # Whoever looks at the host alone needs none.
            app_key="none",
            app_token="none",  # noqa: S106  so to speak
            environment=settings.get("VTEX_ENVIRONMENT", "vtexcommercestable"),
            base_url=settings.get("VTEX_BASE_URL"),
            orders_api=orders_api_of(settings),
        )
    except ConfigError as error:
        named = [n for n in ("BASE_URL", "ENVIRONMENT", "ORDERS_API") if f"VTEX_{n}" in origins]
        places = ", ".join(f"VTEX_{name} from {origins[f'VTEX_{name}']}" for name in named)
        return failed("host", str(error), f"mend {places}", Exit.USAGE), None
    where = origins.get("VTEX_BASE_URL") or origins.get("VTEX_ENVIRONMENT") or "the account"
    return ok("host", f"{target.url} ({target.orders_api}), from {where}"), target
