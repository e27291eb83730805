#include "engine/loader.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <set>
#include <thread>

#include "base/failpoint.h"

namespace godwit::engine {

struct Loader::Job {
    TableName name;
    TableLoad load;
    PreparedTable prepared;
    std::deque<Slice> todo;
    std::size_t running = 0;
    bool dead = false;  // suspended or invalidated
};

struct Loader::Shared {
    std::mutex mutex;  // guards everything below
    std::condition_variable_any changed;
    std::deque<std::shared_ptr<Job>> waiting;    // not opened
    std::deque<std::shared_ptr<Job>> in_flight;  // opened, slices left or running
    std::size_t busy = 0;                        // jobs being opened or finished
    LoadOutcome outcome;
    std::optional<Error> error;
};

namespace {

// Relays blocks to the writer and counts their rows for the progress display.
class RelaySink final : public LoadSink {
public:
    RelaySink(SliceWriter& writer, Progress& progress, const TableName& table)
        : writer_(writer), progress_(progress), table_(table) {}
    Result<> write(Bytes block, std::uint64_t rows) override {
        GW_CHECK(writer_.write(block));
        unshown_ += rows;
        if (unshown_ >= 20000) show();
        return {};
    }
    // What the server counted in the end; 0 when the slice failed.
    void settle(std::uint64_t rows) {
        progress_.table(table_, [&](TableReport& t) {
            t.full_load_rows = t.full_load_rows + rows - std::min(t.full_load_rows + rows, shown_);
        });
        shown_ = unshown_ = 0;
    }

private:
    void show() {
        progress_.table(table_, [&](TableReport& t) { t.full_load_rows += unshown_; });
        shown_ += unshown_;
        unshown_ = 0;
    }
    SliceWriter& writer_;
    Progress& progress_;
    const TableName& table_;
    std::uint64_t unshown_ = 0, shown_ = 0;
};

// The table changed under the load, or the source took its lock back: a new snapshot mends it.
bool invalidates(const Error& e) {
    return e.code == ErrorCode::failed_precondition || e.code == ErrorCode::cancelled ||
           (e.code == ErrorCode::aborted && e.sqlstate.empty());
}
bool task_wide(const Error& e) { return e.retry == Retry::from_checkpoint || e.code == ErrorCode::internal; }

}  // namespace

Result<LoadOutcome> Loader::run(const LoadPlan& plan, std::stop_token stop) {
    Shared shared;
    for (const auto& name : plan.tables) {
        auto job = std::make_shared<Job>();
        job->name = name;
        shared.waiting.push_back(std::move(job));
    }
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < plan.workers; ++i) workers.emplace_back([&, stop] { work(plan, shared, stop); });
    }
    if (shared.error) return std::unexpected(std::move(*shared.error));
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the load was stopped");
    return std::move(shared.outcome);
}

void Loader::work(const LoadPlan& plan, Shared& shared, std::stop_token stop) {
    std::unique_ptr<SliceWriter> writer;
    std::unique_lock lock(shared.mutex);
    const auto fail_all = [&](Error error) {
        if (!shared.error) shared.error = std::move(error);
        shared.changed.notify_all();
    };
    // a table's own misfortune, or everybody's; called with the lock
    const auto judge = [&](Job& job, const Error& error) {
        if (stop.stop_requested()) return;
        if (job.dead) return;
        if (task_wide(error)) {
            fail_all(error);
            return;
        }
        job.dead = true;
        job.todo.clear();
        if (invalidates(error)) {
            log_.warning(Component::source_unload,
                         fmt::format("load of table {} starts anew: {}", job.name.text(), error.text()));
            shared.outcome.invalidated.push_back(job.name);
        } else if (auto suspended = table_error(job.name, error); !suspended) {
            fail_all(suspended.error());
        }
    };
    while (!stop.stop_requested() && !shared.error) {
        std::shared_ptr<Job> job;
        for (auto& candidate : shared.in_flight)
            if (!candidate->todo.empty()) {
                job = candidate;
                break;
            }
        if (job) {
            const Slice slice = job->todo.front();
            job->todo.pop_front();
            ++job->running;
            lock.unlock();
            Result<> outcome;
            if (!writer) {
                if (auto opened = target_.open_writer())
                    writer = std::move(*opened);
                else
                    outcome = std::unexpected(opened.error());
            }
            if (outcome) outcome = load_slice(plan, *job, slice, *writer, stop);
            if (!outcome) writer.reset();  // its session may be anywhere
            lock.lock();
            --job->running;
            if (!outcome) judge(*job, outcome.error());
            if (job->running == 0 && job->todo.empty()) {
                std::erase(shared.in_flight, job);
                ++shared.busy;
                const bool dead = job->dead;
                lock.unlock();
                if (dead || stop.stop_requested()) {
                    [[maybe_unused]] auto ignored = source_.close_table(plan.context, job->load);
                } else {
                    outcome = finish(plan, *job);
                }
                lock.lock();
                --shared.busy;
                if (!dead && !outcome) judge(*job, outcome.error());
                shared.changed.notify_all();
            }
            continue;
        }
        if (!shared.waiting.empty()) {
            job = shared.waiting.front();
            shared.waiting.pop_front();
            ++shared.busy;
            lock.unlock();
            auto outcome = open(plan, *job);
            const bool empty = outcome && job->todo.empty();  // every slice was already in
            if (empty && !job->dead) outcome = finish(plan, *job);
            lock.lock();
            --shared.busy;
            if (!outcome)
                judge(*job, outcome.error());
            else if (!empty)
                shared.in_flight.push_back(job);
            shared.changed.notify_all();
            continue;
        }
        if (shared.busy == 0 && shared.in_flight.empty()) break;
        shared.changed.wait_for(lock, stop, std::chrono::milliseconds(200), [] { return false; });
    }
    shared.changed.notify_all();
}

