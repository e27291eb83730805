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

// A loop that runs in a thread; both end with this object.
class Running {
public:
    explicit Running(ApplyLoop& loop)
        : thread_([this, &loop](const std::stop_token& stop) { outcome_ = loop.run(stop); }) {}
    Result<StopCause> stop() {
        thread_.request_stop();
        return end();
    }
    // waits until it ends by itself
    Result<StopCause> end() {
        thread_.join();
        return outcome_;
    }

private:
    Result<StopCause> outcome_;
    std::jthread thread_;  // last: it writes the outcome
};

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

    void renew_log(std::size_t chunk_bytes = 256U << 10, std::size_t memory_bytes_max = 64U << 20,
                   std::uint64_t spool_bytes_max = 64ULL << 30) {
        log_.reset();
        ChangeLogOptions options;
        options.folder = folder_ / "spool";
        options.chunk_bytes = chunk_bytes;
        options.memory_bytes_max = memory_bytes_max;
        options.spool_bytes_max = spool_bytes_max;
        options.file_bytes = std::min<std::uint64_t>(options.file_bytes, spool_bytes_max);
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
    void move(const TableSchema& table, const Row& from, const Row& to) {
        RecordWriter writer(log_->buffer(0));
        writer.start(RecordKind::update, relation(table), 0);
        writer.old_kind(OldRow::full);
        put_cells(writer, from);
        put_cells(writer, to);
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
        entry.state.phase = TablePhase::suspended;
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
    // 50,000 changes fill a group; a transaction is never cut
    begin(10);
    for (int i = 0; i < 52'000; ++i) insert(a_, {"x" + std::to_string(i), "x"});
    commit(10);
    for (std::uint64_t i = 0; i < 50'001; ++i) transaction(a_, 20 + i * 10, {"y" + std::to_string(i), "y"});
    EXPECT_EQ(run_all(), StopCause::asked);
    ASSERT_EQ(database_->commits.size(), 3U);
    EXPECT_EQ(database_->commits[0].changes, 52'000U);
    EXPECT_EQ(database_->commits[0].position, at(15));
    EXPECT_EQ(database_->commits[1].changes, 50'000U);
    EXPECT_EQ(database_->commits[2].changes, 1U);
    EXPECT_EQ(rows(a_).size(), 102'001U);
}

TEST_F(ApplyLoopTest, an_idle_loop_applies_at_once) {
    auto l = loop();
    Running running(l);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        transaction(a_, i * 10, {std::to_string(i), "x"});
        ASSERT_TRUE(log_->idle());
        ASSERT_TRUE(eventually([&] { return rows(a_).size() == i; }));
    }
    EXPECT_EQ(running.stop(), StopCause::asked);
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
    Running running(l);
    transaction(b_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(passes(l, 15));
    EXPECT_FALSE(position());  // nothing was written for it
    set_phase(b_, TablePhase::loaded, {at(6).token});
    ASSERT_TRUE(eventually([&] { return book_.count(TablePhase::joined) == 2; }));
    EXPECT_EQ(progress_.snapshot().applied_position, at(15).token);  // no later record would bring it
    ASSERT_EQ(running.stop(), StopCause::asked);
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
    Running running(l);
    const bool all = eventually([&] { return rows(b_).contains({"4", "x"}); });
    EXPECT_EQ(running.stop(), StopCause::asked);
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
    Running running(l);
    transaction(a_, 30, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    set_phase(keyless, TablePhase::loaded, {at(17).token});
    ASSERT_TRUE(eventually([&] { return book_.count(TablePhase::joined) == 2; }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(rows(keyless), (Rows{{"1", "x"}, {"2", "x"}, {"3", "x"}}));
}

TEST_F(ApplyLoopTest, a_table_that_cannot_be_followed_while_it_catches_up_does_not_join) {
    add(b_, TablePhase::loaded, {at(6).token});
    transaction(b_, 10, {"1", "x"});
    relations_.clear();
    transaction(test::table_of("b", {"id", "p", "q"}), 20, {"2", "x", "y"});  // no longer so at the source
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(25), at(0));
    Running running(l);
    transaction(a_, 30, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    EXPECT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    EXPECT_EQ(running.stop(), StopCause::asked);
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
    Running running(l);
    const bool joined = eventually([&] { return book_.count(TablePhase::joined) == 2; });
    EXPECT_EQ(running.stop(), StopCause::asked);
    ASSERT_TRUE(joined);
    EXPECT_EQ(rows(b_), (Rows{{"1", "there already"}, {"2", "x"}}));
    EXPECT_GE(database_->conflicts, 1U);
}

// An emptied table may have got another shape before; and what forbids it to be emptied counts here as well.
TEST_F(ApplyLoopTest, a_table_is_emptied_while_it_catches_up) {
    for (const bool refused : {false, true}) {
        renew_log();
        settings_.fail_on_truncation_ddl = refused;
        auto wider = test::table_of("b", {"id", "v", "w"});
        add(b_, TablePhase::loaded, {at(6).token}, {{"1", "old"}});
        source_.create(wider);
        begin(10);
        RecordWriter(log_->buffer(0)).truncate(0, 0, {relation(wider)});
        ASSERT_TRUE(log_->recorded(0));
        commit(10);
        ASSERT_TRUE(log_->idle());
        auto l = loop(at(15), at(0));
        Running running(l);
        if (refused) {
            const auto ended = running.end();
            ASSERT_FALSE(ended);
            EXPECT_EQ(ended.error().code, ErrorCode::failed_precondition);
            EXPECT_EQ(rows(b_).size(), 1U);
            continue;
        }
        EXPECT_TRUE(eventually([&] { return book_.count(TablePhase::joined) == 2; }));
        EXPECT_EQ(running.stop(), StopCause::asked);
        EXPECT_TRUE(rows(b_).empty());
        EXPECT_EQ(database_->tables[b_.name].columns.size(), 3U);
    }
}

// The suspension is where the table ends: joined, it would look whole without the changes that were skipped.
TEST_F(ApplyLoopTest, a_table_that_a_row_suspends_while_it_catches_up_does_not_join) {
    settings_.conflicts.insert_exists = ConflictAction::suspend_table;
    add(b_, TablePhase::loaded, {at(6).token}, {{"1", "there already"}});
    transaction(b_, 10, {"1", "x"});
    transaction(b_, 20, {"2", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(25), at(0));
    Running running(l);
    transaction(a_, 30, {"1", "x"});
    transaction(b_, 40, {"3", "x"});
    ASSERT_TRUE(log_->idle());
    EXPECT_TRUE(eventually([&] { return rows(a_).size() == 1 && position() == at(45); }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(book_.find(b_.name)->state.phase, TablePhase::suspended);
    EXPECT_EQ(database_->task("task").tables[b_.name].phase, TablePhase::suspended);
    EXPECT_EQ(rows(b_), (Rows{{"1", "there already"}}));
}

// Whatever is replayed: what the ledger says of a table that is still behind is never ahead of its rows.
TEST_F(ApplyLoopTest, a_careful_catch_up_never_promises_more_than_it_did) {
    add(b_, TablePhase::loaded, {at(6).token}, {{"x3", "there already"}});
    const std::uint64_t transactions = 12'000;  // more than one group
    for (std::uint64_t i = 0; i < transactions; ++i)
        transaction(b_, 10 + i * 10, {"x" + std::to_string(i), "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(5 + transactions * 10), at(0));
    Running running(l);
    const bool joined = eventually([&] { return book_.count(TablePhase::joined) == 2; });
    EXPECT_EQ(running.stop(), StopCause::asked);
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

// A table that has finished its load while a group failed joins where that group comes again, and that is
// before the common position: the cursor would skip what lies between.
TEST_F(ApplyLoopTest, no_table_joins_where_a_group_comes_again) {
    const TableSchema c = test::table_of("c", {"id", "v"}), seen = test::table_of("seen", {"id", "v"});
    add(b_, TablePhase::loading);
    add(c, TablePhase::loading);
    for (const auto& t : {b_, c}) book_.change(t.name, [](TableEntry& e) { e.hold_from = 1; });
    add(seen, TablePhase::joined, {at(18).token});
    set_phase(seen, TablePhase::joined, {at(18).token});
    int left = 1;
    database_->fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.commit" || rows(b_).empty() || left == 0) return {};
        --left;
        set_phase(c, TablePhase::loaded, {at(6).token});
        return std::unexpected(Error{ErrorCode::aborted, Retry::from_checkpoint, "deadlock", {}, "40001"});
    };
    // no group opens for the first transaction, and its end and the second one are read in one go
    begin(10);
    insert(b_, {"1", "x"});
    insert(c, {"1", "x"});
    insert(seen, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(5), at(5));
    Running running(l);
    ASSERT_TRUE(eventually([&] { return source_.asked > 0; }));
    set_phase(b_, TablePhase::loaded, {at(6).token});
    commit(10);
    transaction(b_, 20, {"2", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return position() == at(25) && book_.count(TablePhase::loaded) == 0; }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(left, 0);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}, {"2", "x"}}));
    EXPECT_EQ(rows(c), (Rows{{"1", "x"}}));
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
    Running running(l);
    ASSERT_TRUE(eventually([&] { return position() == at(15); }));
    transaction(a_, 20, {"2", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return position() == at(25); }));
    EXPECT_EQ(running.stop(), StopCause::asked);
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

TEST_F(ApplyLoopTest, a_deadlock_brings_the_group_again_as_it_was) {
    int left = 3;
    database_->fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.commit" || left-- <= 0) return {};
        return std::unexpected(Error{ErrorCode::aborted, Retry::from_checkpoint, "deadlock", {}, "40001"});
    };
    for (std::uint64_t i = 1; i <= 3; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_LT(left, 0);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "x"}, {"3", "x"}}));
    EXPECT_EQ(position(), at(35));
    for (const auto& c : database_->commits) EXPECT_EQ(c.mode, Applier::Mode::fast);
    EXPECT_EQ(progress_.snapshot().tables[0].inserts, 3U);
}

TEST_F(ApplyLoopTest, a_deadlock_without_end_is_the_tasks_error) {
    database_->fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.commit") return {};
        return std::unexpected(Error{ErrorCode::aborted, Retry::from_checkpoint, "deadlock", {}, "40001"});
    };
    transaction(a_, 10, {"1", "x"});
    const auto outcome = run_all();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::aborted);
    EXPECT_TRUE(rows(a_).empty());
}

// What is applied again before the statement that is in the way is no progress.
TEST_F(ApplyLoopTest, a_statement_that_stays_blocked_is_the_tasks_error) {
    database_->ddl_commits = true;
    auto wider = test::table_of("a", {"id", "v", "w"});
    source_.create(wider);
    int asked = 0;
    database_->fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step != "change_schema" || ++asked > 100) return {};
        return std::unexpected(
            Error{ErrorCode::aborted, Retry::from_checkpoint, "lock wait timeout", {}, "HY000"});
    };
    transaction(a_, 10, {"1", "x"});
    relations_.clear();
    transaction(wider, 20, {"2", "x", "y"});
    const auto outcome = run_all();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::aborted);
    EXPECT_LT(asked, 20);
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}}));
}

