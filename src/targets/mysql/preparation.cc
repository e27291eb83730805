#include "targets/mysql/preparation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <ranges>
#include <utility>

#include "base/failpoint.h"
#include "codecs/mysql/describe.h"
#include "codecs/mysql/type.h"
#include "targets/mysql/ledger.h"
#include "targets/mysql/secondary.h"

namespace godwit::mysql {
namespace {

constexpr std::uint32_t kVarcharChars = 16383;  // more is refused, or silently becomes TEXT
constexpr std::uint32_t kRowBytes = 65535;
constexpr std::uint32_t kKeyBytes = 3072;
constexpr std::size_t kNameChars = 64;
constexpr int kFractionDigits = 6;
constexpr int kInvisibleColumns = 80023;            // of MySQL
constexpr int kDefaultExpressions = 80013;          // of MySQL
constexpr std::uint64_t kKeylessIndexRows = 10000;  // below, scanning is fast enough

std::string join(const std::vector<std::string>& parts, std::string_view by) {
    std::string out;
    for (const auto& p : parts) {
        if (!out.empty()) out += by;
        out += p;
    }
    return out;
}

std::string quoted_list(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& n : names) out += (out.empty() ? "" : ", ") + quote_name(n);
    return out;
}

std::size_t characters(std::string_view utf8) {
    return static_cast<std::size_t>(
        std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

bool contains(const std::vector<std::string>& list, const std::string& name) {
    return std::ranges::find(list, name) != list.end();
}

void roll_back(Connection& c) {
    if (c.healthy()) [[maybe_unused]]
        auto ignored = c.run("ROLLBACK");
}

bool limited_text(const PortableType& t) {
    return t.kind == PortableKind::string || t.kind == PortableKind::wstring;
}

// What a key can hold of it, in bytes; 0 for text and bytes, which take what is left.
std::uint32_t fixed_key_bytes(const PortableType& t) {
    switch (t.kind) {
        case PortableKind::boolean:
        case PortableKind::int1:
        case PortableKind::uint1:
            return 1;
        case PortableKind::int2:
        case PortableKind::uint2:
            return 2;
        case PortableKind::int4:
        case PortableKind::uint4:
        case PortableKind::real4:
        case PortableKind::date:
            return 4;
        case PortableKind::int8:
        case PortableKind::uint8:
        case PortableKind::real8:
        case PortableKind::datetime:
        case PortableKind::time:
            return 8;
        case PortableKind::numeric:
            return t.precision != 0 && t.precision <= 65 && t.scale >= 0 && t.scale <= 30 ? 32 : 0;
        default:
            return 0;
    }
}

// Bytes that the type takes in a row, at most; long types stand beside it.
std::uint32_t row_bytes(const std::string& type) {
    const auto number = [&](std::size_t from) {
        return static_cast<std::uint32_t>(std::strtoul(type.c_str() + from, nullptr, 10));
    };
    if (type.starts_with("VARCHAR(")) return number(8) * 4 + 2;
    if (type.starts_with("VARBINARY(")) return number(10) + 2;
    if (type.starts_with("LONG") || type.starts_with("JSON")) return 12;
    return 33;
}

std::string text_type(std::uint32_t chars) {
    return chars == 0 || chars > kVarcharChars ? "LONGTEXT" : fmt::format("VARCHAR({})", chars);
}

}  // namespace

std::string portable_column(const PortableType& t, const ServerFacts& facts, std::uint32_t key_chars,
                            bool json_as_json) {
    const auto key_text = [&] {
        const std::uint32_t n = t.length == 0 || !limited_text(t) ? key_chars : std::min(t.length, key_chars);
        return facts.key_collation.empty() ? fmt::format("VARBINARY({})", n * 4)
                                           : fmt::format("VARCHAR({})", n);
    };
    const auto fraction = [&] { return t.scale > 0 ? fmt::format("({})", t.scale) : std::string(); };
    switch (t.kind) {
        case PortableKind::boolean:
            return "TINYINT(1)";
        case PortableKind::int1:
            return "TINYINT";
        case PortableKind::int2:
            return "SMALLINT";
        case PortableKind::int4:
            return "INT";
        case PortableKind::int8:
            return "BIGINT";
        case PortableKind::uint1:
            return "TINYINT UNSIGNED";
        case PortableKind::uint2:
            return "SMALLINT UNSIGNED";
        case PortableKind::uint4:
            return "INT UNSIGNED";
        case PortableKind::uint8:
            return "BIGINT UNSIGNED";
        case PortableKind::numeric: {
            // scale below 0 counts digits before the point; above the precision, zeros behind it
            const int scale = std::max<int>(t.scale, 0);
            const int precision = std::max<int>(t.scale < 0 ? t.precision - t.scale : t.precision, scale);
            if (t.precision != 0 && precision <= 65 && scale <= 30)
                return fmt::format("DECIMAL({},{})", precision, scale);
            return key_chars != 0 ? key_text() : "LONGTEXT";
        }
        case PortableKind::real4:
            return "FLOAT";
        case PortableKind::real8:
            return "DOUBLE";
        case PortableKind::date:
            return "DATE";
        case PortableKind::time:
            return t.scale > 6 ? "VARCHAR(37)" : "TIME" + fraction();
        case PortableKind::datetime:
            return t.scale > 6 ? "VARCHAR(37)" : "DATETIME" + fraction();
        case PortableKind::bytes:
        case PortableKind::blob: {
            if (key_chars != 0)
                return fmt::format("VARBINARY({})",
                                   t.length == 0 ? key_chars * 4 : std::min(t.length, key_chars * 4));
            if (t.kind == PortableKind::bytes && t.length != 0 && t.length < kRowBytes - 2)
                return fmt::format("VARBINARY({})", t.length);
            return "LONGBLOB";
        }
        case PortableKind::string:
        case PortableKind::wstring:
            return key_chars != 0 ? key_text() : text_type(t.length);
        case PortableKind::clob:
        case PortableKind::nclob:
            if (key_chars != 0) return key_text();
            return t.json && json_as_json && !facts.mariadb ? "JSON" : "LONGTEXT";
        case PortableKind::unknown:
            break;
    }
    return "";
}

// ---------------------------------------------------------------------------------------------- creation

namespace {

// A type of the other flavour, and what stands for it here.
std::string native_type(const std::string& type, const ServerFacts& facts) {
    if (facts.mariadb) return type;
    if (type == "uuid") return "char(36) CHARACTER SET ascii COLLATE ascii_bin";
    if (type == "inet6") return "varchar(39) CHARACTER SET ascii COLLATE ascii_bin";
    if (type == "inet4") return "varchar(15) CHARACTER SET ascii COLLATE ascii_bin";
    return type;
}

std::string collation_clause(const ColumnSchema& c, const ServerFacts& facts,
                             const std::set<std::string>& known, std::vector<std::string>& warnings) {
    std::string collation = c.collation;
    std::erase(collation, '`');
    if (collation.empty() || collation == "binary") return "";
    const auto underscore = collation.find('_');
    std::string charset = collation.substr(0, underscore);
    if (known.contains(collation)) return fmt::format(" CHARACTER SET {} COLLATE {}", charset, collation);
    // MariaDB spells utf8mb3 as the server before it did
    if (charset == "utf8mb3" && known.contains("utf8" + collation.substr(underscore)))
        return fmt::format(" CHARACTER SET utf8 COLLATE utf8{}", collation.substr(underscore));
    if (charset == "utf8" && known.contains("utf8mb3" + collation.substr(underscore)))
        return fmt::format(" CHARACTER SET utf8mb3 COLLATE utf8mb3{}", collation.substr(underscore));
    // Finer than what is missing: rows that differ there differ here.
    std::string instead = charset + "_bin";
    if (charset == "utf8mb4" && !facts.key_collation.empty()) instead = facts.key_collation;
    if (!known.contains(instead)) instead = charset = "";
    warnings.push_back(fmt::format("column {}: the target has no collation {}, {} stands for it", c.name,
                                   collation, instead.empty() ? facts.text_collation : instead));
    if (instead.empty()) return fmt::format(" CHARACTER SET utf8mb4 COLLATE {}", facts.text_collation);
    return fmt::format(" CHARACTER SET {} COLLATE {}", charset, instead);
}

// Kept beside the row: text, bytes and documents without a limit.
bool is_large(const std::string& type) {
    std::string word = type.substr(0, type.find_first_of(" ("));
    std::ranges::transform(word, word.begin(), [](unsigned char b) { return std::tolower(b); });
    return word.ends_with("text") || word.ends_with("blob") || word == "json";
}

bool is_timestamp(const std::string& type) {
    return type.starts_with("timestamp") || type.starts_with("TIMESTAMP");
}

std::string nullability(bool not_null, const std::string& type, const ServerFacts& facts) {
    if (!not_null) return GW_RULE("prepare.null_is_said") ? " NULL" : "";
    // where a server gives such columns a default of its own, it is at least not one that moves
    if (is_timestamp(type) && !facts.explicit_timestamps) return " NOT NULL DEFAULT '1970-01-01 00:00:01'";
    return " NOT NULL";
}

// A value that the server rounds is remarked on, and what is remarked on does not commit.
std::string generation_here(const ColumnSchema& c) {
    std::string expression = unescaped(c.generation_expression);
    if (!c.native_type.starts_with("decimal(")) return expression;
    const auto comma = c.native_type.find(',');
    const auto scale =
        comma == std::string::npos ? 0 : std::strtol(c.native_type.c_str() + comma + 1, nullptr, 10);
    return fmt::format("round({}, {})", expression, scale);
}

}  // namespace

std::string column_type_sql(const ColumnSchema& c, const TargetContext& x, const ServerFacts& facts,
                            const std::set<std::string>& known, std::vector<std::string>& warnings) {
    if (!x.same_family()) return portable_column(c.portable, facts, 0, x.endpoint.flag("mapjson", false));
    std::string sql = native_type(c.native_type, facts);
    if (sql == c.native_type) sql += collation_clause(c, facts, known, warnings);
    return sql;
}

std::string column_definition(const ColumnSchema& c, const TargetContext& x, const ServerFacts& facts,
                              const std::set<std::string>& known, std::vector<std::string>& warnings) {
    const std::string sql = column_type_sql(c, x, facts, known, warnings);
    if (x.same_family()) {
        // only what may be left out of an INSERT may be left out of SELECT *
        const bool hides = c.invisible && (c.generated || !c.not_null) &&
                           (facts.mariadb || facts.version >= kInvisibleColumns);
        if (c.generated && !c.generation_expression.empty())
            return sql + fmt::format(" GENERATED ALWAYS AS ({}) {}{}", generation_here(c),
                                     c.generated_virtual ? "VIRTUAL" : "STORED", hides ? " INVISIBLE" : "");
        return sql + nullability(c.not_null, c.native_type, facts) + (hides ? " INVISIBLE" : "");
    }
    return sql.empty() ? sql : sql + nullability(c.not_null, sql, facts);
}

std::string standing_type(const TargetColumn& c) {
    return c.charset.empty()
               ? c.column_type
               : fmt::format("{} CHARACTER SET {} COLLATE {}", c.column_type, c.charset, c.collation);
}

std::string standing_definition(const TargetColumn& c, const std::string& type, const ServerFacts& facts,
                                bool values) {
    std::string sql = type;
    if (values && !c.default_expression.empty()) {
        // MySQL takes no constant for a type that stands beside the row, but an expression
        const bool expression = !facts.mariadb && facts.version >= kDefaultExpressions && is_large(type) &&
                                !c.default_expression.starts_with("(");
        sql += fmt::format(fmt::runtime(expression ? "{} DEFAULT ({})" : "{} DEFAULT {}"),
                           c.not_null ? " NOT NULL" : " NULL", c.default_expression);
    } else {
        sql += nullability(c.not_null, type, facts);
    }
    if (values && !c.on_update.empty()) sql += " " + c.on_update;
    if (values && c.auto_increment) sql += " AUTO_INCREMENT";
    if (c.invisible) sql += " INVISIBLE";
    if (!c.comment.empty()) sql += " COMMENT " + quote_literal(c.comment);
    return sql;
}

std::string foreign_key_sql(const ForeignKey& key, const TargetContext& x) {
    const TableName here = x.name_of(key.references);
    const std::string there = quote_name(key.references.schema, key.references.table);
    std::string sql = key.definition;
    if (const auto at = sql.find(" REFERENCES " + there + " ("); at != std::string::npos)
        sql.replace(at + 12, there.size(), quote_name(here.schema, here.table));
    return sql;
}

namespace {

// One that every server of the family takes.
bool plain_default(const ColumnSchema& c) {
    const std::string& d = c.default_expression;
    const bool constant = d.starts_with("'") || d.starts_with("b'") || d.starts_with("-") ||
                          (!d.empty() && d[0] >= '0' && d[0] <= '9');
    return (constant && !is_large(c.native_type)) || d.starts_with("CURRENT_TIMESTAMP") ||
           d.starts_with("current_timestamp");
}

// The keys that the table needs for changes of the parents to come whole.
std::vector<ForeignKey> acting_here(const TableSchema& source) {
    std::vector<ForeignKey> out;
    for (const auto& key : source.acting_keys)
        if (std::ranges::find(source.bound_to, key.references) != source.bound_to.end()) out.push_back(key);
    return out;
}

}  // namespace

Result<std::string> create_table_sql(const TableSchema& source, const TableName& target,
                                     const TargetContext& x, const ServerFacts& facts,
                                     const std::set<std::string>& known, std::vector<std::string>& warnings) {
    for (const auto* name : {&target.schema, &target.table})
        if (characters(*name) > kNameChars)
            return fail(ErrorCode::unsupported,
                        fmt::format("the name {} has more than {} characters", *name, kNameChars));
    // The key by which rows are found, first: InnoDB keeps the rows in its order.
    std::vector<std::string> primary = source.primary_key;
    if (primary.empty() && source.identity == RowIdentity::key) primary = source.identity_columns;
    const bool own_identity = source.identity == RowIdentity::key && !source.identity_columns.empty() &&
                              source.identity_columns != primary;
    // an identity index may hold NULL, a primary key may not
    if (source.primary_key.empty() && std::ranges::any_of(primary, [&](const std::string& name) {
            const auto* c = source.column(name);
            return c != nullptr && !c->not_null;
        }))
        primary.clear();

    std::uint32_t fixed = 0, open = 0;
    for (const auto& c : source.columns) {
        if (!contains(primary, c.name) && !(own_identity && contains(source.identity_columns, c.name)))
            continue;
        const auto bytes = fixed_key_bytes(c.portable);
        fixed += bytes;
        if (bytes == 0) ++open;
    }
    const std::uint32_t key_chars =
        open == 0 ? 0 : std::min<std::uint32_t>(768, (kKeyBytes - std::min(fixed, kKeyBytes)) / 4 / open);

    struct Column {
        const ColumnSchema* source;
        std::string type;
        bool key;
    };
    std::vector<Column> columns;
    for (const auto& c : source.columns) {
        if (characters(c.name) > kNameChars)
            return fail(ErrorCode::unsupported,
                        fmt::format("the name of column {} has more than {} characters", c.name, kNameChars));
        if (x.same_family()) {
            columns.push_back({&c, "", false});
            continue;
        }
        if (c.generated) {  // no row brings its values
            warnings.push_back(
                fmt::format("column {} is generated at the source and is left out on the target", c.name));
            continue;
        }
        const bool key =
            contains(primary, c.name) || (own_identity && contains(source.identity_columns, c.name));
        std::string type =
            portable_column(c.portable, facts, key ? key_chars : 0, x.endpoint.flag("mapjson", false));
        if (type.empty())
            return fail(ErrorCode::unsupported,
                        fmt::format("column {} of type {} is not known to targets of another family", c.name,
                                    c.native_type));
        if (key && fixed_key_bytes(c.portable) == 0 && key_chars < 1)
            return fail(ErrorCode::unsupported, "the key is too long for an index of the target");
        if (key && fixed_key_bytes(c.portable) == 0)
            warnings.push_back(fmt::format(
                "column {} is part of a key and becomes {}: a longer value is an error", c.name, type));
        if (c.portable.kind == PortableKind::numeric && !type.starts_with("DECIMAL"))
            warnings.push_back(
                fmt::format("column {} has more digits than DECIMAL and becomes {}", c.name, type));
        columns.push_back({&c, std::move(type), key});
    }
    // The largest leave the row until it fits.
    if (!x.same_family() && GW_RULE("prepare.row_limits"))
        for (;;) {
            std::uint32_t total = 16;
            Column* largest = nullptr;
            for (auto& c : columns) {
                const auto bytes = row_bytes(c.type);
                total += bytes;
                if (!c.key && c.type.starts_with("VAR") &&
                    (largest == nullptr || bytes > row_bytes(largest->type)))
                    largest = &c;
            }
            if (total < kRowBytes || largest == nullptr) break;
            largest->type = largest->type.starts_with("VARBINARY") ? "LONGBLOB" : "LONGTEXT";
        }

    std::string sql = "CREATE TABLE " + quote_name(target.schema, target.table) + " (";
    bool first = true;
    for (const auto& c : columns) {
        if (!first) sql += ", ";
        first = false;
        sql += quote_name(c.source->name) + " ";
        if (x.same_family()) {
            sql += column_definition(*c.source, x, facts, known, warnings);
            if (!x.endpoint.flag("createsecondaryindexes", false)) continue;
            // Later it would cost a copy of the table, and ON UPDATE would act before it is known of.
            if (!c.source->identity.empty() && !primary.empty() && primary.front() == c.source->name)
                sql += " AUTO_INCREMENT";
            else if (plain_default(*c.source))
                sql += " DEFAULT " + c.source->default_expression;
        } else {
            sql += c.type;
            if (c.key && c.type.starts_with("VARCHAR")) sql += " COLLATE " + facts.key_collation;
            // a key is NOT NULL whatever the source says
            sql += contains(primary, c.source->name) ? " NOT NULL"
                                                     : nullability(c.source->not_null, c.type, facts);
        }
    }
    if (!primary.empty()) sql += ", PRIMARY KEY (" + quoted_list(primary) + ")";
    if (own_identity) sql += ", UNIQUE KEY gw_identity (" + quoted_list(source.identity_columns) + ")";
    // Never later than the first row: what they do is in no log.
    if (x.same_family() && GW_RULE("prepare.acting_keys"))
        for (const auto& key : acting_here(source))
            sql += fmt::format(", CONSTRAINT {} {}", quote_name(key.name), foreign_key_sql(key, x));
    sql += fmt::format(") ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {}", facts.text_collation);
    return sql;
}

// ---------------------------------------------------------------------------------------------- on the
// server

Result<std::set<std::string>> read_collations(Connection& c) {
    const auto rows = GW_TRY(c.query("SELECT collation_name FROM information_schema.collations"));
    std::set<std::string> out;
    for (std::size_t i = 0; i < rows.size(); ++i) out.insert(rows.text(i, 0));
    // MariaDB names collations of several character sets without theirs
    const auto full =
        c.query("SELECT full_collation_name FROM information_schema.collation_character_set_applicability");
    if (full)
        for (std::size_t i = 0; i < full->size(); ++i) out.insert(full->text(i, 0));
    return out;
}

namespace {

// Decimal digits that come back as they were.
constexpr int kFloatDigits = 6, kFloatWholeDigits = 7, kDoubleDigits = 15;

bool whole_number(PortableKind kind) { return kind >= PortableKind::boolean && kind <= PortableKind::uint8; }
bool any_number(PortableKind kind) { return kind >= PortableKind::boolean && kind <= PortableKind::real8; }

// Digits in front of the point and behind it; nothing when there is no limit.
std::optional<std::pair<int, int>> digits_of(const PortableType& t) {
    if (t.kind != PortableKind::numeric || t.precision == 0) return {};
    const int scale = std::max<int>(t.scale, 0);
    return std::pair{std::max(0, t.precision - t.scale), scale};
}

bool whole(const PortableType& t) {
    const auto digits = digits_of(t);
    return whole_number(t.kind) || (digits && digits->second == 0);
}

// Text that never ends in a blank, or to which blanks at its end say nothing.
bool ends_without_blank(const ColumnSchema& source, const std::optional<Type>& own) {
    if (own) return own->kind != TypeKind::varchar && own->kind != TypeKind::text;
    return source.portable.kind == PortableKind::string || source.native_type.starts_with("character(") ||
           source.native_type.starts_with("bpchar");
}

// FLOAT and DOUBLE hold so many binary digits, and FLOAT(7,2) rounds to its decimals.
bool rounds_to_real(const PortableType& from, const std::optional<Type>& own, const ColumnSchema& source,
                    const Type& to, const std::string& column_type) {
    const bool small = to.kind == TypeKind::real4;
    const auto comma = column_type.find(',');
    if (comma != std::string::npos && source.native_type != column_type) {
        const int kept = static_cast<int>(std::strtol(column_type.c_str() + comma + 1, nullptr, 10));
        const auto digits = digits_of(from);
        if (!whole_number(from.kind) && !(digits && digits->second <= kept)) return true;
    }
    if (own && (own->kind == TypeKind::real4 || own->kind == TypeKind::mediumint)) return false;
    switch (from.kind) {
        case PortableKind::boolean:
        case PortableKind::int1:
        case PortableKind::int2:
        case PortableKind::uint1:
        case PortableKind::uint2:
        case PortableKind::real4:
            return false;
        case PortableKind::int4:
        case PortableKind::uint4:
        case PortableKind::real8:
            return small;
        case PortableKind::numeric: {
            const auto digits = digits_of(from);
            if (!digits) return true;
            const int most = !small ? kDoubleDigits : digits->second == 0 ? kFloatWholeDigits : kFloatDigits;
            return digits->first + digits->second > most;
        }
        default:
            return true;
    }
}

// The labels that values of the column are of; empty where they are of any text.
std::vector<std::string> labels_of(const ColumnSchema& source, const std::optional<Type>& own,
                                   const std::vector<UserType>& types) {
    if (own) return own->labels;
    std::uint32_t id = source.type_id;
    // each type stands behind those that it is made of
    for (const auto& type : types | std::views::reverse) {
        if (type.type_id != id || id == 0) continue;
        if (type.kind == UserType::Kind::enumeration) return type.labels;
        if (type.kind == UserType::Kind::domain) id = type.base.type_id;
    }
    return {};
}

// The server takes '2' for the second label where none is spelled so, 'X' for the label 'x', and sorts those
// of a SET.
bool takes_other_label(const ColumnSchema& source, const std::optional<Type>& own, const Type& to,
                       const std::vector<UserType>& types) {
    const auto labels = labels_of(source, own, types);
    if (labels.empty() || (own && own->kind == TypeKind::set && to.kind != TypeKind::set)) return true;
    return !std::ranges::all_of(labels, [&](const auto& l) { return contains(to.labels, l); });
}

// Would the server round values of the source in this column, read others, cut or pad them? It says nothing
// then, in no sql_mode. Decimals that lose digits it warns of, as of dates that lose their time.
bool rounds(const ColumnSchema& source, const TargetColumn& target, bool same_family,
            const std::vector<UserType>& types) {
    const auto to = parse_type(target.column_type, target.collation);
    if (!to) return false;
    PortableType from = source.portable;
    std::optional<Type> own;  // the source's type, where the families are one
    if (same_family)
        if (auto type = parse_type(source.native_type, source.collation)) {
            own = std::move(*type);
            // what is a text elsewhere, and what stands for another type there
            if (own->kind == TypeKind::time)
                from = {.kind = PortableKind::time, .scale = static_cast<std::int16_t>(own->scale)};
            else if (own->kind == TypeKind::decimal)
                from = {.kind = PortableKind::numeric,
                        .precision = own->precision,
                        .scale = static_cast<std::int16_t>(own->scale)};
            else if (from.kind == PortableKind::unknown)
                from = portable_type(*own, {});
        }
    if (from.kind == PortableKind::unknown) return false;
    switch (to->kind) {
        case TypeKind::datetime:
        case TypeKind::timestamp:
        case TypeKind::time:
            if (from.kind == PortableKind::date) return false;
            // 10:11:12 is a day in 2010
            if (from.kind == PortableKind::time && to->kind != TypeKind::time) return true;
            if (from.kind == PortableKind::string) return to->scale < kFractionDigits;
            return (from.kind != PortableKind::datetime && from.kind != PortableKind::time) ||
                   to->scale < std::min<int>(from.scale, kFractionDigits);
        case TypeKind::date:
            return any_number(from.kind) || from.kind == PortableKind::time;
        case TypeKind::real4:
        case TypeKind::real8:
            return rounds_to_real(from, own, source, *to, target.column_type);
        case TypeKind::tinyint:
        case TypeKind::smallint:
        case TypeKind::mediumint:
        case TypeKind::integer:
        case TypeKind::bigint:
            return !whole(from);
        case TypeKind::year:  // 24 is 2024
            return !own || own->kind != TypeKind::year;
        case TypeKind::decimal:  // the server remarks on digits that it drops
            return from.binary();
        case TypeKind::bit:  // what comes as text is taken for its digits
            if (target.column_type == "bit(1)") return any_number(from.kind) && !whole(from);
            return own ? own->kind != TypeKind::bit && !from.binary() : any_number(from.kind);
        case TypeKind::enumeration:
        case TypeKind::set:
            return takes_other_label(source, own, *to, types);
        case TypeKind::character:
            return from.binary();  // of text see drops_blanks()
        case TypeKind::binary:     // zeros are put behind
            return !own || own->kind != TypeKind::binary || own->length != to->length;
        default:
            return false;
    }
}

// Blanks at the end of a text are lost in the column, which is all that it changes.
bool drops_blanks(const ColumnSchema& source, const TargetColumn& target, bool same_family) {
    const auto to = parse_type(target.column_type, target.collation);
    if (!to || to->kind != TypeKind::character || !source.portable.text()) return false;
    std::optional<Type> own;
    if (same_family)
        if (auto type = parse_type(source.native_type, source.collation)) own = std::move(*type);
    return !ends_without_blank(source, own);
}

// The columns that are there must take what the load writes.
Result<> check_columns(const TableSchema& source, const TableName& name, const TargetTable& target,
                       bool same_family, const ServerFacts& facts, std::vector<std::string>& warnings) {
    std::vector<std::string> missing, generated, unfilled, rounded, invented, cut;
    for (const auto& c : source.columns) {
        const TargetColumn* t = target.column(c.name);
        if (c.generated) {
            if (t != nullptr && !t->generated)
                warnings.push_back(fmt::format(
                    "table {}: column {} is generated at the source and plain on the target: it stays empty",
                    source.name.text(), c.name));
            continue;
        }
        if (t == nullptr)
            missing.push_back(c.name);
        else if (t->generated)
            generated.push_back(c.name);
        else if (rounds(c, *t, same_family, source.types))
            rounded.push_back(fmt::format("{} ({})", c.name, t->column_type));
        else if (drops_blanks(c, *t, same_family))
            cut.push_back(fmt::format("{} ({})", c.name, t->column_type));
        // NULL is no error there: the server puts in a number, or the present time
        else if (!c.not_null && t->not_null &&
                 (t->auto_increment || (t->data_type == "timestamp" && !facts.explicit_timestamps)))
            invented.push_back(
                fmt::format("{} ({})", c.name, t->auto_increment ? "AUTO_INCREMENT" : "TIMESTAMP NOT NULL"));
    }
    for (const auto& t : target.columns) {
        const ColumnSchema* c = source.column(t.name);
        if ((c == nullptr || c->generated) && t.not_null && !t.generated && !t.has_default &&
            !t.auto_increment)
            unfilled.push_back(t.name);
    }
    if (!missing.empty())
        return fail(ErrorCode::failed_precondition,
                    fmt::format("table {} on the target lacks column {}", name.text(), join(missing, ", ")));
    if (!generated.empty())
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("column {} of table {} is generated on the target and cannot take the source's "
                        "values",
                        join(generated, ", "), name.text()));
    if (!rounded.empty())
        return fail(ErrorCode::failed_precondition,
                    fmt::format("table {} on the target would change the source's values without a word in "
                                "column {}: the column needs a type of the same kind that holds as much",
                                name.text(), join(rounded, ", ")));
    if (!cut.empty())
        warnings.push_back(
            fmt::format("column {} of table {} drops blanks at the end of a text: VARCHAR keeps them",
                        join(cut, ", "), name.text()));
    if (!invented.empty())
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("column {} of table {} may be NULL at the source, and the target would put a value "
                        "of its own in place of NULL: let the column be NULL on the target, or declare it "
                        "NOT NULL at the source{}",
                        join(invented, ", "), name.text(),
                        facts.explicit_timestamps ? ""
                                                  : " (TIMESTAMP: or set explicit_defaults_for_timestamp "
                                                    "= ON on the target)"));
    if (!unfilled.empty())
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("column {} of table {} is NOT NULL on the target, has no default and does not "
                        "exist at the source",
                        join(unfilled, ", "), name.text()));
    if (!target.engine.empty() && target.engine != "InnoDB")
        warnings.push_back(fmt::format("table {} is kept by {}: rows and position do not commit together",
                                       name.text(), target.engine));
    return {};
}

