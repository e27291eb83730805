// The binary log of real servers: what the stream says of a row is what a load says of it, for every type;
// and transactions of every shape.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include "codecs/rows/rows.h"
#include "fakes/recording_sink.h"
#include "sources/mysql/binlog_stream.h"
#include "sources/mysql/catalogue.h"
#include "sources/mysql/row_reader.h"

namespace godwit::mysql {
namespace {

template <class T>
T must(Result<T> r) {
    if (!r) throw std::runtime_error(r.error().text());
    return std::move(*r);
}
void must(Result<> r) {
    if (!r) throw std::runtime_error(r.error().text());
}

std::optional<ConnectOptions> server(const char* variable) {
    const char* v = std::getenv(variable);
    if (v == nullptr || *v == 0) {
        const char* require = std::getenv("GODWIT_TEST_REQUIRE_SERVERS");
        if (require != nullptr && std::string(require) == "1")
            throw std::runtime_error(std::string(variable) + " must name a server");
        return {};
    }
    const std::string address(v);
    const auto colon = address.rfind(':');
    ConnectOptions o;
    o.host = address.substr(0, colon);
    o.port = static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1));
    o.user = "root";
    return o;
}

class Tables final : public BinlogTables {
public:
    Tables(Connection& connection, std::string database) : c_(connection), database_(std::move(database)) {}
    std::shared_ptr<const TableSchema> find(std::string_view database, std::string_view table) override {
        if (database != database_ || table.starts_with("other")) return nullptr;
        auto& known = known_[std::string(table)];
        if (known == nullptr) {
            auto read = read_table(c_, {database_, std::string(table)}, {});
            if (!read) {
                failures.push_back(read.error().text());
                return nullptr;
            }
            known = std::make_shared<TableSchema>(std::move(*read));
        }
        return known;
    }
    std::vector<TableName> wanted() override {
        std::vector<TableName> out;
        for (const auto& name : learnt_) out.push_back({database_, name});
        return out;
    }
    Result<> table_unsure(const TableName& name, std::uint64_t, std::string_view) override {
        unsure.insert(name.table);
        return {};
    }
    bool transactional(const TableName& name) override { return !name.table.starts_with("my"); }
    Result<DdlAnswer> ddl(const DdlStatement& s) override {
        if (s.database != database_) return DdlAnswer{};  // another suite's, which runs beside this one
        statements.emplace_back(s.sql);
        known_.clear();
        DdlAnswer answer;
        if (s.sql.starts_with("TRUNCATE")) answer.truncated.push_back({database_, "t"});
        return answer;
    }
    void learn(const std::string& table) {
        learnt_.insert(table);
        ASSERT_TRUE(find(database_, table)) << failures.back();
    }

    std::set<std::string> unsure;
    std::vector<std::string> statements, failures;

private:
    Connection& c_;
    std::string database_;
    std::map<std::string, std::shared_ptr<const TableSchema>> known_;
    std::set<std::string> learnt_;
};

class BinlogServer : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        options_ = server(GetParam());
        if (!options_) GTEST_SKIP() << GetParam() << " names no server";
        c_.emplace(must(Connection::open(*options_)));
        database_ = fmt::format("gw_binlog_{}", ::getpid());
        run("DROP DATABASE IF EXISTS " + database_);
        run("CREATE DATABASE " + database_ + " CHARACTER SET utf8mb4");
        run("USE " + database_);
        run("SET sql_mode = 'NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES', time_zone = '+00:00'");
        run("SET NAMES utf8mb4");
        reader_.emplace(must(Connection::open(*options_)));
        must(reader_->run("SET NAMES utf8mb4"));
        tables_ = std::make_unique<Tables>(*reader_, database_);
        row_options_.mariadb = c_->mariadb();
        row_options_.characters = [this](std::string_view set) { return read_characters(*reader_, set); };
    }
    void TearDown() override {
        if (c_) run("DROP DATABASE IF EXISTS " + database_);
    }
    void run(const std::string& sql) {
        const auto done = c_->run(sql);
        ASSERT_TRUE(done) << sql << ": " << done.error().text();
    }
    // Some servers lack the type or the setting.
    bool tried(const std::string& sql) { return c_->run(sql).has_value(); }
    LogPosition here() {
        const LogPlace p = must(log_place(*c_));
        return {"s", p.file, p.offset, p.gtids.value_or("")};
    }
    // Reads from `from` to here into `sink_`.
    Result<> read(const LogPosition& from, bool by_gtid = false) {
        const std::uint64_t end = here().order();
        if (!decoder_) decoder_.emplace(*tables_, BinlogOptions{"s", row_options_, true});
        std::stop_source stop;
        sink_.on_record = [&](std::uint32_t stream, const Record& r) {
            if (stream == 0 && (r.kind == RecordKind::commit || r.kind == RecordKind::keepalive)) {
                last_ = std::string(r.position);
                if (r.order >= end) stop.request_stop();
            }
        };
        Connection dump = must(Connection::open(*options_));
        DumpRequest request;
        request.from = from;
        request.by_gtid = by_gtid;
        request.server_id = static_cast<std::uint32_t>(0x80000000U + static_cast<unsigned>(::getpid()));
        request.replica_uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        auto done = run_dump(dump, request, *decoder_, sink_, stop.get_token());
        std::erase_if(sink_.lines, [](const std::string& l) { return l.starts_with("keepalive"); });
        return done;
    }
    // Only inserts, updates and so on
    std::vector<std::string> changes() const {
        std::vector<std::string> out;
        for (const auto& l : sink_.lines)
            if (!l.starts_with("begin") && !l.starts_with("commit") && !l.starts_with("relation"))
                out.push_back(l);
        return out;
    }

    std::optional<ConnectOptions> options_;
    std::optional<Connection> c_, reader_;
    std::string database_, last_;
    std::unique_ptr<Tables> tables_;
    RowOptions row_options_;
    std::optional<BinlogDecoder> decoder_;
    test::RecordingSink sink_;
};

