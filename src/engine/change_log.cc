#include "engine/change_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/failpoint.h"

namespace godwit::engine {
namespace {

// A spool file: magic, then frames { u32 length of payload, u8 kind, u64 xxh3 of payload, payload }.
constexpr std::string_view kMagic = "GWSPOOL1";
enum class Frame : std::uint8_t {
    head = 1,      // u8 guarded, from position; guarded: u64 number of the file before it, u64 its size
    relation = 2,  // one relation record
    chunk = 3,     // records
    span = 4,      // u64 number of another file, u64 from, u64 to: its frames in between come here
    durable = 5,   // position up to which everything is in the spool
};
constexpr std::size_t kFrameHead = 13;
constexpr std::size_t kStreamMemory = 4U << 20;  // an open transaction beyond this goes to a file of its own
constexpr std::uint64_t kSyncBytes = 8U << 20;
constexpr std::size_t kSpareBuffers = 16;
constexpr std::size_t kHeldBack = 16U << 20;  // held back of a source that does not ask whether there is room

std::unexpected<Error> io_error(std::string_view what, const std::filesystem::path& path) {
    const int e = errno;
    if (e == ENOSPC || e == EDQUOT)
        return fail(
            ErrorCode::resource_exhausted,
            fmt::format(
                "the disk of the spool folder {} is full; free space there, capture goes on by itself",
                path.parent_path().string()),
            Retry::call);
    return fail(ErrorCode::unavailable, fmt::format("{} {}: {}", what, path.string(), std::strerror(e)),
                Retry::from_checkpoint);
}

std::filesystem::path file_path(const std::filesystem::path& folder, std::uint64_t number) {
    return folder / fmt::format("{:010}.spool", number);
}

}  // namespace

struct ChangeLog::Staging {
    ByteBuffer data;
    std::size_t before = 0;  // size when the last record ended
    std::size_t ended = 0;   // behind the last record that ends a transaction
    std::vector<std::uint32_t> relations;
    bool mid_transaction = false;
};

struct ChangeLog::Stream {
    Staging staging;
    std::vector<std::shared_ptr<Chunk>> chunks;
    std::vector<std::uint32_t> aborted;
    std::size_t memory = 0;
    std::uint64_t file = 0;
};

struct ChangeLog::File {
    std::uint64_t number = 0;
    std::filesystem::path path;
    int fd = -1;
    std::uint64_t size = 0;
    std::uint64_t chunks = 0;  // that are still in a log or stream
    bool open = true;          // more may be written
    bool guarded = false;
    bool beyond = false;  // begun over the limit, for the transaction that was open then
    bool spent = false;   // that one has ended

    File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd >= 0) ::close(fd);
    }
    void remove() const { ::unlink(path.c_str()); }

    Result<std::uint64_t> write(Frame kind, Bytes payload) {
        std::array<std::byte, kFrameHead> head{};
        const auto length = static_cast<std::uint32_t>(payload.size());
        const std::uint64_t sum = XXH3_64bits(payload.data(), payload.size());
        std::memcpy(head.data(), &length, 4);
        head[4] = static_cast<std::byte>(kind);
        std::memcpy(head.data() + 5, &sum, 8);
        const std::uint64_t at = size;
        for (const Bytes part : {Bytes(head), payload}) {
            std::size_t done = 0;
            while (done < part.size()) {
                const auto n =
                    ::pwrite(fd, part.data() + done, part.size() - done, static_cast<off_t>(size + done));
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) {
                    auto error = io_error("cannot write", path);
                    size = at;
                    [[maybe_unused]] const int ignored = ::ftruncate(fd, static_cast<off_t>(at));
                    return error;
                }
                done += static_cast<std::size_t>(n);
            }
            size += part.size();
        }
        return at;
    }

    // the payload of the frame at `at`; not_found past the end, data_loss when damaged
    Result<std::pair<Frame, ByteBuffer>> read(std::uint64_t at) const {
        std::array<std::byte, kFrameHead> head{};
        if (::pread(fd, head.data(), head.size(), static_cast<off_t>(at)) !=
            static_cast<ssize_t>(head.size()))
            return fail(ErrorCode::not_found, "end of " + path.string());
        std::uint32_t length = 0;
        std::uint64_t sum = 0;
        std::memcpy(&length, head.data(), 4);
        std::memcpy(&sum, head.data() + 5, 8);
        if (at + kFrameHead + length > size)
            return fail(ErrorCode::data_loss, path.string() + " is cut short");
        ByteBuffer payload;
        std::byte* to = payload.extend(length);
        std::size_t done = 0;
        while (done < length) {
            const auto n = ::pread(fd, to + done, length - done, static_cast<off_t>(at + kFrameHead + done));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return io_error("cannot read", path);
            done += static_cast<std::size_t>(n);
        }
        if (XXH3_64bits(payload.data(), length) != sum && GW_RULE("spool.checksum"))
            return fail(ErrorCode::data_loss, path.string() + " is damaged");
        return std::pair{static_cast<Frame>(head[4]), std::move(payload)};
    }
};

