#!/usr/bin/env python3
"""Runs a command while servers stand; the C++ suites find them in the environment.

with_servers.py [--source 15] [--target 15] [--mysql] [--mariadb] [--no-postgres] -- COMMAND ...
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys

from my import MyServer
from pg import PgServer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=int, default=15)
    parser.add_argument("--target", type=int, default=15)
    parser.add_argument("--mysql", action="store_true", help="MySQL 8.0 as GODWIT_TEST_MYSQL")
    parser.add_argument("--mariadb", action="store_true", help="MariaDB 10.11 as GODWIT_TEST_MARIADB")
    parser.add_argument("--no-postgres", action="store_true", help="without the two PostgreSQL servers")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    environment = {**os.environ, "GODWIT_TEST_REQUIRE_SERVERS": "1"}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the servers would stay
    with contextlib.ExitStack() as servers:
        if not arguments.no_postgres:
            for name, version in (("SOURCE", arguments.source), ("TARGET", arguments.target)):
                server = servers.enter_context(PgServer(version=version))
                environment[f"GODWIT_TEST_PG_{name}"] = f"{server.host}:{server.port}"
        for flavour in ("mysql", "mariadb"):
            if getattr(arguments, flavour):
                other = servers.enter_context(MyServer(flavour=flavour))
                environment[f"GODWIT_TEST_{flavour.upper()}"] = f"{other.host}:{other.port}"
        return subprocess.run(arguments.command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