// An operator is told, or the table is refused where the endpoint's attribute says so.
Result<> notice(const TargetContext& x, const std::string& attribute, const std::string& text,
                std::string_view cure, std::vector<std::string>& notices) {
    if (GW_TRY(x.endpoint.refuses(attribute)))
        return fail(ErrorCode::failed_precondition,
                    fmt::format("{}, and {}=fail is set: {}", text, attribute, cure));
    notices.push_back(text);
    return {};
}

// No session can switch them off here.
Result<> check_triggers(Connection& c, const TargetContext& x, const TableName& target,
                        std::vector<std::string>& notices) {
    const auto rows = GW_TRY(c.query(
        fmt::format("SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = {} AND "
                    "event_object_table = {} ORDER BY 1",
                    quote_literal(target.schema), quote_literal(target.table))));
    std::vector<std::string> names;
    for (std::size_t i = 0; i < rows.size(); ++i) names.push_back(rows.text(i, 0));
    if (names.empty()) return {};
    return notice(x, "targetTriggers",
                  fmt::format("on the target, trigger {} of table {} acts on every row that is written",
                              join(names, ", "), target.text()),
                  "drop the trigger for as long as the task runs", notices);
}

Result<> check_collations(const TargetContext& x, const TableSchema& source, const TableName& name,
                          const TargetTable& target, std::vector<std::string>& notices) {
    if (source.identity != RowIdentity::key) return {};
    std::vector<std::string> weak;
    for (const auto& key : source.identity_columns)
        if (const auto* t = target.column(key); t != nullptr && weaker_key(*t, source, x.same_family()))
            weak.push_back(key);
    if (weak.empty()) return {};
    return notice(x, "collationMismatch",
                  fmt::format("on the target, key column {} of table {} has a collation by which different "
                              "values of the source are equal; such rows are errors",
                              join(weak, ", "), name.text()),
                  "give the column a collation that compares bytes, or VARBINARY", notices);
}

