#pragma once
// Commands and packets of a session, for what the client library has no call: the dump of a binlog, rows in
// the binary protocol. Not thread safe, as the connection.

#include <optional>

#include "base/bytes.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {

// `answered`: by an OK, which is read. false: Connection::error_now() says why.
[[nodiscard]] bool send_command(Connection& connection, int command, const ByteBuffer& arguments,
                                bool answered);
// The next packet, valid until the one after it is read; nothing: an error of the server or of the network,
// Connection::error_now() says which.
[[nodiscard]] std::optional<Bytes> read_packet(Connection& connection);

}  // namespace godwit::mysql
