"""Goal: a value comes out the same whether the load or a change brings it, in every pair of engines.

Three tables of one shape: `loaded` holds its rows before the task starts, `inserted` gets them afterwards,
`updated` has other rows that become them. All three must be equal on the target, cell by cell.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from edges import POSTGRES_COLUMNS, columns_of, rows_of
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

Server = PgServer | MyServer
TABLES = ("loaded", "inserted", "updated")


def target_rows(target: Server, schema: str, table: str) -> list[list[str]]:
    if isinstance(target, PgServer):
        names = target.sql(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
            " order by ordinal_position",
            (schema, table),
        )
        cells = ", ".join(f'"{n}"::text' for (n,) in names)
        return [list(r) for r in target.sql(f'select {cells} from "{schema}"."{table}" order by id')]
    names = target.sql(
        f"select column_name from information_schema.columns where table_schema = '{schema}' and table_name ="
        f" '{table}' order by ordinal_position"
    )
    cells = ", ".join(f"hex(cast(`{n}` as binary))" for (n,) in names)
    return target.sql(f"select {cells} from `{schema}`.`{table}` order by id")


def run(source: Server, statement: str) -> None:
    """One statement with backticks around names; a MySQL session takes every literal."""
    if isinstance(source, PgServer):
        source.sql(statement.replace("`", '"').replace("%", "%%"))
    else:
        source.sql("set sql_mode=''; " + statement)


def fill(source: Server, schema: str, table: str, rows: list[list[str]]) -> None:
    for n, row in enumerate(rows):
        run(source, f"insert into `{schema}`.`{table}` values ({n}, {', '.join(row)})")


def differing(names: list[str], a: list[list[Any]], b: list[list[Any]]) -> list[str]:
    out = []
    for n, (x, y) in enumerate(zip(a, b, strict=True)):
        for name, u, v in zip(names, x, y, strict=True):
            if u != v:
                out.append(f"row {n}, {name}: {str(u)[:60]!r} and {str(v)[:60]!r}")
    return out


def load_equals_change(
    source: Server, target: Server, columns: list[tuple[str, str, list[str]]] | None = None, **attributes: str
) -> None:
    if columns is None:
        columns = POSTGRES_COLUMNS if isinstance(source, PgServer) else columns_of(source.flavour)
    rows = rows_of(columns)
    schema = "e" + uuid.uuid4().hex[:8]
    if isinstance(source, PgServer):
        run(source, f"create schema `{schema}`")
    else:
        source.create_database(schema)
    definition = ", ".join(f"`{name}` {what}" for name, what, _ in columns)
    for table in TABLES:
        run(source, f"create table `{schema}`.`{table}` (id int primary key, {definition})")
    fill(source, schema, "loaded", rows)
    # every row begins as its neighbour
    fill(source, schema, "updated", rows[1:] + rows[:1])
    databases = ["" if isinstance(server, MyServer) else "postgres" for server in (source, target)]
    with TaskProcess(source, target, *databases, mappings=select(schema), source_attributes=dict(attributes)) as task:
        task.start("fresh")
        task.wait_loaded()
        # what the servers themselves say of the same values
        task.wait_joined()
        tables = task.control("compare", timeout_s=60).get("tables", [])
        compared = [(t["table"], t["error"], t["equal"]) for t in tables]
        assert compared == [(t, "", True) for t in sorted(TABLES)]
        fill(source, schema, "inserted", rows)
        for n, row in enumerate(rows):
            changes = ", ".join(f"`{name}` = {value}" for (name, _, _), value in zip(columns, row, strict=True))
            run(source, f"update `{schema}`.`updated` set {changes} where id = {n}")
        run(source, f"insert into `{schema}`.`updated` (id) values (1000)")
        task.wait_for(
            lambda: len(target_rows(target, schema, "updated")) == len(rows) + 1, 30, "the last change on the target"
        )
        run(source, f"delete from `{schema}`.`updated` where id = 1000")
        task.wait_for(lambda: len(target_rows(target, schema, "updated")) == len(rows), 30, "the delete on the target")
        assert task.stop() == 0
        names = ["id", *(name for name, _, _ in columns)]
        loaded, inserted, updated = (target_rows(target, schema, t) for t in TABLES)
        assert len(loaded) == len(rows)
        assert differing(names, loaded, inserted) == []
        assert differing(names, loaded, updated) == []
        states = {t["name"]["table"]: t["state"] for t in task.report()["tables"]}
        assert states == dict.fromkeys(TABLES, "Table completed"), task.log_text()


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_load_equals_change_in_postgres(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    load_equals_change(request.getfixturevalue(flavour), postgres)


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_what_is_loaded_in_binary_equals_change(
    flavour: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    """One TIME makes a whole table text: without such columns rows come and go as both servers hold them."""
    source = request.getfixturevalue(flavour)
    columns = [c for c in columns_of(flavour) if c[1].split("(")[0] != "time"]
    assert len(columns_of(flavour)) - len(columns) == 3

    def executed() -> int:
        return int(source.sql("show global status like 'Com_stmt_execute'")[0][1])

    before = executed()
    load_equals_change(source, postgres, columns)
    assert executed() - before >= len(TABLES), "the rows came as text"


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_where_nothing_is_prepared_rows_come_as_text(
    flavour: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(flavour)
    before = source.sql("select @@global.max_prepared_stmt_count")[0][0]
    source.sql("set global max_prepared_stmt_count = 0")
    try:
        load_equals_change(source, postgres, [("n", "int", ["1", "-1"]), ("at", "datetime", ["'2024-02-29 12:34:56'"])])
    finally:
        source.sql(f"set global max_prepared_stmt_count = {before}")


@pytest.mark.parametrize(("from_", "to"), [("mariadb", "mysql"), ("mysql", "mariadb")])
def test_load_equals_change_within_the_family(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    load_equals_change(request.getfixturevalue(from_), request.getfixturevalue(to))


@pytest.mark.parametrize(("from_", "to"), [("mariadb", "mysql"), ("mysql", "mariadb")])
def test_floats_name_rows(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    """As a key, and as all that a row has."""
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "f" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    floats = ["1.1", "0.3", "1234567.8", "1e-45", "3.402823466E+38", "-3.402823466E+38"]
    rows = ", ".join(f"({f}, {n})" for n, f in enumerate(floats))
    source.sql(
        "create table keyed (f float primary key, n int); create table keyless (f float, n int);"
        f"insert into keyed values {rows}; insert into keyless values {rows}",
        schema,
    )
    with TaskProcess(source, target, "", "", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        source.sql(
            "; ".join(f"update {t} set n = n + 10; delete from {t} where n = 11" for t in ("keyed", "keyless")), schema
        )
        look = "select f + 0e0, n from {} order by n"
        for table in ("keyed", "keyless"):
            task.wait_for(
                lambda t=table: target.sql(look.format(t), schema) == source.sql(look.format(t), schema),
                30,
                f"the changes of {table}",
            )
            assert len(target.sql(look.format(table), schema)) == len(floats) - 1
        assert task.stop() == 0
        assert {t["state"] for t in task.report()["tables"]} == {"Table completed"}, task.log_text()


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
@pytest.mark.parametrize("plugin", ["pgoutput", "test_decoding"])
def test_load_equals_change_from_postgres(
    flavour: str, plugin: str, postgres: PgServer, request: pytest.FixtureRequest
) -> None:
    load_equals_change(postgres, request.getfixturevalue(flavour), pluginname=plugin)
