// The vector kernels on every instruction set that this processor and this build share, not only on
// the best one.

#include <hwy/highway.h>

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "backend/conformance/cases.h"
#include "backend/cpu/kernels/args.h"
#include "backend/cpu/kernels/bf16_kernels.h"
#include "backend/reference/program.h"

using namespace renas;

BOOST_AUTO_TEST_SUITE(vector_kernels)

BOOST_AUTO_TEST_CASE(compute_every_case_alike_on_every_instruction_set) {
  std::vector<conformance::Case> cases = conformance::small_cases();
  for (auto& c : conformance::segmentation_cases()) cases.push_back(std::move(c));
  for (auto& c : conformance::large_cases()) {
    if (c.name != "stem of 224x224x3") cases.push_back(std::move(c));
  }
  int sets = 0;
  // Each alone, then all of them: only these together include AMX.
  std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  targets.push_back(0);
  for (const int64_t target : targets) {
    hwy::SetSupportedTargetsForTest(target);
    BOOST_TEST_CONTEXT((target == 0 ? "all" : hwy::TargetName(target))) {
      for (const auto& c : cases) {
        BOOST_TEST_CONTEXT(c.name) {
          const auto gradients_of = [&](Program& program) {
            program.load(conformance::ramp_weights(c.graph, 1));
            conformance::stage(program, c.graph, c.count, 2);
            program.gradients(c.step);
            return program.gradients_by_name();
          };
          const auto backend = make_backend({"cpu"});
          reference::ReferenceProgram<double> exact(c.graph, {.batch = c.batch});
          const auto in_float = backend->compile(c.graph, {.batch = c.batch});
          const auto rounded_maps =
              backend->compile(c.graph, {.batch = c.batch, .precision = Precision::kBfloat16});
          const Weights expected = gradients_of(exact);
          BOOST_TEST(conformance::largest_error(gradients_of(*in_float), expected) <= 5e-4);
          // Whole cells and heads are left out, because rounding decides too many ReLUs in them for
          // one seed; cases_test.cpp compares them over several seeds.
          if (c.name.find("cells") != std::string::npos) continue;
          if (c.name.find("head of segmentation") != std::string::npos) continue;
          BOOST_TEST(conformance::largest_distance(gradients_of(*rounded_maps), expected) <= 0.1);
        }
      }
    }
    ++sets;
  }
  hwy::SetSupportedTargetsForTest(0);
  BOOST_TEST(sets >= 3, "only " << sets - 1 << " instruction sets were there to test");
}

BOOST_AUTO_TEST_CASE(are_named_by_the_instruction_set_that_they_are_chosen_for) {
  const auto description = [](int64_t targets) {
    hwy::SetSupportedTargetsForTest(targets);
    const std::string text = make_backend({"cpu"})->description();
    hwy::SetSupportedTargetsForTest(0);
    return text;
  };
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    const bool wide = HWY_ARCH_X86 != 0 && target < HWY_AVX2;
    const std::string name = wide ? "AVX-512" : hwy::TargetName(target);
    BOOST_TEST(description(target).starts_with("cpu (" + name), description(target));
  }
  // AMX is left out together with the sets of Highway that stand for it.
  const int64_t without_amx = hwy::SupportedTargets() & ~HWY_AVX3_DL;
  BOOST_TEST(description(without_amx).find("AMX") == std::string::npos);
  BOOST_TEST((description(0).find("AMX") != std::string::npos) == cpu::bf16::offers_amx());
}

BOOST_AUTO_TEST_CASE(round_to_the_nearest_bfloat16_ties_to_even) {
  using renas::cpu::Bfloat16;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto rounded = [](float v) { return renas::cpu::to_float(renas::cpu::to_bf16(v)); };
  BOOST_TEST(rounded(1) == 1);
  BOOST_TEST(rounded(1 + 1 / 256.0F) == 1);                // a tie: 1 is even
  BOOST_TEST(rounded(1 + 3 / 256.0F) == 1 + 4 / 256.0F);   // a tie the other way
  BOOST_TEST(rounded(1 + 1.01F / 256) == 1 + 2 / 256.0F);  // above the middle
  BOOST_TEST(rounded(-1 - 3 / 256.0F) == -1 - 4 / 256.0F);
  BOOST_TEST(rounded(3.4e38F) == kInfinity);
  BOOST_TEST(rounded(-kInfinity) == -kInfinity);
  BOOST_TEST(std::isnan(rounded(std::numeric_limits<float>::quiet_NaN())));
  BOOST_TEST(std::isnan(rounded(std::bit_cast<float>(0x7fffffffU))));

  // The vector kernels store what to_bf16() gives.
  constexpr int kPixels = 4096;
  renas::cpu::AddArgs args;
  args.out.map = {1, kPixels, renas::cpu::kBlock};
  std::vector<float> values(args.out.map.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = static_cast<uint32_t>(0x9e3779b97f4a7c15U * (i + 1) >> 32);
    // Half of them are ties. Infinities occur, but no other NaN than the processor's own.
    const uint32_t number = i % 2 == 0 ? bits : (bits & 0xffff0000U) | 0x8000U;
    const auto value = std::bit_cast<float>(number);
    values[i] = std::isnan(value) ? -std::numeric_limits<float>::quiet_NaN() : value;
  }
  std::vector<Bfloat16> stored(values.size());
  renas::cpu::InputView source;
  source.map = args.out.map;
  source.data = {values.data(), false};
  args.in = {source};
  args.out.data = {stored.data(), true};
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    std::fill(stored.begin(), stored.end(), Bfloat16{0});
    add_forward(args, 0, 1);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float found = renas::cpu::to_float(stored[i]);
      const float expected = rounded(values[i]);
      wrong += found == expected || (std::isnan(found) && std::isnan(expected)) ? 0 : 1;
    }
    BOOST_TEST(wrong == 0U, hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
}

BOOST_AUTO_TEST_SUITE_END()
