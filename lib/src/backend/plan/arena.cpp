#include "backend/plan/arena.h"

#include <algorithm>
#include <numeric>

namespace renas::plan {

std::vector<std::size_t> pack_live_ranges(const std::vector<LiveRange>& ranges,
                                          std::size_t alignment, std::size_t& total) {
  const auto aligned = [&](std::size_t size) {
    return (size + alignment - 1) / alignment * alignment;
  };
  std::vector<std::size_t> order(ranges.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ranges[a].size > ranges[b].size; });
  std::vector<std::size_t> offsets(ranges.size());
  std::vector<std::size_t> placed;  // buffers, ascending by offset
  total = 0;
  for (const std::size_t i : order) {
    const std::size_t size = aligned(ranges[i].size);
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      if (ranges[other].last < ranges[i].first || ranges[other].first > ranges[i].last) continue;
      if (offsets[other] >= offset + size) break;
      offset = std::max(offset, offsets[other] + aligned(ranges[other].size));
    }
    offsets[i] = offset;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](std::size_t at, std::size_t p) { return at < offsets[p]; }),
                  i);
    total = std::max(total, offset + size);
  }
  return offsets;
}

std::size_t floats(const Stored& stored, int batch) {
  const std::size_t numbers = stored.map.size() * static_cast<std::size_t>(batch);
  return stored.is_bf16 ? numbers / 2 : numbers;  // channels are padded to an even number
}

void lay_out(Plan& plan, int batch, std::size_t alignment, int rest) {
  const int groups = static_cast<int>(plan.groups.size());
  const int end = 2 * groups;
  std::vector<LiveRange> ranges;
  std::vector<std::size_t*> offsets;
  std::vector<int> first_write(plan.values.size(), end);
  std::vector<int> last_read(plan.stored.size(), 0);
  std::vector<int> last_gradient(plan.values.size(), -1);
  for (int i = 0; i < groups; ++i) {
    const Group& group = plan.groups[i];
    const int back = end - 1 - i;
    for (const Part& part : group.parts) {
      int& last = last_read[plan.values[part.value].stored];
      last = std::max(last, group.backward ? back : i);
      if (part.gradient) {
        int& first = first_write[plan.root(part.value)];
        first = std::min(first, back);
      }
    }
    if (group.out < 0) continue;
    last_read[group.out] = std::max(last_read[group.out], i);
    if (!group.backward && !(plan.stored[group.out].normalised >= 0)) continue;
    const Stored& stored = plan.stored[group.out];
    for (const int value : {stored.raw, stored.normalised}) {
      if (value < 0 || !plan.values[value].written) continue;
      int& last = last_gradient[plan.root(value)];
      last = std::max(last, back);
      last_read[group.out] = std::max(last_read[group.out], back);
      // The raw map may get no other gradient than the batch norm's share.
      int& first = first_write[plan.root(value)];
      first = std::min(first, back);
    }
  }
  last_read[plan.scores] = end;
  for (std::size_t s = 0; s < plan.stored.size(); ++s) {
    Stored& stored = plan.stored[s];
    ranges.push_back({floats(stored, batch), stored.producer, last_read[s] + rest});
    offsets.push_back(&stored.offset);
  }
  for (std::size_t v = 0; v < plan.values.size(); ++v) {
    if (plan.values[v].alias >= 0 || last_gradient[v] < 0) continue;
    ranges.push_back({floats(plan.stored[plan.values[v].stored], batch), first_write[v],
                      last_gradient[v] + rest});
    offsets.push_back(&plan.values[v].offset);
  }
  const std::vector<std::size_t> packed = pack_live_ranges(ranges, alignment, plan.arena);
  for (std::size_t i = 0; i < packed.size(); ++i) *offsets[i] = packed[i];
  for (std::size_t v = 0; v < plan.values.size(); ++v) {
    plan.values[v].offset = plan.values[plan.root(static_cast<int>(v))].offset;
  }
}

}  // namespace renas::plan
