"""One scenario for each rule of exactness that the task as a whole obeys. Each passes as long as the rule is in force
and fails without it: test_mutants.py proves the second half. The rules of the target alone have theirs in
tests/integration/target."""

import itertools
import shutil
import signal
import threading
import time

import pytest
from live import difference, exceptions
from pg import PgServer
from task_process import TaskProcess

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def servers():
    with PgServer(settings={"autovacuum": "off", "logical_decoding_work_mem": "64kB"}) as source, PgServer() as target:
        yield source, target


@pytest.fixture
def pair(servers):
    source, target = servers
    name = f"m{next(NUMBERS)}"
    source.create_database(name)
    target.create_database(name)
    yield source, target, name
    for server in servers:
        server.sql(f'drop database if exists "{name}" with (force)')


def finish(task, tables):
    task.wait_loaded()
    task.wait_caught_up()
    wrong = difference(task.source, task.source_database, task.target, task.target_database, tables)
    assert not wrong, f"{wrong}\n{task.log_text()}"
    assert exceptions(task.target, task.target_database) == []
    assert task.stop() == 0


class Inserts:
    """Single inserts into keyless tables, each a transaction: applied twice or never, the count tells."""

    def __init__(self, server, database, tables):
        self.server, self.database, self.tables = server, database, tables
        self._end = threading.Event()
        self.count = 0

    def __enter__(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self):
        with self.server.connect(self.database) as c:
            while not self._end.is_set():
                self.count += 1
                for t in self.tables:
                    c.execute(f"insert into {t} values (%s)", (self.count,))
                self._end.wait(0.003)

    def stop(self):
        self._end.set()
        self._thread.join(20)

    def __exit__(self, *_):
        self.stop()


def journals(source, name, *tables):
    for t in tables:
        source.sql(f"create table {t} (n bigint)", database=name)
        source.sql(f"insert into {t} select -g from generate_series(1, 4000) g", database=name)


def test_mark_contains(pair):
    """What a reload's snapshot holds is not applied once more."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        with source.connect(name, autocommit=False) as holder:
            holder.execute("select pg_current_xact_id()")  # the reload's snapshot waits for this transaction
            assert task.control("reload", tables=[{"schema": "public", "table": "a"}])["ok"]
            waiting = "select count(*) from pg_replication_slots where temporary and slot_name like 'gwtmp%'"
            task.wait_for(lambda: source.sql(waiting)[0][0] == 1, 20, "the snapshot waits")
            # committed after the log was held for the table and before its snapshot
            for n in range(50):
                source.sql("insert into a values (%s)", (n,), name)
            holder.commit()
        task.wait_for(lambda: task.table("a").get("reloaded"), 20, "reloaded")
        finish(task, ("a",))


def test_join_after_common(pair):
    """A restarted task reads its log from before the common position: no table joins until that is reached again."""
    source, target, name = pair
    journals(source, name, "a", "b")
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh", failpoint="slice.rows_sent=sleep:4000@3;load.table_finished=kill@3")
        task.wait_loaded()
        task.wait_caught_up()
        with Inserts(source, name, ("a", "b")):
            assert task.control("reload", tables=[{"schema": "public", "table": "b"}])["ok"]
            task.wait_for(lambda: task.phases().get("b") == "loading", 20, "b loads")
            rows = target.sql("select count(*) from a", database=name)[0][0]
            task.wait_for(lambda: target.sql("select count(*) from a", database=name)[0][0] > rows + 50, 20, "a moves")
            assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
            assert task.phases() == {"a": "joined", "b": "loaded"}
        task.start("resume")
        finish(task, ("a", "b"))


def test_join_position(pair):
    """A table joins together with the common position, or a restart applies its changes twice."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name) as task, Inserts(source, name, ("a",)) as inserts:
        how = "fresh"
        while task.phases() != {"a": "joined"}:
            task.start(how, failpoint="slice.rows_sent=sleep:700@1;catchup.committed=kill@1")
            assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
            how = "resume"
        inserts.stop()
        task.start("resume")
        finish(task, ("a",))


