"""The shared pool of connections to one account's host, and the proof of what left.

aiohttp stays inside this module: requests come in and replies go out as plain values, and no
exception of aiohttp, which would carry the credentials, ever leaves it.
"""

from __future__ import annotations

import math
import os
import ssl
from asyncio import AbstractEventLoop, CancelledError, Lock, current_task, get_running_loop, timeout
from functools import cache, partial
from io import BytesIO
from typing import Any, Final, TypeAlias

import aiohttp
from attrs import evolve, frozen
from yarl import URL

from vtex_invoice_async.config import LOOKS_AT_ONCE, ClientConfig, Credentials, Timeouts
from vtex_invoice_async.deadlines import Deadline, Deadlines, Durations
from vtex_invoice_async.echoes import Echoes
from vtex_invoice_async.errors import ConfigError
from vtex_invoice_async.evidence import Mark, MarkedRequest, SentBeforeError, current
from vtex_invoice_async.messages import NoReply, Reply, Request

__all__ = ["Connector", "Transport"]

Connector: TypeAlias = aiohttp.BaseConnector
"""What makes and keeps connections, such as `aiohttp.TCPConnector(limit=200)`."""

READ_SIZE: Final = 2**16
LARGE: Final = 3 * 2**14
"""Bytes of a body above which aiohttp writes it in pieces, beside reading: a VTEX that answers early
need not take all of it. What is shorter, with its headers, asyncio takes without waiting.
"""


class _PieceTimeoutError(TimeoutError):
    """The next piece of an answer did not come in time."""


@frozen(eq=False)
class _Limits:
    """How long an attempt may take, and the timers for that."""

    timeouts: Timeouts
    attempts: Deadlines
    pieces: Deadlines
    connecting: aiohttp.ClientTimeout


