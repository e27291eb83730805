#!/usr/bin/env python3
"""make bench: godwit beside the tools that one would otherwise pick, on one machine, in one run.

Durable servers, one table of ten columns. What is compared takes turns (A B C A B C), medians count. Prints a table
with the bar of each line and writes build/bench.json. docs/benchmarks.md says what is measured.

    BENCH_ROWS=5000000      rows of the full load; the change streams are sized by it
    BENCH_RUNS=5            repeats of each line
    BENCH_ONLY=load,...     some lines only
    BENCH_MY=mariadb,mysql  which servers the lines of MySQL and MariaDB are measured with
    BENCH_SYNC=on           synchronous_commit of whoever applies changes, godwit and PostgreSQL alike
    BENCH_OUT=FILE          instead of build/bench.json
"""

from __future__ import annotations

import json
import os
import signal
import sys

from figures import MY, OUT, ROWS, RUNS, note, say
from my import FLAVOURS
from my_changes import measure_my_changes, measure_my_decode, measure_my_lag
from my_load import measure_my_load, measure_my_my, measure_to_my
from pg_changes import measure_backlog, measure_lag, measure_large, measure_live
from pg_decode import measure_decode
from pg_load import measure_load
from report import document, show
from serving import measure_serve
from setting import Bench

PARTS = {
    "load": measure_load,
    "large": measure_large,
    "backlog": measure_backlog,
    "live": measure_live,
    "decode": measure_decode,
    "lag": measure_lag,
    "serve": measure_serve,
}
MY_PARTS = {
    "my_load": measure_my_load,
    "to_my": measure_to_my,
    "my_my": measure_my_my,
    "my_decode": measure_my_decode,
    "my_changes": measure_my_changes,
    "my_lag": measure_my_lag,
}
ONLY = [p for p in os.environ.get("BENCH_ONLY", ",".join([*PARTS, *MY_PARTS])).split(",") if p]


def measure(bench: Bench) -> None:
    bench.start()
    for part, function in PARTS.items():
        if part in ONLY:
            note(f"== {part}")
            function(bench)
    for flavour in MY:
        for part, function_of in MY_PARTS.items():
            if part in ONLY:
                note(f"== {part} of {flavour}")
                function_of(bench, flavour)


def main() -> int:
    unknown = [p for p in ONLY if p not in PARTS and p not in MY_PARTS] + [f for f in MY if f not in FLAVOURS]
    if unknown or RUNS < 1 or ROWS < 1000:
        print(f"bench: not a part or a server: {unknown}" if unknown else "bench: too small", file=sys.stderr)
        return 2

    def interrupted(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    bench = Bench()
    error = ""
    try:
        measure(bench)
    except KeyboardInterrupt:
        error = "interrupted"
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
        if text := bench.godwit.log_text():
            print(text, file=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench.close()
    show(bench)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(document(bench, ONLY, error), indent=1) + "\n")
    say(f"written to {OUT}")
    if error:
        print(f"bench: {error}", file=sys.stderr)
        return 130 if error == "interrupted" else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
