// Every kind of event, built by hand; a cut anywhere is an error, never a crash.

#include "codecs/mysql/binlog_events.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "fakes/event_builder.h"

namespace godwit::mysql {
namespace {

BinlogFormat format(bool checksum = true) {
    const auto f = read_format_description(as_bytes(format_description("8.0.36", checksum)));
    EXPECT_TRUE(f);
    return f ? *f : BinlogFormat{};
}

Event parsed(const std::string& bytes, const BinlogFormat& f) {
    const auto e = read_event(as_bytes(bytes), f);
    EXPECT_TRUE(e) << e.error().text();
    return e ? *e : Event{};
}
// the event keeps its bytes in `keep`
Event made(EventType type, const Body& body, std::string& keep, EventOptions o = {}) {
    keep = event(type, body, o);
    return parsed(keep, format());
}

TEST(BinlogEvents, FormatDescription) {
    const BinlogFormat f = format();
    EXPECT_EQ(f.server_version, "8.0.36");
    EXPECT_FALSE(f.mariadb);
    EXPECT_TRUE(f.checksum);
    EXPECT_EQ(f.post_header(EventType::write_rows, 0), 10U);
    EXPECT_EQ(f.post_header(EventType::mariadb_gtid, 3), 3U);
    EXPECT_FALSE(format(false).checksum);
    const auto m = read_format_description(as_bytes(format_description("10.11.6-MariaDB-log")));
    ASSERT_TRUE(m);
    EXPECT_TRUE(m->mariadb && m->checksum);
    std::string bad = format_description();
    bad[30] = static_cast<char>(bad[30] ^ 1);
    EXPECT_FALSE(read_format_description(as_bytes(bad)));
    const std::string whole = format_description();
    for (std::size_t n = 0; n < whole.size(); ++n)
        EXPECT_FALSE(read_format_description(as_bytes(whole).first(n))) << n;
}

TEST(BinlogEvents, Checksums) {
    std::string e = event(EventType::xid, std::move(Body().u64(5)));
    EXPECT_EQ(parsed(e, format()).body.size(), 8U);
    e[20] = static_cast<char>(e[20] ^ 1);
    EXPECT_EQ(read_event(as_bytes(e), format()).error().code, ErrorCode::data_loss);
    EXPECT_TRUE(read_event(as_bytes(e), format(), true, false));
    // before the format is known: recognised
    const auto r = event(EventType::rotate, std::move(Body().u64(4).text("binlog.000001")));
    EXPECT_EQ(read_rotate(read_event(as_bytes(r), {}, false)->body)->file, "binlog.000001");
    const auto plain =
        event(EventType::rotate, std::move(Body().u64(4).text("binlog.000001")), {.checksum = false});
    EXPECT_EQ(read_rotate(read_event(as_bytes(plain), {}, false)->body)->file, "binlog.000001");
}

TEST(BinlogEvents, MysqlGtid) {
    std::string keep;
    Body b;
    b.u8(0).text("0123456789abcdef").u64(42).u8(2).u64(1).u64(2);
    b.bytes({0x40, 0x42, 0x0F, 0, 0, 0, 0x80});  // 1,000,000 us and the flag of a second time
    const auto g = read_gtid(made(EventType::gtid, b, keep));
    ASSERT_TRUE(g);
    EXPECT_EQ(g->number, 42U);
    EXPECT_EQ(g->commit_time_us, 1'000'000U);
    EXPECT_FALSE(g->anonymous);
    const auto a = read_gtid(made(EventType::anonymous_gtid, b, keep));
    EXPECT_TRUE(a->anonymous);
    // 5.6: nothing behind the number
    EXPECT_TRUE(
        read_gtid(made(EventType::gtid, std::move(Body().u8(0).text("0123456789abcdef").u64(42)), keep)));
    EXPECT_FALSE(read_gtid(made(EventType::gtid, std::move(Body().u8(0).text("0123456789abcdef")), keep)));
}

TEST(BinlogEvents, TaggedGtid) {
    std::string keep;
    Body b;
    b.u8(0x02).u8(0x60).u8(0x10);  // version 1, size, last field that is needed
    b.u8(0x00).u8(0x02);           // flags 1
    b.u8(0x02);
    for (unsigned i = 0; i < 15; ++i) b.u8(i * 2);
    b.u8(0xC1).u8(0x03);                                  // 0xF0
    b.u8(0x04).u8(0x0C);                                  // number 3
    b.u8(0x06).u8(0x06).text("tag");                      // tag
    b.u8(0x08).u8(0x00).u8(0x0A).u8(0x04);                // last committed, sequence
    b.u8(0x0C).bytes({0x3F, 0x40, 0x0D, 0x03, 0, 0, 0});  // commit time
    const auto g = read_gtid(made(EventType::gtid_tagged, b, keep));
    ASSERT_TRUE(g) << g.error().text();
    EXPECT_EQ(g->number, 3U);
    EXPECT_EQ(g->source.tag, "tag");
    EXPECT_EQ(g->source.uuid[14], 14);
    EXPECT_EQ(g->source.uuid[15], 0xF0);
    EXPECT_TRUE(g->may_have_statements);
}

TEST(BinlogEvents, MariadbGtid) {
    std::string keep;
    Body plain;
    plain.u64(100).u32(3).u8(1).bytes({0, 0, 0, 0, 0, 0});
    auto g = read_mariadb_gtid(made(EventType::mariadb_gtid, plain, keep));
    ASSERT_TRUE(g);
    EXPECT_EQ(g->gtid, (MariadbGtid{3, 7, 100}));
    EXPECT_TRUE(g->standalone);
    EXPECT_FALSE(g->start_alter);
    Body xa;
    xa.u64(101).u32(3).u8(2 | 64).u64(9).u32(1).u8(1).u8(2).text("gbb");
    g = read_mariadb_gtid(made(EventType::mariadb_gtid, xa, keep));
    ASSERT_TRUE(g);
    EXPECT_TRUE(g->prepared_xa);
    EXPECT_EQ(g->xa, (XaId{1, "g", "bb"}));
    Body alter;
    alter.u64(101).u32(3).u8(1 | 2).u64(9).u8(2);
    EXPECT_TRUE(read_mariadb_gtid(made(EventType::mariadb_gtid, alter, keep))->start_alter);
    EXPECT_FALSE(read_mariadb_gtid(made(EventType::mariadb_gtid, std::move(Body().u64(1)), keep)));
    Body list;
    list.u32(2).u32(0).u32(1).u64(5).u32(1).u32(2).u64(6);
    EXPECT_EQ(read_mariadb_gtid_list(list.view())->text(), "0-1-5,1-2-6");
    EXPECT_FALSE(read_mariadb_gtid_list(list.view().first(20)));
}

TEST(BinlogEvents, Queries) {
    std::string keep;
    ByteBuffer scratch;
    Body status;
    status.u8(0).u32(1).u8(1).u64(0x400).u8(6).short_text("std").u8(4).u16(45).u16(45).u16(8);
    status.u8(5).short_text("+02:00").u8(12).u8(1).text("db").u8(0).u8(200).u8(9);
    const Event e = made(EventType::query, query("shop", "UPDATE t SET a=1", status), keep);
    const auto q = read_query(e, format(), scratch);
    ASSERT_TRUE(q);
    EXPECT_EQ(q->database, "shop");
    EXPECT_EQ(q->sql, "UPDATE t SET a=1");
    EXPECT_EQ(q->sql_mode, 0x400U);
    EXPECT_EQ(q->client_collation, 45);
    EXPECT_EQ(q->time_zone, "+02:00");
    for (std::size_t n = 0; n < 17; ++n) {
        Event cut = e;
        cut.body = e.body.first(n);
        EXPECT_FALSE(read_query(cut, format(), scratch)) << n;
    }
}

std::string deflated(std::string_view text) {
    std::string out(::compressBound(text.size()), 0);
    uLongf n = out.size();
    ::compress(reinterpret_cast<Bytef*>(out.data()), &n, reinterpret_cast<const Bytef*>(text.data()),
               text.size());
    out.resize(n);
    return out;
}

TEST(BinlogEvents, CompressedQuery) {
    std::string keep;
    ByteBuffer scratch;
    const std::string sql(600, 'x');
    Body b = query("shop", "");
    b.u8(0x82).u8(600 >> 8).u8(600 & 0xFF).text(deflated(sql));
    const auto q = read_query(made(EventType::mariadb_query_compressed, b, keep), format(), scratch);
    ASSERT_TRUE(q) << q.error().text();
    EXPECT_EQ(q->sql, sql);
    Body liar = query("shop", "");
    liar.u8(0x84).u8(0x7F).u8(0).u8(0).u8(0).text(deflated(sql));
    EXPECT_FALSE(read_query(made(EventType::mariadb_query_compressed, liar, keep), format(), scratch));
    Body other = query("shop", "");
    other.u8(0x82).u8(601 >> 8).u8(601 & 0xFF).text(deflated(sql));
    EXPECT_FALSE(read_query(made(EventType::mariadb_query_compressed, other, keep), format(), scratch));
}

TEST(BinlogEvents, XaHeartbeatIncident) {
    std::string keep;
    const auto p = read_xa_prepare(std::move(Body().u8(1).u32(7).u32(2).u32(1).text("ggb")).view());
    ASSERT_TRUE(p);
    EXPECT_TRUE(p->one_phase);
    EXPECT_EQ(p->xa, (XaId{7, "gg", "b"}));
    EXPECT_FALSE(read_xa_prepare(std::move(Body().u8(1).u32(7).u32(200).u32(1).text("ggb")).view()));
    const auto h = read_heartbeat(
        made(EventType::heartbeat, std::move(Body().text("binlog.000002")), keep, {.next = 77}));
    EXPECT_EQ(h->file, "binlog.000002");
    EXPECT_EQ(h->position, 77U);
    Body two;
    two.u8(1).short_text("binlog.000002").u8(2).u8(9).u8(0xFE).u64(5'000'000'000).u8(0);
    const auto v2 = read_heartbeat(made(EventType::heartbeat_v2, two, keep));
    ASSERT_TRUE(v2);
    EXPECT_EQ(v2->position, 5'000'000'000U);
    EXPECT_EQ(*read_incident(std::move(Body().u16(1).short_text("LOST_EVENTS")).view()), "LOST_EVENTS");
}

TEST(BinlogEvents, TableMapWithAllMetadata) {
    std::string keep;
    Body optional;
    optional.part(1, std::move(Body().u8(0x40)));            // the second number is unsigned
    optional.part(2, std::move(Body().u8(45).u8(1).u8(8)));  // the second text is latin1
    optional.part(4, std::move(Body()
                                   .short_text("id")
                                   .short_text("n")
                                   .short_text("v")
                                   .short_text("w")
                                   .short_text("e")
                                   .short_text("s")));
    optional.part(5, std::move(Body().u8(2).short_text("x").short_text("y")));
    optional.part(6, std::move(Body().u8(1).short_text("a")));
    optional.part(8, std::move(Body().u8(0)));
    optional.part(10, std::move(Body().u8(45)));
    optional.part(12, std::move(Body().u8(0xF8)));
    optional.part(99, std::move(Body().u8(1)));
    const Body b = table_map(
        0x1122334455, "shop", "t",
        {{3, {}}, {246, {10, 2}}, {15, {0x50, 0}}, {254, {0xEE, 0xFC}}, {254, {247, 1}}, {254, {248, 1}}},
        optional);
    TableMap m;
    const Event e = made(EventType::table_map, b, keep);
    const auto done = read_table_map(e, format(), m);
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(m.table_id, 0x1122334455U);
    EXPECT_EQ(m.database, "shop");
    EXPECT_EQ(m.columns[1], (WireColumn{WireType::decimal, 10, 2}));
    EXPECT_EQ(m.columns[2], (WireColumn{WireType::varchar, 80, 0}));
    EXPECT_EQ(m.columns[3], (WireColumn{WireType::string, 0x1FC, 0}));  // CHAR of 508 bytes
    EXPECT_EQ(m.columns[4], (WireColumn{WireType::enumeration, 1, 0}));
    EXPECT_EQ(m.names[3], "w");
    EXPECT_EQ(*m.is_unsigned, (std::vector<bool>{false, true}));
    EXPECT_EQ(*m.collations, (std::vector<std::uint32_t>{45, 8}));
    EXPECT_EQ(m.set_labels[0][1], "y");
    EXPECT_EQ(m.enum_labels[0][0], "a");
    EXPECT_EQ(m.primary_key, (std::vector<std::uint32_t>{0}));
    EXPECT_FALSE(m.visible[5]);
    for (std::size_t n = 0; n < 36; ++n) {
        Event cut = e;
        cut.body = e.body.first(n);
        EXPECT_FALSE(read_table_map(cut, format(), m)) << n;
    }
    EXPECT_EQ(
        read_table_map(made(EventType::table_map, table_map(1, "s", "t", {{20, {1, 2}}}), keep), format(), m)
            .error()
            .code,
        ErrorCode::unsupported);
}

// Goal: with eight numbers and a YEAR the signs fill one byte on MySQL and two on MariaDB.
TEST(BinlogEvents, AYearHasASignOnMariadbOnly) {
    for (const bool mariadb : {false, true}) {
        std::string keep;
        Body optional;
        if (mariadb)
            optional.part(1, std::move(Body().u8(0x80).u8(0x80)));
        else
            optional.part(1, std::move(Body().u8(0x01)));
        const Body b = table_map(
            1, "s", "t", {{13, {}}, {3, {}}, {3, {}}, {3, {}}, {3, {}}, {3, {}}, {3, {}}, {3, {}}, {3, {}}},
            optional);
        BinlogFormat f = format();
        f.mariadb = mariadb;
        TableMap m;
        const auto done = read_table_map(made(EventType::table_map, b, keep), f, m);
        ASSERT_TRUE(done) << done.error().text();
        EXPECT_EQ(m.is_unsigned->size(), mariadb ? 9U : 8U);
        EXPECT_TRUE(m.is_unsigned->back());
    }
}

TEST(BinlogEvents, Payload) {
    const std::string inner =
        event(EventType::query, query("", "BEGIN"), {.checksum = false}) +
        event(EventType::query, query("", std::string(300'000, 'x')), {.checksum = false}) +
        event(EventType::xid, std::move(Body().u64(1)), {.checksum = false});
    std::string packed(ZSTD_compressBound(inner.size()), 0);
    packed.resize(ZSTD_compress(packed.data(), packed.size(), inner.data(), inner.size(), 3));
    for (const bool compressed : {true, false}) {
        const std::string& content = compressed ? packed : inner;
        Body b;
        b.u8(2).u8(compressed ? 1 : 3);
        if (compressed)
            b.u8(0);
        else
            b.u8(0xFC).u16(255);
        b.u8(1).u8(9).u8(0xFE).u64(content.size()).u8(0).text(content);
        auto reader = PayloadReader::open(b.view());
        ASSERT_TRUE(reader) << reader.error().text();
        std::vector<std::size_t> sizes;
        for (;;) {
            const auto e = reader->next();
            ASSERT_TRUE(e) << e.error().text();
            if (e->empty()) break;
            ASSERT_TRUE(read_inner_event(*e));
            sizes.push_back(e->size());
        }
        EXPECT_EQ(sizes.size(), 3U);
        EXPECT_GT(sizes[1], 300'000U);
        // cut or spoilt
        for (const std::size_t lost : {std::size_t{1}, content.size() / 2}) {
            Body cut;
            cut.u8(2).u8(compressed ? 1 : 3);
            if (compressed)
                cut.u8(0);
            else
                cut.u8(0xFC).u16(255);
            cut.u8(1)
                .u8(9)
                .u8(0xFE)
                .u64(content.size() - lost)
                .u8(0)
                .text(content.substr(0, content.size() - lost));
            auto broken = PayloadReader::open(cut.view());
            ASSERT_TRUE(broken);
            bool failed = false;
            for (int i = 0; i < 4 && !failed; ++i) {
                const auto e = broken->next();
                failed = !e;
                if (e && e->empty()) break;
            }
            EXPECT_TRUE(failed);
        }
    }
}

TEST(BinlogEvents, Rows) {
    std::string keep;
    ByteBuffer scratch;
    Body b = rows_head(9, 2);
    b.u8(0).text("rows");
    auto r = read_rows(made(EventType::write_rows, b, keep), format(), scratch);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->table_id, 9U);
    EXPECT_TRUE(r->ends_statement);
    EXPECT_EQ(as_text(r->rows).substr(1), "rows");
    // version 1 has no extra part
    Body v1;
    v1.u48(9).u16(0).u8(2).u8(3).u8(3).text("xy");
    r = read_rows(made(EventType::update_rows_v1, v1, keep), format(), scratch);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->kind, RowsKind::update);
    EXPECT_EQ(as_text(r->rows), "xy");
    // MariaDB's compressed form
    Body z;
    z.u48(9).u16(0).u8(2).u8(3).u8(0x81).u8(100).text(deflated(std::string(100, 'r')));
    r = read_rows(made(EventType::mariadb_write_rows_compressed_v1, z, keep), format(), scratch);
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_EQ(as_text(r->rows), std::string(100, 'r'));
    EXPECT_FALSE(read_rows(made(EventType::write_rows, std::move(Body().u48(9).u16(0).u16(1)), keep),
                           format(), scratch));
    EXPECT_FALSE(read_rows(made(EventType::xid, b, keep), format(), scratch));
}

}  // namespace
}  // namespace godwit::mysql
