#include "base/sigv4.h"

#include <gtest/gtest.h>

namespace godwit::sigv4 {
namespace {

// AWS's published test suite for Signature Version 4, the cases that fit our requests.
class SigV4Suite : public testing::Test {
protected:
    static std::string signed_as(Request request) {
        request.headers.emplace("host", "example.amazonaws.com");
        request.headers.emplace("x-amz-date", "20150830T123600Z");
        const std::string line = authorization(
            request, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service");
        return line.substr(line.rfind('=') + 1);
    }
};

TEST_F(SigV4Suite, GetVanilla) {
    EXPECT_EQ(signed_as({"GET", "/", "", {}, ""}),
              "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}
TEST_F(SigV4Suite, GetQueryOrder) {
    EXPECT_EQ(signed_as({"GET", "/", "Param2=value2&Param1=value1", {}, ""}),
              "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}
TEST_F(SigV4Suite, PostVanilla) {
    EXPECT_EQ(signed_as({"POST", "/", "", {}, ""}),
              "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}
TEST_F(SigV4Suite, PostForm) {
    EXPECT_EQ(
        signed_as(
            {"POST", "/", "", {{"content-type", "application/x-www-form-urlencoded"}}, "Param1=value1"}),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
}

TEST(SigV4, NamesScopeAndSignedHeaders) {
    const std::string line =
        authorization({"POST", "/", "", {{"host", "h"}, {"x-amz-date", "20260101T000000Z"}}, "{}"}, "KEY",
                      "secret", "eu-west-1", "dms");
    EXPECT_TRUE(
        line.starts_with("AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-west-1/dms/aws4_request, "
                         "SignedHeaders=host;x-amz-date, Signature="))
        << line;
}

}  // namespace
}  // namespace godwit::sigv4
