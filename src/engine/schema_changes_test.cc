#include "engine/schema_changes.h"

#include <gtest/gtest.h>

#include <map>

#include "fakes/memory_rows.h"

namespace godwit::engine {
namespace {

using Kind = ReshapePlan::Kind;

TableSchema table(const std::vector<std::string>& columns) {
    auto t = test::table_of("t", columns);
    t.storage_id = 7;
    return t;
}

ColumnSchema column(const std::string& name, std::int32_t number) {
    ColumnSchema c;
    c.name = name;
    c.native_type = "text";
    c.type_id = 25;
    c.number = number;
    return c;
}

// What the log says once the source's table is `now`.
ReshapePlan plan(const TableSchema& known, const TableSchema& now) {
    return plan_changes(known, test::relation_of(now, 2), &now);
}

std::vector<std::string> texts(const ReshapePlan& p) {
    std::vector<std::string> out;
    for (const auto& c : p.changes) out.push_back(describe(c));
    return out;
}

TEST(SchemaChanges, an_equal_shape_is_no_change) {
    const auto t = table({"id", "a"});
    EXPECT_EQ(plan(t, t).kind, Kind::none);
    EXPECT_TRUE(same_shape(t, test::relation_of(t, 1)));
}

TEST(SchemaChanges, generated_columns_do_not_count) {
    auto known = table({"id", "a", "g"});
    known.columns[2].generated = true;
    auto sent = table({"id", "a"});
    EXPECT_TRUE(same_shape(known, test::relation_of(sent, 1)));
    EXPECT_TRUE(same_shape(known, test::relation_of(known, 1)));  // some sources send them
}

TEST(SchemaChanges, add) {
    const auto known = table({"id", "a"});
    const auto p = plan(known, table({"id", "a", "b"}));
    EXPECT_EQ(p.kind, Kind::changes);
    EXPECT_EQ(texts(p), std::vector<std::string>{"ADD COLUMN b"});
    EXPECT_EQ(p.after.columns.size(), 3U);
}

TEST(SchemaChanges, drop) {
    const auto known = table({"id", "a", "b"});
    auto now = table({"id", "a", "b"});
    now.columns.erase(now.columns.begin() + 1);
    EXPECT_EQ(texts(plan(known, now)), std::vector<std::string>{"DROP COLUMN a"});
}

TEST(SchemaChanges, rename_is_known_by_the_columns_number) {
    const auto known = table({"id", "a"});
    EXPECT_EQ(texts(plan(known, table({"id", "b"}))), std::vector<std::string>{"RENAME COLUMN a TO b"});
    // dropped and added anew is not a rename
    auto now = table({"id", "b"});
    now.columns[1].number = 3;
    EXPECT_EQ(texts(plan(known, now)), (std::vector<std::string>{"DROP COLUMN a", "ADD COLUMN b"}));
}

// The same set of names, but the values belong to other columns.
TEST(SchemaChanges, a_swap_of_names_passes_through_a_third) {
    const auto known = table({"id", "a", "b", "c"});
    auto now = table({"id", "b", "a", "d"});
    const auto p = plan(known, now);
    ASSERT_EQ(p.kind, Kind::changes);
    // replayed one after another, no step meets a name that is taken, and each column ends with its own
    std::map<std::string, std::int32_t> names;
    for (const auto& c : known.columns) names[c.name] = c.number;
    for (const auto& c : p.changes) {
        ASSERT_EQ(c.kind, SchemaChange::Kind::rename_column);
        ASSERT_TRUE(names.contains(c.old_name)) << c.old_name;
        ASSERT_FALSE(names.contains(c.new_name)) << c.new_name;
        names[c.new_name] = names[c.old_name];
        names.erase(c.old_name);
    }
    for (const auto& c : now.columns) EXPECT_EQ(names[c.name], c.number) << c.name;
}

TEST(SchemaChanges, a_chain_of_names_meets_none_that_is_taken) {
    const auto known = table({"id", "a", "b", "c"});
    for (const auto& columns : std::vector<std::vector<std::string>>{
             {"id", "b", "c", "d"}, {"id", "d", "a", "b"}, {"id", "b", "c", "a"}}) {
        const auto now = table(columns);
        const auto p = plan(known, now);
        std::map<std::string, std::int32_t> names;
        for (const auto& c : known.columns) names[c.name] = c.number;
        for (const auto& c : p.changes) {
            ASSERT_TRUE(names.contains(c.old_name)) << c.old_name;
            ASSERT_FALSE(names.contains(c.new_name)) << c.new_name;
            names[c.new_name] = names[c.old_name];
            names.erase(c.old_name);
        }
        for (const auto& c : now.columns) EXPECT_EQ(names[c.name], c.number) << c.name;
    }
}

TEST(SchemaChanges, several_at_once) {
    const auto known = table({"id", "a", "b", "c"});
    auto now = table({"id", "x", "c"});
    now.columns[2].number = 4;  // b is dropped, a is x now
    now.columns.push_back(column("b", 5));
    EXPECT_EQ(texts(plan(known, now)),
              (std::vector<std::string>{"DROP COLUMN b", "RENAME COLUMN a TO x", "ADD COLUMN b"}));
}

TEST(SchemaChanges, a_wider_type_is_replayed_when_no_row_was_rewritten) {
    auto known = table({"id", "a"});
    known.columns[1].type_modifier = 14;
    auto now = known;
    now.columns[1].type_modifier = 24;
    now.columns[1].native_type = "character varying(20)";
    const auto p = plan(known, now);
    ASSERT_EQ(p.kind, Kind::changes);
    EXPECT_EQ(texts(p), std::vector<std::string>{"ALTER COLUMN a TYPE character varying(20)"});
    now.storage_id = 8;  // rewritten: the log does not show what became of the values
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
}

TEST(SchemaChanges, another_type_needs_a_reload) {
    const auto known = table({"id", "a"});
    auto now = known;
    now.columns[1].type_id = 23;
    const auto p = plan(known, now);
    EXPECT_EQ(p.kind, Kind::reload);
    EXPECT_NE(p.reason.find("column a"), std::string::npos) << p.reason;
}

TEST(SchemaChanges, a_default_that_differs_by_row_needs_a_reload) {
    const auto known = table({"id"});
    auto now = table({"id", "a"});
    now.columns[1].default_expression = "random()";
    now.storage_id = 8;
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
    now.storage_id = 7;  // a constant is not written to old rows
    now.columns[1].default_expression = "1";
    now.columns[1].missing_value = "1";
    const auto p = plan(known, now);
    ASSERT_EQ(p.kind, Kind::changes);
    EXPECT_EQ(p.changes[0].column.missing_value, "1");
}

// What a rewrite put into the rows is seen neither in the new column's definition nor in that of others.
TEST(SchemaChanges, any_change_that_comes_with_a_rewrite_needs_a_reload) {
    const auto known = table({"id", "a"});
    auto now = table({"id", "a", "g"});  // an identity, or a default that was dropped again
    now.storage_id = 8;
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
    now.columns[2].default_expression = "1";  // and beside it ALTER a TYPE int USING a * 100
    now.columns[2].missing_value = "1";
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::reload);
}

TEST(SchemaChanges, partitions_tell_of_a_rewrite_and_of_their_constants) {
    auto known = table({"id"});
    known.partitioned = true;
    known.leaves = {{"public", "p1"}, {"public", "p2"}};
    known.leaf_states = {{11, 11, true}, {12, 12, true}};
    auto now = table({"id", "a"});
    now.partitioned = true;
    now.storage_id = 8;  // their sum: one has joined, which is no rewrite
    now.leaves = {{"public", "p1"}, {"public", "p2"}, {"public", "p3"}};
    now.leaf_states = {{11, 11, true}, {12, 12, true}, {13, 13, false}};
    now.columns[1].missing_value = "5";
    auto p = plan(known, now);
    ASSERT_EQ(p.kind, Kind::changes);
    EXPECT_EQ(p.changes[0].column.missing_value, "5");
    EXPECT_EQ(p.after.leaf_states, known.leaf_states) << "the poll has not compared them yet";
    now.columns[1].missing_differs = true;
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
    now.columns[1].missing_differs = false;
    now.leaf_states[1].storage_id = 22;
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
}

TEST(SchemaChanges, a_column_that_is_computed_no_longer_needs_a_reload) {
    auto known = table({"id", "a", "g"});
    known.columns[2].generated = true;
    auto now = table({"id", "a", "g"});
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::reload);
    now.columns.push_back(column("b", 4));
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
}

