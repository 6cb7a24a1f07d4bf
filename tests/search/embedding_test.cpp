#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "renas/error.h"
#include "renas/objective.h"
#include "renas/strategy.h"
#include "store/state_file.h"

using renas::Candidate;
using renas::SearchSpace;
using renas::StrategyOptions;

namespace fs = std::filesystem;

namespace {

std::vector<Candidate> run(const StrategyOptions& options, int steps) {
  const SearchSpace space = SearchSpace::renas(4);
  const auto objective = renas::synthetic_objective(space, 1);
  const auto strategy = renas::make_strategy(space, options);
  std::vector<Candidate> asked;
  for (int i = 0; i < steps; ++i) {
    asked.push_back(strategy->ask());
    strategy->tell(asked.back().id,
                   {renas::Status::kOk, objective->reward(asked.back().genome) / 100});
  }
  return asked;
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const renas::Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(embedding)

// Under the thread sanitizer this also shows that two searches share nothing.
BOOST_AUTO_TEST_CASE(two_searches_in_two_threads_do_not_meet) {
  for (const std::string& name : renas::strategy_names()) {
    StrategyOptions options;
    options.name = name;
    options.critic = 4;
    options.seed = 5;
    const std::vector<Candidate> alone = run(options, 60);
    std::vector<Candidate> one;
    std::vector<Candidate> two;
    std::thread first([&] { one = run(options, 60); });
    std::thread second([&] { two = run(options, 60); });
    first.join();
    second.join();
    BOOST_TEST((one == alone), name);
    BOOST_TEST((two == alone), name);
  }
}

BOOST_AUTO_TEST_CASE(a_state_file_gives_back_what_was_written_and_damage_is_found) {
  const fs::path folder = fs::temp_directory_path() / ("renas-state-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string path = (folder / "state").string();
  const SearchSpace space = SearchSpace::renas(3);
  StrategyOptions options;
  options.critic = 3;
  const auto strategy = renas::make_strategy(space, options);
  for (int i = 0; i < 40; ++i) {
    const Candidate candidate = strategy->ask();
    if (i % 5 != 0) {
      strategy->tell(candidate.id, {renas::Status::kOk, 0.01 * i});
    }
  }
  const renas::State state = strategy->save();
  renas::write_state(path, state);
  BOOST_TEST((renas::read_state(path) == state));

  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto write = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    return message_of([&] { renas::read_state(path); });
  };
  BOOST_TEST(write(bytes.substr(0, bytes.size() / 2)).find("damaged") != std::string::npos);
  BOOST_TEST(write(bytes.substr(0, 16)).find("damaged") != std::string::npos);
  BOOST_TEST(write("").find("not a search state") != std::string::npos);
  std::string flipped = bytes;
  flipped[flipped.size() / 3] ^= 1;
  BOOST_TEST(write(flipped).find("damaged") != std::string::npos);
  BOOST_TEST(write(bytes) == "no error");
  fs::remove_all(folder);
  BOOST_TEST(message_of([&] { renas::read_state(path); }).find("cannot open") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
