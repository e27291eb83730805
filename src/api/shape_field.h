#pragma once
// Builds a Member from a pointer to a struct's std::optional member. For the .cc files that hold tables.

#include <optional>
#include <type_traits>
#include <vector>

#include "api/shape.h"

namespace godwit::api {
namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
const TypeAccess* access() {
    if constexpr (std::is_same_v<T, std::string>) {
        static constexpr TypeAccess a{Kind::string};
        return &a;
    } else if constexpr (std::is_same_v<T, bool>) {
        static constexpr TypeAccess a{Kind::boolean};
        return &a;
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
        static constexpr TypeAccess a{Kind::integer};
        return &a;
    } else if constexpr (std::is_same_v<T, double>) {
        static constexpr TypeAccess a{Kind::real};
        return &a;
    } else if constexpr (std::is_same_v<T, Timestamp>) {
        static constexpr TypeAccess a{Kind::timestamp};
        return &a;
    } else if constexpr (std::is_same_v<T, Blob>) {
        static constexpr TypeAccess a{Kind::blob};
        return &a;
    } else if constexpr (IsVector<T>::value) {
        using Item = typename T::value_type;
        static constexpr TypeAccess a{
            Kind::list,
            nullptr,
            &access<Item>,
            [](const void* list) { return static_cast<const T*>(list)->size(); },
            [](const void* list, std::size_t i) -> const void* { return &(*static_cast<const T*>(list))[i]; },
            [](void* list) -> void* { return &static_cast<T*>(list)->emplace_back(); },
        };
        return &a;
    } else {
        static constexpr TypeAccess a{
            Kind::structure, []() -> const Shape& { return shape_of(static_cast<const T*>(nullptr)); }};
        return &a;
    }
}

template <class M>
struct MemberPointer;
template <class S, class V>
struct MemberPointer<std::optional<V> S::*> {
    using Struct = S;
    using Value = V;
};

}  // namespace detail

template <auto P>
constexpr Member field(std::string_view name, std::uint8_t flags = 0,
                       std::span<const std::string_view> choices = {}, std::size_t length_max = 0) {
    using S = typename detail::MemberPointer<decltype(P)>::Struct;
    using V = typename detail::MemberPointer<decltype(P)>::Value;
    return Member{
        name,
        flags,
        choices,
        length_max,
        &detail::access<V>,
        [](const void* object) -> const void* {
            const auto& m = static_cast<const S*>(object)->*P;
            return m ? &*m : nullptr;
        },
        [](void* object) -> void* {
            auto& m = static_cast<S*>(object)->*P;
            if (!m) m.emplace();
            return &*m;
        },
        [](void* object) { (static_cast<S*>(object)->*P).reset(); },
    };
}

}  // namespace godwit::api
