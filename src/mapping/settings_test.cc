#include "mapping/settings.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace godwit::mapping {
namespace {

using Json = nlohmann::ordered_json;

Json merged(const std::string& user, MigrationType type = MigrationType::full_load_and_cdc) {
    const auto out = merge_settings(type, user);
    EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().message);
    return out ? Json::parse(*out) : Json();
}
Json modified(const Json& stored, const std::string& change,
              MigrationType type = MigrationType::full_load_and_cdc) {
    const auto out = modify_settings(type, stored.dump(), change);
    EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().message);
    return out ? Json::parse(*out) : Json();
}
std::string refusal(const std::string& user, MigrationType type = MigrationType::full_load_and_cdc) {
    const auto out = merge_settings(type, user);
    return out ? "accepted" : out.error().message;
}
std::string inactive(const std::string& user) {
    const auto document = merge_settings(MigrationType::full_load_and_cdc, user);
    if (!document) return document.error().message;
    const auto out = refuse_inactive(*document, user);
    return out ? "accepted" : out.error().message;
}

// The document that a task created without settings returns, in the order of the guide.
TEST(Settings, DefaultsAreWhole) {
    const Json document = merged("{}");
    std::vector<std::string> groups;
    for (const auto& [key, value] : document.items()) groups.push_back(key);
    EXPECT_EQ(groups,
              (std::vector<std::string>{
                  "Logging", "StreamBufferSettings", "ErrorBehavior", "TTSettings", "FullLoadSettings",
                  "TargetMetadata", "BeforeImageSettings", "ControlTablesSettings",
                  "LoopbackPreventionSettings", "CharacterSetSettings", "FailTaskWhenCleanTaskResourceFailed",
                  "ChangeProcessingTuning", "ChangeProcessingDdlHandlingPolicy", "PostProcessingRules"}));
    const Json& components = document["Logging"]["LogComponents"];
    ASSERT_EQ(components.size(), 19U);
    EXPECT_EQ(components[0], (Json{{"Id", "DATA_STRUCTURE"}, {"Severity", "LOGGER_SEVERITY_DEFAULT"}}));
    EXPECT_EQ(components[18]["Id"], "VALIDATOR_EXT");
    EXPECT_EQ(document["ErrorBehavior"].size(), 23U);
    EXPECT_EQ(document["TargetMetadata"].size(), 16U);
    EXPECT_EQ(document["ChangeProcessingTuning"].size(), 11U);
    EXPECT_TRUE(document["Logging"]["CloudWatchLogGroup"].is_null());
    EXPECT_EQ(document["FullLoadSettings"]["TargetTablePrepMode"], "DROP_AND_CREATE");
    EXPECT_FALSE(document.contains("ValidationSettings"));
    EXPECT_EQ(merged("{}", MigrationType::cdc)["FullLoadSettings"]["TargetTablePrepMode"], "DO_NOTHING");
    EXPECT_EQ(merged("{}", MigrationType::full_load)["FullLoadSettings"]["TargetTablePrepMode"],
              "DROP_AND_CREATE");
}

TEST(Settings, MergesKeyByKeyAndComponentsById) {
    const Json document = merged(
        R"({"Logging":{"EnableLogging":true,"LogComponents":[{"Id":"DATA_STRUCTURE","Severity":"LOGGER_SEVERITY_WARNING"}]},
            "FullLoadSettings":{"CommitRate":50}})");
    ASSERT_EQ(document["Logging"]["LogComponents"].size(), 19U);
    EXPECT_EQ(document["Logging"]["LogComponents"][0]["Severity"], "LOGGER_SEVERITY_WARNING");
    EXPECT_EQ(document["Logging"]["LogComponents"][1]["Severity"], "LOGGER_SEVERITY_DEFAULT");
    EXPECT_EQ(document["FullLoadSettings"]["CommitRate"], 50);
    EXPECT_EQ(document["FullLoadSettings"]["MaxFullLoadSubTasks"], 8);

    Json expected = document;
    expected["FullLoadSettings"]["CommitRate"] = 70;
    EXPECT_EQ(modified(document, R"({"FullLoadSettings":{"CommitRate":70}})"), expected);
}

