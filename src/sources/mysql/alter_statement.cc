#include "sources/mysql/alter_statement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "base/hash.h"
#include "codecs/mysql/describe.h"
#include "sources/mysql/statements.h"

namespace godwit::mysql {
namespace {

using Tokens = std::span<const Token>;

bool is(Tokens t, std::size_t i, std::string_view word) {
    return i < t.size() && t[i].kind == Token::Kind::word && upper(t[i].text) == word;
}
bool is_any(Tokens t, std::size_t i, std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(words, [&](std::string_view w) { return is(t, i, w); });
}
bool sign(Tokens t, std::size_t i, char c) {
    return i < t.size() && t[i].kind == Token::Kind::sign && t[i].text[0] == c;
}
bool names(Tokens t, std::string_view word) {
    return std::ranges::any_of(t, [&](const Token& token) {
        return (token.kind == Token::Kind::word || token.kind == Token::Kind::name) &&
               same_but_case(token.text, word);
    });
}

// A name, quoted or not.
bool take_name(Tokens& t, std::string& to) {
    if (t.empty() || (t[0].kind != Token::Kind::word && t[0].kind != Token::Kind::name)) return false;
    to = t[0].text;
    t = t.subspan(1);
    return true;
}
bool take(Tokens& t, std::string_view word) {
    if (!is(t, 0, word)) return false;
    t = t.subspan(1);
    return true;
}
bool take_sign(Tokens& t, char c) {
    if (!sign(t, 0, c)) return false;
    t = t.subspan(1);
    return true;
}
bool take_number(Tokens& t, std::uint32_t& to) {
    if (t.empty() || t[0].kind != Token::Kind::word) return false;
    const auto& s = t[0].text;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), to);
    if (error != std::errc{} || end != s.data() + s.size()) return false;
    t = t.subspan(1);
    return true;
}
// "(n)" or "(n, m)"; nothing there: `given` stays 0. False when it is neither.
bool take_lengths(Tokens& t, std::array<std::uint32_t, 2>& to, std::size_t& given) {
    given = 0;
    if (!take_sign(t, '(')) return true;
    do {
        if (given == to.size() || !take_number(t, to[given])) return false;
        ++given;
    } while (take_sign(t, ','));
    return take_sign(t, ')');
}

// [schema.]table
bool take_table(Tokens& t, std::string_view database, TableName& to) {
    to.schema = database;
    if (!take_name(t, to.table)) return false;
    if (!take_sign(t, '.')) return true;
    to.schema = to.table;
    return take_name(t, to.table);
}

std::vector<Tokens> parts_of(Tokens t) {
    std::vector<Tokens> out;
    int depth = 0;
    std::size_t from = 0;
    for (std::size_t i = 0; i < t.size(); ++i) {
        if (sign(t, i, '(')) ++depth;
        if (sign(t, i, ')')) --depth;
        if (depth != 0 || !sign(t, i, ',')) continue;
        out.push_back(t.subspan(from, i - from));
        from = i + 1;
    }
    out.push_back(t.subspan(from));
    return out;
}

struct PlainType {
    std::string_view word;
    std::string_view canonical;
    int width = 0;           // display width of integers; 0: no integer
    int unsigned_width = 0;  // the same without a sign
};
constexpr PlainType kIntegers[] = {{"TINYINT", "tinyint", 4, 3},     {"SMALLINT", "smallint", 6, 5},
                                   {"MEDIUMINT", "mediumint", 9, 8}, {"INT", "int", 11, 10},
                                   {"INTEGER", "int", 11, 10},       {"BIGINT", "bigint", 20, 20}};
constexpr std::string_view kText[] = {"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"};
constexpr std::string_view kBytes[] = {"TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"};
constexpr std::uint32_t kVarcharMax = 16383;  // a longer one may become a text

struct ColumnType {
    std::string native;
    bool characters = false;  // of the table's default collation
};

std::string lower(std::string_view s) {
    std::string out(s);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    return out;
}

bool integer_type(const PlainType& p, Tokens& t, const ColumnRules& rules, ColumnType& to) {
    std::array<std::uint32_t, 2> n{};
    std::size_t given = 0;
    if (!take_lengths(t, n, given) || given > 1) return false;
    const bool is_unsigned = take(t, "UNSIGNED");
    const bool boolean = p.canonical == "tinyint" && given == 1 && n[0] == 1 && !is_unsigned;
    to.native = p.canonical;
    if (rules.display_widths || boolean)
        to.native += fmt::format("({})", given == 1    ? static_cast<int>(n[0])
                                         : is_unsigned ? p.unsigned_width
                                                       : p.width);
    if (is_unsigned) to.native += " unsigned";
    return true;
}

