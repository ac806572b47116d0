"""What `vtex-invoice doctor` says of the way to the host: its name, TLS, its answer and its clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Final

import pytest

from tests.command_line import run
from tests.examined import SOUND, examined
from tests.failures import black_hole, close_at_once, facing, port_of, tls_before
from tests.raw_server import Act, RawServer, answer, raw_server, read_request, reply_with
from tests.test_failures_connecting import CERTIFICATE, EXPIRED, ITS_KEY, refused
from vtex_invoice_async.cli.doctor.finding import Status
from vtex_invoice_async.cli.doctor.host import clock_finding, proxy_finding
from vtex_invoice_async.jobs.summary import Exit
from vtex_invoice_async.sandbox import Sandbox

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("place", "name", "told"),
    [
        pytest.param(lambda: nullcontext(0), "dns", "vtex.invalid is not found", id="no name"),
        pytest.param(refused, "connection", "Connection refused", id="refused"),
        pytest.param(black_hole, "connection", "does not answer", id="a black hole"),
    ],
)
async def test_what_keeps_it_from_a_connection_is_told_and_what_follows_is_skipped(
    place: Callable[[], AbstractContextManager[int]], name: str, told: str
) -> None:
    with place() as port:
        url = f"http://127.0.0.1:{port}" if port else "https://vtex.invalid"
        began = time.monotonic()
        found = await examined(SOUND | {"VTEX_BASE_URL": url}, seconds=1)
        seconds = time.monotonic() - began

    assert found.failed == [name]
    assert told in found[name].found
    assert found.code == Exit.UNANSWERED
    after = ["dns", "connection", "tls", "answer", "clock", "permission"]
    assert [n for n in found.skipped if n in after] == after[after.index(name) + 1 :]
    assert found["tls"].found == f"{name} failed"
    # The time is for all of it.
    assert seconds < 3


async def test_a_host_that_never_answers_is_given_up_in_time() -> None:
    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            server.record(await read_request(reader))
            await asyncio.Event().wait()

        return act

    async with raw_server(bind) as server:
        began = time.monotonic()
        found = await examined(SOUND | {"VTEX_BASE_URL": server.url}, seconds=0.5)
        seconds = time.monotonic() - began

    assert found.failed == ["answer"]
    assert found.code == Exit.UNANSWERED
    assert seconds < 2


async def test_what_does_not_speak_http_is_told() -> None:
    async with raw_server(reply_with(b"220 mail.example ESMTP\r\n\r\n")) as server:
        found = await examined(SOUND | {"VTEX_BASE_URL": server.url})

    assert found.failed == ["answer"]
    assert "does not speak HTTP" in found["answer"].found


async def test_a_certificate_is_told_and_where_its_authority_comes_from(
    sandbox: Sandbox,
) -> None:
    async with tls_before(port_of(sandbox), CERTIFICATE) as port:
        environ = {**sandbox.environ, "VTEX_BASE_URL": f"https://localhost:{port}"}
        # The client of this process has its authorities from before.
        found = await examined(environ | {"SSL_CERT_FILE": str(CERTIFICATE)})
        alone = await run("doctor", environ=environ | {"SSL_CERT_FILE": str(CERTIFICATE)})

    assert alone.code == 0
    assert "ok       permission: orders can be read" in alone.stderr
    assert found["tls"].status is Status.OK
    assert re.fullmatch(
        r"TLSv1\.[23]; localhost, by localhost, until 2126-10-29 "
        r"\(authorities from SSL_CERT_FILE\)",
        found["tls"].found,
    )
    assert found["clock"].status is Status.OK


async def test_a_certificate_that_ends_soon_is_a_warning(sandbox: Sandbox) -> None:
    ends = datetime(2126, 10, 29, 10, 10, 58, tzinfo=UTC)
    async with tls_before(port_of(sandbox), CERTIFICATE) as port:
        environ = {**sandbox.environ, "VTEX_BASE_URL": f"https://localhost:{port}"}
        environ["SSL_CERT_FILE"] = str(CERTIFICATE)
        soon = await examined(environ, clock=ends - timedelta(days=13, hours=1))
        later = await examined(environ, clock=ends - timedelta(days=15))

    assert soon["tls"].status is Status.WARNING
    assert soon["tls"].found.endswith("13 days are left")
    assert later["tls"].status is Status.OK
    # And by that clock something else is wrong.
    assert "clock" in later.failed


@pytest.mark.parametrize(
    ("host", "trusted", "told", "advice"),
    [
        ("localhost", False, "self-signed", "SSL_CERT_FILE"),
        ("127.0.0.2", True, "mismatch", "VTEX_BASE_URL"),
        ("localhost", True, "expired", "clock"),
    ],
    ids=["an unknown authority", "another name", "expired"],
)
async def test_a_certificate_that_is_not_good_says_why(
    host: str, trusted: bool, told: str, advice: str, tmp_path: Path
) -> None:
    expired = tmp_path / "expired.pem"
    expired.write_text(EXPIRED)
    expired.with_suffix(".key").write_text(ITS_KEY)
    certificate = expired if told == "expired" else CERTIFICATE
    async with Sandbox(orders=1) as sandbox, tls_before(port_of(sandbox), certificate) as port:
        environ = {**sandbox.environ, "VTEX_BASE_URL": f"https://{host}:{port}"}
        if trusted:
            environ["SSL_CERT_FILE"] = str(certificate)
        found = await examined(environ)

    assert found.failed == ["tls"]
    assert found.code == Exit.UNANSWERED
    assert told in found["tls"].found
    assert advice in (found["tls"].advice or "")


async def test_tls_to_a_plain_port_and_one_that_hangs_up_are_told() -> None:
    async with Sandbox(orders=1) as sandbox:
        url = sandbox.url.replace("http:", "https:")
        plain = await examined({**sandbox.environ, "VTEX_BASE_URL": url})
    async with facing(*[close_at_once] * 3) as (_, server, _):
        url = server.url.replace("http:", "https:")
        closed = await examined(SOUND | {"VTEX_BASE_URL": url})

    for found in (plain, closed):
        assert found.failed == ["tls"]
        assert found["tls"].found.startswith("the handshake failed: ")
        assert found.code == Exit.UNANSWERED


@pytest.mark.parametrize(
    ("seconds", "status", "code", "told"),
    [
        (0, Status.OK, 0, "agrees"),
        (29, Status.OK, 0, "29 s ahead of"),
        (31, Status.WARNING, 0, "31 s ahead of"),
        (-31, Status.WARNING, 0, "31 s behind"),
        (-299, Status.WARNING, 0, "299 s behind"),
        (301, Status.FAILED, Exit.USAGE, "301 s ahead of"),
        (-86_400, Status.FAILED, Exit.USAGE, "86,400 s behind"),
    ],
)
def test_a_wrong_clock_is_told_with_its_direction(
    seconds: float, status: Status, code: int, told: str
) -> None:
    found = clock_finding(NOW, NOW + timedelta(seconds=seconds))

    assert (found.status, found.code) == (status, code)
    assert told in found.found


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (lambda now: f"Date: {format_datetime(now, usegmt=True)}\r\n", Status.OK),
        (
            lambda now: f"Date: {format_datetime(now - timedelta(hours=1), usegmt=True)}\r\n",
            Status.FAILED,
        ),
        (
            # What a cache has kept for so long says nothing against our clock.
            lambda now: (
                f"Date: {format_datetime(now - timedelta(hours=1), usegmt=True)}\r\nAge: 3600\r\n"
            ),
            Status.OK,
        ),
        (lambda _: "", Status.WARNING),
        (lambda _: "Date: yesterday\r\n", Status.WARNING),
    ],
    ids=["right", "an hour behind", "kept", "none", "nonsense"],
)
async def test_the_clock_is_compared_with_the_date_of_an_answer(
    headers: Callable[[datetime], str], status: Status
) -> None:
    body = b'{"error":{"code":"OMS007","message":"Order Not Found","exception":null}}'
    reply = answer(body, status="404 Not Found", headers=headers(datetime.now(UTC)))

    async with raw_server(reply_with(reply)) as server:
        found = await examined(SOUND | {"VTEX_BASE_URL": server.url})

    assert found["clock"].status is status
    assert found["permission"].status is Status.OK


def test_a_proxy_of_the_environment_is_not_used_and_its_password_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://user:PASSWORD@proxy.example:3128")

    outside = proxy_finding("acme.example", 443, is_loopback=False)
    here = proxy_finding("127.0.0.1", 8080, is_loopback=True)

    assert outside.status is Status.WARNING
    assert outside.found.startswith("https_proxy is set, and is not used")
    assert "acme.example:443" in (outside.advice or "")
    assert "PASSWORD" not in f"{outside} {here}"
    assert here.status is Status.OK
