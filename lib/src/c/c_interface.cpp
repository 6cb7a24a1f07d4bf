#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "renas/error.h"
#include "renas/renas.h"
#include "renas/strategy.h"
#include "store/state_file.h"

struct renas_search {
  std::unique_ptr<renas::Strategy> strategy;
  std::string error;
  std::string text;  // the genome that the last call returned
};

namespace {

constexpr int kFailed = -1;
static_assert(RENAS_DIVERGED == static_cast<int>(renas::Status::kDiverged) &&
              RENAS_OUT_OF_MEMORY == static_cast<int>(renas::Status::kOutOfMemory) &&
              RENAS_LOST == static_cast<int>(renas::Status::kLost));

/// Runs `work` and returns 0. If `work` throws, the search keeps the message and kFailed is
/// returned.
template <class Work>
int guarded(renas_search* search, Work&& work) noexcept {
  if (!search) {
    return kFailed;
  }
  try {
    search->error.clear();
    work();
    return 0;
  } catch (const std::exception& error) {
    try {
      search->error = error.what();
      if (search->error.empty()) {
        search->error = "unknown error";
      }
    } catch (...) {
      search->error.clear();  // there is no memory for the message, so only the return value
                              // reports the error
    }
  } catch (...) {
    search->error.assign("unknown");  // short enough to need no memory
  }
  return kFailed;
}

/// The search space that renas_create() names or describes.
renas::SearchSpace space_of(const std::string& text) {
  if (text == "renas") {
    return renas::SearchSpace::renas(5);
  }
  if (text == "renas-2-cells") {
    return renas::SearchSpace::pair(renas::SearchSpace::renas(5), renas::SearchSpace::renas(5));
  }
  if (text == "nas-bench-201") {
    return renas::SearchSpace::nas_bench_201();
  }
  return renas::SearchSpace::parse(text);
}

void require(const void* pointer, const char* what) {
  if (!pointer) {
    throw renas::InvalidInput(std::string(what) + " is NULL");
  }
}

}  // namespace

extern "C" {

renas_search* renas_create(const char* space, const renas_options* options, char* error,
                           int error_size) {
  const auto complain = [&](const char* message) {
    if (error && error_size > 0) {
      std::snprintf(error, error_size, "%s", message);
    }
    return nullptr;
  };
  try {
    require(space, "renas_create: space");
    renas::StrategyOptions chosen;
    if (options) {
      if (options->strategy) {
        chosen.name = options->strategy;
      }
      if (options->controller) {
        chosen.controller = options->controller;
      }
      if (options->population != 0) {
        chosen.population = options->population;
      }
      if (options->sample != 0) {
        chosen.sample = options->sample;
      }
      chosen.seed = options->seed;
    }
    auto search = std::make_unique<renas_search>();
    search->strategy = renas::make_strategy(space_of(space), chosen);
    return search.release();
  } catch (const std::exception& failure) {
    return complain(failure.what());
  } catch (...) {
    return complain("unknown error");
  }
}

void renas_free(renas_search* search) { delete search; }

int renas_ask(renas_search* search, uint64_t* id, const char** genome, int64_t* parent) {
  return guarded(search, [&] {
    require(id, "renas_ask: id");
    require(genome, "renas_ask: genome");
    const renas::Candidate candidate = search->strategy->ask();
    search->text = renas::to_string(search->strategy->space(), candidate.genome);
    *id = candidate.id;
    *genome = search->text.c_str();
    if (parent) {
      *parent = candidate.parent ? static_cast<int64_t>(*candidate.parent) : -1;
    }
  });
}

int renas_waits(renas_search* search) {
  bool waits = false;
  const int result = guarded(search, [&] { waits = search->strategy->waits(); });
  return result != 0 ? result : waits ? 1 : 0;
}

int renas_tell(renas_search* search, uint64_t id, int status, double fitness) {
  return guarded(search, [&] {
    if (status < RENAS_OK || status > RENAS_LOST) {
      throw renas::InvalidInput("renas_tell: status " + std::to_string(status) +
                                " is none of RENAS_OK to RENAS_LOST (0 to 3)");
    }
    search->strategy->tell(id, {static_cast<renas::Status>(status), fitness});
  });
}

int renas_best(renas_search* search, uint64_t* id, const char** genome, double* fitness) {
  return guarded(search, [&] {
    const auto best = search->strategy->best();
    if (!best) {
      throw renas::InvalidInput("renas_best: no candidate has succeeded yet");
    }
    search->text = renas::to_string(search->strategy->space(), best->genome);
    if (id) {
      *id = best->id;
    }
    if (genome) {
      *genome = search->text.c_str();
    }
    if (fitness) {
      *fitness = best->fitness;
    }
  });
}

int renas_save(renas_search* search, const char* path) {
  return guarded(search, [&] {
    require(path, "renas_save: path");
    renas::write_state(path, search->strategy->save());
  });
}

int renas_load(renas_search* search, const char* path) {
  return guarded(search, [&] {
    require(path, "renas_load: path");
    search->strategy->load(renas::read_state(path));
  });
}

const char* renas_last_error(const renas_search* search) {
  return search ? search->error.c_str() : "the search is NULL";
}

}  // extern "C"
