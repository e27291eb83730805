"""Data for rental.sql from a seed, and the business that goes on in it."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import psycopg
import pymysql
from my import MyServer
from pg import PgServer

SCHEMA = Path(__file__).with_name("rental.sql")
TABLES = (
    "actor address category city country customer film film_actor film_category film_text inventory language payment "
    "rental staff store"
).split()
FEATURES = ("Trailers", "Commentaries", "Deleted Scenes", "Behind the Scenes")
WORDS = 'Academy Dinosaur Ace Goldfinger Ädelweiß Café Ångström Ночь 東京 O\'Hara "Quoted" Back\\slash Zoë 😀'.split()


def connect(server: MyServer | PgServer, schema: str) -> Any:
    if isinstance(server, PgServer):
        c = psycopg.connect(server.conninfo("postgres"))
        c.execute(f"set search_path = {schema}")
        c.commit()
        return c
    return pymysql.connect(
        host=server.host, port=server.port, user=server.user, database=schema, charset="utf8mb4", autocommit=False
    )


def name(r: random.Random, n: int = 2) -> str:
    return " ".join(r.choice(WORDS) for _ in range(n))


def create(server: MyServer, schema: str, seed: int = 1) -> None:
    """Sixteen tables, some 6,000 rows."""
    server.create_database(schema)
    server.sql(SCHEMA.read_text(), schema)
    r = random.Random(seed)

    def many(cursor: Any, table: str, columns: str, rows: list[tuple[Any, ...]], places: str = "") -> None:
        marks = places or ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"insert into {table} ({columns}) values ({marks})", rows)

    with connect(server, schema) as c, c.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00', timestamp = 1600000000")
        many(cursor, "country", "country", [(name(r),) for _ in range(20)])
        many(cursor, "city", "city, country_id", [(name(r), r.randint(1, 20)) for _ in range(60)])
        many(
            cursor,
            "address",
            "address, address2, district, city_id, postal_code, phone, location",
            [
                (
                    name(r, 3),
                    r.choice((None, "", "back door")),
                    name(r, 1),
                    r.randint(1, 60),
                    r.choice((None, "0123", "SW1A 1AA")),
                    str(r.randrange(10**9)),
                    f"POINT({r.uniform(-180, 180):.6f} {r.uniform(-80, 80):.6f})",
                )
                for _ in range(140)
            ],
            "%s, %s, %s, %s, %s, %s, ST_GeomFromText(%s)",
        )
        many(cursor, "language", "name", [(n,) for n in ("English", "Italian", "日本語", "Français", "Deutsch")])
        many(cursor, "actor", "first_name, last_name", [(name(r, 1), name(r, 1)) for _ in range(80)])
        many(cursor, "category", "name", [(f"{n} {WORDS[n % len(WORDS)]}",) for n in range(16)])
        many(
            cursor,
            "film",
            "title, description, release_year, language_id, original_language_id, rental_duration, rental_rate, length,"
            " replacement_cost, rating, special_features, shelf",
            [
                (
                    f"{name(r)} {n}",
                    r.choice((None, name(r, 30))),
                    r.choice((None, 1901, 2006, 2155)),
                    r.randint(1, 5),
                    r.choice((None, 1, 2)),
                    r.randint(3, 7),
                    r.choice(("0.99", "2.99", "4.99")),
                    r.choice((None, 90, 185)),
                    "20.99",
                    r.choice(("G", "PG", "PG-13", "R", "NC-17", None)),
                    r.choice((None, ",".join(r.sample(FEATURES, r.randint(0, 4))))),
                    r.choice((None, f"s{n % 9}")),
                )
                for n in range(200)
            ],
        )
        pairs = sorted({(r.randint(1, 80), r.randint(1, 200)) for _ in range(700)})
        many(cursor, "film_actor", "actor_id, film_id", pairs)
        many(cursor, "film_category", "film_id, category_id", [(f, r.randint(1, 16)) for f in range(1, 201)])
        cursor.execute("set foreign_key_checks = 0")
        many(cursor, "store", "manager_staff_id, address_id", [(1, 1), (2, 2)])
        cursor.execute("set foreign_key_checks = 1")
        many(
            cursor,
            "staff",
            "first_name, last_name, address_id, picture, email, store_id, username, password",
            [
                ("Mike", "Hillyer", 3, bytes(range(256)) * 40, "m@x", 1, "Mike", "8cb2237d"),
                ("Jon", "Stephens", 4, None, None, 2, "Jon", None),
            ],
        )
        many(
            cursor,
            "customer",
            "store_id, first_name, last_name, email, address_id, active, create_date",
            [
                (
                    r.randint(1, 2),
                    name(r, 1),
                    name(r, 1),
                    r.choice((None, f"c{n}@x")),
                    r.randint(5, 140),
                    n % 9 != 0,
                    "2006-02-14 22:04:36",
                )
                for n in range(200)
            ],
        )
        many(cursor, "inventory", "film_id, store_id", [(r.randint(1, 190), r.randint(1, 2)) for _ in range(600)])
        many(
            cursor,
            "rental",
            "rental_date, inventory_id, customer_id, return_date, staff_id",
            [
                (
                    f"2005-0{n % 9 + 1}-{n % 28 + 1:02} {n % 24:02}:{n % 60:02}:{n // 60 % 60:02}",
                    n % 600 + 1,
                    r.randint(1, 200),
                    r.choice((None, "2005-12-31 23:59:59")),
                    r.randint(1, 2),
                )
                for n in range(1500)
            ],
        )
        many(
            cursor,
            "payment",
            "customer_id, staff_id, rental_id, amount, payment_date",
            [
                (
                    r.randint(1, 200),
                    r.randint(1, 2),
                    r.choice((None, n % 1500 + 1)),
                    f"{r.randint(0, 1199) / 100:.2f}",
                    "2005-05-25 11:30:37",
                )
                for n in range(1500)
            ],
        )
        c.commit()


class Business:
    """Customers come and go until stopped. `keys`: numbers of rows change too, which foreign keys pass on."""

    def __init__(self, server: MyServer | PgServer, schema: str, seed: int = 1, keys: bool = False) -> None:
        self.server, self.schema, self.keys = server, schema, keys
        self._end = threading.Event()
        self.errors: list[str] = []
        self.done = 0
        self._threads = [threading.Thread(target=self._work, args=(seed * 10 + n, n)) for n in range(2)]

    def __enter__(self) -> Business:
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._end.set()
        for t in self._threads:
            t.join()
        assert not self.errors, self.errors
        assert self.done > 0

    def _work(self, seed: int, number: int) -> None:
        r = random.Random(seed)
        fresh = 10_000 * (number + 1)
        try:
            c = connect(self.server, self.schema)
            cursor = c.cursor()
            while not self._end.is_set():
                fresh += 1
                try:
                    for _ in range(r.choice((1, 1, 3))):
                        self._deal(cursor, r, fresh)
                    c.rollback() if r.random() < 0.1 else c.commit()
                    self.done += 1
                except (pymysql.err.MySQLError, psycopg.Error) as e:
                    c.rollback()
                    code = e.args[0] if isinstance(e, pymysql.err.MySQLError) else e.sqlstate
                    # keys that are taken or in use, deadlocks; 1467 is how MariaDB names one over AUTO_INCREMENT
                    if code not in (1062, 1205, 1213, 1451, 1452, 1467, 1761, "23505", "40P01"):
                        raise
        except Exception as e:
            self.errors.append(repr(e))

    def _deal(self, cursor: Any, r: random.Random, fresh: int) -> None:
        mine = isinstance(self.server, MyServer)
        some, film, customer = r.randint(1, 1500), r.randint(1, 200), r.randint(1, 200)
        match r.randrange(13 if self.keys else 10):
            case 0 | 1:
                cursor.execute(
                    "insert into rental (rental_id, rental_date, inventory_id, customer_id, staff_id, last_update)"
                    " values (%s, '2024-02-29 12:00:00', %s, %s, 1, '2024-02-29 12:00:01')",
                    (fresh + 20_000, r.randint(1, 600), customer),
                )
            case 2:
                if mine:
                    cursor.execute("call give_back(%s, %s)", (some, f"{r.randint(1, 999) / 100:.2f}"))
                else:
                    cursor.execute("update rental set return_date = now() where rental_id = %s", (some,))
            case 3:
                cursor.execute("update customer set active = 1 - active where customer_id = %s", (customer,))
            case 4:
                cursor.execute("update film set title = %s where film_id = %s", (f"{name(r)} {fresh}", film))
            case 5:
                cursor.execute("delete from payment where rental_id = %s", (some,))
                cursor.execute("delete from rental where rental_id = %s", (some,))
            case 6:
                cursor.execute(
                    "insert into film (film_id, title, language_id, rental_duration, rental_rate, replacement_cost,"
                    " last_update) values (%s, %s, 1, 3, 0.99, 9.99, '2024-02-29 12:00:02')",
                    (fresh, name(r)),
                )
                cursor.execute(
                    "insert into film_actor (actor_id, film_id, last_update) values (%s, %s, '2024-02-29 12:00:03')",
                    (r.randint(1, 80), fresh),
                )
            case 7:
                cursor.execute("delete from film_actor where film_id = %s", (film,))
                cursor.execute("update staff set picture = %s where staff_id = 1", (bytes([fresh % 256]) * 300,))
            case 8:
                # the timestamp stays when it is told to
                cursor.execute(
                    "update inventory set store_id = 3 - store_id, last_update = last_update where inventory_id = %s",
                    (r.randint(1, 600),),
                )
            case 9:
                cursor.execute(
                    "update address set phone = %s, address2 = null where address_id = %s",
                    (str(fresh), r.randint(1, 140)),
                )
            case 10:
                cursor.execute(
                    "update city set city_id = %s where city_id = %s", (fresh % 300 + 100, r.randint(1, 400))
                )
            case 11:
                cursor.execute("update film set film_id = %s where film_id = %s", (fresh + 30_000, film))
            case 12:
                cursor.execute("delete from rental where rental_id = %s", (some,))  # its payments stay, without it
                cursor.execute("update staff set staff_id = 5 - staff_id where staff_id in (2, 3)")
