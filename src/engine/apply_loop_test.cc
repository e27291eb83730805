#include "engine/apply_loop.h"

#include <gtest/gtest.h>

#include <thread>

#include "fakes/memory_source.h"
#include "fakes/memory_target.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
using test::put_cells;
using test::Row;
using test::Rows;

// Records are written to the log by hand; order n is the transaction's begin, n + 5 its end.
class ApplyLoopTest : public testing::Test {
protected:
    ApplyLoopTest() : log_file_("/dev/null"), clock_(WallTime{1h}), progress_(clock_, {}) {
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-apply-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        renew_log();
        take_over();
        add(a_, TablePhase::joined);
    }
    ~ApplyLoopTest() override {
        log_.reset();
        std::filesystem::remove_all(folder_);
    }

    void renew_log(std::size_t chunk_bytes = 256U << 10) {
        log_.reset();
        ChangeLogOptions options;
        options.folder = folder_ / "spool";
        options.chunk_bytes = chunk_bytes;
        log_ = std::make_unique<ChangeLog>(options);
        relations_.clear();
    }
    // another process of the task
    Ledger take_over() {
        target_ = std::make_unique<test::MemoryTarget>(database_);
        ServerTraits traits;
        traits.system_id = "memory source";
        return target_->take_over({"task", "", ""}, traits).value();
    }
    void add(const TableSchema& table, TablePhase phase, const SnapshotMark& mark = {},
             const Rows& rows = {}) {
        source_.create(table);
        auto prepared = target_->prepare(table, PrepMode::drop_and_create, {test::kRowsFormat}, mark).value();
        if (phase == TablePhase::joined || phase == TablePhase::loaded) {
            ASSERT_TRUE(target_->finish_load(table, prepared, phase, 0));
        }
        database_->tables[table.name].rows = rows;
        TableEntry entry;
        entry.schema = table;
        entry.state = database_->task("task").tables[table.name];
        entry.prepared = prepared;
        book_.put(std::move(entry));
    }
    void set_phase(const TableSchema& table, TablePhase phase, const SnapshotMark& mark = {}) {
        book_.change(table.name, [&](TableEntry& e) {
            e.state.phase = phase;
            e.state.mark = mark;
        });
    }
    std::uint32_t relation(const TableSchema& table) {
        auto& id = relations_[table.name];
        if (id == 0) {
            id = log_->new_relation_id();
            const auto r = test::relation_of(table, id);
            RecordWriter(log_->buffer(0)).relation(r);
            EXPECT_TRUE(log_->recorded(0));
            log_->define(r);
        }
        return id;
    }
    void begin(std::uint64_t order, std::int64_t time_us = 0) {
        RecordWriter(log_->buffer(0)).begin(static_cast<std::uint32_t>(order), order, time_us, false, {});
        ASSERT_TRUE(log_->recorded(0));
    }
    void change(const TableSchema& table, RecordKind kind, const Row& row) {
        const auto id = relation(table);
        RecordWriter writer(log_->buffer(0));
        writer.start(kind, id, 0);
        if (kind == RecordKind::update) writer.old_kind(OldRow::none);
        if (kind == RecordKind::remove) writer.old_kind(OldRow::key);
        put_cells(writer, row);
        writer.finish();
        ASSERT_TRUE(log_->recorded(0));
    }
    void insert(const TableSchema& table, const Row& row) { change(table, RecordKind::insert, row); }
    void commit(std::uint64_t order, std::int64_t time_us = 0) {
        RecordWriter(log_->buffer(0)).commit(order + 5, at(order + 5).token, time_us);
        ASSERT_TRUE(log_->recorded(0));
    }
    void keepalive(std::uint64_t order) {
        RecordWriter(log_->buffer(0)).keepalive(order, at(order).token);
        ASSERT_TRUE(log_->recorded(0));
    }
    // one row in one transaction
    void transaction(const TableSchema& table, std::uint64_t order, const Row& row,
                     std::int64_t time_us = 0) {
        begin(order, time_us);
        insert(table, row);
        commit(order, time_us);
    }
    static Position at(std::uint64_t order) { return test::MemorySource::position(order); }

