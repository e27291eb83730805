#pragma once
// What every Target must do. Each joins with a TargetBed of its own in one .cc, which includes this file and
// instantiates the suite: target_memory.cc, and tests/integration/target/contract_test.cc for PostgreSQL.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/target.h"
#include "fakes/memory_rows.h"

namespace godwit::test {

// One target server with an empty database, and the format in which it takes rows.
class TargetBed {
public:
    virtual ~TargetBed() = default;
    // A process of the task: what it opens is not taken over yet.
    virtual std::unique_ptr<Target> process() = 0;
    virtual std::vector<std::string> formats() = 0;
    virtual ByteBuffer block(const std::vector<Row>& rows) = 0;
    virtual Rows rows(const TableName& name) = 0;
    virtual ServerTraits source() {
        ServerTraits t;
        t.system_id = "source";
        return t;
    }
    // What the target must know of the suite's table beyond its names.
    virtual void describe(TableSchema&) {}
    // Why the suite cannot run here; empty: it can.
    virtual std::string missing() { return {}; }
};

using MakeBed = std::unique_ptr<TargetBed> (*)();
struct Kind {
    const char* name;
    MakeBed make;
};

class TargetContract : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override {
        bed_ = GetParam().make();
        if (const auto why = bed_->missing(); !why.empty()) GTEST_SKIP() << why;
        bed_->describe(table_);
    }

    std::unique_ptr<Target> take_over(Ledger* ledger = nullptr) {
        auto target = bed_->process();
        EXPECT_TRUE(target->open());
        auto taken = target->take_over({"task", "", ""}, bed_->source());
        EXPECT_TRUE(taken);
        if (ledger != nullptr && taken) *ledger = *taken;
        return target;
    }
    PreparedTable prepare(Target& target, PrepMode mode = PrepMode::drop_and_create) {
        auto prepared = target.prepare(table_, mode, bed_->formats(), mark_);
        EXPECT_TRUE(prepared);
        return prepared.value_or(PreparedTable{});
    }
    Result<> write(SliceWriter& writer, const PreparedTable& prepared, std::uint32_t slice,
                   const std::vector<Row>& rows) {
        if (!GW_TRY(writer.begin(table_, prepared, slice))) return fail(ErrorCode::already_exists, "in");
        GW_CHECK(writer.write(bed_->block(rows).view()));
        return writer.commit(rows.size());
    }
    // rows, phase joined
    void load(Target& target, const std::vector<Row>& rows) {
        const auto prepared = prepare(target);
        auto writer = target.open_writer().value();
        ASSERT_TRUE(write(*writer, prepared, 0, rows));
        const auto finished = target.finish_load(table_, prepared, TablePhase::joined, rows.size());
        ASSERT_TRUE(finished) << finished.error().text();
    }
    static Result<> apply(Applier& applier, RecordKind kind, const Row& row, const Row* key = nullptr) {
        ByteBuffer buffer;
        RecordWriter writer(buffer);
        writer.start(kind, 1, 0);
        if (kind == RecordKind::update) writer.old_kind(key != nullptr ? OldRow::key : OldRow::none);
        if (kind == RecordKind::remove) writer.old_kind(OldRow::key);
        if (key != nullptr) put_cells(writer, *key);
        put_cells(writer, row);
        writer.finish();
        RecordReader reader(buffer.view());
        Record r;
        EXPECT_TRUE(reader.next(r));
        return applier.apply(r);
    }
    std::unique_ptr<Applier> applier(Target& target, const ConflictPolicy& policy = {}) {
        auto out = target.open_applier(policy).value();
        EXPECT_TRUE(out->define(relation_of(table_, 1), table_));
        return out;
    }

    std::unique_ptr<TargetBed> bed_;
    TableSchema table_ = table_of("t", {"id", "v"});
    const SnapshotMark mark_{"m:5"};
};

TEST_P(TargetContract, the_ledger_remembers) {
    Ledger first, second;
    {
        auto target = take_over(&first);
        EXPECT_FALSE(first.applied);
        load(*target, {{"1", "a"}});
        auto a = applier(*target);
        ASSERT_TRUE(a->begin(Applier::Mode::fast));
        ASSERT_TRUE(a->commit(Position{"m:7"}, {}));
    }
    auto target = take_over(&second);
    EXPECT_EQ(second.epoch, first.epoch + 1);
    EXPECT_EQ(second.applied, Position{"m:7"});
    ASSERT_EQ(second.tables.size(), 1U);
    EXPECT_EQ(second.tables[0].name, table_.name);
    EXPECT_EQ(second.tables[0].phase, TablePhase::joined);
    EXPECT_EQ(second.tables[0].mark, mark_);
    EXPECT_EQ(second.tables[0].rows, 1U);
    EXPECT_TRUE(target->prepared(table_, second.tables[0], bed_->formats()));
}

