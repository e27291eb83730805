#pragma once
// `godwit serve`: the service.

namespace godwit::app {

// argv after "serve". 0 stopped by a signal, 1 failed to start, 2 wrong use.
int serve(int argc, char** argv);

}  // namespace godwit::app