ChangeLog::ChangeLog(ChangeLogOptions options)
    : options_(std::move(options)), staging_(std::make_unique<Staging>()) {}

ChangeLog::~ChangeLog() {
    // A guarded spool is what a later process goes on with; anything else comes again from the source.
    if (!guard_)
        for (auto& [number, file] : files_) file->remove();
}

// ---------------------------------------------------------------------------------------------- writing

ByteBuffer& ChangeLog::buffer(std::uint32_t stream) {
    if (stream == 0) return staging_->data;
    auto& slot = streams_[stream];
    if (!slot) slot = std::make_unique<Stream>();
    return slot->staging.data;
}

Result<> ChangeLog::recorded(std::uint32_t stream) {
    if (stream != 0) GW_FAILPOINT("stream.open");
    Staging& staging = stream == 0 ? *staging_ : streams_[stream]->staging;
    const std::byte* record = staging.data.data() + staging.before;
    const auto kind = static_cast<RecordKind>(record[4]);
    if (kind == RecordKind::insert || kind == RecordKind::update || kind == RecordKind::remove) {
        std::uint32_t relation = 0;
        std::memcpy(&relation, record + 5, 4);
        if (staging.relations.empty() || staging.relations.back() != relation)
            if (std::ranges::find(staging.relations, relation) == staging.relations.end())
                staging.relations.push_back(relation);
    } else if (kind == RecordKind::truncate) {
        RecordReader reader(staging.data.view().subspan(staging.before));
        Record r;
        if (reader.next(r))
            for (ByteReader in(r.list); !in.at_end();) staging.relations.push_back(in.le<std::uint32_t>());
    } else if (stream == 0) {
        if (kind == RecordKind::begin) open_transaction_ = true;
        if (kind == RecordKind::commit || kind == RecordKind::keepalive) {
            RecordReader reader(staging.data.view().subspan(staging.before));
            Record r;
            if (reader.next(r)) staged_position_.token = std::string(r.position);
            staged_end_ = true;
            if (kind == RecordKind::commit) open_transaction_ = false;
            staging.ended = staging.data.size();
        }
    }
    staging.before = staging.data.size();
    ++unasked_records_;
    if (staging.data.size() < options_.chunk_bytes) return {};
    if (stream == 0) return idle();
    Stream& s = *streams_[stream];
    GW_CHECK(seal(staging, s.chunks));
    s.memory += s.chunks.back()->bytes;
    const std::lock_guard lock(mutex_);
    if (s.memory <= kStreamMemory && memory_bytes_ <= options_.memory_bytes_max) return {};
    const auto spill_stream = [&]() -> Result<> {
        if (s.file == 0) {
            auto file = GW_TRY(create_file({}, false));
            s.file = file->number;
            files_.emplace(s.file, std::move(file));
        }
        for (auto& chunk : s.chunks)
            if (chunk->file == 0) {
                GW_CHECK(spill(chunk, *files_[s.file]));
                open_bytes_ += chunk->bytes;
            }
        s.memory = 0;
        return {};
    };
    return paused_when_full(spill_stream());
}

Result<> ChangeLog::seal(Staging& staging, std::vector<std::shared_ptr<Chunk>>& to) {
    if (staging.data.empty()) return {};
    auto chunk = std::make_shared<Chunk>();
    chunk->bytes = staging.data.size();
    chunk->data = std::move(staging.data);
    chunk->relations = std::move(staging.relations);
    staging.relations.clear();
    staging.before = 0;
    {
        const std::lock_guard lock(mutex_);
        memory_bytes_ += chunk->bytes;
        if (!spare_.empty() && chunk->bytes >= options_.chunk_bytes / 2) {
            staging.data = std::move(spare_.back());
            spare_.pop_back();
        }
    }
    to.push_back(std::move(chunk));
    return {};
}

