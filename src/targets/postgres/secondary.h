#pragma once
// What a table needs beyond its rows and its key, made after the load: secondary indexes, constraints,
// defaults, identity, sequences. Nothing here fails the task: what could not be made is named in a warning.

#include <string>
#include <vector>

#include "core/table.h"
#include "targets/postgres/preparation.h"

namespace godwit::postgres {

// `tables` carry their extras. Objects that are there already are left alone, so it may be repeated.
[[nodiscard]] Result<std::vector<std::string>> create_secondary_objects(
    Sessions& sessions, const TargetContext& context, const std::vector<TableSchema>& tables);
// setval() to the source's last values; where those cannot be read, to the highest value in the column.
[[nodiscard]] Result<std::vector<std::string>> sync_sequences(Sessions& sessions,
                                                              const TargetContext& context,
                                                              const std::vector<TableSchema>& tables);

}  // namespace godwit::postgres
