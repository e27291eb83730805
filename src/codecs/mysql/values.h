#pragma once
// How values of MySQL and MariaDB are spelled as portable text (core/portable.h). Load and stream share this,
// so that both spell alike. Pure functions; what prints writes from `to` on, needs the room that it names and
// returns the end.

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace godwit::mysql {

// core/portable.h: what the other family cannot hold
enum class Dialect : std::uint8_t {
    copy,  // zero and partial dates are NULL, U+0000 in text is a blank
    load,  // both stay
};

inline constexpr std::size_t kRealChars = 32;
inline constexpr std::size_t kDateTimeChars = 32;
inline constexpr std::size_t kTimeChars = 24;
inline constexpr std::size_t kDecimalChars = 72;

// The shortest form that reads back as the same float. The server's own text of FLOAT has six digits only, so
// a load selects it as DOUBLE and narrows. Servers of this family read a number as a double first, and the
// shortest form of the largest float is beyond it: dialect load gives them the float's digits as a double.
char* print_real(float v, char* to) noexcept;
char* print_real(double v, char* to) noexcept;
// Other families hold the number that a float's own digits say: 0.1, not what its bits come to as a double.
[[nodiscard]] double double_of_digits(float v) noexcept;

struct Date {
    unsigned year = 0, month = 0, day = 0;
};
struct Clock {
    unsigned hour = 0, minute = 0, second = 0, microsecond = 0;
};
// 0000-00-00, 2024-00-00, 2024-05-00 and everything in the year 0, which only MySQL knows
[[nodiscard]] inline bool partial(const Date& d) noexcept {
    return d.year == 0 || d.month == 0 || d.day == 0;
}
// the same of a text that begins with YYYY-MM-DD
[[nodiscard]] bool partial_date(std::string_view text) noexcept;

char* print_date(const Date& date, char* to) noexcept;
// `digits` of the fraction, 0 to 6
char* print_datetime(const Date& date, const Clock& clock, unsigned digits, char* to) noexcept;
// [-]HH[H]:MM:SS[.ffffff]
char* print_time(bool negative, const Clock& clock, unsigned digits, char* to) noexcept;
char* print_year(unsigned year, char* to) noexcept;

// UTC of seconds since 1970
void split_seconds(std::uint64_t seconds, Date& date, Clock& clock) noexcept;
// the integers in which JSON documents hold times
void split_packed_datetime(std::int64_t packed, Date& date, Clock& clock) noexcept;
bool split_packed_time(std::int64_t packed, Clock& clock) noexcept;  // true: negative

// Bytes of a DECIMAL(precision, scale) as storage and log hold it; 0: no such type.
[[nodiscard]] std::size_t decimal_bytes(unsigned precision, unsigned scale) noexcept;
// null: damaged. `from` has decimal_bytes().
char* print_decimal(const std::byte* from, unsigned precision, unsigned scale, char* to) noexcept;

}  // namespace godwit::mysql
