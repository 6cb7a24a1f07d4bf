#include "backend/cudnn/groups/groups.h"
#include "backend/interpolation.h"

namespace renas::cudnn {

namespace {

/// One direction of a resize, for the host.
struct Direction {
  std::vector<ResizeTap> taps;         // by output row
  std::vector<ResizeReaders> readers;  // by input row
};

Direction direction_of(int in, int out, bool align_corners) {
  Direction d;
  d.readers.resize(static_cast<std::size_t>(in));
  for (int at = 0; at < out; ++at) {
    const LinearTap tap = linear_tap(at, out, in, align_corners);
    d.taps.push_back({tap.first, tap.second, static_cast<float>(tap.weight)});
    // Taps move on with `at`, so the readers of a row are neighbours.
    for (const int row : {tap.first, tap.second}) {
      ResizeReaders& readers = d.readers[static_cast<std::size_t>(row)];
      if (readers.last == 0) readers.first = at;
      readers.last = at + 1;
    }
  }
  return d;
}

/// A bilinear resize. A broadcast is the resize of a map of one pixel.
class ResizeGroup final : public FusedGroup {
 public:
  using FusedGroup::FusedGroup;

  void bind(const Binding& binding) override {
    FusedGroup::bind(binding);
    args_.in = input(binding, 0);
    args_.out = out_;
    const Map& in = args_.in.map;
    const Direction rows = direction_of(in.height, out_.map.height, node_.align_corners);
    const Direction columns = direction_of(in.width, out_.map.width, node_.align_corners);
    args_.rows = binding.layout.constant(rows.taps);
    args_.columns = binding.layout.constant(columns.taps);
    args_.of_rows = binding.layout.constant(rows.readers);
    args_.of_columns = binding.layout.constant(columns.readers);
  }
  void forward(const Launch& launch, bool) const override { resize_forward(launch, args_); }
  void backward(const Launch& launch) const override {
    if (args_.in.gradient) resize_backward(launch, args_);
  }

 private:
  ResizeArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_resize(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<ResizeGroup>(lowering, group);
}

}  // namespace renas::cudnn
