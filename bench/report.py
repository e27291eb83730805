"""What the bench says at its end: a table, and a file of every value."""

from __future__ import annotations

import contextlib
import math
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from figures import ROWS, RUNS, SYNC, say
from godwit import program
from my import MYSQL_VERSION
from server import ROOT
from setting import MY_SERVER, SERVER, Bench


def machine() -> dict[str, Any]:
    model = platform.processor()
    with contextlib.suppress(OSError):
        for row in Path("/proc/cpuinfo").read_text().splitlines():
            if row.startswith("model name"):
                model = row.partition(":")[2].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": [round(x, 2) for x in os.getloadavg()],
    }


def document(bench: Bench, parts: list[str], error: str) -> dict[str, Any]:
    def text_of(*command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    flags = ""
    with contextlib.suppress(OSError):
        for row in (program().parent / "CMakeCache.txt").read_text().splitlines():
            if row.startswith("CMAKE_CXX_FLAGS_RELEASE:"):
                flags = row.partition("=")[2]
    return {
        "machine": machine(),
        "commit": text_of("git", "rev-parse", "HEAD"),
        "changed_files": len(text_of("git", "status", "--porcelain", "--", "src").splitlines()),
        "flags": flags,
        "settings": {
            "rows": ROWS,
            "runs": RUNS,
            "parts": parts,
            "synchronous_commit": SYNC,
            "servers": {**SERVER, "fsync": "on", "version": 15},
            "mysql": {**MY_SERVER, "innodb-flush-log-at-trx-commit": 1, "version": MYSQL_VERSION},
        },
        "error": error,
        "lines": [
            {
                "name": x.name,
                "value": None if math.isnan(x.value) else x.value,
                "unit": x.unit,
                "bar": x.bar,
                "at_most": x.at_most,
                "met": x.met,
            }
            for x in bench.lines
        ],
        "series": {
            key: {
                "unit": s.unit,
                "median": s.median,
                "min": min(s.values),
                "max": max(s.values),
                "values": s.values,
            }
            for key, s in bench.series.items()
        },
    }


def show(bench: Bench) -> None:
    on = machine()
    say()
    say(
        f"{on['cpu']}, {on['cores']} cores, {on['memory_gb']} GB; PostgreSQL 15, MariaDB 10.11, MySQL 8.0, durable; "
        f"{ROWS:,} rows, medians of {RUNS}"
    )
    say()
    for line in bench.lines:
        say(line.text())
    missed = [x for x in bench.lines if x.met is False]
    say()
    say(f"{sum(x.met is True for x in bench.lines)} bars met, {len(missed)} not met")
