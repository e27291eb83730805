// Endpoints (spec/api 3.2).

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "api/service.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

struct Engine {
    std::string_view name;
    std::string_view display_name;
    std::string_view settings;  // the member of Endpoint
    bool source, target, cdc;
};
// What DMS knows; what is built in is the registry's matter, and a connection test says so.
constexpr Engine kEngines[] = {
    {"mysql", "MySQL", "MySQLSettings", true, true, true},
    {"mariadb", "MariaDB", "MySQLSettings", true, true, true},
    {"aurora", "Amazon Aurora MySQL", "MySQLSettings", true, true, true},
    {"aurora-serverless", "Amazon Aurora Serverless MySQL", "MySQLSettings", true, true, true},
    {"gcp-mysql", "Google Cloud for MySQL", "GcpMySQLSettings", true, false, true},
    {"postgres", "PostgreSQL", "PostgreSQLSettings", true, true, true},
    {"aurora-postgresql", "Amazon Aurora PostgreSQL", "PostgreSQLSettings", true, true, true},
    {"aurora-postgresql-serverless", "Amazon Aurora Serverless PostgreSQL", "PostgreSQLSettings", true, true,
     true},
    {"babelfish", "Babelfish", "PostgreSQLSettings", false, true, true},
    {"oracle", "Oracle", "OracleSettings", true, true, true},
    {"sqlserver", "Microsoft SQL Server", "MicrosoftSQLServerSettings", true, true, true},
    {"azuredb", "Azure SQL Database", "MicrosoftSQLServerSettings", true, false, false},
    {"azure-sql-managed-instance", "Azure SQL Managed Instance", "MicrosoftSQLServerSettings", true, false,
     true},
    {"sybase", "SAP Sybase ASE", "SybaseSettings", true, true, true},
    {"db2", "IBM Db2 LUW", "IBMDb2Settings", true, false, true},
    {"db2-zos", "IBM Db2 for z/OS", "IBMDb2Settings", true, true, false},
    {"mongodb", "MongoDB", "MongoDbSettings", true, false, true},
    {"docdb", "Amazon DocumentDB", "DocDbSettings", true, true, true},
    {"s3", "Amazon S3", "S3Settings", true, true, true},
    {"kinesis", "Amazon Kinesis", "KinesisSettings", false, true, true},
    {"kafka", "Kafka", "KafkaSettings", false, true, true},
    {"dynamodb", "Amazon DynamoDB", "DynamoDbSettings", false, true, true},
    {"redshift", "Amazon Redshift", "RedshiftSettings", false, true, true},
    {"redshift-serverless", "Amazon Redshift Serverless", "RedshiftSettings", false, true, true},
    {"opensearch", "Amazon OpenSearch Service", "ElasticsearchSettings", false, true, true},
    {"elasticsearch", "Amazon OpenSearch Service", "ElasticsearchSettings", false, true, true},
    {"neptune", "Amazon Neptune", "NeptuneSettings", false, true, true},
    {"redis", "Redis", "RedisSettings", false, true, true},
    {"timestream", "Amazon Timestream", "TimestreamSettings", false, true, true},
    {"dms-transfer", "DMS Transfer", "DmsTransferSettings", true, true, true},
};

const Engine* known_engine(std::string_view name) {
    const auto* at = std::ranges::find(kEngines, name, &Engine::name);
    return at == std::end(kEngines) ? nullptr : at;
}

constexpr const char* kNoEndpoint = "Endpoint not found.";
const Shape& endpoint_shape() { return shape_of(static_cast<const model::Endpoint*>(nullptr)); }

// Engine settings and the two ways to write them.
struct SettingsView {
    const Member* member = nullptr;  // of Endpoint
    const Shape* shape = nullptr;
    void* object = nullptr;
};
std::vector<SettingsView> settings_of(model::Endpoint& endpoint) {
    std::vector<SettingsView> out;
    for (const Member& member : endpoint_shape().members)
        if (member.type()->kind == Kind::structure && member.get(&endpoint) != nullptr)
            out.push_back({&member, &member.type()->shape(), member.make(&endpoint)});
    return out;
}

const Member* find_member(const Shape& shape, std::string_view name) {
    const auto at = std::ranges::find(shape.members, name, &Member::name);
    return at == shape.members.end() ? nullptr : &*at;
}

