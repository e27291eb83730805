// Golden lines of test_decoding (those of a PostgreSQL 15 server) and damaged ones.

#include "sources/postgres/test_decoding.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fakes/recording_sink.h"

namespace godwit::postgres {
namespace {

struct Fixture {
    explicit Fixture(std::size_t held_bytes_max = 1U << 20) : decoder(hooks(), held_bytes_max) {
        put("public.t", schema("t", 100, {column("id", 23), column("v", 25)}), {"id"});
    }
    static ColumnSchema column(std::string name, std::uint32_t type, std::int32_t modifier = -1) {
        ColumnSchema c;
        c.name = std::move(name);
        c.type_id = type;
        c.type_modifier = modifier;
        return c;
    }
    static TableSchema schema(const std::string& table, std::uint64_t oid,
                              std::vector<ColumnSchema> columns) {
        TableSchema t;
        t.name = {"public", table};
        t.source_id = oid;
        t.columns = std::move(columns);
        return t;
    }
    void put(const std::string& name, TableSchema schema, std::vector<std::string> key) {
        schema.identity = key.empty() ? RowIdentity::none : RowIdentity::key;
        schema.identity_columns = std::move(key);
        tables[name] = std::move(schema);
    }
    DecoderHooks hooks() {
        DecoderHooks h;
        h.resolve = [this](const TableName& name, bool) -> Result<std::shared_ptr<const TableSchema>> {
            ++resolved;
            const auto it = tables.find(name.text());
            if (it == tables.end()) return nullptr;
            return std::make_shared<const TableSchema>(it->second);
        };
        h.wants = [](std::uint32_t, std::string_view, std::string_view table) { return table != "unwanted"; };
        h.left_out = [this](const TableName& name, std::string_view what) {
            left_out.push_back(name.text() + ": " + std::string(what));
        };
        h.message = [this](const LogicalMessage& m) -> Result<> {
            messages.push_back(fmt::format("{} {} {}", m.transactional, m.prefix, as_text(m.content)));
            return {};
        };
        return h;
    }
    Result<> feed(std::string_view line, std::uint64_t at = 0x20) {
        return decoder.decode(as_bytes(line), Lsn(at), sink);
    }
    void all(std::initializer_list<std::string_view> lines) {
        for (const auto line : lines) {
            const auto done = feed(line);
            ASSERT_TRUE(done) << line << ": " << done.error().text();
        }
    }
    // the records between begin and commit
    std::vector<std::string> transaction(std::initializer_list<std::string_view> lines) {
        sink.lines.clear();
        EXPECT_TRUE(feed("BEGIN 7"));
        all(lines);
        EXPECT_TRUE(feed("COMMIT 7 (at 2026-11-21 04:30:12.5+00)"));
        if (sink.lines.size() < 2) return {};
        return {sink.lines.begin() + 1, sink.lines.end() - 1};
    }

