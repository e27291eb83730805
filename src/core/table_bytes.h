#pragma once
// A table's definition as bytes, for files in a task's folder. What is needed to read and compare rows:
// numbers, columns, identity, partitions; definitions for creating a table are left out. Pure functions.

#include "base/bytes.h"
#include "core/table.h"

namespace godwit {

// 1: without portable types; 2: without what follows them; 3: without what partitions are attached by
inline constexpr std::uint32_t kTableBytesFormat = 4;

void put_table(ByteBuffer& to, const TableSchema& table);
// Check from.failed() afterwards.
[[nodiscard]] TableSchema get_table(ByteReader& from, std::uint32_t format = kTableBytesFormat);

}  // namespace godwit
