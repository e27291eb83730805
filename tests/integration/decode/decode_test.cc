// What a real server sends is what SELECT shows: snapshot(x) = change(x), for every type of spec/data-types
// section 9, through pgoutput in text and binary, streamed and not, and through test_decoding.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <atomic>

#include <chrono>
#include <random>
#include <thread>

#include "decode/reader.h"
#include "sources/postgres/publications.h"

namespace godwit::test {
namespace {

using postgres::Lsn;

struct Samples {
    std::string type;
    std::vector<std::string> values;  // SQL expressions
    int version_min = 0;
};

const std::vector<Samples>& samples() {
    static const std::vector<Samples> all{
        {"int2", {"-32768", "-1", "0", "32767"}},
        {"int4", {"-2147483648", "0", "2147483647"}},
        {"int8", {"-9223372036854775808", "9223372036854775807"}},
        {"numeric",
         {"0", "1.10", "-0.1", "'NaN'", "repeat('9', 131072)::numeric",
          "('0.' || repeat('1', 16383))::numeric"}},
        {"numeric", {"'Infinity'", "'-Infinity'"}, 140000},
        {"numeric(38,38)", {"0.99999999999999999999999999999999999999"}},
        {"numeric(38,0)", {"-99999999999999999999999999999999999999"}},
        {"numeric(1000,500)", {"repeat('9',500)::numeric"}},
        {"numeric(3,-2)", {"-99900"}, 150000},
        {"numeric(2,5)", {"0.00099"}, 150000},
        {"real", {"0", "'-0.0'", "'1e-45'", "'3.4028235e38'", "'NaN'", "'Infinity'", "'-Infinity'", "1.1"}},
        {"double precision",
         {"'-0.0'", "'4.9e-324'", "'1.7976931348623157e308'", "0.30000000000000004", "'NaN'", "'Infinity'",
          "'-Infinity'"}},
        {"money", {"'-92233720368547758.08'", "'92233720368547758.07'", "'1234.50'"}},
        {"boolean", {"true", "false"}},
        {"text",
         {"''", "' '", "'NULL'", "'null'", "'\\N'", "'it''s \"quoted\", really'", "E'a\\r\\nb\\tc\\\\d'",
          "U&'\\+01F600'", "U&'e\\0301 \\FFFD \\05D0\\05D1'", "' new-tuple: x[integer]:1'",
          "repeat('x', 1000000)",
          "(SELECT string_agg(md5(i::text), '''') FROM generate_series(1, 300000) i)"}},
        {"varchar(4)", {"U&'\\+01F600\\+01F600\\+01F600\\+01F600'"}},
        {"varchar", {"repeat('y', 8001)"}},
        {"char(5)", {"'ab'", "''"}},
        {"\"char\"", {"'z'", "''", "''''"}},
        {"name", {"'n'"}},
        {"bytea",
         {"''", "'\\x00'",
          "(SELECT string_agg(set_byte('\\x00', 0, i), '') FROM generate_series(0, 255) i)"}},
        {"date",
         {"'4713-01-01 BC'", "'0001-01-01'", "'1582-10-10'", "'9999-12-31'", "'5874897-12-31'", "'infinity'",
          "'-infinity'"}},
        {"timestamp",
         {"'4713-11-24 00:00:00 BC'", "'1969-12-31 23:59:59.999999'", "'2024-02-29 12:34:56.123456'",
          "'294276-12-31 23:59:59.999999'", "'infinity'", "'-infinity'"}},
        {"timestamp(0)", {"'2024-02-29 12:34:56.6'"}},
        {"timestamptz",
         {"'1890-01-01 00:00:00+00:53:28'", "'2024-03-31 02:30:00 Europe/Berlin'", "'infinity'"}},
        {"timestamptz(3)", {"'2024-02-29 12:34:56.6789+05:30'"}},
        {"time", {"'00:00'", "'23:59:59.999999'", "'24:00:00'"}},
        {"timetz", {"'24:00:00+15:59'", "'00:00:00-15:59'"}},
        {"interval",
         {"'1 year 2 mons 3 days 04:05:06.789'", "'-1 days -01:42:30'", "'1 mon -2 days +3:00'", "'0'",
          "'178000000 years'"}},
        {"interval", {"'infinity'"}, 170000},
        {"int[]", {"'{}'", "'{NULL}'", "'{{1,2},{3,4}}'", "'[0:1]={1,2}'"}},
        {"text[]", {"'{\"NULL\",NULL,\"\"}'", "ARRAY['a,b', '{x}', 'q\"q', 'b\\s', '''', '']"}},
        {"timestamptz[]", {"ARRAY['2024-01-01'::timestamptz]"}},
        {"mood", {"'it''s ok'", "'so so'"}},
        {"mood[]", {"ARRAY['it''s ok'::mood, NULL]"}},
        {"posint", {"7"}},
        {"posbool", {"true"}},
        {"shorttext", {"'a''b'"}},
        {"intlist", {"'{1,2}'"}},
        {"pair", {"ROW(1, 'a,b', NULL)", "ROW(NULL, '', 'x')", "ROW(2, 'q\"uo''te', 'y')"}},
        {"pair[]", {"ARRAY[ROW(1, 'a,b', NULL)::pair]"}},
        {"int4range", {"'empty'", "'(,)'", "'[1,5)'"}},
        {"tstzrange", {"'[2024-01-01,infinity]'"}},
        {"numrange", {"'(1.5,2.5]'"}},
        {"int4multirange", {"'{[1,3),[5,8)}'", "'{}'"}, 140000},
        {"inet", {"'192.168.0.1/24'", "'::ffff:1.2.3.4'", "'::/0'"}},
        {"cidr", {"'10.0.0.0/8'"}},
        {"macaddr", {"'08:00:2b:01:02:03'"}},
        {"macaddr8", {"'08:00:2b:01:02:03:04:05'"}},
        {"uuid", {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
        {"bit(1)", {"B'0'", "B'1'"}},
        {"bit(64)", {"repeat('1', 64)::bit(64)"}},
        {"varbit", {"B''", "B'10101'"}},
        {"json",
         {"'{\"b\":1, \"a\":1e400,\"b\":2}'", "'12345678901234567890.123'", "'\"\\u0000\"'", "'null'",
          "'\"\"'", "'[]'", "' {}  '"}},
        {"jsonb", {"'{\"b\":1, \"a\":1e400,\"b\":2}'", "'null'", "'\"it''s\"'"}},
        {"xml", {"'<?xml version=\"1.0\"?><a>x</a>'", "'<a/>text'"}},
        {"tsvector", {"'a:1A cat:2,5B ''it''''s'':3'"}},
        {"tsquery", {"'a & !b | c:*'"}},
        {"point", {"'(1.5,-0)'", "'(Infinity,NaN)'"}},
        {"line", {"'{1,2,3}'"}},
        {"lseg", {"'[(0,0),(1,1)]'"}},
        {"box", {"'(1,1),(0,0)'"}},
        {"box[]", {"'{(1,1),(0,0);(3,3),(2,2)}'"}},
        {"path", {"'((0,0),(1,1))'", "'[(0,0),(1,1)]'"}},
        {"polygon", {"'((0,0),(1,1),(2,0))'"}},
        {"circle", {"'<(0,0),2>'"}},
        {"oid", {"4294967295"}},
        {"pg_lsn", {"'16/B374D848'"}},
        {"regclass", {"'pg_class'::regclass"}},
        {"xid8", {"'18446744073709551615'"}},
        {"jsonpath", {"'$.a[*] ? (@ > 1)'"}},
    };
    return all;
}

const std::vector<Mode>& modes() {
    static const std::vector<Mode> all{{"text"},
                                       {"binary", "pgoutput", true},
                                       {"streamed", "pgoutput", false, true},
                                       {"binary_streamed", "pgoutput", true, true},
                                       {"test_decoding", "test_decoding"}};
    return all;
}

class DecodeTest : public ServersTest {
protected:
    void SetUp() override {
        ServersTest::SetUp();
        if (IsSkipped()) return;
        slot_ = "gw_" + source_.name;
        version_ = std::stoi(source_.ask("SHOW server_version_num"));
        if (source_.ask("SHOW wal_level") != "logical") GTEST_SKIP() << "wal_level is not logical";
    }
    void TearDown() override {
        if (!source_.name.empty() && source_.name != "postgres") try {
                auto session = source_.connect();
                for (const auto& s : slots_) (void)postgres::drop_slot(session, s, "godwit/", clock_, {});
            } catch (const std::exception&) {
            }
        ServersTest::TearDown();
    }
    // publication `pub` has to exist
    std::string make_slot(const std::string& plugin) {
        const std::string name = slot_ + fmt::format("_{}", slots_.size());
        slots_.push_back(name);
        source_.run(fmt::format("SELECT pg_create_logical_replication_slot('{}', '{}')", name, plugin));
        return name;
    }

    std::string slot_;
    std::vector<std::string> slots_;
    int version_ = 0;
    SystemClock clock_;
};

// (table, id) -> text and binary of the column, as a session of the source sees it
std::map<std::pair<std::string, int>, std::string> select_values(const Database& database,
                                                                 const std::string& table, bool binary) {
    auto session = database.connect();
    std::map<std::pair<std::string, int>, std::string> out;
    const std::string sql = fmt::format("SELECT id, v FROM public.{} ORDER BY id", table);
    const pg::Rows ids(PQexecParams(session.raw(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0));
    const pg::Rows values(
        PQexecParams(session.raw(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, binary ? 1 : 0));
    if (values.size() != ids.size()) throw std::runtime_error(session.error_of(values.raw(), table).text());
    for (int i = 0; i < ids.size(); ++i)
        out[{"public." + table, static_cast<int>(ids.number(i, 0))}] = values.text(i, 1);
    return out;
}

TEST_F(DecodeTest, SnapshotEqualsChange) {
    source_.run(
        "CREATE TYPE mood AS ENUM ('it''s ok', 'so so'); CREATE DOMAIN posint AS int CHECK (value > 0);"
        "CREATE DOMAIN posbool AS boolean; CREATE DOMAIN shorttext AS text; CREATE DOMAIN intlist AS int[];"
        "CREATE TYPE pair AS (a int, \"B b\" text, c text)");
    std::vector<std::string> tables;
    std::string create, work = "BEGIN;";
    for (const auto& s : samples()) {
        if (s.version_min > version_) continue;
        const std::string table = fmt::format("s{}", tables.size());
        tables.push_back(table);
        create += fmt::format(
            "CREATE TABLE {0} (id int PRIMARY KEY, v {1}); ALTER TABLE {0} REPLICA IDENTITY FULL;", table,
            s.type);
        for (std::size_t i = 0; i < s.values.size(); ++i)
            work += fmt::format("INSERT INTO {} VALUES ({}, {});", table, i, s.values[i]);
        work += fmt::format("INSERT INTO {} VALUES (1000, NULL);", table);
    }
    source_.run(create + "CREATE PUBLICATION pub FOR ALL TABLES WITH (publish_via_partition_root = true)");
    std::vector<std::pair<Mode, std::string>> readers;
    for (const auto& m : modes())
        if (version_ >= 140000 || (!m.binary && !m.streaming)) readers.emplace_back(m, make_slot(m.plugin));
    source_.run(work + "COMMIT");
    std::map<std::pair<std::string, int>, std::string> texts, binaries;
    for (const auto& t : tables) {
        texts.merge(select_values(source_, t, false));
        binaries.merge(select_values(source_, t, true));
    }
    work = "BEGIN;";
    for (const auto& t : tables) {
        work += fmt::format("UPDATE {0} SET v = NULL WHERE id < 1000; ", t);  // old rows in full
        work += fmt::format("DELETE FROM {0};", t);
    }
    // and from another value
    source_.run("BEGIN; CREATE TABLE IF NOT EXISTS again (id int); COMMIT");
    source_.run(work + "COMMIT");

    for (const auto& [mode, slot] : readers) {
        SCOPED_TRACE(mode.name);
        SlotReader reader(source_, mode, slot, {"pub"});
        ASSERT_OK(reader.read_all());
        EXPECT_TRUE(reader.sink.order_grows);
        EXPECT_EQ(reader.sink.streamed > 0, mode.streaming || mode.plugin == "test_decoding");
        std::size_t inserted = 0, updated = 0, removed = 0;
        const auto check = [&](const Change& c, const std::vector<Value>& row, bool null_expected) {
            ASSERT_EQ(row.size(), 2U);
            const bool binary_id = row[0].state == CellState::binary;
            int id = 0;
            if (binary_id)
                for (const char b : row[0].bytes) id = id << 8 | static_cast<unsigned char>(b);
            else
                id = std::stoi(row[0].bytes);
            EXPECT_EQ(binary_id, mode.binary);
            if (id == 1000 || null_expected) {
                EXPECT_EQ(row[1].state, CellState::null) << c.table << " " << id;
                return;
            }
            ASSERT_NE(row[1].state, CellState::null) << c.table << " " << id;
            const auto& expected = (row[1].state == CellState::binary ? binaries : texts).at({c.table, id});
            EXPECT_TRUE(row[1].bytes == expected)
                << c.table << " " << id << ": " << row[1].bytes.substr(0, 100) << " but "
                << expected.substr(0, 100);
            if (!mode.binary) {
                EXPECT_EQ(row[1].state, CellState::text);
            }
        };
        for (const auto& c : reader.sink.changes) {
            if (c.table == "public.again") continue;
            switch (c.kind) {
                case RecordKind::insert:
                    ++inserted, check(c, c.row, false);
                    break;
                case RecordKind::update:
                    ++updated;
                    EXPECT_EQ(c.old_kind, OldRow::full);
                    check(c, c.old_row, false);
                    check(c, c.row, true);
                    break;
                case RecordKind::remove:
                    ++removed, check(c, c.old_row, true);
                    break;
                default:
                    break;
            }
        }
        EXPECT_EQ(inserted, texts.size());
        EXPECT_EQ(removed, texts.size());
        EXPECT_EQ(updated, texts.size() - tables.size());
        EXPECT_TRUE(reader.left_out.empty());
    }
}

// Unchanged TOAST is neither NULL nor empty.
TEST_F(DecodeTest, UnchangedToast) {
    source_.run(
        "CREATE TABLE t (id int PRIMARY KEY, big text, n int); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;"
        "CREATE PUBLICATION pub FOR TABLE t; INSERT INTO t VALUES (1, repeat('x', 100000), 1)");
    std::vector<std::pair<Mode, std::string>> readers;
    for (const auto& m : modes())
        if (version_ >= 140000 || (!m.binary && !m.streaming)) readers.emplace_back(m, make_slot(m.plugin));
    source_.run("UPDATE t SET n = 2");
    source_.run("UPDATE t SET id = 2");
    source_.run("UPDATE t SET big = ''");
    for (const auto& [mode, slot] : readers) {
        SCOPED_TRACE(mode.name);
        SlotReader reader(source_, mode, slot, {"pub"});
        ASSERT_OK(reader.read_all());
        ASSERT_EQ(reader.sink.changes.size(), 3U);
        const auto& c = reader.sink.changes;
        EXPECT_EQ(c[0].row[1].state, CellState::unchanged);
        EXPECT_EQ(c[0].old_kind, OldRow::none);
        EXPECT_EQ(c[1].old_kind, OldRow::key);
        EXPECT_EQ(c[1].old_row[1].state, CellState::null);
        EXPECT_EQ(c[2].row[1].state, mode.binary ? CellState::binary : CellState::text);
        EXPECT_EQ(c[2].row[1].bytes, "");
    }
}

// Random work in concurrent transactions with savepoints, rolled back parts, DDL and partitions; replaying
// the changes gives the tables, in every mode.
TEST_F(DecodeTest, ReplayEqualsTables) {
    source_.run(
        "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE \"Odd.\"\"name\" (id int PRIMARY KEY, v "
        "text);"
        "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY HASH (id);"
        "CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
        "CREATE PUBLICATION pub FOR TABLE t, \"Odd.\"\"name\", p WITH (publish_via_partition_root = true)");
    std::vector<std::pair<Mode, std::string>> readers;
    for (const auto& m : modes())
        if (version_ >= 140000 || (!m.binary && !m.streaming)) readers.emplace_back(m, make_slot(m.plugin));
    std::mt19937 random(20240229);
    constexpr int kSessions = 4;
    std::vector<pg::Connection> sessions;
    std::vector<int> depth(kSessions, -1);  // -1: no transaction
    for (int i = 0; i < kSessions; ++i) sessions.push_back(source_.connect({}, true));
    const std::vector<std::string> tables{"t", "\"Odd.\"\"name\"", "p"};
    const auto run = [&](int s, const std::string& sql) {
        const auto done = sessions[static_cast<std::size_t>(s)].run(sql);
        ASSERT_TRUE(done) << sql << ": " << done.error().text();
    };
    int columns_added = 0;
    for (int step = 0; step < 1500; ++step) {
        const int s = static_cast<int>(random() % kSessions);
        auto& d = depth[static_cast<std::size_t>(s)];
        if (d < 0) run(s, "BEGIN"), d = 0;
        // each session has keys of its own, so that none waits
        const auto id = static_cast<int>(random() % 40) * kSessions + s;
        const auto& table = tables[random() % tables.size()];
        switch (random() % 12) {
            case 0:
            case 1:
            case 2:
            case 3:
                run(s, fmt::format("INSERT INTO {} (id, v) SELECT g, repeat(md5(random()::text), {}) FROM "
                                   "generate_series({}, {}, {}) g"
                                   " ON CONFLICT (id) DO UPDATE SET v = excluded.v",
                                   table, random() % 40, id, id + kSessions * 20, kSessions));
                break;
            case 4:
            case 5:
                run(s, fmt::format("UPDATE {} SET v = v || 'u' WHERE id = {}", table, id));
                break;
            case 6:
                run(s, fmt::format("DELETE FROM {} WHERE id = {}", table, id));
                break;
            case 7:
                run(s, fmt::format("UPDATE {0} SET id = {1} WHERE id = {2} AND NOT EXISTS (SELECT FROM {0} "
                                   "WHERE id = {1})",
                                   table, id + kSessions * 1000, id));
                break;
            case 8:
                run(s, fmt::format("SAVEPOINT s{}", d)), ++d;
                break;
            case 9:
                if (d > 0)
                    --d, run(s, fmt::format("{} s{}", random() % 2 == 0 ? "ROLLBACK TO" : "RELEASE", d));
                break;
            default:
                run(s, random() % 5 == 0 ? "ROLLBACK" : "COMMIT");
                d = -1;
        }
        // DDL needs the tables for itself
        if (step % 300 == 299) {
            for (int i = 0; i < kSessions; ++i)
                if (depth[static_cast<std::size_t>(i)] >= 0)
                    run(i, "COMMIT"), depth[static_cast<std::size_t>(i)] = -1;
            run(0, fmt::format("BEGIN; ALTER TABLE t ADD c{} int DEFAULT 5; INSERT INTO t (id, v) SELECT g, "
                               "repeat('d', 300)"
                               " FROM generate_series(100000, 101000) g ON CONFLICT DO NOTHING; SAVEPOINT x;"
                               " ALTER TABLE t ADD gone int; UPDATE t SET gone = 1; ROLLBACK TO x; UPDATE t "
                               "SET v = 'after' WHERE id > 100500;"
                               " COMMIT",
                               ++columns_added));
        }
    }
    for (int i = 0; i < kSessions; ++i)
        if (depth[static_cast<std::size_t>(i)] >= 0) run(i, "COMMIT");

    for (const auto& [mode, slot] : readers) {
        SCOPED_TRACE(mode.name);
        SlotReader reader(source_, mode, slot, {"pub"});
        ASSERT_OK(reader.read_all());
        EXPECT_TRUE(reader.sink.order_grows);
        if (mode.streaming) {
            EXPECT_GT(reader.sink.streamed, 0);
        }
        std::map<std::string, std::map<std::string, std::string>> replayed;
        for (const auto& c : reader.sink.changes) {
            auto& rows = replayed[c.table];
            const auto value = [&](const std::vector<Value>& row, const std::string& before) {
                return row[1].state == CellState::unchanged ? before : row[1].bytes;
            };
            switch (c.kind) {
                case RecordKind::insert:
                    ASSERT_TRUE(rows.emplace(c.row[0].bytes, c.row[1].bytes).second);
                    break;
                case RecordKind::update: {
                    const auto& key = c.old_kind == OldRow::none ? c.row[0].bytes : c.old_row[0].bytes;
                    const auto it = rows.find(key);
                    ASSERT_TRUE(it != rows.end()) << c.table;
                    const std::string v = value(c.row, it->second);
                    rows.erase(it);
                    ASSERT_TRUE(rows.emplace(c.row[0].bytes, v).second);
                    break;
                }
                case RecordKind::remove:
                    ASSERT_EQ(rows.erase(c.old_row[0].bytes), 1U) << c.table;
                    break;
                default:
                    break;
            }
        }
        for (const auto& [quoted, plain] : std::map<std::string, std::string>{
                 {"t", "public.t"}, {"\"Odd.\"\"name\"", "public.Odd.\"name"}, {"p", "public.p"}}) {
            auto session = source_.connect({}, true);
            const std::string sql = "SELECT id, v FROM " + quoted;
            const pg::Rows rows(PQexecParams(session.raw(), sql.c_str(), 0, nullptr, nullptr, nullptr,
                                             nullptr, mode.binary ? 1 : 0));
            std::map<std::string, std::string> expected;
            for (int i = 0; i < rows.size(); ++i) expected[rows.text(i, 0)] = rows.text(i, 1);
            EXPECT_TRUE(replayed[plain] == expected)
                << plain << ": " << replayed[plain].size() << " rows, not " << expected.size();
            EXPECT_GT(expected.size(), 20U);
        }
    }
}

TEST_F(DecodeTest, TruncateAndTypesOfTables) {
    source_.run(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a);"
        "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p FOR "
        "VALUES IN (1);"
        "CREATE PUBLICATION pub FOR TABLE a, b, p WITH (publish_via_partition_root = true)");
    for (const auto& m : {modes()[0], modes()[4]}) {
        SCOPED_TRACE(m.name);
        SlotReader reader(source_, m, make_slot(m.plugin), {"pub"});
        source_.run("TRUNCATE a CASCADE");
        source_.run("TRUNCATE p");
        source_.run("TRUNCATE p1");
        ASSERT_OK(reader.read_all());
        ASSERT_EQ(reader.sink.changes.size(), 2U);
        EXPECT_EQ(reader.sink.changes[0].tables, (std::vector<std::string>{"public.a", "public.b"}));
        EXPECT_EQ(reader.sink.changes[1].tables, (std::vector<std::string>{"public.p"}));
        // pgoutput does not even say so
        EXPECT_EQ(reader.left_out.size(), m.plugin == "test_decoding" ? 1U : 0U);
    }
}

// --- the stream itself

TEST_F(DecodeTest, ReconnectsLoseAndRepeatNothing) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE t");
    for (const auto& m : modes()) {
        if (version_ < 140000 && (m.binary || m.streaming)) continue;
        SCOPED_TRACE(m.name);
        source_.run("TRUNCATE t");
        SlotReader reader(source_, m, make_slot(m.plugin), {"pub"});
        for (int i = 0; i < 30; ++i)
            source_.run(
                fmt::format("INSERT INTO t SELECT g, repeat('x', 200) FROM generate_series({0} * 1000, {0} * "
                            "1000 + 700) g",
                            i));
        source_.run("SELECT pg_logical_emit_message(true, 'end', '')");
        reader.sink.until = reader.log_end().value();
        reader.sink.acknowledge_all = true;
        // the walsender dies again and again, wherever it is
        std::jthread killer([&](const std::stop_token& stop) {
            auto session = source_.connect();
            std::mt19937 random(5);
            while (!stop.stop_requested()) {
                std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 60));
                (void)session.run(
                    fmt::format("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                                " WHERE slot_name = '{}' AND active_pid IS NOT NULL",
                                reader.options.slot));
            }
        });
        int lost = 0;
        for (int attempt = 0; attempt < 200; ++attempt) {
            if (attempt > 30) killer.request_stop();
            const auto done = reader.read(Lsn(reader.sink.end));
            if (done) break;
            ++lost;
            ASSERT_EQ(done.error().code, ErrorCode::unavailable) << done.error().text();
            ASSERT_EQ(done.error().retry, Retry::from_checkpoint);
        }
        EXPECT_EQ(reader.sink.changes.size(), 30U * 701U);
        std::set<std::string> ids;
        for (const auto& c : reader.sink.changes) ids.insert(c.row[0].bytes);
        EXPECT_EQ(ids.size(), 30U * 701U);
        RecordProperty(m.name + "_losses", lost);
    }
}

TEST_F(DecodeTest, AnIdleSlotMovesWhileOtherDatabasesWrite) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t");
    SlotReader reader(source_, modes()[0], make_slot("pgoutput"), {"pub"});
    reader.options.feedback_max = std::chrono::milliseconds(50);
    reader.stream =
        std::make_unique<postgres::LogStream>(reader.options, *reader.decoder, reader.clock, reader.log);
    reader.sink.acknowledge_all = true;
    Result<> outcome;
    std::jthread thread([&] { outcome = reader.read({}); });
    const auto other = fresh_database("GODWIT_TEST_PG_SOURCE", "gw_other");  // of the same server
    ASSERT_TRUE(other);
    other->run(
        "CREATE TABLE other (v text); INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, "
        "2000)");
    const auto end = reader.log_end();
    auto session = source_.connect();
    Lsn confirmed;
    // the acknowledgement may run ahead of the record, which is written at most every keepalive_min
    for (int i = 0; i < 300 && (confirmed < end || std::atomic_ref(reader.sink.keepalives).load() == 0);
         ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        const auto slot = postgres::inspect_slot(session, reader.options.slot);
        ASSERT_OK(slot);
        confirmed = (*slot)->confirmed_flush;
    }
    reader.sink.stop.request_stop();
    thread.join();
    drop_database(*other);
    ASSERT_OK(outcome);
    EXPECT_GE(confirmed, end);
    EXPECT_GT(reader.sink.keepalives, 0);
    EXPECT_EQ(reader.sink.transactions, 0);
}

// Never beyond what the sink allows; a slot is never moved back.
TEST_F(DecodeTest, AcknowledgesOnlyWhatIsAllowed) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t");
    SlotReader reader(source_, modes()[0], make_slot("pgoutput"), {"pub"});
    auto session = source_.connect();
    const auto before = (*postgres::inspect_slot(session, reader.options.slot))->confirmed_flush;
    source_.run("INSERT INTO t VALUES (1)");
    const auto middle = reader.log_end();
    source_.run("INSERT INTO t VALUES (2)");
    ASSERT_OK(reader.read_all());
    EXPECT_EQ((*postgres::inspect_slot(session, reader.options.slot))->confirmed_flush, before);
    reader.sink.acknowledge = postgres::to_position(middle);
    ASSERT_OK(reader.read_all());
    EXPECT_EQ((*postgres::inspect_slot(session, reader.options.slot))->confirmed_flush, middle);
    EXPECT_EQ(reader.stream->progress().acknowledged.load(), middle.value());
    reader.sink.acknowledge = postgres::to_position(before);
    ASSERT_OK(reader.read_all());
    EXPECT_EQ((*postgres::inspect_slot(session, reader.options.slot))->confirmed_flush, middle);
}