Result<> ChangeLog::idle() {
    if (staging_->data.empty()) return {};
    std::vector<std::shared_ptr<Chunk>> sealed;
    const bool unasked = unasked_records_ > 1 && staging_->data.size() > kHeldBack;
    const bool limited = open_transaction_ && !unasked && reached_limit();
    if (limited && begins_transaction()) return {};
    // A durable mark stands behind a whole transaction only, or a spool that is read back would end inside
    // one. At the limit the log ends behind a whole one, too.
    Staging rest;
    if (open_transaction_ && staged_end_ && (limited || wants_sync())) {
        rest.data.append(staging_->data.view().subspan(staging_->ended));
        rest.relations = staging_->relations;
        staging_->data.resize_down(staging_->ended);
    }
    GW_CHECK(seal(*staging_, sealed));
    staging_->mid_transaction = open_transaction_ && rest.data.empty();
    staging_->ended = 0;
    std::optional<Position> position;
    if (staged_end_) position = staged_position_;
    staged_end_ = false;
    GW_CHECK(append(std::move(sealed), position, !staging_->mid_transaction));
    if (rest.data.empty()) return {};
    if (limited) {
        staging_->data.append(rest.data.view());
        staging_->relations = std::move(rest.relations);
        staging_->before = staging_->data.size();
        return {};
    }
    sealed.clear();
    GW_CHECK(seal(rest, sealed));
    staging_->mid_transaction = true;
    return append(std::move(sealed), std::nullopt, false);
}

Result<> ChangeLog::append(std::vector<std::shared_ptr<Chunk>> chunks, std::optional<Position> position,
                           bool whole) {
    const std::lock_guard lock(mutex_);
    if (whole_ && log_file_ != 0) files_.at(log_file_)->spent = files_.at(log_file_)->beyond;
    whole_ = whole;
    for (auto& chunk : chunks) chunks_.push_back(std::move(chunk));
    if (position) captured_ = *position;
    ready_.notify_all();
    Result<> outcome;
    if (guard_)
        outcome = sync_guard();
    else if (memory_bytes_ > options_.memory_bytes_max)
        outcome = spill_log();
    return paused_when_full(std::move(outcome));
}

// Nothing is lost when there is no room: the chunks are in memory, reading pauses, the source keeps its log.
Result<> ChangeLog::paused_when_full(Result<> outcome) {
    if (outcome) spool_failed_ = false;
    if (outcome || outcome.error().code != ErrorCode::resource_exhausted) return outcome;
    if (!spool_failed_ && options_.log != nullptr)
        options_.log->error(Component::sorter, outcome.error().text());
    spool_failed(at_limit());
    return {};
}

// A disk is asked again now and then; where the limit is known to be the cause, there is nothing to ask.
void ChangeLog::spool_failed(bool limited) {
    spool_failed_ = true;
    spool_failed_at_ = limited ? std::chrono::steady_clock::time_point{} : std::chrono::steady_clock::now();
}

// The oldest chunks first, so that disk order is log order. Unguarded: only those that the main reader has
// passed, or comes to later.
Result<> ChangeLog::spill_log() {
    while (
        on_disk_ < first_ + chunks_.size() &&
        (guard_ || ((on_disk_ < passed_ || waited_for_) && memory_bytes_ > options_.memory_bytes_max / 2))) {
        if (on_disk_ < first_) on_disk_ = first_;
        if (on_disk_ >= first_ + chunks_.size()) break;
        auto& chunk = chunks_[on_disk_ - first_];
        if (chunk->file == 0) {
            File* file = GW_TRY(log_file());
            if (chunk->data.empty()) break;
            GW_CHECK(spill(chunk, *file));
        } else if (guard_) {
            on_disk_ = GW_TRY(name_span(on_disk_));
            continue;
        }
        ++on_disk_;
    }
    return {};
}