// What the source's server does to the table's rows by foreign keys, and nothing else, the target's must do
// as well. `created`: by godwit, and empty, so the keys are given to it.
Result<> check_acting_keys(Connection& c, const TargetContext& x, const TableSchema& source,
                           const TableName& target, bool created, std::vector<std::string>& notices) {
    if (!x.same_family() || !GW_RULE("prepare.acting_keys")) return {};
    std::set<std::string> missing, known;
    for (const auto& key : acting_here(source)) missing.insert(foreign_key_sql(key, x));
    for (const auto& key : source.acting_keys) known.insert(foreign_key_sql(key, x));
    std::string alter;
    for (const auto& key : GW_TRY(read_foreign_keys(c, target))) {
        missing.erase(key.definition());
        if (!key.acts() || known.contains(key.definition())) continue;
        alter += fmt::format("{}DROP FOREIGN KEY {}", alter.empty() ? "" : ", ", quote_name(key.name));
        if (!created)
            GW_CHECK(notice(x, "cascade",
                            fmt::format("on the target, foreign key {} of table {} changes rows, and the "
                                        "source does not do so",
                                        key.name, target.text()),
                            "drop it", notices));
    }
    for (const auto& sql : missing) {
        alter += fmt::format("{}ADD {}", alter.empty() ? "" : ", ", sql);
        if (!created)
            GW_CHECK(
                notice(x, "cascade",
                       fmt::format("on the target, table {} lacks a foreign key of the source: rows that "
                                   "it changes there without a trace in the log stay behind",
                                   target.text()),
                       "add " + sql, notices));
    }
    if (!created || alter.empty()) return {};
    return run_ddl(c, x, target,
                   fmt::format("ALTER TABLE {} {}", quote_name(target.schema, target.table), alter));
}

