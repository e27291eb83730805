#pragma once
// One running task: from its document to its end. Owns the threads; Source and Target do the work.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/registry.h"
#include "core/source.h"
#include "core/target.h"
#include "core/task.h"
#include "engine/apply_loop.h"
#include "engine/change_log.h"
#include "engine/loader.h"
#include "engine/progress.h"
#include "engine/table_book.h"
#include "mapping/settings.h"

namespace godwit::engine {

class Task {
public:
    Task(TaskSpec spec, TaskContext context, Source& source, Target& target, Progress& progress);
    ~Task();

    // Runs to the end and leaves the outcome in the progress report: stopped or failed, with its reason.
    void run(std::stop_token stop);

    // --- asked over the control socket.  Thread safe.
    [[nodiscard]] Result<> reload(const std::vector<TableName>& tables);
    // Pauses apply after all transactions below `order` and before any other.
    [[nodiscard]] Result<> pause_apply_at(std::uint64_t order, std::chrono::milliseconds wait);
    void resume_apply();
    [[nodiscard]] bool applies() const { return apply_ready_ && running_; }
    [[nodiscard]] std::vector<TableSchema> joined_tables() const;
    // the others, and why
    [[nodiscard]] std::vector<std::pair<TableName, std::string>> tables_not_in_step() const;
    struct Cutover {
        std::int64_t lag_ms = 0;
        std::string position;
        std::vector<std::string> sequences, warnings;
    };
    // Waits until everything that the source has committed by now is on the target, then sets sequences.
    [[nodiscard]] Result<Cutover> cutover(std::chrono::milliseconds wait);

private:
    Result<std::string> run_steps(std::stop_token stop);  // stop reason
    Result<> load_initial(std::stop_token stop);
    Result<> load_tables(const LoadContext& context, std::vector<TableName> names, std::stop_token stop);
    std::optional<TableName> next_reload();
    Result<> reload_table(const TableName& name, std::stop_token stop);
    Result<> prepare_table(const TableName& name, const SnapshotMark& mark);
    Result<> check_history();
    void start_stream(const Position& from);
    void load_in_background(std::stop_token stop);
    void watch(std::stop_token stop);
    void choose_stream_format(const std::vector<TableSchema>& tables);
    void keep_shapes();
    void keep_shape(std::uint64_t source_id, const std::function<void(TableSchema&)>& change);
    void save_kept();
    void note_altered(const CatalogueChange& change);
    void reload_for(const CatalogueChange& change);
    Result<StopCause> apply_through_outages(const TaskIdentity& identity, std::stop_token stop);
    Result<std::string> finish(StopCause cause);
    [[nodiscard]] bool captures() const { return spec_.type != MigrationType::full_load; }
    void show_tables();
    std::string checkpoint(const Position& position);

    const TaskSpec spec_;
    const TaskContext context_;
    Source& source_;
    Target& target_;
    Progress& progress_;
    mapping::Settings settings_;
    std::unique_ptr<Selection> selection_;
    ServerTraits source_traits_;
    Ledger ledger_;
    std::optional<Position> parted_;  // the source has left the history of the ledger's positions there
    TableBook book_;
    std::unique_ptr<ChangeLog> log_;
    std::unique_ptr<ApplyLoop> apply_;
    std::mutex shapes_mutex_;  // guards kept_ and its file
    std::map<std::uint64_t, TableSchema> kept_;
    std::mutex mutex_;  // guards reloads_, load_error_
    std::condition_variable_any reload_wanted_;
    std::deque<TableName> reloads_;
    std::optional<Error> load_error_;
    std::optional<LoadContext> initial_;
    std::atomic<bool> loading_ = false;
    bool binary_ = false;  // the stream's cells
    std::atomic<bool> running_ = false, apply_ready_ = false;
    std::stop_source inner_stop_;  // of stream, loader, watch
    std::jthread stream_thread_, load_thread_, watch_thread_;
};

}  // namespace godwit::engine
