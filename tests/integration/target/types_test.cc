// Goal: every type of spec/data-types section 9 arrives as it was, by binary and by CSV: the same text and,
// for built-in types, the same bytes.

#include <gmock/gmock.h>

#include "target/pair.h"

namespace godwit::postgres {
namespace {

using test::PairTest;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct TypeCase {
    const char* name;
    const char* type;
    std::vector<const char*> values;  // SQL expressions
    bool binary = true;               // relayed in binary between two servers of one version
    bool built_in = true;
    int since = 0;  // both servers must be at least this
};

const std::vector<TypeCase>& cases() {
    static const std::vector<TypeCase> all = {
        {"int2", "int2", {"-32768", "-1", "0", "32767"}},
        {"int4", "int4", {"-2147483648", "-1", "0", "2147483647"}},
        {"int8", "int8", {"-9223372036854775808", "-1", "0", "9223372036854775807"}},
        {"numeric",
         "numeric",
         {"0", "1.10", "-0.1", "'NaN'", "repeat('9', 131072)::numeric",
          "('0.' || repeat('1', 16383))::numeric", "1e-16383::numeric", "0.000"}},
        {"numeric_infinite", "numeric", {"'Infinity'", "'-Infinity'"}, true, true, 140000},
        {"numeric_38_38",
         "numeric(38,38)",
         {"('0.' || repeat('9', 38))::numeric", "('-0.' || repeat('9', 38))::numeric", "0"}},
        {"numeric_38_0", "numeric(38,0)", {"repeat('9', 38)::numeric", "-1"}},
        {"numeric_1000_500", "numeric(1000,500)", {"(repeat('9', 500) || '.' || repeat('9', 500))::numeric"}},
        {"numeric_3_m2", "numeric(3,-2)", {"99900", "-12345", "0"}, true, true, 150000},
        {"numeric_2_5", "numeric(2,5)", {"0.00099", "-0.00001"}, true, true, 150000},
        {"real", "real", {"0", "'-0'", "1e-45", "3.4028235e38", "'NaN'", "'Infinity'", "'-Infinity'", "0.1"}},
        {"double",
         "double precision",
         {"0", "'-0'", "4.9e-324", "1.7976931348623157e308", "0.30000000000000004", "'NaN'", "'Infinity'",
          "'-Infinity'"}},
        {"money",
         "money",
         {"'-92233720368547758.08'::money", "'92233720368547758.07'::money", "'$1,234.50'::money"}},
        {"boolean", "boolean", {"true", "false"}},
        {"text",
         "text",
         {"''",
          "' '",
          "'NULL'",
          "'\\N'",
          "'\"'",
          "''''",
          "'a,b'",
          "E'a\\r\\nb'",
          "E'\\t'",
          "E'\\\\'",
          "'\\.'",
          "U&'\\+01F600'",
          "U&'e\\0301'",
          "U&'\\FFFD'",
          "U&'\\05D0\\05D1'",
          "repeat('x', 1000000)",
          "repeat(U&'\\+01F600', 2500000)",
          "E'\\n'",
          "E'\"\\n\"'",
          "'n'"}},
        {"varchar", "varchar(4)", {"repeat(U&'\\+01F600', 4)", "''", "'ab'"}},
        {"varchar_unbounded", "varchar", {"repeat('y', 8001)"}},
        {"char", "char(5)", {"'ab'", "''", "'abcde'"}},
        {"one_char", "\"char\"", {"'a'", "''"}},
        {"one_char_high", "\"char\"", {"'\\200'"}, true, true, 150000},  // other text form before
        {"name", "name", {"'n'", "repeat('n', 63)::name"}},
        {"bytea",
         "bytea",
         {"''", "'\\x00'",
          "(SELECT string_agg(set_byte('\\x00', 0, i), '' ORDER BY i) FROM generate_series(0, "
          "255) i)",
          "decode(repeat('deadbeef', 250000), 'hex')"}},
        {"date",
         "date",
         {"'4713-01-01 BC'", "'0001-01-01'", "'1582-10-10'", "'1970-01-01'", "'9999-12-31'",
          "'5874897-12-31'", "'infinity'", "'-infinity'"}},
        {"timestamp",
         "timestamp",
         {"'4713-11-24 00:00:00 BC'", "'1969-12-31 23:59:59.999999'", "'2024-02-29 12:34:56.123456'",
          "'294276-12-31 23:59:59.999999'", "'infinity'", "'-infinity'"}},
        {"timestamp_0", "timestamp(0)", {"'2024-02-29 12:34:56'"}},
        {"timestamp_3", "timestamp(3)", {"'2024-02-29 12:34:56.123'"}},
        {"timestamptz",
         "timestamptz",
         {"'4713-11-24 00:00:00+00 BC'", "'1969-12-31 23:59:59.999999+00'",
          "'2024-03-31 02:30:00 Europe/Berlin'", "'2024-10-27 02:30:00 Europe/Berlin'",
          "'1890-01-01 00:00:00 Europe/Berlin'", "'294276-12-31 23:59:59.999999+00'", "'infinity'"}},
        {"time", "time", {"'00:00'", "'23:59:59.999999'", "'24:00:00'"}},
        {"timetz", "timetz", {"'00:00+15:59'", "'24:00:00-15:59'", "'12:00:00.5+05:30:15'"}},
        {"interval",
         "interval",
         {"'1 year 2 mons 3 days 04:05:06.789'", "'-1 days -01:42:30'", "'1 mon -3 days 00:00:01'", "'0'",
          "'178000000 years'"}},
        {"interval_fields", "interval year to month", {"'3 years 4 mons'"}},
        {"array", "int[]", {"'{}'", "'{NULL}'", "'{{1,2},{3,4}}'", "'[0:1]={1,2}'"}},
        {"text_array",
         "text[]",
         {"'{}'", "'{NULL,\"NULL\",\"\"}'", "ARRAY['a,b', '{x}', '\"', E'\\\\', E'\\n', '''']"}},
        {"numeric_array", "numeric(5,2)[]", {"'{1.5,NULL,-999.99}'"}},
        {"int4range", "int4range", {"'empty'", "'(,)'", "'[1,5)'"}},
        {"tsrange", "tsrange", {"'[2020-01-01,infinity)'", "'(,2020-01-01]'"}},
        {"numrange", "numrange", {"'[1.10,2)'"}},
        {"multirange", "int4multirange", {"'{}'", "'{[1,3),[5,8)}'"}, true, true, 140000},
        {"inet", "inet", {"'192.168.0.1/24'", "'::ffff:1.2.3.4'", "'::/0'"}},
        {"cidr", "cidr", {"'10.0.0.0/8'", "'::/0'"}},
        {"macaddr", "macaddr", {"'08:00:2b:01:02:03'"}},
        {"macaddr8", "macaddr8", {"'08:00:2b:01:02:03:04:05'"}},
        {"uuid",
         "uuid",
         {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
        {"bit1", "bit(1)", {"B'0'", "B'1'"}},
        {"bit64", "bit(64)", {"repeat('1', 64)::bit(64)"}},
        {"varbit", "varbit", {"B''", "B'101'"}},
        {"json",
         "json",
         {"'{\"b\": 1, \"a\":2,  \"b\":3}'", "'1e400'", "'12345678901234567890.123'", "'\"\\u0000\"'",
          "'null'", "'\"\"'", "'[]'"}},
        {"jsonb",
         "jsonb",
         {"'{\"b\": 1, \"a\":2, \"b\":3}'", "'12345678901234567890.123'", "'null'", "'\"\"'", "'[]'"}},
        {"jsonpath", "jsonpath", {"'$.a[*] ? (@ > 1)'"}},
        {"xml",
         "xml",
         {"'<?xml version=\"1.0\"?><a>x</a>'", "'<a/>text<b/>'",
          "'<?xml version=\"1.0\" standalone=\"yes\"?><a/>'", "'<a>&#x1F600;</a>'"}},
        {"tsvector", "tsvector", {"'a:1A fat:2B,4C cat:5'", "''"}},
        {"tsquery", "tsquery", {"'fat & (rat | !cat)'", "'a <-> b:*'"}},
        {"point", "point", {"'(1.5,-2)'", "'(Infinity,NaN)'"}},
        {"line", "line", {"'{1,-1,0}'"}},
        {"lseg", "lseg", {"'[(0,0),(1,1)]'"}},
        {"box", "box", {"'(1,1),(0,0)'"}},
        {"path", "path", {"'[(0,0),(1,1)]'", "'((0,0),(1,1))'"}},
        {"polygon", "polygon", {"'((0,0),(1,1),(1,0))'"}},
        {"circle", "circle", {"'<(0,0),1.5>'"}},
        {"oid", "oid", {"4294967295"}},
        {"pg_lsn", "pg_lsn", {"'16/B374D848'"}},
        {"xid8", "xid8", {"'18446744073709551615'"}},
        {"regclass", "regclass", {"'pg_class'::regclass"}, false},
        {"regtype_array", "regtype[]", {"ARRAY['int4'::regtype]"}, false},
        {"aclitem", "aclitem", {"'postgres=r/postgres'"}, false},
        {"enum", "mood", {"'with space'", "'it''s'", "repeat('l', 63)::mood"}, true, false},
        {"enum_array", "mood[]", {"'{\"with space\",NULL}'"}, true, false},
        {"domain_int", "whole", {"5"}, true, false},
        {"domain_text", "line_of_text", {"''", "'x'"}, true, false},
        {"domain_array", "numbers", {"'{1,NULL}'"}, true, false},
        {"composite",
         "pair",
         {"ROW(1, 'a,b', NULL)::pair", "ROW(NULL, '', NULL)::pair", "ROW(1, E'\"\\\\', 'it''s')::pair"},
         true,
         false},
        {"composite_array", "pair[]", {"ARRAY[ROW(1, 'a,b', NULL)::pair]"}, true, false},
        {"composite_reg", "with_reg", {"ROW(1, 'pg_class')::with_reg"}, false, false},
        {"own_range", "span", {"'[1.5,2.5)'", "'empty'"}, true, false},
        {"own_multirange", "span_multirange", {"'{[1.5,2.5)}'"}, true, false, 140000},
        {"hstore", "hstore", {"'\"a\"=>NULL,\"b\"=>\"\"'", "''"}, true, false},
        {"citext", "citext", {"'AbC'"}, true, false},
    };
    return all;
}

class TypesTest : public PairTest {
protected:
    void SetUp() override {
        PairTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        source_.run(R"(CREATE EXTENSION hstore; CREATE EXTENSION citext;
            CREATE TYPE mood AS ENUM ('with space', 'it''s', 'llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll');
            ALTER TYPE mood ADD VALUE 'lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll')");
        source_.run(
            R"(CREATE DOMAIN whole AS int CHECK (VALUE > 0); CREATE DOMAIN line_of_text AS text; CREATE DOMAIN numbers AS int[];
            CREATE TYPE pair AS (a int, b text, c mood); CREATE TYPE with_reg AS (a int, r regclass);
            CREATE TYPE span AS RANGE (subtype = float8))");
    }

    // COPY's own bytes
    static std::string bytes(const test::Database& d, const std::string& query) {
        auto c = d.connect({}, true);
        std::string out;
        auto done =
            c.copy_out("COPY (" + query + ") TO STDOUT (FORMAT binary)", {}, [&](Bytes b) -> Result<> {
                out += as_text(b);
                return {};
            });
        if (!done) throw std::runtime_error(done.error().text());
        return out;
    }
};

TEST_F(TypesTest, EveryTypeByBinaryAndCsv) {
    const int older = older_server_version();
    for (const auto& k : cases()) {
        if (older < k.since) continue;
        std::string sql = std::string("CREATE TABLE t_") + k.name + " (id int, v " + k.type + ", w " +
                          k.type + "); INSERT INTO t_" + k.name + " VALUES (0, NULL, NULL)";
        int id = 0;
        for (const char* v : k.values) sql += ", (" + std::to_string(++id) + ", " + v + ", NULL)";
        source_.run(sql);
    }
    auto p = process();
    const bool same_version = same_server_version();
    for (const auto& k : cases()) {
        if (older < k.since) continue;
        const std::string name = std::string("t_") + k.name;
        const auto t = table(name);
        for (const bool binary : {true, false}) {
            const std::vector<std::string> offered = binary ? kBoth : std::vector<std::string>{"pg.csv"};
            auto prepared = p->prepare(t, PrepMode::drop_and_create, offered, {});
            ASSERT_OK(prepared);
            if (same_version) {
                EXPECT_EQ(prepared->format, binary && k.binary ? "pg.binary" : "pg.csv") << k.name;
            }
            if (same_version && binary && k.binary) {
                EXPECT_THAT(prepared->warnings, IsEmpty()) << k.name;
            }
            auto writer = p->open_writer();
            ASSERT_OK(writer);
            auto copied = copy(**writer, t, *prepared, 0);
            ASSERT_TRUE(copied.has_value())
                << k.name << (binary ? " binary: " : " csv: ") << copied.error().text();
            // as the server prints it: xml drops a needless declaration on every way out, also in the log
            const std::string as_text = "SELECT id, v, v IS NULL, w IS NULL FROM " + name + " ORDER BY id";
            EXPECT_EQ(target_.ask(as_text), source_.ask(as_text)) << k.name << (binary ? " binary" : " csv");
            if (k.built_in && std::string(k.name) != "aclitem") {
                const std::string all = "SELECT id, v FROM " + name + " ORDER BY id";
                EXPECT_TRUE(bytes(target_, all) == bytes(source_, all))
                    << k.name << (binary ? " binary" : " csv");
            }
            EXPECT_EQ(
                target_.ask("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '" +
                            name + "'::regclass AND attname = 'v'"),
                source_.ask("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '" +
                            name + "'::regclass AND attname = 'v'"))
                << k.name;
        }
    }
}

// What binary would corrupt without an error: equal send forms of unequal columns (exactness section 7).
TEST_F(TypesTest, UnequalColumnsGoAsText) {
    source_.run(R"(CREATE TABLE t (id int, a numeric(10,4), b timestamp(6), c varchar(10), d int);
        INSERT INTO t VALUES (1, 1.2345, '2020-01-01 00:00:00.123456', 'abcde', 7))");
    target_.run("CREATE TABLE t (id int, a numeric(12,5), b timestamp, c varchar(5), d bigint)");
    auto p = process();
    auto done = load(*p, table("t"), PrepMode::truncate);
    ASSERT_OK(done);
    EXPECT_EQ(done->format, "pg.csv");
    EXPECT_EQ(target_.ask("SELECT * FROM t"), "1|1.23450|2020-01-01 00:00:00.123456|abcde|7");
    // what does not fit is an error, never cut
    source_.run("UPDATE t SET c = 'abcdefgh'");
    EXPECT_FALSE(load(*p, table("t"), PrepMode::truncate).has_value());
    EXPECT_EQ(target_.ask("SELECT count(*) FROM t"), "0");
}

// One column only, all NULL or empty: CSV has its corner there.
TEST_F(TypesTest, OneColumnOfNothing) {
    source_.run(
        "CREATE TABLE t (v text); INSERT INTO t VALUES (NULL), (''), (NULL), ('\\.'), (E'\\n'), ('\\N')");
    auto p = process();
    for (const char* format : {"pg.csv", "pg.binary"}) {
        auto prepared = p->prepare(table("t"), PrepMode::drop_and_create, {format}, {});
        ASSERT_OK(prepared);
        auto writer = p->open_writer();
        ASSERT_OK(copy(**writer, table("t"), *prepared, 0));
        const std::string all = "SELECT v IS NULL, v FROM t ORDER BY v";
        EXPECT_EQ(target_.ask(all), source_.ask(all)) << format;
    }
}

TEST_F(TypesTest, EmptySlice) {
    source_.run("CREATE TABLE t (id int)");
    auto p = process();
    for (const char* format : {"pg.csv", "pg.binary"}) {
        auto prepared = p->prepare(table("t"), PrepMode::drop_and_create, {format}, {});
        ASSERT_OK(prepared);
        auto writer = p->open_writer();
        ASSERT_OK(copy(**writer, table("t"), *prepared, 0));
        // a source that sends nothing at all
        ASSERT_TRUE(*(*writer)->begin(table("t"), *prepared, 1));
        ASSERT_OK((*writer)->commit(0));
        EXPECT_EQ(slices(*p, table("t"), prepared->generation).size(), 2U) << format;
    }
}

// Names that need quotes, dropped columns, many columns.
TEST_F(TypesTest, AwkwardTables) {
    std::string many = "CREATE TABLE many (c0 int";
    for (int i = 1; i < 1600; ++i) many += ", c" + std::to_string(i) + " int";
    source_.run(many + "); INSERT INTO many (c0, c1599) VALUES (1, 2)");
    source_.run(
        R"(CREATE SCHEMA "a.b c"; CREATE TABLE "a.b c"."Übung ""x"" %" ("a b" int, gone int, "c""d" text, "e.f" int PRIMARY KEY);
        ALTER TABLE "a.b c"."Übung ""x"" %" DROP COLUMN gone;
        INSERT INTO "a.b c"."Übung ""x"" %" VALUES (1, 'x', 2))");
    auto p = process();
    ASSERT_OK(load(*p, table("many")));
    EXPECT_EQ(target_.ask("SELECT c0, c1599, c5 IS NULL FROM many"), "1|2|t");
    ASSERT_OK(load(*p, table("Übung \"x\" %", "a.b c")));
    EXPECT_EQ(target_.ask(R"(SELECT "a b", "c""d", "e.f" FROM "a.b c"."Übung ""x"" %")"), "1|x|2");
}

}  // namespace
}  // namespace godwit::postgres
