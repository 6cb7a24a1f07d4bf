#pragma once

#include <fmt/format.h>
#include <mpi.h>

#include <string>

#include "renas/error.h"

namespace renas {

/// Throws Error where `code`, which MPI function `call` has returned, is no success. A communicator
/// whose error handler ends the program never returns one.
inline void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(
      fmt::format("MPI: {} from {}", std::string(text, static_cast<std::size_t>(length)), call));
}

}  // namespace renas
