"""vtexpy, in a pool of threads. It has no method for invoices: they go by its `custom.request`.

It has VTEX's hosts only, by https. A hook of httpx sends its requests to the stub instead; so it is
spared the TLS handshake that each call of its costs, for it makes a new httpx.Client, which loads the
authorities' certificates anew, for every call.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import vtex
from vtex._api import base

from benchmarks.peers.orders import PATH, in_threads
from benchmarks.ways import APP_KEY, APP_TOKEN, Load

__all__ = ["send"]


def send(load: Load) -> None:
    stub = httpx.URL(load.url)

    def redirect(request: httpx.Request) -> None:
        request.url = request.url.copy_with(scheme="http", host=stub.host, port=stub.port)

    base.Client = partial(httpx.Client, event_hooks={"request": [redirect]})
    config = vtex.VTEXConfig(account_name="benchmark", app_key=APP_KEY, app_token=APP_TOKEN)
    custom = vtex.VTEX(config).custom

    def post(order_id: str, document: dict[str, Any]) -> None:
        answer = custom.request(
            "POST", PATH.format(order_id), environment="vtexcommercestable", json=document
        )
        if answer.status_code != 200:
            raise ValueError(answer.status_code)

    in_threads(load, post)
