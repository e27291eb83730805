#pragma once
// What every Source must do. Each joins with a SourceBed of its own in one .cc, which includes this file and
// instantiates the suite: source_memory.cc, and tests/integration/source/contract_test.cc for PostgreSQL.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "core/source.h"
#include "fakes/memory_rows.h"

namespace godwit::test {

using namespace std::chrono_literals;

// One source with two tables of (id, text), and an application that changes them: "one" has a key, "two" has
// none and sends whole old rows.
class SourceBed {
public:
    virtual ~SourceBed() = default;
    // Why the suite cannot run here; empty: it can.
    virtual std::string missing() { return ""; }
    // A new process of the task; the one before it has ended.
    virtual Source& process() = 0;
    virtual TableName table(const std::string& name) = 0;
    struct Step {
        std::string table;
        int id = 0;
        std::string text;
        bool remove = false;
    };
    // one transaction
    virtual void commit(const std::vector<Step>& steps) = 0;
    virtual void truncate(const std::string& table) = 0;
    // "id|text" of blocks in the format that the source names first
    virtual std::vector<std::string> rows(const std::vector<std::string>& blocks) = 0;
};

using MakeSourceBed = std::unique_ptr<SourceBed> (*)();
struct SourceKind {
    const char* name;
    MakeSourceBed make;
};

class Everything final : public Selection {
public:
    bool selects(const TableName&, bool) const override { return true; }
    std::int64_t load_order(const TableName&) const override { return 0; }
};

// Takes the log as the engine's does, and what it saw as text: "B", "+one 1 a", "-one 1", "T one", "C".
class Reader final : public ChangeSink {
public:
    ByteBuffer& buffer(std::uint32_t stream) override { return buffers_[stream]; }
    Result<> recorded(std::uint32_t stream) override {
        const std::lock_guard lock(mutex_);
        RecordReader in(buffers_[stream].view());
        Record r;
        while (in.next(r)) {
            if (stream == 0 && r.kind == RecordKind::keepalive) {
                EXPECT_GE(r.order, last_end_);
                last_end_ = r.order;
                position_.token = std::string(r.position);
            } else if (stream == 0) {
                take(r, seen_);
            } else {
                take(r, open_[stream]);
            }
        }
        buffers_[stream].clear();
        changed_.notify_all();
        return {};
    }
    bool full() override { return full_; }
    std::uint32_t new_relation_id() override { return ++relation_; }
    void define(const Relation& relation) override {
        const std::lock_guard lock(mutex_);
        EXPECT_TRUE(relations_.emplace(relation.id, relation).second ||
                    relations_[relation.id].name == relation.name);
    }
    Result<> stream_commit(std::uint32_t stream, std::uint64_t order, std::uint64_t order_end,
                           std::string_view position, std::int64_t) override {
        const std::lock_guard lock(mutex_);
        begun(order);
        seen_.emplace_back("B");
        seen_.insert(seen_.end(), open_[stream].begin(), open_[stream].end());
        open_.erase(stream);
        ended(order_end, position);
        return {};
    }
    void stream_abort(std::uint32_t stream, std::uint32_t) override { open_.erase(stream); }
    void streams_lost() override { open_.clear(); }
    Result<> idle() override { return {}; }
    Position acknowledged() override {
        const std::lock_guard lock(mutex_);
        return acknowledged_;
    }

    void acknowledge(Position position) {
        const std::lock_guard lock(mutex_);
        acknowledged_ = std::move(position);
    }
    // Until `text` was seen; false when it does not come.
    bool sees(const std::string& text, std::chrono::seconds wait = 20s) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, wait, [&] {
            const auto at = std::ranges::find(seen_, text);
            return at != seen_.end() && std::find(at, seen_.end(), "C") != seen_.end();
        });
    }
    std::vector<std::string> seen() {
        const std::lock_guard lock(mutex_);
        return seen_;
    }
    std::vector<Record> begins() {
        const std::lock_guard lock(mutex_);
        return begins_;
    }
    // position behind the last whole transaction
    Position position() {
        const std::lock_guard lock(mutex_);
        return position_;
    }
    std::vector<std::pair<std::uint64_t, Position>> ends() {
        const std::lock_guard lock(mutex_);
        return ends_;
    }
    std::atomic<bool> full_ = false;