    ApplyLoop loop(std::optional<Position> applied = {}, Position start = at(0), StopRule rule = {}) {
        return ApplyLoop({source_, *target_, *log_, book_, progress_, settings_, clock_, log_file_},
                         std::move(applied), std::move(start), rule);
    }
    // Everything that is in the log, then the end.
    Result<StopCause> run_all(std::optional<Position> applied = {}, StopRule rule = {}) {
        EXPECT_TRUE(log_->idle());
        log_->close({});
        auto l = loop(std::move(applied), at(0), rule);
        return l.run({});
    }
    Rows rows(const TableSchema& table) { return database_->rows(table.name); }
    std::optional<Position> position() { return database_->task("task").applied; }
    // Waits until the main cursor has read everything up to an order: then it acts on what the catalogue saw
    // there.
    bool passes(ApplyLoop& l, std::uint64_t order) {
        const TableSchema sentinel = test::table_of("sentinel" + std::to_string(order), {"id"});
        TableEntry entry;
        entry.schema = sentinel;
        entry.state.name = sentinel.name;
        book_.put(std::move(entry));
        l.later({CatalogueChange::Kind::table_dropped, sentinel.name, {}, at(order), 0, nullptr, {}});
        return eventually([&] { return !book_.find(sentinel.name); });
    }
    // Waits for another thread; the time is a limit, not a pause.
    static bool eventually(const std::function<bool()>& condition) {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > until) return false;
            std::this_thread::yield();
        }
        return true;
    }

    const TableSchema a_ = test::table_of("a", {"id", "v"});
    const TableSchema b_ = test::table_of("b", {"id", "v"});
    std::filesystem::path folder_;
    Log log_file_;
    FakeClock clock_;
    Progress progress_;
    test::MemorySource source_;
    std::shared_ptr<test::MemoryDatabase> database_ = std::make_shared<test::MemoryDatabase>();
    std::unique_ptr<test::MemoryTarget> target_;
    TableBook book_;
    mapping::Settings settings_;
    std::unique_ptr<ChangeLog> log_;
    std::map<TableName, std::uint32_t> relations_;
};

// --- grouping