TEST_F(ApplyLoopTest, a_deadlock_while_catching_up_is_tried_again) {
    add(b_, TablePhase::loaded, {at(6).token});
    for (std::uint64_t i = 1; i <= 3; ++i) transaction(b_, i * 10, {std::to_string(i), "x"});
    int left = 2;
    database_->fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.commit" || left-- <= 0) return {};
        return std::unexpected(Error{ErrorCode::aborted, Retry::from_checkpoint, "deadlock", {}, "40P01"});
    };
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(25), at(0));  // the main cursor passes before the table joins
    Running running(l);
    EXPECT_TRUE(eventually([&] { return position() == at(35); }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}, {"2", "x"}, {"3", "x"}}));
    EXPECT_LT(left, 0);
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

// Which partitions there are only a poll says: it compares, and what it was not shown it does not miss.
TEST_F(ApplyLoopTest, a_new_shape_leaves_partitions_and_files_to_the_poll) {
    const auto known = [&] { return book_.find(a_.name)->schema; };
    book_.change(a_.name, [](TableEntry& e) {
        e.schema.partitioned = true;
        e.schema.leaves = {{"public", "a1"}};
        e.schema.leaf_states = {{1, 1, true}};
        e.schema.storage_id = 1;
    });
    TableSchema wider = test::table_of("a", {"id", "v", "w"});
    wider.partitioned = true;
    wider.leaves = {{"public", "a1"}, {"public", "filled"}};
    wider.leaf_states = {{1, 1, true}, {2, 2, false}};
    wider.storage_id = 1;
    source_.create(wider);
    transaction(wider, 10, {"1", "x", "y"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(known().columns.size(), 3U);
    EXPECT_EQ(known().leaves.size(), 1U);
    EXPECT_EQ(known().leaf_states.size(), 1U);
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

// A careful group may have suspended the table itself and hold its row of the ledger: that is let go first.
TEST_F(ApplyLoopTest, a_shape_that_cannot_be_replayed_carefully_suspends_the_table_too) {
    settings_.conflicts.insert_exists = ConflictAction::suspend_table;
    add(b_, TablePhase::joined);
    database_->tables[a_.name].rows = {{"1", "there already"}};
    begin(10);
    insert(b_, {"1", "x"});
    insert(a_, {"1", "conflict"});
    insert(a_, {"2", "x"});
    // fails once, so that the group comes again row by row before the log shows another shape
    bool failed = false;
    database_->fault = [&](const std::string& step, const TableName& name) -> Result<> {
        if (step != "define" || name != b_.name || std::exchange(failed, true)) return {};
        return fail(ErrorCode::conflict, "row by row");
    };
    relations_.erase(a_.name);
    insert(test::table_of("a", {"id", "p", "q"}), {"3", "x", "y"});
    commit(10);
    EXPECT_EQ(run_all(), StopCause::asked);
    const auto entry = book_.find(a_.name);
    EXPECT_EQ(entry->state.phase, TablePhase::suspended);
    EXPECT_TRUE(entry->reload);
    EXPECT_TRUE(entry->state.reason.ends_with(kLoadedAnew)) << entry->state.reason;
    EXPECT_EQ(database_->task("task").tables[a_.name].reason, entry->state.reason);
    EXPECT_EQ(rows(b_), (Rows{{"1", "x"}}));
}

// The loader would look for it in vain.
TEST_F(ApplyLoopTest, a_table_that_loads_keeps_its_name_and_its_place_in_the_book) {
    add(b_, TablePhase::loading);
    auto renamed = b_;
    renamed.name.table = "c";
    auto l = loop(at(5), at(5));
    Running running(l);
    const auto polled = [&](CatalogueChange::Kind kind) {
        l.later({kind, b_.name, renamed.name, at(5), b_.source_id, nullptr, {}});
        return passes(l, 5);
    };
    ASSERT_TRUE(polled(CatalogueChange::Kind::table_renamed));
    ASSERT_TRUE(polled(CatalogueChange::Kind::table_dropped));
    EXPECT_TRUE(book_.find(b_.name));
    set_phase(b_, TablePhase::suspended);
    ASSERT_TRUE(polled(CatalogueChange::Kind::table_renamed));
    EXPECT_TRUE(eventually([&] { return book_.find(renamed.name).has_value(); }));
    EXPECT_FALSE(book_.find(b_.name));
    EXPECT_EQ(running.stop(), StopCause::asked);
}

// Of a table that was made again under its name and number, and loaded: the drop that was seen before.
TEST_F(ApplyLoopTest, a_drop_from_before_the_load_is_over) {
    add(b_, TablePhase::joined, {at(40).token});
    set_phase(b_, TablePhase::joined, {at(40).token});
    auto l = loop(at(5), at(5));
    Running running(l);
    const auto dropped = [&](std::uint64_t order) {
        l.later({CatalogueChange::Kind::table_dropped, b_.name, {}, at(order), b_.source_id, nullptr, {}});
        keepalive(order);
        EXPECT_TRUE(log_->idle());
        return passes(l, order);
    };
    ASSERT_TRUE(dropped(10));
    EXPECT_TRUE(book_.find(b_.name));
    ASSERT_TRUE(dropped(50));
    EXPECT_FALSE(book_.find(b_.name));
    EXPECT_EQ(running.stop(), StopCause::asked);
}

// --- shapes, where DDL commits

class CutTest : public ApplyLoopTest, public testing::WithParamInterface<TablePhase> {
protected:
    // A process from start to end, or to the step at which it is cut off. What it knows of tables is what the
    // process before it has kept.
    Result<StopCause> process(const std::function<void()>& write) {
        database_->fault = {};
        for (const auto& e : book_.all()) book_.remove(e.schema.name);
        const Ledger ledger = take_over();
        for (const auto& state : ledger.tables) {
            TableEntry entry;
            entry.schema = kept_.at(state.name);
            entry.state = state;
            book_.put(std::move(entry));
        }
        renew_log();
        write();
        EXPECT_TRUE(log_->idle());
        log_->close({});
        int steps = 0;
        database_->fault = [&, steps](const std::string& step, const TableName&) mutable -> Result<> {
            if (step == "define" || ++steps != dies_at_) return {};
            return fail(ErrorCode::unavailable, "cut off", Retry::from_checkpoint);
        };
        ApplyLoop l({source_, *target_, *log_, book_, progress_, settings_, clock_, log_file_, false,
                     [this] {
                         if (!keeps_shapes_) return;
                         for (const auto& e : book_.all()) kept_[e.schema.name] = e.schema;
                     }},
                    ledger.applied.value_or(at(0)), at(0), {});
        auto cause = l.run({});
        database_->fault = {};
        return cause;
    }
    // Once through, and then cut off at each step, with a second process behind it.
    void at_each_step(const std::function<void()>& write, const std::function<void()>& check) {
        const auto tables = database_->tables;
        const auto task = database_->tasks["task"];
        const auto kept = kept_;
        for (dies_at_ = 0;; ++dies_at_) {
            database_->tables = tables;
            database_->tasks["task"] = task;
            kept_ = kept;
            const auto first = process(write);
            const bool whole = first.has_value();
            const int died_at = std::exchange(dies_at_, 0);
            if (!whole) {
                EXPECT_NE(died_at, 0) << first.error().text();
                EXPECT_EQ(process(write), StopCause::asked);
            }
            SCOPED_TRACE("cut off at step " + std::to_string(died_at));
            check();
            EXPECT_EQ(position(), at(35));
            if (HasFailure()) return;
            dies_at_ = died_at;
            if (whole && died_at != 0) break;
            ASSERT_LT(died_at, 50);
        }
        EXPECT_GT(dies_at_, 4);
    }
    // A loaded table catches up behind the others, which are there already.
    void have(const TableSchema& table, TablePhase phase, const Rows& rows = {}) {
        database_->ddl_commits = true;
        if (kept_.empty()) database_->tasks["task"].tables.clear();
        if (phase == TablePhase::loaded) database_->tasks["task"].applied = at(35);
        add(table, phase, {}, rows);
        kept_[table.name] = table;
    }
    std::map<TableName, TableSchema> kept_;
    bool keeps_shapes_ = true;
    int dies_at_ = 0;
};

// A table without a key shows every row that comes twice or never.
TEST_P(CutTest, a_transaction_with_ddl_in_its_middle_is_applied_once) {
    const auto bag = test::table_of("bag", {"id", "v"}, 0);
    const auto other = test::table_of("other", {"id", "v"}, 0);
    auto wider = test::table_of("bag", {"id", "v", "w"}, 0);
    have(bag, GetParam());
    have(other, TablePhase::joined);
    source_.create(wider);
    const auto write = [&] {
        transaction(bag, 10, {"1", "x"});
        begin(30);
        insert(bag, {"1", "x"});
        insert(other, {"1", "x"});
        insert(bag, {"1", "x"});
        relations_.erase(bag.name);
        insert(wider, {"1", "x", "w"});
        insert(other, {"1", "x"});
        insert(wider, {"1", "x", "w"});
        commit(30);
    };
    at_each_step(write, [&] {
        EXPECT_EQ(rows(bag), (Rows{{"1", "x", std::nullopt},
                                   {"1", "x", std::nullopt},
                                   {"1", "x", std::nullopt},
                                   {"1", "x", "w"},
                                   {"1", "x", "w"}}));
        EXPECT_EQ(rows(other), GetParam() == TablePhase::joined ? (Rows{{"1", "x"}, {"1", "x"}}) : Rows{});
    });
}

// Column c goes and d gets its name: seen again from its start, the change would drop what was d.
TEST_P(CutTest, a_change_of_several_steps_goes_on_where_it_was) {
    auto before = test::table_of("t", {"id", "c", "d"});
    before.columns[2].type_id = 23;
    auto after = test::table_of("t", {"id", "c"});
    after.columns[1] = before.columns[2];
    after.columns[1].name = "c";
    have(before, GetParam(), {{"1", "gone", "stays"}});
    source_.create(after);
    at_each_step(
        [&] {
            relations_.erase(before.name);
            begin(30);
            insert(after, {"2", "new"});
            commit(30);
        },
        [&] { EXPECT_EQ(rows(before), (Rows{{"1", "stays"}, {"2", "new"}})); });
}

// Shapes are written behind the target's commit, and a process that dies between the two leaves them as they
// were. Seen again, a swap of names would be taken back.
TEST_P(CutTest, a_change_that_is_in_is_not_made_again) {
    auto before = test::table_of("t", {"id", "c", "d"});
    auto after = before;
    std::swap(after.columns[1].name, after.columns[2].name);
    for (const bool commits : {false, true}) {
        SCOPED_TRACE(commits);
        kept_.clear();
        database_->tasks["task"].applied.reset();
        have(before, GetParam(), {{"1", "c", "d"}});
        database_->ddl_commits = commits;
        source_.create(after);
        const auto first = [&] {
            relations_.erase(before.name);
            transaction(after, 30, {"2", "d", "c"});
        };
        keeps_shapes_ = false;
        ASSERT_EQ(process(first), StopCause::asked);
        ASSERT_EQ(process([&] {
                      first();
                      transaction(after, 40, {"3", "d", "c"});
                  }),
                  StopCause::asked);
        EXPECT_EQ(rows(before), (Rows{{"1", "c", "d"}, {"2", "d", "c"}, {"3", "d", "c"}}));
        EXPECT_EQ(database_->tables.at(before.name).columns, (std::vector<std::string>{"id", "d", "c"}));
    }
}

TEST_P(CutTest, a_conflict_before_the_change_is_judged_once) {
    const auto t = test::table_of("t", {"id", "v"});
    auto wider = test::table_of("t", {"id", "v", "w"});
    have(t, GetParam(), {{"1", "there already"}});
    source_.create(wider);
    at_each_step(
        [&] {
            begin(30);
            insert(t, {"2", "x"});
            insert(t, {"1", "conflict"});
            relations_.erase(t.name);
            insert(wider, {"3", "y", "z"});
            insert(wider, {"1", "conflict", "z"});
            commit(30);
        },
        [&] {
            EXPECT_EQ(
                rows(t),
                (Rows{{"1", "there already", std::nullopt}, {"2", "x", std::nullopt}, {"3", "y", "z"}}));
        });
}

TEST_P(CutTest, a_transaction_whose_end_is_not_in_the_log_is_not_cut) {
    have(a_, TablePhase::joined);
    auto wider = test::table_of("a", {"id", "v", "w"});
    source_.create(wider);
    begin(30);
    insert(a_, {"2", "x"});
    relations_.clear();
    insert(wider, {"3", "y", "z"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_TRUE(rows(a_).empty());  // all of it comes again
}

INSTANTIATE_TEST_SUITE_P(Phases, CutTest, testing::Values(TablePhase::joined, TablePhase::loaded));

// The reload of one of them needs the stream to go on.
TEST_F(ApplyLoopTest, the_source_is_read_on_while_bound_tables_stand) {
    auto parent = test::table_of("parent", {"id", "v"}, 0), child = test::table_of("child", {"id", "v"}, 0);
    parent.bound_to = {child.name};
    child.bound_to = {parent.name};
    renew_log(1024, 16U << 10);
    add(parent, TablePhase::joined);
    add(child, TablePhase::joined);
    auto l = loop();
    Running running(l);
    transaction(parent, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return position() == at(15); }));
    book_.change(child.name, [&](TableEntry& e) {
        e.state.phase = TablePhase::suspended;
        e.reload = true;
    });
    ASSERT_TRUE(eventually([&] { return l.obeyed() == book_.version(); }));
    constexpr std::uint64_t kTransactions = 1000, kInSnapshot = 400;
    bool goes_on = true;
    for (std::uint64_t i = 2; i <= kTransactions && goes_on; ++i) {
        const Row row{std::to_string(i), "a text of some length"};
        begin(i * 10);
        insert(parent, row);
        insert(child, row);
        commit(i * 10);
        goes_on = eventually([&] { return !log_->full(); });
        if (i <= kInSnapshot) database_->tables[child.name].rows.insert(row);
        if (i == kTransactions / 2)
            book_.change(child.name, [&](TableEntry& e) {
                e.state.phase = TablePhase::loading;
                e.hold_from = log_->end();
                e.reload = false;
            });
    }
    EXPECT_TRUE(goes_on);
    ASSERT_TRUE(log_->idle());
    EXPECT_EQ(rows(parent).size(), 1U);
    EXPECT_GT(log_->spool_bytes(), 0U);
    set_phase(child, TablePhase::loaded, {at(kInSnapshot * 10 + 5).token});
    EXPECT_TRUE(eventually([&] { return !goes_on || position() == at(kTransactions * 10 + 5); }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(rows(parent).size(), kTransactions);
    EXPECT_EQ(rows(child).size(), kTransactions - 1);
    EXPECT_EQ(book_.find(child.name)->state.phase, TablePhase::joined);
    EXPECT_EQ(database_->conflicts, 0U);
}

// What is cut must be whole in the log: to read no more because it is full would be to wait for ever.
class LargeCutTest : public ApplyLoopTest, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(LargeCutTest, a_transaction_that_is_cut_may_be_larger_than_the_log) {
    database_->ddl_commits = true;
    const auto wider = test::table_of("a", {"id", "v", "w"});
    source_.create(wider);
    renew_log(1024, 16U << 10, GetParam());
    auto l = loop();
    Running running(l);
    begin(30);
    insert(a_, {"0", "x"});
    relations_.clear();
    constexpr std::size_t kRows = 4000;
    bool goes_on = true;
    for (std::size_t i = 1; i <= kRows && goes_on; ++i) {
        insert(wider, {"n" + std::to_string(i), "a text of some length", "y"});
        goes_on = eventually([&] { return !log_->full(); });
    }
    EXPECT_TRUE(goes_on);
    if (goes_on) {
        commit(30);
        EXPECT_TRUE(log_->idle());
        EXPECT_TRUE(eventually([&] { return position() == at(35); }));
        EXPECT_EQ(rows(a_).size(), kRows + 1);
        EXPECT_EQ(database_->conflicts, 0U);
    }
    EXPECT_EQ(running.stop(), StopCause::asked);
}

INSTANTIATE_TEST_SUITE_P(SpoolLimits, LargeCutTest, testing::Values(64ULL << 30, 32ULL << 10));

// Its rows are emptied then: one that came later would stand between those of the load.
TEST_F(ApplyLoopTest, a_table_that_leaves_gets_no_row_behind_the_next_boundary) {
    auto l = loop();
    Running running(l);
    begin(10);
    insert(a_, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return l.obeyed() == book_.version(); }));
    set_phase(a_, TablePhase::waiting);
    insert(a_, {"2", "x"});
    commit(10);
    transaction(a_, 20, {"3", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return l.obeyed() == book_.version(); }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_FALSE(rows(a_).contains({"3", "x"}));
}

TEST_F(ApplyLoopTest, work_at_a_boundary_comes_between_groups) {
    auto l = loop();
    Running running(l);
    begin(10);
    insert(a_, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return l.obeyed() == book_.version(); }));
    std::atomic<std::size_t> seen = 99;
    l.at_boundary([&] { seen = rows(a_).size(); });
    insert(a_, {"2", "x"});
    commit(10);
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return seen != 99; }));
    EXPECT_EQ(seen, 2U);
    EXPECT_EQ(running.stop(), StopCause::asked);
}

