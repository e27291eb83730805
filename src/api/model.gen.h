#pragma once
// Written by tools/gen_model.py; do not edit.
// clang-format off
// The messages of the DMS operations that this release answers. An absent member is an empty optional.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/shape.h"

namespace godwit::api::model {

inline constexpr std::string_view kModelVersion = "dms 2016-01-01, botocore 1.44.5, sha256 05edaf0b4b52c2e0";

struct Tag {
    std::optional<std::string> key;
    std::optional<std::string> value;
    std::optional<std::string> resource_arn;
};

struct KerberosAuthenticationSettings {
    std::optional<std::string> key_cache_secret_id;
    std::optional<std::string> key_cache_secret_iam_arn;
    std::optional<std::string> krb5_file_contents;
};

struct CreateReplicationInstanceMessage {
    std::optional<std::string> replication_instance_identifier;
    std::optional<std::int64_t> allocated_storage;
    std::optional<std::string> replication_instance_class;
    std::optional<std::vector<std::string>> vpc_security_group_ids;
    std::optional<std::string> availability_zone;
    std::optional<std::string> replication_subnet_group_identifier;
    std::optional<std::string> preferred_maintenance_window;
    std::optional<bool> multi_az;
    std::optional<std::string> engine_version;
    std::optional<bool> auto_minor_version_upgrade;
    std::optional<std::vector<Tag>> tags;
    std::optional<std::string> kms_key_id;
    std::optional<bool> publicly_accessible;
    std::optional<std::string> dns_name_servers;
    std::optional<std::string> resource_identifier;
    std::optional<std::string> network_type;
    std::optional<KerberosAuthenticationSettings> kerberos_authentication_settings;
};

struct VpcSecurityGroupMembership {
    std::optional<std::string> vpc_security_group_id;
    std::optional<std::string> status;
};

struct AvailabilityZone {
    std::optional<std::string> name;
};

struct Subnet {
    std::optional<std::string> subnet_identifier;
    std::optional<AvailabilityZone> subnet_availability_zone;
    std::optional<std::string> subnet_status;
};

struct ReplicationSubnetGroup {
    std::optional<std::string> replication_subnet_group_identifier;
    std::optional<std::string> replication_subnet_group_description;
    std::optional<std::string> vpc_id;
    std::optional<std::string> subnet_group_status;
    std::optional<std::vector<Subnet>> subnets;
    std::optional<std::vector<std::string>> supported_network_types;
    std::optional<bool> is_read_only;
};

struct ReplicationPendingModifiedValues {
    std::optional<std::string> replication_instance_class;
    std::optional<std::int64_t> allocated_storage;
    std::optional<bool> multi_az;
    std::optional<std::string> engine_version;
    std::optional<std::string> network_type;
};

struct ReplicationInstance {
    std::optional<std::string> replication_instance_identifier;
    std::optional<std::string> replication_instance_class;
    std::optional<std::string> replication_instance_status;
    std::optional<std::int64_t> allocated_storage;
    std::optional<Timestamp> instance_create_time;
    std::optional<std::vector<VpcSecurityGroupMembership>> vpc_security_groups;
    std::optional<std::string> availability_zone;
    std::optional<ReplicationSubnetGroup> replication_subnet_group;
    std::optional<std::string> preferred_maintenance_window;
    std::optional<ReplicationPendingModifiedValues> pending_modified_values;
    std::optional<bool> multi_az;
    std::optional<std::string> engine_version;
    std::optional<bool> auto_minor_version_upgrade;
    std::optional<std::string> kms_key_id;
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> replication_instance_public_ip_address;
    std::optional<std::string> replication_instance_private_ip_address;
    std::optional<std::vector<std::string>> replication_instance_public_ip_addresses;
    std::optional<std::vector<std::string>> replication_instance_private_ip_addresses;
    std::optional<std::vector<std::string>> replication_instance_ipv6_addresses;
    std::optional<bool> publicly_accessible;
    std::optional<std::string> secondary_availability_zone;
    std::optional<Timestamp> free_until;
    std::optional<std::string> dns_name_servers;
    std::optional<std::string> network_type;
    std::optional<KerberosAuthenticationSettings> kerberos_authentication_settings;
};

struct CreateReplicationInstanceResponse {
    std::optional<ReplicationInstance> replication_instance;
};

struct ModifyReplicationInstanceMessage {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::int64_t> allocated_storage;
    std::optional<bool> apply_immediately;
    std::optional<std::string> replication_instance_class;
    std::optional<std::vector<std::string>> vpc_security_group_ids;
    std::optional<std::string> preferred_maintenance_window;
    std::optional<bool> multi_az;
    std::optional<std::string> engine_version;
    std::optional<bool> allow_major_version_upgrade;
    std::optional<bool> auto_minor_version_upgrade;
    std::optional<std::string> replication_instance_identifier;
    std::optional<std::string> network_type;
    std::optional<KerberosAuthenticationSettings> kerberos_authentication_settings;
};

struct ModifyReplicationInstanceResponse {
    std::optional<ReplicationInstance> replication_instance;
};

struct DeleteReplicationInstanceMessage {
    std::optional<std::string> replication_instance_arn;
};

struct DeleteReplicationInstanceResponse {
    std::optional<ReplicationInstance> replication_instance;
};

struct RebootReplicationInstanceMessage {
    std::optional<std::string> replication_instance_arn;
    std::optional<bool> force_failover;
    std::optional<bool> force_planned_failover;
};

struct RebootReplicationInstanceResponse {
    std::optional<ReplicationInstance> replication_instance;
};

struct Filter {
    std::optional<std::string> name;
    std::optional<std::vector<std::string>> values;
};

struct DescribeReplicationInstancesMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct DescribeReplicationInstancesResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<ReplicationInstance>> replication_instances;
};

struct CreateReplicationSubnetGroupMessage {
    std::optional<std::string> replication_subnet_group_identifier;
    std::optional<std::string> replication_subnet_group_description;
    std::optional<std::vector<std::string>> subnet_ids;
    std::optional<std::vector<Tag>> tags;
};

struct CreateReplicationSubnetGroupResponse {
    std::optional<ReplicationSubnetGroup> replication_subnet_group;
};

