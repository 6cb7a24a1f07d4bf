#include "renas/genome.h"

#include <boost/test/unit_test.hpp>

#include "renas/error.h"

using namespace renas;

namespace {

/// Checks that parsing `text` fails with a message that contains `part`.
void expect_refusal(const SearchSpace& space, const std::string& text, const std::string& part) {
  BOOST_CHECK_EXCEPTION(parse_genome(space, text), InvalidInput, [&](const InvalidInput& e) {
    const bool holds = std::string(e.what()).find(part) != std::string::npos;
    BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
    return holds;
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(genomes)

BOOST_AUTO_TEST_CASE(the_papers_space_has_its_size) {
  // (6^5 x 6!)^2, paper section 3.3.
  BOOST_TEST(SearchSpace::renas(5).size() == 31345665638400.0);
  BOOST_TEST(SearchSpace::nas_bench_201().size() == 15625.0);
}

BOOST_AUTO_TEST_CASE(text_forms_come_back_as_they_were) {
  const SearchSpace cell = SearchSpace::renas();
  const SearchSpace table = SearchSpace::nas_bench_201();
  BOOST_TEST(to_string(cell, parse_genome(cell, kRenasNet)) == kRenasNet);
  BOOST_TEST((parse_genome(cell, "renasnet") == parse_genome(cell, kRenasNet)));
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    for (const SearchSpace* space : {&cell, &table}) {
      const Genome genome = random_genome(*space, random);
      BOOST_TEST((parse_genome(*space, to_string(*space, genome)) == genome));
    }
  }
}

BOOST_AUTO_TEST_CASE(halves_of_a_block_swap_freely) {
  const SearchSpace space = SearchSpace::renas(2);
  const Genome a = parse_genome(space, "c-2:sep5x5+c-1:sep3x3,1:identity+c-1:max3x3");
  const Genome b = parse_genome(space, "c-1:sep3x3+c-2:sep5x5,c-1:max3x3+1:identity");
  BOOST_TEST((canonical(space, a) == canonical(space, b)));
  BOOST_TEST((canonical(space, canonical(space, a)) == canonical(space, a)));
}

BOOST_AUTO_TEST_CASE(malformed_genomes_are_refused_with_their_reason) {
  const SearchSpace space = SearchSpace::renas(2);
  expect_refusal(space, "c-2:sep3x3+c-1:sep3x3,3:sep3x3+c-1:sep3x3", "block 2: input '3'");
  expect_refusal(space, "c-2:sep3x3+c-1:sep3x3,2:sep3x3+c-1:sep3x3", "block 2: input '2'");
  expect_refusal(space, "c-2:conv3x3+c-1:sep3x3,1:sep3x3+c-1:sep3x3", "operator 'conv3x3'");
  expect_refusal(space, "c-2:sep3x3+c-1:sep3x3", "expected 2 blocks, found 1");
  expect_refusal(space, "c-2:sep3x3,1:sep3x3+c-1:sep3x3", "input:operator+input:operator");
  expect_refusal(space, "c-2:sep3x3+c-1,1:sep3x3+c-1:sep3x3", "expected 'input:operator'");
  expect_refusal(space, "", "expected 2 blocks");
  expect_refusal(SearchSpace::nas_bench_201(), "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|",
                 "expected 'operator~1'");
}

BOOST_AUTO_TEST_CASE(a_part_of_the_papers_space_comes_from_text) {
  const SearchSpace space = SearchSpace::parse(R"(
    name small
    block
      operator o2 identity          # the order of slots is free
      operator o1 sep3x3 sep5x5
    block
      input i1 c-1
      input i2 1
      operator o1 sep3x3
      operator o2 max3x3
    block
  )",
                                               Notation::kCell);
  BOOST_TEST(space.block_count() == 3);
  BOOST_TEST(space.size() == (2 * 2 * 2) * 1 * (4 * 4 * 6 * 6.0));
  const std::string text = "c-2:sep5x5+c-2:identity,c-1:sep3x3+1:max3x3,2:sep7x7+1:avg3x3";
  BOOST_TEST(to_string(space, parse_genome(space, text)) == text);
  expect_refusal(space, "c-2:sep7x7+c-2:identity,c-1:sep3x3+1:max3x3,2:sep7x7+1:avg3x3",
                 "block 1: operator 'sep7x7'");
  BOOST_TEST((SearchSpace::parse(space.to_text(), Notation::kCell) == space));
  for (const SearchSpace& whole : {SearchSpace::renas(1), SearchSpace::renas(4)}) {
    BOOST_TEST((SearchSpace::parse(whole.to_text(), Notation::kCell) == whole));
  }
  const SearchSpace list = SearchSpace::parse("inputs a b\nblock\ninput i a b\noperator o x y\n");
  BOOST_TEST((SearchSpace::parse(list.to_text()) == list));
}

BOOST_AUTO_TEST_CASE(mistakes_in_a_part_of_the_papers_space_are_named_with_their_line) {
  const auto refused = [](const std::string& text, const std::string& part) {
    BOOST_CHECK_EXCEPTION(
        SearchSpace::parse(text, Notation::kCell), InvalidInput, [&](const InvalidInput& e) {
          const bool holds = std::string(e.what()).find(part) != std::string::npos;
          BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
          return holds;
        });
  };
  refused("block\n  operator o1 sep9x9\n", "line 2: slot 'o1': operator 'sep9x9'");
  refused("block\n\n  operator o3 sep3x3\n", "line 3: slot 'o3'");
  refused("block\n  operator i1 c-1\n", "line 2: slot 'i1' is an input");
  refused("block\n  operator o1 sep3x3\n  operator o1 sep5x5\n", "line 3: slot 'o1' stands");
  refused("block\n  input i1 1\n", "line 2: search space 'user', block 1, slot 'i1': input '1'");
  refused("block\nblock\n  input i1 2\n", "line 3");
  refused("inputs image\nblock\n", "line 1: the inputs of a cell are c-2 and c-1");
  refused("", "no line 'block'");
}

BOOST_AUTO_TEST_CASE(halves_that_choose_among_different_things_swap_where_they_can) {
  const SearchSpace space = SearchSpace::parse(R"(
    block
      operator o1 identity sep3x3
      operator o2 sep3x3 max3x3
  )",
                                               Notation::kCell);
  const auto form = [&](const std::string& text) {
    return to_string(space, canonical(space, parse_genome(space, text)));
  };
  BOOST_TEST(form("c-1:sep3x3+c-2:sep3x3") == "c-2:sep3x3+c-1:sep3x3");
  BOOST_TEST(form("c-2:sep3x3+c-1:sep3x3") == "c-2:sep3x3+c-1:sep3x3");
  BOOST_TEST(form("c-1:identity+c-2:max3x3") == "c-1:identity+c-2:max3x3");  // no swap
  BOOST_TEST(form("c-1:sep3x3+c-2:max3x3") == "c-1:sep3x3+c-2:max3x3");
}

BOOST_AUTO_TEST_CASE(a_pair_of_cells_is_one_genome) {
  const SearchSpace space = SearchSpace::pair(SearchSpace::renas(2), SearchSpace::renas(3));
  BOOST_TEST(space.cell_count() == 2);
  BOOST_TEST(space.block_count() == 5);
  BOOST_TEST(space.size() == SearchSpace::renas(2).size() * SearchSpace::renas(3).size());
  BOOST_TEST(space.cell_of(1) == 0);
  BOOST_TEST(space.cell_of(2) == 1);
  BOOST_TEST(space.number_of(4) == 3);
  const std::string normal = "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3";
  const std::string reduction = "c-1:avg3x3+c-1:identity,c-2:max3x3+1:sep3x3,2:sep5x5+1:identity";
  const std::string text = "renas/" + normal + "/" + reduction;
  BOOST_TEST(to_string(space, parse_genome(space, text)) == text);
  Random random(1);
  for (int i = 0; i < 200; ++i) {
    const Genome genome = random_genome(space, random);
    BOOST_TEST((parse_genome(space, to_string(space, genome)) == genome));
  }
  // The halves of every block swap, in both cells.
  const Genome swapped =
      parse_genome(space,
                   "renas/c-1:identity+c-2:sep3x3,c-1:sep3x3+1:max3x3/"
                   "c-1:identity+c-1:avg3x3,1:sep3x3+c-2:max3x3,1:identity+2:sep5x5");
  BOOST_TEST((canonical(space, swapped) == canonical(space, parse_genome(space, text))));
  const SearchSpace alike = SearchSpace::pair(SearchSpace::renas(2), SearchSpace::renas(2));
  BOOST_TEST(to_string(alike, parse_genome(alike, normal)) == "renas/" + normal + "/" + normal);

  expect_refusal(space, normal, "expected 3 reduction blocks, found 2");
  expect_refusal(space, "renas/" + normal, "expected renas/NORMAL/REDUCTION");
  expect_refusal(space, "nasnet/" + normal + "/" + reduction, "expected renas/NORMAL/REDUCTION");
  expect_refusal(space, text + "/" + normal, "expected renas/NORMAL/REDUCTION");
  expect_refusal(space, "renas/" + normal + "/", "expected 3 reduction blocks, found 1");
  expect_refusal(space, "renas/" + normal + "/" + reduction + "=1", "reduction block 3: operator");
  expect_refusal(SearchSpace::renas(2), "renas/" + normal + "/" + normal, "block");
  BOOST_CHECK_THROW(SearchSpace::pair(space, alike), InvalidInput);
  BOOST_CHECK_THROW(SearchSpace::pair(SearchSpace::nas_bench_201(), alike), InvalidInput);
}

BOOST_AUTO_TEST_CASE(a_space_of_two_cells_comes_from_text) {
  const SearchSpace space = SearchSpace::parse(R"(
    block
      operator o1 sep3x3 sep5x5
    block
    reduction                       # its blocks are numbered anew
    block
      operator o1 max3x3
      operator o2 max3x3
    block
      input i1 1
  )",
                                               Notation::kCell);
  BOOST_TEST(space.cell_count() == 2);
  BOOST_TEST(space.size() == (2 * 2 * 2 * 6.0) * (3 * 3 * 36.0) * (2 * 2.0) * (3 * 36.0));
  BOOST_TEST((SearchSpace::parse(space.to_text(), Notation::kCell) == space));
  expect_refusal(space,
                 "renas/c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3/"
                 "c-2:max3x3+c-1:sep3x3,1:sep3x3+c-1:sep3x3",
                 "reduction block 1: operator 'sep3x3'");
  const auto refused = [](const std::string& text, Notation notation, const std::string& part) {
    BOOST_CHECK_EXCEPTION(SearchSpace::parse(text, notation), InvalidInput, [&](const auto& e) {
      const bool holds = std::string(e.what()).find(part) != std::string::npos;
      BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
      return holds;
    });
  };
  refused("reduction\nblock\n", Notation::kCell, "line 1: there is no line 'block'");
  refused("block\nreduction\n", Notation::kCell, "line 2: there is no line 'block'");
  refused("block\nreduction\nblock\nreduction\nblock\n", Notation::kCell, "stands there twice");
  refused("block\nreduction now\nblock\n", Notation::kCell, "line 2: 'reduction' stands alone");
  refused("block\nreduction\nblock\n input i1 2\n", Notation::kCell, "line 4");
  refused("block\n operator o a\nreduction\n", Notation::kList, "only a part of the paper's");
}

