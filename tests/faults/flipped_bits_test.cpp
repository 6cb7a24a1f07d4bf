// One bit of every byte of every file of a run, flipped: refused, mended or without effect; never
// another value without a word, a crash or a hang.

#include <boost/test/unit_test.hpp>

#include "faults/samples.h"
#include "renas/dataset.h"
#include "renas/error.h"
#include "support/toy_run.h"

using namespace renas;
using namespace renas::test;

namespace {

struct FlipCounts {
  int refused = 0;
  int equal = 0;
};

/// Flips bits of `file` one after another; `reads_right` reads it, or what it is a part of.
FlipCounts flip_bits(const std::string& file, const std::function<bool()>& reads_right) {
  const std::string bytes = content_of(file);
  const std::size_t step = all_faults() ? 1 : std::max<std::size_t>(1, bytes.size() / 1500);
  FlipCounts counts;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << ((at / step + at) % 8)));
    std::ofstream(file, std::ios::binary) << damaged;
    try {
      const bool right = reads_right();
      BOOST_TEST(right, file << ": byte " << at << " changed a value without a word");
      ++counts.equal;
    } catch (const Error&) {
      ++counts.refused;
    }
  }
  std::ofstream(file, std::ios::binary) << bytes;
  BOOST_TEST(reads_right());
  BOOST_TEST_MESSAGE(file << ": " << bytes.size() << " bytes, " << counts.refused << " refused, "
                          << counts.equal << " equal or mended");
  return counts;
}

std::string all_of(const std::string& path, const std::string& split) {
  const DataSet data = DataSet::open(path, split);
  std::string text = std::to_string(data.classes());
  for (const double x : data.info().mean) text += " " + std::to_string(x);
  for (const double x : data.info().sd) text += " " + std::to_string(x);
  for (const std::string& name : data.info().class_names) text += " " + name;
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < data.size(); ++i) {
    const auto image = data.image(i, buffer);
    text.append(image.begin(), image.end());
    text += std::to_string(data.labels()[i]);
  }
  return text;
}

bool operator==(const Model& a, const Model& b) {
  return a.genome == b.genome && a.weights == b.weights && a.class_names == b.class_names &&
         a.mean == b.mean && a.sd == b.sd && a.validation_accuracy == b.validation_accuracy &&
         a.validation_balanced_accuracy == b.validation_balanced_accuracy &&
         a.network.cells == b.network.cells && a.network.filters == b.network.filters &&
         a.network.image == b.network.image && a.network.classes == b.network.classes &&
         a.network.concat_c2 == b.network.concat_c2 && a.preparation.crop == b.preparation.crop &&
         a.preparation.shorter_side == b.preparation.shorter_side;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flipped_bits)

