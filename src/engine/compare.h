#pragma once
// Are both sides equal? Count and content hash of every table that has joined (any other is not equal), read
// at one and the same point of the source's log, also while both sides are written to: apply is held, a
// snapshot of the source names that point, apply goes on to exactly there, pauses until the target's snapshot
// is taken, and goes on while the tables are read.

#include <stop_token>
#include <string>
#include <vector>

#include "core/source.h"
#include "core/target.h"

namespace godwit::engine {

class Task;

struct TableComparison {
    TableName table;
    bool equal = false;
    TableDigest source, target;
    std::vector<std::string> differing_keys;  // at most 100
    std::string error;
};

struct Comparison {
    bool equal = false;
    std::string position;
    std::vector<TableComparison> tables;
};

[[nodiscard]] Result<Comparison> compare(Task& task, Source& source, Target& target, std::stop_token stop);

// The same for a task at rest: the tables that its ledger calls loaded, at the moment of the call.
[[nodiscard]] Result<Comparison> compare_at_rest(Source& source, Target& target, const Ledger& ledger,
                                                 const Selection& selection, std::stop_token stop);

}  // namespace godwit::engine