TEST(Settings, ValidatorIsAnotherNameOfValidatorExt) {
    const Json document =
        merged(R"({"Logging":{"LogComponents":[{"Id":"VALIDATOR","Severity":"LOGGER_SEVERITY_DEBUG"}]}})");
    EXPECT_EQ(document["Logging"]["LogComponents"].size(), 19U);
    EXPECT_EQ(document["Logging"]["LogComponents"][18]["Severity"], "LOGGER_SEVERITY_DEBUG");
}

TEST(Settings, NullKeepsTheDefault) {
    EXPECT_EQ(merged(R"({"Logging":null,"FullLoadSettings":{"CommitRate":null},"TTSettings":null,
                         "ErrorBehavior":{"EventErrorPolicy":null}})"),
              merged("{}"));
}

TEST(Settings, TypesNumbersAndBooleansThatCameAsStrings) {
    const Json document = merged(
        R"({"FullLoadSettings":{"CommitRate":"500","CreatePkAfterFullLoad":"true"},"ErrorBehavior":{"RecoverableErrorCount":"-1"},
            "TargetMetadata":{"LobMaxSize":64.0},"FailTaskWhenCleanTaskResourceFailed":"True"})");
    EXPECT_EQ(document["FullLoadSettings"]["CommitRate"].dump(), "500");
    EXPECT_EQ(document["FullLoadSettings"]["CreatePkAfterFullLoad"].dump(), "true");
    EXPECT_EQ(document["ErrorBehavior"]["RecoverableErrorCount"].dump(), "-1");
    EXPECT_EQ(document["TargetMetadata"]["LobMaxSize"].dump(), "64");
    EXPECT_EQ(document["FailTaskWhenCleanTaskResourceFailed"].dump(), "true");
}

// Dropping what we do not know would give Terraform a difference that never goes away.
TEST(Settings, KeepsUnknownKeysAndOldForms) {
    const Json document = merged(
        R"({"NewGroup":{"A":[1]},"FullLoadSettings":{"NewKey":"x"},
            "TTSettings":{"TTS3Settings":null,"TTRecordSettings":null,"EnableTT":false}})");
    EXPECT_EQ(document["NewGroup"]["A"][0], 1);
    EXPECT_EQ(document["FullLoadSettings"]["NewKey"], "x");
    EXPECT_EQ(document["TTSettings"].dump(),
              R"({"TTS3Settings":null,"TTRecordSettings":null,"EnableTT":false})");
    EXPECT_EQ(inactive_warnings(document.dump()).size(), 2U);
}

TEST(Settings, BothSpellingsOfHistoryTimeslotAgree) {
    const auto both = [](const std::string& group) {
        const Json document = merged(R"({"ControlTablesSettings":)" + group + "}");
        return std::pair{document["ControlTablesSettings"]["historyTimeslotInMinutes"].get<int>(),
                         document["ControlTablesSettings"]["HistoryTimeslotInMinutes"].get<int>()};
    };
    EXPECT_EQ(both(R"({"historyTimeslotInMinutes":7})"), std::pair(7, 7));
    EXPECT_EQ(both(R"({"HistoryTimeslotInMinutes":8})"), std::pair(8, 8));
    EXPECT_EQ(both(R"({"HistoryTimeslotInMinutes":8,"historyTimeslotInMinutes":7})"), std::pair(8, 8));
    EXPECT_EQ(both(R"({"HistoryTimeslotInMinutes":null,"historyTimeslotInMinutes":7})"), std::pair(7, 7));
}

TEST(Settings, ValidationComesBackWhole) {
    const Json document = merged(R"({"ValidationSettings":{"ThreadCount":3}})");
    EXPECT_EQ(document["ValidationSettings"].size(), 17U);
    EXPECT_EQ(document["ValidationSettings"]["ThreadCount"], 3);
    EXPECT_EQ(document["ValidationSettings"]["FailureMaxCount"], 10000);
    EXPECT_EQ(document["ValidationSettings"]["TableFailureMaxCount"], 1000);
    const Json only = merged(R"({"ValidationSettings":{"EnableValidation":true,"ValidationOnly":true}})",
                             MigrationType::cdc);
    EXPECT_EQ(only["ValidationSettings"]["ValidationQueryCdcDelaySeconds"], 180);
}

TEST(Settings, RefusesWhatIsNoDocument) {
    for (const char* text : {"", "[]", "null", "{", "\"x\"", "7"})
        EXPECT_EQ(refusal(text), "Invalid task settings JSON") << text;
}

