#pragma once
// What a table needs to be whole and its rows do not need: indexes, foreign keys, checks, AUTO_INCREMENT.

#include <string>
#include <vector>

#include "base/result.h"
#include "core/table.h"
#include "targets/mysql/session.h"

namespace godwit::mysql {

// Those of one table but its foreign keys; what is there is left as it is. Returns what was not made, by
// name.
[[nodiscard]] Result<std::vector<std::string>> create_own_objects(Connection& connection,
                                                                  const TargetContext& context,
                                                                  const ServerFacts& facts,
                                                                  const TableSchema& table);
// From the source's own DDL, so only between servers of this family. Returns what was not made, by name.
[[nodiscard]] Result<std::vector<std::string>> create_secondary_objects(
    Sessions& sessions, const TargetContext& context, const std::vector<TableSchema>& tables);
// AUTO_INCREMENT columns of the target count on from their largest value. Returns what has no counterpart.
[[nodiscard]] Result<std::vector<std::string>> sync_sequences(Sessions& sessions,
                                                              const TargetContext& context,
                                                              const std::vector<TableSchema>& tables);

}  // namespace godwit::mysql
