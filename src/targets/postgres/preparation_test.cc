// Goal: how the target spells a column's type.

#include "targets/postgres/preparation.h"

#include <gtest/gtest.h>

namespace godwit::postgres {
namespace {

ColumnSchema column(const std::string& type, std::uint32_t id) {
    ColumnSchema c;
    c.native_type = type;
    c.type_id = id;
    return c;
}

TEST(TargetType, FollowsExtensionsAndRights) {
    UserType geometry;
    geometry.kind = UserType::Kind::extension;
    geometry.name = {"public", "geometry"};
    geometry.type_id = 50000;
    geometry.array_type_id = 50001;
    UserType mood;
    mood.kind = UserType::Kind::enumeration;
    mood.name = {"My Shop", "mood"};
    mood.type_id = 60000;
    const std::vector<UserType> types{geometry, mood};
    TypeMap map;
    EXPECT_EQ(target_type(column("public.geometry(Point,4326)", 50000), types, map),
              "public.geometry(Point,4326)");
    map.moved.emplace_back(quote_if_needed_prefix("public"), quote_if_needed_prefix("Gis"));
    EXPECT_EQ(target_type(column("public.geometry(Point,4326)", 50000), types, map),
              "\"Gis\".geometry(Point,4326)");
    EXPECT_EQ(target_type(column("public.geometry[]", 50001), types, map), "\"Gis\".geometry[]");
    EXPECT_EQ(target_type(column("\"My Shop\".mood", 60000), types, map), "\"My Shop\".mood");
    map.unusable.emplace_back("My Shop.mood");
    EXPECT_EQ(target_type(column("\"My Shop\".mood", 60000), types, map), "character varying");
    EXPECT_EQ(target_type(column("integer", 23), types, map), "integer");
}

TEST(TargetNames, OverrideOfTheSchema) {
    TargetContext x;
    EXPECT_EQ(x.name_of({"a", "t"}), (TableName{"a", "t"}));
    x.target_schema = "b";
    EXPECT_EQ(x.name_of({"a", "t"}), (TableName{"b", "t"}));
}

}  // namespace
}  // namespace godwit::postgres