TEST_P(TargetContract, a_slice_and_its_mark_are_one) {
    auto target = take_over();
    const auto prepared = prepare(*target);
    auto writer = target->open_writer().value();
    ASSERT_TRUE(write(*writer, prepared, 3, {{"1", "a"}, {"2", std::nullopt}, {"3", ""}}));
    const auto done = target->slices_done(table_, prepared.generation).value();
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].number, 3U);
    EXPECT_EQ(done[0].rows, 3U);
    EXPECT_EQ(bed_->rows(table_.name),
              (Rows{{"1", "a"}, {"2", std::nullopt}, {"3", ""}}));  // NULL is not empty

    // given up, and dropped without a word: nothing of it stays
    ASSERT_TRUE(writer->begin(table_, prepared, 4).value());
    ASSERT_TRUE(writer->write(bed_->block({{"4", "x"}}).view()));
    writer->abort();
    {
        auto other = target->open_writer().value();
        ASSERT_TRUE(other->begin(table_, prepared, 5).value());
        ASSERT_TRUE(other->write(bed_->block({{"5", "x"}}).view()));
    }
    EXPECT_EQ(bed_->rows(table_.name).size(), 3U);
    EXPECT_EQ(target->slices_done(table_, prepared.generation)->size(), 1U);
}

TEST_P(TargetContract, a_second_copy_of_a_slice_is_refused) {
    auto target = take_over();
    const auto prepared = prepare(*target);
    auto one = target->open_writer().value();
    auto two = target->open_writer().value();
    ASSERT_TRUE(write(*one, prepared, 1, {{"1", "a"}}));
    EXPECT_FALSE(two->begin(table_, prepared, 1).value());
    EXPECT_EQ(bed_->rows(table_.name).size(), 1U);
}

TEST_P(TargetContract, rows_are_counted) {
    auto target = take_over();
    const auto prepared = prepare(*target);
    auto writer = target->open_writer().value();
    ASSERT_TRUE(writer->begin(table_, prepared, 1).value());
    ASSERT_TRUE(writer->write(bed_->block({{"1", "a"}}).view()));
    EXPECT_FALSE(writer->commit(2));
    EXPECT_TRUE(bed_->rows(table_.name).empty());
    EXPECT_TRUE(write(*writer, prepared, 1, {{"1", "a"}}));  // and the writer goes on
}

TEST_P(TargetContract, a_stale_generation_is_refused) {
    auto target = take_over();
    const auto old = prepare(*target);
    const auto fresh = prepare(*target);
    EXPECT_GT(fresh.generation, old.generation);
    auto writer = target->open_writer().value();
    EXPECT_FALSE(writer->begin(table_, old, 1));
    EXPECT_TRUE(write(*writer, fresh, 1, {{"1", "a"}}));
    EXPECT_TRUE(target->slices_done(table_, old.generation)->empty());
    EXPECT_TRUE(bed_->rows(table_.name).size() == 1);
}

TEST_P(TargetContract, a_stale_epoch_is_refused) {
    auto old = take_over();
    load(*old, {{"1", "a"}});
    const auto prepared = prepare(*old);
    auto writer = old->open_writer().value();
    auto a = applier(*old);
    ASSERT_TRUE(a->begin(Applier::Mode::fast));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"2", "b"}));
    auto fresh = take_over();
    EXPECT_FALSE(a->commit(Position{"m:9"}, {}));
    EXPECT_FALSE(writer->begin(table_, prepared, 1));
    EXPECT_FALSE(old->prepare(table_, PrepMode::truncate, bed_->formats(), mark_));
    EXPECT_FALSE(old->set_phase(table_.name, TablePhase::suspended, "x"));
    EXPECT_TRUE(bed_->rows(table_.name).empty());
    EXPECT_TRUE(prepare(*fresh).generation > prepared.generation);
}

TEST_P(TargetContract, reset_forgets_and_generations_go_on) {
    auto target = take_over();
    load(*target, {{"1", "a"}});
    const auto before = prepare(*target).generation;
    ASSERT_TRUE(target->reset());
    EXPECT_TRUE(target->slices_done(table_, before)->empty());
    EXPECT_GT(prepare(*target).generation, before);
}

