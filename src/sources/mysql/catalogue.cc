#include "sources/mysql/catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/hash.h"
#include "codecs/mysql/describe.h"
#include "sources/mysql/alter_statement.h"

namespace godwit::mysql {
namespace {

constexpr int kPlaceTries = 3;

// Only what `where` lets through; the caller has quoted it.
Result<std::map<TableName, TableSchema>> read(Connection& c, const std::string& where,
                                              const TypeOptions& options, const Selection* selection) {
    std::map<TableName, TableSchema> out;
    const auto tables =
        GW_TRY(c.query("SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_ROWS, DATA_LENGTH, "
                       "TABLE_COLLATION FROM information_schema.TABLES WHERE " +
                       where));
    for (std::size_t i = 0; i < tables.size(); ++i) {
        TableSchema t;
        t.name = {tables.text(i, 0), tables.text(i, 1)};
        if (is_system_schema(t.name.schema)) continue;
        const std::string type = tables.text(i, 2);
        t.is_view = type == "VIEW";
        // SEQUENCE, SYSTEM VIEW, ...: not rows of a user
        if (!t.is_view && type != "BASE TABLE" && type != "SYSTEM VERSIONED") continue;
        if (selection != nullptr && !selection->selects(t.name, t.is_view)) continue;
        // the server has no number that a user without PROCESS may read
        t.source_id = stable_id(t.name.schema, t.name.table);
        t.full_load_only = t.is_view;
        t.rows_estimate = tables.number(i, 3);
        t.bytes_estimate = tables.unsigned_number(i, 4);
        t.default_collation = tables.text(i, 5);
        out.emplace(t.name, std::move(t));
    }
    if (out.empty()) return out;

    const auto columns = GW_TRY(c.query(
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_TYPE, COLLATION_NAME, "
        "IS_NULLABLE, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION FROM information_schema.COLUMNS WHERE " +
        where + " ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"));
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto it = out.find({columns.text(i, 0), columns.text(i, 1)});
        if (it == out.end()) continue;
        ColumnSchema column = column_of(columns.text(i, 2), columns.text(i, 4), columns.text(i, 5), options);
        column.number = column_number(column.name, {});
        column.not_null = columns.text(i, 6) == "NO";
        std::string extra = columns.text(i, 8);
        std::ranges::transform(extra, extra.begin(), [](unsigned char b) { return std::toupper(b); });
        const auto says = [&](std::string_view word) { return extra.find(word) != std::string::npos; };
        // "STORED GENERATED", "VIRTUAL GENERATED", on MariaDB also "PERSISTENT"; not "DEFAULT_GENERATED"
        column.generated = says("STORED GENERATED") || says("VIRTUAL GENERATED") || says("PERSISTENT");
        column.generated_virtual = says("VIRTUAL GENERATED");
        if (column.generated) column.generation_expression = columns.text(i, 9);
        if (!columns.null(i, 7) && !column.generated)
            column.default_expression =
                default_of(columns.text(i, 7), column.native_type, c.mariadb(), says("DEFAULT_GENERATED"));
        if (const auto moves = on_update_of(extra); !moves.empty() && !column.default_expression.empty())
            column.default_expression += " " + moves;
        if (says("AUTO_INCREMENT")) column.identity = "by default";
        column.invisible = says("INVISIBLE");
        it->second.columns.push_back(std::move(column));
    }

    // The primary key, else the first unique index of which no part may be NULL, is a prefix or computed.
    struct Key {
        std::vector<std::string> columns;
        bool usable = true;
    };
    std::map<TableName, std::map<std::string, Key>> keys;
    const auto statistics =
        GW_TRY(c.query("SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NULLABLE, "
                       "INDEX_TYPE FROM "
                       "information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND " +
                       where + " ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"));
    for (std::size_t i = 0; i < statistics.size(); ++i) {
        const TableName name{statistics.text(i, 0), statistics.text(i, 1)};
        if (!out.contains(name)) continue;
        Key& key = keys[name][statistics.text(i, 2)];
        // An expression has no column; a prefix does not tell rows apart; what the server computes is in no
        // record of the log. Rows of a versioned table that are not history have one ROW END. Values that are
        // found by their hash are too long for a key of the target.
        const ColumnSchema* column = out.at(name).column(statistics.text(i, 3));
        if (column == nullptr || !statistics.null(i, 4) || statistics.text(i, 5) == "YES" ||
            (statistics.text(i, 6) == "HASH" && statistics.text(i, 2) != "PRIMARY") ||
            (column->generated && column->generation_expression != "ROW END"))
            key.usable = false;
        key.columns.push_back(statistics.text(i, 3));
    }
    for (auto& [name, t] : out) {
        t.identity = RowIdentity::full;
        for (const auto& column : t.columns) t.identity_columns.push_back(column.name);
        const auto it = keys.find(name);
        if (it == keys.end()) continue;
        const Key* chosen = nullptr;
        if (const auto primary = it->second.find("PRIMARY"); primary != it->second.end()) {
            t.primary_key = primary->second.columns;
            t.primary_key_name = "PRIMARY";
            if (primary->second.usable) chosen = &primary->second;
        }
        for (const auto& [index, key] : it->second)
            if (key.usable && chosen == nullptr) chosen = &key;
        if (chosen == nullptr) continue;
        t.identity = RowIdentity::key;
        t.identity_columns = chosen->columns;
    }
    return out;
}

}  // namespace

