"""Goal: what the log itself takes back reaches no target, and stops no task for good."""

from __future__ import annotations

import uuid

from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select


def test_a_rollback_in_the_log(mariadb: MyServer, postgres: PgServer) -> None:
    """Behind a temporary table a rolled back transaction stands in the log. What of it was written already cannot be
    called back: the process ends, and the next one has to know what to leave out."""
    schema = "tb" + uuid.uuid4().hex[:8]
    mariadb.create_database(schema)
    mariadb.sql("create table t (k int primary key); insert into t values (0)", schema)
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        mariadb.sql(
            "begin; insert into t values (1); create temporary table x (a int); rollback;"
            "begin; insert into t values (2); savepoint a; insert into t values (3);"
            "create temporary table y (a int); rollback to a; insert into t values (4); commit",
            schema,
        )
        for _ in range(2):
            assert task.wait_end() not in (None, 0), task.log_text()
            task.start("resume")
        expected = [(0,), (2,), (4,)]
        task.wait_for(lambda: postgres.sql(f"select k from {schema}.t order by k") == expected, 20, "all that stays")
        assert task.stop() == 0
        # capture that begins anew reads another log
        task.start("fresh")
        task.wait_loaded()
        assert not (task.folder / "binlog.taken_back").exists()
        assert task.stop() == 0
