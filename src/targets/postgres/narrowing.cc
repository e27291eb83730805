#include "targets/postgres/narrowing.h"

#include <algorithm>
#include <array>
#include <utility>

namespace godwit::postgres {
namespace {

// The numbers of the server's own types are the same everywhere.
constexpr std::uint32_t kChar = 18, kName = 19, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kFloat4 = 700,
                        kFloat8 = 701, kMoney = 790, kBpchar = 1042, kVarchar = 1043, kDate = 1082,
                        kTime = 1083, kTimestamp = 1114, kTimestamptz = 1184, kInterval = 1186,
                        kTimetz = 1266, kNumeric = 1700;

constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 18> kArrays{{{1002, kChar},
                                                                           {1003, kName},
                                                                           {1016, kInt8},
                                                                           {1005, kInt2},
                                                                           {1007, kInt4},
                                                                           {1009, kText},
                                                                           {1021, kFloat4},
                                                                           {1022, kFloat8},
                                                                           {791, kMoney},
                                                                           {1014, kBpchar},
                                                                           {1015, kVarchar},
                                                                           {1182, kDate},
                                                                           {1183, kTime},
                                                                           {1115, kTimestamp},
                                                                           {1185, kTimestamptz},
                                                                           {1187, kInterval},
                                                                           {1270, kTimetz},
                                                                           {1231, kNumeric}}};

constexpr int kFractionDigits = 6;
constexpr int kFloat4Digits = 6, kFloat8Digits = 15;  // of any decimal number that they keep
constexpr int kMoneyScale = 2;                        // of most currencies
constexpr int kShortName = 15;                        // characters that fit into a name's 63 bytes
constexpr int kLongTime = 10;                         // characters of -838:59:59
constexpr std::int32_t kHeader = 4;                   // what the modifier of lengths and precisions adds

// An element where it is an array, below all domains.
struct Base {
    std::uint32_t oid = 0;
    std::int32_t modifier = -1;
    bool array = false;
    int text_fraction = kFractionDigits;  // text: the most that it may have

    [[nodiscard]] int precision() const { return ((modifier - kHeader) >> 16) & 0xffff; }
    [[nodiscard]] int scale() const { return (((modifier - kHeader) & 0x7ff) ^ 1024) - 1024; }  // 11 bits
    [[nodiscard]] bool whole() const { return oid == kInt2 || oid == kInt4 || oid == kInt8; }
    [[nodiscard]] bool real() const { return oid == kFloat4 || oid == kFloat8; }
    [[nodiscard]] bool text() const { return oid == kText || oid == kVarchar || oid == kBpchar; }
    [[nodiscard]] bool instant() const { return oid == kTimestamp || oid == kTimestamptz; }
    [[nodiscard]] bool clock() const { return oid == kTime || oid == kTimetz; }
    // of seconds
    [[nodiscard]] int fraction() const {
        if (text()) return text_fraction;
        if (modifier < 0) return kFractionDigits;
        return std::min(oid == kInterval ? modifier & 0xffff : modifier, kFractionDigits);
    }
    // which units an interval may have
    [[nodiscard]] int units() const { return modifier < 0 ? 0x7fff : (modifier >> 16) & 0x7fff; }
};

Base base_of(const ColumnSchema& column, const std::vector<UserType>& types) {
    Base out{column.type_id, column.type_modifier, false};
    for (bool found = true; found;) {
        found = false;
        for (const auto& t : types) {
            if (t.kind != UserType::Kind::domain || (t.type_id != out.oid && t.array_type_id != out.oid))
                continue;
            out = {t.base.type_id, t.base.type_modifier, out.array || t.array_type_id == out.oid};
            found = true;
            break;
        }
        const auto element = std::ranges::find(kArrays, out.oid, &decltype(kArrays)::value_type::first);
        if (element != kArrays.end()) {
            out.oid = element->second;
            out.array = true;
        }
    }
    return out;
}

bool more_digits(const Base& from, int digits) {
    return from.oid == kNumeric && (from.modifier < 0 || from.precision() > digits);
}

bool changes(const Base& from, const Base& to) {
    switch (to.oid) {
        case kNumeric:
            if (to.modifier < 0) return false;
            if (from.whole()) return to.scale() < 0;
            return from.real() || from.text() ||
                   (from.oid == kNumeric && (from.modifier < 0 || from.scale() > to.scale()));
        case kFloat4:
            return from.oid == kFloat8 || from.oid == kInt4 || from.oid == kInt8 || from.text() ||
                   more_digits(from, kFloat4Digits);
        case kFloat8:
            return from.oid == kInt8 || from.text() || more_digits(from, kFloat8Digits);
        case kMoney:
            return from.real() || from.text() ||
                   (from.oid == kNumeric && (from.modifier < 0 || from.scale() > kMoneyScale));
        case kDate:
            return from.instant() || from.text();
        case kTime:
            if (from.instant() || from.oid == kTimetz) return true;
            return (from.clock() || from.text()) && from.fraction() > to.fraction();
        case kTimetz:
            return from.instant() || ((from.clock() || from.text()) && from.fraction() > to.fraction());
        case kTimestamp:
        case kTimestamptz:
            return (from.instant() || from.text()) && from.fraction() > to.fraction();
        case kInterval:
            if (from.oid == kTime || from.text())
                return from.fraction() > to.fraction() || to.units() != 0x7fff;
            return from.oid == kInterval &&
                   (from.fraction() > to.fraction() || (from.units() & ~to.units()) != 0);
        case kChar:  // its first byte
            return from.text() || from.oid == kName;
        case kName:  // its first 63 bytes
            return from.text() && (from.modifier < 0 || from.modifier - kHeader > kShortName);
        default:
            return false;
    }
}

bool drops_blanks(const Base& from, const Base& to) {
    if (from.oid != kText && from.oid != kVarchar) return false;
    if (to.oid == kBpchar) return true;
    return to.oid == kVarchar && to.modifier >= 0 && (from.modifier < 0 || from.modifier > to.modifier);
}

}  // namespace

Narrowing narrowing(const ColumnSchema& source, const std::vector<UserType>& source_types,
                    const ColumnSchema& target, const std::vector<UserType>& target_types) {
    Base from = base_of(source, source_types);
    if (from.text() && source.portable.kind == PortableKind::string) {
        // -838:59:59.123456, a time of MySQL: ten characters, or as many more as it has digits and a point
        const auto length = static_cast<int>(source.portable.length);
        if (length >= kLongTime) from.text_fraction = std::clamp(length - kLongTime - 1, 0, kFractionDigits);
    }
    const Base to = base_of(target, target_types);
    if (from.array != to.array) return Narrowing::none;  // a text, or refused
    if (changes(from, to)) return Narrowing::value;
    return drops_blanks(from, to) ? Narrowing::blanks : Narrowing::none;
}

}  // namespace godwit::postgres
