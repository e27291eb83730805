#pragma once
// Places where the crash suite stops the program, and rules that the mutation suite switches off.
// Both are nothing in a release build; with GODWIT_FAILPOINTS they read the environment once:
//   GODWIT_FAILPOINT="slice.rows_sent=kill@3;apply.before_commit=error"
//       kill@N: SIGKILL to this process at the Nth passage (default 1); error@N: the passage returns an
//       error; sleep:MS@N: waits there; then:POINT@N: from that moment on, SIGKILL at the next passage of
//       POINT.
//   GODWIT_MUTANT="apply.refuse_repeat;snapshot.table_lock"   the named rules do not act

#include <string_view>

#include "base/result.h"

namespace godwit {

#ifdef GODWIT_FAILPOINTS
// Thread safe. An error is returned for action `error` only.
Result<> failpoint(std::string_view name);
bool mutant(std::string_view rule);
#define GW_FAILPOINT(name) GW_CHECK(::godwit::failpoint(name))
// if (GW_RULE("load.generation_check")) { ... the rule ... }
#define GW_RULE(name) (!::godwit::mutant(name))
#else
#define GW_FAILPOINT(name) \
    do {                   \
    } while (false)
#define GW_RULE(name) true
#endif

}  // namespace godwit
