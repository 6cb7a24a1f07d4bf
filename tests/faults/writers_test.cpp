// Every writer, with a fault at every one of its system calls: it fails with the right reason and
// leaves what was there, or it goes on and writes what it writes undisturbed.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cerrno>

#include "faults/samples.h"
#include "renas/error.h"
#include "support/faulty_system_calls.h"

using namespace renas;
using namespace renas::test;

namespace {

const std::vector<Fault> kFaults{
    {Fault::Kind::kError, EIO, 0, false}, {Fault::Kind::kError, EIO, 0, true},
    {Fault::Kind::kNoSpace, 0, 0, false}, {Fault::Kind::kNoSpace, 0, 0, true},
    {Fault::Kind::kShort, 0, 0, false},   {Fault::Kind::kShort, 0, 0, true},
    {Fault::Kind::kTorn, EIO, 0, false},
};

const char* reason_of(const Fault& fault) {
  return fault.kind == Fault::Kind::kNoSpace ? "No space left on device" : "Input/output error";
}

bool leaves_partials(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".partial") return true;
  }
  return false;
}

struct Tried {
  int faults = 0;    ///< how many faults happened
  int refused = 0;   ///< how many were reported and left the file as it was
  int unsynced = 0;  ///< how many of those were a file that could not be synced
};

void try_fault(const Writer& writer, const std::string& folder, const std::string& path,
               const std::string& right, const Fault& fault, Tried& tried) {
  const std::string before = "what was there before";
  std::ofstream(path, std::ios::binary) << before;
  inject(fault);
  std::string failure;
  bool threw = false;
  try {
    writer.write(path);
  } catch (const IoError& e) {
    threw = true;
    failure = e.what();
  }
  const int hits = faults_hit();
  stop_injecting();
  if (hits == 0) return;
  ++tried.faults;
  const std::string now = content_of(path);
  const std::string what = writer.name + ", " + to_string(fault) + ": ";
  if (threw) {
    ++tried.refused;
    tried.unsynced += failure.find(path + ": cannot sync to disk") != std::string::npos;
    BOOST_TEST(failure.find(reason_of(fault)) != std::string::npos, what << failure);
    // The new file is there where it was renamed and only its folder could not be synced.
    BOOST_TEST((now == before || now == right),
               what << "the file is neither the old nor the new one");
  } else {
    BOOST_TEST((now == right), what << "no word, and another file");
  }
  const bool cannot_remove = fault.always && fault.kind == Fault::Kind::kError;
  BOOST_TEST((cannot_remove || !leaves_partials(folder)), what << "left a partial file");
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".partial") std::filesystem::remove(entry.path());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(writers_under_faults)

BOOST_AUTO_TEST_CASE(a_failed_call_is_said_or_does_no_harm) {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  for (const Writer& writer : writers()) {
    std::ofstream(path) << "something";
    inject({.call = 1 << 30});
    writer.write(path);
    const int calls = stop_injecting();
    const std::string right = content_of(path);
    BOOST_TEST(calls > 5);
    Tried tried;
    for (Fault fault : kFaults) {
      for (fault.call = 0; fault.call < calls; ++fault.call) {
        try_fault(writer, folder / "", path, right, fault, tried);
      }
    }
    BOOST_TEST_MESSAGE(writer.name << ": " << calls << " calls, " << tried.faults << " faults, "
                                   << tried.refused << " refused");
    BOOST_TEST(tried.refused > calls);  // otherwise the faults do not reach the writer
    BOOST_TEST(tried.unsynced > 0);  // otherwise it never makes sure that its bytes reach the disk
  }
}

// A file that is appended to cannot be replaced by renaming, so a failed append must not leave a
// whole line.
BOOST_AUTO_TEST_CASE(a_line_of_history_is_whole_or_not_there) {
  const TemporaryFolder folder;
  int refused = 0;
  for (Fault fault : kFaults) {
    for (fault.call = 0; fault.call < 8; ++fault.call) {
      const RunDirectory run = sample_run(folder / "run");
      const std::string before = content_of(folder / "run/history.jsonl");
      inject(fault);
      bool threw = false;
      try {
        run.append(sample_entry(1));
      } catch (const IoError& e) {
        threw = true;
        BOOST_TEST(std::string(e.what()).find(reason_of(fault)) != std::string::npos, e.what());
      }
      stop_injecting();
      const std::size_t lines = run.history().size();
      if (!threw) BOOST_TEST(lines == 2, to_string(fault));
      // If undoing the append fails too, half a line may stay; no reader counts it.
      if (threw && !fault.always) BOOST_TEST(lines <= 2);
      if (threw && !fault.always && fault.kind == Fault::Kind::kTorn) {
        BOOST_TEST((content_of(folder / "run/history.jsonl") == before));
      }
      refused += threw;
      std::filesystem::remove_all(folder / "run");
    }
  }
  BOOST_TEST(refused > 5);
}

