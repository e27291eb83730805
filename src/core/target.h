#pragma once
// What the engine asks of a target. On a transactional target the ledger (generations, slices, positions) is
// rows of the target and commits with the data; the server itself refuses what was overtaken.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "core/change.h"
#include "core/endpoint.h"
#include "core/position.h"
#include "core/table.h"

namespace godwit {

enum class PrepMode : std::uint8_t { do_nothing, drop_and_create, truncate };

enum class TablePhase : std::uint8_t {
    waiting,    // known, not prepared
    loading,    // prepared; slices arrive
    loaded,     // all slices in, key built; changes from the mark on are still missing
    joined,     // part of the common position
    suspended,  // Table error; changes are skipped until a reload
};

// How far a table has come inside a transaction of the source (where DDL commits, see Target::ddl_commits),
// and the last change of its shape: met again it is not made twice. Any other transaction, any other change
// has none of it.
struct TablePart {
    std::uint64_t order = 0;    // of the transaction's begin
    std::uint64_t records = 0;  // of this table in it that are in
    std::uint64_t plan = 0;     // digest of the change of shape
    std::uint32_t steps = 0;    // of it that are done
    bool operator==(const TablePart&) const = default;
    // for a ledger; what cannot be read is as new
    [[nodiscard]] std::string text() const;
    [[nodiscard]] static TablePart of(const std::string& text);
};

// One table's row of the ledger.
struct TableState {
    TableName name;  // at the source
    TablePhase phase = TablePhase::waiting;
    std::uint64_t generation = 0;  // counts loads
    SnapshotMark mark;
    Position applied;    // `loaded`: what catch-up has reached; empty = the mark
    TablePart part;      // beyond the position
    std::string reason;  // why suspended
    std::uint64_t rows = 0;
    std::uint64_t source_id = 0;  // TableSchema::source_id; 0: not known
};

struct Ledger {
    std::uint64_t epoch = 0;
    std::optional<Position> applied;  // the common position
    std::uint64_t sequence = 0;
    std::vector<TableState> tables;
    std::string source_system_id;
    std::uint32_t source_timeline = 0;
};

struct PreparedTable {
    std::uint64_t generation = 0;
    std::string format;         // agreed load format, from what the source offers
    std::string stream_format;  // and what the table can take of the log: one of Source::stream_formats()
    bool created = false;       // godwit made it: keys are still to be built
    std::vector<std::string> warnings;
    std::vector<std::string> notices;  // warnings that are events of the task as well
};

struct TaskIdentity {
    std::string id;  // last part of the task's ARN, lower case
    std::string control_schema;
    std::string target_schema;  // TargetMetadata.TargetSchema; empty: the source's
};

// Two tables of a task that the target's naming takes for one. Loads, TRUNCATE and errors of either would be
// the other's: it is refused before the first row.
[[nodiscard]] inline std::unexpected<Error> two_sources(const TableName& target, const TableName& other) {
    return fail(ErrorCode::failed_precondition,
                "table " + target.text() + " of the target holds the rows of source table " + other.text() +
                    " already, and one task cannot keep two tables in one: exclude either in the table "
                    "mappings, or do without TargetSchema or DatabaseName, which give them one name");
}

// One writing session; use by one thread at a time.
class SliceWriter {
public:
    virtual ~SliceWriter() = default;
    // false: this slice is already in
    [[nodiscard]] virtual Result<bool> begin(const TableSchema& table, const PreparedTable& prepared,
                                             std::uint32_t slice) = 0;
    [[nodiscard]] virtual Result<> write(Bytes block) = 0;
    // Rows and the slice's mark become durable together; the server's count must equal `rows`.
    [[nodiscard]] virtual Result<> commit(std::uint64_t rows) = 0;
    virtual void abort() = 0;
};

enum class ConflictAction : std::uint8_t { ignore, log, suspend_table, stop_task, overwrite };

// The policies of spec/targets-relational section 9, per operation.
struct ConflictPolicy {
    ConflictAction insert_exists = ConflictAction::log;
    ConflictAction update_missing = ConflictAction::log;
    ConflictAction delete_missing = ConflictAction::ignore;
    ConflictAction data_error = ConflictAction::log;
};

// Of Applier::Mode::converging; other errors go by the task's own policy.
[[nodiscard]] constexpr ConflictPolicy converging_policy(ConflictPolicy policy) {
    policy.insert_exists = policy.update_missing = ConflictAction::overwrite;
    policy.delete_missing = ConflictAction::ignore;
    return policy;
}

struct ApplyCounts {
    std::uint64_t inserts = 0, updates = 0, deletes = 0, ddls = 0, conflicts = 0;
};

// A row that the policy decided about in careful mode.
struct ApplyConflict {
    TableName table;
    RecordKind operation;
    ConflictAction action;
    std::string error;  // no row values
};

struct TableApplied {
    TableName table;
    ApplyCounts counts;
};

// A change of a table's shape, derived by the engine from two versions.
struct SchemaChange {
    enum class Kind : std::uint8_t {
        add_column,
        drop_column,
        rename_column,
        change_type,
        rename_table,
        drop_table
    } kind;
    TableName table;
    ColumnSchema column;          // add, change_type: the new one
    std::string old_name;         // drop, rename
    std::string new_name;         // rename
    std::string new_schema;       // rename_table: of the source; empty: the same
    std::vector<UserType> types;  // that the column needs, each after those it is made of
    // Its cells come in binary. Where they may not pass so, the change fails with `unsupported`,
    // from_checkpoint.
    bool binary = false;
};

// Applies records inside one target transaction at a time. Use by one thread.
// fast: statements of many rows, sent ahead of their answers; any row that does not meet exactly what the log
// says
//       makes commit() fail with ErrorCode::conflict, nothing applied. The engine then replays the same
//       records
// careful: rows that fail are judged singly by the policy and written to awsdms_apply_exceptions.
// converging: like careful, but a row that is there is overwritten, one to be updated that is not there is
// inserted,
//       one to be removed may be gone (Contained::by_image), and nothing of that is a conflict.
class Applier {
public:
    enum class Mode : std::uint8_t { fast, careful, converging };
    virtual ~Applier() = default;
    // The relation as the log spells it and the table as it stands on the target. Before its first change.
    [[nodiscard]] virtual Result<> define(const Relation& relation, const TableSchema& source_table) = 0;
    [[nodiscard]] virtual Result<> begin(Mode mode) = 0;
    // insert, update, remove or truncate. The bytes may die when it returns.
    [[nodiscard]] virtual Result<> apply(const Record& record) = 0;
    // Inside the open transaction, behind what was applied before it; where DDL commits, first in a
    // transaction without rows. Comparing first makes it idempotent.
    [[nodiscard]] virtual Result<> change_schema(const SchemaChange& change) = 0;
    // table.part commits with the open transaction, unless the table has been prepared anew meanwhile.
    [[nodiscard]] virtual Result<> save_part(const TableState& table) = 0;
    // Bytes that wait in memory; the engine commits or flushes before they grow too many.
    [[nodiscard]] virtual std::size_t buffered_bytes() const = 0;
    // The common position and the states of tables commit with the rows. Without `position` only the tables.
    [[nodiscard]] virtual Result<> commit(const std::optional<Position>& position,
                                          const std::vector<TableState>& tables) = 0;
    // Can the target still lose a commit when it crashes (synchronous_commit=off)? It then loses the newest
    // ones. What is not durable is not acknowledged to the source and stays in the spool.
    [[nodiscard]] virtual bool durable() const { return true; }
    // Waits until every commit so far is on the target's disk. Between transactions.
    [[nodiscard]] virtual Result<> make_durable() { return {}; }
    virtual void abort() = 0;
    // since the last call; counts only what was committed
    [[nodiscard]] virtual std::vector<TableApplied> take_counts() = 0;
    [[nodiscard]] virtual std::vector<ApplyConflict> take_conflicts() = 0;
};

class Target {
public:
    virtual ~Target() = default;

