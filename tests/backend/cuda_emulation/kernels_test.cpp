// What kernels see: threads, barriers, shared memory, warps, atomics, the tensor cores' product.
#include "kernels.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>

#include "cuda_emulation/control.h"
#include "device_array.h"

using namespace renas;
using namespace renas::test;
using cudnn::Grid;
using cudnn::launch;

namespace {

struct Machine {
  Machine() { emulation::restart(); }
};

std::vector<float> ramp(std::size_t size) {
  std::vector<float> values(size);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

std::uint16_t to_bf16(float value) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(emulated_kernels, Machine)

BOOST_AUTO_TEST_CASE(every_thread_of_a_grid_runs_once_and_without_a_stack_of_its_own) {
  const DeviceArray<float> out(1000);
  const std::size_t before = emulation::counts().switches;
  must(launch(fill, Grid{4, 256}, nullptr, out.data(), 1000, 7.0F));
  BOOST_TEST(out.read() == std::vector<float>(1000, 7.0F), boost::test_tools::per_element());
  BOOST_TEST(emulation::counts().switches - before == 4);  // one a block
}

BOOST_AUTO_TEST_CASE(barriers_make_dynamic_shared_memory_whole) {
  const auto in = ramp(5 * 128);
  const DeviceArray<float> device(in), out(5);
  for (int seed = 1; seed < 4; ++seed) {
    must(launch(block_sums, Grid{5, 128, 128 * sizeof(float)}, nullptr, device.data(), out.data()));
    const auto sums = out.read();
    for (int b = 0; b < 5; ++b)
      BOOST_TEST(sums[b] ==
                 std::accumulate(in.begin() + b * 128, in.begin() + (b + 1) * 128, 0.0F));
  }
}

BOOST_AUTO_TEST_CASE(static_shared_memory_works_in_templates_and_in_functions) {
  const auto in = ramp(3 * 64);
  const DeviceArray<float> device(in), out(3);
  must(launch(block_sums_in_static_memory, Grid{3, 64}, nullptr, device.data(), out.data()));
  const auto sums = out.read();
  for (int b = 0; b < 3; ++b)
    BOOST_TEST(sums[b] == std::accumulate(in.begin() + b * 64, in.begin() + (b + 1) * 64, 0.0F));
}

BOOST_AUTO_TEST_CASE(shared_memory_is_full_of_nans_in_every_block) {
  const DeviceArray<int> out(4 * 32);
  must(launch(find_stale_shared_memory, Grid{4, 32, 32 * sizeof(float)}, nullptr, out.data()));
  BOOST_TEST(out.read() == std::vector<int>(4 * 32, 0), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(device_memory_is_full_of_nans_at_first) {
  const DeviceArray<float> fresh(100);
  for (const float v : fresh.read()) BOOST_TEST(std::isnan(v));
}

BOOST_AUTO_TEST_CASE(warps_add_up_by_shuffles) {
  const DeviceArray<float> in(ramp(128)), out(4);
  must(launch(warp_sums, Grid{2, 64}, nullptr, in.data(), out.data()));
  const std::vector<float> expected{528, 1552, 2576, 3600};
  BOOST_TEST(out.read() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(shuffles_take_the_lanes_that_the_manual_says) {
  const DeviceArray<int> out(5 * 32);
  must(launch(all_shuffles, Grid{1, 32}, nullptr, out.data()));
  const auto found = out.read();
  for (int lane = 0; lane < 32; ++lane) {
    BOOST_TEST_CONTEXT("lane " << lane) {
      BOOST_TEST(found[lane] == 103);
      BOOST_TEST(found[32 + lane] == 100 + lane / 8 * 8 + 3);
      BOOST_TEST(found[64 + lane] == 100 + (lane + 5 < 32 ? lane + 5 : lane));
      BOOST_TEST(found[96 + lane] == 100 + (lane % 16 >= 5 ? lane - 5 : lane));
      BOOST_TEST(found[128 + lane] == (lane % 2 == 1 ? 100 + (lane ^ 2) : 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_last_block_sees_what_all_others_wrote) {
  const auto in = ramp(7 * 32);
  const DeviceArray<float> device(in), partial(7), out(1);
  const DeviceArray<unsigned> arrived(std::vector<unsigned>{0});
  for (int i = 0; i < 2; ++i) {
    must(launch(last_block_sums, Grid{7, 32, 32 * sizeof(float)}, nullptr, device.data(),
                partial.data(), arrived.data(), out.data()));
    BOOST_TEST(out.read()[0] == std::accumulate(in.begin(), in.end(), 0.0F));
    BOOST_TEST(arrived.read()[0] == 0U);
  }
}

BOOST_AUTO_TEST_CASE(the_tensor_cores_twin_multiplies_matrices) {
  std::vector<std::uint16_t> a(16 * 16), b(16 * 8);
  std::vector<float> d(16 * 8), expected;
  const auto value = [](std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  };
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = to_bf16(static_cast<float>(i * 37 % 101) - 50);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = to_bf16(static_cast<float>(i * 53 % 97) - 48);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = static_cast<float>(i);
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float sum = d[row * 8 + column];
      for (int k = 0; k < 16; ++k) sum += value(a[row * 16 + k]) * value(b[k * 8 + column]);
      expected.push_back(sum);
    }
  }
  const DeviceArray<std::uint16_t> da(a), db(b);
  const DeviceArray<float> dd(d);
  must(launch(multiply, Grid{1, 32}, nullptr, da.data(), db.data(), dd.data()));
  BOOST_TEST(dd.read() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(atomics_of_integers_count) {
  const DeviceArray<int> counts(std::vector<int>(3, 0));
  must(launch(count, Grid{3, 100}, nullptr, counts.data()));
  const std::vector<int> expected(3, 300);
  BOOST_TEST(counts.read() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(blocks_and_warps_vote) {
  const DeviceArray<int> out(4);
  must(launch(vote, Grid{1, 64}, nullptr, out.data()));
  const std::vector<int> expected{32, 1, 0, 0xaa};
  BOOST_TEST(out.read() == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
