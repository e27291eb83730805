"""Goal: what cannot be carried is refused by name, with the cure, before or instead of changing it."""

from __future__ import annotations

import threading
import uuid

import pymysql
import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select


def ends_with(task: TaskProcess, text: str) -> None:
    task.start("fresh")
    assert task.wait_end(60) not in (None, 0), task.log_text()
    assert text in task.report()["last_error"], task.report()["last_error"]


def test_tls_is_never_left_out(postgres: PgServer) -> None:
    with MyServer(flavour="mariadb", settings={"ssl": 0}) as source:
        source.create_database("plain")
        source.sql("create table plain.t (id int primary key)")
        with TaskProcess(source, postgres, "", "postgres", mappings=select("plain")) as task:
            task.spec["source"]["ssl_mode"] = "require"
            ends_with(task, "offers no TLS, which SslMode require asks for")


def test_the_log_must_hold_rows(postgres: PgServer) -> None:
    with MyServer(flavour="mariadb", settings={"binlog-format": "STATEMENT"}) as source:
        source.create_database("shop")
        source.sql("create table shop.t (id int primary key)")
        with TaskProcess(source, postgres, "", "postgres", mappings=select("shop")) as task:
            ends_with(task, "binlog_format is STATEMENT; capturing changes needs ROW")


def test_rights_are_named(mysql: MyServer, postgres: PgServer) -> None:
    """A user who may neither follow the log nor lock tables is told what to grant."""
    schema = "r" + uuid.uuid4().hex[:8]
    mysql.create_database(schema)
    mysql.sql(f"create table {schema}.t (id int primary key); insert into {schema}.t values (1)")
    mysql.sql(f"create user {schema}@'%' identified with mysql_native_password by 'x'")
    mysql.sql(f"grant select on {schema}.* to {schema}@'%'")
    with TaskProcess(mysql, postgres, "", "postgres", mappings=select(schema)) as task:
        task.spec["source"] |= {"user": schema, "password": "x"}
        ends_with(task, "GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.*")
        mysql.sql(f"grant replication client, replication slave on *.* to {schema}@'%'")
        task.spec["source"]["attributes"] = {"snapshotmode": "lock"}
        ends_with(task, "GRANT LOCK TABLES, SELECT on the selected schemas")
        mysql.sql(f"grant lock tables on {schema}.* to {schema}@'%'")
        task.start("fresh")
        task.wait_loaded()
        assert postgres.sql(f"select id from {schema}.t") == [(1,)]
        assert task.stop() == 0


def test_statements_of_others_are_no_obstacle(mysql: MyServer, postgres: PgServer) -> None:
    """The server's list of sessions holds their statements, and one with bytes in it is no valid text."""
    schema = "o" + uuid.uuid4().hex[:8]
    postgres.sql(f"create schema {schema}")
    postgres.sql(f"create table {schema}.t (id int primary key, b bytea)")
    postgres.sql(f"insert into {schema}.t values (1, '\\x00ff')")
    other = pymysql.connect(host=mysql.host, port=mysql.port, user=mysql.user)
    done = threading.Thread(target=lambda: other.cursor().execute(b"do sleep(8) + length(_binary'\xff\xfe\x80')"))
    done.start()
    try:
        with TaskProcess(postgres, mysql, "postgres", "", mappings=select(schema)) as task:
            task.start("fresh")
            task.wait_loaded()
            states = {t["name"]["table"]: t["state"] for t in task.report()["tables"]}
            assert states == {"t": "Table completed"}, task.log_text()
            assert task.stop() == 0
    finally:
        done.join()
        other.close()


def test_tables_without_transactions(mariadb: MyServer, postgres: PgServer) -> None:
    """No snapshot holds them: they are an error of their own, and the others go on."""
    schema = "n" + uuid.uuid4().hex[:8]
    mariadb.create_database(schema)
    mariadb.sql("create table old (id int) engine = MyISAM; create table t (id int primary key)", schema)
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        tables = {t["name"]["table"]: t for t in task.report()["tables"]}
        assert tables["t"]["state"] == "Table completed"
        assert tables["old"]["state"] == "Table error"
        assert "is of engine MyISAM, which has no transactions" in tables["old"]["detail"]
        assert task.stop() == 0


def test_a_date_that_does_not_exist(mariadb: MyServer, postgres: PgServer) -> None:
    """It is refused and said, neither bent nor left out."""
    schema = "r" + uuid.uuid4().hex[:8]
    mariadb.create_database(schema)
    mariadb.sql(
        "set sql_mode = 'ALLOW_INVALID_DATES'; create table t (id int primary key, d date);"
        "insert into t values (1, '2024-02-29'), (2, '2023-02-30')",
        schema,
    )
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(schema), kind="full-load") as task:
        task.start("fresh")
        task.wait_for(lambda: task.table("t").get("state") == "Table error", 30, alive=False)
        assert "a date that does not exist" in task.table("t")["detail"]
        assert postgres.sql(f"select count(*) from {schema}.t") == [(0,)]


@pytest.mark.parametrize("flavour", ["postgres", "mariadb", "mysql"])
def test_two_tables_under_one_name(request: pytest.FixtureRequest, postgres: PgServer, flavour: str) -> None:
    """A reload or a TRUNCATE of either would take the other's rows, so the second is refused."""
    schema = "u" + uuid.uuid4().hex[:8]
    with PgServer() as source:
        for n in (1, 2):
            source.sql(f"create schema {schema}_{n}")
            source.sql(f"create table {schema}_{n}.t (id int primary key, v int)")
            source.sql(f"insert into {schema}_{n}.t select g, {n} from generate_series(1, 50) g")
        target = postgres if flavour == "postgres" else request.getfixturevalue(flavour)
        with TaskProcess(
            source,
            target,
            "postgres",
            "postgres" if flavour == "postgres" else "",
            mappings=select(f"{schema}%"),
            settings={"TargetMetadata": {"TargetSchema": schema}},
        ) as task:
            task.start("fresh")
            task.wait_loaded()
            refused = [t for t in task.report()["tables"] if t["state"] == "Table error"]
            assert len(refused) == 1 and "one task cannot keep two tables in one" in refused[0]["detail"], refused
            other = 3 - int(refused[0]["name"]["schema"][-1])
            source.sql(f"truncate {schema}_{3 - other}.t")
            source.sql(f"insert into {schema}_{other}.t values (51, {other})")
            task.wait_caught_up()
            found = target.sql(f"select count(*), min(v), max(v) from {schema}.t")[0]
            assert [int(n) for n in found] == [51, other, other]
            assert task.stop() == 0
