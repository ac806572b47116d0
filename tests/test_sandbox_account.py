"""The account of a sandbox: it is its own, and what faults did to it does not stay for ever."""

from __future__ import annotations

import asyncio

import pytest

from tests.plain_caller import calling
from vtex_invoice_async import ClientConfig
from vtex_invoice_async.sandbox import Do, Fault, Limit, Sandbox

# What a developer's shell may hold.
SHELL = {
    "VTEX_ACCOUNT": "acme",
    "VTEX_APP_KEY": "a-key",
    "VTEX_APP_TOKEN": "a-token",
    "VTEX_USER_TOKEN": "a-user-token",
    "VTEX_ENVIRONMENT": "vtexcommercebeta",
    "VTEX_BASE_URL": "https://vtex.invalid",
    "VTEX_ORDERS_API": "pii",
}


async def statuses(sandbox: Sandbox, reads: int) -> list[int]:
    order_id = sandbox.orders[0].order_id
    async with calling(sandbox) as caller:
        return [(await caller.route("order", order_id)).status for _ in range(reads)]


def test_each_sandbox_has_an_account_of_its_own_and_keeps_it() -> None:
    accounts = set()
    for _ in range(20):
        sandbox = Sandbox(0)
        with sandbox:
            first = sandbox.config.account
        with sandbox:
            assert sandbox.config.account == sandbox.environ["VTEX_ACCOUNT"] == first
        accounts.add(first)

    assert len(accounts) == 20


async def test_its_environment_leaves_nothing_of_the_shells() -> None:
    async with Sandbox(0) as sandbox:
        found = ClientConfig.from_env(SHELL | dict(sandbox.environ))

        assert found == sandbox.config
        assert sandbox.environ.keys() == SHELL.keys()


@pytest.mark.parametrize(
    ("fault", "before"),
    [
        (Fault(do=Do.REVOKE, nth=(1,)), [401, 401]),
        (Fault(do=Do.LIMIT, nth=(1,), per_second=0.001, burst=1), [200, 429]),
    ],
)
def test_one_that_is_entered_again_begins_with_the_account_that_it_had_at_first(
    fault: Fault, before: list[int]
) -> None:
    sandbox = Sandbox(orders=1, faults=[fault])
    with sandbox:
        assert asyncio.run(statuses(sandbox, 2)) == before

    with sandbox:
        assert asyncio.run(statuses(sandbox, 2)) == [200, 200]


def test_one_that_is_entered_again_has_its_own_limit_again() -> None:
    lifted = Fault(do=Do.LIMIT, nth=(1,), per_second=0)
    sandbox = Sandbox(orders=1, limit=Limit(per_second=0, burst=1), faults=[lifted])
    with sandbox:
        assert asyncio.run(statuses(sandbox, 3)) == [200] * 3

    with sandbox:
        assert asyncio.run(statuses(sandbox, 3)) == [200, 429, 429]


async def test_credentials_that_were_revoked_may_be_restored() -> None:
    async with Sandbox(orders=1, faults=[Fault(do=Do.REVOKE, nth=(1,))]) as sandbox:
        revoked = await statuses(sandbox, 1)
        sandbox.faults.clear()
        cleared = await statuses(sandbox, 1)

        sandbox.faults.add(Fault(do=Do.RESTORE, nth=(1,)))

        assert revoked == cleared == [401]
        assert await statuses(sandbox, 2) == [200, 200]


async def test_a_limit_that_a_fault_sets_has_the_burst_that_it_says() -> None:
    first = Fault(do=Do.LIMIT, nth=(1,), per_second=0.001, burst=3)
    async with Sandbox(orders=1, faults=[first]) as sandbox:
        assert await statuses(sandbox, 5) == [200] * 3 + [429] * 2


async def test_a_limit_that_comes_after_another_was_lifted_begins_with_all_of_its_burst() -> None:
    low = Fault(do=Do.LIMIT, nth=(1, 6), per_second=0.001, burst=2)
    lifted = Fault(do=Do.LIMIT, nth=(4,), per_second=0)
    async with Sandbox(orders=1, faults=[low, lifted]) as sandbox:
        assert await statuses(sandbox, 8) == [200, 200, 429, 200, 200, 200, 200, 429]


async def test_a_limit_without_a_burst_leaves_that_of_the_account() -> None:
    slower = Fault(do=Do.LIMIT, nth=(1,), per_second=0.001)
    account = Limit(per_second=0.002, burst=4)
    async with Sandbox(orders=1, limit=account, faults=[slower]) as sandbox:
        assert await statuses(sandbox, 5) == [200] * 4 + [429]
