#include "engine/schema_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ranges>
#include <set>

#include "core/key_set.h"

namespace godwit::engine {
namespace {

std::vector<const ColumnSchema*> written(const TableSchema& t) {
    std::vector<const ColumnSchema*> out;
    for (const auto& c : t.columns)
        if (!c.generated) out.push_back(&c);
    return out;
}

std::vector<const RelationColumn*> written(const TableSchema& t, const Relation& r) {
    std::vector<const RelationColumn*> out;
    for (const auto& c : r.columns)
        if (const auto* known = t.column(c.name); known == nullptr || !known->generated) out.push_back(&c);
    return out;
}

// The user types that a column needs, each after those it is made of.
std::vector<UserType> types_of(const TableSchema& t, const ColumnSchema& c) {
    std::set<std::uint32_t> wanted{c.type_id};
    std::vector<UserType> out;
    for (const auto& type : t.types | std::views::reverse) {
        if (!wanted.contains(type.type_id) && !wanted.contains(type.array_type_id) &&
            !wanted.contains(type.multirange_type_id) && !wanted.contains(type.multirange_array_type_id))
            continue;
        wanted.insert(type.base.type_id);
        for (const auto& a : type.attributes) wanted.insert(a.type_id);
        out.push_back(type);
    }
    std::ranges::reverse(out);
    return out;
}

// A column was dropped and another one of its name and type has come into its place. Rows that were written
// since look like those before: they went into the old column. Where the order of the names has changed, the
// log shows it.
const ColumnSchema* replaced(const TableSchema& known, const TableSchema& now) {
    const auto columns = written(now);
    const auto stays = [&](const ColumnSchema* c) {
        return std::ranges::any_of(columns, [&](const auto* other) { return other->number == c->number; });
    };
    if (std::ranges::all_of(written(known), stays)) return nullptr;
    const ColumnSchema* found = nullptr;
    std::int32_t last = 0;
    for (const auto* before : written(known)) {
        const ColumnSchema* after = now.column(before->name);
        if (after == nullptr || after->generated || after->type_id != before->type_id ||
            after->type_modifier != before->type_modifier)
            continue;
        if (after->number < last) return nullptr;
        last = after->number;
        if (found == nullptr && after->number != before->number) found = after;
    }
    return found;
}

// An ALTER, or what the log tells by itself (TRUNCATE), gave the rows another file.
bool rewritten(const TableSchema& known, const TableSchema& now) {
    if (!known.partitioned) return known.storage_id != now.storage_id;
    return std::ranges::any_of(known.leaf_states, [&](const LeafState& before) {
        const auto after = std::ranges::find(now.leaf_states, before.source_id, &LeafState::source_id);
        return after != now.leaf_states.end() && after->storage_id != before.storage_id;
    });
}

// Why, when the database computes the values of a column on one side only; empty: it does not.
std::string of_other_origin(const TableSchema& known, const TableSchema& now) {
    for (const auto& c : now.columns) {
        const auto before = std::ranges::find(known.columns, c.number, &ColumnSchema::number);
        if (c.number != 0 && before != known.columns.end() && before->generated != c.generated)
            return fmt::format("column {} of table {} is {} generated", c.name, known.name.text(),
                               c.generated ? "now" : "no longer");
    }
    return {};
}

ReshapePlan reload_plan(std::string what) {
    ReshapePlan plan;
    plan.kind = ReshapePlan::Kind::reload;
    plan.reason = fmt::format("{}: {}", what, kLoadedAnew);
    return plan;
}

}  // namespace

bool same_shape(const TableSchema& known, const Relation& relation) {
    const auto a = written(known);
    const auto b = written(known, relation);
    if (a.size() != b.size()) return false;
    for (const auto* column : b) {
        const auto* mine = known.column(column->name);
        if (mine == nullptr || (column->type_id != 0 && mine->type_id != column->type_id) ||
            (column->type_id != 0 && mine->type_modifier != column->type_modifier))
            return false;
    }
    return true;
}

bool same_order(const TableSchema& known, const Relation& relation) {
    return std::ranges::equal(written(known), written(known, relation), {}, &ColumnSchema::name,
                              &RelationColumn::name);
}

bool fits(const TableSchema& known, const Relation& relation) {
    return same_shape(known, relation) && same_order(known, relation);
}

ReshapePlan plan_changes(const TableSchema& known, const Relation& relation, const TableSchema* now) {
    ReshapePlan plan;
    if (same_shape(known, relation)) {
        // Two columns of one type may have swapped their names. The catalogue has to confirm it: the columns
        // of a partition may stand in another order than those of its root.
        if (same_order(known, relation)) return plan;
        if (now == nullptr || !same_shape(*now, relation) || !same_order(*now, relation)) {
            // Or the names were swapped and are back in their places by now: the rows between went by other
            // names.
            if (now == nullptr || (known.partitioned && known.columns_id == now->columns_id)) return plan;
            return reload_plan(
                fmt::format("columns of table {} had swapped their names for a while", known.name.text()));
        }
    }
    // Equal names are not enough: where two have been swapped since, the columns' numbers in the catalogue
    // would say the opposite of what the log's rows mean.
    if (now == nullptr || !same_shape(*now, relation) || !same_order(*now, relation)) {
        plan.kind = ReshapePlan::Kind::reload;
        plan.reason =
            now == nullptr
                ? fmt::format("table {} was altered and then dropped at the source", known.name.text())
                : fmt::format(
                      "table {} was altered more than once before its changes were read; its columns "
                      "cannot be told apart: it is loaded anew",
                      known.name.text());
        if (now == nullptr) plan.kind = ReshapePlan::Kind::undecided;
        return plan;
    }
    if (auto why = of_other_origin(known, *now); !why.empty()) return reload_plan(std::move(why));
    if (const auto* c = replaced(known, *now))
        return reload_plan(
            fmt::format("column {} of table {} was dropped and added again before its changes were read",
                        c->name, known.name.text()));
    // The catalogue stands where the log stands: columns are the same when their numbers are.
    std::map<std::int32_t, const ColumnSchema*> before, after;
    for (const auto* c : written(known)) before[c->number] = c;
    for (const auto* c : written(*now)) after[c->number] = c;
    // drops and renames first, so that names are free again
    for (const auto& [number, c] : before)
        if (!after.contains(number))
            plan.changes.push_back({SchemaChange::Kind::drop_column, known.name, *c, c->name, {}});
    std::vector<SchemaChange> renames;
    for (const auto& [number, c] : after) {
        const auto it = before.find(number);
        if (it == before.end() || it->second->name == c->name) continue;
        renames.push_back({SchemaChange::Kind::rename_column, known.name, *c, it->second->name, c->name});
    }
    // swapped names pass through a third
    for (std::size_t i = 0; i < renames.size(); ++i) {
        const bool taken = std::ranges::any_of(renames, [&](const SchemaChange& other) {
            return other.old_name == renames[i].new_name && other.column.number != renames[i].column.number;
        });
        if (!taken) continue;
        const std::string aside = fmt::format("gw_rename_{}", renames[i].column.number);
        plan.changes.push_back(
            {SchemaChange::Kind::rename_column, known.name, renames[i].column, renames[i].old_name, aside});
        renames[i].old_name = aside;
    }
    // those that stand aside come last: their new names are free by then
    std::ranges::stable_partition(
        renames, [](const SchemaChange& c) { return !c.old_name.starts_with("gw_rename_"); });
    plan.changes.insert(plan.changes.end(), renames.begin(), renames.end());
    for (const auto& [number, c] : after) {
        const auto it = before.find(number);
        if (it == before.end()) {
            plan.changes.push_back(
                {SchemaChange::Kind::add_column, known.name, *c, {}, {}, {}, types_of(*now, *c)});
        } else if (it->second->type_id != c->type_id || it->second->type_modifier != c->type_modifier) {
            if (it->second->type_id != c->type_id || known.source_id != now->source_id ||
                rewritten(known, *now)) {
                plan.kind = ReshapePlan::Kind::reload;
                plan.reason = fmt::format(
                    "column {} of table {} changed its type, which rewrote the rows without a "
                    "trace in the log: it is loaded anew",
                    c->name, known.name.text());
                return plan;
            }
            plan.changes.push_back(
                {SchemaChange::Kind::change_type, known.name, *c, c->name, {}, {}, types_of(*now, *c)});
        }
    }
    // Which of the statements did it cannot be told, nor what they wrote: a default may be gone again.
    if (rewritten(known, *now) && !plan.changes.empty())
        return reload_plan(fmt::format("an ALTER rewrote the rows of table {} without a trace in the log",
                                       known.name.text()));
    for (const auto& c : plan.changes)
        if (c.kind == SchemaChange::Kind::add_column && c.column.missing_differs)
            return reload_plan(
                fmt::format("rows of table {} that are older than its column {} have values that an ALTER "
                            "does not give the target",
                            known.name.text(), c.column.name));
    plan.kind = ReshapePlan::Kind::changes;
    plan.after = *now;
    // what became of its partitions, the catalogue's poll still has to tell
    if (known.partitioned && !known.leaf_states.empty()) {
        plan.after.leaves = known.leaves;
        plan.after.leaf_states = known.leaf_states;
    }
    return plan;
}

ReshapePlan plan_from_catalogue(const TableSchema& known, const TableSchema& now) {
    Relation relation;
    for (const auto* c : written(now))
        relation.columns.push_back({c->name, c->type_id, c->type_modifier, false});
    if (!same_shape(known, relation) || !same_order(known, relation))
        return plan_changes(known, relation, &now);
    if (auto why = of_other_origin(known, now); !why.empty()) return reload_plan(std::move(why));
    if (const auto* c = replaced(known, now))
        return reload_plan(
            fmt::format("column {} of table {} was dropped and added again", c->name, known.name.text()));
    if (known.storage_id != now.storage_id && known.columns_id != now.columns_id && known.leaf_states.empty())
        return reload_plan(fmt::format("an ALTER rewrote the rows of table {} without a trace in the log",
                                       known.name.text()));
    return {};
}

std::uint64_t digest_of(const std::vector<SchemaChange>& changes) {
    std::uint64_t h = 1;
    for (const auto& c : changes) {
        const std::string text = fmt::format("{}|{}|{}|{}|{};", describe(c), c.column.number,
                                             c.column.native_type, c.column.type_id, c.column.type_modifier);
        h = hash_bytes(h, as_bytes(text));
    }
    return h | 1U;
}

std::string describe(const SchemaChange& c) {
    switch (c.kind) {
        case SchemaChange::Kind::add_column:
            return "ADD COLUMN " + c.column.name;
        case SchemaChange::Kind::drop_column:
            return "DROP COLUMN " + c.old_name;
        case SchemaChange::Kind::rename_column:
            return "RENAME COLUMN " + c.old_name + " TO " + c.new_name;
        case SchemaChange::Kind::change_type:
            return "ALTER COLUMN " + c.column.name + " TYPE " + c.column.native_type;
        case SchemaChange::Kind::rename_table:
            return "RENAME TO " + (c.new_schema.empty() ? "" : c.new_schema + ".") + c.new_name;
        case SchemaChange::Kind::drop_table:
            return "DROP TABLE";
    }
    return "";
}

}  // namespace godwit::engine
