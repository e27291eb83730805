#include "mapping/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace godwit::mapping {
namespace {

using Json = nlohmann::ordered_json;  // answers keep the order of the defaults document

constexpr std::string_view kInvalid = "Invalid task settings JSON";

constexpr std::string_view kDefaults = R"json({
"Logging":{"EnableLogging":false,"EnableLogContext":false,"LogComponents":[],
 "CloudWatchLogGroup":null,"CloudWatchLogStream":null},
"StreamBufferSettings":{"StreamBufferCount":3,"CtrlStreamBufferSizeInMB":5,"StreamBufferSizeInMB":8},
"ErrorBehavior":{"FailOnNoTablesCaptured":true,"ApplyErrorUpdatePolicy":"LOG_ERROR",
 "FailOnTransactionConsistencyBreached":false,"RecoverableErrorThrottlingMax":1800,
 "DataErrorEscalationPolicy":"SUSPEND_TABLE","ApplyErrorEscalationCount":0,
 "RecoverableErrorStopRetryAfterThrottlingMax":true,"RecoverableErrorThrottling":true,
 "ApplyErrorFailOnTruncationDdl":false,"DataMaskingErrorPolicy":"STOP_TASK",
 "DataTruncationErrorPolicy":"LOG_ERROR","ApplyErrorInsertPolicy":"LOG_ERROR","EventErrorPolicy":"IGNORE",
 "ApplyErrorEscalationPolicy":"LOG_ERROR","RecoverableErrorCount":-1,"DataErrorEscalationCount":0,
 "TableErrorEscalationPolicy":"STOP_TASK","RecoverableErrorInterval":5,"ApplyErrorDeletePolicy":"IGNORE_RECORD",
 "TableErrorEscalationCount":0,"FullLoadIgnoreConflicts":true,"DataErrorPolicy":"LOG_ERROR",
 "TableErrorPolicy":"SUSPEND_TABLE"},
"TTSettings":null,
"FullLoadSettings":{"CommitRate":10000,"StopTaskCachedChangesApplied":false,
 "StopTaskCachedChangesNotApplied":false,"MaxFullLoadSubTasks":8,"TransactionConsistencyTimeout":600,
 "CreatePkAfterFullLoad":false,"TargetTablePrepMode":"DROP_AND_CREATE"},
"TargetMetadata":{"ParallelApplyBufferSize":0,"ParallelApplyQueuesPerThread":0,"ParallelApplyThreads":0,
 "TargetSchema":"","InlineLobMaxSize":0,"ParallelLoadQueuesPerThread":0,"SupportLobs":true,"LobChunkSize":64,
 "TaskRecoveryTableEnabled":false,"ParallelLoadThreads":0,"LobMaxSize":32,"BatchApplyEnabled":false,
 "FullLobMode":false,"LimitedSizeLobMode":true,"LoadMaxFileSize":0,"ParallelLoadBufferSize":0},
"BeforeImageSettings":null,
"ControlTablesSettings":{"historyTimeslotInMinutes":5,"HistoryTimeslotInMinutes":5,"StatusTableEnabled":false,
 "SuspendedTablesTableEnabled":false,"HistoryTableEnabled":false,"ControlSchema":"",
 "FullLoadExceptionTableEnabled":false},
"LoopbackPreventionSettings":null,"CharacterSetSettings":null,"FailTaskWhenCleanTaskResourceFailed":false,
"ChangeProcessingTuning":{"StatementCacheSize":50,"CommitTimeout":1,"RecoveryTimeout":-1,
 "BatchApplyPreserveTransaction":true,"BatchApplyTimeoutMin":1,"BatchSplitSize":0,"BatchApplyTimeoutMax":30,
 "MinTransactionSize":1000,"MemoryKeepTime":60,"BatchApplyMemoryLimit":500,"MemoryLimitTotal":1024},
"ChangeProcessingDdlHandlingPolicy":{"HandleSourceTableDropped":true,"HandleSourceTableTruncated":true,
 "HandleSourceTableAltered":true},
"PostProcessingRules":null})json";

// Absent until one of its keys is sent, then complete.
constexpr std::string_view kValidationDefaults = R"json({
"EnableValidation":false,"ValidationMode":"ROW_LEVEL","ThreadCount":5,"PartitionSize":10000,"FailureMaxCount":10000,
"TableFailureMaxCount":1000,"RecordFailureDelayInMinutes":5,"RecordFailureDelayLimitInMinutes":0,
"RecordSuspendDelayInMinutes":30,"MaxKeyColumnSize":8096,"HandleCollationDiff":false,"SkipLobColumns":false,
"ValidationPartialLobSize":0,"ValidationQueryCdcDelaySeconds":0,"ValidationOnly":false,"ValidationS3Mask":0,
"ValidationS3Time":0})json";

constexpr std::string_view kLogComponents[] = {
    "DATA_STRUCTURE", "COMMUNICATION", "IO",           "COMMON",         "FILE_FACTORY",     "FILE_TRANSFER",
    "REST_SERVER",    "ADDONS",        "TARGET_LOAD",  "TARGET_APPLY",   "SOURCE_UNLOAD",    "SOURCE_CAPTURE",
    "TRANSFORMATION", "SORTER",        "TASK_MANAGER", "TABLES_MANAGER", "METADATA_MANAGER", "PERFORMANCE",
    "VALIDATOR_EXT"};