// Each range at its limits and one beyond.
TEST(Settings, RangesAndChoices) {
    const auto with = [](const char* group, const char* key, const Json& value) {
        return refusal(Json{{group, {{key, value}}}}.dump());
    };
    struct Range {
        const char* group;
        const char* key;
        int low, high;
    };
    for (const auto& r : {Range{"FullLoadSettings", "CommitRate", 1, 50000},
                          Range{"FullLoadSettings", "MaxFullLoadSubTasks", 1, 49},
                          Range{"ChangeProcessingTuning", "StatementCacheSize", 0, 200},
                          Range{"StreamBufferSettings", "CtrlStreamBufferSizeInMB", 1, 8},
                          Range{"TargetMetadata", "LobMaxSize", 0, 102400},
                          Range{"TargetMetadata", "ParallelApplyThreads", 0, 32}}) {
        EXPECT_EQ(with(r.group, r.key, r.low), "accepted") << r.key;
        EXPECT_EQ(with(r.group, r.key, r.high), "accepted") << r.key;
        EXPECT_TRUE(with(r.group, r.key, r.low - 1).starts_with("Invalid task settings JSON")) << r.key;
        EXPECT_TRUE(with(r.group, r.key, r.high + 1).starts_with("Invalid task settings JSON")) << r.key;
    }
    EXPECT_EQ(with("FullLoadSettings", "CommitRate", 50001),
              "Invalid task settings JSON: FullLoadSettings.CommitRate must be from 1 to 50000, not 50001");
    EXPECT_EQ(with("FullLoadSettings", "TargetTablePrepMode", "DROP"),
              "Invalid task settings JSON: FullLoadSettings.TargetTablePrepMode must be one of DO_NOTHING, "
              "DROP_AND_CREATE, TRUNCATE_BEFORE_LOAD");
    for (const Json& wrong :
         {Json(true), Json("5x"), Json(1.5), Json::array(), Json(18446744073709551615ULL), Json(1e300)})
        EXPECT_EQ(with("FullLoadSettings", "CommitRate", wrong),
                  "Invalid task settings JSON: FullLoadSettings.CommitRate must be a whole number")
            << wrong;
    EXPECT_NE(refusal(R"({"FullLoadSettings":[]})"), "accepted");
    EXPECT_NE(refusal(R"({"Logging":{"LogComponents":[{"Id":"IO","Severity":"LOUD"}]}})"), "accepted");
    EXPECT_NE(refusal(R"({"Logging":{"LogComponents":["IO"]}})"), "accepted");
}

TEST(Settings, LogNamesAreReadOnly) {
    EXPECT_EQ(refusal(R"({"Logging":{"CloudWatchLogGroup":"g"}})"),
              "Task Settings CloudWatchLogGroup or CloudWatchLogStream cannot be set on create.");
    EXPECT_EQ(refusal(R"({"Logging":{"CloudWatchLogGroup":null,"CloudWatchLogStream":null}})"), "accepted");
    // on modify they are ignored, so that a described document may be sent back
    Json stored = merged("{}");
    stored["Logging"]["CloudWatchLogGroup"] = "dms-tasks-a";
    EXPECT_EQ(modified(stored, R"({"Logging":{"CloudWatchLogGroup":"other"}})"), stored);
}

TEST(Settings, LogContextNeedsLogging) {
    EXPECT_EQ(refusal(R"({"Logging":{"EnableLogContext":true}})"),
              "The parameter Logging.EnableLogContext is not allowed when Logging.EnableLogging is not set "
              "to true.");
    const Json stored = merged(R"({"Logging":{"EnableLogging":true,"EnableLogContext":true}})");
    EXPECT_EQ(stored["Logging"]["EnableLogContext"], true);
    EXPECT_EQ(modified(stored, R"({"Logging":{"EnableLogging":false}})")["Logging"]["EnableLogContext"],
              false);
}

