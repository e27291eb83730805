#include "codecs/mysql/packed.h"

#include <charconv>
#include <cstring>
#include <type_traits>
#include <utility>

#include "codecs/mysql/binlog_events.h"
#include "codecs/mysql/values.h"
#include "codecs/mysql/varlen.h"

namespace godwit::mysql {
namespace {

using rows::binary::Moment;
using rows::binary::Printer;

template <class T>
T read_le(const std::byte* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

template <class Wire, class Column>
const std::byte* put_number(ByteBuffer& to, const std::byte* at, const std::byte* end, Printer) {
    if (static_cast<std::size_t>(end - at) < sizeof(Wire)) return nullptr;
    const Wire value = read_le<Wire>(at);
    if constexpr (std::is_same_v<Column, bool>)
        rows::binary::put_boolean(to, value != 0);
    else if (std::in_range<Column>(value))
        rows::binary::put_integer(to, static_cast<Column>(value));
    else
        rows::binary::put_refused(to);
    return at + sizeof(Wire);
}

// More than eight bytes with a sign hold: a decimal.
const std::byte* put_large(ByteBuffer& to, const std::byte* at, const std::byte* end, Printer text) {
    if (end - at < 8) return nullptr;
    char digits[20];
    const auto printed = std::to_chars(digits, digits + sizeof digits, read_le<std::uint64_t>(at));
    text(to, as_bytes({digits, static_cast<std::size_t>(printed.ptr - digits)}));
    return at + 8;
}

const std::byte* put_double(ByteBuffer& to, const std::byte* at, const std::byte* end, Printer) {
    if (end - at < 8) return nullptr;
    rows::binary::put_real8(to, read_le<double>(at));
    return at + 8;
}

const std::byte* put_single(ByteBuffer& to, const std::byte* at, const std::byte* end, Printer) {
    if (end - at < 8) return nullptr;
    rows::binary::put_real8(to, double_of_digits(static_cast<float>(read_le<double>(at))));
    return at + 8;
}

// u8 length, then as much of year (2), month, day, hour, minute, second, microseconds (4) as is not zero
const std::byte* read_moment(const std::byte* at, const std::byte* end, Moment& m) {
    if (at == end) return nullptr;
    const auto n = std::to_integer<std::size_t>(*at++);
    if (static_cast<std::size_t>(end - at) < n || (n != 0 && n != 4 && n != 7 && n != 11)) return nullptr;
    const auto part = [&](std::size_t i) { return std::to_integer<unsigned>(at[i]); };
    if (n >= 4) m = {.year = read_le<std::uint16_t>(at), .month = part(2), .day = part(3)};
    if (n >= 7) m.hour = part(4), m.minute = part(5), m.second = part(6);
    if (n == 11) m.us = read_le<std::uint32_t>(at + 7);
    return at + n;
}

template <void (*put)(ByteBuffer&, const Moment&)>
const std::byte* put_moment(ByteBuffer& to, const std::byte* at, const std::byte* end, Printer) {
    Moment m;
    const std::byte* const next = read_moment(at, end, m);
    if (next != nullptr) put(to, m);
    return next;
}

// A length of 1, 3, 4 or 9 bytes in front.
const std::byte* put_counted(ByteBuffer& to, const std::byte* at, const std::byte* end, Printer text) {
    ByteReader in({at, end});
    const Bytes cell = in.take(get_lenenc(in));
    if (in.failed()) return nullptr;
    text(to, cell);
    return at + in.position();
}

template <class Wire>
PackedPrinter number_printer(PortableKind kind) {
    switch (kind) {
        case PortableKind::boolean:
            return put_number<Wire, bool>;
        case PortableKind::int1:
        case PortableKind::int2:
        case PortableKind::uint1:
            return put_number<Wire, std::int16_t>;
        case PortableKind::int4:
        case PortableKind::uint2:
            return put_number<Wire, std::int32_t>;
        case PortableKind::int8:
        case PortableKind::uint4:
            return put_number<Wire, std::int64_t>;
        default:
            return nullptr;
    }
}

template <class Wire>
PackedPrinter number_printer(PortableKind kind, bool is_unsigned) {
    return is_unsigned ? number_printer<std::make_unsigned_t<Wire>>(kind) : number_printer<Wire>(kind);
}

}  // namespace

PackedPrinter packed_printer_of(std::uint8_t wire_type, bool is_unsigned, const PortableType& type,
                                bool single) noexcept {
    if (rows::binary::printer_of(type) == nullptr) return nullptr;
    switch (static_cast<WireType>(wire_type)) {
        case WireType::tiny:
            return number_printer<std::int8_t>(type.kind, is_unsigned);
        case WireType::small:
        case WireType::year:
            return number_printer<std::int16_t>(type.kind, is_unsigned);
        case WireType::medium:
        case WireType::integer:
            return number_printer<std::int32_t>(type.kind, is_unsigned);
        case WireType::big:
            if (type.kind == PortableKind::uint8) return is_unsigned ? put_large : nullptr;
            return number_printer<std::int64_t>(type.kind, is_unsigned);
        case WireType::real8:
            if (single) return put_single;
            return type.kind == PortableKind::real8 ? put_double : nullptr;
        case WireType::date:
            return type.kind == PortableKind::date ? put_moment<rows::binary::put_date> : nullptr;
        case WireType::datetime:
        case WireType::timestamp:
            return type.kind == PortableKind::datetime ? put_moment<rows::binary::put_datetime> : nullptr;
        case WireType::decimal:
            return type.kind == PortableKind::numeric || type.kind == PortableKind::uint8 ? put_counted
                                                                                          : nullptr;
        case WireType::bit:
            return type.kind == PortableKind::boolean || type.binary() ? put_counted : nullptr;
        case WireType::varchar:
        case WireType::tiny_blob:
        case WireType::medium_blob:
        case WireType::long_blob:
        case WireType::blob:
        case WireType::var_string:
        case WireType::string:
        case WireType::enumeration:
        case WireType::set:
        case WireType::json:
        case WireType::geometry:
            return type.text() || type.binary() ? put_counted : nullptr;
        default:
            return nullptr;
    }
}

}  // namespace godwit::mysql
