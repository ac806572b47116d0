"""Whether the host can be reached: its name, a connection, its certificate, an answer, its clock.

One connection of its own shows what no client tells: nothing but a GET without credentials is sent on
it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from attrs import frozen

from vtex_invoice_async.cli.doctor.finding import Finding, Tell, failed, ok, skipped, warning
from vtex_invoice_async.errors import printable
from vtex_invoice_async.jobs.summary import Exit

__all__ = [
    "UNKNOWN_ORDER",
    "Clock",
    "clock_finding",
    "look_at_host",
    "proxy_finding",
    "tls_finding",
]

Clock: TypeAlias = Callable[[], datetime]

UNKNOWN_ORDER: Final = "0000000000000-00"
"""The id of an order that cannot exist: VTEX counts from 1."""

NAMES: Final = ("proxy", "dns", "connection", "tls", "answer", "clock")
PROXIES: Final = (
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)
AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Which OpenSSL reads by itself."""

SOON: Final = timedelta(days=14)
SKEW_WORTH_A_LOOK: Final = timedelta(seconds=30)
MOST_SKEW: Final = timedelta(minutes=5)
PATIENCE: Final = 5.0
"""Seconds for one address of a host, of which there may be others."""

# OpenSSL's numbers of what is wrong with a certificate.
_ADVICE: Final = {
    9: "it is not valid yet: set this machine's clock",
    10: "it has expired: set this machine's clock, or have the host's certificate renewed",
    62: "it is for another name: check VTEX_BASE_URL",
    64: "it is for another address: check VTEX_BASE_URL",
}
_UNTRUSTED: Final = (
    "if a proxy of your company stands between, put its authority's certificate into a file and name "
    "that in SSL_CERT_FILE"
)

Address: TypeAlias = tuple[Any, ...]


class _FailedError(Exception):
    """A check failed, and those that come after it cannot be made."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found)
        self.finding = finding


@frozen
class _Target:
    """Where to connect."""

    host: str
    port: int
    prefix: str
    is_tls: bool
    until: float
    """By the loop's clock."""

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return self.host == "localhost"

    def late(self, name: str, doing: str) -> Finding:
        """Return that the time was up."""
        advice = "see what blocks the way: a firewall, a proxy; or give more --timeout"
        return failed(name, f"{doing} took longer than there was time", advice, Exit.UNANSWERED)


async def look_at_host(url: str, until: float, clock: Clock, tell: Tell) -> bool:
    """Tell of each step on the way to the host at *url*; return whether it answered."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    target = _Target(parts.hostname or "", port, parts.path, is_tls, until)
    told: list[str] = []

    def note(finding: Finding) -> None:
        told.append(finding.name)
        tell(finding)

    note(proxy_finding(target.host, target.port, is_loopback=target.is_loopback))
    try:
        await _reach(target, clock, note)
    except _FailedError as error:
        note(error.finding)
        for name in NAMES:
            if name not in told:
                tell(skipped(name, f"{error.finding.name} failed"))
        return False
    return True


def proxy_finding(host: str, port: int, *, is_loopback: bool) -> Finding:
    """Say whether the environment names a proxy, which nothing here takes from it."""
    named = [name for name in PROXIES if os.environ.get(name)]
    if not named or is_loopback:
        return ok("proxy", "none: requests go straight to the host")
    told = f"{', '.join(named)} is set, and is not used: requests go straight to the host"
    advice = f"let this machine reach {host}:{port}; a program can set ClientConfig(proxy=...)"
    return warning("proxy", told, advice)


async def _reach(target: _Target, clock: Clock, tell: Tell) -> None:
    addresses = await _resolved(target)
    tell(ok("dns", _told_of(target.host, addresses)))
    sock, where = await _connected(target, addresses)
    tell(ok("connection", f"to {where}"))
    reader, writer = await _spoken_to(target, sock)
    try:
        certificate = writer.get_extra_info("ssl_object")
        if certificate is None:
            tell(ok("tls", "none is needed on loopback"))
        else:
            tell(tls_finding(certificate.getpeercert(), certificate.version(), clock()))
        date, answered = await _asked(target, reader, writer, clock, tell)
        tell(clock_finding(date, answered))
    finally:
        writer.close()


def _told_of(host: str, addresses: Sequence[Address]) -> str:
    found = list(dict.fromkeys(str(address[4][0]) for address in addresses))
    if found == [host]:
        return f"{host} is an address"
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"{host} is {', '.join(found[:3])}{more}"


async def _resolved(target: _Target) -> Sequence[Address]:
    """Look the name up, in a thread that nobody waits for: the system may take minutes."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[Address]] = loop.create_future()

    def tell(addresses: Sequence[Address], error: OSError | None) -> None:
        if found.done():
            return
        if error is None:
            found.set_result(addresses)
        else:
            found.set_exception(error)

    def look_up() -> None:
        addresses: Sequence[Address] = ()
        wrong: OSError | None = None
        try:
            addresses = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError as error:
            wrong = error
        except UnicodeError:
            wrong = OSError("it is no name")
        with suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(tell, addresses, wrong)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        async with asyncio.timeout_at(target.until):
            return await found
    except TimeoutError:
        raise _FailedError(target.late("dns", f"to look {target.host} up")) from None
    except OSError as error:
        told = f"{target.host} is not found ({error.strerror or error})"
        advice = "check VTEX_ACCOUNT and VTEX_BASE_URL, and this machine's DNS"
        raise _FailedError(failed("dns", told, advice, Exit.UNANSWERED)) from None