private:
    void begun(std::uint64_t order) {
        EXPECT_GE(order, last_end_) << "transactions come in the order in which they committed";
        Record begin;
        begin.kind = RecordKind::begin;
        begin.order = order;
        begins_.push_back(begin);
    }
    void ended(std::uint64_t order_end, std::string_view position) {
        EXPECT_GT(order_end, last_end_);
        EXPECT_GT(order_end, begins_.empty() ? 0 : begins_.back().order);
        last_end_ = order_end;
        position_.token = std::string(position);
        ends_.emplace_back(order_end, position_);
        seen_.emplace_back("C");
    }
    void take(const Record& r, std::vector<std::string>& to) {
        const auto name = [&](std::uint32_t id) {
            EXPECT_TRUE(relations_.contains(id)) << "a change before its relation";
            return relations_[id].name.table;
        };
        switch (r.kind) {
            case RecordKind::begin:
                EXPECT_FALSE(in_transaction_);
                in_transaction_ = true;
                begun(r.order);
                to.emplace_back("B");
                break;
            case RecordKind::insert: {
                const auto row = get_cells(r.row);
                to.push_back("+" + name(r.relation) + " " + row[0].value_or("") + " " + row[1].value_or(""));
                break;
            }
            case RecordKind::remove: {
                EXPECT_NE(r.old_kind, OldRow::none);
                to.push_back("-" + name(r.relation) + " " + get_cells(r.old_row)[0].value_or(""));
                break;
            }
            case RecordKind::truncate:
                for (ByteReader in(r.list); !in.at_end();) to.push_back("T " + name(in.le<std::uint32_t>()));
                break;
            case RecordKind::commit:
                EXPECT_TRUE(in_transaction_);
                in_transaction_ = false;
                ended(r.order, r.position);
                break;
            default:
                break;
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::uint32_t, ByteBuffer> buffers_;
    std::map<std::uint32_t, std::vector<std::string>> open_;
    std::map<std::uint32_t, Relation> relations_;
    std::vector<std::string> seen_;
    std::vector<Record> begins_;
    std::vector<std::pair<std::uint64_t, Position>> ends_;
    Position position_, acknowledged_;
    std::uint64_t last_end_ = 0;
    std::uint32_t relation_ = 0;
    bool in_transaction_ = false;
};

class Blocks final : public LoadSink {
public:
    Result<> write(Bytes block, std::uint64_t rows) override {
        blocks.emplace_back(as_text(block));
        count += rows;
        return {};
    }
    std::vector<std::string> blocks;
    std::uint64_t count = 0;
};

class SourceContract : public testing::TestWithParam<SourceKind> {
protected:
    void SetUp() override {
        bed_ = GetParam().make();
        if (const auto why = bed_->missing(); !why.empty()) {
            if (std::getenv("GODWIT_TEST_REQUIRE_SERVERS") != nullptr) FAIL() << why;
            GTEST_SKIP() << why;
        }
        for (int i = 1; i <= 20; ++i) bed_->commit({{"one", i, "old"}, {"two", i, "old"}});
    }
    Source* open() {
        Source& source = bed_->process();
        const auto traits = source.open(true);
        EXPECT_TRUE(traits) << traits.error().text();
        return &source;
    }
    std::vector<TableSchema> tables(Source& source) {
        auto found = source.tables(Everything{});
        EXPECT_TRUE(found) << found.error().text();
        return found.value_or(std::vector<TableSchema>{});
    }
    LoadContext begin(Source& source) {
        LoadRequest request;
        request.capture = true;
        auto load = source.begin_load(request, tables(source), {});
        EXPECT_TRUE(load) << load.error().text();
        return load.value_or(LoadContext{});
    }
    std::multiset<std::string> load(Source& source, const LoadContext& context, const std::string& name) {
        std::multiset<std::string> out;
        auto table = source.open_table(context, bed_->table(name));
        EXPECT_TRUE(table) << table.error().text();
        if (!table) return out;
        for (const auto& slice : table->slices) {
            Blocks sink;
            const auto rows =
                source.read_slice(context, *table, slice, source.load_formats(table->schema)[0], sink, {});
            EXPECT_TRUE(rows) << rows.error().text();
            EXPECT_EQ(rows.value_or(0), sink.count);
            for (auto& row : bed_->rows(sink.blocks)) out.insert(std::move(row));
        }
        EXPECT_TRUE(source.close_table(context, *table));
        return out;
    }
    // While it lives, the log is read.
    struct Streaming {
        Streaming(Source& source, const Position& from, Reader& to)
            : thread([&source, from, &to, this](std::stop_token stop) {
                  outcome = source.stream(from, to, stop);
              }) {}
        Result<> outcome;
        std::jthread thread;
    };
    static std::vector<std::string> changes(const std::vector<std::string>& seen) {
        std::vector<std::string> out;
        for (const auto& s : seen)
            if (s != "B" && s != "C") out.push_back(s);
        return out;
    }
    std::unique_ptr<SourceBed> bed_;
};

TEST_P(SourceContract, tables_are_listed_with_what_names_their_rows) {
    Source* source = open();
    const auto found = tables(*source);
    ASSERT_EQ(found.size(), 2U);
    for (const auto& t : found) {
        const bool keyed = t.name == bed_->table("one");
        EXPECT_NE(t.source_id, 0U);
        EXPECT_EQ(t.columns.size(), 2U);
        EXPECT_EQ(t.identity, keyed ? RowIdentity::key : RowIdentity::full);
        EXPECT_EQ(t.identity_columns.size(), keyed ? 1U : 2U);
        const auto one = source->describe(t.name);
        ASSERT_TRUE(one);
        EXPECT_EQ(one->columns, t.columns);
        EXPECT_FALSE(source->load_formats(t).empty());
    }
    const auto none = source->describe(bed_->table("neither"));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::not_found);
    EXPECT_TRUE(source->drop_capture());
}

