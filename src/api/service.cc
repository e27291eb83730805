#include "api/service.h"

#include <fmt/format.h>

#include <algorithm>

namespace godwit::api {
namespace {

constexpr auto kSettleMax = std::chrono::milliseconds(400);
constexpr std::int64_t kEventsKeptUs = 14LL * 24 * 3600 * 1'000'000;
constexpr int kQuickThreads = 2, kSlowThreads = 8;

}  // namespace

Service::Service(ServiceOptions options) : options_(std::move(options)) {}

Service::~Service() { stop(); }

void Service::attach(control::Supervisor& supervisor) {
    supervisor_ = &supervisor;
    quick_ = std::make_unique<Jobs>(kQuickThreads);
    slow_ = std::make_unique<Jobs>(kSlowThreads);
}

void Service::stop() {
    slow_.reset();
    quick_.reset();
}

void Service::later(std::chrono::milliseconds delay, std::function<Answer<std::monostate>()> work) {
    quick_->after(delay, [this, work = std::move(work)](const std::stop_token&) {
        const std::lock_guard lock(mutex_);
        if (const auto done = work(); !done) options_.log.error(Component::rest_server, done.error().message);
    });
}

Answer<std::monostate> Service::settle(Call& call, const std::function<Answer<bool>()>& load) {
    const auto deadline = std::chrono::steady_clock::now() + kSettleMax;
    while (GW_TRY(load()))
        if (changed_.wait_until(call.lock, deadline) == std::cv_status::timeout) break;
    return {};
}

void Service::event(const std::string& scope, const char* source_type, const std::string& source_id,
                    const char* category, const std::string& message, std::optional<Timestamp> at) {
    StoredEvent e;
    e.time_us = at.value_or(now()).us;
    e.region = scope;
    e.source_type = source_type;
    e.source_id = source_id;
    e.message = message;
    e.categories = {category};
    if (const auto done = options_.store.add_event(e); !done)
        options_.log.error(Component::rest_server, done.error().text());
    if (const auto done = options_.store.forget_events_before(now().us - kEventsKeptUs); !done)
        options_.log.error(Component::rest_server, done.error().text());
}

Result<> Service::recover() {
    struct Found {
        std::string scope, key, status;
    };
    std::vector<Found> instances, endpoints, tests, refreshes, tasks;
    {
        const std::lock_guard lock(mutex_);
        const auto gather = [&]<class R>(std::vector<Found>& to, auto status_of_record) -> Result<> {
            for (const auto& stored : GW_TRY(options_.store.list(R::kKind, ""))) {
                const auto record = GW_TRY(decode_stored<R>(stored.document));
                to.push_back({stored.region, stored.key, status_of_record(record)});
            }
            return {};
        };
        GW_CHECK(gather.operator()<InstanceRecord>(instances, [](const InstanceRecord& r) {
            return r.shown->replication_instance_status.value_or("");
        }));
        GW_CHECK(gather.operator()<EndpointRecord>(
            endpoints, [](const EndpointRecord& r) { return r.shown->status.value_or(""); }));
        GW_CHECK(gather.operator()<ConnectionRecord>(
            tests, [](const ConnectionRecord& r) { return r.shown->status.value_or(""); }));
        GW_CHECK(gather.operator()<SchemasRecord>(
            refreshes, [](const SchemasRecord& r) { return r.shown->status.value_or(""); }));
        GW_CHECK(gather.operator()<TaskRecord>(
            tasks, [](const TaskRecord& r) { return r.shown->status.value_or(""); }));
    }
    for (const auto& f : instances)
        if (f.status != "available")
            finish_instance(f.scope, f.key);
        else
            await_window(f.scope, f.key, {});
    for (const auto& f : endpoints)
        if (f.status == "deleting") finish_endpoint_delete(f.scope, f.key);
    for (const auto& f : tests) {
        const auto blank = f.key.find(' ');
        const auto instance = f.key.substr(0, blank), endpoint = f.key.substr(blank + 1);
        if (f.status == "testing") run_test(f.scope, instance, endpoint);
        if (f.status == "deleting") later({}, [this, f] { return erase<ConnectionRecord>(f.scope, f.key); });
    }
    for (const auto& f : refreshes)
        if (f.status == "refreshing") run_refresh(f.scope, f.key);
    for (const auto& f : tasks) {
        if (f.status == "creating" || f.status == "modifying" || f.status == "moving")
            finish_modify(f.scope, f.key);
        if (f.status == "deleting") finish_delete(f.scope, f.key);
        if (f.status == "starting" || f.status == "running" || f.status == "stopping")
            recover_run(f.scope, f.key);
    }
    return {};
}

Answer<std::monostate> check_filters(const std::optional<std::vector<model::Filter>>& filters,
                                     std::initializer_list<std::string_view> known) {
    if (!filters) return {};
    for (const auto& filter : *filters) {
        if (std::ranges::find(known, std::string_view(*filter.name)) == known.end())
            return invalid_value(fmt::format("Unrecognized filter name: {}. Known filters: {}.",
                                             shortened(*filter.name), fmt::join(known, ", ")));
        if (filter.values->empty()) return invalid_value("The filter " + *filter.name + " has no values.");
    }
    return {};
}

bool passes(const std::optional<std::vector<model::Filter>>& filters, const FilterValues& values) {
    if (!filters) return true;
    return std::ranges::all_of(*filters, [&](const model::Filter& filter) {
        const auto have = values(*filter.name);
        return std::ranges::any_of(*filter.values, [&](const std::string& wanted) {
            return std::ranges::find(have, wanted) != have.end();
        });
    });
}

Answer<std::int64_t> page_size(std::optional<std::int64_t> max_records, PageLimits limits) {
    if (!max_records) return limits.normal;
    if (*max_records < limits.min || *max_records > limits.max)
        return invalid_value(fmt::format("Invalid value {} for MaxRecords. Must be between {} and {}",
                                         *max_records, limits.min, limits.max));
    return *max_records;
}

std::string make_marker(std::int64_t order) { return base64_encode("after " + std::to_string(order)); }

Answer<std::int64_t> read_marker(const std::optional<std::string>& marker) {
    if (!marker || marker->empty()) return std::int64_t{0};
    constexpr std::string_view kStart = "after ";
    const auto text = base64_decode(*marker);
    if (text && text->starts_with(kStart) && text->size() > kStart.size()) {
        char* end = nullptr;
        const long long order = std::strtoll(text->c_str() + kStart.size(), &end, 10);
        if (*end == 0 && order > 0) return order;
    }
    return invalid_value("Invalid Marker: " + shortened(*marker));
}

}  // namespace godwit::api
