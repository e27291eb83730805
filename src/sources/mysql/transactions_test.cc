// Whole logs, built event by event: what records they become, and where positions stand.

#include "sources/mysql/transactions.h"

#include <fmt/format.h>

#include <gtest/gtest.h>
#include <zstd.h>

#include <map>

#include "fakes/event_builder.h"
#include "fakes/recording_sink.h"

namespace godwit::mysql {
namespace {

constexpr std::int64_t kTime = 1'700'000'000'000'000;

class Tables final : public BinlogTables {
public:
    void add(const std::string& table, std::vector<std::pair<std::string, std::string>> columns,
             std::vector<std::string> key) {
        auto s = std::make_shared<TableSchema>();
        s->name = {"shop", table};
        s->source_id = 100 + schemas_.size();
        for (auto& [name, type] : columns) {
            ColumnSchema c;
            c.name = name;
            c.native_type = type;
            if (type.find("char") != std::string::npos || type.find("text") != std::string::npos)
                c.collation = "utf8mb4_bin";
            s->columns.push_back(std::move(c));
        }
        s->identity = key.empty() ? RowIdentity::full : RowIdentity::key;
        s->primary_key = s->identity_columns = std::move(key);
        schemas_[table] = std::move(s);
    }
    std::shared_ptr<const TableSchema> find(std::string_view database, std::string_view table) override {
        ++asked;
        const auto it = schemas_.find(std::string(table));
        return database == "shop" && it != schemas_.end() ? it->second : nullptr;
    }
    std::vector<TableName> wanted() override {
        std::vector<TableName> out;
        for (const auto& [name, s] : schemas_) out.push_back(s->name);
        return out;
    }
    bool transactional(const TableName& name) override { return !name.table.starts_with("my"); }
    Result<> table_unsure(const TableName& name, std::uint64_t order, std::string_view why) override {
        unsure.push_back(name.table);
        unsure_order = order;
        unsure_why = why;
        return {};
    }
    Result<std::shared_ptr<const TableSchema>> mismatch(const TableName& name, std::uint64_t order,
                                                        const Error& why) override {
        if (!load_anew) return BinlogTables::mismatch(name, order, why);
        GW_CHECK(table_unsure(name, order, why.message));
        return std::shared_ptr<const TableSchema>();
    }
    Result<DdlAnswer> ddl(const DdlStatement& s) override {
        statements.push_back(std::string(s.sql) + " @" + std::string(s.position));
        temporary = s.temporary;
        if (on_ddl) on_ddl();
        return answer;
    }
    // As the catalogue says of a column: what stands behind DEFAULT.
    void set_column(const std::string& table, std::size_t i, bool not_null, const std::string& fallback) {
        schemas_.at(table)->columns[i].not_null = not_null;
        schemas_.at(table)->columns[i].default_expression = fallback;
    }
    void set_collation(const std::string& table, std::size_t i, const std::string& collation) {
        schemas_.at(table)->columns[i].collation = collation;
    }
    std::vector<std::string> unsure, statements;
    std::uint64_t unsure_order = 0;
    std::string unsure_why;
    DdlAnswer answer;
    std::function<void()> on_ddl;
    int asked = 0;
    bool load_anew = false, temporary = false;

private:
    std::map<std::string, std::shared_ptr<TableSchema>> schemas_;
};

// Writes a log and feeds it, keeping positions as a server does.
struct Log {
    Tables tables;
    BinlogDecoder decoder;
    test::RecordingSink sink;
    std::uint64_t offset = 4;
    bool positions = true;  // false: MariaDB 11.4 within a transaction

