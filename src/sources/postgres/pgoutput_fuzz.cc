// Any bytes in place of pgoutput's messages: errors, never a crash, never half a record.
// Input: messages, each with a u16 length (little endian) in front; 0xFFFF is a reconnect.

#include <cstdlib>

#include "fakes/recording_sink.h"
#include "sources/postgres/pgoutput.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace godwit;
    using namespace godwit::postgres;
    DecoderHooks hooks;
    hooks.wants = [](std::uint32_t oid, std::string_view, std::string_view) { return oid % 7 != 0; };
    hooks.message = [](const LogicalMessage&) -> Result<> { return {}; };
    PgoutputDecoder decoder(hooks);
    test::RecordingSink sink;
    ByteReader in(Bytes(reinterpret_cast<const std::byte*>(data), size));
    while (!in.at_end()) {
        const auto length = in.le<std::uint16_t>();
        if (length == 0xFFFF) {
            decoder.restart(Lsn{});
            sink.streams_lost();
            continue;
        }
        const Bytes taken = in.take(std::min<std::size_t>(length, in.left()));
        const std::vector<std::byte> exact(taken.begin(), taken.end());  // so that reading beyond it is seen
        const auto done = decoder.decode(exact, Lsn(1), sink);
        if (sink.torn() || (!done && done.error().code != ErrorCode::data_loss)) std::abort();
        if (decoder.keepalive_due() && !decoder.write_keepalive(sink)) std::abort();
        sink.lines.clear();
    }
    return 0;
}
