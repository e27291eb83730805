#pragma once
// What happened to a table's shape between what we know and what the log now says. Pure functions.

#include <string>
#include <string_view>
#include <vector>

#include "core/change.h"
#include "core/table.h"
#include "core/target.h"

namespace godwit::engine {

struct ReshapePlan {
    enum class Kind : std::uint8_t {
        none,       // the same for our purpose
        changes,    // replay these
        reload,     // the log does not hold what the statement did to the rows
        undecided,  // several statements could have led here
    } kind = Kind::none;
    std::vector<SchemaChange> changes;
    TableSchema after;
    std::string reason;
};

// Same written columns with the same types?
[[nodiscard]] bool same_shape(const TableSchema& known, const Relation& relation);
// And its columns stand in the same order.
[[nodiscard]] bool same_order(const TableSchema& known, const Relation& relation);
// Both.
[[nodiscard]] bool fits(const TableSchema& known, const Relation& relation);
// Reasons of suspension that end so are mended by a reload, also by a later process.
inline constexpr std::string_view kLoadedAnew = "it is loaded anew";
// `now`: the catalogue at this moment, maybe further on than the log; nullptr when the table is gone.
[[nodiscard]] ReshapePlan plan_changes(const TableSchema& known, const Relation& relation,
                                       const TableSchema* now);
// The same without a row: both are catalogues, and `now` stood so at this place of the log.
[[nodiscard]] ReshapePlan plan_from_catalogue(const TableSchema& known, const TableSchema& now);
// Tells a change of shape from the one before it; never 0.
[[nodiscard]] std::uint64_t digest_of(const std::vector<SchemaChange>& changes);
// "ADD COLUMN note", for logs
[[nodiscard]] std::string describe(const SchemaChange& change);

}  // namespace godwit::engine