TEST_F(ApplyLoopTest, a_backlog_goes_in_one_group) {
    for (std::uint64_t i = 1; i <= 3; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    ASSERT_EQ(database_->commits.size(), 1U);
    EXPECT_EQ(database_->commits[0].changes, 3U);
    EXPECT_EQ(position(), at(35));
    EXPECT_EQ(rows(a_).size(), 3U);
    EXPECT_EQ(progress_.snapshot().transactions_applied, 3U);
}

TEST_F(ApplyLoopTest, groups_end_at_a_commit_never_inside) {
    // 10,000 changes fill a group; a transaction is never cut
    begin(10);
    for (int i = 0; i < 12'000; ++i) insert(a_, {"x" + std::to_string(i), "x"});
    commit(10);
    for (std::uint64_t i = 0; i < 10'001; ++i) transaction(a_, 20 + i * 10, {"y" + std::to_string(i), "y"});
    EXPECT_EQ(run_all(), StopCause::asked);
    ASSERT_EQ(database_->commits.size(), 3U);
    EXPECT_EQ(database_->commits[0].changes, 12'000U);
    EXPECT_EQ(database_->commits[0].position, at(15));
    EXPECT_EQ(database_->commits[1].changes, 10'000U);
    EXPECT_EQ(database_->commits[2].changes, 1U);
    EXPECT_EQ(rows(a_).size(), 22'001U);
}

TEST_F(ApplyLoopTest, an_idle_loop_applies_at_once) {
    auto l = loop();
    std::stop_source stop;
    Result<StopCause> outcome;
    std::jthread thread([&] { outcome = l.run(stop.get_token()); });
    for (std::uint64_t i = 1; i <= 3; ++i) {
        transaction(a_, i * 10, {std::to_string(i), "x"});
        ASSERT_TRUE(log_->idle());
        ASSERT_TRUE(eventually([&] { return rows(a_).size() == i; }));
    }
    stop.request_stop();
    thread.join();
    EXPECT_EQ(outcome, StopCause::asked);
    EXPECT_EQ(database_->commits.size(), 3U);
}

TEST_F(ApplyLoopTest, what_ends_at_or_below_the_common_position_is_skipped) {
    for (std::uint64_t i = 1; i <= 4; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    EXPECT_EQ(run_all(at(25)), StopCause::asked);
    EXPECT_EQ(rows(a_), (Rows{{"3", "x"}, {"4", "x"}}));
    EXPECT_EQ(position(), at(45));
}

// A spool that is read back starts with the chunk in which the common position lies, maybe inside a
// transaction.
TEST_F(ApplyLoopTest, what_comes_before_the_first_begin_was_applied) {
    insert(a_, {"1", "x"});
    commit(10);
    transaction(a_, 20, {"2", "x"});
    EXPECT_EQ(run_all(at(15)), StopCause::asked);
    EXPECT_EQ(rows(a_), (Rows{{"2", "x"}}));
}

TEST_F(ApplyLoopTest, what_the_snapshot_contains_is_skipped) {
    add(b_, TablePhase::joined, {at(25).token}, {{"1", "x"}, {"2", "x"}});
    for (std::uint64_t i = 1; i <= 4; ++i) transaction(b_, i * 10, {std::to_string(i), "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(rows(b_).size(), 4U);
    EXPECT_EQ(database_->conflicts, 0U);
}

TEST_F(ApplyLoopTest, an_unfinished_transaction_is_given_back) {
    transaction(a_, 10, {"1", "x"});
    begin(20);
    insert(a_, {"2", "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_TRUE(rows(a_).size() <= 1U);
    EXPECT_TRUE(!position() || position() == at(15));
}

TEST_F(ApplyLoopTest, rolled_back_savepoints_of_streamed_transactions_are_left_out) {
    const auto id = relation(a_);
    for (const std::uint32_t subxid : {7U, 8U, 9U}) {
        RecordWriter writer(log_->buffer(7));
        writer.start(RecordKind::insert, id, subxid);
        put_cells(writer, {std::to_string(subxid), "x"});
        writer.finish();
        ASSERT_TRUE(log_->recorded(7));
    }
    log_->stream_abort(7, 8);
    ASSERT_TRUE(log_->stream_commit(7, 10, 15, at(15).token, 0));
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(rows(a_), (Rows{{"7", "x"}, {"9", "x"}}));
}

// --- joining

// A table that joins while nothing is committed for others carries the common position with it: or a restart
// from the older position would apply the difference twice.
TEST_F(ApplyLoopTest, joining_moves_the_common_position) {
    add(b_, TablePhase::loading);
    auto l = loop(at(5), at(5));
    std::stop_source stop;
    Result<StopCause> outcome;
    std::jthread thread([&] { outcome = l.run(stop.get_token()); });
    transaction(b_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(passes(l, 15));
    EXPECT_FALSE(position());  // nothing was written for it
    set_phase(b_, TablePhase::loaded, {at(6).token});
    ASSERT_TRUE(eventually([&] { return book_.count(TablePhase::joined) == 2; }));
    stop.request_stop();
    thread.join();
    ASSERT_EQ(outcome, StopCause::asked);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}}));

    // as a new process finds it, with the same log before it
    const auto ledger = take_over();
    EXPECT_EQ(ledger.applied, at(15));
    renew_log();
    transaction(b_, 10, {"1", "x"});
    EXPECT_EQ(run_all(ledger.applied), StopCause::asked);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}}));
    EXPECT_EQ(database_->conflicts, 0U);
}

// The log of a restarted task begins before the common position. A loaded table must not join there: what
// lies between would be skipped by the main cursor and missed by the catch-up.
TEST_F(ApplyLoopTest, a_table_joins_at_the_common_position_only) {
    add(b_, TablePhase::loaded, {at(6).token});
    transaction(b_, 10, {"1", "x"});
    transaction(b_, 20, {"2", "x"});
    transaction(a_, 30, {"3", "x"});
    transaction(b_, 40, {"4", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(35), at(0));
    std::stop_source stop;
    Result<StopCause> outcome;
    std::jthread thread([&] { outcome = l.run(stop.get_token()); });
    const bool all = eventually([&] { return rows(b_).contains({"4", "x"}); });
    stop.request_stop();
    thread.join();
    EXPECT_TRUE(all);
    EXPECT_EQ(book_.count(TablePhase::joined), 2U);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}, {"2", "x"}, {"4", "x"}}));
    EXPECT_TRUE(rows(a_).empty());  // that one was in already
    EXPECT_EQ(database_->conflicts, 0U);
}

// A reload begins to hold the log wherever it stands, maybe inside a transaction that committed before the
// snapshot.
TEST_F(ApplyLoopTest, the_rest_of_a_transaction_that_began_before_the_hold_is_skipped) {
    const TableSchema keyless = test::table_of("k", {"id", "v"}, 0);
    begin(10);
    insert(keyless, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    const auto hold = log_->end();
    insert(keyless, {"2", "x"});
    commit(10);
    transaction(keyless, 20, {"3", "x"});
    ASSERT_TRUE(log_->idle());
    add(keyless, TablePhase::loading, {at(17).token}, {{"1", "x"}, {"2", "x"}});
    book_.change(keyless.name, [&](TableEntry& e) { e.hold_from = hold; });
    auto l = loop(at(5), at(0));
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    transaction(a_, 30, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    set_phase(keyless, TablePhase::loaded, {at(17).token});
    ASSERT_TRUE(eventually([&] { return book_.count(TablePhase::joined) == 2; }));
    stop.request_stop();
    thread.join();
    EXPECT_EQ(rows(keyless), (Rows{{"1", "x"}, {"2", "x"}, {"3", "x"}}));
}

TEST_F(ApplyLoopTest, a_table_that_cannot_be_followed_while_it_catches_up_does_not_join) {
    add(b_, TablePhase::loaded, {at(6).token});
    transaction(b_, 10, {"1", "x"});
    relations_.clear();
    transaction(test::table_of("b", {"id", "p", "q"}), 20, {"2", "x", "y"});  // no longer so at the source
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(25), at(0));
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    transaction(a_, 30, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    EXPECT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    stop.request_stop();
    thread.join();
    EXPECT_EQ(book_.find(b_.name)->state.phase, TablePhase::suspended);
    EXPECT_TRUE(book_.find(b_.name)->reload);
    EXPECT_EQ(database_->task("task").tables[b_.name].phase, TablePhase::suspended);
}

TEST_F(ApplyLoopTest, catching_up_meets_a_conflict_and_goes_on_carefully) {
    add(b_, TablePhase::loaded, {at(6).token}, {{"1", "there already"}});
    transaction(b_, 10, {"1", "x"});
    transaction(b_, 20, {"2", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(25), at(0));
    std::stop_source stop;
    std::jthread thread([&] {
        const auto outcome = l.run(stop.get_token());
        EXPECT_TRUE(outcome) << outcome.error().text();
    });
    const bool joined = eventually([&] { return book_.count(TablePhase::joined) == 2; });
    stop.request_stop();
    thread.join();
    ASSERT_TRUE(joined);
    EXPECT_EQ(rows(b_), (Rows{{"1", "there already"}, {"2", "x"}}));
    EXPECT_GE(database_->conflicts, 1U);
}

// Whatever is replayed: what the ledger says of a table that is still behind is never ahead of its rows.
TEST_F(ApplyLoopTest, a_careful_catch_up_never_promises_more_than_it_did) {
    add(b_, TablePhase::loaded, {at(6).token}, {{"x3", "there already"}});
    const std::uint64_t transactions = 12'000;  // more than one group
    for (std::uint64_t i = 0; i < transactions; ++i)
        transaction(b_, 10 + i * 10, {"x" + std::to_string(i), "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(5 + transactions * 10), at(0));
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    const bool joined = eventually([&] { return book_.count(TablePhase::joined) == 2; });
    stop.request_stop();
    thread.join();
    ASSERT_TRUE(joined);
    EXPECT_EQ(rows(b_).size(), transactions);
    std::uint64_t done = 0;
    for (const auto& c : database_->commits)
        for (const auto& state : c.tables) {
            done += c.changes;
            if (state.phase == TablePhase::loaded) {
                EXPECT_EQ(state.applied, at(5 + done * 10));
            }
        }
    EXPECT_EQ(done, transactions);
}

// --- conflicts

TEST_F(ApplyLoopTest, a_conflict_brings_the_same_records_again_carefully) {
    database_->tables[a_.name].rows = {{"2", "there already"}};
    for (std::uint64_t i = 1; i <= 3; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(database_->conflicts, 1U);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "there already"}, {"3", "x"}}));
    EXPECT_EQ(position(), at(35));
    std::size_t changes = 0;
    for (const auto& c : database_->commits) {
        EXPECT_EQ(c.mode, Applier::Mode::careful);
        changes += c.changes;
    }
    EXPECT_EQ(changes, 3U);
    const auto report = progress_.snapshot();
    ASSERT_EQ(report.tables.size(), 1U);
    EXPECT_EQ(report.tables[0].inserts, 3U);  // seen once each, although read twice
    EXPECT_EQ(report.tables[0].applied_inserts, 2U);
    EXPECT_EQ(report.transactions_applied, 3U);
}

TEST_F(ApplyLoopTest, after_the_careful_replay_it_is_fast_again) {
    database_->tables[a_.name].rows = {{"1", "there already"}};
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop();
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    ASSERT_TRUE(eventually([&] { return position() == at(15); }));
    transaction(a_, 20, {"2", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return position() == at(25); }));
    stop.request_stop();
    thread.join();
    ASSERT_EQ(database_->commits.size(), 2U);
    EXPECT_EQ(database_->commits[0].mode, Applier::Mode::careful);
    EXPECT_EQ(database_->commits[1].mode, Applier::Mode::fast);
}

TEST_F(ApplyLoopTest, what_fails_carefully_as_well_is_the_tasks_error) {
    settings_.conflicts.insert_exists = ConflictAction::stop_task;
    database_->tables[a_.name].rows = {{"1", "there already"}};
    transaction(a_, 10, {"1", "x"});
    const auto outcome = run_all();
    ASSERT_FALSE(outcome);
    EXPECT_FALSE(position());
}

TEST_F(ApplyLoopTest, a_lost_session_is_nobodys_conflict) {
    database_->fault = [](const std::string& step, const TableName&) -> Result<> {
        if (step == "apply.commit") return fail(ErrorCode::unavailable, "gone", Retry::from_checkpoint);
        return {};
    };
    transaction(a_, 10, {"1", "x"});
    const auto outcome = run_all();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(rows(a_).empty());
}

TEST_F(ApplyLoopTest, a_conflict_may_suspend_its_table_only) {
    settings_.conflicts.insert_exists = ConflictAction::suspend_table;
    add(b_, TablePhase::joined);
    database_->tables[a_.name].rows = {{"1", "there already"}};
    transaction(a_, 10, {"1", "x"});
    transaction(b_, 20, {"1", "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(book_.find(a_.name)->state.phase, TablePhase::suspended);
    EXPECT_EQ(database_->task("task").tables[a_.name].phase, TablePhase::suspended);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}}));
}

