#include "wire/pg/copy_out.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

namespace godwit::pg {
namespace {

std::string message(char type, const std::string& body) {
    ByteBuffer b;
    b.put_u8(static_cast<std::uint8_t>(type));
    b.put_be(static_cast<std::int32_t>(body.size() + 4));
    b.append(body);
    return std::string(as_text(b.view()));
}

std::string text(const char* s) { return std::string(s) + '\0'; }

const std::string kBegin = message('H', std::string("\0\0\1\0\0", 5));
const std::string kIdle = message('Z', "T");
std::string ended(int rows) {
    return message('c', "") + message('C', text(("COPY " + std::to_string(rows)).c_str())) + kIdle;
}
std::string error(const char* state, const char* words) {
    return message('E', text("SERROR") + text((std::string("C") + state).c_str()) +
                            text((std::string("M") + words).c_str()) + text("Ddetail") + '\0');
}

// A server that says these bytes, in pieces of any size.
struct Server {
    int ours = -1, theirs = -1;
    std::jthread thread;

    Server(std::string bytes, bool stays, unsigned seed = 1) {
        int both[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, both), 0);
        ours = both[0], theirs = both[1];
        thread = std::jthread([this, bytes = std::move(bytes), stays, seed] {
            std::mt19937 random(seed);
            for (std::size_t at = 0; at < bytes.size();) {
                const auto some =
                    std::min<std::size_t>(bytes.size() - at, 1 + random() % (1U << (random() % 18)));
                const auto n = ::send(theirs, bytes.data() + at, some, MSG_NOSIGNAL);
                if (n <= 0) return;
                at += static_cast<std::size_t>(n);
            }
            if (!stays) ::shutdown(theirs, SHUT_WR);
        });
    }
    ~Server() {
        ::shutdown(ours, SHUT_RDWR);
        thread.join();
        ::close(ours);
        ::close(theirs);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::vector<std::string> rows;
    int cancelled = 0;
    CopyOutcome read(std::stop_token stop = {}, std::size_t rows_max = ~std::size_t{0}) {
        return copy_out(
            ours, "COPY", stop, [this] { ++cancelled; },
            [&](Bytes row) -> Result<> {
                if (rows.size() == rows_max) return fail(ErrorCode::conflict, "enough");
                rows.emplace_back(as_text(row));
                return {};
            });
    }
};

TEST(CopyOut, rows_of_every_size_in_pieces_of_any_size) {
    std::vector<std::string> rows;
    std::string bytes = kBegin;
    for (int i = 0; i < 3000; ++i) {
        rows.emplace_back(i == 1000 || i == 1001 ? 700U << 10
                          : i == 2000            ? 256U << 10
                                                 : i % 300,
                          'a' + i % 26);
        bytes += message('d', rows.back());
        if (i % 500 == 0) bytes += message('N', "SNOTICE") + message('S', text("a") + text("b"));
    }
    bytes += ended(3000);
    for (unsigned seed = 1; seed <= 5; ++seed) {
        Server server(bytes, true, seed);
        const auto out = server.read();
        EXPECT_TRUE(out.idle);
        EXPECT_TRUE(out.consumer);
        EXPECT_FALSE(out.answer.error());
        EXPECT_EQ(out.answer.affected(), 3000U);
        EXPECT_TRUE(server.rows == rows);
        EXPECT_EQ(server.cancelled, 0);
    }
}

TEST(CopyOut, the_statement_is_sent_as_a_query) {
    Server server(kBegin + ended(0), true);
    EXPECT_TRUE(server.read().idle);
    char sent[64];
    const auto n = ::recv(server.theirs, sent, sizeof sent, MSG_DONTWAIT);
    EXPECT_EQ(std::string(sent, static_cast<std::size_t>(n)), message('Q', text("COPY")));
}

TEST(CopyOut, errors_before_and_among_the_rows) {
    for (const bool begun : {false, true}) {
        Server server((begun ? kBegin + message('d', "x") : "") + error("22012", "division by zero") +
                          message('Z', "E"),
                      true);
        const auto out = server.read();
        EXPECT_TRUE(out.idle);
        ASSERT_TRUE(out.answer.error());
        EXPECT_EQ(out.answer.error()->sqlstate, "22012");
        EXPECT_EQ(out.answer.error()->message, "division by zero");
        EXPECT_EQ(server.rows.size(), begun ? 1U : 0U);
    }
}

TEST(CopyOut, what_follows_is_read_to_its_end) {
    const auto later = message('S', text("TimeZone") + text("UTC"));
    Server server(kBegin + message('d', "x") + ended(1) + later.substr(0, 7), true);
    std::jthread rest([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        EXPECT_EQ(::send(server.theirs, later.data() + 7, later.size() - 7, 0),
                  static_cast<ssize_t>(later.size() - 7));
    });
    EXPECT_TRUE(server.read().idle);
    rest.join();
    char left;
    EXPECT_EQ(::recv(server.ours, &left, 1, MSG_DONTWAIT), -1);
}

TEST(CopyOut, a_consumer_that_fails_cancels_once_and_the_rest_is_thrown_away) {
    std::string bytes = kBegin;
    for (int i = 0; i < 20000; ++i) bytes += message('d', "some row of a table");
    Server server(bytes + error("57014", "canceling statement due to user request") + kIdle, true);
    const auto out = server.read({}, 100);
    EXPECT_TRUE(out.idle);
    ASSERT_FALSE(out.consumer);
    EXPECT_EQ(out.consumer.error().message, "enough");
    EXPECT_EQ(server.rows.size(), 100U);
    EXPECT_EQ(server.cancelled, 1);
}

TEST(CopyOut, a_stop_cancels_also_while_nothing_comes) {
    Server server(kBegin + message('d', "x"), true);
    std::stop_source stop;
    std::jthread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        stop.request_stop();
        std::this_thread::sleep_for(std::chrono::milliseconds(250));
        const auto end = error("57014", "canceling statement due to user request") + kIdle;
        EXPECT_EQ(::send(server.theirs, end.data(), end.size(), 0), static_cast<ssize_t>(end.size()));
    });
    const auto out = server.read(stop.get_token());
    EXPECT_TRUE(out.idle);
    ASSERT_FALSE(out.consumer);
    EXPECT_EQ(out.consumer.error().code, ErrorCode::cancelled);
    EXPECT_EQ(server.cancelled, 1);
}

