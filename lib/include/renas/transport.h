#pragma once

#include <memory>
#include <optional>
#include <string>

namespace renas {

/// Short messages between the coordinator, a thread of rank 0, and the workers, one a rank. Nothing
/// here waits, and nothing is collective: a rank that dies takes only its own messages with it.
///
/// On rank 0 the coordinator's half is used by one thread and the worker's by another; they meet in
/// memory. On every other rank one thread has the worker's half.
class Transport {
 public:
  struct Message {
    int rank = 0;
    std::string text;
  };

  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  // The coordinator's half, on rank 0.
  virtual void send_to_worker(int rank, const std::string& text) = 0;
  virtual std::optional<Message> next_from_workers() = 0;

  // The worker's half.
  virtual void send_to_coordinator(const std::string& text) = 0;
  virtual std::optional<std::string> next_from_coordinator() = 0;
};

/// One process alone: coordinator and worker meet in memory.
std::unique_ptr<Transport> make_local_transport();

}  // namespace renas
