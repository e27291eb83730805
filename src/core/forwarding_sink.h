#pragma once
// A ChangeSink that gives everything to another one: what stands between a decoder and the engine's log
// overrides what it is there for.

#include "core/source.h"

namespace godwit {

class ForwardingSink : public ChangeSink {
public:
    explicit ForwardingSink(ChangeSink& next) : next_(next) {}

    ByteBuffer& buffer(std::uint32_t stream) override { return next_.buffer(stream); }
    Result<> recorded(std::uint32_t stream) override { return next_.recorded(stream); }
    bool full() override { return next_.full(); }
    std::uint32_t new_relation_id() override { return next_.new_relation_id(); }
    void define(const Relation& relation) override { next_.define(relation); }
    Result<> stream_commit(std::uint32_t stream, std::uint64_t order, std::uint64_t order_end,
                           std::string_view position, std::int64_t commit_time_us) override {
        return next_.stream_commit(stream, order, order_end, position, commit_time_us);
    }
    void stream_abort(std::uint32_t stream, std::uint32_t subxid) override {
        next_.stream_abort(stream, subxid);
    }
    void streams_lost() override { next_.streams_lost(); }
    Result<> idle() override { return next_.idle(); }
    Position acknowledged() override { return next_.acknowledged(); }

protected:
    ChangeSink& next_;
};

}  // namespace godwit