TEST_P(SourceContract, slices_hold_every_row_of_the_snapshot_once) {
    Source* source = open();
    const auto context = begin(*source);
    bed_->commit({{"one", 21, "later"}, {"one", 1, "", true}});
    std::multiset<std::string> want;
    for (int i = 1; i <= 20; ++i) want.insert(std::to_string(i) + "|old");
    EXPECT_EQ(load(*source, context, "one"), want);
    EXPECT_EQ(load(*source, context, "two"), want);
    EXPECT_EQ(load(*source, context, "one"), want);  // as often as one likes
    source->end_load(context);
    EXPECT_TRUE(source->drop_capture());
}

// What the mark contains and what the log brings are all there is, once each.
TEST_P(SourceContract, the_mark_divides_rows_from_changes) {
    Source* source = open();
    std::atomic<bool> stop = false;
    std::atomic<int> last = 20;
    std::jthread writer([&] {
        for (int i = 21; !stop; ++i) {
            bed_->commit({{"two", i, "live"}});
            last = i;
            std::this_thread::sleep_for(1ms);
        }
    });
    const auto context = begin(*source);
    const auto rows = load(*source, context, "two");
    Reader reader;
    {
        const Streaming streaming(*source, context.start, reader);
        std::this_thread::sleep_for(100ms);
        stop = true;
        writer.join();
        ASSERT_TRUE(reader.sees("+two " + std::to_string(last.load()) + " live"));
    }
    std::multiset<std::string> all = rows;
    std::size_t transaction = 0;
    const auto begins = reader.begins();
    for (const auto& s : reader.seen()) {
        if (s == "B") ++transaction;
        if (!s.starts_with("+two ")) continue;
        if (source->contains(context.mark, begins[transaction - 1]) == Contained::yes) continue;
        const auto space = s.find(' ', 5);
        all.insert(s.substr(5, space - 5) + "|" + s.substr(space + 1));
    }
    std::multiset<std::string> want;
    for (int i = 1; i <= 20; ++i) want.insert(std::to_string(i) + "|old");
    for (int i = 21; i <= last; ++i) want.insert(std::to_string(i) + "|live");
    EXPECT_EQ(all, want);
    source->end_load(context);
    EXPECT_TRUE(source->drop_capture());
}

TEST_P(SourceContract, a_later_load_of_one_table_has_a_mark_of_its_own) {
    Source* source = open();
    const auto first = begin(*source);
    source->end_load(first);
    bed_->commit({{"two", 21, "between"}});
    const auto schema = source->describe(bed_->table("two"));
    ASSERT_TRUE(schema);
    const auto second = source->begin_table_load({*schema}, true, 60, {});
    ASSERT_TRUE(second) << second.error().text();
    bed_->commit({{"two", 22, "after"}});
    EXPECT_EQ(load(*source, *second, "two").count("21|between"), 1U);
    Reader reader;
    {
        const Streaming streaming(*source, first.start, reader);
        ASSERT_TRUE(reader.sees("+two 22 after"));
    }
    const auto begins = reader.begins();
    ASSERT_EQ(begins.size(), 2U);
    EXPECT_EQ(source->contains(second->mark, begins[0]), Contained::yes);
    EXPECT_EQ(source->contains(second->mark, begins[1]), Contained::no);
    EXPECT_EQ(source->contains(first.mark, begins[0]), Contained::no);
    EXPECT_TRUE(source->passed(second->mark, reader.position()));
    EXPECT_FALSE(source->passed(second->mark, first.start));
    source->end_load(*second);
    EXPECT_TRUE(source->drop_capture());
}

