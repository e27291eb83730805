// Times, base64, ARNs, identifiers; secrets at rest.

#include "api/text.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "api/secret_source.h"
#include "api/vault.h"
#include "base/files.h"

namespace godwit::api {
namespace {

TEST(IsoTime, is_read_and_written_in_utc) {
    EXPECT_EQ(parse_iso_time("1970-01-01")->us, 0);
    EXPECT_EQ(parse_iso_time("2024-02-29T00:00:01")->us, 1709164801000000);
    EXPECT_EQ(parse_iso_time(" 2024-02-29T00:00:01Z ")->us, 1709164801000000);
    EXPECT_EQ(format_iso_time({1709164801999999}), "2024-02-29T00:00:01");
    EXPECT_EQ(format_iso_time({-1000000}), "1969-12-31T23:59:59");
    for (const char* bad :
         {"", "2024", "2023-02-29", "2024-13-01", "2024-01-01T", "2024-01-01T25:00:00", "2024-01-01T00:60:00",
          "2024-01-01T00:00:00.", "2024-01-01T00:00:00Zx", "2024-1-1"})
        EXPECT_FALSE(parse_iso_time(bad)) << bad;
}

TEST(Base64, round_trips_and_refuses_what_it_is_not) {
    for (const std::string text : {"", "a", "ab", "abc", "abcd"})
        EXPECT_EQ(base64_decode(base64_encode(text)), text);
    EXPECT_EQ(base64_encode("ab"), "YWI=");
    EXPECT_EQ(base64_decode("YWI"), "ab");
    EXPECT_FALSE(base64_decode("YW I="));
    EXPECT_FALSE(base64_decode("Y"));
    EXPECT_FALSE(base64_decode("=YWI"));
}

TEST(ResourceId, has_26_characters_of_base32) {
    const auto id = new_resource_id();
    EXPECT_EQ(id.size(), 26U);
    EXPECT_EQ(id.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), std::string::npos);
    EXPECT_NE(id, new_resource_id());
}

TEST(Arn, keeps_colons_of_its_last_part) {
    const auto arn = parse_arn("arn:aws:dms:eu-west-1:000000000000:subgrp:a.b");
    ASSERT_TRUE(arn);
    EXPECT_EQ(arn->type, "subgrp");
    EXPECT_EQ(arn->text(), "arn:aws:dms:eu-west-1:000000000000:subgrp:a.b");
    for (const char* bad : {"", "arn:aws:s3:::x", "arn:aws:dms:r:a:task:", "arn:aws:dms:r:a"})
        EXPECT_FALSE(parse_arn(bad)) << bad;
}

TEST(Identifier, follows_the_rules_of_the_service) {
    for (const char* good : {"a", "A-1", "abc-d-e"}) EXPECT_TRUE(check_identifier("X", good, 7)) << good;
    for (const char* bad : {"", "1a", "-a", "a-", "a--b", "a_b", "a b", "\xc3\xa4", "abcdefgh"})
        EXPECT_FALSE(check_identifier("X", bad, 7)) << bad;
}

class Folder {
public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-api-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::filesystem::path path;
};

TEST(Vault, opens_what_it_sealed_for_its_owner_only) {
    const Folder folder;
    const auto vault = Vault::open(folder.path / "key");
    ASSERT_TRUE(vault) << vault.error().text();
    const auto sealed = vault->seal("p@ss", "arn:1");
    ASSERT_TRUE(sealed);
    EXPECT_EQ(sealed->find("p@ss"), std::string::npos);
    EXPECT_NE(*sealed, *vault->seal("p@ss", "arn:1"));  // a nonce is used once
    EXPECT_EQ(Vault::open(folder.path / "key")->open_sealed(*sealed, "arn:1").value(), "p@ss");
    EXPECT_FALSE(vault->open_sealed(*sealed, "arn:2"));
    auto damaged = *base64_decode(*sealed);
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    EXPECT_FALSE(vault->open_sealed(base64_encode(damaged), "arn:1"));
    EXPECT_FALSE(vault->open_sealed("", "arn:1"));
    EXPECT_EQ(std::filesystem::status(folder.path / "key").permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(Vault, refuses_a_key_file_of_another_kind) {
    const Folder folder;
    ASSERT_TRUE(write_file(folder.path / "key", "short", false));
    EXPECT_FALSE(Vault::open(folder.path / "key"));
}

TEST(SecretSource, reads_a_file_by_name_and_by_arn) {
    const Folder folder;
    const auto file = (folder.path / "secrets.json").string();
    ASSERT_TRUE(write_file(file, R"({
        "shop": {"username": "u", "password": "p", "host": "h", "port": 5432},
        "arn:aws:secretsmanager:eu-west-1:1:secret:other-AbCdEf": {"username": "v", "password": "", "port": "1234"},
        "nobody": {"password": "p"}, "text": "x", "badport": {"username": "u", "port": "70000"}})",
                           false));
    const auto source = make_secret_source("", file, {});
    const auto shop = source->find("shop", "eu-west-1");
    ASSERT_TRUE(shop) << shop.error().text();
    EXPECT_EQ(shop->password, "p");
    EXPECT_EQ(shop->port, 5432);
    EXPECT_TRUE(source->find("arn:aws:secretsmanager:eu-west-1:1:secret:shop-AbCdEf", "eu-west-1"));
    EXPECT_EQ(source->find("other", "eu-west-1")->port, 1234);
    EXPECT_TRUE(source->find("arn:aws:secretsmanager:eu-west-1:1:secret:other", "eu-west-1"));
    for (const char* bad : {"absent", "nobody", "text", "badport", "shop-AbCdEf"})
        EXPECT_FALSE(source->find(bad, "eu-west-1")) << bad;
}

TEST(SecretSource, says_what_to_configure) {
    const auto none = make_secret_source("", "", {})->find("shop", "eu-west-1");
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message.find("GODWIT_SECRETS_FILE"), std::string::npos);
    const auto missing = make_secret_source("", "/nowhere/secrets.json", {})->find("shop", "eu-west-1");
    ASSERT_FALSE(missing);
}

}  // namespace
}  // namespace godwit::api
