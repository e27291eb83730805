"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], why: str | Callable[[], object] = "", timeout_s: float = 60) -> T:
    """Until `condition()` is true, and what it was; `why` is said of the wait that was in vain."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {why() if callable(why) else why}"
        time.sleep(0.03)
    return value
