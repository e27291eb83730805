// Every message kind of pgoutput, built by hand; golden records; a cut or a flipped byte anywhere is an error
// or other records, never a crash.

#include "sources/postgres/pgoutput.h"

#include <gtest/gtest.h>

#include <random>

#include "fakes/recording_sink.h"

namespace godwit::postgres {
namespace {

// Big-endian messages, as the manual's section "Logical Replication Message Formats" describes them.
class Message {
public:
    explicit Message(char kind) { u8(static_cast<std::uint8_t>(kind)); }
    Message& u8(std::uint8_t v) { return bytes_.put_u8(v), *this; }
    Message& u16(std::uint16_t v) { return bytes_.put_be(v), *this; }
    Message& u32(std::uint32_t v) { return bytes_.put_be(v), *this; }
    Message& i32(std::int32_t v) { return bytes_.put_be(v), *this; }
    Message& u64(std::uint64_t v) { return bytes_.put_be(v), *this; }
    Message& text(std::string_view s) { return bytes_.append(s), bytes_.put_u8(0), *this; }
    Message& kind(char c) { return u8(static_cast<std::uint8_t>(c)); }
    // cells: "n", "u", "tVALUE", "bVALUE"
    Message& row(std::initializer_list<std::string_view> cells) {
        u16(static_cast<std::uint16_t>(cells.size()));
        for (const auto c : cells) {
            kind(c[0]);
            if (c[0] != 't' && c[0] != 'b') continue;
            u32(static_cast<std::uint32_t>(c.size() - 1));
            bytes_.append(c.substr(1));
        }
        return *this;
    }
    [[nodiscard]] Bytes view() const { return bytes_.view(); }

private:
    ByteBuffer bytes_;
};

constexpr std::uint32_t kOid = 16385;

Message begin(std::uint64_t order, std::uint32_t xid) {
    return std::move(Message('B').u64(order).u64(5).u32(xid));
}
Message commit(std::uint64_t at, std::uint64_t end) {
    return std::move(Message('C').u8(0).u64(at).u64(end).u64(5));
}
// id (key), v
Message relation(std::uint32_t xid = 0, std::string_view table = "t", char identity = 'd',
                 std::uint32_t oid = kOid) {
    Message m('R');
    if (xid != 0) m.u32(xid);
    m.u32(oid).text("shop").text(table).kind(identity).u16(2);
    m.u8(1).text("id").u32(23).i32(-1);
    m.u8(identity == 'f' ? 1 : 0).text("v").u32(1043).i32(14);
    return m;
}
Message change(char kind, std::uint32_t xid = 0, std::uint32_t oid = kOid) {
    Message m(kind);
    if (xid != 0) m.u32(xid);
    return std::move(m.u32(oid));
}
Message insert(std::string_view id, std::uint32_t xid = 0, std::uint32_t oid = kOid) {
    return std::move(change('I', xid, oid).kind('N').row({id, "tx"}));
}
Message stream_start(std::uint32_t xid) { return std::move(Message('S').u32(xid).u8(1)); }
Message stream_stop() { return Message('E'); }
Message stream_commit(std::uint32_t xid, std::uint64_t at, std::uint64_t end) {
    return std::move(Message('c').u32(xid).u8(0).u64(at).u64(end).u64(5));
}
Message stream_abort(std::uint32_t xid, std::uint32_t sub) {
    return std::move(Message('A').u32(xid).u32(sub));
}

constexpr std::int64_t kTime = 946'684'800'000'005;

struct Fixture {
    explicit Fixture(DecoderHooks hooks = {}) : decoder(std::move(hooks)) {}
    Result<> feed(const Message& m) { return decoder.decode(m.view(), Lsn(1), sink); }
    void all(std::initializer_list<Message> messages) {
        for (const auto& m : messages) {
            const auto done = feed(m);
            ASSERT_TRUE(done) << done.error().text();
        }
    }
    test::RecordingSink sink;
    PgoutputDecoder decoder;
};

TEST(Pgoutput, OneTransactionOfEveryKind) {
    Fixture f;
    f.all({begin(0x10, 740), relation(), std::move(Message('O').u64(7).text("elsewhere")),
           std::move(Message('Y').u32(99).text("shop").text("mood")), insert("t1"),
           std::move(change('I').kind('N').row({std::string_view("b\0\xff", 3), "t"})),
           std::move(change('U').kind('N').row({"t1", "u"})),
           std::move(change('U').kind('K').row({"t1", "n"}).kind('N').row({"t2", "n"})),
           std::move(change('D').kind('K').row({"t2", "n"})), std::move(Message('T').u32(1).u8(3).u32(kOid)),
           commit(0x10, 0x1'0000'0020)});
    EXPECT_EQ(f.sink.text(), fmt::format("begin 740 @0000000000000010 t={0}\n"
                                         "relation 1 shop.t oid=16385 key [id*:23 v:1043(14)]\n"
                                         "insert 1 (t:1, t:x)\n"
                                         "insert 1 (b:00ff, t:)\n"
                                         "update 1 (t:1, unchanged)\n"
                                         "update 1 key (t:1, null) -> (t:2, null)\n"
                                         "remove 1 key (t:2, null)\n"
                                         "truncate flags=3 [1]\n"
                                         "commit 00000001/00000020 t={0}\n",
                                         kTime));
    EXPECT_FALSE(f.decoder.keepalive_due());
}

TEST(Pgoutput, FullIdentity) {
    Fixture f;
    f.all({begin(1, 7), relation(0, "t", 'f'),
           std::move(change('U').kind('O').row({"t1", "n"}).kind('N').row({"t1", "tz"})),
           std::move(change('D').kind('O').row({"t1", "tz"})), commit(1, 2)});
    EXPECT_EQ(f.sink.lines[1], "relation 1 shop.t oid=16385 full [id*:23 v*:1043(14)]");
    EXPECT_EQ(f.sink.lines[2], "update 1 full (t:1, null) -> (t:1, t:z)");
    EXPECT_EQ(f.sink.lines[3], "remove 1 full (t:1, t:z)");
}

// An open transaction that wrote to a partition holds no lock on its root, which is renamed meanwhile.
TEST(Pgoutput, AStreamThatEndsLeavesNewerVersions) {
    Fixture f;
    f.all({stream_start(20), relation(20, "old"), insert("t1", 20), stream_stop(), begin(1, 7),
           relation(0, "new"), insert("t2"), commit(1, 2), stream_commit(20, 3, 4), begin(5, 8), insert("t3"),
           commit(5, 6)});
    EXPECT_EQ(f.sink.relations.at(2).name.table, "new");
    EXPECT_EQ(f.sink.lines[f.sink.lines.size() - 2], "insert 2 (t:3, t:x)");
}

// The leaves of a root have another key now: rows from here on are labelled by it.
TEST(Pgoutput, AnIdentityThatChangedIsAskedForAgain) {
    bool second = false;
    DecoderHooks hooks;
    hooks.refine = [&](Relation& r) {
        r.columns[0].identity = !second;
        r.columns[1].identity = second;
    };
    Fixture f(hooks);
    f.all({begin(1, 7), relation(), insert("t1"), commit(1, 2)});
    f.decoder.reselect();
    f.all({begin(3, 8), insert("t2"), commit(3, 4)});
    second = true;
    f.decoder.reselect();
    f.all({begin(5, 9), insert("t3"), commit(5, 6)});
    EXPECT_EQ(f.sink.relations.size(), 2U);
    EXPECT_EQ(f.sink.lines[5], "insert 1 (t:2, t:x)");
    EXPECT_EQ(f.sink.lines[8], "relation 2 shop.t oid=16385 key [id:23 v*:1043(14)]");
    EXPECT_EQ(f.sink.lines[9], "insert 2 (t:3, t:x)");
}

// A partition root's own identity may claim FULL while its leaves send keys only: the corrected one labels
// the row.
TEST(Pgoutput, RefinedIdentityLabelsOldRows) {
    DecoderHooks hooks;
    hooks.refine = [](Relation& r) {
        r.identity = RowIdentity::key;
        r.columns[1].identity = false;
    };
    Fixture f(hooks);
    f.all({begin(1, 7), relation(0, "t", 'f'), std::move(change('D').kind('O').row({"t1", "n"})),
           commit(1, 2)});
    EXPECT_EQ(f.sink.lines[2], "remove 1 key (t:1, null)");
}

TEST(Pgoutput, AVersionIsWrittenOnce) {
    Fixture f;
    f.all({begin(1, 7), relation(), insert("t1"), relation(), insert("t2"), commit(1, 2), begin(3, 8),
           relation(), insert("t3"), relation(0, "renamed"), insert("t4"), commit(3, 4)});
    ASSERT_EQ(f.sink.relations.size(), 2U);
    EXPECT_EQ(f.sink.relations.at(2).name.table, "renamed");
    EXPECT_EQ(f.sink.lines[6], "insert 1 (t:3, t:x)");
    EXPECT_EQ(f.sink.lines[8], "insert 2 (t:4, t:x)");
}

// Nothing wanted, nothing written, but the position moves.
TEST(Pgoutput, EmptyTransactionsBecomeAKeepalive) {
    DecoderHooks hooks;
    bool wanted = false;
    hooks.wants = [&](std::uint32_t oid, std::string_view schema, std::string_view table) {
        EXPECT_EQ(oid, kOid);
        EXPECT_EQ(schema, "shop");
        EXPECT_EQ(table, "t");
        return wanted;
    };
    Fixture f(hooks);
    f.all({begin(1, 7), commit(1, 2), begin(3, 8), relation(), insert("t1"),
           std::move(Message('T').u32(1).u8(0).u32(kOid)), commit(3, 4)});
    EXPECT_TRUE(f.sink.lines.empty());
    EXPECT_TRUE(f.decoder.keepalive_due());
    ASSERT_TRUE(f.decoder.write_keepalive(f.sink));
    EXPECT_EQ(f.sink.text(), "keepalive 00000000/00000004\n");
    ASSERT_TRUE(f.decoder.write_keepalive(f.sink));  // once
    f.decoder.keepalive(Lsn(3));                     // goes back: ignored
    EXPECT_FALSE(f.decoder.keepalive_due());

    wanted = true;
    f.decoder.reselect();
    f.all({begin(5, 9), insert("t2")});
    f.decoder.keepalive(Lsn(100));  // inside a transaction: ignored
    EXPECT_FALSE(f.decoder.keepalive_due());
    f.all({commit(5, 6)});
    EXPECT_EQ(f.sink.lines[1], fmt::format("begin 9 @0000000000000005 t={}", kTime));
    EXPECT_EQ(f.sink.lines[3], "insert 1 (t:2, t:x)");
    EXPECT_FALSE(f.decoder.keepalive_due());
}

TEST(Pgoutput, StreamsKeepTheirOwnVersions) {
    Fixture f;
    f.all({begin(1, 7), relation(), insert("t1"), commit(1, 2),
           // 20 alters the table; 21, which does not see that, has the common version
           stream_start(20), relation(20, "altered"), insert("t2", 20), stream_stop(), stream_start(21),
           relation(21), insert("t3", 21), stream_stop(),
           // neither does an ordinary transaction
           begin(3, 8), insert("t4"), commit(3, 4), stream_start(20), insert("t5", 22), stream_stop(),
           stream_abort(20, 22), stream_commit(20, 5, 6), stream_commit(21, 7, 8),
           // the newest decides, not the last to commit
           begin(9, 9), relation(0, "altered"), insert("t6"), commit(9, 10)});
    EXPECT_EQ(f.sink.relations.size(), 2U);
    const std::vector<std::string> tail(f.sink.lines.begin() + 4, f.sink.lines.end());
    const std::vector<std::string> expected{
        fmt::format("begin 8 @0000000000000003 t={}", kTime),
        "insert 1 (t:4, t:x)",
        fmt::format("commit 00000000/00000004 t={}", kTime),
        fmt::format("begin 20 @0000000000000005 t={} streamed", kTime),
        "relation 2 shop.altered oid=16385 key [id*:23 v:1043(14)]",
        "insert 2 sub=20 (t:2, t:x)",
        "insert 2 sub=22 (t:5, t:x)",
        "aborted 22",
        fmt::format("commit 00000000/00000006 t={}", kTime),
        fmt::format("begin 21 @0000000000000007 t={} streamed", kTime),
        "insert 1 sub=21 (t:3, t:x)",
        fmt::format("commit 00000000/00000008 t={}", kTime),
        fmt::format("begin 9 @0000000000000009 t={}", kTime),
        "insert 2 (t:6, t:x)",
        fmt::format("commit 00000000/0000000A t={}", kTime),
    };
    EXPECT_EQ(tail, expected);
}

TEST(Pgoutput, AbortedStreamsLeaveNothing) {
    Fixture f;
    f.all({stream_start(20), relation(20), insert("t1", 20), stream_stop(), stream_abort(20, 20),
           stream_abort(99, 99), begin(1, 8), relation(), insert("t2"), commit(1, 2)});
    EXPECT_TRUE(f.sink.open.empty());
    EXPECT_EQ(f.sink.lines.size(), 4U);
    EXPECT_FALSE(f.feed(stream_commit(20, 3, 4)));
    // a stream in which nothing was wanted
    f.all({stream_start(30), stream_stop(), stream_commit(30, 5, 6)});
    EXPECT_EQ(f.sink.lines.size(), 4U);
    EXPECT_TRUE(f.decoder.keepalive_due());
}

// After a reconnect half-read transactions come again; versions keep their ids but are written again, because
// their records may have been in the torn transaction.
TEST(Pgoutput, Restart) {
    Fixture f;
    f.all({begin(1, 7), relation(), insert("t1")});
    f.decoder.restart(Lsn(0));
    f.sink.lines.clear();
    f.all({begin(1, 7), relation(), insert("t1"), commit(1, 2), stream_start(20), relation(20),
           insert("t2", 20)});
    f.decoder.restart(Lsn(2));
    f.sink.streams_lost();
    f.all({stream_start(20), relation(20), insert("t2", 20), stream_stop(), stream_commit(20, 3, 4)});
    EXPECT_EQ(f.sink.relations.size(), 1U);
    EXPECT_EQ(f.sink.lines[1], "relation 1 shop.t oid=16385 key [id*:23 v:1043(14)]");
    EXPECT_EQ(f.sink.lines[5], "relation 1 shop.t oid=16385 key [id*:23 v:1043(14)]");
}

TEST(Pgoutput, LogicalMessages) {
    DecoderHooks hooks;
    std::vector<std::string> seen;
    hooks.message = [&](const LogicalMessage& m) -> Result<> {
        seen.push_back(fmt::format("{} {} {} {} {}", m.transactional, m.xid, m.lsn.value(), m.prefix,
                                   as_text(m.content)));
        return {};
    };
    Fixture f(hooks);
    f.all({std::move(Message('M').u8(0).u64(9).text("godwit").u32(2).u8('h').u8('i')), begin(1, 7),
           std::move(Message('M').u8(1).u64(10).text("").u32(0)), commit(1, 2), stream_start(20),
           std::move(Message('M').u32(21).u8(1).u64(11).text("p").u32(0)), stream_stop()});
    EXPECT_EQ(seen, (std::vector<std::string>{"false 0 9 godwit hi", "true 0 10  ", "true 21 11 p "}));
    EXPECT_TRUE(f.sink.lines.empty());
}

std::vector<std::vector<Message>> script() {
    std::vector<std::vector<Message>> parts(1);
    auto& m = parts[0];
    m.push_back(begin(0x10, 740));
    m.push_back(relation());
    m.push_back(std::move(Message('O').u64(7).text("elsewhere")));
    m.push_back(std::move(Message('Y').u32(99).text("shop").text("mood")));
    m.push_back(insert("t1"));
    m.push_back(std::move(change('U').kind('N').row({"t1", "u"})));
    m.push_back(std::move(change('U').kind('K').row({"t1", "n"}).kind('N').row({"t2", "n"})));
    m.push_back(std::move(change('D').kind('K').row({"b2", "n"})));
    m.push_back(std::move(Message('T').u32(1).u8(3).u32(kOid)));
    m.push_back(std::move(Message('M').u8(0).u64(9).text("godwit").u32(2).u8('h').u8('i')));
    m.push_back(commit(0x10, 0x20));
    m.push_back(stream_start(20));
    m.push_back(relation(20));
    m.push_back(insert("t2", 20));
    m.push_back(stream_stop());
    m.push_back(stream_abort(20, 21));
    m.push_back(stream_commit(20, 5, 6));
    return parts;
}

// One byte too few, at every place, and one too many.
TEST(Pgoutput, CutMessagesAreErrors) {
    const auto parts = script();
    const auto& all = parts[0];
    for (std::size_t which = 0; which < all.size(); ++which) {
        const Bytes whole = all[which].view();
        for (std::size_t cut = 0; cut <= whole.size() + 1; ++cut) {
            if (cut == whole.size()) continue;
            Fixture f;
            for (std::size_t i = 0; i < which; ++i) ASSERT_TRUE(f.feed(all[i]));
            ByteBuffer bytes;
            bytes.append(whole.subspan(0, std::min(cut, whole.size())));
            if (cut > whole.size()) bytes.put_u8(0);
            // an exact allocation, so that a sanitizer sees any byte read beyond it
            const std::vector<std::byte> exact(bytes.data(), bytes.data() + bytes.size());
            const auto done = f.decoder.decode(exact, Lsn(1), f.sink);
            ASSERT_FALSE(done) << which << " cut at " << cut;
            EXPECT_EQ(done.error().code, ErrorCode::data_loss);
            EXPECT_FALSE(f.sink.torn());
        }
    }
}

TEST(Pgoutput, DamagedMessagesNeverCrash) {
    const auto parts = script();
    std::mt19937 random(42);
    for (int round = 0; round < 3000; ++round) {
        Fixture f;
        for (const auto& m : parts[0]) {
            std::vector<std::byte> bytes(m.view().begin(), m.view().end());
            if (random() % 4 == 0) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
            if (!f.decoder.decode(bytes, Lsn(1), f.sink)) {
                EXPECT_FALSE(f.sink.torn());
                if (random() % 2 == 0) break;
            }
        }
    }
}

TEST(Pgoutput, OrderOfMessagesIsChecked) {
    const auto refused = [](std::initializer_list<Message> before, const Message& m) {
        Fixture f;
        f.all(before);
        const auto done = f.feed(m);
        return !done && done.error().code == ErrorCode::data_loss;
    };
    EXPECT_TRUE(refused({}, relation()));
    EXPECT_TRUE(refused({}, insert("t1")));
    EXPECT_TRUE(refused({}, commit(1, 2)));
    EXPECT_TRUE(refused({}, stream_stop()));
    EXPECT_TRUE(refused({begin(1, 7)}, begin(1, 7)));
    EXPECT_TRUE(refused({begin(1, 7)}, insert("t1")));
    EXPECT_TRUE(refused({begin(1, 7)}, stream_start(3)));
    EXPECT_TRUE(refused({begin(1, 7)}, Message('?')));
    EXPECT_TRUE(refused({begin(1, 7), relation()}, std::move(change('I').kind('N').row({"t1"}))));
    EXPECT_TRUE(refused({begin(1, 7), relation()}, std::move(change('I').kind('N').row({"x1", "n"}))));
    EXPECT_TRUE(refused({begin(1, 7), relation()}, std::move(change('D').kind('N').row({"t1", "n"}))));
    EXPECT_TRUE(refused({stream_start(3)}, stream_start(4)));
    EXPECT_TRUE(refused({stream_start(3)}, stream_commit(3, 1, 2)));
    EXPECT_TRUE(refused({begin(1, 7), relation(), commit(1, 2), stream_start(3)}, insert("t1", 3)));
}

TEST(Lsn, Forms) {
    EXPECT_EQ(to_token(Lsn(0x4AFB00000D0)), "000004AF/B00000D0");
    EXPECT_EQ(to_server_text(Lsn(0x4AFB00000D0)), "4AF/B00000D0");
    for (const auto* text : {"4AF/B00000D0", "000004AF/B00000D0", "4af/b00000d0", "000004AF/0B00000D0"})
        EXPECT_EQ(parse_lsn(std::string_view(text)).value_or(Lsn{}), Lsn(0x4AFB00000D0)) << text;
    for (const auto* text : {"", "/", "4AF", "4AF/", "/1", "x/1", "1/1 ", "1/100000000", "-1/1", "1/2/3"})
        EXPECT_FALSE(parse_lsn(std::string_view(text))) << text;
    EXPECT_EQ(parse_lsn(Position{}).value_or(Lsn(1)), Lsn{});
}

TEST(Lsn, TimelineEnd) {
    const std::string_view history =
        "1\t0/3000148\tno recovery target specified\n\n# by hand\n3\t2/B00000D0\tbefore 2026-01-01\n";
    EXPECT_EQ(timeline_end(history, 1).value(), Lsn(0x3000148));
    EXPECT_EQ(timeline_end(history, 3).value(), Lsn(0x2B00000D0));
    EXPECT_EQ(timeline_end(history, 2).value(), std::nullopt);
    EXPECT_EQ(timeline_end("", 1).value(), std::nullopt);
    EXPECT_FALSE(timeline_end("1\tnowhere\t\n", 1));
}

}  // namespace
}  // namespace godwit::postgres
