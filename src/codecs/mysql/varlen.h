#pragma once
// The two variable-length integers of MySQL's log. On short input the reader's failed() is set and the value
// is 0.

#include <bit>
#include <cstdint>

#include "base/bytes.h"

namespace godwit::mysql {

// Protocol::LengthEncodedInteger
inline std::uint64_t get_lenenc(ByteReader& in) noexcept {
    const std::uint8_t first = in.u8();
    if (first < 0xFB) return first;
    if (first == 0xFC) return in.le<std::uint16_t>();
    if (first == 0xFD) {
        const std::uint64_t low = in.le<std::uint16_t>();
        return low | std::uint64_t{in.u8()} << 16U;
    }
    if (first == 0xFE) return in.le<std::uint64_t>();
    in.take(static_cast<std::size_t>(-1));  // 0xFB and 0xFF are no integers
    return 0;
}

// mysql::serialization: as many ones at the low end of the first byte as bytes follow it
inline std::uint64_t get_varlen(ByteReader& in) noexcept {
    const std::uint8_t first = in.u8();
    const int more = std::countr_one(first);
    if (more == 8) return in.le<std::uint64_t>();
    std::uint64_t v = first >> (more + 1);
    int shift = 7 - more;
    for (int i = 0; i < more; ++i, shift += 8) v |= std::uint64_t{in.u8()} << shift;
    return v;
}
// the same, signed: the sign in the lowest bit
inline std::int64_t get_signed_varlen(ByteReader& in) noexcept {
    const std::uint64_t v = get_varlen(in);
    return static_cast<std::int64_t>((v >> 1U) ^ (~(v & 1U) + 1U));
}

}  // namespace godwit::mysql
