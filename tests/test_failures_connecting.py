"""What keeps a client from its server: whatever it is, nothing was sent, and all of it says so.

The numbers are those of the list of failures that this client was designed against.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.failures import (
    POSTED,
    Deed,
    black_hole,
    brief,
    close_at_once,
    copy,
    ended,
    facing,
    port_of,
    reset_at_once,
    tls_before,
    told,
)
from tests.raw_server import Act, RawServer, answer, raw_server, read_request, reply_with
from vtex_invoice_async import Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import NotSent
from vtex_invoice_async.events import Event, Retrying
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

CERTIFICATE: Final = Path(__file__).parent / "tls" / "localhost.pem"

# For `localhost`, and for a day of the year 2020.
EXPIRED: Final = """\
-----BEGIN CERTIFICATE-----
MIIBWzCCAQKgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMjAwMTAxMDAwMDAwWhcNMjAwMTAyMDAwMDAwWjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQR7IjHM4lA6AF3txqV
RD3BGyoc2N1V2q39qPrsJ6C0zyQ6kZcA9sBMY2VnPdxMwq6rTtu+suGx29g1hENP
N6Avo0UwQzAUBgNVHREEDTALgglsb2NhbGhvc3QwDAYDVR0TBAUwAwEB/zAdBgNV
HQ4EFgQUjdAUe91wolISha3SXMHY4ZNab08wCgYIKoZIzj0EAwIDRwAwRAIga+UA
MSjeCSViHe/aelNAkv0NC5NNS987VbHoNjrAIDECIEpwnDkkX5yVuxV9TEyvntjy
cci8N1v7LoEqF3BlNkuX
-----END CERTIFICATE-----
"""
ITS_KEY: Final = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICCpxqY8ipuqyWLyVQ0A/ChGlY4D0QFmavMBv9DuWQyuoAoGCCqGSM49
AwEHoUQDQgAEEeyIxzOJQOgBd7calUQ9wRsqHNjdVdqt/aj67CegtM8kOpGXAPbA
TGNlZz3cTMKuq07bvrLhsdvYNYRDTzegLw==
-----END EC PRIVATE KEY-----
"""

QUICK: Final = brief(max_attempts=3, first_wait=0.01)
ALL_IN_ALL: Final = Timeouts(connect=5, read=5, total=0.1)
TO_CONNECT: Final = Timeouts(connect=0.1, read=5, total=5)


