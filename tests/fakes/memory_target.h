#pragma once
// A transactional target in memory. It keeps the ledger beside the rows and refuses what a database would
// refuse: a stale epoch, a stale generation, a slice that is already in, a position that somebody else has
// moved. Processes of one task share a MemoryDatabase and have a MemoryTarget each.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "core/target.h"
#include "fakes/memory_rows.h"

namespace godwit::test {

// What the server holds. Guarded by `mutex`.
struct MemoryDatabase {
    struct Table {
        std::vector<std::string> columns, key;
        Rows rows;
    };
    struct Task {
        std::uint64_t epoch = 0, sequence = 0;
        std::optional<Position> applied;
        std::map<TableName, TableState> tables;
        std::map<TableName, std::map<std::uint32_t, std::uint64_t>> slices;  // of the present generation
        std::string system;
        std::uint32_t timeline = 0;
    };
    // One transaction of an applier, for tests that ask how changes were grouped.
    struct Commit {
        Applier::Mode mode = Applier::Mode::fast;
        std::size_t changes = 0;
        std::optional<Position> position;
        std::vector<TableState> tables;
    };
    std::mutex mutex;
    std::map<TableName, Table> tables;
    std::map<std::string, Task> tasks;
    std::vector<Commit> commits;
    std::size_t conflicts = 0;  // fast commits that were refused
    bool ddl_commits = false;
    // Called before each step with its name and its table; an error is what the server answers.
    std::function<Result<>(const std::string& step, const TableName& table)> fault;

    [[nodiscard]] Rows rows(const TableName& name) {
        const std::lock_guard lock(mutex);
        return tables[name].rows;
    }
    [[nodiscard]] Task task(const std::string& id) {
        const std::lock_guard lock(mutex);
        return tasks[id];
    }
    [[nodiscard]] Result<> step(const std::string& what, const TableName& table = {}) const {
        return fault ? fault(what, table) : Result<>{};
    }
};

class MemoryTarget final : public Target {
public:
    explicit MemoryTarget(std::shared_ptr<MemoryDatabase> database) : db_(std::move(database)) {}

    Result<ServerTraits> open() override {
        GW_CHECK(db_->step("open"));
        ServerTraits traits;
        traits.family = "memory";
        traits.encoding = "UTF8";
        traits.system_id = "memory target";
        return traits;
    }

    Result<Ledger> take_over(const TaskIdentity& task, const ServerTraits& source) override {
        const std::lock_guard lock(db_->mutex);
        id_ = task.id;
        auto& t = db_->tasks[id_];
        if (!t.system.empty() && t.applied && t.system != source.system_id)
            return fail(ErrorCode::failed_precondition, "the ledger belongs to another source");
        t.system = source.system_id;
        t.timeline = source.timeline;
        epoch_ = ++t.epoch;
        ++t.sequence;  // the takeover's own row: older positions are refused
        Ledger out;
        out.epoch = epoch_;
        out.applied = t.applied;
        out.sequence = t.sequence;
        out.source_system_id = t.system;
        out.source_timeline = t.timeline;
        for (const auto& [name, state] : t.tables) out.tables.push_back(state);
        return out;
    }

    Result<> reset() override {
        const std::lock_guard lock(db_->mutex);
        auto* t = GW_TRY(mine());
        t->applied.reset();
        ++t->sequence;
        for (auto& [name, state] : t->tables) {  // generations go on growing
            TableState fresh;
            fresh.name = name;
            fresh.generation = state.generation;
            state = std::move(fresh);
        }
        t->slices.clear();
        return {};
    }