// Chunks that lie in another file already (of a streamed transaction, or written before the guard was on)
// stay there: the guarded file names the place. Returns the first chunk behind those.
Result<std::uint64_t> ChangeLog::name_span(std::uint64_t number) {
    const auto end_of = [](const Chunk& c) { return c.file_offset + kFrameHead + c.bytes; };
    const Chunk& first = *chunks_[number - first_];
    std::uint64_t to = end_of(first), end = number + 1;
    for (; end < first_ + chunks_.size(); ++end) {
        const Chunk& next = *chunks_[end - first_];
        if (next.file != first.file || next.file_offset != to) break;
        to = end_of(next);
    }
    File& other = *files_.at(first.file);
    if (::fdatasync(other.fd) != 0) return io_error("cannot fsync", other.path);
    File* file = GW_TRY(log_file());
    ByteBuffer span;
    span.put_le(first.file);
    span.put_le(first.file_offset);
    span.put_le(to);
    GW_TRY(file->write(Frame::span, span.view()));
    file->chunks += end - number;
    for (; number < end; ++number) chunks_[number - first_]->named_in = file->number;
    return end;
}

// A reader may be inside the chunk: it keeps its bytes, and the log gets another one without.
Result<> ChangeLog::spill(std::shared_ptr<Chunk>& chunk, File& file) {
    GW_FAILPOINT("spool.write");
    const auto at = GW_TRY(file.write(Frame::chunk, chunk->data.view()));
    auto spilled = std::make_shared<Chunk>();
    spilled->bytes = chunk->bytes;
    spilled->relations = chunk->relations;
    spilled->file = file.number;
    spilled->file_offset = at;
    ++file.chunks;
    spool_bytes_ += chunk->bytes;
    memory_bytes_ -= chunk->bytes;
    unsynced_bytes_ += chunk->bytes;
    chunk = std::move(spilled);
    return {};
}

Result<std::unique_ptr<ChangeLog::File>> ChangeLog::create_file(const Position& from, bool guarded) {
    std::error_code failed;
    std::filesystem::create_directories(options_.folder, failed);
    auto file = std::make_unique<File>();
    file->number = next_file_++;
    file->path = file_path(options_.folder, file->number);
    file->guarded = guarded;
    file->fd = ::open(file->path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->fd < 0) return io_error("cannot create", file->path);
    ByteBuffer head;
    head.put_u8(guarded ? 1 : 0);
    put_string(head, from.token);
    if (guarded) {
        // A gap between two shows, whatever lies in them.
        head.put_le(log_file_);
        head.put_le(log_file_ == 0 ? std::uint64_t{0} : files_.at(log_file_)->size);
    }
    if (::pwrite(file->fd, kMagic.data(), kMagic.size(), 0) != static_cast<ssize_t>(kMagic.size())) {
        auto error = io_error("cannot write", file->path);
        file->remove();
        return error;
    }
    file->size = kMagic.size();
    if (auto wrote = file->write(Frame::head, head.view()); !wrote) {
        file->remove();
        return std::unexpected(wrote.error());
    }
    return file;
}

Result<ChangeLog::File*> ChangeLog::log_file() {
    if (log_file_ != 0) {
        File& file = *files_[log_file_];
        const bool spent = file.spent && over_limit() && !starved();
        if (file.size < options_.file_bytes && !spent) return &file;
        if (guard_ && ::fdatasync(file.fd) != 0) return io_error("cannot fsync", file.path);
        file.open = false;
    }
    if (over_limit() && !starved()) return limit_error();
    if (guard_ && !marked_) marked_ = acknowledged_;
    auto file = GW_TRY(create_file(guard_ ? *marked_ : acknowledged_, guard_));
    for (const auto& [id, relation] : relations_) {
        ByteBuffer record;
        RecordWriter(record).relation(*relation);
        if (auto wrote = file->write(Frame::relation, record.view()); !wrote) {
            file->remove();  // the next one comes in its place
            return std::unexpected(wrote.error());
        }
    }
    file->beyond = over_limit();
    log_file_ = file->number;
    return files_.emplace(log_file_, std::move(file)).first->second.get();
}

// Open transactions do not count: to read no more would not bring their end.
bool ChangeLog::over_limit() const { return spool_bytes_ - open_bytes_ > options_.spool_bytes_max; }

std::unexpected<Error> ChangeLog::limit_error() const {
    return fail(
        ErrorCode::resource_exhausted,
        fmt::format("the spool holds {} MB, its limit is {} MB (attribute spoolMB of the source endpoint)",
                    spool_bytes_ >> 20, options_.spool_bytes_max >> 20),
        Retry::call);
}

// What comes next would need a file beyond the limit. A transaction whose beginning is in the log gets one,
// for its reader waits for its end; so the next one must not begin in the log.
bool ChangeLog::at_limit() const {
    if (!over_limit()) return false;
    if (log_file_ == 0) return true;
    const File& file = *files_.at(log_file_);
    return file.beyond || file.size >= options_.file_bytes;
}

