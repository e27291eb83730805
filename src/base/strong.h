#pragma once
// A value that cannot be mixed with another of the same representation.

#include <compare>
#include <utility>

namespace godwit {

template <class T, class Tag>
class Strong {
public:
    constexpr Strong() = default;
    constexpr explicit Strong(T v) : v_(std::move(v)) {}
    [[nodiscard]] constexpr const T& value() const noexcept { return v_; }
    friend constexpr auto operator<=>(const Strong&, const Strong&) = default;

private:
    T v_{};
};

}  // namespace godwit
