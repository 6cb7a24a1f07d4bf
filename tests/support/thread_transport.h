#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "cluster/local_transport.h"
#include "renas/transport.h"

namespace renas::test {

/// Ranks as threads of one process.
class ThreadTransport final : public Transport {
 public:
  struct Shared {
    explicit Shared(int ranks) : to_worker(static_cast<std::size_t>(ranks)) {}
    std::vector<Mailbox> to_worker;
    std::mutex mutex;
    std::deque<Message> to_coordinator;
    /// Numbers under way, by sender, receiver and channel.
    std::map<std::tuple<int, int, uint64_t>, std::deque<std::vector<std::byte>>> exchanged;
    /// Called by a rank that enters an exchange.
    std::function<void(int rank)> on_exchange;
  };

  ThreadTransport(Shared& shared, int rank) : shared_(shared), rank_(rank) {}
  int rank() const override { return rank_; }
  int ranks() const override { return static_cast<int>(shared_.to_worker.size()); }

  void send_to_worker(int rank, const std::string& text) override {
    shared_.to_worker[static_cast<std::size_t>(rank)].push(text);
  }
  std::optional<Message> next_from_workers() override {
    const std::lock_guard lock(shared_.mutex);
    if (shared_.to_coordinator.empty()) return std::nullopt;
    Message message = std::move(shared_.to_coordinator.front());
    shared_.to_coordinator.pop_front();
    return message;
  }
  void send_to_coordinator(const std::string& text) override {
    const std::lock_guard lock(shared_.mutex);
    shared_.to_coordinator.push_back({rank_, text});
  }
  std::optional<std::string> next_from_coordinator() override {
    return shared_.to_worker[static_cast<std::size_t>(rank_)].pop();
  }

  bool connects_workers() const override { return true; }
  void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in,
                uint64_t channel, const std::function<bool()>& give_up) override {
    if (shared_.on_exchange) shared_.on_exchange(rank_);
    if (!out.empty()) {
      const std::lock_guard lock(shared_.mutex);
      shared_.exchanged[{rank_, to, channel}].emplace_back(out.begin(), out.end());
    }
    while (!in.empty()) {
      {
        const std::lock_guard lock(shared_.mutex);
        auto& waiting = shared_.exchanged[{from, rank_, channel}];
        if (!waiting.empty()) {
          if (waiting.front().size() != in.size()) throw Error("ranks exchange unequal numbers");
          std::memcpy(in.data(), waiting.front().data(), in.size());
          waiting.pop_front();
          return;
        }
      }
      if (give_up()) throw ExchangeAbandoned("left an exchange");
      std::this_thread::yield();
    }
  }

 private:
  Shared& shared_;
  int rank_;
};

/// Calls `body` on all ranks of `shared` at once, and waits for all.
inline void on_ranks(ThreadTransport::Shared& shared, const std::function<void(Transport&)>& body) {
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < static_cast<int>(shared.to_worker.size()); ++rank) {
    threads.emplace_back([&shared, &body, rank] {
      ThreadTransport transport(shared, rank);
      body(transport);
    });
  }
}

}  // namespace renas::test
