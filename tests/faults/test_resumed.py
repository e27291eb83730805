"""Goal: wherever a process ends, the next one knows where its log begins, what is still to be loaded, and what the
task had promised to stop at."""

from live import difference
from task_process import TaskProcess, select


def rows(server, name, table="t"):
    return server.sql(f"select count(*), coalesce(sum(v), 0) from {table}", database=name)[0]


def test_the_spool_of_a_load_that_is_not_done(pair):
    """The guard takes the log behind the snapshot out of the source before any table is loaded; then the task dies."""
    source, target, name = pair
    source.sql("create table t (id int primary key, v int, s text)", database=name)
    source.sql("insert into t select g, g, 'x' from generate_series(1, 1000) g", database=name)
    with TaskProcess(source, target, name, name, source_attributes={"slotguardmb": 4}) as task:
        task.start("fresh", failpoint="load.slices_in=sleep:60000")
        task.wait_state("running")

        def confirmed():
            return source.sql(
                "select confirmed_flush_lsn from pg_replication_slots where database = %s and not temporary", (name,)
            )

        at_first = confirmed()

        def forgotten():
            source.sql(
                "insert into t select id + g, g, repeat(md5(g::text), 20) from generate_series(1, 1500) g,"
                " (select max(id) id from t) m",
                database=name,
            )
            return confirmed() != at_first

        task.wait_for(forgotten, 60, "the guard")
        task.kill()
        source.sql("update t set v = v + 1 where id % 3 = 0; delete from t where id % 7 = 0", database=name)
        task.start("resume")
        task.wait_caught_up()
        assert not difference(source, name, target, name, ("t",))
        assert task.stop() == 0


def test_changes_only_from_the_first_moment(pair):
    """A task of changes that dies in its first group, and one that finds a table that was made while it stood."""
    source, target, name = pair
    for server in (source, target):
        server.sql("create table t (id int primary key, v int)", database=name)
    with TaskProcess(source, target, name, name, kind="cdc") as task:
        task.start("fresh", failpoint="apply.before_commit=kill@2")
        task.wait_state("running")
        source.sql("insert into t select g, g from generate_series(1, 100) g", database=name)
        assert task.wait_end() == -9, task.log_text()
        source.sql("insert into t values (101, 1)", database=name)
        task.start("resume")
        task.wait_for(lambda: rows(target, name) == rows(source, name), 20, "what came before the end")
        assert task.stop() == 0
        for server in (source, target):
            server.sql("create table n (id int primary key, v int)", database=name)
        source.sql("insert into n values (1, 1)", database=name)
        task.start("resume")
        task.wait_state("running")
        source.sql("insert into n values (2, 2)", database=name)
        task.wait_for(lambda: rows(target, name, "n") == (2, 3), 20, "the table that was made meanwhile")
        assert task.stop() == 0


def test_a_stop_that_was_promised(pair):
    """StopTaskCachedChangesNotApplied holds although the process dies behind the last table; once, not for ever."""
    source, target, name = pair
    source.sql("create table t (id int primary key, v int); insert into t values (1, 1)", database=name)
    settings = {"FullLoadSettings": {"StopTaskCachedChangesNotApplied": True}}
    with TaskProcess(source, target, name, name, settings=settings) as task:
        task.start("fresh", failpoint="load.slices_in=sleep:1000;stop.applied=kill")
        task.wait_state("running")
        source.sql("insert into t values (2, 2)", database=name)
        assert task.wait_end() == -9, task.log_text()
        task.start("resume")
        assert task.wait_end() == 0, task.log_text()
        assert task.report()["stop_reason"] == "STOPPED_AFTER_FULL_LOAD"
        assert rows(target, name) == (1, 1)
        for _ in range(2):
            task.start("resume")
            task.wait_state("running")
            task.wait_for(lambda: rows(target, name) == (2, 3), 20, "the cached changes")
            assert task.stop() == 0


def test_indexes_come_behind_a_kill(pair):
    """Killed between the last table and its indexes."""
    source, target, name = pair
    source.sql("create table t (id int primary key, v int); create index i on t (v)", database=name)
    attributes = {"createsecondaryindexes": "true"}
    with TaskProcess(source, target, name, name, target_attributes=attributes) as task:
        task.start("fresh", failpoint="load.table_finished=kill")
        assert task.wait_end() == -9, task.log_text()
        task.start("resume")
        indexes = "select count(*) from pg_indexes where tablename = 't'"
        task.wait_for(lambda: target.sql(indexes, database=name) == [(2,)], 20, "the index")
        assert task.stop() == 0


