"""Credentials that cannot be had, or not for everybody: whoever gives them out may do anything."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import pytest
from attrs import evolve

from tests.factories import job_for
from tests.test_credentials import REFUSED, Vault, asking
from tests.virtual_time import run_virtual
from vtex_invoice_async import ClientConfig, Credentials, State, VtexInvoiceClient
from vtex_invoice_async.errors import ConfigError, NotAuthorized, NotSent
from vtex_invoice_async.events import CircuitTurned, Event
from vtex_invoice_async.sandbox import Role, Sandbox


async def as_if_cancelled() -> NoReturn:
    """As a client of a vault may do when its own task was cancelled."""
    raise asyncio.CancelledError("hunter2")


async def in_our_words() -> NoReturn:
    raise ConfigError("the token is hunter2")


async def unfit() -> Credentials:
    return Credentials(app_key="hunter2 with a blank", app_token="T")


def not_awaitable() -> Credentials:
    return Credentials(app_key="hunter2", app_token="hunter2")


async def nothing() -> None:
    pass


async def interrupted() -> Credentials:
    raise ValueError("hunter2") from KeyError("hunter2")


@pytest.mark.parametrize(
    "ask", [as_if_cancelled, in_our_words, unfit, not_awaitable, nothing, interrupted]
)
def test_whatever_goes_wrong_nothing_was_sent_and_its_words_are_not_told(
    ask: Callable[[], Awaitable[Any]],
) -> None:
    async def main() -> NotSent:
        async with Sandbox(orders=2) as sandbox:
            async with VtexInvoiceClient(asking(sandbox, ask)) as client:
                jobs = [job_for(order) for order in sandbox.orders]
                with pytest.raises(NotSent) as caught:
                    await client.notify_invoice(jobs[0].order_id, jobs[0].invoice)
                outcomes = [outcome async for outcome in client.notify_many(jobs)]
            assert [outcome.state for outcome in outcomes] == [State.NOT_SENT] * 2
            assert not sandbox.oracle.arrived
        return caught.value

    error = run_virtual(main())

    told = (str(error), repr(error), str(error.__cause__), str(error.__context__))
    assert "hunter2" not in " ".join(told)
    assert b"hunter2" not in pickle.dumps(error)


def test_credentials_that_were_old_from_the_first_are_renewed_too() -> None:
    async def main() -> tuple[int, int, int]:
        async with Sandbox(orders=1) as sandbox:
            vault, given = Vault(sandbox), 0

            async def ask() -> Credentials:
                nonlocal given
                given += 1
                return await vault() if given > 1 else Credentials(user_token="EXPIRED")

            async with VtexInvoiceClient(asking(sandbox, ask)) as client:
                job = job_for(sandbox.orders[0])
                await client.notify_invoice(job.order_id, job.invoice)
            return given, len(sandbox.oracle.arrived), sandbox.applied.total()

    assert run_virtual(main()) == (2, 2, 1)


def test_a_renewal_that_fails_leaves_what_vtex_said() -> None:
    async def main() -> tuple[NotAuthorized, int]:
        async with Sandbox(orders=1, faults=[REFUSED]) as sandbox:
            vault = Vault(sandbox)

            async def ask() -> Credentials:
                found = await vault()
                if len(vault.asked) == 2:
                    raise RuntimeError("hunter2")
                return found

            async with VtexInvoiceClient(asking(sandbox, ask)) as client:
                job = job_for(sandbox.orders[0])
                with pytest.raises(NotAuthorized) as caught:
                    await client.notify_invoice(job.order_id, job.invoice)
                # The old ones are tried again by the next call: the account may be open by then.
                await client.notify_invoice(job.order_id, job.invoice)
            return caught.value, sandbox.applied.total()

    error, applied = run_virtual(main())

    assert (error.status, applied) == (401, 1)
    assert "hunter2" not in f"{error} {error.__cause__} {error.__context__}"


def test_a_vault_that_recovers_is_asked_again() -> None:
    async def main() -> tuple[int, int]:
        async with Sandbox(orders=1) as sandbox:
            vault = Vault(sandbox)

            async def ask() -> Credentials:
                found = await vault()
                if len(vault.asked) < 3:
                    raise ConnectionError
                return found

            async with VtexInvoiceClient(asking(sandbox, ask)) as client:
                job = job_for(sandbox.orders[0])
                await client.notify_invoice(job.order_id, job.invoice)
            return len(vault.asked), sandbox.applied.total()

    assert run_virtual(main()) == (3, 1)


def test_a_vault_that_is_out_of_order_is_no_outage_of_vtex() -> None:
    heard: list[Event] = []

    async def main() -> NotSent:
        async with Sandbox(orders=1) as sandbox:
            config = asking(sandbox, nothing)
            async with VtexInvoiceClient(config, observe=heard.append) as client:
                job = job_for(sandbox.orders[0])
                for _ in range(2):
                    with pytest.raises(NotSent) as caught:
                        await client.notify_invoice(job.order_id, job.invoice)
        return caught.value

    error = run_virtual(main())

    assert "credentials" in str(error)
    assert not [event for event in heard if isinstance(event, CircuitTurned)]


def test_a_role_that_is_lacking_is_no_reason_to_renew() -> None:
    async def main() -> int:
        async with Sandbox(orders=1, roles=[Role.VIEW_ORDER]) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault)) as client:
                job = job_for(sandbox.orders[0])
                for _ in range(3):
                    with pytest.raises(NotAuthorized):
                        await client.notify_invoice(job.order_id, job.invoice)
            return len(vault.asked)

    assert run_virtual(main()) == 1


def test_a_read_renews_them_as_well_and_the_call_may_be_any() -> None:
    refused = evolve(REFUSED, on="*", nth=(2, 4, 6))

    async def main() -> tuple[int, int]:
        async with Sandbox(orders=10, faults=[refused]) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault)) as client:
                order_id = sandbox.orders[9].order_id
                await client.get_order(order_id)
                await client.get_order(order_id)
                await client.start_handling(order_id)
                job = job_for(sandbox.orders[9])
                await client.notify_invoice(job.order_id, job.invoice)
            return len(vault.asked), len(sandbox.oracle.arrived)

    assert run_virtual(main()) == (4, 7)


def test_who_is_cancelled_while_asking_leaves_the_next_to_ask() -> None:
    async def main() -> tuple[int, int]:
        async with Sandbox(orders=2) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault, max_concurrency=1)) as client:
                jobs = [job_for(order) for order in sandbox.orders]
                first, second = [
                    asyncio.create_task(client.notify_invoice(job.order_id, job.invoice))
                    for job in jobs
                ]
                await asyncio.sleep(0.05)
                first.cancel()
                await second
                assert first.cancelled()
                assert client.in_doubt() == ()
            return len(vault.asked), sandbox.applied.total()

    assert run_virtual(main()) == (2, 1)


def test_a_config_that_asks_can_be_pickled_and_holds_no_secret() -> None:
    config = ClientConfig(account="acme", credentials=unfit)

    again = pickle.loads(pickle.dumps(config))

    assert again == config
    assert b"hunter2" not in pickle.dumps(config)
    assert "unfit" not in f"{again} {again!r}"