// Whatever stands in a genome's text, it is refused with a reason, or read as what it says.
BOOST_AUTO_TEST_CASE(damaged_texts_of_two_cells_are_refused_or_read) {
  const SearchSpace space = SearchSpace::pair(SearchSpace::renas(3), SearchSpace::renas(2));
  const std::string letters = "renas/c-12:sep3x5+identity,=|9 \n";
  Random random(7);
  int read = 0;
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = to_string(space, random_genome(space, random));
    for (uint64_t edits = 1 + random.below(3); edits > 0 && !text.empty(); --edits) {
      const std::size_t at = random.below(text.size());
      const char letter = letters[random.below(letters.size())];
      switch (random.below(4)) {
        case 0:
          text.erase(at, 1 + random.below(4));
          break;
        case 1:
          text.insert(at, 1, letter);
          break;
        case 2:
          text[at] = letter;
          break;
        default:
          text.resize(at + 1);
      }
    }
    try {
      BOOST_TEST(to_string(space, parse_genome(space, text)) == text);
      ++read;
    } catch (const InvalidInput&) {
      ++refused;
    }
  }
  BOOST_TEST(read > 20);  // an edit may change nothing, or make another genome
  BOOST_TEST(refused > 10000);
}

BOOST_AUTO_TEST_CASE(impossible_spaces_are_refused) {
  using Kind = Slot::Kind;
  const auto space = [](std::vector<Block> blocks) {
    return SearchSpace("mine", Notation::kList, {"x"}, std::move(blocks));
  };
  BOOST_CHECK_THROW(space({}), InvalidInput);
  BOOST_CHECK_THROW(space({{{}}}), InvalidInput);
  BOOST_CHECK_THROW(space({{{{Kind::kOperator, "o", {}}}}}), InvalidInput);
  BOOST_CHECK_THROW(space({{{{Kind::kOperator, "o", {"a", "a"}}}}}), InvalidInput);
  BOOST_CHECK_THROW(space({{{{Kind::kInput, "i", {"x", "1"}}}}}), InvalidInput);
  // A cell's genomes are written by its four slots.
  BOOST_CHECK_THROW(
      SearchSpace("mine", Notation::kCell, {"x"}, {{{{Kind::kOperator, "o", {"a"}}}}}),
      InvalidInput);
  BOOST_CHECK_NO_THROW(
      space({{{{Kind::kInput, "i", {"x"}}}}, {{{Kind::kInput, "i", {"x", "1"}}}}}));
}

BOOST_AUTO_TEST_SUITE_END()
