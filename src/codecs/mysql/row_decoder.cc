#include "codecs/mysql/row_decoder.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <charconv>

#include "codecs/mysql/json.h"
#include "codecs/mysql/labels.h"
#include "codecs/mysql/varlen.h"

namespace godwit::mysql {
namespace {

using Column = RowPlan::Column;

constexpr std::size_t kCellHead = 5;  // state and length

// A cell of at most `room` bytes is opened, printed and closed.
char* open_cell(ByteBuffer& to, std::size_t room) {
    std::byte* at = to.extend(kCellHead + room);
    at[0] = static_cast<std::byte>(CellState::text);
    return reinterpret_cast<char*>(at + kCellHead);
}
void close_cell(ByteBuffer& to, const char* begin, const char* end) {
    const auto n = static_cast<std::uint32_t>(end - begin);
    std::memcpy(const_cast<char*>(begin) - 4, &n, 4);
    to.resize_down(static_cast<std::size_t>(reinterpret_cast<const std::byte*>(end) - to.data()));
}
void put_null(ByteBuffer& to) { to.put_u8(static_cast<std::uint8_t>(CellState::null)); }
void put_cell(ByteBuffer& to, CellState state, const std::byte* value, std::size_t n) {
    RecordWriter(to).value(state, {value, n});
}

// A cell whose length is known only afterwards: returns where its bytes begin.
std::size_t begin_long(ByteBuffer& to) {
    to.extend(kCellHead)[0] = static_cast<std::byte>(CellState::text);
    return to.size();
}
void end_long(ByteBuffer& to, std::size_t begin) {
    const auto n = static_cast<std::uint32_t>(to.size() - begin);
    std::memcpy(to.data() + begin - 4, &n, 4);
}
void blank_nuls(ByteBuffer& to, std::size_t begin) {
    std::byte* at = to.data() + begin;
    std::byte* const end = to.data() + to.size();
    while ((at = static_cast<std::byte*>(std::memchr(at, 0, static_cast<std::size_t>(end - at)))) != nullptr)
        *at = std::byte{' '};
}

template <std::size_t bytes>
std::uint64_t load_le(const std::byte* at) noexcept {
    std::uint64_t v = 0;
    std::memcpy(&v, at, bytes);
    return v;
}
template <std::size_t bytes>
std::uint64_t load_be(const std::byte* at) noexcept {
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < bytes; ++i) v = v << 8U | std::to_integer<std::uint64_t>(at[i]);
    return v;
}

template <std::size_t bytes, bool is_signed>
bool print_integer(const Column&, const std::byte* value, std::size_t, ByteBuffer& to) {
    constexpr std::size_t kRoom = 21;
    const std::uint64_t v = load_le<bytes>(value);
    char* begin = open_cell(to, kRoom);
    char* end = nullptr;
    if constexpr (is_signed) {
        constexpr unsigned kShift = 64 - 8 * bytes;
        end = std::to_chars(begin, begin + kRoom, static_cast<std::int64_t>(v << kShift) >> kShift).ptr;
    } else {
        end = std::to_chars(begin, begin + kRoom, v).ptr;
    }
    close_cell(to, begin, end);
    return true;
}

bool print_boolean(const Column&, const std::byte* value, std::size_t n, ByteBuffer& to) {
    bool set = false;
    for (std::size_t i = 0; i < n; ++i) set = set || value[i] != std::byte{0};
    char* begin = open_cell(to, 1);
    *begin = set ? '1' : '0';
    close_cell(to, begin, begin + 1);
    return true;
}

template <class F, class As = F>
bool print_float(const Column&, const std::byte* value, std::size_t, ByteBuffer& to) {
    F v{};
    std::memcpy(&v, value, sizeof v);
    char* begin = open_cell(to, kRealChars);
    close_cell(to, begin, print_real(static_cast<As>(v), begin));
    return true;
}

bool print_number(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    char* begin = open_cell(to, kDecimalChars);
    const char* end = print_decimal(value, c.precision, c.scale, begin);
    if (end == nullptr) return false;
    close_cell(to, begin, end);
    return true;
}

bool print_bytes(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    if (n >= c.padded) {
        put_cell(to, CellState::binary, value, n);
        return true;
    }
    std::byte* at = to.extend(kCellHead + c.padded);
    at[0] = static_cast<std::byte>(CellState::binary);
    std::memcpy(at + 1, &c.padded, 4);
    if (n != 0) std::memcpy(at + kCellHead, value, n);
    std::memset(at + kCellHead + n, 0, c.padded - n);
    return true;
}

// UTF-8 already
bool print_text(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    put_cell(to, CellState::text, value, n);
    if (c.blanks && n != 0 && std::memchr(value, 0, n) != nullptr) blank_nuls(to, to.size() - n);
    return true;
}

bool print_transcoded(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    const std::size_t begin = begin_long(to);
    c.transcoder->append({value, n}, to);
    if (c.blanks) blank_nuls(to, begin);
    end_long(to, begin);
    return true;
}

// ---- times

bool put_date(const Column& c, const Date& d, ByteBuffer& to) {
    if (d.month > 12 || d.day > 31 || d.year > 9999) return false;
    if (c.null_partial_dates && partial(d)) {
        put_null(to);
        return true;
    }
    char* begin = open_cell(to, kDateTimeChars);
    close_cell(to, begin, print_date(d, begin));
    return true;
}

bool put_datetime(const Column& c, const Date& d, const Clock& t, ByteBuffer& to) {
    if (d.month > 12 || d.day > 31 || d.year > 9999 || t.hour > 23 || t.minute > 59 || t.second > 59 ||
        t.microsecond > 999'999)
        return false;
    if (c.null_partial_dates && partial(d)) {
        put_null(to);
        return true;
    }
    char* begin = open_cell(to, kDateTimeChars);
    close_cell(to, begin, print_datetime(d, t, c.digits, begin));
    return true;
}

bool put_time(const Column& c, bool negative, const Clock& t, ByteBuffer& to) {
    if (t.hour > 838 || t.minute > 59 || t.second > 59 || t.microsecond > 999'999) return false;
    char* begin = open_cell(to, kTimeChars);
    close_cell(to, begin, print_time(negative, t, c.digits, begin));
    return true;
}

// (digits + 1) / 2 bytes, high first, to microseconds
unsigned fraction_of(const std::byte* at, unsigned digits) noexcept {
    switch ((digits + 1) / 2) {
        case 1:
            return static_cast<unsigned>(load_be<1>(at)) * 10'000;
        case 2:
            return static_cast<unsigned>(load_be<2>(at)) * 100;
        case 3:
            return static_cast<unsigned>(load_be<3>(at));
        default:
            return 0;
    }
}

bool print_date_cell(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    const auto v = static_cast<unsigned>(load_le<3>(value));
    return put_date(c, {v >> 9U, v >> 5U & 15U, v & 31U}, to);
}

bool print_datetime2(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    const std::uint64_t v = load_be<5>(value) ^ 0x80'0000'0000U;
    if ((v & 0x80'0000'0000U) != 0) return false;  // no negative ones exist
    const auto month = static_cast<unsigned>(v >> 22U);
    const Date d{month / 13, month % 13, static_cast<unsigned>(v >> 17U & 31U)};
    const Clock t{static_cast<unsigned>(v >> 12U & 31U), static_cast<unsigned>(v >> 6U & 63U),
                  static_cast<unsigned>(v & 63U), fraction_of(value + 5, c.digits)};
    return put_datetime(c, d, t, to);
}

bool put_timestamp(const Column& c, std::uint64_t seconds, unsigned microsecond, ByteBuffer& to) {
    Date d;
    Clock t;
    if (seconds != 0 || microsecond != 0) split_seconds(seconds, d, t);
    t.microsecond = microsecond;
    return put_datetime(c, d, t, to);
}
bool print_timestamp2(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    return put_timestamp(c, load_be<4>(value), fraction_of(value + 4, c.digits), to);
}
bool print_timestamp_old(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    return put_timestamp(c, load_le<4>(value), 0, to);
}

bool print_datetime_old(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    const std::uint64_t v = load_le<8>(value);
    if (v > 99'991'231'235'959U) return false;
    const auto day = static_cast<unsigned>(v / 1'000'000);
    const auto second = static_cast<unsigned>(v % 1'000'000);
    return put_datetime(c, {day / 10'000, day / 100 % 100, day % 100},
                        {second / 10'000, second / 100 % 100, second % 100, 0}, to);
}

bool print_time_old(const Column& c, const std::byte* value, std::size_t, ByteBuffer& to) {
    auto v = static_cast<std::int32_t>(load_le<3>(value) << 40U >> 32U) >> 8;
    const bool negative = v < 0;
    if (negative) v = -v;
    const auto u = static_cast<unsigned>(v);
    return put_time(c, negative, {u / 10'000, u / 100 % 100, u % 100, 0}, to);
}

// The whole, seconds and fraction, is one signed number with an offset.
bool print_time2(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < n; ++i) v = v << 8U | std::to_integer<std::uint64_t>(value[i]);
    const auto bits = static_cast<unsigned>(8 * n);
    const std::uint64_t middle = std::uint64_t{1} << (bits - 1);
    const bool negative = v < middle;
    v = negative ? middle - v : v - middle;
    const auto fraction_bits = static_cast<unsigned>(8 * (n - 3));
    auto fraction = static_cast<unsigned>(v & ((std::uint64_t{1} << fraction_bits) - 1));
    if (fraction_bits == 8) fraction *= 10'000;
    if (fraction_bits == 16) fraction *= 100;
    const std::uint64_t whole = v >> fraction_bits;
    return put_time(c, negative,
                    {static_cast<unsigned>(whole >> 12U & 0x3FFU), static_cast<unsigned>(whole >> 6U & 63U),
                     static_cast<unsigned>(whole & 63U), fraction},
                    to);
}

bool print_year_cell(const Column&, const std::byte* value, std::size_t, ByteBuffer& to) {
    const auto v = std::to_integer<unsigned>(*value);
    char* begin = open_cell(to, 4);
    close_cell(to, begin, print_year(v == 0 ? 0 : v + 1900, begin));
    return true;
}

// ---- labels, documents, MariaDB's own

bool print_label(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    const std::size_t index = n == 1 ? load_le<1>(value) : load_le<2>(value);
    if (index > c.labels->size()) return false;
    const std::string_view label = index == 0 ? std::string_view{} : (*c.labels)[index - 1];
    return print_text(c, as_bytes(label).data(), label.size(), to);
}

bool print_labels(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    std::uint64_t set = 0;
    std::memcpy(&set, value, n);
    if (static_cast<std::size_t>(std::bit_width(set)) > c.labels->size()) return false;
    const std::size_t begin = begin_long(to);
    for (bool first = true; set != 0; first = false) {
        if (!first) to.put_u8(',');
        to.append((*c.labels)[static_cast<std::size_t>(std::countr_zero(set))]);
        set &= set - 1;
    }
    end_long(to, begin);
    return true;
}

bool print_document(const Column&, const std::byte* value, std::size_t n, ByteBuffer& to) {
    const std::size_t begin = begin_long(to);
    if (!print_json({value, n}, to)) return false;
    end_long(to, begin);
    return true;
}

// Trailing zeros are cut off.
template <std::size_t size>
bool whole(const std::byte* value, std::size_t n, std::byte (&to)[size]) {
    if (n > size) return false;
    std::fill(std::begin(to), std::end(to), std::byte{0});
    if (n != 0) std::memcpy(to, value, n);
    return true;
}

bool print_uuid_cell(const Column&, const std::byte* value, std::size_t n, ByteBuffer& to) {
    std::byte raw[16];
    if (!whole(value, n, raw)) return false;
    std::array<std::uint8_t, 16> uuid{};
    // Of versions 1 to 5 MariaDB keeps the node first, so that an index orders by it: node, clock, high,
    // middle, low.
    const auto variant = std::to_integer<unsigned>(raw[6]), version = std::to_integer<unsigned>(raw[8]);
    if ((variant & 0x80U) != 0 && version > 0 && version < 0x60) {
        constexpr std::size_t kFrom[] = {12, 13, 14, 15, 10, 11, 8, 9, 6, 7, 0, 1, 2, 3, 4, 5};
        for (std::size_t i = 0; i < 16; ++i) uuid[i] = std::to_integer<std::uint8_t>(raw[kFrom[i]]);
    } else {
        std::memcpy(uuid.data(), raw, 16);
    }
    constexpr char kHex[] = "0123456789abcdef";
    char* const begin = open_cell(to, 36);
    char* put = begin;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *put++ = '-';
        *put++ = kHex[uuid[i] >> 4U];
        *put++ = kHex[uuid[i] & 15U];
    }
    close_cell(to, begin, put);
    return true;
}

template <int family, std::size_t size>
bool print_address(const Column&, const std::byte* value, std::size_t n, ByteBuffer& to) {
    std::byte raw[size];
    if (!whole(value, n, raw)) return false;
    char* begin = open_cell(to, INET6_ADDRSTRLEN);
    if (::inet_ntop(family, raw, begin, INET6_ADDRSTRLEN) == nullptr) return false;
    close_cell(to, begin, begin + std::strlen(begin));
    return true;
}

// MariaDB's column compression: u8 (method << 4 | 8: without zlib's frame | bytes of the length), length high
// byte first, deflated data.
template <RowPlan::Print print>
bool print_compressed(const Column& c, const std::byte* value, std::size_t n, ByteBuffer& to) {
    if (n == 0) return print(c, value, 0, to);
    const auto head = std::to_integer<unsigned>(value[0]);
    if (head >> 4U == 0) return print(c, value + 1, n - 1, to);
    const std::size_t length_bytes = head & 7U;
    if (head >> 4U != 8 || length_bytes == 0 || length_bytes > 4 || n < 1 + length_bytes) return false;
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < length_bytes; ++i)
        size = size << 8U | std::to_integer<std::uint64_t>(value[1 + i]);
    const std::size_t packed = n - 1 - length_bytes;
    if (size > (packed + 1) * 1040) return false;
    ByteBuffer plain;
    plain.extend(size + 1);
    z_stream z{};
    if (::inflateInit2(&z, (head & 8U) != 0 ? -MAX_WBITS : MAX_WBITS) != Z_OK) return false;
    z.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(value + 1 + length_bytes));
    z.avail_in = static_cast<uInt>(packed);
    z.next_out = reinterpret_cast<Bytef*>(plain.data());
    z.avail_out = static_cast<uInt>(size + 1);
    const int code = ::inflate(&z, Z_FINISH);
    const std::size_t written = z.total_out;
    ::inflateEnd(&z);
    if (code != Z_STREAM_END || written != size) return false;
    return print(c, plain.data(), size, to);
}

// ---- what a column must be to be what the schema says

unsigned bytes_per_character(std::string_view charset) {
    if (charset == "utf8mb4") return 4;
    if (charset == "utf8mb3") return 3;
    if (charset == "latin1" || charset == "ascii") return 1;
    return 0;  // not compared
}

unsigned blob_prefix(std::uint32_t length) {
    return length <= 0xFF ? 1 : length <= 0xFFFF ? 2 : length <= 0xFF'FFFF ? 3 : 4;
}

bool characters_fit(const WireColumn& w, const Type& t) {
    const unsigned each = bytes_per_character(t.charset);
    return each == 0 || w.metadata == t.length * each;
}

template <std::size_t bytes>
bool integer_column(const Type& t, TypeKind kind, bool boolean, Column& c) {
    if (t.kind != kind) return false;
    c.width = bytes;
    c.print = boolean         ? &print_boolean
              : t.is_unsigned ? &print_integer<bytes, false>
                              : &print_integer<bytes, true>;
    return true;
}

bool text_column(Column& c) {
    c.print = c.transcoder == nullptr || c.transcoder->passes() ? &print_text : &print_transcoded;
    return true;
}
bool compressed_text_column(Column& c) {
    c.print = c.transcoder == nullptr || c.transcoder->passes() ? &print_compressed<&print_text>
                                                                : &print_compressed<&print_transcoded>;
    return true;
}

// Framing and printer; false when type and wire do not belong together.
bool plan_column(const WireColumn& w, const Type& t, bool boolean, Dialect dialect, Column& c) {
    switch (w.type) {
        case WireType::tiny:
            return integer_column<1>(t, TypeKind::tinyint, boolean, c);
        case WireType::small:
            return integer_column<2>(t, TypeKind::smallint, false, c);
        case WireType::medium:
            return integer_column<3>(t, TypeKind::mediumint, false, c);
        case WireType::integer:
            return integer_column<4>(t, TypeKind::integer, false, c);
        case WireType::big:
            return integer_column<8>(t, TypeKind::bigint, false, c);
        case WireType::real4:
            c.width = 4;
            c.print = dialect == Dialect::load ? &print_float<float, double> : &print_float<float>;
            return t.kind == TypeKind::real4;
        case WireType::real8:
            c.width = 8;
            c.print = &print_float<double>;
            return t.kind == TypeKind::real8;
        case WireType::decimal:
            c.precision = static_cast<std::uint8_t>(w.metadata);
            c.scale = w.scale;
            c.width = static_cast<std::uint32_t>(decimal_bytes(w.metadata, w.scale));
            c.print = &print_number;
            return t.kind == TypeKind::decimal && t.precision == w.metadata && t.scale == w.scale &&
                   c.width != 0;
        case WireType::year:
            c.width = 1;
            c.print = &print_year_cell;
            return t.kind == TypeKind::year;
        case WireType::date:
            c.width = 3;
            c.print = &print_date_cell;
            return t.kind == TypeKind::date;
        case WireType::time:
            c.width = 3;
            c.print = &print_time_old;
            return t.kind == TypeKind::time && t.scale == 0;
        case WireType::datetime:
            c.width = 8;
            c.print = &print_datetime_old;
            return t.kind == TypeKind::datetime && t.scale == 0;
        case WireType::timestamp:
            c.width = 4;
            c.print = &print_timestamp_old;
            return t.kind == TypeKind::timestamp && t.scale == 0;
        case WireType::time2:
            c.digits = static_cast<std::uint8_t>(w.metadata);
            c.width = 3U + (w.metadata + 1U) / 2;
            c.print = &print_time2;
            return t.kind == TypeKind::time && t.scale == w.metadata;
        case WireType::datetime2:
            c.digits = static_cast<std::uint8_t>(w.metadata);
            c.width = 5U + (w.metadata + 1U) / 2;
            c.print = &print_datetime2;
            return t.kind == TypeKind::datetime && t.scale == w.metadata;
        case WireType::timestamp2:
            c.digits = static_cast<std::uint8_t>(w.metadata);
            c.width = 4U + (w.metadata + 1U) / 2;
            c.print = &print_timestamp2;
            return t.kind == TypeKind::timestamp && t.scale == w.metadata;
        case WireType::bit:
            c.width = (w.metadata + 7U) / 8;
            c.print = w.metadata == 1 ? &print_boolean : &print_bytes;
            return t.kind == TypeKind::bit && t.length == w.metadata;
        case WireType::varchar:
        case WireType::var_string:
            c.prefix = w.metadata < 256 ? 1 : 2;
            if (t.kind == TypeKind::varchar) return characters_fit(w, t) && text_column(c);
            c.print = &print_bytes;
            return (t.kind == TypeKind::varbinary && t.length == w.metadata) || t.kind == TypeKind::vector;
        case WireType::varchar_compressed:
            c.prefix = w.metadata < 256 ? 1 : 2;
            if (t.kind == TypeKind::varchar) return compressed_text_column(c);
            c.print = &print_compressed<&print_bytes>;
            return t.kind == TypeKind::varbinary;
        case WireType::string:
            c.prefix = w.metadata < 256 ? 1 : 2;
            switch (t.kind) {
                case TypeKind::character:
                    return characters_fit(w, t) && text_column(c);
                case TypeKind::binary:
                    c.padded = t.length;
                    c.print = &print_bytes;
                    return t.length == w.metadata;
                case TypeKind::uuid:
                    c.print = &print_uuid_cell;
                    return w.metadata == 16;
                case TypeKind::inet4:
                    c.print = &print_address<AF_INET, 4>;
                    return w.metadata == 4;
                case TypeKind::inet6:
                    c.print = &print_address<AF_INET6, 16>;
                    return w.metadata == 16;
                default:
                    return false;
            }
        case WireType::enumeration:
            c.width = w.metadata;
            c.print = &print_label;
            return t.kind == TypeKind::enumeration && w.metadata == (t.labels.size() < 256 ? 1 : 2);
        case WireType::set: {
            const std::size_t bytes = (t.labels.size() + 7) / 8;
            c.width = w.metadata;
            c.print = &print_labels;
            return t.kind == TypeKind::set && t.labels.size() <= 64 && w.metadata == (bytes > 4 ? 8 : bytes);
        }
        case WireType::tiny_blob:
        case WireType::blob:
        case WireType::medium_blob:
        case WireType::long_blob:
            c.prefix = static_cast<std::uint8_t>(w.metadata);
            if (t.kind == TypeKind::text) return blob_prefix(t.length) == w.metadata && text_column(c);
            c.print = &print_bytes;
            return (t.kind == TypeKind::blob && blob_prefix(t.length) == w.metadata) ||
                   t.kind == TypeKind::geometry;
        case WireType::blob_compressed:
            c.prefix = static_cast<std::uint8_t>(w.metadata);
            if (t.kind == TypeKind::text) return compressed_text_column(c);
            c.print = &print_compressed<&print_bytes>;
            return t.kind == TypeKind::blob;
        case WireType::json:
            c.prefix = static_cast<std::uint8_t>(w.metadata);
            c.json = true;
            c.print = &print_document;
            return t.kind == TypeKind::json;
        case WireType::geometry:
            c.prefix = static_cast<std::uint8_t>(w.metadata);
            c.print = &print_bytes;
            return t.kind == TypeKind::geometry;
        case WireType::vector:
            c.prefix = static_cast<std::uint8_t>(w.metadata);
            c.print = &print_bytes;
            return t.kind == TypeKind::vector;
        case WireType::typed_array:
            return false;
    }
    return false;
}

std::unexpected<Error> mismatch(const TableName& name, std::string_view what) {
    return fail(
        ErrorCode::failed_precondition,
        fmt::format("the log describes table {} otherwise than its known definition: {}", name.text(), what));
}

bool has_bit(Bytes bits, std::size_t i) noexcept {
    return (std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1U) != 0;
}

}  // namespace

Relation relation_of(const TableSchema& schema, const RowOptions& options) {
    Relation r;
    r.source_id = schema.source_id;
    r.name = schema.name;
    r.identity = schema.identity;
    const bool all = schema.identity == RowIdentity::full && schema.identity_columns.empty();
    for (const auto& c : schema.columns) {
        if (c.generated && !options.generated_columns) continue;
        r.columns.push_back(
            {c.name, c.type_id, c.type_modifier,
             all || std::ranges::find(schema.identity_columns, c.name) != schema.identity_columns.end()});
    }
    return r;
}

Result<std::unique_ptr<RowPlan>> RowPlan::compile(const TableMap& map, const TableSchema& schema,
                                                  const RowOptions& options) {
    std::unique_ptr<RowPlan> plan(new RowPlan);
    RowPlan& p = *plan;
    p.relation_ = relation_of(schema, options);
    p.old_rows_ = options.dialect == Dialect::load;
    const std::size_t n = schema.columns.size();
    // Behind all others stand the hashes of MariaDB's unique keys over long values, told from a column that
    // was added by their names alone.
    std::size_t shown = map.columns.size();
    while (options.mariadb && shown > n && shown <= map.names.size() &&
           map.names[shown - 1].starts_with("DB_ROW_HASH_") && map.columns[shown - 1].type == WireType::big)
        --shown;
    // MariaDB's system versioning without named columns: row_start and row_end are in the log only.
    const bool hidden_period = options.mariadb && shown == n + 2 && map.columns[n] == map.columns[n + 1] &&
                               map.columns[n].type == WireType::timestamp2 && map.columns[n].metadata == 6;
    if (shown != n && !hidden_period)
        return mismatch(schema.name, fmt::format("{} columns, not {}", shown, n));
    p.columns_.resize(map.columns.size());
    p.row_end_ = hidden_period ? n + 1 : map.columns.size();

    std::size_t numbers = 0, enums = 0, sets = 0;
    const bool signs_known =
        map.is_unsigned.has_value() && std::ranges::none_of(map.columns, [](const WireColumn& w) {
            return w.type == WireType::year;  // counted by some servers
        });
    std::vector<std::string> charsets;
    for (std::size_t i = 0; i < n; ++i) {
        const ColumnSchema& s = schema.columns[i];
        const WireColumn& w = map.columns[i];
        Column& c = p.columns_[i];
        const Type type = GW_TRY(parse_type(s.native_type, s.collation));
        c.name = s.name;
        c.wanted = !s.generated || options.generated_columns;
        c.null_unnamed = !s.generated && !s.not_null && s.default_expression.empty();
        c.blanks = c.null_partial_dates = options.dialect == Dialect::copy;
        if (!map.names.empty() && map.names[i] != s.name)
            return mismatch(schema.name,
                            fmt::format("column {} is called {}, not {}", i + 1, map.names[i], s.name));
        if (s.generation_expression == "ROW END" && options.mariadb) p.row_end_ = i;
        if (type.characters() && type.charset != "utf8mb4") {
            const auto known = std::ranges::find(charsets, type.charset);
            if (known == charsets.end()) {
                p.transcoders_.push_back(
                    std::make_unique<Transcoder>(GW_TRY(Transcoder::open(type.charset, options.characters))));
                charsets.push_back(type.charset);
                c.transcoder = p.transcoders_.back().get();
            } else {
                c.transcoder = p.transcoders_[static_cast<std::size_t>(known - charsets.begin())].get();
            }
        }
        if (!plan_column(w, type, s.portable.kind == PortableKind::boolean, options.dialect, c))
            return mismatch(schema.name,
                            fmt::format("column {} is no {} there (type {}, metadata {})", s.name,
                                        s.native_type, static_cast<unsigned>(w.type), w.metadata));
        if (type.kind == TypeKind::enumeration || type.kind == TypeKind::set) {
            const bool is_enum = type.kind == TypeKind::enumeration;
            const auto& said = is_enum ? map.enum_labels : map.set_labels;
            const std::size_t at = is_enum ? enums++ : sets++;
            auto labels = type.labels;
            if (labels_unsaid(type)) {
                if (at >= said.size())
                    return fail(ErrorCode::unsupported, unsaid_labels(schema.name, s.name));
                labels = own_labels(said[at], c.transcoder);
                if (!std::ranges::equal(labels, type.labels, [&](const auto& own, const auto& known) {
                        return same_label(own, known, type);
                    }))
                    return mismatch(schema.name, fmt::format("column {} has other labels", s.name));
            } else if (at < said.size() &&
                       // labels come in the column's own character set
                       (c.transcoder == nullptr || c.transcoder->passes() || type.charset == "ascii") &&
                       !std::ranges::equal(said[at], type.labels)) {
                return mismatch(schema.name, fmt::format("column {} has other labels", s.name));
            }
            p.labels_.push_back(std::make_unique<std::vector<std::string>>(std::move(labels)));
            c.labels = p.labels_.back().get();
        }
        switch (w.type) {
            case WireType::tiny:
            case WireType::small:
            case WireType::medium:
            case WireType::integer:
            case WireType::big:
            case WireType::real4:
            case WireType::real8:
            case WireType::decimal:
                if (signs_known && numbers < map.is_unsigned->size() &&
                    (*map.is_unsigned)[numbers] != type.is_unsigned)
                    return mismatch(schema.name, fmt::format("column {} has another sign", s.name));
                ++numbers;
                break;
            default:
                break;
        }
        if (c.json) ++p.json_columns_;
    }
    for (std::size_t i = n; i < map.columns.size(); ++i) {
        p.columns_[i].wanted = false;
        p.columns_[i].width = i < shown ? 7 : 8;
        p.columns_[i].print = &print_timestamp2;
    }
    if (p.row_end_ < map.columns.size() &&
        (map.columns[p.row_end_].type != WireType::timestamp2 || p.columns_[p.row_end_].width != 7))
        return fail(ErrorCode::unsupported,
                    fmt::format("table {} is versioned by transactions, not by time", schema.name.text()));
    std::size_t r = 0;
    for (auto& c : p.columns_)
        if (c.wanted) c.identity = p.relation_.columns[r++].identity;
    p.old_.resize(p.columns_.size());
    p.new_.resize(p.columns_.size());
    return plan;
}

RowPlan::Image RowPlan::image(Bytes present) const {
    Image image;
    const std::size_t n = columns_.size();
    std::size_t sent = 0;
    for (std::size_t i = 0; i < n; ++i)  // bits beyond the last column are set by some servers
        if (has_bit(present, i)) {
            image.bits[i / 8] |= static_cast<std::byte>(1U << (i % 8));
            ++sent;
        }
    image.null_bytes = (sent + 7) / 8;
    image.whole = sent == n;
    return image;
}

// Where each column's value stands; null when the image is damaged.
const std::byte* RowPlan::locate(const Image& image, const std::byte* at, const std::byte* end, bool changes,
                                 std::vector<Place>& to) const {
    const std::size_t n = columns_.size();
    Bytes changed;  // a bit for each JSON column of the table
    if (changes) {
        ByteReader in({at, end});
        const auto options = get_lenenc(in);
        if ((options & 1U) != 0) changed = in.take((json_columns_ + 7) / 8);
        if (in.failed()) return nullptr;
        at += in.position();
    }
    const std::size_t null_bytes = image.null_bytes;
    if (static_cast<std::size_t>(end - at) < null_bytes) return nullptr;
    const Bytes nulls{at, null_bytes};
    at += null_bytes;
    std::size_t bit = 0, json = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const Column& c = columns_[i];
        Place& place = to[i];
        const bool changes_only = c.json && !changed.empty() && has_bit(changed, json);
        if (c.json) ++json;
        if (!image.has(i)) {
            place = {};
            continue;
        }
        if (has_bit(nulls, bit++)) {
            place.held = Held::null;
            continue;
        }
        std::size_t size = c.width;
        if (c.prefix != 0) {
            if (static_cast<std::size_t>(end - at) < c.prefix) return nullptr;
            std::uint32_t length = 0;
            std::memcpy(&length, at, c.prefix);
            at += c.prefix;
            size = length;
        }
        if (static_cast<std::size_t>(end - at) < size) return nullptr;
        place.at = at;
        place.n = static_cast<std::uint32_t>(size);
        place.held = changes_only ? Held::changes : Held::value;
        at += size;
    }
    return at;
}

bool RowPlan::put_changes(const Column&, const Place& before, const Place& changes, ByteBuffer& to) const {
    if (before.held != Held::value) return false;
    const std::size_t begin = begin_long(to);
    if (!print_json_changed({before.at, before.n}, {changes.at, changes.n}, to)) return false;
    end_long(to, begin);
    return true;
}

bool RowPlan::put_row(const std::vector<Place>& places, Cells cells, ByteBuffer& to) {
    to.put_le(static_cast<std::uint16_t>(relation_.columns.size()));
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        const Column& c = columns_[i];
        if (!c.wanted) continue;
        const Place& place = places[i];
        if (cells == Cells::key && !c.identity) {
            put_null(to);
            continue;
        }
        switch (place.held) {
            case Held::value:
                if (c.print(c, place.at, place.n, to)) break;
                failed_ = &c;
                return false;
            case Held::null:
                put_null(to);
                break;
            case Held::absent:
                if (cells == Cells::born)  // there is nothing that it could stay
                    put_null(to);
                else
                    to.put_u8(static_cast<std::uint8_t>(CellState::unchanged));
                break;
            case Held::changes:
                if (put_changes(c, old_[i], place, to)) break;
                failed_ = &c;
                return false;
        }
    }
    return true;
}

bool RowPlan::same_key() const {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (!columns_[i].identity) continue;
        const Place &a = old_[i], &b = new_[i];
        if (b.held == Held::absent) continue;
        if (a.held != b.held) return false;
        if (a.held == Held::value && (a.n != b.n || std::memcmp(a.at, b.at, a.n) != 0)) return false;
    }
    return true;
}

