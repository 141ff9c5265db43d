"""File permissions that count, for root too."""

import contextlib
import os

import pytest

needs_modes = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


@contextlib.contextmanager
def unprivileged():
    """Root may do everything; inside this block the process is nobody, so that modes count."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
