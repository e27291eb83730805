#include "engine/loader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include "fakes/memory_source.h"
#include "fakes/memory_target.h"

namespace godwit::engine {
namespace {

using test::Row;
using test::Rows;

class LoaderTest : public testing::Test {
protected:
    LoaderTest() : log_("/dev/null"), progress_(clock_, {}) {
        take_over();
        for (int i = 0; i < 10; ++i) ten_.insert({std::to_string(i), "x"});
    }
    void take_over() {
        target_ = std::make_unique<test::MemoryTarget>(database_);
        ServerTraits traits;
        traits.system_id = "memory source";
        ASSERT_TRUE(target_->take_over({"task", "", ""}, traits));
    }
    // a table at the source with ten rows: five slices
    TableSchema add(const std::string& name) {
        auto t = test::table_of(name, {"id", "v"});
        source_.create(t, ten_);
        return t;
    }
    LoadPlan plan(const std::vector<TableSchema>& tables, int workers) {
        LoadPlan p;
        p.context = source_.begin_load({}, tables, {}).value();
        p.workers = workers;
        p.after = TablePhase::joined;
        for (const auto& t : tables) {
            TableEntry entry;
            entry.schema = t;
            entry.prepared =
                target_->prepare(t, PrepMode::drop_and_create, {test::kRowsFormat}, p.context.mark).value();
            entry.state.name = t.name;
            entry.state.phase = TablePhase::loading;
            entry.state.generation = entry.prepared.generation;
            book_.put(std::move(entry));
            p.tables.push_back(t.name);
        }
        return p;
    }
    Result<LoadOutcome> run(const LoadPlan& p, std::stop_token stop = {}) {
        Loader loader(source_, *target_, book_, progress_, settings_, log_);
        return loader.run(p, stop);
    }
    TablePhase phase(const TableSchema& t) { return book_.find(t.name)->state.phase; }
    TableReport report(const TableSchema& t) {
        const auto all = progress_.snapshot();
        for (const auto& r : all.tables)
            if (r.name == t.name) return r;
        return {};
    }

    FakeClock clock_;
    Log log_;
    Progress progress_;
    mapping::Settings settings_;
    test::MemorySource source_;
    std::shared_ptr<test::MemoryDatabase> database_ = std::make_shared<test::MemoryDatabase>();
    std::unique_ptr<test::MemoryTarget> target_;
    TableBook book_;
    Rows ten_;
};

TEST_F(LoaderTest, brings_every_row_once) {
    std::vector<TableSchema> tables;
    for (int i = 0; i < 8; ++i) tables.push_back(add("t" + std::to_string(i)));
    const auto p = plan(tables, 4);
    const auto outcome = run(p);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_TRUE(outcome->invalidated.empty());
    for (const auto& t : tables) {
        EXPECT_EQ(database_->rows(t.name), ten_);
        EXPECT_EQ(phase(t), TablePhase::joined);
        EXPECT_EQ(database_->task("task").tables[t.name].rows, 10U);
        EXPECT_EQ(report(t).full_load_rows, 10U);
        EXPECT_EQ(report(t).slices, 5U);
        EXPECT_EQ(report(t).slices_done, 5U);
        EXPECT_EQ(report(t).state, "Table completed");
    }
}

// Two readers of one table meet: it would wait for ever if one worker took the whole table.
TEST_F(LoaderTest, workers_share_the_slices_of_one_table) {
    const auto t = add("t");
    const auto p = plan({t}, 2);
    std::latch both(2);
    std::atomic<int> reads = 0;
    source_.fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step == "read_slice" && reads.fetch_add(1) < 2) both.arrive_and_wait();
        return {};
    };
    ASSERT_TRUE(run(p));
    EXPECT_EQ(database_->rows(t.name), ten_);
    EXPECT_EQ(reads, 5);
}

TEST_F(LoaderTest, an_empty_table_is_loaded) {
    const auto t = test::table_of("t", {"id"});
    source_.create(t);
    ASSERT_TRUE(run(plan({t}, 2)));
    EXPECT_EQ(phase(t), TablePhase::joined);
}

TEST_F(LoaderTest, slices_that_are_in_are_not_read_again) {
    const auto t = add("t");
    const auto p = plan({t}, 1);
    // the first process dies in its third slice
    std::atomic<int> reads = 0;
    source_.fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step == "read_slice" && reads.fetch_add(1) == 2)
            return fail(ErrorCode::unavailable, "the connection broke", Retry::from_checkpoint);
        return {};
    };
    const auto failed = run(p);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
    EXPECT_EQ(phase(t), TablePhase::loading);
    EXPECT_EQ(database_->rows(t.name).size(), 4U);

    take_over();
    const int before = reads;
    ASSERT_TRUE(run(p));
    EXPECT_EQ(reads - before, 3);
    EXPECT_EQ(database_->rows(t.name), ten_);
    EXPECT_EQ(report(t).full_load_rows, 10U);
    EXPECT_EQ(report(t).slices_done, 5U);
}

