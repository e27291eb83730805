"""Goal: every character of every character set comes out the same whether the load or a change brings it. The server
converts what a load reads, godwit what the log holds: as the server does, whatever other tables say of the set."""

from __future__ import annotations

import uuid

import pytest
from my import MyServer
from pg import PgServer
from task_process import TaskProcess, select

LATER = 100_000  # the same row, as a change
ONE_BYTE = (
    "armscii8 ascii cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 geostd8 greek hebrew hp8 keybcs2 koi8r koi8u "
    "latin1 latin2 latin5 latin7 macce macroman swe7 tis620"
).split()


def span(*ends: int) -> list[bytes]:
    return [bytes([b]) for first, last in zip(ends[::2], ends[1::2], strict=True) for b in range(first, last + 1)]


def after(leads: list[bytes], trails: list[bytes]) -> list[bytes]:
    """A row of text for each lead."""
    return [b"".join(lead + trail for trail in trails) for lead in leads]


EUC = span(0xA1, 0xFE)
HALF_WIDTH = b"".join(span(0xA1, 0xDF))
SJIS = [HALF_WIDTH, *after(span(0x81, 0x9F, 0xE0, 0xFC), span(0x40, 0x7E, 0x80, 0xFC))]
GBK = after(span(0x81, 0xFE), span(0x40, 0x7E, 0x80, 0xFE))
UJIS = [
    b"".join(b"\x8e" + b for b in span(0xA1, 0xDF)),
    *after(EUC, EUC),
    *after([b"\x8f" + lead for lead in EUC], EUC),
]
# of four bytes: a part of what has a table, and some of what goes by number
GB18030 = after(
    [a + b for a in span(0x81, 0x84, 0x90, 0x90, 0xE3, 0xE3) for b in span(0x30, 0x39)],
    [a + b for a in span(0x81, 0xFE) for b in span(0x30, 0x39)],
)
# single surrogates are no text to PostgreSQL
UNICODE = [chr(c) for c in range(0x1_0000) if not 0xD800 <= c < 0xE000]
PAGES = ["".join(UNICODE[n : n + 0x800]) for n in range(0, len(UNICODE), 0x800)]
LONGER = {
    "big5": after(span(0xA1, 0xF9), span(0x40, 0x7E, 0xA1, 0xFE)),
    "cp932": SJIS,
    "eucjpms": UJIS,
    "euckr": after(span(0x81, 0xFE), span(0x41, 0x5A, 0x61, 0x7A, 0x81, 0xFE)),
    "gb18030": GBK + GB18030,
    "gb2312": after(span(0xA1, 0xF7), EUC),
    "gbk": GBK,
    "sjis": SJIS,
    "ujis": UJIS,
    "ucs2": [page.encode("utf-16-be") for page in PAGES],
    "utf16": [page.encode("utf-16-be") for page in [*PAGES, "😀\U0010ffff"]],
    "utf16le": [page.encode("utf-16-le") for page in [*PAGES, "😀\U0010ffff"]],
    "utf32": [page.encode("utf-32-be") for page in [*PAGES, "😀\U0010ffff"]],
}


def rows_of(charset: str) -> list[bytes]:
    if charset in ONE_BYTE:
        return [b"".join(span(0x00, 0x7F)), b"".join(span(0x80, 0xFF))]
    ascii_too = [] if charset.startswith(("ucs", "utf")) else [b"".join(span(0x00, 0x7F))]
    return ascii_too + LONGER[charset]


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_every_character(flavour: str, postgres: PgServer, request: pytest.FixtureRequest) -> None:
    source: MyServer = request.getfixturevalue(flavour)
    schema = "c" + uuid.uuid4().hex[:8]
    source.create_database(schema)
    known = {name for (name,) in source.sql("select character_set_name from information_schema.character_sets")}
    sets = [s for s in [*ONE_BYTE, *LONGER] if s in known]
    assert len(sets) >= len(ONE_BYTE) + len(LONGER) - 1

    def fill(first: int) -> None:
        statements = ["set sql_mode=''"]
        for charset in sets:
            rows = ", ".join(f"({first + n}, x'{text.hex()}')" for n, text in enumerate(rows_of(charset)))
            statements.append(f"insert into `{charset}` values {rows}")
        source.sql("; ".join(statements), schema)

    source.sql(
        "; ".join(f"create table `{s}` (id int primary key, v longtext character set {s})" for s in sets), schema
    )
    source.sql("create table last (id int primary key)", schema)
    fill(0)
    with TaskProcess(source, postgres, "", "postgres", mappings=select(schema)) as task:
        task.start("fresh")
        task.wait_loaded()
        # a process that has loaded nothing asks the server as well
        assert task.stop() == 0
        task.start("resume")
        fill(LATER)
        source.sql("insert into last values (1)", schema)
        task.wait_for(
            lambda: postgres.sql(f"select count(*) from {schema}.last")[0][0] == 1, 30, "the last change on the target"
        )
        assert task.stop() == 0
        states = {t["name"]["table"]: t["state"] for t in task.report()["tables"]}
        assert states == dict.fromkeys([*sets, "last"], "Table completed"), task.log_text()
    differing = {}
    for charset in sets:
        values = dict(postgres.sql(f'select id, v from {schema}."{charset}"'))
        rows = len(rows_of(charset))
        assert sorted(values) == [*range(rows), *range(LATER, LATER + rows)], charset
        other = [n for n in range(rows) if values[n] != values[n + LATER]]
        if other:
            n = other[0]
            at = next(i for i, (a, b) in enumerate(zip(values[n], values[n + LATER], strict=False)) if a != b)
            differing[charset] = (len(other), n, values[n][at : at + 3], values[n + LATER][at : at + 3])
        # a source that holds little of it would prove little
        assert sum(len(values[n]) for n in range(rows)) >= 200, charset
    assert differing == {}
