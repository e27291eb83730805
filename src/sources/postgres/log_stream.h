#pragma once
// Receives a slot's changes, hands them to a decoder and acknowledges what the sink allows.

#include <atomic>
#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "core/source.h"
#include "sources/postgres/decoder.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

struct LogStreamOptions {
    pg::ConnectOptions connect;  // session settings are added here; `replication` is set by the stream
    std::string slot;
    std::string plugin = "pgoutput";                  // or test_decoding
    std::vector<std::string> publications;            // pgoutput
    bool binary = false;                              // cells in binary where the type can (14 on)
    bool streaming = true;                            // open transactions before they end (14 on)
    std::uint32_t timeline = 0;                       // that the server must be on; 0: any
    bool messages = false;                            // pg_logical_emit_message (14 on)
    std::chrono::milliseconds slot_wait_max{60'000};  // for a slot that another session reads
    std::chrono::milliseconds feedback_max{1'000};    // an acknowledgement waits at most so long
    std::chrono::milliseconds keepalive_min{100};     // between keepalive records
    std::chrono::milliseconds goodbye_max{5'000};     // for the server's end of the stream
};

// Thread safe to read.
struct LogStreamProgress {
    std::atomic<std::uint64_t> server_end = 0;    // the farthest place in the log that the server has named
    std::atomic<std::uint64_t> acknowledged = 0;  // the last flush position sent
    std::atomic<std::uint64_t> messages = 0;      // of the plugin
    std::atomic<std::uint64_t> bytes = 0;         // of those messages
    std::atomic<int> walsender_pid = 0;           // 0: not connected
};

// run() by one thread at a time; progress() by any.
class LogStream {
public:
    LogStream(LogStreamOptions options, Decoder& decoder, Clock& clock, Log& log);

    // Streams from `from` (0: where the slot stands) until `stop` or an error.
    //  * stop: a last feedback, CopyDone, and the server's answer is awaited for `goodbye_max`; returns
    //  success;
    //  * data_loss: the slot or its log is gone, or a message made no sense;
    //  * unavailable, from_checkpoint: the connection was lost; failed_precondition: the slot stays busy.
    // Whatever the end, sink.streams_lost() is called once streaming had begun. A transaction that was cut
    // between its Begin and its Commit comes again from its Begin: the sink must drop the torn one. While the
    // sink is full nothing is read, and feedback goes on so that the server does not give up on us.
    [[nodiscard]] Result<> run(Lsn from, ChangeSink& sink, std::stop_token stop);

    [[nodiscard]] const LogStreamProgress& progress() const noexcept { return progress_; }
    // The wanted tables are others now: hooks.wants is asked anew before the next batch of messages. Thread
    // safe.
    void reselect() noexcept { reselect_ = true; }

private:
    class Session;

    const LogStreamOptions options_;
    Decoder& decoder_;
    Clock& clock_;
    Log& log_;
    LogStreamProgress progress_;
    std::atomic<bool> reselect_ = false;
};

// The START_REPLICATION statement for a server of that version.
[[nodiscard]] std::string start_statement(const LogStreamOptions& options, Lsn from, int server_version);

}  // namespace godwit::postgres
