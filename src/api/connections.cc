// Connection tests and schema lists (spec/api 3.2).

#include <fmt/format.h>

#include "api/service.h"

namespace godwit::api {
namespace {

using namespace std::chrono_literals;

std::string connection_key(const std::string& instance_arn, const std::string& endpoint_arn) {
    return instance_arn + " " + endpoint_arn;
}

}  // namespace

Answer<model::TestConnectionResponse> Service::test_connection(Call& call,
                                                               const model::TestConnectionMessage& in) {
    const auto endpoint = GW_TRY(need_endpoint(call.scope, *in.endpoint_arn));
    const auto instance = GW_TRY(need_available(call.scope, *in.replication_instance_arn));
    if (endpoint.shown->status != "active")
        return invalid_state(fmt::format("Endpoint {} is not active.", *endpoint.shown->endpoint_identifier));
    const auto key = connection_key(*in.replication_instance_arn, *in.endpoint_arn);
    auto record = GW_TRY(find<ConnectionRecord>(call.scope, key)).value_or(ConnectionRecord{});
    const bool testing = record.shown && record.shown->status == "testing";
    auto& shown = record.shown.emplace();
    shown.replication_instance_arn = in.replication_instance_arn;
    shown.endpoint_arn = in.endpoint_arn;
    shown.status = "testing";
    shown.endpoint_identifier = endpoint.shown->endpoint_identifier;
    shown.replication_instance_identifier = instance.shown->replication_instance_identifier;
    GW_TRY(save(call.scope, key, record));
    if (!testing) run_test(call.scope, *in.replication_instance_arn, *in.endpoint_arn);
    return model::TestConnectionResponse{shown};
}

void Service::run_test(const std::string& scope, const std::string& instance_arn,
                       const std::string& endpoint_arn) {
    slow_->after(0ms, [=, this](const std::stop_token&) {
        const auto inputs = [&]() -> Answer<EndpointInputs> {
            const std::lock_guard lock(mutex_);
            return endpoint_inputs(scope, endpoint_arn);
        }();
        std::string failure;
        if (!inputs)
            failure = inputs.error().message;
        else if (const auto probed = probe(*inputs); !probed)
            failure = "Test Endpoint failed: " + probed.error().text();
        const std::lock_guard lock(mutex_);
        const auto key = connection_key(instance_arn, endpoint_arn);
        const auto done = [&]() -> Answer<std::monostate> {
            auto record = GW_TRY(find<ConnectionRecord>(scope, key));
            if (!record || record->shown->status != "testing") return {};
            record->shown->status = failure.empty() ? "successful" : "failed";
            record->shown->last_failure_message.reset();
            if (!failure.empty()) record->shown->last_failure_message = failure;
            return save(scope, key, *record);
        }();
        if (!done) options_.log.error(Component::rest_server, done.error().message);
    });
}

Answer<model::DeleteConnectionResponse> Service::delete_connection(Call& call,
                                                                   const model::DeleteConnectionMessage& in) {
    const auto key = connection_key(*in.replication_instance_arn, *in.endpoint_arn);
    auto record = GW_TRY(need<ConnectionRecord>(call.scope, key, "Connection not found."));
    record.shown->status = "deleting";
    GW_TRY(save(call.scope, key, record));
    later(10ms, [this, scope = call.scope, key] { return erase<ConnectionRecord>(scope, key); });
    return model::DeleteConnectionResponse{*record.shown};
}

Answer<model::DescribeConnectionsResponse> Service::describe_connections(
    Call& call, const model::DescribeConnectionsMessage& in) {
    GW_TRY(check_filters(in.filters, {"endpoint-arn", "replication-instance-arn"}));
    std::vector<std::pair<std::int64_t, model::Connection>> found;
    const auto load = [&]() -> Answer<bool> {
        found.clear();
        bool passing = false;
        for (const auto& [order, record] : GW_TRY(list<ConnectionRecord>(call.scope))) {
            const auto& shown = *record.shown;
            if (!passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                    if (name == "endpoint-arn") return {*shown.endpoint_arn};
                    return {*shown.replication_instance_arn};
                }))
                continue;
            passing = passing || shown.status == "testing" || shown.status == "deleting";
            found.emplace_back(order, shown);
        }
        return passing;
    };
    GW_TRY(settle(call, load));
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeConnectionsResponse{page.marker, std::move(page.items)};
}

