// Goal: each preparation mode leaves the table as spec/targets-relational sections 2 and 3 say, and what
// cannot be done is refused by name before a row is moved.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <thread>

#include "target/pair.h"
#include "targets/postgres/ledger.h"

namespace godwit::postgres {
namespace {

using test::error_text;
using test::PairTest;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PreparationTest : public PairTest {
protected:
    std::string target_columns(const std::string& table) {
        return target_.ask(
            "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull "
            "THEN ' !' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '" +
            table + "'::regclass AND attnum > 0");
    }
    // a role with nothing but the right to work in its own schema
    void plain_user() {
        user_ = "gw_plain_" + target_.name;
        target_.run("CREATE ROLE " + user_ + " LOGIN; GRANT CREATE ON DATABASE " + target_.name + " TO " +
                    user_ + "; GRANT ALL ON SCHEMA public TO " + user_);
    }
    void TearDown() override {
        if (!user_.empty()) target_.run("DROP OWNED BY " + user_ + " CASCADE; DROP ROLE " + user_);
        PairTest::TearDown();
    }
};

TEST_F(PreparationTest, CreatesWithTheSourcesTypes) {
    source_.run(R"(CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop"."T" (
        "Id" bigint GENERATED ALWAYS AS IDENTITY, n numeric(10,2) DEFAULT 5 NOT NULL, v varchar(7) COLLATE "C",
        g numeric GENERATED ALWAYS AS (n * 2) STORED, c char(3), a int[], t timestamptz(3),
        CONSTRAINT "The Key" PRIMARY KEY ("Id", n), UNIQUE (v), CHECK (n > 0));
        INSERT INTO "My Shop"."T" (n, v) VALUES (1.5, 'x'), (2.5, NULL))");
    auto p = process();
    auto done = load(*p, table("T", "My Shop"));
    ASSERT_OK(done);
    EXPECT_TRUE(done->created);
    EXPECT_EQ(done->format, "pg.binary");
    EXPECT_THAT(done->warnings, IsEmpty());
    EXPECT_EQ(target_columns("\"My Shop\".\"T\""),
              "Id bigint !, n numeric(10,2) !, v character varying(7), g numeric, c character(3), a "
              "integer[], t timestamp(3) "
              "with time zone");
    EXPECT_EQ(target_.ask(R"(SELECT "Id", n, v, g FROM "My Shop"."T" ORDER BY 1)"),
              "1|1.50|x|3.00\n2|2.50||5.00");
    EXPECT_EQ(
        target_.ask(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid = "
            "'\"My Shop\".\"T\"'::regclass"),
        "The Key|PRIMARY KEY (\"Id\", n)");
    EXPECT_EQ(target_.ask("SELECT collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation "
                          "WHERE attrelid "
                          "= '\"My Shop\".\"T\"'::regclass AND attname = 'v'"),
              "C");
    EXPECT_EQ(target_.ask("SELECT phase, rows, format, created FROM godwit.gw_table"),
              "joined|2|pg.binary|t");
    EXPECT_EQ(target_.ask("SELECT reltuples FROM pg_class WHERE oid = '\"My Shop\".\"T\"'::regclass"), "2");
}

TEST_F(PreparationTest, UserTypesAreCreated) {
    if (older_server_version() < 140000) GTEST_SKIP() << "no multiranges before 14";
    source_.run(R"(CREATE SCHEMA shop; CREATE EXTENSION hstore SCHEMA shop; CREATE EXTENSION citext;
        CREATE TYPE shop."The Mood" AS ENUM ('so', 'it''s \ fine', 'b,c');
        CREATE DOMAIN shop.moods AS shop."The Mood"[] CHECK (cardinality(VALUE) < 5);
        CREATE DOMAIN shop.short AS varchar(3) COLLATE "C" DEFAULT 'x' NOT NULL;
        CREATE TYPE shop.pair AS (a shop.moods, b numeric(5,2), "C" text COLLATE "C");
        CREATE TYPE shop.span AS RANGE (subtype = float8, subtype_diff = float8mi);
        CREATE TABLE t (id int PRIMARY KEY, a shop.pair[], b shop.span, c shop.hstore, d citext, e shop.short, f shop.span_multirange);
        INSERT INTO t VALUES (1, ARRAY[ROW(ARRAY['so','b,c']::shop."The Mood"[], 1.5, 'x')::shop.pair], '[1,2)', 'a=>NULL, b=>""', 'Ab', 'abc', '{[1,2)}'),
                             (2, '{}', 'empty', '', '', '', '{}'))");
    auto p = process();
    const auto t = table("t");
    auto done = load(*p, t);
    ASSERT_OK(done);
    if (same_server_version()) {
        EXPECT_EQ(done->format, "pg.binary");
        EXPECT_THAT(done->warnings, IsEmpty());
    }
    EXPECT_EQ(target_.ask("SELECT * FROM t ORDER BY id"), source_.ask("SELECT * FROM t ORDER BY id"));
    EXPECT_EQ(
        target_.ask(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contypid = 'shop.moods'::regtype"),
        "CHECK ((cardinality(VALUE) < 5))");
    // again: everything is there
    auto again = load(*p, t);
    ASSERT_OK(again);
    // a label that the source gained
    source_.run(
        "ALTER TYPE shop.\"The Mood\" ADD VALUE 'first' BEFORE 'so'; ALTER TYPE shop.\"The Mood\" ADD VALUE "
        "'last'");
    auto third = load(*p, table("t"), PrepMode::drop_and_create);
    ASSERT_OK(third);
    if (same_server_version()) {
        EXPECT_EQ(third->format, "pg.binary");
    }
    EXPECT_EQ(target_.ask("SELECT enum_range(NULL::shop.\"The Mood\")"),
              source_.ask("SELECT enum_range(NULL::shop.\"The Mood\")"));
    // types that differ: text, not bytes
    target_.run("ALTER TYPE shop.\"The Mood\" ADD VALUE 'own'");
    auto fourth = load(*p, table("t"), PrepMode::truncate);
    ASSERT_OK(fourth);
    EXPECT_EQ(fourth->format, "pg.csv");
    EXPECT_THAT(fourth->warnings, ::testing::Contains(HasSubstr("other labels")));
    EXPECT_EQ(target_.ask("SELECT * FROM t ORDER BY id"), source_.ask("SELECT * FROM t ORDER BY id"));
}

TEST_F(PreparationTest, ExtensionInAnotherSchema) {
    source_.run(
        "CREATE SCHEMA \"Ext\"; CREATE EXTENSION hstore SCHEMA \"Ext\"; CREATE TABLE t (id int, h "
        "\"Ext\".hstore, "
        "l \"Ext\".hstore[]); INSERT INTO t VALUES (1, 'a=>1', ARRAY['b=>2'::\"Ext\".hstore])");
    target_.run("CREATE SCHEMA elsewhere; CREATE EXTENSION hstore SCHEMA elsewhere");
    auto p = process();
    ASSERT_OK(load(*p, table("t")));
    EXPECT_EQ(target_.ask("SELECT h, l FROM t"), source_.ask("SELECT h, l FROM t"));
}

TEST_F(PreparationTest, WithoutTheRightToCreateTypes) {
    plain_user();
    source_.run(
        "CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('a b', 'b'); CREATE TABLE t (id int PRIMARY KEY, "
        "m "
        "shop.mood, l shop.mood[]); INSERT INTO t VALUES (1, 'a b', '{b,NULL}')");
    target_.run("CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO " + user_);
    auto p = process();
    auto done = load(*p, table("t"));
    ASSERT_OK(done);
    EXPECT_EQ(target_columns("t"), "id integer !, m character varying, l character varying");
    EXPECT_EQ(target_.ask("SELECT * FROM t"), "1|a b|{b,NULL}");
    ASSERT_EQ(done->warnings.size(), 2U);
    EXPECT_THAT(done->warnings[0], HasSubstr("may not create type shop.mood"));
}

TEST_F(PreparationTest, DropAndCreateNamesDependants) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY)");
    target_.run(
        "CREATE TABLE t (id int PRIMARY KEY, old text); CREATE VIEW seen AS SELECT id FROM t; CREATE TABLE "
        "child "
        "(t int CONSTRAINT to_t REFERENCES t)");
    auto p = process();
    const auto done = p->prepare(table("t"), PrepMode::drop_and_create, kBoth, {});
    EXPECT_THAT(error_text(done),
                AllOf(HasSubstr("view public.seen"), HasSubstr("constraint to_t on table public.child")));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM godwit.gw_table"), "0");  // nothing stays of it
    target_.run("DROP VIEW seen; DROP TABLE child");
    ASSERT_OK(load(*p, table("t")));
    EXPECT_EQ(target_columns("t"), "id integer !");
}

TEST_F(PreparationTest, DropAndCreateOfAView) {
    source_.run("CREATE TABLE t (id int)");
    target_.run("CREATE VIEW t AS SELECT 1 AS id");
    auto p = process();
    EXPECT_THAT(error_text(p->prepare(table("t"), PrepMode::drop_and_create, kBoth, {})),
                HasSubstr("but a view"));
}

TEST_F(PreparationTest, TruncateKeepsTheTable) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, '')");
    target_.run(
        "CREATE TABLE t (extra int DEFAULT 7, v text, id bigint PRIMARY KEY); INSERT INTO t VALUES (1, "
        "'old', 9)");
    auto p = process();
    auto done = load(*p, table("t"), PrepMode::truncate);
    ASSERT_OK(done);
    EXPECT_FALSE(done->created);
    EXPECT_EQ(done->format, "pg.csv");  // int4 -> int8
    EXPECT_EQ(target_.ask("SELECT id, v, v IS NULL, extra FROM t ORDER BY id"), "1|a|f|7\n2||f|7");
}

