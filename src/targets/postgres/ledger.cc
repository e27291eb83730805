#include "targets/postgres/ledger.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <thread>

#include "base/failpoint.h"

namespace godwit::postgres {
namespace {

constexpr std::array<std::string_view, 5> kPhases = {"waiting", "loading", "loaded", "joined", "suspended"};
constexpr int kTakeOverTries = 20;
constexpr auto kEndOfSessionsMax = std::chrono::seconds(30);

std::string quoted(const std::string& text) { return pg::quote_literal(text); }

// The slices of one table in one generation.
std::string slice_key(const std::string& task, const TableName& table, std::uint64_t generation) {
    return fmt::format("task = {} AND source_schema = {} AND source_table = {} AND generation = {}",
                       quoted(task), quoted(table.schema), quoted(table.table), generation);
}

// Ends sessions of the task with an epoch below `epoch` and waits until they are gone.
Result<> end_older_sessions(pg::Connection& c, const std::string& task, std::uint64_t epoch) {
    if (!GW_RULE("takeover.end_sessions")) return {};
    const std::string prefix = session_prefix(task);
    const std::string which =
        "datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() "
        "AND pg_catalog.left(application_name, pg_catalog.length($1)) = $1 "
        "AND CASE WHEN pg_catalog.substr(application_name, pg_catalog.length($1) + 1) ~ '^[0-9]{1,18}$' "
        "THEN pg_catalog.substr(application_name, pg_catalog.length($1) + 1)::bigint < $2::bigint END";
    const auto until = std::chrono::steady_clock::now() + kEndOfSessionsMax;
    for (bool again = false;; again = true) {
        const auto rows = GW_TRY(c.query(
            "SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE " +
                which,
            std::vector<Param>{prefix, std::to_string(epoch)}));
        if (rows.size() == 0) return {};
        if (again && std::chrono::steady_clock::now() > until)
            return fail(ErrorCode::unavailable,
                        fmt::format("session {} of an older run of this task does not end on the target",
                                    rows.number(0, 0)),
                        Retry::from_checkpoint);
        std::this_thread::sleep_for(std::chrono::milliseconds(again ? 50 : 5));
    }
}

Result<std::uint64_t> epoch_now(pg::Connection& c, const std::string& task) {
    const auto rows =
        GW_TRY(c.query("SELECT epoch FROM godwit.gw_task WHERE task = $1", std::vector<Param>{task}));
    return rows.size() == 0 ? 0 : static_cast<std::uint64_t>(rows.number(0, 0));
}

// One try inside a transaction of its own. aborted: something older is still at work, try again.
Result<> raise_epoch(pg::Connection& c, const std::string& task, std::uint64_t from,
                     const ServerTraits& source) {
    GW_CHECK(c.run("BEGIN; SET LOCAL lock_timeout = '2s'"));
    const std::uint64_t to = from + 1;
    const auto step = [&]() -> Result<> {
        // A timeline is believed once a position was applied under it: only then did the engine accept it.
        const auto row = GW_TRY(c.query(
            "INSERT INTO godwit.gw_task AS t (task, epoch, source_system, source_timeline, seen_timeline, "
            "taken_at) "
            "VALUES ($1, $2::bigint + 1, $3, $4::bigint, $4::bigint, now()) ON CONFLICT (task) DO UPDATE SET "
            "epoch = excluded.epoch, taken_at = excluded.taken_at, seen_timeline = excluded.seen_timeline, "
            "source_timeline = CASE WHEN (SELECT NOT p.takeover FROM godwit.gw_progress p WHERE p.task = $1 "
            "ORDER BY p.seq DESC LIMIT 1) THEN t.seen_timeline ELSE t.source_timeline END "
            "WHERE t.epoch = $2::bigint RETURNING 1",
            std::vector<Param>{task, std::to_string(from), source.system_id,
                               std::to_string(source.timeline)}));
        if (row.size() != 1) return fail(ErrorCode::aborted, "another process takes the task over");
        // The unique key waits for an older transaction that has appended and not yet committed.
        if (GW_RULE("takeover.append"))
            GW_CHECK(c.query(
                "INSERT INTO godwit.gw_progress (task, seq, position, epoch, takeover) "
                "SELECT $1, coalesce(max(seq), 0) + 1, (SELECT position FROM godwit.gw_progress "
                "WHERE task = $1 ORDER BY seq DESC LIMIT 1), $2::bigint, true FROM godwit.gw_progress "
                "WHERE task = $1",
                std::vector<Param>{task, std::to_string(to)}));
        // Row locks wait for older slices that have passed their check and not yet committed.
        if (GW_RULE("takeover.raise_tables"))
            GW_CHECK(c.query("UPDATE godwit.gw_table SET epoch = $2::bigint WHERE task = $1",
                             std::vector<Param>{task, std::to_string(to)}));
        GW_FAILPOINT("takeover.before_commit");
        return c.run("COMMIT");
    }();
    if (!step && c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
    return step;
}

}  // namespace

std::string_view phase_name(TablePhase phase) noexcept { return kPhases[static_cast<std::size_t>(phase)]; }

TablePhase phase_of(std::string_view name) noexcept {
    for (std::size_t i = 0; i < kPhases.size(); ++i)
        if (kPhases[i] == name) return static_cast<TablePhase>(i);
    return TablePhase::waiting;
}

std::string progress_append_sql() {
    if (!GW_RULE("apply.progress_check"))
        return "INSERT INTO godwit.gw_progress (task, seq, position, epoch) SELECT $1, max(seq) + 1, $4, "
               "$3::bigint "
               "FROM godwit.gw_progress WHERE task = $1 AND $2::bigint >= 0";
    return "WITH i AS (INSERT INTO godwit.gw_progress (task, seq, position, epoch) SELECT task, seq + 1, $4, "
           "epoch "
           "FROM godwit.gw_progress WHERE task = $1 AND seq = $2::bigint AND epoch = $3::bigint RETURNING 1) "
           "SELECT 1/count(*) FROM i";
}

std::vector<Param> progress_append_params(const std::string& task, std::uint64_t sequence,
                                          std::uint64_t epoch, const Position& position) {
    return {task, std::to_string(sequence), std::to_string(epoch), position.token};
}

std::string progress_touch_sql() {
    return "WITH u AS (UPDATE godwit.gw_progress SET epoch = epoch WHERE task = $1 AND seq = $2::bigint AND "
           "epoch = "
           "$3::bigint RETURNING 1) SELECT 1/count(*) FROM u";
}

std::vector<Param> progress_touch_params(const std::string& task, std::uint64_t sequence,
                                         std::uint64_t epoch) {
    return {task, std::to_string(sequence), std::to_string(epoch)};
}

std::string progress_trim_sql() {
    return "DELETE FROM godwit.gw_progress WHERE task = $1 AND seq < $2::bigint";
}

std::string table_state_sql() {
    // the first row of a table that was never loaded (cdc only) is written here
    return "WITH t AS (SELECT 1 FROM godwit.gw_task WHERE task = $1 AND epoch = $2::bigint FOR SHARE), "
           "u AS (INSERT INTO godwit.gw_table AS g (task, source_schema, source_table, epoch, generation, "
           "phase, mark, "
           "applied, reason, rows, part) SELECT $1, $3, $4, $2::bigint, $5::bigint, $6, $7, $8, $9, "
           "$10::bigint, $11 FROM t "
           "ON CONFLICT (task, source_schema, source_table) DO UPDATE SET phase = excluded.phase, mark = "
           "excluded.mark, "
           "applied = excluded.applied, reason = excluded.reason, rows = excluded.rows, part = "
           "excluded.part "
           "WHERE g.epoch = excluded.epoch AND g.generation = excluded.generation RETURNING 1) "
           "SELECT 1/count(*) FROM u";
}

std::vector<Param> table_state_params(const std::string& task, std::uint64_t epoch, const TableState& state) {
    return {task,
            std::to_string(epoch),
            state.name.schema,
            state.name.table,
            std::to_string(state.generation),
            std::string(phase_name(state.phase)),
            state.mark.token,
            state.applied.token,
            state.reason,
            std::to_string(state.rows),
            state.part.text()};
}

std::string part_sql() {
    return "UPDATE godwit.gw_table SET part = $6, epoch = epoch / CASE WHEN epoch = $2::bigint THEN 1 ELSE 0 "
           "END WHERE task = $1 AND source_schema = $3 AND source_table = $4 AND generation = $5::bigint";
}

std::vector<Param> part_params(const std::string& task, std::uint64_t epoch, const TableState& state) {
    return {task,
            std::to_string(epoch),
            state.name.schema,
            state.name.table,
            std::to_string(state.generation),
            state.part.text()};
}

std::string suspend_sql() {
    return "WITH u AS (UPDATE godwit.gw_table SET phase = 'suspended', reason = $4 WHERE task = $1 "
           "AND source_schema || '.' || source_table = $2 AND epoch = $3::bigint RETURNING 1) "
           "SELECT 1/count(*) FROM u";
}

std::string txn_state_sql(const std::string& control_schema) {
    return fmt::format(
        R"(INSERT INTO {} ("SERVER_NAME", "TASK_NAME", "STATE_TIME", "CHECKPOINT")
           VALUES ($1, $2, pg_catalog.clock_timestamp(), $3) ON CONFLICT ("SERVER_NAME", "TASK_NAME")
           DO UPDATE SET "STATE_TIME" = excluded."STATE_TIME", "CHECKPOINT" = excluded."CHECKPOINT")",
        pg::quote_name(control_schema, "awsdms_txn_state"));
}

std::string exception_sql(const std::string& control_schema) {
    return fmt::format(
        R"(INSERT INTO {} ("TASK_NAME", "TABLE_OWNER", "TABLE_NAME", "ERROR_TIME", "STATEMENT", "ERROR")
           VALUES ($1, $2, $3, pg_catalog.clock_timestamp(), $4, $5))",
        pg::quote_name(control_schema, "awsdms_apply_exceptions"));
}

