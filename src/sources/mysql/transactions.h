#pragma once
// The binary log, event after event, to records of core/change.h in commit order.
//
// Only whole transactions leave through stream 0, except those that the log itself takes back (ROLLBACK and
// ROLLBACK TO behind rows, which a server writes when tables without transactions took part): what of them
// was already written cannot be called back, so decode() fails with `aborted`, and the same place, read again
// after restart(), leaves out what was rolled back. Who reads it again may be another process:
// take_back() tells its decoder.
//
// Prepared XA transactions wait in streams of their own until XA COMMIT. While one is open, every position
// says where it begins, so that a later process reads it again: with its wanted rows, or to know that it has
// none.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codecs/mysql/binlog_events.h"
#include "codecs/mysql/gtid.h"
#include "codecs/mysql/row_decoder.h"
#include "core/change.h"
#include "core/source.h"
#include "core/table.h"
#include "sources/mysql/position.h"

namespace godwit::mysql {

// A place in one server's log.
struct LogSpot {
    std::string file;
    std::uint64_t offset = 4;  // of the first event of a file
};

// A statement that makes, changes or empties tables; the views die with the call.
struct DdlStatement {
    std::string_view database;  // default of the session
    std::string_view sql;
    std::uint16_t client_collation = 0;     // in which the text is written, by its number; 0: not said
    std::optional<std::uint64_t> sql_mode;  // of the session
    std::string_view position;  // token: right behind it, or of its transaction's begin when inside one
    std::uint64_t order = 0;    // of its first event, so that changes before are smaller
    std::int64_t time_us = 0;
    bool plain_settings = true;  // no SET STATEMENT in front of it that may bear on what it means
    bool temporary = false;      // a table that it names may be a temporary one of its session
};
struct DdlAnswer {
    std::vector<TableName> truncated;  // wanted tables that it emptied: truncate records are written
};

// What the decoder asks about tables. Called by the thread that streams.
class BinlogTables {
public:
    virtual ~BinlogTables() = default;
    // Null: not wanted, its rows are stepped over. Asked once per version of a table, again after ddl() and
    // reselect().
    [[nodiscard]] virtual std::shared_ptr<const TableSchema> find(std::string_view database,
                                                                  std::string_view table) = 0;
    // The log does not fit what find() gave, or says too little (`why`), in the transaction of `order`.
    // Another schema to try where a table begins to be read, null to leave these rows out, or the error to
    // end with. Asked again for what comes next: a load in between may hold the one and not the other.
    [[nodiscard]] virtual Result<std::shared_ptr<const TableSchema>> mismatch(const TableName& name,
                                                                              std::uint64_t order,
                                                                              const Error& why) {
        (void)name, (void)order;
        return std::unexpected(why);
    }
    // Other tables are wanted than at the last call. Asked between two transactions: within one, rows would
    // lose the map that stands in front of them.
    [[nodiscard]] virtual bool changed() { return false; }
    // A transaction is whole: changed() is asked before anything else is read.
    virtual void between() {}
    // All that are wanted: a statement may change their rows without saying which.
    [[nodiscard]] virtual std::vector<TableName> wanted() = 0;
    // Wanted tables that a statement may reach without naming them: through views, triggers, functions.
    [[nodiscard]] virtual Result<std::vector<TableName>> reached(std::string_view database,
                                                                 std::string_view sql) {
        (void)database, (void)sql;
        return std::vector<TableName>{};
    }
    // Rows of the table are undone by ROLLBACK (InnoDB); false for MyISAM, Aria and their like.
    [[nodiscard]] virtual bool transactional(const TableName& name) {
        (void)name;
        return true;
    }
    // Rows may have changed in a way that the log does not tell, in the transaction of `order`.
    [[nodiscard]] virtual Result<> table_unsure(const TableName& name, std::uint64_t order,
                                                std::string_view why) = 0;
    [[nodiscard]] virtual Result<DdlAnswer> ddl(const DdlStatement& statement) = 0;
};

struct BinlogOptions {
    std::string server_uuid;  // of the server that is read; part of every position
    RowOptions rows;
    bool verify_checksums = true;
    // The server numbers its transactions: where a position does not say which are before it, they are
    // counted from the beginning of its file on.
    bool count_gtids = false;
    // Whatever was prepared since capture began, this decoder has seen or sees from where its position says:
    // the commit of another one brings rows that nobody has read.
    bool all_prepared_seen = false;
};

// Not thread safe: belongs to the thread that streams. It outlives connections, so that a table version that
// comes again keeps its relation id.
class BinlogDecoder {
public:
    BinlogDecoder(BinlogTables& tables, BinlogOptions options);

