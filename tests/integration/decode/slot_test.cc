// Replication slots and publications on a real server.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <thread>

#include "decode/reader.h"
#include "sources/postgres/publications.h"

namespace godwit::test {
namespace {

using namespace godwit::postgres;

class SlotTest : public ServersTest {
protected:
    void SetUp() override {
        ServersTest::SetUp();
        if (IsSkipped()) return;
        if (source_.ask("SHOW wal_level") != "logical") GTEST_SKIP() << "wal_level is not logical";
        name_ = "gw_" + source_.name;
    }
    void TearDown() override {
        if (!name_.empty()) {
            auto session = source_.connect();
            for (const auto& n : {name_, name_ + "_2"}) (void)drop_slot(session, n, "godwit/", clock_, {});
        }
        ServersTest::TearDown();
    }
    [[nodiscard]] pg::Connection replication() const {
        pg::ConnectOptions o;
        const auto e = source_.endpoint();
        o.host = e.host, o.port = e.port, o.database = e.database, o.user = e.user, o.password = e.password;
        o.replication = true;
        o.application_name = "godwit/test/slot";
        auto c = pg::Connection::open(o);
        if (!c) throw std::runtime_error(c.error().text());
        return std::move(*c);
    }
    [[nodiscard]] SlotRequest request() const {
        SlotRequest r;
        r.name = name_;
        return r;
    }

    std::string name_;
    SystemClock clock_;
};

TEST(SlotName, HasTheShapeThatUsersKnow) {
    const std::uint8_t random[16] = {0x7f, 0x51, 0x45, 0x66, 0xe4, 0xce, 0x41, 0x9a,
                                     0xa4, 0x9e, 0x56, 0x1b, 0x4a, 0x1d, 0x9c, 0x8c};
    EXPECT_EQ(slot_name("2KPCJKH6IKOFIU63ABCDEF", 16402, random),
              "2kpcjkh6ikofiu63_00016402_7f514566_e4ce_419a_a49e_561b4a1d9c8c");
    EXPECT_EQ(slot_name("a-B", 4294967295U, random).substr(0, 26), "ab00000000000000_94967295_");
    for (const auto* id : {"", "ÄÖ", "0123456789abcdefghi"}) {
        const auto name = slot_name(id, 4294967295U);
        EXPECT_TRUE(std::regex_match(name, std::regex("[a-z0-9_]{62}"))) << name;
    }
    EXPECT_NE(slot_name("x", 1), slot_name("x", 1));
}

TEST_F(SlotTest, LifeOfASlot) {
    auto session = source_.connect();
    source_.run("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    auto maker = replication();
    const auto made = create_slot(maker, session, request(), clock_, {});
    ASSERT_OK(made);
    EXPECT_EQ(made->name, name_);
    source_.run("INSERT INTO t VALUES (2)");
    const auto seen = session.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT " +
                                    pg::quote_literal(made->snapshot) + "; SELECT count(*) FROM public.t");
    ASSERT_OK(seen);
    EXPECT_EQ(seen->number(0, 0), 1);
    ASSERT_OK(session.run("COMMIT"));

    auto slot = require_slot(session, name_);
    ASSERT_OK(slot);
    EXPECT_EQ(slot->plugin, "pgoutput");
    EXPECT_EQ(slot->database, source_.name);
    EXPECT_EQ(slot->confirmed_flush, made->consistent_point);
    EXPECT_LT(slot->restart, slot->confirmed_flush);
    EXPECT_EQ(slot->active_pid, 0);
    EXPECT_FALSE(slot->lost());
    // on a replication session too
    ASSERT_OK(require_slot(maker, name_));

    const auto copied = copy_slot(session, name_, name_ + "_2");
    ASSERT_OK(copied);
    EXPECT_EQ(*copied, slot->confirmed_flush);
    EXPECT_EQ(require_slot(session, name_ + "_2")->restart, slot->restart);
    const auto twice = create_slot(maker, session, request(), clock_, {});
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, ErrorCode::already_exists);

