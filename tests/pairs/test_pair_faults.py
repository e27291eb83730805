"""What goes wrong around a task of a pair with MySQL or MariaDB: servers, network, locks, rights, disks. Each has its
status, its reason and its message, and nothing is lost afterwards.

Some pairs in `make test`, all of them in `make faults`; tests/faults does the same from PostgreSQL to PostgreSQL.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from my import MyServer
from outcomes import failed_start, go_on, recoverable_end
from pg import PgServer
from shop import Server, Traffic, clean_up, connect, create, prove_equal, schema_name, shop_task
from task_process import TaskProcess
from tcp_proxy import TcpProxy

FULL = os.environ.get("GODWIT_FAULTS_FULL") == "1"
PAIRS = [
    ("mysql", "postgres"),
    ("mariadb", "postgres"),
    ("postgres", "mysql"),
    ("postgres", "mariadb"),
    ("mariadb", "mysql"),
    ("mysql", "mariadb"),
]
SMALL_SLICES = {"sliceblocks": 8, "slicekb": 128}


def pairs(*chosen: tuple[str, str], which: Any = None) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("from_", "to"), [p for p in PAIRS if not which or which(*p)] if FULL else chosen)


def to_mysql(_: str, to: str) -> bool:
    return to != "postgres"


def from_mysql(from_: str, _: str) -> bool:
    return from_ != "postgres"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """Of this module alone: they are stopped and killed."""
    with PgServer() as postgres, MyServer(flavour="mysql") as mysql, MyServer(flavour="mariadb") as mariadb:
        yield {"postgres": postgres, "mysql": mysql, "mariadb": mariadb}


@pytest.fixture
def shop(from_: str, to: str, servers: dict[str, Server]) -> Iterator[tuple[Server, Server, str]]:
    source, target, schema = servers[from_], servers[to], schema_name()
    create(source, schema)
    yield source, target, schema
    for server in (source, target):
        server.start()
    clean_up(source, target, schema)


def ready(task: TaskProcess) -> None:
    task.start("fresh")
    task.wait_loaded()
    task.wait_caught_up()


def traffic_on(source: Server, schema: str, seed: int) -> Traffic:
    return Traffic(source, schema, seed, pause_s=0.004)


def end_equal(task: TaskProcess, schema: str) -> None:
    go_on(task)
    prove_equal(task, schema)


@pairs(("postgres", "mysql"), ("mysql", "mariadb"))
def test_target_goes_down_and_comes_back(shop: tuple[Server, Server, str]) -> None:
    """The process stays, captures on, and goes on by itself."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with traffic_on(source, schema, 1) as traffic:
            target.stop()
            captured = task.report()["captured_position"]
            time.sleep(30 if FULL else 2)
            assert task.running() and task.report()["state"] == "running", task.log_text()
            assert task.report()["captured_position"] != captured, "the log is not captured on"
            target.start()
            traffic.stop()
        prove_equal(task, schema)
        assert "the target is lost" in task.log_text(500) and "the target is back" in task.log_text(500)
        messages = [e["message"] for e in task.report()["events"]]
        assert "The target is lost; changes are kept until it is back" in messages


