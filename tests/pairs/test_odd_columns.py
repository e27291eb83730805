"""Goal: columns that a server of this family treats otherwise than its others are loaded and followed: geometries that
may not be NULL, decimals that the server computes and rounds, a YEAR beside eight numbers, hashes of long keys."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
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


@pytest.mark.parametrize("to", ["postgres", "second_mariadb"])
def test_unique_keys_over_long_values(to: str, mariadb: MyServer, request: pytest.FixtureRequest) -> None:
    """MariaDB keeps a hash of them in each row of the log, which the catalogue does not know."""
    target = request.getfixturevalue(to)
    s = "od" + uuid.uuid4().hex[:8]
    mariadb.create_database(s)
    mariadb.sql(
        "create table t (id int primary key, w text unique, b blob, n int, unique (b, n));"
        "create table v (id int primary key, w varchar(5000) unique) with system versioning;"
        "create table k (w text not null unique, n int);"
        "insert into t values (1, 'one', 'x', 1), (2, null, null, 2); insert into v values (1, 'one');"
        "insert into k values ('one', 1), ('two', 2)",
        s,
    )
    looks = [f"select id, w, n from {s}.t order by id", f"select * from {s}.v order by id", f"select * from {s}.k"]

    def rows(server: object, look: str) -> list[list[str]]:
        return sorted([str(v).replace("None", "NULL") for v in r] for r in server.sql(look))  # type: ignore[attr-defined]

    def same() -> bool:
        return all(rows(mariadb, look) == rows(target, look) for look in looks)

    with TaskProcess(mariadb, target, "", "postgres" if to == "postgres" else "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        mariadb.sql(
            "insert into t values (3, 'three', null, 3); update t set w = 'ONE', n = null where id = 1;"
            "delete from t where id = 2; insert into v values (2, null); update v set w = 'uno' where id = 1;"
            "update k set n = 10 where w = 'one'; delete from k where w = 'two'",
            s,
        )
        task.wait_for(same, 30, "the rows")
        assert not any(t.get("reloaded") for t in task.report()["tables"]), task.log_text()
        # columns and keys come and go
        mariadb.sql("alter table t add column z bigint; insert into t values (4, 'four', 'y', 4, 44)", s)
        mariadb.sql("alter table t drop key w; insert into t values (5, 'four', 'z', 5, 55)", s)
        looks[0] = f"select id, w, n, z from {s}.t order by id"
        task.wait_for(same, 40, "a column more, a key less")
        task.kill()
        mariadb.sql("insert into t values (6, null, 'q', 6, 66); create unique index u on k (w, n)", s)
        mariadb.sql("insert into k values ('three', 3)", s)
        task.start("resume")
        task.wait_for(same, 40, "a key more")
        assert all(t["state"] == "Table completed" for t in task.report()["tables"]), task.log_text()
        assert task.stop() == 0


def test_a_unique_key_that_the_log_does_not_name(mariadb: MyServer, postgres: PgServer) -> None:
    s = "od" + uuid.uuid4().hex[:8]
    mariadb.create_database(s)
    mariadb.sql("create table t (id int primary key, w text, unique long_words (w)); insert into t values (1, 'a')", s)
    mariadb.sql("set global binlog_row_metadata = 'NO_LOG'")
    try:
        with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(s)) as task:
            task.start("fresh")
            task.wait_loaded()
            assert task.table("t")["state"] == "Table error", task.log_text()
            assert "unique key long_words" in task.table("t")["detail"], task.table("t")
            assert task.stop() == 0
    finally:
        mariadb.sql("set global binlog_row_metadata = 'FULL'")


def test_indexes_over_expressions(mysql: MyServer, postgres: PgServer) -> None:
    """MySQL keeps them as columns that only the log has, in the middle of the others: said before a row is read."""
    s = "od" + uuid.uuid4().hex[:8]
    mysql.create_database(s)
    mysql.sql("create table f (id int primary key, w varchar(9), index upper_w ((upper(w))))", s)
    mysql.sql("create table t (id int primary key); insert into f values (1, 'a'); insert into t values (1)", s)
    with TaskProcess(mysql, postgres, "", "postgres", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.table("f")["state"] == "Table error", task.log_text()
        assert "index upper_w" in task.table("f")["detail"], task.table("f")
        assert postgres.sql(f"select count(*) from {s}.t") == [(1,)]
        assert task.stop() == 0