    Result<PreparedTable> prepare(const TableSchema& table, PrepMode mode,
                                  const std::vector<std::string>& offered,
                                  const SnapshotMark& mark) override {
        GW_CHECK(db_->step("prepare", table.name));
        const std::lock_guard lock(db_->mutex);
        auto* t = GW_TRY(mine());
        GW_CHECK(format_of(offered));
        TableState& state = t->tables[table.name];
        state.name = table.name;
        state.phase = TablePhase::loading;
        ++state.generation;
        state.mark = mark;
        state.applied = {};
        state.part = {};
        state.reason.clear();
        state.rows = 0;
        const bool loaded_by_us = t->slices.contains(table.name);
        t->slices[table.name].clear();
        PreparedTable out;
        out.generation = state.generation;
        out.format = out.stream_format = kRowsFormat;
        auto it = db_->tables.find(table.name);
        out.created = it == db_->tables.end() || mode == PrepMode::drop_and_create;
        if (out.created) {
            MemoryDatabase::Table fresh;
            for (const auto& c : table.columns)
                if (!c.generated) fresh.columns.push_back(c.name);
            fresh.key = table.primary_key;
            db_->tables[table.name] = std::move(fresh);
        } else if (mode == PrepMode::truncate || loaded_by_us) {
            it->second.rows.clear();
        }
        return out;
    }

    Result<PreparedTable> prepared(const TableSchema& table, const TableState& state,
                                   const std::vector<std::string>& offered) override {
        const std::lock_guard lock(db_->mutex);
        GW_CHECK(format_of(offered));
        if (!db_->tables.contains(table.name))
            return fail(ErrorCode::failed_precondition, table.name.text() + " is gone from the target");
        return PreparedTable{state.generation, kRowsFormat, kRowsFormat, true, {}};
    }

    Result<std::vector<SliceDone>> slices_done(const TableSchema& table, std::uint64_t generation) override {
        const std::lock_guard lock(db_->mutex);
        auto& t = db_->tasks[id_];
        std::vector<SliceDone> out;
        if (t.tables[table.name].generation == generation)
            for (const auto& [number, rows] : t.slices[table.name]) out.push_back({number, rows});
        return out;
    }

    Result<std::unique_ptr<SliceWriter>> open_writer() override {
        GW_CHECK(db_->step("open_writer"));
        return std::make_unique<Writer>(*this);
    }

    Result<> finish_load(const TableSchema& table, const PreparedTable& prepared, TablePhase phase,
                         std::uint64_t rows) override {
        GW_CHECK(db_->step("finish_load", table.name));
        const std::lock_guard lock(db_->mutex);
        auto* t = GW_TRY(mine());
        TableState& state = t->tables[table.name];
        if (state.generation != prepared.generation) return refused("finish_load");
        const auto& stored = db_->tables[table.name];
        std::set<Row> keys;
        for (const auto& row : stored.rows)
            if (!stored.key.empty() && !keys.insert(key_of(stored, row)).second)
                return fail(ErrorCode::failed_precondition,
                            "the key of " + table.name.text() + " is not unique");
        state.phase = phase;
        state.rows = rows;
        return {};
    }

    Result<> set_phase(const TableName& table, TablePhase phase, const std::string& reason) override {
        const std::lock_guard lock(db_->mutex);
        auto* t = GW_TRY(mine());
        TableState& state = t->tables[table];
        state.name = table;
        state.phase = phase;
        state.reason = reason;
        return {};
    }

    bool ddl_commits() const override { return db_->ddl_commits; }

    Result<std::unique_ptr<Applier>> open_applier(const ConflictPolicy& policy) override {
        const std::lock_guard lock(db_->mutex);
        auto* t = GW_TRY(mine());
        return std::make_unique<MemoryApplier>(*this, policy, t->sequence);
    }

    Result<std::unique_ptr<Snapshot>> open_snapshot() override {
        const std::lock_guard lock(db_->mutex);
        return std::make_unique<MemorySnapshot>(db_->tables);
    }

    Result<std::vector<std::string>> create_secondary(const std::vector<TableSchema>&) override {
        return std::vector<std::string>{};
    }
    Result<std::vector<std::string>> sync_sequences(const std::vector<TableSchema>&) override {
        return std::vector<std::string>{};
    }
    Result<> forget_task(const TaskIdentity& task) override {
        const std::lock_guard lock(db_->mutex);
        db_->tasks.erase(task.id);
        return {};
    }