@pairs(("mysql", "mariadb"), ("postgres", "mysql"))
def test_target_dies_again_and_again(shop: tuple[Server, Server, str]) -> None:
    """Sessions that are cut in the middle of groups and commits: applied once, whatever the client has heard."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with traffic_on(source, schema, 8) as traffic:
            for _ in range(12 if FULL else 2):
                time.sleep(0.25)
                target.kill()
                target.start()
            traffic.stop()
        end_equal(task, schema)


@pairs(("mariadb", "mysql"))
def test_killed_while_the_target_is_away(shop: tuple[Server, Server, str]) -> None:
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with traffic_on(source, schema, 9) as traffic:
            target.stop()
            time.sleep(1)
            task.kill()
            task.start("resume")  # without a target it gives up, for the supervisor to try again
            message = recoverable_end(task)["last_error"]
            place = f"{target.host}:{target.port}"
            assert message.startswith((f"cannot connect to {place}", f"cannot connect to PostgreSQL at {place}")), (
                message
            )
            target.start()
            traffic.stop()
        end_equal(task, schema)


def begin_to_load(task: TaskProcess) -> None:
    task.start("fresh", failpoint="slice.rows_sent=sleep:600@4")
    task.wait_for(lambda: any(t.get("slices_done", 0) for t in task.report().get("tables", [])), 20)


@pairs(("postgres", "mariadb"), ("mariadb", "mysql"), which=to_mysql)
def test_target_dies_during_the_load(shop: tuple[Server, Server, str]) -> None:
    source, target, schema = shop
    with shop_task(source, target, schema, source_attributes=SMALL_SLICES) as task:
        with traffic_on(source, schema, 2) as traffic:
            begin_to_load(task)
            target.kill()
            if task.wait_end(15) is not None:
                recoverable_end(task)
            target.start()
            traffic.stop()
        end_equal(task, schema)


@pairs(("mysql", "postgres"), ("mariadb", "mysql"), which=from_mysql)
def test_source_restarts(shop: tuple[Server, Server, str]) -> None:
    """First as its operator does it, then by kill -9."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with traffic_on(source, schema, 3) as traffic:
            time.sleep(0.3)
            source.restart()
            for _ in range(8 if FULL else 1):
                if not task.running():
                    recoverable_end(task)
                    task.start("resume")
                time.sleep(0.5)
                source.kill()
                source.start()
            time.sleep(0.5)
            traffic.stop()
        task.wait_end(2)
        end_equal(task, schema)


@pairs(("mariadb", "postgres"), ("mysql", "mariadb"), which=from_mysql)
def test_source_restarts_during_the_load(shop: tuple[Server, Server, str]) -> None:
    """The snapshot is gone with the server: unfinished tables load anew."""
    source, target, schema = shop
    with shop_task(source, target, schema, source_attributes=SMALL_SLICES) as task:
        with traffic_on(source, schema, 4) as traffic:
            begin_to_load(task)
            source.restart()
            if task.wait_end(10) is not None:
                recoverable_end(task)
            traffic.stop()
        end_equal(task, schema)


def through(proxy: TcpProxy, side: str) -> dict[str, Any]:
    return {f"{side}_address": proxy.address}


SIDES = {("source", "mysql", "postgres"), ("target", "postgres", "mariadb"), ("source", "mariadb", "mysql")}
EVERY_SIDE = {(side, *p) for side in ("source", "target") for p in PAIRS}
sides = pytest.mark.parametrize(("side", "from_", "to"), sorted(EVERY_SIDE if FULL else SIDES))


@sides
def test_network_is_cut(shop: tuple[Server, Server, str], side: str) -> None:
    source, target, schema = shop
    server = source if side == "source" else target
    with (
        TcpProxy(server.host, server.port) as proxy,
        shop_task(source, target, schema, **through(proxy, side)) as task,
    ):
        ready(task)
        cut = 0
        with traffic_on(source, schema, 5) as traffic:
            for _ in range(3):
                time.sleep(0.3)
                if not task.running():
                    recoverable_end(task)
                    go_on(task)
                cut += proxy.cut()
            traffic.stop()
        assert cut > 0, "there was no connection to cut"
        task.wait_end(2)
        end_equal(task, schema)


@sides
def test_network_is_slow(shop: tuple[Server, Server, str], side: str) -> None:
    source, target, schema = shop
    server = source if side == "source" else target
    with (
        TcpProxy(server.host, server.port) as proxy,
        shop_task(source, target, schema, **through(proxy, side)) as task,
    ):
        proxy.bytes_per_s = 1 << 20
        with traffic_on(source, schema, 6) as traffic:
            task.start("fresh")
            task.wait_loaded()
            time.sleep(1)
            traffic.stop()
        assert task.running()
        proxy.bytes_per_s = 0
        prove_equal(task, schema)


@pairs(("postgres", "mysql"), ("mysql", "mariadb"), which=to_mysql)
def test_a_locked_target_table_only_waits(shop: tuple[Server, Server, str]) -> None:
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with traffic_on(source, schema, 7) as traffic:
            with connect(target, schema) as c, c.cursor() as blocker:
                blocker.execute("lock tables keyed write")
                time.sleep(2)
                assert task.running() and task.report()["state"] == "running"
            traffic.stop()
        prove_equal(task, schema)