void warn_of_missing_index(const TableSchema& source, const TargetTable& target,
                           std::vector<std::string>& warnings) {
    if (source.identity == RowIdentity::none || source.full_load_only) return;
    if (source.identity == RowIdentity::full && source.identity_columns != source.primary_key) {
        if (target.indexes.empty())
            warnings.push_back(fmt::format(
                "table {} has no key and no index on the target: every update and delete will read the whole "
                "table",
                source.name.text()));
        return;
    }
    const std::set<std::string> wanted(source.identity_columns.begin(), source.identity_columns.end());
    bool leading = false;
    for (const auto& i : target.indexes) {
        const std::set<std::string> have(i.columns.begin(), i.columns.end());
        if (i.unique && have == wanted) return;
        if (!i.columns.empty() && wanted.contains(i.columns.front())) leading = true;
    }
    warnings.push_back(
        fmt::format(leading ? fmt::runtime("table {} has no unique index on {} on the target: a "
                                           "repeated row would not be refused")
                            : fmt::runtime("table {} has no index on {} on the target: every update "
                                           "and delete will read the whole table"),
                    source.name.text(), join(source.identity_columns, ", ")));
}

Result<> choose_formats(const TargetContext& x, const TableSchema& source,
                        const std::vector<std::string>& offered, PreparedTable& out) {
    (void)x;
    for (const auto& [rows, cells] : {std::pair{kRowsLoad, kCellsLoad}, std::pair{kRowsCopy, kCellsCopy}})
        if (std::ranges::find(offered, rows) != offered.end()) {
            out.format = rows;
            out.stream_format = cells;
            return {};
        }
    return fail(
        ErrorCode::unsupported,
        fmt::format("table {} cannot be loaded in any form that the source offers", source.name.text()));
}

