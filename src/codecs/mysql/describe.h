#pragma once
// What information_schema says, for source and target alike.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/table.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

struct ForeignKeyState {
    std::string name;
    TableName table, parent;
    std::vector<std::string> columns, parent_columns;  // in order
    std::string on_delete, on_update;                  // RESTRICT, CASCADE, SET NULL

    // Does a change of the parent's row change rows of the table? No log shows that.
    [[nodiscard]] bool acts() const;
    // "FOREIGN KEY (`p`) REFERENCES `shop`.`parent` (`id`) ON DELETE CASCADE ON UPDATE RESTRICT"
    [[nodiscard]] std::string definition() const;
};

// Of one table, or of all; by table and name.
[[nodiscard]] Result<std::vector<ForeignKeyState>> read_foreign_keys(
    Connection& connection, const std::optional<TableName>& table = {});

// An expression as a statement takes it: information_schema puts a backslash before the quotes in it.
[[nodiscard]] std::string unescaped(const std::string& expression);
// COLUMN_DEFAULT as it stands behind DEFAULT; nothing for NULL. MariaDB spells it so, MySQL gives texts
// without their quotes and says in EXTRA (`expression`: DEFAULT_GENERATED) what is to be computed.
[[nodiscard]] std::string default_of(const std::string& column_default, const std::string& column_type,
                                     bool mariadb, bool expression);
// "ON UPDATE CURRENT_TIMESTAMP(6)" of EXTRA, in capitals; else nothing.
[[nodiscard]] std::string on_update_of(std::string extra);

}  // namespace godwit::mysql