    [[nodiscard]] virtual Result<ServerTraits> open() = 0;
    // Takes the task over: epoch + 1, older sessions of the task ended, their late commits refused.
    [[nodiscard]] virtual Result<Ledger> take_over(const TaskIdentity& task, const ServerTraits& source) = 0;
    // Forgets positions, tables and slices (fresh start, reload-target). Keeps the epoch.
    [[nodiscard]] virtual Result<> reset() = 0;

    // --- load.  Thread safe.
    [[nodiscard]] virtual Result<PreparedTable> prepare(const TableSchema& table, PrepMode mode,
                                                        const std::vector<std::string>& offered_formats,
                                                        const SnapshotMark& mark) = 0;
    // as prepare() left it, after a restart
    [[nodiscard]] virtual Result<PreparedTable> prepared(const TableSchema& table, const TableState& state,
                                                         const std::vector<std::string>& offered_formats) = 0;
    // These tables are written to from now on without prepare() (changes only, or a start that goes on).
    // Returns what their user should know, as PreparedTable::notices; an error: the endpoint refuses them.
    [[nodiscard]] virtual Result<std::vector<std::string>> look_over(const std::vector<TableSchema>& tables) {
        (void)tables;
        return std::vector<std::string>{};
    }
    struct SliceDone {
        std::uint32_t number = 0;
        std::uint64_t rows = 0;
    };
    [[nodiscard]] virtual Result<std::vector<SliceDone>> slices_done(const TableSchema& table,
                                                                     std::uint64_t generation) = 0;
    [[nodiscard]] virtual Result<std::unique_ptr<SliceWriter>> open_writer() = 0;
    // Builds the key, gathers statistics, sets the phase. All slices are in.
    [[nodiscard]] virtual Result<> finish_load(const TableSchema& table, const PreparedTable& prepared,
                                               TablePhase phase, std::uint64_t rows) = 0;
    [[nodiscard]] virtual Result<> set_phase(const TableName& table, TablePhase phase,
                                             const std::string& reason) = 0;