    explicit Log(bool count_gtids = false, bool all_prepared_seen = false)
        : decoder(tables, {"uuid", {}, true, count_gtids, all_prepared_seen}) {
        tables.add("t", {{"id", "int"}, {"v", "varchar(20)"}}, {"id"});
        tables.add("my", {{"id", "int"}, {"v", "varchar(20)"}}, {"id"});
        tables.add("k", {{"id", "int"}, {"v", "varchar(20)"}}, {});
    }
    void start(std::uint64_t at = 4, LogPosition from = {}) {
        if (from.file.empty()) from = {"uuid", "binlog.000001", at, ""};
        sink.streams_lost();
        ASSERT_TRUE(decoder.restart(from));
        offset = decoder.start().offset;
        ok(event(EventType::rotate, std::move(Body().u64(offset).text(decoder.start().file)),
                 {.flags = kEventArtificial}));
        ok(format_description(mariadb ? "10.11.6-MariaDB-log" : "8.0.36"));
        if (offset == 4) offset = 130;
    }
    Result<> feed(const std::string& bytes) {
        // exactly the event's bytes, so that reading beyond them is seen
        const std::vector<std::byte> exact(as_bytes(bytes).begin(), as_bytes(bytes).end());
        auto done = decoder.decode(exact, sink);
        EXPECT_FALSE(sink.torn());
        return done;
    }
    void ok(const std::string& bytes) {
        const auto done = feed(bytes);
        ASSERT_TRUE(done) << done.error().text();
    }
    std::string placed(EventType type, const Body& body) {
        offset += kEventHeaderBytes + body.view().size() + kChecksumBytes;
        return event(type, body, {.next = positions ? static_cast<std::uint32_t>(offset) : 0});
    }
    Log& put(EventType type, const Body& body) { return ok(placed(type, body)), *this; }
    Log& gtid(std::uint64_t n) {
        return put(EventType::gtid, std::move(Body().u8(0).text("0123456789abcdef").u64(n)));
    }
    Log& sql(std::string_view text) { return put(EventType::query, query("shop", text)); }
    Log& begin() { return sql("BEGIN"); }
    Log& map(std::string_view table = "t", std::uint64_t id = 9, std::string_view database = "shop") {
        return put(EventType::table_map, table_map(id, database, table, {{3, {}}, {15, {80, 0}}}));
    }
    static Body row(Body b, std::uint32_t id, std::string_view v) {
        return std::move(b.u8(0).u32(id).short_text(v));
    }
    Log& insert(std::uint32_t id, std::string_view v, std::uint64_t table = 9) {
        return put(EventType::write_rows, row(rows_head(table, 2), id, v));
    }
    Log& update(std::uint32_t id, std::string_view v, std::uint32_t to, std::string_view w,
                std::uint64_t table = 9) {
        return put(EventType::update_rows, row(row(rows_head(table, 2, true), id, v), to, w));
    }
    Log& remove(std::uint32_t id, std::string_view v, std::uint64_t table = 9) {
        return put(EventType::delete_rows, row(rows_head(table, 2), id, v));
    }
    Log& xid() { return put(EventType::xid, std::move(Body().u64(1))); }
    std::string text() {
        std::string out = sink.text();
        sink.lines.clear();
        return out;
    }
    // without positions and times
    std::string rows() {
        std::string out;
        for (const auto& l : sink.lines)
            if (!l.starts_with("begin") && !l.starts_with("commit") && !l.starts_with("relation") &&
                !l.starts_with("keepalive"))
                out += l + "\n";
        sink.lines.clear();
        return out;
    }
    bool mariadb = false;
};

constexpr const char* kSid = "30313233-3435-3637-3839-616263646566";

TEST(BinlogTransactions, OneOfEveryKind) {
    Log l;
    l.start(4, {"uuid", "binlog.000001", 4, std::string(kSid) + ":1-6"});
    l.gtid(7);
    const std::uint64_t order = log_order(1, 130);
    l.begin().map().insert(1, "x").update(1, "x", 1, "y").update(1, "y", 2, "y").remove(2, "y");
    l.map("k", 10).update(1, "a", 1, "b", 10).remove(1, "b", 10);
    l.map("other", 11, "elsewhere").insert(1, "no", 11);
    l.xid();
    EXPECT_EQ(l.text(), fmt::format("begin 1 @{:016X} t={}\n"
                                    "relation 1 shop.t oid=100 key [id*:0 v:0]\n"
                                    "insert 1 (t:1, t:x)\n"
                                    "update 1 (t:1, t:y)\n"
                                    "update 1 key (t:1, null) -> (t:2, t:y)\n"
                                    "remove 1 key (t:2, null)\n"
                                    "relation 2 shop.k oid=102 full [id*:0 v*:0]\n"
                                    "update 2 full (t:1, t:a) -> (t:1, t:b)\n"
                                    "remove 2 full (t:1, t:b)\n"
                                    "commit uuid;binlog.000001:{};{}:1-7 t={}\n",
                                    order, kTime, l.offset, kSid, kTime));
    EXPECT_FALSE(l.decoder.keepalive_due());
    // the same tables again: no relation, no question
    const int asked = l.tables.asked;
    l.gtid(8).begin().map().insert(3, "z").xid();
    EXPECT_EQ(l.tables.asked, asked);
    EXPECT_EQ(l.rows(), "insert 1 (t:3, t:z)\n");
}

TEST(BinlogTransactions, UnwantedOnesBecomeAKeepalive) {
    Log l;
    l.start();
    l.gtid(1).begin().map("other").insert(1, "x").xid();
    EXPECT_TRUE(l.decoder.keepalive_due());
    ASSERT_TRUE(l.decoder.write_keepalive(l.sink));
    EXPECT_EQ(l.text(), fmt::format("keepalive uuid;binlog.000001:{};\n", l.offset));
    EXPECT_FALSE(l.decoder.keepalive_due());
    l.ok(event(EventType::heartbeat, std::move(Body().text("binlog.000001")),
               {.next = static_cast<std::uint32_t>(l.offset)}));
    EXPECT_FALSE(l.decoder.keepalive_due());
    l.ok(event(EventType::heartbeat, std::move(Body().text("binlog.000001")),
               {.next = static_cast<std::uint32_t>(l.offset + 50)}));
    EXPECT_TRUE(l.decoder.keepalive_due());
    EXPECT_EQ(l.decoder.position().offset, l.offset + 50);
}

TEST(BinlogTransactions, NonTransactionalRowsEndInCommit) {
    Log l;
    l.start();
    l.gtid(1).begin().map("my").insert(1, "x").sql("COMMIT");
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:x)\n");
}

TEST(BinlogTransactions, PreviousGtidsMakeTheSetKnown) {
    Log l;
    l.start();
    ByteBuffer set;
    GtidSet::parse(std::string(kSid) + ":1-4")->encode(set);
    l.put(EventType::previous_gtids, std::move(Body().text(as_text(set.view()))));
    l.gtid(5).begin().map().insert(1, "x").xid();
    EXPECT_EQ(l.decoder.position().gtids, std::string(kSid) + ":1-5");
}

// Goal: behind a failover, what the position's set holds may stand anywhere: it is not taken twice. Places
// order behind those of the server before.
TEST(BinlogTransactions, WhatTheSetHoldsIsSteppedOver) {
    Log l;
    l.start(4, {.server = "uuid",
                .file = "binlog.000001",
                .offset = 4,
                .gtids = std::string(kSid) + ":1:3",
                .base = 7});
    for (const unsigned n : {1U, 2U, 3U, 4U}) l.gtid(n).begin().map().insert(n, "x").xid();
    EXPECT_EQ(l.rows(), "insert 1 (t:2, t:x)\ninsert 1 (t:4, t:x)\n");
    EXPECT_EQ(l.decoder.position().gtids, std::string(kSid) + ":1-4");
    EXPECT_EQ(l.decoder.position().order(), log_order(8, l.offset));
    EXPECT_EQ(parse_token(l.decoder.position().token())->order(), log_order(8, l.offset));
}

// Goal: a set that was not read out of the log is not believed: it is counted from the beginning of the file.
TEST(BinlogTransactions, AnUnknownSetIsCounted) {
    Log l(true);
    l.start(500);
    EXPECT_EQ(l.offset, 130U);
    ByteBuffer set;
    GtidSet::parse(std::string(kSid) + ":1-4")->encode(set);
    l.put(EventType::previous_gtids, std::move(Body().text(as_text(set.view()))));
    unsigned n = 5;
    for (; l.offset < 500; ++n) l.gtid(n).begin().map().insert(n, "x").xid();
    const auto before = l.rows();
    l.gtid(n).begin().map().insert(n, "x").xid();
    EXPECT_EQ(before, "");
    EXPECT_EQ(l.rows(), fmt::format("insert 1 (t:{}, t:x)\n", n));
    EXPECT_EQ(l.decoder.position().gtids, fmt::format("{}:1-{}", kSid, n));
}

TEST(BinlogTransactions, RotationAndRestartOfTheServer) {
    Log l;
    l.start();
    l.gtid(1).begin().map().insert(1, "x").xid();
    l.put(EventType::rotate, std::move(Body().u64(4).text("binlog.000002")));
    EXPECT_EQ(l.decoder.position().file, "binlog.000002");
    EXPECT_EQ(l.decoder.position().offset, 4U);
    EXPECT_TRUE(l.decoder.keepalive_due());
    l.ok(event(EventType::rotate, std::move(Body().u64(4).text("binlog.000002")),
               {.flags = kEventArtificial}));
    l.ok(format_description("8.0.36", true, 130));
    l.offset = 130;
    l.gtid(2).begin().map().insert(2, "x").xid();
    EXPECT_EQ(l.decoder.position().order(), log_order(2, l.offset));
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:x)\ninsert 1 (t:2, t:x)\n");
}

