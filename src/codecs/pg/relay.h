#pragma once
// When bytes of a column may pass from one PostgreSQL server to another in binary. Binary carries no type
// check worth the name: int4 read as date, numeric(10,4) as numeric(10,2) or regclass numbers of another
// database are accepted silently. So everything that is not proven equal goes as text.

#include <string>
#include <string_view>
#include <vector>

#include "core/endpoint.h"
#include "core/table.h"

namespace godwit::postgres {

// A column in its own database. `types` are the user types of its table.
struct ColumnSide {
    const ServerTraits& server;
    const ColumnSchema& column;
    const std::vector<UserType>& types;
};

// Empty: yes. Otherwise why not, for the log.
[[nodiscard]] std::string binary_refusal(const ColumnSide& source, const ColumnSide& target);
[[nodiscard]] inline bool may_relay_binary(const ColumnSide& source, const ColumnSide& target) {
    return binary_refusal(source, target).empty();
}

// Same meaning on both sides: built-in with an equal number, or user types of equal definition, recursively.
// Typmods of the columns themselves are not compared. Empty: yes.
[[nodiscard]] std::string type_difference(const ColumnSide& source, const ColumnSide& target);

// Formats of a load, and the options of COPY that both ends use for them.
inline constexpr std::string_view kFormatBinary = "pg.binary";
inline constexpr std::string_view kFormatCsv = "pg.csv";
// " (FORMAT binary)"; the CSV form quotes every value, and only an unquoted nothing is NULL
[[nodiscard]] std::string copy_out_options(std::string_view format);
[[nodiscard]] std::string copy_in_options(std::string_view format);

}  // namespace godwit::postgres
