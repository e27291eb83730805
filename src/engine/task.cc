#include "engine/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <memory>

#include "base/failpoint.h"
#include "base/files.h"
#include "engine/schema_changes.h"
#include "engine/shapes.h"
#include "mapping/tables.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;
constexpr int kLoadTriesMax = 4;  // of one table whose shape keeps changing
constexpr auto kHealthEvery = 1s;
constexpr auto kCatalogueEvery = 5s;
constexpr auto kPutOff = 10s;     // a load whose snapshot could not be had
constexpr auto kLetGoEvery = 3s;  // a load on the source, if a small one
constexpr std::uint64_t kGuardDefaultMb = 1024;
constexpr std::chrono::milliseconds kReconnectFirst = 200ms, kReconnectMax = 5s;

std::filesystem::path shapes_file(const TaskContext& context) {
    return std::filesystem::path(context.task_folder) / "shapes";
}

constexpr std::string_view kNewTable = "a new table";

// Where the task has stopped by its own settings, of the two kinds.
std::filesystem::path stopped_file(const TaskContext& context) {
    return std::filesystem::path(context.task_folder) / "stopped";
}
constexpr std::string_view kAfterLoad = "after the load", kAfterCachedChanges = "after cached changes";

// While it is there, the target has tables whose indexes and keys come when all of them are loaded.
std::filesystem::path secondary_due_file(const TaskContext& context) {
    return std::filesystem::path(context.task_folder) / "secondary-due";
}

// "server_time:2018-02-09T12:12:12" -> since 1970; nothing when it is neither form
std::optional<std::int64_t> stop_time_us(const std::string& text, std::string_view kind) {
    if (!text.starts_with(kind)) return {};
    std::string t = text.substr(kind.size());
    t.erase(0, t.find_first_not_of(" :"));
    std::tm tm{};
    if (::strptime(t.c_str(), "%Y-%m-%dT%H:%M:%S", &tm) == nullptr) return {};
    return static_cast<std::int64_t>(::timegm(&tm)) * 1'000'000;
}

// How long the restarts of RecoverableError* would go on trying.
std::chrono::seconds recovery_patience(const mapping::Settings& s) {
    constexpr std::int64_t kForever = 10LL * 365 * 24 * 3600, kTriesUnthrottled = 9;
    std::int64_t delay = std::max<std::int64_t>(s.recoverable_interval_s, 0), total = 0;
    const std::int64_t tries = s.recoverable_count >= 0       ? s.recoverable_count
                               : !s.recoverable_throttling    ? kTriesUnthrottled
                               : s.recoverable_stop_after_max ? 64
                                                              : kForever;
    if (tries == kForever) return std::chrono::seconds(kForever);
    for (std::int64_t i = 0; i < tries && total < kForever; ++i) {
        if (s.recoverable_throttling && delay >= s.recoverable_throttling_max_s) {
            if (s.recoverable_stop_after_max) break;
            delay = s.recoverable_throttling_max_s;
        }
        total += delay;
        if (s.recoverable_throttling) delay *= 2;
    }
    return std::chrono::seconds(std::min(total, kForever));
}

}  // namespace

Task::Task(TaskSpec spec, TaskContext context, Source& source, Target& target, Progress& progress)
    : spec_(std::move(spec)),
      context_(std::move(context)),
      source_(source),
      target_(target),
      progress_(progress),
      reloads_(std::filesystem::path(context_.task_folder) / "reloads") {}

Task::~Task() {
    inner_stop_.request_stop();
    if (log_) log_->close({});
}

void Task::run(std::stop_token stop) {
    auto reason = run_steps(stop);
    inner_stop_.request_stop();
    if (log_) log_->close({});
    for (auto* thread : {&load_thread_, &stream_thread_, &watch_thread_})
        if (thread->joinable()) thread->join();
    running_ = false;
    // RecoveryCheckpoint is read when nobody reads the slot any more
    if (captures() && (reason || reason.error().code != ErrorCode::permission_denied)) {
        const auto applied =
            apply_ && apply_->applied() ? *apply_->applied() : ledger_.applied.value_or(Position{});
        if (auto position = source_.recovery_position(applied); position && !position->empty()) {
            const std::string text = checkpoint(*position);
            progress_.update([&](TaskReport& r) { r.checkpoint = text; });
        }
    }
    progress_.update([&](TaskReport& r) {
        r.stop_us = progress_.now_us();
        for (auto& t : r.tables)
            if (t.state == "Full load" || t.state == "Table is being reloaded")
                t.state = reason ? "Table cancelled" : "Table error";
    });
    if (reason) {
        progress_.event("state change", "Replication task has stopped. Stop Reason " + *reason);
        context_.log->info(Component::task_manager, "the task has stopped: " + *reason);
        progress_.update([&](TaskReport& r) {
            r.stop_reason = *reason;
            r.last_error.clear();
            r.state = TaskState::stopped;
        });
        return;
    }
    const Error& e = reason.error();
    context_.log->error(Component::task_manager,
                        "Task '" + spec_.id + "' encountered a fatal error: " + e.text());
    progress_.update([&](TaskReport& r) {
        r.last_error = e.text();
        r.recoverable = e.retry != Retry::never;
        r.stop_reason = r.recoverable ? "RECOVERABLE_ERROR" : "FATAL_ERROR";
        r.state = TaskState::failed;
    });
}

std::string Task::checkpoint(const Position& position) {
    const auto count = progress_.snapshot().transactions_applied;
    return fmt::format("checkpoint:V1#{}#{}#0#0#*#0#0", count + 1, position.token);
}

