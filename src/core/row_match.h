#pragma once
// By what a target finds the row that a change of the log speaks of.

#include <algorithm>
#include <set>
#include <string>

#include "base/failpoint.h"
#include "core/change.h"
#include "core/table.h"

namespace godwit {

struct RowMatch {
    std::set<std::string> keys;  // names of the columns that identify a row at the source
    bool keyed = false;          // by them
    bool all = false;            // by all columns, and then one row of possibly many
};

inline RowMatch row_match(const Relation& relation, const TableSchema& source_table) {
    RowMatch out;
    out.keys = {source_table.identity_columns.begin(), source_table.identity_columns.end()};
    // Where the log says itself which columns name its rows, the catalogue may have been read before that, or
    // behind it.
    if (relation.identity == RowIdentity::key && GW_RULE("match.keys_of_log")) {
        std::set<std::string> named;
        for (const auto& c : relation.columns)
            if (c.identity) named.insert(c.name);
        if (!named.empty()) out.keys = std::move(named);
    }
    // All that the log carries is no key, unless the table says that it is.
    const bool whole = std::ranges::all_of(source_table.columns, [&](const ColumnSchema& c) {
        return c.generated || out.keys.contains(c.name);
    });
    const bool primary =
        source_table.identity_columns == source_table.primary_key && !source_table.primary_key_deferrable;
    out.keyed = !out.keys.empty() && out.keys.size() <= relation.columns.size() &&
                !(relation.identity == RowIdentity::full && whole && !primary);
    out.all = relation.identity == RowIdentity::full && !out.keyed;
    return out;
}

}  // namespace godwit