TEST(Settings, RulesBetweenKeys) {
    const auto starts = [](const std::string& user, const std::string& place,
                           MigrationType type = MigrationType::full_load_and_cdc) {
        const std::string text = refusal(user, type);
        return text.starts_with("Invalid task settings JSON: " + place) ? "yes" : text;
    };
    EXPECT_EQ(starts(R"({"TargetMetadata":{"FullLobMode":true}})", "TargetMetadata.SupportLobs"), "yes");
    EXPECT_EQ(starts(R"({"TargetMetadata":{"LimitedSizeLobMode":false}})", "TargetMetadata.SupportLobs"),
              "yes");
    EXPECT_EQ(refusal(R"({"TargetMetadata":{"FullLobMode":true,"LimitedSizeLobMode":false}})"), "accepted");
    EXPECT_EQ(
        starts(R"({"BeforeImageSettings":{"EnableBeforeImage":true}})", "BeforeImageSettings.FieldName"),
        "yes");
    EXPECT_EQ(
        starts(R"({"ValidationSettings":{"ValidationOnly":true}})", "ValidationSettings.ValidationOnly"),
        "yes");
    EXPECT_EQ(starts(R"({"ValidationSettings":{"ValidationOnly":true,"EnableValidation":true}})",
                     "ValidationSettings.ValidationOnly", MigrationType::full_load),
              "yes");
    EXPECT_EQ(
        starts(
            R"({"LoopbackPreventionSettings":{"EnableLoopbackPrevention":true,"SourceSchema":"a","TargetSchema":"b"},
                         "TargetMetadata":{"BatchApplyEnabled":true}})",
            "LoopbackPreventionSettings"),
        "yes");
    EXPECT_EQ(starts(R"({"ResyncSettings":{"EnableResync":true}})", "ResyncSettings.ResyncSchedule"), "yes");
    EXPECT_EQ(starts(R"({"ResyncSettings":{"MaxResyncTime":60}})", "ResyncSettings.MaxResyncTime",
                     MigrationType::full_load),
              "yes");
    EXPECT_EQ(starts(R"({"ChangeProcessingTuning":{"BatchApplyTimeoutMax":0}})",
                     "ChangeProcessingTuning.BatchApplyTimeoutMax"),
              "yes");
}

TEST(Settings, ValidationOnlyCannotBeModified) {
    const Json stored = merged("{}");
    const auto out =
        modify_settings(MigrationType::full_load, stored.dump(),
                        R"({"ValidationSettings":{"EnableValidation":true,"ValidationOnly":true}})");
    ASSERT_FALSE(out.has_value());
    EXPECT_EQ(out.error().message,
              "Invalid task settings JSON: ValidationSettings.ValidationOnly cannot be changed after the "
              "task was created");
}

TEST(Settings, UserDocumentIsMergedWithoutDefaults) {
    EXPECT_EQ(merge_user_document(R"({"FullLoadSettings":{"CommitRate":5}})",
                                  R"({"FullLoadSettings":{"MaxFullLoadSubTasks":"2"},"TTSettings":null})")
                  .value(),
              R"({"FullLoadSettings":{"CommitRate":5,"MaxFullLoadSubTasks":2},"TTSettings":null})");
}

TEST(Settings, OnlyLogSeverities) {
    EXPECT_TRUE(only_log_severities(
        R"({"Logging":{"LogComponents":[{"Id":"IO","Severity":"LOGGER_SEVERITY_INFO"}]}})"));
    EXPECT_TRUE(only_log_severities(
        R"({"TTSettings":null,"Logging":{"EnableLogging":null,"LogComponents":[{"Id":"IO","Severity":"LOGGER_SEVERITY_INFO"}]}})"));
    EXPECT_FALSE(only_log_severities(R"({"Logging":{"EnableLogging":true}})"));
    EXPECT_FALSE(only_log_severities(R"({"ChangeProcessingTuning":{"BatchSplitSize":1}})"));
    EXPECT_FALSE(only_log_severities("{}"));
    EXPECT_FALSE(only_log_severities("no json"));
}

