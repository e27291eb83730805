// Tags, certificates, events (spec/api 3.6).

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <memory>

#include "api/service.h"

namespace godwit::api {
namespace {

constexpr std::size_t kTagKeyMax = 128, kTagValueMax = 256;
constexpr std::int64_t kMinuteUs = 60'000'000;

struct Categories {
    const char* source_type;
    std::vector<std::string> names;
};
const std::vector<Categories>& categories() {
    static const std::vector<Categories> all = {
        {"replication-instance",
         {"low storage", "configuration change", "maintenance", "deletion", "creation", "failover",
          "failure"}},
        {"replication-task", {"configuration change", "state change", "deletion", "creation", "failure"}}};
    return all;
}

Answer<std::monostate> check_tag(const model::Tag& tag) {
    const auto key = tag.key.value_or(""), value = tag.value.value_or("");
    const auto start = lower(key.substr(0, 4));
    if (key.empty() || key.size() > kTagKeyMax) return invalid_value("A tag's key has 1 to 128 characters.");
    if (value.size() > kTagValueMax) return invalid_value("A tag's value has at most 256 characters.");
    if (start == "aws:" || start == "dms:")
        return invalid_value("A tag's key must not begin with aws: or dms:.");
    return {};
}

Timestamp time_of(const ASN1_TIME* time) {
    std::tm tm{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &tm) != 1) return {};
    return {static_cast<std::int64_t>(timegm(&tm)) * 1'000'000};
}

// Fills what is read from the certificate; false: none is in the text.
bool read_certificate(const std::string& pem, model::Certificate& to) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
        BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> x509(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!x509) return false;
    to.valid_from_date = time_of(X509_get0_notBefore(x509.get()));
    to.valid_to_date = time_of(X509_get0_notAfter(x509.get()));
    if (const char* name = OBJ_nid2ln(X509_get_signature_nid(x509.get())); name != nullptr)
        to.signing_algorithm = name;
    if (const EVP_PKEY* key = X509_get0_pubkey(x509.get()); key != nullptr)
        to.key_length = EVP_PKEY_get_bits(key);
    return true;
}

}  // namespace

Answer<std::monostate> Service::put_tags(const std::string& scope, const std::string& arn,
                                         const std::vector<model::Tag>& tags) {
    auto record = GW_TRY(find<TagsRecord>(scope, arn)).value_or(TagsRecord{});
    if (!record.tags) record.tags.emplace();
    for (const auto& tag : tags) {
        GW_TRY(check_tag(tag));
        const auto same = std::ranges::find(*record.tags, tag.key, &model::Tag::key);
        if (same != record.tags->end())
            same->value = tag.value.value_or("");
        else
            record.tags->push_back({tag.key, tag.value.value_or(""), {}});
    }
    return save(scope, arn, record);
}

Answer<std::monostate> Service::need_taggable(const std::string& scope, const std::string& arn) {
    const auto parsed = parse_arn(arn);
    if (parsed) {
        const auto exists = [&]<class R>(const std::string& key) -> Answer<bool> {
            return GW_TRY(find<R>(scope, key)).has_value();
        };
        const auto& type = parsed->type;
        const auto there = type == "rep"        ? exists.operator()<InstanceRecord>(arn)
                           : type == "endpoint" ? exists.operator()<EndpointRecord>(arn)
                           : type == "task"     ? exists.operator()<TaskRecord>(arn)
                           : type == "cert"     ? exists.operator()<CertificateRecord>(arn)
                           : type == "subgrp"   ? exists.operator()<SubnetGroupRecord>(parsed->id)
                                                : Answer<bool>(false);
        if (!there) return std::unexpected(there.error());
        if (*there) return {};
    }
    return not_found("Resource not found. ARN: " + shortened(arn));
}

Answer<model::AddTagsToResourceResponse> Service::add_tags(Call& call,
                                                           const model::AddTagsToResourceMessage& in) {
    GW_TRY(need_taggable(call.scope, *in.resource_arn));
    GW_TRY(put_tags(call.scope, *in.resource_arn, *in.tags));
    return model::AddTagsToResourceResponse{};
}

