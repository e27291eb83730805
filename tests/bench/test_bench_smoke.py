"""make bench in small: every line is measured, and the report holds what it promises. Figures are not judged here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 90
pytestmark = pytest.mark.apart


def test_small_bench(godwit_program, tmp_path):
    out = tmp_path / "bench.json"
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "run.py"],
        env={**os.environ, "BENCH_ROWS": "20000", "BENCH_RUNS": "1", "BENCH_MY": "mariadb", "BENCH_OUT": str(out)},
        capture_output=True,
        text=True,
        timeout=4 * SECONDS_MAX,  # beside other suites
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["error"] == ""
    assert len(report["commit"]) == 40
    assert report["machine"]["cores"] >= 1
    assert report["settings"]["rows"] == 20000
    assert all(line["value"] is not None for line in report["lines"])
    bars = [line for line in report["lines"] if line["bar"] is not None]
    assert len(bars) == 27
    assert all(line["met"] in (True, False) for line in bars)
    for line in report["lines"]:
        assert line["name"] in done.stdout
    for key in (
        *("load.godwit", "load.psql", "load.pgcopydb", "large.native", "decode.native", "lag_p99.native"),
        *("my_load.mariadb.pgloader", "to_my.mariadb.load_data", "my_my.mariadb.mydumper", "my_decode.verbose"),
        *("my_changes.mariadb.small.native", "my_changes.mariadb.large.pg_pg", "my_lag.mariadb_p99.godwit"),
    ):
        assert report["series"][key]["median"] > 0, key
