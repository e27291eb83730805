#!/usr/bin/env python3
"""Runs a command while a source and a target server stand; the C++ suites find them in the environment.

with_servers.py [--source 15] [--target 15] -- COMMAND ...
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from pg import PgServer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=int, default=15)
    parser.add_argument("--target", type=int, default=15)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    with PgServer(version=arguments.source) as source, PgServer(version=arguments.target) as target:
        environment = {
            **os.environ,
            "GODWIT_TEST_PG_SOURCE": f"{source.host}:{source.port}",
            "GODWIT_TEST_PG_TARGET": f"{target.host}:{target.port}",
            "GODWIT_TEST_REQUIRE_SERVERS": "1",
        }
        return subprocess.run(arguments.command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