// The line of a load that these cells make.
std::string line_of(const RowView& row, Dialect dialect) {
    ByteBuffer out;
    row.each([&](std::uint16_t i, const Cell& cell) {
        if (i != 0) out.put_u8('\t');
        if (cell.state == CellState::null)
            rows::put_null(out);
        else if (cell.state == CellState::unchanged)
            out.append(std::string_view("unchanged"));
        else if (cell.state == CellState::text)
            rows::put_text(out, cell.bytes);
        else if (dialect == Dialect::copy)
            rows::put_bytes_hex(out, cell.bytes);
        else
            rows::put_bytes_raw(out, cell.bytes);
    });
    return std::string(as_text(out.view()));
}

struct Case {
    std::string type;
    std::vector<std::string> values;
};

struct Span {
    unsigned first, last;
};
// Hex of all codes whose first bytes are `lead` and whose others lie in these.
std::string codes(const std::string& lead, const std::vector<std::vector<Span>>& rest, std::size_t at = 0) {
    if (at == rest.size()) return lead;
    std::string out;
    for (const auto& [first, last] : rest[at])
        for (unsigned b = first; b <= last; ++b) out += codes(lead + fmt::format("{:02x}", b), rest, at + 1);
    return out;
}

// All characters that a column can hold, whether Unicode knows them or not; sets that only one server knows
// are left out on the other.
std::vector<Case> every_character() {
    std::vector<Case> out;
    for (const char* set :
         {"armscii8", "ascii",   "cp1250", "cp1251", "cp1256",   "cp1257",  "cp850", "cp852", "cp866",
          "dec8",     "geostd8", "greek",  "hebrew", "hp8",      "keybcs2", "koi8r", "koi8u", "latin1",
          "latin2",   "latin5",  "latin7", "macce",  "macroman", "swe7",    "tis620"})
        out.push_back({fmt::format("longtext character set {}", set),
                       {fmt::format("X'{}'", codes("", {{{0, 127}}})),
                        fmt::format("X'{}'", codes("", {{{128, 255}}}))}});
    struct Longer {
        const char* set;
        std::vector<Span> leads, trails;
        std::vector<std::string> more = {};
    };
    const std::vector<Span> gbk{{0x40, 0x7E}, {0x80, 0xFE}}, sjis{{0x40, 0x7E}, {0x80, 0xFC}},
        euc{{0xA1, 0xFE}};
    const std::vector<Span> four{{0x30, 0x39}}, third{{0x81, 0xFE}};
    const std::string half = codes("", {{{0xA1, 0xDF}}});
    std::vector<std::string> third_plane{codes("8e", {{{0xA1, 0xDF}}})}, planes;
    for (unsigned lead = 0xA1; lead <= 0xFE; ++lead)
        third_plane.push_back(codes(fmt::format("8f{:02x}", lead), {euc}));
    for (const unsigned lead : {0x81U, 0x82U, 0x83U, 0x84U, 0x85U, 0x8FU, 0x90U, 0xA5U, 0xE3U, 0xE4U, 0xFEU})
        planes.push_back(codes(fmt::format("{:02x}", lead), {four, third, four}));
    for (const Longer& l : {
             Longer{"big5", {{0xA1, 0xF9}}, {{0x40, 0x7E}, {0xA1, 0xFE}}},
             Longer{"cp932", {{0x81, 0x9F}, {0xE0, 0xFC}}, sjis, {half}},
             Longer{"eucjpms", euc, euc, third_plane},
             Longer{"euckr", {{0x81, 0xFE}}, {{0x41, 0x5A}, {0x61, 0x7A}, {0x81, 0xFE}}},
             Longer{"gb18030", {{0x81, 0xFE}}, gbk, planes},
             Longer{"gb2312", {{0xA1, 0xF7}}, euc},
             Longer{"gbk", {{0x81, 0xFE}}, gbk},
             Longer{"sjis", {{0x81, 0x9F}, {0xE0, 0xFC}}, sjis, {half}},
             Longer{"ujis", euc, euc, third_plane},
             Longer{"ucs2", {{0x00, 0xFF}}, {{0x00, 0xFF}}},
             Longer{"utf16", {{0x00, 0xD7}, {0xE0, 0xFF}}, {{0x00, 0xFF}}, {"d83dde00dbffdfff"}},
             Longer{"utf16le", {{0x00, 0xFF}}, {{0x00, 0xD7}, {0xE0, 0xFF}}, {"3dd800deffdbffdf"}},
             Longer{"utf32", {}, {}, {codes("0000", {{{0x00, 0xFF}}, {{0x00, 0xFF}}}), "0001f6000010ffff"}},
         }) {
        Case c{fmt::format("longtext character set {}", l.set), {}};
        const bool ascii =
            std::string_view(l.set).starts_with("u") && !std::string_view(l.set).starts_with("uj");
        if (!ascii) c.values.push_back(fmt::format("X'{}'", codes("", {{{0, 127}}})));
        for (const auto& [first, last] : l.leads)
            for (unsigned lead = first; lead <= last; ++lead)
                c.values.push_back(fmt::format("X'{}'", codes(fmt::format("{:02x}", lead), {l.trails})));
        for (const auto& text : l.more) c.values.push_back(fmt::format("X'{}'", text));
        out.push_back(std::move(c));
    }
    return out;
}

