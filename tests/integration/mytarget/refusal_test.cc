// The server itself refuses what was overtaken.

#include <future>

#include "mytarget/bed.h"
#include "targets/mysql/ledger.h"

namespace godwit::test {
namespace {

using namespace godwit::mysql;

class MyRefusalTest : public MyTest {
protected:
    // the number of the error, 0: none
    static unsigned number(Connection& c, const std::string& sql) {
        const auto done = c.run(sql);
        return done ? 0 : c.error_number();
    }
    Connection session(const std::string& mode = "STRICT_ALL_TABLES") {
        auto c = host_.connect();
        EXPECT_OK(c.run("SET sql_mode = '" + mode +
                        "'; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET autocommit = 0; SET "
                        "innodb_lock_wait_timeout = 20"));
        return c;
    }
    const TableSchema table_ = schema_of("t", {column("id", kInt), column("s", kText)});
};

TEST_P(MyRefusalTest, StaleSlicesAreRefused) {
    auto target = process();
    const auto old = prepare(*target, table_).generation;
    const auto now = prepare(*target, table_).generation;
    const auto epoch = ledger_.epoch;
    for (const std::string mode : {"STRICT_ALL_TABLES", ""}) {
        auto c = session(mode);
        EXPECT_EQ(number(c, slice_claim_sql("task", table_.name, old, epoch, 1)), 1048U) << mode;
        EXPECT_EQ(number(c, slice_claim_sql("task", table_.name, now, epoch - 1, 1)), 1048U) << mode;
        EXPECT_EQ(number(c, slice_claim_sql("task", table_.name, now, epoch, 1)), 0U) << mode;
        EXPECT_EQ(number(c, slice_claim_sql("task", table_.name, now, epoch, 1)), 1062U) << mode;
        EXPECT_OK(c.run("ROLLBACK"));
    }
}

TEST_P(MyRefusalTest, NoSliceComesInDuringAPreparation) {
    auto target = process();
    const auto generation = prepare(*target, table_).generation;
    auto c = session();
    ASSERT_OK(begin_generation(c, "task", ledger_.epoch, table_.name, SnapshotMark{"n"}));
    EXPECT_EQ(number(c, slice_claim_sql("task", table_.name, generation + 1, ledger_.epoch, 1)), 1048U);
    EXPECT_OK(c.run("ROLLBACK"));
}

TEST_P(MyRefusalTest, AClaimHoldsTheGeneration) {
    auto target = process();
    const auto generation = prepare(*target, table_).generation;
    auto slice = session(), other = session();
    ASSERT_EQ(number(slice, slice_claim_sql("task", table_.name, generation, ledger_.epoch, 1)), 0U);
    ASSERT_OK(other.run("SET innodb_lock_wait_timeout = 1"));
    EXPECT_EQ(number(other, "UPDATE godwit.gw_table SET generation = generation + 1"), 1205U);
    ASSERT_OK(other.run("ROLLBACK"));
    ASSERT_OK(slice.run("ROLLBACK"));
}

TEST_P(MyRefusalTest, PreparationWaitsForASlice) {
    auto target = process();
    const auto prepared = prepare(*target, table_);
    auto writer = target->open_writer().value();
    ASSERT_TRUE(writer->begin(table_, prepared, 1).value());
    ASSERT_OK(writer->write(as_bytes("1\tx\n")));
    auto other = std::async(std::launch::async, [&] {
        return target->prepare(table_, PrepMode::truncate, {std::string(kRowsLoad)}, SnapshotMark{"n"});
    });
    EXPECT_EQ(other.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
    ASSERT_OK(writer->commit(1));
    ASSERT_OK(other.get());
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "0");
    EXPECT_FALSE(writer->begin(table_, prepared, 2));
}

TEST_P(MyRefusalTest, ACopyOfASliceWaitsForTheFirst) {
    auto target = process();
    const auto prepared = prepare(*target, table_);
    auto one = target->open_writer().value();
    auto two = target->open_writer().value();
    ASSERT_TRUE(one->begin(table_, prepared, 1).value());
    ASSERT_OK(one->write(as_bytes("1\tx\n")));
    auto other = std::async(std::launch::async, [&] { return two->begin(table_, prepared, 1); });
    EXPECT_EQ(other.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
    ASSERT_OK(one->commit(1));
    const auto second = other.get();
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_FALSE(*second);
}

TEST_P(MyRefusalTest, StalePositionIsRefused) {
    auto target = process();
    filled(*target, table_, "1\ta\n", 1);
    auto a = applier(*target, table_);
    auto late = applier(*target, table_);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("b")}));
    ASSERT_OK(commit(*a));
    ASSERT_OK(late->begin(Applier::Mode::fast));
    ASSERT_OK(update(*late, {text("1"), text("stale")}));
    const auto refused = commit(*late);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    late->abort();
    EXPECT_EQ(host_.ask("SELECT s FROM gw_test.t"), "b");
    auto c = session();
    EXPECT_EQ(number(c, position_sql("task", 0, ledger_.epoch, Position{"x"})), 1242U);
    EXPECT_EQ(number(c, position_sql("task", ledger_.sequence + 1, ledger_.epoch + 1, Position{"x"})), 1242U);
    const TableState state{.name = table_.name, .generation = 1};
    EXPECT_EQ(number(c, part_sql("task", ledger_.epoch, state)), 0U);
    EXPECT_EQ(number(c, part_sql("task", ledger_.epoch + 1, state)), 1242U);
    // nor may a position be lost without a word
    ASSERT_OK(c.run("DELETE FROM godwit.gw_pos; COMMIT"));
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("c")}));
    EXPECT_FALSE(commit(*a));
    a->abort();
    EXPECT_EQ(host_.ask("SELECT s FROM gw_test.t"), "b");
}

