#include "targets/mysql/slice_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "base/failpoint.h"
#include "targets/mysql/columns.h"
#include "targets/mysql/ledger.h"

namespace godwit::mysql {
namespace {

constexpr std::size_t kKeptBytes = 32U << 20;    // of a slice, to load it again by INSERT
constexpr std::size_t kWaitingBytes = 4U << 20;  // between write() and the server
constexpr std::size_t kBlockBytes = 256U << 10;  // smaller blocks are joined
constexpr std::size_t kInsertBytes = 1U << 20;
constexpr std::size_t kInsertRows = 1000;

// Blocks on their way from write() to the thread that runs LOAD DATA. Those taken stay until the slice ends,
// as long as all of them are few.
class Blocks {
public:
    // false: the other side has ended
    bool put(Bytes block) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return ended_ || waiting_ < kWaitingBytes; });
        if (ended_) return false;
        if (blocks_.size() == next_ || blocks_.back().size() >= kBlockBytes) {
            ByteBuffer fresh;
            if (!spare_.empty()) {
                fresh = std::move(spare_.back());
                spare_.pop_back();
            }
            fresh.reserve(std::max(block.size(), kBlockBytes));
            blocks_.push_back(std::move(fresh));
        }
        blocks_.back().append(block);
        waiting_ += block.size();
        total_ += block.size();
        if (total_ > kKeptBytes) kept_ = false;
        if (blocks_.back().size() >= kBlockBytes) changed_.notify_all();
        return true;
    }
    // everything is in
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }
    void give_up() {
        const std::lock_guard lock(mutex_);
        given_up_ = true;
        changed_.notify_all();
    }
    // the thread is gone: put() must not wait for it
    void end() {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    }
    // Empty: no more. Valid until the next call.
    Result<Bytes> take() {
        std::unique_lock lock(mutex_);
        if (taken_ && !kept_) {
            while (next_ > 0) {
                recycle(std::move(blocks_.front()));
                blocks_.pop_front();
                --next_;
            }
        }
        taken_ = false;
        // a block that is still being filled is left to put(), unless there will be no more
        changed_.wait(lock, [&] {
            return given_up_ || closed_ || next_ + 1 < blocks_.size() ||
                   (next_ < blocks_.size() && blocks_[next_].size() >= kBlockBytes);
        });
        if (given_up_) return fail(ErrorCode::cancelled, "the slice was given up");
        if (next_ == blocks_.size()) return Bytes{};
        const Bytes block = blocks_[next_++].view();
        taken_ = true;
        waiting_ -= block.size();
        changed_.notify_all();
        return block;
    }
    // after the thread has ended
    [[nodiscard]] bool kept() const { return kept_; }
    template <class F>
    Result<> each(F&& f) {
        for (const auto& b : blocks_) GW_CHECK(f(b.view()));
        return {};
    }
    void reset() {
        while (!blocks_.empty()) {
            recycle(std::move(blocks_.front()));
            blocks_.pop_front();
        }
        next_ = waiting_ = total_ = 0;
        kept_ = true;
        taken_ = closed_ = given_up_ = ended_ = false;
    }

private:
    void recycle(ByteBuffer b) {
        b.clear();
        if (b.capacity() <= 2 * kBlockBytes && spare_.size() < 64) spare_.push_back(std::move(b));
    }
    std::mutex mutex_;  // guards all
    std::condition_variable changed_;
    std::deque<ByteBuffer> blocks_;
    std::vector<ByteBuffer> spare_;
    std::size_t next_ = 0;  // of blocks_: the first that was not taken
    std::size_t waiting_ = 0, total_ = 0;
    bool kept_ = true;  // all blocks are still here
    bool taken_ = false, closed_ = false, given_up_ = false, ended_ = false;
};

