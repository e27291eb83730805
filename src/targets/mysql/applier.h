#pragma once
// Applies change records to MySQL and MariaDB (core/target.h says what an Applier promises).
//
// Runs of changes to one table and kind become one statement: INSERT of many rows, UPDATE with a CASE of the
// key per column, DELETE by a list of keys. Within the open statements of a table every key occurs at most
// once, so that their order does not matter. Statements travel in packets of several; the server stops a
// packet at its first error, and no packet is sent before the one before it was answered, because a failed
// statement does not end a transaction here. Keys that change, unique columns and tables matched on all
// columns go singly, in the source's order.
//
// DDL commits here: a change of shape is the first statement of its transaction, and the engine ends the
// group before it (Target::ddl_commits).

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "core/target.h"
#include "targets/mysql/session.h"

namespace godwit::mysql {

struct ApplierContext {
    std::string task;
    std::uint64_t epoch = 0;
    std::uint64_t sequence = 0;  // of gw_pos
    std::string server_name = "godwit";
    bool write_txn_state = false;
    ConflictPolicy policy;
    const TargetContext* target = nullptr;
    ServerFacts facts;
};

[[nodiscard]] std::unique_ptr<Applier> make_applier(Connection connection, ApplierContext context);

}  // namespace godwit::mysql
