// Written by tools/gen_model.py; do not edit.
// clang-format off
#include "api/model.gen.h"

#include "api/shape_field.h"

namespace godwit::api::model {
namespace {

constexpr std::string_view kAuthMechanismValue[] = {"default", "mongodb_cr", "scram_sha_1"};
constexpr std::string_view kAuthTypeValue[] = {"no", "password"};
constexpr std::string_view kCannedAclForObjectsValue[] = {"none", "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"};
constexpr std::string_view kCharLengthSemantics[] = {"default", "char", "byte"};
constexpr std::string_view kCompressionTypeValue[] = {"none", "gzip"};
constexpr std::string_view kDataFormatValue[] = {"csv", "parquet"};
constexpr std::string_view kDatabaseMode[] = {"default", "babelfish"};
constexpr std::string_view kDatePartitionDelimiterValue[] = {"SLASH", "UNDERSCORE", "DASH", "NONE"};
constexpr std::string_view kDatePartitionSequenceValue[] = {"YYYYMMDD", "YYYYMMDDHH", "YYYYMM", "MMYYYYDD", "DDMMYYYY"};
constexpr std::string_view kDmsSslModeValue[] = {"none", "require", "verify-ca", "verify-full"};
constexpr std::string_view kEncodingTypeValue[] = {"plain", "plain-dictionary", "rle-dictionary"};
constexpr std::string_view kEncryptionModeValue[] = {"sse-s3", "sse-kms"};
constexpr std::string_view kEndpointSettingTypeValue[] = {"string", "boolean", "integer", "enum"};
constexpr std::string_view kKafkaSaslMechanism[] = {"scram-sha-512", "plain"};
constexpr std::string_view kKafkaSecurityProtocol[] = {"plaintext", "ssl-authentication", "ssl-encryption", "sasl-ssl"};
constexpr std::string_view kKafkaSslEndpointIdentificationAlgorithm[] = {"none", "https"};
constexpr std::string_view kLongVarcharMappingType[] = {"wstring", "clob", "nclob"};
constexpr std::string_view kMessageFormatValue[] = {"json", "json-unformatted"};
constexpr std::string_view kMigrationTypeValue[] = {"full-load", "cdc", "full-load-and-cdc"};
constexpr std::string_view kMySQLAuthenticationMethod[] = {"password", "iam"};
constexpr std::string_view kNestingLevelValue[] = {"none", "one"};
constexpr std::string_view kOracleAuthenticationMethod[] = {"password", "kerberos"};
constexpr std::string_view kParquetVersionValue[] = {"parquet-1-0", "parquet-2-0"};
constexpr std::string_view kPluginNameValue[] = {"no-preference", "test-decoding", "pglogical"};
constexpr std::string_view kPostgreSQLAuthenticationMethod[] = {"password", "iam"};
constexpr std::string_view kRedisAuthTypeValue[] = {"none", "auth-role", "auth-token"};
constexpr std::string_view kRefreshSchemasStatusTypeValue[] = {"successful", "failed", "refreshing"};
constexpr std::string_view kReleaseStatusValues[] = {"beta", "prod"};
constexpr std::string_view kReloadOptionValue[] = {"data-reload", "validate-only"};
constexpr std::string_view kReplicationEndpointTypeValue[] = {"source", "target"};
constexpr std::string_view kSafeguardPolicy[] = {"rely-on-sql-server-replication-agent", "exclusive-automatic-truncation", "shared-automatic-truncation"};
constexpr std::string_view kSourceType[] = {"replication-instance", "replication-task"};
constexpr std::string_view kSqlServerAuthenticationMethod[] = {"password", "kerberos"};
constexpr std::string_view kSslSecurityProtocolValue[] = {"plaintext", "ssl-encryption"};
constexpr std::string_view kStartReplicationTaskTypeValue[] = {"start-replication", "resume-processing", "reload-target"};
constexpr std::string_view kTargetDbType[] = {"specific-database", "multiple-databases"};
constexpr std::string_view kTlogAccessMode[] = {"BackupOnly", "PreferBackup", "PreferTlog", "TlogOnly"};

}  // namespace

const Shape& shape_of(const Tag*) {
    static constexpr Member members[] = {
        field<&Tag::key>("Key", 0),
        field<&Tag::value>("Value", 0),
        field<&Tag::resource_arn>("ResourceArn", 0),
    };
    static constexpr Shape shape{"Tag", members};
    return shape;
}

const Shape& shape_of(const KerberosAuthenticationSettings*) {
    static constexpr Member members[] = {
        field<&KerberosAuthenticationSettings::key_cache_secret_id>("KeyCacheSecretId", 0),
        field<&KerberosAuthenticationSettings::key_cache_secret_iam_arn>("KeyCacheSecretIamArn", 0),
        field<&KerberosAuthenticationSettings::krb5_file_contents>("Krb5FileContents", 0),
    };
    static constexpr Shape shape{"KerberosAuthenticationSettings", members};
    return shape;
}

const Shape& shape_of(const CreateReplicationInstanceMessage*) {
    static constexpr Member members[] = {
        field<&CreateReplicationInstanceMessage::replication_instance_identifier>("ReplicationInstanceIdentifier", kRequired),
        field<&CreateReplicationInstanceMessage::allocated_storage>("AllocatedStorage", kInt32),
        field<&CreateReplicationInstanceMessage::replication_instance_class>("ReplicationInstanceClass", kRequired, {}, 30),
        field<&CreateReplicationInstanceMessage::vpc_security_group_ids>("VpcSecurityGroupIds", 0),
        field<&CreateReplicationInstanceMessage::availability_zone>("AvailabilityZone", 0),
        field<&CreateReplicationInstanceMessage::replication_subnet_group_identifier>("ReplicationSubnetGroupIdentifier", 0),
        field<&CreateReplicationInstanceMessage::preferred_maintenance_window>("PreferredMaintenanceWindow", 0),
        field<&CreateReplicationInstanceMessage::multi_az>("MultiAZ", 0),
        field<&CreateReplicationInstanceMessage::engine_version>("EngineVersion", 0),
        field<&CreateReplicationInstanceMessage::auto_minor_version_upgrade>("AutoMinorVersionUpgrade", 0),
        field<&CreateReplicationInstanceMessage::tags>("Tags", 0),
        field<&CreateReplicationInstanceMessage::kms_key_id>("KmsKeyId", 0),
        field<&CreateReplicationInstanceMessage::publicly_accessible>("PubliclyAccessible", 0),
        field<&CreateReplicationInstanceMessage::dns_name_servers>("DnsNameServers", 0),
        field<&CreateReplicationInstanceMessage::resource_identifier>("ResourceIdentifier", 0),
        field<&CreateReplicationInstanceMessage::network_type>("NetworkType", 0),
        field<&CreateReplicationInstanceMessage::kerberos_authentication_settings>("KerberosAuthenticationSettings", 0),
    };
    static constexpr Shape shape{"CreateReplicationInstanceMessage", members};
    return shape;
}

const Shape& shape_of(const VpcSecurityGroupMembership*) {
    static constexpr Member members[] = {
        field<&VpcSecurityGroupMembership::vpc_security_group_id>("VpcSecurityGroupId", 0),
        field<&VpcSecurityGroupMembership::status>("Status", 0),
    };
    static constexpr Shape shape{"VpcSecurityGroupMembership", members};
    return shape;
}

const Shape& shape_of(const AvailabilityZone*) {
    static constexpr Member members[] = {
        field<&AvailabilityZone::name>("Name", 0),
    };
    static constexpr Shape shape{"AvailabilityZone", members};
    return shape;
}

const Shape& shape_of(const Subnet*) {
    static constexpr Member members[] = {
        field<&Subnet::subnet_identifier>("SubnetIdentifier", 0),
        field<&Subnet::subnet_availability_zone>("SubnetAvailabilityZone", 0),
        field<&Subnet::subnet_status>("SubnetStatus", 0),
    };
    static constexpr Shape shape{"Subnet", members};
    return shape;
}

const Shape& shape_of(const ReplicationSubnetGroup*) {
    static constexpr Member members[] = {
        field<&ReplicationSubnetGroup::replication_subnet_group_identifier>("ReplicationSubnetGroupIdentifier", 0),
        field<&ReplicationSubnetGroup::replication_subnet_group_description>("ReplicationSubnetGroupDescription", 0),
        field<&ReplicationSubnetGroup::vpc_id>("VpcId", 0),
        field<&ReplicationSubnetGroup::subnet_group_status>("SubnetGroupStatus", 0),
        field<&ReplicationSubnetGroup::subnets>("Subnets", 0),
        field<&ReplicationSubnetGroup::supported_network_types>("SupportedNetworkTypes", 0),
        field<&ReplicationSubnetGroup::is_read_only>("IsReadOnly", 0),
    };
    static constexpr Shape shape{"ReplicationSubnetGroup", members};
    return shape;
}

const Shape& shape_of(const ReplicationPendingModifiedValues*) {
    static constexpr Member members[] = {
        field<&ReplicationPendingModifiedValues::replication_instance_class>("ReplicationInstanceClass", 0, {}, 30),
        field<&ReplicationPendingModifiedValues::allocated_storage>("AllocatedStorage", kInt32),
        field<&ReplicationPendingModifiedValues::multi_az>("MultiAZ", 0),
        field<&ReplicationPendingModifiedValues::engine_version>("EngineVersion", 0),
        field<&ReplicationPendingModifiedValues::network_type>("NetworkType", 0),
    };
    static constexpr Shape shape{"ReplicationPendingModifiedValues", members};
    return shape;
}

const Shape& shape_of(const ReplicationInstance*) {
    static constexpr Member members[] = {
        field<&ReplicationInstance::replication_instance_identifier>("ReplicationInstanceIdentifier", 0),
        field<&ReplicationInstance::replication_instance_class>("ReplicationInstanceClass", 0, {}, 30),
        field<&ReplicationInstance::replication_instance_status>("ReplicationInstanceStatus", 0),
        field<&ReplicationInstance::allocated_storage>("AllocatedStorage", kInt32),
        field<&ReplicationInstance::instance_create_time>("InstanceCreateTime", 0),
        field<&ReplicationInstance::vpc_security_groups>("VpcSecurityGroups", 0),
        field<&ReplicationInstance::availability_zone>("AvailabilityZone", 0),
        field<&ReplicationInstance::replication_subnet_group>("ReplicationSubnetGroup", 0),
        field<&ReplicationInstance::preferred_maintenance_window>("PreferredMaintenanceWindow", 0),
        field<&ReplicationInstance::pending_modified_values>("PendingModifiedValues", 0),
        field<&ReplicationInstance::multi_az>("MultiAZ", 0),
        field<&ReplicationInstance::engine_version>("EngineVersion", 0),
        field<&ReplicationInstance::auto_minor_version_upgrade>("AutoMinorVersionUpgrade", 0),
        field<&ReplicationInstance::kms_key_id>("KmsKeyId", 0),
        field<&ReplicationInstance::replication_instance_arn>("ReplicationInstanceArn", 0),
        field<&ReplicationInstance::replication_instance_public_ip_address>("ReplicationInstancePublicIpAddress", 0),
        field<&ReplicationInstance::replication_instance_private_ip_address>("ReplicationInstancePrivateIpAddress", 0),
        field<&ReplicationInstance::replication_instance_public_ip_addresses>("ReplicationInstancePublicIpAddresses", 0),
        field<&ReplicationInstance::replication_instance_private_ip_addresses>("ReplicationInstancePrivateIpAddresses", 0),
        field<&ReplicationInstance::replication_instance_ipv6_addresses>("ReplicationInstanceIpv6Addresses", 0),
        field<&ReplicationInstance::publicly_accessible>("PubliclyAccessible", 0),
        field<&ReplicationInstance::secondary_availability_zone>("SecondaryAvailabilityZone", 0),
        field<&ReplicationInstance::free_until>("FreeUntil", 0),
        field<&ReplicationInstance::dns_name_servers>("DnsNameServers", 0),
        field<&ReplicationInstance::network_type>("NetworkType", 0),
        field<&ReplicationInstance::kerberos_authentication_settings>("KerberosAuthenticationSettings", 0),
    };
    static constexpr Shape shape{"ReplicationInstance", members};
    return shape;
}

const Shape& shape_of(const CreateReplicationInstanceResponse*) {
    static constexpr Member members[] = {
        field<&CreateReplicationInstanceResponse::replication_instance>("ReplicationInstance", 0),
    };
    static constexpr Shape shape{"CreateReplicationInstanceResponse", members};
    return shape;
}

const Shape& shape_of(const ModifyReplicationInstanceMessage*) {
    static constexpr Member members[] = {
        field<&ModifyReplicationInstanceMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
        field<&ModifyReplicationInstanceMessage::allocated_storage>("AllocatedStorage", kInt32),
        field<&ModifyReplicationInstanceMessage::apply_immediately>("ApplyImmediately", 0),
        field<&ModifyReplicationInstanceMessage::replication_instance_class>("ReplicationInstanceClass", 0, {}, 30),
        field<&ModifyReplicationInstanceMessage::vpc_security_group_ids>("VpcSecurityGroupIds", 0),
        field<&ModifyReplicationInstanceMessage::preferred_maintenance_window>("PreferredMaintenanceWindow", 0),
        field<&ModifyReplicationInstanceMessage::multi_az>("MultiAZ", 0),
        field<&ModifyReplicationInstanceMessage::engine_version>("EngineVersion", 0),
        field<&ModifyReplicationInstanceMessage::allow_major_version_upgrade>("AllowMajorVersionUpgrade", 0),
        field<&ModifyReplicationInstanceMessage::auto_minor_version_upgrade>("AutoMinorVersionUpgrade", 0),
        field<&ModifyReplicationInstanceMessage::replication_instance_identifier>("ReplicationInstanceIdentifier", 0),
        field<&ModifyReplicationInstanceMessage::network_type>("NetworkType", 0),
        field<&ModifyReplicationInstanceMessage::kerberos_authentication_settings>("KerberosAuthenticationSettings", 0),
    };
    static constexpr Shape shape{"ModifyReplicationInstanceMessage", members};
    return shape;
}

const Shape& shape_of(const ModifyReplicationInstanceResponse*) {
    static constexpr Member members[] = {
        field<&ModifyReplicationInstanceResponse::replication_instance>("ReplicationInstance", 0),
    };
    static constexpr Shape shape{"ModifyReplicationInstanceResponse", members};
    return shape;
}

const Shape& shape_of(const DeleteReplicationInstanceMessage*) {
    static constexpr Member members[] = {
        field<&DeleteReplicationInstanceMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
    };
    static constexpr Shape shape{"DeleteReplicationInstanceMessage", members};
    return shape;
}

const Shape& shape_of(const DeleteReplicationInstanceResponse*) {
    static constexpr Member members[] = {
        field<&DeleteReplicationInstanceResponse::replication_instance>("ReplicationInstance", 0),
    };
    static constexpr Shape shape{"DeleteReplicationInstanceResponse", members};
    return shape;
}

const Shape& shape_of(const RebootReplicationInstanceMessage*) {
    static constexpr Member members[] = {
        field<&RebootReplicationInstanceMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
        field<&RebootReplicationInstanceMessage::force_failover>("ForceFailover", 0),
        field<&RebootReplicationInstanceMessage::force_planned_failover>("ForcePlannedFailover", 0),
    };
    static constexpr Shape shape{"RebootReplicationInstanceMessage", members};
    return shape;
}

const Shape& shape_of(const RebootReplicationInstanceResponse*) {
    static constexpr Member members[] = {
        field<&RebootReplicationInstanceResponse::replication_instance>("ReplicationInstance", 0),
    };
    static constexpr Shape shape{"RebootReplicationInstanceResponse", members};
    return shape;
}

const Shape& shape_of(const Filter*) {
    static constexpr Member members[] = {
        field<&Filter::name>("Name", kRequired),
        field<&Filter::values>("Values", kRequired),
    };
    static constexpr Shape shape{"Filter", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationInstancesMessage*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationInstancesMessage::filters>("Filters", 0),
        field<&DescribeReplicationInstancesMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeReplicationInstancesMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeReplicationInstancesMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationInstancesResponse*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationInstancesResponse::marker>("Marker", 0),
        field<&DescribeReplicationInstancesResponse::replication_instances>("ReplicationInstances", 0),
    };
    static constexpr Shape shape{"DescribeReplicationInstancesResponse", members};
    return shape;
}

const Shape& shape_of(const CreateReplicationSubnetGroupMessage*) {
    static constexpr Member members[] = {
        field<&CreateReplicationSubnetGroupMessage::replication_subnet_group_identifier>("ReplicationSubnetGroupIdentifier", kRequired),
        field<&CreateReplicationSubnetGroupMessage::replication_subnet_group_description>("ReplicationSubnetGroupDescription", kRequired),
        field<&CreateReplicationSubnetGroupMessage::subnet_ids>("SubnetIds", kRequired),
        field<&CreateReplicationSubnetGroupMessage::tags>("Tags", 0),
    };
    static constexpr Shape shape{"CreateReplicationSubnetGroupMessage", members};
    return shape;
}

const Shape& shape_of(const CreateReplicationSubnetGroupResponse*) {
    static constexpr Member members[] = {
        field<&CreateReplicationSubnetGroupResponse::replication_subnet_group>("ReplicationSubnetGroup", 0),
    };
    static constexpr Shape shape{"CreateReplicationSubnetGroupResponse", members};
    return shape;
}

const Shape& shape_of(const ModifyReplicationSubnetGroupMessage*) {
    static constexpr Member members[] = {
        field<&ModifyReplicationSubnetGroupMessage::replication_subnet_group_identifier>("ReplicationSubnetGroupIdentifier", kRequired),
        field<&ModifyReplicationSubnetGroupMessage::replication_subnet_group_description>("ReplicationSubnetGroupDescription", 0),
        field<&ModifyReplicationSubnetGroupMessage::subnet_ids>("SubnetIds", kRequired),
    };
    static constexpr Shape shape{"ModifyReplicationSubnetGroupMessage", members};
    return shape;
}

const Shape& shape_of(const ModifyReplicationSubnetGroupResponse*) {
    static constexpr Member members[] = {
        field<&ModifyReplicationSubnetGroupResponse::replication_subnet_group>("ReplicationSubnetGroup", 0),
    };
    static constexpr Shape shape{"ModifyReplicationSubnetGroupResponse", members};
    return shape;
}

const Shape& shape_of(const DeleteReplicationSubnetGroupMessage*) {
    static constexpr Member members[] = {
        field<&DeleteReplicationSubnetGroupMessage::replication_subnet_group_identifier>("ReplicationSubnetGroupIdentifier", kRequired),
    };
    static constexpr Shape shape{"DeleteReplicationSubnetGroupMessage", members};
    return shape;
}

const Shape& shape_of(const DeleteReplicationSubnetGroupResponse*) {
    static constexpr Shape shape{"DeleteReplicationSubnetGroupResponse", {}};
    return shape;
}

const Shape& shape_of(const DescribeReplicationSubnetGroupsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationSubnetGroupsMessage::filters>("Filters", 0),
        field<&DescribeReplicationSubnetGroupsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeReplicationSubnetGroupsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeReplicationSubnetGroupsMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationSubnetGroupsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationSubnetGroupsResponse::marker>("Marker", 0),
        field<&DescribeReplicationSubnetGroupsResponse::replication_subnet_groups>("ReplicationSubnetGroups", 0),
    };
    static constexpr Shape shape{"DescribeReplicationSubnetGroupsResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeOrderableReplicationInstancesMessage*) {
    static constexpr Member members[] = {
        field<&DescribeOrderableReplicationInstancesMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeOrderableReplicationInstancesMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeOrderableReplicationInstancesMessage", members};
    return shape;
}

const Shape& shape_of(const OrderableReplicationInstance*) {
    static constexpr Member members[] = {
        field<&OrderableReplicationInstance::engine_version>("EngineVersion", 0),
        field<&OrderableReplicationInstance::replication_instance_class>("ReplicationInstanceClass", 0, {}, 30),
        field<&OrderableReplicationInstance::storage_type>("StorageType", 0),
        field<&OrderableReplicationInstance::min_allocated_storage>("MinAllocatedStorage", kInt32),
        field<&OrderableReplicationInstance::max_allocated_storage>("MaxAllocatedStorage", kInt32),
        field<&OrderableReplicationInstance::default_allocated_storage>("DefaultAllocatedStorage", kInt32),
        field<&OrderableReplicationInstance::included_allocated_storage>("IncludedAllocatedStorage", kInt32),
        field<&OrderableReplicationInstance::availability_zones>("AvailabilityZones", 0),
        field<&OrderableReplicationInstance::release_status>("ReleaseStatus", 0, kReleaseStatusValues),
    };
    static constexpr Shape shape{"OrderableReplicationInstance", members};
    return shape;
}

const Shape& shape_of(const DescribeOrderableReplicationInstancesResponse*) {
    static constexpr Member members[] = {
        field<&DescribeOrderableReplicationInstancesResponse::orderable_replication_instances>("OrderableReplicationInstances", 0),
        field<&DescribeOrderableReplicationInstancesResponse::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeOrderableReplicationInstancesResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeEngineVersionsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeEngineVersionsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeEngineVersionsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeEngineVersionsMessage", members};
    return shape;
}

const Shape& shape_of(const EngineVersion*) {
    static constexpr Member members[] = {
        field<&EngineVersion::version>("Version", 0),
        field<&EngineVersion::lifecycle>("Lifecycle", 0),
        field<&EngineVersion::release_status>("ReleaseStatus", 0, kReleaseStatusValues),
        field<&EngineVersion::launch_date>("LaunchDate", 0),
        field<&EngineVersion::auto_upgrade_date>("AutoUpgradeDate", 0),
        field<&EngineVersion::deprecation_date>("DeprecationDate", 0),
        field<&EngineVersion::force_upgrade_date>("ForceUpgradeDate", 0),
        field<&EngineVersion::available_upgrades>("AvailableUpgrades", 0),
    };
    static constexpr Shape shape{"EngineVersion", members};
    return shape;
}

const Shape& shape_of(const DescribeEngineVersionsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeEngineVersionsResponse::engine_versions>("EngineVersions", 0),
        field<&DescribeEngineVersionsResponse::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeEngineVersionsResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationInstanceTaskLogsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationInstanceTaskLogsMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
        field<&DescribeReplicationInstanceTaskLogsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeReplicationInstanceTaskLogsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeReplicationInstanceTaskLogsMessage", members};
    return shape;
}

const Shape& shape_of(const ReplicationInstanceTaskLog*) {
    static constexpr Member members[] = {
        field<&ReplicationInstanceTaskLog::replication_task_name>("ReplicationTaskName", 0),
        field<&ReplicationInstanceTaskLog::replication_task_arn>("ReplicationTaskArn", 0),
        field<&ReplicationInstanceTaskLog::replication_instance_task_log_size>("ReplicationInstanceTaskLogSize", 0),
    };
    static constexpr Shape shape{"ReplicationInstanceTaskLog", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationInstanceTaskLogsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationInstanceTaskLogsResponse::replication_instance_arn>("ReplicationInstanceArn", 0),
        field<&DescribeReplicationInstanceTaskLogsResponse::replication_instance_task_logs>("ReplicationInstanceTaskLogs", 0),
        field<&DescribeReplicationInstanceTaskLogsResponse::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeReplicationInstanceTaskLogsResponse", members};
    return shape;
}

const Shape& shape_of(const DescribePendingMaintenanceActionsMessage*) {
    static constexpr Member members[] = {
        field<&DescribePendingMaintenanceActionsMessage::replication_instance_arn>("ReplicationInstanceArn", 0),
        field<&DescribePendingMaintenanceActionsMessage::filters>("Filters", 0),
        field<&DescribePendingMaintenanceActionsMessage::marker>("Marker", 0),
        field<&DescribePendingMaintenanceActionsMessage::max_records>("MaxRecords", kInt32),
    };
    static constexpr Shape shape{"DescribePendingMaintenanceActionsMessage", members};
    return shape;
}

const Shape& shape_of(const PendingMaintenanceAction*) {
    static constexpr Member members[] = {
        field<&PendingMaintenanceAction::action>("Action", 0),
        field<&PendingMaintenanceAction::auto_applied_after_date>("AutoAppliedAfterDate", 0),
        field<&PendingMaintenanceAction::forced_apply_date>("ForcedApplyDate", 0),
        field<&PendingMaintenanceAction::opt_in_status>("OptInStatus", 0),
        field<&PendingMaintenanceAction::current_apply_date>("CurrentApplyDate", 0),
        field<&PendingMaintenanceAction::description>("Description", 0),
    };
    static constexpr Shape shape{"PendingMaintenanceAction", members};
    return shape;
}

const Shape& shape_of(const ResourcePendingMaintenanceActions*) {
    static constexpr Member members[] = {
        field<&ResourcePendingMaintenanceActions::resource_identifier>("ResourceIdentifier", 0),
        field<&ResourcePendingMaintenanceActions::pending_maintenance_action_details>("PendingMaintenanceActionDetails", 0),
    };
    static constexpr Shape shape{"ResourcePendingMaintenanceActions", members};
    return shape;
}

const Shape& shape_of(const DescribePendingMaintenanceActionsResponse*) {
    static constexpr Member members[] = {
        field<&DescribePendingMaintenanceActionsResponse::pending_maintenance_actions>("PendingMaintenanceActions", 0),
        field<&DescribePendingMaintenanceActionsResponse::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribePendingMaintenanceActionsResponse", members};
    return shape;
}

const Shape& shape_of(const ApplyPendingMaintenanceActionMessage*) {
    static constexpr Member members[] = {
        field<&ApplyPendingMaintenanceActionMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
        field<&ApplyPendingMaintenanceActionMessage::apply_action>("ApplyAction", kRequired),
        field<&ApplyPendingMaintenanceActionMessage::opt_in_type>("OptInType", kRequired),
    };
    static constexpr Shape shape{"ApplyPendingMaintenanceActionMessage", members};
    return shape;
}

const Shape& shape_of(const ApplyPendingMaintenanceActionResponse*) {
    static constexpr Member members[] = {
        field<&ApplyPendingMaintenanceActionResponse::resource_pending_maintenance_actions>("ResourcePendingMaintenanceActions", 0),
    };
    static constexpr Shape shape{"ApplyPendingMaintenanceActionResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeAccountAttributesMessage*) {
    static constexpr Shape shape{"DescribeAccountAttributesMessage", {}};
    return shape;
}

const Shape& shape_of(const AccountQuota*) {
    static constexpr Member members[] = {
        field<&AccountQuota::account_quota_name>("AccountQuotaName", 0),
        field<&AccountQuota::used>("Used", 0),
        field<&AccountQuota::max>("Max", 0),
    };
    static constexpr Shape shape{"AccountQuota", members};
    return shape;
}

const Shape& shape_of(const DescribeAccountAttributesResponse*) {
    static constexpr Member members[] = {
        field<&DescribeAccountAttributesResponse::account_quotas>("AccountQuotas", 0),
        field<&DescribeAccountAttributesResponse::unique_account_identifier>("UniqueAccountIdentifier", 0),
    };
    static constexpr Shape shape{"DescribeAccountAttributesResponse", members};
    return shape;
}

const Shape& shape_of(const DynamoDbSettings*) {
    static constexpr Member members[] = {
        field<&DynamoDbSettings::service_access_role_arn>("ServiceAccessRoleArn", kRequired),
    };
    static constexpr Shape shape{"DynamoDbSettings", members};
    return shape;
}

const Shape& shape_of(const S3Settings*) {
    static constexpr Member members[] = {
        field<&S3Settings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&S3Settings::external_table_definition>("ExternalTableDefinition", 0),
        field<&S3Settings::csv_row_delimiter>("CsvRowDelimiter", 0),
        field<&S3Settings::csv_delimiter>("CsvDelimiter", 0),
        field<&S3Settings::bucket_folder>("BucketFolder", 0),
        field<&S3Settings::bucket_name>("BucketName", 0),
        field<&S3Settings::compression_type>("CompressionType", 0, kCompressionTypeValue),
        field<&S3Settings::encryption_mode>("EncryptionMode", 0, kEncryptionModeValue),
        field<&S3Settings::server_side_encryption_kms_key_id>("ServerSideEncryptionKmsKeyId", 0),
        field<&S3Settings::data_format>("DataFormat", 0, kDataFormatValue),
        field<&S3Settings::encoding_type>("EncodingType", 0, kEncodingTypeValue),
        field<&S3Settings::dict_page_size_limit>("DictPageSizeLimit", kInt32),
        field<&S3Settings::row_group_length>("RowGroupLength", kInt32),
        field<&S3Settings::data_page_size>("DataPageSize", kInt32),
        field<&S3Settings::parquet_version>("ParquetVersion", 0, kParquetVersionValue),
        field<&S3Settings::enable_statistics>("EnableStatistics", 0),
        field<&S3Settings::include_op_for_full_load>("IncludeOpForFullLoad", 0),
        field<&S3Settings::cdc_inserts_only>("CdcInsertsOnly", 0),
        field<&S3Settings::timestamp_column_name>("TimestampColumnName", 0),
        field<&S3Settings::parquet_timestamp_in_millisecond>("ParquetTimestampInMillisecond", 0),
        field<&S3Settings::cdc_inserts_and_updates>("CdcInsertsAndUpdates", 0),
        field<&S3Settings::date_partition_enabled>("DatePartitionEnabled", 0),
        field<&S3Settings::date_partition_sequence>("DatePartitionSequence", 0, kDatePartitionSequenceValue),
        field<&S3Settings::date_partition_delimiter>("DatePartitionDelimiter", 0, kDatePartitionDelimiterValue),
        field<&S3Settings::use_csv_no_sup_value>("UseCsvNoSupValue", 0),
        field<&S3Settings::csv_no_sup_value>("CsvNoSupValue", 0),
        field<&S3Settings::preserve_transactions>("PreserveTransactions", 0),
        field<&S3Settings::cdc_path>("CdcPath", 0),
        field<&S3Settings::use_task_start_time_for_full_load_timestamp>("UseTaskStartTimeForFullLoadTimestamp", 0),
        field<&S3Settings::canned_acl_for_objects>("CannedAclForObjects", 0, kCannedAclForObjectsValue),
        field<&S3Settings::add_column_name>("AddColumnName", 0),
        field<&S3Settings::cdc_max_batch_interval>("CdcMaxBatchInterval", kInt32),
        field<&S3Settings::cdc_min_file_size>("CdcMinFileSize", kInt32),
        field<&S3Settings::csv_null_value>("CsvNullValue", 0),
        field<&S3Settings::ignore_header_rows>("IgnoreHeaderRows", kInt32),
        field<&S3Settings::max_file_size>("MaxFileSize", kInt32),
        field<&S3Settings::rfc4180>("Rfc4180", 0),
        field<&S3Settings::date_partition_timezone>("DatePartitionTimezone", 0),
        field<&S3Settings::add_trailing_padding_character>("AddTrailingPaddingCharacter", 0),
        field<&S3Settings::expected_bucket_owner>("ExpectedBucketOwner", 0),
        field<&S3Settings::glue_catalog_generation>("GlueCatalogGeneration", 0),
    };
    static constexpr Shape shape{"S3Settings", members};
    return shape;
}

const Shape& shape_of(const DmsTransferSettings*) {
    static constexpr Member members[] = {
        field<&DmsTransferSettings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&DmsTransferSettings::bucket_name>("BucketName", 0),
    };
    static constexpr Shape shape{"DmsTransferSettings", members};
    return shape;
}

const Shape& shape_of(const MongoDbSettings*) {
    static constexpr Member members[] = {
        field<&MongoDbSettings::username>("Username", 0),
        field<&MongoDbSettings::password>("Password", kSensitive),
        field<&MongoDbSettings::server_name>("ServerName", 0),
        field<&MongoDbSettings::port>("Port", kInt32),
        field<&MongoDbSettings::database_name>("DatabaseName", 0),
        field<&MongoDbSettings::auth_type>("AuthType", 0, kAuthTypeValue),
        field<&MongoDbSettings::auth_mechanism>("AuthMechanism", 0, kAuthMechanismValue),
        field<&MongoDbSettings::nesting_level>("NestingLevel", 0, kNestingLevelValue),
        field<&MongoDbSettings::extract_doc_id>("ExtractDocId", 0),
        field<&MongoDbSettings::docs_to_investigate>("DocsToInvestigate", 0),
        field<&MongoDbSettings::auth_source>("AuthSource", 0),
        field<&MongoDbSettings::kms_key_id>("KmsKeyId", 0),
        field<&MongoDbSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&MongoDbSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&MongoDbSettings::use_update_look_up>("UseUpdateLookUp", 0),
        field<&MongoDbSettings::replicate_shard_collections>("ReplicateShardCollections", 0),
    };
    static constexpr Shape shape{"MongoDbSettings", members};
    return shape;
}

const Shape& shape_of(const KinesisSettings*) {
    static constexpr Member members[] = {
        field<&KinesisSettings::stream_arn>("StreamArn", 0),
        field<&KinesisSettings::message_format>("MessageFormat", 0, kMessageFormatValue),
        field<&KinesisSettings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&KinesisSettings::include_transaction_details>("IncludeTransactionDetails", 0),
        field<&KinesisSettings::include_partition_value>("IncludePartitionValue", 0),
        field<&KinesisSettings::partition_include_schema_table>("PartitionIncludeSchemaTable", 0),
        field<&KinesisSettings::include_table_alter_operations>("IncludeTableAlterOperations", 0),
        field<&KinesisSettings::include_control_details>("IncludeControlDetails", 0),
        field<&KinesisSettings::include_null_and_empty>("IncludeNullAndEmpty", 0),
        field<&KinesisSettings::no_hex_prefix>("NoHexPrefix", 0),
        field<&KinesisSettings::use_large_integer_value>("UseLargeIntegerValue", 0),
    };
    static constexpr Shape shape{"KinesisSettings", members};
    return shape;
}

const Shape& shape_of(const KafkaSettings*) {
    static constexpr Member members[] = {
        field<&KafkaSettings::broker>("Broker", 0),
        field<&KafkaSettings::topic>("Topic", 0),
        field<&KafkaSettings::message_format>("MessageFormat", 0, kMessageFormatValue),
        field<&KafkaSettings::include_transaction_details>("IncludeTransactionDetails", 0),
        field<&KafkaSettings::include_partition_value>("IncludePartitionValue", 0),
        field<&KafkaSettings::partition_include_schema_table>("PartitionIncludeSchemaTable", 0),
        field<&KafkaSettings::include_table_alter_operations>("IncludeTableAlterOperations", 0),
        field<&KafkaSettings::include_control_details>("IncludeControlDetails", 0),
        field<&KafkaSettings::message_max_bytes>("MessageMaxBytes", kInt32),
        field<&KafkaSettings::include_null_and_empty>("IncludeNullAndEmpty", 0),
        field<&KafkaSettings::security_protocol>("SecurityProtocol", 0, kKafkaSecurityProtocol),
        field<&KafkaSettings::ssl_client_certificate_arn>("SslClientCertificateArn", 0),
        field<&KafkaSettings::ssl_client_key_arn>("SslClientKeyArn", 0),
        field<&KafkaSettings::ssl_client_key_password>("SslClientKeyPassword", kSensitive),
        field<&KafkaSettings::ssl_ca_certificate_arn>("SslCaCertificateArn", 0),
        field<&KafkaSettings::sasl_username>("SaslUsername", 0),
        field<&KafkaSettings::sasl_password>("SaslPassword", kSensitive),
        field<&KafkaSettings::no_hex_prefix>("NoHexPrefix", 0),
        field<&KafkaSettings::sasl_mechanism>("SaslMechanism", 0, kKafkaSaslMechanism),
        field<&KafkaSettings::ssl_endpoint_identification_algorithm>("SslEndpointIdentificationAlgorithm", 0, kKafkaSslEndpointIdentificationAlgorithm),
        field<&KafkaSettings::use_large_integer_value>("UseLargeIntegerValue", 0),
    };
    static constexpr Shape shape{"KafkaSettings", members};
    return shape;
}

const Shape& shape_of(const ElasticsearchSettings*) {
    static constexpr Member members[] = {
        field<&ElasticsearchSettings::service_access_role_arn>("ServiceAccessRoleArn", kRequired),
        field<&ElasticsearchSettings::endpoint_uri>("EndpointUri", kRequired),
        field<&ElasticsearchSettings::full_load_error_percentage>("FullLoadErrorPercentage", kInt32),
        field<&ElasticsearchSettings::error_retry_duration>("ErrorRetryDuration", kInt32),
        field<&ElasticsearchSettings::use_new_mapping_type>("UseNewMappingType", 0),
    };
    static constexpr Shape shape{"ElasticsearchSettings", members};
    return shape;
}

const Shape& shape_of(const NeptuneSettings*) {
    static constexpr Member members[] = {
        field<&NeptuneSettings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&NeptuneSettings::s3_bucket_name>("S3BucketName", kRequired),
        field<&NeptuneSettings::s3_bucket_folder>("S3BucketFolder", kRequired),
        field<&NeptuneSettings::error_retry_duration>("ErrorRetryDuration", kInt32),
        field<&NeptuneSettings::max_file_size>("MaxFileSize", kInt32),
        field<&NeptuneSettings::max_retry_count>("MaxRetryCount", kInt32),
        field<&NeptuneSettings::iam_auth_enabled>("IamAuthEnabled", 0),
    };
    static constexpr Shape shape{"NeptuneSettings", members};
    return shape;
}

const Shape& shape_of(const RedshiftSettings*) {
    static constexpr Member members[] = {
        field<&RedshiftSettings::accept_any_date>("AcceptAnyDate", 0),
        field<&RedshiftSettings::after_connect_script>("AfterConnectScript", 0),
        field<&RedshiftSettings::bucket_folder>("BucketFolder", 0),
        field<&RedshiftSettings::bucket_name>("BucketName", 0),
        field<&RedshiftSettings::case_sensitive_names>("CaseSensitiveNames", 0),
        field<&RedshiftSettings::comp_update>("CompUpdate", 0),
        field<&RedshiftSettings::connection_timeout>("ConnectionTimeout", kInt32),
        field<&RedshiftSettings::database_name>("DatabaseName", 0),
        field<&RedshiftSettings::date_format>("DateFormat", 0),
        field<&RedshiftSettings::empty_as_null>("EmptyAsNull", 0),
        field<&RedshiftSettings::encryption_mode>("EncryptionMode", 0, kEncryptionModeValue),
        field<&RedshiftSettings::explicit_ids>("ExplicitIds", 0),
        field<&RedshiftSettings::file_transfer_upload_streams>("FileTransferUploadStreams", kInt32),
        field<&RedshiftSettings::load_timeout>("LoadTimeout", kInt32),
        field<&RedshiftSettings::max_file_size>("MaxFileSize", kInt32),
        field<&RedshiftSettings::password>("Password", kSensitive),
        field<&RedshiftSettings::port>("Port", kInt32),
        field<&RedshiftSettings::remove_quotes>("RemoveQuotes", 0),
        field<&RedshiftSettings::replace_invalid_chars>("ReplaceInvalidChars", 0),
        field<&RedshiftSettings::replace_chars>("ReplaceChars", 0),
        field<&RedshiftSettings::server_name>("ServerName", 0),
        field<&RedshiftSettings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&RedshiftSettings::server_side_encryption_kms_key_id>("ServerSideEncryptionKmsKeyId", 0),
        field<&RedshiftSettings::time_format>("TimeFormat", 0),
        field<&RedshiftSettings::trim_blanks>("TrimBlanks", 0),
        field<&RedshiftSettings::truncate_columns>("TruncateColumns", 0),
        field<&RedshiftSettings::username>("Username", 0),
        field<&RedshiftSettings::write_buffer_size>("WriteBufferSize", kInt32),
        field<&RedshiftSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&RedshiftSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&RedshiftSettings::map_boolean_as_boolean>("MapBooleanAsBoolean", 0),
    };
    static constexpr Shape shape{"RedshiftSettings", members};
    return shape;
}

const Shape& shape_of(const PostgreSQLSettings*) {
    static constexpr Member members[] = {
        field<&PostgreSQLSettings::after_connect_script>("AfterConnectScript", 0),
        field<&PostgreSQLSettings::capture_ddls>("CaptureDdls", 0),
        field<&PostgreSQLSettings::max_file_size>("MaxFileSize", kInt32),
        field<&PostgreSQLSettings::database_name>("DatabaseName", 0),
        field<&PostgreSQLSettings::ddl_artifacts_schema>("DdlArtifactsSchema", 0),
        field<&PostgreSQLSettings::execute_timeout>("ExecuteTimeout", kInt32),
        field<&PostgreSQLSettings::fail_tasks_on_lob_truncation>("FailTasksOnLobTruncation", 0),
        field<&PostgreSQLSettings::heartbeat_enable>("HeartbeatEnable", 0),
        field<&PostgreSQLSettings::heartbeat_schema>("HeartbeatSchema", 0),
        field<&PostgreSQLSettings::heartbeat_frequency>("HeartbeatFrequency", kInt32),
        field<&PostgreSQLSettings::password>("Password", kSensitive),
        field<&PostgreSQLSettings::port>("Port", kInt32),
        field<&PostgreSQLSettings::server_name>("ServerName", 0),
        field<&PostgreSQLSettings::username>("Username", 0),
        field<&PostgreSQLSettings::slot_name>("SlotName", 0),
        field<&PostgreSQLSettings::plugin_name>("PluginName", 0, kPluginNameValue),
        field<&PostgreSQLSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&PostgreSQLSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&PostgreSQLSettings::trim_space_in_char>("TrimSpaceInChar", 0),
        field<&PostgreSQLSettings::map_boolean_as_boolean>("MapBooleanAsBoolean", 0),
        field<&PostgreSQLSettings::map_jsonb_as_clob>("MapJsonbAsClob", 0),
        field<&PostgreSQLSettings::map_long_varchar_as>("MapLongVarcharAs", 0, kLongVarcharMappingType),
        field<&PostgreSQLSettings::database_mode>("DatabaseMode", 0, kDatabaseMode),
        field<&PostgreSQLSettings::babelfish_database_name>("BabelfishDatabaseName", 0),
        field<&PostgreSQLSettings::disable_unicode_source_filter>("DisableUnicodeSourceFilter", 0),
        field<&PostgreSQLSettings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&PostgreSQLSettings::authentication_method>("AuthenticationMethod", 0, kPostgreSQLAuthenticationMethod),
    };
    static constexpr Shape shape{"PostgreSQLSettings", members};
    return shape;
}

const Shape& shape_of(const MySQLSettings*) {
    static constexpr Member members[] = {
        field<&MySQLSettings::after_connect_script>("AfterConnectScript", 0),
        field<&MySQLSettings::clean_source_metadata_on_mismatch>("CleanSourceMetadataOnMismatch", 0),
        field<&MySQLSettings::database_name>("DatabaseName", 0),
        field<&MySQLSettings::events_poll_interval>("EventsPollInterval", kInt32),
        field<&MySQLSettings::target_db_type>("TargetDbType", 0, kTargetDbType),
        field<&MySQLSettings::max_file_size>("MaxFileSize", kInt32),
        field<&MySQLSettings::parallel_load_threads>("ParallelLoadThreads", kInt32),
        field<&MySQLSettings::password>("Password", kSensitive),
        field<&MySQLSettings::port>("Port", kInt32),
        field<&MySQLSettings::server_name>("ServerName", 0),
        field<&MySQLSettings::server_timezone>("ServerTimezone", 0),
        field<&MySQLSettings::username>("Username", 0),
        field<&MySQLSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&MySQLSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&MySQLSettings::execute_timeout>("ExecuteTimeout", kInt32),
        field<&MySQLSettings::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&MySQLSettings::authentication_method>("AuthenticationMethod", 0, kMySQLAuthenticationMethod),
    };
    static constexpr Shape shape{"MySQLSettings", members};
    return shape;
}

const Shape& shape_of(const OracleSettings*) {
    static constexpr Member members[] = {
        field<&OracleSettings::add_supplemental_logging>("AddSupplementalLogging", 0),
        field<&OracleSettings::archived_log_dest_id>("ArchivedLogDestId", kInt32),
        field<&OracleSettings::additional_archived_log_dest_id>("AdditionalArchivedLogDestId", kInt32),
        field<&OracleSettings::extra_archived_log_dest_ids>("ExtraArchivedLogDestIds", 0),
        field<&OracleSettings::allow_select_nested_tables>("AllowSelectNestedTables", 0),
        field<&OracleSettings::parallel_asm_read_threads>("ParallelAsmReadThreads", kInt32),
        field<&OracleSettings::read_ahead_blocks>("ReadAheadBlocks", kInt32),
        field<&OracleSettings::access_alternate_directly>("AccessAlternateDirectly", 0),
        field<&OracleSettings::use_alternate_folder_for_online>("UseAlternateFolderForOnline", 0),
        field<&OracleSettings::oracle_path_prefix>("OraclePathPrefix", 0),
        field<&OracleSettings::use_path_prefix>("UsePathPrefix", 0),
        field<&OracleSettings::replace_path_prefix>("ReplacePathPrefix", 0),
        field<&OracleSettings::enable_homogenous_tablespace>("EnableHomogenousTablespace", 0),
        field<&OracleSettings::direct_path_no_log>("DirectPathNoLog", 0),
        field<&OracleSettings::archived_logs_only>("ArchivedLogsOnly", 0),
        field<&OracleSettings::asm_password>("AsmPassword", kSensitive),
        field<&OracleSettings::asm_server>("AsmServer", 0),
        field<&OracleSettings::asm_user>("AsmUser", 0),
        field<&OracleSettings::char_length_semantics>("CharLengthSemantics", 0, kCharLengthSemantics),
        field<&OracleSettings::database_name>("DatabaseName", 0),
        field<&OracleSettings::direct_path_parallel_load>("DirectPathParallelLoad", 0),
        field<&OracleSettings::fail_tasks_on_lob_truncation>("FailTasksOnLobTruncation", 0),
        field<&OracleSettings::number_datatype_scale>("NumberDatatypeScale", kInt32),
        field<&OracleSettings::password>("Password", kSensitive),
        field<&OracleSettings::port>("Port", kInt32),
        field<&OracleSettings::read_table_space_name>("ReadTableSpaceName", 0),
        field<&OracleSettings::retry_interval>("RetryInterval", kInt32),
        field<&OracleSettings::security_db_encryption>("SecurityDbEncryption", kSensitive),
        field<&OracleSettings::security_db_encryption_name>("SecurityDbEncryptionName", 0),
        field<&OracleSettings::server_name>("ServerName", 0),
        field<&OracleSettings::spatial_data_option_to_geo_json_function_name>("SpatialDataOptionToGeoJsonFunctionName", 0),
        field<&OracleSettings::standby_delay_time>("StandbyDelayTime", kInt32),
        field<&OracleSettings::username>("Username", 0),
        field<&OracleSettings::use_b_file>("UseBFile", 0),
        field<&OracleSettings::use_direct_path_full_load>("UseDirectPathFullLoad", 0),
        field<&OracleSettings::use_logminer_reader>("UseLogminerReader", 0),
        field<&OracleSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&OracleSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&OracleSettings::secrets_manager_oracle_asm_access_role_arn>("SecretsManagerOracleAsmAccessRoleArn", 0),
        field<&OracleSettings::secrets_manager_oracle_asm_secret_id>("SecretsManagerOracleAsmSecretId", 0),
        field<&OracleSettings::trim_space_in_char>("TrimSpaceInChar", 0),
        field<&OracleSettings::convert_timestamp_with_zone_to_utc>("ConvertTimestampWithZoneToUTC", 0),
        field<&OracleSettings::open_transaction_window>("OpenTransactionWindow", kInt32),
        field<&OracleSettings::authentication_method>("AuthenticationMethod", 0, kOracleAuthenticationMethod),
    };
    static constexpr Shape shape{"OracleSettings", members};
    return shape;
}

const Shape& shape_of(const SybaseSettings*) {
    static constexpr Member members[] = {
        field<&SybaseSettings::database_name>("DatabaseName", 0),
        field<&SybaseSettings::password>("Password", kSensitive),
        field<&SybaseSettings::port>("Port", kInt32),
        field<&SybaseSettings::server_name>("ServerName", 0),
        field<&SybaseSettings::username>("Username", 0),
        field<&SybaseSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&SybaseSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
    };
    static constexpr Shape shape{"SybaseSettings", members};
    return shape;
}

const Shape& shape_of(const MicrosoftSQLServerSettings*) {
    static constexpr Member members[] = {
        field<&MicrosoftSQLServerSettings::port>("Port", kInt32),
        field<&MicrosoftSQLServerSettings::bcp_packet_size>("BcpPacketSize", kInt32),
        field<&MicrosoftSQLServerSettings::database_name>("DatabaseName", 0),
        field<&MicrosoftSQLServerSettings::control_tables_file_group>("ControlTablesFileGroup", 0),
        field<&MicrosoftSQLServerSettings::password>("Password", kSensitive),
        field<&MicrosoftSQLServerSettings::query_single_always_on_node>("QuerySingleAlwaysOnNode", 0),
        field<&MicrosoftSQLServerSettings::read_backup_only>("ReadBackupOnly", 0),
        field<&MicrosoftSQLServerSettings::safeguard_policy>("SafeguardPolicy", 0, kSafeguardPolicy),
        field<&MicrosoftSQLServerSettings::server_name>("ServerName", 0),
        field<&MicrosoftSQLServerSettings::username>("Username", 0),
        field<&MicrosoftSQLServerSettings::use_bcp_full_load>("UseBcpFullLoad", 0),
        field<&MicrosoftSQLServerSettings::use_third_party_backup_device>("UseThirdPartyBackupDevice", 0),
        field<&MicrosoftSQLServerSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&MicrosoftSQLServerSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&MicrosoftSQLServerSettings::trim_space_in_char>("TrimSpaceInChar", 0),
        field<&MicrosoftSQLServerSettings::tlog_access_mode>("TlogAccessMode", 0, kTlogAccessMode),
        field<&MicrosoftSQLServerSettings::force_lob_lookup>("ForceLobLookup", 0),
        field<&MicrosoftSQLServerSettings::authentication_method>("AuthenticationMethod", 0, kSqlServerAuthenticationMethod),
    };
    static constexpr Shape shape{"MicrosoftSQLServerSettings", members};
    return shape;
}

const Shape& shape_of(const IBMDb2Settings*) {
    static constexpr Member members[] = {
        field<&IBMDb2Settings::database_name>("DatabaseName", 0),
        field<&IBMDb2Settings::password>("Password", kSensitive),
        field<&IBMDb2Settings::port>("Port", kInt32),
        field<&IBMDb2Settings::server_name>("ServerName", 0),
        field<&IBMDb2Settings::set_data_capture_changes>("SetDataCaptureChanges", 0),
        field<&IBMDb2Settings::current_lsn>("CurrentLsn", 0),
        field<&IBMDb2Settings::max_k_bytes_per_read>("MaxKBytesPerRead", kInt32),
        field<&IBMDb2Settings::username>("Username", 0),
        field<&IBMDb2Settings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&IBMDb2Settings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&IBMDb2Settings::load_timeout>("LoadTimeout", kInt32),
        field<&IBMDb2Settings::write_buffer_size>("WriteBufferSize", kInt32),
        field<&IBMDb2Settings::max_file_size>("MaxFileSize", kInt32),
        field<&IBMDb2Settings::keep_csv_files>("KeepCsvFiles", 0),
    };
    static constexpr Shape shape{"IBMDb2Settings", members};
    return shape;
}

const Shape& shape_of(const DocDbSettings*) {
    static constexpr Member members[] = {
        field<&DocDbSettings::username>("Username", 0),
        field<&DocDbSettings::password>("Password", kSensitive),
        field<&DocDbSettings::server_name>("ServerName", 0),
        field<&DocDbSettings::port>("Port", kInt32),
        field<&DocDbSettings::database_name>("DatabaseName", 0),
        field<&DocDbSettings::nesting_level>("NestingLevel", 0, kNestingLevelValue),
        field<&DocDbSettings::extract_doc_id>("ExtractDocId", 0),
        field<&DocDbSettings::docs_to_investigate>("DocsToInvestigate", kInt32),
        field<&DocDbSettings::kms_key_id>("KmsKeyId", 0),
        field<&DocDbSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&DocDbSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
        field<&DocDbSettings::use_update_look_up>("UseUpdateLookUp", 0),
        field<&DocDbSettings::replicate_shard_collections>("ReplicateShardCollections", 0),
    };
    static constexpr Shape shape{"DocDbSettings", members};
    return shape;
}

const Shape& shape_of(const RedisSettings*) {
    static constexpr Member members[] = {
        field<&RedisSettings::server_name>("ServerName", kRequired),
        field<&RedisSettings::port>("Port", kRequired | kInt32),
        field<&RedisSettings::ssl_security_protocol>("SslSecurityProtocol", 0, kSslSecurityProtocolValue),
        field<&RedisSettings::auth_type>("AuthType", 0, kRedisAuthTypeValue),
        field<&RedisSettings::auth_user_name>("AuthUserName", 0),
        field<&RedisSettings::auth_password>("AuthPassword", kSensitive),
        field<&RedisSettings::ssl_ca_certificate_arn>("SslCaCertificateArn", 0),
    };
    static constexpr Shape shape{"RedisSettings", members};
    return shape;
}

const Shape& shape_of(const GcpMySQLSettings*) {
    static constexpr Member members[] = {
        field<&GcpMySQLSettings::after_connect_script>("AfterConnectScript", 0),
        field<&GcpMySQLSettings::clean_source_metadata_on_mismatch>("CleanSourceMetadataOnMismatch", 0),
        field<&GcpMySQLSettings::database_name>("DatabaseName", 0),
        field<&GcpMySQLSettings::events_poll_interval>("EventsPollInterval", kInt32),
        field<&GcpMySQLSettings::target_db_type>("TargetDbType", 0, kTargetDbType),
        field<&GcpMySQLSettings::max_file_size>("MaxFileSize", kInt32),
        field<&GcpMySQLSettings::parallel_load_threads>("ParallelLoadThreads", kInt32),
        field<&GcpMySQLSettings::password>("Password", kSensitive),
        field<&GcpMySQLSettings::port>("Port", kInt32),
        field<&GcpMySQLSettings::server_name>("ServerName", 0),
        field<&GcpMySQLSettings::server_timezone>("ServerTimezone", 0),
        field<&GcpMySQLSettings::username>("Username", 0),
        field<&GcpMySQLSettings::secrets_manager_access_role_arn>("SecretsManagerAccessRoleArn", 0),
        field<&GcpMySQLSettings::secrets_manager_secret_id>("SecretsManagerSecretId", 0),
    };
    static constexpr Shape shape{"GcpMySQLSettings", members};
    return shape;
}

const Shape& shape_of(const TimestreamSettings*) {
    static constexpr Member members[] = {
        field<&TimestreamSettings::database_name>("DatabaseName", kRequired),
        field<&TimestreamSettings::memory_duration>("MemoryDuration", kRequired | kInt32),
        field<&TimestreamSettings::magnetic_duration>("MagneticDuration", kRequired | kInt32),
        field<&TimestreamSettings::cdc_inserts_and_updates>("CdcInsertsAndUpdates", 0),
        field<&TimestreamSettings::enable_magnetic_store_writes>("EnableMagneticStoreWrites", 0),
    };
    static constexpr Shape shape{"TimestreamSettings", members};
    return shape;
}

const Shape& shape_of(const CreateEndpointMessage*) {
    static constexpr Member members[] = {
        field<&CreateEndpointMessage::endpoint_identifier>("EndpointIdentifier", kRequired),
        field<&CreateEndpointMessage::endpoint_type>("EndpointType", kRequired, kReplicationEndpointTypeValue),
        field<&CreateEndpointMessage::engine_name>("EngineName", kRequired),
        field<&CreateEndpointMessage::username>("Username", 0),
        field<&CreateEndpointMessage::password>("Password", kSensitive),
        field<&CreateEndpointMessage::server_name>("ServerName", 0),
        field<&CreateEndpointMessage::port>("Port", kInt32),
        field<&CreateEndpointMessage::database_name>("DatabaseName", 0),
        field<&CreateEndpointMessage::extra_connection_attributes>("ExtraConnectionAttributes", 0),
        field<&CreateEndpointMessage::kms_key_id>("KmsKeyId", 0),
        field<&CreateEndpointMessage::tags>("Tags", 0),
        field<&CreateEndpointMessage::certificate_arn>("CertificateArn", 0),
        field<&CreateEndpointMessage::ssl_mode>("SslMode", 0, kDmsSslModeValue),
        field<&CreateEndpointMessage::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&CreateEndpointMessage::external_table_definition>("ExternalTableDefinition", 0),
        field<&CreateEndpointMessage::dynamo_db_settings>("DynamoDbSettings", 0),
        field<&CreateEndpointMessage::s3_settings>("S3Settings", 0),
        field<&CreateEndpointMessage::dms_transfer_settings>("DmsTransferSettings", 0),
        field<&CreateEndpointMessage::mongo_db_settings>("MongoDbSettings", 0),
        field<&CreateEndpointMessage::kinesis_settings>("KinesisSettings", 0),
        field<&CreateEndpointMessage::kafka_settings>("KafkaSettings", 0),
        field<&CreateEndpointMessage::elasticsearch_settings>("ElasticsearchSettings", 0),
        field<&CreateEndpointMessage::neptune_settings>("NeptuneSettings", 0),
        field<&CreateEndpointMessage::redshift_settings>("RedshiftSettings", 0),
        field<&CreateEndpointMessage::postgre_sql_settings>("PostgreSQLSettings", 0),
        field<&CreateEndpointMessage::my_sql_settings>("MySQLSettings", 0),
        field<&CreateEndpointMessage::oracle_settings>("OracleSettings", 0),
        field<&CreateEndpointMessage::sybase_settings>("SybaseSettings", 0),
        field<&CreateEndpointMessage::microsoft_sql_server_settings>("MicrosoftSQLServerSettings", 0),
        field<&CreateEndpointMessage::ibm_db2_settings>("IBMDb2Settings", 0),
        field<&CreateEndpointMessage::resource_identifier>("ResourceIdentifier", 0),
        field<&CreateEndpointMessage::doc_db_settings>("DocDbSettings", 0),
        field<&CreateEndpointMessage::redis_settings>("RedisSettings", 0),
        field<&CreateEndpointMessage::gcp_my_sql_settings>("GcpMySQLSettings", 0),
        field<&CreateEndpointMessage::timestream_settings>("TimestreamSettings", 0),
    };
    static constexpr Shape shape{"CreateEndpointMessage", members};
    return shape;
}

const Shape& shape_of(const LakehouseSettings*) {
    static constexpr Member members[] = {
        field<&LakehouseSettings::arn>("Arn", kRequired),
    };
    static constexpr Shape shape{"LakehouseSettings", members};
    return shape;
}

const Shape& shape_of(const Endpoint*) {
    static constexpr Member members[] = {
        field<&Endpoint::endpoint_identifier>("EndpointIdentifier", 0),
        field<&Endpoint::endpoint_type>("EndpointType", 0, kReplicationEndpointTypeValue),
        field<&Endpoint::engine_name>("EngineName", 0),
        field<&Endpoint::engine_display_name>("EngineDisplayName", 0),
        field<&Endpoint::username>("Username", 0),
        field<&Endpoint::server_name>("ServerName", 0),
        field<&Endpoint::port>("Port", kInt32),
        field<&Endpoint::database_name>("DatabaseName", 0),
        field<&Endpoint::extra_connection_attributes>("ExtraConnectionAttributes", 0),
        field<&Endpoint::status>("Status", 0),
        field<&Endpoint::kms_key_id>("KmsKeyId", 0),
        field<&Endpoint::endpoint_arn>("EndpointArn", 0),
        field<&Endpoint::certificate_arn>("CertificateArn", 0),
        field<&Endpoint::ssl_mode>("SslMode", 0, kDmsSslModeValue),
        field<&Endpoint::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&Endpoint::external_table_definition>("ExternalTableDefinition", 0),
        field<&Endpoint::external_id>("ExternalId", 0),
        field<&Endpoint::is_read_only>("IsReadOnly", 0),
        field<&Endpoint::dynamo_db_settings>("DynamoDbSettings", 0),
        field<&Endpoint::s3_settings>("S3Settings", 0),
        field<&Endpoint::dms_transfer_settings>("DmsTransferSettings", 0),
        field<&Endpoint::mongo_db_settings>("MongoDbSettings", 0),
        field<&Endpoint::kinesis_settings>("KinesisSettings", 0),
        field<&Endpoint::kafka_settings>("KafkaSettings", 0),
        field<&Endpoint::elasticsearch_settings>("ElasticsearchSettings", 0),
        field<&Endpoint::neptune_settings>("NeptuneSettings", 0),
        field<&Endpoint::redshift_settings>("RedshiftSettings", 0),
        field<&Endpoint::postgre_sql_settings>("PostgreSQLSettings", 0),
        field<&Endpoint::my_sql_settings>("MySQLSettings", 0),
        field<&Endpoint::oracle_settings>("OracleSettings", 0),
        field<&Endpoint::sybase_settings>("SybaseSettings", 0),
        field<&Endpoint::microsoft_sql_server_settings>("MicrosoftSQLServerSettings", 0),
        field<&Endpoint::ibm_db2_settings>("IBMDb2Settings", 0),
        field<&Endpoint::doc_db_settings>("DocDbSettings", 0),
        field<&Endpoint::redis_settings>("RedisSettings", 0),
        field<&Endpoint::gcp_my_sql_settings>("GcpMySQLSettings", 0),
        field<&Endpoint::timestream_settings>("TimestreamSettings", 0),
        field<&Endpoint::lakehouse_settings>("LakehouseSettings", 0),
    };
    static constexpr Shape shape{"Endpoint", members};
    return shape;
}

const Shape& shape_of(const CreateEndpointResponse*) {
    static constexpr Member members[] = {
        field<&CreateEndpointResponse::endpoint>("Endpoint", 0),
    };
    static constexpr Shape shape{"CreateEndpointResponse", members};
    return shape;
}

const Shape& shape_of(const ModifyEndpointMessage*) {
    static constexpr Member members[] = {
        field<&ModifyEndpointMessage::endpoint_arn>("EndpointArn", kRequired),
        field<&ModifyEndpointMessage::endpoint_identifier>("EndpointIdentifier", 0),
        field<&ModifyEndpointMessage::endpoint_type>("EndpointType", 0, kReplicationEndpointTypeValue),
        field<&ModifyEndpointMessage::engine_name>("EngineName", 0),
        field<&ModifyEndpointMessage::username>("Username", 0),
        field<&ModifyEndpointMessage::password>("Password", kSensitive),
        field<&ModifyEndpointMessage::server_name>("ServerName", 0),
        field<&ModifyEndpointMessage::port>("Port", kInt32),
        field<&ModifyEndpointMessage::database_name>("DatabaseName", 0),
        field<&ModifyEndpointMessage::extra_connection_attributes>("ExtraConnectionAttributes", 0),
        field<&ModifyEndpointMessage::certificate_arn>("CertificateArn", 0),
        field<&ModifyEndpointMessage::ssl_mode>("SslMode", 0, kDmsSslModeValue),
        field<&ModifyEndpointMessage::service_access_role_arn>("ServiceAccessRoleArn", 0),
        field<&ModifyEndpointMessage::external_table_definition>("ExternalTableDefinition", 0),
        field<&ModifyEndpointMessage::dynamo_db_settings>("DynamoDbSettings", 0),
        field<&ModifyEndpointMessage::s3_settings>("S3Settings", 0),
        field<&ModifyEndpointMessage::dms_transfer_settings>("DmsTransferSettings", 0),
        field<&ModifyEndpointMessage::mongo_db_settings>("MongoDbSettings", 0),
        field<&ModifyEndpointMessage::kinesis_settings>("KinesisSettings", 0),
        field<&ModifyEndpointMessage::kafka_settings>("KafkaSettings", 0),
        field<&ModifyEndpointMessage::elasticsearch_settings>("ElasticsearchSettings", 0),
        field<&ModifyEndpointMessage::neptune_settings>("NeptuneSettings", 0),
        field<&ModifyEndpointMessage::redshift_settings>("RedshiftSettings", 0),
        field<&ModifyEndpointMessage::postgre_sql_settings>("PostgreSQLSettings", 0),
        field<&ModifyEndpointMessage::my_sql_settings>("MySQLSettings", 0),
        field<&ModifyEndpointMessage::oracle_settings>("OracleSettings", 0),
        field<&ModifyEndpointMessage::sybase_settings>("SybaseSettings", 0),
        field<&ModifyEndpointMessage::microsoft_sql_server_settings>("MicrosoftSQLServerSettings", 0),
        field<&ModifyEndpointMessage::ibm_db2_settings>("IBMDb2Settings", 0),
        field<&ModifyEndpointMessage::doc_db_settings>("DocDbSettings", 0),
        field<&ModifyEndpointMessage::redis_settings>("RedisSettings", 0),
        field<&ModifyEndpointMessage::exact_settings>("ExactSettings", 0),
        field<&ModifyEndpointMessage::gcp_my_sql_settings>("GcpMySQLSettings", 0),
        field<&ModifyEndpointMessage::timestream_settings>("TimestreamSettings", 0),
    };
    static constexpr Shape shape{"ModifyEndpointMessage", members};
    return shape;
}

const Shape& shape_of(const ModifyEndpointResponse*) {
    static constexpr Member members[] = {
        field<&ModifyEndpointResponse::endpoint>("Endpoint", 0),
    };
    static constexpr Shape shape{"ModifyEndpointResponse", members};
    return shape;
}

const Shape& shape_of(const DeleteEndpointMessage*) {
    static constexpr Member members[] = {
        field<&DeleteEndpointMessage::endpoint_arn>("EndpointArn", kRequired),
    };
    static constexpr Shape shape{"DeleteEndpointMessage", members};
    return shape;
}

const Shape& shape_of(const DeleteEndpointResponse*) {
    static constexpr Member members[] = {
        field<&DeleteEndpointResponse::endpoint>("Endpoint", 0),
    };
    static constexpr Shape shape{"DeleteEndpointResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeEndpointsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeEndpointsMessage::filters>("Filters", 0),
        field<&DescribeEndpointsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeEndpointsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeEndpointsMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeEndpointsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeEndpointsResponse::marker>("Marker", 0),
        field<&DescribeEndpointsResponse::endpoints>("Endpoints", 0),
    };
    static constexpr Shape shape{"DescribeEndpointsResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeEndpointTypesMessage*) {
    static constexpr Member members[] = {
        field<&DescribeEndpointTypesMessage::filters>("Filters", 0),
        field<&DescribeEndpointTypesMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeEndpointTypesMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeEndpointTypesMessage", members};
    return shape;
}

const Shape& shape_of(const SupportedEndpointType*) {
    static constexpr Member members[] = {
        field<&SupportedEndpointType::engine_name>("EngineName", 0),
        field<&SupportedEndpointType::supports_cdc>("SupportsCDC", 0),
        field<&SupportedEndpointType::endpoint_type>("EndpointType", 0, kReplicationEndpointTypeValue),
        field<&SupportedEndpointType::replication_instance_engine_minimum_version>("ReplicationInstanceEngineMinimumVersion", 0),
        field<&SupportedEndpointType::engine_display_name>("EngineDisplayName", 0),
    };
    static constexpr Shape shape{"SupportedEndpointType", members};
    return shape;
}

const Shape& shape_of(const DescribeEndpointTypesResponse*) {
    static constexpr Member members[] = {
        field<&DescribeEndpointTypesResponse::marker>("Marker", 0),
        field<&DescribeEndpointTypesResponse::supported_endpoint_types>("SupportedEndpointTypes", 0),
    };
    static constexpr Shape shape{"DescribeEndpointTypesResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeEndpointSettingsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeEndpointSettingsMessage::engine_name>("EngineName", kRequired),
        field<&DescribeEndpointSettingsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeEndpointSettingsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeEndpointSettingsMessage", members};
    return shape;
}

const Shape& shape_of(const EndpointSetting*) {
    static constexpr Member members[] = {
        field<&EndpointSetting::name>("Name", 0),
        field<&EndpointSetting::type>("Type", 0, kEndpointSettingTypeValue),
        field<&EndpointSetting::enum_values>("EnumValues", 0),
        field<&EndpointSetting::sensitive>("Sensitive", 0),
        field<&EndpointSetting::units>("Units", 0),
        field<&EndpointSetting::applicability>("Applicability", 0),
        field<&EndpointSetting::int_value_min>("IntValueMin", kInt32),
        field<&EndpointSetting::int_value_max>("IntValueMax", kInt32),
        field<&EndpointSetting::default_value>("DefaultValue", 0),
    };
    static constexpr Shape shape{"EndpointSetting", members};
    return shape;
}

const Shape& shape_of(const DescribeEndpointSettingsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeEndpointSettingsResponse::marker>("Marker", 0),
        field<&DescribeEndpointSettingsResponse::endpoint_settings>("EndpointSettings", 0),
    };
    static constexpr Shape shape{"DescribeEndpointSettingsResponse", members};
    return shape;
}

const Shape& shape_of(const TestConnectionMessage*) {
    static constexpr Member members[] = {
        field<&TestConnectionMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
        field<&TestConnectionMessage::endpoint_arn>("EndpointArn", kRequired),
    };
    static constexpr Shape shape{"TestConnectionMessage", members};
    return shape;
}

const Shape& shape_of(const Connection*) {
    static constexpr Member members[] = {
        field<&Connection::replication_instance_arn>("ReplicationInstanceArn", 0),
        field<&Connection::endpoint_arn>("EndpointArn", 0),
        field<&Connection::status>("Status", 0),
        field<&Connection::last_failure_message>("LastFailureMessage", 0),
        field<&Connection::endpoint_identifier>("EndpointIdentifier", 0),
        field<&Connection::replication_instance_identifier>("ReplicationInstanceIdentifier", 0),
    };
    static constexpr Shape shape{"Connection", members};
    return shape;
}

const Shape& shape_of(const TestConnectionResponse*) {
    static constexpr Member members[] = {
        field<&TestConnectionResponse::connection>("Connection", 0),
    };
    static constexpr Shape shape{"TestConnectionResponse", members};
    return shape;
}

const Shape& shape_of(const DeleteConnectionMessage*) {
    static constexpr Member members[] = {
        field<&DeleteConnectionMessage::endpoint_arn>("EndpointArn", kRequired),
        field<&DeleteConnectionMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
    };
    static constexpr Shape shape{"DeleteConnectionMessage", members};
    return shape;
}

const Shape& shape_of(const DeleteConnectionResponse*) {
    static constexpr Member members[] = {
        field<&DeleteConnectionResponse::connection>("Connection", 0),
    };
    static constexpr Shape shape{"DeleteConnectionResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeConnectionsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeConnectionsMessage::filters>("Filters", 0),
        field<&DescribeConnectionsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeConnectionsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeConnectionsMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeConnectionsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeConnectionsResponse::marker>("Marker", 0),
        field<&DescribeConnectionsResponse::connections>("Connections", 0),
    };
    static constexpr Shape shape{"DescribeConnectionsResponse", members};
    return shape;
}

const Shape& shape_of(const RefreshSchemasMessage*) {
    static constexpr Member members[] = {
        field<&RefreshSchemasMessage::endpoint_arn>("EndpointArn", kRequired),
        field<&RefreshSchemasMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
    };
    static constexpr Shape shape{"RefreshSchemasMessage", members};
    return shape;
}

const Shape& shape_of(const RefreshSchemasStatus*) {
    static constexpr Member members[] = {
        field<&RefreshSchemasStatus::endpoint_arn>("EndpointArn", 0),
        field<&RefreshSchemasStatus::replication_instance_arn>("ReplicationInstanceArn", 0),
        field<&RefreshSchemasStatus::status>("Status", 0, kRefreshSchemasStatusTypeValue),
        field<&RefreshSchemasStatus::last_refresh_date>("LastRefreshDate", 0),
        field<&RefreshSchemasStatus::last_failure_message>("LastFailureMessage", 0),
    };
    static constexpr Shape shape{"RefreshSchemasStatus", members};
    return shape;
}

const Shape& shape_of(const RefreshSchemasResponse*) {
    static constexpr Member members[] = {
        field<&RefreshSchemasResponse::refresh_schemas_status>("RefreshSchemasStatus", 0),
    };
    static constexpr Shape shape{"RefreshSchemasResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeRefreshSchemasStatusMessage*) {
    static constexpr Member members[] = {
        field<&DescribeRefreshSchemasStatusMessage::endpoint_arn>("EndpointArn", kRequired),
    };
    static constexpr Shape shape{"DescribeRefreshSchemasStatusMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeRefreshSchemasStatusResponse*) {
    static constexpr Member members[] = {
        field<&DescribeRefreshSchemasStatusResponse::refresh_schemas_status>("RefreshSchemasStatus", 0),
    };
    static constexpr Shape shape{"DescribeRefreshSchemasStatusResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeSchemasMessage*) {
    static constexpr Member members[] = {
        field<&DescribeSchemasMessage::endpoint_arn>("EndpointArn", kRequired),
        field<&DescribeSchemasMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeSchemasMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeSchemasMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeSchemasResponse*) {
    static constexpr Member members[] = {
        field<&DescribeSchemasResponse::marker>("Marker", 0),
        field<&DescribeSchemasResponse::schemas>("Schemas", 0),
    };
    static constexpr Shape shape{"DescribeSchemasResponse", members};
    return shape;
}

const Shape& shape_of(const CreateReplicationTaskMessage*) {
    static constexpr Member members[] = {
        field<&CreateReplicationTaskMessage::replication_task_identifier>("ReplicationTaskIdentifier", kRequired),
        field<&CreateReplicationTaskMessage::source_endpoint_arn>("SourceEndpointArn", kRequired),
        field<&CreateReplicationTaskMessage::target_endpoint_arn>("TargetEndpointArn", kRequired),
        field<&CreateReplicationTaskMessage::replication_instance_arn>("ReplicationInstanceArn", kRequired),
        field<&CreateReplicationTaskMessage::migration_type>("MigrationType", kRequired, kMigrationTypeValue),
        field<&CreateReplicationTaskMessage::table_mappings>("TableMappings", kRequired),
        field<&CreateReplicationTaskMessage::replication_task_settings>("ReplicationTaskSettings", 0),
        field<&CreateReplicationTaskMessage::cdc_start_time>("CdcStartTime", 0),
        field<&CreateReplicationTaskMessage::cdc_start_position>("CdcStartPosition", 0),
        field<&CreateReplicationTaskMessage::cdc_stop_position>("CdcStopPosition", 0),
        field<&CreateReplicationTaskMessage::tags>("Tags", 0),
        field<&CreateReplicationTaskMessage::task_data>("TaskData", 0),
        field<&CreateReplicationTaskMessage::resource_identifier>("ResourceIdentifier", 0),
    };
    static constexpr Shape shape{"CreateReplicationTaskMessage", members};
    return shape;
}

const Shape& shape_of(const ReplicationTaskStats*) {
    static constexpr Member members[] = {
        field<&ReplicationTaskStats::full_load_progress_percent>("FullLoadProgressPercent", kInt32),
        field<&ReplicationTaskStats::elapsed_time_millis>("ElapsedTimeMillis", 0),
        field<&ReplicationTaskStats::tables_loaded>("TablesLoaded", kInt32),
        field<&ReplicationTaskStats::tables_loading>("TablesLoading", kInt32),
        field<&ReplicationTaskStats::tables_queued>("TablesQueued", kInt32),
        field<&ReplicationTaskStats::tables_errored>("TablesErrored", kInt32),
        field<&ReplicationTaskStats::fresh_start_date>("FreshStartDate", 0),
        field<&ReplicationTaskStats::start_date>("StartDate", 0),
        field<&ReplicationTaskStats::stop_date>("StopDate", 0),
        field<&ReplicationTaskStats::full_load_start_date>("FullLoadStartDate", 0),
        field<&ReplicationTaskStats::full_load_finish_date>("FullLoadFinishDate", 0),
    };
    static constexpr Shape shape{"ReplicationTaskStats", members};
    return shape;
}

const Shape& shape_of(const ReplicationTask*) {
    static constexpr Member members[] = {
        field<&ReplicationTask::replication_task_identifier>("ReplicationTaskIdentifier", 0),
        field<&ReplicationTask::source_endpoint_arn>("SourceEndpointArn", 0),
        field<&ReplicationTask::target_endpoint_arn>("TargetEndpointArn", 0),
        field<&ReplicationTask::replication_instance_arn>("ReplicationInstanceArn", 0),
        field<&ReplicationTask::migration_type>("MigrationType", 0, kMigrationTypeValue),
        field<&ReplicationTask::table_mappings>("TableMappings", 0),
        field<&ReplicationTask::replication_task_settings>("ReplicationTaskSettings", 0),
        field<&ReplicationTask::status>("Status", 0),
        field<&ReplicationTask::last_failure_message>("LastFailureMessage", 0),
        field<&ReplicationTask::stop_reason>("StopReason", 0),
        field<&ReplicationTask::replication_task_creation_date>("ReplicationTaskCreationDate", 0),
        field<&ReplicationTask::replication_task_start_date>("ReplicationTaskStartDate", 0),
        field<&ReplicationTask::cdc_start_position>("CdcStartPosition", 0),
        field<&ReplicationTask::cdc_stop_position>("CdcStopPosition", 0),
        field<&ReplicationTask::recovery_checkpoint>("RecoveryCheckpoint", 0),
        field<&ReplicationTask::replication_task_arn>("ReplicationTaskArn", 0),
        field<&ReplicationTask::replication_task_stats>("ReplicationTaskStats", 0),
        field<&ReplicationTask::task_data>("TaskData", 0),
        field<&ReplicationTask::target_replication_instance_arn>("TargetReplicationInstanceArn", 0),
    };
    static constexpr Shape shape{"ReplicationTask", members};
    return shape;
}

const Shape& shape_of(const CreateReplicationTaskResponse*) {
    static constexpr Member members[] = {
        field<&CreateReplicationTaskResponse::replication_task>("ReplicationTask", 0),
    };
    static constexpr Shape shape{"CreateReplicationTaskResponse", members};
    return shape;
}

const Shape& shape_of(const ModifyReplicationTaskMessage*) {
    static constexpr Member members[] = {
        field<&ModifyReplicationTaskMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
        field<&ModifyReplicationTaskMessage::replication_task_identifier>("ReplicationTaskIdentifier", 0),
        field<&ModifyReplicationTaskMessage::migration_type>("MigrationType", 0, kMigrationTypeValue),
        field<&ModifyReplicationTaskMessage::table_mappings>("TableMappings", 0),
        field<&ModifyReplicationTaskMessage::replication_task_settings>("ReplicationTaskSettings", 0),
        field<&ModifyReplicationTaskMessage::cdc_start_time>("CdcStartTime", 0),
        field<&ModifyReplicationTaskMessage::cdc_start_position>("CdcStartPosition", 0),
        field<&ModifyReplicationTaskMessage::cdc_stop_position>("CdcStopPosition", 0),
        field<&ModifyReplicationTaskMessage::task_data>("TaskData", 0),
    };
    static constexpr Shape shape{"ModifyReplicationTaskMessage", members};
    return shape;
}

const Shape& shape_of(const ModifyReplicationTaskResponse*) {
    static constexpr Member members[] = {
        field<&ModifyReplicationTaskResponse::replication_task>("ReplicationTask", 0),
    };
    static constexpr Shape shape{"ModifyReplicationTaskResponse", members};
    return shape;
}

const Shape& shape_of(const StartReplicationTaskMessage*) {
    static constexpr Member members[] = {
        field<&StartReplicationTaskMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
        field<&StartReplicationTaskMessage::start_replication_task_type>("StartReplicationTaskType", kRequired, kStartReplicationTaskTypeValue),
        field<&StartReplicationTaskMessage::cdc_start_time>("CdcStartTime", 0),
        field<&StartReplicationTaskMessage::cdc_start_position>("CdcStartPosition", 0),
        field<&StartReplicationTaskMessage::cdc_stop_position>("CdcStopPosition", 0),
    };
    static constexpr Shape shape{"StartReplicationTaskMessage", members};
    return shape;
}

const Shape& shape_of(const StartReplicationTaskResponse*) {
    static constexpr Member members[] = {
        field<&StartReplicationTaskResponse::replication_task>("ReplicationTask", 0),
    };
    static constexpr Shape shape{"StartReplicationTaskResponse", members};
    return shape;
}

const Shape& shape_of(const StopReplicationTaskMessage*) {
    static constexpr Member members[] = {
        field<&StopReplicationTaskMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
    };
    static constexpr Shape shape{"StopReplicationTaskMessage", members};
    return shape;
}

const Shape& shape_of(const StopReplicationTaskResponse*) {
    static constexpr Member members[] = {
        field<&StopReplicationTaskResponse::replication_task>("ReplicationTask", 0),
    };
    static constexpr Shape shape{"StopReplicationTaskResponse", members};
    return shape;
}

const Shape& shape_of(const DeleteReplicationTaskMessage*) {
    static constexpr Member members[] = {
        field<&DeleteReplicationTaskMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
    };
    static constexpr Shape shape{"DeleteReplicationTaskMessage", members};
    return shape;
}

const Shape& shape_of(const DeleteReplicationTaskResponse*) {
    static constexpr Member members[] = {
        field<&DeleteReplicationTaskResponse::replication_task>("ReplicationTask", 0),
    };
    static constexpr Shape shape{"DeleteReplicationTaskResponse", members};
    return shape;
}

const Shape& shape_of(const MoveReplicationTaskMessage*) {
    static constexpr Member members[] = {
        field<&MoveReplicationTaskMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
        field<&MoveReplicationTaskMessage::target_replication_instance_arn>("TargetReplicationInstanceArn", kRequired),
    };
    static constexpr Shape shape{"MoveReplicationTaskMessage", members};
    return shape;
}

const Shape& shape_of(const MoveReplicationTaskResponse*) {
    static constexpr Member members[] = {
        field<&MoveReplicationTaskResponse::replication_task>("ReplicationTask", 0),
    };
    static constexpr Shape shape{"MoveReplicationTaskResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationTasksMessage*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationTasksMessage::filters>("Filters", 0),
        field<&DescribeReplicationTasksMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeReplicationTasksMessage::marker>("Marker", 0),
        field<&DescribeReplicationTasksMessage::without_settings>("WithoutSettings", 0),
    };
    static constexpr Shape shape{"DescribeReplicationTasksMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeReplicationTasksResponse*) {
    static constexpr Member members[] = {
        field<&DescribeReplicationTasksResponse::marker>("Marker", 0),
        field<&DescribeReplicationTasksResponse::replication_tasks>("ReplicationTasks", 0),
    };
    static constexpr Shape shape{"DescribeReplicationTasksResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeTableStatisticsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeTableStatisticsMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
        field<&DescribeTableStatisticsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeTableStatisticsMessage::marker>("Marker", 0),
        field<&DescribeTableStatisticsMessage::filters>("Filters", 0),
    };
    static constexpr Shape shape{"DescribeTableStatisticsMessage", members};
    return shape;
}

const Shape& shape_of(const TableStatistics*) {
    static constexpr Member members[] = {
        field<&TableStatistics::schema_name>("SchemaName", 0),
        field<&TableStatistics::table_name>("TableName", 0),
        field<&TableStatistics::inserts>("Inserts", 0),
        field<&TableStatistics::deletes>("Deletes", 0),
        field<&TableStatistics::updates>("Updates", 0),
        field<&TableStatistics::ddls>("Ddls", 0),
        field<&TableStatistics::applied_inserts>("AppliedInserts", 0),
        field<&TableStatistics::applied_deletes>("AppliedDeletes", 0),
        field<&TableStatistics::applied_updates>("AppliedUpdates", 0),
        field<&TableStatistics::applied_ddls>("AppliedDdls", 0),
        field<&TableStatistics::full_load_rows>("FullLoadRows", 0),
        field<&TableStatistics::full_load_condtnl_chk_failed_rows>("FullLoadCondtnlChkFailedRows", 0),
        field<&TableStatistics::full_load_error_rows>("FullLoadErrorRows", 0),
        field<&TableStatistics::full_load_start_time>("FullLoadStartTime", 0),
        field<&TableStatistics::full_load_end_time>("FullLoadEndTime", 0),
        field<&TableStatistics::full_load_reloaded>("FullLoadReloaded", 0),
        field<&TableStatistics::last_update_time>("LastUpdateTime", 0),
        field<&TableStatistics::table_state>("TableState", 0),
        field<&TableStatistics::validation_pending_records>("ValidationPendingRecords", 0),
        field<&TableStatistics::validation_failed_records>("ValidationFailedRecords", 0),
        field<&TableStatistics::validation_suspended_records>("ValidationSuspendedRecords", 0),
        field<&TableStatistics::validation_state>("ValidationState", 0),
        field<&TableStatistics::validation_state_details>("ValidationStateDetails", 0),
        field<&TableStatistics::resync_state>("ResyncState", 0),
        field<&TableStatistics::resync_rows_attempted>("ResyncRowsAttempted", 0),
        field<&TableStatistics::resync_rows_succeeded>("ResyncRowsSucceeded", 0),
        field<&TableStatistics::resync_rows_failed>("ResyncRowsFailed", 0),
        field<&TableStatistics::resync_progress>("ResyncProgress", 0),
    };
    static constexpr Shape shape{"TableStatistics", members};
    return shape;
}

const Shape& shape_of(const DescribeTableStatisticsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeTableStatisticsResponse::replication_task_arn>("ReplicationTaskArn", 0),
        field<&DescribeTableStatisticsResponse::table_statistics>("TableStatistics", 0),
        field<&DescribeTableStatisticsResponse::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeTableStatisticsResponse", members};
    return shape;
}

const Shape& shape_of(const TableToReload*) {
    static constexpr Member members[] = {
        field<&TableToReload::schema_name>("SchemaName", kRequired),
        field<&TableToReload::table_name>("TableName", kRequired),
    };
    static constexpr Shape shape{"TableToReload", members};
    return shape;
}

const Shape& shape_of(const ReloadTablesMessage*) {
    static constexpr Member members[] = {
        field<&ReloadTablesMessage::replication_task_arn>("ReplicationTaskArn", kRequired),
        field<&ReloadTablesMessage::tables_to_reload>("TablesToReload", kRequired),
        field<&ReloadTablesMessage::reload_option>("ReloadOption", 0, kReloadOptionValue),
    };
    static constexpr Shape shape{"ReloadTablesMessage", members};
    return shape;
}

const Shape& shape_of(const ReloadTablesResponse*) {
    static constexpr Member members[] = {
        field<&ReloadTablesResponse::replication_task_arn>("ReplicationTaskArn", 0),
    };
    static constexpr Shape shape{"ReloadTablesResponse", members};
    return shape;
}

const Shape& shape_of(const AddTagsToResourceMessage*) {
    static constexpr Member members[] = {
        field<&AddTagsToResourceMessage::resource_arn>("ResourceArn", kRequired),
        field<&AddTagsToResourceMessage::tags>("Tags", kRequired),
    };
    static constexpr Shape shape{"AddTagsToResourceMessage", members};
    return shape;
}

const Shape& shape_of(const AddTagsToResourceResponse*) {
    static constexpr Shape shape{"AddTagsToResourceResponse", {}};
    return shape;
}

const Shape& shape_of(const RemoveTagsFromResourceMessage*) {
    static constexpr Member members[] = {
        field<&RemoveTagsFromResourceMessage::resource_arn>("ResourceArn", kRequired),
        field<&RemoveTagsFromResourceMessage::tag_keys>("TagKeys", kRequired),
    };
    static constexpr Shape shape{"RemoveTagsFromResourceMessage", members};
    return shape;
}

const Shape& shape_of(const RemoveTagsFromResourceResponse*) {
    static constexpr Shape shape{"RemoveTagsFromResourceResponse", {}};
    return shape;
}

const Shape& shape_of(const ListTagsForResourceMessage*) {
    static constexpr Member members[] = {
        field<&ListTagsForResourceMessage::resource_arn>("ResourceArn", 0),
        field<&ListTagsForResourceMessage::resource_arn_list>("ResourceArnList", 0),
    };
    static constexpr Shape shape{"ListTagsForResourceMessage", members};
    return shape;
}

const Shape& shape_of(const ListTagsForResourceResponse*) {
    static constexpr Member members[] = {
        field<&ListTagsForResourceResponse::tag_list>("TagList", 0),
    };
    static constexpr Shape shape{"ListTagsForResourceResponse", members};
    return shape;
}

const Shape& shape_of(const ImportCertificateMessage*) {
    static constexpr Member members[] = {
        field<&ImportCertificateMessage::certificate_identifier>("CertificateIdentifier", kRequired),
        field<&ImportCertificateMessage::certificate_pem>("CertificatePem", kSensitive),
        field<&ImportCertificateMessage::certificate_wallet>("CertificateWallet", 0),
        field<&ImportCertificateMessage::tags>("Tags", 0),
        field<&ImportCertificateMessage::kms_key_id>("KmsKeyId", 0),
    };
    static constexpr Shape shape{"ImportCertificateMessage", members};
    return shape;
}

const Shape& shape_of(const Certificate*) {
    static constexpr Member members[] = {
        field<&Certificate::certificate_identifier>("CertificateIdentifier", 0),
        field<&Certificate::certificate_creation_date>("CertificateCreationDate", 0),
        field<&Certificate::certificate_pem>("CertificatePem", 0),
        field<&Certificate::certificate_wallet>("CertificateWallet", 0),
        field<&Certificate::certificate_arn>("CertificateArn", 0),
        field<&Certificate::certificate_owner>("CertificateOwner", 0),
        field<&Certificate::valid_from_date>("ValidFromDate", 0),
        field<&Certificate::valid_to_date>("ValidToDate", 0),
        field<&Certificate::signing_algorithm>("SigningAlgorithm", 0),
        field<&Certificate::key_length>("KeyLength", kInt32),
        field<&Certificate::kms_key_id>("KmsKeyId", 0),
    };
    static constexpr Shape shape{"Certificate", members};
    return shape;
}

const Shape& shape_of(const ImportCertificateResponse*) {
    static constexpr Member members[] = {
        field<&ImportCertificateResponse::certificate>("Certificate", 0),
    };
    static constexpr Shape shape{"ImportCertificateResponse", members};
    return shape;
}

const Shape& shape_of(const DeleteCertificateMessage*) {
    static constexpr Member members[] = {
        field<&DeleteCertificateMessage::certificate_arn>("CertificateArn", kRequired),
    };
    static constexpr Shape shape{"DeleteCertificateMessage", members};
    return shape;
}

const Shape& shape_of(const DeleteCertificateResponse*) {
    static constexpr Member members[] = {
        field<&DeleteCertificateResponse::certificate>("Certificate", 0),
    };
    static constexpr Shape shape{"DeleteCertificateResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeCertificatesMessage*) {
    static constexpr Member members[] = {
        field<&DescribeCertificatesMessage::filters>("Filters", 0),
        field<&DescribeCertificatesMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeCertificatesMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeCertificatesMessage", members};
    return shape;
}

const Shape& shape_of(const DescribeCertificatesResponse*) {
    static constexpr Member members[] = {
        field<&DescribeCertificatesResponse::marker>("Marker", 0),
        field<&DescribeCertificatesResponse::certificates>("Certificates", 0),
    };
    static constexpr Shape shape{"DescribeCertificatesResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeEventsMessage*) {
    static constexpr Member members[] = {
        field<&DescribeEventsMessage::source_identifier>("SourceIdentifier", 0),
        field<&DescribeEventsMessage::source_type>("SourceType", 0, kSourceType),
        field<&DescribeEventsMessage::start_time>("StartTime", 0),
        field<&DescribeEventsMessage::end_time>("EndTime", 0),
        field<&DescribeEventsMessage::duration>("Duration", kInt32),
        field<&DescribeEventsMessage::event_categories>("EventCategories", 0),
        field<&DescribeEventsMessage::filters>("Filters", 0),
        field<&DescribeEventsMessage::max_records>("MaxRecords", kInt32),
        field<&DescribeEventsMessage::marker>("Marker", 0),
    };
    static constexpr Shape shape{"DescribeEventsMessage", members};
    return shape;
}

const Shape& shape_of(const Event*) {
    static constexpr Member members[] = {
        field<&Event::source_identifier>("SourceIdentifier", 0),
        field<&Event::source_type>("SourceType", 0, kSourceType),
        field<&Event::message>("Message", 0),
        field<&Event::event_categories>("EventCategories", 0),
        field<&Event::date>("Date", 0),
    };
    static constexpr Shape shape{"Event", members};
    return shape;
}

const Shape& shape_of(const DescribeEventsResponse*) {
    static constexpr Member members[] = {
        field<&DescribeEventsResponse::marker>("Marker", 0),
        field<&DescribeEventsResponse::events>("Events", 0),
    };
    static constexpr Shape shape{"DescribeEventsResponse", members};
    return shape;
}

const Shape& shape_of(const DescribeEventCategoriesMessage*) {
    static constexpr Member members[] = {
        field<&DescribeEventCategoriesMessage::source_type>("SourceType", 0),
        field<&DescribeEventCategoriesMessage::filters>("Filters", 0),
    };
    static constexpr Shape shape{"DescribeEventCategoriesMessage", members};
    return shape;
}

const Shape& shape_of(const EventCategoryGroup*) {
    static constexpr Member members[] = {
        field<&EventCategoryGroup::source_type>("SourceType", 0),
        field<&EventCategoryGroup::event_categories>("EventCategories", 0),
    };
    static constexpr Shape shape{"EventCategoryGroup", members};
    return shape;
}

const Shape& shape_of(const DescribeEventCategoriesResponse*) {
    static constexpr Member members[] = {
        field<&DescribeEventCategoriesResponse::event_category_group_list>("EventCategoryGroupList", 0),
    };
    static constexpr Shape shape{"DescribeEventCategoriesResponse", members};
    return shape;
}

}  // namespace godwit::api::model
