#include "targets/postgres/applier.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <unordered_map>

#include "base/failpoint.h"
#include "targets/postgres/ledger.h"
#include "targets/postgres/reshape_sql.h"

namespace godwit::postgres {
namespace {

constexpr std::uint32_t kRunRows = 500;       // measured: more is slower, fewer as well
constexpr std::size_t kRunBytes = 1U << 20;   // of parameters; wide rows make shorter runs
constexpr std::size_t kOpenKeysMax = 4096;    // per table, before its runs are sent
constexpr std::size_t kCarefulRecords = 256;  // records under one savepoint in careful mode
constexpr std::size_t kStatementsMax = 2000;  // prepared per session; beyond, all are made anew
constexpr std::uint32_t kTextOid = 25;

std::uint64_t hash_bytes(std::uint64_t seed, Bytes bytes) noexcept {
    std::uint64_t h = seed ^ (bytes.size() * 0x9e3779b97f4a7c15ULL);
    const std::byte* p = bytes.data();
    std::size_t n = bytes.size();
    while (n >= 8) {
        std::uint64_t v = 0;
        std::memcpy(&v, p, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdULL;
        h ^= h >> 32;
        p += 8;
        n -= 8;
    }
    std::uint64_t v = 0;
    if (n != 0) std::memcpy(&v, p, n);
    h = (h ^ v) * 0xff51afd7ed558ccdULL;
    return h ^ (h >> 29);
}

// Hashes of the keys in a table's open runs. A false hit only sends the runs earlier than needed.
class KeySet {
public:
    KeySet() : slots_(2 * kOpenKeysMax) {}
    // false: already there
    bool insert(std::uint64_t key) noexcept {
        if (key == 0) key = 1;
        for (std::size_t i = key & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
            if (slots_[i].stamp != stamp_) {
                slots_[i] = {key, stamp_};
                ++size_;
                return true;
            }
            if (slots_[i].key == key) return false;
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    void clear() noexcept {
        ++stamp_;
        size_ = 0;
    }

private:
    struct Slot {
        std::uint64_t key = 0;
        std::uint64_t stamp = 0;
    };
    std::vector<Slot> slots_;
    std::uint64_t stamp_ = 1;
    std::size_t size_ = 0;
};

// A column of the target table that receives a column of the relation.
struct TargetColumn {
    std::string name;       // quoted
    std::string type;       // base type without modifier, for casts: bpchar, "s"."mood"
    std::uint32_t oid = 0;  // of that base type
    std::string equals;     // OPERATOR(schema.=), empty when the type has no btree equality
    bool is_array = false;  // unnest would flatten it
    bool present = false;   // exists on the target and is written
    bool key = false;       // rows are matched by it
};

enum class Form : std::uint8_t { batch, single };

// One prepared statement: the table, operation and the states of all cells decide its text.
struct Statement {
    std::string name;
    std::string sql;
    Form form = Form::batch;
    bool prepared = false;
    // parameters in order: index of the cell, and whether it comes from the old row
    struct Parameter {
        std::uint16_t column;
        bool old_row;
        bool binary;
        std::uint32_t oid;  // element type of the array, or of the value
    };
    std::vector<Parameter> parameters;
};

struct Run {
    Statement* statement = nullptr;
    RecordKind kind = RecordKind::insert;
    std::uint32_t rows = 0;
    std::size_t bytes = 0;
    std::vector<ByteBuffer> arrays;  // per parameter: room for the header, then elements
    std::vector<bool> has_null;
};

constexpr std::size_t kArrayHeader = 20;

struct Plan {
    Relation relation;
    TableName target;    // on the target
    std::string quoted;  // "s"."t"
    std::vector<TargetColumn> columns;
    bool match_all = false;  // no key: matched on all columns, one row
    bool insert_only = false;
    bool missing = false;  // no such table on the target
    std::string missing_reason;
    std::unordered_map<std::string, std::unique_ptr<Statement>> statements;  // by operation and states
    // the last statement used per operation, so that the map is rarely asked
    struct Last {
        std::string signature;
        Statement* statement = nullptr;
    };
    std::array<Last, 8> last;
};

// One table's open runs in the current transaction (shared by the versions of the relation).
struct Table {
    TableName source;
    std::vector<Run> runs;
    KeySet keys;
    ApplyCounts counts;  // of the open transaction
    bool suspended = false;
};

class PgApplier final : public Applier {
public:
    PgApplier(pg::Connection connection, ApplierContext context)
        : c_(std::move(connection)), x_(std::move(context)) {}
    ~PgApplier() override = default;

    Result<> define(const Relation& relation, const TableSchema& source_table) override;
    Result<> begin(Mode mode) override;
    Result<> change_schema(const SchemaChange& change) override;
    Result<> apply(const Record& record) override;
    std::size_t buffered_bytes() const override { return buffered_ + window_.size(); }
    Result<> commit(const std::optional<Position>& position, const std::vector<TableState>& tables) override;
    bool durable() const override { return durable_; }
    Result<> make_durable() override;
    void abort() override;
    std::vector<TableApplied> take_counts() override { return std::exchange(committed_, {}); }
    std::vector<ApplyConflict> take_conflicts() override { return std::exchange(conflicts_, {}); }

private:
    struct Expected {
        std::uint64_t rows;  // kAny: not checked
        bool prepare;
        const Plan* plan;
        RecordKind kind;
    };
    static constexpr std::uint64_t kAny = ~0ULL;

    Result<> open_transaction();
    Result<> apply_now(const Record& record);
    Result<> apply_truncate(const Record& record);
    Statement& statement_for(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                             const std::vector<Cell>& cells, bool single, std::string_view variant);
    void build_batch(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                     const std::vector<Cell>& cells, Statement& s);
    void build_single(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                      const std::vector<Cell>& cells, std::string_view variant, Statement& s);
    Result<> send_run(Plan& plan, Table& table, Run& run);
    Result<> send_table(Plan& plan, Table& table);
    Result<> send_all();
    Result<> send_single(Plan& plan, Statement& s, RecordKind kind, const std::vector<Cell>& old_cells,
                         const std::vector<Cell>& cells, std::uint64_t expected_rows);
    Result<> ensure_prepared(Statement& s, const Plan* plan);
    Result<> send_text(const std::string& sql, std::uint64_t expected_rows = kAny);
    Result<> send_params(const std::string& sql, const std::vector<Param>& params);
    // Sends everything and takes all answers. The first unexpected one is the error; the session is then
    // still in its (failed) transaction and the pipeline is at rest.
    Result<> drain();
    Result<> pump(bool wait_for_write);
    Result<> run_window();
    Result<> apply_single(const Record& record);
    Result<> decide(Plan& plan, const Record& record, ConflictAction action, const Error& why,
                    const std::vector<Cell>& old_cells, const std::vector<Cell>& cells);
    Result<> write_exception(const Plan& plan, RecordKind kind, const std::string& error);
    Result<> read_target(Plan& plan, const TableSchema& source_table);
    Result<pg::Rows> ask(const std::string& sql);
    void forget_runs();
    void forget_statements();
    Table& table_of(const Plan& plan) {
        Table& t = tables_[plan.target];
        if (t.source.table.empty()) t.source = plan.relation.name;
        return t;
    }
    static bool key_changed(const Plan& plan, const Record& r, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells);
    void count(Table& table, RecordKind kind, std::uint64_t rows);

    pg::Connection c_;
    ApplierContext x_;
    std::map<std::uint32_t, std::unique_ptr<Plan>> plans_;  // by relation id
    std::map<TableName, Table> tables_;                     // by target table
    std::vector<std::pair<Plan*, Table*>> dirty_;           // tables with open runs
    std::deque<Expected> expected_;                         // answers on their way
    std::vector<ApplyConflict> conflicts_;
    std::vector<TableApplied> committed_;
    std::vector<Cell> cells_, old_cells_, shape_;
    std::string signature_;
    ByteBuffer window_;  // careful mode: records under the next savepoint
    std::size_t window_records_ = 0;
    std::uint64_t statement_number_ = 0;
    std::size_t prepared_ = 0;  // on the server
    bool deallocate_ = false;   // before the next one is prepared
    std::size_t buffered_ = 0;
    Mode mode_ = Mode::fast;
    bool in_transaction_ = false;
    bool began_ = false;
    bool in_pipeline_ = false;
    bool durable_ = true;
    TableName last_table_;
};

// ---------------------------------------------------------------------------------------------- talking

Result<> PgApplier::pump(bool wait_for_write) {
    PGconn* raw = c_.raw();
    for (;;) {
        const int left = PQflush(raw);
        if (left < 0) return std::unexpected(c_.error_of(nullptr, "apply"));
        if (left == 0 || !wait_for_write) return {};
        pollfd p{PQsocket(raw), POLLIN | POLLOUT, 0};
        if (::poll(&p, 1, 60000) == 0)
            return fail(ErrorCode::unavailable, "the target does not take data for 60 s",
                        Retry::from_checkpoint);
        // answers are taken in while we write, or both sides would wait for each other
        if ((p.revents & POLLIN) != 0 && PQconsumeInput(raw) != 1)
            return std::unexpected(c_.error_of(nullptr, "apply"));
    }
}

// After an error nobody knows which statements the server has: those parsed behind it were never made.
void PgApplier::forget_statements() {
    for (auto& [id, plan] : plans_)
        for (auto& [signature, s] : plan->statements) s->prepared = false;
    prepared_ = 0;
    deallocate_ = true;
}

Result<> PgApplier::ensure_prepared(Statement& s, const Plan* plan) {
    if (s.prepared) return {};
    if (prepared_ >= kStatementsMax) forget_statements();
    if (deallocate_) {
        deallocate_ = false;
        GW_CHECK(send_text("DEALLOCATE ALL"));
    }
    ++prepared_;
    std::vector<Oid> types;
    if (s.form == Form::single)
        for (const auto& p : s.parameters) types.push_back(p.oid);
    if (PQsendPrepare(c_.raw(), s.name.c_str(), s.sql.c_str(), static_cast<int>(types.size()),
                      types.empty() ? nullptr : types.data()) != 1)
        return std::unexpected(c_.error_of(nullptr, "apply"));
    expected_.push_back({kAny, true, plan, RecordKind::insert});
    s.prepared = true;
    return {};
}

Result<> PgApplier::send_text(const std::string& sql, std::uint64_t expected_rows) {
    if (PQsendQueryParams(c_.raw(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) != 1)
        return std::unexpected(c_.error_of(nullptr, "apply"));
    expected_.push_back({expected_rows, false, nullptr, RecordKind::insert});
    return {};
}

Result<> PgApplier::send_params(const std::string& sql, const std::vector<Param>& params) {
    std::vector<const char*> values;
    for (const auto& p : params) values.push_back(p ? p->c_str() : nullptr);
    if (PQsendQueryParams(c_.raw(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                          nullptr, nullptr, 0) != 1)
        return std::unexpected(c_.error_of(nullptr, "apply"));
    expected_.push_back({kAny, false, nullptr, RecordKind::insert});
    return {};
}

Result<> PgApplier::drain() {
    PGconn* raw = c_.raw();
    if (PQpipelineSync(raw) != 1) return std::unexpected(c_.error_of(nullptr, "apply"));
    GW_CHECK(pump(true));
    Result<> outcome;
    bool synced = false;
    while (!synced) {
        while (PQisBusy(raw) != 0) {
            pollfd p{PQsocket(raw), POLLIN, 0};
            ::poll(&p, 1, 1000);
            if (PQconsumeInput(raw) != 1) {
                expected_.clear();
                return std::unexpected(c_.error_of(nullptr, "apply"));
            }
        }
        PGresult* result = PQgetResult(raw);
        if (result == nullptr) {
            if (!c_.healthy()) {
                expected_.clear();
                return std::unexpected(c_.error_of(nullptr, "apply"));
            }
            continue;  // between two statements
        }
        const pg::Rows rows(result);
        switch (PQresultStatus(result)) {
            case PGRES_PIPELINE_SYNC:
                synced = true;
                break;
            case PGRES_COMMAND_OK:
            case PGRES_TUPLES_OK: {
                if (expected_.empty()) break;
                const Expected e = expected_.front();
                expected_.pop_front();
                if (!outcome || e.prepare || e.rows == kAny) break;
                if (rows.affected() != e.rows)
                    outcome = fail(ErrorCode::conflict, fmt::format("{} rows met the target where {} were to",
                                                                    rows.affected(), e.rows));
                break;
            }
            case PGRES_PIPELINE_ABORTED:
                if (!expected_.empty()) expected_.pop_front();
                break;
            default: {
                Error error = c_.error_of(result, "");
                if (!expected_.empty()) {
                    if (expected_.front().plan != nullptr)
                        error.context.push_back("table " + expected_.front().plan->target.text());
                    expected_.pop_front();
                }
                if (outcome) outcome = std::unexpected(std::move(error));
                if (!c_.healthy()) {
                    expected_.clear();
                    return outcome;
                }
                break;
            }
        }
    }
    expected_.clear();
    return outcome;
}

Result<pg::Rows> PgApplier::ask(const std::string& sql) {
    if (in_pipeline_) {
        GW_CHECK(drain());
        if (PQexitPipelineMode(c_.raw()) != 1) return std::unexpected(c_.error_of(nullptr, "apply"));
        in_pipeline_ = false;
        PQsetnonblocking(c_.raw(), 0);
    }
    return c_.query(sql);
}

// ---------------------------------------------------------------------------------------------- plans

Result<> PgApplier::read_target(Plan& plan, const TableSchema& source_table) {
    const std::string sql = fmt::format(
        "SELECT a.attname, b.oid, pg_catalog.format_type(b.oid, -1), "
        "(b.typcategory = 'A' OR (b.typelem <> 0 AND b.typlen = -1)), a.attgenerated <> '', "
        "(SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_opclass o "
        "  JOIN pg_catalog.pg_amop m ON m.amopfamily = o.opcfamily AND m.amoplefttype = o.opcintype "
        "   AND m.amoprighttype = o.opcintype AND m.amopstrategy = 3 "
        "  JOIN pg_catalog.pg_operator p ON p.oid = m.amopopr JOIN pg_catalog.pg_namespace n ON n.oid = "
        "p.oprnamespace "
        "  WHERE o.opcmethod = 403 AND o.opcdefault AND (o.opcintype = b.oid OR "
        "   (o.opcintype = 'anyarray'::regtype AND b.typcategory = 'A') OR "
        "   (o.opcintype = 'anyenum'::regtype AND b.typtype = 'e') OR "
        "   (o.opcintype = 'anyrange'::regtype AND b.typtype = 'r') OR "
        "   (o.opcintype = 'text'::regtype AND b.oid = 'varchar'::regtype)) "
        "  LIMIT 1) "
        "FROM pg_catalog.pg_attribute a "
        "CROSS JOIN LATERAL (WITH RECURSIVE base AS (SELECT t.oid, t.typbasetype, t.typtype FROM "
        "pg_catalog.pg_type t "
        "   WHERE t.oid = a.atttypid UNION ALL SELECT t.oid, t.typbasetype, t.typtype FROM base "
        "   JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd') "
        "   SELECT t.* FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE base.typtype <> 'd') b "
        "WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped",
        pg::quote_literal(plan.quoted));
    const auto rows = GW_TRY(ask(sql));
    if (rows.size() == 0) {
        plan.missing = true;
        plan.missing_reason = "table " + plan.target.text() + " does not exist on the target";
        return {};
    }
    std::map<std::string, TargetColumn> found;
    std::set<std::string> generated;
    for (int i = 0; i < rows.size(); ++i) {
        TargetColumn t;
        const std::string name = rows.text(i, 0);
        t.name = pg::quote_name(name);
        t.oid = static_cast<std::uint32_t>(rows.number(i, 1));
        t.type = rows.text(i, 2);
        t.is_array = rows.flag(i, 3);
        t.equals = rows.null(i, 5) ? "" : "OPERATOR(" + rows.text(i, 5) + ".=)";
        t.present = true;
        if (rows.flag(i, 4)) generated.insert(name);
        found.emplace(name, std::move(t));
    }
    const std::set<std::string> keys(source_table.identity_columns.begin(),
                                     source_table.identity_columns.end());
    const bool keyed = !keys.empty() && keys.size() <= plan.relation.columns.size() &&
                       !(plan.relation.identity == RowIdentity::full && source_table.primary_key.empty() &&
                         keys.size() == source_table.columns.size());
    plan.match_all = plan.relation.identity == RowIdentity::full && !keyed;
    plan.insert_only = plan.relation.identity == RowIdentity::none;
    for (const auto& column : plan.relation.columns) {
        TargetColumn t;
        if (const auto it = found.find(column.name); it != found.end() && !generated.contains(column.name)) {
            t = it->second;
        } else if (const ColumnSchema* s = source_table.column(column.name);
                   it == found.end() && (s == nullptr || !s->generated)) {
            plan.missing = true;
            plan.missing_reason = fmt::format("column {} of table {} does not exist on the target",
                                              column.name, plan.target.text());
        }
        t.key = keyed ? keys.contains(column.name) : plan.match_all;
        plan.columns.push_back(std::move(t));
    }
    return {};
}

Result<> PgApplier::define(const Relation& relation, const TableSchema& source_table) {
    auto plan = std::make_unique<Plan>();
    plan->relation = relation;
    plan->target = {x_.target_schema.empty() ? relation.name.schema : x_.target_schema, relation.name.table};
    plan->quoted = pg::quote_name(plan->target.schema, plan->target.table);
    // what the older version of this relation left open goes first
    if (in_transaction_) GW_CHECK(mode_ == Mode::careful ? run_window() : send_all());
    GW_CHECK(read_target(*plan, source_table));
    table_of(*plan).suspended = false;  // only tables that are in step are defined
    plans_[relation.id] = std::move(plan);
    return {};
}

Statement& PgApplier::statement_for(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                                    const std::vector<Cell>& cells, bool single, std::string_view variant) {
    signature_.clear();
    signature_ += static_cast<char>(kind);
    signature_ += single ? 's' : 'b';
    signature_ += variant;
    signature_ += ':';
    // NULL and a value of either encoding may share a batch as long as the column's encoding is one
    for (const auto& cell : cells) signature_ += static_cast<char>('0' + static_cast<int>(cell.state));
    signature_ += ':';
    for (const auto& cell : old_cells) signature_ += static_cast<char>('0' + static_cast<int>(cell.state));
    auto& last = plan.last[static_cast<std::size_t>(kind) & 7U];
    if (last.statement != nullptr && last.signature == signature_) return *last.statement;
    auto& slot = plan.statements[signature_];
    if (!slot) {
        slot = std::make_unique<Statement>();
        slot->name = fmt::format("gw{}", ++statement_number_);
        slot->form = single ? Form::single : Form::batch;
        if (single)
            build_single(plan, kind, old_cells, cells, variant, *slot);
        else
            build_batch(plan, kind, old_cells, cells, *slot);
    }
    last.signature = signature_;
    last.statement = slot.get();
    return *slot;
}

void PgApplier::build_batch(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells, Statement& s) {
    std::string names, values, unnest, set, where;
    // One array parameter for a cell; gives the expression of its element. All arrays have one length, so
    // that the set-returning functions of one target list move in step; as a function of FROM each would fill
    // a tuplestore first.
    const auto parameter = [&](std::uint16_t i, bool old_row, CellState state) {
        const TargetColumn& t = plan.columns[i];
        const bool binary = state == CellState::binary;
        const auto n = s.parameters.size() + 1;
        s.parameters.push_back({i, old_row, binary, binary ? t.oid : kTextOid});
        if (!unnest.empty()) unnest += ", ";
        unnest +=
            fmt::format("pg_catalog.unnest(${}::{}[]) AS c{}", n, binary ? t.type : "pg_catalog.text", n);
        return binary ? fmt::format("u.c{}", n) : fmt::format("u.c{}::{}", n, t.type);
    };
    if (kind == RecordKind::insert) {
        for (std::uint16_t i = 0; i < cells.size(); ++i) {
            if (!plan.columns[i].present) continue;
            if (!names.empty()) names += ", ", values += ", ";
            names += plan.columns[i].name;
            values += parameter(i, false, cells[i].state);
        }
        s.sql = fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM (SELECT {}) AS u",
                            plan.quoted, names, values, unnest);
        return;
    }
    const bool removing = kind == RecordKind::remove;
    const auto& key_cells = removing ? old_cells : cells;
    for (std::uint16_t i = 0; i < plan.columns.size(); ++i) {
        const TargetColumn& t = plan.columns[i];
        if (!t.key || !t.present) continue;
        if (!where.empty()) where += " AND ";
        where += fmt::format("t.{} {} {}", t.name, t.equals, parameter(i, removing, key_cells[i].state));
    }
    if (removing) {
        s.sql =
            fmt::format("DELETE FROM {} AS t USING (SELECT {}) AS u WHERE {}", plan.quoted, unnest, where);
        return;
    }
    for (std::uint16_t i = 0; i < cells.size(); ++i) {
        const TargetColumn& t = plan.columns[i];
        if (!t.present || t.key || cells[i].state == CellState::unchanged) continue;
        if (!set.empty()) set += ", ";
        set += t.name + " = " + parameter(i, false, cells[i].state);
    }
    if (set.empty()) {  // all columns are key, or nothing was sent: the row must still be there
        for (const auto& t : plan.columns)
            if (t.key && t.present) {
                set = t.name + " = t." + t.name;
                break;
            }
    }
    s.sql =
        fmt::format("UPDATE {} AS t SET {} FROM (SELECT {}) AS u WHERE {}", plan.quoted, set, unnest, where);
}

void PgApplier::build_single(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                             const std::vector<Cell>& cells, std::string_view variant, Statement& s) {
    const auto parameter = [&](std::uint16_t i, bool old_row, CellState state) {
        s.parameters.push_back({i, old_row, state == CellState::binary, plan.columns[i].oid});
        return fmt::format("${}", s.parameters.size());
    };
    if (kind == RecordKind::insert) {
        std::string names, values, set, keys;
        for (std::uint16_t i = 0; i < cells.size(); ++i) {
            const TargetColumn& t = plan.columns[i];
            if (!t.present || cells[i].state == CellState::unchanged) continue;
            if (!names.empty()) names += ", ", values += ", ";
            names += t.name;
            values += parameter(i, false, cells[i].state);
            if (t.key) {
                keys += (keys.empty() ? "" : ", ") + t.name;
            } else {
                set += (set.empty() ? "" : ", ") + t.name + " = EXCLUDED." + t.name;
            }
        }
        s.sql = fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})", plan.quoted, names,
                            values);
        if (variant == "overwrite" && !keys.empty())
            s.sql += set.empty() ? fmt::format(" ON CONFLICT ({}) DO NOTHING", keys)
                                 : fmt::format(" ON CONFLICT ({}) DO UPDATE SET {}", keys, set);
        return;
    }
    // The old row when the source sent it, else the new row: its key did not change.
    const bool by_old = !old_cells.empty();
    const auto& match = by_old ? old_cells : cells;
    std::string where, set;
    if (kind == RecordKind::update) {
        for (std::uint16_t i = 0; i < cells.size(); ++i) {
            const TargetColumn& t = plan.columns[i];
            if (!t.present || cells[i].state == CellState::unchanged) continue;
            if (!set.empty()) set += ", ";
            set += t.name + " = " + parameter(i, false, cells[i].state);
        }
    }
    std::string row, image;
    for (std::uint16_t i = 0; i < plan.columns.size(); ++i) {
        const TargetColumn& t = plan.columns[i];
        if (!t.key || !t.present || match[i].state == CellState::unchanged) continue;
        if (match[i].state == CellState::null) {
            where += (where.empty() ? "" : " AND ") + ("t." + t.name) + " IS NULL";
            continue;
        }
        const std::string p = parameter(i, by_old, match[i].state);
        if (!t.equals.empty() || !plan.match_all)
            where += (where.empty() ? "" : " AND ") +
                     fmt::format("t.{} {} {}", t.name, t.equals.empty() ? "=" : t.equals, p);
        if (plan.match_all) {
            row += (row.empty() ? "t." : ", t.") + t.name;
            image += (image.empty() ? "" : ", ") + p;
        }
    }
    if (plan.match_all) {
        // Equal by its bytes, one row of possibly many: the plain equality beside it lets an index help.
        if (!row.empty())
            where += (where.empty() ? "" : " AND ") +
                     fmt::format("pg_catalog.record_image_eq(ROW({}), ROW({}))", row, image);
        where = fmt::format("ctid = (SELECT t.ctid FROM {} AS t WHERE {} LIMIT 1)", plan.quoted,
                            where.empty() ? "true" : where);
    }
    if (set.empty())
        for (const auto& t : plan.columns)
            if (t.present) {
                set = t.name + " = t." + t.name;
                break;
            }
    s.sql = kind == RecordKind::remove
                ? fmt::format("DELETE FROM {} AS t WHERE {}", plan.quoted, where)
                : fmt::format("UPDATE {} AS t SET {} WHERE {}", plan.quoted, set, where);
}

// ---------------------------------------------------------------------------------------------- sending

Result<> PgApplier::send_run(Plan& plan, Table&, Run& run) {
    if (run.rows == 0) return {};
    GW_CHECK(ensure_prepared(*run.statement, &plan));
    const std::size_t n = run.arrays.size();
    std::vector<const char*> values(n);
    std::vector<int> lengths(n);
    const std::vector<int> formats(n, 1);
    for (std::size_t i = 0; i < n; ++i) {
        std::byte* head = run.arrays[i].data();
        ByteBuffer::store_be(head, std::int32_t{1});
        ByteBuffer::store_be(head + 4, std::int32_t{run.has_null[i] ? 1 : 0});
        ByteBuffer::store_be(head + 8, run.statement->parameters[i].oid);
        ByteBuffer::store_be(head + 12, static_cast<std::int32_t>(run.rows));
        ByteBuffer::store_be(head + 16, std::int32_t{1});
        values[i] = reinterpret_cast<const char*>(head);
        lengths[i] = static_cast<int>(run.arrays[i].size());
    }
    if (PQsendQueryPrepared(c_.raw(), run.statement->name.c_str(), static_cast<int>(n), values.data(),
                            lengths.data(), formats.data(), 0) != 1)
        return std::unexpected(c_.error_of(nullptr, "apply"));
    expected_.push_back({run.rows, false, &plan, run.kind});
    buffered_ -= run.bytes;
    for (std::size_t i = 0; i < n; ++i) {
        // a run of wide rows must not keep its memory for ever
        if (run.arrays[i].capacity() > (256U << 10)) run.arrays[i].release_memory();
        run.arrays[i].clear();
        run.has_null[i] = false;
    }
    run.rows = 0;
    run.bytes = 0;
    return pump(true);
}

Result<> PgApplier::send_table(Plan& plan, Table& table) {
    for (auto& run : table.runs) GW_CHECK(send_run(plan, table, run));
    table.runs.clear();
    table.keys.clear();
    std::erase_if(dirty_, [&](const auto& d) { return d.second == &table; });
    return {};
}

Result<> PgApplier::send_all() {
    while (!dirty_.empty()) GW_CHECK(send_table(*dirty_.back().first, *dirty_.back().second));
    return {};
}

void PgApplier::forget_runs() {
    for (auto& [name, table] : tables_) {
        table.runs.clear();
        table.keys.clear();
        table.counts = {};
    }
    dirty_.clear();
    buffered_ = 0;
}

Result<> PgApplier::send_single(Plan& plan, Statement& s, RecordKind kind, const std::vector<Cell>& old_cells,
                                const std::vector<Cell>& cells, std::uint64_t expected_rows) {
    GW_CHECK(ensure_prepared(s, &plan));
    const std::size_t n = s.parameters.size();
    std::vector<const char*> values(n);
    std::vector<int> lengths(n), formats(n);
    std::vector<std::string> texts;  // libpq wants text parameters zero-terminated
    texts.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
        const auto& p = s.parameters[i];
        const Cell& cell = (p.old_row ? old_cells : cells)[p.column];
        formats[i] = p.binary ? 1 : 0;
        if (cell.state == CellState::null) {
            values[i] = nullptr;
        } else if (p.binary) {
            values[i] = cell.bytes.empty() ? "" : reinterpret_cast<const char*>(cell.bytes.data());
            lengths[i] = static_cast<int>(cell.bytes.size());
        } else {
            texts.emplace_back(as_text(cell.bytes));
            values[i] = texts.back().c_str();
        }
    }
    if (PQsendQueryPrepared(c_.raw(), s.name.c_str(), static_cast<int>(n), values.data(), lengths.data(),
                            formats.data(), 0) != 1)
        return std::unexpected(c_.error_of(nullptr, "apply"));
    expected_.push_back({expected_rows, false, &plan, kind});
    return pump(true);
}

// ---------------------------------------------------------------------------------------------- shape

Result<> PgApplier::change_schema(const SchemaChange& asked) {
    if (!in_transaction_) return fail(ErrorCode::internal, "a change of shape outside a transaction");
    const SchemaChange change = x_.ready ? GW_TRY(x_.ready(asked)) : asked;
    GW_CHECK(open_transaction());
    GW_CHECK(mode_ == Mode::careful ? run_window() : send_all());
    const TableName target{x_.target_schema.empty() ? change.table.schema : x_.target_schema,
                           change.table.table};
    if (auto before = in_pipeline_ ? drain() : Result<>{}; !before) {
        // an earlier row's, not this statement's
        if (before.error().retry == Retry::never) before.error().code = ErrorCode::conflict;
        return before;
    }
    const auto columns = GW_TRY(ask(columns_sql(target)));
    std::vector<std::string> names;
    for (int i = 0; i < columns.size(); ++i) names.push_back(columns.text(i, 0));
    for (const auto& sql : reshape_sql(change, target, names, x_.target_schema.empty())) {
        auto done = ask(sql);
        if (!done) return std::unexpected(std::move(done).error().with("table " + target.text()));
    }
    for (const auto& sql : ledger_change_sql(x_.task, change, x_.target_schema.empty())) GW_TRY(ask(sql));
    forget_statements();  // cached plans of the old shape
    return open_transaction();
}

// ---------------------------------------------------------------------------------------------- applying

Result<> PgApplier::begin(Mode mode) {
    mode_ = mode;
    in_transaction_ = true;
    began_ = false;
    return {};
}

// BEGIN goes out with the first statement.
Result<> PgApplier::open_transaction() {
    if (!in_pipeline_) {
        if (PQsetnonblocking(c_.raw(), 1) != 0 || PQenterPipelineMode(c_.raw()) != 1)
            return std::unexpected(c_.error_of(nullptr, "apply"));
        in_pipeline_ = true;
    }
    if (began_) return {};
    began_ = true;
    return send_text("BEGIN");
}

bool PgApplier::key_changed(const Plan& plan, const Record& r, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells) {
    if (r.old_kind == OldRow::none) return false;
    for (std::size_t i = 0; i < plan.columns.size(); ++i) {
        if (!plan.columns[i].key) continue;
        if (cells[i].state == CellState::unchanged) continue;  // a TOASTed key that did not change
        if (old_cells[i].state != cells[i].state) return true;
        if (!std::ranges::equal(old_cells[i].bytes, cells[i].bytes)) return true;
    }
    return false;
}

void PgApplier::count(Table& table, RecordKind kind, std::uint64_t rows) {
    if (kind == RecordKind::insert) table.counts.inserts += rows;
    if (kind == RecordKind::update) table.counts.updates += rows;
    if (kind == RecordKind::remove) table.counts.deletes += rows;
    if (kind == RecordKind::truncate) table.counts.ddls += rows;
}

Result<> PgApplier::apply(const Record& record) {
    GW_CHECK(open_transaction());
    if (mode_ == Mode::fast) return apply_now(record);
    window_.append(record.raw);
    if (++window_records_ >= kCarefulRecords || window_.size() > (4U << 20)) return run_window();
    return {};
}

Result<> PgApplier::apply_now(const Record& record) {
    if (record.kind == RecordKind::truncate) return apply_truncate(record);
    const auto it = plans_.find(record.relation);
    if (it == plans_.end())
        return fail(ErrorCode::internal, fmt::format("change of an undefined relation {}", record.relation));
    Plan& plan = *it->second;
    Table& table = table_of(plan);
    if (table.suspended) return {};
    if (plan.missing) return fail(ErrorCode::not_found, plan.missing_reason);
    const RecordKind kind = record.kind;
    if (kind != RecordKind::remove) {
        record.row.read(cells_);
    } else {
        cells_.clear();
    }
    if (record.old_kind != OldRow::none) {
        record.old_row.read(old_cells_);
    } else {
        old_cells_.clear();
    }
    if ((!cells_.empty() && cells_.size() != plan.columns.size()) ||
        (!old_cells_.empty() && old_cells_.size() != plan.columns.size()))
        return fail(ErrorCode::data_loss,
                    "a row of table " + plan.target.text() + " has another number of columns");
    if (kind != RecordKind::insert && plan.insert_only)
        return fail(ErrorCode::data_loss,
                    "an update of table " + plan.target.text() + " came without a row identity");

    // Without replica role, triggers and foreign keys see the order between tables.
    if (!x_.replica_role && last_table_ != plan.target) {
        GW_CHECK(send_all());
        last_table_ = plan.target;
    }

    bool single = false;
    if (kind == RecordKind::update && !plan.match_all && key_changed(plan, record, old_cells_, cells_))
        single = true;
    if (kind != RecordKind::insert && plan.match_all) single = true;
    if (kind == RecordKind::update && !single)
        old_cells_.clear();  // the key did not change: the new row has it
    if (!single)
        for (std::size_t i = 0; i < plan.columns.size(); ++i) {
            const auto& t = plan.columns[i];
            if (!t.present) continue;
            const CellState now = cells_.empty() ? CellState::null : cells_[i].state;
            const CellState then = old_cells_.empty() ? CellState::null : old_cells_[i].state;
            if (t.is_array && (now == CellState::binary || (t.key && then == CellState::binary)))
                single = true;
            if (t.key && kind == RecordKind::update && now == CellState::unchanged) single = true;
            if (t.key && t.equals.empty() && kind != RecordKind::insert) single = true;
        }
    if (single) {
        if (kind == RecordKind::update && record.old_kind != OldRow::none && old_cells_.empty())
            record.old_row.read(old_cells_);
        GW_CHECK(send_table(plan, table));
        GW_CHECK(send_single(plan, statement_for(plan, kind, old_cells_, cells_, true, ""), kind, old_cells_,
                             cells_, 1));
        count(table, kind, 1);
        return {};
    }

    // The key's hash: each key at most once among the open runs of the table.
    if (!plan.match_all || kind == RecordKind::insert) {
        const auto& key_cells = kind == RecordKind::remove ? old_cells_ : cells_;
        std::uint64_t h = 0x2545f4914f6cdd1dULL;
        bool keyed = false;
        for (std::size_t i = 0; i < plan.columns.size(); ++i)
            if (plan.columns[i].key && !plan.match_all) {
                h = hash_bytes(h, key_cells[i].bytes);
                keyed = true;
            }
        if (keyed) {
            if (table.keys.size() >= kOpenKeysMax) GW_CHECK(send_table(plan, table));
            if (!table.keys.insert(h) && GW_RULE("apply.key_once_per_statement")) {
                GW_CHECK(send_table(plan, table));
                table.keys.insert(h);
            }
        }
    }

    // NULL must not open a run of its own: for the choice of statement it counts as the encoding that its
    // column had in the statement before.
    shape_ = cells_;
    for (auto& cell : shape_)
        if (cell.state == CellState::null) cell.state = CellState::text;
    if (const auto& last = plan.last[static_cast<std::size_t>(kind) & 7U];
        last.statement != nullptr && last.statement->form == Form::batch)
        for (const auto& p : last.statement->parameters)
            if (!p.old_row && p.binary && p.column < cells_.size() &&
                cells_[p.column].state == CellState::null)
                shape_[p.column].state = CellState::binary;
    Statement* statement = &statement_for(plan, kind, old_cells_, shape_, false, "");
    Run* run = nullptr;
    for (auto& r : table.runs)
        if (r.statement == statement) run = &r;
    if (run == nullptr) {
        if (table.runs.size() >= 8) GW_CHECK(send_table(plan, table));
        if (table.runs.empty()) dirty_.emplace_back(&plan, &table);
        run = &table.runs.emplace_back();
        run->statement = statement;
        run->kind = kind;
        run->arrays.resize(statement->parameters.size());
        run->has_null.assign(statement->parameters.size(), false);
    }
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < statement->parameters.size(); ++i) {
        const auto& p = statement->parameters[i];
        ByteBuffer& array = run->arrays[i];
        if (array.empty()) array.extend(kArrayHeader);
        const Cell& cell = (p.old_row ? old_cells_ : cells_)[p.column];
        if (cell.state < CellState::text) {
            array.put_be(std::int32_t{-1});
            run->has_null[i] = true;
            bytes += 4;
            continue;
        }
        std::byte* at = array.extend(4 + cell.bytes.size());
        ByteBuffer::store_be(at, static_cast<std::int32_t>(cell.bytes.size()));
        if (!cell.bytes.empty()) std::memcpy(at + 4, cell.bytes.data(), cell.bytes.size());
        bytes += 4 + cell.bytes.size();
    }
    run->bytes += bytes;
    buffered_ += bytes;
    count(table, kind, 1);
    if (++run->rows >= kRunRows || run->bytes >= kRunBytes) return send_run(plan, table, *run);
    return {};
}

Result<> PgApplier::apply_truncate(const Record& record) {
    GW_CHECK(send_all());
    std::string names;
    ByteReader in(record.list);
    while (!in.at_end()) {
        const auto it = plans_.find(in.le<std::uint32_t>());
        if (it == plans_.end() || it->second->missing) continue;
        Table& table = table_of(*it->second);
        if (table.suspended) continue;
        names += (names.empty() ? "" : ", ") + it->second->quoted;
        count(table, RecordKind::truncate, 1);
    }
    if (names.empty()) return {};
    // CASCADE only as the source's statement was: the log lists every table that it emptied anyway
    return send_text("TRUNCATE " + names + ((record.flags & 2U) != 0 ? " RESTART IDENTITY" : ""));
}

Result<> PgApplier::commit(const std::optional<Position>& position, const std::vector<TableState>& tables) {
    if (mode_ == Mode::careful) {
        GW_CHECK(run_window());
    }
    if (!began_ && !position && tables.empty()) {
        in_transaction_ = false;
        return {};
    }
    GW_CHECK(open_transaction());
    GW_CHECK(send_all());
    // Every statement must have met exactly the rows that the log speaks of before anything may commit.
    if (GW_RULE("apply.row_count_check")) GW_CHECK(drain());
    GW_FAILPOINT("apply.rows_sent");
    for (const auto& t : tables)
        GW_CHECK(send_params(table_state_sql(), table_state_params(x_.task, x_.epoch, t)));
    if (position) {
        GW_CHECK(send_params(progress_append_sql(),
                             progress_append_params(x_.task, x_.sequence, x_.epoch, *position)));
        if (x_.write_txn_state)
            GW_CHECK(send_params(txn_state_sql(x_.control_schema),
                                 {Param(x_.server_name), Param(x_.task), Param(position->token)}));
        if ((x_.sequence & 0xffU) == 0xffU)
            GW_CHECK(send_params(progress_trim_sql(), {Param(x_.task), Param(std::to_string(x_.sequence))}));
    }
    GW_CHECK(send_text("COMMIT"));
    GW_FAILPOINT("apply.before_commit");
    durable_ = !x_.commits_unflushed;
    GW_CHECK(drain());
    GW_FAILPOINT("apply.committed");
    if (position) ++x_.sequence;
    in_transaction_ = false;
    began_ = false;
    for (auto& [name, table] : tables_) {
        const auto& k = table.counts;
        if (k.inserts + k.updates + k.deletes + k.ddls + k.conflicts != 0)
            committed_.push_back({table.source, k});
        table.counts = {};
    }
    return {};
}

// A commit that waits for the disk takes every earlier one with it.
Result<> PgApplier::make_durable() {
    if (durable_ || in_transaction_) return {};
    GW_CHECK(open_transaction());
    GW_CHECK(send_text("SET LOCAL synchronous_commit = local"));
    GW_CHECK(send_params(progress_touch_sql(), progress_touch_params(x_.task, x_.sequence, x_.epoch)));
    GW_CHECK(send_text("COMMIT"));
    began_ = false;
    GW_CHECK(drain());
    durable_ = true;
    return {};
}

void PgApplier::abort() {
    forget_runs();
    window_.clear();
    window_records_ = 0;
    conflicts_.clear();
    if (began_ && c_.healthy()) {
        if (!in_pipeline_) {  // a statement of a changed shape failed
            [[maybe_unused]] auto ignored = c_.query("ROLLBACK");
        } else if (send_text("ROLLBACK")) {
            [[maybe_unused]] auto ignored = drain();
        }
    }
    forget_statements();
    in_transaction_ = false;
    began_ = false;
}

// ---------------------------------------------------------------------------------------------- careful mode

Result<> PgApplier::run_window() {
    if (window_records_ == 0) return {};
    GW_CHECK(open_transaction());
    std::map<TableName, ApplyCounts> before;
    for (auto& [name, table] : tables_) before[name] = table.counts;
    // first as in fast mode, under one savepoint
    GW_CHECK(send_text("SAVEPOINT gw_window"));
    Result<> whole;
    {
        RecordReader reader(window_.view());
        Record record;
        while (whole && reader.next(record)) whole = apply_now(record);
    }
    if (whole) whole = send_all();
    auto drained = drain();
    if (!c_.healthy()) return drained ? whole : drained;
    if (whole && !drained) whole = std::move(drained);
    if (whole) {
        GW_CHECK(send_text("RELEASE SAVEPOINT gw_window"));
        window_.clear();
        window_records_ = 0;
        return {};
    }
    if (whole.error().retry != Retry::never) return whole;
    GW_CHECK(send_text("ROLLBACK TO SAVEPOINT gw_window"));
    GW_CHECK(drain());
    for (auto& [name, table] : tables_) {
        table.runs.clear();
        table.keys.clear();
        table.counts = before[name];
    }
    dirty_.clear();
    buffered_ = 0;
    forget_statements();
    // then one by one, in the order of the log
    RecordReader reader(window_.view());
    Record record;
    while (reader.next(record)) GW_CHECK(apply_single(record));
    window_.clear();
    window_records_ = 0;
    return {};
}

Result<> PgApplier::apply_single(const Record& record) {
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
                      Error{ErrorCode::not_found, Retry::never, plan.missing_reason, {}, "42P01"}, old_cells,
                      cells);
    const bool by_old = record.kind == RecordKind::remove || plan.match_all ||
                        (record.kind == RecordKind::update && key_changed(plan, record, old_cells, cells));
    if (!by_old) old_cells.clear();
    GW_CHECK(send_text("SAVEPOINT gw_row"));
    GW_CHECK(send_single(plan, statement_for(plan, record.kind, old_cells, cells, true, ""), record.kind,
                         old_cells, cells, 1));
    auto outcome = drain();
    if (outcome) {
        count(table, record.kind, 1);
        return send_text("RELEASE SAVEPOINT gw_row");
    }
    if (!c_.healthy() || outcome.error().retry != Retry::never) return outcome;
    const Error why = outcome.error();
    GW_CHECK(send_text("ROLLBACK TO SAVEPOINT gw_row"));
    GW_CHECK(drain());
    forget_statements();
    ConflictAction action = x_.policy.data_error;
    if (why.sqlstate.empty())  // a row count
        action = record.kind == RecordKind::update ? x_.policy.update_missing : x_.policy.delete_missing;
    else if (why.sqlstate == "23505")
        action = record.kind == RecordKind::insert ? x_.policy.insert_exists : x_.policy.update_missing;
    else if (why.sqlstate.starts_with("42"))
        action = ConflictAction::suspend_table;  // not this row: the table
    else if (!why.sqlstate.starts_with("22") && !why.sqlstate.starts_with("23"))
        return outcome;
    return decide(plan, record, action, why, old_cells, cells);
}

