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
#include <utility>

#include "base/failpoint.h"
#include "core/key_set.h"
#include "core/row_match.h"
#include "targets/postgres/ledger.h"
#include "targets/postgres/reshape_sql.h"
#include "targets/postgres/session.h"

namespace godwit::postgres {
namespace {

constexpr std::uint32_t kRunRows = 500;            // of a statement; measured: more is slower, fewer as well
constexpr std::size_t kRunBytes = 1U << 20;        // of its parameters; wide rows make shorter statements
constexpr std::size_t kWaitingRows = 25'000;       // rows that came in disorder wait to be sent by key
constexpr std::size_t kWaitingBytes = 4U << 20;    // of their cells
constexpr std::size_t kBufferedBytes = 12U << 20;  // of all tables
constexpr std::size_t kCarefulRecords = 256;       // records under one savepoint in careful mode
constexpr std::size_t kStatementsMax = 2000;       // prepared per session; beyond, all are made anew
constexpr std::uint32_t kTextOid = 25;

// What the log did not send (unchanged TOAST) stays as it is on the target; it never becomes NULL.
bool sent(const Cell& cell) {
    return cell.state != CellState::unchanged || !GW_RULE("apply.unchanged_stays");
}

// A column of the target table that receives a column of the relation.
struct TargetColumn {
    std::string name;       // quoted
    std::string type;       // base type without modifier, for casts: bpchar, "s"."mood"
    std::uint32_t oid = 0;  // of that base type
    std::string equals;     // OPERATOR(schema.=), empty when the type has no btree equality
    bool is_array = false;  // unnest would flatten it
    bool number = false;    // whose text is longer the larger it is
    bool present = false;   // exists on the target and is written
    bool key = false;       // rows are matched by it
    bool domain = false;
    bool always = false;  // GENERATED ALWAYS AS IDENTITY: an UPDATE may not set it
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

// Rows for one statement that wait to be sent. They lie as the elements of its arrays, row by row, because
// they may be sent in another order than they came.
struct Run {
    struct Row {
        std::uint64_t place;  // near to each other in the key: near in number
        std::size_t at;       // in `cells`
    };
    Statement* statement = nullptr;
    RecordKind kind = RecordKind::insert;
    std::vector<Row> rows;
    ByteBuffer cells;
    std::uint32_t sent = 0;  // rows since the table's keys were cleared
    bool ordered = true;
};

constexpr std::size_t kArrayHeader = 20;
constexpr std::size_t kRunsMax = 8;          // of a table
constexpr std::uint32_t kSequenceBits = 28;  // of a value in Table::keys, below the run's number
constexpr std::uint32_t kSentMax = 1U << (kSequenceBits - 1);

struct Plan {
    Relation relation;
    TableName target;    // on the target
    std::string quoted;  // "s"."t"
    std::string only;    // the same without those that inherit from it; partitions are the table itself
    std::vector<TargetColumn> columns;
    std::vector<std::uint16_t> keys;  // columns by which rows are matched
    bool match_all = false;           // no key: matched on all columns, one row
    bool always = false;              // one of the columns is TargetColumn::always
    std::vector<std::string> others;  // quoted; what the target's table has beside `columns`
    bool insert_only = false;
    bool user_types = false;  // whose values the source may have extended, which no log tells
    bool free_order = false;  // nothing but the key can make one row's change depend on another row's
    bool absent = false;      // no such table on the target
    bool missing = false;     // that, or one of its columns: it can take no row
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
    KeySet keys;         // of their rows; the value: number of the run, sequence in it
    ApplyCounts counts;  // of the open transaction
    bool suspended = false;
    bool suspended_now = false;  // by the open transaction
};

// Rows whose keys are near to each other lie on few pages of the index, and often of the table.
std::uint64_t place_of(const Plan& plan, const std::vector<Cell>& cells) {
    std::uint64_t place = 0;
    int room = 64;
    const auto put = [&](std::byte b) {
        room -= 8;
        place |= static_cast<std::uint64_t>(b) << room;
    };
    for (const auto i : plan.keys) {
        const Bytes bytes = cells[i].bytes;
        if (cells[i].state == CellState::text && plan.columns[i].number)
            put(static_cast<std::byte>(bytes.size()));
        for (std::size_t k = 0; k < bytes.size() && room > 0; ++k) put(bytes[k]);
        if (room <= 0) break;
    }
    return place;
}

std::int32_t length_at(const std::byte* at) {
    std::uint32_t v = 0;
    std::memcpy(&v, at, sizeof v);
    return static_cast<std::int32_t>(__builtin_bswap32(v));
}

class PgApplier final : public Applier {
public:
    PgApplier(pg::Connection connection, ApplierContext context)
        : c_(std::move(connection)), x_(std::move(context)) {}
    ~PgApplier() override = default;

    Result<> define(const Relation& relation, const TableSchema& source_table) override;
    Result<> begin(Mode mode) override;
    Result<> change_schema(const SchemaChange& change) override;
    Result<> save_part(const TableState& table) override;
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
    static Error row_count_error(RecordKind kind, std::uint64_t met);

