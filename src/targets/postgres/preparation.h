#pragma once
// Makes a target table ready for a load, and finishes it: creation with the source's own types, emptying, the
// choice between binary and CSV by the columns that are really there, keys and statistics after the rows.

#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "codecs/pg/describe.h"
#include "core/target.h"
#include "targets/postgres/session.h"

namespace godwit::postgres {

// What all parts of one target share. Constant after take_over().
struct TargetContext {
    EndpointConfig endpoint;
    std::string task;
    std::string control_schema = "public";
    std::string target_schema;
    ServerTraits source, target;
    Log* log = nullptr;

    [[nodiscard]] TableName name_of(const TableName& source_name) const {
        return {target_schema.empty() ? source_name.schema : target_schema, source_name.table};
    }
};

[[nodiscard]] Result<PreparedTable> prepare_table(Sessions& sessions, const TargetContext& context,
                                                  const TableSchema& table, PrepMode mode,
                                                  const std::vector<std::string>& offered,
                                                  const SnapshotMark& mark);
// What prepare_table() left; the columns are looked at again.
[[nodiscard]] Result<PreparedTable> prepared_table(Sessions& sessions, const TargetContext& context,
                                                   const TableSchema& table, const TableState& state,
                                                   const std::vector<std::string>& offered);
// Keys, statistics, then phase and rows. May be called again after a crash in its middle.
[[nodiscard]] Result<> finish_table(Sessions& sessions, const TargetContext& context,
                                    const TableSchema& table, const PreparedTable& prepared, TablePhase phase,
                                    std::uint64_t rows);

// --- parts that DDL replay and secondary objects use as well

// Creates the types that are missing, when allowed; others are named in `warnings` and left out of `usable`.
struct TypeMap {
    // the source's quoted and qualified schema prefix of an extension's type -> the target's
    std::vector<std::pair<std::string, std::string>> moved;
    std::vector<std::string> unusable;  // types that may not be created: their columns become varchar
};
[[nodiscard]] Result<TypeMap> create_types(pg::Connection& connection, const TargetContext& context,
                                           const std::vector<UserType>& types,
                                           std::vector<std::string>& warnings);
// The column's type as the target spells it.
[[nodiscard]] std::string target_type(const ColumnSchema& column, const std::vector<UserType>& types,
                                      const TypeMap& map);
// Makes the types that an added or changed column needs, in a transaction of their own: they may stay when
// the change itself is given up. Returns the change as this server spells it.
[[nodiscard]] Result<SchemaChange> ready_change(Sessions& sessions, const TargetContext& context,
                                                const SchemaChange& change);
// The same for columns that are there. What their types still lack of the source's; empty: nothing.
[[nodiscard]] Result<std::string> bring_types(Sessions& sessions, const TargetContext& context,
                                              const TableSchema& source);
// Does the collation exist here? `collation` is quoted and qualified.
[[nodiscard]] Result<bool> has_collation(pg::Connection& connection, const std::string& collation);

// "name" or "schema"."name" of PostgreSQL's quote_ident()
[[nodiscard]] std::string quote_if_needed_prefix(const std::string& schema);

}  // namespace godwit::postgres
