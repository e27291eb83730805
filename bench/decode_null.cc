// Decodes a replication slot to nowhere: the cost of the source's half alone. To be compared with
//   pg_recvlogical --start --slot=COPY --endpos=LSN -f /dev/null -o proto_version=1 -o publication_names=p
// on a copy of the slot. Nothing is acknowledged here, so that a slot can be read again. Prints one line of
// JSON.

#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <stop_token>

#include "sources/postgres/log_stream.h"
#include "sources/postgres/pgoutput.h"
#include "sources/postgres/test_decoding.h"

namespace {

using namespace godwit;
using namespace godwit::postgres;

// Counts records and forgets them, until a transaction ends at or after `until`.
class NullSink final : public ChangeSink {
public:
    NullSink(Lsn until, std::stop_source& stop) : until_(until), stop_(stop) {}
    ByteBuffer& buffer(std::uint32_t stream) override {
        if (stream == 0) return committed_;
        return open_[stream];
    }
    Result<> recorded(std::uint32_t stream) override {
        ++records;
        ByteBuffer& used = stream == 0 ? committed_ : open_[stream];
        if (stream == 0) {
            const auto kind = static_cast<RecordKind>(used.data()[start_ + 4]);
            if (kind == RecordKind::commit || kind == RecordKind::keepalive) {
                std::uint64_t end = 0;
                std::memcpy(&end, used.data() + start_ + 5, sizeof end);
                transactions += kind == RecordKind::commit ? 1 : 0;
                reached(end);
            }
            start_ = used.size();
        }
        if (used.size() >= kForgetBytes) forget(used);
        return {};
    }
    bool full() override { return false; }
    std::uint32_t new_relation_id() override { return ++relations_; }
    void define(const Relation&) override {}
    Result<> stream_commit(std::uint32_t stream, std::uint64_t, std::uint64_t end, std::string_view,
                           std::int64_t) override {
        ++transactions;
        forget(open_[stream]);
        open_.erase(stream);
        reached(end);
        return {};
    }
    void stream_abort(std::uint32_t stream, std::uint32_t subxid) override {
        if (stream == subxid) open_.erase(stream);
    }
    void streams_lost() override { open_.clear(); }
    Result<> idle() override { return {}; }
    Position acknowledged() override { return {}; }

    std::uint64_t records = 0, transactions = 0, bytes = 0;

private:
    static constexpr std::size_t kForgetBytes = 256U << 10;
    void reached(std::uint64_t end) {
        if (end >= until_.value()) stop_.request_stop();
    }
    void forget(ByteBuffer& used) {
        bytes += used.size();
        if (&used == &committed_) start_ = 0;
        used.clear();
    }
    const Lsn until_;
    std::stop_source& stop_;
    ByteBuffer committed_;
    std::size_t start_ = 0;  // of the record being written to committed_
    std::map<std::uint32_t, ByteBuffer> open_;
    std::uint32_t relations_ = 0;
};

double seconds(const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
    LogStreamOptions options;
    options.connect.host = "127.0.0.1";
    options.connect.user = options.connect.database = "postgres";
    options.goodbye_max = std::chrono::milliseconds(200);
    std::string until;
    CLI::App app("Decodes a replication slot to nowhere.");
    app.add_option("--host", options.connect.host);
    app.add_option("--port", options.connect.port);
    app.add_option("--user", options.connect.user);
    app.add_option("--password", options.connect.password);
    app.add_option("--database", options.connect.database);
    app.add_option("--slot", options.slot)->required();
    app.add_option("--plugin", options.plugin);
    app.add_option("--publications", options.publications)->delimiter(',');
    app.add_option("--binary", options.binary);
    app.add_option("--streaming", options.streaming);
    app.add_option("--until", until, "stops after the transaction that ends here")->required();
    CLI11_PARSE(app, argc, argv);

    const auto end = parse_lsn(std::string_view(until));
    if (!end) {
        std::fprintf(stderr, "%s\n", end.error().text().c_str());
        return 2;
    }
    // One table version per name is enough here: what the identity is does not matter to nobody.
    DecoderHooks hooks;
    hooks.resolve = [](const TableName& name, bool) -> Result<std::shared_ptr<const TableSchema>> {
        auto schema = std::make_shared<TableSchema>();
        schema->name = name;
        schema->identity = RowIdentity::full;
        return schema;
    };
    std::unique_ptr<Decoder> decoder;
    if (options.plugin == "test_decoding")
        decoder = std::make_unique<TestDecodingDecoder>(hooks);
    else
        decoder = std::make_unique<PgoutputDecoder>(hooks);

    SystemClock clock;
    Log log;
    log.set_level(Severity::warning);
    std::stop_source stop;
    NullSink sink(*end, stop);
    LogStream stream(options, *decoder, clock, log);
    const auto from = std::chrono::steady_clock::now();
    const auto outcome = stream.run(Lsn{}, sink, stop.get_token());
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
    if (!outcome) {
        std::fprintf(stderr, "%s\n", outcome.error().text().c_str());
        return 1;
    }
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    fmt::print(
        "{{\"seconds\": {:.3f}, \"cpu_seconds\": {:.3f}, \"messages\": {}, \"megabytes\": {:.1f}, "
        "\"transactions\": {}, \"records\": {}, \"rss_mb\": {:.1f}}}\n",
        wall, seconds(usage.ru_utime) + seconds(usage.ru_stime), stream.progress().messages.load(),
        static_cast<double>(stream.progress().bytes.load()) / 1e6, sink.transactions, sink.records,
        static_cast<double>(usage.ru_maxrss) / 1024.0);
    return 0;
}