// --- marks that are a range

// What the snapshot held of the transactions at 20 to 40 nobody knows: each key becomes what the log says of
// it last.
TEST_F(ApplyLoopTest, inside_a_range_the_images_of_rows_decide) {
    const Rows held{{"1", "new"}, {"2", "old"}, {"4", "moved before"}, {"6", "gone soon"}, {"9", "kept"}};
    add(b_, TablePhase::loaded, {"m:45 from 20"}, held);
    transaction(b_, 10, {"9", "contained"});
    begin(20);
    insert(b_, {"1", "new"});                       // the snapshot has it
    change(b_, RecordKind::update, {"2", "new"});   // ... has the row before
    change(b_, RecordKind::update, {"3", "late"});  // ... has neither
    change(b_, RecordKind::remove, {"5", "x"});
    change(b_, RecordKind::remove, {"6", "gone soon"});
    commit(20);
    begin(40);
    move(b_, {"2", "new"}, {"4", "moved"});  // ... has both
    commit(40);
    begin(50);
    insert(b_, {"7", "behind"});
    commit(50);
    EXPECT_EQ(run_all(at(55)), StopCause::asked);
    EXPECT_EQ(rows(b_), (Rows{{"1", "new"}, {"3", "late"}, {"4", "moved"}, {"7", "behind"}, {"9", "kept"}}));
    EXPECT_EQ(book_.find(b_.name)->state.phase, TablePhase::joined);
    EXPECT_EQ(progress_.snapshot().tables[0].applied_ddls, 0U);
}

