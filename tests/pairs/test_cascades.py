"""Goal: rows that a foreign key changes on the server alone are in no log: their tables are named at the start, or
refused where the user says so."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select


def family(source: MyServer) -> str:
    schema = "c" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql(
        "create table parent (id int primary key);"
        "create table child (id int primary key, p int, foreign key (p) references parent (id) on delete cascade);"
        "create table kept (id int primary key, p int, foreign key (p) references parent (id));"
        "insert into parent values (1); insert into child values (1, 1); insert into kept values (1, null)",
        schema,
    )
    return schema


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_they_are_named(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    s = family(source)
    with TaskProcess(source, postgres, "", "postgres", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        text = task.log_text(200)
        assert f"leave these tables behind: {s}.child (of {s}.parent);" in text
        assert task.table("child")["state"] == "Table completed"
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_they_are_refused(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(flavour)
    s = family(source)
    attributes = {"cascade": "fail"}
    with TaskProcess(source, postgres, "", "postgres", mappings=select(s), source_attributes=attributes) as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.table("child")["state"] == "Table error"
        assert "cascade=fail is set" in task.table("child")["detail"]
        assert task.table("kept")["state"] == "Table completed"
        task.stop()
        task.spec["type"] = "cdc"
        task.start("fresh")
        assert task.wait_end(20) not in (None, 0)
        assert "cascade=fail is set" in task.report()["last_error"]
        task.spec["source"]["attributes"] = {"cascade": "replay"}
        task.start("fresh")
        assert task.wait_end(20) not in (None, 0)
        assert "it can be warn or fail" in task.report()["last_error"]