// User, server, port and database stand at the top and within the settings; the settings win.
void mirror_address(model::Endpoint& endpoint) {
    for (const char* name : {"Username", "ServerName", "Port", "DatabaseName"}) {
        const Member* top = find_member(endpoint_shape(), name);
        for (const auto& settings : settings_of(endpoint)) {
            const Member* inner = find_member(*settings.shape, name);
            if (inner == nullptr || inner->type() != top->type()) continue;
            const auto copy = [&](const Member& to, void* to_object, const Member& from,
                                  const void* from_object) {
                if (to.type()->kind == Kind::string)
                    *static_cast<std::string*>(to.make(to_object)) =
                        *static_cast<const std::string*>(from.get(from_object));
                else
                    *static_cast<std::int64_t*>(to.make(to_object)) =
                        *static_cast<const std::int64_t*>(from.get(from_object));
            };
            if (inner->get(settings.object) != nullptr)
                copy(*top, &endpoint, *inner, settings.object);
            else if (top->get(&endpoint) != nullptr)
                copy(*inner, settings.object, *top, &endpoint);
        }
    }
}

std::optional<std::string> secret_id(model::Endpoint& endpoint) {
    for (const auto& settings : settings_of(endpoint))
        if (const Member* member = find_member(*settings.shape, "SecretsManagerSecretId"); member != nullptr)
            if (const void* value = member->get(settings.object); value != nullptr)
                if (const auto& text = *static_cast<const std::string*>(value); !text.empty()) return text;
    return {};
}

bool has_text(const std::optional<std::string>& text) { return text && !text->empty(); }

Answer<std::monostate> check_secret(model::Endpoint& endpoint,
                                    const std::map<std::string, std::string>& secrets) {
    if (!secret_id(endpoint)) return {};
    bool clear = has_text(endpoint.username) || has_text(endpoint.server_name) || endpoint.port.has_value();
    for (const auto& [name, value] : secrets) clear = clear || (name.ends_with("Password") && !value.empty());
    if (!clear) return {};
    return invalid_combination(
        "You can't provide both a Secrets Manager secret and clear-text values for Username, Password, "
        "ServerName or "
        "Port.");
}

// The answer's own ways for S3.
void fill_s3(model::Endpoint& endpoint) {
    if (endpoint.engine_name != "s3" || !endpoint.s3_settings) return;
    auto& s3 = *endpoint.s3_settings;
    if (!s3.csv_row_delimiter) s3.csv_row_delimiter = "\\n";
    if (!s3.csv_delimiter) s3.csv_delimiter = ",";
    std::string compression = s3.compression_type.value_or("none");
    for (char& c : compression)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    s3.compression_type = compression;
    if (!s3.enable_statistics) s3.enable_statistics = true;
    if (!has_text(endpoint.extra_connection_attributes)) {
        std::string text;
        if (s3.bucket_folder) text += "bucketFolder=" + *s3.bucket_folder + ";";
        if (s3.bucket_name) text += "bucketName=" + *s3.bucket_name + ";";
        text += "compressionType=" + compression + ";csvDelimiter=" + *s3.csv_delimiter +
                ";csvRowDelimiter=" + *s3.csv_row_delimiter + ";";
        endpoint.extra_connection_attributes = text;
    }
}

std::string attribute_name(std::string_view name) {
    std::string out;
    for (const char c : lower(name))
        if (c != '_' && c != '-') out += c;
    return out;
}

Answer<std::monostate> check_attributes(const model::Endpoint& endpoint) {
    if (!has_text(endpoint.extra_connection_attributes)) return {};
    if (const auto parsed = parse_attributes(*endpoint.extra_connection_attributes); !parsed)
        return invalid_value("Invalid ExtraConnectionAttributes: " + parsed.error().message);
    return {};
}

Answer<std::monostate> check_port(const model::Endpoint& endpoint) {
    if (endpoint.port && (*endpoint.port < 1 || *endpoint.port > 65535))
        return invalid_value(
            fmt::format("Invalid value {} for Port. Must be between 1 and 65535", *endpoint.port));
    return {};
}

void upper_type(model::Endpoint& endpoint) {
    endpoint.endpoint_type = lower(*endpoint.endpoint_type) == "source" ? "SOURCE" : "TARGET";
}

}  // namespace

