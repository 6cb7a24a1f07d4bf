#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "renas/error.h"

namespace renas {

/// A worker was told to leave the exchange with others that it waited in.
class ExchangeAbandoned : public Error {
 public:
  using Error::Error;
};

/// Short messages between the coordinator, a thread of rank 0, and the workers, one a rank. None of
/// them waits, and nothing is collective: a rank that dies takes only its own messages with it.
/// Workers that train one network together also exchange numbers.
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

  /// Whether exchange() works.
  virtual bool connects_workers() const { return false; }
  /// Sends `out` to the worker of rank `to`, and fills `in` with what that of rank `from` sends it
  /// by the same call; where one of them is empty, nothing goes that way. Only calls of equal
  /// `channel` meet. Waits for both. While it waits it asks `give_up` about a thousand times a
  /// second, which also is all that ends a wait for a rank that is gone: throws ExchangeAbandoned
  /// where that returns true, and passes on what it throws. Throws Unsupported where workers are
  /// not connected.
  virtual void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in,
                        uint64_t channel, const std::function<bool()>& give_up);
};

/// One process alone: coordinator and worker meet in memory.
std::unique_ptr<Transport> make_local_transport();

}  // namespace renas