Answer<model::RemoveTagsFromResourceResponse> Service::remove_tags(
    Call& call, const model::RemoveTagsFromResourceMessage& in) {
    GW_TRY(need_taggable(call.scope, *in.resource_arn));
    auto record = GW_TRY(find<TagsRecord>(call.scope, *in.resource_arn));
    if (record && record->tags) {
        std::erase_if(*record->tags, [&](const model::Tag& tag) {
            return std::ranges::find(*in.tag_keys, tag.key.value_or("")) != in.tag_keys->end();
        });
        GW_TRY(save(call.scope, *in.resource_arn, *record));
    }
    return model::RemoveTagsFromResourceResponse{};
}

Answer<model::ListTagsForResourceResponse> Service::list_tags(Call& call,
                                                              const model::ListTagsForResourceMessage& in) {
    model::ListTagsForResourceResponse out;
    out.tag_list.emplace();
    const auto add = [&](const std::string& arn, bool name_it) -> Answer<std::monostate> {
        GW_TRY(need_taggable(call.scope, arn));
        if (const auto record = GW_TRY(find<TagsRecord>(call.scope, arn)); record && record->tags)
            for (auto tag : *record->tags) {
                if (name_it) tag.resource_arn = arn;
                out.tag_list->push_back(std::move(tag));
            }
        return {};
    };
    if (in.resource_arn && in.resource_arn_list)
        return invalid_combination("ResourceArn and ResourceArnList cannot both be given.");
    if (in.resource_arn)
        GW_TRY(add(*in.resource_arn, false));
    else if (in.resource_arn_list)
        for (const auto& arn : *in.resource_arn_list) GW_TRY(add(arn, true));
    else
        return invalid_value("ResourceArn or ResourceArnList must be provided.");
    return out;
}

Answer<model::ImportCertificateResponse> Service::import_certificate(
    Call& call, const model::ImportCertificateMessage& in) {
    GW_TRY(check_identifier("CertificateIdentifier", *in.certificate_identifier, 255));
    if (in.certificate_pem.has_value() == in.certificate_wallet.has_value())
        return invalid_combination("One of CertificatePem and CertificateWallet must be provided.");
    for (const auto& [order, other] : GW_TRY(list<CertificateRecord>(call.scope)))
        if (lower(*other.shown->certificate_identifier) == lower(*in.certificate_identifier))
            return already_exists("Certificate already exists: " + *in.certificate_identifier,
                                  *other.shown->certificate_arn);
    CertificateRecord record;
    auto& shown = record.shown.emplace();
    shown.certificate_identifier = in.certificate_identifier;
    shown.certificate_creation_date = now();
    shown.certificate_arn = call.arn("cert", new_resource_id());
    shown.certificate_owner = call.caller.account;
    shown.certificate_wallet = in.certificate_wallet;
    shown.kms_key_id = in.kms_key_id;
    if (in.certificate_pem) {
        // it is stored and shown as it is
        if (in.certificate_pem->find("PRIVATE KEY") != std::string::npos)
            return fault("InvalidCertificateFault", "CertificatePem must not hold a private key.");
        if (!read_certificate(*in.certificate_pem, shown))
            return fault("InvalidCertificateFault", "CertificatePem is not a certificate in PEM form.");
        shown.certificate_pem = in.certificate_pem;
    }
    if (in.tags) GW_TRY(put_tags(call.scope, *shown.certificate_arn, *in.tags));
    GW_TRY(save(call.scope, *shown.certificate_arn, record));
    return model::ImportCertificateResponse{shown};
}

Answer<model::DeleteCertificateResponse> Service::delete_certificate(
    Call& call, const model::DeleteCertificateMessage& in) {
    const auto& arn = *in.certificate_arn;
    const auto record =
        GW_TRY(need<CertificateRecord>(call.scope, arn, "Certificate not found. ARN: " + shortened(arn)));
    for (const auto& [order, endpoint] : GW_TRY(list<EndpointRecord>(call.scope)))
        if (endpoint.shown->certificate_arn == arn)
            return invalid_state(fmt::format("Certificate {} is used by endpoint {}.",
                                             *record.shown->certificate_identifier,
                                             *endpoint.shown->endpoint_identifier));
    GW_TRY(erase<TagsRecord>(call.scope, arn));
    GW_TRY(erase<CertificateRecord>(call.scope, arn));
    return model::DeleteCertificateResponse{*record.shown};
}

