// godwit's own pages and the metrics (docs/godwit-v1.md).

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "api/json_text.h"
#include "api/service.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLogBytesMax = 4U << 20, kLogLinesMax = 10'000;
constexpr auto kCompareMax = std::chrono::hours(24);

// arn:aws:dms:REGION:ACCOUNT:task:ID
std::string scope_of_arn(const std::string& arn) {
    std::vector<std::string> parts;
    for (std::size_t from = 0; from <= arn.size();) {
        const auto to = std::min(arn.find(':', from), arn.size());
        parts.push_back(arn.substr(from, to - from));
        from = to + 1;
    }
    return parts.size() < 5 ? "" : parts[4] + "/" + parts[3];
}

std::string scope_of(const Caller& caller) { return caller.account + "/" + caller.region; }

// label values of the Prometheus text format
std::string label(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

// the last `count` lines of a file
std::vector<std::string> last_lines(const std::filesystem::path& file, std::size_t count) {
    std::ifstream in(file, std::ios::binary);
    in.seekg(0, std::ios::end);
    const auto size = static_cast<std::int64_t>(in.tellg());
    if (size <= 0) return {};
    const auto from = std::max<std::int64_t>(0, size - static_cast<std::int64_t>(kLogBytesMax));
    in.seekg(from);
    std::string text(static_cast<std::size_t>(size - from), '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        auto end = text.find('\n', at);
        if (end == std::string::npos) end = text.size();
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    if (from > 0 && !lines.empty()) lines.erase(lines.begin());  // cut in its middle
    if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
    return lines;
}

}  // namespace

// These pages know no regions: the tasks of all regions of the caller's account, his own region's first.
Answer<std::vector<TaskRecord>> Service::tasks_of_account(const Caller& caller) {
    std::vector<TaskRecord> out;
    for (const bool own : {true, false})
        for (const auto& stored : GW_ANSWER(options_.store.list(TaskRecord::kKind, "")))
            if (stored.region.starts_with(caller.account + "/") && (stored.region == scope_of(caller)) == own)
                out.push_back(GW_ANSWER(decode_stored<TaskRecord>(stored.document)));
    return out;
}

Answer<TaskRecord> Service::find_task(const Caller& caller, const std::string& id_or_identifier) {
    const auto wanted = lower(id_or_identifier);
    for (auto& record : GW_TRY(tasks_of_account(caller)))
        if (lower(last_part(*record.shown->replication_task_arn)) == wanted ||
            lower(*record.shown->replication_task_identifier) == wanted)
            return std::move(record);
    return not_found("no task " + shortened(id_or_identifier));
}

namespace {

TaskPage page_of(const TaskRecord& record, std::string status, std::optional<TaskReport> report) {
    const auto& task = *record.shown;
    TaskPage page;
    page.identifier = *task.replication_task_identifier;
    page.arn = *task.replication_task_arn;
    page.id = last_part(page.arn);
    if (const auto arn = parse_arn(page.arn)) {
        page.region = arn->region;
        page.account = arn->account;
    }
    page.status = std::move(status);
    page.migration_type = *task.migration_type;
    page.instance_arn = *task.replication_instance_arn;
    page.source_arn = *task.source_endpoint_arn;
    page.target_arn = *task.target_endpoint_arn;
    page.report = std::move(report);
    page.checkpoint = task.recovery_checkpoint.value_or("");
    page.stop_reason = task.stop_reason.value_or("");
    page.last_error = task.last_failure_message.value_or("");
    return page;
}

}  // namespace

Answer<std::string> Service::v1_regions(const Caller& caller) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> regions{caller.region};
    for (const char* kind : {InstanceRecord::kKind, EndpointRecord::kKind, TaskRecord::kKind})
        for (const auto& stored : GW_ANSWER(options_.store.list(kind, ""))) {
            const auto slash = stored.region.find('/');
            if (stored.region.substr(0, slash) != caller.account) continue;
            auto region = stored.region.substr(slash + 1);
            if (std::ranges::find(regions, region) == regions.end()) regions.push_back(std::move(region));
        }
    return regions_page(regions);
}

Answer<std::string> Service::v1_tasks(const Caller& caller) {
    const std::lock_guard lock(mutex_);
    std::vector<TaskPage> pages;
    for (const auto& record : GW_TRY(tasks_of_account(caller)))
        pages.push_back(page_of(record, *record.shown->status, report_of(record)));
    return tasks_page(pages);
}

Answer<std::string> Service::v1_task(const Caller& caller, const std::string& task) {
    const std::lock_guard lock(mutex_);
    const auto record = GW_TRY(find_task(caller, task));
    return task_page(page_of(record, *record.shown->status, report_of(record)));
}