TEST(BinlogTransactions, PositionsBeyondFourGigabytes) {
    Log l;
    l.start(0xFFFF'FF80);
    l.gtid(1).begin().map().insert(1, "x").xid();
    EXPECT_GT(l.decoder.position().offset, 0x1'0000'0000U);
    EXPECT_EQ(l.decoder.position().offset, l.offset);
    // the dump cannot start there: it starts at the file's beginning and steps over what was read
    const LogPosition from = l.decoder.position();
    l.text();
    l.start(0, from);
    EXPECT_EQ(l.decoder.start().offset, 4U);
}

TEST(BinlogTransactions, WhatWasReadIsSteppedOver) {
    Log l;
    l.start();
    l.gtid(1).begin().map().insert(1, "x").xid();
    const std::uint64_t middle = l.offset;
    LogPosition from{"uuid", "binlog.000001", middle, "", "binlog.000001", 4};
    l.text();
    l.start(0, from);
    l.gtid(1).begin().map().insert(1, "x").xid();
    EXPECT_EQ(l.offset, middle);
    EXPECT_EQ(l.text(), "");
    EXPECT_FALSE(l.decoder.keepalive_due());
    l.gtid(2).begin().map().insert(2, "x").xid();
    EXPECT_EQ(l.rows(), "insert 1 (t:2, t:x)\n");
}

TEST(BinlogTransactions, NextPositionIsLeftOut) {
    Log l;
    l.mariadb = true;
    l.start();
    l.positions = false;
    l.put(EventType::mariadb_gtid, std::move(Body().u64(1).u32(0).u8(0).bytes({0, 0, 0, 0, 0, 0})));
    l.map().insert(1, "x");
    l.positions = true;
    l.xid();
    EXPECT_EQ(l.decoder.position().offset, l.offset);
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:x)\n");
}

TEST(BinlogTransactions, RollbackIsLeftOutWhenReadAgain) {
    Log l;
    const auto play = [&]() -> Result<> {
        l.start();
        l.text();
        l.gtid(1).begin().map().insert(1, "x");
        l.map("my", 10).insert(2, "m", 10);
        GW_CHECK(l.feed(l.placed(EventType::query, query("shop", "ROLLBACK"))));
        l.gtid(2).begin().map().insert(3, "x").xid();
        return {};
    };
    const auto first = play();
    ASSERT_FALSE(first);
    EXPECT_EQ(first.error().code, ErrorCode::aborted);
    const auto second = play();
    ASSERT_TRUE(second) << second.error().text();
    // rows of tables without transactions stay
    EXPECT_EQ(l.rows(), "insert 2 (t:2, t:m)\ninsert 1 (t:3, t:x)\n");
    const auto parts = l.decoder.taken_back_parts();
    EXPECT_FALSE(Log().decoder.take_back(as_text(parts.view()).substr(1)));
}

TEST(BinlogTransactions, RollbackToIsLeftOutWhenReadAgain) {
    Log l;
    const auto play = [](Log& on) -> Result<> {
        on.start();
        on.text();
        on.gtid(1)
            .begin()
            .map()
            .insert(1, "x")
            .sql("SAVEPOINT `a`")
            .insert(2, "x")
            .sql("SAVEPOINT `b`")
            .insert(3, "x");
        GW_CHECK(on.feed(on.placed(EventType::query, query("shop", "ROLLBACK TO `a`"))));
        on.insert(4, "x").xid();
        return {};
    };
    EXPECT_EQ(play(l).error().code, ErrorCode::aborted);
    ASSERT_TRUE(play(l));
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:x)\ninsert 1 (t:4, t:x)\n");
    // by another process
    Log next;
    ASSERT_TRUE(next.decoder.take_back(as_text(l.decoder.taken_back_parts().view())));
    ASSERT_TRUE(play(next));
    EXPECT_EQ(next.rows(), "insert 1 (t:1, t:x)\ninsert 1 (t:4, t:x)\n");
    // without rows behind the savepoint nothing is to be taken back
    l.gtid(2).begin().map().insert(5, "x").sql("SAVEPOINT a").sql("ROLLBACK TO a").xid();
    EXPECT_EQ(l.rows(), "insert 1 (t:5, t:x)\n");
}

TEST(BinlogTransactions, UnfinishedOnesOfACrashAreDropped) {
    Log l;
    l.start();
    l.gtid(1).begin().map("other").insert(1, "x");
    l.gtid(2).begin().map().insert(2, "x").xid();
    EXPECT_EQ(l.rows(), "insert 1 (t:2, t:x)\n");
}

