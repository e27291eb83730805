"""A small database under live traffic, and the proof that a copy is equal: for the suites that kill things.

Tables: keyed, composite key, TOAST values that updates leave alone, keyless with identity full and duplicate rows,
insert-only, partitioned. Writers commit, roll back, use savepoints, change keys and now and then write a large
transaction, which PostgreSQL streams while it is open.
"""

from __future__ import annotations

import random
import threading
from typing import Any

from pg import PgServer

TABLES = ("keyed", "pair", "toasted", "bag", "journal", "parts")

SCHEMA = """
create table keyed (id bigint primary key, v int not null, note text, at timestamptz not null default now());
create table pair (a int, b text, v numeric(12,2), primary key (a, b));
create table toasted (id bigint primary key, n int not null, big text, small text);
alter table toasted alter column big set storage external;
create table bag (k int, v text);
alter table bag replica identity full;
create table journal (who int not null, n bigint not null, what text);
create table parts (id bigint, v int, pad text, primary key (id)) partition by range (id);
create table parts_a partition of parts for values from (minvalue) to (1000);
create table parts_b partition of parts for values from (1000) to (100000);
create table parts_c partition of parts for values from (100000) to (maxvalue);
"""

SEED = """
insert into keyed select g, mod(g, 97), repeat('k', 150), '2020-01-01' from generate_series(1, %(rows)s) g;
insert into pair select g, 'b' || mod(g, 7), g / 3.0 from generate_series(1, %(rows)s / 2) g;
insert into toasted select g, 0, repeat(md5(g::text), 120), 's' from generate_series(1, 200) g;
insert into bag select mod(g, 50), 'dup ' || mod(g, 10) from generate_series(1, %(rows)s / 4) g;
insert into journal select 0, g, repeat('j', 60) from generate_series(1, %(rows)s / 2) g;
insert into parts select g * 40, mod(g, 13), repeat('p', 90) from generate_series(1, %(rows)s / 2) g;
"""


def create(server: PgServer, database: str, rows: int = 12000) -> None:
    server.create_database(database)
    with server.connect(database) as c:
        for statement in SCHEMA.split(";"):
            if statement.strip():
                c.execute(statement)
        for statement in SEED.split(";"):
            if statement.strip():
                c.execute(statement % {"rows": rows})
        c.execute("vacuum analyze")


def digest(server: PgServer, database: str, tables: tuple[str, ...] = TABLES) -> dict[str, tuple[int, str]]:
    """Rows and a sum over row hashes, which counts duplicates: a multiset's fingerprint."""
    out = {}
    with server.connect(database) as c:
        for t in tables:
            row = c.execute(
                f"select count(*), coalesce(sum(hashtextextended(t::text, 7)), 0)::text from {t} t"
            ).fetchone()
            assert row is not None
            out[t] = (row[0], row[1])
    return out


def difference(
    source: PgServer, source_db: str, target: PgServer, target_db: str, tables: tuple[str, ...] = TABLES
) -> dict[str, dict[str, Any]]:
    """Empty when equal; else a few of the rows that differ, per table."""
    a, b = digest(source, source_db, tables), digest(target, target_db, tables)
    out: dict[str, dict[str, Any]] = {}
    for t in tables:
        if a[t] == b[t]:
            continue
        short = f"select left(t::text, 90) r, hashtextextended(t::text, 7) h, count(*) n from {t} t group by 1, 2"
        left, right = set(source.sql(short, database=source_db)), set(target.sql(short, database=target_db))
        out[t] = {
            "rows": (a[t][0], b[t][0]),
            "only on the source": len(left - right),
            "only on the target": len(right - left),
            "missing": sorted(left - right)[:6],
            "extra": sorted(right - left)[:6],
        }
    return out


def exceptions(target: PgServer, target_db: str) -> list[Any]:
    """Conflicts that apply met: none may occur in an exact pipeline."""
    if target.sql("select to_regclass('public.awsdms_apply_exceptions')", database=target_db)[0][0] is None:
        return []
    return target.sql(
        'select "TABLE_NAME", left("STATEMENT", 200), left("ERROR", 200) from awsdms_apply_exceptions limit 5',
        database=target_db,
    )