Answer<std::string> Service::v1_ask(const Caller& caller, const std::string& task, const std::string& op,
                                    const std::string& body) {
    if (!body.empty() && !is_object(body))
        return fault("SerializationException", "the body is not a JSON object");
    constexpr std::int64_t kCutoverMsMax = 86'400'000, kCutoverMs = 60'000;
    const auto timeout_ms = whole_number_in(body, "timeout_ms", kCutoverMs);
    if (!timeout_ms || *timeout_ms < 0 || *timeout_ms > kCutoverMsMax)
        return invalid_value(fmt::format("timeout_ms is a whole number from 0 to {}", kCutoverMsMax));
    const std::chrono::milliseconds timeout(*timeout_ms);
    std::string id;
    std::optional<RunInputs> at_rest;
    {
        const std::lock_guard lock(mutex_);
        const auto record = GW_TRY(find_task(caller, task));
        id = lower(last_part(*record.shown->replication_task_arn));
        const auto status = *record.shown->status;
        if (op == "compare" && (status == "stopped" || status == "failed"))
            at_rest = GW_TRY(run_inputs(scope_of_arn(*record.shown->replication_task_arn), record));
        else if (status != "running")
            return invalid_state(fmt::format("the task is not running (status {})", *record.shown->status));
    }
    const bool cutover = op == "cutover";
    // the task keeps its own time limit for a cut-over; ours only has to be longer
    const std::chrono::milliseconds limit = cutover ? timeout + 30s : kCompareMax;
    if (at_rest) {
        const auto spec = GW_ANSWER(spec_of(*at_rest));
        const auto compared = GW_ANSWER(supervisor_->compare(spec, limit));
        if (const auto error = error_of_answer(compared)) return invalid_state(*error);
        return compared;
    }
    const auto answer =
        GW_ANSWER(supervisor_->ask(id, cutover ? cutover_request(timeout) : compare_request(), limit));
    if (const auto error = error_of_answer(answer)) return invalid_state(*error);
    return answer;
}

Answer<std::string> Service::v1_logs(const Caller& caller, const std::string& task, std::size_t lines) {
    std::filesystem::path folder;
    {
        const std::lock_guard lock(mutex_);
        const auto record = GW_TRY(find_task(caller, task));
        folder = supervisor_->folder(lower(last_part(*record.shown->replication_task_arn)));
    }
    lines = std::clamp<std::size_t>(lines, 1, kLogLinesMax);
    auto out = last_lines(folder / "task.log", lines);
    if (out.size() < lines) {  // just rotated
        auto older = last_lines(folder / "task.log.1", lines - out.size());
        older.insert(older.end(), std::make_move_iterator(out.begin()), std::make_move_iterator(out.end()));
        out = std::move(older);
    }
    return lines_page(out);
}

std::string Service::metrics() {
    struct Series {
        const char* name;
        const char* type;
        const char* help;
        std::string lines;
    };
    enum : std::size_t {
        kUp,
        kStatus,
        kLag,
        kSourceLag,
        kRows,
        kApplied,
        kTransactions,
        kRetained,
        kSpool,
        kMemory,
        kRestarts,
        kTables,
        kCount
    };
    Series series[kCount] = {
        {"godwit_up", "gauge", "the server answers", "godwit_up 1\n"},
        {"godwit_task_status", "gauge", "1 for the status that the task has", ""},
        {"godwit_task_lag_milliseconds", "gauge",
         "commit on the source to visible on the target, last transaction", ""},
        {"godwit_cdc_latency_source_seconds", "gauge", "commit on the source to read from its log", ""},
        {"godwit_task_full_load_rows_total", "counter", "rows written by full loads", ""},
        {"godwit_task_applied_changes_total", "counter", "row changes applied on the target", ""},
        {"godwit_task_applied_transactions_total", "counter", "source transactions applied on the target",
         ""},
        {"godwit_task_retained_log_bytes", "gauge", "log that the source keeps for the task", ""},
        {"godwit_task_spool_bytes", "gauge", "changes that wait on disk", ""},
        {"godwit_task_memory_bytes", "gauge", "resident memory of the task's process", ""},
        {"godwit_task_restarts_total", "counter", "restarts after errors in this run", ""},
        {"godwit_task_tables", "gauge", "tables by state", ""},
    };
    {
        const std::lock_guard lock(mutex_);
        const auto records = options_.store.list(TaskRecord::kKind, "");
        for (const auto& stored : records ? *records : std::vector<StoredResource>{}) {
            const auto record = decode_stored<TaskRecord>(stored.document);
            if (!record) continue;
            const auto labels =
                fmt::format("task=\"{}\",arn=\"{}\"", label(*record->shown->replication_task_identifier),
                            label(*record->shown->replication_task_arn));
            const auto put = [&](std::size_t which, auto value, const std::string& more = {}) {
                series[which].lines +=
                    fmt::format("{}{{{}{}}} {}\n", series[which].name, labels, more, value);
            };
            put(kStatus, 1, fmt::format(",status=\"{}\"", label(*record->shown->status)));
            const auto report = report_of(*record);
            if (!report) continue;
            std::uint64_t rows = 0, applied = 0;
            std::map<std::string, int> tables;
            for (const auto& t : report->tables) {
                rows += t.full_load_rows;
                applied += t.applied_inserts + t.applied_updates + t.applied_deletes;
                ++tables[t.state];
            }
            if (report->lag_ms >= 0) put(kLag, report->lag_ms);
            if (report->source_lag_ms >= 0)
                put(kSourceLag, static_cast<double>(report->source_lag_ms) / 1000.0);
            put(kRows, rows);
            put(kApplied, applied);
            put(kTransactions, report->transactions_applied);
            put(kRetained, report->retained_log_bytes);
            put(kSpool, report->spool_bytes);
            put(kMemory, report->memory_bytes);
            put(kRestarts, report->restarts);
            for (const auto& [state, count] : tables)
                put(kTables, count, fmt::format(",state=\"{}\"", label(state)));
        }
    }
    std::string out;
    for (const auto& one : series)
        out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{3}", one.name, one.help, one.type, one.lines);
    return out;
}

}  // namespace godwit::api