def write_group(source: Server, schema: str, k: int) -> None:
    """Three equal rows of `bag`; in their midst one statement on the target, which meets two rows of `keyed`."""
    with connect(source, schema) as s, s.cursor() as writer:
        writer.execute("begin")
        writer.execute(f"insert into bag values ({k}, 'group'), ({k}, 'group')")
        writer.execute("update keyed set v = v + 1 where id in (7, 8)")
        writer.execute(f"insert into bag values ({k}, 'group')")
        writer.execute("commit")


@pairs(("postgres", "mariadb"), ("mariadb", "mysql"), which=to_mysql)
def test_a_deadlock_undoes_the_whole_group(shop: tuple[Server, Server, str]) -> None:
    """1213 takes all of a transaction back, also what the applier had sent before: it is applied from its begin."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with connect(target, schema) as c, c.cursor() as other:
            c.begin()
            # much, so that the server chooses the applier
            other.execute("update pair set v = v + 0.5")
            other.execute("select * from keyed where id = 8 for update")
            write_group(source, schema, 77)  # its statement has row 7 and waits for row 8
            waiting = "select 1 from information_schema.processlist where info like 'update%keyed%'"
            task.wait_for(lambda: target.sql(waiting), 10, "the applier waits for the row")
            time.sleep(0.3)
            other.execute("select * from keyed where id = 7 for update")
            c.rollback()
        status = target.sql("show engine innodb status")[0][2]
        latest = status.partition("LATEST DETECTED DEADLOCK")[2].partition("WE ROLL BACK")[0]
        assert schema in latest, "there was no deadlock, so nothing was proved"
        task.wait_for(lambda: "applied again: Deadlock" in task.log_text(), 20, "the group's second time")
        prove_equal(task, schema)
        assert target.sql(f"select count(*) from {schema}.bag where k = 77") == [["3"]]


@pairs(("postgres", "mariadb"), which=to_mysql)
def test_a_lock_that_is_waited_for_too_long_undoes_the_whole_group(shop: tuple[Server, Server, str]) -> None:
    """1205 takes only the statement back and leaves the transaction open: nothing of it may be applied twice."""
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        ready(task)
        with connect(target, schema) as c, c.cursor() as other:
            c.begin()
            other.execute("select * from keyed where id = 8 for update")
            write_group(source, schema, 78)
            # the applier's sessions wait for a minute
            task.wait_for(lambda: "applied again: Lock wait timeout" in task.log_text(), 90, "the group's second time")
            c.rollback()
        prove_equal(task, schema)
        assert target.sql(f"select count(*) from {schema}.bag where k = 78") == [["3"]]


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
@pytest.mark.parametrize("side", ["source", "target"])
def test_bad_password(side: str, flavour: str, servers: dict[str, Server]) -> None:
    user = schema_name()
    servers[flavour].sql(f"create user {user}@'%' identified by 'correct-horse'; grant all on *.* to {user}@'%'")
    source, target = (servers[flavour], servers["postgres"])[:: 1 if side == "source" else -1]
    with shop_task(source, target, "nothing") as task:
        task.spec[side] |= {"user": user, "password": "battery-staple"}
        failed_start(task, ["cannot connect to 127.0.0.1:", f"Access denied for user '{user}'"])
        everything = task.log_text(1000) + (task.folder / "status.json").read_text()
        assert "battery-staple" not in everything


def user_of(server: MyServer, grants: list[str]) -> str:
    name = schema_name()
    server.sql(f"create user {name}@'%' identified by ''; " + "; ".join(f"grant {g} to {name}@'%'" for g in grants))
    return name


@pytest.mark.parametrize(
    ("from_", "to", "rights"),
    [
        ("mysql", "postgres", "REPLICATION CLIENT, REPLICATION SLAVE"),
        ("mariadb", "postgres", "BINLOG MONITOR, REPLICATION SLAVE"),
    ],
)
def test_no_right_to_replicate(shop: tuple[Server, Server, str], rights: str) -> None:
    source, target, schema = shop
    with shop_task(source, target, schema) as task:
        task.spec["source"]["user"] = user_of(source, [f"select, lock tables on {schema}.*"])
        failed_start(task, [f"GRANT {rights} ON *.*"])
        # what the log's place needs, and not what reading it needs
        task.spec["source"]["user"] = user_of(
            source, [f"select, lock tables on {schema}.*", f"{rights.split(',')[0]} on *.*"]
        )
        failed_start(task, ["REPLICATION SLAVE"])


@pytest.mark.parametrize(("from_", "to"), [("mysql", "postgres"), ("mariadb", "postgres")])
def test_no_right_to_read_a_table(shop: tuple[Server, Server, str]) -> None:
    """Table error, not task error: the others go on."""
    source, target, schema = shop
    source.sql("create table secret (id int primary key); insert into secret values (1)", schema)
    rights = "replication slave, " + ("replication client" if source.flavour == "mysql" else "binlog monitor")
    grants = [f"{rights} on *.*", f"lock tables on {schema}.*", f"insert on {schema}.secret"]
    grants += [f"select on {schema}.{t}" for t in ("keyed", "pair", "bag", "wide", "coded")]
    with shop_task(source, target, schema) as task:
        task.spec["source"]["user"] = user_of(source, grants)
        task.start("fresh")
        task.wait_loaded()
        assert task.table("secret")["state"] == "Table error", task.log_text()
        assert "secret" in task.table("secret")["detail"] and "SELECT" in task.table("secret")["detail"]
        assert task.table("keyed")["state"] == "Table completed", task.log_text()
        source.sql("insert into keyed values (-1, 1, 'there', null)", schema)
        task.wait_for(lambda: target.sql(f"select note from {schema}.keyed where id = -1") == [("there",)], 20)
        assert task.stop() == 0


def loading_for_long(task: TaskProcess, seconds: int) -> None:
    """No table is loaded before: the changes of all of them wait."""
    task.spec["workers_max"] = 1
    task.start("fresh", failpoint=f"slice.rows_sent=sleep:{seconds * 1000}@1")
    task.wait_state("running")


def write(source: Server, schema: str, megabytes: int) -> None:
    with connect(source, schema) as c, c.cursor() as writer:
        for n in range(megabytes):
            writer.execute("update wide set n = %s, big = %s where id < 20", (n, chr(97 + n % 26) * 50_000))
            c.commit()


@pytest.mark.skipif(not FULL, reason="make faults: 100 MB of changes")
@pairs(("mysql", "postgres"), which=from_mysql)
def test_full_spool_stops_reading_and_loses_nothing(shop: tuple[Server, Server, str]) -> None:
    """Changes of loading tables go to the spool; at its limit the log is read no further."""
    source, target, schema = shop
    with shop_task(source, target, schema, memory_mb=64, source_attributes={"spoolmb": 1}) as task:
        loading_for_long(task, 45)
        write(source, schema, 100)
        task.wait_for(lambda: "spool" in task.log_text(200) and "limit" in task.log_text(200), 40, "says so")
        # one file of 64 MB may be begun below the limit
        assert sum(f.stat().st_size for f in (task.folder / "spool").iterdir()) < 80 << 20
        prove_equal(task, schema, 120)


@pairs(("mariadb", "postgres"), which=from_mysql)
def test_the_disk_of_the_spool_is_full(shop: tuple[Server, Server, str]) -> None:
    """Reading pauses, the log says where space is missing; nothing is lost, also when the task is killed then."""
    if os.geteuid() != 0:
        pytest.skip("a full disk needs root, to mount a small file system")
    source, target, schema = shop
    with shop_task(source, target, schema, memory_mb=64) as task:
        spool = task.folder / "spool"
        spool.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", spool], check=True)
        try:
            loading_for_long(task, 30)
            write(source, schema, 16)
            words = f"the disk of the spool folder {spool} is full"
            task.wait_for(lambda: words in task.log_text(300), 20, "says so")
            assert task.running() and task.report()["state"] == "running"
            task.kill()
            task.start("resume")
            prove_equal(task, schema)
        finally:
            task.kill()
            subprocess.run(["umount", "-l", spool], check=True)