struct SeverityName {
    std::string_view name;
    Severity severity;
};
constexpr SeverityName kSeverities[] = {
    {"LOGGER_SEVERITY_ERROR", Severity::error}, {"LOGGER_SEVERITY_WARNING", Severity::warning},
    {"LOGGER_SEVERITY_INFO", Severity::info},   {"LOGGER_SEVERITY_DEFAULT", Severity::info},
    {"LOGGER_SEVERITY_DEBUG", Severity::debug}, {"LOGGER_SEVERITY_DETAILED_DEBUG", Severity::trace}};

// What a known key may hold. Ranges are godwit's reading of the guide.
constexpr std::int64_t kAny = 2147483647;
enum class Kind : std::uint8_t { boolean, integer, text, choice, object, array };
struct Rule {
    std::string_view group, key;
    Kind kind;
    std::int64_t low = 0, high = kAny;
    std::string_view choices = {};  // separated by one blank
};
constexpr std::string_view kRecordActions = "IGNORE_RECORD LOG_ERROR SUSPEND_TABLE STOP_TASK";

constexpr Rule kRules[] = {
    {"Logging", "EnableLogging", Kind::boolean},
    {"Logging", "EnableLogContext", Kind::boolean},
    {"Logging", "LogComponents", Kind::array},
    {"Logging", "CloudWatchLogGroup", Kind::text},
    {"Logging", "CloudWatchLogStream", Kind::text},
    {"Logging", "DeleteTaskLogs", Kind::boolean},
    {"Logging", "LogConfiguration", Kind::object},
    {"StreamBufferSettings", "StreamBufferCount", Kind::integer, 1},
    {"StreamBufferSettings", "StreamBufferSizeInMB", Kind::integer, 1},
    {"StreamBufferSettings", "CtrlStreamBufferSizeInMB", Kind::integer, 1, 8},
    {"ErrorBehavior", "DataErrorPolicy", Kind::choice, 0, 0, kRecordActions},
    {"ErrorBehavior", "DataTruncationErrorPolicy", Kind::choice, 0, 0, kRecordActions},
    {"ErrorBehavior", "DataMaskingErrorPolicy", Kind::choice, 0, 0, kRecordActions},
    {"ErrorBehavior", "DataErrorEscalationPolicy", Kind::choice, 0, 0, "SUSPEND_TABLE STOP_TASK"},
    {"ErrorBehavior", "DataErrorEscalationCount", Kind::integer},
    {"ErrorBehavior", "EventErrorPolicy", Kind::choice, 0, 0, "IGNORE STOP_TASK"},
    {"ErrorBehavior", "TableErrorPolicy", Kind::choice, 0, 0, "SUSPEND_TABLE STOP_TASK"},
    {"ErrorBehavior", "TableErrorEscalationPolicy", Kind::choice, 0, 0, "STOP_TASK"},
    {"ErrorBehavior", "TableErrorEscalationCount", Kind::integer},
    {"ErrorBehavior", "ApplyErrorDeletePolicy", Kind::choice, 0, 0, kRecordActions},
    {"ErrorBehavior", "ApplyErrorInsertPolicy", Kind::choice, 0, 0,
     "IGNORE_RECORD LOG_ERROR SUSPEND_TABLE STOP_TASK INSERT_RECORD"},
    {"ErrorBehavior", "ApplyErrorUpdatePolicy", Kind::choice, 0, 0,
     "IGNORE_RECORD LOG_ERROR SUSPEND_TABLE STOP_TASK UPDATE_RECORD"},
    {"ErrorBehavior", "ApplyErrorEscalationPolicy", Kind::choice, 0, 0, "LOG_ERROR SUSPEND_TABLE STOP_TASK"},
    {"ErrorBehavior", "ApplyErrorEscalationCount", Kind::integer},
    {"ErrorBehavior", "ApplyErrorFailOnTruncationDdl", Kind::boolean},
    {"ErrorBehavior", "FailOnNoTablesCaptured", Kind::boolean},
    {"ErrorBehavior", "FailOnTransactionConsistencyBreached", Kind::boolean},
    {"ErrorBehavior", "FullLoadIgnoreConflicts", Kind::boolean},
    {"ErrorBehavior", "RecoverableErrorCount", Kind::integer, -1},
    {"ErrorBehavior", "RecoverableErrorInterval", Kind::integer},
    {"ErrorBehavior", "RecoverableErrorThrottling", Kind::boolean},
    {"ErrorBehavior", "RecoverableErrorThrottlingMax", Kind::integer},
    {"ErrorBehavior", "RecoverableErrorStopRetryAfterThrottlingMax", Kind::boolean},
    {"TTSettings", "EnableTT", Kind::boolean},
    {"TTSettings", "TTS3Settings", Kind::object},
    {"TTSettings", "TTRecordSettings", Kind::object},
    {"FullLoadSettings", "CommitRate", Kind::integer, 1, 50000},
    {"FullLoadSettings", "StopTaskCachedChangesApplied", Kind::boolean},
    {"FullLoadSettings", "StopTaskCachedChangesNotApplied", Kind::boolean},
    {"FullLoadSettings", "MaxFullLoadSubTasks", Kind::integer, 1, 49},
    {"FullLoadSettings", "TransactionConsistencyTimeout", Kind::integer},
    {"FullLoadSettings", "CreatePkAfterFullLoad", Kind::boolean},
    {"FullLoadSettings", "TargetTablePrepMode", Kind::choice, 0, 0,
     "DO_NOTHING DROP_AND_CREATE TRUNCATE_BEFORE_LOAD"},
    {"TargetMetadata", "TargetSchema", Kind::text},
    {"TargetMetadata", "SupportLobs", Kind::boolean},
    {"TargetMetadata", "FullLobMode", Kind::boolean},
    {"TargetMetadata", "LimitedSizeLobMode", Kind::boolean},
    {"TargetMetadata", "LobChunkSize", Kind::integer},
    {"TargetMetadata", "LobMaxSize", Kind::integer, 0, 102400},
    {"TargetMetadata", "InlineLobMaxSize", Kind::integer, 0, 102400},
    {"TargetMetadata", "LoadMaxFileSize", Kind::integer, 0, 100000},
    {"TargetMetadata", "BatchApplyEnabled", Kind::boolean},
    {"TargetMetadata", "ParallelLoadThreads", Kind::integer, 0, 200},
    {"TargetMetadata", "ParallelLoadBufferSize", Kind::integer, 0, 1000},
    {"TargetMetadata", "ParallelLoadQueuesPerThread", Kind::integer, 0, 512},
    {"TargetMetadata", "ParallelApplyThreads", Kind::integer, 0, 32},
    {"TargetMetadata", "ParallelApplyBufferSize", Kind::integer, 0, 1000},
    {"TargetMetadata", "ParallelApplyQueuesPerThread", Kind::integer, 0, 512},
    {"TargetMetadata", "TaskRecoveryTableEnabled", Kind::boolean},
    {"BeforeImageSettings", "EnableBeforeImage", Kind::boolean},
    {"BeforeImageSettings", "FieldName", Kind::text},
    {"BeforeImageSettings", "ColumnFilter", Kind::choice, 0, 0, "pk-only non-lob all"},
    {"ControlTablesSettings", "historyTimeslotInMinutes", Kind::integer, 1},
    {"ControlTablesSettings", "HistoryTimeslotInMinutes", Kind::integer, 1},
    {"ControlTablesSettings", "StatusTableEnabled", Kind::boolean},
    {"ControlTablesSettings", "SuspendedTablesTableEnabled", Kind::boolean},
    {"ControlTablesSettings", "HistoryTableEnabled", Kind::boolean},
    {"ControlTablesSettings", "ControlSchema", Kind::text},
    {"ControlTablesSettings", "FullLoadExceptionTableEnabled", Kind::boolean},
    {"LoopbackPreventionSettings", "EnableLoopbackPrevention", Kind::boolean},
    {"LoopbackPreventionSettings", "SourceSchema", Kind::text},
    {"LoopbackPreventionSettings", "TargetSchema", Kind::text},
    {"CharacterSetSettings", "CharacterReplacements", Kind::array},
    {"CharacterSetSettings", "CharacterSetSupport", Kind::object},
    {"ChangeProcessingTuning", "StatementCacheSize", Kind::integer, 0, 200},
    {"ChangeProcessingTuning", "CommitTimeout", Kind::integer},
    {"ChangeProcessingTuning", "RecoveryTimeout", Kind::integer, -1},
    {"ChangeProcessingTuning", "BatchApplyPreserveTransaction", Kind::boolean},
    {"ChangeProcessingTuning", "BatchApplyTimeoutMin", Kind::integer},
    {"ChangeProcessingTuning", "BatchApplyTimeoutMax", Kind::integer},
    {"ChangeProcessingTuning", "BatchApplyMemoryLimit", Kind::integer, 1},
    {"ChangeProcessingTuning", "BatchSplitSize", Kind::integer},
    {"ChangeProcessingTuning", "MinTransactionSize", Kind::integer},
    {"ChangeProcessingTuning", "MemoryKeepTime", Kind::integer},
    {"ChangeProcessingTuning", "MemoryLimitTotal", Kind::integer, 1},
    {"ChangeProcessingDdlHandlingPolicy", "HandleSourceTableDropped", Kind::boolean},
    {"ChangeProcessingDdlHandlingPolicy", "HandleSourceTableTruncated", Kind::boolean},
    {"ChangeProcessingDdlHandlingPolicy", "HandleSourceTableAltered", Kind::boolean},
    {"ValidationSettings", "EnableValidation", Kind::boolean},
    {"ValidationSettings", "ValidationMode", Kind::choice, 0, 0, "ROW_LEVEL GROUP_LEVEL"},
    {"ValidationSettings", "ThreadCount", Kind::integer, 1},
    {"ValidationSettings", "PartitionSize", Kind::integer, 1},
    {"ValidationSettings", "FailureMaxCount", Kind::integer},
    {"ValidationSettings", "TableFailureMaxCount", Kind::integer},
    {"ValidationSettings", "RecordFailureDelayInMinutes", Kind::integer},
    {"ValidationSettings", "RecordFailureDelayLimitInMinutes", Kind::integer},
    {"ValidationSettings", "RecordSuspendDelayInMinutes", Kind::integer},
    {"ValidationSettings", "MaxKeyColumnSize", Kind::integer},
    {"ValidationSettings", "HandleCollationDiff", Kind::boolean},
    {"ValidationSettings", "SkipLobColumns", Kind::boolean},
    {"ValidationSettings", "ValidationPartialLobSize", Kind::integer},
    {"ValidationSettings", "ValidationQueryCdcDelaySeconds", Kind::integer},
    {"ValidationSettings", "ValidationOnly", Kind::boolean},
    {"ValidationSettings", "ValidationS3Mask", Kind::integer},
    {"ValidationSettings", "ValidationS3Time", Kind::integer},
    {"ResyncSettings", "EnableResync", Kind::boolean},
    {"ResyncSettings", "ResyncSchedule", Kind::text},
    {"ResyncSettings", "MaxResyncTime", Kind::integer, 5, 14400},
    {"ResyncSettings", "ValidationTaskId", Kind::text},
};