TEST_F(PreparationTest, TruncateOfAReferencedTableDeletes) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    target_.run(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child (t int REFERENCES t); INSERT INTO t VALUES "
        "(1), (5); "
        "INSERT INTO child VALUES (5)");
    auto p = process();
    ASSERT_OK(load(*p, table("t"), PrepMode::truncate));
    EXPECT_EQ(target_.ask("SELECT id FROM t"), "1");
}

TEST_F(PreparationTest, MissingTableIsCreatedInEveryMode) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    for (const auto mode : {PrepMode::truncate, PrepMode::do_nothing}) {
        auto p = process("copy");
        auto done = load(*p, table("t"), mode);
        ASSERT_OK(done);
        EXPECT_TRUE(done->created);
        EXPECT_EQ(target_.ask("SELECT count(*) FROM copy.t"), "1");
        target_.run("DROP TABLE copy.t");
    }
}

TEST_F(PreparationTest, DoNothingKeepsRowsAndReloadsOnlyItsOwn) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    target_.run("CREATE TABLE t (id int PRIMARY KEY)");
    auto p = process();
    const auto t = table("t");
    ASSERT_OK(load(*p, t, PrepMode::do_nothing));
    ASSERT_OK(load(*p, t, PrepMode::do_nothing));  // its own rows go first
    EXPECT_EQ(target_.ask("SELECT count(*) FROM t"), "2");
    // another task fills the same table: now nobody can tell the rows apart
    auto other = task("task2");
    auto prepared = other->prepare(t, PrepMode::do_nothing, kBoth, {});
    ASSERT_OK(prepared);
    EXPECT_THAT(error_text(p->prepare(t, PrepMode::do_nothing, kBoth, {})), HasSubstr("not this task's"));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM t"), "2");
}

