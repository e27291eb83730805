#include "engine/change_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "fakes/memory_rows.h"

namespace godwit::engine {
namespace {

using namespace std::chrono_literals;

// Transactions of rows that carry a number; order n is the begin, n + 5 the end, "p<n + 5>" its position.
class ChangeLogTest : public testing::Test {
protected:
    ChangeLogTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "godwit-log-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        options_.folder = folder_ / "spool";
        options_.chunk_bytes = 256;
        options_.memory_bytes_max = 4096;
    }
    ~ChangeLogTest() override { std::filesystem::remove_all(folder_); }

    static void row(ChangeLog& log, std::uint32_t stream, std::uint32_t subxid, const std::string& text) {
        RecordWriter writer(log.buffer(stream));
        writer.start(RecordKind::insert, 1, subxid);
        test::put_cells(writer, {text});
        writer.finish();
        ASSERT_TRUE(log.recorded(stream));
    }
    static void begin(ChangeLog& log, std::uint64_t order) {
        RecordWriter(log.buffer(0)).begin(1, order, 0, false, {});
        ASSERT_TRUE(log.recorded(0));
    }
    static void commit(ChangeLog& log, std::uint64_t order) {
        RecordWriter(log.buffer(0)).commit(order + 5, "p" + std::to_string(order + 5), 0);
        ASSERT_TRUE(log.recorded(0));
    }
    static void transaction(ChangeLog& log, std::uint64_t order, int rows = 3) {
        begin(log, order);
        for (int i = 0; i < rows; ++i) row(log, 0, 0, std::to_string(order) + "." + std::to_string(i));
        commit(log, order);
    }
    // What a reader sees from chunk `from` on: rows by their text, "B<order>", "C<position>", "-<aborted>".
    static std::vector<std::string> all(ChangeLog& log, std::uint64_t from = 1) {
        std::vector<std::string> out;
        for (std::uint64_t n = from; n < log.end(); ++n) {
            const auto chunk = log.read(n, 0ms, {});
            EXPECT_TRUE(chunk) << chunk.error().text();
            if (!chunk || !*chunk) break;
            RecordReader reader((*chunk)->data.view());
            Record r;
            while (reader.next(r)) {
                if (r.kind == RecordKind::begin) {
                    out.push_back("B" + std::to_string(r.order));
                    for (ByteReader in(r.list); !in.at_end();)
                        out.push_back("-" + std::to_string(in.le<std::uint32_t>()));
                }
                if (r.kind == RecordKind::insert) out.push_back(test::get_cells(r.row)[0].value_or("NULL"));
                if (r.kind == RecordKind::commit) out.push_back("C" + std::string(r.position));
            }
            EXPECT_FALSE(reader.failed());
        }
        return out;
    }
    static std::vector<std::string> expected(std::uint64_t from, std::uint64_t to, int rows = 3) {
        std::vector<std::string> out;
        for (std::uint64_t order = from; order <= to; order += 10) {
            out.push_back("B" + std::to_string(order));
            for (int i = 0; i < rows; ++i) out.push_back(std::to_string(order) + "." + std::to_string(i));
            out.push_back("Cp" + std::to_string(order + 5));
        }
        return out;
    }
    std::vector<std::filesystem::path> files() const {
        std::vector<std::filesystem::path> out;
        std::error_code none;
        for (const auto& entry : std::filesystem::directory_iterator(options_.folder, none))
            out.push_back(entry.path());
        std::ranges::sort(out);
        return out;
    }

