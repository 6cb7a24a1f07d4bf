#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace renas::test {

/// The exit code and output of a command.
struct Ran {
  int code = 0;        ///< exit code; 1000 + signal where a signal ended it
  std::string output;  ///< both streams
};

/// Runs `command` in a shell and waits for it.
inline Ran run_command(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen");
  Ran ran;
  char part[512];
  while (std::fgets(part, sizeof part, pipe) != nullptr) ran.output += part;
  const int status = ::pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return ran;
}

}  // namespace renas::test
