#pragma once

#include "core/target.h"
#include "targets/mysql/session.h"

namespace godwit::mysql {

[[nodiscard]] Result<std::unique_ptr<Target::Snapshot>> take_snapshot(const Sessions& sessions,
                                                                      const TargetContext& context);

}  // namespace godwit::mysql
