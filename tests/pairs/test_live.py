"""Goal: under live traffic, and killed at any moment, every row is on the target once, in every pair of engines."""

from __future__ import annotations

import random
import time
import uuid

import pytest
from shop import TABLES, Server, Traffic, create, database, difference
from task_process import TaskProcess, select

PAIRS = [
    ("mariadb", "postgres"),
    ("mysql", "postgres"),
    ("postgres", "mariadb"),
    ("postgres", "mysql"),
    ("mariadb", "mysql"),
    ("mysql", "mariadb"),
]


def wait_equal(task: TaskProcess, source: Server, target: Server, schema: str, timeout_s: float = 60) -> None:
    """The traffic has ended: the target must become equal, and stay so."""
    deadline = time.monotonic() + timeout_s
    while wrong := difference(source, target, schema):
        assert task.running(), task.log_text()
        assert time.monotonic() < deadline, f"{wrong}\n{task.log_text(100)}"
        time.sleep(0.3)
    assert task.stop() == 0, task.log_text()
    assert difference(source, target, schema) == {}


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_killed_under_traffic(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "l" + uuid.uuid4().hex[:8]
    create(source, schema)
    r = random.Random(7)
    with (
        Traffic(source, schema) as traffic,
        TaskProcess(source, target, database(source), database(target), mappings=select(schema)) as task,
    ):
        task.start("fresh")
        task.wait_loaded()
        for _ in range(6):
            time.sleep(r.uniform(0.2, 1.2))
            task.kill()
            task.start("resume")
        task.wait_state("running")
        time.sleep(1)
        # exact while it is written to, in a form that both families can spell
        compared = task.control("compare", timeout_s=60)
        assert compared.get("equal"), compared
        assert {t["table"] for t in compared["tables"]} == set(TABLES), compared
        traffic.stop()
        wait_equal(task, source, target, schema)
        states = {t["name"]["table"]: t["state"] for t in task.report()["tables"]}
        assert set(states.values()) == {"Table completed"}, task.log_text()


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_killed_while_it_loads(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "k" + uuid.uuid4().hex[:8]
    create(source, schema, rows=20000)
    with (
        Traffic(source, schema) as traffic,
        TaskProcess(source, target, database(source), database(target), mappings=select(schema)) as task,
    ):
        how = "fresh"
        for wait_s in (0.35, 0.5, 0.65):
            task.start(how)
            time.sleep(wait_s)
            task.kill()
            how = "resume" if task.report().get("state") == "running" or how == "resume" else "fresh"
        task.start(how)
        task.wait_loaded(60)
        traffic.stop()
        wait_equal(task, source, target, schema)