def test_catchup_own_position(pair):
    """Killed while it catches up, a table goes on behind what it has applied, and nothing of that comes twice."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh", failpoint="slice.rows_sent=sleep:3000@1;catchup.committed=kill@1")
        task.wait_for(lambda: task.table("a").get("state") == "Full load", 20, "a loads")
        for n in range(3):
            source.sql("insert into a select %s + g from generate_series(1, 30000) g", (n * 100000,), name)
        assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
        assert task.phases() == {"a": "loaded"}, "it had joined already, so nothing was proved"
        assert target.sql("select count(*) from a", database=name) > [(4000,)]
        task.start("resume")
        finish(task, ("a",))


def guarded(task, source, target, name):
    """Leaves a killed task whose source has forgotten what only the spool holds; the target lock is returned."""
    task.start("fresh")
    task.wait_loaded()
    task.wait_caught_up()
    blocker = target.connect(name, autocommit=False)
    blocker.execute("lock table a in access exclusive mode")
    before = source.sql("select confirmed_flush_lsn::text from pg_replication_slots where not temporary")[0][0]
    until = time.monotonic() + 30
    while time.monotonic() < until:
        source.sql("insert into a select g from generate_series(1, 20000) g", database=name)
        time.sleep(0.2)
        now = source.sql("select confirmed_flush_lsn > %s from pg_replication_slots where not temporary", (before,))
        if now[0][0] and task.report().get("spool_bytes", 0) > 0:
            break
    else:
        raise AssertionError(f"the guard never acknowledged\n{task.log_text()}")
    task.kill()
    return blocker


def test_resume_coverage(pair):
    """Data that only the spool held, and the spool is gone: the task fails and says so, it never skips."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name, source_attributes={"slotguardmb": 2}) as task:
        blocker = guarded(task, source, target, name)
        shutil.rmtree(task.folder / "spool")
        blocker.rollback()
        blocker.close()
        task.start("resume")
        code = task.wait_end(15)
        report = task.report()
        assert code == 1, f"{report['state']}: {difference(source, name, target, name, ('a',))}"
        assert (report["state"], report["stop_reason"]) == ("failed", "FATAL_ERROR")
        assert "spool does not hold" in report["last_error"] and "reload-target" in report["last_error"]
        task.start("reload")
        finish(task, ("a",))


def test_spool_checksum(pair):
    """A value of the spool that is not what was written is never applied."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name, source_attributes={"slotguardmb": 2}) as task:
        blocker = guarded(task, source, target, name)
        was, other = (n.to_bytes(8, "big") for n in (8001, 58001))
        found = 0
        for path in (task.folder / "spool").iterdir():
            content = path.read_bytes()
            found += content.count(was)
            path.write_bytes(content.replace(was, other))
        assert found, "the spool does not hold the value, so nothing was proved"
        blocker.rollback()
        blocker.close()
        task.start("resume")
        code = task.wait_end(15)
        report = task.report()
        assert code == 1, f"{report['state']}: {difference(source, name, target, name, ('a',))}"
        assert (report["state"], report["stop_reason"]) == ("failed", "FATAL_ERROR"), report["last_error"]
        assert target.sql("select count(*) from a where n = 58001", database=name) == [(0,)]
        task.start("reload")
        finish(task, ("a",))


def test_resume_same_source(pair):
    """What one system has loaded is never completed from another one."""
    source, target, name = pair
    with PgServer() as other, TaskProcess(source, target, name, name, kind="full-load") as task:
        other.create_database(name)
        for server in (source, other):
            journals(server, name, "a", "b")
        task.spec["workers_max"] = 1
        task.start("fresh", failpoint="load.table_finished=kill@1")
        assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
        task.kill_keepers()
        task.spec["source"] |= {"host": other.host, "port": other.port}
        for _ in range(2):  # the refusal is not forgotten
            task.start("resume")
            assert task.wait_end(20) == 1, task.log_text()
            report = task.report()
            assert (report["state"], report["stop_reason"]) == ("failed", "FATAL_ERROR")
            assert "another database system" in report["last_error"]
        task.start("reload")
        assert task.wait_end(20) == 0, task.log_text()
        assert not difference(other, name, target, name, ("a", "b"))


def test_reconnect_coverage(pair):
    """The target comes back with less than it had: the log is looked at anew, and what is nowhere any more is said."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        for n in range(20):
            source.sql("insert into a values (%s)", (n,), name)
        task.wait_caught_up()
        with target.connect(name, autocommit=False) as c:
            c.execute("lock table godwit.gw_task, godwit.gw_progress in access exclusive mode")
            c.execute("update godwit.gw_progress set position = '00000000/00000010'")
            c.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
                (name,),
            )
            c.commit()
        source.sql("insert into a values (1000)", database=name)
        code = task.wait_end(15)
        assert code == 1, f"{task.report()['state']}: {difference(source, name, target, name, ('a',))}"
        assert task.report()["recoverable"] and "had applied more" in task.report()["last_error"]
        task.start("resume")
        assert task.wait_end(15) == 1
        report = task.report()
        assert (report["state"], report["stop_reason"]) == ("failed", "FATAL_ERROR"), report["last_error"]
        assert "reload-target" in report["last_error"]
        task.start("reload")
        finish(task, ("a",))