TEST_F(ApplyLoopTest, behind_the_range_it_is_strict) {
    add(b_, TablePhase::loaded, {"m:25 from 10"}, {{"1", "x"}});
    transaction(b_, 10, {"1", "x"});
    transaction(b_, 30, {"1", "twice"});
    EXPECT_EQ(run_all(at(35)), StopCause::asked);
    EXPECT_EQ(database_->conflicts, 1U);
}

TEST_F(ApplyLoopTest, a_table_does_not_join_inside_its_range) {
    add(b_, TablePhase::loaded, {"m:45 from 10"}, {});
    transaction(b_, 10, {"1", "x"});
    transaction(a_, 20, {"1", "x"});
    EXPECT_EQ(run_all(), StopCause::asked);
    EXPECT_EQ(book_.find(b_.name)->state.phase, TablePhase::loaded);
    EXPECT_TRUE(rows(b_).empty());
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}}));
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
    source_.unwritten = end;
    auto l = loop({}, at(0), rule);
    Running running(l);
    keepalive(end);
    ASSERT_TRUE(log_->idle());
    EXPECT_EQ(running.end(), StopCause::commit_time);
    EXPECT_EQ(position(), at(end));
}

TEST_F(ApplyLoopTest, stops_at_server_time) {
    StopRule rule;
    rule.server_time_us = progress_.now_us() + 5'000'000;
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop({}, at(0), rule);
    Running running(l);
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    clock_.advance(6s);
    EXPECT_EQ(running.end(), StopCause::server_time);
}

