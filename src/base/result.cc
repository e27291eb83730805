#include "base/result.h"

namespace godwit {

std::string Error::text() const {
    if (context.empty()) return message;
    std::string out = message + " (";
    for (std::size_t i = 0; i < context.size(); ++i) {
        if (i != 0) out += ", ";
        out += context[i];
    }
    return out + ")";
}

std::string_view name(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::invalid_argument:
            return "invalid_argument";
        case ErrorCode::not_found:
            return "not_found";
        case ErrorCode::already_exists:
            return "already_exists";
        case ErrorCode::failed_precondition:
            return "failed_precondition";
        case ErrorCode::aborted:
            return "aborted";
        case ErrorCode::unavailable:
            return "unavailable";
        case ErrorCode::resource_exhausted:
            return "resource_exhausted";
        case ErrorCode::data_loss:
            return "data_loss";
        case ErrorCode::unsupported:
            return "unsupported";
        case ErrorCode::permission_denied:
            return "permission_denied";
        case ErrorCode::conflict:
            return "conflict";
        case ErrorCode::cancelled:
            return "cancelled";
        case ErrorCode::internal:
            return "internal";
    }
    return "unknown";
}

}  // namespace godwit
