#pragma once
// A place in a server's binlog: which server, file and offset, and the GTIDs executed before it. File and
// offset are compared on one server only; after a failover the GTIDs tell.
//
// Token: <server id>;<file>:<offset>[:<base>];<gtids>[;<file>:<offset>], at the end where a prepared
// transaction begins that is still open at the position: reading has to begin there. `base` is added to the
// numbers of a server's files, so that every place of a server that has taken over orders behind those of the
// one before it. Without a server the GTIDs alone say where to begin.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "core/position.h"

namespace godwit::mysql {

struct LogPosition {
    std::string server;  // server_uuid; MariaDB: server_uid and server_id
    std::string file;
    std::uint64_t offset = 0;
    std::string gtids;
    std::string open_file;  // empty: none is open
    std::uint64_t open_offset = 0;
    std::uint64_t base = 0;
    friend bool operator==(const LogPosition&, const LogPosition&) = default;
    [[nodiscard]] std::uint64_t order() const;
    [[nodiscard]] Position token() const;
};

// The number behind the last dot of a binlog's name; 0 when there is none.
[[nodiscard]] std::uint64_t file_number(std::string_view file);
// Orders like the log of one server: file number above 40 bits of offset.
[[nodiscard]] constexpr std::uint64_t log_order(std::uint64_t file_number, std::uint64_t offset) {
    return (file_number << 40U) | (offset & ((1ULL << 40U) - 1));
}
[[nodiscard]] Result<LogPosition> parse_token(const Position& position);
// What a user writes as CdcStartPosition: "binlog.000024:373", "checkpoint:V1#...", "gtid:<set>", or a token.
[[nodiscard]] Result<LogPosition> parse_native(const std::string& native);
// "2018-03-08T12:12:12", UTC, as microseconds since 1970; nothing when it is no time.
[[nodiscard]] std::optional<std::int64_t> parse_time(const std::string& native);

}  // namespace godwit::mysql