    ASSERT_OK(drop_slot(session, name_, "", clock_, {}));
    ASSERT_OK(drop_slot(session, name_, "", clock_, {}));
    EXPECT_FALSE(inspect_slot(session, name_)->has_value());
    EXPECT_EQ(require_slot(session, name_).error().code, ErrorCode::not_found);
}

TEST_F(SlotTest, NamesWhoIsInTheWay) {
    source_.run("CREATE TABLE t (id int)");
    auto session = source_.connect();
    auto writer = source_.connect();
    ASSERT_OK(writer.run("BEGIN; INSERT INTO public.t VALUES (1)"));
    const bool two_phase = source_.ask("SHOW max_prepared_transactions") != "0";
    if (two_phase) source_.run("BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'gw it''s open'");
    auto maker = replication();
    auto r = request();
    r.wait_max = std::chrono::seconds(1);
    const auto made = create_slot(maker, session, r, clock_, {});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(made.error().message.find(fmt::format("pid {}", writer.backend_pid())), std::string::npos)
        << made.error().message;
    if (two_phase) {
        EXPECT_NE(made.error().message.find("'gw it's open'"), std::string::npos) << made.error().message;
    }
    EXPECT_FALSE(inspect_slot(session, name_)->has_value());

    // a stop is obeyed as well
    std::stop_source stop;
    std::jthread stopper([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        stop.request_stop();
    });
    const auto stopped = create_slot(maker, session, request(), clock_, stop.get_token());
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
    if (two_phase) source_.run("ROLLBACK PREPARED 'gw it''s open'");
    // once they are gone it goes on, on the same session
    std::jthread committer([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        (void)writer.run("COMMIT");
    });
    ASSERT_OK(create_slot(maker, session, request(), clock_, {}));
}

TEST_F(SlotTest, DropsItsOwnReaderOnly) {
    source_.run("CREATE TABLE t (id int); CREATE PUBLICATION pub FOR TABLE t");
    auto session = source_.connect();
    {
        auto maker = replication();
        ASSERT_OK(create_slot(maker, session, request(), clock_, {}));
    }
    SlotReader reader(source_, Mode{}, name_, {"pub"});
    Result<> outcome;
    std::jthread thread([&] { outcome = reader.read({}); });
    while (reader.stream->progress().walsender_pid == 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto foreign = drop_slot(session, name_, "godwit/other", clock_, {});
    ASSERT_FALSE(foreign);
    EXPECT_NE(foreign.error().message.find(std::to_string(reader.stream->progress().walsender_pid)),
              std::string::npos);
    const auto busy = wait_until_free(session, name_, std::chrono::milliseconds(150), clock_, {});
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code, ErrorCode::failed_precondition);
    ASSERT_OK(drop_slot(session, name_, "godwit/test", clock_, {}));
    thread.join();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::unavailable);
}

// --- publications

std::vector<std::string> texts(const std::vector<TableName>& tables) {
    std::vector<std::string> out;
    for (const auto& t : tables) out.push_back(t.table);
    return out;
}
using Texts = std::vector<std::string>;

