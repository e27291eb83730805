// Goal: a row arrives once, whatever is killed when. Each test names the rule (base/failpoint.h) without
// which it fails; tests/integration/target/mutants.sh runs them so.

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "target/pair.h"
#include "targets/postgres/ledger.h"

namespace godwit::postgres {
namespace {

using test::error_text;
using test::PairTest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExactnessTest : public PairTest {
protected:
    void SetUp() override {
        PairTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        source_.run(
            "CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) "
            "i");
    }
    std::string rows() { return target_.ask("SELECT count(*), count(DISTINCT id) FROM t"); }
};

// load.generation_check: a slice that began under an older load of the table must not come in.
TEST_F(ExactnessTest, StaleGenerationIsRefused) {
    auto p = process();
    const auto t = table("t");
    auto old = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(old);
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    auto fresh = p->prepare(t, PrepMode::truncate, kBoth, {"m2"});
    ASSERT_OK(fresh);
    EXPECT_EQ(fresh->generation, old->generation + 1);
    ASSERT_OK(copy(**writer, t, *fresh, 0));
    const auto late = (*writer)->begin(t, *old, 0);
    EXPECT_THAT(error_text(late), HasSubstr("prepared anew"));
    if (late && *late) EXPECT_OK(copy(**writer, t, *old, 0));
    EXPECT_EQ(rows(), "100|100");
}

// load.generation_check, raced: the slice waits for a preparation that is under way, then is refused.
TEST_F(ExactnessTest, SliceBehindAPreparationIsRefused) {
    auto p = process();
    const auto t = table("t");
    auto old = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(old);
    auto admin = target_.connect();
    ASSERT_OK(admin.run("BEGIN; UPDATE godwit.gw_table SET generation = generation + 1"));
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    Result<bool> began = true;
    std::jthread racing([&] { began = (*writer)->begin(t, *old, 0); });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ASSERT_OK(admin.run("COMMIT"));
    racing.join();
    EXPECT_FALSE(began.has_value());
}

// load.row_lock: a slice that has passed its check and not yet touched the table holds a preparation up, so
// that its rows go with the emptying. prepare.generation_first: the other order waits for a slice that waits
// for it.
TEST_F(ExactnessTest, PreparationWaitsForASlice) {
    auto p = process();
    const auto t = table("t");
    auto old = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(old);
    auto slice = target_.connect();
    ASSERT_OK(slice.run("BEGIN; " + slice_claim_sql("task1", t.name, old->generation, 1, 1)));
    Result<PreparedTable> fresh;
    std::jthread preparing([&] { fresh = p->prepare(t, PrepMode::truncate, kBoth, {"m2"}); });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_OK(slice.run("INSERT INTO public.t VALUES (1, 'old')"));
    EXPECT_OK(slice.run("COMMIT"));
    preparing.join();
    ASSERT_OK(fresh);
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(copy(**writer, t, *fresh, 1));
    EXPECT_EQ(rows(), "100|100");
}

// load.epoch_check: a process that was taken over loads nothing more.
TEST_F(ExactnessTest, StaleEpochIsRefused) {
    auto first = process();
    const auto t = table("t");
    auto prepared = first->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(prepared);
    auto second = process();
    auto stale = first->open_writer();
    ASSERT_OK(stale);
    EXPECT_THAT(error_text((*stale)->begin(t, *prepared, 7)), HasSubstr("taken the task over"));
    (*stale)->abort();
    EXPECT_FALSE(first->prepare(t, PrepMode::truncate, kBoth, {"m1"}).has_value());
    EXPECT_FALSE(first->finish_load(t, *prepared, TablePhase::joined, 0).has_value());
    EXPECT_FALSE(first->set_phase(t.name, TablePhase::suspended, "why").has_value());
    EXPECT_FALSE(first->reset().has_value());
    EXPECT_FALSE(first->open_applier({}).has_value());
    // the new one goes on with the same generation
    ASSERT_EQ(ledger_.tables.size(), 1U);
    EXPECT_EQ(ledger_.tables[0].phase, TablePhase::loading);
    EXPECT_EQ(ledger_.tables[0].mark.token, "m1");
    auto again = second->prepared(t, ledger_.tables[0], kBoth);
    ASSERT_OK(again);
    EXPECT_EQ(again->generation, prepared->generation);
    EXPECT_TRUE(again->created);
    auto writer = second->open_writer();
    ASSERT_OK(writer);
    EXPECT_OK(copy(**writer, t, *again, 7));
    EXPECT_EQ(rows(), "100|100");
}

// load.slice_unique: the second copy of a slice is skipped.
TEST_F(ExactnessTest, SecondCopyOfASliceIsSkipped) {
    auto p = process();
    const auto t = table("t");
    auto prepared = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(prepared);
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    ASSERT_OK(copy(**writer, t, *prepared, 3));
    const auto second = (*writer)->begin(t, *prepared, 3);
    ASSERT_OK(second);
    EXPECT_FALSE(*second);
    if (*second) ASSERT_OK(copy(**writer, t, *prepared, 3));
    EXPECT_THAT(slices(*p, t, prepared->generation), ElementsAre(3U));
    EXPECT_EQ(rows(), "100|100");
}

// load.slice_unique, raced: the copy waits for the first one's commit and is skipped; after its rollback it
// goes in.
TEST_F(ExactnessTest, CopyOfASliceWaitsForTheFirst) {
    for (const bool first_commits : {true, false}) {
        auto p = process();
        const auto t = table("t");
        auto prepared = p->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
        ASSERT_OK(prepared);
        auto a = p->open_writer(), b = p->open_writer();
        ASSERT_OK(a);
        ASSERT_OK(b);
        ASSERT_TRUE(*(*a)->begin(t, *prepared, 1));
        auto sent = fill(**a, t, *prepared);
        ASSERT_OK(sent);
        Result<bool> began = fail(ErrorCode::internal, "not yet");
        std::jthread racing([&] { began = (*b)->begin(t, *prepared, 1); });
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        if (first_commits)
            ASSERT_OK((*a)->commit(*sent));
        else
            (*a)->abort();
        racing.join();
        ASSERT_OK(began);
        EXPECT_EQ(*began, !first_commits);
        if (*began) {
            auto rest = fill(**b, t, *prepared);
            ASSERT_OK(rest);
            ASSERT_OK((*b)->commit(*rest));
        }
        EXPECT_EQ(rows(), "100|100");
    }
}

// The session of a process that was killed commits after the new process has taken over: take_over waits
// until that is decided, and what it reads is the truth.
TEST_F(ExactnessTest, TakeOverEndsOlderSessions) {
    auto first = process();
    const auto t = table("t");
    auto prepared = first->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(prepared);
    auto writer = first->open_writer();
    ASSERT_OK(writer);
    ASSERT_TRUE(*(*writer)->begin(t, *prepared, 1));
    auto sent = fill(**writer, t, *prepared);
    ASSERT_OK(sent);
    auto second = process();
    EXPECT_EQ(
        target_.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'godwit/task1/1'"),
        "0");
    EXPECT_THAT(slices(*second, t, prepared->generation), IsEmpty());
    EXPECT_FALSE((*writer)->commit(*sent).has_value());
    EXPECT_EQ(rows(), "0|0");
    auto again = second->open_writer();
    ASSERT_OK(again);
    ASSERT_OK(copy(**again, t, *prepared, 1));
    EXPECT_EQ(rows(), "100|100");
}

// A session that cannot be found by its name (its row check has passed, its COMMIT is on the way) is waited
// for: its slice is in the ledger that take_over returns, or it never comes.
TEST_F(ExactnessTest, TakeOverWaitsForACommitOnItsWay) {
    auto first = process();
    const auto t = table("t");
    auto prepared = first->prepare(t, PrepMode::drop_and_create, kBoth, {"m1"});
    ASSERT_OK(prepared);
    auto hidden = target_.connect();  // named "test": not ended by the take-over
    ASSERT_OK(hidden.run("BEGIN; " + slice_claim_sql("task1", t.name, prepared->generation, 1, 1) +
                         "; INSERT INTO public.t SELECT i, 'late' FROM generate_series(1, 100) i"));
    std::jthread late([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(3000));
        EXPECT_OK(hidden.run("COMMIT"));
    });
    auto second = process();
    EXPECT_THAT(slices(*second, t, prepared->generation), ElementsAre(1U));
    auto writer = second->open_writer();
    ASSERT_OK(writer);
    auto began = (*writer)->begin(t, *prepared, 1);
    ASSERT_OK(began);
    EXPECT_FALSE(*began);
    EXPECT_EQ(rows(), "100|100");
}

// apply.progress_check: positions are appended in one chain; a stale writer breaks it.
TEST_F(ExactnessTest, StalePositionIsRefused) {
    auto first = process();
    const std::uint64_t sequence = ledger_.sequence;
    EXPECT_FALSE(ledger_.applied.has_value());
    auto c = target_.connect();
    const auto append = [&](std::uint64_t at, std::uint64_t epoch, const std::string& position) {
        return c.query(progress_append_sql(), progress_append_params("task1", at, epoch, {position}));
    };
    ASSERT_OK(append(sequence, 1, "0/10"));
    EXPECT_FALSE(append(sequence, 1, "0/11").has_value());  // the same place twice
    ASSERT_OK(append(sequence + 1, 1, "0/12"));
    auto second = process();
    EXPECT_EQ(ledger_.applied->token, "0/12");
    EXPECT_EQ(ledger_.epoch, 2U);
    EXPECT_FALSE(append(sequence + 2, 1, "0/13").has_value());          // overtaken
    EXPECT_FALSE(append(ledger_.sequence, 1, "0/13").has_value());      // overtaken, and knowing the number
    EXPECT_FALSE(append(ledger_.sequence + 5, 2, "0/13").has_value());  // no such place
    ASSERT_OK(append(ledger_.sequence, 2, "0/14"));
    ASSERT_OK(c.query(progress_trim_sql(), {Param("task1"), Param(std::to_string(ledger_.sequence))}));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM godwit.gw_progress"), "2");
    EXPECT_FALSE(append(sequence + 2, 1, "0/13").has_value());  // also after its row was trimmed
    auto third = process();
    EXPECT_EQ(ledger_.applied->token, "0/14");
}

// A transaction that has appended its position and not committed yet: the take-over waits, and goes on from
// it.
TEST_F(ExactnessTest, TakeOverSeesThePositionOnItsWay) {
    auto first = process();
    const std::uint64_t sequence = ledger_.sequence;
    auto hidden = target_.connect();
    ASSERT_OK(hidden.run("BEGIN"));
    ASSERT_OK(hidden.query(progress_append_sql(), progress_append_params("task1", sequence, 1, {"0/77"})));
    std::jthread late([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(1000));
        EXPECT_OK(hidden.run("COMMIT"));
    });
    auto second = process();
    ASSERT_TRUE(ledger_.applied.has_value());
    EXPECT_EQ(ledger_.applied->token, "0/77");
}

