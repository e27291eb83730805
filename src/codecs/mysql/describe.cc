#include "codecs/mysql/describe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace godwit::mysql {
namespace {

// One thing here, which servers call by either name.
std::string rule_of(std::string text) { return text == "NO ACTION" ? "RESTRICT" : text; }

std::string list(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& n : names) out += (out.empty() ? "" : ", ") + quote_name(n);
    return out;
}

}  // namespace

bool ForeignKeyState::acts() const { return on_delete != "RESTRICT" || on_update != "RESTRICT"; }

std::string ForeignKeyState::definition() const {
    return fmt::format("FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}", list(columns),
                       quote_name(parent.schema, parent.table), list(parent_columns), on_delete, on_update);
}

Result<std::vector<ForeignKeyState>> read_foreign_keys(Connection& c, const std::optional<TableName>& table) {
    std::string only;
    if (table)
        for (const std::string from : {"k", "r"})
            only += fmt::format(" AND {0}.CONSTRAINT_SCHEMA = {1} AND {0}.TABLE_NAME = {2}", from,
                                quote_literal(table->schema), quote_literal(table->table));
    const auto rows = GW_TRY(c.query(
        "SELECT k.CONSTRAINT_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, "
        "k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, "
        "r.UPDATE_RULE FROM information_schema.KEY_COLUMN_USAGE k JOIN "
        "information_schema.REFERENTIAL_CONSTRAINTS r ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND "
        "r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME WHERE "
        "k.REFERENCED_TABLE_NAME IS NOT NULL" +
        only + " ORDER BY 1, 2, 3, k.ORDINAL_POSITION"));
    std::vector<ForeignKeyState> out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const TableName child{rows.text(i, 0), rows.text(i, 1)};
        const std::string name = rows.text(i, 2);
        if (out.empty() || out.back().table != child || out.back().name != name)
            out.push_back({name,
                           child,
                           {rows.text(i, 4), rows.text(i, 5)},
                           {},
                           {},
                           rule_of(rows.text(i, 7)),
                           rule_of(rows.text(i, 8))});
        out.back().columns.push_back(rows.text(i, 3));
        out.back().parent_columns.push_back(rows.text(i, 6));
    }
    return out;
}

std::string default_of(const std::string& text, const std::string& type, bool mariadb, bool expression) {
    if (mariadb) return text == "NULL" ? std::string() : text;
    const bool moment = type.starts_with("timestamp") || type.starts_with("datetime");
    if (moment && text.starts_with("CURRENT_TIMESTAMP")) return text;
    if (expression) return "(" + unescaped(text) + ")";
    if (type.starts_with("bit")) return text;
    // hex digits up to the first zero byte
    if ((type.starts_with("binary") || type.starts_with("varbinary")) && text.starts_with("0x"))
        return text.size() > 2 ? text : std::string();
    return quote_literal(text);
}

std::string on_update_of(std::string extra) {
    std::ranges::transform(extra, extra.begin(), [](unsigned char b) { return std::toupper(b); });
    const auto at = extra.find("ON UPDATE ");
    if (at == std::string::npos) return {};
    return extra.substr(at, extra.find_first_of(" ,", at + 10) - at);
}

std::string unescaped(const std::string& expression) {
    std::string out;
    for (std::size_t i = 0; i < expression.size(); ++i) {
        if (expression[i] == '\\' && i + 1 < expression.size() && expression[i + 1] == '\'') continue;
        out += expression[i];
    }
    return out;
}

}  // namespace godwit::mysql
