"""Goal: where the target's DDL commits, a task that dies at any step of a change of shape loses and doubles nothing.

Tables without a key, so that every row that comes twice or never is seen."""

from __future__ import annotations

import time
import uuid

import pytest
from kills import FULL
from my import MyServer
from pg import PgServer
from shop import Server, connect
from task_process import TaskProcess, select

PAIRS = [("postgres", "mariadb"), ("mariadb", "mysql")]
if FULL:  # make crash
    PAIRS += [("postgres", "mysql"), ("mysql", "mariadb")]
POINTS = [
    "shape.cut=kill",
    "shape.changed=kill",
    "shape.kept=kill",
    "shape.cut=kill@2",  # between two steps of one change
    "shape.changed=kill@2",
    "shape.kept=kill@2",
    "shape.kept=then:apply.rows_sent@1",
    "shape.kept=then:apply.before_commit@1",
    "shape.kept=then:apply.committed@1",
]


def row(cursor: object, schema: str, table: str, text: str) -> None:
    cursor.execute(f"insert into {schema}.{table} (k, v) values (1, %s)", (text,))


def change(source: Server, schema: str, number: int) -> None:
    """One transaction with rows of both tables before and after two columns of `bag` change; where the source's DDL
    commits, the transaction behind it meets the new shape in its middle."""
    with connect(source, schema) as c, c.cursor() as cursor:
        if isinstance(source, PgServer):
            c.autocommit = False
        else:
            c.autocommit(False)
        row(cursor, schema, "bag", f"{number} before")
        row(cursor, schema, "other", f"{number} before")
        row(cursor, schema, "bag", f"{number} before")
        cursor.execute(f"alter table {schema}.bag drop column c{number - 1}, add column c{number} varchar(20)")
        row(cursor, schema, "other", f"{number} after")
        cursor.execute(f"insert into {schema}.bag (k, v, c{number}) values (2, 'after', 'new'), (2, 'after', 'new')")
        row(cursor, schema, "other", f"{number} after")
        c.commit()


def rows(server: Server, schema: str, table: str) -> list[tuple[object, ...]]:
    with connect(server, schema) as c, c.cursor() as cursor:
        cursor.execute(f"select * from {schema}.{table}")
        return sorted(map(tuple, cursor.fetchall()), key=repr)


def wait_equal(task: TaskProcess, source: Server, target: Server, schema: str) -> None:
    deadline = time.monotonic() + 15
    while any((wrong := rows(source, schema, t)) != rows(target, schema, t) for t in ("bag", "other")):
        assert task.running() and time.monotonic() < deadline, (
            f"{wrong} {[rows(target, schema, t) for t in ('bag', 'other')]}\n{task.log_text()}"
        )
        time.sleep(0.1)


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_killed_at_each_step_of_a_change_of_shape(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "dk" + uuid.uuid4().hex[:8]
    if isinstance(source, PgServer):
        source.sql(f"create schema {schema}")
    else:
        source.create_database(schema)
    with connect(source, schema) as c, c.cursor() as cursor:
        cursor.execute(f"create table {schema}.bag (k int, v varchar(40), c0 varchar(20))")
        cursor.execute(f"create table {schema}.other (k int, v varchar(40))")
        if isinstance(source, PgServer):
            for t in ("bag", "other"):
                cursor.execute(f"alter table {schema}.{t} replica identity full")
        row(cursor, schema, "bag", "there")
        c.commit()
    database = "postgres" if isinstance(source, PgServer) else ""
    with TaskProcess(source, target, database, "", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        for number, point in enumerate(POINTS, 1):
            task.kill()
            task.start("resume", failpoint=point)
            task.wait_state("running")
            change(source, schema, number)
            assert task.wait_end(20) == -9, f"{point} was never reached\n{task.log_text()}"
            task.start("resume")
            wait_equal(task, source, target, schema)
        assert {t["state"] for t in task.report()["tables"]} == {"Table completed"}, task.log_text()
        # followed, never loaded anew
        assert not any(t.get("reloaded") for t in task.report()["tables"]), task.log_text()
        assert isinstance(target, MyServer) and task.stop() == 0
