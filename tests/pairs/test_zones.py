"""Goal: an instant stays the same instant when both servers stand in zones with summer time, each in another.

The hour that comes twice in autumn and the one that is left out in spring are in the rows, as part of a key too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

NEW_YORK = "EST5EDT,M3.2.0,M11.1.0"  # no server needs a database of zones for these
SYDNEY = "AEST-10AEDT,M10.1.0,M4.1.0/3"
INSTANTS = (
    "2024-03-10 06:59:59.999999",  # 01:59:59 in New York, then comes 03:00
    "2024-03-10 07:00:00",
    "2024-11-03 05:30:00",  # 01:30 in summer time
    "2024-11-03 06:30:00",  # 01:30 again
    "2024-10-05 15:59:59",  # the same of Sydney
    "2024-10-05 16:00:00",
    "2024-04-06 15:30:00",
    "2024-04-06 16:30:00",
    "1970-01-01 00:00:01",
    "2038-01-19 03:14:07",
)


class Zoned(MyServer):
    def __init__(self, flavour: str, zone: str) -> None:
        super().__init__(flavour=flavour, settings={"default-time-zone": "SYSTEM"})
        self.zone = zone

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "TZ": self.zone}


@pytest.fixture(scope="module")
def mysql_of_zone() -> Iterator[MyServer]:
    with Zoned("mysql", NEW_YORK) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb_of_zone() -> Iterator[MyServer]:
    with Zoned("mariadb", SYDNEY) as server:
        yield server


def instants(server: MyServer | PgServer, schema: str, table: str) -> list[list[str]]:
    """In UTC, without trailing zeros of fractions."""
    if isinstance(server, PgServer):
        rows = server.sql(
            f"select id::text, (ts at time zone 'UTC' at time zone 'UTC')::text, dt::text from \"{schema}\".\"{table}\""
            " order by 1, 2"
        )
    else:
        rows = server.sql(
            f"set time_zone = '+00:00'; select concat(id), concat(ts), concat(dt) from `{table}` order by 1, 2", schema
        )
    return [[c.rstrip("0").rstrip(".") if "." in c else c for c in map(str, row)] for row in rows]


@pytest.mark.parametrize(
    ("from_", "to"), [("mysql", "mariadb"), ("mariadb", "mysql"), ("mysql", "postgres"), ("mariadb", "postgres")]
)
def test_an_instant_stays(from_: str, to: str, request: pytest.FixtureRequest) -> None:
    source: MyServer = request.getfixturevalue(from_ + "_of_zone")
    target = request.getfixturevalue("postgres" if to == "postgres" else to + "_of_zone")
    s = "z" + uuid.uuid4().hex[:8]
    source.create_database(s)
    columns = "id int, ts timestamp(6) not null default '2000-01-01 00:00:00', dt datetime(6)"
    values = ", ".join(f"({n}, '{i}', '{i}')" for n, i in enumerate(INSTANTS))
    assert source.sql("select @@session.time_zone, timediff(now(), utc_timestamp()) <> 0") == [["SYSTEM", "1"]]
    for table, key in (("loaded", ", primary key (ts, id)"), ("changed", ", primary key (ts, id)"), ("bag", "")):
        source.sql(f"create table {table} ({columns}{key})", s)
    source.sql(f"set time_zone = '+00:00'; insert into loaded values {values}; insert into bag values {values}", s)
    source.sql("insert into loaded values (100, '2024-07-01 12:00:00', '2024-07-01 12:00:00')", s)  # of the zone
    with TaskProcess(source, target, "", "postgres" if to == "postgres" else "", mappings=select(s)) as task:
        task.start("fresh")
        task.wait_loaded()
        source.sql(f"set time_zone = '+00:00'; insert into changed values {values}", s)
        source.sql("insert into changed values (100, '2024-07-01 12:00:00', '2024-07-01 12:00:00')", s)
        # by the key and by the whole row: each of the twins has its own
        for n in range(len(INSTANTS)):
            source.sql(
                f"set time_zone = '+00:00'; update changed set dt = dt + interval 1 hour where ts = '{INSTANTS[n]}';"
                f"update bag set ts = ts + interval 1 microsecond where ts = '{INSTANTS[n]}' and id < 8",
                s,
            )
        source.sql(
            "set time_zone = '+00:00'; alter table loaded add column later timestamp(6) null;"
            "update loaded set later = ts",
            s,
        )
        task.wait_caught_up()
        for table in ("loaded", "changed", "bag"):
            expected = instants(source, s, table)
            assert len(expected) == len(INSTANTS) + (table != "bag")
            task.wait_for(lambda t=table, e=expected: instants(target, s, t) == e, 20, table)
        added = "select count(*) from loaded where later is null or unix_timestamp(later) <> unix_timestamp(ts)"
        if isinstance(target, MyServer):
            assert target.sql(added, s) == [["0"]]
        assert task.stop() == 0
