#pragma once
// A source in memory: tables with rows, transactions that change both the rows and a log, snapshots with
// exact marks. Orders grow by ten with each transaction; a position is "m:ORDER".

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "core/source.h"
#include "fakes/memory_rows.h"
#include "fakes/memory_target.h"

namespace godwit::test {

// One change of a transaction.
struct MemoryChange {
    RecordKind kind = RecordKind::insert;
    TableName table;
    Row row;  // insert, update: the new one; remove: the old one
    Row old;  // update: the one that is replaced
};

// Thread safe.
class MemorySource final : public Source {
public:
    static Position position(std::uint64_t order) { return {"m:" + std::to_string(order)}; }

    // --- as an application would use it
    void create(const TableSchema& table, Rows rows = {}) {
        const std::lock_guard lock(mutex_);
        tables_[table.name] = {table, std::move(rows)};
    }
    void drop(const TableName& name) {
        const std::lock_guard lock(mutex_);
        tables_.erase(name);
    }
    // The order at which it ends.
    std::uint64_t commit(std::vector<MemoryChange> changes, std::int64_t time_us = 0) {
        const std::lock_guard lock(mutex_);
        for (const auto& c : changes) {
            Rows& rows = tables_.at(c.table).rows;
            if (c.kind == RecordKind::insert) rows.insert(c.row);
            if (c.kind == RecordKind::update || c.kind == RecordKind::remove)
                rows.erase(rows.find(c.kind == RecordKind::update ? c.old : c.row));
            if (c.kind == RecordKind::update) rows.insert(c.row);
            if (c.kind == RecordKind::truncate) rows.clear();
        }
        log_.push_back({++xid_, end_ + 1, end_ + 10, time_us, std::move(changes)});
        end_ += 10;
        written_.notify_all();
        return end_;
    }
    [[nodiscard]] Rows rows(const TableName& name) {
        const std::lock_guard lock(mutex_);
        return tables_.at(name).rows;
    }
    [[nodiscard]] Position acknowledged() {
        const std::lock_guard lock(mutex_);
        return acknowledged_;
    }
    // Rows of one slice; set before the load.
    std::size_t slice_rows = 2;
    std::int64_t clock_us = 0;
    std::uint64_t unwritten = 0;  // of the log's end, health() has not heard
    // Called before each step with its name and its table; an error is what the server answers.
    std::function<Result<>(const std::string& step, const TableName& table)> fault;
    mutable std::atomic<int> asked = 0;  // contains()
    std::vector<CatalogueChange> catalogue_changes;

    // --- Source
    Result<ServerTraits> open(bool) override {
        ServerTraits traits;
        traits.family = "memory";
        traits.encoding = "UTF8";
        traits.system_id = "memory source";
        traits.timeline = 1;
        return traits;
    }
    Result<std::vector<TableSchema>> tables(const Selection& selection) override {
        const std::lock_guard lock(mutex_);
        std::vector<TableSchema> out;
        for (const auto& [name, t] : tables_)
            if (selection.selects(name, t.schema.is_view)) out.push_back(t.schema);
        return out;
    }
    Result<TableSchema> describe(const TableName& name) override {
        const std::lock_guard lock(mutex_);
        const auto it = tables_.find(name);
        if (it == tables_.end()) return fail(ErrorCode::not_found, name.text() + " is not at the source");
        return it->second.schema;
    }
    std::vector<std::string> load_formats(const TableSchema&) const override { return {kRowsFormat}; }

