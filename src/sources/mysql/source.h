#pragma once
// MySQL 5.7 to 8.4 and MariaDB 10.5 to 11 as a source (core/source.h says what a Source promises).
//
// The server keeps no account of its readers: what a task has acknowledged is a bookmark in its folder, and
// what the server still has is asked when capture goes on. A load's snapshot dies with its process; tables
// that were not finished are loaded anew under a mark of their own.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/failpoint.h"
#include "codecs/mysql/describe.h"
#include "codecs/mysql/type.h"
#include "core/registry.h"
#include "core/source.h"
#include "sources/mysql/binlog_stream.h"
#include "sources/mysql/followed_tables.h"
#include "sources/mysql/load_snapshot.h"
#include "sources/mysql/position.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

class MySqlSource final : public Source {
public:
    MySqlSource(EndpointConfig endpoint, TaskContext context)
        : endpoint_(std::move(endpoint)),
          context_(std::move(context)),
          followed_([this](const TableName& name) { return describe_settled(name); },
                    [this]() -> Result<std::vector<StoredCode>> {
                        const std::lock_guard lock(control_mutex_);
                        return read_bodies(*GW_TRY(control()));
                    }) {}

    Result<ServerTraits> open(bool capture) override;
    void target_is(const ServerTraits& target) override { target_family_ = target.family; }
    Result<std::vector<TableSchema>> tables(const Selection& selection) override;
    Result<TableSchema> describe(const TableName& name) override;
    Result<TableSchema> described(const Relation& relation) override;

    std::vector<std::string> load_formats(const TableSchema& table) const override;
    Result<LoadContext> begin_load(const LoadRequest& request, const std::vector<TableSchema>& tables,
                                   std::stop_token stop) override;
    Result<TableLoad> open_table(const LoadContext& load, const TableName& table) override;
    Result<std::uint64_t> read_slice(const LoadContext& load, const TableLoad& table, const Slice& slice,
                                     const std::string& format, LoadSink& sink,
                                     std::stop_token stop) override;
    Result<> close_table(const LoadContext& load, const TableLoad& table) override;
    void end_load(const LoadContext& load) override;
    Result<LoadContext> begin_table_load(const std::vector<TableSchema>& tables, bool follow,
                                         std::uint32_t wait_s_max, std::stop_token stop) override;

