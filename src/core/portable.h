#pragma once
// The types that stand between engines of different families (those of the DMS documentation), and how their
// values are spelled. A source says for each column which of them it is; a target that is not of the source's
// own family makes its tables and reads its cells from these alone.
//
// Cells of a portable stream. Text unless said; UTF-8.
//   boolean                  0, 1
//   int*, uint*              decimal digits, '-' in front
//   numeric                  decimal digits, no exponent; NaN, Infinity, -Infinity where the source has them
//   real4, real8             digits that read back as the same float, as few as it takes; NaN, Infinity,
//   -Infinity date                     YYYY-MM-DD time                     [-]HH[H]:MM:SS[.ffffff], as many
//   digits of fraction as the column has datetime                 YYYY-MM-DD HH:MM:SS[.ffffff]; `zoned`: the
//   instant in UTC, without an offset bytes, blob              the bytes themselves, CellState::binary string
//   .. nclob          characters
//
// Two dialects, because what one family cannot hold is settled where the value is at hand:
//   copy   for targets that read COPY: a zero or partial date is NULL, U+0000 in text is a blank
//   load   for targets of the MySQL family: both stay; a float has the digits of its double
// As cells of the stream they are called cells.copy and cells.load; as lines of a load rows.copy (what COPY
// reads as text; bytes as \x and hex digits) and rows.load (what LOAD DATA reads; bytes as they are,
// escaped). rows.binary is rows.copy as COPY BINARY reads it: for columns of the very types that the portable
// ones become on the target (codecs/rows/copy_binary.h).

#include <cstdint>
#include <string_view>

namespace godwit {

enum class PortableKind : std::uint8_t {
    unknown,  // the source has not said: only targets of its own family can take it
    boolean,
    int1,
    int2,
    int4,
    int8,
    uint1,
    uint2,
    uint4,
    uint8,
    numeric,
    real4,
    real8,
    date,
    time,
    datetime,
    bytes,
    blob,
    string,
    wstring,
    clob,
    nclob,
};

struct PortableType {
    PortableKind kind = PortableKind::unknown;
    std::uint32_t length = 0;     // bytes (bytes, blob, string) or characters (wstring); 0: no limit
    std::uint16_t precision = 0;  // numeric
    std::int16_t scale = 0;       // numeric; time, datetime: digits of the fraction
    bool zoned = false;           // datetime
    bool json = false;            // clob, nclob: a JSON document
    friend bool operator==(const PortableType&, const PortableType&) = default;

    [[nodiscard]] bool text() const noexcept { return kind >= PortableKind::string; }
    [[nodiscard]] bool binary() const noexcept {
        return kind == PortableKind::bytes || kind == PortableKind::blob;
    }
};

inline constexpr std::string_view kRowsCopy = "rows.copy";
inline constexpr std::string_view kRowsBinary = "rows.binary";
inline constexpr std::string_view kRowsLoad = "rows.load";
inline constexpr std::string_view kCellsCopy = "cells.copy";
inline constexpr std::string_view kCellsLoad = "cells.load";

}  // namespace godwit