// As COLUMN_TYPE would spell it.
bool take_type(Tokens& t, const ColumnRules& rules, ColumnType& to) {
    if (t.empty() || t[0].kind != Token::Kind::word) return false;
    const std::string word = upper(t[0].text);
    t = t.subspan(1);
    for (const auto& p : kIntegers)
        if (p.word == word) return integer_type(p, t, rules, to);
    std::array<std::uint32_t, 2> n{};
    std::size_t given = 0;
    if (!take_lengths(t, n, given)) return false;
    const auto among = [&](const auto& list) { return std::ranges::find(list, word) != std::end(list); };
    if (word == "BOOL" || word == "BOOLEAN") {
        to.native = "tinyint(1)";
        return given == 0;
    }
    if (word == "DECIMAL" || word == "NUMERIC" || word == "DEC") {
        to.native = fmt::format("decimal({},{})", given == 0 ? 10 : n[0], given < 2 ? 0 : n[1]);
        if (take(t, "UNSIGNED")) to.native += " unsigned";
        return true;
    }
    if (word == "FLOAT" || word == "DOUBLE" || word == "DATE" || (word == "JSON" && !rules.types.mariadb)) {
        to.native = lower(word);
        return given == 0;
    }
    if (word == "DATETIME" || word == "TIME") {
        to.native = given == 0 || n[0] == 0 ? lower(word) : fmt::format("{}({})", lower(word), n[0]);
        return given < 2;
    }
    if (word == "CHAR" || word == "BINARY") {
        to.native = fmt::format("{}({})", lower(word), given == 0 ? 1 : n[0]);
        to.characters = word == "CHAR";
        return given < 2;
    }
    if (word == "VARCHAR" || word == "VARBINARY") {
        to.native = fmt::format("{}({})", lower(word), n[0]);
        to.characters = word == "VARCHAR";
        return given == 1 && n[0] <= kVarcharMax;
    }
    to.characters = among(kText);
    to.native = lower(word);
    return given == 0 && (among(kText) || among(kBytes));
}

struct Definition {
    ColumnType type;
    bool not_null = false;
    bool filled = false;   // older rows get a value
    std::string fallback;  // what stands behind DEFAULT, as the catalogue spells it
    bool first = false;
    std::string after;
};

// A literal behind DEFAULT; empty for NULL.
bool take_default(Tokens& t, const ColumnRules& rules, std::string& to) {
    to.clear();
    if (take(t, "NULL")) return true;
    std::string text = take_sign(t, '-') ? "-" : "";
    if (t.empty()) return false;
    const bool quoted = t[0].kind == Token::Kind::text;
    if (!quoted && (t[0].kind != Token::Kind::word || t[0].text[0] < '0' || t[0].text[0] > '9')) return false;
    text += t[0].text;
    t = t.subspan(1);
    if (take_sign(t, '.')) {  // 1.5
        text += ".";
        if (!t.empty()) text += t[0].text;
        t = t.subspan(t.empty() ? 0 : 1);
    }
    to = quoted || !rules.types.mariadb ? quote_literal(text) : text;
    return true;
}

bool take_definition(Tokens& t, const ColumnRules& rules, Definition& to) {
    if (!take_type(t, rules, to.type)) return false;
    while (!t.empty()) {
        if (take(t, "NULL")) continue;
        if (take(t, "NOT")) {
            to.not_null = true;
            if (!take(t, "NULL")) return false;
        } else if (take(t, "DEFAULT")) {
            if (!take_default(t, rules, to.fallback)) return false;
            to.filled = !to.fallback.empty();
        } else if (take(t, "COMMENT")) {
            if (t.empty() || t[0].kind != Token::Kind::text) return false;
            t = t.subspan(1);
        } else if (take(t, "FIRST")) {
            to.first = true;
            return t.empty();
        } else if (take(t, "AFTER")) {
            return take_name(t, to.after) && t.empty();
        } else {
            return false;
        }
    }
    return true;
}

