#pragma once
// Adds PostgreSQL as a source to the registry. The target half comes from targets/postgres.

#include "core/registry.h"

namespace godwit::postgres {

[[nodiscard]] Result<std::unique_ptr<Source>> make_source(const EndpointConfig& endpoint,
                                                          const TaskContext& context);
// version, schemas; for TestConnection and RefreshSchemas
[[nodiscard]] Result<ProbeResult> probe(const EndpointConfig& endpoint);

}  // namespace godwit::postgres
