#include "renas/list_training.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "cluster/cell_list.h"
#include "renas/error.h"
#include "renas/model.h"
#include "support/files.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"

using namespace renas;
using renas::test::bytes_of;
using renas::test::TemporaryFolder;
using renas::test::write_toy_file;

namespace {

ListTrainingResult train(const ListTrainingOptions& options,
                         const std::atomic<bool>* stop = nullptr,
                         std::function<void(const SearchProgress&)> on_progress = nullptr) {
  const auto transport = make_local_transport();
  return train_list(options, *transport,
                    {.stop = stop, .on_progress = std::move(on_progress), .progress_seconds = 0});
}

void refused(const ListTrainingOptions& options, const std::string& part) {
  BOOST_CHECK_EXCEPTION(train(options), Error, [&](const Error& e) {
    const bool holds = std::string(e.what()).find(part) != std::string::npos;
    BOOST_TEST(holds, "'" << e.what() << "' does not say '" << part << "'");
    return holds;
  });
}

struct Fixture {
  TemporaryFolder folder;
  ListTrainingOptions options;

  Fixture() {
    write_toy_file(folder / "data.h5");
    options.data = folder / "data.h5";
    options.folder = folder / "list";
    options.genomes = {"c-2:sep3x3+c-1:identity", "c-2:sep3x3+c-1:identity,1:max3x3+c-1:sep3x3",
                       "c-1:avg3x3+c-2:max3x3"};
    options.final.network.cells = 1;
    options.final.network.filters = 4;
    options.final.batch = 16;
    options.final.recipe.epochs = 2;
    options.final.recipe.cosine_cycles = {2};
    options.final.device.backend = "reference";
    options.validation = 20;
    options.seed = 7;
    options.io_patience = 0.05;
  }
  RunDirectory directory() const {
    return RunDirectory::open(options.folder, RunDirectory::Kind::kList);
  }
  std::vector<std::vector<uint8_t>> models() const {
    std::vector<std::vector<uint8_t>> all;
    for (const char* name : {"1", "2", "3"}) {
      all.push_back(bytes_of(directory().retrained_file(name)));
      BOOST_TEST(!all.back().empty());
    }
    return all;
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(list_training, Fixture)

BOOST_AUTO_TEST_CASE(each_cell_is_trained_as_it_would_be_alone) {
  const ListTrainingResult result = train(options);
  BOOST_TEST(result.finished);
  BOOST_REQUIRE(result.cells.size() == 3);
  const SearchData data = open_search_data(options.data, 20, 0, options.seed);
  FinalOptions final = options.final;
  final.network.image = data.images.shape();
  final.network.classes = data.images.classes();
  const auto backend = make_backend(final.device);
  for (std::size_t i = 0; i < 3; ++i) {
    const TrainedCell& cell = result.cells[i];
    BOOST_TEST(cell.name == std::to_string(i + 1));
    BOOST_TEST(cell.genome == options.genomes[i]);
    const SearchSpace space = space_of(cell.genome);
    FinalState fresh;
    fresh.training.seed = options.seed;
    const Evaluation alone = train_from_scratch(*backend, space, parse_genome(space, cell.genome),
                                                fresh, data, final, {}, nullptr);
    const Model model = load_model(directory().retrained_file(cell.name));
    for (const auto& [name, tensor] : model.weights) BOOST_TEST((alone.weights.at(name) == tensor));
    BOOST_TEST(cell.validation_accuracy == alone.score.accuracy);
    BOOST_TEST(cell.validation_balanced_accuracy == alone.score.balanced_accuracy);
    BOOST_TEST(cell.parameters == alone.counts.parameters);
    const DataSet test = DataSet::open(options.data, "test");
    const Score score =
        score_network(*backend, graph_of(model), model.weights, test, all_indices(test.size()),
                      {.batch = 16, .device = final.device, .stop = nullptr});
    BOOST_TEST(cell.test_accuracy.value() == score.accuracy);
  }
  BOOST_TEST(directory().trained_cells().size() == 3);
}

BOOST_AUTO_TEST_CASE(a_list_stopped_again_and_again_ends_like_one_that_was_not) {
  train(options);
  const auto whole = models();
  options.folder = folder / "pieces";
  int sessions = 0;
  for (bool finished = false; !finished; ++sessions) {
    BOOST_REQUIRE(sessions < 60);
    std::atomic<bool> stop{false};
    // Progress is reported as soon as a session begins.
    finished = train(options, &stop, [&](const SearchProgress&) { stop = sessions < 5; }).finished;
    options.resume = true;
  }
  BOOST_TEST(sessions > 1);
  BOOST_TEST((models() == whole));
  BOOST_TEST(directory().trained_cells().size() == 3);
}

BOOST_AUTO_TEST_CASE(what_is_done_is_not_done_again_and_what_is_lost_is) {
  train(options);
  const auto whole = models();
  options.resume = true;
  const auto lines = [&] { return directory().trained_cells().size(); };
  train(options);
  BOOST_TEST(lines() == 3);  // nothing was to be done

  std::filesystem::resize_file(directory().retrained_file("2"), 100);
  train(options);
  BOOST_TEST((models() == whole));
  BOOST_TEST(lines() == 4);

  // Killed between a model and its line: the model is scored, not trained.
  std::filesystem::resize_file(folder / "list/results.jsonl", 0);
  const auto written = std::filesystem::last_write_time(directory().retrained_file("1"));
  const ListTrainingResult result = train(options);
  BOOST_TEST(lines() == 3);
  BOOST_TEST(result.cells[0].test_accuracy.has_value());
  BOOST_TEST((std::filesystem::last_write_time(directory().retrained_file("1")) == written));
}

BOOST_AUTO_TEST_CASE(a_cell_that_fails_is_a_result_and_the_others_go_on) {
  options.final.recipe.learning_rates = {1e30};
  const ListTrainingResult result = train(options);
  BOOST_TEST(result.finished);
  BOOST_REQUIRE(result.cells.size() == 3);
  for (const TrainedCell& cell : result.cells) {
    BOOST_TEST((cell.status == Status::kDiverged));
    BOOST_TEST(!cell.message.empty());
  }
  options.resume = true;
  BOOST_TEST(train(options).finished);
  BOOST_TEST(directory().trained_cells().size() == 3);
}

BOOST_AUTO_TEST_CASE(mistakes_are_named_and_leave_no_folder) {
  const auto changed = [this](auto change) {
    ListTrainingOptions o = options;
    change(o);
    return o;
  };
  refused(changed([](auto& o) { o.genomes[1] = "c-2:sep9x9+c-1:identity"; }), "cell 2");
  refused(changed([](auto& o) { o.genomes.clear(); }), "one cell or more");
  refused(changed([](auto& o) { o.data += "x"; }), "data.h5x");
  refused(changed([](auto& o) { o.validation = 96; }), "validation 96");
  refused(changed([](auto& o) { o.final.device.backend = "abacus"; }), "abacus");
  refused(changed([](auto& o) { o.resume = true; }), "is not a run");
  BOOST_TEST(!std::filesystem::exists(options.folder));
  train(options);
  refused(options, "exists and is not empty");
  options.resume = true;
  refused(changed([](auto& o) { o.genomes.pop_back(); }), "another list");
  write_toy_file(folder / "data.h5", 96, 6, true);
  refused(options, "found another");
  BOOST_CHECK_THROW(RunDirectory::open(options.folder), InvalidInput);  // no run of a search
}

BOOST_AUTO_TEST_SUITE_END()
