#pragma once
// Loads one slice after another on a session of its own: the slice's mark and its rows commit together, and
// the server refuses a stale generation, a stale epoch or a second copy before the first row is sent.

#include <memory>
#include <string>

#include "core/target.h"
#include "targets/postgres/session.h"

namespace godwit::postgres {

[[nodiscard]] std::unique_ptr<SliceWriter> make_slice_writer(const Sessions& sessions, std::string task,
                                                             std::string target_schema);

// Columns that a load writes: all but generated ones, in the source's order.
[[nodiscard]] std::string written_columns(const TableSchema& table);

}  // namespace godwit::postgres