std::unexpected<Error> invalid() { return fail(ErrorCode::invalid_argument, std::string(kInvalid)); }
std::unexpected<Error> invalid(std::string_view place, std::string_view reason) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {} {}", kInvalid, place, reason));
}

const Rule* find_rule(std::string_view group, std::string_view key) {
    for (const Rule& r : kRules)
        if (r.group == group && r.key == key) return &r;
    return nullptr;
}
bool known_group(std::string_view group) {
    return std::ranges::any_of(kRules, [&](const Rule& r) { return r.group == group; });
}

Result<Json> parse_object(const std::string& text) {
    Json document = Json::parse(text, nullptr, false);
    if (!document.is_object()) return invalid();  // also when discarded
    return document;
}

std::optional<bool> to_boolean(const Json& value) {
    if (value.is_boolean()) return value.get<bool>();
    if (!value.is_string()) return std::nullopt;
    std::string text = value.get<std::string>();
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
    if (text == "true") return true;
    if (text == "false") return false;
    return std::nullopt;
}

std::optional<std::int64_t> to_integer(const Json& value) {
    if (value.is_number_unsigned() && value.get<std::uint64_t>() > std::uint64_t{INT64_MAX})
        return std::nullopt;
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number_float()) {
        const double number = value.get<double>();
        if (!(number >= -2147483648.0 && number <= 2147483647.0)) return std::nullopt;
        const auto whole = static_cast<std::int64_t>(number);
        if (static_cast<double>(whole) == number) return whole;
        return std::nullopt;
    }
    if (!value.is_string()) return std::nullopt;
    const auto& text = value.get_ref<const std::string&>();
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return out;
}

