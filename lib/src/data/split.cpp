#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "renas/dataset.h"
#include "renas/error.h"
#include "renas/random.h"

namespace renas {
namespace {

using Members = std::vector<std::vector<int64_t>>;  // by class: indices, ascending

Members by_class(std::span<const int32_t> labels, const std::vector<int64_t>& indices) {
  Members members;
  for (const int64_t i : indices) {
    if (i < 0 || i >= static_cast<int64_t>(labels.size())) {
      throw InvalidInput(fmt::format("index {} of a data set of {} images", i, labels.size()));
    }
    const int32_t label = labels[i];
    if (label < 0) throw InvalidInput(fmt::format("label {} of image {}", label, i));
    if (members.size() <= static_cast<std::size_t>(label)) {
      members.resize(static_cast<std::size_t>(label) + 1);
    }
    members[label].push_back(i);
  }
  return members;
}

// Moves what classes give beyond size - 1 to those that have more than one image left, most first
// and earlier classes first among equals. Where none has, quotas stay as they are.
void keep_last_images(const Members& members, std::vector<int64_t>& quota) {
  const auto left = [&](std::size_t c) {
    return static_cast<int64_t>(members[c].size()) - quota[c];
  };
  for (std::size_t emptied = 0; emptied < members.size(); ++emptied) {
    if (members[emptied].empty() || left(emptied) > 0) continue;
    std::size_t giver = emptied;
    for (std::size_t c = 0; c < members.size(); ++c) {
      if (left(c) > (giver == emptied ? 1 : left(giver))) giver = c;
    }
    if (giver == emptied) return;
    --quota[emptied];
    ++quota[giver];
  }
}

// Computes how many of each class make up `count` of `total`: the floor of its share, and one more
// for the classes with the largest remainders, earlier classes first among equals.
std::vector<int64_t> quotas(const Members& members, int64_t count, int64_t total) {
  std::vector<int64_t> quota(members.size());
  std::vector<int64_t> remainder(members.size());
  int64_t left = count;
  for (std::size_t c = 0; c < members.size(); ++c) {
    const int64_t share = static_cast<int64_t>(members[c].size()) * count;
    quota[c] = share / total;
    remainder[c] = share % total;
    left -= quota[c];
  }
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
  for (int64_t i = 0; i < left; ++i) ++quota[order[i]];
  return quota;
}

// Splits `indices` into those taken and the rest. `stream` keeps different uses of a seed apart.
Split partition(std::span<const int32_t> labels, const std::vector<int64_t>& indices, int64_t count,
                uint64_t seed, uint64_t stream, bool keep_last) {
  const auto total = static_cast<int64_t>(indices.size());
  if (count < 0 || count > total) {
    throw InvalidInput(fmt::format("cannot take {} of {} images", count, total));
  }
  Split split;
  if (total == 0) return split;
  Members members = by_class(labels, indices);
  std::vector<int64_t> quota = quotas(members, count, total);
  if (keep_last) keep_last_images(members, quota);
  for (std::size_t c = 0; c < members.size(); ++c) {
    Random random(seed, Purpose::kSplit, (stream << 32) | c);
    random.shuffle(members[c]);
    const auto cut = members[c].begin() + quota[c];
    split.validation.insert(split.validation.end(), members[c].begin(), cut);
    split.train.insert(split.train.end(), cut, members[c].end());
  }
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

}  // namespace

std::vector<int64_t> all_indices(int64_t size) {
  std::vector<int64_t> indices(size);
  std::iota(indices.begin(), indices.end(), int64_t{0});
  return indices;
}

int64_t default_validation_count(int64_t size) { return std::min<int64_t>(5000, size / 10); }

Split split_validation(std::span<const int32_t> labels, int64_t count, uint64_t seed) {
  return partition(labels, all_indices(static_cast<int64_t>(labels.size())), count, seed, 0, true);
}

std::vector<int64_t> take_stratified(std::span<const int32_t> labels,
                                     const std::vector<int64_t>& indices, int64_t count,
                                     uint64_t seed) {
  return partition(labels, indices, count, seed, 1, false).validation;
}

std::vector<int32_t> classes_left_out(std::span<const int32_t> labels,
                                      const std::vector<int64_t>& indices) {
  const Members all = by_class(labels, all_indices(static_cast<int64_t>(labels.size())));
  Members some = by_class(labels, indices);
  some.resize(all.size());
  std::vector<int32_t> missing;
  for (std::size_t c = 0; c < all.size(); ++c) {
    if (!all[c].empty() && some[c].empty()) missing.push_back(static_cast<int32_t>(c));
  }
  return missing;
}

}  // namespace renas
