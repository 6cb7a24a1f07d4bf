#include "backend/cpu/groups/groups.h"

namespace renas::cpu {

namespace {

/// A global average pool: the mean of each channel over the map, of a concatenation or a single
/// map.
class GlobalAverageGroup final : public FusedGroup {
 public:
  GlobalAverageGroup(const Lowering& lowering, const plan::Group& group)
      : FusedGroup(lowering, group), args_(concat_args(lowering)) {}

  void backward(const ImageRange& range, const StepContext&, float*, float*) override {
    global_average_backward(args_, range.first, range.last);
  }

 protected:
  void forward(const ImageRange& range, const StepContext&, float*, float*) override {
    global_average_forward(args_, range.first, range.last);
  }
  void add_work(plan::GroupWork& work) const override { work.inputs = args_.in; }

 private:
  ConcatArgs args_;
};

}  // namespace

std::unique_ptr<FusedGroup> make_global_average(const Lowering& lowering,
                                                const plan::Group& group) {
  return std::make_unique<GlobalAverageGroup>(lowering, group);
}

}  // namespace renas::cpu