TEST(BinlogTransactions, PreparedOnesWaitForTheirCommit) {
    Log l;
    l.start();
    Body prepare;
    prepare.u8(0).u32(1).u32(1).u32(0).text("a");
    const std::uint64_t from = l.offset;
    l.gtid(1).sql("XA START X'61',X'',1").map().insert(1, "xa").sql("XA END X'61',X'',1");
    l.put(EventType::xa_prepare, prepare);
    l.gtid(2).begin().map().insert(2, "x").xid();
    EXPECT_EQ(l.decoder.position().open_offset, from);
    EXPECT_EQ(l.rows(), "insert 1 (t:2, t:x)\n");
    const LogPosition middle = l.decoder.position();
    const std::uint64_t order = log_order(1, l.offset);
    l.gtid(3).sql("XA COMMIT X'61',X'',1");
    EXPECT_EQ(l.text(),
              fmt::format("begin 1 @{:016X} t={} streamed\nrelation 1 shop.t oid=100 key [id*:0 v:0]\n"
                          "insert 1 sub=1 (t:1, t:xa)\ncommit uuid;binlog.000001:{}; t={}\n",
                          order, kTime, l.offset, kTime));
    EXPECT_TRUE(l.decoder.position().open_file.empty());

    // Read again from the position between: the prepared one comes, the other does not.
    l.start(0, middle);
    EXPECT_EQ(l.decoder.start().offset, from);
    l.gtid(1).sql("XA START X'61',X'',1").map().insert(1, "xa").sql("XA END X'61',X'',1");
    l.put(EventType::xa_prepare, prepare);
    l.gtid(2).begin().map().insert(2, "x").xid();
    EXPECT_EQ(l.rows(), "");
    l.gtid(3).sql("XA COMMIT X'61',X'',1");
    EXPECT_EQ(l.rows(), "insert 1 sub=2 (t:1, t:xa)\n");
    // rolled back, one phase, unknown
    l.gtid(4).sql("XA START X'62',X'',1").map().insert(5, "xa").sql("XA END X'62',X'',1");
    l.put(EventType::xa_prepare, std::move(Body().u8(0).u32(1).u32(1).u32(0).text("b")));
    l.gtid(5).sql("XA ROLLBACK X'62',X'',1");
    l.gtid(6).sql("XA START X'63',X'',1").map().insert(6, "xa").sql("XA END X'63',X'',1");
    l.put(EventType::xa_prepare, std::move(Body().u8(1).u32(1).u32(1).u32(0).text("c")));
    l.gtid(7).sql("XA COMMIT X'64',X'',1");
    EXPECT_EQ(l.rows(), "insert 1 sub=4 (t:6, t:xa)\n");
}

TEST(BinlogTransactions, PreparedOnesThatNobodyRead) {
    Log l(false, true);
    l.start();
    l.gtid(1).sql("XA START X'61',X'',1").map("other").insert(1, "xa").sql("XA END X'61',X'',1");
    l.put(EventType::xa_prepare, std::move(Body().u8(0).u32(1).u32(1).u32(0).text("a")));
    l.gtid(2).sql("XA COMMIT X'61',X'',1");
    l.gtid(3).sql("XA ROLLBACK X'62',X'',1");
    EXPECT_TRUE(l.tables.unsure.empty());
    const std::uint64_t order = log_order(1, l.offset);
    l.gtid(4).sql("XA COMMIT X'63',X'',1");
    EXPECT_EQ(l.tables.unsure, (std::vector<std::string>{"k", "my", "t"}));
    EXPECT_EQ(l.tables.unsure_order, order);
}

// Goal: whoever goes on knows of every prepared one that it is not the one that nobody has read, and of that
// one that it is.
TEST(BinlogTransactions, PreparedOnesThatNobodyReadBeforeARestart) {
    Log l(false, true);
    const auto prepare = [&] {
        l.gtid(1).sql("XA START X'61',X'',1").map("other").insert(1, "xa").sql("XA END X'61',X'',1");
        l.put(EventType::xa_prepare, std::move(Body().u8(0).u32(1).u32(1).u32(0).text("a")));
        l.gtid(2).begin().map().insert(2, "x").xid();
    };
    l.start();
    const std::uint64_t from = l.offset;
    prepare();
    const LogPosition middle = l.decoder.position();
    EXPECT_EQ(middle.open_offset, from);
    l.text();
    l.start(0, middle);
    prepare();
    EXPECT_EQ(l.rows(), "");
    l.gtid(3).sql("XA COMMIT X'61',X'',1");
    EXPECT_TRUE(l.tables.unsure.empty());
    EXPECT_TRUE(l.decoder.position().open_file.empty());
    l.gtid(4).sql("XA COMMIT X'63',X'',1");
    EXPECT_EQ(l.tables.unsure, (std::vector<std::string>{"k", "my", "t"}));
    // who does not mind them keeps no place for them
    Log careless;
    careless.start();
    careless.gtid(1).sql("XA START X'61',X'',1").map("other").insert(1, "xa").sql("XA END X'61',X'',1");
    careless.put(EventType::xa_prepare, std::move(Body().u8(0).u32(1).u32(1).u32(0).text("a")));
    EXPECT_TRUE(careless.decoder.position().open_file.empty());
}

// Goal: what was read before, and does not fit the table's shape of today, is a doubt only when it is
// committed.
TEST(BinlogTransactions, PassedOnesThatDoNotFit) {
    Log l(false, true);
    l.tables.load_anew = true;
    const auto prepare = [&](const char* id) {
        l.gtid(1).sql(fmt::format("XA START X'{:02x}',X'',1", id[0]));
        l.put(EventType::table_map, table_map(20, "shop", "t", {{8, {}}, {15, {80, 0}}})).insert(1, "xa", 20);
        l.sql(fmt::format("XA END X'{:02x}',X'',1", id[0]));
        l.put(EventType::xa_prepare, std::move(Body().u8(0).u32(1).u32(1).u32(0).text(id)));
    };
    l.start();
    prepare("o");
    prepare("a");
    l.gtid(3).sql("XA COMMIT X'61',X'',1");
    const LogPosition middle = l.decoder.position();
    l.tables.unsure.clear();
    l.start(0, middle);
    prepare("o");
    prepare("a");
    l.gtid(3).sql("XA COMMIT X'61',X'',1");
    EXPECT_TRUE(l.tables.unsure.empty());
    l.gtid(4).sql("XA COMMIT X'6f',X'',1");
    EXPECT_EQ(l.tables.unsure, std::vector<std::string>{"t"});
}