    std::map<std::string, TableSchema> tables;
    std::vector<std::string> left_out, messages;
    int resolved = 0;
    test::RecordingSink sink;
    TestDecodingDecoder decoder;
};

using Lines = std::vector<std::string>;

TEST(TestDecoding, OneTransaction) {
    Fixture f;
    f.all({"BEGIN 738", "table public.t: INSERT: id[integer]:1 v[text]:'x''y'",
           "table public.t: INSERT: id[integer]:2 v[text]:null",
           "table public.t: UPDATE: id[integer]:1 v[text]:unchanged-toast-datum",
           "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:3 v[text]:''",
           "table public.t: DELETE: id[integer]:3", "table public.t: TRUNCATE: restart_seqs cascade"});
    EXPECT_TRUE(f.sink.lines.empty());  // nothing before the commit
    ASSERT_TRUE(f.feed("COMMIT 738 (at 2026-11-21 04:30:12.311955+00)", 0x1'0000'0020));
    const std::int64_t time = 1'795'235'412'311'955;
    EXPECT_EQ(f.sink.text(), fmt::format("begin 738 @000000010000001F t={0}\n"
                                         "relation 1 public.t oid=100 key [id*:23 v:25]\n"
                                         "insert 1 (t:1, t:x'y)\n"
                                         "insert 1 (t:2, null)\n"
                                         "update 1 (t:1, unchanged)\n"
                                         "update 1 key (t:1, null) -> (t:3, t:)\n"
                                         "remove 1 key (t:3, null)\n"
                                         "truncate flags=3 [1]\n"
                                         "commit 00000001/00000020 t={0}\n",
                                         time));
    EXPECT_EQ(f.resolved, 1);
}

TEST(TestDecoding, NamesTypesAndValues) {
    Fixture f;
    TableSchema t = Fixture::schema("We ird.t", 200, {});
    t.columns = {
        Fixture::column("new-tuple", 23), Fixture::column("a[b\"]", 18), Fixture::column("c", 1115, 3),
        Fixture::column("d", 16),         Fixture::column("e", 1560, 3), Fixture::column("f", 701),
        Fixture::column("g", 20000),      Fixture::column("h", 25),      Fixture::column("i", 20001)};
    f.put("public.We ird.t", t, {"new-tuple"});
    EXPECT_EQ(
        f.transaction(
            {"table public.\"We ird.t\": INSERT: \"new-tuple\"[integer]:1 \"a[b\"\"]\"[\"char\"]:'z' "
             "c[timestamp without time zone[]]:'{\"2020-01-01 00:00:00\"}' d[boolean]:true e[bit]:B'101' "
             "f[double precision]:NaN g[\"Sh]op\".\"mo]od\"[]]:'{a,''b}' h[text]:' null: ''new-tuple:'' "
             "x[y]:1\n' "
             "i[shop.bool_domain]:'t'",
             "table public.\"We ird.t\": UPDATE: old-key: \"new-tuple\"[integer]:1 new-tuple: "
             "\"new-tuple\"[integer]:2 \"a[b\"\"]\"[\"char\"]:'''' c[timestamp without time zone[]]:null "
             "d[boolean]:false e[bit]:B'000' f[double precision]:-Infinity g[\"Sh]op\".\"mo]od\"[]]:'{}' "
             "h[text]:'null' i[shop.bool_domain]:null"}),
        (Lines{
            "relation 1 public.We ird.t oid=200 key [new-tuple*:23 a[b\"]:18 c:1115(3) d:16 e:1560(3) f:701 "
            "g:20000 h:25 i:20001]",
            "insert 1 (t:1, t:z, t:{\"2020-01-01 00:00:00\"}, t:t, t:101, t:NaN, t:{a,'b}, t: null: "
            "'new-tuple:' "
            "x[y]:1\n, t:t)",
            "update 1 key (t:1, null, null, null, null, null, null, null, null) -> (t:2, t:', null, t:f, "
            "t:000, "
            "t:-Infinity, t:{}, t:null, null)"}));
}

// Old rows of REPLICA IDENTITY FULL leave NULLs out.
TEST(TestDecoding, FullIdentity) {
    Fixture f;
    f.tables["public.t"].identity = RowIdentity::full;
    EXPECT_EQ(f.transaction(
                  {"table public.t: DELETE: v[text]:'a'", "table public.t: DELETE:",
                   "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:1 v[text]:'b'"}),
              (Lines{"relation 1 public.t oid=100 full [id*:23 v*:25]", "remove 1 full (null, t:a)",
                     "remove 1 full (null, null)", "update 1 full (t:1, null) -> (t:1, t:b)"}));
}

TEST(TestDecoding, WithoutIdentity) {
    Fixture f;
    f.tables["public.t"].identity = RowIdentity::none;
    EXPECT_EQ(f.transaction({"table public.t: INSERT: id[integer]:1 v[text]:'a'",
                             "table public.t: UPDATE: id[integer]:1 v[text]:'b'",
                             "table public.t: DELETE: (no-tuple-data)"}),
              (Lines{"relation 1 public.t oid=100 none [id:23 v:25]", "insert 1 (t:1, t:a)"}));
    EXPECT_EQ(f.left_out, (Lines{"public.t: update without identity", "public.t: delete without identity"}));
}

// A line decides which columns there are; the catalogue, which is read later, adds what it can.
TEST(TestDecoding, VersionsFollowTheLines) {
    Fixture f;
    EXPECT_EQ(f.transaction({"table public.t: INSERT: id[integer]:1 v[text]:'a'"}).front(),
              "relation 1 public.t oid=100 key [id*:23 v:25]");
    f.tables["public.t"].columns = {Fixture::column("id", 20), Fixture::column("w", 25),
                                    Fixture::column("x", 1043, 14)};
    EXPECT_EQ(f.transaction({"table public.t: INSERT: id[integer]:1 v[text]:'a'",
                             "table public.t: INSERT: id[integer]:1 w[text]:'a'",
                             "table public.t: INSERT: id[bigint]:1 w[text]:'a' x[character varying]:'b'",
                             "table public.t: DELETE: id[bigint]:1"}),
              (Lines{"insert 1 (t:1, t:a)", "relation 2 public.t oid=100 key [id*:23 w:25]",
                     "insert 2 (t:1, t:a)", "relation 3 public.t oid=100 key [id*:20 w:25 x:1043(14)]",
                     "insert 3 (t:1, t:a, t:b)", "remove 3 key (t:1, null, null)"}));
    // the identity changes
    f.tables["public.t"].identity_columns = {"id", "w"};
    f.decoder.reselect();
    EXPECT_EQ(f.transaction({"table public.t: DELETE: id[bigint]:1 w[text]:'a'"}),
              (Lines{"relation 4 public.t oid=100 key [id*:20 w*:25 x:1043(14)]",
                     "remove 4 key (t:1, t:a, null)"}));
}

TEST(TestDecoding, PartitionsBecomeTheirRoot) {
    Fixture f;
    const TableSchema root = Fixture::schema("p", 300, {Fixture::column("a", 23)});
    for (const auto* name : {"public.p", "public.p1", "public.p2"}) f.put(name, root, {"a"});
    EXPECT_EQ(f.transaction({"table public.p1: INSERT: a[integer]:1", "table public.p2: INSERT: a[integer]:2",
                             "table public.p, public.p1, public.p2: TRUNCATE: (no-flags)"}),
              (Lines{"relation 1 public.p oid=300 key [a*:23]", "insert 1 (t:1)", "insert 1 (t:2)",
                     "truncate flags=0 [1]"}));
    EXPECT_TRUE(f.left_out.empty());
    EXPECT_TRUE(f.transaction({"table public.p1: TRUNCATE: cascade"}).empty());
    EXPECT_EQ(f.left_out, (Lines{"public.p1: truncate of a partition"}));
}

TEST(TestDecoding, UnwantedAndUnknownTables) {
    Fixture f;
    f.put("public.unwanted", Fixture::schema("unwanted", 400, {Fixture::column("a", 23)}), {"a"});
    EXPECT_TRUE(
        f.transaction({"table public.unwanted: INSERT: a[integer]:1",
                       "table public.gone: INSERT: a[integer]:1", "table public.gone: INSERT: a[integer]:1"})
            .empty());
    EXPECT_EQ(f.left_out.size(), 1U);
    EXPECT_TRUE(f.decoder.keepalive_due());
    f.put("public.gone", Fixture::schema("gone", 500, {Fixture::column("a", 23)}), {"a"});
    f.decoder.restart({});
    ASSERT_TRUE(f.feed("BEGIN 8"));
    f.all({"table public.gone: INSERT: a[integer]:1"});
    ASSERT_TRUE(f.feed("COMMIT 8 (at 2026-11-21 04:30:12+00)"));
    EXPECT_EQ(f.sink.lines.size(), 4U);
}

// What is too large to be held goes through an open stream of the sink.
TEST(TestDecoding, LargeTransactionsOverflow) {
    Fixture f(200);
    ASSERT_TRUE(f.feed("BEGIN 9"));
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(f.feed(fmt::format("table public.t: INSERT: id[integer]:{} v[text]:'x'", i)));
    EXPECT_EQ(f.sink.open.at(9).size(), 21U);
    EXPECT_TRUE(f.sink.lines.empty());
    ASSERT_TRUE(f.feed("COMMIT 9 (at 2026-11-21 04:30:12+00)"));
    EXPECT_EQ(f.sink.lines.size(), 23U);
    EXPECT_EQ(f.sink.lines[0], "begin 9 @000000000000001F t=1795235412000000 streamed");
    EXPECT_EQ(f.transaction({"table public.t: INSERT: id[integer]:1 v[text]:'x'"}),
              (Lines{"insert 1 (t:1, t:x)"}));
    // torn: everything comes again, the relation too
    ASSERT_TRUE(f.feed("BEGIN 10"));
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(f.feed(fmt::format("table public.t: INSERT: id[integer]:{} v[text]:'x'", i)));
    f.decoder.restart({});
    f.sink.streams_lost();
    EXPECT_EQ(f.transaction({"table public.t: INSERT: id[integer]:1 v[text]:'x'"}).front(),
              "relation 1 public.t oid=100 key [id*:23 v:25]");
}

TEST(TestDecoding, LogicalMessages) {
    Fixture f;
    f.all({"message: transactional: 1 prefix: p, sz: 3 content:, sz: 3 content:abc",
           "message: transactional: 0 prefix: godwit, sz: 0 content:"});
    EXPECT_EQ(f.messages, (Lines{"true p, sz: 3 content: abc", "false godwit "}));
}

TEST(TestDecoding, Times) {
    Fixture f;
    for (const auto& [text, us] :
         std::map<std::string, std::int64_t>{{"2026-11-21 04:30:12+00", 1'795'235'412'000'000},
                                             {"2026-11-21 04:30:12.3127+00", 1'795'235'412'312'700},
                                             {"2026-11-21 06:00:12+01:30", 1'795'235'412'000'000},
                                             {"2026-11-20 20:30:12-08", 1'795'235'412'000'000}}) {
        f.sink.lines.clear();
        f.all({"BEGIN 7", "table public.t: DELETE: id[integer]:1"});
        ASSERT_TRUE(f.feed("COMMIT 7 (at " + text + ")"));
        EXPECT_TRUE(f.sink.lines.back().ends_with(fmt::format("t={}", us)))
            << text << " " << f.sink.lines.back();
    }
}

TEST(TestDecoding, NonsenseIsRefused) {
    const auto refused = [](std::initializer_list<std::string_view> before, std::string_view line) {
        Fixture f;
        f.all(before);
        const auto done = f.feed(line);
        return !done && done.error().code == ErrorCode::data_loss;
    };
    for (const auto* line :
         {"", "x", "BEGIN ", "BEGIN x", "BEGIN 0", "BEGIN 1 ", "COMMIT 1 (at 2026-11-21 04:30:12+00)",
          "table public.t: INSERT: id[integer]:1", "message: transactional: 1 prefix: p, sz: 3 content:ab"})
        EXPECT_TRUE(refused({}, line)) << line;
    for (const auto* line : {"BEGIN 8",
                             "COMMIT 8 (at 2026-11-21 04:30:12+00)",
                             "COMMIT 7",
                             "COMMIT 7 (at 2026-13-21 04:30:12+00)",
                             "COMMIT 7 (at )",
                             "table ",
                             "table t: INSERT: a[integer]:1",
                             "table public.t",
                             "table public.t: ",
                             "table public.t: UPSERT: id[integer]:1",
                             "table public.t: INSERT: id[integer]",
                             "table public.t: INSERT: id[integer]:",
                             "table public.t: INSERT: id[integer]:'",
                             "table public.t: INSERT: id[integer:1",
                             "table public.t: INSERT: id:1",
                             "table public.t: INSERT: \"id[integer]:1",
                             "table public.t: INSERT: (no-tuple-data)",
                             "table public.t: UPDATE: old-key: id[integer]:1",
                             "table public.t: TRUNCATE: later",
                             "table public.t, : TRUNCATE: cascade",
                             "table public.t: INSERT: id[integer]:1 v[text]:'a'b"})
        EXPECT_TRUE(refused({"BEGIN 7"}, line)) << line;
}

TEST(TestDecoding, DamagedLinesNeverCrash) {
    const std::vector<std::string> lines{
        "table public.t: INSERT: id[integer]:1 v[text]:'x''y'",
        "table public.t: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:3 \"v\"[\"a\".\"b\"[]]:B'01'",
        "table public.t: DELETE: id[integer]:3",
        "table public.t, \"public\".\"t\": TRUNCATE: restart_seqs cascade",
        "message: transactional: 1 prefix: p, sz: 3 content:abc",
        "COMMIT 7 (at 2026-11-21 04:30:12.5+00)",
    };
    for (const auto& line : lines)
        for (std::size_t cut = 0; cut < line.size(); ++cut) {
            Fixture f;
            ASSERT_TRUE(f.feed("BEGIN 7"));
            const std::vector<char> exact(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(cut));
            (void)f.feed({exact.data(), exact.size()});
            EXPECT_FALSE(f.sink.torn());
        }
    std::mt19937 random(7);
    for (int round = 0; round < 5000; ++round) {
        Fixture f;
        (void)f.feed("BEGIN 7");
        for (auto line : lines) {
            for (auto n = random() % 3; n > 0; --n)
                line[random() % line.size()] = " '\"[]:,.()aB0\0"[random() % 13];
            (void)f.feed(line);
        }
        EXPECT_FALSE(f.sink.torn());
    }
}

}  // namespace
}  // namespace godwit::postgres