    Result<LoadContext> begin_load(const LoadRequest& request, const std::vector<TableSchema>&,
                                   std::stop_token) override {
        const std::lock_guard lock(mutex_);
        LoadContext out;
        if (request.resume && !held_.empty()) {
            out = held_.begin()->second.context;
            out.resumed = true;
            return out;
        }
        if (request.only_resume) return out;
        if (request.capture) captured_ = true;
        return snapshot(request.capture || captured_);
    }
    Result<TableLoad> open_table(const LoadContext& load, const TableName& name) override {
        GW_CHECK(step("open_table", name));
        const std::lock_guard lock(mutex_);
        const auto* held = GW_TRY(held_table(load, name));
        TableLoad out;
        out.schema = held->schema;
        out.leaves = {name};
        const std::size_t slices =
            std::max<std::size_t>(1, (held->rows.size() + slice_rows - 1) / slice_rows);
        for (std::size_t i = 0; i < slices; ++i) {
            const bool last = i + 1 == slices;
            out.slices.push_back({static_cast<std::uint32_t>(i), 0, std::to_string(i * slice_rows),
                                  last ? "" : std::to_string((i + 1) * slice_rows)});
        }
        return out;
    }
    Result<std::uint64_t> read_slice(const LoadContext& load, const TableLoad& table, const Slice& slice,
                                     const std::string& format, LoadSink& sink,
                                     std::stop_token stop) override {
        GW_CHECK(step("read_slice", table.schema.name));
        if (format != kRowsFormat) return fail(ErrorCode::unsupported, "format " + format);
        if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the load was stopped");
        std::vector<Row> rows;
        {
            const std::lock_guard lock(mutex_);
            const auto* held = GW_TRY(held_table(load, table.schema.name));
            const auto from = static_cast<std::ptrdiff_t>(std::stoul(slice.low));
            const auto size = static_cast<std::ptrdiff_t>(held->rows.size());
            const auto to = slice.high.empty() ? size : static_cast<std::ptrdiff_t>(std::stoul(slice.high));
            rows.assign(std::next(held->rows.begin(), std::min(from, size)),
                        std::next(held->rows.begin(), std::min(to, size)));
        }
        for (const auto& row : rows) {
            ByteBuffer block;
            RecordWriter writer(block);
            writer.start(RecordKind::insert, 0, 0);
            put_cells(writer, row);
            writer.finish();
            GW_CHECK(sink.write(block.view(), 1));
        }
        return rows.size();
    }
    Result<> close_table(const LoadContext& load, const TableLoad& table) override {
        GW_CHECK(step("close_table", table.schema.name));
        const std::lock_guard lock(mutex_);
        GW_TRY(held_table(load, table.schema.name));
        const auto now = tables_.find(table.schema.name);
        if (now == tables_.end() || now->second.schema.columns != table.schema.columns)
            return fail(ErrorCode::failed_precondition,
                        table.schema.name.text() + " changed while it was read");
        return {};
    }
    void end_load(const LoadContext& load) override {
        const std::lock_guard lock(mutex_);
        held_.erase(load.snapshot);
    }
    Result<LoadContext> begin_table_load(const std::vector<TableSchema>&, bool, std::uint32_t,
                                         std::stop_token) override {
        const std::lock_guard lock(mutex_);
        return snapshot(captured_);
    }

    // "m:UPPER", or "m:UPPER from LOWER" for a range
    Contained contains(const SnapshotMark& mark, const Record& begin) const override {
        ++asked;
        const auto at = mark.token.find(" from ");
        if (mark.empty() || begin.order >= order_of(mark.token.substr(0, at)).value_or(0))
            return Contained::no;
        const bool inside = at != std::string::npos && begin.order >= std::stoull(mark.token.substr(at + 6));
        return inside ? Contained::by_image : Contained::yes;
    }
    bool exact(const SnapshotMark& mark) const override {
        return mark.token.find(" from ") == std::string::npos;
    }
    bool passed(const SnapshotMark& mark, const Position& position) const override {
        const auto upper = order_of(mark.token.substr(0, mark.token.find(" from ")));
        return mark.empty() || order_of(position.token).value_or(0) >= upper.value_or(0);
    }
    Result<std::uint64_t> order(const Position& position) const override { return order_of(position.token); }
    Result<Position> parse_position(const std::string& native) const override {
        GW_TRY(order_of(native));
        return Position{native};
    }
    std::vector<std::string> stream_formats() const override { return {kRowsFormat}; }
    void set_stream_format(const std::string&) override {}
    Result<Position> begin_capture(const Position& from, const std::vector<TableSchema>&,
                                   std::stop_token) override {
        const std::lock_guard lock(mutex_);
        if (!from.empty() && GW_TRY(order_of(from.token)) < forgotten_)
            return fail(ErrorCode::data_loss, "the log before " + from.token + " is gone");
        captured_ = true;
        return from.empty() ? position(end_) : from;
    }
    Result<Position> resume_capture(const std::vector<TableSchema>&) override {
        const std::lock_guard lock(mutex_);
        if (!captured_) return fail(ErrorCode::data_loss, "nothing is captured any more");
        return acknowledged_.empty() ? position(forgotten_) : acknowledged_;
    }
    Result<> stream(const Position& from, ChangeSink& sink, std::stop_token stop) override {
        std::uint64_t at = GW_TRY(order_of(from.token));
        std::map<TableName, std::uint32_t> relations;
        while (!stop.stop_requested()) {
            GW_CHECK(acknowledge(sink.acknowledged()));
            std::unique_lock lock(mutex_);
            if (!captured_) return fail(ErrorCode::data_loss, "nothing is captured any more");
            if (at < forgotten_) return fail(ErrorCode::data_loss, "the log is gone");
            const auto next = std::ranges::find_if(log_, [&](const auto& t) { return t.end > at; });
            if (next == log_.end() || sink.full()) {
                lock.unlock();
                GW_CHECK(sink.idle());
                lock.lock();
                written_.wait_for(lock, stop, std::chrono::milliseconds(5),
                                  [&] { return end_ > at && !sink.full(); });
                continue;
            }
            const Transaction transaction = *next;
            lock.unlock();
            GW_CHECK(send(transaction, sink, relations));
            at = transaction.end;
        }
        return {};
    }
    Result<SourceHealth> health() override {
        GW_CHECK(step("health", {}));
        const std::lock_guard lock(mutex_);
        return SourceHealth{position(end_ - unwritten), end_ - forgotten_, clock_us};
    }
    Result<Position> committed_end() override {
        GW_CHECK(step("committed_end", {}));
        const std::lock_guard lock(mutex_);
        return position(end_);
    }
    Result<std::vector<CatalogueChange>> poll_catalogue(const Selection&,
                                                        const std::vector<TableSchema>&) override {
        const std::lock_guard lock(mutex_);
        return std::exchange(catalogue_changes, {});
    }
    Result<Position> recovery_position(const Position& applied) override { return applied; }
    Result<TableDigest> digest(const LoadContext& load, const TableSchema& table, DigestForm,
                               std::stop_token) override {
        const std::lock_guard lock(mutex_);
        return MemoryTarget::digest_of(GW_TRY(held_table(load, table.name))->rows);
    }
    Result<std::vector<KeyDigest>> key_digests(const LoadContext& load, const TableSchema& table,
                                               std::uint32_t bucket, std::uint32_t buckets, DigestForm,
                                               std::stop_token) override {
        const std::lock_guard lock(mutex_);
        const auto* held = GW_TRY(held_table(load, table.name));
        std::vector<std::string> columns;
        for (const auto& c : held->schema.columns) columns.push_back(c.name);
        return MemoryTarget::key_digests_of(held->rows, columns, held->schema.primary_key, bucket, buckets);
    }
    Result<> drop_capture() override {
        const std::lock_guard lock(mutex_);
        captured_ = false;
        held_.clear();
        return {};
    }

private:
    struct Stored {
        TableSchema schema;
        Rows rows;
    };
    struct Transaction {
        std::uint32_t xid = 0;
        std::uint64_t order = 0, end = 0;
        std::int64_t time_us = 0;
        std::vector<MemoryChange> changes;
    };
    struct Held {
        LoadContext context;
        std::map<TableName, Stored> tables;
    };