std::vector<Case> cases() {
    const std::string longest(70'000, 'x');
    std::vector<Case> out = {
        {"tinyint", {"-128", "127", "0", "NULL"}},
        {"tinyint unsigned", {"255"}},
        {"tinyint(1)", {"2", "-1"}},
        {"smallint", {"-32768", "32767"}},
        {"smallint unsigned", {"65535"}},
        {"mediumint", {"-8388608", "8388607"}},
        {"mediumint unsigned", {"16777215"}},
        {"int", {"-2147483648", "2147483647"}},
        {"int unsigned", {"4294967295"}},
        {"int(8) unsigned zerofill", {"42"}},
        {"bigint", {"-9223372036854775808", "9223372036854775807"}},
        {"bigint unsigned", {"18446744073709551615", "9223372036854775808"}},
        {"decimal(65,30)",
         {"99999999999999999999999999999999999.999999999999999999999999999999",
          "-99999999999999999999999999999999999.999999999999999999999999999999", "0",
          "0.000000000000000000000000000001", "-1000000000.5"}},
        {"decimal(10,0)", {"9999999999", "-1", "0"}},
        {"decimal(1,1)", {"-0.9", "0", "0.5"}},
        {"decimal(20,9)", {"12345678901.123456789", "-0.000000001"}},
        {"float", {"1.1", "16777217", "3.402823466E+38", "1234567.8", "-0.1", "1e-38", "0"}},
        {"float(7,2)", {"1.25", "99999.99"}},
        {"double",
         {"2.2250738585072014E-308", "1.1", "1e22", "123456789012345680", "-1.7976931348623157E308"}},
        {"bit(1)", {"b'0'", "b'1'", "NULL"}},
        {"bit(7)", {"b'1010101'"}},
        {"bit(9)", {"b'100000001'"}},
        {"bit(64)", {"18446744073709551615", "1"}},
        {"date", {"'0000-00-00'", "'2024-00-00'", "'2024-01-00'", "'1000-01-01'", "'9999-12-31'"}},
        {"year", {"0", "1901", "2155"}},
        {"char(10)", {"''", "NULL", "'ab  '", "'a\\0b'", "'\\n\\t\\\\'", "'\xF0\x9F\x98\x80'"}},
        {"char(255)", {"REPEAT('\xC3\xA9', 255)"}},
        {"varchar(20)", {"''", "'ab  '", "'\xF0\x9F\x98\x80'"}},
        {"varchar(300)", {"REPEAT('x', 300)"}},
        {"varchar(20) character set latin1", {"_latin1 X'E980818D'", "'\xE2\x82\xAC'"}},
        {"varchar(20) character set utf8", {"'\xE2\x82\xAC'"}},
        {"varchar(20) character set gbk", {"_gbk X'D6D0'"}},
        {"varchar(20) character set sjis",
         {"_sjis X'835C'", "_sjis X'5C7E'", "_sjis X'815F'", "_sjis X'81608150818F'", "_sjis X'B1'"}},
        {"varchar(20) character set cp932", {"_cp932 X'835C8160'"}},
        {"varchar(20) character set big5", {"_big5 X'A4A4'"}},
        {"varchar(20) character set ucs2", {"'\xE2\x82\xACx'"}},
        {"varchar(20) character set utf16", {"'\xF0\x9F\x98\x80'"}},
        {"varchar(20) character set utf16le", {"'\xF0\x9F\x98\x80'"}},
        {"varchar(20) character set utf32", {"'\xF0\x9F\x98\x80'"}},
        {"varchar(20) character set cp1251", {"_cp1251 X'CFF0'"}},
        {"varchar(20) character set koi8r", {"_koi8r X'D0D2'"}},
        {"varchar(20) character set euckr", {"_euckr X'B0A1'"}},
        {"varchar(20) character set ujis", {"_ujis X'B0A1'"}},
        {"varchar(20) character set latin2", {"_latin2 X'E8'"}},
        {"varchar(20) character set utf8mb4 collate utf8mb4_bin", {"'A'"}},
        {"text character set latin1", {"_latin1 X'E9'"}},
        {"tinytext", {"'abc'"}},
        {"text", {"''", "REPEAT('x', 65535)"}},
        {"mediumtext", {"REPEAT('y', 65536)"}},
        {"longtext", {"'" + longest + "'"}},
        {"binary(16)", {"X'0001'", "X'00000000000000000000000000000000'", "X'FFFF'"}},
        {"varbinary(300)", {"''", "X'000100'", "REPEAT('z', 256)"}},
        {"tinyblob", {"REPEAT(X'00', 255)"}},
        {"blob", {"REPEAT('b', 256)", "''"}},
        {"mediumblob", {"REPEAT('b', 65536)"}},
        {"longblob", {"X'00FF5C090A'"}},
        {"enum('a','it''s','x,y','back\\\\slash')", {"''", "'a'", "2", "'x,y'", "4"}},
        {"enum('\xC3\xA9','b') character set latin1", {"1"}},
        {"set('a','b','c d')", {"''", "'a,c d'", "7"}},
        {"json",
         {"'null'", "NULL", "'{\"b\":1,\"a\":[1,2.5,true,null,\"x\\\\ny\"]}'",
          "'[1.0, 1e308, 1e15, 1e-7, -0.0, 0.1]'", "'18446744073709551615'", "'-9223372036854775808'",
          "'\"\xF0\x9F\x98\x80\"'", "'[]'", "'{}'", "'123456'"}},
        {"geometry",
         {"ST_GeomFromText('POINT(1 2)')", "NULL", "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')"}},
        {"point", {"ST_GeomFromText('POINT(1 2)', 4326)"}},
        {"uuid",
         {"'123e4567-e89b-12d3-a456-426655440000'", "'00000000-0000-0000-0000-000000000000'",
          "'0188d6b5-5a3c-7b1e-8f00-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
        {"inet4", {"'10.0.0.0'", "'255.255.255.255'"}},
        {"inet6", {"'::'", "'2001:db8::ff00:42:8329'", "'::ffff:10.0.0.1'"}},
    };
    for (auto& c : every_character()) out.push_back(std::move(c));
    std::string labels, members;
    for (int i = 0; i < 300; ++i) labels += fmt::format("{}'l{}'", i == 0 ? "" : ",", i);
    for (int i = 0; i < 64; ++i) members += fmt::format("{}'m{}'", i == 0 ? "" : ",", i);
    out.push_back({"enum(" + labels + ")", {"1", "256", "300", "0"}});
    out.push_back({"set(" + members + ")", {"'m63,m0'", "18446744073709551615"}});
    for (int f = 0; f <= 6; ++f) {
        out.push_back({fmt::format("datetime({})", f),
                       {"'0000-00-00'", "'2024-00-00'", "'1000-01-01'",
                        "'9999-12-31 23:59:59.999999' - interval 1 second", "'2024-02-29 12:34:56.123456'"}});
        out.push_back({fmt::format("timestamp({}) null", f),
                       {"'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'",
                        "'2024-03-31 02:30:00.654321'"}});
        out.push_back({fmt::format("time({})", f),
                       {"'838:59:59'", "'-838:59:59'", "'-00:00:00.5'", "'25:00:00'", "'-00:00:01.000001'",
                        "'00:00:00'", "'12:34:56.789012'", "'-01:00:00'"}});
    }
    return out;
}

TEST_P(BinlogServer, StreamSaysWhatALoadSays) {
    const LogPosition from = here();
    std::vector<std::string> made;
    int number = 0;
    for (const auto& c : cases()) {
        const std::string table = fmt::format("t{}", ++number);
        if (!tried(fmt::format("CREATE TABLE {} (id int primary key, v {}) engine=InnoDB", table, c.type)))
            continue;
        made.push_back(table);
        int id = 0;
        for (const auto& v : c.values) run(fmt::format("INSERT INTO {} VALUES ({}, {})", table, ++id, v));
    }
    EXPECT_GT(made.size(), 70U);
    for (const Dialect dialect : {Dialect::copy, Dialect::load}) {
        row_options_.dialect = dialect;
        decoder_.reset();
        sink_.relations.clear();
        std::map<std::string, std::vector<std::string>> streamed;
        // rows as lines, by table
        struct Lines final : ChangeSink {
            ByteBuffer bytes;
            std::map<std::uint32_t, Relation> relations;
            std::map<std::string, std::vector<std::string>>& to;
            Dialect dialect;
            std::uint64_t end;
            std::stop_source& stop;
            std::uint32_t id = 0;
            Lines(std::map<std::string, std::vector<std::string>>& t, Dialect d, std::uint64_t e,
                  std::stop_source& s)
                : to(t), dialect(d), end(e), stop(s) {}
            ByteBuffer& buffer(std::uint32_t) override { return bytes; }
            Result<> recorded(std::uint32_t) override {
                RecordReader reader(bytes.view());
                Record r;
                if (!reader.next(r)) return fail(ErrorCode::internal, "torn");
                if (r.kind == RecordKind::insert)
                    to[relations[r.relation].name.table].push_back(line_of(r.row, dialect));
                if ((r.kind == RecordKind::commit || r.kind == RecordKind::keepalive) && r.order >= end)
                    stop.request_stop();
                bytes.clear();
                return {};
            }
            bool full() override { return false; }
            std::uint32_t new_relation_id() override { return ++id; }
            void define(const Relation& relation) override { relations[relation.id] = relation; }
            Result<> stream_commit(std::uint32_t, std::uint64_t, std::uint64_t, std::string_view,
                                   std::int64_t) override {
                return {};
            }
            void stream_abort(std::uint32_t, std::uint32_t) override {}
            void streams_lost() override {}
            Result<> idle() override { return {}; }
            Position acknowledged() override { return {}; }
        };
        std::stop_source stop;
        Lines lines(streamed, dialect, here().order(), stop);
        BinlogDecoder decoder(*tables_, {"s", row_options_, true});
        Connection dump = must(Connection::open(*options_));
        DumpRequest request;
        request.from = from;
        request.server_id = static_cast<std::uint32_t>(0x80000000U + static_cast<unsigned>(::getpid()));
        const auto done = run_dump(dump, request, decoder, lines, stop.get_token());
        ASSERT_TRUE(done) << done.error().text();
        for (const auto& table : made) {
            const TableSchema schema = must(read_table(*reader_, {database_, table}, {}));
            const RowReader load =
                must(RowReader::make(schema, dialect == Dialect::copy ? kRowsCopy : kRowsLoad));
            std::vector<std::string> loaded;
            must(c_->stream(
                fmt::format("SELECT {} FROM {}.{} ORDER BY id", load.select_list(), database_, table), {},
                [&](const char* const* cells, const unsigned long* lengths) -> Result<> {
                    ByteBuffer line;
                    load.print(cells, lengths, line);
                    loaded.emplace_back(as_text(line.view().first(line.size() - 1)));
                    return {};
                }));
            EXPECT_EQ(streamed[table], loaded)
                << schema.columns[1].native_type << " " << schema.columns[1].collation;
        }
    }
}

TEST_P(BinlogServer, ImagesAndKeys) {
    run("CREATE TABLE t (id int primary key, a varchar(10), b text)");
    run("CREATE TABLE k (a int, b int)");
    run("CREATE TABLE other (id int)");
    const LogPosition from = here();
    run("BEGIN");
    run("INSERT INTO t VALUES (1,'x','y'),(2,NULL,'')");
    run("INSERT INTO other VALUES (1)");
    run("UPDATE t SET a='z' WHERE id=1");
    run("UPDATE t SET id=3 WHERE id=2");
    run("DELETE FROM t WHERE id=3");
    run("INSERT INTO k VALUES (1,2),(1,2)");
    run("UPDATE k SET b=3 LIMIT 1");
    run("DELETE FROM k LIMIT 1");
    run("COMMIT");
    run("SET binlog_row_image=MINIMAL");
    run("UPDATE t SET a='m' WHERE id=1");
    run("UPDATE t SET id=9 WHERE id=1");
    run("DELETE FROM t WHERE id=9");
    run("SET binlog_row_image=NOBLOB");
    run("INSERT INTO t VALUES (5,'x','y')");
    run("UPDATE t SET a='n' WHERE id=5");
    run("SET binlog_row_image=FULL");
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(changes(), (std::vector<std::string>{
                             "insert 1 (t:1, t:x, t:y)",
                             "insert 1 (t:2, null, t:)",
                             "update 1 (t:1, t:z, t:y)",
                             "update 1 key (t:2, null, null) -> (t:3, null, t:)",
                             "remove 1 key (t:3, null, null)",
                             "insert 2 (t:1, t:2)",
                             "insert 2 (t:1, t:2)",
                             "update 2 full (t:1, t:2) -> (t:1, t:3)",
                             changes()[8],  // either of the two
                             "update 1 (t:1, t:m, unchanged)",
                             "update 1 key (t:1, null, null) -> (t:9, unchanged, unchanged)",
                             "remove 1 key (t:9, null, null)",
                             "insert 1 (t:5, t:x, t:y)",
                             "update 1 (t:5, t:n, unchanged)",
                         }));
    EXPECT_TRUE(changes()[8].starts_with("remove 2 full (t:1, t:"));
    EXPECT_EQ(decoder_->position().order(), here().order());
    if (!c_->mariadb()) {
        EXPECT_EQ(decoder_->position().gtids, here().gtids);
    }

    // From the middle, and by GTIDs.
    const std::size_t all = sink_.lines.size();
    ASSERT_GT(all, 0U);
    sink_.lines.clear();
    const LogPosition middle = must(parse_token({last_}));
    run("INSERT INTO t VALUES (7,'x','y')");
    ASSERT_TRUE(read(middle));
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:7, t:x, t:y)"}));
    sink_.lines.clear();
    const auto by_gtid = read(middle, true);
    ASSERT_TRUE(by_gtid) << by_gtid.error().text();
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:7, t:x, t:y)"}));
}

TEST_P(BinlogServer, StatementsAndDdl) {
    run("CREATE TABLE t (id int primary key, v int)");
    run("CREATE TABLE u (id int primary key)");
    run("CREATE TABLE my (id int primary key) engine=MyISAM");
    for (const auto* t : {"t", "u", "my"}) tables_->learn(t);
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1,1)");
    run("ALTER TABLE t ADD COLUMN w int DEFAULT 7");
    run("INSERT INTO t VALUES (2,2,3)");
    run("TRUNCATE TABLE t");
    run("INSERT INTO my VALUES (1)");
    run("SET binlog_format=STATEMENT");
    run("INSERT INTO u VALUES (1)");
    run("SET binlog_format=ROW");
    run("CREATE TEMPORARY TABLE tt (a int)");
    run("INSERT INTO tt VALUES (1)");
    run("DROP TEMPORARY TABLE tt");
    run("INSERT INTO t VALUES (3,3,3)");
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    // A new version of a table has a new relation.
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:1, t:1)", "insert 2 (t:2, t:2, t:3)",
                                                   "truncate flags=0 [2]", "insert 3 (t:1)",
                                                   "insert 2 (t:3, t:3, t:3)"}));
    EXPECT_EQ(tables_->unsure, (std::set<std::string>{"u"}));
    EXPECT_TRUE(std::ranges::any_of(tables_->statements,
                                    [](const std::string& sql) { return sql.starts_with("ALTER TABLE t"); }));
}