TEST_F(PreparationTest, DoNothingNeverDeletesForeignRows) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    target_.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (100)");
    auto p = process();
    const auto t = table("t");
    ASSERT_OK(load(*p, t, PrepMode::do_nothing));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM t"), "3");
    EXPECT_THAT(error_text(p->prepare(t, PrepMode::do_nothing, kBoth, {})), HasSubstr("not this task's"));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM t"), "3");
}

TEST_F(PreparationTest, ColumnsMustMatch) {
    source_.run(
        "CREATE TABLE a (id int PRIMARY KEY, v text, w text); CREATE TABLE b (id int); CREATE TABLE c (id "
        "int, v int)");
    target_.run(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int, must text NOT NULL, may text); CREATE "
        "TABLE c "
        "(id int, v int GENERATED ALWAYS AS (id) STORED)");
    auto p = process();
    EXPECT_THAT(error_text(p->prepare(table("a"), PrepMode::truncate, kBoth, {})),
                HasSubstr("lacks column v, w"));
    EXPECT_THAT(error_text(p->prepare(table("b"), PrepMode::truncate, kBoth, {})), HasSubstr("column must"));
    EXPECT_THAT(error_text(p->prepare(table("c"), PrepMode::truncate, kBoth, {})),
                HasSubstr("generated on the target"));
}