Result<> PgApplier::decide(Plan& plan, const Record& record, ConflictAction action, const Error& why,
                           const std::vector<Cell>& old_cells, const std::vector<Cell>& cells) {
    Table& table = table_of(plan);
    ++table.counts.conflicts;
    const std::string text = why.sqlstate.empty()
                                 ? (record.kind == RecordKind::update ? "UPDATE found no row with this key"
                                                                      : "DELETE found no row with this key")
                                 : why.message;
    if (action == ConflictAction::overwrite) {
        const bool whole =
            std::ranges::none_of(cells, [](const Cell& c) { return c.state == CellState::unchanged; });
        if (whole) {
            GW_CHECK(send_text("SAVEPOINT gw_row"));
            const std::vector<Cell> none;
            GW_CHECK(send_single(plan,
                                 statement_for(plan, RecordKind::insert, none, cells, true, "overwrite"),
                                 RecordKind::insert, none, cells, kAny));
            auto outcome = drain();
            if (outcome) {
                count(table, record.kind, 1);
                conflicts_.push_back({plan.relation.name, record.kind, action, text});
                return send_text("RELEASE SAVEPOINT gw_row");
            }
            if (!c_.healthy() || outcome.error().retry != Retry::never) return outcome;
            GW_CHECK(send_text("ROLLBACK TO SAVEPOINT gw_row"));
            GW_CHECK(drain());
        }
        action = ConflictAction::log;  // a partial image is never completed with NULL
    }
    (void)old_cells;
    conflicts_.push_back({plan.relation.name, record.kind, action, text});
    switch (action) {
        case ConflictAction::ignore:
            return {};
        case ConflictAction::log:
            return write_exception(plan, record.kind, text);
        case ConflictAction::suspend_table: {
            table.suspended = true;
            TableState state;
            state.name = plan.relation.name;
            state.phase = TablePhase::suspended;
            state.reason = text;
            // commits together with the change that it skips
            GW_CHECK(send_params(suspend_sql(), {Param(x_.task), Param(state.name.text()),
                                                 Param(std::to_string(x_.epoch)), Param(text)}));
            return write_exception(plan, record.kind, text);
        }
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

Result<> PgApplier::write_exception(const Plan& plan, RecordKind kind, const std::string& error) {
    // The statement's shape only: the row stays where it belongs.
    const std::string statement = kind == RecordKind::insert   ? "INSERT INTO " + plan.quoted
                                  : kind == RecordKind::update ? "UPDATE " + plan.quoted
                                                               : "DELETE FROM " + plan.quoted;
    return send_params(exception_sql(x_.control_schema),
                       {Param(x_.task), Param(plan.relation.name.schema), Param(plan.relation.name.table),
                        Param(statement), Param(error)});
}

}  // namespace

std::unique_ptr<Applier> make_applier(pg::Connection connection, ApplierContext context) {
    return std::make_unique<PgApplier>(std::move(connection), std::move(context));
}

}  // namespace godwit::postgres