Result<> Loader::open(const LoadPlan& plan, Job& job) {
    const auto entry = book_.find(job.name);
    if (!entry) {  // it was dropped, or has another name
        job.dead = true;
        return {};
    }
    job.prepared = entry->prepared;
    auto opened = source_.open_table(plan.context, job.name);
    // dropped or renamed since the load began: a new look at the source says which
    if (!opened && opened.error().code == ErrorCode::not_found)
        opened.error().code = ErrorCode::failed_precondition;
    job.load = GW_TRY(std::move(opened));
    const std::uint64_t there = job.load.schema.source_id, wanted = entry->schema.source_id;
    if (there != wanted && there != 0 && wanted != 0 && GW_RULE("load.same_table")) {
        [[maybe_unused]] auto ignored = source_.close_table(plan.context, job.load);
        return fail(ErrorCode::failed_precondition, "another table has its name by now");
    }
    // read once, at the start of the task
    if (!job.load.schema.extras.read) job.load.schema.extras = entry->schema.extras;
    const auto done = GW_TRY(target_.slices_done(job.load.schema, job.prepared.generation));
    std::set<std::uint32_t> have;
    std::uint64_t rows = 0;
    for (const auto& slice : done) {
        have.insert(slice.number);
        rows += slice.rows;
    }
    for (const auto& slice : job.load.slices)
        if (!have.contains(slice.number)) job.todo.push_back(slice);
    progress_.table(job.name, [&](TableReport& t) {
        t.state = "Full load";
        if (t.full_load_start_us == 0) t.full_load_start_us = progress_.now_us();
        t.slices = static_cast<std::uint32_t>(job.load.slices.size());
        t.slices_done = static_cast<std::uint32_t>(have.size());
        t.full_load_rows = rows;  // the ledger's word, whatever an earlier process last said
    });
    GW_FAILPOINT("load.table_opened");
    return {};
}

Result<> Loader::load_slice(const LoadPlan& plan, Job& job, const Slice& slice, SliceWriter& writer,
                            std::stop_token stop) {
    const auto where = [&](Error e) {
        return std::unexpected(std::move(e).with(fmt::format("slice {}", slice.number)));
    };
    auto fresh = writer.begin(job.load.schema, job.prepared, slice.number);
    if (!fresh) return where(std::move(fresh).error());
    if (*fresh) {
        RelaySink sink(writer, progress_, job.name);
        auto rows = source_.read_slice(plan.context, job.load, slice, job.prepared.format, sink, stop);
        Result<> committed;
        if (rows) committed = writer.commit(*rows);
        if (!rows || !committed) {
            writer.abort();
            sink.settle(0);
            return where(std::move(rows ? committed.error() : rows.error()));
        }
        sink.settle(*rows);
    }
    progress_.table(job.name, [&](TableReport& t) { ++t.slices_done; });
    return {};
}

Result<> Loader::finish(const LoadPlan& plan, Job& job) {
    GW_FAILPOINT("load.slices_in");
    // Shape first: a table that changed under its load is never shown as loaded.
    GW_CHECK(source_.close_table(plan.context, job.load));
    std::uint64_t rows = 0;
    progress_.table(job.name, [&](TableReport& t) { rows = t.full_load_rows; });
    GW_CHECK(target_.finish_load(job.load.schema, job.prepared, plan.after, rows));
    GW_FAILPOINT("load.table_finished");
    progress_.table(job.name, [&](TableReport& t) {
        t.full_load_end_us = progress_.now_us();
        t.state = "Table completed";
        t.detail.clear();
    });
    log_.info(Component::target_load, fmt::format("table {} is loaded, {} rows", job.name.text(), rows));
    book_.change(job.name, [&](TableEntry& e) {
        e.schema = job.load.schema;
        e.state.phase = plan.after;
        e.state.rows = rows;
    });
    return {};
}

Result<> Loader::table_error(const TableName& name, const Error& error) {
    log_.error(Component::tables_manager,
               fmt::format("table {} is suspended: {}", name.text(), error.text()));
    progress_.table(name, [&](TableReport& t) {
        t.state = "Table error";
        t.detail = error.text();
    });
    if (settings_.table_error_stops_task) return std::unexpected(Error(error).with("table " + name.text()));
    GW_CHECK(target_.set_phase(name, TablePhase::suspended, error.text()));
    book_.change(name, [&](TableEntry& e) {
        e.state.phase = TablePhase::suspended;
        e.state.reason = error.text();
    });
    return {};
}

}  // namespace godwit::engine