    std::filesystem::path folder_;
    ChangeLogOptions options_;
};

TEST_F(ChangeLogTest, keeps_the_order_across_chunks) {
    ChangeLog log(options_);
    for (std::uint64_t order = 10; order <= 300; order += 10) transaction(log, order);
    ASSERT_TRUE(log.idle());
    EXPECT_GT(log.end(), 5U);
    EXPECT_EQ(all(log), expected(10, 300));
    EXPECT_EQ(log.captured(), Position{"p305"});
}

TEST_F(ChangeLogTest, what_is_buffered_becomes_visible_when_idle) {
    ChangeLog log(options_);
    transaction(log, 10, 1);
    EXPECT_EQ(log.end(), 1U);
    EXPECT_EQ(*log.read(1, 0ms, {}), nullptr);
    ASSERT_TRUE(log.idle());
    EXPECT_EQ(log.end(), 2U);
}

TEST_F(ChangeLogTest, open_transactions_are_spliced_in_where_they_commit) {
    ChangeLog log(options_);
    row(log, 7, 7, "a");
    transaction(log, 10, 1);
    row(log, 8, 8, "other");
    row(log, 7, 71, "rolled back");
    row(log, 7, 7, "b");
    log.stream_abort(7, 71);
    transaction(log, 20, 1);
    ASSERT_TRUE(log.stream_commit(7, 30, 35, "p35", 0));
    log.stream_abort(8, 8);
    transaction(log, 40, 1);
    ASSERT_TRUE(log.idle());
    auto want = expected(10, 20, 1);
    for (const auto* t : {"B30", "-71", "a", "rolled back", "b", "Cp35"}) want.emplace_back(t);
    for (const auto& t : expected(40, 40, 1)) want.push_back(t);
    EXPECT_EQ(all(log), want);
}

TEST_F(ChangeLogTest, a_large_open_transaction_goes_to_a_file_of_its_own_and_comes_back_equal) {
    ChangeLog log(options_);
    std::vector<std::string> want{"B30"};
    for (int i = 0; i < 2000; ++i) {
        row(log, 7, 7, "row " + std::to_string(i));
        want.push_back("row " + std::to_string(i));
    }
    want.emplace_back("Cp35");
    EXPECT_LE(log.memory_bytes(), options_.memory_bytes_max + 2 * options_.chunk_bytes);
    EXPECT_GT(log.spool_bytes(), 0U);
    EXPECT_EQ(files().size(), 1U);
    ASSERT_TRUE(log.stream_commit(7, 30, 35, "p35", 0));
    EXPECT_EQ(all(log), want);
    log.release_before(log.end());
    EXPECT_TRUE(files().empty());
    EXPECT_EQ(log.spool_bytes(), 0U);
    EXPECT_EQ(log.memory_bytes(), 0U);
}

TEST_F(ChangeLogTest, an_aborted_or_lost_stream_leaves_nothing) {
    ChangeLog log(options_);
    for (int i = 0; i < 2000; ++i) {
        row(log, 7, 7, "x");
        row(log, 8, 8, "y");
    }
    EXPECT_EQ(files().size(), 2U);
    log.stream_abort(7, 7);
    EXPECT_EQ(files().size(), 1U);
    log.streams_lost();
    EXPECT_TRUE(files().empty());
    EXPECT_EQ(log.spool_bytes(), 0U);
    EXPECT_EQ(log.memory_bytes(), 0U);
    EXPECT_EQ(log.end(), 1U);
}

// Chunks that the main reader has still to take stay in memory, so reading from the source pauses; what is
// held for others only goes to disk.
TEST_F(ChangeLogTest, full_until_the_main_reader_has_passed) {
    ChangeLog log(options_);
    std::uint64_t order = 10;
    for (; !log.full(); order += 10) transaction(log, order);
    EXPECT_GT(log.memory_bytes(), options_.memory_bytes_max);
    EXPECT_LE(log.memory_bytes(), options_.memory_bytes_max + 2 * options_.chunk_bytes);
    EXPECT_EQ(log.spool_bytes(), 0U);
    EXPECT_TRUE(files().empty());
    log.passed(log.end());
    EXPECT_FALSE(log.full());
    EXPECT_GT(log.spool_bytes(), 0U);
    ASSERT_TRUE(log.idle());
    EXPECT_EQ(all(log), expected(10, order - 10));  // equal bytes, whether from memory or from disk
    log.release_before(log.end());
    EXPECT_FALSE(log.full());
    EXPECT_EQ(log.memory_bytes() + log.spool_bytes(), 0U);
    EXPECT_TRUE(files().empty());
}

// What it reads may leave the memory at any time.
TEST_F(ChangeLogTest, a_reader_keeps_what_goes_to_disk) {
    ChangeLog log(options_);
    while (!log.full()) transaction(log, 10);
    const auto chunk = log.read(1, 0ms, {}).value();
    ASSERT_TRUE(chunk);
    const auto bytes = chunk->bytes;
    log.passed(log.end());
    ASSERT_FALSE(log.full());
    ASSERT_GT(log.spool_bytes(), 0U);
    EXPECT_EQ(chunk->data.size(), bytes);
    const auto again = log.read(1, 0ms, {}).value();
    ASSERT_EQ(again->data.size(), bytes);
    EXPECT_TRUE(std::ranges::equal(again->data.view(), chunk->data.view()));
}

// It comes back to what it has not passed, and waits for what is still to be read from the source.
TEST_F(ChangeLogTest, not_full_while_its_reader_waits_for_it_to_go_on) {
    options_.spool_bytes_max = 1U << 20;
    options_.file_bytes = 4096;
    ChangeLog log(options_);
    std::uint64_t order = 10;
    for (; !log.full(); order += 10) transaction(log, order);
    {
        ChangeLog::Waiting waiting(log);
        waiting.set(true);
        for (const auto until = order + 10'000; order < until; order += 10) {
            ASSERT_FALSE(log.full());
            transaction(log, order);
        }
        // a limit of the spool is one here, too
        for (; !log.full() && log.spool_bytes() < 4 * options_.spool_bytes_max; order += 10)
            transaction(log, order, 100);
        EXPECT_LT(log.spool_bytes(), 2 * options_.spool_bytes_max);
    }
    EXPECT_TRUE(log.full());
    ASSERT_TRUE(log.idle());
    EXPECT_FALSE(all(log).empty());
    log.release_before(log.end());
    EXPECT_EQ(log.memory_bytes() + log.spool_bytes(), 0U);
    EXPECT_TRUE(files().empty());
}

TEST_F(ChangeLogTest, files_go_one_by_one_with_their_last_chunk) {
    options_.file_bytes = 2048;
    ChangeLog log(options_);
    for (std::uint64_t order = 10; order <= 3000; order += 10) {
        transaction(log, order);
        log.passed(log.end());
    }
    ASSERT_TRUE(log.idle());
    const auto before = files().size();
    ASSERT_GT(before, 3U);
    EXPECT_EQ(all(log), expected(10, 3000));
    log.release_before(log.end() / 2);
    EXPECT_LT(files().size(), before);
    EXPECT_GT(files().size(), 0U);
    EXPECT_FALSE(log.read(1, 0ms, {}));  // released
    const auto rest = all(log, log.end() / 2);
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.back(), "Cp3005");
}

