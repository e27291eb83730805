#pragma once
// A change of a table's shape as DDL, for the applier's own transaction. Pure.

#include <string>
#include <vector>

#include "core/target.h"

namespace godwit::postgres {

// names of the table's columns, first column of the answer
[[nodiscard]] std::string columns_sql(const TableName& target);
// Empty when `columns` show that it was done before.
[[nodiscard]] std::vector<std::string> reshape_sql(const SchemaChange& change, const TableName& target,
                                                   const std::vector<std::string>& columns, bool moves);

// The ledger follows a renamed or dropped table.
[[nodiscard]] std::vector<std::string> ledger_change_sql(const std::string& task, const SchemaChange& change,
                                                         bool moves);

}  // namespace godwit::postgres
