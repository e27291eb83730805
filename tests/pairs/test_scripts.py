"""Goal: the user's own SQL runs in each session of source and target, and whatever it sets, rows come over exactly."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

HOSTILE_MY = (
    "insert into {seen} values (connection_id()); set names latin1; set sql_select_limit = 1; set autocommit = 0;"
    "set time_zone = '+05:00'; set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH';"
    "set unique_checks = 0; set completion_type = 1; set sql_notes = 0; set max_error_count = 0;"
    "set session transaction read only; start transaction with consistent snapshot; no such statement"
)
HOSTILE_PG = (
    "insert into {seen} values (pg_backend_pid()); set client_encoding = 'LATIN1'; set timezone = 'Asia/Karachi';"
    "set datestyle = 'German'; set bytea_output = 'escape'; set extra_float_digits = 0; set search_path = {schema};"
    "begin"
)
PAIRS = [("mariadb", "mysql"), ("mysql", "mariadb"), ("postgres", "mysql"), ("mariadb", "postgres")]


def prepared(server: Any, schema: str) -> str:
    """A schema of the test's own for what scripts leave; the script."""
    own = schema + "_own"
    if isinstance(server, MyServer):
        server.sql(f"create database {own}; create table {own}.seen (session bigint)")
        return HOSTILE_MY.format(seen=f"{own}.seen")
    server.sql(f"create schema {own}")
    server.sql(f"create table {own}.seen (session bigint)")
    return HOSTILE_PG.format(seen=f"{own}.seen", schema=own)


def sessions(server: Any, schema: str) -> int:
    return int(server.sql(f"select count(distinct session) from {schema}_own.seen")[0][0])


def rows(server: Any, schema: str) -> list[Any]:
    instant = "unix_timestamp(at)" if isinstance(server, MyServer) else "extract(epoch from at)"
    found = server.sql(f"select id, c, b, f, {instant} from {schema}.t order by id")
    if isinstance(server, PgServer):  # which fills char(5) with blanks by itself
        found = [(r[0], r[1].rstrip(), *r[2:]) for r in found]
    else:  # whose client doubles backslashes
        found = [(*r[:2], r[2].replace("\\\\", "\\"), *r[3:]) for r in found]
    return [[int(r[0]), r[1], r[2], float(r[3]), float(r[4])] for r in found]


@pytest.mark.parametrize(("from_", "to"), PAIRS)
def test_hostile_scripts(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    s = "sc" + uuid.uuid4().hex[:8]
    statement = "create table {} (id int primary key, c char(5), b varchar(20), f double, at {})"
    insert = "insert into {} values ({}, 'ü😀', 'q\"uote\\\\ ', 0.30000000000000004, '2024-06-01 12:00:00{}')"
    if isinstance(source, MyServer):
        source.create_database(s)
        source.sql(statement.format(f"{s}.t", "timestamp null"))
        insert = "set time_zone = '+00:00'; " + insert
        zone = ""
    else:
        source.sql(f"create schema {s}")
        source.sql(statement.format(f"{s}.t", "timestamptz").replace("double", "float8"))
        insert = insert.replace("\\\\", "\\")
        zone = "+00"
    for n in (1, 2, 3):
        source.sql(insert.format(f"{s}.t", n, zone))
    with TaskProcess(
        source,
        target,
        "" if isinstance(source, MyServer) else "postgres",
        "" if isinstance(target, MyServer) else "postgres",
        mappings=select(s),
        source_attributes={"afterconnectscript": prepared(source, s)},
        target_attributes={"afterconnectscript" if to != "mysql" else "initstmt": prepared(target, s)}
        if isinstance(target, MyServer)
        else {},
    ) as task:
        task.start("fresh")
        task.wait_loaded()
        source.sql(insert.format(f"{s}.t", 4, zone))
        source.sql(f"update {s}.t set b = 'new' where id = 2")
        task.wait_for(lambda: rows(target, s) == rows(source, s), 20, "the same rows")
        assert len(rows(target, s)) == 4
        assert sessions(source, s) > 1
        if isinstance(target, MyServer):
            assert sessions(target, s) > 1
            name = "AfterConnectScript" if to != "mysql" else "Initstmt"
            assert f"{name}: " in task.log_text(200), "a script that fails is said"
        assert task.stop() == 0


def test_a_script_of_a_postgres_source_fails(postgres: PgServer, mariadb: MyServer) -> None:
    s = "sc" + uuid.uuid4().hex[:8]
    postgres.sql(f"create schema {s}")
    attributes = {"afterconnectscript": "no such statement"}
    with TaskProcess(postgres, mariadb, "postgres", "", mappings=select(s), source_attributes=attributes) as task:
        task.start("fresh")
        assert task.wait_end(20) not in (None, 0)
        assert "AfterConnectScript" in task.report()["last_error"]
