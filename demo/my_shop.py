"""The shop of the demo on a MySQL or MariaDB server: its rows, and the customers who keep changing them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from my import MyServer
from traffic import Action, Sizes, Traffic, run_all

ROWS = 2_000_000  # of the demo when nothing else is asked for
IN_THE_WAY = (1062, 1205, 1213)  # duplicate key, wait for a lock too long, deadlock
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
]

SCHEMA = """
create table countries (code char(2) character set latin1 primary key, name varchar(60) not null, vat decimal(6,4));
create table customers (id bigint unsigned auto_increment primary key, email varchar(120) not null, name varchar(80),
    born date, vip tinyint(1) not null, preferences json, level enum('new','good','best') not null, unique (email));
create table addresses (customer_id bigint unsigned, number smallint unsigned, street varchar(80), city varchar(60),
    country char(2) character set latin1, primary key (customer_id, number));
create table products (id binary(16) primary key, sku varchar(20) not null, name varchar(60), price decimal(10,2) not null,
    weight float, tags set('sale','new','heavy','gift'), description text);
create table product_images (product_id binary(16), position tinyint unsigned, content mediumblob,
    primary key (product_id, position));
create table stock (warehouse_id int, product_id binary(16), quantity int not null, counted_at timestamp(3) null,
    primary key (warehouse_id, product_id));
create table orders (id bigint unsigned primary key, ordered_on date not null, customer_id bigint unsigned not null,
    state enum('new','paid','sent','returned') not null, total decimal(12,4) not null, note varchar(200));
create table order_lines (order_id bigint unsigned, line smallint, product_id binary(16) not null, quantity int not null,
    price decimal(10,2) not null, primary key (order_id, line));
create table payments (id binary(16) primary key, order_id bigint unsigned not null, amount decimal(14,4) not null,
    paid_at datetime(6) not null, took time(3), details json);
