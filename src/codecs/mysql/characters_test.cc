// Character sets of the log: as the server converts them, whatever others make of them.

#include "codecs/mysql/characters.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace godwit::mysql {
namespace {

void put_utf8(std::uint32_t c, std::string& to) {
    const auto tail = [&](unsigned shift) { to += static_cast<char>(0x80U | (c >> shift & 0x3FU)); };
    if (c < 0x80) {
        to += static_cast<char>(c);
    } else if (c < 0x800) {
        to += static_cast<char>(0xC0U | c >> 6U);
        tail(0);
    } else if (c < 0x1'0000) {
        to += static_cast<char>(0xE0U | c >> 12U);
        tail(6);
        tail(0);
    } else {
        to += static_cast<char>(0xF0U | c >> 18U);
        tail(12);
        tail(6);
        tail(0);
    }
}

// A server to which each character is the number that its bytes are, of three and four bytes shifted so that
// it is one that UTF-8 can say; 0xF0 and what ends in it is no character to Unicode.
struct Server {
    std::size_t questions = 0, longest = 0;
    std::string wrong = {};  // said in place of the answer
    Result<std::string> operator()(std::string_view text) {
        ++questions;
        longest = std::max(longest, text.size());
        if (!wrong.empty()) return wrong;
        std::string out;
        while (!text.empty()) {
            const auto end = text.find('\n');
            std::uint32_t v = 0;
            for (const char b : text.substr(0, end)) v = v << 8U | static_cast<unsigned char>(b);
            if (end == 3) v = 0x1'0000 + (v & 0xFFFFU);
            if (end == 4) v = 0x2'0000 + (v & 0xFFFFU);
            if (end < 3 && (v & 0xFFU) == 0xF0) v = '?';
            put_utf8(v, out);
            out += '\n';
            text.remove_prefix(end + 1);
        }
        return out;
    }
};

std::string to_utf8(std::string_view charset, std::string_view text, Server& server) {
    const auto t = Transcoder::open(
        charset, [&](std::string_view set) { return CharacterMap::read(set, std::ref(server)); });
    if (!t) return t.error().message;
    ByteBuffer out;
    t->append(as_bytes(text), out);
    return std::string(as_text(out.view()));
}
std::string to_utf8(std::string_view charset, std::string_view text) {
    Server server;
    return to_utf8(charset, text, server);
}
std::string utf8(std::initializer_list<std::uint32_t> characters) {
    std::string out;
    for (const auto c : characters) put_utf8(c, out);
    return out;
}

TEST(MysqlCharacters, SetsThatAreKnownByRule) {
    EXPECT_TRUE(Transcoder::open("utf8mb4", {})->passes());
    EXPECT_TRUE(Transcoder::open("", {})->passes());
    EXPECT_FALSE(Transcoder::open("ascii", {})->passes());
    Server none;
    EXPECT_EQ(to_utf8("ascii", "a\x80z", none), "a?z");
    EXPECT_EQ(to_utf8("latin1", "a\xE9\x80\x81", none), "a\xC3\xA9\xE2\x82\xAC\xC2\x81");
    EXPECT_EQ(to_utf8("ucs2", std::string_view("\x20\xAC\0x", 4), none), "\xE2\x82\xACx");
    EXPECT_EQ(to_utf8("utf16", std::string_view("\xD8\x3D\xDE\x00\0x", 6), none), "\xF0\x9F\x98\x80x");
    EXPECT_EQ(to_utf8("utf16le", std::string_view("\x3D\xD8\x00\xDE", 4), none), "\xF0\x9F\x98\x80");
    EXPECT_EQ(to_utf8("utf32", std::string_view("\0\x01\xF6\x00\0\0\0x", 8), none), "\xF0\x9F\x98\x80x");
    // half a pair: ucs2 and utf32 hold it and the server sends it; utf16 holds none
    EXPECT_EQ(to_utf8("ucs2", "\xD8\x3D", none), "\xED\xA0\xBD");
    EXPECT_EQ(to_utf8("utf32", std::string_view("\0\0\xD8\x3D", 4), none), "\xED\xA0\xBD");
    EXPECT_EQ(to_utf8("utf16", std::string_view("\xD8\x3D\0x\xDE\x00\xD8\x3D", 8), none), "?x??");
    EXPECT_EQ(to_utf8("utf32", std::string_view("\0\x11\0\0\0", 5), none), "??");
    EXPECT_EQ(none.questions, 0U);
}

TEST(MysqlCharacters, BytesAreWhatTheServerSays) {
    Server server;
    EXPECT_EQ(to_utf8("greek", "a\n\xA1\xF0", server), utf8({'a', '\n', 0xA1, '?'}));
    EXPECT_EQ(server.questions, 1U);
    EXPECT_EQ(to_utf8("greek", "abc", server), "abc");
    EXPECT_EQ(to_utf8("greek", "", server), "");
    // ASCII itself may be another (swe7)
    std::string answer;
    for (int b = 0; b < 256; ++b)
        if (b != '\n') answer += std::string(b == 0x5B ? "\xC3\x84" : "x") + "\n";
    server.wrong = answer;
    EXPECT_EQ(to_utf8("swe7", "[", server), "\xC3\x84");
}

TEST(MysqlCharacters, SeveralBytesMakeOne) {
    EXPECT_EQ(to_utf8("sjis", "\x5C\x81\x5C\xB1"), utf8({0x5C, 0x815C, 0xB1}));
    EXPECT_EQ(to_utf8("gbk", "a\x81\x40\x81\xF0\n"), utf8({'a', 0x8140, '?', '\n'}));
    EXPECT_EQ(to_utf8("ujis", "\x8E\xB1\xA1\xA2\x8F\xA1\xA2x"), utf8({0x8EB1, 0xA1A2, 0x1'A1A2, 'x'}));
    Server server;
    EXPECT_EQ(to_utf8("gb18030", "\x81\x40\x81\x31\x82\x33x", server), utf8({0x8140, 0x2'8233, 'x'}));
    EXPECT_LE(server.longest, 66'000U);
    EXPECT_LE(server.questions, 8U);
    // by their order from U+10000 on; what is behind the last and between them is no character
    EXPECT_EQ(to_utf8("gb18030", "\x90\x30\x81\x30\xE3\x32\x9A\x35\xE3\x32\x9A\x36\x85\x30\x81\x30"),
              utf8({0x1'0000, 0x10'FFFF, '?', '?'}));
    // chunks end in the middle of one
    std::string from, to;
    for (int i = 0; i < 50'000; ++i) {
        from += i % 7 == 0 ? "x" : "\x8F\xA1\xA2";
        to += i % 7 == 0 ? utf8({'x'}) : utf8({0x1'A1A2});
    }
    EXPECT_EQ(to_utf8("eucjpms", from), to);
}

TEST(MysqlCharacters, WhatIsNoCharacter) {
    EXPECT_EQ(to_utf8("gbk", "a\xFF"), "a?");
    EXPECT_EQ(to_utf8("gbk", "\x81"), "?");
    EXPECT_EQ(to_utf8("gbk", "\x81\x30"), "?0");
    EXPECT_EQ(to_utf8("ujis", "\x8F\xA1"), "??");
    EXPECT_EQ(to_utf8("gb18030", "\x81\x30\x81"), "?0?");
}

TEST(MysqlCharacters, AnAnswerThatIsNotUnderstood) {
    Server server;
    for (const char* wrong : {"x", "x\n", "xy\n", "\n", "\xE2\x82"}) {
        server.wrong = wrong;
        EXPECT_EQ(to_utf8("greek", "x", server), "character set greek cannot be read");
    }
    EXPECT_EQ(Transcoder::open("greek", {}).error().message, "character set greek cannot be read");
}

}  // namespace
}  // namespace godwit::mysql
