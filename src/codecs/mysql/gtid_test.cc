// GTID sets and positions: what is printed is read again, and the encoding of the dump command.

#include "codecs/mysql/gtid.h"

#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

constexpr const char* kA = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
constexpr const char* kB = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

GtidSource source(std::string_view uuid, std::string tag = {}) {
    GtidSource s;
    EXPECT_TRUE(parse_uuid(uuid, s.uuid));
    s.tag = std::move(tag);
    return s;
}

TEST(GtidSet, ParsesAndPrints) {
    const std::string text = std::string(kA) + ":1-5:7:9-10," + kB + ":3";
    const auto set = GtidSet::parse(text);
    ASSERT_TRUE(set);
    EXPECT_EQ(set->text(), text);
    EXPECT_EQ(GtidSet::parse(std::string(kB) + ":3,\n " + kA + ":9-10:1-4:5:7")->text(), text);
    EXPECT_TRUE(GtidSet::parse("")->empty());
    EXPECT_EQ(GtidSet::parse(std::string(kA) + ":1-2:Tag_1:4-5:6")->text(),
              std::string(kA) + ":1-2:tag_1:4-6");
    for (const char* bad :
         {"x", "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429562:0",
          "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-", "3e11fa47-71ca-11e1-9e33-c80aa942956:1",
          "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2-3",
          "3e11fa47-71ca-11e1-9e33-c80aa9429562:99999999999999999999"})
        EXPECT_FALSE(GtidSet::parse(bad)) << bad;
}

TEST(GtidSet, AddsInAnyOrder) {
    GtidSet set;
    const GtidSource a = source(kA);
    for (const std::uint64_t n : {5, 1, 3, 2, 9, 4, 7, 8}) set.add(a, n);
    EXPECT_EQ(set.text(), std::string(kA) + ":1-5:7-9");
    set.add(a, GtidSet::Interval{4, 8});
    EXPECT_EQ(set.text(), std::string(kA) + ":1-9");
    EXPECT_TRUE(set.contains(a, 9));
    EXPECT_FALSE(set.contains(a, 10));
    EXPECT_FALSE(set.contains(source(kA, "t"), 1));
    EXPECT_TRUE(set.contains(*GtidSet::parse(std::string(kA) + ":2-3:5")));
    EXPECT_FALSE(set.contains(*GtidSet::parse(std::string(kA) + ":8-10")));
    EXPECT_FALSE(set.contains(*GtidSet::parse(std::string(kB) + ":1")));
}

TEST(GtidSet, Encoding) {
    for (const auto& text :
         {std::string(kA) + ":1-5:7," + kB + ":3", std::string(kA) + ":1-5:tag:7", std::string()}) {
        ByteBuffer b;
        const auto set = GtidSet::parse(text);
        set->encode(b);
        const auto again = GtidSet::decode(b.view());
        ASSERT_TRUE(again);
        EXPECT_EQ(again->text(), text);
        for (std::size_t n = 0; n < b.size(); ++n) EXPECT_FALSE(GtidSet::decode(b.view().first(n)));
    }
    ByteBuffer b;
    GtidSet::parse(std::string(kA) + ":1-5")->encode(b);
    EXPECT_EQ(b.size(), 8U + 16 + 8 + 16);
    EXPECT_EQ(b.data()[0], std::byte{1});
    EXPECT_EQ(b.data()[8], std::byte{0x3e});
    EXPECT_EQ(b.data()[40], std::byte{6});  // the end is not included
}

TEST(MariadbGtidPosition, ParsesSetsAndContains) {
    auto p = MariadbGtidPosition::parse("1-2-30, 0-1-100");
    ASSERT_TRUE(p);
    EXPECT_EQ(p->text(), "0-1-100,1-2-30");
    p->set({0, 3, 101});
    EXPECT_EQ(p->text(), "0-3-101,1-2-30");
    EXPECT_TRUE(p->contains(MariadbGtid{1, 9, 30}));
    EXPECT_FALSE(p->contains(MariadbGtid{1, 9, 31}));
    EXPECT_FALSE(p->contains(MariadbGtid{2, 9, 1}));
    for (const char* bad : {"x", "1-2", "1-2-", "1-2-3-4", "-1-2-3"})
        EXPECT_FALSE(MariadbGtidPosition::parse(bad)) << bad;
}

TEST(MariadbGtidPosition, WhatMayHaveComeBehind) {
    const auto at = [](std::string_view text) { return MariadbGtidPosition::parse(text).value(); };
    const auto before = at("0-1-10,5-1-7");
    EXPECT_TRUE(at("0-1-10,5-1-7").continues(before));
    EXPECT_TRUE(at("0-2-8,5-1-8,6-1-1").continues(before));  // another server's number
    EXPECT_FALSE(at("0-1-9,5-1-7").continues(before));
    EXPECT_FALSE(at("0-1-11").continues(before));
    EXPECT_FALSE(at("").continues(before));
    EXPECT_TRUE(before.continues(at("")));
}

}  // namespace
}  // namespace godwit::mysql