TEST_P(BinlogServer, AnotherDefinitionIsAnErrorAndNeverAGuess) {
    run("CREATE TABLE t (id int primary key, v int)");
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1,1)");
    run("ALTER TABLE t MODIFY v bigint");
    const auto done = read(from);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(done.error().message.find("column v"), std::string::npos) << done.error().text();
    EXPECT_FALSE(sink_.torn());
}

// System versioning keeps history in the table itself; the log has its rows, the target wants the current
// ones.
TEST_P(BinlogServer, HistoryOfVersionedTablesIsLeftOut) {
    if (!c_->mariadb()) GTEST_SKIP() << "MariaDB only";
    run("CREATE TABLE t (id int primary key, v int) WITH SYSTEM VERSIONING");
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1,1),(2,2)");
    run("UPDATE t SET v=3 WHERE id=1");
    run("DELETE FROM t WHERE id=2");
    run("DELETE HISTORY FROM t");
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:1, t:1)", "insert 1 (t:2, t:2)",
                                                   "update 1 (t:1, t:3)", "remove 1 key (t:2, null)"}));
}

// Compressed events, compressed columns, generated columns, old row formats.
TEST_P(BinlogServer, OtherFormsOfRows) {
    run("CREATE TABLE t (id int primary key, v longtext, g int as (id + 1) virtual, s int as (id * 2) "
        "stored)");
    const bool columns =
        tried("CREATE TABLE c (id int primary key, v varchar(1000) compressed, b blob compressed)");
    const LogPosition from = here();
    const bool compressed = tried("SET GLOBAL log_bin_compress = 1");
    run("INSERT INTO t (id, v) VALUES (1, REPEAT('a', 2000))");
    run("UPDATE t SET v = REPEAT('b', 3000)");
    run("DELETE FROM t");
    if (compressed) run("SET GLOBAL log_bin_compress = 0");
    if (columns)
        run("INSERT INTO c VALUES (1, REPEAT('a', 900), REPEAT('b', 5000)), (2, '', ''), (3, 'x', 'y')");
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    std::vector<std::string> want = {"insert 1 (t:1, t:" + std::string(2000, 'a') + ")",
                                     "update 1 (t:1, t:" + std::string(3000, 'b') + ")",
                                     "remove 1 key (t:1, null)"};
    if (columns) {
        std::string hex;
        for (int i = 0; i < 5000; ++i) hex += "62";
        want.push_back("insert 2 (t:1, t:" + std::string(900, 'a') + ", b:" + hex + ")");
        want.push_back("insert 2 (t:2, t:, b:)");
        want.push_back("insert 2 (t:3, t:x, b:79)");
    }
    EXPECT_EQ(changes(), want);
}