// The catalogue is further on than the log: which statement did what cannot be told.
TEST(SchemaChanges, undecidable) {
    const auto known = table({"id", "a"});
    const auto logged = test::relation_of(table({"id", "b"}), 2);
    const auto further = table({"id", "c"});
    EXPECT_EQ(plan_changes(known, logged, &further).kind, Kind::reload);
    const auto gone = plan_changes(known, logged, nullptr);
    EXPECT_EQ(gone.kind, Kind::undecided);
    EXPECT_FALSE(gone.reason.empty());
}

// a -> x, then a new column a: the log's relation has x and a, no name is left to compare
TEST(SchemaChanges, a_swap_that_keeps_the_names_is_seen_by_numbers) {
    const auto known = table({"id", "a", "b"});
    auto now = table({"id", "a", "b"});
    std::swap(now.columns[1].name, now.columns[2].name);
    // The log alone cannot show it when types are equal: same names, same types.
    EXPECT_TRUE(same_shape(known, test::relation_of(known, 1)));
    const auto p = plan(known, now);
    EXPECT_EQ(p.kind, Kind::changes) << "columns in another order are other columns";
}

// The log still speaks of the time before a swap that the catalogue already shows: numbers would pair values
// with names that they get later.
TEST(SchemaChanges, a_swap_ahead_of_the_log_needs_a_reload) {
    const auto known = table({"id", "a", "note"});
    const auto log = table({"id", "a", "note", "b"});
    auto now = log;
    std::swap(now.columns[1].name, now.columns[3].name);
    EXPECT_EQ(plan_changes(known, test::relation_of(log, 2), &now).kind, Kind::reload);
}