TEST_F(ChangeLogTest, knows_which_chunks_concern_a_table) {
    ChangeLog log(options_);
    transaction(log, 10);
    ASSERT_TRUE(log.idle());
    EXPECT_TRUE(log.concerns(1, {1}));
    EXPECT_FALSE(log.concerns(1, {2}));
    ByteBuffer relations;
    begin(log, 20);
    RecordWriter(log.buffer(0)).truncate(0, 0, {2});
    ASSERT_TRUE(log.recorded(0));
    commit(log, 20);
    ASSERT_TRUE(log.idle());
    EXPECT_TRUE(log.concerns(2, {2}));
    EXPECT_FALSE(log.concerns(2, {1}));
}

TEST_F(ChangeLogTest, an_error_of_the_stream_is_kept) {
    ChangeLog log(options_);
    log.close(fail(ErrorCode::data_loss, "gone"));
    EXPECT_TRUE(log.closed());
    log.close({});
    ASSERT_TRUE(log.error());
    EXPECT_EQ(log.error()->code, ErrorCode::data_loss);
    EXPECT_EQ(*log.read(1, 10s, {}), nullptr);  // does not wait
}

// --- guard mode

TEST_F(ChangeLogTest, a_guarded_spool_covers_exactly_what_it_says) {
    {
        ChangeLog log(options_);
        log.set_acknowledged({"p5"});
        transaction(log, 10);
        ASSERT_TRUE(log.idle());
        EXPECT_EQ(log.acknowledged(), Position{"p5"});
        ASSERT_TRUE(log.start_guard());
        EXPECT_EQ(log.durable(), Position{"p15"});
        EXPECT_EQ(log.acknowledged(), Position{"p15"});  // the source may forget it now
        for (std::uint64_t order = 20; order <= 200; order += 10) transaction(log, order);
        ASSERT_TRUE(log.idle());
        begin(log, 210);
        row(log, 0, 0, "not whole");
        ASSERT_TRUE(log.idle());
        EXPECT_EQ(log.durable(), Position{"p205"});
    }
    ChangeLog log(options_);
    const auto coverage = log.restore().value();
    ASSERT_TRUE(coverage);
    EXPECT_EQ(coverage->from, Position{"p5"});
    EXPECT_EQ(coverage->to, Position{"p205"});
    EXPECT_EQ(log.captured(), Position{"p205"});
    EXPECT_TRUE(log.guarded());
    EXPECT_EQ(all(log), expected(10, 200));
    // it goes on behind, and a third process finds both
    transaction(log, 210);
    ASSERT_TRUE(log.idle());
    EXPECT_EQ(all(log), expected(10, 210));
}