struct ModifyReplicationSubnetGroupMessage {
    std::optional<std::string> replication_subnet_group_identifier;
    std::optional<std::string> replication_subnet_group_description;
    std::optional<std::vector<std::string>> subnet_ids;
};

struct ModifyReplicationSubnetGroupResponse {
    std::optional<ReplicationSubnetGroup> replication_subnet_group;
};

struct DeleteReplicationSubnetGroupMessage {
    std::optional<std::string> replication_subnet_group_identifier;
};

struct DeleteReplicationSubnetGroupResponse {};

struct DescribeReplicationSubnetGroupsMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct DescribeReplicationSubnetGroupsResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<ReplicationSubnetGroup>> replication_subnet_groups;
};

struct DescribeOrderableReplicationInstancesMessage {
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct OrderableReplicationInstance {
    std::optional<std::string> engine_version;
    std::optional<std::string> replication_instance_class;
    std::optional<std::string> storage_type;
    std::optional<std::int64_t> min_allocated_storage;
    std::optional<std::int64_t> max_allocated_storage;
    std::optional<std::int64_t> default_allocated_storage;
    std::optional<std::int64_t> included_allocated_storage;
    std::optional<std::vector<std::string>> availability_zones;
    std::optional<std::string> release_status;
};

struct DescribeOrderableReplicationInstancesResponse {
    std::optional<std::vector<OrderableReplicationInstance>> orderable_replication_instances;
    std::optional<std::string> marker;
};

struct DescribeEngineVersionsMessage {
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct EngineVersion {
    std::optional<std::string> version;
    std::optional<std::string> lifecycle;
    std::optional<std::string> release_status;
    std::optional<Timestamp> launch_date;
    std::optional<Timestamp> auto_upgrade_date;
    std::optional<Timestamp> deprecation_date;
    std::optional<Timestamp> force_upgrade_date;
    std::optional<std::vector<std::string>> available_upgrades;
};

struct DescribeEngineVersionsResponse {
    std::optional<std::vector<EngineVersion>> engine_versions;
    std::optional<std::string> marker;
};

struct DescribeReplicationInstanceTaskLogsMessage {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct ReplicationInstanceTaskLog {
    std::optional<std::string> replication_task_name;
    std::optional<std::string> replication_task_arn;
    std::optional<std::int64_t> replication_instance_task_log_size;
};

struct DescribeReplicationInstanceTaskLogsResponse {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::vector<ReplicationInstanceTaskLog>> replication_instance_task_logs;
    std::optional<std::string> marker;
};

struct DescribePendingMaintenanceActionsMessage {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::vector<Filter>> filters;
    std::optional<std::string> marker;
    std::optional<std::int64_t> max_records;
};

struct PendingMaintenanceAction {
    std::optional<std::string> action;
    std::optional<Timestamp> auto_applied_after_date;
    std::optional<Timestamp> forced_apply_date;
    std::optional<std::string> opt_in_status;
    std::optional<Timestamp> current_apply_date;
    std::optional<std::string> description;
};

struct ResourcePendingMaintenanceActions {
    std::optional<std::string> resource_identifier;
    std::optional<std::vector<PendingMaintenanceAction>> pending_maintenance_action_details;
};

struct DescribePendingMaintenanceActionsResponse {
    std::optional<std::vector<ResourcePendingMaintenanceActions>> pending_maintenance_actions;
    std::optional<std::string> marker;
};

struct ApplyPendingMaintenanceActionMessage {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> apply_action;
    std::optional<std::string> opt_in_type;
};

struct ApplyPendingMaintenanceActionResponse {
    std::optional<ResourcePendingMaintenanceActions> resource_pending_maintenance_actions;
};

struct DescribeAccountAttributesMessage {};

struct AccountQuota {
    std::optional<std::string> account_quota_name;
    std::optional<std::int64_t> used;
    std::optional<std::int64_t> max;
};

struct DescribeAccountAttributesResponse {
    std::optional<std::vector<AccountQuota>> account_quotas;
    std::optional<std::string> unique_account_identifier;
};

struct DynamoDbSettings {
    std::optional<std::string> service_access_role_arn;
};

struct S3Settings {
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> external_table_definition;
    std::optional<std::string> csv_row_delimiter;
    std::optional<std::string> csv_delimiter;
    std::optional<std::string> bucket_folder;
    std::optional<std::string> bucket_name;
    std::optional<std::string> compression_type;
    std::optional<std::string> encryption_mode;
    std::optional<std::string> server_side_encryption_kms_key_id;
    std::optional<std::string> data_format;
    std::optional<std::string> encoding_type;
    std::optional<std::int64_t> dict_page_size_limit;
    std::optional<std::int64_t> row_group_length;
    std::optional<std::int64_t> data_page_size;
    std::optional<std::string> parquet_version;
    std::optional<bool> enable_statistics;
    std::optional<bool> include_op_for_full_load;
    std::optional<bool> cdc_inserts_only;
    std::optional<std::string> timestamp_column_name;
    std::optional<bool> parquet_timestamp_in_millisecond;
    std::optional<bool> cdc_inserts_and_updates;
    std::optional<bool> date_partition_enabled;
    std::optional<std::string> date_partition_sequence;
    std::optional<std::string> date_partition_delimiter;
    std::optional<bool> use_csv_no_sup_value;
    std::optional<std::string> csv_no_sup_value;
    std::optional<bool> preserve_transactions;
    std::optional<std::string> cdc_path;
    std::optional<bool> use_task_start_time_for_full_load_timestamp;
    std::optional<std::string> canned_acl_for_objects;
    std::optional<bool> add_column_name;
    std::optional<std::int64_t> cdc_max_batch_interval;
    std::optional<std::int64_t> cdc_min_file_size;
    std::optional<std::string> csv_null_value;
    std::optional<std::int64_t> ignore_header_rows;
    std::optional<std::int64_t> max_file_size;
    std::optional<bool> rfc4180;
    std::optional<std::string> date_partition_timezone;
    std::optional<bool> add_trailing_padding_character;
    std::optional<std::string> expected_bucket_owner;
    std::optional<bool> glue_catalog_generation;
};

struct DmsTransferSettings {
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> bucket_name;
};

struct MongoDbSettings {
    std::optional<std::string> username;
    std::optional<std::string> password;
    std::optional<std::string> server_name;
    std::optional<std::int64_t> port;
    std::optional<std::string> database_name;
    std::optional<std::string> auth_type;
    std::optional<std::string> auth_mechanism;
    std::optional<std::string> nesting_level;
    std::optional<std::string> extract_doc_id;
    std::optional<std::string> docs_to_investigate;
    std::optional<std::string> auth_source;
    std::optional<std::string> kms_key_id;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<bool> use_update_look_up;
    std::optional<bool> replicate_shard_collections;
};

struct KinesisSettings {
    std::optional<std::string> stream_arn;
    std::optional<std::string> message_format;
    std::optional<std::string> service_access_role_arn;
    std::optional<bool> include_transaction_details;
    std::optional<bool> include_partition_value;
    std::optional<bool> partition_include_schema_table;
    std::optional<bool> include_table_alter_operations;
    std::optional<bool> include_control_details;
    std::optional<bool> include_null_and_empty;
    std::optional<bool> no_hex_prefix;
    std::optional<bool> use_large_integer_value;
};

struct KafkaSettings {
    std::optional<std::string> broker;
    std::optional<std::string> topic;
    std::optional<std::string> message_format;
    std::optional<bool> include_transaction_details;
    std::optional<bool> include_partition_value;
    std::optional<bool> partition_include_schema_table;
    std::optional<bool> include_table_alter_operations;
    std::optional<bool> include_control_details;
    std::optional<std::int64_t> message_max_bytes;
    std::optional<bool> include_null_and_empty;
    std::optional<std::string> security_protocol;
    std::optional<std::string> ssl_client_certificate_arn;
    std::optional<std::string> ssl_client_key_arn;
    std::optional<std::string> ssl_client_key_password;
    std::optional<std::string> ssl_ca_certificate_arn;
    std::optional<std::string> sasl_username;
    std::optional<std::string> sasl_password;
    std::optional<bool> no_hex_prefix;
    std::optional<std::string> sasl_mechanism;
    std::optional<std::string> ssl_endpoint_identification_algorithm;
    std::optional<bool> use_large_integer_value;
};

struct ElasticsearchSettings {
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> endpoint_uri;
    std::optional<std::int64_t> full_load_error_percentage;
    std::optional<std::int64_t> error_retry_duration;
    std::optional<bool> use_new_mapping_type;
};

struct NeptuneSettings {
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> s3_bucket_name;
    std::optional<std::string> s3_bucket_folder;
    std::optional<std::int64_t> error_retry_duration;
    std::optional<std::int64_t> max_file_size;
    std::optional<std::int64_t> max_retry_count;
    std::optional<bool> iam_auth_enabled;
};

struct RedshiftSettings {
    std::optional<bool> accept_any_date;
    std::optional<std::string> after_connect_script;
    std::optional<std::string> bucket_folder;
    std::optional<std::string> bucket_name;
    std::optional<bool> case_sensitive_names;
    std::optional<bool> comp_update;
    std::optional<std::int64_t> connection_timeout;
    std::optional<std::string> database_name;
    std::optional<std::string> date_format;
    std::optional<bool> empty_as_null;
    std::optional<std::string> encryption_mode;
    std::optional<bool> explicit_ids;
    std::optional<std::int64_t> file_transfer_upload_streams;
    std::optional<std::int64_t> load_timeout;
    std::optional<std::int64_t> max_file_size;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<bool> remove_quotes;
    std::optional<std::string> replace_invalid_chars;
    std::optional<std::string> replace_chars;
    std::optional<std::string> server_name;
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> server_side_encryption_kms_key_id;
    std::optional<std::string> time_format;
    std::optional<bool> trim_blanks;
    std::optional<bool> truncate_columns;
    std::optional<std::string> username;
    std::optional<std::int64_t> write_buffer_size;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<bool> map_boolean_as_boolean;
};

struct PostgreSQLSettings {
    std::optional<std::string> after_connect_script;
    std::optional<bool> capture_ddls;
    std::optional<std::int64_t> max_file_size;
    std::optional<std::string> database_name;
    std::optional<std::string> ddl_artifacts_schema;
    std::optional<std::int64_t> execute_timeout;
    std::optional<bool> fail_tasks_on_lob_truncation;
    std::optional<bool> heartbeat_enable;
    std::optional<std::string> heartbeat_schema;
    std::optional<std::int64_t> heartbeat_frequency;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<std::string> server_name;
    std::optional<std::string> username;
    std::optional<std::string> slot_name;
    std::optional<std::string> plugin_name;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<bool> trim_space_in_char;
    std::optional<bool> map_boolean_as_boolean;
    std::optional<bool> map_jsonb_as_clob;
    std::optional<std::string> map_long_varchar_as;
    std::optional<std::string> database_mode;
    std::optional<std::string> babelfish_database_name;
    std::optional<bool> disable_unicode_source_filter;
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> authentication_method;
};

struct MySQLSettings {
    std::optional<std::string> after_connect_script;
    std::optional<bool> clean_source_metadata_on_mismatch;
    std::optional<std::string> database_name;
    std::optional<std::int64_t> events_poll_interval;
    std::optional<std::string> target_db_type;
    std::optional<std::int64_t> max_file_size;
    std::optional<std::int64_t> parallel_load_threads;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<std::string> server_name;
    std::optional<std::string> server_timezone;
    std::optional<std::string> username;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<std::int64_t> execute_timeout;
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> authentication_method;
};

struct OracleSettings {
    std::optional<bool> add_supplemental_logging;
    std::optional<std::int64_t> archived_log_dest_id;
    std::optional<std::int64_t> additional_archived_log_dest_id;
    std::optional<std::vector<std::int64_t>> extra_archived_log_dest_ids;
    std::optional<bool> allow_select_nested_tables;
    std::optional<std::int64_t> parallel_asm_read_threads;
    std::optional<std::int64_t> read_ahead_blocks;
    std::optional<bool> access_alternate_directly;
    std::optional<bool> use_alternate_folder_for_online;
    std::optional<std::string> oracle_path_prefix;
    std::optional<std::string> use_path_prefix;
    std::optional<bool> replace_path_prefix;
    std::optional<bool> enable_homogenous_tablespace;
    std::optional<bool> direct_path_no_log;
    std::optional<bool> archived_logs_only;
    std::optional<std::string> asm_password;
    std::optional<std::string> asm_server;
    std::optional<std::string> asm_user;
    std::optional<std::string> char_length_semantics;
    std::optional<std::string> database_name;
    std::optional<bool> direct_path_parallel_load;
    std::optional<bool> fail_tasks_on_lob_truncation;
    std::optional<std::int64_t> number_datatype_scale;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<bool> read_table_space_name;
    std::optional<std::int64_t> retry_interval;
    std::optional<std::string> security_db_encryption;
    std::optional<std::string> security_db_encryption_name;
    std::optional<std::string> server_name;
    std::optional<std::string> spatial_data_option_to_geo_json_function_name;
    std::optional<std::int64_t> standby_delay_time;
    std::optional<std::string> username;
    std::optional<bool> use_b_file;
    std::optional<bool> use_direct_path_full_load;
    std::optional<bool> use_logminer_reader;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<std::string> secrets_manager_oracle_asm_access_role_arn;
    std::optional<std::string> secrets_manager_oracle_asm_secret_id;
    std::optional<bool> trim_space_in_char;
    std::optional<bool> convert_timestamp_with_zone_to_utc;
    std::optional<std::int64_t> open_transaction_window;
    std::optional<std::string> authentication_method;
};

struct SybaseSettings {
    std::optional<std::string> database_name;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<std::string> server_name;
    std::optional<std::string> username;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
};

struct MicrosoftSQLServerSettings {
    std::optional<std::int64_t> port;
    std::optional<std::int64_t> bcp_packet_size;
    std::optional<std::string> database_name;
    std::optional<std::string> control_tables_file_group;
    std::optional<std::string> password;
    std::optional<bool> query_single_always_on_node;
    std::optional<bool> read_backup_only;
    std::optional<std::string> safeguard_policy;
    std::optional<std::string> server_name;
    std::optional<std::string> username;
    std::optional<bool> use_bcp_full_load;
    std::optional<bool> use_third_party_backup_device;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<bool> trim_space_in_char;
    std::optional<std::string> tlog_access_mode;
    std::optional<bool> force_lob_lookup;
    std::optional<std::string> authentication_method;
};

struct IBMDb2Settings {
    std::optional<std::string> database_name;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<std::string> server_name;
    std::optional<bool> set_data_capture_changes;
    std::optional<std::string> current_lsn;
    std::optional<std::int64_t> max_k_bytes_per_read;
    std::optional<std::string> username;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<std::int64_t> load_timeout;
    std::optional<std::int64_t> write_buffer_size;
    std::optional<std::int64_t> max_file_size;
    std::optional<bool> keep_csv_files;
};

struct DocDbSettings {
    std::optional<std::string> username;
    std::optional<std::string> password;
    std::optional<std::string> server_name;
    std::optional<std::int64_t> port;
    std::optional<std::string> database_name;
    std::optional<std::string> nesting_level;
    std::optional<bool> extract_doc_id;
    std::optional<std::int64_t> docs_to_investigate;
    std::optional<std::string> kms_key_id;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
    std::optional<bool> use_update_look_up;
    std::optional<bool> replicate_shard_collections;
};

struct RedisSettings {
    std::optional<std::string> server_name;
    std::optional<std::int64_t> port;
    std::optional<std::string> ssl_security_protocol;
    std::optional<std::string> auth_type;
    std::optional<std::string> auth_user_name;
    std::optional<std::string> auth_password;
    std::optional<std::string> ssl_ca_certificate_arn;
};

struct GcpMySQLSettings {
    std::optional<std::string> after_connect_script;
    std::optional<bool> clean_source_metadata_on_mismatch;
    std::optional<std::string> database_name;
    std::optional<std::int64_t> events_poll_interval;
    std::optional<std::string> target_db_type;
    std::optional<std::int64_t> max_file_size;
    std::optional<std::int64_t> parallel_load_threads;
    std::optional<std::string> password;
    std::optional<std::int64_t> port;
    std::optional<std::string> server_name;
    std::optional<std::string> server_timezone;
    std::optional<std::string> username;
    std::optional<std::string> secrets_manager_access_role_arn;
    std::optional<std::string> secrets_manager_secret_id;
};

struct TimestreamSettings {
    std::optional<std::string> database_name;
    std::optional<std::int64_t> memory_duration;
    std::optional<std::int64_t> magnetic_duration;
    std::optional<bool> cdc_inserts_and_updates;
    std::optional<bool> enable_magnetic_store_writes;
};

struct CreateEndpointMessage {
    std::optional<std::string> endpoint_identifier;
    std::optional<std::string> endpoint_type;
    std::optional<std::string> engine_name;
    std::optional<std::string> username;
    std::optional<std::string> password;
    std::optional<std::string> server_name;
    std::optional<std::int64_t> port;
    std::optional<std::string> database_name;
    std::optional<std::string> extra_connection_attributes;
    std::optional<std::string> kms_key_id;
    std::optional<std::vector<Tag>> tags;
    std::optional<std::string> certificate_arn;
    std::optional<std::string> ssl_mode;
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> external_table_definition;
    std::optional<DynamoDbSettings> dynamo_db_settings;
    std::optional<S3Settings> s3_settings;
    std::optional<DmsTransferSettings> dms_transfer_settings;
    std::optional<MongoDbSettings> mongo_db_settings;
    std::optional<KinesisSettings> kinesis_settings;
    std::optional<KafkaSettings> kafka_settings;
    std::optional<ElasticsearchSettings> elasticsearch_settings;
    std::optional<NeptuneSettings> neptune_settings;
    std::optional<RedshiftSettings> redshift_settings;
    std::optional<PostgreSQLSettings> postgre_sql_settings;
    std::optional<MySQLSettings> my_sql_settings;
    std::optional<OracleSettings> oracle_settings;
    std::optional<SybaseSettings> sybase_settings;
    std::optional<MicrosoftSQLServerSettings> microsoft_sql_server_settings;
    std::optional<IBMDb2Settings> ibm_db2_settings;
    std::optional<std::string> resource_identifier;
    std::optional<DocDbSettings> doc_db_settings;
    std::optional<RedisSettings> redis_settings;
    std::optional<GcpMySQLSettings> gcp_my_sql_settings;
    std::optional<TimestreamSettings> timestream_settings;
};

struct LakehouseSettings {
    std::optional<std::string> arn;
};

struct Endpoint {
    std::optional<std::string> endpoint_identifier;
    std::optional<std::string> endpoint_type;
    std::optional<std::string> engine_name;
    std::optional<std::string> engine_display_name;
    std::optional<std::string> username;
    std::optional<std::string> server_name;
    std::optional<std::int64_t> port;
    std::optional<std::string> database_name;
    std::optional<std::string> extra_connection_attributes;
    std::optional<std::string> status;
    std::optional<std::string> kms_key_id;
    std::optional<std::string> endpoint_arn;
    std::optional<std::string> certificate_arn;
    std::optional<std::string> ssl_mode;
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> external_table_definition;
    std::optional<std::string> external_id;
    std::optional<bool> is_read_only;
    std::optional<DynamoDbSettings> dynamo_db_settings;
    std::optional<S3Settings> s3_settings;
    std::optional<DmsTransferSettings> dms_transfer_settings;
    std::optional<MongoDbSettings> mongo_db_settings;
    std::optional<KinesisSettings> kinesis_settings;
    std::optional<KafkaSettings> kafka_settings;
    std::optional<ElasticsearchSettings> elasticsearch_settings;
    std::optional<NeptuneSettings> neptune_settings;
    std::optional<RedshiftSettings> redshift_settings;
    std::optional<PostgreSQLSettings> postgre_sql_settings;
    std::optional<MySQLSettings> my_sql_settings;
    std::optional<OracleSettings> oracle_settings;
    std::optional<SybaseSettings> sybase_settings;
    std::optional<MicrosoftSQLServerSettings> microsoft_sql_server_settings;
    std::optional<IBMDb2Settings> ibm_db2_settings;
    std::optional<DocDbSettings> doc_db_settings;
    std::optional<RedisSettings> redis_settings;
    std::optional<GcpMySQLSettings> gcp_my_sql_settings;
    std::optional<TimestreamSettings> timestream_settings;
    std::optional<LakehouseSettings> lakehouse_settings;
};

struct CreateEndpointResponse {
    std::optional<Endpoint> endpoint;
};

struct ModifyEndpointMessage {
    std::optional<std::string> endpoint_arn;
    std::optional<std::string> endpoint_identifier;
    std::optional<std::string> endpoint_type;
    std::optional<std::string> engine_name;
    std::optional<std::string> username;
    std::optional<std::string> password;
    std::optional<std::string> server_name;
    std::optional<std::int64_t> port;
    std::optional<std::string> database_name;
    std::optional<std::string> extra_connection_attributes;
    std::optional<std::string> certificate_arn;
    std::optional<std::string> ssl_mode;
    std::optional<std::string> service_access_role_arn;
    std::optional<std::string> external_table_definition;
    std::optional<DynamoDbSettings> dynamo_db_settings;
    std::optional<S3Settings> s3_settings;
    std::optional<DmsTransferSettings> dms_transfer_settings;
    std::optional<MongoDbSettings> mongo_db_settings;
    std::optional<KinesisSettings> kinesis_settings;
    std::optional<KafkaSettings> kafka_settings;
    std::optional<ElasticsearchSettings> elasticsearch_settings;
    std::optional<NeptuneSettings> neptune_settings;
    std::optional<RedshiftSettings> redshift_settings;
    std::optional<PostgreSQLSettings> postgre_sql_settings;
    std::optional<MySQLSettings> my_sql_settings;
    std::optional<OracleSettings> oracle_settings;
    std::optional<SybaseSettings> sybase_settings;
    std::optional<MicrosoftSQLServerSettings> microsoft_sql_server_settings;
    std::optional<IBMDb2Settings> ibm_db2_settings;
    std::optional<DocDbSettings> doc_db_settings;
    std::optional<RedisSettings> redis_settings;
    std::optional<bool> exact_settings;
    std::optional<GcpMySQLSettings> gcp_my_sql_settings;
    std::optional<TimestreamSettings> timestream_settings;
};

struct ModifyEndpointResponse {
    std::optional<Endpoint> endpoint;
};

struct DeleteEndpointMessage {
    std::optional<std::string> endpoint_arn;
};

struct DeleteEndpointResponse {
    std::optional<Endpoint> endpoint;
};

struct DescribeEndpointsMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct DescribeEndpointsResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<Endpoint>> endpoints;
};

struct DescribeEndpointTypesMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct SupportedEndpointType {
    std::optional<std::string> engine_name;
    std::optional<bool> supports_cdc;
    std::optional<std::string> endpoint_type;
    std::optional<std::string> replication_instance_engine_minimum_version;
    std::optional<std::string> engine_display_name;
};

struct DescribeEndpointTypesResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<SupportedEndpointType>> supported_endpoint_types;
};

struct DescribeEndpointSettingsMessage {
    std::optional<std::string> engine_name;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct EndpointSetting {
    std::optional<std::string> name;
    std::optional<std::string> type;
    std::optional<std::vector<std::string>> enum_values;
    std::optional<bool> sensitive;
    std::optional<std::string> units;
    std::optional<std::string> applicability;
    std::optional<std::int64_t> int_value_min;
    std::optional<std::int64_t> int_value_max;
    std::optional<std::string> default_value;
};

struct DescribeEndpointSettingsResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<EndpointSetting>> endpoint_settings;
};

struct TestConnectionMessage {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> endpoint_arn;
};

struct Connection {
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> endpoint_arn;
    std::optional<std::string> status;
    std::optional<std::string> last_failure_message;
    std::optional<std::string> endpoint_identifier;
    std::optional<std::string> replication_instance_identifier;
};

struct TestConnectionResponse {
    std::optional<Connection> connection;
};

struct DeleteConnectionMessage {
    std::optional<std::string> endpoint_arn;
    std::optional<std::string> replication_instance_arn;
};

struct DeleteConnectionResponse {
    std::optional<Connection> connection;
};

struct DescribeConnectionsMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct DescribeConnectionsResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<Connection>> connections;
};

