#include "graph/cell_counts.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "renas/error.h"

namespace renas {

namespace {

/// What the size of a network takes to know of a cell of the paper's family. All its blocks reach
/// the output, since what no block reads is concatenated.
struct CellSize {
  int outputs = 0;  // blocks that no other block reads
  bool reads_c1 = false;
  bool reads_c2 = false;
  /// A separable convolution of kernel k over f filters, twice, has 2 f (k^2 + f) weights.
  int separable = 0;        // how many there are
  int64_t kernel_area = 0;  // the sum of their k^2
};

/// The area of the kernel of a separable convolution; 0: another operator.
int kernel_area(const std::string& op) {
  if (!op.starts_with("sep")) return 0;
  const int side = op[3] - '0';
  return side * side;
}

CellSize size_of(const SearchSpace& space, const Genome& genome, int cell) {
  CellSize size;
  const int first = space.first_block(cell);
  std::vector<bool> read(static_cast<std::size_t>(space.first_block(cell + 1) - first), false);
  for (int b = first; b < space.first_block(cell + 1); ++b) {
    for (int half = 0; half < 2; ++half) {
      const int input = space.first_slot(b) + half;
      const std::string& source = space.slot(input).choices[genome[input]];
      if (source == "c-1") {
        size.reads_c1 = true;
      } else if (source == "c-2") {
        size.reads_c2 = true;
      } else {
        read[std::stoul(source) - 1] = true;
      }
      const int area = kernel_area(space.slot(input + 2).choices[genome[input + 2]]);
      size.kernel_area += area;
      size.separable += area > 0 ? 1 : 0;
    }
  }
  size.outputs = static_cast<int>(std::count(read.begin(), read.end(), false));
  return size;
}

/// A cell in its place, and its output.
struct Place {
  int64_t filters = 0;
  int stride = 1;
  bool live = false;
  int64_t height = 0, width = 0, channels = 0;
};

/// The stem, as place 0, and the cells behind it.
std::vector<Place> places(const NetworkOptions& o) {
  const bool cifar = o.kind == NetworkKind::kCifar;
  std::vector<Place> row(1);
  if (!cifar) {
    row.push_back({o.filters / 4, 2});
    row.push_back({o.filters / 2, 2});
  }
  for (int stage = 0; stage < 3; ++stage) {
    const int64_t filters = static_cast<int64_t>(o.filters) << stage;
    if (stage > 0) row.push_back({filters, 2});
    for (int i = 0; i < o.cells; ++i) row.push_back({filters, 1});
  }
  const int stem = o.stem > 0 ? o.stem : cifar ? 3 * o.filters : 32;
  row[0] = {stem, 1, true, o.image.height, o.image.width, stem};
  if (!cifar) {
    row[0].height = (o.image.height - 3) / 2 + 1;
    row[0].width = (o.image.width - 3) / 2 + 1;
  }
  return row;
}

}  // namespace

Counts count_network(const SearchSpace& space, const Genome& genome,
                     const NetworkOptions& options) {
  if (options.kind == NetworkKind::kDeepLab || space.notation() != Notation::kCell) {
    return count(build_network(space, genome, options));  // which refuses the latter
  }
  check_genome(space, genome);
  const CellSize normal = size_of(space, genome, 0);
  const CellSize reduction = size_of(space, genome, space.cell_count() - 1);
  std::vector<Place> row = places(options);
  const auto reads_c2 = [&](const Place& place) {
    return place.stride == 1 ? normal.reads_c2 || options.concat_c2 : reduction.reads_c2;
  };
  const auto cell_of = [&](const Place& place) -> const CellSize& {
    return place.stride == 1 ? normal : reduction;
  };
  for (std::size_t i = 1; i < row.size(); ++i) {
    Place& place = row[i];
    place.height = (row[i - 1].height + place.stride - 1) / place.stride;
    place.width = (row[i - 1].width + place.stride - 1) / place.stride;
    place.channels =
        place.filters * (cell_of(place).outputs + (place.stride == 1 && options.concat_c2 ? 1 : 0));
  }
  row.back().live = true;
  for (std::size_t i = row.size(); i-- > 1;) {
    if (!row[i].live) continue;
    if (cell_of(row[i]).reads_c1) row[i - 1].live = true;
    if (reads_c2(row[i])) row[i == 1 ? 0 : i - 2].live = true;
  }

  Counts counts;
  const auto convolution = [&](int64_t weights, const Place& output) {
    counts.parameters += weights;
    counts.mult_adds += weights * output.height * output.width;
  };
  convolution(int64_t{9} * options.image.channels * row[0].channels, row[0]);
  counts.parameters += 2 * row[0].channels;  // its batch norm
  for (std::size_t i = 1; i < row.size(); ++i) {
    const Place& place = row[i];
    if (!place.live) continue;
    const CellSize& cell = cell_of(place);
    const Place& c1 = row[i - 1];
    const Place& c2 = row[i == 1 ? 0 : i - 2];
    const int64_t f = place.filters;
    // The inputs are brought to f channels at the size of c-1, unless the first cell's c-2 has
    // them.
    if (cell.reads_c1) {
      convolution(c1.channels * f, c1);
      counts.parameters += 2 * f;
    }
    if (reads_c2(place) && !(i == 1 && c2.channels == f)) {
      convolution(c2.channels * f, c1);
      counts.parameters += 2 * f;
    }
    convolution(2 * f * (cell.kernel_area + cell.separable * f), place);
    counts.parameters += int64_t{4} * cell.separable * f;
  }
  counts.parameters += (row.back().channels + 1) * options.classes;
  counts.mult_adds += row.back().channels * options.classes;
  return counts;
}

}  // namespace renas
