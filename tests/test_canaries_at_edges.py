"""Canaries pushed on purpose through edges that other tests may not reach.

That none turns up is seen by the net that watches every test (`tests/canaries.py`); what these
assert is that the edge was reached.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import html
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from attrs import asdict, evolve

from tests.canaries import CPF, CUSTOMER, EMAIL, EMBEDDED, INVOICE_KEY, INVOICE_URL, NAME, Net
from tests.command_line import environ_of, file_of, json_lines, made_up_rows, row, run
from tests.factories import ONCE, job_for, make_invoice
from tests.journals import run_child
from tests.raw_server import ORDER, answer, raw_server, reply_with
from vtex_invoice_async import ClientConfig, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, ConfigError, RateLimited
from vtex_invoice_async.events import log_event
from vtex_invoice_async.operations import GetOrder, NotifyInvoice, Operation
from vtex_invoice_async.sandbox import Sandbox

TOKEN: Final = "C4n\"ry'/\\+%&<k>Token~"
KEY: Final = 'vtexappkey-acme-C4n\\ry"Key'
INVOICE: Final = NotifyInvoice(order_id="1172452900788-01", invoice=make_invoice())

ENVELOPES: Final[dict[str, Callable[[str], object]]] = {
    "OMS": lambda said: {"error": {"code": said, "message": said, "exception": said}},
    "a plain error": lambda said: {"error": said},
    "ProblemDetails": lambda said: {
        "title": said,
        "detail": said,
        "traceId": said,
        "errors": {"invoiceKey": [said, said], said: [said]},
    },
    "a router": lambda said: {
        "source": "Vtex.Kube.Router", "code": said, "message": said, "requestId": said,
    },
    "a message": lambda said: {"message": said, "code": said, "requestId": said},
    "a Message": lambda said: {"Message": said},
    "text in quotes": lambda said: said,
    "no envelope": lambda said: {said: said},
    "a list": lambda said: [said],
}  # fmt: skip

SECRET_FORMS: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "in a URL": lambda text: quote(text, safe=""),
    "in HTML": html.escape,
    "in JSON": lambda text: json.dumps({"AppToken": text}),
    "in Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in lower case": str.lower,
    "in upper case": str.upper,
    "in reversed case": str.swapcase,
}

PERSONAL: Final = {
    "XML": f"cannot read {EMBEDDED}",
    "XML in JSON": f"cannot read {json.dumps(EMBEDDED)}",
    "XML in a URL": f"cannot read {quote(EMBEDDED)}",
    "XML in HTML": f"cannot read {html.escape(EMBEDDED)}",
    "part of XML": f"near 'xNome>{NAME}</xNome>'",
    "a CPF": f"the document {CPF} of 98765432100 is not valid",
    "an e-mail": f"no such customer: <{EMAIL}>, maria@cliente.example",
    "an e-mail in a URL": f"no such customer: {quote(EMAIL)}",
    "a phone": "call +5500999000001",
    "a key": f"the key {INVOICE_KEY} is taken",
    "the URL of an invoice": f"cannot get {INVOICE_URL}",
}


async def refusal(reply: bytes, operation: Operation[Any] = INVOICE) -> CallError:
    """What a client makes of an answer to an invoice, told to all who listen."""
    async with raw_server(reply_with(reply)) as server:
        # A 429 would be tried again until then.
        hasty = evolve(ONCE, deadline=0.2)
        config = server.config(app_key=KEY, app_token=TOKEN, retry=hasty)
        async with VtexInvoiceClient(config, observe=log_event) as client:
            with pytest.raises(CallError) as caught:
                await client.send(operation)
    logging.getLogger("tests").error("it failed", exc_info=caught.value)
    return caught.value


def error_of(body: object, status: str = "400 Bad Request", headers: str = "") -> bytes:
    content = json.dumps(body).encode()
    return answer(content, status=status, headers=f"Content-Type: application/json\r\n{headers}")


@pytest.mark.parametrize("status", ["400 No", "500 No"])
@pytest.mark.parametrize("form", SECRET_FORMS)
@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_an_echo_of_the_credentials_in_an_envelope(
    envelope: str, form: str, status: str
) -> None:
    said = f"not {SECRET_FORMS[form](KEY)} with {SECRET_FORMS[form](TOKEN)}"

    error = await refusal(error_of(ENVELOPES[envelope](said), status))

    assert error.status == int(status[:3])


@pytest.mark.parametrize("echo", PERSONAL)
@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_an_echo_of_the_shopper_in_an_envelope(envelope: str, echo: str) -> None:
    error = await refusal(error_of(ENVELOPES[envelope](PERSONAL[echo])))

    assert error.status == 400


HEADERS: Final = (
    "Location",
    "X-Request-Id",
    "X-VTEX-Operation-Id",
    "Retry-After",
    "Set-Cookie",
    "Date",
)


@pytest.mark.parametrize(
    "status", ["200 OK", "302 Found", "307 Found", "401 No", "429 No", "502 No"]
)
@pytest.mark.parametrize("header", HEADERS)
async def test_an_echo_in_a_header(header: str, status: str) -> None:
    said = f"https://evil.example/{TOKEN}?key={quote(KEY)}&mail={EMAIL}"
    reply = answer(b"{}", status=status, headers=f"{header}: {said}\r\n")

    error = await refusal(reply)

    assert error.status == int(status[:3]) or isinstance(error, RateLimited)


@pytest.mark.parametrize(
    "reply",
    [
        answer(f"<html>{TOKEN} {EMBEDDED}</html>".encode(), status="400 No"),
        answer(
            f"no {TOKEN} {EMBEDDED}".encode(),
            status="400 No",
            headers="Content-Type: text/plain\r\n",
        ),
        answer(json.dumps(CUSTOMER).encode(), status="400 No"),
        answer(json.dumps(CUSTOMER).encode()),
        answer(json.dumps(CUSTOMER).encode()[:-5]),
        answer(b"{}", status=f"400 {TOKEN} {NAME}"),
        f"HTTP/1.1 200 {TOKEN}\r\nBroken {EMAIL}\r\n\r\n{TOKEN}".encode(),
        f"{TOKEN} {EMBEDDED}\r\n\r\n".encode(),
    ],
    ids=["HTML", "text", "a shopper", "as a receipt", "cut", "a reason", "a header", "no HTTP"],
)
@pytest.mark.parametrize(
    "operation", [INVOICE, GetOrder(order_id="1172452900788-01")], ids=["an invoice", "a read"]
)
async def test_an_echo_in_an_answer_that_is_none(operation: Operation[Any], reply: bytes) -> None:
    error = await refusal(reply, operation)

    assert error.reason


SETTINGS: Final[tuple[dict[str, object], ...]] = (
    {"account": TOKEN},
    {"app_key": f"{KEY}\n"},
    {"app_token": f"{TOKEN} "},
    {"app_token": TOKEN.encode()},
    {"app_key": None},
    {"user_token": TOKEN},
    {"environment": TOKEN},
    {"base_url": f"https://{KEY}:{TOKEN}@acme.example"},
    {"base_url": f"https://acme.example/?token={TOKEN}"},
    {"base_url": f"http://{TOKEN}"},
    {"proxy": f"socks5://{KEY}:{TOKEN}@proxy.example:1"},
    {"proxy": f"http://user:{TOKEN}@proxy.example:99999999"},
    {"orders_api": TOKEN},
    {"max_concurrency": TOKEN},
    {"timeouts": TOKEN},
    {"credentials": TOKEN},
    {"ssl_context": TOKEN},
)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: next(iter(settings)))
def test_a_setting_that_is_refused(settings: dict[str, object]) -> None:
    sound: dict[str, Any] = {"account": "acme", "app_key": KEY, "app_token": TOKEN}
    Net().hide("a token", TOKEN)

    with pytest.raises(ConfigError) as caught:
        ClientConfig(**{**sound, **settings})

    assert str(caught.value)


def test_a_config_that_is_printed_or_logged_by_whatever_way() -> None:
    config = ClientConfig(
        account="acme",
        app_key=KEY,
        app_token=TOKEN,
        proxy=f"http://u:{quote(TOKEN, safe='')}@proxy.example:1",
    )
    copies = [copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))]

    for told in (config, config.fixed_credentials, *copies):
        logging.getLogger("tests").debug("%s %r %s", told, told, f"{told} {told!r} {[told]}")

    assert copies == [config] * 3


def test_what_gives_the_credentials_away_is_what_is_made_to_hand_a_config_on() -> None:
    # As with any value: whoever takes a config apart, or pickles it for a worker, has what it needs.
    config = ClientConfig(account="acme", app_key=KEY, app_token=TOKEN)

    assert asdict(config)["app_token"] == TOKEN
    assert TOKEN.encode() in pickle.dumps(config)


async def test_the_locals_of_a_failed_call_hold_no_credentials() -> None:
    tracebacks = [
        await rendered(error_of({"error": {"message": TOKEN}}, status))
        for status in ("400 No", "401 No", "404 No", "409 No", "502 No")
    ]
    tracebacks.append(await rendered(answer(json.dumps(CUSTOMER).encode())))

    for told in tracebacks:
        logging.getLogger("tests").error(told)
    assert all("protocol.py" in told and "reply = " in told for told in tracebacks)


async def rendered(reply: bytes) -> str:
    """What a reporter of errors makes of a failed call: our own frames with their locals."""
    error = await refusal(reply)
    links: list[BaseException | None] = [error, error.__cause__, error.__context__]
    stacks = [
        traceback.TracebackException.from_exception(link, capture_locals=True).stack
        for link in links
        if link is not None
    ]
    # Those of the test hold what it gave away itself.
    ours = [frame for stack in stacks for frame in stack if "vtex_invoice_async" in frame.filename]
    return "".join(traceback.StackSummary.from_list(ours).format())


def bad_rows() -> list[dict[str, object]]:
    """Rows that are refused, each of which names a person in whatever is refused."""
    sound = made_up_rows(1)[0]
    changes: tuple[dict[str, object], ...] = (
        {"type": NAME},
        {"invoiceValue": NAME},
        {"invoiceValue": f"{CPF}"},
        {"issuanceDate": EMAIL},
        {"items": NAME},
        {"items": [{"id": "1", "price": EMAIL, "quantity": 1}]},
        {"items": [{"id": "1", "price": 1, "quantity": 1, "customer": CUSTOMER}]},
        {"invoiceKey": [INVOICE_KEY]},
        {"embeddedInvoice": {"xml": EMBEDDED}},
        {"customer": CUSTOMER},
        {"volumes": NAME},
        {"courier": f"{NAME}\n"},
        {"orderId": f"{NAME}/.."},
        {"invoiceNumber": f"{NAME}\n"},
        {"dispatchedDate": NAME},
    )
    return [sound | change for change in changes]


@pytest.mark.parametrize("options", [(), ("--skip-invalid",), ("--json", "--quiet")])
async def test_rows_that_are_refused_are_told_without_what_they_hold(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    broken = f'{{"orderId": "1-01", "embeddedInvoice": "{EMBEDDED}", "x": {NAME}}}\n'
    twice = f'{{"orderId": "{NAME}", "orderId": "{EMAIL}"}}\n'
    path = tmp_path / "invoices.jsonl"
    path.write_text(json_lines([*bad_rows(), EMAIL, [NAME]]) + broken + twice)

    async with Sandbox(1) as sandbox:
        ended = await run("send", path, *options, environ=environ_of(sandbox.config))

    assert ended.code in {3, 65}, ended
    assert ended.stderr.count("invoices.jsonl") >= 10, ended.stderr


AT_DEBUG: Final = """
import asyncio, logging, sys, warnings
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
warnings.simplefilter("always")
from vtex_invoice_async.__main__ import main
for name in logging.root.manager.loggerDict:
    logging.getLogger(name).setLevel(logging.NOTSET)