struct RefreshSchemasMessage {
    std::optional<std::string> endpoint_arn;
    std::optional<std::string> replication_instance_arn;
};

struct RefreshSchemasStatus {
    std::optional<std::string> endpoint_arn;
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> status;
    std::optional<Timestamp> last_refresh_date;
    std::optional<std::string> last_failure_message;
};

struct RefreshSchemasResponse {
    std::optional<RefreshSchemasStatus> refresh_schemas_status;
};

struct DescribeRefreshSchemasStatusMessage {
    std::optional<std::string> endpoint_arn;
};

struct DescribeRefreshSchemasStatusResponse {
    std::optional<RefreshSchemasStatus> refresh_schemas_status;
};

struct DescribeSchemasMessage {
    std::optional<std::string> endpoint_arn;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct DescribeSchemasResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<std::string>> schemas;
};

struct CreateReplicationTaskMessage {
    std::optional<std::string> replication_task_identifier;
    std::optional<std::string> source_endpoint_arn;
    std::optional<std::string> target_endpoint_arn;
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> migration_type;
    std::optional<std::string> table_mappings;
    std::optional<std::string> replication_task_settings;
    std::optional<Timestamp> cdc_start_time;
    std::optional<std::string> cdc_start_position;
    std::optional<std::string> cdc_stop_position;
    std::optional<std::vector<Tag>> tags;
    std::optional<std::string> task_data;
    std::optional<std::string> resource_identifier;
};

