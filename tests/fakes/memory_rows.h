#pragma once
// Rows as the memory source and target hold them, and their form on the way of a load.

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "core/change.h"
#include "core/table.h"

namespace godwit::test {

using Value = std::optional<std::string>;  // nullopt: NULL
using Row = std::vector<Value>;
using Rows = std::multiset<Row>;

// The one load format: rows as insert records.
inline constexpr const char* kRowsFormat = "memory.rows";

inline void put_cells(RecordWriter& writer, const Row& row) {
    writer.begin_row(static_cast<std::uint16_t>(row.size()));
    for (const auto& v : row) {
        if (v)
            writer.value(CellState::text, as_bytes(*v));
        else
            writer.null();
    }
}

// `kept` gives the values of cells that were not sent.
inline Row get_cells(const RowView& view, const Row* kept = nullptr) {
    Row row;
    view.each([&](std::uint16_t i, const Cell& cell) {
        if (cell.state == CellState::null)
            row.emplace_back();
        else if (cell.state == CellState::unchanged)
            row.push_back(kept != nullptr && i < kept->size() ? (*kept)[i] : Value{});
        else
            row.emplace_back(std::string(as_text(cell.bytes)));
    });
    return row;
}

inline bool has_unchanged(const RowView& view) {
    bool found = false;
    view.each([&](std::uint16_t, const Cell& cell) { found = found || cell.state == CellState::unchanged; });
    return found;
}

// A table of text columns; the first `keys` of them are its key, 0: none.
inline TableSchema table_of(const std::string& name, const std::vector<std::string>& columns,
                            std::size_t keys = 1) {
    TableSchema t;
    t.name = {"public", name};
    t.source_id = 1000 + std::hash<std::string>{}(name) % 100000;
    std::int32_t number = 0;
    for (const auto& c : columns) {
        ColumnSchema column;
        column.name = c;
        column.native_type = "text";
        column.type_id = 25;
        column.number = ++number;
        t.columns.push_back(std::move(column));
    }
    for (std::size_t i = 0; i < keys; ++i) t.primary_key.push_back(columns[i]);
    t.identity = keys > 0 ? RowIdentity::key : RowIdentity::full;
    t.identity_columns = keys > 0 ? t.primary_key : columns;
    return t;
}

inline Relation relation_of(const TableSchema& table, std::uint32_t id) {
    Relation r;
    r.id = id;
    r.source_id = table.source_id;
    r.name = table.name;
    r.identity = table.identity;
    for (const auto& c : table.columns) {
        const bool key = std::ranges::find(table.identity_columns, c.name) != table.identity_columns.end();
        r.columns.push_back({c.name, c.type_id, c.type_modifier, key});
    }
    return r;
}

}  // namespace godwit::test
