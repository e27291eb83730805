"""Goal: under live traffic, and killed at any moment, every row is on the target once, in every pair of engines."""

from __future__ import annotations

import contextlib
import random
import time
import uuid

import pytest
from shop import TABLES, Server, Traffic, connect, create, database, difference
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
        task.wait_joined()
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


@pytest.mark.parametrize("to", ["mariadb", "mysql"])
def test_a_killed_task_leaves_no_session_behind(to: str, request: pytest.FixtureRequest) -> None:
    """The keeper of its snapshot lives on, and holds none of its sockets: the target would keep what they locked."""
    source, target = request.getfixturevalue("postgres"), request.getfixturevalue(to)
    schema = "k" + uuid.uuid4().hex[:8]
    create(source, schema, rows=20000)
    living = (
        "select count(*) from godwit.gw_session s join information_schema.processlist p on p.id = s.connection "
        "where s.task = '{}'"
    )
    with TaskProcess(source, target, database(source), database(target), mappings=select(schema)) as task:
        task.start("fresh", failpoint="slice.rows_sent=sleep:3000")
        task.wait_for(lambda: int(target.sql(living.format(task.id))[0][0]) > 1, 30, "a load under way")
        task.kill()
        assert task.keepers()
        deadline = time.monotonic() + 8
        while int(target.sql(living.format(task.id))[0][0]) != 0:
            assert time.monotonic() < deadline, target.sql("show full processlist")
            time.sleep(0.1)
        assert task.keepers()
        # One that has not ended, as when its host is gone, is ended before anything waits for it.
        with connect(target, "godwit") as c, c.cursor() as old:
            c.autocommit(False)
            old.execute("select host from information_schema.processlist where id = connection_id()")
            old.execute("insert into gw_session values (%s, connection_id(), %s, 1, 1)", (task.id, old.fetchone()[0]))
            c.commit()
            old.execute("select 1 from gw_task where task = %s lock in share mode", (task.id,))
            task.start("resume")
            task.wait_loaded(30)
            assert task.stop() == 0
            with contextlib.suppress(Exception):
                c.rollback()
