#pragma once
// The ledger on the target: database `godwit`, InnoDB tables. Its rows commit with the data, and the server
// itself refuses a stale process or a second copy: a NOT NULL column whose value is a sub-select that finds
// nothing (1048), a sub-select of two rows where one is due (1242), a key that is there already (1062).
//
//   gw_task     one row a task: epoch (raised by each take-over), source
//   gw_table    one row a table: phase, generation (raised by each load), mark, applied position, and part:
//   how
//               far it has come beyond the position, order:records:plan:steps of core/target.h
//   gw_slice    one row a slice that is in, per generation
//   gw_pos      one row a task: the common position
//   gw_session  sessions of the task with their epoch, so that a take-over can end them

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/target.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

[[nodiscard]] std::string_view phase_name(TablePhase phase) noexcept;
[[nodiscard]] TablePhase phase_of(std::string_view name) noexcept;

// --- statements of the applier

// The last statement before COMMIT. Refused: 1242, or no row matched.
[[nodiscard]] std::string position_sql(const std::string& task, std::uint64_t sequence, std::uint64_t epoch,
                                       const Position& position);
// Phase, applied position, mark, reason and rows of one table; its generation must still be the table's.
// Refused: 1242.
[[nodiscard]] std::string table_state_sql(const std::string& task, std::uint64_t epoch,
                                          const TableState& state);
// state.part alone. Of an older generation: nothing. Refused: 1242.
[[nodiscard]] std::string part_sql(const std::string& task, std::uint64_t epoch, const TableState& state);
[[nodiscard]] std::string suspend_sql(const std::string& task, std::uint64_t epoch, const TableName& table,
                                      const std::string& reason);
[[nodiscard]] std::string txn_state_sql(const std::string& control_schema, const std::string& server,
                                        const std::string& task, const Position& position);
[[nodiscard]] std::string exception_sql(const std::string& control_schema, const std::string& task,
                                        const TableName& table, const std::string& statement,
                                        const std::string& error);

// --- statements of the slice writer. The claim is the first of its transaction. Refused: 1048; 1062: the
// slice is in.
[[nodiscard]] std::string slice_claim_sql(const std::string& task, const TableName& table,
                                          std::uint64_t generation, std::uint64_t epoch, std::uint32_t slice);
[[nodiscard]] std::string slice_rows_sql(const std::string& task, const TableName& table,
                                         std::uint64_t generation, std::uint32_t slice, std::uint64_t rows);

// --- the whole

[[nodiscard]] Result<> create_ledger(Connection& connection);
// awsdms_apply_exceptions, and awsdms_txn_state when asked for.
[[nodiscard]] Result<> create_control_tables(Connection& connection, const std::string& control_schema,
                                             bool txn_state);
// First statement of a session. failed_precondition when the epoch was overtaken.
[[nodiscard]] Result<> register_session(Connection& connection, const std::string& task, std::uint64_t epoch);
// Takes the task over; when it returns no older session lives, and none can commit anything more.
[[nodiscard]] Result<Ledger> take_over(Connection& connection, const std::string& task,
                                       const ServerTraits& source);
[[nodiscard]] Result<Ledger> read_ledger(Connection& connection, const std::string& task);
// Forgets phases, slices and positions; generations go on from where they were.
[[nodiscard]] Result<> reset_ledger(Connection& connection, const std::string& task, std::uint64_t epoch,
                                    const ServerTraits& source);
[[nodiscard]] Result<> forget_task(Connection& connection, const std::string& task);

// Raises the generation with phase `preparing` and commits: it waits for slices under way, and those that
// come later are refused.
struct BeganGeneration {
    std::uint64_t generation = 0;
    bool created_before = false;  // an earlier load of this task created the table
    bool filled_before = false;   // ... left rows in it
    bool shared_before = false;   // ... found rows in it that were not its own
};
[[nodiscard]] Result<BeganGeneration> begin_generation(Connection& connection, const std::string& task,
                                                       std::uint64_t epoch, const TableName& table,
                                                       const SnapshotMark& mark);
// What follows a preparation: phase `loading`, committed.
struct PreparedMarks {
    TableName target;
    std::string format;
    bool created = false;
    bool shared = false;
    std::uint64_t source_id = 0;
};
[[nodiscard]] Result<> open_generation(Connection& connection, const std::string& task, std::uint64_t epoch,
                                       const TableName& table, std::uint64_t generation,
                                       const PreparedMarks& marks);

// " WHERE task = ... AND source_schema = ... AND source_table = ..."
[[nodiscard]] std::string where_table(const std::string& task, const TableName& table);
// The error of a refused statement in words; others pass.
[[nodiscard]] Error explain_refusal(Error error, unsigned number, std::string_view what);

}  // namespace godwit::mysql