    static TableDigest digest_of(const Rows& rows) {
        std::size_t hash = 0;
        for (const auto& row : rows) hash += hash_of(row);  // whatever the order
        return {rows.size(), std::to_string(hash)};
    }
    static std::vector<KeyDigest> key_digests_of(const Rows& rows, const std::vector<std::string>& columns,
                                                 const std::vector<std::string>& key, std::uint32_t bucket,
                                                 std::uint32_t buckets) {
        std::vector<KeyDigest> out;
        for (const auto& row : rows) {
            std::string text;
            for (const auto& k : key) text += row[index_of(columns, k)].value_or("NULL") + ",";
            if (std::hash<std::string>{}(text) % buckets == bucket)
                out.push_back({text, std::to_string(hash_of(row))});
        }
        std::ranges::sort(out, {}, &KeyDigest::key);
        return out;
    }
    static std::size_t index_of(const std::vector<std::string>& columns, const std::string& name) {
        return static_cast<std::size_t>(std::ranges::find(columns, name) - columns.begin());
    }

private:
    using Stored = MemoryDatabase::Table;

    static std::unexpected<Error> refused(const std::string& what) {
        return fail(ErrorCode::failed_precondition, what + " refused by the target's ledger");
    }
    static Result<> format_of(const std::vector<std::string>& offered) {
        if (std::ranges::find(offered, kRowsFormat) == offered.end())
            return fail(ErrorCode::unsupported, "no format that this target reads");
        return {};
    }
    static Row key_of(const Stored& table, const Row& row) {
        Row key;
        for (const auto& k : table.key) key.push_back(row[index_of(table.columns, k)]);
        return key;
    }
    static std::size_t hash_of(const Row& row) {
        std::string text;
        for (const auto& v : row) text += v ? std::to_string(v->size()) + ":" + *v : "NULL";
        return std::hash<std::string>{}(text);
    }
    // The task's ledger, as long as it is ours. With the lock.
    Result<MemoryDatabase::Task*> mine() {
        auto& t = db_->tasks[id_];
        if (t.epoch != epoch_ || epoch_ == 0) return refused("a stale epoch is");
        return &t;
    }

    class Writer final : public SliceWriter {
    public:
        explicit Writer(MemoryTarget& owner) : o_(owner) {}
        Result<bool> begin(const TableSchema& table, const PreparedTable& prepared,
                           std::uint32_t slice) override {
            abort();
            GW_CHECK(o_.db_->step("slice.begin", table.name));
            const std::lock_guard lock(o_.db_->mutex);
            name_ = table.name;
            generation_ = prepared.generation;
            slice_ = slice;
            if (!GW_TRY(claim())) return false;
            open_ = true;
            return true;
        }
        Result<> write(Bytes block) override {
            if (!open_) return fail(ErrorCode::internal, "rows without a slice");
            GW_CHECK(o_.db_->step("slice.write", name_));
            RecordReader reader(block);
            Record r;
            while (reader.next(r)) rows_.push_back(get_cells(r.row));
            if (reader.failed()) return fail(ErrorCode::data_loss, "a block of rows is damaged");
            return {};
        }
        Result<> commit(std::uint64_t rows) override {
            if (!open_) return fail(ErrorCode::internal, "rows without a slice");
            const auto taken = std::move(rows_);
            abort();
            GW_CHECK(o_.db_->step("slice.commit", name_));
            const std::lock_guard lock(o_.db_->mutex);
            if (taken.size() != rows)
                return fail(ErrorCode::data_loss,
                            fmt::format("the source gave {} rows, the target took {}", rows, taken.size()),
                            Retry::from_checkpoint);
            if (!GW_TRY(claim()))
                return fail(ErrorCode::already_exists, "the slice came in by another writer");
            auto& t = o_.db_->tasks[o_.id_];
            t.slices[name_][slice_] = rows;
            auto& stored = o_.db_->tables[name_];
            stored.rows.insert(taken.begin(), taken.end());
            return {};
        }
        void abort() override {
            open_ = false;
            rows_.clear();
        }

    private:
        // false: the slice is in
        Result<bool> claim() {
            auto* t = GW_TRY(o_.mine());
            if (t->tables[name_].generation != generation_)
                return refused("a slice of a stale generation is");
            return !t->slices[name_].contains(slice_);
        }
        MemoryTarget& o_;
        TableName name_;
        std::uint64_t generation_ = 0;
        std::uint32_t slice_ = 0;
        std::vector<Row> rows_;
        bool open_ = false;
    };