bool offers(std::string_view choices, std::string_view choice) {
    while (!choices.empty()) {
        const auto blank = choices.find(' ');
        if (choices.substr(0, blank) == choice) return true;
        if (blank == std::string_view::npos) break;
        choices.remove_prefix(blank + 1);
    }
    return false;
}

// The value as it is stored: typed, in its range. null is never given here.
Result<Json> typed(const Rule& rule, const Json& value) {
    const std::string place = fmt::format("{}.{}", rule.group, rule.key);
    switch (rule.kind) {
        case Kind::boolean:
            if (const auto b = to_boolean(value)) return Json(*b);
            return invalid(place, "must be true or false");
        case Kind::integer: {
            const auto n = to_integer(value);
            if (!n) return invalid(place, "must be a whole number");
            if (*n < rule.low || *n > rule.high)
                return invalid(place, fmt::format("must be from {} to {}, not {}", rule.low, rule.high, *n));
            return Json(*n);
        }
        case Kind::text:
            if (value.is_string()) return value;
            return invalid(place, "must be a string");
        case Kind::choice:
            if (!value.is_string()) return invalid(place, "must be a string");
            if (!offers(rule.choices, value.get_ref<const std::string&>())) {
                std::string list(rule.choices);
                for (std::size_t at = 0; (at = list.find(' ', at)) != std::string::npos; at += 2)
                    list.replace(at, 1, ", ");
                return invalid(place, "must be one of " + list);
            }
            return value;
        case Kind::object:
            if (value.is_object()) return value;
            return invalid(place, "must be an object");
        case Kind::array:
            if (value.is_array()) return value;
            return invalid(place, "must be an array");
    }
    std::unreachable();
}

const SeverityName* find_severity(std::string_view name) {
    for (const auto& s : kSeverities)
        if (s.name == name) return &s;
    return nullptr;
}

// By Id; what is not named keeps its severity. Ids that godwit does not know are kept at the end, like
// unknown keys.
Result<> merge_components(Json& into, const Json& from) {
    for (const Json& component : from) {
        const auto text = [&](const char* key) -> std::string {
            const auto it = component.is_object() ? component.find(key) : component.end();
            return it != component.end() && it->is_string() ? it->get<std::string>() : "";
        };
        std::string id = text("Id");
        const std::string severity = text("Severity");
        if (id.empty()) return invalid("Logging.LogComponents", "needs an Id in each entry");
        if (find_severity(severity) == nullptr)
            return invalid("Logging.LogComponents", "has an unknown Severity for " + id);
        if (id == "VALIDATOR") id = "VALIDATOR_EXT";
        const auto found = std::ranges::find_if(into, [&](const Json& c) { return c.at("Id") == id; });
        if (found != into.end()) {
            (*found)["Severity"] = severity;
        } else {
            into.push_back(Json{{"Id", id}, {"Severity", severity}});
        }
    }
    return {};
}