Result<std::string> Task::run_steps(std::stop_token stop) {
    settings_ = GW_TRY(mapping::read_settings(spec_.settings));
    selection_ = GW_TRY(mapping::compile_selection(spec_.table_mappings));
    for (const auto& w : mapping::inactive_warnings(spec_.settings)) {
        context_.log->warning(Component::task_manager, w);
        progress_.event("configuration change", w);
    }
    for (const auto& w : mapping::mapping_warnings(spec_.table_mappings))
        context_.log->warning(Component::task_manager, w);
    source_traits_ = GW_TRY(source_.open(captures()));
    source_.target_is(GW_TRY(target_.open()));
    auto tables = GW_TRY(source_.tables(*selection_));
    if (captures())
        std::erase_if(tables, [&](const TableSchema& t) {
            if (!t.is_view) return false;
            context_.log->warning(
                Component::tables_manager,
                "view " + t.name.text() + " is left out: views are loaded by full-load tasks only");
            return true;
        });
    if (tables.empty() && settings_.fail_on_no_tables)
        return fail(ErrorCode::not_found,
                    "No tables were found at task initialization. Either the selected table(s) or schemas(s) "
                    "no longer "
                    "exist or no match was found for the table selection pattern(s)");
    const TaskIdentity identity{spec_.id, settings_.control_schema, settings_.target_schema};
    ledger_ = GW_TRY(target_.take_over(identity, source_traits_));
    const bool fresh = spec_.start == StartType::fresh || spec_.start == StartType::reload;
    auto history = Source::History::unknown;
    if (!fresh && captures() && ledger_.applied) history = GW_TRY(source_.history_of(*ledger_.applied));
    if (history == Source::History::other_server) GW_CHECK(check_taken_over());
    if (!fresh && history == Source::History::unknown && !ledger_.source_system_id.empty() &&
        !source_traits_.system_id.empty() && ledger_.source_system_id != source_traits_.system_id &&
        GW_RULE("resume.same_source"))
        return fail(
            ErrorCode::data_loss,
            "the source is another database system than the one this task has loaded from; start it with "
            "reload-target");
    if (!fresh && captures()) GW_CHECK(check_history());
    if (fresh) {
        GW_CHECK(target_.reset());
        ledger_.tables.clear();
        ledger_.applied.reset();
        progress_.update([&](TaskReport& r) {
            r.tables.clear();
            r.fresh_start_us = r.start_us = progress_.now_us();
            r.full_load_start_us = r.full_load_finish_us = 0;
            r.checkpoint.clear();
            r.transactions_applied = 0;
        });
        forget_spool();
        std::error_code ignored;
        std::filesystem::remove(stopped_file(context_), ignored);
        GW_CHECK(reloads_.forget());
    } else {
        progress_.update([&](TaskReport& r) { r.start_us = progress_.now_us(); });
    }
    const bool loads = spec_.type != MigrationType::cdc;
    const auto shapes = fresh ? std::vector<TableSchema>{} : load_shapes(shapes_file(context_));
    for (const auto& schema : tables) {
        TableEntry entry;
        entry.schema = schema;
        entry.state.name = schema.name;
        // Names may have been given to other tables since: the number decides.
        bool in_ledger = false;
        for (const auto& known : ledger_.tables) {
            const bool numbered = known.source_id != 0 && schema.source_id != 0;
            if (numbered ? known.source_id == schema.source_id : known.name == schema.name) {
                entry.state = known;
                in_ledger = true;
            }
        }
        // What the target has may be older than the catalogue: the log, or the next poll, tells what came
        // between.
        for (const auto& shape : shapes) {
            if (shape.source_id != schema.source_id || schema.source_id == 0) continue;
            if (entry.state.phase == TablePhase::waiting) break;
            entry.schema.name = entry.state.name;
            entry.schema.columns = shape.columns;
            entry.schema.identity = shape.identity;
            entry.schema.identity_columns = shape.identity_columns;
            entry.schema.primary_key = shape.primary_key;
            entry.schema.storage_id = shape.storage_id;
            entry.schema.columns_id = shape.columns_id;
            entry.schema.name_id = shape.name_id;
            entry.schema.leaves = shape.leaves;
            entry.schema.leaf_states = shape.leaf_states;
        }
        const bool begun = entry.state.phase == TablePhase::loading ||
                           entry.state.phase == TablePhase::loaded ||
                           (entry.state.phase == TablePhase::waiting && entry.state.generation != 0);
        if (!loads && !fresh && begun && GW_RULE("resume.cut_load")) {
            // of rows that were there already, or of changes since its mark, something is missing
            entry.state.phase = TablePhase::suspended;
            entry.state.reason = fmt::format("its load was cut short: {}", kLoadedAnew);
            GW_CHECK(target_.set_phase(schema.name, TablePhase::suspended, entry.state.reason));
        }
        if (!loads && ledger_.applied && !in_ledger) {
            // made while the task stood: what was written to it before the stream hears of it is in no log
            entry.state.phase = TablePhase::suspended;
            entry.state.reason = fmt::format("{}: {}", kNewTable, kLoadedAnew);
            GW_CHECK(target_.set_phase(schema.name, TablePhase::suspended, entry.state.reason));
        }
        entry.reload =
            entry.state.phase == TablePhase::suspended && entry.state.reason.ends_with(kLoadedAnew);
        if (!loads && entry.state.phase != TablePhase::suspended) {
            // its row of the ledger must be there before it can be suspended together with a change
            if (entry.state.phase != TablePhase::joined)
                GW_CHECK(target_.set_phase(schema.name, TablePhase::joined, ""));
            entry.state.phase = TablePhase::joined;
        }
        book_.put(std::move(entry));
    }
    // What the leaves of a partitioned table have logged so far is named as it was then.
    for (auto& t : tables)
        if (const auto entry = t.partitioned ? book_.find_id(t.source_id) : std::nullopt) {
            t.identity = entry->schema.identity;
            t.identity_columns = entry->schema.identity_columns;
        }
    show_tables();
    if (!fresh)
        for (const auto& name : reloads_.restore()) {
            if (book_.find(name))
                progress_.table(name, [](TableReport& r) { r.state = "Table is being reloaded"; });
            else
                GW_CHECK(reloads_.begun({name}));
        }
    // To leave one of them out would be to lose its changes: it is the task that is refused.
    std::vector<TableSchema> written;
    for (const auto& e : book_.all())
        if (captures() && (e.state.phase == TablePhase::joined || e.state.phase == TablePhase::loaded))
            written.push_back(e.schema);
    say_notices(GW_TRY(target_.look_over(written)));

    ChangeLogOptions options;
    options.folder = spool_folder();
    options.memory_bytes_max = std::clamp<std::size_t>(spec_.memory_bytes_max / 8, 8U << 20, 64U << 20);
    options.spool_bytes_max = static_cast<std::uint64_t>(spec_.source.number("spoolmb", 65536)) << 20;
    options.log = context_.log;
    log_ = std::make_unique<ChangeLog>(options);

    const bool unfinished =
        loads && (book_.count(TablePhase::waiting) + book_.count(TablePhase::loading) != 0);
    progress_.update([&](TaskReport& r) { r.phase = unfinished ? "full load" : "change processing"; });
    running_ = true;
    if (!captures()) {
        progress_.update([&](TaskReport& r) {
            r.state = TaskState::running;
            if (r.full_load_start_us == 0) r.full_load_start_us = progress_.now_us();
        });
        GW_CHECK(load_initial(stop));
        if (initial_) source_.end_load(*initial_);
        while (auto name = reloads_.take(0ms, stop)) GW_CHECK(reload_table(*name, stop));
        if (!book_.in_phase(TablePhase::suspended).empty() && book_.count(TablePhase::joined) == 0 &&
            book_.size() != 0)
            return fail(ErrorCode::failed_precondition, "no table could be loaded; see the tables' errors");
        progress_.update([&](TaskReport& r) { r.full_load_finish_us = progress_.now_us(); });
        GW_TRY(target_.create_secondary(tables));
        return std::string("FULL_LOAD_ONLY_FINISHED");
    }

    // --- changes
    std::optional<Position> applied = ledger_.applied;
    Position from;       // of the stream
    Position log_start;  // of the change log: earlier when a spool was restored
    // The stream goes on behind what the source has forgotten, or the spool ends; both together must reach
    // back to `needed`.
    const auto go_on = [&](const Position& forgotten, const std::optional<Position>& needed) -> Result<> {
        auto spooled = GW_TRY(log_->restore());
        const auto forgotten_order = GW_TRY(source_.order(forgotten));
        const auto needed_order = needed ? GW_TRY(source_.order(*needed)) : 0;
        const auto spool_from = spooled ? GW_TRY(source_.order(spooled->from)) : 0;
        const auto spool_to = spooled ? GW_TRY(source_.order(spooled->to)) : 0;
        if (parted_ && spool_to > GW_TRY(source_.order(*parted_)))
            return fail(
                ErrorCode::data_loss,
                fmt::format(
                    "the source was switched over at {}, and the spool holds changes up to {}, which the "
                    "source has lost: start the task with reload-target",
                    parted_->token, spooled->to.token));
        if (needed && forgotten_order > needed_order && GW_RULE("resume.coverage") &&
            !(spooled && spool_from <= needed_order && spool_to >= forgotten_order))
            return fail(
                ErrorCode::data_loss,
                fmt::format(
                    "the source has forgotten its log up to {}, the target has applied up to {}, and the "
                    "spool does not hold what lies between: start the task with reload-target",
                    forgotten.token, needed->token));
        from = spooled ? spooled->to : forgotten;
        log_start = spooled ? spooled->from : forgotten;
        return {};
    };
    // Said on the target before anything of the log is: whatever ends this process, the next one knows where
    // its log begins, and misses nothing between an older position and there.
    const auto begin_at = [&](const Position& start) -> Result<> {
        from = start;
        if (!GW_RULE("resume.position_of_new_log")) return {};
        GW_CHECK(save_position(start));
        applied = start;
        return {};
    };
    if (spec_.type == MigrationType::cdc && (fresh || !applied)) {
        Position wanted;
        if (!spec_.cdc_start.empty()) wanted = GW_TRY(source_.parse_position(spec_.cdc_start));
        const Position start = GW_TRY(source_.begin_capture(wanted, tables, stop));
        GW_CHECK(begin_at(start));
    }
    const bool any_loaded = book_.count(TablePhase::joined) + book_.count(TablePhase::loaded) != 0;
    if (unfinished && (fresh || !any_loaded)) {
        // one snapshot for the whole task, fixed together with the start of the log
        LoadRequest request;
        request.capture = true;
        request.resume = !fresh;
        request.wait_s_max = settings_.transaction_consistency_timeout_s;
        initial_ = GW_TRY(begin_load(request, tables, stop));
        const bool behind = applied && initial_->resumed &&
                            GW_TRY(source_.order(*applied)) >= GW_TRY(source_.order(initial_->start));
        if (!behind)
            GW_CHECK(begin_at(initial_->start));
        else
            from = initial_->start;
        // The guard may have taken what is behind the snapshot out of the source's log.
        if (initial_->resumed && GW_RULE("resume.guarded_load")) {
            const Position forgotten = GW_TRY(source_.resume_capture(tables));
            GW_CHECK(go_on(forgotten, initial_->start));
        }
    } else if (!fresh) {
        const Position forgotten = GW_TRY(source_.resume_capture(tables));
        LoadRequest request;
        request.capture = request.resume = request.only_resume = true;
        auto resumed = GW_TRY(source_.begin_load(request, tables, stop));
        if (resumed.resumed && unfinished)
            initial_ = resumed;
        else if (resumed.resumed)
            source_.end_load(resumed);  // killed just before it would have let go of its snapshot
        GW_CHECK(go_on(forgotten, applied));
    }
    if (log_start.empty()) log_start = from;
    if (!applied) applied = from;
    log_->set_acknowledged(spec_.start == StartType::resume ? Position{} : from);

    // A reload that was killed has slices of its own snapshot.
    if (initial_)
        for (const auto& name : book_.in_phase(TablePhase::loading))
            book_.change(name, [&](TableEntry& e) {
                if (e.state.mark != initial_->mark) e.state.phase = TablePhase::waiting;
            });

    // Every table that is still to come is prepared before the stream starts, because the encoding of the
    // stream depends on what the target's columns are.
    if (initial_)
        for (const auto& t : tables) {
            const auto entry = book_.find(t.name);
            if (!entry) continue;  // renamed since it was loaded
            if (entry->state.phase == TablePhase::waiting)
                GW_CHECK(prepare_table(t.name, initial_->mark));
            else if (entry->state.phase == TablePhase::loading) {
                auto prepared = GW_TRY(target_.prepared(t, entry->state, source_.load_formats(t)));
                book_.change(t.name, [&](TableEntry& e) { e.prepared = prepared; });
            }
        }
    choose_stream_format(tables);
    keep_shapes();
    StopRule rule;
    rule.commit_time_us = stop_time_us(spec_.cdc_stop, "commit_time");
    rule.server_time_us = stop_time_us(spec_.cdc_stop, "server_time");
    if (!spec_.cdc_stop.empty() && !rule.commit_time_us && !rule.server_time_us)
        return fail(ErrorCode::invalid_argument,
                    "CdcStopPosition '" + spec_.cdc_stop +
                        "' is neither server_time:YYYY-MM-DDTHH:MM:SS nor commit_time:...");
    if (spec_.type == MigrationType::full_load_and_cdc) {
        // Each of them stops a task once. A process that ended before that leaves it to the next one.
        const auto stopped = read_file(stopped_file(context_)).value_or("");
        const auto loaded = book_.count(TablePhase::loaded), joined = book_.count(TablePhase::joined);
        rule.after_load = settings_.stop_cached_not_applied && stopped.empty() &&
                          (fresh || unfinished || (loaded != 0 && joined == 0));
        rule.after_cached_changes = settings_.stop_cached_applied && !rule.after_load &&
                                    stopped != kAfterCachedChanges && (fresh || unfinished || loaded != 0);
    }
    apply_ = std::make_unique<ApplyLoop>(
        ApplyLoop::Parts{source_, target_, *log_, book_, progress_, settings_, *context_.clock, *context_.log,
                         stream_format_.ends_with(".binary"), [this] { keep_shapes(); }},
        applied, log_start, rule);
    apply_ready_ = true;
    progress_.update([&](TaskReport& r) {
        r.state = TaskState::running;
        if (unfinished && r.full_load_start_us == 0) r.full_load_start_us = progress_.now_us();
    });
    start_stream(from);
    if (unfinished) GW_CHECK(write_file(secondary_due_file(context_), "", true));
    loading_ = unfinished;
    load_thread_ = std::jthread([this] { load_in_background(inner_stop_.get_token()); });
    watch_thread_ = std::jthread([this] { watch(inner_stop_.get_token()); });

    // A failed load wakes apply through the log's end.
    auto cause = apply_through_outages(identity, stop);
    {
        const std::lock_guard lock(mutex_);
        if (load_error_) return std::unexpected(*load_error_);
    }
    if (!cause) return std::unexpected(std::move(cause).error());
    return finish(*cause);
}