// Nor does a source that never rests outlive it.
TEST_F(ApplyLoopTest, stops_at_server_time_with_more_to_read) {
    StopRule rule;
    rule.server_time_us = progress_.now_us() + 500'000;
    database_->fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step == "define") clock_.advance(2s);
        return {};
    };
    for (std::uint64_t i = 1; i <= 3; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    EXPECT_EQ(run_all({}, rule), StopCause::server_time);
    EXPECT_EQ(position(), at(15));
    EXPECT_EQ(rows(a_).size(), 1U);
}

TEST_F(ApplyLoopTest, cached_changes_end_where_the_log_ended_when_all_had_joined) {
    StopRule rule;
    rule.after_cached_changes = true;
    std::uint64_t end = 0;
    for (int i = 0; i < 3; ++i) end = source_.commit({});  // up to here: order 30
    source_.unwritten = 15;
    add(b_, TablePhase::loading);
    auto l = loop({}, at(0), rule);
    std::atomic<bool> asked = false;
    source_.fault = [&](const std::string& step, const TableName&) -> Result<> {
        if (step == "committed_end") asked = true;
        return {};
    };
    Running running(l);
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    EXPECT_FALSE(asked);  // b is loading
    set_phase(b_, TablePhase::loaded, {at(0).token});
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    transaction(a_, 20, {"2", "x"});
    transaction(a_, end + 1, {"3", "beyond the cut"});
    ASSERT_TRUE(log_->idle());
    EXPECT_EQ(running.end(), StopCause::cached_changes);
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
    Running running(l);
    ASSERT_TRUE(eventually([&] { return l.paused(); }));
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "x"}}));
    EXPECT_EQ(position(), at(25));
    l.unpause();
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 4; }));
    EXPECT_FALSE(l.paused());
    EXPECT_EQ(running.stop(), StopCause::asked);
}