struct ReplicationTaskStats {
    std::optional<std::int64_t> full_load_progress_percent;
    std::optional<std::int64_t> elapsed_time_millis;
    std::optional<std::int64_t> tables_loaded;
    std::optional<std::int64_t> tables_loading;
    std::optional<std::int64_t> tables_queued;
    std::optional<std::int64_t> tables_errored;
    std::optional<Timestamp> fresh_start_date;
    std::optional<Timestamp> start_date;
    std::optional<Timestamp> stop_date;
    std::optional<Timestamp> full_load_start_date;
    std::optional<Timestamp> full_load_finish_date;
};

struct ReplicationTask {
    std::optional<std::string> replication_task_identifier;
    std::optional<std::string> source_endpoint_arn;
    std::optional<std::string> target_endpoint_arn;
    std::optional<std::string> replication_instance_arn;
    std::optional<std::string> migration_type;
    std::optional<std::string> table_mappings;
    std::optional<std::string> replication_task_settings;
    std::optional<std::string> status;
    std::optional<std::string> last_failure_message;
    std::optional<std::string> stop_reason;
    std::optional<Timestamp> replication_task_creation_date;
    std::optional<Timestamp> replication_task_start_date;
    std::optional<std::string> cdc_start_position;
    std::optional<std::string> cdc_stop_position;
    std::optional<std::string> recovery_checkpoint;
    std::optional<std::string> replication_task_arn;
    std::optional<ReplicationTaskStats> replication_task_stats;
    std::optional<std::string> task_data;
    std::optional<std::string> target_replication_instance_arn;
};

