#!/usr/bin/env python3
"""make demo: a shop under live traffic moves from one database server to another, and both sides turn out equal.

Everything runs in a temporary folder on free ports and is gone at the end, also after Ctrl-C.

    PAIR=postgres-postgres   or mysql-postgres, postgres-mysql, mysql-mysql; mariadb in either place as well
    DEMO_ROWS=4000000   rows before the traffic starts; half of it when MySQL or MariaDB is the source
    DEMO_SECONDS=15     traffic after the load, at least
    DEMO_SOURCE=15      PostgreSQL of the source: 15, 17 or 18
    DEMO_TARGET=15      and of the target
    DEMO_KEEP=1         keep the folder with logs
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "servers"))

import my_shop
import shop
from godwit import GodwitServer
from my import MYSQL_VERSION, MyServer
from pg import PgServer
from traffic import Traffic

SECONDS = float(os.environ.get("DEMO_SECONDS", "15"))
VERSIONS = int(os.environ.get("DEMO_SOURCE", "15")), int(os.environ.get("DEMO_TARGET", "15"))
FROM, _, TO = os.environ.get("PAIR", "postgres-postgres").partition("-")
SHOP = shop if FROM == "postgres" else my_shop
ROWS = int(os.environ.get("DEMO_ROWS", SHOP.ROWS))
TABLES = SHOP.TABLES
# A database of PostgreSQL holds schemas; for the other family the two are one thing.
SOURCE, TARGET = "shop", "warehouse"
Server = PgServer | MyServer
PASSWORD = "demo-password"
ON_TERMINAL = sys.stdout.isatty()
COLOUR = ON_TERMINAL and not os.environ.get("NO_COLOR")


class DemoError(RuntimeError):
    """The demo found something wrong; the text says what."""


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say()
    say(f"\033[1m== {text}\033[0m" if COLOUR else f"== {text}")


def command(text: str) -> None:
    say(f"\033[36m$ {text}\033[0m" if COLOUR else f"$ {text}")


class Progress:
    """One line that is painted again and again; off a terminal a line now and then."""

    def __init__(self) -> None:
        self.last = 0.0
        self.open = False

    def show(self, text: str) -> None:
        now = time.monotonic()
        if ON_TERMINAL:
            sys.stdout.write("\r\033[K" + text[: shutil.get_terminal_size().columns - 1])
            sys.stdout.flush()
            self.open = True
        elif now - self.last >= 2:
            say("  " + text)
            self.last = now

    def end(self) -> None:
        if self.open:
            say()
        self.open = False


class Demo:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="godwit-demo-"))
        self.folder.chmod(0o755)
        tuning: dict[str, str | int] = {
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",
            "maintenance_work_mem": "256MB",
            "track_commit_timestamp": "off",
        }

        def server(name: str, engine: str, version: int) -> Server:
            folder = self.folder / name
            if engine == "postgres":
                return PgServer(folder, version=version, password=PASSWORD, fsync=True, settings=tuning)
            return MyServer(folder, flavour=engine, fsync=True, settings={"innodb-buffer-pool-size": "512M"})

        self.source = server("source", FROM, VERSIONS[0])
        self.target = server("target", TO, VERSIONS[1])
        self.godwit = GodwitServer(self.folder / "godwit")
        self.traffic: Traffic | None = None
        self.lags_ms: list[int] = []
        self.load_rows = 0
        self.load_s = 0.0
        self.kills = 0

    # --- pieces

    def aws(self, text: str) -> Any:
        """Prints one AWS CLI command and runs exactly that."""
        line = f"aws dms {text}"
        command(line)
        done = subprocess.run(
            ["bash", "-c", line],
            env=self.godwit.client_environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise DemoError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip().startswith("{") else done.stdout.strip()

    def report(self) -> dict[str, Any]:
        return dict(self.godwit.get(f"/godwit/v1/tasks/{self.task_arn.rpartition(':')[2]}"))

    def look(self, progress: Progress) -> dict[str, Any]:
        """The task as it reports itself, on screen."""
        report = self.report()
        tables = report.get("tables", [])
        loaded = sum(t["full_load_rows"] for t in tables)
        done = sum(t["state"] == "Table completed" for t in tables)
        applied = sum(t["applied_inserts"] + t["applied_updates"] + t["applied_deletes"] for t in tables)
        lag = report.get("lag_ms", -1)
        part = 1.0 if tables and done == len(tables) else min(0.99, loaded / max(1, self.rows))
        cells = int(24 * part)
        assert self.traffic is not None
        progress.show(
            f"{'█' * cells}{'░' * (24 - cells)} {loaded:>9,} rows  {done:>2}/{len(tables)} tables  "
            f"{report.get('rows_per_second', 0):>8,} rows/s  changes applied {applied:>7,}  "
            f"lag {lag if lag >= 0 else '-'} ms  (source: {self.traffic.transactions:,} transactions)"
        )
        if report["status"] == "failed":
            progress.end()
            raise DemoError(
                f"the task failed: {report.get('last_error')}\n{self.godwit.cli('task', 'logs', 'move').stdout}"
            )
        for table in tables:
            if table["state"] == "Table error":
                progress.end()
                raise DemoError(f"{table['name']}: {table['detail']}")
        report["loaded_rows"], report["loaded_tables"] = loaded, done
        return report

    def kill_task(self, why: str) -> None:
        pid = self.godwit.task_pid(self.task_arn)
        if pid is None:
            raise DemoError("no task process to kill")
        command(f"kill -9 {pid}        # {why}")
        os.kill(pid, signal.SIGKILL)
        self.kills += 1

    def checksum(self, server: PgServer, table: str, columns: str) -> tuple[int, int]:
        """Rows and the sum of their MD5 sums: the order does not matter, a row lost, doubled or changed does."""
        rows, total = server.sql(
            f"select count(*), coalesce(sum(('x' || left(md5(r::text), 15))::bit(60)::bigint::numeric), 0) "
            f"from (select {columns} from shop.{table}) r",
            database=self.database_of(server),
        )[0]
        return int(rows), int(total)

    def columns_of(self, table: str) -> str:
        return str(
            self.source.sql(
                "select string_agg(quote_ident(column_name), ', ' order by ordinal_position) "
                "from information_schema.columns where table_schema = 'shop' and table_name = %s",
                (table,),
                SOURCE,
            )[0][0]
        )

    @staticmethod
    def name_of(server: Server) -> str:
        if isinstance(server, PgServer):
            return f"PostgreSQL {server.version}"
        return f"MySQL {MYSQL_VERSION}" if server.flavour == "mysql" else "MariaDB"

    def sql(self, server: Server, statement: str) -> list[Any]:
        if isinstance(server, PgServer):
            return list(server.sql(statement, database=self.database_of(server)))
        return server.sql(statement)

    def database_of(self, server: Server) -> str:
        return SOURCE if server is self.source else TARGET

    # --- the story

    def run(self) -> None:
        started = time.monotonic()
        heading("Two database servers and a shop")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda server: server.start(), [self.source, self.target]))
        for server in (self.source, self.target):
            if isinstance(server, PgServer):
                server.create_database(self.database_of(server))
        say(f"source  {self.name_of(self.source)} at 127.0.0.1:{self.source.port}, database {SOURCE}")
        where = f"database {TARGET}, empty" if isinstance(self.target, PgServer) else "empty"
        say(f"target  {self.name_of(self.target)} at 127.0.0.1:{self.target.port}, {where}")
        begin = time.monotonic()
        self.rows = SHOP.fill(self.source, SOURCE, ROWS)  # type: ignore[arg-type]
        say(f"{self.rows:,} rows in {len(TABLES)} tables, made in {time.monotonic() - begin:.0f} s")

        heading("godwit serve")
        command(f"godwit serve --data {self.godwit.data} --listen 127.0.0.1:{self.godwit.port}")
        self.godwit.start()
        self.traffic = SHOP.Customers(self.source, SOURCE, ROWS)  # type: ignore[arg-type]
        self.traffic.start()
        say("live traffic on all tables has begun: inserts, updates, deletes, rolled-back work")

        heading("The migration, with the AWS CLI")
        command(f"export AWS_ENDPOINT_URL={self.godwit.url}")
        self.create()

        heading("Full load under traffic")
        self.load()

        heading("Changes")
        self.follow()

        heading("Are both sides equal?")
        self.prove()

        heading("Clean up, still with the AWS CLI")
        arn = shlex.quote(self.task_arn)
        self.aws(f"stop-replication-task --replication-task-arn {arn}")
        self.aws(f"wait replication-task-stopped --filters Name=replication-task-arn,Values={arn}")
        self.aws(f"delete-replication-task --replication-task-arn {arn}")
        self.aws(f"wait replication-task-deleted --filters Name=replication-task-arn,Values={arn}")
        if isinstance(self.source, PgServer):
            left = self.source.sql("select slot_name from pg_replication_slots", database=SOURCE)
            if left:
                raise DemoError(f"a replication slot was left on the source: {left}")
            say("no replication slot is left on the source")
        self.summary(time.monotonic() - started)

    def create(self) -> None:
        instance = self.aws(
            "create-replication-instance --replication-instance-identifier demo "
            "--replication-instance-class dms.t3.medium"
        )["ReplicationInstance"]["ReplicationInstanceArn"]
        endpoints = {}
        for kind, server, database in (("source", self.source, SOURCE), ("target", self.target, TARGET)):
            own = (
                f"--engine-name postgres --password {PASSWORD} --database-name {database}"
                if isinstance(server, PgServer)
                else f"--engine-name {server.flavour}"
            )
            endpoints[kind] = self.aws(
                f"create-endpoint --endpoint-identifier {database} --endpoint-type {kind} "
                f"--server-name 127.0.0.1 --port {server.port} --username {server.user} {own}"
            )["Endpoint"]["EndpointArn"]
        self.aws(f"wait replication-instance-available --filters Name=replication-instance-arn,Values={instance}")
        for arn in endpoints.values():
            self.aws(f"test-connection --replication-instance-arn {instance} --endpoint-arn {arn}")
            self.aws(f"wait test-connection-succeeds --filters Name=endpoint-arn,Values={arn}")
        mappings = {
            "rules": [
                {
                    "rule-type": "selection",
                    "rule-id": "1",
                    "rule-name": "the whole shop",
                    "rule-action": "include",
                    "object-locator": {"schema-name": "shop", "table-name": "%"},
                }
            ]
        }
        (self.folder / "mappings.json").write_text(json.dumps(mappings, indent=1))
        (self.folder / "settings.json").write_text(
            json.dumps({"Logging": {"EnableLogging": True}, "ErrorBehavior": {"RecoverableErrorInterval": 1}}, indent=1)
        )
        self.task_arn = self.aws(
            f"create-replication-task --replication-task-identifier move --migration-type full-load-and-cdc "
            f"--source-endpoint-arn {endpoints['source']} --target-endpoint-arn {endpoints['target']} "
            f"--replication-instance-arn {instance} --table-mappings file://mappings.json "
            f"--replication-task-settings file://settings.json"
        )["ReplicationTask"]["ReplicationTaskArn"]
        self.aws(f"wait replication-task-ready --filters Name=replication-task-arn,Values={self.task_arn}")

    def load(self) -> None:
        self.aws(
            f"start-replication-task --replication-task-arn {self.task_arn} "
            f"--start-replication-task-type start-replication"
        )
        progress = Progress()
        begin = time.monotonic()
        killed = False
        while True:
            report = self.look(progress)
            if not killed and report["loaded_rows"] >= self.rows * 0.35 and self.godwit.task_pid(self.task_arn):
                progress.end()
                self.kill_task(f"in the middle of the load, at {report['loaded_rows']:,} rows")
                killed = True
            tables = report["tables"]
            if tables and report["loaded_tables"] == len(tables) and report["phase"] == "change processing":
                break
            if time.monotonic() - begin > 600:
                raise DemoError("the load did not end within 10 minutes")
            time.sleep(0.02)
        progress.end()
        if not killed:
            say("(the load was over before the kill; the next one comes)")
        self.load_rows = report["loaded_rows"]
        self.load_s = time.monotonic() - begin
        restarts = report["restarts"]
        say(
            f"{self.load_rows:,} rows in {self.load_s:.1f} s"
            + (f", with {restarts} restart of the task process" if killed else "")
        )
        if killed and restarts == 0:
            raise DemoError("the task process was killed, but no restart is reported")

    def follow(self) -> None:
        assert self.traffic is not None
        progress = Progress()
        begin = time.monotonic()
        killed_at = 0.0
        while time.monotonic() - begin < SECONDS:
            report = self.look(progress)
            now = time.monotonic()
            # a restart's catching up is shown on screen, but is not the lag of a running task
            if report.get("lag_ms", -1) >= 0 and (killed_at == 0 or now - killed_at > 5):
                self.lags_ms.append(report["lag_ms"])
            if killed_at == 0 and now - begin > SECONDS / 2:
                progress.end()
                self.kill_task("again, while changes flow")
                killed_at = now
            time.sleep(0.1)
        progress.end()
        self.traffic.stop()
        say(f"the traffic ends: {self.traffic.transactions:,} transactions, {self.traffic.rows:,} changed rows")
        # Changes arrive in commit order: when this row is there, all before it are.
        marker = "the last change"
        self.sql(self.source, f"insert into shop.countries values ('~~', '{marker}', 0)")
        begin = time.monotonic()
        while not self.sql(self.target, f"select 1 from shop.countries where name = '{marker}'"):
            self.look(progress)
            if time.monotonic() - begin > 120:
                raise DemoError("the last change did not arrive within 2 minutes")
            time.sleep(0.02)
        progress.end()
        say(f"the last change arrived {time.monotonic() - begin:.2f} s after its commit")

    def prove(self) -> None:
        command("godwit task compare move")
        compared = self.godwit.cli("task", "compare", "move")
        say(compared.stdout.rstrip())
        if compared.returncode != 0:
            raise DemoError(f"godwit task compare ended with {compared.returncode}: {compared.stderr.strip()}")
        missing = [t for t in TABLES if f"shop.{t} " not in compared.stdout]
        if missing:
            raise DemoError(f"godwit task compare left out {', '.join(missing)}")
        say()
        if not (isinstance(self.source, PgServer) and isinstance(self.target, PgServer)):
            self.prove_counts()
            return
        say("and without godwit, by count and MD5 on each server:")
        different = []
        with ThreadPoolExecutor(2) as pool:
            for table in TABLES:
                columns = self.columns_of(table)
                tasks = [pool.submit(self.checksum, server, table, columns) for server in (self.source, self.target)]
                one, two = (t.result() for t in tasks)
                same = one == two
                say(
                    f"  {table:<16}{one[0]:>10,} rows  {one[1] & 0xFFFFFFFF:08x}   {two[0]:>10,} rows  "
                    f"{two[1] & 0xFFFFFFFF:08x}   {'equal' if same else 'DIFFERENT'}"
                )
                if not same:
                    different.append(table)
        if different:
            raise DemoError(f"the sides differ in {', '.join(different)}")

    def prove_counts(self) -> None:
        """Servers of two kinds spell values differently: their own words are compared by godwit alone."""
        say("and without godwit, by count on each server:")
        different = []
        for table in TABLES:
            one, two = (
                int(self.sql(server, f"select count(*) from shop.{table}")[0][0])
                for server in (self.source, self.target)
            )
            say(f"  {table:<16}{one:>10,} rows   {two:>10,} rows   {'equal' if one == two else 'DIFFERENT'}")
            if one != two:
                different.append(table)
        if different:
            raise DemoError(f"the sides differ in {', '.join(different)}")

    def summary(self, took_s: float) -> None:
        heading("Summary")
        lags = sorted(self.lags_ms)

        def percentile(p: float) -> str:
            return f"{lags[min(len(lags) - 1, int(len(lags) * p))]} ms" if lags else "-"

        assert self.traffic is not None
        say(
            f"full load     {self.load_rows:,} rows in {self.load_s:.1f} s = "
            f"{self.load_rows / self.load_s:,.0f} rows/s under traffic"
        )
        say(f"changes       {self.traffic.transactions:,} transactions, {self.traffic.rows:,} rows")
        say(f"crashes       {self.kills} times kill -9 of the task process")
        say(f"lag           median {percentile(0.5)}, 99th percentile {percentile(0.99)}, commit to visible")
        say(f"result        {len(TABLES)} tables, equal on both sides, nothing lost, nothing twice")
        say(f"time          {took_s:.0f} s")

    def close(self) -> None:
        problems = []
        for action in (
            lambda: self.traffic and self.traffic.stop(),
            self.godwit.close,
            self.source.close,
            self.target.close,
        ):
            try:
                action()
            except Exception as error:
                problems.append(str(error))
        if os.environ.get("DEMO_KEEP"):
            say(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        for problem in problems:
            print(f"while cleaning up: {problem}", file=sys.stderr)


def main() -> int:
    def interrupted(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    demo = Demo()
    code = 1
    try:
        demo.run()
        code = 0
    except KeyboardInterrupt:
        say()
        say("interrupted; stopping everything")
        code = 130
    except DemoError as error:
        say()
        print(f"demo: {error}", file=sys.stderr)
        if demo.godwit.log_text():
            print(demo.godwit.log_text(), file=sys.stderr)
    finally:
        # a second Ctrl-C must not leave servers behind
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        demo.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
