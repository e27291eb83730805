#pragma once
// What the engine asks of a source. One implementation per engine family; nothing here names one.
//
// Rules (shared/exactness is their origin; docs/decisions says where we differ):
//  * the start of the log is fixed before the first row is read;
//  * a table's slices are read under one snapshot, whose mark decides which changes it already contains;
//  * what is acknowledged may be forgotten by the source, so it must be durable on the target.

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

// Does a snapshot hold what a transaction did?
enum class Contained : std::uint8_t {
    no,
    yes,
    // Nobody knows. Its rows have keys and come whole, so each image says itself what its row became:
    // inserted and updated ones are put in place of what is there, removed ones may be gone.
    by_image,
};

// A selection as the table mappings say it; the source asks it for every table that it finds.
class Selection {
public:
    virtual ~Selection() = default;
    [[nodiscard]] virtual bool selects(const TableName& name, bool is_view) const = 0;
    // higher loads first; absent = 0
    [[nodiscard]] virtual std::int64_t load_order(const TableName& name) const = 0;
};

// A physical or key range of one table, read by one statement. `low`/`high` are the source's own tokens.
struct Slice {
    std::uint32_t number = 0;
    std::size_t leaf = 0;   // index into TableLoad::leaves
    std::string low, high;  // high empty: to the end
};

// One table, locked and verified, ready to be read under the load's snapshot.
struct TableLoad {
    TableSchema schema;             // as the snapshot sees it
    std::vector<TableName> leaves;  // what is really read
    std::vector<Slice> slices;
    std::string handle;  // the source's own
};

// The snapshot of a load.
struct LoadContext {
    Position start;        // of the log; empty when nothing is captured
    SnapshotMark mark;     // empty when nothing is captured
    std::string snapshot;  // the source's own name of it
    bool resumed = false;  // the snapshot of an earlier process of this task still stands
};

struct LoadRequest {
    bool capture = false;  // changes follow: fix the log's start together with the snapshot
    bool resume = false;   // try the snapshot that an earlier process of this task left held
    bool aside = false;    // a snapshot of its own beside whatever else is held, without changes (comparison)
    bool only_resume =
        false;  // when there is no such snapshot, leave everything as it is and say resumed = false
    std::uint32_t wait_s_max = 600;  // for running transactions of the source (TransactionConsistencyTimeout)
};

// Takes the bytes of one slice in the format that both ends agreed on.
class LoadSink {
public:
    virtual ~LoadSink() = default;
    // Blocks of whole rows, in order. `rows` counts those that end in this block.
    [[nodiscard]] virtual Result<> write(Bytes block, std::uint64_t rows) = 0;
};

// Takes the log. Called by the one thread that runs Source::stream(). `stream` 0 is the log of committed
// transactions; another number is an open transaction that the source sends before it ends.
class ChangeSink {
public:
    virtual ~ChangeSink() = default;
    // Where the next record is to be written. Valid until recorded().
    [[nodiscard]] virtual ByteBuffer& buffer(std::uint32_t stream) = 0;
    // A record was written. Never blocks.
    [[nodiscard]] virtual Result<> recorded(std::uint32_t stream) = 0;
    // The log's memory is full: read no more for now, but go on with feedback, and ask again within 100 ms.
    [[nodiscard]] virtual bool full() = 0;
    [[nodiscard]] virtual std::uint32_t new_relation_id() = 0;
    // Every relation record is also given here, before the first change that uses it.
    virtual void define(const Relation& relation) = 0;
    [[nodiscard]] virtual Result<> stream_commit(std::uint32_t stream, std::uint64_t order,
                                                 std::uint64_t order_end, std::string_view position,
                                                 std::int64_t commit_time_us) = 0;
    virtual void stream_abort(std::uint32_t stream, std::uint32_t subxid) = 0;
    // All open streams are void: the connection was lost, they will come again.
    virtual void streams_lost() = 0;
    // Nothing more to read just now: what is buffered should become visible.
    [[nodiscard]] virtual Result<> idle() = 0;
    // What may be acknowledged to the source now; asked before each feedback. Empty: nothing yet.
    [[nodiscard]] virtual Position acknowledged() = 0;
};

