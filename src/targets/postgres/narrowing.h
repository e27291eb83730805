#pragma once
// Columns of a table that the user made, in which the server would keep another value than the one it is
// given and not say so. What it refuses (a longer text, a larger number) needs no rule here. Pure functions.

#include <cstdint>
#include <string>
#include <vector>

#include "core/table.h"

namespace godwit::postgres {

enum class Narrowing : std::uint8_t {
    none,
    blanks,  // at the end of a text
    value,   // digits, time, date, characters
};
// `types`: the user types of the column's table.
[[nodiscard]] Narrowing narrowing(const ColumnSchema& source, const std::vector<UserType>& source_types,
                                  const ColumnSchema& target, const std::vector<UserType>& target_types);

}  // namespace godwit::postgres
