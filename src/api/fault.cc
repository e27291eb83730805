#include "api/fault.h"

namespace godwit::api {

std::unexpected<Fault> already_exists(std::string message, std::string arn) {
    return std::unexpected(Fault{"ResourceAlreadyExistsFault", std::move(message), 400, std::move(arn)});
}

Fault to_fault(const Error& error) {
    const auto of = [&](const char* name, int status = 400) { return Fault{name, error.text(), status, {}}; };
    switch (error.code) {
        case ErrorCode::invalid_argument:
            return of("InvalidParameterValueException");
        case ErrorCode::unsupported:
            return of("InvalidParameterValueException");
        case ErrorCode::not_found:
            return of("ResourceNotFoundFault");
        case ErrorCode::already_exists:
            return of("ResourceAlreadyExistsFault");
        case ErrorCode::failed_precondition:
            return of("InvalidResourceStateFault");
        case ErrorCode::conflict:
            return of("InvalidResourceStateFault");
        case ErrorCode::aborted:
            return of("InvalidResourceStateFault");
        case ErrorCode::permission_denied:
            return of("AccessDeniedFault");
        case ErrorCode::resource_exhausted:
            return of("StorageQuotaExceededFault");
        case ErrorCode::unavailable:
            return of("ServiceUnavailable", 503);
        case ErrorCode::cancelled:
            return of("ServiceUnavailable", 503);
        case ErrorCode::data_loss:
            return of("InternalFailure", 500);
        case ErrorCode::internal:
            return of("InternalFailure", 500);
    }
    return of("InternalFailure", 500);
}

}  // namespace godwit::api