bool ChangeLog::reached_limit() const {
    const std::lock_guard lock(mutex_);
    return at_limit();
}

bool ChangeLog::begins_transaction() const {
    return open_transaction_ && !staged_end_ && !staging_->mid_transaction;
}

// Everything in the log goes to disk and is fsynced now and then; only then does durable_ move.
Result<> ChangeLog::sync_guard() {
    GW_CHECK(spill_log());
    if (captured_ == durable_ || !whole_) return {};
    // a mark is small, and stands behind what it is about
    File* file = log_file_ != 0 ? files_.at(log_file_).get() : GW_TRY(log_file());
    ByteBuffer position;
    put_string(position, captured_.token);
    GW_TRY(file->write(Frame::durable, position.view()));
    marked_ = captured_;
    GW_FAILPOINT("spool.before_sync");
    if (::fdatasync(file->fd) != 0) return io_error("cannot fsync", file->path);
    unsynced_bytes_ = 0;
    durable_ = captured_;
    return {};
}

Result<> ChangeLog::start_guard() {
    // What lies in files may be much, and to make it durable may take long: not while everybody waits.
    std::vector<int> written;
    {
        const std::lock_guard lock(mutex_);
        if (guard_) return {};
        for (const auto& [number, file] : files_) written.push_back(::fcntl(file->fd, F_DUPFD_CLOEXEC, 0));
    }
    for (const int fd : written) {
        if (fd < 0) continue;
        ::fdatasync(fd);  // errors show again when the file is named
        ::close(fd);
    }
    const std::lock_guard lock(mutex_);
    // The guarded files must hold the whole log from its head on.
    on_disk_ = first_;
    if (log_file_ != 0) files_[log_file_]->open = false;
    log_file_ = 0;
    guard_ = true;
    durable_ = {};
    drop_released();
    auto outcome = sync_guard();
    if (!outcome && outcome.error().code == ErrorCode::resource_exhausted) spool_failed(at_limit());
    return outcome;
}

bool ChangeLog::wants_sync() const {
    const std::lock_guard lock(mutex_);
    return guard_ && unsynced_bytes_ >= kSyncBytes;
}

bool ChangeLog::guarded() const {
    const std::lock_guard lock(mutex_);
    return guard_;
}

// The main reader has read all there is and waits for the rest of a transaction, which it can release only as
// a whole: a limit that held now would hold for ever.
bool ChangeLog::starved() const { return !whole_ && passed_ >= first_ + chunks_.size(); }

bool ChangeLog::full() {
    const std::lock_guard lock(mutex_);
    unasked_records_ = 0;
    const bool limited = at_limit();
    const bool held = limited && begins_transaction() && staging_->data.size() >= options_.chunk_bytes;
    if (spool_failed_ || held) {
        if (!held && !starved() &&
            std::chrono::steady_clock::now() - spool_failed_at_ < std::chrono::seconds(1))
            return true;
        const Result<> again = held ? limit_error() : guard_ ? sync_guard() : spill_log();
        if (!again && !spool_failed_ && options_.log != nullptr)
            options_.log->error(Component::sorter, again.error().text());
        spool_failed_ = false;
        if (!again) spool_failed(limited);
        if (spool_failed_ && !starved()) return true;
    }
    if (memory_bytes_ <= options_.memory_bytes_max) return false;
    // what the main reader has passed, or comes to later, can still go to disk
    if (!guard_)
        if (auto spilled = spill_log(); !spilled) return true;
    return memory_bytes_ > options_.memory_bytes_max;
}

std::uint32_t ChangeLog::new_relation_id() {
    const std::lock_guard lock(mutex_);
    return next_relation_++;
}

void ChangeLog::define(const Relation& relation) {
    const std::lock_guard lock(mutex_);
    relations_[relation.id] = std::make_shared<const Relation>(relation);
    // a guarded file must be able to explain its own records: relation records are part of the chunks as well
}