// Cells of one line of rows.load or rows.copy.
class LineReader {
public:
    explicit LineReader(Bytes block) : at_(block.data()), end_(block.data() + block.size()) {}
    [[nodiscard]] bool at_end() const { return at_ == end_; }
    // The next cell; true when it was the last of its line. The bytes live until the next call.
    bool next(Cell& cell) {
        text_.clear();
        const std::byte* from = at_;
        bool escaped = false, null = false;
        while (at_ != end_) {
            const char c = static_cast<char>(*at_);
            if (c == '\t' || c == '\n') break;
            if (c != '\\' || at_ + 1 == end_) {
                ++at_;
                continue;
            }
            escaped = true;
            text_.append({from, at_});
            const char e = static_cast<char>(at_[1]);
            null = null || (e == 'N' && text_.empty() && at_ == from);
            text_.put_u8(static_cast<std::uint8_t>(meaning(e)));
            at_ += 2;
            from = at_;
        }
        const bool last = at_ == end_ || *at_ == std::byte{'\n'};
        if (escaped) text_.append({from, at_});
        cell.state = null && text_.size() == 1 ? CellState::null : CellState::text;
        cell.bytes = escaped ? text_.view() : Bytes{from, at_};
        if (at_ != end_) ++at_;
        return last;
    }

private:
    static char meaning(char c) {
        switch (c) {
            case '0':
                return '\0';
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'v':
                return '\v';
            default:
                return c;
        }
    }
    const std::byte* at_;
    const std::byte* end_;
    ByteBuffer text_;
};

// Remarks that say nothing about the rows: deprecated spellings.
bool harmless(std::int64_t code) { return code == 1287 || code == 1681 || code == 3719 || code == 3778; }

class MySliceWriter final : public SliceWriter {
public:
    MySliceWriter(const Sessions& sessions, const TargetContext& context)
        : sessions_(sessions), x_(context) {}
    ~MySliceWriter() override { abort(); }

    Result<bool> begin(const TableSchema& table, const PreparedTable& prepared,
                       std::uint32_t slice) override {
        abort();
        blocks_.reset();
        if (session_ && !session_->healthy()) session_.reset();
        if (!session_) session_.emplace(GW_TRY(sessions_.open()));
        if (table_ != table.name || generation_ != prepared.generation || columns_.empty()) {
            table_ = table.name;
            target_ = x_.name_of(table.name);
            now_ = GW_TRY(read_table(*session_, target_));
            if (!now_.exists)
                return fail(ErrorCode::not_found,
                            "table " + target_.text() + " does not exist on the target");
            columns_.clear();
            for (const auto& c : table.columns)
                if (!c.generated) columns_.push_back({c.name, c.portable.binary()});
        }
        generation_ = prepared.generation;
        slice_ = slice;
        hex_ = prepared.format == kRowsCopy;
        rows_ = 0;
        // The columns were only looked at: the claim must be the first to lock anything.
        auto claimed = claim();
        if (!claimed) {
            const unsigned number = session_->error_number();
            Error error = std::move(claimed).error();
            rollback();
            if (number == 1062) return false;
            return std::unexpected(explain_refusal(std::move(error), number, "slice").with(what()));
        }
        by_insert_ = *claimed || !sessions_.facts().local_infile || !x_.endpoint.flag("loadusingcsv", true) ||
                     !x_.endpoint.flag("loadusinglocalinfile", true);
        open_ = true;
        GW_FAILPOINT("slice.begun");
        return true;
    }

    Result<> write(Bytes block) override {
        if (!open_) return fail(ErrorCode::internal, "rows without a slice");
        if (block.empty()) return {};
        if (by_insert_) {
            auto done = insert_block(block);
            if (done) return {};
            open_ = false;
            rollback();
            return std::unexpected(std::move(done).error().with(what()));
        }
        if (hex_ && without_copy_escapes(block, unescaped_)) block = unescaped_.view();
        if (!loader_.joinable()) {
            const std::string sql = load_sql(target_, now_, columns_, hex_);
            loader_ = std::thread([this, sql] {
                loaded_ = session_->load_local(sql, [this] { return blocks_.take(); });
                blocks_.end();
            });
        }
        if (blocks_.put(block)) return {};
        // the server's own reason
        loader_.join();
        open_ = false;
        Error why = loaded_ ? fail(ErrorCode::internal, "LOAD DATA ended before its rows").error()
                            : std::move(loaded_).error();
        rollback();
        return std::unexpected(std::move(why).with(what()));
    }

    Result<> commit(std::uint64_t rows) override {
        if (!open_) return fail(ErrorCode::internal, "rows without a slice");
        open_ = false;
        auto done = finish(rows);
        blocks_.reset();
        if (done) return {};
        rollback();
        return std::unexpected(std::move(done).error().with(what()));
    }

    void abort() override {
        open_ = false;
        if (loader_.joinable()) {
            blocks_.give_up();  // closes the socket: an end of file would be a part that is loaded
            loader_.join();
            session_.reset();
        }
        values_.clear();
        value_rows_ = 0;
        rollback();
    }

private:
    // by_insert of the table
    Result<bool> claim() {
        const auto answers = GW_TRY(session_->query_all(
            "COMMIT; SELECT by_insert FROM godwit.gw_table" + where_table(x_.task, table_) + "; " +
            slice_claim_sql(x_.task, table_, generation_, sessions_.epoch(), slice_)));
        return answers[1].size() == 1 && answers[1].number(0, 0) != 0;
    }

