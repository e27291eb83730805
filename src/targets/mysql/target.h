#pragma once
// MySQL and MariaDB as a target (core/target.h).

#include <memory>

#include "core/registry.h"
#include "core/target.h"

namespace godwit::mysql {

[[nodiscard]] Result<std::unique_ptr<Target>> make_target(const EndpointConfig& endpoint,
                                                          const TaskContext& task);

}  // namespace godwit::mysql
