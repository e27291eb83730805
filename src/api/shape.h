#pragma once
// What the API's messages look like, as data: tables of members drive decoding, encoding and the checks on
// input, so that handlers see plain structs and never JSON.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace godwit::api {

struct Timestamp {
    std::int64_t us = 0;  // since 1970, UTC
    friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};
struct Blob {
    std::string bytes;
    friend bool operator==(const Blob&, const Blob&) = default;
};

enum class Kind : std::uint8_t { string, boolean, integer, real, timestamp, blob, structure, list };

inline constexpr std::uint8_t kRequired = 1, kSensitive = 2, kInt32 = 4;

struct Shape;

// How to reach a value of a type known only at run time.
struct TypeAccess {
    Kind kind;
    const Shape& (*shape)() = nullptr;  // structure
    // list
    const TypeAccess* (*element)() = nullptr;
    std::size_t (*count)(const void* list) = nullptr;
    const void* (*item)(const void* list, std::size_t index) = nullptr;
    void* (*append)(void* list) = nullptr;
};

struct Member {
    std::string_view name;
    std::uint8_t flags = 0;
    std::span<const std::string_view> choices;  // of an enum
    std::size_t length_max = 0;                 // of a string; 0: any
    const TypeAccess* (*type)() = nullptr;
    const void* (*get)(const void* object) = nullptr;  // nullptr: absent
    void* (*make)(void* object) = nullptr;             // the value, made when absent
    void (*clear)(void* object) = nullptr;

    [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

struct Shape {
    std::string_view name;
    std::span<const Member> members;
};

}  // namespace godwit::api
