// Signatures: the expected ones were made by botocore's SigV4Auth.

#include "api/sigv4.h"

#include <gtest/gtest.h>

#include "api/text.h"

namespace godwit::api {
namespace {

const KeyPair kKey{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "123456789012"};
const std::string kBody = R"({"Filters":[]})";

WallTime at(const char* iso) { return WallTime{std::chrono::microseconds(parse_iso_time(iso)->us)}; }
WallTime signing_time() { return at("2026-11-21T06:15:00Z"); }

std::string signed_by_us(const sigv4::Request& request) {
    return sigv4::authorization(request, kKey.id, kKey.secret, "eu-central-1", "dms");
}

sigv4::Request post() {
    sigv4::Request request;
    request.method = "POST";
    request.path = "/";
    request.body = kBody;
    request.headers = {{"content-type", "application/x-amz-json-1.1"},
                       {"host", "127.0.0.1:4600"},
                       {"x-amz-date", "20261121T061500Z"},
                       {"x-amz-target", "AmazonDMSv20160101.DescribeEndpoints"}};
    return request;
}
constexpr const char* kPostAuthorization =
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/eu-central-1/dms/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
    "Signature=d594ef3b9d7f8007e25d74ce3a59c09412e5780799e1f4dbd33139d8faec13be";

sigv4::Request signed_post() {
    auto request = post();
    request.headers.emplace("authorization", kPostAuthorization);
    return request;
}

std::string refusal(const sigv4::Request& request, WallTime now = signing_time()) {
    const auto answer = authenticate(request, std::span(&kKey, 1), now);
    return answer ? "(accepted)" : answer.error().name;
}

void replace_header(sigv4::Request& request, const std::string& name, const std::string& value) {
    request.headers.erase(name);
    request.headers.emplace(name, value);
}

TEST(SigV4, signs_as_botocore_does) {
    EXPECT_EQ(signed_by_us(post()), kPostAuthorization);

    sigv4::Request get;
    get.method = "GET";
    get.path = "/godwit/v1/tasks/a%20b/logs";
    get.query = "lines=5&b=%C3%A4&a=&c";
    get.headers = {
        {"host", "127.0.0.1:4600"}, {"x-amz-date", "20261121T061500Z"}, {"x-extra", "  two   blanks "}};
    const auto authorization = signed_by_us(get);
    EXPECT_TRUE(
        authorization.ends_with("SignedHeaders=host;x-amz-date;x-extra, "
                                "Signature=37677ff3f6db4c00c5e50f9aa975be49f34ecc6e1f492c96824d1be655bd8dde"))
        << authorization;
    get.headers.emplace("authorization", authorization);
    EXPECT_EQ(refusal(get), "(accepted)");
}

TEST(SigV4, the_caller_is_the_keys_account_in_the_scopes_region) {
    const auto caller = authenticate(signed_post(), std::span(&kKey, 1), signing_time());
    ASSERT_TRUE(caller);
    EXPECT_EQ(caller->account, "123456789012");
    EXPECT_EQ(caller->region, "eu-central-1");
}

TEST(SigV4, headers_beside_the_signed_ones_do_not_matter) {
    auto request = signed_post();
    request.headers.emplace("user-agent", "anything");
    EXPECT_EQ(refusal(request), "(accepted)");
}

TEST(SigV4, whatever_is_signed_must_not_change) {
    auto body = signed_post();
    body.body = "{}";
    EXPECT_EQ(refusal(body), "InvalidSignatureException");
    auto target = signed_post();
    replace_header(target, "x-amz-target", "AmazonDMSv20160101.DeleteEndpoint");
    EXPECT_EQ(refusal(target), "InvalidSignatureException");
    auto host = signed_post();
    replace_header(host, "host", "elsewhere");
    EXPECT_EQ(refusal(host), "InvalidSignatureException");
    auto method = signed_post();
    method.method = "GET";
    EXPECT_EQ(refusal(method), "InvalidSignatureException");
    auto path = signed_post();
    path.path = "/other";
    EXPECT_EQ(refusal(path), "InvalidSignatureException");
    auto query = signed_post();
    query.query = "a=b";
    EXPECT_EQ(refusal(query), "InvalidSignatureException");
    auto second_value = signed_post();
    second_value.headers.emplace("x-amz-target", "AmazonDMSv20160101.DeleteEndpoint");
    EXPECT_EQ(refusal(second_value), "InvalidSignatureException");
}

TEST(SigV4, the_operation_must_be_among_the_signed_headers) {
    // Else a recorded signature would do for any operation.
    auto request = post();
    const auto target = request.headers.extract("x-amz-target");
    const auto authorization = signed_by_us(request);
    request.headers.emplace("authorization", authorization);
    EXPECT_EQ(refusal(request), "(accepted)");
    request.headers.emplace("x-amz-target", target.mapped());
    EXPECT_EQ(refusal(request), "InvalidSignatureException");
}

TEST(SigV4, a_signature_lives_fifteen_minutes_either_way) {
    EXPECT_EQ(refusal(signed_post(), at("2026-11-21T06:30:00Z")), "(accepted)");
    EXPECT_EQ(refusal(signed_post(), at("2026-11-21T06:30:01Z")), "InvalidSignatureException");
    EXPECT_EQ(refusal(signed_post(), at("2026-11-21T06:00:00Z")), "(accepted)");
    EXPECT_EQ(refusal(signed_post(), at("2026-11-21T05:59:59Z")), "InvalidSignatureException");
}

TEST(SigV4, each_fault_has_its_name) {
    EXPECT_EQ(refusal(post()), "MissingAuthenticationTokenException");
    const auto with = [](const std::string& authorization) {
        auto request = post();
        request.headers.emplace("authorization", authorization);
        return refusal(request);
    };
    const std::string good = kPostAuthorization;
    const auto changed = [&](const std::string& from, const std::string& to) {
        auto text = good;
        text.replace(text.find(from), from.size(), to);
        return with(text);
    };
    EXPECT_EQ(with("Bearer abc"), "IncompleteSignatureException");
    EXPECT_EQ(with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE"), "IncompleteSignatureException");
    EXPECT_EQ(changed("AKIDEXAMPLE/20261121/", "AKIDEXAMPLE/"), "IncompleteSignatureException");
    EXPECT_EQ(changed("AKIDEXAMPLE", "AKIDUNKNOWN"), "UnrecognizedClientException");
    EXPECT_EQ(changed("/dms/", "/s3/"), "InvalidSignatureException");
    EXPECT_EQ(changed("/20261121/", "/20261120/"), "InvalidSignatureException");
    EXPECT_EQ(changed("eu-central-1", "us-east-1"), "InvalidSignatureException");
    EXPECT_EQ(changed("host;", ""), "InvalidSignatureException");
    EXPECT_EQ(changed("d594", "d595"), "InvalidSignatureException");
    EXPECT_EQ(changed("faec13be", ""), "InvalidSignatureException");
    auto undated = signed_post();
    undated.headers.erase("x-amz-date");
    EXPECT_EQ(refusal(undated), "IncompleteSignatureException");
}

TEST(SigV4, without_keys_anybody_passes_and_the_region_is_believed) {
    EXPECT_EQ(authenticate(post(), {}, signing_time())->region, "us-east-1");
    auto request = signed_post();
    request.body = "changed";
    const auto caller = authenticate(request, {}, signing_time());
    ASSERT_TRUE(caller);
    EXPECT_EQ(caller->region, "eu-central-1");
    EXPECT_EQ(caller->account, "000000000000");
    replace_header(
        request, "authorization",
        "AWS4-HMAC-SHA256 Credential=a/b/../c:d/dms/aws4_request, SignedHeaders=host, Signature=0");
    EXPECT_EQ(authenticate(request, {}, signing_time())->region, "us-east-1");
}

TEST(KeyPairs, are_read_from_one_text) {
    const auto keys = parse_key_pairs("A:s1,B:s2:123456789012,");
    ASSERT_TRUE(keys);
    ASSERT_EQ(keys->size(), 2U);
    EXPECT_EQ((*keys)[0].account, "000000000000");
    EXPECT_EQ((*keys)[1].secret, "s2");
    EXPECT_EQ((*keys)[1].account, "123456789012");
    EXPECT_TRUE(parse_key_pairs("")->empty());
    for (const char* bad : {"A", "A:", ":s", "A:s:12", "A:s:12345678901x", "A:s:123456789012:x"})
        EXPECT_FALSE(parse_key_pairs(bad)) << bad;
}

}  // namespace
}  // namespace godwit::api