// JSON changed in place: the log has only what changed.
TEST_P(BinlogServer, PartialJson) {
    if (!tried("SET binlog_row_value_options = 'PARTIAL_JSON'")) GTEST_SKIP() << "MySQL only";
    run("CREATE TABLE t (id int primary key, j json, k json, x int)");
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1, CONCAT('{\"a\": \"', REPEAT('x', 200), '\", \"b\": [1, 2, 3], \"c\": "
        "{\"d\": null}}'), '[]', 0)");
    const char* const updates[] = {
        "j = JSON_SET(j, '$.a', 'y')",
        "j = JSON_SET(j, '$.new', 1.5)",
        "j = JSON_REMOVE(j, '$.b[1]')",
        "j = JSON_SET(j, '$.b[0]', CAST('{\"q\": 1}' AS JSON)), x = 1",
        "j = JSON_REPLACE(j, '$.c.d', 'long \"quoted\" text'), k = JSON_ARRAY(1)",
        "j = JSON_SET(j, '$.\"odd key\"', true, '$.b[5]', 'z')",
        "x = 2",
    };
    std::vector<std::string> want;
    const auto now = [&] {
        const auto r = must(c_->query("SELECT j, k, x FROM t"));
        want.push_back(
            fmt::format("update 1 (t:1, t:{}, t:{}, t:{})", r.text(0, 0), r.text(0, 1), r.text(0, 2)));
    };
    for (const auto* u : updates) {
        run(fmt::format("UPDATE t SET {}", u));
        now();
    }
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    auto got = changes();
    got.erase(got.begin());
    EXPECT_EQ(got, want);
}