    // --- changes
    // Is DDL no part of a transaction here: does it commit what stands before it, and itself?
    [[nodiscard]] virtual bool ddl_commits() const { return false; }
    // How an applier asks what a table is at the source by now: its types may have gained values, which no
    // log tells. Before open_applier().
    virtual void asks(std::function<Result<TableSchema>(const TableName&)> describe) { (void)describe; }
    [[nodiscard]] virtual Result<std::unique_ptr<Applier>> open_applier(const ConflictPolicy& policy) = 0;

    // --- comparison: a snapshot of the target, held until the object dies. Thread safe.
    class Snapshot {
    public:
        virtual ~Snapshot() = default;
        // In which form source and target can be compared.
        [[nodiscard]] virtual DigestForm form() const { return DigestForm::own; }
        // `table` as the source has it
        [[nodiscard]] virtual Result<TableDigest> digest(const TableSchema& table, std::stop_token stop) = 0;
        [[nodiscard]] virtual Result<std::vector<KeyDigest>> key_digests(const TableSchema& table,
                                                                         std::uint32_t bucket,
                                                                         std::uint32_t buckets,
                                                                         std::stop_token stop) = 0;
    };
    [[nodiscard]] virtual Result<std::unique_ptr<Snapshot>> open_snapshot() = 0;

    // Secondary indexes, foreign keys, checks, defaults, identity (CreateSecondaryIndexes); sequences
    // (SyncSequences).
    [[nodiscard]] virtual Result<std::vector<std::string>> create_secondary(
        const std::vector<TableSchema>& tables) = 0;
    // Sets sequences and identities beyond the source's (SyncSequences, cutover). What could not be set, by
    // name.
    [[nodiscard]] virtual Result<std::vector<std::string>> sync_sequences(
        const std::vector<TableSchema>& tables) = 0;
    // Removes the task's rows from the ledger (the task is deleted).
    [[nodiscard]] virtual Result<> forget_task(const TaskIdentity& task) = 0;
};

}  // namespace godwit