// What a catalogue poll saw that the log itself does not tell.
struct CatalogueChange {
    enum class Kind : std::uint8_t {
        table_dropped,
        table_renamed,
        table_added,
        table_altered,
        rows_changed,  // in a way that no log tells: only a reload helps
        identity_lost,
        identity_gained,  // at each poll until a load of the table has begun: it has missed changes
    } kind;
    TableName table;
    TableName new_name;  // table_renamed
    // The log position read after the catalogue: what the poll saw had been committed before it.
    Position seen_at;
    std::uint64_t source_id = 0;
    std::shared_ptr<const TableSchema> schema;  // what the poll saw, where the table is still there
    std::string reason;                         // rows_changed, identity_gained
};

struct SourceHealth {
    Position log_end;                  // up to where the source has written its log
    std::uint64_t retained_bytes = 0;  // log that the source keeps for this task
    std::int64_t clock_us = 0;         // the source's own clock, since 1970
};

class Source {
public:
    virtual ~Source() = default;

    // Connects, checks what the purpose needs and says in the error what to change. Call first.
    [[nodiscard]] virtual Result<ServerTraits> open(bool capture) = 0;
    // What the target is, before tables(): some of what no log shows, a target of the same kind does
    // likewise.
    virtual void target_is(const ServerTraits& target) { (void)target; }
    [[nodiscard]] virtual Result<std::vector<TableSchema>> tables(const Selection& selection) = 0;
    [[nodiscard]] virtual Result<TableSchema> describe(const TableName& name) = 0;
    // The definition that the log had where it wrote this relation, when the source keeps a history: the
    // catalogue may be further on. not_found otherwise. Thread safe.
    [[nodiscard]] virtual Result<TableSchema> described(const Relation& relation) {
        return fail(ErrorCode::not_found, "no history of table " + relation.name.text() + " is kept");
    }

    // --- load
    // What the reader can emit for this table, best first: "pg.binary", "pg.csv", "rows.copy".
    [[nodiscard]] virtual std::vector<std::string> load_formats(const TableSchema& table) const = 0;
    // Tables whose changes are wanted are known to the log before its start is fixed.
    [[nodiscard]] virtual Result<LoadContext> begin_load(const LoadRequest& request,
                                                         const std::vector<TableSchema>& tables,
                                                         std::stop_token stop) = 0;
    [[nodiscard]] virtual Result<TableLoad> open_table(const LoadContext& load, const TableName& table) = 0;
    // Thread safe. Returns the rows read, as the server counted them.
    [[nodiscard]] virtual Result<std::uint64_t> read_slice(const LoadContext& load, const TableLoad& table,
                                                           const Slice& slice, const std::string& format,
                                                           LoadSink& sink, std::stop_token stop) = 0;
    // Fails when the table did not stay what it was while it was read.
    [[nodiscard]] virtual Result<> close_table(const LoadContext& load, const TableLoad& table) = 0;
    virtual void end_load(const LoadContext& load) = 0;
    // These tables, now, under a snapshot of their own (reload, new table). Same life as begin_load().
    // `follow`: their changes are wanted from its mark on; else they are only looked at (comparison).
    [[nodiscard]] virtual Result<LoadContext> begin_table_load(const std::vector<TableSchema>& tables,
                                                               bool follow, std::uint32_t wait_s_max,
                                                               std::stop_token stop) = 0;