std::optional<std::string> Service::display_name(const std::string& engine) const {
    if (const Engine* known = known_engine(engine); known != nullptr) return std::string(known->display_name);
    if (const EndpointKind* built_in = options_.registry.find(engine); built_in != nullptr)
        return built_in->display_name;
    return {};
}

Answer<EndpointRecord> Service::need_endpoint(const std::string& scope, const std::string& arn) {
    return need<EndpointRecord>(scope, arn, fmt::format("{} ARN: {}", kNoEndpoint, shortened(arn)));
}

Answer<Service::EndpointInputs> Service::endpoint_inputs(const std::string& scope, const std::string& arn) {
    EndpointInputs out{GW_TRY(need_endpoint(scope, arn)), {}};
    if (has_text(out.record.shown->certificate_arn)) {
        const auto certificate = GW_TRY(need<CertificateRecord>(scope, *out.record.shown->certificate_arn,
                                                                "The endpoint's certificate is gone."));
        out.ca_certificate_pem = certificate.shown->certificate_pem.value_or("");
    }
    return out;
}

Result<std::map<std::string, std::string>> Service::secrets_of(const EndpointRecord& record) const {
    if (!record.sealed) return std::map<std::string, std::string>{};
    const auto text = GW_TRY(options_.vault.open_sealed(*record.sealed, *record.shown->endpoint_arn));
    return map_from_json(text);
}

Result<EndpointConfig> Service::config_of(const EndpointInputs& inputs) const {
    model::Endpoint endpoint = *inputs.record.shown;
    EndpointConfig config;
    config.arn = *endpoint.endpoint_arn;
    config.identifier = *endpoint.endpoint_identifier;
    config.engine_name = *endpoint.engine_name;
    config.host = endpoint.server_name.value_or("");
    config.port = static_cast<std::uint16_t>(endpoint.port.value_or(0));
    config.database = endpoint.database_name.value_or("");
    config.user = endpoint.username.value_or("");
    config.ssl_mode = endpoint.ssl_mode.value_or("none");
    config.ca_certificate_pem = inputs.ca_certificate_pem;
    for (const auto& settings : settings_of(endpoint))
        each_scalar(*settings.shape, settings.object, [&](const Member& member, const std::string& value) {
            config.attributes[attribute_name(member.name)] = value;
        });
    if (inputs.record.sealed) {
        for (const auto& [path, value] : GW_TRY(secrets_of(inputs.record))) {
            const auto name = path.substr(path.rfind('.') + 1);
            if (name != "Password")
                config.attributes[attribute_name(name)] = value;
            else if (path != name || config.password.empty())
                config.password = value;  // the settings' one wins
        }
    }
    if (has_text(endpoint.extra_connection_attributes))
        for (auto& [name, value] : GW_TRY(parse_attributes(*endpoint.extra_connection_attributes)))
            config.attributes[name] = value;
    if (const auto id = secret_id(endpoint)) {
        const auto secret = GW_TRY(options_.secrets.find(*id, parse_arn(config.arn)->region));
        config.user = secret.username;
        config.password = secret.password;
        if (!secret.host.empty()) config.host = secret.host;
        if (secret.port != 0) config.port = secret.port;
    }
    for (const char* name : {"username", "servername", "port", "databasename"}) config.attributes.erase(name);
    return config;
}

Result<ProbeResult> Service::probe(const EndpointInputs& inputs) const {
    const auto config = GW_TRY(config_of(inputs));
    const EndpointKind* kind = options_.registry.find(config.engine_name);
    if (kind == nullptr || kind->probe == nullptr)
        return fail(ErrorCode::unsupported,
                    fmt::format("The engine {} is not built into this release.", config.engine_name));
    return kind->probe(config);
}