@contextmanager
def refused() -> Iterator[int]:
    """A port that is taken by somebody who does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("place", "timeouts", "why"),
    [
        pytest.param(lambda: nullcontext(0), TO_CONNECT, "not found", id="1 no such name"),
        pytest.param(refused, TO_CONNECT, "Connection refused", id="3 refused"),
        pytest.param(black_hole, TO_CONNECT, "within 0.1 s", id="4 a black hole"),
        pytest.param(black_hole, ALL_IN_ALL, "within 0.1 s", id="16 no time left to connect"),
    ],
)
async def test_where_there_is_no_connection_it_is_tried_again_and_not_sent(
    place: Callable[[], AbstractContextManager[int]], timeouts: Timeouts, why: str
) -> None:
    async with Sandbox(orders=1) as sandbox:
        with place() as port:
            url = f"http://127.0.0.1:{port}" if port else "https://vtex.invalid"
            config = evolve(sandbox.config, base_url=url, timeouts=timeouts, retry=QUICK)
            async with VtexInvoiceClient(config) as client:
                found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))
                left = client.in_doubt()

    assert isinstance(found.result, NotSent)
    assert why in str(found.result)
    assert found.result.attempts == 3
    assert left == ()


async def test_3_a_server_that_comes_back_gets_the_invoice_once() -> None:
    with refused() as port:
        sandbox = Sandbox(orders=1, port=port)
    tried = asyncio.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Retrying):
            tried.set()

    async with sandbox:
        settings = evolve(sandbox.config, retry=brief(first_wait=0.2))
    async with VtexInvoiceClient(settings, observe=watch) as client:
        call = asyncio.create_task(told(client, job_for(sandbox.orders[0])))
        await tried.wait()
        async with sandbox:
            found = ended(sandbox, await call)

    assert found.how == "confirmed by response"
    assert (found.posts, found.applied) == (1, 1)


async def test_5_to_wait_for_a_free_connection_is_no_timeout() -> None:
    slow = Fault(do=Do.DELAY, on=POSTED, rate=1, seconds=0.15)
    async with Sandbox(orders=4, faults=[slow]) as sandbox:
        config = evolve(sandbox.config, max_concurrency=1, timeouts=TO_CONNECT)
        async with VtexInvoiceClient(config) as client:
            calls = [told(client, job_for(order)) for order in sandbox.orders]
            found = [ended(sandbox, result) for result in await asyncio.gather(*calls)]

    assert [each.how for each in found] == ["confirmed by response"] * 4
    assert (found[0].posts, found[0].applied) == (4, 4)


@pytest.mark.parametrize(
    ("host", "trusted", "is_expired"),
    [
        pytest.param("localhost", False, False, id="6 an unknown authority"),
        pytest.param("127.0.0.2", True, False, id="6 another name"),
        pytest.param("localhost", True, True, id="6 expired"),
    ],
)
async def test_a_certificate_that_is_not_good_gets_nothing(
    host: str, trusted: bool, is_expired: bool, tmp_path: Path
) -> None:
    expired = tmp_path / "expired.pem"
    expired.write_text(EXPIRED)
    expired.with_suffix(".key").write_text(ITS_KEY)
    certificate = expired if is_expired else CERTIFICATE
    trusting = ssl.create_default_context(cafile=certificate) if trusted else None
    async with Sandbox(orders=1) as sandbox, tls_before(port_of(sandbox), certificate) as port:
        config = evolve(
            sandbox.config, base_url=f"https://{host}:{port}", retry=QUICK, ssl_context=trusting
        )
        async with VtexInvoiceClient(config) as client:
            found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == "NotSent"
    assert f"the certificate of {host} is not trusted" in str(found.result)
    assert (found.posts, found.applied) == (0, 0)


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(close_at_once, id="7 closed in the handshake"),
        pytest.param(reset_at_once, id="7 reset in the handshake"),
    ],
)
async def test_a_handshake_that_breaks_off_is_tried_again(deed: Deed) -> None:
    async with facing(*[deed] * 3) as (sandbox, server, _):
        url = server.url.replace("http:", "https:")
        config = evolve(sandbox.config, base_url=url, retry=QUICK)
        async with VtexInvoiceClient(config) as client:
            found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == "NotSent"
    assert server.connections == 3
    assert (found.posts, found.applied) == (0, 0)


async def test_7_tls_to_a_plain_port_is_not_sent() -> None:
    async with Sandbox(orders=1) as sandbox:
        url = sandbox.url.replace("http:", "https:")
        config = evolve(sandbox.config, base_url=url, retry=QUICK)
        async with VtexInvoiceClient(config) as client:
            found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == "NotSent"
    assert (found.posts, found.applied) == (0, 0)


REFUSALS: Final[dict[str, Callable[[RawServer], Act]]] = {
    "23 a proxy that wants to know who asks": reply_with(answer(b"", status="407 Who", headers="")),
    "23 a proxy that does not get through": reply_with(answer(b"", status="502 No", headers="")),
}


@pytest.mark.parametrize("bind", REFUSALS.values(), ids=REFUSALS)
async def test_a_proxy_that_refuses_is_asked_again_and_sees_no_invoice(
    bind: Callable[[RawServer], Act],
) -> None:
    async with Sandbox(orders=1) as sandbox, raw_server(bind) as proxy:
        config = evolve(
            sandbox.config, base_url="https://localhost:1", proxy=proxy.url, retry=QUICK
        )
        async with VtexInvoiceClient(config) as client:
            found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == "NotSent"
    assert [request.split()[0] for request in proxy.requests] == [b"CONNECT"] * 3
    assert (found.posts, found.applied) == (0, 0)


async def test_23_a_proxy_that_gets_through_in_the_end_carries_the_invoice_once() -> None:
    def bind(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.record(await read_request(reader))
            if len(server.requests) == 1:
                writer.write(answer(b"", status="502 Bad Gateway", headers=""))
                return
            target = server.requests[-1].split()[1].decode().rpartition(":")
            back, onward = await asyncio.open_connection(target[0], int(target[2]))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(copy(reader, onward), copy(back, writer))

        return act

    async with (
        Sandbox(orders=1) as sandbox,
        tls_before(port_of(sandbox), CERTIFICATE) as port,
        raw_server(bind) as proxy,
    ):
        config = evolve(
            sandbox.config,
            base_url=f"https://localhost:{port}",
            proxy=proxy.url,
            ssl_context=ssl.create_default_context(cafile=CERTIFICATE),
            retry=QUICK,
        )
        async with VtexInvoiceClient(config) as client:
            found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == "confirmed by response"
    assert len(proxy.requests) == 2
    assert (found.posts, found.applied) == (1, 1)


@pytest.mark.parametrize("dead", ["::1", "127.0.0.2"])
async def test_24_of_two_addresses_the_one_that_answers_gets_the_invoice_once(
    dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def addresses(_: object, port: int, **__: object) -> list[tuple[Any, ...]]:
        family = socket.AF_INET6 if ":" in dead else socket.AF_INET
        tail = (port, 0, 0) if ":" in dead else (port,)
        return [
            (family, socket.SOCK_STREAM, 6, "", (dead, *tail)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses)
    async with Sandbox(orders=1) as sandbox:
        with black_hole(dead, port_of(sandbox)):
            config = evolve(sandbox.config, base_url=f"http://localhost:{port_of(sandbox)}")
            async with VtexInvoiceClient(config) as client:
                found = ended(sandbox, await told(client, job_for(sandbox.orders[0])))

    assert found.how == "confirmed by response"
    assert (found.posts, found.applied) == (1, 1)
