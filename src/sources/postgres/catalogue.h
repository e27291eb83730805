#pragma once
// What tables a PostgreSQL source has and how their rows are known. Few queries, whatever the number of
// tables; no lock that an ALTER in flight would make us wait behind. search_path of the session must be
// empty.

#include <vector>

#include "base/result.h"
#include "core/source.h"
#include "core/table.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

// Selected tables and views (all when `selection` is null), ordered by load order descending, then by name.
// partitions_as_root: a partitioned table is one table with leaves; a partition is a table of its own only
// when it is selected and no ancestor is. Otherwise the leaves stand for themselves and partitioned tables
// are left out. Inheritance parents hold their own rows only. Tables that godwit or DMS keep for themselves
// are never listed.
[[nodiscard]] Result<std::vector<TableSchema>> read_tables(pg::Connection& connection,
                                                           const Selection* selection,
                                                           bool partitions_as_root);

// Why the rows of a partitioned table are no longer those that its log has made, by what became of its
// partitions between two readings: with publish_via_partition_root neither ATTACH and DETACH nor TRUNCATE of
// one partition is in the log. Empty: they are.
[[nodiscard]] std::string rows_changed(const TableSchema& known, const TableSchema& now);

// not_found when there is none
[[nodiscard]] Result<TableSchema> read_table(pg::Connection& connection, const TableName& name);

// Fills TableSchema::extras: indexes, constraints, sequences with their values now.
[[nodiscard]] Result<> read_extras(pg::Connection& connection, std::vector<TableSchema>& tables);

}  // namespace godwit::postgres
