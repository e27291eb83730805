#pragma once
// Full load: a few workers take slices of tables until all are in. A table's key is built by the worker that
// brought its last slice, beside the slices of other tables.

#include <stop_token>
#include <vector>

#include "base/log.h"
#include "core/source.h"
#include "core/target.h"
#include "engine/progress.h"
#include "engine/table_book.h"
#include "mapping/settings.h"

namespace godwit::engine {

struct LoadOutcome {
    std::vector<TableName> invalidated;  // changed its shape meanwhile: load again under a new snapshot
};

struct LoadPlan {
    LoadContext context;
    std::vector<TableName> tables;  // in order; prepared, phase `loading`
    TablePhase after = TablePhase::loaded;
    int workers = 2;
};

class Loader {
public:
    Loader(Source& source, Target& target, TableBook& book, Progress& progress,
           const mapping::Settings& settings, Log& log)
        : source_(source),
          target_(target),
          book_(book),
          progress_(progress),
          settings_(settings),
          log_(log) {}

    // Returns when every table is in, suspended or invalidated. Errors that the whole task must see are
    // returned; cancelled when stopped.
    [[nodiscard]] Result<LoadOutcome> run(const LoadPlan& plan, std::stop_token stop);

private:
    struct Job;
    struct Shared;
    void work(const LoadPlan& plan, Shared& shared, std::stop_token stop);
    [[nodiscard]] Result<> open(const LoadPlan& plan, Job& job);
    [[nodiscard]] Result<> load_slice(const LoadPlan& plan, Job& job, const Slice& slice, SliceWriter& writer,
                                      std::stop_token stop);
    [[nodiscard]] Result<> finish(const LoadPlan& plan, Job& job);
    [[nodiscard]] Result<> table_error(const TableName& name, const Error& error);

    Source& source_;
    Target& target_;
    TableBook& book_;
    Progress& progress_;
    const mapping::Settings& settings_;
    Log& log_;
};

}  // namespace godwit::engine
