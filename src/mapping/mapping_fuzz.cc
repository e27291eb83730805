// Any text in place of the documents of a task: refused or compiled, never a crash. Input: u8 kind, then the
// text.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "mapping/settings.h"
#include "mapping/tables.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::mapping;
    if (size == 0) return 0;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    if (data[0] % 2 == 0) {
        const auto selection = compile_selection(text);
        (void)mapping_warnings(text);
        if (selection) {
            (void)(*selection)->load_order({"public", "orders"});
            (void)matches(text, "public");
        }
        return 0;
    }
    const auto merged = merge_settings(MigrationType::full_load_and_cdc, text);
    (void)only_log_severities(text);
    if (!merged) return 0;
    // what was accepted can be shown, changed and acted on
    (void)inactive_warnings(*merged);
    (void)refuse_inactive(*merged, text);
    if (!modify_settings(MigrationType::full_load_and_cdc, *merged, "{}")) std::abort();
    (void)read_settings(*merged);
    return 0;
}