TEST_F(ChangeLogTest, a_third_process_finds_what_two_have_written) {
    for (std::uint64_t run = 0; run < 3; ++run) {
        ChangeLog log(options_);
        const auto coverage = log.restore().value();
        EXPECT_EQ(coverage.has_value(), run > 0);
        EXPECT_EQ(all(log), run == 0 ? std::vector<std::string>{} : expected(10, run * 50));
        ASSERT_TRUE(log.start_guard());
        for (std::uint64_t i = 1; i <= 5; ++i) transaction(log, run * 50 + i * 10);
        ASSERT_TRUE(log.idle());
    }
}

TEST_F(ChangeLogTest, streamed_transactions_are_in_a_guarded_spool_too) {
    std::vector<std::string> want = expected(10, 10);
    {
        ChangeLog log(options_);
        ASSERT_TRUE(log.start_guard());
        transaction(log, 10);
        for (int i = 0; i < 500; ++i) row(log, 7, 7, "s" + std::to_string(i));
        row(log, 9, 9, "never committed");
        ASSERT_TRUE(log.stream_commit(7, 20, 25, "p25", 0));
        transaction(log, 30);
        ASSERT_TRUE(log.idle());
        EXPECT_EQ(log.durable(), Position{"p35"});
    }
    want.emplace_back("B20");
    for (int i = 0; i < 500; ++i) want.push_back("s" + std::to_string(i));
    want.emplace_back("Cp25");
    for (const auto& t : expected(30, 30)) want.push_back(t);
    ChangeLog log(options_);
    const auto coverage = log.restore().value();
    ASSERT_TRUE(coverage);
    EXPECT_EQ(coverage->to, Position{"p35"});
    EXPECT_EQ(all(log), want);
}

TEST_F(ChangeLogTest, relations_come_back_with_a_guarded_spool) {
    const auto relation = test::relation_of(test::table_of("t", {"id"}), 1);
    {
        ChangeLog log(options_);
        EXPECT_EQ(log.new_relation_id(), 1U);
        log.define(relation);
        ASSERT_TRUE(log.start_guard());
        transaction(log, 10);
        ASSERT_TRUE(log.idle());
    }
    ChangeLog log(options_);
    ASSERT_TRUE(log.restore().value());
    ASSERT_NE(log.relation(1), nullptr);
    EXPECT_EQ(log.relation(1)->name, relation.name);
    EXPECT_EQ(log.new_relation_id(), 2U);  // numbers are not used twice
}

// Cut anywhere: what is covered ends at a durable mark, and everything up to it is there.
TEST_F(ChangeLogTest, a_tail_that_was_cut_off_is_not_covered) {
    {
        ChangeLog log(options_);
        ASSERT_TRUE(log.start_guard());
        for (std::uint64_t order = 10; order <= 60; order += 10) {
            transaction(log, order, 1);
            ASSERT_TRUE(log.idle());
        }
    }
    ASSERT_EQ(files().size(), 1U);
    const auto file = files()[0];
    const auto kept = folder_ / "kept";
    std::filesystem::copy_file(file, kept);
    const auto size = std::filesystem::file_size(file);
    std::set<std::string> ends;
    for (std::uintmax_t cut = 9; cut < size; cut += 3) {
        std::filesystem::copy_file(kept, file, std::filesystem::copy_options::overwrite_existing);
        std::filesystem::resize_file(file, cut);
        ChangeLog log(options_);
        const auto coverage = log.restore();
        ASSERT_TRUE(coverage) << cut;
        if (!*coverage) {
            EXPECT_EQ(log.end(), 1U);
            std::filesystem::create_directories(options_.folder);
            continue;
        }
        const auto order = std::stoul((*coverage)->to.token.substr(1)) - 5;
        ends.insert((*coverage)->to.token);
        EXPECT_EQ(all(log), expected(10, order, 1)) << cut;
    }
    EXPECT_EQ(ends.size(), 5U);  // every mark but the last, which the first cut took
}

TEST_F(ChangeLogTest, a_damaged_frame_ends_what_is_covered) {
    {
        ChangeLog log(options_);
        ASSERT_TRUE(log.start_guard());
        for (std::uint64_t order = 10; order <= 60; order += 10) {
            transaction(log, order, 1);
            ASSERT_TRUE(log.idle());
        }
    }
    std::fstream file(files()[0], std::ios::in | std::ios::out | std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(file)), {});
    const auto at = content.find("40.0");
    ASSERT_NE(at, std::string::npos);
    file.clear();
    file.seekp(static_cast<std::streamoff>(at));
    file.put('x');
    file.close();
    ChangeLog log(options_);
    const auto coverage = log.restore().value();
    ASSERT_TRUE(coverage);
    EXPECT_EQ(coverage->to, Position{"p35"});
    EXPECT_EQ(all(log), expected(10, 30, 1));
}

