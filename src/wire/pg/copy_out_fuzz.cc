// What a server sends while a COPY is read: no bytes may lead out of the buffer, and no row may come before
// its COPY has begun or behind its end.

#include <algorithm>
#include <cstdlib>

#include "wire/pg/copy_out.h"

static volatile std::uint8_t g_seen = 0;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using godwit::pg::CopyAnswer;
    godwit::pg::Messages messages;
    CopyAnswer answer;
    bool ready = false;
    while (size != 0) {
        // pieces as the first byte of each says, so that messages are cut anywhere
        const std::size_t piece = std::min<std::size_t>(size, 1 + data[0]);
        const auto space = messages.space();
        if (space.empty()) std::abort();
        const auto n = std::min(space.size(), piece);
        std::copy_n(reinterpret_cast<const std::byte*>(data), n, space.data());
        messages.filled(n);
        data += n, size -= n;
        while (auto m = messages.next()) {
            const bool begun = answer.started();
            // every byte is there to be read
            for (const auto b : m->body) g_seen = g_seen ^ static_cast<std::uint8_t>(b);
            const auto step = answer.take(*m);
            if (step == CopyAnswer::Step::row && (!begun || answer.error() || ready)) std::abort();
            if (step == CopyAnswer::Step::ready) ready = true;
            if (step == CopyAnswer::Step::broken) return 0;
        }
        if (messages.broken()) return 0;
    }
    return 0;
}