TEST_P(TargetContract, changes_and_position_are_one) {
    auto target = take_over();
    load(*target, {{"1", "a"}, {"2", "b"}, {"3", "c"}});
    auto a = applier(*target);
    ASSERT_TRUE(a->begin(Applier::Mode::fast));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"4", "d"}));
    ASSERT_TRUE(apply(*a, RecordKind::update, {"1", "A"}));
    const Row old_key{"2", std::nullopt};
    ASSERT_TRUE(apply(*a, RecordKind::update, {"20", "b"}, &old_key));  // the key itself
    ASSERT_TRUE(apply(*a, RecordKind::remove, {"3", std::nullopt}));
    ASSERT_TRUE(a->commit(Position{"m:8"}, {}));
    EXPECT_EQ(bed_->rows(table_.name), (Rows{{"1", "A"}, {"20", "b"}, {"4", "d"}}));
    const auto counts = a->take_counts();
    ASSERT_EQ(counts.size(), 1U);
    EXPECT_EQ(counts[0].counts.inserts, 1U);
    EXPECT_EQ(counts[0].counts.updates, 2U);
    EXPECT_EQ(counts[0].counts.deletes, 1U);
    EXPECT_TRUE(a->take_counts().empty());

    ASSERT_TRUE(a->begin(Applier::Mode::fast));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"5", "e"}));
    a->abort();
    EXPECT_EQ(bed_->rows(table_.name).size(), 3U);
    Ledger ledger;
    take_over(&ledger);
    EXPECT_EQ(ledger.applied, Position{"m:8"});
}

TEST_P(TargetContract, fast_is_all_or_nothing) {
    auto target = take_over();
    load(*target, {{"1", "a"}});
    auto a = applier(*target);
    for (int kind = 0; kind < 3; ++kind) {
        ASSERT_TRUE(a->begin(Applier::Mode::fast));
        Result<> step = apply(*a, RecordKind::insert, {"7", "new"});
        if (step && kind == 0) step = apply(*a, RecordKind::insert, {"1", "twice"});
        if (step && kind == 1) step = apply(*a, RecordKind::update, {"9", "missing"});
        if (step && kind == 2) step = apply(*a, RecordKind::remove, {"9", std::nullopt});
        if (step) step = a->commit(Position{"m:8"}, {});
        ASSERT_FALSE(step) << kind;
        EXPECT_EQ(step.error().retry, Retry::never) << kind;
        a->abort();
        EXPECT_EQ(bed_->rows(table_.name), (Rows{{"1", "a"}})) << kind;
    }
    EXPECT_TRUE(a->take_counts().empty());
}

TEST_P(TargetContract, careful_judges_each_row) {
    auto target = take_over();
    load(*target, {{"1", "a"}});
    ConflictPolicy policy;
    policy.insert_exists = ConflictAction::overwrite;
    policy.update_missing = ConflictAction::overwrite;
    policy.delete_missing = ConflictAction::ignore;
    auto a = applier(*target, policy);
    ASSERT_TRUE(a->begin(Applier::Mode::careful));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"1", "b"}));
    ASSERT_TRUE(apply(*a, RecordKind::update, {"2", "c"}));
    ASSERT_TRUE(apply(*a, RecordKind::remove, {"3", std::nullopt}));
    ASSERT_TRUE(a->commit(Position{"m:8"}, {}));
    EXPECT_EQ(bed_->rows(table_.name), (Rows{{"1", "b"}, {"2", "c"}}));

    a = applier(*target, ConflictPolicy{});  // log
    ASSERT_TRUE(a->begin(Applier::Mode::careful));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"1", "again"}));
    ASSERT_TRUE(apply(*a, RecordKind::update, {"9", "missing"}));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"4", "d"}));
    ASSERT_TRUE(a->commit(Position{"m:9"}, {}));
    EXPECT_EQ(bed_->rows(table_.name), (Rows{{"1", "b"}, {"2", "c"}, {"4", "d"}}));
    EXPECT_GE(a->take_conflicts().size(), 2U);
}

TEST_P(TargetContract, a_snapshot_stands_still) {
    auto target = take_over();
    load(*target, {{"1", "a"}, {"2", "b"}});
    auto before = target->open_snapshot().value();
    const auto digest = before->digest(table_, {}).value();
    EXPECT_EQ(digest.rows, 2U);
    auto a = applier(*target);
    ASSERT_TRUE(a->begin(Applier::Mode::fast));
    ASSERT_TRUE(apply(*a, RecordKind::insert, {"3", "c"}));
    ASSERT_TRUE(a->commit(Position{"m:8"}, {}));
    EXPECT_EQ(before->digest(table_, {})->hash, digest.hash);
    auto after = target->open_snapshot().value();
    EXPECT_EQ(after->digest(table_, {})->rows, 3U);
    EXPECT_NE(after->digest(table_, {})->hash, digest.hash);
    std::size_t keys = 0;
    for (std::uint32_t bucket = 0; bucket < 4; ++bucket)
        keys += after->key_digests(table_, bucket, 4, {})->size();
    EXPECT_EQ(keys, 3U);
}

}  // namespace godwit::test