std::string slice_claim_sql(const std::string& task, const TableName& table, std::uint64_t generation,
                            std::uint64_t epoch, std::uint32_t slice) {
    std::string fresh;
    if (GW_RULE("load.generation_check"))
        fresh += fmt::format(" AND generation = {} AND phase = 'loading'", generation);
    if (GW_RULE("load.epoch_check")) fresh += fmt::format(" AND epoch = {}", epoch);
    const std::string lock = fmt::format(
        "WITH s AS (SELECT 1 FROM godwit.gw_table WHERE task = {} AND source_schema = {} AND source_table = "
        "{}"
        "{}{})",
        quoted(task), quoted(table.schema), quoted(table.table), fresh,
        GW_RULE("load.row_lock") ? " FOR SHARE" : "");
    if (!GW_RULE("load.slice_unique")) return lock + " SELECT 1/count(*) FROM s";
    return fmt::format(
        "{}, i AS (INSERT INTO godwit.gw_slice (task, source_schema, source_table, generation, slice) "
        "SELECT {}, {}, {}, {}, {} FROM s RETURNING 1) SELECT 1/count(*) FROM i",
        lock, quoted(task), quoted(table.schema), quoted(table.table), generation, slice);
}

std::string slice_rows_sql(const std::string& task, const TableName& table, std::uint64_t generation,
                           std::uint32_t slice, std::uint64_t rows) {
    return fmt::format("UPDATE godwit.gw_slice SET rows = {} WHERE {} AND slice = {}", rows,
                       slice_key(task, table, generation), slice);
}

