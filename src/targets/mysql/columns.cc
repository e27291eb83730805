#include "targets/mysql/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "base/failpoint.h"
#include "codecs/mysql/describe.h"
#include "codecs/mysql/type.h"

namespace godwit::mysql {
namespace {

Writes writes_of(std::string_view data_type, bool mariadb_json) {
    const auto kind = kind_of(data_type);
    if (!kind) return Writes::temporal;
    if (holds_bytes(*kind)) return Writes::bytes;
    switch (*kind) {
        case TypeKind::tinyint:
        case TypeKind::smallint:
        case TypeKind::mediumint:
        case TypeKind::integer:
        case TypeKind::bigint:
        case TypeKind::decimal:
        case TypeKind::year:
            return Writes::number;
        case TypeKind::character:
        case TypeKind::varchar:
        case TypeKind::text:
        case TypeKind::enumeration:
        case TypeKind::set:
            return Writes::text;
        case TypeKind::real4:
            return Writes::real4;
        case TypeKind::real8:
            return Writes::real8;
        case TypeKind::bit:
            return Writes::bit;
        case TypeKind::json:
            return mariadb_json ? Writes::text : Writes::json;
        default:
            return Writes::temporal;
    }
}

// What stands behind the backslash; 0: the byte passes as it is.
constexpr std::array<char, 256> make_escapes() {
    std::array<char, 256> e{};
    e[0] = '0';
    e['\''] = '\'';
    e['\\'] = '\\';
    return e;
}
constexpr std::array<char, 256> kEscapes = make_escapes();

bool is_number(Bytes b) noexcept {
    if (b.empty() || b.size() > 400) return false;
    bool digit = false;
    for (std::size_t i = 0; i < b.size(); ++i) {
        const char c = static_cast<char>(b[i]);
        if (c >= '0' && c <= '9')
            digit = true;
        else if (c == 'e' || c == 'E') {
            if (!digit || i + 1 == b.size()) return false;
        } else if (c == '-' || c == '+') {
            const char before = i == 0 ? 'e' : static_cast<char>(b[i - 1]);
            if (before != 'e' && before != 'E') return false;
        } else if (c != '.') {
            return false;
        }
    }
    return digit;
}

bool has_exponent(Bytes b) noexcept {
    return std::ranges::any_of(b, [](std::byte c) { return c == std::byte{'e'} || c == std::byte{'E'}; });
}

void put_bytes(ByteBuffer& to, Bytes bytes) {
    to.append(std::string_view("_binary"));
    put_quoted(to, bytes);
}

void put_bit(ByteBuffer& to, const TargetColumn& column, const Cell& cell) {
    // 0x.. is a number to one server and a string to the other: the number is spelled out
    std::uint64_t v = 0;
    const Bytes bytes = cell.bytes;
    if (cell.state == CellState::binary) {
        for (const std::byte b : bytes.first(std::min<std::size_t>(bytes.size(), 8)))
            v = v << 8U | std::to_integer<std::uint64_t>(b);
    } else if (column.column_type == "bit(1)" && is_number(bytes)) {
        to.append(bytes);
        return;
    } else if (bytes.size() <= 64 && std::ranges::all_of(bytes, [](std::byte b) {
                   return b == std::byte{'0'} || b == std::byte{'1'};
               })) {
        for (const std::byte b : bytes) v = v << 1U | (b == std::byte{'1'} ? 1U : 0U);
    } else {
        put_quoted(to, bytes);  // the server says what it thinks of it
        return;
    }
    to.append(std::string_view(std::to_string(v)));
}

}  // namespace

void put_quoted(ByteBuffer& to, Bytes text) {
    to.put_u8('\'');
    const auto* const from = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t n = text.size();
    std::size_t plain = 0;
    for (std::size_t i = 0; i < n; ++i) {
        const char escape = kEscapes[from[i]];
        if (escape == 0) continue;
        to.append(text.subspan(plain, i - plain));
        std::byte* at = to.extend(2);
        at[0] = std::byte{'\\'};
        at[1] = static_cast<std::byte>(escape);
        plain = i + 1;
    }
    to.append(text.subspan(plain));
    to.put_u8('\'');
}

bool is_geometry(std::string_view data_type) { return kind_of(data_type) == TypeKind::geometry; }

bool weaker_key(const TargetColumn& column, const TableSchema& source, bool same_family) {
    if (!column.weak()) return false;
    const ColumnSchema* from = source.column(column.name);
    if (!same_family || from == nullptr) return true;
    // one character set, two names
    const auto spelled = [](std::string collation) {
        std::erase(collation, '`');
        return collation.starts_with("utf8_") ? "utf8mb3" + collation.substr(4) : collation;
    };
    const std::string here = spelled(column.collation), there = spelled(from->collation);
    if (here == there) return false;
    // It compares bytes, without trailing blanks.
    const bool blanks = there.empty() || there == "binary" || there.find("_nopad_") != std::string::npos ||
                        there.find("_0900_") != std::string::npos;
    return !here.ends_with("_bin") || blanks;
}

const TargetColumn* TargetTable::column(std::string_view name) const {
    for (const auto& c : columns)
        if (c.name == name) return &c;
    return nullptr;
}

std::vector<std::string> TargetTable::primary_key() const {
    for (const auto& i : indexes)
        if (i.name == "PRIMARY") return i.columns;
    return {};
}

Result<TargetTable> read_table(Connection& c, const TableName& name) {
    const std::string where = fmt::format("table_schema = {} AND table_name = {}", quote_literal(name.schema),
                                          quote_literal(name.table));
    const auto answers = GW_TRY(c.query_all(
        "SELECT table_type, engine FROM information_schema.tables WHERE " + where +
        "; SELECT column_name, data_type, column_type, character_set_name, collation_name, is_nullable = "
        "'YES', " +
        std::string(c.mariadb() ? "column_default <> 'NULL'" : "column_default IS NOT NULL") +
        ", extra, generation_expression <> '', column_default, column_comment FROM "
        "information_schema.columns WHERE " +
        where +
        " ORDER BY ordinal_position; SELECT index_name, non_unique, column_name, sub_part FROM "
        "information_schema.statistics WHERE " +
        where + " ORDER BY index_name, seq_in_index"));
    TargetTable out;
    if (answers[0].size() == 0) return out;
    out.exists = true;
    out.base_table = answers[0].text(0, 0) == "BASE TABLE" || answers[0].text(0, 0) == "SYSTEM VERSIONED";
    out.engine = answers[0].text(0, 1);
    const Rows& columns = answers[1];
    for (std::size_t i = 0; i < columns.size(); ++i) {
        TargetColumn t;
        t.name = columns.text(i, 0);
        t.quoted = quote_name(t.name);
        t.data_type = columns.text(i, 1);
        t.column_type = columns.text(i, 2);
        t.charset = columns.text(i, 3);
        t.collation = columns.text(i, 4);
        t.not_null = columns.number(i, 5) == 0;
        t.has_default = columns.number(i, 6) != 0;
        const std::string extra = columns.text(i, 7);
        t.generated = columns.number(i, 8) != 0 || extra.find("GENERATED") != std::string::npos;
        if (extra.find("DEFAULT_GENERATED") != std::string::npos && columns.number(i, 8) == 0)
            t.generated = false;  // a default that is an expression
        t.auto_increment = extra.find("auto_increment") != std::string::npos;
        t.invisible = extra.find("INVISIBLE") != std::string::npos;
        t.on_update = on_update_of(extra);
        if (t.has_default)
            t.default_expression = default_of(columns.text(i, 9), t.column_type, c.mariadb(),
                                              extra.find("DEFAULT_GENERATED") != std::string::npos);
        t.comment = columns.text(i, 10);
        t.writes = writes_of(t.data_type, c.mariadb());
        out.columns.push_back(std::move(t));
    }
    const Rows& indexes = answers[2];
    for (std::size_t i = 0; i < indexes.size(); ++i) {
        const std::string index = indexes.text(i, 0);
        if (out.indexes.empty() || out.indexes.back().name != index)
            out.indexes.push_back({index, indexes.number(i, 1) == 0, {}});
        auto& at = out.indexes.back();
        at.columns.push_back(indexes.null(i, 3) ? indexes.text(i, 2) : std::string());
        if (!at.unique) continue;
        for (auto& t : out.columns) {
            // an index on an expression may depend on any column
            if (t.name != indexes.text(i, 2) && !indexes.null(i, 2)) continue;
            (index == "PRIMARY" ? t.primary : t.unique) = true;
        }
    }
    return out;
}

// ---------------------------------------------------------------------------------------------- literals

void put_literal(ByteBuffer& to, const TargetColumn& column, const Cell& cell) {
    if (cell.state < CellState::text) {
        to.append(std::string_view("NULL"));
        return;
    }
    switch (column.writes) {
        case Writes::number:
            if (is_number(cell.bytes)) {
                to.append(cell.bytes);
                return;
            }
            break;
        case Writes::real4:
        case Writes::real8:
            if (is_number(cell.bytes)) {
                to.append(cell.bytes);
                // without an exponent it would be a DECIMAL on its way
                if (!has_exponent(cell.bytes)) to.append(std::string_view("e0"));
                return;
            }
            break;
        case Writes::bytes:
            put_bytes(to, cell.bytes);
            return;
        case Writes::bit:
            put_bit(to, column, cell);
            return;
        case Writes::temporal:
        case Writes::text:
        case Writes::json:
            break;
    }
    put_quoted(to, cell.bytes);
}

void put_key_literal(ByteBuffer& to, const TargetColumn& column, const Cell& cell) {
    const bool convert = column.writes == Writes::text && cell.state >= CellState::text &&
                         column.charset != "utf8mb4" && !column.charset.empty();
    if (column.writes == Writes::real4 && cell.state >= CellState::text && is_number(cell.bytes) &&
        GW_RULE("apply.float_by_double")) {
        // compared as a double: the exact value of the float that stands there
        const std::string text(as_text(cell.bytes));
        to.append(std::string_view(
            fmt::format("{:.17e}", static_cast<double>(std::strtof(text.c_str(), nullptr)))));
        return;
    }
    if (!convert) {
        put_literal(to, column, cell);
        return;
    }
    const auto converted = [&] {
        to.append(std::string_view("CONVERT("));
        put_quoted(to, cell.bytes);
        to.append(std::string_view(fmt::format(" USING {})", column.charset)));
    };
    const bool ascii = std::ranges::none_of(cell.bytes, [](std::byte b) { return b >= std::byte{0x80}; });
    if (ascii || !GW_RULE("apply.key_is_held")) {
        converted();
    } else {
        // Where the character set lacks a character CONVERT gives '?', which may be another row's value.
        to.append(std::string_view("IF(CONVERT("));
        converted();
        to.append(std::string_view(" USING utf8mb4) = "));
        put_bytes(to, cell.bytes);
        to.append(std::string_view(", "));
        converted();
        to.append(std::string_view(", NULL)"));
    }
    to.append(std::string_view(" COLLATE " + column.collation));
}

void put_same(ByteBuffer& to, const TargetColumn& column, const Cell& cell) {
    to.append(std::string_view(column.quoted));
    if (cell.state < CellState::text) {
        to.append(std::string_view(" IS NULL"));
        return;
    }
    // no <=>: the literal is NULL for a value that the column cannot hold
    to.append(std::string_view(" = "));
    if (column.writes == Writes::json) {
        to.append(std::string_view("CAST("));
        put_quoted(to, cell.bytes);
        to.append(std::string_view(" AS JSON)"));
        return;
    }
    put_key_literal(to, column, cell);
    if (!column.weak() || !GW_RULE("apply.match_by_bytes")) return;
    to.append(std::string_view(" AND CAST("));
    to.append(std::string_view(column.quoted));
    to.append(std::string_view(" AS BINARY) <=> CAST("));
    put_key_literal(to, column, cell);
    to.append(std::string_view(" AS BINARY)"));
}

// ---------------------------------------------------------------------------------------------- loading

std::string load_sql(const TableName& target, const TargetTable& table,
                     const std::vector<LoadColumn>& source_columns, bool hex) {
    std::string fields, set;
    int n = 0;
    for (const auto& [name, bytes] : source_columns) {
        const TargetColumn* t = table.column(name);
        fields += fields.empty() ? "" : ", ";
        std::string value;
        if (t == nullptr) {
            fields += fmt::format("@v{}", n++);  // nothing takes it
            continue;
        }
        const std::string variable = fmt::format("@v{}", n);
        const bool converts =
            t->writes == Writes::text && t->charset != "utf8mb4" && GW_RULE("load.text_converted");
        if (t->writes == Writes::json || converts ||
            (t->writes == Writes::temporal && !t->data_type.starts_with("date") &&
             !t->data_type.starts_with("time")))
            value = fmt::format("CONVERT({} USING utf8mb4)", variable);
        else if (t->writes == Writes::bit)
            value = bytes
                        ? fmt::format("CAST(CONV({}, 16, 10) AS UNSIGNED)",
                                      fmt::format(fmt::runtime(hex ? "SUBSTR({}, 3)" : "HEX({})"), variable))
                    : t->column_type == "bit(1)" ? fmt::format("CAST({} AS UNSIGNED)", variable)
                                                 : fmt::format("CAST(CONV({}, 2, 10) AS UNSIGNED)", variable);
        // What the source calls characters stays as it is, also where a key of ours holds them as bytes.
        else if (bytes && hex && GW_RULE("mysql.bytes_by_source"))
            value = fmt::format("UNHEX(SUBSTR({}, 3))", variable);
        else if (!bytes && hex && t->writes == Writes::bytes && !GW_RULE("mysql.bytes_by_source"))
            value = fmt::format("UNHEX(SUBSTR({}, 3))", variable);
        if (value.empty()) {
            fields += t->quoted;
            continue;
        }
        ++n;
        fields += variable;
        set += (set.empty() ? " SET " : ", ") + t->quoted + " = " + value;
    }
    return fmt::format(
        "LOAD DATA LOCAL INFILE 'godwit' INTO TABLE {} CHARACTER SET binary FIELDS TERMINATED BY '\\t' "
        "ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({}){}",
        quote_name(target.schema, target.table), fields, set);
}

}  // namespace godwit::mysql