// Tables whose foreign keys point here. They keep them; the server checks nothing while we write.
Result<std::vector<std::string>> dependants_of(Connection& c, const TableName& target) {
    const auto rows = GW_TRY(c.query(fmt::format(
        "SELECT DISTINCT concat(table_schema, '.', table_name) FROM information_schema.key_column_usage "
        "WHERE "
        "referenced_table_schema = {0} AND referenced_table_name = {1} AND NOT (table_schema = {0} AND "
        "table_name = {1}) ORDER BY 1",
        quote_literal(target.schema), quote_literal(target.table))));
    std::vector<std::string> out;
    for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(rows.text(i, 0));
    return out;
}

// Under DO_NOTHING a second load may only remove rows that the first one wrote.
Result<> empty_own_rows(Connection& c, const TargetContext& x, const BeganGeneration& began,
                        const TableName& target) {
    if (!began.filled_before) return {};
    bool shared = began.shared_before;
    if (!shared) {
        const auto others = GW_TRY(c.query(fmt::format(
            "SELECT task FROM godwit.gw_table WHERE task <> {} AND target_schema = {} AND target_table = {} "
            "LIMIT 1",
            quote_literal(x.task), quote_literal(target.schema), quote_literal(target.table))));
        shared = others.size() != 0;
    }
    if (shared && GW_RULE("prepare.foreign_rows"))
        return fail(
            ErrorCode::failed_precondition,
            fmt::format("table {} must be loaded again, and under DO_NOTHING it also holds rows that are "
                        "not this task's: remove this task's rows, or choose another TargetTablePrepMode",
                        target.text()));
    return run_ddl(c, x, target, "TRUNCATE TABLE " + quote_name(target.schema, target.table));
}