create table carts (session char(32) character set latin1 primary key, content longtext, expires_at datetime not null);
create table page_views (seen_at datetime(6) not null, path varchar(200) not null, agent varchar(80), address varbinary(16));
create table audit_log (at datetime(6) not null, who varchar(40), what varchar(40), details json)
"""
PRODUCT = "unhex(md5(concat('product', {})))"
NUMBERS = """
create table digits (d int primary key); insert into digits values (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
create view numbers as select 1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d + 100000 * f.d as i
    from digits a, digits b, digits c, digits d, digits e, digits f
"""


def sizes(total: int) -> Sizes:
    return Sizes(total, orders_max=900_000)


def fill(server: MyServer, database: str, total: int) -> int:
    """Makes the tables and their rows; returns how many rows there are."""
    n = sizes(total)
    server.create_database(database)
    server.create_database("numbers")
    server.sql(SCHEMA, database)
    server.sql(NUMBERS, "numbers")
    rows = "from numbers.numbers where i <= {}"
    statements = [
        "insert into countries select concat(char(65 + i div 26), char(65 + i mod 26)), concat('country ', i), i / 27 "
        + rows.format(249),
        f"""insert into customers (email, name, born, vip, preferences, level)
            select concat('c', i, '@example.org'), concat('Customer Nr. ', i, ' é😀'), date '1950-01-01' + interval i mod 20000
            day, i mod 50 = 0, json_object('news', i mod 2, 'nick', concat('n', i)), 1 + i mod 3 {rows.format(n.customers)}""",
        f"""insert into addresses select i, d.d, concat('Street ', i), if(i mod 9 <> 0, concat('City\\t', i), null), 'DE'
            from numbers.numbers, numbers.digits d where i <= {n.customers} and d.d in (1, 2)""",
        f"""insert into products select {PRODUCT.format("i")}, concat('SKU', i), concat('Product ', i), i * 0.07, i / 3,
            1 + i mod 15, repeat(concat(md5(i), ' '), 100) {rows.format(n.products)}""",
        f"""insert into product_images select {PRODUCT.format("i")}, d.d, repeat(unhex(md5(i * 10 + d.d)), 300)
            from numbers.numbers, numbers.digits d where i <= {n.products} and d.d in (1, 2)""",
        f"""insert into stock select 1 + d.d, {PRODUCT.format("i")}, i mod 1000, timestamp '2025-01-01 00:00:00' + interval i
            second from numbers.numbers, numbers.digits d where i <= {n.products} and d.d < 5""",
        f"""insert into orders select i, date '2024-01-01' + interval i mod 900 day, 1 + i mod {n.customers}, 1 + i mod 4,
            i * 0.0137, if(i mod 5 = 0, 'leave at the door', null) {rows.format(n.orders)}""",
        f"""insert into order_lines select i, d.d, {PRODUCT.format(f"1 + (i * 7 + d.d) mod {n.products}")}, 1 + i mod 4,
            (i mod 9000) * 0.01 from numbers.numbers, numbers.digits d where i <= {n.orders} and d.d in (1, 2)""",
        f"""insert into payments select unhex(md5(concat('payment', i))), i, i * 0.0137,
            timestamp '2025-01-01 00:00:00.5' + interval i second, sec_to_time(i mod 100 * 1.5),
            json_object('card', i mod 10000, 'ok', true) {rows.format(n.orders // 4)}""",
        f"""insert into carts select md5(concat('cart', i)), repeat(concat('[', md5(i), ']'), 200),
            timestamp '2026-01-01 00:00:00' {rows.format(max(20, n.customers // 100))}""",
        f"""insert into page_views select timestamp '2025-06-01 00:00:00' + interval i second, concat('/p/', i mod 500),
            concat('Browser/', i mod 9), inet6_aton(concat('10.0.', i mod 250, '.1')) {rows.format(max(50, total // 10))}""",
        f"""insert into audit_log select timestamp '2025-06-01 00:00:00' + interval i minute, concat('user', i mod 5),
            'login', null {rows.format(500)}""",
    ]
    run_all(lambda s: server.sql(s, database), statements)
    return sum(count(server, database, t) for t in TABLES)


def count(server: MyServer, database: str, table: str) -> int:
    return int(server.sql(f"select count(*) from `{database}`.`{table}`")[0][0])


class Customers(Traffic):
    def __init__(self, server: MyServer, database: str, total: int) -> None:
        super().__init__(sizes(total))
        self.server, self.database = server, database

    @contextmanager
    def session(self) -> Iterator[Any]:
        connection = pymysql.connect(
            host=self.server.host,
            port=self.server.port,
            user=self.server.user,
            database=self.database,
            charset="utf8mb4",
        )
        with connection, connection.cursor() as cursor:
            yield cursor

    def actions(self) -> list[Action]:
        return [
            self._order,
            self._order,
            self._cart,
            self._visit,
            self._product,
            self._customer,
            self._address,
            self._audit,
            self._image,
            self._tidy,
            self._change_of_mind,
        ]

    def commit(self, session: Any, action: Action, chance: random.Random) -> int | None:
        try:
            rows = action(session, chance)
            session.connection.commit()
            return rows
        except pymysql.err.MySQLError as error:
            session.connection.rollback()
            if error.args[0] not in IN_THE_WAY:
                raise
            return None

    def _order(self, cursor: Any, chance: random.Random) -> int:
        order = self.next_order()
        lines = chance.randint(1, 4)
        cursor.execute(
            "insert into orders values (%s, current_date, %s, 'new', %s, null)",
            (order, chance.randint(1, self.n.customers), chance.random() * 100),
        )
        for line in range(lines):
            number = chance.randint(1, self.n.products)
            cursor.execute(
                f"insert into order_lines values (%s, %s, {PRODUCT.format('%s')}, %s, %s)",
                (order, line, number, chance.randint(1, 9), chance.random()),
            )
            cursor.execute(
                f"update stock set quantity = quantity - 1 where warehouse_id = %s and product_id = {PRODUCT.format('%s')}",
                (line + 1, number),
            )
        cursor.execute(
            "insert into payments values (unhex(md5(%s)), %s, %s, now(6), '00:00:00.003', '{\"card\": 1}')",
            (f"payment {order}", order, chance.random()),
        )
        cursor.execute("update orders set state = 'paid' where id = %s", (order,))
        return 2 * lines + 3

    def _cart(self, cursor: Any, chance: random.Random) -> int:
        return cursor.execute(
            "update carts set expires_at = now() where session = md5(concat('cart', %s))",
            (chance.randint(1, max(20, self.n.customers // 100)),),
        )

    def _visit(self, cursor: Any, chance: random.Random) -> int:
        for n in range(5):
            cursor.execute("insert into page_views values (now(6), %s, null, inet6_aton('::1'))", (f"/p/{n}",))
        return 5

    def _product(self, cursor: Any, chance: random.Random) -> int:
        return cursor.execute(
            f"update products set price = price + 0.01, weight = %s where id = {PRODUCT.format('%s')}",
            (chance.random(), chance.randint(1, self.n.products)),
        )

    def _customer(self, cursor: Any, chance: random.Random) -> int:
        return cursor.execute(
            "update customers set preferences = json_set(preferences, '$.seen', %s), vip = not vip where id = %s",
            (chance.randint(0, 999), chance.randint(1, self.n.customers)),
        )

    def _address(self, cursor: Any, chance: random.Random) -> int:
        customer = chance.randint(1, self.n.customers)
        rows = cursor.execute("delete from addresses where customer_id = %s and number > 10", (customer,))
        # the key itself changes
        rows += cursor.execute(
            "update addresses set number = number + 10 where customer_id = %s and number = 1", (customer,)
        )
        return rows + cursor.execute(
            "insert ignore into addresses values (%s, 1, 'New Street', null, 'FR')", (customer,)
        )

    def _audit(self, cursor: Any, chance: random.Random) -> int:
        rows = cursor.execute("insert into audit_log values (now(6), 'shop', 'seen', json_object('n', 1))")
        rows += cursor.execute("update audit_log set who = 'nobody' where who = 'shop' limit 1")
        return rows + cursor.execute("delete from audit_log where who = 'nobody' limit 1")

    def _image(self, cursor: Any, chance: random.Random) -> int:
        return cursor.execute(
            f"update product_images set content = %s where product_id = {PRODUCT.format('%s')} and position = 1",
            (chance.randbytes(3000), chance.randint(1, self.n.products)),
        )

    def _tidy(self, cursor: Any, chance: random.Random) -> int:
        order = chance.randint(1, self.n.orders)
        rows = cursor.execute("delete from order_lines where order_id = %s", (order,))
        return rows + cursor.execute("delete from orders where id = %s", (order,))

    def _change_of_mind(self, cursor: Any, chance: random.Random) -> int:
        """What is rolled back must never arrive."""
        cursor.execute("update countries set vat = vat + 0.0001 where code = 'AB'")
        cursor.execute("savepoint here")
        cursor.execute("delete from countries")
        cursor.execute("rollback to here")
        if chance.random() < 0.3:
            cursor.connection.rollback()
        return 1
