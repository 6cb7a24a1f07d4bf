// Published networks against counts of an independent counter, most of which agree with what their
// authors' code or other implementations give.

#include "renas/zoo.h"

#include <boost/test/unit_test.hpp>
#include <set>

#include "renas/architecture.h"
#include "renas/error.h"

using namespace renas;

namespace {

NetworkOptions cifar(int cells, int filters) { return {.cells = cells, .filters = filters}; }

NetworkOptions imagenet(int cells, int filters) {
  return {.kind = NetworkKind::kImageNet,
          .cells = cells,
          .filters = filters,
          .image = {3, 224, 224},
          .classes = 1000};
}

void expect_counts(const std::string& genome, const NetworkOptions& options, int64_t parameters,
                   int64_t mult_adds) {
  const Counts counts = count(build_network(genome, options));
  BOOST_TEST_CONTEXT(genome << " (" << options.cells << ", " << options.filters << ")") {
    BOOST_TEST(counts.parameters == parameters);
    BOOST_TEST(counts.mult_adds == mult_adds);
  }
}

int64_t auxiliary_parameters(const std::string& genome, NetworkOptions options) {
  options.auxiliary = true;
  int64_t total = 0;
  const Graph graph = build_network(genome, options);
  for (const Parameter& p : graph.parameters()) {
    if (p.auxiliary && p.trainable()) total += p.size();
  }
  return total;
}

void refused(const std::string& genome, const std::string& part) {
  BOOST_CHECK_EXCEPTION(build_network(genome, cifar(1, 4)), InvalidInput,
                        [&](const InvalidInput& e) {
                          BOOST_TEST_MESSAGE(e.what());
                          return std::string(e.what()).find(part) != std::string::npos;
                        });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(zoo)

BOOST_AUTO_TEST_CASE(cells_on_cifar_have_their_published_sizes) {
  expect_counts("pnasnet-5", cifar(3, 48), 3189082, 574891392);
  expect_counts("nasnet-a", cifar(6, 32), 3346538, 544333312);
  expect_counts("amoebanet-b", cifar(6, 36), 2839186, 454925952);
  expect_counts("enas", cifar(6, 36), 4587372, 727702560);
  expect_counts("enas", cifar(5, 36), 3894372, 620907552);
  expect_counts("darts-v2", cifar(6, 36), 3349342, 528359040);
  expect_counts("darts-v1", cifar(6, 36), 3169414, 500987520);
}

BOOST_AUTO_TEST_CASE(small_cells_on_cifar_have_their_sizes) {
  expect_counts("nasnet-a", cifar(2, 24), 757906, 136390272);
  expect_counts("amoebanet-a", cifar(2, 24), 628954, 106565376);
  expect_counts("amoebanet-b", cifar(2, 24), 474994, 86929152);
  expect_counts("amoebanet-c", cifar(2, 24), 782482, 124678848);
  expect_counts("pnasnet-5", cifar(2, 24), 559090, 112046784);
  expect_counts("enas", cifar(2, 24), 850248, 142250688);
  expect_counts("darts-v2", cifar(2, 24), 529474, 92495616);
  expect_counts("darts-v1", cifar(2, 24), 501586, 88182528);
  expect_counts("renasnet", cifar(2, 24), 827314, 130957056);
}

BOOST_AUTO_TEST_CASE(cells_on_imagenet_have_their_published_sizes) {
  expect_counts("nasnet-a", imagenet(4, 44), 5289978, 563638816);
  expect_counts("amoebanet-a", imagenet(4, 50), 5086930, 554687204);
  expect_counts("amoebanet-b", imagenet(3, 62), 5258700, 555060408);
  expect_counts("amoebanet-c", imagenet(4, 44), 5056969, 535067904);
  expect_counts("amoebanet-c", imagenet(4, 50), 6353815, 676936592);
  expect_counts("pnasnet-5", imagenet(3, 54), 5064487, 587293200);
  expect_counts("darts-v1", imagenet(4, 50), 4853975, 547483200);
  expect_counts("darts-v2", imagenet(4, 48), 4718752, 529911552);
  NetworkOptions more_classes = imagenet(4, 44);
  more_classes.classes = 1001;
  expect_counts("nasnet-a", more_classes, 5291035, 563639872);

  // The large ones; other implementations agree in parameters.
  const auto large = [](int cells, int filters) {
    NetworkOptions options = imagenet(cells, filters);
    options.stem = 96;
    options.image = {3, 331, 331};
    return options;
  };
  BOOST_TEST(count(build_network("nasnet-a", large(6, 168))).parameters == 88753150);
  BOOST_TEST(count(build_network("pnasnet-5", large(4, 216))).parameters == 86057668);
}

BOOST_AUTO_TEST_CASE(networks_made_by_hand_have_their_published_sizes) {
  expect_counts("densenet-bc", cifar(1, 1), 25624430, 9301945740);
  expect_counts("mobilenet-v1", imagenet(1, 4), 4231976, 568740352);
  expect_counts("mobilenet-v2", imagenet(1, 4), 3504872, 300774272);
  expect_counts("mobilenet-v2-1.4", imagenet(1, 4), 6108776, 582195824);
  expect_counts("shufflenet-v1-2", imagenet(1, 4), 5449776, 524045184);
  expect_counts("shufflenet-v1-1.5", imagenet(1, 4), 3441168, 292443552);
  expect_counts("shufflenet-v2-2", imagenet(1, 4), 7402600, 590783000);
  expect_counts("shufflenet-v2-1.5", imagenet(1, 4), 3506720, 298970656);
  expect_counts("resnet-50", imagenet(1, 4), 25557032, 4089184256);
  // ResNet-20 without projections has 269,722 parameters; two of them with batch norms come on top.
  const int64_t projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64;
  const int64_t maps = 32 * 32 * 3 * 16 * 9 + 6 * 32 * 32 * 16 * 16 * 9 +
                       5 * 16 * 16 * 32 * 32 * 9 + 5 * 8 * 8 * 64 * 64 * 9 +
                       16 * 16 * (16 * 32 * 9 + 16 * 32) + 8 * 8 * (32 * 64 * 9 + 32 * 64) +
                       64 * 10;
  expect_counts("resnet-20", cifar(1, 1), 269722 + projections, maps);
}

BOOST_AUTO_TEST_CASE(auxiliary_heads_have_their_published_sizes) {
  BOOST_TEST(auxiliary_parameters("nasnet-a", cifar(6, 32)) == 1631498);
  BOOST_TEST(auxiliary_parameters("nasnet-a", imagenet(4, 44)) == 2411240);
  BOOST_TEST(auxiliary_parameters("enas", cifar(6, 36)) == 494848);
  BOOST_TEST(auxiliary_parameters("darts-v2", cifar(6, 36)) == 476426);
  BOOST_TEST(auxiliary_parameters("darts-v2", imagenet(4, 48)) == 1260776);
}

BOOST_AUTO_TEST_CASE(the_genotype_of_darts_does_not_pass_as_nasnet_a) {
  // The table of cells that DARTS's repository holds, and many have copied, lacks c-2 in the normal
  // cell's output and block 2 in the reduction cell's.
  const auto expect = [](bool normal, bool reduction, int64_t parameters, int64_t mult_adds) {
    std::string copy = zoo_text("nasnet-a");
    if (normal) copy.replace(copy.find("=c-2+1+2+3+4+5"), 14, "=1+2+3+4+5");
    if (reduction) copy.replace(copy.rfind("=2+3+4+5"), 8, "=3+4+5");
    const Counts counts = count(build_network(copy, imagenet(4, 44)));
    BOOST_TEST(counts.parameters == parameters);
    BOOST_TEST((counts.mult_adds + 50000) / 100000 == mult_adds);
  };
  expect(true, false, 4852618, 5270);
  expect(false, true, 5209876, 5549);
  expect(true, true, 4772516, 5183);
}

BOOST_AUTO_TEST_CASE(every_name_is_a_network_and_every_row_agrees_or_says_why) {
  std::set<std::string> used;
  for (const ZooRow& row : zoo_rows()) {
    BOOST_TEST_CONTEXT(row.title) {
      used.insert(row.genome);
      if (row.genome.empty()) {
        BOOST_TEST(!row.note.empty());
        continue;
      }
      const Counts counts = count(build_network(row.genome, row.network));
      const auto agrees = [](double printed, int64_t counted) {
        const double millions = static_cast<double>(counted) / 1e6;
        return std::abs(printed - millions) <= (printed < 10 ? 0.05 : 0.5);
      };
      const bool right =
          (!row.printed_parameters || agrees(*row.printed_parameters, counts.parameters)) &&
          (!row.printed_mult_adds || agrees(*row.printed_mult_adds, counts.mult_adds));
      BOOST_TEST((right || !row.note.empty()));
    }
  }
  for (const std::string& name : zoo_names()) {
    BOOST_CHECK_NO_THROW(build_network(name, cifar(1, 8)));
    if (name != "amoebanet-d") BOOST_TEST(used.contains(name), name);
  }
}

BOOST_AUTO_TEST_CASE(a_text_means_what_the_paper_s_notation_means) {
  const NetworkOptions options = cifar(2, 8);
  const Graph named = build_network("renasnet", options);
  const SearchSpace space = SearchSpace::renas();
  for (const Graph& other :
       {build_network(space, parse_genome(space, "renasnet"), options),
        build_network(kRenasNet, options),
        build_network(std::string("renas/") + kRenasNet, options),
        build_network(std::string("renas/") + kRenasNet + "=2+3+4+5/" + kRenasNet, options)}) {
    BOOST_REQUIRE(named.parameters().size() == other.parameters().size());
    for (std::size_t i = 0; i < named.parameters().size(); ++i) {
      BOOST_TEST(named.parameter(static_cast<int>(i)).name ==
                 other.parameter(static_cast<int>(i)).name);
      BOOST_TEST((named.parameter(static_cast<int>(i)).columns ==
                  other.parameter(static_cast<int>(i)).columns));
    }
  }
  // A block that no output needs is not built.
  const std::string two = "renas/c-2:sep3x3+c-1:identity,c-1:sep7x7+c-1:sep7x7=1";
  const std::string one = "renas/c-2:sep3x3+c-1:identity";
  BOOST_TEST((count(build_network(two, options)) == count(build_network(one, options))));
}

BOOST_AUTO_TEST_CASE(mistakes_are_named_and_names_suggested) {
  refused("nasnet-b", "did you mean nasnet-a?");
  refused("amoebanet_b", "did you mean amoebanet-b?");
  refused("mobilnet-v1", "did you mean mobilenet-v1?");
  refused("nasnetto/c-1:identity+c-1:identity", "'nasnetto' is no family of cells");
  refused("nasnet/c-1:identity+c-1:sep3x3=", "list of outputs behind '=' is empty");
  refused("nasnet/c-1:identity+c-1:sep3x3=2", "normal cell, outputs: '2' is not there");
  refused("nasnet/c-1:identity+c-1:sep3x3=1+1", "output 1 stands there twice");
  refused("nasnet/c-1:identity+c-1:sep3x3/c-1:identity+1:sep3x3",
          "reduction cell, block 1: '1' is not there to be read; expected c-2, c-1");
  refused("nasnet/c-1:identity+c-1:sep4x4", "'sep4x4' is no operator");
  refused("nasnet/c-1:identity", "expected 'input:operator+input:operator'");
  refused("nasnet/a/b/c", "expected FAMILY/NORMAL");
  NetworkOptions auxiliary = cifar(1, 4);
  auxiliary.auxiliary = true;
  BOOST_CHECK_THROW(build_network("resnet-20", auxiliary), InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
