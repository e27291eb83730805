#include "targets/postgres/slice_writer.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/failpoint.h"
#include "codecs/pg/relay.h"
#include "targets/postgres/ledger.h"

namespace godwit::postgres {
namespace {

constexpr std::size_t kBlockBytes = 64U << 10;  // smaller blocks are joined: a fifth faster than row by row

// what COPY reads as "no rows"
constexpr std::array<std::uint8_t, 21> kEmptyBinary = {
    'P', 'G', 'C', 'O', 'P', 'Y', '\n', 0xff, '\r', '\n', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

class PgSliceWriter final : public SliceWriter {
public:
    PgSliceWriter(const Sessions& sessions, std::string task, std::string target_schema)
        : sessions_(sessions), task_(std::move(task)), target_schema_(std::move(target_schema)) {}
    ~PgSliceWriter() override { abort(); }

    Result<bool> begin(const TableSchema& table, const PreparedTable& prepared,
                       std::uint32_t slice) override {
        abort();
        if (session_ && !session_->healthy()) session_.reset();
        if (!session_) session_.emplace(GW_TRY(sessions_.open()));
        table_ = table.name;
        generation_ = prepared.generation;
        slice_ = slice;
        binary_ = prepared.format == kFormatBinary;
        portable_binary_ = prepared.format == kRowsBinary;
        sent_ = 0;
        const TableName target{target_schema_.empty() ? table.name.schema : target_schema_, table.name.table};
        const std::string columns = written_columns(table);
        // One round trip. The string stops at the first refusal, so no row is asked for that may not come in.
        auto started = session_->copy_in_start(
            "BEGIN; " + slice_claim_sql(task_, table.name, generation_, sessions_.epoch(), slice) +
            "; COPY " + pg::quote_name(target.schema, target.table) + columns + " FROM STDIN" +
            copy_in_options(prepared.format));
        if (!started) {
            Error error = std::move(started).error();
            rollback();
            if (error.sqlstate == "23505") return false;
            return std::unexpected(explain_refusal(std::move(error), "slice").with(what()));
        }
        in_copy_ = true;
        GW_FAILPOINT("slice.begun");
        return true;
    }

    Result<> write(Bytes block) override {
        if (!in_copy_) return fail(ErrorCode::internal, "rows without a slice");
        sent_ += block.size();
        if (waiting_.empty() && block.size() >= kBlockBytes) return send(block);
        waiting_.append(block);
        if (waiting_.size() < kBlockBytes) return {};
        return flush();
    }

    Result<> commit(std::uint64_t rows) override {
        if (!in_copy_) return fail(ErrorCode::internal, "rows without a slice");
        if (sent_ == 0 && binary_)
            waiting_.append({reinterpret_cast<const std::byte*>(kEmptyBinary.data()), kEmptyBinary.size()});
        GW_CHECK(flush());
        GW_FAILPOINT("slice.rows_sent");
        in_copy_ = false;
        auto count = session_->copy_in_end();
        if (!count) {
            rollback();
            // its own words are about the format, which is how the source says it (codecs/rows/copy_binary.h)
            if (portable_binary_ && count.error().sqlstate == "22P04")
                count.error().message =
                    "a cell holds what PostgreSQL has no value for: a date that does not exist, or 1 GB";
            return std::unexpected(std::move(count).error().with(what()));
        }
        if (*count != rows && GW_RULE("load.row_count_check")) {
            rollback();
            return std::unexpected(
                Error{ErrorCode::data_loss,
                      Retry::from_checkpoint,
                      fmt::format("the source gave {} rows, the target took {}", rows, *count),
                      {what()},
                      {}});
        }
        if (auto failed = before_commit(); !failed) {
            rollback();
            return failed;
        }
        // When the connection breaks here nobody knows: the next begin() of this slice finds out.
        auto done = session_->run(slice_rows_sql(task_, table_, generation_, slice_, rows) + "; COMMIT");
        if (!done) {
            rollback();
            return std::unexpected(std::move(done).error().with(what()));
        }
        GW_FAILPOINT("slice.committed");
        return {};
    }

    void abort() override {
        waiting_.clear();
        if (!in_copy_) return;
        in_copy_ = false;
        if (session_ && session_->healthy()) session_->copy_in_abort("the slice was given up");
        rollback();
    }

private:
    static Result<> before_commit() {
        GW_FAILPOINT("slice.before_commit");
        return {};
    }

    Result<> send(Bytes block) {
        auto sent = session_->copy_in_write(block);
        if (sent) return {};
        in_copy_ = false;
        rollback();
        return std::unexpected(std::move(sent).error().with(what()));
    }

    Result<> flush() {
        if (waiting_.empty()) return {};
        auto sent = send(waiting_.view());
        waiting_.clear();
        return sent;
    }

    // A session that cannot say that its transaction has ended is closed.
    void rollback() {
        if (!session_) return;
        if (!session_->healthy() || !session_->run("ROLLBACK") ||
            PQtransactionStatus(session_->raw()) != PQTRANS_IDLE)
            session_.reset();
    }

    [[nodiscard]] std::string what() const {
        return fmt::format("table {}, slice {}", table_.text(), slice_);
    }

    const Sessions& sessions_;
    const std::string task_;
    const std::string target_schema_;
    std::optional<pg::Connection> session_;
    TableName table_;
    std::uint64_t generation_ = 0;
    std::uint32_t slice_ = 0;
    std::uint64_t sent_ = 0;
    bool binary_ = false;
    bool portable_binary_ = false;
    bool in_copy_ = false;
    ByteBuffer waiting_;
};

}  // namespace

std::unique_ptr<SliceWriter> make_slice_writer(const Sessions& sessions, std::string task,
                                               std::string target_schema) {
    return std::make_unique<PgSliceWriter>(sessions, std::move(task), std::move(target_schema));
}

std::string written_columns(const TableSchema& table) {
    std::string out;
    for (const auto& c : table.columns)
        if (!c.generated) out += (out.empty() ? "" : ", ") + pg::quote_name(c.name);
    return out.empty() ? "" : " (" + out + ")";
}

}  // namespace godwit::postgres
