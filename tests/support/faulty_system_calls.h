#pragma once

#include <string>

namespace renas::test {

/// What goes wrong at a system call of core/system_calls.h. Linked into a test program,
/// faulty_system_calls.cpp takes the place of the library's own calls.
struct Fault {
  enum class Kind {
    kError,    ///< the call fails with `error`
    kShort,    ///< a read or write does half of what it was asked for, and says so
    kTorn,     ///< a write does half of what it was asked for, and fails with `error`
    kNoSpace,  ///< writes, and calls that make files, fail with ENOSPC
  };
  Kind kind = Kind::kError;
  int error = 0;
  int call = 0;         ///< the first call that goes wrong, counted from 0
  bool always = false;  ///< all calls from then on, not that one alone
};

std::string to_string(const Fault& fault);

/// From now on calls are counted from 0, and `fault` happens.
void inject(const Fault& fault);
/// No call goes wrong any more. Returns how many there were since inject().
int stop_injecting();
/// How many calls went wrong since inject().
int faults_hit();
/// How many calls of fsync there were since inject().
int syncs();

}  // namespace renas::test
