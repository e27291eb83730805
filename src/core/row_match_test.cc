#include "core/row_match.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

// Columns a and b, sent whole with every change.
struct Case {
    TableSchema table;
    Relation relation;
    Case(const std::vector<std::string>& names, const std::vector<std::string>& identity) {
        for (const auto& name : names) {
            ColumnSchema c;
            c.name = name;
            c.generated = name == "generated";
            table.columns.push_back(c);
            if (!c.generated) relation.columns.push_back({name, 0, -1, true});
        }
        table.identity = relation.identity = RowIdentity::full;
        table.identity_columns = identity;
    }
};

TEST(RowMatch, without_a_key_a_row_is_all_that_the_log_carries) {
    EXPECT_TRUE(row_match(Case({"a", "b"}, {"a", "b"}).relation, Case({"a", "b"}, {"a", "b"}).table).all);
    // what the database computes is not carried
    Case computed({"a", "b", "generated"}, {"a", "b"});
    EXPECT_TRUE(row_match(computed.relation, computed.table).all);
    EXPECT_FALSE(row_match(computed.relation, computed.table).keyed);
    // a key that may be broken inside a transaction does not name one row
    Case deferrable({"a", "b"}, {"a", "b"});
    deferrable.table.primary_key = {"a"};
    deferrable.table.primary_key_deferrable = true;
    EXPECT_TRUE(row_match(deferrable.relation, deferrable.table).all);
    deferrable.table.primary_key = {"a", "b"};
    EXPECT_TRUE(row_match(deferrable.relation, deferrable.table).all);
}

TEST(RowMatch, a_key_names_the_row_though_all_of_it_is_sent) {
    Case part({"a", "b", "generated"}, {"a"});
    part.table.primary_key = {"a"};
    EXPECT_TRUE(row_match(part.relation, part.table).keyed);
    Case everything({"a", "b", "generated"}, {"b", "a"});
    everything.table.primary_key = {"b", "a"};
    EXPECT_TRUE(row_match(everything.relation, everything.table).keyed);
    EXPECT_FALSE(row_match(everything.relation, everything.table).all);
}

TEST(RowMatch, the_log_says_which_columns_are_its_key) {
    Case moved({"a", "b"}, {"a"});
    moved.table.primary_key = {"a"};
    moved.table.identity = moved.relation.identity = RowIdentity::key;
    moved.relation.columns[0].identity = false;
    EXPECT_EQ(row_match(moved.relation, moved.table).keys, std::set<std::string>{"b"});
    EXPECT_TRUE(row_match(moved.relation, moved.table).keyed);
    // the whole row named it when the catalogue was read
    moved.table.primary_key.clear();
    moved.table.identity = RowIdentity::full;
    moved.table.identity_columns = {"a", "b"};
    EXPECT_EQ(row_match(moved.relation, moved.table).keys, std::set<std::string>{"b"});
    // a log that does not say it
    moved.relation.columns[1].identity = false;
    EXPECT_EQ(row_match(moved.relation, moved.table).keys, (std::set<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace godwit
