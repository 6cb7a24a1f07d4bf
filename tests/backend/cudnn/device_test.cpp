// What the backend says and does where there is no device, or none that can be used.
#include "backend/cudnn/device.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "backend/cudnn/backend.h"
#include "cuda_emulation/control.h"
#include "renas/backend.h"
#include "renas/error.h"

using namespace renas;

namespace {

struct Machine {
  Machine() { emulation::restart(); }
  ~Machine() { emulation::restart(); }
};

void refused(const std::string& words) {
  BOOST_CHECK_EXCEPTION(make_backend({"cudnn"}), InvalidInput, [&](const InvalidInput& e) {
    BOOST_TEST(std::string(e.what()).find(words) != std::string::npos, e.what());
    return true;
  });
  std::string reason;
  BOOST_TEST(!cudnn::gpu_is_there(&reason));
  BOOST_TEST(reason.find(words) != std::string::npos, reason);
  // An error that a later call of someone else's would find.
  BOOST_TEST(cudaPeekAtLastError() == cudaSuccess);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(devices, Machine)

BOOST_AUTO_TEST_CASE(a_machine_without_a_usable_gpu_is_refused_with_the_reason) {
  const std::pair<cudaError_t, const char*> kinds[] = {
      {cudaErrorInsufficientDriver, "there is no NVIDIA driver, or it is too old for CUDA"},
      {cudaErrorNoDevice, "the NVIDIA driver sees no GPU"},
      {cudaErrorSystemNotReady, "(error 802)"},
      {cudaErrorSystemDriverMismatch, "have different versions (error 803)"},
      {cudaErrorCompatNotSupportedOnDevice, "(error 804)"},
      {cudaErrorUnknown, "(error 999)"}};
  for (const auto& [error, words] : kinds) {
    emulation::plan({.no_device = error});
    refused(words);
  }
  emulation::plan({});
  emulation::restart(0);
  refused("the NVIDIA driver sees no GPU");
  emulation::restart(1);
  BOOST_TEST(cudnn::gpu_is_there(nullptr));
  BOOST_CHECK_THROW(make_backend({.backend = "cudnn", .index = 1}), InvalidInput);
}

BOOST_AUTO_TEST_SUITE_END()