// A prepared transaction is read from its beginning, before the position that says it is open.
TEST(BinlogTransactions, WhatAPreparedOneTookBack) {
    Log l;
    const auto prepare = [&]() -> Result<> {
        l.gtid(1).sql("XA START X'61',X'',1").map().insert(1, "xa").sql("SAVEPOINT a").insert(2, "xa");
        GW_CHECK(l.feed(l.placed(EventType::query, query("shop", "ROLLBACK TO a"))));
        l.sql("XA END X'61',X'',1");
        l.put(EventType::xa_prepare, std::move(Body().u8(0).u32(1).u32(1).u32(0).text("a")));
        return {};
    };
    l.start();
    EXPECT_EQ(prepare().error().code, ErrorCode::aborted);
    l.start();
    ASSERT_TRUE(prepare());
    l.gtid(2).begin().map().insert(3, "x").xid();
    const LogPosition middle = l.decoder.position();
    l.text();
    l.start(0, middle);
    ASSERT_TRUE(prepare());
    l.gtid(2).begin().map().insert(3, "x").xid();
    l.gtid(3).sql("XA COMMIT X'61',X'',1");
    EXPECT_EQ(l.rows(), "insert 1 sub=3 (t:1, t:xa)\n");
}

TEST(BinlogTransactions, Payload) {
    Log l;
    l.start();
    l.gtid(1);
    const EventOptions inside{.checksum = false};
    const std::string inner =
        event(EventType::query, query("shop", "BEGIN"), inside) +
        event(EventType::table_map, table_map(9, "shop", "t", {{3, {}}, {15, {80, 0}}}), inside) +
        event(EventType::write_rows, Log::row(rows_head(9, 2), 1, "packed"), inside) +
        event(EventType::xid, std::move(Body().u64(1)), inside);
    std::string packed(ZSTD_compressBound(inner.size()), 0);
    packed.resize(ZSTD_compress(packed.data(), packed.size(), inner.data(), inner.size(), 3));
    Body b;
    b.u8(2).u8(1).u8(0).u8(1).u8(3).u8(0xFC).u16(static_cast<unsigned>(packed.size())).u8(0).text(packed);
    l.put(EventType::transaction_payload, b);
    EXPECT_EQ(l.decoder.position().offset, l.offset);
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:packed)\n");
}

TEST(BinlogTransactions, Statements) {
    Log l;
    l.start();
    l.gtid(1).begin().sql("UPDATE t SET v=1").xid();
    l.gtid(2).begin().sql("UPDATE elsewhere SET v=1").xid();
    l.gtid(2).begin().sql("INSERT INTO mysql.beat (t) VALUES (1)").xid();
    EXPECT_EQ(l.tables.unsure, (std::vector<std::string>{"t"}));
    l.tables.unsure.clear();
    l.gtid(3).sql("CALL p()");
    EXPECT_EQ(l.tables.unsure, (std::vector<std::string>{"k", "my", "t"}));
    EXPECT_TRUE(l.decoder.keepalive_due());
    EXPECT_EQ(l.text(), "");
}

TEST(BinlogTransactions, Ddl) {
    Log l;
    l.start();
    l.gtid(1).begin().map().insert(1, "x").xid();
    l.tables.on_ddl = [&] { l.tables.add("t", {{"id", "int"}, {"v", "varchar(20)"}, {"w", "int"}}, {"id"}); };
    l.gtid(2).sql("ALTER TABLE t ADD w int");
    ASSERT_EQ(l.tables.statements.size(), 1U);
    EXPECT_EQ(l.tables.statements[0],
              fmt::format("ALTER TABLE t ADD w int @uuid;binlog.000001:{};", l.offset));
    l.text();
    l.gtid(3).begin().put(EventType::table_map,
                          table_map(12, "shop", "t", {{3, {}}, {15, {80, 0}}, {3, {}}}));
    l.put(EventType::write_rows, std::move(rows_head(12, 3).u8(0x04).u32(2).short_text("y"))).xid();
    EXPECT_EQ(l.rows(), "insert 2 (t:2, t:y, null)\n");
    l.tables.on_ddl = {};
    l.tables.answer.truncated = {{"shop", "t"}, {"shop", "nothing"}};
    l.gtid(4).sql("TRUNCATE TABLE t");
    EXPECT_EQ(l.sink.lines.size(), 3U);
    EXPECT_EQ(l.rows(), "truncate flags=0 [2]\n");
    EXPECT_FALSE(l.tables.temporary);
    l.gtid(5).ok(event(EventType::query, query("shop", "TRUNCATE TABLE t"), {.flags = kEventThreadSpecific}));
    EXPECT_TRUE(l.tables.temporary);
}

TEST(BinlogTransactions, AnotherDefinitionIsAnError) {
    Log l;
    l.start();
    l.gtid(1).begin();
    for (const auto& columns : std::vector<std::vector<BuiltColumn>>{{{3, {}}},
                                                                     {{8, {}}, {15, {80, 0}}},
                                                                     {{3, {}}, {15, {40, 0}}},
                                                                     {{3, {}}, {15, {80, 0}}, {3, {}}}}) {
        const auto done = l.feed(event(EventType::table_map, table_map(20, "shop", "t", columns),
                                       {.next = static_cast<std::uint32_t>(l.offset)}));
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, ErrorCode::failed_precondition) << done.error().text();
    }
    Body names;
    names.part(4, std::move(Body().short_text("id").short_text("w")));
    EXPECT_NE(l.feed(event(EventType::table_map, table_map(20, "shop", "t", {{3, {}}, {15, {80, 0}}}, names)))
                  .error()
                  .message.find("called w"),
              std::string::npos);
    Body sign;
    sign.part(1, std::move(Body().u8(0x80)));
    EXPECT_NE(l.feed(event(EventType::table_map, table_map(20, "shop", "t", {{3, {}}, {15, {80, 0}}}, sign)))
                  .error()
                  .message.find("sign"),
              std::string::npos);
}

