"""PostgreSQL's log decoded to nowhere."""

from __future__ import annotations

import os
import time

import psycopg
from figures import CHANGED_ROWS, RUNS, SMALL, built, run_tool
from pg import PgServer
from setting import Bench


def drop_slot(source: PgServer, slot: str) -> None:
    """A walsender whose client has gone may hold its slot for a moment."""
    for attempt in range(100):
        try:
            source.sql("select pg_drop_replication_slot(%s)", (slot,), "decode")
            return
        except psycopg.errors.ObjectInUse:
            if attempt == 99:
                raise
            time.sleep(0.1)


def measure_decode(bench: Bench) -> None:
    decode_null = built("decode_null")
    bench.fill("decode", CHANGED_ROWS)
    source = bench.source
    source.sql("create publication bench for all tables", database="decode")
    source.sql("select pg_create_logical_replication_slot('base', 'pgoutput')", database="decode")
    source.sql("update orders set quantity = quantity + 1", database="decode")
    bench.pgbench("decode", SMALL, sync="off")
    end = source.sql("select pg_current_wal_insert_lsn()::text", database="decode")[0][0]
    source.sql("update orders set quantity = 0 where id = 1", database="decode")
    source.sql("checkpoint")
    options = ["-o", "proto_version=2", "-o", "publication_names=bench", "-o", "binary=true", "-o", "streaming=on"]
    commands = {
        "godwit": [
            *(decode_null, "--host", source.host, "--port", str(source.port), "--user", source.user),
            *("--database", "decode", "--publications", "bench", "--binary", "true", "--streaming", "true"),
            *("--until", end, "--slot"),
        ],
        "native": [
            *(str(bench.tools / "pg_recvlogical"), "-d", source.conninfo("decode"), "--start", "-f", os.devnull),
            *("--no-loop", "--endpos", end, *options, "--slot"),
        ],
    }
    for run in range(RUNS):
        for tool, command in commands.items():
            slot = f"{tool}_{run}"
            source.sql("select pg_copy_logical_replication_slot('base', %s)", (slot,), "decode")
            with bench.timed(f"decode.{tool}"):
                run_tool([*command, slot])
            drop_slot(source, slot)
    drop_slot(source, "base")
    bench.compare("decoding to nowhere, pg_recvlogical /", "decode.native", "decode.godwit", 0.95, at_most=False)
