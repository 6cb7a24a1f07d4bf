// What the backend says and does where there is no device, or none that can be used.
#include "backend/cudnn/device.h"

#include <boost/test/unit_test.hpp>
#include <string>

#include "backend/cudnn/architectures.h"
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

BOOST_AUTO_TEST_CASE(a_card_needs_kernels_that_the_build_has) {
  using cudnn::kernel_fit;
  using cudnn::KernelFit;
  const auto fits = [](int major, int minor, const char* built, KernelFit fit) {
    BOOST_TEST((kernel_fit(major, minor, built) == fit), major << '.' << minor << " of " << built);
  };
  fits(8, 0, "80,90", KernelFit::kReady);
  fits(8, 9, "80,90", KernelFit::kReady);
  fits(9, 0, "80,90", KernelFit::kReady);
  fits(10, 0, "80,90", KernelFit::kCompiledAtStart);
  fits(7, 5, "80,90", KernelFit::kNone);
  fits(8, 0, "86", KernelFit::kNone);
  fits(9, 0, "80-real", KernelFit::kNone);
  fits(8, 0, "80-virtual", KernelFit::kCompiledAtStart);
  fits(10, 0, "90a,80-real", KernelFit::kNone);
  fits(9, 0, "90a", KernelFit::kReady);
  fits(10, 3, "100f", KernelFit::kReady);
  fits(12, 0, "100f", KernelFit::kNone);
  fits(7, 0, "native", KernelFit::kReady);
  fits(7, 0, "", KernelFit::kNone);

  emulation::plan({.capabilities = {75, 75}});
  refused(
      "Emulated device 0 has compute capability 7.5, and this build has kernels for 80, 90; "
      "configure it with -DCMAKE_CUDA_ARCHITECTURES=\"75;80;90\"");
  BOOST_TEST(why_no_gpu().find("compute capability 7.5") != std::string::npos);
  BOOST_TEST(make_backend()->name() != "cudnn");
  emulation::plan({.capabilities = {100}});
  BOOST_TEST(make_backend({"cudnn"})->description().find("kernels are compiled when they are") !=
             std::string::npos);
  BOOST_TEST(why_no_gpu() == "");

  // Where some cards are left out the others keep their numbers.
  emulation::plan({.capabilities = {75}});
  BOOST_REQUIRE(list_devices("cudnn").size() == 1);
  BOOST_TEST(list_devices("cudnn").front().index == 1);
  for (const int index : {-1, 1}) {
    const std::string said = make_backend({.backend = "cudnn", .index = index})->description();
    BOOST_TEST(said.find("GPU 1: Emulated device 1") != std::string::npos, said);
    BOOST_TEST(said.find("left out: Emulated device 0 has") != std::string::npos, said);
  }
  BOOST_CHECK_EXCEPTION(
      make_backend({.backend = "cudnn", .index = 0}), InvalidInput, [](const InvalidInput& e) {
        return std::string(e.what()).find("have the numbers 1; got 0. Emulated") !=
               std::string::npos;
      });
}

BOOST_AUTO_TEST_CASE(the_cudnn_that_runs_is_named_and_may_be_too_old) {
  emulation::plan({.cudnn = 92003});
  BOOST_TEST(make_backend({"cudnn"})->description().find("cuDNN 9.20.3") != std::string::npos);
  emulation::plan({.cudnn = 90100});
  BOOST_CHECK_EXCEPTION(make_backend({"cudnn"}), InvalidInput, [](const InvalidInput& e) {
    BOOST_TEST_MESSAGE(e.what());
    return std::string(e.what()).find("needs 9.8.0 or newer") != std::string::npos &&
           std::string(e.what()).find("is 9.1.0; let the loader") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
