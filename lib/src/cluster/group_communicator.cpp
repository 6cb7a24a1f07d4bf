#include "cluster/group_communicator.h"

#include <algorithm>

#include "renas/error.h"

namespace renas {
namespace {

/// Numbers of one round of the ring: messages stay far below the 2 GiB that MPI counts to.
constexpr std::size_t kNumbersARound = std::size_t{1} << 22;

/// Part `index`, taken modulo `parts`, of `parts` that are equal but for one number.
template <class T>
std::span<T> part_of(std::span<T> values, int index, int parts) {
  const auto count = static_cast<std::size_t>(parts);
  const auto i = static_cast<std::size_t>((index % parts + parts) % parts);
  const std::size_t begin = values.size() * i / count;
  return values.subspan(begin, values.size() * (i + 1) / count - begin);
}

}  // namespace

GroupCommunicator::GroupCommunicator(Transport& transport, std::vector<int> ranks, uint64_t channel,
                                     std::function<bool()> give_up)
    : transport_(transport),
      ranks_(std::move(ranks)),
      channel_(channel),
      give_up_(std::move(give_up)) {
  const auto own = std::find(ranks_.begin(), ranks_.end(), transport_.rank());
  if (own == ranks_.end()) throw Error("a rank is not of the group that it was to join");
  rank_ = static_cast<int>(own - ranks_.begin());
}

void GroupCommunicator::sum(std::span<float> values) { sum_on_ring(values); }
void GroupCommunicator::sum(std::span<double> values) { sum_on_ring(values); }

void GroupCommunicator::keep_waiting() {
  if (give_up_()) throw ExchangeAbandoned("the ranks of a group wait for each other no longer");
}

template <class T>
void GroupCommunicator::pass_on(std::span<const T> out, std::span<T> in) {
  const auto count = ranks_.size();
  const auto own = static_cast<std::size_t>(rank_);
  transport_.exchange(ranks_[(own + 1) % count], std::as_bytes(out),
                      ranks_[(own + count - 1) % count], std::as_writable_bytes(in), channel_,
                      give_up_);
}

template <class T>
void GroupCommunicator::sum_on_ring(std::span<T> all) {
  const int parts = ranks();
  std::vector<T> theirs;
  for (std::size_t from = 0; from < all.size(); from += kNumbersARound) {
    const std::span<T> values = all.subspan(from, std::min(kNumbersARound, all.size() - from));
    for (int step = 0; step < parts - 1; ++step) {
      const std::span<T> own = part_of(values, rank_ - step - 1, parts);
      theirs.resize(own.size());
      pass_on<T>(part_of(values, rank_ - step, parts), theirs);
      for (std::size_t i = 0; i < own.size(); ++i) own[i] += theirs[i];
    }
    for (int step = 0; step < parts - 1; ++step) {
      pass_on<T>(part_of(values, rank_ + 1 - step, parts), part_of(values, rank_ - step, parts));
    }
  }
}

}  // namespace renas
