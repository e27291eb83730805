"""Full loads out of, into and between MySQL and MariaDB servers."""

from __future__ import annotations

import contextlib
import os
import shutil

from figures import ROWS, RUNS, BenchError, run_tool
from my import MyServer
from setting import NAMES, Bench
from tasks import Task

THREADS = 4  # of mydumper, myloader and pgloader; loadSessions is 4 as well
USER, PASSWORD = "bench", "bench"  # with the old authentication: mydumper and pgloader know no other
AT_HOME = {**os.environ, "HOME": "/tmp"}
PGLOADER_READS = ("mariadb",)  # 3.6 gives up at the collations of MySQL 8's catalogue


def measure_my_load(bench: Bench, flavour: str) -> None:
    """Into PostgreSQL, beside pgloader, and beside psql copy of a text file."""
    key, name = f"my_load.{flavour}", f"{NAMES[flavour]} to PostgreSQL"
    (source,) = bench.my(flavour, "source")
    bench.fill_my(source, "shop", ROWS)
    old_user(source)
    database = f"my_load_{flavour}"
    bench.target.create_database(database)
    task = Task(bench, f"load-{flavour}", "full-load", "", database, source=source, schema="shop")
    text = bench.folder / "orders.txt"
    for run in range(RUNS):
        # nothing to drop, as for the others
        bench.target.sql("drop table if exists shop.orders", database=database)
        bench.target.sql("checkpoint")
        task.full_load(key, run == 0)
        expect("godwit", bench.target.sql("select count(*) from shop.orders", database=database)[0][0])
        copy_text(bench, database, text, key)
        if flavour in PGLOADER_READS:
            pgloader(bench, source, key)
    text.unlink()
    bench.target.sql(f"drop database {database} with (force)")
    if flavour in PGLOADER_READS:
        bench.compare(f"{name}: full load / pgloader", f"{key}.godwit", f"{key}.pgloader", 1 / 3)
    bench.compare(f"{name}: full load / copy of a file, key", f"{key}.godwit", f"{key}.copy", 1.0)
    bench.line(
        f"{name}: rows per CPU-second",
        bench.median(f"{key}.rows_per_cpu_s") / 1e6,
        "M",
        3.0,
        at_most=False,
        detail=f"CPU {bench.text(f'{key}.cpu')}",
    )
    bench.line(f"{name}: peak RSS of the task", bench.median(f"{key}.peak"), "MB", 64)


def measure_to_my(bench: Bench, flavour: str) -> None:
    """From PostgreSQL, beside one session of LOAD DATA LOCAL fed by psql."""
    key, name = f"to_my.{flavour}", f"PostgreSQL to {NAMES[flavour]}"
    (target,) = bench.my(flavour, "target")
    if not bench.source.sql("select 1 from pg_database where datname = 'load'"):
        bench.fill("load", ROWS)
    bench.source.sql("checkpoint")
    task = Task(bench, f"to-{flavour}", "full-load", "load", "", target=target)
    query = (
        "select id, customer_id, product_id, state, quantity, price, placed_at at time zone 'UTC', paid::text, "
        "reference, note from orders"
    )
    for run in range(RUNS):
        if run > 0:
            target.sql("drop table public.orders")  # nothing to drop, as for the others
        task.full_load(key, run == 0)
        expect("godwit", int(target.sql("select count(*) from public.orders")[0][0]))
        target.sql("drop table if exists plain; create table plain like orders", "public")
        with bench.timed(f"{key}.load_data"):
            bench.pipe(query, bench.source, "load", target, "public.plain")
        expect("LOAD DATA", int(target.sql("select count(*) from public.plain")[0][0]))
    target.sql("drop database public")
    bar = {"mariadb": 0.9, "mysql": 1.0}[flavour]
    bench.compare(f"{name}: full load / psql | LOAD DATA", f"{key}.godwit", f"{key}.load_data", bar)
    bench.line(f"{name}: peak RSS of the task", bench.median(f"{key}.peak"), "MB", 64)


