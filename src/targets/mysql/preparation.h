#pragma once
// Makes a target table ready for a load, and finishes it: creation with the source's own types or from the
// portable ones, emptying, the choice of the load's form, statistics.

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/target.h"
#include "targets/mysql/columns.h"
#include "targets/mysql/session.h"

namespace godwit::mysql {

// --- pure

// The column's type for a source of another family. `key_chars`: text of a key may have as many characters;
// 0: it is no key.
[[nodiscard]] std::string portable_column(const PortableType& type, const ServerFacts& facts,
                                          std::uint32_t key_chars, bool json_as_json);
// Type, collation and nullability, as they stand behind the column's name.
[[nodiscard]] std::string column_definition(const ColumnSchema& column, const TargetContext& context,
                                            const ServerFacts& facts,
                                            const std::set<std::string>& known_collations,
                                            std::vector<std::string>& warnings);
// The type alone, with its character set and collation. Empty: targets of another family do not know it.
[[nodiscard]] std::string column_type_sql(const ColumnSchema& column, const TargetContext& context,
                                          const ServerFacts& facts,
                                          const std::set<std::string>& known_collations,
                                          std::vector<std::string>& warnings);
[[nodiscard]] std::string standing_type(const TargetColumn& column);
// What stands behind the name of a column of the target, with `type` for the one it has: MODIFY takes away
// what it does not repeat. Without `values` it gives up what a type may not go with: DEFAULT, ON UPDATE,
// AUTO_INCREMENT.
[[nodiscard]] std::string standing_definition(const TargetColumn& column, const std::string& type,
                                              const ServerFacts& facts, bool values = true);
// The source's foreign key, in front of which CONSTRAINT and a name may stand, with the parent's name here.
[[nodiscard]] std::string foreign_key_sql(const ForeignKey& key, const TargetContext& context);
// CREATE TABLE. unsupported: names that are too long, columns without a type, keys that do not fit.
[[nodiscard]] Result<std::string> create_table_sql(const TableSchema& source, const TableName& target,
                                                   const TargetContext& context, const ServerFacts& facts,
                                                   const std::set<std::string>& known_collations,
                                                   std::vector<std::string>& warnings);

// --- on the server

[[nodiscard]] Result<std::set<std::string>> read_collations(Connection& connection);
[[nodiscard]] Result<PreparedTable> prepare_table(Sessions& sessions, const TargetContext& context,
                                                  const TableSchema& table, PrepMode mode,
                                                  const std::vector<std::string>& offered,
                                                  const SnapshotMark& mark);
// What prepare_table() left; the columns are looked at again.
[[nodiscard]] Result<PreparedTable> prepared_table(Sessions& sessions, const TargetContext& context,
                                                   const TableSchema& table, const TableState& state,
                                                   const std::vector<std::string>& offered);
// What acts on the table's rows beside what is written: triggers, keys that compare less exactly than the
// source's. An error where the endpoint refuses that.
[[nodiscard]] Result<std::vector<std::string>> notices_of(Connection& connection,
                                                          const TargetContext& context,
                                                          const TableSchema& table);
// Statistics, then phase and rows. May be called again after a crash in its middle.
[[nodiscard]] Result<> finish_table(Sessions& sessions, const TargetContext& context,
                                    const TableSchema& table, const PreparedTable& prepared, TablePhase phase,
                                    std::uint64_t rows);

}  // namespace godwit::mysql
