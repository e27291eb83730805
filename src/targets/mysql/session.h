#pragma once
// Sessions on the target: every one with the same settings, and written down in godwit.gw_session with the
// epoch of its task, so that a take-over finds it, ends it and waits for its end.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "core/endpoint.h"
#include "core/table.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

// What the server can do, asked once.
struct ServerFacts {
    bool mariadb = false;
    int version = 0;
    bool local_infile = false;
    bool explicit_timestamps = true;        // explicit_defaults_for_timestamp
    std::uint64_t packet_bytes = 4U << 20;  // max_allowed_packet
    // What a statement may take, with room for short ones beside it: over more the server closes the session.
    [[nodiscard]] std::uint64_t statement_bytes() const {
        return packet_bytes > 1024 ? packet_bytes - 1024 : 0;
    }
    // Text that compares by its bytes, trailing blanks included. Empty: there is none, keys are VARBINARY.
    std::string key_collation;
    std::string text_collation;  // for all other text
};

// Thread safe.
class Sessions {
public:
    Sessions(EndpointConfig endpoint, std::string task, Log* log);

    // Opens the first session, asks what the server is.
    [[nodiscard]] Result<ServerTraits> probe();
    // Sessions opened from now on carry it; those at rest are closed.
    void set_epoch(std::uint64_t epoch);
    [[nodiscard]] std::uint64_t epoch() const;
    [[nodiscard]] const ServerFacts& facts() const noexcept { return facts_; }

    // Refused by the server when the task was taken over (failed_precondition).
    [[nodiscard]] Result<Connection> open() const;

    // One at rest, or a new one; goes back when the holder dies, unless it broke or is inside a transaction.
    class Held {
    public:
        Held(Sessions& owner, std::unique_ptr<Connection> c, std::uint64_t epoch)
            : owner_(&owner), c_(std::move(c)), epoch_(epoch) {}
        Held(Held&&) noexcept = default;
        Held& operator=(Held&&) = delete;
        ~Held();
        Connection& operator*() const { return *c_; }
        Connection* operator->() const { return c_.get(); }

    private:
        Sessions* owner_;
        std::unique_ptr<Connection> c_;
        std::uint64_t epoch_;
    };
    [[nodiscard]] Result<Held> hold();

private:
    [[nodiscard]] ConnectOptions options() const;
    [[nodiscard]] Result<> settle(Connection& connection) const;

    const EndpointConfig endpoint_;
    const std::string task_;
    Log* const log_;
    ServerFacts facts_;         // constant after probe()
    mutable std::mutex mutex_;  // guards what follows
    std::uint64_t epoch_ = 0;
    std::vector<std::unique_ptr<Connection>> idle_;
};

// What all parts of one target share. Constant after take_over(), but for the turn.
struct TargetContext {
    EndpointConfig endpoint;
    std::string task;
    std::string control_schema = "awsdms_control";
    std::string target_schema;
    ServerTraits source, target;
    Log* log = nullptr;

    [[nodiscard]] TableName name_of(const TableName& source_name) const {
        if (!target_schema.empty()) return {target_schema, source_name.table};
        return {endpoint.database.empty() ? source_name.schema : endpoint.database, source_name.table};
    }
    // Types and expressions are those of the source's own DDL.
    [[nodiscard]] bool same_family() const { return source.family == "mysql"; }

    // Taken by run_ddl() alone, which holds no lock of the server while it waits.
    mutable std::mutex ddl_turn;
};

// A statement that changes a table's shape or empties it. Those on tables with foreign keys take turns: each
// locks its own table and then the ones that refer to it. MySQL ends one of two that meet (1213); in MariaDB
// (10.11.19) both wait for ever in "Committing alter table to storage engine", past every timeout, and so
// does whoever comes to one of the tables. Nothing of the session's transaction may be open: it would be
// committed, and who waits for its turn would hold its locks.
[[nodiscard]] Result<> run_ddl(Connection& connection, const TargetContext& context, const TableName& target,
                               const std::string& sql);

}  // namespace godwit::mysql
