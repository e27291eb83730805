#pragma once
// The shapes of a task's tables as the target has them, kept in the task's folder: the catalogue may have
// moved on while no process watched, and only the difference tells what the log leaves out. Written behind
// the target's commit: a shape that is one ALTER too old leads to the same ALTER once more, which the target
// then skips.

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "core/table.h"

namespace godwit::engine {

// What is needed to compare: numbers, columns, identity, partitions. Definitions for creating a table are
// left out.
[[nodiscard]] Result<> save_shapes(const std::filesystem::path& file, const std::vector<TableSchema>& tables);
// Empty when there is no such file, or it is not whole.
[[nodiscard]] std::vector<TableSchema> load_shapes(const std::filesystem::path& file);

}  // namespace godwit::engine
