#pragma once
// JSON on one side, the structs of shape.h on the other.

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "api/fault.h"
#include "api/shape.h"

namespace godwit::api {

// A document of few bytes may need much memory. False: more values or levels than that.
struct JsonLimits {
    std::size_t values = 100'000, levels = 32;
};
[[nodiscard]] bool within(JsonLimits limits, std::string_view json);

// What a client sent: checks types (SerializationException), required members, enums and lengths
// (InvalidParameterValueException). Unknown members are ignored, null is absent, enum values become
// canonical.
[[nodiscard]] Answer<std::monostate> decode_request(const Shape& shape, void* object,
                                                    const std::string& json);
// What we stored ourselves: no checks but on the form.
[[nodiscard]] Result<> decode_stored(const Shape& shape, void* object, const std::string& json);
[[nodiscard]] std::string encode(const Shape& shape, const void* object);

template <class T>
[[nodiscard]] std::string encode(const T& value) {
    return encode(shape_of(&value), &value);
}
template <class T>
[[nodiscard]] Result<T> decode_stored(const std::string& json) {
    T value;
    GW_CHECK(decode_stored(shape_of(&value), &value, json));
    return value;
}

// The canonical spelling of an enum's value (case and '-' = '_' do not matter); empty: none of them.
[[nodiscard]] std::string_view canonical(std::span<const std::string_view> choices, std::string_view given);

// Moves every sensitive string out of the object; keys are paths ("Password", "PostgreSQLSettings.Password").
[[nodiscard]] std::map<std::string, std::string> take_sensitive(const Shape& shape, void* object);
// Present scalar members as text ("true", "5"), one level.
void each_scalar(const Shape& shape, const void* object,
                 const std::function<void(const Member& member, const std::string& text)>& visit);
// Copies members that are present in `from` to `to`, by name and one structure deep; true when any was
// present.
bool merge_members(const Shape& to_shape, void* to, const Shape& from_shape, const void* from);

// {"a":"b"} for small maps of text
[[nodiscard]] std::string map_to_json(const std::map<std::string, std::string>& map);
[[nodiscard]] Result<std::map<std::string, std::string>> map_from_json(const std::string& json);

}  // namespace godwit::api
