// Streams, events and graphs: what is done when, and what the emulation refuses.
#include <boost/test/unit_test.hpp>
#include <set>
#include <thread>

#include "cuda_emulation/control.h"
#include "device_array.h"
#include "kernels.h"

using namespace renas;
using namespace renas::test;
using cudnn::Grid;
using cudnn::launch;
using cudnn::preload;

namespace {

struct Machine {
  Machine() { emulation::restart(); }
};

/// Ends a capture whatever became of it.
void give_up(cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(stream, &graph);
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(emulated_streams, Machine)

BOOST_AUTO_TEST_CASE(work_is_not_done_before_the_host_waits) {
  const TestStream stream;
  const DeviceArray<float> out(4);
  PinnedArray<float> host(4);
  host[0] = -1;
  must(launch(fill, Grid{1, 4}, stream, out.data(), 4, 5.0F));
  must(cudaMemcpyAsync(host.data(), out.data(), out.bytes(), cudaMemcpyDeviceToHost, stream));
  BOOST_TEST(host[0] == -1);
  BOOST_TEST(cudaStreamQuery(stream) == cudaErrorNotReady);
  stream.wait();
  BOOST_TEST(host[0] == 5);
  BOOST_TEST(cudaStreamQuery(stream) == cudaSuccess);
}

BOOST_AUTO_TEST_CASE(streams_that_nothing_orders_run_in_several_orders) {
  std::set<float> results;
  for (int seed = 1; seed < 20; ++seed) {
    emulation::restart(1, std::size_t{1} << 20, static_cast<std::uint64_t>(seed));
    const TestStream one, two;
    const DeviceArray<float> out(1);
    must(launch(fill, Grid{1, 1}, one, out.data(), 1, 1.0F));
    must(launch(fill, Grid{1, 1}, two, out.data(), 1, 2.0F));
    must(cudaDeviceSynchronize());
    results.insert(out.read()[0]);
  }
  BOOST_TEST(results.size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_copy_of_pageable_memory_is_under_way_until_the_host_waits) {
  std::set<float> results[2];
  for (const bool waits : {false, true}) {
    for (int seed = 1; seed < 20; ++seed) {
      emulation::restart(1, std::size_t{1} << 20, static_cast<std::uint64_t>(seed));
      const TestStream stream;
      const DeviceArray<float> in(std::vector<float>{1.0F}), out(1);
      float value = 5;
      must(cudaMemcpy(in.data(), &value, sizeof value, cudaMemcpyHostToDevice));
      value = -1;  // the host may go on with its memory
      if (waits) must(cudaStreamSynchronize(nullptr));
      must(launch(add_one, Grid{1, 1}, stream, in.data(), out.data(), 1));
      stream.wait();
      results[waits].insert(out.read()[0]);
    }
  }
  BOOST_TEST((results[0] == std::set<float>{2}));
  BOOST_TEST((results[1] == std::set<float>{6}));
}

BOOST_AUTO_TEST_CASE(an_event_orders_two_streams_for_every_seed) {
  for (int seed = 1; seed < 20; ++seed) {
    emulation::restart(1, std::size_t{1} << 20, static_cast<std::uint64_t>(seed));
    const TestStream one, two;
    const TestEvent event;
    const DeviceArray<float> in(8), out(8);
    must(launch(fill, Grid{1, 8}, one, in.data(), 8, 1.0F));
    must(cudaEventRecord(event, one));
    must(cudaStreamWaitEvent(two, event, 0));
    must(launch(add_one, Grid{1, 8}, two, in.data(), out.data(), 8));
    two.wait();
    BOOST_TEST(out.read()[7] == 2.0F);
  }
}

BOOST_AUTO_TEST_CASE(the_host_waits_for_an_event_and_reads_the_time_between_two) {
  const TestStream stream;
  cudaEvent_t before = nullptr, after = nullptr;
  must(cudaEventCreate(&before));
  must(cudaEventCreate(&after));
  const DeviceArray<float> out(4);
  must(cudaEventRecord(before, stream));
  must(launch(fill, Grid{1, 4}, stream, out.data(), 4, 5.0F));
  must(cudaEventRecord(after, stream));
  float milliseconds = -1;
  BOOST_TEST(cudaEventElapsedTime(&milliseconds, before, after) == cudaErrorNotReady);
  must(cudaEventSynchronize(after));
  must(cudaEventElapsedTime(&milliseconds, before, after));
  BOOST_TEST(milliseconds >= 0);
  must(cudaEventDestroy(before));
  must(cudaEventDestroy(after));
}

BOOST_AUTO_TEST_CASE(a_graph_with_branches_is_replayed) {
  for (int seed = 1; seed < 10; ++seed) {
    emulation::restart(1, std::size_t{1} << 20, static_cast<std::uint64_t>(seed));
    const TestStream main, side;
    const TestEvent fork, join;
    const DeviceArray<float> x(8), y(8), z(8);
    must(preload(fill));
    must(preload(add_one));
    must(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal));
    must(launch(add_one, Grid{1, 8}, main, x.data(), y.data(), 8));
    must(cudaEventRecord(fork, main));
    must(cudaStreamWaitEvent(side, fork, 0));
    must(launch(add_one, Grid{1, 8}, side, y.data(), z.data(), 8));
    must(cudaEventRecord(join, side));
    must(launch(fill, Grid{1, 8}, main, x.data(), 8, 10.0F));
    must(cudaStreamWaitEvent(main, join, 0));
    must(launch(add_one, Grid{1, 8}, main, z.data(), y.data(), 8));
    cudaGraph_t graph = nullptr;
    must(cudaStreamEndCapture(main, &graph));
    std::size_t nodes = 0;
    must(cudaGraphGetNodes(graph, nullptr, &nodes));
    BOOST_TEST(nodes == 4U);
    cudaGraphExec_t instance = nullptr;
    must(cudaGraphInstantiate(&instance, graph, 0));
    must(cudaGraphDestroy(graph));
    BOOST_TEST(emulation::counts().kernels == 0U);  // recorded, not run
    must(launch(fill, Grid{1, 8}, main, x.data(), 8, 1.0F));
    must(cudaGraphLaunch(instance, main));
    main.wait();
    BOOST_TEST(y.read()[3] == 4.0F);
    must(cudaGraphLaunch(instance, main));
    main.wait();
    BOOST_TEST(y.read()[3] == 13.0F);
    must(cudaGraphExecDestroy(instance));
  }
}

BOOST_AUTO_TEST_CASE(a_host_function_runs_in_its_stream) {
  const TestStream stream;
  int called = 0;
  must(cudaLaunchHostFunc(
      stream, [](void* at) { ++*static_cast<int*>(at); }, &called));
  BOOST_TEST(called == 0);
  stream.wait();
  BOOST_TEST(called == 1);
}

BOOST_AUTO_TEST_CASE(an_asynchronous_copy_wants_pinned_memory) {
  const TestStream stream;
  const DeviceArray<float> device(4);
  std::vector<float> pageable(4);
  BOOST_TEST(cudaMemcpyAsync(device.data(), pageable.data(), 16, cudaMemcpyHostToDevice, stream) ==
             cudaErrorInvalidValue);
  BOOST_TEST(std::string(cudaGetErrorString(cudaErrorInvalidValue)).find("not pinned") !=
             std::string::npos);
  must(cudaHostRegister(pageable.data(), 16, 0));
  must(cudaMemcpyAsync(device.data(), pageable.data(), 16, cudaMemcpyHostToDevice, stream));
  stream.wait();
  must(cudaHostUnregister(pageable.data()));
}

BOOST_AUTO_TEST_CASE(copies_whose_sides_are_not_what_their_kind_says_are_refused) {
  const DeviceArray<float> device(4);
  float host[5] = {};
  BOOST_TEST(cudaMemcpy(host, device.data(), 16, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  BOOST_TEST(cudaMemcpy(device.data(), device.data(), 16, cudaMemcpyHostToDevice) ==
             cudaErrorInvalidValue);
  BOOST_TEST(cudaMemcpy(device.data(), host, 20, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
  BOOST_TEST(cudaMemset(device.data(), 0, 20) == cudaErrorInvalidValue);
}

BOOST_AUTO_TEST_CASE(calls_that_wait_or_allocate_end_a_capture) {
  const TestStream stream;
  const DeviceArray<float> device(4);
  void* memory = nullptr;
  float host[4];
  const std::vector<std::function<cudaError_t()>> calls{
      [&] { return cudaMalloc(&memory, 16); },
      [&] { return cudaFree(device.data()); },
      [&] { return cudaMallocHost(&memory, 16); },
      [&] { return cudaMemcpy(host, device.data(), 16, cudaMemcpyDeviceToHost); },
      [&] { return cudaStreamSynchronize(stream); },
      [&] { return cudaStreamQuery(stream); },
      [&] { return cudaDeviceSynchronize(); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    BOOST_TEST_CONTEXT("call " << i) {
      must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
      BOOST_TEST(calls[i]() == cudaErrorStreamCaptureUnsupported);
      cudaGraph_t graph = nullptr;
      BOOST_TEST(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
      BOOST_TEST(graph == nullptr);
      cudaGetLastError();
    }
  }
  BOOST_TEST(emulation::counts().device_blocks == 1U);
}

BOOST_AUTO_TEST_CASE(other_threads_may_allocate_while_a_stream_is_captured) {
  const TestStream stream;
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  std::thread([] { const DeviceArray<float> device(4); }).join();
  cudaGraph_t graph = nullptr;
  must(cudaStreamEndCapture(stream, &graph));
  must(cudaGraphDestroy(graph));
}

BOOST_AUTO_TEST_CASE(the_default_stream_is_refused_during_a_capture) {
  const TestStream stream;
  const DeviceArray<float> device(4);
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  BOOST_TEST(cudaMemsetAsync(device.data(), 0, 16, nullptr) == cudaErrorStreamCaptureImplicit);
  give_up(stream);
}

BOOST_AUTO_TEST_CASE(a_kernel_is_captured_only_after_it_was_loaded) {
  const TestStream stream;
  const DeviceArray<float> device(4);
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  BOOST_TEST(launch(fill, Grid{1, 4}, stream, device.data(), 4, 1.0F) ==
             cudaErrorStreamCaptureUnsupported);
  give_up(stream);
  must(preload(fill));
  must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  BOOST_TEST(launch(fill, Grid{1, 4}, stream, device.data(), 4, 1.0F) == cudaSuccess);
  give_up(stream);
}

BOOST_AUTO_TEST_CASE(a_branch_that_is_not_joined_ends_a_capture) {
  const TestStream main, side;
  const TestEvent fork;
  const DeviceArray<float> device(4);
  must(preload(fill));
  must(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal));
  must(cudaEventRecord(fork, main));
  must(cudaStreamWaitEvent(side, fork, 0));
  must(launch(fill, Grid{1, 4}, side, device.data(), 4, 1.0F));
  cudaGraph_t graph = nullptr;
  BOOST_TEST(cudaStreamEndCapture(main, &graph) == cudaErrorStreamCaptureUnjoined);
}

BOOST_AUTO_TEST_CASE(events_from_outside_of_a_capture_are_refused_in_it) {
  const TestStream main, other;
  const TestEvent outside;
  must(cudaEventRecord(outside, other));
  must(cudaStreamBeginCapture(main, cudaStreamCaptureModeThreadLocal));
  BOOST_TEST(cudaStreamWaitEvent(main, outside, 0) == cudaErrorStreamCaptureIsolation);
  give_up(main);
}

BOOST_AUTO_TEST_CASE(launches_that_no_card_takes_are_refused) {
  const DeviceArray<float> device(4);
  const auto run = [&](Grid grid) { return launch(fill, grid, nullptr, device.data(), 4, 1.0F); };
  BOOST_TEST(run({0, 4}) == cudaErrorInvalidConfiguration);
  BOOST_TEST(run({1, 0}) == cudaErrorInvalidConfiguration);
  BOOST_TEST(run({1, 1025}) == cudaErrorInvalidConfiguration);
  BOOST_TEST(run({1, dim3(1, 1, 65)}) == cudaErrorInvalidConfiguration);
  BOOST_TEST(run({dim3(1, 65536), 1}) == cudaErrorInvalidConfiguration);
  BOOST_TEST(run({1, 4, 48 << 10}) == cudaSuccess);
  BOOST_TEST(run({1, 4, (48 << 10) + 1}) == cudaErrorInvalidValue);
  must(preload(fill));
  BOOST_TEST(run({1, 4, 48 << 10}) == cudaSuccess);
  must(preload(fill, 100 << 10));
  BOOST_TEST(run({1, 4, 100 << 10}) == cudaSuccess);
  BOOST_TEST(run({1, 4, (100 << 10) + 1}) == cudaErrorInvalidValue);
  must(cudaFuncSetAttribute(reinterpret_cast<const void*>(fill),
                            cudaFuncAttributeMaxDynamicSharedMemorySize, 512));
  BOOST_TEST(run({1, 4, 1 << 10}) == cudaErrorInvalidValue);
  BOOST_TEST(preload(fill, 228 << 10) == cudaErrorInvalidValue);
  must(cudaDeviceSynchronize());
}

BOOST_AUTO_TEST_CASE(two_devices_have_their_own_names_streams_and_memory) {
  int devices = 0;
  must(cudaGetDeviceCount(&devices));
  BOOST_TEST(devices == 2);
  cudaDeviceProp first, second;
  must(cudaGetDeviceProperties(&first, 0));
  must(cudaGetDeviceProperties(&second, 1));
  BOOST_TEST(std::string(first.uuid.bytes, 16) != std::string(second.uuid.bytes, 16));
  const TestStream stream;
  const DeviceArray<float> device(4);
  must(cudaSetDevice(1));
  BOOST_TEST(launch(fill, Grid{1, 4}, stream, device.data(), 4, 1.0F) ==
             cudaErrorInvalidResourceHandle);
  BOOST_TEST(cudaMemset(device.data(), 0, 16) == cudaErrorInvalidValue);
  BOOST_TEST(cudaSetDevice(2) == cudaErrorInvalidDevice);
  must(cudaSetDevice(0));
}

BOOST_AUTO_TEST_SUITE_END()
