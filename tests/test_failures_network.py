"""What each break of a connection comes to: the client's word, and the sandbox's count.

The numbers are those of the list of failures that this client was designed against.
"""

from __future__ import annotations

import asyncio
from typing import Final

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.failures import POSTED, Ended, brief, ended, send_one
from tests.virtual_time import Cut, network, run_virtual
from vtex_invoice_async import ClientConfig, Receipt, RetryPolicy, Timeouts, VtexInvoiceClient
from vtex_invoice_async.errors import CallError, NotSent
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

FIRST: Final = (1,)

BREAKS: Final = {
    "11 closed after the request": Fault(do=Do.CLOSE, on=POSTED, nth=FIRST),
    "11 reset after the request": Fault(do=Do.RESET, on=POSTED, nth=FIRST),
    "15 no answer": Fault(do=Do.HANG, on=POSTED, nth=FIRST),
}


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
async def test_what_vtex_did_is_found_on_the_order(fault: Fault) -> None:
    found = await send_one(evolve(fault, acted=True))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
async def test_what_vtex_did_not_do_is_found_absent_and_not_sent_again(fault: Fault) -> None:
    found = await send_one(fault)

    assert found.how == "InvoiceAbsent"
    assert (found.posts, found.applied) == (1, 0)


@pytest.mark.parametrize("at", [0, 1, 50, 200], ids=lambda at: f"8-10 after {at} bytes")
async def test_a_request_that_was_cut_is_in_doubt_and_found_absent(at: int) -> None:
    found = await send_one(Fault(do=Do.CUT_REQUEST, on=POSTED, nth=FIRST, at=at))

    assert found.how == "InvoiceAbsent"
    # It did not come in whole.
    assert (found.posts, found.applied) == (0, 0)


@pytest.mark.parametrize("at", [0, 9, 13, 40, 75, 120, 180], ids=lambda at: f"12 after {at} bytes")
async def test_an_answer_that_was_cut_is_found_on_the_order(at: int) -> None:
    found = await send_one(Fault(do=Do.CUT, on=POSTED, nth=FIRST, at=at))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)


async def send_through(cut: Cut) -> Ended:
    """Send an invoice over a connection that is cut."""
    async with Sandbox(orders=1) as sandbox:
        config = evolve(sandbox.config, retry=brief())
        network().cuts.append(cut)
        job = job_for(sandbox.orders[0])
        result: Receipt | CallError
        async with VtexInvoiceClient(config) as client:
            try:
                result = await client.notify_invoice(job.order_id, job.invoice)
            except CallError as error:
                result = error
        return ended(sandbox, result)


def assert_true(found: Ended, cut: Cut) -> None:
    """Assert that the client's word is what the sandbox did."""
    assert found.posts <= 1, cut
    assert found.applied <= 1, cut
    assert (
        found.how
        in {
            0: {"InvoiceAbsent", "NotSent"},
            1: {"confirmed by response", "confirmed by order"},
        }[found.applied]
    ), cut


def cuts(step: int) -> list[Cut]:
    """Some of the places at which a request, of some 800 bytes, or an answer can be cut."""
    requests = [Cut(to_server=at) for at in range(0, 900, step)]
    return requests + [Cut(to_client=at) for at in range(0, 330, step)]


def test_12_wherever_a_connection_is_cut_the_truth_comes_out() -> None:
    for cut in cuts(29):
        assert_true(run_virtual(send_through(cut)), cut)


@pytest.mark.campaign
def test_12_at_whatever_byte_a_connection_is_cut_the_truth_comes_out() -> None:
    hows = set()
    for cut in cuts(1):
        found = run_virtual(send_through(cut))
        assert_true(found, cut)
        hows.add(found.how)

    assert hows == {"InvoiceAbsent", "confirmed by order", "confirmed by response"}


def test_17_what_arrives_late_is_found_after_the_client_gave_up_waiting() -> None:
    late = Fault(do=Do.LATE, on=POSTED, nth=FIRST, seconds=25)

    found = run_virtual(send_one(late, retry=RetryPolicy(), timeouts=Timeouts()))

    assert found.how == "confirmed by order"
    assert (found.posts, found.applied) == (1, 1)
    assert found.reads >= 3


