#pragma once
// Loads one slice after another on a session of its own: the slice's mark and its rows commit together, and
// the server refuses a stale generation, a stale epoch or a second copy before the first row is sent.
//
// LOAD DATA LOCAL takes the source's blocks as they are. It bends what does not fit instead of refusing it,
// so a slice commits only when the server took as many rows as were sent and had nothing to remark. Else the
// slice is undone and comes again as strict INSERT, from the blocks that are still in memory.

#include <memory>
#include <string>

#include "core/target.h"
#include "targets/mysql/session.h"

namespace godwit::mysql {

[[nodiscard]] std::unique_ptr<SliceWriter> make_slice_writer(const Sessions& sessions,
                                                             const TargetContext& context);

// COPY prints \f and \v, which LOAD DATA reads as f and v: such blocks are copied with the bytes themselves.
// false: the block needs nothing, `to` is untouched.
[[nodiscard]] bool without_copy_escapes(Bytes block, ByteBuffer& to);

}  // namespace godwit::mysql