BOOST_AUTO_TEST_CASE(of_every_file_of_a_run) {
  const TemporaryFolder folder;
  write_toy_file(folder / "data.h5");
  SearchRunOptions options = toy_options(folder, "run");
  options.space = SearchSpace::renas(2);
  options.strategy.initial_genomes = {
      parse_genome(*options.space, "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3")};
  std::atomic<bool> stop{false};
  {
    SearchRunHooks hooks;
    const auto transport = make_local_transport();
    BOOST_REQUIRE(run_search(options, *transport, hooks).finished);
  }
  const RunDirectory run = RunDirectory::open(options.folder);

  const std::string data = all_of(folder / "data.h5", "train") + all_of(folder / "data.h5", "test");
  const FlipCounts of_data = flip_bits(folder / "data.h5", [&] {
    return all_of(folder / "data.h5", "train") + all_of(folder / "data.h5", "test") == data;
  });
  BOOST_TEST(of_data.refused > of_data.equal);

  const Model best = load_model(run.best_file());
  flip_bits(run.best_file(), [&] { return load_model(run.best_file()) == best; });
  const Snapshot snapshot = *run.load_snapshot();
  std::filesystem::remove(folder / "run/search.previous.h5");  // would be read in its place
  flip_bits(folder / "run/search.h5", [&] {
    const auto now = run.load_snapshot();
    return now && now->journal_lines == snapshot.journal_lines &&
           now->strategy == snapshot.strategy;
  });
  for (const HistoryEntry& e : run.history()) {
    const std::string file = run.weights_file(e.id);
    if (!std::filesystem::exists(file)) continue;
    const MemberWeights member = load_member(file, e.id);
    flip_bits(file, [&] {
      const MemberWeights now = load_member(file, e.id);
      return now.genome == member.genome && now.weights == member.weights;
    });
    break;
  }

  const std::string history = history_of(folder / "run");
  const FlipCounts of_history = flip_bits(folder / "run/history.jsonl",
                                          [&] { return history_of(folder / "run") == history; });
  BOOST_TEST(of_history.refused == 0);  // every single flipped bit is mended
  const std::string text = run.options();
  flip_bits(folder / "run/options.toml",
            [&] { return RunDirectory::open(options.folder).options() == text; });
  for (const char* name : {"space", "initial_genomes"}) {
    const auto input = run.input(name);
    BOOST_REQUIRE(input.has_value());
    flip_bits(options.folder + "/" + name, [&] { return run.input(name) == input; });
  }
  const RunDirectory list = sample_list(folder / "list");
  const FlipCounts of_results = flip_bits(folder / "list/results.jsonl", [&] {
    const auto cells = list.trained_cells();
    return cells.size() == 1 && to_json(cells[0]) == to_json(sample_cell());
  });
  BOOST_TEST(of_results.refused == 0);
  const std::string identity = *run.data();
  flip_bits(folder / "run/data", [&] { return run.data() == identity; });
  flip_bits(folder / "run/search_over", [&] {
    return run.search_over() == SearchEnd{run.history().size(), run.history().size()};
  });
  const std::string result = to_json(*run.load_result());
  flip_bits(folder / "run/result.json", [&] { return to_json(*run.load_result()) == result; });
}

/// Files are cut, zeroed in part and overwritten with noise, which single bits do not cover.
BOOST_AUTO_TEST_CASE(worse_damage_is_refused_too) {
  const TemporaryFolder folder;
  const Model model = sample_model();
  const std::string file = folder / "m.h5";
  save_model(file, model);
  const std::string bytes = content_of(file);
  std::vector<std::string> damaged;
  Random random(3);
  const int rounds = all_faults() ? 3000 : 150;
  for (int i = 0; i < rounds; ++i) {
    const std::size_t at = random.below(bytes.size());
    damaged.push_back(bytes.substr(0, at));
    std::string text = bytes;
    for (std::size_t b = at; b < std::min(at + 512, text.size()); ++b) text[b] = 0;
    damaged.push_back(text);
    text = bytes;
    for (std::size_t b = at; b < std::min(at + 1 + random.below(64), text.size()); ++b) {
      text[b] = static_cast<char>(random.below(256));
    }
    damaged.push_back(text);
  }
  int refused = 0;
  for (const std::string& text : damaged) {
    std::ofstream(file, std::ios::binary) << text;
    try {
      BOOST_TEST((load_model(file) == model));
    } catch (const Error&) {
      ++refused;
    }
  }
  BOOST_TEST(refused > static_cast<int>(damaged.size()) * 9 / 10);

  // A history: whatever happens to its bytes, each entry that is read is one that was written.
  std::string history;
  for (uint64_t i = 0; i < 20; ++i) history += to_json(sample_entry(i)) + "\n";
  for (int i = 0; i < rounds; ++i) {
    std::string text = history;
    for (int b = 0; b < 3; ++b) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    text.resize(text.size() - random.below(300));
    const History read = parse_history(text);
    for (const HistoryEntry& e : read.entries) {
      BOOST_TEST(to_json(e) == to_json(sample_entry(e.line)));
    }
    BOOST_TEST(read.entries.size() + read.missing.size() == read.lines);
  }
}

BOOST_AUTO_TEST_CASE(of_a_checkpoint) {
  const TemporaryFolder folder;
  const FinalState state = sample_state();
  save_checkpoint(folder / "c.h5", "training of a", state);
  flip_bits(folder / "c.h5", [&] {
    const FinalState now = load_checkpoint(folder / "c.h5", "training of a");
    return now.weights == state.weights && now.training.seed == state.training.seed &&
           now.training.epoch == state.training.epoch &&
           now.training.history.at(1).loss == state.training.history.at(1).loss;
  });
}

BOOST_AUTO_TEST_SUITE_END()
