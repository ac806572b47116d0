"""The documents of VTEX in `golden/`, each with what is sent instead where that differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen

from vtex_invoice_async.vocabulary import OrdersApi

FOLDER = Path(__file__).with_name("golden")


@frozen
class Golden:
    operation: str
    dialect: OrdersApi
    vtex: Any
    ours: Any


def golden(name: str) -> Golden:
    found = json.loads((FOLDER / f"{name}.json").read_bytes())
    assert set(found) <= {"source", "operation", "dialect", "vtex", "ours"}
    return Golden(
        found["operation"],
        OrdersApi(found["dialect"]),
        found["vtex"],
        found.get("ours", found["vtex"]),
    )


def canonical(document: object) -> str:
    """As text, for to Python 1, 1.0 and true are equal."""
    return json.dumps(document, sort_keys=True)


def golden_names() -> set[str]:
    return {path.stem for path in FOLDER.glob("*.json")}


def golden_requests() -> set[str]:
    """The names of what is sent; the others are of what is answered."""
    answers = ("answers", "get_order", "order_paths", "receipt")
    return {name for name in golden_names() if not name.startswith(answers)}