// What would change data or promise a check is refused by name; what the user did not ask for never is.
TEST(Settings, InactiveSettings) {
    EXPECT_EQ(inactive("{}"), "accepted");
    EXPECT_EQ(inactive(R"({"ValidationSettings":{"EnableValidation":false,"ThreadCount":7}})"), "accepted");
    EXPECT_EQ(
        inactive(
            R"({"BeforeImageSettings":{"EnableBeforeImage":false},"CharacterSetSettings":{"CharacterReplacements":[]},
                           "LoopbackPreventionSettings":{"EnableLoopbackPrevention":false}})"),
        "accepted");
    EXPECT_EQ(
        inactive(R"({"TargetMetadata":{"FullLobMode":true,"LimitedSizeLobMode":false,"InlineLobMaxSize":4,
                           "LobMaxSize":1,"BatchApplyEnabled":true}})"),
        "accepted");
    EXPECT_EQ(
        inactive(R"({"ValidationSettings":{"EnableValidation":true}})"),
        "Invalid task settings JSON: ValidationSettings.EnableValidation data validation is not available in "
        "godwit yet");
    for (
        const char* user :
        {R"({"BeforeImageSettings":{"EnableBeforeImage":true,"FieldName":"b"}})",
         R"({"LoopbackPreventionSettings":{"EnableLoopbackPrevention":true}})",
         R"({"ResyncSettings":{"EnableResync":true,"ResyncSchedule":"0 0 * * *","MaxResyncTime":60}})",
         R"({"TargetMetadata":{"SupportLobs":false}})",
         R"({"CharacterSetSettings":{"CharacterReplacements":[{"SourceCharacterCodePoint":62,"TargetCharacterCodePoint":61}]}})",
         R"({"CharacterSetSettings":{"CharacterSetSupport":{"CharacterSet":"UTF-8"}}})"})
        EXPECT_TRUE(inactive(user).starts_with("Invalid task settings JSON: ")) << user << inactive(user);
    EXPECT_TRUE(inactive_warnings(merged("{}").dump()).empty());
    EXPECT_EQ(inactive_warnings(merged(R"({"TargetMetadata":{"LobMaxSize":1}})").dump()),
              (std::vector<std::string>{
                  "TargetMetadata.LobMaxSize = 1 has no effect: godwit copies large values whole "
                  "in every mode"}));
}

TEST(Settings, ReadForTheTask) {
    const auto plain = read_settings(merged("{}").dump());
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(plain->prep, PrepMode::drop_and_create);
    EXPECT_EQ(plain->commit_rate, 10000U);
    EXPECT_EQ(plain->conflicts.insert_exists, ConflictAction::log);
    EXPECT_EQ(plain->conflicts.delete_missing, ConflictAction::ignore);
    EXPECT_EQ(plain->recoverable_count, -1);
    EXPECT_TRUE(plain->fail_on_no_tables);
    EXPECT_EQ(plain->log_levels.size(), 19U);
    EXPECT_EQ(plain->log_levels.at("IO"), Severity::info);

    const auto set = read_settings(
        merged(R"({"FullLoadSettings":{"TargetTablePrepMode":"TRUNCATE_BEFORE_LOAD","MaxFullLoadSubTasks":2,
                   "StopTaskCachedChangesApplied":true},
                   "ErrorBehavior":{"ApplyErrorInsertPolicy":"INSERT_RECORD","ApplyErrorUpdatePolicy":"SUSPEND_TABLE",
                   "ApplyErrorDeletePolicy":"STOP_TASK","TableErrorPolicy":"STOP_TASK","FailOnNoTablesCaptured":false},
                   "TargetMetadata":{"TargetSchema":"dw"},"ControlTablesSettings":{"ControlSchema":"ctl"},
                   "Logging":{"EnableLogging":true,"LogComponents":[{"Id":"IO","Severity":"LOGGER_SEVERITY_DETAILED_DEBUG"}]}})")
            .dump());
    ASSERT_TRUE(set.has_value());
    EXPECT_EQ(set->prep, PrepMode::truncate);
    EXPECT_EQ(set->full_load_subtasks_max, 2);
    EXPECT_TRUE(set->stop_cached_applied);
    EXPECT_EQ(set->conflicts.insert_exists, ConflictAction::overwrite);
    EXPECT_EQ(set->conflicts.update_missing, ConflictAction::suspend_table);
    EXPECT_EQ(set->conflicts.delete_missing, ConflictAction::stop_task);
    EXPECT_TRUE(set->table_error_stops_task);
    EXPECT_FALSE(set->fail_on_no_tables);
    EXPECT_EQ(set->target_schema, "dw");
    EXPECT_EQ(set->control_schema, "ctl");
    EXPECT_TRUE(set->logging);
    EXPECT_EQ(set->log_levels.at("IO"), Severity::trace);
}

}  // namespace
}  // namespace godwit::mapping