// A table that would keep other values than it is given is refused, and no other is. The server itself is
// asked which: what it reads and prints otherwise, without an error.
TEST_F(PreparationTest, ColumnsThatChangeValuesAreRefused) {
    struct Pair {
        const char* from;
        const char* to;
        const char* value;  // the worst that `from` can hold for `to`
    };
    const std::vector<Pair> refused{
        {"numeric(10,4)", "numeric(10,2)", "1.2345"},
        {"numeric", "numeric(30,10)", "1e-20"},
        {"double precision", "numeric(20,2)", "1.25e-5"},
        {"numeric(10,4)[]", "numeric(10,2)[]", "{1.2345}"},
        {"exact", "numeric(10,2)", "1.2345"},
        {"exact", "coarse", "1.2345"},
        {"exact[]", "coarse[]", "{1.2345}"},
        {"double precision", "real", "0.123456789"},
        {"numeric(7,0)", "real", "1234567.8"},
        {"integer", "real", "16777217"},
        {"bigint", "double precision", "9007199254740993"},
        {"numeric(17,0)", "double precision", "90071992547409931"},
        {"numeric(10,3)", "money", "1.239"},
        {"timestamp", "timestamp(3)", "2020-01-01 10:00:00.123456"},
        {"timestamp(6)", "timestamp(5)", "2020-01-01 10:00:00.123456"},
        {"timestamptz(3)", "timestamptz(0)", "2020-01-01 10:00:00.6+00"},
        {"timestamp", "date", "2020-01-01 10:00:00"},
        {"timestamptz", "date", "2020-01-01 10:00:00+00"},
        {"timestamp", "time", "2020-01-01 10:00:00"},
        {"time(6)", "time(0)", "10:00:00.6"},
        {"timetz", "time", "10:00:00+02"},
        {"timetz(3)", "timetz(0)", "10:00:00.6+02"},
        {"interval", "interval(0)", "00:00:01.6"},
        {"interval", "interval day to minute", "1 day 10:11:12"},
        {"text", "numeric(10,2)", "1.005"},
        {"varchar(20)", "real", "0.123456789"},
        {"text", "double precision", "9007199254740993"},
        {"text", "money", "1.239"},
        {"text", "date", "2020-01-01 10:00"},
        {"varchar(20)", "time(3)", "10:00:00.1236"},
        {"text", "timestamp(0)", "2020-01-01 10:00:00.6"},
        {"text", "interval(0)", "00:00:01.6"},
        {"text[]", "numeric(10,2)[]", "{1.005}"},
        {"text", "\"char\"", "abc"},
        {"varchar(80)", "name", "0123456789012345678901234567890123456789012345678901234567890123456789"}};
    const std::vector<Pair> taken{{"numeric(10,2)", "numeric(12,4)", "1.23"},
                                  {"numeric(10,2)", "numeric(8,2)", "1.23"},  // too large is an error
                                  {"numeric(10,4)", "numeric", "1.2345"},
                                  {"bigint", "numeric(20,0)", "9223372036854775807"},
                                  {"bigint", "integer", "77"},
                                  {"smallint", "real", "32767"},
                                  {"numeric(6,2)", "real", "1234.56"},
                                  {"numeric(15,2)", "double precision", "1234567890123.45"},
                                  {"real", "double precision", "0.1"},
                                  {"integer", "double precision", "2147483647"},
                                  {"timestamp(3)", "timestamp", "2020-01-01 10:00:00.123"},
                                  {"timestamp(3)", "timestamp(3)", "2020-01-01 10:00:00.123"},
                                  {"date", "timestamp(0)", "2020-01-01"},
                                  {"time(0)", "time(3)", "10:00:00"},
                                  {"interval(3)", "interval", "00:00:01.123"},
                                  {"interval day", "interval day to second", "3 days"},
                                  {"numeric(10,4)", "text", "1.2345"},
                                  {"text", "numeric", "1.2345"},  // what they cannot read is an error
                                  {"text", "bigint", "12"},
                                  {"text", "time", "10:00:00.123456"},
                                  {"text", "timestamp", "2020-01-01 10:00:00.123456"},
                                  {"numeric(10,4)[]", "text", "{1.2345}"},
                                  {"varchar(10)", "varchar(5)", "abcde"},  // too long is an error
                                  {"varchar(10)", "name", "abcdefghij"},
                                  {"coarse", "exact", "1.23"},
                                  {"\"char\"", "\"char\"", "a"}};
    for (auto* d : {&source_, &target_})
        d->run("CREATE DOMAIN exact AS numeric(10,4); CREATE DOMAIN coarse AS numeric(10,2)");
    auto p = process();
    const auto prepare = [&](const Pair& pair, std::vector<std::string>& warnings) {
        source_.run(fmt::format("CREATE TABLE t (v {})", pair.from));
        target_.run(fmt::format("CREATE TABLE t (v {})", pair.to));
        auto done = p->prepare(table("t"), PrepMode::truncate, kBoth, {});
        source_.run("DROP TABLE t");
        target_.run("DROP TABLE t");
        if (done) warnings = done->warnings;
        return error_text(done);
    };
    std::vector<std::string> warnings;
    for (const auto& pair : refused) {
        const auto what = fmt::format("{} into {}", pair.from, pair.to);
        EXPECT_NE(target_.ask(fmt::format("SELECT '{}'::{}", pair.value, pair.to)), pair.value) << what;
        EXPECT_THAT(prepare(pair, warnings), AllOf(HasSubstr("would round or cut"), HasSubstr("v ("),
                                                   HasSubstr(" into "), HasSubstr("as many digits")))
            << what;
    }
    for (const auto& pair : taken) {
        const auto what = fmt::format("{} into {}", pair.from, pair.to);
        EXPECT_EQ(prepare(pair, warnings), "(no error)") << what;
    }
    for (const auto& pair : {Pair{"text", "varchar(3)", ""}, Pair{"varchar(5)", "char(9)", ""}}) {
        EXPECT_EQ(prepare(pair, warnings), "(no error)");
        EXPECT_THAT(warnings, Contains(HasSubstr("drops blanks"))) << pair.to;
    }
}