Result<> ChangeLog::stream_commit(std::uint32_t stream, std::uint64_t order, std::uint64_t order_end,
                                  std::string_view position, std::int64_t commit_time_us) {
    GW_CHECK(idle());
    const auto it = streams_.find(stream);
    std::vector<std::shared_ptr<Chunk>> spliced;
    Staging edge;
    std::vector<std::uint32_t> aborted;
    if (it != streams_.end()) aborted = it->second->aborted;
    RecordWriter(edge.data).begin(stream, order, commit_time_us, true, aborted);
    GW_CHECK(seal(edge, spliced));
    if (it != streams_.end()) {
        Stream& s = *it->second;
        GW_CHECK(seal(s.staging, s.chunks));
        if (s.file != 0) {
            const std::lock_guard lock(mutex_);
            files_[s.file]->open = false;
            for (const auto& chunk : s.chunks)
                if (chunk->file != 0) open_bytes_ -= chunk->bytes;
        }
        for (auto& chunk : s.chunks) spliced.push_back(std::move(chunk));
        streams_.erase(it);
    }
    Staging tail;
    RecordWriter(tail.data).commit(order_end, position, commit_time_us);
    GW_CHECK(seal(tail, spliced));
    GW_FAILPOINT("stream.commit");
    return append(std::move(spliced), Position{std::string(position)}, true);
}

void ChangeLog::stream_abort(std::uint32_t stream, std::uint32_t subxid) {
    const auto it = streams_.find(stream);
    if (it == streams_.end()) return;
    if (stream != subxid) {
        it->second->aborted.push_back(subxid);
        return;
    }
    const std::lock_guard lock(mutex_);
    for (const auto& chunk : it->second->chunks)
        if (chunk->file == 0) {
            memory_bytes_ -= chunk->bytes;
        } else {
            spool_bytes_ -= chunk->bytes;
            open_bytes_ -= chunk->bytes;
        }
    if (it->second->file != 0) {
        files_[it->second->file]->remove();
        files_.erase(it->second->file);
    }
    streams_.erase(it);
}

void ChangeLog::streams_lost() {
    while (!streams_.empty()) stream_abort(streams_.begin()->first, streams_.begin()->first);
    // an unfinished ordinary transaction comes again as well, but readers have seen its head: the log ends
    // here
}

Position ChangeLog::acknowledged() {
    const std::lock_guard lock(mutex_);
    return guard_ && !durable_.empty() ? durable_ : acknowledged_;
}

// ---------------------------------------------------------------------------------------------- reading

Result<ChunkRef> ChangeLog::read(std::uint64_t number, std::chrono::milliseconds wait, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, stop, wait, [&] { return closed_ || number < first_ + chunks_.size(); });
    if (number < first_) return fail(ErrorCode::internal, fmt::format("chunk {} was released", number));
    if (number >= first_ + chunks_.size()) return ChunkRef{};
    auto chunk = chunks_[number - first_];
    if (!chunk->data.empty() || chunk->bytes == 0) return chunk;
    // from disk into a copy, so that the log's own stays small
    const File& file = *files_.at(chunk->file);
    auto copy = std::make_shared<Chunk>();
    copy->bytes = chunk->bytes;
    copy->relations = chunk->relations;
    const auto at = chunk->file_offset;
    lock.unlock();  // the file stays: this reader has not released the chunk
    auto frame = GW_TRY(file.read(at));
    copy->data = std::move(frame.second);
    return copy;
}

bool ChangeLog::concerns(std::uint64_t number, const std::set<std::uint32_t>& relations) const {
    const std::lock_guard lock(mutex_);
    if (number < first_ || number >= first_ + chunks_.size()) return true;
    return std::ranges::any_of(chunks_[number - first_]->relations,
                               [&](auto r) { return relations.contains(r); });
}

std::uint64_t ChangeLog::end() const {
    const std::lock_guard lock(mutex_);
    return first_ + chunks_.size();
}

void ChangeLog::release_before(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    while (first_ < number && !chunks_.empty()) {
        const auto& chunk = chunks_.front();
        if (chunk->file == 0) {
            memory_bytes_ -= chunk->bytes;
            if (chunk.use_count() == 1 && spare_.size() < kSpareBuffers &&
                chunk->data.capacity() <= 4 * options_.chunk_bytes &&
                chunk->bytes >= options_.chunk_bytes / 2) {
                chunk->data.clear();
                spare_.push_back(std::move(chunk->data));
            }
        } else {
            spool_bytes_ -= chunk->bytes;
            for (const auto holder : {chunk->file, chunk->named_in})
                if (auto it = files_.find(holder); it != files_.end()) --it->second->chunks;
        }
        chunks_.pop_front();
        ++first_;
    }
    if (passed_ < first_) passed_ = first_;
    if (on_disk_ < first_) on_disk_ = first_;
    drop_released();
}

