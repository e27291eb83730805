"""One task process without the API in front of it: suites that kill it own its restarts.

    with TaskProcess(source, target, "shop", "shop_copy") as task:
        task.start("fresh")
        task.wait_state("running")
        task.kill()
        task.start("resume", failpoint="apply.before_commit=kill@3")
        task.stop()

The program is $GODWIT_CRASH_PROGRAM, else build/crash/godwit: it carries the failpoints.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
from pg import PgServer
from server import ROOT, ServerError, start_time

MARK = "GODWIT_STARTED_BY"


def crash_program() -> Path:
    return Path(os.environ.get("GODWIT_CRASH_PROGRAM", ROOT / "build" / "crash" / "godwit"))


def lsn(text: str) -> int:
    high, _, low = text.partition("/")
    return int(high, 16) << 32 | int(low, 16) if low else 0


def place(file: str, offset: str) -> int:
    """A place in a binlog, as a number that grows."""
    return int(file.rpartition(".")[2]) << 40 | int(offset)


def select(schema: str, *tables: str) -> str:
    rules = [
        {
            "rule-type": "selection",
            "rule-id": str(number),
            "rule-name": str(number),
            "object-locator": {"schema-name": schema, "table-name": table},
            "rule-action": "include",
        }
        for number, table in enumerate(tables or ("%",), 1)
    ]
    return json.dumps({"rules": rules})


class TaskProcess:
    def __init__(
        self,
        source: PgServer,
        target: PgServer,
        source_database: str = "postgres",
        target_database: str = "postgres",
        *,
        mappings: str | None = None,
        kind: str = "full-load-and-cdc",
        settings: dict[str, Any] | None = None,
        source_attributes: dict[str, Any] | None = None,
        target_attributes: dict[str, Any] | None = None,
        source_address: tuple[str, int] | None = None,
        target_address: tuple[str, int] | None = None,
        memory_mb: int = 256,
        program: Path | None = None,
    ) -> None:
        self.source, self.target = source, target
        self.source_database, self.target_database = source_database, target_database
        self.folder = Path(tempfile.mkdtemp(prefix="gw-task-"))
        self.id = "t" + uuid.uuid4().hex[:12]
        self.mark = uuid.uuid4().hex
        self.program = program or crash_program()
        self.process: subprocess.Popen[bytes] | None = None
        attributes = {k: str(v) for k, v in (source_attributes or {}).items()}
        self.spec: dict[str, Any] = {
            "id": self.id,
            "arn": f"arn:aws:dms:us-east-1:000000000000:task:{self.id.upper()}",
            "identifier": self.id,
            "type": kind,
            "source": self._endpoint(source, source_database, source_address, attributes),
            "target": self._endpoint(target, target_database, target_address, target_attributes or {}),
            "table_mappings": mappings or select("public"),
            "settings": json.dumps(settings or {}),
            "user_settings": json.dumps(settings or {}),
            "memory_bytes_max": memory_mb << 20,
        }
        atexit.register(self.close)

    @staticmethod
    def _endpoint(
        server: PgServer, database: str, address: tuple[str, int] | None, attributes: dict[str, str]
    ) -> dict[str, Any]:
        host, port = address or (server.host, server.port)
        return {
            "engine_name": getattr(server, "flavour", "postgres"),
            "host": host,
            "port": port,
            "database": database,
            "user": server.user,
            "password": "" if hasattr(server, "flavour") else server.password or "unused",
            "attributes": {k: str(v) for k, v in attributes.items()},
        }

    # --- life

    def start(
        self, how: str = "resume", *, failpoint: str = "", mutant: str = "", environment: dict[str, str] | None = None
    ) -> None:
        if not self.program.exists():
            raise RuntimeError(f"{self.program} is not built: run make crash-build")
        assert self.process is None or self.process.poll() is not None, "the task runs already"
        env = {k: v for k, v in os.environ.items() if k not in ("GODWIT_FAILPOINT",)}
        env |= {MARK: self.mark, **(environment or {})}
        if failpoint:
            env["GODWIT_FAILPOINT"] = failpoint
        if mutant:
            env["GODWIT_MUTANT"] = mutant
        (self.folder / "status.json").unlink(missing_ok=True) if how == "fresh" else None
        self.started_us = time.time_ns() // 1000
        with open(self.folder / "process.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), "task-process", "--folder", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
            )
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(self.spec | {"start": how}).encode())
            self.process.stdin.close()

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9, and wait until it is gone. Its keeper lives on."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def wait_end(self, timeout_s: float = 30) -> int | None:
        """The exit code, negative for a signal; None: it runs still."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def control(self, op: str, timeout_s: float = 30, **more: Any) -> dict[str, Any]:
        here = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(timeout_s)
                self._connect(s, f"/proc/self/fd/{here}/control.sock")
                s.sendall(json.dumps({"op": op, **more}).encode() + b"\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    block = s.recv(65536)
                    if not block:
                        break
                    answer += block
        finally:
            os.close(here)
        return json.loads(answer or b"{}")

    def _connect(self, s: socket.socket, address: str) -> None:
        """A process that has just begun may not listen yet, beside the socket of the one before it."""
        deadline = time.monotonic() + 5
        while True:
            try:
                return s.connect(address)
            except (ConnectionRefusedError, FileNotFoundError):
                if not self.running() or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self, timeout_s: float = 30) -> int | None:
        """As StopReplicationTask does; the exit code."""
        if self.running():
            with contextlib.suppress(OSError):
                self.control("stop")
        return self.wait_end(timeout_s)

    def processes(self) -> list[int]:
        wanted = f"{MARK}={self.mark}".encode()
        out = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0") and start_time(int(entry.name)) is not None:
                    out.append(int(entry.name))
            except OSError:
                continue
        return out

    def keepers(self) -> list[int]:
        own = self.process.pid if self.process is not None else 0
        return [p for p in self.processes() if p != own]

    def kill_keepers(self) -> int:
        killed = 0
        for pid in self.keepers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def close(self) -> None:
        atexit.unregister(self.close)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        deadline = time.monotonic() + 10
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> TaskProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what it says

    def report(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def table(self, name: str) -> dict[str, Any]:
        for t in self.report().get("tables", []):
            if t["name"]["table"] == name:
                return t
        return {}

    def log_text(self, lines: int = 60) -> str:
        out = ""
        for name in ("process.log", "task.log", "keeper.log"):
            with contextlib.suppress(FileNotFoundError):
                text = (self.folder / name).read_text(errors="replace").splitlines()[-lines:]
                out += f"--- {name}\n" + "\n".join(text) + "\n"
        return out

    def wait_for(self, what: Any, timeout_s: float = 30, why: str = "", alive: bool = True) -> Any:
        """Until `what()` is true; fails when the process ends before that (unless alive=False).

        A server's error is "not yet": a table that is loaded anew is not there for a moment.
        """
        deadline = time.monotonic() + timeout_s
        error = ""

        def reached() -> Any:
            nonlocal error
            error = ""
            try:
                return what()
            except (ServerError, psycopg.Error) as e:
                error = f"{e}; "
                return None

        while True:
            if got := reached():
                return got
            ended = alive and not self.running()
            if ended and (got := reached()):
                return got
            if ended or time.monotonic() > deadline:
                state = f"ended with {self.process.poll() if self.process else None}" if ended else "timed out"
                raise AssertionError(
                    f"{why or 'condition'}: {state}; {error}"
                    + json.dumps({k: v for k, v in self.report().items() if k not in ("events",)})[:3000]
                    + "\n"
                    + self.log_text()
                )
            time.sleep(0.02)

    def wait_state(self, state: str, timeout_s: float = 30) -> None:
        def reached() -> bool:
            r = self.report()
            return r.get("state") == state and r.get("start_us", 0) >= self.started_us

        self.wait_for(reached, timeout_s, f"state {state}", alive=state not in ("stopped", "failed"))

    def wait_loaded(self, timeout_s: float = 60) -> None:
        self.wait_for(
            lambda: (
                (r := self.report()).get("state") == "running"
                and r.get("tables")
                and all(t["state"] in ("Table completed", "Table error") for t in r["tables"])
            ),
            timeout_s,
            "full load",
        )

    def wait_joined(self, timeout_s: float = 60) -> None:
        """Until every table has caught up with the stream: only then are all of them compared."""
        self.wait_for(lambda: set(self.phases().values()) == {"joined"}, timeout_s, "every table is in step")

    def on_target(self, query: str) -> list[Any]:
        """Rows of the target's database."""
        return self.target.sql(query, database=self.target_database)

    def phases(self) -> dict[str, str]:
        """The ledger's word on each table."""
        known = self.on_target(
            "select 1 from information_schema.tables where table_schema = 'godwit' and table_name = 'gw_table'"
        )
        if not known:
            return {}
        return dict(self.on_target(f"select source_table, phase from godwit.gw_table where task = '{self.id}'"))

    def phases_known(self) -> bool:
        """Whether a run of this task has come so far that a later one can go on from it."""
        try:
            return bool(self.on_target(f"select 1 from godwit.gw_task where task = '{self.id}'"))
        except Exception:
            return False

    def move_log(self) -> None:
        """A transaction of the source that concerns no table."""
        self._end_of_log()

    def _end_of_log(self) -> int:
        """The source's log ends here now; an idle one is moved on."""
        if hasattr(self.source, "flavour"):
            self.source.sql("drop database if exists gw_test_end")
            file, offset = self.source.sql("show master status")[0][:2]
            return place(file, offset)
        self.source.sql("select pg_logical_emit_message(true, 'godwit-test', 'end')", database=self.source_database)
        return lsn(self.source.sql("select pg_current_wal_lsn()::text", database=self.source_database)[0][0])

    def applied(self) -> int:
        """What the report says to be applied, in the measure of the source's log; 0: nothing yet."""
        token = self.report().get("applied_position", "")
        if hasattr(self.source, "flavour"):  # server;file:offset;...
            return place(*token.split(";")[1].split(":")[:2]) if token else 0
        return lsn(token.split(":")[-1])

    def wait_caught_up(self, timeout_s: float = 60) -> None:
        """Everything that is committed on the source now is on the target, for every table."""
        end = self._end_of_log()

        def there() -> bool:
            return (
                self.report().get("state") == "running"
                and self.applied() >= end
                and all(p in ("joined", "suspended") for p in self.phases().values())
            )

        try:
            self.wait_for(there, timeout_s, f"caught up to {end:X}")
        except AssertionError as e:
            raise AssertionError(f"{self.phases()} {e}") from None
