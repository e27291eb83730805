#include "sources/postgres/decoder.h"

namespace godwit::postgres {

void Decoder::restart(Lsn from) {
    in_transaction_ = begun_ = false;
    // the server may go back behind what was recorded, when the caller says so
    quiet_to_ = recorded_to_ = from;
}

Result<> Decoder::write_keepalive(ChangeSink& sink) {
    if (!keepalive_due()) return {};
    RecordWriter(sink.buffer(0)).keepalive(quiet_to_.value(), to_token(quiet_to_));
    recorded_to_ = quiet_to_;
    return sink.recorded(0);
}

}  // namespace godwit::postgres