class Transport:
    """One aiohttp session, bound to the loop and process that opened it.

    Its connections are its own, or those of a *connector* that others use too, and that stays open.
    """

    def __init__(self, config: ClientConfig, connector: Connector | None = None) -> None:
        if connector is not None and not isinstance(connector, Connector):
            raise ConfigError(
                "connector must be aiohttp's, such as aiohttp.TCPConnector(limit=200)"
            )
        self._config = config
        self._shared = connector
        self._url = config.url
        # Both are taken as they are written: yarl would write an IPv6 address in its own way.
        self._origin = URL(config.url, encoded=True).origin()
        _, slash, prefix = config.url.partition("://")[2].partition("/")
        self._prefix = slash + prefix
        self._headers: dict[str, str] = {}
        self._head = ""
        """The headers, as they are sent."""
        self._alike: dict[str, dict[str, Any]] = {}
        self._given: tuple[tuple[str, ...], ...] = ()
        self._echoes = Echoes(())
        self._asking = Lock()
        self._age = 0
        """How many credentials it was given so far."""
        if (fixed := config.fixed_credentials) is not None:
            self._use(fixed)
        self._pid = 0
        self._loop: AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None

    def _use(self, credentials: Credentials) -> None:
        authentication = _authentication(credentials)
        # Nothing compressed is asked for; what comes so all the same is counted as it is inflated.
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
            "Content-Type": "application/json",
            "User-Agent": "vtex-invoice-async",
            **authentication,
        }
        lines = {"Host": self._origin.host_port_subcomponent, **self._headers}.items()
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines)
        # What was sent with the last ones may still be answered.
        self._given = (*self._given[-1:], tuple(authentication.values()))
        self._echoes = Echoes(self._given)
        self._age += 1

    async def renew(self, age: int, timeouts: Timeouts) -> str | None:
        """Ask for credentials, unless there are newer ones than of *age*; return why there are none.

        Calls that were refused together are helped by one renewal; each waits as long as it may.
        """
        ask = self._config.credentials
        if ask is None:
            return "the credentials are fixed"
        try:
            async with timeout(timeouts.total), self._asking:
                if self._age > age:
                    return None
                found = await ask()
        except CancelledError:
            if _is_being_cancelled():
                raise
            return "the credentials could not be had (cancelled)"
        except Exception as error:  # noqa: BLE001  whatever a user's code raises; its words may tell secrets
            return f"the credentials could not be had ({type(error).__name__})"
        if not isinstance(found, Credentials):
            return "the credentials could not be had (what was returned is no Credentials)"
        if self._age <= age:
            self._use(found)
        return None

    def open(self) -> None:
        """Make the session in the running loop; connections are opened as they are needed."""
        if self._session is not None:
            raise ConfigError("this client is open already; enter it once")
        if self._loop is not None:
            raise ConfigError("this client was closed; make a new one")
        loop, timeouts = get_running_loop(), self._config.timeouts
        self._session = self._made_session()
        self._pid, self._loop = os.getpid(), loop
        self._attempts = Durations(loop, timeouts.total, TimeoutError)
        self._pieces = Durations(loop, timeouts.read, _PieceTimeoutError)
        self._usual = self._limits_of(timeouts)

    def _made_session(self) -> aiohttp.ClientSession:
        connector, self._ssl = self._shared, self._config.ssl_context or True
        if connector is None:
            connector = aiohttp.TCPConnector(limit=self._config.max_concurrency + LOOKS_AT_ONCE)
        elif connector.closed:
            raise ConfigError(
                "the connector is closed: keep it open for as long as its clients are"
            )
        elif self._ssl is True and self._origin.scheme == "https":
            # How it trusts others is no matter here.
            self._ssl = _trusting_the_system()
        try:
            return aiohttp.ClientSession(
                request_class=MarkedRequest,
                connector=connector,
                # Else it would be the connector's, whichever runs.
                loop=get_running_loop(),
                connector_owner=self._shared is None,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                raise_for_status=False,
            )
        except RuntimeError:
            told = "the connector belongs to another event loop: make it in the one that uses it"
            raise ConfigError(told) from None

    def _limits_of(self, timeouts: Timeouts) -> _Limits:
        return _Limits(
            timeouts=timeouts,
            attempts=self._attempts.of(timeouts.total),
            pieces=self._pieces.of(timeouts.read),
            # Its own total would swallow a cancellation that comes in the same moment.
            connecting=aiohttp.ClientTimeout(
                connect=timeouts.connect, total=None, ceil_threshold=math.inf
            ),
        )

    @property
    def is_usable(self) -> bool:
        """Whether a request could be sent, here and now."""
        # A forked child has no running loop to ask for.
        return (
            self._session is not None
            and self._pid == os.getpid()
            and self._loop is get_running_loop()
        )

    def blot(self, text: str) -> str:
        """Return *text* without the credentials, which an answer may echo."""
        return self._echoes.blot(text)

    async def aclose(self) -> None:
        """Close every connection; safe to call twice.

        In another loop or in a forked child it does nothing: the connections are not theirs, and
        closing them there would disturb their owner.
        """
        if self._session is not None and self.is_usable:
            session, self._session = self._session, None
            try:
                if self._shared is not None:
                    # What is in flight ends; what else the connector has is none of its business.
                    await self._attempts.expire_all()
            finally:
                await session.close()

    def check_usable(self) -> aiohttp.ClientSession:
        """Return the session, or raise `ConfigError` where nothing can be sent here and now."""
        session = self._session
        if session is not None and self._pid == os.getpid() and self._loop is get_running_loop():
            if self._shared is not None and self._shared.closed:
                raise ConfigError("the connector of this client was closed; nothing was sent")
            return session
        if session is None:
            state = "was closed" if self._loop else "is not open; use `async with`"
            raise ConfigError(f"this client {state}; nothing was sent")
        raise ConfigError(
            "this client belongs to another event loop or to the parent process; "
            "make one in each; nothing was sent"
        )

    async def send(
        self, request: Request, mark: Mark, timeouts: Timeouts | None = None
    ) -> Reply | NoReply:
        """Send *request* once, with a new *mark*, and return what came back, whatever it was.

        Without *timeouts*, the client's own hold.
        """
        session, timeouts = self.check_usable(), timeouts or self._config.timeouts
        if not self._headers:
            if reason := await self.renew(0, timeouts):
                return NoReply(reason=reason, bytes_left=False, tried=False)
            session = self.check_usable()
        # Not before something is awaited: timers that are not in use are forgotten.
        is_usual = timeouts is self._usual.timeouts
        limits = self._usual if is_usual else self._limits_of(timeouts)
        mark.age = self._age
        mark.message = self._message(request)
        current.set(mark)
        try:
            return await self._exchange(session, request, mark, limits)
        except CancelledError:
            if _is_being_cancelled():
                raise
            # Not the caller's: closing the session cancels a lookup of the host's name.
            return NoReply(reason="the client was closed", bytes_left=mark.bytes_left)
        except Exception as error:
            if mark.objection is not None:
                raise mark.objection from None
            # A bug of ours before anything left is a bug; after that it leaves an outcome in doubt.
            if not mark.bytes_left and not isinstance(error, aiohttp.ClientError | OSError):
                raise
            reason = self._reason(error, limits.timeouts)
            return NoReply(reason=reason, bytes_left=mark.bytes_left, status=mark.status)
        finally:
            # The task has the mark for as long as it lives, and needs no more of it than the proof.
            mark.message = mark.alike = mark.on_leaving = None

    async def _exchange(
        self, session: aiohttp.ClientSession, request: Request, mark: Mark, limits: _Limits
    ) -> Reply | NoReply:
        response: aiohttp.ClientResponse | None = None
        with Deadline() as deadline:
            limits.attempts.set(deadline)
            try:
                if mark.message is None:
                    response = await self._send_by_aiohttp(session, request, limits)
                else:
                    mark.alike = self._alike
                    mark.on_leaving = partial(limits.pieces.set, deadline)
                    # Where it goes is all that aiohttp has to know.
                    response = await session.request(
                        request.method,
                        self._origin,
                        allow_redirects=False,
                        timeout=limits.connecting,
                        ssl=self._ssl,
                    )
                mark.status = response.status
                body = await _read(response, request.reply_limit, limits.pieces, deadline)
            finally:
                limits.attempts.remove(deadline)
                limits.pieces.remove(deadline)
                # An answer that was read to its end has closed itself.
                if response is not None and not response.closed:
                    response.close()
        if body is None:
            reason = f"the answer is longer than {request.reply_limit} bytes"
            return NoReply(reason=reason, bytes_left=True, status=mark.status)
        return Reply(status=response.status, headers=response.headers, body=body)

    def _message(self, request: Request) -> bytes | None:
        """Return the bytes of a request; None where aiohttp has to write it."""
        path, body = request.path, request.body
        # What is refused here would end in another host, or in another header.
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
            raise ConfigError("a request for another host; its credentials stay here")
        if self._config.proxy is not None or (body is not None and len(body) > LARGE):
            return None
        head = f"{request.method} {self._prefix}{path} HTTP/1.1\r\n{self._head}"
        if body is None:
            length = "" if request.method == "GET" else "Content-Length: 0\r\n"
            return f"{head}{length}\r\n".encode()
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def _send_by_aiohttp(
        self, session: aiohttp.ClientSession, request: Request, limits: _Limits
    ) -> aiohttp.ClientResponse:
        body = request.body
        return await session.request(
            request.method,
            URL(self._url + request.path, encoded=True),
            # A large one in pieces.
            data=BytesIO(body) if body is not None and len(body) > LARGE else body,
            headers=self._headers,
            allow_redirects=False,
            proxy=self._config.proxy,
            timeout=evolve(limits.connecting, sock_read=limits.timeouts.read),
            ssl=self._ssl,
        )

    def _reason(self, error: Exception, timeouts: Timeouts) -> str:
        """Say in our own words what happened: aiohttp's may name a proxy's password."""
        host = self._origin.host
        # That of a client's own connector is never too small for it, and 0 is none.
        most = 0 if self._shared is None else self._shared.limit
        shared = f" (connector with a limit of {most})" if most else ""
        words: dict[type[Exception], str] = {
            aiohttp.ClientConnectorDNSError: f"the name {host} was not found",
            aiohttp.ClientConnectorCertificateError: f"the certificate of {host} is not trusted",
            aiohttp.ClientSSLError: f"TLS with {host} failed",
            aiohttp.ClientProxyConnectionError: "the proxy could not be reached",
            aiohttp.ClientHttpProxyError: "the proxy refused",
            aiohttp.ClientConnectorError: f"{host} could not be reached",
            aiohttp.ConnectionTimeoutError: f"no connection within {timeouts.connect:g} s{shared}",
            aiohttp.ServerTimeoutError: f"no answer for {timeouts.read} s",
            _PieceTimeoutError: f"no answer for {timeouts.read} s",
            TimeoutError: f"no answer within {timeouts.total} s",
            aiohttp.ServerDisconnectedError: "the connection was closed before an answer came",
            aiohttp.ClientConnectionResetError: "the connection went before anything was sent",
            aiohttp.ClientPayloadError: "the answer broke off",
            aiohttp.ClientResponseError: "the answer was not HTTP",
            SentBeforeError: "the connection was closed before an answer came",
            aiohttp.ClientOSError: "the connection broke",
        }
        if self._session is None:
            return "the client was closed"
        told = next((text for kind, text in words.items() if isinstance(error, kind)), None)
        told = told or f"the call failed ({type(error).__name__})"
        number = getattr(error, "errno", None)
        # The numbers of TLS are its own.
        if isinstance(error, aiohttp.ClientSSLError) or not isinstance(number, int) or number <= 0:
            return told
        return f"{told} ({os.strerror(number)})"


async def _read(
    response: aiohttp.ClientResponse, limit: int, pieces: Deadlines, deadline: Deadline
) -> bytes | None:
    """Return the whole body, or None where it is longer than *limit*."""
    content, chunks, length = response.content, [], 0
    while not content.is_eof() and length <= limit:
        pieces.set(deadline)
        chunks.append(await content.read(READ_SIZE))
        length += len(chunks[-1])
    # The rest, which is all of a short answer, is there already.
    chunks.append(content.read_nowait())
    return None if length + len(chunks[-1]) > limit else b"".join(chunks)


@cache
def _trusting_the_system() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context


def _authentication(credentials: Credentials) -> dict[str, str]:
    # https://developers.vtex.com/docs/guides/authentication
    if credentials.user_token is not None:
        return {"VtexIdclientAutCookie": credentials.user_token}
    return {
        "X-VTEX-API-AppKey": credentials.app_key or "",
        "X-VTEX-API-AppToken": credentials.app_token or "",
    }


def _is_being_cancelled() -> bool:
    task = current_task()
    return task is None or task.cancelling() > 0