// Between `preparing`, which is committed and lets no slice in, and `loading`: all that happens here commits
// by itself and may be done twice.
Result<PreparedTable> reshape_target(Connection& c, const Sessions& sessions, const TargetContext& x,
                                     const TableSchema& source, PrepMode mode,
                                     const std::vector<std::string>& offered, const BeganGeneration& began,
                                     const TableName& target, bool& shared) {
    PreparedTable out;
    out.generation = began.generation;
    auto now = GW_TRY(read_table(c, target));
    if (now.exists && !now.base_table)
        return fail(ErrorCode::failed_precondition,
                    fmt::format("{} on the target is not a table but a view", target.text()));
    if (now.exists && mode == PrepMode::drop_and_create) {
        if (const auto dependants = GW_TRY(dependants_of(c, target)); !dependants.empty())
            out.warnings.push_back(
                fmt::format("table {} is dropped and created although foreign keys of {} refer "
                            "to it; they stay",
                            target.text(), join(dependants, ", ")));
        GW_CHECK(run_ddl(c, x, target, "DROP TABLE " + quote_name(target.schema, target.table)));
        now = {};
    }
    if (!now.exists) {
        const auto known = GW_TRY(read_collations(c));
        const auto sql = GW_TRY(create_table_sql(source, target, x, sessions.facts(), known, out.warnings));
        GW_CHECK(c.run(fmt::format("CREATE DATABASE IF NOT EXISTS {}", quote_name(target.schema))));
        GW_CHECK(run_ddl(c, x, target, sql));
        // MySQL 8.0.15 keeps the keys of tables that were there before their parent, and does not let them
        // act.
        if (!GW_TRY(dependants_of(c, target)).empty())
            GW_CHECK(run_ddl(c, x, target,
                             fmt::format("ALTER TABLE {} FORCE", quote_name(target.schema, target.table))));
        out.created = true;
        now = GW_TRY(read_table(c, target));
    } else {
        out.created = began.created_before;
        GW_CHECK(check_columns(source, target, now, x.same_family(), sessions.facts(), out.warnings));
        GW_CHECK(check_triggers(c, x, target, out.notices));
        if (mode == PrepMode::truncate) {
            GW_CHECK(run_ddl(c, x, target, "TRUNCATE TABLE " + quote_name(target.schema, target.table)));
        } else {
            GW_CHECK(empty_own_rows(c, x, began, target));
            const auto any = GW_TRY(
                c.query("SELECT EXISTS (SELECT 1 FROM " + quote_name(target.schema, target.table) + ")"));
            shared = any.number(0, 0) != 0;
        }
    }
    GW_CHECK(check_collations(x, source, target, now, out.notices));
    GW_CHECK(check_acting_keys(c, x, source, target, out.created && !shared, out.notices));
    if (!out.created) warn_of_missing_index(source, now, out.warnings);
    // MySQL refuses LOAD DATA for such a column, whatever the rows hold (1364).
    if (!c.mariadb() && std::ranges::any_of(now.columns, [](const TargetColumn& t) {
            return is_geometry(t.data_type) && t.not_null && !t.generated;
        }))
        GW_CHECK(c.run("UPDATE godwit.gw_table SET by_insert = 1" + where_table(x.task, source.name)));
    GW_CHECK(choose_formats(x, source, offered, out));
    return out;
}

}  // namespace

