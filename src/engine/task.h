#pragma once
// One running task: from its document to its end. Owns the threads; Source and Target do the work.

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
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
#include "engine/reload_list.h"
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
    // refused while it starts or stops
    [[nodiscard]] Result<> knows_its_tables() const;
    // all of them, as at one moment
    struct TablesByStep {
        std::vector<TableSchema> joined;
        std::vector<std::pair<TableName, std::string>> others;  // and why
    };
    [[nodiscard]] TablesByStep tables_by_step() const;
    struct Cutover {
        std::int64_t lag_ms = 0;
        std::string position;
        std::vector<std::string> sequences, warnings;
    };
    // Waits until everything that the source has committed by now is on the target, then sets sequences.
    [[nodiscard]] Result<Cutover> cutover(std::chrono::milliseconds wait);

private:
    Result<std::string> run_steps(std::stop_token stop);  // stop reason
    Result<> save_position(const Position& position);
    Result<LoadContext> begin_load(LoadRequest request, const std::vector<TableSchema>& tables,
                                   std::stop_token stop);
    Result<> load_initial(std::stop_token stop);
    Result<> load_tables(const LoadContext& context, std::vector<TableName> names, std::stop_token stop);
    Result<bool> leave_for_reload(const std::vector<TableSchema>& tables, std::stop_token stop);
    Result<std::vector<TableSchema>> bound_tables(const TableSchema& first);
    Result<bool> renamed_away(const TableName& name);
    Result<> wait_for_name(const TableName& name);
    Result<bool> taken(const TableSchema& table);
    Result<> leave_gone(const TableName& name);
    Result<std::vector<TableName>> prepare_reload(const std::vector<TableSchema>& tables,
                                                  const LoadContext& context);
    Result<> reload_table(const TableName& name, std::stop_token stop);
    Result<> suspend(const TableName& name, const std::string& reason);
    Result<> put_off(const std::vector<TableName>& names, const Error& error);
    void create_secondary();
    [[nodiscard]] std::optional<TableName> rows_of_others(const std::vector<TableSchema>& tables) const;
    Result<> prepare_table(const TableName& name, const SnapshotMark& mark);
    [[nodiscard]] std::filesystem::path spool_folder() const;
    void forget_spool() const;
    void say_notices(const std::vector<std::string>& notices);
    Result<> check_history();
    Result<> check_taken_over();
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
    [[nodiscard]] bool insert_only(const TableSchema& table) const;
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
    // Of the thread that watches: doubts that only a person can act on are told once.
    std::set<std::pair<TableName, std::string>> told_;
    std::string poll_error_;          // likewise
    SteadyTime put_off_until_{};      // of the thread that loads
    std::optional<Position> parted_;  // the source has left the history of the ledger's positions there
    TableBook book_;
    std::unique_ptr<ChangeLog> log_;
    std::unique_ptr<ApplyLoop> apply_;
    std::mutex shapes_mutex_;  // guards kept_ and its file
    std::map<std::uint64_t, TableSchema> kept_;
    ReloadList reloads_;
    std::mutex mutex_;  // guards load_error_
    std::optional<Error> load_error_;
    std::optional<LoadContext> initial_;
    std::atomic<bool> loading_ = false;
    std::string stream_format_;  // of the stream's cells; one of the source's
    std::atomic<bool> running_ = false, apply_ready_ = false;
    std::stop_source inner_stop_;  // of stream, loader, watch
    std::jthread stream_thread_, load_thread_, watch_thread_;
};

}  // namespace godwit::engine