Answer<model::CreateEndpointResponse> Service::create_endpoint(Call& call,
                                                               const model::CreateEndpointMessage& given) {
    model::CreateEndpointMessage in = given;
    GW_TRY(check_identifier("EndpointIdentifier", *in.endpoint_identifier, 255));
    in.engine_name = lower(*in.engine_name);
    if (!display_name(*in.engine_name))
        return invalid_value("Unknown EngineName: " + shortened(*in.engine_name));
    if (const Engine* known = known_engine(*in.engine_name);
        known != nullptr && !(*in.endpoint_type == "source" ? known->source : known->target))
        return invalid_combination(
            fmt::format("The engine {} cannot be a {} endpoint.", *in.engine_name, *in.endpoint_type));
    std::string id = new_resource_id();
    if (in.resource_identifier) {
        GW_TRY(check_identifier("ResourceIdentifier", *in.resource_identifier, 31));
        id = *in.resource_identifier;
    }
    const auto arn = call.arn("endpoint", id);
    for (const auto& [order, other] : GW_TRY(list<EndpointRecord>(call.scope)))
        if (lower(*other.shown->endpoint_identifier) == lower(*in.endpoint_identifier) ||
            other.shown->endpoint_arn == arn)
            return already_exists("Endpoint already exists: " + *in.endpoint_identifier,
                                  *other.shown->endpoint_arn);
    if (has_text(in.certificate_arn))
        GW_TRY(need<CertificateRecord>(call.scope, *in.certificate_arn, "Certificate not found."));

    const auto secrets = take_sensitive(shape_of(&in), &in);
    EndpointRecord record;
    auto& shown = record.shown.emplace();
    merge_members(shape_of(&shown), &shown, shape_of(&in), &in);
    upper_type(shown);
    shown.endpoint_arn = arn;
    shown.engine_display_name = display_name(*in.engine_name);
    shown.status = "active";
    if (!shown.ssl_mode) shown.ssl_mode = "none";
    if (!shown.kms_key_id)
        shown.kms_key_id = fmt::format("arn:aws:kms:{}:{}:key/00000000-0000-0000-0000-000000000000",
                                       call.caller.region, call.caller.account);
    GW_TRY(check_secret(shown, secrets));
    mirror_address(shown);
    GW_TRY(check_port(shown));
    GW_TRY(check_attributes(shown));
    fill_s3(shown);
    if (!secrets.empty()) record.sealed = GW_ANSWER(options_.vault.seal(map_to_json(secrets), arn));
    if (in.tags) GW_TRY(put_tags(call.scope, arn, *in.tags));
    GW_TRY(save(call.scope, arn, record));
    return model::CreateEndpointResponse{shown};
}