def measure_my_my(bench: Bench, flavour: str) -> None:
    """To a server of the same kind, beside mydumper and myloader."""
    key, name = f"my_my.{flavour}", f"{NAMES[flavour]} to {NAMES[flavour]}"
    source, target = bench.my(flavour, "source", "target")
    bench.fill_my(source, "shop", ROWS)
    for server in (source, target):
        old_user(server)
    task = Task(bench, f"same-{flavour}", "full-load", "", "", source=source, target=target, schema="shop")
    for run in range(RUNS):
        if run > 0:
            target.sql("drop table shop.orders")  # nothing to drop, as for the others
        task.full_load(key, run == 0)
        expect("godwit", int(target.sql("select count(*) from shop.orders")[0][0]))
        target.sql("drop database if exists plain")
        target.create_database("plain")
        mydumper(bench, source, target, key)
        expect("myloader", int(target.sql("select count(*) from plain.orders")[0][0]))
    target.sql("drop database plain; drop database shop")
    bench.compare(f"{name}: full load / mydumper, myloader", f"{key}.godwit", f"{key}.mydumper", 1.0)
    bench.line(f"{name}: peak RSS of the task", bench.median(f"{key}.peak"), "MB", 64)


def expect(who: str, rows: int) -> None:
    if rows != ROWS:
        raise BenchError(f"{who} brought {rows} of {ROWS} rows")


def old_user(server: MyServer) -> None:
    how = f"with mysql_native_password by '{PASSWORD}'" if server.flavour == "mysql" else f"by '{PASSWORD}'"
    server.sql(f"create user if not exists {USER}@'127.0.0.1' identified {how}; grant all on *.* to {USER}@'127.0.0.1'")


def copy_text(bench: Bench, database: str, text: object, key: str) -> None:
    """The same rows from a text file, then their key."""

    def psql(command: str) -> None:
        run_tool(bench.psql(bench.target, database, command))

    if f"{key}.copy" not in bench.series:
        psql(f"\\copy shop.orders to '{text}'")
        psql("create table plain (like shop.orders)")
    psql("truncate plain; alter table plain drop constraint if exists plain_pkey")
    bench.target.sql("checkpoint")
    with bench.timed(f"{key}.copy"):
        psql(f"\\copy plain from '{text}'")
        psql("alter table plain add primary key (id)")


def pgloader(bench: Bench, source: MyServer, key: str) -> None:
    bench.target.sql("drop database if exists pgloader")
    bench.target.create_database("pgloader")
    bench.target.sql("checkpoint")
    script = bench.folder / "pgloader.load"
    script.write_text(
        f"load database from mysql://{USER}:{PASSWORD}@{source.host}:{source.port}/shop\n"
        f"into postgresql://{bench.target.user}@{bench.target.host}:{bench.target.port}/pgloader\n"
        f"with workers = {THREADS}, concurrency = 1, include drop, create tables, create indexes;\n"
    )
    with bench.timed(f"{key}.pgloader"):
        run_tool(["pgloader", "--root-dir", str(bench.folder / "pgloader"), str(script)], AT_HOME)
    expect("pgloader", bench.target.sql("select count(*) from shop.orders", database="pgloader")[0][0])
    bench.target.sql("drop database pgloader")


def mydumper(bench: Bench, source: MyServer, target: MyServer, key: str) -> None:
    """Both with the target's log on, as it is for godwit; chunks, or one table would be one thread's."""
    folder = bench.folder / "mydumper"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    user = ["-u", USER, "-p", PASSWORD, "-t", str(THREADS)]
    dump = [
        *("mydumper", "-h", source.host, "-P", str(source.port), *user, "-B", "shop", "-T", "orders"),
        *("-r", str(max(1000, ROWS // 16)), "-o", str(folder)),
    ]
    load = [
        *("myloader", "-h", target.host, "-P", str(target.port), *user, "-e", "-s", "shop", "-B", "plain"),
        *("-d", str(folder)),
    ]
    with bench.timed(f"{key}.mydumper"):
        run_tool(dump, AT_HOME)
        run_tool(load, AT_HOME)
    shutil.rmtree(folder)
