"""An invoice whose JSON was made before is the same call as one whose JSON is made now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.factories import job_for, make_invoice
from tests.test_doubts import LOST, play
from tests.test_doubts_again import lose_patience
from vtex_invoice_async import InvoiceJob, OrdersApi, VtexInvoiceClient
from vtex_invoice_async.errors import InvalidInvoice, OutcomeUnknown
from vtex_invoice_async.models import Invoice, InvoiceType
from vtex_invoice_async.operations import NotifyInvoice, NotifyReady
from vtex_invoice_async.protocol import doubt_of, encode
from vtex_invoice_async.sandbox import Sandbox

SINCE = datetime(2026, 2, 1, tzinfo=UTC)


def made_ready(order_id: str, invoice: Invoice, dialect: OrdersApi) -> NotifyReady:
    request = encode(NotifyInvoice(order_id="1-01", invoice=invoice), dialect)
    return NotifyReady(
        order_id=order_id,
        invoice_number=invoice.invoice_number,
        type=invoice.type,
        value=invoice.invoice_value,
        orders_api=dialect,
        content=request.body or b"",
    )


async def begin() -> None:
    """There is no journal here."""


@pytest.mark.parametrize("kind", InvoiceType)
@pytest.mark.parametrize("dialect", OrdersApi)
def test_it_is_the_same_on_the_wire_and_in_doubt(dialect: OrdersApi, kind: InvoiceType) -> None:
    invoice = make_invoice(type=kind)
    now = NotifyInvoice(order_id="v5lux-01", invoice=invoice)

    ready = made_ready("v5lux-01", invoice, dialect)

    assert encode(ready, dialect) == encode(now, dialect)
    assert doubt_of(ready, dialect, SINCE) == doubt_of(now, dialect, SINCE)
    told: list[Any] = [(o.name, o.method, o.acts, o.conflict_is_final) for o in (ready, now)]
    assert told[0] == told[1]


@pytest.mark.parametrize("order_id", ["../1", "", "seq501456", "nan"])
def test_its_order_is_looked_at_all_the_same(order_id: str) -> None:
    with pytest.raises(InvalidInvoice):
        encode(made_ready(order_id, make_invoice(), OrdersApi.OMS), OrdersApi.OMS)


def test_it_is_not_sent_where_it_is_in_doubt_already() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> int:
        job = job_for(sandbox.orders[0])
        await lose_patience(client, job)
        with pytest.raises(OutcomeUnknown, match="nothing was sent now"):
            await client.notify_journaled(ready_for(job), intend=begin)
        return sandbox.applied.total()

    assert play(act, LOST) == 1


def test_what_becomes_of_it_is_told_as_of_any_invoice() -> None:
    async def act(sandbox: Sandbox, client: VtexInvoiceClient) -> tuple[str, int]:
        ready = ready_for(job_for(sandbox.orders[0]))
        with pytest.raises(OutcomeUnknown) as caught:
            await client.notify_journaled(ready, intend=begin)
        assert caught.value.doubt is not None
        receipt = await client.resolve(caught.value.doubt)
        return receipt.confirmed_by, sandbox.applied.total()

    assert play(act, LOST) == ("order", 1)


def ready_for(job: InvoiceJob) -> NotifyReady:
    return made_ready(job.order_id, job.invoice, OrdersApi.OMS)