// load.row_count_check: what the server took must be what the source gave.
TEST_F(ExactnessTest, RowCountIsChecked) {
    auto p = process();
    const auto t = table("t");
    auto prepared = p->prepare(t, PrepMode::drop_and_create, {"pg.csv"}, {"m1"});
    ASSERT_OK(prepared);
    auto writer = p->open_writer();
    ASSERT_OK(writer);
    ASSERT_TRUE(*(*writer)->begin(t, *prepared, 1));
    auto sent = fill(**writer, t, *prepared);
    ASSERT_OK(sent);
    const auto done = (*writer)->commit(*sent + 1);
    EXPECT_FALSE(done.has_value());
    if (!done) {
        EXPECT_EQ(done.error().code, ErrorCode::data_loss);
    }
    EXPECT_EQ(rows(), "0|0");
    EXPECT_THAT(slices(*p, t, prepared->generation), IsEmpty());
    ASSERT_OK(copy(**writer, t, *prepared, 1));  // the writer lives on
    EXPECT_EQ(rows(), "100|100");
}

// Two processes start at the same moment: both get an epoch, only the later one may write.
TEST_F(ExactnessTest, TakeOversRace) {
    auto c = target_.connect();
    ASSERT_OK(create_ledger(c));
    std::vector<std::uint64_t> epochs(6, 0);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < epochs.size(); ++i)
            threads.emplace_back([&, i] {
                auto own = target_.connect();
                auto ledger = take_over(own, "task1", source_traits());
                if (ledger) epochs[i] = ledger->epoch;
            });
    }
    std::ranges::sort(epochs);
    epochs.erase(std::unique(epochs.begin(), epochs.end()), epochs.end());
    EXPECT_GE(epochs.back(), 1U);
    EXPECT_EQ(target_.ask("SELECT epoch FROM godwit.gw_task"), std::to_string(epochs.back()));
    EXPECT_EQ(target_.ask("SELECT count(*) - max(epoch) FROM godwit.gw_progress"), "0");
}

