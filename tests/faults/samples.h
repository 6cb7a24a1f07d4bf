#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "core/files.h"
#include "renas/dataset_writer.h"
#include "renas/model.h"
#include "renas/run_directory.h"
#include "store/attempt_log.h"
#include "store/snapshot.h"
#include "store/state_file.h"
#include "support/files.h"
#include "support/sample_model.h"
#include "support/temporary_folder.h"
#include "support/toy_file.h"

namespace renas::test {

/// Whether every fault and every bit is tried (`make test-long`), or a part of them.
inline bool all_faults() {
  const char* wish = std::getenv("RENAS_TEST_FAULTS");
  return wish != nullptr && std::string(wish) == "all";
}

inline FinalState sample_state() {
  FinalState state;
  state.training.seed = 7;
  state.training.epoch = 2;
  state.training.history = {{1.5, 0.25}, {1.25, 0.5}};
  const Model model = sample_model();
  state.weights = model.weights;
  const Graph graph = graph_of(model);
  for (const Parameter& p : graph.parameters()) {
    if (p.trainable()) state.weights[p.name + kMomentumSuffix] = model.weights.at(p.name);
  }
  return state;
}

inline Snapshot sample_snapshot() {
  Snapshot snapshot;
  snapshot.journal_lines = 7;
  snapshot.strategy["a"] = std::vector<uint64_t>{~uint64_t{0}, 1};
  snapshot.strategy["b/c"] = std::vector<int64_t>{-1, 2};
  snapshot.strategy["b/d/e"] = std::vector<double>{0.1};
  snapshot.strategy["b/d/f"] = std::vector<float>(40000, 0.1F);
  snapshot.strategy["empty"] = std::vector<double>{};
  return snapshot;
}

inline HistoryEntry sample_entry(uint64_t line) {
  HistoryEntry e;
  e.line = line;
  e.id = line;
  e.genome = "c-2:sep3x3+c-1:identity";
  e.mutations = {{0, 1, 2, 3}};
  e.fitness = 0.3;
  e.asked = line + 1;
  return e;
}

/// A folder of a run with one line of history.
inline RunDirectory sample_run(const std::string& path) {
  const RunDirectory run =
      RunDirectory::create(path, "seed=1\nchildren=3\n", {{"space", "block\n"}});
  run.append(sample_entry(0));
  return run;
}

inline TrainedCell sample_cell() {
  TrainedCell cell;
  cell.name = "1";
  cell.genome = "c-2:sep3x3+c-1:identity";
  cell.message = "a remark";
  cell.validation_accuracy = 0.75;
  cell.validation_balanced_accuracy = 0.5;
  cell.test_accuracy = 0.25;
  cell.parameters = 7;
  cell.rank = 2;
  return cell;
}

/// A folder of trained cells with one result.
inline RunDirectory sample_list(const std::string& path) {
  const RunDirectory list =
      RunDirectory::create(path, "seed=1\n", {{"cells", "a\n"}}, RunDirectory::Kind::kList);
  list.append(sample_cell());
  return list;
}

inline DataSetInfo encoded_info() {
  DataSetInfo info;
  info.class_names = {"a", "b"};
  info.classes = 2;
  info.mean = {0.5, 0.5, 0.5};
  info.sd = {0.2, 0.2, 0.2};
  return info;
}

/// Writes a file of the library; the same bytes each time.
struct Writer {
  std::string name;
  std::function<void(const std::string& path)> write;
};

/// Every kind of file that is written as a whole.
inline std::vector<Writer> writers() {
  return {
      {"images of one size", [](const std::string& path) { write_toy_file(path, 96, 5, true); }},
      {"encoded images",
       [](const std::string& path) {
         DataSetWriter writer(path, true);
         writer.begin_split("train", {3, 0, 0});
         for (int i = 0; i < 40; ++i) {
           writer.add(std::vector<uint8_t>(60000, static_cast<uint8_t>(i)), i % 2);
         }
         writer.finish(encoded_info());
       }},
      {"model", [](const std::string& path) { save_model(path, sample_model()); }},
      {"member",
       [](const std::string& path) {
         const Model model = sample_model();
         save_member(path, 5, {model.genome, model.weights});
       }},
      {"checkpoint",
       [](const std::string& path) { save_checkpoint(path, "training of a", sample_state()); }},
      {"snapshot", [](const std::string& path) { save_snapshot(path, sample_snapshot()); }},
      {"search state",
       [](const std::string& path) { write_state(path, sample_snapshot().strategy); }},
      {"text", [](const std::string& path) { renas::write_text(path, std::string(10000, 'x')); }},
  };
}

}  // namespace renas::test
