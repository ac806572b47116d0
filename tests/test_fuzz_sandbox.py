"""Whatever is asked of the sandbox, it answers in VTEX's words and never falls over itself."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import orjson
import pytest
from attrs import frozen
from hypothesis import strategies as st

from tests.factories import authentication
from tests.fuzzing import documents, encoded, fuzzed, golden_documents, harmed
from tests.plain_caller import DELIVERED, ROUTES, TRACKING, body_for
from vtex_invoice_async.models import Invoice, TrackingInfo, TrackingStatus
from vtex_invoice_async.sandbox import Do, Fault, Refusal, Sandbox, read_plan
from vtex_invoice_async.sandbox.requests import (
    invoice_number_of,
    read_invoice,
    read_tracking_info,
    read_tracking_status,
)

BODIES: Final = [
    *golden_documents("notify_invoice"),
    *golden_documents("send_tracking"),
    *golden_documents("update_tracking"),
]
JSON: Final = "application/json"
bodies = harmed(encoded(documents(BODIES)), most=1) | st.binary(max_size=40)


@fuzzed(100, body=bodies)
def test_a_body_is_a_value_or_a_refusal(body: bytes) -> None:
    number = invoice_number_of(body)
    read: list[tuple[object, type]] = [
        (read_invoice(body, JSON, document=False), Invoice),
        (read_invoice(body, JSON, document=True), Invoice),
        (read_tracking_info(body, JSON), TrackingInfo),
        (read_tracking_status(body, JSON), TrackingStatus),
    ]

    assert number is None or isinstance(number, str)
    for found, kind in read:
        if isinstance(found, Refusal):
            assert found.status == (400 if body else 415)
            assert json.loads(orjson.dumps(found.body)) == found.body
        else:
            assert isinstance(found, kind)


@frozen(kw_only=True)
class Loop:
    """A sandbox that goes on from one example to the next."""

    runner: asyncio.Runner
    sandbox: Sandbox
    orders: tuple[str, ...]
    sound: tuple[Any, ...]
    """Bodies of all kinds for its first order."""

    def heard(self, request: bytes, patience: float | None = None) -> bytes:
        return self.runner.run(heard(self.sandbox, request, patience))


async def heard(sandbox: Sandbox, request: bytes, patience: float | None = None) -> bytes:
    """Send bytes and return all that comes back, or what came until *patience* was lost."""
    port = int(sandbox.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        with suppress(ConnectionError, TimeoutError):
            writer.write(request)
            async with asyncio.timeout(patience):
                while piece := await reader.read(2**16):
                    answer += piece
        return answer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    sandbox = Sandbox(orders=10)
    with asyncio.Runner() as runner:
        runner.run(sandbox.__aenter__())
        orders = sandbox.orders
        sound = (*(body_for(orders[0], document=d) for d in (False, True)), TRACKING, DELIVERED)
        ids = tuple(order.order_id for order in orders)
        yield Loop(runner=runner, sandbox=sandbox, orders=ids, sound=sound)
        runner.run(sandbox.__aexit__(None, None, None))


def request_of(
    sandbox: Sandbox, route: str, order: str, body: bytes, more: dict[str, str] | None = None
) -> bytes:
    method, path, _ = ROUTES[route]
    headers = {
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Type": "application/json",
        **authentication(sandbox.config),
        **(more or {}),
    }
    lines = [f"{method} {path.format(order=order)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def check_answer(answer: bytes) -> None:
    """Nothing fell over: what is refused is refused on purpose."""
    # aiohttp says so of what no handler has caught.
    assert b"got itself in trouble" not in answer, answer
    assert not answer.startswith(b"HTTP/1.1 5"), answer


PATHS: Final = [
    *("", ".", "..", "%2e%2e", "a%2Fb", "%00", "%ff", "%", "%zz", "1-01", "%ED%A0%80", "x" * 500),
    *("{order}", "{number}", "1?x=%00", "1#x", "é", "\\", "//", ";", "%F0%9F%98%80"),
]  # fmt: skip


@fuzzed(
    40,
    route=st.sampled_from(sorted(ROUTES)),
    nth=st.integers(0, 3),
    data=st.data(),
    order=st.sampled_from([None, None, None, *PATHS]),
    more=st.dictionaries(
        st.sampled_from(
            ["Content-Encoding", "Content-Type", "Expect", "X-VTEX-API-AppKey", "Host"]
        ),
        st.sampled_from(["gzip", "deflate", "br", "utf-16", "text/html", "100-continue", "", "é"]),
        max_size=1,
    ),
)
def test_no_request_makes_the_sandbox_fall_over(
    loop: Loop,
    *,
    route: str,
    nth: int,
    data: st.DataObject,
    order: str | None,
    more: dict[str, str],
) -> None:
    body = data.draw(harmed(encoded(documents(loop.sound)), most=1), "body")
    at = loop.orders[nth] if order is None else order

    answer = loop.heard(request_of(loop.sandbox, route, at, body, more))

    assert answer
    check_answer(answer)


@fuzzed(30, route=st.sampled_from(sorted(ROUTES)), data=st.data())
def test_no_bytes_make_the_sandbox_fall_over(
    loop: Loop, caplog: pytest.LogCaptureFixture, route: str, data: st.DataObject
) -> None:
    # aiohttp's server quotes what is no HTTP: here, pieces of the sandbox's credentials.
    caplog.set_level(logging.CRITICAL, logger="aiohttp.server")
    whole = request_of(loop.sandbox, route, loop.orders[0], orjson.dumps(loop.sound[0]))

    # Some it takes for the beginning of a request, and waits for the rest.
    check_answer(loop.heard(data.draw(harmed(st.just(whole), most=2), "request"), patience=0.03))


TAKEN: Final = {"do": "answer", "rate": 1, "status": 503, "body": "{}", "headers": {"A": "b"}}
DONE_AT_ONCE: Final = frozenset({Do.ANSWER, Do.CLOSE, Do.RESET, Do.RAW, Do.CUT, Do.LIMIT})


@fuzzed(15, text=documents([{"faults": [TAKEN]}, {"faults": [{**TAKEN, "do": "cut"}]}]))
def test_a_fault_that_was_read_can_be_done(loop: Loop, text: str) -> None:
    fault = fault_in(text)

    if fault is not None and fault.do in DONE_AT_ONCE:
        answer = loop.runner.run(answer_with(fault))

        due = fault.rate == 1 and fault.on in {"*", "get_order"}
        if fault.do is Do.ANSWER and due:
            assert answer.startswith(f"HTTP/1.1 {fault.status} ".encode())
        elif fault.do is not Do.RAW:
            check_answer(answer)


def fault_in(text: str) -> Fault | None:
    """Return the fault of a plan; None where that is refused, or has none."""
    try:
        return next(iter(read_plan(orjson.loads(text)).faults), None)
    except ValueError:
        return None


async def answer_with(fault: Fault) -> bytes:
    async with Sandbox(orders=1, faults=[fault]) as sandbox:
        order = sandbox.orders[0].order_id
        # Some statuses have no end.
        return await heard(sandbox, request_of(sandbox, "order", order, b""), patience=0.1)
