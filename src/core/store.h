#pragma once
// Where the control plane keeps its resources. One document per resource: kind, region, key (ARN or name),
// JSON. Implementations: memory, SQLite. Both pass tests/contract/store_contract.cc.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace godwit {

struct StoredResource {
    std::string kind;  // "task", "endpoint", ...
    std::string region;
    std::string key;         // unique within kind and region
    std::string document;    // JSON
    std::int64_t order = 0;  // creation order, given by the store
};

struct StoredEvent {
    std::int64_t order = 0;
    std::int64_t time_us = 0;
    std::string region, source_type, source_id, message;
    std::vector<std::string> categories;
};

// Thread safe. A returned success is durable.
class StateStore {
public:
    virtual ~StateStore() = default;
    [[nodiscard]] virtual Result<> put(
        const StoredResource& resource) = 0;  // insert or replace; keeps the order
    [[nodiscard]] virtual Result<std::optional<StoredResource>> get(const std::string& kind,
                                                                    const std::string& region,
                                                                    const std::string& key) = 0;
    // in creation order; region empty: all
    [[nodiscard]] virtual Result<std::vector<StoredResource>> list(const std::string& kind,
                                                                   const std::string& region) = 0;
    [[nodiscard]] virtual Result<> remove(const std::string& kind, const std::string& region,
                                          const std::string& key) = 0;
    [[nodiscard]] virtual Result<> add_event(const StoredEvent& event) = 0;
    [[nodiscard]] virtual Result<std::vector<StoredEvent>> events(const std::string& region,
                                                                  std::int64_t from_us,
                                                                  std::int64_t to_us) = 0;
    [[nodiscard]] virtual Result<> forget_events_before(std::int64_t time_us) = 0;
};

}  // namespace godwit
