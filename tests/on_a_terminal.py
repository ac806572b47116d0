"""Run as a module: `vtex-invoice` in a session of its own, whose terminal is where stderr goes."""

from __future__ import annotations

import fcntl
import os
import runpy
import termios

if __name__ == "__main__":
    os.setsid()
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
    runpy.run_module("vtex_invoice_async", run_name="__main__", alter_sys=True)
