#pragma once
// The network side of the binary log: registers as a replica, asks for the dump and feeds the decoder.

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "core/source.h"
#include "sources/mysql/position.h"
#include "sources/mysql/transactions.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

struct DumpRequest {
    LogPosition from;
    // By GTIDs and not by place: after a failover, when `from` was taken on another server.
    bool by_gtid = false;
    // Unique among all replicas of the server: two of one number throw each other out.
    std::uint32_t server_id = 0;
    std::string replica_uuid;  // shown by the server; may be empty
};

// Runs until stopped or an error; the connection is used up. Calls sink.streams_lost() and decoder.restart()
// first. `unavailable` when the connection was lost, data_loss when the log is gone (error 1236), what
// BinlogDecoder::decode() returns otherwise.
[[nodiscard]] Result<> run_dump(Connection& connection, const DumpRequest& request, BinlogDecoder& decoder,
                                ChangeSink& sink, std::stop_token stop);

// The events of one file from its beginning to where it ends now, with the offset at which each begins, until
// `take` says false. The connection is used up.
using TakeEvent = std::function<Result<bool>(const Event& event, std::uint64_t offset)>;
[[nodiscard]] Result<> scan_file(Connection& connection, const std::string& file, std::uint32_t server_id,
                                 const TakeEvent& take);

// Does request.from.gtids hold every transaction that the server's log has before `place`, one of its own?
// MySQL; the connection is used up.
[[nodiscard]] Result<bool> executed_before(Connection& connection, const DumpRequest& request,
                                           const LogPosition& place, std::stop_token stop);

}  // namespace godwit::mysql
