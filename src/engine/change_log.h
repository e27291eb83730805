#pragma once
// The log of a task between its source and its target: committed transactions in commit order, as chunks of
// whole records (core/change.h). One thread writes (the source's stream), others read by chunk number. Chunks
// stay in memory while there is room; beyond, the oldest go to files of the task's spool folder, in log
// order. Each is written at most once. Released chunks and their files are dropped.
//
// Transactions that the source sends while they are open collect their chunks apart, in a file of their own
// when they are large, and are spliced into the log when they commit.
//
// Guard mode (the slot guard) makes every chunk durable in the spool, so that the source may forget what it
// holds.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "core/change.h"
#include "core/source.h"

namespace godwit::engine {

// Some whole records. Its bytes are immutable once it is in the log.
struct Chunk {
    ByteBuffer data;  // empty while only on disk
    std::size_t bytes = 0;
    std::vector<std::uint32_t> relations;  // whose changes are inside, each once
    std::uint64_t file = 0;                // spool file number, 0: not on disk
    std::uint64_t file_offset = 0;         // of the frame
    std::uint64_t named_in = 0;            // guarded file that names that place, 0: none
};
using ChunkRef = std::shared_ptr<const Chunk>;

struct ChangeLogOptions {
    std::filesystem::path folder;  // of the spool; made when first needed
    std::size_t memory_bytes_max = 64U << 20;
    std::uint64_t spool_bytes_max = 64ULL << 30;
    std::size_t chunk_bytes = 256U << 10;
    std::uint64_t file_bytes = 64ULL << 20;
    Log* log = nullptr;
};

// What a guarded spool of an earlier process covers without a gap: transactions that end after `from`, up to
// `to`.
struct SpoolCoverage {
    Position from, to;
};

class ChangeLog final : public ChangeSink {
public:
    explicit ChangeLog(ChangeLogOptions options);
    ~ChangeLog() override;
    ChangeLog(const ChangeLog&) = delete;
    ChangeLog& operator=(const ChangeLog&) = delete;

    // --- the source's side (one thread)
    ByteBuffer& buffer(std::uint32_t stream) override;
    Result<> recorded(std::uint32_t stream) override;
    bool full() override;
    std::uint32_t new_relation_id() override;
    void define(const Relation& relation) override;
    Result<> stream_commit(std::uint32_t stream, std::uint64_t order, std::uint64_t order_end,
                           std::string_view position, std::int64_t commit_time_us) override;
    void stream_abort(std::uint32_t stream, std::uint32_t subxid) override;
    void streams_lost() override;
    Result<> idle() override;
    Position acknowledged() override;

    // --- the readers' side.  Thread safe.
    // Chunk `number` (the first is 1), with its bytes in memory. Waits up to `wait`; nullptr: not there yet,
    // or the log is closed.
    [[nodiscard]] Result<ChunkRef> read(std::uint64_t number, std::chrono::milliseconds wait,
                                        std::stop_token stop);
    [[nodiscard]] bool concerns(std::uint64_t number, const std::set<std::uint32_t>& relations) const;
    [[nodiscard]] std::uint64_t end() const;  // number of the next chunk
    // No reader comes back before this chunk.
    void release_before(std::uint64_t number);
    // Chunks before this one are not needed soon: under memory pressure they go to disk.
    void passed(std::uint64_t number);
    // While it is on, the main reader waits until the log has gone on, and comes to what is in it later:
    // under memory pressure all of it goes to disk.
    class Waiting {
    public:
        explicit Waiting(ChangeLog& log) : log_(log) {}
        ~Waiting() { set(false); }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;
        void set(bool on) {
            if (on_ != on) log_.set_waited_for(on);
            on_ = on;
        }