class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        loop = super().new_event_loop()
        loop.set_debug(True)
        # Every step is slow, and told with what it was given.
        loop.slow_callback_duration = 0
        return loop
asyncio.set_event_loop_policy(Policy())
sys.exit(main())
"""


async def test_sending_a_file_with_all_loggers_on_and_the_loop_in_debug_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(5) as sandbox:
        path = file_of(tmp_path, [row(order) for order in sandbox.orders])
        for name, value in environ_of(sandbox.config).items():
            monkeypatch.setenv(name, value)

        ended = await asyncio.to_thread(
            run_child, AT_DEBUG, "send", path, "--journal", tmp_path / "journal.db"
        )

    assert ended.returncode in {0, 3}, ended.stderr
    assert "asyncio" in ended.stderr


async def test_a_client_whose_loop_is_in_debug_mode() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0

    async with (
        Sandbox(3) as sandbox,
        VtexInvoiceClient(sandbox.config, observe=log_event) as client,
    ):
        for order in sandbox.orders[:2]:
            invoice = job_for(order, embedded_invoice=EMBEDDED).invoice
            await client.notify_invoice(order.order_id, invoice)
        unknown = make_invoice(embedded_invoice=EMBEDDED)
        with pytest.raises(CallError):
            await client.notify_invoice("nobody-01", unknown)

    assert sandbox.applied.total() == 2


async def test_what_an_order_tells_of_its_shopper_is_not_read() -> None:
    told = json.loads(ORDER) | CUSTOMER
    async with (
        raw_server(reply_with(answer(json.dumps(told).encode()))) as server,
        VtexInvoiceClient(server.config(), observe=log_event) as client,
    ):
        order = await client.get_order("1172452900788-01")

    assert order.order_id == "1172452900788-01"
    assert "Areia" not in str(asdict(order))