bool is_system_schema(std::string_view schema) {
    return schema == "information_schema" || schema == "INFORMATION_SCHEMA" || schema == "mysql" ||
           schema == "performance_schema" || schema == "sys" || schema == "godwit";
}

Result<std::vector<TableSchema>> read_tables(Connection& connection, const Selection* selection,
                                             const TypeOptions& options) {
    auto found =
        GW_TRY(read(connection,
                    "TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys', "
                    "'godwit')",
                    options, selection));
    std::vector<TableSchema> out;
    out.reserve(found.size());
    for (auto& [name, t] : found) out.push_back(std::move(t));
    return out;
}

Result<TableSchema> read_table(Connection& connection, const TableName& name, const TypeOptions& options) {
    auto found = GW_TRY(read(connection,
                             fmt::format("TABLE_SCHEMA = {} AND TABLE_NAME = {}", quote_literal(name.schema),
                                         quote_literal(name.table)),
                             options, nullptr));
    const auto it = found.find(name);
    if (it == found.end()) return fail(ErrorCode::not_found, "table " + name.text() + " does not exist");
    return std::move(it->second);
}

namespace {

using ByName = std::map<TableName, TableSchema*>;

// All but the primary key, whose name nobody else may have.
Result<> read_indexes(Connection& c, const ByName& tables) {
    const auto rows =
        GW_TRY(c.query("SELECT * FROM information_schema.STATISTICS WHERE INDEX_NAME <> 'PRIMARY' "
                       "ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"));
    const auto column = [&](std::string_view name) { return static_cast<unsigned>(rows.find(name)); };
    const int expression = rows.find("EXPRESSION");  // MySQL 8
    TableName last;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const TableName name{rows.text(i, column("TABLE_SCHEMA")), rows.text(i, column("TABLE_NAME"))};
        const auto at = tables.find(name);
        if (at == tables.end()) continue;
        auto& indexes = at->second->extras.indexes;
        const std::string index = rows.text(i, column("INDEX_NAME")),
                          type = rows.text(i, column("INDEX_TYPE"));
        const bool unique = rows.number(i, column("NON_UNIQUE")) == 0,
                   plain = type == "BTREE" || type == "HASH";
        if (name != last || indexes.empty() || indexes.back().name != index)
            indexes.push_back({index, unique,
                               fmt::format("{}INDEX {} (",
                                           unique  ? "UNIQUE "
                                           : plain ? ""
                                                   : type + " ",
                                           quote_name(index))});
        else
            indexes.back().definition.back() = ',';
        last = name;
        std::string part = rows.null(i, column("COLUMN_NAME")) && expression >= 0
                               ? "(" + rows.text(i, static_cast<unsigned>(expression)) + ")"
                               : quote_name(rows.text(i, column("COLUMN_NAME")));
        if (plain && !rows.null(i, column("SUB_PART"))) part += "(" + rows.text(i, column("SUB_PART")) + ")";
        if (plain && rows.text(i, column("COLLATION")) == "D") part += " DESC";
        indexes.back().definition += part + ")";
    }
    return {};
}

// What each row is checked for; JSON columns of MariaDB bring theirs with their type.
Result<> read_checks(Connection& c, const ByName& tables) {
    const bool known = c.mariadb() || c.version() >= 80016;
    if (!known) return {};
    const auto rows = GW_TRY(c.query(
        c.mariadb()
            ? "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM "
              "information_schema.CHECK_CONSTRAINTS"
            : "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.CONSTRAINT_NAME, k.CHECK_CLAUSE FROM "
              "information_schema.TABLE_CONSTRAINTS t JOIN information_schema.CHECK_CONSTRAINTS k ON "
              "k.CONSTRAINT_SCHEMA = t.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = t.CONSTRAINT_NAME WHERE "
              "t.CONSTRAINT_TYPE = 'CHECK'"));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto at = tables.find({rows.text(i, 0), rows.text(i, 1)});
        if (at == tables.end()) continue;
        const std::string name = rows.text(i, 2);
        if (c.mariadb() && at->second->column(name) != nullptr) continue;
        at->second->extras.checks.push_back(
            {name, fmt::format("CONSTRAINT {} CHECK ({})", quote_name(name), rows.text(i, 3))});
    }
    return {};
}

