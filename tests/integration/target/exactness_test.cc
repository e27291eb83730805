// Goal: a row arrives once, whatever is killed when. Each test names the rule (base/failpoint.h) without
// which it fails; tests/integration/target/mutants.txt names them.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/key_set.h"
#include "fakes/memory_rows.h"
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

    // Changes of the log, with cells as text; kSame was not sent.
    static inline const test::Value kSame{"(unchanged TOAST)"};
    static void put(RecordWriter& writer, const test::Row& row) {
        writer.begin_row(static_cast<std::uint16_t>(row.size()));
        for (const auto& v : row) {
            if (v == kSame)
                writer.unchanged();
            else if (v)
                writer.value(CellState::text, as_bytes(*v));
            else
                writer.null();
        }
    }
    static Result<> change(Applier& applier, RecordKind kind, const test::Row& now, const test::Row& old = {},
                           OldRow old_kind = OldRow::none, std::uint32_t relation = 1) {
        ByteBuffer buffer;
        RecordWriter writer(buffer);
        writer.start(kind, relation, 0);
        if (kind != RecordKind::insert) writer.old_kind(old_kind);
        if (!old.empty()) put(writer, old);
        if (!now.empty()) put(writer, now);
        writer.finish();
        RecordReader reader(buffer.view());
        Record r;
        if (!reader.next(r)) return fail(ErrorCode::internal, "a record cannot be read back");
        return applier.apply(r);
    }
    static Result<> truncate(Applier& applier, const std::vector<std::uint32_t>& relations = {1},
                             std::uint8_t flags = 0) {
        ByteBuffer buffer;
        RecordWriter(buffer).truncate(0, flags, relations);
        RecordReader reader(buffer.view());
        Record r;
        if (!reader.next(r)) return fail(ErrorCode::internal, "a record cannot be read back");
        return applier.apply(r);
    }
    std::unique_ptr<Applier> applier(Target& target, const TableSchema& t,
                                     const ConflictPolicy& policy = {}) {
        auto out = target.open_applier(policy);
        if (!out) throw std::runtime_error(out.error().text());
        if (auto defined = (*out)->define(test::relation_of(t, 1), t); !defined)
            throw std::runtime_error(defined.error().text());
        return std::move(*out);
    }
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

// apply.unchanged_stays: an UPDATE writes what was sent, in each of its forms.
TEST_F(ExactnessTest, WhatWasNotSentStays) {
    source_.run(
        "CREATE TABLE k (id int PRIMARY KEY, big text, n int); INSERT INTO k VALUES (1, 'kept', 0), "
        "(2, 'kept', 0), (3, 'kept', 0)");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    auto a = applier(*p, t);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(change(*a, RecordKind::update, {"1", kSame, "5"}));
    EXPECT_OK(change(*a, RecordKind::update, {"20", kSame, "6"}, {"2", {}, {}}, OldRow::key));
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    ASSERT_OK(a->begin(Applier::Mode::careful));
    EXPECT_OK(change(*a, RecordKind::update, {"3", kSame, "7"}));
    EXPECT_OK(change(*a, RecordKind::update, {"4", "no such row", "8"}));  // so that each goes alone
    EXPECT_OK(a->commit(Position{"0/2"}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY id) FROM k"),
              "(1,kept,5) (3,kept,7) (20,kept,6)");
}

// What was sent has failed at the server, and nobody has heard of it when the group is given up: the session
// serves the next one all the same.
TEST_F(ExactnessTest, AGroupThatIsGivenUpUnheardLeavesNothingBehind) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY, v text); INSERT INTO k VALUES (1, 'a'), (2, 'b')");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    auto a = applier(*p, t);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(change(*a, RecordKind::insert, {"1", "twice"}));
    const std::string large(1U << 20, 'x');
    for (int i = 10; i < 24; ++i)  // so much that it is sent before the end
        EXPECT_OK(change(*a, RecordKind::insert, {std::to_string(i), large}));
    a->abort();
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(change(*a, RecordKind::insert, {"3", "c"}));
    const auto committed = a->commit(Position{"0/1"}, {});
    ASSERT_TRUE(committed.has_value()) << committed.error().text();
    EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY id) FROM k"), "(1,a) (2,b) (3,c)");
}

// A row that moves onto another one's key has left its own.
TEST_F(ExactnessTest, AnOverwritingRowLeavesItsOldKey) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY, v text); INSERT INTO k VALUES (1, 'a'), (2, 'b')");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    ConflictPolicy policy;
    policy.update_missing = ConflictAction::overwrite;
    auto a = applier(*p, t, policy);
    ASSERT_OK(a->begin(Applier::Mode::careful));
    EXPECT_OK(change(*a, RecordKind::update, {"2", "moved"}, {"1", {}}, OldRow::key));
    EXPECT_OK(change(*a, RecordKind::update, {"4", "made"}, {"3", {}}, OldRow::key));
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY id) FROM k"), "(2,moved) (4,made)");
}

