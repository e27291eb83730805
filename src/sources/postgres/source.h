#pragma once
// PostgreSQL 13 to 18 as a source (core/source.h says what a Source promises).

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "codecs/pg/portable.h"
#include "core/registry.h"
#include "core/source.h"
#include "sources/postgres/keeper.h"
#include "sources/postgres/lsn.h"
#include "sources/postgres/publications.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

class LogStream;

class PostgresSource final : public Source {
public:
    PostgresSource(EndpointConfig endpoint, TaskContext context)
        : endpoint_(std::move(endpoint)),
          context_(std::move(context)),
          own_publication_(std::filesystem::path(context_.task_folder) / "publication") {}

    Result<ServerTraits> open(bool capture) override;
    void target_is(const ServerTraits& target) override { target_family_ = target.family; }
    Result<std::vector<TableSchema>> tables(const Selection& selection) override;
    Result<TableSchema> describe(const TableName& name) override;

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
    bool passed(const SnapshotMark& mark, const Position& position) const override;
    Result<std::uint64_t> order(const Position& position) const override;
    Result<Position> parse_position(const std::string& native) const override;
    std::vector<std::string> stream_formats() const override;
    void set_stream_format(const std::string& format) override { stream_format_ = format; }
    Result<Position> begin_capture(const Position& from, const std::vector<TableSchema>& tables,
                                   std::stop_token stop) override;
    Result<std::optional<Position>> parted(std::uint32_t timeline) override;
    Result<Position> resume_capture(const std::vector<TableSchema>& tables) override;
    Result<> stream(const Position& from, ChangeSink& sink, std::stop_token stop) override;
    Result<SourceHealth> health() override;
    Result<Position> committed_end() override;
    void let_go() override;
    Result<std::vector<CatalogueChange>> poll_catalogue(const Selection& selection,
                                                        const std::vector<TableSchema>& known) override;
    Result<Position> recovery_position(const Position& applied) override;
    Result<TableDigest> digest(const LoadContext& load, const TableSchema& table, DigestForm form,
                               std::stop_token stop) override;
    Result<std::vector<KeyDigest>> key_digests(const LoadContext& load, const TableSchema& table,
                                               std::uint32_t bucket, std::uint32_t buckets, DigestForm form,
                                               std::stop_token stop) override;
    Result<> drop_capture() override;

private:
    // The slot of this task, remembered in its folder before it is made on the server.
    struct SlotRecord {
        std::string name;
        std::string plugin;
        bool ours = true;  // made by the task: dropped with it
        // where it was made; an empty database: not known
        std::string host, database;
        std::uint16_t port = 0;
    };
    [[nodiscard]] std::optional<SlotRecord> read_slot_record() const;
    Result<> drop_own_slot(const SlotRecord& slot);
    Result<pg::Connection> session(const std::string& role) const;
    Result<pg::Connection*> control();
    Result<SlotRecord> slot_record(bool fresh);
    // What godwit made for the user in the source database, remembered in the task's folder.
    void make_artifacts(pg::Connection& session);
    void beat_when_due(pg::Connection& session);
    Result<> drop_artifacts();
    TableName captured_root(const TableName& name);
    void capture(std::shared_ptr<const TableSchema> table);
    std::shared_ptr<const TableSchema> captured_table(std::uint64_t source_id, const TableName& name) const;
    Result<> publish(const std::vector<TableSchema>& tables, bool begin);
    Result<PublicationChanges> mend(pg::Connection& c, const std::vector<TableSchema>& tables,
                                    const std::vector<TableName>& loaded);
    Result<> drop_left_slot(pg::Connection& session, const std::string& name, std::stop_token stop);
    Result<pg::Connection> reader(const std::string& snapshot);
    void give_back(pg::Connection connection);
    [[nodiscard]] PortableOptions portable_options() const { return PortableOptions::of(endpoint_); }
    void in_portable_words(TableSchema& table) const;
    bool partitions_as_root() const { return endpoint_.flag("partitionsasroot", true); }

    const EndpointConfig endpoint_;
    const TaskContext context_;
    ServerTraits traits_;
    std::string target_family_;
    std::mutex control_mutex_;  // guards control_
    std::optional<pg::Connection> control_;
    std::mutex keepers_mutex_;                     // guards keepers_
    std::map<std::string, KeeperClient> keepers_;  // by snapshot
    int next_keeper_ = 1;
    std::mutex readers_mutex_;  // guards readers_
    std::vector<pg::Connection> readers_;
    std::optional<SlotRecord> slot_;
    std::optional<SteadyTime> beat_at_;  // the last heartbeat; with control_mutex_
    // what a poll has told once; with control_mutex_
    std::set<TableName> left_out_;
    bool looked_ = false;  // this process has polled the catalogue
    PublicationWatch own_publication_;
    std::set<std::uint64_t> inserts_told_;  // tables that publish inserts alone
    std::string mend_error_;
    std::string stream_format_ = "pg.text";
    std::mutex tables_mutex_;  // guards captured_, former_, running_stream_
    LogStream* running_stream_ = nullptr;
    std::map<TableName, std::shared_ptr<const TableSchema>> captured_;
    // whose name another captured table has got, while their rows may still come
    std::map<std::uint64_t, std::shared_ptr<const TableSchema>> former_;
};

}  // namespace godwit::postgres