// Documents of every kind of value, of sizes that make offsets wide, and what only SQL can put into them.
TEST_P(BinlogServer, JsonDocuments) {
    if (c_->mariadb()) GTEST_SKIP() << "MariaDB keeps JSON as text";
    run("CREATE TABLE t (id int auto_increment primary key, j json)");
    run("SET SESSION group_concat_max_len = 100000000");
    const LogPosition from = here();
    for (const char* v :
         {"JSON_OBJECT('d', CAST('2015-01-15' AS DATE), 't', CAST('-23:24:25.12' AS TIME(6)), 'dt', "
          "CAST('2015-01-15 23:24:25.5' AS DATETIME(6)))",
          "JSON_ARRAY(CAST(-12345678901234567890.123456789 AS DECIMAL(40,9)), CAST(0.5 AS DECIMAL(2,1)))",
          "JSON_OBJECT('bin', CAST(X'00FF' AS BINARY), 'long', CAST(REPEAT('x', 100) AS BINARY), 'bit', "
          "b'101')",
          "JSON_ARRAY(1e15, 1e14, 123456789012345.5, 1e-15, 1e-14, 1.5e-16, 1e300, -2.5, 1/3, 100.0e0)",
          "JSON_ARRAY(-32768, 32767, 65535, 65536, -2147483648, 4294967295, 4294967296, "
          "-9223372036854775808)",
          "JSON_OBJECT('ctl', CONCAT(CHAR(1), CHAR(8), CHAR(9), CHAR(10), CHAR(12), CHAR(13), CHAR(31), "
          "CHAR(127), '/\\\"'))",
          "'{\"a\": 1, \"a\": 2, \"bb\": 1, \"b\": 3}'", "JSON_QUOTE(REPEAT('z', 70000))",
          "(SELECT CONCAT('[', REPEAT('1234567,', 70000), '0]'))",
          "CONCAT(REPEAT('[', 99), REPEAT(']', 99))"})
        run(fmt::format("INSERT INTO t (j) VALUES ({})", v));
    run("CREATE TABLE other1 (a int)");
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    const auto rows = must(c_->query("SELECT id, j FROM t ORDER BY id"));
    const auto got = changes();
    ASSERT_EQ(got.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        EXPECT_EQ(got[i], fmt::format("insert 1 (t:{}, t:{})", rows.text(i, 0), rows.text(i, 1)));
}

TEST_P(BinlogServer, RolledBackParts) {
    run("CREATE TABLE t (id int primary key)");
    run("CREATE TABLE my (id int primary key) engine=MyISAM");
    const LogPosition from = here();
    run("BEGIN");
    run("INSERT INTO t VALUES (1)");
    run("SAVEPOINT a");
    run("INSERT INTO t VALUES (2)");
    // MySQL with GTIDs refuses these, and then never logs a rollback
    (void)tried("INSERT INTO my VALUES (1)");
    (void)tried("INSERT INTO my SELECT id + 10 FROM t");
    run("ROLLBACK TO a");
    run("INSERT INTO t VALUES (3)");
    run("COMMIT");
    run("BEGIN");
    run("INSERT INTO t VALUES (4)");
    (void)tried("INSERT INTO my SELECT id + 20 FROM t");
    run("ROLLBACK");
    run("INSERT INTO t VALUES (5)");
    // What the log itself takes back is left out when it is read again.
    Result<> done;
    for (int i = 0; i < 5; ++i) {
        sink_.lines.clear();
        done = read(from);
        if (done) break;
        ASSERT_EQ(done.error().code, ErrorCode::aborted) << done.error().text();
        (void)sink_.buffer(0);
    }
    ASSERT_TRUE(done) << done.error().text();
    std::multiset<std::string> of_t;
    std::uint32_t t = 0;
    for (const auto& [id, relation] : sink_.relations)
        if (relation.name.table == "t") t = id;
    for (const auto& l : changes())
        if (l.starts_with(fmt::format("insert {} ", t))) of_t.insert(l.substr(l.find('(')));
    EXPECT_EQ(of_t, (std::multiset<std::string>{"(t:1)", "(t:3)", "(t:5)"})) << sink_.text();
}

TEST_P(BinlogServer, XaTransactions) {
    run("CREATE TABLE t (id int primary key)");
    const LogPosition from = here();
    run("XA START 'a','b',7");
    run("INSERT INTO t VALUES (1)");
    run("XA END 'a','b',7");
    run("XA PREPARE 'a','b',7");
    Connection other = must(Connection::open(*options_));
    must(other.run("USE " + database_));
    // MySQL: the session that prepared cannot do other work until it is over
    must(other.run("INSERT INTO t VALUES (2)"));
    must(other.run("XA START 'r'"));
    must(other.run("INSERT INTO t VALUES (3)"));
    must(other.run("XA END 'r'"));
    must(other.run("XA PREPARE 'r'"));
    must(other.run("XA ROLLBACK 'r'"));
    ASSERT_TRUE(read(from));
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:2)"})) << sink_.text();
    const LogPosition open = must(parse_token({last_}));
    EXPECT_FALSE(open.open_file.empty());
    EXPECT_LT(open.open_offset, open.offset);
    sink_.lines.clear();
    run("XA COMMIT 'a','b',7");
    run("XA START 'o'");
    run("INSERT INTO t VALUES (4)");
    run("XA END 'o'");
    run("XA COMMIT 'o' ONE PHASE");
    run("INSERT INTO t VALUES (5)");
    // A later process starts from what the position says of the open transaction.
    decoder_.reset();
    sink_.relations.clear();
    const auto done = read(open);
    ASSERT_TRUE(done) << done.error().text();
    std::vector<std::string> rows;
    for (const auto& l : changes()) rows.push_back(l.substr(l.find('(')));
    EXPECT_EQ(rows, (std::vector<std::string>{"(t:1)", "(t:4)", "(t:5)"})) << sink_.text();
    EXPECT_TRUE(must(parse_token({last_})).open_file.empty());
}