    // --- changes
    // Is the transaction of this begin record already in the snapshot of this mark?
    [[nodiscard]] virtual Contained contains(const SnapshotMark& mark, const Record& begin) const = 0;
    // Does contains() know of each transaction?
    [[nodiscard]] virtual bool exact(const SnapshotMark& mark) const {
        (void)mark;
        return true;
    }
    // true once no transaction from here on can be contained, not even by its image: the mark may be dropped
    [[nodiscard]] virtual bool passed(const SnapshotMark& mark, const Position& position) const = 0;
    // The position as a number that orders like the log; `order` of a transaction that ends at or before the
    // position is smaller.
    [[nodiscard]] virtual Result<std::uint64_t> order(const Position& position) const = 0;
    [[nodiscard]] virtual Result<Position> parse_position(const std::string& native) const = 0;
    // In what forms changes can come, best first: a table that takes one takes every later one that its
    // target knows as well.
    [[nodiscard]] virtual std::vector<std::string> stream_formats() const = 0;
    // One of them. Before stream().
    virtual void set_stream_format(const std::string& format) = 0;
    // Starts the log where nothing was loaded (cdc tasks): `from` empty = now. Returns the true start.
    [[nodiscard]] virtual Result<Position> begin_capture(const Position& from,
                                                         const std::vector<TableSchema>& tables,
                                                         std::stop_token stop) = 0;
    // Where the source's history parted from this one (ServerTraits::timeline): positions beyond mean
    // something else now. Nothing: it goes on. data_loss: the source never was on it, or cannot tell.
    [[nodiscard]] virtual Result<std::optional<Position>> parted(std::uint32_t timeline) {
        (void)timeline;
        return std::nullopt;
    }
    // Is `applied` a place of this server's history, whichever server of that history wrote it? False: the
    // system's id has to tell. data_loss when this server holds only a part of what was applied.
    enum class History : std::uint8_t {
        unknown,
        same_server,
        other_server,  // places beyond `applied` cannot be compared with those of this server
    };
    [[nodiscard]] virtual Result<History> history_of(const Position& applied) {
        (void)applied;
        return History::unknown;
    }
    // Goes on with an existing capture; fails with data_loss when the log is gone.
    // Returns up to where the source may already have forgotten its log (what was acknowledged).
    [[nodiscard]] virtual Result<Position> resume_capture(const std::vector<TableSchema>& tables) = 0;
    // Runs until stopped or an error; reconnecting is the caller's work.
    [[nodiscard]] virtual Result<> stream(const Position& from, ChangeSink& sink, std::stop_token stop) = 0;
    [[nodiscard]] virtual Result<SourceHealth> health() = 0;
    // A place of the log behind all that anybody can have seen committed by now, which the stream comes to by
    // itself. Commits that do not wait for the disk are seen before health().log_end is past them.
    [[nodiscard]] virtual Result<Position> committed_end() {
        const SourceHealth now = GW_TRY(health());
        return now.log_end;
    }
    // The source holds more log than is acknowledged: asks it to let go now, where it would by itself do so
    // later.
    virtual void let_go() {}
    // Catalogue polling; also mends publications. `known` are the tables of the task.
    [[nodiscard]] virtual Result<std::vector<CatalogueChange>> poll_catalogue(
        const Selection& selection, const std::vector<TableSchema>& known) = 0;
    // What the API shows as RecoveryCheckpoint's position after stream() has ended.
    [[nodiscard]] virtual Result<Position> recovery_position(const Position& applied) = 0;
    // --- comparison, under the snapshot of `load` (begin_table_load or begin_load). Thread safe.
    [[nodiscard]] virtual Result<TableDigest> digest(const LoadContext& load, const TableSchema& table,
                                                     DigestForm form, std::stop_token stop) = 0;
    // Rows whose key hashes into `bucket` of `buckets`, ordered by key.
    [[nodiscard]] virtual Result<std::vector<KeyDigest>> key_digests(const LoadContext& load,
                                                                     const TableSchema& table,
                                                                     std::uint32_t bucket,
                                                                     std::uint32_t buckets, DigestForm form,
                                                                     std::stop_token stop) = 0;

    // Removes what the task made on the source (slot, publications). Idempotent.
    [[nodiscard]] virtual Result<> drop_capture() = 0;
};

}  // namespace godwit
