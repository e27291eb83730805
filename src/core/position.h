#pragma once
// A place in a source's log. Only the source that made it decodes or orders it.

#include <cstdint>
#include <string>

namespace godwit {

struct Position {
    std::string token;
    [[nodiscard]] bool empty() const noexcept { return token.empty(); }
    bool operator==(const Position&) const = default;
};

// Which changes a table's snapshot already contains; the source's own text, kept with the table's row on the
// target.
struct SnapshotMark {
    std::string token;
    [[nodiscard]] bool empty() const noexcept { return token.empty(); }
    bool operator==(const SnapshotMark&) const = default;
};

}  // namespace godwit