// A part of the key that was not sent is in the old row; without that no row is met.
TEST_F(ExactnessTest, KeysThatWereNotSent) {
    source_.run(
        "CREATE TABLE k (a text, b int, n int, PRIMARY KEY (a, b)); INSERT INTO k VALUES ('x', 1, 0), "
        "('y', 1, 0); CREATE TABLE one (a text PRIMARY KEY, n int); INSERT INTO one VALUES ('x', 0)");
    auto p = process();
    auto opened = p->open_applier({});
    ASSERT_OK(opened);
    auto& a = **opened;
    std::uint32_t id = 0;
    for (const char* name : {"k", "one"}) {
        ASSERT_OK(load(*p, table(name)));
        ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
    }
    for (const auto mode : {Applier::Mode::fast, Applier::Mode::careful}) {
        const std::string n = mode == Applier::Mode::fast ? "1" : "2";
        ASSERT_OK(a.begin(mode));
        EXPECT_OK(change(a, RecordKind::update, {kSame, "1", n}, {"x", "1", {}}, OldRow::key));
        EXPECT_OK(change(a, RecordKind::update, {kSame, n}, {"x", {}}, OldRow::key, 2));
        if (mode == Applier::Mode::careful) {
            EXPECT_OK(change(a, RecordKind::update, {"no such row", "1", "8"}));  // so that each goes alone
            EXPECT_OK(change(a, RecordKind::update, {kSame, "1", "8"}));
            EXPECT_OK(change(a, RecordKind::update, {kSame, "8"}, {}, OldRow::none, 2));
        }
        const auto committed = a.commit(Position{"0/" + n}, {});
        ASSERT_TRUE(committed.has_value()) << committed.error().text();
        EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY a) FROM k"),
                  "(x,1," + n + ") (y,1,0)");
        EXPECT_EQ(target_.ask("SELECT n FROM one"), n);
    }
    const auto conflicts = a.take_conflicts();
    EXPECT_EQ(conflicts.size(), 3U);
    for (const auto& c : conflicts) EXPECT_EQ(c.action, ConflictAction::log) << c.error;
}