    class MemoryApplier final : public Applier {
    public:
        MemoryApplier(MemoryTarget& owner, ConflictPolicy policy, std::uint64_t sequence)
            : o_(owner), policy_(policy), sequence_(sequence) {}

        Result<> define(const Relation& relation, const TableSchema& table) override {
            GW_CHECK(o_.db_->step("define", relation.name));
            relations_[relation.id] = {relation, table};
            return {};
        }
        Result<> begin(Mode mode) override {
            if (open_) return fail(ErrorCode::internal, "a transaction is open");
            open_ = true;
            mode_ = mode;
            return {};
        }
        Result<> apply(const Record& record) override {
            if (!open_) return fail(ErrorCode::internal, "a change without a transaction");
            if (record.kind != RecordKind::truncate && !relations_.contains(record.relation))
                return fail(ErrorCode::internal, "a change of a relation that was not defined");
            Step step;
            step.record.append(record.raw);  // the bytes may die
            bytes_ += step.record.size();
            steps_.push_back(std::move(step));
            ++changes_;
            return {};
        }
        Result<> change_schema(const SchemaChange& change) override {
            if (!open_) return fail(ErrorCode::internal, "a change without a transaction");
            GW_CHECK(o_.db_->step("change_schema", change.table));
            if (o_.db_->ddl_commits) {
                if (!steps_.empty()) return fail(ErrorCode::internal, "DDL would commit rows");
                const std::lock_guard lock(o_.db_->mutex);
                return reshape(o_.db_->tables, change);
            }
            Step step;
            step.shape = change;
            steps_.push_back(std::move(step));
            return {};
        }
        Result<> save_part(const TableState& table) override {
            parts_.push_back(table);
            return {};
        }
        [[nodiscard]] std::size_t buffered_bytes() const override { return bytes_; }

        Result<> commit(const std::optional<Position>& position,
                        const std::vector<TableState>& tables) override {
            if (!open_) return fail(ErrorCode::internal, "commit without a transaction");
            GW_CHECK(o_.db_->step("apply.commit"));
            const std::lock_guard lock(o_.db_->mutex);
            auto* task = GW_TRY(o_.mine());
            if (task->sequence != sequence_) return refused("a stale position is");
            auto work = o_.db_->tables;  // becomes the truth as a whole or not at all
            Outcome outcome;
            for (auto& step : steps_) {
                auto done = step.shape ? reshape(work, *step.shape) : change(work, step, outcome);
                if (done) continue;
                if (done.error().code == ErrorCode::conflict && mode_ == Mode::fast) ++o_.db_->conflicts;
                return done;
            }
            o_.db_->tables = std::move(work);
            if (position) {
                task->applied = *position;
                sequence_ = ++task->sequence;
            }
            for (const auto& state : tables) task->tables[state.name] = state;
            for (const auto& state : parts_)
                if (auto& mine = task->tables[state.name]; mine.generation == state.generation)
                    mine.part = state.part;
            for (const auto& c : outcome.conflicts)
                if (c.action == ConflictAction::suspend_table) {
                    auto& state = task->tables[c.table];
                    state.name = c.table;
                    state.phase = TablePhase::suspended;
                    state.reason = c.error;
                }
            o_.db_->commits.push_back({mode_, changes_, position, tables});
            GW_CHECK(o_.db_->step("apply.committed"));
            for (auto& [name, counts] : outcome.counts) counts_.push_back({name, counts});
            conflicts_.insert(conflicts_.end(), outcome.conflicts.begin(), outcome.conflicts.end());
            abort();
            return {};
        }
        void abort() override {
            open_ = false;
            steps_.clear();
            parts_.clear();
            bytes_ = changes_ = 0;
        }
        std::vector<TableApplied> take_counts() override { return std::exchange(counts_, {}); }
        std::vector<ApplyConflict> take_conflicts() override { return std::exchange(conflicts_, {}); }

    private:
        struct Step {
            ByteBuffer record;
            std::optional<SchemaChange> shape;
        };
        struct Outcome {
            std::map<TableName, ApplyCounts> counts;
            std::vector<ApplyConflict> conflicts;
            std::set<TableName> suspended;
        };
        struct Known {
            Relation relation;
            TableSchema table;
        };
        using Tables = std::map<TableName, Stored>;