Result<> create_ledger(pg::Connection& c) {
    {
        const auto there =
            GW_TRY(c.query("SELECT count(*), EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attname = "
                           "'part' AND attrelid = pg_catalog.to_regclass('godwit.gw_table')) "
                           "FROM pg_catalog.pg_class k JOIN pg_catalog.pg_namespace n ON "
                           "n.oid = k.relnamespace "
                           "WHERE n.nspname = 'godwit' AND k.relname IN ('gw_task', 'gw_table', 'gw_slice', "
                           "'gw_progress')"));
        if (there.number(0, 0) == 4 && there.flag(0, 1)) return {};
    }
    auto made = c.run(R"(BEGIN;
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('godwit ledger'));
CREATE SCHEMA IF NOT EXISTS godwit;
CREATE TABLE IF NOT EXISTS godwit.gw_task (
    task text PRIMARY KEY,
    epoch bigint NOT NULL,
    format int NOT NULL DEFAULT 1,
    source_system text NOT NULL,
    source_timeline bigint NOT NULL,
    seen_timeline bigint NOT NULL,
    taken_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS godwit.gw_table (
    task text NOT NULL,
    source_schema text NOT NULL,
    source_table text NOT NULL,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    phase text NOT NULL,
    mark text NOT NULL DEFAULT '',
    applied text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    rows bigint NOT NULL DEFAULT 0,
    format text NOT NULL DEFAULT '',
    created boolean NOT NULL DEFAULT false,
    target_schema text NOT NULL DEFAULT '',
    target_table text NOT NULL DEFAULT '',
    filled boolean NOT NULL DEFAULT false,
    shared boolean NOT NULL DEFAULT false,
    source_id bigint NOT NULL DEFAULT 0,
    part text NOT NULL DEFAULT '',
    PRIMARY KEY (task, source_schema, source_table));
ALTER TABLE godwit.gw_table ADD COLUMN IF NOT EXISTS source_id bigint NOT NULL DEFAULT 0;
ALTER TABLE godwit.gw_table ADD COLUMN IF NOT EXISTS part text NOT NULL DEFAULT '';
CREATE TABLE IF NOT EXISTS godwit.gw_slice (
    task text NOT NULL,
    source_schema text NOT NULL,
    source_table text NOT NULL,
    generation bigint NOT NULL,
    slice bigint NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (task, source_schema, source_table, generation, slice));
CREATE TABLE IF NOT EXISTS godwit.gw_progress (
    task text NOT NULL,
    seq bigint NOT NULL,
    position text,
    epoch bigint NOT NULL,
    takeover boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (task, seq));
COMMIT)");
    if (made) return {};
    if (c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
    if (made.error().sqlstate == "42501")
        return fail(
            ErrorCode::permission_denied,
            "the target user may not create schema godwit, where the task keeps its positions; grant CREATE "
            "on the database, or create the schema and make the user its owner");
    return made;
}

Result<> create_control_tables(pg::Connection& c, const std::string& schema, bool txn_state) {
    std::string sql = fmt::format(
        R"(BEGIN;
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('godwit control tables'));
{0}CREATE TABLE IF NOT EXISTS {1} ("TASK_NAME" varchar(128) NOT NULL, "TABLE_OWNER" varchar(128) NOT NULL,
    "TABLE_NAME" varchar(128) NOT NULL, "ERROR_TIME" timestamp NOT NULL, "STATEMENT" text NOT NULL,
    "ERROR" text NOT NULL);)",
        schema == "public" ? "" : "CREATE SCHEMA IF NOT EXISTS " + pg::quote_name(schema) + ";\n",
        pg::quote_name(schema, "awsdms_apply_exceptions"));
    if (txn_state)
        sql += fmt::format(R"(
CREATE TABLE IF NOT EXISTS {} ("SERVER_NAME" varchar(128) NOT NULL, "TASK_NAME" varchar(128) NOT NULL,
    "STATE_TIME" timestamp NOT NULL, "CHECKPOINT" varchar(1024) NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS awsdms_txn_state_task_recovery_index ON {} ("SERVER_NAME", "TASK_NAME");)",
                           pg::quote_name(schema, "awsdms_txn_state"),
                           pg::quote_name(schema, "awsdms_txn_state"));
    auto made = c.run(sql + "\nCOMMIT");
    if (made) return {};
    if (c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
    return std::unexpected(std::move(made).error().with("control tables in schema " + schema));
}

