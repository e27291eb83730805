"""Every command that README.md shows is run, in its order."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from godwit import GodwitServer
from pg import PgServer
from server import free_port

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)( tour)?\n(.*?)^```$", README, re.M | re.S)


def test_every_block_is_run():
    """A block is part of the tour, or one of those that the rest of this file checks."""
    assert [language for language, _, _ in BLOCKS] == ["sh"] * len(BLOCKS)
    others = [text.splitlines() for _, tour, text in BLOCKS if not tour]
    assert others == [
        ["make demo", "make test"],
        ["make build", "tools/install.sh demo", "source .venv/bin/activate", "export PATH=$PWD/build/release:$PATH"],
    ]
    assert sum(1 for _, tour, _ in BLOCKS if tour) == 6


@pytest.mark.parametrize("target", ["build", "demo", "test"])
def test_make_knows_the_targets(target):
    """CI itself runs `make test`, which builds; the demo has a test of its own."""
    subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_each_promise_names_its_tests():
    """docs/what-is-tested.md: every line of README's table is in it, and every test that it names is there."""
    text = (ROOT / "docs" / "what-is-tested.md").read_text()
    promises = re.findall(r"^\| (\w[\w ]*?) \|", README.partition("## What works today")[2].partition("\n## ")[0], re.M)
    assert len(promises) == 7
    for promise in promises:
        assert re.search(rf"^\| {promise} \|.*`(tests|src)/", text, re.M), promise
    python = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    units = re.findall(r"`((?:src|tests)/[\w/]+\.cc): (\w+)\.(\w+)`", text)
    assert len(python) > 20 and len(units) > 3
    for path, name in python:
        assert f"\ndef {name}(" in (ROOT / path).read_text(), (path, name)
    for path, suite, name in units:
        assert f"({suite}, {name})" in (ROOT / path).read_text(), (path, name)


def test_the_tour(godwit_program):
    """With other ports and another folder than the text's, so that it disturbs nobody."""
    folder = Path(tempfile.mkdtemp(prefix="gw-tour-"))
    folder.chmod(0o755)  # the servers run as another user
    script = "set -eu\n" + "".join(text for _, tour, text in BLOCKS if tour)
    script = script.replace("/tmp/godwit-tour", str(folder))
    for port in ("54321", "54322", "4600"):
        script = script.replace(port, str(free_port()))
    never_started = GodwitServer(folder / "data")
    environment = {k: v for k, v in never_started.client_environment().items() if not k.startswith(("AWS_", "GODWIT_"))}
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**environment, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=300)
        serve_log = (folder / "serve.log").read_text() if (folder / "serve.log").exists() else ""
        assert process.returncode == 0, output + serve_log
        assert "both sides are equal" in output
        assert '"FullLoadRows": 100000' in output
        assert '"Updates": 10000' in output
    finally:
        for name in ("source", "target"):
            PgServer(folder / name).kill()
        # serve and its tasks, if the script did not reach its end
        for entry in Path("/proc").iterdir():
            try:
                line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if str(folder).encode() in line:
                signal.pidfd_send_signal(os.pidfd_open(int(entry.name)), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