// Keys godwit does not know: objects to any depth, null keeps what is there.
void merge_plain(Json& into, const Json& from) {
    for (const auto& [key, value] : from.items()) {
        const auto it = into.find(key);
        if (it == into.end()) {
            into[key] = value;
        } else if (value.is_null()) {
            continue;
        } else if (it->is_object() && value.is_object()) {
            merge_plain(*it, value);
        } else {
            *it = value;
        }
    }
}

Result<> merge_group(const std::string& group, Json& into, const Json& from) {
    for (const auto& [key, value] : from.items()) {
        const Rule* rule = find_rule(group, key);
        const auto it = into.find(key);
        if (value.is_null()) {
            if (it == into.end()) into[key] = nullptr;
            continue;
        }
        if (rule == nullptr) {
            merge_plain(into, Json{{key, value}});
            continue;
        }
        Json stored = GW_TRY(typed(*rule, value));
        if (group == "Logging" && key == "LogComponents") {
            if (it == into.end() || it->is_null()) into[key] = Json::array();
            GW_CHECK(merge_components(into[key], stored));
        } else if (rule->kind == Kind::object && it != into.end() && it->is_object()) {
            merge_plain(*it, stored);
        } else {
            into[key] = std::move(stored);
        }
    }
    // The document spells this key twice; both always agree and the upper-case one decides.
    if (group == "ControlTablesSettings") {
        for (const char* key : {"HistoryTimeslotInMinutes", "historyTimeslotInMinutes"}) {
            const auto sent = from.find(key);
            if (sent == from.end() || sent->is_null()) continue;
            const Json minutes = into.at(key);
            into["historyTimeslotInMinutes"] = minutes;
            into["HistoryTimeslotInMinutes"] = minutes;
            break;
        }
    }
    return {};
}

// `from` over `into`, typed and checked key by key.
Result<> merge(Json& into, const Json& from) {
    for (const auto& [group, value] : from.items()) {
        const auto it = into.find(group);
        if (value.is_null()) {
            if (it == into.end()) into[group] = nullptr;
            continue;
        }
        if (group == "FailTaskWhenCleanTaskResourceFailed") {
            const auto flag = to_boolean(value);
            if (!flag) return invalid(group, "must be true or false");
            into[group] = *flag;
        } else if (known_group(group)) {
            if (!value.is_object()) return invalid(group, "must be an object");
            if (it == into.end() || it->is_null()) into[group] = Json::object();
            GW_CHECK(merge_group(group, into[group], value));
        } else {
            merge_plain(into, Json{{group, value}});
        }
    }
    return {};
}

Json defaults(MigrationType type) {
    Json document = Json::parse(kDefaults);
    for (const auto id : kLogComponents)
        document["Logging"]["LogComponents"].push_back(
            Json{{"Id", id}, {"Severity", "LOGGER_SEVERITY_DEFAULT"}});
    if (type == MigrationType::cdc) document["FullLoadSettings"]["TargetTablePrepMode"] = "DO_NOTHING";
    return document;
}

const Json& value_at(const Json& document, const char* group, const char* key) {
    static const Json kNull;
    const auto g = document.find(group);
    if (g == document.end() || !g->is_object()) return kNull;
    const auto k = g->find(key);
    return k == g->end() ? kNull : *k;
}
bool flag(const Json& document, const char* group, const char* key) {
    return to_boolean(value_at(document, group, key)).value_or(false);
}
std::int64_t number(const Json& document, const char* group, const char* key) {
    return to_integer(value_at(document, group, key)).value_or(0);
}
std::string text(const Json& document, const char* group, const char* key) {
    const Json& v = value_at(document, group, key);
    return v.is_string() ? v.get<std::string>() : "";
}

// ValidationSettings come back whole once one of their keys was sent.
void complete_validation(Json& document, MigrationType type) {
    const auto it = document.find("ValidationSettings");
    if (it == document.end() || !it->is_object()) return;
    Json whole = Json::parse(kValidationDefaults);
    if (type == MigrationType::cdc && flag(document, "ValidationSettings", "ValidationOnly"))
        whole["ValidationQueryCdcDelaySeconds"] = 180;
    merge_plain(whole, *it);
    *it = std::move(whole);
}

