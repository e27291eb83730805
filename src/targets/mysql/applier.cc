#include "targets/mysql/applier.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/failpoint.h"
#include "core/key_set.h"
#include "core/row_match.h"
#include "targets/mysql/columns.h"
#include "targets/mysql/ledger.h"
#include "targets/mysql/preparation.h"
#include "targets/mysql/reshape.h"

namespace godwit::mysql {
namespace {

constexpr std::uint32_t kRunRows = 500;
// A CASE is searched from its start, so statements that set many columns hold fewer rows.
constexpr std::uint32_t kRunWhens = 1500;
constexpr std::size_t kRunBytes = 512U << 10;
constexpr std::size_t kPacketBytes = 512U << 10;
constexpr std::size_t kPacketStatements = 200;
constexpr std::size_t kCarefulRecords = 256;  // records under one savepoint in careful mode
constexpr std::uint64_t kAny = ~0ULL;

// A column of the target table that receives a column of the relation.
struct PlanColumn : TargetColumn {
    bool present = false;  // exists on the target and is written
    bool key = false;      // rows are matched by it
};

struct Plan {
    Relation relation;
    TableName target;
    std::string quoted;
    std::vector<PlanColumn> columns;
    std::vector<std::uint16_t> keys;
    std::vector<std::string> on_update;  // quoted; set to themselves where nothing is sent
    std::string insert_head;
    std::string key_list;    // quoted, for messages and DELETE
    bool match_all = false;  // no key: matched on all columns, one row
    bool insert_only = false;
    bool missing = false;  // no such table on the target
    std::string missing_reason;
    // Other unique indexes, or keys that compare otherwise than by bytes: statements keep the source's order.
    bool ordered = false;
    bool weak_keys = false;  // weaker than the source's: matched byte by byte, singly
    bool cascades = false;   // foreign keys of other tables act on their rows, and the log does not tell
    // CASE k WHEN 'literal' does not promise to compare by the type of k, as k = 'literal' does.
    [[nodiscard]] bool short_case() const {
        return keys.size() == 1 && columns[keys[0]].writes != Writes::temporal;
    }
};

// One statement that grows.
struct Run {
    Plan* plan = nullptr;
    RecordKind kind = RecordKind::insert;
    std::uint32_t rows = 0;
    std::uint32_t whens = 0;
    std::size_t bytes = 0;
    ByteBuffer values;                  // INSERT: rows; UPDATE, DELETE: keys
    std::vector<ByteBuffer> assigned;   // UPDATE: WHEN ... THEN ... per column
    std::vector<std::uint32_t> counts;  // UPDATE: WHENs per column
    std::string documents;              // which JSON columns it sets
};

struct Table {
    TableName source;
    std::array<Run, 3> runs;  // insert, update, remove
    KeySet keys;
    ApplyCounts counts;  // of the open transaction
    bool dirty = false;
    bool suspended = false;
    bool suspended_here = false;  // in the open transaction
};

std::size_t run_index(RecordKind kind) {
    return kind == RecordKind::insert ? 0 : kind == RecordKind::update ? 1 : 2;
}

// a DEFAULT (1067, 1101), AUTO_INCREMENT (1063) or ON UPDATE (1294)
bool does_not_go_with_type(unsigned code) {
    return code == 1067 || code == 1101 || code == 1063 || code == 1294;
}

bool harmless(std::int64_t code) { return code == 1287 || code == 1681 || code == 3719 || code == 3778; }

void append(ByteBuffer& to, std::string_view text) { to.append(text); }

class MyApplier final : public Applier {
public:
    MyApplier(Connection connection, ApplierContext context)
        : c_(std::move(connection)), x_(std::move(context)) {
        packet_limit_ = std::min<std::size_t>(kPacketBytes, x_.facts.packet_bytes / 2);
    }

    Result<> define(const Relation& relation, const TableSchema& source_table) override;
    Result<> begin(Mode mode) override;
    Result<> change_schema(const SchemaChange& change) override;
    Result<> save_part(const TableState& table) override;
    Result<> apply(const Record& record) override;
    std::size_t buffered_bytes() const override { return buffered_ + packet_.size() + window_.size(); }
    Result<> commit(const std::optional<Position>& position, const std::vector<TableState>& tables) override;
    void abort() override;
    std::vector<TableApplied> take_counts() override { return std::exchange(committed_, {}); }
    std::vector<ApplyConflict> take_conflicts() override { return std::exchange(conflicts_, {}); }

private:
    struct Expected {
        std::uint64_t rows;  // kAny: not checked
        const Plan* plan;
    };

    Result<> apply_now(const Record& record);
    Result<> apply_truncate(const Record& record);
    Result<> apply_single(const Record& record);
    Result<> run_window();
    Result<> decide(Plan& plan, const Record& record, ConflictAction action, const Error& why,
                    const std::vector<Cell>& old_cells, const std::vector<Cell>& cells);
    Result<bool> overwrite(const Plan& plan, const std::vector<Cell>& old_cells,
                           const std::vector<Cell>& cells);
    Result<> write_exception(const Plan& plan, RecordKind kind, const std::string& error);
    Result<> read_target(Plan& plan, const TableSchema& source_table);

    // --- building
    void add_insert(Plan& plan, Run& run, const std::vector<Cell>& cells);
    void add_update(Plan& plan, Run& run, const std::vector<Cell>& old_cells, const std::vector<Cell>& cells);
    void add_remove(Plan& plan, Run& run, const std::vector<Cell>& cells);
    void put_key(ByteBuffer& to, const Plan& plan, const std::vector<Cell>& cells) const;
    void put_match(ByteBuffer& to, const Plan& plan, const std::vector<Cell>& cells) const;
    void build_single(ByteBuffer& to, const Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                      const std::vector<Cell>& cells) const;
    [[nodiscard]] bool sets(const Plan& plan, std::size_t i, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells) const;

