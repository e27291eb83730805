#pragma once
// Sessions on the target: every one with the same settings, named after task and epoch so that a take-over
// finds it, and watched by the server itself so that a vanished client does not hold its locks for hours.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/endpoint.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

// synchronousCommit=off: the server may lose the newest commits of an applier when it crashes. Other sessions
// wait.
[[nodiscard]] bool commits_unflushed(const EndpointConfig& endpoint);

// A server that has become a standby takes writes again elsewhere, or later; a statement that somebody else
// has cancelled may run the next time. We cancel none.
[[nodiscard]] Error away(Error error);

// Thread safe.
class Sessions {
public:
    Sessions(EndpointConfig endpoint, std::string task);

    // Opens the first session, asks what the server is and which rights there are.
    [[nodiscard]] Result<ServerTraits> probe();
    // Sessions opened from now on carry it; those at rest are closed.
    void set_epoch(std::uint64_t epoch);
    [[nodiscard]] std::uint64_t epoch() const;
    // session_replication_role=replica is in force: no triggers, no foreign keys
    [[nodiscard]] bool replica_role() const;

    [[nodiscard]] Result<pg::Connection> open() const;

    // One at rest, or a new one; goes back when the holder dies, unless it broke or is inside a transaction.
    class Held {
    public:
        Held(Sessions& owner, std::unique_ptr<pg::Connection> c, std::uint64_t epoch)
            : owner_(&owner), c_(std::move(c)), epoch_(epoch) {}
        Held(Held&&) noexcept = default;
        Held& operator=(Held&&) = delete;
        ~Held();
        pg::Connection& operator*() const { return *c_; }
        pg::Connection* operator->() const { return c_.get(); }

    private:
        Sessions* owner_;
        std::unique_ptr<pg::Connection> c_;
        std::uint64_t epoch_;
    };
    [[nodiscard]] Result<Held> hold();

private:
    [[nodiscard]] Result<> settle(pg::Connection& connection, bool replica) const;

    const EndpointConfig endpoint_;
    const std::string task_;
    mutable std::mutex mutex_;  // guards what follows
    std::uint64_t epoch_ = 0;
    bool replica_role_ = false;
    std::vector<std::unique_ptr<pg::Connection>> idle_;
};

}  // namespace godwit::postgres