BOOST_AUTO_TEST_CASE(a_group_of_lines_is_there_or_not) {
  const TemporaryFolder folder;
  const std::vector<HistoryEntry> group{sample_entry(1), sample_entry(2), sample_entry(3)};
  int refused = 0;
  for (Fault fault : kFaults) {
    for (fault.call = 0; fault.call < 8; ++fault.call) {
      const RunDirectory run = sample_run(folder / "run");
      inject(fault);
      bool threw = false;
      try {
        run.append(group);
      } catch (const IoError&) {
        threw = true;
      }
      const int synced = syncs();
      stop_injecting();
      const std::size_t lines = run.history().size();
      if (!threw) {
        BOOST_TEST(lines == 4, to_string(fault));
        BOOST_TEST(synced == 1);
        // What a machine that stops without a word leaves of the write.
        const std::string whole = content_of(folder / "run/history.jsonl");
        for (std::size_t end = 0; end < whole.size(); end += 7) {
          std::ofstream(folder / "run/history.jsonl", std::ios::binary) << whole.substr(0, end);
          const auto found = run.history();
          BOOST_TEST(found.size() == static_cast<std::size_t>(
                                         std::count(whole.begin(), whole.begin() + end, '\n')));
          run.append(sample_entry(found.size()));
          BOOST_TEST(run.history().size() == found.size() + 1);
        }
      }
      if (threw && !fault.always && fault.kind != Fault::Kind::kNoSpace) {
        BOOST_TEST((lines == 1 || lines == 4), to_string(fault) << ": " << lines);
      }
      refused += threw;
      std::filesystem::remove_all(folder / "run");
    }
  }
  BOOST_TEST(refused > 5);
}

BOOST_AUTO_TEST_CASE(of_two_snapshots_one_is_there_whatever_fails) {
  const TemporaryFolder folder;
  int refused = 0;
  for (Fault fault : kFaults) {
    for (fault.call = 0; fault.call < 60; ++fault.call) {
      const RunDirectory run = sample_run(folder / "run");
      run.save_snapshot(sample_snapshot());
      Snapshot next = sample_snapshot();
      ++next.journal_lines;
      inject(fault);
      bool threw = false;
      try {
        run.save_snapshot(next);
      } catch (const IoError&) {
        threw = true;
      }
      stop_injecting();
      std::string problem;
      const auto found = run.load_snapshot(&problem);
      BOOST_REQUIRE_MESSAGE(found.has_value(), to_string(fault));
      BOOST_TEST(problem == "", to_string(fault) << ": " << problem);  // the newest is in its place
      BOOST_TEST((found->strategy == next.strategy));
      if (!threw) BOOST_TEST(found->journal_lines == next.journal_lines);
      if (threw) BOOST_TEST(next.journal_lines - found->journal_lines <= 1U);
      refused += threw;
      std::filesystem::remove_all(folder / "run");
    }
  }
  BOOST_TEST(refused > 20);
}

BOOST_AUTO_TEST_CASE(a_run_is_made_whole_or_can_be_made_again) {
  const TemporaryFolder folder;
  int refused = 0;
  for (Fault fault : kFaults) {
    for (fault.call = 0; fault.call < 40; ++fault.call) {
      inject(fault);
      try {
        const RunLock lock(folder / "run");
        RunDirectory::create(folder / "run", "seed=1\n");
      } catch (const IoError&) {
        ++refused;
      }
      stop_injecting();
      if (!std::filesystem::exists(folder / "run/options.toml")) {
        RunDirectory::create(folder / "run", "seed=1\n");
      }
      BOOST_TEST(RunDirectory::open(folder / "run").options() == "seed=1\n", to_string(fault));
      BOOST_TEST(RunDirectory::open(folder / "run").history().empty());
      std::filesystem::remove_all(folder / "run");
    }
  }
  BOOST_TEST(refused > 20);
}

BOOST_AUTO_TEST_SUITE_END()
