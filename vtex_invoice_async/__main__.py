"""`python -m vtex_invoice_async`, and the console command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; say in one line what to install where it is not."""
    try:
        from vtex_invoice_async.cli import run

        return run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"click", "dotenv", "rich"}:
            raise
        sys.stderr.write("vtex-invoice needs its extra: pip install 'vtex-invoice-async[cli]'\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
