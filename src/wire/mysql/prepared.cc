#include "wire/mysql/prepared.h"

#include <mysql.h>

#include "wire/mysql/packets.h"

namespace godwit::mysql {
namespace {

constexpr std::uint8_t kOk = 0x00, kEnd = 0xFE;
constexpr unsigned long kNoEndOfColumns = 1UL << 24U;  // CLIENT_DEPRECATE_EOF

bool begins_with(Bytes packet, std::uint8_t header) { return packet.front() == std::byte{header}; }

std::unexpected<Error> damaged() {
    return fail(ErrorCode::data_loss, "the server's answer to a prepared SELECT is damaged",
                Retry::from_checkpoint);
}

// ColumnDefinition41, by its end: what stands before differs between servers.
Result<ResultColumn> read_column_definition(Bytes packet) {
    // 0x0c, character set, length (4), type, flags (2), decimals, filler (2)
    constexpr std::size_t kTail = 13, kType = 7, kFlags = 8;
    constexpr unsigned kUnsigned = 0x20;
    if (packet.size() < kTail) return damaged();
    const Bytes tail = packet.last(kTail);
    if (tail.front() != std::byte{0x0c}) return damaged();
    return ResultColumn{static_cast<std::uint8_t>(tail[kType]),
                        (std::to_integer<unsigned>(tail[kFlags]) & kUnsigned) != 0};
}

}  // namespace

Result<> PreparedSelect::send(int command, const ByteBuffer& arguments) {
    if (send_command(c_, command, arguments, false)) return {};
    return std::unexpected(c_.error_now(""));
}

Result<Bytes> PreparedSelect::packet() {
    const auto packet = read_packet(c_);
    if (!packet) return std::unexpected(c_.error_now(""));
    if (packet->empty()) return damaged();
    return *packet;
}

Result<ResultColumn> PreparedSelect::column() {
    const Bytes definition = GW_TRY(packet());
    return read_column_definition(definition);
}

Result<> PreparedSelect::skip_end_of_columns() {
    if ((c_.raw()->client_flag & kNoEndOfColumns) != 0) return {};
    return begins_with(GW_TRY(packet()), kEnd) ? Result<>{} : damaged();
}

Result<> PreparedSelect::read_answer() {
    ByteReader head(GW_TRY(packet()));
    const std::uint8_t status = head.u8();
    id_ = head.le<std::uint32_t>();
    const auto columns = head.le<std::uint16_t>(), parameters = head.le<std::uint16_t>();
    if (head.failed() || status != kOk || columns == 0 || parameters != 0) return damaged();
    for (unsigned i = 0; i < columns; ++i) columns_.push_back(GW_TRY(column()));
    return skip_end_of_columns();
}

// Unless it was the server's own word, more may be on its way: the session is of no use.
std::unexpected<Error> PreparedSelect::ended(Error e, const std::stop_token& stop) {
    if (e.sqlstate.empty() || stop.stop_requested()) c_.close();
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    return std::unexpected(std::move(e));
}

Result<PreparedSelect> PreparedSelect::prepare(Connection& connection, std::string_view sql,
                                               std::stop_token stop) {
    const std::stop_callback end(stop, [&] { connection.interrupt(); });
    PreparedSelect out(connection);
    ByteBuffer text;
    text.append(sql);
    if (auto sent = out.send(COM_STMT_PREPARE, text); !sent) return out.ended(sent.error(), stop);
    if (auto answer = out.read_answer(); !answer) return out.ended(answer.error(), stop);
    return out;
}

Result<> PreparedSelect::read_head() {
    ByteReader head(GW_TRY(packet()));
    std::size_t count = head.u8();
    constexpr std::size_t kTwoBytes = 252;
    if (count == kTwoBytes) count = head.le<std::uint16_t>();
    if (head.failed() || count != columns_.size()) return damaged();
    // MariaDB says whether it repeats what it said when the statement was prepared
    const bool repeated = head.at_end() || head.u8() != 0;
    if (repeated)
        for (const auto& before : columns_) {
            const ResultColumn now = GW_TRY(column());
            if (now.type != before.type || now.is_unsigned != before.is_unsigned)
                return fail(ErrorCode::failed_precondition, "the table changed while it was read");
        }
    return skip_end_of_columns();
}

Result<std::uint64_t> PreparedSelect::stream(std::stop_token stop,
                                             const std::function<Result<>(Bytes row)>& f) {
    const std::stop_callback end(stop, [this] { c_.interrupt(); });
    ByteBuffer arguments;
    arguments.put_le(id_);
    arguments.put_u8(0);                 // no cursor
    arguments.put_le(std::uint32_t{1});  // iterations
    if (auto sent = send(COM_STMT_EXECUTE, arguments); !sent) return ended(sent.error(), stop);
    if (auto head = read_head(); !head) return ended(head.error(), stop);
    for (std::uint64_t rows = 0;; ++rows) {
        const auto row = packet();
        if (!row) return ended(row.error(), stop);
        if (begins_with(*row, kEnd)) return rows;
        auto taken = begins_with(*row, kOk) ? f(row->subspan(1)) : damaged();
        if (!taken) {
            c_.close();  // or all that is left would have to be read
            return std::unexpected(std::move(taken).error());
        }
    }
}

void PreparedSelect::close() {
    if (!c_.healthy()) return;
    ByteBuffer arguments;
    arguments.put_le(id_);
    [[maybe_unused]] auto ignored = send(COM_STMT_CLOSE, arguments);
}

}  // namespace godwit::mysql
