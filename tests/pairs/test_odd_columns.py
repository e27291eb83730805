"""Goal: columns that a server of this family treats otherwise than its others are loaded and followed: geometries that
may not be NULL, decimals that the server computes and rounds, a YEAR beside eight numbers."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from task_process import TaskProcess, select

NUMBERS = ", ".join(f"n{i} int {'unsigned' if i % 2 else ''}" for i in range(5))


@pytest.mark.parametrize(("from_", "to"), [("mariadb", "mysql"), ("mysql", "mariadb")])
def test_they_are_loaded_and_followed(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    s = "od" + uuid.uuid4().hex[:8]
    source.create_database(s)
    source.sql(
        f"create table t (id int primary key, y year, at point not null, {NUMBERS}, a decimal(4,2), "
        "q decimal(7,4) generated always as (a / 7) stored); "
        "insert into t (id, y, at, n0, n1, a) values (1, 2024, point(1, 2), -1, 4294967295, 1.00)",
        s,
    )
    with TaskProcess(source, target, "", "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        source.sql("insert into t (id, y, at, n0, n1, a) values (2, 1901, point(3, 4), -2, 4294967294, 5.00)", s)
        source.sql("update t set a = 3.00, at = point(5, 6) where id = 1", s)
        look = "select id, y, st_astext(at), n0, n1, a, q from t order by id"
        task.wait_for(lambda: target.sql(look, s) == source.sql(look, s), 30, "the same rows")
        assert task.table("t")["state"] == "Table completed", task.log_text()
        assert len(target.sql(look, s)) == 2
        assert task.stop() == 0


# PostgreSQL gets no generated columns of another family, and no primary key of them
@pytest.mark.parametrize(("to", "tables"), [("postgres", "u"), ("second_mysql", "up")])
def test_keys_that_the_server_computes(to: str, tables: str, mysql: MyServer, request: pytest.FixtureRequest) -> None:
    """The log's records leave generated columns out: such a key names more rows than one."""
    target = request.getfixturevalue(to)
    s = "od" + uuid.uuid4().hex[:8]
    mysql.create_database(s)
    computed = "a int not null, b int not null, v int, g int generated always as (b * 2) stored not null"
    mysql.sql(
        "".join(
            f"create table {t} ({computed}, {'unique' if t == 'u' else 'primary key'} (a, g)); "
            f"insert into {t} (a, b, v) values (1, 1, 1), (1, 2, 2), (1, 3, 3);"
            for t in tables
        ),
        s,
    )
    with TaskProcess(mysql, target, "", "postgres" if to == "postgres" else "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        for t in tables:
            mysql.sql(f"update {t} set v = 20 where b = 2; delete from {t} where b = 1", s)
        for t in tables:
            look = f"select a, b, v from {s}.{t} order by b"
            rows = [["1", "2", "20"], ["1", "3", "3"]]
            task.wait_for(lambda look=look, rows=rows: [[*map(str, r)] for r in target.sql(look)] == rows, 20, look)
            assert task.table(t)["state"] == "Table completed", task.log_text()
        assert "row by row" not in task.log_text(2000), task.log_text(2000)
        assert task.stop() == 0
