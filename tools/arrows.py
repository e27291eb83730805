#!/usr/bin/env python3
"""Checks the includes of src/ against the architecture: which folder may include which.

An arrow A -> B means that files of A may include headers of B. Everything may include base. A folder that is not
listed here is an error: say where it belongs before it grows.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ARROWS: dict[str, set[str]] = {
    "base": set(),
    "core": set(),
    "codecs": {"wire", "core"},  # docs/decisions/0001
    "mapping": {"core"},
    "formats": {"core"},
    "wire": set(),
    "engine": {"mapping", "core"},
    "state": {"wire", "core"},
    "sources": {"codecs", "wire", "formats", "core"},
    "targets": {"codecs", "wire", "formats", "core"},
    "jobs": {"core"},
    "control": {"jobs", "core"},
    "api": {"control", "mapping", "core"},
    "cli": set(),
}
ANYTHING = {"app"}
# Folders whose children are separate: sources/postgres must not know sources/mysql.
SEPARATE = {"sources", "targets"}
# Heavy or foreign headers: kept out of ours, so that few files pay for them.
NOT_IN_HEADERS = ("nlohmann/", "httplib.h", "CLI/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def check(source: Path) -> list[str]:
    problems = []
    folders = {p.name for p in source.iterdir() if p.is_dir()}
    for file in sorted(source.rglob("*")):
        if file.suffix not in (".h", ".cc"):
            continue
        place = file.relative_to(source)
        top = place.parts[0]
        if top not in ARROWS and top not in ANYTHING:
            problems.append(f"{place}: folder {top} is not in tools/arrows.py")
            continue
        for kind, name in INCLUDE.findall(file.read_text()):
            if kind == "<" or name.split("/")[0] not in folders:
                if file.suffix == ".h" and name.startswith(NOT_IN_HEADERS):
                    problems.append(f"{place}: {name} belongs into .cc files")
                continue
            if not (source / name).exists():
                problems.append(f"{place}: includes {name}, which does not exist")
                continue
            other = name.split("/")
            if top in ANYTHING or other[0] == "base":
                continue
            if other[0] != top and other[0] not in ARROWS[top]:
                problems.append(f"{place}: {top} must not include {other[0]} ({name})")
            elif other[0] == "wire" and top == "codecs" and other[1] != place.parts[1]:
                problems.append(f"{place}: codecs/{place.parts[1]} must not include wire/{other[1]}")
            elif other[0] == top and top in SEPARATE and other[1] != place.parts[1]:
                problems.append(f"{place}: {top}/{place.parts[1]} must not include {other[0]}/{other[1]}")
    return problems


def main() -> int:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "src"
    problems = check(source)
    for problem in problems:
        print(problem)
    if not problems:
        print("arrows: every include follows the architecture")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