// --- shapes

TEST_F(ApplyLoopTest, a_new_column_comes_with_its_first_row) {
    transaction(a_, 10, {"1", "x"});
    TableSchema wider = test::table_of("a", {"id", "v", "w"});
    relations_.clear();
    source_.create(wider);
    transaction(wider, 20, {"2", "y", "z"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x", std::nullopt}, {"2", "y", "z"}}));
    EXPECT_EQ(book_.find(a_.name)->schema.columns.size(), 3U);
}

// What the target rolls back, the book must not remember.
TEST_F(ApplyLoopTest, a_group_that_changed_a_shape_comes_again_with_it) {
    database_->tables[a_.name].rows = {{"1", "there already"}};
    transaction(a_, 10, {"1", "conflict"});
    relations_.clear();
    auto wider = test::table_of("a", {"id", "v", "w"});
    source_.create(wider);
    transaction(wider, 20, {"2", "x", "y"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(rows(a_), (Rows{{"1", "there already", std::nullopt}, {"2", "x", "y"}}));
    EXPECT_EQ(book_.find(a_.name)->schema.columns.size(), 3U);
    EXPECT_EQ(database_->conflicts, 1U);
}

TEST_F(ApplyLoopTest, a_group_that_renamed_a_table_comes_again_with_it) {
    database_->tables[a_.name].rows = {{"1", "there already"}};
    transaction(a_, 10, {"1", "conflict"});
    auto renamed = a_;
    renamed.name.table = "c";
    source_.create(renamed);
    transaction(renamed, 20, {"2", "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(rows(renamed), (Rows{{"1", "there already"}, {"2", "x"}}));
    EXPECT_FALSE(book_.find(a_.name));
}

TEST_F(ApplyLoopTest, a_shape_that_cannot_be_replayed_suspends_the_table_for_a_reload) {
    TableSchema other = test::table_of("a", {"id", "p", "q"});
    transaction(other, 10, {"1", "x", "y"});  // the source knows another shape by now
    EXPECT_EQ(run_all(), StopCause::asked);
    const auto entry = book_.find(a_.name);
    EXPECT_EQ(entry->state.phase, TablePhase::suspended);
    EXPECT_TRUE(entry->reload);
    EXPECT_TRUE(rows(a_).empty());
    EXPECT_EQ(database_->task("task").tables[a_.name].phase, TablePhase::suspended);
}

// --- stopping

TEST_F(ApplyLoopTest, stops_before_the_first_commit_after_commit_time) {
    transaction(a_, 10, {"1", "x"}, 1000);
    transaction(a_, 20, {"2", "x"}, 2000);
    transaction(a_, 30, {"3", "x"}, 2001);
    StopRule rule;
    rule.commit_time_us = 2000;
    EXPECT_EQ(run_all({}, rule), StopCause::commit_time);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "x"}}));
    EXPECT_EQ(position(), at(25));
}

// No commit comes, but the source's clock is beyond the time and everything that it wrote was seen.
TEST_F(ApplyLoopTest, commit_time_ends_an_idle_source_too) {
    StopRule rule;
    rule.commit_time_us = 2000;
    source_.clock_us = 10'000'000;
    const auto end = source_.commit({});  // of no interest to the task
    auto l = loop({}, at(0), rule);
    Result<StopCause> outcome;
    std::jthread thread([&] { outcome = l.run({}); });
    keepalive(end);
    ASSERT_TRUE(log_->idle());
    thread.join();
    EXPECT_EQ(outcome, StopCause::commit_time);
    EXPECT_EQ(position(), at(end));
}

TEST_F(ApplyLoopTest, stops_at_server_time) {
    StopRule rule;
    rule.server_time_us = progress_.now_us() + 5'000'000;
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop({}, at(0), rule);
    Result<StopCause> outcome;
    std::jthread thread([&] { outcome = l.run({}); });
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    clock_.advance(6s);
    thread.join();
    EXPECT_EQ(outcome, StopCause::server_time);
}

TEST_F(ApplyLoopTest, cached_changes_end_where_the_log_ended_when_all_had_joined) {
    StopRule rule;
    rule.after_cached_changes = true;
    std::uint64_t end = 0;
    for (int i = 0; i < 3; ++i) end = source_.commit({});  // the source writes up to here: order 30
    add(b_, TablePhase::loading);
    auto l = loop({}, at(0), rule);
    std::atomic<bool> asked = false;
    source_.fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step == "health") asked = true;
        return {};
    };
    Result<StopCause> outcome;
    std::jthread thread([&] { outcome = l.run({}); });
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    EXPECT_FALSE(asked);  // b is loading
    set_phase(b_, TablePhase::loaded, {at(0).token});
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    transaction(a_, 20, {"2", "x"});
    transaction(a_, end + 1, {"3", "beyond the cut"});
    ASSERT_TRUE(log_->idle());
    thread.join();
    EXPECT_EQ(outcome, StopCause::cached_changes);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "x"}}));
}

