#pragma once
// The keeper: a small process that outlives a killed task and holds what its load stands on.
//
//  * one session holds the load's snapshot and touches no user table; it re-exports the snapshot, so that a
//  new
//    process of the task can go on with the unfinished slices under the same snapshot;
//  * one session per table in flight holds ACCESS SHARE on it from before its first slice to after its last,
//  because
//    a snapshot alone does not protect a table (VACUUM FULL or a rewriting ALTER between two slices empties
//    them silently);
//  * every 500 ms it looks who waits behind those locks: a queued ALTER blocks every query of the
//  application, so
//    after `ddlwaitms` the table's readers are cancelled and its lock is given back; the table is loaded
//    later. A reader that still holds its lock at the next look is ended.
//
// It ends when told to, when its snapshot session dies, or when no task has owned the folder for
// kOrphanMinutes. Files in the task's folder: NAME.sock (requests), NAME.state (pid, start time, snapshot,
// mark, start position).

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "core/endpoint.h"
#include "core/table.h"

namespace godwit::postgres {

// How many blocks of a table one slice of a load that begins now has: attribute sliceBlocks.
[[nodiscard]] std::int64_t slice_blocks(const EndpointConfig& endpoint);

struct KeeperState {
    ProcessId process;
    std::string snapshot;           // re-exported name
    std::string mark;               // SnapshotMark token, empty without capture
    std::string start;              // log start, empty without capture
    std::int64_t slice_blocks = 0;  // as wide as the ledger's slices are; 0: not known
};

// The task's end. Use by one thread at a time.
class KeeperClient {
public:
    // Starts a keeper. `import` names an exported snapshot that is still held elsewhere; empty: it takes its
    // own.
    [[nodiscard]] static Result<KeeperClient> spawn(const std::string& program,
                                                    const std::filesystem::path& folder,
                                                    const std::string& name, const std::string& task_id,
                                                    const EndpointConfig& endpoint, const std::string& import,
                                                    const std::string& mark, const std::string& start);
    // The keeper of an earlier process; nothing when it is gone or lost its snapshot.
    [[nodiscard]] static std::optional<KeeperClient> find(const std::filesystem::path& folder,
                                                          const std::string& name);

    // Ends what a killed process left: every keeper of the folder but the one named.
    static void end_others(const std::filesystem::path& folder, const std::string& name);

    [[nodiscard]] const KeeperState& state() const { return state_; }
    // Locks the table (with its leaves) and verifies that the snapshot and the present agree about its shape.
    // failed_precondition: they do not; load it under a new snapshot.
    [[nodiscard]] Result<> lock(const TableName& table);
    // aborted: the lock had to be given back already.
    [[nodiscard]] Result<> check(const TableName& table);
    // Gives the lock back. aborted: it had to be given back before (a waiting ALTER), what was read is void.
    [[nodiscard]] Result<> unlock(const TableName& table);
    void end();

private:
    explicit KeeperClient(std::filesystem::path socket, KeeperState state)
        : socket_(std::move(socket)), state_(std::move(state)) {}
    [[nodiscard]] Result<> call(const std::string& operation, const TableName& table) const;
    std::filesystem::path socket_;
    KeeperState state_;
};

// Body of the process: `godwit keeper postgres --folder DIR --name NAME [--import S] [--mark M] [--start P]`,
// a TaskSpec with `id` and `source` on standard input.
int keeper_main(int argc, char** argv);

}  // namespace godwit::postgres
