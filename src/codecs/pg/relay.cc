#include "codecs/pg/relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/failpoint.h"

namespace godwit::postgres {
namespace {

// Numbers below are fixed by PostgreSQL for ever; above, also system types get theirs at initdb.
constexpr std::uint32_t kFirstDynamicOid = 10000;
constexpr std::uint32_t kMoney = 790, kMoneyArray = 791, kNumeric = 1700, kNumericArray = 1231,
                        kInterval = 1186, kIntervalArray = 1187;
constexpr std::array<std::uint32_t, 4> kNumericRanges = {3906, 3907, 4532,
                                                         6151};  // numrange, [], nummultirange, []

// regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary, regnamespace,
// regrole, regcollation, regdatabase and their arrays: numbers of rows of another catalogue
constexpr std::array<std::uint32_t, 24> kRegTypes = {24,   2202, 2203, 2204, 2205, 2206, 3734, 3769,
                                                     4089, 4096, 4191, 8326, 1008, 2207, 2208, 2209,
                                                     2210, 2211, 3735, 3770, 4090, 4097, 4192, 8327};
// no send or receive function: aclitem, gtsvector, pg_node_tree, statistics; records hold foreign numbers
constexpr std::array<std::uint32_t, 12> kNoBinary = {1033, 1034, 3642, 3644, 2249, 2287,
                                                     194,  3361, 3402, 5017, 4600, 4601};

template <std::size_t N>
bool in(const std::array<std::uint32_t, N>& list, std::uint32_t oid) {
    return std::ranges::find(list, oid) != list.end();
}

// A type number with the user type behind it.
struct Resolved {
    const UserType* user = nullptr;
    bool array = false;
    bool multirange = false;
};

Resolved resolve(std::uint32_t oid, const std::vector<UserType>& types) {
    for (const auto& t : types) {
        if (t.type_id == oid) return {&t, false, false};
        if (t.array_type_id == oid && oid != 0) return {&t, true, false};
        if (t.multirange_type_id == oid && oid != 0) return {&t, false, true};
        if (t.multirange_array_type_id == oid && oid != 0) return {&t, true, true};
    }
    return {};
}

struct Sides {
    const ServerTraits& source;
    const std::vector<UserType>& source_types;
    const ServerTraits& target;
    const std::vector<UserType>& target_types;
    bool binary;  // also what only matters to bytes
};

// Where in a column's type we are.
struct Place {
    std::string path;
    int depth = 0;
    bool in_composite = false;
    [[nodiscard]] Place deeper() const { return {path, depth + 1, in_composite}; }
    [[nodiscard]] Place attribute(const std::string& name) const {
        return {path + "." + name, depth + 1, true};
    }
};

std::string compare(const Sides& s, std::uint32_t from, std::int32_t modifier, std::uint32_t to,
                    const Place& place);

std::string compare_user(const Sides& s, const UserType& a, const UserType& b, const Place& place) {
    const std::string& path = place.path;
    using Kind = UserType::Kind;
    const std::string name = a.name.text();
    if (a.kind != b.kind) return fmt::format("{}: type {} is of another kind on the target", path, name);
    switch (a.kind) {
        case Kind::enumeration:
            if (a.labels != b.labels)
                return fmt::format("{}: enum {} has other labels on the target", path, name);
            return {};
        case Kind::domain: {
            if (a.base.not_null != b.base.not_null)
                return fmt::format("{}: domain {} differs in NOT NULL on the target", path, name);
            std::vector<std::string> x, y;
            for (const auto& c : a.checks) x.push_back(c.definition);
            for (const auto& c : b.checks) y.push_back(c.definition);
            std::ranges::sort(x);
            std::ranges::sort(y);
            if (x != y) return fmt::format("{}: domain {} has other constraints on the target", path, name);
            if (a.base.type_modifier != b.base.type_modifier)
                return fmt::format("{}: domain {} has another length or precision on the target", path, name);
            return compare(s, a.base.type_id, a.base.type_modifier, b.base.type_id, place.deeper());
        }
        case Kind::composite:
            if (a.attributes.size() != b.attributes.size())
                return fmt::format("{}: composite {} has other attributes on the target", path, name);
            for (std::size_t i = 0; i < a.attributes.size(); ++i) {
                const auto& x = a.attributes[i];
                const auto& y = b.attributes[i];
                if (x.name != y.name)
                    return fmt::format("{}: composite {} has other attributes on the target", path, name);
                if (x.type_modifier != y.type_modifier)
                    return fmt::format("{}.{}: length or precision differs on the target", path, x.name);
                auto why = compare(s, x.type_id, x.type_modifier, y.type_id, place.attribute(x.name));
                if (!why.empty()) return why;
            }
            return {};
        case Kind::range:
            if (a.range_options != b.range_options || !a.creatable || !b.creatable)
                return fmt::format("{}: range {} is defined otherwise on the target", path, name);
            return compare(s, a.base.type_id, -1, b.base.type_id, place.deeper());
        case Kind::extension:
            if (a.name.table != b.name.table || a.extension != b.extension)
                return fmt::format("{}: type {} belongs to another extension on the target", path, name);
            if (a.extension_version != b.extension_version)
                return fmt::format("{}: extension {} is {} at the source and {} on the target", path,
                                   a.extension, a.extension_version, b.extension_version);
            return {};
        case Kind::base:
            return fmt::format("{}: type {} is of the server's own making", path, name);
    }
    return {};
}

std::string compare(const Sides& s, std::uint32_t from, std::int32_t modifier, std::uint32_t to,
                    const Place& place) {
    const std::string& path = place.path;
    if (place.depth > 64) return path + ": the type is nested too deeply";
    const Resolved a = resolve(from, s.source_types), b = resolve(to, s.target_types);
    if ((a.user == nullptr) != (b.user == nullptr)) return path + ": the type differs on the target";
    if (a.user != nullptr) {
        if (a.array != b.array || a.multirange != b.multirange)
            return path + ": the type differs on the target";
        if (s.binary) {
            if (!a.user->binary || !b.user->binary)
                return fmt::format("{}: type {} has no binary form", path, a.user->name.text());
            // there the type's number inside the value must be the target's own
            if (s.target.version < 140000 && a.array)
                return path + ": servers before 14 refuse arrays of user types in binary";
            if (s.target.version < 140000 && place.in_composite)
                return path + ": servers before 14 refuse composites of user types in binary";
        }
        return compare_user(s, *a.user, *b.user, place);
    }
    if (from != to) return path + ": the type differs on the target";
    if (from >= kFirstDynamicOid) return path + ": the type's number is not the same on every server";
    if (!s.binary) return {};
    if (in(kRegTypes, from)) return path + ": reg* types hold numbers of one database's catalogue";
    if (in(kNoBinary, from)) return path + ": the type has no binary form";
    if (from == kMoney || from == kMoneyArray) {
        const auto x = s.source.facts.find("lc_monetary"), y = s.target.facts.find("lc_monetary");
        if (x == s.source.facts.end() || y == s.target.facts.end() || x->second != y->second)
            return path + ": money with different lc_monetary";
    }
    if (from == kNumeric || from == kNumericArray || in(kNumericRanges, from)) {
        if (s.source.version >= 140000 && s.target.version < 140000 && modifier < 0)
            return path + ": numeric may be Infinity, which servers before 14 do not know";
        // bits of the typmod: 16 precision, then 11 scale with its sign (15 and later)
        if (modifier >= 4 && s.target.version < 150000) {
            const auto packed = static_cast<std::uint32_t>(modifier - 4);
            const auto precision = (packed >> 16) & 0xffffU, scale = packed & 0x7ffU;
            if ((scale & 0x400U) != 0 || scale > precision)
                return path + ": numeric with such a scale is unknown to servers before 15";
        }
    }
    if ((from == kInterval || from == kIntervalArray) && s.source.version >= 170000 &&
        s.target.version < 170000)
        return path + ": interval may be infinity, which servers before 17 do not know";
    return {};
}

}  // namespace

std::string type_difference(const ColumnSide& source, const ColumnSide& target) {
    return compare({source.server, source.types, target.server, target.types, false}, source.column.type_id,
                   source.column.type_modifier, target.column.type_id,
                   {"column " + source.column.name, 0, false});
}

std::string binary_refusal(const ColumnSide& source, const ColumnSide& target) {
    if (!GW_RULE("load.relay_rules")) return {};
    const std::string path = "column " + source.column.name;
    if (source.server.family != target.server.family) return path + ": the servers are of different families";
    if (source.server.encoding != "UTF8" || target.server.encoding != "UTF8")
        return path + ": both databases must be UTF8";
    if (source.server.version < 100000 || target.server.version < 100000)
        return path + ": servers before 10 may keep times as floating point";
    if (source.column.type_modifier != target.column.type_modifier)
        return path + ": length or precision differs on the target";
    return compare({source.server, source.types, target.server, target.types, true}, source.column.type_id,
                   source.column.type_modifier, target.column.type_id, {path, 0, false});
}

std::string copy_out_options(std::string_view format) {
    return format == kFormatBinary ? " (FORMAT binary)" : " (FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8')";
}

std::string copy_in_options(std::string_view format) {
    if (format == kRowsCopy) return " (FORMAT text, ENCODING 'UTF8')";
    return format == kFormatBinary || format == kRowsBinary ? " (FORMAT binary)"
                                                            : " (FORMAT csv, ENCODING 'UTF8')";
}

}  // namespace godwit::postgres
