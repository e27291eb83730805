#pragma once
// The target as it stands at one moment, for comparison with the source.

#include <memory>

#include "targets/postgres/preparation.h"

namespace godwit::postgres {

[[nodiscard]] Result<std::unique_ptr<Target::Snapshot>> take_snapshot(const Sessions& sessions,
                                                                      const TargetContext& context);

}  // namespace godwit::postgres