    // A connection starts at `from`: what was half read comes again. The caller has told the sink
    // (streams_lost()). Without a file in `from` the log is asked for by GTIDs: what comes is new.
    [[nodiscard]] Result<> restart(const LogPosition& from);
    // Where the dump has to begin: `from`, or before it when a prepared transaction was open there or when
    // the offset is beyond what the dump command can say; what was read before is stepped over.
    [[nodiscard]] const LogSpot& start() const noexcept { return start_; }

    // One event as the server sends it, without the packet's leading 0. Nothing is left half written in the
    // sink's buffers.
    [[nodiscard]] Result<> decode(Bytes event, ChangeSink& sink);

    // The position moved without a record.
    [[nodiscard]] bool keepalive_due() const noexcept {
        return !transaction_.begun && quiet_to_ > recorded_to_;
    }
    [[nodiscard]] Result<> write_keepalive(ChangeSink& sink);

    // What the log takes back, as far as it was read; before restart() of another decoder of this server. An
    // error leaves it unknown, and it is found out again.
    [[nodiscard]] ByteBuffer taken_back_parts() const;
    [[nodiscard]] Result<> take_back(std::string_view parts);

    // Asks BinlogTables::find anew for every table.
    void reselect();
    void set_dialect(Dialect dialect);  // as reselect()
    void set_server(std::string server_uuid) { options_.server_uuid = std::move(server_uuid); }

    [[nodiscard]] bool in_transaction() const noexcept { return transaction_.open; }
    // behind the last whole transaction that was read
    [[nodiscard]] LogPosition position() const;
    // seconds since 1970 of the newest event; 0 before the first
    [[nodiscard]] std::uint32_t newest_event_s() const noexcept { return newest_event_s_; }

private:
    Result<> decode_one(Bytes event, ChangeSink& sink);
    using Spot = std::pair<std::uint64_t, std::uint32_t>;  // order of an event, number inside a payload

    // One version of a table.
    struct Version {
        std::shared_ptr<const TableSchema> schema;
        std::unique_ptr<RowPlan> plan;
        Relation relation;
        bool transactional = true;
        bool written = false;  // its relation record is in stream 0
    };
    // A table map as it came last under its number.
    struct Mapped {
        std::vector<std::byte> body;
        std::shared_ptr<Version> version;  // null: not wanted
    };
    struct Savepoint {
        std::string name;
        Spot spot;
    };
    struct Transaction {
        bool headed = false;  // a GTID event came
        bool open = false;    // rows may follow
        bool begun = false;   // its begin record is in stream 0
        bool passed = false;  // it is before the position that was asked for
        bool undone = false;  // it is known to be rolled back
        bool skip_ddl = false;
        std::uint64_t order = 0;
        std::uint64_t from = 0;  // offset of its first event
        std::int64_t time_us = 0;
        std::int64_t commit_time_us = 0;  // 0: not said by its GTID
        GtidEvent gtid;
        MariadbGtid mariadb_gtid;
        bool has_gtid = false;
        // XA
        bool xa = false;
        XaId xa_id;
        std::uint32_t stream = 0;
        bool wrote = false;                    // a record of it is in the stream
        std::vector<std::uint32_t> relations;  // whose records are in the stream
        // Tables whose rows could not be read although the transaction is passed: most such were committed
        // before the table got its shape, and are of no concern; who commits later says what is missing.
        std::set<TableName> unfit;
        std::vector<Savepoint> savepoints;
        Spot last_row{};  // of a table with transactions
    };
    struct Prepared {
        std::uint32_t stream = 0;
        bool wrote = false;
        std::uint64_t order = 0;
        LogSpot from;
        std::set<TableName> unfit;
    };