TEST(CopyOut, a_server_that_goes_away) {
    const std::string whole = kBegin + message('d', "row") + message('d', "another") + ended(2);
    for (std::size_t n = 0; n < whole.size(); ++n) {
        Server server(whole.substr(0, n), false);
        const auto out = server.read();
        EXPECT_FALSE(out.idle) << n;
        EXPECT_TRUE(out.complaint.empty()) << out.complaint;
    }
    Server last_words(kBegin + error("57P01", "terminating connection"), false);
    const auto out = last_words.read();
    EXPECT_FALSE(out.idle);
    ASSERT_TRUE(out.answer.error());
    EXPECT_EQ(out.answer.error()->sqlstate, "57P01");
}

TEST(CopyOut, what_cannot_be_here_ends_the_session) {
    const std::string row = message('d', "x");
    for (const auto& bytes :
         {row, kBegin + kBegin, kBegin + kIdle, message('c', "") + kIdle, message('C', text("COPY 1")),
          kBegin + row + message('C', text("COPY 1")), kBegin + message('c', "") + row,
          kBegin + message('c', "") + message('C', text("COPY")), message('T', "rows"), message('G', ""),
          std::string("d\0\0\0\3x", 6), std::string("d\x7f\xff\xff\xffx", 6), std::string("\0\0\0\0\4", 5)}) {
        Server server(bytes, true);
        const auto out = server.read();
        EXPECT_FALSE(out.idle);
        EXPECT_FALSE(out.complaint.empty());
    }
}

TEST(CopyOut, the_largest_row) {
    constexpr std::uint32_t kRow = 0x3ffffffe;
    for (const auto& [length, possible] : {std::pair{kRow + 4, true}, {kRow + 6, false}}) {
        Messages messages;
        ByteBuffer head;
        head.put_u8('d');
        head.put_be(length);
        std::memcpy(messages.space().data(), head.data(), head.size());
        messages.filled(head.size());
        EXPECT_FALSE(messages.next());
        EXPECT_EQ(messages.broken(), !possible);
    }
}

TEST(CopyOut, a_statement_that_is_no_copy) {
    Server server(kIdle, true);
    const auto out = server.read();
    EXPECT_TRUE(out.idle);
    EXPECT_FALSE(out.answer.started());
}

}  // namespace
}  // namespace godwit::pg
