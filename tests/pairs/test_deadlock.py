"""Goal: whoever locks rows of the target beside the task, and whom the server prefers, costs it a moment and no row."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pymysql
import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

NEAR, FAR = 1, 100


def someone_waits(server: MyServer | PgServer) -> bool:
    if isinstance(server, PgServer):
        return server.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock'") != []
    return server.sql("select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT'") != []


def connect(server: MyServer | PgServer) -> Any:
    if isinstance(server, PgServer):
        c = psycopg.connect(server.conninfo("postgres"))
        # who finds the deadlock is the one to give way
        c.execute("set deadlock_timeout = '60s'")
        return c
    return pymysql.connect(host=server.host, port=server.port, user=server.user, autocommit=False)


@pytest.mark.parametrize("to", ["postgres", "second_mariadb", "second_mysql"])
def test_deadlock_on_the_target(to: str, mariadb: MyServer, request: pytest.FixtureRequest) -> None:
    target: MyServer | PgServer = request.getfixturevalue(to)
    schema = "dl" + uuid.uuid4().hex[:8]
    mariadb.create_database(schema)
    mariadb.sql("create table t (k int primary key, v int)", schema)
    mariadb.sql("insert into t select seq, 0 from seq_1_to_2000", schema)
    database = "postgres" if isinstance(target, PgServer) else ""
    with TaskProcess(mariadb, target, "", database, mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        with connect(target) as other:
            cursor = other.cursor()
            # many rows: InnoDB undoes the transaction that has changed fewer
            cursor.execute(f"update {schema}.t set v = 7 where k >= {FAR}")
            mariadb.sql(
                f"begin; update t set v = 1 where k = {NEAR}; update t set v = 2 where k = {FAR}; commit", schema
            )
            task.wait_for(lambda: someone_waits(target), 20, "changes that wait")
            cursor.execute(f"update {schema}.t set v = 7 where k = {NEAR}")
            other.rollback()
        wanted = "select k, v from t where v <> 0 order by k"
        there = [tuple(map(int, row)) for row in mariadb.sql(wanted, schema)]
        assert there == [(NEAR, 1), (FAR, 2)]

        def here() -> bool:
            rows = target.sql(wanted.replace(" t ", f" {schema}.t "))
            return [tuple(map(int, row)) for row in rows] == there

        task.wait_for(here, 20, "the changes")
        assert "applied again" in task.log_text(), task.log_text()
        assert task.stop() == 0, task.log_text()