Answer<model::ModifyEndpointResponse> Service::modify_endpoint(Call& call,
                                                               const model::ModifyEndpointMessage& given) {
    model::ModifyEndpointMessage in = given;
    const auto& arn = *given.endpoint_arn;  // that of `in` goes away below
    auto record = GW_TRY(need_endpoint(call.scope, arn));
    auto& shown = *record.shown;
    if (shown.status != "active")
        return invalid_state(fmt::format("Endpoint {} cannot be modified: its status is {}.",
                                         *shown.endpoint_identifier, *shown.status));
    for (const auto& [order, task] : GW_TRY(list<TaskRecord>(call.scope))) {
        if (task.shown->source_endpoint_arn != arn && task.shown->target_endpoint_arn != arn) continue;
        const auto status = status_of(task);
        if (status == "starting" || status == "running" || status == "stopping")
            return invalid_state(fmt::format("Endpoint {} is used by replication task {}, which is {}.",
                                             *shown.endpoint_identifier,
                                             *task.shown->replication_task_identifier, status));
    }
    if (in.endpoint_identifier && lower(*in.endpoint_identifier) != lower(*shown.endpoint_identifier)) {
        GW_TRY(check_identifier("EndpointIdentifier", *in.endpoint_identifier, 255));
        for (const auto& [order, other] : GW_TRY(list<EndpointRecord>(call.scope)))
            if (lower(*other.shown->endpoint_identifier) == lower(*in.endpoint_identifier))
                return already_exists("Endpoint already exists: " + *in.endpoint_identifier,
                                      *other.shown->endpoint_arn);
    }
    if (in.engine_name) {
        in.engine_name = lower(*in.engine_name);
        if (!display_name(*in.engine_name))
            return invalid_value("Unknown EngineName: " + shortened(*in.engine_name));
    }
    if (has_text(in.certificate_arn))
        GW_TRY(need<CertificateRecord>(call.scope, *in.certificate_arn, "Certificate not found."));

    auto secrets = GW_ANSWER(secrets_of(record));
    const auto changed_secrets = take_sensitive(shape_of(&in), &in);
    const Shape& in_shape = shape_of(&in);
    bool any = !changed_secrets.empty();
    for (const Member& member : in_shape.members) {
        const void* value = member.get(&in);
        if (value == nullptr || member.name == "EndpointArn" || member.name == "ExactSettings") continue;
        any = true;
        if (member.type()->kind == Kind::structure && in.exact_settings.value_or(false)) {
            if (const Member* old = find_member(endpoint_shape(), member.name); old != nullptr)
                old->clear(&shown);
            std::erase_if(secrets, [&](const auto& secret) {
                return secret.first.starts_with(std::string(member.name) + ".");
            });
        }
    }
    if (!any) return invalid_combination("No modifications were requested");
    for (const auto& [path, value] : changed_secrets) {
        secrets[path] = value;
        // one password, wherever it is written
        if (path == "Password")
            std::erase_if(secrets, [](const auto& s) {
                return s.first != "Password" && s.first.ends_with(".Password");
            });
    }
    // A new address at the top must not lose against the old one within the settings.
    for (const char* name : {"Username", "ServerName", "Port", "DatabaseName"}) {
        const Member* top = find_member(in_shape, name);
        if (top->get(&in) == nullptr) continue;
        for (const auto& settings : settings_of(shown))
            if (const Member* inner = find_member(*settings.shape, name); inner != nullptr)
                inner->clear(settings.object);
    }
    const auto old_type = shown.endpoint_type;
    in.endpoint_arn.reset();
    merge_members(shape_of(&shown), &shown, in_shape, &in);
    if (shown.extra_connection_attributes && shown.extra_connection_attributes->empty())
        shown.extra_connection_attributes.reset();
    upper_type(shown);
    shown.engine_display_name = display_name(*shown.engine_name);
    if (secret_id(shown) && given.username == std::nullopt && given.server_name == std::nullopt &&
        given.port == std::nullopt && changed_secrets.empty()) {
        // moved to a secret: the clear-text address is the old one
        bool in_settings = false;
        for (auto& settings : settings_of(shown))
            if (const Member* member = find_member(*settings.shape, "SecretsManagerSecretId");
                member != nullptr && member->get(settings.object) != nullptr)
                in_settings = true;
        if (in_settings) {
            shown.username.reset();
            shown.server_name.reset();
            shown.port.reset();
            for (const auto& settings : settings_of(shown))
                for (const char* name : {"Username", "ServerName", "Port"})
                    if (const Member* inner = find_member(*settings.shape, name); inner != nullptr)
                        inner->clear(settings.object);
            std::erase_if(secrets, [](const auto& s) { return s.first.ends_with("Password"); });
        }
    }
    GW_TRY(check_secret(shown, secrets));
    mirror_address(shown);
    GW_TRY(check_port(shown));
    GW_TRY(check_attributes(shown));
    fill_s3(shown);
    record.sealed.reset();
    if (!secrets.empty()) record.sealed = GW_ANSWER(options_.vault.seal(map_to_json(secrets), arn));
    // What was tested is no longer what is there.
    for (const auto& [order, connection] : GW_TRY(list<ConnectionRecord>(call.scope)))
        if (connection.shown->endpoint_arn == arn)
            GW_TRY(
                erase<ConnectionRecord>(call.scope, *connection.shown->replication_instance_arn + " " + arn));
    GW_TRY(save(call.scope, arn, record));
    return model::ModifyEndpointResponse{shown};
}

Answer<model::DeleteEndpointResponse> Service::delete_endpoint(Call& call,
                                                               const model::DeleteEndpointMessage& in) {
    const auto& arn = *in.endpoint_arn;
    auto record = GW_TRY(need_endpoint(call.scope, arn));
    if (record.shown->status == "deleting")
        return invalid_state(
            fmt::format("Endpoint {} is already being deleted.", *record.shown->endpoint_identifier));
    for (const auto& [order, task] : GW_TRY(list<TaskRecord>(call.scope)))
        if (task.shown->source_endpoint_arn == arn || task.shown->target_endpoint_arn == arn)
            return invalid_state(fmt::format("Endpoint {} is part of one or more ReplicationTasks.",
                                             *record.shown->endpoint_identifier));
    record.shown->status = "deleting";
    GW_TRY(save(call.scope, arn, record));
    finish_endpoint_delete(call.scope, arn);
    return model::DeleteEndpointResponse{*record.shown};
}

