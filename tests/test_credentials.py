"""Credentials that are asked for: once before the first request, and once more after a 401."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from attrs import evolve, field, frozen

from tests.factories import job_for
from tests.failures import POSTED
from tests.raw_server import RawServer, answer, raw_server, reply_with
from tests.virtual_time import run_virtual
from vtex_invoice_async import ClientConfig, Credentials, VtexInvoiceClient
from vtex_invoice_async.errors import BadRequest, ConfigError, NotAuthorized, NotSent
from vtex_invoice_async.sandbox import Do, Fault, Sandbox

REFUSED: Final = Fault(do=Do.ANSWER, on=POSTED, nth=(1,), status=401)


@frozen
class Vault:
    """Gives out the sandbox's credentials, and counts."""

    sandbox: Sandbox
    asked: list[float] = field(factory=list)

    async def __call__(self) -> Credentials:
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        return Credentials(app_key=self.sandbox.app_key, app_token=self.sandbox.app_token)


def asking(sandbox: Sandbox, ask: Callable[[], Awaitable[Any]], **changes: Any) -> ClientConfig:
    config = evolve(sandbox.config, app_key=None, app_token=None, credentials=ask)
    return evolve(config, **changes)


def test_they_are_asked_for_once_however_many_calls_need_them() -> None:
    async def main() -> tuple[int, int]:
        async with Sandbox(orders=20) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault)) as client:
                assert vault.asked == []
                jobs = [job_for(order) for order in sandbox.orders]
                calls = (client.notify_invoice(job.order_id, job.invoice) for job in jobs)
                await asyncio.gather(*calls)
            return len(vault.asked), sandbox.applied.total()

    assert run_virtual(main()) == (1, 20)


def test_a_401_renews_them_and_the_call_goes_again() -> None:
    async def main() -> tuple[int, int, int]:
        async with Sandbox(orders=1, faults=[REFUSED]) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault)) as client:
                job = job_for(sandbox.orders[0])
                await client.notify_invoice(job.order_id, job.invoice)
            return len(vault.asked), len(sandbox.oracle.arrived), sandbox.applied.total()

    assert run_virtual(main()) == (2, 2, 1)


def test_calls_that_are_refused_together_renew_them_once() -> None:
    refused = evolve(REFUSED, nth=tuple(range(1, 10)))

    async def main() -> tuple[int, int]:
        async with Sandbox(orders=10, faults=[refused], latency=0.5) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault)) as client:
                jobs = [job_for(order) for order in sandbox.orders[:9]]
                outcomes = [outcome async for outcome in client.notify_many(jobs)]
            assert {outcome.state for outcome in outcomes} == {"confirmed"}
            return len(vault.asked), sandbox.applied.total()

    assert run_virtual(main()) == (2, 9)


@pytest.mark.parametrize(("status", "asked"), [(401, 2), (403, 1)])
def test_a_second_401_and_any_403_are_final(status: int, asked: int) -> None:
    refused = evolve(REFUSED, nth=(1, 2), status=status)

    async def main() -> tuple[int, int]:
        async with Sandbox(orders=1, faults=[refused]) as sandbox:
            vault = Vault(sandbox)
            async with VtexInvoiceClient(asking(sandbox, vault)) as client:
                job = job_for(sandbox.orders[0])
                with pytest.raises(NotAuthorized):
                    await client.notify_invoice(job.order_id, job.invoice)
            return len(vault.asked), sandbox.applied.total()

    assert run_virtual(main()) == (asked, 0)


def test_those_that_are_given_are_not_renewed() -> None:
    async def main() -> int:
        async with Sandbox(orders=1, faults=[REFUSED]) as sandbox:
            async with VtexInvoiceClient(sandbox.config) as client:
                job = job_for(sandbox.orders[0])
                with pytest.raises(NotAuthorized):
                    await client.notify_invoice(job.order_id, job.invoice)
            return len(sandbox.oracle.arrived)

    assert run_virtual(main()) == 1


async def raising() -> Credentials:
    raise RuntimeError("the token is hunter2")


async def hanging() -> Credentials:
    return await asyncio.Future[Credentials]()


async def nonsense() -> str:
    return "hunter2"


@pytest.mark.parametrize("ask", [raising, hanging, nonsense])
def test_without_credentials_nothing_is_sent_and_nothing_is_told_of_them(
    ask: Callable[[], Awaitable[Any]],
) -> None:
    async def main() -> NotSent:
        sandbox = Sandbox(orders=1)
        async with sandbox, VtexInvoiceClient(asking(sandbox, ask)) as client:
            job = job_for(sandbox.orders[0])
            with pytest.raises(NotSent) as caught:
                await client.notify_invoice(job.order_id, job.invoice)
            assert not sandbox.oracle.arrived
            assert client.in_doubt() == ()
        return caught.value

    error = run_virtual(main())

    assert "hunter2" not in f"{error} {error!r} {error.__cause__} {error.__context__}"
    assert b"hunter2" not in pickle.dumps(error)


def test_they_are_given_or_asked_for_and_not_both() -> None:
    with pytest.raises(ConfigError, match="not both"):
        ClientConfig(account="acme", app_key="K", app_token="T", credentials=raising)
    with pytest.raises(ConfigError, match="async callable"):
        ClientConfig(account="acme", credentials="K:T")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="app_key with its app_token"):
        Credentials(app_key="K")


def test_they_are_not_printed() -> None:
    found = Credentials(app_key="vtexappkey-acme-KEY", app_token="hunter2")
    config = ClientConfig(account="acme", credentials=raising)

    assert "hunter2" not in f"{found} {found!r}"
    assert "KEY" not in repr(found)
    assert "raising" not in repr(config)


async def test_old_and_new_ones_are_taken_out_of_what_vtex_says() -> None:
    tokens = iter(["OLDTOKEN", "NEWTOKEN"])

    async def ask() -> Credentials:
        return Credentials(app_key="KEYKEY", app_token=next(tokens))

    # It knows no token before it was given it.
    expired = b'{"error":{"code":"1","message":"KEYKEY with OLDTOKEN"}}'
    body = b'{"error":{"code":"1","message":"KEYKEY with OLDTOKEN or NEWTOKEN"}}'
    first, second = answer(expired, status="401 No"), answer(body, status="400 Bad Request")
    async with raw_server(reply_with(first, second)) as server:
        config = config_of(server, ask)
        async with VtexInvoiceClient(config) as client:
            with pytest.raises(BadRequest) as caught:
                await client.notify_invoice("v1-01", job_for(Sandbox(1).orders[0]).invoice)

    assert caught.value.message == "[removed] with [removed] or [removed]"
    assert b"OLDTOKEN" in server.requests[0]
    assert b"NEWTOKEN" in server.requests[1]


def config_of(server: RawServer, ask: Callable[[], Awaitable[Credentials]]) -> ClientConfig:
    return server.config(app_key=None, app_token=None, credentials=ask)
