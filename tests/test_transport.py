"""What leaves, where it goes, and what is believed of what comes back: over raw sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
import traceback
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.factories import make_invoice, make_tracking
from tests.raw_faults import close_after_request, close_on_accept, raw, reset_after_request
from tests.raw_server import RECEIPT, Act, RawServer, answer, raw_server, read_request, reply_with
from vtex_invoice_async import ClientConfig, RetryPolicy, TrackingStatus, VtexInvoiceClient
from vtex_invoice_async.errors import (
    BadRequest,
    CallError,
    NotSent,
    OutcomeUnknown,
    VtexInvoiceError,
)
from vtex_invoice_async.evidence import Mark
from vtex_invoice_async.messages import Request
from vtex_invoice_async.models import Receipt
from vtex_invoice_async.operations import (
    GetOrder,
    NotifyInvoice,
    Operation,
    SendTracking,
    UpdateTrackingStatus,
)
from vtex_invoice_async.transport import Transport

INVOICE = NotifyInvoice(order_id="v1-01", invoice=make_invoice())
TRACKING = SendTracking(order_id="v1-01", invoice_number="NFe1", tracking=make_tracking())
STATUS = UpdateTrackingStatus(
    order_id="v1-01", invoice_number="NFe1", tracking=TrackingStatus(is_delivered=True)
)
ORDER = GetOrder(order_id="v1-01")
ACTING: list[Operation[Receipt]] = [INVOICE, TRACKING, STATUS]
EVERY: list[Operation[object]] = [*ACTING, ORDER]


def by_method(operation: Operation[object]) -> str:
    return operation.method


async def error_of(server: RawServer, operation: Operation[object]) -> CallError:
    async with VtexInvoiceClient(server.config()) as client:
        with pytest.raises(CallError) as caught:
            await client.send(operation)
    return caught.value


@pytest.mark.parametrize("operation", EVERY, ids=by_method)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int, operation: Operation[object]) -> None:
    async with raw_server(reply_with(answer())) as elsewhere:
        headers = f"Location: {elsewhere.url}/api/oms/pvt/orders/x/invoice\r\n"
        redirect = answer(b"", status=f"{status} Moved", headers=headers)
        async with raw_server(reply_with(redirect)) as server:
            error = await error_of(server, operation)

    assert elsewhere.connections == 0
    assert len(server.requests) == 1
    assert error.status == status
    assert isinstance(error, OutcomeUnknown) == (operation is not ORDER)


async def test_a_redirect_to_the_same_host_is_not_followed_either() -> None:
    redirect = answer(b"", status="307 Temporary Redirect", headers="Location: /api/oms/x\r\n")
    async with raw_server(reply_with(redirect, answer())) as server:
        error = await error_of(server, INVOICE)

    assert isinstance(error, OutcomeUnknown)
    assert len(server.requests) == 1


@pytest.mark.parametrize("operation", EVERY, ids=by_method)
@pytest.mark.parametrize("fault", [close_after_request, reset_after_request])
async def test_no_request_is_sent_again_when_its_connection_drops(
    fault: Callable[[RawServer], Act], operation: Operation[object]
) -> None:
    async with raw_server(fault) as server:
        error = await error_of(server, operation)

    assert len(server.requests) == 1
    assert type(error) is (CallError if operation is ORDER else OutcomeUnknown)


async def test_a_gzip_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(b"0" * 50_000_000, compresslevel=9)
    headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
    async with raw_server(reply_with(answer(bomb, headers=headers))) as server:
        tracemalloc.start()
        error = await error_of(server, INVOICE)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert isinstance(error, OutcomeUnknown)
    assert peak < 5_000_000


async def test_an_answer_that_is_compressed_though_none_asked_for_it_is_read() -> None:
    headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
    async with (
        raw_server(reply_with(answer(gzip.compress(RECEIPT), headers=headers))) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        receipt = await client.send(INVOICE)

    assert receipt.receipt == "527b1ae251264ef1b7a9b597cd8f16b9"


async def test_an_endless_body_is_cut_off() -> None:
    def endless(server: RawServer) -> Act:
        async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await writer.drain()

        return act

    async with raw_server(endless) as server:
        error = await error_of(server, INVOICE)

    assert isinstance(error, OutcomeUnknown)
    assert "longer than 1048576 bytes" in str(error)


async def test_an_order_may_be_longer_than_a_receipt() -> None:
    order = b'{"orderId":"v1-01","value":1,"other":"%s"}' % (b"x" * 2**21)
    async with (
        raw_server(reply_with(answer(order))) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        assert (await client.get_order("v1-01")).value == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 2**20 + b"\r\n\r\n", id="1 MB header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 100_000 + b"\r\n", id="many headers"
        ),
        pytest.param(b"garbage\r\n\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 99 Odd\r\n\r\n", id="status 99"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", id="two lengths"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            id="length and chunks",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", id="cut body"),
        pytest.param(b"HTTP/1.1 2", id="cut status"),
        pytest.param(b'HTTP/1.1 200 OK\r\n\r\n{"receipt":"52', id="no length, cut body"),
    ],
)
async def test_what_is_no_answer_proves_nothing(reply: bytes) -> None:
    async with raw_server(raw(reply)) as server:
        error = await error_of(server, INVOICE)

    # aiohttp invents a status 400 for some of these; a 400 would have meant "not applied".
    assert type(error) is OutcomeUnknown
    assert error.status in {None, 200}
    assert len(server.requests) == 1


async def test_a_real_400_is_believed() -> None:
    body = b'{"error":{"code":"OMS400","message":"no","exception":null}}'
    async with raw_server(reply_with(answer(body, status="400 Bad Request"))) as server:
        error = await error_of(server, INVOICE)

    assert type(error) is BadRequest


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b""])
async def test_an_interim_answer_is_not_the_answer(interim: bytes) -> None:
    async with (
        raw_server(reply_with(interim + answer())) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        receipt = await client.send(INVOICE)

    assert receipt.receipt == "527b1ae251264ef1b7a9b597cd8f16b9"


async def test_requests_carry_what_vtex_wants_and_nothing_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    headers = "Content-Type: application/json\r\nSet-Cookie: VtexIdclientAutCookie=stolen\r\n"
    async with (
        raw_server(reply_with(answer(headers=headers))) as server,
        # By name, for a jar would keep no cookie of a bare address.
        VtexInvoiceClient(server.config(base_url=f"http://localhost:{server.port}")) as client,
    ):
        await client.send(INVOICE)
        await client.send(INVOICE)

    for request in server.requests:
        text, _, body = request.partition(b"\r\n\r\n")
        head = text.decode().split("\r\n")
        assert head[0] == "POST /api/oms/pvt/orders/v1-01/invoice HTTP/1.1"
        assert {line.lower() for line in head[1:]} == {
            f"host: localhost:{server.port}",
            "accept: application/json",
            "accept-encoding: identity",
            "cache-control: no-cache",
            f"content-length: {len(body)}",
            "content-type: application/json",
            "user-agent: vtex-invoice-async",
            "x-vtex-api-appkey: vtexappkey-acme-keykey",
            "x-vtex-api-apptoken: tokentoken",
        }


async def test_a_user_token_goes_in_its_own_header() -> None:
    async with raw_server(reply_with(answer())) as server:
        config = server.config(app_key=None, app_token=None, user_token="USERTOKEN")
        async with VtexInvoiceClient(config) as client:
            await client.send(INVOICE)

    assert b"\r\nVtexIdclientAutCookie: USERTOKEN\r\n" in server.requests[0]
    assert b"AppKey" not in server.requests[0]


async def test_credentials_stay_with_the_configured_origin() -> None:
    async with raw_server(reply_with(answer())) as elsewhere, raw_server(close_on_accept) as server:
        transport = Transport(server.config())
        transport.open()
        away = f"@127.0.0.1:{elsewhere.port}/api/"

        with pytest.raises(VtexInvoiceError, match="another host"):
            await transport.send(Request(method="POST", path=away, reply_limit=1), Mark())
        await transport.aclose()

    assert elsewhere.connections == 0


@pytest.mark.parametrize("host", ["[0:0:0:0:0:0:0:1]", "[::0001]", "[::1]"])
async def test_an_address_may_be_written_in_any_of_its_ways(host: str) -> None:
    config = ClientConfig(
        account="acme",
        app_key="KEY",
        app_token="TOKEN",
        base_url=f"http://{host}:1",
        retry=RetryPolicy(max_attempts=1),
    )

    # Nobody listens there, or there is no IPv6 here: either way it is tried.
    async with VtexInvoiceClient(config) as client:
        with pytest.raises(NotSent):
            await client.send(ORDER)


async def test_an_answer_that_echoes_the_credentials_does_not_spread_them() -> None:
    body = b'{"error":{"code":"1","message":"bad token TOKENTOKEN of vtexappkey-acme-KEYKEY"}}'
    async with raw_server(reply_with(answer(body, status="401 Unauthorized"))) as server:
        error = await error_of(server, INVOICE)

    assert error.message == "bad token [removed] of [removed]"


@pytest.mark.parametrize(
    ("token", "echo"),
    [
        ("A+B<CD", "bad A\\u002BB\\u003CCD"),
        ("A+B/C=", "bad A%2BB%2FC%3D"),
        ("A+B/C=", "bad a%2bb%2fc%3d"),
        ("A+B/C=", "bad A%2BB/C%3D"),
        ("A-TOKEN&MORE", "bad A-TOKEN&amp;MORE"),
        ("A-TOKEN'MORE", "bad A-TOKEN&#39;MORE"),
        ("A-Token-More", "bad a-tOKEN-mORE"),
        ("A-TOKEN-MORE", "bad QS1UT0tFTi1NT1JF"),
        ("~~~TOKEN~~~???", "bad fn5+VE9LRU5+fn4/Pz8="),
        ("~~~TOKEN~~~???", "bad fn5-VE9LRU5-fn4_Pz8"),
        ("A-TOKEN-MORE", "bad dnRleGFwcGtleS1hY21lLUtFWUtFWTpBLVRPS0VOLU1PUkU="),
        # Where a message is shortened, a piece must not stay, nor where it looks like a CPF.
        ("SECRET-TOKEN", "x" * 490 + "SECRET-TOKEN"),
        ("SECRET12345678901TOKEN", "SECRET12345678901TOKEN"),
        # One begins as the other does.
        ("vtexappkey-acme-KEYKEY-MORE", "vtexappkey-acme-KEYKEY-MORE"),
    ],
)
async def test_an_echo_is_blotted_out_however_it_is_written(token: str, echo: str) -> None:
    body = f'{{"error":{{"code":"{echo}","message":"{echo}"}}}}'.encode()
    headers = f"Content-Type: application/json\r\nX-Request-Id: {token}\r\n"
    reply = answer(body, status="401 Unauthorized", headers=headers)
    async with (
        raw_server(reply_with(reply)) as server,
        VtexInvoiceClient(server.config(app_token=token)) as client,
    ):
        with pytest.raises(CallError) as caught:
            await client.send(INVOICE)

    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    told = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert not [piece for piece in (token, token[:6], token[-5:], echo[4:]) if piece in told]
    # Nor is it in what a reporter of errors makes of the frames of decoding.
    ours = [frame for frame in frames.stack if frame.filename.endswith("protocol.py")]
    assert ours
    assert token not in str([frame.locals for frame in ours])


@pytest.mark.parametrize(
    ("escaped", "quotes", "slash"),
    [
        ("", '\\"', "/"),
        ("", '\\"', "\\/"),
        ("<>&", '\\"', "/"),
        ("<>&'", '\\"', "/"),
        ("<>&'", "\\u0022", "/"),
        ("<>&'", "\\u0022", "\\/"),
        ("<>&'+", "\\u0022", "/"),
        ("<>&'+`", "\\u0022", "/"),
    ],
    ids=["JSON", "PHP", "Go", "JavaScriptSerializer", "Json.NET", "PHP's all", "+", "System.Text"],
)
async def test_an_echo_as_json_in_json_is_blotted_out_whoever_escaped_it(
    escaped: str, quotes: str, slash: str
) -> None:
    token = "A\"B\\C'D+E/F<G>H&I`J"
    written: dict[str, str | int | None] = {'"': quotes, "\\": "\\\\", "/": slash}
    written |= {character: f"\\u{ord(character):04X}" for character in escaped}
    echo = token.translate(str.maketrans(written))
    body = json.dumps({"error": {"code": "1", "message": f'refused {{"token":"{echo}"}}'}})
    async with (
        raw_server(reply_with(answer(body.encode(), status="401 Unauthorized"))) as server,
        VtexInvoiceClient(server.config(app_token=token)) as client,
    ):
        with pytest.raises(CallError) as caught:
            await client.send(INVOICE)

    assert caught.value.message == 'refused {"token":"[removed]"}'


@pytest.mark.parametrize(("key", "token"), [("K", "T"), ("1", "e"), ("KEY", "TOKEN"), ("-", "5")])
async def test_a_credential_as_short_as_a_word_does_not_shred_what_vtex_says(
    key: str, token: str
) -> None:
    body = b'{"error":{"code":"TKE-15","message":"The TOKEN of KEY is not known, order 15-01"}}'
    async with (
        raw_server(reply_with(answer(body, status="401 Unauthorized"))) as server,
        VtexInvoiceClient(server.config(app_key=key, app_token=token)) as client,
    ):
        with pytest.raises(CallError) as caught:
            await client.send(INVOICE)

    assert caught.value.code == "TKE-15"
    assert caught.value.message == "The TOKEN of KEY is not known, order 15-01"


async def test_a_token_that_is_part_of_an_answer_does_not_change_it() -> None:
    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config(app_key="t", app_token="527")) as client,
    ):
        receipt = await client.send(INVOICE)

    assert receipt.receipt == "527b1ae251264ef1b7a9b597cd8f16b9"


async def test_nothing_of_an_order_that_broke_off_is_in_the_error() -> None:
    order = b'{"orderId":"v1-01","clientProfileData":{"firstName":"Maria","phone":"+5511999998888"'
    async with raw_server(reply_with(answer(order))) as server:
        error = await error_of(server, ORDER)

    assert error.message is None
    assert "Maria" not in repr(error) + str(error)


async def test_a_connection_is_used_again() -> None:
    async with (
        raw_server(reply_with(answer())) as server,
        VtexInvoiceClient(server.config()) as client,
    ):
        for _ in range(5):
            await client.send(INVOICE)

    assert (server.connections, len(server.requests)) == (1, 5)