// And the other way: rows between the two went by the other names.
TEST(SchemaChanges, a_swap_that_was_undone_needs_a_reload) {
    auto known = table({"id", "a", "b"});
    const auto log = table({"id", "b", "a"});
    EXPECT_EQ(plan_changes(known, test::relation_of(log, 2), &known).kind, Kind::reload);
    // a partition's line may name its columns in another order than the root: then nothing was touched
    known.partitioned = true;
    known.columns_id = 5;
    auto now = known;
    EXPECT_EQ(plan_changes(known, test::relation_of(log, 2), &now).kind, Kind::none);
    now.columns_id = 6;
    EXPECT_EQ(plan_changes(known, test::relation_of(log, 2), &now).kind, Kind::reload);
}

// Rows before and after look the same, so they went into the column that is dropped now.
TEST(SchemaChanges, a_column_that_was_dropped_and_added_again_needs_a_reload) {
    const auto known = table({"id", "a", "b"});
    auto now = known;
    now.columns[2].number = 4;
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::reload);
    now.columns.push_back(column("c", 5));
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::reload);
    // a dropped, b renamed to a, b added: each name stands where it stood
    now = known;
    now.columns[1].number = 3;
    now.columns[2].number = 4;
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::reload);
    now.columns.push_back(column("c", 5));
    EXPECT_EQ(plan(known, now).kind, Kind::reload);
}

TEST(SchemaChanges, the_catalogue_alone) {
    const auto known = table({"id", "a"});
    EXPECT_EQ(plan_from_catalogue(known, known).kind, Kind::none);
    EXPECT_EQ(texts(plan_from_catalogue(known, table({"id", "a", "b"}))),
              std::vector<std::string>{"ADD COLUMN b"});
    auto now = known;
    now.storage_id = 8;  // VACUUM FULL
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::none);
    now.columns_id = 1;  // ALTER ... TYPE text USING upper(a)
    EXPECT_EQ(plan_from_catalogue(known, now).kind, Kind::reload);
}

}  // namespace
}  // namespace godwit::engine