std::string session_prefix(const std::string& task) {
    // application_name holds 63 bytes; 20 are kept for the epoch
    constexpr std::size_t kTaskMax = 35;
    if (task.size() <= kTaskMax) return "godwit/" + task + "/";
    std::uint64_t h = 1469598103934665603ULL;
    for (const char ch : task) h = (h ^ static_cast<unsigned char>(ch)) * 1099511628211ULL;
    return fmt::format("godwit/{}{:016x}/", task.substr(0, kTaskMax - 16), h);
}

Result<Ledger> take_over(pg::Connection& c, const std::string& task, const ServerTraits& source) {
    GW_CHECK(create_ledger(c));
    Error last;
    for (int i = 0; i < kTakeOverTries; ++i) {
        const auto epoch = GW_TRY(epoch_now(c, task));
        GW_CHECK(end_older_sessions(c, task, epoch + 1));
        auto raised = raise_epoch(c, task, epoch, source);
        if (raised) {
            // Those that came back meanwhile can commit nothing any more, but may hold locks.
            GW_CHECK(end_older_sessions(c, task, epoch + 1));
            auto ledger = GW_TRY(read_ledger(c, task));
            if (ledger.epoch != epoch + 1)
                return fail(ErrorCode::failed_precondition, "another process has taken the task over");
            return ledger;
        }
        last = std::move(raised).error();
        const bool overtaken =
            last.code == ErrorCode::aborted || last.sqlstate == "23505" || last.sqlstate == "55P03";
        if (!c.healthy() || !overtaken) break;
    }
    return std::unexpected(std::move(last).with("taking over the task's ledger on the target"));
}

