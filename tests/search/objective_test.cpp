#include "renas/objective.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>

#include "renas/error.h"
#include "renas/strategy.h"

using renas::Genome;
using renas::Random;
using renas::SearchSpace;

namespace {

SearchSpace small_space() {
  return SearchSpace::parse("block\n operator o a b\n operator p c d\n");
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const renas::InvalidInput& error) {
    return error.what();
  }
  return "no error";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(objectives)

BOOST_AUTO_TEST_CASE(a_table_gives_its_columns) {
  const auto table = renas::table_objective(
      small_space(), "n,arch,x,y\r\n0,a+c,10,1.5\r\n1,a+d,20,2\n2,b+c,30,4\n\n3,b+d,40,3\n", "x",
      "y");
  BOOST_TEST(table->reward({0, 0}) == 10);
  BOOST_TEST(table->truth({0, 0}) == 1.5);
  BOOST_TEST(table->reward({1, 0}) == 30);
  BOOST_TEST(table->truth({1, 1}) == 3);
  BOOST_TEST(table->best_truth() == 4);
}

BOOST_AUTO_TEST_CASE(a_wrong_table_is_refused_with_its_line) {
  const auto read = [](const std::string& csv, const std::string& reward = "x") {
    return message_of([&] { renas::table_objective(small_space(), csv, reward, "x"); });
  };
  const std::string good = "arch,x\na+c,1\na+d,2\nb+c,3\nb+d,4\n";
  BOOST_TEST(read(good) == "no error");
  BOOST_TEST(holds(read(""), "is empty"));
  BOOST_TEST(holds(read(good, "acc"), "no column 'acc'; its columns are arch, x"));
  BOOST_TEST(holds(read("name,x\na+c,1\n"), "no column 'arch'"));
  BOOST_TEST(holds(read("arch,x\na+c,1\na+d\n"), "line 3: expected 2 cells"));
  BOOST_TEST(holds(read("arch,x\na+c,1\na+e,2\n"), "line 3"));
  BOOST_TEST(holds(read("arch,x\na+c,1\na+c,2\n"), "stands there twice"));
  BOOST_TEST(holds(read("arch,x\na+c,one\n"), "holds 'one'"));
  BOOST_TEST(holds(read("arch,x\na+c,nan\n"), "holds 'nan'"));
  BOOST_TEST(holds(read("arch,x\na+c,101\n"), "from 0 to 100"));
  BOOST_TEST(holds(read("arch,x\na+c,1\n"), "it has 1 genomes, search space 'user' has 4"));
  BOOST_TEST(holds(message_of([] { renas::table_objective(SearchSpace::renas(5), "", "x", "x"); }),
                   "tables cover"));
}

BOOST_AUTO_TEST_CASE(a_synthetic_objective_looks_like_accuracies_and_knows_the_symmetry) {
  const SearchSpace space = SearchSpace::renas(5);
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const auto objective = renas::synthetic_objective(space, seed);
    const auto same = renas::synthetic_objective(space, seed);
    const auto other = renas::synthetic_objective(space, seed + 100);
    Random random(1);
    const int count = 2000;
    double mean = 0;
    double sum_xy = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_yy = 0;
    int differ = 0;
    for (int i = 0; i < count; ++i) {
      const Genome genome = renas::random_genome(space, random);
      const double truth = objective->truth(genome);
      const double reward = objective->reward(genome);
      BOOST_REQUIRE(truth <= 95);
      BOOST_REQUIRE(reward >= 0);
      BOOST_TEST(truth == same->truth(genome));
      differ += truth != other->truth(genome) ? 1 : 0;
      const Genome twin = renas::canonical(space, genome);
      BOOST_TEST(std::abs(truth - objective->truth(twin)) < 1e-9);
      BOOST_TEST(std::abs(reward - objective->reward(twin)) < 1e-9);
      mean += truth / count;
      sum_x += truth;
      sum_y += reward;
      sum_xy += truth * reward;
      sum_xx += truth * truth;
      sum_yy += reward * reward;
    }
    const double correlation =
        (sum_xy - sum_x * sum_y / count) /
        std::sqrt((sum_xx - sum_x * sum_x / count) * (sum_yy - sum_y * sum_y / count));
    BOOST_TEST(mean > 85);
    BOOST_TEST(mean < 90);
    BOOST_TEST(correlation > 0.85);
    BOOST_TEST(correlation < 0.99);
    BOOST_TEST(differ == count);
  }
  BOOST_TEST(holds(message_of([] { renas::synthetic_objective(SearchSpace::nas_bench_201(), 0); }),
                   "has not the paper's form"));
}