class Change {
public:
    Change(const TableSchema& before, const ColumnRules& rules) : table_(before), rules_(rules) {}
    bool apply(Tokens part);
    // Changes of one column may stand beside each other in any order when they only add and drop.
    [[nodiscard]] bool clear() const { return replaced_ == 0 || (replaced_ == 1 && others_ == 0); }
    [[nodiscard]] TableSchema result() &&;

private:
    using Column = std::vector<ColumnSchema>::iterator;
    Column find(std::string_view name) {
        return std::ranges::find_if(table_.columns,
                                    [&](const ColumnSchema& c) { return same_but_case(c.name, name); });
    }
    bool add(Tokens t);
    bool add_column(Tokens t, bool placed);
    bool drop(Tokens t);
    bool rename(Tokens t);
    bool replace(Tokens t, bool named);
    bool set_default(Tokens t);
    bool rename(Column column, const std::string& to);
    bool place(ColumnSchema column, const Definition& definition);
    [[nodiscard]] bool identifies(const std::string& name) const {
        return std::ranges::find(table_.primary_key, name) != table_.primary_key.end() ||
               (table_.identity == RowIdentity::key &&
                std::ranges::find(table_.identity_columns, name) != table_.identity_columns.end());
    }

    TableSchema table_;
    const ColumnRules& rules_;
    int replaced_ = 0, others_ = 0;  // columns
    std::vector<std::string> dropped_;
};