def test_snapshot_table_lock(pair):
    """VACUUM FULL between two slices moves the rows to where they were already looked for."""
    source, target, name = pair
    source.sql("create table moving (id int primary key, pad text)", database=name)
    source.sql("insert into moving select g, repeat('m', 300) from generate_series(1, 4000) g", database=name)
    source.sql("delete from moving where id <= 2000", database=name)
    with TaskProcess(source, target, name, name, source_attributes={"sliceblocks": 16, "ddlwaitms": 400}) as task:
        task.spec["workers_max"] = 1
        task.start("fresh", failpoint="slice.rows_sent=sleep:1500@3")
        task.wait_for(lambda: task.table("moving").get("slices_done", 0) >= 2, 20, "two slices")
        source.sql("vacuum full moving", database=name)
        assert task.table("moving")["state"] != "Table completed", "VACUUM FULL came too late to prove anything"
        finish(task, ("moving",))


def test_snapshot_gives_way(pair):
    """DDL of the application waits for ddlWaitMs, however long the load still takes."""
    source, target, name = pair
    source.sql("create table busy (id int primary key)", database=name)
    source.sql("insert into busy select generate_series(1, 500)", database=name)
    with TaskProcess(source, target, name, name, source_attributes={"ddlwaitms": 400}) as task:
        task.start("fresh", failpoint="slice.rows_sent=sleep:6000@1")
        task.wait_for(lambda: task.table("busy").get("state") == "Full load", 20, "busy loads")
        with source.connect(name) as c:
            c.execute("set lock_timeout = '3s'")
            c.execute("alter table busy add column more int default 7")
        assert task.table("busy")["state"] == "Full load", "the ALTER came too late to prove anything"
        finish(task, ("busy",))