TEST(BinlogTransactions, Errors) {
    Log l;
    l.start();
    EXPECT_EQ(l.feed(l.placed(EventType::incident, std::move(Body().u16(1).short_text("LOST")))).error().code,
              ErrorCode::data_loss);
    EXPECT_FALSE(l.feed(l.placed(EventType::write_rows, rows_head(9, 2))));  // outside of a transaction
    EXPECT_EQ(l.feed(event(EventType::rotate, std::move(Body().u64(4).text("bin;log.000001")))).error().code,
              ErrorCode::unsupported);
    EXPECT_FALSE(l.feed(event(EventType::rotate, std::move(Body().u64(4).text("binlog")))));
    EXPECT_FALSE(l.feed(event(EventType::rotate, std::move(Body().u64(3).text("binlog.000001")))));
    l.gtid(1).begin();
    EXPECT_FALSE(l.feed(l.placed(EventType::write_rows, Log::row(rows_head(77, 2), 1, "x"))));  // no map
    EXPECT_EQ(l.feed(l.placed(static_cast<EventType>(99), {})).error().code, ErrorCode::unsupported);
    EXPECT_TRUE(l.feed(event(static_cast<EventType>(99), {}, {.flags = kEventIgnorable})));
    EXPECT_FALSE(l.feed("short"));
    l.map();
    // rows that are cut, at every byte
    const std::string whole = Log::row(Log::row(rows_head(9, 2, true), 1, "x"), 2, "yy").str();
    for (std::size_t n = 14; n < whole.size(); ++n)
        EXPECT_FALSE(l.feed(l.placed(EventType::update_rows, std::move(Body().text(whole.substr(0, n))))))
            << n;
}

TEST(BinlogTransactions, PartialImages) {
    Log l;
    l.start();
    l.gtid(1).begin().map();
    // MINIMAL: the key before, what changed after
    Body b = rows_head(9, 2, true, {1}, {2});
    b.u8(0).u32(1).u8(0).short_text("y");
    l.put(EventType::update_rows, b);
    b = rows_head(9, 2, true, {1}, {1});
    b.u8(0).u32(1).u8(0).u32(5);
    l.put(EventType::update_rows, b);
    b = rows_head(9, 2, false, {1});
    b.u8(0).u32(5);
    l.put(EventType::delete_rows, b);
    EXPECT_EQ(
        l.rows(),
        "update 1 (t:1, t:y)\nupdate 1 key (t:1, null) -> (t:5, unchanged)\nremove 1 key (t:5, null)\n");
    // an old row that does not name its row
    b = rows_head(9, 2, false, {2});
    b.u8(0).short_text("x");
    const auto done = l.feed(l.placed(EventType::delete_rows, b));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(done.error().message.find("binlog_row_image"), std::string::npos);
}

// Goal: a value that a partial image leaves out of an INSERT is NULL where it can be nothing else, and never
// guessed where it can.
TEST(BinlogTransactions, InsertsOfPartialImages) {
    Log l;
    l.start();
    const auto unnamed = [&](bool not_null, const std::string& fallback) {
        l.tables.set_column("t", 1, not_null, fallback);
        l.tables.unsure.clear();
        l.decoder.reselect();
        l.gtid(1).begin().map().insert(1, "x");
        Body b = rows_head(9, 2, false, {1});
        b.u8(0).u32(2).u8(0).u32(3);
        l.put(EventType::write_rows, b).insert(4, "y").xid();
        return l.rows();
    };
    EXPECT_EQ(unnamed(false, ""),
              "insert 1 (t:1, t:x)\ninsert 1 (t:2, null)\ninsert 1 (t:3, null)\ninsert 1 (t:4, t:y)\n");
    EXPECT_TRUE(l.tables.unsure.empty());
    EXPECT_EQ(unnamed(true, ""), "insert 1 (t:1, t:x)\ninsert 1 (t:4, t:y)\n");
    EXPECT_EQ(l.tables.unsure, std::vector<std::string>{"t"});
    const std::uint64_t begun = log_order(1, l.offset);
    EXPECT_EQ(unnamed(false, "'a'"), "insert 1 (t:1, t:x)\ninsert 1 (t:4, t:y)\n");
    EXPECT_EQ(l.tables.unsure, std::vector<std::string>{"t"});
    EXPECT_EQ(l.tables.unsure_order, begun);
    EXPECT_NE(l.tables.unsure_why.find("column v"), std::string::npos);
    EXPECT_NE(l.tables.unsure_why.find("SET GLOBAL binlog_row_image = 'FULL'"), std::string::npos);
}

// Goal: rows without any column leave no byte in the log, not even of how many they are.
TEST(BinlogTransactions, InsertsWithoutAnyColumn) {
    Log l;
    l.start();
    l.gtid(1).begin().map("k").put(EventType::write_rows, rows_head(9, 2, false, {0})).insert(4, "y").xid();
    EXPECT_EQ(l.rows(), "insert 1 (t:4, t:y)\n");
    EXPECT_EQ(l.tables.unsure, std::vector<std::string>{"k"});
}

// Goal: a load between XA PREPARE and XA COMMIT would not bring the row: there is no going on.
TEST(BinlogTransactions, InsertsOfPartialImagesInXa) {
    Log l;
    l.tables.set_column("t", 1, true, "");
    l.start();
    l.gtid(1).sql("XA START X'61',X'',1").map();
    Body b = rows_head(9, 2, false, {1});
    b.u8(0).u32(2);
    const auto done = l.feed(l.placed(EventType::write_rows, b));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(done.error().message.find("binlog_row_image"), std::string::npos);
}