BOOST_AUTO_TEST_CASE(a_synthetic_objective_takes_a_part_of_the_papers_space) {
  // Slots of one block and slots of another offer different choices, in different orders.
  const SearchSpace part = SearchSpace::parse(
      "inputs c-2 c-1\n"
      "block\n input i1 c-1\n input i2 c-2 c-1\n operator o1 sep3x3\n operator o2 max3x3 identity\n"
      "block\n input i1 1 c-1\n input i2 c-2 1\n operator o1 sep5x5 sep3x3\n operator o2 "
      "identity\n",
      renas::Notation::kCell);
  const auto objective = renas::synthetic_objective(part, 3);
  Random random(1);
  double least = 100;
  double most = 0;
  for (int i = 0; i < 200; ++i) {
    const double truth = objective->truth(renas::random_genome(part, random));
    BOOST_REQUIRE(std::isfinite(truth));
    least = std::min(least, truth);
    most = std::max(most, truth);
  }
  BOOST_TEST(most - least > 3);
  // What a choice is worth does not depend on where it stands in its slot. (Means over random cells
  // are of other cells, so that scores differ by a scale.)
  const auto with_last = [](const std::string& last) {
    return SearchSpace::parse(
        "inputs c-2 c-1\nblock\n input i1 c-2 c-1\n input i2 c-2 c-1\n operator o1 sep3x3 max3x3\n"
        " operator o2 sep3x3 sep5x5\n"
        "block\n input i1 c-2 c-1\n input i2 c-2 1\n operator o1 sep3x3 max3x3\n operator o2 " +
            last + "\n",
        renas::Notation::kCell);
  };
  const SearchSpace one_way = with_last("sep3x3 max3x3 sep5x5");
  const SearchSpace other_way = with_last("sep5x5 max3x3 sep3x3");
  const auto of_one = renas::synthetic_objective(one_way, 3);
  const auto of_other = renas::synthetic_objective(other_way, 3);
  const auto score = [](double truth) { return std::log(95 - truth); };
  double xy = 0, x = 0, y = 0, xx = 0, yy = 0;
  const int count = 200;
  for (int i = 0; i < count; ++i) {
    const Genome genome = renas::random_genome(one_way, random);
    const std::string text = renas::to_string(one_way, genome);
    const double a = score(of_one->truth(genome));
    const double b = score(of_other->truth(renas::parse_genome(other_way, text)));
    x += a / count;
    y += b / count;
    xy += a * b / count;
    xx += a * a / count;
    yy += b * b / count;
  }
  BOOST_TEST((xy - x * y) / std::sqrt((xx - x * x) * (yy - y * y)) > 0.9999);
  // With all choices in the paper's order it is the function of the whole space.
  const SearchSpace whole = SearchSpace::renas(2);
  const SearchSpace same = SearchSpace::parse(whole.to_text(), renas::Notation::kCell);
  const auto of_whole = renas::synthetic_objective(whole, 3);
  const auto of_same = renas::synthetic_objective(same, 3);
  for (int i = 0; i < 50; ++i) {
    const Genome genome = renas::random_genome(whole, random);
    BOOST_TEST(of_whole->truth(genome) == of_same->truth(genome));
  }
  // A space of one genome has no deviation to scale by.
  const SearchSpace one = SearchSpace::parse(
      "inputs c-2 c-1\nblock\n input i1 c-1\n input i2 c-2\n operator o1 sep3x3\n"
      " operator o2 max3x3\n",
      renas::Notation::kCell);
  BOOST_TEST(std::isfinite(renas::synthetic_objective(one, 3)->truth({0, 0, 0, 0})));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(text_of_spaces)

BOOST_AUTO_TEST_CASE(a_space_is_read_from_text) {
  const SearchSpace space = SearchSpace::parse(
      "# what enters\nname mine\ninputs a b\nblock\n  input i a b # first\n  operator o x y\n"
      "block\n  input i 1 a\n");
  BOOST_TEST(space.name() == "mine");
  BOOST_TEST(space.block_count() == 2);
  BOOST_TEST(space.slot_count() == 3);
  BOOST_TEST((space.slot(0).kind == renas::Slot::Kind::kInput));
  BOOST_TEST((space.slot(1).choices == std::vector<std::string>{"x", "y"}));
  BOOST_TEST((space.slot(2).choices == std::vector<std::string>{"1", "a"}));
  BOOST_TEST(renas::to_string(space, {1, 0, 0}) == "b+x,1");
  // Every strategy can search it.
  for (const std::string& name : renas::strategy_names()) {
    renas::StrategyOptions options;
    options.name = name;
    const auto strategy = renas::make_strategy(space, options);
    for (int i = 0; i < 40; ++i) {
      strategy->tell(strategy->ask().id, {renas::Status::kOk, 0.5});
    }
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_space_is_refused_with_its_line) {
  const auto read = [](const std::string& text) {
    return message_of([&] { SearchSpace::parse(text); });
  };
  BOOST_TEST(holds(read(""), "no line 'block'"));
  BOOST_TEST(holds(read("block\nblock\n"), "line 2: the block before has no slot"));
  BOOST_TEST(holds(read("block\n operator o x\nblock\n"), "line 3: the last block has no slot"));
  BOOST_TEST(holds(read("block\n operator o\n"), "line 2: search space"));
  BOOST_TEST(holds(read("block\n operator o\n"), "has no choices"));
  BOOST_TEST(holds(read("operator o x\n"), "line 1: 'operator' must follow"));
  BOOST_TEST(holds(read("inputs a\nblock\n input i a 1\n"), "would be a cycle"));
  BOOST_TEST(holds(read("inputs a\nblock\n input i a a\n"), "line 3: "));
  BOOST_TEST(holds(read("inputs 1\n"), "would be taken for a block"));
  BOOST_TEST(holds(read("block\n operator o x\ninputs a\n"), "before the first block"));
  BOOST_TEST(holds(read("slot x\n"), "found 'slot'"));
}

BOOST_AUTO_TEST_SUITE_END()
