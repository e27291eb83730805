"""Goal: a table whose rows the log does not tell is loaded anew; where that cannot help it is an error of its own, and
the others go on."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select


def test_what_no_load_heals(mariadb: MyServer, postgres: PgServer) -> None:
    """Fractions of a second in the form of MariaDB 5.3."""
    schema = "ur" + uuid.uuid4().hex[:8]
    mariadb.create_database(schema)
    mariadb.sql(
        "set global mysql56_temporal_format = 0; create table old (id int primary key, d datetime(3));"
        "set global mysql56_temporal_format = 1; create table t (id int primary key);"
        "insert into old values (1, '2024-02-29 12:34:56.789')",
        schema,
    )
    with TaskProcess(mariadb, postgres, "", "postgres", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        assert postgres.sql(f"select count(*) from {schema}.old") == [(1,)]
        mariadb.sql("insert into old values (2, '2024-02-29 12:34:56.789')", schema)
        task.wait_for(lambda: postgres.sql(f"select count(*) from {schema}.old") == [(2,)], 30, "a load")
        task.wait_for(lambda: task.phases().get("old") == "joined", 20, "the load is done")
        mariadb.sql("insert into old values (3, '2024-02-29 12:34:56.789')", schema)
        task.wait_for(lambda: task.table("old")["state"] == "Table error", 30, "it is given up")
        assert "otherwise than its known definition: column d" in task.table("old")["detail"], task.table("old")
        mariadb.sql("insert into t values (1)", schema)
        task.wait_for(lambda: postgres.sql(f"select count(*) from {schema}.t") == [(1,)], 20, "the other table")
        assert task.stop() == 0


def test_a_part_of_a_document_alone(mysql: MyServer, postgres: PgServer) -> None:
    """PARTIAL_JSON with partial row images: the document of which a part was changed is not in the log."""
    schema = "ur" + uuid.uuid4().hex[:8]
    mysql.create_database(schema)
    mysql.sql('create table t (id int primary key, j json); insert into t values (1, \'{"a": 1, "b": 1}\')', schema)
    with TaskProcess(mysql, postgres, "", "postgres", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        mysql.sql(
            "set binlog_row_image = 'MINIMAL', binlog_row_value_options = 'PARTIAL_JSON';"
            "update t set j = json_set(j, '$.a', 2)",
            schema,
        )
        look = f"select j::jsonb ->> 'a' from {schema}.t"
        task.wait_for(lambda: postgres.sql(look) == [("2",)], 30, "the part")
        task.wait_for(lambda: task.phases() == {"t": "joined"}, 20, "the load is done")
        mysql.sql("update t set j = json_set(j, '$.a', 3)", schema)
        task.wait_for(lambda: postgres.sql(look) == [("3",)], 30, "what is whole")
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_labels_that_the_catalogue_cannot_say(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    """Its texts end at U+FFFF. Where the log says the labels they are those; else the table is refused."""
    source: MyServer = request.getfixturevalue(flavour)
    schema = "ur" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql(
        "create table faces (id int primary key, f enum('😀', '?') character set utf8mb4,"
        " s set('b', '😁') character set utf16); insert into faces values (1, '😀', 'b,😁');"
        "create table t (id int primary key, a enum('ä', '?') character set latin1); insert into t values (1, '?')",
        schema,
    )
    look = f"select id, f, s from {schema}.faces order by id"
    with TaskProcess(source, postgres, "", "postgres", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        source.sql("insert into faces values (2, '😀', '😁'); update faces set f = '?' where id = 1", schema)
        expected = [(1, "?", "b,😁"), (2, "😀", "😁")]
        task.wait_for(lambda: postgres.sql(look) == expected, 30, "labels of the log")
        try:
            source.sql("set global binlog_row_metadata = " + ("MINIMAL" if flavour == "mysql" else "NO_LOG"))
            source.sql("insert into faces values (3, '😀', '😁'); insert into t values (2, 'ä')", schema)
            task.wait_for(lambda: task.table("faces")["state"] == "Table error", 30, "it is refused")
            assert "binlog_row_metadata" in task.table("faces")["detail"], task.table("faces")
            task.wait_for(lambda: postgres.sql(f"select a from {schema}.t where id = 2") == [("ä",)], 20, "the other")
        finally:
            source.sql("set global binlog_row_metadata = 'FULL'")
        assert task.stop() == 0
