// How fast the binary log of a server is decoded when nothing is done with the records.
//
//   binlog_null --host H --port P --file binlog.000003 [--database D]     until the log's present end
//
// Prints rows, seconds and bytes of records.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>

#include "sources/mysql/binlog_stream.h"
#include "sources/mysql/catalogue.h"

namespace {

using namespace godwit;
using namespace godwit::mysql;

class NullSink final : public ChangeSink {
public:
    explicit NullSink(std::uint64_t end) : end_(end) {}
    ByteBuffer& buffer(std::uint32_t) override { return bytes_; }
    Result<> recorded(std::uint32_t) override {
        const auto kind = static_cast<RecordKind>(bytes_.data()[at_ + 4]);
        if (kind == RecordKind::insert || kind == RecordKind::update || kind == RecordKind::remove) ++rows;
        if (kind == RecordKind::commit || kind == RecordKind::keepalive) {
            std::uint64_t order = 0;
            std::memcpy(&order, bytes_.data() + at_ + 5, sizeof order);
            if (order >= end_) stop.request_stop();
        }
        at_ = bytes_.size();
        if (at_ > (1U << 20)) {
            bytes += at_;
            bytes_.clear();
            at_ = 0;
        }
        return {};
    }
    bool full() override { return false; }
    std::uint32_t new_relation_id() override { return ++id_; }
    void define(const Relation&) override {}
    Result<> stream_commit(std::uint32_t, std::uint64_t, std::uint64_t, std::string_view,
                           std::int64_t) override {
        return {};
    }
    void stream_abort(std::uint32_t, std::uint32_t) override {}
    void streams_lost() override {
        bytes_.clear();
        at_ = 0;
    }
    Result<> idle() override { return {}; }
    Position acknowledged() override { return {}; }
    std::uint64_t rows = 0, bytes = 0;
    std::stop_source stop;

private:
    std::uint64_t end_;
    ByteBuffer bytes_;
    std::size_t at_ = 0;
    std::uint32_t id_ = 0;
};

class Tables final : public BinlogTables {
public:
    Tables(Connection& c, std::string database) : c_(c), database_(std::move(database)) {}
    std::shared_ptr<const TableSchema> find(std::string_view database, std::string_view table) override {
        if (!database_.empty() && database != database_) return nullptr;
        auto& known = known_[fmt::format("{}.{}", database, table)];
        if (known == nullptr)
            if (auto read = read_table(c_, {std::string(database), std::string(table)}, {}))
                known = std::make_shared<TableSchema>(std::move(*read));
        return known;
    }
    std::vector<TableName> wanted() override { return {}; }
    Result<> table_unsure(const TableName&, std::uint64_t, std::string_view) override { return {}; }
    Result<DdlAnswer> ddl(const DdlStatement&) override { return DdlAnswer{}; }

private:
    Connection& c_;
    std::string database_;
    std::map<std::string, std::shared_ptr<const TableSchema>> known_;
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"decodes a binary log to nowhere"};
    ConnectOptions options;
    options.user = "root";
    std::string file, database;
    std::uint64_t offset = 4;
    app.add_option("--host", options.host)->required();
    app.add_option("--port", options.port)->required();
    app.add_option("--user", options.user);
    app.add_option("--file", file)->required();
    app.add_option("--offset", offset);
    app.add_option("--database", database);
    CLI11_PARSE(app, argc, argv);
    auto dump = Connection::open(options);
    auto catalogue = Connection::open(options);
    if (!dump || !catalogue) {
        fmt::print(stderr, "{}\n", (!dump ? dump : catalogue).error().text());
        return 1;
    }
    const auto place = log_place(*catalogue);
    if (!place) return 1;
    Tables tables(*catalogue, database);
    BinlogDecoder decoder(tables, {"s", {.mariadb = dump->mariadb()}, true});
    NullSink sink(log_order(file_number(place->file), place->offset));
    DumpRequest request;
    request.from.file = file;
    request.from.offset = offset;
    request.server_id = 0x80001234U;
    const auto began = std::chrono::steady_clock::now();
    const auto done = run_dump(*dump, request, decoder, sink, sink.stop.get_token());
    const std::chrono::duration<double> s = std::chrono::steady_clock::now() - began;
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().text());
        return 1;
    }
    fmt::print("{} rows, {:.2f} s, {:.2f} M rows/s, {:.0f} MB of records/s\n", sink.rows, s.count(),
               static_cast<double>(sink.rows) / s.count() / 1e6,
               static_cast<double>(sink.bytes) / s.count() / 1e6);
    return 0;
}