// Nothing that lies behind a gap is covered: whoever trusts the spool goes on at its end.
class SpoolGapTest : public ChangeLogTest {
protected:
    // Each file holds one transaction or more, or some of its rows.
    void write(int rows) {
        options_.file_bytes = 1024;
        ChangeLog log(options_);
        log.set_acknowledged({"p5"});
        ASSERT_TRUE(log.start_guard());
        for (; files().size() < 5; order_ += 10) {
            transaction(log, order_, rows);
            ASSERT_TRUE(log.idle());
        }
        EXPECT_EQ(log.durable(), Position{"p" + std::to_string(order_ - 5)});
    }
    // The files up to `last` alone, as another process would find them.
    Position end_of(std::size_t last) {
        auto options = options_;
        options.folder = folder_ / "copy";
        std::filesystem::remove_all(options.folder);
        std::filesystem::create_directories(options.folder);
        const auto all_files = files();
        for (std::size_t i = 0; i <= last; ++i)
            std::filesystem::copy_file(all_files[i], options.folder / all_files[i].filename());
        ChangeLog log(options);
        const auto coverage = log.restore().value();
        return coverage ? coverage->to : Position{"p5"};
    }
    void flip(const std::filesystem::path& path, std::size_t at) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(static_cast<std::streamoff>(at));
        const int c = file.get();
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(c ^ 1));
    }
    void covers_up_to(const Position& end, int rows) {
        ChangeLog log(options_);
        const auto coverage = log.restore().value();
        EXPECT_EQ(coverage.has_value(), end != Position{"p5"});
        if (!coverage) return;
        EXPECT_EQ(coverage->from, Position{"p5"});
        EXPECT_EQ(coverage->to, end);
        const auto order = std::stoul(end.token.substr(1)) - 5;
        EXPECT_EQ(all(log), expected(10, order, rows));
        // what comes again is written behind it, and the next process finds both
        for (auto next = order + 10; next < order_; next += 10) transaction(log, next, rows);
        ASSERT_TRUE(log.idle());
    }
    std::uint64_t order_ = 10;
};

TEST_F(SpoolGapTest, an_unreadable_head_ends_what_is_covered) {
    write(3);
    const auto end = end_of(0);
    ASSERT_NE(end, Position{"p5"});
    ASSERT_NE(end, end_of(1));
    flip(files()[1], 8 + 13);
    covers_up_to(end, 3);
    covers_up_to({"p" + std::to_string(order_ - 5)}, 3);
}

TEST_F(SpoolGapTest, the_first_head_counts_as_well) {
    write(3);
    flip(files()[0], 8 + 13);
    covers_up_to({"p5"}, 3);
}

TEST_F(SpoolGapTest, a_missing_file_ends_what_is_covered) {
    write(3);
    const auto end = end_of(0);
    std::filesystem::remove(files()[1]);
    covers_up_to(end, 3);
    covers_up_to({"p" + std::to_string(order_ - 5)}, 3);
}

// No mark lies in such a file: its neighbours name the same position.
TEST_F(SpoolGapTest, a_file_inside_a_transaction_is_missed_too) {
    write(150);
    std::size_t at = 1;
    while (at + 1 < files().size() && end_of(at) != end_of(at - 1)) ++at;
    ASSERT_LT(at + 1, files().size());
    const auto end = end_of(at);
    std::filesystem::remove(files()[at]);
    covers_up_to(end, 150);
}

