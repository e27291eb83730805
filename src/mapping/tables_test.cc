#include "mapping/tables.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace godwit::mapping {
namespace {

std::string rule(int id, const std::string& action, const std::string& schema, const std::string& table,
                 const std::string& more = "") {
    return fmt::format(
        R"({{"rule-type":"selection","rule-id":"{}","rule-name":"r{}","rule-action":"{}","object-locator":{{"schema-name":"{}","table-name":"{}"}}{}}})",
        id, id, action, schema, table, more.empty() ? "" : "," + more);
}
std::string document(std::initializer_list<std::string> rules) {
    std::string out;
    for (const auto& r : rules) out += (out.empty() ? "" : ",") + r;
    return "{\"rules\":[" + out + "]}";
}
std::vector<std::string> selected(const std::string& mappings, const std::vector<std::string>& tables,
                                  const std::string& schema = "s") {
    const auto selection = compile_selection(mappings);
    EXPECT_TRUE(selection.has_value()) << (selection ? "" : selection.error().message);
    std::vector<std::string> out;
    if (!selection) return out;
    for (const auto& t : tables)
        if ((*selection)->selects({schema, t}, false)) out.push_back(t);
    return out;
}
std::string refusal(const std::string& mappings) {
    const auto selection = compile_selection(mappings);
    return selection ? "accepted" : selection.error().message;
}
using Names = std::vector<std::string>;

TEST(Patterns, MatchTheWholeName) {
    EXPECT_TRUE(matches("%", ""));
    EXPECT_TRUE(matches("a%c%", "abcc"));
    EXPECT_TRUE(matches("%ab%ab", "abxabab"));
    EXPECT_FALSE(matches("a%", "ba"));
    EXPECT_FALSE(matches("a", "ab"));
    EXPECT_TRUE(matches("a_b", "axb"));
    EXPECT_FALSE(matches("a_b", "ab"));
    EXPECT_TRUE(matches("_", "ß"));  // a code point, not a byte
    EXPECT_TRUE(matches("[α-γ]", "β"));
    EXPECT_TRUE(matches("[%]", "%"));
    EXPECT_FALSE(matches("[%]", "x"));
    EXPECT_TRUE(matches("[[]", "["));
    EXPECT_TRUE(matches("a[b", "a[b"));  // never closed: literal
    EXPECT_TRUE(matches("[a-]", "-"));
    EXPECT_FALSE(matches("[^a]", "b"));
    EXPECT_FALSE(matches("Test", "test"));
    // no exponential search
    EXPECT_FALSE(matches(std::string(60, '%') + "b" + std::string(60, '%') + "c", std::string(20000, 'a')));
}

// The first cases of the specification's list.
TEST(Selection, IncludeExcludeExplicit) {
    EXPECT_EQ(selected(document({rule(1, "include", "s", "%"), rule(2, "exclude", "s", "DMS%")}),
                       {"A", "DMS1", "dms2"}),
              (Names{"A", "dms2"}));
    EXPECT_EQ(selected(document({rule(1, "include", "s", "a_b")}), {"a_b", "axb", "ab"}),
              (Names{"a_b", "axb"}));
    EXPECT_EQ(selected(document({rule(1, "include", "s", "a[_]b")}), {"a_b", "axb", "ab"}), (Names{"a_b"}));
    EXPECT_EQ(selected(document({rule(1, "include", "s", "t[a-c]%")}), {"t", "ta", "tb1", "td"}),
              (Names{"ta", "tb1"}));
    EXPECT_EQ(selected(document({rule(1, "include", "Test", "%")}), {"a"}, "test"), Names{});
    EXPECT_EQ(selected(document({rule(1, "explicit", "s", "o_1")}), {"o_1", "ox1"}), (Names{"o_1"}));
    EXPECT_EQ(selected(document({rule(1, "explicit", "s", "o[_]1")}), {"o_1", "ox1"}), (Names{"o_1"}));
    EXPECT_EQ(selected(document({rule(1, "exclude", "s", "%")}), {"a"}), Names{});
    // exclude wins over explicit, whatever the order
    EXPECT_EQ(selected(document({rule(1, "exclude", "s", "a"), rule(2, "explicit", "s", "a")}), {"a"}),
              Names{});
}

TEST(Selection, TableTypes) {
    const auto locator = [](const std::string& type) {
        return document(
            {R"({"rule-type":"selection","rule-id":1,"rule-name":"x","rule-action":"include","object-locator":{"schema-name":"s","table-name":"%","table-type":")" +
             type + "\"}}"});
    };
    const auto sees = [&](const std::string& type, bool view) {
        return compile_selection(locator(type)).value()->selects({"s", "t"}, view);
    };
    EXPECT_TRUE(sees("table", false));
    EXPECT_FALSE(sees("table", true));
    EXPECT_TRUE(sees("view", true));
    EXPECT_FALSE(sees("view", false));
    EXPECT_TRUE(sees("all", true));
    EXPECT_TRUE(sees("all", false));
    EXPECT_NE(refusal(locator("index")), "accepted");
}

