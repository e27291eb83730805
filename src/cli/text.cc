#include "cli/text.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace godwit::cli {
namespace {

using Json = nlohmann::json;

// Cells on screen: code points, which is right for names and our own signs.
std::size_t shown_width(const std::string& text) {
    std::size_t n = 0;
    for (const char c : text)
        if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++n;
    return n;
}
std::string padded(const std::string& text, std::size_t width, bool right) {
    const std::size_t have = shown_width(text);
    const std::string fill(have < width ? width - have : 0, ' ');
    return right ? fill + text : text + fill;
}

std::string text_of(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}
template <class T = std::uint64_t>
T number_of(const Json& object, const char* key, T otherwise = 0) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number() ? it->get<T>() : otherwise;
}

std::vector<Json> tables_of(const Json& report) {
    const auto it = report.find("tables");
    std::vector<Json> out;
    if (it != report.end() && it->is_array())
        for (const Json& table : *it)
            if (table.is_object()) out.push_back(table);
    return out;
}
bool flag_of(const Json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_boolean() && it->get<bool>();
}

struct LoadProgress {
    std::uint64_t rows = 0, expected = 0;
    std::size_t done = 0, tables = 0, errors = 0;
    [[nodiscard]] double part() const {
        if (tables != 0 && done == tables) return 1;
        if (expected == 0) return 0;
        return std::min(0.99, static_cast<double>(rows) / static_cast<double>(expected));
    }
};

LoadProgress load_progress(const Json& report) {
    LoadProgress out;
    for (const Json& table : tables_of(report)) {
        const std::uint64_t rows = number_of(table, "full_load_rows");
        const std::string state = text_of(table, "state");
        const bool done = state == "Table completed";
        ++out.tables;
        out.rows += rows;
        out.expected += done ? rows : std::max(rows, number_of(table, "rows_estimate"));
        if (done) ++out.done;
        if (state == "Table error" || state == "Table cancelled") ++out.errors;
    }
    return out;
}

std::string table_name(const Json& table) {
    const auto name = table.find("name");
    return name == table.end() || !name->is_object()
               ? ""
               : text_of(*name, "schema") + "." + text_of(*name, "table");
}

// Errors, then what is being loaded, then what waits, then the rest; by name within.
int attention(const std::string& state) {
    if (state == "Table error") return 0;
    if (state == "Full load" || state == "Table is being reloaded") return 1;
    return state == "Before load" ? 2 : 3;
}

}  // namespace

Screen this_screen() {
    Screen out;
    out.terminal = isatty(STDOUT_FILENO) == 1;
    const char* no_colour = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    const bool dumb = term == nullptr || std::string(term) == "dumb";
    out.colour = out.terminal && !dumb && (no_colour == nullptr || *no_colour == '\0');
    winsize size{};
    if (out.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        out.width = size.ws_col;
        out.height = size.ws_row;
    }
    if (dumb) out.terminal = false;
    return out;
}

std::string painted(const Screen& screen, Colour colour, const std::string& text) {
    if (!screen.colour) return text;
    switch (colour) {
        case Colour::plain:
            return text;
        case Colour::good:
            return "\033[32m" + text + "\033[0m";
        case Colour::busy:
            return "\033[33m" + text + "\033[0m";
        case Colour::bad:
            return "\033[31m" + text + "\033[0m";
        case Colour::faint:
            return "\033[2m" + text + "\033[0m";
        case Colour::bold:
            return "\033[1m" + text + "\033[0m";
    }
    return text;
}

Colour colour_of(const std::string& state) {
    for (const char* good : {"running", "Table completed", "successful", "active", "available", "equal"})
        if (state == good) return Colour::good;
    for (const char* bad : {"failed", "failed-move", "Table error", "Table cancelled", "different"})
        if (state == bad) return Colour::bad;
    for (const char* faint : {"stopped", "ready", "Before load"})
        if (state == faint) return Colour::faint;
    return Colour::busy;
}

std::string with_commas(std::uint64_t n) {
    std::string out = std::to_string(n);
    for (std::size_t at = out.size(); at > 3;) out.insert(at -= 3, ",");
    return out;
}

std::string duration(std::int64_t ms) {
    if (ms < 0) return "-";
    if (ms < 1000) return fmt::format("{} ms", ms);
    const double s = static_cast<double>(ms) / 1000;
    if (s < 10) return fmt::format("{:.1f} s", s);
    if (s < 120) return fmt::format("{:.0f} s", s);
    if (s < 7200) return fmt::format("{:.0f} min", s / 60);
    return fmt::format("{:.1f} h", s / 3600);
}

std::string bytes(std::uint64_t n) {
    constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
    double value = static_cast<double>(n);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", n) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string bar(double part, int cells) {
    part = std::clamp(part, 0.0, 1.0);
    const int full = static_cast<int>(std::floor(part * cells));
    std::string out;
    for (int i = 0; i < cells; ++i) out += i < full ? "█" : "░";
    return out + fmt::format(" {:3.0f} %", std::floor(part * 100));
}

Columns::Columns(std::vector<std::string> headings, std::vector<std::size_t> right)
    : headings_(std::move(headings)), right_(std::move(right)) {}

void Columns::row(std::vector<std::string> cells) {
    cells.resize(headings_.size());
    rows_.push_back(std::move(cells));
}

