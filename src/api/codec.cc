#include "api/codec.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <variant>

#include "api/text.h"

namespace godwit::api {
namespace {

using Json = nlohmann::json;

const char* type_of(const Json& value) {
    switch (value.type()) {
        case Json::value_t::object:
            return "an object";
        case Json::value_t::array:
            return "a list";
        case Json::value_t::string:
            return "a string";
        case Json::value_t::boolean:
            return "a boolean";
        case Json::value_t::null:
            return "null";
        default:
            return "a number";
    }
}

std::unexpected<Fault> wrong_type(const std::string& path, const char* expected, const Json& value) {
    return fault("SerializationException",
                 fmt::format("{} must be {}, not {}", path, expected, type_of(value)));
}

// Clients send whole numbers, some of them as 50.0.
std::optional<std::int64_t> whole_number(const Json& value) {
    if (value.is_number_unsigned()) {
        const auto v = value.get<std::uint64_t>();
        if (v > static_cast<std::uint64_t>(INT64_MAX)) return {};
        return static_cast<std::int64_t>(v);
    }
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number_float()) {
        const double v = value.get<double>();
        if (std::nearbyint(v) == v && std::abs(v) < 9e15) return static_cast<std::int64_t>(v);
    }
    return {};
}

class Decoder {
public:
    explicit Decoder(bool strict) : strict_(strict) {}

    Answer<std::monostate> structure(const Shape& shape, void* object, const Json& json,
                                     const std::string& path) {
        if (!json.is_object()) return wrong_type(path.empty() ? "The request" : path, "an object", json);
        for (const Member& member : shape.members) {
            const auto at = json.find(member.name);
            const auto name = path.empty() ? std::string(member.name) : path + "." + std::string(member.name);
            if (at == json.end() || at->is_null()) {
                if (strict_ && member.has(kRequired))
                    return invalid_value(
                        fmt::format("The parameter {} must be provided and must not be null.", name));
                continue;
            }
            if (auto done = value(*member.type(), &member, member.make(object), *at, name); !done)
                return done;
        }
        return {};
    }

private:
    Answer<std::monostate> value(const TypeAccess& type, const Member* member, void* to, const Json& json,
                                 const std::string& path) {
        switch (type.kind) {
            case Kind::string: {
                if (!json.is_string()) return wrong_type(path, "a string", json);
                auto& text = *static_cast<std::string*>(to);
                text = json.get_ref<const std::string&>();
                return strict_ && member != nullptr ? check_text(*member, text, path)
                                                    : Answer<std::monostate>{};
            }
            case Kind::boolean:
                if (!json.is_boolean()) return wrong_type(path, "a boolean", json);
                *static_cast<bool*>(to) = json.get<bool>();
                return {};
            case Kind::integer: {
                if (!json.is_number()) return wrong_type(path, "a number", json);
                const auto number = whole_number(json);
                if (!number) return fault("SerializationException", path + " must be a whole number");
                if (strict_ && member != nullptr && member->has(kInt32) &&
                    (*number > INT32_MAX || *number < INT32_MIN))
                    return invalid_value(fmt::format("The value {} of {} is out of range.", *number, path));
                *static_cast<std::int64_t*>(to) = *number;
                return {};
            }
            case Kind::real:
                if (!json.is_number()) return wrong_type(path, "a number", json);
                *static_cast<double*>(to) = json.get<double>();
                return {};
            case Kind::timestamp: {
                auto& time = *static_cast<Timestamp*>(to);
                if (json.is_number()) {
                    const double seconds = json.get<double>();
                    if (!(std::abs(seconds) < 1e11)) return invalid_value(path + " is not a time.");
                    time.us = static_cast<std::int64_t>(std::llround(seconds * 1000.0)) * 1000;
                    return {};
                }
                if (!json.is_string()) return wrong_type(path, "a time", json);
                const auto parsed = parse_iso_time(json.get_ref<const std::string&>());
                if (!parsed) return fault("SerializationException", path + " is not an ISO 8601 time");
                time = *parsed;
                return {};
            }
            case Kind::blob: {
                if (!json.is_string()) return wrong_type(path, "base64 text", json);
                auto bytes = base64_decode(json.get_ref<const std::string&>());
                if (!bytes) return fault("SerializationException", path + " is not base64 text");
                static_cast<Blob*>(to)->bytes = std::move(*bytes);
                return {};
            }
            case Kind::structure:
                return structure(type.shape(), to, json, path);
            case Kind::list: {
                if (!json.is_array()) return wrong_type(path, "a list", json);
                const TypeAccess& element = *type.element();
                for (std::size_t i = 0; i < json.size(); ++i) {
                    if (json[i].is_null()) continue;
                    const auto at = fmt::format("{}[{}]", path, i);
                    if (auto done = value(element, nullptr, type.append(to), json[i], at); !done) return done;
                }
                return {};
            }
        }
        return {};
    }