TEST_F(ApplyLoopTest, a_pause_is_moved_on) {
    for (std::uint64_t i = 1; i <= 4; ++i) transaction(a_, i * 10, {std::to_string(i), "x"});
    ASSERT_TRUE(log_->idle());
    auto l = loop();
    l.pause_at(0);
    Running running(l);
    ASSERT_TRUE(eventually([&] { return l.paused(); }));
    EXPECT_TRUE(rows(a_).empty());
    l.pause_at(30);
    ASSERT_TRUE(eventually([&] { return l.paused(); }));
    EXPECT_EQ(rows(a_), (Rows{{"1", "x"}, {"2", "x"}}));
    l.pause_at(1000);
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 4; }));
    EXPECT_FALSE(l.paused());
    EXPECT_EQ(running.stop(), StopCause::asked);
}

TEST_F(ApplyLoopTest, pauses_an_idle_log_once_all_before_it_was_seen) {
    auto l = loop();
    l.pause_at(30);
    Running running(l);
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return rows(a_).size() == 1; }));
    EXPECT_FALSE(l.paused());
    keepalive(30);
    ASSERT_TRUE(log_->idle());
    ASSERT_TRUE(eventually([&] { return l.paused(); }));
    EXPECT_EQ(running.stop(), StopCause::asked);
}