TEST_P(BinlogServer, RotationKeepsOrder) {
    run("CREATE TABLE t (id int primary key)");
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1)");
    run("FLUSH BINARY LOGS");
    run("INSERT INTO t VALUES (2)");
    ASSERT_TRUE(read(from));
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:1)", "insert 1 (t:2)"}));
    EXPECT_EQ(must(parse_token({last_})).file, here().file);
    EXPECT_EQ(must(parse_token({last_})).offset, here().offset);
}

TEST_P(BinlogServer, PurgedLogIsDataLoss) {
    LogPosition gone = here();
    gone.file = gone.file.substr(0, gone.file.rfind('.')) + ".000000";
    gone.file.back() = '9';
    gone.file[gone.file.size() - 2] = '9';
    gone.file[gone.file.size() - 3] = '9';
    const auto done = read(gone);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::data_loss) << done.error().text();
}

// A reader that waits sees a stop at once, not at the next heartbeat.
TEST_P(BinlogServer, StopsWhileItWaits) {
    decoder_.emplace(*tables_, BinlogOptions{"s", row_options_, true});
    Connection dump = must(Connection::open(*options_));
    DumpRequest request;
    request.from = here();
    request.server_id = 0x80000042U;
    std::stop_source stop;
    std::chrono::steady_clock::time_point asked;
    std::jthread stopper([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        asked = std::chrono::steady_clock::now();
        stop.request_stop();
    });
    const auto done = run_dump(dump, request, *decoder_, sink_, stop.get_token());
    const auto late = std::chrono::steady_clock::now() - asked;
    EXPECT_TRUE(done) << done.error().text();
    EXPECT_LT(late, std::chrono::milliseconds(300));
}

