#pragma once

#include <barrier>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "renas/communicator.h"

namespace renas::test {

/// Ranks as threads of one process. Sums are added in the order of ranks.
class ThreadCommunicator final : public Communicator {
 public:
  struct Shared {
    explicit Shared(int ranks) : barrier(ranks), floats(ranks), doubles(ranks) {}
    std::barrier<> barrier;
    std::vector<std::span<float>> floats;
    std::vector<std::span<double>> doubles;
  };

  ThreadCommunicator(Shared& shared, int rank) : shared_(shared), rank_(rank) {}
  int rank() const override { return rank_; }
  int ranks() const override { return static_cast<int>(shared_.floats.size()); }
  void sum(std::span<float> values) override { sum(values, shared_.floats); }
  void sum(std::span<double> values) override { sum(values, shared_.doubles); }

 private:
  template <class T>
  void sum(std::span<T> values, std::vector<std::span<T>>& all) {
    all[static_cast<std::size_t>(rank_)] = values;
    shared_.barrier.arrive_and_wait();
    std::vector<T> total(values.size(), T{0});
    for (const std::span<T>& part : all) {
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += part[i];
    }
    shared_.barrier.arrive_and_wait();
    std::copy(total.begin(), total.end(), values.begin());
  }

  Shared& shared_;
  int rank_;
};

/// Calls `body` on `ranks` ranks at once and waits for all. Bodies must all throw or none.
inline void on_ranks(int ranks, const std::function<void(Communicator&)>& body) {
  ThreadCommunicator::Shared shared(ranks);
  std::exception_ptr failure;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadCommunicator communicator(shared, rank);
      try {
        body(communicator);
      } catch (...) {
        if (rank == 0) failure = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace renas::test
