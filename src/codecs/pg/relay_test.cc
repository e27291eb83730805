// Goal: each rule of when bytes may pass in binary, one row a rule: the pair that passes and the pair that
// must not.

#include "codecs/pg/relay.h"

#include <gtest/gtest.h>

#include <functional>

namespace godwit::postgres {
namespace {

struct Side {
    ServerTraits server{"postgres", 150000, "UTF8", "1", 1, {{"lc_monetary", "C"}}};
    ColumnSchema column;
    std::vector<UserType> types;
    [[nodiscard]] ColumnSide view() const { return {server, column, types}; }
};

ColumnSchema column(std::uint32_t type, std::int32_t modifier = -1) {
    ColumnSchema c;
    c.name = "c";
    c.type_id = type;
    c.type_modifier = modifier;
    return c;
}

UserType user(UserType::Kind kind, const std::string& name, std::uint32_t id) {
    UserType t;
    t.kind = kind;
    t.name = {"shop", name};
    t.type_id = id;
    t.array_type_id = id + 1;
    return t;
}

UserType mood(std::uint32_t id) {
    auto t = user(UserType::Kind::enumeration, "mood", id);
    t.labels = {"so", "la"};
    return t;
}

UserType composite(std::uint32_t id, std::vector<ColumnSchema> attributes) {
    auto t = user(UserType::Kind::composite, "pair", id);
    for (std::size_t i = 0; i < attributes.size(); ++i) attributes[i].name = "f" + std::to_string(i);
    t.attributes = std::move(attributes);
    return t;
}

UserType domain(std::uint32_t id, ColumnSchema base) {
    auto t = user(UserType::Kind::domain, "dom", id);
    t.base = std::move(base);
    return t;
}

UserType range(std::uint32_t id, std::uint32_t subtype) {
    auto t = user(UserType::Kind::range, "span", id);
    t.base.type_id = subtype;
    t.multirange_type_id = id + 2;
    t.multirange_array_type_id = id + 3;
    return t;
}

UserType hstore(std::uint32_t id, const std::string& version) {
    auto t = user(UserType::Kind::extension, "hstore", id);
    t.extension = "hstore";
    t.extension_version = version;
    return t;
}

struct Case {
    std::string rule;
    bool passes;
    std::function<void(Side& source, Side& target)> make;
};

constexpr std::int32_t numeric(int precision, int scale) { return ((precision << 16) | (scale & 0x7ff)) + 4; }

class RelayTest : public ::testing::TestWithParam<Case> {};

TEST_P(RelayTest, Rule) {
    Side source, target;
    GetParam().make(source, target);
    const std::string why = binary_refusal(source.view(), target.view());
    EXPECT_EQ(why.empty(), GetParam().passes) << why;
    EXPECT_EQ(may_relay_binary(source.view(), target.view()), GetParam().passes);
}

Case same(const std::string& rule, bool passes, std::uint32_t type, std::int32_t modifier = -1) {
    return {rule, passes, [=](Side& s, Side& t) { s.column = t.column = column(type, modifier); }};
}

Case between(const std::string& rule, bool passes, int from, int to, std::uint32_t type,
             std::int32_t modifier = -1) {
    return {rule, passes, [=](Side& s, Side& t) {
                s.column = t.column = column(type, modifier);
                s.server.version = from;
                t.server.version = to;
            }};
}

// user types with other numbers on the target
Case pair(const std::string& rule, bool passes, int target_version, std::vector<UserType> from,
          std::uint32_t from_type, std::vector<UserType> to, std::uint32_t to_type) {
    return {rule, passes, [=](Side& s, Side& t) {
                s.types = from;
                t.types = to;
                s.column = column(from_type);
                t.column = column(to_type);
                t.server.version = target_version;
            }};
}

const auto kCases = [] {
    std::vector<Case> c;
    // same built-in type
    for (const std::uint32_t type :
         {16U,   17U,   20U,   21U,   23U,   25U,   26U,   114U,  142U,  600U,  700U,
          701U,  869U,  1042U, 1043U, 1082U, 1083U, 1114U, 1184U, 1186U, 1266U, 1560U,
          1562U, 1700U, 2950U, 3220U, 3614U, 3802U, 3904U, 4451U, 1007U, 1009U})
        c.push_back(same("built_in_" + std::to_string(type), true, type));
    c.push_back(
        {"other_type", false, [](Side& s, Side& t) { s.column = column(23), t.column = column(1082); }});
    c.push_back(
        {"int_widened", false, [](Side& s, Side& t) { s.column = column(23), t.column = column(20); }});
    c.push_back(same("number_above_the_fixed_ones", false, 13000));
    // typmod
    const auto modifiers = [](std::uint32_t type, std::int32_t a, std::int32_t b) {
        return [=](Side& s, Side& t) { s.column = column(type, a), t.column = column(type, b); };
    };
    c.push_back({"numeric_10_4_to_10_2", false, modifiers(1700, numeric(10, 4), numeric(10, 2))});
    c.push_back({"numeric_10_2_to_unbounded", false, modifiers(1700, numeric(10, 2), -1)});
    c.push_back({"timestamp_6_to_3", false, modifiers(1114, 6, 3)});
    c.push_back({"varchar_10_to_5", false, modifiers(1043, 14, 9)});
    c.push_back({"varchar_10_to_10", true, modifiers(1043, 14, 14)});
    // reg* and their arrays
    for (const std::uint32_t type :
         {24U,   2202U, 2203U, 2204U, 2205U, 2206U, 3734U, 3769U, 4089U, 4096U, 4191U, 8326U,
          1008U, 2207U, 2208U, 2209U, 2210U, 2211U, 3735U, 3770U, 4090U, 4097U, 4192U, 8327U})
        c.push_back(same("reg_" + std::to_string(type), false, type));
    c.push_back(pair("regclass_in_composite", false, 150000, {composite(50000, {column(23), column(2205)})},
                     50000, {composite(60000, {column(23), column(2205)})}, 60000));
    c.push_back(pair("regclass_array_in_composite_in_array", false, 150000,
                     {composite(50000, {column(2210)})}, 50001, {composite(60000, {column(2210)})}, 60001));
    c.push_back(pair("domain_over_regtype", false, 150000, {domain(50000, column(2206))}, 50000,
                     {domain(60000, column(2206))}, 60000));
    // no binary form
    c.push_back(same("aclitem", false, 1033));
    c.push_back(same("record", false, 2249));
    c.push_back(pair("type_without_send", false, 150000, {[] {
                         auto t = hstore(50000, "1");
                         t.binary = false;
                         return t;
                     }()},
                     50000, {hstore(60000, "1")}, 60000));
    // money
    c.push_back(same("money", true, 790));
    c.push_back({"money_other_locale", false, [](Side& s, Side& t) {
                     s.column = t.column = column(790);
                     t.server.facts["lc_monetary"] = "ja_JP.UTF-8";
                 }});
    c.push_back({"money_array_other_locale", false, [](Side& s, Side& t) {
                     s.column = t.column = column(791);
                     s.server.facts["lc_monetary"] = "ja_JP.UTF-8";
                 }});
    c.push_back({"money_locale_unknown", false, [](Side& s, Side& t) {
                     s.column = t.column = column(790);
                     s.server.facts.clear();
                 }});
    c.push_back(pair("money_in_composite", true, 150000, {composite(50000, {column(790)})}, 50000,
                     {composite(60000, {column(790)})}, 60000));
    // encodings
    c.push_back({"source_latin1", false, [](Side& s, Side& t) {
                     s.column = t.column = column(25);
                     s.server.encoding = "LATIN1";
                 }});
    c.push_back({"target_ascii", false, [](Side& s, Side& t) {
                     s.column = t.column = column(23);
                     t.server.encoding = "SQL_ASCII";
                 }});
    c.push_back({"other_family", false, [](Side& s, Side& t) {
                     s.column = t.column = column(23);
                     t.server.family = "mysql";
                 }});
    // versions
    c.push_back(between("numeric_14_to_13", false, 140000, 130000, 1700));
    c.push_back(between("numeric_array_15_to_13", false, 150000, 130000, 1231));
    c.push_back(between("numrange_15_to_13", false, 150000, 130000, 3906));
    c.push_back(between("numeric_13_to_13", true, 130000, 130000, 1700));
    c.push_back(between("numeric_14_to_14", true, 140000, 140000, 1700));
    c.push_back(between("numeric_bounded_14_to_13", true, 140000, 130000, 1700, numeric(10, 2)));
    c.push_back(between("numeric_negative_scale_15_to_14", false, 150000, 140000, 1700, numeric(3, -2)));
    c.push_back(between("numeric_wide_scale_15_to_14", false, 150000, 140000, 1700, numeric(2, 5)));
    c.push_back(between("numeric_negative_scale_15_to_15", true, 150000, 150000, 1700, numeric(3, -2)));
    c.push_back(between("interval_17_to_16", false, 170000, 160000, 1186));
    c.push_back(between("interval_16_to_15", true, 160000, 150000, 1186));
    c.push_back(between("interval_17_to_18", true, 170000, 180000, 1186));
    c.push_back(between("from_9_6", false, 90600, 150000, 1114));
    // user types
    c.push_back(pair("enum", true, 150000, {mood(50000)}, 50000, {mood(60000)}, 60000));
    c.push_back(pair("enum_array", true, 140000, {mood(50000)}, 50001, {mood(60000)}, 60001));
    c.push_back(pair("enum_array_before_14", false, 130000, {mood(50000)}, 50001, {mood(60000)}, 60001));
    c.push_back(pair("enum_before_14", true, 130000, {mood(50000)}, 50000, {mood(60000)}, 60000));
    c.push_back(pair("enum_and_its_array", false, 150000, {mood(50000)}, 50000, {mood(60000)}, 60001));
    c.push_back(pair("enum_to_text", false, 150000, {mood(50000)}, 50000, {}, 25));
    c.push_back(pair("enum_other_labels", false, 150000, {mood(50000)}, 50000, {[] {
                         auto t = mood(60000);
                         t.labels.pop_back();
                         return t;
                     }()},
                     60000));
    c.push_back(pair("enum_other_order", false, 150000, {mood(50000)}, 50000, {[] {
                         auto t = mood(60000);
                         std::swap(t.labels[0], t.labels[1]);
                         return t;
                     }()},
                     60000));
    c.push_back(pair("domain", true, 150000, {domain(50000, column(1043, 14))}, 50000,
                     {domain(60000, column(1043, 14))}, 60000));
    c.push_back(pair("domain_other_length", false, 150000, {domain(50000, column(1043, 14))}, 50000,
                     {domain(60000, column(1043, 9))}, 60000));
    c.push_back(pair("domain_other_base", false, 150000, {domain(50000, column(23))}, 50000,
                     {domain(60000, column(1082))}, 60000));
    c.push_back(pair("domain_other_check", false, 150000, {domain(50000, column(23))}, 50000, {[] {
                         auto t = domain(60000, column(23));
                         t.checks.push_back({"c", "CHECK (VALUE > 0)"});
                         return t;
                     }()},
                     60000));
    c.push_back(pair("domain_over_enum_array_before_14", false, 130000,
                     {mood(50000), domain(51000, column(50001))}, 51000,
                     {mood(60000), domain(61000, column(60001))}, 61000));
    c.push_back(pair("composite", true, 150000, {composite(50000, {column(23), column(25)})}, 50000,
                     {composite(60000, {column(23), column(25)})}, 60000));
    c.push_back(pair("composite_other_type", false, 150000, {composite(50000, {column(23)})}, 50000,
                     {composite(60000, {column(1082)})}, 60000));
    c.push_back(pair("composite_other_typmod", false, 150000,
                     {composite(50000, {column(1700, numeric(10, 4))})}, 50000,
                     {composite(60000, {column(1700, numeric(10, 2))})}, 60000));
    c.push_back(pair("composite_more_attributes", false, 150000, {composite(50000, {column(23)})}, 50000,
                     {composite(60000, {column(23), column(23)})}, 60000));
    c.push_back(pair("composite_of_built_in_before_14", true, 130000, {composite(50000, {column(23)})}, 50000,
                     {composite(60000, {column(23)})}, 60000));
    c.push_back(pair("composite_array_before_14", false, 130000, {composite(50000, {column(23)})}, 50001,
                     {composite(60000, {column(23)})}, 60001));
    c.push_back(pair("composite_of_enum_before_14", false, 130000,
                     {mood(50000), composite(51000, {column(50000)})}, 51000,
                     {mood(60000), composite(61000, {column(60000)})}, 61000));
    c.push_back(pair("composite_of_enum", true, 140000, {mood(50000), composite(51000, {column(50000)})},
                     51000, {mood(60000), composite(61000, {column(60000)})}, 61000));
    c.push_back(pair("composite_of_changed_enum_in_array", false, 150000,
                     {mood(50000), composite(51000, {column(50001)})}, 51001,
                     {[] {
                          auto t = mood(60000);
                          t.labels.push_back("new");
                          return t;
                      }(),
                      composite(61000, {column(60001)})},
                     61001));
    c.push_back(pair("range", true, 150000, {range(50000, 701)}, 50000, {range(60000, 701)}, 60000));
    c.push_back(
        pair("range_other_subtype", false, 150000, {range(50000, 701)}, 50000, {range(60000, 700)}, 60000));
    c.push_back(pair("multirange", true, 150000, {range(50000, 701)}, 50002, {range(60000, 701)}, 60002));
    c.push_back(
        pair("multirange_and_range", false, 150000, {range(50000, 701)}, 50002, {range(60000, 701)}, 60000));
    c.push_back(
        pair("extension", true, 150000, {hstore(50000, "1.8")}, 50000, {hstore(60000, "1.8")}, 60000));
    c.push_back(pair("extension_version", false, 150000, {hstore(50000, "1.8")}, 50000,
                     {hstore(60000, "1.7")}, 60000));
    c.push_back(pair("own_c_type", false, 150000, {user(UserType::Kind::base, "c", 50000)}, 50000,
                     {user(UserType::Kind::base, "c", 60000)}, 60000));
    return c;
}();

INSTANTIATE_TEST_SUITE_P(Binary, RelayTest, ::testing::ValuesIn(kCases),
                         [](const auto& i) { return i.param.rule; });

TEST(RelayFormats, CopyOptions) {
    EXPECT_EQ(copy_in_options(kFormatBinary), " (FORMAT binary)");
    EXPECT_EQ(copy_out_options(kFormatCsv), " (FORMAT csv, FORCE_QUOTE *, ENCODING 'UTF8')");
}

// Length and precision are the target's business once the value goes as text.
TEST(RelayTypes, DifferenceIgnoresModifiers) {
    Side s, t;
    s.column = column(1043, 14);
    t.column = column(1043, 9);
    EXPECT_EQ(type_difference(s.view(), t.view()), "");
    t.column = column(25);
    EXPECT_NE(type_difference(s.view(), t.view()), "");
}

}  // namespace
}  // namespace godwit::postgres
