#pragma once
// rows.binary, what COPY BINARY reads: cells of the portable text of core/portable.h (dialect copy) as
// PostgreSQL's send functions spell its own types. The server so parses no dates and no decimals: a third of
// its work. Source: PostgreSQL documentation, "COPY", File Formats; numeric_recv, timestamp_recv (integer
// datetimes, 10 and later).
//
// Each printer appends the length and the value of one cell. What it cannot read becomes a value of a length
// that the server refuses (22P04): it is never bent. Thread safe, no allocation beyond the
// buffer's growth.

#include "base/bytes.h"
#include "core/portable.h"

namespace godwit::rows::binary {

using Printer = void (*)(ByteBuffer&, Bytes cell);

// For cells in portable text (bytes: the bytes themselves); nullptr: the type has no binary form here.
[[nodiscard]] Printer printer_of(const PortableType& type) noexcept;

void put_header(ByteBuffer& to);   // once, in front of the first row
void put_trailer(ByteBuffer& to);  // once, behind the last
inline void put_row(ByteBuffer& to, std::size_t cells) { to.put_be(static_cast<std::int16_t>(cells)); }
inline void put_null(ByteBuffer& to) { to.put_be(std::int32_t{-1}); }
void put_boolean(ByteBuffer& to, bool value);
void put_real8(ByteBuffer& to, double value);
// std::int16_t, std::int32_t or std::int64_t
template <class T>
void put_integer(ByteBuffer& to, T value) {
    std::byte* const at = to.extend(4 + sizeof value);
    ByteBuffer::store_be(at, static_cast<std::int32_t>(sizeof value));
    ByteBuffer::store_be(at + 4, value);
}
// NULL when year, month or day is zero, refused when there is no such time.
struct Moment {
    unsigned year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, us = 0;
};
void put_date(ByteBuffer& to, const Moment& m);
void put_datetime(ByteBuffer& to, const Moment& m);
void put_refused(ByteBuffer& to);

}  // namespace godwit::rows::binary