    private:
        ChangeLog& log_;
        bool on_ = false;
    };
    // The source may forget what ends at or before this position.
    void set_acknowledged(Position position);
    // From now on everything is durable in the spool, also what is in the log already. It stays so. An error
    // of resource_exhausted: the disk is full, it comes when there is room.
    [[nodiscard]] Result<> start_guard();
    [[nodiscard]] bool guarded() const;
    [[nodiscard]] std::shared_ptr<const Relation> relation(std::uint32_t id) const;  // nullptr: unknown
    [[nodiscard]] std::uint64_t spool_bytes() const;
    [[nodiscard]] std::uint64_t memory_bytes() const;
    [[nodiscard]] Position captured() const;  // end of the newest transaction, or keepalive, in the log
    [[nodiscard]] Position durable() const;   // guard mode: the spool holds everything up to here
    void close(Result<> outcome);             // the stream has ended; wakes readers
    [[nodiscard]] bool closed() const;
    [[nodiscard]] std::optional<Error> error() const;

    // --- the spool of an earlier process, before anything is captured
    // Puts its transactions at the head of the log. Nothing: no guarded spool is there.
    [[nodiscard]] Result<std::optional<SpoolCoverage>> restore();

private:
    struct Staging;  // a chunk being filled
    struct Stream;
    struct File;

    Result<> seal(Staging& staging, std::vector<std::shared_ptr<Chunk>>& to);
    // whole: no transaction is open behind the last chunk
    Result<> append(std::vector<std::shared_ptr<Chunk>> chunks, std::optional<Position> position, bool whole);
    Result<> spill_log();
    Result<> spill(std::shared_ptr<Chunk>& chunk, File& file);
    Result<std::uint64_t> name_span(std::uint64_t number);
    Result<File*> log_file();
    Result<std::unique_ptr<File>> create_file(const Position& from, bool guarded);
    Result<> sync_guard();
    [[nodiscard]] bool wants_sync() const;
    [[nodiscard]] bool over_limit() const;
    [[nodiscard]] bool at_limit() const;
    [[nodiscard]] bool reached_limit() const;
    // nothing of the transaction that is collected is in the log yet
    [[nodiscard]] bool begins_transaction() const;
    [[nodiscard]] std::unexpected<Error> limit_error() const;
    [[nodiscard]] bool starved() const;
    Result<> paused_when_full(Result<> outcome);
    void spool_failed(bool limited);
    void drop_released();
    void set_waited_for(bool yes);

    const ChangeLogOptions options_;
    // used by the source's thread only
    std::unique_ptr<Staging> staging_;
    std::map<std::uint32_t, std::unique_ptr<Stream>> streams_;
    bool open_transaction_ = false;
    Position staged_position_;
    bool staged_end_ = false;
    std::size_t unasked_records_ = 0;  // since the source asked whether there is room

    mutable std::mutex mutex_;  // guards everything below
    std::condition_variable_any ready_;
    std::deque<std::shared_ptr<Chunk>> chunks_;
    std::uint64_t first_ = 1;  // number of chunks_.front()
    std::uint64_t passed_ = 1;
    bool waited_for_ = false;
    std::uint64_t on_disk_ = 1;  // chunks before this one are on disk (or released)
    std::size_t memory_bytes_ = 0;
    std::uint64_t spool_bytes_ = 0;
    std::uint64_t open_bytes_ = 0;  // of those: of transactions that are still open
    std::map<std::uint64_t, std::unique_ptr<File>> files_;
    std::uint64_t next_file_ = 1;
    std::uint64_t log_file_ = 0;
    std::uint64_t unsynced_bytes_ = 0;
    std::uint32_t next_relation_ = 1;
    std::map<std::uint32_t, std::shared_ptr<const Relation>> relations_;
    Position acknowledged_, captured_, durable_;
    std::optional<Position> marked_;  // guard mode: of the newest mark in the spool, or where it begins
    bool whole_ = true;               // the log ends behind a transaction
    bool guard_ = false;
    bool spool_failed_ = false;
    std::chrono::steady_clock::time_point spool_failed_at_;
    bool closed_ = false;
    std::optional<Error> error_;
    std::vector<ByteBuffer> spare_;
};

}  // namespace godwit::engine