void Service::finish_endpoint_delete(const std::string& scope, const std::string& arn) {
    later(10ms, [this, scope, arn]() -> Answer<std::monostate> {
        for (const auto& [order, connection] : GW_TRY(list<ConnectionRecord>(scope)))
            if (connection.shown->endpoint_arn == arn)
                GW_TRY(
                    erase<ConnectionRecord>(scope, *connection.shown->replication_instance_arn + " " + arn));
        GW_TRY(erase<SchemasRecord>(scope, arn));
        GW_TRY(erase<TagsRecord>(scope, arn));
        return erase<EndpointRecord>(scope, arn);
    });
}

Answer<model::DescribeEndpointsResponse> Service::describe_endpoints(
    Call& call, const model::DescribeEndpointsMessage& in) {
    GW_TRY(check_filters(in.filters, {"endpoint-arn", "endpoint-type", "endpoint-id", "engine-name"}));
    std::vector<std::pair<std::int64_t, model::Endpoint>> found;
    const auto load = [&]() -> Answer<bool> {
        found.clear();
        bool passing = false;
        for (const auto& [order, record] : GW_TRY(list<EndpointRecord>(call.scope))) {
            const auto& shown = *record.shown;
            if (!passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                    if (name == "endpoint-arn") return {*shown.endpoint_arn};
                    if (name == "endpoint-type") return {*shown.endpoint_type, lower(*shown.endpoint_type)};
                    if (name == "endpoint-id") return {*shown.endpoint_identifier};
                    return {*shown.engine_name};
                }))
                continue;
            passing = passing || shown.status != "active";
            found.emplace_back(order, shown);
        }
        return passing;
    };
    GW_TRY(settle(call, load));
    if (found.empty() && in.filters) return not_found("No Endpoints found matching provided filters");
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeEndpointsResponse{page.marker, std::move(page.items)};
}

// Only what this program can do.
Answer<model::DescribeEndpointTypesResponse> Service::describe_endpoint_types(
    Call&, const model::DescribeEndpointTypesMessage& in) {
    GW_TRY(check_filters(in.filters, {"engine-name", "endpoint-type"}));
    std::vector<std::pair<std::int64_t, model::SupportedEndpointType>> found;
    for (const auto& kind : options_.registry.kinds())
        for (const auto& engine : kind.engine_names)
            for (const bool source : {true, false}) {
                if (source ? kind.source == nullptr : kind.target == nullptr) continue;
                model::SupportedEndpointType type;
                type.engine_name = engine;
                type.supports_cdc = kind.supports_cdc;
                type.endpoint_type = source ? "source" : "target";
                type.replication_instance_engine_minimum_version = "3.5.3";
                type.engine_display_name = display_name(engine);
                if (passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                        if (name == "engine-name") return {*type.engine_name};
                        return {*type.endpoint_type};
                    }))
                    found.emplace_back(static_cast<std::int64_t>(found.size()) + 1, std::move(type));
            }
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeEndpointTypesResponse{page.marker, std::move(page.items)};
}

Answer<model::DescribeEndpointSettingsResponse> Service::describe_endpoint_settings(
    Call&, const model::DescribeEndpointSettingsMessage& in) {
    const auto engine = lower(*in.engine_name);
    if (!display_name(engine)) return invalid_value("Unknown EngineName: " + shortened(*in.engine_name));
    std::vector<std::pair<std::int64_t, model::EndpointSetting>> found;
    const Engine* known = known_engine(engine);
    if (known != nullptr) {
        for (const Member& member : find_member(endpoint_shape(), known->settings)->type()->shape().members) {
            model::EndpointSetting setting;
            setting.name = std::string(member.name);
            setting.sensitive = member.has(kSensitive);
            switch (member.type()->kind) {
                case Kind::boolean:
                    setting.type = "boolean";
                    break;
                case Kind::integer:
                    setting.type = "integer";
                    setting.int_value_min = 0;
                    setting.int_value_max = INT32_MAX;
                    if (member.name == "Port") setting.int_value_min = 1, setting.int_value_max = 65535;
                    break;
                default:
                    setting.type = member.choices.empty() ? "string" : "enum";
                    break;
            }
            if (!member.choices.empty())
                setting.enum_values.emplace(member.choices.begin(), member.choices.end());
            setting.applicability = known->source && known->target ? "Source and Target"
                                    : known->source                ? "Source"
                                                                   : "Target";
            found.emplace_back(static_cast<std::int64_t>(found.size()) + 1, std::move(setting));
        }
    }
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeEndpointSettingsResponse{page.marker, std::move(page.items)};
}

}  // namespace godwit::api