// Rules between keys. `sent` is what this call brought.
Result<> check(Json& document, const Json& sent, MigrationType type) {
    if (flag(document, "Logging", "EnableLogContext") && !flag(document, "Logging", "EnableLogging")) {
        if (flag(sent, "Logging", "EnableLogContext"))
            return fail(
                ErrorCode::invalid_argument,
                "The parameter Logging.EnableLogContext is not allowed when Logging.EnableLogging is not set "
                "to true.");
        document["Logging"]["EnableLogContext"] = false;
    }
    if (flag(document, "TargetMetadata", "SupportLobs") &&
        flag(document, "TargetMetadata", "FullLobMode") ==
            flag(document, "TargetMetadata", "LimitedSizeLobMode"))
        return invalid("TargetMetadata.SupportLobs",
                       "needs exactly one of FullLobMode and LimitedSizeLobMode");
    if (flag(document, "BeforeImageSettings", "EnableBeforeImage") &&
        text(document, "BeforeImageSettings", "FieldName").empty())
        return invalid("BeforeImageSettings.FieldName", "is required and must not be empty");
    if (number(document, "ChangeProcessingTuning", "BatchApplyTimeoutMax") <
        number(document, "ChangeProcessingTuning", "BatchApplyTimeoutMin"))
        return invalid("ChangeProcessingTuning.BatchApplyTimeoutMax",
                       "must not be less than BatchApplyTimeoutMin");
    if (flag(document, "ValidationSettings", "ValidationOnly")) {
        if (!flag(document, "ValidationSettings", "EnableValidation"))
            return invalid("ValidationSettings.ValidationOnly", "needs EnableValidation");
        if (text(document, "FullLoadSettings", "TargetTablePrepMode") != "DO_NOTHING")
            return invalid("ValidationSettings.ValidationOnly",
                           "needs FullLoadSettings.TargetTablePrepMode DO_NOTHING");
        if (type == MigrationType::full_load_and_cdc)
            return invalid("ValidationSettings.ValidationOnly", "needs a task of type full-load or cdc");
    }
    if (flag(document, "LoopbackPreventionSettings", "EnableLoopbackPrevention") &&
        flag(document, "TargetMetadata", "BatchApplyEnabled"))
        return invalid("LoopbackPreventionSettings.EnableLoopbackPrevention",
                       "cannot be used with TargetMetadata.BatchApplyEnabled");
    const bool schedule = !text(document, "ResyncSettings", "ResyncSchedule").empty();
    const bool time = !value_at(document, "ResyncSettings", "MaxResyncTime").is_null();
    if (type == MigrationType::full_load) {
        if (schedule) return invalid("ResyncSettings.ResyncSchedule", "is not allowed for a full-load task");
        if (time) return invalid("ResyncSettings.MaxResyncTime", "is not allowed for a full-load task");
    } else if (flag(document, "ResyncSettings", "EnableResync")) {
        if (!schedule) return invalid("ResyncSettings.ResyncSchedule", "is required");
        if (!time) return invalid("ResyncSettings.MaxResyncTime", "is required");
    }
    return {};
}

std::string dump(const Json& document) { return document.dump(); }

struct InactiveFlag {
    const char* group;
    const char* key;
    bool refused_value;
    const char* reason;
};
constexpr InactiveFlag kRefused[] = {
    {"ValidationSettings", "EnableValidation", true, "data validation is not available in godwit yet"},
    {"BeforeImageSettings", "EnableBeforeImage", true, "before images are not available in godwit yet"},
    {"LoopbackPreventionSettings", "EnableLoopbackPrevention", true,
     "loopback prevention is not available in godwit yet"},
    {"ResyncSettings", "EnableResync", true, "data resync is not available in godwit yet"},
    {"TargetMetadata", "SupportLobs", false, "godwit cannot leave out LOB columns yet; it copies them whole"},
};

}  // namespace

Result<std::string> merge_settings(MigrationType type, const std::string& user_json) {
    const Json user = GW_TRY(parse_object(user_json));
    Json document = defaults(type);
    for (const char* key : {"CloudWatchLogGroup", "CloudWatchLogStream"})
        if (!value_at(user, "Logging", key).is_null())
            return fail(ErrorCode::invalid_argument,
                        "Task Settings CloudWatchLogGroup or CloudWatchLogStream cannot be set on create.");
    GW_CHECK(merge(document, user));
    complete_validation(document, type);
    GW_CHECK(check(document, user, type));
    return dump(document);
}

Result<std::string> modify_settings(MigrationType type, const std::string& stored_json,
                                    const std::string& change_json) {
    Json document = GW_TRY(parse_object(stored_json));
    Json change = GW_TRY(parse_object(change_json));
    const bool validation_only = flag(document, "ValidationSettings", "ValidationOnly");
    if (const auto logging = change.find("Logging"); logging != change.end() && logging->is_object()) {
        logging->erase("CloudWatchLogGroup");  // read-only: godwit fills them in
        logging->erase("CloudWatchLogStream");
    }
    GW_CHECK(merge(document, change));
    if (flag(document, "ValidationSettings", "ValidationOnly") != validation_only)
        return invalid("ValidationSettings.ValidationOnly", "cannot be changed after the task was created");
    complete_validation(document, type);
    GW_CHECK(check(document, change, type));
    return dump(document);
}

Result<std::string> merge_user_document(const std::string& user_json, const std::string& change_json) {
    Json document = GW_TRY(parse_object(user_json));
    const Json change = GW_TRY(parse_object(change_json));
    GW_CHECK(merge(document, change));
    return dump(document);
}