Answer<model::DescribeCertificatesResponse> Service::describe_certificates(
    Call& call, const model::DescribeCertificatesMessage& in) {
    GW_TRY(check_filters(in.filters, {"certificate-arn", "certificate-id"}));
    std::vector<std::pair<std::int64_t, model::Certificate>> found;
    for (const auto& [order, record] : GW_TRY(list<CertificateRecord>(call.scope)))
        if (passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                if (name == "certificate-arn") return {*record.shown->certificate_arn};
                return {*record.shown->certificate_identifier};
            }))
            found.emplace_back(order, *record.shown);
    if (found.empty() && in.filters) return not_found("No Certificates found matching provided filters");
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker, {10, 10, 100}));
    return model::DescribeCertificatesResponse{page.marker, std::move(page.items)};
}

Answer<model::DescribeEventsResponse> Service::describe_events(Call& call,
                                                               const model::DescribeEventsMessage& in) {
    GW_TRY(check_filters(in.filters, {"replication-instance-id", "replication-task-id"}));
    if (in.duration && *in.duration < 0) return invalid_value("Duration is a number of minutes.");
    // what running tasks noted since their state last changed
    for (auto& [order, task] : GW_TRY(list<TaskRecord>(call.scope))) {
        if (task.shown->status != "running" && task.shown->status != "starting") continue;
        const auto report = report_of(task);
        if (!report) continue;
        const auto seen = task.events_seen_us;
        tell_events(call.scope, task, *report, mark_events(task, *report));
        if (task.events_seen_us != seen) GW_TRY(save(call.scope, *task.shown->replication_task_arn, task));
    }
    constexpr std::int64_t kWindowMinutes = 60;
    const auto window_us = in.duration.value_or(kWindowMinutes) * kMinuteUs;
    std::int64_t to = now().us + 1, from = 0;
    if (in.end_time)
        to = in.end_time->us;
    else if (in.start_time && in.duration)
        to = in.start_time->us + window_us;
    from = in.start_time ? in.start_time->us : to - window_us;
    if (from > to) return invalid_combination("StartTime is after EndTime.");
    std::vector<std::pair<std::int64_t, model::Event>> found;
    for (const auto& stored : GW_ANSWER(options_.store.events(call.scope, from, to))) {
        if (in.source_type && lower(*in.source_type) != stored.source_type) continue;
        if (in.source_identifier && *in.source_identifier != stored.source_id) continue;
        if (in.event_categories && !in.event_categories->empty() &&
            std::ranges::none_of(*in.event_categories, [&](const std::string& wanted) {
                return std::ranges::find(stored.categories, lower(wanted)) != stored.categories.end();
            }))
            continue;
        if (!passes(in.filters, [&](const std::string& name) -> std::vector<std::string> {
                if (name == stored.source_type + "-id") return {stored.source_id};
                return {};
            }))
            continue;
        model::Event e;
        e.source_identifier = stored.source_id;
        e.source_type = stored.source_type;
        e.message = stored.message;
        e.event_categories = stored.categories;
        e.date = Timestamp{stored.time_us};
        found.emplace_back(0, std::move(e));
    }
    // the order on a page is that of time; the marker counts events of the same question
    for (std::size_t i = 0; i < found.size(); ++i) found[i].first = static_cast<std::int64_t>(i) + 1;
    auto page = GW_TRY(paginate(std::move(found), in.max_records, in.marker));
    return model::DescribeEventsResponse{page.marker, std::move(page.items)};
}

Answer<model::DescribeEventCategoriesResponse> Service::describe_event_categories(
    Call&, const model::DescribeEventCategoriesMessage& in) {
    model::DescribeEventCategoriesResponse out;
    out.event_category_group_list.emplace();
    for (const auto& group : categories())
        if (!in.source_type || lower(*in.source_type) == group.source_type)
            out.event_category_group_list->push_back({group.source_type, group.names});
    if (out.event_category_group_list->empty())
        return invalid_value("SourceType is replication-instance or replication-task.");
    return out;
}

}  // namespace godwit::api
