"""Edge values of spec/data-types, MySQL part: (column, definition, literals), each literal valid in every sql_mode
that the suite sets. A literal that only one flavour knows names it."""

from __future__ import annotations

BIG = "repeat('0123456789abcdef', 8192)"

MYSQL_COLUMNS: list[tuple[str, str, list[str]]] = [
    ("i1", "tinyint", ["-128", "-1", "0", "127"]),
    ("u1", "tinyint unsigned", ["0", "255"]),
    ("flag", "tinyint(1)", ["0", "1", "2"]),
    ("i2", "smallint", ["-32768", "32767"]),
    ("u2", "smallint unsigned", ["65535"]),
    ("i3", "mediumint", ["-8388608", "8388607"]),
    ("u3", "mediumint unsigned", ["16777215"]),
    ("i4", "int", ["-2147483648", "2147483647"]),
    ("u4", "int unsigned", ["4294967295"]),
    ("i8", "bigint", ["-9223372036854775808", "9223372036854775807"]),
    ("u8", "bigint unsigned", ["18446744073709551615", "9223372036854775808"]),
    ("zf", "int(8) unsigned zerofill", ["42", "0"]),
    ("dec1", "decimal(30,10)", ["-99999999999999999999.9999999999", "0", "0.0000000001"]),
    ("dec2", "decimal(10,0)", ["-9999999999", "0"]),
    ("dec3", "decimal(1,1)", ["-0.9", "0.1"]),
    ("f4", "float", ["1.1", "16777217", "3.402823466E+38", "-3.402823466E+38", "1234567.8", "0"]),
    ("f8", "double", ["2.2250738585072014E-308", "1.7976931348623157e308", "0.1", "-1e-7", "1e20"]),
    ("bit1", "bit(1)", ["b'0'", "b'1'"]),
    ("bit7", "bit(7)", ["b'1010101'"]),
    ("bit9", "bit(9)", ["b'100000001'"]),
    ("bit64", "bit(64)", ["b'" + "1" * 64 + "'"]),
    ("d", "date", ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'"]),
    ("dt0", "datetime", ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"]),
    ("dt3", "datetime(3)", ["'2024-02-29 12:34:56.120'"]),
    ("dt6", "datetime(6)", ["'9999-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.000001'"]),
    ("ts0", "timestamp null", ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    ("ts3", "timestamp(3) null", ["'2038-01-19 03:14:07.999'"]),
    ("ts6", "timestamp(6) null", ["'2024-10-27 01:30:00.123456'"]),
    ("t0", "time", ["'838:59:59'", "'-838:59:59'", "'25:00:00'", "'00:00:00'"]),
    ("t1", "time(1)", ["'-00:00:00.5'"]),
    ("t6", "time(6)", ["'-00:00:01.000001'", "'12:34:56.789012'"]),
    ("y", "year", ["0", "1901", "2155"]),
    ("c5", "char(5)", ["'ab'", "''", "'ü😀'"]),
    (
        "vc",
        "varchar(40)",
        ["''", "'trailing  '", "'NULL'", "'\\\\N'", "'tab\\tnl\\ncr\\rbs\\\\ \"q\" , ''q'''", "'😀'"],
    ),
    ("tx", "text", ["''", BIG[:-6] + "1000)"]),
    ("lt", "longtext", [BIG]),
    ("latin", "varchar(20) character set latin1", ["'é'", "'€'", "''"]),
    ("latint", "text character set latin1", ["'naïve €'"]),
    ("utf3", "varchar(20) character set utf8", ["'日本'"]),
    ("gbk", "varchar(20) character set gbk", ["'中文'"]),
    ("sjis", "varchar(20) character set sjis", ["'ソ表'"]),
    ("big5", "varchar(20) character set big5", ["'中文'"]),
    ("ucs2", "varchar(20) character set ucs2", ["'Aé中'"]),
    ("utf16", "varchar(20) character set utf16", ["'A😀'"]),
    ("utf16le", "varchar(20) character set utf16le", ["'A😀'"]),
    ("b16", "binary(16)", ["x'00ff00'", "x'000102030405060708090a0b0c0d0e00'"]),
    ("vb", "varbinary(300)", ["''", "x'00'", "x'5c0a0d09'", "repeat(x'ff00', 127)", "repeat(x'00', 256)"]),
    ("bl", "blob", ["''", "repeat(x'00ff0a5c', 16000)"]),
    ("mb", "mediumblob", ["repeat(x'0d0a', 40000)"]),
    ("en", "enum('','a','b c','quo''te','ü')", ["''", "'a'", "'quo''te'", "'ü'"]),
    ("st", "set('a','b','c d','e')", ["''", "'a'", "'a,c d,e'"]),
    ("geo", "geometry", ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('LINESTRING(0 0, 1 1)')"]),
]
JSON_LITERALS = [
    "'null'",
    "'18446744073709551615'",
    '\'{"b": 1, "a": [1, 2.5, "x", null, true]}\'',
    '\'"quote \\\\" and \\\\\\\\ and ü😀"\'',
    "'[]'",
    "'{}'",
    "'-1.5'",
]


def columns_of(flavour: str) -> list[tuple[str, str, list[str]]]:
    # MariaDB's JSON is a text with a check
    return [*MYSQL_COLUMNS, ("js", "json", JSON_LITERALS)]


def rows_of(columns: list[tuple[str, str, list[str]]]) -> list[list[str]]:
    """Row n holds the n-th literal of each column, NULL where a column has fewer."""
    deepest = max(len(values) for _, _, values in columns)
    rows = [[values[n] if n < len(values) else "NULL" for _, _, values in columns] for n in range(deepest)]
    return [*rows, ["NULL"] * len(columns)]


# What MySQL can hold of PostgreSQL's values; what it cannot is in test_refused.py.
POSTGRES_COLUMNS: list[tuple[str, str, list[str]]] = [
    ("i2", "smallint", ["-32768", "32767", "0"]),
    ("i4", "integer", ["-2147483648", "2147483647"]),
    ("i8", "bigint", ["-9223372036854775808", "9223372036854775807"]),
    ("n1", "numeric(20,6)", ["-12345678901234.567891", "0", "1.10"]),
    ("n2", "numeric(38,0)", ["99999999999999999999999999999999999999"]),
    ("n3", "numeric", ["-0.1", "123456789012345678901234567890.123"]),
    ("f4", "real", ["1.1", "16777217", "3.4028235e38", "1e-45"]),
    ("f8", "double precision", ["0.30000000000000004", "1.7976931348623157e308", "4.9e-324", "1e20"]),
    ("m", "money", ["'-92233720368547758.08'", "'1234.50'", "'0'"]),
    ("b", "boolean", ["true", "false"]),
    ("tx", "text", ["''", "' '", "'NULL'", "E'\\\\N'", "E'tab\\tnl\\ncr\\rbs\\\\ff\\fvt\\vbell\\b \"q\" '''", "'😀'"]),
    ("vc", "varchar(20)", ["repeat('😀', 20)", "'trailing  '"]),
    ("vu", "varchar", ["repeat('x', 8001)"]),
    ("c5", "char(5)", ["'ab'", "''"]),
    ("by", "bytea", ["''", "'\\x00'", "'\\x5c090a0d00ff'", "decode(repeat('00ff', 20000), 'hex')"]),
    ("d", "date", ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'"]),
    ("ts", "timestamp", ["'1969-12-31 23:59:59.999999'", "'2024-02-29 12:34:56.123456'"]),
    ("ts0", "timestamp(0)", ["'2024-02-29 12:34:56'"]),
    ("tz", "timestamptz", ["'2024-10-27 01:30:00.5+02'", "'1970-01-01 00:00:00+00'", "'2024-01-01 00:00:00-15:59'"]),
    ("t", "time", ["'00:00'", "'23:59:59.999999'", "'24:00:00'"]),
    ("ttz", "timetz", ["'12:00:00+15:59'", "'12:00:00-15:59'"]),
    ("iv", "interval", ["'1 year 2 mons 3 days 04:05:06.789'", "'-1 days -01:42:30'", "'0'"]),
    ("ar", "int[]", ["'{}'", "'{1,NULL,3}'", "'[0:1]={1,2}'"]),
    ("ta", "text[]", ['E\'{"a,b","q\\\\"",""}\'']),
    ("uu", "uuid", ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"]),
    ("bt", "bit(3)", ["B'101'"]),
    ("vb", "varbit", ["B''", "B'1'"]),
    ("js", "json", ['\'{"b":1, "b":2}\'', "'null'"]),
    ("jb", "jsonb", ['\'{"b": 1, "a": [1, 1e400, "x"]}\'', "'[]'"]),
    ("ip", "inet", ["'192.168.0.1/24'", "'::ffff:1.2.3.4'"]),
    ("mc", "macaddr", ["'08:00:2b:01:02:03'"]),
    ("r", "int4range", ["'empty'", "'[1,5)'"]),
    ("pt", "point", ["'(1.5,2)'"]),
    ("o", "oid", ["4294967295"]),
]