        // A row in the order of the target's columns; cells that were not sent are those of `old`.
        static Row arrange(const Stored& to, const Relation& from, const RowView& view, const Row* old) {
            Row sent = get_cells(view), row(to.columns.size());
            if (old != nullptr) row = *old;
            std::size_t i = 0;
            view.each([&](std::uint16_t, const Cell& cell) {
                const auto at = index_of(to.columns, from.columns[i].name);
                if (at < row.size() && cell.state != CellState::unchanged) row[at] = sent[i];
                ++i;
            });
            return row;
        }
        // The row that the old image names; end(): none.
        static Rows::iterator find(Stored& table, const Known& known, const RowView& image) {
            const Row wanted = arrange(table, known.relation, image, nullptr);
            std::vector<std::size_t> at;
            for (const auto& c : known.table.identity_columns)
                if (const auto i = index_of(table.columns, c); i < table.columns.size()) at.push_back(i);
            return match(table.rows, at, wanted);
        }
        static bool has_key(Stored& table, const Row& row) {
            if (table.key.empty()) return false;
            std::vector<std::size_t> at;
            for (const auto& c : table.key) at.push_back(index_of(table.columns, c));
            return match(table.rows, at, row) != table.rows.end();
        }
        // The first row that is equal to `wanted` in the columns `at`. Quick where these are the first ones.
        static Rows::iterator match(Rows& rows, const std::vector<std::size_t>& at, const Row& wanted) {
            const auto same = [&](const Row& row) {
                return std::ranges::all_of(at, [&](std::size_t i) { return row[i] == wanted[i]; });
            };
            for (std::size_t i = 0; i < at.size(); ++i)
                if (at[i] != i) return std::ranges::find_if(rows, same);
            const auto first = rows.lower_bound(
                Row(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(at.size())));
            return first != rows.end() && same(*first) ? first : rows.end();
        }
        Result<> conflict(const TableName& name, RecordKind kind, ConflictAction action,
                          Outcome& outcome) const {
            if (mode_ == Mode::fast)
                return fail(ErrorCode::conflict, "a row met the target in another state");
            if (mode_ == Mode::converging && action != policy_.data_error) return {};
            if (action == ConflictAction::stop_task)
                return fail(ErrorCode::failed_precondition, "a conflict stops the task");
            outcome.conflicts.push_back({name, kind, action, "a row met the target in another state"});
            ++outcome.counts[name].conflicts;
            if (action == ConflictAction::suspend_table) outcome.suspended.insert(name);
            return {};
        }
        Result<> change(Tables& work, Step& step, Outcome& outcome) {
            const ConflictPolicy policy = mode_ == Mode::converging ? converging_policy(policy_) : policy_;
            RecordReader reader(step.record.view());
            Record r;
            if (!reader.next(r)) return fail(ErrorCode::internal, "a record cannot be read");
            if (r.kind == RecordKind::truncate) {
                for (ByteReader in(r.list); !in.at_end();) {
                    const auto& name = relations_.at(in.le<std::uint32_t>()).relation.name;
                    if (outcome.suspended.contains(name)) continue;
                    work[name].rows.clear();
                    ++outcome.counts[name].ddls;
                }
                return {};
            }
            const Known& known = relations_.at(r.relation);
            const TableName& name = known.relation.name;
            if (outcome.suspended.contains(name)) return {};
            const auto at = work.find(name);
            if (at == work.end())
                return fail(ErrorCode::failed_precondition, name.text() + " is not on the target");
            Stored& table = at->second;
            auto& counts = outcome.counts[name];
            if (r.kind == RecordKind::insert) {
                Row row = arrange(table, known.relation, r.row, nullptr);
                if (has_key(table, row)) {
                    GW_CHECK(conflict(name, r.kind, policy.insert_exists, outcome));
                    if (policy.insert_exists != ConflictAction::overwrite) return {};
                    table.rows.erase(find(table, known, r.row));
                }
                table.rows.insert(std::move(row));
                ++counts.inserts;
                return {};
            }
            const auto old = find(table, known, r.old_kind == OldRow::none ? r.row : r.old_row);
            if (r.kind == RecordKind::remove) {
                if (old == table.rows.end()) return conflict(name, r.kind, policy.delete_missing, outcome);
                table.rows.erase(old);
                ++counts.deletes;
                return {};
            }
            if (old == table.rows.end()) {
                GW_CHECK(conflict(name, r.kind, policy.update_missing, outcome));
                if (policy.update_missing != ConflictAction::overwrite || has_unchanged(r.row)) return {};
                table.rows.insert(arrange(table, known.relation, r.row, nullptr));
                ++counts.inserts;
                return {};
            }
            const Row before = *old;
            Row after = arrange(table, known.relation, r.row, &before);
            table.rows.erase(old);
            if (has_key(table, after)) {
                table.rows.insert(before);
                return conflict(name, r.kind, policy.data_error, outcome);
            }
            table.rows.insert(std::move(after));
            ++counts.updates;
            return {};
        }
        Result<> reshape(Tables& work, const SchemaChange& c) {
            auto at = work.find(c.table);
            if (c.kind == SchemaChange::Kind::drop_table) {
                if (at != work.end()) work.erase(at);
                return {};
            }
            if (c.kind == SchemaChange::Kind::rename_table) {
                if (at == work.end()) return {};
                auto moved = std::move(at->second);
                work.erase(at);
                work[{c.new_schema.empty() ? c.table.schema : c.new_schema, c.new_name}] = std::move(moved);
                return {};
            }
            if (at == work.end())
                return fail(ErrorCode::failed_precondition, c.table.text() + " is not there");
            Stored& table = at->second;
            const auto old = index_of(table.columns, c.old_name);
            if (c.kind == SchemaChange::Kind::rename_column && old < table.columns.size()) {
                table.columns[old] = c.new_name;
                std::ranges::replace(table.key, c.old_name, c.new_name);
            }
            const bool drops = c.kind == SchemaChange::Kind::drop_column && old < table.columns.size();
            const bool adds = c.kind == SchemaChange::Kind::add_column &&
                              index_of(table.columns, c.column.name) == table.columns.size();
            if (!drops && !adds) return {};
            Rows rows;
            for (Row row : table.rows) {
                if (drops) row.erase(row.begin() + static_cast<std::ptrdiff_t>(old));
                if (adds) row.push_back(c.column.missing_value);
                rows.insert(std::move(row));
            }
            table.rows = std::move(rows);
            if (drops) table.columns.erase(table.columns.begin() + static_cast<std::ptrdiff_t>(old));
            if (adds) table.columns.push_back(c.column.name);
            return {};
        }

