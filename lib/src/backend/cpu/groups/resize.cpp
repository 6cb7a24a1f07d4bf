#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// A bilinear resize. A broadcast is the resize of a map of one pixel.
class ResizeGroup final : public FusedGroup {
 public:
  ResizeGroup(const Lowering& lowering, const plan::Group& group) : FusedGroup(lowering, group) {
    args_.in = lowering.views.input(group.parts[0]);
    args_.out = out_;
    for (int y = 0; y < node_.shape.height; ++y) {
      args_.rows.push_back(
          linear_tap(y, node_.shape.height, args_.in.map.height, node_.align_corners));
    }
    for (int x = 0; x < node_.shape.width; ++x) {
      args_.columns.push_back(
          linear_tap(x, node_.shape.width, args_.in.map.width, node_.align_corners));
    }
  }

  std::size_t scratch_floats() const override { return resize_scratch(args_); }

  void backward(const ImageRange& range, const StepContext&, float* scratch, float*) override {
    if (args_.in.gradient) resize_backward(args_, range.first, range.last, scratch);
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float* scratch, float*) override {
    resize_forward(args_, range.first, range.last, scratch);
  }
  void add_work(plan::GroupWork& work) const override {
    work.inputs.push_back(args_.in);
    work.mult_adds = 2 * static_cast<double>(node_.shape.size());
  }

 private:
  ResizeArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_resize(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<ResizeGroup>(lowering, group);
}

}  // namespace renas::cpu