struct CreateReplicationTaskResponse {
    std::optional<ReplicationTask> replication_task;
};

struct ModifyReplicationTaskMessage {
    std::optional<std::string> replication_task_arn;
    std::optional<std::string> replication_task_identifier;
    std::optional<std::string> migration_type;
    std::optional<std::string> table_mappings;
    std::optional<std::string> replication_task_settings;
    std::optional<Timestamp> cdc_start_time;
    std::optional<std::string> cdc_start_position;
    std::optional<std::string> cdc_stop_position;
    std::optional<std::string> task_data;
};

struct ModifyReplicationTaskResponse {
    std::optional<ReplicationTask> replication_task;
};

struct StartReplicationTaskMessage {
    std::optional<std::string> replication_task_arn;
    std::optional<std::string> start_replication_task_type;
    std::optional<Timestamp> cdc_start_time;
    std::optional<std::string> cdc_start_position;
    std::optional<std::string> cdc_stop_position;
};

struct StartReplicationTaskResponse {
    std::optional<ReplicationTask> replication_task;
};

struct StopReplicationTaskMessage {
    std::optional<std::string> replication_task_arn;
};

struct StopReplicationTaskResponse {
    std::optional<ReplicationTask> replication_task;
};

struct DeleteReplicationTaskMessage {
    std::optional<std::string> replication_task_arn;
};

