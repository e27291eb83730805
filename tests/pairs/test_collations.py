"""Goal: where keys of the target compare less exactly than those of the source, a change meets its own row or is an
error; it never changes another row. Such tables are named before a row is written, or refused."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from my import MyServer
from task_process import TaskProcess, select

# the source's key, the target's, and what the target takes 'a' for besides
WEAKER = [
    ("postgres", "mariadb", 'text collate "C"', "varchar(40) collate utf8mb4_general_ci", "A"),
    ("postgres", "mysql", 'text collate "C"', "varchar(40) collate utf8mb4_0900_ai_ci", "á"),
    ("mariadb", "mysql", "varchar(40) collate utf8mb4_bin", "varchar(40) collate utf8mb4_general_ci", "A"),
    ("mysql", "mariadb", "varchar(40) collate utf8mb4_0900_as_cs", "varchar(40) collate utf8mb4_bin", "a "),
]


def tables(source: Any, target: MyServer, theirs: str, ours: str) -> str:
    schema = "co" + uuid.uuid4().hex[:8]
    statement = f"create table t (k {theirs} not null primary key, v int)"
    if isinstance(source, MyServer):
        source.create_database(schema)
        source.sql(statement + "; insert into t values ('a', 1), ('b', 2)", schema)
    else:
        source.sql(f"create schema {schema}")
        source.sql(statement.replace(" t (", f" {schema}.t ("))
        source.sql(f"insert into {schema}.t values ('a', 1), ('b', 2)")
    target.create_database(schema)
    target.sql(f"create table t (k {ours} not null primary key, v int)", schema)
    return schema


def run(source: Any, schema: str, statement: str) -> None:
    if isinstance(source, MyServer):
        source.sql(statement, schema)
    else:
        source.sql(statement.replace(" t ", f" {schema}.t "))


def task_of(source: Any, target: MyServer, schema: str, **attributes: str) -> TaskProcess:
    return TaskProcess(
        source,
        target,
        "" if isinstance(source, MyServer) else "postgres",
        "",
        mappings=select(schema),
        settings={"FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"}},
        target_attributes=attributes,
    )


@pytest.mark.parametrize(("from_", "to", "theirs", "ours", "other"), WEAKER)
def test_a_collision_is_an_error(
    from_: str, to: str, theirs: str, ours: str, other: str, request: pytest.FixtureRequest
) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    s = tables(source, target, theirs, ours)
    text = f"key column k of table {s}.t has a collation by which different values of the source are equal"
    with task_of(source, target, s) as task:
        task.start("fresh")
        task.wait_loaded()
        assert text in task.log_text(200)
        assert [text in e["message"] for e in task.report()["events"]].count(True) == 1
        run(source, s, f"insert into t values ('{other}', 100)")
        run(source, s, f"update t set v = 101 where k = '{other}'")
        run(source, s, "update t set v = 11 where k = 'a'")
        run(source, s, f"delete from t where k = '{other}'")
        run(source, s, "insert into t values ('last', 3)")
        task.wait_for(lambda: target.sql("select v from t where k = 'last'", s) == [["3"]], 30, "the last change")
        rows = target.sql("select concat(k, '|'), v from t order by v", s)
        assert rows == [["b|", "2"], ["last|", "3"], ["a|", "11"]]
        errors = target.sql(
            "select substring_index(STATEMENT, ' ', 1) from awsdms_control.awsdms_apply_exceptions"
            f" where TASK_NAME = '{task.id}' and TABLE_NAME = 't'"
        )
        assert sorted(e[0] for e in errors) == ["INSERT", "UPDATE"], errors
        assert task.stop() == 0


@pytest.mark.parametrize(("from_", "to", "theirs", "ours", "other"), WEAKER)
def test_they_are_refused(
    from_: str, to: str, theirs: str, ours: str, other: str, request: pytest.FixtureRequest
) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    s = tables(source, target, theirs, ours)
    with task_of(source, target, s, collationmismatch="fail") as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.table("t")["state"] == "Table error"
        assert "collationMismatch=fail is set" in task.table("t")["detail"]
        assert target.sql("select count(*) from t", s) == [["0"]]
        task.stop()


@pytest.mark.parametrize(
    ("from_", "to", "theirs", "ours"),
    [
        ("mariadb", "mysql", "varchar(40) collate utf8mb4_general_ci", "varchar(40) collate utf8mb4_general_ci"),
        ("mysql", "mariadb", "varchar(40) character set utf8", "varchar(40) character set utf8"),
        ("mysql", "mariadb", "varchar(40) collate utf8mb4_0900_ai_ci", "varchar(40) collate utf8mb4_nopad_bin"),
        ("mariadb", "mysql", "varchar(40) collate utf8mb4_general_ci", "varchar(40) collate utf8mb4_bin"),
    ],
)
def test_what_is_as_exact_is_not_named(
    from_: str, to: str, theirs: str, ours: str, request: pytest.FixtureRequest
) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    s = tables(source, target, theirs, ours)
    with task_of(source, target, s, collationmismatch="fail") as task:
        task.start("fresh")
        task.wait_loaded()
        run(source, s, "update t set v = 12 where k = 'a'")
        run(source, s, "update t set k = 'A' where k = 'a'")
        task.wait_for(lambda: target.sql("select k, v from t order by v", s) == [["b", "2"], ["A", "12"]], 30, "both")
        assert task.stop() == 0
