#pragma once
// What the client shows: columns, bars, numbers. Pure functions of their input.

#include <cstdint>
#include <string>
#include <vector>

namespace godwit::cli {

struct Screen {
    bool terminal = false;  // standard output is one: repaint in place
    bool colour = false;
    int width = 100, height = 0;
};
// Looks at standard output, NO_COLOR, TERM and COLUMNS.
[[nodiscard]] Screen this_screen();

enum class Colour : std::uint8_t { plain, good, busy, bad, faint, bold };
[[nodiscard]] std::string painted(const Screen& screen, Colour colour, const std::string& text);
// By a task's status, a table's state or a connection's status.
[[nodiscard]] Colour colour_of(const std::string& state);

// "1,234,567"
[[nodiscard]] std::string with_commas(std::uint64_t n);
// "12 ms", "1.4 s", "3 min"; "-" when negative
[[nodiscard]] std::string duration(std::int64_t ms);
// "512 B", "4.2 MB"
[[nodiscard]] std::string bytes(std::uint64_t n);
// "█████░░░░░  50 %"
[[nodiscard]] std::string bar(double part, int cells);

// Left-aligned columns, numbers (columns named in `right`) right-aligned; a heading in capitals.
class Columns {
public:
    explicit Columns(std::vector<std::string> headings, std::vector<std::size_t> right = {});
    void row(std::vector<std::string> cells);
    // `state_column` is painted by colour_of(); npos: none.
    [[nodiscard]] std::string text(const Screen& screen, std::size_t state_column = std::string::npos) const;
    [[nodiscard]] bool empty() const { return rows_.empty(); }

private:
    std::vector<std::string> headings_;
    std::vector<std::size_t> right_;
    std::vector<std::vector<std::string>> rows_;
};

// One picture of a task for `task show` and `task watch`, from the JSON of GET /godwit/v1/tasks/ID.
// At most `rows_max` tables (0: all); those that need attention first.
[[nodiscard]] std::string task_picture(const std::string& report_json, const Screen& screen,
                                       std::size_t rows_max);
// The same in one line, for logs.
[[nodiscard]] std::string task_line(const std::string& report_json);

}  // namespace godwit::cli
