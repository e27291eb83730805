#pragma once
// Which engines this program has.

#include "core/registry.h"

namespace godwit::app {

void add_all(EndpointRegistry& registry);

}  // namespace godwit::app