async def _connected(target: _Target, addresses: Sequence[Address]) -> tuple[socket.socket, str]:
    loop = asyncio.get_running_loop()
    wrong = ""
    for family, kind, protocol, _, address in addresses:
        where = f"{address[0]} port {address[1]}"
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            async with asyncio.timeout_at(min(target.until, loop.time() + PATIENCE)):
                await loop.sock_connect(sock, address)
        except TimeoutError:
            wrong = f"{where} does not answer"
        except OSError as error:
            wrong = f"{where}: {os.strerror(error.errno or 0)}"
        else:
            return sock, where
        sock.close()
    advice = f"let this machine through to {target.host}:{target.port}, past its firewall"
    if target.is_loopback:
        advice = "start what listens there, such as `vtex-invoice sandbox`, or check VTEX_BASE_URL"
    raise _FailedError(failed("connection", wrong, advice, Exit.UNANSWERED))


async def _spoken_to(
    target: _Target, sock: socket.socket
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the connection ready for HTTP, its TLS negotiated as the client has it."""
    if not target.is_tls:
        return await asyncio.open_connection(sock=sock)
    context = ssl.create_default_context()
    try:
        async with asyncio.timeout_at(target.until):
            return await asyncio.open_connection(
                sock=sock, ssl=context, server_hostname=target.host
            )
    except TimeoutError:
        raise _FailedError(target.late("tls", "the handshake")) from None
    except ssl.SSLCertVerificationError as error:
        told = f"the certificate is not trusted: {printable(error.verify_message, 100)}"
        told += _own_authorities()
        advice = _ADVICE.get(error.verify_code, _UNTRUSTED)
        raise _FailedError(failed("tls", told, advice, Exit.UNANSWERED)) from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "reason", None) or "the connection was closed"
        told = f"the handshake failed: {printable(str(reason), 60)}"
        advice = "see that VTEX_BASE_URL names a port of https, and what stands between"
        raise _FailedError(failed("tls", told, advice, Exit.UNANSWERED)) from None


def _own_authorities() -> str:
    named = [name for name in AUTHORITIES if os.environ.get(name)]
    return f" (authorities from {', '.join(named)})" if named else ""


def tls_finding(certificate: Any, version: str | None, now: datetime) -> Finding:  # noqa: ANN401  a dict of tuples of tuples
    """Tell of a certificate that is trusted, and when it ends."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    subject, issuer = (_named(certificate.get(part, ())) for part in ("subject", "issuer"))
    told = f"{version}; {subject}, by {issuer}, until {ends:%Y-%m-%d}{_own_authorities()}"
    if ends - now < SOON:
        days = (ends - now).days
        advice = "have it renewed: nothing can be sent once it has expired"
        return warning("tls", f"{told}: {days} days are left", advice)
    return ok("tls", told)


def _named(parts: Sequence[Sequence[tuple[str, str]]]) -> str:
    found = {name: value for part in parts for name, value in part}
    name = found.get("commonName") or found.get("organizationName") or "an unnamed one"
    return printable(name, 80)


async def _asked(
    target: _Target,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    clock: Clock,
    tell: Tell,
) -> tuple[datetime | None, datetime]:
    """Ask without credentials; return the date of the answer, and when it came by our clock."""
    request = (
        f"GET {target.prefix}/api/oms/pvt/orders/{UNKNOWN_ORDER} HTTP/1.1\r\n"
        f"Host: {_bracketed(target.host)}:{target.port}\r\nAccept: application/json\r\n"
        "Cache-Control: no-cache\r\nUser-Agent: vtex-invoice-async\r\nConnection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    asked = loop.time()
    try:
        async with asyncio.timeout_at(target.until):
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        raise _FailedError(target.late("answer", "an answer to a GET")) from None
    except (OSError, asyncio.LimitOverrunError):
        head = b""
    except asyncio.IncompleteReadError as error:
        head = error.partial
    seconds = loop.time() - asked
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1."):
        advice = "see what listens there: VTEX_BASE_URL has to name VTEX, or a sandbox"
        told = "what answers does not speak HTTP" if head else "the connection went, unanswered"
        raise _FailedError(failed("answer", told, advice, Exit.UNANSWERED))
    status = printable(first.partition(" ")[2], 40)
    tell(ok("answer", f"{status}, without credentials, after {1_000 * seconds:.0f} ms"))
    # What it says is about as old as half of the way.
    return _date_in(lines), clock() - timedelta(seconds=seconds / 2)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _date_in(lines: Sequence[str]) -> datetime | None:
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
    }
    try:
        date = parsedate_to_datetime(headers["date"]).astimezone(UTC)
        # A cache keeps the date along with what it kept.
        return date + timedelta(seconds=int(headers.get("age", "0")))
    except (KeyError, ValueError, OverflowError):
        return None


def clock_finding(date: datetime | None, now: datetime) -> Finding:
    """Compare our clock with the date of an answer, which has whole seconds."""
    if date is None:
        advice = "compare this machine's clock with another one"
        return warning("clock", "the answer has no date to compare it with", advice)
    skew = now - date
    seconds = abs(skew.total_seconds())
    way = "ahead of" if skew > timedelta() else "behind"
    told = f"this machine's clock is {seconds:,.0f} s {way} the host's"
    advice = "set it by NTP (timedatectl set-ntp true)"
    if abs(skew) > MOST_SKEW:
        return failed("clock", told, advice, Exit.USAGE)
    if abs(skew) > SKEW_WORTH_A_LOOK:
        return warning("clock", told, advice)
    return ok("clock", "this machine's agrees with the host's" if seconds < 2 else told)