void ChangeLog::drop_released() {
    bool guarded_before = false;  // one that stays: none behind it goes, or there would be a gap
    std::erase_if(files_, [&](auto& entry) {
        File& file = *entry.second;
        const bool current = entry.first == log_file_;
        const bool stays = file.chunks != 0 || (file.open && !current) || (current && guard_) ||
                           (file.guarded && guarded_before);
        guarded_before = guarded_before || (stays && file.guarded);
        if (stays) return false;
        if (current) log_file_ = 0;
        file.remove();
        return true;
    });
}

void ChangeLog::passed(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    passed_ = std::max(passed_, number);
}

void ChangeLog::set_waited_for(bool yes) {
    const std::lock_guard lock(mutex_);
    waited_for_ = yes;
}

void ChangeLog::set_acknowledged(Position position) {
    const std::lock_guard lock(mutex_);
    acknowledged_ = std::move(position);
}

std::shared_ptr<const Relation> ChangeLog::relation(std::uint32_t id) const {
    const std::lock_guard lock(mutex_);
    const auto it = relations_.find(id);
    return it == relations_.end() ? nullptr : it->second;
}

std::uint64_t ChangeLog::spool_bytes() const {
    const std::lock_guard lock(mutex_);
    return spool_bytes_;
}

std::uint64_t ChangeLog::memory_bytes() const {
    const std::lock_guard lock(mutex_);
    return memory_bytes_;
}

Position ChangeLog::captured() const {
    const std::lock_guard lock(mutex_);
    return captured_;
}

Position ChangeLog::durable() const {
    const std::lock_guard lock(mutex_);
    return durable_;
}

void ChangeLog::close(Result<> outcome) {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (!outcome && !error_) error_ = std::move(outcome).error();
    ready_.notify_all();
}

bool ChangeLog::closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

std::optional<Error> ChangeLog::error() const {
    const std::lock_guard lock(mutex_);
    return error_;
}

// ---------------------------------------------------------------------------------------------- restoring