    Result<> finish(std::uint64_t rows) {
        if (by_insert_) {
            GW_CHECK(flush_inserts());
            GW_FAILPOINT("slice.rows_sent");
        } else {
            if (loader_.joinable()) {
                blocks_.close();
                GW_FAILPOINT("slice.rows_sent");
                loader_.join();
                const auto loaded = GW_TRY(std::move(loaded_));
                rows_ = loaded.affected;
                if (loaded.warnings != 0 && GW_RULE("load.warnings_check"))
                    GW_CHECK(load_again(loaded.warnings));
            }
        }
        if (rows_ != rows && GW_RULE("load.row_count_check"))
            return fail(ErrorCode::data_loss,
                        fmt::format("the source gave {} rows, the target took {}", rows, rows_),
                        Retry::from_checkpoint);
        GW_FAILPOINT("slice.before_commit");
        // When the connection breaks here nobody knows: the next begin() of this slice finds out.
        GW_CHECK(session_->run(slice_rows_sql(x_.task, table_, generation_, slice_, rows) + "; COMMIT"));
        GW_FAILPOINT("slice.committed");
        return {};
    }

    // The server bent rows, or left some out: strictly now, so that it names the one that does not fit.
    Result<> load_again(unsigned warnings) {
        if (x_.log != nullptr)
            x_.log->warning(Component::target_load,
                            fmt::format("{}: LOAD DATA gave {} warnings, the slice is loaded again by INSERT",
                                        what(), warnings));
        GW_CHECK(session_->run("ROLLBACK"));
        if (!blocks_.kept()) {
            // too large to be kept: read once more from the source, by INSERT at once
            GW_CHECK(session_->run("UPDATE godwit.gw_table SET by_insert = 1" + where_table(x_.task, table_) +
                                   fmt::format(" AND generation = {}; COMMIT", generation_)));
            return fail(ErrorCode::unavailable,
                        "the target did not take all rows as they are; they are read again and inserted",
                        Retry::from_checkpoint);
        }
        GW_TRY(claim());
        rows_ = 0;
        GW_CHECK(blocks_.each([&](Bytes block) { return insert_block(block); }));
        return flush_inserts();
    }

    Result<> insert_block(Bytes block) {
        LineReader in(block);
        Cell cell;
        while (!in.at_end()) {
            if (value_rows_ == 0) begin_insert();
            const std::size_t before = values_.size();
            values_.append(std::string_view(value_rows_ == 0 ? "(" : ",("));
            bool first = true;
            for (std::size_t i = 0;; ++i) {
                const bool last = in.next(cell);
                if (i >= columns_.size())
                    return fail(ErrorCode::internal, "a line of the load has more cells than columns");
                if (const TargetColumn* t = insert_columns_[i]; t != nullptr) {
                    if (!first) values_.put_u8(',');
                    first = false;
                    put_cell(*t, columns_[i].bytes, cell);
                }
                if (!last) continue;
                if (i + 1 != columns_.size())
                    return fail(ErrorCode::internal, "a line of the load has fewer cells than columns");
                break;
            }
            values_.put_u8(')');
            GW_CHECK(keep_to_packet(before));
            ++value_rows_;
            if (value_rows_ >= kInsertRows || values_.size() >= kInsertBytes) GW_CHECK(flush_inserts());
        }
        return {};
    }

    // The row behind `before` begins a statement of its own when the server would not take it with the
    // others.
    Result<> keep_to_packet(std::size_t before) {
        const std::uint64_t limit = sessions_.facts().statement_bytes();
        if (values_.size() <= limit) return {};
        if (value_rows_ != 0) {
            row_.clear();
            row_.append(values_.view().subspan(before + 1));  // without its comma
            values_.resize_down(before);
            GW_CHECK(flush_inserts());
            begin_insert();
            values_.append(row_.view());
            if (row_.capacity() > 2 * kInsertBytes) row_.release_memory();
        }
        if (values_.size() <= limit) return {};
        return fail(ErrorCode::invalid_argument,
                    fmt::format("row {} takes {} bytes as a statement, more than the target's "
                                "max_allowed_packet of {}: raise that, then reload the table",
                                rows_ + 1, values_.size(), sessions_.facts().packet_bytes));
    }