TEST_F(ApplyLoopTest, stops_after_the_load_without_applying) {
    StopRule rule;
    rule.after_load = true;
    set_phase(a_, TablePhase::loaded);
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop({}, at(0), rule);
    EXPECT_EQ(l.run({}), StopCause::after_load);
    EXPECT_TRUE(rows(a_).empty());
}

// --- pauses, idle positions

TEST_F(ApplyLoopTest, pauses_exactly_before_an_order) {
    for (std::uint64_t i = 1; i <= 4; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop();
    l.pause_at(30);
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    ASSERT_TRUE(eventually([&] { return l.paused(); }));
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "x"}}));
    EXPECT_EQ(position(), at(25));
    l.unpause();
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 4; }));
    EXPECT_FALSE(l.paused());
    stop.request_stop();
}

TEST_F(ApplyLoopTest, pauses_an_idle_log_once_all_before_it_was_seen) {
    auto l = loop();
    l.pause_at(30);
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    EXPECT_FALSE(l.paused());
    keepalive(30);
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return l.paused(); }));
    stop.request_stop();
}

TEST_F(ApplyLoopTest, an_idle_position_is_saved_at_most_once_a_second) {
    auto l = loop(at(5), at(5));
    std::stop_source stop;
    std::jthread thread([&] { EXPECT_TRUE(l.run(stop.get_token())); });
    // the loop has started: its first second begins with a commit
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return position() == at(15); }));
    for (std::uint64_t order = 20; order < 40; ++order) {
        keepalive(order);
        ASSERT_TRUE(log_->idle());
    }
    // they were read: the log holds nothing before its reader
    ASSERT_TRUE(eventually([&] { return log_->memory_bytes() == 0; }));
    EXPECT_EQ(position(), at(15));
    clock_.advance(1001ms);
    ASSERT_TRUE(eventually([&] { return position() == at(39); }));
    stop.request_stop();
    thread.join();
    EXPECT_EQ(database_->commits.size(), 2U);
    EXPECT_EQ(log_->acknowledged(), at(39));
}

TEST_F(ApplyLoopTest, nothing_is_acknowledged_while_a_table_loads) {
    add(b_, TablePhase::loading);
    transaction(b_, 10, {"1", "x"});
    transaction(a_, 20, {"1", "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(position(), at(25));
    EXPECT_TRUE(log_->acknowledged().empty());
}

TEST_F(ApplyLoopTest, the_error_of_the_stream_comes_after_all_that_was_read) {
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    log_->close(fail(ErrorCode::data_loss, "the slot is gone"));
    auto l = loop();
    const auto outcome = l.run({});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::data_loss);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}}));
}

}  // namespace
}  // namespace godwit::engine
