"""Goal: triggers of a MySQL or MariaDB target, which no session can switch off, are named before a row is written, or
refused where the user says so."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

FLAVOURS = ["mariadb", "mysql"]


def with_trigger(source: PgServer, target: MyServer) -> str:
    """The same two tables on both sides; one has a trigger on the target that spoils each row."""
    schema = "tr" + uuid.uuid4().hex[:8]
    source.sql(f"create schema {schema}")
    for table in ("spoiled", "clean"):
        source.sql(f"create table {schema}.{table} (id int primary key, v int)")
        source.sql(f"insert into {schema}.{table} values (1, 10)")
    target.create_database(schema)
    target.sql(
        "create table spoiled (id int primary key, v int); create table clean (id int primary key, v int);"
        "create trigger spoils before insert on spoiled for each row set new.v = new.v + 1",
        schema,
    )
    return schema


def task_of(source: PgServer, target: MyServer, schema: str, how: str = "", **more: str) -> TaskProcess:
    attributes = {"targettriggers": how} if how else {}
    settings = {"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}}
    return TaskProcess(
        source, target, "postgres", "", mappings=select(schema), settings=settings, target_attributes=attributes, **more
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_they_are_named(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    target = request.getfixturevalue(flavour)
    s = with_trigger(postgres, target)
    text = f"trigger spoils of table {s}.spoiled acts on every row"
    with task_of(postgres, target, s) as task:
        task.start("fresh")
        task.wait_loaded()
        assert text in task.log_text(200)
        assert [text in e["message"] for e in task.report()["events"]].count(True) == 1
        assert "clean" not in "".join(e["message"] for e in task.report()["events"])
        assert task.stop() == 0
        # where nothing is loaded, too
        task.start("resume")
        task.wait_for(
            lambda: [text in e["message"] for e in task.report().get("events", [])].count(True) == 2, 20, "the event"
        )
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_they_are_refused(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    target = request.getfixturevalue(flavour)
    s = with_trigger(postgres, target)
    target.sql("insert into spoiled values (7, 7)", s)
    with task_of(postgres, target, s, "fail") as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.table("spoiled")["state"] == "Table error"
        assert "spoils" in task.table("spoiled")["detail"]
        assert "targetTriggers=fail is set" in task.table("spoiled")["detail"]
        assert target.sql("select * from spoiled", s) == [["7", "8"]], "before a row is moved"
        assert target.sql("select * from clean", s) == [["1", "10"]]
        assert task.stop() == 0


def test_a_task_that_goes_on_is_refused(postgres: PgServer, mariadb: MyServer) -> None:
    """To leave the table out would be to lose its changes."""
    s = with_trigger(postgres, mariadb)
    mariadb.sql("drop trigger spoils", s)
    with task_of(postgres, mariadb, s, "fail") as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.stop() == 0
        postgres.sql(f"insert into {s}.spoiled values (2, 20)")
        mariadb.sql("create trigger spoils before insert on spoiled for each row set new.v = 0", s)
        task.start("resume")
        assert task.wait_end(20) not in (None, 0)
        assert "trigger spoils" in task.report()["last_error"]
        mariadb.sql("drop trigger spoils", s)
        task.start("resume")
        task.wait_for(lambda: mariadb.sql("select v from spoiled where id = 2", s) == [["20"]], 20, "the change")
        assert task.stop() == 0


def test_only_two_words(postgres: PgServer, mariadb: MyServer) -> None:
    s = with_trigger(postgres, mariadb)
    with task_of(postgres, mariadb, s, "off") as task:
        task.start("fresh")
        assert task.wait_end(20) not in (None, 0)
        assert "targetTriggers is 'off'; it can be warn or fail" in task.report()["last_error"]
