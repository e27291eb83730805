"""The shop of the demo: its rows, and the customers who keep changing them."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
from pg import PgServer
from traffic import Action, Sizes, Traffic, run_all

ROWS = 4_000_000  # of the demo when nothing else is asked for
TABLES = [
    "countries",
    "customers",
    "addresses",
    "products",
    "product_images",
    "stock",
    "orders",
    "order_lines",
    "payments",
    "carts",
    "page_views",
    "audit_log",
    "reviews",
]

# A product's id follows from its number, so that the other tables need no look-up.
PRODUCT = "md5('product' || {})::uuid"


def sizes(total: int) -> Sizes:
    return Sizes(total, orders_max=total)


def fill(server: PgServer, database: str, total: int) -> int:
    """Makes the tables and their rows; returns how many rows there are."""
    n = sizes(total)
    server.sql((Path(__file__).with_name("shop.sql")).read_text(), database=database)
    text = "(select string_agg(md5(({0})::text || '-' || k), ' ') from generate_series(1, {1}) k)"
    statements = [
        """insert into shop.countries
           select chr(65 + i / 26) || chr(65 + i % 26), 'country ' || i, (i % 27)::numeric / 3
           from generate_series(0, 249) i""",
        f"""insert into shop.customers (email, name, born, vip, preferences, tags)
            select 'c' || i || '@example.org', 'Customer Nr. ' || i || ' é', date '1950-01-01' + i % 20000, i % 50 = 0,
                   jsonb_build_object('news', i % 2 = 0, 'size', i % 10, 'nick', 'n' || i),
                   array['t' || i % 7, null, 'a "b", {{c}}']
            from generate_series(1, {n.customers}) i""",
        f"""insert into shop.addresses
            select i, k, 'Street ' || i, case when i % 9 <> 0 then E'City\\t' || i end, 'DE'
            from generate_series(1, {n.customers}) i, generate_series(1, 2) k""",
        f"""insert into shop.products
            select {PRODUCT.format("i")}, 'SKU' || i, 'Product ' || i, i * 0.07, i / 3.0::real,
                   array[i, i / 7.0, 'NaN'], {text.format("i", 120)}
            from generate_series(1, {n.products}) i""",
        f"""insert into shop.product_images
            select {PRODUCT.format("i")}, k, decode({text.format("i * 10 + k", 150)}, 'escape')
            from generate_series(1, {n.products}) i, generate_series(1, 2) k""",
        f"""insert into shop.stock
            select w, {PRODUCT.format("i")}, i % 1000, timestamp '2025-01-01' + i * interval '1 second'
            from generate_series(1, 5) w, generate_series(1, {n.products}) i""",
        f"""insert into shop.orders
            select i, date '2024-01-01' + i % 900, 1 + i % {n.customers},
                   (array['new', 'paid', 'sent', 'returned'])[1 + i % 4]::shop.order_state, i * 0.0137,
                   case when i % 5 = 0 then 'leave at the door' end
            from generate_series(1, {n.orders}) i""",
        f"""insert into shop.order_lines
            select i, k, {PRODUCT.format(f"1 + (i * 7 + k) % {n.products}")}, 1 + i % 4, (i % 9000) * 0.01
            from generate_series(1, {n.orders}) i, generate_series(1, 2) k""",
        f"""insert into shop.payments
            select md5('payment' || i)::uuid, i, i * 0.0137, timestamptz '2025-01-01' + i * interval '1 second',
                   i % 100 * interval '1.5 seconds', json_build_object('card', i % 10000, 'ok', true)
            from generate_series(1, {n.orders // 4}) i""",
        f"""insert into shop.carts
            select md5('cart' || i)::uuid,
                   jsonb_build_object('lines', (select jsonb_agg(md5(i::text || k)) from generate_series(1, 90) k)),
                   now() + interval '1 day'
            from generate_series(1, {max(20, n.customers // 100)}) i""",
        f"""insert into shop.page_views
            select timestamptz '2025-06-01' + i * interval '1 second', '/p/' || i % 500, 'Browser/' || i % 9,
                   ('10.0.' || i % 250 || '.1')::inet
            from generate_series(1, {max(50, total // 10)}) i""",
        """insert into shop.audit_log
           select timestamptz '2025-06-01' + i * interval '1 minute', 'user' || i % 5, 'login', null
           from generate_series(1, 500) i""",
        f"""insert into shop.reviews (product_id, rating, body, posted_at)
            select {PRODUCT.format(f"1 + i % {n.products}")}, 1 + i % 5, 'review ' || i,
                   timestamp '2025-03-01' + i * interval '1 minute'
            from generate_series(1, {max(50, total // 50)}) i""",
    ]
    run_all(lambda s: server.sql(s, database=database), sorted(statements, key=len, reverse=True))
    server.sql("vacuum analyze", database=database)
    return sum(count(server, database, t) for t in TABLES)


def count(server: PgServer, database: str, table: str) -> int:
    return int(server.sql(f"select count(*) from shop.{table}", database=database)[0][0])


class Customers(Traffic):
    def __init__(self, server: PgServer, database: str, total: int) -> None:
        super().__init__(sizes(total))
        self.server, self.database = server, database

    def session(self) -> AbstractContextManager[Any]:
        return self.server.connect(self.database, autocommit=False)

    def actions(self) -> list[Action]:
        return [
            self._order,
            self._order,
            self._cart,
            self._visit,
            self._product,
            self._customer,
            self._address,
            self._review,
            self._audit,
            self._image,
            self._tidy,
            self._change_of_mind,
        ]

    def commit(self, session: Any, action: Action, chance: random.Random) -> int | None:
        try:
            return action(session, chance)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation):
            return None

    def _product_id(self, chance: random.Random) -> str:
        number = chance.randint(1, self.n.products)
        return str(uuid.UUID(hashlib.md5(f"product{number}".encode()).hexdigest()))

    def _order(self, connection: Any, chance: random.Random) -> int:
        order = self.next_order()
        lines = chance.randint(1, 4)
        with connection.transaction():
            run = connection.cursor().execute
            run(
                "insert into shop.orders values (%s, current_date, %s, 'new', %s, null)",
                (order, chance.randint(1, self.n.customers), chance.random() * 100),
            )
            for line in range(lines):
                product = self._product_id(chance)
                run(
                    "insert into shop.order_lines values (%s, %s, %s, %s, %s)",
                    (order, line, product, chance.randint(1, 9), chance.random()),
                )
                run(
                    "update shop.stock set quantity = quantity - 1 where warehouse_id = %s and product_id = %s",
                    (line + 1, product),
                )
            run(
                "insert into shop.payments values (gen_random_uuid(), %s, %s, now(), '3 ms', '{\"card\": 1}')",
                (order, chance.random()),
            )
            # the order moves to another state, sometimes to another partition
            day = "date '2024-05-05'" if chance.random() < 0.1 else "ordered_on"
            run(f"update shop.orders set state = 'paid', ordered_on = {day} where id = %s", (order,))
        return 2 * lines + 3

    def _cart(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            # the large document is not touched, so the log does not carry it
            done = connection.execute(
                "update shop.carts set expires_at = now() where session = md5('cart' || %s)::uuid",
                (str(chance.randint(1, max(20, self.n.customers // 100))),),
            )
        return done.rowcount

    def _visit(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            connection.execute(
                "insert into shop.page_views select now(), '/p/' || i, null, '::1' from generate_series(1, %s) i",
                (5,),
            )
        return 5

    def _product(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            done = connection.execute(
                "update shop.products set price = price + 0.01, dimensions = array[%s]::float8[] where id = %s",
                (chance.random(), self._product_id(chance)),
            )
        return done.rowcount

    def _customer(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            done = connection.execute(
                "update shop.customers set preferences = preferences || %s::jsonb, vip = not vip where id = %s",
                (json.dumps({"seen": chance.randint(0, 999)}), chance.randint(1, self.n.customers)),
            )
        return done.rowcount

    def _address(self, connection: Any, chance: random.Random) -> int:
        customer = chance.randint(1, self.n.customers)
        with connection.transaction():
            run = connection.execute
            rows = run("delete from shop.addresses where customer_id = %s and number > 10", (customer,)).rowcount
            # the key itself changes
            rows += run(
                "update shop.addresses set number = number + 10 where customer_id = %s and number = 1", (customer,)
            ).rowcount
            rows += run(
                "insert into shop.addresses values (%s, 1, 'New Street', null, 'FR') on conflict do nothing",
                (customer,),
            ).rowcount
        return rows

    def _review(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            rows = connection.execute(
                "insert into shop.reviews (product_id, rating, body, posted_at) values (%s, %s, %s, now())",
                (self._product_id(chance), chance.randint(1, 5), "good " * chance.randint(0, 900)),
            ).rowcount
            rows += connection.execute(
                "delete from shop.reviews where id = %s", (chance.randint(1, self.n.orders),)
            ).rowcount
        return rows

    def _audit(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            run = connection.execute
            rows = run(
                "insert into shop.audit_log values (clock_timestamp(), 'shop', 'seen', %s)",
                (json.dumps({"n": chance.randint(0, 99)}),),
            ).rowcount
            rows += run(
                "update shop.audit_log set who = 'nobody' where ctid = (select ctid from shop.audit_log "
                "where who = 'shop' limit 1 for update skip locked)"
            ).rowcount
            if chance.random() < 0.5:
                rows += run(
                    "delete from shop.audit_log where ctid = (select ctid from shop.audit_log "
                    "where who = 'nobody' limit 1 for update skip locked)"
                ).rowcount
        return rows

    def _image(self, connection: Any, chance: random.Random) -> int:
        with connection.transaction():
            done = connection.execute(
                "update shop.product_images set content = %s where product_id = %s and position = 1",
                (chance.randbytes(3000), self._product_id(chance)),
            )
        return done.rowcount

    def _tidy(self, connection: Any, chance: random.Random) -> int:
        order = chance.randint(1, self.n.orders)
        with connection.transaction():
            rows = connection.execute("delete from shop.order_lines where order_id = %s", (order,)).rowcount
            rows += connection.execute("delete from shop.orders where id = %s", (order,)).rowcount
        return rows

    def _change_of_mind(self, connection: Any, chance: random.Random) -> int:
        """What is rolled back must never arrive."""
        with connection.transaction() as outer:
            connection.execute("update shop.countries set vat = vat + 0.01 where code = 'AA'")
            try:
                with connection.transaction():
                    connection.execute("delete from shop.countries")
                    raise psycopg.Rollback
            except psycopg.Rollback:
                pass
            if chance.random() < 0.3:
                raise psycopg.Rollback(outer)
        return 1
