#pragma once
// The contract between the control plane and a task process.
//
// Started as `godwit task-process --folder DIR`, with a TaskSpec as one JSON document on standard input (it
// holds secrets, so it is never a file). The folder holds:
//   lock          pid and start time of the process that owns the folder (base/files.h)
//   status.json   TaskReport, replaced as a whole at most every 200 ms and at each change of state
//   control.sock  one JSON object per line in, one out:
//                 {"op":"stop"} {"op":"status"} {"op":"reload","tables":[{"schema":..,"table":..}]}
//                 {"op":"log","levels":{"SOURCE_CAPTURE":"LOGGER_SEVERITY_DEBUG"}}
//                 {"op":"compare"}  {"op":"drop"} ; answers {"ok":true,...} or {"ok":false,"error":"..."}
//   task.log      the log;  spool/  changes that wait;  keeper.*  the keeper's files
// The process ends with 0 after `stopped`, 1 after `failed`; a crash leaves state "running" in status.json.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/endpoint.h"
#include "core/table.h"

namespace godwit {

enum class MigrationType : std::uint8_t { full_load, cdc, full_load_and_cdc };
// fresh: start-replication; resume: resume-processing; reload: reload-target; drop: remove slots and
// publications; compare: read both sides of a task at rest, leave the answer of {"op":"compare"} in
// compare.json and end
enum class StartType : std::uint8_t { fresh, resume, reload, drop, compare };

struct TaskSpec {
    std::string id;  // last part of the ARN, lower case
    std::string arn;
    std::string identifier;
    MigrationType type = MigrationType::full_load;
    StartType start = StartType::fresh;
    EndpointConfig source, target;
    std::string table_mappings;  // JSON text as the user sent it
    std::string settings;        // complete merged ReplicationTaskSettings, JSON text
    std::string user_settings;   // the user's own document, "{}" when none
    std::string cdc_start;       // native position or checkpoint or empty
    std::string cdc_stop;        // server_time:... / commit_time:... or empty
    std::uint64_t memory_bytes_max = 512ULL << 20;
    int workers_max = 0;  // 0: by the machine
};

enum class TaskState : std::uint8_t { starting, running, stopped, failed };

struct TableReport {
    TableName name;
    std::string state = "Before load";  // TableState of the API
    std::uint64_t inserts = 0, updates = 0, deletes = 0, ddls = 0;
    std::uint64_t applied_inserts = 0, applied_updates = 0, applied_deletes = 0, applied_ddls = 0;
    std::uint64_t full_load_rows = 0, full_load_error_rows = 0;
    std::int64_t full_load_start_us = 0, full_load_end_us = 0;  // 0: not yet
    bool reloaded = false;
    bool insert_only = false;
    std::int64_t last_update_us = 0;
    std::uint64_t rows_estimate = 0;
    std::uint32_t slices = 0, slices_done = 0;
    std::string detail;  // why in error
};

struct TaskEventReport {  // for DescribeEvents; ordered, kept up to 1000
    std::uint64_t number = 0;
    std::int64_t time_us = 0;
    std::string category;  // "state change", "failure", ...
    std::string message;
};

struct TaskReport {
    TaskState state = TaskState::starting;
    std::string phase;         // "full load", "cached changes", "change processing"
    std::string stop_reason;   // "NORMAL", "FULL_LOAD_ONLY_FINISHED", ...
    std::string last_error;    // text for LastFailureMessage's "Last Error  <text>"
    bool recoverable = false;  // RECOVERABLE_ERROR / FATAL_ERROR
    std::int64_t start_us = 0, fresh_start_us = 0, stop_us = 0;
    std::int64_t full_load_start_us = 0, full_load_finish_us = 0;
    std::string checkpoint;                           // RecoveryCheckpoint text
    std::string applied_position, captured_position;  // native
    std::uint64_t retained_log_bytes = 0;
    std::int64_t lag_ms = -1;  // commit to visible, of the last applied transaction; -1 unknown
    std::int64_t source_lag_ms = -1;
    std::uint64_t rows_per_second = 0, changes_per_second = 0;
    std::uint64_t spool_bytes = 0, memory_bytes = 0;
    std::uint64_t transactions_applied = 0;
    std::uint32_t restarts = 0;
    std::vector<TableReport> tables;
    std::vector<TaskEventReport> events;
    std::int64_t written_us = 0;
};

[[nodiscard]] std::string to_json(const TaskSpec& spec);
[[nodiscard]] Result<TaskSpec> task_spec_from_json(const std::string& text);
[[nodiscard]] std::string to_json(const TaskReport& report);
[[nodiscard]] Result<TaskReport> task_report_from_json(const std::string& text);

}  // namespace godwit