    // --- sending
    Result<> close_run(Run& run);
    Result<> send_table(Table& table);
    Result<> send_all();
    // A statement joins the packet that goes out next.
    Result<> put_statement(std::uint64_t rows, const Plan* plan, std::string_view sql);
    Result<> put_statement(std::uint64_t rows, const Plan* plan) {
        return put_statement(rows, plan, as_text(statement_.view()));
    }
    [[nodiscard]] Result<> check_size(std::size_t bytes) const;
    Result<> flush_packet();
    Result<> receive();
    // Sends everything and takes all answers.
    Result<> drain();

    void forget_runs();
    Table& table_of(const Plan& plan) {
        Table& t = tables_[plan.target];
        if (t.source.table.empty()) t.source = plan.relation.name;
        return t;
    }
    static bool key_changed(const Plan& plan, const Record& r, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells);
    static bool keys_act(const Plan& plan, const Record& record);
    static void count(Table& table, RecordKind kind, std::uint64_t rows);

    Connection c_;
    ApplierContext x_;
    std::size_t packet_limit_ = kPacketBytes;
    std::map<std::uint32_t, std::unique_ptr<Plan>> plans_;  // by relation id
    std::map<TableName, Table> tables_;                     // by target table
    std::vector<Table*> dirty_;                             // with open statements
    std::vector<ApplyConflict> conflicts_;
    std::vector<TableApplied> committed_;
    std::vector<Cell> cells_, old_cells_;
    ByteBuffer packet_, statement_, key_;
    std::vector<Expected> in_packet_, on_its_way_;
    ByteBuffer window_;  // careful mode: records under the next savepoint
    std::size_t window_records_ = 0;
    std::size_t buffered_ = 0;
    Mode mode_ = Mode::fast;
    bool converging_ = false;  // a careful mode
    bool in_transaction_ = false;
    bool began_ = false;  // the server may have something open
    bool sent_ = false;   // a packet has no answer yet
    std::string parts_;   // statements of save_part(), sent with COMMIT
};

// ---------------------------------------------------------------------------------------------- sending

// The server would close the session over it.
Result<> MyApplier::check_size(std::size_t bytes) const {
    if (bytes <= x_.facts.statement_bytes()) return {};
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("a change takes {} bytes as a statement, more than the target's max_allowed_packet of {}",
                    bytes, x_.facts.packet_bytes));
}

Result<> MyApplier::put_statement(std::uint64_t rows, const Plan* plan, std::string_view sql) {
    GW_CHECK(check_size(sql.size()));
    if (packet_.size() != 0 && packet_.size() + sql.size() > packet_limit_) GW_CHECK(flush_packet());
    if (!packet_.empty()) packet_.put_u8(';');
    packet_.append(sql);
    in_packet_.push_back({rows, plan});
    if (packet_.size() >= packet_limit_ || in_packet_.size() >= kPacketStatements) return flush_packet();
    return {};
}

Result<> MyApplier::flush_packet() {
    if (packet_.empty()) return {};
    GW_CHECK(receive());
    began_ = true;
    auto started = c_.start(as_text(packet_.view()));
    packet_.clear();
    on_its_way_.swap(in_packet_);
    in_packet_.clear();
    if (!started) {
        on_its_way_.clear();
        return started;
    }
    sent_ = true;
    return {};
}

Result<> MyApplier::receive() {
    if (!sent_) return {};
    sent_ = false;
    std::vector<Rows> done;
    auto outcome = c_.finish(done);
    Result<> first;
    for (std::size_t i = 0; i < done.size() && i < on_its_way_.size() && first; ++i) {
        const Expected& e = on_its_way_[i];
        if (e.rows == kAny) continue;
        if (done[i].affected() != e.rows && GW_RULE("apply.row_count_check"))
            first = fail(ErrorCode::conflict,
                         fmt::format("{} rows met the target where {} were to", done[i].affected(), e.rows));
        else if (done[i].warnings() != 0 && GW_RULE("apply.warnings_check"))
            first = fail(ErrorCode::conflict, "the target bent a value to make it fit");
        if (!first && e.plan != nullptr) first.error().context.push_back("table " + e.plan->target.text());
    }
    if (first && !outcome) {
        first = std::move(outcome);
        if (done.size() < on_its_way_.size() && on_its_way_[done.size()].plan != nullptr)
            first.error().context.push_back("table " + on_its_way_[done.size()].plan->target.text());
    }
    on_its_way_.clear();
    return first;
}

Result<> MyApplier::drain() {
    GW_CHECK(flush_packet());
    return receive();
}

Result<> MyApplier::close_run(Run& run) {
    if (run.rows == 0) return {};
    const Plan& plan = *run.plan;
    statement_.clear();
    switch (run.kind) {
        case RecordKind::insert:
            append(statement_, plan.insert_head);
            statement_.append(run.values.view());
            break;
        case RecordKind::update: {
            append(statement_, "UPDATE ");
            append(statement_, plan.quoted);
            append(statement_, " SET ");
            bool first = true;
            const auto next = [&] {
                if (!first) append(statement_, ", ");
                first = false;
            };
            const bool one = plan.keys.size() == 1, short_case = plan.short_case();
            std::vector<std::string_view> assigned;
            for (std::size_t i = 0; i < plan.columns.size() && i < run.counts.size(); ++i) {
                const PlanColumn& t = plan.columns[i];
                if (run.counts[i] == 0) continue;
                assigned.push_back(t.quoted);
                next();
                append(statement_, t.quoted);
                append(statement_, short_case ? " = CASE " : " = CASE");
                if (short_case) append(statement_, plan.columns[plan.keys[0]].quoted);
                statement_.append(run.assigned[i].view());
                if (run.counts[i] != run.rows) {
                    append(statement_, " ELSE ");
                    append(statement_, t.quoted);
                    if (t.writes == Writes::bit) append(statement_, " + 0");
                }
                append(statement_, " END");
                run.assigned[i].clear();
                run.counts[i] = 0;
            }
            for (const auto& name : plan.on_update) {
                if (std::ranges::find(assigned, name) != assigned.end()) continue;
                next();
                append(statement_, name + " = " + name);
            }
            if (first) {  // nothing changed: the rows must still be there
                const std::string& name = plan.columns[plan.keys[0]].quoted;
                append(statement_, name + " = " + name);
            }
            append(statement_, " WHERE ");
            if (one) append(statement_, plan.columns[plan.keys[0]].quoted + " IN (");
            statement_.append(run.values.view());
            if (one) append(statement_, ")");
            break;
        }
        default:
            append(statement_, "DELETE FROM ");
            append(statement_, plan.quoted);
            append(statement_, " WHERE ");
            if (plan.keys.size() == 1) append(statement_, plan.columns[plan.keys[0]].quoted + " IN (");
            statement_.append(run.values.view());
            if (plan.keys.size() == 1) append(statement_, ")");
    }
    const std::uint32_t rows = run.rows;
    buffered_ -= run.bytes;
    if (run.values.capacity() > (2U << 20)) run.values.release_memory();
    run.values.clear();
    run.rows = run.whens = 0;
    run.bytes = 0;
    return put_statement(rows, &plan);
}

Result<> MyApplier::send_table(Table& table) {
    for (auto& run : table.runs) GW_CHECK(close_run(run));
    table.keys.clear();
    if (table.dirty) std::erase(dirty_, &table);
    table.dirty = false;
    return {};
}

Result<> MyApplier::send_all() {
    while (!dirty_.empty()) GW_CHECK(send_table(*dirty_.back()));
    return {};
}

void MyApplier::forget_runs() {
    for (auto& [name, table] : tables_) {
        for (auto& run : table.runs) run = Run{};
        table.keys.clear();
        table.counts = {};
        table.dirty = false;
    }
    dirty_.clear();
    packet_.clear();
    in_packet_.clear();
    buffered_ = 0;
}

// ---------------------------------------------------------------------------------------------- plans

Result<> MyApplier::read_target(Plan& plan, const TableSchema& source_table) {
    const auto now = GW_TRY(read_table(c_, plan.target));
    if (!now.exists) {
        plan.missing = true;
        plan.missing_reason = "table " + plan.target.text() + " does not exist on the target";
        return {};
    }
    const auto actions = GW_TRY(c_.query(fmt::format(
        "SELECT 1 FROM information_schema.referential_constraints WHERE unique_constraint_schema = {} AND "
        "referenced_table_name = {} AND (delete_rule IN ('CASCADE', 'SET NULL') OR update_rule IN "
        "('CASCADE', "
        "'SET NULL')) LIMIT 1",
        quote_literal(plan.target.schema), quote_literal(plan.target.table))));
    plan.cascades = x_.target->same_family() && actions.size() != 0;
    const RowMatch match = row_match(plan.relation, source_table);
    plan.match_all = match.all;
    plan.insert_only = plan.relation.identity == RowIdentity::none;
    std::string names;
    for (const auto& column : plan.relation.columns) {
        PlanColumn t;
        const TargetColumn* found = now.column(column.name);
        if (found != nullptr && !found->generated) {
            static_cast<TargetColumn&>(t) = *found;
            t.present = true;
            names += (names.empty() ? "" : ", ") + t.quoted;
        } else if (const ColumnSchema* s = source_table.column(column.name);
                   found == nullptr && (s == nullptr || !s->generated)) {
            plan.missing = true;
            plan.missing_reason = fmt::format("column {} of table {} does not exist on the target",
                                              column.name, plan.target.text());
        }
        t.key = t.present && (match.keyed ? match.keys.contains(column.name) : plan.match_all);
        if (t.key && !plan.match_all) {
            plan.keys.push_back(static_cast<std::uint16_t>(plan.columns.size()));
            plan.key_list += (plan.key_list.empty() ? "" : ", ") + t.quoted;
            if (t.weak()) plan.ordered = true;
            if (weaker_key(t, source_table, x_.target->same_family()) && GW_RULE("apply.weak_keys"))
                plan.weak_keys = true;
        }
        if (t.unique && !t.key && GW_RULE("apply.unique_in_order")) plan.ordered = true;
        plan.columns.push_back(std::move(t));
    }
    if (plan.cascades) plan.ordered = true;
    for (const auto& t : now.columns)
        if (!t.on_update.empty() && GW_RULE("apply.on_update_columns")) plan.on_update.push_back(t.quoted);
    plan.insert_head = fmt::format("INSERT INTO {} ({}) VALUES ", plan.quoted, names);
    if (plan.keys.empty() && match.keyed && !plan.missing) {
        plan.missing = true;
        plan.missing_reason =
            fmt::format("the key columns of table {} do not exist on the target", plan.target.text());
    }
    return {};
}

Result<> MyApplier::define(const Relation& relation, const TableSchema& source_table) {
    auto plan = std::make_unique<Plan>();
    plan->relation = relation;
    plan->target = x_.target->name_of(relation.name);
    plan->quoted = quote_name(plan->target.schema, plan->target.table);
    // what the older version of this relation left open goes first
    if (in_transaction_) {
        GW_CHECK(mode_ == Mode::careful ? run_window() : send_all());
        GW_CHECK(drain());
    }
    GW_CHECK(read_target(*plan, source_table));
    Table& table = table_of(*plan);
    table.suspended = table.suspended_here;  // only tables that are in step are defined
    for (auto& run : table.runs) run = Run{};
    plans_[relation.id] = std::move(plan);
    return {};
}

// ---------------------------------------------------------------------------------------------- building

void MyApplier::put_key(ByteBuffer& to, const Plan& plan, const std::vector<Cell>& cells) const {
    if (plan.keys.size() == 1) {
        put_key_literal(to, plan.columns[plan.keys[0]], cells[plan.keys[0]]);
        return;
    }
    bool first = true;
    for (const auto i : plan.keys) {
        if (!first) append(to, " AND ");
        first = false;
        append(to, plan.columns[i].quoted);
        append(to, " = ");
        put_key_literal(to, plan.columns[i], cells[i]);
    }
}

void MyApplier::put_match(ByteBuffer& to, const Plan& plan, const std::vector<Cell>& cells) const {
    bool first = true;
    for (std::size_t i = 0; i < plan.columns.size() && i < cells.size(); ++i) {
        const PlanColumn& t = plan.columns[i];
        if (!t.key || cells[i].state == CellState::unchanged) continue;
        if (!first) append(to, " AND ");
        first = false;
        put_same(to, t, cells[i]);
    }
    if (first) append(to, "1 = 1");
    if (plan.match_all && GW_RULE("apply.one_of_equals")) append(to, " LIMIT 1");
}

// An UPDATE writes what was sent, and of a whole old row only what is new.
bool MyApplier::sets(const Plan& plan, std::size_t i, const std::vector<Cell>& old_cells,
                     const std::vector<Cell>& cells) const {
    if (!plan.columns[i].present || cells[i].state == CellState::unchanged) return false;
    if (old_cells.size() != cells.size()) return true;
    return old_cells[i].state != cells[i].state || !std::ranges::equal(old_cells[i].bytes, cells[i].bytes);
}

void MyApplier::add_insert(Plan& plan, Run& run, const std::vector<Cell>& cells) {
    append(run.values, run.rows == 0 ? "(" : ",(");
    bool first = true;
    for (std::size_t i = 0; i < plan.columns.size() && i < cells.size(); ++i) {
        if (!plan.columns[i].present) continue;
        if (!first) run.values.put_u8(',');
        first = false;
        if (cells[i].state == CellState::unchanged)
            append(run.values, "DEFAULT");
        else
            put_literal(run.values, plan.columns[i], cells[i]);
    }
    run.values.put_u8(')');
}

void MyApplier::add_update(Plan& plan, Run& run, const std::vector<Cell>& old_cells,
                           const std::vector<Cell>& cells) {
    if (run.assigned.size() != plan.columns.size()) {
        run.assigned.clear();
        run.assigned.resize(plan.columns.size());
        run.counts.assign(plan.columns.size(), 0);
    }
    key_.clear();
    put_key(key_, plan, cells);
    const bool one = plan.keys.size() == 1, short_case = plan.short_case();
    for (std::size_t i = 0; i < plan.columns.size() && i < cells.size(); ++i) {
        if (plan.columns[i].key || !sets(plan, i, old_cells, cells)) continue;
        ByteBuffer& to = run.assigned[i];
        append(to, " WHEN ");
        if (one && !short_case) {
            append(to, plan.columns[plan.keys[0]].quoted);
            append(to, " = ");
        }
        to.append(key_.view());
        append(to, " THEN ");
        put_literal(to, plan.columns[i], cells[i]);
        ++run.counts[i];
        ++run.whens;
    }
    if (run.rows != 0) append(run.values, one ? "," : " OR ");
    if (!one) run.values.put_u8('(');
    run.values.append(key_.view());
    if (!one) run.values.put_u8(')');
}

void MyApplier::add_remove(Plan& plan, Run& run, const std::vector<Cell>& cells) {
    const bool one = plan.keys.size() == 1;
    if (run.rows != 0) append(run.values, one ? "," : " OR ");
    if (!one) run.values.put_u8('(');
    put_key(run.values, plan, cells);
    if (!one) run.values.put_u8(')');
}

void MyApplier::build_single(ByteBuffer& to, const Plan& plan, RecordKind kind,
                             const std::vector<Cell>& old_cells, const std::vector<Cell>& cells) const {
    to.clear();
    if (kind == RecordKind::insert) {
        append(to, plan.insert_head);
        to.put_u8('(');
        bool first = true;
        for (std::size_t i = 0; i < plan.columns.size() && i < cells.size(); ++i) {
            if (!plan.columns[i].present) continue;
            if (!first) to.put_u8(',');
            first = false;
            if (cells[i].state == CellState::unchanged)
                append(to, "DEFAULT");
            else
                put_literal(to, plan.columns[i], cells[i]);
        }
        to.put_u8(')');
        return;
    }
    // The old row when the source sent it, else the new row: its key did not change.
    const auto& match = old_cells.empty() ? cells : old_cells;
    if (kind == RecordKind::remove) {
        append(to, "DELETE FROM ");
        append(to, plan.quoted);
    } else {
        append(to, "UPDATE ");
        append(to, plan.quoted);
        append(to, " SET ");
        bool first = true;
        std::set<std::string_view> set;
        for (std::size_t i = 0; i < plan.columns.size() && i < cells.size(); ++i) {
            const PlanColumn& t = plan.columns[i];
            if (!t.present || cells[i].state == CellState::unchanged) continue;
            if (!first) append(to, ", ");
            first = false;
            append(to, t.quoted);
            append(to, " = ");
            put_literal(to, t, cells[i]);
            set.insert(t.quoted);
        }
        for (const auto& name : plan.on_update)
            if (!set.contains(name)) {
                append(to, first ? "" : ", ");
                first = false;
                append(to, name + " = " + name);
            }
        if (first)
            for (const auto& t : plan.columns)
                if (t.present) {
                    append(to, t.quoted + " = " + t.quoted);
                    break;
                }
    }
    append(to, " WHERE ");
    put_match(to, plan, match);
}

// ---------------------------------------------------------------------------------------------- applying

Result<> MyApplier::begin(Mode mode) {
    converging_ = mode == Mode::converging;
    mode_ = converging_ ? Mode::careful : mode;
    in_transaction_ = true;
    began_ = false;
    parts_.clear();
    return {};
}

bool MyApplier::key_changed(const Plan& plan, const Record& r, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells) {
    if (r.old_kind == OldRow::none) return false;
    for (const auto i : plan.keys) {
        if (cells[i].state == CellState::unchanged) continue;
        if (old_cells[i].state != cells[i].state) return true;
        if (!std::ranges::equal(old_cells[i].bytes, cells[i].bytes)) return true;
    }
    return false;
}

// A session of the source that had switched them off changed this row alone.
bool MyApplier::keys_act(const Plan& plan, const Record& record) {
    return plan.cascades && record.kind != RecordKind::insert && GW_RULE("apply.cascades") &&
           !(record.keys_off && GW_RULE("apply.keys_off"));
}

void MyApplier::count(Table& table, RecordKind kind, std::uint64_t rows) {
    if (kind == RecordKind::insert) table.counts.inserts += rows;
    if (kind == RecordKind::update) table.counts.updates += rows;
    if (kind == RecordKind::remove) table.counts.deletes += rows;
    if (kind == RecordKind::truncate) table.counts.ddls += rows;
}

Result<> MyApplier::apply(const Record& record) {
    if (mode_ == Mode::fast) return apply_now(record);
    window_.append(record.raw);
    if (++window_records_ >= kCarefulRecords || window_.size() > (4U << 20)) return run_window();
    return {};
}

Result<> MyApplier::apply_now(const Record& record) {
    if (record.kind == RecordKind::truncate) return apply_truncate(record);
    const auto it = plans_.find(record.relation);
    if (it == plans_.end())
        return fail(ErrorCode::internal, fmt::format("change of an undefined relation {}", record.relation));
    Plan& plan = *it->second;
    Table& table = table_of(plan);
    if (table.suspended) return {};
    if (plan.missing) return fail(ErrorCode::not_found, plan.missing_reason);
    const RecordKind kind = record.kind;
    const bool inserting = kind == RecordKind::insert, removing = kind == RecordKind::remove;
    cells_.clear();
    old_cells_.clear();
    if (!removing) record.row.read(cells_);
    if (record.old_kind != OldRow::none) record.old_row.read(old_cells_);
    if (plan.insert_only && !inserting)
        return fail(ErrorCode::data_loss,
                    "an update of table " + plan.target.text() + " came without a row identity");

    const bool acts = keys_act(plan, record);
    bool single = plan.match_all && !inserting;
    if (!single && !inserting && plan.weak_keys) single = true;
    if (!single && kind == RecordKind::update) {
        if (key_changed(plan, record, old_cells_, cells_)) {
            single = true;
        } else {
            for (const auto i : plan.keys) single = single || cells_[i].state < CellState::text;
            // Without a whole old row nobody knows whether a unique column changed.
            const auto& whole = record.old_kind == OldRow::full ? old_cells_ : std::vector<Cell>{};
            for (std::size_t i = 0; i < plan.columns.size() && !single; ++i)
                single = plan.columns[i].unique && !plan.columns[i].key && sets(plan, i, whole, cells_);
            if (!single && record.old_kind != OldRow::full) old_cells_.clear();
        }
    }
    if (!single && removing)
        for (const auto i : plan.keys) single = single || old_cells_[i].state < CellState::text;
    if (single) {
        GW_CHECK(send_table(table));
        if (plan.cascades) GW_CHECK(send_all());
        build_single(statement_, plan, kind, old_cells_, cells_);
        if (acts) GW_CHECK(put_statement(kAny, nullptr, "SET foreign_key_checks = 1"));
        GW_CHECK(put_statement(1, &plan));
        if (acts) GW_CHECK(put_statement(kAny, nullptr, "SET foreign_key_checks = 0"));
        count(table, kind, 1);
        return {};
    }

    Run& run = table.runs[run_index(kind)];
    // Where order matters, only one statement of the table is open.
    if (plan.ordered || (run.rows != 0 && run.plan != &plan))
        for (auto& other : table.runs)
            if ((&other != &run || other.plan != &plan) && other.rows != 0) {
                GW_CHECK(send_table(table));
                break;
            }
    if (!plan.match_all) {
        const auto& key_cells = removing ? old_cells_ : cells_;
        std::uint64_t h = 0x2545f4914f6cdd1dULL;
        for (const auto i : plan.keys) h = hash_bytes(h, key_cells[i].bytes);
        if (table.keys.size() >= KeySet::kMax) GW_CHECK(send_table(table));
        if (!plan.keys.empty() && !table.keys.insert(h) && GW_RULE("apply.key_once_per_statement")) {
            GW_CHECK(send_table(table));
            table.keys.insert(h);
        }
    }
    if (kind == RecordKind::update) {
        // A document that is kept may not pass through text: such rows do not share a statement with others.
        std::string documents;
        for (std::size_t i = 0; i < plan.columns.size(); ++i)
            if (plan.columns[i].writes == Writes::json)
                documents += sets(plan, i, old_cells_, cells_) ? '1' : '0';
        if (run.rows != 0 && run.documents != documents) GW_CHECK(close_run(run));
        run.documents = std::move(documents);
    }
    run.plan = &plan;
    run.kind = kind;
    const std::size_t before = run.values.size();
    std::size_t assigned = 0;
    if (inserting) {
        add_insert(plan, run, cells_);
    } else if (removing) {
        add_remove(plan, run, old_cells_);
    } else {
        const std::uint32_t whens = run.whens;
        add_update(plan, run, old_cells_, cells_);
        assigned = (run.whens - whens) * (key_.size() + 16);
        for (std::size_t i = 0; i < cells_.size(); ++i) assigned += cells_[i].bytes.size();
    }
    const std::size_t bytes = run.values.size() - before + assigned;
    run.bytes += bytes;
    buffered_ += bytes;
    ++run.rows;
    if (!table.dirty) {
        table.dirty = true;
        dirty_.push_back(&table);
    }
    count(table, kind, 1);
    if (plan.cascades && !inserting) {
        // children that wait are sent before, and the server checks while it acts on them
        Run held = std::move(run);
        run = Run{};
        table.dirty = false;
        std::erase(dirty_, &table);
        GW_CHECK(send_all());
        if (acts) GW_CHECK(put_statement(kAny, nullptr, "SET foreign_key_checks = 1"));
        GW_CHECK(close_run(held));
        if (acts) GW_CHECK(put_statement(kAny, nullptr, "SET foreign_key_checks = 0"));
        table.keys.clear();
        return {};
    }
    if (run.rows >= kRunRows || run.whens >= kRunWhens || run.bytes >= kRunBytes) return close_run(run);
    return {};
}

// TRUNCATE would commit what stands before it in the group.
Result<> MyApplier::apply_truncate(const Record& record) {
    GW_CHECK(send_all());
    ByteReader in(record.list);
    while (!in.at_end()) {
        const auto it = plans_.find(in.le<std::uint32_t>());
        if (it == plans_.end() || it->second->missing) continue;
        Table& table = table_of(*it->second);
        if (table.suspended) continue;
        const char* const empties = GW_RULE("apply.truncate_deletes") ? "DELETE FROM " : "TRUNCATE TABLE ";
        GW_CHECK(put_statement(kAny, it->second.get(), empties + it->second->quoted));
        count(table, RecordKind::truncate, 1);
    }
    return {};
}

Result<> MyApplier::change_schema(const SchemaChange& change) {
    // DDL would commit rows without their position.
    if (!in_transaction_ || began_ || window_records_ != 0 || buffered_bytes() != 0)
        return fail(ErrorCode::internal, "a change of shape is not the first of its transaction");
    const TableName target = x_.target->name_of(change.table);
    const auto now = GW_TRY(read_table(c_, target));
    const auto known = GW_TRY(read_collations(c_));
    const auto reshape = [&](bool values) -> Result<> {
        for (const auto& sql : GW_TRY(reshape_sql(change, target, now, *x_.target, x_.facts, known, values)))
            GW_CHECK(run_ddl(c_, *x_.target, target, sql));
        return {};
    };
    auto done = reshape(true);
    if (!done && change.kind == SchemaChange::Kind::change_type && does_not_go_with_type(c_.error_number())) {
        done = reshape(false);
        if (done && x_.target->log != nullptr)
            x_.target->log->warning(
                Component::target_apply,
                fmt::format(
                    "column {} of table {} loses its DEFAULT or AUTO_INCREMENT on the target: it does not go "
                    "with the column's new type",
                    change.column.name, target.text()));
    }
    if (!done) return std::unexpected(std::move(done).error().with("table " + target.text()));
    began_ = true;
    const auto known_as = GW_TRY(
        c_.query("SELECT 1 FROM godwit.gw_table" + where_table(x_.task, change.table) + " FOR UPDATE"));
    if (known_as.size() == 0) return {};  // renamed before
    for (const auto& sql : ledger_change_sql(x_.task, change, *x_.target)) GW_CHECK(c_.run(sql));
    return {};
}

Result<> MyApplier::save_part(const TableState& table) {
    parts_ += part_sql(x_.task, x_.epoch, table) + "; ";
    return {};
}

Result<> MyApplier::commit(const std::optional<Position>& position, const std::vector<TableState>& tables) {
    if (mode_ == Mode::careful) GW_CHECK(run_window());
    GW_CHECK(send_all());
    if (!began_ && packet_.empty() && !position && tables.empty() && parts_.empty()) {
        in_transaction_ = false;
        return {};
    }
    // Every statement must have met exactly the rows that the log speaks of before anything may commit.
    GW_CHECK(drain());
    GW_FAILPOINT("apply.rows_sent");
    constexpr std::string_view met = "; SELECT IF(ROW_COUNT() = 1, 1, (SELECT 1 UNION ALL SELECT 2)); ";
    std::string last = std::exchange(parts_, {});
    const auto suspended = [&](const TableName& name) {
        return std::ranges::any_of(tables_, [&](const auto& entry) {
            return entry.second.suspended_here && entry.second.source == name;
        });
    };
    for (const auto& t : tables)
        if (!suspended(t.name)) last += table_state_sql(x_.task, x_.epoch, t) + std::string(met);
    if (position) {
        if (x_.write_txn_state)
            last += txn_state_sql(x_.target->control_schema, x_.server_name, x_.task, *position) + "; ";
        last += position_sql(x_.task, x_.sequence, x_.epoch, *position) + std::string(met);
    }
    began_ = true;
    GW_FAILPOINT("apply.before_commit");
    auto done = c_.run(last + "COMMIT");
    if (!done) {
        const unsigned number = c_.error_number();
        return std::unexpected(explain_refusal(std::move(done).error(), number, "a commit of changes"));
    }
    GW_FAILPOINT("apply.committed");
    if (position) ++x_.sequence;
    in_transaction_ = false;
    began_ = false;
    for (auto& [name, table] : tables_) {
        const auto& k = table.counts;
        if (k.inserts + k.updates + k.deletes + k.ddls + k.conflicts != 0)
            committed_.push_back({table.source, k});
        table.counts = {};
        table.suspended_here = false;
    }
    return {};
}

void MyApplier::abort() {
    forget_runs();
    for (auto& [name, table] : tables_)
        if (std::exchange(table.suspended_here, false)) table.suspended = false;
    window_.clear();
    window_records_ = 0;
    conflicts_.clear();
    if (sent_) [[maybe_unused]]
        auto ignored = receive();
    if (began_ && c_.healthy()) [[maybe_unused]]
        auto ignored = c_.run("ROLLBACK; SET foreign_key_checks = 0");
    in_transaction_ = false;
    began_ = false;
}

// ---------------------------------------------------------------------------------------------- careful mode

Result<> MyApplier::run_window() {
    if (window_records_ == 0) return {};
    std::map<TableName, ApplyCounts> before;
    for (auto& [name, table] : tables_) before[name] = table.counts;
    // First as in fast mode, under one savepoint. It is on the server before anything of the window: what
    // fails here may never have sent a packet, and the name would lead back into the window before.
    GW_CHECK(put_statement(kAny, nullptr, "SAVEPOINT gw_window"));
    GW_CHECK(drain());
    Result<> whole;
    {
        RecordReader reader(window_.view());
        Record record;
        while (whole && reader.next(record)) whole = apply_now(record);
    }
    if (whole) whole = send_all();
    if (whole) {
        whole = drain();
    } else {
        packet_.clear();
        in_packet_.clear();
        // what was on its way may have ended the transaction
        if (auto rest = receive(); !rest && (!c_.healthy() || rest.error().retry != Retry::never))
            return rest;
    }
    if (whole) {
        window_.clear();
        window_records_ = 0;
        return {};
    }
    if (!c_.healthy() || whole.error().retry != Retry::never) return whole;
    packet_.clear();
    in_packet_.clear();
    if (auto back = c_.run("ROLLBACK TO SAVEPOINT gw_window; SET foreign_key_checks = 0"); !back) {
        if (c_.error_number() == 1305)  // the windows before it went with it
            return fail(ErrorCode::aborted, "the target has ended the transaction of the changes",
                        Retry::from_checkpoint);
        return back;
    }
    for (auto& [name, table] : tables_) {
        for (auto& run : table.runs) run = Run{};
        table.keys.clear();
        table.counts = before[name];
        table.dirty = false;
    }
    dirty_.clear();
    buffered_ = 0;
    // then one by one, in the order of the log
    RecordReader reader(window_.view());
    Record record;
    while (reader.next(record)) GW_CHECK(apply_single(record));
    window_.clear();
    window_records_ = 0;
    return {};
}

Result<> MyApplier::apply_single(const Record& record) {
    if (record.kind == RecordKind::truncate) {
        GW_CHECK(apply_truncate(record));
        return drain();
    }
    const auto it = plans_.find(record.relation);
    if (it == plans_.end())
        return fail(ErrorCode::internal, fmt::format("change of an undefined relation {}", record.relation));
    Plan& plan = *it->second;
    Table& table = table_of(plan);
    if (table.suspended) return {};
    std::vector<Cell> cells, old_cells;
    if (record.kind != RecordKind::remove) record.row.read(cells);
    if (record.old_kind != OldRow::none) record.old_row.read(old_cells);
    if (plan.missing)
        return decide(plan, record, ConflictAction::suspend_table,
                      Error{ErrorCode::not_found, Retry::never, plan.missing_reason, {}, "42S02"}, old_cells,
                      cells);
    const bool by_old = record.kind == RecordKind::remove || plan.match_all ||
                        (record.kind == RecordKind::update && key_changed(plan, record, old_cells, cells));
    if (!by_old) old_cells.clear();
    build_single(statement_, plan, record.kind, old_cells, cells);
    if (auto fits = check_size(statement_.size()); !fits)
        return decide(plan, record, x_.policy.data_error, fits.error(), old_cells, cells);
    std::string packet = "SAVEPOINT gw_row; ";
    if (keys_act(plan, record)) packet += "SET foreign_key_checks = 1; ";
    packet += as_text(statement_.view());
    began_ = true;
    auto answers = c_.query_all(packet);
    Error why;
    unsigned number = 0;
    if (!answers) {
        // The statement is undone by itself; a lost transaction is not.
        number = c_.error_number();
        why = std::move(answers).error();
        if (!c_.healthy() || why.retry != Retry::never) return std::unexpected(std::move(why));
    } else if (const auto& done = answers->back(); done.affected() == 1 && done.warnings() == 0) {
        count(table, record.kind, 1);
        if (plan.cascades) return c_.run("SET foreign_key_checks = 0");
        return {};
    } else if (done.affected() != 1) {
        why = fail(ErrorCode::conflict, done.affected() == 0 ? "" : "more than one row has this key").error();
    } else {
        const auto remarks = GW_TRY(c_.query("SHOW WARNINGS LIMIT 100"));
        for (std::size_t i = 0; i < remarks.size() && number == 0; ++i)
            if (!harmless(remarks.number(i, 1))) {
                number = static_cast<unsigned>(remarks.number(i, 1));
                why = make_error(number, "22000", remarks.text(i, 2));
                why.code = ErrorCode::invalid_argument;
                why.retry = Retry::never;
            }
        if (number == 0) {
            count(table, record.kind, 1);
            if (plan.cascades) return c_.run("SET foreign_key_checks = 0");
            return {};
        }
    }
    GW_CHECK(c_.run("ROLLBACK TO SAVEPOINT gw_row; SET foreign_key_checks = 0"));
    const ConflictPolicy policy = converging_ ? converging_policy(x_.policy) : x_.policy;
    ConflictAction action = policy.data_error;
    if (number == 0 && why.message.empty())
        action = record.kind == RecordKind::update ? policy.update_missing : policy.delete_missing;
    else if (number == 1062 || number == 1586)
        action = record.kind == RecordKind::insert ? policy.insert_exists : policy.update_missing;
    else if (why.code == ErrorCode::not_found || why.code == ErrorCode::failed_precondition ||
             why.code == ErrorCode::permission_denied)
        action = ConflictAction::suspend_table;  // not this row: the table
    else if (why.code != ErrorCode::conflict && why.code != ErrorCode::invalid_argument)
        return std::unexpected(std::move(why));
    return decide(plan, record, action, why, old_cells, cells);
}

// The row gets this image and keeps what only the target's table has. Not ON DUPLICATE KEY UPDATE, which with
// two unique indexes rewrites another row. False: it cannot be had; the caller goes back to gw_row.
Result<bool> MyApplier::overwrite(const Plan& plan, const std::vector<Cell>& old_cells,
                                  const std::vector<Cell>& cells) {
    std::string packet = "SAVEPOINT gw_row; ";
    ByteBuffer part;
    const std::vector<Cell> none;
    if (!old_cells.empty()) {  // the row leaves its old key
        build_single(part, plan, RecordKind::remove, old_cells, none);
        packet += as_text(part.view());
        packet += "; ";
    }
    build_single(part, plan, RecordKind::update, none, cells);
    packet += as_text(part.view());
    const auto updated = GW_TRY(c_.query_all(packet));
    if (updated.back().warnings() != 0) return false;
    if (updated.back().affected() != 0) return updated.back().affected() == 1;
    build_single(part, plan, RecordKind::insert, none, cells);
    const auto inserted = GW_TRY(c_.query_all(as_text(part.view())));
    return inserted.back().affected() == 1 && inserted.back().warnings() == 0;
}

Result<> MyApplier::decide(Plan& plan, const Record& record, ConflictAction action, const Error& why,
                           const std::vector<Cell>& old_cells, const std::vector<Cell>& cells) {
    Table& table = table_of(plan);
    if (converging_ && action == ConflictAction::ignore) return {};
    if (!converging_) ++table.counts.conflicts;
    const std::string text = !why.message.empty()                ? why.message
                             : record.kind == RecordKind::update ? "UPDATE found no row with this key"
                                                                 : "DELETE found no row with this key";
    if (action == ConflictAction::overwrite) {
        const bool whole =
            record.kind != RecordKind::remove &&
            std::ranges::none_of(cells, [](const Cell& c) { return c.state == CellState::unchanged; });
        if (whole && !plan.keys.empty()) {
            auto done = overwrite(plan, old_cells, cells);
            if (done && *done) {
                count(table, record.kind, 1);
                if (!converging_) conflicts_.push_back({plan.relation.name, record.kind, action, text});
                return {};
            }
            if (!done && (!c_.healthy() || done.error().retry != Retry::never))
                return std::unexpected(std::move(done).error());
            GW_CHECK(c_.run("ROLLBACK TO SAVEPOINT gw_row"));
        }
        action = ConflictAction::log;  // a partial image is never completed with NULL
    }
    conflicts_.push_back({plan.relation.name, record.kind, action, text});
    switch (action) {
        case ConflictAction::ignore:
            return {};
        case ConflictAction::log:
            return write_exception(plan, record.kind, text);
        case ConflictAction::suspend_table:
            table.suspended = table.suspended_here = true;
            // commits together with the change that it skips
            GW_CHECK(c_.run(suspend_sql(x_.task, x_.epoch, plan.relation.name, text)));
            return write_exception(plan, record.kind, text);
        case ConflictAction::stop_task:
            return fail(ErrorCode::failed_precondition,
                        fmt::format("{} on table {}: {}; the task's ErrorBehavior says STOP_TASK",
                                    record.kind == RecordKind::insert   ? "INSERT"
                                    : record.kind == RecordKind::update ? "UPDATE"
                                                                        : "DELETE",
                                    plan.target.text(), text));
        case ConflictAction::overwrite:
            break;
    }
    return {};
}

Result<> MyApplier::write_exception(const Plan& plan, RecordKind kind, const std::string& error) {
    // The statement's shape only: the row stays where it belongs.
    const std::string statement = kind == RecordKind::insert   ? "INSERT INTO " + plan.quoted
                                  : kind == RecordKind::update ? "UPDATE " + plan.quoted
                                                               : "DELETE FROM " + plan.quoted;
    return c_.run(exception_sql(x_.target->control_schema, x_.task, plan.relation.name, statement, error));
}

}  // namespace

std::unique_ptr<Applier> make_applier(Connection connection, ApplierContext context) {
    return std::make_unique<MyApplier>(std::move(connection), std::move(context));
}

}  // namespace godwit::mysql