bool only_log_severities(const std::string& change_json) {
    const auto change = parse_object(change_json);
    if (!change) return false;
    bool severities = false;
    for (const auto& [group, value] : change->items()) {
        if (value.is_null()) continue;
        if (group != "Logging" || !value.is_object()) return false;
        for (const auto& [key, inner] : value.items()) {
            if (inner.is_null()) continue;
            if (key != "LogComponents") return false;
            severities = true;
        }
    }
    return severities;
}

Result<> refuse_inactive(const std::string& merged_json, const std::string& user_json) {
    const Json merged = GW_TRY(parse_object(merged_json));
    const Json user = GW_TRY(parse_object(user_json));
    for (const auto& refused : kRefused) {
        const Json& value = value_at(merged, refused.group, refused.key);
        if (!value.is_null() && to_boolean(value) == refused.refused_value)
            return invalid(fmt::format("{}.{}", refused.group, refused.key), refused.reason);
    }
    for (const char* key : {"CharacterReplacements", "CharacterSetSupport"}) {
        for (const Json* document : {&merged, &user}) {
            const Json& value = value_at(*document, "CharacterSetSettings", key);
            if (!value.is_null() && !value.empty())
                return invalid(fmt::format("CharacterSetSettings.{}", key),
                               "character substitution is not available in godwit yet");
        }
    }
    return {};
}

std::vector<std::string> inactive_warnings(const std::string& merged_json) {
    std::vector<std::string> out;
    const auto parsed = parse_object(merged_json);
    if (!parsed) return out;
    const Json& document = *parsed;
    const Json normal = defaults(MigrationType::full_load);
    const auto warn = [&](const char* group, const char* key, std::string_view why) {
        const Json& value = value_at(document, group, key);
        if (!value.is_null() && value != value_at(normal, group, key))
            out.push_back(fmt::format("{}.{} = {} has no effect: {}", group, key, value.dump(), why));
    };
    warn("TargetMetadata", "BatchApplyEnabled",
         "godwit joins changes into large statements by itself; every transaction is applied whole");
    for (const char* key : {"FullLobMode", "LobChunkSize", "LobMaxSize", "InlineLobMaxSize"})
        warn("TargetMetadata", key, "godwit copies large values whole in every mode");
    for (const char* key :
         {"ParallelLoadThreads", "ParallelLoadBufferSize", "ParallelLoadQueuesPerThread",
          "ParallelApplyThreads", "ParallelApplyBufferSize", "ParallelApplyQueuesPerThread"})
        warn("TargetMetadata", key, "it does not apply to this target");
    warn("TargetMetadata", "LoadMaxFileSize", "godwit loads without intermediate files");
    for (const char* key : {"StatusTableEnabled", "SuspendedTablesTableEnabled", "HistoryTableEnabled",
                            "FullLoadExceptionTableEnabled"})
        warn("ControlTablesSettings", key, "this control table is not written yet");
    for (const char* key : {"StreamBufferCount", "StreamBufferSizeInMB", "CtrlStreamBufferSizeInMB"})
        warn("StreamBufferSettings", key, "godwit sizes its buffers by the task's memory");
    for (const char* key :
         {"DataErrorEscalationCount", "DataErrorEscalationPolicy", "DataTruncationErrorPolicy",
          "DataMaskingErrorPolicy", "EventErrorPolicy", "ApplyErrorEscalationPolicy",
          "ApplyErrorEscalationCount", "TableErrorEscalationCount", "FullLoadIgnoreConflicts"})
        warn("ErrorBehavior", key, "godwit does not act on it yet");
    warn("FullLoadSettings", "CommitRate", "rows travel in slices, each committed whole");
    warn("FullLoadSettings", "CreatePkAfterFullLoad", "keys are always built after the rows");
    for (const char* key :
         {"CommitTimeout", "MinTransactionSize", "MemoryLimitTotal", "StatementCacheSize", "MemoryKeepTime",
          "RecoveryTimeout", "BatchApplyTimeoutMin", "BatchApplyTimeoutMax", "BatchApplyMemoryLimit",
          "BatchSplitSize", "BatchApplyPreserveTransaction"})
        warn("ChangeProcessingTuning", key, "godwit paces itself and keeps within the task's memory");
    if (const auto it = document.find("FailTaskWhenCleanTaskResourceFailed");
        it != document.end() && to_boolean(*it).value_or(false))
        out.emplace_back(
            "FailTaskWhenCleanTaskResourceFailed = true has no effect: godwit does not act on it yet");
    warn("Logging", "EnableLogContext", "godwit does not act on it yet");
    if (flag(document, "TTSettings", "EnableTT"))
        out.emplace_back("TTSettings.EnableTT = true has no effect: time travel is not available in godwit");
    if (const auto it = document.find("PostProcessingRules"); it != document.end() && !it->is_null())
        out.emplace_back("PostProcessingRules has no effect: godwit does not act on it yet");
    for (const auto& [group, value] : document.items()) {
        if (group == "PostProcessingRules" || group == "FailTaskWhenCleanTaskResourceFailed") continue;
        if (!known_group(group)) {
            if (!value.is_null())
                out.push_back(fmt::format("{} has no effect: godwit does not know it", group));
            continue;
        }
        if (!value.is_object()) continue;
        for (const auto& [key, inner] : value.items())
            if (find_rule(group, key) == nullptr && !inner.is_null())
                out.push_back(fmt::format("{}.{} has no effect: godwit does not know it", group, key));
    }
    return out;
}

