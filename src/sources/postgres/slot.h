#pragma once
// Replication slots. Every function runs on an ordinary session except create_slot().

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "sources/postgres/lsn.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

// "2kpcjkh6ikofiu63_00016402_7f514566_e4ce_419a_a49e_561b4a1d9c8c": 16 letters and digits of the task's
// resource id (lower case, padded with 0), the database's oid in 8 digits, 16 random bytes as a uuid with
// underscores.
[[nodiscard]] std::string slot_name(std::string_view task_resource_id, std::uint32_t database_oid);
[[nodiscard]] std::string slot_name(std::string_view task_resource_id, std::uint32_t database_oid,
                                    const std::uint8_t (&random)[16]);
[[nodiscard]] Result<std::uint32_t> database_oid(pg::Connection& session);

struct SlotInfo {
    std::string name, plugin, database;
    bool temporary = false;
    bool two_phase = false;
    int active_pid = 0;  // 0: nobody reads it
    Lsn restart, confirmed_flush;
    std::string wal_status;           // reserved, extended, unreserved, lost
    std::string invalidation_reason;  // "" while it is valid; 17 says more, before that "lost"
    std::uint64_t retained_bytes = 0;
    [[nodiscard]] bool lost() const noexcept { return !invalidation_reason.empty(); }
};
// Nothing: there is no such slot.
[[nodiscard]] Result<std::optional<SlotInfo>> inspect_slot(pg::Connection& session, const std::string& name);
// The slot if it can be streamed: not_found, data_loss (invalidated) or failed_precondition (other database)
// if not.
[[nodiscard]] Result<SlotInfo> require_slot(pg::Connection& session, const std::string& name);

struct SlotRequest {
    std::string name;
    std::string plugin = "pgoutput";
    bool temporary = false;
    bool export_snapshot = true;
    bool failover = false;               // 17 on
    std::chrono::seconds wait_max{600};  // for the transactions that run (TransactionConsistencyTimeout)
};
struct CreatedSlot {
    std::string name;
    Lsn consistent_point;
    std::string snapshot;  // usable until `replication` runs another statement or ends
};
// `replication` is a replication session; `observer` an ordinary one, which names who is waited for when it
// takes longer than `wait_max` (failed_precondition: pids and prepared transactions). Nothing is left behind
// on failure.
[[nodiscard]] Result<CreatedSlot> create_slot(pg::Connection& replication, pg::Connection& observer,
                                              const SlotRequest& request, Clock& clock, std::stop_token stop);

// Polls until nobody reads the slot; its last state. failed_precondition after `wait_max`, naming the pid.
[[nodiscard]] Result<SlotInfo> wait_until_free(pg::Connection& session, const std::string& name,
                                               std::chrono::milliseconds wait_max, Clock& clock,
                                               std::stop_token stop);
// Drops it if it exists. A reader is terminated first when its application name starts with `own_application`
// (empty: never); another reader is failed_precondition, naming its pid.
[[nodiscard]] Result<> drop_slot(pg::Connection& session, const std::string& name,
                                 const std::string& own_application, Clock& clock, std::stop_token stop);
// The copy stands where `from` stands. Returns its confirmed position.
[[nodiscard]] Result<Lsn> copy_slot(pg::Connection& session, const std::string& from, const std::string& to,
                                    bool temporary = false);
// Who holds up the creation of a slot: "pid 123 (app), prepared transaction 'x'"; empty when nobody does.
[[nodiscard]] std::string transactions_in_the_way(pg::Connection& observer, int waiting_pid);

}  // namespace godwit::postgres