// While the target is away the source's log is captured on and, past the slot guard, kept in the spool: were
// the process to end, the source would have to retain all of it. As patient as the restarts of
// RecoverableError*, then the error is the supervisor's.
Result<StopCause> Task::apply_through_outages(const TaskIdentity& identity, std::stop_token stop) {
    const auto patience = recovery_patience(settings_);
    std::optional<std::chrono::steady_clock::time_point> lost_at;
    std::optional<Position> applied_when_lost;
    auto wait = kReconnectFirst;
    while (true) {
        auto cause = apply_->run(stop);
        // other errors than lost sessions need a new start: a deadlock, a stream that must begin again in
        // text
        if (cause || cause.error().code != ErrorCode::unavailable || loading_ || log_->closed()) return cause;
        if (stop.stop_requested()) return StopCause::asked;  // what is not applied comes again
        const auto now = std::chrono::steady_clock::now();
        if (!lost_at || apply_->applied() != applied_when_lost) {
            lost_at = now;
            applied_when_lost = apply_->applied();
            wait = kReconnectFirst;
            context_.log->warning(Component::target_apply,
                                  "the target is lost, its changes are kept: " + cause.error().text());
            progress_.event("state change", "The target is lost; changes are kept until it is back");
        }
        while (true) {
            if (std::chrono::steady_clock::now() - *lost_at > patience) return cause;
            context_.clock->sleep(wait, stop);
            wait = std::min(wait * 2, kReconnectMax);
            if (stop.stop_requested()) return StopCause::asked;
            if (log_->closed() || loading_) return cause;
            auto ledger = target_.take_over(identity, source_traits_);
            if (!ledger && ledger.error().retry == Retry::never) return std::unexpected(ledger.error());
            if (!ledger) continue;
            GW_CHECK(apply_->reconnected(*ledger));
            context_.log->info(Component::target_apply, "the target is back");
            break;
        }
    }
}

