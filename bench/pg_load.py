"""Full load from PostgreSQL to PostgreSQL."""

from __future__ import annotations

import resource
import shutil

from figures import ROWS, RUNS, BenchError, run_pipe, run_tool
from setting import COLUMNS, Bench
from tasks import Task


def measure_load(bench: Bench) -> None:
    bench.fill("load", ROWS)
    bench.source.sql("checkpoint")
    task = None
    for run in range(RUNS):
        for tool in ("godwit", "psql", "pgcopydb"):
            database = f"load_{tool}"
            if run > 0 and tool == "godwit":  # the task keeps its ledger there
                bench.target.sql("drop table orders", database=database)
            else:
                bench.target.sql(f'drop database if exists "{database}"')
                bench.target.create_database(database)
            bench.target.sql("checkpoint")
            if tool == "godwit":
                task = task or Task(bench, "load", "full-load", "load", database)
                task.full_load("load", run == 0)
            elif tool == "psql":
                load_psql(bench, database)
            else:
                load_pgcopydb(bench, database)
            rows = bench.target.sql("select count(*) from orders", database=database)[0][0]
            keys = bench.target.sql(
                "select count(*) from pg_index where indrelid = 'orders'::regclass and indisprimary",
                database=database,
            )[0][0]
            if (rows, keys) != (ROWS, 1):
                raise BenchError(f"{tool} brought {rows} of {ROWS} rows and {keys} primary keys")
    for tool in ("godwit", "psql", "pgcopydb"):
        bench.target.sql(f'drop database "load_{tool}" with (force)')
    bench.compare("full load / psql COPY | psql COPY", "load.godwit", "load.psql", 0.80)
    bench.compare("full load / pgcopydb clone", "load.godwit", "load.pgcopydb")
    bench.line(
        "full load, rows per CPU-second",
        bench.median("load.rows_per_cpu_s") / 1e6,
        "M",
        5.0,
        at_most=False,
        detail=f"CPU {bench.text('load.cpu')}",
    )
    # CPU seconds are the machine's of the day, their ratio is not
    bench.compare("full load, CPU time / that of the two psql", "load.cpu", "load.psql_cpu")
    bench.line("full load, peak RSS of the task", bench.median("load.peak"), "MB", 64)


def load_psql(bench: Bench, database: str) -> None:
    bench.target.sql(f"create table orders {COLUMNS}", database=database)
    bench.target.sql("alter table orders add primary key (id)", database=database)
    before = children_cpu_s()
    with bench.timed("load.psql"):
        run_pipe(
            bench.psql(bench.source, "load", "copy orders to stdout (format binary)"),
            bench.psql(bench.target, database, "copy orders from stdin (format binary)"),
        )
    bench.add("load.psql_cpu", "s", children_cpu_s() - before)


def children_cpu_s() -> float:
    """Of the children that were waited for: the tools, and none of the servers."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def load_pgcopydb(bench: Bench, database: str) -> None:
    work = bench.folder / "pgcopydb"
    shutil.rmtree(work, ignore_errors=True)
    with bench.timed("load.pgcopydb"):
        run_tool(
            [
                *("pgcopydb", "clone", "--dir", str(work), "--table-jobs", "4", "--index-jobs", "2"),
                *("--source", bench.source.conninfo("load"), "--target", bench.target.conninfo(database)),
            ],
            {**bench.environment, "TMPDIR": str(bench.folder), "XDG_DATA_HOME": str(bench.folder)},
        )
