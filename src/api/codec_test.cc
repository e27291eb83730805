// From JSON to the messages of the API and back.

#include "api/codec.h"

#include <gtest/gtest.h>

#include "api/model.gen.h"

namespace godwit::api {
namespace {

template <class T>
Answer<T> decode(const std::string& json) {
    T value;
    if (auto done = decode_request(shape_of(&value), &value, json); !done)
        return std::unexpected(done.error());
    return value;
}
template <class T>
std::string refusal(const std::string& json) {
    const auto decoded = decode<T>(json);
    return decoded ? "(accepted)" : decoded.error().name;
}

using Endpoint = model::CreateEndpointMessage;
const std::string kEndpoint = R"("EndpointIdentifier":"e","EndpointType":"source","EngineName":"postgres")";

TEST(Decode, knows_members_lists_and_structures) {
    const auto in = decode<Endpoint>("{" + kEndpoint +
                                     R"(,"Port":5432,"Tags":[{"Key":"k","Value":"v"},{"Key":"l"}],)"
                                     R"("PostgreSQLSettings":{"CaptureDdls":false,"SlotName":"s"}})");
    ASSERT_TRUE(in) << in.error().message;
    EXPECT_EQ(in->endpoint_identifier, "e");
    EXPECT_EQ(in->port, 5432);
    ASSERT_EQ(in->tags->size(), 2U);
    EXPECT_EQ((*in->tags)[1].key, "l");
    EXPECT_FALSE((*in->tags)[1].value);
    EXPECT_EQ(in->postgre_sql_settings->capture_ddls, false);
    EXPECT_EQ(in->postgre_sql_settings->slot_name, "s");
    EXPECT_FALSE(in->s3_settings);
}

TEST(Decode, null_is_absent_and_unknown_members_are_ignored) {
    const auto in = decode<Endpoint>("{" + kEndpoint + R"(,"Port":null,"Nonsense":{"a":[1]}})");
    ASSERT_TRUE(in);
    EXPECT_FALSE(in->port);
    EXPECT_EQ(
        refusal<Endpoint>(R"({"EndpointIdentifier":null,"EndpointType":"source","EngineName":"postgres"})"),
        "InvalidParameterValueException");
}

TEST(Decode, required_members_must_be_there_and_not_blank) {
    for (const char* json : {"", "{}", R"({"EndpointType":"source","EngineName":"postgres"})",
                             R"({"EndpointIdentifier":"","EndpointType":"source","EngineName":"postgres"})"})
        EXPECT_EQ(refusal<Endpoint>(json), "InvalidParameterValueException") << json;
    EXPECT_EQ(refusal<model::DescribeEndpointsMessage>(R"({"Filters":[{"Name":"endpoint-arn"}]})"),
              "InvalidParameterValueException");
}

TEST(Decode, enums_are_matched_loosely_and_become_canonical) {
    using Task = model::StartReplicationTaskMessage;
    const auto in = decode<Task>(R"({"ReplicationTaskArn":"a","StartReplicationTaskType":"RELOAD_Target"})");
    ASSERT_TRUE(in);
    EXPECT_EQ(in->start_replication_task_type, "reload-target");
    EXPECT_EQ(refusal<Task>(R"({"ReplicationTaskArn":"a","StartReplicationTaskType":"reload"})"),
              "InvalidParameterValueException");
    EXPECT_EQ(refusal<Task>(R"({"ReplicationTaskArn":"a","StartReplicationTaskType":""})"),
              "InvalidParameterValueException");
}

TEST(Decode, a_wrong_type_is_a_serialization_fault_that_names_the_member) {
    for (const char* more :
         {R"("Port":"5432")", R"("Port":5432.5)", R"("Port":true)", R"("Port":1e300)", R"("Port":[1])",
          R"("ServerName":7)", R"("ServerName":{})", R"("Tags":{"Key":"k"})", R"("Tags":["k"])",
          R"("PostgreSQLSettings":"x")", R"("PostgreSQLSettings":{"CaptureDdls":"true"})"})
        EXPECT_EQ(refusal<Endpoint>("{" + kEndpoint + "," + more + "}"), "SerializationException") << more;
    const auto in = decode<Endpoint>("{" + kEndpoint + R"(,"PostgreSQLSettings":{"CaptureDdls":1}})");
    EXPECT_NE(in.error().message.find("PostgreSQLSettings.CaptureDdls"), std::string::npos)
        << in.error().message;
}

TEST(Decode, integers_have_their_range) {
    EXPECT_EQ(decode<Endpoint>("{" + kEndpoint + R"(,"Port":50.0})")->port, 50);
    EXPECT_EQ(decode<Endpoint>("{" + kEndpoint + R"(,"Port":2147483647})")->port, 2147483647);
    EXPECT_EQ(refusal<Endpoint>("{" + kEndpoint + R"(,"Port":2147483648})"),
              "InvalidParameterValueException");
    EXPECT_EQ(refusal<Endpoint>("{" + kEndpoint + R"(,"Port":18446744073709551615})"),
              "SerializationException");
}

TEST(Decode, what_is_no_json_object_is_refused_without_being_quoted) {
    for (const char* json :
         {"{", "[]", "7", "\"secret\"", "{\"Password\":\"secret\"", "{\"a\":\"\xff\"}", "null"}) {
        const auto in = decode<Endpoint>(json);
        ASSERT_FALSE(in) << json;
        EXPECT_EQ(in.error().name, "SerializationException") << json;
        EXPECT_EQ(in.error().message.find("secret"), std::string::npos) << in.error().message;
    }
}

TEST(Decode, deep_nesting_does_no_harm) {
    std::string json = R"({"Filters":)";
    constexpr int kDepth = 100'000;
    for (int i = 0; i < kDepth; ++i) json += '[';
    for (int i = 0; i < kDepth; ++i) json += ']';
    EXPECT_EQ(refusal<model::DescribeEndpointsMessage>(json + "}"), "SerializationException");
}

TEST(Decode, a_small_body_may_not_become_a_large_document) {
    std::string json = R"({"x":[[])";
    for (int i = 0; i < 100'000; ++i) json += ",[]";
    EXPECT_EQ(refusal<model::DescribeEndpointsMessage>(json + "]}"), "SerializationException");
    EXPECT_TRUE(within({3, 2}, R"({"a":"[[[[,,,,\"[[","b":[]})"));
    EXPECT_FALSE(within({2, 2}, R"({"a":"","b":[]})"));
    EXPECT_FALSE(within({9, 2}, "[[[]]]"));
    EXPECT_TRUE(within({9, 2}, "]]]\"\\"));
}

TEST(Decode, times_are_numbers_or_iso_texts) {
    using Events = model::DescribeEventsMessage;
    for (const char* json :
         {R"({"StartTime":1590524772.505})", R"({"StartTime":"2020-05-26T20:26:12.505Z"})",
          R"({"StartTime":"2020-05-26T22:26:12.505+02:00"})", R"({"StartTime":"2020-05-26 20:26:12.505"})"}) {
        const auto in = decode<Events>(json);
        ASSERT_TRUE(in) << json;
        EXPECT_EQ(in->start_time->us, 1590524772505000) << json;
    }
    EXPECT_EQ(refusal<Events>(R"({"StartTime":"yesterday"})"), "SerializationException");
    EXPECT_EQ(refusal<Events>(R"({"StartTime":true})"), "SerializationException");
    EXPECT_EQ(refusal<Events>(R"({"StartTime":1e15})"), "InvalidParameterValueException");
}

TEST(Encode, leaves_out_what_is_absent_and_keeps_milliseconds) {
    model::Event event;
    event.message = "a \"b\"\n";
    event.date = Timestamp{1590524772505000};
    event.event_categories = {"creation"};
    EXPECT_EQ(encode(event),
              R"({"Date":1590524772.505,"EventCategories":["creation"],"Message":"a \"b\"\n"})");
    EXPECT_EQ(encode(model::Event{}), "{}");
    event = {};
    event.date = Timestamp{1590524772000000};
    EXPECT_EQ(encode(event), R"({"Date":1590524772})");
}

TEST(Encode, round_trips_bytes) {
    model::Certificate certificate;
    certificate.certificate_wallet = Blob{std::string("\0\x01\xff", 3)};
    EXPECT_EQ(encode(certificate), R"({"CertificateWallet":"AAH/"})");
    const auto back = decode_stored<model::Certificate>(encode(certificate));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->certificate_wallet, certificate.certificate_wallet);
}

TEST(Sensitive, members_leave_the_message) {
    auto in = *decode<Endpoint>(
        "{" + kEndpoint +
        R"(,"Password":"p1","Username":"u","KafkaSettings":{"SaslPassword":"p2","Topic":"t"}})");
    const auto secrets = take_sensitive(shape_of(&in), &in);
    EXPECT_EQ(secrets,
              (std::map<std::string, std::string>{{"KafkaSettings.SaslPassword", "p2"}, {"Password", "p1"}}));
    EXPECT_EQ(encode(in).find("p1"), std::string::npos);
    EXPECT_EQ(encode(in).find("p2"), std::string::npos);
    EXPECT_EQ(in.kafka_settings->topic, "t");
}

TEST(Merge, changes_only_what_is_given) {
    model::Endpoint shown;
    shown.port = 1;
    shown.postgre_sql_settings.emplace().slot_name = "a";
    shown.postgre_sql_settings->max_file_size = 5;
    const auto in = *decode<model::ModifyEndpointMessage>(
        R"({"EndpointArn":"x","ServerName":"h","PostgreSQLSettings":{"SlotName":"b"}})");
    EXPECT_TRUE(merge_members(shape_of(&shown), &shown, shape_of(&in), &in));
    EXPECT_EQ(shown.port, 1);
    EXPECT_EQ(shown.server_name, "h");
    EXPECT_EQ(shown.postgre_sql_settings->slot_name, "b");
    EXPECT_EQ(shown.postgre_sql_settings->max_file_size, 5);
}

}  // namespace
}  // namespace godwit::api