TEST_F(ApplyLoopTest, an_idle_position_is_saved_at_most_once_a_second) {
    auto l = loop(at(5), at(5));
    Running running(l);
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
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(database_->commits.size(), 2U);
    EXPECT_EQ(log_->acknowledged(), at(39));
}

// Its record may have left the log, and a quiet source sends no other.
TEST_F(ApplyLoopTest, an_idle_position_outlives_a_lost_target) {
    database_->fault = [](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.commit") return {};
        return fail(ErrorCode::unavailable, "the server went away", Retry::from_checkpoint);
    };
    keepalive(30);
    ASSERT_TRUE(log_->idle());
    auto l = loop(at(5), at(5));
    {
        const std::jthread time([&](std::stop_token stop) {
            for (; !stop.stop_requested(); std::this_thread::sleep_for(1ms)) clock_.advance(100ms);
        });
        ASSERT_FALSE(l.run({}));
    }
    database_->fault = nullptr;
    ASSERT_TRUE(l.reconnected({}));
    Running running(l);
    EXPECT_TRUE(eventually([&] {
        clock_.advance(1s);
        return position() == at(30);
    }));
    EXPECT_EQ(running.stop(), StopCause::asked);
}

// So is a new name: given once more, it would meet a table that has it.
TEST_F(ApplyLoopTest, a_rename_that_committed_unheard_is_known) {
    auto renamed = a_;
    renamed.name.table = "c";
    transaction(a_, 10, {"1", "x"});
    source_.create(renamed);
    transaction(renamed, 20, {"2", "x"});
    ASSERT_TRUE(log_->idle());
    database_->fault = [](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.committed") return {};
        return fail(ErrorCode::unavailable, "the server went away", Retry::from_checkpoint);
    };
    auto l = loop(at(5), at(5));
    ASSERT_FALSE(l.run({}));
    EXPECT_EQ(rows(renamed), (Rows{{"1", "x"}, {"2", "x"}}));
    Ledger ledger = take_over();
    ASSERT_EQ(ledger.applied, at(25));
    ledger.tables = {book_.find(a_.name)->state};
    ledger.tables[0].name = renamed.name;
    ledger.tables[0].source_id = a_.source_id;
    ASSERT_TRUE(l.reconnected(ledger));
    EXPECT_FALSE(book_.find(a_.name));
    EXPECT_EQ(book_.find(renamed.name)->state.phase, TablePhase::joined);
}