TEST_F(LoaderTest, a_table_that_is_all_in_is_only_finished) {
    const auto t = add("t");
    const auto p = plan({t}, 1);
    database_->fault = [](const std::string& step, const TableName&) -> Result<> {
        if (step == "finish_load") return fail(ErrorCode::unavailable, "gone", Retry::from_checkpoint);
        return {};
    };
    EXPECT_FALSE(run(p));
    database_->fault = {};
    source_.fault = [](const std::string& step, const TableName&) -> Result<> {
        EXPECT_NE(step, "read_slice");
        return {};
    };
    take_over();
    ASSERT_TRUE(run(p));
    EXPECT_EQ(phase(t), TablePhase::joined);
}

TEST_F(LoaderTest, a_tables_error_costs_that_table_only) {
    const auto bad = add("bad"), good = add("good");
    const auto p = plan({bad, good}, 3);
    database_->fault = [&](const std::string& step, const TableName& table) -> Result<> {
        if (step != "slice.write" || table != bad.name) return {};
        Error e{ErrorCode::invalid_argument, Retry::never, "value too long", {}, "22001"};
        return std::unexpected(e);
    };
    const auto outcome = run(p);
    ASSERT_TRUE(outcome);
    EXPECT_TRUE(outcome->invalidated.empty());
    EXPECT_EQ(phase(bad), TablePhase::suspended);
    EXPECT_EQ(database_->task("task").tables[bad.name].phase, TablePhase::suspended);
    EXPECT_EQ(report(bad).state, "Table error");
    EXPECT_NE(report(bad).detail.find("value too long"), std::string::npos);
    EXPECT_TRUE(database_->rows(bad.name).empty());
    EXPECT_EQ(report(bad).full_load_rows, 0U);
    EXPECT_EQ(phase(good), TablePhase::joined);
    EXPECT_EQ(database_->rows(good.name), ten_);
}

TEST_F(LoaderTest, a_tables_error_may_stop_the_task) {
    settings_.table_error_stops_task = true;
    const auto bad = add("bad");
    const auto p = plan({bad}, 1);
    source_.fault = [](const std::string& step, const TableName&) -> Result<> {
        if (step == "read_slice") return fail(ErrorCode::permission_denied, "no");
        return {};
    };
    const auto outcome = run(p);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::permission_denied);
}

// Its rows are those of the snapshot, its shape is not: never shown as loaded.
TEST_F(LoaderTest, a_table_that_changed_under_its_load_is_returned) {
    const auto changed = add("changed"), good = add("good");
    const auto p = plan({changed, good}, 1);
    source_.create(test::table_of("changed", {"id", "v", "w"}), ten_);
    const auto outcome = run(p);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->invalidated, std::vector<TableName>{changed.name});
    EXPECT_EQ(phase(changed), TablePhase::loading);
    EXPECT_NE(report(changed).state, "Table completed");
    EXPECT_EQ(phase(good), TablePhase::joined);
}

TEST_F(LoaderTest, a_table_is_returned_once_however_many_slices_fail) {
    const auto t = add("t");
    const auto p = plan({t}, 4);
    std::latch all(4);
    std::atomic<int> reads = 0;
    source_.fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step != "read_slice") return {};
        if (reads.fetch_add(1) < 4) all.arrive_and_wait();
        return fail(ErrorCode::cancelled, "an ALTER waits for the table");
    };
    const auto outcome = run(p);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->invalidated, std::vector<TableName>{t.name});
    EXPECT_TRUE(database_->rows(t.name).empty());
}

TEST_F(LoaderTest, a_lost_connection_is_everybodys_error) {
    const auto a = add("a"), b = add("b");
    const auto p = plan({a, b}, 2);
    source_.fault = [&](const std::string& step, const TableName& table) -> Result<> {
        if (step == "read_slice" && table == a.name)
            return fail(ErrorCode::unavailable, "the connection broke", Retry::from_checkpoint);
        return {};
    };
    const auto outcome = run(p);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::unavailable);
    EXPECT_NE(phase(a), TablePhase::suspended);  // a restart goes on with it
}

TEST_F(LoaderTest, a_process_that_was_overtaken_writes_nothing) {
    const auto t = add("t");
    const auto p = plan({t}, 2);
    auto old = std::move(target_);
    take_over();
    Loader loader(source_, *old, book_, progress_, settings_, log_);
    [[maybe_unused]] const auto outcome = loader.run(p, {});
    EXPECT_TRUE(database_->rows(t.name).empty());
}

TEST_F(LoaderTest, stops_when_asked) {
    const auto t = add("t");
    const auto p = plan({t}, 2);
    std::stop_source stop;
    source_.fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step == "read_slice") stop.request_stop();
        return {};
    };
    const auto outcome = run(p, stop.get_token());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::cancelled);
    EXPECT_EQ(phase(t), TablePhase::loading);  // a restart goes on
    EXPECT_NE(report(t).state, "Table error");
}

}  // namespace
}  // namespace godwit::engine
