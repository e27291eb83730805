#pragma once
// Implementations of core/store.h.

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "core/store.h"

namespace godwit::state {

// For tests; dies with the object.
[[nodiscard]] std::unique_ptr<StateStore> make_memory_store();

// One file in write-ahead mode. Missing tables are made and old ones brought up to date by numbered
// migrations; a file of a newer program is refused.
[[nodiscard]] Result<std::unique_ptr<StateStore>> open_sqlite_store(const std::filesystem::path& file);

}  // namespace godwit::state