// A reset forgets positions and slices and never repeats a generation.
TEST_F(ExactnessTest, ResetKeepsGenerationsGrowing) {
    auto p = process();
    const auto t = table("t");
    auto prepared = load(*p, t);
    ASSERT_OK(prepared);
    ASSERT_OK(p->reset());
    auto again = process();
    EXPECT_THAT(ledger_.tables, IsEmpty());
    EXPECT_FALSE(ledger_.applied.has_value());
    auto second = load(*again, t, PrepMode::truncate);
    ASSERT_OK(second);
    EXPECT_EQ(second->generation, prepared->generation + 1);
    EXPECT_TRUE(second->created);  // it is still ours
    EXPECT_EQ(rows(), "100|100");
    ASSERT_OK(again->forget_task({"task1", "", ""}));
    EXPECT_EQ(
        target_.ask("SELECT (SELECT count(*) FROM godwit.gw_task) + (SELECT count(*) FROM godwit.gw_table) + "
                    "(SELECT count(*) FROM godwit.gw_slice) + (SELECT count(*) FROM godwit.gw_progress)"),
        "0");
}

// The timeline is believed only after something was applied under it.
TEST_F(ExactnessTest, TimelineIsBelievedWhenApplied) {
    auto c = target_.connect();
    ASSERT_OK(create_ledger(c));
    ServerTraits traits{"postgres", 150000, "UTF8", "77", 1, {}};
    ASSERT_OK(take_over(c, "task1", traits));
    traits.timeline = 2;
    auto second = take_over(c, "task1", traits);
    ASSERT_OK(second);
    EXPECT_EQ(second->source_timeline, 1U);
    auto third = take_over(c, "task1", traits);
    EXPECT_EQ(third->source_timeline, 1U);
    ASSERT_OK(c.query(progress_append_sql(),
                      progress_append_params("task1", third->sequence, third->epoch, {"0/1"})));
    auto fourth = take_over(c, "task1", traits);
    EXPECT_EQ(fourth->source_timeline, 2U);
    EXPECT_EQ(fourth->source_system_id, "77");
}

