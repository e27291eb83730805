"""Goal: between servers of one family an UPDATE sets the columns that are new, and leaves the others alone."""

from __future__ import annotations

import uuid

import pytest
from task_process import TaskProcess, select


@pytest.mark.parametrize(("from_", "to"), [("mariadb", "mysql"), ("mysql", "mariadb")])
def test_only_what_is_new_is_set(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source, target = request.getfixturevalue(from_), request.getfixturevalue(to)
    schema = "u" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    source.sql(
        "create table t (id int primary key, a int, b int, c varchar(20)); "
        "insert into t values (1, 1, 1, 'x'), (2, 2, 2, 'y'), (3, 3, 3, null)",
        schema,
    )
    with TaskProcess(source, target, "", "", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        target.sql("update t set b = 77", schema)  # whoever writes b again is seen
        source.sql(
            "begin; update t set a = null where id = 1; update t set c = 'new' where id = 2; "
            "update t set id = 30, c = 'moved' where id = 3; commit",
            schema,
        )
        task.wait_for(
            lambda: (
                target.sql("select id, a, b, c from t order by id", schema)
                == [["1", "NULL", "77", "x"], ["2", "2", "77", "new"], ["30", "3", "3", "moved"]]
            ),
            20,
            "the three updates",
        )
        assert task.stop() == 0, task.log_text()