def test_a_reload_that_has_to_wait(pair):
    """An old transaction on the source keeps a reload from its snapshot; the other tables go on, and it comes."""
    source, target, name = pair
    source.sql("create table t (id int primary key, v int); create table u (id int, v int)", database=name)
    settings = {"TransactionConsistencyTimeout": 1, "FullLoadSettings": {"TransactionConsistencyTimeout": 1}}
    with TaskProcess(source, target, name, name, settings=settings) as task:
        task.start("fresh")
        task.wait_caught_up()
        with source.connect(name, autocommit=False) as old:
            old.execute("insert into u values (1, 1)")
            target.sql("insert into t values (-1, 0)", database=name)
            task.control("reload", tables=[{"schema": "public", "table": "t"}])
            task.wait_for(lambda: "tried again" in str(task.report()["events"]), 30, "it is put off")
            source.sql("insert into u values (2, 2)", database=name)
            task.wait_for(lambda: rows(target, name, "u") == (1, 2), 20, "the other table goes on")
            old.commit()
        source.sql("insert into t values (3, 3)", database=name)
        task.wait_for(lambda: rows(target, name) == (1, 3), 40, "the reload")
        assert rows(target, name, "u") == (2, 3)
        assert task.stop() == 0


def test_a_new_table_that_has_to_wait(pair):
    """Of a task of changes that keeps what is on its target: the table is new to it, also at the second try."""
    source, target, name = pair
    for server in (source, target):
        server.sql("create table t (id int primary key, v int)", database=name)
    source.sql("create table other (id int)", database=name)
    settings = {
        "TransactionConsistencyTimeout": 1,
        "FullLoadSettings": {"TransactionConsistencyTimeout": 1, "TargetTablePrepMode": "DO_NOTHING"},
    }
    mappings = select("public", "t", "n")
    with TaskProcess(source, target, name, name, kind="cdc", settings=settings, mappings=mappings) as task:
        task.start("fresh")
        task.wait_caught_up()
        with source.connect(name, autocommit=False) as old:
            old.execute("insert into other values (1)")
            for server in (target, source):
                server.sql("create table n (id int primary key, v int)", database=name)
            source.sql("insert into n values (1, 1)", database=name)
            task.wait_for(lambda: "tried again" in str(task.report()["events"]), 30, "it is put off")
            old.commit()
        source.sql("insert into n values (2, 2)", database=name)
        task.wait_for(lambda: rows(target, name, "n") == (2, 3), 40, "the new table")
        assert task.stop() == 0


def test_tables_that_wait_for_their_load(pair):
    """Those behind the one that loads are renamed and dropped: neither ends the task, and the renamed one comes."""
    source, target, name = pair
    for table in ("a", "b", "c"):
        source.sql(f"create table {table} (id int primary key, v int)", database=name)
        source.sql(f"insert into {table} values (1, 1)", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.spec["workers_max"] = 1
        task.start("fresh", failpoint="load.table_opened=sleep:8000")
        task.wait_state("running")
        source.sql("alter table b rename to d; drop table c; insert into d values (2, 2)", database=name)
        task.wait_for(lambda: rows(target, name, "d") == (2, 3), 60, "the renamed table")
        source.sql("insert into d values (3, 3); insert into a values (2, 2)", database=name)
        task.wait_for(lambda: (rows(target, name, "d"), rows(target, name, "a")) == ((3, 6), (2, 3)), 20, "changes")
        assert task.stop() == 0


def test_names_that_change_hands(pair):
    """Two tables swap their names while one waits for a snapshot; another goes aside, out of the selection."""
    source, target, name = pair
    for n, table in enumerate(("a", "b", "single")):
        source.sql(f"create table {table} (id int primary key, v int)", database=name)
        source.sql(f"insert into {table} select g, {n} from generate_series(1, 100) g", database=name)
    source.sql("create table other (id int)", database=name)
    settings = {"TransactionConsistencyTimeout": 30, "FullLoadSettings": {"TransactionConsistencyTimeout": 30}}
    swap = "begin; alter table a rename to x; alter table b rename to a; alter table x rename to b; commit"
    waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'transactionid'"
    with TaskProcess(
        source, target, name, name, settings=settings, mappings=select("public", "a", "b", "single")
    ) as task:
        task.start("fresh")
        task.wait_caught_up()
        with source.connect(name, autocommit=False) as old:
            old.execute("insert into other values (1)")
            task.control("reload", tables=[{"schema": "public", "table": "a"}])
            task.wait_for(lambda: source.sql(waits) != [], 20, "a snapshot that waits")
            source.sql(swap, database=name)
            old.commit()
        source.sql("update a set v = v + 10; update b set v = v + 20", database=name)
        equal = ("a", "b", "single")
        task.wait_for(lambda: not difference(source, name, target, name, equal[:2]), 60, "each under its name")
        source.sql("alter table single rename to single_old; create table single (id int, w text)", database=name)
        source.sql("insert into single values (1, 'new')", database=name)
        task.wait_for(lambda: not difference(source, name, target, name, equal), 60, "the one that took the name")
        source.sql(
            "insert into single values (2, 'new'); update a set v = 1; delete from b where id < 9", database=name
        )
        task.wait_for(lambda: not difference(source, name, target, name, equal), 30, "and its changes")
        assert set(task.phases().values()) == {"joined"}, task.phases()
        assert task.stop() == 0
