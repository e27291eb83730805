#pragma once
// Changes of a table's shape on the target. Every statement commits, so each compares first with what is
// there and may be done twice.

#include <set>
#include <string>
#include <vector>

#include "core/target.h"
#include "targets/mysql/columns.h"
#include "targets/mysql/session.h"

namespace godwit::mysql {

// Without `values` a column whose type changes gives up DEFAULT, ON UPDATE and AUTO_INCREMENT.
[[nodiscard]] Result<std::vector<std::string>> reshape_sql(
    const SchemaChange& change, const TableName& target, const TargetTable& now, const TargetContext& context,
    const ServerFacts& facts, const std::set<std::string>& known_collations, bool values = true);
// What the change means to the ledger.
[[nodiscard]] std::vector<std::string> ledger_change_sql(const std::string& task, const SchemaChange& change,
                                                         const TargetContext& context);

}  // namespace godwit::mysql