TEST(Selection, WildcardsNeverTakeSystemObjects) {
    const auto all = compile_selection(document({rule(1, "include", "%", "%")})).value();
    for (const char* schema : {"pg_catalog", "information_schema", "pg_toast", "pg_temp_3", "godwit"})
        EXPECT_FALSE(all->selects({schema, "t"}, false)) << schema;
    EXPECT_FALSE(all->selects({"public", "awsdms_status"}, false));
    EXPECT_TRUE(all->selects({"public", "t"}, false));
    EXPECT_TRUE(all->selects({"pg_shop", "t"}, false));
    const auto named = compile_selection(document({rule(1, "include", "godwit", "awsdms_status")})).value();
    EXPECT_TRUE(named->selects({"godwit", "awsdms_status"}, false));
}

TEST(Selection, LoadOrder) {
    const auto selection = compile_selection(document({rule(1, "include", "s", "a", R"("load-order":"1")"),
                                                       rule(2, "include", "s", "b", R"("load-order":2)"),
                                                       rule(3, "include", "s", "%", R"("load-order":null)"),
                                                       rule(4, "include", "s", "a%", R"("load-order":5)")}))
                               .value();
    EXPECT_EQ(selection->load_order({"s", "a"}), 5);
    EXPECT_EQ(selection->load_order({"s", "b"}), 2);
    EXPECT_EQ(selection->load_order({"s", "c"}), 0);
    const auto with = [](const std::string& order) {
        return refusal(document({rule(1, "include", "s", "a", "\"load-order\":" + order)}));
    };
    EXPECT_EQ(with("2147483647"), "accepted");
    EXPECT_NE(with("2147483648"), "accepted");
    EXPECT_NE(with("0"), "accepted");
    EXPECT_NE(with("\"x\""), "accepted");
}

TEST(Selection, OptionalKeysMayBeNull) {
    EXPECT_EQ(refusal(document({rule(
                  1, "include", "s", "a",
                  R"("value":null,"load-order":null,"tag-set":null,"rule-target":null,"filters":null)")})),
              "accepted");
    EXPECT_EQ(refusal(document({rule(1, "include", "s", "a", R"("filters":[])")})), "accepted");
}

TEST(Selection, RuleIds) {
    const auto with = [](const std::string& id) {
        return refusal(document(
            {R"({"rule-type":"selection","rule-id":)" + id +
             R"(,"rule-name":"n","rule-action":"include","object-locator":{"schema-name":"s","table-name":"t"}})"}));
    };
    EXPECT_EQ(with("\"057301960\""), "accepted");
    EXPECT_EQ(with("12"), "accepted");
    EXPECT_EQ(with("\"a1\""),
              "Error in mapping rules. Rule with ruleId = a1 failed validation. rule-id must be numeric");
    EXPECT_NE(with("1.5"), "accepted");
    EXPECT_NE(with("null"), "accepted");
}

TEST(Selection, DocumentErrors) {
    const std::string bad = "Invalid Table Mappings document";
    EXPECT_EQ(refusal(""), bad);
    EXPECT_EQ(refusal("{"), bad);
    EXPECT_EQ(refusal("[]"), bad);
    EXPECT_EQ(refusal("{}"), bad);
    EXPECT_EQ(refusal(R"({"rules":{}})"), bad);
    EXPECT_EQ(refusal(R"({"rules":[1]})"), bad);
    EXPECT_EQ(refusal(R"({"TableMappings":[{"Type":"Include","SourceSchema":"s","SourceTable":"%"}]})"), bad);
    EXPECT_EQ(refusal(R"({"rules":[]})"), "Error in mapping rules. At least one selection rule is required.");
    const auto transformation =
        R"({"rule-type":"transformation","rule-id":"5","rule-name":"t","rule-target":"schema","rule-action":"rename","object-locator":{"schema-name":"s"},"value":"d"})";
    EXPECT_EQ(refusal(document({transformation})),
              "Error in mapping rules. At least one selection rule is required.");
    EXPECT_EQ(refusal(document({rule(1, "include", "s", "%"), transformation})),
              "Error in mapping rules. Rule with ruleId = 5 failed validation. transformation rules are not "
              "available in "
              "godwit yet");
    // at the limit and one beyond
    std::string large = document({rule(1, "include", "s", "%")});
    large.append((2U << 20) - large.size(), ' ');
    EXPECT_EQ(refusal(large), "accepted");
    EXPECT_EQ(refusal(large + " "), "Error in mapping rules. The document is larger than 2 MB.");
}

