#pragma once
// What happened to a table's shape between what we know and what the log now says. Pure functions.

#include <string>
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
// `now`: the catalogue at this moment, maybe further on than the log; nullptr when the table is gone.
[[nodiscard]] ReshapePlan plan_changes(const TableSchema& known, const Relation& relation, const TableSchema* now);
// "ADD COLUMN note", for logs
[[nodiscard]] std::string describe(const SchemaChange& change);

}  // namespace godwit::engine
