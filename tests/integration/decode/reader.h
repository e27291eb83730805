#pragma once
// Reads a slot of a test's database and keeps what came, transaction by transaction.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "core/source.h"
#include "sources/postgres/log_stream.h"
#include "sources/postgres/pgoutput.h"
#include "sources/postgres/slot.h"
#include "sources/postgres/test_decoding.h"
#include "target/servers.h"

namespace godwit::test {

struct Value {
    CellState state = CellState::null;
    std::string bytes;
};
struct Change {
    RecordKind kind = RecordKind::insert;
    std::string table;
    std::uint32_t subxid = 0;
    OldRow old_kind = OldRow::none;
    std::vector<Value> old_row, row;
    std::vector<std::string> tables;  // truncate
};

// Collects committed changes in commit order; torn transactions and aborted parts are dropped, as a real log
// does.
class CollectingSink final : public ChangeSink {
public:
    ByteBuffer& buffer(std::uint32_t stream) override { return buffers_[stream]; }
    Result<> recorded(std::uint32_t stream) override;
    bool full() override { return is_full; }
    std::uint32_t new_relation_id() override { return ++last_id_; }
    void define(const Relation& relation) override { relations[relation.id] = relation; }
    Result<> stream_commit(std::uint32_t stream, std::uint64_t order, std::uint64_t order_end,
                           std::string_view position, std::int64_t time) override;
    void stream_abort(std::uint32_t stream, std::uint32_t subxid) override;
    void streams_lost() override {
        open_.clear();
        aborted_.clear();
        pending_.clear();
        buffers_.clear();
    }
    Result<> idle() override { return {}; }
    Position acknowledged() override {
        if (acknowledge_all) return Position{position};
        return acknowledge;
    }

    std::vector<Change> changes;
    std::map<std::uint32_t, Relation> relations;
    std::string position;  // of the newest commit or keepalive
    std::uint64_t end = 0;
    std::uint64_t order = 0;
    bool order_grows = true;
    int streamed = 0, transactions = 0, keepalives = 0;
    Position acknowledge;
    bool acknowledge_all = false;
    std::atomic<bool> is_full = false;
    std::uint64_t until = 0;  // asks to stop when this is reached
    std::function<void()> on_transaction;
    std::stop_source stop;

private:
    void begun(std::uint64_t at);
    void reached(std::uint64_t at, std::string_view token);

    std::map<std::uint32_t, ByteBuffer> buffers_;
    std::map<std::uint32_t, std::vector<Change>> open_;
    std::map<std::uint32_t, std::set<std::uint32_t>> aborted_;
    std::vector<Change> pending_;
    std::uint32_t last_id_ = 0;
};

struct Mode {
    std::string name, plugin = "pgoutput";
    bool binary = false, streaming = false;
};

// One slot and its decoder.
class SlotReader {
public:
    SlotReader(const Database& database, Mode mode, std::string slot, std::vector<std::string> publications);
    // reads up to the log's end of now
    Result<> read_all(postgres::Lsn from = {});
    Result<> read(postgres::Lsn from);
    [[nodiscard]] postgres::Lsn log_end() const;

    CollectingSink sink;
    SystemClock clock;
    Log log;
    std::vector<std::string> left_out;
    std::unique_ptr<postgres::Decoder> decoder;
    postgres::LogStreamOptions options;
    std::unique_ptr<postgres::LogStream> stream;

private:
    const Database database_;
};

// What resolve() needs, read from the catalogue.
[[nodiscard]] Result<std::shared_ptr<const TableSchema>> read_schema(pg::Connection& session,
                                                                     const TableName& name);

}  // namespace godwit::test