TEST_F(PreparationTest, PartitionedRootBecomesPlain) {
    source_.run(
        "CREATE TABLE p (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); CREATE TABLE p1 "
        "PARTITION OF p "
        "FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); INSERT INTO p VALUES (1, '2020-02-02')");
    auto p = process();
    ASSERT_OK(load(*p, table("p")));
    EXPECT_EQ(target_.ask("SELECT relkind FROM pg_class WHERE oid = 'p'::regclass"), "r");
    EXPECT_EQ(target_.ask("SELECT * FROM p"), "1|2020-02-02");
    // and into a partitioned one that the user made
    target_.run(
        "DROP TABLE p; CREATE TABLE p (id int, d date, PRIMARY KEY (id, d)) PARTITION BY RANGE (d); CREATE "
        "TABLE q "
        "PARTITION OF p DEFAULT");
    auto again = load(*p, table("p"), PrepMode::truncate);
    ASSERT_OK(again);
    EXPECT_EQ(target_.ask("SELECT * FROM q"), "1|2020-02-02");
}

TEST_F(PreparationTest, TriggersAndForeignKeysStayQuiet) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY, o int); INSERT INTO t VALUES (1, 99)");
    target_.run(
        R"(CREATE TABLE o (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, o int CONSTRAINT to_o REFERENCES o);
        CREATE TABLE seen (id int);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (new.id); RETURN new; END $$;
        CREATE TRIGGER noting BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION note())");
    auto p = process();
    auto done = load(*p, table("t"), PrepMode::truncate);
    ASSERT_OK(done);
    EXPECT_EQ(target_.ask("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM seen)"), "1|0");
    EXPECT_THAT(done->warnings, IsEmpty());
    target_.run("ALTER TABLE t ENABLE ALWAYS TRIGGER noting");
    auto again = load(*p, table("t"), PrepMode::truncate);
    ASSERT_OK(again);
    EXPECT_THAT(again->warnings, ElementsAre(HasSubstr("trigger noting acts on every row")));
}

TEST_F(PreparationTest, WithoutTheReplicaRole) {
    plain_user();
    source_.run(
        "CREATE TABLE t (id int PRIMARY KEY, o int); CREATE TABLE free (id int PRIMARY KEY); INSERT INTO "
        "free VALUES (1)");
    target_.run("SET ROLE " + user_ + R"(; CREATE TABLE o (id int PRIMARY KEY);
        CREATE TABLE t (id int PRIMARY KEY, o int CONSTRAINT to_o REFERENCES o); CREATE TABLE free (id int PRIMARY KEY))");
    auto p = process();
    EXPECT_THAT(error_text(p->prepare(table("t"), PrepMode::truncate, kBoth, {})),
                AllOf(HasSubstr("foreign key to_o"), HasSubstr("session_replication_role")));
    ASSERT_OK(load(*p, table("free"), PrepMode::truncate));
    // granted, it works (15 and later)
    if (target_.connect().server_version() >= 150000) {
        target_.run("GRANT SET ON PARAMETER session_replication_role TO " + user_);
        auto q = process();
        EXPECT_OK(q->prepare(table("t"), PrepMode::truncate, kBoth, {}));
        target_.run("REVOKE SET ON PARAMETER session_replication_role FROM " + user_);
    }
}

