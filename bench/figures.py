"""Figures of the bench: what is asked for by BENCH_*, series of values, lines with their bars."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "servers"))

from godwit import program
from server import ROOT

ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SYNC = os.environ.get("BENCH_SYNC", "on")
MY = [f for f in os.environ.get("BENCH_MY", "mariadb,mysql").split(",") if f]
OUT = Path(os.environ.get("BENCH_OUT", ROOT / "build" / "bench.json"))

CHANGED_ROWS = max(1000, ROWS // 5)  # rows of the table that changes, and updates of the large transaction
SMALL = max(400, ROWS // 25)  # transactions of two updates
LAG_S = 10 if ROWS >= 1_000_000 else 2
TIMEOUT_S = 900
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class BenchError(RuntimeError):
    """A line that could not be measured; the text says why."""


def say(text: str = "") -> None:
    print(text, flush=True)


def note(text: str) -> None:
    """What goes on, on the terminal's other stream."""
    print(f"  {text}", file=sys.stderr, flush=True)


def run_tool(command: list[str], environment: dict[str, str] | None = None, stdout: int = subprocess.PIPE) -> None:
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=TIMEOUT_S, env=environment
    )
    if done.returncode != 0:
        raise BenchError(f"{command[0]}: {(done.stderr + (done.stdout or ''))[-2000:]}")


def run_pipe(reader: list[str], writer: list[str]) -> None:
    """reader | writer"""
    reading = subprocess.Popen(reader, stdout=subprocess.PIPE)
    written = subprocess.run(writer, stdin=reading.stdout, check=False, timeout=TIMEOUT_S)
    if reading.wait(TIMEOUT_S) != 0 or written.returncode != 0:
        raise BenchError(f"{reader[0]} | {writer[0]} failed")


def built(name: str) -> str:
    """A measuring program of this folder, or the one that the environment names instead."""
    path = Path(os.environ.get(f"BENCH_{name.upper()}", program().parent / "bench" / name))
    if not path.exists():
        raise BenchError(f"{path} is not built (cmake -DGODWIT_BENCH=ON, target {name})")
    return str(path)


def memory_mb(pid: int | None, field: str) -> float:
    """VmHWM (peak) or VmRSS of a process."""
    for row in Path(f"/proc/{pid}/status").read_text().splitlines():
        if row.startswith(f"{field}:"):
            return int(row.split()[1]) / 1024
    return math.nan


@dataclass
class Series:
    """One figure, measured several times."""

    unit: str
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def median(self) -> float:
        return statistics.median(self.values) if self.values else math.nan

    def text(self) -> str:
        if not self.values:
            return "-"
        return f"{number(self.median)} {self.unit} ({number(min(self.values))}..{number(max(self.values))})"


def number(x: float) -> str:
    if x >= 10_000:
        return f"{x:,.0f}"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


@dataclass
class Line:
    """One line of the table: a figure of godwit, those beside it, and the bar."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_most: bool = True  # else: at least
    detail: str = ""

    @property
    def met(self) -> bool | None:
        if self.bar is None or math.isnan(self.value):
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    def text(self) -> str:
        bar = "" if self.bar is None else f"{'<=' if self.at_most else '>='} {number(self.bar)}"
        verdict = {True: "met", False: "NOT met", None: ""}[self.met]
        value = "-" if math.isnan(self.value) else f"{number(self.value)} {self.unit}".rstrip()
        return f"{self.name:<64} {value:>14}  {bar:>12}  {verdict:<8} {self.detail}".rstrip()
