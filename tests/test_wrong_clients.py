"""Does the simulation see what it is there to see? Each wrong client is caught, and for what.

    pytest -m campaign tests/test_wrong_clients.py -rA

plays schedules that nobody has picked until each is caught.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.schedules import make_schedule
from tests.simulation import Ending, simulate
from tests.verdicts import Verdict
from tests.wrong_clients import WRONG_CLIENTS, WrongClient

MOST_SCHEDULES: Final = 200
FIRST_IN_CAMPAIGN: Final = 5_000


def ending_of(client: WrongClient, seed: int) -> Ending:
    with pytest.MonkeyPatch.context() as patch:
        client.make(patch)
        return simulate(make_schedule(seed))


@pytest.mark.parametrize("client", WRONG_CLIENTS, ids=lambda client: client.name)
def test_a_wrong_client_is_caught(client: WrongClient) -> None:
    ending = ending_of(client, client.seed)

    assert client.verdict in ending.verdicts


def test_every_verdict_but_a_crash_has_a_client_that_deserves_it() -> None:
    deserved = {client.verdict for client in WRONG_CLIENTS}

    assert len(WRONG_CLIENTS) >= 20
    assert deserved | {Verdict.BROKEN} == set(Verdict)


@pytest.mark.campaign
@pytest.mark.parametrize("client", WRONG_CLIENTS, ids=lambda client: client.name)
def test_a_wrong_client_is_caught_in_schedules_that_nobody_picked(client: WrongClient) -> None:
    for played in range(1, MOST_SCHEDULES + 1):
        ending = ending_of(client, FIRST_IN_CAMPAIGN + played)
        if client.verdict in ending.verdicts:
            break
    else:
        pytest.fail(f"it got through {MOST_SCHEDULES} schedules")

    print(f"{client.name}: {client.verdict.name} in schedule {played}")  # noqa: T201  the campaign's figure
