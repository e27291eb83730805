// The table of operations: which are answered, and by which method.

#include <map>

#include "api/service.h"

namespace godwit::api {

struct OperationTable {
    using Handler = Answer<std::string> (*)(Service&, Call&, const std::string& body);

    template <auto Method>
    struct Invoke;
    template <class In, class Out, Answer<Out> (Service::*Method)(Call&, const In&)>
    struct Invoke<Method> {
        static Answer<std::string> call(Service& service, Call& call, const std::string& body) {
            In in;
            GW_TRY(decode_request(shape_of(&in), &in, body));
            return encode(GW_TRY((service.*Method)(call, in)));
        }
    };

    static const std::map<std::string, Handler, std::less<>>& handlers() {
        static const std::map<std::string, Handler, std::less<>> table = {
            {"CreateReplicationInstance", &Invoke<&Service::create_instance>::call},
            {"ModifyReplicationInstance", &Invoke<&Service::modify_instance>::call},
            {"DeleteReplicationInstance", &Invoke<&Service::delete_instance>::call},
            {"RebootReplicationInstance", &Invoke<&Service::reboot_instance>::call},
            {"DescribeReplicationInstances", &Invoke<&Service::describe_instances>::call},
            {"CreateReplicationSubnetGroup", &Invoke<&Service::create_subnet_group>::call},
            {"ModifyReplicationSubnetGroup", &Invoke<&Service::modify_subnet_group>::call},
            {"DeleteReplicationSubnetGroup", &Invoke<&Service::delete_subnet_group>::call},
            {"DescribeReplicationSubnetGroups", &Invoke<&Service::describe_subnet_groups>::call},
            {"DescribeOrderableReplicationInstances", &Invoke<&Service::describe_orderable>::call},
            {"DescribeEngineVersions", &Invoke<&Service::describe_engine_versions>::call},
            {"DescribeReplicationInstanceTaskLogs", &Invoke<&Service::describe_task_logs>::call},
            {"DescribePendingMaintenanceActions", &Invoke<&Service::describe_maintenance>::call},
            {"ApplyPendingMaintenanceAction", &Invoke<&Service::apply_maintenance>::call},
            {"DescribeAccountAttributes", &Invoke<&Service::describe_account>::call},
            {"CreateEndpoint", &Invoke<&Service::create_endpoint>::call},
            {"ModifyEndpoint", &Invoke<&Service::modify_endpoint>::call},
            {"DeleteEndpoint", &Invoke<&Service::delete_endpoint>::call},
            {"DescribeEndpoints", &Invoke<&Service::describe_endpoints>::call},
            {"DescribeEndpointTypes", &Invoke<&Service::describe_endpoint_types>::call},
            {"DescribeEndpointSettings", &Invoke<&Service::describe_endpoint_settings>::call},
            {"TestConnection", &Invoke<&Service::test_connection>::call},
            {"DeleteConnection", &Invoke<&Service::delete_connection>::call},
            {"DescribeConnections", &Invoke<&Service::describe_connections>::call},
            {"RefreshSchemas", &Invoke<&Service::refresh_schemas>::call},
            {"DescribeRefreshSchemasStatus", &Invoke<&Service::describe_refresh>::call},
            {"DescribeSchemas", &Invoke<&Service::describe_schemas>::call},
            {"CreateReplicationTask", &Invoke<&Service::create_task>::call},
            {"ModifyReplicationTask", &Invoke<&Service::modify_task>::call},
            {"StartReplicationTask", &Invoke<&Service::start_task>::call},
            {"StopReplicationTask", &Invoke<&Service::stop_task>::call},
            {"DeleteReplicationTask", &Invoke<&Service::delete_task>::call},
            {"MoveReplicationTask", &Invoke<&Service::move_task>::call},
            {"DescribeReplicationTasks", &Invoke<&Service::describe_tasks>::call},
            {"DescribeTableStatistics", &Invoke<&Service::describe_table_statistics>::call},
            {"ReloadTables", &Invoke<&Service::reload_tables>::call},
            {"AddTagsToResource", &Invoke<&Service::add_tags>::call},
            {"RemoveTagsFromResource", &Invoke<&Service::remove_tags>::call},
            {"ListTagsForResource", &Invoke<&Service::list_tags>::call},
            {"ImportCertificate", &Invoke<&Service::import_certificate>::call},
            {"DeleteCertificate", &Invoke<&Service::delete_certificate>::call},
            {"DescribeCertificates", &Invoke<&Service::describe_certificates>::call},
            {"DescribeEvents", &Invoke<&Service::describe_events>::call},
            {"DescribeEventCategories", &Invoke<&Service::describe_event_categories>::call},
        };
        return table;
    }
};

namespace {

// Lists of resources that nobody can have made: empty is the truth.
const std::map<std::string_view, std::string_view>& empty_lists() {
    static const std::map<std::string_view, std::string_view> table = {
        {"DescribeDataMigrations", R"({"DataMigrations":[]})"},
        {"DescribeDataProviders", R"({"DataProviders":[]})"},
        {"DescribeInstanceProfiles", R"({"InstanceProfiles":[]})"},
        {"DescribeMigrationProjects", R"({"MigrationProjects":[]})"},
    };
    return table;
}

constexpr std::string_view kNotYet[] = {
    // assessments
    "StartReplicationTaskAssessmentRun", "CancelReplicationTaskAssessmentRun",
    "DeleteReplicationTaskAssessmentRun", "DescribeReplicationTaskAssessmentRuns",
    "DescribeReplicationTaskIndividualAssessments", "DescribeReplicationTaskAssessmentResults",
    "DescribeApplicableIndividualAssessments", "StartReplicationTaskAssessment",
    // serverless
    "CreateReplicationConfig", "ModifyReplicationConfig", "DeleteReplicationConfig", "StartReplication",
    "StopReplication", "DescribeReplicationConfigs", "DescribeReplications",
    "DescribeReplicationTableStatistics", "ReloadReplicationTables",
    // event subscriptions: nothing would be delivered
    "CreateEventSubscription", "ModifyEventSubscription", "DeleteEventSubscription",
    "DescribeEventSubscriptions", "UpdateSubscriptionsToEventBridge",
    // schema conversion and homogeneous migrations
    "CreateDataMigration", "ModifyDataMigration", "DeleteDataMigration", "StartDataMigration",
    "StopDataMigration", "CreateDataProvider", "ModifyDataProvider", "DeleteDataProvider",
    "CreateInstanceProfile", "ModifyInstanceProfile", "DeleteInstanceProfile", "CreateMigrationProject",
    "ModifyMigrationProject", "DeleteMigrationProject", "DescribeConversionConfiguration",
    "ModifyConversionConfiguration", "DescribeExtensionPackAssociations", "StartExtensionPackAssociation",
    "DescribeMetadataModel", "DescribeMetadataModelAssessments", "DescribeMetadataModelChildren",
    "DescribeMetadataModelConversions", "DescribeMetadataModelCreations",
    "DescribeMetadataModelExportsAsScript", "DescribeMetadataModelExportsToTarget",
    "DescribeMetadataModelImports", "StartMetadataModelAssessment", "StartMetadataModelConversion",
    "StartMetadataModelCreation", "StartMetadataModelExportAsScript", "StartMetadataModelExportToTarget",
    "StartMetadataModelImport", "CancelMetadataModelConversion", "CancelMetadataModelCreation",
    "ExportMetadataModelAssessment", "GetTargetSelectionRules"};

constexpr std::string_view kFleetAdvisor[] = {"CreateFleetAdvisorCollector",
                                              "DeleteFleetAdvisorCollector",
                                              "DeleteFleetAdvisorDatabases",
                                              "DescribeFleetAdvisorCollectors",
                                              "DescribeFleetAdvisorDatabases",
                                              "DescribeFleetAdvisorLsaAnalysis",
                                              "DescribeFleetAdvisorSchemaObjectSummary",
                                              "DescribeFleetAdvisorSchemas",
                                              "RunFleetAdvisorLsaAnalysis",
                                              "StartRecommendations",
                                              "BatchStartRecommendations",
                                              "DescribeRecommendations",
                                              "DescribeRecommendationLimitations"};

template <std::size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
    for (const auto one : names)
        if (one == name) return true;
    return false;
}

}  // namespace

Answer<std::string> Service::call(const std::string& operation, const Caller& caller,
                                  const std::string& body) {
    const auto& handlers = OperationTable::handlers();
    if (const auto at = handlers.find(operation); at != handlers.end()) {
        std::unique_lock lock(mutex_);
        Call call{caller, caller.account + "/" + caller.region, lock};
        return at->second(*this, call, body);
    }
    if (const auto at = empty_lists().find(operation); at != empty_lists().end())
        return std::string(at->second);
    if (among(kNotYet, operation))
        return fault("InvalidOperationFault", operation + " is not implemented by godwit yet");
    if (among(kFleetAdvisor, operation))
        return fault("AccessDeniedFault", "Fleet Advisor is not available in godwit");
    return fault("UnknownOperationException", "Unknown operation: " + shortened(operation));
}

}  // namespace godwit::api
