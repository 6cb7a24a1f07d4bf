#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "search/controller/policy.h"

using renas::Genome;
using renas::Mutation;
using renas::Random;
using renas::SearchSpace;
using renas::search::MutationPolicy;
using renas::search::PolicyTerm;

namespace {

struct Case {
  std::string what;
  SearchSpace space;
  bool bidirectional;
  bool inputs;     // every action changes an input slot
  bool operators;  // every action changes an operator slot
  int attention = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.what; }

std::vector<Case> cases() {
  // This space has blocks of one to three slots, operator slots of two kinds, and an input slot
  // that leaves out a source.
  const SearchSpace odd = SearchSpace("odd", renas::Notation::kList, {"a"},
                                      {{{{renas::Slot::Kind::kOperator, "o", {"p", "q", "r"}}}},
                                       {{{renas::Slot::Kind::kInput, "i", {"1", "a"}},
                                         {renas::Slot::Kind::kOperator, "o", {"s", "t"}}}},
                                       {{{renas::Slot::Kind::kInput, "i", {"2"}},
                                         {renas::Slot::Kind::kOperator, "o", {"p", "q", "r"}},
                                         {renas::Slot::Kind::kInput, "j", {"a", "1", "2"}}}}});
  return {{"input mutator", SearchSpace::renas(3), true, true, false},
          {"operator mutator", SearchSpace::renas(3), true, false, true},
          {"both, one direction", SearchSpace::renas(3), false, true, true},
          {"two cells", SearchSpace::pair(SearchSpace::renas(2), SearchSpace::renas(3)), true, true,
           true},
          {"NAS-Bench-201", SearchSpace::nas_bench_201(), true, true, true},
          {"a user's space", odd, true, true, true},
          {"additive attention", SearchSpace::renas(3), true, true, false, 3},
          {"additive attention, one direction", SearchSpace::renas(3), false, true, true, 1},
          {"additive attention in a user's space", odd, true, true, true, 2}};
}

std::vector<Mutation> draw_actions(const Case& c, const Genome& parent, Random& random) {
  std::vector<Mutation> actions;
  for (int b = 0; b < c.space.block_count(); ++b) {
    std::vector<int> slots;
    for (int s = c.space.first_slot(b); s < c.space.first_slot(b + 1); ++s) {
      const bool input = c.space.slot(s).kind == renas::Slot::Kind::kInput;
      if (input ? c.inputs : c.operators) {
        slots.push_back(s);
      }
    }
    const int slot = slots[random.below(slots.size())];
    actions.push_back(
        {b, slot, parent[slot], static_cast<int>(random.below(c.space.slot(slot).choices.size()))});
  }
  return actions;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(controller_gradient)

// The gradient of weight * log-probability + 0.3 * entropy by every parameter is compared with
// central differences.
BOOST_AUTO_TEST_CASE(gradients_of_every_decision_agree_with_finite_differences) {
  for (const Case& c : cases()) {
    BOOST_TEST_CONTEXT(c) {
      Random random(11);
      MutationPolicy<double> policy(c.space, 3, 4, c.bidirectional, c.attention);
      renas::search::initialize(policy.lstm(), 0.7, random);
      std::vector<Genome> parents;
      std::vector<std::vector<Mutation>> actions;
      for (int i = 0; i < 3; ++i) {
        parents.push_back(renas::random_genome(c.space, random));
        actions.push_back(draw_actions(c, parents.back(), random));
      }
      std::vector<const Genome*> pointers;
      std::vector<PolicyTerm> terms;
      for (std::size_t i = 0; i < 3; ++i) {
        pointers.push_back(&parents[i]);
        terms.push_back({&parents[i], &actions[i], 1.5 - static_cast<double>(i)});
      }
      const double entropy_weight = 0.3;
      const auto objective = [&] {
        policy.encode(pointers);
        double sum = 0;
        for (int i = 0; i < 3; ++i) {
          const auto score = policy.score(i, actions[i]);
          sum += terms[i].weight * score.value + entropy_weight * score.entropy;
        }
        return sum;
      };

      policy.encode(pointers);
      policy.gradient(terms, entropy_weight);
      const std::vector<double> gradient(policy.lstm().gradient().begin(),
                                         policy.lstm().gradient().end());
      auto theta = policy.lstm().parameters();
      const std::size_t outputs = policy.lstm().shape().outputs;
      const std::size_t units = std::max(1, c.attention);
      const std::size_t fixed_bias = theta.size() - c.attention - outputs + 1;
      double largest = 0;
      std::size_t moving = 0;
      for (std::size_t i = 0; i < theta.size(); ++i) {
        if (i >= fixed_bias && i < fixed_bias + units) {  // a unit has one bias, not two
          BOOST_TEST(gradient[i] == 0);
          continue;
        }
        const double before = theta[i];
        const double h = 1e-5;
        theta[i] = before + h;
        policy.lstm().changed();
        const double up = objective();
        theta[i] = before - h;
        policy.lstm().changed();
        const double down = objective();
        theta[i] = before;
        policy.lstm().changed();
        const double numeric = -(up - down) / (2 * h);  // Adam descends
        const double error = std::abs(numeric - gradient[i]) / (1 + std::abs(numeric));
        largest = std::max(largest, error);
        if (std::abs(numeric) > 1e-6) {
          ++moving;
        }
      }
      BOOST_TEST(largest < 1e-7);
      BOOST_TEST(moving > theta.size() / 4);
    }
  }
}

BOOST_AUTO_TEST_CASE(single_precision_agrees_with_double_on_whole_batches) {
  const SearchSpace space = SearchSpace::renas(5);
  MutationPolicy<float> fast(space, 20, 24, true, 8);
  MutationPolicy<double> exact(space, 20, 24, true, 8);
  Random random(5);
  renas::search::initialize(fast.lstm(), 0.3, random);
  for (std::size_t i = 0; i < fast.lstm().parameters().size(); ++i) {
    exact.lstm().parameters()[i] = static_cast<double>(fast.lstm().parameters()[i]);
  }
  exact.lstm().changed();
  for (const std::size_t batch : {1, 2, 8}) {
    std::vector<Genome> parents;
    std::vector<std::vector<Mutation>> actions;
    for (std::size_t i = 0; i < batch; ++i) {
      parents.push_back(renas::random_genome(space, random));
      actions.push_back(draw_actions({"", space, true, true, true}, parents.back(), random));
    }
    std::vector<const Genome*> pointers;
    std::vector<PolicyTerm> terms;
    for (std::size_t i = 0; i < batch; ++i) {
      pointers.push_back(&parents[i]);
      terms.push_back({&parents[i], &actions[i], 1.0});
    }
    fast.encode(pointers);
    exact.encode(pointers);
    for (int i = 0; i < static_cast<int>(batch); ++i) {
      const auto& list = actions[i];
      BOOST_TEST(std::abs(fast.score(i, list).value - exact.score(i, list).value) < 1e-4);
    }
    fast.gradient(terms, 0.1);
    exact.gradient(terms, 0.1);
    double largest = 0;
    for (std::size_t i = 0; i < fast.lstm().gradient().size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(fast.lstm().gradient()[i]) -
                                           exact.lstm().gradient()[i]));
    }
    BOOST_TEST(largest < 1e-4);
    fast.lstm().adam({}, 1);
    exact.lstm().adam({}, 1);
    for (double& value : exact.lstm().gradient()) {
      BOOST_REQUIRE(value == 0);
    }
    std::copy(fast.lstm().parameters().begin(), fast.lstm().parameters().end(),
              exact.lstm().parameters().begin());
    exact.lstm().changed();
  }
}