    static Answer<std::monostate> check_text(const Member& member, std::string& text,
                                             const std::string& path) {
        if (!member.choices.empty()) {
            const auto found = canonical(member.choices, text);
            if (found.empty())
                return invalid_value(fmt::format("The value '{}' of {} is not one of: {}.", shortened(text),
                                                 path, fmt::join(member.choices, ", ")));
            text = found;
        }
        if (member.length_max != 0 && text.size() > member.length_max)
            return invalid_value(fmt::format("{} is longer than {} characters.", path, member.length_max));
        if (member.has(kRequired) && text.empty())
            return invalid_value(
                fmt::format("The parameter {} must be provided and must not be blank.", path));
        return {};
    }

    const bool strict_;
};

Json to_json(const Shape& shape, const void* object);

Json to_json(const TypeAccess& type, const void* value) {
    switch (type.kind) {
        case Kind::string:
            return *static_cast<const std::string*>(value);
        case Kind::boolean:
            return *static_cast<const bool*>(value);
        case Kind::integer:
            return *static_cast<const std::int64_t*>(value);
        case Kind::real:
            return *static_cast<const double*>(value);
        case Kind::timestamp: {
            const std::int64_t ms = static_cast<const Timestamp*>(value)->us / 1000;
            if (ms % 1000 == 0) return ms / 1000;
            return static_cast<double>(ms) / 1000.0;
        }
        case Kind::blob:
            return base64_encode(static_cast<const Blob*>(value)->bytes);
        case Kind::structure:
            return to_json(type.shape(), value);
        case Kind::list: {
            Json out = Json::array();
            const TypeAccess& element = *type.element();
            const std::size_t count = type.count(value);
            for (std::size_t i = 0; i < count; ++i) out.push_back(to_json(element, type.item(value, i)));
            return out;
        }
    }
    return {};
}

Json to_json(const Shape& shape, const void* object) {
    Json out = Json::object();
    for (const Member& member : shape.members)
        if (const void* value = member.get(object); value != nullptr)
            out[std::string(member.name)] = to_json(*member.type(), value);
    return out;
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void collect_sensitive(const Shape& shape, void* object, const std::string& path,
                       std::map<std::string, std::string>& out) {
    for (const Member& member : shape.members) {
        if (member.get(object) == nullptr) continue;
        const auto name = path + std::string(member.name);
        const TypeAccess& type = *member.type();
        if (type.kind == Kind::structure) {
            collect_sensitive(type.shape(), member.make(object), name + ".", out);
        } else if (member.has(kSensitive) && type.kind == Kind::string) {
            out[name] = *static_cast<const std::string*>(member.get(object));
            member.clear(object);
        }
    }
}

const Member* find_member(const Shape& shape, std::string_view name) {
    for (const Member& member : shape.members)
        if (member.name == name) return &member;
    return nullptr;
}

void copy_value(const TypeAccess& type, void* to, const void* from) {
    switch (type.kind) {
        case Kind::string:
            *static_cast<std::string*>(to) = *static_cast<const std::string*>(from);
            return;
        case Kind::boolean:
            *static_cast<bool*>(to) = *static_cast<const bool*>(from);
            return;
        case Kind::integer:
            *static_cast<std::int64_t*>(to) = *static_cast<const std::int64_t*>(from);
            return;
        case Kind::real:
            *static_cast<double*>(to) = *static_cast<const double*>(from);
            return;
        case Kind::timestamp:
            *static_cast<Timestamp*>(to) = *static_cast<const Timestamp*>(from);
            return;
        case Kind::blob:
            *static_cast<Blob*>(to) = *static_cast<const Blob*>(from);
            return;
        case Kind::structure:
            merge_members(type.shape(), to, type.shape(), from);
            return;
        case Kind::list:
            for (std::size_t i = 0; i < type.count(from); ++i)
                copy_value(*type.element(), type.append(to), type.item(from, i));
            return;
    }
}

}  // namespace

bool within(JsonLimits limits, std::string_view json) {
    std::size_t values = 0, level = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_text) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_text = false;
            continue;
        }
        if (c == '"') in_text = true;
        if (c == '[' || c == '{') ++values, ++level;
        if (c == ',') ++values;
        if ((c == ']' || c == '}') && level > 0) --level;
        if (values > limits.values || level > limits.levels) return false;
    }
    return true;
}