TEST_F(PreparationTest, WarnsOfMissingIndexes) {
    source_.run(
        "CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE f (a int, b int); ALTER TABLE f REPLICA "
        "IDENTITY FULL");
    target_.run("CREATE TABLE t (id int, v int); CREATE TABLE f (a int, b int)");
    auto p = process();
    EXPECT_THAT(load(*p, table("t"), PrepMode::truncate)->warnings, ElementsAre(HasSubstr("no index on id")));
    EXPECT_THAT(load(*p, table("f"), PrepMode::truncate)->warnings,
                ElementsAre(HasSubstr("no key and no index")));
    target_.run("CREATE INDEX ON t (id); CREATE INDEX ON f (b)");
    EXPECT_THAT(load(*p, table("t"), PrepMode::truncate)->warnings,
                ElementsAre(HasSubstr("no unique index on id")));
    EXPECT_THAT(load(*p, table("f"), PrepMode::truncate)->warnings, IsEmpty());
    target_.run("CREATE UNIQUE INDEX ON t (id) WHERE v > 0");  // partial: no help
    EXPECT_THAT(load(*p, table("t"), PrepMode::truncate)->warnings,
                ElementsAre(HasSubstr("no unique index on id")));
    target_.run("CREATE UNIQUE INDEX ON t (id)");
    EXPECT_THAT(load(*p, table("t"), PrepMode::truncate)->warnings, IsEmpty());
}

TEST_F(PreparationTest, KeysFollowTheIdentity) {
    source_.run(
        R"(CREATE TABLE i (id int, a int NOT NULL, b int NOT NULL); CREATE UNIQUE INDEX ii ON i (b, a);
        ALTER TABLE i REPLICA IDENTITY USING INDEX ii;
        CREATE TABLE j (id int PRIMARY KEY, a int NOT NULL); CREATE UNIQUE INDEX ji ON j (a); ALTER TABLE j REPLICA IDENTITY USING INDEX ji;
        CREATE TABLE d (id int PRIMARY KEY DEFERRABLE, a int); ALTER TABLE d REPLICA IDENTITY FULL;
        CREATE TABLE k (few int, many text, wide text); ALTER TABLE k REPLICA IDENTITY FULL;
        INSERT INTO k SELECT i % 3, 'v' || i, repeat('x', 4000) FROM generate_series(1, 12000) i;
        CREATE TABLE s (few int); ALTER TABLE s REPLICA IDENTITY FULL; INSERT INTO s VALUES (1))");
    auto p = process();
    const auto indexes = [&](const std::string& name) {
        return target_.ask(
            "SELECT regexp_replace(indexdef, '^.* USING ', CASE WHEN indexdef ~ 'UNIQUE' THEN 'unique ' ELSE "
            "'' "
            "END) FROM pg_indexes WHERE tablename = '" +
            name + "' ORDER BY 1");
    };
    for (const char* n : {"i", "j", "d", "k", "s"}) ASSERT_OK(load(*p, table(n)));
    EXPECT_EQ(indexes("i"), "unique btree (b, a)");
    EXPECT_EQ(indexes("j"), "unique btree (a)\nunique btree (id)");
    EXPECT_EQ(target_.ask("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND "
                          "conrelid = 'd'::regclass"),
              "PRIMARY KEY (id) DEFERRABLE INITIALLY DEFERRED");
    EXPECT_EQ(indexes("k"), "hash (many)");
    EXPECT_EQ(indexes("s"), "");
}

