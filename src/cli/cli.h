#pragma once
// The command line client: a thin caller of the HTTP API, nothing else. Everything it can do, curl can.

namespace godwit::cli {

// Exit codes, part of the interface: scripts rely on them.
enum ExitCode : int {
    kOk = 0,
    kFailed = 1,       // the server said no, or the task failed
    kUsage = 2,        // the command line is wrong
    kUnreachable = 3,  // no answer from the server
    kDifferent = 4,    // compare: both sides differ
};

// argv as main() got it; handles --help and --version, too.
int run(int argc, char** argv);

}  // namespace godwit::cli