Answer<std::monostate> decode_request(const Shape& shape, void* object, const std::string& json) {
    if (!within({}, json))
        return fault("SerializationException", "The request holds too many values or levels");
    Json document;
    try {
        document = json.empty() ? Json::object() : Json::parse(json);
    } catch (const Json::exception&) {  // its text may quote the request, which may hold secrets
        return fault("SerializationException", "The request is not a valid JSON document");
    }
    return Decoder(true).structure(shape, object, document, {});
}

Result<> decode_stored(const Shape& shape, void* object, const std::string& json) {
    Json document;
    try {
        document = Json::parse(json);
    } catch (const Json::exception&) {
        return fail(ErrorCode::data_loss, fmt::format("a stored {} is not a JSON document", shape.name));
    }
    if (auto done = Decoder(false).structure(shape, object, document, {}); !done)
        return fail(ErrorCode::data_loss, fmt::format("a stored {}: {}", shape.name, done.error().message));
    return {};
}

std::string encode(const Shape& shape, const void* object) { return dump(to_json(shape, object)); }

std::string_view canonical(std::span<const std::string_view> choices, std::string_view given) {
    const auto same = [](char a, char b) {
        const auto fold = [](char c) {
            return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        };
        return fold(a) == fold(b);
    };
    for (const auto choice : choices)
        if (std::equal(choice.begin(), choice.end(), given.begin(), given.end(), same)) return choice;
    return {};
}

std::map<std::string, std::string> take_sensitive(const Shape& shape, void* object) {
    std::map<std::string, std::string> out;
    collect_sensitive(shape, object, {}, out);
    return out;
}

void each_scalar(const Shape& shape, const void* object,
                 const std::function<void(const Member&, const std::string&)>& visit) {
    for (const Member& member : shape.members) {
        const void* value = member.get(object);
        if (value == nullptr) continue;
        switch (member.type()->kind) {
            case Kind::string:
                visit(member, *static_cast<const std::string*>(value));
                break;
            case Kind::boolean:
                visit(member, *static_cast<const bool*>(value) ? "true" : "false");
                break;
            case Kind::integer:
                visit(member, std::to_string(*static_cast<const std::int64_t*>(value)));
                break;
            case Kind::real:
                visit(member, fmt::format("{}", *static_cast<const double*>(value)));
                break;
            default:
                break;
        }
    }
}

bool merge_members(const Shape& to_shape, void* to, const Shape& from_shape, const void* from) {
    bool any = false;
    for (const Member& member : from_shape.members) {
        const void* value = member.get(from);
        if (value == nullptr) continue;
        const Member* into = find_member(to_shape, member.name);
        if (into == nullptr) continue;
        any = true;
        const TypeAccess& type = *member.type();
        if (type.kind == Kind::list) into->clear(to);  // a list replaces
        copy_value(type, into->make(to), value);
    }
    return any;
}

std::string map_to_json(const std::map<std::string, std::string>& map) { return dump(Json(map)); }

Result<std::map<std::string, std::string>> map_from_json(const std::string& json) {
    try {
        return Json::parse(json).get<std::map<std::string, std::string>>();
    } catch (const Json::exception&) {
        return fail(ErrorCode::data_loss, "not a map of texts");
    }
}

}  // namespace godwit::api