def test_17_what_is_later_than_a_call_looks_is_still_in_doubt() -> None:
    late = Fault(do=Do.LATE, on=POSTED, nth=FIRST, seconds=100)

    async def main() -> Receipt:
        async with (
            Sandbox(orders=1, faults=[late]) as sandbox,
            VtexInvoiceClient(sandbox.config) as client,
        ):
            job = job_for(sandbox.orders[0])
            with pytest.raises(CallError, match="it may have been applied"):
                await client.notify_invoice(job.order_id, job.invoice)
            (doubt,) = client.in_doubt()
            receipt = await client.resolve(doubt)
            assert sandbox.applied.total() == 1
            assert client.in_doubt() == ()
            return receipt

    assert run_virtual(main()).confirmed_by == "order"


def config_for(sandbox: Sandbox, port: int) -> ClientConfig:
    return ClientConfig(
        account=sandbox.account,
        app_key=sandbox.app_key,
        app_token=sandbox.app_token,
        base_url=f"http://127.0.0.1:{port}",
    )


def test_3_a_refused_connection_is_tried_again_until_vtex_is_back() -> None:
    async def main() -> tuple[Receipt, int]:
        sandbox = Sandbox(orders=1, port=4_444)
        async with VtexInvoiceClient(config_for(sandbox, 4_444)) as client:
            job = job_for(sandbox.orders[0])
            call = asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
            await asyncio.sleep(0.3)
            async with sandbox:
                return await call, sandbox.applied.total()

    receipt, applied = run_virtual(main(), seed=3)

    assert (receipt.confirmed_by, applied) == ("response", 1)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:4444", "https://vtex.invalid"])
def test_1_3_what_was_never_sent_says_so_after_six_attempts(base_url: str) -> None:
    config = ClientConfig(account="acme", app_key="K", app_token="T", base_url=base_url)

    async def main() -> NotSent:
        job = job_for(Sandbox(orders=1).orders[0])
        async with VtexInvoiceClient(config) as client:
            with pytest.raises(NotSent) as caught:
                await client.notify_invoice(job.order_id, job.invoice)
            assert client.in_doubt() == ()
        return caught.value

    error = run_virtual(main())

    # The circuit opens after five; the sixth is its probe.
    assert error.attempts == 6


def test_20_a_vtex_that_hangs_for_everyone_ends_the_run_with_a_handful_of_doubts() -> None:
    async def main() -> tuple[dict[str, int], int, float]:
        async with Sandbox(orders=1_000, faults=[Fault(do=Do.HANG, rate=1)]) as sandbox:
            jobs = [job_for(order) for order in sandbox.orders]
            began = asyncio.get_running_loop().time()
            states: dict[str, int] = {}
            async with VtexInvoiceClient(sandbox.config) as client:
                async for outcome in client.notify_many(jobs):
                    states[outcome.state] = states.get(outcome.state, 0) + 1
            lasted = asyncio.get_running_loop().time() - began
            posts = sum(entry.operation == POSTED for entry in sandbox.oracle.arrived)
            return states, posts, lasted

    states, posts, lasted = run_virtual(main())

    assert sum(states.values()) == 1_000
    # Those that were in flight when it began, and the probes since.
    assert 64 <= states["in_doubt"] == posts <= 64 + 10
    assert states["not_sent"] == 1_000 - states["in_doubt"]
    assert lasted < 20 + 120 + 60


def test_20_an_outage_that_ends_is_waited_out() -> None:
    async def main() -> tuple[set[str], int]:
        # The first sixty requests, reads included, meet a gateway.
        busy = Fault(do=Do.ANSWER, nth=tuple(range(1, 61)), status=503)
        async with Sandbox(orders=200, faults=[busy], latency=0.05) as sandbox:
            jobs = [job_for(order) for order in sandbox.orders]
            async with VtexInvoiceClient(sandbox.config) as client:
                outcomes = [outcome async for outcome in client.notify_many(jobs)]
            lost = [o for o in outcomes if o.state == "in_doubt"]
            applied = sandbox.applied.total()
            assert len(outcomes) == 200
            assert applied + len(lost) == 200
            return {outcome.state for outcome in outcomes}, len(lost)

    states, lost = run_virtual(main())

    assert states == {"confirmed", "in_doubt"}
    # What was on its way before five had failed, and a probe or two.
    assert lost < 30