bool Change::add(Tokens t) {
    if (is_any(t, 0, {"INDEX", "KEY", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK"}))
        return !names(t, "PRIMARY");
    // it may become what rows are told apart by
    if (is_any(t, 0, {"UNIQUE", "CONSTRAINT"})) return !names(t, "PRIMARY") && !table_.primary_key.empty();
    if (!take(t, "COLUMN") && is_any(t, 0, {"PRIMARY", "PARTITION", "PERIOD", "SYSTEM"})) return false;
    if (is(t, 0, "IF")) return false;
    if (!take_sign(t, '(')) return add_column(t, true);
    if (t.empty() || !sign(t, t.size() - 1, ')')) return false;
    return std::ranges::all_of(parts_of(t.first(t.size() - 1)),
                               [&](Tokens one) { return add_column(one, false); });
}

bool Change::add_column(Tokens t, bool placed) {
    ++others_;
    std::string name;
    Definition d;
    if (!take_name(t, name) || !take_definition(t, rules_, d)) return false;
    if (d.not_null || d.filled || find(name) != table_.columns.end()) return false;
    // It looks as before and has lost its values.
    if (std::ranges::any_of(dropped_, [&](const std::string& gone) { return same_but_case(gone, name); }))
        return false;
    if (!placed && (d.first || !d.after.empty())) return false;
    if (d.type.characters && table_.default_collation.empty()) return false;
    ColumnSchema c =
        column_of(name, d.type.native, d.type.characters ? table_.default_collation : "", rules_.types);
    c.number = column_number(name, table_.columns);
    return place(std::move(c), d);
}

bool Change::place(ColumnSchema column, const Definition& d) {
    if (d.first) {
        table_.columns.insert(table_.columns.begin(), std::move(column));
    } else if (!d.after.empty()) {
        const auto at = find(d.after);
        if (at == table_.columns.end()) return false;
        table_.columns.insert(at + 1, std::move(column));
    } else {
        table_.columns.push_back(std::move(column));
    }
    return true;
}

bool Change::drop(Tokens t) {
    if (is_any(t, 0, {"INDEX", "KEY", "FOREIGN", "CONSTRAINT", "CHECK"}))
        return !names(t, "PRIMARY") && !table_.primary_key.empty();
    if (!take(t, "COLUMN") && is_any(t, 0, {"PRIMARY", "PARTITION", "PERIOD", "SYSTEM"})) return false;
    if (is(t, 0, "IF")) return false;
    ++others_;
    std::string name;
    if (!take_name(t, name)) return false;
    if (!take(t, "RESTRICT")) take(t, "CASCADE");
    const auto at = find(name);
    if (!t.empty() || at == table_.columns.end() || identifies(at->name)) return false;
    dropped_.push_back(at->name);
    table_.columns.erase(at);
    return true;
}

bool Change::rename(Tokens t) {
    if (is_any(t, 0, {"INDEX", "KEY"})) return !names(t, "PRIMARY");
    std::string from, to;
    if (!take(t, "COLUMN") || !take_name(t, from) || !take(t, "TO") || !take_name(t, to) || !t.empty())
        return false;
    ++replaced_;
    return rename(find(from), to);
}

bool Change::rename(Column column, const std::string& to) {
    if (column == table_.columns.end()) return false;
    const auto taken = find(to);
    if (taken != table_.columns.end() && taken != column) return false;
    for (auto* list : {&table_.primary_key, &table_.identity_columns})
        std::ranges::replace(*list, column->name, to);
    column->name = to;
    return true;
}

// CHANGE and MODIFY that leave the values as they are.
bool Change::replace(Tokens t, bool named) {
    take(t, "COLUMN");
    if (is(t, 0, "IF")) return false;
    ++replaced_;
    std::string from;
    if (!take_name(t, from)) return false;
    std::string to = from;
    Definition d;
    if ((named && !take_name(t, to)) || !take_definition(t, rules_, d)) return false;
    auto at = find(from);
    if (at == table_.columns.end() || at->generated || !at->identity.empty()) return false;
    if (at->native_type != d.type.native ||
        (d.type.characters && (at->collation != table_.default_collation || at->collation.empty())))
        return false;
    const bool key = std::ranges::find(table_.primary_key, at->name) != table_.primary_key.end();
    if (d.not_null && !at->not_null) return false;                  // NULLs became values
    if (!d.not_null && !key && identifies(at->name)) return false;  // no key any more
    at->not_null = d.not_null || key;
    at->default_expression = d.fallback;
    if (!rename(at, named ? to : at->name)) return false;
    if (!d.first && d.after.empty()) return true;
    ColumnSchema column = std::move(*at);
    table_.columns.erase(at);
    return place(std::move(column), d);
}

// ALTER [COLUMN] c SET DEFAULT ..., ALTER c DROP DEFAULT
bool Change::set_default(Tokens t) {
    take(t, "COLUMN");
    std::string name, to;
    if (is(t, 0, "IF") || !take_name(t, name)) return false;
    if (take(t, "DROP") ? !take(t, "DEFAULT")
                        : !take(t, "SET") || !take(t, "DEFAULT") || !take_default(t, rules_, to))
        return false;
    const auto at = find(name);
    if (!t.empty() || at == table_.columns.end()) return false;
    ++others_;
    at->default_expression = to;
    return true;
}

// Options that say nothing of rows or columns.
bool harmless(Tokens t) {
    if (t.empty()) return false;
    if (is(t, 0, "ALTER")) return is(t, 1, "INDEX");
    if (is_any(t, 0, {"ENABLE", "DISABLE"})) return t.size() == 2 && is(t, 1, "KEYS");
    if (is(t, 0, "FORCE")) return t.size() == 1;
    if (!is_any(t, 0,
                {"COMMENT", "ALGORITHM", "LOCK", "ROW_FORMAT", "STATS_PERSISTENT", "STATS_AUTO_RECALC",
                 "STATS_SAMPLE_PAGES", "AUTO_INCREMENT", "ENGINE"}))
        return false;
    const std::size_t value = sign(t, 1, '=') ? 2 : 1;
    return t.size() == value + 1 && (!is(t, 0, "ENGINE") || is(t, value, "INNODB"));
}

bool Change::apply(Tokens part) {
    Tokens t = part;
    if (take(t, "ADD")) return add(t);
    if (take(t, "DROP")) return drop(t);
    if (take(t, "RENAME")) return rename(t);
    if (take(t, "CHANGE")) return replace(t, true);
    if (take(t, "MODIFY")) return replace(t, false);
    if (is(part, 0, "ALTER") && !is(part, 1, "INDEX")) return set_default(part.subspan(1));
    return harmless(part);
}

TableSchema Change::result() && {
    if (table_.identity == RowIdentity::full) {
        table_.identity_columns.clear();
        for (const auto& c : table_.columns) table_.identity_columns.push_back(c.name);
    }
    return std::move(table_);
}

// Whether a `"` begins a name or a text, what a backslash is and in which character set the text stands
// depend on the session; what stands in /*! */ on the server's version.
bool plain_text(std::string_view sql) {
    return std::ranges::none_of(
               sql, [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) >= 0x80; }) &&
           sql.find("/*!") == std::string_view::npos && sql.find("/*M!") == std::string_view::npos;
}

// CREATE INDEX ... ON t and DROP INDEX ... ON t
bool index_statement(Tokens t, const TableSchema& table, std::string_view database) {
    if (!take(t, "CREATE") && !take(t, "DROP")) return false;
    const bool unique = take(t, "UNIQUE");
    if (!unique && !take(t, "FULLTEXT")) take(t, "SPATIAL");
    if (!take(t, "INDEX") || names(t, "PRIMARY") || table.primary_key.empty()) return false;
    while (!t.empty() && !is(t, 0, "ON")) t = t.subspan(1);
    TableName on;
    return take(t, "ON") && take_table(t, database, on) && on == table.name;
}

}  // namespace

ColumnSchema column_of(std::string name, std::string column_type, std::string collation,
                       const TypeOptions& options) {
    ColumnSchema c;
    c.name = std::move(name);
    c.native_type = std::move(column_type);
    c.collation = std::move(collation);
    // the server numbers no types: what tells two apart is how they are spelled
    c.type_id = static_cast<std::uint32_t>(stable_id(c.native_type, c.collation) & 0x7fffffffU);
    if (auto type = parse_type(c.native_type, c.collation)) c.portable = portable_type(*type, options);
    return c;
}

std::int32_t column_number(const std::string& name, const std::vector<ColumnSchema>& others) {
    auto number = static_cast<std::int32_t>(stable_id("column", name) & 0x3fffffffU);
    const auto taken = [&] {
        return std::ranges::find(others, number, &ColumnSchema::number) != others.end();
    };
    while (taken()) number = (number + 1) & 0x3fffffff;
    return number;
}

std::optional<TableSchema> after_statement(const TableSchema& before, std::string_view database,
                                           std::string_view sql, const ColumnRules& rules) {
    if (!plain_text(sql)) return {};
    // MariaDB's own columns for versions come and go with the others
    if (std::ranges::any_of(before.columns, [](const ColumnSchema& c) {
            return c.generation_expression == "ROW START" || c.generation_expression == "ROW END";
        }))
        return {};
    const auto tokens = tokens_of(sql);
    Tokens t = tokens;
    if (index_statement(t, before, database)) return before;
    if (!take(t, "ALTER")) return {};
    take(t, "ONLINE");
    TableName name;
    if (!take(t, "TABLE") || is(t, 0, "IF") || !take_table(t, database, name) || name != before.name)
        return {};
    Change change(before, rules);
    for (const Tokens part : parts_of(t))
        if (!change.apply(part)) return {};
    if (!change.clear()) return {};
    return std::move(change).result();
}

std::optional<TableName> truncated_table(std::string_view sql, std::string_view database) {
    const auto tokens = tokens_of(sql);
    Tokens t = tokens;
    TableName name;
    if (!take(t, "TRUNCATE")) return {};
    take(t, "TABLE");
    if (!take_table(t, database, name)) return {};
    std::uint32_t seconds = 0;
    if (!take(t, "NOWAIT") && take(t, "WAIT") && !take_number(t, seconds)) return {};
    if (!t.empty()) return {};
    return name;
}

std::optional<TableName> made_table(std::string_view sql, std::string_view database) {
    if (!plain_text(sql)) return {};
    const auto tokens = tokens_of(sql);
    Tokens t = tokens;
    TableName name;
    if (!take(t, "CREATE") || (take(t, "OR") && !take(t, "REPLACE")) || !take(t, "TABLE")) return {};
    if (take(t, "IF") && !(take(t, "NOT") && take(t, "EXISTS"))) return {};
    if (!take_table(t, database, name)) return {};
    return name;
}

std::optional<TableName> altered_table(std::string_view sql, std::string_view database) {
    const auto tokens = tokens_of(sql);
    Tokens t = tokens;
    TableName name;
    if (!plain_text(sql) || !take(t, "ALTER")) return {};
    while (take(t, "ONLINE") || take(t, "IGNORE")) {
    }
    if (!take(t, "TABLE") || is(t, 0, "IF") || !take_table(t, database, name)) return {};
    return name;
}

bool moves_columns(std::string_view sql) {
    return std::ranges::any_of(words_of(sql),
                               [](const std::string& w) { return w == "FIRST" || w == "AFTER"; });
}

}  // namespace godwit::mysql