namespace {

// Is the target's table another source table's?
Result<> check_single_source(Connection& c, const TargetContext& x, const TableName& source,
                             const TableName& target) {
    if (!GW_RULE("prepare.single_source")) return {};
    const auto rows = GW_TRY(c.query(fmt::format(
        "SELECT source_schema, source_table FROM godwit.gw_table WHERE task = {} AND "
        "target_schema = {} AND target_table = {} AND phase IN ('preparing', 'loading', 'loaded', "
        "'joined')",
        quote_literal(x.task), quote_literal(target.schema), quote_literal(target.table))));
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (const TableName other{rows.text(i, 0), rows.text(i, 1)};
            other != source && x.name_of(other) == target)
            return two_sources(target, other);
    return {};
}

}  // namespace

Result<PreparedTable> prepare_table(Sessions& sessions, const TargetContext& x, const TableSchema& source,
                                    PrepMode mode, const std::vector<std::string>& offered,
                                    const SnapshotMark& mark) {
    const TableName target = x.name_of(source.name);
    auto held = GW_TRY(sessions.hold());
    Connection& c = *held;
    const auto wrong = [&](Error e) {
        roll_back(c);
        return std::unexpected(std::move(e).with("preparing table " + target.text()));
    };
    bool shared = false;
    if (auto single = check_single_source(c, x, source.name, target); !single)
        return wrong(std::move(single).error());
    auto began = begin_generation(c, x.task, sessions.epoch(), source.name, mark);
    if (!began) return wrong(std::move(began).error());
    GW_FAILPOINT("prepare.generation_raised");
    auto out = reshape_target(c, sessions, x, source, mode, offered, *began, target, shared);
    if (!out) return wrong(std::move(out).error());
    auto opened = [&]() -> Result<> {
        GW_FAILPOINT("prepare.before_commit");
        return open_generation(c, x.task, sessions.epoch(), source.name, out->generation,
                               {target, out->format, out->created, shared, source.source_id});
    }();
    if (!opened) return wrong(std::move(opened).error());
    return out;
}

