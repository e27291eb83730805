#pragma once
// The task document: ReplicationTaskSettings (spec/task-settings). Pure functions, no I/O.
// Documents are JSON text at this door, so that few files include the JSON library.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "core/target.h"
#include "core/task.h"

namespace godwit::mapping {

// The document that Describe returns: defaults with `user` merged in. Errors are invalid_argument and carry
// the exact text of the API ("Invalid task settings JSON" ...).
[[nodiscard]] Result<std::string> merge_settings(MigrationType type, const std::string& user_json);
// Modify: `change` merged over the stored document.
[[nodiscard]] Result<std::string> modify_settings(MigrationType type, const std::string& stored_json,
                                                  const std::string& change_json);
// The user's own document beside the merged one: `change` merged over what he sent before.
[[nodiscard]] Result<std::string> merge_user_document(const std::string& user_json,
                                                      const std::string& change_json);
// true when `change` touches nothing but Logging severities
[[nodiscard]] bool only_log_severities(const std::string& change_json);
// Settings that godwit does not act on: refused (they would change data or promise a check), by name.
[[nodiscard]] Result<> refuse_inactive(const std::string& merged_json, const std::string& user_json);
// Settings with a non-default value that do not act yet and change no data: one warning line each.
[[nodiscard]] std::vector<std::string> inactive_warnings(const std::string& merged_json);

// What a task process acts on.
struct Settings {
    std::string target_schema;
    std::string control_schema;  // empty: the target's default
    PrepMode prep = PrepMode::drop_and_create;
    bool create_pk_after_full_load = false;
    bool stop_cached_applied = false, stop_cached_not_applied = false;
    int full_load_subtasks_max = 8;
    std::uint32_t transaction_consistency_timeout_s = 600;
    std::uint32_t commit_rate = 10000;
    std::uint32_t commit_timeout_s = 1, min_transaction_size = 1000;
    std::uint64_t memory_limit_mb = 1024;
    bool handle_dropped = true, handle_truncated = true, handle_altered = true;
    bool fail_on_no_tables = true, fail_on_truncation_ddl = false, full_load_ignore_conflicts = true;
    bool fail_when_clean_failed = false;
    ConflictPolicy conflicts;
    std::uint32_t apply_escalation_count = 0;
    ConflictAction apply_escalation = ConflictAction::log;
    bool table_error_stops_task = false;  // TableErrorPolicy STOP_TASK
    std::uint32_t table_escalation_count = 0;
    bool recovery_table = false;  // TaskRecoveryTableEnabled
    bool logging = false;
    std::map<std::string, Severity> log_levels;  // component -> severity
    // recoverable errors
    std::int64_t recoverable_count = -1, recoverable_interval_s = 5, recoverable_throttling_max_s = 1800;
    bool recoverable_throttling = true, recoverable_stop_after_max = true;
};
[[nodiscard]] Result<Settings> read_settings(const std::string& merged_json);

}  // namespace godwit::mapping
