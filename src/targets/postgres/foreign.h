#pragma once
// Tables of sources of other families in PostgreSQL's words (spec/data-types section 6). Pure functions.

#include "core/table.h"
#include "core/target.h"

namespace godwit::postgres {

// The columns with types of this server, without what only the source's family can spell (defaults,
// collations, definitions of indexes). Generated columns are left out: their expressions are of the source's
// dialect. unsupported names a column whose type has no portable form.
[[nodiscard]] Result<TableSchema> in_own_words(const TableSchema& foreign);
[[nodiscard]] Result<ColumnSchema> in_own_words(const ColumnSchema& foreign);

}  // namespace godwit::postgres
