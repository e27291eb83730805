// Any bytes in place of a request's body: an answer or a fault, never a crash, and what was taken comes back
// the same. Input: u8 choice of the message, then the body.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/codec.h"
#include "api/json_text.h"
#include "api/model.gen.h"

namespace {

using namespace godwit::api;

template <class T>
void try_message(const std::string& body) {
    T in;
    if (!decode_request(shape_of(&in), &in, body)) return;
    // what the store keeps is what was taken
    const std::string text = encode(in);
    const auto again = decode_stored<T>(text);
    if (!again || encode(*again) != text) std::abort();
    const auto secrets = take_sensitive(shape_of(&in), &in);
    if (!take_sensitive(shape_of(&in), &in).empty()) std::abort();
}

using Try = void (*)(const std::string&);
constexpr std::array<Try, 9> kMessages = {
    try_message<model::CreateEndpointMessage>,           try_message<model::ModifyEndpointMessage>,
    try_message<model::CreateReplicationTaskMessage>,    try_message<model::ModifyReplicationTaskMessage>,
    try_message<model::StartReplicationTaskMessage>,     try_message<model::CreateReplicationInstanceMessage>,
    try_message<model::DescribeReplicationTasksMessage>, try_message<model::ReloadTablesMessage>,
    try_message<model::AddTagsToResourceMessage>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (!within({}, body)) return 0;
    kMessages[data[0] % kMessages.size()](body);
    // the small documents beside the messages
    (void)map_from_json(body);
    (void)log_levels(body);
    (void)deletes_task_logs(body);
    (void)error_of_answer(body);
    (void)is_object(body);
    (void)whole_number_in(body, "timeout_ms", 7);
    return 0;
}