struct DeleteReplicationTaskResponse {
    std::optional<ReplicationTask> replication_task;
};

struct MoveReplicationTaskMessage {
    std::optional<std::string> replication_task_arn;
    std::optional<std::string> target_replication_instance_arn;
};

struct MoveReplicationTaskResponse {
    std::optional<ReplicationTask> replication_task;
};

struct DescribeReplicationTasksMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
    std::optional<bool> without_settings;
};

struct DescribeReplicationTasksResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<ReplicationTask>> replication_tasks;
};

struct DescribeTableStatisticsMessage {
    std::optional<std::string> replication_task_arn;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
    std::optional<std::vector<Filter>> filters;
};

struct TableStatistics {
    std::optional<std::string> schema_name;
    std::optional<std::string> table_name;
    std::optional<std::int64_t> inserts;
    std::optional<std::int64_t> deletes;
    std::optional<std::int64_t> updates;
    std::optional<std::int64_t> ddls;
    std::optional<std::int64_t> applied_inserts;
    std::optional<std::int64_t> applied_deletes;
    std::optional<std::int64_t> applied_updates;
    std::optional<std::int64_t> applied_ddls;
    std::optional<std::int64_t> full_load_rows;
    std::optional<std::int64_t> full_load_condtnl_chk_failed_rows;
    std::optional<std::int64_t> full_load_error_rows;
    std::optional<Timestamp> full_load_start_time;
    std::optional<Timestamp> full_load_end_time;
    std::optional<bool> full_load_reloaded;
    std::optional<Timestamp> last_update_time;
    std::optional<std::string> table_state;
    std::optional<std::int64_t> validation_pending_records;
    std::optional<std::int64_t> validation_failed_records;
    std::optional<std::int64_t> validation_suspended_records;
    std::optional<std::string> validation_state;
    std::optional<std::string> validation_state_details;
    std::optional<std::string> resync_state;
    std::optional<std::int64_t> resync_rows_attempted;
    std::optional<std::int64_t> resync_rows_succeeded;
    std::optional<std::int64_t> resync_rows_failed;
    std::optional<double> resync_progress;
};

