#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// A maximum or average pool.
class PoolGroup final : public FusedGroup {
 public:
  PoolGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group),
        args_{lowering.views.input(group.parts[0]), plan::window_of(node_, {}),
              node_.kind == NodeKind::kMaxPool, out_} {}

  std::size_t scratch_floats() const override { return pool_scratch(args_); }

  void backward(const ImageRange& range, const StepContext&, float* scratch, float*) override {
    pool_backward(args_, range.first, range.last, scratch);
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float* scratch, float*) override {
    pool_forward(args_, range.first, range.last, scratch);
  }
  std::string label() const override {
    return (args_.max ? "max pool" : "average pool") + to_string(args_.window);
  }
  void add_work(plan::GroupWork& work) const override {
    work.inputs.push_back(args_.in);
    work.reads_inputs = args_.max;  // the gradient goes to the maximum, which is found again
    work.mult_adds = static_cast<double>(int64_t{node_.window.kernel_height} *
                                         node_.window.kernel_width * node_.shape.size());
  }

 private:
  PoolArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_pool(const Lowering& lowering, const plan::Group& group) {
  return std::make_unique<PoolGroup>(lowering, group);
}

}  // namespace renas::cpu