// The statements that the applier sends: each runs as it is, and each is refused for a stale epoch or
// generation.
TEST_F(ExactnessTest, StatementsOfTheApplier) {
    auto p = process();
    const auto t = table("t");
    auto prepared = load(*p, t, PrepMode::drop_and_create, TablePhase::loaded);
    ASSERT_OK(prepared);
    auto c = target_.connect();
    for (int again = 0; again < 2; ++again) ASSERT_OK(create_control_tables(c, "Control", true));
    const auto save = [&](std::uint64_t epoch, std::uint64_t generation) {
        TableState state{t.name, TablePhase::joined, generation, {}, {"0/99"}, "", 100};
        return c.query(table_state_sql(), table_state_params("task1", epoch, state)).has_value();
    };
    EXPECT_TRUE(save(1, prepared->generation));
    EXPECT_FALSE(save(0, prepared->generation));
    EXPECT_FALSE(save(1, prepared->generation + 1));
    EXPECT_EQ(target_.ask("SELECT phase, applied FROM godwit.gw_table"), "joined|0/99");
    // a table that was never loaded gets its row here
    TableState fresh{{"public", "other"}, TablePhase::joined, 0, {}, {}, "", 0};
    EXPECT_OK(c.query(table_state_sql(), table_state_params("task1", 1, fresh)));
    const auto suspend = [&](const std::string& name, const std::string& epoch) {
        return c.query(suspend_sql(), {Param("task1"), Param(name), Param(epoch), Param("why")}).has_value();
    };
    EXPECT_FALSE(suspend("public.t", "2"));
    EXPECT_FALSE(suspend("public.unknown", "1"));
    EXPECT_TRUE(suspend("public.t", "1"));
    for (const char* position : {"0/1", "0/2"})
        EXPECT_OK(c.query(txn_state_sql("Control"), {Param("server"), Param("task1"), Param(position)}));
    EXPECT_EQ(target_.ask(R"(SELECT "CHECKPOINT" FROM "Control".awsdms_txn_state)"), "0/2");
    EXPECT_OK(c.query(exception_sql("Control"),
                      {Param("task1"), Param("public"), Param("t"), Param("INSERT INTO t"), Param("why")}));
    EXPECT_EQ(
        target_.ask(R"(SELECT "TABLE_OWNER", "TABLE_NAME", "ERROR" FROM "Control".awsdms_apply_exceptions)"),
        "public|t|why");
}

}  // namespace
}  // namespace godwit::postgres
