#pragma once
// What an ALTER TABLE of the log makes of a table, where its words alone say it for certain: columns of plain
// types added, dropped, renamed or moved, and what changes neither rows nor columns. Pure functions.

#include <optional>
#include <string_view>

#include "codecs/mysql/type.h"
#include "core/table.h"

namespace godwit::mysql {

struct ColumnRules {
    TypeOptions types;
    bool display_widths = true;  // the server spells int as int(11); MySQL does not from 8.0.19 on
};

// A column as the catalogue describes one of this type. `column_type` as COLUMN_TYPE spells it.
[[nodiscard]] ColumnSchema column_of(std::string name, std::string column_type, std::string collation,
                                     const TypeOptions& options);
// Not its place in the table, which moves when another comes in front: a column is its name, as long as it
// keeps it. Numbers of `others` are not given twice.
[[nodiscard]] std::int32_t column_number(const std::string& name, const std::vector<ColumnSchema>& others);

// The table behind the statement. Nothing: the statement is about something else, changes rows (a default, a
// type), or says too little. A column that was renamed keeps its number.
[[nodiscard]] std::optional<TableSchema> after_statement(const TableSchema& before, std::string_view database,
                                                         std::string_view sql, const ColumnRules& rules);

// The table that a TRUNCATE empties, as it is written; nothing when the statement reads otherwise.
[[nodiscard]] std::optional<TableName> truncated_table(std::string_view sql, std::string_view database);
// The table that a CREATE TABLE makes; nothing when the statement reads otherwise.
[[nodiscard]] std::optional<TableName> made_table(std::string_view sql, std::string_view database);
// The table that stands behind ALTER TABLE.
[[nodiscard]] std::optional<TableName> altered_table(std::string_view sql, std::string_view database);
// Does it name the place of a column?
[[nodiscard]] bool moves_columns(std::string_view sql);

}  // namespace godwit::mysql
