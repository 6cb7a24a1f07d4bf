#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "renas/transport.h"

namespace renas {

/// A queue of messages between two threads of a process.
class Mailbox {
 public:
  void push(std::string text);
  std::optional<std::string> pop();  ///< none: empty

 private:
  std::mutex mutex_;
  std::deque<std::string> messages_;
};

}  // namespace renas
