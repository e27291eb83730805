#include "targets/mysql/ledger.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "base/failpoint.h"

namespace godwit::mysql {
namespace {

constexpr auto kEndOfSessions = std::chrono::seconds(60);

std::string quoted(std::string_view text) { return quote_literal(text); }

// A value that the server only finds when the condition holds; for a NOT NULL column or an IF.
constexpr std::string_view kTwoRows = "(SELECT 1 UNION ALL SELECT 2)";

void roll_back(Connection& c) {
    if (c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
}

Result<> in_transaction(Connection& c, const std::string& sql) {
    auto done = c.run(sql + "; COMMIT");
    if (!done) roll_back(c);
    return done;
}

std::uint64_t number_or_zero(const Rows& rows) { return rows.size() == 0 ? 0 : rows.unsigned_number(0, 0); }

Result<std::uint64_t> epoch_now(Connection& c, const std::string& task) {
    const auto rows =
        GW_TRY(c.query("SELECT epoch FROM godwit.gw_task WHERE task = " + quoted(task) + "; COMMIT"));
    return number_or_zero(rows);
}

// Ends the sessions of `task` with an epoch below `below` and waits for their end. A connection id may belong
// to somebody else after a restart of the server, so the peer's address must be the one written down.
Result<> end_older_sessions(Connection& c, const std::string& task, std::uint64_t below) {
    if (!GW_RULE("takeover.end_sessions")) return {};
    const std::string living = fmt::format(
        "SELECT s.connection FROM godwit.gw_session s JOIN information_schema.processlist p ON p.id = "
        "s.connection "
        "AND p.host = s.peer WHERE s.task = {} AND s.epoch < {} AND s.connection <> CONNECTION_ID(); COMMIT",
        quoted(task), below);
    const auto until = std::chrono::steady_clock::now() + kEndOfSessions;
    for (;;) {
        const auto rows = GW_TRY(c.query(living));
        if (rows.size() == 0) break;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            auto killed = c.run("KILL " + rows.text(i, 0));
            if (!killed && c.error_number() != 1094)  // it has gone meanwhile
                return std::unexpected(std::move(killed).error().with("ending an older session of the task"));
        }
        if (std::chrono::steady_clock::now() > until)
            return fail(ErrorCode::unavailable,
                        "an older session of the task does not end on the target (it may be rolling back)",
                        Retry::from_checkpoint);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return in_transaction(
        c, fmt::format("DELETE FROM godwit.gw_session WHERE task = {} AND epoch < {}", quoted(task), below));
}

}  // namespace

std::string_view phase_name(TablePhase phase) noexcept {
    switch (phase) {
        case TablePhase::waiting:
            return "waiting";
        case TablePhase::loading:
            return "loading";
        case TablePhase::loaded:
            return "loaded";
        case TablePhase::joined:
            return "joined";
        case TablePhase::suspended:
            return "suspended";
    }
    return "waiting";
}

TablePhase phase_of(std::string_view name) noexcept {
    for (const auto phase :
         {TablePhase::loading, TablePhase::loaded, TablePhase::joined, TablePhase::suspended})
        if (name == phase_name(phase)) return phase;
    return TablePhase::waiting;  // also `preparing`: whoever died there left nothing
}

std::string where_table(const std::string& task, const TableName& table) {
    return fmt::format(" WHERE task = {} AND source_schema = {} AND source_table = {}", quoted(task),
                       quoted(table.schema), quoted(table.table));
}

std::string position_sql(const std::string& task, std::uint64_t sequence, std::uint64_t epoch,
                         const Position& position) {
    const std::string check =
        GW_RULE("apply.progress_check")
            ? fmt::format("IF(seq = {} AND epoch = {}, seq + 1, {})", sequence, epoch, kTwoRows)
            : "seq + 1";
    return fmt::format("UPDATE godwit.gw_pos SET pos = {}, seq = {} WHERE task = {}", quoted(position.token),
                       check, quoted(task));
}

std::string table_state_sql(const std::string& task, std::uint64_t epoch, const TableState& state) {
    return fmt::format(
               "UPDATE godwit.gw_table SET phase = {}, mark = {}, applied = {}, part = {}, reason = {}, "
               "n_rows "
               "= {}, generation = IF(generation = {} AND epoch = {}, generation, {})",
               quoted(phase_name(state.phase)), quoted(state.mark.token), quoted(state.applied.token),
               quoted(state.part.text()), quoted(state.reason), state.rows, state.generation, epoch,
               kTwoRows) +
           where_table(task, state.name);
}

std::string part_sql(const std::string& task, std::uint64_t epoch, const TableState& state) {
    return fmt::format("UPDATE godwit.gw_table SET part = {}, epoch = IF(epoch = {}, epoch, {})",
                       quoted(state.part.text()), epoch, kTwoRows) +
           where_table(task, state.name) + fmt::format(" AND generation = {}", state.generation);
}

std::string suspend_sql(const std::string& task, std::uint64_t epoch, const TableName& table,
                        const std::string& reason) {
    return fmt::format(
               "UPDATE godwit.gw_table SET phase = 'suspended', reason = {}, generation = IF(epoch = {}, "
               "generation, {})",
               quoted(reason), epoch, kTwoRows) +
           where_table(task, table);
}

std::string txn_state_sql(const std::string& control_schema, const std::string& server,
                          const std::string& task, const Position& position) {
    return fmt::format(
        "INSERT INTO {} (SERVER_NAME, TASK_NAME, STATE_TIME, CHECKPOINT) VALUES ({}, {}, UTC_TIMESTAMP(), "
        "{}) ON DUPLICATE KEY UPDATE STATE_TIME = UTC_TIMESTAMP(), CHECKPOINT = VALUES(CHECKPOINT)",
        quote_name(control_schema, "awsdms_txn_state"), quoted(server), quoted(task), quoted(position.token));
}

std::string exception_sql(const std::string& control_schema, const std::string& task, const TableName& table,
                          const std::string& statement, const std::string& error) {
    return fmt::format(
        "INSERT INTO {} (TASK_NAME, TABLE_OWNER, TABLE_NAME, ERROR_TIME, STATEMENT, ERROR) VALUES ({}, {}, "
        "{}, UTC_TIMESTAMP(6), {}, {})",
        quote_name(control_schema, "awsdms_apply_exceptions"), quoted(task), quoted(table.schema),
        quoted(table.table), quoted(statement), quoted(error));
}

std::string slice_claim_sql(const std::string& task, const TableName& table, std::uint64_t generation,
                            std::uint64_t epoch, std::uint32_t slice) {
    std::string check = fmt::format("SELECT 1 FROM godwit.gw_table{}", where_table(task, table));
    if (GW_RULE("load.generation_check")) check += fmt::format(" AND generation = {}", generation);
    if (GW_RULE("load.epoch_check")) check += fmt::format(" AND epoch = {}", epoch);
    if (GW_RULE("load.phase_check")) check += " AND phase = 'loading'";
    // inside INSERT ... VALUES both servers lock the row even when they are not told to: not to rest on that
    check += " LOCK IN SHARE MODE";
    // one row of VALUES: only so does a NULL fail in every sql_mode
    return fmt::format(
        "INSERT INTO godwit.gw_slice (task, source_schema, source_table, generation, slice, n_rows, allowed) "
        "VALUES ({}, {}, {}, {}, {}, 0, ({}))",
        quoted(task), quoted(table.schema), quoted(table.table), generation,
        GW_RULE("load.slice_unique") ? std::to_string(slice)
                                     : fmt::format("{} + 1000000 * CONNECTION_ID()", slice),
        check);
}

std::string slice_rows_sql(const std::string& task, const TableName& table, std::uint64_t generation,
                           std::uint32_t slice, std::uint64_t rows) {
    return fmt::format("UPDATE godwit.gw_slice SET n_rows = {}{} AND generation = {} AND slice = {}", rows,
                       where_table(task, table), generation, slice);
}

// ---------------------------------------------------------------------------------------------- the whole

Result<> create_ledger(Connection& c) {
    constexpr std::string_view how = " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
    constexpr std::string_view key =
        "task varchar(128) NOT NULL, source_schema varchar(128) NOT NULL, source_table varchar(128) NOT "
        "NULL, ";
    // Statements that find their table commit as well, so what is there is not asked for again.
    const auto there =
        GW_TRY(c.query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'godwit' AND "
                       "table_name IN ('gw_task', 'gw_table', 'gw_slice', 'gw_pos', 'gw_session'); COMMIT"));
    if (there.number(0, 0) == 5) return {};
    std::string sql = "CREATE DATABASE IF NOT EXISTS godwit; ";
    sql += fmt::format(
        "CREATE TABLE IF NOT EXISTS godwit.gw_task (task varchar(128) NOT NULL PRIMARY KEY, "
        "epoch bigint unsigned NOT NULL, source_system longtext NOT NULL, source_timeline bigint unsigned "
        "NOT NULL){}; ",
        how);
    sql += fmt::format(
        "CREATE TABLE IF NOT EXISTS godwit.gw_table ({}epoch bigint unsigned NOT NULL, generation bigint "
        "unsigned NOT NULL, phase varchar(16) NOT NULL, mark longtext NOT NULL, applied longtext NOT NULL, "
        "part varchar(96) NOT NULL DEFAULT '', reason longtext NOT NULL, n_rows bigint unsigned NOT NULL, "
        "source_id bigint unsigned NOT NULL, "
        "format varchar(32) NOT NULL, created tinyint NOT NULL, filled tinyint NOT NULL, shared tinyint NOT "
        "NULL, by_insert tinyint NOT NULL, target_schema varchar(64) NOT NULL, target_table varchar(64) NOT "
        "NULL, "
        "PRIMARY KEY (task, source_schema, source_table)){}; ",
        key, how);
    sql += fmt::format(
        "CREATE TABLE IF NOT EXISTS godwit.gw_slice ({}generation bigint unsigned NOT NULL, slice bigint "
        "unsigned NOT NULL, n_rows bigint unsigned NOT NULL, allowed tinyint NOT NULL, PRIMARY KEY (task, "
        "source_schema, source_table, generation, slice)){}; ",
        key, how);
    sql += fmt::format(
        "CREATE TABLE IF NOT EXISTS godwit.gw_pos (task varchar(128) NOT NULL PRIMARY KEY, pos longtext "
        "NULL, seq bigint unsigned NOT NULL, epoch bigint unsigned NOT NULL){}; ",
        how);
    sql += fmt::format(
        "CREATE TABLE IF NOT EXISTS godwit.gw_session (task varchar(128) NOT NULL, connection bigint "
        "unsigned NOT NULL, peer varchar(255) NOT NULL, epoch bigint unsigned NOT NULL, allowed tinyint NOT "
        "NULL, PRIMARY KEY (task, connection)){}",
        how);
    auto made = c.run(sql);
    if (!made) return std::unexpected(std::move(made).error().with("creating the ledger in database godwit"));
    return {};
}

Result<> create_control_tables(Connection& c, const std::string& control_schema, bool txn_state) {
    const auto there = GW_TRY(c.query(
        fmt::format("SELECT table_name FROM information_schema.tables WHERE table_schema = {} AND table_name "
                    "IN ('awsdms_apply_exceptions', 'awsdms_txn_state'); COMMIT",
                    quoted(control_schema))));
    bool exceptions = false, states = !txn_state;
    for (std::size_t i = 0; i < there.size(); ++i)
        (there.text(i, 0) == "awsdms_txn_state" ? states : exceptions) = true;
    if (exceptions && states) return {};
    std::string sql = "CREATE DATABASE IF NOT EXISTS " + quote_name(control_schema);
    sql += fmt::format(
        "; CREATE TABLE IF NOT EXISTS {} (TASK_NAME varchar(128) NOT NULL, TABLE_OWNER varchar(128) NOT "
        "NULL, TABLE_NAME varchar(128) NOT NULL, ERROR_TIME datetime(6) NOT NULL, STATEMENT longtext NOT "
        "NULL, ERROR longtext NOT NULL) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        quote_name(control_schema, "awsdms_apply_exceptions"));
    if (txn_state)
        sql += fmt::format(
            "; CREATE TABLE IF NOT EXISTS {} (SERVER_NAME varchar(128) NOT NULL, TASK_NAME varchar(128) NOT "
            "NULL, STATE_TIME datetime NOT NULL, CHECKPOINT longtext NOT NULL, UNIQUE INDEX "
            "awsdms_txn_state_task_recovery_index (SERVER_NAME, TASK_NAME)) ENGINE = InnoDB DEFAULT "
            "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            quote_name(control_schema, "awsdms_txn_state"));
    auto made = c.run(sql);
    if (!made) return std::unexpected(std::move(made).error().with("creating the control tables"));
    return {};
}

Result<> register_session(Connection& c, const std::string& task, std::uint64_t epoch) {
    const std::string check =
        GW_RULE("takeover.register")
            ? fmt::format("SELECT 1 FROM godwit.gw_task WHERE task = {} AND epoch = {} LOCK IN SHARE MODE",
                          quoted(task), epoch)
            : "SELECT 1";
    // Asked for by itself: inside of an INSERT the statements of other sessions, which this view holds as
    // well, have to be valid text.
    const auto peer =
        GW_TRY(c.query("SELECT host FROM information_schema.processlist WHERE id = CONNECTION_ID()"));
    GW_CHECK(c.run("COMMIT"));
    if (peer.size() != 1)
        return fail(ErrorCode::unavailable, "the target does not list this session", Retry::from_checkpoint);
    auto done = in_transaction(
        c,
        fmt::format("INSERT INTO godwit.gw_session (task, connection, peer, epoch, allowed) VALUES ({0}, "
                    "CONNECTION_ID(), {1}, {2}, ({3})) ON DUPLICATE KEY UPDATE peer = VALUES(peer), epoch = "
                    "VALUES(epoch)",
                    quoted(task), quoted(peer.text(0, 0)), epoch, check));
    if (done) return {};
    const unsigned number = c.error_number();
    return std::unexpected(explain_refusal(std::move(done).error(), number, "a session"));
}

Result<Ledger> take_over(Connection& c, const std::string& task, const ServerTraits& source) {
    GW_CHECK(create_ledger(c));
    const std::string row = fmt::format(
        "INSERT INTO godwit.gw_task (task, epoch, source_system, source_timeline) VALUES ({0}, 0, {1}, {2}) "
        "ON DUPLICATE KEY UPDATE task = VALUES(task); "
        "INSERT INTO godwit.gw_pos (task, pos, seq, epoch) VALUES ({0}, NULL, 0, 0) ON DUPLICATE KEY UPDATE "
        "task = VALUES(task); ",
        quoted(task), quoted(source.system_id), source.timeline);
    Error last;
    for (int attempt = 0; attempt < 5; ++attempt) {
        const auto epoch = GW_TRY(epoch_now(c, task));
        // first, because they hold the rows that are to be made and raised
        GW_CHECK(end_older_sessions(c, task, epoch + 1));
        // What commits later carries a lower epoch and is refused.
        std::string raise =
            row + fmt::format(
                      "UPDATE godwit.gw_task SET epoch = IF(epoch = {0}, {1}, {2}) WHERE task = {3}; "
                      "UPDATE godwit.gw_pos SET epoch = {1}, seq = seq + 1 WHERE task = {3}; ",
                      epoch, epoch + 1, kTwoRows, quoted(task));
        if (GW_RULE("takeover.raise_tables"))
            raise += fmt::format("UPDATE godwit.gw_table SET epoch = {} WHERE task = {}; ", epoch + 1,
                                 quoted(task));
        GW_FAILPOINT("takeover.before_commit");
        auto raised = in_transaction(c, raise + "DO 0");
        if (raised) {
            // Those that came between the two: from now on none is let in.
            GW_CHECK(end_older_sessions(c, task, epoch + 1));
            auto ledger = GW_TRY(read_ledger(c, task));
            if (ledger.epoch != epoch + 1)
                return fail(ErrorCode::failed_precondition, "another process has taken the task over");
            return ledger;
        }
        const unsigned number = c.error_number();
        last = std::move(raised).error();
        if (!c.healthy() || (number != 1242 && number != 1205 && number != 1213)) break;
    }
    return std::unexpected(std::move(last).with("taking over the task's ledger on the target"));
}

Result<Ledger> read_ledger(Connection& c, const std::string& task) {
    // One statement, one snapshot: the position and the tables belong together.
    const auto rows = GW_TRY(c.query(
        fmt::format("SELECT k.epoch, k.source_system, k.source_timeline, p.seq, p.pos, g.source_schema, "
                    "g.source_table, g.phase, g.generation, g.mark, g.applied, g.reason, g.n_rows, "
                    "g.source_id, g.part FROM godwit.gw_task k LEFT JOIN godwit.gw_pos p ON p.task = k.task "
                    "LEFT JOIN godwit.gw_table g ON g.task = k.task AND g.phase NOT IN ('waiting', "
                    "'preparing') WHERE k.task = {} ORDER BY 6, 7; COMMIT",
                    quoted(task))));
    if (rows.size() == 0) return fail(ErrorCode::not_found, "the target's ledger does not know the task");
    Ledger out;
    out.epoch = rows.unsigned_number(0, 0);
    out.source_system_id = rows.text(0, 1);
    out.source_timeline = static_cast<std::uint32_t>(rows.unsigned_number(0, 2));
    out.sequence = rows.unsigned_number(0, 3);
    if (!rows.null(0, 4)) out.applied = Position{rows.text(0, 4)};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows.null(i, 5)) continue;
        TableState t;
        t.name = {rows.text(i, 5), rows.text(i, 6)};
        t.phase = phase_of(rows.text(i, 7));
        t.generation = rows.unsigned_number(i, 8);
        t.mark.token = rows.text(i, 9);
        t.applied.token = rows.text(i, 10);
        t.reason = rows.text(i, 11);
        t.rows = rows.unsigned_number(i, 12);
        t.source_id = rows.unsigned_number(i, 13);
        t.part = TablePart::of(rows.text(i, 14));
        out.tables.push_back(std::move(t));
    }
    return out;
}

Result<> reset_ledger(Connection& c, const std::string& task, std::uint64_t epoch,
                      const ServerTraits& source) {
    const std::string who = quoted(task);
    // Rows stay, so that generations never repeat and what this task created or filled is remembered.
    auto done = in_transaction(
        c, fmt::format(
               "UPDATE godwit.gw_task SET source_system = {1}, source_timeline = {2}, epoch = "
               "IF(epoch = {3}, epoch, {4}) WHERE task = {0}; "
               "UPDATE godwit.gw_table g SET phase = 'waiting', mark = '', applied = '', part = '', "
               "reason = '', n_rows = 0, filled = filled OR EXISTS (SELECT 1 FROM godwit.gw_slice s WHERE "
               "s.task = g.task AND s.source_schema = g.source_schema AND s.source_table = "
               "g.source_table) WHERE task = {0}; "
               "DELETE FROM godwit.gw_slice WHERE task = {0}; "
               "UPDATE godwit.gw_pos SET pos = NULL, seq = seq + 1 WHERE task = {0}",
               who, quoted(source.system_id), source.timeline, epoch, kTwoRows));
    if (done) return {};
    const unsigned number = c.error_number();
    return std::unexpected(explain_refusal(std::move(done).error(), number, "reset"));
}

Result<> forget_task(Connection& c, const std::string& task) {
    const auto there =
        GW_TRY(c.query("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'godwit' AND "
                       "table_name LIKE 'gw\\_%'; COMMIT"));
    if (there.number(0, 0) < 5) return {};
    const auto epoch = GW_TRY(epoch_now(c, task));
    GW_CHECK(end_older_sessions(c, task, epoch + 1));
    std::string sql;
    for (const char* table : {"gw_task", "gw_table", "gw_slice", "gw_pos", "gw_session"})
        sql += fmt::format("{}DELETE FROM godwit.{} WHERE task = {}", sql.empty() ? "" : "; ", table,
                           quoted(task));
    return in_transaction(c, sql);
}

Result<BeganGeneration> begin_generation(Connection& c, const std::string& task, std::uint64_t epoch,
                                         const TableName& table, const SnapshotMark& mark) {
    BeganGeneration out;
    auto began = [&]() -> Result<> {
        const auto old = GW_TRY(c.query(
            "SELECT created, shared, filled OR EXISTS (SELECT 1 FROM godwit.gw_slice s WHERE s.task = g.task "
            "AND s.source_schema = g.source_schema AND s.source_table = g.source_table) FROM "
            "godwit.gw_table g" +
            where_table(task, table)));
        if (old.size() == 1) {
            out.created_before = old.number(0, 0) != 0;
            out.shared_before = old.number(0, 1) != 0;
            out.filled_before = old.number(0, 2) != 0;
        }
        // The column `generation` is NOT NULL: without the task's epoch the sub-select gives nothing. The
        // row's own lock waits for slices that hold it shared.
        GW_CHECK(c.run(fmt::format(
            "INSERT INTO godwit.gw_table (task, source_schema, source_table, epoch, generation, phase, mark, "
            "applied, reason, n_rows, source_id, format, created, filled, shared, by_insert, target_schema, "
            "target_table) VALUES ({0}, {1}, {2}, {3}, (SELECT 0 FROM godwit.gw_task WHERE task = {0} AND "
            "epoch = {3} LOCK IN SHARE MODE), 'preparing', '', '', '', 0, 0, '', 0, 0, 0, 0, '', '') "
            "ON DUPLICATE KEY UPDATE phase = 'preparing'",
            quoted(task), quoted(table.schema), quoted(table.table), epoch)));
        // by_insert stays until a load is done: a source whose snapshot ends with the process is read again
        // under a new generation, and LOAD DATA would be refused again, without end.
        GW_CHECK(c.run(fmt::format("UPDATE godwit.gw_table SET generation = generation + 1, epoch = {}, mark "
                                   "= {}, applied = '', part = '', reason = '', n_rows = 0",
                                   epoch, quoted(mark.token)) +
                       where_table(task, table)));
        const auto now = GW_TRY(c.query("SELECT generation FROM godwit.gw_table" + where_table(task, table)));
        out.generation = number_or_zero(now);
        // what was filled is remembered when the slices go
        GW_CHECK(c.run(fmt::format("UPDATE godwit.gw_table SET filled = {}", out.filled_before ? 1 : 0) +
                       where_table(task, table)));
        return c.run("DELETE FROM godwit.gw_slice" + where_table(task, table) +
                     fmt::format(" AND generation < {}; COMMIT", out.generation));
    }();
    if (began) return out;
    const unsigned number = c.error_number();
    roll_back(c);
    return std::unexpected(explain_refusal(std::move(began).error(), number, "preparation"));
}

Result<> open_generation(Connection& c, const std::string& task, std::uint64_t epoch, const TableName& table,
                         std::uint64_t generation, const PreparedMarks& m) {
    auto done = c.query(
        fmt::format("UPDATE godwit.gw_table SET phase = 'loading', format = {}, created = {}, filled = 0, "
                    "shared = {}, target_schema = {}, target_table = {}, source_id = {}, generation = "
                    "IF(generation = {} AND epoch = {}, generation, {})",
                    quoted(m.format), m.created ? 1 : 0, m.shared ? 1 : 0, quoted(m.target.schema),
                    quoted(m.target.table), m.source_id, generation, epoch, kTwoRows) +
        where_table(task, table));
    if (done && done->affected() == 1) return c.run("COMMIT");
    const unsigned number = done ? 1242 : c.error_number();
    roll_back(c);
    return std::unexpected(
        explain_refusal(done ? fail(ErrorCode::failed_precondition, "").error() : std::move(done).error(),
                        number, "preparation"));
}

Error explain_refusal(Error error, unsigned number, std::string_view what) {
    if (number != 1242 && number != 1048) return error;
    error.code = ErrorCode::failed_precondition;
    error.retry = Retry::never;
    error.message = fmt::format(
        "{} refused by the target's ledger: the table was prepared anew or another process has taken the "
        "task over",
        what);
    return error;
}

}  // namespace godwit::mysql