// ... even where the cut is between two frames.
TEST_F(SpoolGapTest, a_file_that_has_lost_its_end_ends_what_is_covered) {
    write(3);
    std::fstream file(files()[1], std::ios::in | std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    std::size_t at = 8, last = 0;
    for (std::uint32_t length = 0; at < content.size(); at += 13 + length) {
        std::memcpy(&length, content.data() + at, 4);
        last = at;
    }
    std::filesystem::resize_file(files()[1], last);
    covers_up_to(end_of(1), 3);
}

// Numbers that other files had are no gap: what is open at the source lies in files of its own.
TEST_F(SpoolGapTest, files_of_open_transactions_are_none) {
    options_.file_bytes = 1024;
    {
        ChangeLog log(options_);
        log.set_acknowledged({"p5"});
        ASSERT_TRUE(log.start_guard());
        for (; order_ <= 400; order_ += 10) {
            transaction(log, order_);
            const auto stream = static_cast<std::uint32_t>(order_);
            for (int i = 0; i < 400 && order_ % 50 == 0; ++i) row(log, stream, stream, "rolled back");
            log.stream_abort(stream, stream);
        }
        ASSERT_TRUE(log.idle());
    }
    // one that was killed when it had just made a file
    std::filesystem::path unused;
    for (int number = 1; unused.empty() || std::filesystem::exists(unused); ++number)
        unused = options_.folder / fmt::format("{:010}.spool", number);
    ASSERT_LT(unused, files().back());
    std::ofstream(unused).close();
    covers_up_to({"p405"}, 3);
}

// Some files hold a mark only: they go with those before them.
TEST_F(SpoolGapTest, what_is_released_leaves_none) {
    options_.file_bytes = 1;
    options_.chunk_bytes = 1;
    std::vector<std::string> want;
    {
        ChangeLog log(options_);
        log.set_acknowledged({"p5"});
        ASSERT_TRUE(log.start_guard());
        for (; order_ <= 100; order_ += 10) transaction(log, order_);
        const auto before = files().size();
        log.release_before(log.end() / 2);
        EXPECT_LT(files().size(), before);
        want = all(log, log.end() / 2);
    }
    for (int process = 0; process < 2; ++process) {
        ChangeLog log(options_);
        const auto coverage = log.restore().value();
        ASSERT_TRUE(coverage);
        EXPECT_EQ(coverage->to, Position{"p" + std::to_string(order_ - 5)});
        const auto got = all(log);
        ASSERT_GE(got.size(), want.size());
        EXPECT_TRUE(std::equal(want.rbegin(), want.rend(), got.rbegin()));
        transaction(log, order_);
        for (const auto& t : expected(order_, order_)) want.push_back(t);
        order_ += 10;
    }
}

TEST_F(ChangeLogTest, a_frame_that_is_damaged_under_the_reader_is_data_loss) {
    ChangeLog log(options_);
    std::uint64_t order = 10;
    for (; !log.full(); order += 10) transaction(log, order);
    log.passed(log.end());
    ASSERT_FALSE(log.full());
    std::fstream file(files().at(0), std::ios::in | std::ios::out | std::ios::binary);
    std::string content((std::istreambuf_iterator<char>(file)), {});
    file.clear();
    file.seekp(static_cast<std::streamoff>(content.find("10.0")));
    file.put('x');
    file.close();
    const auto chunk = log.read(1, 0ms, {});
    ASSERT_FALSE(chunk);
    EXPECT_EQ(chunk.error().code, ErrorCode::data_loss);
}

TEST_F(ChangeLogTest, an_unguarded_spool_is_not_restored) {
    {
        ChangeLog log(options_);
        for (std::uint64_t order = 10; !log.full(); order += 10) transaction(log, order);
        log.passed(log.end());
        ASSERT_FALSE(log.full());
        ASSERT_EQ(files().size(), 1U);
        std::filesystem::copy_file(files()[0], folder_ / "kept");
    }
    EXPECT_TRUE(files().empty());  // it comes again from the source
    std::filesystem::create_directories(options_.folder);
    std::filesystem::copy_file(folder_ / "kept", options_.folder / "0000000001.spool");  // as after a kill
    ChangeLog log(options_);
    EXPECT_FALSE(log.restore().value());
    EXPECT_TRUE(files().empty());
}

// What the disk holds already is named, not read back: days of changes may lie there.
TEST_F(ChangeLogTest, a_guard_that_starts_late_leaves_the_spool_on_disk) {
    std::vector<std::string> want;
    options_.file_bytes = 2048;
    {
        ChangeLog log(options_);
        log.set_acknowledged({"p5"});
        std::uint64_t order = 10;
        const auto fill = [&](std::uint64_t to) {
            for (; order <= to; order += 10) {
                transaction(log, order);
                for (const auto& t : expected(order, order)) want.push_back(t);
                log.passed(log.end());
            }
        };
        fill(800);
        for (int i = 0; i < 500; ++i) row(log, 7, 7, "s" + std::to_string(i));
        ASSERT_TRUE(log.stream_commit(7, order, order + 5, "p" + std::to_string(order + 5), 0));
        want.push_back("B" + std::to_string(order));
        for (int i = 0; i < 500; ++i) want.push_back("s" + std::to_string(i));
        want.push_back("Cp" + std::to_string(order + 5));
        order += 10;
        fill(1600);
        ASSERT_TRUE(log.idle());
        ASSERT_GT(files().size(), 5U);
        const auto spooled = log.spool_bytes();
        ASSERT_TRUE(log.start_guard());
        EXPECT_EQ(log.memory_bytes(), 0U);
        EXPECT_LT(log.spool_bytes() - spooled, options_.memory_bytes_max);
        EXPECT_EQ(log.durable(), log.captured());
        EXPECT_EQ(all(log), want);
        fill(1700);
        ASSERT_TRUE(log.idle());
    }
    ChangeLog log(options_);
    const auto coverage = log.restore().value();
    ASSERT_TRUE(coverage);
    EXPECT_EQ(coverage->from, Position{"p5"});
    EXPECT_EQ(coverage->to, Position{"p1705"});
    EXPECT_EQ(all(log), want);
}

// Files go with their last chunk, whatever names them; the rest is still covered.
TEST_F(ChangeLogTest, a_guarded_spool_survives_the_release_of_its_head) {
    options_.file_bytes = 2048;
    options_.chunk_bytes = 1;  // a transaction is a chunk
    std::uint64_t last = 0;
    {
        ChangeLog log(options_);
        log.set_acknowledged({"p5"});
        const auto fill = [&](std::uint64_t from, std::uint64_t to) {
            for (auto order = from; order <= to; order += 10) {
                begin(log, order);
                for (int i = 0; i < 3; ++i) row(log, 0, 0, std::to_string(order) + "." + std::to_string(i));
                commit(log, order);
                log.passed(log.end());
            }
        };
        fill(10, 800);
        for (int i = 0; i < 500; ++i) row(log, 7, 7, "s" + std::to_string(i));
        ASSERT_TRUE(log.stream_commit(7, 810, 815, "p815", 0));
        const auto released = log.end();
        fill(820, 1600);
        ASSERT_TRUE(log.start_guard());
        log.release_before(released);
        last = log.end() - released;
    }
    ChangeLog log(options_);
    const auto coverage = log.restore().value();
    ASSERT_TRUE(coverage);
    EXPECT_GE(coverage->from.token.size(), 3U);
    EXPECT_EQ(coverage->to, Position{"p1605"});
    const auto got = all(log), want = expected(820, 1600);
    ASSERT_GE(got.size(), want.size());
    EXPECT_TRUE(std::equal(want.rbegin(), want.rend(), got.rbegin()));
    EXPECT_GE(log.end(), last);
    // only what ends behind `from` is promised
    const auto from = std::stoul(coverage->from.token.substr(1));
    EXPECT_LE(from, 815U);
}

// It ends only when reading goes on.
TEST_F(ChangeLogTest, an_open_transaction_does_not_fill_the_spool) {
    options_.spool_bytes_max = 1500;
    ChangeLog log(options_);
    const std::string text(4096, 'x');
    for (int i = 0; i < 2000; ++i) row(log, 7, 7, text);
    EXPECT_GT(log.spool_bytes(), 1500U);
    transaction(log, 10);
    ASSERT_TRUE(log.idle());
    ASSERT_TRUE(log.start_guard());
    EXPECT_FALSE(log.full());
    EXPECT_EQ(log.durable(), Position{"p15"});
    ASSERT_TRUE(log.stream_commit(7, 20, 25, "p25", 0));
    EXPECT_EQ(log.durable(), Position{"p25"});
    log.release_before(log.end());
    EXPECT_EQ(log.spool_bytes(), 0U);
    row(log, 8, 8, text);
    log.stream_abort(8, 8);
    EXPECT_EQ(log.spool_bytes(), 0U);
}

// A transaction larger than memory and spool together: its reader waits for its end, and nothing is released
// before.
TEST_F(ChangeLogTest, a_transaction_beyond_the_spools_limit_comes_to_its_end) {
    for (const bool guard : {true, false}) {
        options_.spool_bytes_max = 2048;
        options_.file_bytes = 1024;
        options_.folder = folder_ / (guard ? "guarded" : "plain");
        ChangeLog log(options_);
        if (guard) {
            ASSERT_TRUE(log.start_guard());
        }
        begin(log, 10);
        constexpr int kRows = 2000;
        for (int i = 0; i < kRows; ++i) {
            row(log, 0, 0, "10." + std::to_string(i));
            for (int tries = 0; log.full(); ++tries) {
                ASSERT_LT(tries, 3) << "nobody can go on, guard " << guard;
                log.passed(log.end());
            }
        }
        commit(log, 10);
        ASSERT_TRUE(log.idle());
        EXPECT_EQ(all(log), expected(10, 10, kRows));
    }
}

// Each of them is larger than a chunk, so the log would nearly always end inside one, whose reader waits for
// its end: the limit would be lifted again and again.
TEST_F(ChangeLogTest, the_limit_holds_between_large_transactions) {
    constexpr int kRows = 100;
    constexpr std::uint64_t kLast = 2000;
    for (const bool guard : {true, false}) {
        SCOPED_TRACE(guard);
        options_.spool_bytes_max = 32U << 10;
        options_.file_bytes = 8U << 10;
        options_.folder = folder_ / (guard ? "guarded" : "plain");
        ChangeLog log(options_);
        if (guard) {
            ASSERT_TRUE(log.start_guard());
        }
        std::uint64_t released = 1, most = 0;
        int paused = 0;
        std::vector<std::string> got;
        const auto full = [&] {
            log.passed(log.end());
            return log.full();
        };
        const auto wait = [&] {
            for (int tries = 0; full(); ++tries) {
                ASSERT_LT(tries, 3) << "there is room, and it is not seen";
                if (tries != 0) continue;
                ++paused;
                most = std::max(most, log.spool_bytes() + log.memory_bytes());
                ASSERT_TRUE(log.idle());  // as a source does that finds no room
                // all that is in the log is whole, so its readers need no more of it
                ASSERT_NO_FATAL_FAILURE([&] {
                    const auto more = all(log, released);
                    ASSERT_FALSE(more.empty());
                    ASSERT_EQ(more.back().front(), 'C');
                    got.insert(got.end(), more.begin(), more.end());
                }());
                log.passed(released = log.end());
                log.release_before(released);
            }
        };
        for (std::uint64_t order = 10; order <= kLast; order += 10) {
            begin(log, order);
            for (int i = 0; i < kRows; ++i) {
                row(log, 0, 0, std::to_string(order) + "." + std::to_string(i));
                ASSERT_NO_FATAL_FAILURE(wait());
            }
            commit(log, order);
        }
        ASSERT_TRUE(log.idle());
        const auto more = all(log, released);
        got.insert(got.end(), more.begin(), more.end());
        EXPECT_EQ(got, expected(10, kLast, kRows));
        EXPECT_GT(paused, 3);
        EXPECT_LT(most, options_.spool_bytes_max + 3 * options_.file_bytes);
    }
}

// What is held back is bounded: a source may read a transaction in one piece.
TEST_F(ChangeLogTest, what_is_held_back_at_the_limit_is_bounded) {
    options_.spool_bytes_max = 1024;
    options_.file_bytes = 512;
    options_.chunk_bytes = 64U << 10;
    ChangeLog log(options_);
    ASSERT_TRUE(log.start_guard());
    transaction(log, 10, 5000);
    ASSERT_TRUE(log.idle());
    const std::string text(1U << 20, 'x');
    const auto end = log.end();
    begin(log, 20);
    for (int i = 0; i < 8; ++i) row(log, 0, 0, text);
    EXPECT_EQ(log.end(), end);
    for (int i = 0; i < 16; ++i) row(log, 0, 0, text);
    EXPECT_GT(log.end(), end);
    commit(log, 20);
    ASSERT_TRUE(log.idle());
    EXPECT_EQ(all(log, end).size(), 26U);
}

// Nothing is lost and nothing is promised: reading pauses, the source keeps its log.
TEST_F(ChangeLogTest, a_full_spool_stops_acknowledging) {
    options_.spool_bytes_max = 1500;
    options_.file_bytes = 512;
    ChangeLog log(options_);
    ASSERT_TRUE(log.start_guard());
    std::uint64_t order = 10;
    for (; order <= 400; order += 10) {
        transaction(log, order);
        ASSERT_TRUE(log.idle());
        if (log.full()) break;
    }
    ASSERT_LT(order, 400U);
    const auto durable = log.durable();
    EXPECT_NE(durable, log.captured());
    EXPECT_EQ(log.acknowledged(), durable);
    EXPECT_TRUE(log.full());
    EXPECT_EQ(all(log), expected(10, order));
}

}  // namespace
}  // namespace godwit::engine
