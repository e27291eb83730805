"""Goal: a schema as real shops have it (rental.sql: circular foreign keys, triggers, views, generated columns, every
index) is loaded and followed under traffic between all engines, and both sides are equal row by row."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from my import MyServer
from rental import TABLES, Business, create
from task_process import TaskProcess, select


def equal_sides(task: TaskProcess, business: Business) -> None:
    """Under traffic and at rest."""
    task.wait_loaded()
    task.wait_joined()
    for _ in range(2):
        compared = task.control("compare", timeout_s=60)
        unequal = [t for t in compared.get("tables", [compared]) if not t.get("equal")]
        assert compared.get("equal"), f"{unequal}\n{task.log_text(60)}"
        assert {t["table"] for t in compared["tables"]} == set(TABLES), compared
        business.stop()
    assert {t["state"] for t in task.report()["tables"]} == {"Table completed"}, task.log_text()


def no_exceptions(task: TaskProcess) -> None:
    assert "awsdms_apply_exceptions" not in task.log_text(1000)


def objects(server: MyServer, schema: str) -> dict[str, list[list[str]]]:
    """What CreateSecondaryIndexes promises, as the server lists it."""
    where = f"where table_schema = '{schema}'"
    return {
        "indexes": server.sql(
            "select table_name, index_name, seq_in_index, column_name, sub_part, non_unique, index_type"
            f" from information_schema.statistics {where} order by 1, 2, 3"
        ),
        "foreign keys": server.sql(
            "select table_name, constraint_name, referenced_table_name, delete_rule, update_rule from"
            " information_schema.referential_constraints"
            f" where constraint_schema = '{schema}' order by 1, 2"
        ),
        "columns": server.sql(
            "select c.table_name, column_name, column_type, is_nullable, column_default, lower(extra)"
            " from information_schema.columns c join information_schema.tables t using (table_schema, table_name)"
            f" {where} and table_type = 'BASE TABLE' order by 1, 2"
        ),
    }


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_in_one_family(flavour: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(flavour), request.getfixturevalue("second_" + flavour)
    s = "r" + uuid.uuid4().hex[:8]
    create(source, s)
    attributes = {"createsecondaryindexes": "true"}
    with (
        Business(source, s, keys=True) as business,
        TaskProcess(
            source,
            target,
            "",
            "",
            mappings=select(s),
            source_attributes={"cascade": "fail"},
            target_attributes=attributes,
        ) as task,
    ):
        task.start("fresh")
        there = objects(source, s)
        with contextlib.suppress(AssertionError):
            task.wait_for(lambda: objects(target, s) == there, 30, "the same objects")
        here = objects(target, s)
        for kind in there:
            assert here[kind] == there[kind], task.log_text(30)
        equal_sides(task, business)
        no_exceptions(task)
        assert task.stop() == 0


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_to_postgres_and_back(flavour: str, request: pytest.FixtureRequest) -> None:
    source, postgres = request.getfixturevalue(flavour), request.getfixturevalue("postgres")
    s = "r" + uuid.uuid4().hex[:8]
    create(source, s, seed=2)
    with (
        Business(source, s, seed=3) as business,
        TaskProcess(source, postgres, "", "postgres", mappings=select(s)) as task,
    ):
        task.start("fresh")
        equal_sides(task, business)
        no_exceptions(task)
        assert task.stop() == 0
    if flavour == "mariadb":
        return
    back = request.getfixturevalue("second_mysql")
    with (
        Business(postgres, s, seed=4) as business,
        TaskProcess(postgres, back, "postgres", "", mappings=select(s)) as task,
    ):
        task.start("fresh")
        equal_sides(task, business)
        no_exceptions(task)
        assert task.stop() == 0