@pytest.mark.parametrize("kind", ["full-load", "full-load-and-cdc"])
def test_resume_forget_slices_first(pair, kind):
    """Slices of a lost snapshot are not completed under the next one, also by a process that only finds that one."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name, kind=kind, source_attributes={"sliceblocks": 4}) as task:
        task.start("fresh", failpoint="slice.committed=kill@3")
        assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
        assert task.kill_keepers() == 1
        source.sql("update a set n = n - 10000 where n % 2 = 0", database=name)
        task.start("resume", failpoint="prepare.before_commit=kill@1")  # it has a snapshot, and has prepared nothing
        assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
        task.start("resume")
        if kind == "full-load":
            assert task.wait_end(20) == 0, task.log_text()
        else:
            task.wait_loaded()
            task.wait_caught_up()
        assert not difference(source, name, target, name, ("a",)), task.log_text()


def test_snapshot_shape_check(pair):
    """A rewriting ALTER between the snapshot and the lock leaves nothing that the snapshot sees."""
    source, target, name = pair
    source.sql("create table rewritten (id int primary key, a int)", database=name)
    source.sql("insert into rewritten select g, g from generate_series(1, 500) g", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh", failpoint="prepare.before_commit=sleep:2000@1")
        task.wait_for(lambda: (task.folder / "keeper.state").exists(), 20, "the snapshot is held")
        time.sleep(0.2)
        source.sql("alter table rewritten alter a type int using a * 100", database=name)
        source.sql("vacuum full rewritten", database=name)
        assert not task.table("rewritten").get("slices_done"), "the change came too late to prove anything"
        finish(task, ("rewritten",))


def test_apply_key_once_per_statement(pair):
    """A statement whose arrays hold a key twice acts on its row once."""
    source, target, name = pair
    source.sql("create table keyed (id int primary key, v int)", database=name)
    source.sql("insert into keyed select g, 0 from generate_series(1, 50) g", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        with source.connect(name, autocommit=False) as c:
            for v in range(1, 6):  # changes that cannot be taken together
                c.execute("delete from keyed where id <= 3")
                c.execute("insert into keyed values (1, %s), (2, %s), (3, %s)", (v, v, v))
            c.commit()
        finish(task, ("keyed",))
        # the count of rows notices as well, but then the group is applied a second time, row by row
        assert "row by row" not in task.log_text(500)


def test_apply_row_count_check(pair):
    """An UPDATE that finds no row is a conflict, and it is recorded."""
    source, target, name = pair
    source.sql("create table keyed (id int primary key, v int)", database=name)
    source.sql("insert into keyed select g, 0 from generate_series(1, 50) g", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        target.sql("delete from keyed where id = 7", database=name)
        source.sql("update keyed set v = 1 where id between 5 and 9", database=name)
        task.wait_caught_up()
        assert target.sql("select count(*) from keyed where v = 1", database=name) == [(4,)]
        recorded = target.sql('select "TABLE_NAME" from awsdms_apply_exceptions', database=name)
        assert recorded == [("keyed",)], task.log_text()


def test_settle_durable():
    """synchronous_commit=off on the target: what it can still lose is not acknowledged to the source."""
    lazy = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB", "autovacuum": "off"}
    with PgServer() as source, PgServer(settings=lazy) as target:
        source.sql("create table k (v int)")
        attributes = {"synchronouscommit": "off"}
        with TaskProcess(source, target, target_attributes=attributes) as task:
            task.start("fresh")
            task.wait_loaded()
            task.wait_caught_up()
            for v in range(40):
                source.sql("insert into k values (%s)", (v,))
                time.sleep(0.02)
            end = source.sql("select pg_current_wal_insert_lsn()::text")[0][0]
            confirmed = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_type = 'logical'"
            task.wait_for(lambda: all(r[0] for r in source.sql(confirmed, (end,))), 15, "acknowledged")
            target.kill()
            target.start()
            source.sql("insert into k values (40)")
            if task.wait_end(5) is not None:  # the target is behind: its supervisor starts it again
                task.start("resume")
            finish(task, ("k",))


def test_apply_aborted_parts(pair):
    """What a streamed transaction has rolled back to a savepoint was sent before that, and is not applied."""
    source, target, name = pair
    journals(source, name, "a")
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        with source.connect(name, autocommit=False) as c:
            c.execute("insert into a select 100000 + g from generate_series(1, 2000) g")
            c.execute("savepoint part")
            c.execute("insert into a select 200000 + g from generate_series(1, 3000) g")
            c.execute("rollback to savepoint part")
            c.execute("insert into a select 300000 + g from generate_series(1, 2000) g")
            c.commit()
        finish(task, ("a",))
        streamed = source.sql("select sum(stream_txns) > 0 from pg_stat_replication_slots")
        assert streamed == [(True,)], "nothing was streamed, so nothing was proved"


def test_publish_identity(pair):
    """An UPDATE of the application never fails for a publication: a deferrable key identifies nothing."""
    source, target, name = pair
    source.sql("create table d (id int primary key deferrable initially deferred, v int)", database=name)
    source.sql("insert into d select g, g from generate_series(1, 100) g", database=name)
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        source.sql("update d set v = 0 where id = 1", database=name)
        source.sql("insert into d values (500, 1)", database=name)
        task.wait_caught_up()
        assert target.sql("select count(*) from d", database=name) == [(101,)]
        assert task.stop() == 0


def test_session_row_security(pair):
    """COPY under a policy would return a part of the rows without a word."""
    source, target, name = pair
    source.sql("drop role if exists policed; create role policed login", database=name)
    source.sql("create table t (id int primary key, mine bool)", database=name)
    source.sql("insert into t values (1, true), (2, false), (3, false)", database=name)
    source.sql("create policy p on t using (mine); alter table t enable row level security", database=name)
    source.sql("alter table t force row level security; alter table t owner to policed", database=name)
    with TaskProcess(source, target, name, name, kind="full-load") as task:
        task.spec["source"]["user"] = "policed"
        task.start("fresh")
        task.wait_end(20)
        shown = task.table("t")
        assert shown["state"] == "Table error", f"{shown} {target.sql('select * from t', database=name)}"
        assert "row-level security" in shown["detail"]


@pytest.mark.parametrize("kind", ["swapped", "taken over"])
def test_shape_once(pair, kind):
    """A change of shape that is in, of which only the ledger knows, is not made again."""
    source, target, name = pair
    source.sql("create table a (id int primary key, v int, w int)", database=name)
    source.sql("insert into a select g, 1, 2 from generate_series(1, 100) g", database=name)
    change = {
        "swapped": "alter table a rename v to x; alter table a rename w to v; alter table a rename x to w",
        "taken over": "alter table a drop v; alter table a rename w to v",
    }[kind]
    columns = (
        "select string_agg(attname, ',' order by attnum) from pg_attribute "
        "where attrelid = 'a'::regclass and attnum > 0 and not attisdropped"
    )
    with TaskProcess(source, target, name, name) as task:
        task.start("fresh")
        task.wait_loaded()
        task.wait_caught_up()
        task.stop()
        source.sql(f"begin; {change}; update a set v = v + 10 where id <= 10; commit", database=name)
        wanted = source.sql(columns, database=name)
        for _ in range(20):  # until the commit that killed it was that of the change
            task.start("resume", failpoint="apply.committed=kill@1")
            assert task.wait_end(20) == -signal.SIGKILL, task.log_text()
            if target.sql(columns, database=name) == wanted:
                break
        assert target.sql(columns, database=name) == wanted
        task.start("resume")
        source.sql("update a set v = v + 100 where id > 90", database=name)
        finish(task, ("a",))
