#include "targets/mysql/reshape.h"

#include <fmt/format.h>

#include <cstdlib>

#include "targets/mysql/ledger.h"
#include "targets/mysql/preparation.h"

namespace godwit::mysql {

Result<std::vector<std::string>> reshape_sql(const SchemaChange& c, const TableName& target,
                                             const TargetTable& now, const TargetContext& x,
                                             const ServerFacts& facts, const std::set<std::string>& known,
                                             bool values) {
    using Statements = std::vector<std::string>;
    const std::string table = quote_name(target.schema, target.table);
    std::vector<std::string> warnings;
    const auto definition = [&](const ColumnSchema& column) -> Result<std::string> {
        std::string d = column_definition(column, x, facts, known, warnings);
        if (d.empty())
            return fail(ErrorCode::unsupported,
                        fmt::format("column {} of type {} is not known to targets of another family",
                                    column.name, column.native_type));
        return d;
    };
    switch (c.kind) {
        case SchemaChange::Kind::add_column: {
            if (now.column(c.column.name) != nullptr) return Statements{};
            if (c.column.generated && !x.same_family()) return Statements{};
            const std::string name = quote_name(c.column.name);
            ColumnSchema column = c.column;
            if (!x.same_family() && !column.missing_value) column.not_null = false;  // rows are there already
            std::string sql =
                fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table, name, GW_TRY(definition(column)));
            // rows that were there before read as the constant default, also on the target
            if (!c.column.missing_value) return Statements{sql};
            return Statements{sql + " DEFAULT " + quote_literal(*c.column.missing_value),
                              fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table, name)};
        }
        case SchemaChange::Kind::drop_column:
            if (now.column(c.old_name) == nullptr) return Statements{};
            return Statements{fmt::format("ALTER TABLE {} DROP COLUMN {}", table, quote_name(c.old_name))};
        case SchemaChange::Kind::rename_column: {
            const TargetColumn* old = now.column(c.old_name);
            if (old == nullptr && now.column(c.new_name) != nullptr) return Statements{};
            if (facts.mariadb || facts.version >= 80000)
                return Statements{fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", table,
                                              quote_name(c.old_name), quote_name(c.new_name))};
            if (old == nullptr) return fail(ErrorCode::not_found, "no column " + c.old_name);
            return Statements{fmt::format("ALTER TABLE {} CHANGE COLUMN {} {} {}", table,
                                          quote_name(c.old_name), quote_name(c.new_name),
                                          standing_definition(*old, standing_type(*old), facts))};
        }
        case SchemaChange::Kind::change_type: {
            const TargetColumn* old = now.column(c.column.name);
            std::string d = GW_TRY(definition(c.column));
            // only the type is the source's
            if (old != nullptr && !old->generated && !c.column.generated) {
                std::string type = column_type_sql(c.column, x, facts, known, warnings);
                const bool limited = type.starts_with("VARCHAR(");
                if (!x.same_family() && limited && old->data_type == "varbinary")  // a key of ours
                    type = fmt::format("VARBINARY({})", 4 * std::strtoul(type.c_str() + 8, nullptr, 10));
                else if (!x.same_family() && (limited || type == "LONGTEXT") && !old->charset.empty())
                    type += fmt::format(" CHARACTER SET {} COLLATE {}", old->charset, old->collation);
                d = standing_definition(*old, type, facts, values);
            }
            return Statements{
                fmt::format("ALTER TABLE {} MODIFY COLUMN {} {}", table, quote_name(c.column.name), d)};
        }
        case SchemaChange::Kind::rename_table: {
            if (!now.exists) return Statements{};  // it was done before, or there never was such a table
            TableName to = x.name_of({c.new_schema.empty() ? c.table.schema : c.new_schema, c.new_name});
            if (to == target) return Statements{};
            return Statements{"CREATE DATABASE IF NOT EXISTS " + quote_name(to.schema),
                              fmt::format("RENAME TABLE {} TO {}", table, quote_name(to.schema, to.table))};
        }
        case SchemaChange::Kind::drop_table:
            return Statements{"DROP TABLE IF EXISTS " + table};
    }
    return Statements{};
}

std::vector<std::string> ledger_change_sql(const std::string& task, const SchemaChange& c,
                                           const TargetContext& x) {
    const std::string where = where_table(task, c.table);
    if (c.kind == SchemaChange::Kind::rename_table) {
        const TableName to{c.new_schema.empty() ? c.table.schema : c.new_schema, c.new_name};
        const TableName target = x.name_of(to);
        // a table that had this name before has left its rows
        const std::string stale = where_table(task, to);
        const std::string names = fmt::format("source_schema = {}, source_table = {}",
                                              quote_literal(to.schema), quote_literal(to.table));
        return {"DELETE FROM godwit.gw_slice" + stale, "DELETE FROM godwit.gw_table" + stale,
                fmt::format("UPDATE godwit.gw_table SET {}, target_schema = {}, target_table = {}", names,
                            quote_literal(target.schema), quote_literal(target.table)) +
                    where,
                "UPDATE godwit.gw_slice SET " + names + where};
    }
    // The row stays: a table of that name that comes later goes on with the next generation.
    if (c.kind == SchemaChange::Kind::drop_table)
        return {
            "DELETE FROM godwit.gw_slice" + where,
            "UPDATE godwit.gw_table SET phase = 'waiting', mark = '', applied = '', part = '', reason = '', "
            "n_rows = 0, created = 0, filled = 0" +
                where};
    return {};
}

}  // namespace godwit::mysql