std::string Columns::text(const Screen& screen, std::size_t state_column) const {
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < headings_.size(); ++c) {
        std::size_t width = shown_width(headings_[c]);
        for (const auto& row : rows_) width = std::max(width, shown_width(row[c]));
        widths.push_back(width);
    }
    const auto line = [&](const std::vector<std::string>& cells, bool heading) {
        std::string out;
        for (std::size_t c = 0; c < cells.size(); ++c) {
            const bool right = std::ranges::find(right_, c) != right_.end();
            std::string cell = padded(cells[c], c + 1 == cells.size() && !right ? 0 : widths[c], right);
            if (heading) {
                cell = painted(screen, Colour::bold, cell);
            } else if (c == state_column) {
                cell = painted(screen, colour_of(cells[c]), cell);
            }
            out += (c == 0 ? "" : "  ") + cell;
        }
        return out + "\n";
    };
    std::string out = line(headings_, true);
    for (const auto& row : rows_) out += line(row, false);
    return out;
}

std::string task_picture(const std::string& report_json, const Screen& screen, std::size_t rows_max) {
    const Json report = Json::parse(report_json, nullptr, false);
    if (!report.is_object()) return "";
    std::string status = text_of(report, "status");
    if (status.empty()) status = text_of(report, "state");
    std::string out = painted(screen, Colour::bold, text_of(report, "identifier")) + "  " +
                      painted(screen, colour_of(status), status);
    if (const std::string phase = text_of(report, "phase"); status == "running" && !phase.empty())
        out += "  " + phase;
    if (const std::string reason = text_of(report, "stop_reason"); status != "running" && !reason.empty())
        out += "  " + reason;
    out += "\n";
    if (const std::string error = text_of(report, "last_error"); !error.empty())
        out += painted(screen, Colour::bad, "error: " + error) + "\n";

    const LoadProgress load = load_progress(report);
    if (load.tables != 0) {
        out += fmt::format("load     {}  {} rows, {} of {} tables", bar(load.part(), 30),
                           with_commas(load.rows), load.done, load.tables);
        if (load.errors != 0) out += painted(screen, Colour::bad, fmt::format(", {} in error", load.errors));
        if (status == "running" && load.done < load.tables)
            out += fmt::format(", {} rows/s", with_commas(number_of(report, "rows_per_second")));
        out += "\n";
    }
    out += fmt::format("changes  lag {}, {} changes/s, {} transactions applied",
                       duration(number_of<std::int64_t>(report, "lag_ms", -1)),
                       with_commas(number_of(report, "changes_per_second")),
                       with_commas(number_of(report, "transactions_applied")));
    if (const auto retained = number_of(report, "retained_log_bytes"); retained != 0)
        out += fmt::format(", source keeps {} of log", bytes(retained));
    if (const auto spool = number_of(report, "spool_bytes"); spool != 0)
        out += fmt::format(", {} spooled", bytes(spool));
    if (const auto restarts = number_of(report, "restarts"); restarts != 0)
        out +=
            painted(screen, Colour::busy, fmt::format(", {} restart{}", restarts, restarts == 1 ? "" : "s"));
    out += "\n";

    std::vector<Json> tables = tables_of(report);
    std::ranges::stable_sort(tables, [](const Json& a, const Json& b) {
        const int x = attention(text_of(a, "state")), y = attention(text_of(b, "state"));
        return x != y ? x < y : table_name(a) < table_name(b);
    });
    if (tables.empty()) return out;
    Columns columns({"TABLE", "STATE", "LOADED", "SLICES", "INSERTS", "UPDATES", "DELETES", "NOTE"},
                    {2, 3, 4, 5, 6});
    const std::size_t shown = rows_max == 0 ? tables.size() : std::min(rows_max, tables.size());
    for (std::size_t i = 0; i < shown; ++i) {
        const Json& t = tables[i];
        const auto slices = number_of(t, "slices");
        columns.row({table_name(t), text_of(t, "state"), with_commas(number_of(t, "full_load_rows")),
                     slices == 0 ? "-" : fmt::format("{}/{}", number_of(t, "slices_done"), slices),
                     with_commas(number_of(t, "applied_inserts")),
                     with_commas(number_of(t, "applied_updates")),
                     with_commas(number_of(t, "applied_deletes")),
                     !text_of(t, "detail").empty() ? text_of(t, "detail")
                     : flag_of(t, "insert_only")   ? "insert only"
                                                   : ""});
    }
    out += "\n" + columns.text(screen, 1);
    if (shown < tables.size())
        out += painted(screen, Colour::faint, fmt::format("… and {} more\n", tables.size() - shown));
    return out;
}

std::string task_line(const std::string& report_json) {
    const Json report = Json::parse(report_json, nullptr, false);
    if (!report.is_object()) return "";
    const LoadProgress load = load_progress(report);
    std::string status = text_of(report, "status");
    if (status.empty()) status = text_of(report, "state");
    return fmt::format("{} {}{}: {} of {} tables loaded, {} rows, {} rows/s; lag {}, {} changes/s",
                       text_of(report, "identifier"), status,
                       text_of(report, "phase").empty() ? "" : " (" + text_of(report, "phase") + ")",
                       load.done, load.tables, with_commas(load.rows),
                       with_commas(number_of(report, "rows_per_second")),
                       duration(number_of<std::int64_t>(report, "lag_ms", -1)),
                       with_commas(number_of(report, "changes_per_second")));
}

}  // namespace godwit::cli