Result<Ledger> read_ledger(pg::Connection& c, const std::string& task) {
    // One statement, one snapshot: the position and the tables belong together.
    const auto rows = GW_TRY(
        c.query("SELECT k.epoch, k.source_system, k.source_timeline, p.seq, p.position, g.source_schema, "
                "g.source_table, "
                "g.phase, g.generation, g.mark, g.applied, g.reason, g.rows, g.source_id, g.part "
                "FROM godwit.gw_task k LEFT JOIN LATERAL (SELECT seq, position FROM godwit.gw_progress w "
                "WHERE w.task = k.task ORDER BY seq DESC LIMIT 1) p ON true "
                "LEFT JOIN godwit.gw_table g ON g.task = k.task AND g.phase <> 'waiting' WHERE k.task = $1 "
                "ORDER BY 6, 7",
                std::vector<Param>{task}));
    if (rows.size() == 0) return fail(ErrorCode::not_found, "the target's ledger does not know the task");
    Ledger out;
    out.epoch = static_cast<std::uint64_t>(rows.number(0, 0));
    out.source_system_id = rows.text(0, 1);
    out.source_timeline = static_cast<std::uint32_t>(rows.number(0, 2));
    out.sequence = static_cast<std::uint64_t>(rows.number(0, 3));
    if (!rows.null(0, 4)) out.applied = Position{rows.text(0, 4)};
    for (int i = 0; i < rows.size(); ++i) {
        if (rows.null(i, 5)) continue;
        TableState t;
        t.name = {rows.text(i, 5), rows.text(i, 6)};
        t.phase = phase_of(rows.text(i, 7));
        t.generation = static_cast<std::uint64_t>(rows.number(i, 8));
        t.mark.token = rows.text(i, 9);
        t.applied.token = rows.text(i, 10);
        t.reason = rows.text(i, 11);
        t.rows = static_cast<std::uint64_t>(rows.number(i, 12));
        t.source_id = static_cast<std::uint64_t>(rows.number(i, 13));
        t.part = TablePart::of(rows.text(i, 14));
        out.tables.push_back(std::move(t));
    }
    return out;
}

