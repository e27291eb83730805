#pragma once
// What the API answers instead of a result. Names and texts are part of the interface: tools match on them.

#include <expected>
#include <string>

#include "base/result.h"

namespace godwit::api {

struct Fault {
    std::string name;
    std::string message;
    int http_status = 400;
    std::string resource_arn;  // ResourceAlreadyExistsFault only
};

template <class T>
using Answer = std::expected<T, Fault>;

[[nodiscard]] inline std::unexpected<Fault> fault(std::string name, std::string message) {
    return std::unexpected(Fault{std::move(name), std::move(message), 400, {}});
}
[[nodiscard]] inline std::unexpected<Fault> not_found(std::string message) {
    return fault("ResourceNotFoundFault", std::move(message));
}
[[nodiscard]] inline std::unexpected<Fault> invalid_state(std::string message) {
    return fault("InvalidResourceStateFault", std::move(message));
}
[[nodiscard]] inline std::unexpected<Fault> invalid_value(std::string message) {
    return fault("InvalidParameterValueException", std::move(message));
}
[[nodiscard]] inline std::unexpected<Fault> invalid_combination(std::string message) {
    return fault("InvalidParameterCombinationException", std::move(message));
}
[[nodiscard]] std::unexpected<Fault> already_exists(std::string message, std::string arn);

// The one table from our errors to DMS faults.
[[nodiscard]] Fault to_fault(const Error& error);

}  // namespace godwit::api

// auto rows = GW_ANSWER(store.list(...));   a Result's error goes up as a fault
#define GW_ANSWER(expr)                                                                      \
    __extension__({                                                                          \
        auto gw_r = (expr);                                                                  \
        if (!gw_r) return std::unexpected(::godwit::api::to_fault(std::move(gw_r).error())); \
        *std::move(gw_r);                                                                    \
    })
#define GW_ANSWER_CHECK(expr)                                                         \
    do {                                                                              \
        if (auto gw_r = (expr); !gw_r)                                                \
            return std::unexpected(::godwit::api::to_fault(std::move(gw_r).error())); \
    } while (false)