// In blocks 1 and 3 source a is right, in blocks 2 and 4 source b.
BOOST_AUTO_TEST_CASE(additive_attention_learns_that_slots_want_different_sources) {
  std::vector<renas::Block> blocks;
  for (int b = 0; b < 4; ++b) blocks.push_back({{{renas::Slot::Kind::kInput, "i", {"a", "b"}}}});
  const SearchSpace space("wires", renas::Notation::kList, {"a", "b"}, blocks);
  const auto right_share = [](const Genome& genome) {
    double sum = 0;
    for (int b = 0; b < 4; ++b) sum += genome[b] == b % 2 ? 0.25 : 0;
    return sum;
  };
  for (const int attention : {0, 16}) {
    double late = 0;  // share of right sources over the last hundred children of each seed
    int alike = 0;    // of their parents, those in which slots 0 and 1 prefer the same source
    for (const uint64_t seed : {1, 2, 3, 4}) {
      Random random(seed);
      MutationPolicy<float> policy(space, 16, 16, true, attention);
      policy.initialize(0.01, random);
      const Genome first(4, 0);
      const Genome* begin[] = {&first};
      policy.encode(begin);
      BOOST_TEST(std::abs(policy.choices(0, 0)[0] - 0.5) < 0.01);
      for (int i = 1; i <= 2000; ++i) {
        const Genome parent = renas::random_genome(space, random);
        const Genome* parents[] = {&parent};
        policy.encode(parents);
        const auto actions = policy.sample(0, parent, random, nullptr);
        const double share = right_share(renas::apply(parent, actions));
        const PolicyTerm term{&parent, &actions, 4 * (share - 0.5)};
        if (i > 1900) {
          late += share / 400;
          alike += (policy.choices(0, 0)[0] < 0.5) == (policy.choices(0, 1)[0] < 0.5) ? 1 : 0;
        }
        policy.gradient({&term, 1}, 0.1);
        policy.lstm().adam({.learning_rate = 0.003}, i);
      }
    }
    if (attention > 0) {
      BOOST_TEST(late > 0.85);
      BOOST_TEST(alike < 100);
    } else {
      BOOST_TEST(late < 0.75);  // where one slot is right for certain, the other is at best even
      BOOST_TEST(alike == 400);
    }
  }
}

BOOST_AUTO_TEST_CASE(probabilities_of_a_mutation_sum_to_one) {
  // The sum runs over all mutations of one parent in a small space of two blocks.
  const SearchSpace space = SearchSpace::renas(2, {"sep3x3", "identity"});
  MutationPolicy<double> policy(space, 5, 6, true);
  Random random(3);
  renas::search::initialize(policy.lstm(), 1.0, random);
  const Genome parent = renas::random_genome(space, random);
  const Genome* parents[] = {&parent};
  policy.encode(parents);
  double sum = 0;
  for (int s = 0; s < 4; ++s) {
    for (std::size_t a = 0; a < space.slot(s).choices.size(); ++a) {
      for (int r = 4; r < 8; ++r) {
        for (std::size_t b = 0; b < space.slot(r).choices.size(); ++b) {
          sum += std::exp(
              policy.score(0, {{0, s, 0, static_cast<int>(a)}, {1, r, 0, static_cast<int>(b)}})
                  .value);
        }
      }
    }
  }
  BOOST_TEST(sum == 1.0, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_SUITE_END()