// After a failover the places of the log beyond the switch hold other changes: those would be skipped, and
// what the target already has of the old ones is at the source no more.
Result<> Task::check_history() {
    if (ledger_.source_timeline == 0 || source_traits_.timeline == 0) return {};
    parted_ = GW_TRY(source_.parted(ledger_.source_timeline));
    if (!parted_) return {};
    const auto switched = GW_TRY(source_.order(*parted_));
    const auto lost = [&](const std::string& what) {
        return fail(
            ErrorCode::data_loss,
            fmt::format(
                "the source was switched over at {} (timeline {} to {}), and {}, which the source has "
                "lost or replaced by other changes: start the task with reload-target",
                parted_->token, ledger_.source_timeline, source_traits_.timeline, what));
    };
    if (ledger_.applied && GW_RULE("resume.timeline") && GW_TRY(source_.order(*ledger_.applied)) > switched)
        return lost("the target has applied changes up to " + ledger_.applied->token);
    for (const auto& t : ledger_.tables) {
        const bool read_later = !t.mark.empty() && !source_.passed(t.mark, *parted_);
        if (t.phase != TablePhase::waiting && t.phase != TablePhase::suspended &&
            (read_later || t.part.order > switched || GW_TRY(source_.order(t.applied)) > switched))
            return lost("table " + t.name.text() + " was read after that");
    }
    context_.log->info(
        Component::task_manager,
        fmt::format("the source was switched over at {} (timeline {} to {}), behind what was applied",
                    parted_->token, ledger_.source_timeline, source_traits_.timeline));
    return {};
}

// Another server of the same history goes on where what is applied ends. A table that is not in step there
// has read places of its own, which say nothing any more.
Result<> Task::check_taken_over() {
    for (const auto& t : ledger_.tables) {
        const bool read_later = !t.mark.empty() && !source_.passed(t.mark, *ledger_.applied);
        if (t.phase == TablePhase::loaded || (t.phase == TablePhase::joined && read_later))
            return fail(ErrorCode::data_loss,
                        fmt::format("another server has taken the source's place before table {} was in step "
                                    "with the others: start the task with reload-target",
                                    t.name.text()));
    }
    return {};
}

Result<std::string> Task::finish(StopCause cause) {
    GW_FAILPOINT("stop.applied");
    switch (cause) {
        case StopCause::asked:
            return std::string("NORMAL");
        case StopCause::after_load:
            GW_CHECK(write_file(stopped_file(context_), kAfterLoad, true));
            return std::string("STOPPED_AFTER_FULL_LOAD");
        case StopCause::cached_changes:
            GW_CHECK(write_file(stopped_file(context_), kAfterCachedChanges, true));
            return std::string("STOPPED_AFTER_CACHED_EVENTS");
        case StopCause::commit_time:
            return std::string("STOPPED_AT_COMMIT_TIME");
        case StopCause::server_time:
            return std::string("STOPPED_AT_SERVER_TIME");
    }
    return std::string("NORMAL");
}

bool Task::insert_only(const TableSchema& table) const {
    return captures() && table.identity == RowIdentity::none && !table.full_load_only;
}

void Task::show_tables() {
    for (const auto& e : book_.all()) {
        const bool only_inserts = insert_only(e.schema);
        progress_.table(e.schema.name, [&](TableReport& t) {
            t.insert_only = only_inserts;
            t.rows_estimate = static_cast<std::uint64_t>(std::max<std::int64_t>(0, e.schema.rows_estimate));
            switch (e.state.phase) {
                case TablePhase::waiting:
                    t.state = "Before load";
                    break;
                case TablePhase::loading:
                    t.state = "Full load";
                    break;
                case TablePhase::loaded:
                case TablePhase::joined:
                    t.state = "Table completed";
                    break;
                case TablePhase::suspended:
                    t.state = "Table error";
                    t.detail = e.state.reason;
                    break;
            }
        });
        if (only_inserts) {
            const std::string text =
                "table " + e.schema.name.text() +
                " is insert-only: it has no usable replica identity, so its updates and deletes "
                "are not captured";
            context_.log->warning(Component::tables_manager, text);
            progress_.event("configuration change", text);
        }
    }
}

// For the next process: see engine/shapes.h. Everything that the book says; by the thread that applies, at a
// boundary, or before it runs: what an open group has given to a table is not the target's yet.
void Task::keep_shapes() {
    const std::lock_guard lock(shapes_mutex_);
    kept_.clear();
    for (auto& e : book_.all()) kept_[e.schema.source_id] = std::move(e.schema);
    save_kept();
}

// Of one table, by any thread.
void Task::keep_shape(std::uint64_t source_id, const std::function<void(TableSchema&)>& change) {
    const std::lock_guard lock(shapes_mutex_);
    change(kept_[source_id]);
    save_kept();
}

void Task::save_kept() {
    std::vector<TableSchema> tables;
    for (const auto& [id, schema] : kept_) tables.push_back(schema);
    if (auto saved = save_shapes(shapes_file(context_), tables); !saved)
        context_.log->warning(Component::tables_manager, saved.error().text());
}

namespace {

// Behind all that the source offers, but not out of range: what a target does not say, the last form covers.
std::size_t format_rank(const std::vector<std::string>& formats, const std::string& format) {
    const auto at = static_cast<std::size_t>(std::ranges::find(formats, format) - formats.begin());
    return std::min(at, formats.size() - 1);
}

}  // namespace

// `tables` as the catalogue has them: rows of columns that the target does not have yet are on their way.
void Task::choose_stream_format(const std::vector<TableSchema>& tables) {
    const auto formats = source_.stream_formats();
    std::size_t weakest = 0;
    for (const auto& e : book_.all()) {
        if (e.state.phase == TablePhase::suspended && !e.reload) continue;
        std::string format = e.prepared.stream_format;
        if (format.empty()) {
            TableSchema schema = e.schema;
            for (const auto& t : tables)
                if (t.source_id != 0 && t.source_id == schema.source_id) schema = t;
            schema.name = e.schema.name;
            if (auto found = target_.prepared(schema, e.state, source_.load_formats(schema)))
                format = found->stream_format;
        }
        weakest = std::max(weakest, format_rank(formats, format));
    }
    stream_format_ = formats[weakest];
    source_.set_stream_format(stream_format_);
}

// ---------------------------------------------------------------------------------------------- load

void Task::say_notices(const std::vector<std::string>& notices) {
    for (const auto& text : notices) {
        context_.log->warning(Component::target_load, text);
        progress_.event("configuration change", text);
    }
}