Answer<model::RefreshSchemasResponse> Service::refresh_schemas(Call& call,
                                                               const model::RefreshSchemasMessage& in) {
    GW_TRY(need_endpoint(call.scope, *in.endpoint_arn));
    GW_TRY(need_available(call.scope, *in.replication_instance_arn));
    auto record = GW_TRY(find<SchemasRecord>(call.scope, *in.endpoint_arn)).value_or(SchemasRecord{});
    const bool refreshing = record.shown && record.shown->status == "refreshing";
    const auto last = record.shown ? record.shown->last_refresh_date : std::nullopt;
    auto& shown = record.shown.emplace();
    shown.endpoint_arn = in.endpoint_arn;
    shown.replication_instance_arn = in.replication_instance_arn;
    shown.status = "refreshing";
    shown.last_refresh_date = last;
    GW_TRY(save(call.scope, *in.endpoint_arn, record));
    if (!refreshing) run_refresh(call.scope, *in.endpoint_arn);
    return model::RefreshSchemasResponse{shown};
}

void Service::run_refresh(const std::string& scope, const std::string& endpoint_arn) {
    slow_->after(0ms, [=, this](const std::stop_token&) {
        const auto inputs = [&]() -> Answer<EndpointInputs> {
            const std::lock_guard lock(mutex_);
            return endpoint_inputs(scope, endpoint_arn);
        }();
        if (!inputs) return;
        const auto probed = probe(*inputs);
        const std::lock_guard lock(mutex_);
        const auto done = [&]() -> Answer<std::monostate> {
            auto record = GW_TRY(find<SchemasRecord>(scope, endpoint_arn));
            if (!record) return {};
            auto& shown = *record->shown;
            shown.status = probed ? "successful" : "failed";
            shown.last_refresh_date = now();
            shown.last_failure_message.reset();
            if (probed)
                record->names = probed->schemas;
            else
                shown.last_failure_message = probed.error().text();
            return save(scope, endpoint_arn, *record);
        }();
        if (!done) options_.log.error(Component::rest_server, done.error().message);
    });
}

Answer<model::DescribeRefreshSchemasStatusResponse> Service::describe_refresh(
    Call& call, const model::DescribeRefreshSchemasStatusMessage& in) {
    GW_TRY(need_endpoint(call.scope, *in.endpoint_arn));
    std::optional<SchemasRecord> record;
    const auto load = [&]() -> Answer<bool> {
        record = GW_TRY(find<SchemasRecord>(call.scope, *in.endpoint_arn));
        return record && record->shown->status == "refreshing";
    };
    GW_TRY(settle(call, load));
    if (!record) return not_found("The schemas of this endpoint were never refreshed.");
    return model::DescribeRefreshSchemasStatusResponse{*record->shown};
}

Answer<model::DescribeSchemasResponse> Service::describe_schemas(Call& call,
                                                                 const model::DescribeSchemasMessage& in) {
    GW_TRY(need_endpoint(call.scope, *in.endpoint_arn));
    const auto record = GW_TRY(find<SchemasRecord>(call.scope, *in.endpoint_arn));
    std::vector<std::pair<std::int64_t, std::string>> names;
    if (record && record->names)
        for (const auto& name : *record->names)
            names.emplace_back(static_cast<std::int64_t>(names.size()) + 1, name);
    auto page = GW_TRY(paginate(std::move(names), in.max_records, in.marker));
    return model::DescribeSchemasResponse{page.marker, std::move(page.items)};
}

}  // namespace godwit::api