    Contained contains(const SnapshotMark& mark, const Record& begin) const override;
    bool exact(const SnapshotMark& mark) const override;
    bool passed(const SnapshotMark& mark, const Position& position) const override;
    Result<std::uint64_t> order(const Position& position) const override;
    Result<Position> parse_position(const std::string& native) const override;
    std::vector<std::string> stream_formats() const override;
    void set_stream_format(const std::string& format) override { stream_format_ = format; }
    Result<Position> begin_capture(const Position& from, const std::vector<TableSchema>& tables,
                                   std::stop_token stop) override;
    Result<History> history_of(const Position& applied) override;
    Result<Position> resume_capture(const std::vector<TableSchema>& tables) override;
    Result<> stream(const Position& from, ChangeSink& sink, std::stop_token stop) override;
    Result<SourceHealth> health() override;
    Result<std::vector<CatalogueChange>> poll_catalogue(const Selection& selection,
                                                        const std::vector<TableSchema>& known) override;
    // As DMS writes it (spec/sources section 0.1), so that another task can start from it.
    Result<Position> recovery_position(const Position& applied) override;
    Result<TableDigest> digest(const LoadContext& load, const TableSchema& table, DigestForm form,
                               std::stop_token stop) override;
    Result<std::vector<KeyDigest>> key_digests(const LoadContext& load, const TableSchema& table,
                                               std::uint32_t bucket, std::uint32_t buckets, DigestForm form,
                                               std::stop_token stop) override;
    Result<> drop_capture() override;

private:
    [[nodiscard]] ConnectOptions connect_options() const;
    Result<Connection*> control();
    Result<std::shared_ptr<LoadSnapshot>> snapshot_of(const LoadContext& load);
    [[nodiscard]] LoadSnapshot::Options snapshot_options(std::uint32_t wait_s) const;
    Result<LoadContext> take_snapshot(std::vector<TableName> tables, bool follow, std::uint32_t wait_s,
                                      std::stop_token stop);
    // Can the images of the table's rows decide? Else an error that says what to do.
    Result<> check_range(Connection& connection, const TableSchema& table) const;
    Result<> check_readable(Connection& c, const TableSchema& table);
    void capture(const std::vector<TableSchema>& tables);
    // Rows that foreign keys change and the log does not show: what the target does likewise is noted in the
    // tables, the rest is returned, and what becomes of it says the endpoint attribute `cascade`. With
    // control_mutex_.
    std::vector<ForeignKeyState> bind_tables(std::vector<TableSchema>& tables) const;
    void warn_of_cascades(const std::vector<ForeignKeyState>& keys);
    Result<> check_cascade(const TableName& name) const;
    Result<> loaded_from(const std::vector<TableName>& tables, const SnapshotMark& mark);
    // Those of `tables` that are there yet; an error when one is another than it was described as.
    Result<std::vector<TableName>> same_since(const std::vector<TableSchema>& tables,
                                              const LoadContext& load);
    bool say_doubt(const FollowedTables::Unsure& doubt);
    // Behind a statement of the log: the server writes it there before its catalogue shows what it did.
    Result<TableSchema> describe_settled(const TableName& name);
    // With control_mutex_, as the next.
    Result<TableSchema> describe_on(Connection& connection, const TableName& name);
    // As read_table(), with the numbers by which the engine knows the columns.
    Result<TableSchema> read_numbered(Connection& connection, const TableName& name);
    [[nodiscard]] std::filesystem::path in_folder(const char* file) const {
        return std::filesystem::path(context_.task_folder) / file;
    }
    void forget_log();
    // What the log takes back, from one process to the next.
    void recall_taken_back();
    Result<> keep_taken_back();
    Result<> save_bookmark(const Position& position, bool durable);
    // The commit of a prepared transaction that was not read has the tables loaded anew.
    [[nodiscard]] bool minds_prepared() const {
        return !endpoint_.flag("ignoreopenxatransactionscheck", false);
    }
    // Is the binlog from there on still on the server?
    Result<> check_place(Connection& connection, const LogPosition& position);
    // Is what stands before the place what was there when it was read? RESET MASTER gives its places to
    // others.
    Result<> check_same_log(Connection& connection, const LogPosition& position);
    Result<> check_not_reset(const LogPosition& end, bool gtids_known);  // with control_mutex_
    // Does the server hold everything up to there, by the GTIDs, and still have what follows?
    Result<> check_gtids(Connection& connection, const LogPosition& position);
    Result<MariadbGtidPosition> before_oldest(Connection& connection);
    // What an earlier process of the task has acknowledged; not_found when nobody knows.
    Result<LogPosition> bookmark() const;
    [[nodiscard]] bool own(const LogPosition& position) const {
        return position.server == traits_.system_id || !GW_RULE("mysql.same_server");
    }
    // The position of another server as one where this server's log, asked by GTIDs, begins.
    [[nodiscard]] LogPosition taken_over(LogPosition position) const;
    // This position names the GTIDs before it only where that is certain.
    [[nodiscard]] LogPosition certain(LogPosition position) const;
    Result<LogPosition> start_by_gtids(Connection& connection, LogPosition position);
    [[nodiscard]] std::uint32_t replica_number() const;
    Result<> scan(const std::string& file, const TakeEvent& take);
    Result<LogPosition> start_by_time(Connection& connection, std::int64_t time_us);
    // where the server writes now; with control_mutex_
    Result<LogPosition> log_end(Connection& connection, bool* gtids_known = nullptr);
    [[nodiscard]] TypeOptions type_options() const;

    const EndpointConfig endpoint_;
    const TaskContext context_;
    ServerTraits traits_;
    bool capture_ = false;
    bool warned_ = false;  // of what no log shows
    std::string stream_format_;
    std::string target_family_;
    std::mutex control_mutex_;                                // guards control_, last_end_, selected_, keys_
    std::map<TableName, std::vector<std::string>> selected_;  // with their primary keys
    std::vector<ForeignKeyState> keys_;                       // as they were when a table was last described
    std::optional<Connection> control_;
    std::string control_server_;           // which one it leads to
    std::optional<LogPosition> last_end_;  // where the log ended when it was last asked
    std::atomic<std::uint64_t> base_ = 0;  // LogPosition::base of this server's places
    Position applied_;                     // on the target, when capture goes on
    std::mutex snapshots_mutex_;           // guards snapshots_
    std::map<std::string, std::shared_ptr<LoadSnapshot>> snapshots_;
    int next_snapshot_ = 1;
    FollowedTables followed_;
    // Of the thread that polls: which doubt was last said of a table, and when.
    std::map<TableName, std::pair<std::uint64_t, SteadyTime>> doubted_;
    // ... and which tables it said are gone, and where: one of that name is another one until the engine has
    // left them, or has loaded that one in their place.
    std::map<TableName, Position> gone_;
    // Of the thread that streams; it outlives connections.
    std::unique_ptr<BinlogDecoder> decoder_;
};

[[nodiscard]] Result<std::unique_ptr<Source>> make_source(const EndpointConfig& endpoint,
                                                          const TaskContext& context);
[[nodiscard]] Result<ProbeResult> probe(const EndpointConfig& endpoint);
[[nodiscard]] Result<> check_position(const std::string& native);

}  // namespace godwit::mysql