TEST_P(SourceContract, changes_come_whole_and_in_the_order_of_their_commits) {
    Source* source = open();
    const auto context = begin(*source);
    source->end_load(context);
    bed_->commit({{"one", 101, "a"}, {"two", 101, "a"}, {"one", 1, "", true}});
    bed_->commit({{"two", 102, "b"}});
    bed_->truncate("two");
    bed_->commit({{"one", 103, "end"}});
    Reader reader;
    {
        const Streaming streaming(*source, context.start, reader);
        ASSERT_TRUE(reader.sees("+one 103 end"));
    }
    EXPECT_EQ(reader.seen(),
              (std::vector<std::string>{"B", "+one 101 a", "+two 101 a", "-one 1", "C", "B", "+two 102 b",
                                        "C", "B", "T two", "C", "B", "+one 103 end", "C"}));
    for (const auto& [order, position] : reader.ends()) EXPECT_EQ(source->order(position).value_or(0), order);
    EXPECT_LE(source->order(context.start).value_or(~0ULL), reader.begins()[0].order);
    EXPECT_TRUE(source->drop_capture());
}

// Everything that was not acknowledged comes again, from wherever a new process starts.
TEST_P(SourceContract, what_was_not_acknowledged_comes_again) {
    Source* source = open();
    const auto context = begin(*source);
    source->end_load(context);
    for (int i = 101; i <= 103; ++i) bed_->commit({{"one", i, "x"}});
    Position second;
    {
        Reader reader;
        const Streaming streaming(*source, context.start, reader);
        ASSERT_TRUE(reader.sees("+one 103 x"));
        second = reader.ends()[1].second;
        reader.acknowledge(second);
        std::this_thread::sleep_for(1500ms);  // acknowledgements may wait for a second
    }
    bed_->commit({{"one", 104, "x"}});
    for (int run = 0; run < 2; ++run) {
        source = open();
        const auto forgotten = source->resume_capture(tables(*source));
        ASSERT_TRUE(forgotten) << forgotten.error().text();
        EXPECT_LE(source->order(*forgotten).value_or(~0ULL), source->order(second).value_or(0));
        EXPECT_GE(source->order(*forgotten).value_or(0), source->order(context.start).value_or(~0ULL));
        Reader reader;
        {
            const Streaming streaming(*source, *forgotten, reader);
            ASSERT_TRUE(reader.sees("+one 104 x"));
        }
        auto got = changes(reader.seen());
        std::erase_if(got, [](const auto& s) { return s == "+one 101 x" || s == "+one 102 x"; });
        EXPECT_EQ(got, (std::vector<std::string>{"+one 103 x", "+one 104 x"}));
    }
    EXPECT_TRUE(source->drop_capture());
}

TEST_P(SourceContract, a_full_sink_is_spared_and_nothing_is_lost) {
    Source* source = open();
    const auto context = begin(*source);
    source->end_load(context);
    Reader reader;
    reader.full_ = true;
    const Streaming streaming(*source, context.start, reader);
    for (int i = 101; i <= 150; ++i) bed_->commit({{"one", i, "x"}});
    std::this_thread::sleep_for(300ms);
    EXPECT_TRUE(reader.seen().empty());
    reader.full_ = false;
    ASSERT_TRUE(reader.sees("+one 150 x"));
    EXPECT_EQ(changes(reader.seen()).size(), 50U);
}

TEST_P(SourceContract, a_capture_that_was_dropped_cannot_be_resumed) {
    Source* source = open();
    const auto context = begin(*source);
    source->end_load(context);
    EXPECT_TRUE(source->drop_capture());
    EXPECT_TRUE(source->drop_capture());  // twice is fine
    const auto resumed = source->resume_capture(tables(*source));
    ASSERT_FALSE(resumed);
    EXPECT_EQ(resumed.error().code, ErrorCode::data_loss);
}

TEST_P(SourceContract, health_and_positions_follow_the_log) {
    Source* source = open();
    const auto context = begin(*source);
    source->end_load(context);
    const auto before = source->health();
    ASSERT_TRUE(before) << before.error().text();
    bed_->commit({{"one", 101, "x"}});
    const auto after = source->health();
    ASSERT_TRUE(after);
    const auto from = source->order(before->log_end), to = source->order(after->log_end);
    ASSERT_TRUE(from && to);
    EXPECT_LT(*from, *to);
    EXPECT_LE(source->order(context.start).value_or(~0ULL), *from);
    const auto parsed = source->parse_position(after->log_end.token);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(source->order(*parsed).value_or(0), *to);
    EXPECT_FALSE(source->parse_position("no position"));
    EXPECT_TRUE(source->drop_capture());
}

}  // namespace godwit::test