// Of a versioned table: the row is not history.
bool RowPlan::current(const Place& row_end) const {
    if (row_end.held != Held::value || row_end.n != 7) return true;
    const std::uint64_t seconds = load_be<4>(row_end.at);
    return (seconds == 0x7FFF'FFFFU || seconds == 0xFFFF'FFFFU) && load_be<3>(row_end.at + 4) == 999'999;
}

Error RowPlan::unfit(std::string_view what) const {
    return {
        ErrorCode::data_loss,
        Retry::never,
        fmt::format("the log sent a row of table {} that cannot be read: {}", relation_.name.text(), what),
        {},
        {}};
}

const std::string* RowPlan::untold(const RowsEvent& event) const {
    const std::size_t n = columns_.size();
    if (event.kind != RowsKind::write || event.columns != n || event.present.size() != (n + 7) / 8)
        return nullptr;
    bool any = false;
    const Column* left_out = nullptr;
    for (std::size_t i = 0; i < n; ++i) {
        const Column& c = columns_[i];
        if (has_bit(event.present, i))
            any = true;
        else if (c.wanted && !c.null_unnamed && left_out == nullptr)
            left_out = &c;
    }
    // Rows without any column take no bytes: nobody knows how many they are.
    if (!any && left_out == nullptr && n > 0) left_out = &columns_.front();
    return left_out == nullptr ? nullptr : &left_out->name;
}

