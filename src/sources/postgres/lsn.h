#pragma once
// A place in PostgreSQL's write-ahead log.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/strong.h"
#include "core/position.h"

namespace godwit::postgres {

using Lsn = Strong<std::uint64_t, struct LsnTag>;

// "000004AF/B00000D0": positions, checkpoints
[[nodiscard]] std::string to_token(Lsn lsn);
// "4AF/B00000D0": what the server prints
[[nodiscard]] std::string to_server_text(Lsn lsn);
// Both forms; leading zeros and lower case are accepted.
[[nodiscard]] Result<Lsn> parse_lsn(std::string_view text);
// Where a timeline ended, by the history file of a later one ("1\t0/3000148\tno recovery target specified").
// Nothing: the later one does not descend from it.
[[nodiscard]] Result<std::optional<Lsn>> timeline_end(std::string_view history, std::uint32_t timeline);
// Lsn 0 for an empty position
[[nodiscard]] Result<Lsn> parse_lsn(const Position& position);
[[nodiscard]] inline Position to_position(Lsn lsn) { return Position{to_token(lsn)}; }

}  // namespace godwit::postgres