// A full sink stops the reading for longer than wal_sender_timeout; the server does not give up.
TEST_F(DecodeTest, AFullSinkKeepsTheConnection) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE t");
    SlotReader reader(source_, modes()[0], make_slot("pgoutput"), {"pub"});
    reader.options.connect.settings.emplace_back("wal_sender_timeout=1500ms");
    reader.stream =
        std::make_unique<postgres::LogStream>(reader.options, *reader.decoder, reader.clock, reader.log);
    source_.run("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g");
    source_.run("SELECT pg_logical_emit_message(true, 'end', '')");
    reader.sink.until = reader.log_end().value();
    reader.sink.is_full = true;
    std::jthread thread([&] {
        std::this_thread::sleep_for(std::chrono::seconds(4));
        reader.sink.is_full = false;
    });
    ASSERT_OK(reader.read({}));
    EXPECT_EQ(reader.sink.changes.size(), 20000U);
}

TEST_F(DecodeTest, StopsInTheMiddleOfALargeTransaction) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION pub FOR TABLE t");
    for (const bool streaming : {false, true}) {
        if (streaming && version_ < 140000) continue;
        source_.run("TRUNCATE t");
        SlotReader reader(source_, Mode{"", "pgoutput", false, streaming}, make_slot("pgoutput"), {"pub"});
        source_.run("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 200000) g");
        std::jthread thread([&] {
            while (reader.stream->progress().messages < 100)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            reader.sink.stop.request_stop();
        });
        const auto from = std::chrono::steady_clock::now();
        ASSERT_OK(reader.read({}));
        EXPECT_LT(std::chrono::steady_clock::now() - from, std::chrono::seconds(8));
        EXPECT_TRUE(reader.sink.changes.empty());
        thread.join();
        // and it comes whole the next time
        ASSERT_OK(reader.read_all());
        EXPECT_EQ(reader.sink.changes.size(), 200000U);
    }
}