TEST_F(SlotTest, Identities) {
    source_.run(
        "CREATE TABLE pk (b int, a int, c text, PRIMARY KEY (a, b)); CREATE TABLE none (a int);"
        "CREATE TABLE late (a int PRIMARY KEY DEFERRABLE); CREATE TABLE whole (a int); ALTER TABLE whole "
        "REPLICA IDENTITY FULL;"
        "CREATE TABLE nothing (a int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;"
        "CREATE TABLE idx (a int PRIMARY KEY, b int NOT NULL, c int); CREATE UNIQUE INDEX idx_b ON idx (b) "
        "INCLUDE (c);"
        "ALTER TABLE idx REPLICA IDENTITY USING INDEX idx_b;"
        "CREATE TABLE dropped (a int PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX dropped_b ON dropped "
        "(b);"
        "ALTER TABLE dropped REPLICA IDENTITY USING INDEX dropped_b; DROP INDEX dropped_b;"
        "CREATE UNLOGGED TABLE unlogged (a int PRIMARY KEY); CREATE VIEW v AS SELECT 1 AS a;"
        "CREATE TABLE p (a int, b text) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES IN "
        "(1);"
        "CREATE TABLE p2 (b text, a int NOT NULL); ALTER TABLE p ATTACH PARTITION p2 FOR VALUES IN (2);"
        "CREATE TABLE empty (a int PRIMARY KEY) PARTITION BY LIST (a);"
        "CREATE TABLE \"We \"\"ird\" (\"A b\" int PRIMARY KEY)");
    auto session = source_.connect();
    std::vector<TableName> names;
    for (const auto* n : {"pk", "none", "late", "whole", "nothing", "idx", "dropped", "unlogged", "v", "p",
                          "empty", "We \"ird", "missing"})
        names.push_back({"public", n});
    auto read = read_identities(session, names);
    ASSERT_OK(read);
    std::string seen;
    for (const auto& t : *read) {
        seen +=
            fmt::format("{} {} {}", t.name.table, t.publishable ? "yes" : "no", static_cast<int>(t.identity));
        for (const auto& c : t.columns) seen += " " + c;
        seen += t.why_none.empty() ? "\n" : ": " + t.why_none + "\n";
    }
    EXPECT_EQ(
        seen,
        "pk yes 1 b a\nnone yes 0: it has no primary key\nlate yes 0: its primary key is deferrable\nwhole "
        "yes 2\n"
        "nothing yes 0: its replica identity is NOTHING\nidx yes 1 b\n"
        "dropped yes 0: the index of its replica identity was dropped\nunlogged no 0: it is not a permanent "
        "table\n"
        "v no 0: it is not a permanent table\np yes 0: it has no primary key (partition p1)\nempty yes 1 a\n"
        "We \"ird yes 1 A b\nmissing no 0: it does not exist\n");
    const auto of_p = [&] { return read_identities(session, {{"public", "p"}})->front(); };
    source_.run("ALTER TABLE p1 ADD PRIMARY KEY (a)");
    EXPECT_EQ(of_p().why_none, "it has no primary key (partition p2)");
    source_.run("ALTER TABLE p2 ADD PRIMARY KEY (a)");  // each may hold the same one
    EXPECT_EQ(of_p().why_none, "what identifies rows in its partitions is no key of the whole table");
    source_.run("ALTER TABLE p ADD PRIMARY KEY (a)");
    EXPECT_EQ(of_p().identity, RowIdentity::key);
    EXPECT_EQ(of_p().columns, Texts{"a"});
    source_.run("ALTER TABLE p REPLICA IDENTITY FULL");  // which does not reach the leaves
    EXPECT_EQ(of_p().identity, RowIdentity::key);
    source_.run("ALTER TABLE p1 REPLICA IDENTITY FULL");
    EXPECT_EQ(of_p().identity, RowIdentity::key);
    source_.run("ALTER TABLE p2 REPLICA IDENTITY FULL");
    EXPECT_EQ(of_p().identity, RowIdentity::full);
    EXPECT_EQ(of_p().columns, Texts{"a"});
}