namespace {

ConflictAction to_action(std::string_view name) {
    if (name == "IGNORE_RECORD") return ConflictAction::ignore;
    if (name == "SUSPEND_TABLE") return ConflictAction::suspend_table;
    if (name == "STOP_TASK") return ConflictAction::stop_task;
    if (name == "INSERT_RECORD" || name == "UPDATE_RECORD") return ConflictAction::overwrite;
    return ConflictAction::log;
}

}  // namespace

Result<Settings> read_settings(const std::string& merged_json) {
    // Merged once more: a document stored by an older godwit lacks newer keys.
    const Json stored = GW_TRY(parse_object(merged_json));
    Json document = defaults(MigrationType::full_load);
    GW_CHECK(merge(document, stored));

    Settings s;
    const auto n32 = [&](const char* group, const char* key) {
        return static_cast<std::uint32_t>(number(document, group, key));
    };
    s.target_schema = text(document, "TargetMetadata", "TargetSchema");
    s.recovery_table = flag(document, "TargetMetadata", "TaskRecoveryTableEnabled");
    s.control_schema = text(document, "ControlTablesSettings", "ControlSchema");

    const std::string prep = text(document, "FullLoadSettings", "TargetTablePrepMode");
    s.prep = prep == "DO_NOTHING"             ? PrepMode::do_nothing
             : prep == "TRUNCATE_BEFORE_LOAD" ? PrepMode::truncate
                                              : PrepMode::drop_and_create;
    s.create_pk_after_full_load = flag(document, "FullLoadSettings", "CreatePkAfterFullLoad");
    s.stop_cached_applied = flag(document, "FullLoadSettings", "StopTaskCachedChangesApplied");
    s.stop_cached_not_applied = flag(document, "FullLoadSettings", "StopTaskCachedChangesNotApplied");
    s.full_load_subtasks_max = static_cast<int>(number(document, "FullLoadSettings", "MaxFullLoadSubTasks"));
    s.transaction_consistency_timeout_s = n32("FullLoadSettings", "TransactionConsistencyTimeout");
    s.commit_rate = n32("FullLoadSettings", "CommitRate");

    s.commit_timeout_s = n32("ChangeProcessingTuning", "CommitTimeout");
    s.min_transaction_size = n32("ChangeProcessingTuning", "MinTransactionSize");
    s.memory_limit_mb = n32("ChangeProcessingTuning", "MemoryLimitTotal");
    s.handle_dropped = flag(document, "ChangeProcessingDdlHandlingPolicy", "HandleSourceTableDropped");
    s.handle_truncated = flag(document, "ChangeProcessingDdlHandlingPolicy", "HandleSourceTableTruncated");
    s.handle_altered = flag(document, "ChangeProcessingDdlHandlingPolicy", "HandleSourceTableAltered");

    constexpr const char* kErrors = "ErrorBehavior";
    s.fail_on_no_tables = flag(document, kErrors, "FailOnNoTablesCaptured");
    s.fail_on_truncation_ddl = flag(document, kErrors, "ApplyErrorFailOnTruncationDdl");
    s.full_load_ignore_conflicts = flag(document, kErrors, "FullLoadIgnoreConflicts");
    s.conflicts.insert_exists = to_action(text(document, kErrors, "ApplyErrorInsertPolicy"));
    s.conflicts.update_missing = to_action(text(document, kErrors, "ApplyErrorUpdatePolicy"));
    s.conflicts.delete_missing = to_action(text(document, kErrors, "ApplyErrorDeletePolicy"));
    s.conflicts.data_error = to_action(text(document, kErrors, "DataErrorPolicy"));
    s.apply_escalation_count = n32(kErrors, "ApplyErrorEscalationCount");
    s.apply_escalation = to_action(text(document, kErrors, "ApplyErrorEscalationPolicy"));
    s.table_error_stops_task = text(document, kErrors, "TableErrorPolicy") == "STOP_TASK";
    s.table_escalation_count = n32(kErrors, "TableErrorEscalationCount");
    s.recoverable_count = number(document, kErrors, "RecoverableErrorCount");
    s.recoverable_interval_s = number(document, kErrors, "RecoverableErrorInterval");
    s.recoverable_throttling_max_s = number(document, kErrors, "RecoverableErrorThrottlingMax");
    s.recoverable_throttling = flag(document, kErrors, "RecoverableErrorThrottling");
    s.recoverable_stop_after_max = flag(document, kErrors, "RecoverableErrorStopRetryAfterThrottlingMax");

    s.fail_when_clean_failed = document.at("FailTaskWhenCleanTaskResourceFailed").get<bool>();
    s.logging = flag(document, "Logging", "EnableLogging");
    for (const Json& component : document.at("Logging").at("LogComponents")) {
        const SeverityName* severity = find_severity(component.at("Severity").get_ref<const std::string&>());
        s.log_levels[component.at("Id").get<std::string>()] =
            severity == nullptr ? Severity::info : severity->severity;
    }
    return s;
}

}  // namespace godwit::mapping