        MemoryTarget& o_;
        const ConflictPolicy policy_;
        std::uint64_t sequence_;
        std::map<std::uint32_t, Known> relations_;
        std::vector<Step> steps_;
        std::vector<TableState> parts_;
        std::size_t bytes_ = 0, changes_ = 0;
        Mode mode_ = Mode::fast;
        bool open_ = false;
        std::vector<TableApplied> counts_;
        std::vector<ApplyConflict> conflicts_;
    };

    class MemorySnapshot final : public Snapshot {
    public:
        explicit MemorySnapshot(std::map<TableName, Stored> tables) : tables_(std::move(tables)) {}
        Result<TableDigest> digest(const TableSchema& table, std::stop_token) override {
            return digest_of(GW_TRY(stored(table))->rows);
        }
        Result<std::vector<KeyDigest>> key_digests(const TableSchema& table, std::uint32_t bucket,
                                                   std::uint32_t buckets, std::stop_token) override {
            const auto* t = GW_TRY(stored(table));
            return key_digests_of(t->rows, t->columns, t->key, bucket, buckets);
        }

    private:
        [[nodiscard]] Result<const Stored*> stored(const TableSchema& table) const {
            const auto it = tables_.find(table.name);
            if (it == tables_.end()) return fail(ErrorCode::not_found, table.name.text());
            return &it->second;
        }
        const std::map<TableName, Stored> tables_;
    };

    const std::shared_ptr<MemoryDatabase> db_;
    std::string id_;
    std::uint64_t epoch_ = 0;
};

}  // namespace godwit::test
