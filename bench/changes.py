"""Consumers of changes, whatever the servers: how long they take to catch up, and their lag."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from figures import LAG_S, TIMEOUT_S, BenchError
from tasks import Task

if TYPE_CHECKING:
    from setting import Bench

PROBES_PER_S = 100


class Consumer:
    """Who brings a source's changes to a target of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def enable(self) -> None:
        raise NotImplementedError

    def disable(self) -> None:
        raise NotImplementedError

    def arrived(self, mark: int) -> bool:
        """Is a mark, the last of several commits, on the target?"""
        raise NotImplementedError

    def probes(self, after: int) -> list[tuple[int, float]]:
        """Probes on the target with higher numbers, and when each was written (seconds since 1970)."""
        raise NotImplementedError

    def wait_mark(self, mark: int) -> float:
        """When it was seen on the target."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if self.arrived(mark):
                return time.monotonic()
            time.sleep(0.002)
        raise BenchError(f"{self.name}: the changes did not arrive within {TIMEOUT_S} s")

    def catch_up(self, mark: int) -> float:
        """Seconds from the command that enables it until the mark is there."""
        begin = time.monotonic()
        self.enable()
        took = self.wait_mark(mark) - begin
        self.disable()
        return took


class TaskConsumer(Consumer):
    """A task of godwit; to be mixed with the side that it writes to."""

    task: Task

    def load(self) -> None:
        self.task.start("start-replication")
        self.task.wait(lambda t: t.get("phase") == "change processing", "loaded")

    def enable(self) -> None:
        self.task.start("resume-processing")

    def disable(self) -> None:
        self.task.stop()


def write_probes(seconds: float, write: Callable[[int], object]) -> None:
    """At a steady pace; a probe carries its own time, taken just before its commit."""
    begin = time.monotonic()
    for number in range(1, int(seconds * PROBES_PER_S) + 1):
        write(number)
        time.sleep(max(0, begin + number / PROBES_PER_S - time.monotonic()))


def lags_ms(consumer: Consumer, writer: subprocess.Popen[bytes]) -> list[float]:
    """When is each of write_probes() seen on the target? Until the process that writes them is through."""
    lags: list[float] = []
    last = 0
    deadline = time.monotonic() + LAG_S + 30
    while time.monotonic() < deadline:
        ended = writer.poll() is not None
        probes = consumer.probes(last)
        seen = time.time()
        for number, written in probes:
            lags.append((seen - written) * 1000)
            last = max(last, number)
        if ended and last == int(LAG_S * PROBES_PER_S):
            break
        time.sleep(0.0002)
    return sorted(lags)


def add_lags(bench: Bench, key: str, consumer: Consumer, lags: list[float]) -> None:
    if len(lags) < 50:
        raise BenchError(f"{consumer.name}: {len(lags)} samples only")
    for p in (50, 99):
        bench.add(f"{key}_p{p}.{consumer.name}", "ms", lags[min(len(lags) - 1, len(lags) * p // 100)])
