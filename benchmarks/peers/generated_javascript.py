"""openapi-generator's JavaScript client (superagent), on Node.js.

Used as its README says it opens a connection for each call; `send_kept_alive` gives it an agent that
keeps them, which its code has a place for. The script beside this module makes the same invoices,
warms itself up with as many (Node.js is slow for its first 2,000), and tells what they cost it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.peers.generated import by_openapi_generator, cached, run
from benchmarks.ways import APP_KEY, APP_TOKEN, ISSUED, LINES, Cost, Load

__all__ = ["send", "send_kept_alive"]

SCRIPT: Final = Path(__file__).with_name("generated_javascript.cjs")


def send(load: Load) -> Cost:
    return _send(load, keep_alive=False)


def send_kept_alive(load: Load) -> Cost:
    return _send(load, keep_alive=True)


def _send(load: Load, *, keep_alive: bool) -> Cost:
    folder = cached("javascript", "openapi-generator-cli", _make)
    figures = {
        "client": str(folder),
        "url": load.url,
        "invoices": load.invoices,
        "concurrency": load.concurrency,
        "keepAlive": keep_alive,
        "appKey": APP_KEY,
        "appToken": APP_TOKEN,
        "issued": ISSUED.isoformat(),
        "lines": LINES,
    }
    said = subprocess.run(
        [_program("node"), SCRIPT, json.dumps(figures)], stdout=subprocess.PIPE, check=True
    )
    spent = json.loads(said.stdout)
    return Cost(wall=spent["wall"] / load.invoices, cpu=spent["cpu"] / load.invoices)


def _make(folder: Path) -> None:
    by_openapi_generator("javascript", folder, "usePromises=true", "projectName=invoice-client")
    run(_program("npm"), "install", "--no-audit", "--no-fund", folder=folder)


def _program(name: str) -> str:
    return shutil.which(name) or name