struct DescribeTableStatisticsResponse {
    std::optional<std::string> replication_task_arn;
    std::optional<std::vector<TableStatistics>> table_statistics;
    std::optional<std::string> marker;
};

struct TableToReload {
    std::optional<std::string> schema_name;
    std::optional<std::string> table_name;
};

struct ReloadTablesMessage {
    std::optional<std::string> replication_task_arn;
    std::optional<std::vector<TableToReload>> tables_to_reload;
    std::optional<std::string> reload_option;
};

struct ReloadTablesResponse {
    std::optional<std::string> replication_task_arn;
};

struct AddTagsToResourceMessage {
    std::optional<std::string> resource_arn;
    std::optional<std::vector<Tag>> tags;
};

struct AddTagsToResourceResponse {};

struct RemoveTagsFromResourceMessage {
    std::optional<std::string> resource_arn;
    std::optional<std::vector<std::string>> tag_keys;
};

struct RemoveTagsFromResourceResponse {};

struct ListTagsForResourceMessage {
    std::optional<std::string> resource_arn;
    std::optional<std::vector<std::string>> resource_arn_list;
};

struct ListTagsForResourceResponse {
    std::optional<std::vector<Tag>> tag_list;
};

struct ImportCertificateMessage {
    std::optional<std::string> certificate_identifier;
    std::optional<std::string> certificate_pem;
    std::optional<Blob> certificate_wallet;
    std::optional<std::vector<Tag>> tags;
    std::optional<std::string> kms_key_id;
};

struct Certificate {
    std::optional<std::string> certificate_identifier;
    std::optional<Timestamp> certificate_creation_date;
    std::optional<std::string> certificate_pem;
    std::optional<Blob> certificate_wallet;
    std::optional<std::string> certificate_arn;
    std::optional<std::string> certificate_owner;
    std::optional<Timestamp> valid_from_date;
    std::optional<Timestamp> valid_to_date;
    std::optional<std::string> signing_algorithm;
    std::optional<std::int64_t> key_length;
    std::optional<std::string> kms_key_id;
};

struct ImportCertificateResponse {
    std::optional<Certificate> certificate;
};

struct DeleteCertificateMessage {
    std::optional<std::string> certificate_arn;
};

struct DeleteCertificateResponse {
    std::optional<Certificate> certificate;
};

struct DescribeCertificatesMessage {
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct DescribeCertificatesResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<Certificate>> certificates;
};

struct DescribeEventsMessage {
    std::optional<std::string> source_identifier;
    std::optional<std::string> source_type;
    std::optional<Timestamp> start_time;
    std::optional<Timestamp> end_time;
    std::optional<std::int64_t> duration;
    std::optional<std::vector<std::string>> event_categories;
    std::optional<std::vector<Filter>> filters;
    std::optional<std::int64_t> max_records;
    std::optional<std::string> marker;
};

struct Event {
    std::optional<std::string> source_identifier;
    std::optional<std::string> source_type;
    std::optional<std::string> message;
    std::optional<std::vector<std::string>> event_categories;
    std::optional<Timestamp> date;
};

struct DescribeEventsResponse {
    std::optional<std::string> marker;
    std::optional<std::vector<Event>> events;
};

struct DescribeEventCategoriesMessage {
    std::optional<std::string> source_type;
    std::optional<std::vector<Filter>> filters;
};

struct EventCategoryGroup {
    std::optional<std::string> source_type;
    std::optional<std::vector<std::string>> event_categories;
};

struct DescribeEventCategoriesResponse {
    std::optional<std::vector<EventCategoryGroup>> event_category_group_list;
};