    [[nodiscard]] Result<> step(const std::string& what, const TableName& table) const {
        return fault ? fault(what, table) : Result<>{};
    }
    static Result<std::uint64_t> order_of(std::string_view token) {
        std::uint64_t order = 0;
        if (token.empty()) return order;
        if (!token.starts_with("m:"))
            return fail(ErrorCode::invalid_argument, "not a position of this source");
        const auto [end, error] = std::from_chars(token.data() + 2, token.data() + token.size(), order);
        if (error != std::errc{} || end != token.data() + token.size())
            return fail(ErrorCode::invalid_argument, "not a position of this source");
        return order;
    }
    // with the lock
    LoadContext snapshot(bool marked) {
        LoadContext out;
        out.snapshot = "s" + std::to_string(++snapshots_);
        if (marked) {
            out.start = position(end_);
            out.mark.token = out.start.token;
        }
        held_[out.snapshot] = {out, tables_};
        return out;
    }
    Result<const Stored*> held_table(const LoadContext& load, const TableName& name) const {
        const auto held = held_.find(load.snapshot);
        if (held == held_.end())
            return fail(ErrorCode::unavailable, "the snapshot is gone", Retry::from_checkpoint);
        const auto it = held->second.tables.find(name);
        if (it == held->second.tables.end()) return fail(ErrorCode::not_found, name.text());
        return &it->second;
    }
    Result<> acknowledge(const Position& position) {
        if (position.empty()) return {};
        const auto order = GW_TRY(order_of(position.token));
        const std::lock_guard lock(mutex_);
        acknowledged_ = position;
        forgotten_ = std::max(forgotten_, order);
        std::erase_if(log_, [&](const auto& t) { return t.end <= forgotten_; });
        return {};
    }
    Result<> send(const Transaction& t, ChangeSink& sink, std::map<TableName, std::uint32_t>& relations) {
        RecordWriter writer(sink.buffer(0));
        writer.begin(t.xid, t.order, t.time_us, false, {});
        GW_CHECK(sink.recorded(0));
        for (const auto& c : t.changes) {
            auto& id = relations[c.table];
            if (id == 0) {
                id = sink.new_relation_id();
                const auto relation = relation_of(GW_TRY(describe(c.table)), id);
                RecordWriter(sink.buffer(0)).relation(relation);
                GW_CHECK(sink.recorded(0));
                sink.define(relation);
            }
            RecordWriter out(sink.buffer(0));
            if (c.kind == RecordKind::truncate) {
                out.truncate(0, 0, {id});
            } else {
                out.start(c.kind, id, 0);
                if (c.kind == RecordKind::update) {
                    out.old_kind(OldRow::full);
                    put_cells(out, c.old);
                }
                if (c.kind == RecordKind::remove) out.old_kind(OldRow::full);
                put_cells(out, c.row);
                out.finish();
            }
            GW_CHECK(sink.recorded(0));
        }
        RecordWriter(sink.buffer(0)).commit(t.end, position(t.end).token, t.time_us);
        return sink.recorded(0);
    }

    mutable std::mutex mutex_;  // guards everything below
    std::condition_variable_any written_;
    std::map<TableName, Stored> tables_;
    std::deque<Transaction> log_;
    std::uint64_t end_ = 0, forgotten_ = 0;
    std::uint32_t xid_ = 0;
    std::uint64_t snapshots_ = 0;
    std::map<std::string, Held> held_;
    bool captured_ = false;
    Position acknowledged_;
};

}  // namespace godwit::test
