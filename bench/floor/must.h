// bench/floor/must.h -- a bare loop measures success only: the first failed call ends the program.
#pragma once

namespace lmtpd::floor {

// `result` if it is not negative; otherwise `call` and errno go to standard error, and the process
// exits with status 1 at once, whatever its threads do.
int must(long result, const char* call);

}  // namespace lmtpd::floor
