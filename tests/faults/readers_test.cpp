// Every reader, with a fault at every one of its system calls: it fails with the right reason or
// reads what is there. It must never take zeros or a missing file for the answer.

#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "faults/samples.h"
#include "renas/dataset.h"
#include "renas/error.h"
#include "support/faulty_system_calls.h"

using namespace renas;
using namespace renas::test;

namespace {

std::vector<uint8_t> all_bytes(const DataSet& data) {
  std::vector<uint8_t> bytes;
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < data.size(); ++i) {
    const auto image = data.image(i, buffer);
    bytes.insert(bytes.end(), image.begin(), image.end());
    bytes.push_back(static_cast<uint8_t>(data.labels()[i]));
  }
  return bytes;
}

struct Reader {
  std::string name;
  std::function<bool()> reads_right;
};

struct Files {
  TemporaryFolder folder;
  std::vector<Reader> readers;

  Files() {
    for (const Writer& writer : writers()) writer.write(folder / writer.name);
    sample_list(folder / "list");
    const RunDirectory run = sample_run(folder / "run");
    run.mark_data("these images");
    run.mark_search_over({1, 1});
    run.save_result({.networks = {}, .winner = "1"});
    run.save_snapshot(sample_snapshot());
    for (const int64_t limit : {int64_t{0}, kDefaultMemoryLimit}) {
      add_data("images of one size", limit);
    }
    add_data("encoded images", 0);
    readers.push_back({"splits", [this] {
                         return DataSet::splits(folder / "images of one size") ==
                                std::vector<std::string>{"train", "test"};
                       }});
    readers.push_back({"model", [this] {
                         return load_model(folder / "model").weights == sample_model().weights;
                       }});
    readers.push_back({"member", [this] {
                         return load_member(folder / "member", 5).weights == sample_model().weights;
                       }});
    readers.push_back({"checkpoint", [this] {
                         return load_checkpoint(folder / "checkpoint", "training of a").weights ==
                                sample_state().weights;
                       }});
    readers.push_back({"state", [this] {
                         return read_state(folder / "search state") == sample_snapshot().strategy;
                       }});
    readers.push_back({"run", [this] {
                         const RunDirectory there = RunDirectory::open(folder / "run");
                         return there.options() == "seed=1\nchildren=3\n" &&
                                there.input("space") == "block\n" && !there.input("cells") &&
                                there.history().size() == 1 && there.data() == "these images" &&
                                there.search_over() == SearchEnd{1, 1} &&
                                there.load_result()->winner == "1" &&
                                there.load_snapshot()->strategy == sample_snapshot().strategy;
                       }});
    readers.push_back({"list", [this] {
                         const RunDirectory there =
                             RunDirectory::open(folder / "list", RunDirectory::Kind::kList);
                         const std::vector<TrainedCell> cells = there.trained_cells();
                         return there.input("cells") == "a\n" && cells.size() == 1 &&
                                to_json(cells[0]) == to_json(sample_cell());
                       }});
  }

  void add_data(const std::string& name, int64_t limit) {
    const auto right = all_bytes(DataSet::open(folder / name, "train", limit));
    readers.push_back({name, [this, name, limit, right] {
                         return all_bytes(DataSet::open(folder / name, "train", limit)) == right;
                       }});
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(readers_under_faults, Files)

BOOST_AUTO_TEST_CASE(a_failed_read_is_never_a_value) {
  for (const Reader& reader : readers) {
    inject({.call = 1 << 30});
    BOOST_TEST(reader.reads_right());
    const int calls = stop_injecting();
    int refused = 0;
    for (Fault fault :
         {Fault{Fault::Kind::kError, EIO, 0, false}, Fault{Fault::Kind::kError, EIO, 0, true},
          Fault{Fault::Kind::kShort, 0, 0, false}, Fault{Fault::Kind::kShort, 0, 0, true}}) {
      for (fault.call = 0; fault.call < calls; ++fault.call) {
        inject(fault);
        try {
          BOOST_TEST(reader.reads_right(), reader.name << ", " << to_string(fault));
        } catch (const IoError& e) {
          ++refused;
          const bool says = std::string(e.what()).find("Input/output error") != std::string::npos;
          BOOST_TEST(says, reader.name << ", " << to_string(fault) << ": " << e.what());
        }
        stop_injecting();
      }
    }
    BOOST_TEST_MESSAGE(reader.name << ": " << calls << " calls, " << refused << " refused");
    BOOST_TEST(refused > calls / 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()