Result<std::optional<SpoolCoverage>> ChangeLog::restore() {
    const std::lock_guard lock(mutex_);
    std::vector<std::filesystem::path> paths;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder, none))
        if (entry.path().extension() == ".spool") paths.push_back(entry.path());
    std::ranges::sort(paths);

    struct Found {
        std::unique_ptr<File> file;
        Position from;
        std::optional<std::uint64_t> before, size_before;  // not in files of former versions
    };
    std::map<std::uint64_t, Found> found;
    for (const auto& path : paths) {
        Found f;
        f.file = std::make_unique<File>();
        f.file->path = path;
        f.file->number = std::strtoull(path.stem().c_str(), nullptr, 10);
        f.file->fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (f.file->fd < 0) return io_error("cannot read", path);
        f.file->size = static_cast<std::uint64_t>(::lseek(f.file->fd, 0, SEEK_END));
        f.file->open = false;
        if (auto head = f.file->read(kMagic.size()); head && head->first == Frame::head) {
            ByteReader in(head->second.view());
            f.file->guarded = in.u8() != 0;
            f.from.token = get_string(in);
            if (!in.at_end()) {
                f.before = in.le<std::uint64_t>();
                f.size_before = in.le<std::uint64_t>();
            }
        }
        next_file_ = std::max(next_file_, f.file->number + 1);
        found.emplace(f.file->number, std::move(f));
    }

    // Frames up to the last durable mark count; what lies behind it comes again from the source.
    std::optional<SpoolCoverage> coverage;
    std::deque<std::shared_ptr<Chunk>> whole, pending;
    bool released = false;  // the coverage begins where the next transaction ends
    std::set<std::uint64_t> used;
    std::map<std::uint32_t, std::shared_ptr<const Relation>> relations;
    const auto learn = [&](Bytes records) {
        RecordReader reader(records);
        Record r;
        Relation relation;
        while (reader.next(r))
            if (r.kind == RecordKind::relation && read_relation(r, relation)) {
                relations[relation.id] = std::make_shared<const Relation>(relation);
                next_relation_ = std::max(next_relation_, relation.id + 1);
            }
    };
    const auto take_chunk = [&](File& file, std::uint64_t at, const ByteBuffer& payload,
                                std::uint64_t named_in) {
        auto chunk = std::make_shared<Chunk>();
        chunk->named_in = named_in;
        chunk->bytes = payload.size();
        chunk->file = file.number;
        chunk->file_offset = at;
        RecordReader reader(payload.view());
        Record r;
        while (reader.next(r)) {
            if (r.relation != 0 && r.kind != RecordKind::relation &&
                std::ranges::find(chunk->relations, r.relation) == chunk->relations.end())
                chunk->relations.push_back(r.relation);
            if (r.kind == RecordKind::truncate)
                for (ByteReader in(r.list); !in.at_end();) chunk->relations.push_back(in.le<std::uint32_t>());
            if (released && (r.kind == RecordKind::commit || r.kind == RecordKind::keepalive)) {
                coverage->from.token = std::string(r.position);
                released = false;
            }
        }
        learn(payload.view());
        pending.push_back(std::move(chunk));
    };
    bool broken = false;
    std::uint64_t durable_file = 0, durable_end = 0, previous = 0;
    // The file before the first may have been released.
    const auto goes_on = [&](const Found& f) {
        if (previous == 0) return !f.before || *f.before == 0 || !found.contains(*f.before);
        return f.from == coverage->to && (!f.before || *f.before == previous) &&
               (!f.size_before || *f.size_before == found[previous].file->size);
    };
    for (auto& [number, f] : found) {
        if (!f.file->guarded || broken) continue;
        if (!goes_on(f)) {
            broken = true;
            break;
        }
        previous = number;
        if (!coverage) coverage = SpoolCoverage{f.from, f.from};
        std::uint64_t at = kMagic.size();
        while (at < f.file->size) {
            auto frame = f.file->read(at);
            if (!frame) {
                broken = true;
                break;
            }
            auto& [kind, payload] = *frame;
            if (kind == Frame::relation) learn(payload.view());
            if (kind == Frame::chunk) take_chunk(*f.file, at, payload, 0);
            if (kind == Frame::span) {
                ByteReader in(payload.view());
                const auto it = found.find(in.le<std::uint64_t>());
                auto p = in.le<std::uint64_t>();
                const auto to = in.le<std::uint64_t>();
                if (in.failed()) {
                    broken = true;
                    break;
                }
                if (it == found.end()) {
                    // Released, so what it held is on the target, and all before it.
                    released = true;
                    whole.clear();
                    pending.clear();
                } else {
                    File& part = *it->second.file;
                    while (p < to && !broken) {
                        auto inner = part.read(p);
                        if (!inner || inner->first != Frame::chunk) {
                            broken = true;
                            break;
                        }
                        take_chunk(part, p, inner->second, number);
                        p += kFrameHead + inner->second.size();
                    }
                    if (broken) break;
                }
            }
            if (kind == Frame::durable) {
                ByteReader in(payload.view());
                coverage->to.token = get_string(in);
                if (released) coverage->from = coverage->to;
                released = false;
                whole.insert(whole.end(), pending.begin(), pending.end());
                pending.clear();
                durable_file = number;
                durable_end = at + kFrameHead + payload.size();
            }
            at += kFrameHead + payload.size();
        }
    }
    for (const auto& chunk : whole) {
        spool_bytes_ += chunk->bytes;
        for (const auto number : {chunk->file, chunk->named_in}) {
            if (number == 0) continue;
            ++found[number].file->chunks;
            used.insert(number);
        }
    }
    bool guarded_before = false;
    for (auto& [number, f] : found) {
        const bool keep = used.contains(number) || (number == durable_file && !whole.empty()) ||
                          (f.file->guarded && guarded_before && number < durable_file);
        guarded_before = guarded_before || (keep && f.file->guarded);
        if (!keep) {
            f.file->remove();
            continue;
        }
        files_.emplace(number, std::move(f.file));
    }
    if (!coverage || whole.empty()) {
        relations_.clear();
        return std::nullopt;
    }
    // What follows goes on behind the last durable mark: the source may have forgotten all before it, so the
    // guard stays on and the files stay until they are released.
    if (auto it = files_.find(durable_file); it != files_.end()) {
        File& last = *it->second;
        if (::ftruncate(last.fd, static_cast<off_t>(durable_end)) != 0)
            return io_error("cannot cut", last.path);
        last.size = durable_end;
        last.open = true;
        log_file_ = durable_file;
    }
    guard_ = true;
    durable_ = coverage->to;
    marked_ = coverage->to;
    chunks_ = std::move(whole);
    relations_ = std::move(relations);
    on_disk_ = first_ + chunks_.size();
    captured_ = coverage->to;
    ready_.notify_all();
    return coverage;
}

}  // namespace godwit::engine
