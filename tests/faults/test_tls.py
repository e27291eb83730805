"""PostgreSQL servers that speak TLS only: load and changes over each mode; who is not who it should be is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pg import PgServer
from server import give_to_server_user
from task_process import TaskProcess


def certificate(folder: Path, name: str) -> str:
    """A certificate of 127.0.0.1, signed by itself: it is the CA, too."""
    key, made = folder / f"{name}.key", folder / f"{name}.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}"]
    subprocess.run(
        [*command, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)],
        check=True,
        capture_output=True,
    )
    key.chmod(0o600)
    give_to_server_user(key)
    give_to_server_user(made)
    return made.read_text()


@pytest.fixture(scope="module")
def own() -> Iterator[tuple[PgServer, str]]:
    with PgServer() as server:
        pem = certificate(server.data, "server")
        (server.data / "pg_hba.conf").write_text("hostssl all,replication all 127.0.0.1/32 trust\n")
        server.sql("alter system set ssl = on")
        server.sql("select pg_reload_conf()")
        yield server, pem


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_load_and_changes(own: tuple[PgServer, str], mode: str) -> None:
    server, pem = own
    source, target = mode.replace("-", "_"), mode.replace("-", "_") + "_copy"
    for name in (source, target):
        server.create_database(name)
    # rows of one byte and of a megabyte, more than any buffer holds
    server.sql(
        "create table t (id int primary key, v text); insert into t select n, repeat('x', case n % 10000 when 0 then "
        "1000000 else n % 50 end) from generate_series(1, 60000) n",
        database=source,
    )
    with TaskProcess(server, server, source, target) as task:
        for side in ("source", "target"):
            task.spec[side] |= {"ssl_mode": mode} | ({} if mode == "require" else {"ca_certificate_pem": pem})
        task.start("fresh")
        task.wait_loaded()
        used = server.sql("select bool_and(ssl) from pg_stat_activity join pg_stat_ssl using (pid) where backend_type "
                          "in ('client backend', 'walsender')")  # fmt: skip
        assert used == [(True,)]
        server.sql("update t set v = v || 'y' where id % 3 = 0; delete from t where id % 7 = 0", database=source)
        task.wait_caught_up()
        hashes = [
            server.sql("select count(*), sum(hashtextextended(id || v, 0)) from t", database=name)
            for name in (source, target)
        ]
        assert hashes[0] == hashes[1]
        assert task.stop() == 0


def test_a_stop_ends_a_load(own: tuple[PgServer, str]) -> None:
    """The server rests in the middle of a slice; what it is asked then is to cancel."""
    server, pem = own
    for name in ("slow", "slow_copy"):
        server.create_database(name)
    server.sql(
        "create function rest() returns int language sql volatile as 'select 1 from pg_sleep(300)'; "
        "create view v as select 1 as id, rest() as n",
        database="slow",
    )
    with TaskProcess(server, server, "slow", "slow_copy", kind="full-load") as task:
        task.spec["source"] |= {"ssl_mode": "verify-full", "ca_certificate_pem": pem}
        task.spec["table_mappings"] = task.spec["table_mappings"].replace(
            '"table-name"', '"table-type": "all", "table-name"'
        )
        task.start("fresh")
        resting = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        task.wait_for(lambda: server.sql(resting) == [(1,)], 20, "the server rests")
        task.stop()
        task.wait_for(lambda: server.sql(resting) == [(0,)], 10, "the statement has been cancelled")


@pytest.mark.parametrize(
    ("mode", "host", "wrong_ca", "words"),
    [
        ("verify-ca", "127.0.0.1", True, "certificate verify failed"),
        ("verify-full", "127.0.0.1", True, "certificate verify failed"),
        ("verify-full", "localhost", False, 'does not match host name "localhost"'),
    ],
)
def test_others_are_refused(
    own: tuple[PgServer, str], tmp_path: Path, mode: str, host: str, wrong_ca: bool, words: str
) -> None:
    server, pem = own
    with TaskProcess(server, server, kind="full-load", source_address=(host, server.port)) as task:
        ca = certificate(tmp_path, "another") if wrong_ca else pem
        task.spec["source"] |= {"ssl_mode": mode, "ca_certificate_pem": ca}
        task.start("fresh")
        assert task.wait_end(30) not in (None, 0), task.log_text()
        assert words in task.report()["last_error"], task.report()["last_error"]


def test_a_server_without_tls_is_refused() -> None:
    with PgServer() as server, TaskProcess(server, server, kind="full-load") as task:
        task.spec["source"]["ssl_mode"] = "require"
        task.start("fresh")
        assert task.wait_end(30) not in (None, 0), task.log_text()
        assert "does not support SSL" in task.report()["last_error"], task.report()["last_error"]