Result<> read_counters(Connection& c, const ByName& tables) {
    // the value of now and not of the last statistics
    if (!c.mariadb() && c.version() >= 80000)
        GW_CHECK(c.run("SET SESSION information_schema_stats_expiry = 0"));
    const auto rows =
        GW_TRY(c.query("SELECT TABLE_SCHEMA, TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE "
                       "AUTO_INCREMENT IS NOT NULL"));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto at = tables.find({rows.text(i, 0), rows.text(i, 1)});
        if (at == tables.end()) continue;
        for (const auto& column : at->second->columns) {
            if (column.identity.empty()) continue;
            SequenceState s;
            s.name = at->second->name;
            s.column = column.name;
            s.owned = s.identity = true;
            s.last_value = rows.number(i, 2);  // the next one
            at->second->extras.sequences.push_back(std::move(s));
        }
    }
    return {};
}

}  // namespace

Result<> read_extras(Connection& c, std::vector<TableSchema>& tables) {
    ByName by_name;
    for (auto& t : tables) {
        if (t.is_view) continue;
        t.extras = {};
        t.extras.read = true;
        by_name[t.name] = &t;
    }
    GW_CHECK(read_indexes(c, by_name));
    GW_CHECK(read_checks(c, by_name));
    for (const auto& key : GW_TRY(read_foreign_keys(c)))
        if (const auto at = by_name.find(key.table); at != by_name.end())
            at->second->extras.foreign_keys.push_back({key.name, key.parent, key.definition()});
    return read_counters(c, by_name);
}

Result<std::shared_ptr<const CharacterMap>> read_characters(Connection& c, std::string_view charset) {
    const bool name =
        std::ranges::all_of(charset, [](char l) { return (l >= 'a' && l <= 'z') || (l >= '0' && l <= '9'); });
    if (charset.empty() || !name)
        return fail(ErrorCode::unsupported, fmt::format("character set {} cannot be read", charset));
    return CharacterMap::read(charset, [&](std::string_view text) -> Result<std::string> {
        // as a result, and not by CONVERT(), which gives NULL where a result has what a load gets
        std::string sql = fmt::format("SELECT _{} x'", charset);
        for (const char b : text)
            fmt::format_to(std::back_inserter(sql), "{:02x}", static_cast<unsigned char>(b));
        const auto rows = GW_TRY(c.query(sql + "'"));
        return rows.size() == 0 ? std::string() : rows.text(0, 0);
    });
}

Result<LogPlace> log_place(Connection& c) {
    // 8.4 knows only the new words, everything before 8.2 only the old ones
    const bool renamed = !c.mariadb() && c.version() >= 80200;
    const auto rows = GW_TRY(c.query(renamed ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS"));
    if (rows.size() == 0)
        return fail(ErrorCode::failed_precondition,
                    "the server writes no binlog: set log_bin and binlog_format=ROW and restart it");
    LogPlace out{rows.text(0, 0), rows.unsigned_number(0, 1), {}};
    if (c.mariadb()) {
        // who writes holds the log's place until both have moved
        for (int i = 0; i < kPlaceTries && !out.gtids; ++i) {
            const auto gtids = GW_TRY(c.query("SELECT @@global.gtid_binlog_pos"));
            const auto again = GW_TRY(c.query("SHOW MASTER STATUS"));
            LogPlace now{again.text(0, 0), again.unsigned_number(0, 1), {}};
            if (now.file == out.file && now.offset == out.offset) now.gtids = gtids.text(0, 0);
            out = std::move(now);
        }
        return out;
    }
    out.gtids = "";
    if (const int at = rows.find("Executed_Gtid_Set"); at >= 0) {
        out.gtids = rows.text(0, static_cast<unsigned>(at));
        std::erase(*out.gtids, '\n');
    }
    return out;
}

Result<std::optional<std::string>> gtids_at(Connection& c, const std::string& file, std::uint64_t offset) {
    const auto rows =
        GW_TRY(c.query(fmt::format("SELECT BINLOG_GTID_POS({}, {})", quote_literal(file), offset)));
    if (rows.size() != 1 || rows.null(0, 0)) return std::nullopt;
    return rows.text(0, 0);
}

Result<std::vector<std::pair<std::string, std::uint64_t>>> binlog_files(Connection& c) {
    const auto rows = GW_TRY(c.query("SHOW BINARY LOGS"));
    std::vector<std::pair<std::string, std::uint64_t>> out;
    for (std::size_t i = 0; i < rows.size(); ++i)
        out.emplace_back(rows.text(i, 0), rows.unsigned_number(i, 1));
    return out;
}

}  // namespace godwit::mysql