// Types that new servers do not write any more, and values that only they have.
TEST(BinlogTransactions, OldAndRareTypes) {
    Log l;
    l.tables.add("old",
                 {{"a", "datetime"},
                  {"b", "time"},
                  {"c", "timestamp"},
                  {"d", "timestamp(6)"},
                  {"e", "date"},
                  {"f", "json"}},
                 {"a"});
    l.start();
    l.gtid(1).begin();
    l.put(EventType::table_map,
          table_map(5, "shop", "old", {{12, {}}, {11, {}}, {7, {}}, {17, {6}}, {10, {}}, {245, {4}}}));
    Body b = rows_head(5, 6);
    b.u8(0)
        .u64(20'240'229'123'456)
        .bytes({0x18, 0xFC, 0xFF})
        .u32(1)
        .bytes({0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x42, 0x3F});
    b.bytes({0x5D, 0xD0, 0x0F}).u32(0);
    b.u8(0)
        .u64(0)
        .bytes({0x60, 0x7F, 0x00})
        .u32(0)
        .bytes({0, 0, 0, 0, 0, 0, 0})
        .bytes({0, 0, 0})
        .u32(2)
        .bytes({4, 1});
    l.put(EventType::write_rows, b);
    EXPECT_EQ(
        l.rows(),
        "insert 1 (t:2024-02-29 12:34:56, t:-00:10:00, t:1970-01-01 00:00:01, t:2106-02-07 06:28:15.999999, "
        "t:2024-02-29, t:null)\n"
        "insert 1 (null, t:03:26:08, null, null, null, t:true)\n");
    l.decoder.set_dialect(Dialect::load);
    l.put(EventType::table_map,
          table_map(5, "shop", "old", {{12, {}}, {11, {}}, {7, {}}, {17, {6}}, {10, {}}, {245, {4}}}));
    l.put(EventType::write_rows, b);
    EXPECT_NE(
        l.rows().find("insert 1 (t:0000-00-00 00:00:00, t:03:26:08, t:0000-00-00 00:00:00, t:0000-00-00 "
                      "00:00:00.000000, t:0000-00-00, t:true)"),
        std::string::npos);
}

// The catalogue knows characters up to U+FFFF; where it may have put a '?' for another one, the log must say.
TEST(BinlogTransactions, LabelsThatTheCatalogueCannotSay) {
    Log l;
    l.tables.add("e", {{"id", "int"}, {"a", "enum('?','b')"}, {"s", "set('?','?')"}}, {"id"});
    l.tables.set_collation("e", 1, "utf8mb4_general_ci");
    l.tables.set_collation("e", 2, "utf16_general_ci");
    l.start();
    l.gtid(1).begin();
    const auto map = [](std::string_view first) {
        Body said;
        said.part(6, std::move(Body().u8(2).short_text(first).short_text("b")));
        said.part(5, std::move(Body().u8(2).u8(4).bytes({0xD8, 0x3D, 0xDE, 0x00}).u8(2).bytes({0, 0x3F})));
        return table_map(5, "shop", "e", {{3, {}}, {254, {247, 1}}, {254, {248, 1}}}, said);
    };
    l.put(EventType::table_map, map("\xF0\x9F\x98\x80"));
    l.put(EventType::write_rows, std::move(rows_head(5, 3).u8(0).u32(1).u8(1).u8(3)));
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:\xF0\x9F\x98\x80, t:\xF0\x9F\x98\x80,?)\n");
    l.put(EventType::table_map, map("?"));
    l.put(EventType::write_rows, std::move(rows_head(5, 3).u8(0).u32(1).u8(1).u8(2)));
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:?, t:?)\n");
    auto done = l.feed(l.placed(EventType::table_map, map("c")));
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("column a has other labels"), std::string::npos);
    done = l.feed(l.placed(EventType::table_map,
                           table_map(5, "shop", "e", {{3, {}}, {254, {247, 1}}, {254, {248, 1}}})));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::unsupported);
    EXPECT_NE(done.error().message.find("binlog_row_metadata"), std::string::npos) << done.error().text();
    // what cannot hold such characters is as the catalogue says
    l.tables.set_collation("e", 1, "utf8mb3_general_ci");
    l.tables.set_collation("e", 2, "latin1_bin");
    l.put(EventType::table_map, table_map(5, "shop", "e", {{3, {}}, {254, {247, 1}}, {254, {248, 1}}}));
    l.put(EventType::write_rows, std::move(rows_head(5, 3).u8(0).u32(1).u8(1).u8(2)));
    EXPECT_EQ(l.rows(), "insert 1 (t:1, t:?, t:?)\n");
}

// MariaDB keeps a hash of each unique key over long values in each row, behind all other columns.
TEST(BinlogTransactions, HashesOfLongKeys) {
    TableSchema schema;
    schema.name = {"shop", "h"};
    for (const auto& [name, type] : {std::pair{"id", "int(11)"}, std::pair{"n", "bigint(20)"}}) {
        schema.columns.emplace_back();
        schema.columns.back().name = name;
        schema.columns.back().native_type = type;
    }
    const WireColumn id{WireType::integer}, big{WireType::big}, instant{WireType::timestamp2, 6};
    const auto fits = [&](std::vector<WireColumn> columns, std::vector<std::string_view> names,
                          bool mariadb = true) {
        TableMap map;
        map.columns = std::move(columns);
        map.names = std::move(names);
        RowOptions options;
        options.mariadb = mariadb;
        return RowPlan::compile(map, schema, options).has_value();
    };
    EXPECT_TRUE(fits({id, big, big}, {"id", "n", "DB_ROW_HASH_1"}));
    EXPECT_TRUE(fits({id, big, big, big}, {"id", "n", "DB_ROW_HASH_1", "DB_ROW_HASH_2"}));
    // and its versions
    EXPECT_TRUE(fits({id, big, instant, instant, big}, {"id", "n", "row_start", "row_end", "DB_ROW_HASH_1"}));
    // it may be a column that was added
    EXPECT_FALSE(fits({id, big, big}, {}));
    EXPECT_FALSE(fits({id, big, big}, {"id", "n", "m"}));
    EXPECT_FALSE(fits({id, big, big, big}, {"id", "n", "m", "DB_ROW_HASH_1"}));
    EXPECT_FALSE(fits({id, big, id}, {"id", "n", "DB_ROW_HASH_1"}));
    EXPECT_FALSE(fits({id, big, big}, {"id", "n", "DB_ROW_HASH_1"}, false));
    schema.columns.back().name = "DB_ROW_HASH_1";  // of the user's own
    EXPECT_TRUE(fits({id, big}, {"id", "DB_ROW_HASH_1"}));
    EXPECT_TRUE(fits({id, big, big}, {"id", "DB_ROW_HASH_1", "DB_ROW_HASH_2"}));
}

