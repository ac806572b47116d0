"""The recipes of the README, each of them run as its reader would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import uvicorn

from tests.factories import job_for, make_invoice
from tests.readme import block_with, names_of
from vtex_invoice_async import InvoiceJob, VtexInvoiceClient
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

LOST = Fault(do=Do.CLOSE, on="notify_invoice", nth=(1,), acted=True)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application; give its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        if serving.done():
            await serving
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


async def test_a_fastapi_service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environ.items():
        monkeypatch.setenv(name, value)
    sandbox.faults.add(LOST)
    app = names_of(block_with("FastAPI("))["app"]
    order = sandbox.orders[0]

    async with served(app) as url, aiohttp.ClientSession(url) as session:

        async def post(path: str) -> tuple[int, Any]:
            async with session.post(f"/orders/{path}") as answer:
                return answer.status, await answer.json()

        confirmed = await post(f"{order.order_id}/invoices/NFe1")
        again = await post(f"{order.order_id}/invoices/NFe1")
        refused_by_vtex = await post("nobody-01/invoices/NFe1")

    assert confirmed == (200, {"receipt": None, "confirmed_by": "order"})
    assert again[0] == 422
    assert refused_by_vtex[0] == 409
    assert sandbox.remarks == ()
    assert sandbox.applied == {(order.order_id, "NFe1"): 1}


class Message:
    """A message of a queue that keeps what became of each delivery."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.said: list[str] = []

    async def done(self) -> None:
        self.said.append("done")

    async def later(self) -> None:
        self.said.append("later")

    async def dead(self, why: str) -> None:
        self.said.append(f"dead: {why}")


def message_for(job: InvoiceJob) -> Message:
    said = {
        "order": job.order_id,
        "number": job.invoice.invoice_number,
        "cents": job.invoice.invoice_value,
        "at": "2026-01-31T18:25:43Z",
    }
    return Message(orjson.dumps(said))


async def test_a_queue_that_delivers_twice(
    sandbox: Sandbox, client: VtexInvoiceClient, tmp_path: Path
) -> None:
    names = names_of(block_with("class Outbox"))
    handle, outbox = names["handle"], names["Outbox"](str(tmp_path / "outbox.db"))
    # One answer is lost, and one invoice has to be sent a second time.
    sandbox.faults.add(LOST)
    sandbox.faults.add(Fault(do=Do.ANSWER, status=429, on="notify_invoice", nth=(2,)))
    messages = [message_for(job_for(order)) for order in sandbox.orders]

    await asyncio.gather(*(handle(message, client, outbox) for message in messages))
    (lost,) = [message for message in messages if message.said == ["later"]]
    await asyncio.gather(*(handle(message, client, outbox) for message in messages))

    assert lost.said == ["later", "done"]
    assert all(message.said[-1] == "done" for message in messages)
    assert set(sandbox.applied.values()) == {1}
    assert len(sandbox.applied) == len(messages)


async def test_a_queue_that_delivers_twice_at_the_same_moment(
    sandbox: Sandbox, client: VtexInvoiceClient, tmp_path: Path
) -> None:
    names = names_of(block_with("class Outbox"))
    handle, outbox = names["handle"], names["Outbox"](str(tmp_path / "outbox.db"))
    message, again = (message_for(job_for(sandbox.orders[0])) for _ in range(2))

    await asyncio.gather(*(handle(each, client, outbox) for each in (message, again)))

    assert sorted([*message.said, *again.said]) == ["done", "later"]
    assert sandbox.applied.total() == 1


async def test_a_delivery_forgets_no_other_that_is_under_way(tmp_path: Path) -> None:
    names = names_of(block_with("class Outbox"))
    outbox = names["Outbox"](str(tmp_path / "outbox.db"))
    job = InvoiceJob(order_id="1-01", invoice=make_invoice())
    await outbox.begin(job, "another delivery")

    outbox.forget(job, datetime.now(UTC), "this delivery")
    with pytest.raises(names["BegunError"]):
        await outbox.begin(job, "this delivery")

    assert outbox.begun(job)[1] == "another delivery"


async def test_an_absence_of_an_earlier_attempt_forgets_no_later_one(tmp_path: Path) -> None:
    names = names_of(block_with("class Outbox"))
    outbox, job = (
        names["Outbox"](str(tmp_path / "outbox.db")),
        InvoiceJob(order_id="1-01", invoice=make_invoice()),
    )
    await outbox.begin(job, "a")
    earlier = outbox.begun(job)
    await outbox.begin(job, "a")

    outbox.forget(job, *earlier)
    assert outbox.begun(job) is not None
    outbox.forget(job, *outbox.begun(job))
    assert outbox.begun(job) is None


async def test_a_queue_tells_apart_what_can_be_tried_again(
    sandbox: Sandbox, client: VtexInvoiceClient, tmp_path: Path
) -> None:
    names = names_of(block_with("class Outbox"))
    handle, outbox = names["handle"], names["Outbox"](str(tmp_path / "outbox.db"))
    job = job_for(sandbox.orders[0])
    garbled, unknown = Message(b"{}"), message_for(job)
    unknown.body = unknown.body.replace(job.order_id.encode(), b"nobody-01")

    await handle(garbled, client, outbox)
    await handle(unknown, client, outbox)

    assert garbled.said[0].startswith("dead: it is no invoice")
    assert unknown.said[0].startswith("dead: ")
    assert outbox.begun(names["job_of"](unknown.body)) is None


async def test_accounts_that_share_connections() -> None:
    send_for_all = names_of(block_with("send_for_all"))["send_for_all"]
    async with Sandbox(5, seed=1) as one, Sandbox(5, seed=2) as other:
        of_each = await send_for_all(
            [(shop.config, [job_for(order) for order in shop.orders]) for shop in (one, other)]
        )

        assert [[outcome.state for outcome in some] for some in of_each] == [["confirmed"] * 5] * 2
        assert one.applied.total() == other.applied.total() == 5


async def test_a_call_that_is_hasty(sandbox: Sandbox, client: VtexInvoiceClient) -> None:
    look = names_of(block_with("log_event"))["look"]
    order_id = sandbox.orders[0].order_id

    assert (await look(client, order_id)).order_id == order_id


async def test_a_trace(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.environ.items():
        monkeypatch.setenv(name, value)
    ship = names_of(block_with("Telemetry()"))["ship"]
    job = job_for(sandbox.orders[0])

    receipt = await ship(job.order_id, job.invoice)

    assert receipt.confirmed_by == "response"