const Shape& shape_of(const Tag*);
const Shape& shape_of(const KerberosAuthenticationSettings*);
const Shape& shape_of(const CreateReplicationInstanceMessage*);
const Shape& shape_of(const VpcSecurityGroupMembership*);
const Shape& shape_of(const AvailabilityZone*);
const Shape& shape_of(const Subnet*);
const Shape& shape_of(const ReplicationSubnetGroup*);
const Shape& shape_of(const ReplicationPendingModifiedValues*);
const Shape& shape_of(const ReplicationInstance*);
const Shape& shape_of(const CreateReplicationInstanceResponse*);
const Shape& shape_of(const ModifyReplicationInstanceMessage*);
const Shape& shape_of(const ModifyReplicationInstanceResponse*);
const Shape& shape_of(const DeleteReplicationInstanceMessage*);
const Shape& shape_of(const DeleteReplicationInstanceResponse*);
const Shape& shape_of(const RebootReplicationInstanceMessage*);
const Shape& shape_of(const RebootReplicationInstanceResponse*);
const Shape& shape_of(const Filter*);
const Shape& shape_of(const DescribeReplicationInstancesMessage*);
const Shape& shape_of(const DescribeReplicationInstancesResponse*);
const Shape& shape_of(const CreateReplicationSubnetGroupMessage*);
const Shape& shape_of(const CreateReplicationSubnetGroupResponse*);
const Shape& shape_of(const ModifyReplicationSubnetGroupMessage*);
const Shape& shape_of(const ModifyReplicationSubnetGroupResponse*);
const Shape& shape_of(const DeleteReplicationSubnetGroupMessage*);
const Shape& shape_of(const DeleteReplicationSubnetGroupResponse*);
const Shape& shape_of(const DescribeReplicationSubnetGroupsMessage*);
const Shape& shape_of(const DescribeReplicationSubnetGroupsResponse*);
const Shape& shape_of(const DescribeOrderableReplicationInstancesMessage*);
const Shape& shape_of(const OrderableReplicationInstance*);
const Shape& shape_of(const DescribeOrderableReplicationInstancesResponse*);
const Shape& shape_of(const DescribeEngineVersionsMessage*);
const Shape& shape_of(const EngineVersion*);
const Shape& shape_of(const DescribeEngineVersionsResponse*);
const Shape& shape_of(const DescribeReplicationInstanceTaskLogsMessage*);
const Shape& shape_of(const ReplicationInstanceTaskLog*);
const Shape& shape_of(const DescribeReplicationInstanceTaskLogsResponse*);
const Shape& shape_of(const DescribePendingMaintenanceActionsMessage*);
const Shape& shape_of(const PendingMaintenanceAction*);
const Shape& shape_of(const ResourcePendingMaintenanceActions*);
const Shape& shape_of(const DescribePendingMaintenanceActionsResponse*);
const Shape& shape_of(const ApplyPendingMaintenanceActionMessage*);
const Shape& shape_of(const ApplyPendingMaintenanceActionResponse*);
const Shape& shape_of(const DescribeAccountAttributesMessage*);
const Shape& shape_of(const AccountQuota*);
const Shape& shape_of(const DescribeAccountAttributesResponse*);
const Shape& shape_of(const DynamoDbSettings*);
const Shape& shape_of(const S3Settings*);
const Shape& shape_of(const DmsTransferSettings*);
const Shape& shape_of(const MongoDbSettings*);
const Shape& shape_of(const KinesisSettings*);
const Shape& shape_of(const KafkaSettings*);
const Shape& shape_of(const ElasticsearchSettings*);
const Shape& shape_of(const NeptuneSettings*);
const Shape& shape_of(const RedshiftSettings*);
const Shape& shape_of(const PostgreSQLSettings*);
const Shape& shape_of(const MySQLSettings*);
const Shape& shape_of(const OracleSettings*);
const Shape& shape_of(const SybaseSettings*);
const Shape& shape_of(const MicrosoftSQLServerSettings*);
const Shape& shape_of(const IBMDb2Settings*);
const Shape& shape_of(const DocDbSettings*);
const Shape& shape_of(const RedisSettings*);
const Shape& shape_of(const GcpMySQLSettings*);
const Shape& shape_of(const TimestreamSettings*);
const Shape& shape_of(const CreateEndpointMessage*);
const Shape& shape_of(const LakehouseSettings*);
const Shape& shape_of(const Endpoint*);
const Shape& shape_of(const CreateEndpointResponse*);
const Shape& shape_of(const ModifyEndpointMessage*);
const Shape& shape_of(const ModifyEndpointResponse*);
const Shape& shape_of(const DeleteEndpointMessage*);
const Shape& shape_of(const DeleteEndpointResponse*);
const Shape& shape_of(const DescribeEndpointsMessage*);
const Shape& shape_of(const DescribeEndpointsResponse*);
const Shape& shape_of(const DescribeEndpointTypesMessage*);
const Shape& shape_of(const SupportedEndpointType*);
const Shape& shape_of(const DescribeEndpointTypesResponse*);
const Shape& shape_of(const DescribeEndpointSettingsMessage*);
const Shape& shape_of(const EndpointSetting*);
const Shape& shape_of(const DescribeEndpointSettingsResponse*);
const Shape& shape_of(const TestConnectionMessage*);
const Shape& shape_of(const Connection*);
const Shape& shape_of(const TestConnectionResponse*);
const Shape& shape_of(const DeleteConnectionMessage*);
const Shape& shape_of(const DeleteConnectionResponse*);
const Shape& shape_of(const DescribeConnectionsMessage*);
const Shape& shape_of(const DescribeConnectionsResponse*);
const Shape& shape_of(const RefreshSchemasMessage*);
const Shape& shape_of(const RefreshSchemasStatus*);
const Shape& shape_of(const RefreshSchemasResponse*);
const Shape& shape_of(const DescribeRefreshSchemasStatusMessage*);
const Shape& shape_of(const DescribeRefreshSchemasStatusResponse*);
const Shape& shape_of(const DescribeSchemasMessage*);
const Shape& shape_of(const DescribeSchemasResponse*);
const Shape& shape_of(const CreateReplicationTaskMessage*);
const Shape& shape_of(const ReplicationTaskStats*);
const Shape& shape_of(const ReplicationTask*);
const Shape& shape_of(const CreateReplicationTaskResponse*);
const Shape& shape_of(const ModifyReplicationTaskMessage*);
const Shape& shape_of(const ModifyReplicationTaskResponse*);
const Shape& shape_of(const StartReplicationTaskMessage*);
const Shape& shape_of(const StartReplicationTaskResponse*);
const Shape& shape_of(const StopReplicationTaskMessage*);
const Shape& shape_of(const StopReplicationTaskResponse*);
const Shape& shape_of(const DeleteReplicationTaskMessage*);
const Shape& shape_of(const DeleteReplicationTaskResponse*);
const Shape& shape_of(const MoveReplicationTaskMessage*);
const Shape& shape_of(const MoveReplicationTaskResponse*);
const Shape& shape_of(const DescribeReplicationTasksMessage*);
const Shape& shape_of(const DescribeReplicationTasksResponse*);
const Shape& shape_of(const DescribeTableStatisticsMessage*);
const Shape& shape_of(const TableStatistics*);
const Shape& shape_of(const DescribeTableStatisticsResponse*);
const Shape& shape_of(const TableToReload*);
const Shape& shape_of(const ReloadTablesMessage*);
const Shape& shape_of(const ReloadTablesResponse*);
const Shape& shape_of(const AddTagsToResourceMessage*);
const Shape& shape_of(const AddTagsToResourceResponse*);
const Shape& shape_of(const RemoveTagsFromResourceMessage*);
const Shape& shape_of(const RemoveTagsFromResourceResponse*);
const Shape& shape_of(const ListTagsForResourceMessage*);
const Shape& shape_of(const ListTagsForResourceResponse*);
const Shape& shape_of(const ImportCertificateMessage*);
const Shape& shape_of(const Certificate*);
const Shape& shape_of(const ImportCertificateResponse*);
const Shape& shape_of(const DeleteCertificateMessage*);
const Shape& shape_of(const DeleteCertificateResponse*);
const Shape& shape_of(const DescribeCertificatesMessage*);
const Shape& shape_of(const DescribeCertificatesResponse*);
const Shape& shape_of(const DescribeEventsMessage*);
const Shape& shape_of(const Event*);
const Shape& shape_of(const DescribeEventsResponse*);
const Shape& shape_of(const DescribeEventCategoriesMessage*);
const Shape& shape_of(const EventCategoryGroup*);
const Shape& shape_of(const DescribeEventCategoriesResponse*);

}  // namespace godwit::api::model
