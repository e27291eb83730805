// How a COPY is read: every row of a fast, a slow and a silent server, and a session that goes on behind it.

#include <chrono>
#include <thread>

#include "target/servers.h"

namespace godwit::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class CopyTest : public ServersTest {
protected:
    struct Read {
        Result<std::uint64_t> outcome;
        std::uint64_t rows = 0, bytes = 0;
    };
    static Read read(pg::Connection& c, const std::string& query, std::stop_token stop = {}) {
        Read r;
        r.outcome = c.copy_out("COPY (" + query + ") TO STDOUT", stop, [&](Bytes row) -> Result<> {
            ++r.rows;
            r.bytes += row.size();
            return {};
        });
        return r;
    }
    // A session that was left waiting for a batch would wait for a short answer too.
    static void goes_on(pg::Connection& c) {
        const auto begin = Clock::now();
        for (int i = 0; i < 50; ++i) ASSERT_OK(c.query("SELECT 1"));
        EXPECT_LT(Clock::now() - begin, 1s);
    }
};

TEST_F(CopyTest, RowsOfEverySize) {
    auto c = source_.connect();
    // of one byte, of 8 MB, and of less than a batch at the end; with the newline of each
    const auto r =
        read(c,
             "SELECT repeat('x', CASE i WHEN 70000 THEN 8 << 20 WHEN 100000 THEN 30000 ELSE 1 END) "
             "FROM generate_series(1, 100000) i");
    ASSERT_OK(r.outcome);
    EXPECT_EQ(*r.outcome, 100000U);
    EXPECT_EQ(r.rows, 100000U);
    EXPECT_EQ(r.bytes, 99998U * 2 + (8U << 20) + 1 + 30001);
    goes_on(c);
}

TEST_F(CopyTest, NoRows) {
    auto c = source_.connect();
    const auto begin = Clock::now();
    const auto r = read(c, "SELECT 1 WHERE false");
    ASSERT_OK(r.outcome);
    EXPECT_EQ(r.rows, 0U);
    EXPECT_LT(Clock::now() - begin, 1s);
    goes_on(c);
}

TEST_F(CopyTest, RowsThatComeSlowly) {
    auto c = source_.connect();
    // a server sends what it has when 8 KiB are full
    const auto begin = Clock::now();
    const auto r = read(c, "SELECT repeat('x', 9000), pg_sleep(0.01) FROM generate_series(1, 100)");
    ASSERT_OK(r.outcome);
    EXPECT_EQ(r.rows, 100U);
    EXPECT_LT(Clock::now() - begin, 4s);
    goes_on(c);
}

TEST_F(CopyTest, StopsWhileTheServerRests) {
    auto c = source_.connect();
    std::stop_source stop;
    std::jthread later([&] {
        std::this_thread::sleep_for(300ms);
        stop.request_stop();
    });
    const auto begin = Clock::now();
    const auto r = read(c,
                        "SELECT repeat('x', 9000), CASE i WHEN 5 THEN pg_sleep(30) END FROM "
                        "generate_series(1, 5) i",
                        stop.get_token());
    EXPECT_EQ(error_text(r.outcome), "stopped");
    EXPECT_LT(Clock::now() - begin, 5s);
    goes_on(c);
}

TEST_F(CopyTest, AServerThatEndsTheSession) {
    auto c = source_.connect();
    const auto r = read(c,
                        "SELECT repeat('x', 9000), CASE i WHEN 5 THEN pg_terminate_backend(pg_backend_pid()) "
                        "END FROM generate_series(1, 50) i");
    ASSERT_FALSE(r.outcome.has_value());
    EXPECT_EQ(r.outcome.error().code, ErrorCode::unavailable);
    EXPECT_LT(r.rows, 50U);
}

}  // namespace
}  // namespace godwit::test
