"""Goal: a task without a load of its own never takes a table for one that it follows whole when a load of it was cut
short, and never loads rows on top of those that somebody else has put there."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

FLAVOURS = ["mariadb", "mysql"]


def copied(source: MyServer, target: PgServer, key: str) -> tuple[TaskProcess, str]:
    schema = "co" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    table = f"t (id int{key}, v int)"
    source.sql(f"create table {table}; insert into t values (1, 1), (2, 2)", schema)
    target.sql(f"create schema {schema}; create table {schema}.{table}")
    target.sql(f"insert into {schema}.t values (1, 1), (2, 2)")
    nothing = {"FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"}}
    return TaskProcess(source, target, "", "postgres", mappings=select(schema), kind="cdc", settings=nothing), schema


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_new_table_whose_load_is_cut_short(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    task, s = copied(source, postgres, " primary key")
    with task:
        task.start("fresh", failpoint="slice.before_commit=kill")
        task.wait_state("running")
        rows = ", ".join(f"({n}, {n})" for n in range(500))
        source.sql(f"create table n (id int primary key, v int); insert into n values {rows}", s)
        assert task.wait_end() == -9, task.log_text()
        source.sql("insert into n values (1000, 1)", s)
        task.start("resume")

        def whole() -> bool:
            return postgres.sql(f"select count(*), max(id) from {s}.n") == [(501, 1000)]

        task.wait_for(whole, 30, "the new table")
        source.sql("insert into n values (1001, 1)", s)
        task.wait_for(lambda: postgres.sql(f"select max(id) from {s}.n") == [(1001,)], 20, "its changes")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_rows_of_others_are_not_loaded_twice(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """A change that no row of the log tells would need a load, which DO_NOTHING and a table without a key forbid."""
    source = request.getfixturevalue(flavour)
    task, s = copied(source, postgres, "")
    with task:
        task.start("fresh")
        task.wait_state("running")
        source.sql("insert into t values (3, 3)", s)
        task.wait_caught_up()
        source.sql("set session binlog_format = 'STATEMENT'; update t set v = 7 where id = 1", s)
        task.wait_for(lambda: "DO_NOTHING" in task.table("t").get("detail", ""), 30, "an error that says why")
        assert postgres.sql(f"select count(*) from {s}.t") == [(3,)]
        assert task.stop() == 0
        task.start("resume")
        task.wait_state("running")
        assert task.table("t")["state"] == "Table error"
        assert task.stop() == 0
        assert postgres.sql(f"select count(*) from {s}.t") == [(3,)]
