#pragma once
// What an answer of a database server means for whoever would try again.

#include "base/result.h"

namespace godwit {

constexpr Retry retry_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::unavailable:
        case ErrorCode::aborted:
        case ErrorCode::resource_exhausted:
            return Retry::from_checkpoint;
        default:
            return Retry::never;
    }
}

}  // namespace godwit
