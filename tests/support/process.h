#pragma once

#include <sys/wait.h>

#include <boost/test/unit_test.hpp>
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

/// Runs a command that must end well.
inline Ran done(const std::string& command) {
  Ran ran = run_command(command);
  BOOST_TEST(ran.code == 0, command << "\n" << ran.output);
  return ran;
}

/// Runs a command that must be refused as something to mend, and say `part`.
inline void refused(const std::string& command, const std::string& part) {
  const Ran ran = run_command(command);
  BOOST_TEST(ran.code == 2, command << "\n" << ran.output);
  BOOST_TEST(ran.output.find(part) != std::string::npos,
             "'" << ran.output << "' does not say '" << part << "'");
  // What a parser of options says of the form of a file is no message for people.
  BOOST_TEST(ran.output.find("INI") == std::string::npos, ran.output);
}

}  // namespace renas::test