// A target of this family then writes only what is new.
TEST(BinlogTransactions, OldRowsAreWholeForTheSameFamily) {
    Log l;
    l.start();
    l.decoder.set_dialect(Dialect::load);
    l.gtid(1).begin().map().update(1, "x", 1, "y").update(1, "y", 2, "y").remove(2, "y");
    EXPECT_EQ(l.rows(),
              "update 1 full (t:1, t:x) -> (t:1, t:y)\n"
              "update 1 full (t:1, t:y) -> (t:2, t:y)\n"
              "remove 1 key (t:2, null)\n");
    Body partial = rows_head(9, 2, true, {1}, {3});  // the old image holds the key alone
    partial.u8(0).u32(2).u8(0).u32(2).short_text("z");
    l.put(EventType::update_rows, partial);
    EXPECT_EQ(l.rows(), "update 1 (t:2, t:z)\n");
}

TEST(BinlogTransactions, PartialJson) {
    Log l;
    l.tables.add("j", {{"id", "int"}, {"d", "json"}, {"e", "json"}}, {"id"});
    l.start();
    l.gtid(1).begin().put(EventType::table_map, table_map(6, "shop", "j", {{3, {}}, {245, {4}}, {245, {4}}}));
    Body b = rows_head(6, 3, true, {7}, {7});
    Body document;  // [1]
    document.u8(2).u16(1).u16(7).u8(5).u16(1);
    const auto count = static_cast<std::uint32_t>(document.view().size());
    b.u8(0).u32(1).u32(count).text(document.str()).u32(count).text(document.str());
    Body change;
    change.u8(0).short_text("$[0]").short_text(std::string("\x05\x09\x00", 3));
    b.u8(1).u8(1).u8(0).u32(1).u32(static_cast<std::uint32_t>(change.view().size())).text(change.str());
    b.u32(count).text(document.str());
    l.put(EventType::partial_update_rows, b);
    EXPECT_EQ(l.rows(), "update 1 (t:1, t:[9], t:[1])\n");
    // a partial image leaves out the document that was changed
    b = rows_head(6, 3, true, {1}, {7});
    b.u8(0).u32(1).u8(1).u8(1).u8(0).u32(1).u32(static_cast<std::uint32_t>(change.view().size()));
    b.text(change.str()).u32(count).text(document.str());
    const auto done = l.feed(l.placed(EventType::partial_update_rows, b));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::failed_precondition) << done.error().text();
    EXPECT_EQ(l.rows(), "");
    // whoever loads the table anew goes on
    l.tables.load_anew = true;
    l.put(EventType::partial_update_rows, b)
        .put(EventType::partial_update_rows, b)
        .map()
        .insert(1, "x")
        .xid();
    EXPECT_EQ(l.tables.unsure, (std::vector<std::string>{"j", "j"}));
    EXPECT_EQ(l.rows(), "insert 2 (t:1, t:x)\n");
    // of the same session and under the same map: what can be read is read
    l.gtid(2).begin();
    l.put(EventType::table_map, table_map(6, "shop", "j", {{3, {}}, {245, {4}}, {245, {4}}}));
    l.put(EventType::partial_update_rows, b);
    b = rows_head(6, 3);
    b.u8(0).u32(2).u32(count).text(document.str()).u32(count).text(document.str());
    l.put(EventType::write_rows, b).xid();
    l.gtid(3).begin();
    l.put(EventType::table_map, table_map(6, "shop", "j", {{3, {}}, {245, {4}}, {245, {4}}}));
    l.put(EventType::write_rows, b).xid();
    EXPECT_EQ(l.rows(), "insert 1 (t:2, t:[1], t:[1])\ninsert 1 (t:2, t:[1], t:[1])\n");
    EXPECT_EQ(l.tables.unsure.size(), 3U);
}

// Goal: a load may begin between two transactions whose map does not fit: each of them is heard of.
TEST(BinlogTransactions, EveryMapThatDoesNotFitIsSaid) {
    Log l;
    l.tables.load_anew = true;
    l.start();
    for (std::uint32_t n = 1; n <= 2; ++n) {
        l.gtid(n).begin().put(EventType::table_map, table_map(20, "shop", "t", {{8, {}}, {15, {80, 0}}}));
        const std::uint64_t order = log_order(1, l.offset);
        l.insert(n, "x", 20).xid();
        EXPECT_EQ(l.tables.unsure.size(), n);
        EXPECT_LT(l.tables.unsure_order, order);
    }
    EXPECT_EQ(l.rows(), "");
}

TEST(BinlogTransactions, MariadbDdlInTwoSteps) {
    Log l;
    l.mariadb = true;
    l.start();
    const auto alter = [&](unsigned extra) {
        l.put(EventType::mariadb_gtid, std::move(Body().u64(1).u32(0).u8(1 | 2).u64(9).u8(extra)));
        l.sql("ALTER TABLE t ADD w int");
    };
    alter(2);
    EXPECT_TRUE(l.tables.statements.empty());
    alter(8);
    EXPECT_TRUE(l.tables.statements.empty());
    l.put(EventType::mariadb_gtid, std::move(Body().u64(1).u32(0).u8(1 | 2).u64(9).u8(4).u64(1)));
    l.sql("ALTER TABLE t ADD w int");
    EXPECT_EQ(l.tables.statements.size(), 1U);
}

}  // namespace
}  // namespace godwit::mysql