TEST(Selection, RuleErrors) {
    const std::string start = "Error in mapping rules. Rule with ruleId = 7 failed validation. ";
    const std::string good = rule(1, "include", "s", "%");
    const auto seven = [&](const std::string& action, const std::string& schema, const std::string& table,
                           const std::string& more = "") {
        const std::string text = refusal(document({good, rule(7, action, schema, table, more)}));
        return text.starts_with(start) ? text.substr(start.size()) : "?" + text;
    };
    EXPECT_EQ(seven("explicit", "s", "a%"),
              "an explicit rule needs an exact schema-name and table-name, without wildcards");
    EXPECT_EQ(seven("Include", "s", "a"), "unknown rule-action 'Include': use include, exclude or explicit");
    EXPECT_EQ(seven("include", "s", "[^a]"), "a set in brackets cannot start with ^ or !");
    EXPECT_EQ(
        seven(
            "include", "s", "a",
            R"("filters":[{"filter-type":"source","column-name":"c","filter-conditions":[{"filter-operator":"gt","value":"1"}]}])"),
        "unknown filter-operator 'gt'");
    EXPECT_EQ(
        seven(
            "include", "s", "a",
            R"("filters":[{"filter-type":"source","column-name":"c","filter-conditions":[{"filter-operator":"between","value":"1"}]}])"),
        "filter-operator 'between' needs start-value and end-value");
    EXPECT_EQ(
        seven(
            "include", "s", "a",
            R"("filters":[{"filter-type":"source","column-name":"c","filter-conditions":[{"filter-operator":"null"}]}])"),
        "filters are not available in godwit yet");

    const auto typed = [&](const std::string& type, const std::string& table) {
        return refusal(document(
            {good,
             fmt::format(
                 R"({{"rule-type":"{}","rule-id":"7","rule-name":"x","object-locator":{{"schema-name":"s","table-name":"{}"}}}})",
                 type, table)}));
    };
    EXPECT_EQ(typed("table-settings", "%"),
              start + "Exact schema and table name required when using table settings rule.");
    EXPECT_EQ(typed("object-mapping", "%"),
              "Exact schema and table required when using object mapping rule with '3.5' engine.");
    for (const char* type :
         {"table-settings", "object-mapping", "post-processing", "validation", "transformation"})
        EXPECT_EQ(typed(type, "t"), start + type + " rules are not available in godwit yet");
    EXPECT_EQ(typed("select", "t"), start + "unknown rule-type 'select'");
    EXPECT_EQ(refusal(document({good, R"({"rule-id":"7","rule-name":"x","object-locator":{}})"})),
              start + "rule-type is missing");
    EXPECT_EQ(
        refusal(document(
            {good,
             R"({"rule-type":"selection","rule-id":"7","rule-action":"include","object-locator":{}})"})),
        start + "rule-name is missing");
    EXPECT_EQ(
        refusal(document(
            {good, R"({"rule-type":"selection","rule-id":"7","rule-name":"x","rule-action":"include"})"})),
        start + "object-locator is missing");
    EXPECT_EQ(
        refusal(document(
            {good,
             R"({"rule-type":"selection","rule-id":"7","rule-name":"x","rule-action":"include","object-locator":{"schema-name":"s"}})"})),
        start + "object-locator needs schema-name and table-name");
}

TEST(Selection, OddButAcceptedIsWarnedOf) {
    EXPECT_TRUE(mapping_warnings(document({rule(1, "include", "s", "%")})).empty());
    EXPECT_EQ(
        mapping_warnings(
            document({rule(1, "include", "s", "%"), rule(1, "exclude", "s", "b", R"("colour":1)")})),
        (Names{"table mappings: rule-id 1 is used twice", "table mappings: rule-name 'r1' is used twice",
               "table mappings: key 'colour' of rule 1 is ignored"}));
}

}  // namespace
}  // namespace godwit::mapping