    Result<> open_transaction();
    Result<> apply_now(const Record& record);
    // Why the server would refuse to truncate a table.
    struct Refusal {
        std::string keys;        // foreign keys of tables that are not emptied with it
        bool forbidden = false;  // the user has no right to it
    };
    [[nodiscard]] static std::string names_array(const std::vector<Plan*>& plans);
    Result<std::vector<Refusal>> truncate_refusals(const std::vector<Plan*>& plans);
    Result<> restart_sequences(const std::vector<Plan*>& plans);
    Result<> apply_truncate(const Record& record, bool singly = false);
    Statement& statement_for(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                             const std::vector<Cell>& cells, bool single, std::string_view variant);
    void build_batch(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                     const std::vector<Cell>& cells, Statement& s);
    void build_single(Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                      const std::vector<Cell>& cells, std::string_view variant, Statement& s);
    Result<> send_run(Plan& plan, Run& run);
    static bool has_room(const Table& table, const Statement* statement);
    std::uint32_t run_of(Plan& plan, Table& table, RecordKind kind, Statement* statement);
    bool joins(const Plan& plan, const Run& run, const Run::Row& row, const Statement* statement) const;
    std::size_t append_row(Run& run);
    Result<> send_table(Plan& plan, Table& table);
    Result<> send_all();
    Result<> send_single(Plan& plan, Statement& s, RecordKind kind, const std::vector<Cell>& old_cells,
                         const std::vector<Cell>& cells, std::uint64_t expected_rows);
    Result<> ensure_prepared(Statement& s, const Plan* plan);
    Result<> send_text(const std::string& sql, std::uint64_t expected_rows = kAny);
    Result<> send_params(const std::string& sql, const std::vector<Param>& params);
    Result<> roll_back_to(const std::string& savepoint);
    // Sends everything and takes all answers. The first unexpected one is the error; the session is then
    // still in its (failed) transaction and the pipeline is at rest.
    Result<> drain();
    Result<> pump(bool wait_for_write);
    Result<> run_window();
    Result<> apply_single(const Record& record);
    Result<> send_judged(Plan& plan, const Record& record, const std::vector<Cell>& old_cells,
                         const std::vector<Cell>& cells);
    Result<> decide(Plan& plan, const Record& record, ConflictAction action, const Error& why,
                    const std::vector<Cell>& old_cells, const std::vector<Cell>& cells);
    Result<> decide_missing(Plan& plan, const Record& record);
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
    std::vector<TableState> parts_;  // of save_part(), sent before COMMIT
    std::vector<TableApplied> committed_;
    std::vector<Cell> cells_, old_cells_, shape_;
    std::vector<ByteBuffer> arrays_;  // of the statement that is sent
    std::string signature_;
    std::uint64_t met_ = 0;  // rows, by the last statement whose rows are counted
    ByteBuffer window_;      // careful mode: records under the next savepoint
    std::size_t window_records_ = 0;
    std::uint64_t statement_number_ = 0;
    std::size_t prepared_ = 0;  // on the server
    bool deallocate_ = false;   // before the next one is prepared
    std::size_t buffered_ = 0;
    Mode mode_ = Mode::fast;
    bool converging_ = false;  // a careful mode
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

// It ends as well: subtransactions that stay open nest deeper with every row.
Result<> PgApplier::roll_back_to(const std::string& savepoint) {
    GW_CHECK(send_text("ROLLBACK TO SAVEPOINT " + savepoint));
    GW_CHECK(send_text("RELEASE SAVEPOINT " + savepoint));
    return drain();
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
                met_ = rows.affected();
                if (met_ != e.rows)
                    outcome = fail(ErrorCode::conflict,
                                   fmt::format("{} rows met the target where {} were to", met_, e.rows));
                break;
            }
            case PGRES_PIPELINE_ABORTED:
                if (!expected_.empty()) expected_.pop_front();
                break;
            default: {
                Error error = away(c_.error_of(result, ""));
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
    auto rows = c_.query(sql);
    if (!rows) return std::unexpected(away(std::move(rows).error()));
    return rows;
}

// ---------------------------------------------------------------------------------------------- plans

Result<> PgApplier::read_target(Plan& plan, const TableSchema& source_table) {
    const RowMatch match = row_match(plan.relation, source_table);
    plan.match_all = match.all;
    plan.insert_only = plan.relation.identity == RowIdentity::none;
    plan.user_types = std::ranges::any_of(source_table.types, [](const UserType& t) {
        return t.kind == UserType::Kind::enumeration || t.kind == UserType::Kind::domain ||
               t.kind == UserType::Kind::composite;
    });
    std::string key_names;
    for (const auto& name : match.keys) key_names += (key_names.empty() ? "" : ",") + pg::quote_literal(name);
    const std::string sql = fmt::format(
        "SELECT a.attname, b.oid, pg_catalog.format_type(b.oid, -1), "
        "(b.typcategory = 'A' OR (b.typelem <> 0 AND b.typlen = -1)), {}, "
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
        "  LIMIT 1), "
        "EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND (i.indisunique OR "
        "  i.indisexclusion) AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR i.indnkeyatts <> "
        "  pg_catalog.cardinality(k.names) OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute ia WHERE "
        "   ia.attrelid = i.indrelid AND ia.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) AND "
        "ia.attname::text <> ALL "
        "(k.names)))), a.atttypid <> b.oid, "
        "(SELECT c.relkind = 'r' FROM pg_catalog.pg_class c WHERE c.oid = a.attrelid), a.attidentity = 'a' "
        "FROM pg_catalog.pg_attribute a CROSS JOIN (SELECT ARRAY[{}]::text[] AS names) k "
        "CROSS JOIN LATERAL (WITH RECURSIVE base AS (SELECT t.oid, t.typbasetype, t.typtype FROM "
        "pg_catalog.pg_type t "
        "   WHERE t.oid = a.atttypid UNION ALL SELECT t.oid, t.typbasetype, t.typtype FROM base "
        "   JOIN pg_catalog.pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd') "
        "   SELECT t.* FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE base.typtype <> 'd') b "
        "WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped",
        c_.server_version() >= 120000 ? "a.attgenerated <> ''" : "false", key_names,
        pg::quote_literal(plan.quoted));
    const auto rows = GW_TRY(ask(sql));
    if (rows.size() == 0) {
        plan.absent = plan.missing = true;
        plan.missing_reason = "table " + plan.target.text() + " does not exist on the target";
        return {};
    }
    // Triggers and foreign keys see the order between rows, other unique indexes hold it against them.
    plan.free_order = match.keyed && x_.replica_role && !rows.flag(0, 6);
    plan.only = (rows.flag(0, 8) ? "ONLY " : "") + plan.quoted;
    std::map<std::string, TargetColumn> found;
    std::set<std::string> generated;
    for (int i = 0; i < rows.size(); ++i) {
        TargetColumn t;
        const std::string name = rows.text(i, 0);
        t.name = pg::quote_name(name);
        t.oid = static_cast<std::uint32_t>(rows.number(i, 1));
        t.type = rows.text(i, 2);
        t.is_array = rows.flag(i, 3);
        t.number = t.oid == 20 || t.oid == 21 || t.oid == 23 || t.oid == 1700;
        t.equals = rows.null(i, 5) ? "" : "OPERATOR(" + rows.text(i, 5) + ".=)";
        t.present = true;
        t.domain = rows.flag(i, 7);
        t.always = rows.flag(i, 9);
        if (rows.flag(i, 4)) generated.insert(name);
        found.emplace(name, std::move(t));
    }
    for (const auto& column : plan.relation.columns) {
        TargetColumn t;
        if (const auto it = found.find(column.name); it != found.end() && !generated.contains(column.name)) {
            t = std::move(it->second);
            found.erase(it);
        } else if (const ColumnSchema* s = source_table.column(column.name);
                   !generated.contains(column.name) && (s == nullptr || !s->generated)) {
            plan.missing = true;
            plan.missing_reason = fmt::format("column {} of table {} does not exist on the target",
                                              column.name, plan.target.text());
        }
        t.key = match.keyed ? match.keys.contains(column.name) : plan.match_all;
        if (t.key && match.keyed) plan.keys.push_back(static_cast<std::uint16_t>(plan.columns.size()));
        plan.always = plan.always || t.always;
        plan.columns.push_back(std::move(t));
    }
    for (const auto& [name, t] : found)
        if (!generated.contains(name)) plan.others.push_back(t.name);
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
    Table& table = table_of(*plan);
    table.suspended = table.suspended_now;  // only tables that are in step are defined
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

// The row must still be there.
std::string set_nothing(const Plan& plan) {
    for (const auto& t : plan.columns)
        if (t.present && !t.always) return t.name + " = t." + t.name;
    return {};
}

// How a single UPDATE is spelled. What it may not set can only come with a new row.
std::string_view variant_of(const Plan& plan, RecordKind kind, const std::vector<Cell>& old_cells,
                            const std::vector<Cell>& cells) {
    if (!plan.always || kind != RecordKind::update) return "";
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const TargetColumn& t = plan.columns[i];
        if (!t.always || !sent(cells[i])) continue;
        const bool same = old_cells.empty() ? t.key
                                            : old_cells[i].state == cells[i].state &&
                                                  std::ranges::equal(old_cells[i].bytes, cells[i].bytes);
        if (!same) return "anew";
    }
    return "";
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
        // where the row has another value than one that cannot be set, none is met
        const bool fixed = t.always && !removing && sent(cells[i]);
        if (!(t.key || fixed) || !t.present) continue;
        if (!where.empty()) where += " AND ";
        where += fmt::format("t.{} {} {}", t.name, t.equals, parameter(i, removing, key_cells[i].state));
    }
    if (removing) {
        s.sql = fmt::format("DELETE FROM {} AS t USING (SELECT {}) AS u WHERE {}", plan.only, unnest, where);
        return;
    }
    for (std::uint16_t i = 0; i < cells.size(); ++i) {
        const TargetColumn& t = plan.columns[i];
        if (!t.present || t.key || t.always || !sent(cells[i])) continue;
        if (!set.empty()) set += ", ";
        set += t.name + " = " + parameter(i, false, cells[i].state);
    }
    if (set.empty()) set = set_nothing(plan);  // all columns are key, or nothing was sent
    s.sql =
        fmt::format("UPDATE {} AS t SET {} FROM (SELECT {}) AS u WHERE {}", plan.only, set, unnest, where);
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
            if (!t.present || !sent(cells[i])) continue;
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
    const bool anew = variant == "anew";
    std::string where, set, names, values;
    if (kind == RecordKind::update) {
        for (std::uint16_t i = 0; i < cells.size(); ++i) {
            const TargetColumn& t = plan.columns[i];
            if (!t.present || !(anew || (sent(cells[i]) && !t.always))) continue;
            const std::string value = sent(cells[i]) ? parameter(i, false, cells[i].state) : "gone." + t.name;
            set += (set.empty() ? "" : ", ") + t.name + " = " + value;
            names += (names.empty() ? "" : ", ") + t.name;
            values += (values.empty() ? "" : ", ") + value;
        }
    }
    std::string row, image;
    for (std::uint16_t i = 0; i < plan.columns.size(); ++i) {
        const TargetColumn& t = plan.columns[i];
        if (!t.key || !t.present) continue;
        if (match[i].state == CellState::unchanged) {
            // the rest of a key may name other rows
            if (!plan.match_all) where += where.empty() ? "false" : " AND false";
            continue;
        }
        if (match[i].state == CellState::null) {
            where += (where.empty() ? "" : " AND ") + ("t." + t.name) + " IS NULL";
            continue;
        }
        const std::string p = parameter(i, by_old, match[i].state);
        if (!t.equals.empty() || !plan.match_all)
            where += (where.empty() ? "" : " AND ") +
                     fmt::format("t.{} {} {}", t.name, t.equals.empty() ? "=" : t.equals, p);
        if (plan.match_all) {
            row += (row.empty() ? "t." : ", t.") + t.name + (t.domain ? "::" + t.type : "");
            image += (image.empty() ? "" : ", ") + p;
        }
    }
    if (plan.match_all) {
        // Equal by its bytes, one row of possibly many: the plain equality beside it lets an index help.
        if (!row.empty())
            where += (where.empty() ? "" : " AND ") +
                     fmt::format("pg_catalog.record_image_eq(ROW({}), ROW({}))", row, image);
        if (where.empty()) where = "true";
        // each partition counts its own ctids
        if (GW_RULE("apply.one_of_equals"))
            where = fmt::format(
                "(t.tableoid, t.ctid) = (SELECT t.tableoid, t.ctid FROM {} AS t WHERE {} LIMIT 1)", plan.only,
                where);
    }
    const std::string remove = fmt::format("DELETE FROM {} AS t WHERE {}", plan.only, where);
    if (anew) {
        for (const auto& name : plan.others) names += ", " + name, values += ", gone." + name;
        s.sql = fmt::format(
            "WITH gone AS ({} RETURNING t.*) INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM gone",
            remove, plan.quoted, names, values);
        return;
    }
    if (set.empty()) set = set_nothing(plan);
    s.sql = kind == RecordKind::remove ? remove
                                       : fmt::format("UPDATE {} AS t SET {} WHERE {}", plan.only, set, where);
}

// ---------------------------------------------------------------------------------------------- sending

Result<> PgApplier::send_run(Plan& plan, Run& run) {
    if (run.rows.empty()) return {};
    GW_CHECK(ensure_prepared(*run.statement, &plan));
    if (!run.ordered) std::ranges::sort(run.rows, {}, &Run::Row::place);
    const std::size_t n = run.statement->parameters.size();
    arrays_.resize(std::max(arrays_.size(), n));
    std::vector<const char*> values(n);
    std::vector<int> lengths(n);
    const std::vector<int> formats(n, 1);
    std::vector<std::int32_t> has_null(n);
    for (auto row = run.rows.begin(); row != run.rows.end();) {
        std::ranges::fill(has_null, 0);
        for (std::size_t i = 0; i < n; ++i) arrays_[i].extend(kArrayHeader);
        std::uint32_t rows = 0;
        for (std::size_t bytes = 0; row != run.rows.end() && rows < kRunRows && bytes < kRunBytes;
             ++row, ++rows) {
            const std::byte* const begin = run.cells.data() + row->at;
            const std::byte* at = begin;
            for (std::size_t i = 0; i < n; ++i) {
                const std::int32_t length = length_at(at);
                if (length < 0) has_null[i] = 1;
                const std::size_t size = 4 + (length < 0 ? 0 : static_cast<std::size_t>(length));
                arrays_[i].append(Bytes{at, size});
                at += size;
            }
            bytes += static_cast<std::size_t>(at - begin);
        }
        if (row == run.rows.end()) {
            buffered_ -= run.cells.size();
            // a run of wide rows must not keep its memory, above all not while they are sent
            if (run.cells.capacity() > kRunBytes) run.cells.release_memory();
            run.cells.clear();
        }
        for (std::size_t i = 0; i < n; ++i) {
            std::byte* head = arrays_[i].data();
            ByteBuffer::store_be(head, std::int32_t{1});
            ByteBuffer::store_be(head + 4, has_null[i]);
            ByteBuffer::store_be(head + 8, run.statement->parameters[i].oid);
            ByteBuffer::store_be(head + 12, static_cast<std::int32_t>(rows));
            ByteBuffer::store_be(head + 16, std::int32_t{1});
            values[i] = reinterpret_cast<const char*>(head);
            lengths[i] = static_cast<int>(arrays_[i].size());
        }
        if (PQsendQueryPrepared(c_.raw(), run.statement->name.c_str(), static_cast<int>(n), values.data(),
                                lengths.data(), formats.data(), 0) != 1)
            return std::unexpected(c_.error_of(nullptr, "apply"));
        expected_.push_back({rows, false, &plan, run.kind});
        for (auto& array : arrays_) {
            if (array.capacity() > (256U << 10)) array.release_memory();
            array.clear();
        }
        GW_CHECK(pump(true));
    }
    run.sent += static_cast<std::uint32_t>(run.rows.size());
    run.rows.clear();
    run.ordered = true;
    return {};
}

Result<> PgApplier::send_table(Plan& plan, Table& table) {
    for (auto& run : table.runs) GW_CHECK(send_run(plan, run));
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
    converging_ = mode == Mode::converging;
    mode_ = converging_ ? Mode::careful : mode;
    in_transaction_ = true;
    began_ = false;
    parts_.clear();
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
        Statement& statement =
            statement_for(plan, kind, old_cells_, cells_, true, variant_of(plan, kind, old_cells_, cells_));
        GW_CHECK(send_single(plan, statement, kind, old_cells_, cells_, 1));
        count(table, kind, 1);
        return {};
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

    if (!has_room(table, statement)) GW_CHECK(send_table(plan, table));
    std::uint32_t number = run_of(plan, table, kind, statement);

    // Each key at most once among the rows that wait.
    if (!plan.keys.empty()) {
        const auto& key_cells = kind == RecordKind::remove ? old_cells_ : cells_;
        std::uint64_t h = 0x2545f4914f6cdd1dULL;
        for (const auto i : plan.keys) h = hash_bytes(h, key_cells[i].bytes);
        const auto here = [&] {
            const Run& run = table.runs[number];
            return number << kSequenceBits | (run.sent + static_cast<std::uint32_t>(run.rows.size()));
        };
        if (std::uint32_t* known = table.keys.add(h, here()); known != nullptr) {
            Run& other = table.runs[*known >> kSequenceBits];
            const std::uint32_t sequence = *known & ((1U << kSequenceBits) - 1);
            if (sequence < other.sent) {  // the statement that follows comes behind it
                *known = here();
            } else if (Run::Row& row = other.rows[sequence - other.sent];
                       kind == RecordKind::update && joins(plan, other, row, statement)) {
                row.at = append_row(other);
                count(table, kind, 1);
                if (buffered_ >= kBufferedBytes) return send_all();
                return other.cells.size() >= kWaitingBytes ? send_run(plan, other) : Result<>{};
            } else if (GW_RULE("apply.key_once_per_statement")) {
                GW_CHECK(send_table(plan, table));
                number = run_of(plan, table, kind, statement);
                table.keys.add(h, here());
            }
        }
    }
    Run& run = table.runs[number];
    const std::uint64_t place =
        plan.free_order ? place_of(plan, kind == RecordKind::remove ? old_cells_ : cells_) : 0;
    if (!run.rows.empty() && place < run.rows.back().place) run.ordered = false;
    run.rows.push_back({place, append_row(run)});
    count(table, kind, 1);
    if (buffered_ >= kBufferedBytes) return send_all();
    const bool full = run.ordered ? run.rows.size() >= kRunRows || run.cells.size() >= kRunBytes
                                  : run.rows.size() >= kWaitingRows || run.cells.size() >= kWaitingBytes;
    return full ? send_run(plan, run) : Result<>{};
}

// May one more row for this statement wait?
bool PgApplier::has_room(const Table& table, const Statement* statement) {
    if (table.keys.size() >= KeySet::kMax) return false;
    for (const auto& run : table.runs)
        if (run.statement == statement) return run.sent < kSentMax;
    return table.runs.size() < kRunsMax;
}

// The number of the statement's run, which begins when there is none.
std::uint32_t PgApplier::run_of(Plan& plan, Table& table, RecordKind kind, Statement* statement) {
    const auto known = std::ranges::find(table.runs, statement, &Run::statement);
    const auto number = static_cast<std::uint32_t>(known - table.runs.begin());
    if (known == table.runs.end()) {
        if (table.runs.empty()) dirty_.emplace_back(&plan, &table);
        Run& run = table.runs.emplace_back();
        run.statement = statement;
        run.kind = kind;
    }
    return number;
}

// The cells of a row as the elements of the run's arrays; where they begin.
std::size_t PgApplier::append_row(Run& run) {
    const std::size_t begin = run.cells.size();
    for (const auto& p : run.statement->parameters) {
        const Cell& cell = (p.old_row ? old_cells_ : cells_)[p.column];
        if (cell.state < CellState::text) {
            run.cells.put_be(std::int32_t{-1});
            continue;
        }
        std::byte* at = run.cells.extend(4 + cell.bytes.size());
        ByteBuffer::store_be(at, static_cast<std::int32_t>(cell.bytes.size()));
        if (!cell.bytes.empty()) std::memcpy(at + 4, cell.bytes.data(), cell.bytes.size());
    }
    buffered_ += run.cells.size() - begin;
    return begin;
}

// The update in cells_ may take the place of the waiting row of its key: it sets all that the row would have
// set, and nobody sees what is between them.
bool PgApplier::joins(const Plan& plan, const Run& run, const Run::Row& row,
                      const Statement* statement) const {
    if (!plan.free_order) return false;
    if (run.kind == RecordKind::insert) {
        if (!std::ranges::all_of(cells_, sent)) return false;
        for (const auto& p : run.statement->parameters)
            if (const CellState state = cells_[p.column].state;
                state != CellState::null && p.binary != (state == CellState::binary))
                return false;
    } else if (run.statement != statement) {
        return false;
    }
    // a hash that is known is not yet a key that is known
    const std::byte* at = run.cells.data() + row.at;
    for (const auto& p : run.statement->parameters) {
        const std::int32_t length = length_at(at);
        const Bytes bytes{at + 4, length < 0 ? 0 : static_cast<std::size_t>(length)};
        at += 4 + bytes.size();
        if (plan.columns[p.column].key && GW_RULE("apply.key_by_its_bytes") &&
            !std::ranges::equal(bytes, cells_[p.column].bytes))
            return false;
    }
    return true;
}

// ARRAY['public.a', 'public.b']::text[], by their quoted names
std::string PgApplier::names_array(const std::vector<Plan*>& plans) {
    std::string names;
    for (const auto* plan : plans) names += (names.empty() ? "" : ", ") + pg::quote_literal(plan->quoted);
    return "ARRAY[" + names + "]::pg_catalog.text[]";
}

// By the place in `plans`.
Result<std::vector<PgApplier::Refusal>> PgApplier::truncate_refusals(const std::vector<Plan*>& plans) {
    auto rows = ask(fmt::format(
        "WITH RECURSIVE named AS (SELECT n.place, pg_catalog.to_regclass(n.name)::pg_catalog.oid AS oid FROM "
        "pg_catalog.unnest({}) WITH ORDINALITY n(name, place)), "
        "emptied AS (SELECT place, oid FROM named UNION SELECT e.place, i.inhrelid FROM emptied e JOIN "
        "pg_catalog.pg_class c ON c.oid = e.oid AND c.relkind = 'p' JOIN pg_catalog.pg_inherits i ON "
        "i.inhparent = e.oid) "
        "SELECT (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('%I of table %s', k.conname, "
        "k.conrelid::pg_catalog.regclass), ', ') FROM emptied e JOIN pg_catalog.pg_constraint k ON "
        "k.confrelid "
        "= e.oid AND k.contype = 'f' WHERE e.place = n.place AND NOT EXISTS (SELECT 1 FROM emptied o WHERE "
        "o.oid = k.conrelid)), NOT pg_catalog.has_table_privilege(n.oid, 'TRUNCATE') FROM named n ORDER BY "
        "n.place",
        names_array(plans)));
    GW_CHECK(open_transaction());
    if (!rows) return std::unexpected(std::move(rows).error());
    std::vector<Refusal> out;
    for (int i = 0; i < rows->size(); ++i)
        out.push_back({rows->null(i, 0) ? "" : rows->text(i, 0), !rows->null(i, 1) && rows->flag(i, 1)});
    return out;
}

// As RESTART IDENTITY does.
Result<> PgApplier::restart_sequences(const std::vector<Plan*>& plans) {
    auto rows = ask(fmt::format(
        "SELECT DISTINCT pg_catalog.format('ALTER SEQUENCE %I.%I RESTART', n.nspname, s.relname) "
        "FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = "
        "'S' JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace WHERE d.classid = 1259 AND "
        "d.refclassid = 1259 AND d.deptype IN ('a', 'i') AND d.refobjid IN (SELECT "
        "pg_catalog.to_regclass(name)::pg_catalog.oid FROM "
        "pg_catalog.unnest({}) name) ORDER BY 1",
        names_array(plans)));
    GW_CHECK(open_transaction());
    if (!rows) return std::unexpected(std::move(rows).error());
    for (int i = 0; i < rows->size(); ++i) GW_CHECK(send_text(rows->text(i, 0)));
    return {};
}

Result<> PgApplier::apply_truncate(const Record& record, bool singly) {
    GW_CHECK(send_all());
    std::vector<Plan*> plans;
    ByteReader in(record.list);
    while (!in.at_end()) {
        const auto it = plans_.find(in.le<std::uint32_t>());
        if (it == plans_.end()) continue;
        Plan& plan = *it->second;
        if (table_of(plan).suspended) continue;
        if (plan.absent) {
            if (!singly) return fail(ErrorCode::not_found, plan.missing_reason);
            GW_CHECK(decide_missing(plan, record));
            continue;
        }
        plans.push_back(&plan);
    }
    // The source emptied the tables that refer to these with them, or has no such key. Here one may be left
    // out, because it is still being loaded, or is nobody's of this task; the server refuses then.
    bool by_rows = false;
    for (bool again = true; again && !plans.empty();) {
        const auto refusals = GW_TRY(truncate_refusals(plans));
        again = by_rows = false;
        std::vector<Plan*> left;
        for (std::size_t i = 0; i < plans.size(); ++i) {
            const auto& [keys, forbidden] = refusals[i];
            by_rows = by_rows || forbidden || !keys.empty();
            if (keys.empty() || x_.replica_role) {
                left.push_back(plans[i]);
                continue;
            }
            // The key would act on the other table's rows, of which some may be newer than this.
            Error why{ErrorCode::failed_precondition,
                      Retry::never,
                      fmt::format("table {} was truncated at the source; on the target foreign key {} refers "
                                  "to it, which is not emptied with it, and the target user may not switch "
                                  "the key off: grant it SET ON PARAMETER session_replication_role "
                                  "(PostgreSQL 15 and later) or superuser, or drop the key, then reload the "
                                  "table",
                                  plans[i]->target.text(), keys),
                      {},
                      ""};
            if (!singly) return std::unexpected(std::move(why));
            GW_CHECK(decide(*plans[i], record, ConflictAction::suspend_table, why, {}, {}));
            again = true;  // it may itself refer to one that is left
        }
        plans = std::move(left);
    }
    if (plans.empty()) return {};
    const bool restart = (record.flags & 2U) != 0;
    std::string names;
    for (const auto* plan : plans) {
        names += (names.empty() ? "" : ", ") + plan->only;
        count(table_of(*plan), RecordKind::truncate, 1);
    }
    // CASCADE only as the source's statement was: the log lists every table that it emptied anyway
    if (!by_rows) return send_text("TRUNCATE " + names + (restart ? " RESTART IDENTITY" : ""));
    for (const auto* plan : plans) GW_CHECK(send_text("DELETE FROM " + plan->only));
    return restart ? restart_sequences(plans) : Result<>{};
}

Result<> PgApplier::save_part(const TableState& table) {
    parts_.push_back(table);
    return {};
}

Result<> PgApplier::commit(const std::optional<Position>& position, const std::vector<TableState>& tables) {
    if (mode_ == Mode::careful) {
        GW_CHECK(run_window());
    }
    if (!began_ && !position && tables.empty() && parts_.empty()) {
        in_transaction_ = false;
        return {};
    }
    GW_CHECK(open_transaction());
    GW_CHECK(send_all());
    // Every statement must have met exactly the rows that the log speaks of before anything may commit.
    if (GW_RULE("apply.row_count_check")) GW_CHECK(drain());
    GW_FAILPOINT("apply.rows_sent");
    for (const auto& t : std::exchange(parts_, {}))
        GW_CHECK(send_params(part_sql(), part_params(x_.task, x_.epoch, t)));
    for (const auto& t : tables) {
        // its suspension is in this transaction already, and is the state in which it ends
        if (std::ranges::any_of(tables_, [&](const auto& known) {
                return known.second.suspended_now && known.second.source == t.name;
            }))
            continue;
        GW_CHECK(send_params(table_state_sql(), table_state_params(x_.task, x_.epoch, t)));
    }
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
        table.suspended_now = false;
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
    parts_.clear();
    window_.clear();
    window_records_ = 0;
    conflicts_.clear();
    for (auto& [name, table] : tables_)
        if (std::exchange(table.suspended_now, false)) table.suspended = false;
    // Behind a statement that failed the server steps over all that was sent with it, a ROLLBACK as well. So
    // first comes the end of that, and then the session says itself whether there is something to undo.
    if (c_.healthy() && in_pipeline_) [[maybe_unused]]
        auto ignored = drain();
    if (c_.healthy() && PQtransactionStatus(c_.raw()) != PQTRANS_IDLE) {
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
    GW_CHECK(roll_back_to("gw_window"));
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
        GW_CHECK(apply_truncate(record, true));
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
    if (plan.missing) return decide_missing(plan, record);
    const bool key_unchanged = std::ranges::any_of(
        plan.keys, [&](auto i) { return !cells.empty() && cells[i].state == CellState::unchanged; });
    const bool by_old = record.kind == RecordKind::remove || plan.match_all || key_unchanged ||
                        (record.kind == RecordKind::update && key_changed(plan, record, old_cells, cells));
    if (!by_old) old_cells.clear();
    auto outcome = send_judged(plan, record, old_cells, cells);
    std::string lacks;
    if (!outcome && plan.user_types && x_.bring_types &&
        (outcome.error().sqlstate == "22P02" || outcome.error().sqlstate == "23514")) {
        // not the row's fault where the source has extended a type since
        GW_CHECK(roll_back_to("gw_row"));
        forget_statements();
        auto brought = x_.bring_types(plan.relation.name);
        if (!brought && brought.error().retry != Retry::never) return std::unexpected(brought.error());
        lacks = brought ? *brought : brought.error().text();
        outcome = send_judged(plan, record, old_cells, cells);
    }
    if (outcome) {
        count(table, record.kind, 1);
        return send_text("RELEASE SAVEPOINT gw_row");
    }
    if (!c_.healthy() || outcome.error().retry != Retry::never) return outcome;
    const bool counted = outcome.error().sqlstate.empty();
    const std::uint64_t met = met_;
    Error why = counted ? row_count_error(record.kind, met) : outcome.error();
    GW_CHECK(roll_back_to("gw_row"));
    forget_statements();
    const ConflictPolicy policy = converging_ ? converging_policy(x_.policy) : x_.policy;
    ConflictAction action = policy.data_error;
    if (counted && met == 0 && record.kind != RecordKind::insert)
        action = record.kind == RecordKind::update ? policy.update_missing : policy.delete_missing;
    else if (why.sqlstate == "23505")
        action = record.kind == RecordKind::insert ? policy.insert_exists : policy.update_missing;
    else if (why.sqlstate.starts_with("42") || !lacks.empty())
        action = ConflictAction::suspend_table;  // not this row: the table
    else if (!counted && !why.sqlstate.starts_with("22") && !why.sqlstate.starts_with("23"))
        return outcome;
    if (!lacks.empty()) why.message += "; column " + lacks;
    return decide(plan, record, action, why, old_cells, cells);
}

Result<> PgApplier::send_judged(Plan& plan, const Record& record, const std::vector<Cell>& old_cells,
                                const std::vector<Cell>& cells) {
    GW_CHECK(send_text("SAVEPOINT gw_row"));
    Statement& statement = statement_for(plan, record.kind, old_cells, cells, true,
                                         variant_of(plan, record.kind, old_cells, cells));
    GW_CHECK(send_single(plan, statement, record.kind, old_cells, cells, 1));
    return drain();
}

Error PgApplier::row_count_error(RecordKind kind, std::uint64_t met) {
    const std::string what = kind == RecordKind::insert   ? "INSERT"
                             : kind == RecordKind::update ? "UPDATE"
                                                          : "DELETE";
    return {ErrorCode::conflict,
            Retry::never,
            met > 1 ? fmt::format("{} met {} rows with this key", what, met)
            : kind == RecordKind::insert
                ? "INSERT put no row in place: a trigger or a rule of the table keeps it out"
                : what + " found no row with this key",
            {},
            ""};
}

Result<> PgApplier::decide(Plan& plan, const Record& record, ConflictAction action, const Error& why,
                           const std::vector<Cell>& old_cells, const std::vector<Cell>& cells) {
    Table& table = table_of(plan);
    if (converging_ && action == ConflictAction::ignore) return {};
    if (!converging_) ++table.counts.conflicts;
    const std::string& text = why.message;
    if (action == ConflictAction::overwrite) {
        if (std::ranges::all_of(cells, sent)) {
            GW_CHECK(send_text("SAVEPOINT gw_row"));
            const std::vector<Cell> none;
            if (record.kind == RecordKind::update && !plan.match_all &&
                key_changed(plan, record, old_cells, cells))  // the row leaves its old key
                GW_CHECK(send_single(plan, statement_for(plan, RecordKind::remove, old_cells, none, true, ""),
                                     RecordKind::remove, old_cells, none, kAny));
            GW_CHECK(send_single(plan,
                                 statement_for(plan, RecordKind::insert, none, cells, true, "overwrite"),
                                 RecordKind::insert, none, cells, kAny));
            auto outcome = drain();
            if (outcome) {
                count(table, record.kind, 1);
                if (!converging_) conflicts_.push_back({plan.relation.name, record.kind, action, text});
                return send_text("RELEASE SAVEPOINT gw_row");
            }
            if (!c_.healthy() || outcome.error().retry != Retry::never) return outcome;
            GW_CHECK(roll_back_to("gw_row"));
        }
        action = ConflictAction::log;  // a partial image is never completed with NULL
    }
    conflicts_.push_back({plan.relation.name, record.kind, action, text});
    switch (action) {
        case ConflictAction::ignore:
            return {};
        case ConflictAction::log:
            return write_exception(plan, record.kind, text);
        case ConflictAction::suspend_table: {
            table.suspended = table.suspended_now = true;
            // commits together with the change that it skips
            GW_CHECK(send_params(suspend_sql(), {Param(x_.task), Param(plan.relation.name.text()),
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

Result<> PgApplier::decide_missing(Plan& plan, const Record& record) {
    return decide(plan, record, ConflictAction::suspend_table,
                  Error{ErrorCode::not_found, Retry::never, plan.missing_reason, {}, "42P01"}, {}, {});
}

Result<> PgApplier::write_exception(const Plan& plan, RecordKind kind, const std::string& error) {
    // The statement's shape only: the row stays where it belongs.
    const std::string statement = kind == RecordKind::insert     ? "INSERT INTO " + plan.quoted
                                  : kind == RecordKind::update   ? "UPDATE " + plan.quoted
                                  : kind == RecordKind::truncate ? "TRUNCATE " + plan.quoted
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