    void put_cell(const TargetColumn& t, bool bytes, Cell cell) {
        if (bytes && cell.state == CellState::text) {
            cell.state = CellState::binary;
            if (hex_) cell.bytes = bytes_of_hex(cell.bytes);
        }
        put_literal(values_, t, cell);
    }

    Bytes bytes_of_hex(Bytes hex) {
        const auto digit = [](std::byte b) {
            const auto c = std::to_integer<unsigned>(b);
            return c <= '9' ? c - '0' : (c | 0x20U) - 'a' + 10;
        };
        unhexed_.clear();
        for (std::size_t i = 2; i + 1 < hex.size(); i += 2)
            unhexed_.put_u8(static_cast<std::uint8_t>(digit(hex[i]) << 4U | digit(hex[i + 1])));
        return unhexed_.view();
    }

    void begin_insert() {
        insert_columns_.clear();
        std::string names;
        for (const auto& [name, bytes] : columns_) {
            const TargetColumn* t = now_.column(name);
            insert_columns_.push_back(t);
            if (t != nullptr) names += (names.empty() ? "" : ", ") + t->quoted;
        }
        values_.clear();
        values_.append(std::string_view(
            fmt::format("INSERT INTO {} ({}) VALUES ", quote_name(target_.schema, target_.table), names)));
    }

    Result<> flush_inserts() {
        if (value_rows_ == 0) return {};
        auto done = session_->query(as_text(values_.view()));
        value_rows_ = 0;
        values_.clear();
        if (!done) return std::unexpected(std::move(done).error());
        rows_ += done->affected();
        if (done->warnings() == 0) return {};
        const auto remarks = GW_TRY(session_->query("SHOW WARNINGS LIMIT 100"));
        for (std::size_t i = 0; i < remarks.size(); ++i)
            if (!harmless(remarks.number(i, 1))) {
                Error e =
                    make_error(static_cast<unsigned>(remarks.number(i, 1)), "22000", remarks.text(i, 2));
                e.code = ErrorCode::invalid_argument;
                e.retry = Retry::never;
                return std::unexpected(std::move(e));
            }
        return {};
    }

    // A session that cannot say that its transaction has ended is closed.
    void rollback() {
        if (!session_) return;
        if (!session_->healthy() || !session_->run("ROLLBACK")) session_.reset();
    }

    [[nodiscard]] std::string what() const {
        return fmt::format("table {}, slice {}", table_.text(), slice_);
    }

    const Sessions& sessions_;
    const TargetContext& x_;
    std::optional<Connection> session_;
    TableName table_, target_;
    TargetTable now_;
    std::vector<LoadColumn> columns_;  // of a line
    std::uint64_t generation_ = 0;
    std::uint32_t slice_ = 0;
    std::uint64_t rows_ = 0;  // that the server took
    bool hex_ = false;
    ByteBuffer unhexed_;  // one cell
    bool by_insert_ = false;
    bool open_ = false;
    ByteBuffer unescaped_;
    ByteBuffer values_;  // an INSERT that grows
    ByteBuffer row_;     // that goes into the next one
    std::size_t value_rows_ = 0;
    std::vector<const TargetColumn*> insert_columns_;
    Blocks blocks_;
    Result<Connection::Loaded> loaded_;
    std::thread loader_;  // last: it uses all of the above
};

}  // namespace

bool without_copy_escapes(Bytes block, ByteBuffer& to) {
    const std::byte* const begin = block.data();
    const std::byte* const end = begin + block.size();
    const std::byte* plain = begin;
    const std::byte* at = begin;
    bool changed = false;
    while (at != end) {
        at = static_cast<const std::byte*>(std::memchr(at, '\\', static_cast<std::size_t>(end - at)));
        if (at == nullptr || at + 1 == end) break;
        const char c = static_cast<char>(at[1]);
        if (c == 'f' || c == 'v') {
            if (!changed) to.clear();
            changed = true;
            to.append({plain, at});
            to.put_u8(c == 'f' ? 0x0c : 0x0b);
            plain = at + 2;
        }
        at += 2;
    }
    if (changed) to.append({plain, end});
    return changed;
}

std::unique_ptr<SliceWriter> make_slice_writer(const Sessions& sessions, const TargetContext& context) {
    return std::make_unique<MySliceWriter>(sessions, context);
}

}  // namespace godwit::mysql
