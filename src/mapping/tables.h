#pragma once
// TableMappings (spec/table-mappings sections 1 and 2): which tables a task takes.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/source.h"

namespace godwit::mapping {

// Compiled selection rules. Errors are invalid_argument and carry the API's text, naming the rule-id; rules,
// filters and actions that godwit does not act on are refused the same way.
[[nodiscard]] Result<std::unique_ptr<Selection>> compile_selection(const std::string& table_mappings_json);

// What is odd but accepted: ids or names used twice, keys that godwit ignores. One line each, for the task's
// log.
[[nodiscard]] std::vector<std::string> mapping_warnings(const std::string& table_mappings_json);

// Whole-name match of a DMS pattern (% _ [_] [ab] [a-d]); unit is the code point.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name);

}  // namespace godwit::mapping