class Traffic:
    """Writers until stop(). Slow on purpose: the point is overlap with everything else, not load."""

    def __init__(
        self,
        server: PgServer,
        database: str,
        writers: int = 3,
        *,
        seed: int = 1,
        pause_s: float = 0.004,
        big_every: int = 25,
        prepare: bool = False,
    ) -> None:
        self.server, self.database = server, database
        self.pause_s, self.big_every = pause_s, big_every
        self.commits = self.rollbacks = self.large = self.retries = 0
        self.errors: list[str] = []
        self._stop = threading.Event()
        self._seed = seed
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(writers)]

    def start(self) -> Traffic:
        for t in self._threads:
            t.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        for t in self._threads:
            t.join(30)
            assert not t.is_alive(), "a writer does not end"
        assert not self.errors, self.errors[:3]

    def __enter__(self) -> Traffic:
        return self.start()

    def __exit__(self, kind: Any, *_: object) -> None:
        self._stop.set()
        for t in self._threads:
            t.join(30)

    def _run(self, me: int) -> None:
        import psycopg

        r = random.Random(self._seed * 1000 + me)
        connection = None
        number = self._seed * 1_000_000 + me * 300_000  # below 2**31
        turn = 0
        while not self._stop.is_set():
            try:
                if connection is None or connection.closed:
                    connection = self.server.connect(self.database, autocommit=False)
                turn += 1
                with connection.cursor() as c:
                    if turn % self.big_every == 0:
                        number = self._large(c, r, me, number)
                        self.large += 1
                    else:
                        for _ in range(r.randint(1, 5)):
                            number = self._step(c, r, me, number)
                    if r.random() < 0.15:
                        connection.rollback()
                        self.rollbacks += 1
                    else:
                        connection.commit()
                        self.commits += 1
            except (psycopg.OperationalError, psycopg.errors.UniqueViolation):
                # deadlocks, servers that restart, keys that somebody else took: begin again
                self.retries += 1
                try:
                    if connection is not None:
                        connection.rollback()
                except psycopg.Error:
                    connection = None
                self._stop.wait(0.05)
            except psycopg.Error as e:
                self.errors.append(f"{type(e).__name__}: {e}")
                return
            self._stop.wait(self.pause_s)
        if connection is not None:
            connection.close()

    def _step(self, c: Any, r: random.Random, me: int, number: int) -> int:
        number += 1
        kind = r.randrange(16)
        old = r.randint(1, 6000)
        if kind == 0:
            c.execute("insert into keyed (id, v, note) values (%s, %s, %s)", (number, r.randint(0, 99), "new"))
        elif kind == 1:
            c.execute("update keyed set v = v + 1 where id = %s", (old,))
        elif kind == 2:
            c.execute("delete from keyed where id = %s", (old,))
        elif kind == 3:
            c.execute("update keyed set id = %s, v = v + 1 where id = %s", (number, old))
        elif kind == 4:
            c.execute("insert into pair values (%s, %s, %s)", (number, f"w{me}", r.random()))
            c.execute("update pair set v = v + 0.5 where a = %s", (old,))
        elif kind == 5:
            c.execute("update pair set b = b || 'x' where a = %s", (old,))
            c.execute("delete from pair where a = %s", (old + 1,))
        elif kind in (6, 7):
            c.execute("update toasted set n = n + 1 where id = %s", (r.randint(1, 200),))
        elif kind == 8:
            c.execute(
                "update toasted set big = repeat(md5(%s), 100), small = null where id = %s",
                (str(number), r.randint(1, 200)),
            )
        elif kind == 9:
            c.execute("insert into toasted values (%s, 1, repeat(md5(%s), 90), '')", (number, str(number)))
            c.execute("update toasted set id = -id where id = %s", (r.randint(1, 200),))
        elif kind == 10:
            c.execute("insert into bag values (%s, %s)", (old % 50, f"dup {old % 10}"))
            c.execute("insert into bag values (%s, %s)", (old % 50, f"dup {old % 10}"))
        elif kind == 11:
            c.execute(
                "delete from bag where ctid in (select ctid from bag where k = %s limit 1 for update skip locked)",
                (old % 50,),
            )
            c.execute(
                "update bag set v = v || '.' where ctid in "
                "(select ctid from bag where k = %s limit 2 for update skip locked)",
                (old % 50,),
            )
        elif kind == 12:
            c.execute("insert into journal values (%s, %s, %s)", (me, number, "live"))
        elif kind == 13:
            c.execute("insert into parts values (%s, 1, 'new')", (number,))
            c.execute("update parts set v = v + 1 where id = %s", (old * 40,))
        elif kind == 14:  # from one partition into another
            c.execute("update parts set id = %s where id = %s", (-number, old * 40))
            c.execute("delete from parts where id = %s", ((old + 1) * 40,))
        else:
            c.execute("savepoint a")
            c.execute("update keyed set v = -1 where id = %s", (old,))
            c.execute("insert into journal values (%s, %s, 'gone')", (me, number))
            c.execute("rollback to savepoint a")
            c.execute("insert into journal values (%s, %s, 'kept')", (me, number))
        return number

    def _large(self, c: Any, r: random.Random, me: int, number: int) -> int:
        """Large enough to be streamed while it is open, with a part that is rolled back."""
        c.execute(
            "insert into keyed (id, v, note) select g, 0, repeat('L', 80) from generate_series(%s::bigint, %s) g",
            (number + 1, number + 600),
        )
        c.execute("savepoint part")
        c.execute("insert into journal select %s, g, repeat('undone', 20) from generate_series(1, 300) g", (me,))
        c.execute("rollback to savepoint part")
        c.execute("update keyed set v = v + 1 where id between %s and %s", (number + 1, number + 300))
        c.execute("delete from keyed where id between %s and %s", (number + 400, number + 600))
        c.execute("insert into bag select %s, 'large' from generate_series(1, 20)", (me,))
        return number + 700