Result<> Task::prepare_table(const TableName& name, const SnapshotMark& mark) {
    const auto entry = book_.find(name);
    if (!entry) return fail(ErrorCode::internal, "table " + name.text() + " is not in the book");
    auto prepared = target_.prepare(entry->schema, settings_.prep, source_.load_formats(entry->schema), mark);
    if (!prepared) {
        const Error& e = prepared.error();
        // a server that refuses the table has said why
        const bool ours =
            e.code == ErrorCode::internal && (e.sqlstate.empty() || e.sqlstate.starts_with("XX"));
        if (e.retry != Retry::never || ours || settings_.table_error_stops_task) return std::unexpected(e);
        return suspend(name, e.text());
    }
    for (const auto& w : prepared->warnings)
        context_.log->warning(Component::target_load, fmt::format("table {}: {}", name.text(), w));
    say_notices(prepared->notices);
    book_.change(name, [&](TableEntry& t) {
        t.prepared = *prepared;
        t.state.phase = TablePhase::loading;
        t.state.generation = prepared->generation;
        t.state.mark = mark;
        t.state.applied = {};
        t.state.part = {};
    });
    progress_.table(name, [&](TableReport& t) {
        t.full_load_rows = 0;
        t.full_load_start_us = t.full_load_end_us = 0;
        t.slices = t.slices_done = 0;
    });
    return {};
}

std::filesystem::path Task::spool_folder() const {
    return std::filesystem::path(context_.task_folder) / "spool";
}

void Task::forget_spool() const {
    std::error_code ignored;
    std::filesystem::remove_all(spool_folder(), ignored);
}

Result<> Task::save_position(const Position& position) {
    const auto applier = GW_TRY(target_.open_applier(settings_.conflicts));
    GW_CHECK(applier->begin(Applier::Mode::fast));
    return applier->commit(position, {});
}

// The snapshot that an earlier process left held, or a new one. Slices of two snapshots never meet in a
// table: the ledger forgets those of the old one before there is a new one, which a killed process would
// leave held.
Result<LoadContext> Task::begin_load(LoadRequest request, const std::vector<TableSchema>& tables,
                                     std::stop_token stop) {
    if (request.resume) {
        request.only_resume = true;
        if (auto held = GW_TRY(source_.begin_load(request, tables, stop)); held.resumed) return held;
        request.resume = request.only_resume = false;
    }
    forget_spool();  // of the log that began at the snapshot before
    for (const auto& name : book_.in_phase(TablePhase::loading)) {
        if (GW_RULE("resume.forget_slices_first"))
            GW_CHECK(target_.set_phase(name, TablePhase::waiting, "its snapshot is gone"));
        book_.change(name, [](TableEntry& e) { e.state.phase = TablePhase::waiting; });
    }
    return source_.begin_load(request, tables, stop);
}

Result<> Task::load_initial(std::stop_token stop) {
    if (!initial_) {
        LoadRequest request;
        request.resume = spec_.start == StartType::resume;
        std::vector<TableSchema> tables;
        for (const auto& e : book_.all()) tables.push_back(e.schema);
        initial_ = GW_TRY(begin_load(request, tables, stop));
        for (const auto& e : book_.all()) {
            if (e.state.phase == TablePhase::loading) {
                auto prepared = GW_TRY(target_.prepared(e.schema, e.state, source_.load_formats(e.schema)));
                book_.change(e.schema.name, [&](TableEntry& t) { t.prepared = prepared; });
            } else if (e.state.phase == TablePhase::waiting) {
                GW_CHECK(prepare_table(e.schema.name, {}));
            }
        }
    }
    return load_tables(*initial_, book_.in_phase(TablePhase::loading), stop);
}

Result<> Task::load_tables(const LoadContext& context, std::vector<TableName> names, std::stop_token stop) {
    std::ranges::stable_sort(names, [&](const TableName& a, const TableName& b) {
        const auto x = selection_->load_order(a), y = selection_->load_order(b);
        return x != y ? x > y : a < b;
    });
    const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    int workers = spec_.workers_max > 0 ? spec_.workers_max : cores + 1;
    workers = std::clamp(std::min(workers, settings_.full_load_subtasks_max), 1, 32);
    Loader loader(source_, target_, book_, progress_, settings_, *context_.log);
    LoadPlan plan{context, std::move(names), captures() ? TablePhase::loaded : TablePhase::joined, workers};
    auto outcome = GW_TRY(loader.run(plan, stop));
    for (const auto& name : outcome.invalidated) GW_CHECK(reload_table(name, stop));
    return {};
}

// From here on the table's changes are passed over while the common position moves, so the ledger says first
// that it is to be loaded: a later process would go on without them. It happens between two groups and not
// while the table catches up, which would end in `joined` all the same. false: the task is asked to stop.
Result<bool> Task::leave_for_reload(const std::vector<TableSchema>& tables, std::stop_token stop) {
    const auto leave_one = [this](const TableSchema& schema) -> Result<> {
        const TableName& name = schema.name;
        if (const auto known = book_.find(name);
            captures() && known &&
            (known->state.phase == TablePhase::joined || known->state.phase == TablePhase::loaded))
            GW_CHECK(target_.set_phase(name, TablePhase::suspended,
                                       fmt::format("a reload has begun: {}", kLoadedAnew)));
        GW_FAILPOINT("reload.left_one");
        // Changes wait in the log from here on: what commits after the snapshot is taken is read after this.
        book_.change(name, [&](TableEntry& t) {
            t.state.phase = TablePhase::waiting;
            t.reload = t.nameless = false;
            t.hold_from = log_->end();
            auto extras = std::move(t.schema.extras);
            t.schema = schema;
            if (!schema.extras.read) t.schema.extras = std::move(extras);
        });
        progress_.table(name, [&](TableReport& t) {
            t.state = "Table is being reloaded";
            t.reloaded = true;
            t.insert_only = insert_only(schema);
        });
        return {};
    };
    const auto leave = [leave_one, tables]() -> Result<> {
        for (const auto& t : tables) GW_CHECK(leave_one(t));
        return {};
    };
    if (!captures()) {
        GW_CHECK(leave());
        return true;
    }
    struct Left {
        std::atomic<bool> done = false;
        Result<> outcome;
        std::uint64_t version = 0;
    };
    const auto left = std::make_shared<Left>();
    apply_->at_boundary([this, leave, left] {
        left->outcome = leave();
        left->version = book_.version();
        left->done = true;
    });
    while (!left->done || (left->outcome && apply_->obeyed() < left->version)) {
        if (stop.stop_requested()) return false;
        context_.clock->sleep(5ms, stop);
    }
    if (!left->outcome) return std::unexpected(left->outcome.error());
    return true;
}

// The table and those that it is bound to, as the source has them now.
Result<std::vector<TableSchema>> Task::bound_tables(const TableSchema& first) {
    std::vector<TableSchema> out{first};
    for (std::size_t i = 0; i < out.size(); ++i)
        for (const auto& name : std::vector<TableName>(out[i].bound_to)) {
            const auto known = book_.find(name);
            if (!known || std::ranges::find(out, name, &TableSchema::name) != out.end()) continue;
            auto schema = source_.describe(name);
            if (!schema && schema.error().code != ErrorCode::not_found)
                return std::unexpected(schema.error());
            if (schema && (known->schema.source_id == 0 || known->schema.source_id == schema->source_id))
                out.push_back(std::move(*schema));
        }
    return out;
}

Result<bool> Task::renamed_away(const TableName& name) {
    const auto known = book_.find(name);
    if (!known || known->schema.source_id == 0) return false;
    const auto tables = GW_TRY(source_.tables(*selection_));
    return std::ranges::any_of(tables, [&](const TableSchema& t) {
        return t.source_id == known->schema.source_id && t.name != name;
    });
}