TEST_P(MyRefusalTest, StaleTableStateIsRefused) {
    auto target = process();
    filled(*target, table_, "1\ta\n", 1);
    auto a = applier(*target, table_);
    TableState state;
    state.name = table_.name;
    state.phase = TablePhase::joined;
    state.generation = 99;
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("x")}));
    EXPECT_FALSE(a->commit({}, {state}));
    a->abort();
    state.generation = 1;
    state.mark = SnapshotMark{"mark"};
    ASSERT_OK(a->begin(Applier::Mode::fast));
    ASSERT_OK(update(*a, {text("1"), text("y")}));
    ASSERT_OK(a->commit({}, {state}));
    EXPECT_EQ(host_.ask("SELECT s, mark FROM gw_test.t, godwit.gw_table"), "y|mark");
}

TEST_P(MyRefusalTest, TakeOverEndsOlderSessions) {
    auto old = process();
    const auto prepared = prepare(*old, table_);
    auto writer = old->open_writer().value();
    ASSERT_TRUE(writer->begin(table_, prepared, 1).value());
    ASSERT_OK(writer->write(as_bytes("1\tx\n")));
    const auto before = ledger_.epoch;
    const auto ids = host_.ask("SELECT group_concat(connection) FROM godwit.gw_session WHERE epoch = " +
                               std::to_string(before));
    auto fresh = process();
    EXPECT_EQ(ledger_.epoch, before + 1);
    EXPECT_EQ(host_.ask("SELECT count(*) FROM information_schema.processlist WHERE id IN (" + ids + ")"),
              "0");
    EXPECT_FALSE(writer->commit(1));
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.t"), "0");
    // nothing of the old process comes in any more
    auto late = old->open_writer();
    ASSERT_TRUE(late);
    const auto begun = (*late)->begin(table_, prepared, 2);
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, ErrorCode::failed_precondition) << begun.error().text();
    auto c = session();
    EXPECT_EQ(number(c, slice_claim_sql("task", table_.name, prepared.generation, before, 3)), 1048U);
    ASSERT_OK(c.run("ROLLBACK"));
    EXPECT_FALSE(old->reset());
    EXPECT_OK(fresh->reset());
}

TEST_P(MyRefusalTest, SessionsOfAnOldEpochAreNotLetIn) {
    auto target = process();
    auto c = session();
    EXPECT_FALSE(register_session(c, "task", ledger_.epoch - 1));
    EXPECT_OK(register_session(c, "task", ledger_.epoch));
}

TEST_P(MyRefusalTest, AForgottenTaskLeavesNothing) {
    {
        auto target = process();
        filled(*target, table_, "1\ta\n", 1);
    }
    auto made = mysql::make_target(host_.endpoint(), TaskContext{"other", {}, {}, nullptr, &log_});
    ASSERT_OK((*made)->open());
    ASSERT_OK((*made)->forget_task({"task", "", ""}));
    for (const char* name : {"gw_task", "gw_table", "gw_slice", "gw_pos", "gw_session"})
        EXPECT_EQ(host_.ask(std::string("SELECT count(*) FROM godwit.") + name), "0") << name;
}

TEST_P(MyRefusalTest, ErrorsCarryNoValues) {
    auto c = host_.connect();
    ASSERT_OK(
        c.run("CREATE TABLE gw_test.e (id int, s varchar(20), u varchar(20), primary key (id), unique key "
              "us (s), d date); SET sql_mode = 'STRICT_ALL_TABLES'; INSERT INTO gw_test.e VALUES (1, "
              "'se for key ''cret', 'x', null)"));
    for (const std::string sql : {"INSERT INTO gw_test.e VALUES (2, 'se for key ''cret', 'x', null)",
                                  "INSERT INTO gw_test.e VALUES ('secret', 'a', 'b', null)",
                                  "INSERT INTO gw_test.e VALUES (3, 'a', 'b', 'secret')", "SELEKT 'secret'",
                                  "UPDATE gw_test.e SET id = 'secret' + 1"}) {
        const auto done = c.run(sql);
        ASSERT_FALSE(done) << sql;
        EXPECT_EQ(done.error().text().find("cret"), std::string::npos) << done.error().text();
        EXPECT_FALSE(done.error().sqlstate.empty());
        EXPECT_NE(c.error_number(), 0U);
    }
    auto stopped = std::stop_source();
    stopped.request_stop();
    EXPECT_FALSE(c.query("SELECT SLEEP(20)", stopped.get_token()));
}

TEST_P(MyRefusalTest, AnErrorOfTheFeedLoadsNothing) {
    auto c = host_.connect(true);
    ASSERT_OK(c.run("CREATE TABLE gw_test.f (id int)"));
    int n = 0;
    const auto done = c.load_local("LOAD DATA LOCAL INFILE 'x' INTO TABLE gw_test.f", [&]() -> Result<Bytes> {
        if (++n > 3) return fail(ErrorCode::cancelled, "enough");
        return as_bytes("1\n");
    });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "enough");
    EXPECT_FALSE(c.healthy());
    EXPECT_EQ(host_.ask("SELECT count(*) FROM gw_test.f"), "0");  // although the session commits by itself
}

INSTANTIATE_TEST_SUITE_P(Servers, MyRefusalTest, testing::Values("GODWIT_TEST_MYSQL", "GODWIT_TEST_MARIADB"),
                         [](const auto& p) {
                             return std::string(p.param) == "GODWIT_TEST_MYSQL" ? "mysql" : "mariadb";
                         });

}  // namespace
}  // namespace godwit::test