TEST_P(BinlogServer, AKilledDumpIsUnavailable) {
    decoder_.emplace(*tables_, BinlogOptions{"s", row_options_, true});
    Connection dump = must(Connection::open(*options_));
    DumpRequest request;
    request.from = here();
    request.server_id = 0x80000043U;
    const std::uint64_t id = dump.id();
    std::jthread killer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        (void)reader_->run(fmt::format("KILL {}", id));
    });
    const auto done = run_dump(dump, request, *decoder_, sink_, {});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::unavailable) << done.error().text();
    EXPECT_NE(done.error().retry, Retry::never);
}

// What a full sink does not take waits on the server, and comes afterwards.
TEST_P(BinlogServer, AFullSinkIsWaitedFor) {
    run("CREATE TABLE t (id int primary key)");
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1)");
    sink_.is_full = true;
    std::jthread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        sink_.is_full = false;
    });
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(read(from));
    EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(190));
    EXPECT_EQ(changes(), (std::vector<std::string>{"insert 1 (t:1)"}));
}

TEST_P(BinlogServer, OverTls) {
    options_->ssl_mode = "require";
    const auto tried_tls = Connection::open(*options_);
    if (!tried_tls || mysql_get_ssl_cipher(tried_tls->raw()) == nullptr)
        GTEST_SKIP() << "the server has no TLS";
    run("CREATE TABLE t (id int primary key, v longtext)");
    const LogPosition from = here();
    for (int i = 0; i < 20; ++i) run(fmt::format("INSERT INTO t VALUES ({}, REPEAT('x', {}))", i, i * 5000));
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(changes().size(), 20U);
}

// Packets of more than 16 MB come in parts.
TEST_P(BinlogServer, LargeRows) {
    if (!tried("SET GLOBAL max_allowed_packet = 67108864")) GTEST_SKIP();
    c_.emplace(must(Connection::open(*options_)));
    run("USE " + database_);
    run("CREATE TABLE t (id int primary key, v longblob)");
    const LogPosition from = here();
    run("INSERT INTO t VALUES (1, REPEAT('x', 20000000))");
    const auto done = read(from);
    ASSERT_TRUE(done) << done.error().text();
    ASSERT_EQ(changes().size(), 1U);
    EXPECT_EQ(changes()[0].size(), std::string("insert 1 (t:1, b:)").size() + 40'000'000);
}

INSTANTIATE_TEST_SUITE_P(Servers, BinlogServer, ::testing::Values("GODWIT_TEST_MARIADB", "GODWIT_TEST_MYSQL"),
                         [](const auto& p) { return std::string(p.param).substr(12); });

}  // namespace
}  // namespace godwit::mysql