// Do the mappings select it under the name that it has?
Result<bool> Task::taken(const TableSchema& table) {
    if (selection_->selects(table.name, table.is_view)) return true;
    const auto tables = GW_TRY(source_.tables(*selection_));  // partitions are selected with their table
    return std::ranges::find(tables, table.name, &TableSchema::name) != tables.end();
}

// It is loaded when the catalogue's poll has given it the name that it has at the source.
Result<> Task::wait_for_name(const TableName& name) {
    const std::string reason = fmt::format("it has another name now: {}", kLoadedAnew);
    GW_CHECK(target_.set_phase(name, TablePhase::suspended, reason));
    book_.change(name, [&](TableEntry& t) {
        t.state.phase = TablePhase::suspended;
        t.state.reason = reason;
        t.reload = t.nameless = true;
    });
    put_off_until_ = context_.clock->steady() + kCatalogueEvery;
    return {};
}

Result<> Task::leave_gone(const TableName& name) {
    progress_.table(name, [](TableReport& t) { t.state = "Table does not exist"; });
    GW_CHECK(target_.set_phase(name, TablePhase::suspended, "the table is gone from the source"));
    std::uint64_t id = 0;
    book_.change(name, [&](TableEntry& t) {
        t.state.phase = TablePhase::suspended;
        t.reload = t.nameless = false;
        id = t.schema.source_id;
    });
    GW_CHECK(reloads_.begun({name}));
    // A table that comes under its name joins the task as a new one.
    if (captures() && id != 0)
        apply_->at_boundary([this, name, id] {
            const auto left = book_.find(name);
            if (left && left->schema.source_id == id && left->state.phase == TablePhase::suspended &&
                !left->reload)
                book_.remove(name);
        });
    return {};
}

// Those that can be loaded now. An error when the stream's form of cells is not one that all of them take.
Result<std::vector<TableName>> Task::prepare_reload(const std::vector<TableSchema>& tables,
                                                    const LoadContext& context) {
    std::vector<TableName> out;
    const auto formats = source_.stream_formats();
    for (const auto& t : tables) {
        GW_CHECK(prepare_table(t.name, context.mark));
        const auto entry = book_.find(t.name);
        if (entry && entry->state.phase == TablePhase::suspended) continue;
        if (captures() && entry &&
            format_rank(formats, entry->prepared.stream_format) > format_rank(formats, stream_format_))
            return fail(
                ErrorCode::unavailable,
                fmt::format("table {} has columns that do not pass as {}: the stream starts again as {}",
                            t.name.text(), stream_format_, entry->prepared.stream_format),
                Retry::from_checkpoint);
        keep_shape(t.source_id, [&](TableSchema& kept) { kept = t; });
        out.push_back(t.name);
    }
    return out;
}

// One table under a snapshot of its own, or those that are bound to each other.
Result<> Task::reload_table(const TableName& name, std::stop_token stop) {
    std::vector<TableName> invalidated;  // of the last try
    for (int tries = 0; tries < kLoadTriesMax && !stop.stop_requested(); ++tries) {
        auto schema = source_.describe(name);
        if (schema && !GW_TRY(taken(*schema))) schema = fail(ErrorCode::not_found, "");
        if (!schema) {
            if (schema.error().code != ErrorCode::not_found) return std::unexpected(schema.error());
            for (const auto& other : invalidated)  // bound to it: left with it, and still to be loaded
                if (other != name) reloads_.add(other);
            return GW_TRY(renamed_away(name)) ? wait_for_name(name) : leave_gone(name);
        }
        if (const auto known = book_.find(name); !known) {
            return reloads_.begun({name});
        } else if (known->schema.source_id != 0 && schema->source_id != known->schema.source_id) {
            // The name has gone to another table: this one is loaded when it has got its new one. If that is
            // none of the task's, the other joins in its place.
            return GW_TRY(renamed_away(name)) ? wait_for_name(name) : leave_gone(name);
        }
        const auto tables = GW_TRY(bound_tables(*schema));
        if (const auto other = rows_of_others(tables)) {
            const std::string reason = fmt::format(
                "it has to be loaded again, and under TargetTablePrepMode DO_NOTHING this task cannot: the "
                "rows "
                "that {} has on the target were not loaded by it. Load it by another task, or choose "
                "TRUNCATE_BEFORE_LOAD",
                other->text());
            GW_CHECK(suspend(name, reason));
            return reloads_.begun({name});
        }
        std::vector<TableName> names;
        for (const auto& t : tables) names.push_back(t.name);
        for (const auto& left : invalidated)  // not bound to it any more, and still to be loaded
            if (std::ranges::find(names, left) == names.end()) reloads_.add(left);
        reloads_.taken(names);
        GW_FAILPOINT("reload.taken");
        if (!GW_TRY(leave_for_reload(tables, stop))) return {};
        // what an earlier look at the source had decided may have come first, and taken one out of the book
        if (!std::ranges::all_of(names, [&](const auto& n) { return book_.find(n).has_value(); })) {
            for (const auto& n : names)
                if (n != name && book_.find(n)) reloads_.add(n);
            return reloads_.begun({name});
        }
        if (captures()) GW_CHECK(reloads_.begun(names));
        GW_FAILPOINT("reload.begun");
        auto context = captures() ? source_.begin_table_load(
                                        tables, true, settings_.transaction_consistency_timeout_s, stop)
                                  : source_.begin_load({}, tables, stop);
        // altered or dropped meanwhile; a lock that was not granted says a SQLSTATE
        if (!context && (context.error().code == ErrorCode::not_found ||
                         (context.error().code == ErrorCode::aborted &&
                          (context.error().sqlstate.empty() || !captures())))) {
            context_.log->warning(Component::source_unload, fmt::format("load of table {} starts anew: {}",
                                                                        name.text(), context.error().text()));
            invalidated = std::move(names);
            continue;
        }
        if (!context && captures() && !stop.stop_requested() &&
            (context.error().code == ErrorCode::failed_precondition ||
             context.error().code == ErrorCode::resource_exhausted ||
             context.error().code == ErrorCode::aborted || context.error().code == ErrorCode::unavailable))
            return put_off(names, context.error());
        if (!context) return std::unexpected(std::move(context).error());
        auto prepared = prepare_reload(tables, *context);
        if (!prepared) source_.end_load(*context);
        if (!prepared) return std::unexpected(std::move(prepared).error());
        GW_CHECK(reloads_.begun(names));  // without changes, only now the ledger says so
        if (prepared->empty()) {
            source_.end_load(*context);
            return {};
        }
        Loader loader(source_, target_, book_, progress_, settings_, *context_.log);
        const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
        LoadPlan plan{*context, std::move(*prepared), captures() ? TablePhase::loaded : TablePhase::joined,
                      std::min(cores, settings_.full_load_subtasks_max)};
        auto outcome = loader.run(plan, stop);
        source_.end_load(*context);
        if (!outcome) return std::unexpected(outcome.error());
        invalidated = std::move(outcome->invalidated);
        if (invalidated.empty()) return {};
    }
    if (stop.stop_requested()) return {};
    const std::string reason =
        "the table kept changing its shape while it was loaded; reload it when that is over";
    for (const auto& left : invalidated) GW_CHECK(suspend(left, reason));
    return {};
}

