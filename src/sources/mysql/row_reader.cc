#include "sources/mysql/row_reader.h"

#include <fmt/format.h>

#include <charconv>

#include "base/failpoint.h"
#include "codecs/mysql/type.h"
#include "codecs/mysql/values.h"
#include "codecs/rows/rows.h"
#include "core/portable.h"
#include "wire/mysql/connection.h"

namespace godwit::mysql {
namespace {

void put_plain(ByteBuffer& to, Bytes cell) { to.append(cell); }

double number_of(Bytes cell) {
    const auto text = as_text(cell);
    double out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

// A date that the copy dialect cannot hold: year, month or day are zero.
void put_date_or_null(ByteBuffer& to, Bytes cell) {
    const auto text = as_text(cell);
    if (text.size() < 10 || text.substr(0, 4) == "0000" || text.substr(5, 2) == "00" ||
        text.substr(8, 2) == "00")
        rows::put_null(to);
    else
        to.append(cell);
}

void put_characters(ByteBuffer& to, Bytes cell) { rows::put_text(to, cell); }
void put_characters_without_nul(ByteBuffer& to, Bytes cell) { rows::put_text_without_nul(to, cell); }

// BIT(1), or tinyint(1) as a number: anything but zero is true
bool bit_flag(Bytes cell) { return !cell.empty() && (std::to_integer<unsigned>(cell.back()) & 1U) != 0; }
bool number_flag(Bytes cell) { return as_text(cell) != "0"; }
template <bool (*flag)(Bytes)>
void put_flag(ByteBuffer& to, Bytes cell) {
    to.put_u8(flag(cell) ? '1' : '0');
}
template <bool (*flag)(Bytes)>
void put_binary_flag(ByteBuffer& to, Bytes cell) {
    rows::binary::put_boolean(to, flag(cell));
}

template <class Float, class As = Float>
void put_float(ByteBuffer& to, Bytes cell) {
    char digits[kRealChars];
    const char* const end = print_real(static_cast<As>(static_cast<Float>(number_of(cell))), digits);
    to.append(std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

void put_binary_float(ByteBuffer& to, Bytes cell) {
    rows::binary::put_real8(to, double_of_digits(static_cast<float>(number_of(cell))));
}

}  // namespace

Result<RowReader> RowReader::make(const TableSchema& table, std::string_view format) {
    if (format != kRowsLoad && format != kRowsCopy && format != kRowsBinary)
        return fail(ErrorCode::unsupported,
                    fmt::format("rows of a MySQL source are not printed as {}", format));
    RowReader out;
    out.binary_ = format == kRowsBinary;
    const bool copy = format == kRowsCopy;
    for (const auto& column : table.columns) {
        if (column.generated) continue;
        const Type type = GW_TRY(parse_type(column.native_type, column.collation));
        const std::string name = quote_name(column.name);
        std::string expression = name;
        Printer printer = put_plain;
        Printer binary = rows::binary::printer_of(column.portable);
        switch (type.kind) {
            case TypeKind::tinyint:
            case TypeKind::smallint:
            case TypeKind::mediumint:
            case TypeKind::integer:
            case TypeKind::bigint:
            case TypeKind::decimal:
                if (type.zerofill) expression = name + " + 0";  // the text protocol pads
                if (column.portable.kind == PortableKind::boolean) {
                    printer = put_flag<number_flag>;
                    binary = put_binary_flag<number_flag>;
                }
                break;
            case TypeKind::real4:  // its own text has six digits
                if (GW_RULE("mysql.float_exact")) expression = name + " + 0e0";
                printer = format == kRowsLoad ? put_float<float, double> : put_float<float>;
                binary = put_binary_float;
                break;
            case TypeKind::real8:
                printer = put_float<double>;
                break;
            case TypeKind::bit:
                printer = copy ? rows::put_bytes_hex : rows::put_bytes_raw;
                if (column.portable.kind == PortableKind::boolean) {
                    printer = put_flag<bit_flag>;
                    binary = put_binary_flag<bit_flag>;
                }
                break;
            case TypeKind::date:
            case TypeKind::datetime:
            case TypeKind::timestamp:
                if (copy) printer = put_date_or_null;
                break;
            case TypeKind::time:
            case TypeKind::year:
                break;
            case TypeKind::binary:
            case TypeKind::varbinary:
            case TypeKind::blob:
            case TypeKind::geometry:
            case TypeKind::vector:
                printer = copy ? rows::put_bytes_hex : rows::put_bytes_raw;
                break;
            case TypeKind::character:
            case TypeKind::varchar:
            case TypeKind::text:
            case TypeKind::enumeration:
            case TypeKind::set:
            case TypeKind::json:
            case TypeKind::uuid:
            case TypeKind::inet4:
            case TypeKind::inet6:
                printer = copy ? put_characters_without_nul : put_characters;
                break;
        }
        if (!out.select_list_.empty()) out.select_list_ += ", ";
        out.select_list_ += expression;
        if (out.binary_ && binary == nullptr)
            return fail(ErrorCode::unsupported, fmt::format("column {} of table {} has no binary form",
                                                            column.name, table.name.text()));
        out.printers_.push_back(out.binary_ ? binary : printer);
        out.columns_.push_back({column.portable, type.kind == TypeKind::real4});
    }
    if (out.printers_.empty())
        return fail(ErrorCode::unsupported, "table " + table.name.text() + " has no column that is stored");
    return out;
}

bool RowReader::take_packed(const std::vector<ResultColumn>& columns) {
    if (!binary_ || columns.size() != printers_.size()) return false;
    std::vector<PackedPrinter> found;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        found.push_back(packed_printer_of(columns[i].type, columns[i].is_unsigned, columns_[i].portable,
                                          columns_[i].single));
        if (found.back() == nullptr) return false;
    }
    packed_ = std::move(found);
    return true;
}

bool RowReader::print_packed(Bytes row, ByteBuffer& to) const {
    constexpr std::size_t kFirstBit = 2;  // of the bitmap of NULLs
    const std::size_t n = packed_.size();
    const std::size_t bitmap = (n + kFirstBit + 7) / 8;
    if (row.size() < bitmap) return false;
    const std::byte* at = row.data() + bitmap;
    const std::byte* const end = row.data() + row.size();
    rows::binary::put_row(to, n);
    for (std::size_t i = 0; i < n; ++i) {
        const std::size_t bit = i + kFirstBit;
        if ((std::to_integer<unsigned>(row[bit / 8]) >> (bit % 8) & 1U) != 0) {
            rows::binary::put_null(to);
            continue;
        }
        at = packed_[i](to, at, end, printers_[i]);
        if (at == nullptr) return false;
    }
    return at == end;
}

}  // namespace godwit::mysql
