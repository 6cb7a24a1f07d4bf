#include "backend/cpu/onednn/tile_product.h"

#include <fmt/format.h>
#include <omp.h>

#include <unordered_map>
#include <vector>

#include "backend/cpu/onednn/convolution_desc.h"
#include "renas/error.h"

namespace renas::cpu {

namespace {

using dnnl::memory;

/// Sets OpenMP's number of threads to one while a TileProduct is made or runs. oneDNN takes its
/// number of threads from that setting, which belongs to the calling thread.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

using Arguments = std::unordered_map<int, memory>;

/// What one thread needs to run the convolution. oneDNN's memories are handles: copies share what
/// they point to.
struct Slot {
  dnnl::stream stream;
  memory in;
  memory out;
  Arguments write;
  Arguments add;
};

}  // namespace

struct TileProduct::Impl {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::convolution_forward write;
  dnnl::convolution_forward add;
  dnnl::reorder reorder;
  memory plain;
  memory weights;
  std::vector<Slot> slots;
};

// The width from which oneDNN multiplies. On Zen 3, groups of 128 x 128 and more are 1.07 to 1.28
// times as fast forward with oneDNN and at most 1.07 times backward; at 96 x 96 a call costs more
// than it gains.
constexpr int kWide = 128;

std::string TileProduct::library_version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

bool TileProduct::pays(int depth, int columns) { return depth >= kWide && columns >= kWide; }

TileProduct::TileProduct(int pixels, int depth, int columns, int threads)
    : impl_(std::make_unique<Impl>()) {
  const OneThread one;
  try {
    const auto type = memory::data_type::f32;
    const auto rows = memory::format_tag::nhwc;
    Descriptors d;
    d.in = {{1, depth, pixels, 1}, type, rows};
    d.out = {{1, columns, pixels, 1}, type, rows};
    d.weights = {{columns, depth, 1, 1}, type, memory::format_tag::any};
    d.strides = {1, 1};
    d.dilation = {0, 0};
    d.padding = {0, 0};
    d.padding_after = {0, 0};
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto write = forward_desc(impl_->engine, d, attr);
    d.weights = write.weights_desc();
    dnnl::post_ops sum;
    sum.append_sum(1.0F);
    attr.set_post_ops(sum);
    const auto add = forward_desc(impl_->engine, d, attr);
    impl_->write = dnnl::convolution_forward(write);
    impl_->add = dnnl::convolution_forward(add);
    // B's columns are the filters, so B is OIHW with the strides of its transpose.
    impl_->plain = memory({{columns, depth, 1, 1}, type, memory::dims{1, columns, 1, 1}},
                          impl_->engine, nullptr);
    impl_->weights = memory(d.weights, impl_->engine);
    impl_->reorder = dnnl::reorder(impl_->plain, impl_->weights);
    for (int t = 0; t < threads; ++t) {
      Slot slot{dnnl::stream(impl_->engine),
                memory(d.in, impl_->engine, nullptr),
                memory(d.out, impl_->engine, nullptr),
                {},
                {}};
      const auto arguments = [&](const memory::desc& scratch) {
        return Arguments{{DNNL_ARG_SRC, slot.in},
                         {DNNL_ARG_WEIGHTS, impl_->weights},
                         {DNNL_ARG_DST, slot.out},
                         {DNNL_ARG_SCRATCHPAD, memory(scratch, impl_->engine)}};
      };
      slot.write = arguments(write.scratchpad_desc());
      slot.add = arguments(add.scratchpad_desc());
      impl_->slots.push_back(std::move(slot));
    }
  } catch (const dnnl::error& e) {
    throw Error(fmt::format("oneDNN {}.{}: no 1x1 convolution of {} x {} channels: {}",
                            dnnl_version()->major, dnnl_version()->minor, depth, columns,
                            e.message));
  }
}

TileProduct::~TileProduct() = default;

void TileProduct::set_weights(const float* b) {
  const OneThread one;
  Slot& slot = impl_->slots[0];
  impl_->plain.set_data_handle(const_cast<float*>(b));  // oneDNN's handles are not const; it reads
  impl_->reorder.execute(slot.stream, impl_->plain, impl_->weights);
  slot.stream.wait();
}

void TileProduct::run(const float* a, float* c, bool add, int thread) const {
  const OneThread one;
  Slot& slot = impl_->slots[thread];
  slot.in.set_data_handle(const_cast<float*>(a));
  slot.out.set_data_handle(c);
  (add ? impl_->add : impl_->write).execute(slot.stream, add ? slot.add : slot.write);
  slot.stream.wait();
}

}  // namespace renas::cpu
