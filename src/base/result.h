#pragma once
// Errors are values. One Error type from the wire to the operator's screen.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace godwit {

// Chosen by what the caller can do: retry the call (unavailable), retry the unit of work (aborted), or mend
// some state first (failed_precondition).
enum class ErrorCode : std::uint8_t {
    invalid_argument,
    not_found,
    already_exists,
    failed_precondition,
    aborted,
    unavailable,
    resource_exhausted,
    data_loss,
    unsupported,
    permission_denied,
    conflict,  // a row met the target in another state than the source's log says
    cancelled,
    internal,
};

// What may be tried again: nothing, the one call, or the task from its checkpoint.
enum class Retry : std::uint8_t { never, call, from_checkpoint };

struct Error {
    ErrorCode code = ErrorCode::internal;
    Retry retry = Retry::never;
    std::string message;               // for the operator; no row values, no secrets
    std::vector<std::string> context;  // innermost first: "table public.orders"
    std::string sqlstate;              // when a database said no, else empty

    // "message (table public.orders, slice 3)"
    [[nodiscard]] std::string text() const;
    Error&& with(std::string what) && {
        context.push_back(std::move(what));
        return std::move(*this);
    }
};

// Mark functions that return it [[nodiscard]]; an alias cannot carry the attribute.
template <class T = void>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message,
                                                 Retry retry = Retry::never) {
    return std::unexpected(Error{code, retry, std::move(message), {}, {}});
}

std::string_view name(ErrorCode code) noexcept;

}  // namespace godwit

// auto tables = GW_TRY(source.tables(selection));   returns the error upward (GNU statement expression)
#define GW_TRY(expr)                                                \
    __extension__({                                                 \
        auto gw_r = (expr);                                         \
        if (!gw_r) return std::unexpected(std::move(gw_r).error()); \
        *std::move(gw_r);                                           \
    })
// GW_CHECK(call());   the same for Result<>
#define GW_CHECK(expr)                                                                  \
    do {                                                                                \
        if (auto gw_r = (expr); !gw_r) return std::unexpected(std::move(gw_r).error()); \
    } while (false)
