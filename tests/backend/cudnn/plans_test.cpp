// Every dense convolution of the paper's networks gets a plan from the real cuDNN, for an A100 and
// an H100 that are described to it. cuDNN believes a description blindly, so this checks what we
// ask, not the card.
#include <cudnn_graph.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>
#include <set>

#include "backend/cudnn/conv_plan.h"
#include "renas/error.h"
#include "renas/genome.h"
#include "renas/network.h"

using namespace renas;
using namespace renas::cudnn;

namespace {

struct Card {
  const char* name;
  int compute_capability;
  int multiprocessors;
  int shared_bytes;
  int l2_bytes;
};
std::ostream& operator<<(std::ostream& out, const Card& card) { return out << card.name; }
const Card kCards[] = {{"NVIDIA A100-SXM4-80GB", 800, 108, 166912, 41943040},
                       {"NVIDIA H100 80GB HBM3", 900, 132, 232448, 52428800}};

std::string description(const Card& card) {
  return fmt::format(
      R"({{"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
      R"("multiProcessorCount":{},"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":{},)"
      R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
      R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":85028765696,)"
      R"("smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":{},"cudaDeviceId":0,"deviceVer":{},)"
      R"("driverVer":13000,"deviceName":"{}"}})",
      card.multiprocessors, card.shared_bytes, card.l2_bytes, card.compute_capability, card.name);
}

struct Network {
  const char* name;
  int batch;
  NetworkOptions options;
};
std::vector<Network> networks() {
  NetworkOptions search;
  NetworkOptions cifar;
  cifar.cells = 6;
  cifar.filters = 36;
  cifar.auxiliary = true;
  NetworkOptions imagenet;
  imagenet.kind = NetworkKind::kImageNet;
  imagenet.cells = 4;
  imagenet.filters = 44;
  imagenet.image = {3, 224, 224};
  imagenet.classes = 1000;
  imagenet.auxiliary = true;
  NetworkOptions deeplab = imagenet;
  deeplab.kind = NetworkKind::kDeepLab;
  deeplab.image = {3, 513, 513};
  deeplab.classes = 21;
  deeplab.auxiliary = false;
  return {{"search", 64, search},
          {"CIFAR", 128, cifar},
          {"ImageNet", 128, imagenet},
          {"DeepLab", 16, deeplab}};
}

/// Maps are padded to whole blocks of 8 channels.
int padded(int channels) { return (channels + 7) / 8 * 8; }

/// The different dense convolutions of a network, in all directions and both precisions.
std::set<ConvShape> convolutions(const Network& network) {
  const SearchSpace space = SearchSpace::renas();
  const Graph graph = build_network(space, parse_genome(space, "renasnet"), network.options);
  std::set<ConvShape> shapes;
  for (const Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kConv || node.groups != 1) continue;
    const Shape& in = graph.node(node.inputs[0]).shape;
    const int from = padded(in.channels);
    const int to = padded(node.shape.channels);
    for (const auto precision : {Precision::kFloat32, Precision::kBfloat16}) {
      for (const auto direction : {ConvDirection::kForward, ConvDirection::kDataGradient,
                                   ConvDirection::kWeightGradient}) {
        shapes.insert({direction, precision, false, network.batch, in.height, in.width, from, from,
                       to, to, node.window});
      }
    }
  }
  return shapes;
}

bool has(const ConvEngine& engine, cudnnBackendNumericalNote_t note) {
  return std::find(engine.numerical_notes.begin(), engine.numerical_notes.end(), note) !=
         engine.numerical_notes.end();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(plans_of_the_real_cudnn)

BOOST_AUTO_TEST_CASE(it_is_the_real_one) {
  Dl_info info{};
  BOOST_REQUIRE(dladdr(reinterpret_cast<const void*>(&cudnnGetVersion), &info) != 0);
  BOOST_TEST(std::string(info.dli_fname).find("libcudnn") != std::string::npos, info.dli_fname);
  BOOST_TEST(cudnnGetVersion() >= 90800U,
             "plans for described cards want cuDNN 9.8, this is " << cudnnGetVersion());
}

BOOST_DATA_TEST_CASE(every_dense_convolution_gets_a_plan_within_the_rules,
                     boost::unit_test::data::make(kCards), card) {
  const ConvTarget target{nullptr, description(card)};
  for (const Network& network : networks()) {
    const auto shapes = convolutions(network);
    BOOST_TEST(shapes.size() >= 6U);
    for (const ConvShape& shape : shapes) {
      BOOST_TEST_CONTEXT(network.name << ": " << to_string(shape)) {
        try {
          const ConvPlan plan(shape, target, network.name);
          BOOST_TEST(plan.workspace_bytes() <= 64 << 20);
          BOOST_TEST(is_allowed(plan.engine(), shape.precision));
          BOOST_TEST(!has(plan.engine(), CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC));
          if (shape.precision == Precision::kFloat32)
            BOOST_TEST(!has(plan.engine(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
          BOOST_TEST_MESSAGE(network.name << ": " << to_string(shape) << ": engine "
                                          << plan.engine().index << ", " << plan.workspace_bytes()
                                          << " bytes");
        } catch (const Unsupported& e) {
          BOOST_ERROR(e.what());
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_cudnn_cannot_do_is_refused_with_layer_shape_and_its_words) {
  const ConvTarget nothing{nullptr, description(kCards[1]), -1};
  const ConvShape shape{ConvDirection::kForward, Precision::kFloat32, false, 4, 8, 8, 8, 8, 16, 16,
                        Window::same(3)};
  try {
    const ConvPlan plan(shape, nothing, "cell3/stem");
    BOOST_ERROR("a plan without workspace");
  } catch (const Unsupported& e) {
    const std::string words = e.what();
    for (const char* part : {"cell3/stem", "3x3, 8 > 16, 4x8x8", "bytes of workspace"}) {
      BOOST_TEST(words.find(part) != std::string::npos, words);
    }
  }
  BOOST_CHECK_THROW(ConvPlan(shape, {nullptr, "no JSON"}), Unsupported);
}

BOOST_AUTO_TEST_CASE(narrow_maps_in_wide_ones_have_plans) {
  const ConvTarget target{nullptr, description(kCards[1])};
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16}) {
    const ConvPlan plan(
        {ConvDirection::kForward, precision, false, 4, 8, 8, 8, 24, 16, 40, Window::same(3)},
        target);
    BOOST_TEST(plan.workspace_bytes() >= 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
