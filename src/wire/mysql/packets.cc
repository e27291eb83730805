#include "wire/mysql/packets.h"

#include <mysql.h>

namespace godwit::mysql {

bool send_command(Connection& connection, int command, const ByteBuffer& arguments, bool answered) {
    MYSQL* const c = connection.raw();
    return c != nullptr && c->methods->db_command(c, static_cast<enum_server_command>(command),
                                                  reinterpret_cast<const char*>(arguments.data()),
                                                  arguments.size(), answered ? 0 : 1, nullptr) == 0;
}

std::optional<Bytes> read_packet(Connection& connection) {
    MYSQL* const c = connection.raw();
    const unsigned long n = mysql_net_read_packet(c);
    if (n == static_cast<unsigned long>(packet_error) || n == static_cast<unsigned long>(-1)) return {};
    return Bytes(reinterpret_cast<const std::byte*>(c->net.read_pos), n);
}

}  // namespace godwit::mysql