Result<std::uint64_t> RowPlan::decode(const RowsEvent& event, std::uint32_t relation, std::uint32_t subxid,
                                      std::uint32_t stream, ChangeSink& sink) {
    const std::size_t n = columns_.size();
    if (event.columns != n)
        return mismatch(relation_.name, fmt::format("rows have {} columns, not {}", event.columns, n));
    const std::size_t bitmap = (n + 7) / 8;
    if (event.present.size() != bitmap) return std::unexpected(unfit("no list of columns"));
    const Image before = image(event.present);
    Image after;
    if (event.kind == RowsKind::update) {
        if (event.present_after.size() != bitmap) return std::unexpected(unfit("no list of columns"));
        after = image(event.present_after);
    }
    const bool full = relation_.identity == RowIdentity::full;
    const bool versioned = row_end_ < n;
    const bool whole = full || (old_rows_ && before.whole && after.whole);

    // An old row must name its row.
    if (event.kind != RowsKind::write) {
        for (std::size_t i = 0; i < n; ++i)
            if (columns_[i].wanted && (full || columns_[i].identity) && !before.has(i))
                return fail(ErrorCode::failed_precondition,
                            fmt::format("the log leaves column {} of table {} out of old rows: "
                                        "binlog_row_image must be FULL for this table",
                                        columns_[i].name, relation_.name.text()));
        if (relation_.identity == RowIdentity::none) return 0;
    }

    std::uint64_t rows = 0;
    const std::byte* at = event.rows.data();
    const std::byte* const end = at + event.rows.size();
    while (at != end) {
        const std::byte* const from = at;
        RowsKind kind = event.kind;
        if (kind == RowsKind::write) {
            at = locate(before, at, end, false, new_);
        } else {
            at = locate(before, at, end, false, old_);
            if (kind == RowsKind::update && at != nullptr)
                at = locate(after, at, end, event.partial_json, new_);
        }
        if (at == nullptr) return std::unexpected(unfit("it is cut"));
        if (at == from) return std::unexpected(unfit("it is empty"));
        if (versioned) {
            // History is not part of the table: a row that ends is removed, one that has ended never was.
            if (kind != RowsKind::write && !current(old_[row_end_])) continue;
            if (kind != RowsKind::remove && !current(new_[row_end_])) {
                if (kind == RowsKind::write) continue;
                kind = RowsKind::remove;
            }
        }
        ByteBuffer& to = sink.buffer(stream);
        RecordWriter writer(to);
        bool done = false;
        switch (kind) {
            case RowsKind::write:
                writer.start(RecordKind::insert, relation, subxid);
                done = put_row(new_, Cells::born, to);
                break;
            case RowsKind::update: {
                writer.start(RecordKind::update, relation, subxid);
                const OldRow old = whole ? OldRow::full : same_key() ? OldRow::none : OldRow::key;
                writer.old_kind(old, event.keys_off);
                done = old == OldRow::none || put_row(old_, whole ? Cells::full : Cells::key, to);
                // A key that the image leaves out is the old one.
                for (std::size_t i = 0; i < n; ++i)
                    if (columns_[i].identity && new_[i].held == Held::absent) new_[i] = old_[i];
                done = done && put_row(new_, Cells::fresh, to);
                break;
            }
            case RowsKind::remove:
                writer.start(RecordKind::remove, relation, subxid);
                writer.old_kind(full ? OldRow::full : OldRow::key, event.keys_off);
                done = put_row(old_, full ? Cells::full : Cells::key, to);
                break;
        }
        if (!done) {
            writer.cancel();
            const std::size_t i =
                failed_ == nullptr ? n : static_cast<std::size_t>(failed_ - columns_.data());
            if (i < n && new_[i].held == Held::changes && old_[i].held == Held::absent)
                return fail(ErrorCode::failed_precondition,
                            fmt::format("the log has what changed in the documents of column {} of table {} "
                                        "without the documents (binlog_row_value_options = PARTIAL_JSON of "
                                        "its session needs binlog_row_image = FULL)",
                                        failed_->name, relation_.name.text()));
            return std::unexpected(unfit(fmt::format("column {} has a value that its type cannot hold",
                                                     failed_ == nullptr ? "?" : failed_->name)));
        }
        writer.finish();
        ++rows;
        GW_CHECK(sink.recorded(stream));
    }
    return rows;
}

}  // namespace godwit::mysql