// The policy has suspended a table, and the answer to the commit was lost.
TEST_F(ApplyLoopTest, a_suspension_that_committed_unheard_is_known) {
    transaction(a_, 10, {"1", "x"});
    ASSERT_TRUE(log_->idle());
    database_->fault = [](const std::string& step, const TableName&) -> Result<> {
        if (step != "apply.commit") return {};
        return fail(ErrorCode::unavailable, "the server went away", Retry::from_checkpoint);
    };
    auto l = loop(at(5), at(5));
    ASSERT_FALSE(l.run({}));
    database_->fault = nullptr;
    Ledger ledger;
    ledger.applied = at(15);
    TableState state;
    state.name = a_.name;
    state.phase = TablePhase::suspended;
    state.reason = "a row did not fit";
    ledger.tables = {state};
    ASSERT_TRUE(l.reconnected(ledger));
    EXPECT_EQ(book_.find(a_.name)->state.phase, TablePhase::suspended);
    transaction(a_, 20, {"2", "x"});
    EXPECT_EQ(rows(a_), Rows{});
    Running running(l);
    ASSERT_TRUE(log_->idle());
    EXPECT_TRUE(eventually([&] {
        clock_.advance(1s);
        return position() == at(25);
    }));
    EXPECT_EQ(running.stop(), StopCause::asked);
    EXPECT_EQ(rows(a_), Rows{});
    const auto report = progress_.snapshot();
    EXPECT_TRUE(std::ranges::any_of(report.tables,
                                    [](const TableReport& t) { return t.detail == "a row did not fit"; }));
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
