#include "engine/shapes.h"

#include <gtest/gtest.h>

#include <fstream>

#include "fakes/memory_rows.h"

namespace godwit::engine {
namespace {

TEST(Shapes, come_back_as_they_were_or_not_at_all) {
    std::string pattern = (std::filesystem::temp_directory_path() / "godwit-shapes-XXXXXX").string();
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    const auto file = folder / "shapes";
    EXPECT_TRUE(load_shapes(file).empty());
    auto a = test::table_of("a", {"id", "v"});
    a.storage_id = 7;
    a.columns_id = 8;
    a.name_id = 9;
    a.columns[1].type_modifier = 14;
    a.columns[1].generated = true;
    a.columns[0].portable = {PortableKind::numeric, 3, 12, -2, true, true};
    auto b = test::table_of("b", {"id"}, 0);
    b.partitioned = true;
    b.leaves = {{"public", "b1"}, {"other", "b2"}};
    b.leaf_states = {{11, 12, false, 15}, {13, 14, false, 16, false}};
    ASSERT_TRUE(save_shapes(file, {a, b}));
    const auto back = load_shapes(file);
    ASSERT_EQ(back.size(), 2U);
    EXPECT_EQ(back[0].name, a.name);
    EXPECT_EQ(back[0].source_id, a.source_id);
    EXPECT_EQ(back[0].storage_id, 7U);
    EXPECT_EQ(back[0].columns_id, 8U);
    EXPECT_EQ(back[0].name_id, 9U);
    EXPECT_EQ(back[0].columns, a.columns);
    EXPECT_EQ(back[0].identity, RowIdentity::key);
    EXPECT_EQ(back[0].identity_columns, a.identity_columns);
    EXPECT_EQ(back[0].primary_key, a.primary_key);
    EXPECT_EQ(back[1].identity, RowIdentity::full);
    EXPECT_EQ(back[1].leaves, b.leaves);
    EXPECT_EQ(back[1].leaf_states, b.leaf_states);
    const auto size = std::filesystem::file_size(file);
    for (std::uintmax_t cut = 0; cut < size; ++cut) {
        std::filesystem::resize_file(file, cut);
        EXPECT_TRUE(load_shapes(file).empty()) << cut;
        ASSERT_TRUE(save_shapes(file, {a, b}));
    }
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace godwit::engine
