"""The generated model is what its generator writes, from the description that is pinned."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import botocore
from answers import MEMBERS

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "tools" / "gen_model.py"
RECORDED = re.compile(r'kModelVersion = "dms 2016-01-01, botocore ([0-9.]+), sha256 [0-9a-f]{16}"')


def generator():
    spec = importlib.util.spec_from_file_location("gen_model", GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recorded():
    return RECORDED.search((ROOT / "src/api/model.gen.h").read_text()).group(1)


def test_one_version_everywhere():
    pinned = re.search(r"^botocore==([0-9.]+)$", (ROOT / "tests/requirements.txt").read_text(), re.MULTILINE)
    assert pinned, "botocore is not pinned in tests/requirements.txt"
    assert recorded() == pinned.group(1) == botocore.__version__


def test_the_files_are_what_the_generator_writes():
    description, version = generator().load()
    model = generator().Model(description)
    assert (ROOT / "src/api/model.gen.h").read_text() == generator().header(model, version)
    done = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generator_notices_a_difference(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "src/api").mkdir(parents=True)
    (tmp_path / "tools/gen_model.py").write_bytes(GENERATOR.read_bytes())
    for name in ("model.gen.h", "model.gen.cc"):
        (tmp_path / "src/api" / name).write_bytes((ROOT / "src/api" / name).read_bytes())
    command = [sys.executable, str(tmp_path / "tools/gen_model.py"), "--check"]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    with open(tmp_path / "src/api/model.gen.cc", "a") as file:
        file.write(" ")
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 1


def test_every_operation_has_its_list_of_members():
    assert set(MEMBERS) == set(generator().OPERATIONS)