    Result<> dispatch(const Event& event, ChangeSink& sink);
    Result<> rotate(const Event& event);
    Result<> format_description(Bytes event);
    Result<> payload(const Event& event, ChangeSink& sink);
    Result<> gtid(const Event& event);
    Result<> mariadb_gtid(const Event& event);
    Result<> query(const Event& event, ChangeSink& sink);
    Result<> statement(const Event& event, const Query& query, bool routine);
    Result<> ddl(const Event& event, const Query& query, bool plain_settings, ChangeSink& sink);
    Result<> table_map(const Event& event);
    Result<> rows(const Event& event, ChangeSink& sink);
    Result<> heartbeat(const Event& event);

    void head(const Event& event);
    Result<> open(const Event& event);
    void open_xa(const XaId& xa);
    Result<> commit(const Event& event, ChangeSink& sink);
    Result<> rollback(const Event& event, ChangeSink& sink);
    Result<> rollback_to(const std::string& savepoint);
    Result<> prepare_xa(const XaId& xa);
    Result<> finish_xa(const Event& event, const XaId& xa, bool commit, ChangeSink& sink);
    void close();  // the transaction is over, its GTID counts
    Result<> interrupted(std::string_view what);
    // begin and relation records that the next change needs in front of it
    Result<> prepare(Version& version, ChangeSink& sink);
    std::shared_ptr<Version> adopt(std::shared_ptr<const TableSchema> schema);
    Result<std::shared_ptr<Version>> version_of(const TableMap& map);
    void take_gtid();
    void settle();  // all up to here is done
    [[nodiscard]] bool taken_back() const;
    [[nodiscard]] std::int64_t commit_time(const Event& event) const;
    void forget_tables();
    [[nodiscard]] const std::string& token();
    // Of a file, for orders.
    [[nodiscard]] std::uint64_t ordered(std::string_view file) const { return file_number(file) + base_; }
    [[nodiscard]] std::uint64_t here() const noexcept { return log_order(number_, offset_); }

    BinlogTables& tables_;
    BinlogOptions options_;

    // the log
    BinlogFormat format_;
    bool format_known_ = false;
    LogSpot start_;
    std::string file_;
    std::uint64_t base_ = 0;        // LogPosition::base
    std::uint64_t number_ = 0;      // ordered(file_)
    std::uint64_t offset_ = 0;      // behind the event at hand
    std::uint64_t event_from_ = 0;  // its beginning
    bool inside_payload_ = false;
    Spot spot_{};
    std::uint64_t skip_to_ = 0;  // transactions before it were taken already
    std::uint32_t newest_event_s_ = 0;

    // positions
    LogSpot done_;  // behind the last whole transaction
    GtidSet gtids_;
    bool gtids_known_ = false;
    bool gtids_from_log_ = false;  // counted from the beginning of a file on
    MariadbGtidPosition mariadb_gtids_;
    std::string token_;
    std::uint64_t quiet_to_ = 0, recorded_to_ = 0;

    // tables
    std::unordered_map<std::uint64_t, Mapped> mapped_;
    std::map<TableName, std::shared_ptr<Version>> versions_;
    std::uint64_t last_number_ = 0;
    Mapped* last_ = nullptr;
    TableMap map_;  // reused

    // transactions
    Transaction transaction_;
    std::map<XaId, Prepared> prepared_;
    std::uint32_t next_stream_ = 1;
    std::uint32_t serial_ = 0;
    // What is known to be rolled back from an earlier reading.
    std::set<std::uint64_t> undone_;
    std::vector<std::pair<Spot, Spot>> taken_back_;
    std::vector<std::uint32_t> list_;
    ByteBuffer scratch_;
};

}  // namespace godwit::mysql
