#include "core/target.h"

#include <fmt/format.h>

#include <sstream>

namespace godwit {

std::string TablePart::text() const { return fmt::format("{}:{}:{}:{}", order, records, plan, steps); }

TablePart TablePart::of(const std::string& text) {
    TablePart out;
    std::istringstream in(text);
    char colon = 0;
    in >> out.order >> colon >> out.records >> colon >> out.plan >> colon >> out.steps;
    return in ? out : TablePart{};
}

}  // namespace godwit
