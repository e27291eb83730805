"""The tree itself: includes follow the architecture, and the tool that says so would notice."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARROWS = ROOT / "tools" / "arrows.py"


def arrows(*arguments):
    return subprocess.run([sys.executable, ARROWS, *arguments], capture_output=True, text=True, check=False)


def test_includes_follow_the_architecture():
    done = arrows()
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "include", "allowed"),
    [
        ("core/a.h", '"base/x.h"', True),
        ("core/a.h", '"engine/x.h"', False),
        ("engine/a.cc", '"sources/postgres/x.h"', False),
        ("sources/postgres/a.cc", '"wire/x.h"', True),
        ("sources/postgres/a.cc", '"sources/mysql/x.h"', False),
        ("codecs/pg/a.cc", '"wire/pg/x.h"', True),
        ("codecs/pg/a.cc", '"wire/mysql/x.h"', False),
        ("cli/a.cc", '"core/x.h"', False),
        ("app/a.cc", '"engine/x.h"', True),
        ("app/a.cc", '"engine/missing.h"', False),
        ("core/a.h", "<nlohmann/json.hpp>", False),
        ("core/a.cc", "<nlohmann/json.hpp>", True),
        ("newcomer/a.cc", '"base/x.h"', False),
    ],
)
def test_the_tool_notices(tmp_path, file, include, allowed):
    for name in ("base", "core", "engine", "sources/postgres", "sources/mysql", "wire", "wire/pg", "wire/mysql"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "x.h").write_text("#pragma once\n")
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#include {include}\n")
    assert (arrows(tmp_path).returncode == 0) == allowed
