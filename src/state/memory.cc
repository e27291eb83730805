#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "state/stores.h"

namespace godwit::state {
namespace {

class MemoryStore final : public StateStore {
public:
    Result<> put(const StoredResource& resource) override {
        const std::lock_guard lock(mutex_);
        auto& at = resources_[{resource.kind, resource.region, resource.key}];
        const auto order = at.order == 0 ? ++last_order_ : at.order;
        at = resource;
        at.order = order;
        return {};
    }
    Result<std::optional<StoredResource>> get(const std::string& kind, const std::string& region,
                                              const std::string& key) override {
        const std::lock_guard lock(mutex_);
        const auto it = resources_.find({kind, region, key});
        if (it == resources_.end()) return std::nullopt;
        return it->second;
    }
    Result<std::vector<StoredResource>> list(const std::string& kind, const std::string& region) override {
        const std::lock_guard lock(mutex_);
        std::vector<StoredResource> out;
        for (const auto& [id, resource] : resources_)
            if (resource.kind == kind && (region.empty() || resource.region == region))
                out.push_back(resource);
        std::ranges::sort(out, {}, &StoredResource::order);
        return out;
    }
    Result<> remove(const std::string& kind, const std::string& region, const std::string& key) override {
        const std::lock_guard lock(mutex_);
        resources_.erase({kind, region, key});
        return {};
    }
    Result<> add_event(const StoredEvent& event) override {
        const std::lock_guard lock(mutex_);
        events_.push_back(event);
        events_.back().order = ++last_event_;
        return {};
    }
    Result<std::vector<StoredEvent>> events(const std::string& region, std::int64_t from_us,
                                            std::int64_t to_us) override {
        const std::lock_guard lock(mutex_);
        std::vector<StoredEvent> out;
        for (const auto& event : events_)
            if (event.region == region && event.time_us >= from_us && event.time_us < to_us)
                out.push_back(event);
        std::ranges::stable_sort(out, {}, [](const StoredEvent& e) { return std::pair(e.time_us, e.order); });
        return out;
    }
    Result<> forget_events_before(std::int64_t time_us) override {
        const std::lock_guard lock(mutex_);
        std::erase_if(events_, [&](const StoredEvent& e) { return e.time_us < time_us; });
        return {};
    }

private:
    std::mutex mutex_;  // guards all below
    std::map<std::tuple<std::string, std::string, std::string>, StoredResource> resources_;
    std::vector<StoredEvent> events_;
    std::int64_t last_order_ = 0, last_event_ = 0;
};

}  // namespace

std::unique_ptr<StateStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace godwit::state