Result<std::vector<std::string>> notices_of(Connection& c, const TargetContext& x,
                                            const TableSchema& source) {
    std::vector<std::string> out;
    const TableName target = x.name_of(source.name);
    const auto now = GW_TRY(read_table(c, target));
    GW_CHECK(check_triggers(c, x, target, out));
    GW_CHECK(check_collations(x, source, target, now, out));
    GW_CHECK(check_acting_keys(c, x, source, target, false, out));
    return out;
}

Result<PreparedTable> prepared_table(Sessions& sessions, const TargetContext& x, const TableSchema& source,
                                     const TableState& state, const std::vector<std::string>& offered) {
    auto held = GW_TRY(sessions.hold());
    Connection& c = *held;
    PreparedTable out;
    out.generation = state.generation;
    const auto rows =
        GW_TRY(c.query("SELECT created FROM godwit.gw_table" + where_table(x.task, source.name) +
                       fmt::format(" AND generation = {}; COMMIT", state.generation)));
    if (rows.size() != 1)
        return fail(ErrorCode::failed_precondition,
                    "table " + source.name.text() + " was prepared anew by another process");
    out.created = rows.number(0, 0) != 0;
    const TableName target = x.name_of(source.name);
    const auto now = GW_TRY(read_table(c, target));
    if (!now.exists)
        return fail(ErrorCode::not_found, "table " + target.text() + " does not exist on the target");
    GW_CHECK(check_columns(source, target, now, x.same_family(), sessions.facts(), out.warnings));
    GW_CHECK(choose_formats(x, source, offered, out));
    return out;
}

namespace {

// Rows of a table without a key are found by all their columns: the most distinct of them helps, once there
// are many.
Result<> build_keyless_index(Connection& c, const TargetContext& x, const TableSchema& source,
                             const TableName& name, std::uint64_t rows) {
    if (source.identity != RowIdentity::full || !source.primary_key.empty() || rows < kKeylessIndexRows)
        return {};
    const auto now = GW_TRY(read_table(c, name));
    if (!now.indexes.empty()) return {};
    std::vector<const TargetColumn*> columns;
    std::string inner, outer;
    for (const auto& t : now.columns) {
        const bool sized = t.data_type == "varchar" || t.data_type == "char" || t.data_type == "varbinary";
        const bool fixed =
            t.writes == Writes::number || t.writes == Writes::temporal || t.writes == Writes::real8;
        if (t.generated || (!sized && !fixed)) continue;
        inner += (columns.empty() ? "" : ", ") + t.quoted;
        outer += (columns.empty() ? "" : ", ") + fmt::format("count(DISTINCT {})", t.quoted);
        columns.push_back(&t);
    }
    if (columns.empty()) return {};
    const std::string table = quote_name(name.schema, name.table);
    const auto counts = GW_TRY(c.query(
        fmt::format("SELECT {} FROM (SELECT {} FROM {} LIMIT 20000) AS gw_sample", outer, inner, table)));
    unsigned best = 0;
    for (unsigned i = 1; i < columns.size(); ++i)
        if (counts.number(0, i) > counts.number(0, best)) best = i;
    const TargetColumn& t = *columns[best];
    const bool prefix = t.data_type == "varchar" || t.data_type == "char" || t.data_type == "varbinary";
    const auto open = t.column_type.find('(');
    const auto length =
        prefix && open != std::string::npos ? std::strtoul(t.column_type.c_str() + open + 1, nullptr, 10) : 0;
    return run_ddl(
        c, x, name,
        fmt::format("ALTER TABLE {} ADD INDEX gw_row ({}{})", table, t.quoted, length > 64 ? "(64)" : ""));
}

}  // namespace

Result<> finish_table(Sessions& sessions, const TargetContext& x, const TableSchema& source,
                      const PreparedTable& prepared, TablePhase phase, std::uint64_t rows) {
    const TableName target = x.name_of(source.name);
    auto held = GW_TRY(sessions.hold());
    Connection& c = *held;
    if (prepared.created) GW_CHECK(build_keyless_index(c, x, source, target, rows));
    // While no change of the table comes yet. What cannot be made is tried again, and said, when all are in.
    if (x.endpoint.flag("createsecondaryindexes", false))
        GW_TRY(create_own_objects(c, x, sessions.facts(), source));
    // its refusal comes as a row of the answer, not as an error
    GW_CHECK(
        c.run("ANALYZE NO_WRITE_TO_BINLOG TABLE " + quote_name(target.schema, target.table) + "; COMMIT"));
    GW_FAILPOINT("finish.before_phase");
    // a process that took over does not know the rows of slices that it did not load
    auto saved = c.query_all(
        fmt::format(
            "UPDATE godwit.gw_table g SET phase = {}, reason = '', by_insert = 0, n_rows = greatest({}, "
            "(SELECT "
            "coalesce(sum(s.n_rows), 0) FROM godwit.gw_slice s{} AND s.generation = {})), generation = "
            "IF(generation = {} AND epoch = {}, generation, (SELECT 1 UNION ALL SELECT 2))",
            quote_literal(phase_name(phase)), rows, where_table(x.task, source.name), prepared.generation,
            prepared.generation, sessions.epoch()) +
        where_table(x.task, source.name));
    if (saved && saved->front().affected() == 1) return c.run("COMMIT");
    const unsigned number = saved ? 1242 : c.error_number();
    Error why = saved ? Error{} : std::move(saved).error();
    roll_back(c);
    return std::unexpected(explain_refusal(std::move(why), number, "finishing the load"));
}

}  // namespace godwit::mysql
