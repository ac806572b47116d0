"""The command line as a user runs it: another process, its own environment, files on disk."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from tests.canaries import DESCRIPTION, EMBEDDED, INVOICE_URL, key_for
from vtex_invoice_async import ClientConfig, Order
from vtex_invoice_async.models import OrderItem

ROOT = Path(__file__).parents[1]
TIMEOUT = 20.0
"""Seconds after which a command that did not end has failed its test."""

STATES = ("confirmed", "rejected", "not_sent", "in_doubt", "absent", "conflict", "held")
"""What each planned invoice is in the end: just one of these."""


@frozen(kw_only=True)
class Ended:
    """How a command ended."""

    code: int | None
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@asynccontextmanager
async def started(
    *arguments: object,
    environ: Mapping[str, str] | None = None,
    stdout: int = PIPE,
    stderr: int = PIPE,
    module: str = "vtex_invoice_async",
) -> AsyncIterator[Process]:
    """Run a module, by default as `vtex-invoice`, for as long as the block lasts."""
    # The developer's own VTEX_... variables must neither help a test nor be used by one, and their
    # own journals neither be read nor written.
    around = {name: value for name, value in os.environ.items() if not name.startswith("VTEX_")}
    with TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *map(str, arguments),
            cwd=ROOT,
            env=around | {"XDG_STATE_HOME": folder} | dict(environ or {}),
            stdin=PIPE,
            stdout=stdout,
            stderr=stderr,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def ending(process: Process, stdin: bytes = b"", patience: float = TIMEOUT) -> Ended:
    """Wait until a command has ended by itself."""
    async with asyncio.timeout(patience):
        stdout, stderr = await process.communicate(stdin)
    return Ended(code=process.returncode, stdout=stdout.decode(), stderr=stderr.decode())


async def run(
    *arguments: object,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    patience: float = TIMEOUT,
) -> Ended:
    """Run `vtex-invoice` to its end; whatever a test is about, secrets must not be said."""
    async with started(*arguments, environ=environ) as process:
        ended = await ending(process, stdin, patience)
    for name in ("VTEX_APP_KEY", "VTEX_APP_TOKEN", "VTEX_USER_TOKEN"):
        secret = (environ or {}).get(name)
        assert not secret or secret not in ended.stdout + ended.stderr, f"told {name}"
    return ended


async def until(condition: Callable[[], bool], patience: float = TIMEOUT) -> None:
    """Wait for something that another process does to be seen in this one."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110  another process sets no event of ours
            await asyncio.sleep(0.01)


def environ_of(config: ClientConfig) -> dict[str, str]:
    """The `VTEX_...` variables that say what *config* says."""
    assert config.app_key is not None
    assert config.app_token is not None
    return {
        "VTEX_ACCOUNT": config.account,
        "VTEX_APP_KEY": config.app_key,
        "VTEX_APP_TOKEN": config.app_token,
        "VTEX_BASE_URL": config.url,
    }


def row(order: Order, **changes: object) -> dict[str, object]:
    """A row that invoices all of an order, as VTEX's documents write it."""
    sound: dict[str, object] = {
        "orderId": order.order_id,
        "type": "Output",
        "invoiceNumber": f"NFe{order.sequence}",
        "invoiceValue": order.value,
        "issuanceDate": "2026-01-31T18:25:43-03:00",
        "items": [
            {
                "id": line.id,
                "price": line.selling_price,
                "quantity": line.quantity,
                "description": DESCRIPTION,
            }
            for line in order.items
        ],
        "invoiceKey": key_for(str(changes.get("invoiceNumber", order.sequence))),
        "invoiceUrl": INVOICE_URL,
        "embeddedInvoice": EMBEDDED,
    }
    return sound | changes


def made_up_rows(count: int) -> list[dict[str, object]]:
    """Rows for orders that no sandbox has yet."""
    line = OrderItem(id="1234", quantity=1, selling_price=2499)
    return [
        row(Order(order_id=f"1172452{n:06}-01", value=2499, sequence=f"50{n:04}", items=(line,)))
        for n in range(count)
    ]


def json_lines(rows: Iterable[object]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(found) + "\n" for found in rows)


def file_of(folder: Path, rows: Iterable[object], name: str = "invoices.jsonl") -> Path:
    """A file that holds *rows*."""
    path = folder / name
    path.write_text(json_lines(rows), encoding="utf-8")
    return path
