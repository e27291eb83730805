#pragma once
// Applies change records to PostgreSQL (core/target.h says what an Applier promises).
//
// Runs of changes to one table with the same operation and the same sent columns become one prepared
// statement over `unnest` of arrays, in pipeline mode, at most kRunRows rows each. Within a run, and among
// the open runs of one table, every key occurs at most once, so that their order does not matter. Arrays
// travel in binary: cells that the source sent in binary become elements of the column's own type, cells in
// text become elements of text[] and are cast, so nothing is ever escaped. Key changes, tables matched on all
// columns, and binary arrays (which `unnest` would flatten) run as single prepared statements in the same
// pipeline.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/log.h"
#include "core/target.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

struct ApplierContext {
    std::string task;  // gw_* key
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;  // of the last gw_progress row
    std::string control_schema = "public";
    std::string target_schema;  // empty: the source's
    std::string server_name = "godwit";
    bool write_txn_state = false;  // awsdms_txn_state as well
    // Triggers and foreign keys are off (session_replication_role=replica), so tables may be reordered inside
    // a transaction.
    bool replica_role = false;
    bool commits_unflushed = false;  // the session runs with synchronous_commit=off
    ConflictPolicy policy;
    // Makes the types that a change needs, in a session of its own, and spells the change as this server
    // does.
    std::function<Result<SchemaChange>(const SchemaChange&)> ready;
    // Gives the types of a source table's columns the values that they have there by now, in a session of its
    // own. What still differs; empty: nothing.
    std::function<Result<std::string>(const TableName&)> bring_types;
    Log* log = nullptr;
};

[[nodiscard]] std::unique_ptr<Applier> make_applier(pg::Connection connection, ApplierContext context);

}  // namespace godwit::postgres
