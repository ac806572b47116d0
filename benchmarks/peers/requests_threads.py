"""requests: one Session for a pool of threads, its pool of connections as large as theirs."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from benchmarks.peers.orders import HEADERS, PATH, in_threads
from benchmarks.ways import Load

__all__ = ["send"]


def send(load: Load) -> None:
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=load.concurrency))
        session.headers.update(HEADERS)

        def post(order_id: str, document: dict[str, Any]) -> None:
            answer = session.post(load.url + PATH.format(order_id), json=document)
            answer.raise_for_status()
            answer.json()

        in_threads(load, post)