TEST_F(SlotTest, PublicationsNeverFailTheApplication) {
    source_.run(
        "CREATE TABLE pk (a int PRIMARY KEY, v int); CREATE TABLE none (a int, v int);"
        "CREATE TABLE late (a int PRIMARY KEY DEFERRABLE, v int); CREATE TABLE extra (a int PRIMARY KEY, v "
        "int);"
        "CREATE TABLE parent (a int PRIMARY KEY, v int); CREATE TABLE child () INHERITS (parent)");
    auto session = source_.connect();
    std::vector<TableName> wanted{{"public", "pk"},
                                  {"public", "none"},
                                  {"public", "late"},
                                  {"public", "parent"},
                                  {"public", "missing"}};
    ASSERT_OK(check_publication_rights(session, name_, wanted));
    auto mended = mend_publications(session, name_, wanted);
    ASSERT_OK(mended);
    EXPECT_EQ(texts(mended->added), (Texts{"pk", "none", "late", "parent"}));
    auto published = read_publications(session, name_);
    ASSERT_OK(published);
    EXPECT_TRUE(published->exists);
    EXPECT_EQ(texts(published->all), (Texts{"parent", "pk"}));  // not its child
    EXPECT_EQ(texts(published->inserts), (Texts{"late", "none"}));
    EXPECT_TRUE(mend_publications(session, name_, wanted)->none());
    for (const auto* t : {"pk", "none", "late", "parent", "child"})
        source_.run(fmt::format("INSERT INTO {0} VALUES (1, 1); UPDATE {0} SET v = 2; DELETE FROM {0}", t));

    // an identity is lost
    source_.run("ALTER TABLE pk DROP CONSTRAINT pk_pkey");
    mended = mend_publications(session, name_, wanted);
    ASSERT_OK(mended);
    EXPECT_EQ(texts(mended->demoted), Texts{"pk"});
    source_.run("INSERT INTO pk VALUES (1, 1); UPDATE pk SET v = 2");
    // and comes back: updates were missed, so it stays where it is until it is told to rise
    source_.run("ALTER TABLE pk ADD PRIMARY KEY (a)");
    mended = mend_publications(session, name_, wanted);
    ASSERT_OK(mended);
    EXPECT_TRUE(mended->none());
    EXPECT_EQ(texts(mended->promotable), Texts{"pk"});
    mended = mend_publications(session, name_, wanted, {{"public", "pk"}});
    EXPECT_EQ(texts(mended->promoted), Texts{"pk"});
    // tables come and go
    mended = mend_publications(session, name_, {{"public", "pk"}, {"public", "extra"}});
    ASSERT_OK(mended);
    EXPECT_EQ(texts(mended->added), Texts{"extra"});
    EXPECT_EQ(texts(mended->removed), (Texts{"late", "none", "parent"}));
    published = read_publications(session, name_);
    EXPECT_EQ(texts(published->all), (Texts{"extra", "pk"}));
    EXPECT_TRUE(published->inserts.empty());
    // a name that has gone to another table, and a table that has another name by now
    const auto id = [&](const std::string& t) {
        return std::stoull(source_.ask(fmt::format("SELECT '{}'::regclass::oid", t)));
    };
    const std::set<std::uint64_t> ids{id("pk"), id("extra")};
    source_.run("ALTER TABLE extra RENAME TO moved; CREATE TABLE extra (a int PRIMARY KEY)");
    mended = mend_publications(session, name_, {{"public", "pk"}, {"public", "extra"}}, {}, ids);
    ASSERT_OK(mended);
    EXPECT_TRUE(mended->none());
    EXPECT_EQ(texts(read_publications(session, name_)->all), (Texts{"moved", "pk"}));
    const auto as_user = read_foreign_publication(session, name_);
    ASSERT_OK(as_user);
    EXPECT_TRUE(as_user->updates && as_user->via_root);
    EXPECT_EQ(as_user->tables.size(), 2U);
    EXPECT_FALSE(read_foreign_publication(session, "i" + name_)->updates);

    ASSERT_OK(drop_publications(session, name_));
    ASSERT_OK(drop_publications(session, name_));
    EXPECT_FALSE(read_publications(session, name_)->exists);
    EXPECT_EQ(read_foreign_publication(session, name_).error().code, ErrorCode::not_found);
}

TEST_F(SlotTest, MissingRightsSayWhatToGrant) {
    const std::string role = "gw_role_" + source_.name, owner = "gw_owner_" + source_.name;
    source_.run(
        fmt::format("CREATE ROLE {0} LOGIN; CREATE ROLE {1}; CREATE TABLE a (id int PRIMARY KEY); ALTER "
                    "TABLE a OWNER TO {1};"
                    "CREATE TABLE b (id int PRIMARY KEY); ALTER TABLE b OWNER TO {0}",
                    role, owner));
    {
        auto session = source_.connect(role);
        const std::vector<TableName> wanted{{"public", "a"}, {"public", "b"}};
        const auto checked = check_publication_rights(session, name_, wanted);
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code, ErrorCode::permission_denied);
        const auto& m = checked.error().message;
        EXPECT_NE(m.find(fmt::format("GRANT CREATE ON DATABASE \"{}\" TO \"{}\"", source_.name, role)),
                  std::string::npos)
            << m;
        EXPECT_NE(m.find(fmt::format("GRANT \"{}\" TO \"{}\" (the owner of public.a)", owner, role)),
                  std::string::npos)
            << m;
        EXPECT_EQ(m.find("public.b"), std::string::npos) << m;
        EXPECT_NE(m.find("test_decoding"), std::string::npos) << m;
        EXPECT_FALSE(mend_publications(session, name_, wanted));
        EXPECT_FALSE(read_publications(session, name_)->exists);
        // doing what it says helps
        source_.run(fmt::format("GRANT CREATE ON DATABASE \"{0}\" TO \"{1}\"; GRANT \"{2}\" TO \"{1}\"",
                                source_.name, role, owner));
        EXPECT_OK(check_publication_rights(session, name_, wanted));
        EXPECT_OK(mend_publications(session, name_, wanted));
        EXPECT_EQ(read_publications(session, name_)->all.size(), 2U);
    }
    source_.run(fmt::format("DROP OWNED BY {0}, {1}; DROP ROLE {0}; DROP ROLE {1}", role, owner));
}

}  // namespace
}  // namespace godwit::test