TEST_F(DecodeTest, ErrorsSayWhatIsWrong) {
    source_.run("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION pub FOR TABLE t");
    {
        SlotReader reader(source_, modes()[0], "no_such_slot", {"pub"});
        const auto done = reader.read({});
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::data_loss);
    }
    {
        SlotReader reader(source_, modes()[4], make_slot("pgoutput"), {"pub"});
        const auto done = reader.read({});
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::failed_precondition);
    }
    {
        // the publication is younger than the change
        SlotReader reader(source_, modes()[0], make_slot("pgoutput"), {"late"});
        source_.run("INSERT INTO t VALUES (1)");
        source_.run("CREATE PUBLICATION late FOR TABLE t");
        const auto done = reader.read_all();
        if (!done) {  // 18 skips what it does not find, with a warning
            EXPECT_EQ(done.error().code, ErrorCode::failed_precondition) << done.error().text();
            EXPECT_NE(done.error().message.find("publication"), std::string::npos);
        }
    }
    {
        // somebody else reads
        const auto slot = make_slot("pgoutput");
        SlotReader first(source_, modes()[0], slot, {"pub"}), second(source_, modes()[0], slot, {"pub"});
        std::jthread thread([&] { (void)first.read({}); });
        while (first.stream->progress().walsender_pid == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        second.options.slot_wait_max = std::chrono::milliseconds(200);
        second.stream =
            std::make_unique<postgres::LogStream>(second.options, *second.decoder, second.clock, second.log);
        const auto done = second.read({});
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::failed_precondition);
        EXPECT_NE(done.error().message.find(std::to_string(first.stream->progress().walsender_pid)),
                  std::string::npos);
        // it waits until the other one is gone
        second.options.slot_wait_max = std::chrono::seconds(20);
        second.stream =
            std::make_unique<postgres::LogStream>(second.options, *second.decoder, second.clock, second.log);
        first.sink.stop.request_stop();
        ASSERT_OK(second.read_all());
        thread.join();
    }
}

}  // namespace
}  // namespace godwit::test
