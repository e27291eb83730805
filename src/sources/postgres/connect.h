#pragma once
// Sessions on the source.

#include <string>

#include "core/endpoint.h"
#include "wire/pg/connection.h"

namespace godwit::postgres {

// `role`: what pg_stat_activity shows after the task: "godwit/<task>/<role>"
[[nodiscard]] pg::ConnectOptions source_options(const EndpointConfig& endpoint, const std::string& task,
                                                const std::string& role, bool replication = false);

}  // namespace godwit::postgres