// apply.unchanged_stays: a row that is missing would have to be made up.
TEST_F(ExactnessTest, AMissingRowIsNotMadeOfAPartOfIt) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY, big text, n int); INSERT INTO k VALUES (1, 'kept', 0)");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    ConflictPolicy policy;
    policy.update_missing = ConflictAction::overwrite;
    auto a = applier(*p, t, policy);
    ASSERT_OK(a->begin(Applier::Mode::careful));
    EXPECT_OK(change(*a, RecordKind::update, {"8", "whole", "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {"9", kSame, "1"}));
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY id) FROM k"), "(1,kept,0) (8,whole,1)");
    EXPECT_EQ(target_.ask("SELECT count(*) FROM awsdms_apply_exceptions"), "1");
}

// A group's changes of a row become one where that makes no difference, and rows go in the order of their
// key.
TEST_F(ExactnessTest, ChangesOfARowInOneGroup) {
    source_.run(
        "CREATE TABLE k (id int PRIMARY KEY, big text, n int); INSERT INTO k SELECT g, 'kept', 0 FROM "
        "generate_series(1, 9) g");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    auto a = applier(*p, t);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(change(*a, RecordKind::update, {"9", "x", "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {"1", "a", "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {"1", "b", "2"}));  // takes its place
    EXPECT_OK(change(*a, RecordKind::update, {"2", kSame, "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {"2", "set", "2"}));  // another statement
    EXPECT_OK(change(*a, RecordKind::update, {"2", kSame, "3"}));  // must leave what was set
    EXPECT_OK(change(*a, RecordKind::insert, {"30", "new", "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {"30", "newer", {}}));
    EXPECT_OK(change(*a, RecordKind::insert, {"31", "new", "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {"31", kSame, "2"}));  // an INSERT cannot say that
    EXPECT_OK(change(*a, RecordKind::update, {"3", "gone", "1"}));
    EXPECT_OK(change(*a, RecordKind::remove, {}, {"3", {}, {}}, OldRow::key));
    EXPECT_OK(change(*a, RecordKind::insert, {"3", "back", "5"}));
    EXPECT_OK(change(*a, RecordKind::update, {"40", "moved", "4"}, {"4", {}, {}}, OldRow::key));
    EXPECT_OK(change(*a, RecordKind::update, {"40", "again", "5"}));
    EXPECT_OK(change(*a, RecordKind::update, {"9", "y", "2"}));
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY id) FROM k WHERE n IS DISTINCT FROM 0"),
              "(1,b,2) (2,set,3) (3,back,5) (9,y,2) (30,newer,) (31,new,2) (40,again,5)");
    EXPECT_EQ(target_.ask("SELECT count(*) FROM k WHERE n = 0 AND big = 'kept'"), "4");
    const auto counts = a->take_counts();
    ASSERT_EQ(counts.size(), 1U);
    EXPECT_EQ(counts[0].counts.updates, 12U);  // as the source made them
    EXPECT_EQ(counts[0].counts.inserts, 3U);
}

// apply.key_by_its_bytes: two keys may have one hash, and are two rows.
TEST_F(ExactnessTest, KeysOfOneHash) {
    source_.run(
        "CREATE TABLE k (a text, b text, n int, PRIMARY KEY (a, b)); INSERT INTO k VALUES "
        "('00000001', '00000002', 0)");
    // hash(a, b) = F(F(seed, a), b), and F mixes its seed and eight bytes by XOR
    const auto hash = [](std::string_view a) { return hash_bytes(0x2545f4914f6cdd1dULL, as_bytes(a)); };
    std::string other_a, other_b;
    for (int i = 2; i < 1'000'000 && other_b.empty(); ++i) {
        const std::string a = fmt::format("{:08}", i);
        std::uint64_t b = 0;
        std::memcpy(&b, "00000002", 8);
        b ^= hash("00000001") ^ hash(a);
        std::string text(8, ' ');
        std::memcpy(text.data(), &b, 8);
        if (std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f' && c != '\''; }))
            other_a = a, other_b = text;
    }
    ASSERT_FALSE(other_b.empty());
    source_.run(fmt::format("INSERT INTO k VALUES ('{}', '{}', 0)", other_a, other_b));
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    auto a = applier(*p, t);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(change(*a, RecordKind::update, {"00000001", "00000002", "1"}));
    EXPECT_OK(change(*a, RecordKind::update, {other_a, other_b, "2"}));
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(n::text, ' ' ORDER BY a) FROM k"), "1 2");
}

// Another unique index sees the order of the rows, so they keep it.
TEST_F(ExactnessTest, OrderIsKeptWhereAnotherIndexSeesIt) {
    source_.run(
        "CREATE TABLE k (id int PRIMARY KEY, u text UNIQUE); INSERT INTO k VALUES (1, 'a'), (2, 'b'), (3, "
        "'c')");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    target_.run("CREATE UNIQUE INDEX IF NOT EXISTS k_u ON k (u)");
    auto a = applier(*p, t);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(change(*a, RecordKind::update, {"3", "free"}));
    EXPECT_OK(change(*a, RecordKind::update, {"2", "c"}));
    EXPECT_OK(change(*a, RecordKind::update, {"1", "b"}));
    EXPECT_OK(change(*a, RecordKind::update, {"3", "a"}));
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(u, ' ' ORDER BY id) FROM k"), "b c a");
}

// More rows in disorder than wait at a time, some of them twice.
TEST_F(ExactnessTest, ManyRowsInDisorder) {
    source_.run(
        "CREATE TABLE k (id int PRIMARY KEY, v text); INSERT INTO k SELECT g, '' FROM generate_series(0, "
        "59999) g");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    auto a = applier(*p, t);
    ASSERT_OK(a->begin(Applier::Mode::fast));
    for (int i = 0; i < 70'000; ++i) {
        const int id = static_cast<int>(i * 7919LL % 60'000);
        EXPECT_OK(change(*a, RecordKind::update, {std::to_string(id), std::to_string(i)}));
    }
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM k WHERE v::int % 60000 * 7919::bigint % 60000 = id"),
              "60000");
    EXPECT_EQ(target_.ask("SELECT count(*) FROM k WHERE v::int >= 60000"), "10000");
}

// What waits is bounded over all tables, not for each.
TEST_F(ExactnessTest, WaitingRowsOfManyTablesAreBounded) {
    auto p = process();
    std::unique_ptr<Applier> a;
    constexpr std::uint32_t kTables = 6;
    for (std::uint32_t n = 1; n <= kTables; ++n) {
        source_.run(
            fmt::format("CREATE TABLE k{0} (id int PRIMARY KEY, v text); INSERT INTO k{0} SELECT g, '' FROM "
                        "generate_series(1, 38) g",
                        n));
        const auto t = table(fmt::format("k{}", n));
        ASSERT_OK(load(*p, t));
        if (!a) {
            auto opened = p->open_applier({});
            ASSERT_OK(opened);
            a = std::move(*opened);
        }
        ASSERT_OK(a->define(test::relation_of(t, n), t));
    }
    ASSERT_OK(a->begin(Applier::Mode::fast));
    const std::string wide(100'000, 'x');
    std::size_t most = 0;
    for (std::uint32_t n = 1; n <= kTables; ++n)
        for (int id = 38; id > 0; --id) {
            ASSERT_OK(change(*a, RecordKind::update, {std::to_string(id), wide}, {}, OldRow::none, n));
            most = std::max(most, a->buffered_bytes());
        }
    EXPECT_GT(most, std::size_t{8} << 20);  // they do wait
    EXPECT_LT(most, std::size_t{13} << 20);
    EXPECT_OK(a->commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM k6 WHERE length(v) = 100000"), "38");
}

// apply.one_of_equals: without a key, a change of the log is a change of one row, however many are equal.
TEST_F(ExactnessTest, OneOfEqualRows) {
    source_.run(
        "CREATE TABLE bag (k int, v text); ALTER TABLE bag REPLICA IDENTITY FULL; "
        "INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, NULL), (2, NULL)");
    auto p = process();
    const auto t = table("bag");
    ASSERT_OK(load(*p, t));
    auto a = applier(*p, t);
    for (const auto mode : {Applier::Mode::fast, Applier::Mode::careful}) {
        ASSERT_OK(a->begin(mode));
        EXPECT_OK(change(*a, RecordKind::update, {"1", "b"}, {"1", "a"}, OldRow::full));
        if (mode == Applier::Mode::fast)
            EXPECT_OK(change(*a, RecordKind::remove, {}, {"2", {}}, OldRow::full));
        EXPECT_OK(a->commit(Position{"0/1"}, {}));
    }
    EXPECT_EQ(target_.ask("SELECT string_agg(bag::text, ' ' ORDER BY k, v) FROM bag"),
              "(1,a) (1,b) (1,b) (2,)");
}

// apply.one_of_equals, where one place of a row, its type or all of its columns are not what they seem.
TEST_F(ExactnessTest, OneOfEqualRowsInOddTables) {
    const std::string types = "CREATE DOMAIN pos AS int CHECK (VALUE > 0); CREATE DOMAIN far AS pos; ";
    source_.run(types + R"(
        CREATE TABLE odd (d far, v text, up text GENERATED ALWAYS AS (upper(v)) STORED);
        ALTER TABLE odd REPLICA IDENTITY FULL;
        INSERT INTO odd VALUES (1, 'a'), (1, 'a'), (2, 'b'), (2, 'b'), (3, 'c'), (3, 'c');
        CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, v int);
        ALTER TABLE late REPLICA IDENTITY FULL;
        INSERT INTO late VALUES (1, 1);
        CREATE TABLE parts (k int, v text) PARTITION BY LIST (k);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
        ALTER TABLE parts REPLICA IDENTITY FULL;
        ALTER TABLE parts_1 REPLICA IDENTITY FULL;
        ALTER TABLE parts_2 REPLICA IDENTITY FULL;
        INSERT INTO parts VALUES (1, 'a'), (1, 'a'), (2, 'a'), (2, 'a'))");
    target_.run(R"(CREATE TABLE parts (k int, v text) PARTITION BY LIST (k);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2))");
    auto p = process();
    auto a = p->open_applier({});
    ASSERT_OK(a);
    std::uint32_t id = 0;
    for (const char* name : {"odd", "late", "parts"}) {
        auto t = table(name);
        ASSERT_OK(load(*p, t, PrepMode::truncate));
        auto relation = test::relation_of(t, ++id);
        std::erase_if(relation.columns, [](const RelationColumn& c) { return c.name == "up"; });
        ASSERT_OK((*a)->define(relation, t));
    }
    const auto both = [&](RecordKind kind, const test::Row& now, const test::Row& old, std::uint32_t table) {
        EXPECT_OK(change(**a, kind, now, old, OldRow::full, table));
    };
    ASSERT_OK((*a)->begin(Applier::Mode::fast));
    both(RecordKind::remove, {}, {"1", "a"}, 1);
    both(RecordKind::update, {"2", "z"}, {"2", "b"}, 1);
    // inside a transaction two rows may have one key
    both(RecordKind::insert, {"1", "2"}, {}, 2);
    both(RecordKind::remove, {}, {"1", "1"}, 2);
    both(RecordKind::remove, {}, {"1", "a"}, 3);
    both(RecordKind::update, {"2", "moved"}, {"1", "a"}, 3);
    const auto committed = (*a)->commit(Position{"0/1"}, {});
    ASSERT_TRUE(committed.has_value()) << committed.error().text();
    EXPECT_EQ(target_.ask("SELECT string_agg(odd::text, ' ' ORDER BY d, v) FROM odd"),
              "(1,a,A) (2,b,B) (2,z,Z) (3,c,C) (3,c,C)");
    EXPECT_EQ(target_.ask("SELECT string_agg(late::text, ' ') FROM late"), "(1,2)");
    EXPECT_EQ(target_.ask("SELECT string_agg(parts::text, ' ' ORDER BY v) FROM parts"),
              "(2,a) (2,a) (2,moved)");
}

// GENERATED ALWAYS AS IDENTITY cannot be set by an UPDATE: it is left out, and where its value changed the
// row is written anew, with all that it has besides.
TEST_F(ExactnessTest, IdentitiesThatCannotBeSet) {
    const std::string number = "int GENERATED ALWAYS AS IDENTITY";
    source_.run("CREATE TABLE k (id " + number + R"( PRIMARY KEY, big text, n int);
        INSERT INTO k (big, n) SELECT 'kept', 0 FROM generate_series(1, 4);
        CREATE TABLE beside (k int PRIMARY KEY, seq )" +
                number + R"(, v text);
        INSERT INTO beside (k, v) VALUES (1, 'a'), (2, 'b');
        CREATE TABLE bag (seq )" +
                number + R"(, v text); ALTER TABLE bag REPLICA IDENTITY FULL;
        INSERT INTO bag (v) VALUES ('a'), ('b'))");
    target_.run("CREATE TABLE k (id " + number + R"( PRIMARY KEY, big text, n int, own text DEFAULT 'own');
        CREATE TABLE beside (k int PRIMARY KEY, seq )" +
                number + R"(, v text);
        CREATE TABLE bag (seq )" +
                number + ", v text)");
    auto p = process();
    auto opened = p->open_applier({});
    ASSERT_OK(opened);
    auto& a = **opened;
    std::uint32_t id = 0;
    for (const char* name : {"k", "beside", "bag"}) {
        ASSERT_OK(load(*p, table(name), PrepMode::truncate));
        ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
    }
    target_.run("UPDATE k SET own = 'mine'");
    const auto update = [&](const test::Row& now, const test::Row& old = {}, OldRow kind = OldRow::none,
                            std::uint32_t relation = 1) {
        EXPECT_OK(change(a, RecordKind::update, now, old, kind, relation));
    };
    ASSERT_OK(a.begin(Applier::Mode::fast));
    update({"1", kSame, "1"});
    update({"20", kSame, "2"}, {"2", {}, {}}, OldRow::key);
    update({"1", "1", "x"}, {}, OldRow::none, 2);
    update({"1", "x"}, {"1", "a"}, OldRow::full, 3);
    update({"7", "b"}, {"2", "b"}, OldRow::full, 3);
    const auto committed = a.commit(Position{"0/1"}, {});
    ASSERT_TRUE(committed.has_value()) << committed.error().text();
    // a value that changed beside the key shows when no row is met
    ASSERT_OK(a.begin(Applier::Mode::fast));
    update({"2", "9", "y"}, {}, OldRow::none, 2);
    EXPECT_FALSE(a.commit(Position{"0/2"}, {}).has_value());
    a.abort();
    ASSERT_OK(a.begin(Applier::Mode::careful));
    update({"3", kSame, "3"});
    update({"40", "new", "4"}, {"4", {}, {}}, OldRow::key);
    update({"2", "9", "y"}, {}, OldRow::none, 2);
    EXPECT_OK(a.commit(Position{"0/2"}, {}));
    EXPECT_TRUE(a.take_conflicts().empty());
    EXPECT_EQ(target_.ask("SELECT string_agg(k::text, ' ' ORDER BY id) FROM k"),
              "(1,kept,1,mine) (3,kept,3,mine) (20,kept,2,mine) (40,new,4,mine)");
    EXPECT_EQ(target_.ask("SELECT string_agg(beside::text, ' ' ORDER BY k) FROM beside"), "(1,1,x) (2,9,y)");
    EXPECT_EQ(target_.ask("SELECT string_agg(bag::text, ' ' ORDER BY v) FROM bag"), "(7,b) (1,x)");
}

// Tables that inherit from one are tables of their own.
TEST_F(ExactnessTest, WhatInheritsIsLeftAlone) {
    source_.run("CREATE TABLE up (id int PRIMARY KEY, v text); INSERT INTO up VALUES (1, 'a'), (2, 'b')");
    target_.run(
        "CREATE TABLE up (id int PRIMARY KEY, v text); CREATE TABLE down () INHERITS (up); "
        "INSERT INTO down VALUES (1, 'own'), (2, 'own')");
    auto p = process();
    const auto t = table("up");
    ASSERT_OK(load(*p, t, PrepMode::truncate));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM down"), "2");
    auto a = applier(*p, t);
    for (const auto mode : {Applier::Mode::fast, Applier::Mode::careful}) {
        ASSERT_OK(a->begin(mode));
        EXPECT_OK(change(*a, RecordKind::update, {"1", "x"}));
        if (mode == Applier::Mode::careful)
            EXPECT_OK(change(*a, RecordKind::update, {"9", "x"}));  // so that each goes alone
        else
            EXPECT_OK(change(*a, RecordKind::remove, {}, {"2", {}}, OldRow::key));
        EXPECT_OK(a->commit(Position{"0/1"}, {}));
    }
    EXPECT_EQ(target_.ask("SELECT string_agg(up::text, ' ') FROM ONLY up"), "(1,x)");
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(truncate(*a));
    EXPECT_OK(a->commit(Position{"0/2"}, {}));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM ONLY up"), "0");
    EXPECT_EQ(target_.ask("SELECT string_agg(v, ' ') FROM down"), "own own");
}

// A row that a trigger keeps out is no row that is there already, and two rows are not none.
TEST_F(ExactnessTest, CountsThatAreNotMissingRows) {
    source_.run(
        "CREATE TABLE k (id int PRIMARY KEY, v text); INSERT INTO k VALUES (1, 'a'); "
        "CREATE TABLE twice (id int PRIMARY KEY, v text); INSERT INTO twice VALUES (1, 'a')");
    target_.run(R"(CREATE TABLE k (id int PRIMARY KEY, v text);
        CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER t BEFORE INSERT ON k FOR EACH ROW WHEN (NEW.v = 'out') EXECUTE FUNCTION keep_out();
        ALTER TABLE k ENABLE ALWAYS TRIGGER t;
        CREATE TABLE twice (id int, v text))");
    auto p = process();
    ConflictPolicy policy;
    policy.update_missing = policy.delete_missing = ConflictAction::ignore;
    auto opened = p->open_applier(policy);
    ASSERT_OK(opened);
    auto& a = **opened;
    std::uint32_t id = 0;
    for (const char* name : {"k", "twice"}) {
        ASSERT_OK(load(*p, table(name), PrepMode::truncate));
        ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
    }
    target_.run("INSERT INTO twice VALUES (1, 'b')");
    ASSERT_OK(a.begin(Applier::Mode::careful));
    EXPECT_OK(change(a, RecordKind::insert, {"2", "out"}));
    EXPECT_OK(change(a, RecordKind::insert, {"3", "in"}));
    EXPECT_OK(change(a, RecordKind::update, {"1", "x"}, {}, OldRow::none, 2));
    EXPECT_OK(change(a, RecordKind::remove, {}, {"1", {}}, OldRow::key, 2));
    EXPECT_OK(a.commit(Position{"0/1"}, {}));
    std::vector<std::string> told;
    for (const auto& c : a.take_conflicts()) {
        EXPECT_EQ(c.action, ConflictAction::log);
        told.push_back(c.error);
    }
    EXPECT_THAT(told, ElementsAre(HasSubstr("keeps it out"), "UPDATE met 2 rows with this key",
                                  "DELETE met 2 rows with this key"));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM twice WHERE v IN ('a', 'b')"), "2");
    EXPECT_EQ(target_.ask("SELECT string_agg(v, ' ' ORDER BY id) FROM k"), "a in");
}

// A table that lacks a column can take no row, and can be emptied; one that is not there is suspended.
TEST_F(ExactnessTest, TablesThatLackSomethingAreEmptied) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY, more int); CREATE TABLE gone (id int PRIMARY KEY)");
    target_.run("CREATE TABLE k (id int PRIMARY KEY); INSERT INTO k VALUES (1)");
    auto p = process();
    ASSERT_OK(load(*p, table("gone")));
    target_.run("DROP TABLE gone");
    auto opened = p->open_applier({});
    ASSERT_OK(opened);
    auto& a = **opened;
    std::uint32_t id = 0;
    for (const char* name : {"k", "gone"})
        ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
    ASSERT_OK(a.begin(Applier::Mode::fast));
    EXPECT_FALSE(truncate(a, {2}).has_value());
    a.abort();
    ASSERT_OK(a.begin(Applier::Mode::careful));
    EXPECT_OK(truncate(a, {1}));
    EXPECT_OK(truncate(a, {2}));
    EXPECT_OK(a.commit(Position{"0/1"}, {}));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM k"), "0");
    EXPECT_EQ(target_.ask("SELECT phase FROM godwit.gw_table"), "suspended");
    EXPECT_EQ(target_.ask(R"(SELECT "STATEMENT" FROM awsdms_apply_exceptions)"),
              R"(TRUNCATE "public"."gone")");
}

// The server empties no table that one outside of the statement refers to: of those that the source emptied
// together, some may still be loading here, or are not the task's.
TEST_F(ExactnessTest, ATableThatOthersReferToIsEmptied) {
    source_.run(
        "CREATE TABLE up (id serial PRIMARY KEY, v text); CREATE TABLE top (id int PRIMARY KEY);"
        "INSERT INTO up (v) VALUES ('a'), ('b'); INSERT INTO top VALUES (1)");
    target_.run(
        "CREATE TABLE top (id int PRIMARY KEY);"
        "CREATE TABLE up (id serial PRIMARY KEY, v text, top int REFERENCES top, up int REFERENCES up);"
        "CREATE TABLE child (up int REFERENCES up ON DELETE CASCADE)");
    auto p = process();
    auto opened = p->open_applier({});
    ASSERT_OK(opened);
    auto& a = **opened;
    std::uint32_t id = 0;
    for (const char* name : {"up", "top"}) {
        ASSERT_OK(load(*p, table(name), PrepMode::truncate));
        ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
    }
    target_.run("INSERT INTO child VALUES (1); UPDATE up SET top = 1; SELECT setval('up_id_seq', 77)");
    for (const auto mode : {Applier::Mode::fast, Applier::Mode::careful}) {
        const bool restart = mode == Applier::Mode::careful;
        ASSERT_OK(a.begin(mode));
        EXPECT_OK(change(a, RecordKind::insert, {"5", "before"}));
        EXPECT_OK(truncate(a, {1, 2}, restart ? 2 : 0));
        EXPECT_OK(change(a, RecordKind::insert, {"1", "behind"}));
        EXPECT_OK(a.commit(Position{restart ? "0/2" : "0/1"}, {}));
        EXPECT_EQ(target_.ask("SELECT string_agg(id || v, ' '), (SELECT count(*) FROM top) FROM up"),
                  "1behind|0");
        EXPECT_EQ(target_.ask("SELECT string_agg(up::text, ' ') FROM child"), "1");  // its own record's work
        EXPECT_EQ(target_.ask("SELECT last_value FROM up_id_seq"), restart ? "1" : "77");
    }
    EXPECT_THAT(a.take_conflicts(), IsEmpty());
    // where it goes with all that refer to it, as ever
    target_.run(
        "DROP TABLE child; CREATE FUNCTION rows() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE ''by rows''; END'; CREATE TRIGGER t BEFORE DELETE ON up FOR EACH ROW EXECUTE "
        "FUNCTION rows(); ALTER TABLE up ENABLE ALWAYS TRIGGER t");
    ASSERT_OK(a.begin(Applier::Mode::fast));
    EXPECT_OK(truncate(a, {2, 1}, 2));
    EXPECT_OK(a.commit(Position{"0/3"}, {}));
    EXPECT_EQ(target_.ask("SELECT count(*) FROM up"), "0");
}

// A key that nobody may switch off would act on rows that may be newer than the TRUNCATE.
TEST_F(ExactnessTest, ATableThatOthersReferToWaitsWithoutTheReplicaRole) {
    source_.run("CREATE TABLE up (id int PRIMARY KEY); CREATE TABLE k (id int PRIMARY KEY)");
    user_ = "gw_plain_" + target_.name;
    target_.run("CREATE ROLE " + user_ + " LOGIN; GRANT CREATE ON DATABASE " + target_.name + " TO " + user_ +
                "; GRANT ALL ON SCHEMA public TO " + user_);
    {
        auto p = process();
        auto opened = p->open_applier({});
        ASSERT_OK(opened);
        auto& a = **opened;
        std::uint32_t id = 0;
        for (const char* name : {"up", "k"}) {
            ASSERT_OK(load(*p, table(name)));
            ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
        }
        target_.run(
            "INSERT INTO up VALUES (1); INSERT INTO k VALUES (1);"
            "CREATE TABLE child (id int CONSTRAINT to_up REFERENCES up ON DELETE CASCADE);"
            "INSERT INTO child VALUES (1)");
        ASSERT_OK(a.begin(Applier::Mode::fast));
        EXPECT_THAT(error_text(truncate(a, {1, 2})), HasSubstr("to_up"));
        a.abort();
        ASSERT_OK(a.begin(Applier::Mode::careful));
        EXPECT_OK(truncate(a, {1, 2}));
        EXPECT_OK(a.commit(Position{"0/1"}, {}));
        EXPECT_EQ(target_.ask("SELECT (SELECT count(*) FROM up), (SELECT count(*) FROM child), (SELECT "
                              "count(*) FROM k)"),
                  "1|1|0");
        EXPECT_EQ(target_.ask("SELECT source_table FROM godwit.gw_table WHERE phase = 'suspended'"), "up");
    }
    target_.run("DROP OWNED BY " + user_ + " CASCADE; DROP ROLE " + user_);
}

// A row with a value that a type has gained at the source is not in error: the target's type gains it too.
// Where that cannot be, the table is in error; where nothing differs, the row is.
TEST_F(ExactnessTest, TypesThatWereExtended) {
    source_.run(
        R"(CREATE TYPE mood AS ENUM ('a', 'c'); CREATE DOMAIN pos AS int CONSTRAINT p CHECK (VALUE > 0);
        CREATE TABLE feels (id int PRIMARY KEY, v mood); INSERT INTO feels VALUES (1, 'a');
        CREATE TABLE counts (id int PRIMARY KEY, v pos); INSERT INTO counts VALUES (1, 1))");
    auto p = process();
    p->asks([this](const TableName& name) -> Result<TableSchema> { return table(name.table, name.schema); });
    auto opened = p->open_applier({});
    ASSERT_OK(opened);
    auto& a = **opened;
    std::uint32_t id = 0;
    for (const char* name : {"feels", "counts"}) {
        ASSERT_OK(load(*p, table(name)));
        ASSERT_OK(a.define(test::relation_of(table(name), ++id), table(name)));
    }
    source_.run("ALTER TYPE mood ADD VALUE 'b' BEFORE 'c'");
    ASSERT_OK(a.begin(Applier::Mode::careful));
    EXPECT_OK(change(a, RecordKind::insert, {"2", "b"}));
    EXPECT_OK(change(a, RecordKind::update, {"1", "b"}));
    EXPECT_OK(change(a, RecordKind::insert, {"3", "never"}));
    EXPECT_OK(change(a, RecordKind::insert, {"4", "c"}));
    EXPECT_OK(change(a, RecordKind::insert, {"2", "-1"}, {}, OldRow::none, 2));  // not by the source either
    EXPECT_OK(a.commit(Position{"0/1"}, {}));
    auto conflicts = a.take_conflicts();
    ASSERT_EQ(conflicts.size(), 2U);
    for (const auto& c : conflicts) EXPECT_EQ(c.action, ConflictAction::log) << c.error;
    EXPECT_EQ(target_.ask("SELECT string_agg(feels::text, ' ' ORDER BY id) FROM feels"), "(1,b) (2,b) (4,c)");
    EXPECT_EQ(target_.ask("SELECT enum_range(NULL::mood)"), "{a,b,c}");

    source_.run("ALTER DOMAIN pos DROP CONSTRAINT p");
    ASSERT_OK(a.begin(Applier::Mode::careful));
    EXPECT_OK(change(a, RecordKind::insert, {"3", "-1"}, {}, OldRow::none, 2));
    EXPECT_OK(change(a, RecordKind::insert, {"4", "1"}, {}, OldRow::none, 2));
    EXPECT_OK(a.commit(Position{"0/2"}, {}));
    conflicts = a.take_conflicts();
    ASSERT_EQ(conflicts.size(), 1U);
    EXPECT_EQ(conflicts[0].action, ConflictAction::suspend_table);
    EXPECT_THAT(conflicts[0].error,
                HasSubstr("column v: domain public.pos has other constraints on the target"));
    EXPECT_EQ(target_.ask("SELECT string_agg(id::text, ' ') FROM counts"), "1");
}

// What the ledger says of a table goes with its new name, also when that is given twice.
TEST_F(ExactnessTest, ATableIsRenamedOnce) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY); INSERT INTO k VALUES (1)");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t));
    ASSERT_OK(load(*p, table("t")));
    auto a = applier(*p, t);
    SchemaChange c;
    c.kind = SchemaChange::Kind::rename_table;
    c.table = t.name;
    c.new_name = "new";
    for (int again = 0; again < 2; ++again) {
        ASSERT_OK(a->begin(Applier::Mode::fast));
        EXPECT_OK(a->change_schema(c));
        EXPECT_OK(a->commit({}, {}));
        EXPECT_EQ(target_.ask("SELECT phase, (SELECT count(*) FROM godwit.gw_slice s WHERE s.source_table = "
                              "g.source_table) FROM godwit.gw_table g WHERE source_table = 'new'"),
                  "joined|1");
    }
    // rows of a table that is no more give way
    target_.run("DROP TABLE t");
    c.table.table = "new";
    c.new_name = "t";
    ASSERT_OK(a->begin(Applier::Mode::fast));
    EXPECT_OK(a->change_schema(c));
    EXPECT_OK(a->commit({}, {}));
    EXPECT_EQ(target_.ask("SELECT string_agg(source_table, ' ') FROM godwit.gw_table"), "t");
    EXPECT_EQ(target_.ask("SELECT count(*) FROM godwit.gw_slice"), "1");
}

// A target that became a standby, and a statement that somebody cancelled, are nobody's row.
TEST_F(ExactnessTest, WhatIsNotTheRowsFaultComesAgain) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY, v text)");
    target_.run(R"(CREATE TABLE k (id int PRIMARY KEY, v text);
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RAISE EXCEPTION USING ERRCODE = NEW.v; END';
        CREATE TRIGGER t BEFORE INSERT ON k FOR EACH ROW EXECUTE FUNCTION refuse();
        ALTER TABLE k ENABLE ALWAYS TRIGGER t)");
    auto p = process();
    ASSERT_OK(load(*p, table("k"), PrepMode::truncate));
    auto a = applier(*p, table("k"));
    for (const auto mode : {Applier::Mode::fast, Applier::Mode::careful})
        for (const char* state : {"25006", "57014", "40P01"}) {
            ASSERT_OK(a->begin(mode));
            EXPECT_OK(change(*a, RecordKind::insert, {"1", state}));
            const auto done = a->commit(Position{"0/1"}, {});
            ASSERT_FALSE(done.has_value()) << state;
            EXPECT_EQ(done.error().retry, Retry::from_checkpoint) << state;
            a->abort();
        }
}

// What suspends a table is the state in which its transaction leaves it, also where that wanted to write
// another one; when it is rolled back, the table's rows count again.
TEST_F(ExactnessTest, ASuspensionIsItsTransactions) {
    source_.run("CREATE TABLE k (id int PRIMARY KEY, v int); INSERT INTO k VALUES (1, 0)");
    auto p = process();
    const auto t = table("k");
    ASSERT_OK(load(*p, t, PrepMode::drop_and_create, TablePhase::loaded));
    auto joined = process();
    ASSERT_EQ(ledger_.tables.size(), 1U);
    TableState state = ledger_.tables[0];
    state.phase = TablePhase::joined;
    ConflictPolicy policy;
    policy.insert_exists = ConflictAction::suspend_table;
    auto a = applier(*joined, t, policy);
    for (const bool ends : {false, true}) {
        ASSERT_OK(a->begin(Applier::Mode::careful));
        EXPECT_OK(change(*a, RecordKind::insert, {"1", "1"}));
        EXPECT_OK(change(*a, RecordKind::insert, {"2", "1"}));
        ASSERT_OK(a->define(test::relation_of(t, 1), t));  // the same table in another shape, say
        EXPECT_OK(change(*a, RecordKind::insert, {"3", "1"}));
        if (ends)
            EXPECT_OK(a->commit(Position{"0/2"}, {state}));
        else
            a->abort();
        EXPECT_EQ(target_.ask("SELECT phase FROM godwit.gw_table"), ends ? "suspended" : "loaded");
        EXPECT_EQ(a->take_conflicts().size(), ends ? 1U : 0U);
        EXPECT_EQ(target_.ask("SELECT string_agg(id::text, ' ') FROM k"), "1");
    }
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
        TableState state{t.name, TablePhase::joined, generation, {}, {"0/99"}, {}, "", 100};
        return c.query(table_state_sql(), table_state_params("task1", epoch, state)).has_value();
    };
    EXPECT_TRUE(save(1, prepared->generation));
    EXPECT_FALSE(save(0, prepared->generation));
    EXPECT_FALSE(save(1, prepared->generation + 1));
    EXPECT_EQ(target_.ask("SELECT phase, applied FROM godwit.gw_table"), "joined|0/99");
    // a table that was never loaded gets its row here
    TableState fresh{{"public", "other"}, TablePhase::joined, 0, {}, {}, {}, "", 0};
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