// Until somebody reloads it by hand.
Result<> Task::suspend(const TableName& name, const std::string& reason) {
    context_.log->error(Component::tables_manager,
                        fmt::format("table {} is suspended: {}", name.text(), reason));
    GW_CHECK(target_.set_phase(name, TablePhase::suspended, reason));
    book_.change(name, [&](TableEntry& t) {
        t.state.phase = TablePhase::suspended;
        t.state.reason = reason;
        t.reload = t.nameless = false;
    });
    progress_.table(name, [&](TableReport& t) {
        t.state = "Table error";
        t.detail = reason;
    });
    return {};
}

// Of a task that began with changes, the rows of its tables were put there by somebody else: DO_NOTHING keeps
// them, and a load would bring them a second time.
std::optional<TableName> Task::rows_of_others(const std::vector<TableSchema>& tables) const {
    if (spec_.type != MigrationType::cdc || settings_.prep != PrepMode::do_nothing) return {};
    for (const auto& t : tables) {
        const auto known = book_.find(t.name);
        const bool fresh =
            !known || known->state.phase == TablePhase::waiting || known->state.reason.starts_with(kNewTable);
        if (!fresh && known->state.generation == 0) return t.name;
    }
    return {};
}

void Task::create_secondary() {
    std::vector<TableSchema> tables;
    for (const auto& e : book_.all())
        if (e.state.phase != TablePhase::suspended) tables.push_back(e.schema);
    if (auto warnings = target_.create_secondary(tables)) {
        for (const auto& w : *warnings) context_.log->warning(Component::target_load, w);
        std::error_code ignored;
        std::filesystem::remove(secondary_due_file(context_), ignored);
    } else {
        context_.log->warning(Component::target_load, warnings.error().text());
    }
    // the target's columns may be others now: identities, defaults
    if (captures()) apply_->at_boundary([this] { apply_->forget_shapes(); });
}

// The others go on: a snapshot of its own may be had later (an old transaction is over, a slot is free).
Result<> Task::put_off(const std::vector<TableName>& names, const Error& error) {
    for (const auto& name : names) {
        const auto known = book_.find(name);
        // what the ledger says of it, a later process needs as well
        const std::string reason = known && known->state.reason.ends_with(kLoadedAnew)
                                       ? known->state.reason
                                       : fmt::format("a reload has begun: {}", kLoadedAnew);
        GW_CHECK(target_.set_phase(name, TablePhase::suspended, reason));
        book_.change(name, [&](TableEntry& t) {
            t.state.phase = TablePhase::suspended;
            t.state.reason = reason;
            t.reload = true;
        });
        const std::string text = fmt::format("table {} cannot be loaded yet, it is tried again and again: {}",
                                             name.text(), error.text());
        bool said = false;
        progress_.table(name, [&](TableReport& t) {
            said = t.detail == text;
            t.state = "Table error";
            t.detail = text;
        });
        if (said) continue;
        context_.log->warning(Component::tables_manager, text);
        progress_.event("state change", text);
    }
    put_off_until_ = context_.clock->steady() + kPutOff;
    return {};
}

void Task::load_in_background(std::stop_token stop) {
    const auto fail_task = [&](const Error& e) {
        if (stop.stop_requested()) return;
        {
            const std::lock_guard lock(mutex_);
            if (!load_error_) load_error_ = e;
        }
        log_->close(std::unexpected(e));
    };
    if (loading_) {
        Result<> outcome;
        if (initial_) outcome = load_tables(*initial_, book_.in_phase(TablePhase::loading), stop);
        // the snapshot was lost with its keeper: what was not finished is loaded anew, table by table
        if (outcome)
            for (const auto& known : book_.all()) {
                const auto e = book_.find(known.schema.name);  // may have come with one that it is bound to
                if (outcome && e &&
                    (e->state.phase == TablePhase::waiting ||
                     (!initial_ && e->state.phase == TablePhase::loading)))
                    outcome = reload_table(e->schema.name, stop);
            }
        if (!outcome) {
            fail_task(outcome.error());
            return;
        }
        if (stop.stop_requested()) return;
        if (initial_) source_.end_load(*initial_);
        progress_.update([&](TaskReport& r) {
            r.full_load_finish_us = progress_.now_us();
            r.phase = "change processing";
        });
        create_secondary();
        loading_ = false;
    } else if (std::filesystem::exists(secondary_due_file(context_))) {
        create_secondary();  // killed behind the last table
    }
    while (!stop.stop_requested()) {
        const auto name = reloads_.take(500ms, stop);
        if (stop.stop_requested()) return;
        if (!name) {
            if (context_.clock->steady() < put_off_until_) continue;
            // tables that the change stream could not follow
            for (const auto& e : book_.all())
                if (e.reload && e.state.phase == TablePhase::suspended) reloads_.add(e.schema.name);
            continue;
        }
        if (auto outcome = reload_table(*name, stop); !outcome) {
            fail_task(outcome.error());
            return;
        }
    }
}

Result<> Task::reload(const std::vector<TableName>& tables) {
    for (const auto& t : tables)
        if (!book_.find(t))
            return fail(ErrorCode::not_found, "table " + t.text() + " is not part of this task");
    if (!running_) return fail(ErrorCode::failed_precondition, "the task is not running");
    GW_CHECK(reloads_.ask(tables));
    for (const auto& t : tables)
        progress_.table(t, [](TableReport& r) { r.state = "Table is being reloaded"; });
    progress_.event("state change", "Table reload requested");
    return {};
}

// ---------------------------------------------------------------------------------------------- stream,
// watch

void Task::start_stream(const Position& from) {
    stream_thread_ = std::jthread([this, from] {
        auto outcome = source_.stream(from, *log_, inner_stop_.get_token());
        if (!outcome && !inner_stop_.stop_requested())
            context_.log->error(Component::source_capture, outcome.error().text());
        log_->close(std::move(outcome));
    });
}