Result<> reset_ledger(pg::Connection& c, const std::string& task, std::uint64_t epoch,
                      const ServerTraits& source) {
    GW_CHECK(c.run("BEGIN"));
    const auto step = [&]() -> Result<> {
        const std::vector<Param> who{task, std::to_string(epoch)};
        GW_CHECK(
            c.query("WITH u AS (UPDATE godwit.gw_task SET source_system = $3, source_timeline = $4::bigint, "
                    "seen_timeline = $4::bigint WHERE task = $1 AND epoch = $2::bigint RETURNING 1) "
                    "SELECT 1/count(*) FROM u",
                    std::vector<Param>{task, std::to_string(epoch), source.system_id,
                                       std::to_string(source.timeline)}));
        // Rows stay, so that generations never repeat and what this task created or filled is remembered.
        GW_CHECK(
            c.query("UPDATE godwit.gw_table g SET phase = 'waiting', mark = '', applied = '', part = '', "
                    "reason = '', "
                    "rows = 0, "
                    "filled = filled OR EXISTS (SELECT 1 FROM godwit.gw_slice s WHERE s.task = g.task "
                    "AND s.source_schema = g.source_schema AND s.source_table = g.source_table) "
                    "WHERE task = $1",
                    std::vector<Param>{task}));
        GW_CHECK(c.query("DELETE FROM godwit.gw_slice WHERE task = $1", std::vector<Param>{task}));
        // the chain of sequence numbers goes on, without a position
        GW_CHECK(
            c.query("WITH i AS (INSERT INTO godwit.gw_progress (task, seq, position, epoch, takeover) "
                    "SELECT $1, max(seq) + 1, NULL, $2::bigint, true FROM godwit.gw_progress WHERE task = $1 "
                    "HAVING max(seq) IS NOT NULL RETURNING seq) DELETE FROM godwit.gw_progress p "
                    "WHERE p.task = $1 AND p.seq < (SELECT seq FROM i)",
                    who));
        return c.run("COMMIT");
    }();
    if (step) return {};
    if (c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
    return std::unexpected(explain_refusal(step.error(), "reset"));
}

Result<> forget_task(pg::Connection& c, const std::string& task) {
    const auto there = GW_TRY(c.query("SELECT pg_catalog.to_regclass('godwit.gw_task') IS NOT NULL"));
    if (!there.flag(0, 0)) return {};
    const auto epoch = GW_TRY(epoch_now(c, task));
    GW_CHECK(end_older_sessions(c, task, epoch + 1));
    const std::string who = " WHERE task = " + quoted(task);
    auto gone =
        c.run("BEGIN; DELETE FROM godwit.gw_task" + who + "; DELETE FROM godwit.gw_table" + who +
              "; DELETE FROM godwit.gw_slice" + who + "; DELETE FROM godwit.gw_progress" + who + "; COMMIT");
    if (!gone && c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
    return gone;
}

Result<BeganGeneration> begin_generation(pg::Connection& c, const std::string& task, std::uint64_t epoch,
                                         const TableName& table, const SnapshotMark& mark) {
    const std::vector<Param> key{task, table.schema, table.table};
    BeganGeneration out;
    {
        const auto old =
            GW_TRY(c.query("SELECT g.created, g.shared, g.filled OR EXISTS (SELECT 1 FROM godwit.gw_slice s "
                           "WHERE s.task = g.task "
                           "AND s.source_schema = g.source_schema AND s.source_table = g.source_table) FROM "
                           "godwit.gw_table g "
                           "WHERE task = $1 AND source_schema = $2 AND source_table = $3",
                           key));
        if (old.size() == 1) {
            out.created_before = old.flag(0, 0);
            out.shared_before = old.flag(0, 1);
            out.filled_before = old.flag(0, 2);
        }
    }
    auto rows = c.query(
        "WITH t AS (SELECT 1 FROM godwit.gw_task WHERE task = $1 AND epoch = $4::bigint FOR SHARE) "
        "INSERT INTO godwit.gw_table AS g (task, source_schema, source_table, epoch, generation, phase, "
        "mark) "
        "SELECT $1, $2, $3, $4::bigint, 1, 'loading', $5 FROM t "
        "ON CONFLICT (task, source_schema, source_table) DO UPDATE SET generation = g.generation + 1, "
        "epoch = excluded.epoch, phase = 'loading', mark = excluded.mark, applied = '', part = '', reason = "
        "'', "
        "rows = 0 "
        "WHERE g.epoch <= excluded.epoch RETURNING generation",
        std::vector<Param>{task, table.schema, table.table, std::to_string(epoch), mark.token});
    if (!rows) return std::unexpected(std::move(rows).error());
    if (rows->size() != 1)
        return fail(ErrorCode::failed_precondition,
                    "another process has taken the task over; nothing was prepared");
    out.generation = static_cast<std::uint64_t>(rows->number(0, 0));
    GW_CHECK(
        c.query("DELETE FROM godwit.gw_slice WHERE task = $1 AND source_schema = $2 AND source_table = $3 "
                "AND generation < $4::bigint",
                std::vector<Param>{task, table.schema, table.table, std::to_string(out.generation)}));
    return out;
}

Error explain_refusal(Error error, std::string_view what) {
    if (error.sqlstate != "22012") return error;
    error.code = ErrorCode::failed_precondition;
    error.retry = Retry::never;
    error.message = fmt::format(
        "{} refused by the target's ledger: the table was prepared anew or another process has "
        "taken the task over",
        what);
    return error;
}

}  // namespace godwit::postgres
