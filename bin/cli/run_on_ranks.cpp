#include "cli/run_on_ranks.h"

#include <fmt/format.h>

#include <exception>
#include <string>

#include "cli/frame.h"

namespace renas::cli {

int run_on_ranks(const CLI::App& app, const Ranks& ranks, const std::function<void()>& prepare,
                 const std::function<int(int& silent_ranks)>& work) {
  const bool first = ranks.rank() == 0;
  std::exception_ptr problem;
  try {
    prepare();
  } catch (...) {
    problem = std::current_exception();
  }
  const bool first_is_well = ranks.worst(first && problem ? 1 : 0) == 0;
  const std::string name =
      first ? app.get_name() : fmt::format("{} [rank {}]", app.get_name(), ranks.rank());
  int code = kDone;
  if (problem && (first || first_is_well)) {
    code = guarded(app, name, [&]() -> int { std::rethrow_exception(problem); });
  }
  const bool all_well = ranks.worst(problem ? 1 : 0) == 0;
  code = ranks.worst(code);
  if (!all_well) return code;
  int silent_ranks = 0;
  code = guarded(app, name, [&] { return work(silent_ranks); });
  if (silent_ranks > 0) ranks.abort(code);  // an orderly end of MPI would wait for them
  return code;
}

}  // namespace renas::cli
