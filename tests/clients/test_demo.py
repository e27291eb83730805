"""make demo in small: it ends well, it ends cleanly, and it does not believe what is not so."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.apart


def start(**environment):
    return subprocess.Popen(
        [sys.executable, ROOT / "demo" / "demo.py"],
        env={**os.environ, "DEMO_ROWS": "30000", "DEMO_SECONDS": "6", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_over(output):
    """Processes that still use the demo's folder."""
    (folder,) = set(re.findall(r"/tmp/godwit-demo-\w+", output)) or {""}
    assert folder, output
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if folder.encode() in line:
            found.append(line)
    return found, Path(folder).exists()


@pytest.mark.parametrize(("source", "target"), [("15", "15"), ("18", "17"), ("17", "18")])
def test_small_demo(godwit_program, source, target):
    demo = start(DEMO_SOURCE=source, DEMO_TARGET=target)
    output, _ = demo.communicate(timeout=280)
    assert demo.returncode == 0, output
    assert "equal on both sides" in output
    assert f"source  PostgreSQL {source}" in output and f"target  PostgreSQL {target}" in output
    assert output.count("kill -9") >= 1
    assert output.count("$ aws dms ") >= 12
    assert "DIFFERENT" not in output
    assert left_over(output) == ([], False)


@pytest.mark.parametrize("pair", ["mysql-postgres", "postgres-mysql", "mysql-mysql", "mariadb-mysql"])
def test_small_demo_of_other_pairs(godwit_program, pair):
    demo = start(PAIR=pair)
    output, _ = demo.communicate(timeout=280)
    assert demo.returncode == 0, output
    assert "equal on both sides" in output and "DIFFERENT" not in output
    names = {"mysql": "MySQL", "mariadb": "MariaDB", "postgres": "PostgreSQL"}
    source, _, target = pair.partition("-")
    assert f"source  {names[source]}" in output and f"target  {names[target]}" in output
    assert output.count("kill -9") >= 1
    assert left_over(output) == ([], False)


@pytest.mark.parametrize("when", ["the migration", "full load"])
def test_interrupted_demo_leaves_nothing(godwit_program, when):
    """Ctrl-C, early and late."""
    demo = start(DEMO_SECONDS="60")
    output = ""
    assert demo.stdout is not None
    for line in demo.stdout:
        output += line
        if line.lower().startswith("== ") and when in line.lower():
            break
    time.sleep(1)
    demo.send_signal(signal.SIGINT)
    output += demo.communicate(timeout=120)[0]
    assert demo.returncode == 130, output
    assert left_over(output) == ([], False)
