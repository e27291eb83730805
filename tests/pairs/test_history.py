"""Goal: rows of an unread log are read by the definition of their time: several ALTERs with rows between them arrive
without a new load, also where the log says neither names nor signs of columns, and whatever was killed when."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

HISTORY = "binlog.tables"


def begun(source: MyServer, target: PgServer) -> tuple[TaskProcess, str]:
    schema = "y" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql("create table t (id int primary key, a varchar(20), b int); insert into t values (1, 'x', 10)", schema)
    task = TaskProcess(source, target, "", "postgres", mappings=select(schema))
    task.start("fresh")
    task.wait_loaded()
    source.sql("insert into t values (2, 'y', 20)", schema)
    arrives(task, target, f"select id from {schema}.t order by id", [(1,), (2,)])
    return task, schema


def arrives(task: TaskProcess, target: PgServer, question: str, rows: list[tuple], timeout_s: float = 30) -> None:
    def there() -> bool:
        try:
            return target.sql(question) == rows
        except Exception:
            return False  # its shape is older

    try:
        task.wait_for(there, timeout_s, question)
    except AssertionError as e:
        raise AssertionError(f"{target.sql(question.replace('a2', '*'))} {e}") from None


def altered(source: MyServer, schema: str) -> None:
    """Five definitions, rows of each. The integers are of one width: only the history tells them apart."""
    for statement in (
        "insert into t values (3, 'z', 30)",
        "alter table t add column c int after id",
        "insert into t values (4, 41, 'c', 40)",
        "alter table t drop column b",
        "insert into t values (5, 51, 'd'); update t set c = 11 where id = 1",
        "alter table t change a a2 varchar(20), algorithm=inplace",
        "insert into t values (6, 61, 'e'); delete from t where id = 2",
        "alter table t add (d int unsigned, e varchar(9)), add index (c)",
        "insert into t values (7, 71, 'f', 4000000000, 'g')",
    ):
        source.sql(statement, schema)


AFTER = [
    (1, 11, "x", None, None),
    (3, None, "z", None, None),
    (4, 41, "c", None, None),
    (5, 51, "d", None, None),
    (6, 61, "e", None, None),
    (7, 71, "f", 4000000000, "g"),
]


def whole(schema: str) -> str:
    return f"select id, c, a2, d::bigint, e from {schema}.t order by id"


def never_reloaded(task: TaskProcess) -> bool:
    text = (task.folder / "task.log").read_text(errors="replace")
    return text.count("table") > 0 and text.count("is loaded,") == 1


def test_altered_again_and_again_while_stopped(terse: MyServer, postgres: PgServer) -> None:
    task, s = begun(terse, postgres)
    with task:
        assert task.stop() == 0
        altered(terse, s)
        task.start("resume")
        arrives(task, postgres, whole(s), AFTER)
        # the names that the columns have now stay theirs when the catalogue is looked at
        terse.sql("update t set a2 = 'h' where id = 7", s)
        arrives(task, postgres, f"select a2 from {s}.t where id = 7", [("h",)])
        task.wait_for(lambda: "b" not in columns(postgres, s), 10, "a dropped column")
        assert never_reloaded(task), task.log_text(200)
        assert not task.table("t").get("reloaded"), task.table("t")
        assert task.stop() == 0


def columns(target: PgServer, schema: str) -> set[str]:
    rows = target.sql(
        "select column_name from information_schema.columns where table_schema = %s and table_name = 't'", (schema,)
    )
    return {name for (name,) in rows}


def test_killed_between_the_definitions(terse: MyServer, postgres: PgServer) -> None:
    """Each start comes one step further and is killed there."""
    task, s = begun(terse, postgres)
    with task:
        assert task.stop() == 0
        altered(terse, s)
        for point in (
            "binlog.history_saved=kill@1",
            "binlog.history_saved=kill@3",
            "apply.before_commit=kill@1",
            "binlog.bookmarked=kill@1",
            "binlog.history_saved=kill@4",
        ):
            task.start("resume", failpoint=point)
            task.wait_end(5)  # not all are there to be met once more
            task.kill()
        task.start("resume")
        arrives(task, postgres, whole(s), AFTER)
        assert never_reloaded(task), task.log_text(200)
        assert task.stop() == 0


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_without_its_history_the_table_is_loaded_anew(terse: MyServer, postgres: PgServer, damage: str) -> None:
    task, s = begun(terse, postgres)
    with task:
        assert task.stop() == 0
        history = task.folder / HISTORY
        content = history.read_bytes()
        if damage == "missing":
            history.unlink()
        else:
            history.write_bytes(content[: len(content) // 2])
        altered(terse, s)
        task.start("resume")
        arrives(task, postgres, whole(s), AFTER, 60)
        assert "history of the tables' definitions is not there" in task.log_text(400)
        task.wait_for(lambda: task.table("t").get("reloaded"), 10, "it was a load that brought them")
        assert task.stop() == 0


def test_a_name_that_goes_to_another_column_loads_the_table_anew(terse: MyServer, postgres: PgServer) -> None:
    """No row shows what stood between: b's values would seem to be a column's that never had them."""
    task, s = begun(terse, postgres)
    with task:
        assert task.stop() == 0
        terse.sql(
            "alter table t change b c int; alter table t add column b int; insert into t values (3, 'n', 1, 2)", s
        )
        task.start("resume")
        arrives(
            task, postgres, f"select id, b, c from {s}.t order by id", [(1, None, 10), (2, None, 20), (3, 2, 1)], 60
        )
        assert task.stop() == 0


def test_a_doubt_outlives_the_process(terse: MyServer, postgres: PgServer) -> None:
    """What a statement did that no row tells is not forgotten by a kill right after the log was read past it."""
    task, s = begun(terse, postgres)
    with task:
        terse.sql("update t set b = b + 1; alter table t modify b varchar(9)", s)
        terse.sql("insert into t values (3, 'n', 'word')", s)
        # read and acknowledged, while the next look at the catalogue is still to come
        task.kill()
        task.start("resume", failpoint="binlog.bookmarked=kill@1")
        task.wait_end(4)
        task.kill()
        task.start("resume")
        arrives(
            task,
            postgres,
            f"select id, b from {s}.t order by id",
            [(1, "11"), (2, "21"), (3, "word")],
            60,
        )
        assert task.stop() == 0


def test_within_the_family(terse: MyServer, mariadb: MyServer, mysql: MyServer) -> None:
    target = mysql if terse is mariadb else mariadb
    schema = "y" + uuid.uuid4().hex[:8]
    terse.create_database(schema)
    terse.sql("create table t (id int primary key, a varchar(20), b int); insert into t values (1, 'x', 10)", schema)
    with TaskProcess(terse, target, "", "", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        assert task.stop() == 0
        terse.sql("insert into t values (2, 'y', 20)", schema)
        altered(terse, schema)
        task.start("resume")
        wanted = [["NULL" if v is None else str(v) for v in row] for row in AFTER]

        def there() -> bool:
            try:
                return target.sql(f"select id, c, a2, d, e from {schema}.t order by id") == wanted
            except Exception:
                return False  # its shape is older

        task.wait_for(there, 30, "the rows of five definitions")
        assert never_reloaded(task), task.log_text(200)
        assert task.stop() == 0