void Task::watch(std::stop_token stop) {
    const auto guard_bytes = static_cast<std::uint64_t>(spec_.source.number(
                                 "slotguardmb", static_cast<std::int64_t>(kGuardDefaultMb)))
                             << 20;
    const bool guard = guard_bytes != 0 && spec_.source.attribute("slotname").empty();
    auto catalogue_at = std::chrono::steady_clock::now();
    auto let_go_at = context_.clock->steady() - kLetGoEvery;
    while (context_.clock->sleep(kHealthEvery, stop)) {
        auto health = source_.health();
        if (!health) {
            if (health.error().code == ErrorCode::data_loss) {
                const std::lock_guard lock(mutex_);
                if (!load_error_) load_error_ = health.error();
                log_->close(std::unexpected(health.error()));
                return;
            }
            continue;
        }
        progress_.update([&](TaskReport& r) {
            r.retained_log_bytes = health->retained_bytes;
            r.captured_position = log_->captured().token;
            r.spool_bytes = log_->spool_bytes();
            r.memory_bytes = log_->memory_bytes();
        });
        if (guard && health->retained_bytes > guard_bytes / 2 &&
            context_.clock->steady() - let_go_at >= kLetGoEvery) {
            let_go_at = context_.clock->steady();
            source_.let_go();
        }
        if (guard && health->retained_bytes > guard_bytes / 4 * 3 && !log_->guarded()) {
            if (auto on = log_->start_guard(); !on)
                context_.log->error(Component::sorter, on.error().text());
            else
                progress_.event("state change",
                                "The slot guard spools changes to disk: the source retains too much log");
        }
        if (std::chrono::steady_clock::now() - catalogue_at < kCatalogueEvery) continue;
        catalogue_at = std::chrono::steady_clock::now();
        std::vector<TableSchema> known;
        for (const auto& e : book_.all()) known.push_back(e.schema);
        auto changes = source_.poll_catalogue(*selection_, known);
        if (const std::string why = changes ? "" : changes.error().text(); why != poll_error_) {
            if (!changes)
                context_.log->warning(Component::tables_manager,
                                      "the source's catalogue cannot be read, changes of tables that no row "
                                      "tells of wait until it can: " +
                                          why);
            poll_error_ = why;
        }
        if (!changes) continue;
        for (const auto& c : *changes) {
            switch (c.kind) {
                case CatalogueChange::Kind::table_added: {
                    if (book_.find(c.table)) break;  // until the table that had this name has left
                    auto schema = source_.describe(c.table);
                    if (!schema || schema->source_id != c.source_id) break;
                    TableEntry entry;
                    // without a load at its start, the task would take it for one that it has followed
                    if (spec_.type == MigrationType::cdc) {
                        entry.state.reason = fmt::format("{}: {}", kNewTable, kLoadedAnew);
                        if (!target_.set_phase(c.table, TablePhase::suspended, entry.state.reason))
                            break;  // the next poll sees it again
                    }
                    context_.log->info(Component::tables_manager,
                                       "table " + c.table.text() + " joins the task");
                    entry.schema = *schema;
                    entry.state.name = c.table;
                    entry.hold_from = log_->end();
                    book_.put(std::move(entry));
                    progress_.table(c.table, [](TableReport& t) { t.state = "Before load"; });
                    reloads_.add(c.table);
                    break;
                }
                case CatalogueChange::Kind::identity_lost: {
                    bool known_as_such = false;
                    progress_.table(
                        c.table, [&](TableReport& t) { known_as_such = std::exchange(t.insert_only, true); });
                    if (known_as_such) break;
                    context_.log->warning(
                        Component::tables_manager,
                        "table " + c.table.text() +
                            " lost its replica identity: updates and deletes are no longer captured");
                    break;
                }
                case CatalogueChange::Kind::table_dropped:
                case CatalogueChange::Kind::table_renamed:
                    apply_->later(c);
                    break;
                case CatalogueChange::Kind::table_altered:
                    note_altered(c);
                    break;
                case CatalogueChange::Kind::rows_changed:
                case CatalogueChange::Kind::identity_gained:  // insert-only until a reload
                    reload_for(c);
                    break;
            }
        }
    }
}

void Task::note_altered(const CatalogueChange& c) {
    const auto entry = book_.find(c.table);
    if (!entry || entry->state.phase != TablePhase::joined || !c.schema) return;
    // Columns follow in their place of the log.
    const bool same_columns =
        entry->schema.columns == c.schema->columns && entry->schema.columns_id == c.schema->columns_id;
    if (!same_columns) apply_->later(c);
    // Partitions and files do not concern the target; those that do are reported as rows_changed.
    const auto note = [&](TableSchema& t) {
        if (t.source_id != c.source_id) return;
        if (same_columns) t.storage_id = c.schema->storage_id;
        t.name_id = c.schema->name_id;
        t.leaves = c.schema->leaves;
        t.leaf_states = c.schema->leaf_states;
    };
    book_.change(c.table, [&](TableEntry& e) { note(e.schema); });
    keep_shape(c.source_id, note);
}

void Task::reload_for(const CatalogueChange& c) {
    const auto entry = book_.find(c.table);
    if (!entry || entry->state.phase != TablePhase::joined || entry->schema.source_id != c.source_id) return;
    const bool wanted = settings_.handle_altered && settings_.handle_truncated;
    const std::string text =
        wanted ? fmt::format("{}: {}", c.reason, kLoadedAnew)
               : fmt::format(
                     "{}; HandleSourceTableAltered or HandleSourceTableTruncated is off: reload it by hand",
                     c.reason);
    if (wanted || told_.insert({c.table, c.reason}).second) {
        context_.log->warning(Component::tables_manager, text);
        progress_.event("state change", text);
    }
    if (!wanted) return note_altered(c);
    // on the target before anything else, so that a later process knows of it too
    if (auto set = target_.set_phase(c.table, TablePhase::suspended, text); !set) {
        context_.log->warning(Component::tables_manager, set.error().text());  // the next poll sees it again
        return;
    }
    progress_.table(c.table, [&](TableReport& t) {
        t.state = "Table error";
        t.detail = text;
    });
    book_.change(c.table, [&](TableEntry& e) {
        e.state.phase = TablePhase::suspended;
        e.state.reason = text;
        e.reload = true;
    });
}

Result<> Task::pause_apply_at(std::uint64_t order, std::chrono::milliseconds wait) {
    if (!applies()) return fail(ErrorCode::failed_precondition, "the task applies no changes");
    apply_->pause_at(order);
    const auto until = std::chrono::steady_clock::now() + wait;
    while (!apply_->paused()) {
        if (std::chrono::steady_clock::now() > until || !running_) {
            apply_->unpause();
            return fail(ErrorCode::unavailable, "apply did not come to the comparison's point in time");
        }
        std::this_thread::sleep_for(2ms);
    }
    return {};
}

Result<Task::Cutover> Task::cutover(std::chrono::milliseconds wait) {
    if (!applies()) return fail(ErrorCode::failed_precondition, "the task applies no changes");
    if (loading_) return fail(ErrorCode::failed_precondition, "tables are still being loaded");
    const Position end = GW_TRY(source_.committed_end());
    const auto order = GW_TRY(source_.order(end));
    GW_CHECK(pause_apply_at(order, wait));
    Cutover c;
    c.position = end.token;
    auto tables = source_.tables(*selection_);
    Result<std::vector<std::string>> set = std::vector<std::string>{};
    if (tables) set = target_.sync_sequences(*tables);
    resume_apply();
    if (!tables) return std::unexpected(tables.error());
    if (!set) return std::unexpected(set.error());
    c.sequences = std::move(*set);
    const TaskReport report = progress_.snapshot();
    for (const auto& e : book_.all()) {
        if (e.state.phase != TablePhase::joined)
            c.warnings.push_back("table " + e.schema.name.text() + " is not in step: " + e.state.reason);
        const auto shown = std::ranges::find(report.tables, e.schema.name, &TableReport::name);
        if (e.schema.identity == RowIdentity::none || (shown != report.tables.end() && shown->insert_only))
            c.warnings.push_back("table " + e.schema.name.text() +
                                 " is insert-only: compare it before you switch");
    }
    return c;
}

void Task::resume_apply() {
    if (apply_ready_) apply_->unpause();
}

Result<> Task::knows_its_tables() const {
    if (captures() ? !applies() : !running_)
        return fail(ErrorCode::failed_precondition,
                    "the task is starting or stopping: ask again in a moment");
    return {};
}

Task::TablesByStep Task::tables_by_step() const {
    TablesByStep out;
    for (const auto& e : book_.all()) {
        switch (e.state.phase) {
            case TablePhase::joined:
                out.joined.push_back(e.schema);
                break;
            case TablePhase::suspended:
                out.others.emplace_back(e.schema.name, "suspended: " + e.state.reason);
                break;
            case TablePhase::waiting:
            case TablePhase::loading:
                out.others.emplace_back(e.schema.name, "still being loaded");
                break;
            case TablePhase::loaded:
                out.others.emplace_back(e.schema.name, "still catching up");
                break;
        }
    }
    return out;
}

}  // namespace godwit::engine
