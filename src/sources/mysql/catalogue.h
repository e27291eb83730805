#pragma once
// What information_schema says of tables. Every reader here takes one session and holds no state.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codecs/mysql/characters.h"
#include "codecs/mysql/type.h"
#include "core/source.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

// Schemas of the server itself, never migrated.
[[nodiscard]] bool is_system_schema(std::string_view schema);
// All tables and views that the selection wants, by name. Columns whose type this version does not know keep
// an unknown portable type; only targets of the same family may take them.
[[nodiscard]] Result<std::vector<TableSchema>> read_tables(Connection& connection, const Selection* selection,
                                                           const TypeOptions& options);
// not_found when there is none
[[nodiscard]] Result<TableSchema> read_table(Connection& connection, const TableName& name,
                                             const TypeOptions& options);
// Fills TableSchema::extras: indexes, checks, foreign keys, AUTO_INCREMENT with its value now.
[[nodiscard]] Result<> read_extras(Connection& connection, std::vector<TableSchema>& tables);

// How the server spells the characters of a set in UTF-8, which a load's text comes in.
[[nodiscard]] Result<std::shared_ptr<const CharacterMap>> read_characters(Connection& connection,
                                                                          std::string_view charset);

// Where the server writes its binlog now.
struct LogPlace {
    std::string file;
    std::uint64_t offset = 0;
    // MySQL: gtid_executed, empty without. MariaDB: of the place; nothing when it moves too fast to tell.
    std::optional<std::string> gtids;
};
[[nodiscard]] Result<LogPlace> log_place(Connection& connection);
// MariaDB reads its binlog from the file's beginning for it; nothing beyond 4 GB, which it does not read.
[[nodiscard]] Result<std::optional<std::string>> gtids_at(Connection& connection, const std::string& file,
                                                          std::uint64_t offset);
// The oldest binlog that the server still has; nothing when it has none.
[[nodiscard]] Result<std::vector<std::pair<std::string, std::uint64_t>>> binlog_files(Connection& connection);

}  // namespace godwit::mysql
