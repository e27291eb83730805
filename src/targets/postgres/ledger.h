#pragma once
// The ledger on the target: schema `godwit`, tables gw_task, gw_table, gw_slice, gw_progress. Its rows commit
// with the data, and its statements divide by zero (22012) when what they want was overtaken, so that the
// server itself refuses a stale process or a second copy.
//
//   gw_task      one row a task: epoch (raised by each take-over), source
//   gw_table     one row a table: phase, generation (raised by each load), mark, applied position
//   gw_slice     one row a slice that is in, per generation
//   gw_progress  the common position, appended: (task, seq) is the key, so two writers cannot both go on

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/target.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

using Param = pg::Param;

[[nodiscard]] std::string_view phase_name(TablePhase phase) noexcept;
[[nodiscard]] TablePhase phase_of(std::string_view name) noexcept;

// --- statements of the applier, each sent before COMMIT in the same pipeline block

// The last statement of a transaction. Refused: 22012, or 23505 when another epoch appended first.
[[nodiscard]] std::string progress_append_sql();
[[nodiscard]] std::vector<Param> progress_append_params(const std::string& task, std::uint64_t sequence,
                                                        std::uint64_t epoch, const Position& position);
// Writes to our newest row without changing it, so that a COMMIT has something to flush. Refused: 22012.
[[nodiscard]] std::string progress_touch_sql();
[[nodiscard]] std::vector<Param> progress_touch_params(const std::string& task, std::uint64_t sequence,
                                                       std::uint64_t epoch);
// Rows older than `sequence`: $1 task, $2 sequence.
[[nodiscard]] std::string progress_trim_sql();
// Phase, applied position, part, mark, reason and rows of one table; its generation must still be the
// table's.
[[nodiscard]] std::string table_state_sql();
[[nodiscard]] std::vector<Param> table_state_params(const std::string& task, std::uint64_t epoch,
                                                    const TableState& state);
// TableState::part alone. Refused when the epoch is stale; a table of another generation stays as it is.
[[nodiscard]] std::string part_sql();
[[nodiscard]] std::vector<Param> part_params(const std::string& task, std::uint64_t epoch,
                                             const TableState& state);
// $1 task, $2 "schema.table" at the source, $3 epoch, $4 reason
[[nodiscard]] std::string suspend_sql();
// $1 server name, $2 task, $3 position
[[nodiscard]] std::string txn_state_sql(const std::string& control_schema);
// $1 task, $2 schema, $3 table, $4 statement, $5 error
[[nodiscard]] std::string exception_sql(const std::string& control_schema);

// --- statement of the slice writer: the first of its transaction. 22012: generation or epoch is stale;
// 23505: the slice is in.
[[nodiscard]] std::string slice_claim_sql(const std::string& task, const TableName& table,
                                          std::uint64_t generation, std::uint64_t epoch, std::uint32_t slice);
// the rows of a slice, just before its COMMIT
[[nodiscard]] std::string slice_rows_sql(const std::string& task, const TableName& table,
                                         std::uint64_t generation, std::uint32_t slice, std::uint64_t rows);

// --- the whole

// Creates what is missing; concurrent tasks wait for each other.
[[nodiscard]] Result<> create_ledger(pg::Connection& connection);
// awsdms_apply_exceptions, and awsdms_txn_state when asked for.
[[nodiscard]] Result<> create_control_tables(pg::Connection& connection, const std::string& control_schema,
                                             bool txn_state);

// "godwit/<task>/": sessions are named so, with the epoch behind it
[[nodiscard]] std::string session_prefix(const std::string& task);
// Takes the task over; when it returns no older session lives, and none can commit anything more.
[[nodiscard]] Result<Ledger> take_over(pg::Connection& connection, const std::string& task,
                                       const ServerTraits& source);
[[nodiscard]] Result<Ledger> read_ledger(pg::Connection& connection, const std::string& task);
// Forgets phases, slices and positions; generations go on from where they were.
[[nodiscard]] Result<> reset_ledger(pg::Connection& connection, const std::string& task, std::uint64_t epoch,
                                    const ServerTraits& source);

// Removes all rows of the task, after ending its sessions. Fine when there is no ledger.
[[nodiscard]] Result<> forget_task(pg::Connection& connection, const std::string& task);

// First statement of a preparation: raises the generation, which waits for slices under way. Returns the new
// one.
struct BeganGeneration {
    std::uint64_t generation = 0;
    bool created_before = false;  // an earlier load of this task created the table
    bool filled_before = false;   // ... left rows in it
    bool shared_before = false;   // ... found rows in it that were not its own
};
[[nodiscard]] Result<BeganGeneration> begin_generation(pg::Connection& connection, const std::string& task,
                                                       std::uint64_t epoch, const TableName& table,
                                                       const SnapshotMark& mark);

// The error of a refused statement in words; others pass.
[[nodiscard]] Error explain_refusal(Error error, std::string_view what);

}  // namespace godwit::postgres