// Names of two source schemas may meet in one target schema.
TEST_F(PreparationTest, KeyNameIsTaken) {
    source_.run(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t (id int CONSTRAINT k PRIMARY KEY); CREATE TABLE "
        "b.u (id int "
        "CONSTRAINT k PRIMARY KEY)");
    auto p = process("both");
    ASSERT_OK(load(*p, table("t", "a")));
    ASSERT_OK(load(*p, table("u", "b")));
    EXPECT_EQ(
        target_.ask(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND connamespace = 'both'::regnamespace"),
        "2");
}

// A crash between two steps of finish_load: it is simply called again.
TEST_F(PreparationTest, FinishIsRepeatable) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    auto p = process();
    const auto t = table("t");
    auto prepared = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m"});
    ASSERT_OK(prepared);
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(copy(**writer, t, *prepared, 0, "WHERE id = 1"));
    ASSERT_OK(copy(**writer, t, *prepared, 1, "WHERE id = 2"));
    target_.run(
        "ALTER TABLE t ADD CONSTRAINT other PRIMARY KEY (id)");  // as if the crash came right after the key
    auto q = process();
    auto again = q->prepared(t, ledger_.tables.at(0), kBoth);
    ASSERT_OK(again);
    ASSERT_OK(q->finish_load(t, *again, TablePhase::loaded, 0));
    ASSERT_OK(q->finish_load(t, *again, TablePhase::loaded, 0));
    EXPECT_EQ(target_.ask("SELECT phase, rows FROM godwit.gw_table"), "loaded|2");
    // what is late is refused: the table is not loading any more
    auto late = p->open_writer();
    EXPECT_FALSE((*late)->begin(t, *prepared, 2).has_value());
    auto late_too = q->open_writer();
    EXPECT_FALSE((*late_too)->begin(t, *again, 2).has_value());
}

// Tables are prepared side by side; what they share is made once.
TEST_F(PreparationTest, SideBySide) {
    source_.run("CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('a', 'b')");
    constexpr int kTables = 12;
    for (int i = 0; i < kTables; ++i)
        source_.run("CREATE TABLE shop.t" + std::to_string(i) +
                    " (id int PRIMARY KEY, m shop.mood); INSERT INTO shop.t" + std::to_string(i) +
                    " VALUES (1, 'a')");
    auto p = process();
    std::vector<std::string> errors(kTables);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < kTables; ++i)
            threads.emplace_back([&, i] {
                auto done = load(*p, table("t" + std::to_string(i), "shop"));
                if (!done) errors[i] = done.error().text();
            });
    }
    for (const auto& e : errors) EXPECT_EQ(e, "");
    EXPECT_EQ(target_.ask("SELECT count(*) FROM godwit.gw_table WHERE phase = 'joined'"),
              std::to_string(kTables));
}

// The session of a lost client holds its locks no longer than the server needs to notice.
TEST_F(PreparationTest, SessionsAreWatchedAndNamed) {
    auto p = process();
    source_.run("CREATE TABLE t (id int)");
    auto prepared = p->prepare(table("t"), PrepMode::drop_and_create, kBoth, {});
    ASSERT_OK(prepared);
    auto writer = p->open_writer();
    ASSERT_TRUE(*(*writer)->begin(table("t"), *prepared, 0));
    EXPECT_EQ(
        target_.ask("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'godwit/task1/1'"),
        "t");
}

TEST_F(PreparationTest, AfterConnectScriptAndCommitMode) {
    target_.run("CREATE TABLE script (who text)");
    {
        auto p = process(
            {}, {{"afterconnectscript", "INSERT INTO public.script VALUES ('x'); SET DateStyle = 'German'"},
                 {"synchronouscommit", "remote_write"}});
        source_.run("CREATE TABLE t (d date); INSERT INTO t VALUES ('2020-12-31')");
        auto prepared = p->prepare(table("t"), PrepMode::drop_and_create, {"pg.csv"}, {});
        ASSERT_OK(prepared);
        auto writer = p->open_writer();
        ASSERT_OK(copy(**writer, table("t"), *prepared, 0));
    }
    EXPECT_EQ(target_.ask("SELECT d FROM t"), "2020-12-31");
    EXPECT_NE(target_.ask("SELECT count(*) FROM script"), "0");
    EndpointConfig e = target_.endpoint();
    e.attributes["afterconnectscript"] = "SELECT nonsense";
    auto broken = make_target(e, TaskContext{"task1", {}, {}, nullptr, nullptr});
    EXPECT_THAT(error_text((*broken)->open()), HasSubstr("AfterConnectScript"));
}

}  // namespace
}  // namespace godwit::postgres
